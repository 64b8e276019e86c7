"""What goes wrong on WOO when it is asked for."""

from __future__ import annotations

import aiohttp
import pytest

from tests.emulators.crypto.control import Control
from tests.emulators.crypto.process import Process
from tests.emulators.loops import on_loop, until
from tests.emulators.test_crypto.peer import unanswered
from tests.emulators.test_woo.peer import Peer

ORDER = "/v3/trade/order"
USUAL = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.01"}


@on_loop
async def test_an_acknowledgement_is_lost_or_the_order(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")
    woo.do_fault("lost_order")
    await unanswered(woo.emulator, peer.order(clientOrderId=1))
    woo.do_fault("lost_ack", when="unknown")
    said = await peer.refused("POST", ORDER, -1011, clientOrderId=2, **USUAL)
    assert said.startswith("Can not place/cancel orders")
    await peer.refused("GET", ORDER, 317152, clientOrderId=1)
    assert (await peer.ask("GET", ORDER, clientOrderId=2))["data"]["status"] == "NEW"
    third = await peer.order()
    await stream.wait("executionreport")
    assert [each["orderId"] for each in stream.told("executionreport")] == [third]


@on_loop
async def test_too_many_requests_do_not_arrive_unless_told_to(peer: Peer, woo: Control) -> None:
    woo.do_fault("rate_limit")
    await peer.refused("POST", ORDER, -1003, 429, clientOrderId=1, **USUAL)
    woo.do_fault("rate_limit", arrives=True, seconds=0)
    await peer.refused("POST", ORDER, -1003, 429, clientOrderId=2, **USUAL)
    assert [order["client_id"] for order in woo.do_orders()] == ["2"]


@on_loop
async def test_links_break_and_come_back(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")
    woo.do_fault("dropped_link", when="after", seconds=0)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await peer.order(clientOrderId=3)
    await until(lambda: stream.ended)
    assert (await peer.ask("GET", ORDER, clientOrderId=3))["data"]["status"] == "NEW"
    woo.do_fault("restart_empty", seconds=0)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await peer.order()
    await peer.refused("GET", ORDER, 317152, clientOrderId=3)


@on_loop
async def test_everything_goes_half_open(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")
    woo.do_fault("half_open")
    await unanswered(woo.emulator, peer.order())
    await unanswered(woo.emulator, peer.ask("GET", "/v3/asset/balances"))
    assert not stream.ended
    woo.do_thaw()
    await until(lambda: stream.ended)
    await peer.order()


@on_loop
async def test_fills_are_late_twice_or_in_the_wrong_order(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")

    def trades() -> list[int]:
        return [each["tradeId"] for each in stream.told("executionreport") if each["tradeId"]]

    woo.do_fault("duplicated_fill")
    await peer.order(side="SELL", type="MARKET", price=None, quantity="0.1")
    one, again = await until(lambda: trades() if len(trades()) == 2 else None)
    assert one == again
    woo.do_fault("reordered_fills")
    await peer.order(side="SELL", type="MARKET", price=None, quantity="2")
    found = await until(lambda: trades()[2:] if len(trades()) >= 5 else None)
    assert found != sorted(found)
    woo.do_fault("late_fill", seconds=0.4)
    order = await peer.order(side="SELL", type="MARKET", price=None, quantity="0.1")
    assert (await peer.row(order))["status"] == "FILLED"
    count = len(found) + 2
    assert len(trades()) == count
    await until(lambda: len(trades()) == count + 1)


@on_loop
async def test_a_fill_comes_after_the_cancel(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")
    order = await peer.order(quantity="0.02")
    woo.do_fault("fill_after_cancel", seconds=0.02)
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=order)
    first = await stream.wait("executionreport", lambda each: each["msgType"] == 3)
    assert first["totalExecutedQuantity"] == 0.01
    assert (await stream.wait("executionreport", lambda each: each["tradeId"]))["executedQuantity"] == 0.01


@on_loop
async def test_half_of_an_edit_is_done(peer: Peer, woo: Control) -> None:
    order = await peer.order()
    woo.do_fault("half_replace")
    await peer.ask("PUT", ORDER, orderId=order, price="40100", quantity="0.05")
    row = await peer.row(order)
    assert (row["price"], row["quantity"]) == (40100, 0.01)


def test_it_runs_by_hand() -> None:
    process = Process("woo", "--tick", "0", "--key", "main:k:s", "--balance", "spot:USDT:5000").start()
    try:
        assert process.do("balances") == {"spot": {"USDT": ["5000", "0"]}}
        number = process.do("place", symbol="BTC-USDT", side="BUY", quantity="0.01", kind="LIMIT", limit="40000")
        assert process.do("orders")[0]["number"] == number
    finally:
        process.end()
