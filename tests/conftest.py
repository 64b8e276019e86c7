"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
import pytest_twisted
from hypothesis import settings

settings.register_profile("txgateway", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("txgateway")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background is started so, and every program that a test starts would be deaf to Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _reactor_runs(twisted_greenlet: object) -> None:
    """A signal stops the reactor that the tests run in: then the run is over, instead of failing test after test."""
    if pytest_twisted._instances.gr_twisted.dead:
        pytest.exit("the reactor has stopped: a signal has ended this run", 1)
