"""C30 to C49: cancels and replaces."""

from __future__ import annotations

from functools import partial

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ENDS, Trial, require
from txgateway.model.errors import Refused
from txgateway.model.events import CancelRejected, OrderCanceled, OrderReplaced, ReplaceRejected
from txgateway.model.order import Order, OrderStatus


async def _refused(trial: Trial, order: Order, kind: type, work: str) -> None:
    await trial.until(lambda: trial.events(order, kind), f"{kind.__name__} is told of the {work}")
    rejected = trial.events(order, kind)[-1]
    require(rejected.text.strip(), f"the {work} was refused without a sentence")


@case(30, Can.LIMIT)
async def a_cancel_ends_a_resting_order(trial: Trial) -> None:
    """A cancel of a resting order is answered OrderCanceled, once, and the order is gone: it is terminal only on the
    broker's word."""
    await trial.begin()
    order = await trial.rest()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    await trial.still()
    ends = trial.events(order, *ENDS)
    require(len(ends) == 1, f"its end was told {len(ends)} times: {trial.story(order)}")
    require(await trial.reported(order) is None, "it is canceled and still among the open orders")


@case(31, Can.MARKET)
async def a_cancel_of_a_filled_order_is_refused(trial: Trial) -> None:
    """A cancel that comes after the fill is answered CancelRejected: told as canceled, a position would be denied."""
    await trial.begin()
    order = await trial.buy()
    await trial.cancel(order)
    await _refused(trial, order, CancelRejected, "cancel")
    require(not trial.events(order, *ENDS), f"the filled order was ended: {trial.story(order)}")


@case(32)
async def a_cancel_of_no_order_is_refused(trial: Trial) -> None:
    """A cancel of an order that never came is Refused or answered CancelRejected, never OrderCanceled: nothing was
    canceled."""
    await trial.begin()
    order = trial.order()
    try:
        await trial.cancel(order)
    except Refused:
        return
    await _refused(trial, order, CancelRejected, "cancel")
    require(not trial.events(order, *ENDS), f"an order that there is not was ended: {trial.story(order)}")


@case(33, Can.LIMIT)
async def a_cancel_ends_its_order_alone(trial: Trial) -> None:
    """A cancel leaves every other order as it is: what protects a position must not vanish with its neighbour."""
    await trial.begin()
    first, second = await trial.rest(), await trial.rest()
    await trial.cancel(first)
    await trial.until(lambda: trial.events(first, OrderCanceled), "OrderCanceled is told")
    await trial.still()
    require(not trial.events(second, *ENDS), "another order was ended with it")
    require(await trial.reported(second), "another order is gone with it")


@case(34, Can.LIMIT)
async def a_cancel_keeps_what_was_filled(trial: Trial) -> None:
    """Of an order canceled after a part was filled the fills stand, and add up to what the broker reports: they are
    the position."""
    broker = await trial.begin()
    order, part = await trial.rest(), trial.subject.quantity / 10 * 4
    await trial.fill(order, part)
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    require(trial.filled(order) == part, f"{trial.filled(order)} of it is told as filled, not {part}")
    if Can.LOOKUP in broker.can:
        report = await trial.ask(broker.lookup(order))
        wanted = (OrderStatus.CANCELED, part)
        require(report and (report.status, report.filled_quantity) == wanted, f"it is reported as {report}")


@case(35, Can.LIMIT)
async def a_second_cancel_is_harmless(trial: Trial) -> None:
    """A second cancel of the same order is refused or answered CancelRejected, and its end is not told twice."""
    await trial.begin()
    order = await trial.rest()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    try:
        await trial.cancel(order)
    except Refused:
        pass
    else:
        await _refused(trial, order, CancelRejected, "second cancel")
    require(len(trial.events(order, *ENDS)) == 1, f"its end was told twice: {trial.story(order)}")


@case(40, Can.LIMIT | Can.REPLACE)
async def a_replace_gives_the_terms_asked_for(trial: Trial) -> None:
    """A replace is answered OrderReplaced with the terms that now hold, the same that the broker reports: whoever
    counts exposure counts them."""
    await trial.begin()
    order = await trial.rest()
    quantity, limit = order.quantity * 2, trial.subject.low_price * 2
    await trial.replace(order, quantity=quantity, limit_price=limit)
    await trial.until(lambda: trial.events(order, OrderReplaced), "OrderReplaced is told")
    told = trial.events(order, OrderReplaced)[-1]
    require((told.quantity, told.limit_price) == (quantity, limit), f"it was told as {told}")
    report = await trial.reported(order)
    require(report and (report.quantity, report.limit_price) == (quantity, limit), f"it is reported as {report}")


@case(41, Can.LIMIT | Can.REPLACE)
async def what_is_not_asked_for_stays(trial: Trial) -> None:
    """A replace of one term leaves the others as they are: None does not mean none."""
    await trial.begin()
    order = await trial.rest()
    await trial.replace(order, limit_price=trial.subject.low_price * 2)
    await trial.until(lambda: trial.events(order, OrderReplaced), "OrderReplaced is told")
    told, report = trial.events(order, OrderReplaced)[-1], await trial.reported(order)
    require(told.quantity == order.quantity, f"the quantity was told to become {told.quantity}")
    require(report and report.quantity == order.quantity, f"it is reported as {report}")


