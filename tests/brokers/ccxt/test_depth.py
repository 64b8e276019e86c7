"""A book out of a snapshot and changes: whole, or known to lack something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway.brokers.ccxt.depth import MOST_WAITING, Ladder, Step, sides
from txgateway.brokers.ccxt.public import Change, Row

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
Book = tuple[dict[D, D], dict[D, D]]


def rows(*levels: tuple[Any, Any]) -> tuple[Row, ...]:
    return tuple((D(str(price)), D(str(size))) for price, size in levels)


def change(last: int, before: int | None, bids: Sequence[Row] = (), asks: Sequence[Row] = (), **more: Any) -> Change:
    return Change("X", tuple(bids), tuple(asks), NOW, last, before, **more)


def shown(ladder: Ladder, levels: int = 100) -> list[list[tuple[D, D]]]:
    depth = ladder.depth("X", levels, NOW)
    return [[(each.price, each.size) for each in side] for side in (depth.bids, depth.asks)]


def synced() -> Ladder:
    ladder = Ladder()
    assert ladder.whole(rows((99, 1), (98, 2)), rows((101, 1), (102, 2)), NOW, 10) is Step.CHANGED
    return ladder


def test_the_best_come_first_and_as_many_as_asked() -> None:
    ladder = synced()
    assert shown(ladder) == [[(D(99), D(1)), (D(98), D(2))], [(D(101), D(1)), (D(102), D(2))]]
    assert shown(ladder, 1) == [[(D(99), D(1))], [(D(101), D(1))]]
    assert ladder.depth("X", 1, NOW).sequence == 10


def test_a_change_puts_moves_and_takes_away() -> None:
    ladder = synced()
    assert ladder.take(change(11, 10, rows((99, 0), (97, "0.5")), rows((101, 3)))) is Step.CHANGED
    assert shown(ladder) == [[(D(98), D(2)), (D(97), D("0.5"))], [(D(101), D(3)), (D(102), D(2))]]


def test_what_is_older_than_the_snapshot_is_left_out() -> None:
    ladder = synced()
    assert ladder.take(change(10, 8, rows((99, 0)))) is Step.OLD
    assert ladder.take(change(12, 9, rows((99, 5)))) is Step.CHANGED, "it reaches over the snapshot"
    assert ladder.take(change(13, 12, rows((98, 0)))) is Step.CHANGED
    assert shown(ladder)[0] == [(D(99), D(5))]


@pytest.mark.parametrize("before", [11, 12])
def test_a_missing_change_after_the_snapshot_is_a_gap(before: int) -> None:
    ladder = synced()
    assert ladder.take(change(15, before)) is Step.GAP
    assert not ladder.synced


def test_a_missing_change_later_is_a_gap_and_nothing_is_shown() -> None:
    ladder = synced()
    ladder.take(change(11, 10))
    assert ladder.take(change(14, 12, rows((99, 7)))) is Step.GAP
    assert shown(ladder) == [[], []]
    assert ladder.take(change(15, 14, rows((96, 1)))) is Step.WAITING
    assert ladder.whole(rows((99, 7)), (), NOW, 14) is Step.CHANGED, "what came since waits for the snapshot"
    assert shown(ladder)[0] == [(D(99), D(7)), (D(96), D(1))]


def test_a_repeated_change_with_another_past_is_a_gap_only_when_it_is_new() -> None:
    ladder = synced()
    ladder.take(change(11, 10))
    assert ladder.take(change(11, 10, rows((99, 9)))) is Step.OLD
    assert shown(ladder)[0][0] == (D(99), D(1))


def test_a_snapshot_that_is_too_old_is_a_gap_and_the_next_one_joins() -> None:
    ladder = Ladder()
    for last in (21, 22, 23):
        assert ladder.take(change(last, last - 1, rows((90, last)))) is Step.WAITING
    assert ladder.whole(rows((90, 1)), (), NOW, 15) is Step.GAP
    assert ladder.whole(rows((90, 1)), (), NOW, 22) is Step.CHANGED
    assert shown(ladder)[0] == [(D(90), D(23))]


def test_an_older_snapshot_of_a_whole_book_is_left_out() -> None:
    ladder = synced()
    ladder.take(change(11, 10, rows((99, 9))))
    assert ladder.whole(rows((99, 1)), (), NOW, 10) is Step.OLD
    assert shown(ladder)[0][0] == (D(99), D(9))
    assert ladder.whole(rows((99, 5)), (), NOW, 12) is Step.CHANGED
    assert ladder.take(change(13, 12, rows((98, 1)))) is Step.CHANGED


def test_a_stream_that_sends_snapshots_numbers_nothing() -> None:
    ladder = Ladder()
    assert ladder.take(change(0, None, rows((1, 1)))) is Step.WAITING
    assert ladder.take(change(0, None, rows((99, 1)), rows((101, 1)), whole=True)) is Step.CHANGED
    assert ladder.take(change(0, None, rows((99, 2)))) is Step.CHANGED
    assert shown(ladder)[0] == [(D(99), D(2))]
    ladder.reset()
    assert not ladder.synced


def test_a_crossed_book_is_known() -> None:
    ladder = synced()
    assert not ladder.crossed
    ladder.take(change(11, 10, rows((101, 1))))
    assert ladder.crossed


def test_what_waits_has_a_limit() -> None:
    ladder = Ladder()
    for last in range(MOST_WAITING + 50):
        ladder.take(change(last + 1, last))
    assert len(ladder._waiting) == MOST_WAITING


def test_an_answer_may_be_sorted_as_it_likes() -> None:
    bids, asks = sides(rows((9, 1), (100, 1), (99, 0)), rows((1000, 1), (101, 1)), 1)
    assert [each.price for each in (*bids, *asks)] == [100, 101]


PRICES = some.integers(1, 20).map(D)
SIZES = some.sampled_from([D(0), D(1), D("2.5"), D(7)])
SIDE = some.lists(some.tuples(PRICES, SIZES), max_size=4)


@given(
    some.lists(some.tuples(SIDE, SIDE, some.integers(1, 3)), min_size=1, max_size=12),
    some.integers(0, 12),
    some.integers(0, 12),
    some.integers(-1, 11),
)
def test_the_book_is_the_exchanges_or_known_to_lack_something(
    steps: list[tuple[list[Row], list[Row], int]], at: int, asked: int, lost: int
) -> None:
    """Changes come from the state `at` 0 on, the snapshot of another state comes among them, and one may be lost."""
    states: list[tuple[int, Book]] = [(100, ({}, {}))]
    changes: list[Change] = []
    for bids, asks, numbers in steps:
        last, (old_bids, old_asks) = states[-1]
        book: Book = ({**old_bids, **dict(bids)}, {**old_asks, **dict(asks)})
        book = tuple({price: size for price, size in side.items() if size} for side in book)  # type: ignore[assignment]
        states.append((last + numbers, book))
        changes.append(change(last + numbers, last, bids, asks))
    number, (bids_then, asks_then) = states[min(asked, len(steps))]
    ladder, gap = Ladder(), False
    for place, each in enumerate([*changes, None]):
        if place == min(at, len(changes)):
            gap |= ladder.whole(bids_then.items(), asks_then.items(), NOW, number) is Step.GAP
        if each is not None and place != lost:
            gap |= ladder.take(each) is Step.GAP
    if gap or not ladder.synced:
        return
    true = states[-1][1]
    if 0 <= lost == len(changes) - 1 and number < states[-1][0]:
        true = states[-2][1]  # nothing after it shows yet that the last one was lost
    elif 0 <= lost < len(changes):
        assert number >= states[lost + 1][0], "a lost change was not seen"
    top = ladder.top("X")
    assert (top.bid, top.ask) == (max(true[0], default=D(0)), min(true[1], default=D(0)))
    assert dict(shown(ladder)[0]) == true[0]
    assert dict(shown(ladder)[1]) == true[1]
