"""Sources of signals: who sends them, under which URL, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from secrets import token_urlsafe
from typing import Any

from txgateway.access import Caller
from txgateway.api import Api, SourceReport
from txgateway.brokers import unknown_symbol
from txgateway.commands import Text, command
from txgateway.invitation import message_of, path_of, place_of
from txgateway.model.errors import BadArgument, GatewayError, Reason, Refused
from txgateway.model.limits import Limit, level_of, limit_of
from txgateway.model.rights import Right
from txgateway.model.scope import Scope, ScopeKind
from txgateway.model.signal import Sizing, Source
from txgateway.sources import MOST, source_of, written

HUNDRED = Decimal(100)
FEW = 5
"""Positions, orders and signals that a refusal names."""


@command(Right.ADMIN)
async def add_source(
    api: Api,
    caller: Caller,
    kind: str,
    account: str | None = None,
    name: str | None = None,
    venue: str | None = None,
    secret: str | None = None,
    user: str | None = None,
    symbols: Text | None = None,
    sizing: str | None = None,
    size: Decimal | None = None,
    rounding: bool | None = None,
    order_type: str | None = None,
    limit_offset: Text | None = None,
    time_in_force: str | None = None,
    route: str | None = None,
    semantics: str | None = None,
    max_age: Decimal | None = None,
    duplicate_window: Decimal | None = None,
    shadow: bool | None = None,
    rate: Decimal | None = None,
    addresses: Text | None = None,
    certificate: str | None = None,
    mapping: Text | None = None,
    template: str | None = None,
    limits: Text | None = None,
) -> SourceReport:
    """Let a sender's signals in: gives its URL, and the message to paste there with its secret, shown this once.

    kind: tradingview, proquant, algogene or generic. name: the owner of its orders; without it the kind. Without an
    account, the venue's only one. Without a secret one is made. symbols and mapping are objects, or FROM=TO,FROM=TO.
    sizing: as_sent, fixed, percent, notional or risk, of `size`. semantics: orders, one_position or target. order_type:
    MARKET, or LIMIT with a limit_offset (0.5, 0.1%). limits: max_notional=10000:8000,order_rate=5 hold for
    source:NAME. The README tells more, in Signals.
    """
    called = name or kind.strip().lower()
    _require_free(api, called)
    if len(api.signaling.sources.all()) >= MOST:
        raise Refused(Reason.NAME_TAKEN, f"There are {MOST} sources: remove some with remove_source first.")
    given = {each: value for each, value in locals().items() if each in _GIVEN}
    table = {
        **given,
        "kind": kind,
        "account": _account(api, account, venue),
        "secret": secret or token_urlsafe(24),
    }
    source = _source(called, table, caller)
    levels = _limits(limits)
    await _require_symbols(api, source)
    _require_free(api, called)
    api.signaling.sources.put(source)
    _limit(api, source, levels, caller)
    await api.gateway.settled()
    return _shown(api, source, secret=True)


@command(Right.ADMIN)
async def change_source(
    api: Api,
    caller: Caller,
    name: str,
    account: str | None = None,
    venue: str | None = None,
    secret: str | None = None,
    user: str | None = None,
    symbols: Text | None = None,
    sizing: str | None = None,
    size: Text | None = None,
    rounding: bool | None = None,
    order_type: str | None = None,
    limit_offset: Text | None = None,
    time_in_force: str | None = None,
    route: str | None = None,
    semantics: str | None = None,
    max_age: Text | None = None,
    duplicate_window: Text | None = None,
    shadow: bool | None = None,
    rate: Text | None = None,
    addresses: Text | None = None,
    certificate: str | None = None,
    mapping: Text | None = None,
    template: str | None = None,
    limits: Text | None = None,
    new_secret: bool = False,
) -> SourceReport:
    """Change a source from its next signal on: what is given, as in add_source; "" is as if it had never been given.

    limits: those that are named; "" takes away all that were set of source:NAME, set_risk without a value one.
    new_secret: make another secret, shown this once with the message to paste; the old one opens nothing any more.
    """
    known = _known(api, name)
    if api.signaling.sources.is_configured(name):
        api.signaling.sources.put(known)  # refuses
    given = {each: value for each, value in locals().items() if each in _GIVEN and value is not None}
    if sizing is not None and size is None and sizing.strip().lower() in ("", "as_sent"):
        given["size"] = ""
    if order_type is not None and limit_offset is None and order_type.strip().upper() != "LIMIT":
        given["limit_offset"] = ""
    if account is not None or venue is not None:
        given["account"] = _account(api, account, venue)
    if secret or new_secret:
        given["secret"] = secret or token_urlsafe(24)
    source = _source(name, {**written(known), **given}, caller)
    levels = _limits(limits)
    if symbols:
        await _require_symbols(api, source)
        source = _source(name, {**written(_known(api, name)), **given}, caller)
    api.signaling.sources.put(source)
    if limits is not None and not levels:
        _unlimit(api, source, caller)
    _limit(api, source, levels, caller)
    await api.gateway.settled()
    return _shown(api, source, secret=source.secret != known.secret)


@command(Right.ADMIN)
async def remove_source(api: Api, caller: Caller, name: str, force: bool = False) -> bool:
    """Let a source's signals in no more; False when there is none. Its orders, limits and halts stay as they are.

    Refused while its strategies hold something, or orders or signals of it are under way: with force it goes, and what
    it holds and works stays, for a person to look after.
    """
    await api.gateway.settled()
    if not force and api.signaling.sources.get(name) is not None and not api.signaling.sources.is_configured(name):
        _require_idle(api, name)
    removed = api.signaling.sources.remove(name)
    await api.gateway.settled()
    return removed


@command(Right.READ, narrow=True)
async def query_sources(api: Api, caller: Caller, name: str | None = None) -> list[SourceReport]:
    """Give every source, or one: its settings without the secret, its URL, and what came from it since the start."""
    await api.gateway.settled()
    found = [_known(api, name)] if name is not None else api.signaling.sources.all()
    return [_shown(api, each) for each in found if caller.grant.reaches(each.account)]


def _require_free(api: Api, name: str) -> None:
    if api.signaling.sources.get(name) is not None or api.access.taken(name):
        raise Refused(Reason.NAME_TAKEN, f"{name} is a source's, a user's or a token's name already: give another.")


async def _require_symbols(api: Api, source: Source) -> None:
    """Refuse a symbol that the account's venue does not know; what it cannot say now is found with the signal."""
    venue = api.gateway.venue_of(source.account)
    if venue is None:
        return
    for sent, symbol in source.symbols.items():
        try:
            if await api.feed.instrument(venue, symbol) is not None:
                continue
        except GatewayError:
            return
        text = f"symbols: {sent[:80]}={symbol[:80]}: {unknown_symbol(api.brokers[venue], symbol)}"
        raise Refused(Reason.UNKNOWN_SYMBOL, text)


