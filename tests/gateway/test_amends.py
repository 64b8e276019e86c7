"""What the gateway keeps of an order, changed while it works and after: exits that come, move and go; a time to end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.desk import Bench
from tests.gateway.exits_desk import desk, enter, family, plan, restarted, shown, trade
from txgateway.amends import Amendment
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import ExitsEnded, ExitTriggered
from txgateway.model.exits import ExitPlan
from txgateway.model.order import Order, OrderStatus, OrderType, Side
from txgateway.state import State

S = OrderStatus


def amend(bench: Bench, order: Order, **more: Any) -> Order:
    """Change what is kept of an order; the levels as their words."""
    names = {name: more.pop(name) for name in ("take_profit", "stop_loss", "hold") if name in more}
    exits = plan(**names) if names else more.pop("exits", None)
    bench.do(bench.gateway.amends.amend(order.order_id, exits, lambda: Amendment(**more), "ALGO"))
    bench.turn(1)
    found = bench.gateway.state.order(order.order_id)
    assert found is not None
    return found


def whole(bench: Bench) -> dict[str, Any]:
    """What a position that an order filled is told with."""
    return {"left": D(100), "price": D(100), "began": bench.now()}


def test_levels_of_working_exits_move() -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    changed = amend(bench, order, take_profit="120", stop_loss="90")
    assert shown(bench, order) == {"sl": (100, D(90)), "tp": (100, D(120))}
    assert changed.exits == plan(take_profit="120", stop_loss="90")
    assert len(bench.broker.sent) == 3
    assert changed.updates[-1].event == "OrderAmended"


def test_a_level_that_goes_takes_its_order_along_and_may_come_back() -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    amend(bench, order, take_profit="110")
    assert shown(bench, order) == {"tp": (100, D(110))}
    amend(bench, order, take_profit="110", stop_loss="96")
    assert shown(bench, order) == {"sl": (100, D(96)), "tp": (100, D(110))}
    amend(bench, order, exits=ExitPlan())
    assert shown(bench, order) == {}
    amend(bench, order, stop_loss="94")
    assert shown(bench, order) == {"sl": (100, D(94))}


def test_exits_come_to_a_position_that_had_none() -> None:
    bench = desk()
    order = enter(bench)
    assert shown(bench, order) == {}
    amend(bench, order, take_profit="105", stop_loss="99", **whole(bench))
    assert shown(bench, order) == {"sl": (100, D(99)), "tp": (100, D(105))}
    held = family(bench, order)
    assert (held.left, held.average_price) == (100, 100)
    trade(bench, next(each.order_id for each in bench.broker.sent if each.leg == "tp"))
    assert family(bench, order).left == 0
    assert shown(bench, order) == {}


def test_exits_come_to_an_entry_that_waits() -> None:
    bench = desk()
    order = enter(bench, 0)
    amend(bench, order, stop_loss="99")
    assert shown(bench, order) == {}
    trade(bench, order.order_id, 40)
    assert shown(bench, order) == {"sl": (40, D(99))}
    amend(bench, order, stop_loss="98")
    trade(bench, order.order_id)
    assert shown(bench, order) == {"sl": (100, D(98))}


def test_they_come_to_a_position_of_an_earlier_day() -> None:
    bench = desk()
    order = enter(bench)
    bench.turn(86400)
    assert bench.gateway.state.order(order.order_id) is None
    began = bench.now() - timedelta(days=1)
    facts = Amendment(left=D(100), price=D(100), began=began)
    bench.do(bench.gateway.amends.amend(order.order_id, plan(stop_loss="99"), lambda: facts, "ALGO"))
    assert shown(bench, order) == {"sl": (100, D(99))}


def test_a_hold_time_counts_from_the_first_fill() -> None:
    bench = desk()
    order = enter(bench)
    facts = whole(bench)
    bench.turn(50)
    amend(bench, order, hold=60, **facts)
    assert family(bench, order).left == 100
    bench.turn(10)
    assert family(bench, order).left == 0
    assert bench.gateway.state.positions["ACC"] == {}


def test_who_ended_the_exits_did_so_before() -> None:
    bench = desk()
    order = enter(bench, stop_loss="95")
    bench.do(bench.gateway.end_exits(order.order_id, "me"))
    bench.turn(1)
    assert shown(bench, order) == {}
    amend(bench, order, stop_loss="96", **whole(bench))
    assert shown(bench, order) == {"sl": (100, D(96))}
    assert isinstance(bench.told[-1].record.event, ExitsEnded) is False


def test_a_price_set_by_hand_stays_unless_that_level_is_changed() -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    stop = next(each.order_id for each in bench.broker.sent if each.leg == "sl")
    bench.do(bench.gateway.replace(stop, None, None, D(97), "me"))
    amend(bench, order, take_profit="120", stop_loss="95")
    assert shown(bench, order) == {"sl": (100, D(97)), "tp": (100, D(120))}
    amend(bench, order, take_profit="120", stop_loss="93")
    assert shown(bench, order) == {"sl": (100, D(93)), "tp": (100, D(120))}


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ({"stop_loss": "101"}, Reason.BAD_PRICE),
        ({"take_profit": "99"}, Reason.BAD_PRICE),
        ({"stop_loss": "95.001"}, Reason.BAD_TICK),
        ({"hold": 10**9}, Reason.BAD_QUANTITY),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(levels: dict[str, Any], reason: Reason) -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    seq = bench.gateway.state.seq
    with pytest.raises(Refused) as refused:
        amend(bench, order, **levels)
    assert refused.value.reason is reason
    assert bench.gateway.state.seq == seq
    assert shown(bench, order) == {"sl": (100, D(95)), "tp": (100, D(110))}


def test_an_exit_has_none_and_what_is_being_closed_gets_none() -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    stop = next(each for each in bench.broker.sent if each.leg == "sl")
    with pytest.raises(Refused, match="is an exit of"):
        amend(bench, stop, stop_loss="96")
    bench.broker.fills_market = False
    bench.gateway.ledger.record(ExitTriggered(order.order_id, "a signal closes it.", bench.now()))
    bench.turn()
    with pytest.raises(Refused, match="is being closed"):
        amend(bench, order, stop_loss="96")


def test_only_what_is_new_is_judged() -> None:
    bench = desk()
    order = enter(bench, take_profit="110", stop_loss="95")
    bench.touch = (D("109.99"), D("110.01"))  # the profit is about to be filled
    assert amend(bench, order, take_profit="110", stop_loss="96").exits == plan(take_profit="110", stop_loss="96")
    with pytest.raises(Refused, match="must be above"):
        amend(bench, order, take_profit="109", stop_loss="96")


def test_nothing_is_attached_to_what_is_halted_or_flattened() -> None:
    bench = desk()
    order = enter(bench, stop_loss="95")
    bench.gateway.halt("enough", "me")
    with pytest.raises(Refused) as refused:
        amend(bench, order, stop_loss="96")
    assert refused.value.reason is Reason.HALTED
    assert amend(bench, order, stop_loss="95", reference="said anew").exits == plan(stop_loss="95")
    bench.gateway.resume("me")
    assert amend(bench, order, stop_loss="96").exits == plan(stop_loss="96")


def test_all_of_it_survives_a_crash() -> None:
    bench = desk()
    order = enter(bench)
    amend(bench, order, take_profit="105", stop_loss="99", **whole(bench))
    bench = restarted(bench)
    assert shown(bench, order) == {"sl": (100, D(99)), "tp": (100, D(105))}
    state = State()
    for record in bench.journal.records():
        state.apply(record)
    again = state.order(order.order_id)
    assert again is not None
    assert again.exits == plan(take_profit="105", stop_loss="99")


# ---------------------------------------------------------------- a time to end


def lasting(bench: Bench, seconds: int) -> Order:
    """A limit order that is not filled, and works so long."""
    until = bench.now() + timedelta(seconds=seconds)
    bench.broker.mode = "accept"
    reply = bench.submit(order_type=OrderType.LIMIT, limit_price=D(90), side=Side.BUY, good_till=until)
    order: Order = reply.order
    return order


def status(bench: Bench, order: Order) -> OrderStatus:
    """An order's status."""
    found = bench.gateway.state.order(order.order_id)
    assert found is not None
    return found.status


def test_an_order_is_ended_when_its_time_is_over_and_not_before() -> None:
    bench = desk()
    order = lasting(bench, 10)
    bench.turn(9)
    assert status(bench, order) is S.NEW
    bench.turn(2)
    ended = bench.gateway.state.order(order.order_id)
    assert ended is not None
    assert (ended.status, ended.reason) == (S.CANCELED, Reason.TIME_OVER)
    assert "It was to work until 2026-03-02 15:00:10 UTC." in ended.text


def test_the_time_can_be_moved_and_survives_a_crash() -> None:
    bench = desk()
    order = lasting(bench, 10)
    assert amend(bench, order, good_till=bench.now() + timedelta(seconds=30)).good_till is not None
    bench = restarted(bench)
    bench.turn(15)
    assert status(bench, order) is S.NEW
    bench.turn(20)
    assert status(bench, order) is S.CANCELED
