"""Attached orders: what an entry filled has its exits, each once, and never more than is left."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.brokers.conftest import Logged, logged
from tests.desk import EVERYTHING, Bench
from tests.gateway.exits_desk import Holder, desk, enter, family, kinds, plan, quote, restarted, shown, trade, working
from txgateway.brokers import Can
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import (
    DifferenceFound,
    Executed,
    OrderDoubted,
    OrderExpired,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
)
from txgateway.model.exits import Leg
from txgateway.model.halts import HaltLevel
from txgateway.model.limits import read_levels
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce
from txgateway.model.scope import GATEWAY, Scope

__all__ = ["logged"]

S = OrderStatus
BRACKET = {"take_profit": "110", "stop_loss": "95"}


# ---------------------------------------------------------------- beginning


def test_exits_begin_at_the_first_fill_for_what_is_filled_and_grow_with_the_next() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    assert shown(bench, order) == {}
    trade(bench, order.order_id, 30)
    assert shown(bench, order) == {"sl": (30, D(95)), "tp": (30, D(110))}
    trade(bench, order.order_id, 50)
    assert shown(bench, order) == {"sl": (80, D(95)), "tp": (80, D(110))}
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    legs = working(bench, order)
    assert legs[Leg.STOP_LOSS].client_order_id == f"{order.order_id}:sl"
    assert legs[Leg.TAKE_PROFIT].client_order_id == f"{order.order_id}:tp"
    assert {(each.side, each.time_in_force, each.owner) for each in legs.values()} == {
        (Side.SELL, TimeInForce.GTC, "me")
    }
    assert len(bench.broker.sent) == 3


def test_the_stop_goes_out_before_the_profit() -> None:
    bench = desk()
    enter(bench, **BRACKET)
    assert [each.leg for each in bench.broker.sent] == [None, Leg.STOP_LOSS, Leg.TAKE_PROFIT]


def test_a_short_entry_is_bought_back() -> None:
    bench = desk()
    order = enter(bench, side=Side.SELL_SHORT, take_profit="5%", stop_loss="2.5 away", trailing_stop="10%")
    assert shown(bench, order) == {"sl": (100, D("102.5")), "tp": (100, D(95))}
    assert {each.side for each in working(bench, order).values()} == {Side.BUY}


def test_distances_count_from_the_average_price_on_the_instruments_grid() -> None:
    bench = desk()
    order = enter(bench, 0, take_profit="1%", stop_loss="1%")
    trade(bench, order.order_id, 50, "99.99")
    assert shown(bench, order) == {"sl": (50, D("99.00")), "tp": (50, D("100.99"))}
    trade(bench, order.order_id, 50, "98.00")
    assert shown(bench, order) == {"sl": (100, D("98.01")), "tp": (100, D("99.99"))}


@pytest.mark.parametrize("end", ["cancel", "reject"])
def test_an_entry_that_ends_unfilled_has_no_exits(end: str) -> None:
    bench = desk()
    if end == "reject":
        bench.broker.refuse[OrderType.LIMIT] = Reason.INSUFFICIENT_FUNDS
    order = enter(bench, 0, **BRACKET)
    if end == "cancel":
        bench.do(bench.gateway.cancel(order.order_id, "me"))
    bench.turn(100)
    assert len(bench.broker.sent) == 1
    assert list(bench.gateway.state.families) == []


def test_an_entry_canceled_half_filled_keeps_the_exits_of_its_fills() -> None:
    bench = desk()
    order = enter(bench, 40, **BRACKET)
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}


def test_a_fill_after_the_entrys_cancel_still_gets_its_exits() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.do(bench.gateway.cancel(order.order_id, "me"))
    assert list(bench.gateway.state.families) == []
    bench.broker.report(Executed(bench.broker.fill(order, D(10)), bench.now()))
    bench.turn()
    assert shown(bench, order) == {"sl": (10, D(95)), "tp": (10, D(110))}


def test_a_ticket_has_its_exits_once_it_was_approved_and_filled() -> None:
    bench = desk()
    order = enter(bench, 0, tag="look at this", **BRACKET)
    assert order.status is S.STAGED
    bench.do(bench.gateway.approve(order.order_id, "boss"))
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


# ---------------------------------------------------------------- ending


@pytest.mark.parametrize(("first", "other"), [("tp", "sl"), ("sl", "tp")])
def test_one_cancels_the_other(first: str, other: str) -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    legs = working(bench, order)
    trade(bench, legs[Leg(first)].order_id, 30)
    assert {name: left for name, (left, _) in shown(bench, order).items()} == {first: 70, other: 70}
    trade(bench, legs[Leg(first)].order_id)
    assert shown(bench, order) == {}
    assert bench.gateway.state.order(legs[Leg(other)].order_id).status is S.CANCELED  # type: ignore[union-attr]
    assert bench.gateway.state.positions["ACC"] == {}
    assert list(bench.gateway.state.families) == []
    bench.turn(1000)
    assert len(bench.broker.sent) == 3


def test_where_the_venue_cannot_replace_an_exit_is_canceled_and_sent_anew() -> None:
    bench = desk(EVERYTHING & ~Can.REPLACE)
    order = enter(bench, 40, **BRACKET)
    trade(bench, order.order_id, 60)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert working(bench, order)[Leg.STOP_LOSS].client_order_id == f"{order.order_id}:sl.2"
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id, 10)
    assert shown(bench, order) == {"sl": (90, D(95)), "tp": (90, D(110))}
    assert bench.broker.replaced == []


def test_where_the_venue_itself_cancels_the_other_nobody_else_does() -> None:
    bench = desk(EVERYTHING | Can.OCO)
    order = enter(bench, **BRACKET)
    legs = working(bench, order)
    trade(bench, legs[Leg.TAKE_PROFIT].order_id, 30)
    assert (bench.broker.replaced, bench.broker.canceled) == ([], [])
    bench.broker.report(OrderReplaced(legs[Leg.STOP_LOSS].order_id, D(70), None, D(95), bench.now()))
    bench.turn()
    trade(bench, legs[Leg.TAKE_PROFIT].order_id)
    assert (bench.broker.replaced, bench.broker.canceled) == ([], [])


def test_both_filled_in_a_race_is_said_and_the_excess_taken_back(logged: Logged) -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    legs = working(bench, order)
    bench.broker.trade(legs[Leg.TAKE_PROFIT].order_id, tell=True)
    bench.broker.trade(legs[Leg.STOP_LOSS].order_id, 60, tell=True)
    bench.turn()
    differences = [each.event for each in bench.journal.records() if isinstance(each.event, DifferenceFound)]
    assert [(each.what, each.key, each.ours, each.theirs) for each in differences] == [
        ("exits", order.order_id, "100", "160")
    ]
    undo = bench.broker.sent[-1]
    assert (undo.side, undo.quantity, undo.order_type) == (Side.BUY, 60, OrderType.MARKET)
    assert undo.client_order_id == f"{order.order_id}:undo"
    assert bench.gateway.state.positions["ACC"] == {}
    assert shown(bench, order) == {}
    logged.expect("exits")
    again = restarted(bench)
    again.turn(100)
    assert len(bench.broker.sent) == 4, "nothing is taken back twice"
    assert (kinds(again).count("DifferenceFound"), kinds(again).count("DifferenceResolved")) == (1, 1)
    assert again.gateway.state.differences == {}


def test_an_excess_that_the_broker_will_not_take_back_is_tried_again_with_rests(logged: Logged) -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    legs = working(bench, order)
    bench.broker.refuse[OrderType.MARKET] = Reason.REJECTED
    bench.broker.trade(legs[Leg.TAKE_PROFIT].order_id, tell=True)
    bench.broker.trade(legs[Leg.STOP_LOSS].order_id, 60, tell=True)
    bench.turn()
    undos = [each for each in bench.broker.sent if each.leg is Leg.UNDO]
    assert len(undos) == 1, "not again at once, and for ever"
    bench.turn(30)
    del bench.broker.refuse[OrderType.MARKET]
    bench.turn(60)
    assert len([each for each in bench.broker.sent if each.leg is Leg.UNDO]) == 3
    assert bench.gateway.state.positions["ACC"] == {}
    for words in ("160 were filled", "Tried again in 1 s", "Tried again in 2 s"):
        logged.expect(words)


def test_a_late_fill_of_a_leg_that_was_canceled_is_taken_back_too(logged: Logged) -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    stop = working(bench, order)[Leg.STOP_LOSS]
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id)
    assert list(bench.gateway.state.families) == []
    bench.broker.report(Executed(bench.broker.fill(stop, D(25)), bench.now()))
    bench.turn()
    assert bench.broker.sent[-1].leg is Leg.UNDO
    assert bench.gateway.state.positions["ACC"] == {}
    logged.expect("exits")


# ---------------------------------------------------------------- people


def test_an_exit_that_a_person_cancels_stays_away() -> None:
    bench = desk()
    order = enter(bench, 50, **BRACKET)
    bench.do(bench.gateway.cancel(working(bench, order)[Leg.TAKE_PROFIT].order_id, "me"))
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(95))}
    again = restarted(bench)
    assert shown(again, order) == {"sl": (100, D(95))}


def test_a_price_that_a_person_sets_stands_and_a_quantity_is_refused() -> None:
    bench = desk()
    order = enter(bench, 50, take_profit="110", trailing_stop="5")
    legs = working(bench, order)
    bench.do(bench.gateway.replace(legs[Leg.STOP_LOSS].order_id, None, None, D(90), "me"))
    bench.do(bench.gateway.replace(legs[Leg.TAKE_PROFIT].order_id, None, D(120), None, "me"))
    quote(bench, "105")
    bench.turn(10)
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(90)), "tp": (100, D(120))}
    with pytest.raises(Refused, match="as large as what is left"):
        bench.do(bench.gateway.replace(legs[Leg.STOP_LOSS].order_id, D(10), None, None, "me"))


def at_the_broker(bench: Bench, order: Order, tell: bool = True, **terms: D) -> None:
    """A person changes an order at the broker."""
    venue: Any = bench.broker
    venue._change(order.order_id, **terms)
    held = venue.book[order.order_id]
    if tell:
        bench.gateway.report(
            OrderReplaced(order.order_id, held.quantity, held.limit_price, held.stop_price, bench.now())
        )
    bench.turn()


@pytest.mark.parametrize("away", [False, True])
def test_a_price_that_a_person_sets_at_the_broker_stands_and_a_quantity_does_not(away: bool) -> None:
    bench = desk()
    order = enter(bench, 50, take_profit="110", trailing_stop="5")
    legs = working(bench, order)
    if away:
        bench.broker.stopService()
        bench.turn()
    at_the_broker(bench, legs[Leg.STOP_LOSS], tell=not away, stop_price=D(90))
    at_the_broker(bench, legs[Leg.TAKE_PROFIT], tell=not away, limit_price=D(120), quantity=D(70))
    if away:
        bench.up()
        bench.turn(5)
    assert shown(bench, order) == {"sl": (50, D(90)), "tp": (50, D(120))}
    quote(bench, "108")
    bench.turn(10)
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(90)), "tp": (100, D(120))}
    again = restarted(bench)
    state = again.gateway.state
    assert type(state).load([line.strip() for line in state.dump()]).families.find(order.order_id) == family(
        again, order
    )
    quote(again, "109")
    again.turn(10)
    assert shown(again, order) == {"sl": (100, D(90)), "tp": (100, D(120))}


def test_an_answer_to_our_own_change_is_no_persons() -> None:
    """Whatever the broker makes of it: another price, half of it first, all of it once more, the answer too late."""
    bench = desk()
    order = enter(bench, 50, trailing_stop="5")
    stop = working(bench, order)[Leg.STOP_LOSS]
    venue: Any = bench.broker
    venue.deaf = True
    quote(bench, "103")
    at_the_broker(bench, stop, stop_price=D("97.9"))
    assert family(bench, order).by_hand == [], "it is taken for the answer"
    venue.listen()
    bench.turn()
    assert shown(bench, order) == {"sl": (50, D(98))}
    at_the_broker(bench, stop)
    venue.deaf = True
    bench.turn(2)
    quote(bench, "104")
    venue.unheard.clear()
    at_the_broker(bench, stop, quantity=D(49))
    at_the_broker(bench, stop, quantity=D(50), stop_price=D(99))
    venue.deaf = False
    assert family(bench, order).by_hand == []
    bench.turn(2)
    quote(bench, "106")
    assert shown(bench, order) == {"sl": (50, D(101))}
    assert restarted(bench).gateway.state.families.find(order.order_id) == family(bench, order)


def test_all_that_is_attached_can_be_ended() -> None:
    bench = desk()
    order = enter(bench, **BRACKET, hold=60)
    bench.do(bench.gateway.end_exits(order.order_id, "me"))
    bench.turn(100)
    assert shown(bench, order) == {}
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 100
    with pytest.raises(Refused, match="no exits that work"):
        bench.do(bench.gateway.end_exits(order.order_id, "me"))


def test_what_was_flattened_closes_nothing_that_is_entered_later() -> None:
    bench = desk()
    order = enter(bench, **BRACKET, hold=60)
    bench.gateway.flattens.begin(GATEWAY, "enough", "boss")
    bench.turn(1)
    bench.turn(1)
    assert bench.gateway.state.positions["ACC"] == {}
    bench.gateway.resume("boss")
    bench.turn(1)
    bench.submit(quantity=D(70))
    bench.turn(100)
    bench.turn(100)
    assert bench.gateway.state.positions["ACC"]["IBM"].quantity == 70
    assert shown(bench, order) == {}


# ---------------------------------------------------------------- trouble


def test_an_exit_that_is_refused_is_said_loudly_and_tried_again(logged: Logged) -> None:
    bench = desk()
    bench.broker.refuse[OrderType.STOP] = Reason.REJECTED
    order = enter(bench, **BRACKET)
    assert shown(bench, order) == {"tp": (100, D(110))}
    assert "STOP 95" in bench.keeper.trouble(order.order_id)
    assert bench.complaints[0].key == order.order_id
    assert "Tried again in 1 s" in bench.complaints[0].text
    bench.turn(1)
    bench.turn(1)
    assert "Tried again in 2 s" in bench.complaints[1].text
    del bench.broker.refuse[OrderType.STOP]
    bench.turn(2)
    bench.turn(1)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert bench.keeper.trouble(order.order_id) == ""
    logged.expect("Exits of order")
    logged.expect("Exits of order")


def test_a_replace_that_is_refused_rests_and_what_is_too_much_is_canceled_instead(logged: Logged) -> None:
    bench = desk()
    order = enter(bench, 50, **BRACKET)
    no = bench.broker._replace

    def refuse(asked: Order) -> None:
        bench.broker.report(ReplaceRejected(asked.order_id, Reason.REJECTED, "No.", bench.now()))

    bench.broker._replace = refuse
    trade(bench, order.order_id, 10)
    bench.turn()
    assert len(bench.broker.replaced) == 2, "one a leg, and not again at once"
    assert {name: left for name, (left, _) in shown(bench, order).items()} == {"sl": 50, "tp": 50}
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id, 20)
    assert {name: left for name, (left, _) in shown(bench, order).items()} == {"sl": 40, "tp": 30}
    bench.broker._replace = no
    bench.turn(1)
    bench.turn(1)
    assert {name: left for name, (left, _) in shown(bench, order).items()} == {"sl": 40, "tp": 40}
    assert [each.leg for each in bench.broker.canceled] == [Leg.STOP_LOSS]
    assert bench.complaints == []


def test_a_stop_that_is_refused_with_the_price_beyond_it_closes_at_the_market(logged: Logged) -> None:
    bench = desk()
    bench.broker.refuse[OrderType.STOP] = Reason.REJECTED
    order = enter(bench, **BRACKET)
    quote(bench, "94.50")
    assert bench.broker.sent[-1].leg is Leg.CLOSE
    assert bench.gateway.state.positions["ACC"] == {}
    assert shown(bench, order) == {}
    logged.expect("Exits of order")


def test_while_all_is_halted_no_exit_is_sent_and_that_is_said(logged: Logged) -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.gateway.halt("lunch", "boss")
    trade(bench, order.order_id)
    assert shown(bench, order) == {}
    assert "halted" in bench.complaints[0].text
    bench.gateway.resume("boss")
    bench.turn(1)
    bench.turn(1)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    for _ in bench.complaints:
        logged.expect("Exits of order")


def test_while_all_is_halted_one_still_reduces_the_other() -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    bench.gateway.halt("lunch", "boss")
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id, 30)
    assert shown(bench, order) == {"sl": (70, D(95)), "tp": (70, D(110))}


def test_while_only_what_reduces_passes_both_exits_do_and_follow_the_fills() -> None:
    bench = desk()
    order = enter(bench, 0, take_profit="110", trailing_stop="5")
    trade(bench, order.order_id, 40)
    bench.gateway.halt("slowly", "boss", level=HaltLevel.REDUCE_ONLY)
    quote(bench, "103")
    assert shown(bench, order) == {"sl": (40, D(98)), "tp": (40, D(110))}
    late = enter(bench, 0, **BRACKET)
    assert late.reason is Reason.REDUCE_ONLY
    again = restarted(bench)
    assert shown(again, order) == {"sl": (40, D(98)), "tp": (40, D(110))}
    other = again.submit(side=Side.SELL, quantity=D(1)).order
    assert other.reason is Reason.REDUCE_ONLY, "the exits may take all that is held: once, not twice"


def test_while_only_what_reduces_passes_exits_grow_with_their_entry() -> None:
    bench = desk()
    order = enter(bench, 40, **BRACKET)
    bench.gateway.halt("slowly", "boss", level=HaltLevel.REDUCE_ONLY)
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


def test_whom_the_execution_budget_halts_keeps_the_protection_of_what_is_held(logged: Logged) -> None:
    bench = desk(limits=read_levels("execution_budget=2/60"))
    first = enter(bench, 0, take_profit="110", trailing_stop="5")
    second = enter(bench, 0, **BRACKET)
    trade(bench, first.order_id, 40)
    trade(bench, second.order_id, 30)
    owner = Scope.parse("owner:me")
    assert bench.gateway.state.halts[owner].level is HaltLevel.HALTED
    logged.expect("execution_budget of gateway")
    assert shown(bench, second) == {"sl": (30, D(95)), "tp": (30, D(110))}
    quote(bench, "103")
    trade(bench, first.order_id)
    trade(bench, second.order_id)
    assert shown(bench, first) == {"sl": (100, D(98)), "tp": (100, D(110))}, "they grow, and the stop follows"
    assert shown(bench, second) == {"sl": (100, D(95)), "tp": (100, D(110))}
    again = restarted(bench)
    again.turn(5)
    trade(again, working(again, second)[Leg.TAKE_PROFIT].order_id, 60, "110")
    assert shown(again, second) == {"sl": (40, D(95)), "tp": (40, D(110))}
    assert again.gateway.state.halts[owner].exits_go_on
    assert again.complaints == bench.complaints == []
    # and nothing else of the owner goes, not even what reduces
    assert again.submit().order.reason is Reason.HALTED
    assert again.submit(side=Side.SELL, quantity=D(1)).order.reason is Reason.HALTED
    stop = working(again, second)[Leg.STOP_LOSS].order_id
    with pytest.raises(Refused, match="halted"):
        again.do(again.gateway.replace(stop, None, None, D(99), "me"))


@pytest.mark.parametrize("scope", ["gateway", "symbol:IBM", "owner:me"])
def test_a_persons_halt_beside_that_of_the_budget_holds_exits_too(scope: str, logged: Logged) -> None:
    bench = desk(limits=read_levels("execution_budget=1/60"))
    order = enter(bench, 40, **BRACKET)
    logged.expect("execution_budget of gateway")
    bench.gateway.halt("stop all", "boss", Scope.parse(scope))
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (40, D(95)), "tp": (40, D(110))}
    assert "stop all" in bench.complaints[0].text
    for _ in bench.complaints:
        logged.expect("Exits of order")


def test_exits_of_an_order_filled_while_only_what_reduces_passes() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.gateway.halt("slowly", "boss", level=HaltLevel.REDUCE_ONLY)
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


def test_a_venue_that_is_away_gets_the_exits_once_it_is_reconciled() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.broker.stopService()
    bench.turn()
    bench.broker.trade(order.order_id, tell=False)
    bench.turn(5)
    assert shown(bench, order) == {}
    bench.up()
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


def test_an_exit_that_expired_is_sent_anew() -> None:
    bench = desk(EVERYTHING & ~Can.GTC)
    order = enter(bench, **BRACKET)
    stop = working(bench, order)[Leg.STOP_LOSS]
    assert stop.time_in_force is TimeInForce.DAY
    bench.broker._change(stop.order_id, status=S.EXPIRED)
    bench.broker.report(OrderExpired(stop.order_id, "the day is over.", bench.now()))
    bench.turn(1)
    bench.turn(1)
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert working(bench, order)[Leg.STOP_LOSS].client_order_id == f"{order.order_id}:sl.2"


def test_a_stop_in_doubt_is_not_sent_a_second_time() -> None:
    bench = desk()
    bench.broker.mode = "accept"
    order = enter(bench, **BRACKET)
    stop = working(bench, order)[Leg.STOP_LOSS]
    bench.broker.report(OrderDoubted(stop.order_id, Reason.LINK_LOST, "?", bench.now()))
    bench.turn(1000)
    assert [each.leg for each in bench.broker.sent].count(Leg.STOP_LOSS) == 1


# ---------------------------------------------------------------- restarts


def test_a_crash_between_the_fill_and_the_exits_loses_none_and_doubles_none() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.keeper._may_act = lambda venue: False  # type: ignore[method-assign]  # as if it died right after the fill
    trade(bench, order.order_id)
    assert shown(bench, order) == {}
    again = restarted(bench)
    assert shown(again, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    third = restarted(again)
    assert shown(third, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert len(bench.broker.sent) == 3


def test_a_crash_before_the_fill_was_heard_of_loses_nothing() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    bench.broker.trade(order.order_id, tell=False)
    again = restarted(bench)
    assert shown(again, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


def test_a_crash_before_an_exit_was_sent_sends_another() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)

    async def lost(order: object) -> None: ...

    bench.broker.submit = lost  # type: ignore[method-assign]
    trade(bench, order.order_id)
    assert set(working(bench, order)) == {Leg.STOP_LOSS, Leg.TAKE_PROFIT}
    del bench.broker.submit
    again = restarted(bench)
    again.turn(2)
    again.turn(2)
    assert shown(again, order) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert working(again, order)[Leg.STOP_LOSS].client_order_id == f"{order.order_id}:sl.2"


def test_a_cancel_that_a_crash_has_swallowed_is_sent_again() -> None:
    bench = desk()
    order = enter(bench, **BRACKET)

    async def lost(order: object) -> None: ...

    bench.broker.cancel = lost
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id)
    assert set(shown(bench, order)) == {"sl"}
    del bench.broker.cancel
    again = restarted(bench)
    again.turn(2)
    assert shown(again, order) == {}


def test_exits_outlive_the_day_and_the_snapshot() -> None:
    bench = desk()
    order = enter(bench, **BRACKET)
    bench.clock.advance(86400)
    bench.gateway.intake.start_day("paper")
    bench.turn()
    assert bench.gateway.state.order(order.order_id) is None
    state = bench.gateway.state
    loaded = type(state).load([line.strip() for line in state.dump()])
    assert list(loaded.dump()) == list(state.dump())
    again = restarted(bench)
    trade(again, working(again, order)[Leg.TAKE_PROFIT].order_id)
    assert shown(again, order) == {}
    assert again.gateway.state.positions["ACC"] == {}


# ---------------------------------------------------------------- trailing


def test_a_trailing_stop_follows_the_best_price_and_never_loosens() -> None:
    bench = desk()
    order = enter(bench, trailing_stop="2")
    assert shown(bench, order) == {"sl": (100, D(98))}
    quote(bench, "103")
    assert shown(bench, order) == {"sl": (100, D(101))}
    quote(bench, "101.50")
    assert shown(bench, order) == {"sl": (100, D(101))}
    bench.turn(2)
    quote(bench, "104")
    assert shown(bench, order) == {"sl": (100, D(102))}
    again = restarted(bench)
    quote(again, "102.50")
    assert shown(again, order) == {"sl": (100, D(102))}


def test_a_trailing_stop_is_moved_once_a_second_at_most() -> None:
    bench = desk()
    order = enter(bench, trailing_stop="1%")
    for cents in range(100):
        quote(bench, f"{D(101) + D(cents) / 100}")
    assert len(bench.broker.replaced) == 1
    bench.turn(0.5)
    assert len(bench.broker.replaced) == 1
    bench.turn(0.5)
    bench.turn(0.5)
    assert len(bench.broker.replaced) == 2
    assert shown(bench, order) == {"sl": (100, D("100.98"))}


def test_the_tighter_of_the_fixed_and_the_trailing_stop_holds() -> None:
    bench = desk()
    order = enter(bench, stop_loss="99", trailing_stop="5")
    assert shown(bench, order) == {"sl": (100, D(99))}
    quote(bench, "107")
    assert shown(bench, order) == {"sl": (100, D(102))}


def test_crossed_and_one_sided_quotes_move_nothing() -> None:
    bench = desk()
    order = enter(bench, trailing_stop="2")
    quote(bench, "200", "150")
    assert shown(bench, order) == {"sl": (100, D(98))}


@pytest.mark.parametrize("can", [EVERYTHING & ~Can.STOP, EVERYTHING & ~Can.REPLACE])
def test_where_the_venue_cannot_the_gateway_watches_the_stop(can: Can) -> None:
    bench = desk(can)
    order = enter(bench, take_profit="110", trailing_stop="2")
    assert set(shown(bench, order)) == {"tp"}
    quote(bench, "103")
    bench.turn(2)
    assert family(bench, order).prices[Leg.STOP_LOSS] == D(101)
    again = restarted(bench)
    quote(again, "101.50")
    assert set(shown(again, order)) == {"tp"}
    quote(again, "101")
    assert again.broker.sent[-1].leg is Leg.CLOSE
    assert again.gateway.state.positions["ACC"] == {}
    assert shown(again, order) == {}


# ---------------------------------------------------------------- hold time


def test_a_position_is_closed_when_its_time_is_over_and_not_before() -> None:
    bench = desk()
    order = enter(bench, 40, **BRACKET, hold=60)
    bench.turn(30)
    trade(bench, order.order_id)
    bench.turn(29)
    assert set(shown(bench, order)) == {"sl", "tp"}
    bench.turn(1)
    bench.turn(1)
    close = bench.broker.sent[-1]
    assert (close.leg, close.order_type, close.quantity, close.side) == (Leg.CLOSE, OrderType.MARKET, 100, Side.SELL)
    assert bench.gateway.state.positions["ACC"] == {}
    assert shown(bench, order) == {}
    bench.turn(100)
    assert len(bench.broker.sent) == 4


def test_a_hold_time_that_ended_while_we_were_away_ends_at_once() -> None:
    bench = desk()
    order = enter(bench, **BRACKET, hold=60)
    again = restarted(bench, 3600)
    again.turn(1)
    assert again.gateway.state.positions["ACC"] == {}
    assert shown(again, order) == {}


def test_a_close_waits_until_the_other_exits_are_out_of_the_way() -> None:
    bench = desk()
    order = enter(bench, **BRACKET, hold=60)
    bench.broker.deaf = True
    bench.turn(61)
    bench.turn(1)
    assert [each.leg for each in bench.broker.sent] == [None, Leg.STOP_LOSS, Leg.TAKE_PROFIT]
    trade(bench, working(bench, order)[Leg.TAKE_PROFIT].order_id, 30)
    bench.broker.listen()
    bench.turn()
    assert (bench.broker.sent[-1].leg, bench.broker.sent[-1].quantity) == (Leg.CLOSE, 70)
    assert bench.gateway.state.positions["ACC"] == {}


def test_a_close_never_opens_a_position() -> None:
    bench = desk()
    enter(bench, hold=60)
    bench.submit(side=Side.SELL, quantity=D(60))
    bench.turn(61)
    bench.turn(1)
    assert (bench.broker.sent[-1].leg, bench.broker.sent[-1].quantity) == (Leg.CLOSE, 40)
    assert bench.gateway.state.positions["ACC"] == {}
    bench.turn(61)
    assert len(bench.broker.sent) == 3
    assert list(bench.gateway.state.families) == []


def test_where_the_market_stands_still_the_close_goes_out_with_its_next_price(logged: Logged) -> None:
    bench = desk()
    bench.broker.refuse[OrderType.MARKET] = Reason.NO_PRICE
    order = enter(bench, hold=60)
    bench.turn(61)
    while len(bench.broker.sent) < 7:
        bench.turn(1)
    bench.broker.refuse.clear()
    quote(bench, "100")
    assert bench.gateway.state.positions["ACC"] == {}
    assert bench.broker.sent[-1].client_order_id == f"{order.order_id}:close.7"
    for _ in range(6):
        logged.expect("Exits of order")


def test_where_the_market_is_closed_the_close_goes_out_with_its_next_price(logged: Logged) -> None:
    bench = desk()
    bench.broker.refuse[OrderType.MARKET] = Reason.MARKET_CLOSED
    order = enter(bench, hold=60)
    bench.turn(61)
    bench.turn(1)
    for _ in range(10):
        bench.turn(60)
    assert [each.leg for each in bench.broker.sent] == [None, Leg.CLOSE]
    bench.broker.refuse.clear()
    quote(bench, "100")
    assert bench.gateway.state.positions["ACC"] == {}
    assert bench.broker.sent[-1].client_order_id == f"{order.order_id}:close.2"
    logged.expect("Exits of order")


# ---------------------------------------------------------------- groups


def pair(bench: Bench, quantity: int = 100) -> tuple[str, str]:
    """Two orders of which one is to cancel the other."""
    terms = {"side": Side.SELL, "quantity": D(quantity), "oco": "pair"}
    profit = bench.submit(order_type=OrderType.LIMIT, limit_price=D(110), **terms).order
    stop = bench.submit(order_type=OrderType.STOP, stop_price=D(95), **terms).order
    return profit.order_id, stop.order_id


def test_of_a_group_one_reduces_and_ends_the_other() -> None:
    bench = desk()
    profit, stop = pair(bench)
    trade(bench, profit, 30)
    assert bench.broker.book[stop].quantity == 70
    trade(bench, profit, 20)
    assert bench.broker.book[stop].quantity == 50
    again = restarted(bench)
    assert again.broker.book[stop].quantity == 50, "what was taken off is not taken off again"
    trade(again, profit)
    assert again.broker.book[stop].status is S.CANCELED
    assert again.gateway.state.families.groups == {}


def test_where_the_venue_cannot_replace_the_first_fill_ends_the_others() -> None:
    bench = desk(EVERYTHING & ~Can.REPLACE)
    profit, stop = pair(bench)
    trade(bench, profit, 1)
    assert bench.broker.book[stop].status is S.CANCELED
    assert bench.broker.book[profit].status is S.PARTIALLY_FILLED


def test_a_group_that_was_filled_takes_no_more_orders_that_day() -> None:
    bench = desk()
    profit, _ = pair(bench)
    trade(bench, profit)
    late = bench.submit(side=Side.SELL, oco="pair").order
    assert (late.status, late.reason) == (S.DENIED, Reason.OCO_FILLED)
    again = restarted(bench)
    assert again.submit(side=Side.SELL, oco="pair").order.reason is Reason.OCO_FILLED
    assert again.submit(account="OTHER", oco="pair").order.status is S.FILLED, "an account's groups are its own"
    again.clock.advance(86400)
    again.gateway.intake.start_day("paper")
    assert again.submit(oco="pair").order.status is S.FILLED


def test_a_group_that_ended_without_a_fill_may_begin_again() -> None:
    bench = desk()
    for order_id in pair(bench):
        bench.do(bench.gateway.cancel(order_id, "me"))
    assert bench.submit(oco="pair").order.status is S.FILLED


def test_two_of_a_group_filled_at_once_are_said(logged: Logged) -> None:
    bench = desk()
    profit, stop = pair(bench)
    bench.broker.trade(profit)
    bench.broker.trade(stop)
    bench.turn()
    differences = [each.event for each in bench.journal.records() if isinstance(each.event, DifferenceFound)]
    assert [(each.what, each.key, each.ours, each.theirs) for each in differences] == [
        ("oco", "ACC/pair", "100", "200")
    ]
    logged.expect("oco")


def test_two_entries_of_a_group_and_the_exits_of_the_one_that_was_filled() -> None:
    bench = desk()
    low = enter(bench, 0, oco="breakout", **BRACKET)
    high = enter(bench, 0, oco="breakout", **BRACKET)
    trade(bench, low.order_id)
    assert bench.broker.book[high.order_id].status is S.CANCELED
    assert shown(bench, low) == {"sl": (100, D(95)), "tp": (100, D(110))}
    assert shown(bench, high) == {}


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"take_profit": "99"}, Reason.BAD_PRICE),
        ({"take_profit": "100"}, Reason.BAD_PRICE),
        ({"stop_loss": "101"}, Reason.BAD_PRICE),
        ({"stop_loss": "95.001"}, Reason.BAD_TICK),
        ({"stop_loss": "-5"}, Reason.BAD_PRICE),
        ({"stop_loss": "0"}, Reason.BAD_PRICE),
        ({"stop_loss": "100 away"}, Reason.BAD_PRICE),
        ({"take_profit": "1e30"}, Reason.BAD_PRICE),
        ({"trailing_stop": "1e29 away"}, Reason.BAD_PRICE),
        ({"stop_loss": "100%"}, Reason.BAD_PRICE),
        ({"trailing_stop": "150"}, Reason.BAD_PRICE),
        ({"trailing_stop": "0%"}, Reason.BAD_PRICE),
        ({"side": Side.SELL, "take_profit": "101"}, Reason.BAD_PRICE),
        ({"side": Side.SELL, "take_profit": "100 away"}, Reason.BAD_PRICE),
        ({"side": Side.SELL, "stop_loss": "99"}, Reason.BAD_PRICE),
        ({"hold": 0}, Reason.BAD_QUANTITY),
        ({"hold": 10**9}, Reason.BAD_QUANTITY),
    ],
)
def test_exits_that_make_no_sense_are_refused(given: dict[str, object], reason: Reason) -> None:
    bench = desk()
    order = enter(bench, 0, **given)
    assert (order.status, order.reason) == (S.DENIED, reason)
    assert bench.broker.sent == []


def moves(bench: Bench, order: Order, limit: str | None = None, stop: str | None = None) -> Reason | None:
    """Change an order's price; why it was refused, and then nothing of it has changed and nothing was sent."""
    sent = len(bench.broker.replaced)
    try:
        bench.do(bench.gateway.replace(order.order_id, None, limit and D(limit), stop and D(stop), "me"))
    except Refused as refused:
        assert len(bench.broker.replaced) == sent
        now = bench.gateway.state.order(order.order_id)
        assert now is not None
        assert (now.limit_price, now.stop_price) == (order.limit_price, order.stop_price)
        assert kinds(bench)[-1] == "ChangeDenied"
        return refused.reason
    assert len(bench.broker.replaced) == sent + 1
    return None


