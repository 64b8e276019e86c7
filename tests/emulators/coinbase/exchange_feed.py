"""Coinbase Exchange's WebSocket feed: channels asked, messages told. Each product's messages have one sequence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.emulators.coinbase import exchange_rows as rows
from tests.emulators.coinbase.keys import Unproven
from tests.emulators.coinbase.listing import id_of, of_name
from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.market import Levels
from tests.emulators.crypto.orders import Order, Told

if TYPE_CHECKING:
    from tests.emulators.coinbase.server import CoinbaseEmulator

CHANNELS = ("heartbeat", "ticker", "matches", "level2", "level2_batch", "full", "user")
PROVEN = ("level2", "full", "user")
"""Those that only an owner of a key may have."""
TOLD_AS = {"level2_batch": "level2_50"}
"""How the answer to a subscription calls a channel."""
BATCH = 0.05
"""Seconds of changes that one message of level2_batch has."""


class Feed:
    """What is told to whom."""

    def __init__(self, emulator: CoinbaseEmulator) -> None:
        self.emulator = emulator
        self._batches: dict[str, tuple[Levels, Levels]] = {}

    def links(self) -> list[Link]:
        """Those of this feed."""
        return [link for link in self.emulator.links if link.state["feed"] is self]

    # ---------------------------------------------------------------- asked

    def received(self, link: Link, text: str) -> None:
        """A message of a client."""
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            self.emulator.violations.append(f"not a message: {text[:80]}")
            self._error(link, "Malformed JSON", "")
            return
        if kind not in ("subscribe", "unsubscribe"):
            self._error(link, "Type has to be either subscribe or unsubscribe", f"{kind}")
            return
        if "signature" in message and not self._proven(link, message):
            return
        wishes = self._wishes(link, message)
        if wishes is None:
            return
        for channel, product in wishes:
            self._tell_batch(product)
            if kind == "subscribe":
                link.topics[f"{channel}:{product}"] = True
            else:
                link.topics.pop(f"{channel}:{product}", None)
        self._subscriptions(link)
        if kind == "subscribe":
            for channel, product in wishes:
                self._first(link, channel, product)

    def _error(self, link: Link, message: str, reason: str) -> None:
        link.say({"type": "error", "message": message, "reason": reason})

    def _proven(self, link: Link, message: dict[str, Any]) -> bool:
        account = self.emulator.account_of(str(message.get("key")))
        stamp = str(message.get("timestamp"))
        try:
            if account is None:
                raise Unproven("Invalid API Key")
            sign, phrase, now = str(message["signature"]), str(message.get("passphrase")), self.emulator.now()
            self.emulator.keys(account).prove_exchange(stamp, "GET/users/self/verify", sign, phrase, now)
        except Unproven as unproven:
            self._error(link, "Authentication Failed", json.dumps({"message": str(unproven)}))
            return False
        link.account = account.name
        return True

    def _wishes(self, link: Link, message: dict[str, Any]) -> list[tuple[str, str]] | None:
        wishes: list[tuple[str, str]] = []
        for each in message.get("channels") or []:
            channel = each if isinstance(each, str) else each.get("name")
            products = message.get("product_ids") if isinstance(each, str) else each.get("product_ids")
            if channel not in CHANNELS:
                self._error(link, "Failed to subscribe", f"{channel} is not a valid channel")
                return None
            if channel in PROVEN and link.account is None:
                self._error(link, "Failed to subscribe", f"{channel} channel requires authentication")
                return None
            for product in products or []:
                if self.emulator.product(product) is None:
                    self._error(link, "Failed to subscribe", f"{product} is not a valid product")
                    return None
                wishes.append((channel, product))
        if not wishes:
            self._error(link, "Failed to subscribe", "product_ids or channels missing")
            return None
        return wishes

    def _subscriptions(self, link: Link) -> None:
        channels: dict[str, list[str]] = {}
        for topic in link.topics:
            channel, _, product = topic.partition(":")
            channels.setdefault(TOLD_AS.get(channel, channel), []).append(product)
        rows_ = [{"name": name, "product_ids": found, "account_ids": None} for name, found in channels.items()]
        link.say({"type": "subscriptions", "channels": rows_})

    def _first(self, link: Link, channel: str, product: str) -> None:
        each = self.emulator.product(product)
        assert each is not None
        tape = self.emulator.exchange.tape(each)
        if channel in ("level2", "level2_batch"):
            link.say(rows.snapshot(product, *tape.shown, self.emulator.now()))
        elif channel == "ticker" and tape.trades:
            link.say(self._ticker(each) | {"sequence": self.emulator.sequence(product)})
        elif channel == "matches" and tape.trades:
            trade = tape.trades[-1]
            row = rows.match(product, trade, of_name("maker", trade.number), of_name("taker", trade.number))
            link.say(row | {"type": "last_match", "sequence": self.emulator.sequence(product)})

    def _ticker(self, each: Instrument) -> dict[str, Any]:
        tape = self.emulator.exchange.tape(each)
        best, day = self.emulator.exchange.best(each), self.emulator.market.day(tape)
        return rows.ticker(each, tape.trades[-1], best, day)

    def beat(self) -> None:
        """A second has passed."""
        for link in self.links():
            for topic in link.topics:
                channel, _, product = topic.partition(":")
                each = self.emulator.product(product)
                if channel == "heartbeat" and each is not None:
                    trades = self.emulator.exchange.tape(each).trades
                    row = {"type": "heartbeat", "sequence": self.emulator.sequence(product)}
                    row |= {"last_trade_id": trades[-1].number if trades else 0, "product_id": product}
                    link.say(row | {"time": rows.iso(self.emulator.now())})

    # ---------------------------------------------------------------- told

    def _say(self, channel: str, product: str, message: dict[str, Any]) -> None:
        for link in self.links():
            if f"{channel}:{product}" in link.topics:
                link.say(message)

    def moved(self, moved: Moved) -> None:
        """A book has changed, or there were trades."""
        each = moved.instrument
        product = each.symbol
        for trade in moved.trades:
            ours = {fill.maker: id_of(fill.order) for fill in self.emulator.fills_of(trade.number)}
            maker, taker = ours.get(True, of_name("maker", trade.number)), ours.get(False, of_name("t", trade.number))
            row = rows.match(product, trade, maker, taker) | {"sequence": self.emulator.next_sequence(product)}
            self._say("matches", product, row)
            if not ours:
                self._say("full", product, row)
        if moved.trades:
            self._say("ticker", product, self._ticker(each) | {"sequence": self.emulator.sequence(product)})
        if moved.diff is not None:
            update = rows.l2update(product, moved.diff.bids, moved.diff.asks, self.emulator.now())
            self._say("level2", product, update)
            if (batch := self._batches.get(product)) is None:
                batch = self._batches[product] = ({}, {})
                self.emulator.later(BATCH, lambda: self._batches.get(product) is batch and self._tell_batch(product))
            for levels, changes in zip(batch, (moved.diff.bids, moved.diff.asks), strict=True):
                levels.update(changes)

    def _tell_batch(self, product: str) -> None:
        """What has changed in a book since the last batch."""
        if (batch := self._batches.pop(product, None)) is not None:
            self._say("level2_batch", product, rows.l2update(product, *batch, self.emulator.now()))

    def mine(self, account: str, message: dict[str, Any]) -> None:
        """To the `user` and `full` channels of an account."""
        product = message["product_id"]
        message = message | {"sequence": self.emulator.next_sequence(product)}
        for link in self.links():
            if link.account == account and {f"user:{product}", f"full:{product}"} & link.topics.keys():
                link.say(message)

    def order(self, told: Told) -> None:
        """An order's life."""
        order, kind, account = told.order, told.kind, told.account
        assert order is not None
        if kind == "new":
            waits = order.ticket.waits
            self.mine(account, rows.activate(order, told.at) if waits else rows.received(order))
        elif kind == "triggered":
            self.mine(account, rows.received(order))
        elif kind == "fill":
            assert told.fill is not None
            other = next(
                (id_of(f.order) for f in self.emulator.fills_of(told.fill.number) if f.order != order.number),
                of_name("other", told.fill.number),
            )
            self.mine(account, rows.my_match(order, told.fill, other))
            if order.status == "FILLED":
                self.mine(account, rows.done(order, told.at))
        elif kind == "replaced":
            self.mine(account, rows.changed(order, told.at, order.ticket.extra.get("before", order.left)))
        elif kind in ("canceled", "expired"):
            self.mine(account, rows.done(order, told.at))

    def opened(self, order: Order) -> None:
        """What was not matched rests."""
        self.mine(order.ticket.account, rows.opened(order, self.emulator.now()))
