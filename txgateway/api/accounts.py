"""Accounts: their values, balances and positions."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import Text, Upper, command
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.rights import Right


@command(Right.READ, narrow=True)
def query_accounts(api: Api, caller: Caller) -> list[str]:
    """Give the names of all trading accounts, sorted."""
    return api.accounts(caller)


@command(Right.TRADE, narrow=True)
async def set_account(api: Api, caller: Caller, account: Upper) -> bool:
    """Select the current account, which is announced on the stream; false when it is unknown."""
    if account not in api.accounts(caller):
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
    if venue is None or not caller.grant.reaches(account):
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
async def query_positions(api: Api, caller: Caller) -> dict[str, dict[str, Position]]:
    """Give account -> symbol -> signed quantity, every account present."""
    await api.gateway.settled()
    held = api.gateway.state.positions
    return {account: dict(held.get(account, {})) for account in api.accounts(caller)}
