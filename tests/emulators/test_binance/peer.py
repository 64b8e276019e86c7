"""A client of the emulated Binance that is nothing but sockets and signatures."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, WSMsgType

from tests.emulators.loops import until


class Ears:
    """A WebSocket, and all that it has said."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[Any] = []
        self.pings = 0
        self.task = asyncio.ensure_future(self._hear())

    async def _hear(self) -> None:
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))

    def say(self, message: Any) -> asyncio.Future[None]:
        """Something, as JSON."""
        return asyncio.ensure_future(self.socket.send_str(message if isinstance(message, str) else json.dumps(message)))

    async def asks(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer with its id."""
        await self.say(message)
        return await until(lambda: next((each for each in self.heard if each.get("id") == message["id"]), None))

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Of these kinds; those of an account or a combined stream without their wrapping."""
        found = [each.get("event", each.get("data", each)) for each in self.heard if isinstance(each, dict)]
        return [each for each in found if each.get("e") in kinds]

    async def event(self, kind: str, **having: Any) -> dict[str, Any]:
        """The first of a kind, with these values, once it is there."""

        def look() -> dict[str, Any] | None:
            for each in self.events(kind):
                values = each["o"] if isinstance(each.get("o"), dict) else each
                if all(values.get(name) == value for name, value in having.items()):
                    return values
            return None

        return await until(look, f"{kind} {having} in {self.heard}")


class Peer:
    """A client with a key."""

    def __init__(self, port: int, key: str = "key", secret: str = "secret") -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.key, self.secret = key, secret
        self.session = ClientSession()
        self.headers: dict[str, str] = {}
        """Of the last answer."""

    async def get(self, path: str, **params: Any) -> Any:
        """A public question."""
        async with self.session.get(self.base + path, params=params) as response:
            return await self._read(response)

    async def _read(self, response: ClientResponse) -> Any:
        self.headers, self.status = dict(response.headers), response.status
        return await response.json(content_type=None)

    def signed(self, params: dict[str, Any]) -> str:
        """With a timestamp and a signature."""
        query = urlencode({"timestamp": int(time.time() * 1000)} | params)
        return f"{query}&signature={self.signature(query)}"

    def signature(self, payload: str) -> str:
        """Of anything."""
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    async def call(self, method: str, path: str, **params: Any) -> Any:
        """A signed call: POST and PUT with a form, the others with a query."""
        query, headers = self.signed(params), {"X-MBX-APIKEY": self.key}
        if method in ("POST", "PUT"):
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            async with self.session.request(method, self.base + path, data=query, headers=headers) as response:
                return await self._read(response)
        async with self.session.request(method, f"{self.base}{path}?{query}", headers=headers) as response:
            return await self._read(response)

    async def order(self, quantity: Any = "0.01", price: Any = None, **more: Any) -> Any:
        """A new order: a buy of BTCUSDT; at a limit if there is a price."""
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT" if price else "MARKET", "quantity": quantity}
        if price:
            terms |= {"price": price, "timeInForce": "GTC"}
        path = more.pop("path", "/api/v3/order")
        return await self.call("POST", path, **{k: v for k, v in (terms | more).items() if v is not None})

    async def ears(self, path: str) -> Ears:
        """A WebSocket there."""
        return Ears(await self.session.ws_connect(self.base + path))

    async def user(self) -> Ears:
        """Spot's user data."""
        ears = await self.ears("/ws-api/v3")
        params = {"apiKey": self.key, "timestamp": int(time.time() * 1000)}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = self.signature(payload)
        message = {"id": "sub", "method": "userDataStream.subscribe.signature", "params": params}
        assert (await ears.asks(message))["result"] == {"subscriptionId": 0}
        return ears

    async def futures_user(self) -> Ears:
        """Futures' user data."""
        key = (await self.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        return await self.ears(f"/private/ws?listenKey={key}")

    async def close(self) -> None:
        """Hang up."""
        await self.session.close()