@pytest.mark.parametrize(
    ("given", "bad", "good"),
    [
        ({"stop_loss": "95"}, "101", "99.50"),
        ({"stop_loss": "95"}, "99.99", "99.98"),  # the bid is at the stop: it would trade at once
        ({"trailing_stop": "5"}, "101", "99"),
        ({"side": Side.SELL, "stop_loss": "105"}, "100.01", "100.02"),
    ],
)
def test_a_stop_is_not_moved_to_where_the_market_has_passed_it(given: dict[str, Any], bad: str, good: str) -> None:
    bench = desk()
    stop = working(bench, enter(bench, **given))[Leg.STOP_LOSS]
    assert moves(bench, stop, stop=bad) is Reason.BAD_PRICE
    assert moves(bench, stop, stop=good) is None


def test_a_profit_that_is_moved_to_the_market_is_taken_now() -> None:
    bench = desk()
    profit = working(bench, enter(bench, **BRACKET))[Leg.TAKE_PROFIT]
    assert moves(bench, profit, limit="99") is None


def test_where_no_price_was_seen_an_exit_is_moved_as_it_was_sent() -> None:
    bench = desk()
    stop = working(bench, enter(bench, stop_loss="95"))[Leg.STOP_LOSS]
    bench.touch = None
    assert moves(bench, stop, stop="101") is None


