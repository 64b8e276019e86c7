"""Clients that speak the wires of Advanced Trade and Exchange by hand, and those that are ccxt's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import ccxt.pro

from tests.emulators.coinbase.server import CoinbaseControl
from tests.emulators.loops import until
from tests.emulators.test_crypto import peer

V3 = "/api/v3/brokerage"


class Socket(peer.Socket):
    """What Coinbase tells."""

    async def wait(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first message that is wanted."""
        return await until(lambda: next((message for message in self.heard if wanted(message)), None))

    def kinds(self) -> list[str]:
        """The types of Exchange's messages."""
        return [message["type"] for message in self.heard]

    def orders(self) -> list[dict[str, Any]]:
        """Rows of Advanced Trade's `user` updates."""
        told = [m["events"] for m in self.heard if m.get("channel") == "user"]
        return [row for events in told for event in events if event["type"] == "update" for row in event["orders"]]


class Peer(peer.Peer):
    """What both have."""

    kind = Socket

    @property
    def stamp(self) -> str:
        """Now, in seconds."""
        return str(int(self.control.emulator.now()))


class AdvancedPeer(Peer):
    """Signs for Advanced Trade with the legacy key."""

    async def ask(self, method: str, path: str, http: int = 200, **values: Any) -> Any:
        """A signed request."""
        secret = values.pop("secret", "secret")
        body = json.dumps(values) if method == "POST" else ""
        query = f"?{urlencode(values, doseq=True)}" if values and not body else ""
        signed = f"{self.stamp}{method}{path}{query if path.startswith('/v2') else ''}{body}"
        sign = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        headers = {"CB-ACCESS-KEY": "key", "CB-ACCESS-SIGN": sign, "CB-ACCESS-TIMESTAMP": self.stamp}
        return await self.send(method, path + query, body, headers, http)

    async def place(self, configuration: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A limit order of 0.01 BTC far away, or another; the answer."""
        usual = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "40000", "post_only": False}}
        values = {"client_order_id": str(uuid.uuid4()), "product_id": "BTC-USD", "side": "BUY"} | more
        return await self.ask("POST", f"{V3}/orders", order_configuration=configuration or usual, **values)

    async def order(self, configuration: dict[str, Any] | None = None, **more: Any) -> str:
        """The same, which must succeed; the order's id."""
        answer = await self.place(configuration, **more)
        assert answer["success"] is True, answer
        return answer["success_response"]["order_id"]

    async def row(self, order: str) -> dict[str, Any]:
        """What REST says of an order."""
        return (await self.ask("GET", f"{V3}/orders/historical/{order}"))["order"]

    async def feed(self, *channels: str, products: tuple[str, ...] = ("BTC-USD",)) -> Socket:
        """A WebSocket that has subscribed."""
        socket = await self.connect("/ws/advanced")
        for channel in channels:
            message = {"type": "subscribe", "channel": channel, "product_ids": list(products)}
            text = f"{self.stamp}{channel}{','.join(products)}"
            sign = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
            await socket.socket.send_json(message | {"api_key": "key", "timestamp": self.stamp, "signature": sign})
            await socket.wait(lambda m, c=channel: c in (m.get("events") or [{}])[0].get("subscriptions", ()))
        return socket


class ExchangePeer(Peer):
    """Signs for Exchange."""

    def _sign(self, text: str) -> dict[str, str]:
        sign = base64.b64encode(hmac.new(b"secret", (self.stamp + text).encode(), hashlib.sha256).digest()).decode()
        return {"key": "key", "signature": sign, "timestamp": self.stamp, "passphrase": "password"}

    async def ask(self, method: str, path: str, http: int = 200, **values: Any) -> Any:
        """A signed request."""
        more = values.pop("more", {})
        body = json.dumps(values) if method == "POST" else ""
        query = f"?{urlencode(values, doseq=True)}" if values and not body else ""
        signed = self._sign(f"{method}{path}{query}{body}")
        headers = {
            "CB-ACCESS-KEY": signed["key"],
            "CB-ACCESS-SIGN": signed["signature"],
            "CB-ACCESS-TIMESTAMP": signed["timestamp"],
            "CB-ACCESS-PASSPHRASE": signed["passphrase"],
        }
        return await self.send(method, path + query, body, headers | more, http)

    async def place(self, http: int = 200, **more: Any) -> Any:
        """A limit order of 0.01 BTC far away, or another; the answer."""
        usual = {"product_id": "BTC-USD", "side": "buy", "type": "limit", "price": "40000", "size": "0.01"}
        values = {name: value for name, value in (usual | more).items() if value is not None}
        return await self.ask("POST", "/orders", http, **values)

    async def refused(self, text: str, http: int = 400, **more: Any) -> None:
        """An order that is refused with these words."""
        assert text in (await self.place(http, **more))["message"]

    async def feed(self, *channels: str, products: tuple[str, ...] = ("BTC-USD",), proven: bool = True) -> Socket:
        """A WebSocket that has subscribed."""
        socket = await self.connect("/ws/exchange")
        message = {"type": "subscribe", "product_ids": list(products), "channels": list(channels)}
        await socket.socket.send_json(message | (self._sign("GET/users/self/verify") if proven else {}))
        await socket.wait(lambda message: message["type"] in ("subscriptions", "error"))
        return socket


def advanced(control: CoinbaseControl, kind: str = "cdp") -> Any:
    """ccxt.pro's coinbase, pointed at the emulator, with a key of a kind."""
    keys, port = control.do_keys(), control.emulator.port
    names = {"legacy": ("key", "secret"), "cdp": ("cdp", "cdp_secret"), "cdp2": ("cdp2", "cdp2_secret")}[kind]
    made = ccxt.pro.coinbase({"apiKey": keys[names[0]], "secret": keys[names[1]], "enableRateLimit": False})
    made.urls["api"] = {"rest": f"http://127.0.0.1:{port}", "ws": f"ws://127.0.0.1:{port}/ws/advanced"}
    return made


def exchange(control: CoinbaseControl) -> Any:
    """ccxt.pro's coinbaseexchange, pointed at the emulator."""
    keys, base = control.do_keys(), f"http://127.0.0.1:{control.emulator.port}"
    given = {"apiKey": keys["key"], "secret": keys["secret64"], "password": keys["passphrase"]}
    made = ccxt.pro.coinbaseexchange(given | {"enableRateLimit": False})
    stream = f"ws://127.0.0.1:{control.emulator.port}/ws/exchange"
    made.urls["api"] = {"public": base, "private": base, "ws": stream}
    return made
