"""C90 to C99: the counterparty remembers, whatever becomes of the connection."""

from __future__ import annotations

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ENDS, ZERO, Trial, require
from txgateway.model.events import Executed, OrderCanceled
from txgateway.model.market import Quote
from txgateway.model.order import OrderStatus


@case(90, Can.LIMIT)
async def resting_orders_survive_a_reconnect(trial: Trial) -> None:
    """An order that rests is there after a reconnect, by the same ids, and was not ended by it: a lost link cancels
    nothing that we know of."""
    await trial.begin()
    order = await trial.rest()
    await trial.reconnect()
    report = await trial.reported(order)
    require(report, "it is not among the open orders")
    assert report is not None
    require(report.broker_order_id == order.broker_order_id, f"it is now called {report.broker_order_id}")
    require(not trial.events(order, *ENDS), f"its end was told: {trial.story(order)}")


@case(91, Can.LIMIT)
async def an_order_from_before_can_be_canceled(trial: Trial) -> None:
    """An order sent before a reconnect can be canceled after it, and that is told: it must not be out of reach."""
    await trial.begin()
    order = await trial.rest()
    await trial.reconnect()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    require(await trial.reported(order) is None, "it is canceled and still among the open orders")


@case(92, Can.MARKET | Can.EXECUTION_HISTORY)
async def executions_keep_their_ids(trial: Trial) -> None:
    """A fill has the same id after a reconnect: under another one it would be counted again."""
    await trial.begin()
    order = await trial.buy()
    told = {each.execution_id for each in trial.fills(order)}
    await trial.reconnect()
    kept = {each.execution_id for each in await trial.executions_of(order)}
    require(kept == told, f"they were {told} and are {kept}")


@case(93, Can.MARKET)
async def new_ids_are_new_after_a_reconnect(trial: Trial) -> None:
    """Orders and fills after a reconnect have ids that none before it had: a new fill must not pass for an old one."""
    await trial.begin()
    before = await trial.buy()
    await trial.reconnect()
    after = await trial.buy()
    require(after.broker_order_id != before.broker_order_id, f"both are called {after.broker_order_id}")
    shared = {each.execution_id for each in trial.fills(before)} & {each.execution_id for each in trial.fills(after)}
    require(not shared, f"fills of both have the ids {shared}")


@case(94, Can.MARKET)
async def positions_survive_a_reconnect(trial: Trial) -> None:
    """A position is the same after a reconnect: a difference is told as a fill that was missed."""
    broker = await trial.begin()
    order = await trial.buy()
    await trial.reconnect()
    positions = await trial.ask(broker.positions())
    held = [each.quantity for each in positions if each.symbol == trial.subject.symbol]
    bought = sum((fill.signed_quantity for fill in trial.fills(order)), ZERO)
    require(held == [bought], f"{bought} were bought, and held are {held}")


@case(95, Can.LIMIT)
async def a_reconnect_fills_and_sends_nothing(trial: Trial) -> None:
    """A reconnect sends no order again and tells no fill that was not: there is one order as before."""
    broker = await trial.begin()
    order = await trial.rest()
    await trial.reconnect()
    await trial.still()
    open_orders = await trial.ask(broker.open_orders())
    require(len(open_orders) == 1, f"{len(open_orders)} orders are open")
    require(not trial.events(order, Executed), "a fill was told")


@case(96, Can.QUOTES)
async def a_symbol_can_be_subscribed_again(trial: Trial) -> None:
    """After a reconnect a symbol that is subscribed again tells its quote: the feed asks for all that it had."""
    await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    await trial.reconnect()
    since = len(trial.told)
    trial.broker.subscribe(trial.subject.symbol)
    await trial.until(lambda: any(isinstance(each, Quote) for each in trial.told[since:]), "a quote is told")


@case(97, Can.LIMIT | Can.LOOKUP)
async def a_fresh_connection_finds_closed_orders(trial: Trial) -> None:
    """An order that was canceled before a reconnect is found as canceled after it: its end may not have been heard."""
    broker = await trial.begin()
    order = await trial.rest()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    await trial.reconnect()
    report = await trial.ask(broker.lookup(order))
    require(report and report.status is OrderStatus.CANCELED, f"it is reported as {report}")
