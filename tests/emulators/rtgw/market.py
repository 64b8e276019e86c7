"""The emulator's market: for each symbol a price path out of a seed, with a past (bars) and a present (quotes).

Pure. Times are naive and the feed's own (US/Eastern). A price is a Decimal of whole cents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.emulators.path import away, chance

OPENS, CLOSES = time(9, 30), time(16, 0)
CENT = Decimal("0.01")
EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001
MOST_BARS = 20_000


class Listing(NamedTuple):
    """What there is to know about a symbol."""

    name: str
    cusip: str
    exchange: str
    price: int


LISTINGS = {
    "AAPL": Listing("Apple Inc.", "037833100", "NAS", 170),
    "COWN": Listing("Cowen Inc.", "223622606", "NAS", 39),
    "GOOG": Listing("Alphabet Inc. Class C", "02079K107", "NAS", 140),
    "IBM": Listing("International Business Machines", "459200101", "NYS", 185),
    "INTC": Listing("Intel Corporation", "458140100", "NAS", 43),
    "MSFT": Listing("Microsoft Corporation", "594918104", "NAS", 410),
    "SPY": Listing("SPDR S&P 500 ETF Trust", "78462F103", "PAC", 510),
    "TSLA": Listing("Tesla, Inc.", "88160R101", "NAS", 200),
}


class Bar(NamedTuple):
    """From `start` on."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(slots=True)
class Tape:
    """What a symbol shows now."""

    bid: Decimal
    bid_size: int
    ask: Decimal
    ask_size: int
    last: Decimal
    last_size: int
    volume: int
    turnover: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    """The close before."""
    traded_at: datetime
    pinned: bool = False
    """True while a person sets its quote: it does not move by itself."""
    shifted: bool = False
    """True while the quote is a cent above where it was."""

    @property
    def vwap(self) -> Decimal:
        """The average price of what was traded."""
        return (self.turnover / self.volume).quantize(CENT) if self.volume else self.last


class Market:
    """Every symbol's path and tape."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.tapes: dict[str, Tape] = {}

    def price(self, symbol: str, at: datetime) -> Decimal:
        """Where the path is at a time."""
        moved = away(self.seed, symbol, (at - EPOCH).total_seconds())
        return Decimal(LISTINGS[symbol].price * (1 + moved)).quantize(CENT)

    # ---------------------------------------------------------------- now

    def tape(self, symbol: str, now: datetime) -> Tape:
        """The symbol's tape; made when it is asked for first."""
        if symbol not in self.tapes:
            last = self.price(symbol, now)
            opened = self.price(symbol, datetime.combine(now.date(), OPENS))
            before = self.price(symbol, datetime.combine(_trading_day_before(now.date()), CLOSES))
            volume = 100_000 + 100 * int(9000 * chance(self.seed, symbol, now.date()))
            ends = (opened, last)
            self.tapes[symbol] = Tape(
                *(last, 0, last, 0, last, 100, volume, last * volume),
                *(opened, max(ends), min(ends), before, now.replace(microsecond=0)),
            )
            self._quote(symbol, now)
        return self.tapes[symbol]

    def _quote(self, symbol: str, now: datetime) -> None:
        tape, key = self.tapes[symbol], (self.seed, symbol, now.isoformat())
        middle = self.price(symbol, now)
        half = CENT * (1 + int(2 * chance(*key, "spread")))
        tape.bid, tape.ask = middle - half, middle + half
        tape.bid_size, tape.ask_size = (100 * (1 + int(20 * chance(*key, side))) for side in ("bid", "ask"))

    def step(self, symbol: str, now: datetime) -> bool:
        """A new quote (unless it is pinned), and now and then a trade: whether there was one."""
        tape = self.tape(symbol, now)
        if tape.pinned:
            return False
        self._quote(symbol, now)
        if chance(self.seed, symbol, now.isoformat(), "trade") < 0.5:
            return False
        size = 100 * (1 + int(8 * chance(self.seed, symbol, now.isoformat(), "size")))
        self.trade(symbol, self.price(symbol, now), size, now)
        return True

    def trade(self, symbol: str, price: Decimal, size: int, now: datetime) -> None:
        """A trade, ours or another's, is printed."""
        tape = self.tape(symbol, now)
        tape.last, tape.last_size, tape.traded_at = price, size, now.replace(microsecond=0)
        tape.volume += size
        tape.turnover += price * size
        tape.high, tape.low = max(tape.high, price), min(tape.low, price)

    def pin(self, symbol: str, now: datetime, bid: Decimal, ask: Decimal, bid_size: int, ask_size: int) -> None:
        """From now on this is its quote, until it is freed. A side of size 0 is empty."""
        tape = self.tape(symbol, now)
        tape.bid, tape.ask, tape.bid_size, tape.ask_size, tape.pinned = bid, ask, bid_size, ask_size, True

    def shift(self, symbol: str, now: datetime) -> None:
        """Both sides of its quote a cent up, then a cent down, and so on: each is news, and the price stays."""
        tape = self.tape(symbol, now)
        cent = -CENT if tape.shifted else CENT
        tape.bid, tape.ask, tape.shifted, tape.pinned = tape.bid + cent, tape.ask + cent, not tape.shifted, True

    # ---------------------------------------------------------------- the past

    def _bar(self, symbol: str, start: datetime, seconds: int, apart: int, now: datetime) -> Bar:
        """Out of the path's points that many seconds apart; what is not yet is left out."""
        steps = (start + timedelta(seconds=i) for i in [*range(0, seconds, apart), seconds - 1])
        points = [self.price(symbol, at) for at in steps if at <= now]
        volume = 100 * (1 + int(seconds * chance(self.seed, symbol, start.isoformat(), "volume")))
        return Bar(start, points[0], max(points), min(points), points[-1], volume)

    def intraday(self, symbol: str, minutes: int, start: datetime, stop: datetime, now: datetime) -> list[Bar]:
        """Bars of so many minutes that begin in [start, stop), in session, counted from the session's start."""
        bars: list[Bar] = []
        day = start.date()
        while day <= stop.date() and len(bars) < MOST_BARS:
            at, end = datetime.combine(day, OPENS), datetime.combine(day, CLOSES)
            while day.weekday() < 5 and at < end:
                if start <= at < stop and at <= now:
                    bars.append(self._bar(symbol, at, minutes * 60, 10, now))
                at += timedelta(minutes=minutes)
            day += timedelta(days=1)
        return bars[:MOST_BARS]

    def daily(self, symbol: str, kind: int, start: date, stop: date, now: datetime) -> list[Bar]:
        """Bars of days (kind 0), weeks (1) or months (2) from a date to another, both in."""
        groups: dict[date, Bar] = {}
        for day in _trading_days(start, min(stop, now.date())):
            opened = datetime.combine(day, OPENS)
            if opened > now:
                break
            bar = self._bar(symbol, opened, 23400, 600, now)
            key = [day, day - timedelta(days=day.weekday()), day.replace(day=1)][kind]
            groups[key] = bar if key not in groups else _joined(groups[key], bar)
        return list(groups.values())


def _joined(first: Bar, then: Bar) -> Bar:
    high, low = max(first.high, then.high), min(first.low, then.low)
    return Bar(first.start, first.open, high, low, then.close, first.volume + then.volume)


def _trading_days(start: date, stop: date) -> Iterator[date]:
    for days in range(min((stop - start).days + 1, MOST_BARS)):
        day = start + timedelta(days=days)
        if day.weekday() < 5:
            yield day


def _trading_day_before(day: date) -> date:
    before = day - timedelta(days=1)
    return before if before.weekday() < 5 else _trading_day_before(before)
