"""Who streams what. News is encoded once for all who asked for the same, and written once a reactor turn.

An `Audience` is all clients with the same channel and options, an `Outlet` the way out to one client; one that resumes
reads the journal first (`Replay`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger

from txgateway import bulletins, wire
from txgateway.audience import Audience, Dialect, Settings
from txgateway.bulletins import News
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.lines import Options, unknown_options
from txgateway.model.events import (
    Record,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.market import Depth, Quote, Trade
from txgateway.outlet import Outlet
from txgateway.resume import Holdings, news_of
from txgateway.state import Change

log = Logger()

READERS = 2
"""How many pages of the journal are read at a time."""
MINUTE = timedelta(minutes=1)


class Publisher:
    """Takes in the desk's changes and the feed's prices; tells every audience."""

    def __init__(
        self,
        gateway: Gateway,
        feed: Feed,
        flags: wire.Flags,
        reactor: Any,
        default_venue: str,
        accounts: Callable[[], list[str]],
        settings: Settings,
    ) -> None:
        self.gateway = gateway
        self.flags = flags
        self.reactor = reactor
        self.settings = settings
        self.outlets: set[Outlet] = set()
        self.seq = 0
        """The last record that was told."""
        self._feed = feed
        self._default = default_venue
        self._accounts = accounts
        self._audiences: dict[tuple[Dialect, str, frozenset[str], tuple[str, ...] | None], Audience] = {}
        self._wanted: frozenset[str] = frozenset()
        self._quoted: list[Audience] = []
        self._traded: list[Audience] = []
        self._deep: list[Audience] = []
        self._following = False
        self._words: dict[str, str] = {}
        self._minutes: dict[str, datetime] = {}
        self._holdings = Holdings({})
        self._first: tuple[int, Holdings] = (0, self._holdings)
        self._flushing = False
        self._clock: Any = None
        self._emptied: Deferred[None] | None = None
        self._turns: deque[Deferred[None]] = deque()
        self._readers = DeferredSemaphore(READERS)

    def start(self) -> None:
        """Listen. Call it when all that the state holds is on disk: before the gateway starts."""
        self.seq = self.gateway.state.seq
        held = [each for account in self.gateway.state.positions.values() for each in account.values()]
        self._holdings = Holdings({(each.account, each.symbol): each for each in held})
        self._first = (self.seq, self._holdings.copy())
        self.gateway.listeners.append(self._changed)
        self._feed.streams.append(self._priced)
        self._feed.books.append(self._depth)
        self._tick()

    async def stop(self) -> None:
        """Tell every client that the daemon ends, and disconnect; returns when all are gone."""
        if self._clock is None or not self._clock.active():
            return
        self._clock.cancel()
        self.gateway.listeners.remove(self._changed)
        self._feed.streams.remove(self._priced)
        self._feed.books.remove(self._depth)
        for venue in self.venues:
            self._publish(bulletins.news_of_connection(venue, "Shutdown"))
        self._flush()
        for outlet in tuple(self.outlets):
            outlet.close(outlet.dialect.ending)
        if self.outlets:
            self._emptied = Deferred()
            await self._emptied

    # clients

    @property
    def venues(self) -> list[str]:
        """The venues' names: the channels there are."""
        return list(self.gateway.intake.status)

    def checked(self, options: Options) -> tuple[Options, str]:
        """The options as far as they can be met (the rest is complained about), and the channel they mean."""
        complaints = list(options.complaints)
        resume, channel = options.resume, self._default
        if resume is not None and resume > self.seq:
            complaints.append(
                f"resume {resume} is beyond the journal's last record {self.seq}: you hear what happens now"
            )
            resume = None
        if options.venue in self.venues:
            channel = options.venue or channel
        elif options.venue is not None:
            known = ", ".join(self.venues)
            complaints.append(f"venue {options.venue!r} is unknown (there are {known}): you are on {channel}'s channel")
        unknown = unknown_options(options.wanted, bulletins.OPTIONS)
        if unknown:
            complaints.append(unknown)
        return replace(options, resume=resume, complaints=tuple(complaints)), channel

    def audience(
        self, dialect: Dialect, channel: str, wanted: frozenset[str], accounts: tuple[str, ...] | None = None
    ) -> Audience:
        """All who want the same."""
        wanted &= bulletins.OPTIONS
        if dialect.needs_ticker and not self.flags.ticker:
            wanted -= {"quotes", "trades"}
        key = (dialect, channel, wanted, accounts)
        found = self._audiences.get(key)
        if found is None:
            found = self._audiences[key] = Audience(dialect, channel, wanted, accounts)
            self._count()
        return found

    def left(self, audience: Audience) -> None:
        """An outlet has left: an audience of nobody is forgotten."""
        if not audience.members:
            self._audiences.pop((audience.dialect, audience.channel, audience.wanted, audience.accounts), None)
            self._count()

    def _count(self) -> None:
        audiences = list(self._audiences.values())
        self._wanted = frozenset().union(*(each.wanted for each in audiences))
        self._quoted = [each for each in audiences if each.part("quote")]
        self._traded = [each for each in audiences if each.part("trade")]
        self._deep = [each for each in audiences if each.part("depth")]
        if self._deep or self._following:
            self.reactor.callLater(0, self._follow)  # once who asked for it hears: the present book comes at once

    def _follow(self) -> None:
        self._following = bool(self._deep)
        self._feed.show_books(self._following)

    def forget(self, outlet: Outlet) -> None:
        """An outlet is gone."""
        self.outlets.discard(outlet)
        if self._emptied is not None and not self.outlets:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def turn(self) -> Deferred[None]:
        """Fires in one of the reactor's next turns: each of them is for one slice of work, whoever waits for one."""
        mine: Deferred[None] = Deferred()
        self._turns.append(mine)
        if len(self._turns) == 1:
            self.reactor.callLater(0, self._take_turn)
        return mine

    def _take_turn(self) -> None:
        mine = self._turns[0]
        mine.callback(None)
        self._turns.popleft()
        if self._turns:
            self.reactor.callLater(0, self._take_turn)

    async def page(
        self, after: int, limit: int, order_id: str | None = None, kinds: Sequence[str] = ()
    ) -> list[Record]:
        """Records of the journal; a few callers at a time, for reading them takes the reactor's time too."""

        def read() -> Deferred[Sequence[tuple[Record, str]]]:
            return Deferred.fromCoroutine(self.gateway.history.page(after, limit, order_id, kinds))

        return [record for record, _ in await self._readers.run(read)]

    def holdings_before(self, seq: int) -> tuple[int, Holdings]:
        """The nearest seq, not after this one, at which positions are known; and those."""
        at, holdings = self._first
        return (at, holdings.copy()) if at <= seq else (0, Holdings({}))

    # news

    def venue_error(self, event: VenueError) -> None:
        """A venue complains; who hears it at another's channel must know which."""
        text = event.text if event.venue == self._default else f"{event.venue}: {event.text}"
        self._publish(bulletins.news_of_error(event.key or str(event.code), text))

    def _changed(self, change: Change) -> None:
        """A record is on disk."""
        self.seq = change.record.seq
        event = change.record.event
        position = self._holdings.take(event)
        if not self._audiences and not isinstance(event, VenueStatusChanged):
            return
        for news in news_of(change, position, self.flags, self._wanted):
            self._publish(news)
        if isinstance(event, VenueStatusChanged):
            self._connection_changed(event)
        trouble = bulletins.news_of_trouble(event, change.order)
        if trouble is not None:
            self._publish(trouble)

    def _connection_changed(self, event: VenueStatusChanged) -> None:
        word = bulletins.connection_word(event.status, event.venue in self.gateway.intake.been_up)
        if word != self._words.get(event.venue):
            self._words[event.venue] = word
            self._publish(bulletins.news_of_connection(event.venue, word))
        if event.status is VenueStatus.UP:
            self._publish(bulletins.news_of_accounts(self._accounts()))

    def _publish(self, news: News, key: Hashable = None) -> None:
        if self.settings.log_messages:
            log.info("to clients: {news}", news=news)
        told: dict[tuple[Dialect, str, int], bytes] = {}
        for audience in self._audiences.values():
            part = audience.part(news.kind)
            if not part or (news.venue and news.venue != audience.channel):
                continue
            meant = news if audience.accounts is None else audience.meant(news)
            if meant is None:
                continue
            words = (audience.dialect, audience.channel, part)
            data = told.get(words) if meant is news else audience.dialect.news(audience.channel, meant, part)
            if data is None:
                data = told[words] = audience.dialect.news(audience.channel, news, part)
            if data and audience.tell(data, key):
                self._flush_later()

    def _flush_later(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.reactor.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        for audience in tuple(self._audiences.values()):
            audience.flush()

    # prices

    def _priced(self, venue: str, symbol: str, event: Quote | Trade) -> None:
        """The market shows something."""
        due = self._minutes.get(venue)
        if due is not None and event.time >= due + MINUTE:
            self._tell_minute(venue)
        if type(event) is Quote:
            if self._quoted:
                self._quote(venue, symbol, event)
        elif type(event) is Trade and self._traded:
            self._trade(venue, symbol, event)

    def _quote(self, venue: str, symbol: str, quote: Quote) -> None:
        told: dict[tuple[Dialect, str], bytes] = {}
        for audience in self._quoted:
            words = (audience.dialect, audience.channel)
            data = told.get(words)
            if data is None:
                name = symbol if venue == audience.channel else f"{symbol}@{venue}"
                data = told[words] = audience.dialect.quote(audience.channel, name, quote)
            if audience.tell(data, (venue, symbol)):
                self._flush_later()
        if self.settings.log_messages:
            log.info("to clients: {event}", event=quote)

    def _trade(self, venue: str, symbol: str, trade: Trade) -> None:
        volume = self._feed.volume(venue, symbol)
        told: dict[tuple[Dialect, str], bytes] = {}
        for audience in self._traded:
            words = (audience.dialect, audience.channel)
            data = told.get(words)
            if data is None:
                name = symbol if venue == audience.channel else f"{symbol}@{venue}"
                data = told[words] = audience.dialect.trade(audience.channel, name, trade, volume)
            if audience.tell(data, ("trade", venue, symbol)):
                self._flush_later()
        if self.settings.log_messages:
            log.info("to clients: {event}", event=trade)

    def _depth(self, venue: str, symbol: str, depth: Depth) -> None:
        """The market shows a book."""
        told: dict[tuple[Dialect, str], bytes] = {}
        for audience in self._deep:
            words = (audience.dialect, audience.channel)
            data = told.get(words)
            if data is None:
                name = symbol if venue == audience.channel else f"{symbol}@{venue}"
                data = told[words] = audience.dialect.depth(audience.channel, name, depth)
            if audience.tell(data, ("depth", venue, symbol)):
                self._flush_later()

    # the clock

    def _tick(self) -> None:
        self._clock = self.reactor.callLater(1.0, self._tick)
        for venue in self.venues:
            self._tell_minute(venue)

    def _tell_minute(self, venue: str) -> None:
        """Tell a venue's minute, when it is another."""
        minute = self._feed.now(venue).replace(second=0, microsecond=0)
        if minute != self._minutes.get(venue):
            self._minutes[venue] = minute
            self._publish(bulletins.news_of_time(venue, wire.local_time(minute, self.flags.zone)), ("time", venue))
