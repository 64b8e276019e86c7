"""How limits are written, and what is not a limit."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from txgateway.model.limits import DEFAULTS, Level, Limit, level_of, limit_of, read_levels
from txgateway.model.scope import GATEWAY, Scope


def test_what_a_person_writes_is_what_is_meant() -> None:
    assert level_of(Limit.MAX_QUANTITY, " 500 ", "400") == Level(D(500), D(400))
    assert level_of(Limit.MAX_NOTIONAL, "1e6") == Level(D(1_000_000))
    assert level_of(Limit.MAX_POSITION, "0") == Level(D(0))
    assert level_of(Limit.MAX_QUANTITY, "off") == Level()
    assert level_of(Limit.MAX_QUANTITY, "OFF", "400") == Level(None, D(400))
    assert level_of(Limit.RESTRICTED, "gme, AMC+bb") == Level(symbols=frozenset({"GME", "AMC", "BB"}))
    assert level_of(Limit.RESTRICTED, "off") == Level() == level_of(Limit.RESTRICTED, "")
    assert level_of(Limit.SESSION_ONLY, "1") == Level(D(1))
    assert level_of(Limit.SESSION_ONLY, "no") == Level()
    assert level_of(Limit.EXECUTION_BUDGET, "100/60") == Level(D(100), None, D(60))
    assert level_of(Limit.DUPLICATE_WINDOW, "2", "10") == Level(D(2), D(10))


def test_what_is_written_back_is_read_again() -> None:
    for limit, text in (
        (Limit.MAX_NOTIONAL, "1000000"),
        (Limit.PRICE_COLLAR, "0.05"),
        (Limit.RESTRICTED, "AMC,GME"),
        (Limit.EXECUTION_BUDGET, "100/0.5"),
        (Limit.MAX_QUANTITY, "off"),
    ):
        assert level_of(limit, text).text == text


@pytest.mark.parametrize(
    ("limit", "value", "warn", "says"),
    [
        (Limit.MAX_QUANTITY, "many", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "-1", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "NaN", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "Infinity", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "1e999", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "1e-999", None, "must be a number from 0 up"),
        (Limit.MAX_QUANTITY, "100/60", None, "must be one number"),
        (Limit.MAX_QUANTITY, "100", "101", "must be at most its value 100"),
        (Limit.MAX_QUANTITY, "100", "some", "must be a number from 0 up"),
        (Limit.DUPLICATE_WINDOW, "5", "1", "must be at least its value 5"),
        (Limit.ORDER_RATE, "1.5", None, "must be a whole number"),
        (Limit.EXECUTION_BUDGET, "100", None, "such as 100/60"),
        (Limit.EXECUTION_BUDGET, "1.5/60", None, "must be a whole number"),
        (Limit.EXECUTION_BUDGET, "1/0", None, "more than 0 seconds"),
        (Limit.EXECUTION_BUDGET, "1/1e9", None, "at most 86400"),
        (Limit.EXECUTION_BUDGET, "10/60", "5", "has no warn level"),
        (Limit.RESTRICTED, "GME", "AMC", "has no warn level"),
        (Limit.SESSION_ONLY, "maybe", None, "must be 1 or 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(limit: Limit, value: str, warn: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        level_of(limit, value, warn)


def test_a_limit_that_there_is_not_is_told_with_all_that_are() -> None:
    assert limit_of(" MAX_Notional ") is Limit.MAX_NOTIONAL
    with pytest.raises(ValueError, match=r"'max_notion' is none of restricted, session_only, .*execution_budget"):
        limit_of("max_notion")
    assert all(each.meaning.endswith(".") for each in Limit)


def test_a_setting_has_any_number_of_limits_at_any_scope() -> None:
    found = read_levels(
        "max_notional=1000000:800000, account:A1/max_quantity=500,restricted=GME+AMC,owner:*/order_rate=9"
    )
    assert found == {
        (GATEWAY, Limit.MAX_NOTIONAL): Level(D(1_000_000), D(800_000)),
        (Scope.parse("account:A1"), Limit.MAX_QUANTITY): Level(D(500)),
        (GATEWAY, Limit.RESTRICTED): Level(symbols=frozenset({"GME", "AMC"})),
        (Scope.parse("owner:*"), Limit.ORDER_RATE): Level(D(9)),
    }
    assert read_levels("execution_budget=100/60")[GATEWAY, Limit.EXECUTION_BUDGET] == Level(D(100), None, D(60))
    assert read_levels(" , ") == {}


@pytest.mark.parametrize("text", ["max_notional", "nothing=1", "account/max_quantity=1", "x:y/max_quantity=1", "=1"])
def test_a_setting_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|none of"):
        read_levels(text)
    with pytest.raises(ValueError, match="given twice"):
        read_levels("max_notional=1,max_notional=2")


def test_by_default_only_mistakes_are_refused() -> None:
    assert {(str(scope), limit.value): level.text for (scope, limit), level in DEFAULTS.items()} == {
        ("owner:*", "order_rate"): "5000",
        ("gateway", "reference_age"): "900",
        ("gateway", "price_collar"): "0.1",
        ("gateway", "max_notional"): "100000000",
    }
