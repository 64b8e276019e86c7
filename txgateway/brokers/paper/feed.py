"""Where prices come from: the contract of a paper venue's feed. The synthetic market, the replay and another venue's
live prices keep it: nothing else here knows what is behind a feed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from twisted.internet.task import deferLater

from txgateway.brokers.paper.names import Name
from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.errors import BadArgument
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.market import Bar, LastPrice, NoPrice, Period, Quote, Statistics, Trade


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A symbol shows nothing any more: neither its last quote nor its last trade may be traded on."""

    symbol: str
    time: datetime


Shown = Quote | Trade | Statistics | Withdrawn
Hear = Callable[[Sequence[Shown]], None]
"""Called with what the subscribed symbols showed, in order; with nothing when only time went on."""

MOST_BARS = 100_000
"""More bars than this are not gathered for one question."""
SLICE = 200
"""So many bars are made before others get their turn."""


class Feed(Protocol):
    """A market to trade against. Known symbols only, but for `instrument`, `look_up`, `price` and `last_prices`.

    `live` is one that goes its own way: an order meets what it shows when it is heard, whatever time that bears.
    """

    live: bool

    def start(self, hear: Hear) -> None:
        """Get ready; ValueError when what it needs is not there."""

    def stop(self) -> None:
        """End; nothing is heard any more."""

    def now(self) -> datetime:
        """The market's clock, UTC; it never runs back."""

    def instrument(self, symbol: str) -> Instrument | None:
        """The trading rules; None for an unknown symbol."""

    async def look_up(self, symbol: str) -> Instrument | None:
        """The trading rules, asked for where they have to be; a GatewayError where nobody can be asked now."""

    def instruments(self) -> Sequence[Instrument]:
        """Everything that trades here, as far as it is known."""

    def standing(self, symbol: str) -> str:
        """Why nothing can be traded now although the market is open, in words; empty while it can."""

    def quoted(self, symbol: str) -> bool:
        """True when quotes are shown; else trades alone are."""

    def price(self, symbol: str) -> Decimal | None:
        """The last price, of symbols not subscribed too; None for an unknown one."""

    def statistics(self, symbol: str) -> Statistics:
        """The day's figures, the last trade included."""

    def subscribe(self, symbol: str) -> None:
        """Show a symbol: what it shows now is heard before this returns."""

    def unsubscribe(self, symbol: str) -> None:
        """Show it no more."""

    def poll(self) -> datetime:
        """Let everything be heard that is due by now, so that an order meets the present market; gives that now."""

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars that start in [start, end), up to now: the running one as far as it has come."""

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """The last trades, of symbols not subscribed too; nothing begins or ticks for being asked."""


LEAST_WORTH = Decimal(10)
"""What an order of a crypto currency must come to, as their exchanges have it."""


def instrument_of(name: Name, venue: str, sessions: Sessions) -> Instrument:
    """A name as an instrument, with raw fields in the manner of a quote vendor."""
    session = sessions.session(name.asset_class)
    return Instrument(
        symbol=name.symbol,
        venue=venue,
        fullname=name.fullname,
        cusip=name.cusip,
        asset_class=name.asset_class,
        currency=name.currency,
        exchange=name.exchange,
        tick_size=name.tick_size,
        lot_size=name.lot_size,
        min_quantity=name.lot_size,
        min_notional=LEAST_WORTH if name.asset_class is AssetClass.CRYPTO else Decimal(0),
        shortable=name.asset_class is not AssetClass.CRYPTO,
        session=session,
        raw={
            "DISP_NAME": name.symbol,
            "COMPANY_NAME": name.fullname,
            "CUSIP": name.cusip,
            "CURRENCY": name.currency,
            "EXCHANGE": name.exchange,
            "SECURITY_TYPE": name.asset_class.value,
            "STARTTIME": f"{session.open:%H:%M:%S}",
            "STOPTIME": f"{session.close:%H:%M:%S}",
            "TICK_SIZE": f"{name.tick_size:f}",
            "LOT_SIZE": f"{name.lot_size:f}",
        },
    )


def breather(reactor: Any) -> Callable[[], Awaitable[None]]:
    """Something to await in long work, so that others get their turn."""
    return lambda: deferLater(reactor, 0, lambda: None)


async def gathered(bars: Iterator[Bar | None], breathe: Callable[[], Awaitable[None]]) -> list[Bar]:
    """All bars of a lazy row, made in slices; None in it is a pause. BadArgument beyond MOST_BARS."""
    found: list[Bar] = []
    for number, bar in enumerate(bars, 1):
        if bar is not None:
            found.append(bar)
        if len(found) > MOST_BARS:
            raise BadArgument(
                f"More than {MOST_BARS} bars lie in that range: ask for a shorter one, or for longer bars."
            )
        if bar is None or number % SLICE == 0:
            await breathe()
    return found
