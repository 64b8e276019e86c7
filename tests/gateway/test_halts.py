"""Halts: by scope and level, through a restart, and whatever comes first: what is halted is not sent."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.desk import Bench, request
from txgateway import codec, halts
from txgateway.brokers import Can
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import Executed, OrderAccepted, TradingHalted, TradingResumed
from txgateway.model.halts import HaltLevel
from txgateway.model.order import Order, OrderStatus, OrderType, Origin, Side
from txgateway.model.scope import GATEWAY, Scope, Subject
from txgateway.state import State

S = OrderStatus
HALTED, REDUCE_ONLY = HaltLevel.HALTED, HaltLevel.REDUCE_ONLY


def halt(bench: Bench, scope: str = "gateway", level: HaltLevel = HALTED) -> None:
    bench.gateway.halt("drill", "boss", Scope.parse(scope), level)
    bench.turn()


def send(bench: Bench, owner: str = "me", origin: Origin = Origin.RPC, **terms: Any) -> Order:
    order: Order = bench.do(bench.gateway.submit(request(**terms), owner, origin)).order
    return order


def hold(bench: Bench, quantity: int) -> None:
    """Have the account hold so many IBM."""
    bench.broker.mode = "fill"
    send(bench, side=Side.BUY if quantity > 0 else Side.SELL_SHORT, quantity=D(abs(quantity)))
    bench.broker.mode = "accept"


@pytest.mark.parametrize(
    ("scope", "halted", "free"),
    [
        ("gateway", {}, None),
        ("venue:paper", {}, None),
        ("account:ACC", {}, {"account": "OTHER"}),
        ("owner:me", {}, {"owner": "you"}),
        ("source:me", {"origin": Origin.WEBHOOK}, {"origin": Origin.RPC}),
        ("bot:me", {"origin": Origin.BOT}, {"origin": Origin.WEBHOOK}),
        ("symbol:ibm", {}, {"symbol": "AAPL"}),
    ],
)
def test_a_halt_stops_its_scope_and_nothing_else(
    scope: str, halted: dict[str, Any], free: dict[str, Any] | None
) -> None:
    bench = Bench().up()
    halt(bench, scope)
    desk = bench
    for restarted in (False, True):
        desk = bench.restart().up() if restarted else bench
        order = send(desk, **halted)
        assert (order.status, order.reason) == (S.DENIED, Reason.HALTED)
        assert "drill" in order.text
        if free is not None:
            assert send(desk, **{**halted, **free}).status is S.FILLED
    sent = len(bench.broker.sent)
    desk.gateway.resume("boss", Scope.parse(scope))
    assert send(desk, **halted).status is S.FILLED
    assert len(bench.broker.sent) == sent + 1


def test_resuming_the_whole_gateway_leaves_a_narrower_halt() -> None:
    bench = Bench().up()
    halt(bench, "account:ACC")
    halt(bench)
    bench.gateway.resume("boss")
    assert send(bench).reason is Reason.HALTED
    assert send(bench, account="OTHER").status is S.FILLED


def test_a_halt_is_loosened_by_resume_alone() -> None:
    bench = Bench().up()
    halt(bench, level=REDUCE_ONLY)
    halt(bench)
    with pytest.raises(Refused, match="resume it first") as caught:
        halt(bench, level=REDUCE_ONLY)
    assert caught.value.reason is Reason.HALTED
    assert bench.gateway.state.halts[GATEWAY].level is HALTED
    bench.gateway.resume("boss")
    bench.gateway.resume("boss")
    assert bench.gateway.state.halts == {}


@pytest.mark.parametrize(
    ("held", "side", "quantity", "passes"),
    [
        (100, Side.SELL, 100, True),
        (100, Side.SELL, 101, False),
        (100, Side.BUY, 1, False),
        (-100, Side.BUY, 100, True),
        (-100, Side.BUY, 101, False),
        (-100, Side.SELL_SHORT, 1, False),
        (0, Side.BUY, 1, False),
        (0, Side.SELL, 1, False),
    ],
)
def test_reduce_only_lets_through_what_reduces(held: int, side: Side, quantity: int, passes: bool) -> None:
    bench = Bench().up()
    if held:
        hold(bench, held)
    halt(bench, level=REDUCE_ONLY)
    order = send(bench, side=side, quantity=D(quantity))
    assert (order.reason is None) is passes
    if not passes:
        assert (order.status, order.reason) == (S.DENIED, Reason.REDUCE_ONLY)
        assert order.text.endswith(".")


def test_reduce_only_counts_what_works_on_the_same_side_so_that_nothing_flips() -> None:
    bench = Bench().up()
    hold(bench, 100)
    rest: dict[str, Any] = {"side": Side.SELL, "order_type": OrderType.LIMIT, "limit_price": D(200)}
    send(bench, **rest, quantity=D(60))
    halt(bench, level=REDUCE_ONLY)
    assert send(bench, **rest, quantity=D(41)).reason is Reason.REDUCE_ONLY
    other = send(bench, **rest, quantity=D(40))
    assert other.status is S.NEW
    assert send(bench, **rest, quantity=D(1)).reason is Reason.REDUCE_ONLY
    bench.do(bench.gateway.cancel(other.order_id, "me"))
    assert send(bench, **rest, quantity=D(40)).status is S.NEW


def test_reduce_only_and_replaces() -> None:
    bench = Bench().up()
    hold(bench, 100)
    rest: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(90), "quantity": D(50)}
    opening, closing = send(bench, **rest), send(bench, **{**rest, "side": Side.SELL, "limit_price": D(200)})
    halt(bench, level=REDUCE_ONLY)

    def replaced(order: Order, quantity: str | None, limit: str | None) -> Order:
        words = (D(each) if each else None for each in (quantity, limit))
        after: Order = bench.do(bench.gateway.replace(order.order_id, *words, None, "me"))
        return after

    assert replaced(opening, "20", None).quantity == 20
    assert replaced(closing, "40", "190").limit_price == 190
    for order, quantity, limit in ((opening, "21", None), (opening, None, "95"), (closing, "41", None)):
        with pytest.raises(Refused) as caught:
            replaced(order, quantity, limit)
        assert caught.value.reason is Reason.REDUCE_ONLY
    halt(bench)
    with pytest.raises(Refused, match="drill") as caught:
        replaced(closing, "30", None)
    assert caught.value.reason is Reason.HALTED
    assert bench.do(bench.gateway.cancel(closing.order_id, "me")).status is S.CANCELED


@pytest.mark.parametrize("can", [~Can(0), ~Can(0) & ~Can.STAGE])
def test_a_ticket_of_a_halted_scope_is_not_released(can: Can) -> None:
    bench = Bench()
    bench.broker.can = can
    bench.up()
    bench.broker.mode = "accept"
    ticket = send(bench, tag="t")
    assert ticket.status is S.STAGED
    halt(bench, "account:ACC")
    with pytest.raises(Refused, match="drill"):
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    bench.gateway.resume("boss", Scope.parse("account:ACC"))
    halt(bench, level=REDUCE_ONLY)
    with pytest.raises(Refused) as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert caught.value.reason is Reason.REDUCE_ONLY
    bench.gateway.resume("boss")
    assert bench.do(bench.gateway.approve(ticket.order_id, "boss")).reason is None


@pytest.mark.parametrize("can", [~Can(0), ~Can(0) & ~Can.STAGE])
def test_a_halt_catches_what_is_on_its_way_to_the_disk(can: Can) -> None:
    bench = Bench()
    bench.broker.can = can
    bench.up()
    bench.broker.mode = "accept"
    working = send(bench, order_type=OrderType.LIMIT, limit_price=D(90))
    ticket = send(bench, tag="t")
    sent = len(bench.broker.sent)
    bench.journal.hold = True
    calls = [
        Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="late"), "me", Origin.RPC)),
        Deferred.fromCoroutine(bench.gateway.replace(working.order_id, D(70), None, None, "me")),
        Deferred.fromCoroutine(bench.gateway.approve(ticket.order_id, "boss")),
    ]
    halt(bench)
    bench.journal.hold = False
    bench.journal.sync()
    bench.turn()
    assert all(call.called for call in calls)
    assert len(bench.broker.sent) == sent
    assert (bench.broker.replaced, bench.broker.released) == ([], [])
    late = bench.gateway.state.find_client("ACC", "late")
    assert late is not None
    assert (late.status, late.reason) == (S.REJECTED, Reason.HALTED)
    stands = bench.gateway.state.order(working.order_id)
    assert stands is not None
    assert (stands.status, stands.quantity) == (S.NEW, 100)
    ended = bench.gateway.state.order(ticket.order_id)
    assert ended is not None
    assert ended.status in (S.REJECTED, S.CANCELED)
    assert ended.reason is Reason.HALTED


def test_halts_are_in_the_snapshot_and_in_old_journals_too() -> None:
    bench = Bench().up()
    halt(bench)
    halt(bench, "bot:it", REDUCE_ONLY)
    again = State.load(bench.gateway.state.dump())
    assert again.halts == bench.gateway.state.halts
    assert list(again.dump()) == list(bench.gateway.state.dump())
    old = codec.decode_event("TradingHalted", '{"text":"x","by":"me","time":"2026-03-02T15:00:00Z"}')
    assert isinstance(old, TradingHalted)
    assert (old.scope, old.level) == (GATEWAY, HALTED)
    old = codec.decode_event("TradingResumed", '{"by":"me","time":"2026-03-02T15:00:00Z"}')
    assert isinstance(old, TradingResumed)
    assert old.scope == GATEWAY


SCOPES = ("gateway", "venue:paper", "account:ACC", "owner:me", "symbol:IBM")
STEPS = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 3)),
    st.tuples(st.just("stage"), st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 3)),
    st.tuples(st.just("approve"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("replace"), st.integers(0, 9), st.integers(1, 5)),
    st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("fill"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("halt"), st.sampled_from(SCOPES), st.sampled_from([HALTED, REDUCE_ONLY])),
    st.tuples(st.just("resume"), st.sampled_from(SCOPES), st.just(0)),
    st.tuples(st.just("disk"), st.booleans(), st.just(0)),
    st.tuples(st.just("turn"), st.just(0), st.just(0)),
)


class Watched(Bench):
    """A desk whose broker checks, at each order that reaches it, what is halted at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.up()
        self.broker.mode = "accept"
        self.calls: list[Deferred[Any]] = []
        for name in ("submit", "replace"):
            setattr(self.broker, name, self.watched(getattr(self.broker, name)))

    def watched(self, send: Any) -> Any:
        async def sent(order: Order) -> None:
            state = self.gateway.state
            halt = halts.in_force(state, Subject.of(order))
            assert halt is None or halt.level is REDUCE_ONLY, f"{order.order_id} was sent while {halt}"
            position = state.positions.get("ACC", {}).get("IBM")
            held = position.quantity if position else D(0)
            if halt is not None and send.__name__ == "submit":
                sides = [each for each in state.working.values() if each.side is order.side]
                same = [each for each in sides if each.status is not S.STAGED]
                leaves = sum((each.quantity - each.filled_quantity for each in same), D(0))
                assert held * order.side.sign < 0, f"{order.side} of {held} was sent while {halt}"
                assert leaves <= abs(held), f"{leaves} of {held} are on their way while {halt}"
            await send(order)

        return sent

    def begin(self, work: Any) -> None:
        self.calls.append(Deferred.fromCoroutine(work).addErrback(lambda failure: failure.trap(Refused)))

    def pick(self, at: int) -> str:
        ids = list(self.gateway.state.working)
        return ids[at % len(ids)] if ids else "NOSUCH"

    def step(self, what: str, a: Any, b: Any) -> None:
        gateway = self.gateway
        if what in ("submit", "stage"):
            terms = {"order_type": OrderType.LIMIT, "limit_price": D(100), "tag": "t" if what == "stage" else None}
            self.begin(gateway.submit(request(side=a, quantity=D(b), **terms), "me", Origin.RPC))
        elif what == "approve":
            self.begin(gateway.approve(self.pick(a), "boss"))
        elif what == "replace":
            self.begin(gateway.replace(self.pick(a), D(b), None, None, "me"))
        elif what == "cancel":
            self.begin(gateway.cancel(self.pick(a), "me"))
        elif what == "fill":
            order = gateway.state.working.get(self.pick(a))
            if order is not None and order.broker_order_id:
                gateway.report(Executed(self.broker.fill(order, D(1)), self.now()))
        elif what == "halt":
            try:
                gateway.halt("drill", "boss", Scope.parse(a), b)
            except Refused:
                assert b is REDUCE_ONLY
        elif what == "resume":
            gateway.resume("boss", Scope.parse(a))
        elif what == "disk":
            self.journal.hold = a
            if not a:
                self.journal.sync()
        else:
            self.turn()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_a_halted_scope_never_sends(steps: list[tuple[str, Any, Any]]) -> None:
    bench = Watched()
    for step in steps:
        bench.step(*step)
    bench.step("disk", False, 0)
    bench.turn(6)
    assert all(call.called for call in bench.calls)
    for order in bench.gateway.state.working.values():
        assert order.status is not S.UNKNOWN, order.text


def test_an_answer_to_what_was_halted_changes_nothing() -> None:
    """A broker that shows an order which we stopped is believed: it lives there."""
    bench = Bench().up()
    bench.broker.mode = "mute"
    bench.journal.hold = True
    Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="late"), "me", Origin.RPC))
    halt(bench)
    bench.journal.hold = False
    bench.journal.sync()
    bench.turn()
    order = bench.gateway.state.find_client("ACC", "late")
    assert order is not None
    bench.gateway.report(OrderAccepted(order.order_id, "B9", bench.now()))
    bench.turn()
    shown = bench.gateway.state.order(order.order_id)
    assert shown is not None
    assert shown.status is S.NEW
