"""The exchange's clock: ours, moved by what it last said; once it has said something it never goes back. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VenueClock:
    """Ours, until it was asked."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._told = False
        self._last = datetime(1970, 1, 1, tzinfo=UTC)

    def told(self, theirs: datetime, asked: datetime, answered: datetime) -> None:
        """What it said, and between which times of ours."""
        self._ahead, self._told = theirs - (asked + (answered - asked) / 2), True

    @property
    def difference(self) -> int:
        """By how many milliseconds ours is ahead of its."""
        return int(-self._ahead / timedelta(milliseconds=1))

    def now(self, ours: datetime) -> datetime:
        """Its time when ours is `ours`: the present."""
        if not self._told:
            return ours
        self._last = max(self._last, ours + self._ahead)
        return self._last

    def at(self, ours: datetime) -> datetime:
        """Its time of a moment in the past that our clock has told."""
        return ours + self._ahead
