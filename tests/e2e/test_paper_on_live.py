"""Paper trading on another venue's live prices: those of the emulated rtgw, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.emulators.rtgw.process import Rtgw
from tests.emulators.tws.contracts import coming_future
from tests.emulators.tws.process import Tws

LIVE = "EMU.TEST.DESK.ONE"
PAPER = {"account": "REHEARSAL", "route": "DEMO", "symbol": "IBM"}
RISK = "price_collar=off,max_notional=off,reference_age=off"


@pytest.fixture
def rtgw() -> Iterator[Rtgw]:
    emulator = Rtgw("--tick", "0").start()
    quote(emulator, "185.10", "185.20")
    emulator.do("trade", symbol="IBM", price="185.15", size=100)
    yield emulator
    emulator.end()


def quote(rtgw: Rtgw, bid: str, ask: str, **more: Any) -> None:
    rtgw.do("quote", symbol="IBM", bid=bid, ask=ask, **more)


def rehearsal(daemon: Daemon, rtgw: Rtgw) -> Daemon:
    """A daemon with a paper venue, the default one, on the prices of the emulator."""
    toml = f"""
[venues.paper]
kind = "paper"
accounts = ["REHEARSAL"]
feed = "venue:realtick"
commission = 0
commission_minimum = 0
[venues.realtick]
kind = "rtx"
host = "127.0.0.1"
port = {rtgw.port}
accounts = ["{LIVE}"]
silence = 2
"""
    return daemon.configure(toml, RISK=RISK, ENABLE_TICKER="1", LOG_HTTP_REQUESTS="0")


def both_up(daemon: Daemon) -> Daemon:
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    return daemon


def order(daemon: Daemon, made: Any) -> Any:
    return daemon.call("query_order", id=made["permid"])


def test_orders_meet_the_live_market_and_never_go_there(make_daemon: MakeDaemon, rtgw: Rtgw) -> None:
    daemon = both_up(rehearsal(make_daemon(), rtgw).start())
    stream = Stream(daemon, {"quotes": 1, "trades": 1})
    stream.expect(".Authorized")
    live = daemon.call("query_symbol", symbol="IBM@realtick")
    shown = daemon.call("add_symbol", symbol="IBM")
    same = ("fullname", "cusip", "last", "close", "open", "high", "low", "volume")
    assert {name: shown[name] for name in same} == {name: live[name] for name in same}
    assert (shown["bid"], shown["ask"]) == (185.1, 185.2)
    bought = daemon.call("market_order", **PAPER, quantity=10)
    assert (bought["status"], bought["avgfillprice"]) == ("Filled", 185.2)
    rests = daemon.call("limit_order", **PAPER, quantity=10, limit_price=184)
    stop = daemon.call("stop_order", **PAPER, quantity=-10, stop_price=184.5)
    assert (rests["order_status"], stop["order_status"]) == ("NEW", "NEW")
    quote(rtgw, "183.80", "183.90", bid_size=500, ask_size=4)
    stream.expect("paper.quote.IBM:183.8 500 183.9 4")
    until(lambda: order(daemon, rests)["filled"] == 4, daemon)
    until(lambda: order(daemon, stop)["order_status"] == "FILLED", daemon)
    assert (order(daemon, rests)["avgfillprice"], order(daemon, stop)["avgfillprice"]) == (183.9, 183.8)
    rtgw.do("trade", symbol="IBM", price="183.85", size=700)
    stream.expect("paper.trade.IBM:183.85 700 ")
    positions = daemon.call("query_positions")
    assert positions == {"REHEARSAL": {"IBM": 4}, LIVE: {}}
    assert rtgw.do("status")["orders"] == 0, "an order went to the live market"
    assert not any(rtgw.do("net").values())
    rows = daemon.call("query_bars", symbol="IBM", period="DAY", start="-3", end=".")
    assert rows == daemon.call("query_bars", symbol="IBM@realtick", period="DAY", start="-3", end=".")
    assert len(rows) == 3
    assert daemon.call("query_symbol", symbol="NOSUCH") is None
    stream.close()
    assert daemon.stop() == 0


def advises(rtgw: Rtgw, symbol: str) -> int:
    return sum(f"DISP_NAME='{symbol}'" in each["advise"] for each in rtgw.do("status")["connections"])


def test_a_symbol_is_subscribed_there_once_and_as_long_as_it_is_needed(make_daemon: MakeDaemon, rtgw: Rtgw) -> None:
    daemon = both_up(rehearsal(make_daemon(), rtgw).start())
    assert advises(rtgw, "TSLA") == 0
    daemon.call("add_symbol", symbol="TSLA@realtick")
    one = advises(rtgw, "TSLA")
    assert one
    assert daemon.call("add_symbol", symbol="TSLA")["last"]
    assert advises(rtgw, "TSLA") == one
    assert daemon.call("del_symbol", symbol="TSLA@realtick") is True
    rtgw.do("quote", symbol="TSLA", bid="201", ask="202")
    until(lambda: daemon.call("query_symbol", symbol="TSLA")["bid"] == 201, daemon)
    assert daemon.call("del_symbol", symbol="TSLA") is True
    until(lambda: advises(rtgw, "TSLA") == 0, daemon)
    rtgw.do("quote", symbol="TSLA", bid="301", ask="302")
    again = daemon.call("add_symbol", symbol="TSLA")
    assert (again["bid"], again["ask"]) == (301, 302), "what was shown before it was left is old"


def test_last_prices_are_the_live_venues(make_daemon: MakeDaemon, rtgw: Rtgw) -> None:
    daemon = both_up(rehearsal(make_daemon(), rtgw).start())
    rtgw.do("trade", symbol="TSLA", price="201.5", size=100)
    found = daemon.call("query_last_prices", symbols="IBM,TSLA,IBM@realtick,NOSUCH,NOSUCH@realtick")
    assert {name: each["price"] or each["reason"] for name, each in found.items()} == {
        "IBM": 185.15,
        "TSLA": 201.5,
        "IBM@realtick": 185.15,
        "NOSUCH": "UNKNOWN_SYMBOL",
        "NOSUCH@realtick": "UNKNOWN_SYMBOL",
    }
    assert found["IBM"]["time"] == found["IBM@realtick"]["time"] is not None
    assert daemon.call("query_symbols") == []
    assert advises(rtgw, "TSLA") == 0


def test_while_the_link_is_lost_the_market_stands_still(make_daemon: MakeDaemon, rtgw: Rtgw) -> None:
    daemon = both_up(rehearsal(make_daemon(), rtgw).start())
    stream = Stream(daemon, {"quotes": 1})
    stream.expect(".Authorized")
    daemon.call("market_order", **PAPER, quantity=10)
    rests = daemon.call("limit_order", **PAPER, quantity=5, limit_price=185)
    rtgw.kill()
    stream.expect("paper.quote.IBM:185.1 0 185.2 0")
    stream.expect(lambda line: line.startswith("paper.error: ") and "the market stands still: venue realtick" in line)
    assert daemon.call("query_venues")["paper"]["status"] == "UP"
    refused = daemon.call("market_order", **PAPER, quantity=1)
    assert (refused["status"], refused["reason"]) == ("Error", "NO_PRICE"), refused
    assert "The market of IBM stands still: venue realtick" in refused["errorMsg"]
    late = daemon.call("limit_order", **PAPER, quantity=5, limit_price=190)
    through = daemon.call("stop_order", **PAPER, quantity=5, stop_price=100)
    assert (late["order_status"], through["order_status"]) == ("NEW", "NEW"), "traded on what was shown before"
    assert daemon.call("replace_order", id=rests["permid"], limit_price=189)["limit_price"] == 189
    assert daemon.call("query_positions")["REHEARSAL"] == {"IBM": 10}
    unknown = daemon.call("market_order", **{**PAPER, "symbol": "TSLA"}, quantity=1)
    assert (unknown["status"], unknown["reason"]) == ("Error", "VENUE_DOWN")
    assert daemon.call("query_account", account="REHEARSAL")["_cash"]
    rtgw.start()
    rtgw.do("quote", symbol="IBM", bid="187.10", ask="187.20")
    for each, price in ((late, 187.2), (through, 187.2), (rests, 187.2)):
        until(lambda: order(daemon, each)["order_status"] == "FILLED", daemon)  # noqa: B023
        assert order(daemon, each)["avgfillprice"] == price
    assert daemon.call("market_order", **PAPER, quantity=1)["status"] == "Filled"
    stream.close()


def test_orders_of_before_a_restart_wait_for_the_venue(make_daemon: MakeDaemon, rtgw: Rtgw) -> None:
    daemon = both_up(rehearsal(make_daemon(), rtgw).start())
    rests = daemon.call("limit_order", **PAPER, quantity=5, limit_price=180, time_in_force="GTC")
    assert rests["order_status"] == "NEW"
    daemon.stop()
    rtgw.kill()
    daemon.start()
    daemon.up()
    assert daemon.call("query_venues")["realtick"]["status"] in ("DOWN", "CONNECTING")
    assert order(daemon, rests)["order_status"] == "NEW"
    rtgw.start()
    rtgw.do("quote", symbol="IBM", bid="179.10", ask="179.20")
    until(lambda: order(daemon, rests)["order_status"] == "FILLED", daemon)
    assert order(daemon, rests)["avgfillprice"] == 179.2


@pytest.mark.parametrize(
    ("feed", "kinds", "said"),
    [
        ("venue:nowhere", {"paper": "paper", "realtick": "rtx"}, "there is no venue nowhere; name one of realtick"),
        ("venue:paper", {"paper": "paper"}, "a venue cannot trade on its own prices"),
        ("venue:other", {"paper": "paper", "other": "paper"}, "venue other is a paper venue, too"),
        ("venue:", {"paper": "paper"}, "name the venue whose prices to trade on"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(make_daemon: MakeDaemon, feed: str, kinds: Any, said: str) -> None:
    lines = [f'[venues.{name}]\nkind = "{kind}"\naccounts = ["{name.upper()}"]\n' for name, kind in kinds.items()]
    ended = make_daemon().configure("".join(lines), PAPER_FEED=feed).run()
    assert ended.returncode != 0
    assert said in ended.stdout + ended.stderr
    assert "TXGATEWAY_PAPER_FEED=venue:" in ended.stdout + ended.stderr


def test_on_the_prices_of_tws(make_daemon: MakeDaemon) -> None:
    """While TWS is there and has lost its servers nothing is filled either; futures are nothing for a paper account."""
    with Tws("--tick", "0", "--account", "DU1234567") as tws:
        tws.do("quote", symbol="IBM", bid="185.10", ask="185.20")
        toml = (
            '[venues.ib]\nkind = "tws"\nhost = "127.0.0.1"\naccounts = ["DU1234567"]\nclient_id = 7\n'
            f'port = {tws.port}\n[venues.paper]\nkind = "paper"\naccounts = ["REHEARSAL"]\nfeed = "venue:ib"\n'
        )
        daemon = make_daemon().configure(toml, RISK=RISK, LOG_HTTP_REQUESTS="0")
        both_up(daemon.start())
        paper = {**PAPER, "symbol": "IBM@paper"}
        assert daemon.call("market_order", **paper, quantity=10)["avgfillprice"] == 185.2
        contract = coming_future(datetime.now(UTC).date())
        future = daemon.call("market_order", **{**PAPER, "symbol": f"{contract}@paper"}, quantity=1)
        assert (future["status"], future["reason"]) == ("Error", "UNSUPPORTED"), future
        rests = daemon.call("limit_order", **paper, quantity=5, limit_price=184)
        tws.do("lose")
        until(lambda: daemon.call("query_venues")["ib"]["status"] != "UP", daemon)
        refused = daemon.call("market_order", **paper, quantity=1)
        assert (refused["status"], refused["reason"]) == ("Error", "NO_PRICE"), refused
        tws.do("regain")
        until(lambda: daemon.call("query_venues")["ib"]["status"] == "UP", daemon)
        assert order(daemon, rests)["order_status"] == "NEW"
        tws.do("quote", symbol="IBM", bid="183.10", ask="183.20")
        until(lambda: order(daemon, rests)["order_status"] == "FILLED", daemon)
        assert order(daemon, rests)["avgfillprice"] == 183.2
        assert tws.do("orders") == []
        assert tws.violations() == []
        assert daemon.stop() == 0


def test_a_lively_market_whose_link_drops_again_and_again(make_daemon: MakeDaemon) -> None:
    """Whatever was filled, refused or left to rest in between: the books agree, and the live market saw no order."""
    with Rtgw("--tick", "0.02") as rtgw:
        daemon = rehearsal(make_daemon(), rtgw)
        daemon.environment["RECONCILE_SECONDS"] = "1"
        both_up(daemon.start())
        statuses = set()
        for number in range(150):
            side = -5 if number % 3 == 2 else 5
            if number % 2:
                price = daemon.call("query_symbol", symbol="IBM")["last"]
                made = daemon.call("limit_order", **PAPER, quantity=side, limit_price=price)
            else:
                made = daemon.call("market_order", **PAPER, quantity=side)
            statuses.add((made["order_status"], made.get("reason") or ""))
            if number % 25 == 10:
                rtgw.do("drop")
        both_up(daemon)
        daemon.call("global_cancel")
        until(lambda: not daemon.call("query_open_orders"), daemon)
        filled = [each for each in daemon.call("query_executions").values() if each["ACCOUNT"] == "REHEARSAL"]
        net = sum(each["VOLUME"] * (1 if each["BUYORSELL"].upper().startswith("B") else -1) for each in filled)
        assert daemon.call("query_positions")["REHEARSAL"].get("IBM", 0) == net
        before = daemon.call("query_venues")["paper"]["last_reconciled"]
        until(lambda: daemon.call("query_venues")["paper"]["last_reconciled"] > before, daemon)
        assert daemon.call("query_differences") == []
        assert ("FILLED", "") in statuses
        assert {status for status, _ in statuses} <= {"FILLED", "NEW", "PARTIALLY_FILLED", "REJECTED", "DENIED"}
        assert {reason for _, reason in statuses} <= {"", "NO_PRICE", "VENUE_DOWN"}
        assert rtgw.do("status")["orders"] == 0
        assert daemon.call("query_venues")["realtick"]["reconnects"] >= 1
        assert daemon.stop() == 0
