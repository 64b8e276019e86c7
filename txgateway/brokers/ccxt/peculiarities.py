"""What differs from exchange to exchange, as one table; the code asks it, and never an exchange's name. Pure.

What stands here was read in the exchanges' documents and tried on their emulated peers. An exchange that is not in the
table is taken at ccxt's word (`generic`): less is claimed of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from txgateway.brokers import Can
from txgateway.brokers.ccxt import frames
from txgateway.brokers.ccxt.frames import Decode
from txgateway.brokers.ccxt.ids import IdForm
from txgateway.brokers.ccxt.translate import Stop


class Pages(Enum):
    """How a list that is longer than one answer is asked for further."""

    FROM_ID = auto()
    """From the last one's id on, oldest first."""
    NUMBERED = auto()
    """By the page's number."""
    CURSOR = auto()
    """By the cursor that ccxt leaves in the first one."""
    HEADER = auto()
    """By the cursor in the answer's header CB-AFTER."""
    UNTIL = auto()
    """From the last one's time on, until nothing is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peculiarities:
    """One exchange's (one market's, where it has two).

    `markets`: those of them that can be traded here, if ccxt has them.
    `decode`: how its private frames are read; None: by ccxt. `streams`: what must be confirmed before it is up, by
    the names that `decode` gives. `watch`: which of ccxt's methods subscribe the private stream, with their
    arguments; `every_pair`: they want the pairs. `beats`: a channel that keeps the stream alive.
    `find`: the parameter by which an order is asked for by our id; empty: it must be found in the list.
    `per_symbol`: lists are of one symbol each.
    `window`: of so much time fills may be asked for at once; `newest`: without a time it is the last page of them.
    `memory`: so long closed orders can be asked for.
    `forgets_unfilled`: not those that were canceled unfilled.
    `sure`: in an error's text, what says that an order was not placed; `absent`: that there is no such order.
    `collar`: a purchase at the market is sent as an IOC limit order so far above it (a fraction), where there is none
    by quantity. `cancel_answers`: the answer to a cancel tells that it was done, not only that it was taken in.
    `wallet`: what its answer calls the total of a currency, where ccxt adds the profit of open positions.
    `fill_time`: where its fills have their time in seconds, which ccxt makes floats of. `plain_ids`: its trade ids are
    unique in all pairs. `flat_symbol`: a cancel is given the pair. `time`: the call, and its member, in which its clock
    is told in milliseconds, where ccxt asks for whole seconds. `testnet`: the one that ccxt knows of is still there.
    """

    can: Can
    markets: frozenset[str] = frozenset({"spot", "swap"})
    form: IdForm = IdForm.TEXT
    decode: Decode | None = None
    streams: frozenset[str] = frozenset()
    watch: tuple[tuple[str, Mapping[str, Any]], ...] = (("watch_orders", MappingProxyType({})),)
    every_pair: bool = False
    beats: str = ""
    find: str = ""
    per_symbol: bool = True
    pages: Pages = Pages.UNTIL
    page: int = 100
    window: timedelta = timedelta(days=1)
    newest: bool = False
    memory: timedelta = timedelta(days=30)
    forgets_unfilled: bool = False
    sure: re.Pattern[str] | None = None
    absent: re.Pattern[str] | None = None
    client_key: str = "clientOrderId"
    time: tuple[str, str] = ("", "")
    stop: Stop = field(default_factory=Stop)
    cancel_answers: bool = True
    balance: Mapping[str, Any] = field(default_factory=dict)
    wallet: str = ""
    collar: float = 0.0
    plain_ids: bool = True
    fill_time: str = ""
    fills_by_stream: bool = False
    balances_by_stream: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    flat_symbol: bool = True
    testnet: bool = True


_ORDERS = Can.MARKET | Can.LIMIT | Can.GTC | Can.IOC | Can.FOK
_ASKED = Can.CLIENT_ORDER_ID | Can.LOOKUP | Can.EXECUTION_HISTORY
_PUBLIC = Can.QUOTES | Can.TRADES | Can.BARS
_BINANCE_SURE = re.compile(r'"code"\s*:\s*-(1013|1015|102\d|11\d\d|20\d\d|4(?!116)\d{3}|5\d{3})\b')

TABLE: Mapping[str, Peculiarities] = {
    "binance": Peculiarities(
        can=_ORDERS | Can.STOP | Can.STOP_LIMIT | _ASKED | _PUBLIC | Can.BALANCE_STREAM,
        decode=frames.binance,
        streams=frozenset({"user"}),
        find="origClientOrderId",
        pages=Pages.FROM_ID,
        page=1000,
        newest=True,
        memory=timedelta(days=89),
        sure=_BINANCE_SURE,
        plain_ids=False,
        fills_by_stream=True,
        balances_by_stream=True,
        options={"adjustForTimeDifference": True, "fetchOpenOrders": {"warnWithoutSymbol": False}},
    ),
    "binanceusdm": Peculiarities(
        can=_ORDERS | Can.REPLACE | _ASKED | _PUBLIC | Can.BALANCE_STREAM,
        decode=frames.binance,
        streams=frozenset({"connected"}),
        find="origClientOrderId",
        pages=Pages.FROM_ID,
        page=1000,
        wallet="walletBalance",
        window=timedelta(days=7),
        memory=timedelta(days=2, hours=23),
        sure=_BINANCE_SURE,
        plain_ids=False,
        fills_by_stream=True,
        balances_by_stream=True,
        testnet=False,
        options={
            "adjustForTimeDifference": True,
            "fetchOpenOrders": {"warnWithoutSymbol": False},
            # of watch_orders, behind our back: its comparison fails on numbers that are texts
            "watchPositions": {"fetchPositionsSnapshot": False},
        },
    ),
    "woo": Peculiarities(
        can=_ORDERS | _ASKED | _PUBLIC | Can.BALANCE_STREAM,
        form=IdForm.NUMBER,
        decode=frames.woo,
        streams=frozenset({"auth", "subscription 1", "subscription 2"}),
        watch=(("watch_orders", MappingProxyType({})), ("watch_balance", MappingProxyType({}))),
        find="clientOrderId",
        per_symbol=False,
        pages=Pages.NUMBERED,
        page=500,
        sure=re.compile(r'"success"\s*:\s*false.*"code"\s*:\s*-?(1005|1006|1008|1009|1012|1101|1103|317\d+)\b'),
        fills_by_stream=True,
        balances_by_stream=True,
        collar=0.05,
        cancel_answers=False,
        fill_time="executedTimestamp",
    ),
    "coinbase": Peculiarities(
        can=_ORDERS | Can.STOP_LIMIT | _ASKED | _PUBLIC,
        markets=frozenset({"spot"}),
        decode=frames.coinbase,
        streams=frozenset({"user"}),
        beats="heartbeats",
        per_symbol=False,
        pages=Pages.CURSOR,
        page=100,
        memory=timedelta(days=3650),
        sure=re.compile(r'"success"\s*:\s*false(?!.*(UNKNOWN_FAILURE|INTERNAL|TIMEOUT|UNAVAILABLE))', re.DOTALL),
        collar=0.05,
        absent=re.compile(r"order with this orderID was not found"),
        client_key="client_order_id",
        stop=Stop("stopLossPrice"),
        cancel_answers=False,
        balance={"v3": True},
        time=("v3PublicGetBrokerageTime", "epochMillis"),
    ),
    "coinbaseexchange": Peculiarities(
        can=_ORDERS | Can.STOP_LIMIT | _ASKED | _PUBLIC,
        form=IdForm.UUID,
        decode=frames.coinbaseexchange,
        streams=frozenset({"user"}),
        watch=(("watch_orders_for_symbols", MappingProxyType({})),),
        every_pair=True,
        find="client_oid",
        pages=Pages.HEADER,
        page=100,
        memory=timedelta(days=3650),
        forgets_unfilled=True,
        plain_ids=False,
        fills_by_stream=True,
        flat_symbol=False,
        stop=Stop("stopPrice", ("loss", "entry")),
    ),
}


NO_IDS: Mapping[str, str] = {
    "backpack": "whole numbers of 32 bits",
    "bitfinex": "whole numbers of 45 bits",
    "kraken": "UUIDs and texts of 18 letters, and tells another id in its stream",
    "onetrading": "UUIDs",
}
"""Exchanges that take our ids in no form that they could be read back from: what they take."""


def generic(has: Mapping[str, Any]) -> Peculiarities:
    """What is claimed of an exchange by ccxt's word alone."""
    can = Can.LIMIT | Can.GTC
    flags = (
        ("createMarketOrder", Can.MARKET),
        ("fetchMyTrades", Can.EXECUTION_HISTORY),
    )
    for name, flag in flags:
        if has.get(name) not in (None, False):
            can |= flag
    row = Peculiarities(can=can, plain_ids=False)
    return row if has.get("watchOrders") is True else replace(row, watch=())


def kind(market: str, row: Peculiarities, has: Mapping[str, Any]) -> str:
    """Which market is traded: the one that is asked for, else the first that there is."""
    there = [each for each in ("spot", "swap") if has.get(each) and each in row.markets]
    return market or (there[0] if there else "")


def of(exchange: str, market: str, has: Mapping[str, Any]) -> Peculiarities:
    """An exchange's row; its swap market's, where that is asked for and differs."""
    if exchange == "binance" and market == "swap":
        return TABLE["binanceusdm"]
    return TABLE.get(exchange) or generic(has)