@case(42, Can.LIMIT | Can.REPLACE)
async def a_replace_of_a_closed_order_is_refused(trial: Trial) -> None:
    """A replace of an order that ended is answered ReplaceRejected and brings nothing back: it would trade unseen."""
    await trial.begin()
    order = await trial.rest()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    try:
        await trial.replace(order, quantity=order.quantity * 2)
    except Refused:
        pass
    else:
        await _refused(trial, order, ReplaceRejected, "replace")
    require(await trial.reported(order) is None, "the replaced order is open again")


@case(43, Can.LIMIT | Can.REPLACE)
async def a_refused_replace_changes_nothing(trial: Trial) -> None:
    """A replace to less than is filled is refused, and the order works on with its old terms: half a change is none
    that anybody asked for."""
    await trial.begin()
    order, part = await trial.rest(), trial.subject.quantity / 10 * 4
    await trial.fill(order, part)
    try:
        await trial.replace(order, quantity=part / 2)
    except Refused:
        pass
    else:
        await _refused(trial, order, ReplaceRejected, "replace")
    report = await trial.reported(order)
    require(report and report.quantity == order.quantity, f"it is reported as {report}")


@case(44, Can.LIMIT | Can.OCO)
async def what_one_fills_ends_the_others(trial: Trial) -> None:
    """When one of an oco group is filled whole the others are canceled, and told so: two exits filled are a position
    the other way."""
    await trial.begin()
    first, second, apart = [await trial.rest(oco=name) for name in ("group", "group", "another")]
    await trial.fill(first, first.quantity)
    await trial.until(lambda: trial.events(second, OrderCanceled), "OrderCanceled is told of the other")
    require(await trial.reported(second) is None, "the other is canceled and still among the open orders")
    require(not trial.events(apart, *ENDS), "an order of another group was ended with it")


@case(45, Can.LIMIT | Can.OCO)
async def what_one_fills_is_taken_off_the_others(trial: Trial) -> None:
    """What one of an oco group fills in part is taken off the others, told as OrderReplaced or OrderCanceled: together
    they never fill more than one of them."""
    await trial.begin()
    first, second = [await trial.rest(oco="group") for _ in range(2)]
    part = trial.subject.quantity / 10 * 4
    await trial.fill(first, part)
    await trial.until(lambda: trial.events(second, OrderReplaced, OrderCanceled), "the other is told to be less")
    report = await trial.reported(second)
    left = report.quantity - report.filled_quantity if report else 0
    require(left <= second.quantity - part, f"{left} of the other are left")


@case(46, Can.LIMIT | Can.OCO)
async def exits_of_one_parent_are_bound(trial: Trial) -> None:
    """The exits with one parent are bound together like an oco group: one closes what the entry opened, not both."""
    await trial.begin()
    first, second = [await trial.rest(parent="ENTRY") for _ in range(2)]
    await trial.fill(first, first.quantity)
    await trial.until(lambda: trial.events(second, OrderCanceled), "OrderCanceled is told of the other")


@case(47, Can.LIMIT | Can.STOP | Can.BRACKET)
async def a_bracket_waits_for_its_entry_and_ends_with_it(trial: Trial) -> None:
    """The exits of a bracket are accepted with their entry, each with an id of its own, and held: one that ends before
    it is filled whole ends them, and that is told. A leg that stays would open a position."""
    await trial.begin()
    orders = await trial.bracket()
    ids = {order.broker_order_id for order in orders}
    require(len(ids) == len(orders), f"the orders of a bracket have the ids {ids}")
    await trial.cancel(orders[0])
    for order in orders:
        await trial.until(partial(trial.events, order, OrderCanceled), "the end of each is told")
        require(await trial.reported(order) is None, "one has ended and is still among the open orders")
    require(not any(trial.fills(order) for order in orders), "one of them was filled")


@case(48, Can.LIMIT | Can.STOP | Can.BRACKET)
async def of_a_bracket_one_exit_ends_the_other(trial: Trial) -> None:
    """Once the entry is filled whole its exits work, and when one of them is filled whole the other is canceled, and
    told so."""
    await trial.begin()
    entry, profit, stop = await trial.bracket()
    await trial.fill(entry, entry.quantity)
    for order in (profit, stop):
        require(await trial.reported(order), "an exit is not among the open orders when its entry is filled")
        require(not trial.events(order, *ENDS), f"an exit ended with the fill of its entry: {trial.story(order)}")
    await trial.fill(profit, profit.quantity)
    await trial.until(lambda: trial.events(stop, OrderCanceled), "OrderCanceled is told of the other exit")
    require(await trial.reported(stop) is None, "the other is canceled and still among the open orders")


@case(49, Can.LIMIT | Can.STOP | Can.BRACKET)
async def of_a_bracket_what_one_exit_fills_is_taken_off_the_other(trial: Trial) -> None:
    """What one exit of a bracket fills in part is taken off the other, told as OrderReplaced: it still works for the
    rest of the position."""
    await trial.begin()
    entry, profit, stop = await trial.bracket()
    await trial.fill(entry, entry.quantity)
    part = trial.subject.quantity / 10 * 4
    await trial.fill(profit, part)
    await trial.until(lambda: trial.events(stop, OrderReplaced), "the other exit is told to be less")
    report = await trial.reported(stop)
    left = report.quantity - report.filled_quantity if report else 0
    require(left == stop.quantity - part, f"{left} of the other are left")
