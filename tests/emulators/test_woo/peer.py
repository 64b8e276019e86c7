"""A client that speaks WOO's wire by hand, and one that is ccxt's."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import ccxt.pro

from tests.emulators.loops import until
from tests.emulators.test_crypto import peer

APPLICATION = "251bf5c4-f3c8-4544-bb8b-80001007c3c0"


class Socket(peer.Socket):
    """What WOO tells."""

    async def say(self, **message: Any) -> dict[str, Any]:
        """An event, and its answer."""
        before = len(self.heard)
        await self.socket.send_json(message)
        event = "pong" if message["event"] == "ping" else message["event"]
        return await until(lambda: next((m for m in self.heard[before:] if m.get("event") == event), None))

    def told(self, topic: str) -> list[Any]:
        """The data of a topic."""
        return [message["data"] for message in self.heard if message.get("topic") == topic]

    async def wait(self, topic: str, wanted: Callable[[Any], Any] = bool) -> Any:
        """The first data of a topic that is wanted."""
        return await until(lambda: next((data for data in self.told(topic) if wanted(data)), None), topic)


class Peer(peer.Peer):
    """Signs by hand."""

    kind = Socket

    async def ask(self, method: str, path: str, http: int = 200, **values: Any) -> Any:
        """A v3 request; its answer, whose status must be so."""
        stamp = str(values.pop("stamp", self.control.emulator.ms()))
        key, secret = values.pop("key", "key"), values.pop("secret", "secret")
        body = json.dumps(values) if method in ("POST", "PUT") else ""
        query = f"?{urlencode(values)}" if values and not body else ""
        text = f"{stamp}{method}{path}{query}{body}"
        sign = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"x-api-key": key, "x-api-timestamp": stamp, "x-api-signature": sign}
        return await self.send(method, path + query, body, headers, http)

    async def ask_old(self, method: str, path: str, http: int = 200, **values: Any) -> Any:
        """A v1 request."""
        stamp, text = str(self.control.emulator.ms()), urlencode(sorted(values.items()))
        sign = hmac.new(b"secret", f"{text}|{stamp}".encode(), hashlib.sha256).hexdigest()
        headers = {"x-api-key": "key", "x-api-timestamp": stamp, "x-api-signature": sign}
        headers["content-type"] = "application/x-www-form-urlencoded"
        return await self.send(
            method, f"{path}?{text}" if method == "GET" else path, "" if method == "GET" else text, headers, http
        )

    async def refused(self, method: str, path: str, code: int, http: int = 400, **values: Any) -> str:
        """The same, refused with a code; what it says."""
        answer = await self.ask(method, path, http, **values)
        assert answer["success"] is False
        assert answer["code"] == code, answer
        return answer["message"]

    async def order(self, **more: Any) -> int:
        """A limit order of 0.01 BTC far away; its id."""
        usual = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.01"}
        values = {name: value for name, value in (usual | more).items() if value is not None}
        return (await self.ask("POST", "/v3/trade/order", **values))["data"]["orderId"]

    async def row(self, order: int) -> dict[str, Any]:
        """What REST says of an order."""
        return (await self.ask("GET", "/v3/trade/order", orderId=order))["data"]

    async def public(self, *topics: str) -> Socket:
        """A public stream with topics."""
        return await self._stream("/ws/stream", topics)

    async def private(self, *topics: str, login: bool = True) -> Socket:
        """A private stream with topics."""
        socket = await self._stream(f"/v2/ws/private/stream/{APPLICATION}", ())
        if login:
            stamp = str(self.control.emulator.ms())
            sign = hmac.new(b"secret", f"|{stamp}".encode(), hashlib.sha256).hexdigest()
            answer = await socket.say(event="auth", params={"apikey": "key", "sign": sign, "timestamp": stamp})
            assert answer["success"] is True
        for number, topic in enumerate(topics):
            assert (await socket.say(id=str(number), event="subscribe", topic=topic))["success"] is True
        return socket

    async def _stream(self, path: str, topics: tuple[str, ...]) -> Socket:
        socket = await self.connect(path)
        for number, topic in enumerate(topics):
            answer = await socket.say(id=str(number), event="subscribe", topic=topic)
            assert answer["success"] is True
            assert answer["id"] == str(number)
            socket.heard.clear() if answer is socket.heard[-1] else None
        return socket


def exchange(port: int, **more: Any) -> Any:
    """ccxt.pro's woo, pointed at the emulator."""
    base, stream = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    keys = {"apiKey": "key", "secret": "secret", "uid": APPLICATION, "enableRateLimit": False}
    made = ccxt.pro.woo(keys | more)
    streams = {"public": f"{stream}/ws/stream", "private": f"{stream}/v2/ws/private/stream"}
    made.urls["api"] = {"pub": base, "public": base, "private": base, "ws": streams}
    return made
