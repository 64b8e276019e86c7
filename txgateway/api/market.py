"""Symbols, their prices and bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from txgateway import bars as bar_ranges
from txgateway.access import Caller
from txgateway.api import Api, BarRows, InstrumentReport
from txgateway.brokers import Can
from txgateway.commands import Upper, command
from txgateway.model.errors import Reason, Refused, TimedOut
from txgateway.model.market import Bar, Ticker
from txgateway.model.order import OrderType, TimeInForce
from txgateway.model.rights import Right

BARS_AT_ONCE = 2000
"""Bars that are clipped to the session in one turn."""


@command(Right.READ, narrow=True)
async def add_symbol(api: Api, caller: Caller, symbol: Upper) -> Ticker | None:
    """Subscribe to a symbol: its prices are kept and streamed. Null when the venue does not know it."""
    return await api.feed.add(symbol, caller.listener)


@command(Right.READ, narrow=True)
def del_symbol(api: Api, caller: Caller, symbol: Upper) -> bool:
    """End a subscription; true when there was one."""
    return api.feed.remove(symbol, caller.listener)


@command(Right.READ, narrow=True)
def query_symbols(api: Api, caller: Caller, data: bool = False) -> list[str] | dict[str, Ticker]:
    """Give the names of the active symbols or, with data, an object of name -> symbol object."""
    return api.feed.tickers() if data else api.feed.names()


@command(Right.READ, narrow=True)
async def query_symbol(api: Api, caller: Caller, symbol: Upper) -> Ticker | None:
    """Give a symbol's current values, subscribing when it is not active yet. Null when it is unknown."""
    return await api.feed.query(symbol, caller.listener)


@command(Right.READ, narrow=True)
async def query_symbol_data(api: Api, caller: Caller, symbol: Upper) -> dict[str, Any] | None:
    """Give the venue's own fields of a symbol; for equities with the session's STARTTIME and STOPTIME."""
    instrument = await api.feed.instrument(*api.feed.place(symbol))
    return None if instrument is None else dict(instrument.raw)


@command(Right.READ, narrow=True)
async def query_symbol_bars(api: Api, caller: Caller, symbol: Upper) -> BarRows:
    """Give today's live minute bars of an active symbol; an empty list when charts are off."""
    ticker = api.feed.ticker(symbol)
    return BarRows(ticker.bars if ticker else (), api.about.zone)


@command(Right.READ, narrow=True)
async def query_bars(api: Api, caller: Caller, symbol: Upper, period: str, start: str, end: str) -> BarRows | None:
    """Give bars as [date, time, open, high, low, close, volume].

    period: minutes, or DAY, WEEK, MONTH. start, end: YYYY-MM-DD HH:MM[:SS] or YYYY-MM-DD in the local zone, `.`
    (start: today; end: the start's day), or for start -N, the last N periods. Days, weeks and months of a crypto
    exchange are UTC's, by their date there. Null for an unknown symbol, or when the venue cannot give them now.
    """
    kind = bar_ranges.period_of(period)
    instrument = await api.feed.instrument(*api.feed.place(symbol))
    if instrument is None:
        return None
    venue, _ = api.feed.place(symbol)
    now, zone = api.feed.now(venue), bar_ranges.zone_of_days(kind, api.about.zone, instrument.session)
    wanted = bar_ranges.range_of(start, end, kind, now, zone, instrument.session)
    kept: list[Bar] = []
    for begin in bar_ranges.starts(wanted, kind):
        try:
            bars = await api.feed.bars(symbol, kind, begin, wanted.end)
        except (Refused, TimedOut):
            return None
        kept = []
        for at in range(0, len(bars or ()), BARS_AT_ONCE):
            part = (bars or ())[at : at + BARS_AT_ONCE]
            kept.extend(bar_ranges.clipped(part, kind, zone, instrument.session))
            await api.feed.breathe()
        if wanted.count is not None and len(kept) >= wanted.count:
            break
    return BarRows(kept[-wanted.count :] if wanted.count else kept, zone)


@command(Right.READ, narrow=True)
async def query_instrument(api: Api, caller: Caller, symbol: Upper) -> InstrumentReport | None:
    """Give a symbol's trading rules: steps, limits, session, order types. Null when the venue does not know it."""
    venue, name = api.feed.place(symbol)
    instrument = await api.feed.instrument(venue, name)
    if instrument is None:
        return None
    can = {flag.name for flag in api.brokers[venue].can}
    return InstrumentReport(
        instrument,
        tuple(each.value for each in OrderType if each.value in can),
        tuple(each.value for each in TimeInForce if each.value in can),
    )


@command(Right.TRADE)
async def set_primary_exchange(
    api: Api, caller: Caller, symbol: Upper, exchange: str | None = None
) -> dict[str, str]:  # fmt: skip
    """Set the primary exchange of a symbol, or delete it (empty exchange); gives all that are set.

    Refused where the venue has no such symbol at that exchange; and while the symbol is held, or has orders that work,
    if it would mean another contract then.
    """
    wanted = (exchange or "").strip().upper() or None
    await _judge_exchange(api, symbol, wanted)
    api.gateway.change_setting(f"primary_exchange:{symbol}", wanted, caller.user)
    await api.gateway.settled()  # who asks for the symbol next gets what it means now
    prefix = "primary_exchange:"
    settings = api.gateway.state.settings
    return {name[len(prefix) :]: value for name, value in settings.items() if name.startswith(prefix)}


async def _judge_exchange(api: Api, symbol: str, exchange: str | None) -> None:
    """Refused where a symbol cannot, or must not now, be set to an exchange."""
    venue, name = api.feed.place(symbol)
    broker, state = api.brokers.get(venue), api.gateway.state
    if broker is None or Can.PRIMARY_EXCHANGE not in broker.can:
        return

    def used(names: Sequence[str]) -> list[str]:
        held = {
            each.symbol for positions in state.positions.values() for each in positions.values() if each.venue == venue
        }
        works = {order.symbol for order in state.working_at(venue)}
        return [each for each in names if each in held | works]

    if exchange is None and not used([name]):
        return
    changed = used(await broker.renames(name, exchange))
    if changed:
        text = (
            f"{' and '.join(changed)} would mean another contract: first end its orders, and close what is held of it."
        )
        raise Refused(Reason.IN_USE, text)
