"""What a market shows, out of TWS's ticks: one number at a time. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from txgateway.brokers.ib.translate import amount, decimal
from txgateway.model.market import Quote, Statistics, Trade

ZERO = Decimal(0)
DELAYED = {66: 1, 67: 2, 68: 4, 69: 0, 70: 3, 71: 5, 72: 6, 73: 7, 74: 8, 75: 9, 76: 14, 88: 45}
"""What is delayed comes under other numbers."""
BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, HIGH, LOW, VOLUME, CLOSE, OPEN = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14
LAST_TIME, RT_VOLUME = 45, 48
_DAY = {HIGH: "high", LOW: "low", CLOSE: "close", OPEN: "open"}

Shown = Quote | Trade | Statistics


def moment(text: str) -> datetime | None:
    """A time as TWS writes it, in seconds since 1970; None for nonsense."""
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[1-9]\d{0,10}", text) else None


class Ticks:
    """One symbol: `price`, `size` and `text` take a tick, `due` gives what is to be told after a batch of them."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.last_time: datetime | None = None
        self._figures: dict[str, Decimal | None] = {}
        self._numbers: dict[int, Decimal] = {}
        self._quoted = False
        self._changed: set[str] = set()
        self._trades: list[tuple[Decimal, Decimal]] = []
        self._repeat: Decimal | None = None

    @property
    def complete(self) -> bool:
        """Whether both sides are known, with their sizes."""
        return all(self._numbers.get(each, ZERO) > 0 for each in (BID, BID_SIZE, ASK, ASK_SIZE))

    @property
    def last(self) -> Decimal | None:
        """The price of the last trade."""
        return self._numbers.get(LAST)

    def price(self, kind: int, price: float, size: float) -> None:
        """A price, with its size where it has one. Below zero means that there is none."""
        kind = DELAYED.get(kind, kind)
        value = decimal(price)
        if value is None:
            return
        gone = value <= 0
        if kind in (BID, ASK):
            self._set(kind, ZERO if gone else value)
            self._set(BID_SIZE if kind == BID else ASK_SIZE, ZERO if gone else amount(size))
        elif kind == LAST and not gone:
            self._numbers[LAST] = value
            if size:
                self._repeat = amount(size)
                self._trades.append((value, amount(size)))
        elif kind in _DAY and not gone:
            self._figure(_DAY[kind], value)

    def size(self, kind: int, size: float) -> None:
        """A size alone. After a price with the same size it only says so again."""
        kind = DELAYED.get(kind, kind)
        value = amount(size)
        if kind in (BID_SIZE, ASK_SIZE):
            self._set(kind, value)
        elif kind == VOLUME:
            self._figure("volume", value, silent=True)
        elif kind == LAST_SIZE and value > 0 and LAST in self._numbers:
            repeat, self._repeat = self._repeat, None
            if repeat != value:
                self._trades.append((self._numbers[LAST], value))

    def text(self, kind: int, text: str) -> None:
        """The last trade's time; RTVolume `price;size;time;volume;vwap;single`, read for the day's average price."""
        if DELAYED.get(kind, kind) == LAST_TIME:
            self.last_time = moment(text) or self.last_time
        if kind == RT_VOLUME and text.count(";") >= 4:
            vwap = text.split(";")[4]
            if vwap:
                self._figure("vwap", decimal(float(vwap)), silent=True)

    def present(self) -> None:
        """Everything is to be told again."""
        self._changed |= {"quote", "day"}
        if LAST in self._numbers:
            self._trades.append((self._numbers[LAST], self._repeat or ZERO))

    def due(self, now: datetime, whole: bool = True) -> list[Shown]:
        """What has changed since it was last told. Not `whole`: a first quote waits until both its sides are there."""
        told: list[Shown] = []
        if "day" in self._changed:
            told.append(Statistics(self.symbol, **self._figures))
        if "quote" in self._changed and (self._quoted or whole or self.complete):
            bid, ask = self._numbers.get(BID, ZERO), self._numbers.get(ASK, ZERO)
            if bid or ask or self._quoted:
                sizes = (self._numbers.get(BID_SIZE, ZERO), self._numbers.get(ASK_SIZE, ZERO))
                told.append(Quote(self.symbol, bid, sizes[0] if bid else ZERO, ask, sizes[1] if ask else ZERO, now))
                self._quoted = True
                self._changed.discard("quote")
        self._changed.discard("day")
        told += [Trade(self.symbol, price, size, now) for price, size in self._trades]
        self._trades.clear()
        return told

    def _set(self, kind: int, value: Decimal) -> None:
        if self._numbers.get(kind) != value:
            self._numbers[kind] = value
            self._changed.add("quote")

    def _figure(self, name: str, value: Decimal | None, silent: bool = False) -> None:
        if self._figures.get(name) != value:
            self._figures[name] = value
            if not silent:
                self._changed.add("day")
