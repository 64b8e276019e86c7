"""C10 to C29: orders on their way in."""

from __future__ import annotations

from contextlib import suppress

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ENDS, Trial, require
from txgateway.model.errors import GatewayError, Refused
from txgateway.model.events import Executed, OrderAccepted, OrderRejected
from txgateway.model.order import Order, OrderType, TimeInForce


async def _rests(trial: Trial, order: Order) -> None:
    """It is accepted, under our id and with the broker's, and stays open unfilled."""
    sent = await trial.submit(order)
    await trial.still()
    require(trial.events(order, OrderAccepted), f"it was not accepted: {trial.story(order)}")
    require(sent.broker_order_id, "it was accepted without a broker_order_id")
    require(not trial.events(order, Executed, *ENDS), f"it did not rest: {trial.story(order)}")
    require(await trial.reported(sent), "it is not among the open orders")


@case(10, Can.LIMIT)
async def a_limit_order_rests(trial: Trial) -> None:
    """A limit order away from the market is accepted with the broker's id and rests: its client must be able to
    find it again."""
    await trial.begin()
    await _rests(trial, trial.order(OrderType.LIMIT))


@case(11, Can.STOP)
async def a_stop_order_rests(trial: Trial) -> None:
    """A stop order that is not reached is accepted and rests: filled early, it would open what it should close."""
    await trial.begin()
    await _rests(trial, trial.order(OrderType.STOP))


@case(12, Can.STOP_LIMIT)
async def a_stop_limit_order_rests(trial: Trial) -> None:
    """A stop-limit order that is not reached is accepted and rests: its limit means nothing before its stop."""
    await trial.begin()
    await _rests(trial, trial.order(OrderType.STOP_LIMIT))


@case(13, Can.MARKET)
async def a_market_order_fills(trial: Trial) -> None:
    """A market order is accepted and its fills add up to its quantity: the position is made of them."""
    await trial.begin()
    order = await trial.buy()
    await trial.still()
    require(trial.events(order, OrderAccepted), "it was filled and never accepted")
    filled = trial.filled(order)
    require(filled == order.quantity, f"{filled} of {order.quantity} were filled")
    require(await trial.reported(order) is None, "it is filled and still among the open orders")


@case(14, Can.LIMIT | Can.DAY)
async def a_day_order_rests(trial: Trial) -> None:
    """A DAY order is taken, and told of as one: it must not become an order that outlives the day."""
    await trial.begin()
    order = await trial.rest(time_in_force=TimeInForce.DAY)
    report = await trial.reported(order)
    require(report and report.time_in_force is TimeInForce.DAY, f"it is reported as {report}")


@case(15, Can.LIMIT | Can.GTC)
async def a_gtc_order_rests(trial: Trial) -> None:
    """A GTC order is taken, and told of as one: it must not silently end with the day."""
    await trial.begin()
    order = await trial.rest(time_in_force=TimeInForce.GTC)
    report = await trial.reported(order)
    require(report and report.time_in_force is TimeInForce.GTC, f"it is reported as {report}")


@case(16, Can.LIMIT | Can.IOC)
async def an_ioc_order_never_rests(trial: Trial) -> None:
    """An IOC order that cannot be filled ends at once, told as canceled, expired or rejected: left open, it fills later
    when nobody wants it."""
    await _never_rests(trial, TimeInForce.IOC)


@case(17, Can.LIMIT | Can.FOK)
async def a_fok_order_never_rests(trial: Trial) -> None:
    """A FOK order that cannot be filled whole ends at once without a fill: a part of it is what it forbids."""
    await _never_rests(trial, TimeInForce.FOK)


async def _never_rests(trial: Trial, time_in_force: TimeInForce) -> None:
    await trial.begin()
    order = await trial.submit(trial.order(time_in_force=time_in_force))
    await trial.until(lambda: trial.events(order, *ENDS), "its end is told")
    await trial.still()
    require(await trial.reported(order) is None, "its end was told and it is among the open orders")
    require(not trial.events(order, Executed), "it was filled away from the market")


@case(18, Can.MARKET | Can.CLIENT_ORDER_ID)
async def our_id_is_echoed(trial: Trial) -> None:
    """Our order id comes back in every event, execution and report: it is how an order is known after a crash."""
    broker = await trial.begin()
    order = await trial.buy()
    for each in trial.fills(order):
        require(each.order_id == order.order_id, f"the execution {each.execution_id} is of {each.order_id!r}")
    if Can.LIMIT in broker.can:
        resting = await trial.rest()
        named = [each.order_id for each in await trial.ask(broker.open_orders())]
        require(named == [resting.order_id], f"the open orders are reported as {named}")
    if Can.EXECUTION_HISTORY in broker.can:
        history = [each.order_id for each in await trial.ask(broker.executions(None))]
        require(set(history) == {order.order_id}, f"the history is of {history}")


@case(19, Can.LIMIT | Can.CLIENT_ORDER_ID)
async def the_same_order_twice_is_one(trial: Trial) -> None:
    """The same order sent twice is one order, whether the second is refused, raises or is ignored: a doubled order is
    doubled money."""
    broker = await trial.begin()
    order = await trial.rest()
    with suppress(GatewayError):
        await trial.ask(broker.submit(order))
    await trial.still()
    same = [each for each in await trial.ask(broker.open_orders()) if each.order_id == order.order_id]
    require(len(same) == 1, f"{len(same)} orders of its id are open")
    require(not trial.events(order, *ENDS), f"the first one was ended by it: {trial.story(order)}")


@case(20, Can.LIMIT)
async def a_bad_order_is_refused_with_a_sentence(trial: Trial) -> None:
    """An order that cannot be is Refused or rejected with a code and a sentence: somebody has to mend it."""
    broker = await trial.begin()
    order = trial.order(symbol=trial.subject.unknown_symbol)
    try:
        await trial.ask(broker.submit(order))
    except Refused as refused:
        require(refused.text.strip(), "it was refused without a sentence")
        return
    await trial.until(lambda: trial.events(order, OrderAccepted, *ENDS), "it is rejected")
    require(not trial.events(order, OrderAccepted), "an order in a symbol that there is not was accepted")
    (rejected,) = trial.events(order, OrderRejected) or (None,)
    require(rejected and rejected.text.strip(), "it was rejected without a sentence")


@case(21, Can.LIMIT)
async def what_is_refused_did_not_arrive(trial: Trial) -> None:
    """What raises Refused, or was rejected, is not among the open orders and never fills: on the strength of it the
    client sends another."""
    broker = await trial.begin()
    order = trial.order(symbol=trial.subject.unknown_symbol)
    with suppress(Refused):
        await trial.ask(broker.submit(order))
    await trial.still()
    require(await trial.reported(order) is None, "the refused order is open")
    require(not trial.events(order, Executed), "the refused order was filled")


@case(22, Can.LIMIT)
async def each_order_has_its_own_broker_id(trial: Trial) -> None:
    """Two orders have two broker ids: a cancel by the id must not end another order."""
    await trial.begin()
    names = [(await trial.rest()).broker_order_id for _ in range(3)]
    require(len(set(names)) == 3, f"they are called {names}")


@case(23, Can.MARKET | Can.LIMIT)
async def orders_are_known_apart(trial: Trial) -> None:
    """What is told of one order is never told of another: fills that go astray are two wrong positions."""
    await trial.begin()
    resting = await trial.rest()
    filled = await trial.buy()
    await trial.still()
    require(not trial.events(resting, Executed), "a fill of one order was told of another")
    require(trial.filled(filled) == filled.quantity, "a fill is missing")
