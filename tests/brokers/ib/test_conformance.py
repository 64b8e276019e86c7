"""The tws broker keeps every rule that its flags promise, against an emulated TWS on a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted

from tests.brokers.ib.subject import Tws
from txgateway.brokers.conformance import Case, cases
from txgateway.brokers.ib import IbBroker

ALL = cases(IbBroker.can)


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest_twisted.ensureDeferred
async def test_the_tws_broker_keeps(case: Case, tmp_path: Path) -> None:
    await case.run(Tws(tmp_path))


def test_it_is_asked_nearly_everything() -> None:
    left_out = {str(case) for case in cases() if case.number < 120} - {str(case) for case in ALL}
    assert {name.partition("-")[0] for name in left_out} == {"C44", "C45", "C46", "C69", "C117"} | {
        name.partition("-")[0] for name in left_out if name.startswith("C7")
    }
    assert {"C130", "C131"} <= {str(case).partition("-")[0] for case in ALL}
