"""WOO's accounts, perpetuals and market data by REST; who may ask, and how often."""

from __future__ import annotations

from decimal import Decimal

from tests.emulators.crypto.control import Control
from tests.emulators.loops import on_loop
from tests.emulators.test_woo.peer import Peer

ORDER = "/v3/trade/order"


@on_loop
async def test_only_who_signs_is_answered(peer: Peer) -> None:
    balances = "/v3/asset/balances"
    await peer.refused("GET", balances, -1002, 401, key="nobody")
    await peer.refused("GET", balances, -1002, 401, secret="wrong")
    await peer.refused("GET", balances, -1001, 401, stamp="12")
    await peer.refused("GET", balances, -1001, 401, stamp="now")
    answer = await peer.ask("GET", "/v3/nothing", 404)
    assert answer["success"] is False
    assert (await peer.ask("POST", "/v3/public/systemInfo", 405))["success"] is False
    assert (await peer.ask("GET", balances))["data"]["holding"][0]["token"] == "USDT"


@on_loop
async def test_a_balance_is_frozen_by_an_order(peer: Peer) -> None:
    await peer.order(price="40000", quantity="0.5")
    rows = {row["token"]: row for row in (await peer.ask("GET", "/v3/asset/balances"))["data"]["holding"]}
    assert (rows["USDT"]["holding"], rows["USDT"]["frozen"]) == (1_000_000, 20000)
    assert rows["USDT"]["availableBalance"] == 980000


@on_loop
async def test_a_perpetual_is_traded_with_leverage(peer: Peer, woo: Control) -> None:
    perp, leverage = {"symbol": "PERP_BTC_USDT"}, "/v3/futures/leverage"
    await peer.ask("PUT", leverage, leverage=5, marginMode="CROSS", **perp)
    seen = (await peer.ask("GET", leverage, marginMode="CROSS", **perp))["data"]
    assert (seen["positionMode"], seen["details"]) == ("ONE_WAY", [{"positionSide": "BOTH", "leverage": 5}])
    for wrong in (0, 6, 100):
        await peer.refused("PUT", leverage, 302306, leverage=wrong, **perp)
    await peer.refused("PUT", leverage, 317156, leverage=5, symbol="SPOT_BTC_USDT")
    order = await peer.order(type="MARKET", side="SELL", price=None, quantity="0.5", **perp)
    assert (await peer.row(order))["feeAsset"] == "USDT"
    [position] = (await peer.ask("GET", "/v3/futures/positions"))["data"]["positions"]
    assert (position["holding"], position["averageOpenPrice"], position["leverage"]) == ("-0.5", "50000", 5)
    assert float(position["estLiqPrice"]) > 50000
    rows = {row["token"]: row for row in (await peer.ask("GET", "/v3/asset/balances"))["data"]["holding"]}
    assert rows["USDT"]["holding"] == 1_000_000 - 12.5
    assert rows["USDT"]["availableBalance"] < 1_000_000 - 4900
    info = (await peer.ask("GET", "/v3/account/info"))["data"]
    assert (info["takerFeeRate"], info["makerFeeRate"]) == (5, 2)
    await peer.order(type="MARKET", price=None, quantity="0.5", reduceOnly=True, **perp)
    assert (await peer.ask("GET", "/v3/futures/positions"))["data"]["positions"] == []
    [none] = (await peer.ask("GET", "/v3/futures/positions", **perp))["data"]["positions"]
    assert none["holding"] == "0"
    assert woo.do_net() == {}


