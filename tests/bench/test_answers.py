"""The load generator knows an answer's end and whether it is good, however its bytes are cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bench import listeners
from bench.answers import AnswerReader
from bench.figures import Figure, at_least, at_most, lines
from bench.percentiles import percentile
from bench.runs import in_turns

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\n"Up"'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\r\n0\r\r\n2\r\n\n}\r\n0\r\n\r\n"
REFUSED = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"status":"Error"}'
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


def pieces(reader: AnswerReader, data: bytes, width: int) -> list[bool]:
    """What the reader says to each piece."""
    return [reader.take(memoryview(data[at : at + width])) for at in range(0, len(data), width)]


def test_an_answer_ends_with_its_last_byte() -> None:
    for data, size in ((PLAIN, 4), (CHUNKED, 7), (REFUSED, 18), (UNAUTHORIZED, 0)):
        for width in range(1, len(data) + 1):
            reader = AnswerReader()
            for _ in range(2):
                said = pieces(reader, data, width)
                assert said[-1], (data, width)
                assert not any(said[:-1]), (data, width)
                assert reader.size == size


def test_a_refusal_and_an_error_are_no_good_answers() -> None:
    reader = AnswerReader()
    for data, good in ((PLAIN, True), (CHUNKED, True), (REFUSED, False), (UNAUTHORIZED, False)):
        assert reader.take(memoryview(data))
        assert reader.good is good


def test_percentiles() -> None:
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(range(100), 0.99) == 99


class Slow:
    """A selector whose only connection has a line when it is asked for the third time."""

    def __init__(self) -> None:
        self.asked = 0

    def select(self, timeout: float) -> list[Any]:
        self.asked += 1
        return [(SimpleNamespace(fileobj=self), None)] if self.asked == 3 else []

    def recv_into(self, buffer: bytearray) -> int:
        line = b"12:quote.IBM: {},"
        buffer[: len(line)] = line
        return len(line)


def test_a_count_waits_for_the_first_line_however_short_it_is() -> None:
    selector: Any = Slow()
    lines, size, took = listeners._take(selector, 0.0)
    assert (lines, size, selector.asked) == (1, 17, 3)
    assert took > 0


def test_turns_are_taken_alternately_and_ratios_by_turn() -> None:
    calls = []
    ours, theirs = iter([9.0, 1.0, 4.0, 9.0]), iter([9.0, 2.0, 4.0, 3.0])

    def first() -> float:
        calls.append("A")
        return next(ours)

    def second() -> float:
        calls.append("B")
        return next(theirs)

    found = in_turns(3, first, second)
    assert "".join(calls) == "ABABABAB"
    assert (found.first, found.second, found.ratio) == (4.0, 3.0, 1.0)


def test_the_table() -> None:
    figures = [
        Figure(name="a", unit="/s", value=12345.6, yardstick=2.0, ratio=0.5, target="ratio >= 0.8", met=False),
        at_least("b", "/s", 5.0, 4.0),
        at_most("c", "ms", 5.0, 4.0),
    ]
    assert lines(figures) == [
        "   txgateway  yardstick  ratio  target",
        "-" * 52,
        "a  12,346 /s    2.00 /s   0.50  ratio >= 0.8  MISSED",
        "b    5.00 /s                    >= 4.00 /s    ok",
        "c    5.00 ms                    <= 4.00 ms    MISSED",
    ]
    noted = Figure(name="d", unit="s", value=0.5, note="what it is")
    assert lines([noted])[-2:] == ["", "  d: what it is"]