def test_by_an_old_price_an_exit_is_judged_as_it_was_when_it_was_sent() -> None:
    bench = desk()
    order = enter(bench, stop_loss="95")
    bench.quoted = bench.now()
    bench.turn(3600)
    assert enter(bench, 0, stop_loss="101").reason is Reason.BAD_PRICE
    assert moves(bench, working(bench, order)[Leg.STOP_LOSS], stop="101") is Reason.BAD_PRICE


def test_an_exit_of_an_earlier_days_entry_is_judged_too() -> None:
    bench = desk()
    order = enter(bench, stop_loss="95")
    bench.turn(86400)
    assert bench.gateway.state.order(order.order_id) is None
    assert moves(bench, working(bench, order)[Leg.STOP_LOSS], stop="101") is Reason.BAD_PRICE


def test_an_entry_is_not_moved_past_its_own_exits() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    assert moves(bench, order, limit="95") is Reason.BAD_PRICE
    assert moves(bench, order, limit="96") is None
    order = bench.gateway.state.working[order.order_id]
    bench.do(bench.gateway.end_exits(order.order_id, "me"))
    assert moves(bench, order, limit="90") is None


def test_an_attached_exit_is_held_against_its_entrys_price_while_that_waits() -> None:
    bench = desk(EVERYTHING | Can.BRACKET, Holder)
    bench.touch = (D("104.99"), D("105.01"))
    order = enter(bench, 0, **BRACKET)
    legs = working(bench, order)
    assert all(each.attached for each in legs.values())
    assert moves(bench, legs[Leg.STOP_LOSS], stop="100") is Reason.BAD_PRICE
    assert moves(bench, legs[Leg.STOP_LOSS], stop="98") is None
    assert moves(bench, legs[Leg.TAKE_PROFIT], limit="99") is Reason.BAD_PRICE
    assert moves(bench, legs[Leg.TAKE_PROFIT], limit="104") is None


