"""What differs in the public side from exchange to exchange, as one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from txgateway.brokers import Can
from txgateway.brokers.ccxt import public
from txgateway.brokers.ccxt.limits import Counts, Pool
from txgateway.brokers.ccxt.public import Confirms, Decode
from txgateway.model.venue import EndpointApi

Watch = tuple[str, bool, Mapping[str, Any]]
"""A method of ccxt's that subscribes; whether it takes a list of pairs; what else it is given."""


class Last(Enum):
    """How the last prices of pairs are asked for."""

    PRICES = auto()
    """By a request for many that has nothing else."""
    TICKERS = auto()
    """By the day's figures of many."""
    TRADES = auto()
    """By the last trade of each: there is no request for many, or it tells prices of some time ago."""


def _watch(method: str, /, many: bool = False, **params: Any) -> Watch:
    return method, many, params


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """One exchange's.

    `decode`: how its public frames are read; None: by ccxt. `confirms`: what says that a subscription stands, where its
    stream does not begin with the present values. `quotes`, `trades`, `book`: what subscribes them; None: it
    has none. `snapshot`: the book comes by request, and not by the stream. `tops`: its quotes are the
    book's best prices, for it tells none by themselves. `depths`: the depths that may be asked for;
    empty: any. `channels`: how its streams are called where ccxt cannot end them; `listed`: in a list.
    `sequence`: the member of every frame that numbers them on one connection.
    `pools`: its rate limits; empty: ccxt's own are kept. `weight`: what one of ccxt's units of cost is there.
    `apis`: how ccxt calls the endpoints for everyone, and those with the key.
    `versions`: what a path may begin with there. `status`: it can be asked whether it works.
    `spot_tickers`: it tells the day's figures of spot pairs too. `bars`: so many at once.
    `last`: how its last prices are asked for; `names`: the parameter that names the pairs, where it takes one.
    """

    decode: Decode | None = None
    confirms: Confirms | None = None
    quotes: Watch | None = None
    trades: Watch | None = None
    book: Watch | None = None
    snapshot: bool = True
    tops: bool = False
    depths: tuple[int, ...] = ()
    most: int = 100
    sequence: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    listed: bool = False
    pools: tuple[Pool, ...] = ()
    weight: float = 1.0
    apis: Mapping[EndpointApi, Any] = field(
        default_factory=lambda: {EndpointApi.PUBLIC: ["public"], EndpointApi.PRIVATE: ["private"]}
    )
    versions: tuple[str, ...] = ()
    status: bool = True
    spot_tickers: bool = True
    bars: int = 300
    last: Last = Last.TICKERS
    names: str = ""
    can: Can = Can.DEPTH | Can.RATE_LIMITS | Can.LAST_PRICES


_PERPETUAL = Can.FUNDING | Can.LEVERAGE | Can.POSITION_MODE
_BINANCE = Feeds(
    decode=public.binance,
    confirms=public.binance_confirms,
    quotes=_watch("watch_bids_asks", many=True),
    trades=_watch("watch_trades"),
    book=_watch("watch_order_book"),
    depths=(5, 10, 20, 50, 100, 500, 1000),
    most=1000,
    pools=(
        Pool("weight", 6000, 60.0, Counts.WEIGHT, "x-mbx-used-weight-1m"),
        Pool("orders 10s", 100, 10.0, Counts.ORDERS, "x-mbx-order-count-10s"),
        Pool("orders 1d", 200_000, 86400.0, Counts.ORDERS, "x-mbx-order-count-1d"),
        Pool("requests 5m", 61_000, 300.0, Counts.REQUESTS),
    ),
    weight=5.0,
    status=False,
    bars=1000,
    last=Last.PRICES,
    names="symbols",
)

