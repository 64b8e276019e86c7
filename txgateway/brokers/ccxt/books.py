"""The books of one link: kept from what the streams bring, told now and then, made anew where something is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers import Report
from txgateway.brokers.ccxt.depth import Ladder, Step
from txgateway.brokers.ccxt.feeds import Feeds
from txgateway.brokers.ccxt.frames import moment
from txgateway.brokers.ccxt.public import Change, rows
from txgateway.brokers.ccxt.streams import Streams
from txgateway.model.errors import GatewayError
from txgateway.model.market import Depth

log = Logger()

TOLD = 20
"""Levels of a book that are told."""
PAUSE = 0.1
"""Seconds between two tellings of one book."""
RESYNC = (0.0, 0.1, 0.3, 1.0, 2.0)
"""Seconds until a book that lacks something is asked for again."""


@dataclass(slots=True)
class Book:
    """A pair's book, kept while it is followed; told if it is `deep`."""

    deep: bool = False
    ladder: Ladder = field(default_factory=Ladder)
    due: Any = None
    syncing: bool = False
    again: bool = False
    began: float = 0.0
    gaps: int = 0
    tries: int = 0


class Books:
    """`fetch` asks for a book of so many levels; `heard` is told of each that changed, and `go` lets something run."""

    def __init__(
        self,
        row: Feeds,
        venue: str,
        streams: Streams,
        fetch: Callable[[str, int], Awaitable[Any]],
        heard: Callable[[str, Ladder], None],
        go: Callable[[Coroutine[Any, Any, None], str], None],
        report: Report,
        reactor: Any,
        now: Callable[[], datetime],
    ) -> None:
        self._row, self._venue, self._streams = row, venue, streams
        self._fetch, self._heard, self._go, self._report = fetch, heard, go, report
        self._reactor, self._now = reactor, now
        self.kept: dict[str, Book] = {}

    def present(self, symbol: str, levels: int) -> Depth | None:
        """A book as it stands; None where it is not kept so deep, or not whole."""
        book = self.kept.get(symbol)
        if book is None or not book.ladder.synced or book.ladder.crossed or levels > TOLD:
            return None
        return book.ladder.depth(symbol, levels, self._now())

    def whole(self, symbol: str, found: Any) -> None:
        """All of a book, as ccxt read it."""
        book = self.kept.get(symbol)
        if book is not None:
            book.ladder.whole(rows(found["bids"]), rows(found["asks"]), time_of(found) or self._now(), 0)
            self._tell_later(symbol)

    def resync_all(self) -> None:
        """Each may lack something."""
        for symbol in list(self.kept):
            self.resync(symbol)

    def end(self) -> None:
        """The link is over: nothing more is told."""
        for book in self.kept.values():
            if book.due is not None and book.due.active():
                book.due.cancel()
        self.kept.clear()

    def open(self, symbol: str, deep: bool = False) -> None:
        """Keep a pair's book, and tell it if `deep`, the present one first."""
        book = self.kept.get(symbol)
        if book is not None:
            book.deep = book.deep or deep
            self._tell_later(symbol)
            return
        self.kept[symbol] = Book(deep=deep)
        self._streams.follow("book", symbol)
        if self._row.decode is None:
            self._go(self._first_book(symbol), f"the book of {symbol}")
        elif self._row.snapshot:
            self.sync(symbol)

    async def _first_book(self, symbol: str) -> None:
        """The present book of a pair whose stream ccxt reads, and tells changes of: unless one came meanwhile."""
        book = self.kept[symbol]
        found = await self._fetch(symbol, TOLD)
        if self.kept.get(symbol) is book and not book.ladder.synced:
            book.ladder.whole(rows(found["bids"]), rows(found["asks"]), time_of(found) or self._now(), 0)
            self._tell_later(symbol)

    def shallow(self, symbol: str) -> None:
        """Tell it no more."""
        if (book := self.kept.get(symbol)) is not None:
            book.deep = False

    def close(self, symbol: str) -> None:
        """Keep it no more."""
        book = self.kept.pop(symbol, None)
        if book is not None:
            if book.due is not None and book.due.active():
                book.due.cancel()
            self._streams.leave("book", symbol)

    def changed(self, symbol: str, change: Change) -> None:
        """A change came, of a book that is kept."""
        book = self.kept[symbol]
        step = book.ladder.take(change)
        if step is Step.CHANGED:
            self._heard(symbol, book.ladder)
            self._tell_later(symbol)
        elif step is Step.GAP:
            self.resync(symbol)

    def _tell_later(self, symbol: str) -> None:
        book = self.kept[symbol]
        if book.due is None or not book.due.active():
            book.due = self._reactor.callLater(PAUSE if book.tries == 0 and book.due else 0.0, self._tell_book, symbol)

    def _tell_book(self, symbol: str) -> None:
        book = self.kept.get(symbol)
        if book is None or not book.ladder.synced:
            return
        if book.ladder.crossed:
            self.resync(symbol)
            return
        book.tries = 0
        if book.deep:
            self._report(book.ladder.depth(symbol, TOLD, self._now()))

    def resync(self, symbol: str, subscribe: bool = True) -> None:
        """Something of a book is missing: it is nothing until it is whole again."""
        book = self.kept[symbol]
        book.gaps += 1
        if book.ladder.synced or not (self._row.snapshot and subscribe):
            book.ladder.reset()  # else what came since the gap waits for the snapshot
        wait = RESYNC[min(book.tries, len(RESYNC) - 1)]
        book.tries += 1
        if self._row.decode is None:
            return
        if self._row.snapshot:
            self.sync(symbol, wait)
        elif subscribe and not book.syncing:
            book.syncing = True
            self._go(self._subscribe_again(symbol, wait), f"the book of {symbol}")

    def sync(self, symbol: str, wait: float = 0.0) -> None:
        """Ask for a whole book."""
        book = self.kept[symbol]
        if book.syncing:
            book.again = True  # the one that is on its way may be from before
            return
        book.syncing = True
        self._go(self._snapshot(symbol, wait), f"the book of {symbol}")

    async def _snapshot(self, symbol: str, wait: float) -> None:
        """Ask for the whole book, until it joins what the stream brought."""
        book = self.kept[symbol]
        try:
            while self.kept.get(symbol) is book:
                await _sleep(self._reactor, wait)
                wait = RESYNC[min(book.tries, len(RESYNC) - 1)]
                try:
                    found = await self._fetch(symbol, self._row.most)
                except GatewayError as error:
                    log.info("{venue}: no book of {symbol}: {error}", venue=self._venue, symbol=symbol, error=error)
                    book.tries += 1
                    continue
                if self.kept.get(symbol) is not book:
                    return
                last = int(found.get("nonce") or found.get("timestamp") or 0)
                sides = rows(found["bids"]), rows(found["asks"])
                if book.ladder.whole(*sides, time_of(found) or self._now(), last) is Step.GAP:
                    book.tries += 1
                    continue
                self._tell_later(symbol)
                if not book.again:
                    return
                book.again, wait = False, 0.0
        finally:
            book.syncing = False

    async def _subscribe_again(self, symbol: str, wait: float) -> None:
        """Have the stream send its snapshot once more."""
        book = self.kept[symbol]
        try:
            await _sleep(self._reactor, wait)
            if self.kept.get(symbol) is book:
                await self._streams.again("book", symbol, lambda: self.kept.get(symbol) is book)
        finally:
            book.syncing = False


def time_of(found: Any) -> datetime | None:
    """The time that ccxt's object tells."""
    stamp = found.get("timestamp")
    return moment(stamp) if stamp else None


async def _sleep(reactor: Any, seconds: float) -> None:
    if seconds > 0:
        waited: Deferred[None] = Deferred()
        reactor.callLater(seconds, waited.callback, None)
        await waited
