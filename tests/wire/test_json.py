"""Strict JSON: what is no JSON is refused on the way in, and never written."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway import wire
from txgateway.model.errors import BadArgument

ANYTHING = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(10**30), 10**30)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(),
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(some.text(), inner, max_size=5),
    max_leaves=20,
)


@given(ANYTHING)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert wire.loads(wire.dumps(value)) == value


@given(ANYTHING)
def test_others_read_what_is_written(value: Any) -> None:
    assert json.loads(wire.dumps(value)) == value


@given(some.binary())
def test_no_bytes_do_anything_but_parse_or_be_refused(data: bytes) -> None:
    try:
        value = wire.loads(data)
    except BadArgument:
        return
    assert value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"   ", "not JSON"),
        (b"{", "not JSON"),
        (b'{"symbol": "IBM"', "not JSON"),
        (b'{"symbol": "IB', "not JSON"),
        (b'{"a": 1}{"a": 1}', "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"a": "\xc3\x28"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": Infinity}', "Infinity is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": -1e999}', "too large"),
        (b'{"quantity": 1, "quantity": 1000}', "'quantity' stands twice"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "'b' stands twice"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"9" * 5000, "not JSON"),
        (b"[" * 51 + b"]" * 51, "nested deeper than 50"),
        (b'{"a":' * 51 + b"1" + b"}" * 51, "nested deeper than 50"),
        (b"[" * 900 + b"]" * 900, "nested deeper than 50"),
        (b"[" * 9_000, "nested deeper than 50"),
        (b'"' + b"[" * 60, "not JSON"),
        (b'["' + b'\\"[' * 9_000, "not JSON"),
        (b"[" * 1_000_000, "more than 10000 arrays and objects"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "more than 10000 arrays and objects"),
        (b"[" + b"1," * 100_000 + b"1]", "more than 50000 values"),
        (b"[" + b"{}," * 300_000 + b"{}]", "more than 10000 arrays and objects"),
    ],
)
def test_garbage_is_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(BadArgument) as refused:
        wire.loads(data)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 300


def test_the_deepest_that_is_taken() -> None:
    assert wire.loads(b"[" * 50 + b"]" * 50)


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert wire.loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, [1, {"a": math.nan}], "\ud800", {"\udfff": 1}, b"x", object()]
)
def test_what_json_cannot_say_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"no JSON|surrogates"):
        wire.dumps(value)


def test_slashes_and_letters_are_written_as_they_are() -> None:
    assert wire.dumps({"a/b": "Ünï"}) == '{"a/b":"Ünï"}'.encode()
