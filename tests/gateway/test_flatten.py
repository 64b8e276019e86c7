"""Flatten: orders ended, positions closed once, flat by the broker's word alone, whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import Bench, ChosenBroker, outcome, request
from txgateway.brokers import Can
from txgateway.model.account import Position
from txgateway.model.errors import Reason, TimedOut
from txgateway.model.events import (
    DifferenceFound,
    Executed,
    FlattenEnded,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    PositionReported,
    TradingHalted,
)
from txgateway.model.halts import FlattenReport
from txgateway.model.instrument import Instrument
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Origin, Side
from txgateway.model.scope import Scope
from txgateway.state import State

S = OrderStatus


class HonestBroker(ChosenBroker):
    """One whose positions are what it filled, and `extra`; without its last fill while `stale`.

    `closed` refuses market orders.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.extra: dict[tuple[str, str], D] = {}
        self.stale = False
        self.closed = False
        self.largest = D(0)
        self.lot = D(1)

    async def positions(self) -> Sequence[Position]:
        held = dict(self.extra)
        for fill in self.fills[:1] if self.stale else self.fills:
            pair = (fill.account, fill.symbol)
            held[pair] = held.get(pair, D(0)) + fill.signed_quantity
        return [Position("paper", *pair, quantity, D(100)) for pair, quantity in held.items() if quantity]

    async def submit(self, order: Order) -> None:
        if self.closed and order.order_type is OrderType.MARKET:
            self.sent.append(order)
            self.report(OrderRejected(order.order_id, Reason.MARKET_CLOSED, "The market is closed.", self.now()))
            return
        await super().submit(order)

    async def lookup(self, order: Order) -> OrderReport | None:
        known = self.book.get(order.order_id)
        sent = next((each for each in self.sent if each.order_id == order.order_id), None)
        if known is not None or sent is None:
            return known
        filled = sum((fill.quantity for fill in self.fills if fill.order_id == order.order_id), D(0))
        return OrderReport(
            broker_order_id=f"B{self.sent.index(sent) + 1}",
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            status=S.FILLED if filled == order.quantity else S.NEW,
            filled_quantity=filled,
            time=self.now(),
            order_id=order.order_id,
        )

    async def instrument(self, symbol: str) -> Instrument | None:
        known = symbol in ("IBM", "AAPL")
        return Instrument(symbol=symbol, venue="paper", max_quantity=self.largest, lot_size=self.lot) if known else None


def desk(*more: Can) -> Bench:
    bench = Bench()
    broker = HonestBroker(bench.clock)
    for each in more:
        broker.can |= each
    return Bench(broker=broker).up()


def send(bench: Bench, owner: str = "me", origin: Origin = Origin.RPC, **terms: Any) -> Order:
    order: Order = bench.do(bench.gateway.submit(request(**terms), owner, origin)).order
    return order


def flatten(bench: Bench, scope: str = "gateway") -> Deferred[FlattenReport]:
    """Begin; the answer comes at the end or after five seconds."""
    number = bench.gateway.flattens.begin(Scope.parse(scope), "drill", "boss")
    return Deferred.fromCoroutine(bench.gateway.flattens.report(number))


def flattened(bench: Bench, scope: str = "gateway", seconds: int = 9) -> FlattenReport:
    return waited(bench, flatten(bench, scope), seconds)


def waited(bench: Bench, answer: Deferred[FlattenReport], seconds: int = 9) -> FlattenReport:
    for _ in range(seconds * 10):
        if not answer.called:
            bench.turn(0.1)
    report: FlattenReport = outcome(answer)
    return report


