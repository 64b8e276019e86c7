"""Doubt and differences at the real daemon, with a broker that misbehaves on purpose."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO"}


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """It reconciles each second, and does not wait long for answers."""
    return make_daemon(TIMEOUT_ORDER="1", TIMEOUT_DEFAULT="1", RECONCILE_SECONDS="1").start().up()


def rest(daemon: Daemon, **more: Any) -> Any:
    """A limit order far below the market, as it is answered."""
    terms = {**TERMS, "symbol": "IBM", "limit_price": 1, "quantity": 10, "time_in_force": "GTC", **more}
    return daemon.call("limit_order", **terms)


def becomes(daemon: Daemon, order: Any, status: str) -> Any:
    """The order, once it has this status."""
    return until(
        lambda: (found := daemon.call("query_order", id=order["permid"]))["order_status"] == status and found, daemon
    )


def differences(daemon: Daemon, **more: Any) -> dict[tuple[str, str], Any]:
    return {(each["what"], each["key"]): each for each in daemon.call("query_differences", **more)}


def test_a_venue_says_what_it_is_and_when_it_was_reconciled(daemon: Daemon) -> None:
    first = until(lambda: daemon.call("query_venues")["paper"]["last_reconciled"], daemon)
    until(lambda: daemon.call("query_venues")["paper"]["last_reconciled"] > first, daemon)
    venue = daemon.call("query_venues")["paper"]
    assert (venue["domain"], venue["failed_reconciliations"], venue["differences"]) == ("paper", 0, 0)
    assert venue["connected_since"] <= first


def test_an_acknowledgement_that_was_lost_is_found_by_looking_it_up(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="lost_ack", count=1)
    order = rest(daemon)
    (fault,) = daemon.call("query_faults")["venues"]["paper"]
    assert fault["happened"] == 1
    found = becomes(daemon, order, "NEW")
    assert found["broker_order_id"]
    assert daemon.call("cancel_order", id=order["permid"])["order_status"] == "CANCELED"


def test_a_fill_that_is_not_told_is_fetched(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="late_fill", count=1, seconds=3000)
    order = daemon.call("market_order", **TERMS, symbol="AAPL", quantity=3)
    assert (order["order_status"], order["filled"]) == ("NEW", 0)
    assert becomes(daemon, order, "FILLED")["filled"] == 3
    assert daemon.call("query_positions")["API_ACCOUNT"]["AAPL"] == 3
    until(lambda: not differences(daemon), daemon)


def test_a_reconciliation_that_fails_is_shown_until_one_succeeds(daemon: Daemon) -> None:
    daemon.call("set_fault", fault="slow_broker", seconds=2)
    found = until(lambda: differences(daemon).get(("reconciliation", "paper")), daemon)
    assert "did not answer" in found["theirs"]
    assert daemon.call("query_venues")["paper"]["failed_reconciliations"] >= 1
    daemon.call("clear_faults")
    until(lambda: ("reconciliation", "paper") not in differences(daemon), daemon)
    gone = differences(daemon, all=True)["reconciliation", "paper"]
    assert gone["resolved"] is not None
    assert daemon.call("query_venues")["paper"]["failed_reconciliations"] == 0


def test_cash_that_moved_without_a_fill_is_shown_until_it_is_back(daemon: Daemon) -> None:
    until(lambda: not differences(daemon), daemon)
    stream = Stream(daemon, {"reconciliation-data": 1})
    stream.expect(".Authorized")
    before = Decimal(str(daemon.call("query_account", account="PAPER_CASH")["_cash"]))
    daemon.call("set_fault", fault="untold_fee", count=1, seconds=3000)
    order = daemon.call("market_order", **{**TERMS, "account": "PAPER_CASH"}, symbol="KO", quantity=10)
    fill = daemon.call("query_order_executions", id=order["permid"])
    found = stream.data("paper.reconciliation-data ", what="balance", event="found")
    assert (found["account"], found["key"], found["severity"]) == ("PAPER_CASH", "USD", "WARNING")
    assert Decimal(found["theirs"]) - Decimal(found["ours"]) == -1, "all but the fee is what was traded"
    assert len(fill) == 1
    assert Decimal(found["ours"]) < before
    shown = until(lambda: (each := differences(daemon)["balance", "USD"])["age"] >= 2 and each, daemon)
    assert (shown["ours"], shown["theirs"]) == (found["ours"], found["theirs"])
    assert Decimal(shown["theirs"]) == Decimal(str(daemon.call("query_account", account="PAPER_CASH")["_cash"]))
    daemon.call("market_order", **{**TERMS, "account": "PAPER_CASH"}, symbol="KO", quantity=1)
    assert daemon.call("query_venues")["paper"]["differences"] == 1
    daemon.call("clear_faults")
    gone = stream.data("paper.reconciliation-data ", what="balance", event="resolved")
    assert gone["seq"] > found["seq"]
    assert differences(daemon) == {}
    events = [line for line in stream.heard if "reconciliation-data" in line]
    assert len(events) == 2, f"found once and resolved once, whatever was traded between: {events}"


def test_cash_that_is_gone_is_taken_over_when_a_person_says_so(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RECONCILE_SECONDS="1").start().up()
    stream = Stream(daemon, {"reconciliation-data": 1})
    stream.expect(".Authorized")
    daemon.call("set_fault", fault="untold_fee", count=2)
    for quantity in (10, -3):
        daemon.call("market_order", **TERMS, symbol="KO", quantity=quantity)
    found = stream.data("paper.reconciliation-data ", what="balance", event="found")
    daemon.kill()
    daemon.start().up()
    shown = differences(daemon)["balance", "USD"]
    assert shown["found"] == found["found"], "it outlives a kill, with its age"
    names = {"what": "balance", "key": "USD", "account": "API_ACCOUNT"}
    wrong = daemon.call("resolve_difference", **{**names, "key": "EUR"}, reason="A fee.")
    assert wrong["reason"] == "NO_SUCH_DIFFERENCE"
    settled = daemon.call("resolve_difference", **names, reason="A fee for market data.")
    assert (settled["text"], settled["resolved"] is not None) == ("A fee for market data.", True)
    daemon.call("market_order", **TERMS, symbol="KO", quantity=-3)
    first = daemon.call("query_venues")["paper"]["last_reconciled"]
    until(lambda: daemon.call("query_venues")["paper"]["last_reconciled"] > first, daemon)
    assert differences(daemon) == {}
    told = [each["event"] for each in daemon.call("query_journal", kind="BalancesReported")]
    whole = [["USD", "10000000"]]
    first_two = [(each["account"], each["totals"]) for each in told[:2]]
    assert first_two == [("API_ACCOUNT", whole), ("PAPER_CASH", whole)], "when they were new"
    assert [each["account"] for each in told[2:]] == ["API_ACCOUNT"], "when a person said so"
    cash = Decimal(str(daemon.call("query_account", account="API_ACCOUNT")["_cash"]))
    assert cash < 10_000_000
    daemon.kill()
    daemon.start().up()
    first = daemon.call("query_venues")["paper"]["last_reconciled"]
    until(lambda: daemon.call("query_venues")["paper"]["last_reconciled"] > first, daemon)
    assert differences(daemon) == {}


def test_what_a_broker_forgot_is_in_doubt_until_a_person_ends_it(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TIMEOUT_ORDER="1").start().up()
    stream = Stream(daemon, {"reconciliation-data": 1})
    stream.expect(".Authorized")
    order = rest(daemon)
    assert order["order_status"] == "NEW"
    daemon.call("market_order", **TERMS, symbol="MSFT", quantity=5)
    daemon.call("set_fault", fault="restart_empty", count=1, seconds=0.2)
    rest(daemon, symbol="CAT")
    lost = becomes(daemon, order, "UNKNOWN")
    assert (lost["status"], lost["reason"]) == ("Submitted", "MISSING")
    found = stream.data("paper.reconciliation-data ", what="missing_order", key=order["permid"])
    assert (found["event"], found["severity"], found["theirs"]) == ("found", "CRITICAL", "no such order")
    daemon.up()
    shown = differences(daemon)
    assert shown["missing_order", order["permid"]]["age"] >= 0
    assert (shown["position", "MSFT"]["ours"], shown["position", "MSFT"]["theirs"]) == ("5", "0")
    assert daemon.call("query_positions")["API_ACCOUNT"]["MSFT"] == 5, "nothing is mended by itself"

    refused = daemon.call("resolve_order", id=order["permid"], status="FILLED", reason="It must have been.")
    assert (refused["reason"], daemon.get("resolve_order", id=order["permid"]).status_code) == ("UNSUPPORTED", 400)
    ended = daemon.call("resolve_order", id=order["permid"], status="CANCELED", reason="They have lost it.")
    assert (ended["order_status"], ended["reason"]) == ("CANCELED", "RESOLVED")
    gone = stream.data("paper.reconciliation-data ", what="missing_order", key=order["permid"], event="resolved")
    assert gone["seq"] > found["seq"]
    settled = daemon.call(
        "resolve_difference", what="position", key="MSFT", account="API_ACCOUNT", reason="A new book, they say."
    )
    assert settled["resolved"] is not None
    assert "MSFT" not in daemon.call("query_positions")["API_ACCOUNT"]
    story = daemon.call("explain_order", id=order["permid"])["story"]
    assert story[-1]["text"] == "txtrader_user ended the order in doubt as CANCELED: They have lost it."

    open_before = set(differences(daemon))
    daemon.kill()
    daemon.start().up()
    assert daemon.call("query_order", id=order["permid"])["order_status"] == "CANCELED"
    assert set(differences(daemon)) == open_before


def test_bad_arguments_are_said(daemon: Daemon) -> None:
    for method, arguments in (
        ("query_differences", {"venue": "nowhere"}),
        ("query_differences", {"all": "perhaps"}),
        ("resolve_order", {"id": "x", "status": "GONE", "reason": "y"}),
        ("resolve_order", {"id": "x", "status": "CANCELED", "reason": " "}),
        ("resolve_order", {"id": "x", "status": "CANCELED"}),
        ("resolve_difference", {"what": "position", "key": "IBM", "reason": ""}),
        ("resolve_difference", {"key": "IBM", "reason": "x"}),
    ):
        answer = daemon.session.post(f"{daemon.url}/{method}", json=arguments, timeout=60)
        assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT"), (method, arguments)
    unknown = daemon.call("resolve_difference", what="nonsense", key="IBM", reason="x", venue="nowhere")
    assert unknown["reason"] == "NO_SUCH_DIFFERENCE"


def test_after_the_journal_is_lost_the_brokers_orders_and_fills_are_taken_in(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    kept, ended = rest(daemon), rest(daemon, symbol="CAT")
    daemon.call("market_order", **TERMS, symbol="MSFT", quantity=5)
    daemon.kill()
    for path in [*daemon.folder.glob("journal*"), *daemon.folder.glob("snapshot*")]:
        path.unlink()
    daemon.start().up()
    found = daemon.call("query_open_orders")
    by_symbol = {each["symbol"]: each for each in found.values()}
    assert {each["client_order_id"] for each in found.values()} == {kept["permid"], ended["permid"]}
    assert {each["broker_order_id"] for each in found.values()} == {kept["broker_order_id"], ended["broker_order_id"]}
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"MSFT": 5}
    (fill,) = daemon.call("query_executions").values()
    assert (fill["ORIGINAL_ORDER_ID"], fill["VOLUME"]) == ("", 5)
    assert daemon.call("cancel_order", id=by_symbol["CAT"]["permid"])["order_status"] == "CANCELED"
    changed = daemon.call("replace_order", id=by_symbol["IBM"]["permid"], quantity=7)
    assert (changed["order_status"], changed["quantity"]) == ("NEW", 7)
    daemon.kill()
    daemon.start().up()
    assert [each["quantity"] for each in daemon.call("query_open_orders").values()] == [7]
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"MSFT": 5}
    assert differences(daemon) == {}
