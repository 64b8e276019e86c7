"""CcxtBroker: the broker contract over links to one exchange, by ccxt.

What an order of ours is called there is made of its id (ids), so that frames and lists name it as we do, after a
restart too. Frames are the truth about an order; the answer to an order call is one more word on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txgateway.brokers import Can, Setup
from txgateway.brokers.ccxt import errors, exchange, feeds, peculiarities, translate
from txgateway.brokers.ccxt.book import Book, Entry
from txgateway.brokers.ccxt.clock import VenueClock
from txgateway.brokers.ccxt.frames import amount, number
from txgateway.brokers.ccxt.ids import IdForm
from txgateway.brokers.ccxt.limits import Pools
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import mistakes, read
from txgateway.brokers.ccxt.session import Session
from txgateway.brokers.ccxt.spelling import spelling
from txgateway.brokers.ccxt.words import Fill, Seen
from txgateway.futures import deferred
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, TimedOut, Unsupported
from txgateway.model.events import (
    CancelRejected,
    OrderReplaced,
    ReplaceRejected,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, Period
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus, Origin
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit

log = Logger()

ZERO = Decimal(0)
START_SECONDS = 60.0
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until the next attempt to connect; after a link that could be asked they begin anew."""
MARKETS_KEPT = 1800.0
"""So many seconds markets need not be loaded again after a broken link."""
REMEMBERED = 100_000
"""Ids of orders that this process sent."""


class DuplicateOrder(GatewayError):
    """An order was to be sent a second time: it was not."""


