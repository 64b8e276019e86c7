"""A client's TCP connection, and the logical connections in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from tests.emulators.rtgw.orders import Row
from tests.emulators.rtgw.tql import Query


class Served(Protocol):
    """What a link belongs to."""

    links: list[Link]

    def received(self, link: Link, text: str) -> None:
        """A line has come."""


@dataclass
class Connection:
    """A logical connection: what it is for, and its advise, if it has one."""

    id: str
    key: str
    advise: str = ""
    query: Query | None = None
    last: Row = field(default_factory=dict)
    """What a quote's advise has shown last."""


@implementer(IPushProducer)
class Room:
    """Whether a client reads what is written to it, or its transport is full."""

    full = False

    def pauseProducing(self) -> None:
        """It is full."""
        self.full = True

    def resumeProducing(self) -> None:
        """It is not any more."""
        self.full = False

    def stopProducing(self) -> None:
        """It is gone."""
        self.full = True


class Link(LineReceiver):
    """A client's TCP connection."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, emulator: Served) -> None:
        self.emulator = emulator
        self.connections: dict[str, Connection] = {}
        self.frozen = False
        self.room = Room()

    def connectionMade(self) -> None:
        """The greeting."""
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self.room, True)
        self.emulator.links.append(self)
        self.say("system", "", {"msg": "startup", "item": "rtgw emulator"})

    def connectionLost(self, reason: Any = None) -> None:
        """Its logical connections end with it."""
        self.emulator.links.remove(self)

    def lineReceived(self, raw: bytes) -> None:
        """A command; empty lines mean nothing."""
        text = raw.decode("utf-8", "replace").strip()
        if text and not self.frozen:
            self.emulator.received(self, text)

    def say(self, kind: str, name: str, data: Any) -> None:
        """A line to the client."""
        self.write(json.dumps({"type": kind, "id": name, "data": data}, separators=(",", ":")) + "\n")

    def write(self, text: str) -> None:
        """Lines to the client, which a frozen link swallows."""
        if not self.frozen:
            self.transport.write(text.encode())

    def freeze(self) -> None:
        """From now on the link is half open."""
        self.frozen = True
        self.transport.pauseProducing()
