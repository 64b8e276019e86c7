"""The desk: an order is recorded before it is sent, sent once, and its fate is known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import Bench, ChosenBroker, outcome, request
from txgateway.brokers import Can
from txgateway.model.errors import GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    OrderSubmitted,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.limits import Limit
from txgateway.model.order import OrderReport, OrderStatus, OrderType, Origin, Side, TimeInForce
from txgateway.model.scope import GATEWAY
from txgateway.state import State

S = OrderStatus


def kinds(bench: Bench) -> list[str]:
    return [type(change.record.event).__name__ for change in bench.told]


def test_an_order_is_filled_and_its_reply_says_so() -> None:
    bench = Bench().up()
    order = bench.submit().order
    assert (order.status, order.filled_quantity, order.average_price) == (S.FILLED, 100, 100)
    assert order.cusip == "459200101"
    assert order.route == "DEMO"
    assert kinds(bench)[-3:] == ["OrderSubmitted", "OrderAccepted", "Executed"]
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100


@pytest.mark.parametrize("route", [None, "", "  "])
def test_an_order_without_a_route_goes_by_the_gateways_own(route: str | None) -> None:
    bench = Bench(default_route="SMART").up()
    assert bench.submit(route=route).order.route == "SMART"
    bench = Bench(default_route="SMART", routes={"paper": "VENUES"}).up()
    assert bench.submit(route=route).order.route == "VENUES"
    bench.gateway.change_setting("route", '{"SET": {"A": 1}}', "me")
    assert bench.submit(route=route).order.route == '{"SET": {"A": 1}}'
    assert bench.submit(route="SET").order.route == "SET", "what names a route goes by it, exactly"


def test_nothing_is_sent_or_told_before_it_is_on_disk() -> None:
    bench = Bench().up()
    bench.journal.hold = True
    told = len(bench.told)
    reply = Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    settled = bench.gateway.settled()
    bench.turn()
    assert bench.broker.sent == []
    assert len(bench.told) == told
    assert not settled.called
    assert not reply.called
    bench.journal.hold = False
    bench.journal.sync()
    bench.turn()
    assert len(bench.broker.sent) == 1
    assert settled.called
    assert outcome(reply).order.status is S.FILLED


@pytest.mark.parametrize("question", ["cancel", "replace"])
def test_what_was_on_its_way_to_the_disk_answers_no_later_question(question: str) -> None:
    """A change asked for right after the order was accepted is answered by the broker's answer to it."""
    bench = Bench().up()
    bench.broker.mode = "mute"
    entering = Deferred.fromCoroutine(
        bench.gateway.submit(request(order_type=OrderType.LIMIT, limit_price=D(90)), "me", Origin.RPC)
    )
    bench.turn()
    (order,) = bench.broker.sent
    bench.journal.hold = True
    bench.gateway.report(OrderAccepted(order.order_id, "B1", bench.now()))
    asked = (
        bench.gateway.cancel(order.order_id, "me")
        if question == "cancel"
        else bench.gateway.replace(order.order_id, None, D(91), None, "me")
    )
    answer = Deferred.fromCoroutine(asked)
    bench.journal.hold = False
    bench.journal.sync()
    assert outcome(entering).order.status is S.NEW
    assert not answer.called
    canceled = OrderCanceled(order.order_id, Reason.USER, "", bench.now())
    replaced = OrderReplaced(order.order_id, D(100), D(91), None, bench.now())
    bench.gateway.report(canceled if question == "cancel" else replaced)
    bench.turn()
    after = outcome(answer)
    assert (after.status, after.limit_price) == ((S.CANCELED, 90) if question == "cancel" else (S.NEW, 91))


def test_a_reply_waits_for_the_broker_though_there_is_something_to_warn_of() -> None:
    bench = Bench().up()
    bench.gateway.set_limit(GATEWAY, Limit.MAX_QUANTITY, "off", "5", "boss")
    bench.turn()
    bench.broker.mode = "mute"
    reply = Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    bench.turn()
    assert "RiskWarned" in kinds(bench)
    assert not reply.called
    (order,) = bench.broker.sent
    bench.gateway.report(OrderAccepted(order.order_id, "B1", bench.now()))
    bench.turn()
    assert outcome(reply).order.status is S.NEW


def test_a_key_seen_before_gives_the_stored_order_and_sends_nothing() -> None:
    bench = Bench().up()
    first = bench.submit(client_order_id="k1")
    again = bench.submit(client_order_id="k1")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.order == first.order
    assert len(bench.broker.sent) == 1


