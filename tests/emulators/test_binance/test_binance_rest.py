"""The emulated Binance's REST: keys and signatures, errors and filters, limits, spot orders, public questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.emulators.binance.server import BinanceControl
from tests.emulators.crypto.server import Key
from tests.emulators.loops import on_loop
from tests.emulators.test_binance.peer import Peer

ORDER = "/api/v3/order"


@on_loop
async def test_signatures_and_timestamps(binance: BinanceControl, peer: Peer) -> None:
    now = int(time.time() * 1000)
    assert (await peer.call("GET", "/api/v3/account"))["accountType"] == "SPOT"
    for params, code, text in [
        ({"timestamp": now + 5000}, -1021, "ahead of"),
        ({"timestamp": now - 6000}, -1021, "outside of"),
        ({"timestamp": now - 2000, "recvWindow": 1000}, -1021, "outside of"),
        ({"timestamp": "x"}, -1100, "Illegal"),
        ({"timestamp": ""}, -1102, "timestamp"),
        ({"recvWindow": 60001}, -1131, "less than 60000"),
    ]:
        answer = await peer.call("GET", "/api/v3/account", **params)
        assert (peer.status, answer["code"]) == (400, code)
        assert text in answer["msg"]
    assert await peer.call("GET", "/api/v3/account", timestamp=now - 6000, recvWindow=60000)
    binance.do_clock(10)
    assert (await peer.call("GET", "/api/v3/account"))["code"] == -1021
    peer.secret = "wrong"
    binance.do_clock(0)
    assert (await peer.call("GET", "/api/v3/account"))["code"] == -1022
    peer.key = "nobody"
    assert ((await peer.call("GET", "/api/v3/account"))["code"], peer.status) == (-2015, 401)
    assert ((await peer.get("/api/v3/account"))["code"], peer.status) == (-2014, 401)
    async with peer.session.get(peer.base + "/api/v3/nonsense") as response:
        assert response.status == 404


@on_loop
async def test_query_and_form_are_signed_together(peer: Peer) -> None:
    query = peer.signed({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"})
    first, *rest = query.split("&")
    url = f"{peer.base}{ORDER}?{'&'.join(rest)}"
    headers = {"X-MBX-APIKEY": "key", "Content-Type": "application/x-www-form-urlencoded"}
    async with peer.session.post(url, data=first, headers=headers) as response:
        assert (await response.json())["code"] == -1022, "the query comes first"
    async with peer.session.post(f"{peer.base}{ORDER}?{first}", data="&".join(rest), headers=headers) as response:
        assert (await response.json())["code"] == -1022, "and nothing between them"
    async with peer.session.post(f"{peer.base}{ORDER}?{query}", headers=headers) as response:
        assert (await response.json())["status"] == "FILLED"


@on_loop
async def test_a_limit_order_from_its_beginning_to_its_end(binance: BinanceControl, peer: Peer) -> None:
    made = await peer.order("0.02", "49000", newClientOrderId="mine-1")
    assert {name: made[name] for name in ("status", "origQty", "executedQty", "fills")} == {
        "status": "NEW",
        "origQty": "0.02000000",
        "executedQty": "0.00000000",
        "fills": [],
    }
    assert (await peer.order("0.02", "49000", newClientOrderId="mine-1"))["msg"] == "Duplicate order sent."
    binance.do_fill("mine-1", "0.005")
    for by in ({"orderId": made["orderId"]}, {"origClientOrderId": "mine-1"}):
        found = await peer.call("GET", ORDER, symbol="BTCUSDT", **by)
        assert (found["status"], found["executedQty"]) == ("PARTIALLY_FILLED", "0.00500000")
    assert [o["orderId"] for o in await peer.call("GET", "/api/v3/openOrders")] == [made["orderId"]]
    assert await peer.call("GET", "/api/v3/openOrders", symbol="ETHUSDT") == []
    gone = await peer.call("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine-1", newClientOrderId="c-1")
    assert [gone[name] for name in ("status", "origClientOrderId", "clientOrderId")] == ["CANCELED", "mine-1", "c-1"]
    again = await peer.call("DELETE", ORDER, symbol="BTCUSDT", orderId=made["orderId"])
    assert again == {"code": -2011, "msg": "Unknown order sent."}
    assert [o["status"] for o in await peer.call("GET", "/api/v3/allOrders", symbol="BTCUSDT")] == ["CANCELED"]
    (trade,) = await peer.call("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=made["orderId"])
    assert [trade[name] for name in ("qty", "price", "commission", "commissionAsset", "isMaker")] == [
        *("0.00500000", "49000.00000000", "0.00000500", "BTC", True)
    ]
    balances = {b["asset"]: (b["free"], b["locked"]) for b in (await peer.call("GET", "/api/v3/account"))["balances"]}
    assert balances["USDT"] == ("999755.00000000", "0.00000000")
    assert balances["BTC"] == ("10.00499500", "0.00000000")


@on_loop
async def test_answers_are_as_long_as_they_are_asked_for(peer: Peer) -> None:
    assert set(await peer.order(newOrderRespType="ACK")) == {
        *("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
    }
    assert "fills" not in await peer.order(newOrderRespType="RESULT")
    full = await peer.order("1.5")
    assert [fill["qty"] for fill in full["fills"]] == ["0.98000000", "0.52000000"]
    cost = await peer.order(None, quoteOrderQty="100")
    assert (cost["origQty"], cost["origQuoteOrderQty"]) == (cost["executedQty"], "100.00000000")
    assert "status" not in await peer.order(type="STOP_LOSS", stopPrice="51000"), "a stop is acknowledged"
    assert await peer.call("POST", ORDER + "/test", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1) == {}


@pytest.mark.parametrize(
    ("code", "text", "terms"),
    [
        (-1121, "Invalid symbol.", {"symbol": "NOSUCH"}),
        (-1102, "'symbol'", {"symbol": None}),
        (-1102, "'quantity'", {"quantity": None}),
        (-1102, "'price'", {"price": None, "type": "LIMIT", "timeInForce": "GTC"}),
        (-1102, "'timeInForce'", {"timeInForce": None}),
        (-1102, "'stopPrice'", {"type": "STOP_LOSS_LIMIT"}),
        (-1106, "'timeInForce'", {"type": "LIMIT_MAKER"}),
        (-1106, "'price'", {"type": "MARKET", "timeInForce": None}),
        (-1106, "'quoteOrderQty'", {"quoteOrderQty": "100"}),
        (-1104, "read '8' parameter(s) but was sent '9'", {"nonsense": "1"}),
        (-1116, "Invalid orderType.", {"type": "STOP"}),
        (-1115, "Invalid timeInForce.", {"timeInForce": "DAY"}),
        (-1117, "Invalid side.", {"side": "HOLD"}),
        (-1100, "'quantity'", {"quantity": "1e-3"}),
        (-1100, "'quantity'", {"quantity": "-1"}),
        (-1100, "'newClientOrderId'", {"newClientOrderId": "x" * 37}),
        (-1100, "'newClientOrderId'", {"newClientOrderId": "a b"}),
        (-1013, "PRICE_FILTER", {"price": "49000.001"}),
        (-1013, "LOT_SIZE", {"quantity": "0.000001"}),
        (-1013, "LOT_SIZE", {"quantity": "0"}),
        (-1013, "LOT_SIZE", {"quantity": "9001"}),
        (-1013, "NOTIONAL", {"quantity": "0.00001"}),
        (-2010, "insufficient balance", {"quantity": "30"}),
        (-2010, "insufficient balance", {"side": "SELL", "quantity": "30"}),
        (-2010, "match and take", {"type": "LIMIT_MAKER", "timeInForce": None, "price": "50001"}),
        (-2010, "trigger immediately", {"type": "STOP_LOSS_LIMIT", "stopPrice": "40000"}),
    ],
)
@on_loop
async def test_what_is_refused(
    code: int, text: str, terms: dict[str, Any], binance: BinanceControl, peer: Peer
) -> None:
    answer = await peer.order(**{"quantity": "0.01", "price": "49000", "type": "LIMIT", "timeInForce": "GTC"} | terms)
    assert (peer.status, answer["code"]) == (400, code)
    assert text in answer["msg"]
    assert binance.do_orders() == []


@on_loop
async def test_questions_about_orders_that_are_not(peer: Peer) -> None:
    for by in ({"orderId": 5}, {"origClientOrderId": "nobody"}):
        assert (await peer.call("GET", ORDER, symbol="BTCUSDT", **by))["code"] == -2013
        assert (await peer.call("DELETE", ORDER, symbol="BTCUSDT", **by))["code"] == -2011
    made = await peer.order("0.01", "49000")
    assert (await peer.call("GET", ORDER, symbol="ETHUSDT", orderId=made["orderId"]))["code"] == -2013
    for method in ("GET", "DELETE"):
        assert (await peer.call(method, ORDER, symbol="BTCUSDT"))["code"] == -1102
        assert (await peer.call(method, ORDER, orderId=1))["code"] == -1102
    assert len(await peer.call("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == 1
    assert (await peer.call("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"))["code"] == -2011


@on_loop
async def test_an_order_is_replaced_by_another(binance: BinanceControl, peer: Peer) -> None:
    path, terms = ORDER + "/cancelReplace", {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}

    async def replace(order: int, quantity: str = "0.01", price: str = "48000", mode: str = "STOP_ON_FAILURE") -> Any:
        more = {"quantity": quantity, "price": price, "cancelReplaceMode": mode, "cancelOrderId": order}
        return await peer.call("POST", path, **terms | more)

    first = (await peer.order("0.01", "49000"))["orderId"]
    done = await replace(first)
    new = done["newOrderResponse"]["orderId"]
    assert (done["cancelResult"], done["newOrderResult"], done["cancelResponse"]["orderId"]) == (
        *("SUCCESS",) * 2,
        first,
    )
    assert new != first
    late = await replace(first)
    assert (peer.status, late["code"], late["data"]["newOrderResult"]) == (400, -2022, "NOT_ATTEMPTED")
    assert late["data"]["cancelResponse"]["code"] == -2011
    assert (await replace(new, price="48000.001"))["code"] == -1013, "its form is looked at before anything is done"
    poor = await replace(new, quantity="100")
    assert (peer.status, poor["code"], poor["data"]["cancelResult"]) == (409, -2021, "SUCCESS")
    assert poor["data"]["newOrderResponse"]["code"] == -2010
    both = await replace(new, mode="ALLOW_FAILURE")
    assert (peer.status, both["code"], both["data"]["newOrderResult"]) == (409, -2021, "SUCCESS")
    newest = both["data"]["newOrderResponse"]["orderId"]
    binance.do_fault("rejected_replace")
    assert (await replace(newest))["code"] == -2022
    binance.do_fault("half_replace")
    assert (await replace(newest))["code"] == -2021
    assert [o["status"] for o in binance.do_orders()] == ["CANCELED"] * 3


@on_loop
async def test_trades_are_asked_for_in_pieces(binance: BinanceControl, peer: Peer) -> None:
    for _ in range(5):
        await peer.order("0.001")
    emulator = binance.emulator
    begun, path = emulator.ms() - 1000, "/api/v3/myTrades"
    ids = [t["id"] for t in await peer.call("GET", path, symbol="BTCUSDT")]
    assert len(ids) == 5
    pieces = {
        "newest": {"limit": 2},
        "first": {"limit": 2, "startTime": begun},
        "from": {"limit": 2, "fromId": ids[1]},
        "none": {"endTime": begun},
    }
    found = {n: [t["id"] for t in await peer.call("GET", path, symbol="BTCUSDT", **p)] for n, p in pieces.items()}
    assert found == {"newest": ids[3:], "first": ids[:2], "from": ids[1:3], "none": []}
    wide = await peer.call("GET", path, symbol="BTCUSDT", startTime=begun, endTime=begun + 86_400_001)
    assert (wide["code"], "24 hours" in wide["msg"]) == (-1127, True)
    assert (await peer.call("GET", path))["code"] == -1102
    assert (await peer.call("GET", path, symbol="BTCUSDT", limit=0))["code"] == -1130
    orders = await peer.call("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=binance.do_orders()[3]["number"])
    assert len(orders) == 2


@on_loop
async def test_limits_are_counted_and_kept(make: Callable[..., BinanceControl], peers: Callable[..., Peer]) -> None:
    control = make(limits=True)
    peer, pool = peers(control.emulator.port), control.emulator.pools["spot"]
    control.emulator.now = lambda: 1_900_000_000.0  # type: ignore[method-assign]
    await peer.get("/api/v3/depth", symbol="BTCUSDT")
    assert peer.headers["X-MBX-USED-WEIGHT-1M"] == "5"
    pool.most_orders, stamp = {10: 2, 86400: 200_000}, {"timestamp": 1_900_000_000_000}
    for count in "12":
        await peer.order(**stamp)
        assert peer.headers["X-MBX-ORDER-COUNT-10S"] == count
    assert ((await peer.order(**stamp))["code"], peer.status, peer.headers["Retry-After"]) == (-1015, 429, "10")
    assert len(control.do_orders()) == 2
    pool.most_weight = pool.weight(1_900_000_000.0)
    assert ((await peer.get("/api/v3/ping"))["code"], peer.status) == (-1003, 429)
    assert peer.headers["Retry-After"] == "20", "until the minute ends"
    assert ((await peer.get("/api/v3/ping"))["code"], peer.status) == (-1003, 418), "it did not listen"
    await peer.get("/fapi/v1/ping")
    assert (peer.status, peer.headers["X-MBX-USED-WEIGHT-1M"]) == (200, "1"), "the markets' limits are apart"


@on_loop
async def test_accounts_are_apart(make: Callable[..., BinanceControl], peers: Callable[..., Peer]) -> None:
    port = make(keys=(Key("one", "k1", "s1"), Key("two", "k2", "s2"))).emulator.port
    one, two = peers(port, "k1", "s1"), peers(port, "k2", "s2")
    made = await one.order("0.01", "49000", newClientOrderId="a")
    assert (await two.call("GET", ORDER, symbol="BTCUSDT", orderId=made["orderId"]))["code"] == -2013
    assert (await two.order("0.01", "49000", newClientOrderId="a"))["status"] == "NEW"
    assert len(await two.call("GET", "/api/v3/openOrders")) == 1


@on_loop
async def test_public_questions(binance: BinanceControl, peer: Peer) -> None:
    info = await peer.get("/api/v3/exchangeInfo", symbols=json.dumps(["BTCUSDT", "ETHUSDT"]))
    assert [each["symbol"] for each in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert len((await peer.get("/api/v3/exchangeInfo"))["symbols"]) == 6
    assert (await peer.get("/api/v3/exchangeInfo", symbol="X"))["code"] == -1121
    depth = await peer.get("/api/v3/depth", symbol="BTCUSDT", limit=5)
    assert (depth["bids"][0], len(depth["asks"])) == (["49999.90000000", "1.00000000"], 5)
    ticker = await peer.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    assert (ticker["bidPrice"], ticker["askQty"]) == ("49999.90000000", "1.00000000")
    several = await peer.get("/api/v3/ticker/bookTicker", symbols='["BTCUSDT","SOLUSDT"]')
    assert [each["symbol"] for each in several] == ["BTCUSDT", "SOLUSDT"]
    assert (await peer.get("/api/v3/ticker/price", symbols="nonsense"))["code"] == -1100
    assert len(await peer.get("/api/v3/ticker/24hr")) == 6
    assert (await peer.get("/api/v3/ticker/price", symbols='["BTCUSDT","GONE"]'))["code"] == -1121
    binance.do_trade("BTC-USDT", "50001", "0.5")
    assert [t["price"] for t in await peer.get("/api/v3/trades", symbol="BTCUSDT")] == ["50001.00000000"]
    assert [t["q"] for t in await peer.get("/api/v3/aggTrades", symbol="BTCUSDT")] == ["0.50000000"]
    bars = await peer.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=3)
    assert [bar[6] - bar[0] for bar in bars] == [59_999] * 3
    assert bars[-1][4] == "50001.00000000"
    some = await peer.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", startTime=bars[0][0] - 7_200_000, limit=2)
    assert some[1][0] - some[0][0] == 3_600_000
    assert (await peer.get("/api/v3/klines", symbol="BTCUSDT", interval="7y"))["code"] == -1120
    assert abs((await peer.get("/api/v3/time"))["serverTime"] - time.time() * 1000) < 5000
    premium = await peer.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert (premium["markPrice"], premium["nextFundingTime"] % 28_800_000) == ("50000.00000000", 0)
    rates = await peer.get("/fapi/v1/fundingRate", symbol="BTCUSDT", limit=3)
    assert [r["fundingTime"] % 28_800_000 for r in rates] == [0, 0, 0]
    since = await peer.get("/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=rates[1]["fundingTime"])
    assert since == rates[1:]
    assert (await peer.get("/fapi/v1/depth", symbol="BTCUSDT", limit=7))["code"] == -4021
    binance.do_trade("BTC-USDT-PERP", "50002", "0.5")
    (trade,) = await peer.get("/fapi/v1/trades", symbol="BTCUSDT")
    prices = {each["symbol"]: each for each in await peer.get("/fapi/v2/ticker/price")}
    assert prices["BTCUSDT"] == {"symbol": "BTCUSDT", "price": trade["price"], "time": trade["time"]}
    assert len((await peer.get("/fapi/v1/exchangeInfo"))["symbols"]) == 4
