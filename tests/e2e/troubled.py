"""Brokers with one trouble each, installed by entry point as a stranger's are: see `installed`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from txgateway.brokers import Can, Setup
from txgateway.model.account import AccountReport, Position
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    Reason,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Quote
from txgateway.model.order import Order, OrderReport, Side

ONE = Decimal(1)
SLOW = 1.0
"""Seconds until the slow one does anything."""


class Sound:
    """Nothing is wrong: it fills everything at 100, at once. What it holds at the start is its option `held`."""

    can = (
        Can.MARKET
        | Can.LIMIT
        | Can.DAY
        | Can.GTC
        | Can.QUOTES
        | Can.CLIENT_ORDER_ID
        | Can.LOOKUP
        | Can.EXECUTION_HISTORY
    )

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self.setup = setup
        self.report = setup.report
        self.fills: list[Execution] = []
        self.held = [Position(self.venue, self.venue.upper(), "XYZ", Decimal(10))] if setup.options.get("held") else []

    async def trouble(self, what: str) -> None:
        """What goes wrong with everything that may wait."""

    def at_once(self, what: str) -> None:
        """What goes wrong with everything that may not."""

    def say(self, status: VenueStatus) -> None:
        self.report(VenueStatusChanged(self.venue, status, "", self.setup.clock()))

    def startService(self) -> None:
        self.at_once("startService")
        self.say(VenueStatus.CONNECTING)
        self.say(VenueStatus.RECONCILING)

    def stopService(self) -> Any:
        self.at_once("stopService")
        self.say(VenueStatus.DOWN)

    def now(self) -> datetime:
        self.at_once("now")
        return self.setup.clock()

    def accounts(self) -> Sequence[str]:
        self.at_once("accounts")
        return (self.venue.upper(),)

    async def submit(self, order: Order) -> None:
        await self.trouble("submit")
        now = self.setup.clock()
        self.report(OrderAccepted(order.order_id, f"S{order.order_id}", now))
        fill = Execution(
            execution_id=f"X{order.order_id}",
            venue=self.venue,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=Decimal(100),
            time=now,
            order_id=order.order_id,
        )
        self.fills.append(fill)
        self.report(Executed(fill, now))

    async def cancel(self, order: Order) -> None:
        await self.trouble("cancel")
        self.report(OrderCanceled(order.order_id, Reason.USER, "", self.setup.clock()))

    async def open_orders(self) -> Sequence[OrderReport]:
        await self.trouble("open_orders")
        return []

    async def lookup(self, order: Order) -> OrderReport | None:
        await self.trouble("lookup")
        return None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        await self.trouble("executions")
        return self.fills

    async def positions(self) -> Sequence[Position]:
        await self.trouble("positions")
        total = sum(
            (fill.quantity * fill.side.sign for fill in self.fills),
            sum((each.quantity for each in self.held), Decimal(0)),
        )
        return [Position(self.venue, self.venue.upper(), "XYZ", total)] if total else []

    async def balances(self, account: str) -> AccountReport:
        await self.trouble("balances")
        return AccountReport(account, Decimal(1000), ())

    async def instrument(self, symbol: str) -> Instrument | None:
        await self.trouble("instrument")
        return Instrument(symbol=symbol, venue=self.venue)

    async def instruments(self) -> Sequence[Instrument]:
        await self.trouble("instruments")
        return []

    def subscribe(self, symbol: str) -> None:
        self.at_once("subscribe")
        self.quote(symbol)

    def quote(self, symbol: str) -> None:
        self.report(Quote(symbol, Decimal("99.99"), Decimal(500), Decimal("100.01"), Decimal(500), self.setup.clock()))

    def unsubscribe(self, symbol: str) -> None:
        self.at_once("unsubscribe")

    async def bars(self, *wanted: Any) -> Sequence[Bar]:
        await self.trouble("bars")
        return []


class Slow(Sound):
    """Everything takes a while."""

    async def trouble(self, what: str) -> None:
        await deferLater(self.setup.reactor, SLOW, lambda: None)


class Failing(Sound):
    """It connects, and fails at each call."""

    async def trouble(self, what: str) -> None:
        raise ConnectionError(f"{what}: the wire is cut")


class Blocking(Sound):
    """It is reconciled once; then no question is answered ever, no order either, and none can be called off."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.asked = 0

    async def trouble(self, what: str) -> None:
        self.asked += 1
        if self.asked <= 3 and what in ("open_orders", "executions", "positions"):
            return
        while True:
            try:
                await Deferred()
            except CancelledError:
                continue

    def stopService(self) -> Any:
        return Deferred(lambda _: None)


