"""C50 to C59: executions."""

from __future__ import annotations

from datetime import timedelta

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ZERO, Trial, is_amount, require
from txgateway.model.events import Executed, OrderAccepted


@case(50, Can.MARKET)
async def a_fill_is_what_was_traded(trial: Trial) -> None:
    """A fill has a quantity and a price above zero, in Decimal, with account, symbol and side as ordered, and an id:
    money is counted by it. One that has only the broker's id of its order is told after OrderAccepted: before, it is
    nobody's."""
    await trial.begin()
    order = await trial.buy()
    told = trial.events(order, OrderAccepted, Executed)
    early = [each for each in told[:1] if isinstance(each, Executed) and not each.order_id]
    require(not early, "its fill was told before OrderAccepted, and without our id")
    for each in trial.fills(order):
        amounts = (each.quantity, each.price)
        require(all(is_amount(number) and number > 0 for number in amounts), f"it traded {amounts}")
        wanted, got = (order.account, order.symbol, order.side), (each.account, each.symbol, each.side)
        require(got == wanted, f"it is told as {got}, not {wanted}")
        require(each.venue == trial.broker.venue, f"it is told of venue {each.venue!r}")
        require(each.execution_id, "it has no id")
        require(is_amount(each.commission), f"its commission is {each.commission!r}")


@case(51, Can.MARKET)
async def fills_have_the_venues_time(trial: Trial) -> None:
    """A fill's time is aware UTC, by the venue's clock and not ahead of it: what was missed is asked for by it."""
    broker = await trial.begin()
    before = broker.now()
    order = await trial.buy()
    after = broker.now()
    for each in trial.fills(order):
        require(each.time.utcoffset() == timedelta(0), f"{each.time!r} is not aware UTC")
        early, late = before - timedelta(seconds=2), after + timedelta(seconds=2)
        require(early <= each.time <= late, f"{each.time} is not between {before} and {after}")


@case(52, Can.LIMIT)
async def partial_fills_add_up(trial: Trial) -> None:
    """Partial fills are told one by one, each with its own quantity, until they add up to the order's: told as running
    totals, a position would be counted twice."""
    await trial.begin()
    order, tenth = await trial.rest(), trial.subject.quantity / 10
    for share in (2, 3, 5):
        await trial.fill(order, tenth * share)
    await trial.still()
    parts = [fill.quantity for fill in trial.fills(order)]
    require(sum(parts, ZERO) == order.quantity, f"the fills are {parts} of {order.quantity}")
    require(await trial.reported(order) is None, "it is filled and still among the open orders")


@case(53, Can.MARKET)
async def execution_ids_are_unique(trial: Trial) -> None:
    """No two fills of an account have one id: the second would be taken for the first told again."""
    await trial.begin()
    orders = [await trial.buy() for _ in range(3)]
    ids = [fill.execution_id for order in orders for fill in trial.fills(order)]
    require(len(set(ids)) == len(ids) >= 3, f"the ids are {ids}")


@case(54, Can.MARKET | Can.EXECUTION_HISTORY)
async def the_history_has_what_was_told(trial: Trial) -> None:
    """`executions(None)` gives every fill with the id, quantity and price that were told: a fill is known again by its
    id, and what was missed is found there."""
    await trial.begin()
    order = await trial.buy()
    told = {each.execution_id: (each.quantity, each.price) for each in trial.fills(order)}
    kept = {each.execution_id: (each.quantity, each.price) for each in await trial.executions_of(order)}
    require(kept == told, f"the history has {kept}, told was {told}")


@case(55, Can.MARKET | Can.EXECUTION_HISTORY)
async def the_history_begins_after_since(trial: Trial) -> None:
    """`executions(since)` leaves out no fill after `since`, and gives none before it: after a reconnect the desk asks
    from the last one that it knows."""
    broker = await trial.begin()
    fills = []
    for _ in range(3):
        fills += trial.fills(await trial.buy())
        await trial.still()
    since = fills[0].time
    found = {each.execution_id: each.time for each in await trial.ask(broker.executions(since))}
    missing = [each.execution_id for each in fills if each.time > since and each.execution_id not in found]
    require(not missing, f"{missing} came after {since} and were left out")
    require(all(time >= since for time in found.values()), f"asked from {since}, it gave {found}")


@case(56, Can.MARKET | Can.EXECUTION_HISTORY)
async def the_history_after_the_last_fill_is_empty(trial: Trial) -> None:
    """`executions` of a time after the last fill gives nothing: an empty answer means that nothing was missed."""
    broker = await trial.begin()
    last = max(each.time for each in trial.fills(await trial.buy()))
    found = await trial.ask(broker.executions(last + timedelta(microseconds=1)))
    require(not found, f"it gave {[each.execution_id for each in found]}")
