"""WOO's orders by REST, as a client that signs by hand sees them."""

from __future__ import annotations

from typing import Any

from tests.emulators.crypto.control import Control
from tests.emulators.loops import on_loop, until
from tests.emulators.test_woo.peer import Peer

ORDER = "/v3/trade/order"
ALGO = "/v3/trade/algoOrder"


@on_loop
async def test_an_order_is_placed_found_changed_and_cancelled(peer: Peer) -> None:
    order = await peer.order(clientOrderId="1954766344355779056", orderTag="mine")
    row = await peer.row(order)
    assert (row["status"], row["price"], row["quantity"], row["executed"]) == ("NEW", 40000, 0.01, 0)
    assert (row["clientOrderId"], row["orderTag"], row["type"]) == (1954766344355779056, "mine", "LIMIT")
    assert "." in row["createdTime"]
    assert (await peer.ask("GET", ORDER, clientOrderId=1954766344355779056))["data"] == row
    changed = await peer.ask("PUT", ORDER, orderId=order, price="40100", quantity="0.02")
    assert changed["data"] == {"status": "EDIT_SENT"}
    row = await peer.row(order)
    assert (row["orderId"], row["price"], row["quantity"]) == (order, 40100, 0.02)
    sent = await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", clientOrderId=1954766344355779056)
    assert sent["data"] == {"status": "CANCEL_SENT"}
    assert (await peer.row(order))["status"] == "CANCELLED"


@on_loop
async def test_what_is_not_an_order_is_refused_with_its_code(peer: Peer, woo: Control) -> None:
    async def no(code: int, **more: Any) -> str:
        usual = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.01"}
        values = {name: value for name, value in (usual | more).items() if value is not None}
        return await peer.refused("POST", ORDER, code, **values)

    assert "unsupported symbol" in await no(317156, symbol="SPOT_XYZ_USDT")
    await no(-1005, side="HOLD")
    await no(-1005, type="STOP")
    await no(-1005, price="NaN")
    await no(-1005, quantity="-1")
    await no(-1005, quantity=True)
    await no(-1005, price=None)
    await no(-1005, quantity=None)
    await no(-1103, price="40000.001")
    await no(-1104, quantity="0.0100001")
    await no(-1102, quantity="0.00001")
    await no(302154, quantity="1000")
    for wrong in ("abc", "-1", str(2**63), "1.5"):
        await no(317164, clientOrderId=wrong)
    await no(-1012, type="POST_ONLY", price="50001")
    await no(302138, symbol="PERP_BTC_USDT", reduceOnly=True)
    await no(302186, symbol="PERP_BTC_USDT", positionSide="LONG")
    assert woo.do_orders() == []
    assert woo.do_status()["violations"] == []


@on_loop
async def test_a_spot_market_buy_needs_an_amount_and_a_sell_a_quantity(peer: Peer) -> None:
    market = {"symbol": "SPOT_BTC_USDT", "type": "MARKET"}
    said = await peer.refused("POST", ORDER, 302147, side="BUY", quantity="0.01", **market)
    assert said == "Amount is required for buy market orders when margin disabled."
    await peer.refused("POST", ORDER, 302150, side="SELL", amount="500", **market)
    bought = await peer.order(type="MARKET", price=None, quantity=None, amount="500")
    row = await peer.row(bought)
    assert (row["status"], row["executed"], row["averageExecutedPrice"]) == ("FILLED", 0.00999, 50001)
    assert (row["quantity"], row["amount"], row["price"]) == (0, 500, None)
    assert (row["feeAsset"], row["totalFee"]) == ("BTC", 0.000005)
    sold = await peer.order(type="MARKET", side="SELL", price=None, quantity="0.01")
    row = await peer.row(sold)
    assert (row["status"], row["feeAsset"], row["totalFee"]) == ("FILLED", "USDT", 0.25)


@on_loop
async def test_ioc_and_fok_end_cancelled_with_what_they_got(peer: Peer) -> None:
    row = await peer.row(await peer.order(type="IOC", price="50001", quantity="3"))
    assert (row["type"], row["status"], row["executed"]) == ("IOC", "CANCELLED", 1)
    row = await peer.row(await peer.order(type="FOK", price="50001.01", quantity="10"))
    assert (row["type"], row["status"], row["executed"]) == ("FOK", "CANCELLED", 0)


