"""Flatten on the real daemon: closed and verified, through kill -9 in the middle and a closed market."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.e2e.test_life import txgateway

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}


def buy(daemon: Daemon, **terms: Any) -> Any:
    order = daemon.call("market_order", **{**TERMS, "quantity": 10, **terms})
    assert order["status"] == "Filled", order
    return order


def rest(daemon: Daemon, **terms: Any) -> Any:
    order = daemon.call("limit_order", **{**TERMS, "limit_price": 1, "quantity": 10, **terms})
    assert order["order_status"] == "NEW", order
    return order


def held(daemon: Daemon) -> dict[str, Any]:
    positions: dict[str, Any] = daemon.call("query_positions")
    return {account: symbols for account, symbols in positions.items() if symbols}


def traded(daemon: Daemon, symbol: str) -> float:
    """What all executions of a symbol add up to."""
    fills = daemon.call("query_executions", symbol=symbol).values()
    return float(sum(each["VOLUME"] * (1 if each["BUYORSELL"] == "Buy" else -1) for each in fills))


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(PAPER_ACCOUNTS="API_ACCOUNT,SECOND").start().up()


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("symbol:tsla", {"API_ACCOUNT": {"IBM": 10}, "SECOND": {"IBM": -7}}),
        ("account:SECOND", {"API_ACCOUNT": {"IBM": 10, "TSLA": 5}}),
        ("owner:txtrader_user", {}),
        ("venue:paper", {}),
        ("gateway", {}),
        ("source:txtrader_user", {"API_ACCOUNT": {"IBM": 10, "TSLA": 5}, "SECOND": {"IBM": -7}}),
        ("bot:txtrader_user", {"API_ACCOUNT": {"IBM": 10, "TSLA": 5}, "SECOND": {"IBM": -7}}),
    ],
)
def test_each_scope_is_flattened_and_stays_halted(daemon: Daemon, scope: str, left: dict[str, Any]) -> None:
    buy(daemon)
    buy(daemon, symbol="TSLA", quantity=5)
    buy(daemon, account="SECOND", quantity=-7)
    orders = [rest(daemon), rest(daemon, symbol="TSLA"), rest(daemon, account="SECOND", limit_price=9000, quantity=-3)]
    report = daemon.call("flatten", scope=scope, reason="enough")
    assert (report["flat"], report["ended"]) == (True, True), report
    assert all(each["flat"] and each["quantity"] == 0 for each in report["positions"])
    assert held(daemon) == left
    [halt] = daemon.call("query_halts")
    assert (halt["level"], halt["text"]) == ("HALTED", "enough")
    ended = [daemon.call("query_order", id=each["permid"]) for each in orders]
    if left == {}:
        assert {each["reason"] for each in ended} == {"FLATTENED"}
        assert daemon.call("market_order", **TERMS, quantity=1)["reason"] == "HALTED"
    assert daemon.call("query_flattens") == []
    daemon.call("resume", scope=scope)
    assert daemon.call("flatten", scope="gateway", reason="tidy up")["flat"]
    daemon.call("resume")


def test_a_flatten_is_told_and_in_the_journal_and_on_the_command_line(daemon: Daemon) -> None:
    stream = Stream(daemon, {"status-data": 1})
    stream.expect(".Authorized")
    buy(daemon)
    daemon.variables["TXGATEWAY_HTTP_PORT"] = str(daemon.http_port)
    done = txgateway(daemon, "--json", "flatten", "account:API_ACCOUNT", "end of the day")
    assert (done.returncode, '"flat": true' in done.stdout) == (0, True), done
    asked = stream.data("paper.status-data ", event="FlattenRequested")
    over = stream.data("paper.status-data ", event="FlattenEnded")
    assert (asked["scope"], asked["text"], over["flat"]) == ("account:API_ACCOUNT", "end of the day", True)
    assert asked["flatten"] == over["flatten"] == asked["seq"]
    keys = [each["client_order_id"] for each in daemon.call("query_orders").values()]
    assert f"flatten-{asked['flatten']}-IBM-1" in keys
    story = daemon.call("query_journal", kind="FlattenEnded")
    assert "is flat" in story[-1]["event"]["text"]
    daemon.call("resume", scope="account:API_ACCOUNT")


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.35, 0.6])
def test_a_kill_in_the_middle_doubles_nothing_and_forgets_nothing(make_daemon: MakeDaemon, moment: float) -> None:
    daemon = make_daemon(PAPER_LATENCY="0.2").start().up()
    for symbol, quantity in (("IBM", 100), ("TSLA", -40), ("MSFT", 7)):
        daemon.call("market_order", **{**TERMS, "symbol": symbol, "quantity": quantity})
    waiting = daemon.call("limit_order", **{**TERMS, "limit_price": 1, "quantity": 10})
    until(lambda: len(held(daemon).get("API_ACCOUNT", {})) == 3, daemon)

    def ask() -> None:
        with pytest.raises(requests.ConnectionError):
            daemon.call("flatten", scope="gateway", reason="kill me")

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        until(lambda: daemon.call("query_flattens"), daemon)
        cut = daemon.call("uptime")
        until(lambda: seconds(daemon.call("uptime")) - seconds(cut) >= moment, daemon)
        daemon.kill()
        asking.result()
    daemon.start().up()
    assert daemon.call("query_halts")[0]["text"] == "kill me"
    until(lambda: daemon.call("query_flattens") == [] and held(daemon) == {}, daemon)
    assert daemon.call("query_order", id=waiting["permid"])["status"] == "Cancelled"
    for symbol in ("IBM", "TSLA", "MSFT"):
        assert traded(daemon, symbol) == 0
        closings = [
            each
            for each in daemon.call("query_orders", symbol=symbol).values()
            if each["owner"] == "flatten" and each["filled"]
        ]
        assert len(closings) == 1, closings
    [ended] = daemon.call("query_journal", kind="FlattenEnded")
    assert ended["event"]["flat"] is True


def seconds(uptime: str) -> float:
    """How long, out of `started … (elapsed 0:00:01.5)`."""
    hours, minutes, rest = uptime.partition("elapsed ")[2].rstrip(")").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_a_closed_market_is_said_and_monday_closes_it(make_daemon: MakeDaemon) -> None:
    def on(day: str, daemon: Daemon) -> Daemon:
        venue = f'kind = "paper"\nfeed = "synthetic:7"\ncalendar = "XNYS"\nstart = "{day}T15:00:00Z"\n'
        return daemon.configure(f"[venues.paper]\n{venue}").start().up()

    daemon = on("2024-03-01", make_daemon())
    buy(daemon)
    assert daemon.stop() == 0
    on("2024-03-02", daemon)
    report = daemon.call("flatten", scope="account:API_ACCOUNT", reason="weekend")
    assert (report["flat"], report["ended"]) == (False, False)
    until(lambda: "MARKET_CLOSED" in daemon.call("query_flattens")[0]["text"], daemon)
    [line] = report["positions"]
    assert (line["symbol"], line["quantity"], line["flat"]) == ("IBM", 10, False)
    assert daemon.call("query_flattens")[0]["number"] == report["number"]
    again = daemon.call("flatten", scope="account:API_ACCOUNT", reason="weekend")
    assert again["number"] == report["number"], "it is the same flatten, asked about again"
    daemon.kill()
    on("2024-03-04", daemon)
    until(lambda: daemon.call("query_flattens") == [], daemon, 2 * PATIENCE)  # refused so often it may pause a minute
    assert held(daemon) == {}
    assert daemon.call("query_halts")[0]["scope"] == "account:API_ACCOUNT"


def test_resuming_calls_a_flatten_off(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    buy(daemon)
    daemon.call("gateway_logoff")
    report = daemon.call("flatten", scope="gateway", reason="no link")
    assert not report["flat"]
    assert "Venue paper is DOWN" in report["text"]
    assert daemon.call("resume") == "trading resumed"
    assert daemon.call("query_flattens") == []
    daemon.call("gateway_logon", username="", password="")
    daemon.up()
    until(lambda: daemon.call("query_venues")["paper"]["status"] == "UP", daemon)
    buy(daemon)
    assert held(daemon) == {"API_ACCOUNT": {"IBM": 20}}


@pytest.mark.parametrize(
    "given", [{}, {"scope": "gateway"}, {"scope": "", "reason": "x"}, {"scope": "x", "reason": "x"}]
)
def test_a_flatten_of_nothing_is_a_mistake(daemon: Daemon, given: dict[str, Any]) -> None:
    answer = daemon.session.post(f"{daemon.url}/flatten", json=given, timeout=60)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT")
    assert daemon.call("query_halts") == []
