"""The recorded market, read from its files by nothing but the standard library: what an execution is held against."""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = tuple[str, str, float, float, float, float, int]
"""A bar as query_bars gives it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of quotes; `until` is when the next one replaced it."""

    number: int
    time: datetime
    until: datetime
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal

    @property
    def fair(self) -> bool:
        """Whether both sides are shown, and are neither crossed nor locked."""
        return min(self.bid_size, self.ask_size) > 0 and 0 < self.bid < self.ask

    def side(self, buys: bool) -> tuple[Decimal, Decimal]:
        """The price and the size that a buy or a sell meets."""
        return (self.ask, self.ask_size) if buys else (self.bid, self.bid_size)


@dataclass(frozen=True, slots=True)
class Traded:
    """A row of trades."""

    time: datetime
    price: Decimal
    size: Decimal


class Recording:
    """Some days of one instrument."""

    def __init__(self, folder: Path, symbol: str, days: tuple[str, ...]) -> None:
        quotes = [row for day in days for row in _rows(folder / f"{symbol}-{day}-quotes.csv.gz")]
        trades = [row for day in days for row in _rows(folder / f"{symbol}-{day}-trades.csv.gz")]
        ends = [_moment(row[0]) for row in quotes[1:]] + [datetime.max.replace(tzinfo=UTC)]
        self.quotes = [
            Shown(number, _moment(row[0]), until, *map(Decimal, row[1:]))
            for number, (row, until) in enumerate(zip(quotes, ends, strict=True))
        ]
        self.trades = [Traded(_moment(row[0]), Decimal(row[1]), Decimal(row[2])) for row in trades]
        self._quote_times = [quote.time for quote in self.quotes]
        self._trade_times = [trade.time for trade in self.trades]

    @property
    def end(self) -> datetime:
        """Its last moment."""
        return max(self._quote_times[-1], self._trade_times[-1])

    def quote_at(self, moment: datetime) -> Shown:
        """The quote that was current at a moment: the last one up to it."""
        at = bisect_right(self._quote_times, moment)
        assert at, f"nothing was quoted yet at {moment}"
        return self.quotes[at - 1]

    def quotes_in(self, start: datetime, end: datetime) -> list[Shown]:
        """The quotes that were current at some time in [start, end]."""
        return self.quotes[self.quote_at(start).number : bisect_right(self._quote_times, end)]

    def trades_in(self, start: datetime, end: datetime) -> list[Traded]:
        """The trade that was the last at the start, and those after it up to the end."""
        first = max(0, bisect_right(self._trade_times, start) - 1)
        return [each for each in self.trades[first : bisect_right(self._trade_times, end)] if each.time <= end]

    def bars(self, day: str, first: str, last: str, minutes: int) -> list[Row]:
        """Bars of so many minutes out of a day's trades, those that begin from `first` to `last` (HH:MM, local)."""
        inside = [
            (local, trade)
            for trade in self.trades
            if (local := trade.time.astimezone(NEW_YORK)).strftime("%Y-%m-%d") == day
            and first <= local.strftime("%H:%M") <= last
        ]
        return [
            _bar(begin, [trade for _, trade in group])
            for begin, group in groupby(inside, key=lambda each: _begin(each[0], minutes))
        ]


def _rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows


def _moment(milliseconds: str) -> datetime:
    return EPOCH + timedelta(milliseconds=int(milliseconds))


def _begin(local: datetime, minutes: int) -> datetime:
    """Where the period begins; sixty minutes are a whole number of periods."""
    return local.replace(minute=local.minute // minutes * minutes, second=0, microsecond=0)


def _bar(begin: datetime, trades: list[Traded]) -> Row:
    prices = [float(trade.price) for trade in trades]
    volume = int(sum(trade.size for trade in trades))
    day, clock = begin.strftime("%Y-%m-%d"), begin.strftime("%H:%M:%S")
    return day, clock, prices[0], max(prices), min(prices), prices[-1], volume
