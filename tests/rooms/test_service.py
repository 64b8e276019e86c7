"""The daemon in this process: what happens by the clock, and what a venue's trouble leads to."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import pytz
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txgateway import config
from txgateway.access import Caller
from txgateway.model.events import VenueError, VenueStatus, VenueStatusChanged
from txgateway.model.market import Trade
from txgateway.model.order import Origin
from txgateway.service import CannotStart, GatewayService, make_service

ME = Caller("me", Origin.RPC)

NEW_YORK = pytz.timezone("America/New_York")


def settings(folder: Path, **environment: str) -> config.Config:
    """A configuration on free ports."""
    given = {"DATA_DIR": str(folder), "HTTP_PORT": "0", "TCP_PORT": "0", **environment}
    return config.load({f"TXGATEWAY_{name}": value for name, value in given.items()})


class Hands:
    """A wall clock that stands still at a New York time until a test moves it."""

    def __init__(self, local: str) -> None:
        self.now = NEW_YORK.localize(datetime.fromisoformat(local)).astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@asynccontextmanager
async def running(folder: Path, clock: Callable[[], datetime] | None = None, **environment: str) -> AsyncIterator[Any]:
    """The daemon, up; stopped in order at the end."""
    arguments: list[Any] = [settings(folder, **environment), reactor]
    service = make_service(*arguments, *([clock] if clock else []))
    service.prepare()
    service.startService()
    try:
        await told(service, VenueStatus.UP)
        yield service
    finally:
        await service.stopService()
    assert not service.failed


def told(service: GatewayService, status: VenueStatus) -> Deferred[None]:
    """Fires when the venue's status is, or becomes, this one."""
    done: Deferred[None] = Deferred()

    def look(change: Any = None) -> None:
        event = change.record.event if change else None
        reached = isinstance(event, VenueStatusChanged) and event.status is status
        if (reached or (change is None and service.gateway.intake.status["paper"] is status)) and not done.called:
            done.callback(None)

    service.gateway.listeners.append(look)
    look()
    return done.addTimeout(30, reactor)


@pytest_twisted.ensureDeferred
async def test_at_the_reset_time_the_venue_is_connected_anew(tmp_path: Path) -> None:
    clock = Hands("2026-03-03 04:59:59.900")
    async with running(tmp_path, clock, LOCAL_RESET_TIME="05:00") as service:
        clock.move(0.2)
        await told(service, VenueStatus.DOWN)
        await told(service, VenueStatus.UP)


@pytest_twisted.ensureDeferred
async def test_without_auto_reset_it_is_left_alone(tmp_path: Path) -> None:
    clock = Hands("2026-03-03 04:59:59.900")
    async with running(tmp_path, clock, LOCAL_RESET_TIME="05:00", ENABLE_AUTO_RESET="0") as service:
        assert all("_reset" not in str(call) for call in reactor.getDelayedCalls())  # type: ignore[attr-defined]
        assert service.gateway.intake.status["paper"] is VenueStatus.UP


@pytest_twisted.ensureDeferred
async def test_a_venue_that_stays_away_is_complained_about(tmp_path: Path) -> None:
    async with running(tmp_path, GATEWAY_DISCONNECT_TIMEOUT="0.1") as service:
        complaints: Deferred[VenueError] = Deferred()
        service.publisher.venue_error = complaints.callback
        await service.api.call("gateway_logoff", ME, {})
        complaint = await complaints.addTimeout(30, reactor)
        assert "has been away for 0.1 s" in complaint.text
        await service.api.call("gateway_logon", ME, {})
        await told(service, VenueStatus.UP)


@pytest_twisted.ensureDeferred
async def test_a_venues_errors_are_told_unless_their_codes_are_suppressed(tmp_path: Path) -> None:
    async with running(tmp_path, SUPPRESS_ERROR_CODES="2100,2104") as service:
        heard: list[VenueError] = []
        service.publisher.venue_error = heard.append
        report = partial(service.venues.report, "paper")
        report(VenueError("paper", 2104, "farm is fine"))
        report(VenueError("paper", 1100, "link lost"))
        assert [each.code for each in heard] == [1100]
        venue = service.api.call("query_venues", ME, {})["paper"]
        assert (venue.errors, venue.last_error) == (1, "1100 link lost")


@pytest_twisted.ensureDeferred
async def test_the_clock_is_moved_by_the_offset_and_cut_to_minutes_where_configured(tmp_path: Path) -> None:
    clock = Hands("2026-03-03 10:00:30")
    async with running(tmp_path, clock, TIME_OFFSET="3600", ENABLE_SECONDS_TICK="0") as service:
        assert service.api.call("time", ME, {}) == "2026-03-03 11:00:00"


