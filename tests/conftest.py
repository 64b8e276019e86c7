"""What holds for every test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings

collect_ignore = ["example_broker"]  # a package of its own: tests/e2e/test_authors_page.py runs its tests

# How long an example takes says how busy the machine is.
settings.register_profile("txgateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("txgateway")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background is started so, and every program that a test starts would be deaf to Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


HERE = Path(__file__).parent
SLOW = ("bench", "e2e", "brokers/ib", "brokers/rtx")
"""Where tests wait for a daemon or a clock."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: two for each core, for most of the time is spent waiting; eight at most."""
    return min(8, 2 * (os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that at the end no worker waits for another's long file."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(HERE / folder) for folder in SLOW))


@pytest.fixture(autouse=True)
def _reactor_runs(twisted_greenlet: object) -> None:
    """A signal stops the reactor that the tests run in: then the run is over, instead of failing test after test."""
    if pytest_twisted._instances.gr_twisted.dead:
        pytest.exit("the reactor has stopped: a signal has ended this run", 1)
