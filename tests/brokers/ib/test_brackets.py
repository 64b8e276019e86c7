"""A parent and its children on the emulated TWS: all of them or none, whatever is refused, changed or cut off."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ib.conftest import Trials, begin_anew
from tests.emulators.tws.control import Control
from txgateway.brokers import Can
from txgateway.brokers.conformance.trial import ENDS, Trial
from txgateway.brokers.ib.options import mistakes
from txgateway.model.events import OrderAccepted, OrderCanceled, OrderRejected, OrderReplaced
from txgateway.model.exits import Leg
from txgateway.model.fault import FaultKind
from txgateway.model.order import Order, OrderType, Side


def theirs(tws: Control) -> dict[str, dict[str, Any]]:
    """The orders that TWS works on, by our ids."""
    return {each["ref"]: each for each in tws.do_orders() if each["status"] in ("PreSubmitted", "Submitted")}


def three(trial: Trial, profit: str = "9000", stop: str = "0.5") -> tuple[Order, Order, Order]:
    """A bracket that is not sent yet."""
    entry = trial.order()
    terms: dict[str, Any] = {"side": Side.SELL, "parent": entry.order_id, "attached": True}
    first = trial.order(**terms, leg=Leg.TAKE_PROFIT, limit_price=D(profit))
    return entry, first, trial.order(OrderType.STOP, **terms, leg=Leg.STOP_LOSS, stop_price=D(stop))


async def send(trial: Trial, orders: tuple[Order, Order, Order]) -> None:
    await trial.ask(trial.broker.submit_bracket(orders[0], orders[1:]))


@pytest_twisted.ensureDeferred
async def test_the_children_name_their_parent_and_are_one_group(trial: Trial, tws: Control) -> None:
    entry, profit, stop = await trial.bracket()
    there = theirs(tws)
    parent = there[entry.order_id]
    for each in (profit, stop):
        assert there[each.order_id]["parent"] == parent["id"]
        assert there[each.order_id]["oca"] == str(parent["perm"])
    assert (parent["parent"], parent["oca"]) == (0, "")


@pytest_twisted.ensureDeferred
async def test_where_the_last_is_refused_nothing_is_there(trial: Trial, tws: Control) -> None:
    """What TWS was given and not told to transmit would wait there, for a person's click."""
    orders = three(trial, stop="0.505")
    await send(trial, orders)
    for each in orders:
        await trial.until(partial(trial.events, each, OrderRejected), "each is refused")
    assert "minimum price variation" in trial.events(orders[2], OrderRejected)[0].text
    words = trial.events(orders[0], OrderRejected)[0].text
    assert words.startswith("Another order of its bracket was refused: The price does not conform")
    assert not tws.emulator.book.open
    assert not any(trial.events(each, OrderAccepted) for each in orders)


@pytest_twisted.ensureDeferred
async def test_where_the_profit_is_refused_the_entry_has_its_stop(trial: Trial, tws: Control) -> None:
    orders = entry, profit, stop = three(trial, profit="9000.005")
    await send(trial, orders)
    await trial.until(lambda: trial.events(profit, OrderRejected), "the profit is refused")
    for each in (entry, stop):
        assert trial.events(each, OrderAccepted)
        assert not trial.events(each, *ENDS)
    assert set(theirs(tws)) == {entry.order_id, stop.order_id}


@pytest_twisted.ensureDeferred
async def test_where_the_entry_is_refused_all_are(trial: Trial, tws: Control) -> None:
    tws.do_fault("rejected_order")
    orders = three(trial)
    await send(trial, orders)
    await trial.until(lambda: all(trial.events(each, *ENDS) for each in orders), "each has ended")
    assert "the exchange does not want it" in trial.events(orders[0], *ENDS)[0].text
    assert theirs(tws) == {}


@pytest_twisted.ensureDeferred
async def test_too_many_messages_leave_nothing_that_waits_for_a_click(trial: Trial, tws: Control) -> None:
    await trial.inject(FaultKind.RATE_LIMIT)
    orders = three(trial)
    await trial.doubtful(trial.broker.submit_bracket(orders[0], orders[1:]))
    await trial.still()
    book = tws.emulator.book
    assert all(order.transmitted for order in book.open.values())
    for each in orders:
        ended = trial.events(each, *ENDS)
        assert bool(ended) or await trial.reported(each) is None


