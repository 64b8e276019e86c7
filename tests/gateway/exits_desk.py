"""A desk whose counterparty keeps a true book, so that exits can be filled, lost, refused and found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from twisted.internet.task import Clock

from tests.desk import EVERYTHING, Bench, ChosenBroker
from txgateway.brokers import Can
from txgateway.families import Family
from txgateway.model.account import Position
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.exits import ExitPlan, Leg, Level, Unit
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType

D = Decimal
LIVE = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
MOST = D(10**6)


class Venue(ChosenBroker):
    """Holds what it was sent until a test fills it. Market orders are filled at once where `fills_market` is set.

    `refuse` answers an order of that type with the reason; `deaf` holds cancels and replaces back until `listen`.
    """

    def __init__(self, clock: Clock, can: Can = EVERYTHING) -> None:
        super().__init__(clock, can)
        self.fills_market = True
        self.refuse: dict[OrderType, Reason] = {}
        self.deaf = False
        self.unheard: list[Any] = []
        self.most = MOST

    async def submit(self, order: Order) -> None:
        assert order.order_id not in self.book, "an order was sent twice"
        self.sent.append(order)
        self.book[order.order_id] = OrderReport(
            broker_order_id=f"B{len(self.sent)}",
            order_id=order.order_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            status=OrderStatus.NEW,
            time=self.now(),
        )
        if order.order_type in self.refuse:
            reason = self.refuse[order.order_type]
            self._change(order.order_id, status=OrderStatus.REJECTED, reason=reason, text="No.")
            self.report(OrderRejected(order.order_id, reason, "No.", self.now()))
            return
        self.report(OrderAccepted(order.order_id, f"B{len(self.sent)}", self.now()))
        if order.order_type is OrderType.MARKET and self.fills_market:
            self.trade(order.order_id, min(order.quantity, self.most))

    def trade(self, order_id: str, quantity: int | Decimal | None = None, price: str = "100", tell: bool = True) -> Any:
        """Fill an order of the book, whole where no quantity is given."""
        held = self.book[order_id]
        assert held.status in LIVE, f"{order_id} is {held.status}"
        filled = D(quantity) if quantity is not None else held.quantity - held.filled_quantity
        done = held.filled_quantity + filled
        assert done <= held.quantity
        status = OrderStatus.FILLED if done == held.quantity else OrderStatus.PARTIALLY_FILLED
        self._change(order_id, filled_quantity=done, status=status)
        execution = self.fill(held, filled, price)  # type: ignore[arg-type]
        if tell:
            self.report(Executed(execution, self.now()))
        return execution

    async def cancel(self, order: Order) -> None:
        self.canceled.append(order)
        if self.deaf:
            self.unheard.append((self._cancel, order))
        else:
            self._cancel(order)

    async def replace(self, order: Order) -> None:
        self.replaced.append(order)
        if self.deaf:
            self.unheard.append((self._replace, order))
        else:
            self._replace(order)

    def listen(self) -> None:
        """Hear what was said while it was deaf."""
        self.deaf = False
        unheard, self.unheard = self.unheard, []
        for hear, order in unheard:
            hear(order)

    def _cancel(self, order: Order) -> None:
        if self.book[order.order_id].status not in LIVE:
            self.report(CancelRejected(order.order_id, Reason.TOO_LATE, "It is over.", self.now()))
            return
        self._change(order.order_id, status=OrderStatus.CANCELED, reason=Reason.USER)
        self.report(OrderCanceled(order.order_id, Reason.USER, "", self.now()))

    def _replace(self, order: Order) -> None:
        held = self.book[order.order_id]
        quantity = order.asked_quantity or held.quantity
        if held.status not in LIVE or quantity <= held.filled_quantity:
            self.report(ReplaceRejected(order.order_id, Reason.TOO_LATE, "It is over.", self.now()))
            return
        limit, stop = order.asked_limit_price or held.limit_price, order.asked_stop_price or held.stop_price
        self._change(order.order_id, quantity=quantity, limit_price=limit, stop_price=stop)
        self.report(OrderReplaced(order.order_id, quantity, limit, stop, self.now()))

    def _change(self, order_id: str, **members: Any) -> None:
        self.book[order_id] = replace(self.book[order_id], **members)

    def live(self) -> list[OrderReport]:
        """What it works on."""
        return [each for each in self.book.values() if each.status in LIVE]

    async def open_orders(self) -> Sequence[OrderReport]:
        return self.live()

    async def positions(self) -> Sequence[Position]:
        held: dict[tuple[str, str], Decimal] = {}
        for each in self.fills:
            key = (each.account, each.symbol)
            held[key] = held.get(key, D(0)) + each.signed_quantity
        return [Position("paper", *key, quantity, D(100)) for key, quantity in held.items() if quantity]

    async def executions(self, since: Any) -> Any:
        return list(self.fills)


class Holder(Venue):
    """Holds brackets as Interactive Brokers does: children sleep until their parent is filled whole, end with it, and
    are one group: what one fills is taken off the other, and where one ends, all do.

    `answers` is what submit_bracket raises, after it has arrived or (`arrives` False) before. While it is `slow` fills
    are told later than what they cause: by `tell_fills`.
    """

    def __init__(self, clock: Clock, can: Can = EVERYTHING | Can.BRACKET) -> None:
        super().__init__(clock, can)
        self.children: dict[str, str] = {}
        self.brackets: list[list[Order]] = []
        self.answers: Exception | None = None
        self.arrives = True
        self.slow = False
        self.untold: list[Any] = []

    def tell_fills(self) -> None:
        """Tell the fills that were not told yet."""
        untold, self.untold = self.untold, []
        for execution in untold:
            self.report(Executed(execution, self.now()))

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        self.brackets.append([entry, *exits])
        if self.arrives:
            for each in exits:
                self.children[each.order_id] = entry.order_id
            for each in (entry, *exits):
                await self.submit(each)
        if self.answers is not None:
            raise self.answers

    def asleep(self, order_id: str) -> bool:
        parent = self.children.get(order_id)
        return parent is not None and self.book[parent].status is not OrderStatus.FILLED

    def trade(self, order_id: str, quantity: int | Decimal | None = None, price: str = "100", tell: bool = True) -> Any:
        assert not self.asleep(order_id), "a child was filled before its parent was, whole"
        execution = super().trade(order_id, quantity, price, tell and not self.slow)
        if tell and self.slow:
            self.untold.append(execution)
        for other in self._others(order_id):
            held = self.book[other]
            left = held.quantity - execution.quantity
            if left <= held.filled_quantity:
                self._end(other, tell)
            else:
                self._change(other, quantity=left)
                if tell:
                    terms = (left, held.limit_price, held.stop_price)
                    self.report(OrderReplaced(other, *terms, self.now()))
        return execution

    def _others(self, order_id: str) -> list[str]:
        parent = self.children.get(order_id)
        return [
            each
            for each in self.children
            if parent is not None and each != order_id and self.children[each] == parent
            if self.book[each].status in LIVE
        ]

    def _end(self, order_id: str, tell: bool = True) -> None:
        self._change(order_id, status=OrderStatus.CANCELED, reason=Reason.USER)
        if tell:
            self.report(OrderCanceled(order_id, Reason.USER, "Canceled at the broker.", self.now()))

    def end(self, order_id: str, tell: bool = True) -> None:
        """A person ends an order at the broker."""
        self._end(order_id, tell)
        others = self._others(order_id) + [each for each, parent in self.children.items() if parent == order_id]
        for other in [each for each in others if self.book[each].status in LIVE]:
            self._end(other, tell)

    def _cancel(self, order: Order) -> None:
        if self.book[order.order_id].status in LIVE:
            self.end(order.order_id)
        else:
            super()._cancel(order)


def desk(can: Can = EVERYTHING, kind: type[Venue] = Venue, **more: Any) -> Bench:
    """A desk with a venue of this kind, up."""
    bench = Bench(**more)
    venue = kind(bench.clock, can)
    venue.report = bench.gateway.report
    bench.broker = venue
    bench = Bench(bench.journal, venue, **more)
    return bench.up()


def restarted(bench: Bench, seconds: float = 1) -> Bench:
    """As after kill -9, so many seconds later."""
    again = bench.restart()
    again.clock.advance(bench.clock.seconds() + seconds)
    return again.up()


def plan(**given: Any) -> ExitPlan:
    """A plan from texts."""
    hold = given.pop("hold", None)
    units = {"trailing_stop": Unit.AWAY}
    levels = {name: Level.parse(str(text), units.get(name, Unit.PRICE)) for name, text in given.items()}
    return ExitPlan(hold_seconds=hold, **levels)


def enter(bench: Bench, filled: int | None = None, quantity: int = 100, **given: Any) -> Order:
    """A limit order for 100 IBM at 100 with exits, filled so far (None: whole)."""
    terms: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(100), "quantity": D(quantity)}
    named = ("side", "client_order_id", "oco", "tag", "time_in_force")
    terms.update({name: given.pop(name) for name in named if name in given})
    order: Order = bench.submit(**terms, exits=plan(**given) if given else None).order
    if filled != 0 and order.status is OrderStatus.NEW:
        trade(bench, order.order_id, filled)
    return order


def trade(bench: Bench, order_id: str, quantity: int | None = None, price: str = "100") -> None:
    """Fill an order, and let what follows happen."""
    bench.broker.trade(order_id, quantity, price)  # type: ignore[attr-defined]
    bench.turn()


def family(bench: Bench, order: Order) -> Family:
    """The entry's family."""
    found = bench.gateway.state.families.find(order.order_id)
    assert found is not None
    return found


