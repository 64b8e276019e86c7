"""Cancels that the gateway sends by itself: one that has no effect is sent again, ever more seldom; and one that was
asked for, and lost with the link or asked for while there was none, is sent when the venue is back and the order works.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from txgateway.intake import Intake
from txgateway.model.errors import Reason
from txgateway.model.events import VenueStatus
from txgateway.model.exits import KEEPER
from txgateway.model.order import Move, Order, OrderStatus
from txgateway.state import State

FIRST, LONGEST = 3.0, 60.0
"""Seconds until a cancel is sent again: the first time, and at most."""
MANY = 10_000

_WORKS = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})

Cancel = Callable[[str, str, Reason | None, str], Coroutine[Any, Any, Order]]


class Cancels:
    """Ends orders, as soon as their venue is UP."""

    def __init__(self, state: State, intake: Intake, reactor: Any, cancel: Cancel) -> None:
        self._state = state
        self._intake = intake
        self._reactor = reactor
        self._cancel = cancel
        self._asked: dict[str, tuple[float, float]] = {}
        self._lost: dict[str, None] = {}

    def ask(self, order: Order, by: str, reason: Reason | None, text: str) -> bool:
        """See to it that an order ends, however often this is called; gives whether a cancel was sent now."""
        now = self._reactor.seconds()
        due, pause = self._asked.get(order.order_id, (now, FIRST))
        if due > now or self._intake.status[order.venue] is not VenueStatus.UP or not order.may(Move.ASK_CANCEL):
            return False
        if len(self._asked) > MANY:
            self._asked = {each: at for each, at in self._asked.items() if each in self._state.working}
        self._asked[order.order_id] = (now + pause, min(2 * pause, LONGEST))
        self._intake.go(self._cancel(order.order_id, by, reason, text), f"cancel of {order.order_id}")
        return True

    def heard(self, order: Order) -> None:
        """An order was told of: one that works, though its end was asked for and not refused, is to end.

        The keeper of exits looks after its own.
        """
        works = order.status in _WORKS or (order.status is OrderStatus.STAGED and order.kept_cancel)
        if order.cancel_by and works and order.cancel_by != KEEPER:
            self._lost[order.order_id] = None
            self.ask(order, order.cancel_by, order.asked_reason, order.asked_text)

    def come_up(self, venue: str) -> None:
        """A venue has come UP: what was asked of it before may never have arrived."""
        now = self._reactor.seconds()
        self._asked = dict.fromkeys(self._asked, (now, FIRST))
        for order in self._state.working_at(venue):
            if order.status is OrderStatus.PENDING_CANCEL and order.cancel_by != KEEPER:  # asked for before a crash
                self.ask(order, order.cancel_by, order.asked_reason, order.asked_text)
            self.heard(order)

    def watch(self) -> None:
        """Send again what was lost and still has no effect."""
        for order_id in list(self._lost):
            order = self._state.working.get(order_id)
            if order is None or not order.cancel_by:
                del self._lost[order_id]
            else:
                self.heard(order)

    def asked(self, order_id: str) -> bool:
        """Whether an order's end was asked for here."""
        return order_id in self._asked
