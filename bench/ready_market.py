"""A venue whose market is ready: every turn it reports one quote of each subscribed symbol, made beforehand.

The next is due once the last has been written, so that no two reports share a send (strace shows it).

It comes in by the door that strangers use, an entry point on the path, so that what lies between `report` and the
sockets is measured, and not what it takes to make a quote.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.listeners import netstring
from txgateway.brokers import Can, Setup
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import VenueStatus, VenueStatusChanged
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Quote
from txgateway.model.order import Order, OrderReport

KIND = "ready"
MADE = 997
"""How many quotes of a symbol are made; they are told over and over."""
ACCOUNT = "API_ACCOUNT"


def install(folder: Path) -> dict[str, str]:
    """Make the entry point in a folder; the environment in which Python finds it there."""
    place = folder / f"{KIND}_market-1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {KIND}-market\nVersion: 1\n")
    (place / "entry_points.txt").write_text(f"[txgateway.brokers]\n{KIND} = {__name__}:ReadyMarket\n")
    return {"PYTHONPATH": str(folder)}


class ReadyMarket:
    """Shows prices, and takes no orders."""

    can = Can.QUOTES

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self._setup = setup
        self._made: dict[str, list[Quote]] = {}
        self._at = 0
        self._timer: Any = None

    def startService(self) -> None:
        """Up at once."""
        for status in (VenueStatus.CONNECTING, VenueStatus.RECONCILING):
            self._setup.report(VenueStatusChanged(self.venue, status, "", self.now()))

    def stopService(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)

    def accounts(self) -> Sequence[str]:
        """One."""
        return [ACCOUNT]

    def subscribe(self, symbol: str) -> None:
        """Its quotes are told from the next turn on."""
        self._made[symbol] = list(_quotes(symbol, self.now()))
        if self._timer is None:
            self._timer = self._setup.reactor.callLater(0, self._turn)

    def unsubscribe(self, symbol: str) -> None:
        """Not any more."""
        self._made.pop(symbol, None)

    def _turn(self) -> None:
        self._at = (self._at + 1) % MADE
        for quotes in self._made.values():
            self._setup.report(quotes[self._at])
        self._timer = self._setup.reactor.callLater(0, self._turn)

    async def submit(self, order: Order) -> None:
        """Refused: it takes none."""
        raise Refused(Reason.UNSUPPORTED, "This market shows prices and takes no orders.")

    release = cancel = replace = submit

    async def instrument(self, symbol: str) -> Instrument | None:
        """Whatever is asked for."""
        return Instrument(symbol=symbol, venue=self.venue)

    async def instruments(self) -> Sequence[Instrument]:
        """It lists none."""
        return []

    async def bars(self, *wanted: Any) -> Sequence[Bar]:
        """None."""
        return []

    async def open_orders(self) -> Sequence[OrderReport]:
        """None."""
        return []

    async def lookup(self, order: Order) -> OrderReport | None:
        """Nothing ever came."""
        return None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """None."""
        return []

    async def positions(self) -> Sequence[Position]:
        """None."""
        return []

    async def balances(self, account: str) -> AccountReport:
        """Nothing."""
        return AccountReport(account, Decimal(0))


def lines(channel: str, symbols: Sequence[str]) -> bytes:
    """A quote of each symbol as the stream has it: the yardstick's bytes."""
    return b"".join(netstring(f"{channel}.quote.{symbol}:183.01 300 183.02 500") for symbol in symbols)


def _quotes(symbol: str, now: datetime) -> Sequence[Quote]:
    """The same for a symbol every time, but for the clock."""
    chance = random.Random(symbol)
    cents, made = chance.randrange(15_000, 20_000), []
    for _ in range(MADE):
        cents += chance.choice((-1, 0, 0, 1))
        bid_size, ask_size = (Decimal(chance.randrange(1, 10) * 100) for _ in range(2))
        made.append(Quote(symbol, Decimal(cents) / 100, bid_size, Decimal(cents + 1) / 100, ask_size, now))
    return made
