"""A connection to the stream that comes back: reconnects with back-off, logs in, and notices silence.

What it hears goes to a `Listener`; what is a line's meaning beyond the login is not its business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from .channels import ConnectionState
from .lines import Deframer, FrameError, frame

PROBE_WAIT = 15.0
"""Seconds for an answer to `status` after a silence; then the link is taken for dead."""

CLOSE_WAIT = 2.0
"""Seconds for a link to close in order."""

logger = logging.getLogger("txgateway_monitor")


class Listener(Protocol):
    """What a connection tells, and asks."""

    def changed(self, state: ConnectionState) -> None:
        """The connection is in another state."""

    def login(self) -> str:
        """The line to log in with."""

    def heard(self, line: str) -> None:
        """The server sent a line."""

    def refused(self) -> None:
        """The server does not take this login; the connection will not try again."""


class Stream(TwistedProtocol):
    """One link, from its first byte to its last."""

    def __init__(self, connection: Connection) -> None:
        """Not connected yet."""
        self._connection = connection
        self._deframer = Deframer()
        self._watchdog: DelayedCall | None = None
        self._probing = False
        self._unanswered_probes = 0
        self.authorized = False
        self.closing = False

    @property
    def _link(self) -> Any:
        """The transport: a TCP link."""
        return self.transport

    def connectionMade(self) -> None:
        """The server speaks first."""
        self._link.setTcpKeepAlive(True)
        self._watch(self._connection.silence)
        self._connection.made(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what is whole to the listener."""
        self._probing = False
        self._watch(self._connection.silence)
        try:
            for line in self._deframer.receive(data):
                if self.closing:
                    return
                self._received(line)
        except FrameError as error:
            logger.error("the gateway's stream cannot be read, connecting anew: %s", error)
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The link is gone."""
        self._watch(0)
        self._connection.lost(reason)

    def send(self, line: str) -> None:
        """Send a line. The login goes this way too: no line is logged."""
        self._link.write(frame(line))

    def close(self) -> None:
        """Send what is to be sent, then close; a peer that does not let us is cut off."""
        if not self.closing:
            self.closing = True
            self._link.loseConnection()
            self._watch(CLOSE_WAIT)

    def abort(self) -> None:
        """Cut the link."""
        self.closing = True
        self._link.abortConnection()

    def _received(self, line: str) -> None:
        """Log in when asked to, leave out the answers to our own probes, pass on the rest."""
        logger.debug("RX: %s", line)
        start = line[:32].lower()
        if self._unanswered_probes and start.startswith(".status"):
            self._unanswered_probes -= 1
            return
        if start.startswith(".authorized"):
            self.authorized = True
            self._connection.authorized()
        self._connection.listener.heard(line)
        if self.closing:
            return
        if start.startswith(".connected"):
            self.send(self._connection.listener.login())
        elif start.startswith(".authorization required") and not self.authorized:
            self._connection.refused()

    def _watch(self, seconds: float) -> None:
        """Start the watchdog, or stop it with 0."""
        if self._watchdog is not None and self._watchdog.active():
            if seconds:
                self._watchdog.reset(seconds)
                return
            self._watchdog.cancel()
        self._watchdog = self._connection.reactor.callLater(seconds, self._silent) if seconds else None

    def _silent(self) -> None:
        """Nothing was heard: ask for the status, and give the link up when that is not answered either."""
        if self.authorized and not self._probing and not self.closing:
            self._probing = True
            self._unanswered_probes += 1
            self.send("status")
            self._watch(PROBE_WAIT)
        else:
            if not self.closing:
                logger.warning("the gateway has gone silent, connecting anew")
            self.abort()


class _StreamFactory(Factory[Stream]):
    """Makes the links of one connection, quietly."""

    noisy = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> Stream:
        return Stream(self._connection)


class Connection:
    """The links, one after the other, for as long as they are wanted."""

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        listener: Listener,
        silence: float,
        retry: Callable[[int], float],
        secured: Callable[[Any], Any] = lambda endpoint: endpoint,
    ) -> None:
        """Nothing is connected yet. retry: how many seconds to wait after so many failures; secured: TLS around it."""
        self.reactor = reactor
        self.listener = listener
        self.silence = silence
        self.state = ConnectionState.INITIALIZING
        self.stream: Stream | None = None
        self._endpoint: Any = secured(HostnameEndpoint(reactor, host, port))
        self._retry = retry
        self._wanted = False
        self._failures = 0
        self._attempt: Deferred[Stream] | None = None
        self._waiting: DelayedCall | None = None
        self._closed: list[Deferred[None]] = []

    def open(self) -> None:
        """Connect, and again whenever the link is lost, until `close`."""
        self._wanted = True
        if self.stream is None and self._attempt is None and self._waiting is None:
            self._become(ConnectionState.CONNECTING)
            self._try()

    def close(self, last_word: str = "") -> Deferred[None]:
        """Say something, close the link, and connect no more. Fires when the link is gone."""
        self._wanted = False
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._attempt is not None:
            self._attempt.cancel()
        done: Deferred[None] = Deferred()
        self._closed.append(done)
        if self.stream is None:
            self._become(ConnectionState.DISCONNECTED)
            self._finish()
        else:
            self._become(ConnectionState.DISCONNECT_PENDING)
            if last_word and not self.stream.closing:
                self.stream.send(last_word)
            self.stream.close()
        return done

    def shut(self) -> None:
        """Show that the program ends."""
        self._become(ConnectionState.SHUTDOWN)

    def made(self, stream: Stream) -> None:
        """A link was made."""
        self.stream = stream
        self._become(ConnectionState.CONNECTED)

    def authorized(self) -> None:
        """The server has taken the login: the next failure is a first one."""
        self._failures = 0

    def refused(self) -> None:
        """The server has not taken the login: it would not take it a second time."""
        self._wanted = False
        if self.stream is not None:
            self.stream.close()
        self.listener.refused()

    def lost(self, reason: Failure) -> None:
        """A link is gone."""
        logger.info("disconnected: %s", reason.getErrorMessage())
        self.stream = None
        if self.state is not ConnectionState.SHUTDOWN:
            self._become(ConnectionState.DISCONNECTED)
        self._finish()
        self._again()

    def _try(self) -> None:
        """Try to connect once."""
        self._waiting = None
        self._become(ConnectionState.CONNECT_PENDING)
        if self._wanted:
            attempt: Deferred[Stream] = self._endpoint.connect(_StreamFactory(self))
            self._attempt = attempt
            attempt.addCallbacks(self._connected, self._failed)

    def _connected(self, stream: Stream) -> None:
        """The attempt has made a link; perhaps nobody wants it any more."""
        self._attempt = None
        if not self._wanted:
            stream.close()

    def _failed(self, reason: Failure) -> None:
        """The attempt has failed."""
        self._attempt = None
        if self._wanted:
            logger.info("cannot connect: %s", reason.getErrorMessage())
            self._become(ConnectionState.FAILED)
        self._again()

    def _again(self) -> None:
        """Try again in a while."""
        if self._wanted and self._waiting is None and self._attempt is None and self.stream is None:
            self._waiting = self.reactor.callLater(self._retry(self._failures), self._try)
            self._failures += 1

    def _finish(self) -> None:
        """Tell whoever waits for the end of the link."""
        waiting, self._closed = self._closed, []
        for done in waiting:
            done.callback(None)

    def _become(self, state: ConnectionState) -> None:
        """Enter a state, and tell it."""
        if self.state is not state:
            self.state = state
            self.listener.changed(state)
