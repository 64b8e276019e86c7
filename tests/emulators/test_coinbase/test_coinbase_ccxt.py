"""ccxt and ccxt.pro, a peer that nobody of us wrote, trade on both emulated venues."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import ccxt
import pytest

from tests.emulators.coinbase.server import CoinbaseControl
from tests.emulators.loops import on_loop, soon, until

BTC = "BTC/USD"
Clients = Callable[..., Any]


def subscribed(coinbase: CoinbaseControl, *topics: str) -> Callable[[], bool]:
    """Whether some link has these topics."""
    return lambda: any(set(topics) <= set(link.topics) for link in coinbase.emulator.links)


@pytest.mark.parametrize("kind", ["legacy", "cdp", "cdp2"])
@on_loop
async def test_every_kind_of_key_is_taken(clients: Clients, coinbase: CoinbaseControl, kind: str) -> None:
    client = clients(kind)
    markets = await client.load_markets()
    assert set(markets) == {"BTC/USD", "ETH/USD", "SOL/USD", "DOGE/USD"}
    assert (markets[BTC]["taker"], markets[BTC]["precision"]) == (0.006, {"amount": 1e-05, "price": 0.01})
    assert (await client.fetch_balance({"v3": True}))["USD"]["free"] == 1e6
    assert (await client.fetch_balance())["BTC"]["total"] == 10
    placed = await client.create_order(BTC, "limit", "buy", 0.01, 40000)
    if kind != "cdp2":  # ccxt signs a WebSocket with such a key as if it were a legacy one, and then waits for ever
        watch = asyncio.ensure_future(client.watch_orders())
        await until(subscribed(coinbase, "user:*"))
        await client.cancel_order(placed["id"])
        await soon(watch)


@on_loop
async def test_advanced_data(clients: Clients, coinbase: CoinbaseControl) -> None:
    client = clients()
    assert (await client.fetch_order_book(BTC, 1))["bids"] == [[50000.0, 1.0]]
    ticker = await client.fetch_ticker(BTC)
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (50000, 50000, 50001)
    bars = await client.fetch_ohlcv(BTC, "1m", limit=5)
    assert [bar[0] for bar in bars] == sorted(bar[0] for bar in bars)
    assert len(await client.fetch_trades(BTC)) == 1
    assert (await client.fetch_bids_asks([BTC]))[BTC]["bidVolume"] == 1
    assert abs(await client.fetch_time() - coinbase.emulator.ms()) < 5000
    assert set(await client.fetch_currencies()) >= {"BTC", "USD"}
    assert (await client.fetch_tickers())[BTC]["last"] == 50000
    assert len(await client.fetch_accounts()) == 5
    assert (await client.fetch_trading_fees())[BTC]["maker"] == 0.004


@on_loop
async def test_advanced_orders(clients: Clients, coinbase: CoinbaseControl) -> None:
    client = clients()
    placed = await client.create_order(BTC, "limit", "buy", 0.01, 40000, {"client_order_id": "mine"})
    again = await client.create_order(BTC, "limit", "buy", 0.01, 40000, {"client_order_id": "mine"})
    assert (again["id"], placed["clientOrderId"]) == (placed["id"], "mine")
    assert (await client.edit_order(placed["id"], BTC, "limit", "buy", 0.02, 40100))["info"]["success"] is True
    [opened] = await client.fetch_open_orders(BTC)
    assert (opened["amount"], opened["price"], opened["clientOrderId"]) == (0.02, 40100, "mine")
    await client.cancel_order(placed["id"])
    assert (await client.fetch_order(placed["id"]))["status"] == "canceled"
    assert [each["id"] for each in await client.fetch_canceled_orders(BTC)] == [placed["id"]]
    with pytest.raises(ccxt.BadRequest):
        await client.cancel_order(placed["id"])
    with pytest.raises(ccxt.ExchangeError, match="order with this orderID was not found"):
        await client.fetch_order(str(uuid.uuid4()))
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(BTC, "limit", "buy", 1000, 40000)
    bought = await client.create_order(BTC, "market", "buy", 0.02, 50000)
    order = await client.fetch_order(bought["id"])
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01988, 50001)
    [trade] = await client.fetch_my_trades(BTC)
    assert (trade["order"], trade["amount"], trade["takerOrMaker"], trade["side"]) == (
        bought["id"],
        0.01988,
        "taker",
        "buy",
    )
    stop = {"stopLossPrice": 49000}
    sell = await client.create_order(BTC, "limit", "sell", 0.1, 48000, stop)
    coinbase.do_trade("BTC-USD", "48999")
    assert (await client.fetch_order(sell["id"]))["status"] == "closed"


@on_loop
async def test_advanced_streams(clients: Clients, coinbase: CoinbaseControl) -> None:
    client = clients()
    await client.load_markets()
    orders = asyncio.ensure_future(client.watch_orders(BTC))
    assert (await soon(client.watch_order_book(BTC)))["bids"][0] == [50000.0, 1.0]
    assert (await soon(client.watch_trades(BTC)))[-1]["price"] == 50000
    assert (await soon(client.watch_ticker(BTC)))["ask"] == 50001
    await until(subscribed(coinbase, "user:BTC-USD"))
    placed = await client.create_order(BTC, "limit", "sell", 0.5, 50000, {"client_order_id": "me"})
    assert (await soon(orders))[0]["id"] == placed["id"]
    await until(lambda: client.orders[-1]["status"] == "closed")
    last = client.orders[-1]
    assert (last["clientOrderId"], last["filled"], last["average"]) == ("me", 0.5, 50000)
    update = asyncio.ensure_future(client.watch_order_book(BTC))
    coinbase.do_quote("BTC-USD", "50010", "50011", 2, 2)
    await soon(update)
    await until(lambda: client.orderbooks[BTC]["bids"][0] == [50010.0, 2.0])


@on_loop
async def test_exchange_data(clients: Clients, coinbase: CoinbaseControl) -> None:
    client = clients("exchange")
    assert (await client.load_markets())[BTC]["active"] is True
    book = await client.fetch_order_book(BTC)
    assert (book["bids"][0][:2], book["nonce"] > 0) == ([50000.0, 1.0], True)
    assert (await client.fetch_ticker(BTC))["last"] == 50000
    assert len(await client.fetch_ohlcv(BTC, "1m", limit=5)) == 5
    assert abs(await client.fetch_time() - coinbase.emulator.ms()) < 5000
    assert (await client.fetch_balance())["USD"] == {"free": 1e6, "used": 0, "total": 1e6}
    assert (await client.fetch_trading_fees())[BTC]["taker"] == 0.006
    assert "BTC" in await client.fetch_currencies()
    assert BTC in await client.fetch_tickers()
    assert (await client.fetch_trades(BTC))[0]["price"] == 50000


@on_loop
async def test_exchange_orders(clients: Clients, coinbase: CoinbaseControl) -> None:
    client, name = clients("exchange"), str(uuid.uuid4())
    placed = await client.create_order(BTC, "limit", "buy", 0.01, 40000, {"clientOrderId": name})
    found = await client.fetch_order(None, None, {"clientOrderId": name})
    assert (found["id"], found["status"], found["clientOrderId"]) == (placed["id"], "open", name)
    assert [each["id"] for each in await client.fetch_open_orders(BTC)] == [placed["id"]]
    await client.cancel_order(None, BTC, {"clientOrderId": name})
    assert (await client.fetch_order(placed["id"]))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(placed["id"])
    with pytest.raises(ccxt.OrderNotFound):
        await client.fetch_order(str(uuid.uuid4()))
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(BTC, "limit", "buy", 1000, 40000)
    sold = await client.create_order(BTC, "market", "sell", 0.5)
    order = await client.fetch_order(sold["id"])
    assert (order["status"], order["filled"], order["cost"], order["fee"]["cost"]) == ("closed", 0.5, 25000, 150)
    [trade] = await client.fetch_my_trades(BTC)
    assert (trade["order"], trade["side"], trade["fee"]["cost"]) == (sold["id"], "sell", 150)
    stop = await client.create_order(BTC, "limit", "sell", 0.1, 48000, {"stop": "loss", "stopPrice": 49000})
    assert (await client.fetch_order(stop["id"]))["triggerPrice"] == 49000
    await client.create_order(BTC, "limit", "buy", 0.01, 40000)
    await client.cancel_all_orders()
    assert await client.fetch_open_orders(BTC) == []


@on_loop
async def test_exchange_streams(clients: Clients, coinbase: CoinbaseControl) -> None:
    client, name = clients("exchange"), str(uuid.uuid4())
    await client.load_markets()
    orders = asyncio.ensure_future(client.watch_orders(BTC))
    trades = asyncio.ensure_future(client.watch_my_trades(BTC))
    assert (await soon(client.watch_order_book(BTC)))["asks"][0] == [50001.0, 1.0]
    assert (await soon(client.watch_ticker(BTC)))["last"] == 50000
    public = asyncio.ensure_future(client.watch_trades(BTC))
    await until(subscribed(coinbase, "user:BTC-USD"))
    await until(subscribed(coinbase, "matches:BTC-USD"))
    await client.create_order(BTC, "limit", "buy", 1.5, 50001, {"clientOrderId": name})
    assert (await soon(orders))[0]["clientOrderId"] == name
    [trade] = await soon(trades)
    assert (trade["amount"], trade["side"], trade["takerOrMaker"]) == (1, "buy", "taker")
    assert (await soon(public))[-1]["amount"] == 1
    coinbase.do_quote("BTC-USD", "49999", "50000")
    await until(lambda: client.orders[-1]["status"] == "closed")
