"""Which bars a query means."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal as D

import pytest
import pytz

from txgateway.bars import Range, clipped, period_of, range_of, zone_of_days
from txgateway.model.errors import BadArgument
from txgateway.model.instrument import Session
from txgateway.model.market import Bar, Period, Unit

NEW_YORK = pytz.timezone("America/New_York")
NYSE = Session(time(9, 30), time(16, 0), "America/New_York")
ALWAYS = Session(time(9, 30), time(16, 0), "America/New_York", always=True)
CRYPTO = Session(time(0), time(0), "UTC", always=True)
MINUTE, DAY = Period(1, Unit.MINUTE), Period(1, Unit.DAY)
NOW = datetime(2013, 10, 8, 15, 0, tzinfo=UTC)


def local(text: str) -> datetime:
    return NEW_YORK.localize(datetime.fromisoformat(text)).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("1", MINUTE),
        ("15", Period(15, Unit.MINUTE)),
        ("D", DAY),
        ("day", DAY),
        ("Weekly", Period(1, Unit.WEEK)),
        ("MONTH", Period(1, Unit.MONTH)),
    ],
)
def test_periods(text: str, period: Period) -> None:
    assert period_of(text) == period


@pytest.mark.parametrize("text", ["", "0", "-5", "1441", "X", "5m", "1.5", "²", "D1"])
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(BadArgument, match="period"):
        period_of(text)


@pytest.mark.parametrize(
    ("start", "end", "session", "first", "last"),
    [
        ("2013-10-07", "2013-10-07", NYSE, "2013-10-07 09:30", "2013-10-07 16:00"),
        ("2013-10-07", ".", NYSE, "2013-10-07 09:30", "2013-10-07 16:00"),
        (".", ".", NYSE, "2013-10-08 09:30", "2013-10-08 16:00"),
        ("2013-10-07 10:00", "2013-10-07 10:05", NYSE, "2013-10-07 10:00", "2013-10-07 10:06"),
        ("2013-10-07 10:00:00", "2013-10-08", NYSE, "2013-10-07 10:00", "2013-10-08 16:00"),
        ("2013-10-07", ".", ALWAYS, "2013-10-07 00:00", "2013-10-08 00:00"),
        ("2013-11-02", "2013-11-03", None, "2013-11-02 00:00", "2013-11-04 00:00"),
    ],
)
def test_ranges_of_minutes(start: str, end: str, session: Session | None, first: str, last: str) -> None:
    assert range_of(start, end, MINUTE, NOW, NEW_YORK, session) == Range(local(first), local(last))


def test_the_last_so_many() -> None:
    wanted = range_of("-10", ".", MINUTE, NOW, NEW_YORK, NYSE)
    assert wanted.count == 10
    assert wanted.start < NOW - timedelta(days=3)
    assert NOW < wanted.end <= NOW + timedelta(minutes=1)
    assert range_of("-3", "2013-10-07", DAY, NOW, NEW_YORK, NYSE).count == 3


def test_days_take_whole_days() -> None:
    wanted = range_of("2013-10-01 09:30", "2013-10-07", DAY, NOW, NEW_YORK, NYSE)
    assert wanted == Range(local("2013-10-01"), local("2013-10-08"))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("yesterday", "."),
        ("2013-02-30", "."),
        ("2013-10-07 25:00", "."),
        ("", "."),
        ("-0", "."),
        ("--5", "."),
        ("2013-10-08", "2013-10-07"),
        (".", "-5"),
        ("9999-12-31 23:59", "9999-12-31 23:59"),
        ("2013-10-07; drop", "."),
    ],
)
def test_what_is_no_range(start: str, end: str) -> None:
    with pytest.raises(BadArgument):
        range_of(start, end, MINUTE, NOW, NEW_YORK, NYSE)


def test_minutes_outside_the_session_are_left_out() -> None:
    times = [local(f"2013-10-07 {clock}") for clock in ("09:29", "09:30", "15:59", "16:00")]
    bars = [Bar("IBM", each, D(1), D(1), D(1), D(1), D(1)) for each in times]
    assert clipped(bars, MINUTE, NEW_YORK, NYSE) == bars[1:3]
    assert clipped(bars, MINUTE, NEW_YORK, ALWAYS) == bars
    assert clipped(bars, DAY, NEW_YORK, NYSE) == bars


def test_days_of_a_market_that_has_its_own_are_called_as_it_calls_them() -> None:
    zone = zone_of_days(DAY, NEW_YORK, CRYPTO)
    found = range_of("2013-10-07", "2013-10-07", DAY, NOW, zone, CRYPTO)
    assert (found.start, found.end) == (datetime(2013, 10, 7, tzinfo=UTC), datetime(2013, 10, 8, tzinfo=UTC))
    assert zone_of_days(Period(1, Unit.MONTH), NEW_YORK, CRYPTO) is pytz.UTC
    assert zone_of_days(MINUTE, NEW_YORK, CRYPTO) is NEW_YORK
    assert all(zone_of_days(DAY, NEW_YORK, each) is NEW_YORK for each in (None, NYSE, ALWAYS))
