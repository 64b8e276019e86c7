"""The emulator's market: for each contract a price path out of a seed, with a past (bars) and a present (quotes).

Pure. Times are aware. A price is a Decimal of whole ticks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.emulators.path import away, chance
from tests.emulators.tws.contracts import EASTERN, STOCKS, Contract

ZONE = ZoneInfo(EASTERN)
MOST_BARS = 20_000
YEARS_BACK = 10
DAY, WEEK, MONTH = 86400, 7 * 86400, 30 * 86400
NOTHING = Decimal(0)
SHARES = {"STK": 100, "CASH": 1_000_000, "OPT": 10, "FUT": 10, "CRYPTO": 1}
"""What a size at the market is a multiple of."""


class Bar(NamedTuple):
    """From `start` on."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int

    @property
    def average(self) -> Decimal:
        """Of its four prices."""
        return ((self.open + self.high + self.low + self.close) / 4).quantize(Decimal("0.0001"))


@dataclass(slots=True)
class Tape:
    """What a contract shows now. A size of 0: that side is empty."""

    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    last: Decimal
    last_size: Decimal
    volume: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    """The close before."""
    traded_at: datetime
    pinned: bool = False
    """True while a person sets its quote: it does not move by itself."""

    @property
    def is_traded(self) -> bool:
        """Whether there was a trade today."""
        return self.last > 0


def rounded(price: float, tick: Decimal) -> Decimal:
    """To the nearest tick, at least one."""
    return max((Decimal(price) / tick).quantize(Decimal(1)), Decimal(1)) * tick


def session(contract: Contract, regular: bool) -> tuple[time, time, int]:
    """When its day begins and ends (midnight: with the day), and how many days a week it has."""
    if contract.kind in ("STK", "OPT"):
        return (time(9, 30), time(16), 5) if regular else (time(4), time(20), 5)
    return time(0), time(0), 7 if contract.kind == "CRYPTO" else 5


