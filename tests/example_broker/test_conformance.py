"""The tiny broker keeps every rule that its flags promise, against a tiny exchange on a real socket."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest import SkipTest

import pytest
import pytest_twisted
from tiny_broker import TinyBroker
from tiny_exchange import ACCOUNT, SYMBOL, Exchange
from twisted.internet import reactor
from twisted.internet.task import deferLater

from txgateway.brokers import Broker, Report, Setup
from txgateway.brokers.conformance import Case, Subject, cases
from txgateway.model.fault import Fault
from txgateway.model.order import Order

CAN_FAIL = {"lost_ack", "late_fill", "duplicated_fill", "cancel_race", "dropped_link", "half_open"}
"""What can go wrong at the tiny exchange on purpose."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Tiny(Subject):
    """A fresh exchange, in the test's own reactor, and a broker that is quick to find a link dead."""

    symbol, account, quantity = SYMBOL, ACCOUNT, Decimal(10)
    low_price, high_price = Decimal(1), Decimal(9000)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exchange = Exchange(reactor)
        self.port = self.exchange.start()

    def make(self, report: Report) -> Broker:
        options = {"host": "127.0.0.1", "port": self.port, "patience": 1, "silence": 1.5}
        return TinyBroker(Setup("tiny", options, self.folder, report, reactor, utc_now))

    async def pause(self) -> None:
        await deferLater(reactor, 0.005)

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        self.exchange.fill(order.order_id, quantity)

    async def inject(self, broker: Broker, fault: Fault) -> None:
        if fault.kind not in CAN_FAIL:
            raise SkipTest(f"the tiny exchange knows no {fault.kind}")
        self.exchange.fault(fault.kind, float(fault.seconds or 0))

    async def close(self) -> None:
        await self.exchange.stop()


@pytest.mark.parametrize("case", cases(TinyBroker.can), ids=str)
@pytest_twisted.ensureDeferred
async def test_the_tiny_broker_keeps(case: Case, tmp_path: Path) -> None:
    await case.run(Tiny(tmp_path))
