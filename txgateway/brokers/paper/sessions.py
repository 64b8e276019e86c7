"""When the market is open and which day it is: always open, or an exchange's calendar for stocks.

Days begin at midnight of the configured time zone. Where a market never closes a day order lives until then; with a
calendar it lives until the close of the session that it came in (or of the next one). Lunch breaks count as open.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import pytz

from txgateway.model.instrument import AssetClass, Session

REGULAR = (time(9, 30), time(16))
DAY = timedelta(days=1)
FIRST_DAY = date(1990, 1, 1)
"""No market here has a past before this."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """An exchange's sessions: opening and closing times, UTC, by day."""

    code: str
    timezone: str
    hours: Mapping[date, tuple[datetime, datetime]]
    days: tuple[date, ...]

    @classmethod
    def of(cls, code: str, timezone: str, hours: Mapping[date, tuple[datetime, datetime]]) -> Schedule:
        """A schedule with its days in order."""
        return cls(code, timezone, hours, tuple(sorted(hours)))


def load_schedule(code: str) -> Schedule:
    """The schedule of an exchange by its code (exchange_calendars, loaded only here); ValueError when there is none."""
    try:
        import exchange_calendars
    except ImportError:
        raise ValueError(f"The calendar {code} needs an extra: pip install 'txgateway[calendars]'.") from None
    try:
        calendar = exchange_calendars.get_calendar(code)
    except exchange_calendars.errors.InvalidCalendarName:
        raise ValueError(f"There is no calendar {code!r}: give an exchange code such as XNYS.") from None
    hours = {
        row.Index.date(): (row.open.to_pydatetime().astimezone(UTC), row.close.to_pydatetime().astimezone(UTC))
        for row in calendar.schedule[["open", "close"]].itertuples()
    }
    return Schedule.of(code, str(calendar.tz), hours)


class Sessions:
    """Days and hours of one venue's markets."""

    def __init__(self, timezone: str, schedule: Schedule | None = None) -> None:
        self._zone = pytz.timezone(timezone)
        self._timezone = timezone
        self._schedule = schedule
        self._midnight = lru_cache(maxsize=4096)(self._compute_midnight)
        self._today = (datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), date.max)

    def day(self, moment: datetime) -> date:
        """The local day of a moment."""
        start, end, day = self._today
        if start <= moment < end:
            return day
        day = moment.astimezone(self._zone).date()
        self._today = (self.midnight(day), self.midnight(day + DAY), day)
        return day

    def midnight(self, day: date) -> datetime:
        """When a local day begins, UTC."""
        return self._midnight(day)

    def hours(self, asset_class: AssetClass, day: date) -> tuple[datetime, datetime] | None:
        """[open, close) of a day, UTC; None when the market is closed all day."""
        schedule = self._schedule_of(asset_class)
        if schedule is not None:
            return schedule.hours.get(day)
        return self.midnight(day), self.midnight(day + DAY)

    def is_open(self, asset_class: AssetClass, moment: datetime) -> bool:
        """True when the market trades at that moment."""
        schedule = self._schedule_of(asset_class)
        if schedule is None:
            return True
        open_now = self._next(schedule, moment)
        return open_now is not None and open_now[0] <= moment

    def day_end(self, asset_class: AssetClass, moment: datetime) -> datetime:
        """When a day order that comes at that moment expires."""
        schedule = self._schedule_of(asset_class)
        following = self._next(schedule, moment) if schedule else None
        return following[1] if following else self.midnight(self.day(moment) + DAY)

    def latest_day(self, asset_class: AssetClass, moment: datetime) -> date | None:
        """The day whose market was the last to have opened by that moment; None before the calendar begins."""
        schedule = self._schedule_of(asset_class)
        if schedule is None:
            return self.day(moment)
        at = bisect_right(schedule.days, moment, key=lambda day: schedule.hours[day][0])
        return schedule.days[at - 1] if at else None

    def previous_day(self, asset_class: AssetClass, day: date) -> date:
        """The market day before one."""
        schedule = self._schedule_of(asset_class)
        if schedule is None:
            return day - DAY
        at = bisect_left(schedule.days, day)
        return schedule.days[at - 1] if at else day - DAY

    def session(self, asset_class: AssetClass) -> Session:
        """The regular hours, as an instrument states them."""
        schedule = self._schedule_of(asset_class)
        if schedule is not None and schedule.days:
            zone = pytz.timezone(schedule.timezone)
            opens, closes = (each.astimezone(zone).time() for each in schedule.hours[schedule.days[-1]])
            return Session(opens, closes, schedule.timezone, calendar=schedule.code)
        if asset_class is AssetClass.STOCK:
            return Session(*REGULAR, "America/New_York", always=True)
        return Session(time(0), time(23, 59, 59), self._timezone, always=True)

    def _schedule_of(self, asset_class: AssetClass) -> Schedule | None:
        return self._schedule if asset_class is AssetClass.STOCK else None

    def _next(self, schedule: Schedule, moment: datetime) -> tuple[datetime, datetime] | None:
        """The hours that are running, else the next ones."""
        at = bisect_right(schedule.days, moment, key=lambda day: schedule.hours[day][1])
        return schedule.hours[schedule.days[at]] if at < len(schedule.days) else None

    def _compute_midnight(self, day: date) -> datetime:
        return self._zone.localize(datetime(day.year, day.month, day.day)).astimezone(UTC)  # noqa: DTZ001