class Deaf(Blocking):
    """Not even the first questions are answered."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.asked = 3


class Raising(Sound):
    """It tells its accounts once and is reconciled once; then every method raises, whatever it is."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.well = True
        self.known = False

    def accounts(self) -> Sequence[str]:
        if not self.known:  # the first who asks may come after the reconciliation
            self.known = True
            return (self.venue.upper(),)
        return super().accounts()

    async def trouble(self, what: str) -> None:
        self.at_once(what)
        self.well = what != "positions"

    def at_once(self, what: str) -> None:
        if not self.well:
            raise RuntimeError(f"{what} is broken")


class Broken(Sound):
    """Every method raises from the start."""

    def at_once(self, what: str) -> None:
        raise RuntimeError(f"{what} is broken")

    async def trouble(self, what: str) -> None:
        self.at_once(what)


class Flooding(Sound):
    """Once it is up it tells more than anybody wants to know: prices, errors, other people's orders and fills."""

    def startService(self) -> None:
        super().startService()
        self.count = 0
        self.flood()

    def flood(self) -> None:
        now = self.setup.clock()
        for _ in range(20):
            self.count += 1
            self.quote("XYZ")
            self.report(VenueError(self.venue, 7, f"complaint {self.count}"))
            self.report(OrderAccepted(f"nobody-{self.count}", "", now))
        fill = Execution(
            execution_id=f"F{self.count}",
            venue=self.venue,
            account=self.venue.upper(),
            symbol="XYZ",
            side=Side.BUY if self.count % 40 else Side.SELL,
            quantity=ONE,
            price=Decimal(100),
            time=now,
        )
        self.fills.append(fill)
        self.report(Executed(fill, now))
        self.timer = self.setup.reactor.callLater(0.005, self.flood)

    def stopService(self) -> Any:
        self.timer.cancel()
        return super().stopService()


class Flapping(Sound):
    """It connects, and is gone, hundreds of times a second."""

    well = False

    def startService(self) -> None:
        if not self.well:
            self.flap()
        else:
            super().startService()

    def flap(self) -> None:
        self.say(VenueStatus.RECONCILING)
        self.say(VenueStatus.DOWN)
        self.timer = self.setup.reactor.callLater(0.002, self.flap)

    def stopService(self) -> Any:
        if not self.well:
            self.timer.cancel()
        self.well = True
        return super().stopService()


class Grasping(Sound):
    """It says that everybody's accounts are its own."""

    def accounts(self) -> Sequence[str]:
        return ("BAD", "GOOD")


class Unmade(Sound):
    """It cannot even be made."""

    def __init__(self, setup: Setup) -> None:
        raise RuntimeError("no licence was found")


KINDS = {
    each.__name__.lower(): each
    for each in (Sound, Slow, Failing, Blocking, Deaf, Raising, Broken, Flooding, Flapping, Grasping, Unmade)
}


def installed(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a process in which these are installed; `more` are kinds by what they load."""
    info = folder / "troubled-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: troubled\nVersion: 1.0\n")
    kinds = {name: f"{__name__}:{kind.__name__}" for name, kind in KINDS.items()} | more
    lines = [f"{name} = {place}" for name, place in kinds.items()]
    (info / "entry_points.txt").write_text("\n".join(["[txgateway.brokers]", *lines, ""]))
    return {"PYTHONPATH": str(folder)}
