"""Several venues in one daemon: whatever is wrong with one, the other's orders go on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream
from tests.e2e.troubled import installed

GOOD = {"account": "GOOD", "route": "DEMO", "symbol": "IBM@good", "quantity": 1}
BAD = {"account": "BAD", "route": "DEMO", "symbol": "XYZ@bad", "quantity": 1}
TROUBLES = ["slow", "failing", "blocking", "deaf", "raising", "broken", "flooding", "unmade", "unloadable"]
ASKED = ("slow", "blocking", "deaf")
"""Where a question stays unanswered for a while, or for ever."""
RISK = "price_collar=off,max_notional=off,reference_age=off"


def venues(daemon: Daemon, bad: str, first: str = "good", **options: str) -> Daemon:
    """A daemon with a paper venue named good, and one of the troubled kind named bad."""
    more = [f'{name} = "{value}"' for name, value in options.items()]
    tables = {
        "good": ["[venues.good]", 'kind = "paper"', 'feed = "synthetic:7"', 'accounts = ["GOOD"]'],
        "bad": ["[venues.bad]", f'kind = "{bad}"', 'accounts = ["BAD"]', *more],
    }
    order = [first, *(name for name in tables if name != first)]
    toml = "\n".join(line for name in order for line in (*tables[name], ""))
    daemon.configure(toml, RISK=RISK, LOG_HTTP_REQUESTS="0")
    daemon.environment["LOCAL_RESET_TIME"] = "05:00"
    places = Path(daemon.folder.parent / "places")
    daemon.variables = installed(places, unloadable="nowhere.to_be_found:Broker")
    return daemon


def venue(daemon: Daemon, name: str = "bad") -> Any:
    return daemon.call("query_venues")[name]


def good_up(daemon: Daemon) -> Daemon:
    until(lambda: venue(daemon, "good")["status"] == "UP", daemon)
    return daemon


class Aside:
    """Calls that may stay unanswered, beside those of the test."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.pool = ThreadPoolExecutor(16)

    def call(self, method: str, **arguments: Any) -> Future[Any]:
        def ask() -> Any:
            auth = ("txtrader_user", PASSWORD)
            try:
                return requests.post(f"{self.daemon.url}/{method}", json=arguments, auth=auth, timeout=PATIENCE).json()
            except requests.ConnectionError:
                return None

        return self.pool.submit(ask)

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)


def expected_traceback(daemon: Daemon) -> None:
    """These brokers' errors are meant to be in the log, with where they come from; nothing else of the kind is."""
    log = daemon.log.read_text(errors="replace")
    parts = log.split("Traceback (most recent call last)")[1:]
    known = ("RuntimeError: ", "ConnectionError: ", "is broken", "no licence was found")
    strange = [part[:3000] for part in parts if not any(word in part[:6000] for word in known)]
    assert not strange, strange[0]
    daemon.log.write_text(log.replace("Traceback (most recent call last)", "Traceback"))


