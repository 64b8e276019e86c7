"""What clients send becomes typed arguments, or one clear sentence."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from txgateway.api import COMMANDS
from txgateway.model.errors import BadArgument

MARKET = COMMANDS["market_order"]


def test_by_name_and_by_position_and_from_strings() -> None:
    wanted = {"account": "A", "route": "DEMO", "symbol": "IBM", "quantity": D(-100)}
    for given in (
        ["A", "DEMO", "ibm", -100],
        {"account": "A", "route": "DEMO", "symbol": " ibm ", "quantity": "-100"},
        {"account": "A", "route": "DEMO", "symbol": "IBM", "quantity": -100.0},
    ):
        arguments = MARKET.arguments(given)
        assert wanted.items() <= arguments.items()
        assert arguments["client_order_id"] is None


def test_a_symbols_venue_keeps_its_letters() -> None:
    assert COMMANDS["add_symbol"].arguments(["ibm@BitMex"]) == {"symbol": "IBM@BitMex"}


@pytest.mark.parametrize(
    "quantity",
    [
        "",
        "abc",
        "NaN",
        float("nan"),
        float("inf"),
        "-Infinity",
        "1e999",
        True,
        [],
        {},
        "0x10",
        "1" * 200,
        "1_0 0",
        "18_5",
    ],
)
def test_what_is_no_number(quantity: Any) -> None:
    with pytest.raises(BadArgument, match=r"'quantity' is .*, which is not a finite number"):
        MARKET.arguments(["A", "R", "IBM", quantity])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "needs the argument 'account'"),
        (["A", "R", "IBM"], "needs the argument 'quantity'"),
        ({"acount": "A"}, "has no argument 'acount': it takes account, route"),
        (["A"] * 8, "takes 6 arguments at most"),
        ({"account": None, "route": "R", "symbol": "IBM", "quantity": 1}, "needs the argument 'account'"),
        ({"account": {"a": 1}, "route": "R", "symbol": "IBM", "quantity": 1}, "'account' is .*not a text"),
        ({"account": "a\0b", "route": "R", "symbol": "IBM", "quantity": 1}, "not a text"),
        ({"account": "A", "route": "R", "symbol": "", "quantity": 1}, "not a name"),
    ],
)
def test_what_is_wrong_is_said(given: Any, sentence: str) -> None:
    with pytest.raises(BadArgument, match=sentence):
        MARKET.arguments(given)


def test_every_command_has_a_help_that_begins_with_its_signature() -> None:
    for name, command in COMMANDS.items():
        assert command.help.startswith(f"{name}(")
        assert len(command.doc.splitlines()[0]) > 10, name


def test_whole_numbers_and_flags() -> None:
    page = COMMANDS["query_journal"]
    assert page.arguments({"after": "5", "limit": 7.0})["limit"] == 7
    for bad in ("1.5", "x", None.__class__, 2**70):
        with pytest.raises(BadArgument):
            page.arguments({"after": bad})
    assert COMMANDS["query_symbols"].arguments({"data": "true"}) == {"data": True}
    assert COMMANDS["query_symbols"].arguments({"data": 0}) == {"data": False}
    with pytest.raises(BadArgument, match="true or false"):
        COMMANDS["query_symbols"].arguments({"data": "maybe"})
