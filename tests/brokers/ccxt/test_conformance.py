"""The ccxt broker keeps every rule that its flags promise, against each emulated exchange on a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import SUBJECTS
from txgateway.brokers.ccxt.peculiarities import TABLE
from txgateway.brokers.conformance import Case, cases

ALL = [(name, case) for name in SUBJECTS for case in cases(TABLE[name].can)]


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{name}-{case}" for name, case in ALL])
@pytest_twisted.ensureDeferred
async def test_the_ccxt_broker_keeps(name: str, case: Case, tmp_path: Path) -> None:
    await case.run(SUBJECTS[name](tmp_path))
