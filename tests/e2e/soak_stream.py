"""A stream client that resumes: raw netstrings, one option, and the `seq` of each line. The second witness."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.daemon import Daemon
from tests.e2e.soak_clients import DROPPED


class Listener:
    """Hears one kind of data line (`order-data` or `execution-data`) and goes on where it was after each cut."""

    def __init__(self, option: str, daemon: Daemon) -> None:
        self.option = option
        self.heard: list[tuple[int, dict[str, Any]]] = []
        """(seq, object) of every line, in the order they came."""
        self.errors: list[str] = []
        self._daemon = daemon
        self._head = f"paper.{option} ".encode()

    @property
    def seq(self) -> int:
        """The last record heard."""
        return self.heard[-1][0] if self.heard else 0

    async def listen(self) -> None:
        """Listen until the daemon is gone. A line that was cut off has not been heard."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._daemon.tcp_port, limit=2**24)
        except OSError:
            return
        try:
            options = json.dumps({self.option: 1, "resume": self.seq})
            login = f"auth {' '.join(self._daemon.session.auth)} {options}".encode()
            writer.write(b"%d:%b," % (len(login), login))
            while True:
                length = await reader.readuntil(b":")
                body = await reader.readexactly(int(length[:-1]) + 1)
                self._take(body[:-1])
        except DROPPED:
            return
        finally:
            writer.close()

    def _take(self, line: bytes) -> None:
        if line.startswith(self._head):
            value = json.loads(line[len(self._head) :])
            self.heard.append((value["seq"], value))
        elif line.startswith((b".error", b".Auth", b".what")) and not line.startswith(b".Authorized paper "):
            self.errors.append(line.decode())