def run(bench: Bench, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        bench.turn(0.1)


def held(bench: Bench) -> dict[tuple[str, str], D]:
    positions: Sequence[Position] = bench.do(bench.broker.positions())
    return {(each.account, each.symbol): each.quantity for each in positions}


def events(bench: Bench, kind: type) -> list[Any]:
    return [each.event for each in bench.journal.records() if isinstance(each.event, kind)]


def closings(bench: Bench) -> list[Order]:
    return [each for each in bench.broker.sent if each.origin is Origin.FLATTEN]


def test_orders_are_cancelled_positions_closed_and_the_scope_stays_halted() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    send(bench, symbol="AAPL", side=Side.SELL_SHORT, quantity=D(30))
    bench.broker.mode = "accept"
    rest = send(bench, order_type=OrderType.LIMIT, limit_price=D(90))
    bench.broker.mode = "fill"
    report = flattened(bench)
    assert (report.flat, report.ended) == (True, True)
    assert [(each.symbol, each.quantity, each.flat) for each in report.positions] == [
        ("AAPL", 0, True),
        ("IBM", 0, True),
    ]
    assert held(bench) == {}
    ended = bench.gateway.state.order(rest.order_id)
    assert ended is not None
    assert (ended.status, ended.reason) == (S.CANCELED, Reason.FLATTENED)
    assert "drill" in ended.text
    assert [(each.symbol, each.side, each.quantity) for each in closings(bench)] == [
        ("AAPL", Side.BUY, 30),
        ("IBM", Side.SELL, 100),
    ]
    assert send(bench).reason is Reason.HALTED
    assert bench.gateway.state.flattens == {}
    [over] = events(bench, FlattenEnded)
    assert over.flat
    bench.gateway.resume("boss")
    assert send(bench).status is S.FILLED


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("venue:paper", {}),
        ("account:ACC", {("OTHER", "IBM"): 7}),
        ("symbol:IBM", {("ACC", "AAPL"): 30}),
        ("owner:me", {("ACC", "AAPL"): 30}),
        ("source:me", {("ACC", "IBM"): 100, ("ACC", "AAPL"): 30, ("OTHER", "IBM"): 7}),
        ("bot:it", {("ACC", "IBM"): 100, ("OTHER", "IBM"): 7}),
    ],
)
def test_a_flatten_keeps_to_its_scope(scope: str, left: dict[tuple[str, str], int]) -> None:
    bench = desk()
    send(bench, quantity=D(100))
    send(bench, account="OTHER", quantity=D(7))
    send(bench, "it", Origin.BOT, symbol="AAPL", quantity=D(30))
    report = flattened(bench, scope)
    assert (report.flat, held(bench)) == (True, left)
    again = bench.restart().up()
    assert flattened(again, scope).flat
    assert held(again) == left


def test_an_owners_part_is_closed_as_far_as_the_account_holds_it() -> None:
    bench = desk()
    send(bench, "ann", quantity=D(100))
    send(bench, "bob", side=Side.SELL, quantity=D(60))
    report = flattened(bench, "owner:ann")
    assert report.flat
    assert [each.quantity for each in closings(bench)] == [40]
    assert held(bench) == {}
    assert "there is nothing to close" in report.positions[0].text


@pytest.mark.parametrize(("scope", "origin"), [("owner:ann", Origin.RPC), ("source:ann", Origin.WEBHOOK)])
def test_what_others_hold_of_the_same_symbol_stays_theirs(scope: str, origin: Origin) -> None:
    bench = desk()
    send(bench, "bob", quantity=D(50))
    send(bench, "ann", origin, quantity=D(100))
    report = flattened(bench, scope, 4)
    assert (report.flat, [line.text for line in report.positions]) == (True, ["Flat."])
    run(bench, 20)
    assert held(bench) == {("ACC", "IBM"): 50}
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 50
    assert events(bench, DifferenceFound) == events(bench, PositionReported) == []
    assert flattened(bench, "owner:bob").flat
    assert [each.quantity for each in closings(bench)] == [100, 50]


def test_what_a_flatten_of_all_has_closed_is_nobodys_any_more() -> None:
    bench = desk()
    send(bench, "ann", quantity=D(100))
    assert flattened(bench, "account:ACC").flat
    bench.gateway.resume("boss", Scope.parse("account:ACC"))
    send(bench, "bob", quantity=D(50))
    assert flattened(bench, "owner:ann").flat
    assert held(bench) == {("ACC", "IBM"): 50}
    assert flattened(bench, "owner:bob").flat
    assert held(bench) == {}


