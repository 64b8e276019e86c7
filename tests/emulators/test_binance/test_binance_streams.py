"""The emulated Binance's WebSockets: market streams, spot's user data, the WebSocket API."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from tests.emulators.binance.server import BinanceControl
from tests.emulators.loops import on_loop, until
from tests.emulators.test_binance.peer import Ears, Peer


async def subscribed(ears: Ears, *names: str) -> None:
    """To these streams."""
    number = len(ears.heard) + 1000
    assert await ears.asks({"method": "SUBSCRIBE", "params": list(names), "id": number}) == {
        "result": None,
        "id": number,
    }


def book(snapshot: dict[str, Any], diffs: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """A book kept as Binance's document says."""
    sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    for diff in diffs:
        if diff["u"] <= snapshot["lastUpdateId"]:
            continue
        for side, levels in sides.items():
            for price, size in diff[side]:
                levels[price] = size
                if float(size) == 0:
                    del levels[price]
    return sides


@on_loop
async def test_a_book_is_kept_by_its_diffs(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.ears("/ws/btcusdt@depth@100ms")
    futures = await peer.ears("/public/stream?streams=btcusdt@depth@100ms")
    await until(lambda: len(binance.emulator.links) == 2)
    await peer.order("0.5", "49990")
    snapshot = await peer.get("/api/v3/depth", symbol="BTCUSDT", limit=1000)
    await peer.order("1.5")
    await peer.call("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    binance.do_quote("BTC-USDT", "50010", "50011", 2, 3)
    for _ in range(3):
        await peer.order("0.5", path="/fapi/v1/order")
    await until(lambda: len(ears.events("depthUpdate")) == 4)
    diffs = ears.events("depthUpdate")
    assert all(after["U"] == before["u"] + 1 for before, after in pairwise(diffs))
    assert "pu" not in diffs[0]
    whole = await peer.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)
    kept = book(snapshot, diffs)
    assert (kept["b"], kept["a"]) == (dict(whole["bids"]), dict(whole["asks"]))
    await until(lambda: len(futures.events("depthUpdate")) == 3)
    first, second, _ = futures.events("depthUpdate")
    assert second["pu"] == first["u"]
    assert futures.heard[0]["stream"] == "btcusdt@depth@100ms"
    binance.do_fault("lost_diff")
    for _ in range(2):
        await peer.order("0.5")
    await until(lambda: len(ears.events("depthUpdate")) == 5)
    assert ears.events("depthUpdate")[-1]["U"] > diffs[-1]["u"] + 1, "a hole"


@on_loop
async def test_market_streams_tell_what_changes(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.ears("/ws")
    kinds = ("bookTicker", "trade", "aggTrade", "kline_1m", "miniTicker", "ticker", "depth5", "nonsense")
    await subscribed(ears, *(f"btcusdt@{kind}" for kind in kinds))
    listed = await ears.asks({"method": "LIST_SUBSCRIPTIONS", "id": 7})
    assert len(listed["result"]) == 8
    binance.do_trade("BTC-USDT", "50000", "0.25", sells=True)
    binance.do_trade("BTC-USDT-PERP", "50000", "0.25")
    trade = await ears.event("trade")
    assert (trade["p"], trade["q"], trade["m"]) == ("50000.00000000", "0.25000000", True)
    assert (await ears.event("aggTrade"))["a"] == trade["t"]
    bar = (await ears.event("kline"))["k"]
    assert (bar["c"], bar["x"], bar["i"], bar["T"] - bar["t"]) == ("50000.00000000", False, "1m", 59_999)
    assert (await ears.event("24hrMiniTicker"))["c"] == (await ears.event("24hrTicker"))["c"] == "50000.00000000"
    binance.do_quote("BTC-USDT", "49000", "49001", "1.5", 2)
    await until(lambda: any("b" in each and "e" not in each for each in ears.heard))
    quote = next(each for each in ears.heard if "b" in each and "e" not in each)
    assert (quote["s"], quote["b"], quote["B"], quote["a"]) == (
        "BTCUSDT",
        "49000.00000000",
        "1.50000000",
        "49001.00000000",
    )
    assert next(each for each in ears.heard if "lastUpdateId" in each)["bids"][0][0] == "49999.90000000"
    await ears.asks({"method": "UNSUBSCRIBE", "params": [f"btcusdt@{kind}" for kind in kinds], "id": 8})
    heard = len(ears.heard)
    binance.do_trade("BTC-USDT", "50000", "0.25")
    await ears.asks({"method": "LIST_SUBSCRIPTIONS", "id": 9})
    assert len(ears.heard) == heard + 1


@on_loop
async def test_a_bar_ends(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.ears("/market/ws/btcusdt@kline_1m")
    await until(lambda: binance.emulator.links)
    binance.do_trade("BTC-USDT-PERP", "50000", 1)
    binance.do_clock(60)
    binance.do_trade("BTC-USDT-PERP", "50010", 1)
    await until(lambda: len(ears.events("kline")) == 3)
    bars = [event["k"] for event in ears.events("kline")]
    assert [(bar["c"], bar["x"]) for bar in bars] == [("50000", False), ("50000", True), ("50010", False)]


@on_loop
async def test_futures_streams_have_two_places(binance: BinanceControl, peer: Peer) -> None:
    names = ("btcusdt@bookTicker", "btcusdt@aggTrade", "btcusdt@trade", "btcusdt@markPrice@1s", "!bookTicker")
    public, market = await peer.ears("/public/ws"), await peer.ears("/market/ws")
    for ears in (public, market):
        await subscribed(ears, *names)
    await peer.order("1.5", path="/fapi/v1/order")
    await market.event("aggTrade")
    await public.event("trade")
    await until(lambda: len(public.events("bookTicker")) == 2)
    assert (await market.event("markPriceUpdate"))["s"] == "BTCUSDT"
    assert public.events("aggTrade", "markPriceUpdate") == market.events("trade", "bookTicker") == []
    assert (await public.event("bookTicker"))["a"] == "50000.2"


@on_loop
async def test_what_is_no_subscription(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.ears("/ws")
    for wrong in ("{", "[]", '{"id": 1}', '"x"'):
        await ears.say(wrong)
    await until(lambda: len(ears.heard) == 4)
    assert {each["error"]["code"] for each in ears.heard} == {3}
    assert (await ears.asks({"method": "NONSENSE", "id": 2}))["error"]["code"] == 2
    assert (await ears.asks({"method": "SUBSCRIBE", "params": "x", "id": 3}))["error"]["code"] == 2
    await ears.say({"method": "SUBSCRIBE", "params": [f"a{i}@trade" for i in range(1025)], "id": 4})
    await until(lambda: ears.socket.closed)
    assert binance.do_status()["violations"] == ["too many streams on /ws"]
    async with peer.session.get(f"{peer.base}/nonsense", headers={"Upgrade": "websocket"}) as response:
        assert response.status == 404


@on_loop
async def test_user_data_of_spot(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    made = await peer.order("2", "49000", newClientOrderId="a")
    new = await ears.event("executionReport", x="NEW")
    assert (new["i"], new["c"], new["X"], new["q"], new["w"]) == (made["orderId"], "a", "NEW", "2.00000000", True)
    position = await ears.event("outboundAccountPosition")
    assert position["B"] == [{"a": "USDT", "f": "902000.00000000", "l": "98000.00000000"}]
    binance.do_fill("a", "0.5")
    fill = await ears.event("executionReport", x="TRADE")
    values = {name: fill[name] for name in "XlzLnNZYm"}
    assert values == {
        "X": "PARTIALLY_FILLED",
        "l": "0.50000000",
        "z": "0.50000000",
        "L": "49000.00000000",
        "n": "0.00050000",
        "N": "BTC",
        "Z": "24500.00000000",
        "Y": "24500.00000000",
        "m": True,
    }
    (trade,) = await peer.call("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert trade["id"] == fill["t"]
    await peer.call("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=made["orderId"], newClientOrderId="c")
    gone = await ears.event("executionReport", x="CANCELED")
    assert (gone["c"], gone["C"], gone["X"], gone["z"]) == ("c", "a", "CANCELED", "0.50000000")
    await peer.order("30", side="SELL", type="LIMIT", price="100", timeInForce="FOK")
    binance.do_quote("BTC-USDT", "49999", "50000", "0.001", "0.001")
    await peer.order("9", side="SELL", type="LIMIT", price="100", timeInForce="FOK")
    await ears.event("executionReport", x="EXPIRED", f="FOK", z="0.00000000")
    binance.do_deposit("USDT", "5.5")
    assert (await ears.event("balanceUpdate", a="USDT"))["d"] == "5.50000000"
    binance.do_terminate()
    await ears.event("eventStreamTerminated")
    heard = len(ears.heard)
    await peer.order()
    await ears.asks({"id": 9, "method": "time"})
    assert len(ears.heard) == heard + 1


@on_loop
async def test_a_stop_of_spot_goes_to_work(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    await peer.order("1", "49500", type="STOP_LOSS_LIMIT", stopPrice="50500", newClientOrderId="a")
    assert (await ears.event("executionReport", x="NEW"))["w"] is False
    binance.do_trade("BTC-USDT", "50500")
    assert (await ears.event("executionReport", x="NEW", w=True))["P"] == "50500.00000000"
    assert (await peer.call("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="a"))["isWorking"] is True


@on_loop
async def test_orders_by_the_websocket_api(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    numbers = iter(range(100, 200))

    async def call(method: str, **params: Any) -> dict[str, Any]:
        given = params | {"apiKey": "key", "timestamp": int(time.time() * 1000)}
        payload = "&".join(f"{name}={given[name]}" for name in sorted(given))
        given["signature"] = peer.signature(payload)
        return await ears.asks({"id": next(numbers), "method": method, "params": given})

    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    placed = await call("order.place", price="49000", newClientOrderId="a", **terms)
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert (await call("order.place", price="49000", newClientOrderId="a", **terms))["error"]["code"] == -2010
    found = await call("order.status", symbol="BTCUSDT", origClientOrderId="a")
    assert found["result"]["orderId"] == placed["result"]["orderId"]
    assert (await call("order.cancel", symbol="BTCUSDT", origClientOrderId="a"))["result"]["status"] == "CANCELED"
    assert (await call("nonsense"))["status"] == 400
    twice = await call("userDataStream.subscribe.signature")
    assert twice["error"]["code"] == -2035
    binance.do_fault("rate_limit")
    assert (await call("order.place", price="49000", **terms))["status"] == 429
    await ears.say("{")
    await until(lambda: any(each.get("error", {}).get("code") == -1135 for each in ears.heard))
    peer.secret = "wrong"
    assert (await call("account.status"))["error"]["code"] == -1022


@on_loop
async def test_after_24_hours_every_websocket_is_closed(binance: BinanceControl, peer: Peer) -> None:
    ears = [await peer.ears("/ws/btcusdt@trade"), await peer.user()]
    binance.do_end_of_day()
    await until(lambda: all(each.socket.closed for each in ears))
    assert [each.socket.close_code for each in ears] == [1001, 1001]


@on_loop
async def test_the_server_pings(binance: BinanceControl, peer: Peer) -> None:
    async with peer.session.ws_connect(f"{peer.base}/ws", autoping=False) as socket:
        await until(lambda: binance.emulator.links)
        binance.emulator.links[0].ping(b"x")
        assert (await socket.receive()).data == b"x"
        await socket.ping(b"y")
        assert (await socket.receive()).data == b"y"
