"""Files merged into one stream in the order of time: quotes before trades of the same moment, then by file.

A bar of a symbol without trades is shown as one trade, at its close and for its volume, in its last millisecond.
Looped, the files come again and again, each time later by whole weeks, so that the clock never runs back and weekdays
stay weekdays. No reactor, no clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from txgateway.brokers.paper.files import Kind, Reader, Seen, Source
from txgateway.model.market import Bar, Quote, Trade

WEEK = timedelta(weeks=1)
MILLISECOND = timedelta(milliseconds=1)
Event = Quote | Trade


class Stream:
    """The events of the files, one after the other. Only files that have begun and not ended are open."""

    def __init__(self, sources: Sequence[Source], loop: bool = False) -> None:
        traded = {source.symbol for source in sources if source.kind is Kind.TRADES}
        self._sources = sorted(
            (each for each in sources if _is_streamed(each, traded)), key=lambda each: (each.first, each.path)
        )
        if not self._sources:
            raise ValueError("There is nothing to stream in the files to replay: add quotes, trades or bars.")
        self._loop = loop
        self.round = 0
        self._length: timedelta | None = None
        self._events = self._merged()
        first = next(self._events, None)
        if first is None:
            raise ValueError("There is no good row in the files to replay: see the log for what is wrong with them.")
        self._next: Event | None = first
        self.first = self._last = first.time

    @property
    def next_time(self) -> datetime | None:
        """When the next event is; None after the last."""
        return self._next.time if self._next else None

    def take(self, until: datetime, most: int) -> list[Event]:
        """The next events up to and with `until`: about `most`, but never only some of those of one moment."""
        events: list[Event] = []
        while self._next is not None and self._next.time <= until:
            if len(events) >= most and self._next.time != events[-1].time:
                break
            events.append(self._next)
            self._advance()
        return events

    def shifts(self, start: datetime, end: datetime) -> list[timedelta]:
        """By how much the files' times were shifted in each round so far that may touch [start, end)."""
        if self._length is None:
            return [timedelta(0)]
        first = max(0, (start - self.first) // self._length - 1)
        last = min(self.round, (end - self.first) // self._length)
        return [number * self._length for number in range(first, last + 1)]

    def close(self) -> None:
        """Close the files."""
        self._events = iter(())
        self._next = None

    def _advance(self) -> None:
        event = next(self._events, None)
        if event is None and self._loop:
            if self._length is None:
                self._length = ((self._last - self.first) // WEEK + 1) * WEEK
            self.round += 1
            self._events = self._merged()
            event = next(self._events, None)
        if event is not None:
            self._last = event.time
        self._next = event

    def _merged(self) -> Iterator[Event]:
        """One round: a file is opened once the stream has come to its first row."""
        waiting = list(enumerate(self._sources))
        heads: list[tuple[datetime, int, int, Event, Iterator[Event]]] = []
        shift = self.round * self._length if self._length else timedelta(0)
        while waiting or heads:
            while waiting and (not heads or waiting[0][1].first + shift <= heads[0][0]):
                number, source = waiting.pop(0)
                events = _shifted(_read(source, quiet=self.round > 0), shift)
                event = next(events, None)
                if event is not None:
                    heapq.heappush(heads, (event.time, _rank(event), number, event, events))
            if heads:
                _, rank, number, event, events = heads[0]
                yield event
                following = next(events, None)
                if following is None:
                    heapq.heappop(heads)
                else:
                    heapq.heapreplace(heads, (following.time, rank, number, following, events))


def _is_streamed(source: Source, traded: set[str]) -> bool:
    return source.kind is not Kind.DAYS and not (source.kind is Kind.BARS and source.symbol in traded)


def _read(source: Source, quiet: bool) -> Iterator[Event]:
    for seen in Reader(source.path, source.symbol, source.kind).events(quiet):
        yield _as_trade(seen, source.step) if isinstance(seen, Bar) else seen


def _shifted(events: Iterator[Event], shift: timedelta) -> Iterator[Event]:
    return (replace(event, time=event.time + shift) for event in events) if shift else events


def _as_trade(bar: Bar, step: timedelta) -> Trade:
    return Trade(bar.symbol, bar.close, bar.volume, bar.time + step - MILLISECOND)


def _rank(event: Seen) -> int:
    return 0 if isinstance(event, Quote) else 1
