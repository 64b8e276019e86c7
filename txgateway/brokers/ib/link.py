"""The socket: connected, kept connected with back-off, given up when it is silent, and down at night as is expected.

What is known of a link ends with it. `Ears` hear of its life; a link that is over tells nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from typing import Protocol as Contract

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers.ib import codes
from txgateway.brokers.ib.client import Inbox, PacedClient, quiet_ib_async
from txgateway.brokers.ib.options import IbOptions
from txgateway.futures import deferred

log = Logger()

BACK_OFF = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until the next attempt to connect; after a link that could be asked they begin anew."""
TAKEN = 2
"""Another link has our client number, perhaps our own last one: the attempts begin a little later."""
CONNECT_SECONDS = 15.0
NO_TWS = "is that TWS or IB Gateway, does it allow API connections, and does no window of it wait for a click?"
LOUD_SECONDS = 300.0
"""So often it is said that the link is down although the restart should be over."""


class Ears(Contract):
    """Who is told of the link, and of every message that comes (as on_NAME)."""

    def started(self, client: PacedClient) -> None:
        """TWS is there: it may be asked."""

    def broken(self, text: str, expected: bool) -> None:
        """The link is gone, and will be made anew."""

    def complain(self, text: str, code: int = 0) -> None:
        """Something is wrong, and goes on."""


class Link:
    """Keeps one connection to TWS, from `start` to `stop`."""

    def __init__(self, reactor: Any, options: IbOptions, clock: Callable[[], datetime], ears: Ears) -> None:
        self._reactor = reactor
        self._options = options
        self._clock = clock
        self._ears = ears
        self._client: PacedClient | None = None
        self._ready = False
        self._connecting: Deferred[Any] | None = None
        self._again: Any = None
        self._watch: Any = None
        self._tries = 0
        self._heard = 0.0
        self._why = ""
        self._window: datetime | None = None
        self._began = 0.0
        self._said_at: float | None = None

    # life

    def start(self) -> None:
        """Connect."""
        quiet_ib_async()
        self._tries = 0
        self._window = None
        self._connect()

    def stop(self) -> None:
        """Close, and connect no more."""
        for timer in (self._again, self._watch):
            if timer is not None and timer.active():
                timer.cancel()
        self._again = self._watch = None
        self._close(abort=False)

    def good(self) -> None:
        """What the start asks is answered: it was worth the attempts."""
        self._tries = 0
        self._window = self._said_at = None

    def drop(self, text: str) -> None:
        """Give the link up, and make it anew."""
        if self._client is not None:
            self._over(text)

    def _connect(self) -> None:
        self._again = None
        self._why = ""
        self._began = self._reactor.seconds()
        options = self._options
        client = self._client = PacedClient(Inbox(_Heard(self), options.timezone), self._reactor, options.rate)
        client.conn.disconnected += lambda text: self._gone(client, text)
        work = client.connectAsync(options.host, options.port, options.client_id, CONNECT_SECONDS)
        self._connecting = deferred(work)
        self._connecting.addCallbacks(
            lambda _: self._made(client), lambda failure: self._gone(client, _words(failure))
        ).addErrback(lambda failure: log.failure("The link could not begin.", failure))

    def _made(self, client: PacedClient) -> None:
        if client is not self._client:
            client.close(abort=True)
            return
        self._ready, self._connecting = True, None
        self._heard = self._reactor.seconds()
        self._look_again()
        self._ears.started(client)

    def _gone(self, client: PacedClient, text: str) -> None:
        """The connection is closed, or none came about."""
        if client is self._client:
            self._over(text or self._closed())

    def _closed(self) -> str:
        if self._ready:
            return "TWS closed the connection"
        if self._reactor.seconds() - self._began < CONNECT_SECONDS:
            return f"it was closed at once: {NO_TWS}"
        return f"nothing that TWS says came within {CONNECT_SECONDS:g} s: {NO_TWS}"

    def _over(self, text: str) -> None:
        text = self._why or text
        was_ready = self._ready
        self._close(abort=True)
        now = self._clock()
        expected = self._expected(now)
        if was_ready:
            self._ears.broken(text, expected)
        wait = BACK_OFF[min(self._tries, len(BACK_OFF) - 1)]
        self._tries += 1
        self._say(f"{text}; the next attempt is in {wait:g} s", now, expected)
        self._again = self._reactor.callLater(wait, self._connect)

    def _expected(self, now: datetime) -> bool:
        """Whether this is the time in which TWS restarts. The window in which the link went is remembered."""
        over_at = self._options.restart.over_at(now) if self._options.restart is not None else None
        if over_at is not None:
            self._window = over_at
        return over_at is not None

    def _say(self, text: str, now: datetime, expected: bool) -> None:
        options = self._options
        where = f"TWS at {options.host}:{options.port}"
        if expected:
            log.info("{where}: {text} (its nightly restart)", where=where, text=text)
            return
        if self._window is None:
            self._ears.complain(f"{where}: {text}")
            return
        seconds = self._reactor.seconds()
        if self._said_at is None or seconds - self._said_at >= LOUD_SECONDS:
            self._said_at = seconds
            late = (now - self._window) // timedelta(minutes=1)
            loud = (
                f"{where} has not come back from its nightly restart, which was to be over {late} minutes ago: {text}"
            )
            log.error("{loud}", loud=loud)
            self._ears.complain(loud)

    def _close(self, abort: bool) -> None:
        client, self._client, self._ready = self._client, None, False
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        if client is not None:
            client.close(abort)

    # what comes

    def heard(self) -> None:
        """Something came: the link lives."""
        self._heard = self._reactor.seconds()

    def taken(self, text: str) -> None:
        """TWS will not have us under this number."""
        self._why = f"client_id {self._options.client_id} is in use there ({text})"
        self._tries = max(self._tries, TAKEN)
        self.drop(self._why)

    @property
    def ears(self) -> Ears:
        """Who hears."""
        return self._ears

    # silence

    def _look_again(self) -> None:
        wait = self._options.silence / 3
        self._watch = self._reactor.callLater(wait, self._look, self._reactor.seconds() + wait)

    def _look(self, due: float) -> None:
        """A link over which nothing comes, though the time was asked for, is dead, however connected it looks.

        A reactor that stood still has heard nothing either: it looks again before it judges.
        """
        now = self._reactor.seconds()
        if now - due > 1.0:
            self._heard = now
        if now - self._heard > self._options.silence:
            self.drop(f"nothing has come for {self._options.silence:g} s")
        elif self._client is not None:
            self._client.reqCurrentTime()
            self._look_again()


class _Heard:
    """Hands messages on to the ears, and tells the link that something came."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link.ears, name)

    def on_tcpDataArrived(self) -> None:
        self._link.heard()

    def on_error(self, number: int, code: int, text: str, more: str) -> None:
        if code == codes.CLIENT_ID_IN_USE:
            self._link.taken(text)
            return
        self._link.ears.on_error(number, code, text, more)  # type: ignore[attr-defined]


def _words(failure: Any) -> str:
    text = failure.getErrorMessage()
    return text if text and text != "None" else f"no connection ({failure.type.__name__})"
