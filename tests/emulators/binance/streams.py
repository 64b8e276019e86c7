"""The market streams: subscriptions, and what is told of a market that has moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.emulators.binance import wire
from tests.emulators.binance.asking import Wrong
from tests.emulators.binance.catalogue import eight, plain
from tests.emulators.binance.public import Public, agg_trade, interval_of, rows
from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.market import Bar
from tests.emulators.crypto.server import Emulator

PUBLIC = ("depth", "bookTicker", "trade")
"""What is at /public of futures; the rest is at /market."""
MOST = {"spot": 1024, "futures": 200}
"""Streams of one connection."""


class Streams:
    """Those who have subscribed."""

    def __init__(self, emulator: Emulator, spot: Public, futures: Public) -> None:
        self.emulator = emulator
        self.publics = {"spot": spot, "futures": futures}

    # ---------------------------------------------------------------- subscriptions

    def begin(self, link: Link, names: list[str]) -> None:
        """Those that its path names."""
        for name in names:
            if "@" in name:
                link.topics[name] = None

    def received(self, link: Link, text: str) -> None:
        """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS."""
        try:
            message = json.loads(text)
            method, number = message["method"], message.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            link.say({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        names = message.get("params") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            link.say({"error": {"code": 2, "msg": "Invalid request: params must be a list of strings"}, "id": number})
            return
        result = None
        if method == "SUBSCRIBE":
            if len(link.topics) + len(names) > MOST[link.state["market"]]:
                self.emulator.violations.append(f"too many streams on {link.path}")
                link.close(1008, "Too many subscriptions")
                return
            link.topics |= dict.fromkeys(names)
        elif method == "UNSUBSCRIBE":
            for name in names:
                link.topics.pop(name, None)
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(link.topics)
        else:
            text = f"Invalid request: unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`"
            link.say({"error": {"code": 2, "msg": text}, "id": number})
            return
        link.say({"result": result, "id": number})

    # ---------------------------------------------------------------- what is told

    def moved(self, moved: Moved) -> None:
        """Tell those who want to know."""
        each = moved.instrument
        market = "futures" if each.perp else "spot"
        made: dict[str, list[Any]] = {}
        for link in self.emulator.links:
            if link.state.get("market") != market:
                continue
            for name in list(link.topics):
                symbol, _, kind = name.partition("@")
                if symbol not in (each.symbol.lower(), "!bookTicker", "!ticker", "!miniTicker", "!markPrice"):
                    continue
                if not self._fits(link, kind or symbol[1:]):
                    continue
                if name not in made:
                    made[name] = self._events(moved, symbol, kind)
                for event in made[name]:
                    link.say({"stream": name, "data": event} if link.state["combined"] else event)

    def _fits(self, link: Link, kind: str) -> bool:
        """Futures have streams of one kind at /public, of the other at /market."""
        category = link.state["category"]
        return not category or (category == "public") == kind.startswith(PUBLIC)

    def _events(self, moved: Moved, symbol: str, kind: str) -> list[Any]:
        each, now = moved.instrument, self.emulator.ms()
        if symbol.startswith("!"):
            return self._of_all(moved, symbol, now)
        if kind.startswith("depth"):
            return self._depth(moved, kind, now)
        if kind == "bookTicker":
            return [] if moved.diff is None else [self._book(each, now)]
        if kind in ("trade", "aggTrade"):
            return [self._trade(each, trade, kind, now) for trade in moved.trades]
        if kind.startswith("kline_"):
            return self._klines(moved, kind.removeprefix("kline_"), now)
        if kind in ("ticker", "miniTicker"):
            return [self._ticker(each, kind, now)]
        if kind.startswith("markPrice") and each.perp:
            return [self._mark(each, now)]
        return []

    def _of_all(self, moved: Moved, symbol: str, now: int) -> list[Any]:
        each = moved.instrument
        if symbol == "!bookTicker":
            return [self._book(each, now)] if moved.diff is not None and each.perp else []
        if symbol == "!markPrice":
            return [[self._mark(each, now)]] if each.perp else []
        return [[self._ticker(each, symbol[1:], now)]]

    def _writer(self, each: Instrument) -> Callable[[Any], str]:
        return plain if each.perp else eight

    def _depth(self, moved: Moved, kind: str, now: int) -> list[Any]:
        each, write = moved.instrument, self._writer(moved.instrument)
        most = kind.partition("@")[0].removeprefix("depth")
        if most:
            return self._top(each, int(most), now) if most.isdigit() else []
        diff = moved.diff
        if diff is None:
            return []
        event = {"e": "depthUpdate", "E": now, "s": each.symbol, "U": diff.first, "u": diff.last}
        if each.perp:
            event |= {"T": now, "pu": diff.previous}
        sides = {"b": rows(diff.bids, True, 10_000, write), "a": rows(diff.asks, False, 10_000, write)}
        return [event | sides]

    def _top(self, each: Instrument, most: int, now: int) -> list[Any]:
        tape, write = self.emulator.exchange.tape(each), self._writer(each)
        bids, asks = (rows(levels, i == 0, most, write) for i, levels in enumerate(tape.shown))
        if not each.perp:
            return [{"lastUpdateId": tape.sequence, "bids": bids, "asks": asks}]
        numbers = {"U": tape.sequence, "u": tape.sequence, "pu": tape.sequence - 1}
        return [{"e": "depthUpdate", "E": now, "T": now, "s": each.symbol} | numbers | {"b": bids, "a": asks}]

    def _book(self, each: Instrument, now: int) -> dict[str, Any]:
        bid, bid_size, ask, ask_size = map(self._writer(each), self.emulator.exchange.best(each))
        sides = {"s": each.symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
        number = {"u": self.emulator.exchange.tape(each).sequence}
        return ({"e": "bookTicker"} | number | sides | {"T": now, "E": now}) if each.perp else number | sides

    def _trade(self, each: Instrument, trade: Any, kind: str, now: int) -> dict[str, Any]:
        event = {"e": kind, "E": now, "s": each.symbol}
        if kind == "aggTrade":
            return event | agg_trade(trade, each.perp)
        write = self._writer(each)
        more = {"X": "MARKET"} if each.perp else {"M": True}
        prices = {"t": trade.number, "p": write(trade.price), "q": write(trade.size)}
        return event | prices | {"T": wire.ms(trade.at), "m": trade.sells} | more

    def _klines(self, moved: Moved, name: str, now: int) -> list[Any]:
        """The bar that has ended since, and the one that goes on."""
        if not moved.trades:
            return []
        try:
            seconds = interval_of(name)
        except Wrong:
            return []
        market, tape = self.emulator.market, self.emulator.exchange.tape(moved.instrument)
        start = int(now / 1000 // seconds) * seconds
        before = [t.at for t in tape.trades if t.at < moved.trades[0].at]
        ended = int(before[-1] // seconds) * seconds if before else start
        bars = [(market.bar(tape, seconds, ended), True)] if ended < start else []
        bars.append((market.bar(tape, seconds, start), False))
        return [self._kline(moved.instrument, bar, seconds, name, over, now) for bar, over in bars]

    def _kline(self, each: Instrument, bar: Bar, seconds: int, name: str, over: bool, now: int) -> dict[str, Any]:
        write, last = self._writer(each), self.emulator.market.last_trade
        value = bar.volume * (bar.open + bar.close) / 2
        inner = {
            "t": bar.start * 1000,
            "T": (bar.start + seconds) * 1000 - 1,
            "s": each.symbol,
            "i": name,
            "f": last - bar.trades,
            "L": last,
            "o": write(bar.open),
            "c": write(bar.close),
            "h": write(bar.high),
            "l": write(bar.low),
            "v": write(bar.volume),
            "n": bar.trades,
            "x": over,
            "q": write(value),
            "V": write(bar.volume / 2),
            "Q": write(value / 2),
            "B": "0",
        }
        return {"e": "kline", "E": now, "s": each.symbol, "k": inner}

    def _ticker(self, each: Instrument, kind: str, now: int) -> dict[str, Any]:
        day = self.publics["futures" if each.perp else "spot"]._day(each)
        names = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume"}
        names |= {"q": "quoteVolume"}
        event = {"e": "24hrTicker" if kind == "ticker" else "24hrMiniTicker", "E": now, "s": each.symbol}
        if kind == "ticker":
            names |= {"p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "Q": "lastQty"}
            names |= {"O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count"}
            if not each.perp:
                names |= {"x": "prevClosePrice", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty"}
        return event | {short: day[name] for short, name in names.items()}

    def _mark(self, each: Instrument, now: int) -> dict[str, Any]:
        told = self.publics["futures"]._premium(each)
        names = {"p": "markPrice", "i": "indexPrice", "P": "estimatedSettlePrice", "r": "lastFundingRate"}
        event = {"e": "markPriceUpdate", "E": now, "s": each.symbol}
        return event | {short: told[name] for short, name in names.items()} | {"T": told["nextFundingTime"]}
