"""The reason codes that no other test here brings about, each as its README sentence says; and that none is missing."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from txgateway.model.errors import Reason

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(TIMEOUT_ADDSYMBOL="1").start().up()


def order(daemon: Daemon, method: str = "market_order", **terms: Any) -> Any:
    return daemon.call(method, **{**TERMS, "quantity": 1, **terms})


def rest(daemon: Daemon, **terms: Any) -> Any:
    return order(daemon, "limit_order", **{"limit_price": 1, **terms})


def send_without_waiting(daemon: Daemon, pool: ThreadPoolExecutor, key: str, **terms: Any) -> Future[Any]:
    """An order whose answer may be long in coming; gives back once the desk has it."""
    body = {**TERMS, "limit_price": 1, "quantity": 1, "client_order_id": key, **terms}
    auth = ("txtrader_user", PASSWORD)
    sent = pool.submit(requests.post, f"{daemon.url}/limit_order", json=body, auth=auth, timeout=PATIENCE)
    until(lambda: daemon.call("query_order", id=key), daemon)
    return sent


def reasons(daemon: Daemon, key: str) -> list[str]:
    """Every reason in an order's story."""
    story = daemon.call("explain_order", id=key)["story"]
    return [each["event"]["reason"] for each in story if each["event"].get("reason")]


# ---------------------------------------------------------------- ours


def test_no_price_the_market_has_shown_no_price_to_judge_the_order_by(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="mute_feed", symbol="ADBE")
    for refused in (order(daemon, symbol="ADBE"), rest(daemon, symbol="ADBE")):
        assert (refused["status"], refused["reason"]) == ("Error", "NO_PRICE")
    daemon.call("clear_faults")
    until(lambda: daemon.call("query_symbol", symbol="ADBE")["last"], daemon)
    assert order(daemon, symbol="ADBE")["status"] == "Filled"


def test_min_notional_the_order_is_worth_less_than_the_venue_takes(daemon: Daemon) -> None:
    least = daemon.call("query_instrument", symbol="BTCUSD")
    refused = order(daemon, symbol="BTCUSD", quantity=least["lot_size"])
    assert (refused["status"], refused["reason"]) == ("Error", "MIN_NOTIONAL")
    assert order(daemon, symbol="BTCUSD", quantity="0.5")["status"] == "Filled"


def test_approval_needed_a_replace_may_not_make_an_order_one_that_a_person_must_approve(daemon: Daemon) -> None:
    waiting = rest(daemon, quantity=10)
    daemon.call("set_risk", scope="gateway", limit="approval_notional", value=15)
    refused = daemon.call("replace_order", id=waiting["permid"], quantity=20)
    daemon.call("set_risk", scope="gateway", limit="approval_notional")
    assert (refused["status"], refused["reason"]) == ("Error", "APPROVAL_NEEDED")
    assert daemon.call("query_order", id=waiting["permid"]) == waiting


def test_ticket_expired_nobody_approved_the_ticket_in_time(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TICKET_SECONDS="0.2").start().up()
    ticket = order(daemon, "stage_market_order", tag="t")
    ended = until(lambda: (o := daemon.call("query_order", id=ticket["permid"]))["reason"] and o, daemon)
    assert ended["reason"] == "TICKET_EXPIRED"
    assert daemon.call("approve_ticket", id=ticket["permid"])["reason"] in {"TICKET_EXPIRED", "NOT_A_TICKET"}


# ---------------------------------------------------------------- the broker's


def test_not_fillable_a_fill_or_kill_order_that_the_market_does_not_show_enough_for(daemon: Daemon) -> None:
    last = daemon.call("query_symbol", symbol="IBM")["last"]
    killed = rest(daemon, limit_price=round(last * 1.05, 2), quantity=100_000, time_in_force="FOK")
    assert killed["reason"] == "NOT_FILLABLE"
    assert killed["filled"] == 0


def test_rejected_the_broker_said_no(daemon: Daemon) -> None:
    waiting = rest(daemon)
    daemon.call("set_fault", fault="rejected_replace", count=1)
    assert daemon.call("replace_order", id=waiting["permid"], quantity=5)["reason"] == "REJECTED"


def test_too_late_the_order_had_moved_on_before_the_replace_came_to_the_broker(daemon: Daemon) -> None:
    waiting = order(daemon, "stoplimit_order", stop_price=1, limit_price=1)
    until(lambda: daemon.call("query_order", id=waiting["permid"])["order_status"] == "NEW", daemon)
    changed = daemon.call("replace_order", id=waiting["permid"], stop_price=2)
    assert (changed["status"], changed["reason"]) == ("Error", "TOO_LATE")
    assert daemon.call("query_order", id=waiting["permid"])["stop_price"] == 1


# ---------------------------------------------------------------- doubt


def test_link_lost_the_connection_broke_with_the_order_under_way(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="lost_ack", count=1)
    with ThreadPoolExecutor() as pool:
        sent = send_without_waiting(daemon, pool, "lost-1")
        daemon.call("gateway_logoff")
        doubted = sent.result().json()
        assert (doubted["order_status"], doubted["reason"]) == ("UNKNOWN", "LINK_LOST")
    daemon.call("gateway_logon")
    daemon.up()
    until(lambda: daemon.call("query_order", id="lost-1")["order_status"] == "NEW", daemon)


def test_broker_error_sending_failed_in_the_middle(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="rate_limit", count=1)
    doubted = rest(daemon, client_order_id="middle-1")
    assert "BROKER_ERROR" in reasons(daemon, "middle-1")
    assert doubted["order_status"] in {"UNKNOWN", "NEW", "REJECTED"}


def test_restarted_the_gateway_was_restarted_over_the_order(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RECONCILE_SECONDS="0").start().up()  # a look in the meantime would find it
    daemon.call("set_fault", fault="lost_ack", count=1)
    with ThreadPoolExecutor() as pool:
        sent = send_without_waiting(daemon, pool, "over-1")
        daemon.kill()
        assert isinstance(sent.exception(), requests.ConnectionError)
    daemon.start().up()
    until(lambda: daemon.call("query_order", id="over-1")["order_status"] in {"NEW", "REJECTED"}, daemon)
    assert "RESTARTED" in reasons(daemon, "over-1")


def test_missing_and_resolved_what_the_broker_forgot_is_ended_by_a_person(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TIMEOUT_ORDER="1").start().up()
    waiting = rest(daemon, time_in_force="GTC")
    daemon.call("set_fault", fault="restart_empty", count=1, seconds=0.1)
    rest(daemon, symbol="WMT")
    missing = until(
        lambda: (o := daemon.call("query_order", id=waiting["permid"]))["order_status"] == "UNKNOWN" and o, daemon
    )
    assert missing["reason"] == "MISSING"
    daemon.up()
    resolved = daemon.call("resolve_order", id=waiting["permid"], status="CANCELED", reason="seen on their screen")
    assert (resolved["order_status"], resolved["reason"]) == ("CANCELED", "RESOLVED")


def test_user_a_person_or_a_program_ended_the_order(daemon: Daemon) -> None:
    waiting = rest(daemon)
    assert daemon.call("cancel_order", id=waiting["permid"])["reason"] == "USER"


# ---------------------------------------------------------------- all of them


def test_every_code_is_brought_about_by_a_test_here() -> None:
    tests = [path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py")]
    missing = {each for each in Reason if not any(f'"{each}"' in text for text in tests)}
    assert missing == set()
