"""Market data files: CSV (plain or gzip) and Parquet, one instrument each, recognised by their columns.

| columns, in any order | what |
| --- | --- |
| time, bid, bid_size, ask, ask_size | quotes |
| time, price, size | trades |
| time, open, high, low, close, volume | bars; `time` is a bar's start |
| date, open, high, low, close, volume | day bars: history only, never streamed |

The symbol is the file's name up to the first `-` (or `.`). `time` is UTC: epoch milliseconds, or ISO 8601. Rows are
in the order of time. A bad row is logged with its place and left out. Crossed and empty quotes are no bad rows.
"""

from __future__ import annotations

import csv
import glob
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from twisted.logger import Logger

from txgateway.model.market import Bar, Quote, Trade

log = Logger()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
SUFFIXES = (".csv", ".csv.gz", ".parquet")
LOGGED_ROWS = 100
"""So many bad rows of a file are logged one by one; the rest as a number."""
EMPTY = "{path}: there is no good row in it."
LOOKED_AT = 1000
"""So many rows at a file's beginning tell its steps: a bar's length, the size of a lot."""

Row = Sequence[str]
Seen = Quote | Trade | Bar


class Kind(StrEnum):
    """What a file holds."""

    QUOTES = "quotes"
    TRADES = "trades"
    BARS = "bars"
    DAYS = "day bars"


COLUMNS = {
    Kind.QUOTES: ("time", "bid", "bid_size", "ask", "ask_size"),
    Kind.TRADES: ("time", "price", "size"),
    Kind.BARS: ("time", "open", "high", "low", "close", "volume"),
    Kind.DAYS: ("date", "open", "high", "low", "close", "volume"),
}


@dataclass(frozen=True, slots=True)
class DayBar:
    """A row of a day-bar file: a bar without a moment, since the day's beginning is the reader's."""

    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Source:
    """One file, looked into: its first row's time and price, the length of its bars, the decimals of its numbers."""

    path: Path
    symbol: str
    kind: Kind
    first: datetime
    price: Decimal
    step: timedelta
    tick_size: Decimal
    lot_size: Decimal


def find(where: str) -> list[Path]:
    """The files that `where` (a file, a folder or a glob) names; ValueError when there is none."""
    path = Path(where).expanduser()
    if path.is_dir():
        paths = [each for each in path.iterdir() if _is_data(each)]
    elif path.is_file():
        return [path]
    else:
        paths = [each for found in glob.glob(str(path), recursive=True) if _is_data(each := Path(found))]
    if not paths:
        raise ValueError(
            f"There is no file to replay at {where}: name CSV or Parquet files, a folder of them or a glob."
        )
    return sorted(paths)


def look_into(path: Path) -> Source | None:
    """A file's nature, from its beginning. None and a warning when it has no row; ValueError when it is not ours."""
    symbol = path.name.partition("-")[0].partition(".")[0].upper()
    kind = _kind_of(path)
    reader = Reader(path, symbol, kind)
    if kind is Kind.DAYS:
        day = next(reader.days(), None)
        if day is None:
            log.warn(EMPTY, path=str(path))
            return None
        return Source(path, symbol, kind, EPOCH, day.close, timedelta(days=1), Decimal("0.01"), Decimal(1))
    rows = list(islice(reader.events(quiet=True), LOOKED_AT))
    if not rows:
        log.warn(EMPTY, path=str(path))
        return None
    first = rows[0]
    gaps = [after.time - before.time for before, after in pairwise(rows)]
    step = min((gap for gap in gaps if gap), default=timedelta(minutes=1)) if kind is Kind.BARS else timedelta(0)
    lot = min(Decimal(1), min(_decimals(size) for row in rows for size in _sizes(row)))
    tick = min(Decimal("0.01"), min(_decimals(price) for row in rows for price in _prices(row)))
    return Source(path, symbol, kind, first.time, _prices(first)[-1], step, tick, lot)


