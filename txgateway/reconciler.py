"""When brokers are asked whether they see what we see: on every connect, on a timer, and soon wherever there is doubt.

A look is believed only for orders that did not move while the broker was asked. While a venue is up, a disagreement
counts when two looks in a row find the same and nothing moved between them: what is still on its way disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from txgateway import reconcile
from txgateway.brokers import Broker, Can
from txgateway.differences import Differences
from txgateway.history import History
from txgateway.intake import Intake
from txgateway.journal import Journal
from txgateway.keys import broker_key
from txgateway.ledger import Ledger
from txgateway.look import Look
from txgateway.missed import Missed
from txgateway.model.difference import What
from txgateway.model.errors import GatewayError, Reason, TimedOut, Unsupported
from txgateway.model.events import (
    ExternalOrderFound,
    Severity,
    VenueStatus,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, PENDING, Order, OrderReport, OrderStatus, Origin, Terms
from txgateway.reconcile import Absent, Shown, Verdict, Word
from txgateway.state import Change
from txgateway.tally import Tally

log = Logger()

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


@dataclass(slots=True)
class _Doubt:
    """An order in doubt: when to look it up again, and how often it was."""

    due: float
    tries: int = 0


class Reconciler:
    """Never more than one look at a venue at a time."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        history: History,
        intake: Intake,
        brokers: Mapping[str, Broker],
        missed: Missed,
        tally: Tally,
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
        self._missed = missed
        self._tally = tally
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
        self._tally.forget(venue)
        self._begin(venue, self._whole(venue, connecting=True))

    def _lost(self, venue: str) -> None:
        """The link is gone, and with it whatever was being asked."""
        self._due.pop(venue, None)
        self._suspects.pop(venue, None)
        self._tally.forget(venue)
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

    def _standing(self, venue: str) -> Callable[[], bool]:
        """Whether the link of this moment still stands."""
        link = self._links[venue]
        return lambda: self._links[venue] == link

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
                wait = CONFIRM_SECONDS if self._suspects.get(venue) or self._tally.is_unsure(venue) else self._seconds
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
        stands, asked_at = self._standing(venue), broker.now()
        await self._ledger.settled()
        seqs = {order.order_id: reconcile.moved(order)[0] for order in self._at_broker(venue)}
        before = self._suspects.get(venue, {})
        look = Look(venue, connecting, self._state.seq, seqs, stands, self._reactor, before)
        reports = await look.answer(broker.open_orders())
        fills = await self._missed.unknown(look, self._since(venue))
        echoes = Can.CLIENT_ORDER_ID in broker.can
        known, strangers = reconcile.match(self._at_broker(venue), reports, echoes)
        if any(self._filled_before(venue, report, fills)[1] for report in strangers):
            fills = await self._missed.unknown(look, None)
        closed = await self._take_in(look, strangers, fills)
        await self._settle_replaces(look, known)
        await self._missed.take(look, fills)
        words = await self._words(look, known)
        await self._ask_for_fills(look, words)
        await self._recheck_filled(look, words)
        for number, (order_id, word) in enumerate(words.items(), 1):
            await look.pause(number)
            order = self._state.working.get(order_id)
            if order is not None and look.may_judge(order):
                look.judged.add(order_id)
                self._follow(look, order, reconcile.judge(order, word, self._clock()))
        for order, report in closed:
            if self._state.order(order.order_id) in (None, order):
                self._follow(look, order, reconcile.reopened(order, report, self._clock()))
        await self._tally.positions(look)
        self._settle(look)
        self._suspects[venue] = look.suspects
        self._asked_at[venue] = asked_at
        self.last[venue] = self._clock()
        if connecting:
            await self._intake.reconciled(venue)
        if Can.CASH in broker.can:  # that it cannot be had is shown, and keeps nobody from trading
            await self._tally.balances(look, asked_at - OVERLAP)

    def _at_broker(self, venue: str) -> list[Order]:
        """The working orders of a venue, without the tickets that we hold ourselves."""
        holds = Can.STAGE in self._brokers[venue].can
        orders = self._state.working_at(venue)
        return [order for order in orders if holds or order.status is not OrderStatus.STAGED]

    def _since(self, venue: str) -> datetime | None:
        """Executions up to the last whole look are known; after a restart, up to the last one recorded."""
        last = self._asked_at.get(venue) or self._state.last_execution.get(venue)
        return None if last is None else last - OVERLAP

    async def _words(self, look: Look, known: Mapping[str, OrderReport]) -> Mapping[str, Word]:
        """The broker's word on each order that the look may judge: as it is listed, else as it is looked up."""
        broker = self._brokers[look.venue]
        words: dict[str, Word] = {}
        for number, order in enumerate(self._at_broker(look.venue), 1):
            await look.pause(number)
            if not look.may_judge(order) or (order.order_id not in known and self._is_fresh(order, look)):
                continue
            word: Word = known.get(order.order_id) or Absent.UNLISTED
            if word is Absent.UNLISTED and Can.LOOKUP in broker.can:
                word = await look.answer(self._lookup(broker, order))
            if self._believes(order, word, look.connecting):
                words[order.order_id] = word
        return words

    def _is_fresh(self, order: Order, look: Look) -> bool:
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

    async def _settle_replaces(self, look: Look, known: Mapping[str, OrderReport]) -> None:
        broker = self._brokers[look.venue]
        for order in self._doubted(look.venue):
            word: Word | None = known.get(order.order_id)
            if word is None and Can.LOOKUP in broker.can and order.asks_replace:
                word = await look.answer(self._lookup(broker, order))
            self._settle_replace(look, order, word)

    def _settle_replace(self, look: Look, order: Order, word: Word | None) -> Order:
        """The order with the terms that the broker gave it, if it did."""
        event = reconcile.replaced(order, word, self._clock())
        if event is None or not look.may_judge(self._state.working.get(order.order_id, order)):
            return order
        after = self._intake.record(event) or order
        look.has_moved(after)
        return after

    # fills

    async def _ask_for_fills(self, look: Look, words: Mapping[str, Word]) -> None:
        """Where the broker has filled more than we know of, its whole history is asked for: it may be of long ago.

        While the venue is up, when a second look finds the same; the first may only have been faster than the report.
        """
        lacking = False
        for order in self._at_broker(look.venue):
            word = words.get(order.order_id)
            if isinstance(word, OrderReport) and reconcile.unfilled(order, word):
                figures = (order.seq, word.filled_quantity)
                lacking |= look.connecting or look.is_confirmed(("fills", order.order_id), figures)
        if lacking:
            await self._missed.ask(look, None)

    async def _recheck_filled(self, look: Look, words: Mapping[str, Word]) -> None:
        """A difference in what is filled of an order that is closed here stays until the broker's figure is ours."""
        broker = self._brokers[look.venue]
        for each in self._differences.open(look.venue):
            if each.what != What.FILLED_QUANTITY or each.key in words or each.key in self._state.working:
                continue
            order = await self._history.by_our_id(each.key) if Can.LOOKUP in broker.can else None
            word = await look.answer(self._lookup(broker, order)) if order is not None else None
            if order is not None and reconcile.unfilled(order, word):
                await self._missed.ask(look, order.created - OVERLAP)
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
        self, look: Look, strangers: Sequence[OrderReport], fills: Sequence[Execution]
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

    async def _still_open(self, look: Look, order: Order) -> bool:
        word = await look.answer(self._lookup(self._brokers[look.venue], order))
        return isinstance(word, OrderReport) and word.status not in CLOSED

    async def _ours_closed(self, venue: str, report: OrderReport) -> Order | None:
        """The order that a report must be of although it does not work here: by our id, or by the broker's."""
        order = await self._history.by_our_id(report.order_id) if report.order_id else None
        if order is None:
            order = self._state.sure_broker(venue, report.broker_order_id)
            if order is None:
                found = await self._journal.find("broker", broker_key(venue, report.broker_order_id))
                order = await self._history.by_our_id(found) if found else None
            echoes = Can.CLIENT_ORDER_ID in self._brokers[venue].can
            if order is not None and not reconcile.may_be(order, report, echoes):
                return None
        return order if order is not None and order.venue == venue else None

    def _adopt(self, look: Look, report: OrderReport, fills: Sequence[Execution]) -> None:
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
        name = broker_key(venue, report.broker_order_id)
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

    def _follow(self, look: Look, order: Order, verdict: Verdict) -> None:
        """Do what a verdict says: at once, or when a second look has found the same."""
        shown = [each for each in verdict.shown if not (order.order_id in look.filled and _is_older(each))]
        if not verdict.events and not shown:
            return
        keys = {each.what: (look.venue, order.account, each.what, order.order_id) for each in shown}
        known = not verdict.events and all(
            self._differences.is_open(keys[each.what], each.ours, each.theirs) for each in shown
        )
        print_of = (reconcile.moved(order)[0], tuple(type(event) for event in verdict.events), tuple(shown))
        if not (look.connecting or verdict.sure or known or look.is_confirmed(order.order_id, print_of)):
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

    def _settle(self, look: Look) -> None:
        """What this look could judge and did not find is gone."""
        for each in self._differences.open(look.venue):
            over_order = each.what in (What.FILLED_QUANTITY, What.ORDER_STATUS)
            judged = over_order and each.key in look.judged
            closed = each.what == What.ORDER_STATUS and each.key not in self._state.working
            judged = judged or closed or each.what in (What.POSITION, What.UNKNOWN_ORDER)
            if judged and each.name not in look.found and each.name not in look.skipped:
                self._differences.gone(each.name, "It is no longer so.")

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
        stands = self._standing(venue)
        await self._ledger.settled()
        seqs = {order.order_id: reconcile.moved(order)[0]}
        look = Look(venue, False, self._state.seq, seqs, stands, self._reactor)
        word = await look.answer(self._lookup(broker, order))
        order = self._settle_replace(look, order, word)
        if reconcile.unfilled(order, word):
            await self._missed.ask(look, order.created - OVERLAP)
        now = self._state.working.get(order.order_id)
        if now is not None and look.may_judge(now) and self._believes(now, word, connecting=False):
            verdict = reconcile.judge(now, word, self._clock())
            self._follow(look, now, Verdict(verdict.events, verdict.shown, sure=True))
        return word


def _is_older(shown: Shown) -> bool:
    """Whether a difference comes only of a list that is older than the fills: it shows fewer."""
    return shown.what is What.FILLED_QUANTITY and Decimal(shown.theirs) < Decimal(shown.ours)
