"""The limits that orders are judged by: what holds, what is used of it, and changing them."""

from __future__ import annotations

from dataclasses import replace

from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import Text, command
from txgateway.model.errors import BadArgument, NotAllowed
from txgateway.model.limits import EACH, RiskReport, level_of, limit_of
from txgateway.model.rights import Right
from txgateway.model.scope import Scope, ScopeKind

LONGEST = 10_000
"""Characters of a value: a list of a thousand symbols."""


@command(Right.READ, narrow=True)
async def query_risk(api: Api, caller: Caller, scope: str | None = None) -> RiskReport:
    """Give every limit in force with its source, and what is used now; with a scope its own and the gateway's.

    scope: gateway, or account:NAME, owner:NAME, symbol:NAME, venue:NAME, source:NAME, bot:NAME.
    """
    where = None if scope is None else _scope(api, scope)
    if where is not None and not _reaches(caller, where):
        raise NotAllowed(f"What is used of {where} is not for {caller.user}, who is kept to some accounts.")
    await api.gateway.settled()
    return _within_reach(caller, api.gateway.guard.report(where))


def _reaches(caller: Caller, scope: Scope) -> bool:
    """Whether who is kept to some accounts may see what a scope uses."""
    if caller.accounts is None:
        return True
    mine = scope.kind is ScopeKind.OWNER and scope.name == caller.user
    return mine or (scope.kind is ScopeKind.ACCOUNT and caller.grant.reaches(scope.name))


def _within_reach(caller: Caller, report: RiskReport) -> RiskReport:
    """A report without others' accounts and owners; the limits that hold for all are everybody's to know."""
    if caller.accounts is None:
        return report
    others = (ScopeKind.ACCOUNT, ScopeKind.OWNER)
    limits = [
        each
        for each in report.limits
        if each.scope.kind not in others or each.scope.name == EACH or _reaches(caller, each.scope)
    ]
    use = [
        replace(each, holdings={place: held for place, held in each.holdings.items() if _is_theirs(caller, place)})
        for each in report.use
        if _reaches(caller, each.scope)
    ]
    return RiskReport(tuple(limits), tuple(use))


def _is_theirs(caller: Caller, place: str) -> bool:
    return caller.grant.reaches(place.partition(" ")[0])


@command(Right.ADMIN)
async def set_risk(
    api: Api, caller: Caller, scope: str, limit: str, value: Text | None = None, warn: Text | None = None
) -> RiskReport:
    """Set a limit of a scope, also after a restart; without a value it is again what it was by itself; "off": none.

    scope as in query_risk; NAME may be * for each one that has no such limit of its own. limit: restricted (a list of
    symbols), session_only (1), duplicate_window, order_rate, max_quantity, reference_age, price_collar, max_notional,
    max_position, max_gross_exposure, max_daily_loss, approval_notional, execution_budget (executions/seconds). Above
    `warn` an order goes through and is told of. Gives what query_risk gives of the scope.
    """
    where = _scope(api, scope)
    try:
        which = limit_of(limit)
        if value is not None:
            level_of(which, value, warn)
    except ValueError as error:
        raise BadArgument(f"{error}.") from None
    if value is None and warn is not None:
        raise BadArgument('a warn level needs a value beside it: "off" refuses nothing.')
    if len(value or "") > LONGEST or not (value or "").isprintable():
        raise BadArgument(f"value must be printable, and have {LONGEST} characters at most.")
    api.gateway.set_limit(where, which, value, warn, caller.user)
    await api.gateway.settled()
    return api.gateway.guard.report(where)


def _scope(api: Api, text: str) -> Scope:
    """The scope that was written, by the names that are known: a limit of nothing would protect nobody."""
    scope = api.scope(text, "limited", every=EACH)
    if scope.kind is ScopeKind.ACCOUNT and scope.name != EACH:
        known = api.accounts()
        found = next((each for each in (scope.name, scope.name.upper()) if each in known), None)
        if found is None:
            raise BadArgument(f"account {scope.name!r} is unknown: query_accounts lists them.")
        return Scope(scope.kind, found)
    return scope
