"""A plain client of the stream for tests: a blocking socket, netstrings, and what was heard so far."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from tests.daemon import PATIENCE, Daemon


class Stream:
    """One connection. With `options` (a JSON object or text) it logs in at once."""

    def __init__(self, daemon: Daemon, options: Any = None, password: str | None = None) -> None:
        self.daemon = daemon
        self.heard: list[str] = []
        self._data = b""
        self._socket = socket.create_connection(("127.0.0.1", daemon.tcp_port), timeout=PATIENCE)
        if options is not None:
            user, known = daemon.session.auth  # type: ignore[misc]
            said = options if isinstance(options, str) else json.dumps(options)
            self.expect(".connected:")
            self.send(f"auth {user} {password or known} {said}".strip())

    def send(self, line: str) -> None:
        """One message."""
        body = line.encode()
        self.send_bytes(b"%d:%b," % (len(body), body))

    def send_bytes(self, data: bytes) -> None:
        """Anything."""
        self._socket.sendall(data)

    def read(self) -> str | None:
        """The next message; None when the server has closed."""
        while True:
            head, colon, rest = self._data.partition(b":")
            if colon and len(rest) > int(head):
                size = int(head)
                assert rest[size : size + 1] == b",", f"no netstring: {self._data[:80]!r}"
                self._data = rest[size + 1 :]
                self.heard.append(rest[:size].decode())
                return self.heard[-1]
            try:
                more = self._socket.recv(65536)
            except ConnectionResetError:
                more = b""
            except TimeoutError:
                raise AssertionError(f"nothing more after {self.heard[-5:]}\n{self.daemon.tail()}") from None
            if not more:
                return None
            self._data += more

    def expect(self, start: str | Callable[[str], bool]) -> str:
        """Read until a message begins so (or is so), and give it."""
        wanted = (lambda line: line.startswith(start)) if isinstance(start, str) else start
        while (line := self.read()) is not None:
            if wanted(line):
                return line
        raise AssertionError(f"the stream was closed before {start!r}; heard {self.heard[-5:]}\n{self.daemon.tail()}")

    def data(self, start: str, **members: Any) -> dict[str, Any]:
        """The JSON object behind a message that begins so, the first one with these members."""

        def fits(line: str) -> bool:
            if not line.startswith(start):
                return False
            value = json.loads(line[len(start) :])
            return all(value.get(name) == each for name, each in members.items())

        found: dict[str, Any] = json.loads(self.expect(fits)[len(start) :])
        return found

    def until_closed(self) -> list[str]:
        """All messages up to the end of the connection."""
        at = len(self.heard)
        while self.read() is not None:
            continue
        return self.heard[at:]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
