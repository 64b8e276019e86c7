"""A paper venue on a clock of its own, and files to replay."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txgateway.brokers import Setup
from txgateway.brokers.paper import PaperBroker
from txgateway.brokers.paper.accounts import Account
from txgateway.brokers.paper.commission import Commission
from txgateway.brokers.paper.exchange import Exchange
from txgateway.brokers.paper.feed import instrument_of
from txgateway.brokers.paper.held import Held
from txgateway.brokers.paper.names import NAMES
from txgateway.brokers.paper.options import Opening
from txgateway.brokers.paper.sessions import Sessions
from txgateway.brokers.paper.turn import Numbers, Turn, Worth
from txgateway.model.events import Executed, VenueError, VenueStatusChanged
from txgateway.model.execution import Execution
from txgateway.model.market import Quote, Statistics, Trade
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce

T = TypeVar("T")
START = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
DATA = Path(__file__).parents[4] / "shared" / "data"
MARKET = (Quote, Trade, Statistics, VenueStatusChanged, VenueError)


def make_order(number: int, side: str = "BUY", quantity: Any = 100, symbol: str = "IBM", **terms: Any) -> Order:
    """An order; its type follows from its prices."""
    limit, stop = terms.pop("limit", None), terms.pop("stop", None)
    kind = {(False, False): "MARKET", (True, False): "LIMIT", (False, True): "STOP", (True, True): "STOP_LIMIT"}
    terms = {
        "order_id": f"ORDER{number:06}",
        "account": "API_ACCOUNT",
        "time_in_force": TimeInForce(terms.pop("tif", "DAY")),
        "status": OrderStatus.STAGED if terms.get("tag") else OrderStatus.PENDING_NEW,
        **terms,
    }
    return Order(
        client_order_id=terms["order_id"],
        venue="paper",
        symbol=symbol,
        side=Side(side),
        quantity=Decimal(str(quantity)),
        order_type=OrderType(kind[limit is not None, stop is not None]),
        limit_price=None if limit is None else Decimal(str(limit)),
        stop_price=None if stop is None else Decimal(str(stop)),
        created=START,
        day=START.date(),
        updated=START,
        seq=1,
        **terms,
    )


class Steps(Clock):
    """A clock that can also do just the next thing that is due."""

    def step(self) -> bool:
        """Run the first delayed call, going on to its time; False when there is none."""
        if not self.calls:
            return False
        call = self.calls.pop(0)
        self.rightNow = max(self.rightNow, call.getTime())
        call.called = 1
        call.func(*call.args, **call.kw)
        return True


class Venue:
    """A paper broker, what it reported, and short ways to ask it."""

    def __init__(self, folder: Path, options: dict[str, Any], start: datetime = START, prices: Any = None) -> None:
        self.clock = Steps()
        self.told: list[Any] = []
        self.number = 0
        self.begun = start
        setup = Setup("paper", options, folder, self.hear, self.clock, self.time, prices)
        self.broker = PaperBroker(setup)

    def time(self) -> datetime:
        return self.begun + timedelta(seconds=self.clock.seconds())

    def hear(self, event: Any) -> None:
        self.told.append(event)

    def order(self, *args: Any, **terms: Any) -> Order:
        """The next order."""
        self.number += 1
        return make_order(self.number, *args, **terms)

    def later(self, seconds: float, step: float = 1.0) -> None:
        """Let time go on, some of it at once."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives, stepping the clock while it waits."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        for _ in range(100_000):
            if results:
                break
            assert self.clock.step(), "it waits for ever"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def begin(self, work: Coroutine[Any, Any, T]) -> list[Any]:
        """Start a coroutine; the list gets what it gives, once it does."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        return results

    def send(self, *args: Any, **terms: Any) -> Order:
        """Submit an order."""
        order = self.order(*args, **terms)
        self.do(self.broker.submit(order))
        return order

    def events(self, order: Order | None = None) -> list[Any]:
        """What was told of orders, or of one."""
        events = [each for each in self.told if not isinstance(each, MARKET)]
        return events if order is None else [each for each in events if each.order_id == order.order_id]

    def kinds(self, order: Order | None = None) -> list[str]:
        """The same by name."""
        return [type(each).__name__ for each in self.events(order)]

    def fills(self, order: Order | None = None) -> list[Execution]:
        """The executions told."""
        return [each.execution for each in self.events(order) if isinstance(each, Executed)]

    def quote(self, symbol: str = "IBM") -> Quote:
        """The last quote told."""
        return next(each for each in reversed(self.told) if isinstance(each, Quote) and each.symbol == symbol)

    def cash(self, account: str = "API_ACCOUNT") -> Decimal:
        return self.do(self.broker.balances(account)).cash


@pytest.fixture
def open_venue(tmp_path: Path) -> Iterator[Callable[..., Venue]]:
    """Opens paper venues over one folder, stops them in the end."""
    opened: list[Venue] = []

    def make(begin: datetime = START, folder: Path = tmp_path, **options: Any) -> Venue:
        venue = Venue(folder, options, begin)
        venue.broker.startService()
        opened.append(venue)
        return venue

    yield make
    for venue in opened:
        venue.broker.stopService()


@pytest.fixture
def venue(open_venue: Callable[..., Venue]) -> Venue:
    """A synthetic venue that IBM is subscribed at."""
    venue = open_venue()
    venue.broker.subscribe("IBM")
    return venue


@pytest.fixture
def make_venue(tmp_path: Path) -> Callable[..., Venue]:
    """Builds a venue and does not start it."""
    return lambda begin=START, **options: Venue(tmp_path, options, begin)


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes a market data file: name, header, rows."""

    def write(name: str, header: str, rows: Iterable[Any]) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        lines = [row if isinstance(row, str) else ",".join(map(str, row)) for row in rows]
        text = "\n".join([header, *lines]) + "\n"
        path = folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


