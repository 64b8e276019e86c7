"""For every broker's tests: what was logged; and a failure in the log fails the test that did not expect it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher


class Logged:
    """The events logged during a test."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def texts(self, level: LogLevel) -> list[str]:
        """What was logged at a level."""
        return [formatEvent(event) for event in self.events if event["log_level"] is level]

    def expect(self, part: str, level: LogLevel = LogLevel.critical) -> None:
        """Take one event whose text has `part` as expected; fails when there is none."""
        for event in self.events:
            if event["log_level"] is level and part in formatEvent(event):
                self.events.remove(event)
                return
        pytest.fail(f"nothing like {part!r} was logged at {level.name}")


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """The log of this test. Critical events (every log.failure is one) must be expected."""
    seen = Logged()
    globalLogPublisher.addObserver(seen.events.append)
    yield seen
    globalLogPublisher.removeObserver(seen.events.append)
    assert seen.texts(LogLevel.critical) == []
