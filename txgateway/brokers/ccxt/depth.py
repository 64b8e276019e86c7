"""A book kept from a snapshot and the changes that follow, in order; a gap is seen, and nothing shown then. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from heapq import nlargest, nsmallest

from txgateway.brokers.ccxt.public import Change, Row, Top
from txgateway.model.market import Depth, Level

ZERO = Decimal(0)
MOST_WAITING = 2000
"""Changes that are kept while there is no snapshot: more than an exchange sends in ten seconds."""


class Step(Enum):
    """What came of a change."""

    WAITING = auto()
    """There is no snapshot yet."""
    OLD = auto()
    """The book is further already."""
    CHANGED = auto()
    GAP = auto()
    """Some are missing: the book is of no use until there is another snapshot."""


class Ladder:
    """One market's book."""

    def __init__(self) -> None:
        self.synced = False
        self.time: datetime | None = None
        self._last = 0
        self._fresh = False
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self._waiting: list[Change] = []
        self._best: tuple[Decimal | None, Decimal | None] = (None, None)

    def reset(self) -> None:
        """Begin anew: changes wait for a snapshot."""
        self.synced = False
        self._bids, self._asks, self._waiting = {}, {}, []
        self._best = (None, None)

    def whole(self, bids: Iterable[Row], asks: Iterable[Row], time: datetime, last: int) -> Step:
        """A snapshot; what came meanwhile is put on top of it, if nothing is missing between.

        OLD: the book is whole, and further already.
        """
        if self.synced and 0 < last <= self._last:
            return Step.OLD
        waiting, self._waiting = self._waiting, []
        self._bids = {price: size for price, size in bids if size > 0}
        self._asks = {price: size for price, size in asks if size > 0}
        self._best = max(self._bids, default=None), min(self._asks, default=None)
        self._last, self.time = last, time
        self.synced = self._fresh = True
        for at, change in enumerate(waiting, 1):
            if self.take(change) is Step.GAP:
                self._waiting.extend(waiting[at:])
                return Step.GAP
        return Step.CHANGED

    def take(self, change: Change) -> Step:
        """A change, in the order in which they come."""
        if change.whole:
            self._waiting = []
            return self.whole(change.bids, change.asks, change.time, change.last)
        if not self.synced:
            self._waiting.append(change)
            del self._waiting[:-MOST_WAITING]
            return Step.WAITING
        if change.before is not None:
            if change.last <= self._last:
                return Step.OLD
            joins = change.before <= self._last if self._fresh else change.before == self._last
            if not joins:
                self.reset()
                self._waiting.append(change)
                return Step.GAP
        self._fresh = False
        self._last = change.last or self._last
        self.time = change.time
        bid, ask = self._best
        if change.bids:
            _put(self._bids, change.bids)
            highest = max(price for price, _ in change.bids)
            if bid is None or highest >= bid:  # else the best is as it was
                bid = highest if highest in self._bids else max(self._bids, default=None)
        if change.asks:
            _put(self._asks, change.asks)
            lowest = min(price for price, _ in change.asks)
            if ask is None or lowest <= ask:
                ask = lowest if lowest in self._asks else min(self._asks, default=None)
        self._best = bid, ask
        return Step.CHANGED

    @property
    def crossed(self) -> bool:
        """Whether it cannot be: something was lost that was not seen."""
        bid, ask = self._best
        return bid is not None and ask is not None and bid >= ask

    def top(self, market: str) -> Top:
        """The best of each side."""
        bid, ask = self._best
        return Top(
            market,
            bid or ZERO,
            self._bids[bid] if bid is not None else ZERO,
            ask or ZERO,
            self._asks[ask] if ask is not None else ZERO,
            self.time,
        )

    def depth(self, symbol: str, levels: int, now: datetime) -> Depth:
        """The best levels of each side."""
        bids = tuple([Level(price, self._bids[price]) for price in nlargest(levels, self._bids)])
        asks = tuple([Level(price, self._asks[price]) for price in nsmallest(levels, self._asks)])
        return Depth(symbol, bids, asks, self.time or now, self._last)


def _put(side: dict[Decimal, Decimal], rows: Iterable[Row]) -> None:
    for price, size in rows:
        if size > 0:
            side[price] = size
        else:
            side.pop(price, None)


def sides(bids: Iterable[Row], asks: Iterable[Row], levels: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """The best levels of each side of a book that was asked for, however it is sorted."""
    best_bids = nlargest(levels, [row for row in bids if row[1] > 0])
    best_asks = nsmallest(levels, [row for row in asks if row[1] > 0])
    return tuple(Level(*row) for row in best_bids), tuple(Level(*row) for row in best_asks)
