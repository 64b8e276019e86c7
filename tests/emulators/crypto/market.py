"""The market of others: a price path out of a seed, a book of levels, trades, bars, marks, funding rates. Pure.

Times are seconds since 1970. A price is a Decimal of whole ticks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.path import away, chance

D = Decimal
NOTHING = D(0)
DEPTH = 20
"""Levels a side."""
REMEMBERED = 50_000
"""Trades of an instrument."""
Levels = dict[Decimal, Decimal]


class Trade(NamedTuple):
    """A public trade; `sells`: the taker sold."""

    number: int
    at: float
    price: Decimal
    size: Decimal
    sells: bool


class Bar(NamedTuple):
    """From `start` on, in seconds."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


class Diff(NamedTuple):
    """What has changed in a book: new sizes of levels (0: gone). Numbered `first` to `last`; before came `previous`."""

    first: int
    last: int
    previous: int
    bids: Levels
    asks: Levels


@dataclass(slots=True)
class Tape:
    """What an instrument's market shows now, of others; our own resting orders are not in its levels."""

    instrument: Instrument
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    last: Decimal = NOTHING
    opened: Decimal = NOTHING
    """A day ago."""
    mark: Decimal | None = None
    """Set by a person; None: it is the middle."""
    pinned: bool = False
    """True while a person sets its quote: it does not move by itself."""
    sequence: int = 1000
    """The number of the last change in the book that was shown."""
    shown: tuple[Levels, Levels] = ({}, {})

    @property
    def bid(self) -> Decimal:
        """The best of others; 0: there is none."""
        return max(self.bids, default=NOTHING)

    @property
    def ask(self) -> Decimal:
        """The best of others; 0: there is none."""
        return min(self.asks, default=NOTHING)

    @property
    def middle(self) -> Decimal:
        """Between the best; the last trade when a side is empty."""
        return (self.bid + self.ask) / 2 if self.bids and self.asks else self.last

    @property
    def marked(self) -> Decimal:
        """The mark price."""
        return self.middle if self.mark is None else self.mark


def down(value: Decimal, unit: Decimal) -> Decimal:
    """To the next multiple of the unit below."""
    return value // unit * unit


