"""The one writer. `record` applies an event and queues it for the journal in the same turn; whatever follows from it
(a send to the broker, the news to listeners, the reply to a caller) runs only when the journal says that it is on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.journal import Journal, Key
from txgateway.keys import broker_key, client_key, execution_key, signal_key
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import (
    ENTRIES,
    CancelRequested,
    Event,
    OrderAmended,
    OrderDoubted,
    OrderRejected,
    OrderSubmitted,
    Record,
    ReplaceRejected,
    ReplaceRequested,
    SignalReceived,
    SignalRefused,
    TicketApproved,
)
from txgateway.model.order import Order
from txgateway.state import Change, State

log = Logger()

ANSWER_SECONDS = 5.0
"""How long a reply waits for the broker's first answer."""
QUIET_STEP = 0.01
"""How often a stop looks whether all is done."""
QUESTIONS = (OrderSubmitted, OrderAmended, CancelRequested, ReplaceRequested, TicketApproved)
"""Our own steps, that the broker has not answered: a reply waits for what comes after them."""
Then = Callable[[Order], None]


@dataclass(slots=True)
class _Waiting:
    """A change that is not on disk yet, and what follows from it."""

    change: Change
    then: Then | None


class Ledger:
    """The state, its journal, and everyone who waits for what is written."""

    def __init__(self, state: State, journal: Journal, reactor: Any, clock: Callable[[], datetime]) -> None:
        self.state = state
        self.listeners: list[Callable[[Change], None]] = []
        """Told every change, in order, once it is on disk."""
        self.error: BaseException | None = None
        """Why the journal cannot be written now, if it cannot."""
        self._journal = journal
        self._reactor = reactor
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._settling: deque[tuple[int, Deferred[None]]] = deque()
        self._answers: dict[str, list[tuple[int, Deferred[Order]]]] = {}

    def start(self) -> None:
        """Begin writing."""
        self._journal.start(self._reactor, self._synced, self._failed)

    async def stop(self) -> None:
        """Write what waits and close the journal."""
        await self._journal.stop()

    @property
    def idle(self) -> bool:
        """True when all that the state holds is on disk."""
        return not self._waiting

    # writing

    def record(self, event: Event, then: Then | None = None) -> Change:
        """Apply an event and queue it for the journal; `then(order)` runs once it is on disk.

        While the journal fails, cancels alone go out unwritten (they only ever make things safer), and who waits for an
        answer is told what is true, written or not.
        """
        record = Record(self.state.seq + 1, self._clock(), event)
        change = self.state.apply(record)
        self._journal.append(record, keys_of(change))
        waiting = _Waiting(change, then)
        self._waiting.append(waiting)
        if self.error is not None:
            self._go_on_unwritten(waiting)
        return change

    def settled(self) -> Deferred[None]:
        """Fires when all that the state holds now is on disk: before that, nothing of it may be told."""
        done: Deferred[None] = Deferred()
        if not self._waiting or self.error is not None:
            done.callback(None)
        else:
            self._settling.append((self._waiting[-1].change.record.seq, done))
        return done

    async def written(self, change: Change) -> Order:
        """The order after a change that waits for nobody, once it is on disk."""
        await self.settled()
        assert change.order is not None
        return change.order

    def _synced(self, seq: int) -> None:
        """All up to `seq` is on disk: tell it, do what follows from it, answer who waits."""
        if self.error is not None:
            log.warn("The journal can be written again.")
            self.error = None
        answered: dict[str, Order] = {}
        while self._waiting and self._waiting[0].change.record.seq <= seq:
            done = self._waiting.popleft()
            self._tell(done.change)
            order = done.change.order
            if order is not None:
                if done.then is not None:
                    self._do(done.then, order)
                if not isinstance(done.change.record.event, QUESTIONS):
                    answered[order.order_id] = order
        for order in answered.values():
            self._fire(order)
        while self._settling and self._settling[0][0] <= seq:
            self._settling.popleft()[1].callback(None)

    def _do(self, then: Then, order: Order) -> None:
        """Do what follows from a record; where that fails, what follows from the others is done all the same."""
        try:
            then(order)
        except Exception:
            log.failure("What was to follow from order {order_id} failed.", order_id=order.order_id)

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            try:
                listener(change)
            except Exception:
                log.failure("A listener failed on record {seq}.", seq=change.record.seq)

    def _failed(self, error: BaseException) -> None:
        """Nothing can be written: what was not sent never will be; cancels go out; nobody waits any longer."""
        if self.error is None:
            log.critical("The journal cannot be written ({error}): no new orders, cancels go on.", error=str(error))
        self.error = error
        for waiting in list(self._waiting):
            if waiting.then is not None and not isinstance(waiting.change.record.event, CancelRequested):
                self._call_off(waiting)
            else:
                self._go_on_unwritten(waiting)
        while self._settling:
            self._settling.popleft()[1].callback(None)

    def _go_on_unwritten(self, waiting: _Waiting) -> None:
        event, order = waiting.change.record.event, waiting.change.order
        if order is None:
            return
        if isinstance(event, CancelRequested) and waiting.then is not None:
            then, waiting.then = waiting.then, None
            then(order)
        elif not isinstance(event, QUESTIONS):
            self._fire(order)

    def _call_off(self, waiting: _Waiting) -> None:
        """Take back what was to be sent once it is written."""
        event, order, waiting.then = waiting.change.record.event, waiting.change.order, None
        if order is None:
            return
        text = f"The journal cannot be written ({self.error}), so this was never sent: free the disk, then try again."
        now = self._clock()
        if isinstance(event, ReplaceRequested):
            self.record(ReplaceRejected(order.order_id, Reason.JOURNAL_FAILED, text, now))
        elif order.acknowledged:  # a ticket that the broker holds, and goes on holding
            self.record(OrderDoubted(order.order_id, Reason.JOURNAL_FAILED, text, now))
        else:
            self.record(OrderRejected(order.order_id, Reason.JOURNAL_FAILED, text, now))

    async def quiet(self, seconds: float) -> None:
        """Wait until all is on disk and nobody waits for an answer any more, or for that many seconds."""
        enough: Deferred[None] = Deferred()
        timer = self._reactor.callLater(seconds, enough.callback, None)
        while not enough.called and self.error is None and (self._waiting or self._answers):
            turn: Deferred[None] = Deferred()
            self._reactor.callLater(QUIET_STEP, turn.callback, None)
            await turn
        if timer.active():
            timer.cancel()

    # answers

    def expect(self, order_id: str) -> Deferred[Order]:
        """Fires with the order after the next thing that happens to it, and not by what was recorded before."""
        answer: Deferred[Order] = Deferred()
        self._answers.setdefault(order_id, []).append((self.state.seq, answer))
        return answer

    async def answer(self, order: Order, expected: Deferred[Order]) -> Order:
        """The order after the broker's first answer, or as it stands when none came in time."""
        timer = self._reactor.callLater(ANSWER_SECONDS, self._too_late, order, expected)
        answered = await expected
        if timer.active():
            timer.cancel()
        return answered

    def _too_late(self, order: Order, expected: Deferred[Order]) -> None:
        if not expected.called:
            expected.callback(self.state.order(order.order_id) or order)

    def _fire(self, order: Order) -> None:
        waiting = self._answers.pop(order.order_id, [])
        later = [each for each in waiting if each[0] >= order.seq]
        if later:
            self._answers[order.order_id] = later
        for since, answer in waiting:
            if since < order.seq and not answer.called:
                answer.callback(order)

    def refusal(self) -> Refused:
        """What an order is answered while the journal cannot be written."""
        return Refused(
            Reason.JOURNAL_FAILED,
            f"The journal cannot be written ({self.error}), so no order is taken: free the disk, then try again.",
        )


def keys_of(change: Change) -> Sequence[Key]:
    """The keys by which a record's order can be found for ever."""
    event, order, fill = change.record.event, change.order, change.execution
    keys: list[Key] = []
    if isinstance(event, ENTRIES):
        terms = event.terms
        keys.append(Key("client", client_key(terms.account, terms.client_order_id), terms.order_id))
    if isinstance(event, SignalReceived | SignalRefused) and event.key and (event.mark or event.forget is None):
        keys.append(Key("signal", signal_key(event.source, event.key), event.signal_id))
    if order is not None and change.renamed:
        keys.append(Key("broker", broker_key(order.venue, order.broker_order_id), order.order_id))
    if fill is not None:
        keys.append(Key("execution", execution_key(fill.account, fill.execution_id), fill.order_id))
    return keys