class Market:
    """Every contract's path and tape."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.tapes: dict[int, Tape] = {}

    def price(self, contract: Contract, at: datetime) -> Decimal:
        """Where the path is at a time."""
        return rounded(self._path(contract, at), contract.tick)

    def _path(self, contract: Contract, at: datetime) -> float:
        if contract.kind == "OPT":
            under = next(stock for stock in STOCKS if stock.con_id == contract.under)
            spot, strike = self._path(under, at), float(contract.strike)
            intrinsic = max(spot - strike if contract.right == "C" else strike - spot, 0)
            return intrinsic + 0.02 * spot * math.exp(-abs(spot - strike) / (0.05 * spot))
        return float(contract.price) * (1 + away(self.seed, contract.con_id, at.timestamp()))

    # ---------------------------------------------------------------- now

    def tape(self, contract: Contract, now: datetime) -> Tape:
        """The contract's tape; made when it is asked for first."""
        if contract.con_id not in self.tapes:
            today = now.astimezone(ZONE).date()
            last = self.price(contract, now)
            opened = self.price(contract, datetime.combine(today, time(9, 30), ZONE))
            before = self.price(contract, datetime.combine(_weekday_before(today), time(16), ZONE))
            unit = SHARES.get(contract.kind, 1)
            volume = Decimal(unit * int(1000 + 9000 * chance(self.seed, contract.con_id, today)))
            ends = (opened, last)
            self.tapes[contract.con_id] = Tape(
                *(last, NOTHING, last, NOTHING, last, Decimal(unit), volume),
                *(opened, max(ends), min(ends), before, now),
            )
            self._quote(contract, now)
        return self.tapes[contract.con_id]

    def _quote(self, contract: Contract, now: datetime) -> None:
        tape, key = self.tapes[contract.con_id], (self.seed, contract.con_id, now.timestamp())
        middle = self.price(contract, now)
        half = contract.tick * (1 + int(2 * chance(*key, "spread")))
        tape.bid, tape.ask = max(middle - half, contract.tick), middle + half
        unit = SHARES.get(contract.kind, 1)
        tape.bid_size, tape.ask_size = (Decimal(unit * (1 + int(20 * chance(*key, side)))) for side in ("bid", "ask"))

    def step(self, contract: Contract, now: datetime) -> bool:
        """A new quote (unless it is pinned), and now and then a trade: whether there was one."""
        if self.tape(contract, now).pinned:
            return False
        self._quote(contract, now)
        key = (self.seed, contract.con_id, now.timestamp())
        if not contract.has_trades or chance(*key, "trade") < 0.5:
            return False
        size = SHARES.get(contract.kind, 1) * (1 + int(8 * chance(*key, "size")))
        self.trade(contract, self.price(contract, now), Decimal(size), now)
        return True

    def trade(self, contract: Contract, price: Decimal, size: Decimal, now: datetime) -> None:
        """A trade, ours or another's, is printed; of a currency pair none is."""
        tape = self.tape(contract, now)
        if not contract.has_trades:
            return
        if not tape.is_traded:
            tape.open = tape.high = tape.low = price
        tape.last, tape.last_size, tape.traded_at = price, size, now
        tape.volume += size
        tape.high, tape.low = max(tape.high, price), min(tape.low, price)

    def untraded(self, contract: Contract, now: datetime) -> None:
        """Forget the day's trades."""
        tape = self.tape(contract, now)
        tape.last = tape.last_size = tape.volume = tape.open = tape.high = tape.low = NOTHING

    # ---------------------------------------------------------------- the past

    def bars(
        self, contract: Contract, seconds: int, start: datetime, end: datetime, regular: bool, now: datetime
    ) -> list[Bar]:
        """Bars of so many seconds, or of a DAY, WEEK or MONTH, that begin in [start, end)."""
        bars: list[Bar] = []
        for opens, closes in sessions(contract, start, min(end, now), regular):
            if seconds >= DAY:
                self._add_day(bars, contract, seconds, opens, closes, now)
                continue
            at = opens
            while at < min(closes, end, now) and len(bars) < MOST_BARS:
                if at >= start:
                    bars.append(self._bar(contract, at, seconds, max(1, seconds // 6), now))
                at += timedelta(seconds=seconds)
        return bars

    def _add_day(
        self, bars: list[Bar], contract: Contract, seconds: int, opens: datetime, closes: datetime, now: datetime
    ) -> None:
        length = int((closes - opens).total_seconds())
        bar, day = self._bar(contract, opens, length, length // 24, now), opens.date()
        first = {DAY: day, WEEK: day - timedelta(days=day.weekday()), MONTH: day.replace(day=1)}[seconds]
        midnight = datetime.combine(first, time(0), ZONE)
        if bars and bars[-1].start == midnight:
            had = bars[-1]
            high, low = max(had.high, bar.high), min(had.low, bar.low)
            bars[-1] = Bar(midnight, had.open, high, low, bar.close, had.volume + bar.volume)
        else:
            bars.append(bar._replace(start=midnight))

    def _bar(self, contract: Contract, start: datetime, seconds: int, apart: int, now: datetime) -> Bar:
        """Out of the path's points that many seconds apart; what is not yet is left out."""
        steps = (start + timedelta(seconds=i) for i in [*range(0, seconds, apart), seconds - 1])
        points = [self.price(contract, at) for at in steps if at <= now]
        volume = int(1 + seconds * chance(self.seed, contract.con_id, start.timestamp(), "volume"))
        volume *= SHARES.get(contract.kind, 1) if contract.has_trades else 0
        return Bar(start, points[0], max(points), min(points), points[-1], volume)


def sessions(contract: Contract, start: datetime, end: datetime, regular: bool) -> Iterator[tuple[datetime, datetime]]:
    """The sessions that touch [start, end), oldest first."""
    opens, closes, days = session(contract, regular)
    day = start.astimezone(ZONE).date()
    while (begins := datetime.combine(day, opens, ZONE)) < end:
        ends = datetime.combine(day + timedelta(days=closes == time(0)), closes, ZONE)
        if day.weekday() < days and ends > start:
            yield begins, ends
        day += timedelta(days=1)


def _weekday_before(day: date) -> date:
    before = day - timedelta(days=1)
    return before if before.weekday() < 5 else _weekday_before(before)