def test_two_calls_with_one_key_in_one_turn_are_one_order() -> None:
    bench = Bench().up()
    calls = [
        Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="k"), "me", Origin.RPC)) for _ in range(5)
    ]
    bench.turn()
    orders = {outcome(call).order.order_id for call in calls}
    assert len(orders) == len(bench.broker.sent) == 1


def test_a_key_with_another_body_is_a_conflict() -> None:
    bench = Bench().up()
    bench.submit(client_order_id="k1")
    with pytest.raises(Refused, match="already stands for another order") as caught:
        bench.submit(client_order_id="k1", quantity=D(101))
    assert caught.value.reason is Reason.KEY_CONFLICT


def test_a_key_is_per_account_and_numbers_are_compared_by_value() -> None:
    bench = Bench().up()
    bench.submit(client_order_id="k1", quantity=D("100"))
    assert bench.submit(client_order_id="k1", quantity=D("100.0")).replayed
    assert not bench.submit(client_order_id="k1", account="OTHER").replayed


def test_a_refusal_is_journalled_and_its_key_is_answered_the_same_way_again() -> None:
    bench = Bench().up()
    first = bench.submit(client_order_id="bad", symbol="NOSUCH")
    assert (first.order.status, first.order.reason) == (S.DENIED, Reason.UNKNOWN_SYMBOL)
    again = bench.restart().up().submit(client_order_id="bad", symbol="NOSUCH")
    assert again.replayed
    assert (again.order.status, again.order.text) == (S.DENIED, first.order.text)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"account": "NOBODY"}, Reason.UNKNOWN_ACCOUNT),
        ({"symbol": "NOSUCH"}, Reason.UNKNOWN_SYMBOL),
        ({"quantity": D(0)}, Reason.BAD_QUANTITY),
        ({"quantity": D(-5)}, Reason.BAD_QUANTITY),
        ({"quantity": D("NaN")}, Reason.BAD_QUANTITY),
        ({"quantity": D("Infinity")}, Reason.BAD_QUANTITY),
        ({"quantity": D("1e20")}, Reason.BAD_QUANTITY),
        ({"quantity": D("0.5")}, Reason.BAD_LOT),
        ({"order_type": OrderType.LIMIT}, Reason.BAD_PRICE),
        ({"order_type": OrderType.LIMIT, "limit_price": D("-1")}, Reason.BAD_PRICE),
        ({"order_type": OrderType.LIMIT, "limit_price": D("NaN")}, Reason.BAD_PRICE),
        ({"order_type": OrderType.LIMIT, "limit_price": D("100.001")}, Reason.BAD_TICK),
        ({"order_type": OrderType.STOP, "stop_price": D("100"), "limit_price": D("1")}, Reason.BAD_PRICE),
        ({"limit_price": D("100")}, Reason.BAD_PRICE),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(terms: dict[str, object], reason: Reason) -> None:
    bench = Bench().up()
    order = bench.submit(**terms).order
    assert (order.status, order.reason) == (S.DENIED, reason)
    assert order.text.endswith(".")
    assert bench.broker.sent == []


def test_before_the_venue_is_up_and_after_it_went_away_orders_are_refused() -> None:
    bench = Bench()
    assert bench.submit().order.reason is Reason.VENUE_DOWN
    bench.up()
    bench.broker.stopService()
    assert bench.submit().order.reason is Reason.VENUE_DOWN


@pytest.mark.parametrize(
    "error", [Refused(Reason.VENUE_DOWN, "The link broke."), TimedOut("The venue did not answer.")]
)
def test_a_venue_that_cannot_be_asked_for_the_instrument_is_a_refusal_that_keeps_its_key(error: GatewayError) -> None:
    bench = Bench().up()

    async def broken(symbol: str) -> None:
        raise error

    bench.broker.instrument = broken  # type: ignore[method-assign]
    first = bench.submit(client_order_id="k").order
    assert (first.status, first.reason, first.text) == (OrderStatus.DENIED, Reason.VENUE_DOWN, str(error))
    again = bench.submit(client_order_id="k")
    assert (again.order.order_id, again.replayed, bench.broker.sent) == (first.order_id, True, [])


def test_an_exception_while_sending_is_doubt_and_the_brokers_evidence_ends_it() -> None:
    bench = Bench().up()
    bench.broker.mode = "fail"
    order = bench.submit(client_order_id="k").order
    assert (order.status, order.reason) == (S.UNKNOWN, Reason.BROKER_ERROR)
    assert bench.submit(client_order_id="k").order.status is S.UNKNOWN
    assert len(bench.broker.sent) == 1
    bench.gateway.report(OrderAccepted(order.order_id, "B9", bench.now()))
    bench.turn()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.reason, after.broker_order_id) == (S.NEW, None, "B9")


