"""C60 to C69: what the broker says when it is asked."""

from __future__ import annotations

from decimal import Decimal

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ZERO, Trial, is_amount, require
from txgateway.model.account import adds_up
from txgateway.model.errors import GatewayError
from txgateway.model.order import Order, OrderReport, OrderStatus


def _differences(order: Order, report: OrderReport) -> str:
    names = ("account", "symbol", "side", "quantity", "order_type", "limit_price", "stop_price", "broker_order_id")
    pairs = {name: (getattr(order, name), getattr(report, name)) for name in names}
    return ", ".join(f"{name} {said} instead of {ours}" for name, (ours, said) in pairs.items() if ours != said)


@case(60, Can.LIMIT)
async def open_orders_are_reported_with_their_terms(trial: Trial) -> None:
    """An open order is reported with all its terms and the id that it was accepted by: what differs from ours is taken
    for the truth."""
    await trial.begin()
    order = await trial.rest()
    report = await trial.reported(order)
    require(report, "it is not among the open orders")
    assert report is not None
    require(not _differences(order, report), f"it is reported with {_differences(order, report)}")
    state = (report.status, report.filled_quantity)
    require(state == (OrderStatus.NEW, ZERO), f"it is reported as {state}")


@case(61, Can.LIMIT)
async def what_is_filled_of_an_open_order_is_reported(trial: Trial) -> None:
    """Of an order filled in part the report has the part: it shows that a fill was missed."""
    await trial.begin()
    order, part = await trial.rest(), trial.subject.quantity / 10 * 3
    await trial.fill(order, part)
    report = await trial.reported(order)
    wanted = (OrderStatus.PARTIALLY_FILLED, part)
    require(report and (report.status, report.filled_quantity) == wanted, f"it is reported as {report}")


@case(62, Can.LIMIT | Can.LOOKUP)
async def an_open_order_is_found_by_our_id(trial: Trial) -> None:
    """`lookup` finds an open order by our id alone: after a crash we may have no other."""
    broker = await trial.begin()
    order = await trial.rest()
    unnamed = trial.order(order_id=order.order_id, client_order_id=order.order_id)
    report = await trial.ask(broker.lookup(unnamed))
    require(report and report.status is OrderStatus.NEW, f"it is reported as {report}")
    assert report is not None
    require(report.broker_order_id == order.broker_order_id, f"it is called {report.broker_order_id}")


@case(63, Can.MARKET | Can.LOOKUP)
async def a_closed_order_is_found_by_our_id(trial: Trial) -> None:
    """`lookup` finds a filled order, with what was filled at what price: an order in doubt may have been filled."""
    broker = await trial.begin()
    order = await trial.buy()
    report = await trial.ask(broker.lookup(order))
    wanted = (OrderStatus.FILLED, order.quantity)
    require(report and (report.status, report.filled_quantity) == wanted, f"it is reported as {report}")
    assert report is not None
    fills = trial.fills(order)
    average = sum((fill.quantity * fill.price for fill in fills), ZERO) / order.quantity
    require(abs(report.average_price - average) <= average / 10**6, f"its average is {report.average_price}")


@case(64, Can.LIMIT | Can.LOOKUP)
async def a_canceled_order_is_found_by_our_id(trial: Trial) -> None:
    """`lookup` finds a canceled order as CANCELED: a cancel whose answer was lost is answered by it."""
    broker = await trial.begin()
    order = await trial.rest()
    await trial.cancel(order)
    await trial.still()
    report = await trial.ask(broker.lookup(order))
    require(report and report.status is OrderStatus.CANCELED, f"it is reported as {report}")


@case(65, Can.LOOKUP)
async def an_order_that_never_came_is_none(trial: Trial) -> None:
    """`lookup` gives None for an order that never came, and only then: it ends the doubt as NEVER_ARRIVED."""
    broker = await trial.begin()
    report = await trial.ask(broker.lookup(trial.order()))
    require(report is None, f"it reports {report}")


@case(66, Can.MARKET)
async def positions_are_the_sum_of_the_fills(trial: Trial) -> None:
    """A position is the signed sum of its fills, less what was kept of them as a fee: a difference means that one was
    missed."""
    broker = await trial.begin()
    bought = [await trial.buy() for _ in range(2)]
    filled = sum((fill.signed_quantity for order in bought for fill in trial.fills(order)), ZERO)
    held = await _held(trial)
    require(held == filled, f"{filled} were bought, and the position is {held}")
    (position,) = [each for each in await trial.ask(broker.positions()) if each.symbol == trial.subject.symbol]
    where = (position.venue, position.account)
    require(where == (broker.venue, trial.subject.account), f"the position is told of {where}")


async def _held(trial: Trial) -> Decimal:
    subject = trial.subject
    positions = await trial.ask(trial.broker.positions())
    ours = [each for each in positions if (each.account, each.symbol) == (subject.account, subject.symbol)]
    require(len(ours) <= 1, f"the position is there {len(ours)} times")
    return sum((each.quantity for each in ours), ZERO)


@case(67)
async def every_account_has_balances(trial: Trial) -> None:
    """Every account answers with its own name and finite Decimals: money is shown as it is, or not at all."""
    broker = await trial.begin()
    for account in broker.accounts():
        report = await trial.ask(broker.balances(account))
        require(report.account == account, f"asked for {account}, it told of {report.account}")
        balances = [number for each in report.balances for number in (each.total, each.available, each.reserved)]
        for number in (report.cash, *balances):
            require(is_amount(number), f"{account} has {number!r}")


@case(68)
async def an_unknown_account_is_refused(trial: Trial) -> None:
    """Balances of an account that it does not have are refused with a sentence: nothing is not zero."""
    broker = await trial.begin()
    try:
        report = await trial.ask(broker.balances("NO_SUCH_ACCOUNT"))
    except GatewayError as error:
        require(str(error).strip(), "it was refused without a sentence")
        return
    require(False, f"it answered {report}")


@case(69, Can.MARKET | Can.CASH)
async def cash_is_moved_by_the_fills_alone(trial: Trial) -> None:
    """A fill moves its account's cash by value and commission, in its own currency, at once, and an order without a
    fill by nothing: what else is found to have moved it is shown to a person."""
    await trial.begin()
    before = await trial.cash()
    await trial.rest()
    bought = [await trial.buy() for _ in range(2)]
    moved = trial.moved(*bought)
    after = await trial.cash()
    wrong = {
        currency: f"from {before.get(currency, ZERO)} by {moved.get(currency, ZERO)} to {after.get(currency, ZERO)}"
        for currency in before.keys() | after.keys() | moved.keys()
        if not adds_up(before.get(currency, ZERO) + moved.get(currency, ZERO), after.get(currency, ZERO))
    }
    require(not wrong, f"its fills do not add up to what it moved: {wrong}")
