"""Days, hours and calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from txgateway.brokers.paper.sessions import Schedule, Sessions, load_schedule
from txgateway.model.instrument import AssetClass

NEW_YORK = "America/New_York"
STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)


def test_days_begin_at_local_midnight_in_summer_and_winter() -> None:
    sessions = Sessions(NEW_YORK)
    assert sessions.midnight(date(2024, 1, 15)) == at(2024, 1, 15, 5)
    assert sessions.midnight(date(2024, 7, 15)) == at(2024, 7, 15, 4)
    assert sessions.day(at(2024, 7, 15, 3, 59)) == date(2024, 7, 14)
    assert sessions.day(at(2024, 7, 15, 4)) == date(2024, 7, 15)


def test_days_in_which_the_clocks_change_are_an_hour_shorter_or_longer() -> None:
    sessions = Sessions(NEW_YORK)
    lengths = [sessions.hours(STOCK, date(2024, *day)) for day in ((3, 10), (11, 3), (11, 4))]
    assert [(each[1] - each[0]) // timedelta(hours=1) for each in lengths if each] == [23, 25, 24]


def test_without_a_calendar_the_market_never_closes() -> None:
    sessions = Sessions(NEW_YORK)
    sunday = at(2024, 3, 3, 3)
    assert sessions.is_open(STOCK, sunday)
    assert sessions.day_end(STOCK, sunday) == at(2024, 3, 3, 5)
    assert sessions.latest_day(STOCK, sunday) == date(2024, 3, 2)
    assert sessions.previous_day(STOCK, date(2024, 3, 4)) == date(2024, 3, 3)
    session = sessions.session(STOCK)
    assert (session.open, session.close, session.timezone, session.always) == (time(9, 30), time(16), NEW_YORK, True)
    assert sessions.session(CRYPTO).open == time(0)


@pytest.fixture
def sessions() -> Sessions:
    """Two sessions, Friday and (a short one) Monday."""
    hours = {
        date(2024, 3, 1): (at(2024, 3, 1, 14, 30), at(2024, 3, 1, 21)),
        date(2024, 3, 4): (at(2024, 3, 4, 14, 30), at(2024, 3, 4, 18)),
    }
    return Sessions(NEW_YORK, Schedule.of("XTST", NEW_YORK, hours))


@pytest.mark.parametrize(
    ("moment", "is_open", "day_end", "latest"),
    [
        (at(2024, 3, 1, 14, 29, 59), False, at(2024, 3, 1, 21), None),
        (at(2024, 3, 1, 14, 30), True, at(2024, 3, 1, 21), date(2024, 3, 1)),
        (at(2024, 3, 1, 20, 59, 59), True, at(2024, 3, 1, 21), date(2024, 3, 1)),
        (at(2024, 3, 1, 21), False, at(2024, 3, 4, 18), date(2024, 3, 1)),
        (at(2024, 3, 3), False, at(2024, 3, 4, 18), date(2024, 3, 1)),
        (at(2024, 3, 4, 17), True, at(2024, 3, 4, 18), date(2024, 3, 4)),
        (at(2024, 3, 4, 18), False, at(2024, 3, 5, 5), date(2024, 3, 4)),
    ],
)
def test_a_calendar_rules_stocks(
    sessions: Sessions, moment: datetime, is_open: bool, day_end: datetime, latest: date | None
) -> None:
    assert sessions.is_open(STOCK, moment) is is_open
    assert sessions.day_end(STOCK, moment) == day_end
    assert sessions.latest_day(STOCK, moment) == latest
    assert sessions.is_open(CRYPTO, moment)


def test_closed_days_have_no_hours_and_are_passed_over(sessions: Sessions) -> None:
    assert sessions.hours(STOCK, date(2024, 3, 2)) is None
    assert sessions.previous_day(STOCK, date(2024, 3, 4)) == date(2024, 3, 1)


def test_the_new_york_calendar_knows_its_holidays() -> None:
    pytest.importorskip("exchange_calendars", reason="exchange_calendars is not installed")
    sessions = Sessions(NEW_YORK, load_schedule("XNYS"))
    assert sessions.hours(STOCK, date(2013, 10, 7)) == (at(2013, 10, 7, 13, 30), at(2013, 10, 7, 20))
    assert sessions.hours(STOCK, date(2024, 7, 4)) is None
    assert sessions.hours(STOCK, date(2024, 7, 3)) == (at(2024, 7, 3, 13, 30), at(2024, 7, 3, 17))
    session = sessions.session(STOCK)
    assert (session.open, session.close, session.timezone) == (time(9, 30), time(16), NEW_YORK)
    assert (session.calendar, session.always) == ("XNYS", False)


def test_an_unknown_calendar_is_a_sentence() -> None:
    pytest.importorskip("exchange_calendars", reason="exchange_calendars is not installed")
    with pytest.raises(ValueError, match="There is no calendar 'XXXX'"):
        load_schedule("XXXX")
