"""An emulated gateway on a TCP port of Twisted's: its life, its clock, its market's steps, its links' misfortunes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.python import log

from tests.emulators import options
from tests.emulators.calls import Calls

EASTERN = ZoneInfo("US/Eastern")


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    """How an emulated gateway is to be."""

    accounts: tuple[str, ...] = ()
    cash: Decimal = Decimal(1_000_000)
    positions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By account, what there is at the start, by symbol."""
    begins: datetime | None = None
    """What its clock shows at the start (naive, US/Eastern), from where it goes on; None: the time it is."""


class TcpEmulator(Factory, ABC):
    """The reactor is its clock. A gateway gives `buildProtocol` and `restart`, too."""

    noisy = False

    def __init__(self, options: Options, reactor: Any) -> None:
        self.options = options
        self.reactor = reactor
        self.port = options.port
        self.links: list[Any] = []
        self._began = reactor.seconds()
        self._listening: Any = None
        self._calls = Calls(reactor.callLater)
        self.later = self._calls.later
        self._ticks = LoopingCall(self.tick)
        self._ticks.clock = reactor

    # ---------------------------------------------------------------- what a gateway gives

    @abstractmethod
    def watched(self) -> Iterable[Any]:
        """What anyone looks at, in an order that is always the same."""

    @abstractmethod
    def step(self, each: Any) -> None:
        """One step of its market, and what follows from it."""

    # ---------------------------------------------------------------- life

    def start(self) -> int:
        """Listen; the port."""
        self._listen()
        if self.options.tick:
            self._ticks.start(self.options.tick)
        return self.port

    def _listen(self) -> None:
        self._listening = self.reactor.listenTCP(self.port, self, interface=self.options.interface)
        self.port = self._listening.getHost().port

    def stop(self) -> Deferred[Any]:
        """End all; fires when the port is free."""
        if self._ticks.running:
            self._ticks.stop()
        self._calls.cancel()
        self.drop()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening if listening else lambda: None)

    def seconds(self) -> float:
        """Monotonic."""
        return float(self.reactor.seconds())

    def now(self) -> datetime:
        """Its clock, aware, in US/Eastern."""
        if self.options.begins is None:
            return datetime.now(EASTERN)
        return self.options.begins.replace(tzinfo=EASTERN) + timedelta(seconds=self.reactor.seconds() - self._began)

    def tick(self, *those: Any) -> None:
        """A step of these, or of all that anyone looks at."""
        try:
            for each in those or self.watched():
                self.step(each)
        except Exception:
            log.err(None, "the emulator's market")

    # ---------------------------------------------------------------- misfortunes

    def drop(self) -> None:
        """Every link breaks."""
        for link in list(self.links):
            link.transport.abortConnection()

    def close_port(self, seconds: float) -> None:
        """Nobody can connect for so long."""
        if self._listening is not None:
            closed = maybeDeferred(self._listening.stopListening)
            self._listening = None
            closed.addCallback(lambda _: self.later(seconds, self._listen))
