"""What brokers say: reports in, once each; a venue's life; and reconciliation before it is called up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway import reconcile, state
from txgateway.brokers import Broker, Can
from txgateway.history import History
from txgateway.journal import Journal
from txgateway.ledger import Ledger
from txgateway.model.errors import NotUp, Refused
from txgateway.model.events import (
    MOVES,
    DifferenceFound,
    Event,
    Executed,
    ExternalOrderFound,
    OrderAccepted,
    OrderEvent,
    Severity,
    TradingDayStarted,
    TradingHalted,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.halts import HaltLevel
from txgateway.model.order import Move, Order, OrderReport, OrderStatus, Origin, Terms
from txgateway.model.scope import GATEWAY

log = Logger()


_NOT_ACCEPTED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN, OrderStatus.REJECTED})


def _adds_nothing(event: Event, order: Order) -> bool:
    """An acknowledgement of what is acknowledged already, by the same id."""
    if not isinstance(event, OrderAccepted) or order.status in _NOT_ACCEPTED:
        return False
    return event.broker_order_id in ("", order.broker_order_id)


class Intake:
    """The way back: report -> known already? drop -> record."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        history: History,
        brokers: Mapping[str, Broker],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        trading_day: Callable[[datetime], date],
        halt_on_exception: bool = False,
        log_repeats: bool = False,
    ) -> None:
        self.status: dict[str, VenueStatus] = dict.fromkeys(brokers, VenueStatus.DOWN)
        self.been_up: set[str] = set()
        self._ledger = ledger
        self._state = ledger.state
        self._journal = journal
        self._history = history
        self._brokers = brokers
        self._clock = clock
        self._new_id = new_id
        self._trading_day = trading_day
        self._looking = False
        self._behind: deque[OrderEvent | VenueStatusChanged] = deque()
        self._halt_on_exception = halt_on_exception
        self._log_repeat = log.info if log_repeats else log.debug

    def report(self, event: OrderEvent | VenueStatusChanged) -> None:
        """Take in what a broker says happened, in the order it is said."""
        if self._looking:
            self._behind.append(event)
        else:
            self._process(event)

    def _process(self, event: OrderEvent | VenueStatusChanged) -> None:
        try:
            if isinstance(event, VenueStatusChanged):
                self._venue_changed(event)
            elif isinstance(event, Executed):
                self._executed(event.execution)
            else:
                self.take(event)
        except Exception:
            log.failure("A report could not be taken in: {event}", event=event)
            self.unexpected("a broker's report")

    def take(self, event: Event) -> None:
        """Record an order event, unless the order table has no row for it: then it is known, or too late."""
        order_id = getattr(event, "order_id", "")
        kind = type(event)
        order = self._state.order(order_id)
        if order is None:
            log.warn("{kind} for {order_id}, no order of today: dropped.", kind=kind.__name__, order_id=order_id)
        elif not order.may(MOVES[kind]) or _adds_nothing(event, order):
            self._repeated(kind, order.order_id, order.status)
        else:
            self.start_day(order.venue)
            self._ledger.record(event)

    def _repeated(self, kind: type, order_id: str, what: str) -> None:
        self._log_repeat(
            "{kind} for {order_id} ({what}): known already.", kind=kind.__name__, order_id=order_id, what=what
        )

    # executions

    def _executed(self, execution: Execution) -> None:
        """Take a fill in once. What may have come before today is looked up in the journal first."""
        if self._state.execution(execution.execution_id) is not None:
            self._repeated(Executed, execution.order_id, execution.execution_id)
            return
        order = self._order_of(execution)
        if order is None or order.day != self._state.trading_day(order.venue):
            self._looking = True
            self.go(self._look_back(execution), f"execution {execution.execution_id}")
        else:
            self._fill(execution, order)

    def _order_of(self, execution: Execution) -> Order | None:
        order = self._state.order(execution.order_id) if execution.order_id else None
        if order is None and execution.broker_order_id:
            order = self._state.find_broker(execution.venue, execution.broker_order_id)
        return order

    async def _look_back(self, execution: Execution) -> None:
        """Look a fill up in the journal; whatever is reported meanwhile waits behind it."""
        try:
            await self._executed_before(execution)
        finally:
            self._looking = False
            while self._behind and not self._looking:
                self._process(self._behind.popleft())

    async def _executed_before(self, execution: Execution) -> None:
        key = state.execution_key(execution.account, execution.execution_id)
        if await self._journal.find("execution", key) is not None:
            return
        order = self._order_of(execution)
        if order is None:
            broker = state.broker_key(execution.venue, execution.broker_order_id)
            found = execution.order_id or await self._journal.find("broker", broker)
            order = await self._history.find(found) if found else None
        if self._state.execution(execution.execution_id) is None:
            self._fill(execution, order)

    def _fill(self, execution: Execution, order: Order | None) -> None:
        self.start_day(execution.venue)
        order_id = order.order_id if order and order.may(Move.FILL) else ""
        if execution.order_id != order_id:
            execution = replace(execution, order_id=order_id)
        after = self._ledger.record(Executed(execution, execution.time)).order
        if after is not None and after.filled_quantity > after.quantity:
            words = (f"{after.quantity:f}", f"{after.filled_quantity:f}")
            self._ledger.record(
                DifferenceFound(
                    after.venue,
                    after.account,
                    "filled_quantity",
                    after.order_id,
                    *words,
                    Severity.CRITICAL,
                    self._clock(),
                )
            )

    # a venue's life

    def require_up(self, venue: str) -> None:
        """NotUp until the venue has been up once: before that there is nothing true to tell."""
        if venue not in self.been_up:
            raise NotUp(f"Venue {venue} is {self.status[venue]}: wait until status reads Up.")

    def start_day(self, venue: str) -> None:
        """Begin the venue's trading day when its clock has passed into another."""
        day = self._trading_day(self._brokers[venue].now())
        if day != self._state.trading_day(venue):
            self._ledger.record(TradingDayStarted(venue, day, self._clock()))

    def _venue_changed(self, event: VenueStatusChanged) -> None:
        if self.status[event.venue] is event.status:
            return
        self.status[event.venue] = event.status
        self._ledger.record(event)
        if event.status is VenueStatus.RECONCILING:
            self.go(self._reconcile(event.venue), f"reconciliation of {event.venue}")

    async def _reconcile(self, venue: str) -> None:
        """Ask the broker for everything, take in what was missed, and only then call the venue up."""
        broker = self._brokers[venue]
        self.start_day(venue)
        for execution in await broker.executions(self._state.last_execution.get(venue)):
            await self._executed_before(execution)
        reports = await broker.open_orders()
        orders = self._state.working_at(venue)
        known, strangers = reconcile.match(orders, reports)
        looked_up = await self._look_up(broker, [order for order in orders if order.order_id not in known])
        said = {**looked_up, **known}
        if any(reconcile.unfilled(order, said.get(order.order_id)) for order in orders):
            for execution in await broker.executions(None):
                await self._executed_before(execution)
        for report in strangers:
            self._adopt(venue, report)
        theirs = reconcile.Theirs(reports, looked_up)
        for event in reconcile.missed(self._state.working_at(venue), theirs, self._clock()):
            self.take(event)
        held = [each for account in self._state.positions.values() for each in account.values() if each.venue == venue]
        for event in reconcile.positions(venue, held, await broker.positions(), self._clock()):
            self._ledger.record(event)
        if self.status[venue] is VenueStatus.RECONCILING:
            await self._ledger.settled()
            self.been_up.add(venue)
            self._venue_changed(VenueStatusChanged(venue, VenueStatus.UP, "reconciled", self._clock()))

    async def _look_up(self, broker: Broker, orders: list[Order]) -> dict[str, OrderReport | None]:
        """The broker's word on each order that it does not list as open; tickets that we hold ourselves aside."""
        found: dict[str, OrderReport | None] = {}
        if Can.LOOKUP in broker.can:
            for order in orders:
                if order.status is not OrderStatus.STAGED or Can.STAGE in broker.can:
                    found[order.order_id] = await broker.lookup(order)
        return found

    def _adopt(self, venue: str, report: OrderReport) -> None:
        """Take in an open order that we did not send."""
        if self._state.find_broker(venue, report.broker_order_id) is not None:
            return
        order_id = self._new_id()
        terms = Terms(
            order_id=order_id,
            client_order_id=order_id,
            venue=venue,
            account=report.account,
            symbol=report.symbol,
            side=report.side,
            quantity=report.quantity,
            order_type=report.order_type,
            time_in_force=report.time_in_force,
            limit_price=report.limit_price,
            stop_price=report.stop_price,
            origin=Origin.EXTERNAL,
            created=report.time,
            day=self._trading_day(report.time),
        )
        self._ledger.record(ExternalOrderFound(terms, report, self._clock()))

    # work that nobody waits for

    def go(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        """Let a coroutine run by itself; its failure is logged, and halts trading where that is configured."""

        def failed(failure: Any) -> None:
            if failure.check(Refused):
                log.warn("{what}: {text}", what=what, text=failure.getErrorMessage())
            else:
                log.failure("{what} failed.", failure, what=what)
                self.unexpected(what)

        Deferred.fromCoroutine(work).addErrback(failed)

    def unexpected(self, what: str) -> None:
        """Something that must not happen did: halt trading, if the configuration says so."""
        halt = self._state.halts.get(GATEWAY)
        if self._halt_on_exception and (halt is None or halt.level is not HaltLevel.HALTED):
            self._ledger.record(TradingHalted(f"unexpected error in {what}: see the log", "gateway", self._clock()))
