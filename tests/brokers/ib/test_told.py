"""Fills wait a moment for their commission, and what comes behind them waits too."""

from __future__ import annotations

from typing import Any

from ib_async import CommissionReport
from twisted.internet.task import Clock

from tests.brokers.ib.nouns import ID, NOW, a_fill, ibm
from txgateway.brokers.ib import translate
from txgateway.brokers.ib.told import Told
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, OrderAccepted, OrderCanceled

EXEC = "0000e0d5.6553c6ae.01.01"


class Desk:
    def __init__(self, wait: float = 1.0) -> None:
        self.clock = Clock()
        self.heard: list[Any] = []
        self.complaints: list[str] = []
        self.told = Told(self.clock, wait, self.heard.append, self.complaints.append)

    def fill(self) -> None:
        def make(fee: CommissionReport | None) -> Executed:
            return Executed(translate.execution("tws", "IBM", ibm(), a_fill(), ID, fee), NOW)

        self.told.fill(ID, EXEC, make)

    def commissions(self) -> list[Any]:
        return [each.execution.commission for each in self.heard if isinstance(each, Executed)]


def canceled() -> OrderCanceled:
    return OrderCanceled(ID, Reason.USER, "", NOW)


def test_a_fill_is_told_with_its_commission_and_the_end_behind_it() -> None:
    desk = Desk()
    desk.fill()
    desk.told.tell(ID, canceled())
    desk.told.tell("OTHER", OrderAccepted("OTHER", "1", NOW))
    assert [type(each) for each in desk.heard] == [OrderAccepted]
    desk.told.commission(CommissionReport(EXEC, 1.02, "USD"))
    assert [type(each) for each in desk.heard] == [OrderAccepted, Executed, OrderCanceled]
    assert [f"{each}" for each in desk.commissions()] == ["1.02"]
    assert desk.clock.getDelayedCalls() == []


def test_a_fill_whose_commission_does_not_come_is_told_without() -> None:
    desk = Desk()
    desk.fill()
    desk.clock.advance(0.99)
    assert desk.heard == []
    desk.clock.advance(0.01)
    assert desk.commissions() == [0]
    desk.told.commission(CommissionReport(EXEC, 1.02, "USD"))
    assert desk.commissions() == [0]
    assert len(desk.complaints) == 1
    assert "1.02 USD" in desk.complaints[0]


def test_a_commission_may_come_first_and_a_fill_twice() -> None:
    desk = Desk()
    desk.told.commission(CommissionReport(EXEC, 1.02, "USD"))
    desk.fill()
    assert len(desk.commissions()) == 1
    desk = Desk()
    desk.fill()
    desk.fill()
    desk.clock.advance(1)
    assert len(desk.commissions()) == 1


def test_nothing_is_told_after_the_end() -> None:
    desk = Desk()
    desk.fill()
    desk.told.close()
    desk.clock.advance(5)
    desk.told.commission(CommissionReport(EXEC, 1.02, "USD"))
    desk.told.tell(ID, canceled())
    assert desk.heard == []
