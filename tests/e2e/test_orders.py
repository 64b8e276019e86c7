"""Orders over HTTP: sent once, changed, staged, halted, found again; what lists show and what the journal says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
"""Of IBM the market shows at least 100 a second: what is to be filled at once must be few; who wants more has a symbol
to itself."""


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    far = "price_collar=off,max_notional=off"
    return make_daemon(PAPER_ACCOUNTS="API_ACCOUNT,SECOND,SMALL:cash:1000", RISK=far).start().up()


def rest(daemon: Daemon, **more: Any) -> Any:
    """An order that waits far below the market."""
    order = daemon.call("limit_order", **{**TERMS, "limit_price": 1, "quantity": 10, **more})
    assert order["order_status"] == "NEW", order
    return order


def last_seq(daemon: Daemon) -> int:
    seq, page = 0, daemon.call("query_journal", limit=1000)
    while page:
        seq = page[-1]["seq"]
        page = daemon.call("query_journal", after=seq, limit=1000)
    return seq


# ---------------------------------------------------------------- once


def test_a_key_is_one_order_on_every_way_in(daemon: Daemon) -> None:
    terms = {**TERMS, "quantity": 10, "client_order_id": "once-1"}
    first = daemon.call("market_order", **terms)
    assert (first["status"], first["client_order_id"], "replayed" in first) == ("Filled", "once-1", False)
    seq = last_seq(daemon)
    again = [
        daemon.call("market_order", **terms),
        daemon.get("market_order", **terms).json(),
        daemon.rpc("market_order", terms)["result"],
        daemon.rpc("market_order", ["API_ACCOUNT", "DEMO", "ibm", "10", "once-1"])["result"],
        daemon.call("submit_order", account="API_ACCOUNT", symbol="IBM", side="BUY", quantity=10, route="DEMO",
                    client_order_id="once-1"),
    ]  # fmt: skip
    for each in again:
        assert each == {**first, "replayed": True}
    assert last_seq(daemon) == seq, "nothing was sent or written"


def test_a_key_that_stands_for_another_order_is_a_conflict(daemon: Daemon) -> None:
    terms = {**TERMS, "limit_price": 1, "quantity": 10, "client_order_id": "conflict-1"}
    first = daemon.call("limit_order", **terms)
    for other in ({"quantity": 11}, {"quantity": -10}, {"limit_price": 1.01}, {"symbol": "TSLA"}, {"route": "OTHER"}):
        refused = daemon.call("limit_order", **{**terms, **other})
        assert (refused["status"], refused["reason"], refused["permid"]) == ("Error", "KEY_CONFLICT", first["permid"])
    assert daemon.call("market_order", **TERMS, quantity=10, client_order_id="conflict-1")["reason"] == "KEY_CONFLICT"
    assert daemon.call("query_order", id="conflict-1") == first
    second = daemon.call("limit_order", **{**terms, "account": "SECOND"})
    assert second["permid"] != first["permid"], "keys are an account's own"


def test_a_refusal_keeps_its_key(daemon: Daemon) -> None:
    terms = {**TERMS, "symbol": "NOSUCH", "quantity": 10, "client_order_id": "refused-1"}
    first = daemon.call("market_order", **terms)
    assert (first["status"], first["reason"], first["order_status"]) == ("Error", "UNKNOWN_SYMBOL", "DENIED")
    again = daemon.call("market_order", **terms)
    text = f"{first['errorMsg']} Nothing was sent now: "
    assert again["errorMsg"].startswith(text)
    assert again["errorMsg"].endswith("'refused-1'; use a new one.")
    assert {**again, "errorMsg": first["errorMsg"]} == {**first, "replayed": True}


def test_a_key_sent_by_many_at_once_is_one_order(daemon: Daemon) -> None:
    def send(number: int) -> Any:
        body = {**TERMS, "quantity": 1, "client_order_id": f"race-{number % 4}"}
        auth = ("txtrader_user", PASSWORD)
        return requests.post(f"{daemon.url}/market_order", json=body, auth=auth, timeout=PATIENCE).json()

    before = daemon.call("query_positions")["API_ACCOUNT"].get("IBM", 0)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(64)))
    assert {each["status"] for each in answers} == {"Filled"}
    assert len({each["permid"] for each in answers}) == 4
    assert sum("replayed" not in each for each in answers) == 4
    assert daemon.call("query_positions")["API_ACCOUNT"]["IBM"] == before + 4


@pytest.mark.parametrize("key", ["", "x" * 129, "two\nlines"])
def test_a_key_that_is_none(daemon: Daemon, key: str) -> None:
    body = {**TERMS, "quantity": 1, "client_order_id": key}
    answer = daemon.session.post(f"{daemon.url}/market_order", json=body, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT")


def test_an_order_has_three_names(daemon: Daemon) -> None:
    order = rest(daemon, client_order_id="names-1")
    for name in (order["permid"], order["broker_order_id"], "names-1"):
        assert daemon.call("query_order", id=name)["permid"] == order["permid"]
    assert daemon.call("cancel_order", id="names-1")["status"] == "Cancelled"


# ---------------------------------------------------------------- fills


def test_money_follows_the_fills(daemon: Daemon) -> None:
    def cash() -> Decimal:
        return Decimal(str(daemon.call("query_account", account="SECOND")["_cash"]))

    before = cash()
    bought = daemon.call("market_order", **{**TERMS, "account": "SECOND", "symbol": "MSFT", "quantity": 100})
    sold = daemon.call("market_order", **{**TERMS, "account": "SECOND", "symbol": "MSFT", "quantity": -40})
    spent = Decimal(0)
    for order, sign in ((bought, 1), (sold, -1)):
        fills = daemon.call("query_order_executions", id=order["permid"])
        assert sum(each["VOLUME"] for each in fills.values()) == order["filled"] == order["quantity"]
        assert list(fills.values())[-1]["AVG_PRICE"] == order["avgfillprice"]
        for fill in fills.values():
            value = Decimal(str(fill["PRICE"])) * fill["VOLUME"]
            spent += sign * value + Decimal(str(fill["COMMISSION"]))
            assert daemon.call("query_execution", id=fill["ORDER_ID"]) == fill
    assert before - cash() == spent
    assert daemon.call("query_positions")["SECOND"]["MSFT"] == 60
    assert daemon.call("query_balances", account="SECOND")["SECOND"]["USD"]["total"] == float(before - spent)


def test_more_than_the_market_shows_is_filled_in_parts(daemon: Daemon) -> None:
    order = daemon.call("market_order", **{**TERMS, "symbol": "GE"}, quantity=50_000)
    assert (order["status"], order["order_status"]) == ("Pending", "PARTIALLY_FILLED")
    first = order["filled"]
    assert 0 < first <= 2000
    assert order["remaining"] == 50_000 - first
    ended = daemon.call("cancel_order", id=order["permid"])
    assert (ended["status"], ended["order_status"]) == ("Cancelled", "CANCELED")
    assert ended["filled"] >= first
    fills = daemon.call("query_order_executions", id=order["permid"]).values()
    assert sum(each["VOLUME"] for each in fills) == ended["filled"]


@pytest.mark.parametrize(
    ("terms", "status", "reason"),
    [
        ({"time_in_force": "IOC", "limit_price": 1}, {"CANCELED", "EXPIRED"}, None),
        ({"time_in_force": "FOK", "limit_price": 1}, {"CANCELED", "EXPIRED", "REJECTED"}, None),
        ({"time_in_force": "FOK", "limit_price": 9000, "quantity": 100_000}, {"CANCELED", "EXPIRED", "REJECTED"}, None),
        ({"time_in_force": "GTC", "limit_price": 1}, {"NEW"}, None),
        ({"account": "SMALL", "limit_price": 9000, "quantity": 100}, {"REJECTED"}, "INSUFFICIENT_FUNDS"),
        ({"account": "SMALL", "limit_price": 1, "quantity": -10}, {"REJECTED"}, "NOT_SHORTABLE"),
        ({"limit_price": 0}, {"DENIED"}, "BAD_PRICE"),
        ({"limit_price": -1}, {"DENIED"}, "BAD_PRICE"),
        ({"quantity": 1.5, "limit_price": 1}, {"DENIED"}, "BAD_LOT"),
        ({"quantity": "1e20", "limit_price": 1}, {"DENIED"}, "BAD_QUANTITY"),
    ],
)
def test_what_becomes_of_an_order(daemon: Daemon, terms: dict[str, Any], status: set[str], reason: str | None) -> None:
    order = daemon.call("limit_order", **{**TERMS, "quantity": 10, **terms})
    assert order["order_status"] in status, order
    assert reason in (None, order["reason"])
    assert ("errorMsg" in order) == (order["status"] == "Error")
    assert daemon.call("query_order", id=order["permid"]) == order


def test_a_symbol_of_another_venue_is_refused(daemon: Daemon) -> None:
    refused = daemon.call("market_order", **{**TERMS, "symbol": "IBM@elsewhere"}, quantity=1)
    assert (refused["status"], refused["reason"]) == ("Error", "UNKNOWN_VENUE")
    assert daemon.call("market_order", **{**TERMS, "symbol": "IBM@paper"}, quantity=1)["symbol"] == "IBM"


# ---------------------------------------------------------------- changes


def test_replace(daemon: Daemon) -> None:
    order = rest(daemon)
    changed = daemon.call("replace_order", id=order["permid"], quantity=20)
    assert (changed["quantity"], changed["limit_price"], changed["order_status"]) == (20, 1.0, "NEW")
    changed = daemon.call("replace_order", id=order["permid"], limit_price="2.50")
    assert (changed["quantity"], changed["limit_price"]) == (20, 2.5)
    for arguments, reason in (
        ({}, "BAD_QUANTITY"),
        ({"limit_price": 2.001}, "BAD_TICK"),
        ({"quantity": -5}, "BAD_QUANTITY"),
        ({"stop_price": 3}, "BAD_PRICE"),
    ):
        refused = daemon.call("replace_order", id=order["permid"], **arguments)
        assert (refused["status"], refused["reason"]) == ("Error", reason), refused
    assert daemon.call("query_order", id=order["permid"]) == changed, "a refused change changes nothing"
    daemon.call("replace_order", id=order["permid"], limit_price=9000)
    filled = until(lambda: (o := daemon.call("query_order", id=order["permid"]))["status"] == "Filled" and o, daemon)
    assert (filled["filled"], filled["avgfillprice"] < 9000) == (20, True)
    assert daemon.call("replace_order", id=order["permid"], quantity=30)["reason"] == "NOT_WORKING"


def test_tickets_wait_for_a_person(daemon: Daemon) -> None:
    ticket = daemon.call("stage_market_order", tag="desk-1", **TERMS, quantity=10, client_order_id="ticket-1")
    assert (ticket["class"], ticket["type"], ticket["status"]) == ("ticket", "UserSubmitStagedOrder", "Submitted")
    assert (ticket["order_status"], ticket["filled"], ticket["raw"]["ORDER_TAG"]) == ("STAGED", 0, "desk-1")
    assert ticket["permid"] in daemon.call("query_tickets")
    assert ticket["permid"] not in daemon.call("query_orders")
    assert ticket["permid"] not in daemon.call("query_open_orders")
    again = daemon.call("stage_market_order", tag="desk-1", **TERMS, quantity=10, client_order_id="ticket-1")
    assert (again["permid"], again["replayed"]) == (ticket["permid"], True)
    released = daemon.call("approve_ticket", id=ticket["permid"])
    assert (released["status"], released["filled"], released["permid"]) == ("Filled", 10, ticket["permid"])
    assert daemon.call("approve_ticket", id=ticket["permid"])["reason"] == "NOT_A_TICKET"


def test_a_rejected_ticket_is_never_sent(daemon: Daemon) -> None:
    ticket = daemon.call("stage_limit_order", tag="desk-2", **TERMS, limit_price=9000, quantity=10)
    ended = daemon.call("reject_ticket", id=ticket["permid"], reason="too dear")
    assert (ended["status"], ended["filled"]) == ("Cancelled", 0)
    assert daemon.call("reject_ticket", id=ticket["permid"])["reason"] == "NOT_A_TICKET"
    assert daemon.call("approve_ticket", id=ticket["permid"])["reason"] == "NOT_A_TICKET"
    assert daemon.call("query_order_executions", id=ticket["permid"]) == {}
    assert "too dear" in str(daemon.call("explain_order", id=ticket["permid"])["story"])


def test_a_halt_stops_orders_and_lets_cancels_go(daemon: Daemon) -> None:
    waiting, ticket = rest(daemon), daemon.call("stage_market_order", tag="desk-3", **TERMS, quantity=10)
    daemon.call("halt", reason="fire drill")
    try:
        for refused in (
            daemon.call("market_order", **TERMS, quantity=1, client_order_id="halted-1"),
            daemon.call("replace_order", id=waiting["permid"], quantity=20),
            daemon.call("approve_ticket", id=ticket["permid"]),
        ):
            assert (refused["status"], refused["reason"]) == ("Error", "HALTED")
            assert "fire drill" in refused["errorMsg"]
        assert daemon.call("cancel_order", id=waiting["permid"])["status"] == "Cancelled"
        assert daemon.get("status").json() == "Up"
    finally:
        daemon.call("resume")
    assert daemon.call("approve_ticket", id=ticket["permid"])["status"] == "Filled"
    assert daemon.call("market_order", **TERMS, quantity=1, client_order_id="halted-1")["reason"] == "HALTED"
    assert daemon.call("market_order", **TERMS, quantity=1)["status"] == "Filled"


def test_global_cancel(daemon: Daemon) -> None:
    waiting = [rest(daemon)["permid"] for _ in range(5)] + [rest(daemon, account="SECOND")["permid"]]
    assert daemon.call("global_cancel") == "global cancel requested"
    until(lambda: not daemon.call("query_open_orders"), daemon)
    assert {daemon.call("query_order", id=each)["status"] for each in waiting} == {"Cancelled"}


# ---------------------------------------------------------------- lists


def test_lists_are_narrowed_and_paged(daemon: Daemon) -> None:
    daemon.call("global_cancel")
    until(lambda: not daemon.call("query_open_orders"), daemon)
    ibm = [rest(daemon)["permid"] for _ in range(3)]
    tsla = [rest(daemon, symbol="TSLA", account="SECOND")["permid"] for _ in range(2)]
    assert set(daemon.call("query_open_orders")) == {*ibm, *tsla}
    assert set(daemon.call("query_open_orders", symbol="tsla")) == set(tsla)
    assert set(daemon.call("query_open_orders", account="API_ACCOUNT")) == set(ibm)
    assert daemon.call("query_open_orders", account="API_ACCOUNT", symbol="TSLA") == {}
    assert list(daemon.call("query_open_orders", limit=2)) == ibm[:2]
    assert list(daemon.call("query_open_orders", after=ibm[1], limit=2)) == [ibm[2], tsla[0]]
    everything = daemon.call("query_orders")
    assert list(everything) == sorted(everything)
    paged: dict[str, Any] = {}
    while page := daemon.call("query_orders", limit=7, **({"after": max(paged)} if paged else {})):
        assert len(page) <= 7
        paged |= page
    assert paged == everything
    assert set(daemon.call("query_orders", status="open")) == {*ibm, *tsla}
    closed = daemon.call("query_orders", status="closed")
    assert set(closed) == set(everything) - {*ibm, *tsla}
    assert set(daemon.call("query_orders", status="new,PARTIALLY_FILLED", account="SECOND")) == set(tsla)
    assert {each["ACCOUNT"] for each in daemon.call("query_executions", account="SECOND").values()} <= {"SECOND"}
    fills = daemon.call("query_executions", symbol="IBM", limit=3)
    assert len(fills) == 3
    assert {each["DISP_NAME"] for each in fills.values()} == {"IBM"}


def test_lists_show_today_and_what_still_works(make_daemon: MakeDaemon) -> None:
    """On a clock of the test's own: an order of Friday that still works is there on Monday, the others by `since`."""
    daemon = make_daemon()

    def day(start: str) -> None:
        venue = f'kind = "paper"\nfeed = "synthetic:7"\nstart = "{start}"\n'
        daemon.configure(f"[venues.paper]\n{venue}").start().up()

    day("2024-03-01T15:00:00Z")
    filled = daemon.call("market_order", **TERMS, quantity=10, client_order_id="friday")
    kept = rest(daemon, time_in_force="GTC")
    ended = rest(daemon)
    assert filled["raw"]["GOOD_UNTIL"] == "DAY"
    assert daemon.call("time").startswith("2024-03-01 10:00")
    assert set(daemon.call("query_orders")) == {filled["permid"], kept["permid"], ended["permid"]}
    assert daemon.stop() == 0
    day("2024-03-04T15:00:00Z")
    until(lambda: daemon.call("query_order", id=ended["permid"])["order_status"] == "EXPIRED", daemon)
    today = daemon.call("market_order", **TERMS, quantity=10)
    assert set(daemon.call("query_open_orders")) == {kept["permid"]}
    shown = set(daemon.call("query_orders"))
    assert filled["permid"] not in shown
    assert shown >= {kept["permid"], today["permid"]}
    everything = {filled["permid"], kept["permid"], ended["permid"], today["permid"]}
    assert set(daemon.call("query_orders", since="2024-03-01")) == everything
    assert set(daemon.call("query_orders", since="2024-03-04")) >= {kept["permid"], today["permid"]}
    assert daemon.call("query_order", id=filled["permid"])["status"] == "Filled"
    fills = daemon.call("query_executions")
    assert {each["ORIGINAL_ORDER_ID"] for each in fills.values()} == {today["permid"]}
    assert {each["MARKET_TRD_DATE"] for each in fills.values()} == {"2024-03-04"}
    assert len(daemon.call("query_executions", since="2024-03-01")) == len(fills) + 1
    assert len(daemon.call("query_order_executions", id="friday")) == 1
    again = daemon.call("market_order", **TERMS, quantity=10, client_order_id="friday")
    assert (again["permid"], again["replayed"]) == (filled["permid"], True), "a key outlives its day"
    assert daemon.call("query_positions")["API_ACCOUNT"]["IBM"] == 20


