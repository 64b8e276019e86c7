"""What contracts were traded at last, by snapshots: of each TWS shows once what there is, and needs seconds for that.

A snapshot is a market data line while it lasts: so many at a time, over all that ask, and none that is not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_async import Contract
from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore

from txgateway.brokers.ib import codes
from txgateway.brokers.ib.client import PacedClient
from txgateway.brokers.ib.ticks import DELAYED, LAST, LAST_TIME, moment
from txgateway.brokers.ib.translate import decimal
from txgateway.model.errors import GatewayError, Reason, Refused, TimedOut
from txgateway.model.market import LastPrice, NoPrice

AT_ONCE = 20
"""A login has a hundred lines, which are for what is subscribed."""
MESSAGES = 28.0
"""A second, evenly: a hundred lookups, requests and cancels fit into a list's time. TWS takes fifty, and counts those
together that it reads late: a burst each second it may take for two at once."""
LIST_SECONDS = 13.0
"""So long a list may take. IB gives a snapshot eleven seconds, and a question here has fifteen."""
LAST_SECONDS = 2.0
"""Of a contract of which something is shown, the last price comes with it or is not there: so long it is waited for."""
TIME_SECONDS = 0.25
"""Behind a last price so long for its time."""
REMEMBERED = 1000

Answer = LastPrice | NoPrice | None


class _Snapshot:
    """One that is under way: `answer` fires when there is nothing to wait for any more."""

    def __init__(self, reactor: Any) -> None:
        self.answer: Deferred[None] = Deferred()
        self.last: Decimal | None = None
        self.time: datetime | None = None
        self.ended = False
        self._reactor = reactor
        self._timer: Any = None

    def price(self, kind: int, price: float) -> None:
        """A price; only the last one counts, and that only above zero."""
        value = decimal(price)
        if DELAYED.get(kind, kind) == LAST and value is not None and value > 0:
            self.last = value
            self._within(TIME_SECONDS)
        elif self._timer is None:
            self._within(LAST_SECONDS)

    def at(self, time: datetime) -> None:
        """When it was traded at the last price."""
        self.time = time

    def batch_over(self) -> None:
        """What came together has been heard."""
        if self.last is not None and self.time is not None:
            self.done()

    def done(self) -> None:
        """Wait no more."""
        if not self.answer.called:
            self.answer.callback(None)

    def failed(self, error: GatewayError) -> None:
        """There will be no price, for this reason; unless it is there."""
        self.ended = True
        if not self.answer.called:
            self.answer.callback(None) if self.last is not None else self.answer.errback(error)

    def close(self) -> None:
        """Hear no timer any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _within(self, seconds: float) -> None:
        self.close()
        self._timer = self._reactor.callLater(seconds, self.done)


