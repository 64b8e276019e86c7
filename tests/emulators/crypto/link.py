"""A client's WebSocket: what is said to it goes out in order; it can be frozen, ended and broken."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web


class Link:
    """One WebSocket of a client."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.path = request.path
        self.query = dict(request.query)
        self.transport = request.transport
        self.socket = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20)
        self.topics: dict[str, Any] = {}
        """What it has subscribed to: the venue's name of it, and whatever the venue keeps with it."""
        self.account: str | None = None
        """Whose private stream it is."""
        self.frozen = False
        self.state: dict[str, Any] = {}
        """Whatever else the venue keeps with it."""
        self._out: asyncio.Queue[Any] = asyncio.Queue()

    def say(self, message: Any) -> None:
        """A message to the client: text as it is, anything else as JSON. A frozen link swallows it."""
        if not self.frozen:
            self._out.put_nowait(message if isinstance(message, str) else json.dumps(message, separators=(",", ":")))

    def ping(self, payload: bytes = b"") -> None:
        """A ping frame."""
        if not self.frozen:
            self._out.put_nowait(("ping", payload))

    def close(self, code: int = WSCloseCode.OK, text: str = "") -> None:
        """What was said still arrives, then it is closed."""
        if self.frozen:
            self.abort()
        else:
            self._out.put_nowait(("close", code, text))

    def abort(self) -> None:
        """It breaks."""
        if self.transport is not None:
            self.transport.abort()

    async def serve(self, request: web.BaseRequest, received: Any) -> None:
        """Until it ends; `received(link, text)` for each message."""
        await self.socket.prepare(request)
        writer = asyncio.ensure_future(self._write())
        try:
            async for message in self.socket:
                if self.frozen:
                    continue
                if message.type is WSMsgType.PING:
                    self._out.put_nowait(("pong", message.data))
                elif message.type is WSMsgType.TEXT:
                    received(self, message.data)
        finally:
            writer.cancel()

    async def _write(self) -> None:
        while True:
            message = await self._out.get()
            try:
                if isinstance(message, str):
                    await self.socket.send_str(message)
                elif message[0] == "close":
                    await self.socket.close(code=message[1], message=message[2].encode())
                elif message[0] == "ping":
                    await self.socket.ping(message[1])
                else:
                    await self.socket.pong(message[1])
            except (ConnectionError, RuntimeError):  # it broke while this was on its way
                return