def _require_idle(api: Api, name: str) -> None:
    """Refuse while something of a source would be left without anybody who ends it."""
    state, held = api.gateway.state, api.signaling.carrier.standing.held
    mine = [each for found in state.strategies.positions.values() for each in found.values() if each.source == name]
    holds = [
        f"{each.name or each.strategy or name} holds {held(each).normalize():f} {each.symbol} in {each.account}"
        for each in mine
        if held(each)
    ]
    works = [each.order_id for each in state.working.values() if each.owner == name]
    pending = [each.signal_id for each in state.strategies.pending.values() if each.source == name]
    told = [*_few(holds, "{}"), *_few(works, "order {} works"), *_few(pending, "signal {} is being carried out")]
    if told:
        how = f"close and cancel that first (`flatten` of source:{name} does), or give force to leave it as it is"
        raise Refused(Reason.IN_USE, f"Source {name} is in use: {'; '.join(told)}. Nothing is removed: {how}.")


def _few(found: list[str], words: str) -> list[str]:
    """The first few of a list, each in a sentence, and how many more there are."""
    more = [f"and {len(found) - FEW} more"] if len(found) > FEW else []
    return [*(words.format(each) for each in found[:FEW]), *more]


_GIVEN = frozenset(
    {"user", "symbols", "sizing", "size", "rounding", "order_type", "limit_offset", "time_in_force", "route"}
    | {"semantics", "max_age", "duplicate_window", "shadow", "rate", "addresses", "certificate", "mapping", "template"}
)
"""Settings that are taken over as they are given."""


def _known(api: Api, name: str) -> Source:
    source = api.signaling.sources.get(name)
    if source is None:
        raise Refused(Reason.NO_SUCH_SOURCE, f"There is no source {name[:80]!r}: query_sources lists them.")
    return source


def _source(name: str, table: Mapping[str, Any], caller: Caller) -> Source:
    try:
        return replace(source_of(name, table), changed_by=caller.user)
    except ValueError as error:
        raise BadArgument(f"{error}.") from None


