"""Bars of any period out of the lengths that an exchange has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from txgateway.brokers.ccxt.frames import moment, number
from txgateway.model.market import Bar, Period, Unit

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNITS = {Unit.MINUTE: 60, Unit.DAY: 86400, Unit.WEEK: 7 * 86400}
MONDAY = 4 * 86400
"""The first Monday, in seconds since 1970: weeks begin on one."""


@dataclass(frozen=True, slots=True)
class Length:
    """A length of bars that the exchange has, by its name there."""

    name: str
    seconds: int


def lengths(names: Iterable[str]) -> list[Length]:
    """Those of an exchange that are of a fixed length, the longest first."""
    found = []
    for name in names:
        match = re.fullmatch(r"(\d+)([smhdw])", name)
        if match is not None:
            found.append(Length(name, int(match[1]) * _SECONDS[match[2]]))
    return sorted(found, key=lambda each: -each.seconds)


def source(period: Period, names: Mapping[str, Any]) -> Length | None:
    """The longest of the exchange's bars that a bar of this period is made of; None where it has none."""
    wanted = 86400 if period.unit is Unit.MONTH else _UNITS[period.unit] * period.count
    # Exchanges begin a week, and what is longer than a day, where they like.
    fitting = [each for each in lengths(names) if wanted % each.seconds == 0 and each.seconds <= 86400]
    return fitting[0] if fitting else None


def begin(period: Period, when: datetime) -> datetime:
    """When the bar begins in which a moment lies: on whole UTC days, Mondays and firsts."""
    day = when.replace(hour=0, minute=0, second=0, microsecond=0)
    if period.unit is Unit.MONTH:
        months = (day.year * 12 + day.month - 1) // period.count * period.count
        return day.replace(year=months // 12, month=months % 12 + 1, day=1)
    seconds = _UNITS[period.unit] * period.count
    offset = MONDAY if period.unit is Unit.WEEK else 0
    since = int(when.timestamp()) - offset
    return moment((since - since % seconds + offset) * 1000)


def read(symbol: str, rows: Iterable[Sequence[Any]]) -> list[Bar]:
    """ccxt's rows of bars; those that lack a price are left out."""
    found: dict[datetime, Bar] = {}
    for row in rows:
        prices = [number(each) for each in row[1:6]]
        if len(prices) == 5 and None not in prices[:4]:
            opened, high, low, close, volume = prices
            assert opened is not None and high is not None and low is not None and close is not None  # noqa: PT018
            when = moment(row[0])
            found[when] = Bar(symbol, when, opened, high, low, close, volume or Decimal(0))
    return [found[when] for when in sorted(found)]


def folded(period: Period, bars: Iterable[Bar]) -> list[Bar]:
    """Bars of a period out of shorter ones, oldest first."""
    found: dict[datetime, Bar] = {}
    for bar in bars:
        start = begin(period, bar.time)
        before = found.get(start)
        if before is None:
            found[start] = Bar(bar.symbol, start, bar.open, bar.high, bar.low, bar.close, bar.volume)
            continue
        high, low = max(before.high, bar.high), min(before.low, bar.low)
        found[start] = Bar(bar.symbol, start, before.open, high, low, bar.close, before.volume + bar.volume)
    return list(found.values())


def whole(period: Period, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """From the first bar that starts at or after `start`, to the end of the last that starts before `end`."""
    first = begin(period, start)
    if first < start:
        first = begin(period, first + _span(period))
    last = begin(period, end - timedelta(microseconds=1))
    return first, begin(period, last + _span(period))


def _span(period: Period) -> timedelta:
    """A little more than a bar, and less than two."""
    if period.unit is Unit.MONTH:
        return timedelta(days=31 * period.count)
    return timedelta(seconds=_UNITS[period.unit] * period.count)