def test_an_unanswered_order_is_answered_after_five_seconds_and_unknown_after_the_time_out() -> None:
    bench = Bench(order_timeout=60.0).up()
    bench.broker.mode = "mute"
    reply = Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    bench.turn()
    assert not reply.called
    bench.turn(5)
    order = outcome(reply).order
    assert order.status is S.PENDING_NEW
    for _ in range(60):
        bench.turn(1)
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.reason) == (S.UNKNOWN, Reason.TIMEOUT)


def test_a_fill_that_comes_twice_counts_once_and_one_after_the_cancel_counts() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    fill = Executed(bench.broker.fill(order, D(40)), bench.now())
    for _ in range(3):
        bench.gateway.report(fill)
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    bench.gateway.report(Executed(bench.broker.fill(order, D(10)), bench.now()))
    bench.turn()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.filled_quantity) == (S.CANCELED, 50)
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 50


def test_a_fill_beyond_the_quantity_is_taken_in_and_shown_as_a_difference() -> None:
    bench = Bench().up()
    order = bench.submit().order
    bench.gateway.report(Executed(bench.broker.fill(order, D(5)), bench.now()))
    bench.turn()
    assert kinds(bench)[-2:] == ["Executed", "DifferenceFound"]
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 105


@pytest.mark.parametrize("terms", [(D(101), None), (None, D(91)), (D(50), D(91))])
def test_no_more_is_asked_for_where_no_new_order_is_taken(terms: tuple[D | None, D | None]) -> None:
    """What an account holds is not known before its venue was reconciled: limits would be judged by what was."""
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit(order_type=OrderType.LIMIT, limit_price=D(90)).order
    bench.gateway.intake.status["paper"] = VenueStatus.RECONCILING
    for reason in (Reason.VENUE_DOWN, Reason.STOPPING):
        with pytest.raises(Refused, match="made smaller or canceled") as caught:
            bench.do(bench.gateway.replace(order.order_id, *terms, None, "me"))
        assert caught.value.reason is reason
        bench.gateway.stopping = True
    assert bench.broker.replaced == []
    assert bench.do(bench.gateway.replace(order.order_id, D(60), D(89), None, "me")).quantity == 60


def test_cancel_replace_and_their_refusals() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit(order_type=OrderType.LIMIT, limit_price=D("90")).order
    after = bench.do(bench.gateway.replace(order.order_id, D(50), D("91"), None, "me"))
    assert (after.status, after.quantity, after.limit_price) == (S.NEW, 50, D("91"))
    with pytest.raises(Refused, match="Nothing to replace"):
        bench.do(bench.gateway.replace(order.order_id, None, None, None, "me"))
    with pytest.raises(Refused, match="takes no stop_price"):
        bench.do(bench.gateway.replace(order.order_id, None, None, D("80"), "me"))
    assert bench.do(bench.gateway.cancel(order.client_order_id, "me")).status is S.CANCELED
    with pytest.raises(Refused, match="nothing to cancel"):
        bench.do(bench.gateway.cancel(order.order_id, "me"))
    with pytest.raises(Refused, match="Order not found"):
        bench.do(bench.gateway.cancel("NOSUCH", "me"))


@pytest.mark.parametrize("can", [~Can(0), ~Can(0) & ~Can.STAGE])
def test_a_ticket_waits_for_a_person_wherever_it_is_held(can: Can) -> None:
    bench = Bench()
    bench.broker.can = can
    bench.up()
    bench.broker.mode = "accept" if Can.STAGE in can else "fill"
    ticket = bench.submit(tag="t1").order
    assert ticket.status is S.STAGED
    bench.broker.mode = "fill"
    order = bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert order.status is S.FILLED
    with pytest.raises(Refused, match="no ticket waits"):
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    bench.broker.mode = "accept"
    other = bench.submit(tag="t2").order
    assert bench.do(bench.gateway.reject(other.order_id, "no", "boss")).status is S.CANCELED


def test_a_halt_outlives_a_restart_and_lets_cancels_through() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    bench.gateway.halt("lunch", "me")
    bench.turn()
    again = bench.restart()
    again.broker.hold(order)
    again.up()
    assert again.submit().order.reason is Reason.HALTED
    assert again.do(again.gateway.cancel(order.order_id, "me")).status is S.CANCELED
    again.gateway.resume("me")
    again.broker.mode = "fill"
    assert again.submit().order.status is S.FILLED


