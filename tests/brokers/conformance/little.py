"""A little honest broker in memory. All that it says goes through few methods: a wrong one changes one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.brokers.contract import Clocked
from txgateway.brokers import Broker, Can, Report
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, Level, Period, Quote, Trade
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus, OrderType, TimeInForce
from txgateway.model.venue import EndpointApi, EndpointCall, PositionMode, RateLimit

D = Decimal
PRICE = D(100)
NONE: Sequence[Any] = ()


class Little:
    """One account, one symbol, one price. Everything is told by `tell`, every report goes by `shown`."""

    can = ~(Can.BALANCE_STREAM | Can.FAULTS)

    def __init__(self, report: Report, clock: Callable[[], datetime]) -> None:
        self.venue = "little"
        self.up = False
        self.report = report
        self.clock = clock
        self.orders: dict[str, OrderReport] = {}
        self.fills: list[Execution] = []
        self.listened: set[str] = set()
        self.deep: set[str] = set()
        self.margin = D(1)
        self.mode = PositionMode.ONE_WAY
        self.asked = 0
        self.groups: dict[str, str] = {}
        self.ids = 0

    def tell(self, event: Any) -> None:
        self.report(event)

    def status(self, status: VenueStatus) -> None:
        self.tell(VenueStatusChanged(self.venue, status, "", self.clock()))

    # life

    def startService(self) -> None:
        if not self.up:
            self.up = True
            self.status(VenueStatus.CONNECTING)
            self.status(VenueStatus.RECONCILING)

    def stopService(self) -> None:
        if self.up:
            self.up = False
            self.listened.clear()
            self.deep.clear()
            self.status(VenueStatus.DOWN)

    def now(self) -> datetime:
        return self.clock()

    def accounts(self) -> Sequence[str]:
        return ["API_ACCOUNT"]

    def require_up(self) -> None:
        self.asked += 1
        if not self.up:
            raise Refused(Reason.VENUE_DOWN, "The little venue is down.")

    # orders

    async def submit(self, order: Order) -> None:
        self.require_up()
        if order.order_id in self.orders:
            raise GatewayError(f"{order.order_id} is here already.")
        if order.symbol != "IBM":
            text = f"{order.symbol} does not trade here."
            self.tell(OrderRejected(order.order_id, Reason.REJECTED, text, self.clock()))
            return
        self.enter(order)

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        for order in (entry, *exits):
            await self.submit(order)

    def enter(self, order: Order) -> None:
        self.ids += 1
        names = ("account", "symbol", "side", "quantity", "order_type", "time_in_force", "limit_price", "stop_price")
        terms = {name: getattr(order, name) for name in names}
        status = OrderStatus.NEW if order.tag is None else OrderStatus.STAGED
        self.orders[order.order_id] = OrderReport(
            broker_order_id=f"L{self.ids}", order_id=order.order_id, status=status, time=self.clock(), **terms
        )
        self.groups[order.order_id] = order.parent or order.oco
        self.tell(OrderAccepted(order.order_id, f"L{self.ids}", self.clock()))
        if order.tag is None:
            self.work(order.order_id)

    def work(self, order_id: str) -> None:
        order = self.orders[order_id]
        if order.order_type is OrderType.MARKET:
            self.fill(order_id, order.quantity)
        elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order_id)

    def fill(self, order_id: str, quantity: Decimal) -> None:
        order = self.orders[order_id]
        filled = order.filled_quantity + quantity
        status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIALLY_FILLED
        self.orders[order_id] = replace(order, filled_quantity=filled, average_price=PRICE, status=status)
        execution = Execution(
            execution_id=f"X{len(self.fills) + 1}",
            venue=self.venue,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=PRICE,
            time=self.clock(),
            order_id=order_id,
            broker_order_id=order.broker_order_id,
        )
        self.fills.append(execution)
        self.tell(Executed(execution, self.clock()))
        for other in [each for each in self.orders if each != order_id and self.bound(order_id, each)]:
            self.take_off(other, quantity)

    def bound(self, order_id: str, other: str) -> bool:
        group = self.groups.get(order_id)
        return bool(group) and self.groups.get(other) == group and self.is_open(other)

    def take_off(self, order_id: str, quantity: Decimal) -> None:
        order = self.orders[order_id]
        left = order.quantity - quantity
        if left <= order.filled_quantity:
            self.end(order_id)
            return
        self.orders[order_id] = replace(order, quantity=left)
        self.tell(OrderReplaced(order_id, left, order.limit_price, order.stop_price, self.clock()))

    def end(self, order_id: str) -> None:
        self.orders[order_id] = replace(self.orders[order_id], status=OrderStatus.CANCELED)
        self.tell(OrderCanceled(order_id, Reason.USER, "Canceled.", self.clock()))
        for child in [each for each in self.orders if self.holds(order_id, each)]:
            self.end(child)

    def holds(self, parent: str, child: str) -> bool:
        return self.groups[child] == parent and self.is_open(child)

    def is_open(self, order_id: str) -> bool:
        return order_id in self.orders and self.orders[order_id].status not in CLOSED

    async def release(self, order: Order) -> None:
        self.require_up()
        if self.orders[order.order_id].status is not OrderStatus.STAGED:
            raise Refused(Reason.NOT_A_TICKET, "It waits no more.")
        self.orders[order.order_id] = replace(self.orders[order.order_id], status=OrderStatus.NEW)
        self.work(order.order_id)

    async def cancel(self, order: Order) -> None:
        self.require_up()
        if self.is_open(order.order_id):
            self.end(order.order_id)
        else:
            self.tell(CancelRejected(order.order_id, Reason.TOO_LATE, "It is not open.", self.clock()))

    async def replace(self, order: Order) -> None:
        self.require_up()
        known = self.orders.get(order.order_id)
        quantity = order.asked_quantity or order.quantity
        if known is None or known.status in CLOSED or quantity <= known.filled_quantity:
            self.tell(ReplaceRejected(order.order_id, Reason.REJECTED, "It cannot be replaced.", self.clock()))
            return
        limit, stop = order.asked_limit_price or order.limit_price, order.asked_stop_price or order.stop_price
        self.orders[order.order_id] = replace(known, quantity=quantity, limit_price=limit, stop_price=stop)
        self.tell(OrderReplaced(order.order_id, quantity, limit, stop, self.clock()))

    # questions

    def shown(self, report: OrderReport) -> OrderReport | None:
        return report

    async def open_orders(self) -> Sequence[OrderReport]:
        self.require_up()
        shown = (self.shown(each) for each in self.orders.values() if each.status not in CLOSED)
        return [each for each in shown if each is not None]

    async def lookup(self, order: Order) -> OrderReport | None:
        self.require_up()
        report = self.orders.get(order.order_id)
        return self.shown(report) if report else None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        self.require_up()
        return [each for each in self.fills if since is None or each.time > since]

    async def positions(self) -> Sequence[Position]:
        self.require_up()
        held = sum((fill.signed_quantity for fill in self.fills), D(0))
        return [Position(self.venue, "API_ACCOUNT", "IBM", held, PRICE)] if held else []

    async def balances(self, account: str) -> AccountReport:
        if account != "API_ACCOUNT":
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"There is no account {account} here.")
        cash = sum((fill.cash for fill in self.fills), D(1000))
        return AccountReport(account, cash, (Balance("USD", cash, cash),))

    async def instrument(self, symbol: str) -> Instrument | None:
        return Instrument(symbol=symbol, venue=self.venue) if symbol == "IBM" else None

    async def instruments(self) -> Sequence[Instrument]:
        return [Instrument(symbol="IBM", venue=self.venue)]

    # the market

    def subscribe(self, symbol: str) -> None:
        if self.up and symbol == "IBM":
            self.listened.add(symbol)
            self.tick()

    def unsubscribe(self, symbol: str) -> None:
        self.listened.discard(symbol)
        self.unsubscribe_depth(symbol)

    def tick(self) -> None:
        for symbol in self.listened:
            self.tell(Quote(symbol, D("99.9"), D(100), D("100.1"), D(100), self.clock()))
            self.tell(Trade(symbol, PRICE, D(10), self.clock()))
            if symbol in self.deep:
                self.tell(self.book(symbol, 5))

    def book(self, symbol: str, levels: int) -> Depth:
        steps = [D(number) / 10 for number in range(1, min(levels, 5) + 1)]
        bids, asks = (tuple(Level(PRICE + sign * step, D(100)) for step in steps) for sign in (-1, 1))
        return Depth(symbol, bids, asks, self.clock(), 1)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        self.require_up()
        return [LastPrice("IBM", PRICE, self.clock())] if "IBM" in symbols else []

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        self.require_up()
        return self.book(symbol, levels) if symbol == "IBM" else None

    def subscribe_depth(self, symbol: str) -> None:
        if symbol in self.listened:
            self.deep.add(symbol)
            self.tick()

    def unsubscribe_depth(self, symbol: str) -> None:
        self.deep.discard(symbol)

    # a venue of perpetuals

    async def funding(self, symbol: str) -> Funding | None:
        self.require_up()
        now = self.clock()
        return Funding("IBM", D("0.0001"), now, None, now + timedelta(hours=8)) if symbol == "IBM" else None

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        self.require_up()
        return self.margin

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        self.require_up()
        if leverage > 20:
            raise Refused(Reason.REJECTED, "That is too much.")
        self.margin = leverage

    async def position_mode(self, account: str) -> PositionMode:
        self.require_up()
        return self.mode

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        self.require_up()
        self.mode = mode

    def rate_limits(self) -> Sequence[RateLimit]:
        return [RateLimit("requests", 1000, max(1000 - self.asked, 0), 60.0)]

    async def call_endpoint(self, call: EndpointCall) -> Any:
        self.require_up()
        if call.path != "ping":
            raise Refused(Reason.REJECTED, f"There is no {call.path} here.")
        return {"pong": dict(call.params)}

    def minute(self, symbol: str, time: datetime) -> Bar:
        return Bar(symbol, time, PRICE, PRICE + 1, PRICE - 1, PRICE, D(10))

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        count = (end - start) // timedelta(minutes=1) if symbol == "IBM" else 0
        return [self.minute(symbol, start + number * timedelta(minutes=1)) for number in range(count)]


class LittleSubject(Clocked):
    """A little broker of some kind."""

    endpoint: EndpointCall | None = EndpointCall("ping", EndpointApi.PUBLIC, "GET")

    def __init__(self, folder: Path, kind: type[Little] = Little) -> None:
        super().__init__(folder)
        self.kind = kind
        self.broker: Any = None

    def make(self, report: Report) -> Broker:
        self.broker = self.kind(report, self.now)
        return self.broker  # type: ignore[no-any-return]

    async def pause(self) -> None:
        await super().pause()
        self.broker.tick()

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        self.broker.fill(order.order_id, quantity)
