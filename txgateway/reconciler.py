"""When brokers are asked whether they see what we see: on every connect, on a timer, and soon wherever there is doubt.

A look is believed only for orders that did not move while the broker was asked. While a venue is up, a disagreement
counts when two looks in a row find the same and nothing moved between them: what is still on its way disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from txgateway import reconcile, state
from txgateway.brokers import Broker, Can
from txgateway.differences import Differences
from txgateway.history import History
from txgateway.intake import Intake
from txgateway.journal import Journal
from txgateway.ledger import Ledger
from txgateway.model.account import Position, adds_up
from txgateway.model.difference import Difference, Key, What
from txgateway.model.errors import GatewayError, Reason, TimedOut, Unsupported
from txgateway.model.events import (
    AccountsOpened,
    BalancesReported,
    ExternalOrderFound,
    PositionReported,
    Severity,
    VenueStatus,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, PENDING, Order, OrderReport, OrderStatus, Origin, Terms
from txgateway.reconcile import Absent, Shown, Verdict, Word
from txgateway.state import Change

log = Logger()
T = TypeVar("T")

ZERO = Decimal(0)
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until an order in doubt is looked up again, or a reconciliation that failed is tried again."""
CONFIRM_SECONDS = 2.0
"""How soon a second look follows one that found something."""
OVERLAP = timedelta(seconds=10)
"""Executions are asked for again from a little before the last one: two fills may share a time, or change places."""
ABSENCE_SECONDS = 10.0
"""On the link by which an order went out, "no such order" is believed only after so long: it may be on its way."""
LOOKS_AT_ONCE = 50
"""Orders in doubt that are looked up one after the other, before anything else may be asked."""
LOOK_SECONDS = 15.0
"""How long a look-up may take."""
FRESH_SECONDS = 5.0
"""What is under way is not looked up before it is so old: its answer is about to come."""
PAUSE_EVERY = 500
"""Things that are gone through without letting the reactor turn."""


@dataclass(slots=True)
class _Doubt:
    """An order in doubt: when to look it up again, and how often it was."""

    due: float
    tries: int = 0


@dataclass(slots=True)
class _Look:
    """One look at a venue: which orders it may judge (by the record that changed them last), and what it found."""

    venue: str
    connecting: bool
    link: int
    mark: int
    seqs: dict[str, int]
    filled: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    found: set[Key] = field(default_factory=set)
    skipped: set[Key] = field(default_factory=set)
    suspects: dict[Any, Any] = field(default_factory=dict)