class Snapshots:
    """Those of one link. `take` gives a request's number; `find` a symbol's contract, None where it is unknown.

    `known` tells whether a symbol is found without asking.
    """

    def __init__(
        self,
        client: PacedClient,
        venue: str,
        reactor: Any,
        take: Callable[[], int],
        find: Callable[[str], Awaitable[Contract | None]],
        known: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._venue = venue
        self._reactor = reactor
        self._take = take
        self._find = find
        self._known = known
        self._next = 0.0
        self._turns = DeferredSemaphore(AT_ONCE)
        self._running: dict[int, _Snapshot] = {}
        self._canceled: dict[int, None] = {}
        self._gone: GatewayError | None = None

    async def of(self, symbols: Sequence[str]) -> list[LastPrice | NoPrice]:
        """The last prices of symbols, or why there is none. None of an unknown one, and of one that shows no trade."""
        found: dict[str, Answer] = {}
        work = [self._turns.run(self._begin, each, found) for each in symbols]
        several = DeferredList(work, consumeErrors=True).addTimeout(LIST_SECONDS, self._reactor)
        try:
            results: Sequence[tuple[bool, Any]] = await several
            for success, failure in results:
                if not success and not failure.check(CancelledError):
                    failure.raiseException()
        finally:
            for each in work:
                each.cancel()
        return [answer for symbol in symbols if (answer := found.get(symbol, self._late(symbol))) is not None]

    def _late(self, symbol: str) -> NoPrice:
        text = f"TWS did not tell {symbol} within {LIST_SECONDS:g} s: ask again, for fewer at once."
        return NoPrice(symbol, self._gone or TimedOut(text))

    def _begin(self, symbol: str, found: dict[str, Answer]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._answer(symbol, found))

    async def _answer(self, symbol: str, found: dict[str, Answer]) -> None:
        try:
            if not self._known(symbol):
                await self._paced()
            contract = await self._find(symbol)
            found[symbol] = None if contract is None else await self._one(symbol, contract)
        except GatewayError as error:
            found[symbol] = NoPrice(symbol, self._gone or error)

    async def _one(self, symbol: str, contract: Contract) -> LastPrice | None:
        if contract.secType == "CASH":
            text = f"IB shows bids and asks of {symbol}, and no trades: subscribe it (add_symbol) for its quotes."
            raise Refused(Reason.NO_PRICE, text)
        await self._paced()
        if self._gone is not None:
            raise self._gone
        number, snapshot = self._take(), _Snapshot(self._reactor)
        self._running[number] = snapshot
        self._client.reqMktData(number, contract, "", True, False, [])
        try:
            await snapshot.answer
        finally:
            del self._running[number]
            snapshot.close()
            if not snapshot.ended and self._gone is None:
                self._cancel(number)
        return LastPrice(symbol, snapshot.last, snapshot.time) if snapshot.last is not None else None

    async def _paced(self) -> None:
        """Wait until one more message may be sent."""
        now = self._reactor.seconds()
        at = max(now, self._next)
        self._next = at + 1 / MESSAGES
        if at > now:
            turn: Deferred[None] = Deferred(lambda _: timer.cancel())
            timer = self._reactor.callLater(at - now, turn.callback, None)
            await turn

    def _cancel(self, number: int) -> None:
        """It may have ended by then: TWS says so, and nobody needs to hear it."""
        while len(self._canceled) >= REMEMBERED:
            del self._canceled[next(iter(self._canceled))]
        self._canceled[number] = None
        self._next = max(self._reactor.seconds(), self._next) + 1 / MESSAGES
        self._client.cancelMktData(number)

    # what TWS says

    def price(self, number: int, kind: int, price: float) -> None:
        """A price of a snapshot, if it is one's."""
        snapshot = self._running.get(number)
        if snapshot is not None:
            snapshot.price(kind, price)

    def text(self, number: int, kind: int, text: str) -> None:
        """A text of a snapshot, if it is one's."""
        snapshot = self._running.get(number)
        if snapshot is not None and DELAYED.get(kind, kind) == LAST_TIME and (time := moment(text)) is not None:
            snapshot.at(time)

    def batch_over(self) -> None:
        """What came together has been heard."""
        for each in list(self._running.values()):
            each.batch_over()

    def ended(self, number: int) -> None:
        """TWS has shown all that there is."""
        snapshot = self._running.get(number)
        if snapshot is not None:
            snapshot.ended = True
            snapshot.done()

    def error(self, number: int, code: int, text: str) -> bool:
        """An error: whether it was of a snapshot."""
        snapshot = self._running.get(number)
        if snapshot is None:
            return number in self._canceled
        if not codes.informs(code):
            words = f"TWS says {code}: {text}"
            never = code in codes.NEVER_PRICES
            snapshot.failed(Refused(Reason.NO_PRICE, words) if never else GatewayError(words))
        return True

    def close(self, text: str) -> None:
        """Nothing more comes: who waits is told so."""
        self._gone = gone = Refused(Reason.VENUE_DOWN, f"Venue {self._venue} is not connected: {text}.")
        for each in list(self._running.values()):
            each.failed(gone)

    def open(self) -> None:
        """It can be asked again."""
        self._gone = None


__all__ = ["AT_ONCE", "LIST_SECONDS", "Snapshots"]
