"""Whatever fails, and however often the daemon dies: in the end the desk knows what the counterparty's book says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from tests.gateway.rehearsal import Rehearsal

FOUND = [(18, "0"), (38, "0"), (116, "0"), (183, "0"), (684, "0.4"), (685, "0.4")]
"""Seeds that once found something."""


@pytest.fixture(autouse=True)
def no_failures() -> Iterator[None]:
    """Nothing that was not foreseen is logged, and no order came twice."""
    seen: list[LogEvent] = []
    globalLogPublisher.addObserver(seen.append)
    yield
    globalLogPublisher.removeObserver(seen.append)
    assert [formatEvent(event) for event in seen if event["log_level"] is LogLevel.critical] == []


@pytest.mark.parametrize(
    ("seed", "latency"), [*FOUND, *((seed, latency) for seed in range(20) for latency in ("0", "0.4"))]
)
def test_in_the_end_all_is_known(seed: int, latency: str, tmp_path: Path) -> None:
    rehearsal = Rehearsal(seed, tmp_path, latency)
    try:
        assert rehearsal.run() == []
    finally:
        rehearsal.end()
