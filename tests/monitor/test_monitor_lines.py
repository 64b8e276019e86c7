"""The stream's bytes and lines, without sockets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway_monitor import Channel
from txgateway_monitor.lines import MAX_LENGTH, Deframer, FrameError, LineParser, frame


def received(deframer: Deframer, chunks: Iterable[bytes]) -> list[str]:
    """Everything that came out of these chunks."""
    return [line for chunk in chunks for line in deframer.receive(chunk)]


@given(st.lists(st.text(max_size=30)), st.lists(st.integers(0, 400)))
def test_lines_arrive_whole_wherever_the_bytes_were_cut(lines: list[str], cuts: list[int]) -> None:
    data = b"".join(map(frame, lines))
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert received(Deframer(), chunks) == lines


def test_one_byte_at_a_time() -> None:
    data = frame("") + frame("é") + frame("x" * 12)
    assert received(Deframer(), (data[i : i + 1] for i in range(len(data)))) == ["", "é", "x" * 12]


@pytest.mark.parametrize(
    "data", [b"hello", b"03:abc,", b"3:abcd", b":abc,", b" 3:abc,", b"-1:,", b"3;abc,", b"\n", b"12x:", b"9999999999"]
)
def test_what_is_no_netstring_is_an_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        received(Deframer(), [data])


@pytest.mark.parametrize("data", [b"101:", b"1" * 4, b"999999999999999999:"])
def test_a_message_above_the_limit_is_refused_before_it_comes(data: bytes) -> None:
    with pytest.raises(FrameError):
        received(Deframer(limit=100), [data])
    assert received(Deframer(limit=100), [frame("x" * 100)]) == ["x" * 100]
    assert MAX_LENGTH == 512 * 1024 * 1024


def test_good_lines_before_a_bad_one_are_given_first() -> None:
    lines = Deframer().receive(frame("one") + frame("two") + b"junk")
    assert [next(lines), next(lines)] == ["one", "two"]
    with pytest.raises(FrameError, match="junk"):
        next(lines)


def test_bytes_that_are_no_utf8_do_not_end_the_stream() -> None:
    assert received(Deframer(), [b"2:\xff\xfe,", frame("on")]) == ["��", "on"]


@pytest.mark.parametrize(
    ("line", "channel", "text"),
    [
        (".status: Up", "STATUS", ".status: Up"),
        ("paper.time: 2013-10-07 09:31:00", "TIME", "2013-10-07 09:31:00"),
        ("paper.error: 7 no", "ERROR", "7 no"),
        ("paper.order.A1 ACC LIMIT Filled", "ORDER", "A1 ACC LIMIT Filled"),
        ("paper.open-order.A1 ACC", "ORDER", "A1 ACC"),
        ("paper.order-data {}", "ORDER_DATA", "{}"),
        ("paper.orders: {}", "ORDERS", "{}"),
        ("paper.ticket.A1 ACC", "TICKET", "A1 ACC"),
        ("paper.ticket-data {}", "TICKET_DATA", "{}"),
        ("paper.execution.E1 ACC A1 Filled", "EXECUTION", "E1 ACC A1 Filled"),
        ("paper.execution-data {}", "EXECUTION_DATA", "{}"),
        ("paper.executions: {}", "EXECUTIONS", "{}"),
        ("paper.quote.IBM:183.1 2 183.2 5", "QUOTE", "IBM:183.1 2 183.2 5"),
        ("paper.trade.IBM:183.1 100 5000", "TRADE", "IBM:183.1 100 5000"),
        ("paper.symbol: {}", "SYMBOL", "{}"),
        ("paper.symbol-data: {}", "SYMBOL_DATA", "{}"),
        ("paper.symbols: {}", "STATUS", "paper.symbols: {}"),
        ("paper.positions: {}", "STATUS", "paper.positions: {}"),
        ("paper.connection-status-changed: Up", "STATUS", "paper.connection-status-changed: Up"),
        ("tws.time: now", "STATUS", "tws.time: now"),
        ("true", "STATUS", "true"),
        ('{"permid": "A"}', "STATUS", '{"permid": "A"}'),
    ],
)
def test_a_line_belongs_to_one_channel(line: str, channel: str, text: str) -> None:
    parser = LineParser()
    parser.authorized(".Authorized paper")
    parsed = parser.parse(line)
    assert parsed is not None
    assert (parsed.channel, parsed.text) == (Channel[channel], text)


@pytest.mark.parametrize(
    ("line", "data", "body", "note"),
    [
        ('paper.order-data {"seq": 1}', "order", '{"seq": 1}', False),
        ('paper.position-data {"seq": 1}', "position", '{"seq": 1}', False),
        ('paper.symbol-data: {"seq": 1}', "", "", False),
        ('tws.order-data {"seq": 1}', "", "", False),
        ("paper.order.A1 ACC LIMIT Filled", "", "", True),
        ("paper.execution.E1 ACC A1 Filled", "", "", True),
        ("paper.quote.IBM:1 2 3 4", "", "", False),
    ],
)
def test_what_a_line_is_of_the_journal(line: str, data: str, body: str, note: bool) -> None:
    parser = LineParser()
    parser.authorized(".Authorized paper 5")
    parsed = parser.parse(line)
    assert parsed is not None
    assert (parsed.data, parsed.body, parsed.note) == (data, body, note)


def test_a_current_account_is_told_when_it_changes() -> None:
    parser = LineParser()
    parser.authorized(".Authorized paper")
    told = [parser.parse(f"paper.current-account: {name}") for name in "AABA"]
    assert [line and line.text[-1] for line in told] == ["A", None, "B", "A"]


@pytest.mark.parametrize(
    ("line", "at"),
    [(".Authorized paper", None), (".Authorized paper 17", 17), (".Authorized paper x", None), (".", None)],
)
def test_the_position_in_a_greeting(line: str, at: int | None) -> None:
    assert LineParser().authorized(line) == at
