"""The tws broker and the emulated TWS on a real socket, in one reactor: a subject of the conformance suite."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.emulators.tws.control import Control
from tests.emulators.tws.server import Emulator, Options
from txgateway.brokers import Broker, Report, Setup
from txgateway.brokers.conformance import Subject
from txgateway.brokers.ib import IbBroker
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.order import Order

ACCOUNT = "DU1234567"
CANNOT = {FaultKind.ID_ROLLBACK: "IB's permIds never begin again; its order numbers do, and have a test of their own"}
"""What this counterparty cannot do, and why."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Tws(Subject):
    """A fresh emulator whose market stands still, and a broker that is quick to find a link dead."""

    symbol, account, quantity = "IBM", ACCOUNT, Decimal(10)
    low_price, high_price = Decimal(1), Decimal(9000)
    patience, stillness = 3000, 60

    def __init__(self, folder: Path, tick: float = 0.0, version: int = 178, **options: Any) -> None:
        self.folder = folder
        self.clock = utc_now
        self.emulator = Emulator(Options(tick=tick, version=version, rate=0), reactor)
        self.control = Control(self.emulator)
        self.port = self.emulator.start()
        self.options = {
            "host": "127.0.0.1",
            "port": self.port,
            "client_id": 5,
            "silence": 4.8,
            "patience": 3,
            "rate": 1000,
            "restart": "",  # what is tried here is no nightly restart, whatever the time is
            **options,
        }

    def make(self, report: Report) -> Broker:
        return IbBroker(Setup("tws", self.options, self.folder, report, reactor, self.clock))

    async def pause(self) -> None:
        await deferLater(reactor, 0.005)

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        self.control.do_fill(order.order_id, str(quantity))

    async def inject(self, broker: Broker, fault: Fault) -> None:
        if fault.kind in CANNOT:
            raise SkipTest(CANNOT[fault.kind])
        more: dict[str, Any] = {} if fault.seconds is None else {"seconds": float(fault.seconds)}
        if fault.kind is FaultKind.SLOW_BROKER:
            more["when"] = "orders"
        if fault.kind is FaultKind.REORDERED_FILLS:  # a commission would let one go before the other again
            self.control.do_fault("late_commission", count=2, seconds=-1)
        if fault.kind is FaultKind.MUTE_FEED:  # a market that stands still shows nothing when it can be heard again
            self.emulator.later(float(fault.seconds or 0) + 0.2, lambda: self.control.do_tick(self.symbol))
        if fault.kind is FaultKind.HALF_OPEN:  # TWS finds its own end dead, and the client id free, after we have
            more["seconds"] = 7
        self.control.do_fault(str(fault.kind), count=fault.count, **more)

    async def close(self) -> None:
        await self.emulator.stop()
        assert not self.emulator.violations, f"the broker did what it should not: {self.emulator.violations}"
