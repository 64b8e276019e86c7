"""A command whose fate nobody knows: in doubt unless the broker has told of it, refused only where it surely is not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.task import Clock, deferLater

from tests.desk import Bench, ChosenBroker, D, request
from txgateway import wire
from txgateway.brokers import Can
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.model.events import (
    CancelKept,
    CancelRequested,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
)
from txgateway.model.order import Order, OrderStatus, OrderType, Origin
from txgateway.stories import sentence

LIMIT: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(90)}


class Failing(ChosenBroker):
    """Raises `error` from changes, after reporting `first` where that is set."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.error: Exception | None = None
        self.first: Any = None

    def fail(self, order: Order) -> None:
        if self.first is not None:
            self.report(self.first(order))
        if self.error is not None:
            raise self.error

    async def submit(self, order: Order) -> None:
        self.fail(order)
        await super().submit(order)

    async def cancel(self, order: Order) -> None:
        self.fail(order)
        await super().cancel(order)

    async def replace(self, order: Order) -> None:
        self.fail(order)
        await super().replace(order)


@pytest.fixture
def bench() -> Bench:
    bench = Bench(order_timeout=60.0)
    broker = Failing(bench.clock)
    return Bench(broker=broker, order_timeout=60.0).up()


def rest(bench: Bench) -> Order:
    bench.broker.mode = "accept"
    order = bench.submit(**LIMIT).order
    assert order.status is OrderStatus.NEW
    return order


def status(bench: Bench, order: Order) -> OrderStatus:
    known = bench.gateway.state.order(order.order_id)
    assert known is not None
    return known.status


def test_an_ambiguous_answer_is_doubt(bench: Bench) -> None:
    bench.broker.error = Ambiguous("too many requests")
    order = bench.submit(**LIMIT).order
    assert (order.status, order.reason) == (OrderStatus.UNKNOWN, Reason.BROKER_ERROR)
    assert "too many requests" in order.text


def test_an_ambiguous_answer_after_the_brokers_word_is_none(bench: Bench) -> None:
    bench.broker.error = Ambiguous("too many requests")
    bench.broker.first = lambda order: OrderAccepted(order.order_id, "B77", bench.now())
    order = bench.submit(**LIMIT).order
    bench.turn()
    assert status(bench, order) is OrderStatus.NEW


@pytest.mark.parametrize("change", ["cancel", "replace"])
def test_a_change_that_may_have_arrived_puts_the_order_in_doubt(bench: Bench, change: str) -> None:
    order = rest(bench)
    bench.broker.error = Ambiguous("the link broke")
    after = ask(bench, order, change)
    assert (after.status, after.reason) == (OrderStatus.UNKNOWN, Reason.BROKER_ERROR)
    bench.broker.error = None
    bench.broker.report(OrderAccepted(order.order_id, order.broker_order_id, bench.now()))
    bench.turn()
    assert status(bench, order) is (OrderStatus.CANCELED if change == "cancel" else OrderStatus.NEW), "it is sent again"


def cancels(bench: Bench) -> int:
    return sum(isinstance(record.event, CancelRequested) for record in bench.journal.records())