def working(bench: Bench, order: Order) -> dict[Leg, Order]:
    """The exits of an entry that are not closed, by leg."""
    orders = [each for each in bench.gateway.state.working.values() if each.parent == order.order_id]
    found = {each.leg: each for each in orders if each.leg is not None}
    assert len(found) == len(orders), "a leg has one order at a time"
    return found


def shown(bench: Bench, order: Order) -> dict[str, tuple[Decimal, Decimal | None]]:
    """What is left of each working exit, and its price, as the venue has it too."""
    found = {}
    for leg, each in working(bench, order).items():
        price = each.stop_price if each.stop_price is not None else each.limit_price
        held = bench.broker.book[each.order_id]
        theirs = (held.quantity, held.filled_quantity, held.stop_price or held.limit_price)
        assert (each.quantity, each.filled_quantity, price) == theirs
        found[leg.value] = (each.leaves_quantity, price)
    return found


def quote(bench: Bench, bid: str, ask: str | None = None) -> None:
    """The market moves."""
    asked = D(ask) if ask is not None else D(bid) + D("0.02")
    event = Quote("IBM", D(bid), D(500), asked, D(500), bench.now())
    bench.keeper.price("paper", "IBM", event)
    bench.turn()


def kinds(bench: Bench) -> list[str]:
    """What was recorded, in a word each."""
    return [type(record.event).__name__ for record in bench.journal.records()]
