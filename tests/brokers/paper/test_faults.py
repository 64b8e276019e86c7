"""What goes wrong on purpose: each fault at its door, and nothing without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.brokers.paper.faults import Chosen, Faults, read_faults
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.model.events import OrderAccepted, VenueStatusChanged
from txgateway.model.fault import MEANINGS, Fault, FaultKind, make_fault
from txgateway.model.market import Quote
from txgateway.model.order import OrderStatus

D = Decimal
Open = Callable[..., Any]


def set_fault(venue: Any, name: str, **terms: Any) -> None:
    terms = {key: D(str(value)) if key in ("seconds", "chance") else value for key, value in terms.items()}
    venue.broker.set_fault(make_fault(name, **terms))


def statuses(venue: Any) -> list[str]:
    return [each.status.value for each in venue.told if isinstance(each, VenueStatusChanged)]


def asked(venue: Any, order: Any, **terms: Any) -> Any:
    return replace(order, **{f"asked_{name}": D(str(value)) for name, value in terms.items()})


def seed_of(kind: str, arrives: bool, more: str = "") -> str:
    """A setting of this fault, once, with a seed whose first coin is that."""
    wanted = (seed for seed in range(100) if Faults(Chosen((), str(seed))).coin(FaultKind(kind)) is arrives)
    return f"{kind}:1x{more},seed:{next(wanted)}"


# ---------------------------------------------------------------- the chooser


def test_every_fault_has_its_sentence() -> None:
    assert set(MEANINGS) == set(FaultKind)
    assert all(meaning.text.endswith(".") for meaning in MEANINGS.values())


def test_a_fault_is_chosen_by_chance_count_symbol_and_account() -> None:
    faults = Faults(Chosen())
    assert not faults.on
    assert faults.happens(FaultKind.LOST_ACK, "IBM", "A") is None
    faults.set(make_fault("lost_ack", count=2, symbol="ibm", account="a"))
    assert faults.on
    assert faults.happens(FaultKind.LOST_ACK, "AAPL", "A") is None
    assert faults.happens(FaultKind.LOST_ACK, "IBM", "B") is None
    assert faults.happens(FaultKind.LATE_FILL, "IBM", "A") is None
    assert faults.happens(FaultKind.LOST_ACK, "IBM", "A") is not None
    assert faults.happens(FaultKind.LOST_ACK, "IBM", "A") is not None
    assert faults.happens(FaultKind.LOST_ACK, "IBM", "A") is None
    (used,) = faults.all()
    assert (used.count, used.happened, faults.on) == (0, 2, False)
    faults.set(make_fault("lost_ack", symbol="IBM", account="A"))
    (again,) = faults.all()
    assert (again.count, again.happened, faults.on) == (None, 0, True)
    faults.clear(None)
    assert (faults.all(), faults.on) == ([], False)


@given(st.text(max_size=5), st.floats(0.05, 0.95))
def test_the_same_seed_chooses_the_same(seed: str, chance: float) -> None:
    def draw(others: bool) -> list[bool]:
        faults = Faults(Chosen((make_fault("lost_ack", D(str(chance))),), seed))
        if others:
            faults.set(make_fault("late_fill", D("0.5")))
        drawn = []
        for _ in range(300):
            drawn.append(faults.happens(FaultKind.LOST_ACK) is not None)
            faults.happens(FaultKind.LATE_FILL)
        return drawn

    assert draw(False) == draw(True), "another fault changes nothing for this one"
    assert abs(sum(draw(False)) / 300 - chance) < 0.2


def test_a_setting_is_read() -> None:
    chosen = read_faults(" lost_ack:0.1, late-fill:.05:2.5s ,mute_feed:symbol=ibm:3x,cancel_race:account=x,seed:42,")
    assert chosen.seed == "42"
    assert chosen.faults == (
        Fault(kind=FaultKind.LOST_ACK, chance=D("0.1")),
        Fault(kind=FaultKind.LATE_FILL, chance=D("0.05"), seconds=D("2.5")),
        Fault(kind=FaultKind.MUTE_FEED, count=3, symbol="IBM"),
        Fault(kind=FaultKind.CANCEL_RACE, account="X"),
    )
    assert read_faults(["half_open:1s"]).faults[0].seconds == 1
    assert read_faults("") == Chosen()
    assert str(chosen.faults[1]) == "late_fill chance 0.05 seconds 2.5"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "there is no fault 'nonsense': one of lost_ack"),
        ("lost_ack:0", "above 0 and at most 1"),
        ("lost_ack:1.5", "above 0 and at most 1"),
        ("lost_ack:NaN", "'NaN' of lost_ack is no chance"),
        ("lost_ack:-1", "'-1' of lost_ack is no chance"),
        ("lost_ack:2s", "takes no seconds"),
        ("late_fill:9999s", "from 0 to 3600"),
        ("late_fill:0x", "whole number from 1"),
        ("late_fill:1s:2s", "its seconds twice"),
        ("late_fill:colour=red", "is no chance"),
        ("late_fill::", "'' of late_fill is no chance"),
        ("seed:", "give the seed"),
    ],
)
def test_a_wrong_setting_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_faults(text)


# ---------------------------------------------------------------- each fault


def test_without_faults_nothing_is_distorted(venue: Any) -> None:
    order = venue.send("BUY", 100)
    assert venue.kinds(order) == ["OrderAccepted", "Executed"]
    assert venue.broker.faults() == []


def test_a_lost_acknowledgement_leaves_the_order_in_the_book(venue: Any) -> None:
    set_fault(venue, "lost_ack", count=1)
    order = venue.send("BUY", 100, limit=1)
    assert venue.kinds(order) == []
    assert venue.do(venue.broker.lookup(order)).status is OrderStatus.NEW
    assert venue.kinds(venue.send("BUY", 100, limit=1)) == ["OrderAccepted"]


def test_a_fault_for_one_symbol_leaves_others_alone(venue: Any) -> None:
    set_fault(venue, "lost_ack", symbol="AAPL")
    assert venue.kinds(venue.send("BUY", 100)) == ["OrderAccepted", "Executed"]
    assert venue.kinds(venue.send("BUY", 100, "AAPL")) == ["Executed"]


def test_a_late_fill_is_in_the_book_at_once(venue: Any) -> None:
    set_fault(venue, "late_fill", seconds=2, count=1)
    order = venue.send("BUY", 100)
    assert venue.kinds(order) == ["OrderAccepted"]
    (execution,) = venue.do(venue.broker.executions(None))
    venue.clock.advance(1.9)
    assert venue.fills(order) == []
    venue.clock.advance(0.1)
    assert venue.fills(order) == [execution]


def test_a_late_fill_comes_at_the_end_at_the_latest(open_venue: Open) -> None:
    venue = open_venue()
    set_fault(venue, "late_fill", seconds=60)
    order = venue.send("BUY", 100)
    venue.broker.stopService()
    assert len(venue.fills(order)) == 1
    assert not venue.clock.getDelayedCalls()


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_duplicated_fill_has_one_id(venue: Any, seconds: int) -> None:
    set_fault(venue, "duplicated_fill", seconds=seconds, count=1)
    order = venue.send("BUY", 100)
    venue.clock.advance(seconds)
    first, second = venue.fills(order)
    assert first == second
    assert list(venue.do(venue.broker.executions(None))) == [first]


def test_reordered_fills(venue: Any) -> None:
    set_fault(venue, "reordered_fills", count=1)
    first = venue.send("BUY", 1)
    assert venue.fills() == []
    second = venue.send("BUY", 1)
    assert [fill.order_id for fill in venue.fills()] == [second.order_id, first.order_id]
    set_fault(venue, "reordered_fills", count=1)
    third = venue.send("BUY", 1)
    venue.clock.advance(1)
    assert len(venue.fills(third)) == 1, "no other came: it is told all the same"
    venue.clock.advance(5)
    assert len(venue.fills()) == 3


def test_a_fill_after_a_cancel(venue: Any) -> None:
    order = venue.send("BUY", 101, limit=1)
    set_fault(venue, "fill_after_cancel", seconds=3)
    venue.do(venue.broker.cancel(order))
    assert venue.kinds(order) == ["OrderAccepted", "OrderCanceled"]
    report = venue.do(venue.broker.lookup(order))
    assert (report.status, report.filled_quantity) == (OrderStatus.CANCELED, 50)
    venue.clock.advance(3)
    (fill,) = venue.fills(order)
    assert (fill.quantity, fill.price) == (50, 1)
    assert venue.cash() == 10_000_000 - 50 - fill.commission


def test_a_cancel_that_races_with_a_fill_is_too_late(venue: Any) -> None:
    order = venue.send("SELL", 100, limit=9000)
    set_fault(venue, "cancel_race", count=1)
    venue.do(venue.broker.cancel(order))
    assert venue.kinds(order) == ["OrderAccepted", "Executed", "CancelRejected"]
    rejected = venue.events(order)[-1]
    assert rejected.reason is Reason.TOO_LATE
    assert "is FILLED already" in rejected.text
    assert venue.do(venue.broker.lookup(order)).status is OrderStatus.FILLED


@pytest.mark.parametrize("name", ["fill_after_cancel", "cancel_race"])
def test_tickets_and_closed_orders_are_not_filled_by_a_race(venue: Any, name: str) -> None:
    set_fault(venue, name)
    ticket, closed = venue.send("BUY", 100, tag="desk"), venue.send("BUY", 100)
    for order in (ticket, closed, venue.order()):
        venue.do(venue.broker.cancel(order))
    venue.clock.advance(5)
    assert venue.kinds(ticket) == ["OrderAccepted", "OrderCanceled"]
    assert venue.kinds(closed) == ["OrderAccepted", "Executed", "CancelRejected"]
    another = venue.send("BUY", 1)
    assert venue.kinds(another) == ["OrderAccepted", "Executed"], "nothing is left of the fault"


@pytest.mark.parametrize("name", ["fill_after_cancel", "cancel_race"])
def test_a_stop_that_is_filled_by_a_race_is_whole_in_the_book(venue: Any, name: str) -> None:
    order = venue.send("BUY", 100, stop=9000, tif="GTC")
    set_fault(venue, name)
    venue.do(venue.broker.cancel(order))
    venue.clock.advance(5)
    filled = sum(fill.quantity for fill in venue.fills(order))
    assert filled == (50 if name == "fill_after_cancel" else 100)
    assert venue.do(venue.broker.lookup(order)).filled_quantity == filled
    assert venue.do(venue.broker.open_orders()) == []
    assert venue.broker.exchange.matcher("IBM").idle
    assert venue.broker.exchange.accounts["API_ACCOUNT"].reserved == 0


def test_a_mute_feed(venue: Any) -> None:
    set_fault(venue, "mute_feed", symbol="IBM")
    venue.broker.subscribe("AAPL")
    venue.told.clear()
    venue.later(3)
    assert {each.symbol for each in venue.told if isinstance(each, Quote)} == {"AAPL"}
    order = venue.send("BUY", 100)
    assert venue.kinds(order) == ["OrderAccepted", "Executed"], "the market itself goes on"
    venue.broker.clear_faults(FaultKind.MUTE_FEED)
    venue.later(1)
    assert venue.quote("IBM").time == venue.time()


def test_a_feed_that_is_mute_for_a_while(venue: Any) -> None:
    set_fault(venue, "mute_feed", seconds=5, count=1)
    before = venue.quote().time
    venue.later(5)
    assert venue.quote().time == before
    venue.later(1.0)
    assert venue.quote().time == venue.time()


def test_a_half_open_link_swallows_everything_until_it_is_found_dead(venue: Any) -> None:
    resting = venue.send("SELL", 100, limit=venue.quote().bid + D("0.01"))
    set_fault(venue, "half_open", seconds=60, count=1)
    venue.told.clear()
    order = venue.send("BUY", 100)
    questions = [venue.begin(venue.broker.open_orders()), venue.begin(venue.broker.lookup(order))]
    venue.do(venue.broker.cancel(resting))
    venue.later(59)
    assert venue.told == []
    assert questions == [[], []]
    venue.later(1)
    assert statuses(venue) == ["DOWN"]
    for (failure,) in questions:
        assert failure.check(Refused)
    venue.later(1)
    assert statuses(venue) == ["DOWN", "CONNECTING", "RECONCILING"]
    assert venue.do(venue.broker.lookup(order)) is None, "it never arrived"
    executions = list(venue.do(venue.broker.executions(None)))
    assert [each.order_id for each in executions] == [resting.order_id], "the market went on meanwhile"


def test_a_half_open_link_is_found_dead_when_the_fault_is_cleared(venue: Any) -> None:
    set_fault(venue, "half_open", count=1)
    venue.send("BUY", 100)
    venue.told.clear()
    venue.broker.clear_faults(None)
    venue.later(1)
    assert statuses(venue) == ["DOWN", "CONNECTING", "RECONCILING"]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_dropped_link(open_venue: Open, arrives: bool) -> None:
    venue = open_venue(faults=seed_of("dropped_link", arrives))
    venue.told.clear()
    order = venue.order("BUY", 100)
    with pytest.raises(Ambiguous, match="may have arrived or not"):
        venue.do(venue.broker.submit(order))
    assert statuses(venue) == ["DOWN"]
    for work in (venue.broker.submit(venue.order()), venue.broker.open_orders(), venue.broker.cancel(order)):
        with pytest.raises(Refused, match="is down"):
            venue.do(work)
    venue.later(1)
    assert statuses(venue) == ["DOWN", "CONNECTING", "RECONCILING"]
    assert venue.kinds() == [], "what came of it is told to who asks"
    assert (venue.do(venue.broker.lookup(order)) is not None) is arrives
    assert len(venue.do(venue.broker.executions(None))) == arrives


def test_what_is_on_its_way_is_lost_with_the_link(open_venue: Open) -> None:
    venue = open_venue(latency="5", faults="late_fill:60s:1x")
    filled = venue.order("BUY", 100)
    venue.do(venue.broker.submit(filled))
    sent, question = venue.order("BUY", 100), venue.begin(venue.broker.open_orders())
    results = venue.begin(venue.broker.submit(sent))
    set_fault(venue, "dropped_link", count=1)
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.cancel(filled))
    assert results[0].check(Ambiguous)
    assert question[0].check(Refused)
    venue.clock.advance(100)
    assert venue.fills() == []
    found = venue.begin(venue.broker.executions(None))
    venue.clock.advance(5)
    assert [each.order_id for each in found[0]] == [filled.order_id]
    assert not venue.clock.getDelayedCalls()


def test_order_ids_begin_again(open_venue: Open) -> None:
    venue = open_venue()
    first, second = venue.send("BUY", 10, limit=1), venue.send("BUY", 10, limit=1)
    set_fault(venue, "id_rollback", count=1)
    third, fourth = venue.send("BUY", 10, limit=2), venue.send("BUY", 10, limit=2)
    names = [each.broker_order_id for each in venue.events() if isinstance(each, OrderAccepted)]
    assert names == ["P000001", "P000002", "P000001", "P000002"]
    venue.do(venue.broker.cancel(third))
    venue.broker.stopService()
    again = open_venue()
    reports = again.do(again.broker.open_orders())
    assert [(each.order_id, each.broker_order_id) for each in reports] == [
        (first.order_id, "P000001"),
        (second.order_id, "P000002"),
        (fourth.order_id, "P000002"),
    ]
    again.number = venue.number
    fifth = again.send("BUY", 10, limit=1)
    assert again.events(fifth)[0].broker_order_id == "P000003"


def test_half_of_a_replace(venue: Any) -> None:
    order = venue.send("BUY", 100, limit=1, stop=9000)
    set_fault(venue, "half_replace")
    venue.do(venue.broker.replace(asked(venue, order, quantity=50, limit_price=2)))
    replaced = venue.events(order)[-1]
    assert (replaced.quantity, replaced.limit_price, replaced.stop_price) == (100, 2, 9000)
    venue.do(venue.broker.replace(asked(venue, order, limit_price=3, stop_price=9001)))
    replaced = venue.events(order)[-1]
    assert (replaced.limit_price, replaced.stop_price) == (3, 9000)
    venue.do(venue.broker.replace(asked(venue, order, quantity=70)))
    assert venue.events(order)[-1].quantity == 70, "one thing has no half"
    assert venue.broker.faults()[0].happened == 2
    assert venue.do(venue.broker.lookup(order)).limit_price == 3


def test_a_rejected_replace(venue: Any) -> None:
    order = venue.send("BUY", 100, limit=1)
    set_fault(venue, "rejected_replace", count=1)
    venue.do(venue.broker.replace(asked(venue, order, quantity=50)))
    assert venue.kinds(order) == ["OrderAccepted", "ReplaceRejected"]
    assert venue.do(venue.broker.lookup(order)).quantity == 100


@pytest.mark.parametrize("arrives", [True, False])
def test_a_rate_limit_is_no_answer(open_venue: Open, arrives: bool) -> None:
    venue = open_venue(faults=seed_of("rate_limit", arrives))
    order = venue.order("BUY", 100)
    with pytest.raises(Ambiguous, match="too many requests"):
        venue.do(venue.broker.submit(order))
    assert venue.kinds() == []
    found = venue.begin(venue.broker.lookup(order))
    venue.clock.advance(0.1)
    assert venue.kinds(order) == (["OrderAccepted", "Executed"] if arrives else [])
    assert (found[0] is not None) is arrives, "a question does not overtake it"


def test_a_slow_broker_keeps_the_order_of_commands(venue: Any) -> None:
    set_fault(venue, "slow_broker", seconds=5, count=1)
    first, second = venue.order("BUY", 1), venue.order("BUY", 1)
    venue.begin(venue.broker.submit(first))
    venue.begin(venue.broker.submit(second))
    venue.later(4)
    assert venue.kinds() == []
    venue.later(1)
    assert [fill.order_id for fill in venue.fills()] == [first.order_id, second.order_id]
    set_fault(venue, "slow_broker", seconds=5, count=1)
    answer = venue.begin(venue.broker.positions())
    venue.later(4)
    assert answer == []
    venue.later(1)
    assert answer[0][0].quantity == 2


@pytest.mark.parametrize("arrives", [True, False])
def test_a_restart_with_the_book(open_venue: Open, arrives: bool) -> None:
    venue = open_venue(faults=seed_of("restart", arrives, ":3s:symbol=IBM"))
    resting = venue.send("BUY", 100, "AAPL", limit=1)
    order = venue.order("BUY", 100)
    venue.told.clear()
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.submit(order))
    with pytest.raises(Refused):
        venue.do(venue.broker.open_orders())
    venue.broker.startService()
    assert statuses(venue) == ["DOWN"], "it comes back when it comes back"
    venue.later(3)
    assert statuses(venue) == ["DOWN", "CONNECTING", "RECONCILING"]
    assert [each.order_id for each in venue.do(venue.broker.open_orders())] == [resting.order_id]
    assert (venue.do(venue.broker.lookup(order)) is not None) is arrives


def test_an_untold_fee_is_taken_and_stays_taken(open_venue: Open) -> None:
    venue = open_venue()
    set_fault(venue, "untold_fee", count=1)
    venue.send("BUY", 100, limit=1)
    assert venue.cash() == 9_999_999
    assert venue.kinds()[-1] == "OrderAccepted", "nothing is told of it"
    assert venue.fills() == []
    venue.later(100)
    venue.broker.clear_faults(None)
    venue.later(1)
    venue.broker.stopService()
    assert open_venue(venue.time()).cash() == 9_999_999


def test_an_untold_fee_is_paid_back_in_time_or_when_the_fault_is_cleared(venue: Any) -> None:
    set_fault(venue, "untold_fee", seconds=10, count=2)
    venue.send("BUY", 100, limit=1)
    venue.later(5)
    venue.send("BUY", 100, limit=1)
    assert venue.cash() == 9_999_998
    venue.later(6)
    assert venue.cash() == 9_999_999
    venue.broker.clear_faults(FaultKind.UNTOLD_FEE)
    venue.later(1)
    assert venue.cash() == 10_000_000


def test_an_untold_fee_is_paid_back_after_a_restart_of_the_broker(venue: Any) -> None:
    set_fault(venue, "untold_fee", seconds=1, count=1)
    venue.send("BUY", 100, limit=1)
    set_fault(venue, "restart", seconds=20, count=1)
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.submit(venue.order()))
    venue.later(25)
    assert venue.cash() - sum(fill.cash for fill in venue.do(venue.broker.executions(None))) == 10_000_000


def test_a_fee_of_an_order_that_never_arrives_is_neither_taken_nor_paid_back(open_venue: Open) -> None:
    venue = open_venue(faults=seed_of("dropped_link", False))
    set_fault(venue, "untold_fee", seconds=1)
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.submit(venue.order()))
    venue.later(10)
    assert venue.cash() == 10_000_000


def test_a_restart_without_the_book(open_venue: Open) -> None:
    venue = open_venue()
    resting, filled = venue.send("BUY", 100, limit=1), venue.send("BUY", 100)
    (before,) = venue.fills(filled)
    set_fault(venue, "restart_empty", count=1)
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.submit(venue.order()))
    venue.later(1)
    assert statuses(venue)[-1] == "RECONCILING"
    for order in (resting, filled):
        assert venue.do(venue.broker.lookup(order)) is None
    assert venue.do(venue.broker.open_orders()) == venue.do(venue.broker.positions()) == []
    assert list(venue.do(venue.broker.executions(None))) == []
    assert venue.cash() == 10_000_000
    (after,) = venue.fills(venue.send("BUY", 100))
    assert after.execution_id != before.execution_id


@pytest.mark.parametrize("name", ["dropped_link", "half_open", "restart", "restart_empty"])
def test_a_stop_in_the_middle_of_a_fault(open_venue: Open, name: str) -> None:
    venue = open_venue()
    venue.broker.subscribe("IBM")
    set_fault(venue, name, seconds=60, count=1)
    venue.begin(venue.broker.submit(venue.order("BUY", 100)))
    venue.broker.stopService()
    assert statuses(venue)[-1] == "DOWN"
    assert not venue.clock.getDelayedCalls()
    venue.broker.startService()
    assert statuses(venue)[-1] == "RECONCILING"
    assert venue.kinds(venue.send("BUY", 1)) == ["OrderAccepted", "Executed"]


def test_a_command_under_a_broken_link_that_comes_twice_is_still_counted(open_venue: Open, logged: Any) -> None:
    venue = open_venue(faults=seed_of("dropped_link", True))
    venue.broker.clear_faults(None)
    order = venue.send("BUY", 100)
    set_fault(venue, "dropped_link", count=1)
    with pytest.raises(Ambiguous):
        venue.do(venue.broker.submit(order))
    logged.expect("came a second time")
    assert venue.broker.duplicates == 1
