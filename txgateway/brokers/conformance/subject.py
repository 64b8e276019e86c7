"""What an author gives: a fresh counterparty, something to trade there, and, where it can be done, a hand in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any
from unittest import SkipTest

from txgateway.brokers import Broker, Can, Report
from txgateway.model.fault import Fault
from txgateway.model.order import Order
from txgateway.model.venue import EndpointCall


class Subject(ABC):
    """One counterparty without orders, for one case. pytest takes the SkipTest of what it cannot do for a skip."""

    symbol: str
    """Trades all the time."""
    account: str
    """May buy it, and can pay for `quantity` several times."""
    quantity: Decimal
    """So much a market order fills at once: ten lots or more, in tens."""
    low_price: Decimal
    """A buy at this limit never fills."""
    high_price: Decimal
    """A stop to buy at this price is never reached."""
    unknown_symbol: str = "NOSUCHSYMBOL"
    """Trades nowhere."""
    endpoint: EndpointCall | None = None
    """A harmless endpoint of the venue's own, for everyone."""
    patience: int = 1000
    """After so many pauses what did not come does not come."""
    stillness: int = 20
    """After so many pauses nothing more comes of what was done."""

    @abstractmethod
    def make(self, report: Report) -> Broker:
        """The broker, not started; called once."""

    @abstractmethod
    async def pause(self) -> None:
        """Let a moment pass: the reactor turn, or a clock go on."""

    async def reconnect(self, broker: Broker) -> None:
        """End the connection and make it anew; the counterparty remembers."""
        stopped: Any = broker.stopService()
        if stopped is not None:
            await stopped
        broker.startService()

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        """Let the counterparty fill so much of a resting order, by whatever means."""
        raise SkipTest("this subject cannot fill a resting order")

    async def inject(self, broker: Broker, fault: Fault) -> None:
        """Let the counterparty or the way to it fail so."""
        if Can.FAULTS not in broker.can:
            raise SkipTest("this subject cannot inject faults")
        broker.set_fault(fault)

    async def close(self) -> None:  # noqa: B027 (an author may have nothing to close)
        """The case is over, the broker stopped."""
