"""What the private REST calls of both markets share: what they are asked about, and what has been."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tests.emulators.binance import wire
from tests.emulators.binance.asking import Asked, Wrong, limit_of
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account, Fill, Order
from tests.emulators.crypto.server import Emulator

DAY = 86_400_000


class Private:
    """The calls of one market that need a signature."""

    perp: ClassVar[bool]
    widest: ClassVar[int]
    """Milliseconds from the startTime to the endTime of a question, at most."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def instruments(self) -> list[Instrument]:
        """What is traded here."""
        every = (tape.instrument for tape in self.emulator.market.tapes.values())
        return [each for each in every if each.perp == self.perp]

    def instrument(self, asked: Asked, name: str = "symbol") -> Instrument:
        """What is asked about."""
        return self.named(asked.word(name))

    def named(self, symbol: str) -> Instrument:
        """By its symbol; Wrong."""
        for each in self.instruments():
            if each.symbol == symbol:
                return each
        raise Wrong(-1121, "Invalid symbol.")

    def orders(
        self, asked: Asked, account: Account, wanted: Callable[[Order], bool] = lambda order: True
    ) -> Sequence[Order]:
        """Those of an instrument that are wanted: from an orderId on, or of a stretch of time."""
        each, first = self.instrument(asked), asked.whole("orderId")
        found = [
            order
            for order in self.emulator.exchange.orders.values()
            if order.ticket.account == account.name and order.ticket.instrument is each and wanted(order)
        ]
        if first is not None:
            return [order for order in found if order.number >= first][: limit_of(asked, 500, 1000)]
        return between(asked, found, lambda order: order.created, self.widest, 500)

    def fills(self, asked: Asked, account: Account) -> Sequence[Fill]:
        """Those of an instrument, and of an orderId if there is one: from a fromId on, or of a stretch of time."""
        each, of, first = self.instrument(asked), asked.whole("orderId"), asked.whole("fromId")
        found = [
            fill
            for fill in self.emulator.exchange.fills
            if fill.account == account.name and fill.instrument is each and of in (None, fill.order)
        ]
        if first is not None:
            return [fill for fill in found if fill.number >= first][: limit_of(asked, 500, 1000)]
        return between(asked, found, lambda fill: fill.at, self.widest, 500)


def between(asked: Asked, found: list[Any], at: Any, widest: int, usual: int) -> list[Any]:
    """Those of a stretch of time, oldest first: the first ones after its start; without one the newest."""
    start, end = asked.whole("startTime"), asked.whole("endTime")
    if start is not None and end is not None:
        if end < start:
            raise Wrong(-1128, "Combination of optional parameters invalid.")
        if end - start > widest:
            raise Wrong(-1127, f"More than {widest // 3_600_000} hours between startTime and endTime.")
    limit = limit_of(asked, usual, 1000)
    chosen = [
        each
        for each in found
        if (start is None or wire.ms(at(each)) >= start) and (end is None or wire.ms(at(each)) <= end)
    ]
    return chosen[:limit] if start is not None else chosen[-limit:]