def test_a_cancel_that_is_lost_each_time_is_sent_ever_more_seldom(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Ambiguous("the link broke")
    ask(bench, order, "cancel")
    times = []
    for second in range(200):
        before = cancels(bench)
        bench.broker.report(OrderAccepted(order.order_id, order.broker_order_id, bench.now()))
        bench.turn(1)
        times += [second] * (cancels(bench) - before)
    pauses = [later - sooner for sooner, later in pairwise(times[1:])]
    assert len(times) > 4
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 48


def test_what_is_asked_before_the_news_are_on_disk_must_be_answered_in_time_too() -> None:
    bench = Bench(broker=Failing(Clock()), order_timeout=20.0).up()
    order = rest(bench)
    bench.broker.mode = "mute"
    bench.broker.report(OrderReplaced(order.order_id, D(50), None, None, bench.now()))
    bench.gateway.intake.go(bench.gateway.cancel(order.order_id, "me"), "cancel")
    bench.turn()
    assert status(bench, order) is OrderStatus.PENDING_CANCEL
    bench.turn(21)
    bench.turn(1)
    reasons = [getattr(record.event, "reason", None) for record in bench.journal.records()]
    assert Reason.TIMEOUT in reasons


def test_a_cancel_that_was_lost_is_called_off_by_a_replace(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Ambiguous("the link broke")
    ask(bench, order, "cancel")
    bench.broker.error = None
    bench.gateway.intake.status["paper"] = VenueStatus.RECONCILING
    bench.broker.report(OrderAccepted(order.order_id, order.broker_order_id, bench.now()))
    bench.turn()
    assert status(bench, order) is OrderStatus.NEW
    ask(bench, order, "replace")
    bench.gateway.intake.status["paper"] = VenueStatus.UP
    bench.turn(10)
    assert status(bench, order) is OrderStatus.NEW


@pytest.mark.parametrize("change", ["cancel", "replace"])
def test_a_change_that_surely_did_not_arrive_is_refused(bench: Bench, change: str) -> None:
    order = rest(bench)
    bench.broker.error = Refused(Reason.UNSUPPORTED, "not this one")
    after = ask(bench, order, change)
    assert (after.status, after.reason, after.text) == (OrderStatus.NEW, Reason.UNSUPPORTED, "not this one")
    bench.broker.error = None
    bench.turn(10)
    assert status(bench, order) is OrderStatus.NEW, "what was refused is not asked for again"


def test_a_replace_that_came_when_the_venue_was_gone_is_refused(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Refused(Reason.VENUE_DOWN, "the link is down")
    after = ask(bench, order, "replace")
    assert (after.status, after.reason, after.text) == (OrderStatus.NEW, Reason.VENUE_DOWN, "the link is down")
    bench.broker.error = None
    bench.turn(10)
    assert status(bench, order) is OrderStatus.NEW


def test_a_replace_of_what_a_venue_holds_that_is_not_there_is_refused_before_anything_is_waited_for() -> None:
    bench = Bench(broker=Failing(Clock())).up()
    order = rest(bench)
    bench.broker.stopService()
    bench.touch = None
    with pytest.raises(Refused) as caught:
        ask(bench, order, "replace")
    assert (caught.value.reason, str(caught.value)) == (
        Reason.VENUE_DOWN,
        "Venue paper is DOWN: until it is UP an order may be canceled, no more.",
    )
    assert status(bench, order) is OrderStatus.NEW


# a cancel while the venue is not there


def gone(bench: Bench) -> None:
    """The link falls, and the broker says so to who asks something of it."""
    bench.broker.stopService()
    bench.turn()
    bench.broker.error = Refused(Reason.VENUE_DOWN, "Venue paper is not connected: nothing was done.")


def back(bench: Bench) -> Bench:
    bench.broker.error = None
    return bench.up()


def test_a_cancel_while_the_venue_is_gone_is_kept_shown_and_sent_when_it_is_back(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.hold(order)
    gone(bench)
    after = ask(bench, order, "cancel")
    assert (after.status, after.cancel_by) == (OrderStatus.NEW, "me")
    shown = wire.order(after)
    assert (shown["status"], shown["order_status"], shown["reason"]) == ("Pending", "NEW", "VENUE_DOWN")
    assert shown["errorMsg"] == (
        "Venue paper is not connected: nothing was done. "
        "The cancel is kept: it is sent as soon as the venue is back and has the order."
    )
    bench.turn(400)
    assert (status(bench, order), bench.broker.canceled) == (OrderStatus.NEW, []), "it is no doubt, however long"
    back(bench)
    assert status(bench, order) is OrderStatus.CANCELED
    ended = bench.gateway.state.order(order.order_id)
    assert ended is not None
    assert "errorMsg" not in wire.order(ended)
    assert wire.order(ended)["reason"] == "USER"
    told = [sentence(record.event) for record in bench.journal.records() if isinstance(record.event, CancelKept)]
    assert told == [f"The cancel was not sent: {shown['errorMsg']}"]


def test_a_cancel_that_is_kept_survives_a_crash(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.hold(order)
    gone(bench)
    ask(bench, order, "cancel")
    again = bench.restart()
    kept = again.gateway.state.order(order.order_id)
    assert kept is not None
    assert wire.order(kept)["reason"] == "VENUE_DOWN"
    back(again)
    assert status(again, order) is OrderStatus.CANCELED
    assert len(again.broker.canceled) == 1


def test_a_global_cancel_while_the_venue_is_gone_ends_all_that_works_when_it_is_back(bench: Bench) -> None:
    orders = [rest(bench) for _ in range(3)]
    for order in orders:
        bench.broker.hold(order)
    gone(bench)
    assert bench.gateway.cancel_all("me") == 3
    bench.turn()
    assert [status(bench, order) for order in orders] == [OrderStatus.NEW] * 3
    back(bench)
    assert [status(bench, order) for order in orders] == [OrderStatus.CANCELED] * 3


def test_a_cancel_that_falls_into_the_moment_of_the_links_end_is_sent_again(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.hold(order)
    bench.broker.error = Refused(Reason.VENUE_DOWN, "Venue paper is not connected: nothing was done.")
    assert ask(bench, order, "cancel").kept_cancel
    gone(bench)
    bench.turn(30)
    back(bench)
    assert status(bench, order) is OrderStatus.CANCELED


def test_a_kept_cancel_is_not_sent_for_what_was_filled_meanwhile(bench: Bench) -> None:
    order = rest(bench)
    gone(bench)
    ask(bench, order, "cancel")
    bench.broker.fill(order, D(100))
    back(bench)
    bench.turn(10)
    filled = bench.gateway.state.order(order.order_id)
    assert filled is not None
    assert (filled.status, filled.reason, bench.broker.canceled) == (OrderStatus.FILLED, None, [])


def test_a_kept_cancel_of_an_order_in_doubt_is_sent_once_it_is_found_working(bench: Bench) -> None:
    bench.broker.mode = "mute"
    bench.gateway.intake.go(bench.gateway.submit(request(**LIMIT), "me", Origin.RPC), "an order")
    bench.turn()
    (order,) = bench.gateway.state.working.values()
    gone(bench)
    after = ask(bench, order, "cancel")
    assert (after.status, after.reason, bool(after.kept_cancel)) == (OrderStatus.UNKNOWN, Reason.LINK_LOST, True)
    bench.broker.mode = "accept"
    bench.broker.hold(order)
    back(bench)
    assert status(bench, order) is OrderStatus.CANCELED


def test_a_refused_replace_does_not_call_a_kept_cancel_off_and_a_sent_one_does(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.hold(order)
    gone(bench)
    ask(bench, order, "cancel")
    with pytest.raises(Refused):
        ask(bench, order, "replace")
    back(bench)
    assert status(bench, order) is OrderStatus.CANCELED


def test_a_kept_cancel_of_a_ticket_that_the_broker_holds_ends_it_when_the_venue_is_back() -> None:
    first = Bench()
    bench = Bench(broker=Failing(first.clock, ~Can(0))).up()
    bench.broker.mode = "accept"
    ticket = bench.submit(**LIMIT, tag="desk").order
    bench.broker.hold(ticket, OrderStatus.STAGED)
    gone(bench)
    after = bench.do(bench.gateway.reject(ticket.order_id, "no", "boss"))
    assert (after.status, bool(after.kept_cancel)) == (OrderStatus.STAGED, True)
    back(bench)
    assert status(bench, ticket) is OrderStatus.CANCELED


def test_a_cancel_that_was_answered_before_its_link_broke_stays_answered(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Ambiguous("the link broke")
    bench.broker.first = lambda order: OrderCanceled(order.order_id, Reason.USER, "", bench.now())
    ask(bench, order, "cancel")
    assert status(bench, order) is OrderStatus.CANCELED


def test_a_cancel_refused_before_the_order_was_ever_acknowledged_claims_nothing(bench: Bench) -> None:
    bench.broker.mode = "mute"
    bench.gateway.intake.go(bench.gateway.submit(request(**LIMIT), "me", Origin.RPC), "an order")
    bench.turn()
    (order,) = bench.gateway.state.working.values()
    assert order.status is OrderStatus.PENDING_NEW
    bench.broker.error = Refused(Reason.VENUE_DOWN, "the link is down")
    after = ask(bench, order, "cancel")
    assert (after.status, after.reason) == (OrderStatus.UNKNOWN, Reason.VENUE_DOWN)


@pytest.mark.parametrize("change", ["cancel", "replace"])
def test_a_change_that_nobody_answers_is_doubt_in_time(bench: Bench, change: str) -> None:
    order = rest(bench)
    bench.broker.cancel = bench.broker.replace = silence  # type: ignore[method-assign]
    work(bench, order, change)
    bench.turn(59)
    assert status(bench, order) in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
    bench.turn(2)
    assert status(bench, order) is OrderStatus.UNKNOWN


def test_a_released_ticket_that_nobody_answers_is_doubt_in_time() -> None:
    first = Bench(order_timeout=60.0)
    bench = Bench(broker=ChosenBroker(first.clock, ~Can(0)), order_timeout=60.0).up()
    bench.broker.mode = "accept"
    ticket = bench.submit(**LIMIT, tag="desk").order
    assert ticket.status is OrderStatus.STAGED
    bench.broker.mode = "mute"
    work(bench, ticket, "approve")
    assert status(bench, ticket) is OrderStatus.PENDING_NEW
    bench.turn(61)
    assert status(bench, ticket) is OrderStatus.UNKNOWN


def test_a_ticket_in_doubt_that_the_broker_acknowledges_waits_on() -> None:
    first = Bench()
    bench = Bench(broker=Failing(first.clock, ~Can(0))).up()
    bench.broker.error = Ambiguous("too many requests")
    ticket = bench.submit(**LIMIT, tag="desk").order
    assert ticket.status is OrderStatus.UNKNOWN
    bench.broker.error, bench.broker.mode = None, "accept"
    bench.broker.report(OrderAccepted(ticket.order_id, "B77", bench.now()))
    bench.turn()
    assert status(bench, ticket) is OrderStatus.STAGED
    assert ask(bench, ticket, "approve").status is OrderStatus.NEW


@pytest.mark.parametrize("whole", [True, False])
def test_a_replace_whose_answer_was_lost_is_taken_in_before_its_fills(bench: Bench, whole: bool) -> None:
    order = rest(bench)
    bench.broker.cancel = bench.broker.replace = silence  # type: ignore[method-assign]
    work(bench, order, "replace", 200)
    bench.broker.stopService()
    bench.turn()
    assert status(bench, order) is OrderStatus.UNKNOWN
    bench.broker.fill(order, D(200) if whole else D(150))
    end = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
    bench.broker.hold(order, end, quantity=D(200))
    bench.up()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.quantity, after.filled_quantity) == (end, 200, 200 if whole else 150)
    assert [each for each in bench.gateway.differences.open("paper") if each.what != "position"] == []


def test_a_fill_beyond_the_old_quantity_proves_the_replace(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.cancel = bench.broker.replace = silence  # type: ignore[method-assign]
    work(bench, order, "replace", 200)
    bench.broker.report(Executed(bench.broker.fill(order, D(150)), bench.now()))
    bench.turn()
    after = bench.gateway.state.order(order.order_id)
    assert after is not None
    assert (after.status, after.quantity, after.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, 200, 150)
    bench.broker.report(OrderReplaced(order.order_id, D(200), D(90), None, bench.now()))
    bench.broker.report(Executed(bench.broker.fill(order, D(51)), bench.now()))
    bench.turn()
    (shown,) = bench.gateway.differences.open("paper")
    assert (shown.what, shown.ours, shown.theirs) == ("over_fill", "200", "201")


@pytest.mark.parametrize("there", [None, OrderStatus.NEW])
def test_who_asks_again_and_again_does_not_keep_an_order_in_doubt(bench: Bench, there: OrderStatus | None) -> None:
    bench.broker.error = Ambiguous("too many requests")
    order = bench.submit(**LIMIT).order
    bench.broker.error = Refused(Reason.VENUE_DOWN, "nothing is sent now")
    if there is not None:
        bench.broker.hold(order, there)
    answer = bench.broker.lookup

    async def slowly(order: Order) -> Any:
        await deferLater(bench.clock, 1.5)
        return await answer(order)

    bench.broker.lookup = slowly  # type: ignore[method-assign]
    for _ in range(150):
        bench.gateway.intake.go(bench.gateway.cancel(order.order_id, "me"), "a cancel")
        bench.turn(1)
    known = bench.gateway.state.order(order.order_id)
    assert known is not None
    if there is None:
        assert (known.status, known.reason) == (OrderStatus.REJECTED, Reason.NEVER_ARRIVED)
    else:
        assert known.status is OrderStatus.NEW


async def silence(order: Order) -> None:
    pass


def call(bench: Bench, order: Order, change: str, quantity: int = 50) -> Any:
    if change == "replace":
        return bench.gateway.replace(order.order_id, D(quantity), None, None, "me")
    return getattr(bench.gateway, change)(order.order_id, "me")


def ask(bench: Bench, order: Order, change: str) -> Order:
    return bench.do(call(bench, order, change))  # type: ignore[no-any-return]


def work(bench: Bench, order: Order, change: str, quantity: int = 50) -> None:
    bench.gateway.intake.go(call(bench, order, change, quantity), change)
    bench.turn()


def end(bench: Bench, order: Order, text: str) -> None:
    """Have an order ended as a flatten does."""
    bench.gateway.intake.go(bench.gateway.cancel(order.order_id, "gateway", Reason.FLATTENED, text), "cancel")
    bench.turn()


def ended(bench: Bench, order: Order) -> tuple[OrderStatus, Reason | None, str]:
    known = bench.gateway.state.order(order.order_id)
    assert known is not None
    return known.status, known.reason, known.text


def test_an_order_in_doubt_that_the_gateway_ends_says_why_it_is_in_doubt_and_then_why_it_ended(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Ambiguous("the link broke")
    ask(bench, order, "cancel")
    bench.broker.cancel = silence  # type: ignore[method-assign]
    end(bench, order, "Flatten of gateway: enough")
    bench.turn()
    status, reason, text = ended(bench, order)
    assert (status, reason) == (OrderStatus.UNKNOWN, Reason.BROKER_ERROR)
    assert "the link broke" in text
    bench.broker.report(OrderCanceled(order.order_id, Reason.USER, "User cancel", bench.now()))
    bench.turn()
    assert ended(bench, order) == (OrderStatus.CANCELED, Reason.FLATTENED, "Flatten of gateway: enough")


def test_what_a_cancel_was_for_outlives_the_link_that_it_went_out_by(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.cancel = silence  # type: ignore[method-assign]
    end(bench, order, "enough")
    bench.broker.stopService()
    bench.turn()
    assert ended(bench, order)[:2] == (OrderStatus.UNKNOWN, Reason.LINK_LOST)
    bench.broker.report(OrderCanceled(order.order_id, Reason.USER, "User cancel", bench.now()))
    bench.turn()
    assert ended(bench, order) == (OrderStatus.CANCELED, Reason.FLATTENED, "enough")


def test_a_cancel_that_was_refused_is_not_why_the_next_one_ended_the_order(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.error = Refused(Reason.REJECTED, "not now")
    end(bench, order, "enough")
    bench.turn()
    bench.broker.error = None
    ask(bench, order, "cancel")
    bench.turn()
    assert ended(bench, order)[:2] == (OrderStatus.CANCELED, Reason.USER)


def test_a_replace_that_a_halt_refused_is_not_why_a_cancel_ended_the_order(bench: Bench) -> None:
    order = rest(bench)
    bench.broker.replace = silence  # type: ignore[method-assign]
    work(bench, order, "replace")
    bench.broker.report(ReplaceRejected(order.order_id, Reason.HALTED, "Trading is halted.", bench.now()))
    bench.turn()
    ask(bench, order, "cancel")
    bench.turn()
    assert ended(bench, order)[:2] == (OrderStatus.CANCELED, Reason.USER)
