"""Bars of the past out of the replayed files, never later than the feed's clock. Reads files; no reactor, no clock.

Minutes come from bar files, else from trades; days from day-bar files, else from the minutes. Days are local ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from txgateway.brokers.paper.files import DayBar, Kind, Reader, Source
from txgateway.brokers.paper.periods import MINUTE, grouped, minutes
from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.market import Bar, Trade

MILLISECOND = timedelta(milliseconds=1)
KEPT = 8
"""So many files' minute bars are kept ready."""


class History:
    """The files' bars by symbol. Bars that had not ended at `now` are left out: the running ones are the feed's."""

    def __init__(self, sources: Sequence[Source], sessions: Sessions) -> None:
        self._sources = sources
        self._sessions = sessions
        self._days: dict[str, list[DayBar]] = {}
        self._kept: OrderedDict[Source, list[Bar]] = OrderedDict()

    def load(self) -> None:
        """Read the day-bar files, which are small."""
        for source in self._sources:
            if source.kind is Kind.DAYS:
                rows = {row.day: row for row in self._days.get(source.symbol, [])}
                rows.update({row.day: row for row in Reader(source.path, source.symbol, source.kind).days()})
                self._days[source.symbol] = [rows[day] for day in sorted(rows)]

    def close_before(self, symbol: str, day: date) -> Decimal | None:
        """The last close before a day, by the day bars."""
        closes = [row.close for row in self._days.get(symbol, []) if row.day < day]
        return closes[-1] if closes else None

    def minutes(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[Bar | None]:
        """Minute bars that start in [start, end); None now and then while reading takes time."""
        chosen = [
            each
            for each in self._sources
            if each.symbol == symbol and each.kind in (Kind.TRADES, Kind.BARS) and each.first < end
        ]
        found: dict[datetime, Bar] = {}
        for source in sorted(chosen, key=lambda each: (each.kind is Kind.BARS, each.first, each.path)):
            yield None
            length = max(source.step, MINUTE) - MILLISECOND
            for number, bar in enumerate(self._minutes_of(source)):
                if bar is None or number % 500 == 499:
                    yield None
                if bar is not None and start <= bar.time < end and bar.time + length <= now:
                    found[bar.time] = bar
        for moment in sorted(found):
            yield found[moment]

    def days(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[Bar | None]:
        """Day bars that start in [start, end), of days that had ended by now."""
        found: dict[datetime, Bar] = {}
        for row in self._days.get(symbol, []):
            midnight = self._sessions.midnight(row.day)
            if start <= midnight < end:
                found[midnight] = Bar(symbol, midnight, row.open, row.high, row.low, row.close, row.volume)
        single: list[Bar] = []
        for bar in self.minutes(symbol, start, end + timedelta(days=1), now):
            if bar is None:
                yield None
            else:
                single.append(bar)
        for bar in grouped(single, self._midnight_of):
            if start <= bar.time < end:
                found.setdefault(bar.time, bar)
        today = self._midnight_of(now)
        for moment in sorted(found):
            if moment < today:
                yield found[moment]

    def _midnight_of(self, moment: datetime) -> datetime:
        return self._sessions.midnight(self._sessions.day(moment))

    def _minutes_of(self, source: Source) -> Iterator[Bar | None]:
        """All minute bars of a file; None for each five hundred rows read."""
        kept = self._kept.get(source)
        if kept is not None:
            self._kept.move_to_end(source)
            yield from kept
            return
        bars: list[Bar] = []
        trades: list[Trade] = []
        for number, event in enumerate(Reader(source.path, source.symbol, source.kind).events(quiet=True), 1):
            if isinstance(event, Bar):
                bars.append(event)
            elif isinstance(event, Trade):
                if trades and trades[0].time.replace(second=0, microsecond=0) != event.time.replace(
                    second=0, microsecond=0
                ):
                    bars.extend(minutes(trades))
                    trades.clear()
                trades.append(event)
            if number % 500 == 0:
                yield None
        bars.extend(minutes(trades))
        self._kept[source] = bars
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        yield from bars


def shifted(bars: Iterator[Bar | None], shift: timedelta) -> Iterator[Bar | None]:
    """The bars, later."""
    return (bar and replace(bar, time=bar.time + shift) for bar in bars)
