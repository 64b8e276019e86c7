"""Tickets: how long one may wait for a person, and its end when nobody came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from txgateway.brokers import Broker, Can
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.errors import Reason
from txgateway.model.events import CancelRequested, OrderExpired, VenueStatus
from txgateway.model.order import Move, Order, OrderStatus, TimeInForce

AGAIN = timedelta(seconds=60)
"""How long a broker may take to end a ticket of its own before it is asked again."""


@dataclass(frozen=True, slots=True)
class TicketRules:
    """`seconds` that a ticket may wait (0: any time); whether its sender may not approve it (`four_eyes`)."""

    seconds: float = 0.0
    four_eyes: bool = False


ANY_TIME = TicketRules()
"""No limit but the trading day, and anybody with the right may approve."""


class Tickets:
    """Ends the tickets that have waited too long. One for the day, as most are, never outlives its trading day."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        brokers: Mapping[str, Broker],
        clock: Callable[[], datetime],
        rules: TicketRules,
        send_cancel: Callable[[Order], None],
    ) -> None:
        self.rules = rules
        self._ledger = ledger
        self._intake = intake
        self._brokers = brokers
        self._clock = clock
        self._send_cancel = send_cancel

    def watch(self) -> None:
        """End every ticket whose time is over."""
        working = self._ledger.state.working
        for order_id in list(self._ledger.state.tickets):
            why = self.too_late(working[order_id])
            if why is not None:
                self.end(working[order_id], why)

    def too_late(self, order: Order) -> str | None:
        """Why a ticket may no longer be approved; None while it may."""
        if order.reason is Reason.TICKET_EXPIRED:
            return order.text
        if self.rules.seconds and self._clock() - order.created >= timedelta(seconds=self.rules.seconds):
            return f"Nobody approved the ticket within {self.rules.seconds:g} s."
        if self.is_ours(order) and order.time_in_force is not TimeInForce.GTC:
            today = self._ledger.state.trading_day(order.venue)
            if today is not None and today != order.day:
                return f"Nobody approved the ticket on its trading day, {order.day}."
        return None

    def end(self, order: Order, why: str) -> None:
        """Let a ticket expire: a broker that holds it is asked to end it, as soon as it can be asked."""
        if order.status is not OrderStatus.STAGED or not order.may(Move.EXPIRE):
            return
        now = self._clock()
        if self.is_ours(order):
            self._ledger.record(OrderExpired(order.order_id, why, now))
        elif self._intake.status[order.venue] is VenueStatus.UP and not self._was_asked(order, now):
            request = CancelRequested(order.order_id, "gateway", now, Reason.TICKET_EXPIRED, why)
            self._ledger.record(request, self._send_cancel)

    def _was_asked(self, order: Order, now: datetime) -> bool:
        return order.reason is Reason.TICKET_EXPIRED and now - order.updated < AGAIN

    def is_ours(self, order: Order) -> bool:
        """Whether a ticket is held here: no broker has it."""
        return Can.STAGE not in self._brokers[order.venue].can and not order.broker_order_id
