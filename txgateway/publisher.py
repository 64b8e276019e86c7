"""Who streams what. News is encoded once for all who asked for the same, and written once a reactor turn.

An `Audience` is all clients with the same channel and options, an `Outlet` the way out to one client. While a client's
transport is full it only holds its position in what its audience was told; the audience keeps each line (and the
newest quote and trade of each instrument) for as long as someone is behind it, so slow clients cost nothing but that.
One that falls too far behind is told so and disconnected. A client that resumes reads the journal at its own pace
(`Replay`), and never counts as behind for that; its last step joins it to its audience at exactly the record it has
come to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from txgateway import lines, state, wire
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.lines import News, Options
from txgateway.model.account import Position
from txgateway.model.events import (
    ENTRIES,
    NOTES,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    Event,
    Executed,
    PositionReported,
    Record,
    TradingDayStarted,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.market import Quote, Trade
from txgateway.model.order import CLOSED, IllegalMove, Order
from txgateway.state import Change

log = Logger()

CHUNK = 64 * 1024
"""Bytes written at a time to a client that catches up: what a transport takes before it pauses its producer."""
READERS = 2
"""How many pages of the journal are read at a time."""
PAGE = 200
"""Records read from the journal at a time: a few milliseconds' work."""
SLICE = 0.004
"""Seconds of work before the reactor gets its turn."""
_OF_ORDERS = frozenset(
    f"{kind}-{part}" for kind in ("order", "ticket", "execution") for part in ("notification", "data")
)
_OF_POSITIONS = (Executed.__name__, PositionReported.__name__)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """What clients may cost, and what is logged of them.

    A client is disconnected when more than `lines` lines or `size` bytes wait for it, when it has not logged in after
    `login_seconds`, when it leaves half a message lying for `message_seconds`, when a WebSocket answers no ping for
    `ping_seconds`. `requests` is how many of a client's commands may be under way before the next is read. `clients` is
    the number of connections that a server takes. A connection that does not close is cut after `close_seconds`.
    """

    lines: int = 10_000
    size: int = 16 * 1024 * 1024
    clients: int = 1000
    requests: int = 256
    login_seconds: float = 30.0
    message_seconds: float = 60.0
    ping_seconds: float = 30.0
    close_seconds: float = 5.0
    log_messages: bool = False
    log_connections: bool = False


class Dialect(Protocol):
    """A way of telling: the stream's lines, or a WebSocket's JSON messages. Everything it gives is framed."""

    needs_ticker: bool
    """Whether quotes and trades are told only with the configuration's ticker flag."""
    ending: bytes
    """What ends a connection in order."""

    def part(self, kind: str, wanted: frozenset[str]) -> int:
        """What of a kind of news is told to clients with these options; 0 is nothing."""

    def news(self, channel: str, news: News, part: int) -> bytes:
        """That part of a piece of news."""

    def quote(self, channel: str, name: str, quote: Quote) -> bytes:
        """A quote."""

    def trade(self, channel: str, name: str, trade: Trade, volume: Decimal) -> bytes:
        """A trade, with the day's volume."""

    def frame(self, body: bytes) -> bytes:
        """A message as it is sent."""

    def frames(self, parts: Sequence[bytes]) -> list[bytes]:
        """A long message's parts as they are sent."""

    def farewell(self, text: str) -> bytes:
        """The last words to a client that is disconnected."""


