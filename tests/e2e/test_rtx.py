"""The daemon at Realtick: in mode rtx, against the emulated rtgw in a process of its own, on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.e2e.trading import FAR, becomes, in_doubt, kill_among_orders, losses, lost_and_back
from tests.emulators.rtgw.process import Rtgw

ACCOUNT, OTHER = "EMU.TEST.DESK.ONE", "EMU.TEST.DESK.TWO"
TERMS = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM"}
BEGINS = "2026-03-04T11:00:00"


@pytest.fixture(scope="module")
def rtgw() -> Iterator[Rtgw]:
    with Rtgw("--tick", "0", "--begins", BEGINS, "--position", f"{OTHER}:TSLA:-50") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def daemon(rtgw: Rtgw, make_daemon: MakeDaemon) -> Daemon:
    rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    return make_rtx(make_daemon, rtgw.port, ENABLE_TICKER="1").start().up()


def make_rtx(make_daemon: MakeDaemon, port: int, **more: str) -> Daemon:
    """A daemon that is quick to look again."""
    environment = {"MODE": "rtx", "API_HOST": "127.0.0.1", "API_PORT": str(port), "API_ACCOUNT": ACCOUNT, "RISK": FAR}
    return make_daemon(**environment, RECONCILE_SECONDS="2", LOG_HTTP_REQUESTS="0", **more)


@pytest.fixture(autouse=True)
def _market_and_manners(rtgw: Rtgw) -> Iterator[None]:
    """Each test begins with the same quote and a link that is well; whatever we say is what a client may say."""
    rtgw.do("clear")
    rtgw.do("unmute")
    rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield
    assert rtgw.violations() == []


def rest(daemon: Daemon, **more: Any) -> Any:
    order = daemon.call("limit_order", **{**TERMS, "limit_price": 1.5, "quantity": 10, **more})
    assert order["order_status"] == "NEW", order
    return order


def theirs(rtgw: Rtgw, name: str) -> list[Any]:
    """The rows that rtgw has of one of our orders."""
    return [row for row in rtgw.do("request", query=f"ORDERS;*;CLIENT_ORDER_ID='{name}'") if row]


def agrees(daemon: Daemon, rtgw: Rtgw) -> None:
    """Nothing is in doubt, and the positions are those that rtgw has."""

    def reconciled() -> bool:
        if in_doubt(daemon):
            return False
        ours = {account: held for account, held in daemon.call("query_positions").items() if held}
        return ours == {account: held for account, held in rtgw.do("net").items() if held}

    until(reconciled, daemon)


# ---------------------------------------------------------------- the market, the accounts


def test_it_comes_up_with_accounts_time_and_positions(daemon: Daemon) -> None:
    assert daemon.call("query_accounts") == [ACCOUNT, OTHER]
    assert daemon.call("time").startswith("2026-03-04 11:")
    assert daemon.call("query_positions")[OTHER] == {"TSLA": -50}
    account = daemon.call("query_account", account=OTHER)
    assert account["_cash"] == 1_000_000


def test_symbols(daemon: Daemon, rtgw: Rtgw) -> None:
    found = daemon.call("add_symbol", symbol="TSLA")
    assert (found["symbol"], found["fullname"], found["cusip"]) == ("TSLA", "Tesla, Inc.", "88160R101")
    assert 0 < found["low"] <= found["last"] <= found["high"]
    raw = daemon.call("query_symbol_data", symbol="TSLA")
    assert raw["STARTTIME"] == "09:30:00"
    assert daemon.call("add_symbol", symbol="NOSUCH") is None
    advises = [each["advise"] for each in rtgw.do("status")["connections"]]
    assert any("DISP_NAME='TSLA'" in each for each in advises)
    assert daemon.call("del_symbol", symbol="TSLA") is True
    until(lambda: not any("TSLA" in each["advise"] for each in rtgw.do("status")["connections"]))


def test_prices_and_orders_on_the_stream(daemon: Daemon, rtgw: Rtgw) -> None:
    daemon.call("add_symbol", symbol="IBM")
    stream = Stream(daemon, {"quotes": 1, "trades": 1, "order-notification": 1, "execution-data": 1})
    stream.expect(".Authorized")
    rtgw.do("quote", symbol="IBM", bid="185.11", ask="185.21")
    stream.expect("rtx.quote.IBM:185.11 1000 185.21 1000")
    rtgw.do("trade", symbol="IBM", price="185.15", size=700)
    stream.expect("rtx.trade.IBM:185.15 700 ")
    order = daemon.call("market_order", **TERMS, quantity=5)
    stream.expect(f"rtx.order.{order['permid']} {ACCOUNT} ExchangeTradeOrder Filled")
    assert stream.data("rtx.execution-data ", ORIGINAL_ORDER_ID=order["permid"])["VOLUME"] == 5
    stream.close()


def test_bars(daemon: Daemon) -> None:
    span = {"start": "2026-03-03 10:00:00", "end": "2026-03-03 10:30:00"}
    rows = [row for row in daemon.call("query_bars", symbol="IBM", period=5, **span) if isinstance(row, list)]
    assert [row[:2] for row in rows] == [["2026-03-03", f"10:{minute:02}:00"] for minute in range(0, 35, 5)]
    days = daemon.call("query_bars", symbol="IBM", period="DAY", start="2026-02-26", end="2026-03-03")
    assert [row[0] for row in days if isinstance(row, list)] == ["2026-02-26", "2026-02-27", "2026-03-02", "2026-03-03"]


# ---------------------------------------------------------------- orders


def test_a_market_order_fills_by_what_the_market_shows(daemon: Daemon, rtgw: Rtgw) -> None:
    rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20", ask_size=300)
    order = daemon.call("market_order", **TERMS, quantity=500)
    until(lambda: daemon.call("query_order", id=order["permid"])["filled"] == 300, daemon)
    rtgw.do("quote", symbol="IBM", bid="185.30", ask="185.40")
    whole = becomes(daemon, order["permid"], "FILLED")
    assert (whole["filled"], whole["remaining"], whole["avgfillprice"]) == (500, 0, 185.28)
    fills = daemon.call("query_order_executions", id=order["permid"]).values()
    assert [(each["VOLUME"], each["PRICE"]) for each in fills] == [(300, 185.2), (200, 185.4)]
    agrees(daemon, rtgw)


def test_limit_stop_and_stop_limit_orders(daemon: Daemon, rtgw: Rtgw) -> None:
    limit = daemon.call("limit_order", **TERMS, limit_price=185.5, quantity=-100)
    assert limit["order_status"] == "NEW"
    rtgw.do("quote", symbol="IBM", bid="185.60", ask="185.70")
    assert becomes(daemon, limit["permid"], "FILLED")["avgfillprice"] == 185.6
    stop = daemon.call("stop_order", **TERMS, stop_price=190, quantity=10)
    both = daemon.call("stoplimit_order", **TERMS, stop_price=190, limit_price=195, quantity=10)
    assert (stop["order_status"], both["order_status"]) == ("NEW", "NEW")
    for each in (stop, both):
        rtgw.do("trade", symbol="IBM", price="190")
        becomes(daemon, each["permid"], "FILLED")
    agrees(daemon, rtgw)


def test_times_in_force(daemon: Daemon) -> None:
    gtc = rest(daemon, time_in_force="GTC")
    assert daemon.call("cancel_order", id=gtc["permid"])["order_status"] == "CANCELED"
    for word in ("IOC", "FOK"):
        gone = daemon.call("limit_order", **TERMS, limit_price=1.5, quantity=10, time_in_force=word)
        becomes(daemon, gone["permid"], "CANCELED")


def test_an_order_is_amended_and_canceled(daemon: Daemon) -> None:
    order = rest(daemon)
    changed = daemon.call("replace_order", id=order["permid"], quantity=20, limit_price=2.5)
    changed = becomes(daemon, order["permid"], "NEW") if changed["quantity"] != 20 else changed
    assert (changed["quantity"], changed["limit_price"], changed["broker_order_id"]) == (
        20,
        2.5,
        order["broker_order_id"],
    )
    ended = daemon.call("cancel_order", id=order["permid"])
    assert (ended["order_status"], ended["reason"]) == ("CANCELED", "USER")


def test_a_global_cancel(daemon: Daemon, rtgw: Rtgw) -> None:
    orders = [rest(daemon) for _ in range(3)]
    daemon.call("global_cancel")
    for each in orders:
        becomes(daemon, each["permid"], "CANCELED")
    assert rtgw.do("request", query="ORDERS;*;CURRENT_STATUS={'LIVE','PENDING'}") == [None]


def test_the_broker_says_no(daemon: Daemon, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="rejected_order")
    refused = daemon.call("limit_order", **TERMS, limit_price=1.5, quantity=10)
    assert (refused["status"], refused["order_status"]) == ("Error", "REJECTED")
    assert refused["errorMsg"]


def test_an_algo_route_with_parameters(daemon: Daemon, rtgw: Rtgw) -> None:
    parameters = {"STRAT_ID": "BEST", "STRAT_PARAMETERS": {"99970": "2", "847": "BEST"}, "ORDER_FLAGS_3": 0}
    order = rest(daemon, route={"TEST-ATM-ALGO": parameters})
    (row,) = theirs(rtgw, order["permid"])
    assert (row["EXIT_VEHICLE"], row["STRAT_ID"], row["ORDER_FLAGS_3"]) == ("TEST-ATM-ALGO", "BEST", "0")
    assert row["STRAT_PARAMETERS"] == "99970\x1f2\x01847\x1fBEST\x01"
    bad = daemon.call("limit_order", **{**TERMS, "route": {"A": {"VOLUME": "9"}}}, limit_price=1.5, quantity=10)
    assert (bad["status"], bad["reason"], theirs(rtgw, bad["permid"])) == ("Error", "UNSUPPORTED", [])
    daemon.call("cancel_order", id=order["permid"])


def test_a_ticket_is_approved_here(daemon: Daemon, rtgw: Rtgw) -> None:
    ticket = daemon.call("stage_market_order", tag="desk", **TERMS, quantity=30)
    until(lambda: theirs(rtgw, ticket["permid"]), daemon)
    assert daemon.call("query_tickets")[ticket["permid"]]["order_status"] == "STAGED"
    daemon.call("approve_ticket", id=ticket["permid"])
    assert becomes(daemon, ticket["permid"], "FILLED")["filled"] == 30
    agrees(daemon, rtgw)
    again = daemon.call("approve_ticket", id=ticket["permid"])
    assert again["status"] == "Error"
    thrown_away = daemon.call("stage_market_order", tag="desk", **TERMS, quantity=30)
    daemon.call("reject_ticket", id=thrown_away["permid"])
    becomes(daemon, thrown_away["permid"], "CANCELED")
    agrees(daemon, rtgw)


def test_a_ticket_is_worked_at_realtick(daemon: Daemon, rtgw: Rtgw) -> None:
    ticket = daemon.call("stage_market_order", tag="desk", **TERMS, quantity=30)
    until(lambda: daemon.call("query_order", id=ticket["permid"])["broker_order_id"], daemon)
    rtgw.do("work", id=ticket["permid"], volume=10)
    rtgw.do("work", id=ticket["permid"], volume=20)
    assert becomes(daemon, ticket["permid"], "FILLED")["filled"] == 30
    agrees(daemon, rtgw)


def test_what_others_send_is_taken_in(daemon: Daemon, rtgw: Rtgw) -> None:
    rtgw.do("order", PRICE_TYPE="AsEntered", PRICE="1.25", CLIENT_ORDER_ID="of-a-person")

    def found() -> Any:
        orders = daemon.call("query_orders").values()
        return next((each for each in orders if each["client_order_id"] == "of-a-person"), None)

    external = until(found, daemon)
    assert (external["order_status"], external["raw"]["ORIGIN"]) == ("NEW", "external")
    assert daemon.call("cancel_order", id=external["permid"])["order_status"] == "CANCELED"


def test_what_others_send_and_is_filled_at_once_is_told_by_its_fill(daemon: Daemon, rtgw: Rtgw) -> None:
    before = daemon.call("query_positions")[ACCOUNT].get("IBM", 0)
    known = set(daemon.call("query_executions"))
    rtgw.do("order", PRICE_TYPE="Market", VOLUME=10, CLIENT_ORDER_ID="at-once")
    until(lambda: daemon.call("query_positions")[ACCOUNT].get("IBM", 0) == before + 10, daemon)
    [fill] = [each for name, each in daemon.call("query_executions").items() if name not in known]
    assert (fill["ORIGINAL_ORDER_ID"], fill["VOLUME"]) == ("", 10)
    until(lambda: "order of others " in daemon.log.read_text(), daemon)
    assert "order :" not in daemon.log.read_text()


# ---------------------------------------------------------------- when something fails


@pytest.fixture
def alone() -> Iterator[Rtgw]:
    """A counterparty that no other daemon trades with: the link of these would be gone, too."""
    emulator = Rtgw("--tick", "0", "--begins", BEGINS).start()
    emulator.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield emulator
    emulator.end()


def test_a_cancel_while_the_link_is_down_outlives_a_crash_and_is_sent_when_it_is_back(
    alone: Rtgw, make_daemon: MakeDaemon
) -> None:
    daemon = make_rtx(make_daemon, alone.port).start().up()
    one, two, left = rest(daemon), rest(daemon), rest(daemon, symbol="TSLA")
    before = losses(daemon)
    alone.do("drop", seconds=8)
    until(lambda: losses(daemon) > before, daemon)
    asked = daemon.call("cancel_order", id=one["permid"])
    assert (asked["status"], asked["order_status"], asked["reason"]) == ("Pending", "NEW", "VENUE_DOWN")
    assert asked["errorMsg"] == (
        "Venue rtx is not connected: nothing was done. "
        "The cancel is kept: it is sent as soon as the venue is back and has the order."
    )
    refused = daemon.call("replace_order", id=left["permid"], limit_price=1.4)
    assert (refused["status"], refused["reason"]) == ("Error", "VENUE_DOWN")
    assert daemon.call("global_cancel") == "global cancel requested"
    for each in (two, left):
        until(lambda: "The cancel was not sent" in str(daemon.call("explain_order", id=each["permid"])), daemon)  # noqa: B023
    daemon.kill()
    daemon.start().up()
    for each in (one, two, left):
        assert becomes(daemon, each["permid"], "CANCELED")["reason"] == "USER"
        story = [entry["text"] for entry in daemon.call("explain_order", id=each["permid"])["story"]]
        assert any(text.startswith("The cancel was not sent: Venue rtx is not connected") for text in story), story
    assert daemon.call("query_differences") == []


def test_a_dropped_link_loses_nothing(daemon: Daemon, rtgw: Rtgw) -> None:
    resting = rest(daemon)

    def drop() -> None:
        rtgw.do("drop", seconds=1)
        rtgw.do("fill", id=resting["permid"], volume=4)

    lost_and_back(daemon, drop)
    until(lambda: daemon.call("query_order", id=resting["permid"])["filled"] == 4, daemon)
    rtgw.do("kill", id=resting["permid"])
    assert becomes(daemon, resting["permid"], "CANCELED")["filled"] == 4
    agrees(daemon, rtgw)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_link_that_drops_under_an_order(daemon: Daemon, rtgw: Rtgw, when: str) -> None:
    rtgw.do("fault", name="dropped_link", when=when, seconds=0.5)
    order = daemon.call("limit_order", **TERMS, limit_price=1.5, quantity=10, client_order_id=f"dropped-{when}")
    wanted = "REJECTED" if when == "before" else "NEW"
    ended = becomes(daemon, order["permid"], wanted)
    assert len(theirs(rtgw, order["permid"])) == (0 if when == "before" else 1)
    if when == "before":
        assert ended["reason"] == "NEVER_ARRIVED"
    else:
        daemon.call("cancel_order", id=order["permid"])
    daemon.up()


def test_an_advise_of_orders_that_ends_does_not_end_the_daemon(daemon: Daemon, rtgw: Rtgw) -> None:
    resting = rest(daemon)
    lost_and_back(daemon, lambda: rtgw.do("terminate", table="ORDERS"))
    rtgw.do("fill", id=resting["permid"], volume=10)
    becomes(daemon, resting["permid"], "FILLED")
    agrees(daemon, rtgw)


def test_an_advise_of_prices_that_ends_is_made_anew(daemon: Daemon, rtgw: Rtgw) -> None:
    daemon.call("add_symbol", symbol="IBM")
    rtgw.do("terminate", table="LIVEQUOTE")
    until(lambda: any("DISP_NAME='IBM'" in each["advise"] for each in rtgw.do("status")["connections"]), daemon)
    rtgw.do("trade", symbol="IBM", price="185.77", size=100)
    until(lambda: daemon.call("query_symbol", symbol="IBM")["last"] == 185.77, daemon)


def test_a_mute_advise_of_prices_is_found_out(daemon: Daemon, rtgw: Rtgw) -> None:
    daemon.call("add_symbol", symbol="IBM")
    before = losses(daemon)
    rtgw.do("mute", what="quotes")
    rtgw.do("trade", symbol="IBM", price="186.66", size=100)
    until(lambda: daemon.call("query_symbol", symbol="IBM")["last"] == 186.66, daemon)
    assert "its advise did not tell" in daemon.log.read_text()
    assert losses(daemon) == before


def test_a_mute_advise_of_orders_is_made_good_by_looking(daemon: Daemon, rtgw: Rtgw) -> None:
    resting = rest(daemon)
    rtgw.do("mute", what="orders")
    rtgw.do("fill", id=resting["permid"], volume=10)
    becomes(daemon, resting["permid"], "FILLED")
    agrees(daemon, rtgw)


def test_a_link_that_is_dead_is_found_dead(daemon: Daemon, rtgw: Rtgw) -> None:
    resting = rest(daemon)
    lost_and_back(daemon, lambda: rtgw.do("freeze"))
    assert daemon.call("cancel_order", id=resting["permid"])["order_status"] == "CANCELED"


def test_a_login_that_fails_is_waited_out(daemon: Daemon, rtgw: Rtgw) -> None:
    before = losses(daemon)
    rtgw.do("login", ok=False)
    until(lambda: losses(daemon) > before, daemon)
    assert daemon.call("status") != "Up"
    rtgw.do("login", ok=True)
    daemon.up()
    assert "nobody is logged in" in daemon.log.read_text()


def test_it_waits_for_an_rtgw_that_is_not_there_yet(make_daemon: MakeDaemon) -> None:
    late = Rtgw("--tick", "0").start()
    late.kill()
    daemon = make_rtx(make_daemon, late.port).start()
    try:
        until(lambda: "the next attempt is in 2 s" in daemon.log.read_text(), daemon)
        assert daemon.call("status") != "Up"
        refused = daemon.get("market_order", **TERMS, quantity=1)
        assert refused.status_code == 503, "nothing is taken before it was up once"
        late.start()
        daemon.up()
        assert daemon.stop() == 0
    finally:
        late.end()


def test_killed_in_the_midst_of_orders_it_finds_every_one(rtgw: Rtgw, make_daemon: MakeDaemon) -> None:
    daemon = make_rtx(make_daemon, rtgw.port).start().up()
    daemon.call("add_symbol", symbol="IBM")
    kill_among_orders(daemon, {**TERMS, "quantity": 1}, 1.5, lambda name: theirs(rtgw, name), many=120)
    agrees(daemon, rtgw)
    daemon.call("global_cancel")
    assert daemon.stop() == 0


def test_paper_mode_loads_no_rtx(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.variables["PYTHONPROFILEIMPORTTIME"] = "1"
    daemon.start().up()
    imported = daemon.log.read_text()
    assert "txgateway.brokers.paper.broker" in imported
    assert "txgateway.brokers.rtx" not in imported
    assert daemon.stop() == 0


def test_the_configuration_is_checked(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    config = tmp_path / "txgateway.toml"
    config.write_text('[venues.desk]\nkind = "rtx"\nhsot = "x"\nport = 0\naccounts = ["A.B"]\n')
    told = make_daemon(CONFIG=str(config)).run("--check")
    assert told.returncode != 0
    said = told.stdout + told.stderr
    assert "did you mean host?" in said
    assert "BANK.BRANCH.CUSTOMER.DEPOSIT" in said
    assert "1 to 65535" in said
