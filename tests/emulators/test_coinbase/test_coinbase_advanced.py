"""Coinbase Advanced Trade, as a client that signs by hand sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.emulators.coinbase.server import CoinbaseControl
from tests.emulators.loops import on_loop, until
from tests.emulators.test_coinbase.peer import V3, AdvancedPeer

MARKET = "market_market_ioc"


@on_loop
async def test_only_who_signs_is_answered(trade: AdvancedPeer) -> None:
    assert await trade.ask("GET", f"{V3}/accounts", 401, secret="wrong") == "Unauthorized\n"
    assert await trade.send("GET", f"{V3}/accounts", "", {"Authorization": "Bearer a.b.c"}, 401) == "Unauthorized\n"
    old = await trade.ask("GET", "/v2/accounts", 401, secret="wrong")
    assert old["errors"][0]["id"] == "authentication_error"
    assert (await trade.ask("GET", "/v2/accounts", limit=5))["data"][0]["balance"]["currency"] == "USD"
    assert "epochMillis" in await trade.send("GET", f"{V3}/time", "", {}, 200)
    assert (await trade.ask("GET", f"{V3}/nothing", 404))["error"] == "NOT_FOUND"


@on_loop
async def test_an_order_is_placed_found_edited_and_cancelled(trade: AdvancedPeer) -> None:
    order = await trade.order(client_order_id="mine")
    row = await trade.row(order)
    assert (row["status"], row["client_order_id"], row["filled_size"], row["order_type"]) == (
        "OPEN",
        "mine",
        "0",
        "LIMIT",
    )
    assert row["order_configuration"]["limit_limit_gtc"]["base_size"] == "0.01"
    assert (row["outstanding_hold_amount"], row["completion_percentage"]) == ("402.4", "0")
    edited = await trade.ask("POST", f"{V3}/orders/edit", order_id=order, price="40100", size="0.02")
    assert edited["success"] is True
    row = await trade.row(order)
    terms = {"base_size": "0.02", "limit_price": "40100", "post_only": False}
    assert row["order_configuration"] == {"limit_limit_gtc": terms}
    assert row["edit_history"][0]["price"] == "40100"
    cancelled = await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order, "nothing"])
    assert [(each["success"], each["failure_reason"]) for each in cancelled["results"]] == [
        (True, "UNKNOWN_CANCEL_FAILURE_REASON"),
        (False, "UNKNOWN_CANCEL_ORDER"),
    ]
    assert (await trade.row(order))["status"] == "CANCELLED"
    again = await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order])
    assert again["results"][0]["success"] is False


@on_loop
async def test_a_client_order_id_is_for_ever(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    order = await trade.order(client_order_id="once")
    assert await trade.order({MARKET: {"quote_size": "100"}}, client_order_id="once") == order
    await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order])
    assert await trade.order(client_order_id="once") == order
    assert len(coinbase.do_orders()) == 1
    assert (await trade.place(client_order_id="twice"))["success"] is True
    refused = await trade.ask("POST", f"{V3}/orders", 400, product_id="BTC-USD", side="BUY")
    assert refused["error"] == "INVALID_ARGUMENT"


@on_loop
async def test_an_unknown_order_is_said_to_be_unknown(trade: AdvancedPeer) -> None:
    for name in ("c0de5afe-0000-4000-8000-000000000001", "11111111-1111-1111-1111-111111111111", "x"):
        answer = await trade.ask("GET", f"{V3}/orders/historical/{name}", 404)
        assert answer["message"] == "order with this orderID was not found"


@on_loop
async def test_what_is_not_an_order_is_refused_with_success_false(
    trade: AdvancedPeer, coinbase: CoinbaseControl
) -> None:
    async def no(error: str, preview: str, configuration: Any = None, **more: Any) -> None:
        answer = await trade.place(configuration, **more)
        assert answer["success"] is False
        assert (answer["error_response"]["error"], answer["error_response"]["preview_failure_reason"]) == (
            error,
            preview,
        )

    def limit(size: str, price: str, post_only: bool = False) -> dict[str, Any]:
        return {"limit_limit_gtc": {"base_size": size, "limit_price": price, "post_only": post_only}}

    unsupported = ("UNSUPPORTED_ORDER_CONFIGURATION", "UNKNOWN_PREVIEW_FAILURE_REASON")
    await no(*unsupported, {MARKET: {"base_size": "0.01"}})
    await no(*unsupported, {MARKET: {"quote_size": "100"}}, side="SELL")
    await no(*unsupported, {"trigger_bracket_gtc": {}})
    await no("INVALID_SIDE", "PREVIEW_INVALID_SIDE", side="buy")
    await no("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID", product_id="NO-USD")
    await no("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", limit("1000", "40000"))
    await no("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", {MARKET: {"quote_size": "1000000.01"}})
    await no("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION", limit("0.01", "40000.001"))
    await no("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION", limit("0.010000001", "40000"))
    await no("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", limit("0.00001", "40000"))
    await no("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY", limit("1", "50001", True))
    stop = {"base_size": "1", "limit_price": "50000", "stop_price": "49000", "stop_direction": "STOP_DIRECTION_STOP_UP"}
    low = "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE"
    await no("INVALID_STOP_PRICE", low, {"stop_limit_stop_limit_gtc": stop})
    for wrong in ("NaN", "-1", "0", "x"):
        body = {"client_order_id": "a", "product_id": "BTC-USD", "side": "BUY"}
        await trade.ask("POST", f"{V3}/orders", 400, order_configuration=limit(wrong, "40000"), **body)
    assert coinbase.do_orders() == []


@on_loop
async def test_a_market_buy_spends_its_money_with_the_fees(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    order = await trade.order({MARKET: {"quote_size": "1000"}})
    row = await trade.row(order)
    assert (row["status"], row["filled_size"], row["average_filled_price"]) == ("FILLED", "0.01988", "50001")
    assert (row["size_in_quote"], row["size_inclusive_of_fees"], row["time_in_force"]) == (
        True,
        True,
        "IMMEDIATE_OR_CANCEL",
    )
    assert float(row["total_value_after_fees"]) <= 1000
    fees = float(row["total_fees"])
    accounts = {each["currency"]: each for each in (await trade.ask("GET", f"{V3}/accounts"))["accounts"]}
    left = float(accounts["USD"]["available_balance"]["value"])
    assert abs(left - (1_000_000 - 0.01988 * 50001 - fees)) < 1e-6
    [fill] = (await trade.ask("GET", f"{V3}/orders/historical/fills", order_ids=[order]))["fills"]
    assert (fill["price"], fill["size"], float(fill["commission"])) == ("50001", "0.01988", fees)
    assert (fill["liquidity_indicator"], fill["side"], len(fill["trade_id"])) == ("TAKER", "BUY", 36)


@on_loop
async def test_ioc_fok_and_gtd_end(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    ioc = await trade.row(await trade.order({"sor_limit_ioc": {"base_size": "3", "limit_price": "50001"}}))
    assert (ioc["status"], ioc["filled_size"]) == ("CANCELLED", "1")
    fok = await trade.row(await trade.order({"limit_limit_fok": {"base_size": "9", "limit_price": "50001.01"}}))
    assert (fok["status"], fok["filled_size"], fok["time_in_force"]) == ("CANCELLED", "0", "FILL_OR_KILL")
    soon = coinbase.emulator.now() + 0.4
    terms = {"base_size": "0.01", "limit_price": "40000", "end_time": str(soon)}
    gtd = await trade.order({"limit_limit_gtd": terms})
    assert (await trade.row(gtd))["time_in_force"] == "GOOD_UNTIL_DATE_TIME"
    await until(lambda: coinbase.do_orders()[-1]["status"] == "EXPIRED")
    assert (await trade.row(gtd))["status"] == "EXPIRED"
    late = await trade.place({"limit_limit_gtd": terms})
    assert late["success"] is False


@on_loop
async def test_a_stop_waits_in_its_direction(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    down = {
        "base_size": "0.2",
        "limit_price": "48000",
        "stop_price": "49000",
        "stop_direction": "STOP_DIRECTION_STOP_DOWN",
    }
    loss = await trade.order({"stop_limit_stop_limit_gtc": down}, side="SELL")
    entry = await trade.order({"stop_limit_stop_limit_gtc": down | {"limit_price": "49500"}}, side="BUY")
    assert (await trade.row(loss))["trigger_status"] == "STOP_PENDING"
    coinbase.do_trade("BTC-USD", "48990")
    row = await trade.row(loss)
    assert (row["trigger_status"], row["status"], row["order_type"]) == ("STOP_TRIGGERED", "FILLED", "STOP_LIMIT")
    assert (await trade.row(entry))["status"] == "OPEN"


@on_loop
async def test_failed_edits_say_why(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    async def why(**values: Any) -> str:
        answer = await trade.ask("POST", f"{V3}/orders/edit", **values)
        assert answer["success"] is False
        return answer["errors"][0]["edit_failure_reason"]

    assert await why(order_id="x", price="1") == "ORDER_NOT_FOUND"
    order = await trade.order({"limit_limit_gtc": {"base_size": "2", "limit_price": "50001"}})
    assert await why(order_id=order, size="1") == "CANNOT_EDIT_TO_BELOW_FILLED_SIZE"
    assert await why(order_id=order, price="40000.001") == "INVALID_EDITED_PRICE"
    coinbase.do_fault("rejected_replace")
    assert await why(order_id=order, price="40000") == "COMMANDER_REJECTED_EDIT_ORDER"
    coinbase.do_fault("half_replace")
    assert (await trade.ask("POST", f"{V3}/orders/edit", order_id=order, price="40000", size="3"))["success"] is True
    terms = (await trade.row(order))["order_configuration"]["limit_limit_gtc"]
    assert (terms["limit_price"], terms["base_size"]) == ("40000", "2")
    done = await trade.order({MARKET: {"base_size": "0.1"}}, side="SELL")
    assert await why(order_id=done, size="1") == "ONLY_LIMIT_ORDER_EDITS_SUPPORTED"
    await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order])
    assert await why(order_id=order, size="4") == "ONLY_OPEN_ORDERS_CAN_BE_EDITED"


@on_loop
async def test_lists_have_filters_and_cursors(trade: AdvancedPeer) -> None:
    ids = [await trade.order() for _ in range(5)]
    eth = {"limit_limit_gtc": {"base_size": "1", "limit_price": "2000"}}
    other = await trade.order(eth, product_id="ETH-USD")
    batch = f"{V3}/orders/historical/batch"
    first = await trade.ask("GET", batch, product_ids=["BTC-USD"], order_status=["OPEN"], limit=3)
    assert [row["order_id"] for row in first["orders"]] == ids[:1:-1]
    assert first["has_next"] is True
    second = await trade.ask("GET", batch, product_ids=["BTC-USD"], limit=3, cursor=first["cursor"])
    assert [row["order_id"] for row in second["orders"]] == ids[1::-1]
    assert (second["has_next"], second["cursor"]) == (False, "")
    assert len((await trade.ask("GET", batch, order_ids=[other, ids[0]]))["orders"]) == 2
    await trade.ask("GET", batch, 400, order_status=["OPEN", "FILLED"])
    page = await trade.ask("GET", f"{V3}/accounts", limit=2)
    assert (page["size"], page["has_next"]) == (2, True)
    rest = await trade.ask("GET", f"{V3}/accounts", limit=2, cursor=page["cursor"])
    assert [each["currency"] for each in rest["accounts"]] == ["ETH", "SOL"]
    uuid = rest["accounts"][0]["uuid"]
    assert (await trade.ask("GET", f"{V3}/accounts/{uuid}"))["account"]["hold"] == {"value": "0", "currency": "ETH"}


@on_loop
async def test_market_data(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    async def ask(path: str, http: int = 200) -> Any:
        return await trade.send("GET", f"{V3}/market/{path}", "", {}, http)

    assert (await ask("products"))["num_products"] == 4
    assert (await ask("products?product_type=FUTURE"))["products"] == []
    assert (await ask("products/BTC-USD"))["price_increment"] == "0.01"
    book = (await ask("product_book?product_id=BTC-USD&limit=1"))["pricebook"]
    assert book["bids"] == [{"price": "50000", "size": "1"}]
    coinbase.do_trade("BTC-USD", "50001", "0.2")
    ticker = await ask("products/BTC-USD/ticker?limit=1")
    assert (ticker["best_bid"], ticker["trades"][0]["side"]) == ("50000", "SELL")
    now = int(coinbase.emulator.now())
    start = now // 60 * 60 - 540
    candles = (await ask(f"products/BTC-USD/candles?granularity=ONE_MINUTE&start={start}&end={now}"))["candles"]
    starts = [int(each["start"]) for each in candles]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == 10
    await ask(f"products/BTC-USD/candles?granularity=ONE_MINUTE&start=0&end={now}", 400)
    await ask("products/NO-USD", 404)
    assert len((await trade.ask("GET", f"{V3}/best_bid_ask", product_ids=["BTC-USD"]))["pricebooks"]) == 1
    assert (await trade.ask("GET", f"{V3}/transaction_summary"))["fee_tier"]["taker_fee_rate"] == "0.006"


@on_loop
async def test_the_user_channel_tells_how_orders_are(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    for _ in range(51):
        coinbase.do_place("BTC-USD", "BUY", "0.001", "LIMIT", limit="30000")
    feed = await trade.feed("user")
    snapshots = [e for m in feed.heard if m["channel"] == "user" for e in m["events"]]
    assert [(each["type"], len(each["orders"])) for each in snapshots] == [("snapshot", 50), ("snapshot", 1)]
    order = await trade.order({"limit_limit_gtc": {"base_size": "1.5", "limit_price": "50001"}}, client_order_id="me")
    await until(lambda: len(feed.orders()) == 3)
    pending, filled, opened = feed.orders()
    assert [each["status"] for each in (pending, filled, opened)] == ["PENDING", "OPEN", "OPEN"]
    assert (filled["cumulative_quantity"], filled["leaves_quantity"], filled["number_of_fills"]) == ("1", "0.5", "1")
    assert (filled["order_id"], filled["client_order_id"], filled["total_fees"]) == (order, "me", "300.006")
    await trade.ask("POST", f"{V3}/orders/batch_cancel", order_ids=[order])
    last = await until(lambda: next((each for each in feed.orders() if each["status"] == "CANCELLED"), None))
    assert (last["cumulative_quantity"], last["cancel_reason"]) == ("1", "User requested cancel")
    numbers = [message["sequence_num"] for message in feed.heard]
    assert numbers == list(range(len(numbers)))


@on_loop
async def test_a_feed_is_proven_and_asked_for_what_there_is(make: Callable[..., CoinbaseControl]) -> None:
    trade = AdvancedPeer(make(more={"patience": 0.4, "beat": 0.02}))
    silent = await trade.connect("/ws/advanced")
    feed = await trade.connect("/ws/advanced")
    for message, text in (
        ({"type": "subscribe", "channel": "user"}, "authentication failure"),
        ({"type": "subscribe", "channel": "user", "jwt": "a.b.c"}, "authentication failure"),
        ({"type": "subscribe", "channel": "nothing"}, "invalid type or channel"),
        ({"type": "subscribe", "channel": "level2", "product_ids": ["NO-USD"]}, "invalid product_ids"),
        ({"type": "subscribe", "channel": "level2"}, "product_ids missing"),
        ("{", "failure to parse message"),
    ):
        feed.heard.clear()
        await feed.socket.send_str(message if isinstance(message, str) else json.dumps(message))
        assert text in (await feed.wait(lambda each: each["type"] == "error"))["message"]
    await until(lambda: silent.ended)
    assert not feed.ended
    beating = await trade.feed("heartbeats", products=())
    await until(lambda: sum(m["channel"] == "heartbeats" for m in beating.heard) >= 3)
    await trade.close()


@on_loop
async def test_an_address_without_a_path_serves_both_venues(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    first, second = await trade.connect("/"), await trade.connect("/")
    await first.socket.send_json({"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"]})
    await second.socket.send_json({"type": "subscribe", "channels": ["ticker"], "product_ids": ["BTC-USD"]})
    await first.wait(lambda message: message.get("channel") == "ticker")
    await second.wait(lambda message: message.get("type") == "ticker")


@on_loop
async def test_the_market_is_told(trade: AdvancedPeer, coinbase: CoinbaseControl) -> None:
    feed = await trade.feed("level2", "market_trades", "ticker", "candles")

    def events(channel: str) -> list[dict[str, Any]]:
        return [event for m in feed.heard if m["channel"] == channel for event in m["events"]]

    [first] = events("l2_data")
    assert (first["type"], first["product_id"], first["updates"][0]["price_level"]) == ("snapshot", "BTC-USD", "50000")
    book = {(row["side"], row["price_level"]): row["new_quantity"] for row in first["updates"]}
    coinbase.do_quote("BTC-USD", "49990", "50010", 2, 2)
    coinbase.do_trade("BTC-USD", "50010", "0.3")
    await until(lambda: len(events("market_trades")) == 2)
    snapshot, update = events("market_trades")
    assert (snapshot["type"], update["type"]) == ("snapshot", "update")
    assert (update["trades"][0]["side"], update["trades"][0]["size"]) == ("SELL", "0.3")
    assert (await until(lambda: events("ticker")[1:]))[0]["tickers"][0]["best_bid"] == "49990"
    assert events("candles")[-1]["candles"][0]["close"] == "50010"
    for row in events("l2_data")[1]["updates"]:
        book[row["side"], row["price_level"]] = row["new_quantity"]
    there = (await trade.ask("GET", f"{V3}/product_book", product_id="BTC-USD"))["pricebook"]
    now = {("bid", each["price"]): each["size"] for each in there["bids"]}
    now |= {("offer", each["price"]): each["size"] for each in there["asks"]}
    assert {key: size for key, size in book.items() if size != "0"} == now
    coinbase.do_fault("lost_diff")
    coinbase.do_quote("BTC-USD", "49991", "50009")
    coinbase.do_quote("BTC-USD", "49992", "50008")
    await until(lambda: len(events("l2_data")) == 3)
    numbers = [message["sequence_num"] for message in feed.heard]
    assert numbers != list(range(len(numbers)))
