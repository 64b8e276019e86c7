"""C101 to C117: what holds when something fails.

Each injects a fault, sees that it happened, and looks at what is true then. A subject that cannot inject a fault skips
its case.
"""

from __future__ import annotations

from datetime import timedelta

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ENDS, ZERO, Trial, require
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
)
from txgateway.model.fault import FaultKind
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderStatus, OrderType

LOST = [VenueStatus.DOWN, VenueStatus.CONNECTING, VenueStatus.RECONCILING]
FOUND = Can.LIMIT | Can.CLIENT_ORDER_ID | Can.LOOKUP


@case(101, FOUND)
async def a_lost_acknowledgement_loses_no_order(trial: Trial) -> None:
    """When the acknowledgement is lost the order is found by our id among the open ones: it works, and is not sent
    again. Who waits for it is left in doubt."""
    await trial.begin()
    await trial.inject(FaultKind.LOST_ACK)
    order = trial.order()
    await trial.doubtful(trial.broker.submit(order))
    await trial.still()
    require(not trial.events(order, OrderAccepted), "the acknowledgement was told: the fault did not happen")
    report = await trial.ask(trial.broker.lookup(order))
    require(report and report.status is OrderStatus.NEW, f"it is reported as {report}")
    require(await trial.reported(order), "it is not among the open orders")


@case(102, Can.MARKET | Can.EXECUTION_HISTORY)
async def a_late_fill_is_in_the_history_before(trial: Trial) -> None:
    """A fill that is told late is in the history at once, and told with the same id and time: found twice, it counts
    once."""
    await trial.begin()
    await trial.inject(FaultKind.LATE_FILL, "2")
    order = trial.order(OrderType.MARKET)
    await trial.ask(trial.broker.submit(order))
    kept = list(await trial.executions_of(order))
    require(kept and not trial.fills(order), "it was told before it was asked for: the fault did not happen")
    await trial.until(lambda: trial.filled(order) >= order.quantity, "the late fill is told")
    told = [(each.execution_id, each.time) for each in trial.fills(order)]
    require(told == [(each.execution_id, each.time) for each in kept], f"it is told as {told}, and kept as {kept}")


@case(103, Can.MARKET)
async def a_duplicated_fill_has_one_id(trial: Trial) -> None:
    """A fill that is told twice has the same id both times: that is how the second is known."""
    await trial.begin()
    await trial.inject(FaultKind.DUPLICATED_FILL, "0")
    order = await trial.buy()
    await trial.still()
    times = len(trial.events(order, Executed))
    require(times > len(trial.fills(order)), "every id was told once: the fault did not happen")
    require(trial.filled(order) == order.quantity, f"by their ids they add up to {trial.filled(order)}")


@case(104, Can.MARKET)
async def reordered_fills_are_all_told(trial: Trial) -> None:
    """Fills that are told out of their order are told all the same, each with its own order and id."""
    await trial.begin()
    await trial.inject(FaultKind.REORDERED_FILLS, "60")
    first, second = trial.order(OrderType.MARKET), trial.order(OrderType.MARKET)
    for order in (first, second):
        await trial.ask(trial.broker.submit(order))
    await trial.until(lambda: all(trial.filled(each) >= each.quantity for each in (first, second)), "both are filled")
    told = [each.order_id for each in trial.told if isinstance(each, Executed)]
    require(told[0] == second.order_id, "they were told in their order: the fault did not happen")


@case(105, FOUND)
async def a_fill_may_come_after_the_cancel(trial: Trial) -> None:
    """A fill from before the cancel that is told after it is told in full, and the order stays canceled with it: money
    moved."""
    await trial.begin()
    order = await trial.rest()
    await trial.inject(FaultKind.FILL_AFTER_CANCEL, "1")
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    require(not trial.fills(order), "the fill was told before the cancel: the fault did not happen")
    await trial.until(lambda: trial.fills(order), "the fill is told")
    report = await trial.ask(trial.broker.lookup(order))
    wanted = (OrderStatus.CANCELED, trial.filled(order))
    require(report and (report.status, report.filled_quantity) == wanted, f"it is reported as {report}")


@case(106, Can.LIMIT)
async def a_cancel_may_lose_its_race(trial: Trial) -> None:
    """A cancel that the fill overtook is answered CancelRejected, and the whole fill is told."""
    await trial.begin()
    order = await trial.rest()
    await trial.inject(FaultKind.CANCEL_RACE)
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, CancelRejected, *ENDS), "the cancel is answered")
    require(not trial.events(order, *ENDS), "it was canceled: the fault did not happen")
    await trial.until(lambda: trial.filled(order) == order.quantity, "the fill is told")


