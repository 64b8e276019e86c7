"""The merged stream of files, and the bars of their past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from txgateway.brokers.paper.files import Kind, Source, look_into
from txgateway.brokers.paper.history import History
from txgateway.brokers.paper.replay import Stream
from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.market import Bar, Quote, Trade

D = Decimal
T0 = 1_381_132_800_000
MOMENT = datetime(2013, 10, 7, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATE = datetime(2100, 1, 1, tzinfo=UTC)
QUOTES, TRADES, BARS = "time,bid,bid_size,ask,ask_size", "time,price,size", "time,open,high,low,close,volume"
DAYS = "date,open,high,low,close,volume"


def sources(*paths: Path) -> list[Source]:
    found = [look_into(path) for path in paths]
    return [source for source in found if source]


def drain(stream: Stream, most: int = 10_000) -> list[Any]:
    events: list[Any] = []
    while stream.next_time is not None and len(events) < most:
        events += stream.take(stream.next_time, 100)
    return events


def test_files_are_merged_by_time_and_quotes_come_before_trades(write_csv: Callable[..., Path]) -> None:
    trades = write_csv("a-t.csv", TRADES, [(T0, 10, 1), (T0 + 1000, 11, 1), (T0 + 1000, 12, 1), (T0 + 3000, 13, 1)])
    quotes = write_csv("a-q.csv", QUOTES, [(T0, 9, 1, 10, 1), (T0 + 1000, 10, 1, 11, 1), (T0 + 2000, 11, 1, 12, 1)])
    other = write_csv("b-q.csv.gz", QUOTES, [(T0 + 1000, 1, 1, 2, 1)])
    events = drain(Stream(sources(trades, quotes, other)))
    assert [(type(each), each.symbol, (each.time - MOMENT) // SECOND) for each in events] == [
        (Quote, "A", 0),
        (Trade, "A", 0),
        (Quote, "A", 1),
        (Quote, "B", 1),
        (Trade, "A", 1),
        (Trade, "A", 1),
        (Quote, "A", 2),
        (Trade, "A", 3),
    ]
    assert [each.price for each in events if isinstance(each, Trade)] == [10, 11, 12, 13]


def test_the_events_of_one_moment_are_never_taken_apart(write_csv: Callable[..., Path]) -> None:
    rows = [(T0 + row // 7 * 1000, 10, row + 1) for row in range(70)]
    stream = Stream(sources(write_csv("a-t.csv", TRADES, rows)))
    while stream.next_time is not None:
        taken = stream.take(LATE, 10)
        assert len(taken) == 14
        assert stream.next_time is None or stream.next_time > taken[-1].time


def test_take_stops_at_the_time_given(write_csv: Callable[..., Path]) -> None:
    stream = Stream(sources(write_csv("a-t.csv", TRADES, [(T0 + row * 1000, 10, 1) for row in range(10)])))
    assert stream.first == MOMENT
    assert len(stream.take(MOMENT + 3 * SECOND, 100)) == 4
    assert stream.take(MOMENT + 3.5 * SECOND, 100) == []
    assert stream.next_time == MOMENT + 4 * SECOND


def test_a_bar_without_trades_is_shown_at_its_end(write_csv: Callable[..., Path]) -> None:
    path = write_csv("spy-b.csv", BARS, [(T0, 10, 12, 9, 11, 500), (T0 + 60_000, 11, 11, 11, 11, 70)])
    end = timedelta(minutes=1) - timedelta(milliseconds=1)
    assert drain(Stream(sources(path))) == [
        Trade("SPY", D(11), D(500), MOMENT + end),
        Trade("SPY", D(11), D(70), MOMENT + end + timedelta(minutes=1)),
    ]


def test_a_bar_with_trades_beside_it_is_not_shown(write_csv: Callable[..., Path]) -> None:
    bars = write_csv("spy-b.csv", BARS, [(T0, 10, 12, 9, 11, 500)])
    trades = write_csv("spy-t.csv", TRADES, [(T0, 10, 500)])
    assert len(drain(Stream(sources(bars, trades)))) == 1


def test_a_loop_comes_again_weeks_later(write_csv: Callable[..., Path]) -> None:
    path = write_csv("a-t.csv", TRADES, [(T0, 10, 1), (T0 + 8 * 86_400_000, 11, 1)])
    events = drain(Stream(sources(path), loop=True), most=6)
    assert [(each.time - MOMENT) // timedelta(days=1) for each in events] == [0, 8, 14, 22, 28, 36]
    assert len({each.time.weekday() for each in events[::2]}) == 1


def test_only_files_that_have_begun_are_open(write_csv: Callable[..., Path], tmp_path: Path) -> None:
    paths = [
        write_csv(f"a-{day:03}.csv", TRADES, [(T0 + day * 86_400_000 + row, 10, 1) for row in range(3)])
        for day in range(300)
    ]
    stream = Stream(sources(*paths))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(150):
        stream.take(LATE, 3)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    stream.close()
    assert stream.next_time is None


def test_day_bars_alone_are_nothing_to_play(write_csv: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="nothing to stream"):
        Stream(sources(write_csv("a-d.csv", DAYS, [("2013-10-07", 1, 1, 1, 1, 1)])))


def history(*paths: Path) -> History:
    found = History(sources(*paths), Sessions("America/New_York"))
    found.load()
    return found


def bars(found: Any) -> list[Bar]:
    return [bar for bar in found if bar is not None]


def test_minutes_come_out_of_trades(write_csv: Callable[..., Path]) -> None:
    rows = [(T0, 10, 5), (T0 + 59_000, 12, 5), (T0 + 60_000, 9, 1), (T0 + 200_000, 8, 2), (T0 + 201_000, 7, 2)]
    past = history(write_csv("a-t.csv", TRADES, rows))
    found = bars(past.minutes("A", MOMENT, LATE, LATE))
    assert found == [
        Bar("A", MOMENT, D(10), D(12), D(10), D(12), D(10)),
        Bar("A", MOMENT + timedelta(minutes=1), D(9), D(9), D(9), D(9), D(1)),
        Bar("A", MOMENT + timedelta(minutes=3), D(8), D(8), D(7), D(7), D(4)),
    ]
    assert bars(past.minutes("A", MOMENT + SECOND, MOMENT + timedelta(minutes=3), LATE)) == found[1:2]
    assert bars(past.minutes("A", MOMENT, LATE, MOMENT + timedelta(minutes=2))) == found[:2], "the third is to come"
    assert bars(past.minutes("A", MOMENT, LATE, MOMENT + timedelta(seconds=50))) == []
    assert bars(past.minutes("B", MOMENT, LATE, LATE)) == []


def test_bar_files_win_over_trades(write_csv: Callable[..., Path]) -> None:
    trades = write_csv("a-t.csv", TRADES, [(T0, 10, 5), (T0 + 60_000, 9, 1)])
    bar = write_csv("a-b.csv", BARS, [(T0 + 60_000, 8, 9, 7, 8, 99)])
    found = bars(history(trades, bar).minutes("A", MOMENT, LATE, LATE))
    assert [each.volume for each in found] == [5, 99]


def test_days_come_out_of_day_bars_and_else_out_of_minutes(write_csv: Callable[..., Path]) -> None:
    trades = write_csv("a-t.csv", TRADES, [(T0, 10, 5), (T0 + 60_000, 9, 1), (T0 + 86_400_000, 3, 7)])
    days = write_csv("a-d.csv", DAYS, [("2013-10-04", 5, 6, 4, 5, 50), ("2013-10-07", 5, 9, 4, 8, 77)])
    past = history(trades, days)
    midnight = datetime(2013, 10, 7, 4, tzinfo=UTC)
    found = bars(past.days("A", MOMENT - timedelta(days=9), LATE, LATE))
    assert [(each.time, each.volume) for each in found] == [
        (midnight - timedelta(days=3), 50),
        (midnight, 77),
        (midnight + timedelta(days=1), 7),
    ]
    today = midnight + timedelta(hours=12)
    assert bars(past.days("A", MOMENT - timedelta(days=9), LATE, today)) == found[:1], "today has not ended"
    assert past.close_before("A", today.date()) == 5
    assert past.close_before("A", today.date() - timedelta(days=3)) is None


def test_the_real_minutes_are_what_the_rows_add_up_to(data: Path) -> None:
    past = history(data / "ibm-20131007-trades.csv.gz")
    source = sources(data / "ibm-20131007-trades.csv.gz")[0]
    assert source.kind is Kind.TRADES
    events = [each for each in drain(Stream([source])) if isinstance(each, Trade)]
    found = bars(past.minutes("IBM", MOMENT - timedelta(days=1), LATE, LATE))
    assert sum(each.volume for each in found) == sum(each.size for each in events)
    assert max(each.high for each in found) == max(each.price for each in events)
    assert len(found) == len({each.time.replace(second=0) for each in events})
