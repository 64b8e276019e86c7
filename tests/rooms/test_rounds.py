"""What is done each second."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from txgateway.rounds import Rounds


@pytest.fixture
def logged() -> list[LogEvent]:
    """What is logged meanwhile."""
    found: list[LogEvent] = []
    globalLogPublisher.addObserver(found.append)
    yield found  # type: ignore[misc]
    globalLogPublisher.removeObserver(found.append)


def test_a_step_that_fails_keeps_no_other_from_being_done(logged: list[LogEvent]) -> None:
    clock, done, failed = Clock(), [], []

    def breaks() -> None:
        done.append("breaks")
        raise ZeroDivisionError

    rounds = Rounds((breaks, lambda: done.append("next")), clock, failed.append)
    rounds.start()
    assert done == []
    clock.pump([1.0, 1.0])
    assert done == ["breaks", "next"] * 2
    assert failed == ["what is done each second"] * 2
    assert "breaks" in logged[0]["step"]


def test_nothing_is_done_once_it_is_stopped() -> None:
    clock, done = Clock(), []
    rounds = Rounds((lambda: done.append(1),), clock, print)
    rounds.start()
    clock.advance(1.0)
    rounds.stop()
    clock.advance(10.0)
    assert done == [1]
    assert not clock.getDelayedCalls()
