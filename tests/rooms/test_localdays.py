"""Days in API_TIMEZONE."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytz

from txgateway.localdays import LocalDays

NEW_YORK = pytz.timezone("America/New_York")


def test_a_day_begins_at_local_midnight_and_the_bounds_that_are_kept_hold_for_no_other() -> None:
    days = LocalDays(NEW_YORK)
    asked = [datetime(2026, 3, 8, 4, 59, tzinfo=UTC), datetime(2026, 3, 8, 5, tzinfo=UTC)]
    assert [days.date(each) for each in (*asked, *asked)] == [date(2026, 3, 7), date(2026, 3, 8)] * 2
    assert days.date(datetime(2026, 3, 9, 3, 59, tzinfo=UTC)) == date(2026, 3, 8), "the day of 23 hours"
    assert days.date(datetime(2026, 3, 9, 4, tzinfo=UTC)) == date(2026, 3, 9)


def test_a_time_of_day_comes_today_or_tomorrow_and_never_now() -> None:
    days = LocalDays(NEW_YORK)
    five = datetime(2026, 3, 7, 10, tzinfo=UTC)
    assert days.next(time(5), datetime(2026, 3, 7, 9, 59, tzinfo=UTC)) == five
    assert days.next(time(5), five) == datetime(2026, 3, 8, 9, tzinfo=UTC), "an hour earlier in summer"
