"""What goes wrong at the emulated Binance when it is asked to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientError

from tests.emulators.binance.server import BinanceControl
from tests.emulators.loops import on_loop, until
from tests.emulators.test_binance.peer import Peer

BROKEN = (ClientError, ConnectionError)


def spot_kinds(ears: Any) -> list[str]:
    """What was told of orders."""
    return [event["x"] for event in ears.events("executionReport")]


@on_loop
async def test_a_lost_acknowledgement(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    binance.do_fault("lost_ack", when="unknown")
    answer = await peer.order("0.01", "49000", newClientOrderId="a")
    assert (peer.status, answer["code"]) == (408, -1007)
    binance.do_fault("lost_ack", when="drop", symbol="BTC-USDT")
    with pytest.raises(BROKEN):
        await peer.order("0.01", "49000", newClientOrderId="b")
    binance.do_fault("lost_ack")
    hanging = asyncio.ensure_future(peer.order("0.01", "49000", newClientOrderId="c"))
    await until(lambda: len(binance.do_orders()) == 3)
    assert [o["status"] for o in binance.do_orders()] == ["NEW"] * 3
    assert not hanging.done()
    assert spot_kinds(ears) == []
    hanging.cancel()
    binance.do_fault("lost_order", when="unknown")
    await peer.order("0.01", "49000")
    assert len(binance.do_orders()) == 3, "that one did not arrive"


@on_loop
async def test_fills_that_are_told_otherwise(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    await peer.order("1", "49000", newClientOrderId="a")
    binance.do_fault("reordered_fills", seconds=5)
    binance.do_fill("a", "0.1")
    binance.do_fill("a", "0.2")
    await until(lambda: len(spot_kinds(ears)) == 3)
    assert [e["l"] for e in ears.events("executionReport")[1:]] == ["0.20000000", "0.10000000"]
    binance.do_fault("duplicated_fill")
    binance.do_fill("a", "0.3")
    await until(lambda: len(spot_kinds(ears)) == 5)
    assert ears.events("executionReport")[-1] == ears.events("executionReport")[-2]
    binance.do_fault("late_fill", seconds=0.05)
    binance.do_fill("a", "0.1")
    await peer.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="a")
    await until(lambda: len(spot_kinds(ears)) == 7)
    late = ears.events("executionReport")
    assert [late[-2]["X"], late[-1]["X"], late[-1]["z"]] == ["CANCELED", "PARTIALLY_FILLED", "0.70000000"]


@on_loop
async def test_cancels_that_come_too_late(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    await peer.order("1", "49000", newClientOrderId="a")
    binance.do_fault("cancel_race")
    assert (await peer.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="a"))["code"] == -2011
    assert (await ears.event("executionReport", x="TRADE"))["X"] == "FILLED"
    await peer.order("1", "49000", newClientOrderId="b")
    binance.do_fault("fill_after_cancel", seconds=0.02)
    gone = await peer.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="b")
    assert (gone["status"], gone["executedQty"]) == ("CANCELED", "0.50000000")
    await ears.event("executionReport", x="TRADE", c="b")
    assert spot_kinds(ears)[-2:] == ["CANCELED", "TRADE"]
    binance.do_fault("rejected_cancel")
    await peer.order("1", "49000", newClientOrderId="c")
    answer = await peer.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="c")
    assert (answer["code"], binance.do_orders()[-1]["status"]) == (-2010, "NEW")


@on_loop
async def test_changes_that_are_half_done_or_refused(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.futures_user()
    await peer.order("1", "49000", newClientOrderId="a", path="/fapi/v1/order")
    terms = {"symbol": "BTCUSDT", "side": "BUY", "origClientOrderId": "a"}
    binance.do_fault("rejected_replace")
    assert (await peer.call("PUT", "/fapi/v1/order", **terms, quantity="0.5", price="48000"))["code"] == -2010
    binance.do_fault("half_replace")
    half = await peer.call("PUT", "/fapi/v1/order", **terms, quantity="0.5", price="48000")
    assert (half["price"], half["origQty"]) == ("48000", "1")
    await ears.event("ORDER_TRADE_UPDATE", x="AMENDMENT", q="1")


@on_loop
async def test_too_many_requests(binance: BinanceControl, peer: Peer) -> None:
    binance.do_fault("rate_limit")
    answer = await peer.order("0.01", "49000")
    assert (peer.status, answer["code"], peer.headers["Retry-After"]) == (429, -1003, "1")
    assert binance.do_orders() == []
    binance.do_fault("rate_limit", arrives=True, seconds=0.01)
    await peer.order("0.01", "49000")
    await until(lambda: len(binance.do_orders()) == 1)


@on_loop
async def test_broken_and_dead_links(binance: BinanceControl, peer: Peer) -> None:
    for when, orders in (("before", 0), ("after", 1)):
        ears = await peer.user()
        binance.do_fault("dropped_link", when=when, seconds=0.2)
        with pytest.raises(BROKEN):
            await peer.order("0.01", "49000", newClientOrderId=when)
        assert len(binance.do_orders()) == orders
        await until(lambda heard=ears: heard.socket.closed)
        with pytest.raises(BROKEN):
            await peer.get("/api/v3/ping")
        await until(lambda: binance.emulator._socket)
        assert await peer.get("/api/v3/ping") == {}
    ears = await peer.user()
    binance.do_fault("half_open", seconds=0.05)
    dead = asyncio.ensure_future(peer.order("0.01", "49000"))
    await until(lambda: binance.emulator.frozen)
    binance.do_fill("after", "0.01")
    with pytest.raises(BROKEN):
        await dead
    await until(lambda: ears.socket.closed)
    assert (ears.events("executionReport"), len(binance.do_orders())) == ([], 1)
    assert await peer.get("/api/v3/ping") == {}


@on_loop
async def test_restarts(binance: BinanceControl, peer: Peer) -> None:
    await peer.order("0.01", "49000", newClientOrderId="a")
    key = (await peer.call("POST", "/fapi/v1/listenKey"))["listenKey"]
    binance.do_fault("restart", seconds=0.02)
    with pytest.raises(BROKEN):
        await peer.order("0.01", "49000", newClientOrderId="b")
    await until(lambda: binance.emulator._socket)
    assert [o["clientOrderId"] for o in await peer.call("GET", "/api/v3/openOrders")] == ["a", "b"]
    assert (await peer.call("PUT", "/fapi/v1/listenKey"))["code"] == -1125, key
    binance.do_fault("restart_empty", seconds=0)
    with pytest.raises(BROKEN):
        await peer.order("0.01", "49000")
    assert await peer.call("GET", "/api/v3/openOrders") == []
    assert (await peer.order("0.01", "49000"))["orderId"] > 1_000_003, "ids are never given anew"


@on_loop
async def test_slow_silent_and_broken_answers(binance: BinanceControl, peer: Peer) -> None:
    binance.do_fault("slow_broker", seconds=0.02, when="orders")
    assert (await peer.order("0.01", "49000"))["status"] == "NEW"
    assert binance.do_faults()["set"][-1]["happened"] == 1
    binance.do_fault("server_error")
    async with peer.session.get(f"{peer.base}/api/v3/ping") as response:
        assert (response.status, "<html>" in await response.text()) == (502, True)
    binance.do_fault("no_answer")
    silent = asyncio.ensure_future(peer.get("/api/v3/ping"))
    await until(lambda: binance.do_faults()["set"][-1]["happened"])
    assert await peer.get("/api/v3/ping") == {}
    assert not silent.done()
    silent.cancel()
    binance.do_fault("rejected_order")
    assert (await peer.order("0.01", "49000"))["code"] == -2010
    ears = await peer.user()
    binance.do_fault("late_ack", seconds=0.2)
    await peer.order("0.01", "49000")
    assert spot_kinds(ears) == []
    await ears.event("executionReport", x="NEW")


@on_loop
async def test_the_stream_is_behind(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    binance.do_lag(0.2)
    await peer.order("1.5")
    assert spot_kinds(ears) == []
    await ears.event("executionReport", X="FILLED")
    assert spot_kinds(ears) == ["NEW", "TRADE", "TRADE"]
    binance.do_lag(0)
    await peer.order("0.01", "49000", newClientOrderId="a")
    await ears.event("executionReport", c="a")


@on_loop
async def test_a_feed_is_mute(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.ears("/ws/btcusdt@trade")
    await until(lambda: binance.emulator.links)
    binance.do_fault("mute_feed", seconds=60)
    for price in (50001, 50002):
        binance.do_trade("BTC-USDT", price)
    binance.do_clock(60)
    binance.do_trade("BTC-USDT", 50003)
    await ears.event("trade")
    assert [event["p"] for event in ears.events("trade")] == ["50003.00000000"]
    binance.do_mute("market")
    binance.do_trade("BTC-USDT", 50004)
    binance.do_unmute()
    binance.do_trade("BTC-USDT", 50005)
    await ears.event("trade", p="50005.00000000")
    assert len(ears.events("trade")) == 2


@on_loop
async def test_an_untold_fee(binance: BinanceControl, peer: Peer) -> None:
    before = sum(map(float, binance.do_balances()["spot"]["USDT"]))
    binance.do_fault("untold_fee")
    await peer.order("0.01", "49000")
    assert sum(map(float, binance.do_balances()["spot"]["USDT"])) == before - 1
