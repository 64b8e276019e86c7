"""Binance ends a private stream by itself: the link is made anew, and what happens afterwards is heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot, BinanceUsdm, Exchange
from txgateway.model.events import VenueStatus, VenueStatusChanged


def statuses(told: list[Any]) -> list[VenueStatus]:
    return [each.status for each in told if isinstance(each, VenueStatusChanged)]


async def until(subject: Exchange, condition: Callable[[], Any]) -> None:
    for _ in range(subject.patience):
        if condition():
            return
        await subject.pause()
    raise AssertionError("it did not come")


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (BinanceSpot, "terminate"),
        (BinanceSpot, "end_of_day"),
        (BinanceUsdm, "expire_keys"),
        (BinanceUsdm, "end_of_day"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_stream_that_ends_is_begun_anew(kind: type[Exchange], ends: str, tmp_path: Path) -> None:
    subject, told = kind(tmp_path), []
    broker: Any = subject.make(told.append)
    broker.startService()
    try:
        await until(subject, lambda: statuses(told).count(VenueStatus.RECONCILING) == 1)
        getattr(subject.control, f"do_{ends}")()
        await until(subject, lambda: statuses(told).count(VenueStatus.RECONCILING) == 2)
        assert VenueStatus.DOWN in statuses(told)
        subject.control.do_place(subject.pair, "BUY", "0.5")
        await until(subject, lambda: any(type(each).__name__ == "Executed" for each in told))
    finally:
        await broker.stopService()
        await subject.close()