@pytest.fixture
def data() -> Path:
    """The folder of real market data; the test is skipped where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"the real market data is not at {DATA}")
    return DATA


class Floor:
    """An exchange without broker, book and clock: quotes and trades are shown by hand, `now` moves by hand."""

    def __init__(self, sessions: Sessions, quoted: bool = True, **accounts: Opening) -> None:
        self.now = START
        self.is_quoted = quoted
        self.prices: dict[str, Decimal] = {}
        self.known = {
            name.symbol: instrument_of(name, "paper", sessions)
            for name in (NAMES["IBM"], NAMES["AAPL"], NAMES["BTCUSD"], NAMES["USDJPY"])
        }
        fees, worth = Commission(), Worth(self)
        self.accounts = {}
        for opening in accounts.values() or (Opening("API_ACCOUNT", True, Decimal(1_000_000)),):
            account = Account("paper", opening.name, opening.margin, fees, worth)
            account.cash["USD"] = opening.amount
            self.accounts[opening.name] = account
        self.closed: dict[str, Held] = {}
        numbers = Numbers("SERIAL")
        self.exchange = Exchange("paper", self, self.accounts, sessions, fees, numbers, self.closed.get)
        self.told: list[Any] = []
        self.number = 0
        self.make = make_order

    def instrument(self, symbol: str) -> Any:
        return self.known.get(symbol)

    def standing(self, symbol: str) -> str:
        return ""

    def quoted(self, symbol: str) -> bool:
        return self.is_quoted

    def price(self, symbol: str) -> Decimal | None:
        return self.prices.get(symbol)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def quote(self, bid: Any, bid_size: Any, ask: Any, ask_size: Any, symbol: str = "IBM") -> list[Any]:
        """Show a quote; what was told for it."""
        self.later(seconds=1)
        numbers = [Decimal(str(each)) for each in (bid, bid_size, ask, ask_size)]
        self.prices[symbol] = (numbers[0] + numbers[2]) / 2
        self.exchange.show(Quote(symbol, *numbers, self.now))
        return self.turn()

    def trade(self, price: Any, size: Any, symbol: str = "IBM") -> list[Any]:
        """Show a public trade."""
        self.later(seconds=1)
        self.prices[symbol] = Decimal(str(price))
        self.exchange.show(Trade(symbol, Decimal(str(price)), Decimal(str(size)), self.now))
        return self.turn()

    def send(self, *args: Any, **terms: Any) -> tuple[Order, list[Any]]:
        """Submit an order; it, and what was told."""
        self.number += 1
        order = make_order(self.number, *args, **terms)
        self.exchange.submit(order, self.now)
        return order, self.turn()

    def turn(self) -> list[Any]:
        """What was told since the last time; closed orders go to the archive."""
        turn, self.exchange.turn = self.exchange.turn, Turn()
        self.closed.update({held.order_id: held for held in turn.orders.values() if not held.open})
        self.told += turn.reports
        return turn.reports


@pytest.fixture
def make_floor() -> Callable[..., Floor]:
    """Builds a floor that never closes, unless it is given sessions."""

    def make(sessions: Sessions | None = None, quoted: bool = True, **accounts: Opening) -> Floor:
        return Floor(sessions or Sessions("America/New_York"), quoted, **accounts)

    return make


@pytest.fixture
def floor(make_floor: Callable[..., Floor]) -> Floor:
    """A floor where IBM is quoted 100.00 x 300 / 100.10 x 200."""
    floor = make_floor()
    floor.quote("100.00", 300, "100.10", 200)
    return floor
