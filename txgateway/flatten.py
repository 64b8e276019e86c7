"""Flatten: cancel a scope's working orders, wait for their ends, close its positions, believe only the broker.

What is under way stands in the journal, so a restart goes on with it. Each venue is gone over by itself: one that is
slow, or does not answer, delays no other. Nothing is closed twice: one pass of a venue is made at a time; a position is
closed only when no order of the scope, and no closing order, works on it any more and when the broker's position is
what our executions add up to (or has differed from it long enough to be no delay); and a closing order's key is made of
the flatten's number and a count, which the journal gives back after a crash. A ticket that the broker has lost before
its release stays in doubt and holds nothing up: none of it can be filled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.logger import Logger

from txgateway.brokers import Broker, Can
from txgateway.cancels import Cancels
from txgateway.differences import Differences
from txgateway.history import History
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.difference import NO_SUCH_ORDER, What
from txgateway.model.errors import GatewayError, Reason
from txgateway.model.events import (
    FlattenEnded,
    FlattenRequested,
    PositionReported,
    Severity,
    TradingHalted,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.halts import FLATTENER, Flatten, FlattenLine, FlattenReport, HaltLevel
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import AT_BROKER, CLOSED, Order, OrderRequest, OrderStatus, Origin, Side, TimeInForce
from txgateway.model.scope import Scope, ScopeKind, Subject
from txgateway.state import Change

log = Logger()

ZERO = Decimal(0)
WAIT_SECONDS = 5.0
"""How long the answer to a flatten waits for its end."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between two passes: the longer the less happens."""
SETTLE_SECONDS = 10.0
"""How long the broker's position and ours may differ before the broker's is taken."""
RETRY = (timedelta(seconds=5), timedelta(seconds=60))
"""After a refused closing order, how long until the next: the first time, and at most."""

CANCELS = 200
"""Orders that one pass asks to end: ten thousand at once would hold up all else."""
REMEMBERED = 100
"""Flattens that ended and whose callers may still want their reports."""

Pair = tuple[str, str, str]
"""(venue, account, symbol)"""
Submit = Callable[[OrderRequest, str], Awaitable[Order]]
Market = Callable[[str, str], Awaitable[tuple[Instrument | None, Quote | None]]]


@dataclass(slots=True)
class _Part:
    """What one venue's last pass came to, and when the next one is due; `costs`: what the venue says was paid.

    `flat`: nothing was left to do there, and nothing was filled there since (`moved`).
    """

    venue: str
    lines: dict[Pair, FlattenLine] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    costs: dict[Pair, Decimal] = field(default_factory=dict)
    flat: bool = False
    moved: bool = False
    pause: float = SHORTEST_PAUSE
    timer: Any = None
    wake: Deferred[None] | None = None


@dataclass(slots=True)
class _Run:
    """What is remembered of one flatten between two passes; all of it can be found out again."""

    flatten: Flatten
    parts: dict[str, _Part] = field(default_factory=dict)
    differs: dict[Pair, tuple[Decimal, Decimal, float]] = field(default_factory=dict)
    count: dict[Pair, int] = field(default_factory=dict)
    waiting: list[Deferred[None]] = field(default_factory=list)
    ended: FlattenEnded | None = None


