"""So many messages a second and no more; what is more urgent goes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from txgateway.brokers.rtx.pool import Urgency


class Throttle:
    """A second's messages may go at once; then they go one by one. A cancel may always go ahead of the rest."""

    def __init__(self, reactor: Any, rate: int, write: Callable[[bytes], None]) -> None:
        self._reactor = reactor
        self._rate = rate
        self._write = write
        self._tokens = float(rate)
        self._at = reactor.seconds()
        self._queues: tuple[deque[tuple[bytes, Callable[[], bool]]], ...] = tuple(deque() for _ in Urgency)
        self._timer: Any = None

    def send(self, data: bytes, urgency: Urgency, sent: Callable[[], bool]) -> None:
        """Send a line as soon as it may go, if `sent`, which is told then, still wants it."""
        self._queues[urgency].append((data, sent))
        if self._timer is None:
            self._go()

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for queue in self._queues:
            queue.clear()

    def _go(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        self._tokens = min(float(self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        for queue in self._queues:
            while queue and self._tokens >= 1:
                data, sent = queue.popleft()
                if sent():
                    self._tokens -= 1
                    self._write(data)
        if any(self._queues):
            self._timer = self._reactor.callLater(max(0.001, (1 - self._tokens) / self._rate), self._go)
