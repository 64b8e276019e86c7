"""A desk on a memory journal, a clock that tests move, and a broker whose answers tests choose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txgateway.brokers import Can
from txgateway.gateway import Desk, Gateway
from txgateway.ids import Ids
from txgateway.journal.memory import MemoryJournal
from txgateway.keeper import Keeper
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    Reason,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Mark, Quote, Trade
from txgateway.model.order import Order, OrderReport, OrderRequest, OrderStatus, Origin, Side
from txgateway.state import State

D = Decimal
_COUNT = count(1, 1000)
OPEN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.STAGED)
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
EVERYTHING = ~Can(0) & ~Can.STAGE & ~Can.FAULTS & ~Can.OCO & ~Can.BRACKET & ~Can.CASH


class ChosenBroker:
    """A counterparty that remembers what it was sent, and answers only what a test tells it to.

    `mode`: "fill" accepts and fills at 100, "accept" only accepts, "mute" says nothing, "fail" raises.
    """

    def __init__(self, clock: Clock, can: Can = EVERYTHING) -> None:
        self.venue = "paper"
        self.can = can
        self.mode = "fill"
        self.sent: list[Order] = []
        self.canceled: list[Order] = []
        self.replaced: list[Order] = []
        self.released: list[Order] = []
        self.book: dict[str, OrderReport] = {}
        self.fills: list[Execution] = []
        self.held: list[Position] = []
        self.holds_fills = False
        """Whether it holds what its fills come to, beside `held`."""
        self.money: dict[str, Decimal] = {"USD": D(1000)}
        """What each account has been paid in, beside what its fills move."""
        self.asked: list[str] = []
        """The questions it was asked."""
        self.answer_when: Deferred[None] | None = None
        """Questions are answered once this has fired."""
        self.report: Any = None
        self._clock = clock

    def now(self) -> datetime:
        return START + timedelta(seconds=self._clock.seconds())

    def accounts(self) -> Sequence[str]:
        return ["ACC", "OTHER"]

    def startService(self) -> None:
        self.report(VenueStatusChanged("paper", VenueStatus.CONNECTING, "", self.now()))
        self.report(VenueStatusChanged("paper", VenueStatus.RECONCILING, "", self.now()))

    def stopService(self) -> None:
        self.report(VenueStatusChanged("paper", VenueStatus.DOWN, "", self.now()))

    async def submit(self, order: Order) -> None:
        self.sent.append(order)
        if self.mode == "fail":
            raise ConnectionError("the link broke")
        if self.mode == "mute":
            return
        self.report(OrderAccepted(order.order_id, f"B{len(self.sent)}", self.now()))
        if self.mode == "fill":
            self.report(Executed(self.fill(order, order.quantity), self.now()))

    def fill(self, order: Order, quantity: Decimal, price: str = "100", execution_id: str = "") -> Execution:
        """An execution of an order, as the broker would make it."""
        execution = Execution(
            execution_id=execution_id or f"X{len(self.fills) + 1}",
            venue="paper",
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=D(quantity),
            price=D(price),
            time=self.now(),
            order_id=order.order_id,
            commission=D(1),
        )
        self.fills.append(execution)
        return execution

    async def release(self, order: Order) -> None:
        self.released.append(order)
        await self.submit(order)

    async def cancel(self, order: Order) -> None:
        self.canceled.append(order)
        if self.mode != "mute":
            self.report(OrderCanceled(order.order_id, Reason.USER, "", self.now()))

    async def replace(self, order: Order) -> None:
        self.replaced.append(order)
        quantity = order.asked_quantity or order.quantity
        limit, stop = order.asked_limit_price or order.limit_price, order.asked_stop_price or order.stop_price
        self.report(OrderReplaced(order.order_id, quantity, limit, stop, self.now()))

    async def _ask(self, question: str) -> None:
        self.asked.append(question)
        if self.answer_when is not None:
            await self.answer_when

    async def open_orders(self) -> Sequence[OrderReport]:
        await self._ask("open_orders")
        return [each for each in self.book.values() if each.status in OPEN]

    async def lookup(self, order: Order) -> OrderReport | None:
        await self._ask("lookup")
        return self.book.get(order.order_id)

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        await self._ask("executions")
        return [fill for fill in self.fills if since is None or fill.time >= since]

    async def positions(self) -> Sequence[Position]:
        await self._ask("positions")
        if not self.holds_fills:
            return self.held
        held = {(each.account, each.symbol): each for each in self.held}
        for fill in self.fills:
            key = (fill.account, fill.symbol)
            before = held.get(key) or Position("paper", *key, D(0))
            held[key] = before.after(fill.signed_quantity, fill.price)
        return list(held.values())

    def hold(self, order: Order, status: OrderStatus = OrderStatus.NEW, **more: Any) -> OrderReport:
        """Put an order into the book, so that the broker shows it."""
        terms: dict[str, Any] = {
            "broker_order_id": order.broker_order_id or f"B{len(self.book) + 1}",
            "order_id": order.order_id,
            "account": order.account,
            "symbol": order.symbol,
            "side": order.side,
            "quantity": order.quantity,
            "order_type": order.order_type,
            "limit_price": order.limit_price,
            "stop_price": order.stop_price,
            "filled_quantity": sum((fill.quantity for fill in self.fills if fill.order_id == order.order_id), D(0)),
            "time": self.now(),
        }
        report = OrderReport(**{**terms, "status": status, **more})
        self.book[order.order_id] = report
        return report

    async def balances(self, account: str) -> AccountReport:
        await self._ask("balances")
        money = self.money.copy()
        for fill in self.fills:
            if fill.account == account:
                spent = fill.signed_quantity * fill.price + fill.commission
                money[fill.currency] = money.get(fill.currency, D(0)) - spent
        return AccountReport(account, D(1000), tuple(Balance(name, total, total) for name, total in money.items()))

    async def instrument(self, symbol: str) -> Instrument | None:
        return Instrument(symbol=symbol, venue="paper", cusip="459200101") if symbol in ("IBM", "AAPL") else None

    async def instruments(self) -> Sequence[Instrument]:
        return []

    def subscribe(self, symbol: str) -> None: ...

    def unsubscribe(self, symbol: str) -> None: ...

    async def bars(self, *wanted: Any) -> Sequence[Any]:
        return []


class Bench:
    """Everything around one desk; `restart` builds another on the same journal, as after kill -9."""

    def __init__(self, journal: MemoryJournal | None = None, broker: ChosenBroker | None = None, **more: Any) -> None:
        self.clock = Clock()
        self.journal = journal or MemoryJournal()
        self.broker = broker or ChosenBroker(self.clock)
        self.broker._clock = self.clock
        self.told: list[Any] = []
        self.more = more
        self.touch: tuple[Decimal, Decimal] | None = (D("99.99"), D("100.01"))
        """Bid and ask; None: no price has been seen."""
        self.quoted: datetime | None = None
        """When the last quote was; None: just now."""
        rebuilt = State()
        for record in self.journal.records():
            rebuilt.apply(record)
        self.gateway = Gateway(
            Desk(
                state=rebuilt,
                journal=self.journal,
                brokers={"paper": self.broker},
                market=self.market,
                reactor=self.clock,
                clock=self.now,
                new_id=Ids(self.now, lambda room: next(_COUNT)),
                trading_day=lambda moment: moment.date(),
                **{"default_route": "DEMO", "shown": self.shown, **more},
            )
        )
        self.broker.report = partial(self.gateway.report, venue="paper")
        self.gateway.listeners.append(self.told.append)
        self.complaints: list[VenueError] = []
        self.keeper = Keeper(
            self.gateway, {"paper": self.broker}, self.market, self.clock, self.now, self.complaints.append
        )
        self.gateway.start()
        self.keeper.start()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds())

    async def market(self, venue: str, symbol: str) -> tuple[Instrument | None, Quote | None]:
        if self.touch is None:
            return await self.broker.instrument(symbol), None
        bid, ask = self.touch
        return await self.broker.instrument(symbol), Quote(symbol, bid, D(500), ask, D(500), self.quoted or self.now())

    def shown(self, venue: str, symbol: str) -> tuple[Mark | None, Trade | None]:
        """What a unit is worth: the middle of the touch, after a close of 100."""
        return (None if self.touch is None else Mark(sum(self.touch, D(0)) / 2, D(100))), None

    def up(self) -> Bench:
        """Connect the broker and let it be reconciled."""
        self.broker.startService()
        self.turn()
        assert self.gateway.intake.status["paper"] is VenueStatus.UP
        return self

    def turn(self, seconds: float = 0) -> None:
        """Let the reactor turn until nothing is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            self.clock.advance(0)

    def restart(self) -> Bench:
        """What is on disk, with the same counterparty: what was not synced is gone."""
        journal = MemoryJournal()
        journal.rows = list(self.journal.rows)
        journal._keys = dict(self.journal._keys)
        return Bench(journal, self.broker, **self.more)

    def do(self, work: Any) -> Any:
        """The result of a coroutine, after as many turns as it needs; raises what it raises."""
        done = Deferred.fromCoroutine(work)
        self.turn()
        return outcome(done)

    def submit(self, **terms: Any) -> Any:
        """Submit a request and turn until it is answered."""
        return self.do(self.gateway.submit(request(**terms), "me", Origin.RPC))


def outcome(done: Deferred[Any]) -> Any:
    """What a Deferred came to; fails when it has not fired."""
    box: list[Any] = []
    done.addBoth(box.append)
    assert box, "not answered yet"
    if hasattr(box[0], "raiseException"):
        box[0].raiseException()
    return box[0]


def request(**terms: Any) -> OrderRequest:
    """A market order for 100 IBM, with changes."""
    return OrderRequest(**{"account": "ACC", "symbol": "IBM", "side": Side.BUY, "quantity": D(100), **terms})