class Flattens:
    """Every flatten that is under way."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        history: History,
        brokers: Mapping[str, Broker],
        market: Market,
        reactor: Any,
        clock: Callable[[], datetime],
        submit: Submit,
        cancels: Cancels,
        differences: Differences,
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._intake = intake
        self._history = history
        self._brokers = brokers
        self._market = market
        self._reactor = reactor
        self._clock = clock
        self._submit = submit
        self._cancels = cancels
        self._differences = differences
        self._runs: dict[int, _Run] = {}
        self._listed: dict[Pair, Decimal] = {}
        """What the broker listed when a position's last closing order was sent, until it lists what cannot be old."""
        self._one_at_a_time: dict[str, DeferredLock] = {}
        self._stopped = False

    # life

    def start(self) -> None:
        """Go on with what a restart has interrupted."""
        for flatten in self._state.flattens.values():
            self._start(flatten)

    def stop(self) -> None:
        """Do no more; what is not done is taken up again at the next start."""
        self._stopped = True
        for part in (part for run in self._runs.values() for part in run.parts.values()):
            if part.timer is not None and part.timer.active():
                part.timer.cancel()

    def begin(self, scope: Scope, text: str, by: str) -> int:
        """Halt a scope and flatten it; gives the flatten's number. One that is under way is gone on with."""
        for flatten in self._state.flattens.values():
            if flatten.scope == scope:
                self._wake(self._runs[flatten.number])
                return flatten.number
        now = self._clock()
        self._ledger.record(TradingHalted(text, by, now, scope, HaltLevel.HALTED))
        number = self._state.seq + 1
        self._ledger.record(FlattenRequested(number, scope, text, by, now))
        self._start(self._state.flattens[number])
        return number

    def call_off(self, scope: Scope, by: str) -> None:
        """Whoever resumes a scope does not want it flattened any more; closing orders that work go on."""
        for flatten in list(self._state.flattens.values()):
            if flatten.scope == scope:
                self._end(self._runs[flatten.number], False, f"Called off: {by} resumed {scope}.")

    async def report(self, number: int, seconds: float = WAIT_SECONDS) -> FlattenReport:
        """How far a flatten has come, at its end or after so many seconds."""
        run = self._runs[number]
        if run.ended is None:
            waiting: Deferred[None] = Deferred()
            run.waiting.append(waiting)
            timer = self._reactor.callLater(seconds, _fire, waiting)
            await waiting
            if timer.active():
                timer.cancel()
        return self._report(run)

    def reports(self) -> list[FlattenReport]:
        """How far each has come that has not ended."""
        return [self._report(run) for run in self._runs.values() if run.ended is None]

    def _report(self, run: _Run) -> FlattenReport:
        found = {pair: line for part in run.parts.values() for pair, line in part.lines.items()}
        ended = run.ended
        troubles = [each for part in run.parts.values() for each in part.troubles]
        if ended is None:
            untold = self._untold(run)
            found = untold | found
            troubles += [f"{line.account} {line.symbol}: {line.text}" for line in untold.values()]
        lines = tuple(found[pair] for pair in sorted(found))
        text = ended.text if ended else " ".join(troubles) or "Under way."
        return FlattenReport(
            run.flatten.number, run.flatten.scope, bool(ended and ended.flat), ended is not None, text, lines
        )

    def _untold(self, run: _Run) -> dict[Pair, FlattenLine]:
        """What our executions say is held where the first pass has not come to an end."""
        seen = {pair for part in run.parts.values() for pair in part.lines}
        found = {}
        for pair in self._ours(run.flatten.scope):
            quantity = self._held(pair)
            if quantity and pair not in seen:
                text = f"{quantity:f} by our executions: venue {pair[0]} has not told yet what it holds."
                found[pair] = FlattenLine(*pair[1:], quantity, False, text)
        return found

    # passes

    def _start(self, flatten: Flatten) -> None:
        for number in [each for each, run in self._runs.items() if run.ended][:-REMEMBERED]:
            del self._runs[number]
        run = self._runs[flatten.number] = _Run(flatten)
        run.parts = {venue: _Part(venue) for venue in self._venues(flatten.scope)}
        for part in run.parts.values():
            self._intake.go(self._run(run, part), f"flatten {flatten.number} at {part.venue}")

    def _venues(self, scope: Scope) -> list[str]:
        """Where something may have to be done; at venues configured no more, too, if we hold something there."""
        held = {each.venue for account in self._state.positions.values() for each in account.values() if each.quantity}
        held |= {each.venue for each in self._state.working.values()}
        if scope.kind is ScopeKind.VENUE:
            return [scope.name]
        return [*self._brokers, *sorted(held - {*self._brokers})]

    async def _run(self, run: _Run, part: _Part) -> None:
        lock = self._one_at_a_time.setdefault(part.venue, DeferredLock())
        while self._goes_on(run):
            await self._ledger.settled()
            before = (dict(part.lines), list(part.troubles))
            await lock.acquire()
            try:
                if self._goes_on(run):
                    await self._pass(run, part)
            except Exception:
                log.failure("A pass of flatten {number} failed; the next one comes.", number=run.flatten.number)
                part.troubles = ["The gateway made an error over this (its log says which) and tries again."]
            finally:
                lock.release()
            if self._goes_on(run):
                same = before == (part.lines, part.troubles)
                part.pause = min(part.pause * 2, LONGEST_PAUSE) if same else SHORTEST_PAUSE
                await self._sleep(part)

    def _goes_on(self, run: _Run) -> bool:
        return run.ended is None and not self._stopped

    async def _sleep(self, part: _Part) -> None:
        part.wake = Deferred()
        part.timer = self._reactor.callLater(part.pause, _fire, part.wake)
        await part.wake

    def heard(self, change: Change) -> None:
        """Something happened that a pass may have waited for, or that one did not know of."""
        event, order = change.record.event, change.order
        fill = change.execution
        is_up = isinstance(event, VenueStatusChanged) and event.status is VenueStatus.UP
        for run in self._runs.values():
            if fill is not None and fill.venue in run.parts:
                run.parts[fill.venue].flat, run.parts[fill.venue].moved = False, True
            if is_up or (order and (order.origin is Origin.FLATTEN or self._cancels.asked(order.order_id))):
                self._wake(run)

    def _wake(self, run: _Run) -> None:
        soon = self._reactor.seconds() + SHORTEST_PAUSE
        for part in run.parts.values():
            part.pause = SHORTEST_PAUSE
            if part.timer is not None and part.timer.active() and part.timer.getTime() > soon:
                part.timer.reset(SHORTEST_PAUSE)

    def _end(self, run: _Run, flat: bool, text: str) -> None:
        ended = FlattenEnded(run.flatten.number, flat, text, self._clock())
        run.ended = ended
        self._ledger.record(ended)
        self._wake(run)
        waiting, run.waiting = run.waiting, []
        for each in waiting:
            _fire(each)

    async def _pass(self, run: _Run, part: _Part) -> None:
        """Cancel what works at a venue, close what is held and free to be closed, and see whether all of it is flat."""
        part.flat, part.moved, part.troubles, part.lost = False, False, [], []
        working, closing = self._cancel_all(run, part)
        theirs = await self._theirs(run, part)
        about = [pair for pair in theirs or () if self._is_about(run.flatten.scope, pair)]
        ours = [pair for pair in self._ours(run.flatten.scope) if pair[0] == part.venue]
        closings: list[Deferred[object]] = []
        for pair in sorted({*part.lines, *about, *working, *ours}):
            if theirs is None:
                text = f"Venue {part.venue} does not tell what is held."
                part.lines[pair] = FlattenLine(*pair[1:], self._held(pair), False, text)
                continue
            await self._remember(run, pair, theirs.get(pair, ZERO))
            line, quantity = self._judge(run, pair, theirs, working.get(pair) or closing.get(pair))
            part.lines[pair] = line
            if quantity:
                closings.append(Deferred.fromCoroutine(self._close(run, part, pair, quantity)))
        closes = any(await gatherResults(closings, consumeErrors=True))
        left = [line for line in part.lines.values() if not line.flat]
        if left:
            part.troubles.append(" ".join(f"{line.account} {line.symbol}: {line.text}" for line in left))
        part.flat = not (part.troubles or closes or part.moved)
        parts = run.parts.values()
        if run.ended is None and all(each.flat for each in parts):
            lost = [each for found in parts for each in found.lost]
            self._end(run, True, f"{run.flatten.scope} is flat: the broker holds nothing for it.{_said_lost(lost)}")

    def _cancel_all(self, run: _Run, part: _Part) -> tuple[dict[Pair, Order], dict[Pair, Order]]:
        """Ask for the end of every order of the scope at a venue's broker.

        Gives by pair one of those that still work, and the closing order (of whichever flatten) that does.
        """
        found: dict[Pair, Order] = {}
        closing: dict[Pair, Order] = {}
        asked = 0
        for order in list(self._state.working_at(part.venue)):
            pair = (order.venue, order.account, order.symbol)
            if order.origin is Origin.FLATTEN:
                closing[pair] = order
            elif order.status in AT_BROKER and run.flatten.scope.covers(Subject.of(order)):
                if self._is_lost(order):
                    part.lost.append(order.order_id)
                else:
                    found[pair] = order
                if asked < CANCELS:
                    text = f"Flatten of {run.flatten.scope}: {run.flatten.text}"
                    asked += self._cancels.ask(order, run.flatten.by, Reason.FLATTENED, text)
        return found, closing

    def _is_lost(self, order: Order) -> bool:
        """Whether an order in doubt is a ticket that was never released, and that the broker says it has not got."""
        if order.status is not OrderStatus.UNKNOWN or order.released:
            return False
        missing = self._state.differences.get((order.venue, order.account, What.MISSING_ORDER, order.order_id))
        return missing is not None and missing.theirs == NO_SUCH_ORDER

    async def _theirs(self, run: _Run, part: _Part) -> dict[Pair, Decimal] | None:
        """The positions that a venue tells; None where it does not, which is a trouble unless they are none of ours.

        Others' too: once an owner's part is closed, what is left of the position is what we are to find there.
        """
        scope, venue = run.flatten.scope, part.venue
        broker = self._brokers.get(venue)
        if broker is None or not broker.can:  # it is configured no more
            return None
        accounts = broker.accounts() if scope.kind is ScopeKind.ACCOUNT else ()
        if accounts and scope.name not in accounts:
            return None
        if self._intake.status[venue] is not VenueStatus.UP:
            part.troubles.append(f"Venue {venue} is {self._intake.status[venue]}: it is gone on with when it is UP.")
            return None
        try:
            held = await broker.positions()
        except GatewayError as error:
            part.troubles.append(f"Venue {venue} does not tell its positions: {error}")
            return None
        part.costs = {(venue, each.account, each.symbol): each.average_price for each in held}
        return {(venue, each.account, each.symbol): each.quantity for each in held if each.quantity}

    def _is_about(self, scope: Scope, pair: Pair) -> bool:
        """Whether a scope takes in a whole position; of an owner's, only what is the owner's."""
        _, account, symbol = pair
        if scope.kind is ScopeKind.ACCOUNT:
            return account == scope.name
        if scope.kind is ScopeKind.SYMBOL:
            return symbol == scope.name
        return scope.kind in (ScopeKind.GATEWAY, ScopeKind.VENUE) or bool(self._owned(scope, account, symbol))

    def _ours(self, scope: Scope) -> Iterator[Pair]:
        """The positions that the scope is about, as our executions add them up."""
        for account, held in self._state.positions.items():
            for symbol, position in held.items():
                pair = (position.venue, account, symbol)
                in_venue = scope.kind is not ScopeKind.VENUE or position.venue == scope.name
                if in_venue and self._is_about(scope, pair):
                    yield pair

    def _owned(self, scope: Scope, account: str, symbol: str) -> Decimal:
        """What an owner's own executions add up to."""
        by_owner = self._state.books.bought.get((account, symbol), {})
        ways = _WAYS.get(scope.kind)
        return sum(
            (each for (owner, way), each in by_owner.items() if owner == scope.name and (ways is None or way in ways)),
            ZERO,
        )

    # one position

    def _judge(
        self, run: _Run, pair: Pair, theirs: Mapping[Pair, Decimal], order: Order | None
    ) -> tuple[FlattenLine, Decimal]:
        """What stands of a position, and how much is to be closed now (signed; zero: nothing, or not yet)."""
        venue, account, symbol = pair
        scope = run.flatten.scope
        held = theirs.get(pair, ZERO)

        def line(flat: bool, text: str) -> FlattenLine:
            return FlattenLine(account, symbol, held, flat, text)

        if self._intake.status[venue] is not VenueStatus.UP:
            return line(False, f"Venue {venue} is {self._intake.status[venue]}."), ZERO
        if order is not None:
            return line(False, _why_waits(order)), ZERO
        ours = self._held(pair)
        if held != ours and self._may_be_old(pair, held, ours):
            when = "before" if self._listed[pair] == held else "during"
            text = f"The broker lists {held:f}, as {when} its closing order; our executions add up to {ours:f}."
            return line(False, f"{text} Nothing is closed twice: if the list is right, resolve the difference."), ZERO
        if not self._is_settled(run, pair, held, ours):
            return line(False, f"The broker holds {held:f}, our executions add up to {ours:f}: seen again soon."), ZERO
        to_close = held
        if scope.kind in _OWNERS:
            owned = self._owned(scope, account, symbol)
            to_close = _within(owned, held)
            if owned and not to_close:
                return line(
                    True, f"{scope} traded {owned:f}, the account holds {held:f}: there is nothing to close."
                ), ZERO
        if not to_close:
            return FlattenLine(account, symbol, ZERO, True, "Flat."), ZERO
        return line(False, f"{to_close:f} to close."), to_close

    def _held(self, pair: Pair) -> Decimal:
        """A position as our executions add it up."""
        position = self._state.positions.get(pair[1], {}).get(pair[2])
        return position.quantity if position is not None else ZERO

    async def _remember(self, run: _Run, pair: Pair, theirs: Decimal) -> None:
        """Keep what the broker listed before the last closing order; after a restart, that order's size tells it."""
        ours = self._held(pair)
        if theirs == ours:
            self._listed.pop(pair, None)
        elif pair not in self._listed:
            last, _ = await self._last(run, pair)
            if last is not None and last.filled_quantity:
                self._listed[pair] = ours - last.side.sign * last.filled_quantity
        elif not self._may_be_old(pair, theirs, ours):
            del self._listed[pair]

    def _may_be_old(self, pair: Pair, theirs: Decimal, ours: Decimal) -> bool:
        """Whether a list may be as it was before the last closing order, or between two of its fills."""
        before = self._listed.get(pair)
        return before is not None and min(before, ours) <= theirs <= max(before, ours)

    def _is_settled(self, run: _Run, pair: Pair, theirs: Decimal, ours: Decimal) -> bool:
        """Whether the broker's word can be acted upon: one that comes late would have a position closed twice."""
        if theirs == ours:
            run.differs.pop(pair, None)
            return True
        now = self._reactor.seconds()
        was = run.differs.get(pair)
        if was is None or was[:2] != (theirs, ours):
            run.differs[pair] = (theirs, ours, now)
            return False
        if now - was[2] < SETTLE_SECONDS:
            return False
        self._believe(pair, theirs, ours, run.parts[pair[0]].costs.get(pair, ZERO))
        return True

    def _believe(self, pair: Pair, theirs: Decimal, ours: Decimal, cost: Decimal) -> None:
        """Take the broker's position for the true one, with the difference shown."""
        venue, account, symbol = pair
        key = (venue, account, What.POSITION, symbol)
        self._differences.found(key, f"{ours:f}", f"{theirs:f}", Severity.CRITICAL)
        before = self._state.positions.get(account, {}).get(symbol)
        price = cost or (before.average_price if before is not None else ZERO)
        self._ledger.record(PositionReported(venue, account, symbol, theirs, price, self._clock()))
        self._differences.gone(key, "A flatten has taken the broker's position over, to close it.")

    async def _close(self, run: _Run, part: _Part, pair: Pair, quantity: Decimal) -> bool:
        """Send the next closing order, unless the last one was refused just now; False where none can be sent."""
        venue, account, symbol = pair
        flatten = run.flatten
        held = part.lines[pair].quantity
        last, count = await self._last(run, pair)
        try:
            wait = self._refused_just_now(last, count)
            if wait:
                part.lines[pair] = FlattenLine(account, symbol, held, False, wait)
                return True
            size = await self._size(venue, symbol, abs(quantity))
            if not size:
                text = f"{quantity:f} are less than a lot: nothing of it can be closed."
                part.lines[pair] = FlattenLine(account, symbol, held, True, text)
                return False
            side = Side.SELL if quantity > 0 else Side.BUY
            key = flatten.key(symbol, count + 1)
            owner = flatten.scope.name if flatten.scope.kind in _OWNERS else FLATTENER
            request = OrderRequest(
                account=account,
                symbol=symbol,
                side=side,
                quantity=size,
                time_in_force=self._time_in_force(venue),
                client_order_id=key,
            )
            self._listed[pair] = held
            order = await self._submit(request, owner)
            text = _why_waits(order) if order.status not in CLOSED else _said(order)
        except GatewayError as error:
            text = str(error)
        part.lines[pair] = FlattenLine(account, symbol, held, False, text)
        return True

    def _time_in_force(self, venue: str) -> TimeInForce:
        known = (each for each in TimeInForce if Can.time_in_force(each) in self._brokers[venue].can)
        return next(known, TimeInForce.DAY)

    async def _last(self, run: _Run, pair: Pair) -> tuple[Order | None, int]:
        """The flatten's last closing order of a position, and how many there have been."""
        _, account, symbol = pair
        count = run.count.get(pair, 0)
        last = None
        if count:
            last = await self._history.find_client(account, run.flatten.key(symbol, count))
        while found := await self._history.find_client(account, run.flatten.key(symbol, count + 1)):
            last, count = found, count + 1
        run.count[pair] = count
        return last, count

    def _refused_just_now(self, last: Order | None, count: int) -> str:
        if last is None or last.status not in _REFUSED or last.filled_quantity or last.reason is Reason.NEVER_ARRIVED:
            return ""
        first, longest = RETRY
        wait = min(longest, first * 2 ** min(count - 1, 10))
        since = self._clock() - last.updated  # below zero when the clock was put back
        return f"{_said(last)} It is tried again." if timedelta(0) <= since < wait else ""

    async def _size(self, venue: str, symbol: str, quantity: Decimal) -> Decimal:
        """How much one order may close: whole lots, and no more than the venue takes at once; zero: it takes none."""
        instrument, _ = await self._market(venue, symbol)
        if instrument is None:
            return quantity
        if instrument.max_quantity:
            quantity = min(quantity, instrument.max_quantity)
        quantity = instrument.tradable(quantity)
        return quantity - quantity % instrument.lot_size if quantity >= instrument.lot_size > 0 else quantity


