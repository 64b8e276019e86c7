"""What the daemon is compared with: bare Twisted that says ready bytes, on the same reactor, in a process of its own.

    python -m bench.yardsticks site PATH=FILE ...              a Site; basic auth, then the file's bytes
    python -m bench.yardsticks broadcast FILE                  the file's bytes to every connection, once a reactor turn
    python -m bench.yardsticks broadcast FILE INTERVAL         the same at every whole multiple of so many seconds

The first line on standard output is the port.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from txgateway.__main__ import install

USER, PASSWORD = b"txtrader_user", b"txtrader_pass"


class Constants(Resource):
    """twisted.web at its barest: a leaf that checks the password and returns a constant."""

    isLeaf = True

    def __init__(self, bodies: Mapping[bytes, bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bodies = bodies

    def render(self, request: Any) -> bytes:
        """The constant."""
        if request.getUser() != USER or request.getPassword() != PASSWORD:
            request.setResponseCode(401)
            return b'{"status": "Unauthorized"}'
        request.setHeader(b"Content-Type", b"application/json")
        return self._bodies[request.path]


class SilentSite(Site):
    """A Site without an access log."""

    def log(self, request: Any) -> None:
        """Nothing."""


@implementer(IPushProducer)
class Listener(Protocol):
    """A connection that is written to while its transport takes it."""

    transport: Any

    def __init__(self, open_ones: dict[Listener, None]) -> None:
        self._open_ones = open_ones

    def connectionMade(self) -> None:
        """One more."""
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._open_ones[self] = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """One less."""
        self._open_ones.pop(self, None)

    def pauseProducing(self) -> None:
        """It is full."""
        self._open_ones.pop(self, None)

    def resumeProducing(self) -> None:
        """It is not any more."""
        self._open_ones[self] = None

    def stopProducing(self) -> None:
        """It is gone."""
        self._open_ones.pop(self, None)


class Listeners(Factory):
    """Makes them."""

    noisy = False

    def __init__(self, open_ones: dict[Listener, None]) -> None:
        self._open_ones = open_ones

    def buildProtocol(self, addr: object) -> Listener:
        """One more."""
        return Listener(self._open_ones)


def make_broadcast(data: bytes, reactor: Any, interval: float) -> Listeners:
    """Ready bytes to all who listen: once a turn, or at every multiple of an interval."""
    open_ones: dict[Listener, None] = {}

    def again() -> None:
        for each in tuple(open_ones):
            each.transport.write(data)
        reactor.callLater(interval - time.time() % interval if interval else 0, again)

    reactor.callLater(0, again)
    return Listeners(open_ones)


def _factory(kind: str, rest: Sequence[str], reactor: Any) -> Any:
    if kind == "broadcast":
        return make_broadcast(Path(rest[0]).read_bytes(), reactor, float(rest[1]) if rest[1:] else 0.0)
    pairs = (each.partition("=") for each in rest)
    constants = Constants({path.encode(): Path(file).read_bytes() for path, _, file in pairs})
    return SilentSite(constants)  # type: ignore[no-untyped-call]


def main(arguments: Sequence[str]) -> None:
    """Serve until ended."""
    reactor = install("asyncio")
    factory = _factory(arguments[0], arguments[1:], reactor)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=1024)
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
