"""Two venues, a desk, a publisher and its servers on free ports, real but for the venues; and a stream client."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal as D
from itertools import count
from typing import Any

import pytz
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from txgateway import bulletins
from txgateway.access import Access
from txgateway.api import About, Api
from txgateway.audience import Settings
from txgateway.brokers import Can
from txgateway.feed import Feed
from txgateway.gateway import Desk, Gateway
from txgateway.journal.memory import MemoryJournal
from txgateway.lines import Netstrings, netstring
from txgateway.logins import Logins
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import Reason
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Level, Quote, Statistics, Trade
from txgateway.model.order import Order, OrderReport, OrderRequest, Origin, Side
from txgateway.publisher import Publisher
from txgateway.render import Fragments
from txgateway.servers.stream import StreamFactory
from txgateway.servers.websocket import StreamResource
from txgateway.state import State
from txgateway.wire import Flags

ZONE = pytz.timezone("America/New_York")
USER, PASSWORD = "txtrader_user", "wörd:pass"
START = datetime(2013, 10, 7, 13, 31, tzinfo=UTC)
SYMBOLS = ("IBM", "AAPL", "MSFT")
PATIENCE = 30.0


class HonestBroker:
    """Accepts every order and fills market orders at 100, in two fills with `halves`. `hold` keeps answers back."""

    def __init__(self, venue: str, accounts: Sequence[str]) -> None:
        self.venue = venue
        self.can = ~Can(0) & ~Can.STAGE
        self.hold = False
        self.halves = False
        self.waiting: list[Order] = []
        self.subscribed: set[str] = set()
        self.deep: set[str] = set()
        self.time = START
        self.report: Callable[[Any], None] = lambda event: None
        self._accounts = accounts
        self.ids = count(1)

    def startService(self) -> None:
        for status in (VenueStatus.CONNECTING, VenueStatus.RECONCILING):
            self.report(VenueStatusChanged(self.venue, status, "", self.now()))

    def stopService(self) -> None:
        self.report(VenueStatusChanged(self.venue, VenueStatus.DOWN, "stopped", self.now()))

    def now(self) -> datetime:
        return self.time

    def accounts(self) -> Sequence[str]:
        return self._accounts

    async def submit(self, order: Order) -> None:
        if self.hold:
            self.waiting.append(order)
        else:
            self.answer(order)

    release = submit

    def answer(self, order: Order) -> None:
        """Accept, and fill what is a market order."""
        self.report(OrderAccepted(order.order_id, f"{self.venue}-{next(self.ids)}", self.now()))
        if order.limit_price is None and order.stop_price is None:
            parts = [order.quantity / 2] * 2 if self.halves else [order.quantity]
            for part in parts:
                self.fill(order, part)

    def fill(self, order: Order, quantity: D) -> None:
        """Fill so much of an order."""
        fill = Execution(
            execution_id=f"{self.venue}-X{next(self.ids)}",
            venue=self.venue,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=D(100),
            time=self.now(),
            order_id=order.order_id,
            commission=D("0.5"),
        )
        self.report(Executed(fill, fill.time))

    async def cancel(self, order: Order) -> None:
        self.report(OrderCanceled(order.order_id, Reason.USER, "", self.now()))

    async def replace(self, order: Order) -> None:
        quantity = order.asked_quantity or order.quantity
        self.report(OrderReplaced(order.order_id, quantity, order.asked_limit_price, None, self.now()))

    async def open_orders(self) -> Sequence[OrderReport]:
        return []

    async def lookup(self, order: Order) -> OrderReport | None:
        return None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        return []

    async def positions(self) -> Sequence[Position]:
        return []

    async def balances(self, account: str) -> AccountReport:
        return AccountReport(account, D(10_000_000), (Balance("USD", D(10_000_000), D(9_000_000)),))

    async def instrument(self, symbol: str) -> Instrument | None:
        raw = {"DISP_NAME": symbol, "STARTTIME": "09:30:00", "STOPTIME": "16:00:00"}
        known = symbol in SYMBOLS or symbol.startswith("SYM")
        return Instrument(symbol=symbol, venue=self.venue, fullname=f"{symbol} Inc.", raw=raw) if known else None

    async def instruments(self) -> Sequence[Instrument]:
        return []

    def subscribe(self, symbol: str) -> None:
        self.subscribed.add(symbol)
        self.report(Statistics(symbol, volume=D(1000)))
        self.quote(symbol, "99.90", "100.10")

    def unsubscribe(self, symbol: str) -> None:
        self.subscribed.discard(symbol)
        self.deep.discard(symbol)

    def subscribe_depth(self, symbol: str) -> None:
        self.deep.add(symbol)
        self.book(symbol, "99.90")

    def unsubscribe_depth(self, symbol: str) -> None:
        self.deep.discard(symbol)

    def book(self, symbol: str, bid: str) -> None:
        """Show a book."""
        self.report(Depth(symbol, (Level(D(bid), D(200)),), (Level(D("100.10"), D("0.5")),), self.now(), 7))

    def quote(self, symbol: str, bid: str, ask: str) -> None:
        """Show a quote."""
        self.report(Quote(symbol, D(bid), D(200), D(ask), D(300), self.now()))

    def trade(self, symbol: str, price: str, size: str) -> None:
        """Show a trade."""
        self.report(Trade(symbol, D(price), D(size), self.now()))

    async def bars(self, *wanted: Any) -> Sequence[Bar]:
        return [Bar("IBM", START, D("183"), D("183.2"), D("182.9"), D("183.1"), D(12345))]


class House:
    """Everything behind the ports. `restart` builds it again on the same journal."""

    def __init__(
        self, reactor: Any, journal: Any = None, settings: Settings | None = None, ticker: bool = True
    ) -> None:
        self.reactor = reactor
        self.journal = journal or MemoryJournal()
        self.settings = settings or Settings()
        self.stopped: list[str] = []
        self.clients: list[Client] = []
        self.ids: list[str] = []
        self.paper = HonestBroker("paper", ["API_ACCOUNT", "OTHER"])
        self.second = HonestBroker("second", ["SECOND"])
        self.brokers = {"paper": self.paper, "second": self.second}
        self.journal.open()
        state = State()
        for record in self.journal.records():
            state.apply(record)
        self.feed = Feed(self.brokers, "paper", reactor, lambda moment: moment.date(), timeout=5.0)
        ids = count(state.seq + 1)
        for broker in self.brokers.values():
            broker.ids = count(state.seq + 1)
        self.gateway = Gateway(
            Desk(
                state=state,
                journal=self.journal,
                brokers=self.brokers,
                market=self.feed.market,
                reactor=reactor,
                clock=self.now,
                new_id=lambda: f"01JD3X0Q9P7F{next(ids):08}",
                trading_day=lambda moment: moment.date(),
                default_route="DEMO",
            )
        )
        for name, broker in self.brokers.items():
            broker.report = self._report_of(name)
        about = About(
            header="txGateway 9.9 2026-01-01 test",
            version="9.9",
            flags={},
            started=START,
            zone=ZONE,
            default_venue="paper",
            default_account="API_ACCOUNT",
            default_route="DEMO",
            kinds=dict.fromkeys(self.brokers, "honest"),
            clock=self.now,
            shutdown=self.stopped.append,
        )
        self.api = Api(self.gateway, self.feed, self.brokers, about)
        flags, access, fragments = (
            Flags(ZONE, ticker=ticker),
            Access(USER, PASSWORD, self.gateway.state.tokens, login_delay=0.01),
            Fragments(),
        )
        self.api.access = access
        self.logins = Logins(access, reactor, self.now)
        self.gateway.listeners.append(fragments.changed)
        self.publisher = Publisher(self.gateway, self.feed, flags, reactor, "paper", self.api.accounts, self.settings)
        shared = (self.api, self.publisher, self.logins, flags, reactor, self.settings)
        self.factory = StreamFactory(*shared, "host.example", fragments)
        self.resource = StreamResource(*shared, fragments)
        self.port: Any = None
        self.web: Any = None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def _report_of(self, venue: str) -> Callable[[Any], None]:
        def report(event: Any) -> None:
            if isinstance(event, Quote | Trade | Bar | Statistics | Depth):
                self.feed.report(venue, event)
            else:
                self.gateway.report(event)

        return report

    async def open(self, up: bool = True) -> House:
        """Bind the ports and, unless told not to, connect the venues."""
        self.publisher.start()
        self.gateway.start()
        root = Resource()
        root.putChild(b"stream", self.resource)
        self.port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.web = self.reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        if up:
            await self.up()
        return self

    async def up(self) -> None:
        """Connect the venues."""
        for broker in self.brokers.values():
            broker.startService()
        await self.until(lambda: self.gateway.intake.been_up == set(self.brokers))
        await self.gateway.settled()

    async def close(self) -> None:
        """Take everything down, once."""
        if self.port is None:
            return
        for client in self.clients:
            client.cut()
        await self.publisher.stop()
        for port in (self.port, self.web):
            await maybeDeferred(port.stopListening)
        self.port = None
        await self.gateway.stop()

    async def submit(self, number: int = 1, account: str = "API_ACCOUNT", **terms: Any) -> list[str]:
        """Send so many orders at once; their ids, once they are answered."""
        request = OrderRequest(
            **{"account": account, "symbol": "IBM", "side": Side.BUY, "quantity": D(100), **terms}
        )  # fmt: skip
        work = [Deferred.fromCoroutine(self.gateway.submit(request, "me", Origin.RPC)) for _ in range(number)]
        ids = [(await each).order.order_id for each in work]
        self.ids += ids
        return ids

    async def until(self, condition: Callable[[], Any]) -> Any:
        """What a condition gives once it holds.

        Between two looks the reactor is idle: one that never is keeps Python's lock from the journal's threads.
        """
        deadline = self.reactor.seconds() + PATIENCE
        while not (found := condition()):
            assert self.reactor.seconds() < deadline, "waited in vain"
            await deferLater(self.reactor, 0.001)
        return found

    async def connect(self) -> Client:
        """A client that has not said anything yet."""
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Client(self))
        self.clients.append(client)
        return client

    async def login(self, options: Any = "", user: str = USER, password: str = PASSWORD) -> Client:
        """A client that is authorized."""
        client = await self.connect()
        client.say(f"auth {user} {password} {options if isinstance(options, str) else json.dumps(options)}")
        await client.heard(".Authorized")
        return client


class Client(Protocol):
    """A stream client that keeps every line; `cut_at`: it cuts the connection after so many lines."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.lines: list[str] = []
        self.lost = False
        self.cut_at: int | None = None
        self._netstrings = Netstrings(0x20000000)

    def dataReceived(self, data: bytes) -> None:
        for message in self._netstrings.receive(data):
            self.lines.append(message.decode())
            if self.cut_at is not None and len(self.lines) >= self.cut_at:
                self.cut()
                return

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    def say(self, text: str) -> None:
        """Send a line."""
        self.transport.write(netstring(text.encode()))

    @property
    def session(self) -> Any:
        """The server's side of the connection."""
        here = self.transport.getHost().port
        return next(each for each in self.house.factory.sessions if each.transport.getPeer().port == here)

    def read(self, on: bool) -> None:
        """Stop reading, with buffers that are soon full; or go on."""
        if on:
            self.transport.resumeProducing()
            return
        shrink(self.transport, self.session.transport)
        self.transport.pauseProducing()

    def cut(self) -> None:
        """Cut the connection."""
        if not self.lost:
            self.transport.abortConnection()

    async def heard(self, start: str, number: int = 1) -> str:
        """The rest of the `number`th line that begins so, once it has come."""
        found = await self.house.until(lambda: self.all(start)[number - 1 :] or self._gone(start))
        return found[0]

    def _gone(self, start: str) -> None:
        assert not self.lost, f"the connection is lost, and no {start!r} came: {self.lines[-5:]}"

    async def answer(self, command: str, start: str = "") -> str:
        """The first line with this start that comes after a command was sent."""
        at = len(self.lines)
        self.say(command)

        def found() -> str | None:
            line = next((line for line in self.lines[at:] if line.startswith(start)), None)
            if line is None:
                self._gone(start)
            return line

        return str(await self.house.until(found))

    async def json(self, command: str, start: str = "") -> Any:
        """The JSON that a command is answered."""
        line = await self.answer(command, start)
        return json.loads(line if start in ("{", "[") else line[len(start) :])

    async def ended(self) -> None:
        """The server has closed the connection."""
        await self.house.until(lambda: self.lost)

    def all(self, start: str) -> list[str]:
        """The rest of every line that begins so."""
        return [line[len(start) :] for line in self.lines if line.startswith(start)]

    def data(self, kind: str, channel: str = "paper") -> list[dict[str, Any]]:
        """The objects of every data line of a kind."""
        return [json.loads(text) for text in self.all(f"{channel}.{kind}-data ")]

    def seen(self) -> list[str]:
        """Every line about the journal, in order."""
        kinds = tuple(f"{each}{mark}" for each in ("order", "ticket", "execution") for mark in ".-")
        kinds += ("position-", "status-", "reconciliation-")
        return [line for line in self.lines if line.partition(".")[2].startswith(kinds)]


def shrink(*transports: Any) -> None:
    """Give sockets buffers that are soon full."""
    for transport in transports:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            transport.getHandle().setsockopt(socket.SOL_SOCKET, option, 100_000)


EVERYTHING = dict.fromkeys(sorted(bulletins.OPTIONS - {"quotes", "trades", "depth-data"}), True)
"""Options that ask for everything in the journal."""
