"""What symbols were traded at last, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, gatherResults

from txgateway.access import Caller
from txgateway.api import Api, LastPriceReport
from txgateway.brokers import Can, unknown_symbol
from txgateway.commands import Names, command
from txgateway.model.errors import BadArgument, GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import VenueStatus
from txgateway.model.market import LastPrice, NoPrice
from txgateway.model.rights import Right

MOST = 100
"""Symbols that may be asked about at once: every venue answers so many in time, those too that are asked one by one."""

Reports = Mapping[str, LastPriceReport]


@command(Right.READ, narrow=True)
async def query_last_prices(api: Api, caller: Caller, symbols: Names) -> dict[str, LastPriceReport]:
    """Give what several symbols were traded at last: each name, upper-cased -> its `price`, and the trade's `time`.

    symbols: up to 100 names with commas, or a list; also at several venues (`SYM@venue`). Nothing is subscribed. time
    is null where the venue does not tell it. Where there is no price, `reason` and `text` say why: UNKNOWN_SYMBOL,
    NO_PRICE (no trade is shown), UNSUPPORTED (the venue tells those of active symbols only: add_symbol), UNKNOWN_VENUE,
    VENUE_DOWN, VENUE_FAILED, TIMED_OUT. Several venues are asked at once, and each has the time of a question
    (TIMEOUT_ADDSYMBOL), as when it is asked alone: one that does not answer keeps the others' prices back so long.
    """
    names = tuple(dict.fromkeys(symbols))
    if not names or len(names) > MOST:
        raise BadArgument(f"query_last_prices: {len(names)} symbols are none of 1 to {MOST}.")
    places = {name: api.feed.place(name) for name in names}
    wanted: dict[str, list[str]] = {}
    for venue, symbol in dict.fromkeys(places.values()):
        wanted.setdefault(venue, []).append(symbol)
    asked = [Deferred.fromCoroutine(_asked(api, venue, some)) for venue, some in wanted.items()]
    found = dict(zip(wanted, await gatherResults(asked, consumeErrors=True), strict=True))
    return {name: found[venue][symbol] for name, (venue, symbol) in places.items()}


async def _asked(api: Api, venue: str, symbols: Sequence[str]) -> Reports:
    """What one venue tells of each symbol: its price, or why there is none."""
    try:
        if venue not in api.brokers:
            raise Refused(Reason.UNKNOWN_VENUE, f"Venue {venue!r} is unknown: query_venues lists them.")
        if Can.LAST_PRICES not in api.brokers[venue].can:
            return {symbol: _shown(api, venue, symbol) for symbol in symbols}
        return await _told(api, venue, symbols)
    except GatewayError as error:
        return {symbol: _none(error) for symbol in symbols}


async def _told(api: Api, venue: str, symbols: Sequence[str]) -> Reports:
    prices: dict[str, LastPriceReport] = {}
    for each in await api.brokers[venue].last_prices(symbols):
        prices[each.symbol] = _none(each.why) if isinstance(each, NoPrice) else _report(each)
    lacking = [symbol for symbol in symbols if symbol not in prices]
    reasons = await gatherResults([Deferred.fromCoroutine(_why_none(api, venue, each)) for each in lacking])
    return prices | dict(zip(lacking, reasons, strict=True))


async def _why_none(api: Api, venue: str, symbol: str) -> LastPriceReport:
    """Why a venue that was asked told no price."""
    try:
        if await api.feed.instrument(venue, symbol) is None:
            raise Refused(Reason.UNKNOWN_SYMBOL, unknown_symbol(api.brokers[venue], symbol))
        raise Refused(Reason.NO_PRICE, f"Venue {venue} shows no trade in {symbol}.")
    except GatewayError as error:
        return _none(error)


def _shown(api: Api, venue: str, symbol: str) -> LastPriceReport:
    """What an active symbol of a venue that cannot be asked has shown."""
    if api.gateway.intake.status[venue] not in (VenueStatus.RECONCILING, VenueStatus.UP):
        return _none(Refused(Reason.VENUE_DOWN, f"Venue {venue} is not connected: what it showed before may be old."))
    _, last = api.feed.shown(venue, symbol)
    if last is not None:
        return _report(LastPrice(symbol, last.price, last.time))
    if api.feed.ticker(f"{symbol}@{venue}") is None:
        text = f"Venue {venue} tells the last prices of active symbols only: add_symbol {symbol} first."
        return _none(Refused(Reason.UNSUPPORTED, text))
    return _none(Refused(Reason.NO_PRICE, f"Venue {venue} shows no trade in {symbol}."))


def _report(last: LastPrice) -> LastPriceReport:
    return LastPriceReport(last.price, last.time)


def _none(error: GatewayError) -> LastPriceReport:
    if isinstance(error, Refused):
        return LastPriceReport(None, None, error.reason, error.text)
    return LastPriceReport(None, None, "TIMED_OUT" if isinstance(error, TimedOut) else Reason.VENUE_FAILED, str(error))
