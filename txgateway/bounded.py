"""A broker with a deadline on every question, and with what goes to and fro in the log where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from txgateway.brokers import Broker, Can
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import TimedOut
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, Period
from txgateway.model.order import Order, OrderReport
from txgateway.model.venue import EndpointCall, PositionMode

log = Logger()
T = TypeVar("T")
Send = Callable[[Order], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each kind of question may take."""

    default: float = 15.0
    account: float = 15.0
    symbol: float = 15.0
    bars: float = 10.0
    order_status: float = 3600.0
    position: float = 20.0


class BoundedBroker:
    """Passes everything on. Orders have no deadline here: an unanswered one becomes UNKNOWN at the desk."""

    def __init__(
        self, broker: Broker, deadlines: Deadlines, reactor: Any, log_messages: bool = False, log_times: bool = False
    ) -> None:
        self._broker = broker
        self._deadlines = deadlines
        self._reactor = reactor
        self._log_messages = log_messages
        self._log_times = log_times
        self.venue = broker.venue
        self.can = broker.can
        self.now: Callable[[], datetime] = broker.now
        self.accounts: Callable[[], Sequence[str]] = broker.accounts
        self.startService = broker.startService
        self.stopService = broker.stopService
        self.subscribe = broker.subscribe
        self.unsubscribe = broker.unsubscribe
        self.submit = self._logged("submit", broker.submit)
        self.release = self._logged("release", broker.release)
        self.cancel = self._logged("cancel", broker.cancel)
        self.replace = self._logged("replace", broker.replace)
        if Can.PRIMARY_EXCHANGE in broker.can:
            self.set_primary_exchange = broker.set_primary_exchange
        if Can.DEPTH in broker.can:
            self.subscribe_depth = broker.subscribe_depth
            self.unsubscribe_depth = broker.unsubscribe_depth
        if Can.RATE_LIMITS in broker.can:
            self.rate_limits = broker.rate_limits
        if Can.FAULTS in broker.can:
            self.faults = broker.faults
            self.set_fault = broker.set_fault
            self.clear_faults = broker.clear_faults

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order the broker holds."""
        return await self._asked("open_orders", self._deadlines.default, self._broker.open_orders())

    async def lookup(self, order: Order) -> OrderReport | None:
        """The broker's word on one order."""
        return await self._asked("lookup", self._deadlines.order_status, self._broker.lookup(order))

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """Fills after `since`."""
        return await self._asked("executions", self._deadlines.default, self._broker.executions(since))

    async def positions(self) -> Sequence[Position]:
        """Every open position."""
        return await self._asked("positions", self._deadlines.position, self._broker.positions())

    async def balances(self, account: str) -> AccountReport:
        """What an account holds."""
        return await self._asked("balances", self._deadlines.account, self._broker.balances(account))

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's trading rules."""
        return await self._asked("instrument", self._deadlines.symbol, self._broker.instrument(symbol))

    async def instruments(self) -> Sequence[Instrument]:
        """Everything tradable."""
        return await self._asked("instruments", self._deadlines.default, self._broker.instruments())

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars in [start, end)."""
        return await self._asked("bars", self._deadlines.bars, self._broker.bars(symbol, period, start, end))

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """The book of a symbol."""
        return await self._asked("depth", self._deadlines.symbol, self._broker.depth(symbol, levels))

    async def funding(self, symbol: str) -> Funding | None:
        """What holding a perpetual costs."""
        return await self._asked("funding", self._deadlines.symbol, self._broker.funding(symbol))

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        """How many times its margin a position may be."""
        return await self._asked("leverage", self._deadlines.account, self._broker.leverage(account, symbol))

    async def position_mode(self, account: str) -> PositionMode:
        """Whether long and short are held as one or apart."""
        return await self._asked("position_mode", self._deadlines.account, self._broker.position_mode(account))

    # changes: out of time they are in doubt

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Change it."""
        await self._asked("set_leverage", self._deadlines.default, self._broker.set_leverage(account, symbol, leverage))

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Change it."""
        await self._asked("set_position_mode", self._deadlines.default, self._broker.set_position_mode(account, mode))

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Send a request in the venue's own words."""
        return await self._asked("call_endpoint", self._deadlines.default, self._broker.call_endpoint(call))

    def _logged(self, what: str, send: Send) -> Send:
        """The broker's own method, unless something of it is to be logged."""
        if not (self._log_messages or self._log_times):
            return send

        async def sent(order: Order) -> None:
            if self._log_messages:
                log.info("{venue} <- {what} {order}", venue=self.venue, what=what, order=order)
            await self._timed(what, send(order))

        return sent

    async def _asked(self, what: str, seconds: float, call: Coroutine[Any, Any, T]) -> T:
        asked = Deferred.fromCoroutine(self._timed(what, call))
        if not asked.called:
            asked.addTimeout(seconds, self._reactor)
        try:
            return await asked
        except DeferredTimeout:
            text = f"Venue {self.venue} did not answer {what} within {seconds:g} s: try again, or raise its TIMEOUT."
            raise TimedOut(text) from None

    async def _timed(self, what: str, call: Coroutine[Any, Any, T]) -> T:
        if not self._log_times:
            return await call
        start = self._reactor.seconds()
        try:
            return await call
        finally:
            took = (self._reactor.seconds() - start) * 1000
            log.info("{venue} {what} took {took:.1f} ms", venue=self.venue, what=what, took=took)
