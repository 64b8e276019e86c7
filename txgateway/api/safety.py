"""The kill switch: halts and flattens, each of a scope."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, gatherResults

from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import command
from txgateway.intake import CONNECTED
from txgateway.model.errors import BadArgument, GatewayError, NotAllowed
from txgateway.model.halts import FlattenReport, Halt, HaltLevel
from txgateway.model.rights import Right
from txgateway.model.scope import Scope, ScopeKind

LONGEST_REASON = 1000
"""Characters: whoever is refused reads it in a sentence."""


@command(Right.TRADE, narrow=True, urgent=True)
async def halt(api: Api, caller: Caller, reason: str, scope: str = "gateway", level: str = "HALTED") -> str:
    """Refuse a scope's orders until `resume`, also after a restart; cancels go on.

    scope: gateway, or venue:NAME, account:NAME, owner:NAME, source:NAME, bot:NAME, symbol:NAME. level: HALTED (nothing
    but cancels), or REDUCE_ONLY (also orders that reduce the account's position in their symbol). A name that nobody
    knows is refused.
    """
    where, how_far = _scope(api, scope), _level(level)
    _check_reach(caller, where)
    unsure = await _require_known(api, where)
    made = api.gateway.halt(_reason(reason), caller.user, where, how_far)
    await api.gateway.settled()
    what = "halted" if how_far is HaltLevel.HALTED else "reduces positions only"
    return f"trading {what}{made.where}: {made.text}{unsure}{_unwritten(api)}"


@command(Right.ADMIN)
async def resume(api: Api, caller: Caller, scope: str = "gateway") -> str:
    """Take a scope's orders again after a halt; halts of other scopes, wider or narrower, stay: the answer has them."""
    where = _scope(api, scope)
    halted = api.gateway.state.halts.get(where)
    api.gateway.resume(caller.user, where)
    await api.gateway.settled()
    if where.kind is ScopeKind.GATEWAY:
        said = "trading resumed"
    else:
        said = f"trading resumed for {where}" if halted else f"{where} was not halted"
    left = "; ".join(str(each) for each in api.gateway.state.halts.values())
    return said + (f"; still: {left}" if left else "") + _unwritten(api)


@command(Right.TRADE, narrow=True, urgent=True)
async def flatten(api: Api, caller: Caller, scope: str, reason: str) -> FlattenReport:
    """Halt a scope, cancel its working orders, close its positions at the market; flat when the broker says so.

    scope: as for halt; of an owner, source or bot, what its own executions add up to is closed. The answer comes at the
    end, or after five seconds with what is not flat yet, and why: it goes on, also after a restart (query_flattens),
    until all is flat or the scope is resumed.
    """
    where = _scope(api, scope)
    _check_reach(caller, where)
    unsure = await _require_known(api, where, held=True)
    number = api.gateway.flattens.begin(where, _reason(reason), caller.user)
    report = await api.gateway.flattens.report(number)
    await api.gateway.settled()
    return replace(report, text=f"{report.text}{unsure}") if unsure else report


@command(Right.READ, narrow=True)
async def query_flattens(api: Api, caller: Caller) -> list[FlattenReport]:
    """Give how far each flatten has come that has not ended."""
    await api.gateway.settled()
    return [each for each in api.gateway.flattens.reports() if _reaches(caller, each.scope)]


@command(Right.READ, narrow=True)
async def query_halts(api: Api, caller: Caller) -> list[Halt]:
    """Give every halt in force, the oldest first: scope, level, text, by whom and since when."""
    await api.gateway.settled()
    reaches, account = caller.grant.reaches, ScopeKind.ACCOUNT
    return [
        each for each in api.gateway.state.halts.values() if each.scope.kind is not account or reaches(each.scope.name)
    ]


def _check_reach(caller: Caller, scope: Scope) -> None:
    """Who is kept to some accounts or symbols halts those, or themselves: the rest is others' business."""
    if not _reaches(caller, scope):
        accounts = [] if caller.grant.symbols is not None else caller.accounts or ()
        symbols = [] if caller.accounts is not None else caller.grant.symbols or ()
        scopes = [*(f"account:{each}" for each in accounts), *(f"symbol:{each}" for each in symbols)]
        may = ", ".join([*scopes, f"owner:{caller.user}"])
        raise NotAllowed(f"{caller.user} may not halt or flatten {scope}, only {may}.")


def _reaches(caller: Caller, scope: Scope) -> bool:
    """Whether a scope is no more than who is kept to some accounts or symbols may see and halt."""
    grant = caller.grant
    if grant.is_whole or (scope.kind is ScopeKind.OWNER and scope.name == caller.user):
        return True
    if scope.kind is ScopeKind.ACCOUNT:
        return grant.symbols is None and grant.reaches(scope.name)
    return scope.kind is ScopeKind.SYMBOL and grant.accounts is None and scope.name in (grant.symbols or ())


def _reason(text: str) -> str:
    if not text.strip():
        raise BadArgument("reason must say why trading is halted: whoever is refused will read it.")
    if len(text) > LONGEST_REASON:
        raise BadArgument(f"reason has {len(text)} characters: {LONGEST_REASON} are enough.")
    return text


def _scope(api: Api, text: str) -> Scope:
    """The scope that was written, by the names that are known: a halt of nothing would protect nobody."""
    scope = api.scope(text, "halted")
    if scope.kind is ScopeKind.ACCOUNT:
        return Scope(scope.kind, _account(api, scope.name))
    return scope


def _account(api: Api, name: str) -> str:
    """An account's name as its venue writes it; one that no venue has is refused, once all venues have told theirs."""
    known = api.accounts()
    for each in (name, name.upper()):
        if each in known:
            return each
    if api.gateway.intake.been_up.issuperset(name for name, broker in api.brokers.items() if broker.can):
        raise BadArgument(f"account {name!r} is unknown: query_accounts lists them.")
    return name


async def _require_known(api: Api, scope: Scope, held: bool = False) -> str:
    """Refuse a name that nobody knows: what it was meant for would go on; gives what to say where nobody can tell now.

    `held`: what a venue holds is known, too, whatever else it has heard of.
    """
    state = api.gateway.state
    if scope in state.halts or any(each.scope == scope for each in state.flattens.values()):
        return ""
    if scope.kind in (ScopeKind.OWNER, ScopeKind.SOURCE, ScopeKind.BOT):
        if not _is_owner(api, scope.name):
            there = "no user, token or source has this name, and nothing was traded by it"
            raise BadArgument(f"{scope.kind} {scope.name!r} is unknown: {there}.")
    elif scope.kind is ScopeKind.SYMBOL and not _is_in_use(api, scope.name):
        venues = [venue for venue, broker in api.brokers.items() if broker.can]
        asked = [Deferred.fromCoroutine(_has(api, venue, scope.name, held)) for venue in venues]
        answers = dict(zip(venues, await gatherResults(asked), strict=True))
        silent = [venue for venue, has in answers.items() if has is None]
        if True not in answers.values():
            if not silent:
                raise BadArgument(f"symbol {scope.name!r} is unknown: no venue has it ({', '.join(venues)}).")
            return (
                f" (Whether there is a symbol {scope.name} could not be found out: no answer of {', '.join(silent)}.)"
            )
    return ""


def _is_owner(api: Api, name: str) -> bool:
    """Whether somebody of this name may trade, or has traded what is held or works."""
    state = api.gateway.state
    if api.access.taken(name) or api.signaling.sources.get(name) is not None:
        return True
    if any(order.owner == name for order in state.working.values()):
        return True
    return any(owner == name for bought in state.books.bought.values() for owner, _ in bought)


def _is_in_use(api: Api, symbol: str) -> bool:
    """Whether something of a symbol is held, works, is watched or belongs to a strategy."""
    state = api.gateway.state
    if any(symbol in held for held in state.positions.values()):
        return True
    if any(order.symbol == symbol for order in state.working.values()):
        return True
    watched = any(api.feed.known(venue, symbol) is not None for venue in api.brokers)
    return watched or any(place[1] == symbol for place in state.strategies.positions)


async def _has(api: Api, venue: str, symbol: str, held: bool) -> bool | None:
    """Whether a venue has a symbol; None: it cannot be asked now, or does not say."""
    if api.gateway.intake.status[venue] not in CONNECTED:
        return None
    has = await api.feed.has(venue, symbol)
    if has is False and held:
        try:
            return any(each.symbol == symbol for each in await api.brokers[venue].positions())
        except GatewayError:
            return None
    return has


def _level(text: str) -> HaltLevel:
    try:
        return HaltLevel(text.strip().upper())
    except ValueError:
        raise BadArgument(f"level {text!r} is none of {', '.join(HaltLevel)}.") from None


def _unwritten(api: Api) -> str:
    error = api.gateway.ledger.error
    return f" (in force, but the journal cannot be written: {error})" if error is not None else ""
