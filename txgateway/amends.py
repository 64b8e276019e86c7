"""What the gateway itself keeps of an order, and may change: the exits attached to it, and until when it works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from txgateway import exits, halts
from txgateway.brokers import Broker
from txgateway.history import History
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import OrderAmended, VenueStatus
from txgateway.model.exits import ExitPlan
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import CLOSED, Move, Order, OrderStatus, Side
from txgateway.model.scope import Subject
from txgateway.risk import Denial

AGAIN = timedelta(seconds=60)
"""How long a broker may take to end an order whose time is over before it is asked again."""
BY = "gateway"
"""Who ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What an order has from now on; `left`, `price` and `began` are its position's, `reference` the sender's mark."""

    good_till: datetime | None = None
    left: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    began: datetime | None = None
    reference: str | None = None


class Amends:
    """Changes what is attached to orders, and ends those whose time is over."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        history: History,
        brokers: Mapping[str, Broker],
        market: Callable[[str, str], Awaitable[tuple[Instrument | None, Quote | None]]],
        clock: Callable[[], datetime],
        cancel: Callable[..., Any],
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._history = history
        self._brokers = brokers
        self._market = market
        self._clock = clock
        self._cancel = cancel
        self._due: dict[str, datetime] = {}

    def start(self) -> None:
        """Know the orders that have an end."""
        for order in self._ledger.state.working.values():
            self.heard(order)

    def heard(self, order: Order) -> None:
        """An order was told of."""
        if order.good_till is not None and order.status not in CLOSED:
            self._due.setdefault(order.order_id, order.good_till)
        elif self._due:
            self._due.pop(order.order_id, None)

    def watch(self) -> None:
        """End every order whose time is over, as soon as its venue can be asked."""
        now = self._clock()
        for order_id in [each for each, until in self._due.items() if until <= now]:
            order = self._ledger.state.working.get(order_id)
            if order is None:
                del self._due[order_id]
            elif self._intake.status[order.venue] is VenueStatus.UP and order.may(Move.ASK_CANCEL):
                self._due[order_id] = now + AGAIN
                if order.status is not OrderStatus.PENDING_CANCEL:
                    text = f"It was to work until {order.good_till:%Y-%m-%d %H:%M:%S} UTC."
                    self._intake.go(self._cancel(order_id, BY, Reason.TIME_OVER, text), f"the end of {order_id}")

    async def check(self, order_id: str, plan: ExitPlan) -> Denial | None:
        """Why an order, or the position it made, cannot have these exits; of the levels, those that are new count."""
        order = await self._history.get(order_id)
        family, had = self._ledger.state.families.find(order.order_id), self.had(order)
        if had == plan:
            return None
        if order.leg is not None:
            text = f"Order {order.order_id} is an exit of {order.parent}: nothing is attached to it."
            return Denial(Reason.UNSUPPORTED, text)
        if family is not None and family.closing:
            return Denial(Reason.NOT_WORKING, f"What order {order.order_id} entered is being closed: {family.closing}")
        halted = self._halted(order)
        if halted is not None:
            return halted
        instrument, quote = await self._market(order.venue, order.symbol)
        if instrument is None:
            return Denial(Reason.UNKNOWN_SYMBOL, f"Symbol {order.symbol!r} is unknown at venue {order.venue} by now.")
        denial = exits.check_plan(plan, self._brokers[order.venue].can)
        return denial or exits.check_entered(order, _news(plan, had), instrument, quote)

    def had(self, order: Order) -> ExitPlan | None:
        """What is attached to an order now; None where it never had anything."""
        family = self._ledger.state.families.find(order.order_id)
        return order.exits if family is None else ExitPlan() if family.ended else family.plan

    def _halted(self, order: Order) -> Denial | None:
        """A halt stops what would be attached; and a flatten, which halts, has just taken it away."""
        side = Side.SELL if order.side is Side.BUY else Side.BUY
        return halts.check_order(self._ledger.state, Subject.of(order), side, Decimal(0), is_exit=True)

    async def amend(self, order_id: str, plan: ExitPlan | None, amendment: Callable[[], Amendment], by: str) -> None:
        """Change it, once it is on disk; Refused where it cannot be.

        What its position holds is asked for at the last moment: it may be filled while the plan is looked at.
        """
        order = await self._history.get(order_id)
        denial = None if plan is None else await self.check(order_id, plan)
        if denial is None and plan is not None and plan != self.had(order):
            denial = self._halted(order)
        if denial is not None:
            raise Refused(denial.reason, denial.text, order.order_id)
        if self._ledger.error is not None:
            raise self._ledger.refusal()
        now = amendment()
        known = self._ledger.state.order(order.order_id)
        event = OrderAmended(
            order_id=order.order_id,
            exits=plan,
            good_till=now.good_till,
            by=by,
            time=self._clock(),
            left=now.left,
            price=now.price,
            began=now.began,
            reference=now.reference,
            order=order if known is None else None,
        )
        self._due.pop(order.order_id, None)
        self._ledger.record(event)
        await self._ledger.settled()


def _news(plan: ExitPlan, had: ExitPlan | None) -> ExitPlan:
    """The plan without the levels that it had before."""
    before = had or ExitPlan()
    return replace(
        plan,
        take_profit=None if plan.take_profit == before.take_profit else plan.take_profit,
        stop_loss=None if plan.stop_loss == before.stop_loss else plan.stop_loss,
        trailing_stop=None if plan.trailing_stop == before.trailing_stop else plan.trailing_stop,
    )
