"""One link's life above the wire: what it asks at the start, the book that it fills, the clock that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from txgateway.brokers.rtx.book import Book, Changed, Entry, TakenBack, Unheard
from txgateway.brokers.rtx.market import CLOCK_FIELDS, CLOCK_SYMBOL, VenueClock, clock_time, login_failed
from txgateway.brokers.rtx.pool import Pool, Urgency
from txgateway.brokers.rtx.protocol import Row, advise, poke, request
from txgateway.brokers.rtx.quotes import QUOTES, Quotes
from txgateway.brokers.rtx.translate import OrderRow, account_of, order_row, where, written
from txgateway.model.errors import Ambiguous, GatewayError
from txgateway.model.events import OrderEvent, OrderReplaced
from txgateway.model.order import CLOSED

log = Logger()

ORDERS = "ACCOUNT_GATEWAY;ORDER"
TRADES_ONLY = where(TYPE="ExchangeTradeOrder")
OPEN_ONLY = "CURRENT_STATUS={'LIVE','PENDING'}"
START_SECONDS = 60.0
"""How long the questions of the start may take: the day's whole book is among them."""
FRESH_SECONDS = 1.0
"""So long a whole book that was asked for answers who asks next."""
PAUSE_EVERY = 200
"""Rows that are taken in without letting the reactor turn: some milliseconds."""
CLOCK_PATIENCE = 3
"""So many times the silence that ends a link the clock alone may stay unanswered, while other lines come."""


class Lost(GatewayError):
    """The link is of no use: it is made anew."""