class Market:
    """Every instrument's path and tape."""

    def __init__(self, instruments: Iterable[Instrument], seed: str, now: Callable[[], float]) -> None:
        self.seed = seed
        self.now = now
        self.began = now()
        self.tapes = {each.name: self._begun(each) for each in instruments}
        self.last_trade = 10_000

    def reset(self) -> None:
        """As at the start: every quote moves again."""
        for name, tape in self.tapes.items():
            fresh = self._begun(tape.instrument)
            fresh.sequence = tape.sequence
            self.tapes[name] = fresh

    def _begun(self, instrument: Instrument) -> Tape:
        tape = Tape(instrument, last=instrument.price, opened=self.path(instrument, self.began - 86400))
        self._spread(tape, instrument.price, "start")
        tape.shown = (dict(tape.bids), dict(tape.asks))
        return tape

    def path(self, instrument: Instrument, at: float) -> Decimal:
        """Where the path is at a time; at the start of the emulator it is at the instrument's price."""
        moved = 1 + away(self.seed, instrument.name, at) - away(self.seed, instrument.name, self.began)
        return max(down(instrument.price * D(moved), instrument.tick), instrument.tick)

    # ---------------------------------------------------------------- the book of others

    def _spread(self, tape: Tape, middle: Decimal, key: object) -> None:
        """Levels around a price: the best a tick from it."""
        each = tape.instrument
        unit = max(down(2000 / each.price, each.step), each.step)
        tape.bids, tape.asks = {}, {}
        for i in range(DEPTH):
            away = each.tick * (1 + i * (i + 1) // 2)
            for levels, price in ((tape.bids, middle - away), (tape.asks, middle + away)):
                if price > 0:
                    size = unit * (1 + int(20 * chance(self.seed, each.name, key, i, levels is tape.bids)))
                    levels[price] = size

    def set_quote(self, tape: Tape, bid: Decimal, ask: Decimal, bid_size: Decimal, ask_size: Decimal) -> None:
        """The best prices are these, with more levels behind them; a size of 0 empties the side."""
        if ask_size and bid_size and bid >= ask:
            raise ValueError("a bid must be below the ask")
        tick = tape.instrument.tick
        steps = [i * (i + 1) // 2 for i in range(DEPTH)]
        tape.bids = {bid - tick * i: bid_size for i in steps if bid - tick * i > 0} if bid_size else {}
        tape.asks = {ask + tick * i: ask_size for i in steps} if ask_size else {}
        tape.pinned = True

    def step(self, tape: Tape) -> None:
        """A step along the path, unless it is pinned; now and then a trade of others."""
        if tape.pinned:
            return
        now, each = self.now(), tape.instrument
        self._spread(tape, self.path(each, now), now)
        if chance(self.seed, each.name, now, "trade") < 0.5:
            sells = chance(self.seed, each.name, now, "side") < 0.5
            price = tape.bid if sells else tape.ask
            size = (tape.bids if sells else tape.asks)[price]
            self.print(tape, price, max(down(size / 4, each.step), each.step), sells)

    def print(self, tape: Tape, price: Decimal, size: Decimal, sells: bool) -> Trade:
        """A trade is printed, ours or another's."""
        self.last_trade += 1
        trade = Trade(self.last_trade, self.now(), price, size, sells)
        tape.trades.append(trade)
        tape.last = price
        return trade

    # ---------------------------------------------------------------- what is shown

    def changed(self, tape: Tape, bids: Levels, asks: Levels) -> Diff | None:
        """What is different from what was shown before; from now on this is shown."""
        old_bids, old_asks = tape.shown
        tape.shown = (bids, asks)
        less_bids, less_asks = _difference(old_bids, bids), _difference(old_asks, asks)
        count = len(less_bids) + len(less_asks)
        if not count:
            return None
        previous, tape.sequence = tape.sequence, tape.sequence + count
        return Diff(previous + 1, tape.sequence, previous, less_bids, less_asks)

    def rate(self, instrument: Instrument, at: float) -> Decimal:
        """The funding rate of the interval that ends at or after a time."""
        ends = int(-(-at // (instrument.interval * 3600)))
        return D(str(round(2 * chance(self.seed, instrument.name, "funding", ends) - 0.5, 4))) / 10000

    def next_funding(self, instrument: Instrument) -> int:
        """When funding is due next."""
        interval = instrument.interval * 3600
        return (int(self.now()) // interval + 1) * interval

    def day(self, tape: Tape) -> Bar:
        """The last 24 hours; its volume has what was printed and a seeded rest."""
        recent = [t for t in tape.trades if t.at > self.now() - 86400]
        prices = [tape.opened, tape.last, *(t.price for t in recent)]
        rest = down(D(1000 + 9000 * chance(self.seed, tape.instrument.name)), tape.instrument.step)
        volume = sum((t.size for t in recent), rest)
        start = int(self.now() - 86400)
        return Bar(start, tape.opened, max(prices), min(prices), tape.last, volume, 1000 + len(recent))

    def bars(self, tape: Tape, seconds: int, start: float, end: float, most: int = 1500) -> list[Bar]:
        """Bars of so many seconds whose start lies in [start, end), oldest first; the newest may be unfinished."""
        bars: list[Bar] = []
        at = int(-(-start // seconds) * seconds)
        while at < min(end, self.now()) and len(bars) < most:
            bars.append(self.bar(tape, seconds, at, bars[-1].close if bars else None))
            at += seconds
        return bars

    def bar(self, tape: Tape, seconds: int, start: int, before: Decimal | None = None) -> Bar:
        """The bar that begins then: before the emulator's start out of the path, from then on of what was printed."""
        instrument = tape.instrument
        apart = max(1, seconds // 6)
        stops = [start + i for i in (*range(0, seconds, apart), seconds - 1)]
        points = [self.path(instrument, each) for each in stops if each <= self.began]
        volume = D(int(1 + seconds * chance(self.seed, instrument.name, start, "volume"))) if points else NOTHING
        printed = [t for t in tape.trades if start <= t.at < start + seconds]
        trades = (10 if points else 0) + len(printed)
        points += [t.price for t in printed]
        if not points:
            points = [self._close_before(tape, start) if before is None else before]
        volume = volume * instrument.step + sum((t.size for t in printed), NOTHING)
        return Bar(start, points[0], max(points), min(points), points[-1], volume, trades)

    def _close_before(self, tape: Tape, start: float) -> Decimal:
        return next((t.price for t in reversed(tape.trades) if t.at < start), tape.instrument.price)


def _difference(old: Levels, new: Levels) -> Levels:
    changed = {price: size for price, size in new.items() if old.get(price) != size}
    return changed | {price: NOTHING for price in old if price not in new}