def test_the_gateway_itself_moves_a_stop_wherever_its_plan_says() -> None:
    bench = desk()
    order = enter(bench, 50, stop_loss="1%")
    assert shown(bench, order) == {"sl": (50, D(99))}
    bench.touch = (D("98"), D("98.02"))
    trade(bench, order.order_id, 50, "110")
    assert shown(bench, order) == {"sl": (100, D("103.95"))}


@pytest.mark.parametrize(
    ("lacks", "given"),
    [(Can.LIMIT, {"take_profit": "110"}), (Can.MARKET, {"hold": 5}), (Can.STOP | Can.MARKET, {"stop_loss": "95"})],
)
def test_exits_that_the_venue_cannot_do_are_refused(lacks: Can, given: dict[str, object]) -> None:
    bench = desk(EVERYTHING & ~lacks)
    terms = {"order_type": OrderType.STOP_LIMIT, "limit_price": D(101), "stop_price": D("100.50")}
    assert bench.submit(**terms, exits=plan(**given)).order.reason is Reason.UNSUPPORTED


def test_the_exits_are_part_of_what_a_key_stands_for() -> None:
    bench = desk()
    enter(bench, 0, client_order_id="k", stop_loss="95.0")
    assert enter(bench, 0, client_order_id="k", stop_loss="95").client_order_id == "k"
    with pytest.raises(Refused, match="already stands for another order"):
        enter(bench, 0, client_order_id="k", stop_loss="94")
    with pytest.raises(Refused, match="already stands for another order"):
        enter(bench, 0, client_order_id="k")


def test_a_venue_that_was_never_up_is_left_alone() -> None:
    bench = desk()
    order = enter(bench, 0, **BRACKET)
    again = bench.restart()
    again.turn(10)
    assert again.gateway.intake.status["paper"] is VenueStatus.DOWN
    assert shown(again, order) == {}
