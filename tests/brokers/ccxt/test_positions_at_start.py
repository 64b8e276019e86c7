"""A futures account that has a position when the link is made: ccxt asks for nothing behind our back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest_twisted

from tests.brokers.ccxt.subject import BinanceUsdm
from txgateway.model.events import VenueStatus, VenueStatusChanged


@pytest_twisted.ensureDeferred
async def test_a_position_that_is_there_already(tmp_path: Path) -> None:
    subject, told = BinanceUsdm(tmp_path), []
    subject.control.do_place(subject.pair, "BUY", "0.5")
    broker = subject.make(told.append)
    broker.startService()
    try:
        for _ in range(subject.patience):
            if any(isinstance(each, VenueStatusChanged) and each.status is VenueStatus.RECONCILING for each in told):
                break
            await subject.pause()
        for _ in range(subject.stillness):
            await subject.pause()
        assert not [path for path in subject.emulator.counts if "positionRisk" in path]
        (position,) = await broker.positions()
        assert position.quantity == Decimal("0.5")
    finally:
        await broker.stopService()
        await subject.close()
