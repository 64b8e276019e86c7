"""When a venue that connects again and again is to be given a rest: each time costs the journal, and all who listen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MANY, WITHIN = 300, 10.0
"""So many connections within so many seconds are too many: a broker that keeps to its contract waits between two."""
REST = 30.0
"""Seconds that such a venue is left alone."""


class Flaps:
    """One venue's last connections."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.resting = False
        self._seconds = seconds
        self._last: deque[float] = deque(maxlen=MANY)

    def too_many(self) -> bool:
        """Count one more."""
        now = self._seconds()
        self._last.append(now)
        if len(self._last) < MANY or now - self._last[0] > WITHIN:
            return False
        self._last.clear()
        return True
