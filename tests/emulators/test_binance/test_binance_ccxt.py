"""The released ccxt, REST and WebSocket, trades on the emulated Binance: a client that nobody of us wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import pytest
import pytest_twisted

from tests.emulators.binance.server import BinanceControl
from tests.emulators.loops import deferred, on_loop, until

MARKETS = {"binance": ("spot", "BTC/USDT", "BTC-USDT"), "binanceusdm": ("linear", "BTC/USDT:USDT", "BTC-USDT-PERP")}


def moved(urls: dict[str, Any], port: int) -> dict[str, Any]:
    """ccxt's addresses with another host."""
    found: dict[str, Any] = {}
    for name, url in urls.items():
        if isinstance(url, dict):
            found[name] = moved(url, port)
        else:
            parts = urlsplit(url)
            scheme = "ws" if parts.scheme.startswith("ws") else "http"
            found[name] = f"{scheme}://127.0.0.1:{port}{parts.path}"
    return found


@pytest_twisted.async_yield_fixture
async def client(binance: BinanceControl) -> AsyncIterator[Callable[[str], Any]]:
    """Makes clients, and closes them."""
    made: list[Any] = []

    def make(name: str) -> Any:
        options = {"fetchMarkets": {"types": [MARKETS[name][0]]}, "fetchMargins": False}
        given = {"apiKey": "key", "secret": "secret", "enableRateLimit": False, "options": options}
        made.append(getattr(ccxt.pro, name)(given))
        made[-1].urls["api"] = moved(made[-1].urls["api"], binance.emulator.port)
        return made[-1]

    yield make
    for each in made:
        await deferred(each.close())


@pytest.mark.parametrize("name", MARKETS)
@on_loop
async def test_it_trades(name: str, client: Callable[[str], Any], binance: BinanceControl) -> None:
    exchange, (_, symbol, _instrument) = client(name), MARKETS[name]
    await exchange.load_markets()
    market = exchange.market(symbol)
    assert market["limits"]["cost"]["min"] == 5
    made = await exchange.create_order(symbol, "limit", "buy", 0.01, 40000, {"clientOrderId": "a1"})
    found = await exchange.fetch_order(None, symbol, {"origClientOrderId": "a1"})
    assert (found["id"], found["status"], found["price"], found["amount"]) == (made["id"], "open", 40000, 0.01)
    changed = await exchange.edit_order(made["id"], symbol, "limit", "buy", 0.02, 41000)
    assert [o["id"] for o in await exchange.fetch_open_orders(symbol)] == [changed["id"]]
    assert (changed["id"] == made["id"]) == (name == "binanceusdm"), "spot's is a new order"
    await exchange.cancel_order(changed["id"], symbol)
    with pytest.raises(ccxt.BaseError, match="-2011"):
        await exchange.cancel_order(changed["id"], symbol)
    with pytest.raises(ccxt.BaseError, match="-2013"):
        await exchange.fetch_order("1", symbol)
    taken = await exchange.create_order(symbol, "market", "buy", 0.01)
    assert (taken["status"], taken["filled"], taken["average"]) == ("closed", 0.01, 50000.1)
    (trade,) = await exchange.fetch_my_trades(symbol)
    assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (taken["id"], 0.01, "taker")
    assert trade["fee"]["cost"] > 0
    trigger = {"stopLossPrice": 30000, "clientOrderId": "s1"}
    stop = await exchange.create_order(symbol, "market", "sell", 0.01, None, trigger)
    more = {"trigger": True} if name == "binanceusdm" else {}
    assert (await exchange.fetch_order(stop["id"], symbol, more))["triggerPrice"] == 30000
    await exchange.cancel_order(stop["id"], symbol, more)
    limited = await exchange.create_order(symbol, "limit", "sell", 0.01, 29000, trigger)
    assert [o["id"] for o in await exchange.fetch_open_orders(symbol, params=more)] == [limited["id"]]
    assert (await exchange.fetch_balance())["USDT"]["total"] < 1_000_000
    with pytest.raises(ccxt.BaseError, match="insufficient"):  # its class depends on the host that ccxt asks
        await exchange.create_order(symbol, "limit", "buy", 900, 49000)
    assert len(await exchange.fetch_orders(symbol)) == (5 if name == "binance" else 2)
    assert len(await exchange.fetch_ohlcv(symbol, "5m", limit=10)) == 10
    assert (await exchange.fetch_order_book(symbol, 5))["bids"][0] == [49999.9, 1.0]
    assert (await exchange.fetch_bids_asks([symbol]))[symbol]["bid"] == 49999.9
    assert (await exchange.fetch_trading_fee(symbol))["taker"] in (0.001, 0.0005)


