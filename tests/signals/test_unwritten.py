"""Signals while the journal cannot be written: the sender is told, nothing is sent, and sent again it is one order."""

from __future__ import annotations

import pytest

from tests.signals.house import House
from txgateway.model.errors import Reason, Refused
from txgateway.model.signal import Outcome

BUY = {"symbol": "IBM", "side": "BUY", "quantity": 10, "id": "alert 1"}


def failing() -> House:
    """A house that has just told its sender that nothing was taken in."""
    house = House().up()
    house.bench.journal.fail_with = OSError("disk full")
    for _ in range(2):
        with pytest.raises(Refused, match="disk full") as refused:
            house.answer(**BUY)
        assert refused.value.reason is Reason.JOURNAL_FAILED
    return house


def heal(house: House) -> None:
    house.bench.journal.fail_with = None
    house.bench.journal.sync()
    house.bench.turn(2)


def test_nothing_is_sent_for_what_was_not_taken_in() -> None:
    house = failing()
    heal(house)
    assert house.sent == []
    assert (house.signal.outcome, house.signal.reason) == (Outcome.REFUSED, Reason.JOURNAL_FAILED)
    assert not house.bench.gateway.state.strategies.pending


def test_sent_again_it_is_one_order() -> None:
    house = failing()
    heal(house)
    first = house.answer(**BUY)
    assert house.answer(**BUY) == first
    house.bench.turn(2)
    assert house.sent == [("BUY", 10, "IBM")]


def test_sent_again_after_a_restart_it_is_one_order() -> None:
    again = failing().restart().up()
    first = again.answer(**BUY)
    assert again.answer(**BUY) == first
    again.bench.turn(2)
    assert again.sent == [("BUY", 10, "IBM")]


def test_a_signal_that_is_known_waits_for_the_disk_too() -> None:
    house = House().up()
    house.bench.journal.hold = True
    first = house.begin(**BUY)
    house.bench.journal.hold, house.bench.journal.fail_with = False, OSError("disk full")
    again = house.begin(**BUY)
    house.bench.journal.sync()
    house.bench.turn()
    for each in (first, again):
        each.addErrback(lambda failure: failure.trap(Refused))
        assert each.called
    assert house.sent == []


def test_a_mark_that_comes_again_much_later_is_told_to_the_operator() -> None:
    house = House().up()
    first = house.answer(**BUY)
    assert house.signaling.tally("tv").warning == ""
    house.bench.turn(3600)
    assert house.answer(**BUY) == first
    assert "3600 s ago" in house.signaling.tally("tv").warning


def test_an_order_that_was_on_disk_and_never_arrived_is_sent_after_the_restart() -> None:
    """Killed between the two: the broker's whole history says that it was never there."""
    house = House().up()
    house.bench.broker.mode = "mute"
    first = house.answer(**BUY)
    house.bench.broker.mode = "fill"
    again = house.restart().up()
    again.bench.turn(2)
    assert again.answer(**BUY) == first
    assert [each.client_order_id for each in again.bench.broker.sent[1:]] == [f"sig:{again.signal.signal_id}:0+"]
    assert again.held() == 10
    assert (again.signal.outcome, again.signal.reason) == (Outcome.DONE, None)
    assert [each.key for each in again.bench.gateway.state.strategies.signals.values()] == ["id alert 1"]
