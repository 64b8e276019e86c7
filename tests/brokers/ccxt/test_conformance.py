"""The ccxt broker keeps every rule that its flags promise, against each emulated exchange on a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import SUBJECTS
from txgateway.brokers import Can
from txgateway.brokers.ccxt import feeds, peculiarities
from txgateway.brokers.conformance import Case, cases


def claimed(name: str) -> Can:
    """What its broker claims, with its endpoints open."""
    subject = SUBJECTS[name]
    rows = peculiarities.of(subject.exchange, subject.market, {}), feeds.of(subject.exchange, subject.market, {})
    return rows[0].can | rows[1].can | Can.RAW


ALL = [(name, case) for name in SUBJECTS for case in cases(claimed(name))]


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{name}-{case}" for name, case in ALL])
@pytest_twisted.ensureDeferred
async def test_the_ccxt_broker_keeps(name: str, case: Case, tmp_path: Path) -> None:
    await case.run(SUBJECTS[name](tmp_path))
