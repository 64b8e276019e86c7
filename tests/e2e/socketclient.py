"""A plain client of the WebSocket for tests: a blocking socket and wsproto's own state machine."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections import deque
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from tests.daemon import PATIENCE, Daemon


class WebSocket:
    """One connection. `rejected` is the HTTP status when the upgrade was refused; `closed` the code it ended with."""

    def __init__(self, daemon: Daemon, password: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.daemon = daemon
        self.rejected = 0
        self.closed: int | None = None
        self.heard: deque[dict[str, Any]] = deque()
        self._text = ""
        self._socket = socket.create_connection(("127.0.0.1", daemon.http_port), timeout=PATIENCE)
        self._wire = WSConnection(ConnectionType.CLIENT)
        user, known = daemon.session.auth  # type: ignore[misc]
        login = b64encode(f"{user}:{password or known}".encode())
        extra = [(b"Authorization", b"Basic " + login)]
        extra += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._send(Request(host=f"127.0.0.1:{daemon.http_port}", target="/stream", extra_headers=extra))
        self._accepted = False
        while not self._accepted and not self.rejected:
            self._receive()

    def _send(self, event: Any) -> None:
        self._socket.sendall(self._wire.send(event))

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        self._wire.receive_data(data or None)
        for event in self._wire.events():
            match event:
                case AcceptConnection():
                    self._accepted = True
                case RejectConnection():
                    self.rejected = event.status_code
                case TextMessage():
                    self._text += event.data
                    if event.message_finished:
                        self.heard.append(json.loads(self._text))
                        self._text = ""
                case Ping():
                    self._send(event.response())
                case CloseConnection():
                    self.closed = event.code
                case BytesMessage() | RejectData():
                    pass

    def say(self, message: Any) -> None:
        """One JSON object, or any text."""
        self._send(TextMessage(message if isinstance(message, str) else json.dumps(message)))

    def send_bytes(self, data: bytes) -> None:
        """Anything, past the state machine."""
        self._socket.sendall(data)

    def expect(self, **members: Any) -> dict[str, Any]:
        """The next message with these members; those before it are passed over."""
        while True:
            while self.heard:
                message = self.heard.popleft()
                if all(message.get(name) == value for name, value in members.items()):
                    return message
            assert self.closed is None, f"closed with {self.closed} before {members}\n{self.daemon.tail()}"
            self._receive()

    def call(self, method: str, params: Any, call_id: Any = 1) -> dict[str, Any]:
        """A JSON-RPC call; its answer."""
        self.say({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})
        return self.expect(jsonrpc="2.0", id=call_id)

    def until_closed(self) -> list[dict[str, Any]]:
        """All messages up to the end of the connection."""
        while self.closed is None:
            self._receive()
        return list(self.heard)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