@case(107, Can.QUOTES | Can.LIMIT)
async def a_mute_feed_is_not_a_lost_link(trial: Trial) -> None:
    """When no prices come the connection is still up and takes orders, and prices come again: a mute feed is seen by
    the age of its last price alone."""
    await trial.begin()
    await trial.inject(FaultKind.MUTE_FEED, "3")
    since = len(trial.told)
    trial.broker.subscribe(trial.subject.symbol)
    await trial.rest()
    quotes = [each for each in trial.told[since:] if isinstance(each, Quote)]
    require(not quotes, "a quote was told: the fault did not happen")
    await trial.until(lambda: any(isinstance(each, Quote) for each in trial.told[since:]), "prices come again")
    require(not trial.statuses(since), f"it reported {trial.statuses(since)}")


@case(108, FOUND)
async def a_dead_link_is_found_dead(trial: Trial) -> None:
    """A link over which nothing comes is given up in time, with DOWN, and made anew; what vanished in it never arrived:
    an order in doubt must not stay so for ever."""
    await trial.begin()
    await trial.inject(FaultKind.HALF_OPEN, "2")
    since, order = len(trial.told), trial.order()
    await trial.doubtful(trial.broker.submit(order))
    require(not trial.events(order), f"it told {trial.story()}: the fault did not happen")
    await trial.connected(since)
    require(trial.statuses(since) == LOST, f"it reported {trial.statuses(since)}")
    require(await trial.ask(trial.broker.lookup(order)) is None, "what vanished is there")


async def _broken(trial: Trial, order: Order) -> None:
    """Send an order over a link that breaks under it, and wait until it is back."""
    since = len(trial.told)
    doubt = await trial.doubtful(trial.broker.submit(order))
    await trial.connected(since)
    require(trial.statuses(since) == LOST, f"it reported {trial.statuses(since)}: the fault did not happen, or badly")
    require(doubt or trial.events(order, OrderAccepted), "the sender was told neither of doubt nor of the order")


@case(109, FOUND)
async def a_broken_link_leaves_doubt_and_then_the_truth(trial: Trial) -> None:
    """An order under which the link breaks raises, and not Refused, for it may have arrived; afterwards the broker
    knows, one way or the other, and has it at most once."""
    broker = await trial.begin()
    await trial.inject(FaultKind.DROPPED_LINK, "1")
    order = trial.order()
    await _broken(trial, order)
    report = await trial.ask(broker.lookup(order))
    same = [each for each in await trial.ask(broker.open_orders()) if each.order_id == order.order_id]
    require(len(same) == (report is not None), f"looked up it is {report}, and {len(same)} of it are open")


@case(110, FOUND)
async def ids_that_begin_again_mix_nothing_up(trial: Trial) -> None:
    """When the broker's ids begin again, orders of the same id are known apart by ours: a cancel ends the one that is
    meant."""
    broker = await trial.begin()
    old = await trial.rest()
    await trial.inject(FaultKind.ID_ROLLBACK)
    new = await trial.rest()
    require(new.broker_order_id == old.broker_order_id, "its ids went on: the fault did not happen")
    open_ids = sorted(each.order_id or "" for each in await trial.ask(broker.open_orders()))
    require(open_ids == sorted([old.order_id, new.order_id]), f"open are {open_ids}")
    await trial.cancel(new)
    await trial.until(lambda: trial.events(new, OrderCanceled), "OrderCanceled is told")
    require(not trial.events(old, *ENDS) and await trial.reported(old), "the cancel ended the other one")
    await trial.cancel(new)
    await trial.until(lambda: trial.events(new, CancelRejected), "a cancel of what is closed is refused")
    require(await trial.reported(old), "a cancel of what is closed ended the other one")


@case(111, Can.LIMIT | Can.REPLACE)
async def a_half_done_replace_is_told_as_it_is(trial: Trial) -> None:
    """A replace of which one half is done is told with the terms that hold, the same that the broker reports: half a
    success told as a whole is a wrong exposure."""
    await trial.begin()
    order = await trial.rest()
    await trial.inject(FaultKind.HALF_REPLACE)
    limit = trial.subject.low_price * 2
    await trial.replace(order, quantity=order.quantity * 2, limit_price=limit)
    await trial.until(lambda: trial.events(order, OrderReplaced, ReplaceRejected), "the replace is answered")
    report = await trial.reported(order)
    require(report, "it is gone from the open orders")
    assert report is not None
    done = (report.quantity, report.limit_price)
    require(done != (order.quantity * 2, limit), "all of it was done: the fault did not happen")
    told = [(each.quantity, each.limit_price) for each in trial.events(order, OrderReplaced)]
    require(told == [done], f"it was told as {told}, and is {done}")