def test_nothing_is_closed_before_every_order_of_the_scope_has_ended() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.mode = "accept"
    rest = send(bench, order_type=OrderType.LIMIT, limit_price=D(90), quantity=D(40))
    bench.broker.mode = "mute"
    report = flattened(bench)
    assert (report.flat, report.ended) == (False, False)
    assert "PENDING_CANCEL" in report.text
    assert rest.order_id in report.text
    assert closings(bench) == []
    bench.broker.mode = "fill"
    bench.gateway.report(Executed(bench.broker.fill(rest, D(15)), bench.now()))
    bench.gateway.report(OrderCanceled(rest.order_id, Reason.USER, "", bench.now()))
    run(bench, 1)
    assert [each.quantity for each in closings(bench)] == [115]
    assert held(bench) == {}
    assert events(bench, FlattenEnded)[0].flat


def test_closing_orders_go_by_the_configured_route_whatever_was_set_since() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.gateway.change_setting("route", '{"SLOW": {"STRAT_ID": "VWAP"}}', "me")
    assert send(bench, quantity=D(10)).route == '{"SLOW": {"STRAT_ID": "VWAP"}}'
    assert flattened(bench).flat
    assert [each.route for each in closings(bench)] == ["DEMO"]


def test_what_is_held_has_its_line_before_the_broker_has_told_anything() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    send(bench, symbol="AAPL", account="OTHER", side=Side.SELL, quantity=D(7))
    bench.broker.positions = lambda: Deferred()  # type: ignore[assignment, method-assign, return-value]
    report = flattened(bench)
    assert [(each.account, each.symbol, each.quantity, each.flat) for each in report.positions] == [
        ("ACC", "IBM", D(100), False),
        ("OTHER", "AAPL", D(-7), False),
    ]
    assert report.text == (
        "ACC IBM: 100 by our executions: venue paper has not told yet what it holds. "
        "OTHER AAPL: -7 by our executions: venue paper has not told yet what it holds."
    )


def test_what_is_held_at_a_venue_that_is_away_is_not_told_as_nothing() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.stopService()
    report = flattened(bench)
    assert [(each.symbol, each.quantity, each.flat) for each in report.positions] == [("IBM", D(100), False)]


def test_a_cancel_that_is_not_answered_is_sent_again_in_a_while() -> None:
    bench = desk()
    bench.broker.mode = "accept"
    send(bench, order_type=OrderType.LIMIT, limit_price=D(90))
    bench.broker.mode = "mute"
    flatten(bench)
    run(bench, 35)
    assert 2 <= len(bench.broker.canceled) <= 4


def test_an_order_in_doubt_holds_up_its_own_position_only() -> None:
    bench = desk()
    bench.broker.can &= ~Can.LOOKUP
    send(bench, symbol="AAPL", quantity=D(30))
    bench.broker.mode = "fail"
    doubted = send(bench, quantity=D(10))
    assert doubted.status is S.UNKNOWN
    bench.broker.mode = "fill"

    async def unheard(order: Order) -> None:
        bench.broker.canceled.append(order)

    bench.broker.cancel = unheard  # type: ignore[method-assign]
    report = flattened(bench)
    assert not report.flat
    assert {each.symbol: each.flat for each in report.positions} == {"AAPL": True, "IBM": False}
    assert "UNKNOWN" in report.text
    bench.gateway.report(OrderRejected(doubted.order_id, Reason.REJECTED, "never seen", bench.now()))
    run(bench, 11)
    assert events(bench, FlattenEnded)[0].flat


def staged(bench: Bench) -> Order:
    """A ticket that the broker holds, as it says, and then has lost."""
    ticket = send(bench, order_type=OrderType.LIMIT, limit_price=D(90), tag="look")
    bench.broker.hold(ticket, S.STAGED)
    assert ticket.status is S.STAGED
    return ticket


def forget(bench: Bench) -> None:
    """The broker comes back without a memory of any order."""
    bench.broker.book.clear()
    bench.broker.sent.clear()
    bench.broker.stopService()
    bench.up()