@on_loop
async def test_two_open_orders_cannot_have_one_client_id_but_later_ones_may(peer: Peer) -> None:
    first = await peer.order(clientOrderId=7)
    usual = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.01"}
    await peer.refused("POST", ORDER, 302117, clientOrderId=7, **usual)
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=first)
    second = await peer.order(clientOrderId=7)
    assert (await peer.ask("GET", ORDER, clientOrderId=7))["data"]["orderId"] == second != first


@on_loop
async def test_orders_that_are_over_or_unknown_cannot_be_cancelled_or_changed(peer: Peer) -> None:
    gone = await peer.order()
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=gone)
    await peer.refused("DELETE", ORDER, 317161, symbol="SPOT_BTC_USDT", orderId=gone)
    await peer.refused("PUT", ORDER, 317161, orderId=gone, price="40001")
    await peer.refused("DELETE", ORDER, 317152, symbol="SPOT_BTC_USDT", orderId=99)
    await peer.refused("GET", ORDER, 317152, clientOrderId=123)
    await peer.refused("GET", ORDER, 317162)
    live = await peer.order()
    await peer.refused("DELETE", ORDER, 317160, symbol="SPOT_ETH_USDT", orderId=live)
    await peer.refused("PUT", ORDER, 302130, orderId=live)
    await peer.refused("PUT", ORDER, -1103, orderId=live, price="40000.001")


@on_loop
async def test_lists_have_pages_and_filters(peer: Peer) -> None:
    ids = [await peer.order(price=str(40000 + i)) for i in range(5)]
    await peer.ask("DELETE", ORDER, symbol="SPOT_BTC_USDT", orderId=ids[0])
    await peer.order(symbol="SPOT_ETH_USDT", price="2000", quantity="0.1")
    page = (await peer.ask("GET", "/v3/trade/orders", symbol="SPOT_BTC_USDT", size=2, page=2))["data"]
    assert page["meta"] == {"total": 5, "recordsPerPage": 2, "currentPage": 2}
    assert [row["orderId"] for row in page["rows"]] == [ids[2], ids[1]]
    live = (await peer.ask("GET", "/v3/trade/orders", symbol="SPOT_BTC_USDT", status="INCOMPLETE"))["data"]["rows"]
    assert [row["orderId"] for row in live] == ids[:0:-1]
    over = (await peer.ask("GET", "/v3/trade/orders", status="COMPLETED"))["data"]["rows"]
    assert [row["orderId"] for row in over] == ids[:1]
    await peer.refused("GET", "/v3/trade/orders", 317156, symbol="NO")
    sent = await peer.ask("DELETE", "/v3/trade/allOrders", symbol="SPOT_BTC_USDT")
    assert sent["data"] == {"status": "CANCEL_ALL_SENT"}
    left = (await peer.ask("GET", "/v3/trade/orders", status="INCOMPLETE"))["data"]["rows"]
    assert [row["symbol"] for row in left] == ["SPOT_ETH_USDT"]


@on_loop
async def test_several_are_cancelled_at_once(peer: Peer) -> None:
    one, two, three = [await peer.order(clientOrderId=i) for i in (1, 2, 3)]
    await peer.ask("DELETE", "/v3/trade/orders", orderIds=f"{one},{three}")
    assert [(await peer.row(each))["status"] for each in (one, two, three)] == ["CANCELLED", "NEW", "CANCELLED"]


@on_loop
async def test_fills_are_told_by_pages_and_by_order(peer: Peer) -> None:
    order = await peer.order(type="MARKET", side="SELL", price=None, quantity="1.5")
    rows = (await peer.ask("GET", "/v3/trade/transactionHistory", symbol="SPOT_BTC_USDT"))["data"]["rows"]
    assert [(row["orderId"], row["executedPrice"], row["executedQuantity"]) for row in rows] == [
        (order, 49999.99, 0.5),
        (order, 50000, 1),
    ]
    assert {row["isMaker"] for row in rows} == {0}
    one = (await peer.ask("GET", "/v3/trade/transaction", tid=rows[0]["id"]))["data"]
    assert one == rows[0]
    await peer.refused("GET", "/v3/trade/transaction", 317149, tid=5)
    page = await peer.ask("GET", "/v3/trade/transactionHistory", size=1, page=2)
    assert page["data"]["rows"] == rows[1:]
    old = await peer.ask_old("GET", f"/v1/order/{order}/trades")
    assert [row["id"] for row in old["rows"]] == [row["id"] for row in rows]
    assert old["rows"][0]["executed_price"] == 49999.99


