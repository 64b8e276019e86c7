"""Bars of any period out of those that an exchange has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway.brokers.ccxt import periods
from txgateway.model.market import Bar, Period, Unit

BINANCE = dict.fromkeys(
    ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
)
COINBASE = dict.fromkeys(["1m", "5m", "15m", "30m", "1h", "2h", "6h", "1d"])
MINUTE, DAY, WEEK, MONTH = Unit.MINUTE, Unit.DAY, Unit.WEEK, Unit.MONTH


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "binance", "coinbase"),
    [
        (Period(1, MINUTE), "1m", "1m"),
        (Period(3, MINUTE), "3m", "1m"),
        (Period(7, MINUTE), "1m", "1m"),
        (Period(45, MINUTE), "15m", "15m"),
        (Period(240, MINUTE), "4h", "2h"),
        (Period(1440, MINUTE), "1d", "1d"),
        (Period(1, DAY), "1d", "1d"),
        (Period(1, WEEK), "1d", "1d"),
        (Period(1, MONTH), "1d", "1d"),
    ],
)
def test_the_longest_that_fits_is_asked_for(period: Period, binance: str, coinbase: str) -> None:
    found = [periods.source(period, names) for names in (BINANCE, COINBASE)]
    assert [each.name if each else None for each in found] == [binance, coinbase]


def test_an_exchange_without_short_bars_has_none() -> None:
    assert periods.source(Period(1, MINUTE), {"5m": None}) is None
    assert periods.source(Period(5, MINUTE), {}) is None


@pytest.mark.parametrize(
    ("period", "when", "begins"),
    [
        (Period(5, MINUTE), "2026-11-24T13:24:59", "2026-11-24T13:20"),
        (Period(60, MINUTE), "2026-11-24T13:00:00", "2026-11-24T13:00"),
        (Period(1, DAY), "2026-11-24T23:59:59", "2026-11-24"),
        (Period(1, WEEK), "2026-11-24T01:00", "2026-11-23"),
        (Period(1, WEEK), "2026-11-23T00:00", "2026-11-23"),
        (Period(1, WEEK), "2026-11-22T23:59", "2026-11-16"),
        (Period(1, MONTH), "2026-02-28T23:59", "2026-02-01"),
        (Period(3, MONTH), "2026-12-31T23:59", "2026-10-01"),
    ],
)
def test_a_bar_begins(period: Period, when: str, begins: str) -> None:
    assert periods.begin(period, at(when)) == at(begins)


PERIODS = some.builds(Period, some.sampled_from([1, 2, 5, 7, 30, 240]), some.just(MINUTE)) | some.sampled_from(
    [Period(1, DAY), Period(1, WEEK), Period(1, MONTH), Period(3, MONTH)]
)
TIMES = some.integers(1_577_836_800, 1_893_456_000).map(lambda each: datetime.fromtimestamp(each, UTC))


@given(PERIODS, TIMES, some.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_only_whole_bars_are_asked_for(period: Period, start: datetime, length: timedelta) -> None:
    end = start + length
    first, last = periods.whole(period, start, end)
    assert periods.begin(period, first) == first >= start
    assert periods.begin(period, last) == last
    assert last >= end or last > first or first >= end
    assert first == start or periods.begin(period, first - timedelta(seconds=1)) < start


def test_bars_are_folded() -> None:
    start = at("2026-11-24T13:00")
    bars = [
        Bar("X", start + timedelta(minutes=minute), D(10 + minute), D(20 - minute), D(5 - minute), D(11 + minute), D(2))
        for minute in (0, 1, 4, 5)
    ]
    first, second = periods.folded(Period(5, MINUTE), bars)
    assert first == Bar("X", start, D(10), D(20), D(1), D(15), D(6))
    assert second == Bar("X", start + timedelta(minutes=5), D(15), D(15), D(0), D(16), D(2))


def test_rows_are_read_in_order_once_and_without_those_that_lack_a_price() -> None:
    rows = [
        [1700000060000, "2", "3", "1", "2.5", "7"],
        [1700000000000, "1", "2", "0.5", "1.5", None],
        [1700000000000, "1", "2", "0.5", "1.5", "9"],
        [1700000120000, None, "2", "0.5", "1.5", "9"],
        [1700000180000, "NaN", "2", "0.5", "1.5", "9"],
    ]
    bars = periods.read("X", rows)
    assert [(each.open, each.volume) for each in bars] == [(D(1), D(9)), (D(2), D(7))]
