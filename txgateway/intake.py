"""What brokers say: reports in, once each; and a venue's life."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway import reconcile
from txgateway.brokers import Broker
from txgateway.differences import Differences
from txgateway.history import History
from txgateway.journal import Journal
from txgateway.keys import broker_key, execution_key
from txgateway.ledger import Ledger
from txgateway.model.difference import What
from txgateway.model.errors import NotUp, Reason, Refused
from txgateway.model.events import (
    MOVES,
    CancelRejected,
    Event,
    Executed,
    OrderAccepted,
    OrderDoubted,
    OrderEvent,
    OrderReplaced,
    OrderRestored,
    Severity,
    TradingDayStarted,
    TradingHalted,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.halts import HaltLevel
from txgateway.model.order import CLOSED, PENDING, Move, Order, OrderStatus, Origin
from txgateway.model.scope import GATEWAY

log = Logger()


_NOT_ACCEPTED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN, OrderStatus.REJECTED})
CONNECTED = frozenset({VenueStatus.RECONCILING, VenueStatus.UP})
"""The venue can be asked."""
UNSOUND = 1000
"""So many fills that cannot be are remembered as said."""
_GONE = frozenset({Reason.TOO_LATE, Reason.NO_SUCH_ORDER})


def _adds_nothing(event: Event, order: Order) -> bool:
    """An acknowledgement of what is acknowledged already, by the same id: one of an order lost since proves nothing."""
    if not isinstance(event, OrderAccepted):
        return False
    if order.status in _NOT_ACCEPTED and order.reason is not Reason.MISSING:
        return False
    return event.broker_order_id in ("", order.broker_order_id)


def _does_not_fit(event: Event, order: Order) -> bool:
    """Whether a report says that the order is not as we have it: then the broker is asked soon."""
    if isinstance(event, CancelRejected):
        return event.reason in _GONE and order.status not in CLOSED
    return isinstance(event, OrderAccepted) and order.status in CLOSED and order.reason is Reason.RESOLVED


def _named_by_broker(order: Order, execution: Execution) -> bool:
    """Whether a fill that has only a broker's id can be this order's: never with the id of somebody else.

    One of ours that is full already is none: brokers have been seen to give ids a second time.
    """
    if order.origin is Origin.EXTERNAL:
        return True
    return not execution.order_id and order.status is not OrderStatus.FILLED


def _is_of(order: Order, execution: Execution) -> bool:
    return order.venue == execution.venue and reconcile.same(order, execution)


def _cannot_be(execution: Execution) -> str:
    """What is wrong with a fill that would spoil all that is added up; empty where it can be counted."""
    if not (execution.quantity.is_finite() and execution.quantity > 0):
        return f"a quantity of {execution.quantity}"
    if not execution.price.is_finite():
        return f"a price of {execution.price}"
    if not execution.commission.is_finite():
        return f"a commission of {execution.commission}"
    return "" if execution.time.tzinfo is not None else "a time without a zone"


def _figures(execution: Execution) -> str:
    quantity, price = execution.quantity.normalize(), execution.price.normalize()  # 0.5 and 0.500 are the same
    return f"{execution.side} {quantity:f} {execution.symbol} at {price:f}"


class Intake:
    """The way back: report -> known already? drop -> record."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        history: History,
        brokers: Mapping[str, Broker],
        differences: Differences,
        clock: Callable[[], datetime],
        trading_day: Callable[[datetime], date],
        halt_on_exception: bool = False,
        log_repeats: bool = False,
    ) -> None:
        self.status: dict[str, VenueStatus] = dict.fromkeys(brokers, VenueStatus.DOWN)
        self.been_up: set[str] = set()
        self.since: dict[str, tuple[datetime, str]] = dict.fromkeys(brokers, (clock(), ""))
        """Since when each venue's status is what it is, by our clock, and what was said of it."""
        self.connects: dict[str, int] = dict.fromkeys(brokers, 0)
        """How often each venue has connected."""
        self.connected_since: dict[str, datetime] = {}
        """Since when each venue's link stands, by our clock; not there while there is none."""
        self.traded: dict[tuple[str, str, str], int] = {}
        """How many fills there were in each (venue, account, symbol)."""
        self.trading_day = trading_day
        self.on_connected: Callable[[str], None] = lambda venue: None
        """Told of a venue that can be asked, before it is called up: `reconciled` does that."""
        self.on_lost: Callable[[str], None] = lambda venue: None
        """Told of a venue whose link is gone."""
        self.on_strange: Callable[[str], None] = lambda venue: None
        """Told of a venue that said something which does not fit."""
        self._ledger = ledger
        self._state = ledger.state
        self._journal = journal
        self._history = history
        self._brokers = brokers
        self._differences = differences
        self._clock = clock
        self._unsound: set[tuple[str, str]] = set()
        self._looking: dict[str, deque[OrderEvent | VenueStatusChanged]] = {}
        """What waits behind a fill that is looked up, by venue: no venue waits for another's."""
        self._halt_on_exception = halt_on_exception
        self._log_repeat = log.info if log_repeats else log.debug

    def report(self, event: OrderEvent | VenueStatusChanged, venue: str = "") -> None:
        """Take in what a broker (of that venue) says happened, in the order it is said.

        One that calls itself up is ready to be asked: up is what has been reconciled.
        """
        if isinstance(event, VenueStatusChanged) and event.status is VenueStatus.UP:
            if self.status.get(event.venue) in CONNECTED:
                return
            event = replace(event, status=VenueStatus.RECONCILING)
        behind = self._looking.get(venue) if self._looking else None
        if behind is not None:
            behind.append(event)
        else:
            self._process(event, venue)

    def _process(self, event: OrderEvent | VenueStatusChanged, venue: str) -> None:
        try:
            if isinstance(event, VenueStatusChanged):
                self._venue_changed(event)
            elif isinstance(event, Executed):
                self._executed(event.execution, venue)
            else:
                self._said(event, venue)
        except Exception:
            log.failure("A report could not be taken in: {event}", event=event)
            self.unexpected("a broker's report")

    def _said(self, event: OrderEvent, venue: str) -> None:
        """Take a report of an order in, unless it is known already; one that does not fit has the broker asked soon."""
        order_id = event.order_id
        order = self._state.order(order_id)
        if order is None and venue:
            order = self._anothers(venue, order_id)
            if order is not None:
                event = replace(event, order_id=order.order_id)  # type: ignore[arg-type]
        if order is not None and order.venue != venue and venue in self._brokers and order.venue in self._brokers:
            self._repeated(type(event), order.order_id, f"said by {venue}, and sent by {order.venue}")
            return
        if order is None:
            kind = type(event).__name__
            text = "{kind} for {order_id}, no order that is known: what works at {venue} is asked for soon."
            log.info(text, kind=kind, order_id=order_id, venue=venue or "its venue")
            self._strange(venue)
        elif _adds_nothing(event, order):
            self._repeated(type(event), order.order_id, order.status)
        else:
            self.take(event)
        if order is not None and _does_not_fit(event, order):
            self._strange(order.venue)

    def _anothers(self, venue: str, name: str) -> Order | None:
        """The order of another that an event names: by the broker's id, or by the id that its sender gave it."""
        order = self._state.sure_broker(venue, name)
        if order is not None and order.origin is Origin.EXTERNAL:
            return order
        working = self._state.working_at(venue)
        return next((each for each in working if each.origin is Origin.EXTERNAL and each.client_order_id == name), None)

    def _strange(self, venue: str) -> None:
        if self.status.get(venue) in CONNECTED:
            self.on_strange(venue)

    def take(self, event: Event) -> None:
        """Record an order event, unless the order table has no row for it: then it is known, or too late."""
        order_id = getattr(event, "order_id", "")
        kind = type(event)
        order = self._state.order(order_id)
        if order is None and kind is not OrderRestored:
            log.warn("{kind} for {order_id}, no order of today: dropped.", kind=kind.__name__, order_id=order_id)
        elif order is not None and not order.may(MOVES[kind]):
            self._repeated(kind, order.order_id, order.status)
        else:
            self.record(event)

    def record(self, event: Event) -> Order | None:
        """Record what happened to an order; a broker's id that another has, and more filled than ordered, are shown."""
        shared = len(self._state.shared)
        after = self._ledger.record(event).order
        if len(self._state.shared) > shared and after is not None:
            other = self._state.shared[broker_key(after.venue, after.broker_order_id)]
            key = (after.venue, after.account, What.BROKER_ORDER_ID, after.broker_order_id)
            self._differences.found(key, other, after.order_id, Severity.CRITICAL)
        if after is not None and after.filled_quantity > after.quantity and isinstance(event, Executed | OrderReplaced):
            key = (after.venue, after.account, What.OVER_FILL, after.order_id)
            words = (f"{after.quantity:f}", f"{after.filled_quantity:f}")
            self._differences.found(key, *words, Severity.CRITICAL)
        return after

    def _repeated(self, kind: type, order_id: str, what: str) -> None:
        self._log_repeat(
            "{kind} for {order_id} ({what}): known already.", kind=kind.__name__, order_id=order_id, what=what
        )

    # executions

    def _executed(self, execution: Execution, venue: str) -> None:
        """Take a fill in once. What may have come before today is looked up in the journal first."""
        if venue in self._brokers and execution.venue != venue:
            execution = replace(execution, venue=venue)  # it speaks for itself alone
        if not self._is_sound(execution) or self.is_anothers(execution):
            return
        known = self._state.same_execution(execution)
        if known is not None:
            self._repeated(Executed, execution.order_id, execution.execution_id)
            self._compare(known, execution)
            return
        order = self.order_of(execution)
        if order is None or order.day != self._state.trading_day(order.venue):
            self._looking[venue] = deque()
            self.go(self._look_back(execution, venue), f"execution {execution.execution_id}")
        else:
            self._fill(execution, order)

    def order_of(self, execution: Execution) -> Order | None:
        """The order of today that a fill is of: by our id, else by the broker's; None where that cannot be."""
        order = self._state.order(execution.order_id) if execution.order_id else None
        if order is None and execution.broker_order_id:
            order = self._state.sure_broker(execution.venue, execution.broker_order_id)
            if order is not None and not _named_by_broker(order, execution):
                return None
        return order if order is not None and _is_of(order, execution) else None

    async def _look_back(self, execution: Execution, venue: str) -> None:
        """Look a fill up in the journal; whatever its venue reports meanwhile waits behind it."""
        try:
            await self.take_fill(execution)
        finally:
            behind = self._looking.pop(venue)
            while behind and venue not in self._looking:
                self._process(behind.popleft(), venue)
            if behind:
                self._looking[venue].extendleft(reversed(behind))

    async def take_fill(self, execution: Execution) -> bool:
        """Take a fill in, of any day; False when it is known already, or cannot be."""
        if not self._is_sound(execution) or self.knows(execution):
            return False
        key = execution_key(execution.account, execution.execution_id)
        if await self._journal.find("execution", key) is not None:
            return False
        order = self.order_of(execution) or await self._order_before(execution)
        if self._state.same_execution(execution) is not None:
            return False
        self._fill(execution, order)
        return True

    def is_anothers(self, execution: Execution) -> bool:
        """Whether a fill is in an account that is another venue's, which tells it too."""
        return len(self._brokers) > 1 and self.venue_of(execution.account) not in (None, execution.venue)

    def venue_of(self, account: str) -> str | None:
        """The venue that trades an account: the first that has it."""
        return next((name for name, broker in self._brokers.items() if account in broker.accounts()), None)

    def _is_sound(self, execution: Execution) -> bool:
        """Whether a fill can be counted; one that cannot is said once, and shows in the position."""
        wrong = _cannot_be(execution)
        name = (execution.venue, execution.execution_id)
        if wrong and name not in self._unsound and len(self._unsound) < UNSOUND:
            self._unsound.add(name)
            text = "Venue {venue} told of execution {id} of {symbol} with {wrong}: it is not taken in."
            log.critical(text, venue=name[0], id=name[1], symbol=execution.symbol, wrong=wrong)
            self._strange(execution.venue)
        return not wrong

    def knows(self, execution: Execution) -> bool:
        """Whether a fill is one of today's that we have; where it has other figures than ours that is shown."""
        known = self._state.same_execution(execution)
        if known is not None:
            self._compare(known, execution)
        return known is not None

    async def _order_before(self, execution: Execution) -> Order | None:
        """The order of an earlier day that a fill is of."""
        order = await self._history.by_our_id(execution.order_id) if execution.order_id else None
        if order is None and execution.broker_order_id:
            broker = broker_key(execution.venue, execution.broker_order_id)
            found = None if broker in self._state.shared else await self._journal.find("broker", broker)
            order = await self._history.by_our_id(found) if found else None
            if order is not None and not _named_by_broker(order, execution):
                return None
        return order if order is not None and _is_of(order, execution) else None

    def _compare(self, known: Execution, again: Execution) -> None:
        """An execution that comes again with other figures is shown: ours stands."""
        if _figures(known) != _figures(again):
            key = (known.venue, known.account, What.EXECUTION, known.execution_id)
            self._differences.found(key, _figures(known), _figures(again), Severity.CRITICAL)

    def _fill(self, execution: Execution, order: Order | None) -> None:
        self.start_day(execution.venue)
        order_id = order.order_id if order and order.may(Move.FILL) else ""
        if execution.order_id != order_id:
            execution = replace(execution, order_id=order_id)
        if order is not None and order_id:
            if order.signal and self._state.order(order_id) is None:  # its strategy is to know what it holds
                text = f"It was {order.status} on {order.day}, and is filled late."
                self.record(OrderRestored(order, text, execution.time))
            self._settle_replace(order, execution)
        name = (execution.venue, execution.account, execution.symbol)
        self.traded[name] = self.traded.get(name, 0) + 1
        self.record(Executed(execution, execution.time))

    def _settle_replace(self, order: Order, execution: Execution) -> None:
        """A fill beyond the old quantity and within the one asked for proves that the replace was done."""
        asked = order.asked_quantity
        if asked is None or not order.quantity < order.filled_quantity + execution.quantity <= asked:
            return
        if order.may(Move.REPLACE):
            limit = order.limit_price if order.asked_limit_price is None else order.asked_limit_price
            stop = order.stop_price if order.asked_stop_price is None else order.asked_stop_price
            self.record(OrderReplaced(order.order_id, asked, limit, stop, execution.time))

    # a venue's life

    def require_up(self, venue: str) -> None:
        """NotUp until the venue has been up once: before that there is nothing true to tell."""
        if venue not in self.been_up:
            text = f"Venue {venue} is {self.status[venue]}: wait until status reads Up"
            raise NotUp(f"{text}; query_venues says why it does not yet.")

    def untold(self, account: str) -> list[str]:
        """The venues that may have an account that none here is known to have: they have not told of theirs yet."""
        opened = self._state.opened
        return [
            name for name in self.awaited() if not self._brokers[name].accounts() or account in opened.get(name, ())
        ]

    def awaited(self) -> list[str]:
        """The venues that have not been up since the start; one that is configured no more never will be."""
        return [name for name, broker in self._brokers.items() if broker.can and name not in self.been_up]

    def start_day(self, venue: str) -> None:
        """Begin the venue's trading day when its clock has passed into another."""
        day = self.trading_day(self._brokers[venue].now())
        if day != self._state.trading_day(venue):
            self._ledger.record(TradingDayStarted(venue, day, self._clock()))

    def start_days(self) -> None:
        """The same of every venue that is up."""
        for venue in self._brokers:
            if self.status[venue] is VenueStatus.UP:
                self.start_day(venue)

    def _venue_changed(self, event: VenueStatusChanged) -> None:
        venue, before = event.venue, self.status[event.venue]
        if before is event.status:
            return
        self.status[venue] = event.status
        self.since[venue] = (self._clock(), event.text)
        self._ledger.record(event)
        if event.status not in CONNECTED:
            self.connected_since.pop(venue, None)
            self.on_lost(venue)
        if event.status not in (VenueStatus.UP, VenueStatus.STOPPING):
            self.doubt_pending(venue)
        if event.status is VenueStatus.RECONCILING:
            self.connected_since[venue] = self._clock()
            self.connects[venue] += 1
            self.on_connected(venue)

    def doubt_pending(self, venue: str) -> None:
        """What was under way by a link that is gone is in doubt at once: nobody waits for its answer any longer."""
        if venue in self.been_up:
            reason, text = Reason.LINK_LOST, f"The link to {venue} is gone: the broker will be asked what became of it."
        else:
            reason, text = Reason.RESTARTED, f"It was under way before a restart: {venue} will be asked about it."
        for order in self._state.working_at(venue):
            if order.status in PENDING:
                self.take(OrderDoubted(order.order_id, reason, text, self._clock()))

    async def reconciled(self, venue: str) -> None:
        """Call a venue up, once all that was found is on disk."""
        await self._ledger.settled()
        if self.status[venue] is VenueStatus.RECONCILING:
            self.been_up.add(venue)
            self._venue_changed(VenueStatusChanged(venue, VenueStatus.UP, "reconciled", self._clock()))

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
