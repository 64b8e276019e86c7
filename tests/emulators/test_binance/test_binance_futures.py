"""The emulated Binance's USD-M futures: orders, conditional orders, positions, money, user data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulators.binance.server import BinanceControl
from tests.emulators.loops import on_loop, until
from tests.emulators.test_binance.peer import Peer

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
B = {"symbol": "BTCUSDT"}


async def order(peer: Peer, quantity: Any = "0.1", price: Any = None, **more: Any) -> Any:
    """A new order."""
    return await peer.order(quantity, price, **{"path": ORDER, "newOrderRespType": "RESULT"} | more)


async def stop(peer: Peer, trigger: str = "45000", **more: Any) -> Any:
    """A new conditional order: to sell at the market, when the price has fallen."""
    terms = {
        "algoType": "CONDITIONAL",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.1",
        "triggerPrice": trigger,
    }
    return await peer.call("POST", ALGO, **{k: v for k, v in (B | terms | more).items() if v is not None})


@on_loop
async def test_orders(binance: BinanceControl, peer: Peer) -> None:
    made = await order(peer, "0.2", "49000", newClientOrderId="a")
    assert (made["status"], made["positionSide"], made["avgPrice"]) == ("NEW", "BOTH", "0.00000")
    assert (await order(peer, "0.2", "49000", newClientOrderId="a"))["code"] == -4116
    changed = await peer.call("PUT", ORDER, **B, side="BUY", orderId=made["orderId"], quantity="0.3", price="49100")
    assert (changed["orderId"], changed["origQty"], changed["price"]) == (made["orderId"], "0.3", "49100")
    same = await peer.call("PUT", ORDER, **B, side="BUY", origClientOrderId="a", quantity="0.3", price="49100")
    assert same["code"] == -5027
    half = await peer.call("PUT", ORDER, **B, side="BUY", origClientOrderId="a", quantity="0.3")
    assert half["code"] == -1102
    assert [o["orderId"] for o in await peer.call("GET", "/fapi/v1/openOrders", **B)] == [made["orderId"]]
    binance.do_fill("a", "0.1")
    found = await peer.call("GET", ORDER, **B, origClientOrderId="a")
    assert (found["status"], found["executedQty"], found["cumQuote"]) == ("PARTIALLY_FILLED", "0.1", "4910")
    ended = await peer.call("PUT", ORDER, **B, side="BUY", origClientOrderId="a", quantity="0.1", price="49100")
    assert ended["status"] == "CANCELED", "so much is filled already"
    assert (await peer.call("DELETE", ORDER, **B, orderId=made["orderId"]))["code"] == -2011
    assert (await peer.call("GET", "/fapi/v1/openOrder", **B, orderId=made["orderId"]))["code"] == -2013
    assert (await peer.call("GET", ORDER, **B, origClientOrderId="nobody"))["code"] == -2013
    (trade,) = await peer.call("GET", "/fapi/v1/userTrades", **B)
    assert (trade["qty"], trade["commission"], trade["maker"]) == ("0.1", "0.982", True)
    assert (await order(peer, newOrderRespType="ACK"))["status"] == "NEW", "acknowledged, not yet filled"
    assert (await order(peer))["status"] == "FILLED"
    await order(peer, "0.1", "48000")
    assert (await peer.call("DELETE", "/fapi/v1/allOpenOrders", **B))["code"] == 200
    assert await peer.call("GET", "/fapi/v1/openOrders") == []


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        (-1121, {"symbol": "NOSUCH"}),
        (-1111, {"quantity": "0.00001"}),
        (-4003, {"quantity": "0"}),
        (-4005, {"quantity": "1001"}),
        (-4014, {"price": "49000.01"}),
        (-4164, {"price": "10"}),
        (-2019, {"quantity": "900"}),
        (-2022, {"reduceOnly": "true"}),
        (-4061, {"positionSide": "LONG"}),
        (-5022, {"timeInForce": "GTX", "price": "50001"}),
        (-1102, {"timeInForce": None}),
        (-1106, {"type": "MARKET"}),
        (-1115, {"timeInForce": "DAY"}),
        (-1116, {"type": "NONSENSE"}),
        (-1117, {"side": "HOLD"}),
        (-4120, {"type": "STOP_MARKET"}),
    ],
)
@on_loop
async def test_what_is_refused(code: int, terms: dict[str, Any], binance: BinanceControl, peer: Peer) -> None:
    answer = await order(peer, **{"quantity": "0.1", "price": "49000"} | terms)
    assert (peer.status, answer["code"]) == (400, code)
    assert binance.do_orders() == []


@on_loop
async def test_positions_and_money(binance: BinanceControl, peer: Peer) -> None:
    await order(peer, "0.5")
    binance.do_mark("BTC-USDT-PERP", 51000)
    (position,) = await peer.call("GET", "/fapi/v3/positionRisk")
    kept = ("positionAmt", "entryPrice", "markPrice", "unRealizedProfit", "initialMargin", "liquidationPrice")
    assert [position[name] for name in kept] == [
        *("0.5", "50000.1", "51000.00000000", "499.95000000", "1275", "0"),
    ]
    assert (await peer.call("POST", "/fapi/v1/leverage", **B, leverage=50))["leverage"] == 50
    assert (await peer.call("POST", "/fapi/v1/leverage", **B, leverage=500))["code"] == -4028
    old = {p["symbol"]: p for p in await peer.call("GET", "/fapi/v2/positionRisk")}
    assert (len(old), old["BTCUSDT"]["leverage"], old["BTCUSDT"]["marginType"]) == (4, "50", "cross")
    assert (await peer.call("POST", "/fapi/v1/marginType", **B, marginType="ISOLATED"))["code"] == -4048
    assert (await peer.call("POST", "/fapi/v1/marginType", **B, marginType="CROSSED"))["code"] == -4046
    for version in ("v2", "v3"):
        account = await peer.call("GET", f"/fapi/{version}/account")
        assert (account["totalWalletBalance"], account["totalUnrealizedProfit"]) == ("999987.49997500", "499.95000000")
        balance = (await peer.call("GET", f"/fapi/{version}/balance"))[0]
        assert (balance["asset"], balance["balance"], balance["crossUnPnl"]) == (
            "USDT",
            "999987.49997500",
            "499.95000000",
        )
    assert binance.do_fund("BTC-USDT-PERP", "0.0001") == "0.0001"
    income = await peer.call("GET", "/fapi/v1/income")
    assert [(row["incomeType"], row["income"]) for row in income] == [
        *(("COMMISSION", "-12.50002500"), ("FUNDING_FEE", "-2.55000000")),
    ]
    (bracket,) = await peer.call("GET", "/fapi/v1/leverageBracket", **B)
    assert bracket["brackets"][0]["initialLeverage"] == 125
    assert (await peer.call("GET", "/fapi/v1/commissionRate", **B))["takerCommissionRate"] == "0.0005"
    config = await peer.call("GET", "/fapi/v1/symbolConfig", **B)
    assert config[0]["leverage"] == 50


@on_loop
async def test_position_mode(binance: BinanceControl, peer: Peer) -> None:
    path = "/fapi/v1/positionSide/dual"
    assert await peer.call("GET", path) == {"dualSidePosition": False}
    assert (await peer.call("POST", path, dualSidePosition="false"))["code"] == -4059
    await order(peer, "0.1", "49000", newClientOrderId="a")
    assert (await peer.call("POST", path, dualSidePosition="true"))["code"] == -4067
    await peer.call("DELETE", ORDER, **B, origClientOrderId="a")
    assert (await peer.call("POST", path, dualSidePosition="true"))["code"] == 200
    assert (await order(peer))["code"] == -4061
    await order(peer, positionSide="LONG")
    await order(peer, side="SELL", positionSide="SHORT", quantity="0.2")
    found = await peer.call("GET", "/fapi/v3/positionRisk")
    assert {p["positionSide"]: p["positionAmt"] for p in found} == {"LONG": "0.1", "SHORT": "-0.2"}
    assert (await peer.call("POST", path, dualSidePosition="false"))["code"] == -4068


@on_loop
async def test_user_data(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.futures_user()
    await order(peer, "0.5", "49000", newClientOrderId="a")
    await peer.call("PUT", ORDER, **B, side="BUY", origClientOrderId="a", quantity="0.4", price="48000")
    assert (await ears.event("ORDER_TRADE_UPDATE", x="AMENDMENT"))["p"] == "48000"
    binance.do_fill("a", "0.1")
    fill = await ears.event("ORDER_TRADE_UPDATE", x="TRADE")
    assert [fill[name] for name in "XlLzNnmt"] == [
        *("PARTIALLY_FILLED", "0.1", "48000", "0.1", "USDT", "0.96", True),
        10001,
    ]
    assert (await ears.event("TRADE_LITE"))["t"] == 10001
    update = (await ears.event("ACCOUNT_UPDATE"))["a"]
    assert update["B"] == [{"a": "USDT", "wb": "999999.04000000", "cw": "999999.04000000", "bc": "0"}]
    assert [(p["s"], p["pa"], p["ep"], p["ps"]) for p in update["P"]] == [("BTCUSDT", "0.1", "48000", "BOTH")]
    await peer.call("DELETE", ORDER, **B, origClientOrderId="a")
    assert (await ears.event("ORDER_TRADE_UPDATE", x="CANCELED"))["c"] == "a"
    await peer.call("POST", "/fapi/v1/leverage", **B, leverage=50)
    assert (await ears.event("ACCOUNT_CONFIG_UPDATE"))["ac"] == {"s": "BTCUSDT", "l": 50}
    binance.do_fund("BTC-USDT-PERP", "0.001")
    await until(lambda: any(e["a"]["m"] == "FUNDING_FEE" for e in ears.events("ACCOUNT_UPDATE")))
    funding = ears.events("ACCOUNT_UPDATE")[-1]["a"]
    assert (funding["B"][0]["bc"], funding["P"]) == ("-5", [])
    assert ears.events("executionReport") == []
    heard = len(ears.heard)
    await peer.order("0.01")
    binance.do_deposit("USDT", 5, wallet="perp")
    await until(lambda: len(ears.heard) > heard)
    assert [e["a"]["m"] for e in ears.heard[heard:]] == ["DEPOSIT"], "spot's orders are not told here"


@on_loop
async def test_listen_keys(binance: BinanceControl, peer: Peer) -> None:
    path = "/fapi/v1/listenKey"
    assert (await peer.call("PUT", path))["code"] == -1125
    key = (await peer.call("POST", path))["listenKey"]
    assert (await peer.call("POST", path))["listenKey"] == (await peer.call("PUT", path))["listenKey"] == key
    ears = [await peer.ears(f"/private/ws/{key}"), await peer.ears(f"/private/ws?listenKey={key}")]
    await order(peer, "0.5", "49000")
    for each in ears:
        await each.event("ORDER_TRADE_UPDATE", x="NEW")
    binance.do_expire_keys()
    for each in ears:
        assert (await each.event("listenKeyExpired"))["listenKey"] == key
    assert (await peer.call("PUT", path))["code"] == -1125
    heard = [len(each.heard) for each in ears]
    await order(peer, "0.5", "49000")
    new = await peer.futures_user()
    await order(peer, "0.5", "49000", newClientOrderId="z")
    await new.event("ORDER_TRADE_UPDATE", c="z")
    assert [len(each.heard) for each in ears] == heard, "an expired key tells nothing more"
    assert await peer.call("DELETE", path) == {}
    await until(lambda: new.socket.closed)


@on_loop
async def test_conditional_orders(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.futures_user()
    made = await stop(peer, clientAlgoId="s1")
    assert (made["algoStatus"], made["orderType"], made["triggerPrice"]) == ("NEW", "STOP_MARKET", "45000")
    assert (await ears.event("ALGO_UPDATE", X="NEW"))["caid"] == "s1"
    assert await peer.call("GET", "/fapi/v1/openOrders") == [], "they are apart from other orders"
    assert (await peer.call("GET", ORDER, **B, origClientOrderId="s1"))["code"] == -2013
    assert (await peer.call("DELETE", ORDER, **B, origClientOrderId="s1"))["code"] == -2011
    assert [o["algoId"] for o in await peer.call("GET", "/fapi/v1/openAlgoOrders", **B)] == [made["algoId"]]
    binance.do_trade("BTC-USDT-PERP", "45000")
    await ears.event("ALGO_UPDATE", X="FINISHED")
    found = await peer.call("GET", ALGO, clientAlgoId="s1")
    child = await peer.call("GET", ORDER, **B, origClientOrderId="s1")
    assert (found["algoStatus"], found["actualOrderId"]) == ("FINISHED", str(child["orderId"]))
    assert (child["status"], child["type"], child["origType"]) == ("FILLED", "MARKET", "STOP_MARKET")
    assert child["orderId"] != made["algoId"]
    told = [e["o"].get("X") for e in ears.events("ALGO_UPDATE", "ORDER_TRADE_UPDATE")]
    assert told == ["NEW", "NEW", "FILLED", "TRIGGERED", "FINISHED"], "the child is told first"
    other = await stop(peer, "44500", type="STOP", price="44000", clientAlgoId="s2", reduceOnly="true")
    gone = await peer.call("DELETE", ALGO, algoId=other["algoId"])
    assert (gone["code"], gone["clientAlgoId"]) == ("200", "s2")
    await ears.event("ALGO_UPDATE", X="CANCELED", caid="s2")
    assert (await peer.call("DELETE", ALGO, clientAlgoId="s2"))["code"] == -2011
    assert (await peer.call("GET", ALGO, clientAlgoId="nobody"))["code"] == -2013
    await stop(peer, "44000", side="BUY", type="TAKE_PROFIT_MARKET", quantity="500", clientAlgoId="s3")
    binance.do_trade("BTC-USDT-PERP", "44000")
    refused = await ears.event("ALGO_UPDATE", X="REJECTED")
    assert "margin" in refused["rm"], "its money is looked at when it is triggered"
    assert len(await peer.call("GET", "/fapi/v1/allAlgoOrders", **B)) == 3
    await stop(peer, "40000")
    await peer.call("DELETE", "/fapi/v1/allOpenOrders", **B)
    assert len(await peer.call("GET", "/fapi/v1/openAlgoOrders")) == 1
    await peer.call("DELETE", "/fapi/v1/algoOpenOrders", **B)
    assert await peer.call("GET", "/fapi/v1/openAlgoOrders") == []


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        (-1130, {"algoType": "VP"}),
        (-1116, {"type": "MARKET"}),
        (-1102, {"triggerPrice": None}),
        (-1102, {"type": "STOP"}),
        (-1102, {"quantity": None}),
        (-2021, {"triggerPrice": "55000"}),
        (-4014, {"triggerPrice": "45000.01"}),
    ],
)
@on_loop
async def test_conditional_orders_that_are_refused(
    code: int, terms: dict[str, Any], binance: BinanceControl, peer: Peer
) -> None:
    assert (await stop(peer, **terms))["code"] == code
    assert binance.do_orders() == []


@on_loop
async def test_a_stop_is_filled_by_hand(binance: BinanceControl, peer: Peer) -> None:
    await stop(peer, clientAlgoId="s")
    binance.do_fill("s", "0.1")
    assert (await peer.call("GET", ORDER, **B, origClientOrderId="s"))["status"] == "FILLED"
    assert (await peer.call("GET", ALGO, clientAlgoId="s"))["algoStatus"] == "FINISHED"


@on_loop
async def test_a_liquidation(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.futures_user()
    await order(peer, "10")
    binance.do_quote("BTC-USDT-PERP", "49999.9", "50000.1", 100, 100)
    await peer.call("POST", "/fapi/v1/leverage", **B, leverage=125)
    binance.do_deposit("USDT", "-990000", wallet="perp")
    (position,) = await peer.call("GET", "/fapi/v3/positionRisk")
    binance.do_mark("BTC-USDT-PERP", position["liquidationPrice"])
    closed = await ears.event("ORDER_TRADE_UPDATE", x="CALCULATED")
    assert closed["c"].startswith("autoclose-")
    assert await peer.call("GET", "/fapi/v3/positionRisk") == []