def test_a_ticket_that_the_broker_lost_before_its_release_holds_nothing_up_and_stays_in_doubt() -> None:
    bench = desk(Can.STAGE)
    send(bench, quantity=D(30))
    bench.broker.mode = "accept"
    ticket = staged(bench)
    forget(bench)
    assert bench.gateway.state.working[ticket.order_id].status is S.UNKNOWN
    bench.broker.mode = "fill"

    async def unheard(order: Order) -> None:
        bench.broker.canceled.append(order)

    bench.broker.cancel = unheard  # type: ignore[method-assign]
    again = bench.restart().up()
    report = flattened(again)
    assert report.flat
    assert f"unknown to the broker by now: {ticket.order_id}; resolve_order" in report.text
    assert [each.order_id for each in bench.broker.canceled] == [ticket.order_id], "its end is asked for all the same"
    assert again.gateway.state.working[ticket.order_id].status is S.UNKNOWN
    assert held(again) == {}


def test_a_lost_ticket_that_may_have_been_released_holds_its_position_up() -> None:
    bench = desk(Can.STAGE)
    bench.broker.mode = "accept"
    ticket = staged(bench)
    bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    by_hand = staged(bench)
    bench.broker.hold(bench.gateway.state.working[by_hand.order_id])  # released there
    bench.broker.stopService()
    bench.up()
    assert bench.gateway.state.working[by_hand.order_id].status is S.NEW
    forget(bench)
    assert {each.status for each in bench.gateway.state.working.values()} == {S.UNKNOWN}

    async def unheard(order: Order) -> None: ...

    bench.broker.cancel = unheard  # type: ignore[method-assign]
    for order in (ticket, by_hand):
        assert not flattened(bench).flat
        bench.do(bench.gateway.resolve(order.order_id, S.CANCELED, "asked them", "boss"))
    run(bench, 11)
    assert events(bench, FlattenEnded)[0].flat


def test_a_ticket_that_the_broker_only_does_not_list_holds_its_position_up() -> None:
    bench = desk(Can.STAGE)
    bench.broker.mode = "accept"
    bench.broker.can &= ~Can.LOOKUP
    ticket = staged(bench)
    forget(bench)
    assert bench.gateway.state.working[ticket.order_id].status is S.UNKNOWN

    async def unheard(order: Order) -> None:
        bench.broker.canceled.append(order)

    bench.broker.cancel = unheard  # type: ignore[method-assign]
    assert not flattened(bench).flat


def test_a_position_that_is_told_late_is_not_closed_twice() -> None:
    """The broker's list still shows what our closing order has sold: that is waited out, not sold again."""
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.stale = True  # type: ignore[attr-defined]
    answer = flatten(bench)
    run(bench, 3)
    assert [each.quantity for each in closings(bench)] == [100]
    assert not answer.called
    bench.broker.stale = False  # type: ignore[attr-defined]
    report = waited(bench, answer)
    assert (report.flat, len(closings(bench))) == (True, 1)


def test_a_difference_that_stays_is_shown_and_the_broker_believed() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.extra = {("ACC", "IBM"): D(-30), ("ACC", "AAPL"): D(5)}
    report = flattened(bench)
    assert not report.flat
    assert "The broker holds 70, our executions add up to 100" in report.text
    run(bench, 30)
    assert {(each.symbol, each.quantity) for each in closings(bench)} == {("IBM", 70), ("AAPL", 5)}
    assert held(bench) == {}
    assert {each.key for each in events(bench, DifferenceFound)} == {"IBM", "AAPL"}
    assert events(bench, FlattenEnded)[0].flat


def test_a_position_that_is_taken_over_has_the_cost_that_the_venue_tells() -> None:
    bench = desk()
    honest = bench.broker.positions

    async def costly() -> Sequence[Position]:
        return [replace(each, average_price=D(42)) for each in await honest()]

    bench.broker.positions = costly  # type: ignore[method-assign]
    bench.broker.extra = {("ACC", "AAPL"): D(5)}
    flattened(bench)
    run(bench, 30)
    assert [each.average_price for each in events(bench, PositionReported)] == [42]


