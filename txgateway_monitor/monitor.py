"""`Monitor`: calls your functions with every event of the gateway's stream, for as long as they return True.

The names, channels and texts are txTrader's. New is that a client of order, ticket or execution data gets every event
once: after a reconnect it goes on where it stopped, and with a `resume_file` after a restart too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from .channels import CHANNELS, Channel, ConnectionState
from .connection import Connection, logger
from .lines import LineParser
from .resume import Position, PositionFile
from .settings import SettingsError, resolve
from .tls import secured

Callback = Callable[[str, Any], object]
"""Gets the channel's name and the event's text (a TICK's time); a true answer goes on, a false one ends the monitor."""

SILENCE = 90.0
"""Seconds without a word before the link is tested: the gateway tells the time each minute."""

LOG_FORMAT = "[%(asctime)s] {%(filename)s:%(lineno)d} %(levelname)s - %(message)s"


class Monitor:
    """A listener to one gateway."""

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        options: Mapping[str, Any] | None = None,
        callbacks: Mapping[str, Callback | None] | None = None,
        log_level: str = "WARNING",
        *,
        reactor: Any = None,
        resume: bool | int | str | None = None,
        resume_file: str | os.PathLike[str] | None = None,
        position: Callable[[str], object] | None = None,
        silence: float = SILENCE,
        retry: Callable[[int], float] | None = None,
    ) -> None:
        """Connect to nothing yet. What is None of the first four comes from the environment, else is the default.

        options: what the gateway is asked for, `{"order-data": 1, "quotes": 1}` and so on.
        callbacks: channel name -> function(channel, text) that returns True to go on; "*" is for all channels that
        are not named, None silences. What nobody takes is printed.
        reactor: the one to run on; the installed one when None.
        resume: whether to go on after the last event seen when the link was lost (None: yes when data was asked
        for); or where to start: a seq, or a text that `position` was given. `options["resume"]` does the same and
        comes first.
        resume_file: where to keep the position from one run to the next.
        position: called with the position, as text, after each event that moved it.
        silence: seconds without a word after which the link is tested; 0 for never.
        retry: seconds to wait after so many failures.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ValueError(f"options must be a dict, not {type(options).__name__}")
        _set_up_log(log_level)
        given = {"HOST": host, "TCP_PORT": port, "USERNAME": username, "PASSWORD": password}
        settings = resolve({f"TXGATEWAY_{name}": value for name, value in given.items()})
        for name in ("username", "password"):
            if len(getattr(settings, name).split()) != 1:
                raise SettingsError(f"the stream cannot carry a {name} with spaces in it")
        self._settings = settings
        self.host = settings.host
        self.port = settings.tcp_port
        self.username = settings.username
        self._password = settings.password
        self.options = dict(options or {})
        self.unauthorized = False
        """Whether the gateway has refused this user and password: the monitor has given up then."""
        self.set_callbacks(callbacks or {})
        self.tickers: set[LoopingCall] = set()
        self._reactor = reactor
        self._silence = silence
        self._retry = retry or backoffPolicy(initialDelay=1.0, maxDelay=15.0, factor=1.5)
        self._resume = self.options.pop("resume", resume)
        self._file = PositionFile(resume_file) if resume_file is not None else None
        self._keep = [keep for keep in (self._file.save if self._file else None, position) if keep is not None]
        self._position: Position | None = None
        self._parser = LineParser()
        self._connection: Connection | None = None
        self._shutdown_trigger: Any = None
        self._owns_reactor = False
        self.shutdown_pending = False

    def __repr__(self) -> str:
        """The address and the user; no password."""
        return f"<Monitor {self.host}:{self.port} as {self.username}>"

    @property
    def connection_state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._connection.state if self._connection else ConnectionState.INITIALIZING

    # -- callbacks

    def set_callbacks(self, callbacks: Mapping[str, Callback | None]) -> None:
        """Set all callbacks: those named here, and for the other channels "*", or printing."""
        for name in callbacks:
            if name not in CHANNELS and name != "*":
                logger.warning("callbacks: there is no channel %r; the channels are %s", name, " ".join(CHANNELS))
        default = callbacks.get("*", self._print)
        self.callbacks = {name: callbacks.get(name, default) for name in CHANNELS}

    def set_callback(self, channel: str, function: Callback | None) -> None:
        """Set one channel's callback; None silences it. Raises ValueError when there is no such channel."""
        if channel not in CHANNELS:
            raise ValueError(f"there is no channel {channel!r}; the channels are {' '.join(CHANNELS)}")
        self.callbacks[channel] = function

    def set_tick_interval(self, interval_seconds: float) -> LoopingCall:
        """Call TICK now and every so many seconds. Returns what `stop_ticker` takes."""
        ticker = LoopingCall(self._tick)
        ticker.clock = self._running_reactor()
        self.tickers.add(ticker)
        ticker.start(interval_seconds)
        return ticker

    def stop_ticker(self, ticker: LoopingCall) -> None:
        """End one tick interval."""
        self.tickers.discard(ticker)
        if ticker.running:
            ticker.stop()

    # -- the connection

    def run(self) -> None:
        """Connect and run the reactor until a callback returns something false, `shutdown`, or a signal.

        Raises ValueError when the resume_file is none.
        """
        reactor = self._running_reactor()
        self._prepare()
        self._owns_reactor = True
        reactor.callWhenRunning(self._started)
        reactor.run()

    def connect(self) -> None:
        """Connect, and stay connected, in a reactor that runs. Raises ValueError when the resume_file is none."""
        self._prepare().open()

    def disconnect(self) -> Deferred[None] | None:
        """Close the link, and connect no more until `connect`. The Deferred fires when it is closed."""
        return self._connection.close() if self._connection else None

    def send(self, command: str) -> bool:
        """Send a command (`orders`, `add IBM`, …); its answer comes to a callback. False when there is no link."""
        stream = self._connection.stream if self._connection else None
        if stream is None or stream.closing or not stream.authorized:
            logger.error("send: there is no link to the gateway (%s)", self.connection_state.name)
            return False
        stream.send(command)
        return True

    def shutdown(self, reason: str) -> None:
        """Say goodbye, close the link, and end `run` (a reactor that `run` did not start runs on)."""
        if self.shutdown_pending:
            return
        self.shutdown_pending = True
        logger.info("shutdown: %s", reason)
        for ticker in list(self.tickers):
            self.stop_ticker(ticker)
        if self._connection is None:
            self._ended()
        else:
            self._connection.close(f"exit {reason}").addCallback(lambda _: self._ended())

    def stop(self) -> None:
        """Stop the reactor that `run` has started."""
        if self._owns_reactor and self._reactor.running:
            self._owns_reactor = False
            self._reactor.stop()

    # -- what the connection tells

    def changed(self, state: ConnectionState) -> None:
        """The connection is in another state."""
        self._call(Channel.CONNECTION, state.name)

    def login(self) -> str:
        """The line to log in with: it asks for the events after the last one seen, or for where the journal ends."""
        options = dict(self.options)
        if self._position is not None:
            resume = self._position.resume
            options |= {"position": True} if resume is None else {"resume": resume}
        return f"auth {self.username} {self._password} {json.dumps(options)}"

    def heard(self, line: str) -> None:
        """The gateway sent a line."""
        if line.lower().startswith(".authorized"):
            self._authorized(self._parser.authorized(line))
        parsed = self._parser.parse(line)
        if parsed is None:
            return
        position = self._position
        if position is None:
            self._call(parsed.channel, parsed.text)
            return
        before, was_ahead = position.seq, position.is_ahead
        if position.is_new(parsed):
            self._call(parsed.channel, parsed.text)
            if parsed.data:
                self._keep_position(position)
        elif position.is_ahead and not was_ahead:
            self._trouble(
                f"the gateway sends events before {before}, which was seen already: is it another journal? "
                "They are left out; start without the old position to have them"
            )

    def refused(self) -> None:
        """The gateway does not take this login: no use in trying again."""
        self.unauthorized = True
        self._trouble(
            f"the gateway at {self.host}:{self.port} refused user {self.username!r}, not trying again: check "
            "TXGATEWAY_USERNAME and TXGATEWAY_PASSWORD (or the file TXGATEWAY_PASSWORD_FILE)"
        )
        self.shutdown("authorization refused")

    # -- inside

    def _running_reactor(self) -> Any:
        """The reactor to run on: imported when it is first needed, which installs one if there is none."""
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def _prepare(self) -> Connection:
        """The connection, made when there is none; where to go on from is read now."""
        self.shutdown_pending = False
        self.unauthorized = False
        if self._connection is None:
            self._position = self._position or self._first_position()
            reactor = self._running_reactor()
            self._connection = Connection(
                reactor, self.host, self.port, self, self._silence, self._retry, partial(secured, self._settings)
            )
            self._shutdown_trigger = reactor.addSystemEventTrigger("before", "shutdown", self._reactor_stops)
        return self._connection

    def _started(self) -> None:
        """The reactor runs."""
        self._call(Channel.STATUS, "reactor startup")
        if not self.shutdown_pending:
            self.connect()

    def _first_position(self) -> Position | None:
        """Where to begin; None when nothing is to be resumed."""
        resume = self._resume
        if resume is None:
            resume = self._file is not None or any(
                name.endswith("-data") and asked for name, asked in self.options.items()
            )
        if resume is False:
            return None
        if isinstance(resume, str):
            return Position.from_text(resume)
        if resume is not True:
            return Position(int(resume))
        return (self._file.load() if self._file else None) or Position()

    def _authorized(self, at: int | None) -> None:
        """A link has begun."""
        position = self._position
        if position is None:
            return
        before = position.seq
        if not position.authorized(at):
            self._trouble(
                f"the gateway's journal ends at {at}, before the last event seen here, {before}: it is another "
                "journal, and is followed from its end"
            )
        if position.seq != before:
            self._keep_position(position)

    def _keep_position(self, position: Position) -> None:
        """Tell those who keep it how far we are."""
        for keep in self._keep:
            try:
                keep(position.to_text())
            except Exception:
                logger.exception("the position could not be kept")

    def _trouble(self, text: str) -> None:
        """Something a person should know."""
        logger.error("%s", text)
        self._call(Channel.ERROR, text)

    def _tick(self) -> None:
        """A tick interval has passed."""
        self._call(Channel.TICK, time.time())

    def _call(self, channel: Channel, data: Any) -> None:
        """Call a channel's function: a false answer ends the monitor, an exception does not."""
        function = self.callbacks[channel.name]
        if function is None:
            return
        try:
            go_on = function(channel.name, data)
        except Exception:
            logger.exception("the callback of %s raised", channel.name)
            return
        if not go_on:
            self.shutdown("client requested shutdown")

    def _reactor_stops(self) -> Deferred[None] | None:
        """The reactor is about to stop, whoever wanted that: say goodbye first."""
        self._shutdown_trigger = None
        assert self._connection is not None
        closing = None if self.shutdown_pending else self._connection.close("exit reactor shutdown")
        self.shutdown_pending = True
        self._connection.shut()
        self._call(Channel.SHUTDOWN, "reactor shutdown detected")
        return closing

    def _ended(self) -> None:
        """The link is closed for good."""
        if self._owns_reactor:
            self.stop()
        elif self._shutdown_trigger is not None:
            self._reactor.removeSystemEventTrigger(self._shutdown_trigger)
            self._shutdown_trigger = None
            self._connection = None
            self._call(Channel.SHUTDOWN, "monitor shut down")

    @staticmethod
    def _print(channel: str, data: Any) -> bool:
        """What happens where no callback is set."""
        print(f"{channel}: {data}", flush=True)
        return True


def _set_up_log(level: str) -> None:
    """Log at this level; to standard error when the program has not said where."""
    logger.setLevel(level.upper())
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        logger.addHandler(handler)
