"""A venue whose broker could not be made: it stays DOWN, says why, and keeps no other venue from its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from txgateway.brokers import Can
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, NoPrice, Period
from txgateway.model.order import Order, OrderReport
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit


class Absent(GatewayError):
    """The broker is not there, and why."""


class AbsentBroker:
    """In the place of a broker: has its accounts and its claims, and does nothing."""

    def __init__(self, venue: str, can: Can, accounts: Sequence[str], text: str, clock: Callable[[], datetime]) -> None:
        self.venue = venue
        self.can = can & ~Can.FAULTS & ~Can.PRIMARY_EXCHANGE
        self._accounts = accounts
        self._text = f"{text.rstrip('.')}."
        self._clock = clock

    def startService(self) -> None:
        """Raises Absent: what is wrong is mended by a restart of the daemon."""
        raise Absent(f"{self._text} Mend it and start the daemon again.")

    def stopService(self) -> None:
        """Nothing was started."""

    def now(self) -> datetime:
        """Our clock."""
        return self._clock()

    def accounts(self) -> Sequence[str]:
        """The configured accounts."""
        return self._accounts

    def _refuse(self) -> NoReturn:
        raise Refused(Reason.VENUE_DOWN, f"{self._text} Nothing was done.")

    async def submit(self, order: Order) -> None:
        """Refused."""
        self._refuse()

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        """Refused."""
        self._refuse()

    async def release(self, order: Order) -> None:
        """Refused."""
        self._refuse()

    async def cancel(self, order: Order) -> None:
        """Refused."""
        self._refuse()

    async def replace(self, order: Order) -> None:
        """Refused."""
        self._refuse()

    async def open_orders(self) -> Sequence[OrderReport]:
        """Refused."""
        self._refuse()

    async def lookup(self, order: Order) -> OrderReport | None:
        """Refused."""
        self._refuse()

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """Refused."""
        self._refuse()

    async def positions(self) -> Sequence[Position]:
        """Refused."""
        self._refuse()

    async def balances(self, account: str) -> AccountReport:
        """Refused."""
        self._refuse()

    async def instrument(self, symbol: str) -> Instrument | None:
        """Refused."""
        self._refuse()

    async def instruments(self) -> Sequence[Instrument]:
        """Refused."""
        self._refuse()

    def subscribe(self, symbol: str) -> None:
        """Nothing is shown."""

    def unsubscribe(self, symbol: str) -> None:
        """Nothing was."""

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Refused."""
        self._refuse()

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """Refused."""
        self._refuse()

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """Refused."""
        self._refuse()

    def subscribe_depth(self, symbol: str) -> None:
        """Nothing is shown."""

    def unsubscribe_depth(self, symbol: str) -> None:
        """Nothing was."""

    async def funding(self, symbol: str) -> Funding | None:
        """Refused."""
        self._refuse()

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        """Refused."""
        self._refuse()

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Refused."""
        self._refuse()

    async def position_mode(self, account: str) -> PositionMode:
        """Refused."""
        self._refuse()

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Refused."""
        self._refuse()

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Refused."""
        self._refuse()

    def rate_limits(self) -> Sequence[RateLimit]:
        """Nothing is told."""
        return ()

    async def renames(self, symbol: str, exchange: str | None) -> Sequence[str]:
        """Refused."""
        self._refuse()

    def set_primary_exchange(self, symbol: str, exchange: str | None) -> None:
        """Not claimed."""

    def faults(self) -> Sequence[Fault]:
        """Not claimed."""
        return ()

    def set_fault(self, fault: Fault) -> None:
        """Not claimed."""

    def clear_faults(self, kind: FaultKind | None) -> None:
        """Not claimed."""
