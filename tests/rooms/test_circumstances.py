"""What of no order's own records is told in an order's story."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from txgateway.circumstances import Told, bearing
from txgateway.model.events import (
    Event,
    Record,
    SettingChanged,
    TradingHalted,
    TradingResumed,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.halts import HaltLevel
from txgateway.model.order import Origin
from txgateway.model.scope import Scope, Subject

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ME = Subject("paper", "ACC", "me", Origin.RPC, "IBM")


def journal(*events: Event) -> list[Told]:
    """Records from seq 1 on."""
    number = count(1)
    return [(Record(next(number), NOW, event), "") for event in events]


def told(events: list[Told], first: int) -> list[int]:
    """Which of them bear on an order of mine that began at seq `first`."""
    return [record.seq for record, _ in bearing(reversed(events), ME, first)]


def halted(scope: str, level: HaltLevel = HaltLevel.REDUCE_ONLY) -> TradingHalted:
    return TradingHalted("why", "boss", NOW, Scope.parse(scope), level)


def resumed(scope: str) -> TradingResumed:
    return TradingResumed("boss", NOW, Scope.parse(scope))


def faults(value: str | None, venue: str = "paper") -> SettingChanged:
    return SettingChanged(f"faults:{venue}", value, "boss", NOW)


def status(venue: str) -> VenueStatusChanged:
    return VenueStatusChanged(venue, VenueStatus.UP, "", NOW)


def test_before_the_order_only_what_was_in_force_when_it_began() -> None:
    events = journal(
        faults("slow"), faults("lost_ack"), halted("symbol:IBM"), resumed("symbol:IBM"), halted("owner:me")
    )
    assert told(events, 6) == [2, 5]
    assert told(events, 0) == [1, 2, 3, 4, 5]
    assert told(journal(faults("slow"), faults(None)), 3) == []


def test_a_stricter_halt_takes_the_place_of_the_one_before() -> None:
    assert told(journal(halted("gateway"), halted("gateway", HaltLevel.HALTED)), 3) == [2]


def test_only_what_covers_it() -> None:
    others = journal(
        faults("slow", "other"), halted("symbol:MSFT"), halted("owner:you"), halted("source:me"), status("other")
    )
    assert told(others, 0) == []
    route = SettingChanged("route", "DEMO", "boss", NOW)
    assert told(journal(route, status("paper"), halted("account:ACC"), resumed("account:ACC")), 0) == [2, 3, 4]
