"""IbBroker: the broker contract over a link to TWS or IB Gateway.

Our order id is the orderRef, so that every message names the order as we do, after a restart too; IB's permId is the
broker's id. The number by which an order is changed is of this client, and used once (numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytz
from ib_async import Contract
from ib_async import Execution as IbExecution
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txgateway.brokers import Can, Setup
from txgateway.brokers.ib import codes, contracts, translate
from txgateway.brokers.ib.book import Entry, as_entry
from txgateway.brokers.ib.client import PacedClient
from txgateway.brokers.ib.clock import VenueClock
from txgateway.brokers.ib.lanes import Piece, Urgency
from txgateway.brokers.ib.link import Link
from txgateway.brokers.ib.numbers import Numbers
from txgateway.brokers.ib.options import mistakes, read
from txgateway.brokers.ib.pacing import Pacing
from txgateway.brokers.ib.session import RequestRefused, Session, TooMany
from txgateway.brokers.ib.translate import Route, Terms
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import (
    CancelRejected,
    OrderReplaced,
    ReplaceRejected,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, LastPrice, NoPrice, Period
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus, Origin

log = Logger()

ZERO = Decimal(0)
START_SECONDS = 45.0
REMEMBERED = 100_000
"""Ids of orders that this process sent."""


class DuplicateOrder(GatewayError):
    """An order was to be sent a second time: it was not."""


class IbBroker:
    """One login at one TWS or IB Gateway."""

    can = (
        Can.MARKET | Can.LIMIT | Can.STOP | Can.STOP_LIMIT
        | Can.DAY | Can.GTC | Can.IOC | Can.FOK
        | Can.REPLACE | Can.QUOTES | Can.TRADES | Can.BARS
        | Can.CLIENT_ORDER_ID | Can.LOOKUP | Can.EXECUTION_HISTORY
        | Can.PRIMARY_EXCHANGE | Can.BRACKET | Can.LAST_PRICES
    )  # fmt: skip
    """Not CASH: IB tells cash a while after the fills, and futures and conversions move it too. Not STAGE: an order
    that TWS holds back is lost when TWS restarts; the gateway keeps tickets itself.

    BRACKET, unless `brackets` is "gateway": a parent with its children, which IB binds as an OCA group (type 3). They
    are held until the parent is filled whole, and go with a parent that is cancelled when it is filled in part: the
    gateway gives what was filled exits of its own then. Not OCO: those, and all other exits, are sent without parentId
    and ocaGroup. A group that we make would take off the others what one fills, but:

    * one that is cancelled, by us or by hand in TWS, takes the others with it, and the stop is gone until it is sent
      again, with the daemon down for as long as that;
    * IB may tell of the cancel of the others before the fill that is its cause (a fill waits here for its commission):
      to send the stop again may then open a position, and not to send it leaves one without a stop;
    * a size that we ask for (the entry was filled further) is absolute and undoes a reduction that IB has made and we
      have not heard of: IB must not be trusted with it alone, and the gateway takes off in any case;
    * a changed member may be refused, "OCA group revision is not allowed" (10326): trailing stops are changes.

    So the gateway takes off, and puts right what was filled while it was away, as at any venue."""

    mistakes = staticmethod(mistakes)

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self._setup = setup
        self._reactor = setup.reactor
        self._options = options = read(setup.options)
        self.domain = options.domain
        self._zone = pytz.timezone(options.timezone)
        if not options.brackets:
            self.can = IbBroker.can & ~Can.BRACKET
        self._time = VenueClock()
        self._numbers = Numbers(setup.folder, options.client_id)
        self._pacing = Pacing()
        self._primary = dict(options.primary_exchanges)
        self._sent: dict[str, None] = {}
        self._link = Link(setup.reactor, options, setup.clock, self)
        self._running = False
        self._status = VenueStatus.DOWN
        self._session: Session | None = None
        self._remote_lost = False
        self._accounts: tuple[str, ...] = ()
        self._wanted: set[str] = set()

    # life

    def startService(self) -> None:
        """Connect, and keep connected."""
        if self._running:
            return
        self._running = True
        options = self._options
        where = f"{options.host}:{options.port} as client {options.client_id}"
        self._say(VenueStatus.CONNECTING, f"connecting to TWS at {where}")
        self._link.start()

    def stopService(self) -> None:
        """Close the link; what had no answer yet is in doubt."""
        if not self._running:
            return
        self._running = False
        self._say(VenueStatus.STOPPING, "closing the link")
        self._end_session("stopped")
        self._link.stop()
        self._say(VenueStatus.DOWN, "stopped")

    def now(self) -> datetime:
        """TWS's clock."""
        return self._time.now(self._setup.clock())

    def accounts(self) -> Sequence[str]:
        """The login's accounts, or those of them that are configured."""
        return self._accounts

    # the link's words

    def started(self, client: PacedClient) -> None:
        """TWS is there: ask what it has."""
        self._remote_lost = False
        session = self._session = Session(
            client,
            self.venue,
            self._options,
            self._reactor,
            self.now,
            self._setup.report,
            self.complain,
            self._link.drop,
            self._numbers,
            self._sent,
            self._primary,
            self._pacing,
        )

        def failed(failure: Any) -> None:
            if session.over or failure.check(CancelledError):
                return
            if not failure.check(GatewayError, OSError):
                log.failure("The start of {venue} failed.", failure, venue=self.venue)
            self._link.drop(f"the start failed: {failure.getErrorMessage()}")

        late = self._reactor.callLater(START_SECONDS, self._link.drop, "the start's questions were not answered")

        def done(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        Deferred.fromCoroutine(self._begin(session)).addBoth(done).addErrback(failed)

    async def _begin(self, session: Session) -> None:
        await session.begin()
        if session is self._session and not session.over:
            self._accounts = session.accounts
            self._link.good()
            if not self._remote_lost:
                self._say(VenueStatus.RECONCILING, "ready to be asked")

    def broken(self, text: str, expected: bool) -> None:
        """The link is gone, and is being made anew."""
        self._end_session(text)
        if self._running:
            night = " (its nightly restart)" if expected else ""
            if self._status is VenueStatus.RECONCILING:
                self._say(VenueStatus.DOWN, f"the link is gone: {text}{night}")
                self._say(VenueStatus.CONNECTING, "connecting again")

    def complain(self, text: str, code: int = 0, key: str = "") -> None:
        """Tell of something that is wrong, and goes on."""
        self._setup.report(VenueError(self.venue, code, text, key))

    def _end_session(self, text: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close(text)

    def _say(self, status: VenueStatus, text: str) -> None:
        self._status = status
        self._setup.report(VenueStatusChanged(self.venue, status, text, self._setup.clock()))

    def __getattr__(self, name: str) -> Any:
        """Messages (on_NAME) that are not the broker's own are its session's, while there is one."""
        if not name.startswith("on_"):
            raise AttributeError(name)

        def handed(*args: Any) -> None:
            handler = getattr(self._session, name, None)
            if handler is not None:
                handler(*args)

        return handed

    def on_currentTime(self, seconds: int) -> None:
        """TWS's clock, in whole seconds."""
        self._time.tick(datetime.fromtimestamp(seconds, UTC), self._setup.clock())

    def on_error(self, number: int, code: int, text: str, more: str) -> None:
        """An error or a notice; of those that TWS's own link to IB is gone, or back, the venue's status tells."""
        session = self._session
        if code == codes.LOST:
            self._remote_lost = True
            if session is not None:
                session.snapshots.close("TWS has lost IB")
            if self._status is VenueStatus.RECONCILING:
                self._say(VenueStatus.DOWN, f"TWS has lost IB: {text}")
                self._say(VenueStatus.CONNECTING, "waiting until TWS has IB again")
        elif code in (codes.BACK_EMPTY, codes.BACK) and session is not None:
            was_lost, self._remote_lost = self._remote_lost, False
            session.snapshots.open()
            if code == codes.BACK_EMPTY:
                session.lines.drop()
            if session.ready and self._status is not VenueStatus.RECONCILING:
                self._say(VenueStatus.RECONCILING, "TWS has IB again")
            elif code == codes.BACK_EMPTY and not was_lost:
                self._resubscribe()
        if session is None and code in codes.FINE:
            log.info("{venue}: {code} {text}", venue=self.venue, code=code, text=text)
        elif session is None:
            self.complain(text, code)
        else:
            session.on_error(number, code, text, more)

    def _resubscribe(self) -> None:
        for symbol in list(self._wanted):
            self.subscribe(symbol)

    def _require(self) -> Session:
        session = self._session
        if session is None or not session.ready or self._remote_lost:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        return session

    # orders

    async def submit(self, order: Order) -> None:
        """Send an order. The same id again raises DuplicateOrder, and is not sent."""
        session, (entry,) = await self._place([order])
        await session.answer_to(entry, self._options.patience)

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        """Send a parent and its children in one piece; only the last lets TWS transmit them, all at once."""
        session, sent = await self._place([entry, *exits])
        try:
            await session.answer_to(sent[-1], self._options.patience)
        except TooMany:
            for each in sent:  # what TWS took of it, it holds back
                session.cancel(each)
            raise
        if sent[-1].refusal is not None and not sent[0].heard:
            self._take_back(session, sent)
        for each in sent:
            await session.answer_to(each, self._options.patience)

    async def _place(self, orders: Sequence[Order]) -> tuple[Session, list[Entry]]:
        """Send orders, the first the parent of the others."""
        session = self._require()
        for order in orders:
            self._refuse_twice(session, order)
        routes = [self._route(order) for order in orders]
        contract = await self._contract(session, orders[0])
        for order in orders:
            self._refuse_twice(session, order)
        if session.over:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        sent = [session.book.waiting(order, contract, self.now()) for order in orders]
        made = [
            translate.ib_order(order, 0, entry.terms, route, transmit=entry is sent[-1])
            for order, entry, route in zip(orders, sent, routes, strict=True)
        ]
        for order in orders:
            self._remember(order.order_id)

        def write() -> None:
            """Numbers are taken as orders leave: TWS refuses one below those that it has seen."""
            numbers = self._take(session, len(sent))
            for entry, number, its, route in zip(sent, numbers, made, routes, strict=True):
                its.orderId, its.parentId = number, numbers[0] if number != numbers[0] else 0
                session.book.sent(entry, number, its.parentId, route.exchange)
                session.client.placeOrder(number, _routed(contract, route), its)

        await session.place(_urgency(orders[0]), sent, write)
        return session, sent

    def _take(self, session: Session, count: int) -> list[int]:
        try:
            return [session.numbers.take() for _ in range(count)]
        except OSError as error:
            text = f"The next order number of {self.venue} cannot be kept ({error}): nothing was sent."
            raise Refused(Reason.JOURNAL_FAILED, text) from None

    def _take_back(self, session: Session, sent: Sequence[Entry]) -> None:
        """The last of a bracket was refused, so that nothing was transmitted: end what TWS holds back."""
        *held, last = sent
        for each in held:
            session.book.never_sent(each, last)
            session.cancel(each)
        session.look_soon()

    def _refuse_twice(self, session: Session, order: Order) -> None:
        if order.order_id in self._sent or session.book.find(order.order_id) is not None:
            raise DuplicateOrder(f"Order {order.order_id} was sent already: it is not sent a second time.")

    def _remember(self, order_id: str) -> None:
        while len(self._sent) >= REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[order_id] = None

    async def _contract(self, session: Session, order: Order) -> Contract:
        try:
            details = await session.directory.find(order.symbol)
        except GatewayError as error:
            text = f"{order.symbol} could not be looked up at {self.venue}, so nothing was sent: {error}"
            reason = Reason.UNKNOWN_SYMBOL if isinstance(error, RequestRefused) else Reason.VENUE_DOWN
            raise Refused(reason, text) from None
        if details is None or details.contract is None:
            raise Refused(Reason.UNKNOWN_SYMBOL, f"Venue {self.venue} does not know {order.symbol}.")
        return contracts.tradable(details.contract)

    def _route(self, order: Order) -> Route:
        try:
            route = translate.read_route(order.route)
            return route if order.leg is None else replace(route, algo="", parameters={})
        except ValueError as error:
            text = f"Order {order.order_id} cannot be sent to {self.venue}: {error}."
            raise Refused(Reason.UNSUPPORTED, text) from None

    async def release(self, order: Order) -> None:
        """Not here: the gateway keeps tickets itself."""
        raise Unsupported(f"Venue {self.venue} holds no tickets.")

    async def cancel(self, order: Order) -> None:
        """Ask for the end of an order."""
        session = self._require()
        entry = await self._held(session, order)
        if not entry.working:
            text = f"The order is {translate.status_in(entry.status, entry.filled)} already."
            self._setup.report(CancelRejected(order.order_id, Reason.TOO_LATE, text, self.now()))
            return
        self._require_mine(entry)
        entry.cancel_asked = True
        session.cancel(entry)

    async def replace(self, order: Order) -> None:
        """Ask for other terms, by sending the order's number again; what then holds is told."""
        session = self._require()
        entry = await self._held(session, order)
        if not entry.working:
            text = f"The order is {translate.status_in(entry.status, entry.filled)} already."
            self._setup.report(ReplaceRejected(order.order_id, Reason.TOO_LATE, text, self.now()))
            return
        self._require_mine(entry)
        terms = translate.asked_of(order, entry.terms)
        _require_unfilled(entry, terms)
        if terms == entry.terms:
            held = (terms.quantity, terms.limit, terms.stop)
            self._setup.report(OrderReplaced(order.order_id, *held, self.now(), str(entry.perm_id)))
            return
        route = Route() if order.origin is Origin.EXTERNAL else self._route(order)

        def write() -> None:
            if not entry.working:
                text = f"Order {order.order_id} ended before its change was sent."
                raise Refused(Reason.TOO_LATE, text)
            _require_unfilled(entry, terms)
            self._change(session, entry, order, terms, route)

        await session.leave(Piece(_urgency(order), write, [entry]))

    def _change(self, session: Session, entry: Entry, order: Order, terms: Terms, route: Route) -> None:
        if order.origin is Origin.EXTERNAL and entry.raw is not None:
            made = translate.changed(entry.raw, entry.number, terms)
        else:
            made = translate.ib_order(order, entry.number, terms, route, session.book.parent_of(entry))
            translate.keep_group(made, entry.raw)
        entry.replace_asked = terms
        session.client.placeOrder(entry.number, _routed(entry.contract, route), made)

    async def _held(self, session: Session, order: Order) -> Entry:
        """The order as it was heard of, asked for where it was not."""
        name = order.order_id if order.origin is not Origin.EXTERNAL else ""
        entry = session.book.find(name, order.broker_order_id)
        if entry is None:
            await session.open_list()
            entry = session.book.find(name, order.broker_order_id)
        if entry is not None and not entry.number and not entry.waits and self._options.client_id == 0:
            await session.open_list(bind=True)
        if entry is None:
            raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self.venue} has no open order {order.order_id}.")
        return entry

    def _require_mine(self, entry: Entry) -> None:
        """IB lets only the client that sent an order change or cancel it; client 0 also those made by hand."""
        if entry.client_id == self._options.client_id and (entry.number or entry.waits):
            return
        owner = f"API client {entry.client_id}" if entry.number > 0 else "a person in TWS"
        text = f"Order {entry.key} at {self.venue} is of {owner}: only there it can be changed or canceled."
        raise Refused(Reason.UNSUPPORTED, text)

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works, whoever sent it."""
        session = self._require()
        listed = await session.open_list()
        reports = []
        for entry in [each for each in listed if each.working and each.account in session.accounts]:
            entry.symbol = entry.symbol or await session.directory.name(entry.contract)
            reports.append(entry.report(entry.symbol))
        return reports

    async def lookup(self, order: Order) -> OrderReport | None:
        """An order out of the open ones, the day's completed ones, and the day's executions.

        Unsupported for an order of an earlier day that none of them has: it may have ended then.
        """
        session = self._require()
        name = order.order_id if order.origin is not Origin.EXTERNAL else ""
        entry = session.book.find(name, order.broker_order_id)
        if entry is not None and entry.waits:
            raise Unsupported(f"Order {order.order_id} waits here for its turn to be sent to {self.venue}.")
        listed = await session.open_list()
        entry = session.book.find(name, order.broker_order_id)
        if entry is not None and entry in listed and entry.working:
            return entry.report(order.symbol)
        ended = await self._completed(session, order, name)
        fills = [its for _, its in await session.executions() if _is_of(its, order, name)]
        if ended is None and entry is not None and (entry.ended or entry.status == translate.FILLED):
            ended = entry
        if ended is not None:
            return self._told_of(ended, order, fills)
        filled = sum((translate.amount(each.shares) for each in _latest(fills)), ZERO)
        if filled:
            if filled < order.quantity:
                raise Unsupported(
                    f"Of {order.order_id} venue {self.venue} has fills, and no word what became of the rest."
                )
            made = as_entry(
                Contract(),
                translate.ib_order(order, 0, translate.terms_of(order), Route()),
                "Filled",
                "",
                [name],
                self.now(),
            )
            return self._told_of(made, order, fills)
        if order.created.astimezone(self._zone).date() < self.now().astimezone(self._zone).date():
            raise Unsupported(f"TWS remembers the day's orders: of {order.order_id} it tells nothing.")
        return None

    async def _completed(self, session: Session, order: Order, name: str) -> Entry | None:
        for contract, its, state in await session.completed_list():
            same = its.orderRef == name if name else str(its.permId) == order.broker_order_id
            if same:
                return as_entry(contract, its, state.status, state.completedStatus, [name], self.now())
        return None

    def _told_of(self, entry: Entry, order: Order, fills: Sequence[IbExecution]) -> OrderReport:
        """A closed order. What TWS does not keep of it (its size, when it was filled) is as it was ordered."""
        latest = _latest(fills)
        shares = sum((translate.amount(each.shares) for each in latest), ZERO)
        value = sum((translate.amount(each.shares) * translate.amount(each.price) for each in latest), ZERO)
        report = entry.report(order.symbol)
        changed: dict[str, Any] = {name: getattr(report, name) for name in OrderReport.__dataclass_fields__}
        changed["filled_quantity"] = filled = max(shares, report.filled_quantity)
        if shares:
            changed["average_price"] = value / shares
        perm = next((str(each.permId) for each in fills if each.permId), "")
        changed["broker_order_id"] = report.broker_order_id or perm or order.broker_order_id
        if report.quantity < filled or not report.quantity:
            changed["quantity"] = max(order.quantity, filled)
        for price in ("limit_price", "stop_price"):
            changed[price] = getattr(order, price) if changed[price] is None else changed[price]
        changed.update(side=order.side, order_type=order.order_type, account=order.account)
        status = translate.status_in(entry.status, filled) if not entry.refused else report.status
        if status not in CLOSED:
            status = OrderStatus.CANCELED
        return OrderReport(**{**changed, "status": status})

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """The day's fills from `since` on."""
        session = self._require()
        found: list[Execution] = []
        for contract, its in await session.executions():
            if since is not None and its.time < since:
                continue
            entry, _ = session.book.executed(its, self.now())
            symbol = (entry.symbol if entry is not None else "") or await session.directory.name(contract)
            found.append(session.as_execution(symbol, contract, its, entry))
        return found

    async def positions(self) -> Sequence[Position]:
        """Every open position of every account."""
        session = self._require()
        found: list[Position] = []
        for account, contract, quantity, cost in await session.positions():
            if quantity and account in session.accounts:
                symbol = await session.directory.name(contract)
                found.append(translate.position(self.venue, account, symbol, contract, quantity, cost))
        return found

    async def balances(self, account: str) -> AccountReport:
        """The account's values, by IB's tags and by ours."""
        session = self._require()
        if account not in session.accounts:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        report = translate.account_report(account, await session.account_values(account))
        if report is None:
            raise GatewayError(f"Venue {self.venue} tells no TotalCashValue of account {account}.")
        return report

    # the market

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's rules; None when it is unknown, or written otherwise."""
        session = self._require()
        details = await session.directory.find(symbol)
        return None if details is None else translate.instrument(self.venue, symbol, details)

    async def instruments(self) -> Sequence[Instrument]:
        """Nothing: IB has no list of all that it trades."""
        self._require()
        return []

    async def renames(self, symbol: str, exchange: str | None) -> Sequence[str]:
        """The names that would mean another contract, or none, if a stock were of this exchange."""
        configured = self._options.primary_exchanges.get(symbol, "")
        return await self._require().directory.renames(symbol, exchange or configured)

    def spelling(self, symbol: str) -> str:
        """What to write instead of a form that means no contract, or several."""
        return self._session.directory.hint(symbol) if self._session is not None else ""

    def set_primary_exchange(self, symbol: str, exchange: str | None) -> None:
        """Of the contracts that share a symbol, mean the one of this exchange (None: as it is configured)."""
        exchange = exchange or self._options.primary_exchanges.get(symbol)
        if exchange:
            self._primary[symbol] = exchange
        else:
            self._primary.pop(symbol, None)
        session = self._session
        if session is not None:
            session.directory.forget(symbol)
            if symbol in self._wanted:
                session.lines.deaf(symbol)
                self.subscribe(symbol)

    def subscribe(self, symbol: str) -> None:
        """Listen to a symbol, unless it is unknown."""
        session = self._session
        self._wanted.add(symbol)
        if session is None or not session.ready:
            return

        async def look() -> None:
            details = await session.directory.find(symbol)
            wanted = symbol in self._wanted and not session.over
            if details is not None and details.contract is not None and wanted:
                session.lines.listen(symbol, contracts.tradable(details.contract))

        def failed(failure: Any) -> None:
            if session.over:
                return
            if failure.check(GatewayError):
                self.complain(f"prices of {symbol}: {failure.getErrorMessage()}")
            else:
                log.failure("{symbol} could not be subscribed.", failure, symbol=symbol)

        Deferred.fromCoroutine(look()).addErrback(failed)

    def unsubscribe(self, symbol: str) -> None:
        """Listen no more."""
        self._wanted.discard(symbol)
        if self._session is not None:
            self._session.lines.deaf(symbol)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars in [start, end), oldest first; none of an unknown symbol."""
        session = self._require()
        if start >= end:
            return []
        details = await session.directory.find(symbol)
        if details is None or details.contract is None:
            return []
        contract = contracts.tradable(details.contract)
        question = translate.bar_question(contract.secType, period, start, end)
        try:
            rows = await session.bars(contract, question)
        except RequestRefused as refused:
            self.complain(f"bars of {symbol}: {refused.text}", refused.code, symbol)
            raise Refused(Reason.VENUE_FAILED, f"Venue {self.venue} gives no bars of {symbol}: {refused}") from None
        return translate.bars(symbol, rows, start, end, self._zone)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """What each was traded at last: as its line shows it, or by a snapshot."""
        return await self._require().last_prices(symbols)


def _urgency(order: Order) -> Urgency:
    """Of an order, and of its changes: what closes a position, or guards it, goes before all."""
    closes = order.origin is Origin.FLATTEN or order.leg is not None
    return Urgency.CLOSE if closes else Urgency.ORDER


def _require_unfilled(entry: Entry, terms: Terms) -> None:
    if terms.quantity <= entry.filled:
        text = f"{entry.filled:f} of order {entry.key} are filled: it cannot become {terms.quantity:f}."
        raise Refused(Reason.BAD_QUANTITY, text)


def _routed(contract: Contract, route: Route) -> Contract:
    """The contract at the exchange that an order names."""
    if not route.exchange:
        return contract
    made = contracts.tradable(contract)
    made.exchange = route.exchange
    return made


def _is_of(its: IbExecution, order: Order, name: str) -> bool:
    if name and its.orderRef:
        return its.orderRef == name
    return bool(order.broker_order_id) and str(its.permId) == order.broker_order_id


def _latest(fills: Sequence[IbExecution]) -> list[IbExecution]:
    """Each fill once, as it was corrected last."""
    found: dict[str, IbExecution] = {}
    for each in sorted(fills, key=lambda its: its.execId):
        found[translate.execution_id(each.execId)] = each
    return list(found.values())


__all__ = ["DuplicateOrder", "IbBroker"]
