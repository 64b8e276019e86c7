"""What goes out to brokers, once it is on disk, and until when it must be answered. An exception rejects nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from twisted.logger import Logger

from txgateway import halts
from txgateway.brokers import Broker, Can
from txgateway.intake import Intake
from txgateway.ledger import Ledger, Then
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    CancelKept,
    CancelRejected,
    CancelRequested,
    OrderDoubted,
    OrderRejected,
    ReplaceRejected,
    TicketApproved,
)
from txgateway.model.exits import KEEPER
from txgateway.model.order import PENDING, Order, OrderStatus
from txgateway.model.scope import Subject
from txgateway.risk import Denial

log = Logger()

KEPT = "The cancel is kept: it is sent as soon as the venue is back and has the order."


class Outbound:
    """The desk's hand: `send`, `cancel` and `replace` are called by the ledger when their record is on disk."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        brokers: Mapping[str, Broker],
        reactor: Any,
        clock: Callable[[], datetime],
        timeout: float,
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._state = ledger.state
        self._brokers = brokers
        self._reactor = reactor
        self._clock = clock
        self._timeout = timeout
        self._unanswered: dict[str, float] = {}

    def send(self, order: Order) -> None:
        """Send an order, or release a ticket that the broker holds, unless it was halted meanwhile."""
        broker = self._brokers[order.venue]
        released = any(update.event == TicketApproved.__name__ for update in order.updates)
        denial = self._halted_meanwhile(order)
        if denial is not None and released and Can.STAGE in broker.can:
            request = CancelRequested(order.order_id, "gateway", self._clock(), denial.reason, denial.text)
            self._ledger.record(request, self.cancel)
            return
        if denial is not None:
            self._intake.take(OrderRejected(order.order_id, denial.reason, denial.text, self._clock()))
            return
        call = broker.release(order) if released and Can.STAGE in broker.can else broker.submit(order)
        self._intake.go(self._sent(order, call), f"order {order.order_id}")

    def together(self, count: int) -> Then:
        """What follows from the records of an entry and of its attached exits: when all are on disk, they go out."""
        orders: list[Order] = []

        def then(order: Order) -> None:
            orders.append(order)
            if len(orders) == count:
                self._send_bracket(orders)

        return then

    def _send_bracket(self, orders: Sequence[Order]) -> None:
        entry, *exits = orders
        denial = self._halted_meanwhile(entry)
        if denial is not None:
            for order in orders:
                self._intake.take(OrderRejected(order.order_id, denial.reason, denial.text, self._clock()))
            return
        call = self._brokers[entry.venue].submit_bracket(entry, exits)
        self._intake.go(self._all_sent(orders, call), f"order {entry.order_id} with its exits")

    async def _all_sent(self, orders: Sequence[Order], call: Awaitable[None]) -> None:
        """What is refused, or in doubt, is each of them."""
        try:
            await call
        except Refused as refused:
            for order in orders:
                self._intake.take(OrderRejected(order.order_id, refused.reason, refused.text, self._clock()))
        except Exception as error:
            for order in orders:
                self._doubt(order, error, OrderStatus.PENDING_NEW)

    def _halted_meanwhile(self, order: Order) -> Denial | None:
        """A halt that came while an order was on its way to the disk stops it there."""
        if not self._state.halts:
            return None
        leaves = order.quantity - order.filled_quantity
        subject, is_exit = Subject.of(order), order.leg is not None
        return halts.check_order(self._state, subject, order.side, leaves, order.order_id, order.bond, is_exit)

    def cancel(self, order: Order) -> None:
        """Ask the broker for an order's end."""
        call = self._changed(order, self._brokers[order.venue].cancel(order), CancelRejected)
        self._intake.go(call, f"cancel of {order.order_id}")

    def replace(self, order: Order) -> None:
        """Ask the broker for an order's other terms, unless they were halted meanwhile."""
        asked = (order.asked_quantity, order.asked_limit_price, order.asked_stop_price)
        denial = halts.check_replace(self._state, order, *asked, by_keeper=order.leg is not None)
        if denial is not None:
            self._intake.take(ReplaceRejected(order.order_id, denial.reason, denial.text, self._clock()))
            return
        call = self._changed(order, self._brokers[order.venue].replace(order), ReplaceRejected)
        self._intake.go(call, f"replace of {order.order_id}")

    async def _sent(self, order: Order, call: Awaitable[None]) -> None:
        """An exception does not reject an order: unless the broker surely has not got it, there is doubt.

        A ticket that the broker holds, and whose release it refused, may wait there still.
        """
        try:
            await call
        except Refused as refused:
            kind = OrderDoubted if order.acknowledged else OrderRejected
            self._intake.take(kind(order.order_id, refused.reason, refused.text, self._clock()))
        except Exception as error:
            self._doubt(order, error, OrderStatus.PENDING_NEW)

    async def _changed(
        self, order: Order, call: Awaitable[None], refusal: type[CancelRejected] | type[ReplaceRejected]
    ) -> None:
        """A cancel or replace that surely did not arrive is refused; where it may have, the order is in doubt.

        An order that is in doubt already is so no more, and for no other reason, when its cancel is refused. A cancel
        that did not arrive because the venue is not there is kept; the keeper of exits looks after its own.
        """
        try:
            await call
        except Refused as refused:
            kind = refusal if order.broker_order_id or order.status is OrderStatus.UNKNOWN else OrderDoubted
            if kind is CancelRejected and refused.reason is Reason.VENUE_DOWN and order.cancel_by != KEEPER:
                self._intake.take(CancelKept(order.order_id, f"{refused.text} {KEPT}", self._clock()))
                return
            self._intake.take(kind(order.order_id, refused.reason, refused.text, self._clock()))
        except Exception as error:
            self._doubt(order, error, order.status)

    def _doubt(self, order: Order, error: Exception, asked: OrderStatus) -> None:
        """Nobody knows whether it arrived, unless the broker has told something of it meanwhile."""
        text = f"Sending failed ({type(error).__name__}: {error}): only the broker's evidence will tell."
        if isinstance(error, GatewayError):
            log.warn("Order {order_id}: {text}", order_id=order.order_id, text=text)
        else:
            log.failure("Sending order {order_id} failed; it is in doubt.", order_id=order.order_id)
        known = self._state.order(order.order_id)
        if known is not None and (known.status is asked or not known.broker_order_id):
            self._intake.take(OrderDoubted(order.order_id, Reason.BROKER_ERROR, text, self._clock()))

    # answers

    def await_answer(self, order_id: str) -> None:
        """Something was asked of an order: it must be answered in time."""
        self._unanswered[order_id] = self._reactor.seconds() + self._timeout

    def heard(self, order: Order) -> None:
        """An order was told of; more may have been asked of it since."""
        now = self._state.working.get(order.order_id)
        if now is None or now.status not in PENDING:
            self._unanswered.pop(order.order_id, None)

    def watch(self) -> None:
        """Doubt what stayed unanswered too long."""
        now = self._reactor.seconds()
        for order_id in [each for each, deadline in self._unanswered.items() if deadline <= now]:
            del self._unanswered[order_id]
            text = f"No answer within {self._timeout:g} s: only the broker's evidence will tell."
            order = self._state.working.get(order_id)
            if order is not None and order.status in PENDING:
                self._intake.take(OrderDoubted(order_id, Reason.TIMEOUT, text, self._clock()))