TABLE: Mapping[str, Feeds] = {
    "binance": _BINANCE,
    "binanceusdm": replace(
        _BINANCE,
        pools=(
            Pool("weight", 2400, 60.0, Counts.WEIGHT, "x-mbx-used-weight-1m"),
            Pool("orders 10s", 300, 10.0, Counts.ORDERS, "x-mbx-order-count-10s"),
            Pool("orders 1m", 1200, 60.0, Counts.ORDERS, "x-mbx-order-count-1m"),
        ),
        weight=1.0,
        apis={EndpointApi.PUBLIC: ["fapiPublic"], EndpointApi.PRIVATE: ["fapiPrivate"]},
        names="",
        can=_BINANCE.can | _PERPETUAL,
    ),
    "woo": Feeds(
        decode=public.woo,
        confirms=public.woo_confirms,
        quotes=_watch("watch_bids_asks", many=True),
        trades=_watch("watch_trades"),
        book=_watch("watch_order_book", method="orderbookupdate"),
        most=100,
        pools=(
            Pool("requests", 20, 1.0, Counts.REQUESTS),
            Pool("orders", 5, 1.0, Counts.SYMBOL_ORDERS),
        ),
        apis={EndpointApi.PUBLIC: ["v3", "public"], EndpointApi.PRIVATE: ["v3", "private"]},
        versions=("v1", "v3"),
        spot_tickers=False,
        bars=1000,
        can=Can.DEPTH | Can.RATE_LIMITS | Can.LAST_PRICES | _PERPETUAL,
    ),
    "coinbase": Feeds(
        decode=public.coinbase,
        # Its tickers come with a trade only.
        trades=_watch("watch_trades"),
        book=_watch("watch_order_book"),
        snapshot=False,
        tops=True,
        sequence="sequence_num",
        channels={"trades": "market_trades", "book": "level2"},
        pools=(
            Pool("private", 30, 1.0, Counts.PRIVATE),
            Pool("public", 10, 1.0, Counts.PUBLIC),
        ),
        apis={EndpointApi.PUBLIC: ["v3", "public"], EndpointApi.PRIVATE: ["v3", "private"]},
        versions=("v2", "v3"),
        status=False,
        bars=300,
    ),
    "coinbaseexchange": Feeds(
        decode=public.coinbaseexchange,
        trades=_watch("watch_trades"),
        # The channel level2 takes a signature; the same in batches of 50 ms does not.
        book=_watch("watch_order_book", channels=["level2_batch"]),
        snapshot=False,
        tops=True,
        channels={"trades": "matches", "book": "level2_batch"},
        listed=True,
        pools=(
            Pool("private", 15, 1.0, Counts.PRIVATE),
            Pool("public", 10, 1.0, Counts.PUBLIC),
        ),
        status=False,
        bars=300,
        # Its spark lines, which ccxt takes for tickers, have the price of up to an hour ago.
        last=Last.TRADES,
    ),
}


def generic(has: Mapping[str, Any]) -> Feeds:
    """What can be had of an exchange by ccxt's word alone."""

    def there(name: str) -> bool:
        return has.get(name) not in (None, False)

    can = Can(0)
    for flag, names in (
        (Can.QUOTES, ("watchOrderBook",)),
        (Can.TRADES, ("watchTrades",)),
        (Can.BARS, ("fetchOHLCV",)),
        (Can.DEPTH, ("fetchOrderBook", "watchOrderBook")),
        (Can.FUNDING, ("fetchFundingRate",)),
        (Can.LEVERAGE, ("fetchLeverage", "setLeverage")),
        (Can.POSITION_MODE, ("fetchPositionMode", "setPositionMode")),
    ):
        if all(there(name) for name in names):
            can |= flag
    lasts = {"fetchLastPrices": Last.PRICES, "fetchTickers": Last.TICKERS, "fetchTrades": Last.TRADES}
    last = next((each for name, each in lasts.items() if there(name)), None)
    return Feeds(
        last=last or Last.TRADES,
        quotes=_watch("watch_order_book") if there("watchOrderBook") else None,
        trades=_watch("watch_trades") if there("watchTrades") else None,
        book=_watch("watch_order_book") if there("watchOrderBook") else None,
        status=has.get("fetchStatus") is True,
        can=can if last is None else can | Can.LAST_PRICES,
    )


def of(exchange: str, market: str, has: Mapping[str, Any]) -> Feeds:
    """An exchange's row; its swap market's, where that is asked for and differs."""
    if exchange == "binance" and market == "swap":
        return TABLE["binanceusdm"]
    row = TABLE.get(exchange) or generic(has)
    if market == "spot":
        return replace(row, can=row.can & ~_PERPETUAL)
    return row
