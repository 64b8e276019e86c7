"""A venue itself: its book, what holding costs, leverage, position mode, rate limits, and its endpoints by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from txgateway.access import Caller
from txgateway.api import SECRETS, SHOWN, Api, EndpointReport, LeverageReport, PositionModeReport, RateLimitsReport
from txgateway.brokers import Can, unknown_symbol
from txgateway.commands import Text, Upper, command
from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.market import Depth, Funding
from txgateway.model.rights import Right
from txgateway.model.scope import GATEWAY, Scope, ScopeKind
from txgateway.model.venue import METHODS, EndpointApi, EndpointCall, PositionMode

DEEPEST = 1000
"""Levels of a book that may be asked for."""
HIGHEST = Decimal(1000)
"""No venue lends more than so many times the margin."""
LONGEST_PATH = 500


@command(Right.READ, narrow=True)
async def query_depth(api: Api, caller: Caller, symbol: Upper, levels: int = 10) -> Depth | None:
    """Give the book of a symbol: bids and asks as [price, size], the best first, up to so many levels of each side.

    `sequence` is the venue's number of this state. Null when the venue does not know the symbol.
    """
    if not 1 <= levels <= DEEPEST:
        raise BadArgument(f"query_depth: levels {levels} is none of 1 to {DEEPEST}.")
    venue, name = _place(api, symbol)
    _require(api, venue, Can.DEPTH, "shows no book")
    return await api.brokers[venue].depth(name, levels)


@command(Right.READ, narrow=True)
async def query_funding(api: Api, caller: Caller, symbol: Upper) -> Funding | None:
    """Give what holding a perpetual costs: its rate, when it is due next, its mark and index price.

    Longs pay shorts the rate of the position's value, below zero shorts pay longs. Null for an unknown symbol.
    """
    venue, name = _place(api, symbol)
    _require(api, venue, Can.FUNDING, "tells no funding")
    if await api.feed.instrument(venue, name) is None:
        return None
    funding = await api.brokers[venue].funding(name)
    if funding is None:
        raise Refused(Reason.UNSUPPORTED, f"{name} has no funding at {venue}: it is no perpetual.")
    return funding


@command(Right.READ, narrow=True)
async def query_leverage(api: Api, caller: Caller, symbol: Upper, account: Upper | None = None) -> LeverageReport:
    """Give how many times its margin a position in a symbol may be, by the venue's word.

    The account may be left out where the symbol's venue has only one.
    """
    venue, name = _place(api, symbol)
    whose, venue = _account(api, caller, account, venue, stated="@" in symbol)
    _require(api, venue, Can.LEVERAGE, "has no leverage that can be looked at")
    return LeverageReport(venue, whose, name, await _leverage(api, venue, whose, name))


@command(Right.TRADE, narrow=True)
async def set_leverage(
    api: Api, caller: Caller, symbol: Upper, leverage: Decimal, account: Upper | None = None
) -> LeverageReport:
    """Have the venue change how many times its margin a position in a symbol may be. It may hold for the whole account.

    It is in the journal before it is sent. When its answer is lost the venue is asked how it stands, also after a
    restart. Gives what the venue has then.
    """
    if not 0 < leverage <= HIGHEST:
        raise BadArgument(f"set_leverage: leverage {leverage:f} is none of 1 to {HIGHEST}.")
    venue, name = _place(api, symbol)
    whose, venue = _account(api, caller, account, venue, stated="@" in symbol)
    _require(api, venue, Can.LEVERAGE, "has no leverage that can be set")
    _require_symbol(caller, whose, name)
    await _leverage(api, venue, whose, name)
    await api.gateway.errands.set_leverage(venue, whose, name, Decimal(f"{leverage.normalize():f}"), caller.user)
    return LeverageReport(venue, whose, name, await _leverage(api, venue, whose, name))


@command(Right.READ, narrow=True)
async def query_position_mode(api: Api, caller: Caller, account: Upper | None = None) -> PositionModeReport:
    """Give whether an account holds one net position of a symbol (ONE_WAY), or a long and a short one (HEDGE)."""
    whose, venue = _account(api, caller, account, api.about.default_venue)
    _require(api, venue, Can.POSITION_MODE, "has one position mode only")
    return PositionModeReport(venue, whose, await api.brokers[venue].position_mode(whose))


@command(Right.TRADE, narrow=True)
async def set_position_mode(api: Api, caller: Caller, account: Upper, mode: str) -> PositionModeReport:
    """Have the venue hold an account's positions as ONE_WAY; venues refuse that while something is open.

    Positions here are net and orders name no position side, so kind ccxt refuses HEDGE. It is in the journal before it
    is sent, and its outcome is asked for when the answer is lost.
    """
    try:
        wanted = PositionMode(mode.strip().upper().replace("-", "_"))
    except ValueError:
        raise BadArgument(f"set_position_mode: mode {mode[:40]!r} is none of {', '.join(PositionMode)}.") from None
    whose, venue = _account(api, caller, account, api.about.default_venue)
    _require(api, venue, Can.POSITION_MODE, "has one position mode only")
    await api.gateway.errands.set_position_mode(venue, whose, wanted, caller.user)
    return PositionModeReport(venue, whose, await api.brokers[venue].position_mode(whose))


@command(Right.TRADE)
async def call_endpoint(
    house: Api, caller: Caller, venue: str, path: str, version: str = "public", method: str = "GET",
    params: Text | None = None,
) -> EndpointReport:  # fmt: skip
    """Call an endpoint of a venue's own API, in its own words; gives its answer as `data`, and the rate limits left.

    version is public, or private (signed with the account's key); params is an object. It goes AROUND EVERY CHECK of
    the gateway: no limit holds it, and an order sent so is one that others sent (it is found when we reconcile). So the
    venue's option `raw` must allow it, and a private call that is no GET needs the scope admin, is in the journal
    before it is sent (without what may be a secret), and is refused while trading is halted, but for DELETE.
    """
    call = _call(path, version, method, params)
    if venue not in house.brokers:
        raise Refused(Reason.UNKNOWN_VENUE, f"Venue {venue!r} is unknown: query_venues lists them.")
    _require(house, venue, Can.RAW, "lets nobody call its endpoints (its option raw would allow it, where it has one)")
    if call.changes:
        caller.check("call_endpoint (private, no GET)", Right.ADMIN, narrow=False, urgent=True)
        _require_trading(house, caller, venue, call)
        data = await house.gateway.errands.call(venue, call, _shown(call), caller.user)
    else:
        data = await house.brokers[venue].call_endpoint(call)
    return EndpointReport(venue, data, _limits(house, venue))


@command(Right.READ, narrow=True)
def query_rate_limits(api: Api, caller: Caller, venue: str | None = None) -> dict[str, RateLimitsReport]:
    """Give venue -> how much it still takes: `remaining` of the tightest limit, `reset` in unix seconds, and `limits`.

    Of one venue, or of all that tell.
    """
    if venue is not None and venue not in api.brokers:
        raise Refused(Reason.UNKNOWN_VENUE, f"Venue {venue!r} is unknown: query_venues lists them.")
    if venue is not None:
        _require(api, venue, Can.RATE_LIMITS, "tells no rate limits")
    able = [name for name, broker in api.brokers.items() if Can.RATE_LIMITS in broker.can and venue in (None, name)]
    return {name: RateLimitsReport(api.brokers[name].rate_limits()) for name in able}


# ---------------------------------------------------------------- what is meant


def _place(api: Api, symbol: str) -> tuple[str, str]:
    """The venue and name of a symbol; Refused when there is no such venue."""
    venue, name = api.feed.place(symbol)
    if venue not in api.brokers:
        raise Refused(Reason.UNKNOWN_VENUE, f"Venue {venue!r} is unknown: query_venues lists them.")
    return venue, name


def _require(api: Api, venue: str, can: Can, cannot: str) -> None:
    """Refused unless a venue can."""
    if can not in api.brokers[venue].can:
        raise Refused(Reason.UNSUPPORTED, f"Venue {venue} {cannot}: query_venues shows what each can.")


def _account(api: Api, caller: Caller, account: str | None, venue: str, stated: bool = False) -> tuple[str, str]:
    """The account that is meant, in reach of the caller, and its venue; where none is named, the venue's only one."""
    if account is None:
        known = [each for each in api.brokers[venue].accounts() if caller.grant.reaches(each)]
        if len(known) != 1:
            raise BadArgument(f"Venue {venue} has {len(known)} accounts that you may use: name the one that you mean.")
        return known[0], venue
    at = api.gateway.venue_of(account)
    if at is None or not caller.grant.reaches(account):
        raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {account!r} is unknown: query_accounts lists them.")
    if stated and at != venue:
        raise Refused(Reason.UNKNOWN_VENUE, f"Account {account} trades at {at}, and the symbol names {venue}.")
    return account, at


def _require_symbol(caller: Caller, account: str, symbol: str) -> None:
    if not caller.grant.covers(account, symbol):
        what = f"{caller.user} may not trade {symbol} for {account}: an admin can grant it."
        raise Refused(Reason.NOT_ALLOWED, what)


async def _leverage(api: Api, venue: str, account: str, symbol: str) -> Decimal:
    """What the venue has; Refused for an unknown symbol and for what has no margin."""
    if await api.feed.instrument(venue, symbol) is None:
        raise Refused(Reason.UNKNOWN_SYMBOL, unknown_symbol(api.brokers[venue], symbol))
    leverage: Decimal | None = await api.brokers[venue].leverage(account, symbol)
    if leverage is None:
        raise Refused(Reason.UNSUPPORTED, f"{symbol} has no leverage at {venue}: it is bought with cash.")
    return leverage


def _limits(api: Api, venue: str) -> RateLimitsReport | None:
    return RateLimitsReport(api.brokers[venue].rate_limits()) if Can.RATE_LIMITS in api.brokers[venue].can else None


# ---------------------------------------------------------------- endpoints


def _call(path: str, version: str, method: str, params: str | None) -> EndpointCall:
    """The call that is meant; BadArgument for what cannot be one."""
    try:
        api = EndpointApi(version.strip().lower())
    except ValueError:
        raise BadArgument(f"call_endpoint: version {version[:40]!r} is none of public, private.") from None
    verb = method.strip().upper()
    if verb not in METHODS:
        raise BadArgument(f"call_endpoint: method {method[:40]!r} is none of {', '.join(METHODS)}.")
    path = path.strip().lstrip("/")
    odd = any(each.isspace() or not each.isprintable() or each in "?#\\" for each in path)
    if not path or len(path) > LONGEST_PATH or odd or "://" in path or ".." in path.split("/"):
        raise BadArgument("call_endpoint: path is no path of the venue's API, such as `ticker/price`.")
    return EndpointCall(path, api, verb, _params(params))


def _params(text: str | None) -> Mapping[str, Any]:
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadArgument("call_endpoint: params is no JSON object.")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _shown(call: EndpointCall) -> str:
    """What the journal keeps of a call."""
    said = ", ".join(f"{name}={_value(name, value)}" for name, value in call.params.items())
    return f"{call.method} {call.path}({said})"[: 10 * SHOWN]


def _value(name: str, value: Any) -> str:
    if any(word in name.lower() for word in (*SECRETS, "key", "sign", "auth")):
        return "***"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{each}={_value(str(each), inner)}" for each, inner in value.items())[:SHOWN] + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(name, each) for each in value)[:SHOWN] + "]"
    return str(value)[:SHOWN]


def _require_trading(api: Api, caller: Caller, venue: str, call: EndpointCall) -> None:
    """Refused while a halt holds for the venue, an account of it or the caller; what takes away may go."""
    if call.method == "DELETE":
        return
    scopes = [GATEWAY, Scope(ScopeKind.VENUE, venue), Scope(ScopeKind.OWNER, caller.user)]
    scopes += [Scope(ScopeKind.ACCOUNT, each) for each in api.brokers[venue].accounts()]
    halt = next((api.gateway.state.halts[each] for each in scopes if each in api.gateway.state.halts), None)
    if halt is not None:
        raise Refused(Reason.HALTED, f"Trading is halted{halt.where} ({halt.text}): nothing is sent by hand either.")
