"""A client's TCP connection: its handshake, its framing, and what it has subscribed to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.protocol import Protocol as TwistedProtocol

from tests.emulators.tws.contracts import Contract
from tests.emulators.tws.history import Wanted
from tests.emulators.tws.wire import Frames, NotUnderstood, pack


class Served(Protocol):
    """What a link belongs to."""

    links: list[Link]

    def greeted(self, link: Link) -> None:
        """The client has said what versions it knows."""

    def received(self, link: Link, fields: list[str]) -> None:
        """A message has come."""


@dataclass(slots=True)
class Watch:
    """A subscription to ticks, and what it has shown last."""

    contract: Contract
    delayed: bool = False
    snapshot: bool = False
    """Each tick is told once."""
    generic: tuple[str, ...] = ()
    shown: dict[str, Any] = field(default_factory=dict)


@dataclass
class Wishes:
    """What a client is told without asking again."""

    positions: bool = False
    account: str = ""
    """Whose updates come by messages 6 and 7."""
    summaries: dict[int, tuple[str, ...]] = field(default_factory=dict)
    pnl: dict[int, str] = field(default_factory=dict)
    pnl_single: dict[int, tuple[str, int]] = field(default_factory=dict)
    ticks: dict[int, Watch] = field(default_factory=dict)
    by_tick: dict[int, tuple[Contract, str]] = field(default_factory=dict)
    bars: dict[int, tuple[Wanted, Contract]] = field(default_factory=dict)


class Link(TwistedProtocol):
    """A client's TCP connection."""

    def __init__(self, emulator: Served) -> None:
        self.emulator = emulator
        self.frames = Frames()
        self.wishes = Wishes()
        self.version = 0
        self.client: int | None = None
        """Its client id, once it has started."""
        self.data_type = 1
        self.frozen = False
        self.recent: deque[float] = deque()
        """When its messages of the last second have come."""
        self.too_fast = 0

    def connectionMade(self) -> None:
        """The client speaks first."""
        self.transport.setTcpNoDelay(True)
        self.emulator.links.append(self)

    def connectionLost(self, reason: Any = None) -> None:
        """All that it wanted ends with it."""
        self.emulator.links.remove(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        if self.frozen:
            return
        try:
            greeted = self.frames.versions is not None
            for fields in self.frames.receive(data):
                if not greeted:
                    greeted = True
                    self.emulator.greeted(self)
                self.emulator.received(self, fields)
            if not greeted and self.frames.versions is not None:
                self.emulator.greeted(self)
        except NotUnderstood:
            self.transport.loseConnection()

    def say(self, *fields: Any) -> None:
        """A message to the client."""
        self.write(pack(*fields))

    def write(self, data: bytes) -> None:
        """Bytes to the client, which a frozen link swallows."""
        if not self.frozen:
            self.transport.write(data)

    def end(self) -> None:
        """What was said still arrives, then the link is closed; a frozen one breaks."""
        if self.frozen:
            self.transport.abortConnection()
            return
        self.transport.loseConnection()
        self.frozen = True

    def freeze(self) -> None:
        """From now on the link is half open."""
        self.frozen = True
        self.transport.pauseProducing()
