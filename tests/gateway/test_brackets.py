"""Exits that a broker is given with their entry: left to it as long as they fit, and never trusted with more."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.brokers.conftest import Logged, logged
from tests.desk import EVERYTHING, Bench, request
from tests.gateway.exits_desk import Holder, desk, enter, family, kinds, plan, quote, restarted, shown, trade, working
from txgateway.amends import Amendment
from txgateway.brokers import Can
from txgateway.exits import ASLEEP, SETTLED
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.model.events import Executed, OrderCanceled, OrderReplaced, OrderSubmitted
from txgateway.model.exits import ExitPlan, Leg
from txgateway.model.order import Order, OrderStatus, OrderType, Origin, Side, TimeInForce

__all__ = ["logged"]

S = OrderStatus
BRACKET = {"take_profit": "110", "stop_loss": "95"}
BOTH = {"sl": (100, D(95)), "tp": (100, D(110))}
A_WHILE = SETTLED + 1


def at_holder(**more: Any) -> Bench:
    return desk(EVERYTHING | Can.BRACKET, Holder, **more)


def venue(bench: Bench) -> Holder:
    assert isinstance(bench.broker, Holder)
    return bench.broker


def pass_by(bench: Bench, seconds: float) -> None:
    """Let the time pass in small steps, as it does."""
    for _ in range(int(seconds / 0.25)):
        bench.turn(0.25)


def asked_of_broker(bench: Bench) -> tuple[int, int, int]:
    """How many orders, cancels and replaces the broker was sent."""
    return len(bench.broker.sent), len(bench.broker.canceled), len(bench.broker.replaced)


def amend(bench: Bench, order: Order, exits: ExitPlan) -> None:
    bench.do(bench.gateway.amends.amend(order.order_id, exits, Amendment, "me"))
    bench.turn()


def leg(bench: Bench, order: Order, which: Leg) -> str:
    return working(bench, order)[which].order_id


# ---------------------------------------------------------------- out


def test_an_entry_and_its_exits_are_recorded_and_then_sent_as_one() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    (sent,) = venue(bench).brackets
    assert [each.leg for each in sent] == [None, Leg.TAKE_PROFIT, Leg.STOP_LOSS], "the stop is the last"
    assert [each.attached for each in sent] == [False, True, True]
    assert {(each.parent, each.side, each.quantity) for each in sent[1:]} == {(order.order_id, Side.SELL, D(100))}
    assert [each.client_order_id for each in sent[1:]] == [f"{order.order_id}:tp", f"{order.order_id}:sl"]
    assert kinds(bench).count("OrderSubmitted") == 3
    assert order.status is S.NEW
    assert shown(bench, order) == BOTH
    pass_by(bench, 60)
    assert asked_of_broker(bench) == (3, 0, 0)


def test_attached_exits_sleep_until_their_entry_is_filled_whole_and_are_attached_still() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    exits = [each.order_id for each in working(bench, order).values()]
    assert sorted(family(bench, order).asleep) == sorted(exits)
    trade(bench, order.order_id, 40)
    assert sorted(family(bench, order).asleep) == sorted(exits)
    trade(bench, order.order_id)
    assert family(bench, order).asleep == []
    assert all(each.attached for each in working(bench, order).values())


def test_exits_that_follow_the_fill_never_sleep() -> None:
    bench = desk()
    order = enter(bench, 40, **BRACKET)
    assert (len(working(bench, order)), family(bench, order).asleep) == (2, [])


@pytest.mark.parametrize(
    "given",
    [
        {"take_profit": "110", "stop_loss": "5%"},
        {"take_profit": "10 away"},
        {"take_profit": "110", "trailing_stop": "5"},
        {"hold": 60},
        {**BRACKET, "time_in_force": TimeInForce.IOC},
    ],
)
def test_what_only_the_fill_tells_or_may_end_in_part_is_sent_after_it(given: dict[str, Any]) -> None:
    bench = at_holder()
    order = enter(bench, 0, **given)
    assert venue(bench).brackets == []
    assert shown(bench, order) == {}


@pytest.mark.parametrize("one", [{"take_profit": "110"}, {"stop_loss": "95"}])
def test_one_exit_is_a_bracket_too(one: dict[str, str]) -> None:
    bench = at_holder()
    order = enter(bench, **one)
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (2, 0, 0)
    trade(bench, next(iter(working(bench, order).values())).order_id)
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (2, 0, 0)
    assert list(bench.gateway.state.families) == []


def test_a_ticket_takes_its_exits_with_it_when_it_is_approved() -> None:
    bench = at_holder()
    order = enter(bench, 0, tag="look at this", **BRACKET)
    assert order.status is S.STAGED
    assert kinds(bench).count("OrderSubmitted") == 1
    bench.do(bench.gateway.approve(order.order_id, "boss"))
    assert len(venue(bench).brackets) == 1
    assert shown(bench, order) == BOTH
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)


def test_a_ticket_whose_exits_were_ended_takes_none() -> None:
    bench = at_holder()
    order = enter(bench, 0, tag="look at this", **BRACKET)
    bench.do(bench.gateway.end_exits(order.order_id, "me"))
    bench.do(bench.gateway.approve(order.order_id, "boss"))
    assert (len(venue(bench).brackets), len(bench.broker.sent)) == (0, 1)


def test_what_is_refused_is_all_of_it() -> None:
    bench = at_holder()
    venue(bench).answers, venue(bench).arrives = Refused(Reason.VENUE_DOWN, "Not now."), False
    order = enter(bench, 0, **BRACKET)
    assert (order.status, order.text) == (S.REJECTED, "Not now.")
    assert working(bench, order) == {}
    assert kinds(bench).count("OrderRejected") == 3
    pass_by(bench, A_WHILE)
    assert bench.complaints == []
    assert list(bench.gateway.state.families) == []


@pytest.mark.parametrize("arrived", [True, False])
def test_doubt_is_of_all_of_it_and_the_broker_tells(arrived: bool) -> None:
    bench = at_holder()
    venue(bench).answers, venue(bench).arrives = Ambiguous("The link broke."), arrived
    bench.broker.report = lambda event: None
    order = enter(bench, 0, **BRACKET)
    assert order.status is S.UNKNOWN
    assert {each.status for each in working(bench, order).values()} == {S.UNKNOWN}
    again = restarted(bench)
    pass_by(again, 20)
    found = again.gateway.state.order(order.order_id)
    assert found is not None
    if arrived:
        assert shown(again, order) == BOTH
        trade(again, order.order_id)
        pass_by(again, A_WHILE)
        assert asked_of_broker(again) == (3, 0, 0)
    else:
        assert (found.status, found.reason) == (S.REJECTED, Reason.NEVER_ARRIVED)
        assert working(again, order) == {}
        assert bench.broker.sent == []


def test_a_crash_before_it_was_sent_sends_nothing_and_one_after_it_sends_nothing_again() -> None:
    bench = at_holder()

    async def lost(entry: Order, exits: object) -> None: ...

    bench.broker.submit_bracket = lost  # type: ignore[attr-defined]
    terms = request(order_type=OrderType.LIMIT, limit_price=D(100), exits=plan(**BRACKET))
    Deferred.fromCoroutine(bench.gateway.submit(terms, "me", Origin.RPC))
    bench.turn()
    order = next(each for each in bench.gateway.state.working.values() if each.exits is not None)
    del bench.broker.submit_bracket  # type: ignore[attr-defined]
    again = restarted(bench)
    pass_by(again, 20)
    assert bench.broker.sent == []
    found = again.gateway.state.order(order.order_id)
    assert found is not None
    assert found.reason is Reason.NEVER_ARRIVED
    order = enter(again, 0, **BRACKET)
    third = restarted(again)
    trade(third, order.order_id)
    pass_by(third, A_WHILE)
    assert asked_of_broker(third) == (3, 0, 0)
    assert shown(third, order) == BOTH


# ---------------------------------------------------------------- left to the broker


@pytest.mark.parametrize(("first", "other"), [(Leg.TAKE_PROFIT, "sl"), (Leg.STOP_LOSS, "tp")])
def test_filled_whole_the_broker_reduces_and_ends_by_itself(first: Leg, other: str) -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    exit_id = leg(bench, order, first)
    trade(bench, exit_id, 30)
    assert shown(bench, order)[other][0] == 70
    pass_by(bench, A_WHILE)
    trade(bench, exit_id)
    assert shown(bench, order) == {}
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)
    assert bench.gateway.state.positions["ACC"] == {}
    assert list(bench.gateway.state.families) == []


def test_filled_in_parts_soon_after_each_other_it_is_kept() -> None:
    bench = at_holder()
    order = enter(bench, 30, **BRACKET)
    pass_by(bench, 1)
    trade(bench, order.order_id, 30)
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)
    assert shown(bench, order) == BOTH


def test_filled_and_left_again_while_we_were_dead() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    stop = leg(bench, order, Leg.STOP_LOSS)
    venue(bench).trade(order.order_id, tell=False)
    venue(bench).trade(stop, tell=False)
    again = restarted(bench)
    pass_by(again, A_WHILE)
    assert asked_of_broker(again) == (3, 0, 0)
    assert again.gateway.state.positions["ACC"] == {}
    assert list(again.gateway.state.families) == []


@pytest.mark.parametrize("filled", [100, 40])
def test_an_end_that_is_told_before_the_fill_that_is_its_cause_sends_nothing(filled: int) -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    stop, profit = leg(bench, order, Leg.STOP_LOSS), leg(bench, order, Leg.TAKE_PROFIT)
    fill = bench.broker.trade(profit, filled, tell=False)  # type: ignore[attr-defined]
    if filled == 100:
        bench.gateway.report(OrderCanceled(stop, Reason.USER, "OCA group", bench.now()))
    else:
        bench.gateway.report(OrderReplaced(stop, D(60), None, D(95), bench.now()))
    pass_by(bench, SETTLED - 1)
    assert asked_of_broker(bench) == (3, 0, 0)
    bench.gateway.report(Executed(fill, bench.now()))
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)
    assert shown(bench, order) == ({} if filled == 100 else {"sl": (60, D(95)), "tp": (60, D(110))})


def test_an_exits_fill_that_is_told_before_its_entrys_is_no_excess(logged: Logged) -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    stop = leg(bench, order, Leg.STOP_LOSS)
    entered = bench.broker.trade(order.order_id, tell=False)  # type: ignore[attr-defined]
    trade(bench, stop)
    pass_by(bench, SETTLED / 2)
    bench.gateway.report(Executed(entered, bench.now()))
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)
    assert "DifferenceFound" not in kinds(bench)
    assert bench.gateway.state.positions["ACC"] == {}


def test_where_the_broker_does_not_take_off_the_gateway_does() -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    stop, profit = leg(bench, order, Leg.STOP_LOSS), leg(bench, order, Leg.TAKE_PROFIT)
    venue(bench).children.clear()
    trade(bench, profit, 30)
    pass_by(bench, A_WHILE)
    assert shown(bench, order)["sl"] == (70, D(95))
    assert [each.order_id for each in bench.broker.replaced] == [stop]
    trade(bench, profit)
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {}
    assert [each.order_id for each in bench.broker.canceled] == [stop]


def test_both_filled_all_the_same_is_said_and_taken_back(logged: Logged) -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    stop, profit = leg(bench, order, Leg.STOP_LOSS), leg(bench, order, Leg.TAKE_PROFIT)
    venue(bench).children.clear()
    trade(bench, profit)
    trade(bench, stop)
    assert len(bench.broker.sent) == 3
    pass_by(bench, A_WHILE)
    assert (bench.broker.sent[-1].leg, bench.broker.sent[-1].quantity) == (Leg.UNDO, 100)
    assert bench.gateway.state.positions["ACC"] == {}
    assert "DifferenceFound" in kinds(bench)
    logged.expect("exits ")


# ---------------------------------------------------------------- taken over


def test_what_stays_filled_in_part_has_exits_of_ours_that_grow() -> None:
    bench = at_holder()
    order = enter(bench, 40, **BRACKET)
    pass_by(bench, ASLEEP.total_seconds() + 0.5)
    assert {each.order_id for each in bench.broker.canceled} <= set(venue(bench).children)
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}
    assert not any(each.attached for each in working(bench, order).values())
    trade(bench, order.order_id)
    assert shown(bench, order) == BOTH
    trade(bench, leg(bench, order, Leg.TAKE_PROFIT))
    assert shown(bench, order) == {}
    assert bench.gateway.state.positions["ACC"] == {}
    assert len(bench.broker.sent) == 5


def test_while_all_is_halted_the_brokers_are_left_as_they_are() -> None:
    """Ours could not be sent in their place, and they will work when the entry is filled whole."""
    bench = at_holder()
    order = enter(bench, 40, **BRACKET)
    bench.gateway.halt("lunch", "boss")
    pass_by(bench, A_WHILE)
    assert asked_of_broker(bench) == (3, 0, 0)
    bench.gateway.resume("boss")
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}


def test_filled_whole_while_its_exits_are_being_taken_over() -> None:
    bench = at_holder()
    order = enter(bench, 40, **BRACKET)
    venue(bench).deaf = True
    pass_by(bench, ASLEEP.total_seconds() + 0.5)
    trade(bench, order.order_id)
    venue(bench).listen()
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == BOTH
    assert len(bench.broker.sent) == 5


def test_an_entry_that_is_canceled_when_it_is_filled_in_part_leaves_its_fill_exits() -> None:
    bench = at_holder()
    order = enter(bench, 40, **BRACKET)
    venue(bench).end(order.order_id)
    bench.turn()
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}
    assert bench.complaints == []


@pytest.mark.parametrize("filled", [0, 40])
def test_canceled_while_we_were_dead(filled: int) -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    if filled:
        venue(bench).trade(order.order_id, filled, tell=False)
    venue(bench).end(order.order_id, tell=False)
    again = restarted(bench)
    pass_by(again, 20)
    wanted = {"sl": (40, D(95)), "tp": (40, D(110))} if filled else {}
    assert shown(again, order) == wanted
    assert again.complaints == []
    assert len(again.broker.sent) == (5 if filled else 3)


def test_an_entry_that_ends_unfilled_ends_all_and_nothing_is_said() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {}
    assert asked_of_broker(bench) == (3, 1, 0)
    assert bench.complaints == []
    assert list(bench.gateway.state.families) == []


def test_the_gateway_watches_the_stop_of_what_is_filled_in_part_meanwhile() -> None:
    bench = at_holder()
    order = enter(bench, 40, **BRACKET)
    quote(bench, "94.90")
    pass_by(bench, A_WHILE)
    close = bench.broker.sent[-1]
    assert (close.leg, close.quantity) == (Leg.CLOSE, 40)
    assert "the stop at 95 was reached at 94.9" in family(bench, order).closing
    assert bench.gateway.state.positions["ACC"] == {}


def test_a_person_at_the_broker_ends_both_and_gets_both_anew() -> None:
    """IB ends the other too: nobody can tell which was meant, and a position without a stop is worse."""
    bench = at_holder()
    order = enter(bench, **BRACKET)
    venue(bench).end(leg(bench, order, Leg.TAKE_PROFIT))
    bench.turn()
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == BOTH
    assert not any(each.attached for each in working(bench, order).values())
    venue(bench).end(leg(bench, order, Leg.TAKE_PROFIT))
    bench.turn()
    pass_by(bench, A_WHILE)
    assert set(shown(bench, order)) == {"sl"}, "of ours it is plain, and stays away"


def test_an_exit_that_is_canceled_here_stays_away_and_the_other_comes_back() -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    bench.do(bench.gateway.cancel(leg(bench, order, Leg.TAKE_PROFIT), "me"))
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (100, D(95))}
    assert len(bench.broker.sent) == 4


def test_where_an_end_is_explained_nothing_is_waited_for() -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    bench.do(bench.gateway.cancel(leg(bench, order, Leg.TAKE_PROFIT), "me"))
    assert shown(bench, order) == {"sl": (100, D(95))}, "the other ended with it"
    order = enter(bench, 40, **BRACKET)
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}, "they slept until the entry ended"


def test_one_that_is_refused_is_sent_anew_when_it_is_needed(logged: Logged) -> None:
    bench = at_holder()
    venue(bench).refuse[OrderType.STOP] = Reason.REJECTED
    order = enter(bench, 0, **BRACKET)
    assert set(working(bench, order)) == {Leg.TAKE_PROFIT}
    logged.expect("SELL 100 IBM STOP 95 was to be held with it, and was refused: No. It is sent anew when")
    assert [each.key for each in bench.complaints] == [order.order_id]
    venue(bench).refuse.clear()
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == BOTH


# ---------------------------------------------------------------- changed


def test_while_it_sleeps_it_is_changed_with_its_entry() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    bench.do(bench.gateway.replace(order.order_id, D(150), None, None, "me"))
    pass_by(bench, 1)
    assert shown(bench, order) == {"sl": (150, D(95)), "tp": (150, D(110))}
    bench.do(bench.gateway.replace(leg(bench, order, Leg.STOP_LOSS), None, None, D(96), "me"))
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (150, D(96)), "tp": (150, D(110))}
    assert bench.broker.canceled == []


def test_a_plan_that_the_broker_cannot_hold_any_more_is_ours() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    amend(bench, order, plan(take_profit="110", trailing_stop="5"))
    pass_by(bench, 1)
    assert shown(bench, order) == {}
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert len(bench.broker.sent) == 5


def test_levels_move_in_their_bracket_and_where_that_is_refused_it_is_given_up(logged: Logged) -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    amend(bench, order, plan(take_profit="111", stop_loss="95"))
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(111))}
    assert bench.broker.canceled == []

    async def refuse(order: Order) -> None:
        raise Refused(Reason.REJECTED, "OCA group revision is not allowed.")

    bench.broker.replace = refuse  # type: ignore[method-assign]
    amend(bench, order, plan(take_profit="111", stop_loss="96"))
    pass_by(bench, 3 * A_WHILE)
    assert shown(bench, order) == {"sl": (100, D(96)), "tp": (100, D(111))}
    assert not any(each.attached for each in working(bench, order).values())


def test_what_an_exit_of_ours_fills_is_taken_off_one_of_the_brokers_at_once() -> None:
    bench = at_holder()
    order = enter(bench, 0, stop_loss="95")
    amend(bench, order, plan(**BRACKET))
    trade(bench, order.order_id)
    assert shown(bench, order) == BOTH
    trade(bench, leg(bench, order, Leg.TAKE_PROFIT), 30)
    assert shown(bench, order) == {"sl": (70, D(95)), "tp": (70, D(110))}
    trade(bench, leg(bench, order, Leg.TAKE_PROFIT))
    assert shown(bench, order) == {}
    assert bench.gateway.state.positions["ACC"] == {}


def test_a_position_is_closed_when_its_time_is_over() -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET, hold=60)
    assert shown(bench, order) == BOTH
    pass_by(bench, 62)
    assert (bench.broker.sent[-1].leg, bench.broker.sent[-1].quantity) == (Leg.CLOSE, 100)
    assert bench.gateway.state.positions["ACC"] == {}
    assert shown(bench, order) == {}


def test_exits_that_are_ended_while_they_sleep() -> None:
    bench = at_holder()
    order = enter(bench, 0, **BRACKET)
    bench.do(bench.gateway.end_exits(order.order_id, "me"))
    pass_by(bench, A_WHILE)
    assert shown(bench, order) == {}
    trade(bench, order.order_id)
    pass_by(bench, A_WHILE)
    assert len(bench.broker.sent) == 3


def test_it_outlives_the_day_and_the_snapshot() -> None:
    bench = at_holder()
    order = enter(bench, **BRACKET)
    bench.clock.advance(86400)
    bench.gateway.intake.start_day("paper")
    bench.turn()
    state = bench.gateway.state
    assert state.order(order.order_id) is None
    loaded = type(state).load([line.strip() for line in state.dump()])
    assert list(loaded.dump()) == list(state.dump())
    again = restarted(bench)
    pass_by(again, A_WHILE)
    assert shown(again, order) == BOTH
    trade(again, leg(again, order, Leg.TAKE_PROFIT))
    pass_by(again, A_WHILE)
    assert asked_of_broker(again) == (3, 0, 0)
    assert list(again.gateway.state.families) == []


def test_the_record_tells_that_it_is_attached() -> None:
    bench = at_holder()
    enter(bench, 0, **BRACKET)
    events = [record.event for record in bench.journal.records()]
    assert [each.terms.attached for each in events if isinstance(each, OrderSubmitted)] == [False, True, True]