def test_a_failing_journal_refuses_orders_and_lets_cancels_go() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    bench.journal.fail_with = OSError("disk full")
    never = bench.submit(client_order_id="k").order
    assert (never.status, never.reason) == (S.REJECTED, Reason.JOURNAL_FAILED)
    assert "disk full" in never.text
    with pytest.raises(Refused, match="disk full") as caught:
        bench.submit()
    assert caught.value.reason is Reason.JOURNAL_FAILED
    assert len(bench.broker.sent) == 1
    assert bench.do(bench.gateway.cancel(order.order_id, "me")).status is S.CANCELED
    assert [each.order_id for each in bench.broker.canceled] == [order.order_id]
    bench.journal.fail_with = None
    bench.journal.sync()
    bench.turn()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert after.status is S.CANCELED
    assert bench.submit(client_order_id="k2").order.status is S.NEW
    assert len(bench.broker.canceled) == 1
    never = bench.submit(client_order_id="k").order
    assert (never.status, never.reason) == (S.REJECTED, Reason.JOURNAL_FAILED)


def test_an_order_that_never_arrived_is_found_out_after_a_restart() -> None:
    bench = Bench().up()
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="k"), "me", Origin.RPC))
    bench.turn()
    again = bench.restart().up()
    order = again.submit(client_order_id="k").order
    assert (order.status, order.reason) == (S.REJECTED, Reason.NEVER_ARRIVED)
    assert len(again.broker.sent) == 1


def test_what_happened_while_we_were_away_is_taken_in_on_connect() -> None:
    bench = Bench().up()
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="k"), "me", Origin.RPC))
    bench.turn()
    sent = bench.broker.sent[0]
    bench.broker.fill(sent, D(30))
    bench.broker.hold(sent, S.CANCELED)
    again = bench.restart().up()
    order = again.gateway.state.order(sent.order_id)
    assert order is not None
    assert (order.status, order.filled_quantity, order.broker_order_id) == (S.CANCELED, 30, "B1")


def test_an_order_and_a_position_that_are_not_ours_are_taken_in_and_shown() -> None:
    bench = Bench()
    bench.broker.book["theirs"] = OrderReport(
        broker_order_id="B77",
        account="ACC",
        symbol="AAPL",
        side=Side.SELL,
        quantity=D(7),
        order_type=OrderType.MARKET,
        status=S.NEW,
        time=bench.now(),
    )
    bench.up()
    order = bench.gateway.state.find_broker("paper", "B77")
    assert order is not None
    assert (order.origin, order.status, order.quantity) == (Origin.EXTERNAL, S.NEW, 7)


def test_the_state_of_a_replay_is_the_state_that_was() -> None:
    bench = Bench().up()
    bench.submit(client_order_id="a")
    bench.broker.mode = "accept"
    bench.submit(client_order_id="b", side=Side.SELL, order_type=OrderType.LIMIT, limit_price=D("101"))
    bench.submit(tag="t")
    bench.submit(symbol="NOSUCH")
    bench.gateway.halt("x", "me")
    bench.turn()
    replayed = State()
    for record in bench.journal.records():
        replayed.apply(record)
    assert list(replayed.dump()) == list(bench.gateway.state.dump())
    assert list(State.load(replayed.dump()).dump()) == list(replayed.dump())


def test_yesterdays_order_is_found_by_every_id_and_its_key_still_holds() -> None:
    bench = Bench().up()
    order = bench.submit(client_order_id="k").order
    bench.turn(86400)
    bench.turn(1)
    assert bench.gateway.state.order(order.order_id) is None
    for name in (order.order_id, "k", "B1"):
        found = bench.do(bench.gateway.history.find(name))
        assert found is not None
        assert (found.order_id, found.status) == (order.order_id, S.FILLED)
    assert bench.submit(client_order_id="k").replayed
    bench.gateway.report(Executed(bench.broker.fills[0], bench.now()))
    bench.turn()
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100


def test_a_venue_that_went_away_and_came_back_is_reconciled_again() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    bench.broker.stopService()
    bench.broker.fill(order, D(100))
    bench.up()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert after.status is S.FILLED


def test_reports_out_of_order_and_of_no_order_cost_nothing() -> None:
    bench = Bench().up()
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    bench.turn()
    order = bench.broker.sent[0]
    bench.gateway.report(Executed(bench.broker.fill(order, D(100)), bench.now()))
    bench.gateway.report(OrderAccepted(order.order_id, "B1", bench.now()))
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    bench.gateway.report(OrderCanceled("NOSUCH", Reason.USER, "", bench.now()))
    bench.turn()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert after.status is S.FILLED
    assert sum(isinstance(change.record.event, OrderSubmitted) for change in bench.told) == 1


