"""What waits for its turn to be sent to TWS: so many messages in a while, and what is urgent first. Pure.

Of each while every urgency has a share that nobody else takes from it; what is left over goes by urgency. So a long row
of cancels holds up neither the order that closes a position nor the question what is held, and none of them starves.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from enum import IntEnum

from twisted.internet.defer import Deferred

SECOND = 1.25
"""What counts as one: TWS counts what arrives, and that is less even than what leaves."""


class Urgency(IntEnum):
    """What goes first: what closes a position, or guards it; ends of orders; orders; questions; market data."""

    CLOSE = 0
    CANCEL = 1
    ORDER = 2
    QUESTION = 3
    DATA = 4


_SHARES = (0.35, 0.25, 0.12, 0.12, 0.05)
_LEFT_FREE = (0, 0, 2, 6, 6)
"""So many messages of a while each leaves to those before it, beyond its share."""


class Piece:
    """Messages that leave together: `write` makes them, when they leave, and `done` fires then, or tells why not.

    `size` is how many they are, `keys` the orders that they are of; `places` tells that they are new ones. After
    `until` they do not leave any more.
    """

    def __init__(
        self,
        urgency: Urgency,
        write: Callable[[], None],
        keys: Sequence[Hashable] = (),
        size: int = 1,
        places: bool = False,
        until: float | None = None,
    ) -> None:
        self.urgency = urgency
        self.write = write
        self.keys = keys
        self.size = size
        self.places = places
        self.until = until
        self.left = False
        self.done: Deferred[None] = Deferred()


class Lanes:
    """No more than `rate` messages in a SECOND."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._shares = [max(1, int(rate * share)) for share in _SHARES]
        self._rates = [max(1, rate - free) for free in _LEFT_FREE]
        self._lanes: tuple[OrderedDict[Piece, None], ...] = tuple(OrderedDict() for _ in Urgency)
        self._times: deque[tuple[float, Urgency, int]] = deque()
        self._used = [0 for _ in Urgency]

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def put(self, piece: Piece) -> None:
        """Wait behind what is as urgent."""
        self._lanes[piece.urgency][piece] = None

    def drop(self, piece: Piece) -> bool:
        """Wait no more; whether it did."""
        found = piece in self._lanes[piece.urgency]
        self._lanes[piece.urgency].pop(piece, None)
        return found

    def clear(self) -> None:
        """Nothing waits any more."""
        for lane in self._lanes:
            lane.clear()

    def of(self, key: Hashable) -> list[Piece]:
        """What waits of an order, but for its cancel, in its order."""
        lanes = (self._lanes[Urgency.CLOSE], self._lanes[Urgency.ORDER])
        return [piece for lane in lanes for piece in lane if key in piece.keys]

    def hasten(self, key: Hashable) -> None:
        """What is to leave of an order that is to be canceled goes before its cancel, and is never too late."""
        for piece in self.of(key):
            self.drop(piece)
            piece.urgency, piece.until = Urgency.CANCEL, None
            self.put(piece)

    def late(self, now: float) -> list[Piece]:
        """What has waited too long, and waits no more."""
        late = []
        for lane in self._lanes:
            for piece in lane:
                if piece.until is None or piece.until > now:
                    break
                late.append(piece)
        for piece in late:
            self.drop(piece)
        return late

    def due(self, now: float) -> Piece | None:
        """What leaves now, if something may; it is counted."""
        while self._times and now - self._times[0][0] >= SECOND:
            _, urgency, size = self._times.popleft()
            self._used[urgency] -= size
        total = sum(self._used)
        for limits, within in ((self._shares, True), (self._rates, False)):
            for urgency in Urgency:
                lane = self._lanes[urgency]
                if not lane:
                    continue
                size = next(iter(lane)).size
                most = self._rate if within else limits[urgency]
                if within and self._used[urgency] >= limits[urgency]:
                    continue
                if not total or total + size <= most:
                    piece, _ = lane.popitem(last=False)
                    self._times.append((now, urgency, size))
                    self._used[urgency] += size
                    return piece
                if within:  # a bracket is not kept out by what is small enough for each gap
                    return None
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until more may leave; None where nothing waits."""
        if not len(self):
            return None
        return max(0.001, self._times[0][0] + SECOND - now) if self._times else 0.001


__all__ = ["SECOND", "Lanes", "Piece", "Urgency"]
