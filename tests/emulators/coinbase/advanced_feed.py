"""Coinbase Advanced Trade's WebSocket: channels asked, messages told. Each connection counts its own messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.emulators.coinbase import advanced_rows as rows
from tests.emulators.coinbase.exchange_rows import iso
from tests.emulators.coinbase.keys import Unproven
from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.orders import Account, Order, Told

if TYPE_CHECKING:
    from tests.emulators.coinbase.server import CoinbaseEmulator

CHANNELS = ("heartbeats", "candles", "ticker", "ticker_batch", "level2", "market_trades", "user")
TOLD_AS = {"level2": "l2_data"}
BATCH = 50
"""Orders in one snapshot of `user`."""
ALL = "*"
"""In place of a product: every one."""


class Feed:
    """What is told to whom."""

    def __init__(self, emulator: CoinbaseEmulator) -> None:
        self.emulator = emulator
        self._count = 0
        self._changed: set[str] = set()

    def links(self) -> list[Link]:
        """Those of this feed."""
        return [link for link in self.emulator.links if link.state["feed"] is self]

    # ---------------------------------------------------------------- asked

    def received(self, link: Link, text: str) -> None:
        """A message of a client."""
        try:
            message = json.loads(text)
            kind, channel = message["type"], message["channel"]
        except (ValueError, TypeError, KeyError):
            self.emulator.violations.append(f"not a message: {text[:80]}")
            link.say({"type": "error", "message": "failure to parse message"})
            return
        products = message.get("product_ids") or []
        if kind not in ("subscribe", "unsubscribe") or channel not in CHANNELS:
            link.say({"type": "error", "message": f"invalid type or channel: {kind} {channel}"})
            return
        if any(self.emulator.product(str(each)) is None for each in products):
            link.say({"type": "error", "message": "invalid product_ids"})
            return
        if not products and channel not in ("user", "heartbeats"):
            link.say({"type": "error", "message": "product_ids missing"})
            return
        if ("jwt" in message or "signature" in message or channel == "user") and not self._proven(link, message):
            link.say({"type": "error", "message": "authentication failure"})
            return
        for product in products or [ALL]:
            if kind == "subscribe":
                link.topics[f"{channel}:{product}"] = True
            else:
                link.topics.pop(f"{channel}:{product}", None)
        if kind == "subscribe":
            self._first(link, channel, products)
        self._subscriptions(link)

    def _proven(self, link: Link, message: dict[str, Any]) -> bool:
        now = self.emulator.now()
        try:
            account = self._owner(message)
            keys = self.emulator.keys(account)
            if "jwt" in message:
                keys.prove_token(str(message["jwt"]), now)
            else:
                text = f"{message['channel']}{','.join(message.get('product_ids') or [])}"
                keys.prove_legacy(str(message.get("timestamp")), text, str(message.get("signature")), now)
        except Unproven:
            return False
        link.account = account.name
        return True

    def _owner(self, message: dict[str, Any]) -> Account:
        if "jwt" in message:
            for account in self.emulator.exchange.accounts.values():
                if self.emulator.is_of(self.emulator.keys(account), str(message["jwt"])):
                    return account
        elif (found := self.emulator.account_of(str(message.get("api_key")))) is not None:
            return found
        raise Unproven("invalid key")

    def _subscriptions(self, link: Link) -> None:
        channels: dict[str, list[str]] = {}
        for topic in link.topics:
            channel, _, product = topic.partition(":")
            name = link.account or "" if channel == "user" and product == ALL else product
            channels.setdefault(channel, []).append(channel if channel == "heartbeats" else name)
        self.tell(link, "subscriptions", [{"subscriptions": channels}])

    def tell(self, link: Link, channel: str, events: list[dict[str, Any]], skipped: int = 0) -> None:
        """A message, numbered."""
        number = link.state.get("number", 0) + skipped
        link.state["number"] = number + 1
        message = {"channel": TOLD_AS.get(channel, channel), "client_id": "", "timestamp": iso(self.emulator.now())}
        link.say(message | {"sequence_num": number, "events": events})

    def _first(self, link: Link, channel: str, products: Iterable[str]) -> None:
        """The snapshot of a channel."""
        if channel == "user":
            self._orders(link, set(products))
        elif channel == "heartbeats":
            self._beat(link)
        for product in products if channel not in ("user", "heartbeats") else ():
            each = self.emulator.product(product)
            assert each is not None
            tape = self.emulator.exchange.tape(each)
            if channel == "level2":
                link.state.setdefault("diffs", {})[product] = tape.sequence
                bids, asks = tape.shown
                levels = dict(sorted(bids.items(), reverse=True)), dict(sorted(asks.items()))
                updates = rows.updates(*levels, self.emulator.now())
                self.tell(link, channel, [{"type": "snapshot", "product_id": product, "updates": updates}])
            elif channel == "market_trades":
                trades = [rows.trade_row(product, trade) for trade in list(tape.trades)[::-1][:50]]
                if trades:
                    self.tell(link, channel, [{"type": "snapshot", "trades": trades}])
            elif channel == "candles":
                self.tell(link, channel, [{"type": "snapshot", "candles": [self._candle(each)]}])
            else:
                self.tell(link, channel, [{"type": "snapshot", "tickers": [self._ticker(each)]}])

    def _orders(self, link: Link, products: set[str]) -> None:
        """Every open order, fifty a message; one message when there is none."""
        found = [
            rows.user_row(order)
            for order in self.emulator.exchange.open.values()
            if order.ticket.account == link.account and (not products or order.ticket.instrument.symbol in products)
        ]
        for at in range(0, max(len(found), 1), BATCH):
            self.tell(link, "user", [self._event("snapshot", found[at : at + BATCH])])

    @staticmethod
    def _event(kind: str, orders: list[dict[str, Any]]) -> dict[str, Any]:
        positions: dict[str, Any] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}
        return {"type": kind, "orders": orders, "positions": positions}

    def _ticker(self, each: Instrument) -> dict[str, Any]:
        tape, exchange = self.emulator.exchange.tape(each), self.emulator.exchange
        return rows.ticker_row(each, tape.last, exchange.best(each), self.emulator.market.day(tape))

    def _candle(self, each: Instrument) -> dict[str, str]:
        now = int(self.emulator.now())
        bar = self.emulator.market.bar(self.emulator.exchange.tape(each), 300, now - now % 300)
        return rows.candle_row(bar) | {"product_id": each.symbol}

    # ---------------------------------------------------------------- told

    def beat(self) -> None:
        """A second has passed."""
        self._count += 1
        changed, self._changed = self._changed, set()
        for link in self.links():
            if f"heartbeats:{ALL}" in link.topics or any(t.startswith("heartbeats:") for t in link.topics):
                self._beat(link)
            for product in sorted(changed):
                each = self.emulator.product(product)
                if each is not None and f"ticker_batch:{product}" in link.topics:
                    self.tell(link, "ticker_batch", [{"type": "update", "tickers": [self._ticker(each)]}])

    def _beat(self, link: Link) -> None:
        self.tell(link, "heartbeats", [rows.heartbeat(self.emulator.now(), self._count)])

    def moved(self, moved: Moved) -> None:
        """A book has changed, or there were trades."""
        each, product = moved.instrument, moved.instrument.symbol
        self._changed.add(product)
        for link in self.links():
            if moved.diff is not None and f"level2:{product}" in link.topics:
                numbers = link.state.setdefault("diffs", {})
                lost = moved.diff.previous != numbers.get(product, moved.diff.previous)
                numbers[product] = moved.diff.last
                updates = rows.updates(moved.diff.bids, moved.diff.asks, self.emulator.now())
                event = {"type": "update", "product_id": product, "updates": updates}
                self.tell(link, "level2", [event], skipped=int(lost))
            if moved.trades and f"market_trades:{product}" in link.topics:
                trades = [rows.trade_row(product, trade) for trade in reversed(moved.trades)]
                self.tell(link, "market_trades", [{"type": "update", "trades": trades}])
            if moved.trades and f"ticker:{product}" in link.topics:
                self.tell(link, "ticker", [{"type": "update", "tickers": [self._ticker(each)]}])
            if moved.trades and f"candles:{product}" in link.topics:
                self.tell(link, "candles", [{"type": "update", "candles": [self._candle(each)]}])

    def order(self, told: Told) -> None:
        """An order has changed: only how it is now is told, not what has been filled."""
        order = told.order
        assert order is not None
        row = rows.user_row(order)
        if told.kind == "new" and not order.ticket.waits:
            row |= {"status": "PENDING"}
        self._mine(order, row)

    def opened(self, order: Order) -> None:
        """What was not matched rests."""
        self._mine(order, rows.user_row(order))

    def _mine(self, order: Order, row: dict[str, Any]) -> None:
        wanted = {f"user:{ALL}", f"user:{order.ticket.instrument.symbol}"}
        for link in self.links():
            if link.account == order.ticket.account and wanted & link.topics.keys():
                self.tell(link, "user", [self._event("update", [row])])
