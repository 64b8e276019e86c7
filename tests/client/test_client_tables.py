"""Results as people see them."""

from __future__ import annotations

from typing import Any

import pytest

from txgateway_client.tables import cell, render


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Up", "Up"),
        (True, "yes"),
        (None, "(none)"),
        ([], "(none)"),
        (["IBM", "SPY"], "IBM\nSPY"),
        ({"_cash": 1e7, "CURRENCY": "USD"}, "_cash     10000000\nCURRENCY  USD"),
        (12345, "12345"),
    ],
)
def test_what_has_no_table_of_its_own_is_shown_by_its_shape(value: Any, text: str) -> None:
    assert render(value) == text


def test_balances() -> None:
    value = {"A": {"USD": {"total": 10.5, "available": 10.5, "reserved": 0}}}
    assert render(value, "query_balances").splitlines() == [
        "ACCOUNT    CURRENCY      TOTAL    AVAILABLE    RESERVED",
        "A          USD            10.5         10.5           0",
    ]


@pytest.mark.parametrize("command", ["query_orders", "query_positions", "query_balances", "query_venues"])
def test_nothing_to_show(command: str) -> None:
    assert render({}, command) == "(none)"
    assert render({"A": {}}, "query_positions") == "(none)"


def test_positions_that_are_not_known_yet() -> None:
    text = render({"A": {"IBM": 100}, "B": None, "C": {}}, "query_positions")
    assert text.splitlines() == [
        "ACCOUNT    SYMBOL      QUANTITY",
        "A          IBM              100",
        "",
        "Not known yet: B (query_venues says why).",
    ]


def test_an_error_in_place_of_a_list() -> None:
    text = render({"status": "Error", "errorMsg": "no such account"}, "query_orders")
    assert text.splitlines() == ["no such account"]
    refused = {"status": "Error", "errorMsg": "Symbol 'X' is unknown.", "reason": "UNKNOWN_SYMBOL", "permid": "01J"}
    assert render(refused, "submit_order") == "Symbol 'X' is unknown. (UNKNOWN_SYMBOL, order 01J)"
    assert "UNKNOWN_SYMBOL" in render({**refused, "symbol": "X"}, "query_order").splitlines()[2]


def test_an_order_without_its_raw_records() -> None:
    text = render({"permid": "A", "updates": [{"id": "A"}], "raw": {"X": 1}, "reason": None}, "query_order")
    assert text.splitlines() == ["permid  A", "reason"]


def test_a_story() -> None:
    story = [{"seq": 1, "time": "2013-10-07T13:31:00Z", "kind": "OrderSubmitted", "text": "taken", "event": {"x": 1}}]
    text = render({"order": {"permid": "A"}, "story": story}, "explain_order")
    assert text.splitlines() == [
        "permid  A",
        "",
        "  SEQ  TIME                  KIND            TEXT",
        "    1  2013-10-07 13:31:00Z  OrderSubmitted  taken",
    ]


def test_venues_and_journal() -> None:
    venues = {"paper": {"kind": "paper", "status": "Up", "accounts": ["A", "B"], "default": True, "last_error": None}}
    assert render(venues, "query_venues").splitlines()[1] == "paper    paper   Up        yes        A, B"
    journal = [{"seq": 7, "time": "t", "kind": "Executed", "order_id": "A", "event": {"price": 1.5}, "hash": "ab"}]
    assert render(journal, "query_journal").splitlines()[1] == "    7  t       Executed  A           price=1.5"
    journal[0]["event"] = {"text": "x" * 200}
    assert render(journal, "query_journal").endswith("xxx…")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (1e-8, "0.00000001"),
        (183.0, "183"),
        (False, "no"),
        ("2013-10-07T13:31:00.123456Z", "2013-10-07 13:31:00.123Z"),
        ("a\x1b[2Jb\nc", "a [2Jb c"),
        ({"a": [1, 2.5], "b": None}, "a=1, 2.5, b="),
    ],
)
def test_cells_are_plain_text_on_one_line(item: Any, text: str) -> None:
    assert cell(item) == text