# ---------------------------------------------------------------- the journal


def test_the_journal_is_shown_in_pages(daemon: Daemon) -> None:
    order = rest(daemon)
    daemon.call("replace_order", id=order["permid"], quantity=20)
    daemon.call("cancel_order", id=order["permid"])
    kinds = [
        *("OrderSubmitted", "OrderAccepted", "ReplaceRequested", "OrderReplaced"),
        *("CancelRequested", "OrderCanceled"),
    ]
    records = daemon.call("query_journal", order=order["permid"])
    assert [each["kind"] for each in records] == kinds
    assert {each["order_id"] for each in records} == {order["permid"]}
    assert daemon.call("query_journal", order=order["client_order_id"]) == records
    seq = records[0]["seq"]
    page = daemon.call("query_journal", after=seq - 1, limit=4)
    assert [each["seq"] for each in page] == [seq, seq + 1, seq + 2, seq + 3]
    assert page[0] == records[0]
    some = daemon.call("query_journal", after=seq - 1, kind="OrderCanceled, OrderReplaced")
    assert {each["kind"] for each in some} <= {"OrderCanceled", "OrderReplaced"}
    assert len({each["hash"] for each in page}) == 4
    story = daemon.call("explain_order", id=order["permid"])
    assert [each["kind"] for each in story["story"]] == kinds
    assert [each["seq"] for each in story["story"]] == [each["seq"] for each in records]
    assert all(each["text"] and each["time"].endswith("Z") for each in story["story"])
    assert story["order"] == daemon.call("query_order", id=order["permid"])
    assert daemon.call("query_order", id=order["permid"])["seq"] == records[-1]["seq"]