class CcxtBroker:
    """One key at one exchange. `can` is the exchange's own."""

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self._setup = setup
        self._reactor = setup.reactor
        options, has = read(setup.options), exchange.has(str(setup.options.get("exchange", "binance")))
        self._row = peculiarities.of(options.exchange, options.market, has)
        self._options = options = replace(options, kind=peculiarities.kind(options.market, self._row, has))
        self._feeds = feeds.of(options.exchange, options.kind, has)
        self._pools = Pools(self._feeds.pools, options.share)
        self.can = self._row.can | self._feeds.can | (Can.RAW if options.raw else Can(0))
        self._born = setup.clock()
        self._time = VenueClock()
        self._memory = Memory(setup.folder)
        self._book = Book(self._execution)
        self._sent: dict[str, None] = {}
        self._session: Session | None = None
        self._markets: tuple[float, Any, Any] | None = None
        self._running = False
        self._status = VenueStatus.DOWN
        self._tries = 0
        self._again: Any = None
        self._shared: set[str] = set()
        """Coins that are traded in several pairs, as was told."""

    @staticmethod
    def mistakes(options: Any) -> dict[str, str]:
        """What to give instead, for each option that cannot be used."""
        wrong = mistakes(options)
        name = options.get("exchange", "binance")
        if "exchange" not in wrong:
            try:
                exchange.check(name)
            except ValueError as error:
                wrong["exchange"] = str(error)
            else:
                wrong = {**exchange.unfit(name, options), **wrong}
        return wrong

    # life

    def startService(self) -> None:
        """Connect, and keep connected."""
        if self._running:
            return
        self._running, self._tries = True, 0
        self._say(VenueStatus.CONNECTING, f"connecting to {self._where}")
        self._connect()

    def stopService(self) -> Deferred[Any] | None:
        """Close the link; what had no answer yet is in doubt."""
        if not self._running:
            return None
        self._running = False
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._say(VenueStatus.STOPPING, "closing the link")
        closed = self._end_session()
        self._memory.close()
        self._say(VenueStatus.DOWN, "stopped")
        return closed

    @property
    def _where(self) -> str:
        options = self._options
        more = [each for each in (options.market, "" if options.domain == "live" else options.domain) if each]
        return " ".join([options.exchange, *more])

    def now(self) -> datetime:
        """The exchange's clock."""
        return self._time.now(self._setup.clock())

    def accounts(self) -> Sequence[str]:
        """The one that the key is of, by the name it is given here."""
        return (self._options.account,)

    def _connect(self) -> None:
        self._again = None
        session = self._session = Session(
            self._options,
            self._row,
            self.venue,
            self._reactor,
            self._setup.clock,
            self._time,
            self._setup.report,
            self.complain,
            lambda text: self._broken(session, text),
            self._book,
            self._memory,
            self._feeds,
            self._pools,
        )
        work = Deferred.fromCoroutine(self._begin(session))
        late = self._reactor.callLater(START_SECONDS, work.cancel)

        def done(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        def failed(failure: Any) -> None:
            if session.over:
                return
            if not failure.check(GatewayError, OSError, CancelledError):
                log.failure("The start of {venue} failed.", failure, venue=self.venue)
            text = "it took too long" if failure.check(CancelledError) else failure.getErrorMessage().rstrip(".")
            self._broken(session, f"no connection: {text}")

        work.addBoth(done).addErrback(failed)

    async def _begin(self, session: Session) -> None:
        now = self._reactor.seconds()
        known = self._markets
        await session.begin(None if known is None or now - known[0] > MARKETS_KEPT else known[1:])
        if session is not self._session or session.over:
            return
        if known is None or now - known[0] > MARKETS_KEPT:
            self._markets = (now, session.exchange.markets, session.exchange.currencies)
        self._tries = 0
        self._tell_shared(session)
        self._say(VenueStatus.RECONCILING, "ready to be asked")

    def _tell_shared(self, session: Session) -> None:
        """Tell once of a coin that is traded in several pairs: the exchange has one balance of it."""
        if self._options.kind == "swap":
            return
        for coin, pairs in translate.shared(session.exchange.markets or {}, self._memory.symbols).items():
            if coin not in self._shared:
                self._shared.add(coin)
                first, others = pairs[0], " and ".join(pairs[1:])
                self.complain(
                    f"{coin} is traded in {first} and in {others}: all of it that the account holds is told as a "
                    f"position in {first}. So positions in these pairs differ from their executions, flatten of "
                    f"{first} sells all of it, and of {others} nothing: trade a coin in one pair of an account."
                )

    def _broken(self, session: Session, text: str) -> None:
        """The link is gone: make it anew."""
        if session is not self._session:
            return
        self._end_session()
        if not self._running:
            return
        wait = BACK_OFF[min(self._tries, len(BACK_OFF) - 1)]
        self._tries += 1
        if self._status is VenueStatus.RECONCILING:
            self._say(VenueStatus.DOWN, f"the link is gone: {text}")
            self._say(VenueStatus.CONNECTING, "connecting again")
        else:
            self.complain(f"{self._where}: {text}; the next attempt is in {wait:g} s")
        self._again = self._reactor.callLater(wait, self._connect)

    def _end_session(self) -> Deferred[Any] | None:
        session, self._session = self._session, None
        return session.close() if session is not None else None

    def complain(self, text: str) -> None:
        """Tell of something that is wrong, and goes on."""
        self._setup.report(VenueError(self.venue, 0, text))

    def _say(self, status: VenueStatus, text: str) -> None:
        self._status = status
        self._setup.report(VenueStatusChanged(self.venue, status, text, self._setup.clock()))

    def _require(self) -> Session:
        session = self._session
        if session is None or not session.ready:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        return session

    def _execution(self, fill: Fill, order_id: str) -> Execution:
        session = self._session
        market = (session.exchange.markets or {}).get(fill.symbol) if session is not None else None
        return translate.execution(self.venue, self._options.account, fill, market, order_id)

    # orders

    async def submit(self, order: Order) -> None:
        """Send an order. The same id again raises DuplicateOrder, and is not sent."""
        session = self._require()
        self._refuse_twice(order)
        market = self._market(session, order)
        if session.hedged is not False and market.get("swap"):
            await self._one_way(session)
            self._refuse_twice(order)
        client = session.client_id(order.order_id)
        collar = None
        if self._row.collar and order.order_type.value == "MARKET" and order.side.sign > 0 and market.get("spot"):
            collar = await self._collar(session, order, market)
            self._refuse_twice(order)
        sent = translate.sent(order, client, collar, self._row.client_key, self._row.stop)
        prices = [each for each in (order.limit_price, order.stop_price) if each is not None]
        self._check(session, order.symbol, order.quantity, prices)
        try:
            if self._memory.symbol(order.symbol):
                self._tell_shared(session)
            if self._row.form is IdForm.NUMBER:
                self._memory.name(client, order.order_id)
        except OSError as error:
            text = f"What must be remembered of order {order.order_id} cannot be kept ({error}): it is not sent."
            raise Refused(Reason.JOURNAL_FAILED, text) from None
        if session.over:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        self._remember(order.order_id)
        entry = self._book.sent(order)
        entry.unsettled = self._reactor.seconds() + 2 * self._options.patience
        call = session.exchange.create_order(
            sent.symbol, sent.form, sent.side, sent.quantity, sent.limit, dict(sent.params)
        )
        try:
            answer = await session.command(f"Order {order.order_id}", call)
        except Ambiguous as doubt:
            # What was answered, or sent so long ago, is not on its way any more.
            over = doubt.__cause__ is not None and errors.is_over(doubt.__cause__)
            entry.unsettled = self._reactor.seconds() + 0.5 + (0.0 if over else self._options.patience)
            raise
        except Refused as refused:
            entry.unsettled = 0.0
            if "position side" in refused.text.lower():
                session.doubt_mode()
            if entry.told_accepted:
                raise Ambiguous(f"Order {order.order_id} was refused and accepted by {self.venue}.") from None
            self._book.dropped(entry)
            raise
        entry.unsettled = 0.0
        self._answered(session, order, answer)

    async def _one_way(self, session: Session) -> None:
        """Refuse what is ordered in hedge mode; somebody may have ended that at the exchange, so it is asked."""
        try:
            hedged = await session.ask_mode()
        except GatewayError as error:
            raise Refused(Reason.VENUE_DOWN, f"The position mode is not known, so nothing was sent: {error}") from None
        if hedged:
            raise Refused(Reason.UNSUPPORTED, session.hedge_text())

    def _answered(self, session: Session, order: Order, answer: Any) -> None:
        """An answer with an id says that the exchange has the order."""
        seen = translate.seen(answer, order.order_id)
        if seen is None:
            raise Ambiguous(f"Order {order.order_id} is in doubt: venue {self.venue} gave it no id.")
        if seen.status is OrderStatus.UNKNOWN:
            seen = Seen(
                name=order.order_id,
                broker_id=seen.broker_id,
                symbol=order.symbol,
                status=OrderStatus.NEW,
                time=self.now(),
            )
        if not session.over:
            session.see(seen)

    def _refuse_twice(self, order: Order) -> None:
        if order.order_id in self._sent or self._book.find(order.order_id) is not None:
            raise DuplicateOrder(f"Order {order.order_id} was sent already: it is not sent a second time.")

    def _remember(self, order_id: str) -> None:
        while len(self._sent) >= REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[order_id] = None

    def _market(self, session: Session, order: Order) -> Any:
        market = (session.exchange.markets or {}).get(order.symbol)
        if market is None or session.market.instrument(order.symbol) is None:
            instead = self.spelling(order.symbol)
            text = f"Venue {self.venue} does not trade {order.symbol}"
            raise Refused(Reason.UNKNOWN_SYMBOL, f"{text}: {instead}" if instead else f"{text}.")
        return market

    async def _collar(self, session: Session, order: Order, market: Any) -> Decimal:
        """The limit of a purchase at the market: a little above what is offered."""
        try:
            book = await session.ask(session.exchange.fetch_order_book(order.symbol, 20))
        except GatewayError as error:
            raise Refused(Reason.NO_PRICE, f"Nothing was sent: {error}") from None
        asks = [amount(row[0]) for row in book.get("asks") or ()]
        if not asks:
            raise Refused(Reason.NO_PRICE, f"Nobody offers {order.symbol} at {self.venue}: nothing was sent.")
        tick = translate.instrument(self.venue, market).tick_size
        limit = min(asks) * (1 + Decimal(str(self._row.collar)))
        return (limit // tick) * tick

    def _check(self, session: Session, symbol: str, quantity: Decimal, prices: Sequence[Decimal]) -> None:
        """What ccxt would round is refused: nobody asked for that."""
        rounded: list[tuple[str, Reason, Any, Any]] = [
            ("quantity", Reason.BAD_LOT, quantity, session.exchange.amount_to_precision)
        ]
        rounded += [("price", Reason.BAD_TICK, each, session.exchange.price_to_precision) for each in prices]
        for name, reason, asked, precise in rounded:
            try:
                made = Decimal(precise(symbol, translate.plain(asked)))
            except Exception as error:
                raise Refused(reason, f"The {name} {asked:f} cannot be sent to {self.venue}: {error}.") from None
            if made != asked:
                text = f"The {name} {asked:f} is no multiple of what {self.venue} takes in {symbol}."
                raise Refused(reason, text)

    async def release(self, order: Order) -> None:
        """Not here: the gateway keeps tickets itself."""
        raise Unsupported(f"Venue {self.venue} holds no tickets.")

    async def cancel(self, order: Order) -> None:
        """Ask for the end of an order."""
        session = self._require()
        entry = self._entry(order)
        if entry is not None and entry.over:
            self._late(order, entry)
            return
        if entry is None:
            seen = await session.find(order, _external(order))
            entry = session.see(seen) if seen is not None else None
            if entry is None:
                raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self.venue} has no order {order.order_id}.")
            if entry.over:
                self._late(order, entry)
                return
        entry.cancel_asked = True
        identity, params = self._identity(session, order, entry)
        symbol = order.symbol if self._row.flat_symbol else None
        call = session.exchange.cancel_order(identity, symbol, params)
        try:
            answer = await session.command(f"The cancel of order {order.order_id}", call)
        except Refused as refused:
            await self._not_canceled(session, order, entry, refused)
            return
        seen = translate.seen(answer or {}, order.order_id) if self._row.cancel_answers else None
        if seen is not None and seen.status in CLOSED and not session.over:
            session.see(seen)

    def _identity(self, session: Session, order: Order, entry: Entry) -> tuple[str, dict[str, str]]:
        """How an order is named to the exchange: by our id where that is possible."""
        if self._row.find and not _external(order):
            client = session.client_id(order.order_id)
            return client, {self._row.find: client}
        return entry.broker_id or order.broker_order_id, {}

    def _entry(self, order: Order) -> Entry | None:
        return self._book.find("" if _external(order) else order.order_id, order.broker_order_id, order.symbol)

    def _late(self, order: Order, entry: Entry) -> None:
        text = f"The order is {entry.status} already."
        self._setup.report(CancelRejected(order.order_id, Reason.TOO_LATE, text, self.now()))

    async def _not_canceled(self, session: Session, order: Order, entry: Entry, refused: Refused) -> None:
        """The cancel was refused: what became of the order tells why."""
        seen = await session.find(order, _external(order))
        if seen is not None:
            session.see(seen)
        if entry.over and not entry.cancel_asked:
            return  # its end was told, or the answer to the cancel
        entry.cancel_asked = False
        if entry.over:
            self._late(order, entry)
            return
        reason = Reason.NO_SUCH_ORDER if seen is None else refused.reason
        self._setup.report(CancelRejected(order.order_id, reason, refused.text, self.now()))

    async def replace(self, order: Order) -> None:
        """Ask for other terms; what then holds is told."""
        session = self._require()
        entry = self._entry(order)
        if entry is None:
            seen = await session.find(order, _external(order))
            entry = session.see(seen) if seen is not None else None
        if entry is None:
            raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self.venue} has no order {order.order_id}.")
        if entry.over:
            text = f"The order is {entry.status} already."
            self._setup.report(ReplaceRejected(order.order_id, Reason.TOO_LATE, text, self.now()))
            return
        held = (entry.quantity or order.quantity, entry.limit if entry.limit is not None else order.limit_price)
        quantity = order.asked_quantity if order.asked_quantity is not None else held[0]
        limit = order.asked_limit_price if order.asked_limit_price is not None else held[1]
        if quantity <= entry.filled:
            text = f"{entry.filled:f} of order {order.order_id} are filled: it cannot become {quantity:f}."
            raise Refused(Reason.BAD_QUANTITY, text)
        if order.order_type.value != "LIMIT" or limit is None:
            raise Refused(Reason.UNSUPPORTED, f"Venue {self.venue} changes limit orders only.")
        if (quantity, limit) == held:
            self._setup.report(OrderReplaced(order.order_id, quantity, limit, None, self.now(), entry.broker_id))
            return
        self._check(session, order.symbol, quantity, [limit])
        await self._change(session, order, entry, quantity, limit)

    async def _change(self, session: Session, order: Order, entry: Entry, quantity: Decimal, limit: Decimal) -> None:
        entry.asked = (quantity, limit)
        side = "buy" if order.side.sign > 0 else "sell"
        _, params = self._identity(session, order, entry)
        identity = entry.broker_id or order.broker_order_id
        terms = (translate.plain(quantity), translate.plain(limit))
        call = session.exchange.edit_order(identity, order.symbol, "limit", side, *terms, params)
        try:
            answer = await session.command(f"The replace of order {order.order_id}", call)
        except Refused as refused:
            if entry.asked is not None:
                entry.asked = None
                self._setup.report(ReplaceRejected(order.order_id, refused.reason, refused.text, self.now()))
            return
        seen = translate.seen(answer or {}, order.order_id)
        if seen is not None and seen.whole and not session.over:
            session.see(translate.replaced(seen))

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works, whoever sent it. One that has ended since is not."""
        session = self._require()
        reports = []
        for seen in await session.open_list():
            entry = session.see(seen)
            if entry is None or not entry.over:
                reports.append(self._reported(seen, entry))
        return reports

    def _reported(self, seen: Seen, entry: Entry | None) -> OrderReport:
        order = entry.order if entry is not None else None
        return translate.report(seen, order, self._options.account, seen.name or None)

    async def lookup(self, order: Order) -> OrderReport | None:
        """An order by our id, as the exchange has it; Unsupported when it would have forgotten it."""
        session = self._require()
        entry, external = self._entry(order), _external(order)
        seen = await session.find(order, external)
        if seen is None and (seconds := self._unsettled(entry, order)) > 0:
            await session.wait(seconds)
            seen = await session.find(order, external)
        if seen is not None:
            if not session.over:
                session.see(seen)
            return self._as_ordered(seen, order)
        if self.now() - order.created > self._row.memory:
            text = f"Venue {self.venue} does not remember orders so long: of {order.order_id} it tells nothing."
            raise Unsupported(text)
        if self._row.forgets_unfilled and order.broker_order_id:
            return await self._forgotten(session, order)
        if entry is not None:
            entry.lost = True
        return None

    def _unsettled(self, entry: Entry | None, order: Order) -> float:
        """Seconds in which an order may still arrive; one of before this process was sent at its last change."""
        if entry is not None and entry.ours:
            return entry.unsettled - self._reactor.seconds()
        if order.broker_order_id or order.status in CLOSED or order.created > self._born:
            return 0.0
        return self._options.patience + 0.5 - (self._setup.clock() - order.updated).total_seconds()

    def _as_ordered(self, seen: Seen, order: Order) -> OrderReport:
        known = None if _external(order) else order
        reason = None
        if seen.status is OrderStatus.CANCELED:
            short = order.time_in_force.value in ("IOC", "FOK") or not order.order_type.has_limit
            reason = Reason.NOT_FILLABLE if short else Reason.USER
        return translate.report(seen, known, self._options.account, seen.name or None, reason)

    async def _forgotten(self, session: Session, order: Order) -> OrderReport:
        """An order that the exchange had, and shows no more: it was canceled with the fills that there are."""
        since = self._time.at(order.created) - timedelta(seconds=10)
        fills = [each for each in await session.trades(order.symbol, since) if each.broker_id == order.broker_order_id]
        filled = sum((each.quantity for each in fills), ZERO)
        worth = sum((each.quantity * each.price for each in fills), ZERO)
        seen = Seen(
            name=order.order_id,
            broker_id=order.broker_order_id,
            symbol=order.symbol,
            status=OrderStatus.CANCELED if filled < order.quantity else OrderStatus.FILLED,
            time=self.now(),
            filled=filled,
            average=worth / filled if filled else None,
            text="The exchange shows the order no more.",
        )
        return self._as_ordered(seen, order)

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """Our fills after `since`; of the last seven days when it is None."""
        session = self._require()
        return [self._execution(fill, fill.name) for fill in await session.trades(None, since)]

    async def positions(self) -> Sequence[Position]:
        """Every open position; on a spot market what is held of each currency that is no cash.

        GatewayError while a symbol is held long and short at once: their sum would call flat what is not.
        """
        session = self._require()
        account = self._options.account
        if self._options.kind == "swap":
            return translate.swap_positions(self.venue, account, await session.ask(session.exchange.fetch_positions()))
        held = await session.ask_balances()
        return translate.spot_positions(self.venue, account, held, session.pairs(), self._options.quotes)

    async def balances(self, account: str) -> AccountReport:
        """What the account holds, currency by currency."""
        session = self._require()
        if account != self._options.account:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        return translate.account_report(account, await session.held(), self._options.quotes)

    # the market

    async def instrument(self, symbol: str) -> Instrument | None:
        """A pair's rules; None when it is unknown or disabled."""
        return self._require().market.instrument(symbol)

    def spelling(self, symbol: str) -> str:
        """What may be meant by an unknown pair, such as the exchange's own BTCUSDT."""
        markets = (self._session.exchange.markets if self._session is not None else None) or {}
        return spelling(symbol, markets, self._options.kind, self._options.symbols)

    async def instruments(self) -> Sequence[Instrument]:
        """All that is traded."""
        return self._require().market.instruments()

    def subscribe(self, symbol: str) -> None:
        """Listen to a pair, unless it is unknown."""
        session = self._session
        if session is not None and session.ready and session.market.instrument(symbol) is not None:
            session.market.subscribe(symbol)

    def unsubscribe(self, symbol: str) -> None:
        """Listen no more."""
        if self._session is not None:
            self._session.market.unsubscribe(symbol)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars in [start, end), oldest first; none of an unknown pair."""
        session = self._require()
        if start >= end or session.market.instrument(symbol) is None:
            return []
        return await session.market.bars(symbol, period, start, end)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        """What several pairs were traded at last."""
        return await self._require().market.last_prices(symbols)

    # a venue of perpetuals, its book, its endpoints

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """The book of a pair now."""
        return await self._require().market.depth(symbol, levels)

    def subscribe_depth(self, symbol: str) -> None:
        """Report the book of a pair that is listened to."""
        if self._session is not None:
            self._session.market.follow(symbol)

    def unsubscribe_depth(self, symbol: str) -> None:
        """Report it no more."""
        if self._session is not None:
            self._session.market.unfollow(symbol)

    async def funding(self, symbol: str) -> Funding | None:
        """What holding a perpetual costs; None of any other pair."""
        return await self._require().market.funding(symbol)

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        """How many times its margin a position may be; None for what is bought with cash, and for an unknown pair."""
        session = self._require()
        self._mine(account)
        market = session.market.instrument(symbol)
        if market is None or not _is_perpetual(market):
            return None
        found = await session.ask(session.exchange.fetch_leverage(symbol))
        sides = [number(found.get(name)) for name in ("longLeverage", "shortLeverage")]
        known = [each for each in sides if each is not None]
        if not known:
            raise GatewayError(f"Venue {self.venue} does not tell the leverage of {symbol}.")
        return max(known)

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Change it, for long and short."""
        session = self._require()
        self._mine(account)
        market = session.market.instrument(symbol)
        if market is None or not _is_perpetual(market):
            raise Refused(Reason.UNSUPPORTED, f"{symbol} has no leverage at venue {self.venue}: it is no perpetual.")
        if leverage != int(leverage):
            raise Refused(Reason.REJECTED, f"Venue {self.venue} takes whole numbers of leverage only.")
        call = session.exchange.set_leverage(int(leverage), symbol)
        await session.command(f"The leverage {leverage:f} of {symbol}", call)

    async def position_mode(self, account: str) -> PositionMode:
        """Whether long and short are held as one or apart."""
        session = self._require()
        self._mine(account)
        return PositionMode.HEDGE if await session.ask_mode() else PositionMode.ONE_WAY

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Change it to ONE_WAY: HEDGE is refused. To what it is already is no change, and no refusal."""
        session = self._require()
        self._mine(account)
        if mode is PositionMode.HEDGE:
            text = (
                f"Venue {self.venue} is not set to HEDGE: positions here are net and orders name no position side, so "
                "none could be sent; stay in ONE_WAY, or trade that account by other means."
            )
            raise Refused(Reason.UNSUPPORTED, text)
        if not await session.ask_mode():
            return
        try:
            await session.command(f"The position mode {mode}", session.exchange.set_position_mode(False))
        finally:
            session.doubt_mode()

    def _mine(self, account: str) -> None:
        if account != self._options.account:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Send a request in the exchange's own words."""
        session = self._require()
        api, path = self._feeds.apis[call.api], call.path
        version, _, rest = path.partition("/")
        if version in self._feeds.versions and rest:
            api, path = [version, api[1]], rest
        work = session.exchange.request(path, api, call.method, dict(call.params))
        if call.changes:
            try:
                return await session.command(f"{call.method} {call.path}", work)
            finally:
                if "position" in call.path.lower():
                    session.doubt_mode()
        try:
            return await deferred(_awaited(work))
        except Exception as error:
            status = errors.http_refusal(error)
            if status:
                text = f"Venue {self.venue} answered {status} to {call.method} {call.path}: check the path"
                raise Refused(Reason.REJECTED, f"{text}, and whether it is public or private.") from error
            if errors.refusal(error, None) is not None or errors.is_answer(error):
                raise Refused(Reason.REJECTED, f"Venue {self.venue} refused it: {errors.sentence(error)}.") from error
            said = session.said(error)
            if isinstance(said, GatewayError) and not isinstance(said, TimedOut):
                raise Refused(Reason.VENUE_DOWN, str(said)) from error
            raise said from error

    def rate_limits(self) -> Sequence[RateLimit]:
        """How much of our share of its limits is left."""
        return self._pools.shown(self._setup.clock().timestamp())


def _is_perpetual(instrument: Instrument) -> bool:
    return instrument.asset_class is AssetClass.PERPETUAL


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _external(order: Order) -> bool:
    return order.origin is Origin.EXTERNAL
