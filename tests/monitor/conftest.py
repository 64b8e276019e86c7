"""A small stream server of the tests' own: netstrings on a real socket, a journal to resume from, links it can cut."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import NetstringReceiver

from txgateway_monitor import Monitor

USER, PASSWORD = "trader", "s3cret-pässword"


class Link(NetstringReceiver):
    """One client."""

    factory: FakeStream

    def connectionMade(self) -> None:
        self.factory.links.append(self)
        self.factory.accepted += 1
        self.authorized = False
        self.budget: int | None = None
        if self.factory.greets:
            self.say(".connected: txGateway 1.0 today on here")
        self.factory.changed()

    def say(self, line: str) -> None:
        """Send a line, or as much of it as may go before the link is cut."""
        data = line.encode()
        framed = b"%d:%b," % (len(data), data)
        if self.budget is None:
            self.transport.write(framed)
            return
        self.transport.write(framed[: self.budget])
        self.budget -= len(framed)
        if self.budget < 0:
            self.transport.loseConnection()

    def stringReceived(self, data: bytes) -> None:
        line = data.decode()
        self.factory.received.append(line)
        word, _, rest = line.partition(" ")
        if word == "auth":
            self._auth(*rest.split(" ", 2))
        elif word == "status" and self.factory.answers_status:
            self.say(".status: Up")
        elif word == "exit":
            self.transport.loseConnection()
        self.factory.changed()

    def _auth(self, user: str, password: str, options: str) -> None:
        if (user, password) != (USER, PASSWORD):
            self.say(".Authorization required!")
            self.transport.loseConnection()
            return
        self.options = json.loads(options)
        self.factory.logins.append(self.options)
        asked = self.factory.knows_positions and ("position" in self.options or "resume" in self.options)
        position = f" {self.factory.position}" if asked else ""
        self.say(f".Authorized paper{position}")
        self.authorized = True
        if self.factory.budgets:
            self.budget = self.factory.budgets.pop(0)
        after = self.options.get("resume", self.factory.position)
        if after > self.factory.position:
            self.say(f".error: resume {after} is beyond the journal's last record")
            return
        for seq, lines in self.factory.records:
            if seq > after:
                for text in lines:
                    self.say(text)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.factory.links.remove(self)
        self.factory.changed()


class FakeStream(Factory):
    """The server: publishes records to whoever is logged in, and again to whoever resumes."""

    protocol = Link
    noisy = False

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.accepted = 0
        self.logins: list[dict[str, Any]] = []
        self.received: list[str] = []
        self.records: list[tuple[int, list[str]]] = []
        self.budgets: list[int] = []
        """How many bytes the next links may carry after their login before they are cut."""
        self.greets = True
        self.answers_status = True
        self.knows_positions = True
        """Whether it says its position to who asks; an older server does not."""
        self.port = 0
        self._waiting: list[tuple[Callable[[], object], Deferred[None]]] = []

    @property
    def position(self) -> int:
        """The last record's number."""
        return self.records[-1][0] if self.records else 0

    def publish(self, *lines: str, seq: int | None = None) -> int:
        """Write a record, and send its lines to all; `{seq}` in them is its number."""
        number = self.position + 1 if seq is None else seq
        record = [line.replace('"{seq}"', str(number)) for line in lines]
        self.records.append((number, record))
        self.say(*record)
        return number

    def order(self, order_id: str, status: str = "Accepted", fill: str = "", seq: int | None = None) -> int:
        """Publish an order's record as the gateway does: a notification, then the data; an execution's before it."""
        lines = []
        if fill:
            data = {"ORDER_ID": fill, "ORIGINAL_ORDER_ID": order_id, "seq": "{seq}"}
            lines += [f"paper.execution.{fill} A {order_id} {status}", f"paper.execution-data {json.dumps(data)}"]
        data = {"permid": order_id, "status": status, "seq": "{seq}"}
        lines += [f"paper.order.{order_id} A LIMIT {status}", f"paper.order-data {json.dumps(data)}"]
        return self.publish(*lines, seq=seq)

    def say(self, *lines: str) -> None:
        """Send lines to all who are logged in."""
        for link in list(self.links):
            for line in lines if link.authorized else ():
                link.say(line)

    def cut(self) -> None:
        """Cut all links."""
        for link in list(self.links):
            link.transport.abortConnection()

    def changed(self) -> None:
        """See who has waited for what is now."""
        for waiting in list(self._waiting):
            if waiting[0]():
                self._waiting.remove(waiting)
                waiting[1].callback(None)

    def until(self, condition: Callable[[], object]) -> Deferred[None]:
        """Fires when something heard or lost has made this true."""
        fired: Deferred[None] = Deferred()
        self._waiting.append((condition, fired))
        self.changed()
        return fired


class Heard:
    """A monitor's callbacks: keeps all events, and lets a test wait for some."""

    def __init__(self, stream: FakeStream) -> None:
        self.stream = stream
        self.events: list[tuple[str, Any]] = []

    def __call__(self, channel: str, text: Any) -> bool:
        self.events.append((channel, text))
        self.stream.changed()
        return True

    def texts(self, *channels: str) -> list[Any]:
        """What was heard on these channels."""
        return [text for channel, text in self.events if channel in channels]

    @property
    def authorizations(self) -> list[str]:
        """Every greeting after a login."""
        return [text for text in self.texts("STATUS") if text.startswith(".Authorized")]

    def authorized(self) -> Deferred[None]:
        """Fires after the first login."""
        return self.stream.until(lambda: self.authorizations)

    def data(self) -> list[tuple[str, int]]:
        """Every data event as its id and number."""
        found = [json.loads(text) for text in self.texts("ORDER_DATA", "EXECUTION_DATA", "TICKET_DATA")]
        return [(item.get("permid") or item.get("ORDER_ID"), item["seq"]) for item in found]

    def until(self, *event: Any) -> Deferred[None]:
        """Fires when this event (channel, text) or one of this channel was heard."""
        return self.stream.until(lambda: any(heard[: len(event)] == event for heard in self.events))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No setting of the machine's reaches a test."""
    import os

    for name in list(os.environ):
        if name.startswith(("TXGATEWAY_", "TXTRADER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


@pytest_twisted.async_yield_fixture
async def stream() -> AsyncIterator[FakeStream]:
    """A running server."""
    from twisted.internet import reactor  # not before pytest-twisted has installed it

    server = FakeStream()
    port = reactor.listenTCP(0, server, interface="127.0.0.1")
    server.port = port.getHost().port
    yield server
    await port.stopListening()
    server.cut()
    await server.until(lambda: not server.links)


@pytest.fixture
def heard(stream: FakeStream) -> Heard:
    """Callbacks for one monitor, or for several one after the other."""
    return Heard(stream)


@pytest_twisted.async_yield_fixture
async def monitor(stream: FakeStream, heard: Heard) -> AsyncIterator[Callable[..., Monitor]]:
    """Makes monitors of the server that reconnect at once; they are closed at the end."""
    made: list[Monitor] = []

    def make(options: dict[str, Any] | None = None, **settings: Any) -> Monitor:
        settings = {"callbacks": {"*": heard}, "retry": lambda failures: 0.0, **settings}
        settings = {"username": USER, "password": PASSWORD, **settings}
        made.append(Monitor("127.0.0.1", stream.port, options=options, **settings))
        return made[-1]

    yield make
    for each in made:
        closed = each.disconnect()
        if closed is not None:
            await closed
        each.shutdown("the test is over")


@pytest.fixture
def credentials() -> tuple[str, str]:
    """What the server takes."""
    return USER, PASSWORD
