"""Cancels that the gateway sends by itself: one that has no effect is sent again, ever more seldom."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from txgateway.intake import Intake
from txgateway.model.errors import Reason
from txgateway.model.events import VenueStatus
from txgateway.model.order import Move, Order
from txgateway.state import State

FIRST, LONGEST = 3.0, 60.0
"""Seconds until a cancel is sent again: the first time, and at most."""
MANY = 10_000

Cancel = Callable[[str, str, Reason, str], Coroutine[Any, Any, Order]]


class Cancels:
    """Ends orders, as soon as their venue is UP."""

    def __init__(self, state: State, intake: Intake, reactor: Any, cancel: Cancel) -> None:
        self._state = state
        self._intake = intake
        self._reactor = reactor
        self._cancel = cancel
        self._asked: dict[str, tuple[float, float]] = {}

    def ask(self, order: Order, by: str, reason: Reason, text: str) -> bool:
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

    def ask_anew(self) -> None:
        """A venue has come UP: what was asked of it before may never have arrived."""
        now = self._reactor.seconds()
        self._asked = dict.fromkeys(self._asked, (now, FIRST))

    def asked(self, order_id: str) -> bool:
        """Whether an order's end was asked for here."""
        return order_id in self._asked