class Audience:
    """All clients with the same channel and options: what they hear is put together once."""

    def __init__(
        self, dialect: Dialect, channel: str, wanted: frozenset[str], accounts: tuple[str, ...] | None = None
    ) -> None:
        self.dialect = dialect
        self.channel = channel
        self.wanted = wanted
        self.accounts = accounts
        """The accounts that its members are kept to; None: all."""
        self.members: set[Outlet] = set()
        """All outlets: the live ones, those behind, and those that read the journal."""
        self.live: dict[Outlet, None] = {}
        self.behind: dict[Outlet, None] = {}
        self.position = 0
        """How many pieces of news have been written, to all but those behind."""
        self._turn: list[bytes] = []
        self._keys: list[Hashable] = []
        self._kept: list[bytes] = []
        self._kept_at: list[int] = []
        self._kept_size: list[int] = [0]
        self._newest: dict[Hashable, tuple[int, bytes]] = {}
        self._parts: dict[str, int] = {}
        self._caught_up: tuple[tuple[int, int], tuple[bytes, int]] | None = None

    def part(self, kind: str) -> int:
        """What of a kind of news is told here."""
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = self.dialect.part(kind, self.wanted)
        return part

    def meant(self, news: News) -> News | None:
        """The news as this audience may hear it; None: it may not."""
        if self.accounts is None or news.account in (lines.EVERYONE, *self.accounts) or news.kind in lines.FOR_ALL:
            return news
        return lines.news_of_accounts(self.accounts) if news.kind == "accounts" else None

    def tell(self, data: bytes, key: Hashable = None) -> None:
        """Have this written at the end of the turn. With a key, those behind get the newest of that key only."""
        self._turn.append(data)
        self._keys.append(key)

    def flush(self) -> None:
        """Write what this turn brought."""
        turn, keys = self._turn, self._keys
        if not turn:
            return
        self._turn, self._keys = [], []
        if self.behind:
            self._keep(turn, keys)
        self.position += len(turn)
        if self.live:
            data = b"".join(turn) if len(turn) > 1 else turn[0]
            for outlet in tuple(self.live):
                outlet.write(data)
        if self.behind:
            self._watch()

    # those behind

    def _keep(self, turn: list[bytes], keys: list[Hashable]) -> None:
        newest = self._newest
        for position, (data, key) in enumerate(zip(turn, keys, strict=True), self.position + 1):
            if key is None:
                self._kept.append(data)
                self._kept_at.append(position)
                self._kept_size.append(self._kept_size[-1] + len(data))
            else:
                newest.pop(key, None)
                newest[key] = (position, data)

    def _watch(self) -> None:
        """Forget what nobody needs any more; tell those who are too far behind."""
        passed = bisect_right(self._kept_at, min(outlet.position for outlet in self.behind))
        if passed:
            del self._kept[:passed], self._kept_at[:passed], self._kept_size[:passed]
        for outlet in tuple(self.behind):
            at = bisect_right(self._kept_at, outlet.position)
            outlet.owes(len(self._kept) - at, self._kept_size[-1] - self._kept_size[at])

    def after(self, position: int) -> tuple[bytes, int]:
        """What was told after a position (a chunk of it), and the position that this leads to."""
        asked = (position, self.position)
        if self._caught_up is None or self._caught_up[0] != asked:
            self._caught_up = (asked, self._after(position))
        return self._caught_up[1]

    def _after(self, position: int) -> tuple[bytes, int]:
        start = bisect_right(self._kept_at, position)
        end = bisect_right(self._kept_size, self._kept_size[start] + CHUNK, start)
        end = min(end, len(self._kept))
        upto = self._kept_at[end] - 1 if end < len(self._kept) else self.position
        told = list(zip(self._kept_at[start:end], self._kept[start:end], strict=True))
        for at, data in reversed(self._newest.values()):
            if at <= position:
                break
            if at <= upto:
                told.append((at, data))
        told.sort()
        return b"".join(data for _, data in told), upto

    # coming and going

    def join(self, outlet: Outlet, live: bool) -> None:
        """Tell an outlet what happens from now on; `live` false: keep it, until the outlet takes it."""
        self.flush()
        outlet.position = self.position
        (self.live if live else self.behind)[outlet] = None

    def hold(self, outlet: Outlet) -> None:
        """A live outlet is full: keep what it has not got."""
        if outlet in self.live:
            del self.live[outlet]
            outlet.position = self.position
            self.behind[outlet] = None

    def go_live(self, outlet: Outlet) -> None:
        """An outlet has caught up."""
        self._drop(outlet)
        self.live[outlet] = None

    def leave(self, outlet: Outlet) -> None:
        """An outlet does not listen any more."""
        self.live.pop(outlet, None)
        self._drop(outlet)

    def _drop(self, outlet: Outlet) -> None:
        self.behind.pop(outlet, None)
        if not self.behind:
            self._kept, self._kept_at, self._kept_size = [], [], [0]
            self._newest = {}
            self._caught_up = None


