"""What clients that speak an exchange's wire by hand have in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from yarl import URL

from tests.emulators.crypto.control import Control
from tests.emulators.crypto.server import Emulator
from tests.emulators.loops import until


class Socket:
    """A WebSocket, and all that it was told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.ended = False

    async def listen(self) -> None:
        """Until it ends."""
        async for message in self.socket:
            self.heard.append(json.loads(message.data))
        self.ended = True


class Peer:
    """One client: its session, and its WebSockets, which are of its `kind`."""

    kind: type[Any] = Socket

    def __init__(self, control: Control) -> None:
        self.control = control
        self.session = aiohttp.ClientSession()
        self.headers: Mapping[str, str] = {}
        """Of the last answer."""
        self._listening: list[asyncio.Future[None]] = []

    @property
    def base(self) -> str:
        """Where REST is."""
        return f"http://127.0.0.1:{self.control.emulator.port}"

    async def send(self, method: str, path: str, body: str, headers: Mapping[str, str], http: int) -> Any:
        """A request; its answer, whose status must be so."""
        url = URL(self.base + path, encoded=True)
        async with self.session.request(method, url, data=body or None, headers=headers) as answer:
            text, self.headers = await answer.text(), answer.headers
            assert answer.status == http, text
            return json.loads(text) if "json" in answer.content_type else text

    async def connect(self, path: str) -> Any:
        """A WebSocket."""
        socket = self.kind(await self.session.ws_connect(self.base + path))
        self._listening.append(asyncio.ensure_future(socket.listen()))
        return socket

    async def close(self) -> None:
        """Hang up."""
        await self.session.close()
        for each in self._listening:
            each.cancel()


async def unanswered(emulator: Emulator, request: Coroutine[Any, Any, Any]) -> None:
    """It comes to the emulator and waits there; then its sender gives up."""
    before = set(emulator.hanging)
    asking = asyncio.ensure_future(request)
    await until(lambda: emulator.hanging - before, "the request hangs")
    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
