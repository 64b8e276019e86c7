"""The exchange's clock: ours, moved by what it last said; it never goes back. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VenueClock:
    """Ours, until it was asked."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._last = datetime(1970, 1, 1, tzinfo=UTC)

    def told(self, theirs: datetime, asked: datetime, answered: datetime) -> None:
        """What it said, and between which times of ours."""
        self._ahead = theirs - (asked + (answered - asked) / 2)

    @property
    def difference(self) -> int:
        """By how many milliseconds ours is ahead of its."""
        return int(-self._ahead / timedelta(milliseconds=1))

    def now(self, ours: datetime) -> datetime:
        """Its time when ours is `ours`."""
        self._last = max(self._last, ours + self._ahead)
        return self._last
