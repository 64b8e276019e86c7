"""A WebSocket client on a real port that keeps every message."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, RejectData, Request, TextMessage

from tests.servers.stream.house import PASSWORD, USER, House


class Socket(Protocol):
    """One connection; `pong` False: it does not answer pings."""

    def __init__(self, house: House, headers: list[tuple[bytes, bytes]], pong: bool = True) -> None:
        self.house = house
        self.headers = headers
        self.pong = pong
        self.messages: list[dict[str, Any]] = []
        self.open = False
        self.lost = False
        self.closed: int | None = None
        self.status: int | None = None
        self.body = b""
        self.pings = 0
        self.wire = WSConnection(ConnectionType.CLIENT)
        self._text: list[str] = []
        self._ids = 0

    def connectionMade(self) -> None:
        host = f"127.0.0.1:{self.house.web.getHost().port}"
        self.transport.write(self.wire.send(Request(host, "/stream", extra_headers=self.headers)))

    def dataReceived(self, data: bytes) -> None:
        self.wire.receive_data(data)
        for event in self.wire.events():
            self._handle(event)

    def _handle(self, event: Any) -> None:
        if isinstance(event, TextMessage):
            self._text.append(event.data)
            if event.message_finished:
                self.messages.append(json.loads("".join(self._text)))
                self._text = []
        elif isinstance(event, Ping):
            self.pings += 1
            if self.pong:
                self.transport.write(self.wire.send(event.response()))
        elif isinstance(event, CloseConnection):
            self.closed = event.code
        elif isinstance(event, AcceptConnection):
            self.open = True
        elif isinstance(event, RejectConnection):
            self.status = event.status_code
        elif isinstance(event, RejectData):
            self.body += event.data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    def cut(self) -> None:
        """Cut the connection."""
        if not self.lost:
            self.transport.abortConnection()

    def send(self, value: Any) -> None:
        """Send a message."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.transport.write(self.wire.send(TextMessage(text)))

    async def call(self, method: str, params: Any = None, **more: Any) -> dict[str, Any]:
        """A JSON-RPC call's answer."""
        self._ids += 1
        call_id = self._ids
        self.send({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params or {}, **more})

        def answer() -> dict[str, Any] | None:
            assert not self.lost
            return next((each for each in self.messages if each.get("id") == call_id), None)

        return dict(await self.house.until(answer))

    def all(self, kind: str) -> list[Any]:
        """The data of every event of a type."""
        return [each["data"] for each in self.messages if each.get("type") == kind]

    async def heard(self, kind: str, number: int = 1) -> Any:
        """The data of the `number`th event of a type, once it has come."""
        return (await self.house.until(lambda: self.all(kind)[number - 1 :]))[0]

    def seen(self) -> list[dict[str, Any]]:
        """Every event of the journal."""
        kinds = ("order", "ticket", "execution", "position", "status", "reconciliation")
        return [each for each in self.messages if each.get("type") in kinds]


def basic(user: str = USER, password: str = PASSWORD) -> tuple[bytes, bytes]:
    """The header of HTTP basic auth."""
    return b"authorization", b"Basic " + b64encode(f"{user}:{password}".encode())


async def knock(house: House, *headers: tuple[bytes, bytes], pong: bool = True) -> Socket:
    """A connection, once it is open or refused."""
    endpoint = TCP4ClientEndpoint(house.reactor, "127.0.0.1", house.web.getHost().port)
    socket = await connectProtocol(endpoint, Socket(house, list(headers), pong))
    house.clients.append(socket)
    await house.until(lambda: socket.open or socket.status or socket.lost)
    return socket


async def enter(house: House, options: dict[str, Any] | None = None, resume: Any = None, pong: bool = True) -> Socket:
    """A connection that is open, and listens to what it asked for."""
    socket = await knock(house, basic(), pong=pong)
    await socket.heard("connected")
    if options is not None:
        socket.send({"options": options, **({} if resume is None else {"resume": resume})})
        await socket.heard("listening")
    return socket


EVERYTHING = dict.fromkeys(("order", "ticket", "execution", "position", "status", "reconciliation"), True)