@on_loop
async def test_hedge_mode_has_two_sides(peer: Peer) -> None:
    mode, perp = "/v3/futures/positionMode", {"symbol": "PERP_BTC_USDT", "type": "MARKET", "price": None}
    await peer.ask("PUT", mode, positionMode="HEDGE_MODE")
    await peer.ask("PUT", mode, positionMode="HEDGE_MODE")
    await peer.refused("PUT", mode, -1005, positionMode="BOTH")
    usual = {"symbol": "PERP_BTC_USDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    await peer.refused("POST", ORDER, 302186, **usual)
    await peer.order(quantity="0.1", positionSide="LONG", **perp)
    await peer.order(quantity="0.2", side="SELL", positionSide="SHORT", **perp)
    held = (await peer.ask("GET", "/v3/futures/positions"))["data"]["positions"]
    assert {each["positionSide"]: each["holding"] for each in held} == {"LONG": "0.1", "SHORT": "-0.2"}
    await peer.refused("PUT", mode, 302126, positionMode="ONE_WAY")
    await peer.order(quantity="0.1", side="SELL", positionSide="LONG", **perp)
    await peer.order(quantity="0.2", positionSide="SHORT", **perp)
    await peer.ask("PUT", mode, positionMode="ONE_WAY")
    assert (await peer.ask("GET", "/v3/account/info"))["data"]["positionMode"] == "ONE_WAY"


@on_loop
async def test_funding_is_paid_and_listed(peer: Peer, woo: Control) -> None:
    await peer.order(symbol="PERP_BTC_USDT", type="MARKET", price=None, quantity="0.1")
    woo.do_fund("BTC-USDT-PERP", "0.0001")
    [row] = (await peer.ask("GET", "/v3/futures/fundingFee/history"))["data"]["rows"]
    assert (row["symbol"], row["paymentType"], row["fundingFee"]) == ("PERP_BTC_USDT", "Pay", "0.500005")
    rate = (await peer.ask("GET", "/v3/public/fundingRate", symbol="PERP_BTC_USDT"))["data"]["rows"][0]
    assert rate["nextFundingTime"] > woo.emulator.ms()
    assert len(rate["estFundingRate"]) <= 11
    history = (await peer.ask("GET", "/v3/public/fundingRateHistory", symbol="PERP_BTC_USDT"))["data"]["rows"]
    assert history[0]["fundingRate"] == rate["lastFundingRate"]
    assert len(history) == 25


@on_loop
async def test_market_data(peer: Peer, woo: Control) -> None:
    rows = (await peer.ask("GET", "/v3/public/instruments"))["data"]["rows"]
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"TRADING"}
    btc = {"symbol": "SPOT_BTC_USDT"}
    book = await peer.ask("GET", "/v3/public/orderbook", maxLevel=2, **btc)
    assert book["data"]["bids"] == [{"price": "50000", "quantity": "1"}, {"price": "49999.99", "quantity": "1"}]
    woo.do_trade("BTC-USDT", "50001", "0.2")
    trade = (await peer.ask("GET", "/v3/public/marketTrades", limit=1, **btc))["data"]["rows"][0]
    assert (trade["executedPrice"], trade["executedQuantity"], trade["side"]) == ("50001", "0.2", "BUY")
    bars = (await peer.ask("GET", "/v3/public/klineHistory", type="5m", limit=3, **btc))["data"]["rows"]
    starts = [bar["startTimestamp"] for bar in bars]
    assert starts == sorted(starts, reverse=True)
    assert starts[0] - starts[1] == 300_000
    assert bars[0]["close"] == "50001"
    later = await peer.ask("GET", "/v3/public/klineHistory", type="5m", after=starts[1] - 1, **btc)
    assert [bar["startTimestamp"] for bar in later["data"]["rows"]] == starts[:2]
    future = (await peer.ask("GET", "/v3/public/futures", symbol="PERP_BTC_USDT"))["data"]["rows"][0]
    assert Decimal(future["markPrice"]) == Decimal("50000.5")
    await peer.refused("GET", "/v3/public/klineHistory", -1005, type="7m", **btc)
    await peer.refused("GET", "/v3/public/orderbook", -1005)
    old = await peer.ask_old("GET", "/v1/public/orderbook/SPOT_BTC_USDT")
    assert old["asks"][0] == {"price": 50001.0, "quantity": 1.0}
    assert (await peer.ask_old("GET", "/v1/public/info/SPOT_BTC_USDT"))["info"]["base_tick"] == 0.00001


@on_loop
async def test_rate_limits_are_kept_when_asked_for(peer: Peer, woo: Control) -> None:
    woo.do_limits(True)
    began = woo.emulator.now()
    woo.emulator.rates.now = lambda: began + woo.emulator.ahead
    for _ in range(5):
        await peer.order()
    usual = {"symbol": "SPOT_BTC_USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.01"}
    assert await peer.refused("POST", ORDER, -1003, 429, **usual) == "Rate limit exceed."
    await peer.order(symbol="SPOT_ETH_USDT", price="2000", quantity="0.1")
    assert len(woo.do_orders()) == 6
    woo.do_clock(2)
    await peer.order()
