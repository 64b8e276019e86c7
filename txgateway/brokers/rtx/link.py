"""The socket: connected, kept connected with back-off, given up when it is silent.

What is known of a link ends with it. `Ears` hear of its life; a link that is over tells nothing more.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from typing import Protocol as Contract

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from txgateway.brokers.rtx.pool import Pool
from txgateway.brokers.rtx.protocol import Decoder, Garbled, System, WireError
from txgateway.brokers.rtx.throttle import Throttle

log = Logger()

BACK_OFF = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until the next attempt to connect; after a link that could be asked they begin anew."""
CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 3.0
"""How long a link may take to close in good order: what is still to be written by then is given up."""
FIRST_WORD_SECONDS = 5.0
"""How long the gateway may take to say that it is there, once it is connected to."""


class Ears(Contract):
    """Who is told of the link."""

    def started(self, pool: Pool) -> None:
        """The gateway is there: it may be asked."""

    def broken(self, text: str) -> None:
        """The link is gone, and will be made anew."""

    def complain(self, text: str) -> None:
        """Something is wrong, and goes on."""


class _Wire(Protocol):
    """One TCP connection."""

    transport: Any

    def __init__(self, link: Link) -> None:
        self._link = link
        self._decoder = Decoder()

    def connectionMade(self) -> None:
        self._link.made(self)

    def dataReceived(self, data: bytes) -> None:
        self._link.received(self, data, self._decoder)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link.gone(self, reason.getErrorMessage())

    def write(self, data: bytes) -> None:
        """Send bytes. On uvloop a connection that was reset a moment ago raises, before it is told to be lost."""
        try:
            self.transport.write(data)
        except RuntimeError as error:
            self._link.broke(self, str(error))

    def close(self) -> None:
        """In good order."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """At once."""
        with suppress(RuntimeError):
            self.transport.abortConnection()


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, addr: Any) -> Protocol:
        return _Wire(self._link)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._link.failed(self, reason.getErrorMessage())


class Link:
    """Keeps one connection to rtgw, from `start` to `stop`."""

    def __init__(self, reactor: Any, where: tuple[str, int], venue: str, rate: int, silence: float, ears: Ears) -> None:
        self._reactor = reactor
        self._where = where
        self._venue = venue
        self._rate = rate
        self._silence = silence
        self._ears = ears
        self._wire: _Wire | None = None
        self._factory: _Factory | None = None
        self._connector: Any = None
        self._throttle: Throttle | None = None
        self._pool: Pool | None = None
        self._again: Any = None
        self._tries = 0
        self._heard = 0.0
        self._watch: Any = None
        self._closing: dict[_Wire, tuple[Deferred[None], Any]] = {}

    # life

    def start(self) -> None:
        """Connect."""
        self._tries = 0
        self._connect()

    def stop(self, text: str) -> Deferred[None] | None:
        """Close, and connect no more; fires when the socket is closed."""
        for timer in (self._again, self._watch):
            if timer is not None and timer.active():
                timer.cancel()
        self._again = self._watch = None
        wire, self._wire, self._factory = self._wire, None, None
        self._forget(text)
        if wire is None:
            if self._connector is not None and self._connector.state == "connecting":
                self._connector.stopConnecting()
            return None
        closed: Deferred[None] = Deferred()
        self._closing[wire] = (closed, self._reactor.callLater(CLOSE_SECONDS, wire.abort))
        wire.close()
        return closed

    def good(self) -> None:
        """What the start asks is answered: it was worth the attempts."""
        self._tries = 0

    def drop(self, text: str) -> None:
        """Give the link up, and make it anew."""
        wire = self._wire
        if wire is not None:
            self._over(text)
            wire.abort()

    def broke(self, wire: _Wire, text: str) -> None:
        """It cannot be written to any more: what was to be written may have arrived or not."""

        def give_up() -> None:
            if wire is self._wire:
                self.drop(f"it cannot be written to ({text})")

        self._reactor.callLater(0, give_up)

    def _connect(self) -> None:
        self._again = None
        self._factory = _Factory(self)
        self._connector = self._reactor.connectTCP(*self._where, self._factory, timeout=CONNECT_SECONDS)

    def _later(self, text: str) -> None:
        wait = BACK_OFF[min(self._tries, len(BACK_OFF) - 1)]
        self._tries += 1
        host, port = self._where
        self._ears.complain(f"rtgw at {host}:{port}: {text.rstrip('.')}; the next attempt is in {wait:g} s")
        self._again = self._reactor.callLater(wait, self._connect)

    def failed(self, factory: _Factory, text: str) -> None:
        """No connection came about."""
        if factory is self._factory:
            self._later(text)

    def made(self, wire: _Wire) -> None:
        """A connection is there; nothing may be said before the gateway has."""
        if self._factory is None:
            wire.abort()
            return
        self._wire = wire
        self._heard = self._reactor.seconds()
        self._throttle = Throttle(self._reactor, self._rate, wire.write)
        self._pool = None
        self._watch = self._reactor.callLater(1.0, self._look, self._heard + 1.0)

    def received(self, wire: _Wire, data: bytes, decoder: Decoder) -> None:
        """Bytes came."""
        if wire is not self._wire:
            return
        self._heard = self._reactor.seconds()
        try:
            messages = decoder.receive(data)
        except WireError as error:
            self.drop(str(error))
            return
        for message in messages:
            if wire is not self._wire:
                return
            try:
                if isinstance(message, System):
                    self._system(message)
                elif isinstance(message, Garbled):
                    self._ears.complain(f"a line that cannot be understood: {message.text!r}")
                elif self._pool is not None:
                    self._pool.receive(message)
            except Exception:
                log.failure("A message of {venue} could not be taken in: {message}", venue=self._venue, message=message)

    def _system(self, message: System) -> None:
        if message.msg == "startup" and self._pool is None and self._throttle is not None:
            self._pool = Pool(self._throttle.send, self._venue)
            self._ears.started(self._pool)
        else:
            self._ears.complain(f"the gateway says {message.msg}: {message.item}")

    def gone(self, wire: _Wire, text: str) -> None:
        """The connection is closed, from either side."""
        if wire in self._closing:
            closed, late = self._closing.pop(wire)
            if late.active():
                late.cancel()
            closed.callback(None)
        if wire is self._wire:
            self._over(text)

    def _over(self, text: str) -> None:
        self._wire = None
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._forget(text)
        self._ears.broken(text)
        if self._factory is not None:
            self._later(text)

    def _forget(self, text: str) -> None:
        pool, self._pool = self._pool, None
        if self._throttle is not None:
            self._throttle.close()
            self._throttle = None
        if pool is not None:
            pool.lose(f"the link is gone ({text})")

    # silence

    def _look(self, due: float) -> None:
        """Each second: a link over which nothing has come for long is dead, however connected it looks.

        A reactor that stood still has heard nothing either: it looks again before it judges.
        """
        now = self._reactor.seconds()
        late = now - due > 2.0
        limit = self._silence if self._pool is not None else min(self._silence, FIRST_WORD_SECONDS)
        if not late and now - self._heard > limit:
            self.drop(f"nothing was heard for {limit:g} s")
            return
        if late:
            self._heard = now
        self._watch = self._reactor.callLater(1.0, self._look, now + 1.0)
