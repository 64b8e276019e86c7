"""AUTO_RESET, in a daemon inside the test: only there can its clock be a minute before LOCAL_RESET_TIME."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.daemon import PATIENCE
from txgateway import config
from txgateway.model.events import VenueStatusChanged
from txgateway.service import GatewayService, make_service

RESET = datetime(2024, 3, 4, 10, 0, tzinfo=UTC)
"""05:00 in New York."""


class WallClock:
    """A clock that stands so many seconds before RESET until it is let go, and then goes at a given pace."""

    def __init__(self, before: float, pace: float = 1.0) -> None:
        self._since: float | None = None
        self._before = before
        self._pace = pace

    def go(self) -> None:
        """Begin: a daemon that is slow to start is not too late for its reset."""
        self._since = reactor.seconds()

    def __call__(self) -> datetime:
        gone = 0.0 if self._since is None else (reactor.seconds() - self._since) * self._pace
        return RESET + timedelta(seconds=gone - self._before)


@pytest.fixture
def statuses() -> list[str]:
    return []


@pytest.fixture
def services() -> Iterator[list[GatewayService]]:
    """Those that a test starts; they are stopped after it."""
    services: list[GatewayService] = []
    yield services
    for service in services:
        pytest_twisted.blockon(service.stopService())


async def start(
    folder: Path, clock: WallClock, statuses: list[str], services: list[GatewayService], **more: str
) -> GatewayService:
    """A daemon that is up, and its clock goes."""
    environ = {"DATA_DIR": str(folder), "HTTP_PORT": "0", "TCP_PORT": "0", "LOCAL_RESET_TIME": "05:00", **more}
    settings = config.load({"HOME": str(folder), **{f"TXGATEWAY_{name}": text for name, text in environ.items()}})
    service = make_service(settings, reactor, clock)
    service.prepare()

    def heard(change: Any) -> None:
        if isinstance(change.record.event, VenueStatusChanged):
            statuses.append(change.record.event.status.value)

    service.gateway.listeners.append(heard)
    service.startService()
    services.append(service)
    await until(lambda: statuses == ["CONNECTING", "RECONCILING", "UP"])
    clock.go()
    return service


async def until(condition: Any) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("waited in vain")


async def pass_time(clock: WallClock, seconds_after: float) -> None:
    """Until the clock is so far past the reset."""
    await until(lambda: clock() >= RESET + timedelta(seconds=seconds_after))


@pytest_twisted.ensureDeferred
async def test_the_venue_is_reconnected_and_reconciled_at_its_time(
    tmp_path: Path, statuses: list[str], services: list[GatewayService]
) -> None:
    clock = WallClock(before=0.6)
    service = await start(tmp_path, clock, statuses, services)
    await until(lambda: len(statuses) == 8)
    assert clock() >= RESET - timedelta(seconds=0.05)
    assert statuses[3:] == ["STOPPING", "DOWN", "CONNECTING", "RECONCILING", "UP"]
    assert service.running


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_slow_does_not_reset_twice(
    tmp_path: Path, statuses: list[str], services: list[GatewayService]
) -> None:
    """The timer then ends before its time: by 60 ms here, by as much in a day on a machine whose clock is corrected."""
    clock = WallClock(before=0.6, pace=0.9)
    await start(tmp_path, clock, statuses, services)
    await until(lambda: statuses.count("CONNECTING") == 2)
    await pass_time(clock, 0.3)
    assert statuses.count("CONNECTING") == 2


@pytest_twisted.ensureDeferred
async def test_without_auto_reset_nothing_happens(
    tmp_path: Path, statuses: list[str], services: list[GatewayService]
) -> None:
    clock = WallClock(before=0.4)
    await start(tmp_path, clock, statuses, services, ENABLE_AUTO_RESET="0")
    await pass_time(clock, 0.3)
    assert statuses == ["CONNECTING", "RECONCILING", "UP"]
