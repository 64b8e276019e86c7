"""Every parser that reads what strangers send, on anything: it understands it, or says so in its own error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from txgateway import lines, wire
from txgateway.api import COMMANDS
from txgateway.lines import BrokenNetstring, Netstrings, netstring
from txgateway.logins import credentials
from txgateway.model.errors import BadArgument, GatewayError
from txgateway.model.rights import grant_of
from txgateway.model.scope import Scope
from txgateway.servers.http import rpc
from txgateway.servers.websocket import canonical

fuzz = settings(
    max_examples=int(200 * float(os.environ["FUZZ_SECONDS"])) if "FUZZ_SECONDS" in os.environ else 150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def told(work: Callable[[], Any], error: type[Exception]) -> Any:
    """What it gives, or None with its own error, which says something and not too much."""
    try:
        return work()
    except error as own:
        said = str(own)
    assert 0 < len(said) < 1000
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=12), each, max_size=4),
    max_leaves=12,
)
BYTES = st.binary(max_size=400)
NEARLY_JSON = st.builds(
    lambda value, at, put, cut: json.dumps(value).encode()[:at] + put + json.dumps(value).encode()[at + cut :],
    JSON,
    st.integers(0, 80),
    st.binary(max_size=4),
    st.integers(0, 4),
)
NETSTRINGS = st.lists(
    st.one_of(
        st.binary(max_size=60).map(netstring),
        BYTES,
        st.integers(0, 10**9).map(lambda size: b"%d:" % size),
        st.sampled_from([b"0:,", b"00:,", b":", b",", b"1:a;", b"-1:a,", b"5:abc", b"\xd9\xa1:a,", b"9" * 30]),
    ),
    max_size=8,
)


@fuzz
@given(NETSTRINGS, st.lists(st.integers(1, 30), max_size=60))
def test_netstrings_wherever_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    """The same messages whole as in pieces, no error but its own, and never more kept than the limit."""

    def read(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        parser, found = Netstrings(limit=1000), []
        try:
            for piece in pieces:
                found.extend(parser.receive(piece))
                assert len(parser._buffer) <= 1000 + len(piece) + 8
        except BrokenNetstring:
            return found, False
        return found, True

    data, pieces, at = b"".join(parts), [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    assert read([*pieces, data[at:]]) == read([data])


@fuzz
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_good_netstrings_come_out_as_they_went_in(messages: list[bytes]) -> None:
    assert list(Netstrings().receive(b"".join(map(netstring, messages)))) == messages


WORDS = st.lists(
    st.sampled_from([*lines.WORDS, "IBM", "1", "-5", ".", "2024-01-02", "09:30", "{", "}", '{"a":1}', "[", "\x00"])
    | st.text(max_size=12),
    max_size=9,
).map(" ".join)


@fuzz
@given(WORDS | st.text(max_size=200))
@example("auth")
@example('call x {"a":1} tag')
def test_a_line_of_the_stream(text: str) -> None:
    said = told(lambda: lines.parse(text), BadArgument)
    if isinstance(said, lines.Login):
        lines.options(said.options)
    if isinstance(said, lines.Request) and said.method in COMMANDS:
        understood(said.method, said.arguments)
        said.failed("paper", BadArgument("x"))


@fuzz
@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_options_of_a_login(text: str) -> None:
    assert isinstance(lines.options(text).complaints, tuple)


@fuzz
@given(st.dictionaries(st.text(max_size=16) | st.sampled_from(["resume", "venue", "SYMBOL_FIELDS", "order"]), JSON))
def test_options_of_a_websocket(given_: dict[str, Any]) -> None:
    lines.options_from(canonical(given_))


@fuzz
@given(BYTES | NEARLY_JSON | st.integers(1, 100_000).map(lambda depth: b"[" * depth))
@example(b"1e999")
@example(b"NaN")
@example(b'"\\ud800"')
def test_json_is_read_or_refused(data: bytes) -> None:
    value = told(lambda: wire.loads(data), BadArgument)
    wire.dumps(value)


@fuzz
@given(JSON | st.fixed_dictionaries({}, optional={"jsonrpc": JSON, "method": JSON, "params": JSON, "id": JSON}))
def test_a_jsonrpc_request(message: Any) -> None:
    told(lambda: rpc._request(message), rpc._Invalid)


@fuzz
@given(st.binary(max_size=120) | st.binary(max_size=80).map(lambda rest: b"Basic " + rest))
def test_an_authorization_header(header: bytes) -> None:
    assert credentials(header) is None or len(credentials(header) or ()) == 2


VALUES = JSON | st.sampled_from(["NaN", "1e999", "-0", "1e-40", "９", "0x10", "  ", "true", "IBM@", "@", "\ud800"])


def understood(name: str, given_: Any) -> None:
    """The arguments of a command, or why they are none."""
    told(lambda: COMMANDS[name].arguments(given_), BadArgument)


@fuzz
@given(st.data())
def test_a_commands_arguments(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(COMMANDS)))
    names = [each.name for each in COMMANDS[name].parameters]
    by_name = st.dictionaries(st.sampled_from([*names, "other"]) | st.text(max_size=5), VALUES, max_size=len(names) + 1)
    understood(name, data.draw(by_name | st.lists(VALUES, max_size=len(names) + 1)))


@fuzz
@given(st.text(max_size=60) | st.sampled_from(["account:", "gateway:x", ":", "symbol:ibm@x"]))
def test_a_scope(text: str) -> None:
    told(lambda: Scope.parse(text), ValueError)


@fuzz
@given(
    st.lists(st.text(max_size=8), max_size=3),
    st.none() | st.lists(st.text(max_size=8), max_size=3),
    st.text(max_size=9),
)
def test_a_grant(scopes: list[str], names: list[str] | None, worth: str) -> None:
    told(lambda: grant_of(scopes, names, names, worth), ValueError)


@fuzz
@given(st.sampled_from(sorted(COMMANDS)), st.text(max_size=300))
def test_what_failed_is_one_line_of_json_or_text(name: str, text: str) -> None:
    line = lines.Request("call", name, {}, "result", text).failed("paper", GatewayError(text))
    json.loads(line.partition(" ")[2])