@case(112, Can.LIMIT | Can.REPLACE)
async def a_rejected_replace_leaves_the_order(trial: Trial) -> None:
    """A replace that the broker refuses is answered ReplaceRejected with a sentence, and the order works on as it
    was."""
    await trial.begin()
    order = await trial.rest()
    await trial.inject(FaultKind.REJECTED_REPLACE)
    await trial.replace(order, quantity=order.quantity * 2)
    await trial.until(lambda: trial.events(order, OrderReplaced, ReplaceRejected), "the replace is answered")
    rejected = trial.events(order, ReplaceRejected)
    require(rejected, "it was replaced: the fault did not happen")
    require(rejected[0].text.strip(), "it was refused without a sentence")
    report = await trial.reported(order)
    require(report and report.quantity == order.quantity, f"it is reported as {report}")


@case(113, FOUND)
async def too_many_requests_is_no_rejection(trial: Trial) -> None:
    """An order call that is answered 'too many requests' raises, and not Refused, for the order may have arrived; the
    broker knows afterwards."""
    broker = await trial.begin()
    await trial.inject(FaultKind.RATE_LIMIT)
    since, order = len(trial.told), trial.order()
    doubt = await trial.doubtful(broker.submit(order))
    require(doubt, "the call ended well: the fault did not happen")
    await trial.still()
    require(not trial.statuses(since), f"it reported {trial.statuses(since)}")
    report = await trial.ask(broker.lookup(order))
    accepted = bool(trial.events(order, OrderAccepted))
    require(accepted == (report is not None), f"looked up it is {report}, and told was {trial.story(order)}")


@case(114, Can.LIMIT)
async def a_slow_answer_is_an_answer(trial: Trial) -> None:
    """An order that takes long is answered when it has arrived, once, and nothing is invented meanwhile."""
    broker = await trial.begin()
    await trial.inject(FaultKind.SLOW_BROKER, "2")
    sent = broker.now()
    order = await trial.rest()
    took = broker.now() - sent
    require(took >= timedelta(seconds=1.5), f"it took {took}: the fault did not happen")
    require(len(trial.events(order)) == 1, f"told was {trial.story(order)}")


@case(115, FOUND)
async def a_restarted_broker_remembers(trial: Trial) -> None:
    """A broker that restarts is told as a lost link, and its orders and positions are as before."""
    broker = await trial.begin()
    order = await trial.rest()
    await trial.inject(FaultKind.RESTART, "1")
    await _broken(trial, trial.order())
    report = await trial.reported(order)
    require(report and report.broker_order_id == order.broker_order_id, f"it is reported as {report}")
    require(await trial.ask(broker.lookup(order)) == report, "looked up it is another")


@case(116, FOUND | Can.MARKET)
async def a_broker_that_forgot_says_so(trial: Trial) -> None:
    """A broker that lost its memory claims nothing that it does not know, and takes new orders under ids that none
    before had: what is gone is seen as a difference."""
    broker = await trial.begin()
    order, filled = await trial.rest(), await trial.buy()
    before = {each.execution_id for each in trial.fills(filled)}
    await trial.inject(FaultKind.RESTART_EMPTY, "1")
    await _broken(trial, trial.order())
    require(await trial.ask(broker.lookup(order)) is None, "it remembers: the fault did not happen")
    require(not await trial.ask(broker.open_orders()), "orders of before are open")
    require(not await trial.ask(broker.positions()), "positions of before are held")
    again = await trial.buy()
    require(not before & {each.execution_id for each in trial.fills(again)}, "new fills have old ids")


@case(117, Can.MARKET | Can.CASH)
async def a_fee_that_nobody_tells_of_is_in_the_balances(trial: Trial) -> None:
    """Money that moves without an execution is missing in the balances at once, and told as nothing that was traded:
    the gap is how it is found."""
    await trial.begin()
    await trial.inject(FaultKind.UNTOLD_FEE)
    before = await trial.cash()
    bought = await trial.buy()
    after, moved = await trial.cash(), trial.moved(bought)
    gaps = {
        currency: after.get(currency, ZERO) - amount - moved.get(currency, ZERO) for currency, amount in before.items()
    }
    require(any(gap < 0 for gap in gaps.values()), f"nothing is missing ({gaps}): the fault did not happen")
    require(trial.filled(bought) == bought.quantity, f"told was {trial.story(bought)}")
