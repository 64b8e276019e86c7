"""Where a listener stands, without sockets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from txgateway_monitor.lines import Line, LineParser
from txgateway_monitor.resume import NOTES_KEPT, Position, PositionFile

PARSER = LineParser()
PARSER.authorized(".Authorized paper")


def line(text: str) -> Line:
    """A line of the channel `paper`."""
    parsed = PARSER.parse(f"paper.{text}")
    assert parsed is not None
    return parsed


def order(seq: int, order_id: str = "A") -> Line:
    """An order-data line."""
    return line(f"order-data {json.dumps({'permid': order_id, 'seq': seq})}")


def execution(seq: int, execution_id: str = "E") -> Line:
    """An execution-data line."""
    return line(f"execution-data {json.dumps({'ORDER_ID': execution_id, 'seq': seq})}")


def note(text: str) -> Line:
    """An order notification."""
    return line(f"order.{text}")


def new(position: Position, *lines: Line) -> list[bool]:
    """Which of these lines are new."""
    return [position.is_new(line) for line in lines]


def test_one_record_may_have_several_lines() -> None:
    position = Position()
    assert new(position, execution(5), order(5), order(5, "B"), execution(5), order(5)) == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert position.seq == 5


def test_the_last_record_is_asked_for_again_and_what_was_seen_of_it_is_not_new() -> None:
    position = Position()
    assert position.resume is None
    new(position, order(4), execution(5))
    assert position.resume == 4
    position.authorized(None)
    assert new(position, execution(5), order(5), order(6)) == [False, True, True]
    assert not position.is_ahead


def test_a_position_that_was_given_is_asked_for_as_it_is() -> None:
    position = Position(7)
    assert position.resume == 7
    assert new(position, order(8)) == [True]
    assert position.resume == 7
    assert Position(0).resume == 0


def test_positions_and_statuses_have_numbers_too() -> None:
    position = Position()
    fill = line('position-data {"account": "A", "symbol": "IBM", "quantity": 5, "seq": 7}')
    status = line('status-data {"event": "TradingHalted", "seq": 8}')
    assert new(position, execution(7), fill, fill, status, status) == [True, True, False, True, False]
    position.authorized(8)
    assert new(position, status, order(9)) == [False, True]


def test_lower_numbers_are_left_out_and_told() -> None:
    position = Position()
    assert new(position, order(5), order(3), order(6)) == [True, False, True]
    assert position.is_ahead


def test_the_gateways_position_is_where_a_new_listener_begins() -> None:
    position = Position()
    assert position.authorized(17)
    assert position.resume == 17


def test_a_gateway_whose_journal_ends_before_ours_has_another_journal() -> None:
    position = Position()
    new(position, order(500), order(501))
    assert position.authorized(501)
    assert not position.authorized(10)
    assert position.resume == 10
    assert new(position, order(11)) == [True]


def test_lines_without_a_number_are_always_new() -> None:
    position = Position(5)
    texts = [
        "order-data {}",
        'order-data {"seq": "7"}',
        'order-data {"seq": true}',
        "order-data [1]",
        "order-data junk",
    ]
    lines = [*map(line, texts), line("quote.IBM:1 2 3 4")]
    assert new(position, *lines, *lines) == [True] * 12
    assert position.seq == 5


def test_notifications_of_the_last_record_and_after_it_are_not_repeated() -> None:
    position = Position()
    new(position, note("A New"), order(1), note("A Pending"), order(2), note("A Pending"))
    position.authorized(None)
    again = [note("A Pending"), order(2), note("A Pending"), order(3), note("A Pending"), order(4)]
    assert new(position, *again) == [False, False, False, True, True, True]


def test_a_second_cut_in_the_repeated_part_changes_nothing() -> None:
    position = Position()
    new(position, note("1"), order(1), note("2a"), execution(2), note("2b"))
    for _ in range(3):
        position.authorized(None)
        assert new(position, note("2a"), execution(2)) == [False, False]
    position.authorized(None)
    assert new(position, note("2a"), execution(2), note("2b"), order(2)) == [False, False, False, True]


def test_a_gateway_that_repeats_no_notifications_is_heard() -> None:
    position = Position()
    new(position, note("A New"), order(1))
    position.authorized(None)
    assert new(position, order(1), note("A Filled"), note("A New")) == [False, True, True]


def test_notifications_without_data_are_kept_up_to_a_limit() -> None:
    position = Position()
    new(position, *(note(str(n)) for n in range(NOTES_KEPT + 5)))
    assert len(json.loads(position.to_text())["notes"]) == NOTES_KEPT


def test_a_position_survives_as_text() -> None:
    position = Position()
    new(position, note("E"), execution(5), note("A"))
    again = Position.from_text(position.to_text())
    again.authorized(None)
    assert again.resume == 4
    assert new(again, note("E"), execution(5), note("A"), order(5)) == [False, False, False, True]


@pytest.mark.parametrize(
    "text", ["", "[]", "17", "{}", '{"seq": "x", "seen": [], "notes": []}', '{"seq": 1, "seen": 5}']
)
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="no position of a monitor"):
        Position.from_text(text)


def test_a_file_keeps_a_position(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "place")
    assert file.load() is None
    file.save(Position(5).to_text())
    file.save(Position(6).to_text())
    kept = file.load()
    assert kept is not None
    assert kept.resume == 6
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    file.path.write_text("half a {")
    with pytest.raises(ValueError, match=r"place: no position .* delete it"):
        file.load()