def test_a_closed_market_is_said_and_waited_for() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.closed = True
    report = flattened(bench)
    assert (report.flat, report.ended) == (False, False)
    assert "MARKET_CLOSED" in report.text
    run(bench, 600)
    assert 5 <= len(closings(bench)) <= 20, "tried now and then"
    assert len({each.client_order_id for each in closings(bench)}) == len(closings(bench))
    again = bench.restart()
    again.broker.closed = False  # type: ignore[attr-defined]
    again.up()
    run(again, 90)
    assert held(again) == {}
    assert events(again, FlattenEnded)[0].flat


def test_a_venue_that_is_away_is_gone_on_with_when_it_is_up() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.stopService()
    report = flattened(bench)
    assert (report.flat, report.ended) == (False, False)
    assert "Venue paper is DOWN" in report.text
    assert events(bench, TradingHalted)
    bench.up()
    run(bench, 1)
    assert held(bench) == {}
    assert events(bench, FlattenEnded)[0].flat


@pytest.mark.parametrize("mode", ["fill", "accept", "mute"])
def test_a_crash_doubles_nothing(mode: str) -> None:
    """At every record of a flatten the daemon dies; the next life goes on with it, and sells no share too much."""
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.mode = "accept"
    send(bench, order_type=OrderType.LIMIT, limit_price=D(90))
    bench.broker.mode = mode
    flatten(bench)
    run(bench, 2)
    for _ in range(3):
        bench = bench.restart().up()
        run(bench, 2)
        assert bench.gateway.state.halted == "drill"
    for order in list(bench.gateway.state.working.values()):
        if order.origin is not Origin.FLATTEN:
            bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    bench.broker.mode = "fill"
    for order in closings(bench):
        filled = sum((each.quantity for each in bench.broker.fills if each.order_id == order.order_id), D(0))
        if filled < order.quantity:
            bench.gateway.report(OrderAccepted(order.order_id, "B9", bench.now()))
            bench.gateway.report(Executed(bench.broker.fill(order, order.quantity - filled), bench.now()))
    run(bench, 30)
    assert held(bench) == {}
    assert [each.quantity for each in closings(bench)] == [100]
    assert [each.flat for each in events(bench, FlattenEnded)] == [True]


def test_two_flattens_of_one_position_close_it_once() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.mode = "accept"
    answers = [flatten(bench, each) for each in ("gateway", "account:ACC", "symbol:IBM", "gateway")]
    run(bench, 3)
    [closing] = closings(bench)
    bench.gateway.report(Executed(bench.broker.fill(closing, D(100)), bench.now()))
    assert [waited(bench, each).flat for each in answers] == [True] * 4
    assert len(events(bench, FlattenEnded)) == 3


def test_a_partial_close_waits_for_its_rest() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.mode = "accept"
    answer = flatten(bench)
    run(bench, 1)
    [closing] = closings(bench)
    bench.gateway.report(Executed(bench.broker.fill(closing, D(60)), bench.now()))
    run(bench, 1)
    assert "60 of 100 filled" in bench.gateway.flattens.reports()[0].text
    bench.gateway.report(OrderCanceled(closing.order_id, Reason.REJECTED, "no more to be had", bench.now()))
    bench.broker.mode = "fill"
    assert waited(bench, answer).flat
    assert [each.quantity for each in closings(bench)] == [100, 40]


def test_more_than_one_order_may_take_is_closed_by_several_and_odd_lots_are_said() -> None:
    bench = desk()
    send(bench, quantity=D(250))
    bench.broker.largest = D(100)  # type: ignore[attr-defined]
    assert flattened(bench).flat
    assert [each.quantity for each in closings(bench)] == [100, 100, 50]
    bench.gateway.resume("boss")
    send(bench, quantity=D(95))
    bench.broker.lot = D(10)  # type: ignore[attr-defined]
    report = flattened(bench)
    assert (report.flat, held(bench)) == (False, {("ACC", "IBM"): 5})
    assert "BAD_LOT" in report.text