class Reader:
    """Reads one file from its beginning; counts the bad rows in `skipped`."""

    def __init__(self, path: Path, symbol: str, kind: Kind) -> None:
        self._path = path
        self._symbol = symbol
        self._kind = kind
        self._quiet = False
        self.skipped = 0

    def events(self, quiet: bool = False) -> Iterator[Seen]:
        """The file's quotes, trades or bars, in the order of time; a row that goes back in time is a bad row."""
        self._quiet = quiet
        makers: dict[Kind, Callable[[Row], Seen]] = {Kind.QUOTES: self._quote, Kind.TRADES: self._trade}
        make = makers.get(self._kind, self._bar)
        before = EPOCH
        for number, row in self._rows():
            try:
                event = make(row)
                if event.time < before:
                    raise ValueError("its time is before that of the row above")
            except (ArithmeticError, ValueError, IndexError, OverflowError) as error:
                self._skip(number, row, error)
                continue
            before = event.time
            yield event
        self._close()

    def days(self) -> Iterator[DayBar]:
        """The rows of a day-bar file."""
        before = date.min
        for number, row in self._rows():
            try:
                day = date.fromisoformat(row[0])
                if day <= before:
                    raise ValueError("its day is not after that of the row above")
                bar = DayBar(day, *_ordered(row[1:]))
            except (ArithmeticError, ValueError, IndexError) as error:
                self._skip(number, row, error)
                continue
            before = day
            yield bar
        self._close()

    def _rows(self) -> Iterator[tuple[int, Row]]:
        """(line, the columns that we know in our order) of every row."""
        rows = _raw_rows(self._path)
        header = _header(next(rows, []))
        pick = itemgetter(*(header.index(name) for name in COLUMNS[self._kind]))
        number = 1
        try:
            for number, row in enumerate(rows, 2):
                if row:
                    try:
                        yield number, pick(row)
                    except IndexError as error:
                        self._skip(number, row, error)
        except (EOFError, OSError, csv.Error, UnicodeDecodeError) as error:
            log.warn(
                "{path}: broken after line {line} ({error}): the rest is left out.",
                path=str(self._path),
                line=number,
                error=str(error),
            )

    def _quote(self, row: Row) -> Quote:
        bid, bid_size, ask, ask_size = _numbers(row[1:])
        return Quote(self._symbol, bid, bid_size, ask, ask_size, _time(row[0]))

    def _trade(self, row: Row) -> Trade:
        price, size = _numbers(row[1:])
        if not price:
            raise ValueError("its price is zero")
        return Trade(self._symbol, price, size, _time(row[0]))

    def _bar(self, row: Row) -> Bar:
        return Bar(self._symbol, _time(row[0]), *_ordered(row[1:]))

    def _skip(self, number: int, row: Row, error: Exception) -> None:
        self.skipped += 1
        if self._quiet or self.skipped > LOGGED_ROWS:
            return
        text = ",".join(map(str, row))[:200]
        log.warn(
            "{path}:{line}: {row!r} is left out: {error}.",
            path=str(self._path), line=number, row=text, error=str(error) or type(error).__name__,
        )  # fmt: skip

    def _close(self) -> None:
        if self.skipped > LOGGED_ROWS and not self._quiet:
            more = self.skipped - LOGGED_ROWS
            log.warn("{path}: {more} more bad rows were left out.", path=str(self._path), more=more)


def _is_data(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def _kind_of(path: Path) -> Kind:
    try:
        header = _header(next(_raw_rows(path), []))
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}): give CSV (plain or gzip) or Parquet.") from None
    for kind, columns in COLUMNS.items():
        if set(columns) <= set(header):
            return kind
    known = "; ".join(",".join(columns) for columns in COLUMNS.values())
    raise ValueError(f"{path} has the columns {','.join(header)[:200]!r}, which are none of these: {known}.")


def _header(row: Iterable[str]) -> list[str]:
    return [name.strip().lower() for name in row]


def _raw_rows(path: Path) -> Iterator[list[str]]:
    """The rows as text, the header first."""
    if path.name.lower().endswith(".parquet"):
        yield from _parquet_rows(path)
        return
    opened: Callable[..., IO[Any]] = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield from csv.reader(file)


def _parquet_rows(path: Path) -> Iterator[list[str]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path} is Parquet and needs an extra: pip install 'txgateway[parquet]'.") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=1000):
            columns = [[_text(value) for value in column] for column in batch.to_pydict().values()]
            yield from (list(row) for row in zip(*columns, strict=True))
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)


def _time(text: str) -> datetime:
    if text.isdecimal():
        return EPOCH + int(text) * MILLISECOND
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _numbers(texts: Iterable[str]) -> list[Decimal]:
    numbers = [Decimal(text) for text in texts]
    for number in numbers:
        if not number.is_finite() or number < 0:
            raise ValueError(f"{number} is not a number of zero or more")
    return numbers


def _ordered(texts: Iterable[str]) -> list[Decimal]:
    """Open, high, low, close, volume."""
    numbers = _numbers(texts)
    opened, high, low, close, _ = numbers
    if not 0 < low <= min(opened, close) <= max(opened, close) <= high:
        raise ValueError("its prices do not lie between its low and its high")
    return numbers


def _sizes(event: Seen) -> list[Decimal]:
    if isinstance(event, Quote):
        return [event.bid_size, event.ask_size]
    return [event.size if isinstance(event, Trade) else event.volume]


def _prices(event: Seen) -> list[Decimal]:
    if isinstance(event, Quote):
        return [event.bid, event.ask]
    return [event.price] if isinstance(event, Trade) else [event.open]


def _decimals(number: Decimal) -> Decimal:
    """The step of a number's last digit that is not zero, at most one: 0.0001 of 0.5060."""
    exponent = number.normalize().as_tuple().exponent
    return Decimal(1).scaleb(min(0, exponent)) if isinstance(exponent, int) else Decimal(1)
