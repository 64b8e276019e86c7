"""Reconciliation: doubt ends by evidence alone, what differs is shown while it differs, and nothing is invented."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import Bench, ChosenBroker, outcome, request
from txgateway.access import Caller
from txgateway.api import About, Api
from txgateway.brokers import Can
from txgateway.model.account import Position
from txgateway.model.difference import Difference, What
from txgateway.model.errors import Ambiguous, Reason, Refused, Unsupported
from txgateway.model.events import (
    CancelRejected,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderDoubted,
    OrderRejected,
    OrderReplaced,
    OrderRestored,
    Severity,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Origin, Side
from txgateway.state import State

S = OrderStatus
LIMIT = {"order_type": OrderType.LIMIT, "limit_price": D(90)}


def desk(can: Can | None = None, **more: Any) -> Bench:
    """A desk whose broker holds what it fills, reconciled every minute."""
    bench = Bench(**{"reconcile_seconds": 60, **more})
    bench.broker.holds_fills = True
    bench.broker.mode = "accept"
    if can is not None:
        bench.broker.can = can
    return bench.up()


def working(bench: Bench, **terms: Any) -> Order:
    """A limit order that rests at the broker and in its list."""
    order: Order = bench.submit(**{**LIMIT, **terms}).order
    assert order.status is S.NEW
    bench.broker.hold(order)
    return order


def in_flight(bench: Bench, **terms: Any) -> Deferred[Any]:
    """An order that nobody answers."""
    bench.broker.mode = "mute"
    reply = Deferred.fromCoroutine(bench.gateway.submit(request(**{**LIMIT, **terms}), "me", Origin.RPC))
    bench.turn()
    return reply


def pass_time(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        bench.turn(1)


def now(bench: Bench, order: Order) -> Order:
    found = bench.gateway.state.order(order.order_id)
    assert found is not None
    return found


def open_differences(bench: Bench) -> list[tuple[str, str, str, str]]:
    return [(each.what, each.key, each.ours, each.theirs) for each in bench.gateway.differences.open()]


def told(bench: Bench, *kinds: type) -> list[Any]:
    return [change.record.event for change in bench.told if isinstance(change.record.event, kinds)]


def resolved(bench: Bench) -> list[Difference]:
    return bench.gateway.state.days["paper"].resolved


# ---------------------------------------------------------------- on a timer


def test_a_venue_that_is_up_is_reconciled_each_minute_and_nothing_is_said_while_all_agrees() -> None:
    bench = desk()
    working(bench)
    before = bench.gateway.state.seq
    pass_time(bench, 181)
    assert bench.broker.asked.count("open_orders") == 1 + 3
    assert bench.gateway.state.seq == before
    assert bench.gateway.reconciler.last["paper"] > bench.gateway.intake.connected_since["paper"]


def test_nought_seconds_mean_on_every_connect_alone() -> None:
    bench = desk(reconcile_seconds=0)
    pass_time(bench, 300)
    assert bench.broker.asked.count("open_orders") == 1


def test_an_end_that_was_never_reported_is_found_by_two_looks_and_told_as_a_difference() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.hold(order, S.CANCELED)
    pass_time(bench, 60)
    assert now(bench, order).status is S.NEW, "one look is not enough: the report may be on its way"
    pass_time(bench, 3)
    assert now(bench, order).status is S.CANCELED
    (found,) = told(bench, DifferenceFound)
    assert (found.what, found.key, found.ours, found.theirs) == ("order_status", order.order_id, "NEW", "CANCELED")
    assert found.severity is Severity.WARNING
    assert open_differences(bench) == []
    assert [each.what for each in resolved(bench)] == ["order_status"]


def test_a_report_that_was_only_late_is_no_difference() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.hold(order, S.CANCELED)
    pass_time(bench, 61)
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    pass_time(bench, 120)
    assert now(bench, order).status is S.CANCELED
    assert told(bench, DifferenceFound) == []


def test_orders_sent_and_changed_while_the_lists_are_asked_are_not_judged_by_them() -> None:
    bench = desk()
    order = working(bench)
    pass_time(bench, 59)
    bench.broker.answer_when = Deferred()
    pass_time(bench, 2)
    assert bench.broker.asked[-1] == "open_orders"
    listed, bench.broker.book = bench.broker.book, {}
    later = bench.submit(**LIMIT).order
    changed = bench.do(bench.gateway.replace(order.order_id, D(50), None, None, "me"))
    bench.broker.answer_when.callback(None)
    bench.broker.answer_when = None
    bench.turn()
    assert (now(bench, order).status, now(bench, order).quantity) == (S.NEW, 50)
    bench.broker.book = listed
    bench.broker.hold(changed)
    bench.broker.hold(later)
    pass_time(bench, 120)
    assert now(bench, later).status is S.NEW
    assert told(bench, DifferenceFound) == []


def test_there_are_never_two_at_once_and_a_lost_link_ends_one() -> None:
    bench = desk()
    bench.broker.answer_when = Deferred()
    pass_time(bench, 200)
    assert bench.broker.asked.count("open_orders") == 2
    bench.broker.stopService()
    bench.turn()
    bench.broker.answer_when = None
    bench.up()
    assert bench.broker.asked.count("open_orders") == 3
    assert open_differences(bench) == []


def test_one_that_fails_is_shown_counted_and_tried_again() -> None:
    bench = desk()
    bench.broker.answer_when = Deferred()
    pass_time(bench, 61)
    bench.broker.answer_when.errback(Ambiguous("The broker is busy."))
    bench.turn()
    assert bench.gateway.reconciler.failures["paper"] == 1
    assert open_differences(bench) == [("reconciliation", "paper", "", "Ambiguous: The broker is busy.")]
    bench.broker.answer_when = None
    pass_time(bench, 2)
    assert (bench.gateway.reconciler.failures["paper"], open_differences(bench)) == (0, [])
    assert [type(each) for each in told(bench, DifferenceFound, DifferenceResolved)] == [
        DifferenceFound,
        DifferenceResolved,
    ]


def test_one_that_fails_on_connect_is_tried_again_until_the_venue_is_up() -> None:
    bench = Bench()
    bench.broker.answer_when = Deferred()
    bench.broker.startService()
    bench.broker.answer_when.errback(Ambiguous("The broker is busy."))
    bench.turn()
    assert bench.gateway.intake.status["paper"] is VenueStatus.RECONCILING
    bench.broker.answer_when = None
    pass_time(bench, 2)
    assert bench.gateway.intake.status["paper"] is VenueStatus.UP
    assert open_differences(bench) == []


# ---------------------------------------------------------------- doubt


def test_a_lost_link_puts_what_is_under_way_in_doubt_at_once_and_answers_who_waits() -> None:
    bench = desk()
    resting, changing = working(bench), working(bench)
    reply = in_flight(bench)
    cancel = Deferred.fromCoroutine(bench.gateway.cancel(resting.order_id, "me"))
    bench.gateway._brokers["paper"].report = lambda event: None  # type: ignore[attr-defined]
    change = Deferred.fromCoroutine(bench.gateway.replace(changing.order_id, D(50), None, None, "me"))
    bench.turn()
    assert [reply.called, cancel.called, change.called] == [False] * 3
    bench.broker.report = bench.gateway.report
    bench.broker.stopService()
    bench.turn()
    orders = [outcome(reply).order, outcome(cancel), outcome(change)]
    assert [(order.status, order.reason) for order in orders] == [(S.UNKNOWN, Reason.LINK_LOST)] * 3
    bench.broker.hold(replace(changing, quantity=D(50)))
    bench.up()
    never, kept, changed = (now(bench, order) for order in orders)
    assert (never.status, never.reason) == (S.REJECTED, Reason.NEVER_ARRIVED)
    assert (kept.status, kept.reason) == (S.PENDING_CANCEL, None), (
        "the cancel did not reach the broker: it is sent again"
    )
    assert [each.order_id for each in bench.broker.canceled] == [resting.order_id] * 2
    assert (changed.status, changed.quantity, changed.asked_quantity) == (S.NEW, 50, None)
    assert told(bench, DifferenceFound) == []


def test_a_replace_that_did_not_arrive_is_refused_after_the_link_is_back() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.report = lambda event: None
    Deferred.fromCoroutine(bench.gateway.replace(order.order_id, D(50), None, None, "me"))
    bench.turn()
    bench.broker.report = bench.gateway.report
    bench.broker.stopService()
    bench.up()
    after = now(bench, order)
    assert (after.status, after.quantity, after.asked_quantity) == (S.NEW, 100, None)


def test_a_restart_puts_what_was_under_way_in_doubt_before_the_venue_answers() -> None:
    bench = desk()
    in_flight(bench)
    order = bench.broker.sent[0]
    again = bench.restart()
    again.broker.report(VenueStatusChanged("paper", VenueStatus.CONNECTING, "", again.now()))
    again.turn()
    assert (now(again, order).status, now(again, order).reason) == (S.UNKNOWN, Reason.RESTARTED)


def test_an_order_in_doubt_is_looked_up_soon_and_again() -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    assert order.status is S.UNKNOWN
    pass_time(bench, 9)
    assert bench.broker.asked.count("lookup") == 3, "after 1, 3 and 8 seconds"
    assert now(bench, order).status is S.UNKNOWN, "it may still be on its way"
    bench.broker.hold(order)
    pass_time(bench, 10)
    assert now(bench, order).status is S.NEW
    asked = bench.broker.asked.count("lookup")
    pass_time(bench, 30)
    assert bench.broker.asked.count("lookup") == asked


def test_no_such_order_is_believed_when_it_can_no_longer_be_under_way() -> None:
    bench = desk(order_timeout=30.0)
    bench.broker.mode = "fail"
    failed = bench.submit(**LIMIT).order
    pass_time(bench, 20)
    assert (now(bench, failed).status, now(bench, failed).reason) == (S.REJECTED, Reason.NEVER_ARRIVED)
    in_flight(bench)
    mute = bench.broker.sent[-1]
    pass_time(bench, 31)
    assert now(bench, mute).reason is Reason.TIMEOUT
    pass_time(bench, 25)
    assert now(bench, mute).status is S.UNKNOWN
    pass_time(bench, 60)
    assert (now(bench, mute).status, now(bench, mute).reason) == (S.REJECTED, Reason.NEVER_ARRIVED)
    bench.gateway.report(OrderAccepted(mute.order_id, "B77", bench.now()))
    bench.turn()
    assert now(bench, mute).status is S.NEW, "later evidence wins"


@pytest.mark.parametrize("key", ["mine-1", None])
def test_an_order_that_never_arrived_says_what_its_sender_is_to_do(key: str | None) -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT, client_order_id=key).order
    pass_time(bench, 20)
    ended = now(bench, order)
    assert ended.reason is Reason.NEVER_ARRIVED
    assert ("'mine-1' is used up: send it again with a new one" in ended.text) is (key is not None)
    assert ended.text.endswith("if it is still wanted.")
    if key is not None:
        again = bench.submit(**LIMIT, client_order_id=key)
        assert (again.replayed, again.order, len(bench.broker.sent)) == (True, ended, 1)


def test_what_the_gateway_sends_again_by_itself_asks_nobody_to() -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT, client_order_id="sig:1:0", signal="1").order
    pass_time(bench, 20)
    assert now(bench, order).reason is Reason.NEVER_ARRIVED
    assert "again" not in now(bench, order).text


@pytest.mark.parametrize("answer", [Refused(Reason.NO_SUCH_ORDER, "There is no such order."), None])
def test_a_cancel_that_is_refused_leaves_the_doubt_as_it_was(answer: Refused | None) -> None:
    """It may not be believed later that the order never arrived, nor (of a time-out) sooner."""
    bench = desk(order_timeout=300.0)
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    before = now(bench, order)
    assert (before.status, before.reason) == (S.UNKNOWN, Reason.BROKER_ERROR)

    async def refuses(order: Order) -> None:
        if answer is not None:
            raise answer
        bench.broker.report(CancelRejected(order.order_id, Reason.NO_SUCH_ORDER, "There is none.", bench.now()))

    bench.broker.cancel = refuses  # type: ignore[method-assign]
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    (refused,) = told(bench, CancelRejected)
    assert refused.reason is Reason.NO_SUCH_ORDER
    after = now(bench, order)
    assert (after.status, after.reason, after.text) == (S.UNKNOWN, Reason.BROKER_ERROR, before.text)
    assert [each.event for each in after.updates][-2:] == ["CancelRequested", "CancelRejected"]
    again = bench.restart()
    assert now(again, order) == after
    pass_time(bench, 20)
    assert (now(bench, order).status, now(bench, order).reason) == (S.REJECTED, Reason.NEVER_ARRIVED)


@pytest.mark.parametrize("error", [Refused(Reason.NO_SUCH_ORDER, "There is none."), Ambiguous("The link broke.")])
def test_a_cancel_does_not_make_an_unanswered_order_one_that_surely_failed(error: Exception) -> None:
    bench = desk(order_timeout=30.0)
    in_flight(bench)
    order = bench.broker.sent[-1]
    pass_time(bench, 31)
    assert now(bench, order).reason is Reason.TIMEOUT

    async def fails(order: Order) -> None:
        raise error

    bench.broker.cancel = fails  # type: ignore[method-assign]
    reply = Deferred.fromCoroutine(bench.gateway.cancel(order.order_id, "me"))
    bench.turn()
    assert reply.called is isinstance(error, Refused)
    pass_time(bench, 6)
    after = outcome(reply)
    assert (after.status, after.reason) == (S.UNKNOWN, Reason.TIMEOUT)
    pass_time(bench, 19)
    assert now(bench, order).status is S.UNKNOWN, "it may still be under way"
    pass_time(bench, 90)
    assert (now(bench, order).status, now(bench, order).reason) == (S.REJECTED, Reason.NEVER_ARRIVED)


def test_what_a_cancel_was_for_is_kept_though_it_was_in_doubt() -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    bench.do(bench.gateway.cancel(order.order_id, "me", Reason.DISCONNECTED, "Its connection is gone."))
    assert now(bench, order).reason is Reason.DISCONNECTED
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "Canceled as asked.", bench.now()))
    bench.turn()
    assert (now(bench, order).status, now(bench, order).reason) == (S.CANCELED, Reason.DISCONNECTED)


def test_an_acknowledgement_that_was_lost_is_made_up_for() -> None:
    bench = desk()
    in_flight(bench)
    order = bench.broker.sent[0]
    bench.broker.hold(order, broker_order_id="B9")
    pass_time(bench, 61)
    assert (now(bench, order).status, now(bench, order).broker_order_id) == (S.NEW, "B9")


def test_a_broker_that_cannot_look_up_leaves_the_doubt_to_its_lists() -> None:
    bench = desk(~Can(0) & ~Can.STAGE & ~Can.LOOKUP)
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    pass_time(bench, 300)
    assert "lookup" not in bench.broker.asked
    assert now(bench, order).status is S.UNKNOWN
    bench.broker.hold(order)
    pass_time(bench, 61)
    assert now(bench, order).status is S.NEW


@pytest.mark.parametrize("error", [Ambiguous("Too many requests."), ConnectionError("gone")])
def test_a_cancel_that_may_have_arrived_leaves_the_order_in_doubt_and_evidence_ends_it(error: Exception) -> None:
    bench = desk()
    order = working(bench)

    async def fails(order: Order) -> None:
        raise error

    bench.broker.cancel = fails  # type: ignore[method-assign]
    after = bench.do(bench.gateway.cancel(order.order_id, "me"))
    assert (after.status, after.reason) == (S.UNKNOWN, Reason.BROKER_ERROR)
    bench.broker.hold(order, S.CANCELED)
    pass_time(bench, 2)
    assert now(bench, order).status is S.CANCELED


def test_a_cancel_that_surely_did_not_arrive_is_refused_and_the_order_stands() -> None:
    bench = desk()
    order = working(bench)

    async def fails(order: Order) -> None:
        raise Refused(Reason.UNSUPPORTED, "Not this one.")

    bench.broker.cancel = fails  # type: ignore[method-assign]
    assert bench.do(bench.gateway.cancel(order.order_id, "me")).status is S.NEW
    (refused,) = told(bench, CancelRejected)
    assert refused.reason is Reason.UNSUPPORTED


def test_a_cancel_that_nobody_answers_is_doubt_in_time() -> None:
    bench = desk(order_timeout=20.0)
    order = working(bench)
    bench.broker.mode = "mute"
    Deferred.fromCoroutine(bench.gateway.cancel(order.order_id, "me"))
    pass_time(bench, 19)
    assert now(bench, order).status is S.PENDING_CANCEL
    pass_time(bench, 4)
    assert [each.reason for each in told(bench, OrderDoubted)] == [Reason.TIMEOUT]
    assert now(bench, order).status is S.PENDING_CANCEL, "it works on, and is asked for again"
    assert len(bench.broker.canceled) == 2


def test_a_refused_cancel_of_an_order_that_nobody_has_acknowledged_acknowledges_nothing() -> None:
    bench = desk(order_timeout=20.0)
    in_flight(bench)
    order = bench.broker.sent[0]
    Deferred.fromCoroutine(bench.gateway.cancel(order.order_id, "me"))
    bench.turn()
    bench.gateway.report(CancelRejected(order.order_id, Reason.NO_SUCH_ORDER, "", bench.now()))
    bench.turn()
    assert now(bench, order).status is S.PENDING_NEW
    pass_time(bench, 21)
    assert now(bench, order).status is S.UNKNOWN


def test_a_cancel_that_came_too_late_has_the_broker_asked_soon() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.mode = "mute"
    bench.broker.hold(order, S.EXPIRED)
    Deferred.fromCoroutine(bench.gateway.cancel(order.order_id, "me"))
    bench.turn()
    bench.gateway.report(CancelRejected(order.order_id, Reason.TOO_LATE, "", bench.now()))
    pass_time(bench, 8)
    assert now(bench, order).status is S.EXPIRED


# ---------------------------------------------------------------- a broker that forgot


def test_an_order_that_the_broker_held_and_forgot_never_becomes_never_arrived() -> None:
    bench = desk()
    order, partly = working(bench), working(bench)
    bench.gateway.report(Executed(bench.broker.fill(partly, D(30)), bench.now()))
    bench.turn()
    bench.broker.stopService()
    bench.broker.book.clear()
    bench.up()
    for lost in (order, partly):
        assert (now(bench, lost).status, now(bench, lost).reason) == (S.UNKNOWN, Reason.MISSING)
    missing = [each for each in bench.gateway.differences.open() if each.what == What.MISSING_ORDER]
    assert {(each.key, each.severity) for each in missing} == {
        (order.order_id, Severity.CRITICAL),
        (partly.order_id, Severity.CRITICAL),
    }
    pass_time(bench, 600)
    assert now(bench, order).status is S.UNKNOWN
    assert len(told(bench, DifferenceFound)) == 2, "said once"


def test_a_late_acknowledgement_does_not_bring_a_lost_order_back_but_the_list_does() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.stopService()
    bench.broker.book.clear()
    bench.up()
    bench.gateway.report(OrderAccepted(order.order_id, order.broker_order_id, bench.now()))
    bench.turn()
    assert now(bench, order).status is S.UNKNOWN
    bench.broker.hold(order)
    pass_time(bench, 70)
    assert now(bench, order).status is S.NEW
    assert open_differences(bench) == []


def test_an_order_lost_while_the_venue_is_up_takes_two_looks() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.book.clear()
    pass_time(bench, 61)
    assert now(bench, order).status is S.NEW
    pass_time(bench, 2)
    assert (now(bench, order).status, now(bench, order).reason) == (S.UNKNOWN, Reason.MISSING)


def test_a_broker_without_a_look_up_leaves_a_missing_order_in_doubt() -> None:
    bench = desk(~Can(0) & ~Can.STAGE & ~Can.LOOKUP)
    order = working(bench)
    bench.broker.book.clear()
    pass_time(bench, 64)
    assert now(bench, order).status is S.UNKNOWN
    (difference,) = bench.gateway.differences.open()
    assert (difference.what, difference.severity) == ("missing_order", Severity.WARNING)


# ---------------------------------------------------------------- a person's word


def lost(bench: Bench) -> Order:
    order = working(bench)
    bench.broker.book.clear()
    pass_time(bench, 64)
    assert now(bench, order).status is S.UNKNOWN
    return order


@pytest.mark.parametrize("status", [S.CANCELED, S.REJECTED, S.EXPIRED])
def test_a_person_ends_an_order_that_no_evidence_can_end(status: OrderStatus) -> None:
    bench = desk()
    order = lost(bench)
    after = bench.do(bench.gateway.resolve(order.order_id, status, "They rang back.", "ann"))
    assert (after.status, after.reason, after.text) == (status, Reason.RESOLVED, "They rang back.")
    pass_time(bench, 2)
    assert open_differences(bench) == []
    assert bench.restart().gateway.state.order(order.order_id) == after


def test_what_is_not_in_doubt_is_not_ended_by_hand_and_nothing_is_filled_by_hand() -> None:
    bench = desk()
    order = working(bench)
    with pytest.raises(Refused, match="only an order that is UNKNOWN") as caught:
        bench.do(bench.gateway.resolve(order.order_id, S.CANCELED, "x", "ann"))
    assert caught.value.reason is Reason.NOT_WORKING
    gone = lost(bench)
    with pytest.raises(Refused, match="a fill only ever comes as an execution"):
        bench.do(bench.gateway.resolve(gone.order_id, S.FILLED, "x", "ann"))
    with pytest.raises(Refused, match="Order not found"):
        bench.do(bench.gateway.resolve("NOSUCH", S.CANCELED, "x", "ann"))
    assert now(bench, gone).status is S.UNKNOWN


def test_the_broker_is_asked_once_more_before_and_its_word_wins() -> None:
    bench = desk()
    order = lost(bench)
    bench.broker.hold(order)
    with pytest.raises(Refused, match="is NEW"):
        bench.do(bench.gateway.resolve(order.order_id, S.CANCELED, "x", "ann"))
    assert now(bench, order).status is S.NEW


def test_evidence_after_a_persons_word_still_counts() -> None:
    bench = desk()
    order = lost(bench)
    bench.do(bench.gateway.resolve(order.order_id, S.CANCELED, "x", "ann"))
    bench.gateway.report(Executed(bench.broker.fill(order, D(40)), bench.now()))
    bench.turn()
    assert (now(bench, order).status, now(bench, order).filled_quantity) == (S.CANCELED, 40)
    bench.broker.hold(order, S.PARTIALLY_FILLED)
    pass_time(bench, 70)
    assert (now(bench, order).status, now(bench, order).filled_quantity) == (S.PARTIALLY_FILLED, 40)
    assert len(told(bench, OrderRestored)) == 1
    assert now(bench.restart(), order) == now(bench, order)


# ---------------------------------------------------------------- alive after all


@pytest.mark.parametrize("reason", [Reason.USER, Reason.TOO_LATE])
def test_a_closed_order_that_the_broker_holds_open_is_opened_again(reason: Reason) -> None:
    bench = desk()
    order = working(bench)
    bench.gateway.report(OrderCanceled(order.order_id, reason, "", bench.now()))
    bench.turn()
    assert now(bench, order).status is S.CANCELED
    pass_time(bench, 64)
    after = now(bench, order)
    assert (after.status, after.reason) == (S.NEW, None)
    assert [(each.what, each.severity) for each in resolved(bench)] == [("order_status", Severity.CRITICAL)]
    bench.broker.book.clear()
    assert bench.do(bench.gateway.cancel(order.order_id, "me")).status is S.CANCELED


def test_one_of_yesterday_is_opened_again_too() -> None:
    bench = desk(reconcile_seconds=0)
    order = working(bench)
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    bench.turn(86400)
    bench.turn(1)
    assert bench.gateway.state.order(order.order_id) is None
    bench.broker.stopService()
    bench.up()
    assert now(bench, order).status is S.NEW
    again = bench.restart()
    assert now(again, order).status is S.NEW
    assert list(State.load(again.gateway.state.dump()).dump()) == list(again.gateway.state.dump())
    found = bench.do(bench.gateway.history.by_our_id(order.order_id))
    assert found is not None
    assert found.status is S.NEW


# ---------------------------------------------------------------- changed by somebody else


def test_other_terms_at_the_broker_are_taken_over_and_shown() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.hold(order, quantity=D(60), limit_price=D(91))
    pass_time(bench, 64)
    after = now(bench, order)
    assert (after.quantity, after.limit_price, after.status) == (60, 91, S.NEW)
    (difference,) = resolved(bench)
    assert (difference.what, difference.theirs) == ("order_terms", "quantity 60, limit 91")


def test_an_order_shrunk_to_what_is_filled_is_filled() -> None:
    bench = desk()
    order = working(bench)
    bench.gateway.report(Executed(bench.broker.fill(order, D(30)), bench.now()))
    bench.broker.hold(order, S.FILLED, quantity=D(30))
    pass_time(bench, 64)
    assert now(bench, order).status is S.FILLED


# ---------------------------------------------------------------- fills


def test_a_fill_that_was_never_reported_is_fetched() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.fill(order, D(100))
    bench.broker.hold(order, S.FILLED)
    pass_time(bench, 61)
    assert now(bench, order).status is S.FILLED
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100
    assert open_differences(bench) == []


def test_a_filled_quantity_without_executions_is_shown_and_not_invented() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.hold(order, S.FILLED, filled_quantity=D(100))
    pass_time(bench, 64)
    after = now(bench, order)
    assert (after.status, after.filled_quantity) == (S.UNKNOWN, 0)
    assert ("filled_quantity", order.order_id, "0", "100") in open_differences(bench)
    bench.broker.fill(order, D(100))
    pass_time(bench, 61)
    assert now(bench, order).status is S.FILLED
    pass_time(bench, 61)
    assert open_differences(bench) == []


def test_what_a_cancelled_order_is_said_to_have_filled_is_asked_for_until_it_adds_up() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.hold(order, S.CANCELED, filled_quantity=D(30))
    pass_time(bench, 64)
    assert now(bench, order).status is S.CANCELED
    assert open_differences(bench) == [("filled_quantity", order.order_id, "0", "30")]
    bench.broker.fill(order, D(30))
    pass_time(bench, 61)
    assert (now(bench, order).status, now(bench, order).filled_quantity) == (S.CANCELED, 30)
    assert open_differences(bench) == []


def test_an_execution_that_comes_again_with_other_figures_is_shown_and_counts_once() -> None:
    bench = desk()
    order = working(bench)
    fill = bench.broker.fill(order, D(40))
    bench.gateway.report(Executed(fill, bench.now()))
    bench.gateway.report(Executed(replace(fill, price=D("100.00"), quantity=D("40.000")), bench.now()))
    bench.turn()
    assert told(bench, DifferenceFound) == []
    bench.gateway.report(Executed(replace(fill, price=D(101)), bench.now()))
    bench.gateway.report(Executed(replace(fill, price=D(101)), bench.now()))
    bench.turn()
    assert now(bench, order).filled_quantity == 40
    (found,) = told(bench, DifferenceFound)
    assert (found.what, found.ours, found.theirs) == ("execution", "BUY 40 IBM at 100", "BUY 40 IBM at 101")


def test_ids_of_executions_are_an_accounts_own() -> None:
    bench = desk()
    one, two = working(bench), working(bench, account="OTHER")
    bench.gateway.report(Executed(bench.broker.fill(one, D(10), execution_id="X1"), bench.now()))
    bench.gateway.report(Executed(bench.broker.fill(two, D(20), execution_id="X1"), bench.now()))
    bench.turn()
    assert (now(bench, one).filled_quantity, now(bench, two).filled_quantity) == (10, 20)
    assert len(bench.gateway.state.executions_today()) == 2
    pass_time(bench, 61)
    assert bench.gateway.state.positions["OTHER"]["IBM"].quantity == 20


def test_an_over_fill_stays_until_a_person_settles_it() -> None:
    bench = desk()
    bench.broker.mode = "fill"
    order = bench.submit().order
    bench.gateway.report(Executed(bench.broker.fill(order, D(5)), bench.now()))
    bench.turn()
    assert open_differences(bench) == [("over_fill", order.order_id, "100", "105")]
    pass_time(bench, 200)
    assert len(told(bench, DifferenceFound)) == 1
    name = ("paper", "ACC", What.OVER_FILL, order.order_id)
    settled = bench.do(bench.gateway.settle(name, "They bust it tomorrow.", "ann"))
    assert (settled.text, open_differences(bench)) == ("They bust it tomorrow.", [])
    with pytest.raises(Refused, match="No difference over over_fill") as caught:
        bench.do(bench.gateway.settle(name, "x", "ann"))
    assert caught.value.reason is Reason.NO_SUCH_DIFFERENCE


# ---------------------------------------------------------------- of others


def others(bench: Bench, **more: Any) -> OrderReport:
    terms: dict[str, Any] = {
        "broker_order_id": "B77",
        "account": "ACC",
        "symbol": "AAPL",
        "side": Side.SELL,
        "quantity": D(10),
        "order_type": OrderType.LIMIT,
        "limit_price": D(200),
        "status": S.NEW,
        "time": bench.now(),
    }
    report = OrderReport(**{**terms, **more})
    bench.broker.book[report.broker_order_id] = report
    return report


def others_fill(bench: Bench, quantity: int, execution_id: str, **more: Any) -> Execution:
    fill = Execution(
        **{
            "execution_id": execution_id,
            "venue": "paper",
            "account": "ACC",
            "symbol": "AAPL",
            "side": Side.SELL,
            "quantity": D(quantity),
            "price": D(200),
            "time": bench.now(),
            "broker_order_id": "B77",
            **more,
        }
    )
    bench.broker.fills.append(fill)
    return fill


def external(bench: Bench) -> Order:
    (order,) = (each for each in bench.gateway.state.working.values() if each.origin is Origin.EXTERNAL)
    return order


def test_an_order_of_another_is_taken_in_and_then_lives_like_any() -> None:
    bench = desk()
    others(bench)
    pass_time(bench, 61)
    order = external(bench)
    assert (order.status, order.broker_order_id, order.limit_price) == (S.NEW, "B77", 200)
    assert [(each.what, each.severity) for each in resolved(bench)] == [("unknown_order", Severity.WARNING)]
    bench.gateway.report(Executed(others_fill(bench, 4, "Y1"), bench.now()), "paper")
    bench.gateway.report(OrderReplaced("B77", D(8), D(201), None, bench.now()), "paper")
    bench.turn()
    after = now(bench, order)
    assert (after.status, after.filled_quantity, after.quantity) == (S.PARTIALLY_FILLED, 4, 8)
    others(bench, quantity=D(8), limit_price=D(202), filled_quantity=D(4))
    pass_time(bench, 64)
    assert now(bench, order).limit_price == 202
    del bench.broker.book["B77"]
    ended = bench.do(bench.gateway.cancel(order.order_id, "me"))
    assert ended.status is S.CANCELED
    assert bench.broker.canceled[-1].broker_order_id == "B77"
    pass_time(bench, 120)
    assert len([each for each in bench.told if each.order and each.order.origin is Origin.EXTERNAL]) == 6


def test_what_was_filled_of_it_before_counts_once() -> None:
    bench = desk()
    bench.gateway.report(Executed(others_fill(bench, 3, "Y1"), bench.now()), "paper")
    bench.turn()
    others_fill(bench, 2, "Y2")
    others(bench, filled_quantity=D(6), average_price=D(199), status=S.PARTIALLY_FILLED)
    pass_time(bench, 61)
    order = external(bench)
    assert order.filled_quantity == 6, "3 known, 2 fetched, 1 that no execution tells of"
    bench.gateway.report(Executed(others_fill(bench, 4, "Y3"), bench.now()), "paper")
    bench.turn()
    assert now(bench, order).status is S.FILLED
    assert bench.gateway.state.positions["ACC"]["AAPL"].quantity == -9


def test_a_fill_without_an_order_of_ours_is_taken_in_once_and_counts() -> None:
    bench = desk()
    fill = others_fill(bench, 5, "Y1", broker_order_id="B99")
    for _ in range(3):
        bench.gateway.report(Executed(fill, bench.now()), "paper")
        bench.turn()
    pass_time(bench, 61)
    found = bench.gateway.state.execution("Y1")
    assert found is not None
    assert (found.order_id, bench.gateway.state.positions["ACC"]["AAPL"].quantity) == ("", -5)
    again = bench.restart().up()
    assert again.gateway.state.positions["ACC"]["AAPL"].quantity == -5
    assert open_differences(again) == []


def test_a_report_of_an_unknown_order_has_the_broker_asked_soon() -> None:
    bench = desk()
    others(bench)
    bench.gateway.report(OrderAccepted("B77", "B77", bench.now()), "paper")
    pass_time(bench, 3)
    assert external(bench).broker_order_id == "B77"


def test_where_ids_are_not_echoed_an_order_in_doubt_is_not_taken_for_anothers() -> None:
    bench = desk(~Can(0) & ~Can.STAGE & ~Can.LOOKUP & ~Can.CLIENT_ORDER_ID)
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    bench.broker.hold(order, order_id=None, broker_order_id="B5")
    pass_time(bench, 64)
    assert now(bench, order).status is S.UNKNOWN
    assert [each[:2] for each in open_differences(bench)] == [("unknown_order", "B5")]
    assert len(bench.gateway.state.working) == 1, "the same order must not be there twice"
    bench.gateway.report(OrderAccepted(order.order_id, "B5", bench.now()))
    pass_time(bench, 64)
    assert now(bench, order).status is S.NEW
    assert open_differences(bench) == []


# ---------------------------------------------------------------- ids that roll back


def test_a_brokers_id_given_twice_attaches_to_no_wrong_order_and_is_shown() -> None:
    bench = desk()
    first = working(bench)
    bench.broker.mode = "mute"
    in_flight(bench)
    second = bench.broker.sent[-1]
    bench.gateway.report(OrderAccepted(second.order_id, first.broker_order_id, bench.now()))
    bench.turn()
    assert open_differences(bench) == [
        ("broker_order_id", first.broker_order_id, first.order_id, second.order_id),
    ]
    bench.gateway.report(Executed(bench.broker.fill(second, D(10)), bench.now()))
    unnamed = replace(bench.broker.fill(second, D(7)), order_id="", broker_order_id=first.broker_order_id)
    bench.broker.fills[-1] = unnamed
    bench.gateway.report(Executed(unnamed, bench.now()))
    bench.turn()
    assert (now(bench, first).filled_quantity, now(bench, second).filled_quantity) == (0, 10)
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 17


def test_after_a_loss_of_memory_anothers_order_with_our_old_id_is_not_ours() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.stopService()
    bench.broker.book.clear()
    others(bench, broker_order_id=order.broker_order_id, symbol="IBM", side=Side.BUY, quantity=D(100))
    bench.up()
    assert (now(bench, order).status, now(bench, order).reason) == (S.UNKNOWN, Reason.MISSING)
    assert external(bench).broker_order_id == order.broker_order_id
    assert {each[0] for each in open_differences(bench)} == {"missing_order", "broker_order_id"}


def test_an_echo_that_is_not_ours_is_never_matched_by_the_brokers_id() -> None:
    bench = desk()
    order = working(bench)
    bench.broker.book.clear()
    others(bench, order_id="somebody-else", broker_order_id=order.broker_order_id, symbol="IBM", side=Side.BUY)
    pass_time(bench, 64)
    assert now(bench, order).reason is Reason.MISSING
    assert external(bench).quantity == 10


# ---------------------------------------------------------------- positions


def test_a_position_that_does_not_add_up_is_shown_and_not_mended() -> None:
    bench = desk()
    bench.broker.mode = "fill"
    bench.submit()
    bench.broker.held = [Position("paper", "ACC", "IBM", D(50))]
    pass_time(bench, 64)
    assert open_differences(bench) == [("position", "IBM", "100", "150")]
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100
    pass_time(bench, 180)
    assert len(told(bench, DifferenceFound)) == 1, "said once while its figures stay"
    bench.broker.held = [Position("paper", "ACC", "IBM", D(60))]
    pass_time(bench, 64)
    assert open_differences(bench) == [("position", "IBM", "100", "160")]
    bench.broker.held = []
    pass_time(bench, 64)
    assert open_differences(bench) == []
    kinds = [type(each) for each in told(bench, DifferenceFound, DifferenceResolved)]
    assert kinds == [DifferenceFound, DifferenceFound, DifferenceResolved]


def test_a_difference_that_names_an_account_is_looked_for_at_its_venue() -> None:
    bench = desk()
    bench.broker.held = [Position("paper", "ACC", "IBM", D(50), D(12))]
    pass_time(bench, 64)
    about = About(
        header="", version="", flags={}, started=bench.now(), zone=UTC, default_venue="elsewhere",
        default_account="ACC", default_route="", kinds={}, clock=bench.now, shutdown=lambda text: None,
    )  # fmt: skip
    feed: Any = None
    api = Api(bench.gateway, feed, {"paper": bench.broker}, about)
    given = {"what": "position", "key": "IBM", "reason": "A transfer."}
    person = Caller("ann", Origin.RPC)
    with pytest.raises(Refused):
        bench.do(api.call("resolve_difference", person, given))
    with pytest.raises(Refused):
        bench.do(api.call("resolve_difference", person, {**given, "account": "ACC", "venue": "elsewhere"}))
    settled = bench.do(api.call("resolve_difference", person, {**given, "account": "ACC"}))
    assert (settled.venue, settled.key) == ("paper", "IBM")


def test_a_person_takes_the_brokers_position_over() -> None:
    bench = desk()
    bench.broker.held = [Position("paper", "ACC", "IBM", D(50), D(12))]
    pass_time(bench, 64)
    bench.do(bench.gateway.settle(("paper", "ACC", What.POSITION, "IBM"), "A transfer from another bank.", "ann"))
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 50
    pass_time(bench, 130)
    assert open_differences(bench) == []
    (event,) = told(bench, DifferenceResolved)
    assert (event.by, event.text) == ("ann", "A transfer from another bank.")


def test_an_account_seen_for_the_first_time_starts_from_what_it_holds() -> None:
    bench = Bench()
    bench.broker.held = [Position("paper", "ACC", "IBM", D(50), D(12))]
    bench.up()
    assert bench.gateway.state.positions["ACC"]["IBM"].average_price == 12
    assert open_differences(bench) == []
    bench.broker.held = [Position("paper", "ACC", "IBM", D(70))]
    again = bench.restart().up()
    assert open_differences(again) == [("position", "IBM", "50", "70")]


def test_a_fill_while_positions_are_asked_is_no_difference() -> None:
    bench = desk(reconcile_seconds=10)
    order = working(bench)
    for _ in range(30):
        bench.broker.fill(order, D(1))
        pass_time(bench, 1)
        bench.gateway.report(Executed(bench.broker.fills[-1], bench.now()))
    bench.broker.hold(order, S.PARTIALLY_FILLED)
    pass_time(bench, 30)
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 30
    assert told(bench, DifferenceFound) == []


# ---------------------------------------------------------------- age


def test_a_difference_rises_with_age_and_says_so_and_all_of_it_outlives_a_restart() -> None:
    bench = desk(~Can(0) & ~Can.STAGE & ~Can.LOOKUP, difference_raise_seconds=300)
    order = working(bench)
    bench.broker.book.clear()
    pass_time(bench, 64)
    (first,) = bench.gateway.differences.open()
    assert first.severity is Severity.WARNING
    pass_time(bench, 290)
    assert told(bench, DifferenceRaised) == []
    pass_time(bench, 20)
    (raised,) = told(bench, DifferenceRaised)
    assert (raised.severity, raised.found, raised.key) == (Severity.CRITICAL, first.found, order.order_id)
    pass_time(bench, 600)
    assert len(told(bench, DifferenceRaised)) == 1
    again = bench.restart()
    assert again.gateway.differences.open() == bench.gateway.differences.open()
    assert list(State.load(again.gateway.state.dump()).dump()) == list(again.gateway.state.dump())


# ---------------------------------------------------------------- tickets


def test_a_ticket_that_the_broker_holds_is_kept_released_there_or_lost() -> None:
    bench = desk(~Can(0))
    kept = bench.submit(tag="a", **LIMIT).order
    released = bench.submit(tag="b", **LIMIT).order
    gone = bench.submit(tag="c", **LIMIT).order
    bench.broker.hold(now(bench, kept), S.STAGED)
    bench.broker.hold(now(bench, released), S.NEW)
    pass_time(bench, 64)
    assert now(bench, kept).status is S.STAGED
    assert now(bench, released).status is S.NEW
    assert (now(bench, gone).status, now(bench, gone).reason) == (S.UNKNOWN, Reason.MISSING)
    bench.broker.hold(now(bench, gone), S.STAGED)
    bench.broker.stopService()
    bench.up()
    assert now(bench, gone).status is S.STAGED


def test_a_release_that_is_refused_leaves_the_ticket_where_it_is() -> None:
    bench = desk(~Can(0))
    ticket = bench.submit(tag="a", **LIMIT).order
    bench.broker.hold(now(bench, ticket), S.STAGED)

    async def fails(order: Order) -> None:
        raise Refused(Reason.VENUE_DOWN, "Not connected.")

    bench.broker.release = fails  # type: ignore[method-assign]
    after = bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert (after.status, after.reason) == (S.UNKNOWN, Reason.VENUE_DOWN)
    bench.broker.stopService()
    bench.up()
    assert now(bench, ticket).status is S.STAGED


def test_a_release_that_the_journal_could_not_take_leaves_the_ticket_where_it_is() -> None:
    bench = desk(~Can(0))
    ticket = bench.submit(tag="a", **LIMIT).order
    bench.broker.hold(now(bench, ticket), S.STAGED)
    bench.journal.fail_with = OSError("disk full")
    after = bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert (after.status, after.reason) == (S.UNKNOWN, Reason.JOURNAL_FAILED)
    assert bench.broker.released == []
    bench.journal.fail_with = None
    bench.journal.sync()
    bench.broker.stopService()
    bench.up()
    assert now(bench, ticket).status is S.STAGED


def test_tickets_that_we_hold_are_nobodys_business() -> None:
    bench = desk()
    ticket = bench.submit(tag="a", **LIMIT).order
    pass_time(bench, 64)
    bench.broker.stopService()
    bench.up()
    assert now(bench, ticket).status is S.STAGED
    assert told(bench, DifferenceFound) == []


def test_the_broker_that_rejects_after_all() -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order
    bench.broker.hold(order, S.REJECTED, reason=Reason.INSUFFICIENT_FUNDS, text="No money.")
    pass_time(bench, 2)
    assert (now(bench, order).status, now(bench, order).reason) == (S.REJECTED, Reason.INSUFFICIENT_FUNDS)
    (rejected,) = told(bench, OrderRejected)
    assert rejected.text == "No money."


def test_the_chosen_broker_shows_what_it_holds() -> None:
    broker = ChosenBroker(Bench().clock)
    assert broker.book == {}


def test_many_orders_are_judged_a_slice_at_a_time() -> None:
    bench = desk()
    orders = [working(bench) for _ in range(600)]
    bench.broker.hold(orders[-1], S.CANCELED)
    bench.broker.hold(orders[0], S.EXPIRED)
    pass_time(bench, 70)
    assert [now(bench, each).status for each in (orders[0], orders[1], orders[-1])] == [S.EXPIRED, S.NEW, S.CANCELED]


def test_of_what_the_history_does_not_reach_back_to_nobody_says_that_it_never_arrived() -> None:
    bench = desk()
    bench.broker.mode = "fail"
    order = bench.submit(**LIMIT).order

    async def too_long_ago(order: Order) -> OrderReport | None:
        raise Unsupported("The book begins today.")

    bench.broker.lookup = too_long_ago  # type: ignore[method-assign]
    pass_time(bench, 1000)
    assert now(bench, order).status is S.UNKNOWN
    bench.broker.stopService()
    bench.up()
    assert now(bench, order).status is S.UNKNOWN
    assert bench.gateway.state.halts == {}
