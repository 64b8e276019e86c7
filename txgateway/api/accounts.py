"""Accounts: their values, balances and positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from txgateway.access import Caller
from txgateway.api import Api, PositionReport
from txgateway.commands import Text, Upper, command
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.rights import Right

log = Logger()


@command(Right.READ, narrow=True)
def query_accounts(api: Api, caller: Caller) -> list[str]:
    """Give the names of all trading accounts, sorted."""
    return api.accounts(caller)


@command(Right.TRADE, narrow=True)
async def set_account(api: Api, caller: Caller, account: Upper) -> bool:
    """Select the current account, which is announced on the stream; false when it is unknown."""
    if account not in api.accounts(caller):
        if caller.grant.reaches(account):
            api.require_told(account)
        return False
    api.gateway.change_setting("account", account, caller.user)
    await api.gateway.settled()
    return True


@command(Right.READ, narrow=True)
async def query_account(api: Api, caller: Caller, account: Upper, fields: Text | None = None) -> dict[str, Any] | None:
    """Give an account's values, always with `_cash`; `fields` (names separated by commas) selects some.

    Null for an unknown account, or when none of the fields exists.
    """
    venue = api.gateway.venue_of(account)
    if not caller.grant.reaches(account):
        return None
    if venue is None:
        api.require_told(account)
        return None
    report = await api.brokers[venue].balances(account)
    values = {"_cash": report.cash, **report.values}
    if not fields:
        return values
    wanted = [name.strip() for name in fields.split(",") if name.strip()]
    chosen = {name: values[name] for name in wanted if name in values}
    return chosen or None


@command(Right.READ, narrow=True)
async def query_balances(api: Api, caller: Caller, account: Upper | None = None) -> dict[str, AccountReport]:
    """Give account -> currency -> {total, available, reserved}, of one account or of all.

    Of all, those whose venue cannot be asked now are left out, unless none can.
    """
    names = api.accounts(caller) if account is None else [account]
    brokers = []
    for name in names:
        venue = api.gateway.venue_of(name)
        if venue is None and caller.grant.reaches(name):
            api.require_told(name)
        if venue is None or not caller.grant.reaches(name):
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {name!r} is unknown: query_accounts lists them.")
        brokers.append(api.brokers[venue])
    asked = [Deferred.fromCoroutine(broker.balances(name)) for broker, name in zip(brokers, names, strict=True)]
    answers = await DeferredList(asked, consumeErrors=True)
    failures: list[Any] = [each for done, each in answers if not done]
    unexpected = [each for each in failures if not each.check(GatewayError)]
    if unexpected or (failures and len(failures) == len(answers)):
        (unexpected or failures)[0].raiseException()
    return {name: report for name, (done, report) in zip(names, answers, strict=True) if done}


@command(Right.READ, narrow=True)
async def query_positions(
    api: Api, caller: Caller, data: bool = False
) -> dict[str, dict[str, Position] | None] | dict[str, dict[str, PositionReport] | None]:
    """Give account -> symbol -> signed quantity, every account present; null in place of what is not known yet.

    It is not known what an account holds until its venue has been UP once since the start: {} would call it flat.
    With data an object in place of the quantity: with its average price and, where the venue tells them, its entry,
    mark and liquidation price, leverage and profit. Then each venue is asked; one that does not answer tells nothing.
    """
    await api.gateway.settled()
    state, been_up = api.gateway.state, api.gateway.intake.been_up
    found: dict[str, dict[str, Position] | None] = {}
    for account in sorted({*api.accounts(caller), *_awaited(api, caller)}):
        known = api.gateway.venue_of(account) in been_up
        found[account] = dict(state.positions.get(account, {})) if known else None
    if not data:
        return found
    told = await _told(api, {each.venue for positions in found.values() for each in (positions or {}).values()})
    return {
        account: None
        if positions is None
        else {symbol: _report(each, told.get((account, symbol))) for symbol, each in positions.items()}
        for account, positions in found.items()
    }


def _awaited(api: Api, caller: Caller) -> Iterator[str]:
    """The accounts that a venue had before the start, and has not told of since."""
    for venue in api.gateway.intake.awaited():
        accounts = api.gateway.state.opened.get(venue, ())
        yield from (account for account in accounts if caller.grant.reaches(account))


async def _told(api: Api, venues: Iterable[str]) -> dict[tuple[str, str], Position]:
    """What the venues themselves tell of positions now."""
    told: dict[tuple[str, str], Position] = {}
    names = sorted(venues)
    asked = [Deferred.fromCoroutine(api.brokers[venue].positions()) for venue in names]
    answers: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
    for venue, (done, answer) in zip(names, answers, strict=True):
        if done:
            told.update({(each.account, each.symbol): each for each in answer})
        elif answer.check(GatewayError):
            log.warn("Venue {venue} does not tell of its positions: {error}", venue=venue, error=answer.value)
        else:
            answer.raiseException()
    return told


def _report(ours: Position, theirs: Position | None) -> PositionReport:
    if theirs is None:
        return PositionReport(ours.venue, ours.quantity, ours.average_price)
    return PositionReport(
        ours.venue,
        ours.quantity,
        ours.average_price or theirs.average_price,
        theirs.average_price or None,
        theirs.mark_price,
        theirs.liquidation_price,
        theirs.leverage,
        theirs.unrealized_profit,
    )
