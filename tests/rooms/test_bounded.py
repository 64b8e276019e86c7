"""The wall around a venue's broker, and what is measured there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.desk import ChosenBroker
from txgateway.bounded import STOP_SECONDS, BoundedBroker, Deadlines
from txgateway.model.account import Position
from txgateway.model.errors import Reason, Refused, TimedOut
from txgateway.model.events import OrderAccepted, OrderRejected
from txgateway.vitals import AWAITED, KEPT, Vitals

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class House:
    """A broker behind its wall, on a clock that tests move."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.broker: Any = ChosenBroker(self.clock)
        self.vitals = Vitals(self.clock.seconds)
        self.wall = BoundedBroker(self.broker, Deadlines(position=20), self.clock, self.now, self.vitals)

    def now(self) -> datetime:
        return START + timedelta(days=1)

    def ask(self, work: Any) -> list[Any]:
        box: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(box.append)
        return box


@pytest.fixture
def flushed() -> Iterator[Callable[[type[Exception]], list[Any]]]:
    """Gives the failures of a kind that were logged since it was called last."""
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)

    def flush(kind: type[Exception]) -> list[Any]:
        found = [each for each in events if "log_failure" in each and each["log_failure"].check(kind)]
        events.clear()
        return found

    yield flush
    globalLogPublisher.removeObserver(events.append)


def stubborn() -> Any:
    async def wait() -> None:
        while True:
            try:
                await Deferred()
            except CancelledError:
                continue

    return wait()


def test_a_question_that_cannot_be_called_off_ends_in_time_all_the_same() -> None:
    house = House()
    house.broker.positions = stubborn
    box = house.ask(house.wall.positions())
    house.clock.advance(19.9)
    assert box == []
    house.clock.advance(0.2)
    assert box[0].check(TimedOut)
    assert (house.vitals.errors, house.vitals.questions.count) == (1, 0)
    assert "did not answer positions within 20 s" in house.vitals.last_error


def test_a_late_answer_is_nobodys() -> None:
    house, late = House(), Deferred[Any](lambda _: None)

    async def positions() -> Any:
        return await late

    house.broker.positions = positions
    box = house.ask(house.wall.positions())
    house.clock.advance(21)
    assert box[0].check(TimedOut)
    if not late.called:
        late.errback(ValueError("too late"))
    assert len(box) == 1
    assert house.clock.getDelayedCalls() == []


def test_a_defect_of_a_question_is_a_refusal(flushed: Any) -> None:
    house = House()
    house.broker.instrument = lambda symbol: 1 / 0
    box = house.ask(house.wall.instrument("IBM"))
    assert box[0].check(Refused)
    assert box[0].value.reason is Reason.VENUE_FAILED
    assert "made an error over instrument (ZeroDivisionError: division by zero)" in box[0].value.text
    assert house.vitals.errors == 1
    assert len(flushed(ZeroDivisionError)) == 1


def test_what_is_asked_at_once_has_an_answer(flushed: Any) -> None:
    house = House()
    assert list(house.wall.accounts()) == ["ACC", "OTHER"]

    def broken(*given: Any) -> Any:
        raise RuntimeError("no")

    for name in ("now", "accounts", "subscribe", "unsubscribe", "faults", "stopService", "set_primary_exchange"):
        setattr(house.broker, name, broken)
    assert list(house.wall.accounts()) == ["ACC", "OTHER"]
    assert house.wall.now() == house.now()
    house.wall.subscribe("IBM")
    house.wall.unsubscribe("IBM")
    assert house.wall.faults() == ()
    assert house.wall.stopService().called
    traces = len(flushed(RuntimeError))
    assert traces == 6
    for _ in range(50):
        house.wall.now()
    assert flushed(RuntimeError) == [], "a traceback each time would fill the disk"
    assert house.vitals.errors == 56


def test_what_makes_no_sense_is_as_good_as_an_error(flushed: Any) -> None:
    house = House()
    house.broker.now = lambda: datetime(2026, 3, 2)  # noqa: DTZ001
    assert house.wall.now() == house.now()
    house.broker.now = lambda: None
    assert house.wall.now() == house.now()
    house.broker.accounts = lambda: None
    assert list(house.wall.accounts()) == []
    assert house.vitals.errors == 3


def test_no_venue_may_claim_the_account_of_another() -> None:
    house = House()
    wall = BoundedBroker(house.broker, Deadlines(), house.clock, house.now, house.vitals, others=["OTHER", "MINE"])
    assert list(wall.accounts()) == ["ACC"]
    assert list(wall.accounts()) == ["ACC"]
    assert house.vitals.errors == 1
    assert "OTHER stay there" in house.vitals.last_error


def test_a_stop_that_never_ends_is_not_waited_for() -> None:
    house = House()
    house.broker.stopService = lambda: Deferred(lambda _: None)
    stopped = house.wall.stopService()
    house.clock.advance(STOP_SECONDS - 0.1)
    assert not stopped.called
    house.clock.advance(0.2)
    assert stopped.called
    assert house.vitals.errors == 1


def test_latency_is_from_sending_to_the_first_answer() -> None:
    clock = Clock()
    vitals = Vitals(clock.seconds)
    assert (vitals.orders.read().p50_ms, vitals.orders.read().count) == (None, 0)
    for number in range(1, 201):
        vitals.sent(f"o{number}")
        clock.advance(number / 1000)
        vitals.told(OrderAccepted(f"o{number}", "B", START))
        vitals.told(OrderAccepted(f"o{number}", "B", START))
    read = vitals.orders.read()
    assert (read.count, read.of) == (200, 200)
    assert (read.p50_ms, read.p99_ms, read.max_ms) == (Decimal("100.000"), Decimal("198.000"), Decimal("200.000"))
    vitals.sent("refused")
    vitals.unsent("refused", refused=True)
    vitals.told(OrderRejected("refused", Reason.REJECTED, "", START))
    assert (vitals.refusals, vitals.orders.count) == (2, 200)


def test_what_is_measured_has_its_bounds() -> None:
    clock = Clock()
    vitals = Vitals(clock.seconds)
    for number in range(AWAITED + 500):
        vitals.sent(str(number))
    assert len(vitals._awaited) == AWAITED
    for number in range(AWAITED + 500):
        vitals.told(OrderAccepted(str(number), "B", START))
    assert vitals._awaited == {}
    read = vitals.orders.read()
    assert (read.count, read.of) == (AWAITED, KEPT)


def test_a_position_that_is_no_number_is_none_and_an_unknown_cost_is_nought() -> None:
    house = House()
    sound = Position("paper", "ACC", "AAPL", Decimal(5), Decimal("NaN"))
    house.broker.held = [sound]
    assert house.ask(house.wall.positions())[0] == [replace(sound, average_price=Decimal(0))]
    for wrong in ("NaN", "Infinity"):
        house.broker.held = [sound, Position("paper", "ACC", "IBM", Decimal(wrong))]
        (failure,) = house.ask(house.wall.positions())
        assert failure.value.reason is Reason.VENUE_FAILED
        assert f"a position of {wrong} IBM in ACC" in str(failure.value)
    assert "IBM" in house.vitals.last_error
