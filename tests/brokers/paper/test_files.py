"""Market data files: what they are taken for, what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogLevel

from txgateway.brokers.paper.files import Kind, Reader, find, look_into
from txgateway.model.market import Bar, Quote, Trade

D = Decimal
T0 = 1_381_132_800_000
"""2013-10-07 08:00 UTC."""
MOMENT = datetime(2013, 10, 7, 8, tzinfo=UTC)


def read(path: Path) -> list[Any]:
    source = look_into(path)
    assert source
    return list(Reader(source.path, source.symbol, source.kind).events())


def test_quotes(write_csv: Callable[..., Path]) -> None:
    path = write_csv(
        "ibm-20131007-quotes.csv.gz", "time,bid,bid_size,ask,ask_size", [(T0, "181.25", 200, "181.8", 3000)]
    )
    source = look_into(path)
    assert source
    assert (source.symbol, source.kind, source.first, source.price) == ("IBM", Kind.QUOTES, MOMENT, D("181.8"))
    assert read(path) == [Quote("IBM", D("181.25"), D(200), D("181.8"), D(3000), MOMENT)]


def test_trades_with_other_columns_in_another_order(write_csv: Callable[..., Path]) -> None:
    path = write_csv("btcusd.csv", "Size, venue ,PRICE,time", [("0.6005", "x", "611.87", T0)])
    source = look_into(path)
    assert source
    assert (source.symbol, source.kind, source.lot_size, source.tick_size) == (
        "BTCUSD",
        Kind.TRADES,
        D("0.0001"),
        D("0.01"),
    )
    assert read(path) == [Trade("BTCUSD", D("611.87"), D("0.6005"), MOMENT)]


def test_bars_know_their_length(write_csv: Callable[..., Path]) -> None:
    rows = [(T0 + minute * 60_000, 10, 12, 9, 11, 500) for minute in (0, 5, 10, 20)]
    path = write_csv("spy-x.csv", "time,open,high,low,close,volume", rows)
    source = look_into(path)
    assert source
    assert (source.kind, source.step) == (Kind.BARS, timedelta(minutes=5))
    assert read(path)[0] == Bar("SPY", MOMENT, D(10), D(12), D(9), D(11), D(500))


def test_day_bars(write_csv: Callable[..., Path]) -> None:
    path = write_csv("ibm-daily.csv", "date,open,high,low,close,volume", [("2010-01-04", 1, 3, 1, 2, 9)])
    source = look_into(path)
    assert source
    assert source.kind is Kind.DAYS
    (row,) = Reader(path, "IBM", Kind.DAYS).days()
    assert (row.day, row.close) == (date(2010, 1, 4), 2)


def test_times_may_be_iso(write_csv: Callable[..., Path]) -> None:
    rows = [("2013-10-07T08:00:00Z", 1, 1), ("2013-10-07 08:00:00.250", 1, 1), ("2013-10-07T10:00:01+02:00", 1, 1)]
    found = [each.time for each in read(write_csv("a.csv", "time,price,size", rows))]
    assert found == [MOMENT, MOMENT + timedelta(milliseconds=250), MOMENT + timedelta(seconds=1)]


def test_bad_rows_are_logged_with_their_place_and_left_out(write_csv: Callable[..., Path], logged: Any) -> None:
    rows = [
        (T0, "1.00", 10),
        (T0, "x", 10),
        (T0, "NaN", 10),
        (T0, "Infinity", 10),
        (T0, "-1", 10),
        (T0, 0, 10),
        (T0,),
        "",
        ("soon", 1, 1),
        (10**20, 1, 1),
        (T0 - 1, 1, 1),
        (T0 + 1, "1.01", 10),
    ]
    path = write_csv("a.csv", "time,price,size", rows)
    reader = Reader(path, "A", Kind.TRADES)
    assert [each.price for each in reader.events()] == [D("1.00"), D("1.01")]
    assert reader.skipped == 9
    warnings = logged.texts(LogLevel.warn)
    assert len(warnings) == 9
    assert f"{path}:3: " in warnings[0]
    assert "before that of the row above" in warnings[-1]
    assert f"{path}:12: " in warnings[-1]


def test_a_thousand_bad_rows_are_not_a_thousand_lines(write_csv: Callable[..., Path], logged: Any) -> None:
    path = write_csv("a.csv", "time,price,size", [(T0, 1, 1)] + [("?", 1, 1)] * 1000)
    assert len(list(Reader(path, "A", Kind.TRADES).events())) == 1
    warnings = logged.texts(LogLevel.warn)
    assert len(warnings) == 101
    assert "900 more bad rows" in warnings[-1]


@pytest.mark.parametrize("prices", [(10, 9, 11, 10), (10, 12, 11, 10), (0, 0, 0, 0)])
def test_a_bar_whose_prices_do_not_fit_is_bad(write_csv: Callable[..., Path], prices: Any) -> None:
    path = write_csv("a.csv", "time,open,high,low,close,volume", [(T0, 1, 1, 1, 1, 1), (T0 + 1, *prices, 5)])
    reader = Reader(path, "A", Kind.BARS)
    assert len(list(reader.events())) == 1
    assert reader.skipped == 1


def test_crossed_and_empty_quotes_are_taken_as_they_are(write_csv: Callable[..., Path]) -> None:
    rows = [(T0, "10.1", 5, "10.0", 5), (T0, 0, 0, "10.0", 5), (T0, 0, 0, 0, 0)]
    assert len(read(write_csv("a.csv", "time,bid,bid_size,ask,ask_size", rows))) == 3


def test_a_cut_file_is_read_as_far_as_it_goes(write_csv: Callable[..., Path], logged: Any) -> None:
    path = write_csv("a.csv.gz", "time,price,size", [(T0 + row, row % 97 + 1, row) for row in range(5000)])
    path.write_bytes(path.read_bytes()[:-200])
    found = list(Reader(path, "A", Kind.TRADES).events())
    assert 100 < len(found) < 5000
    logged.expect("broken after line", LogLevel.warn)


@pytest.mark.parametrize("text", ["open,close\n1,2\n", "", "\x00\x01\x02", "time,price\n1,2\n"])
def test_an_unknown_header_is_an_error_that_says_what_would_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.csv.*time,bid,bid_size,ask,ask_size"):
        look_into(path)


def test_what_is_no_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text("time,price,size\n")
    with pytest.raises(ValueError, match="cannot be read"):
        look_into(path)


def test_a_file_without_rows_is_left_out(write_csv: Callable[..., Path], logged: Any) -> None:
    assert look_into(write_csv("a.csv", "time,price,size", [])) is None
    assert look_into(write_csv("b.csv", "date,open,high,low,close,volume", [])) is None
    logged.expect("a.csv: there is no good row", LogLevel.warn)


def test_files_are_found_by_name_folder_and_glob(write_csv: Callable[..., Path], tmp_path: Path) -> None:
    one = write_csv("b-1.csv", "time,price,size", [])
    two = write_csv("a-1.csv.gz", "time,price,size", [])
    (one.parent / "README.md").write_text("not data")
    assert find(str(one)) == [one]
    assert find(str(one.parent)) == [two, one]
    assert find(str(one.parent / "*-1.*")) == [two, one]
    assert find(str(tmp_path / "**" / "*.csv")) == [one]
    for nothing in (tmp_path / "no.csv", tmp_path, one.parent / "*.txt"):
        with pytest.raises(ValueError, match="no file to replay at"):
            find(str(nothing))


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / "ibm-x.parquet"
    table = pyarrow.table({"price": [181.25, None, 181.5], "size": [100, 1, 200], "time": [T0, T0, T0 + 1000]})
    parquet.write_table(table, path)
    assert read(path) == [
        Trade("IBM", D("181.25"), D(100), MOMENT),
        Trade("IBM", D("181.5"), D(200), MOMENT + timedelta(seconds=1)),
    ]
    stamped = tmp_path / "ibm-y.parquet"
    parquet.write_table(pyarrow.table({"time": [MOMENT], "price": ["1.5"], "size": [1]}), stamped)
    assert read(stamped) == [Trade("IBM", D("1.5"), D(1), MOMENT)]
    broken = tmp_path / "ibm-z.parquet"
    broken.write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        look_into(broken)


def test_the_real_files_are_understood(data: Path) -> None:
    sources = {path.name: look_into(path) for path in find(str(data))}
    kinds = {name: source and (source.symbol, source.kind) for name, source in sources.items()}
    assert kinds["ibm-20131007-quotes.csv.gz"] == ("IBM", Kind.QUOTES)
    assert kinds["btcusd-20161007-trades.csv.gz"] == ("BTCUSD", Kind.TRADES)
    assert kinds["spy-20131008-bars-1m.csv.gz"] == ("SPY", Kind.BARS)
    assert kinds["spy-daily.csv.gz"] == ("SPY", Kind.DAYS)
    assert len(kinds) == 11
    for source in sources.values():
        assert source
        reader = Reader(source.path, source.symbol, source.kind)
        count = sum(1 for _ in (reader.days() if source.kind is Kind.DAYS else reader.events()))
        assert count > 800
        assert reader.skipped == 0