def test_a_broker_without_a_claim_is_not_asked_for_it() -> None:
    bench = Bench()
    bench.broker.can = Can.MARKET | Can.STOP | Can.GTC | Can.IOC
    bench.up()
    lasting = {"time_in_force": TimeInForce.GTC}
    order = bench.submit(order_type=OrderType.LIMIT, limit_price=D(1), **lasting).order
    assert (order.reason, order.text) == (
        Reason.UNSUPPORTED,
        "Venue paper takes no LIMIT orders: it takes MARKET, STOP.",
    )
    order = bench.submit().order
    assert (order.reason, order.text) == (Reason.UNSUPPORTED, "Venue paper takes no DAY orders: it takes GTC, IOC.")
    bench.broker.can = Can.QUOTES
    assert bench.submit().order.text == "Venue paper takes no MARKET orders: it takes none."


def test_an_unexpected_error_halts_trading_where_that_is_configured() -> None:
    bench = Bench(halt_on_exception=True).up()
    bench.gateway.report(VenueStatusChanged("nowhere", VenueStatus.UP, "", bench.now()))
    bench.broker.held = None  # type: ignore[assignment]
    bench.broker.stopService()
    bench.broker.startService()
    bench.turn()
    assert bench.gateway.state.halted is not None


def test_the_broker_is_honest() -> None:
    broker = ChosenBroker(Bench().clock)
    assert Can.STAGE not in broker.can


def test_what_is_reported_after_an_old_orders_fill_is_recorded_after_it() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    bench.turn(86400)
    bench.turn(1)
    bench.gateway.report(Executed(bench.broker.fill(order, D(40)), bench.now()))
    bench.gateway.report(Executed(bench.broker.fill(order, D(10)), bench.now()))
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    bench.turn()
    assert kinds(bench)[-3:] == ["Executed", "Executed", "OrderCanceled"]
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.filled_quantity) == (S.CANCELED, 50)


def test_a_venue_does_not_wait_for_what_is_looked_up_for_another() -> None:
    """A fill of unknown origin is looked up in the journal: its own venue's reports wait behind it, and no others."""
    bench = Bench().up()
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    bench.turn()
    order = next(iter(bench.gateway.state.working.values()))
    fill = bench.broker.fill(order, D(1))
    strange = replace(fill, execution_id="strange", order_id="nobody", venue="other", account="ELSEWHERE")
    waiting: Deferred[None] = Deferred()
    found = bench.journal.find

    async def find(*key: Any) -> Any:
        await waiting
        return await found(*key)

    bench.journal.find = find  # type: ignore[method-assign]
    bench.gateway.intake._brokers = {**bench.gateway.intake._brokers, "other": bench.broker}  # type: ignore[dict-item]
    bench.gateway.report(Executed(strange, bench.now()), "other")
    bench.gateway.report(OrderAccepted(order.order_id, "B1", bench.now()), "paper")
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert after.status is S.NEW
    waiting.callback(None)
    bench.turn()
    assert kinds(bench)[-1] == "Executed"


def test_a_step_that_fails_keeps_no_other_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []

    def fails(reconciler: object) -> None:
        failed.append(reconciler)
        raise ZeroDivisionError

    monkeypatch.setattr("txgateway.reconciler.Reconciler.watch", fails)
    bench = Bench(order_timeout=5).up()
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.submit(request(), "me", Origin.RPC))
    bench.turn()
    days: list[str] = []
    bench.gateway.intake.start_day = days.append  # type: ignore[method-assign]
    for _ in range(7):
        bench.turn(1)
    assert [each.reason for each in bench.gateway.state.working.values()] == [Reason.TIMEOUT]
    assert set(days) == {"paper"}
    assert failed


def test_what_follows_from_one_record_keeps_nothing_back_that_follows_from_another() -> None:
    bench = Bench().up()
    bench.journal.hold = True
    first = Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="a"), "me", Origin.RPC))
    second = Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="b"), "me", Origin.RPC))
    send, failed = bench.broker.submit, []

    def submit(order: Any) -> Any:
        if not failed:
            failed.append(order)
            raise ZeroDivisionError
        return send(order)

    bench.broker.submit = submit  # type: ignore[method-assign]
    bench.journal.hold = False
    bench.turn()
    assert outcome(second).order.status is S.FILLED
    assert not first.called
