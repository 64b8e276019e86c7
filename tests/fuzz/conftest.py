"""How long is fuzzed: some seconds with the other tests, longer when FUZZ_SECONDS says so."""

from __future__ import annotations

import os

import pytest

from tests.e2e.conftest import make_daemon  # noqa: F401  its daemons are searched for tracebacks and secrets


@pytest.fixture
def seconds() -> float:
    """How long a test may go on sending."""
    return float(os.environ.get("FUZZ_SECONDS", "2"))
