"""Public frames, as the exchanges' documents have them, exact: the best prices, trades, changes of a book. Pure.

A decoder gives None for a frame that is none of these. Markets are named as the exchange names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from txgateway.brokers.ccxt.frames import amount, moment, written

ZERO = Decimal(0)
Row = tuple[Decimal, Decimal]
"""A price of a book and the size there is now; nought: none any more."""


@dataclass(frozen=True, slots=True)
class Top:
    """The best prices of a market; a side that is not there has size 0. No time: the exchange tells none."""

    market: str
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """A trade of the market."""

    market: str
    price: Decimal
    size: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What changed in a book, or (`whole`) all of it.

    `last` is the number of the state that it leads to; `before` of the one that it changes: with an older one, some
    are missing. None: the exchange numbers nothing.
    """

    market: str
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    time: datetime
    last: int = 0
    before: int | None = None
    whole: bool = False


Shown = Top | Deal | Change
Decode = Callable[[Any], "list[Shown] | None"]
Confirms = Callable[[Any], bool]
"""Whether a frame says that something was subscribed."""


def rows(levels: Iterable[Any]) -> tuple[Row, ...]:
    """A side of a book, or what changed in it."""
    return tuple([(amount(each[0]), amount(each[1])) for each in levels])


# ---------------------------------------------------------------- Binance, spot and USD-M futures


def binance(message: Any) -> list[Shown] | None:
    """bookTicker (of spot without a name and a time), trade and aggTrade, depthUpdate."""
    if not isinstance(message, dict):
        return None
    data = message.get("data") if isinstance(message.get("data"), dict) else message
    assert isinstance(data, dict)
    kind = data.get("e")
    if kind == "bookTicker" or (kind is None and {"u", "s", "b", "B", "a", "A"} <= data.keys()):
        when = moment(data.get("T") or data["E"]) if "E" in data else None
        return [Top(data["s"], amount(data["b"]), amount(data["B"]), amount(data["a"]), amount(data["A"]), when)]
    if kind in ("trade", "aggTrade"):
        # Trades of the insurance fund and ADL are none of the market.
        market = data.get("X", "MARKET") in ("MARKET", "NA")
        return [Deal(data["s"], amount(data["p"]), amount(data["q"]), moment(data["T"]))] if market else []
    if kind == "depthUpdate":
        before = int(data["pu"]) if "pu" in data else int(data["U"]) - 1
        return [Change(data["s"], rows(data["b"]), rows(data["a"]), moment(data["E"]), int(data["u"]), before)]
    return None


def binance_confirms(message: Any) -> bool:
    """The answer to SUBSCRIBE."""
    return isinstance(message, dict) and "id" in message and message.get("result", 0) is None


# ---------------------------------------------------------------- WOO X


def woo(message: Any) -> list[Shown] | None:
    """bbo and bbos, trade, orderbookupdate."""
    if not isinstance(message, dict) or not isinstance(message.get("topic"), str):
        return None
    topic, when = message["topic"].rpartition("@")[2], moment(message.get("ts"))
    data = message.get("data")
    if topic == "bbo" and isinstance(data, dict):
        return [_woo_top(data, when)]
    if topic == "bbos" and isinstance(data, list):
        return [_woo_top(each, when) for each in data]
    if topic == "trade" and isinstance(data, dict):
        return [Deal(data["symbol"], amount(data["price"]), amount(data["size"]), when)]
    if topic == "orderbookupdate" and isinstance(data, dict):
        before = int(data["prevTs"]) if "prevTs" in data else None
        return [Change(data["symbol"], rows(data["bids"]), rows(data["asks"]), when, int(message["ts"]), before)]
    return None


def _woo_top(data: Mapping[str, Any], when: datetime) -> Top:
    sizes = amount(data["bidSize"]), amount(data["askSize"])
    return Top(data["symbol"], amount(data["bid"]), sizes[0], amount(data["ask"]), sizes[1], when)


def woo_confirms(message: Any) -> bool:
    """The answer to subscribe."""
    return isinstance(message, dict) and message.get("event") == "subscribe" and message.get("success") is True


# ---------------------------------------------------------------- Coinbase (Advanced Trade)


def coinbase(message: Any) -> list[Shown] | None:
    """ticker, market_trades (of those before, the last one), l2_data."""
    if not isinstance(message, dict):
        return None
    channel, events = message.get("channel"), message.get("events") or ()
    when = written(message.get("timestamp"))
    if channel in ("ticker", "ticker_batch"):
        return [_coinbase_top(each, when) for event in events for each in event.get("tickers") or ()]
    if channel == "market_trades":
        return [deal for event in events for deal in _coinbase_deals(event)]
    if channel == "l2_data":
        return [_coinbase_change(event, when) for event in events]
    return None


def _coinbase_top(ticker: Mapping[str, Any], when: datetime) -> Top:
    bid, ask = amount(ticker.get("best_bid")), amount(ticker.get("best_ask"))
    sizes = amount(ticker.get("best_bid_quantity")), amount(ticker.get("best_ask_quantity"))
    return Top(ticker["product_id"], bid, sizes[0], ask, sizes[1], when)


def _coinbase_deals(event: Mapping[str, Any]) -> list[Deal]:
    deals = [
        Deal(each["product_id"], amount(each["price"]), amount(each["size"]), written(each["time"]))
        for each in event.get("trades") or ()
    ]
    deals.sort(key=lambda deal: deal.time)
    return deals[-1:] if event.get("type") == "snapshot" else deals


def _coinbase_change(event: Mapping[str, Any], when: datetime) -> Change:
    sides: dict[str, list[Row]] = {"bid": [], "offer": []}
    for each in event.get("updates") or ():
        sides[each["side"]].append((amount(each["price_level"]), amount(each["new_quantity"])))
    whole = event.get("type") == "snapshot"
    return Change(event["product_id"], tuple(sides["bid"]), tuple(sides["offer"]), when, whole=whole)


# ---------------------------------------------------------------- Coinbase Exchange


def coinbaseexchange(message: Any) -> list[Shown] | None:
    """ticker, match and last_match, snapshot and l2update."""
    if not isinstance(message, dict):
        return None
    kind, market = message.get("type"), str(message.get("product_id"))
    if kind == "ticker":
        bid, ask = amount(message.get("best_bid")), amount(message.get("best_ask"))
        sizes = amount(message.get("best_bid_size")), amount(message.get("best_ask_size"))
        return [Top(market, bid, sizes[0], ask, sizes[1], written(message.get("time")))]
    if kind in ("match", "last_match"):
        return [Deal(market, amount(message["price"]), amount(message["size"]), written(message["time"]))]
    if kind == "snapshot":
        when = written(message.get("time"))
        return [Change(market, rows(message["bids"]), rows(message["asks"]), when, whole=True)]
    if kind == "l2update":
        bids = rows(each[1:] for each in message["changes"] if each[0] == "buy")
        asks = rows(each[1:] for each in message["changes"] if each[0] == "sell")
        return [Change(market, bids, asks, written(message.get("time")))]
    return None
