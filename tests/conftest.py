"""What holds for every test."""

from __future__ import annotations

import pytest
import pytest_twisted


@pytest.fixture(autouse=True)
def _reactor_runs(twisted_greenlet: object) -> None:
    """A signal stops the reactor that the tests run in: then the run is over, instead of failing test after test."""
    if pytest_twisted._instances.gr_twisted.dead:
        pytest.exit("the reactor has stopped: a signal has ended this run", 1)
