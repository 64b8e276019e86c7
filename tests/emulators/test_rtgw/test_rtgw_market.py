"""The emulated rtgw's market is the same for the same seed, and its past and its present belong together."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as D

import pytest

from tests.emulators.rtgw.market import LISTINGS, Market

NOW = datetime(2026, 3, 4, 11, 0)  # noqa: DTZ001


def test_the_same_seed_is_the_same_market_and_another_is_not() -> None:
    prices = [[Market(seed).price("IBM", NOW + timedelta(minutes=i)) for i in range(20)] for seed in ("1", "1", "2")]
    assert prices[0] == prices[1] != prices[2]
    assert len(set(prices[0])) > 5


@pytest.mark.parametrize("symbol", LISTINGS)
def test_quotes_are_whole_cents_and_not_crossed(symbol: str) -> None:
    market = Market("7")
    for second in range(100):
        now = NOW + timedelta(seconds=second)
        market.step(symbol, now)
        tape = market.tape(symbol, now)
        assert D(0) < tape.bid < tape.ask
        assert tape.bid == tape.bid.quantize(D("0.01"))
        assert tape.bid_size > 0 < tape.ask_size
        assert tape.low <= tape.last <= tape.high
        assert abs(tape.last - market.price(symbol, now)) < tape.last / 50


def test_a_pinned_quote_stands_still() -> None:
    market = Market("7")
    market.pin("IBM", NOW, D("1.00"), D("1.01"), 100, 0)
    assert not market.step("IBM", NOW)
    tape = market.tape("IBM", NOW)
    assert (tape.bid, tape.ask, tape.bid_size, tape.ask_size) == (D("1.00"), D("1.01"), 100, 0)


def test_a_trade_is_printed() -> None:
    market = Market("7")
    before = market.tape("IBM", NOW).volume
    market.trade("IBM", D(300), 50, NOW)
    tape = market.tape("IBM", NOW)
    assert (tape.last, tape.last_size, tape.volume, tape.high) == (300, 50, before + 50, 300)


def test_intraday_bars_are_in_session_and_do_not_know_the_future() -> None:
    market = Market("7")
    bars = market.intraday("IBM", 30, NOW - timedelta(days=5), NOW + timedelta(days=5), NOW)
    assert [bar.start.date().isoformat() for bar in bars[::13]] == [
        "2026-02-27",
        "2026-03-02",
        "2026-03-03",
        "2026-03-04",
    ]
    assert bars[-1].start == NOW
    assert bars[-1].close == market.price("IBM", NOW)
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.open == market.price("IBM", bar.start)
        assert bar.volume > 0
    assert market.intraday("IBM", 1, NOW, NOW, NOW) == []


def test_long_bars_are_made_of_days() -> None:
    market, start = Market("7"), date(2026, 1, 1)
    days, weeks, months = (market.daily("IBM", kind, start, NOW.date(), NOW) for kind in (0, 1, 2))
    assert [bar.start.month for bar in months] == [1, 2, 3]
    assert days[0].start.date() == start
    assert all(bar.start.weekday() < 5 for bar in days)
    for longer in (weeks, months):
        assert sum(bar.volume for bar in longer) == sum(bar.volume for bar in days)
        assert max(bar.high for bar in longer) == max(bar.high for bar in days)
        assert (longer[0].open, longer[-1].close) == (days[0].open, days[-1].close)
