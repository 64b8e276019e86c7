"""What goes wrong on Coinbase when it is asked for, on both venues."""

from __future__ import annotations

import aiohttp
import pytest

from tests.emulators.coinbase.server import CoinbaseControl
from tests.emulators.crypto.process import Process
from tests.emulators.loops import on_loop, until
from tests.emulators.test_coinbase.peer import V3, AdvancedPeer, ExchangePeer
from tests.emulators.test_crypto.peer import unanswered


@on_loop
async def test_an_acknowledgement_is_lost(trade: AdvancedPeer, pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await trade.feed("user")
    coinbase.do_fault("lost_ack")
    await unanswered(coinbase.emulator, trade.place(client_order_id="a"))
    coinbase.do_fault("lost_ack", when="unknown")
    limit = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "40000"}}
    order = {"client_order_id": "b", "product_id": "BTC-USD", "side": "BUY", "order_configuration": limit}
    assert (await trade.ask("POST", f"{V3}/orders", 500, **order))["error"] == "internal_server_error"
    coinbase.do_fault("lost_order", when="unknown")
    assert (await pro.place(500))["message"] == "Internal server error"
    assert [each["client_id"] for each in coinbase.do_orders()] == ["a", "b"]
    assert feed.orders() == []


@on_loop
async def test_too_many_requests_do_not_arrive(
    trade: AdvancedPeer, pro: ExchangePeer, coinbase: CoinbaseControl
) -> None:
    coinbase.do_fault("rate_limit", count=2)
    limit = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "40000"}}
    order = {"client_order_id": "b", "product_id": "BTC-USD", "side": "BUY", "order_configuration": limit}
    answer = await trade.ask("POST", f"{V3}/orders", 429, **order)
    assert answer["errors"][0]["id"] == "rate_limit_exceeded"
    assert (await pro.place(429))["message"] == "Private rate limit exceeded"
    assert coinbase.do_orders() == []


@on_loop
async def test_links_break_and_orders_are_there_all_the_same(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await pro.feed("user")
    coinbase.do_fault("dropped_link", when="after", seconds=0)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await pro.place()
    await until(lambda: feed.ended)
    [row] = await pro.ask("GET", "/orders")
    assert row["status"] == "open"
    coinbase.do_fault("restart_empty", seconds=0)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await pro.place()
    assert await pro.ask("GET", "/orders") == []


@on_loop
async def test_cancels_fail_or_come_too_late(trade: AdvancedPeer, pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    order = await trade.order()
    for fault, status in (("rejected_cancel", "OPEN"), ("cancel_race", "FILLED")):
        coinbase.do_fault(fault)
        answer = await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order])
        assert answer["results"][0]["failure_reason"] == "COMMANDER_REJECTED_CANCEL_ORDER"
        assert (await trade.row(order))["status"] == status
    other = (await pro.place())["id"]
    coinbase.do_fault("cancel_race")
    assert (await pro.ask("DELETE", f"/orders/{other}", 400))["message"] == "Order already done"
    assert (await pro.ask("GET", f"/orders/{other}"))["done_reason"] == "filled"


@on_loop
async def test_fills_are_late_and_twice(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await pro.feed("user")
    coinbase.do_fault("duplicated_fill")
    await pro.place(type="market", side="sell", price=None, size="0.1")
    await until(lambda: feed.kinds() == ["subscriptions", "received", "match", "done", "match", "done"])
    ids = [message["trade_id"] for message in feed.heard if message["type"] == "match"]
    assert ids[0] == ids[1]
    feed.heard.clear()
    order = (await pro.place(size="0.02"))["id"]
    coinbase.do_fault("fill_after_cancel", seconds=0.02)
    await pro.ask("DELETE", f"/orders/{order}")
    await until(lambda: feed.kinds() == ["received", "open", "done", "match"])
    assert feed.heard[-1]["size"] == "0.01"


def test_it_runs_by_hand() -> None:
    process = Process("coinbase", "--tick", "0", "--key", "main:k:s:p", "--balance", "spot:USD:5000").start()
    try:
        assert process.do("keys")["passphrase"] == "p"
        assert process.do("balances") == {"spot": {"USD": ["5000", "0"]}}
        number = process.do("place", symbol="BTC-USD", side="BUY", quantity="0.01", kind="LIMIT", limit="40000")
        assert process.do("orders")[0]["number"] == number
    finally:
        process.end()
