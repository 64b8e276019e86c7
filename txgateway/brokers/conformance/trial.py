"""One case in progress: the broker, all that it told, and short ways to ask it and to wait for what must come."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

from twisted.internet.defer import Deferred

from txgateway.brokers import Broker, Can
from txgateway.brokers.conformance.subject import Subject
from txgateway.model.errors import Ambiguous, Refused
from txgateway.model.events import (
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.exits import Leg
from txgateway.model.fault import FaultKind, make_fault
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Side, TimeInForce

T = TypeVar("T")
ENDS = (OrderCanceled, OrderExpired, OrderRejected)
ZERO = Decimal(0)


class Broken(AssertionError):
    """A rule was broken: what was expected, and what happened."""


def require(condition: object, text: str) -> None:
    """Broken, unless the condition holds."""
    if not condition:
        raise Broken(text)


def is_amount(value: object) -> bool:
    """True for a finite Decimal: whatever a broker's types promise, this is looked at."""
    return isinstance(value, Decimal) and value.is_finite()


class Trial:
    """A broker under trial. `told` is everything it reported, in order."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.told: list[Any] = []
        self._numbers = count(1)
        self._run = uuid4().hex[:10].upper()
        self.broker: Broker = subject.make(self.told.append)

    # life

    async def begin(self) -> Broker:
        """Start the broker and wait until it may be asked."""
        self.broker.startService()
        await self.connected(0)
        return self.broker

    async def connected(self, since: int) -> None:
        """Wait for RECONCILING among what was told from `since` on."""
        await self.until(lambda: VenueStatus.RECONCILING in self.statuses(since), "it reports RECONCILING")

    async def reconnect(self) -> None:
        """End the connection and make it anew."""
        since = len(self.told)
        await self.ask(self.subject.reconnect(self.broker))
        await self.connected(since)

    async def end(self) -> None:
        """Stop whatever runs."""
        try:
            await self.stop()
        finally:
            await self.subject.close()

    async def stop(self) -> None:
        """Stop the broker, and wait until it has."""
        stopped = self.broker.stopService()
        if stopped is not None:
            await self.ask(_awaited(stopped))

    # waiting

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; Broken when it does not come true."""
        for _ in range(self.subject.patience):
            if condition():
                return
            await self.subject.pause()
        raise Broken(f"waited in vain until {what}; told was: {self.story()}")

    async def still(self) -> None:
        """Wait for whatever else comes of what was done."""
        for _ in range(self.subject.stillness):
            await self.subject.pause()

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives or raises, pausing while it waits."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        await self.until(lambda: results, "a question is answered")
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    # orders

    def order(self, order_type: OrderType = OrderType.LIMIT, **terms: Any) -> Order:
        """A new order to buy `quantity` that rests for ever, unless `terms` say otherwise."""
        subject, now = self.subject, datetime.now(UTC)
        tag = terms.get("tag")
        order_id = f"{self._run}{next(self._numbers):04}"
        made: dict[str, Any] = {
            "order_id": order_id,
            "client_order_id": order_id,
            "venue": self.broker.venue,
            "account": subject.account,
            "symbol": subject.symbol,
            "side": Side.BUY,
            "quantity": subject.quantity,
            "order_type": order_type,
            "time_in_force": self.lasting,
            "limit_price": subject.low_price if order_type.has_limit else None,
            "stop_price": subject.high_price if order_type.has_stop else None,
            "created": now,
            "day": now.date(),
            "status": OrderStatus.PENDING_NEW if tag is None else OrderStatus.STAGED,
            "updated": now,
            "seq": 1,
        }
        if order_type is OrderType.STOP_LIMIT:
            made["limit_price"] = subject.high_price
        return Order(**{**made, **terms})

    @property
    def lasting(self) -> TimeInForce:
        """GTC where the broker has it, else DAY."""
        return TimeInForce.GTC if Can.GTC in self.broker.can else TimeInForce.DAY

    async def submit(self, order: Order) -> Order:
        """Send an order and wait until it is accepted (or ended): the order with the broker's id."""
        await self.ask(self.broker.submit(order))
        await self.until(lambda: self.events(order, OrderAccepted, *ENDS), f"{order.order_id} is accepted or refused")
        return self.named(order)

    async def rest(self, **terms: Any) -> Order:
        """A resting limit order, accepted."""
        order = await self.submit(self.order(**terms))
        require(self.events(order, OrderAccepted), f"a resting order was not accepted: {self.story(order)}")
        return order

    async def bracket(self) -> tuple[Order, Order, Order]:
        """A resting limit order with its take profit and its stop, all accepted."""
        entry, subject = self.order(), self.subject
        terms: dict[str, Any] = {"side": Side.SELL, "parent": entry.order_id, "attached": True}
        profit = self.order(**terms, leg=Leg.TAKE_PROFIT, limit_price=subject.high_price)
        stop = self.order(OrderType.STOP, **terms, leg=Leg.STOP_LOSS, stop_price=subject.low_price / 2)
        await self.ask(self.broker.submit_bracket(entry, [profit, stop]))
        for order in (entry, profit, stop):
            accepted = f"{order.order_id} of a bracket is accepted"
            await self.until(partial(self.events, order, OrderAccepted), accepted)
        return self.named(entry), self.named(profit), self.named(stop)

    async def buy(self) -> Order:
        """A market order for `quantity`, filled."""
        order = await self.submit(self.order(OrderType.MARKET))
        await self.until(lambda: self.filled(order) >= order.quantity, f"{order.order_id} is filled")
        return order

    def named(self, order: Order) -> Order:
        """The order with the id that the broker gave it."""
        names = [each.broker_order_id for each in self.events(order, OrderAccepted)]
        return replace(order, broker_order_id=names[-1]) if names else order

    async def cancel(self, order: Order) -> None:
        """Ask for an order's end, as the desk does."""
        await self.ask(self.broker.cancel(replace(order, status=OrderStatus.PENDING_CANCEL)))

    async def replace(self, order: Order, **asked: Any) -> None:
        """Ask for other terms, as the desk does."""
        asked = {f"asked_{name}": value for name, value in asked.items()}
        await self.ask(self.broker.replace(replace(order, status=OrderStatus.PENDING_REPLACE, **asked)))

    async def fill(self, order: Order, quantity: Decimal) -> None:
        """Let the counterparty fill some of a resting order, and wait until it is told."""
        before = self.filled(order)
        await self.ask(self.subject.fill(self.broker, order, quantity))
        await self.until(lambda: self.filled(order) >= before + quantity, f"a fill of {quantity} is told")

    async def cash(self) -> dict[str, Decimal]:
        """What the account holds of each currency."""
        report = await self.ask(self.broker.balances(self.subject.account))
        return {each.currency: each.total for each in report.balances}

    def moved(self, *orders: Order) -> dict[str, Decimal]:
        """What the told fills of orders add up to, by currency."""
        moved: dict[str, Decimal] = {}
        for fill in (fill for order in orders for fill in self.fills(order)):
            moved[fill.currency] = moved.get(fill.currency, ZERO) + fill.cash
        return moved

    async def inject(self, kind: FaultKind, seconds: str | None = None) -> None:
        """Let the next occasion bring this fault."""
        fault = make_fault(kind, count=1, seconds=None if seconds is None else Decimal(seconds))
        await self.ask(self.subject.inject(self.broker, fault))

    async def doubtful(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether a command ended in doubt: it raised, and not Refused."""
        try:
            await self.ask(work)
        except Refused as refused:
            raise Broken(f"it was Refused ({refused}), though it may have arrived") from refused
        except Ambiguous:
            return True
        return False

    # what was told

    def statuses(self, since: int = 0) -> list[VenueStatus]:
        """The states of the connection, from what was told from `since` on."""
        return [each.status for each in self.told[since:] if isinstance(each, VenueStatusChanged)]

    def events(self, order: Order, *kinds: type) -> list[Any]:
        """What was told of an order, of some kinds or of all."""
        names = self._names(order)

        def is_its(each: Any) -> bool:
            if isinstance(each, Executed):
                return self._is_of(each.execution, order, names)
            return getattr(each, "order_id", None) == order.order_id

        return [each for each in list(self.told) if (not kinds or isinstance(each, kinds)) and is_its(each)]

    def _names(self, order: Order) -> set[str]:
        """The broker's ids by which the fills of an order are known where its events do not have ours."""
        if Can.CLIENT_ORDER_ID in self.broker.can:
            return set()
        accepted = (each for each in list(self.told) if isinstance(each, OrderAccepted))
        return {each.broker_order_id for each in accepted if each.order_id == order.order_id} - {""}

    @staticmethod
    def _is_of(execution: Execution, order: Order, names: set[str]) -> bool:
        if execution.order_id:
            return execution.order_id == order.order_id
        return execution.broker_order_id in names

    def fills(self, order: Order) -> list[Execution]:
        """The executions told of an order, each once."""
        fills = {each.execution.execution_id: each.execution for each in self.events(order, Executed)}
        return list(fills.values())

    def filled(self, order: Order) -> Decimal:
        """What they add up to."""
        return sum((fill.quantity for fill in self.fills(order)), ZERO)

    async def reported(self, order: Order) -> OrderReport | None:
        """The order among the open ones, by our id or else by the broker's."""
        for report in await self.ask(self.broker.open_orders()):
            ours = report.order_id == order.order_id
            if ours or (report.order_id is None and report.broker_order_id == order.broker_order_id != ""):
                return report
        return None

    async def executions_of(self, order: Order) -> Sequence[Execution]:
        """The broker's whole history of one order."""
        found = await self.ask(self.broker.executions(None))
        names = self._names(order)
        return [each for each in found if self._is_of(each, order, names)]

    def story(self, order: Order | None = None) -> str:
        """What was told, in short, for a failure."""
        events = self.told if order is None else self.events(order)
        return ", ".join(_short(each) for each in events[-12:]) or "nothing"


def _short(event: Any) -> str:
    return event.status.value if isinstance(event, VenueStatusChanged) else type(event).__name__


async def _awaited(value: Any) -> Any:
    return await value