class Session:
    """What one link knows. `ready` once the start's questions are answered."""

    def __init__(
        self,
        pool: Pool,
        venue: str,
        zone: Any,
        reactor: Any,
        clock: Callable[[], datetime],
        report: Callable[[Any], None],
        complain: Callable[[str], None],
        drop: Callable[[str], None],
        patience: float,
        silence: float,
        feed: VenueClock,
    ) -> None:
        self.pool = pool
        self.book = Book(venue)
        self.accounts: tuple[str, ...] = ()
        self.ready = False
        self.over = False
        self.sent: set[str] = set()
        """The CLIENT_ORDER_ID of everything that went out on this link."""
        self.wanted: set[str] = set()
        """The symbols that somebody wants to listen to."""
        self._venue = venue
        self._zone = zone
        self._reactor = reactor
        self._clock = clock
        self._report = report
        self._complain = complain
        self._drop = drop
        self._patience = patience
        self._silence = silence
        self._feed = feed
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._clock_asked: float | None = None
        self._unheard: dict[str, dict[str, OrderRow]] = {}
        """What happened to orders that are being asked about, by their ids and the rows' ids."""
        self._strangers: set[str] = set()
        """The orders that have fills, and no row of their own in the whole book."""
        self._whole: tuple[float, Deferred[None]] | None = None
        self._whole_rows: set[str] = set()
        self._beat: Any = None
        self.quotes = Quotes(pool, zone, reactor, self.now, report, complain)

    def now(self) -> datetime:
        """The venue's time."""
        return self._feed.now(self._clock())

    # life

    async def begin(self, only: Iterable[str]) -> None:
        """Ask what is there, and hear of what changes; Lost where that cannot be."""
        rows = await self.pool.ask(ORDERS, request("ACCOUNT", "*"))
        found = sorted({name for row in rows if (name := account_of(row))})
        self.accounts = tuple(each for each in found if not only or each in only)
        if not self.accounts:
            raise Lost(f"the login has {'none of the configured' if found else 'no'} accounts")
        for bit, condition in ((1, ""), (2, TRADES_ONLY)):
            await self.pool.advise(ORDERS, advise("ORDERS", "*", condition), self._hearer(bit), self._ended)
        await self.rows("ORDERS")  # the executions are among them
        self._ticked(await self._ask_clock())
        self.book.settle()
        self.ready = True
        self._beat = self._reactor.callLater(1.0, self._look)

    def close(self) -> None:
        """The link is gone."""
        self.over, self.ready = True, False
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self.quotes.close()
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            if not waiter.called:
                waiter.errback(Ambiguous(f"The link to venue {self._venue} broke under it."))

    def _ended(self, text: str) -> None:
        """What happened to orders since is not told: everything is asked for again, on a new link."""
        if not self.over:
            self._drop(f"the advise of orders is over: {text}")

    # orders

    def _hearer(self, bit: int) -> Callable[[Row], None]:
        def heard(row: Row) -> None:
            parsed = order_row(row, self._zone)
            if self.over or parsed is None:
                return
            if not self.ready:
                self.book.hear(parsed)
                return
            for event in self.book.news(parsed, self.now(), bit):
                if isinstance(event, Changed):
                    self._ask_terms(event.broker_id)
                elif isinstance(event, Unheard):
                    self._ask_what_it_is(event.row)
                elif isinstance(event, TakenBack):
                    fill, order = event.row.row_id, event.row.broker_id
                    self._complain(f"fill {fill} of order {order} is taken back: what was told of it stands here")
                else:
                    self._tell(event)
            self._wake()

        return heard

    def _tell(self, event: OrderEvent) -> None:
        execution = getattr(event, "execution", None)
        entry = self.book.find(event.order_id) or self.book.entries.get(event.order_id)
        account = execution.account if execution is not None else entry.main.account if entry and entry.main else ""
        if account in self.accounts or not account:
            self._report(event)

    async def rows(self, table: str, condition: str = "") -> list[OrderRow]:
        """Rows of ORDERS, taken in and not told: they are the answer to a question."""
        since = self.book.heard
        answered = await self.pool.ask(ORDERS, request(table, "*", condition))
        found: list[OrderRow] = []
        for count, row in enumerate(answered, 1):
            if count % PAUSE_EVERY == 0:
                await self._pause()
            parsed = order_row(row, self._zone)
            if parsed is not None:
                self.book.recall(parsed, since)
                found.append(parsed)
        return found

    async def _pause(self) -> None:
        """Let the reactor turn; Ambiguous when the link is gone then."""
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(0, turn.callback, None)
        await turn
        if self.over:
            raise Ambiguous(f"The link to venue {self._venue} broke under a question.")

    async def whole(self) -> set[str]:
        """The broker's ids of every order in the day's book; who asks within a second has the same answer."""
        now = self._reactor.seconds()
        if self._whole is not None and now - self._whole[0] <= FRESH_SECONDS:
            asked = self._whole[1]
        else:
            asked = Deferred()
            self._whole = (now, asked)

            async def ask() -> None:
                self._whole_rows = {row.broker_id for row in await self.rows("ORDERS") if row.is_main}

            def answered(result: Any) -> None:
                self._whole = self._whole if result is None else None
                asked.callback(result) if result is None else asked.errback(result)

            Deferred.fromCoroutine(ask()).addBoth(answered)
        shared: Deferred[None] = Deferred()
        asked.addCallbacks(
            lambda result: None if shared.called else shared.callback(None),
            lambda failure: None if shared.called else shared.errback(failure),
        )
        await shared
        return self._whole_rows

    def _ask_terms(self, broker_id: str) -> None:
        """Tell an order's terms after a change, by its own row: half of what was asked for may have been done."""

        async def ask() -> None:
            await self.rows("ORDERS", where(ORIGINAL_ORDER_ID=broker_id))
            entry = self.book.entries.get(broker_id)
            if entry is None or entry.main is None or entry.is_part or self.over:
                return
            terms = (entry.main.quantity, entry.limit_price, entry.stop_price)
            self._tell(OrderReplaced(entry.name, *terms, self.now(), entry.broker_id))

        self._go(ask(), broker_id)

    def _ask_what_it_is(self, row: OrderRow) -> None:
        """Tell what happened to an order of which nothing was heard, once it is known what it is."""
        broker_id = row.broker_id
        if broker_id in self._unheard:
            self._unheard[broker_id][row.row_id] = row
            return
        heard = self._unheard[broker_id] = {row.row_id: row}

        async def ask() -> None:
            try:
                rows = await self.rows("ORDERS", where(ORIGINAL_ORDER_ID=broker_id))
            finally:
                del self._unheard[broker_id]
            if not self.over:
                known = {each.row_id: each for each in rows} | heard
                for event in self.book.found(broker_id, known.values(), self.now()):
                    self._tell(event)
                self._wake()

        self._go(ask(), broker_id)

    def _go(self, asking: Coroutine[Any, Any, None], broker_id: str) -> None:
        """Ask about an order beside all else; what cannot be answered now is found when everything is asked for."""

        def failed(failure: Any) -> None:
            if not failure.check(GatewayError):
                log.failure("Order {order} could not be asked about.", failure, order=broker_id)

        Deferred.fromCoroutine(asking).addErrback(failed)

    async def trades(self) -> list[OrderRow]:
        """The rows of the day's fills, each of an order that is known: the fill of a ticket is told twice, and counts
        once. An order that the whole book does not have is asked for once."""
        rows = await self.rows("ORDERS", TRADES_ONLY)
        entries = self.book.entries
        strangers = {row.broker_id for row in rows if entries[row.broker_id].main is None} - self._strangers
        if strangers:
            await self.rows("ORDERS")
            self._strangers |= {each for each in strangers if entries[each].main is None}
        return rows

    async def poke(self, fields: list[tuple[str, str]], urgency: Urgency) -> None:
        """Write a row of ORDERS. Refused when it was not sent, Ambiguous when it is not known whether it arrived."""
        asked = self.pool.ask(ORDERS, poke("ORDERS", written(fields)), urgency)
        asked.addTimeout(self._patience, self._reactor)
        try:
            await asked
        except DeferredTimeout:
            text = f"Venue {self._venue} did not answer within {self._patience:g} s: it may have arrived or not."
            raise Ambiguous(text) from None

    async def until(self, condition: Callable[[], bool]) -> bool:
        """Whether something comes true of the book while a question may stay unanswered."""
        if condition():
            return True
        waiter: Deferred[None] = Deferred()
        waiting = (condition, waiter)
        self._waiting.append(waiting)
        waiter.addTimeout(self._patience, self._reactor)
        try:
            await waiter
        except DeferredTimeout:
            return False
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        return True

    def _wake(self) -> None:
        for waiting in list(self._waiting):
            if waiting[0]() and not waiting[1].called:
                waiting[1].callback(None)

    async def entry(self, names: Iterable[str], broker_id: str) -> Entry | None:
        """An order in the book; one that went out on this link is waited for. Ambiguous when it does not come."""
        names = list(names)

        def found() -> Entry | None:
            entries = (self.book.find(name, broker_id) for name in names)
            return next((each for each in entries if each is not None and each.main is not None), None)

        under_way = found() is None and any(name in self.sent for name in names)
        if under_way and not await self.until(lambda: found() is not None):
            raise Ambiguous(f"Venue {self._venue} has not said yet that it has the order: nothing was done.")
        return found()

    # the clock

    def _look(self) -> None:
        """Each second: the clock, and the symbols that are quiet."""
        self._beat = self._reactor.callLater(1.0, self._look)
        now = self._reactor.seconds()
        self.quotes.look()
        if self._clock_asked is None:
            Deferred.fromCoroutine(self._tick()).addErrback(self._clock_failed)
        elif now - self._clock_asked > CLOCK_PATIENCE * self._silence:
            self._drop("the clock has not answered for long")

    async def _tick(self) -> None:
        self._ticked(await self._ask_clock())

    async def _ask_clock(self) -> tuple[Row, ...]:
        self._clock_asked = self._reactor.seconds()
        try:
            return await self.pool.ask(QUOTES, request("LIVEQUOTE", CLOCK_FIELDS, where(DISP_NAME=CLOCK_SYMBOL)))
        finally:
            self._clock_asked = None

    def _ticked(self, rows: tuple[Row, ...]) -> None:
        if not rows:
            return
        if login_failed(rows[0]):
            raise Lost("nobody is logged in behind the gateway: its clock is not there")
        at = clock_time(rows[0], self._zone)
        if at is not None:
            self._feed.tick(at, self._clock())

    def _clock_failed(self, failure: Any) -> None:
        if self.over or self.pool.lost:
            return
        if failure.check(Lost):
            self._drop(str(failure.value))
        elif failure.check(GatewayError):
            self._complain(f"the clock: {failure.getErrorMessage()}")
        else:
            log.failure("The clock of {venue} could not be read.", failure, venue=self._venue)


def is_open(entry: Entry) -> bool:
    """Whether it works or waits at the broker."""
    return entry.status not in CLOSED
