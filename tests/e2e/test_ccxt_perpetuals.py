"""The daemon at Binance's futures, emulated: books, funding, leverage, position mode, limits, endpoints by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.emulators.crypto.process import Process

SYMBOL, PAIR, ACCOUNT = "BTC/USDT:USDT", "BTC-USDT-PERP", "PERPS"
SECRET = "s3cret-0f-the-futures"
TOML = """
[venues.futures]
kind = "ccxt"
exchange = "binanceusdm"
accounts = "{account}"
key = "key"
secret = "{secret}"
url = "http://127.0.0.1:{port}"
raw = {raw}
"""


@pytest.fixture(scope="module")
def exchange() -> Iterator[Process]:
    emulator = started()
    yield emulator
    emulator.kill()


def started() -> Process:
    """An exchange of its own."""
    money = "perp:USDT:100000000"
    emulator = Process("binance", "--tick", "0", "--key", f"main:key:{SECRET}", "--balance", money).start()
    emulator.do("quote", symbol=PAIR, bid=50000, ask=50010, bid_size=1000, ask_size=1000)
    return emulator


def make(make_daemon: MakeDaemon, exchange: Process, raw: str = "true") -> Daemon:
    limits = "price_collar=off,max_notional=off,max_position=off,max_gross_exposure=off,reference_age=off"
    daemon = make_daemon(RISK=limits, LOG_HTTP_REQUESTS="0")
    daemon.folder.mkdir(parents=True)
    path = daemon.folder / "txgateway.toml"
    path.write_text(TOML.format(account=ACCOUNT, secret=SECRET, port=exchange.port, raw=raw))
    daemon.environment.update(CONFIG=str(path), PAPER_FEED="")
    return daemon.start().up()


@pytest.fixture(scope="module")
def daemon(exchange: Process, make_daemon: MakeDaemon) -> Daemon:
    return make(make_daemon, exchange)


def errands(daemon: Daemon) -> list[dict[str, Any]]:
    """What was changed at the venue, as the journal has it."""
    kinds = ("ErrandBegun", "ErrandEnded")
    return [each["event"] for kind in kinds for each in daemon.call("query_journal", after=0, limit=1000, kind=kind)]


def test_the_book_by_question_and_by_stream(daemon: Daemon, exchange: Process) -> None:
    book = daemon.call("query_depth", symbol=SYMBOL, levels=3)
    assert (book["bids"][0], book["asks"][0], len(book["bids"])) == ([50000.0, 1000], [50010.0, 1000], 3)
    assert daemon.call("query_depth", symbol="NOSUCH/USDT:USDT") is None
    stream = Stream(daemon, {"depth-data": True})
    daemon.call("add_symbol", symbol=SYMBOL)
    stream.data("futures.depth-data ", symbol=SYMBOL)
    exchange.do("quote", symbol=PAIR, bid=50001, ask=50011, bid_size=7, ask_size=7)
    told = stream.expect(lambda line: line.startswith("futures.depth-data ") and "[50011.0,7]" in line)
    assert json.loads(told.partition(" ")[2])["bids"][0] == [50001.0, 7]
    stream.close()


def test_funding(daemon: Daemon) -> None:
    funding = daemon.call("query_funding", symbol=SYMBOL)
    assert abs(funding["rate"]) < 0.01
    assert funding["next_time"] is not None
    assert funding["mark_price"] > 0


def test_leverage_is_journalled_told_and_the_venues_word(daemon: Daemon, exchange: Process) -> None:
    stream = Stream(daemon, {"status-data": True})
    stream.expect(".Authorized")
    wanted = {"venue": "futures", "account": ACCOUNT, "symbol": SYMBOL, "leverage": 7}
    assert daemon.call("set_leverage", symbol=SYMBOL, leverage=7, account=ACCOUNT) == wanted
    assert daemon.call("query_leverage", symbol=SYMBOL) == wanted
    begun = stream.data("futures.status-data ", event="ErrandBegun")
    assert begun["text"] == f"leverage 7 at futures ({SYMBOL} of {ACCOUNT})"
    assert stream.data("futures.status-data ", errand=begun["errand"], event="ErrandEnded")["outcome"] == "DONE"
    refused = daemon.call("set_leverage", symbol=SYMBOL, leverage=999)
    assert (refused["status"], refused["reason"]) == ("Error", "REJECTED")
    assert daemon.call("query_leverage", symbol=SYMBOL) == wanted
    assert errands(daemon)[-1]["outcome"] == "REFUSED"
    stream.close()


def trade(daemon: Daemon, quantity: float) -> None:
    """A market order, filled."""
    order = daemon.call("market_order", account=ACCOUNT, route="", symbol=SYMBOL, quantity=quantity)
    until(lambda: daemon.call("query_order", id=order["permid"])["order_status"] == "FILLED", daemon)


def test_a_position_with_its_mark_and_liquidation_price(daemon: Daemon) -> None:
    trade(daemon, 0.5)
    held = daemon.call("query_positions", data=True)[ACCOUNT][SYMBOL]
    assert held["quantity"] == 0.5
    assert held["entry_price"] == held["average_price"]
    assert held["mark_price"] > 0
    assert held["unrealized_profit"] is not None
    refused = daemon.call("set_position_mode", account=ACCOUNT, mode="HEDGE")
    assert (refused["reason"], "ONE_WAY" in refused["errorMsg"]) == ("UNSUPPORTED", True)
    trade(daemon, -0.5)


def test_the_position_mode(daemon: Daemon) -> None:
    assert daemon.call("query_position_mode")["mode"] == "ONE_WAY"
    refused = daemon.call("set_position_mode", account=ACCOUNT, mode="hedge")
    assert (refused["status"], refused["reason"]) == ("Error", "UNSUPPORTED")
    assert daemon.call("query_position_mode")["mode"] == "ONE_WAY"
    assert daemon.call("set_position_mode", account=ACCOUNT, mode="one_way")["mode"] == "ONE_WAY"
    trade(daemon, 0.1)
    trade(daemon, -0.1)


def by_hand(daemon: Daemon, path: str, **params: str) -> Any:
    call = {"venue": "futures", "path": path, "version": "private", "method": "POST", "params": params}
    return daemon.rpc("call_endpoint", call)["result"]["data"]


def test_an_account_in_hedge_mode_is_told_of_refused_and_never_called_flat(daemon: Daemon, exchange: Process) -> None:
    stream = Stream(daemon, {"status-data": True})
    stream.expect(".Authorized")
    by_hand(daemon, "positionSide/dual", dualSidePosition="true")
    stream.expect(lambda line: "position mode HEDGE" in line)
    stream.close()
    order = daemon.call("market_order", account=ACCOUNT, route="", symbol=SYMBOL, quantity=0.1)
    ended = until(lambda: rejected(daemon, order), daemon)
    assert "set_position_mode ONE_WAY" in str(ended)
    for leg, side in (("LONG", "BUY"), ("SHORT", "SELL")):
        exchange.do("place", symbol=PAIR, side=side, quantity=2, position_side=leg)
    report = daemon.call("flatten", scope=f"account:{ACCOUNT}", reason="home")
    assert report["flat"] is False
    assert "long and short at once" in str(report)
    assert len(daemon.call("query_flattens")) == 1
    for leg, side in (("LONG", "SELL"), ("SHORT", "BUY")):
        exchange.do("place", symbol=PAIR, side=side, quantity=2, position_side=leg)
    assert daemon.call("set_position_mode", account=ACCOUNT, mode="one_way")["mode"] == "ONE_WAY"
    until(lambda: not daemon.call("query_flattens"), daemon)
    daemon.call("resume", scope=f"account:{ACCOUNT}")
    trade(daemon, 0.1)
    trade(daemon, -0.1)


def test_a_venue_that_holds_long_and_short_at_the_start_is_not_up(make_daemon: MakeDaemon) -> None:
    emulator = started()
    try:
        daemon = make(make_daemon, emulator)
        by_hand(daemon, "positionSide/dual", dualSidePosition="true")
        for leg, side in (("LONG", "BUY"), ("SHORT", "SELL")):
            emulator.do("place", symbol=PAIR, side=side, quantity=2, position_side=leg)
        daemon.kill()
        daemon.start()
        found = until(lambda: [each for each in daemon.call("query_differences") if "at once" in str(each)], daemon)
        assert SYMBOL in str(found)
        assert daemon.call("query_venues")["futures"]["status"] != "UP"
        for leg, side in (("LONG", "SELL"), ("SHORT", "BUY")):
            emulator.do("place", symbol=PAIR, side=side, quantity=2, position_side=leg)
        daemon.up()
        assert daemon.call("set_position_mode", account=ACCOUNT, mode="one_way")["mode"] == "ONE_WAY"
        trade(daemon, 0.1)
        daemon.end()
    finally:
        emulator.kill()


def rejected(daemon: Daemon, order: dict[str, Any]) -> Any:
    """The order as it is once it was rejected."""
    found = order if order.get("status") == "Error" else daemon.call("query_order", id=order["permid"])
    return found if found.get("status") == "Error" or found["order_status"] == "REJECTED" else None


def test_rate_limits_and_endpoints(daemon: Daemon) -> None:
    limits = daemon.call("query_rate_limits", venue="futures")["futures"]
    assert limits["limits"]["weight"]["limit"] == 2400
    assert 0 < limits["remaining"] <= limits["limits"]["orders 1m"]["limit"] + 2400
    answer = daemon.rpc("call_endpoint", ["futures", "time"])["result"]
    assert answer["data"]["serverTime"] > 1_500_000_000_000
    assert answer["rate_limits"]["limits"]["weight"]["remaining"] < 2400
    mine = daemon.rpc("call_endpoint", {"venue": "futures", "path": "leverageBracket", "version": "private"})
    assert mine["result"]["data"] is not None
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "20000"}
    order |= {"timeInForce": "GTC", "newClientOrderId": "by-hand"}
    call = {"venue": "futures", "path": "order", "version": "private", "method": "POST", "params": order}
    sent = daemon.rpc("call_endpoint", call)["result"]["data"]
    assert sent["clientOrderId"] == "by-hand"
    begun = [each["errand"] for each in errands(daemon) if "errand" in each][-1]
    assert begun["value"].startswith("POST order(symbol=BTCUSDT, side=BUY")
    daemon.call("halt", reason="lunch")
    refused = daemon.rpc("call_endpoint", call)["result"]
    assert (refused["status"], refused["reason"]) == ("Error", "HALTED")
    ended = daemon.rpc(
        "call_endpoint",
        {**call, "method": "DELETE", "params": {"symbol": "BTCUSDT", "origClientOrderId": "by-hand"}},
    )
    assert ended["result"]["data"]["status"] == "CANCELED"
    daemon.call("resume")


@pytest.mark.parametrize("version", ["public", "private"])
def test_an_endpoint_that_there_is_not_is_refused(daemon: Daemon, version: str) -> None:
    call = {"venue": "futures", "path": "no/such/endpoint", "version": version}
    refused = daemon.rpc("call_endpoint", call)["result"]
    assert (refused["status"], refused["reason"]) == ("Error", "REJECTED")
    assert "answered 404 Not Found to GET no/such/endpoint" in refused["errorMsg"]
    assert "Traceback" not in daemon.log.read_text()


def test_what_is_asked_of_a_venue_without_the_option(make_daemon: MakeDaemon, exchange: Process) -> None:
    daemon = make(make_daemon, exchange, raw="false")
    refused = daemon.rpc("call_endpoint", ["futures", "time"])["result"]
    assert (refused["reason"], "raw" in refused["errorMsg"]) == ("UNSUPPORTED", True)
    daemon.end()


def test_a_leverage_that_was_under_way_at_a_crash_is_known_after_it(daemon: Daemon, exchange: Process) -> None:
    exchange.do("latency", seconds=1.5)
    done = Stream(daemon, {})
    done.expect(".Authorized")
    done.send(f'call set_leverage {{"symbol": "{SYMBOL}", "leverage": 11, "account": "{ACCOUNT}"}}')
    until(lambda: any(each.get("errand", {}).get("value") == "11" for each in errands(daemon)), daemon)
    daemon.kill()
    done.close()
    exchange.do("latency", seconds=0)
    daemon.start().up()
    ended = until(lambda: [each for each in errands(daemon) if "outcome" in each and "later" in each["text"]], daemon)
    leverage = daemon.call("query_leverage", symbol=SYMBOL)["leverage"]
    assert ended[-1]["outcome"] == ("DONE" if leverage == 11 else "REFUSED")
