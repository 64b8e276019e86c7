"""A desk with a market, an account and an HTTP port, all real but the counterparty, which fills at fixed prices."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal as D
from itertools import count
from typing import Any

import pytz
import requests
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from txgateway.access import Access
from txgateway.api import About, Api
from txgateway.brokers import Can
from txgateway.carrier import Carrier
from txgateway.feed import Feed
from txgateway.gateway import Desk, Gateway
from txgateway.journal.memory import MemoryJournal
from txgateway.logins import Logins
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import Reason, TimedOut, Unsupported
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Bar, Period, Quote, Statistics, Trade
from txgateway.model.order import CLOSED, Order, OrderReport, OrderRequest, OrderType, Origin, Side
from txgateway.model.signal import SourceKind
from txgateway.render import Fragments
from txgateway.servers.http import HttpSettings, make_site
from txgateway.signaling import Signaling
from txgateway.signals.generic import Generic
from txgateway.sources import Sources
from txgateway.state import State
from txgateway.wire import Flags

ZONE = pytz.timezone("America/New_York")
USER, PASSWORD = "txtrader_user", "pass:wörd"
ACCOUNT = "API_ACCOUNT"
START = datetime(2013, 10, 7, 13, 31, tzinfo=UTC)
PRICES = {"IBM": ("183.10", "183.12"), "AAPL": ("487.04", "487.05"), "BTCUSD": ("609.999", "610.001")}


class FixedBroker:
    """Accepts every order; fills market orders at the fixed quote, lets the others rest. `hold` keeps answers back."""

    def __init__(self) -> None:
        self.venue = "paper"
        self.can = ~Can(0) & ~Can.STAGE & ~Can.DEPTH & ~Can.RAW & ~Can.FAULTS & ~Can.CASH
        self.can &= ~Can.FUNDING & ~Can.LEVERAGE & ~Can.POSITION_MODE & ~Can.RATE_LIMITS & ~Can.LAST_PRICES
        self.hold = False
        self.held: list[Order] = []
        self.sent: list[Order] = []
        self.rejects: str | None = None
        self.fills: list[Execution] = []
        self.time = START
        self.report: Callable[[Any], None] = lambda event: None
        self._ids = count(1)

    def startService(self) -> None:
        for status in (VenueStatus.CONNECTING, VenueStatus.RECONCILING):
            self.report(VenueStatusChanged(self.venue, status, "", self.now()))

    def stopService(self) -> None:
        self.report(VenueStatusChanged(self.venue, VenueStatus.DOWN, "stopped", self.now()))

    def now(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def accounts(self) -> Sequence[str]:
        return [ACCOUNT, "PAPER_CASH"]

    async def submit(self, order: Order) -> None:
        self.sent.append(order)
        if self.hold:
            self.held.append(order)
        else:
            self.answer(order)

    def answer(self, order: Order) -> None:
        """The broker's word on an order."""
        if self.rejects is not None:
            self.report(OrderRejected(order.order_id, Reason.REJECTED, self.rejects, self.now()))
            return
        self.report(OrderAccepted(order.order_id, f"P-{next(self._ids)}", self.now()))
        if order.order_type is OrderType.MARKET:
            self.fill(order, order.quantity)

    def fill(self, order: Order, quantity: D) -> None:
        """Fill so much of an order at the quote."""
        bid, ask = PRICES[order.symbol]
        execution = Execution(
            execution_id=f"E-{len(self.fills) + 1}",
            venue=self.venue,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=D(ask if order.side.sign > 0 else bid),
            time=self.now(),
            order_id=order.order_id,
            commission=D("1.00"),
            exchange="PAPER",
        )
        self.fills.append(execution)
        self.report(Executed(execution, execution.time))

    def release_all(self) -> None:
        """Answer what was held back."""
        held, self.held, self.hold = self.held, [], False
        for order in held:
            self.answer(order)

    async def release(self, order: Order) -> None:
        await self.submit(order)

    async def cancel(self, order: Order) -> None:
        self.report(OrderCanceled(order.order_id, Reason.USER, "", self.now()))

    async def replace(self, order: Order) -> None:
        limit, stop = order.asked_limit_price or order.limit_price, order.asked_stop_price or order.stop_price
        self.report(OrderReplaced(order.order_id, order.asked_quantity or order.quantity, limit, stop, self.now()))

    async def open_orders(self) -> Sequence[OrderReport]:
        return []

    async def lookup(self, order: Order) -> OrderReport | None:
        return None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        return []

    async def positions(self) -> Sequence[Position]:
        return []

    async def balances(self, account: str) -> AccountReport:
        if account == "PAPER_CASH":
            raise TimedOut("Venue paper did not answer balances within 15 s: try again, or raise its TIMEOUT.")
        values: dict[str, D | str] = {"buying_power": D(40_000_000), "type": "margin"}
        return AccountReport(account, D("10000000.00"), (Balance("USD", D(10_000_000), D("9999816.90")),), values)

    async def renames(self, symbol: str, exchange: str | None) -> Sequence[str]:
        return ()

    async def instrument(self, symbol: str) -> Instrument | None:
        if symbol not in PRICES:
            return None
        session = Session(time(9, 30), time(16, 0), "America/New_York", always=True)
        raw = {"DISP_NAME": symbol, "STARTTIME": "09:30:00", "STOPTIME": "16:00:00"}
        step = D("0.001") if symbol == "BTCUSD" else D(1)
        return Instrument(
            symbol=symbol,
            venue=self.venue,
            fullname=f"{symbol} Inc.",
            cusip="459200101",
            lot_size=step,
            min_quantity=step,
            tick_size=D("0.001") if symbol == "BTCUSD" else D("0.01"),
            session=session,
            raw=raw,
        )

    async def instruments(self) -> Sequence[Instrument]:
        return [each for symbol in PRICES if (each := await self.instrument(symbol))]

    def subscribe(self, symbol: str) -> None:
        bid, ask = PRICES[symbol]
        self.report(Statistics(symbol, open=D("182.50"), close=D("184.1"), volume=D(1000), vwap=D("183")))
        self.report(Trade(symbol, D(bid), D(100), self.now()))
        self.report(Quote(symbol, D(bid), D(500), D(ask), D(300), self.now()))

    def unsubscribe(self, symbol: str) -> None: ...

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        if symbol == "BTCUSD":
            raise Unsupported("Venue paper has no bars of BTCUSD.")
        minutes = min(int((end - start).total_seconds() // 60), 200_000)
        prices = D("183"), D("183.2"), D("182.9"), D("183.1")
        return [Bar(symbol, start + timedelta(minutes=at), *prices, D(100)) for at in range(minutes)]


@dataclass
class House:
    """Everything behind one port. `stopped` has what shutdown was asked with."""

    reactor: Any
    settings: HttpSettings = field(default_factory=lambda: HttpSettings(Flags(ZONE, ticker=True)))
    broker: FixedBroker = field(default_factory=FixedBroker)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    fragments: Fragments = field(default_factory=Fragments)
    stopped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        brokers = {"paper": self.broker}
        self.feed = Feed(brokers, "paper", self.reactor, lambda moment: moment.date(), timeout=1.0, keep_bars=False)
        ids = count(1)
        desk = Desk(
            state=State(),
            journal=self.journal,
            brokers=brokers,
            market=self.feed.market,
            reactor=self.reactor,
            clock=self.broker.now,
            new_id=lambda: f"01JD3X0Q9P7F{next(ids):08}",
            trading_day=lambda moment: moment.date(),
            default_route="DEMO",
        )
        self.gateway = Gateway(desk)
        self.broker.report = self._report
        about = About(
            header="txTrader 9.9",
            version="9.9",
            flags={"TICKER": True, "SECONDS_TICK": True},
            started=START,
            zone=ZONE,
            default_venue="paper",
            default_account=ACCOUNT,
            default_route="DEMO",
            kinds={"paper": "fixed"},
            clock=self.broker.now,
            shutdown=self.stopped.append,
        )
        clock, sources = self.broker.now, Sources()
        carrier = Carrier(self.gateway, self.feed, brokers, sources.get, self.reactor, clock, desk.new_id)
        languages: dict[str, Any] = {SourceKind.GENERIC: Generic()}
        self.signaling = Signaling(self.gateway, brokers, sources, languages, self.journal, carrier, clock, desk.new_id)
        self.api = Api(self.gateway, self.feed, brokers, about, signaling=self.signaling)
        self.gateway.listeners.append(self.fragments.changed)
        self.access = Access(USER, PASSWORD, self.gateway.state.tokens, login_delay=0.01)
        self.api.access = self.access
        self.logins = Logins(self.access, self.reactor, self.broker.now)
        self.site = make_site(self.api, self.logins, self.settings, self.reactor, self.fragments)
        self.port: Any = None

    def _report(self, event: Any) -> None:
        if isinstance(event, Quote | Trade | Bar | Statistics):
            self.feed.report("paper", event)
        else:
            self.gateway.report(event)

    async def open(self, up: bool = True) -> House:
        """Bind a port and, unless told not to, connect the venue."""
        self.gateway.start()
        self.port = self.reactor.listenTCP(0, self.site, interface="127.0.0.1")
        if up:
            await self.connect()
        return self

    async def connect(self) -> None:
        """Let the venue come up."""
        self.broker.startService()
        await until(self.reactor, lambda: "paper" in self.gateway.intake.been_up)

    async def close(self) -> None:
        """Take everything down again."""
        await self.port.stopListening()
        await self.gateway.stop()

    # being a client

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port.getHost().port}"

    def call(self, method: str, path: str, **more: Any) -> Deferred[requests.Response]:
        """One HTTP request by `requests`, from a thread."""
        more = {"auth": (USER.encode(), PASSWORD.encode()), "timeout": 20, **more}
        return deferToThread(requests.request, method, self.url + path, **more)

    def socket(self) -> socket.socket:
        """A client's bare connection."""
        return socket.create_connection(("127.0.0.1", self.port.getHost().port), timeout=20)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len([each for each in self.reactor.getReaders() if getattr(each, "server", None) is self.port])

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON that a GET gives."""
        response = await self.call("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, **arguments: Any) -> Any:
        """The JSON that a POST gives."""
        response = await self.call("POST", path, json=arguments)
        assert response.status_code == 200, response.text
        return response.json()

    async def rpc(self, message: Any, path: str = "/rpc") -> Any:
        """What a JSON-RPC message (or the text of one) is answered; None for an empty body."""
        data = message if isinstance(message, str | bytes) else json.dumps(message)
        response = await self.call("POST", path, data=data)
        return response.json() if response.content else None

    async def orders(self, number: int, symbol: str = "IBM") -> list[str]:
        """The ids of so many filled orders."""
        request = OrderRequest(account=ACCOUNT, symbol=symbol, side=Side.BUY, quantity=D(100))
        work = [Deferred.fromCoroutine(self.gateway.submit(request, "me", Origin.RPC)) for _ in range(number)]
        replies = [await each for each in work]
        assert all(each.order.status in CLOSED for each in replies)
        return [each.order.order_id for each in replies]


def raw(method: str, path: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    """A request as it goes over the wire, with the right user."""
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    head = [f"{method} {path} HTTP/{version}", "Host: localhost", f"Authorization: Basic {pair}", *headers]
    if body and not any("chunked" in each or "Content-Length" in each for each in headers):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def until(reactor: Any, condition: Callable[[], Any]) -> Awaitable[None]:
    """Fires when a condition holds, looked at once a turn; the test's own time limit ends a vain wait."""
    done: Deferred[None] = Deferred()

    def look() -> None:
        if condition():
            done.callback(None)
        else:
            reactor.callLater(0.001, look)

    look()
    return done