async def positions(exchange: Any, symbol: str) -> Any:
    """ccxt tells first what there is: nothing."""
    while not (found := await exchange.watch_positions([symbol])):
        pass
    return found


@pytest.mark.parametrize("name", MARKETS)
@on_loop
async def test_it_hears(name: str, client: Callable[[str], Any], binance: BinanceControl) -> None:
    exchange, (_, symbol, instrument) = client(name), MARKETS[name]
    await exchange.load_markets()
    emulator = binance.emulator
    watches = {
        "orders": exchange.watch_orders(symbol),
        "fills": exchange.watch_my_trades(symbol),
        "balance": exchange.watch_balance(),
        "book": exchange.watch_order_book(symbol),
        "trades": exchange.watch_trades(symbol),
        "quotes": exchange.watch_bids_asks([symbol]),
        "bars": exchange.watch_ohlcv(symbol),
    }
    if name == "binanceusdm":
        watches["positions"] = positions(exchange, symbol)
    heard = {word: asyncio.ensure_future(watch) for word, watch in watches.items()}
    await until(lambda: sum(link.account is not None for link in emulator.links) == 1)
    await until(lambda: sum(len(link.topics) for link in emulator.links) == 4)
    await until(lambda: any(each.endswith("/depth") for each in emulator.counts), "the book's snapshot")
    made = await exchange.create_order(symbol, "market", "buy", 1.5)
    binance.do_quote(instrument, "49000.5", "49001.5", 1, 1)
    told = {word: await asyncio.wait_for(future, 5) for word, future in heard.items()}
    assert told["orders"][-1]["id"] == made["id"]
    assert told["fills"][-1]["order"] == made["id"]
    assert told["trades"][0]["price"] == 50000.1
    assert told["bars"][-1][4] >= 50000.1
    assert told["balance"]["USDT"]
    assert told["quotes"][symbol]["symbol"] == symbol
    assert told["book"]["asks"]
    if name == "binanceusdm":
        assert [(p["symbol"], p["contracts"], p["side"]) for p in told["positions"]] == [(symbol, 1.5, "long")]


@on_loop
async def test_it_manages_perpetuals(client: Callable[[str], Any], binance: BinanceControl) -> None:
    exchange, symbol = client("binanceusdm"), "BTC/USDT:USDT"
    await exchange.load_markets()
    await exchange.set_leverage(10, symbol)
    await exchange.create_order(symbol, "market", "sell", 0.5)
    binance.do_mark("BTC-USDT-PERP", 49000)
    for positions in (await exchange.fetch_positions(), await exchange.fetch_positions_risk()):
        (position,) = positions
        kept = ("contracts", "side", "entryPrice", "markPrice", "unrealizedPnl")
        assert [position[name] for name in kept] == [0.5, "short", 49999.9, 49000, 499.95]
    assert (await exchange.fetch_leverages())[symbol]["longLeverage"] == 10
    assert (await exchange.fetch_position_mode(symbol))["hedged"] is False
    with pytest.raises(ccxt.BaseError, match="-4068"):
        await exchange.set_position_mode(True, symbol)
    rate = await exchange.fetch_funding_rate(symbol)
    assert (rate["markPrice"], rate["fundingTimestamp"] % 28_800_000) == (49000, 0)
    assert len(await exchange.fetch_funding_rate_history(symbol, limit=3)) == 3
    binance.do_fund("BTC-USDT-PERP", "0.0002")
    (funding,) = await exchange.fetch_funding_history(symbol)
    assert funding["amount"] == 4.9, "a short is paid"
    await exchange.create_order(symbol, "market", "buy", 0.5, None, {"reduceOnly": True})
    assert await exchange.fetch_positions() == []
    await exchange.set_position_mode(True, symbol)
    await exchange.create_order(symbol, "market", "buy", 0.5, None, {"positionSide": "LONG"})
    assert [p["side"] for p in await exchange.fetch_positions()] == ["long"]
