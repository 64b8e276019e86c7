"""What every client hears, however transports fill and empty: each line once and in order, and the newest prices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.task import Clock

from txgateway import audience, lines
from txgateway.audience import Audience, Settings
from txgateway.bulletins import LINES
from txgateway.lines import Options
from txgateway.outlet import Outlet
from txgateway.publisher import Publisher


class Pipe:
    """A transport that is full after so many writes, until it is emptied."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.left = room
        self.producer: Any = None
        self.written: list[bytes] = []

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.left -= 1
        if self.left <= 0:
            self.producer.pauseProducing()

    def unregisterProducer(self) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def empty(self) -> None:
        """Take everything, and ask for more."""
        full, self.left = self.left <= 0, self.room
        if full:
            self.producer.resumeProducing()

    @property
    def heard(self) -> list[str]:
        """Every line that was written."""
        return [line.decode() for line in lines.Netstrings().receive(b"".join(self.written))]


def a_publisher(**limits: int) -> Publisher:
    """A publisher without a desk behind it."""
    desk: Any = SimpleNamespace(listeners=[])
    flags: Any = SimpleNamespace(ticker=True)
    return Publisher(desk, SimpleNamespace(), flags, Clock(), "p", list, Settings(**limits))  # type: ignore[arg-type]


def a_listener(of: Publisher, room: int) -> Pipe:
    """A client that hears everything, with so much room in its transport."""
    pipe = Pipe(room)
    outlet = Outlet(of, pipe, LINES, lambda why: None)
    outlet.open()
    outlet.listen(Options(frozenset({"quotes", "order-notification"})), "p")
    return pipe


def the_audience(of: Publisher) -> Audience:
    """The only one."""
    (audience,) = of._audiences.values()
    return audience


KEPT, QUOTE, SAY, EMPTY = range(4)
STEPS = some.lists(
    some.tuples(some.sampled_from([KEPT, QUOTE, QUOTE, SAY, EMPTY, EMPTY]), some.integers(0, 3), some.booleans()),
    min_size=20,
    max_size=120,
)


@settings(deadline=None, max_examples=200)
@given(STEPS, some.lists(some.integers(1, 3), min_size=1, max_size=4), some.sampled_from([1, 30, 10_000]))
def test_each_line_once_in_order_and_the_newest_prices(
    steps: list[tuple[int, int, bool]], rooms: list[int], chunk: int
) -> None:
    before, audience.CHUNK = audience.CHUNK, chunk
    try:
        _check(steps, rooms)
    finally:
        audience.CHUNK = before


def _check(steps: list[tuple[int, int, bool]], rooms: list[int]) -> None:
    of = a_publisher()
    pipes = [a_listener(of, room) for room in rooms]
    audience = the_audience(of)
    kept: list[str] = []
    newest: dict[int, str] = {}
    said: dict[int, list[str]] = {at: [] for at in range(len(pipes))}
    for number, (step, which, flush) in enumerate(steps):
        at = which % len(pipes)
        if step == KEPT:
            kept.append(f"k.{number}")
            audience.tell(lines.netstring(kept[-1].encode()))
        elif step == QUOTE:
            newest[which] = f"q{which}.{number}"
            audience.tell(lines.netstring(newest[which].encode()), which)
        elif step == SAY:
            said[at].append(f"s.{number}")
            pipes[at].producer.say(said[at][-1].encode())
        else:
            pipes[at].empty()
        if flush:
            audience.flush()
    audience.flush()
    for at, pipe in enumerate(pipes):
        while pipe.producer.paused:
            pipe.empty()
        heard = pipe.heard
        assert [line for line in heard if line[0] == "k"] == kept
        assert [line for line in heard if line[0] == "s"] == said[at]
        assert {line.partition(".")[0]: line for line in heard if line[0] == "q"} == {
            f"q{which}": last for which, last in newest.items()
        }
        numbers = [int(line.partition(".")[2]) for line in heard if line[0] != "s"]
        assert numbers == sorted(set(numbers))
    assert not audience.behind
    assert not audience._kept
    assert not audience._newest


def test_to_the_only_one_it_is_written_at_once_and_who_joins_hears_what_follows() -> None:
    of = a_publisher()
    first = a_listener(of, 10)
    audience = the_audience(of)
    assert audience.tell(b"1:a,") is False
    assert first.heard == ["a"]
    second = a_listener(of, 10)
    assert audience.tell(b"1:b,") is True
    audience.flush()
    assert (first.heard, second.heard) == (["a", "b"], ["b"])


def test_what_is_kept_is_forgotten_when_all_have_it() -> None:
    of = a_publisher()
    slow, slower = a_listener(of, 1), a_listener(of, 1)
    audience = the_audience(of)
    for _ in range(10):
        audience.tell(b"1:x,")
        audience.flush()
    assert len(audience._kept) == 9
    slow.empty()
    audience.tell(b"1:y,")
    audience.flush()
    assert len(audience._kept) == 10
    slower.empty()
    audience.tell(b"1:z,")
    audience.flush()
    assert len(audience._kept) == 2
    slow.empty()
    slower.empty()
    assert (slow.heard, slower.heard) == (["x"] * 10 + ["y", "z"],) * 2


def test_only_who_is_behind_is_counted() -> None:
    of = a_publisher(lines=5)
    slow, quick = a_listener(of, 1), a_listener(of, 1)
    audience = the_audience(of)
    for number in range(20):
        audience.tell(b"1:%d," % (number % 10))
        audience.flush()
        quick.empty()
        if number == 4:
            slow.empty()
    assert slow.producer.closed
    assert not quick.producer.closed
    assert len(quick.heard) == 20