@implementer(IPushProducer)
class Outlet:
    """The way out to one client: answers to its commands, and its audience's news, in the order they come."""

    def __init__(self, publisher: Publisher, transport: Any, dialect: Dialect, dropped: Callable[[str], None]) -> None:
        self.dialect = dialect
        self.write: Callable[[bytes], None] = transport.write
        self.position = 0
        self.options = Options()
        self.channel = ""
        self.closed = False
        self.paused = False
        self._publisher = publisher
        self._transport = transport
        self._dropped = dropped
        self._audience: Audience | None = None
        self._replay: Replay | None = None
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._owed = [0, 0]
        self._midway = False
        self._ready: Deferred[None] | None = None
        self._cut: Any = None

    def open(self) -> None:
        """Watch how full the transport is."""
        self._publisher.outlets.add(self)
        self._transport.registerProducer(self, True)

    # news

    def listen(self, options: Options, channel: str, accounts: tuple[str, ...] | None = None) -> None:
        """Hear an audience's news from now on or, with `resume`, all since then first. Ends what was heard before.

        Who is kept to some accounts hears nothing of others, now and in what is resumed.
        """
        self._leave()
        self.options, self.channel = options, channel
        self._audience = self._publisher.audience(self.dialect, channel, options.wanted, accounts)
        self._audience.members.add(self)
        if options.resume is None or options.resume >= self._publisher.seq:
            self._audience.join(self, live=not self.paused)
        else:
            self._replay = Replay(self._publisher, self, self._audience, options.resume)
            self._replay.start()

    def replayed(self) -> None:
        """The journal has been read up to where the audience was joined: go on from there."""
        self._replay = None
        self._pump()

    def owes(self, count: int, size: int) -> None:
        """How much the audience keeps for this outlet: too much ends the connection (or is left to the journal)."""
        settings = self._publisher.settings
        if self._replay is not None:
            if count > settings.lines // 4 or size > settings.size // 4:
                self._replay.unpin()
        elif count > settings.lines or size > settings.size:
            self._too_slow(count, size)

    # answers

    def say(self, body: bytes) -> None:
        """Send a message."""
        self._put(self.dialect.frame(body), True)

    async def say_long(self, before: bytes, pieces: Iterable[bytes], after: bytes) -> None:
        """Send a long message, made in slices, at the client's own pace."""
        chunks: list[bytes] = []
        part, size = [before], 0
        seconds = self._publisher.reactor.seconds
        await self._publisher.turn()
        until = seconds() + SLICE
        for piece in pieces:
            part.append(piece)
            size += len(piece)
            if size >= CHUNK:
                chunks.append(b"".join(part))
                part, size = [], 0
            if seconds() > until:
                await self._publisher.turn()
                if self.closed:
                    return
                until = seconds() + SLICE
        chunks.append(b"".join([*part, after]))
        *parts, last = self.dialect.frames(chunks)
        for each in parts:
            self._put(each, False)
        self._put(last, True)

    def _put(self, data: bytes, ends: bool) -> None:
        """Write, or have wait, a message's bytes; `ends`: the message is whole with them."""
        if self.closed:
            return
        if not self.paused and not self._waiting:
            self._midway = not ends
            self.write(data)
            return
        self._waiting.append((data, ends))
        if ends:
            self._owed[0] += 1
            self._owed[1] += len(data)
            settings = self._publisher.settings
            if self._owed[0] > settings.lines or self._owed[1] > settings.size:
                self._too_slow(*self._owed)

    def _pump(self) -> None:
        """Write what waits until the transport is full: answers, what was asked of the journal, the audience's news."""
        while not (self.paused or self.closed):
            if self._waiting:
                data, ends = self._waiting.popleft()
                if ends:
                    self._owed[0] -= 1
                    self._owed[1] -= len(data)
                self._midway = not ends
                self.write(data)
            elif self._ready is not None:
                self._fire()
            elif self._replay is None and self._audience is not None and self in self._audience.behind:
                data, self.position = self._audience.after(self.position)
                if data:
                    self.write(data)
                else:
                    self._audience.go_live(self)
            else:
                return

    async def ready(self) -> None:
        """Wait until the transport takes more, and nothing else waits for it; or until it is closed."""
        while (self.paused or self._waiting) and not self.closed:
            self._ready = Deferred()
            await self._ready

    def _fire(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.callback(None)

    # the transport

    def pauseProducing(self) -> None:
        """The transport is full."""
        self.paused = True
        if self._audience is not None:
            self._audience.hold(self)

    def resumeProducing(self) -> None:
        """The transport has been emptied."""
        self.paused = False
        self._pump()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.paused = True

    # the end

    def _too_slow(self, count: int, size: int) -> None:
        self.drop(f"you read too slowly: {count} lines ({size} bytes) wait for you; connect again, and resume")

    def drop(self, why: str) -> None:
        """Say why, where that can be said, and disconnect."""
        if not self.closed:
            self._dropped(why)
            if not self._midway:
                self.write(self.dialect.farewell(why))
            self._waiting.clear()
            self.close()

    def close(self, ending: bytes = b"") -> None:
        """Send what waits, and the ending, and disconnect; a connection that does not let us is cut."""
        if self.closed:
            return
        for data, _ in self._waiting:
            self.write(data)
        self.write(ending)
        self._end()
        self._transport.unregisterProducer()
        self._transport.loseConnection()
        settings = self._publisher.settings
        self._cut = self._publisher.reactor.callLater(settings.close_seconds, self._transport.abortConnection)

    def gone(self) -> None:
        """The connection is lost."""
        self._end()
        self._publisher.forget(self)
        if self._cut is not None and self._cut.active():
            self._cut.cancel()

    def _end(self) -> None:
        self.closed = True
        self._leave()
        self._waiting.clear()
        self._fire()

    def _leave(self) -> None:
        if self._replay is not None:
            self._replay.stop()
            self._replay = None
        if self._audience is not None:
            self._audience.leave(self)
            self._audience.members.discard(self)
            self._publisher.left(self._audience)
            self._audience = None


class Holdings:
    """Positions, as the records told so far add them up."""

    def __init__(self, held: Mapping[tuple[str, str], Position]) -> None:
        self._held = dict(held)

    def copy(self) -> Holdings:
        """The positions as they are now, unmoved by what comes."""
        return Holdings(self._held)

    def take(self, event: Event) -> Position | None:
        """The position after an event that changes one."""
        if isinstance(event, Executed):
            fill = event.execution
            before = self._held.get((fill.account, fill.symbol))
            before = before or Position(fill.venue, fill.account, fill.symbol, Decimal(0))
            after = before.after(fill.signed_quantity, fill.price)
        elif isinstance(event, PositionReported):
            after = Position(event.venue, event.account, event.symbol, event.quantity, event.average_price)
        else:
            return None
        self._held[after.account, after.symbol] = after
        return after


class Replay:
    """The journal's records after a seq, told to one outlet at its own pace, until it has come to what happens now."""

    def __init__(self, publisher: Publisher, outlet: Outlet, audience: Audience, after: int) -> None:
        self._publisher = publisher
        self._outlet = outlet
        self._audience = audience
        self._seq = after
        self._until: int | None = None
        self._stopped = False
        self._orders: dict[str, Order] = {}
        self._days: dict[str, date] = {}
        self._holdings: Holdings | None = None

    def start(self) -> None:
        """Read and tell; the outlet is told when it has come to the end."""
        Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    def stop(self) -> None:
        """The outlet does not want it any more."""
        self._stopped = True

    def _is_stopped(self) -> bool:
        return self._stopped

    def unpin(self) -> None:
        """The outlet takes too long for its last step: the audience need not keep what comes meanwhile."""
        self._until = None
        self._audience.leave(self._outlet)

    def _failed(self, failure: Any) -> None:
        log.failure("A client could not be resumed.", failure)
        self._outlet.drop("the journal could not be read: connect again, and resume")

    async def _run(self) -> None:
        await self._prepare()
        while not self._is_stopped():
            await self._outlet.ready()
            if self._is_stopped():
                return
            newest = self._publisher.seq
            if self._until is None and newest - self._seq <= PAGE:
                self._until = newest
                self._audience.join(self._outlet, live=False)
            if self._seq == self._until:
                self._outlet.replayed()
                return
            page = await self._publisher.page(self._seq, PAGE)
            last = newest if self._until is None else self._until
            await self._tell([record for record in page if record.seq <= last])

    async def _prepare(self) -> None:
        """What the first record is told by: each venue's trading day, and positions, just before it."""
        async for record in self._records(0, (TradingDayStarted.__name__,)):
            if isinstance(record.event, TradingDayStarted):
                self._days[record.event.venue] = record.event.day
        if "position-data" in self._audience.wanted:
            seq, holdings = self._publisher.holdings_before(self._seq)
            async for record in self._records(seq, _OF_POSITIONS):
                holdings.take(record.event)
            self._holdings = holdings

    async def _records(self, after: int, kinds: tuple[str, ...]) -> AsyncIterator[Record]:
        """The records of some kinds up to the first that is told."""
        while not self._is_stopped():
            page = await self._publisher.page(after, PAGE, None, kinds)
            for record in page:
                if record.seq > self._seq:
                    return
                yield record
            if not page:
                return
            after = page[-1].seq
            await self._publisher.turn()

    async def _tell(self, records: list[Record]) -> None:
        """Write a page, some milliseconds' work at a time."""
        seconds = self._publisher.reactor.seconds
        await self._publisher.turn()
        until, told, size = seconds() + SLICE, [], 0
        for record in records:
            data = self._rendered(await self._change(record))
            if self._is_stopped():
                return
            told.append(data)
            size += len(data)
            self._seq = record.seq
            if size >= CHUNK or seconds() > until or record is records[-1]:
                await self._outlet.ready()
                if self._is_stopped():
                    return
                self._outlet.write(b"".join(told))
                if record is not records[-1]:
                    await self._publisher.turn()
                until, told, size = seconds() + SLICE, [], 0

    def _rendered(self, change: Change) -> bytes:
        audience = self._audience
        position = self._holdings.take(change.record.event) if self._holdings is not None else None
        told = b""
        for news in news_of(change, position, self._publisher.flags, audience.wanted):
            part = audience.part(news.kind)
            if part and audience.meant(news) is not None:
                told += audience.dialect.news(audience.channel, news, part)
        return told

    async def _change(self, record: Record) -> Change:
        """What a record did, as it was told when it was written."""
        event = record.event
        if isinstance(event, TradingDayStarted):
            self._days[event.venue] = event.day
        order_id = getattr(event, "order_id", "")
        if not order_id or isinstance(event, NOTES) or not self._audience.wanted & _OF_ORDERS:
            order = None
        elif isinstance(event, ENTRIES):
            order = state.advance(None, record)
        else:
            before = self._orders.pop(order_id, None) or await self._order_before(order_id, record.seq)
            order = _advanced(before, record)
        if order is not None and order.status not in CLOSED:
            self._orders[order_id] = order
        execution = None
        if isinstance(event, Executed):
            fill = event.execution
            execution = state.enriched(fill, order, record.seq, self._days.get(fill.venue))
        return Change(record, order, execution)

    async def _order_before(self, order_id: str, seq: int) -> Order | None:
        order: Order | None = None
        for record in await self._publisher.page(0, -1, order_id):
            if record.seq < seq and (order is not None or isinstance(record.event, ENTRIES)):
                order = _advanced(order, record)
        return order


def _advanced(order: Order | None, record: Record) -> Order | None:
    """The order after a record; None where the desk knew no order of that day, or none that could take it."""
    if order is None and not isinstance(record.event, ENTRIES):
        return None
    try:
        return state.advance(order, record)
    except IllegalMove:
        return None


def news_of(change: Change, position: Position | None, flags: wire.Flags, wanted: frozenset[str]) -> Iterator[News]:
    """What a record tells those who ask for it, live and resumed alike; what nobody wants is not encoded."""
    if change.order is not None:
        yield lines.news_of_order(change.order, wanted)
    if change.execution is not None:
        yield lines.news_of_execution(change.execution, flags, wanted)
    if position is not None and "position-data" in wanted:
        yield lines.news_of_position(position, change.record.seq)
    event = change.record.event
    if isinstance(event, DifferenceFound | DifferenceRaised | DifferenceResolved):
        yield lines.news_of_difference(event, change.record)
    elif isinstance(event, lines.StatusEvent):
        yield lines.news_of_status(event, change.record, change.order)


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
        self._tick()

    async def stop(self) -> None:
        """Tell every client that the daemon ends, and disconnect; returns when all are gone."""
        if self._clock is None or not self._clock.active():
            return
        self._clock.cancel()
        self.gateway.listeners.remove(self._changed)
        self._feed.streams.remove(self._priced)
        for venue in self.venues:
            self._publish(lines.news_of_connection(venue, "Shutdown"))
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
        return replace(options, resume=resume, complaints=tuple(complaints)), channel

    def audience(
        self, dialect: Dialect, channel: str, wanted: frozenset[str], accounts: tuple[str, ...] | None = None
    ) -> Audience:
        """All who want the same."""
        wanted &= lines.OPTIONS
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
            return Deferred.fromCoroutine(self.gateway.journal_page(after, limit, order_id, kinds))

        return [record for record, _ in await self._readers.run(read)]

    def holdings_before(self, seq: int) -> tuple[int, Holdings]:
        """The nearest seq, not after this one, at which positions are known; and those."""
        at, holdings = self._first
        return (at, holdings.copy()) if at <= seq else (0, Holdings({}))

    # news

    def venue_error(self, event: VenueError) -> None:
        """A venue complains."""
        self._publish(lines.news_of_error(event.key or str(event.code), event.text))

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
        trouble = lines.news_of_trouble(event, change.order)
        if trouble is not None:
            self._publish(trouble)

    def _connection_changed(self, event: VenueStatusChanged) -> None:
        word = lines.connection_word(event.status, event.venue in self.gateway.intake.been_up)
        if word != self._words.get(event.venue):
            self._words[event.venue] = word
            self._publish(lines.news_of_connection(event.venue, word))
        if event.status is VenueStatus.UP:
            self._publish(lines.news_of_accounts(self._accounts()))

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
            if data:
                audience.tell(data, key)
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
            audience.tell(data, (venue, symbol))
        self._market_told(quote)

    def _trade(self, venue: str, symbol: str, trade: Trade) -> None:
        volume = self._feed.volume(venue, symbol)
        told: dict[tuple[Dialect, str], bytes] = {}
        for audience in self._traded:
            words = (audience.dialect, audience.channel)
            data = told.get(words)
            if data is None:
                name = symbol if venue == audience.channel else f"{symbol}@{venue}"
                data = told[words] = audience.dialect.trade(audience.channel, name, trade, volume)
            audience.tell(data, ("trade", venue, symbol))
        self._market_told(trade)

    def _market_told(self, event: Quote | Trade) -> None:
        if self.settings.log_messages:
            log.info("to clients: {event}", event=event)
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
            self._publish(lines.news_of_time(venue, wire.local_time(minute, self.flags.zone)), ("time", venue))
