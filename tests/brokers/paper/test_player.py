"""The replay as a gateway meets it: clock, pace, orders against recorded quotes, bars."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from txgateway.model.market import Period, Quote, Statistics, Trade, Unit

D = Decimal
T0 = 1_381_132_800_000
MOMENT = datetime(2013, 10, 7, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTES, DAYS = Period(1, Unit.MINUTE), Period(1, Unit.DAY)
Open = Callable[..., Any]


@pytest.fixture
def files(write_csv: Open) -> Path:
    """Quotes of A every ten seconds for two minutes, 10 and 11 and so on; trades of A and, without quotes, of B."""
    quotes = [(T0 + row * 10_000, 10 + row, 100, 11 + row, 100) for row in range(13)]
    path: Path = write_csv("a-quotes.csv.gz", "time,bid,bid_size,ask,ask_size", quotes)
    write_csv("a-trades.csv.gz", "time,price,size", [(T0 + row * 10_000 + 5000, 11 + row, 7) for row in range(12)])
    write_csv("b-trades.csv", "time,price,size", [(T0 + row * 10_000, D("0.5"), D("2.25")) for row in range(13)])
    write_csv("a-daily.csv", "date,open,high,low,close,volume", [("2013-10-04", 7, 9, 6, 8, 1000)])
    return path.parent


def quotes(venue: Any) -> list[Quote]:
    return [each for each in venue.told if isinstance(each, Quote)]


def test_the_clock_stands_at_the_first_event_until_a_symbol_is_subscribed(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    assert venue.broker.now() == MOMENT
    venue.later(100)
    assert venue.broker.now() == MOMENT
    assert not venue.clock.getDelayedCalls()
    venue.broker.subscribe("A")
    venue.later(12)
    assert venue.broker.now() == MOMENT + 12 * SECOND
    assert [each.time for each in quotes(venue)] == [MOMENT, MOMENT + 10 * SECOND]


@pytest.mark.parametrize(("speed", "seconds"), [("1x", 60.0), ("10x", 6.0), ("0.5x", 120.0)])
def test_it_goes_at_its_pace(open_venue: Open, files: Path, speed: str, seconds: float) -> None:
    venue = open_venue(feed=f"replay:{files}@{speed}")
    venue.broker.subscribe("A")
    venue.later(seconds + 0.5, step=0.5)
    assert quotes(venue)[-1].time == MOMENT + 60 * SECOND


def test_the_clock_goes_on_between_events_but_never_reaches_the_next_before_it_is_shown(
    open_venue: Open, files: Path
) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    venue.broker.subscribe("A")
    venue.later(1)
    before = venue.broker.now()
    for _ in range(60):
        venue.clock.rightNow += 0.77  # time passes and the reactor is too busy to show anything
        now = venue.broker.now()
        assert before <= now < MOMENT + 5 * SECOND
        before = now
        shown = venue.quote("A")
        (fill,) = venue.fills(venue.send("BUY", 1, "A"))
        assert (fill.price, fill.time) == (shown.ask, now)


def test_as_fast_as_it_goes_still_lets_others_in(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@max")
    venue.broker.subscribe("A")
    for step in range(13):
        venue.clock.step()
        assert venue.broker.now() == MOMENT + step * 5 * SECOND, "one second of the feed's a turn"
    order = venue.send("BUY", 10, "A")
    assert venue.fills(order)[0].price == 17
    while venue.clock.step():
        pass
    assert venue.broker.now() == MOMENT + 120 * SECOND


def test_at_the_end_the_market_stays_as_it_is(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@max")
    venue.broker.subscribe("A")
    resting = venue.send("BUY", 10, "A", limit=1)
    while venue.clock.step():
        pass
    venue.later(10)
    assert venue.broker.now() == MOMENT + 120 * SECOND
    assert venue.fills(venue.send("SELL", 60, "A"))[0].price == 22
    assert venue.fills(venue.send("SELL", 60, "A"))[0].quantity == 40, "the last quote's size is used up"
    assert next(each.order_id for each in venue.do(venue.broker.open_orders())) == resting.order_id


def test_a_loop_begins_again_without_waiting_weeks(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x,loop")
    venue.broker.subscribe("A")
    venue.later(300)
    times = [each.time for each in quotes(venue)]
    assert times == sorted(times)
    assert {each - MOMENT for each in times if each.second == 0 and each.minute == 0} == {
        timedelta(weeks=week) for week in range(3)
    }
    bars = venue.do(venue.broker.bars("A", MINUTES, MOMENT, MOMENT + timedelta(weeks=5)))
    assert len(bars) >= 4
    assert all(bar.time <= venue.broker.now() for bar in bars)


def test_a_symbol_subscribed_late_tells_the_present_first(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    venue.broker.subscribe("B")
    assert [type(each) for each in venue.told[2:]] == [Statistics]
    venue.later(27)
    venue.told.clear()
    venue.broker.subscribe("A")
    figures, quote, trade = venue.told
    assert (quote.time, trade.time) == (MOMENT + 20 * SECOND, MOMENT + 25 * SECOND)
    assert (figures.open, figures.high, figures.low, figures.volume, figures.close) == (11, 13, 11, 21, 8)
    assert figures.vwap == 12


def test_subscribing_again_brings_no_new_size(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    venue.broker.subscribe("A")
    venue.later(1)
    venue.send("BUY", 100, "A", tif="IOC")
    venue.broker.unsubscribe("A")
    venue.broker.subscribe("A")
    assert venue.kinds(venue.send("BUY", 1, "A", tif="IOC")) == ["OrderAccepted", "OrderCanceled"]
    venue.later(10)
    assert venue.fills(venue.send("BUY", 1, "A", tif="IOC"))


def test_a_symbol_without_quotes_trades_against_its_prints(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    instrument = venue.do(venue.broker.instrument("B"))
    assert instrument.lot_size == D("0.01")
    venue.broker.subscribe("B")
    venue.later(1)
    order = venue.send("BUY", "3.00", "B")
    assert [(each.quantity, each.price) for each in venue.fills(order)] == [(D("2.25"), D("0.5"))]
    venue.later(10)
    assert [each.quantity for each in venue.fills(order)] == [D("2.25"), D("0.75")]


def test_an_order_before_the_first_event_waits_for_it(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    order = venue.send("BUY", 10, "A")
    assert venue.kinds(order) == ["OrderAccepted"]
    venue.later(1)
    (fill,) = venue.fills(order)
    assert (fill.price, fill.time) == (11, MOMENT)


def test_bars_are_never_of_the_future(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    end = MOMENT + timedelta(days=1)
    venue.broker.subscribe("A")
    venue.later(1)
    assert venue.do(venue.broker.bars("A", MINUTES, MOMENT, end)) == []
    venue.later(16)
    (running,) = venue.do(venue.broker.bars("A", MINUTES, MOMENT, end))
    assert (running.open, running.high, running.close, running.volume) == (11, 12, 12, 14)
    venue.later(60)
    first, running = venue.do(venue.broker.bars("A", MINUTES, MOMENT, end))
    assert (first.open, first.close, first.volume) == (11, 16, 42)
    assert (running.time, running.volume) == (MOMENT + timedelta(minutes=1), 14)
    days = venue.do(venue.broker.bars("A", DAYS, MOMENT - timedelta(days=9), end))
    assert [(each.open, each.close, each.volume) for each in days] == [(7, 8, 1000), (11, 18, 56)]
    (both,) = venue.do(venue.broker.bars("A", Period(5, Unit.MINUTE), MOMENT, end))
    assert (both.time, both.open, both.close, both.volume) == (MOMENT, 11, 18, 56)


def test_a_day_order_expires_by_the_feeds_clock(open_venue: Open, write_csv: Open) -> None:
    rows = [(T0 + hour * 3_600_000, 10, 100, 11, 100) for hour in range(30)]
    path = write_csv("a-q.csv", "time,bid,bid_size,ask,ask_size", rows)
    venue = open_venue(feed=f"replay:{path}@max")
    order = venue.send("BUY", 10, "A", limit=1)
    for _ in range(20):
        venue.clock.step()
    assert venue.kinds(order) == ["OrderAccepted"]
    venue.clock.step()
    assert venue.kinds(order) == ["OrderAccepted", "OrderExpired"]
    assert venue.events(order)[-1].time == datetime(2013, 10, 8, 4, tzinfo=UTC)


def test_a_new_start_begins_anew(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@max")
    venue.broker.subscribe("A")
    while venue.clock.step():
        pass
    venue.broker.stopService()
    assert venue.broker.now() == MOMENT + 120 * SECOND, "the clock does not run back to the wall's"
    venue.broker.startService()
    assert venue.broker.now() == MOMENT


def test_no_turn_takes_long(open_venue: Open, data: Path) -> None:
    venue = open_venue(feed=f"replay:{data}@max")
    for symbol in ("IBM", "SPY", "BTCUSD"):
        venue.broker.subscribe(symbol)
    turns = []
    for _ in range(3000):
        begun = time.thread_time()
        venue.clock.step()
        turns.append(time.thread_time() - begun)
    assert sorted(turns)[-30] < 0.005, "99 of 100 turns"


def test_real_day_bars_are_given_up_to_the_day_before(open_venue: Open, data: Path) -> None:
    venue = open_venue(feed=f"replay:{data}/ibm-*@max")
    start = datetime(2013, 10, 1, 4, tzinfo=UTC)
    bars = venue.do(venue.broker.bars("IBM", DAYS, start, start + timedelta(days=30)))
    assert [each.time.day for each in bars] == [1, 2, 3, 4]
    assert venue.do(venue.broker.instrument("IBM")).cusip == "459200101"
    venue.broker.subscribe("IBM")
    figures = next(each for each in venue.told if isinstance(each, Statistics))
    assert figures.close == bars[-1].close
    while venue.clock.step():
        pass
    bars = venue.do(venue.broker.bars("IBM", DAYS, start, start + timedelta(days=30)))
    assert [each.time.day for each in bars] == [1, 2, 3, 4, 7, 8]
    trades = [each for each in venue.told if isinstance(each, Trade) and each.time.day == 8]
    assert bars[-1].volume == sum(each.size for each in trades)


def test_last_prices_are_those_it_has_come_to_and_begin_no_replay(open_venue: Open, files: Path) -> None:
    venue = open_venue(feed=f"replay:{files}@1x")
    assert venue.do(venue.broker.last_prices(["A", "B", "NOSUCH"])) == []
    assert not venue.clock.getDelayedCalls()
    venue.broker.subscribe("A")
    venue.later(26)
    found = venue.do(venue.broker.last_prices(["B", "NOSUCH", "A"]))
    assert [(each.symbol, each.price, each.time) for each in found] == [
        ("B", D("0.5"), MOMENT + 20 * SECOND),
        ("A", D(13), MOMENT + 25 * SECOND),
    ]
