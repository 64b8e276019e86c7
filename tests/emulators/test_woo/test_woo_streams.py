"""WOO's WebSockets, as a client by hand sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.emulators.crypto.control import Control
from tests.emulators.loops import on_loop, until
from tests.emulators.test_woo.peer import Peer

ORDER = "/v3/trade/order"


@on_loop
async def test_who_has_not_proven_himself_hears_nothing(peer: Peer) -> None:
    stream = await peer.private(login=False)
    answer = await stream.say(id="1", event="subscribe", topic="executionreport")
    assert (answer["success"], answer["errorMsg"], answer["id"]) == (False, "Auth is needed.", "1")
    stamp = str(peer.control.emulator.ms())
    wrong = await stream.say(event="auth", params={"apikey": "key", "sign": "00", "timestamp": stamp})
    assert wrong["success"] is False
    public = await peer.public()
    assert (await public.say(event="subscribe", topic="balance"))["success"] is False
    assert (await public.say(event="auth", params={"apikey": "key"}))["success"] is False


@on_loop
async def test_topics_that_are_not_there_are_refused(peer: Peer) -> None:
    stream = await peer.public()
    for topic in ("SPOT_BTC_USDT@nothing", "NO@trade", "SPOT_BTC_USDT@estfundingrate", "SPOT_BTC_USDT@kline_7m", "x"):
        assert (await stream.say(id="2", event="subscribe", topic=topic))["success"] is False
    assert (await stream.say(event="what"))["success"] is False
    await stream.socket.send_str("{")
    await until(lambda: any(m.get("errorMsg") == "invalid request" for m in stream.heard))


@on_loop
async def test_both_sides_ping(make: Callable[..., Control]) -> None:
    woo = make(more={"ping": 0.02})
    peer = Peer(woo)
    stream = await peer.public()
    assert "ts" in await stream.say(event="ping")
    await until(lambda: any(m["event"] == "ping" for m in stream.heard))
    await stream.socket.send_json({"event": "pong"})
    await until(lambda: stream.ended, "who does not answer is hung up on")
    assert sum(m["event"] == "ping" for m in stream.heard) >= 3
    await peer.close()


@on_loop
async def test_an_orders_life_is_told(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport", "balance")
    order = await peer.order(price="50001", quantity="1.5", clientOrderId=12)
    await stream.wait("balance")
    new, fill = stream.told("executionreport")
    assert (new["msgType"], new["status"], new["orderId"], new["clientOrderId"]) == (0, "NEW", order, 12)
    assert (fill["status"], fill["executedQuantity"], fill["executedPrice"]) == ("PARTIAL_FILLED", 1, 50001)
    assert (fill["fee"], fill["feeAsset"], fill["maker"], fill["totalExecutedQuantity"]) == (0.0005, "BTC", False, 1)
    assert fill["tradeId"] > 0
    money = stream.told("balance")[-1]["balances"]
    assert money["USDT"]["frozen"] == 25000.5
    assert money["BTC"]["holding"] == 10.9995
    woo.do_quote("BTC-USDT", "49999", "50000", 1, 1)
    last = await stream.wait("executionreport", lambda each: each["status"] == "FILLED")
    assert (last["executedQuantity"], last["maker"], last["avgPrice"]) == (0.5, True, 50001)


@on_loop
async def test_cancels_and_edits_are_told_and_so_are_those_that_fail(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport")
    order = await peer.order()
    await peer.ask("PUT", ORDER, orderId=order, price="40100")
    edited = await stream.wait("executionreport", lambda each: each["price"] == 40100)
    assert (edited["msgType"], edited["status"]) == (0, "NEW")
    woo.do_fault("rejected_replace")
    assert (await peer.ask("PUT", ORDER, orderId=order, price="40200"))["data"] == {"status": "EDIT_SENT"}
    refused = await stream.wait("executionreport", lambda each: each["msgType"] == 1)
    assert (refused["price"], refused["status"]) == (40100, "NEW")
    woo.do_fault("rejected_cancel")
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=order)
    assert (await stream.wait("executionreport", lambda each: each["msgType"] == 2))["status"] == "NEW"
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=order)
    assert (await stream.wait("executionreport", lambda each: each["msgType"] == 3))["status"] == "CANCELLED"
    race = await peer.order()
    woo.do_fault("cancel_race")
    assert (await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=race))["data"]["status"] == "CANCEL_SENT"
    late = await stream.wait("executionreport", lambda each: each["orderId"] == race and each["msgType"] == 2)
    assert late["status"] == "FILLED"


@on_loop
async def test_an_algo_order_has_reports_of_its_own(peer: Peer, woo: Control) -> None:
    stream = await peer.private("executionreport", "algoexecutionreportv2")
    stop = {"symbol": "SPOT_BTC_USDT", "side": "SELL", "type": "MARKET", "algoType": "STOP", "quantity": "0.5"}
    made = await peer.ask("POST", "/v3/trade/algoOrder", triggerPrice="49000", **stop)
    [[first]] = await until(lambda: stream.told("algoexecutionreportv2"))
    assert first["algoOrderId"] == made["data"]["rows"][0]["algoOrderId"]
    assert (first["algoStatus"], first["triggered"]) == ("NEW", False)
    assert stream.told("executionreport") == []
    woo.do_trade("BTC-USDT", "48900")
    [last] = await stream.wait("algoexecutionreportv2", lambda data: data[0]["algoStatus"] == "FILLED")
    assert (last["executedQuantity"], last["triggered"], last["triggerStatus"]) == (0.5, True, "SUCCESS")
    assert [each["status"] for each in stream.told("executionreport")] == ["NEW", "FILLED"]


@on_loop
async def test_positions_are_told(peer: Peer, woo: Control) -> None:
    stream = await peer.private("position")
    await peer.order(symbol="PERP_BTC_USDT", side="SELL", type="MARKET", price=None, quantity="0.5")
    data = await stream.wait("position")
    position = data["positions"]["PERP_BTC_USDT"]
    assert (position["holding"], position["averageOpenPrice"], position["positionSide"]) == (-0.5, 50000, "BOTH")


@on_loop
async def test_a_book_can_be_kept_by_its_changes(peer: Peer, woo: Control) -> None:
    stream = await peer.public("SPOT_BTC_USDT@orderbookupdate")
    asked = await stream.say(id="9", event="request", params={"type": "orderbook", "symbol": "SPOT_BTC_USDT"})
    rest = await peer.ask("GET", "/v3/public/orderbook", symbol="SPOT_BTC_USDT", maxLevel=100)
    assert [[float(r["price"]), float(r["quantity"])] for r in rest["data"]["bids"]] == asked["data"]["bids"]
    book = {side: dict(map(tuple, asked["data"][side])) for side in ("bids", "asks")}
    woo.do_quote("BTC-USDT", "49990", "50010", 2, 2)
    woo.do_quote("BTC-USDT", "49995", "50005", 3, 3)
    await peer.order(price="49995.5", quantity="0.2")
    messages = await until(
        lambda: [m for m in stream.heard if m.get("topic")] if len(stream.told("SPOT_BTC_USDT@orderbookupdate")) == 3
        else None
    )  # fmt: skip
    before = None
    for message in messages:
        assert before in (None, message["data"]["prevTs"])
        before = message["ts"]
        assert before > message["data"]["prevTs"]
        for side, levels in book.items():
            levels.update(map(tuple, message["data"][side]))
    assert messages[0]["ts"] > rest["timestamp"]
    now = (await peer.ask("GET", "/v3/public/orderbook", symbol="SPOT_BTC_USDT"))["data"]
    for side, levels in book.items():
        there = {float(row["price"]): float(row["quantity"]) for row in now[side]}
        assert {price: size for price, size in levels.items() if size} == there
    assert book["bids"][49995.5] == 0.2


@on_loop
async def test_a_lost_change_is_seen_by_prev_ts(peer: Peer, woo: Control) -> None:
    topic = "SPOT_BTC_USDT@orderbookupdate"
    stream = await peer.public(topic)
    woo.do_quote("BTC-USDT", "49990", "50010")
    woo.do_fault("lost_diff")
    woo.do_quote("BTC-USDT", "49991", "50009")
    woo.do_quote("BTC-USDT", "49992", "50008")
    first, second = await until(
        lambda: [m for m in stream.heard if m.get("topic")] if len(stream.told(topic)) == 2 else []
    )
    assert second["data"]["prevTs"] > first["ts"]


@on_loop
async def test_the_market_is_told(peer: Peer, woo: Control) -> None:
    btc = "SPOT_BTC_USDT"
    topics = (f"{btc}@trade", f"{btc}@bbo", f"{btc}@ticker", f"{btc}@orderbook", f"{btc}@kline_1m", "bbos", "tickers")
    stream = await peer.public(*topics, "PERP_BTC_USDT@markprice", "PERP_BTC_USDT@estfundingrate")
    woo.do_trade("BTC-USDT", "50000.5", "0.3", sells=True)
    trade = await stream.wait(f"{btc}@trade")
    assert trade == {"symbol": btc, "price": 50000.5, "size": 0.3, "side": "SELL", "source": 0}
    await stream.wait(f"{btc}@kline_1m", lambda each: each["close"] == 50000.5)
    await stream.wait(f"{btc}@ticker", lambda each: each["close"] == 50000.5)
    woo.do_quote("BTC-USDT", "49990", "50010", 2, 3)
    best = {"symbol": btc, "ask": 50010, "askSize": 3, "bid": 49990, "bidSize": 2}
    await stream.wait(f"{btc}@bbo", lambda each: each == best)
    await stream.wait("bbos", lambda each: each == [best])
    await stream.wait(f"{btc}@orderbook", lambda each: each["bids"][0] == [49990, 2])
    assert len(stream.told("bbos")[0]) == 8
    woo.do_mark("PERP_BTC_USDT", 50100)
    assert {"fundingRate", "fundingTs", "symbol"} == set(await stream.wait("PERP_BTC_USDT@estfundingrate"))
    gone = await stream.say(id="3", event="unsubscribe", topic=f"{btc}@trade")
    assert gone["data"] == f"{btc}@trade"
    count = len(stream.told(f"{btc}@trade"))
    woo.do_trade("BTC-USDT", "50001")
    await stream.wait(f"{btc}@ticker", lambda each: each["close"] == 50001)
    assert len(stream.told(f"{btc}@trade")) == count


def test_the_types_of_numbers_are_those_of_the_documents() -> None:
    from decimal import Decimal

    from tests.emulators.woo import rows

    given: list[tuple[Any, Any]] = [(Decimal("1.0"), 1), (Decimal("0.10"), 0.1), (None, None)]
    assert [rows.number(each) for each, _ in given] == [wanted for _, wanted in given]
    assert rows.text(Decimal("1E+2")) == "100"
