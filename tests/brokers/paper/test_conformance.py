"""The paper broker keeps every rule, with and without a way to go, and when something fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.brokers.contract import Paper, check
from txgateway.brokers import Can
from txgateway.brokers.conformance import Case, cases
from txgateway.brokers.paper import PaperBroker

ALL = cases(PaperBroker.can)
LOUD = {"the-same-order-twice-is-one", "a-ticket-is-released-once"}
"""What the paper broker will not let pass without a word."""


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("latency", ["0", "0.3"])
def test_the_paper_broker_keeps(case: Case, latency: str, tmp_path: Path, logged: Any) -> None:
    check(case, Paper(tmp_path, latency=latency))
    if case.name in LOUD:
        logged.expect("came a second time")


def test_it_is_asked_everything() -> None:
    elsewhere = Can.FUNDING | Can.LEVERAGE | Can.POSITION_MODE | Can.RATE_LIMITS | Can.RAW
    assert cases(~(Can.OCO | Can.BRACKET | elsewhere)) == ALL, (
        "all but those of orders that it leaves to the gateway to bind together"
    )
