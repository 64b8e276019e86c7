"""Routes: what is one, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from txgateway.model.route import read_route


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("DEMO", {"DEMO": None}),
        (" DEMO ", {"DEMO": None}),
        ('"DEMO"', {"DEMO": None}),
        ("TEST-CVGX-USALGO-ATD", {"TEST-CVGX-USALGO-ATD": None}),
        ('{"DEMO": null}', {"DEMO": None}),
        ('{"VWAP": {"STRAT_PARAMETERS": {"847": "15"}, "ORDER_FLAGS_3": 0}}',
         {"VWAP": {"STRAT_PARAMETERS": {"847": "15"}, "ORDER_FLAGS_3": 0}}),
    ],
)  # fmt: skip
def test_a_route_is_a_name_or_a_name_with_parameters(text: str, route: Any) -> None:
    assert read_route(text) == route


@pytest.mark.parametrize(
    "text",
    [
        "", " ", '""', '" "', "5", "-1.5", "true", "null", "[]", '["A"]', "{bad", "[bad", '"bad', "{}",
        '{"A": null, "B": null}', '{"A": 5}', '{"A": "x"}', '{"A": []}', '{"": null}', '{"A": {"B": NaN}}',
        '"{bad"', "a\nb", "x" * 65, "[" * 100_000,
    ],
)  # fmt: skip
def test_all_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="with one name"):
        read_route(text)
