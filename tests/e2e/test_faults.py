"""Every fault of the README's table, set at the real daemon: what happens, and what the desk makes of it."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from txgateway.model.fault import FaultKind

TERMS = {"account": "API_ACCOUNT", "route": "DEMO"}
ROOT = Path(__file__).parents[2]
NUMBER = count(1)


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """Its orders are in doubt after one second without an answer."""
    return make_daemon(TIMEOUT_ORDER="1", TIMEOUT_ADDSYMBOL="1").start().up()


@pytest.fixture(autouse=True)
def cleared(daemon: Daemon) -> None:
    """Each test begins without faults, with the venue up."""
    daemon.call("clear_faults")
    daemon.up()


def rest(daemon: Daemon, symbol: str = "IBM", **more: Any) -> Any:
    """A limit order far below the market, as it is answered."""
    terms = {**TERMS, "symbol": symbol, "limit_price": 1, "quantity": 10, "time_in_force": "GTC", **more}
    return daemon.call("limit_order", **terms)


def buy(daemon: Daemon, symbol: str, quantity: int = 1) -> Any:
    return daemon.call("market_order", **TERMS, symbol=symbol, quantity=quantity)


def now(daemon: Daemon, order: Any) -> Any:
    return daemon.call("query_order", id=order["permid"])


def becomes(daemon: Daemon, order: Any, *statuses: str) -> Any:
    """The order, once it has one of these statuses."""
    return until(lambda: (found := now(daemon, order))["order_status"] in statuses and found, daemon)


def position(daemon: Daemon, symbol: str) -> Any:
    return daemon.call("query_positions")["API_ACCOUNT"].get(symbol, 0)


def happened(daemon: Daemon) -> int:
    (fault,) = daemon.call("query_faults")["venues"]["paper"]
    return int(fault["happened"])


def reconnect(daemon: Daemon) -> None:
    daemon.call("gateway_logoff")
    until(lambda: daemon.call("status") == "Disconnected", daemon)
    daemon.call("gateway_logon")
    daemon.up()


def connected_again(daemon: Daemon, since: int) -> None:
    """Wait until the venue, after record `since`, was lost and is up again."""

    def statuses() -> list[str]:
        page = daemon.call("query_journal", after=since, limit=1000, kind="VenueStatusChanged")
        return [record["event"]["status"] for record in page]

    until(lambda: "DOWN" in statuses() and statuses()[-1] == "UP", daemon)


def last_seq(daemon: Daemon) -> int:
    order = rest(daemon, "XOM", client_order_id=f"mark-{next(NUMBER)}")
    return int(order["seq"])


# ---------------------------------------------------------------- what is told of orders


def test_lost_ack_the_order_is_in_the_book_and_its_acknowledgement_is_never_told(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="lost_ack", count=1)
    order = rest(daemon)
    assert (order["order_status"], order["broker_order_id"]) in {("UNKNOWN", ""), ("PENDING_NEW", "")}
    becomes(daemon, order, "UNKNOWN", "NEW")
    reconnect(daemon)
    found = becomes(daemon, order, "NEW")
    assert found["broker_order_id"]


def test_late_fill_a_fill_is_told_so_many_seconds_late(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="late_fill", count=1, seconds=0.5)
    order = buy(daemon, "AAPL", 3)
    assert (order["order_status"], order["filled"]) == ("NEW", 0)
    assert becomes(daemon, order, "FILLED")["filled"] == 3


def test_duplicated_fill_a_fill_told_twice_counts_once(daemon: Daemon) -> None:
    before = position(daemon, "MSFT")
    daemon.call("set_fault", fault="duplicated_fill")
    order = buy(daemon, "MSFT", 7)
    assert happened(daemon) == 1
    assert (order["filled"], position(daemon, "MSFT")) == (7, before + 7)
    assert len(daemon.call("query_order_executions", id=order["permid"])) == 1


def test_reordered_fills_a_fill_told_after_the_next_one_is_taken_in(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="reordered_fills", count=1, seconds=60)
    first = buy(daemon, "NVDA")
    assert first["order_status"] == "NEW"
    second = buy(daemon, "NVDA")
    found = becomes(daemon, first, "FILLED")
    assert found["seq"] > now(daemon, second)["seq"]


def test_fill_after_cancel_half_of_the_rest_was_filled_and_is_told_after_the_cancel(daemon: Daemon) -> None:
    order, before = rest(daemon, "KO"), position(daemon, "KO")
    daemon.call("set_fault", fault="fill_after_cancel", count=1, seconds=0.2)
    canceled = daemon.call("cancel_order", id=order["permid"])
    assert (canceled["order_status"], canceled["filled"]) == ("CANCELED", 0)
    until(lambda: now(daemon, order)["filled"] == 5, daemon)
    assert now(daemon, order)["order_status"] == "CANCELED"
    assert position(daemon, "KO") == before + 5


def test_cancel_race_the_order_is_filled_while_its_cancel_is_on_the_way(daemon: Daemon) -> None:
    order = rest(daemon, "PEP")
    daemon.call("set_fault", fault="cancel_race", count=1)
    answer = daemon.call("cancel_order", id=order["permid"])
    assert (answer["order_status"], answer["filled"]) == ("FILLED", 10)


def test_half_replace_the_price_is_taken_and_the_quantity_is_not(daemon: Daemon) -> None:
    order = rest(daemon, "MCD")
    daemon.call("set_fault", fault="half_replace", count=1)
    replaced = daemon.call("replace_order", id=order["permid"], quantity=5, limit_price=2)
    assert (replaced["order_status"], replaced["quantity"], replaced["limit_price"]) == ("NEW", 10, 2)


def test_rejected_replace_the_order_works_on_as_it_was(daemon: Daemon) -> None:
    order = rest(daemon, "MCD")
    daemon.call("set_fault", fault="rejected_replace", count=1)
    answer = daemon.call("replace_order", id=order["permid"], quantity=5)
    assert (answer["status"], answer["reason"]) == ("Error", "REJECTED")
    assert "The order stays as it was." in answer["errorMsg"]
    after = now(daemon, order)
    assert (after["order_status"], after["quantity"], after["reason"]) == ("NEW", 10, "REJECTED")


def test_id_rollback_two_orders_of_one_broker_id_are_kept_apart(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    old = rest(daemon, "IBM")
    daemon.call("set_fault", fault="id_rollback", count=1)
    new = rest(daemon, "AAPL")
    assert old["broker_order_id"] == new["broker_order_id"] == "P000001"
    assert daemon.call("cancel_order", id=old["permid"])["order_status"] == "CANCELED"
    assert now(daemon, new)["order_status"] == "NEW"
    assert daemon.call("query_order", id="P000001")["permid"] == new["permid"]
    daemon.kill()
    daemon.start().up()
    assert [now(daemon, each)["order_status"] for each in (old, new)] == ["CANCELED", "NEW"]
    assert daemon.call("cancel_order", id=new["permid"])["order_status"] == "CANCELED"


# ---------------------------------------------------------------- the link


def test_mute_feed_the_connection_stands_and_no_price_comes(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="mute_feed", symbol="GE")
    silent = daemon.call("add_symbol", symbol="GE")
    assert (daemon.call("status"), silent["last"]) == ("Up", 0)
    assert daemon.call("market_order", **TERMS, symbol="GE", quantity=1)["status"] == "Error"
    daemon.call("clear_faults", fault="mute_feed")
    until(lambda: daemon.call("query_symbol", symbol="GE")["last"], daemon)
    assert buy(daemon, "GE")["order_status"] == "FILLED"


def test_half_open_nothing_arrives_while_the_venue_seems_up_until_the_link_is_found_dead(daemon: Daemon) -> None:
    since = last_seq(daemon)
    daemon.call("set_fault", fault="half_open", count=1, seconds=3)
    order = rest(daemon)
    assert (order["order_status"], order["reason"]) == ("UNKNOWN", "TIMEOUT")
    assert daemon.call("status") == "Up"
    connected_again(daemon, since)
    assert becomes(daemon, order, "REJECTED")["reason"] == "NEVER_ARRIVED"


def test_dropped_link_the_order_may_have_arrived_and_is_sent_once(daemon: Daemon) -> None:
    """The coin of the default seed falls both ways within a few orders."""
    ends = set()
    while len(ends) < 2:
        since = last_seq(daemon)
        daemon.call("set_fault", fault="dropped_link", count=1, seconds=0.1)
        order = rest(daemon, "WMT")
        assert order["order_status"] in ("UNKNOWN", "NEW", "REJECTED")
        connected_again(daemon, since)
        end = becomes(daemon, order, "NEW", "REJECTED")
        ends.add(end["order_status"])
        assert end["reason"] in (None, "NEVER_ARRIVED")


def test_rate_limit_is_no_rejection(daemon: Daemon) -> None:
    ends = set()
    while len(ends) < 2:
        daemon.call("set_fault", fault="rate_limit", count=1)
        order = rest(daemon, "WMT")
        assert order["order_status"] in ("UNKNOWN", "NEW", "REJECTED")
        reconnect(daemon)
        ends.add(becomes(daemon, order, "NEW", "REJECTED")["order_status"])


def test_slow_broker_an_answer_that_comes_too_late_ends_the_doubt(daemon: Daemon) -> None:
    # Of a symbol: without one, whichever question comes first takes the fault, such as the one for the trading rules.
    daemon.call("set_fault", fault="slow_broker", count=1, seconds=3, symbol="IBM")
    order = rest(daemon)
    assert (order["order_status"], order["reason"]) == ("UNKNOWN", "TIMEOUT")
    assert becomes(daemon, order, "NEW")["reason"] is None


# ---------------------------------------------------------------- the broker itself


def test_restart_the_broker_comes_back_with_its_book(daemon: Daemon) -> None:
    resting, since = rest(daemon, "DIS"), last_seq(daemon)
    daemon.call("set_fault", fault="restart", count=1, seconds=0.2)
    order = rest(daemon, "WMT")
    connected_again(daemon, since)
    assert becomes(daemon, order, "NEW", "REJECTED")["reason"] in (None, "NEVER_ARRIVED")
    assert now(daemon, resting) == resting
    assert daemon.call("cancel_order", id=resting["permid"])["order_status"] == "CANCELED"


def test_untold_fee_the_money_is_missing_and_no_execution_tells_of_it(daemon: Daemon) -> None:
    before = daemon.call("query_account", account="PAPER_CASH")["_cash"]
    daemon.call("set_fault", fault="untold_fee", count=1, account="PAPER_CASH", seconds=3000)
    order = rest(daemon, "KO", account="PAPER_CASH")
    assert daemon.call("query_account", account="PAPER_CASH")["_cash"] == before - 1
    assert daemon.call("query_order_executions", id=order["permid"]) == {}
    daemon.call("cancel_order", id=order["permid"])
    daemon.call("clear_faults")
    until(lambda: daemon.call("query_account", account="PAPER_CASH")["_cash"] == before, daemon)


def test_restart_empty_what_the_broker_forgot_is_shown(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TIMEOUT_ORDER="1").start().up()
    resting, filled = rest(daemon), buy(daemon, "AAPL", 9)
    daemon.call("set_fault", fault="restart_empty", count=1, seconds=0.2)
    order = rest(daemon, "WMT")
    connected_again(daemon, filled["seq"])
    for each in (resting, order):
        assert now(daemon, each)["order_status"] in ("REJECTED", "UNKNOWN")
    assert now(daemon, filled)["order_status"] == "FILLED"
    found = [record["event"] for record in daemon.call("query_journal", limit=1000, kind="DifferenceFound")]
    assert ("position", "AAPL", "9", "0") in {
        tuple(each[name] for name in ("what", "key", "ours", "theirs")) for each in found
    }
    assert buy(daemon, "AAPL")["order_status"] == "FILLED"


# ---------------------------------------------------------------- setting them


def test_faults_are_on_record(daemon: Daemon) -> None:
    set_now = daemon.call("set_fault", fault="lost-ack", chance="0.25", count=3, symbol="ibm", account="api_account")
    assert set_now == [
        {
            "fault": "lost_ack",
            "chance": 0.25,
            "count": 3,
            "seconds": None,
            "symbol": "IBM",
            "account": "API_ACCOUNT",
            "happened": 0,
        }
    ]
    assert daemon.call("query_faults", venue="paper")["venues"] == {"paper": set_now}
    assert daemon.call("clear_faults") == {"paper": []}
    records = daemon.call("query_journal", limit=1000, kind="SettingChanged")
    events = [record["event"] for record in records if record["event"]["name"] == "faults:paper"]
    words = "lost_ack chance 0.25 count 3 symbol IBM account API_ACCOUNT"
    assert [each["value"] for each in events[-2:]] == [words, None]
    assert {each["by"] for each in events} == {"txtrader_user"}


def test_an_orders_story_says_which_faults_and_halts_it_lived_under_and_when_its_venue_was_away(
    daemon: Daemon,
) -> None:
    daemon.call("set_fault", fault="slow_broker", seconds=0.01)
    daemon.call("halt", scope="symbol:MSFT", level="REDUCE_ONLY", reason="another's")
    before = daemon.call("query_journal", limit=1000)[-1]["seq"]
    order = rest(daemon, "IBM", client_order_id="told-of-faults")
    daemon.call("halt", scope="symbol:IBM", level="REDUCE_ONLY", reason="news")
    daemon.call("set_order_route", route="DEMO")
    reconnect(daemon)
    daemon.call("clear_faults")
    daemon.call("resume", scope="symbol:IBM")
    daemon.call("resume", scope="symbol:MSFT")
    daemon.call("cancel_order", id=order["permid"])
    becomes(daemon, order, "CANCELED")
    daemon.call("set_fault", fault="lost_ack", count=1)

    story = daemon.call("explain_order", id="told-of-faults")["story"]
    assert [each["seq"] for each in story] == sorted({each["seq"] for each in story})
    told = [(each["kind"], each["text"]) for each in story if each["order_id"] is None]
    assert told[:2] == [
        ("SettingChanged", "txtrader_user had paper go wrong on purpose: slow_broker chance 1 seconds 0.01."),
        ("TradingHalted", "txtrader_user made symbol:IBM REDUCE_ONLY: news"),
    ]
    assert story[0]["seq"] <= before
    assert story[1]["kind"] == "OrderSubmitted"
    assert [text for kind, text in told[2:-2] if "is DOWN" in text or "is UP" in text]
    assert {kind for kind, _ in told[2:-2]} == {"VenueStatusChanged"}
    assert told[-2:] == [
        ("SettingChanged", "txtrader_user had nothing go wrong on purpose at paper any more."),
        ("TradingResumed", "txtrader_user let symbol:IBM trade again."),
    ]
    assert story[-1]["kind"] == "OrderCanceled"


def test_faults_of_the_configuration_are_on_record_and_those_set_by_hand_end_with_the_run(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(PAPER_FAULTS="late_fill:0.05:2s,seed:7").start().up()
    daemon.call("set_fault", fault="lost_ack")
    daemon.kill()
    daemon.start().up()
    assert [each["fault"] for each in daemon.call("query_faults")["venues"]["paper"]] == ["late_fill"]
    records = daemon.call("query_journal", limit=1000, kind="SettingChanged")
    said = [(record["event"]["value"], record["event"]["by"]) for record in records]
    late = "late_fill chance 0.05 seconds 2"
    assert said == [
        (late, "the configuration"),
        (f"{late}; lost_ack chance 1", "txtrader_user"),
        (late, "the configuration"),
    ]
    assert "fails on purpose: late_fill" in daemon.tail()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"fault": "gremlins"}, "there is no fault 'gremlins': one of lost_ack"),
        ({"fault": ""}, "there is no fault ''"),
        ({"fault": "lost_ack", "chance": 1.5}, "the chance of lost_ack must be above 0 and at most 1"),
        ({"fault": "lost_ack", "chance": "NaN"}, "not a finite number"),
        ({"fault": "lost_ack", "count": 0}, "the count of lost_ack must be a whole number from 1"),
        ({"fault": "lost_ack", "count": 1.5}, "not a whole number"),
        ({"fault": "lost_ack", "seconds": 1}, "lost_ack takes no seconds"),
        ({"fault": "late_fill", "seconds": -1}, "must be from 0 to 3600"),
        ({"fault": "late_fill", "symbol": {}}, "not a name"),
        ({}, "needs the argument 'fault'"),
    ],
)
def test_a_wrong_fault_is_said(daemon: Daemon, arguments: dict[str, Any], sentence: str) -> None:
    answer = daemon.session.post(f"{daemon.url}/set_fault", json=arguments, timeout=60)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT")
    assert sentence in answer.json()["errorMsg"]


def test_an_unknown_venue_is_refused(daemon: Daemon) -> None:
    refused = daemon.call("set_fault", fault="lost_ack", venue="nowhere")
    assert (refused["status"], refused["reason"]) == ("Error", "UNKNOWN_VENUE")


def test_a_wrong_setting_stops_the_start(make_daemon: MakeDaemon) -> None:
    ended = make_daemon(PAPER_FAULTS="lost_ack:7", PAPER_LATENCY="x").run("--check")
    assert ended.returncode == 2
    assert "TXGATEWAY_PAPER_FAULTS=lost_ack:7: the chance of lost_ack must be above 0 and at most 1" in ended.stderr
    assert "TXGATEWAY_PAPER_LATENCY=x" in ended.stderr


def test_every_fault_is_in_the_readmes_table_and_tested_here() -> None:
    readme = (ROOT / "README.md").read_text()
    assert set(
        re.findall(r"^\| `(\w+)` \|", readme[readme.index("### What goes wrong on purpose") :], re.MULTILINE)
    ) >= set(FaultKind)
    tests = {name for name in globals() if name.startswith("test_")}
    assert [kind for kind in FaultKind if not any(name.startswith(f"test_{kind}") for name in tests)] == []