def test_settings_and_halts_are_in_the_journal(daemon: Daemon) -> None:
    before = last_seq(daemon)
    daemon.call("set_account", account="SECOND")
    daemon.call("halt", reason="audit")
    daemon.call("resume")
    kinds = [each["kind"] for each in daemon.call("query_journal", after=before)]
    assert kinds == ["SettingChanged", "AdminActed", "TradingHalted", "AdminActed", "TradingResumed"]


def test_instruments_and_venues(daemon: Daemon) -> None:
    ibm = daemon.call("query_instrument", symbol="ibm")
    assert (ibm["symbol"], ibm["venue"], ibm["currency"], ibm["cusip"]) == ("IBM", "paper", "USD", "459200101")
    assert set(ibm["order_types"]) == {"MARKET", "LIMIT", "STOP", "STOP_LIMIT"}
    assert set(ibm["times_in_force"]) == {"DAY", "GTC", "IOC", "FOK"}
    bitcoin = daemon.call("query_instrument", symbol="BTCUSD")
    assert (bitcoin["asset_class"], bitcoin["lot_size"]) == ("CRYPTO", 0.0001)
    paper = daemon.call("query_venues")["paper"]
    assert (paper["kind"], paper["status"], paper["accounts"]) == ("paper", "UP", ["API_ACCOUNT", "SECOND", "SMALL"])
    assert {"REPLACE", "STAGE", "QUOTES", "CLIENT_ORDER_ID"} <= set(paper["can"])
