"""Templates and mappings: what they read, and what is wrong with one when the source is configured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.model.errors import BadArgument
from txgateway.shapes import FIELDS, LONGEST, check, pick, read_line


@pytest.mark.parametrize(
    ("template", "line", "found"),
    [
        ("{side} {symbol} {quantity}", "buy   IBM 10", {"side": "buy", "symbol": "IBM", "quantity": "10"}),
        ("{symbol}|{side}|{_}|{quantity}", "IBM | buy|x y|10", {"symbol": "IBM", "side": "buy", "quantity": "10"}),
        ("{symbol},{side},{price},{quantity}", "IBM,buy,,10", {"symbol": "IBM", "side": "buy", "quantity": "10"}),
        (
            "{side} {symbol}[ q={quantity}][ sl={stop_loss}]",
            "buy IBM sl=2%",
            {"side": "buy", "symbol": "IBM", "stop_loss": "2%"},
        ),
        ("{side} [{quantity} ]{symbol}", "buy IBM", {"side": "buy", "symbol": "IBM"}),
        ("Order {side}: {symbol} (x{quantity})", "Order buy: IBM (x10)", dict(side="buy", symbol="IBM", quantity="10")),  # noqa: C408
    ],
)
def test_a_line_like_its_template(template: str, line: str, found: dict[str, str]) -> None:
    check({}, template)
    assert read_line(template, line) == found


@pytest.mark.parametrize("line", ["", "buy", "buy IBM", "buy|IBM|10", "x" * (LONGEST + 1)])
def test_a_line_unlike_its_template(line: str) -> None:
    assert read_line("{side} {symbol} {quantity}", line) is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("buy", "names no field"),
        ("{_}", "names no field"),
        ("{sied} {symbol}", "no field 'sied'"),
        ("{side}{symbol}", "nothing parts {side}"),
        ("{side}[{symbol}]", "nothing parts {side}"),
        ("{side} {side}", "twice"),
        ("{side", "opens or closes no field"),
        ("{{ticker}}", "opens or closes no field"),
        ("[{side}", "has no ]"),
        ("{side}[", "has no ]"),
        ("{side}]", "each ["),
        ("[[{side}]]", "inside another"),
        ("{side}" + " x" * LONGEST, "longer"),
    ],
)
def test_a_wrong_template(template: str, said: str) -> None:
    with pytest.raises(BadArgument) as caught:
        check({}, template)
    assert said in str(caught.value)


def test_a_mapping_finds_what_is_there() -> None:
    mapping = {"symbol": "data.pair", "side": "data.what == 'S' && 'sell' || 'buy'", "price": "nothing.here"}
    check(mapping, "")
    assert pick(mapping, {"data": {"pair": "IBM", "what": "S"}}) == {"symbol": "IBM", "side": "sell"}
    with pytest.raises(BadArgument, match="expression for symbol does not fit"):
        pick({"symbol": "length(a)"}, {"a": 1})


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"sied": "a"}, "no field 'sied'"),
        ({"side": "a."}, "no JMESPath"),
        ({"side": "a,b"}, "no JMESPath"),
        ({"side": " "}, "no text"),
        ({"side": "a" * (LONGEST + 1)}, "no text"),
        ({"side": "upper(a)"}, "upper(), which JMESPath does not have"),
        ({"side": "a[*].upper(@)"}, "upper(), which JMESPath does not have"),
        ({"side": "length(a, b)"}, "length() with 2 arguments"),
        ({"side": "(" * 1500}, "no JMESPath"),
    ],
)
def test_a_wrong_mapping(mapping: dict[str, str], said: str) -> None:
    with pytest.raises(BadArgument) as caught:
        check(mapping, "")
    assert said in str(caught.value)


@given(st.text(alphabet="{}[]_ |,abside:q=ymbol", max_size=40), st.text(max_size=60))
def test_any_template_reads_or_is_refused(template: str, line: str) -> None:
    try:
        check({}, template)
    except BadArgument:
        return
    assert template == "" or set(read_line(template, line) or {}) <= set(FIELDS)
