"""A venue that is away, slow or closed, and what the daemon makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}


def configured(daemon: Daemon, **options: str) -> Daemon:
    """The daemon with a paper venue of its own in a TOML file."""
    lines = [f'{name} = "{value}"' for name, value in {"kind": "paper", "feed": "synthetic:7", **options}.items()]
    return daemon.configure("\n".join(["[venues.paper]", *lines, ""]))


def test_a_venue_that_stays_away_raises_an_alarm(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(GATEWAY_DISCONNECT_TIMEOUT="0.2").start().up()
    stream = Stream(daemon, {})
    stream.expect(".Authorized")
    daemon.call("gateway_logoff")
    assert "venue paper has been away for 0.2 s" in stream.expect("paper.error: ")
    assert daemon.call("status") == "Disconnected"
    daemon.call("gateway_logon")
    daemon.up()
    assert daemon.call("market_order", **TERMS, quantity=1)["status"] == "Filled"


def test_a_venue_that_stays_away_ends_the_daemon_where_that_is_wanted(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(GATEWAY_DISCONNECT_TIMEOUT="0.2", GATEWAY_DISCONNECT_SHUTDOWN="1").start().up()
    daemon.call("gateway_logoff")
    assert daemon.process is not None
    assert daemon.process.wait(PATIENCE) == 1, "a process manager should start it again"
    assert "venue paper has been away for 0.2 s" in daemon.tail()


def test_an_order_without_an_answer_is_in_doubt_until_there_is_evidence(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(PAPER_LATENCY="3", TIMEOUT_ORDER="1").start().up()
    daemon.call("add_symbol", symbol="IBM")
    terms = {**TERMS, "quantity": 1, "client_order_id": "slow-1"}
    order = daemon.call("market_order", **terms)
    assert (order["order_status"], order["status"], order["reason"]) == ("UNKNOWN", "Submitted", "TIMEOUT")
    assert "errorMsg" not in order, "an Error would make a client send it again"
    again = daemon.call("market_order", **terms)
    assert (again["permid"], again["replayed"]) == (order["permid"], True)
    assert set(daemon.call("query_open_orders")) == {order["permid"]}
    filled: Any = until(lambda: (o := daemon.call("query_order", id="slow-1"))["status"] == "Filled" and o, daemon)
    assert filled["filled"] == 1
    kinds = [each["kind"] for each in daemon.call("explain_order", id="slow-1")["story"]]
    assert kinds == ["OrderSubmitted", "OrderDoubted", "OrderAccepted", "Executed"]
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"IBM": 1}


def test_an_order_in_doubt_at_a_crash_is_settled_by_the_venue(make_daemon: MakeDaemon) -> None:
    """It was on its way when the daemon died, and never arrived: the venue's word ends it, nothing is sent again."""
    daemon = make_daemon(PAPER_FAULTS="half_open:60s", TIMEOUT_ORDER="1").start().up()
    daemon.call("add_symbol", symbol="IBM")
    terms = {**TERMS, "quantity": 1, "client_order_id": "lost-1"}
    assert daemon.call("market_order", **terms)["order_status"] == "UNKNOWN"
    daemon.kill()
    del daemon.environment["PAPER_FAULTS"]
    daemon.start().up()
    ended = daemon.call("query_order", id="lost-1")
    assert (ended["order_status"], ended["reason"]) == ("REJECTED", "NEVER_ARRIVED")
    assert "'lost-1' is used up: send it again with a new one" in ended["errorMsg"]
    again = daemon.call("market_order", **terms)
    assert "Nothing was sent now" in again.pop("errorMsg")
    assert {**again, "errorMsg": ended["errorMsg"]} == {**ended, "replayed": True}
    assert daemon.call("query_executions") == {}
    assert daemon.call("market_order", **TERMS, quantity=1)["status"] == "Filled"


def test_a_closed_market(make_daemon: MakeDaemon) -> None:
    """A Sunday in New York: stocks do not trade, bitcoin does; what waits for Monday waits."""
    daemon = configured(make_daemon(), calendar="XNYS", start="2024-03-03T15:00:00Z").start().up()
    closed = daemon.call("market_order", **TERMS, quantity=1)
    assert (closed["status"], closed["reason"]) == ("Error", "MARKET_CLOSED"), closed
    assert daemon.call("market_order", **{**TERMS, "symbol": "BTCUSD"}, quantity="0.5")["status"] == "Filled"
    rows = daemon.call("query_bars", symbol="IBM", period=1, start="2024-03-01", end=".")
    assert (rows[0][1], rows[-1][1], len(rows)) == ("09:30:00", "15:59:00", 390)
    days = daemon.call("query_bars", symbol="IBM", period="DAY", start="-5", end=".")
    assert [row[0] for row in days] == ["2024-02-26", "2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]


@pytest.mark.parametrize("reactor", ["uvloop", "epoll", "poll", "select"])
def test_other_reactors(make_daemon: MakeDaemon, reactor: str) -> None:
    daemon = make_daemon(DAEMON_REACTOR=reactor).start().up()
    stream = Stream(daemon, {"order-data": 1})
    stream.expect(".Authorized")
    order = daemon.call("market_order", **TERMS, quantity=1)
    assert order["status"] == "Filled"
    assert stream.data("paper.order-data ", status="Filled")["permid"] == order["permid"]
    assert daemon.stop() == 0