@pytest_twisted.ensureDeferred
async def test_an_algorithm_is_the_entrys_own(trial: Trial) -> None:
    """IB has none for stops: the bracket would be refused."""
    route = '{"Adaptive": {"adaptivePriority": "Patient", "outsideRth": true}}'
    entry, profit, stop = (replace(each, route=route) for each in three(trial))
    await send(trial, (entry, profit, stop))
    await trial.until(lambda: trial.events(stop, OrderAccepted), "the last is accepted")
    raw = {each.order_id: trial.broker._session.book.find(each.order_id).raw for each in (entry, profit, stop)}  # type: ignore[attr-defined]
    assert [raw[each.order_id].algoStrategy for each in (entry, profit, stop)] == ["Adaptive", "", ""]
    assert [raw[each.order_id].outsideRth for each in (entry, profit, stop)] == [True, True, True]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("filled", [False, True])
@pytest_twisted.ensureDeferred
async def test_children_are_changed_and_stay_children(again: bool, filled: bool, trial: Trial, tws: Control) -> None:
    entry, profit, stop = await trial.bracket()
    if filled:
        await trial.fill(entry, entry.quantity)
    if again:
        await trial.reconnect()
    before = theirs(tws)
    await trial.replace(stop, stop_price=D("0.75"))
    await trial.until(lambda: trial.events(stop, OrderReplaced), "the stop is changed")
    await trial.replace(profit, quantity=profit.quantity * 2)
    await trial.until(lambda: trial.events(profit, OrderReplaced), "the profit is changed")
    after = theirs(tws)
    assert after[stop.order_id] == {**before[stop.order_id], "stop": "0.75"}
    assert after[profit.order_id] == {**before[profit.order_id], "quantity": f"{profit.quantity * 2:f}"}
    if not filled:
        await trial.fill(entry, entry.quantity)
    await trial.fill(stop, stop.quantity / 2)
    await trial.until(lambda: trial.events(profit, OrderReplaced)[1:], "the profit is told to be less")


@pytest_twisted.ensureDeferred
async def test_a_cancel_of_one_is_told_of_both_and_leaves_the_position(trial: Trial) -> None:
    entry, profit, stop = await trial.bracket()
    await trial.fill(entry, entry.quantity)
    await trial.cancel(profit)
    for each in (profit, stop):
        await trial.until(partial(trial.events, each, OrderCanceled), "both ends are told")
    await trial.cancel(stop)
    await trial.still()
    assert len(trial.events(stop, *ENDS)) == 1


@pytest_twisted.ensureDeferred
async def test_a_bracket_whose_answer_is_lost_is_found(trial: Trial, tws: Control) -> None:
    await trial.inject(FaultKind.LOST_ACK)
    orders = three(trial)
    await trial.doubtful(trial.broker.submit_bracket(orders[0], orders[1:]))
    if len(trial.statuses()) > 2:
        await trial.connected(0)
    await trial.reconnect()
    for each in orders:
        assert await trial.reported(each), "it is among the open orders"
    with pytest.raises(Exception, match="is not sent a second time"):
        await send(trial, orders)
    assert len(theirs(tws)) == 3


@pytest_twisted.ensureDeferred
async def test_a_new_process_finds_them_and_what_they_are(trial: Trial) -> None:
    names = [f"01JDF3N8Q0ABCDEFGHJ{number}" for number in range(3)]
    made = (replace(each, order_id=name) for each, name in zip(three(trial), names, strict=True))
    entry, profit, stop = (replace(each, parent=names[0]) if each.leg else each for each in made)
    await send(trial, (entry, profit, stop))
    await begin_anew(trial)
    await trial.fill(entry, entry.quantity)
    await trial.replace(stop, stop_price=D("0.75"))
    await trial.until(lambda: trial.events(stop, OrderReplaced), "the stop is changed")
    await trial.fill(profit, profit.quantity)
    await trial.until(lambda: trial.events(stop, OrderCanceled), "the stop is ended by IB")


@pytest_twisted.ensureDeferred
async def test_where_they_are_the_gateways_they_are_not_claimed(trials: Trials) -> None:
    trial = trials(brackets="gateway")
    assert Can.BRACKET not in trial.broker.can
    assert mistakes({"brackets": "both"}) == {
        "brackets": "give native (exits go to IB with their entry) or gateway (they follow its fills)"
    }