@pytest.mark.parametrize("first", ["good", "bad"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_orders_go_on(make_daemon: MakeDaemon, trouble: str, first: str) -> None:
    """Whichever of the two is the default venue: what is asked of the bad one is waited for by nobody else."""
    daemon = good_up(venues(make_daemon(), trouble, first).start())
    aside = Aside(daemon)
    hanging = [
        aside.call("market_order", **BAD),
        aside.call("add_symbol", symbol="ABC@bad"),
        aside.call("query_account", account="BAD"),
        aside.call("query_bars", symbol="XYZ@bad", period="1", start="-1", end="."),
    ]
    for number in range(20):
        order = daemon.call("market_order", **GOOD, client_order_id=f"g-{number}")
        assert order["status"] == "Filled", order
    resting = daemon.call("limit_order", **{**GOOD, "limit_price": 1})
    assert resting["order_status"] == "NEW"
    assert daemon.call("replace_order", id=resting["permid"], quantity=2)["quantity"] == 2
    assert daemon.call("query_positions")["GOOD"] == {"IBM": 20}
    assert daemon.call("query_account", account="GOOD")["_cash"]
    if trouble in ("failing", "broken", "raising", "unmade", "unloadable"):
        assert set(daemon.call("query_balances")) == {"GOOD"}, "what can be had is given"
    daemon.call("cancel_order", id=resting["permid"])
    until(lambda: daemon.call("query_order", id=resting["permid"])["order_status"] == "CANCELED", daemon)
    if trouble in ASKED:
        assert not all(each.done() for each in hanging), "nothing has shown that it hung"
    before = venue(daemon, "good")
    until(lambda: venue(daemon, "good")["last_reconciled"] >= before["last_reconciled"], daemon)
    assert before["order_latency"]["count"] == 21
    assert 0 <= before["order_latency"]["p50_ms"] <= before["order_latency"]["p99_ms"]
    assert (before["errors"], before["refusals"], before["reconnects"]) == (0, 0, 0)
    assert daemon.stop() == 0
    aside.close()
    expected_traceback(daemon)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_flatten_of_all_closes_what_can_be_closed(make_daemon: MakeDaemon, trouble: str) -> None:
    daemon = good_up(venues(make_daemon(), trouble, held="1").start())
    assert daemon.call("market_order", **GOOD)["status"] == "Filled"
    rests = daemon.call("limit_order", **{**GOOD, "limit_price": 1})
    assert rests["order_status"] == "NEW"
    aside = Aside(daemon)
    asked = aside.call("flatten", scope="gateway", reason="drill")
    until(lambda: daemon.call("query_positions")["GOOD"].get("IBM", 0) == 0, daemon)
    assert daemon.call("query_order", id=rests["permid"])["order_status"] == "CANCELED"
    if trouble in ("slow", "flooding"):
        asked.result(PATIENCE)
    elif trouble in ("raising", "blocking"):
        asked_for = until(lambda: daemon.call("query_flattens"), daemon)[0]
        assert asked_for["flat"] is False

        def lines() -> dict[str, bool]:
            return {line["symbol"]: line["flat"] for line in daemon.call("query_flattens")[0]["positions"]}

        until(lambda: lines().get("IBM"), daemon)
    daemon.kill()
    aside.close()
    expected_traceback(daemon)


def test_what_cannot_be_made_is_down_and_says_why(make_daemon: MakeDaemon) -> None:
    for kind, why in (("unmade", "no licence was found"), ("unloadable", "nowhere")):
        daemon = good_up(venues(make_daemon(), kind, "bad").start())
        bad = venue(daemon)
        assert (bad["status"], bad["accounts"], bad["errors"]) == ("DOWN", ["BAD"], 1)
        assert why in bad["last_error"]
        assert bad["last_error_time"] >= bad["since"]
        order = daemon.session.post(f"{daemon.url}/market_order", json=BAD, timeout=PATIENCE)
        assert (order.status_code, order.json()) == (503, False), "its accounts are not open yet"
        assert daemon.call("status") == "Startup"
        assert daemon.call("status", venue="good") == "Up"
        assert daemon.stop() == 0
        expected_traceback(daemon)


@pytest.mark.parametrize("first", ["good", "bad"])
@pytest.mark.parametrize("trouble", ["unmade", "deaf", "broken"])
def test_what_a_venue_holds_that_has_not_been_up_is_not_called_flat(
    make_daemon: MakeDaemon, trouble: str, first: str
) -> None:
    """Neither of the first start, when nothing is known of it, nor of the next, when what was known may be old."""
    daemon = good_up(venues(make_daemon(), "sound", first, held="1").start())
    until(lambda: venue(daemon)["status"] == "UP", daemon)
    assert daemon.call("query_positions") == {"BAD": {"XYZ": 10}, "GOOD": {}}
    assert daemon.stop() == 0
    daemon.toml.write_text(daemon.toml.read_text().replace('"sound"', f'"{trouble}"'))
    good_up(daemon.start())
    assert venue(daemon)["status"] != "UP"
    daemon.call("market_order", **GOOD)
    assert daemon.call("query_positions") == {"BAD": None, "GOOD": {"IBM": 1}}
    assert daemon.call("query_positions", data=True)["BAD"] is None
    if first == "good":
        stream = Stream(daemon, {})
        stream.send("positions")
        assert '"BAD":null' in stream.expect("good.positions: ")
        stream.close()
    order = daemon.session.post(f"{daemon.url}/market_order", json=BAD, timeout=PATIENCE)
    assert order.json() is False or order.json()["reason"] == "VENUE_DOWN"
    for method in ("query_account", "set_account", "query_balances"):
        unknown = daemon.session.post(f"{daemon.url}/{method}", json={"account": "NEVER"}, timeout=PATIENCE)
        if trouble == "broken":  # it has not told which accounts it has
            assert (unknown.status_code, unknown.json()) == (503, False)
        else:
            assert unknown.status_code == 200
    if trouble == "broken":
        text = daemon.call("market_order", **{**GOOD, "account": "NEVER"})["errorMsg"]
        assert "Not yet told has bad" in text
    daemon.kill()
    expected_traceback(daemon)


def test_a_daemon_none_of_whose_venues_can_be_made_does_not_start(make_daemon: MakeDaemon) -> None:
    daemon = venues(make_daemon(), "unmade")
    ended = daemon.configure('[venues.bad]\nkind = "unmade"\naccounts = ["BAD"]\n').run()
    assert ended.returncode != 0
    assert "Venue bad (unmade): no licence was found" in ended.stdout + ended.stderr
    ended = daemon.configure('[venues.bad]\nkind = "unloadable"\naccounts = ["BAD"]\n').run("--check")
    assert ended.returncode != 0
    assert "the broker unloadable cannot be loaded" in ended.stdout + ended.stderr


def test_an_account_is_at_one_venue(make_daemon: MakeDaemon) -> None:
    """A login that has an account which another venue was given gets none of its orders, whichever comes first."""
    daemon = good_up(venues(make_daemon(), "grasping", "bad").start())
    until(lambda: venue(daemon)["status"] == "UP", daemon)
    assert daemon.call("query_accounts") == ["BAD", "GOOD"]
    assert venue(daemon)["accounts"] == ["BAD"]
    assert "GOOD stay there" in venue(daemon)["last_error"]
    order = daemon.call("market_order", **GOOD)
    assert (order["status"], order["filled"]) == ("Filled", 1)
    assert daemon.call("query_positions") == {"BAD": {}, "GOOD": {"IBM": 1}}
    assert venue(daemon, "good")["order_latency"]["count"] == 1
    assert venue(daemon)["order_latency"]["count"] == 0


def test_one_connection_asks_one_venue_while_the_other_does_not_answer(make_daemon: MakeDaemon) -> None:
    daemon = venues(make_daemon(), "blocking").start()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    socket = WebSocket(daemon)
    socket.say({"jsonrpc": "2.0", "id": 1, "method": "query_account", "params": {"account": "BAD"}})
    assert "_cash" in socket.call("query_account", {"account": "GOOD"}, 2)["result"]
    assert socket.call("query_symbol_bars", {"symbol": "IBM@good"}, 3)["result"] == []
    socket.close()
    daemon.kill()


def test_a_flood_of_one_venue_is_no_hindrance(make_daemon: MakeDaemon) -> None:
    """While one floods, each of another's orders is answered at once, and told; nobody who streams is cut off."""
    daemon = venues(make_daemon(), "flooding").start()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    daemon.call("add_symbol", symbol="XYZ@bad")
    stream = Stream(daemon, {"order-data": 1})
    stream.expect(".Authorized")
    told = []
    orders = []
    for _ in range(100):
        orders.append(daemon.call("market_order", **GOOD))
        told.append(venue(daemon)["errors"])
    assert {each["status"] for each in orders} == {"Filled"}
    assert told[-1] > told[0], "the flood was over before the orders"
    for order in orders:
        stream.data("good.order-data ", permid=order["permid"], status="Filled")
    bad = until(lambda: (found := venue(daemon))["errors"] > 200 and found, daemon)
    assert "complaint" in bad["last_error"]
    said = daemon.log.read_text().count("error 7 complaint")
    assert said < bad["errors"] / 2, "each complaint was told, and logged"
    stream.close()
    assert daemon.stop() == 0


def test_a_venue_that_connects_again_and_again_is_given_a_rest(make_daemon: MakeDaemon) -> None:
    daemon = good_up(venues(make_daemon(), "flapping").start())
    taken = ("Filled", "Accepted")  # the market shows only so much in a second
    while "again and again" not in venue(daemon)["last_error"]:
        assert daemon.call("market_order", **GOOD)["status"] in taken
    bad = venue(daemon)
    assert (bad["status"], bad["reconnects"]) == ("DOWN", 299)
    assert "again and again" in bad["status_text"]
    for _ in range(20):
        assert daemon.call("market_order", **GOOD)["status"] in taken
    assert venue(daemon)["reconnects"] == 299
    assert daemon.stop() == 0


def test_a_venue_is_disconnected_and_connected_by_its_name(make_daemon: MakeDaemon) -> None:
    daemon = good_up(venues(make_daemon(), "sound", held="1").start())
    until(lambda: venue(daemon)["status"] == "UP", daemon)
    first = venue(daemon)
    assert (first["reconnects"], first["domain"], first["kind"]) == (0, "live", "sound")
    assert daemon.call("gateway_logoff", venue="bad").endswith("bad")
    assert daemon.call("status", venue="bad") == "Disconnected"
    assert daemon.call("status") == "Up"
    assert daemon.call("market_order", **GOOD)["status"] == "Filled"
    daemon.call("gateway_logon", venue="bad")
    until(lambda: venue(daemon)["status"] == "UP", daemon)
    again = venue(daemon)
    assert again["reconnects"] == 1
    assert again["since"] > first["since"]
    assert again["question_latency"]["count"] > first["question_latency"]["count"]
    assert daemon.call("market_order", **BAD)["status"] == "Filled"
    assert venue(daemon)["order_latency"]["count"] == 1
    wrong = daemon.session.post(f"{daemon.url}/status", json={"venue": "nowhere"}, timeout=PATIENCE)
    assert (wrong.status_code, wrong.json()["reason"]) == (400, "BAD_ARGUMENT")


def test_a_question_over_which_a_broker_errs_is_refused_by_its_code(make_daemon: MakeDaemon) -> None:
    daemon = good_up(venues(make_daemon(), "raising").start())
    until(lambda: venue(daemon)["status"] == "UP", daemon)
    for method, arguments in (("query_account", {"account": "BAD"}), ("add_symbol", {"symbol": "XYZ@bad"})):
        answer = daemon.call(method, **arguments)
        assert (answer["status"], answer["reason"]) == ("Error", "VENUE_FAILED")
        assert "is broken): the log has it." in answer["errorMsg"]
    expected_traceback(daemon)
