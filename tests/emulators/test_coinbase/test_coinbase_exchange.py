"""Coinbase Exchange, as a client that signs by hand sees it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from tests.emulators.coinbase.server import CoinbaseControl
from tests.emulators.loops import on_loop, until
from tests.emulators.test_coinbase.peer import ExchangePeer

OID = "6f0d9b1e-52a6-4c0e-9f4e-0c6d6c5a0001"


@on_loop
async def test_only_who_signs_is_answered(pro: ExchangePeer) -> None:
    assert (await pro.ask("GET", "/accounts", 401, more={"CB-ACCESS-KEY": "no"}))["message"] == "Invalid API Key"
    said = await pro.ask("GET", "/accounts", 401, more={"CB-ACCESS-SIGN": "no"})
    assert said["message"] == "invalid signature"
    said = await pro.ask("GET", "/accounts", 401, more={"CB-ACCESS-PASSPHRASE": "no"})
    assert said["message"] == "Invalid Passphrase"
    said = await pro.ask("GET", "/accounts", 401, more={"CB-ACCESS-TIMESTAMP": "1"})
    assert said["message"] == "request timestamp expired"
    assert "epoch" in await pro.send("GET", "/time", "", {}, 200)
    assert (await pro.ask("GET", "/nothing", 404))["message"] == "Route not found"


@on_loop
async def test_an_order_is_placed_found_by_both_ids_and_cancelled(pro: ExchangePeer) -> None:
    made = await pro.place(client_oid=OID)
    assert (made["status"], made["filled_size"], made["client_oid"]) == ("pending", "0.00000000", OID)
    row = await pro.ask("GET", f"/orders/{made['id']}")
    assert (row["status"], row["price"], row["size"]) == ("open", "40000.00000000", "0.01000000")
    assert await pro.ask("GET", f"/orders/client:{OID}") == row
    usd = next(each for each in await pro.ask("GET", "/accounts") if each["currency"] == "USD")
    assert (usd["hold"], usd["available"]) == ("402.4000000000000000", "999597.6")
    assert await pro.ask("GET", f"/accounts/{usd['id']}") == usd
    assert await pro.ask("DELETE", f"/orders/client:{OID}") == OID
    row = await pro.ask("GET", f"/orders/{made['id']}")
    assert (row["status"], row["done_reason"]) == ("done", "canceled")
    assert (await pro.ask("DELETE", f"/orders/{made['id']}", 400))["message"] == "Order already done"
    assert (await pro.ask("DELETE", f"/orders/{uuid.uuid4()}", 404))["message"] == "order not found"
    assert (await pro.ask("GET", f"/orders/{uuid.uuid4()}", 404))["message"] == "NotFound"
    assert (await pro.ask("GET", "/orders/x", 400))["message"] == "Invalid order id"


@on_loop
async def test_a_cancelled_order_may_be_forgotten(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    early = (await pro.place())["id"]
    await pro.ask("DELETE", f"/orders/{early}")
    assert coinbase.do_purge() == 1
    await pro.ask("GET", f"/orders/{early}", 404)
    late = (await pro.place())["id"]
    await pro.ask("DELETE", f"/orders/{late}")
    await pro.ask("GET", f"/orders/{late}", 404)
    part = (await pro.place(price="50001", size="1.5"))["id"]
    await pro.ask("DELETE", f"/orders/{part}")
    assert (await pro.ask("GET", f"/orders/{part}"))["filled_size"] == "1.00000000"


@on_loop
async def test_what_is_not_an_order_is_refused(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    no = pro.refused
    await no("Product not found", 404, product_id="NO-USD")
    await no("Invalid side", side="BUY")
    await no("Invalid order type", type="stop")
    await no("price required", price=None)
    await no("size required", size=None)
    await no("positive number", size="NaN")
    await no("positive number", size=True)
    await no("price is too accurate. Smallest unit is 0.01", price="40000.001")
    await no("size is too accurate. Smallest unit is 0.00001", size="0.000001")
    await no("funds is too small", size="0.00001")
    await no("Insufficient funds", size="1000")
    await no("Insufficient funds", type="market", price=None, size=None, funds="1000000.01")
    await no("Must specify one of size and funds", type="market", price=None, funds="10")
    await no("Invalid time_in_force", time_in_force="GTD")
    await no("Invalid time_in_force", time_in_force="GTT")
    await no("Invalid cancel_after", time_in_force="GTT", cancel_after="week")
    await no("Invalid post_only", time_in_force="IOC", post_only=True)
    await no("Invalid client_oid", client_oid="mine")
    await no("Invalid stop", stop_price="41000")
    await no("would trigger at once", stop="loss", stop_price="60000")
    await pro.place(client_oid=OID)
    await no("Duplicate client_oid", client_oid=OID)
    assert len(coinbase.do_orders()) == 1


@on_loop
async def test_a_post_only_order_that_would_take_is_rejected_with_200(pro: ExchangePeer) -> None:
    made = await pro.place(price="50001", post_only=True)
    assert (made["status"], made["reject_reason"]) == ("rejected", "post only")
    await pro.ask("GET", f"/orders/{made['id']}", 404)
    assert (await pro.place(price="50000", post_only=True))["status"] == "pending"


@on_loop
async def test_market_orders_by_size_or_funds(pro: ExchangePeer) -> None:
    bought = await pro.place(type="market", price=None, size=None, funds="1000")
    assert (bought["status"], bought["specified_funds"]) == ("pending", "1000.0000000000000000")
    row = await pro.ask("GET", f"/orders/{bought['id']}")
    assert (row["status"], row["done_reason"], row["filled_size"]) == ("done", "filled", "0.01988000")
    assert float(row["executed_value"]) + float(row["fill_fees"]) <= 1000
    sold = await pro.place(type="market", side="sell", price=None, size="0.5")
    assert (await pro.ask("GET", f"/orders/{sold['id']}"))["executed_value"].startswith("25000.")
    ioc = await pro.place(price="50001", size="3", time_in_force="IOC")
    row = await pro.ask("GET", f"/orders/{ioc['id']}")
    assert (row["done_reason"], row["filled_size"]) == ("canceled", "0.98012000")
    assert (await pro.ask("GET", "/fees"))["taker_fee_rate"] == "0.0060"


@on_loop
async def test_a_stop_and_an_order_for_a_minute(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    stop = await pro.place(side="sell", stop="loss", stop_price="49000", price="48000", size="0.3")
    assert (await pro.ask("GET", f"/orders/{stop['id']}"))["status"] == "active"
    coinbase.do_trade("BTC-USD", "49000")
    assert (await pro.ask("GET", f"/orders/{stop['id']}"))["done_reason"] == "filled"
    entry = await pro.place(stop="entry", stop_price="52000", price="53000")
    assert (await pro.ask("GET", f"/orders/{entry['id']}"))["stop"] == "entry"
    minute = await pro.place(time_in_force="GTT", cancel_after="min")
    assert (await pro.ask("GET", f"/orders/{minute['id']}"))["time_in_force"] == "GTT"


@on_loop
async def test_orders_and_fills_have_pages(pro: ExchangePeer) -> None:
    ids = [(await pro.place())["id"] for _ in range(5)]
    await pro.ask("DELETE", f"/orders/{ids[4]}")
    first = await pro.ask("GET", "/orders", product_id="BTC-USD", limit=2)
    assert [row["id"] for row in first] == [ids[3], ids[2]]
    second = await pro.ask("GET", "/orders", product_id="BTC-USD", limit=2, after=pro.headers["CB-AFTER"])
    assert [row["id"] for row in second] == [ids[1], ids[0]]
    assert "CB-AFTER" not in pro.headers
    assert len(await pro.ask("GET", "/orders", status="all")) == 5
    assert [row["id"] for row in await pro.ask("GET", "/orders", status="done")] == ids[4:]
    assert len(await pro.ask("GET", "/orders", status=["open", "done"])) == 5
    order = (await pro.place(type="market", side="sell", price=None, size="3"))["id"]
    fills = await pro.ask("GET", "/fills", order_id=order)
    assert [fill["price"] for fill in fills] == ["49999.97000000", "49999.99000000", "50000.00000000"]
    page = await pro.ask("GET", "/fills", product_id="BTC-USD", limit=2)
    assert page == fills[:2]
    assert await pro.ask("GET", "/fills", product_id="BTC-USD", after=pro.headers["CB-AFTER"]) == fills[2:]
    assert await pro.ask("GET", "/fills", product_id="BTC-USD", before=str(fills[1]["trade_id"])) == fills[:1]
    assert (await pro.ask("GET", "/fills", 400))["message"] == "product_id or order_id is required"
    assert sorted(await pro.ask("DELETE", "/orders", product_id="BTC-USD")) == sorted(ids[:4])


@on_loop
async def test_market_data(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    async def ask(path: str, http: int = 200) -> Any:
        return await pro.send("GET", path, "", {}, http)

    assert [row["id"] for row in await ask("/products")] == ["BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD"]
    assert (await ask("/products/BTC-USD"))["base_increment"] == "0.00001"
    assert (await ask("/products/BTC-USD/book?level=1"))["bids"] == [["50000", "1", 1]]
    assert len((await ask("/products/BTC-USD/book?level=2"))["asks"]) == 20
    coinbase.do_trade("BTC-USD", "50001", "0.2")
    assert (await ask("/products/BTC-USD/trades?limit=1"))[0]["side"] == "sell"
    assert (await ask("/products/BTC-USD/ticker"))["price"] == "50001"
    candles = await ask("/products/BTC-USD/candles?granularity=60")
    assert len(candles) == 300
    assert candles[0][0] - candles[1][0] == 60
    assert candles[0][4] == 50001
    await ask("/products/BTC-USD/candles?granularity=7", 400)
    await ask("/products/BTC-USD/candles?granularity=60&start=0&end=99999", 400)
    await ask("/products/NO-USD", 404)
    assert (await ask("/products/BTC-USD/stats"))["last"] == "50001"
    assert {row["id"] for row in await ask("/currencies")} == {"BTC", "ETH", "SOL", "DOGE", "USD"}


@on_loop
async def test_an_orders_life_is_told(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await pro.feed("user")
    order = (await pro.place(price="50001", size="1.5", client_oid=OID))["id"]
    await until(lambda: len(feed.heard) == 4)
    _, received, match, opened = feed.heard
    assert (received["type"], received["order_id"], received["client_oid"]) == ("received", order, OID)
    assert (match["type"], match["taker_order_id"], match["side"], match["size"]) == ("match", order, "sell", "1")
    assert (match["taker_fee_rate"], "maker_fee_rate" in match) == ("0.006", False)
    assert (opened["type"], opened["remaining_size"]) == ("open", "0.5")
    coinbase.do_quote("BTC-USD", "49999", "50000")
    done = await feed.wait(lambda message: message["type"] == "done")
    assert (done["reason"], done["remaining_size"], done["order_id"]) == ("filled", "0", order)
    last = [message for message in feed.heard if message["type"] == "match"][-1]
    assert (last["maker_order_id"], last["side"], last["maker_fee_rate"]) == (order, "buy", "0.004")
    feed.heard.clear()
    stop = await pro.place(side="sell", stop="loss", stop_price="49000", price="48000")
    activate = await feed.wait(lambda message: message["type"] == "activate")
    assert (activate["order_id"], activate["stop_type"]) == (stop["id"], "loss")
    await pro.ask("DELETE", f"/orders/{stop['id']}")
    assert (await feed.wait(lambda message: message["type"] == "done"))["reason"] == "canceled"
    numbers = [message["sequence"] for message in feed.heard]
    assert numbers == sorted(numbers)


@on_loop
async def test_the_feed_is_proven_and_asked_for_what_there_is(make: Callable[..., CoinbaseControl]) -> None:
    pro = ExchangePeer(make(more={"patience": 0.4, "beat": 0.02}))
    silent = await pro.connect("/ws/exchange")
    for channel in ("level2", "full", "user"):
        feed = await pro.feed(channel, proven=False)
        assert feed.heard[0]["reason"] == f"{channel} channel requires authentication"
    wrong = await pro.connect("/ws/exchange")
    message: dict[str, Any] = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["user"]}
    for key, text in (("no", "Invalid API Key"), ("key", "invalid signature")):
        wrong.heard.clear()
        more = {"key": key, "signature": "x", "passphrase": "password", "timestamp": pro.stamp}
        await wrong.socket.send_json(message | more)
        error = await wrong.wait(lambda each: each["type"] == "error")
        assert error["message"] == "Authentication Failed"
        assert text in error["reason"]
    assert (await pro.feed("nothing")).heard[0]["message"] == "Failed to subscribe"
    assert "NO-USD" in (await pro.feed("ticker", products=("NO-USD",))).heard[0]["reason"]
    await until(lambda: silent.ended)
    beating = await pro.feed("heartbeat", proven=False)
    assert (await beating.wait(lambda each: each["type"] == "heartbeat"))["last_trade_id"] > 0
    await pro.close()


@on_loop
async def test_the_market_is_told(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await pro.feed("level2", "matches", "ticker", "full")
    snapshot = await feed.wait(lambda message: message["type"] == "snapshot")
    book = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
    assert (await feed.wait(lambda message: message["type"] == "last_match"))["price"] == "50000"
    coinbase.do_quote("BTC-USD", "49990", "50010", 2, 2)
    coinbase.do_trade("BTC-USD", "50010", "0.3")
    match = await feed.wait(lambda message: message["type"] == "match")
    assert (match["side"], match["size"], match["price"]) == ("sell", "0.3", "50010")
    ticker = await feed.wait(lambda message: message["type"] == "ticker" and message["price"] == "50010")
    assert (ticker["side"], ticker["best_bid"], ticker["best_ask_size"]) == ("buy", "49990", "2.00000000")
    for message in feed.heard:
        for word, price, size in message.get("changes", ()):
            book["bids" if word == "buy" else "asks"][price] = size
    there = await pro.send("GET", "/products/BTC-USD/book?level=2", "", {}, 200)
    for side, levels in book.items():
        assert {float(p): float(s) for p, s in levels.items() if float(s)} == {
            float(row[0]): float(row[1]) for row in there[side]
        }
    await feed.socket.send_json({"type": "unsubscribe", "product_ids": ["BTC-USD"], "channels": ["matches", "full"]})
    last = await feed.wait(lambda message: message["type"] == "subscriptions" and len(message["channels"]) == 2)
    assert [each["name"] for each in last["channels"]] == ["level2", "ticker"]


@on_loop
async def test_the_book_in_batches_needs_no_signature(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    feed = await pro.feed("level2_batch", proven=False)
    assert feed.heard[0]["channels"][0]["name"] == "level2_50"
    snapshot = await feed.wait(lambda message: message["type"] == "snapshot")
    assert snapshot["bids"][0] == ["50000", "1.00000000"]
    coinbase.do_quote("BTC-USD", "49990", "50010", 2, 2)
    coinbase.do_quote("BTC-USD", "49991", "50009", 3, 3)
    update = await feed.wait(lambda message: message["type"] == "l2update")
    changes = {(side, price): size for side, price, size in update["changes"]}
    assert (changes["buy", "49991"], changes["sell", "50001"]) == ("3.00000000", "0.00000000")
    assert feed.kinds().count("l2update") == 1


@on_loop
async def test_rate_limits_are_kept_when_asked_for(pro: ExchangePeer, coinbase: CoinbaseControl) -> None:
    coinbase.do_limits(True)
    began = coinbase.emulator.now()
    coinbase.emulator.now = lambda: began + coinbase.emulator.ahead  # type: ignore[method-assign]
    for _ in range(30):
        await pro.ask("GET", "/fees")
    assert (await pro.ask("GET", "/fees", 429))["message"] == "Private rate limit exceeded"
    coinbase.do_clock(1.5)
    await pro.ask("GET", "/fees")
