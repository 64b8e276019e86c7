"""The hour of the night in which TWS and IB's servers restart: down is expected then, and not after it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import pytz

_WRITTEN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: +(\S+))?")


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` each day, in `zone`; over midnight where the end is before the start."""

    start: time
    end: time
    zone: Any

    def over_at(self, now: datetime) -> datetime | None:
        """When the window in which `now` (aware) lies is over; None outside it."""
        local = now.astimezone(self.zone)
        for days in (-1, 0):
            day = local.date() + timedelta(days=days)
            opens = self._at(day, self.start)
            closes = self._at(day + timedelta(days=self.end <= self.start), self.end)
            if opens <= local < closes:
                return closes
        return None

    def _at(self, day: Any, clock: time) -> datetime:
        made: datetime = self.zone.localize(datetime.combine(day, clock))
        return made


def parse(text: str) -> Window | None:
    """`23:45-00:45 America/New_York` (New York's time is the default), or nothing at all; ValueError otherwise."""
    if not text.strip():
        return None
    found = _WRITTEN.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError(text)
        hours = [int(each) for each in found.groups()[:4]]
        zone = pytz.timezone(found[5] or "America/New_York")
        start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    except (ValueError, pytz.UnknownTimeZoneError):
        raise ValueError('give a time of day such as "23:45-00:45 America/New_York", or "" for none') from None
    if start == end:
        raise ValueError("give a window that begins and ends at different times")
    return Window(start, end, zone)
