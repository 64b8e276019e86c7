"""The venue's clock: ours, unless TWS's own differs by more than the way there explains. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

CLOSE = timedelta(seconds=2)
"""TWS tells whole seconds: what is closer is as good as the same."""


class VenueClock:
    """Never back, once there was a time."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._last: datetime | None = None

    def tick(self, theirs: datetime, ours: datetime) -> None:
        """TWS showed this time when our clock showed that."""
        ahead = theirs - ours
        if abs(ahead) <= CLOSE:
            self._ahead = timedelta(0)
        elif abs(ahead - self._ahead) > CLOSE:
            self._ahead = ahead

    def now(self, ours: datetime) -> datetime:
        """The venue's time."""
        now = ours + self._ahead
        if self._last is not None and now < self._last:
            return self._last
        self._last = now
        return now
