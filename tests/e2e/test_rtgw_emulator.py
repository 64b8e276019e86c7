"""A peer that we did not write agrees with the emulated rtgw: the released txTrader 1.14.29 trades on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE, until
from tests.e2e.published_daemon import PublishedDaemon
from tests.e2e.stream import Stream
from tests.emulators.rtgw.process import Rtgw

ACCOUNT, OTHER = "EMU.TEST.DESK.ONE", "EMU.TEST.DESK.TWO"
FROM = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM"}
BEGINS = "2026-03-04T11:00:00"
OPTIONS = ["--tick", "0", "--begins", BEGINS, "--position", f"{OTHER}:TSLA:-50"]


@pytest.fixture(scope="module")
def rtgw() -> Iterator[Rtgw]:
    emulator = Rtgw(*OPTIONS).start()
    emulator.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield emulator
    emulator.end()


@pytest.fixture(scope="module")
def daemon(rtgw: Rtgw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedDaemon]:
    released = PublishedDaemon(tmp_path_factory.mktemp("released"), rtgw.port).start()
    try:
        released.up()
        assert released.call("add_symbol", symbol="IBM")["fullname"] == "International Business Machines"
        until(lambda: advised(rtgw, "IBM"), released)
        yield released
    finally:
        released.end()


@pytest.fixture(autouse=True)
def _market_and_manners(request: pytest.FixtureRequest, rtgw: Rtgw) -> Iterator[None]:
    """Each test begins with the same quote; whatever the released daemon says is what a client may say."""
    rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield
    assert rtgw.violations() == []


def advised(rtgw: Rtgw, symbol: str) -> bool:
    """Whether its advise is out: the released daemon answers `add_symbol` before, and may end what has not begun."""
    return any(f"DISP_NAME='{symbol}'" in each["advise"] for each in rtgw.do("status")["connections"])


def order(daemon: PublishedDaemon, name: str) -> Any:
    return daemon.call("query_order", id=name)


def becomes(daemon: PublishedDaemon, name: str, status: str) -> Any:
    """The order, once its status is this."""
    return until(lambda: (found := order(daemon, name))["status"] == status and found, daemon)


def test_it_comes_up_and_knows_the_accounts_and_the_time(daemon: PublishedDaemon) -> None:
    assert daemon.call("status") == "Up"
    assert daemon.call("query_accounts") == [ACCOUNT, OTHER]
    assert daemon.call("set_account", account=OTHER) is True
    assert until(lambda: daemon.call("time"), daemon).startswith("2026-03-04 11:")


def test_symbols(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    assert daemon.call("add_symbol", symbol="NOSUCH") is None
    found = daemon.call("add_symbol", symbol="TSLA")
    assert (found["symbol"], found["fullname"], found["cusip"]) == ("TSLA", "Tesla, Inc.", "88160R101")
    assert found["tradetime"].startswith("2026-03-04 11:")
    assert found["low"] <= found["last"] <= found["high"]
    assert found["bid"] < found["ask"]
    raw = daemon.call("query_symbol_data", symbol="TSLA")
    assert (raw["STARTTIME"], raw["STOPTIME"], raw["EARNINGS"]) == ("09:30:00", "16:00:00", "")
    until(lambda: advised(rtgw, "TSLA"), daemon)
    assert daemon.call("del_symbol", symbol="TSLA") is True
    until(lambda: not advised(rtgw, "TSLA"), daemon)
    assert daemon.call("query_symbols") == ["IBM"]


def test_a_market_order_fills_by_what_the_market_shows(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    cash = daemon.call("query_account", account=ACCOUNT)["_cash"]
    rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20", ask_size=300)
    name = daemon.call("market_order", **FROM, quantity=500)["permid"]
    partly = until(lambda: (found := order(daemon, name)).get("filled") == 300 and found, daemon)
    assert (partly["status"], partly["remaining"], partly["avgfillprice"]) == ("Accepted", 200, 185.2)
    rtgw.do("quote", symbol="IBM", bid="185.30", ask="185.40")
    whole = becomes(daemon, name, "Filled")
    assert (whole["filled"], whole["remaining"], whole["avgfillprice"]) == (500, 0, 185.28)
    executions = daemon.call("query_order_executions", id=name).values()
    assert [(each["VOLUME"], each["PRICE"]) for each in executions] == [(300, 185.2), (200, 185.4)]
    assert {each["ACCOUNT"] for each in executions} == {ACCOUNT}
    assert daemon.call("query_positions") == {ACCOUNT: {"IBM": 500}, OTHER: {"TSLA": -50}}
    assert daemon.call("query_account", account=ACCOUNT, fields="EXCESS_EQ")["_cash"] == round(cash - 500 * 185.28, 2)


def test_a_limit_order_rests_fills_at_its_price_or_better_and_sells(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    name = daemon.call("limit_order", **FROM, limit_price=185.5, quantity=-100)["permid"]
    assert becomes(daemon, name, "Accepted")["raw"]["PRICE_TYPE"] == "AsEntered"
    rtgw.do("quote", symbol="IBM", bid="185.60", ask="185.70")
    assert becomes(daemon, name, "Filled")["avgfillprice"] == 185.6
    assert daemon.call("query_positions")[ACCOUNT]["IBM"] == 400


def test_a_stop_order_waits_for_a_trade_at_its_price(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    name = daemon.call("stop_order", **FROM, stop_price=190, quantity=10)["permid"]
    becomes(daemon, name, "Accepted")
    rtgw.do("trade", symbol="IBM", price="189.99")
    assert order(daemon, name)["status"] == "Accepted"
    rtgw.do("trade", symbol="IBM", price="190")
    assert becomes(daemon, name, "Filled")["avgfillprice"] == 185.2


def test_a_cancelled_order_may_end_cancelled(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    rtgw.do("killed", word="CANCELLED")
    name = daemon.call("limit_order", **FROM, limit_price=1.5, quantity=10)["permid"]
    daemon.call("cancel_order", id=name)
    becomes(daemon, name, "Cancelled")
    rtgw.do("killed", word="DELETED")


def test_a_cancelled_order_ends_as_txtraders_own_tests_want_it(daemon: PublishedDaemon) -> None:
    name = daemon.call("limit_order", **FROM, limit_price=1.5, quantity=10)["permid"]
    assert daemon.call("cancel_order", id=name)["status"] == "1"
    ended = becomes(daemon, name, "Error")
    assert ended["raw"]["REASON"].lower().startswith("user cancel")
    assert daemon.call("cancel_order", id="000")["errorMsg"] == "Order not found"


def test_a_global_cancel_finds_what_works(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    names = [daemon.call("limit_order", **FROM, limit_price=1.5, quantity=10)["permid"] for _ in range(2)]
    assert daemon.call("global_cancel") == "global cancel requested"
    for name in names:
        becomes(daemon, name, "Error")
    assert rtgw.do("request", query="ORDERS;*;CURRENT_STATUS={'LIVE','PENDING'}") == [None]


def test_what_is_wrong_with_an_order_is_an_error(daemon: PublishedDaemon) -> None:
    unknown = daemon.call("market_order", **FROM | {"symbol": "BADSYMBOL"}, quantity=10)
    assert (unknown["status"], unknown["raw"]["REASON"]) == ("Error", "Unknown symbol")
    name = daemon.call("market_order", **FROM, quantity=0)["permid"]
    assert becomes(daemon, name, "Error")["raw"]["REASON"] == "Invalid volume"


def test_a_route_with_parameters(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    route = {
        "TEST-ATM-ALGO": {"STRAT_ID": "BEST", "STRAT_PARAMETERS": {"99970": "2", "847": "BEST"}, "ORDER_FLAGS_3": 0}
    }
    name = daemon.call("market_order", **FROM | {"route": route}, quantity=1)["permid"]
    row = rtgw.do("request", query=f"ORDERS;*;ORDER_ID='{name}'")[0]
    assert (row["EXIT_VEHICLE"], row["STRAT_ID"], row["ORDER_FLAGS_3"]) == ("TEST-ATM-ALGO", "BEST", "0")
    assert row["STRAT_PARAMETERS"] == "99970\x1f2\x01847\x1fBEST\x01"


def test_a_ticket_is_worked_by_a_person(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    ticket = daemon.call("stage_market_order", tag="tag", **FROM, quantity=30)
    assert (ticket["class"], ticket["status"], ticket["raw"]["ORDER_TAG"]) == ("ticket", "Pending", "tag")
    held = daemon.call("query_positions")[ACCOUNT]["IBM"]
    rtgw.do("work", id=ticket["permid"], volume=10)
    rtgw.do("work", id=ticket["permid"], volume=20)
    assert becomes(daemon, ticket["permid"], "Filled")["filled"] == 30
    assert ticket["permid"] in daemon.call("query_tickets")
    assert daemon.call("query_positions")[ACCOUNT]["IBM"] == held + 30


def test_bars(daemon: PublishedDaemon) -> None:
    span = {"start": "2026-03-03 10:00:00", "end": "2026-03-03 10:30:00"}
    rows = daemon.call("query_bars", symbol="IBM", period=5, **span)
    assert [row[:2] for row in rows] == [["2026-03-03", f"10:{minute:02}:00"] for minute in range(0, 30, 5)]
    assert all(low <= min(first, last) <= max(first, last) <= high for _, _, first, high, low, last, _ in rows)
    days = daemon.call("query_bars", symbol="IBM", period="DAY", start="2026-02-26", end="2026-03-03")
    assert [row[0] for row in days] == ["2026-02-26", "2026-02-27", "2026-03-02", "2026-03-03"]
    assert len(daemon.call("query_bars", symbol="IBM", period=1, start="-5", end=".")) >= 5
    assert daemon.call("query_bars", symbol="IBM", period="WEEK", start="2026-02-16", end="2026-03-03")
    assert daemon.call("query_bars", symbol="IBM", period=1, start="2026-02-28", end="2026-02-28") is None


def test_quotes_trades_and_orders_on_its_stream(daemon: PublishedDaemon, rtgw: Rtgw) -> None:
    options = {"quotes": 1, "trades": 1, "order-notification": 1, "execution-data": 1}
    stream = Stream(daemon, options)
    stream.expect(".Authorized rtx")
    rtgw.do("quote", symbol="IBM", bid="185.11", ask="185.21")
    stream.expect("rtx.quote.IBM:185.11 ")
    rtgw.do("trade", symbol="IBM", price="185.15", size=700)
    assert stream.expect("rtx.trade.IBM:").startswith("rtx.trade.IBM:185.15 700 ")
    name = daemon.call("market_order", **FROM, quantity=5)["permid"]
    stream.expect(f"rtx.order.{name} {ACCOUNT} UserSubmitOrder Submitted")
    assert stream.data("rtx.execution-data ", ORIGINAL_ORDER_ID=name)["VOLUME"] == 5
    stream.expect(f"rtx.order.{name} {ACCOUNT} UserSubmitOrder Filled")
    stream.close()


def test_a_daemon_that_starts_later_finds_all_of_it(daemon: PublishedDaemon, rtgw: Rtgw, tmp_path: Path) -> None:
    rtgw.do("order", VOLUME=7, BUYORSELL="Sell", CLIENT_ORDER_ID="of-a-person")
    later = PublishedDaemon(tmp_path, rtgw.port).start()
    try:
        later.up()
        mine, theirs = daemon.call("query_orders"), later.call("query_orders")
        assert {name: each["status"] for name, each in mine.items()} == {
            n: each["status"] for n, each in theirs.items()
        }
        assert {each["text"] for each in theirs.values()} >= {"Sell 7 IBM (Filled)"}
        assert daemon.call("query_executions") == later.call("query_executions")
        assert daemon.call("query_positions") == later.call("query_positions")
        rtgw.do("terminate", table="ORDERS")
        assert later.process is not None
        later.process.wait(PATIENCE)
        assert "ADVISE connection has been terminated" in later.tail()
    finally:
        later.end()


def test_a_login_that_fails_ends_a_daemon(tmp_path: Path) -> None:
    other = Rtgw("--tick", "0").start()
    released = PublishedDaemon(tmp_path, other.port)
    try:
        other.do("login", ok=False)
        released.start()
        assert released.process is not None
        released.process.wait(PATIENCE)
        assert "$TIME symbol unknown" in released.tail()
        assert other.violations() == []
    finally:
        released.end()
        other.end()
