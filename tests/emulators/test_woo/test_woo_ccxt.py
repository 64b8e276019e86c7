"""ccxt and ccxt.pro, a peer that nobody of us wrote, trade on the emulated WOO."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from tests.emulators.crypto.control import Control
from tests.emulators.loops import on_loop, soon, until

BTC, SWAP = "BTC/USDT", "BTC/USDT:USDT"


@on_loop
async def test_markets_and_data(ccxt_woo: Any, woo: Control) -> None:
    markets = await ccxt_woo.load_markets()
    assert set(markets) == {f"{base}/USDT{end}" for base in ("BTC", "ETH", "SOL", "DOGE") for end in ("", ":USDT")}
    assert (markets[BTC]["precision"], markets[BTC]["limits"]["cost"]["min"]) == ({"amount": 1e-05, "price": 0.01}, 1)
    assert markets[SWAP]["linear"] is True
    assert (await ccxt_woo.fetch_status())["status"] == "ok"
    assert abs(await ccxt_woo.fetch_time() - woo.emulator.ms()) < 5000
    assert (await ccxt_woo.fetch_order_book(BTC, 1))["bids"] == [[50000.0, 1.0]]
    assert (await ccxt_woo.fetch_trades(BTC))[-1]["price"] == 50000
    bars = await ccxt_woo.fetch_ohlcv(BTC, "1m", limit=5)
    assert len(bars) == 5
    assert [bar[0] for bar in bars] == sorted(bar[0] for bar in bars)
    assert (await ccxt_woo.fetch_ticker(SWAP))["markPrice"] == 50000.5
    assert (await ccxt_woo.fetch_funding_rate(SWAP))["interval"] == "8h"
    assert len(await ccxt_woo.fetch_funding_rate_history(SWAP)) == 25
    assert "BTC" in await ccxt_woo.fetch_currencies()
    assert (await ccxt_woo.fetch_balance())["USDT"] == {"free": 1e6, "used": 0, "total": 1e6}


@on_loop
async def test_an_order_by_rest(ccxt_woo: Any) -> None:
    placed = await ccxt_woo.create_order(BTC, "limit", "buy", 0.01, 40000, {"clientOrderId": "9223372036854775807"})
    found = await ccxt_woo.fetch_order(None, BTC, {"clientOrderId": "9223372036854775807"})
    assert (found["id"], found["status"], found["amount"], found["price"]) == (placed["id"], "open", 0.01, 40000)
    await ccxt_woo.edit_order(placed["id"], BTC, "limit", "buy", 0.02, 40100)
    [opened] = await ccxt_woo.fetch_open_orders(BTC)
    assert (opened["amount"], opened["price"], opened["clientOrderId"]) == (0.02, 40100, "9223372036854775807")
    await ccxt_woo.cancel_order(placed["id"], BTC)
    assert (await ccxt_woo.fetch_order(placed["id"], BTC))["status"] == "canceled"
    assert await ccxt_woo.fetch_open_orders(BTC) == []


@on_loop
async def test_refusals_are_what_ccxt_knows(ccxt_woo: Any) -> None:
    create = ccxt_woo.create_order
    with pytest.raises(ccxt.InsufficientFunds):
        await create(BTC, "limit", "buy", 1000, 49000)
    with pytest.raises(ccxt.InvalidOrder, match="Amount is required"):
        await create(BTC, "market", "buy", 0.01)
    with pytest.raises(ccxt.OrderNotFound):
        await ccxt_woo.fetch_order("77", BTC)
    with pytest.raises(ccxt.OrderNotFound):
        await ccxt_woo.cancel_order("77", BTC)
    await create(BTC, "limit", "buy", 0.01, 40000, {"clientOrderId": 5})
    with pytest.raises(ccxt.DuplicateOrderId):
        await create(BTC, "limit", "buy", 0.01, 40000, {"clientOrderId": 5})
    ccxt_woo.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await ccxt_woo.fetch_balance()


@on_loop
async def test_fills_by_rest(ccxt_woo: Any) -> None:
    bought = await ccxt_woo.create_order(BTC, "market", "buy", 0.01, 50001)
    order = await ccxt_woo.fetch_order(bought["id"], BTC)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01, 50001)
    [trade] = await ccxt_woo.fetch_my_trades(BTC)
    assert (trade["order"], trade["side"], trade["takerOrMaker"]) == (bought["id"], "buy", "taker")
    assert trade["fee"] == {"cost": 5e-06, "currency": "BTC"}
    assert [each["id"] for each in await ccxt_woo.fetch_order_trades(bought["id"])] == [trade["id"]]


@on_loop
async def test_private_streams(ccxt_woo: Any, woo: Control) -> None:
    await ccxt_woo.load_markets()
    watches = [ccxt_woo.watch_orders(), ccxt_woo.watch_my_trades(), ccxt_woo.watch_balance()]
    orders, trades, balance = [asyncio.ensure_future(watch) for watch in watches]
    topics = {"executionreport", "balance"}
    await until(lambda: any(topics <= set(link.topics) for link in woo.emulator.links))
    placed = await ccxt_woo.create_order(BTC, "limit", "sell", 0.5, 50000, {"clientOrderId": 4})
    [order] = await soon(orders)
    assert (order["id"], order["clientOrderId"], order["symbol"]) == (placed["id"], "4", BTC)
    [trade] = await soon(trades)
    assert (trade["amount"], trade["price"], trade["fee"]) == (0.5, 50000, {"cost": 12.5, "currency": "USDT"})
    assert (await soon(balance))["BTC"]["total"] == 9.5


@on_loop
async def test_perpetuals(ccxt_woo: Any, woo: Control) -> None:
    await ccxt_woo.set_leverage(10, SWAP)
    assert (await ccxt_woo.fetch_leverage(SWAP))["longLeverage"] == 10
    assert await soon(ccxt_woo.watch_positions()) == []
    watch = asyncio.ensure_future(ccxt_woo.watch_positions())
    await until(lambda: any("position" in link.topics for link in woo.emulator.links))
    await ccxt_woo.create_order(SWAP, "market", "buy", 0.1)
    [told] = await soon(watch)
    assert (told["symbol"], told["side"], told["contracts"], told["entryPrice"]) == (SWAP, "long", 0.1, 50001)
    [held] = await ccxt_woo.fetch_positions()
    assert (held["leverage"], held["markPrice"], held["marginMode"]) == (10, 50000.5, "cross")
    await ccxt_woo.create_order(SWAP, "market", "sell", 0.1, None, {"reduceOnly": True})
    assert await ccxt_woo.fetch_positions() == []
    await ccxt_woo.set_position_mode(True)
    assert woo.emulator.exchange.accounts["main"].hedged


@on_loop
async def test_a_stop(ccxt_woo: Any, woo: Control) -> None:
    made = await ccxt_woo.create_order(BTC, "limit", "sell", 0.2, 48900, {"triggerPrice": 49000, "clientOrderId": "77"})
    seen = await ccxt_woo.fetch_order(made["id"], BTC, {"trigger": True})
    assert (seen["status"], seen["triggerPrice"], seen["clientOrderId"]) == ("open", 49000, "77")
    woo.do_trade("BTC-USDT", "48990")
    order = await ccxt_woo.fetch_order(None, BTC, {"clientOrderId": "77"})
    assert (order["status"], order["filled"]) == ("closed", 0.2)
    other = await ccxt_woo.create_order(BTC, "market", "sell", 0.2, None, {"triggerPrice": 47000})
    await ccxt_woo.cancel_order(other["id"], BTC, {"trigger": True})
    assert (await ccxt_woo.fetch_order(other["id"], BTC, {"trigger": True}))["status"] == "canceled"


@on_loop
async def test_public_streams(ccxt_woo: Any, woo: Control) -> None:
    await ccxt_woo.load_markets()
    watches = [
        ccxt_woo.watch_order_book(BTC, None, {"method": "orderbookupdate"}),
        ccxt_woo.watch_trades(BTC),
        ccxt_woo.watch_ohlcv(BTC, "1m"),
        ccxt_woo.watch_bids_asks([BTC]),
        ccxt_woo.watch_ticker(BTC),
        ccxt_woo.watch_funding_rate(SWAP),
    ]
    book, trades, bars, best, ticker, funding = [asyncio.ensure_future(watch) for watch in watches]
    await until(lambda: any(len(link.topics) == 6 for link in woo.emulator.links))
    await until(lambda: BTC in ccxt_woo.orderbooks and ccxt_woo.orderbooks[BTC]["timestamp"])
    assert ccxt_woo.orderbooks[BTC]["bids"][0] == [50000.0, 1.0]
    woo.do_quote("BTC-USDT", "50010", "50011", 2, 2)
    woo.do_trade("BTC-USDT", "50010", "0.5")
    assert (await soon(book))["bids"][0] == [50010.0, 2.0]
    assert [(each["price"], each["amount"], each["side"]) for each in await soon(trades)] == [(50010, 0.5, "buy")]
    assert (await soon(bars))[-1][0] % 60000 == 0
    assert (await soon(best))[BTC]["ask"] == 50001
    assert (await soon(ticker))["close"] == 50000
    assert "fundingRate" in await soon(funding)