def test_resuming_the_scope_calls_the_flatten_off() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.broker.closed = True  # type: ignore[attr-defined]
    answer = flatten(bench)
    bench.turn()
    bench.gateway.resume("boss")
    report = waited(bench, answer, 1)
    assert (report.flat, report.ended) == (False, True)
    assert "boss resumed gateway" in report.text
    run(bench, 60)
    assert len(closings(bench)) == 1
    assert bench.gateway.state.flattens == {}


def test_a_failing_journal_and_a_silent_broker_are_said() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    bench.journal.fail_with = OSError("disk full")
    report = flattened(bench)
    assert not report.flat
    assert closings(bench) == []
    bench.journal.fail_with = None
    bench.journal.sync()
    run(bench, 12)
    assert held(bench) == {}


def test_an_error_of_our_own_ends_no_flatten() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    honest = bench.broker.positions

    async def broken() -> Sequence[Position]:
        raise ZeroDivisionError

    bench.broker.positions = broken  # type: ignore[method-assign]
    report = flattened(bench)
    assert "tries again" in report.text
    bench.broker.positions = honest  # type: ignore[method-assign]
    run(bench, 12)
    assert held(bench) == {}


def test_a_broker_that_does_not_tell_its_positions_is_not_taken_for_one_that_holds_nothing() -> None:
    bench = desk()
    send(bench, quantity=D(100))
    honest = bench.broker.positions

    async def silent() -> Sequence[Position]:
        raise TimedOut("Venue paper did not answer positions within 20 s.")

    bench.broker.positions = silent  # type: ignore[method-assign]
    report = flattened(bench)
    assert not report.flat
    assert "does not tell" in report.text
    run(bench, 60)
    assert closings(bench) == []
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100
    assert events(bench, FlattenEnded) == []
    bench.broker.positions = honest  # type: ignore[method-assign]
    run(bench, 11)
    assert held(bench) == {}
    assert events(bench, FlattenEnded)[0].flat


def test_what_is_under_way_and_what_is_whose_is_in_the_snapshot() -> None:
    bench = desk()
    send(bench, "ann", quantity=D(100))
    send(bench, "bob", Origin.BOT, quantity=D("0.5") * 2)
    bench.broker.closed = True  # type: ignore[attr-defined]
    flatten(bench, "owner:ann")
    bench.turn()
    state = bench.gateway.state
    again = State.load(state.dump())
    assert (again.flattens, again.books.bought) == (state.flattens, state.books.bought)
    assert list(again.dump()) == list(state.dump())
    assert bench.restart().gateway.state.books.bought == state.books.bought


def test_what_closes_an_account_closes_the_books_of_its_owners() -> None:
    """No owner holds a part of what the account no longer holds, and the commissions are all in somebody's book."""
    bench = desk()
    for owner, quantity, side in (("alice", 100, Side.BUY), ("bob", 30, Side.BUY), ("carol", 10, Side.SELL)):
        send(bench, owner, quantity=D(quantity), side=side)
    assert flattened(bench, "account:ACC").flat
    for state in (bench.gateway.state, bench.restart().gateway.state):
        books = state.books.by_owner["ACC", "IBM"]
        assert {owner: book.quantity for owner, book in books.items()} == {"alice": 0, "bob": 0, "carol": 0}
        assert sum(book.fees for book in books.values()) == 4
        assert sum(book.cash for book in books.values()) == 0


def test_a_part_of_a_closing_order_goes_to_the_largest_part_of_the_position() -> None:
    bench = desk()
    bench.broker.largest = D(80)
    send(bench, "alice", quantity=D(60))
    send(bench, "bob", quantity=D(70))
    bench.broker.mode = "accept"
    flatten(bench, "account:ACC")
    run(bench, 1)
    (closing,) = closings(bench)
    bench.gateway.report(Executed(bench.broker.fill(closing, D(80)), bench.now()))
    bench.turn()
    books = bench.gateway.state.books.by_owner["ACC", "IBM"]
    assert {owner: book.quantity for owner, book in books.items() if book.quantity} == {"alice": 50}