_OWNERS = frozenset({ScopeKind.OWNER, ScopeKind.SOURCE, ScopeKind.BOT})
_WAYS = {
    ScopeKind.SOURCE: frozenset({Origin.WEBHOOK, Origin.FLATTEN}),
    ScopeKind.BOT: frozenset({Origin.BOT, Origin.FLATTEN}),
}
_REFUSED = frozenset({OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED})


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)


def _within(owned: Decimal, held: Decimal) -> Decimal:
    """As much of what an owner traded as the account still holds."""
    return max(ZERO, min(owned, held)) if owned > 0 else min(ZERO, max(owned, held))


def _why_waits(order: Order) -> str:
    what = "closing order" if order.origin is Origin.FLATTEN else "order"
    doubt = f" ({order.text})" if order.status is OrderStatus.UNKNOWN and order.text else ""
    filled = f", {order.filled_quantity:f} of {order.quantity:f} filled" if order.filled_quantity else ""
    help = " If nothing will tell what became of it, resolve_order ends it." if order.reason is Reason.MISSING else ""
    return f"Waits for {what} {order.order_id}, which is {order.status}{filled}{doubt}.{help}"


def _said_lost(lost: list[str]) -> str:
    if not lost:
        return ""
    some = f"{', '.join(lost[:5])}{', …' if len(lost) > 5 else ''}"
    return f" Staged and never released, and unknown to the broker by now: {some}; resolve_order ends what is UNKNOWN."


def _said(order: Order) -> str:
    if order.status is OrderStatus.FILLED:
        return f"Closed by order {order.order_id}: the broker's positions are asked."
    return f"Closing order {order.order_id} is {order.status} ({order.reason}): {order.text or 'no reason given.'}"
