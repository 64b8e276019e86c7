"""C70 to C79: tickets that the broker holds (STAGE)."""

from __future__ import annotations

from contextlib import suppress

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import ENDS, Trial, require
from txgateway.model.errors import GatewayError
from txgateway.model.events import Executed, OrderCanceled
from txgateway.model.order import Order, OrderStatus, OrderType


async def _staged(trial: Trial) -> Order:
    await trial.begin()
    ticket = await trial.submit(trial.order(OrderType.MARKET, tag="conformance"))
    await trial.still()
    return ticket


@case(70, Can.STAGE | Can.MARKET)
async def a_ticket_waits(trial: Trial) -> None:
    """A staged order is held and not traded: a person has not agreed to it yet."""
    ticket = await _staged(trial)
    require(not trial.events(ticket, Executed, *ENDS), f"it did not wait: {trial.story(ticket)}")
    report = await trial.reported(ticket)
    require(report and report.status is OrderStatus.STAGED, f"it is reported as {report}")


@case(71, Can.STAGE | Can.MARKET)
async def a_released_ticket_trades(trial: Trial) -> None:
    """A released ticket is traded as it was staged, under its id: that is what a person agreed to."""
    ticket = await _staged(trial)
    await trial.ask(trial.broker.release(ticket))
    await trial.until(lambda: trial.filled(ticket) >= ticket.quantity, "it is filled")
    require(trial.filled(ticket) == ticket.quantity, f"{trial.filled(ticket)} of {ticket.quantity} were filled")


@case(72, Can.STAGE | Can.MARKET)
async def a_ticket_is_released_once(trial: Trial) -> None:
    """A second release of the same ticket trades nothing, whether it is refused or ignored."""
    ticket = await _staged(trial)
    await trial.ask(trial.broker.release(ticket))
    await trial.until(lambda: trial.filled(ticket) >= ticket.quantity, "it is filled")
    with suppress(GatewayError):
        await trial.ask(trial.broker.release(ticket))
    await trial.still()
    require(trial.filled(ticket) == ticket.quantity, f"{trial.filled(ticket)} of {ticket.quantity} were filled")


@case(73, Can.STAGE | Can.MARKET)
async def a_ticket_can_be_withdrawn(trial: Trial) -> None:
    """A cancel ends a ticket, and it can be released no more: what a person said no to must not trade."""
    ticket = await _staged(trial)
    await trial.cancel(ticket)
    await trial.until(lambda: trial.events(ticket, OrderCanceled), "OrderCanceled is told")
    with suppress(GatewayError):
        await trial.ask(trial.broker.release(ticket))
    await trial.still()
    require(not trial.events(ticket, Executed), "the withdrawn ticket was traded")
