"""The paper broker as a subject of txgateway.brokers.conformance, on a clock that the case moves."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txgateway.brokers import Broker, Report, Setup
from txgateway.brokers.conformance import Case, Subject
from txgateway.brokers.paper import PaperBroker
from txgateway.model.order import Order

START = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)


class Clocked(Subject):
    """A subject whose time goes on by a quarter of a second at a time, as fast as it is asked to."""

    symbol, account, quantity = "IBM", "API_ACCOUNT", Decimal(10)
    low_price, high_price = Decimal(1), Decimal(9000)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds())

    async def pause(self) -> None:
        self.clock.advance(0.25)


class Paper(Clocked):
    """The paper broker, with new files in a folder."""

    kind: type[PaperBroker] = PaperBroker

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder)
        self.options = options

    def make(self, report: Report) -> Broker:
        return self.kind(Setup("paper", self.options, self.folder, report, self.clock, self.now))

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        assert isinstance(broker, PaperBroker)
        share = quantity / broker.exchange.open[order.order_id].leaves
        broker.do(lambda now: broker.exchange.fill_aside(order, share, now))


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing but its own clock."""
    box: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(box.append)
    assert box, "it waits for something else than the clock"
    if box[0] is not None:
        box[0].raiseException()


def check(case: Case, subject: Subject) -> None:
    """Let a subject go through a case."""
    finish(case.run(subject))
