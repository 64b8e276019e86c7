"""The made-up market: the same again, joined up, and fit to trade with."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txgateway.brokers.paper.names import NAMES
from txgateway.brokers.paper.periods import minutes
from txgateway.brokers.paper.sessions import Schedule, Sessions
from txgateway.brokers.paper.synthetic import SyntheticMarket
from txgateway.model.market import Bar, Trade

NOW = datetime(2024, 3, 1, 15, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SESSIONS = Sessions("America/New_York")
MARKET = SyntheticMarket("1", SESSIONS)
QUOTE = ("181.45", "900", "181.47", "1200")
TRADE = ("181.45", "34")


def trade(market: SyntheticMarket, symbol: str, moment: datetime) -> Trade:
    shown = market.shown(symbol, moment)
    assert shown
    return shown[1]


def ticks(market: SyntheticMarket, symbol: str, start: datetime, seconds: int) -> list[Trade]:
    return [trade(market, symbol, start + timedelta(seconds=second)) for second in range(seconds)]


def test_the_market_of_a_seed_is_known_for_ever() -> None:
    quote, last = MARKET.shown("IBM", NOW) or (None, None)
    assert quote
    assert last
    assert (str(quote.bid), str(quote.bid_size), str(quote.ask), str(quote.ask_size)) == QUOTE
    assert (str(last.price), str(last.size)) == TRADE


def test_another_process_makes_the_same_market() -> None:
    script = (
        "from datetime import *\n"
        "from txgateway.brokers.paper.sessions import Sessions\n"
        "from txgateway.brokers.paper.synthetic import SyntheticMarket\n"
        "market = SyntheticMarket('1', Sessions('America/New_York'))\n"
        f"print(market.shown('IBM', datetime.fromisoformat({NOW.isoformat()!r})))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == str(MARKET.shown("IBM", NOW))


def test_other_seeds_and_other_symbols_are_other_markets() -> None:
    prices = [trade(SyntheticMarket(seed, SESSIONS), "IBM", NOW).price for seed in ("1", "2", "3")]
    assert len(set(prices)) == 3
    moves = [trade(MARKET, symbol, NOW).price / NAMES[symbol].price for symbol in ("IBM", "AAPL", "KO")]
    assert len(set(moves)) == 3


@pytest.mark.parametrize("symbol", ["IBM", "BTCUSD", "EURUSD", "USDJPY", "F"])
@pytest.mark.parametrize("per_minute", [4, 60, 240])
def test_ticks_add_up_to_the_minute_bar(symbol: str, per_minute: int) -> None:
    market = SyntheticMarket("7", SESSIONS, per_minute)
    start = NOW.replace(second=0)
    step = MINUTE / per_minute
    shown = [trade(market, symbol, start + tick * step) for tick in range(3 * per_minute)]
    assert [each.time for each in shown] == [start + tick * step for tick in range(3 * per_minute)]
    live = list(minutes(shown))
    assert live == list(market.minutes(symbol, start, start + 3 * MINUTE, start + timedelta(days=3)))


def test_the_running_minute_has_what_was_shown_of_it() -> None:
    start = NOW.replace(second=0)
    for seconds in (1, 17, 59, 60):
        now = start + timedelta(seconds=seconds - 1, milliseconds=500)
        (bar,) = MARKET.minutes("IBM", start, start + MINUTE, now)
        assert [bar] == list(minutes(ticks(MARKET, "IBM", start, seconds)))


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2024, 3, 10), date(2024, 11, 3)])
def test_minutes_add_up_to_the_day_bar(day: date) -> None:
    start, end = SESSIONS.midnight(day), SESSIONS.midnight(day + timedelta(days=1))
    single = list(MARKET.minutes("MSFT", start, end, end + MINUTE))
    (whole,) = MARKET.days("MSFT", start, end, end + MINUTE)
    assert len(single) == (end - start) // MINUTE
    assert whole == Bar(
        "MSFT",
        start,
        single[0].open,
        max(each.high for each in single),
        min(each.low for each in single),
        single[-1].close,
        sum((each.volume for each in single), Decimal(0)),
    )


def test_the_running_day_has_what_was_shown_of_it() -> None:
    start = SESSIONS.midnight(date(2024, 3, 1))
    single = list(MARKET.minutes("IBM", start, NOW + MINUTE, NOW))
    (today,) = MARKET.days("IBM", start, start + timedelta(days=1), NOW)
    assert today.open == single[0].open
    assert today.high == max(each.high for each in single)
    assert today.low == min(each.low for each in single)
    assert today.close == single[-1].close == trade(MARKET, "IBM", NOW).price
    assert today.volume == sum(each.volume for each in single)
    figures = MARKET.statistics("IBM", NOW)
    assert (figures.open, figures.high, figures.low, figures.volume) == (
        today.open,
        today.high,
        today.low,
        today.volume,
    )
    (yesterday,) = MARKET.days("IBM", start - timedelta(days=1), start, NOW)
    assert figures.close == yesterday.close
    assert figures.vwap is not None
    assert today.low <= figures.vwap <= today.high


def test_days_go_on_where_the_day_before_ended() -> None:
    days = list(MARKET.days("AAPL", NOW - timedelta(days=400), NOW, NOW))
    assert len(days) == 400
    assert all(after.open == before.close for before, after in itertools.pairwise(days))
    assert all(each.low < min(each.open, each.close) <= max(each.open, each.close) < each.high for each in days)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(NAMES)), st.integers(0, 20 * 365 * 86400))
def test_whatever_is_shown_can_be_traded(symbol: str, seconds: int) -> None:
    name = NAMES[symbol]
    shown = MARKET.shown(symbol, datetime(2006, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    assert shown
    quote, last = shown
    assert quote.tradable
    assert min(quote.bid_size, quote.ask_size) >= (1 if name.lot_size < 1 else 100)
    for price in (quote.bid, quote.ask, last.price):
        assert price % name.tick_size == 0
    for size in (quote.bid_size, quote.ask_size, last.size):
        assert size > 0
        assert size % name.lot_size == 0
    assert last.price in (quote.bid, quote.ask)
    assert quote.time == last.time


def test_with_a_calendar_the_market_stands_still_outside_its_hours() -> None:
    hours = {
        day: tuple(datetime(day.year, day.month, day.day, *clock, tzinfo=UTC) for clock in ((14, 30), (21, 0)))
        for day in (date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 4))
    }
    market = SyntheticMarket("1", Sessions("America/New_York", Schedule.of("X", "America/New_York", hours)))  # type: ignore[arg-type]
    friday, monday = hours[date(2024, 3, 1)], hours[date(2024, 3, 4)]
    last = trade(market, "IBM", friday[1] - timedelta(seconds=1))
    assert last.time == friday[1] - timedelta(seconds=1)
    assert trade(market, "IBM", friday[1] + timedelta(days=1)) == last
    assert trade(market, "IBM", monday[0]).price == last.price
    found = list(market.minutes("IBM", friday[0] - timedelta(days=3), monday[0], monday[1]))
    assert len(found) == 2 * 390
    days = list(market.days("IBM", friday[0] - timedelta(days=3), monday[1], monday[1]))
    assert [each.time.date() for each in days] == list(hours)
    assert market.shown("IBM", datetime(2024, 2, 1, tzinfo=UTC)) is None
    assert market.shown("BTCUSD", datetime(2024, 2, 1, tzinfo=UTC)) is not None


def test_nothing_is_told_of_the_future() -> None:
    assert list(MARKET.minutes("IBM", NOW + MINUTE, NOW + 5 * MINUTE, NOW)) == []
    assert list(MARKET.days("IBM", NOW, NOW + timedelta(days=5), NOW)) == []
