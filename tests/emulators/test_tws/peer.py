"""The released ib_async on the emulator, inside the test's own reactor."""

from __future__ import annotations

from typing import Any

from ib_async import IB, Contract, LimitOrder, MarketOrder, Order, Stock, Trade

from tests.emulators.loops import PATIENCE, until
from tests.emulators.tws.control import Control

IBM = Stock("IBM", "SMART", "USD", conId=8314, localSymbol="IBM", primaryExchange="NYSE")


async def passes(tws: Control, seconds: float) -> None:
    """So much time, once something waits for it."""
    clock = tws.emulator.reactor
    await until(lambda: clock.getDelayedCalls(), "nothing waits for time to pass")
    clock.advance(seconds)


class Peer(IB):  # type: ignore[misc]
    """An IB that remembers its errors."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.errors: list[tuple[int, int, str]] = []
        self.errorEvent += self._remember
        self.RaiseRequestErrors = True
        self.client.MaxRequests = 0

    def _remember(self, number: int, code: int, text: str, contract: Contract | None) -> None:
        self.errors.append((number, code, text))

    def codes(self) -> list[int]:
        """The codes of its errors without the notices of the start."""
        return [code for _, code, _ in self.errors if code not in (2104, 2106, 2158)]

    async def begin(self, client: int = 1, **more: Any) -> Peer:
        """Connected, with everything answered."""
        given = {"timeout": PATIENCE, "raiseSyncErrors": True} | more
        await self.connectAsync("127.0.0.1", self.port, clientId=client, **given)
        return self

    def send(self, order: Order, contract: Contract = IBM) -> Trade:
        """Place it."""
        return self.placeOrder(contract, order)

    async def sent(self, order: Order, status: str = "Submitted", contract: Contract = IBM) -> Trade:
        """Place it, and wait for its status."""
        trade = self.placeOrder(contract, order)
        await until(lambda: trade.orderStatus.status == status, f"{status}: {trade.log}")
        return trade

    async def settled(self) -> None:
        """All that was told before is heard: an answer comes behind it."""
        await self.reqCurrentTimeAsync()


def limit(action: str = "BUY", quantity: float = 100, price: float = 150.0, **more: Any) -> Order:
    """One that rests, at these prices; DAY."""
    return LimitOrder(action, quantity, price, **{"tif": "DAY"} | more)


def market(action: str = "BUY", quantity: float = 100, **more: Any) -> Order:
    """One that is filled; DAY."""
    return MarketOrder(action, quantity, **{"tif": "DAY"} | more)


def statuses(trade: Trade) -> list[str]:
    """What it was, one after the other."""
    told = [entry.status for entry in trade.log if not entry.message.startswith("Fill")]
    return [status for i, status in enumerate(told) if i == 0 or told[i - 1] != status]
