"""RtxBroker: the broker contract over a link to rtgw.

Our order id is the CLIENT_ORDER_ID, so that every row names the order as we do, after a restart too. What advises
bring is told; what questions bring is their answer. Rows are the truth about an order: the answer to a poke says only
that the line came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pytz
from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, gatherResults
from twisted.logger import Logger

from txgateway.brokers import Can, Setup
from txgateway.brokers.rtx import market, translate
from txgateway.brokers.rtx.book import Entry
from txgateway.brokers.rtx.link import Link
from txgateway.brokers.rtx.options import mistakes, read
from txgateway.brokers.rtx.pool import Pool, Urgency
from txgateway.brokers.rtx.protocol import Row, request
from txgateway.brokers.rtx.quotes import QUOTES
from txgateway.brokers.rtx.session import OPEN_ONLY, ORDERS, START_SECONDS, Session, is_open
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import CancelRejected, ReplaceRejected, VenueError, VenueStatus, VenueStatusChanged
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, LastPrice, Period
from txgateway.model.order import Order, OrderReport, OrderStatus, Origin

log = Logger()


class DuplicateOrder(GatewayError):
    """An order was to be sent a second time: it was not."""


class RtxBroker:
    """One login at one rtgw."""

    can = (
        Can.MARKET | Can.LIMIT | Can.STOP | Can.STOP_LIMIT
        | Can.DAY | Can.GTC | Can.IOC | Can.FOK
        | Can.REPLACE | Can.STAGE | Can.QUOTES | Can.TRADES | Can.BARS
        | Can.CLIENT_ORDER_ID | Can.LOOKUP | Can.EXECUTION_HISTORY | Can.LAST_PRICES
    )  # fmt: skip

    mistakes = staticmethod(mistakes)

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self._setup = setup
        self._reactor = setup.reactor
        self._options = options = read(setup.options)
        self._zone = pytz.timezone(options.timezone)
        self._feed = market.VenueClock()
        self._link = Link(setup.reactor, (options.host, options.port), setup.venue, options.rate, options.silence, self)
        self._running = False
        self._status = VenueStatus.DOWN
        self._session: Session | None = None
        self._accounts: tuple[str, ...] = ()
        self._instruments: dict[str, Instrument] = {}

    # life

    def startService(self) -> None:
        """Connect, and keep connected."""
        if self._running:
            return
        self._running = True
        options = self._options
        self._say(VenueStatus.CONNECTING, f"connecting to rtgw at {options.host}:{options.port}")
        self._link.start()

    def stopService(self) -> Deferred[None] | None:
        """Close the link; what had no answer yet is in doubt."""
        if not self._running:
            return None
        self._running = False
        self._say(VenueStatus.STOPPING, "closing the link")
        self._end_session()
        closed = self._link.stop("stopped")
        self._say(VenueStatus.DOWN, "stopped")
        return closed

    def now(self) -> datetime:
        """The feed's clock."""
        return self._feed.now(self._setup.clock())

    def accounts(self) -> Sequence[str]:
        """The login's accounts, or those of them that are configured."""
        return self._accounts

    # the link's words

    def started(self, pool: Pool) -> None:
        """The gateway is there: ask what it has."""
        session = self._session = Session(
            pool,
            self.venue,
            self._zone,
            self._reactor,
            self._setup.clock,
            self._setup.report,
            self.complain,
            self._link.drop,
            self._options.patience,
            self._options.silence,
            self._feed,
        )

        def failed(failure: Any) -> None:
            if session.over or failure.check(CancelledError):
                return
            if not failure.check(GatewayError):
                log.failure("The start of {venue} failed.", failure, venue=self.venue)
            self._link.drop(f"the start failed: {failure.getErrorMessage()}")

        begun = Deferred.fromCoroutine(self._begin(session))
        late = self._reactor.callLater(START_SECONDS, self._link.drop, "the start's questions were not answered")

        def done(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        begun.addBoth(done).addErrback(failed)

    async def _begin(self, session: Session) -> None:
        await session.begin(self._options.accounts)
        if session is self._session:
            self._accounts = session.accounts
            self._link.good()
            self._say(VenueStatus.RECONCILING, "ready to be asked")

    def broken(self, text: str) -> None:
        """The link is gone, and is being made anew."""
        self._end_session()
        if self._running:
            if self._status is VenueStatus.RECONCILING:
                self._say(VenueStatus.DOWN, f"the link is gone: {text}")
                self._say(VenueStatus.CONNECTING, "connecting again")
            else:
                self.complain(f"the link is gone: {text}")

    def complain(self, text: str) -> None:
        """Tell of something that is wrong, and goes on."""
        self._setup.report(VenueError(self.venue, 0, text))

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _say(self, status: VenueStatus, text: str) -> None:
        self._status = status
        self._setup.report(VenueStatusChanged(self.venue, status, text, self._setup.clock()))

    def _require(self) -> Session:
        session = self._session
        if session is None or not session.ready:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        return session

    # orders

    async def submit(self, order: Order) -> None:
        """Send an order, or a ticket when it is staged. The same id again raises DuplicateOrder, and is not sent."""
        session = self._require()
        if order.order_id in session.sent or order.order_id in session.book.named:
            raise DuplicateOrder(f"Order {order.order_id} was sent already: it is not sent a second time.")
        fields = self._fields(order, lambda route: translate.submit_fields(order, route, self._options.exchange))
        await self._enter(session, order.order_id, fields)

    async def release(self, order: Order) -> None:
        """Trade a ticket, by an order of its own. Refused when the broker will not; the ticket then waits on."""
        session = self._require()
        entry = await session.entry(_names(order), order.broker_order_id)
        if entry is None or not entry.is_ticket:
            raise Refused(Reason.NOT_A_TICKET, f"Venue {self.venue} has no ticket {order.order_id}.")
        if not is_open(entry):
            raise Refused(Reason.NOT_A_TICKET, f"Ticket {order.order_id} is {entry.status} already.")
        before = sum(1 for name in session.sent | {*session.book.named} if name.startswith(order.order_id + "-R"))
        if any(is_open(part) or part.filled for part in entry.parts) or before > len(entry.parts):
            raise DuplicateOrder(f"Ticket {order.order_id} was released already: it is not traded twice.")
        name = order.order_id + translate.RELEASE + (str(before + 1) if before else "")
        exchange = self._options.exchange
        fields = self._fields(
            order, lambda route: translate.release_fields(order, entry.broker_id, name, route, exchange)
        )
        await self._enter(session, name, fields)
        part: Entry | None = None

        def decided() -> bool:
            nonlocal part
            part = session.book.named.get(name)
            return part is not None and (part.accepted or not is_open(part))

        if await session.until(decided) and part is not None and part.status is OrderStatus.REJECTED:
            text = f"The release of ticket {order.order_id} was refused: {part.reason or 'no reason was given'}."
            raise Refused(part.end_reason, text)

    async def _enter(self, session: Session, name: str, fields: list[tuple[str, str]]) -> None:
        """Send an order of this name; of one that surely was not sent nothing is expected."""
        session.sent.add(name)
        try:
            await session.poke(fields, Urgency.ORDER)
        except Refused:
            session.sent.discard(name)
            raise

    async def cancel(self, order: Order) -> None:
        """Ask for the end of an order, and of what trades it where it is a ticket."""
        session = self._require()
        entry = await self._held(session, order)
        if not is_open(entry):
            text = f"The order is {entry.status} already."
            self._setup.report(CancelRejected(order.order_id, Reason.TOO_LATE, text, self.now()))
            return
        ending = [*(part for part in entry.parts if is_open(part)), entry]
        work = [Deferred.fromCoroutine(self._cancel(session, each)) for each in ending]
        answers: list[tuple[bool, Any]] = await DeferredList(work, consumeErrors=True)
        for done, answer in answers:
            if not done:
                answer.raiseException()

    async def _cancel(self, session: Session, entry: Entry) -> None:
        await session.poke(translate.cancel_fields(entry.broker_id), Urgency.CANCEL)

    async def replace(self, order: Order) -> None:
        """Ask for other terms; what then holds is told."""
        session = self._require()
        entry = await self._held(session, order)
        if not is_open(entry):
            text = f"The order is {entry.status} already."
            self._setup.report(ReplaceRejected(order.order_id, Reason.TOO_LATE, text, self.now()))
            return
        if any(is_open(part) for part in entry.parts):
            text = f"Ticket {order.order_id} is being traded: cancel it and send another order."
            raise Refused(Reason.UNSUPPORTED, text)
        if order.origin is Origin.EXTERNAL and entry.main is not None and entry.main.foreign:
            text = f"It has {entry.main.foreign}, which a change from here would end: change it at Realtick."
            raise Refused(Reason.UNSUPPORTED, text)
        default = entry.main.route if entry.main is not None else ""
        exchange = self._options.exchange
        fields = self._fields(
            order, lambda route: translate.change_fields(order, entry.broker_id, route, exchange), default
        )
        await session.poke(fields, Urgency.ORDER)

    async def _held(self, session: Session, order: Order) -> Entry:
        names, broker_id = _names(order), order.broker_order_id
        entry = await session.entry(names, broker_id)
        if entry is None and translate.is_word(broker_id):  # the day's book may have begun without it
            await session.rows("ORDERS", translate.where(ORIGINAL_ORDER_ID=broker_id))
            entry = await session.entry(names, broker_id)
        if entry is None:
            raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self.venue} has no order {order.order_id}.")
        return entry

    def _fields(self, order: Order, fields_of: Any, default: str = "") -> list[tuple[str, str]]:
        """The fields of an order; Refused for what cannot be written."""
        try:
            found: list[tuple[str, str]] = fields_of(translate.read_route(order.route, default or self._options.route))
        except ValueError as error:
            text = f"Order {order.order_id} cannot be sent to {self.venue}: {error}."
            raise Refused(Reason.UNSUPPORTED, text) from None
        return found

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works or waits."""
        session = self._require()
        rows = await session.rows("ORDERS", OPEN_ONLY)
        named = {row.broker_id: session.book.entries[row.broker_id] for row in rows if row.is_main}
        return self._reports(session, named.values())

    def _reports(self, session: Session, entries: Iterable[Entry]) -> list[OrderReport]:
        now = self.now()
        reports = (each.report(now) for each in entries if is_open(each) and not each.is_part)
        return [each for each in reports if each is not None and each.account in session.accounts]

    async def lookup(self, order: Order) -> OrderReport | None:
        """An order's rows, by the broker's id where it is known, else out of the day's whole book.

        Unsupported for an order of an earlier day that the book has not: it may have ended then.
        """
        session = self._require()
        names = _names(order)
        entry = next((each for name in names if (each := session.book.find(name, order.broker_order_id))), None)
        if entry is not None and translate.is_word(entry.broker_id):
            rows = await session.rows("ORDERS", translate.where(ORIGINAL_ORDER_ID=entry.broker_id))
            if any(row.is_main for row in rows):
                return self._shown(entry)
        kept = await session.whole()
        entry = next((each for name in names if (each := session.book.find(name, order.broker_order_id))), None)
        if entry is not None and entry.broker_id in kept:
            return self._shown(entry)
        if order.created.astimezone(self._zone).date() < self.now().astimezone(self._zone).date():
            raise Unsupported(f"The book of venue {self.venue} begins today: of {order.order_id} it tells nothing.")
        return None

    def _shown(self, entry: Entry) -> OrderReport:
        """What its rows say of an order; that they cannot be read is not that there is none."""
        report = entry.report(self.now())
        if report is None:
            raise GatewayError(f"Venue {self.venue} has order {entry.name}, and does not say its side and size.")
        return report

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """The day's fills from `since` on."""
        session = self._require()
        rows = await session.trades()
        now = self.now()
        recent = [row for row in rows if since is None or row.time is None or row.time >= since]
        return [each for each in session.book.executions(recent, now) if each.account in session.accounts]

    async def positions(self) -> Sequence[Position]:
        """Every open position of every account."""
        session = self._require()
        rows = await session.pool.ask(ORDERS, request("POSITION", "*"))
        return translate.positions(self.venue, rows, session.accounts)

    async def balances(self, account: str) -> AccountReport:
        """The account's values by name; its cash is EXCESS_EQ."""
        session = self._require()
        if account not in session.accounts:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        try:
            condition = translate.where(**dict(translate.account_fields(account)))
        except ValueError as error:
            raise Refused(Reason.UNSUPPORTED, f"Venue {self.venue} cannot be asked: {error}.") from None
        rows = await session.pool.ask(ORDERS, request("DEPOSIT", "*", condition))
        report = translate.account_report(account, rows[0]) if rows else None
        if report is None:
            raise GatewayError(f"Venue {self.venue} shows no EXCESS_EQ of account {account}.")
        return report

    # the market

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's rules; None when it is unknown."""
        session = self._require()
        if not translate.is_word(symbol):
            return None
        rows = await session.pool.ask(QUOTES, request("LIVEQUOTE", "*", translate.where(DISP_NAME=symbol)))
        options = self._options
        row = rows[0] if rows else {}
        found = market.instrument(self.venue, symbol, row, options.timezone, options.exchange, options.currency)
        if found is not None:
            self._instruments[symbol] = found
        return found

    async def instruments(self) -> Sequence[Instrument]:
        """Nothing: rtgw has no list of its symbols."""
        self._require()
        return []

    def subscribe(self, symbol: str) -> None:
        """Listen to a symbol, unless it is unknown."""
        session = self._session
        if session is None or not session.ready or (symbol in session.wanted and symbol not in self._instruments):
            return
        session.wanted.add(symbol)
        if symbol in self._instruments:
            session.quotes.add(symbol)
            return

        async def look() -> None:
            found = await self.instrument(symbol)
            if found is not None and symbol in session.wanted and not session.over:
                session.quotes.add(symbol)

        def failed(failure: Any) -> None:
            session.wanted.discard(symbol)
            if not failure.check(GatewayError):
                log.failure("{symbol} could not be subscribed.", failure, symbol=symbol)

        Deferred.fromCoroutine(look()).addErrback(failed)

    def unsubscribe(self, symbol: str) -> None:
        """Listen no more."""
        if self._session is not None:
            self._session.wanted.discard(symbol)
            self._session.quotes.remove(symbol)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars in [start, end), oldest first; none of an unknown symbol."""
        session = self._require()
        if not translate.is_word(symbol) or start >= end:
            return []
        rows: list[Row] = []
        for first, last in market.spans(period, start, end):
            table, condition = market.bar_question(symbol, period, first, last, self._zone)
            rows += await session.pool.ask(QUOTES, request(table, market.BAR_FIELDS, condition))
        return market.bars(symbol, period, rows, start, end, self._zone)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        """What each was traded at last: rtgw is asked about one symbol at a time, over all connections of the pool."""
        session = self._require()
        words = [each for each in symbols if translate.is_word(each)]
        asked = [
            session.pool.ask(QUOTES, request("LIVEQUOTE", market.LAST_FIELDS, translate.where(DISP_NAME=each)))
            for each in words
        ]
        try:
            answers = await gatherResults(asked, consumeErrors=True)
        except FirstError as first:
            first.subFailure.raiseException()
        found = [
            market.last_price(each, rows[0], self._zone) for each, rows in zip(words, answers, strict=True) if rows
        ]
        return [each for each in found if each is not None]


def _names(order: Order) -> list[str]:
    """The CLIENT_ORDER_IDs by which an order may be known: of another's order that which its sender gave it."""
    return [order.order_id, *([order.client_order_id] if order.origin is Origin.EXTERNAL else [])]
