"""Days in API_TIMEZONE."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

_NEVER = datetime.min.replace(tzinfo=UTC)


class LocalDays:
    """Which day a moment is on. It is asked for with every order, so the last one is kept with its bounds."""

    def __init__(self, zone: Any) -> None:
        self._zone = zone
        self._last = (_NEVER, _NEVER, _NEVER.date())

    def date(self, moment: datetime) -> date:
        """The local date of a moment."""
        start, end, day = self._last
        if not start <= moment < end:
            day = moment.astimezone(self._zone).date()
            midnights = (datetime.combine(each, time()) for each in (day, day + timedelta(days=1)))
            start, end = (self._zone.localize(midnight).astimezone(UTC) for midnight in midnights)
            self._last = (start, end, day)
        return day

    def next(self, at: time, after: datetime) -> datetime:
        """When a local time of day comes next after a moment."""
        today = after.astimezone(self._zone).date()
        found: datetime = self._zone.localize(datetime.combine(today, at))
        if found <= after:
            found = self._zone.localize(datetime.combine(today + timedelta(days=1), at))
        return found