def _account(api: Api, account: str | None, venue: str | None) -> str:
    """The account as its venue writes it; what no venue trades would be signals for nobody."""
    if venue is not None and venue not in api.brokers:
        raise BadArgument(f"venue {venue[:80]!r} is unknown: there are {', '.join(api.brokers)}.")
    brokers = api.brokers if venue is None else {venue: api.brokers[venue]}
    known = [each for broker in brokers.values() for each in broker.accounts()]
    if not account:
        if venue is None or len(known) != 1:
            raise BadArgument(f"account: name one{f' of {chr(44).join(known)}' if known else ''}.")
        return known[0]
    found = next((each for each in (account, account.upper()) if each in known), None)
    if found is not None:
        return found
    if venue is None:
        raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {account[:80]!r} is unknown: query_accounts lists them.")
    text = f"Venue {venue} has no account {account[:80]!r}: it has {', '.join(known) or 'none yet'}."
    raise Refused(Reason.UNKNOWN_ACCOUNT, text)


def _limits(text: str | None) -> list[tuple[Limit, str, str | None]]:
    """Limits as `LIMIT=VALUE[:WARN],…` (symbols of a list joined by +), or a JSON object of them."""
    found = []
    try:
        for name, given in _pairs(text or ""):
            value, colon, warn = given.partition(":")
            found.append((limit_of(name), value, warn if colon else None))
            level_of(*found[-1])
    except ValueError as error:
        raise BadArgument(f"{error}.") from None
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        document = json.loads(text)
        return [(str(name), str(int(value) if isinstance(value, bool) else value)) for name, value in document.items()]
    words = [each.strip() for each in text.split(",") if each.strip()]
    if wrong := [each for each in words if "=" not in each]:
        raise ValueError(f"limits {wrong[0][:80]!r}: give LIMIT=VALUE[:WARN]")
    return [(name.strip(), value) for name, _, value in (each.partition("=") for each in words)]


def _limit(api: Api, source: Source, levels: list[tuple[Limit, str, str | None]], caller: Caller) -> None:
    scope = Scope(ScopeKind.SOURCE, source.name)
    for limit, value, warn in levels:
        api.gateway.set_limit(scope, limit, value, warn, caller.user)


def _unlimit(api: Api, source: Source, caller: Caller) -> None:
    """Take away every limit that was set of a source; those that the configuration gives it hold again."""
    scope = Scope(ScopeKind.SOURCE, source.name)
    for limit in [Limit(limit) for where, limit in api.gateway.state.limits if where == str(scope)]:
        api.gateway.set_limit(scope, limit, None, None, caller.user)


def _limits_of(api: Api, source: Source) -> dict[str, str]:
    """The limits in force of a source, as they are written."""
    scope, found = Scope(ScopeKind.SOURCE, source.name), {}
    for each in api.gateway.guard.limits_of(scope):
        warn = "" if each.level.warn is None else f":{each.level.warn:f}"
        found[each.limit.value] = each.level.text.replace(",", "+") + warn
    return found


def _cautions(api: Api, source: Source) -> list[str]:
    """What of its settings can hardly be meant."""
    found = []
    if source.certificate and not api.about.webhook_certificates:
        found.append(
            "No signal of this source is let in: it needs a client certificate, and the port that signals come by "
            "asks for none (TXGATEWAY_TLS_CERT, TXGATEWAY_TLS_KEY and TXGATEWAY_WEBHOOK_CLIENT_CA make it; "
            "behind a proxy there is none to see)."
        )
    if source.sizing is Sizing.PERCENT and source.size is not None and source.size > HUNDRED:
        found.append(
            f"size {source.size:f}: each opening order is worth {source.size / HUNDRED:f} times the account's equity, "
            f"which only leverage pays for."
        )
    return found


def _shown(api: Api, source: Source, secret: bool = False) -> SourceReport:
    """A source as it may be seen; with its secret where that was just made."""
    tally = api.signaling.tally(source.name)
    url = api.about.webhook_url() + path_of(source)
    told = tally.warning or api.gateway.state.integrations.warning(source.name)
    settings = {name: value for name, value in written(source).items() if name not in ("kind", "account", "secret")}
    return SourceReport(
        name=source.name,
        kind=source.kind,
        account=source.account,
        venue=api.gateway.venue_of(source.account) or "",
        url=url,
        settings=settings,
        configured=api.signaling.sources.is_configured(source.name),
        by=source.changed_by,
        received=tally.received,
        refused=tally.refused,
        repeated=tally.repeated,
        wrong_secrets=tally.wrong,
        last_seen=tally.last,
        warning=" ".join(filter(None, (*_cautions(api, source), told))),
        limits=_limits_of(api, source),
        secret=source.secret if secret else None,
        message=message_of(source, url) if secret else None,
        place=place_of(source, url) if secret else None,
    )
