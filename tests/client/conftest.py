"""A small gateway of the tests' own: a twisted.web Site on a real socket that speaks wire.md for a few methods."""

from __future__ import annotations

import gzip
import json
import socket
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from txgateway_client import API, exchange
from txgateway_client.deferred import DeferredAPI

USER, PASSWORD = "trader", "s3cret pässword"


@dataclass
class Reply:
    """An answer other than 200 and JSON."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


DROP = object()
"""Take the call and cut the connection without a word."""
HANG = object()
"""Take the call and never answer."""
CUT = object()
"""Begin an answer and cut the connection in its middle."""
NOT_READY = Reply(503, b"false")


class FakeGateway(Resource):
    """Answers what it is told to; keeps orders by their client_order_id as the real one does."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Any] = {"status": "Up", "query_accounts": ["API_ACCOUNT"]}
        self.troubles: dict[str, deque[Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.connections = 0
        self.channels: set[HTTPChannel] = set()
        self.port = 0

    def trouble(self, method: str, *what: Any) -> None:
        """What the next calls of a method meet, before it works again. The call itself is carried out."""
        self.troubles[method] = deque(what)

    def called(self, method: str) -> list[dict[str, Any]]:
        """The arguments of each call of a method."""
        return [arguments for _, name, arguments in self.calls if name == method]

    def render(self, request: Request) -> Any:
        """Take one call."""
        self.channels.add(request.channel)
        credentials = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        method = request.path.decode().lstrip("/")
        content = request.content.read()
        arguments = json.loads(content) if content else {}
        self.calls.append((request.method.decode(), method, arguments))
        self.headers.append(
            {name.decode().lower(): values[0].decode() for name, values in request.requestHeaders.getAllRawHeaders()}
        )
        if request.getHeader("authorization") != f"Basic {credentials}":
            return self._write(request, Reply(401, b'{"status": "Unauthorized"}'))
        answer = self._order(arguments) if "client_order_id" in arguments else self.answers.get(method, Reply(404))
        if self.troubles.get(method):
            answer = self.troubles[method].popleft()
        return self._write(request, answer(arguments) if callable(answer) else answer)

    def _order(self, terms: dict[str, Any]) -> dict[str, Any]:
        """The order under this key: a new one, or the one that is there."""
        key = terms["client_order_id"]
        if key in self.orders:
            return {**self.orders[key], "replayed": True}
        order = {"permid": f"ORDER{len(self.orders) + 1}", "status": "Filled", **terms}
        if str(terms["quantity"]) == "0":
            order |= {"status": "Error", "errorMsg": "quantity must not be zero", "reason": "MALFORMED"}
        self.orders[key] = order
        return order

    def _write(self, request: Request, answer: Any) -> Any:
        """Send an answer, or what is to happen instead of one."""
        if answer is DROP:
            request.transport.abortConnection()
            return NOT_DONE_YET
        if answer is HANG:
            return NOT_DONE_YET
        if answer is CUT:
            request.setHeader("content-length", "1000")
            request.write(b'{"permid": "half an ord')
            request.transport.loseConnection()
            return NOT_DONE_YET
        reply = answer if isinstance(answer, Reply) else Reply(200, json.dumps(answer).encode())
        request.setResponseCode(reply.status)
        request.setHeader("content-type", "application/json")
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        return reply.body


class CountingSite(Site):
    """A Site that counts its connections."""

    def __init__(self, gateway: FakeGateway, reactor: Any) -> None:
        super().__init__(gateway, reactor=reactor)
        self.gateway = gateway

    def log(self, request: Request) -> None:
        """Keep no access log."""

    def buildProtocol(self, addr: object) -> Any:
        self.gateway.connections += 1
        return super().buildProtocol(addr)


def zipped(value: Any) -> Reply:
    """A JSON answer in gzip."""
    return Reply(200, gzip.compress(json.dumps(value).encode()), {"content-encoding": "gzip"})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No setting of the machine's reaches a test; a resent order is not waited for."""
    import os

    for name in list(os.environ):
        if name.startswith(("TXGATEWAY_", "TXTRADER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(exchange, "FIRST_PAUSE", 0.001)


@pytest_twisted.async_yield_fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    """A running gateway; its connections are closed at the end."""
    from twisted.internet import reactor  # not before pytest-twisted has installed it

    fake = FakeGateway()
    port = reactor.listenTCP(0, CountingSite(fake, reactor), interface="127.0.0.1")
    fake.port = port.getHost().port
    yield fake
    await port.stopListening()
    for channel in fake.channels:
        if channel.transport is not None:
            channel.transport.abortConnection()


@pytest.fixture
def config(gateway: FakeGateway) -> dict[str, object]:
    """What a client of the fake gateway is configured with."""
    return {"TXGATEWAY_HTTP_PORT": gateway.port, "TXGATEWAY_USERNAME": USER, "TXGATEWAY_PASSWORD": PASSWORD}


@pytest.fixture
def api(config: dict[str, object]) -> Iterator[API]:
    """A blocking client; call its methods by `deferToThread`."""
    with API(config=config) as made:
        yield made


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port on which nobody listens: bound here, and never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


Ask = Callable[..., "Deferred[Any]"]


@dataclass
class Client:
    """Either client; `ask` gives a Deferred of a method's answer."""

    ask: Ask
    api: Any


@pytest_twisted.async_yield_fixture(params=["blocking", "deferred"])
async def client(request: pytest.FixtureRequest, config: dict[str, object]) -> AsyncIterator[Callable[..., Client]]:
    """Makes a client of each kind, with more settings when given."""
    made: list[Any] = []

    def make(**more: object) -> Client:
        settings = config | {f"TXGATEWAY_{name}": value for name, value in more.items()}
        api: Any = API(config=settings) if request.param == "blocking" else DeferredAPI(config=settings)
        made.append(api)
        if isinstance(api, API):
            return Client(lambda name, *args, **kwargs: deferToThread(getattr(api, name), *args, **kwargs), api)
        return Client(lambda name, *args, **kwargs: getattr(api, name)(*args, **kwargs), api)

    yield make
    closing = [api.close() for api in made]
    await DeferredList([closed for closed in closing if closed is not None])


@pytest.fixture
def wire() -> Any:
    """The fake's own words for a test."""
    from types import SimpleNamespace

    return SimpleNamespace(
        Reply=Reply, DROP=DROP, HANG=HANG, CUT=CUT, NOT_READY=NOT_READY, zipped=zipped, USER=USER, PASSWORD=PASSWORD
    )
