"""The rtx broker keeps every rule that its flags promise, against an emulated rtgw on a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted

from tests.brokers.rtx.subject import Rtx
from txgateway.brokers.conformance import Case, cases
from txgateway.brokers.rtx import RtxBroker

ALL = cases(RtxBroker.can)


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest_twisted.ensureDeferred
async def test_the_rtx_broker_keeps(case: Case, tmp_path: Path) -> None:
    await case.run(Rtx(tmp_path))


def test_it_is_asked_nearly_everything() -> None:
    """What it leaves to the gateway to bind together; and EXCESS_EQ, its cash, moves with the market.

    And it shows no book, and has no perpetuals.
    """
    left_out = {str(case) for case in cases() if case.number < 120} - {str(case) for case in ALL}
    assert left_out == {
        "C44-what-one-fills-ends-the-others",
        "C45-what-one-fills-is-taken-off-the-others",
        "C46-exits-of-one-parent-are-bound",
        "C47-a-bracket-waits-for-its-entry-and-ends-with-it",
        "C48-of-a-bracket-one-exit-ends-the-other",
        "C49-of-a-bracket-what-one-exit-fills-is-taken-off-the-other",
        "C69-cash-is-moved-by-the-fills-alone",
        "C117-a-fee-that-nobody-tells-of-is-in-the-balances",
    }
