"""The rtx broker and the emulated rtgw on a real socket, in one reactor: a subject of the conformance suite."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.emulators.rtgw.control import Control
from tests.emulators.rtgw.server import Emulator, Options
from txgateway.brokers import Broker, Report, Setup
from txgateway.brokers.conformance import Subject
from txgateway.brokers.rtx import RtxBroker
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.order import Order

ACCOUNT = "EMU.TEST.DESK.ONE"
BEGINS = datetime(2024, 3, 1, 11, 0)  # noqa: DTZ001 (the feed's own clock, in New York)
"""Within the hours that there are bars of."""
CANNOT = {FaultKind.ID_ROLLBACK: "rtgw knows an order by its ORDER_ID alone: two open ones cannot have the same"}
"""What this counterparty cannot do, and why."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Rtx(Subject):
    """A fresh emulator whose market stands still, and a broker that is quick to find a link dead."""

    symbol, account, quantity = "IBM", ACCOUNT, Decimal(10)
    low_price, high_price = Decimal(1), Decimal(9000)
    patience, stillness = 3000, 20

    def __init__(self, folder: Path, tick: float = 0.0, **options: Any) -> None:
        self.folder = folder
        self.emulator = Emulator(Options(tick=tick, begins=BEGINS), reactor)
        self.control = Control(self.emulator)
        self.port = self.emulator.start()
        self.options = {"host": "127.0.0.1", "port": self.port, "silence": 4, "patience": 3, **options}

    def make(self, report: Report) -> Broker:
        return RtxBroker(Setup("rtx", self.options, self.folder, report, reactor, utc_now))

    async def pause(self) -> None:
        await deferLater(reactor, 0.005)

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        self.control.do_fill(order.order_id, int(quantity))

    async def inject(self, broker: Broker, fault: Fault) -> None:
        if fault.kind in CANNOT:
            raise SkipTest(CANNOT[fault.kind])
        more: dict[str, Any] = {} if fault.seconds is None else {"seconds": float(fault.seconds)}
        if fault.kind is FaultKind.SLOW_BROKER:
            more["when"] = "poke"
        if fault.kind is FaultKind.MUTE_FEED:
            self._mute(float(fault.seconds or 0))
            return
        self.control.do_fault(str(fault.kind), count=fault.count, **more)

    def _mute(self, seconds: float) -> None:
        """Neither an advise nor an answer shows a price."""
        hidden = dict.fromkeys(("BID", "ASK", "TRDPRC_1"), "Error 2")
        self.control.do_spoil(self.symbol, **hidden)
        self.emulator.later(seconds, lambda: self.control.do_spoil(self.symbol))

    async def close(self) -> None:
        await self.emulator.stop()
        violations = self.emulator.book.violations
        assert not violations, f"the broker did what it should not: {violations}"
