"""The WebSockets: events asked and topics told. Times are milliseconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.market import Diff
from tests.emulators.crypto.orders import Told
from tests.emulators.woo import rows, signing
from tests.emulators.woo.data import LENGTHS, Accounts, Data
from tests.emulators.woo.errors import Fault

if TYPE_CHECKING:
    from tests.emulators.woo.server import WooEmulator

FOR_ALL = ("tickers", "bbos", "markprices")
FOR_ONE = ("orderbook", "orderbook100", "orderbookupdate", "trade", "ticker", "bbo")
FOR_PERP = ("markprice", "indexprice", "openinterest", "estfundingrate")
MINE = ("executionreport", "algoexecutionreportv2", "balance", "position", "account", "notification")
PATIENCE = 3
"""Pings that may stay unanswered."""


class Streams:
    """What is told to whom."""

    def __init__(self, emulator: WooEmulator) -> None:
        self.emulator = emulator
        self._times: dict[str, int] = {}
        """By symbol: the time of the last change in its book that was told."""
        self._numbers: dict[str, int] = {}
        """By symbol: the number of that change."""
        self._versions = 0

    # ---------------------------------------------------------------- asked

    def beat(self) -> None:
        """A ping to all; who has not answered several is hung up on."""
        for link in list(self.emulator.links):
            waits = link.state["waits"] = link.state.get("waits", 0) + 1
            if waits > PATIENCE:
                link.close(1000, "no pong")
            else:
                link.say({"event": "ping", "ts": self.emulator.ms()})

    def received(self, link: Link, text: str) -> None:
        """An event of a client."""
        try:
            message = json.loads(text)
            event = message["event"]
        except (ValueError, TypeError, KeyError):
            self.emulator.violations.append(f"not an event: {text[:80]}")
            link.say({"success": False, "ts": self.emulator.ms(), "errorMsg": "invalid request"})
            return
        if event == "ping":
            link.say({"event": "pong", "ts": self.emulator.ms()})
        elif event == "pong":
            link.state["waits"] = 0
        elif event == "auth":
            self._auth(link, message)
        elif event in ("subscribe", "unsubscribe"):
            self._subscribe(link, message, event)
        elif event == "request":
            self._request(link, message)
        else:
            self._answer(link, message, error=f"unknown event {event}")

    def _answer(self, link: Link, message: dict[str, Any], error: str = "", **more: Any) -> None:
        answer = {"id": str(message["id"])} if "id" in message else {}
        answer |= {"event": message["event"], "success": not error, "ts": self.emulator.ms()} | more
        link.say(answer | ({"errorMsg": error} if error else {}))

    def _auth(self, link: Link, message: dict[str, Any]) -> None:
        given = message.get("params") if isinstance(message.get("params"), dict) else {}
        account = self.emulator.account_of(str(given.get("apikey")))
        stamp = str(given.get("timestamp"))
        try:
            if account is None or not link.state["private"]:
                raise Fault(-1002, "Invalid credentials")
            signing.check(account.secret, stamp, f"|{stamp}", str(given.get("sign")), self.emulator.ms())
        except Fault:
            self._answer(link, message, error="Auth failed, invalid credentials.")
            return
        link.account = account.name
        self._answer(link, message)

    def _subscribe(self, link: Link, message: dict[str, Any], event: str) -> None:
        topic = str(message.get("topic"))
        if error := self._wrong(link, topic):
            self._answer(link, message, error=error)
            return
        if event == "unsubscribe":
            link.topics.pop(topic, None)
            self._answer(link, message, data=topic)
            return
        link.topics[topic] = True
        self._answer(link, message, data=topic)
        self._first(link, topic)

    def _wrong(self, link: Link, topic: str) -> str:
        if link.state["private"]:
            if link.account is None:
                return "Auth is needed."
            return "" if topic in MINE else "invalid topic"
        if topic in MINE:
            return "Auth is needed."
        if topic in FOR_ALL:
            return ""
        symbol, _, name = topic.partition("@")
        try:
            each = self.emulator.listed(symbol)
        except Fault:
            return "invalid symbol"
        known = name in FOR_ONE or (name.startswith("kline_") and name[6:] in LENGTHS)
        return "" if known or (each.perp and name in FOR_PERP) else "invalid topic"

    def _request(self, link: Link, message: dict[str, Any]) -> None:
        given = message.get("params") if isinstance(message.get("params"), dict) else {}
        try:
            if given.get("type") != "orderbook":
                raise Fault(-1005, "unknown type")
            book = self.book(self.emulator.listed(str(given.get("symbol"))), 100)
        except Fault as fault:
            self._answer(link, message, error=fault.message)
            return
        sides = {name: [[float(r["price"]), float(r["quantity"])] for r in book[name]] for name in ("asks", "bids")}
        self._answer(link, message, data={"symbol": given["symbol"], "ts": book["timestamp"], **sides})

    def book(self, each: Instrument, most: int) -> dict[str, Any]:
        """A snapshot, later than every change that was told, earlier than every one that will be."""
        stamp = self._times[each.symbol] = max(self._times.get(each.symbol, 0), self.emulator.ms())
        return Data(self.emulator).book(each, most) | {"timestamp": stamp}

    # ---------------------------------------------------------------- told: markets

    def _say(self, topic: str, data: Any, link: Link | None = None, stamp: int = 0) -> None:
        message = {"topic": topic, "ts": stamp or self.emulator.ms(), "data": data}
        for each in [link] if link else self.emulator.links:
            if link or topic in each.topics:
                each.say(message)

    def _first(self, link: Link, topic: str) -> None:
        """What is told at once."""
        exchange = self.emulator.exchange
        every = [tape.instrument for tape in self.emulator.market.tapes.values()]
        if topic == "bbos":
            self._say(topic, [rows.best_data(each, *exchange.view(each)) for each in every], link)
        elif topic == "tickers":
            self._say(topic, [self._ticker(each) for each in every], link)
        elif topic == "markprices":
            self._say(topic, [self._mark(each) for each in every if each.perp], link)
        elif "@" in topic:
            symbol, _, name = topic.partition("@")
            each = self.emulator.listed(symbol)
            if name not in ("trade", "orderbookupdate"):
                self._say(topic, self._data(each, name), link)

    def _ticker(self, each: Instrument) -> dict[str, Any]:
        return rows.ticker_data(each, self.emulator.market.day(self.emulator.exchange.tape(each)))

    def _mark(self, each: Instrument) -> dict[str, Any]:
        return {"symbol": each.symbol, "price": rows.number(self.emulator.exchange.tape(each).marked)}

    def _data(self, each: Instrument, name: str) -> dict[str, Any]:
        market, bids, asks = self.emulator.market, *self.emulator.exchange.view(each)
        if name in ("orderbook", "orderbook100"):
            sides = {"asks": rows.levels_pairs(asks, False), "bids": rows.levels_pairs(bids, True)}
            return {"symbol": each.symbol, **sides}
        if name == "bbo":
            return rows.best_data(each, bids, asks)
        if name == "ticker":
            return self._ticker(each)
        if name.startswith("kline_"):
            length = LENGTHS[name[6:]]
            return rows.kline_data(each, name[6:], length, Data(self.emulator).bar(each, length))
        if name == "estfundingrate":
            rate, due = rows.number(market.rate(each, market.now())), market.next_funding(each) * 1000
            return {"symbol": each.symbol, "fundingRate": rate, "fundingTs": due}
        if name == "openinterest":
            return {"symbol": each.symbol, "openInterest": 221.3498}
        return self._mark(each)

    def moved(self, moved: Moved) -> None:
        """A book has changed, or there were trades."""
        each = moved.instrument
        wanted = {topic for link in self.emulator.links for topic in link.topics}
        if moved.diff is not None:
            self._changed(each, moved.diff, f"{each.symbol}@orderbookupdate" in wanted)
        for trade in moved.trades:
            row = rows.trade_row(each, trade)
            data = {"symbol": each.symbol, "price": float(row["executedPrice"]), "size": float(row["executedQuantity"])}
            self._say(f"{each.symbol}@trade", data | {"side": row["side"], "source": 0})
        for topic in wanted:
            symbol, _, name = topic.partition("@")
            if topic == "bbos" and moved.diff is not None:
                self._say(topic, [rows.best_data(each, *self.emulator.exchange.view(each))])
            elif topic == "tickers" and moved.trades:
                self._say(topic, [self._ticker(each)])
            elif symbol == each.symbol and name not in ("trade", "orderbookupdate"):
                self._say(topic, self._data(each, name))

    def _changed(self, each: Instrument, diff: Diff, wanted: bool) -> None:
        before = self._times.get(each.symbol, 0) or self.emulator.ms() - 200
        if diff.previous != self._numbers.get(each.symbol, diff.previous):
            before += 1  # a change was not told: it was later than the last that was
        stamp = self._times[each.symbol] = max(before + 1, self.emulator.ms())
        self._numbers[each.symbol] = diff.last
        if wanted:
            sides = {"asks": rows.levels_pairs(diff.asks, False), "bids": rows.levels_pairs(diff.bids, True)}
            data = {"symbol": each.symbol, "prevTs": before, **sides}
            self._say(f"{each.symbol}@orderbookupdate", data, stamp=stamp)

    # ---------------------------------------------------------------- told: what is mine

    def told(self, told: Told) -> None:
        """To the private streams of its account."""
        if told.order is not None:
            self._order(told)
        if told.balances:
            self._versions += 1
            data = {asset: rows.balance_data(balance, self._versions) for asset, (balance, _) in told.balances.items()}
            self._mine(told.account, "balance", {"balances": data})
        mine = Accounts(self.emulator, self.emulator.exchange.accounts[told.account])
        for each in told.positions:
            self._versions += 1
            tape = self.emulator.exchange.tape(each.instrument)
            data = rows.position_data(each, tape, mine.open_orders(), self._versions)
            self._mine(told.account, "position", {"positions": {each.instrument.symbol: data}})

    def _order(self, told: Told) -> None:
        order, kind = told.order, told.kind
        assert order is not None
        if order.ticket.waits and kind not in ("edit_rejected", "cancel_rejected"):
            self._mine(told.account, "algoexecutionreportv2", [rows.algo_report(order, told.fill)])
        if order.triggered:
            message = {"edit_rejected": 1, "cancel_rejected": 2, "canceled": 3, "expired": 3}.get(kind, 0)
            reason = told.reason if message in (1, 2) else order.reason
            self._mine(told.account, "executionreport", rows.report(order, told.fill, message, reason, told.at))

    def _mine(self, account: str, topic: str, data: Any) -> None:
        message = {"topic": topic, "ts": self.emulator.ms(), "data": data}
        for link in self.emulator.links:
            if link.account == account and topic in link.topics:
                link.say(message)
