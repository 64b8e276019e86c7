"""Whose turn it is: for any row of messages, no more than TWS takes, nothing lost or overtaken, and nothing starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from txgateway.brokers.ib.lanes import SECOND, Lanes, Piece, Urgency

RATE = 45


def piece(urgency: Urgency, size: int = 1, key: str = "", until: float | None = None) -> Piece:
    return Piece(urgency, lambda: None, [key], size, until=until)


def run(lanes: Lanes, rows: list[tuple[float, Piece]], seconds: float = 600.0) -> list[tuple[float, Piece]]:
    """When each leaves, of pieces that come at their times."""
    left: list[tuple[float, Piece]] = []
    now, coming = 0.0, list(rows)
    while now < seconds:
        while coming and coming[0][0] <= now:
            lanes.put(coming.pop(0)[1])
        while (found := lanes.due(now)) is not None:
            left.append((now, found))
        wait = lanes.wait(now)
        then = [coming[0][0]] if coming else []
        then += [now + wait] if wait is not None else []
        if not then:
            break
        now = min(then)
    return left


_ROW = some.tuples(some.floats(0, 20), some.sampled_from(Urgency), some.integers(1, 3))


@given(some.lists(_ROW, max_size=300), some.integers(5, 60))
def test_no_more_than_the_rate_and_each_in_its_turn(rows: list[tuple[float, Urgency, int]], rate: int) -> None:
    pieces = [(at, piece(urgency, size)) for at, urgency, size in sorted(rows, key=lambda row: row[0])]
    left = run(Lanes(rate), pieces)
    assert len(left) == len(pieces), "all leave"
    for number, (at, _) in enumerate(left):
        assert sum(each.size for then, each in left[number:] if then - at < SECOND) <= rate
    for urgency in Urgency:
        assert [each for _, each in left if each.urgency is urgency] == [
            each for _, each in pieces if each.urgency is urgency
        ]


@given(some.sampled_from(Urgency), some.sampled_from([1, 3]))
def test_nothing_starves_behind_what_is_more_urgent(urgency: Urgency, size: int) -> None:
    row = [(0.0, piece(each)) for each in Urgency for _ in range(500) if each is not urgency]
    one = piece(urgency, size)
    left = {each: at for at, each in run(Lanes(RATE), [*row, (0.5, one)])}
    assert left[one] <= 2 * SECOND


def test_what_has_waited_too_long_waits_no_more() -> None:
    lanes = Lanes(RATE)
    early, late, hastened = (piece(Urgency.ORDER, 1, key, 60.0 + n) for n, key in enumerate(["A", "B", "C"]))
    for each in (early, late, hastened):
        lanes.put(each)
    lanes.hasten("C")
    assert lanes.late(59.9) == []
    assert lanes.late(60.5) == [early]
    assert lanes.late(500) == [late], "what goes before its cancel is never too late"
    assert lanes.due(500) is hastened
    assert lanes.due(500) is None
