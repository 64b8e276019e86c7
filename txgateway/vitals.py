"""How a venue does: what went wrong there, and how long its answers take. In memory, and never more than so much."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from txgateway.model.events import CancelRejected, OrderEvent, OrderRejected, ReplaceRejected
from txgateway.model.latency import NEVER_MEASURED, Latency

KEPT = 500
"""So many of the last answers are looked at."""
AWAITED = 10_000
"""So many orders at most are waited for, to measure their answers."""
_REFUSALS = frozenset({OrderRejected, CancelRejected, ReplaceRejected})


class Gauge:
    """How long the last answers took, in seconds of the reactor's clock."""

    __slots__ = ("_last", "count")

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """One more."""
        self.count += 1
        self._last.append(seconds)

    def read(self) -> Latency:
        """The last of them in order of size."""
        last = sorted(self._last)
        if not last:
            return NEVER_MEASURED
        return Latency(self.count, len(last), _share(last, 50), _share(last, 99), _milliseconds(last[-1]))


class Vitals:
    """One venue's. The hot path costs two look-ups and two looks at the clock."""

    __slots__ = ("_awaited", "_seconds", "errors", "last_error", "last_error_time", "orders", "questions", "refusals")

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.errors = 0
        """How often it complained, made an error, or did not answer in time."""
        self.refusals = 0
        """How many orders, cancels and replaces it refused."""
        self.last_error = ""
        self.last_error_time: datetime | None = None
        self.orders = Gauge()
        self.questions = Gauge()
        self._seconds = seconds
        self._awaited: dict[str, float] = {}

    def failed(self, text: str, now: datetime) -> None:
        """Something went wrong."""
        self.errors += 1
        self.last_error, self.last_error_time = text, now

    def sent(self, order_id: str) -> None:
        """An order is sent: the first that is told of it is its answer."""
        awaited = self._awaited
        awaited[order_id] = self._seconds()
        if len(awaited) > AWAITED:
            del awaited[next(iter(awaited))]

    def told(self, event: OrderEvent) -> None:
        """The venue told something of an order."""
        since = self._awaited.pop(event.order_id, None)
        if since is not None:
            self.orders.add(self._seconds() - since)
        if type(event) in _REFUSALS:
            self.refusals += 1

    def unsent(self, order_id: str, refused: bool) -> None:
        """Sending an order failed: nobody knows how long its answer takes."""
        self._awaited.pop(order_id, None)
        self.refusals += refused


def _share(last: Sequence[float], share: int) -> Decimal:
    """What so many in a hundred did not exceed."""
    return _milliseconds(last[-(-len(last) * share // 100) - 1])


def _milliseconds(seconds: float) -> Decimal:
    return round(Decimal(seconds) * 1000, 3)