class Reconciler:
    """Never more than one look at a venue at a time."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        history: History,
        intake: Intake,
        brokers: Mapping[str, Broker],
        differences: Differences,
        reactor: Any,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        seconds: float = 0,
        order_timeout: float = 300.0,
    ) -> None:
        self.last: dict[str, datetime] = {}
        """When each venue's last whole reconciliation ended well."""
        self.failures: dict[str, int] = dict.fromkeys(brokers, 0)
        """How many have failed in a row."""
        self._ledger = ledger
        self._state = ledger.state
        self._journal = journal
        self._history = history
        self._intake = intake
        self._brokers = brokers
        self._differences = differences
        self._reactor = reactor
        self._clock = clock
        self._new_id = new_id
        self._seconds = seconds
        self._order_timeout = order_timeout
        self._running: dict[str, Deferred[Any]] = {}
        self._due: dict[str, float] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._suspects: dict[str, dict[Any, Any]] = {}
        self._gaps: dict[str, dict[Key, Decimal]] = {}
        """By venue, of each balance that may differ: how much more the broker has."""
        self._links = dict.fromkeys(brokers, 0)
        self._asked_at: dict[str, datetime] = {}

    def start(self) -> None:
        """Take on the orders that are in doubt, and hear of every new one."""
        self._ledger.listeners.append(self._heard)
        self._intake.on_connected, self._intake.on_lost = self._connected, self._lost
        self._intake.on_strange = self._soon
        for order in self._state.working.values():
            if order.status is OrderStatus.UNKNOWN:
                self._doubts[order.order_id] = _Doubt(0)

    def stop(self) -> None:
        """Ask nothing more."""
        for running in list(self._running.values()):
            running.cancel()

    # when

    def _heard(self, change: Change) -> None:
        order = change.order
        if order is None:
            return
        if order.status is not OrderStatus.UNKNOWN:
            self._doubts.pop(order.order_id, None)
        elif order.order_id not in self._doubts:
            self._doubts[order.order_id] = _Doubt(self._reactor.seconds() + BACK_OFF[0])
            broker = self._brokers.get(order.venue)
            if broker is not None and Can.LOOKUP not in broker.can:
                self._soon(order.venue)

    def _connected(self, venue: str) -> None:
        """A venue can be asked: everything, before it is called up."""
        self._cancel(venue)
        self._due.pop(venue, None)
        self._suspects.pop(venue, None)
        self._gaps.pop(venue, None)
        self._begin(venue, self._whole(venue, connecting=True))

    def _lost(self, venue: str) -> None:
        """The link is gone, and with it whatever was being asked."""
        self._due.pop(venue, None)
        self._suspects.pop(venue, None)
        self._gaps.pop(venue, None)
        self._cancel(venue)

    def _soon(self, venue: str) -> None:
        """Something was said that does not fit: look at the venue soon."""
        at = self._reactor.seconds() + CONFIRM_SECONDS
        self._due[venue] = min(at, self._due.get(venue, at))

    def _cancel(self, venue: str) -> None:
        """Give up what is being asked; in the next turn, for it may be what is running now."""
        self._links[venue] += 1
        running = self._running.pop(venue, None)
        if running is not None:
            self._reactor.callLater(0, running.cancel)

    def watch(self) -> None:
        """Each second: begin what is due, one thing a venue."""
        now = self._reactor.seconds()
        for venue, broker in self._brokers.items():
            status = self._intake.status[venue]
            if venue in self._running or status not in (VenueStatus.UP, VenueStatus.RECONCILING):
                continue
            if self._due.get(venue, now + 1) <= now:
                del self._due[venue]
                self._begin(venue, self._whole(venue, connecting=status is VenueStatus.RECONCILING))
            elif status is VenueStatus.UP and Can.LOOKUP in broker.can:
                doubts = [order for order in self._doubted(venue) if self._doubts[order.order_id].due <= now]
                if doubts:
                    self._begin(venue, self._look_at(venue, doubts[:LOOKS_AT_ONCE]), whole=False)

    def _doubted(self, venue: str) -> list[Order]:
        orders = (self._state.working.get(order_id) for order_id in self._doubts)
        return [order for order in orders if order is not None and order.venue == venue]

    def _begin(self, venue: str, work: Coroutine[Any, Any, None], whole: bool = True) -> None:
        gate: Deferred[None] = Deferred()

        async def behind() -> None:
            await gate
            await work

        running = Deferred.fromCoroutine(behind())
        self._running[venue] = running
        running.addBoth(self._ended, venue, running, whole)
        gate.callback(None)

    async def _asked(self, look: _Look, question: Awaitable[T]) -> T:
        """An answer, if the link by which it was asked is still there."""
        answer = await question
        if self._links[look.venue] != look.link:
            raise CancelledError
        return answer

    def _ended(self, result: Any, venue: str, running: Deferred[Any], whole: bool) -> None:
        """Plan what comes next; a failure is shown as a difference, for nothing is known until one succeeds."""
        if self._running.get(venue) is not running:
            return  # a new link has begun another
        del self._running[venue]
        key = (venue, "", What.RECONCILIATION, venue)
        now = self._reactor.seconds()
        if result is None:
            if whole:
                self.failures[venue] = 0
                self._differences.gone(key, "The venue was reconciled.")
                wait = CONFIRM_SECONDS if self._suspects.get(venue) or self._gaps.get(venue) else self._seconds
                if wait:
                    self._due[venue] = min(now + wait, self._due.get(venue, now + wait))
            return
        if result.check(CancelledError):
            return
        self.failures[venue] += 1
        text = f"{type(result.value).__name__}: {result.getErrorMessage()}"
        if result.check(GatewayError):
            log.warn("Venue {venue} could not be reconciled: {text}", venue=venue, text=text)
        else:
            log.failure("Reconciliation of {venue} failed.", result, venue=venue)
            self._intake.unexpected(f"reconciliation of {venue}")
        self._differences.found(key, "", text, Severity.WARNING)
        self._due[venue] = now + BACK_OFF[min(self.failures[venue], len(BACK_OFF)) - 1]

    # one look

    async def _whole(self, venue: str, connecting: bool) -> None:
        """Ask the broker for everything, take in what was missed, show what differs."""
        broker = self._brokers[venue]
        self._intake.start_day(venue)
        link, asked_at = self._links[venue], broker.now()
        await self._ledger.settled()
        seqs = {order.order_id: reconcile.moved(order)[0] for order in self._at_broker(venue)}
        look = _Look(venue, connecting, link, self._state.seq, seqs)
        reports = await self._asked(look, broker.open_orders())
        fills = await self._unknown(look, self._since(venue))
        echoes = Can.CLIENT_ORDER_ID in broker.can
        known, strangers = reconcile.match(self._at_broker(venue), reports, echoes)
        if any(self._filled_before(venue, report, fills)[1] for report in strangers):
            fills = await self._unknown(look, None)
        closed = await self._take_in(look, strangers, fills)
        await self._settle_replaces(look, known)
        await self._take_fills(look, fills)
        words = await self._words(look, known)
        await self._ask_for_fills(look, words)
        await self._recheck_filled(look, words)
        for number, (order_id, word) in enumerate(words.items(), 1):
            if number % PAUSE_EVERY == 0:
                await self._pause(look)
            order = self._state.working.get(order_id)
            if order is not None and self._stands(look, order):
                look.judged.add(order_id)
                self._follow(look, order, reconcile.judge(order, word, self._clock()))
        for order, report in closed:
            if self._state.order(order.order_id) in (None, order):
                self._follow(look, order, reconcile.reopened(order, report, self._clock()))
        await self._positions(look)
        self._settle(look)
        self._suspects[venue] = look.suspects
        self._asked_at[venue] = asked_at
        self.last[venue] = self._clock()
        if connecting:
            await self._intake.reconciled(venue)
        if Can.CASH in broker.can:  # that it cannot be had is shown, and keeps nobody from trading
            await self._balances(look, asked_at - OVERLAP)

    def _at_broker(self, venue: str) -> list[Order]:
        """The working orders of a venue, without the tickets that we hold ourselves."""
        holds = Can.STAGE in self._brokers[venue].can
        orders = self._state.working_at(venue)
        return [order for order in orders if holds or order.status is not OrderStatus.STAGED]

    def _since(self, venue: str) -> datetime | None:
        """Executions up to the last whole look are known; after a restart, up to the last one recorded."""
        last = self._asked_at.get(venue) or self._state.last_execution.get(venue)
        return None if last is None else last - OVERLAP

    def _stands(self, look: _Look, order: Order) -> bool:
        """Whether an order is as it was when the look began, but for what the look itself has taken in."""
        return look.seqs.get(order.order_id) == reconcile.moved(order)[0]

    async def _words(self, look: _Look, known: Mapping[str, OrderReport]) -> Mapping[str, Word]:
        """The broker's word on each order that the look may judge: as it is listed, else as it is looked up."""
        broker = self._brokers[look.venue]
        words: dict[str, Word] = {}
        for number, order in enumerate(self._at_broker(look.venue), 1):
            if number % PAUSE_EVERY == 0:
                await self._pause(look)
            if not self._stands(look, order) or (order.order_id not in known and self._is_fresh(order, look)):
                continue
            word: Word = known.get(order.order_id) or Absent.UNLISTED
            if word is Absent.UNLISTED and Can.LOOKUP in broker.can:
                word = await self._asked(look, self._lookup(broker, order))
            if self._believes(order, word, look.connecting):
                words[order.order_id] = word
        return words

    def _is_fresh(self, order: Order, look: _Look) -> bool:
        """Whether an order's answer may be expected any moment."""
        age = (self._clock() - order.updated).total_seconds()
        return not look.connecting and order.status in PENDING and age < FRESH_SECONDS

    async def _lookup(self, broker: Broker, order: Order) -> Word:
        asked = Deferred.fromCoroutine(broker.lookup(order))
        if not asked.called:
            asked.addTimeout(LOOK_SECONDS, self._reactor)
        try:
            report = await asked
            if report is None:
                return Absent.NEVER
            return report if reconcile.answers(order, report) else Absent.UNLISTED
        except Unsupported:
            return Absent.UNLISTED
        except DeferredTimeout:
            text = f"Venue {broker.venue} did not say within {LOOK_SECONDS:g} s what became of order {order.order_id}."
            raise TimedOut(text) from None

    def _believes(self, order: Order, word: Word, connecting: bool) -> bool:
        """Whether it can be believed that an order in doubt (or its release) is not there: it may be under way."""
        absent = word is Absent.NEVER or (isinstance(word, OrderReport) and word.status is OrderStatus.STAGED)
        if connecting or not absent or order.status is not OrderStatus.UNKNOWN:
            return True
        under_way = 0.0 if order.reason is Reason.BROKER_ERROR else self._order_timeout
        return (self._clock() - reconcile.moved(order)[1]).total_seconds() >= max(ABSENCE_SECONDS, under_way)

    # replaces whose answer was lost

    async def _settle_replaces(self, look: _Look, known: Mapping[str, OrderReport]) -> None:
        broker = self._brokers[look.venue]
        for order in self._doubted(look.venue):
            word: Word | None = known.get(order.order_id)
            if word is None and Can.LOOKUP in broker.can and order.asks_replace:
                word = await self._asked(look, self._lookup(broker, order))
            self._settle_replace(look, order, word)

    def _settle_replace(self, look: _Look, order: Order, word: Word | None) -> Order:
        """The order with the terms that the broker gave it, if it did."""
        event = reconcile.replaced(order, word, self._clock())
        if event is None or not self._stands(look, self._state.working.get(order.order_id, order)):
            return order
        after = self._intake.record(event) or order
        look.seqs[order.order_id] = reconcile.moved(after)[0]
        return after

    # fills

    async def _unknown(self, look: _Look, since: datetime | None) -> list[Execution]:
        """The venue's executions after `since` that are not among today's; the others are let go one by one.

        After a burst there are tens of thousands of them, and all but a few are known.
        """
        fills: list[Execution] = []
        asked = await self._asked(look, self._brokers[look.venue].executions(since))
        for number, told in enumerate(asked, 1):
            fill = _by(look.venue, told)
            if not self._intake.is_anothers(fill) and not self._intake.knows(fill):
                fills.append(fill)
            if number % PAUSE_EVERY == 0:
                await self._pause(look)
        return fills

    async def _take_fills(self, look: _Look, fills: Iterable[Execution]) -> None:
        for number, told in enumerate(fills, 1):
            if number % PAUSE_EVERY == 0:
                await self._pause(look)
            fill = _by(look.venue, told)
            if self._intake.is_anothers(fill):
                continue
            before = self._intake.order_of(fill)
            stood = before is not None and self._stands(look, before)
            if await self._intake.take_fill(fill) and before is not None:
                after = self._state.order(before.order_id)
                look.filled.add(before.order_id)
                if stood and after is not None:
                    look.seqs[before.order_id] = reconcile.moved(after)[0]

    async def _pause(self, look: _Look) -> None:
        """Let the reactor turn."""
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(0, turn.callback, None)
        await self._asked(look, turn)

    async def _ask_for_fills(self, look: _Look, words: Mapping[str, Word]) -> None:
        """Where the broker has filled more than we know of, its whole history is asked for: it may be of long ago.

        While the venue is up, when a second look finds the same; the first may only have been faster than the report.
        """
        lacking = False
        for order in self._at_broker(look.venue):
            word = words.get(order.order_id)
            if isinstance(word, OrderReport) and reconcile.unfilled(order, word):
                figures = (order.seq, word.filled_quantity)
                lacking |= look.connecting or self._is_confirmed(look, ("fills", order.order_id), figures)
        if lacking:
            whole = self._brokers[look.venue].executions(None)
            await self._take_fills(look, await self._asked(look, whole))

    async def _recheck_filled(self, look: _Look, words: Mapping[str, Word]) -> None:
        """A difference in what is filled of an order that is closed here stays until the broker's figure is ours."""
        broker = self._brokers[look.venue]
        for each in self._differences.open(look.venue):
            if each.what != What.FILLED_QUANTITY or each.key in words or each.key in self._state.working:
                continue
            order = await self._history.by_our_id(each.key) if Can.LOOKUP in broker.can else None
            word = await self._asked(look, self._lookup(broker, order)) if order is not None else None
            if order is not None and reconcile.unfilled(order, word):
                await self._take_fills(look, await self._asked(look, broker.executions(order.created - OVERLAP)))
                order = await self._history.by_our_id(each.key)
            if order is None or not isinstance(word, OrderReport):
                continue
            if word.filled_quantity == order.filled_quantity:
                self._differences.gone(each.name, "The executions add up to it now.")
            else:
                figures = (f"{order.filled_quantity:f}", f"{word.filled_quantity:f}")
                self._differences.found(each.name, *figures, each.severity)

    # orders that are not ours, or no longer

    async def _take_in(
        self, look: _Look, strangers: Sequence[OrderReport], fills: Sequence[Execution]
    ) -> list[tuple[Order, OrderReport]]:
        """Take in what others sent; gives the orders of ours that we took for closed."""
        closed: list[tuple[Order, OrderReport]] = []
        for report in strangers:
            order = await self._ours_closed(look.venue, report)
            if order is None:
                self._adopt(look, report, fills)
            elif order.seq <= look.mark and order.status in CLOSED:
                closed.append((order, report))
        if Can.LOOKUP in self._brokers[look.venue].can:
            closed = [pair for pair in closed if await self._still_open(look, pair[0])]
        return closed

    async def _still_open(self, look: _Look, order: Order) -> bool:
        word = await self._asked(look, self._lookup(self._brokers[look.venue], order))
        return isinstance(word, OrderReport) and word.status not in CLOSED

    async def _ours_closed(self, venue: str, report: OrderReport) -> Order | None:
        """The order that a report must be of although it does not work here: by our id, or by the broker's."""
        order = await self._history.by_our_id(report.order_id) if report.order_id else None
        if order is None:
            order = self._state.sure_broker(venue, report.broker_order_id)
            if order is None:
                found = await self._journal.find("broker", state.broker_key(venue, report.broker_order_id))
                order = await self._history.by_our_id(found) if found else None
            echoes = Can.CLIENT_ORDER_ID in self._brokers[venue].can
            if order is not None and not reconcile.may_be(order, report, echoes):
                return None
        return order if order is not None and order.venue == venue else None

    def _adopt(self, look: _Look, report: OrderReport, fills: Sequence[Execution]) -> None:
        """Take in an open order that we did not send, unless it may be one of ours that has no broker's id yet."""
        venue, key = look.venue, (look.venue, report.account, What.UNKNOWN_ORDER, report.broker_order_id)
        figures = f"{report.side} {report.quantity:f} {report.symbol} as {report.broker_order_id}"
        severity = Severity.INFO if look.connecting else Severity.WARNING
        if Can.CLIENT_ORDER_ID not in self._brokers[venue].can and self._may_be_ours(venue, report):
            look.found.add(key)
            self._differences.found(key, "none, or one of those in doubt", figures, severity)
            return
        order_id = self._new_id()
        terms = Terms(
            order_id=order_id,
            client_order_id=report.order_id or order_id,
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
            day=self._intake.trading_day(report.time),
        )
        filled, price = self._filled_so_far(venue, report, fills)
        self._differences.found(key, "none", figures, severity)
        self._intake.record(ExternalOrderFound(terms, report, self._clock(), filled, price))
        self._differences.gone(key, f"It was taken in as {order_id}, with origin external.")
        look.seqs[order_id] = self._state.seq

    def _may_be_ours(self, venue: str, report: OrderReport) -> bool:
        unnamed = (order for order in self._at_broker(venue) if not order.broker_order_id)
        return any(reconcile.same(order, report) for order in unnamed)

    def _filled_before(
        self, venue: str, report: OrderReport, fills: Sequence[Execution]
    ) -> tuple[tuple[Decimal, Decimal], Decimal]:
        """What of another's order we have executions of (quantity and value), and what was filled without any."""
        day = self._state.days.get(venue)
        name = state.broker_key(venue, report.broker_order_id)
        counted = day.loose.get(name, (ZERO, ZERO)) if day else (ZERO, ZERO)
        its = [fill for fill in fills if fill.broker_order_id == report.broker_order_id]
        coming = sum((fill.quantity for fill in its if self._state.same_execution(fill) is None), ZERO)
        return counted, max(ZERO, report.filled_quantity - counted[0] - coming)

    def _filled_so_far(self, venue: str, report: OrderReport, fills: Sequence[Execution]) -> tuple[Decimal, Decimal]:
        """Quantity and average price of what is filled already, without the executions that are taken in next."""
        (counted, value), earlier = self._filled_before(venue, report, fills)
        filled = counted + earlier
        if not filled:
            return ZERO, ZERO
        return filled, (report.average_price if earlier else value / counted)

    # what is found

    def _follow(self, look: _Look, order: Order, verdict: Verdict) -> None:
        """Do what a verdict says: at once, or when a second look has found the same."""
        shown = [each for each in verdict.shown if not (order.order_id in look.filled and _is_older(each))]
        if not verdict.events and not shown:
            return
        keys = {each.what: (look.venue, order.account, each.what, order.order_id) for each in shown}
        known = not verdict.events and all(self._is_known(keys[each.what], each.ours, each.theirs) for each in shown)
        print_of = (reconcile.moved(order)[0], tuple(type(event) for event in verdict.events), tuple(shown))
        if not (look.connecting or verdict.sure or known or self._is_confirmed(look, order.order_id, print_of)):
            look.skipped.update(keys.values())
            return
        for each in shown:
            severity = Severity.INFO if look.connecting and each.severity is Severity.WARNING else each.severity
            self._differences.found(keys[each.what], each.ours, each.theirs, severity)
            look.found.add(keys[each.what])
        for event in verdict.events:
            self._intake.take(event)
        for each in shown:
            if each.followed:
                self._differences.gone(keys[each.what], "The broker's word was taken over.")

    def _is_known(self, key: Key, ours: str, theirs: str) -> bool:
        difference = self._state.differences.get(key)
        return difference is not None and (difference.ours, difference.theirs) == (ours, theirs)

    def _is_confirmed(self, look: _Look, name: Any, print_of: Any) -> bool:
        """Whether the look before found the same; if not, the next one may."""
        if self._suspects.get(look.venue, {}).get(name) == print_of:
            return True
        look.suspects[name] = print_of
        return False

    def _settle(self, look: _Look) -> None:
        """What this look could judge and did not find is gone."""
        for each in self._differences.open(look.venue):
            over_order = each.what in (What.FILLED_QUANTITY, What.ORDER_STATUS)
            judged = over_order and each.key in look.judged
            closed = each.what == What.ORDER_STATUS and each.key not in self._state.working
            judged = judged or closed or each.what in (What.POSITION, What.UNKNOWN_ORDER)
            if judged and each.name not in look.found and each.name not in look.skipped:
                self._differences.gone(each.name, "It is no longer so.")

    # positions

    async def _positions(self, look: _Look) -> None:
        """Compare positions; those that were traded meanwhile another time.

        Before one is told to differ the broker's whole history is asked for: a fill of long ago may be missing.
        """
        traded, theirs = dict(self._intake.traded), await self._asked(look, self._brokers[look.venue].positions())
        differing = self._differing(look, traded, theirs)
        if any(not self._is_known(*each) for each in differing):
            await self._take_fills(look, await self._asked(look, self._brokers[look.venue].executions(None)))
            traded, theirs = dict(self._intake.traded), await self._asked(look, self._brokers[look.venue].positions())
            differing = self._differing(look, traded, theirs)
        for key, ours, its in differing:
            self._differences.found(key, ours, its, Severity.CRITICAL)
            look.found.add(key)
            look.skipped.discard(key)
        self._open(look, traded, theirs)

    def _differing(
        self, look: _Look, traded: Mapping[tuple[str, str, str], int], theirs: Sequence[Position]
    ) -> list[tuple[Key, str, str]]:
        """The positions that differ for certain, with both figures; those that may are marked for the next look."""
        venue = look.venue
        found: list[tuple[Key, str, str]] = []
        opened = self._state.opened.get(venue, ())
        for (account, symbol), (mine, its) in reconcile.positions(self._held(venue), theirs).items():
            key = (venue, account, What.POSITION, symbol)
            name = (venue, account, symbol)
            figures = (f"{mine.quantity:f}", f"{its.quantity:f}")
            count = self._intake.traded.get(name)
            if account not in opened and account in self._brokers[venue].accounts():
                continue
            if count == traded.get(name) and (
                look.connecting or self._is_known(key, *figures) or self._is_confirmed(look, name, (count, *figures))
            ):
                found.append((key, *figures))
            else:
                look.skipped.add(key)
        return found

    def _held(self, venue: str) -> list[Position]:
        return [each for held in self._state.positions.values() for each in held.values() if each.venue == venue]

    def _open(self, look: _Look, traded: Mapping[tuple[str, str, str], int], theirs: Sequence[Position]) -> None:
        """Accounts that are reconciled for the first time: what they hold is where we start from."""
        venue = look.venue
        opened = self._state.opened.get(venue, ())
        moved = {name[1] for name, count in self._intake.traded.items() if count != traded.get(name)}
        new = {each for each in self._brokers[venue].accounts() if each not in opened and each not in moved}
        for (account, _), (_, its) in reconcile.positions(self._held(venue), theirs).items():
            if account in new:
                self.take_position(its, venue)
        if new:
            self._ledger.record(AccountsOpened(venue, tuple(sorted(new)), self._clock()))

    def take_position(self, position: Position, venue: str) -> None:
        """Take a position over as the broker shows it."""
        figures = (position.account, position.symbol, position.quantity, position.average_price)
        self._ledger.record(PositionReported(venue, *figures, self._clock()))

    # balances

    async def _balances(self, look: _Look, since: datetime) -> None:
        """Compare each account's cash with what the broker once said and what our executions have moved since.

        What is not known yet counts when no fill came to light from before the balances were asked for until the
        executions were, after them: then they are of the very fills that we have.
        """
        venue, broker = look.venue, self._brokers[look.venue]
        before = self._gaps.pop(venue, {})
        traded = self._trades(venue)
        theirs = {account: await self._cash(look, account) for account in broker.accounts()}
        theirs = {account: totals for account, totals in theirs.items() if _are_amounts(venue, account, totals)}
        unsure = [key for account, totals in theirs.items() for key in self._unsure(venue, account, totals)]
        if unsure:
            seen = any(key in before for key in unsure)
            fills = broker.executions(None if seen else since)  # one of long ago may be missing
            await self._take_fills(look, await self._asked(look, fills))
        now = self._trades(venue)
        for account, totals in theirs.items():
            if now.get(account) == traded.get(account):
                self._weigh(venue, account, totals, before)

    async def _cash(self, look: _Look, account: str) -> dict[str, Decimal]:
        report = await self._asked(look, self._brokers[look.venue].balances(account))
        return {each.currency: each.total for each in report.balances}

    def _trades(self, venue: str) -> dict[str, int]:
        """How many fills there were in each account."""
        counts: dict[str, int] = {}
        for (at, account, _), count in self._intake.traded.items():
            if at == venue:
                counts[account] = counts.get(account, 0) + count
        return counts

    def _unsure(self, venue: str, account: str, totals: Mapping[str, Decimal]) -> list[Key]:
        """What is new of an account's cash: all of it, or the currencies whose gap is not the one that is shown."""
        ours = self._state.cash.get((venue, account))
        if ours is None:
            return [(venue, account, What.BALANCE, "")]
        keys = {(venue, account, What.BALANCE, name): each for name, each in reconcile.balances(ours, totals).items()}
        return [key for key, (mine, its) in keys.items() if not adds_up(mine + self._gap(key), its)]

    def _gap(self, key: Key) -> Decimal:
        """How much more the broker has than we, as it is shown."""
        known = self._state.differences.get(key)
        return Decimal(known.theirs) - Decimal(known.ours) if known else ZERO

    def _weigh(self, venue: str, account: str, totals: Mapping[str, Decimal], before: Mapping[Key, Decimal]) -> None:
        """Show the gaps of an account that two looks in a row have found; one that is shown is told anew if it changes.

        An account that is compared for the first time begins with what the broker says.
        """
        ours = self._state.cash.get((venue, account))
        if ours is None:
            self._take_cash(venue, account, totals)
            return
        differing: set[Key] = set()
        for currency, (mine, its) in reconcile.balances(ours, totals).items():
            key = (venue, account, What.BALANCE, currency)
            differing.add(key)
            known = self._state.differences.get(key)
            if known is not None and adds_up(mine + self._gap(key), its):
                self._differences.found(key, known.ours, known.theirs, known.severity)
            elif key in before and adds_up(mine + before[key], its):
                self._differences.found(key, f"{mine:f}", f"{its:f}", Severity.WARNING)
            else:
                self._gaps.setdefault(venue, {})[key] = its - mine
        for each in self._differences.open(venue):
            if each.what == What.BALANCE and each.account == account and each.name not in differing:
                self._differences.gone(each.name, "It adds up again.")

    def _take_cash(self, venue: str, account: str, totals: Mapping[str, Decimal]) -> None:
        self._ledger.record(BalancesReported(venue, account, tuple(sorted(totals.items())), self._clock()))

    def take_gap(self, difference: Difference) -> None:
        """Take the gap of a balance over as it is shown: what was traded since it was found stays counted."""
        venue, account, _, currency = difference.name
        ours = self._state.cash.get((venue, account), {}).get(currency, ZERO)
        self._take_cash(venue, account, {currency: ours + self._gap(difference.name)})

    # orders in doubt

    async def _look_at(self, venue: str, orders: Sequence[Order]) -> None:
        """Look orders in doubt up, one after the other."""
        for order in orders:
            doubt, now = self._doubts.get(order.order_id), self._state.working.get(order.order_id)
            if doubt is not None and now is not None:
                doubt.tries += 1
                doubt.due = self._reactor.seconds() + BACK_OFF[min(doubt.tries, len(BACK_OFF) - 1)]
                await self.look_up(venue, now)

    async def look_up(self, venue: str, order: Order) -> Word:
        """Ask the broker about one order in doubt, and follow its word; gives that word.

        One order that did not move meanwhile needs no second look.
        """
        broker = self._brokers[venue]
        link = self._links[venue]
        await self._ledger.settled()
        look = _Look(venue, False, link, self._state.seq, {order.order_id: reconcile.moved(order)[0]})
        word = await self._asked(look, self._lookup(broker, order))
        order = self._settle_replace(look, order, word)
        if reconcile.unfilled(order, word):
            await self._take_fills(look, await self._asked(look, broker.executions(order.created - OVERLAP)))
        now = self._state.working.get(order.order_id)
        if now is not None and self._stands(look, now) and self._believes(now, word, connecting=False):
            verdict = reconcile.judge(now, word, self._clock())
            self._follow(look, now, Verdict(verdict.events, verdict.shown, sure=True))
        return word


def _by(venue: str, fill: Execution) -> Execution:
    """A fill as its venue's: it speaks for itself alone."""
    return fill if fill.venue == venue else replace(fill, venue=venue)


def _is_older(shown: Shown) -> bool:
    """Whether a difference comes only of a list that is older than the fills: it shows fewer."""
    return shown.what is What.FILLED_QUANTITY and Decimal(shown.theirs) < Decimal(shown.ours)


def _are_amounts(venue: str, account: str, totals: Mapping[str, Decimal]) -> bool:
    """Whether an account's cash can be compared at all."""
    wrong = {currency: str(total) for currency, total in totals.items() if not total.is_finite()}
    if wrong:
        log.warn("Venue {venue} told of {wrong} in {account}: not compared.", venue=venue, wrong=wrong, account=account)
    return not wrong
