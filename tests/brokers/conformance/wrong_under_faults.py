"""Paper brokers that take one fault wrongly each, by the number of the case that must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from txgateway.brokers.paper import PaperBroker
from txgateway.model.account import Balance
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
)
from txgateway.model.fault import Fault

FAULTY_WRONG: list[tuple[int, type[PaperBroker]]] = []
Kind = type[PaperBroker]


def breaks(*numbers: int) -> Callable[[Kind], Kind]:
    """Enter a wrong broker for these cases."""

    def enter(kind: Kind) -> Kind:
        FAULTY_WRONG.extend((number, kind) for number in numbers)
        return kind

    return enter


def telling(name: str, kind: type, *numbers: int, change: Callable[[Any], list[Any]]) -> None:
    """A broker that tells something else instead of each event of a kind."""

    def hear(self: PaperBroker, event: Any) -> None:
        for each in change(event) if isinstance(event, kind) else [event]:
            PaperBroker.hear(self, each)

    breaks(*numbers)(type(name, (PaperBroker,), {"hear": hear}))


@breaks(101, 115)
class ForgetsOrders(PaperBroker):
    async def open_orders(self) -> Any:
        return []


@breaks(102, 103)
class TellsFillsAnew(PaperBroker):
    told = 0

    def hear(self, event: Any) -> None:
        if isinstance(event, Executed):
            self.told += 1
            event = replace(event, execution=replace(event.execution, execution_id=f"X{self.told}"))
        super().hear(event)


telling("LosesFills", Executed, 104, 105, 106, change=lambda event: [])
telling("CancelsWhatIsFilled", CancelRejected, 106,
        change=lambda event: [OrderCanceled(event.order_id, Reason.USER, "", event.time)])  # fmt: skip
telling("RefusesWithoutAWord", ReplaceRejected, 112, change=lambda event: [replace(event, text="")])
telling("AcceptsTwice", OrderAccepted, 114, change=lambda event: [event, event])
telling("TellsTheWholeOfAHalf", OrderReplaced, 111, change=lambda event: [replace(event, quantity=event.quantity * 2)])


@breaks(107)
class HangsUpOnSilence(PaperBroker):
    def set_fault(self, fault: Fault) -> None:
        super().set_fault(fault)
        self._reactor.callLater(1, self._link.say, VenueStatus.DOWN, "no prices")


@breaks(108)
class NeverNotices(PaperBroker):
    def set_fault(self, fault: Fault) -> None:
        super().set_fault(replace(fault, seconds=None if fault.seconds is None else fault.seconds * 1000))


@breaks(109, 113, 115, 116)
class CallsDoubtARefusal(PaperBroker):
    async def submit(self, order: Any) -> None:
        try:
            await super().submit(order)
        except Ambiguous as doubt:
            raise Refused(Reason.REJECTED, str(doubt)) from doubt


@breaks(109, 113)
class KeepsDoubtToItself(PaperBroker):
    async def submit(self, order: Any) -> None:
        try:
            await super().submit(order)
        except Ambiguous:
            return


@breaks(110)
class CancelsByTheirIds(PaperBroker):
    async def cancel(self, order: Any) -> None:
        named = (each for each in self.exchange.open.values() if each.broker_order_id == order.broker_order_id)
        await super().cancel(replace(order, order_id=next(named).order_id))


@breaks(116)
class HoldsOn(PaperBroker):
    async def positions(self) -> Any:
        return await super().positions() or ["something"]


@breaks(117)
class HidesWhatItTakes(PaperBroker):
    async def balances(self, account: str) -> Any:
        report = await super().balances(account)
        cash = sum((fill.cash for fill in await self.executions(None)), Decimal(10_000_000))
        return replace(report, balances=(Balance("USD", cash, cash),))