@on_loop
async def test_a_stop_is_an_algo_order_until_the_market_reaches_it(peer: Peer, woo: Control) -> None:
    stop = {"symbol": "SPOT_BTC_USDT", "side": "SELL", "type": "LIMIT", "algoType": "STOP", "quantity": "0.5"}
    made = await peer.ask("POST", ALGO, triggerPrice="49000", price="48000", clientAlgoOrderId=5, **stop)
    [row] = made["data"]["rows"]
    assert (row["algoType"], row["clientAlgoOrderId"]) == ("STOP_LOSS", 5)
    algo = row["algoOrderId"]
    seen = (await peer.ask("GET", ALGO, algoOrderId=algo))["data"]
    assert (seen["algoStatus"], seen["triggerPrice"], seen["isTriggered"]) == ("NEW", 49000, False)
    await peer.refused("GET", ORDER, 317152, clientOrderId=5)
    assert (await peer.ask("GET", "/v3/trade/orders"))["data"]["rows"] == []
    await peer.ask("PUT", ALGO, algoOrderId=algo, triggerPrice="49500")
    woo.do_trade("BTC-USDT", "49500")
    seen = (await peer.ask("GET", ALGO, clientAlgoOrderId=5))["data"]
    assert (seen["algoStatus"], seen["isTriggered"], seen["totalExecutedQuantity"]) == ("FILLED", True, 0.5)
    order = (await peer.ask("GET", ORDER, clientOrderId=5))["data"]
    assert (order["status"], order["averageExecutedPrice"]) == ("FILLED", 50000)


@on_loop
async def test_algo_orders_are_listed_cancelled_and_refused(peer: Peer) -> None:
    stop = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "algoType": "STOP"}
    ids = []
    for trigger, word in (("51000", "STOP_LOSS"), ("49000", "TAKE_PROFIT")):
        [row] = (await peer.ask("POST", ALGO, triggerPrice=trigger, **stop))["data"]["rows"]
        assert row["algoType"] == word
        ids.append(row["algoOrderId"])
    rows = (await peer.ask("GET", "/v3/trade/algoOrders", status="INCOMPLETE"))["data"]["rows"]
    assert [row["algoOrderId"] for row in rows] == ids[::-1]
    await peer.ask("DELETE", ALGO, algoOrderId=ids[0])
    assert (await peer.ask("GET", ALGO, algoOrderId=ids[0]))["data"]["algoStatus"] == "CANCELLED"
    assert (await peer.ask("DELETE", "/v3/trade/algoOrders"))["data"] == {"status": "CANCEL_ALL_SENT"}
    assert (await peer.ask("GET", ALGO, algoOrderId=ids[1]))["data"]["algoStatus"] == "CANCELLED"
    await peer.refused("POST", ALGO, 317167, triggerPrice="1", **stop | {"algoType": "OCO"})
    await peer.refused("POST", ALGO, -1005, **stop)
    await peer.refused("GET", ALGO, 317152, algoOrderId=3)


@on_loop
async def test_v1_speaks_of_the_same_orders(peer: Peer) -> None:
    values = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "order_type": "LIMIT", "order_price": "40000"}
    made = await peer.ask_old("POST", "/v1/order", order_quantity="0.01", client_order_id=9, **values)
    assert (made["client_order_id"], made["order_type"], made["order_price"]) == (9, "LIMIT", 40000)
    row = await peer.ask_old("GET", "/v1/client/order/9")
    assert (row["order_id"], row["status"], row["quantity"]) == (made["order_id"], "NEW", 0.01)
    assert (await peer.ask_old("GET", "/v1/orders", symbol="SPOT_BTC_USDT"))["rows"][0]["client_order_id"] == 9
    sent = await peer.ask_old("DELETE", "/v1/client/order", symbol="SPOT_BTC_USDT", client_order_id=9)
    assert sent == {"success": True, "status": "CANCEL_SENT"}
    assert (await peer.ask_old("GET", f"/v1/order/{made['order_id']}"))["status"] == "CANCELLED"


@on_loop
async def test_the_dead_mans_switch_cancels_all(peer: Peer, woo: Control) -> None:
    order = await peer.order()
    after = "/v3/trade/cancelAllAfter"
    assert (await peer.ask("POST", after, triggerAfter=60000))["data"]["expectedTriggerTime"] > woo.emulator.ms()
    await peer.ask("POST", after, triggerAfter=0)
    await peer.ask("POST", after, triggerAfter=20)
    await until(lambda: woo.emulator.exchange.orders[order].status == "CANCELED")
    await peer.refused("POST", after, 317176, triggerAfter=900001)
