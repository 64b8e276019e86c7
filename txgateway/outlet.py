"""The way out to one client. One that falls too far behind is told so and disconnected, and can resume."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from txgateway.audience import CHUNK, Audience, Dialect, Settings
from txgateway.lines import Options
from txgateway.resume import SLICE, Past, Replay

log = Logger()


class House(Past, Protocol):
    """What an outlet needs of the publisher."""

    settings: Settings
    outlets: set[Outlet]

    def audience(
        self, dialect: Dialect, channel: str, wanted: frozenset[str], accounts: tuple[str, ...] | None = None
    ) -> Audience:
        """All who want the same."""

    def left(self, audience: Audience) -> None:
        """An outlet has left an audience."""

    def forget(self, outlet: Outlet) -> None:
        """An outlet is gone."""


@implementer(IPushProducer)
class Outlet:
    """The way out to one client: answers to its commands, and its audience's news, in the order they come."""

    def __init__(self, publisher: House, transport: Any, dialect: Dialect, dropped: Callable[[str], None]) -> None:
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
