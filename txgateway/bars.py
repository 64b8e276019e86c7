"""Which bars a query means: words for periods, forms of start and end, sessions and time zones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytz

from txgateway.model.errors import BadArgument
from txgateway.model.instrument import Session
from txgateway.model.market import Bar, Period, Unit

_WORDS = {"D": Unit.DAY, "W": Unit.WEEK, "M": Unit.MONTH}
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?")
MIDNIGHT = time(0)
LONGEST = 1440
"""Minutes in the longest minute period; beyond a day, ask for days."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bars in [start, end), UTC; `count` set: only the last so many of them."""

    start: datetime
    end: datetime
    count: int | None = None


def period_of(text: str) -> Period:
    """`5` is five minutes; a word that starts with D, W or M is a day, a week, a month."""
    if text.isdecimal() and 0 < int(text) <= LONGEST:
        return Period(int(text), Unit.MINUTE)
    unit = _WORDS.get(text[:1].upper())
    if unit is None or not text.isalpha():
        raise BadArgument(f"period {text!r} is not one: give minutes (1 to {LONGEST}), or DAY, WEEK or MONTH.")
    return Period(1, unit)


def range_of(start: str, end: str, period: Period, now: datetime, zone: Any, session: Session | None) -> Range:
    """The range meant by `start` and `end` in local time.

    `YYYY-MM-DD HH:MM[:SS]`, `YYYY-MM-DD` (the session's bounds), `.` (start: today; end: the start's day) and, for
    start, `-N` (the last N periods).
    """
    count = int(start[1:]) if re.fullmatch(r"-\d{1,6}", start) else None
    if count == 0:
        raise BadArgument("start '-0' asks for no bars: give -1 or less.")
    today = now.astimezone(zone).date()
    opens, closes = _bounds(session)
    if count is None:
        first_day, first_time = (today, None) if start == "." else _parsed("start", start)
        begin = _utc(first_day, first_time or opens, zone)
    else:
        first_day, begin = today, None
    last_day, last_time = (first_day, None) if end == "." else _parsed("end", end)
    if last_time is not None:
        finish = _utc(last_day, last_time, zone) + timedelta(minutes=1)
    elif closes == MIDNIGHT:
        finish = _utc(last_day + timedelta(days=1), MIDNIGHT, zone)
    else:
        finish = _utc(last_day, closes, zone)
    if period.unit is not Unit.MINUTE:
        finish = max(finish, _utc(last_day + timedelta(days=1), MIDNIGHT, zone))
        begin = None if begin is None else _utc(first_day, MIDNIGHT, zone)
    if begin is None:
        finish = min(finish, now + timedelta(minutes=1))
        begin = finish - span(period, count or 1)
    if begin >= finish:
        raise BadArgument(f"start {start!r} is not before end {end!r}: no bar can lie between.")
    return Range(begin, finish, count)


def zone_of_days(period: Period, zone: Any, session: Session | None) -> Any:
    """The zone by whose dates bars are asked for and told: days of a market that has its own are called as it does.

    It has its own where it never closes, and says when one day ends and the next begins.
    """
    if period.unit is Unit.MINUTE or session is None or not session.always or session.open != session.close:
        return zone
    return pytz.timezone(session.timezone)


def span(period: Period, count: int) -> timedelta:
    """A stretch of calendar time that surely holds `count` periods of a market that closes at night and on holidays."""
    if period.unit is Unit.MINUTE:
        days = count * period.count / 300 * 7 / 5
        return timedelta(days=days + 5)
    return {Unit.DAY: timedelta(days=1.6), Unit.WEEK: timedelta(weeks=1), Unit.MONTH: timedelta(days=31)}[
        period.unit
    ] * count + timedelta(days=10)


def starts(wanted: Range, period: Period) -> Iterator[datetime]:
    """Where to begin looking: for the last N, near first, and farther only when that was not enough."""
    if wanted.count is not None and period.unit is Unit.MINUTE:
        shortest = timedelta(minutes=period.count) * (wanted.count + 1)
        for reach in (shortest, shortest + timedelta(days=1)):
            if wanted.end - reach > wanted.start:
                yield wanted.end - reach
    yield wanted.start


def clipped(bars: Iterable[Bar], period: Period, zone: Any, session: Session | None) -> list[Bar]:
    """The bars that lie in the session's hours (all of them where the market never closes, or the bars are days)."""
    opens, closes = _bounds(session)
    if period.unit is not Unit.MINUTE or closes == MIDNIGHT:
        return list(bars)
    return [bar for bar in bars if opens <= bar.time.astimezone(zone).time() < closes]


def _bounds(session: Session | None) -> tuple[time, time]:
    if session is None or session.always:
        return MIDNIGHT, MIDNIGHT
    return session.open, session.close


def _parsed(name: str, text: str) -> tuple[date, time | None]:
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second = found.groups()
        clock = None if hour is None else time(int(hour), int(minute), int(second or 0))
        return date(int(year), int(month), int(day)), clock
    except ValueError:
        raise BadArgument(
            f"{name} {text!r} is no time: give YYYY-MM-DD HH:MM[:SS], YYYY-MM-DD, '.', or -N as start."
        ) from None


def _utc(day: date, clock: time, zone: Any) -> datetime:
    try:
        return zone.localize(datetime.combine(day, clock)).astimezone(UTC)  # type: ignore[no-any-return]
    except OverflowError:
        raise BadArgument(f"{day} is beyond the calendar: give a nearer date.") from None
