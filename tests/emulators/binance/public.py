"""Public REST calls of spot (/api/v3) and futures (/fapi/v1): time, rules, books, trades, bars, tickers, funding."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.emulators.binance import wire
from tests.emulators.binance.asking import Asked, Wrong, limit_of
from tests.emulators.binance.catalogue import eight, exchange_info, futures_info, plain
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Bar, Levels, Tape, Trade
from tests.emulators.crypto.orders import Account
from tests.emulators.crypto.server import Emulator

D = Decimal
INTERVALS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
ANY = Account("", "", "")


def interval_of(name: str) -> int:
    """Seconds of 1m, 4h, …"""
    found = re.fullmatch(r"(\d{1,2})([smhdw])", name)
    if not found:
        raise Wrong(-1120, "Invalid interval.")
    return int(found[1]) * INTERVALS[found[2]]


def rows(levels: Levels, bids: bool, most: int, write: Callable[[Decimal], str]) -> list[list[str]]:
    """One side of a book, the best first."""
    return [[write(price), write(levels[price])] for price in sorted(levels, reverse=bids)[:most]]


class Public:
    """The calls that need no key; `perp` says of which market."""

    def __init__(self, emulator: Emulator, named: Callable[[str], Instrument], perp: bool) -> None:
        self.emulator = emulator
        self.named = named
        self.perp = perp
        self.write = plain if perp else eight

    def all(self) -> list[Instrument]:
        """Of this market."""
        return [t.instrument for t in self.emulator.market.tapes.values() if t.instrument.perp == self.perp]

    def _tape(self, asked: Asked) -> Tape:
        return self.emulator.exchange.tape(self.named(asked.word("symbol")))

    def ping(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET ping."""
        return {}

    def time(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET time."""
        return {"serverTime": self.emulator.ms()}

    def exchange_info(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET exchangeInfo."""
        if self.perp:
            return futures_info(self.all(), self.emulator.ms())
        return exchange_info(self._chosen(asked) or self.all(), self.emulator.ms())

    def _chosen(self, asked: Asked) -> list[Instrument] | None:
        """Those that `symbol` or `symbols` name; None: neither was sent."""
        if asked.get("symbol"):
            return [self.named(asked["symbol"])]
        names = asked.names()
        return None if names is None else [self.named(name) for name in names]

    def _one_or_more(self, asked: Asked, of: Callable[[Instrument], dict[str, Any]]) -> Any:
        found = [of(each) for each in self._chosen(asked) or self.all()]
        return found[0] if asked.get("symbol") else found

    # ---------------------------------------------------------------- books and trades

    def depth(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET depth."""
        tape, now = self._tape(asked), self.emulator.ms()
        limit = asked.whole("limit", 500 if self.perp else 100) or 0
        if self.perp and limit not in DEPTHS:
            raise Wrong(-4021, f"'{limit}' is invalid depth limit")
        bids, asks = tape.shown
        times = {"E": now, "T": now} if self.perp else {}
        return (
            {"lastUpdateId": tape.sequence}
            | times
            | {"bids": rows(bids, True, min(limit, 5000), self.write), "asks": rows(asks, False, limit, self.write)}
        )

    def trades(self, asked: Asked, account: Account = ANY) -> list[dict[str, Any]]:
        """GET trades and historicalTrades."""
        found, first = list(self._tape(asked).trades), asked.whole("fromId")
        limit = limit_of(asked, 500, 1000)
        chosen = found[-limit:] if first is None else [t for t in found if t.number >= first][:limit]
        return [self._trade(trade) for trade in chosen]

    def _trade(self, trade: Trade) -> dict[str, Any]:
        more = {} if self.perp else {"isBestMatch": True}
        return {
            "id": trade.number,
            "price": self.write(trade.price),
            "qty": self.write(trade.size),
            "quoteQty": self.write(trade.price * trade.size),
            "time": wire.ms(trade.at),
            "isBuyerMaker": trade.sells,
        } | more

    def agg_trades(self, asked: Asked, account: Account = ANY) -> list[dict[str, Any]]:
        """GET aggTrades; here each has one trade."""
        found, first = list(self._tape(asked).trades), asked.whole("fromId")
        start, end = asked.whole("startTime"), asked.whole("endTime")
        if first is not None:
            found = [t for t in found if t.number >= first]
        if start is not None:
            found = [t for t in found if wire.ms(t.at) >= start]
        if end is not None:
            found = [t for t in found if wire.ms(t.at) <= end]
        limit = limit_of(asked, 500, 1000)
        chosen = found[:limit] if first is not None or start is not None else found[-limit:]
        return [agg_trade(trade, self.perp) for trade in chosen]

    # ---------------------------------------------------------------- bars

    def klines(self, asked: Asked, account: Account = ANY) -> list[list[Any]]:
        """GET klines."""
        tape, seconds = self._tape(asked), interval_of(asked.word("interval"))
        limit = limit_of(asked, 500, 1500 if self.perp else 1000)
        start, end = asked.whole("startTime"), asked.whole("endTime")
        ends = self.emulator.now() if end is None else end / 1000 + 0.001
        begins = start / 1000 if start is not None else (ends // seconds - limit + 1) * seconds
        found = self.emulator.market.bars(tape, seconds, begins, ends, limit)
        return [self._kline(bar, seconds) for bar in found]

    def _kline(self, bar: Bar, seconds: int) -> list[Any]:
        value = bar.volume * (bar.open + bar.close) / 2
        prices = [self.write(price) for price in (bar.open, bar.high, bar.low, bar.close)]
        ends = (bar.start + seconds) * 1000 - 1
        half = [self.write(bar.volume / 2), eight(value / 2)]
        return [bar.start * 1000, *prices, self.write(bar.volume), ends, eight(value), bar.trades, *half, "0"]

    # ---------------------------------------------------------------- tickers

    def book_ticker(self, asked: Asked, account: Account = ANY) -> Any:
        """GET ticker/bookTicker."""
        return self._one_or_more(asked, self._book)

    def _book(self, each: Instrument) -> dict[str, Any]:
        bid, bid_size, ask, ask_size = map(self.write, self.emulator.exchange.best(each))
        told = {"symbol": each.symbol, "bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size}
        if self.perp:
            told |= {"time": self.emulator.ms(), "lastUpdateId": self.emulator.exchange.tape(each).sequence}
        return told

    def price(self, asked: Asked, account: Account = ANY) -> Any:
        """GET ticker/price."""
        return self._one_or_more(asked, self._price)

    def _price(self, each: Instrument) -> dict[str, Any]:
        """Futures tell when it was traded too."""
        trades = self.emulator.exchange.tape(each).trades
        at = wire.ms(trades[-1].at) if trades else self.emulator.ms()
        return {"symbol": each.symbol, "price": self._last(each)} | ({"time": at} if self.perp else {})

    def _last(self, each: Instrument) -> str:
        return self.write(self.emulator.exchange.tape(each).last)

    def day(self, asked: Asked, account: Account = ANY) -> Any:
        """GET ticker/24hr."""
        return self._one_or_more(asked, self._day)

    def _day(self, each: Instrument) -> dict[str, Any]:
        tape, write = self.emulator.exchange.tape(each), self.write
        bar, now = self.emulator.market.day(tape), self.emulator.ms()
        change, last = bar.close - bar.open, tape.trades[-1].number if tape.trades else 10_000
        told = {
            "symbol": each.symbol,
            "priceChange": write(change),
            "priceChangePercent": f"{100 * change / bar.open:.3f}",
            "weightedAvgPrice": write((bar.open + bar.close) / 2),
            "lastPrice": write(bar.close),
            "lastQty": write(tape.trades[-1].size if tape.trades else D(0)),
            "openPrice": write(bar.open),
            "highPrice": write(bar.high),
            "lowPrice": write(bar.low),
            "volume": write(bar.volume),
            "quoteVolume": write(bar.volume * (bar.open + bar.close) / 2),
            "openTime": now - 86_400_000,
            "closeTime": now,
            "firstId": last - bar.trades,
            "lastId": last,
            "count": bar.trades,
        }
        if not self.perp:
            book = self._book(each)
            told |= {name: book[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}
            told["prevClosePrice"] = write(bar.open)
        return told

    def average(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET avgPrice."""
        return {"mins": 5, "price": self.write(self._tape(asked).last), "closeTime": self.emulator.ms()}

    # ---------------------------------------------------------------- perpetuals

    def premium(self, asked: Asked, account: Account = ANY) -> Any:
        """GET premiumIndex."""
        return self._one_or_more(asked, self._premium)

    def _premium(self, each: Instrument) -> dict[str, Any]:
        market, tape = self.emulator.market, self.emulator.exchange.tape(each)
        return {
            "symbol": each.symbol,
            "markPrice": eight(tape.marked),
            "indexPrice": eight(tape.middle),
            "estimatedSettlePrice": eight(tape.middle),
            "lastFundingRate": eight(market.rate(each, market.next_funding(each))),
            "interestRate": "0.00010000",
            "nextFundingTime": market.next_funding(each) * 1000,
            "time": self.emulator.ms(),
        }

    def funding_rates(self, asked: Asked, account: Account = ANY) -> list[dict[str, Any]]:
        """GET fundingRate: what was paid."""
        market, found = self.emulator.market, []
        start, end = asked.whole("startTime"), asked.whole("endTime")
        limit = limit_of(asked, 100, 1000)
        for each in self._chosen(asked) or self.all():
            interval = each.interval * 3600
            last = int(min(self.emulator.now(), (end or 10**15) / 1000) // interval)
            first = last - limit + 1 if start is None else int(-(-start // 1000) // interval)
            for number in range(max(first, last - 10_000), last + 1)[:limit]:
                at = number * interval
                if start is not None and at * 1000 < start:
                    continue
                rate, mark = eight(market.rate(each, at)), eight(market.path(each, at))
                found.append({"symbol": each.symbol, "fundingRate": rate, "fundingTime": at * 1000, "markPrice": mark})
        return found[:limit] if asked.get("symbol") else found

    def funding_info(self, asked: Asked, account: Account = ANY) -> list[dict[str, Any]]:
        """GET fundingInfo."""
        return [
            {
                "symbol": each.symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": each.interval,
                "disclaimer": False,
            }
            for each in self.all()
        ]

    def open_interest(self, asked: Asked, account: Account = ANY) -> dict[str, Any]:
        """GET openInterest."""
        each = self.named(asked.word("symbol"))
        return {"symbol": each.symbol, "openInterest": "10659.509", "time": self.emulator.ms()}


def agg_trade(trade: Trade, perp: bool) -> dict[str, Any]:
    """As REST and the stream have it."""
    write = plain if perp else eight
    told = {
        "a": trade.number,
        "p": write(trade.price),
        "q": write(trade.size),
        "f": trade.number,
        "l": trade.number,
        "T": wire.ms(trade.at),
        "m": trade.sells,
    }
    return told if perp else told | {"M": True}
