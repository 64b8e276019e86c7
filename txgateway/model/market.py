"""What a market shows: quotes, trades, bars, its book, and what holding a perpetual costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.errors import GatewayError
from txgateway.model.instrument import Instrument


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask of an instrument. A side that is not there has size 0."""

    symbol: str
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    time: datetime

    @property
    def tradable(self) -> bool:
        """Both sides shown, and not crossed: only such a quote is matched against."""
        return self.bid_size > 0 and self.ask_size > 0 and 0 < self.bid < self.ask


@dataclass(frozen=True, slots=True)
class Trade:
    """A public trade of the market, not one of ours."""

    symbol: str
    price: Decimal
    size: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class LastPrice:
    """What an instrument was traded at last, and when that was: None where the venue does not tell."""

    symbol: str
    price: Decimal
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoPrice:
    """Why what an instrument was traded at last could not be told, while that of others is."""

    symbol: str
    why: GatewayError


@dataclass(frozen=True, slots=True)
class Level:
    """One price of a book, and the size that is shown there."""

    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Depth:
    """The book of an instrument, the best price of each side first: as far as it was asked for, or is shown.

    `sequence` is the venue's own number of this state (0: it has none); a later one has a higher one.
    """

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    time: datetime
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Funding:
    """What holders of a perpetual pay each other: longs pay `rate` of the position's value, below zero shorts do.

    `rate` is what is due at `next_time` as things stand, or `next_rate` where the venue tells them apart: then `rate`
    was paid last. None: the venue does not tell.
    """

    symbol: str
    rate: Decimal
    time: datetime
    next_rate: Decimal | None = None
    next_time: datetime | None = None
    interval_seconds: int | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What a unit is worth now, and what it was at the end of the day before (None: not known)."""

    price: Decimal
    close: Decimal | None = None
    multiplier: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices and volume of one period; `time` is the period's start."""

    symbol: str
    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """What is known of a subscribed instrument at one moment. Prices are None until the market has shown them.

    `name` is how clients call it: `SYM` at the default venue, `SYM@venue` elsewhere. `close` is the previous day's;
    `bars` are the day's minute bars, the running one last.
    """

    name: str
    instrument: Instrument
    quote: Quote | None = None
    last: Trade | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal = Decimal(0)
    vwap: Decimal | None = None
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistics:
    """A day's figures of an instrument that no single trade carries; None where the venue gives none."""

    symbol: str
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None


class Unit(StrEnum):
    """The unit of a bar's period."""

    MINUTE = "MINUTE"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class Period:
    """The length of a bar: `count` units, such as 5 MINUTE or 1 DAY."""

    count: int
    unit: Unit