@pytest_twisted.ensureDeferred
async def test_a_port_in_use_and_a_journal_in_use_are_said_in_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path / "a") as service:
        port = int(service.ports.http.rpartition(":")[2])
        other = make_service(settings(tmp_path / "b", HTTP_PORT=str(port)), reactor)
        with pytest.raises(CannotStart, match=f"Port {port} on 127.0.0.1 cannot be bound .*TXGATEWAY_HTTP_PORT"):
            other.prepare()
        second = make_service(settings(tmp_path / "a"), reactor)
        with pytest.raises(CannotStart, match="in use by another txgatewayd"):
            second.prepare()


@pytest_twisted.ensureDeferred
async def test_the_password_is_left_where_commands_can_read_it_and_only_they(tmp_path: Path) -> None:
    async with running(tmp_path):
        password = tmp_path / "password"
        assert password.read_text() == "txtrader_pass\n"
        assert password.stat().st_mode & 0o777 == 0o600
    async with running(tmp_path / "other", PASSWORD="mine"):
        assert not (tmp_path / "other" / "password").exists()


@pytest_twisted.ensureDeferred
async def test_a_new_day_begins_by_the_venues_clock(tmp_path: Path) -> None:
    clock = Hands("2026-03-03 23:59:59.500")
    async with running(tmp_path, clock) as service:
        state = service.gateway.state
        first = state.trading_day("paper")
        rolled: Deferred[None] = Deferred()

        def look(change: Any) -> None:
            if state.trading_day("paper") != first and not rolled.called:
                rolled.callback(None)

        service.gateway.listeners.append(look)
        clock.move(1)
        await rolled.addTimeout(30, reactor)
        assert state.trading_day("paper") - first == timedelta(days=1)


@pytest_twisted.ensureDeferred
async def test_a_venue_that_connects_again_and_again_is_connected_once_more_after_its_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txgateway.flaps.MANY", 5)
    monkeypatch.setattr("txgateway.venues.REST", 0.05)
    async with running(tmp_path) as service:
        report = partial(service.venues.report, "paper")
        service.venues._flaps["paper"]._last = deque(maxlen=5)
        for _ in range(5):
            report(VenueStatusChanged("paper", VenueStatus.DOWN, "", service._clock()))
            report(VenueStatusChanged("paper", VenueStatus.RECONCILING, "", service._clock()))
        assert service.gateway.intake.status["paper"] is VenueStatus.DOWN
        report(VenueStatusChanged("paper", VenueStatus.RECONCILING, "it does not listen", service._clock()))
        assert service.gateway.intake.status["paper"] is VenueStatus.DOWN
        venue = service.api.call("query_venues", ME, {})["paper"]
        assert "it connects again and again" in venue.last_error
        await told(service, VenueStatus.UP)


@pytest_twisted.ensureDeferred
async def test_a_venue_that_a_person_logged_off_is_connected_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, LOCAL_RESET_TIME="05:00") as service:
        started: list[str] = []
        monkeypatch.setattr(service.venues, "_start", lambda name, broker: started.append(name))
        await service.api.call("gateway_logoff", ME, {})
        service.venues._reset(service._clock())
        service.venues._end_rest("paper")
        await told(service, VenueStatus.DOWN)
        assert started == []
        await service.api.call("gateway_logon", ME, {})
        service.venues._end_rest("paper")
        await Deferred.fromCoroutine(service.venues._reconnect("paper", service.brokers["paper"]))
        assert "paper" in started
        service.brokers["paper"].startService()


@pytest_twisted.ensureDeferred
async def test_who_is_told_that_a_venue_is_away_is_told_why(tmp_path: Path) -> None:
    async with running(tmp_path, GATEWAY_DISCONNECT_TIMEOUT="0.1") as service:
        complaints: Deferred[VenueError] = Deferred()
        report = partial(service.venues.report, "paper")
        service.publisher.venue_error = lambda event: None
        report(VenueStatusChanged("paper", VenueStatus.DOWN, "the link is gone: reset by peer", service._clock()))
        assert service.venues._why_away("paper") == "the link is gone: reset by peer"
        report(VenueError("paper", 502, "Connection refused"))
        service.publisher.venue_error = complaints.callback
        complaint = await complaints.addTimeout(30, reactor)
        assert complaint.text == "venue paper has been away for 0.1 s: 502 Connection refused"
        service.publisher.venue_error = lambda event: None


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_taken_in_is_the_trouble_of_its_venue_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        report = partial(service.venues.report, "paper")
        ticker = await service.feed.add("IBM", "me")
        assert ticker is not None
        for _ in range(3):
            report(Trade("IBM", Decimal("NaN"), Decimal(1), service._clock()))
            report(object())
        vitals = service._vitals["paper"]
        assert vitals.errors == 6
        assert vitals.last_error.startswith("object: ")
