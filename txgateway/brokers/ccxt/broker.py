"""CcxtBroker: the broker contract over links to one exchange, by ccxt.

What an order of ours is called there is made of its id (ids), so that frames and lists name it as we do, after a
restart too. Frames are the truth about an order; the answer to an order call is one more word on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txgateway.brokers import Can, Setup
from txgateway.brokers.ccxt import endpoints, exchange, feeds, peculiarities, translate
from txgateway.brokers.ccxt.book import Book, Entry
from txgateway.brokers.ccxt.clock import VenueClock
from txgateway.brokers.ccxt.limits import Pools
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import mistakes, read
from txgateway.brokers.ccxt.orders import Orders, is_external
from txgateway.brokers.ccxt.perpetuals import Perpetuals
from txgateway.brokers.ccxt.session import Session
from txgateway.brokers.ccxt.spelling import spelling
from txgateway.brokers.ccxt.words import Fill, Seen
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import (
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, Period
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit

log = Logger()

ZERO = Decimal(0)
START_SECONDS = 60.0
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until the next attempt to connect; after a link that could be asked they begin anew."""
MARKETS_KEPT = 1800.0
"""So many seconds markets need not be loaded again after a broken link."""


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
        self._orders = Orders(
            options,
            self._row,
            self.venue,
            self._reactor,
            setup.report,
            self.now,
            self._book,
            self._memory,
            self._tell_shared,
        )
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
        await self._orders.submit(self._require(), order)

    async def cancel(self, order: Order) -> None:
        """Ask for the end of an order."""
        await self._orders.cancel(self._require(), order)

    async def replace(self, order: Order) -> None:
        """Ask for other terms; what then holds is told."""
        await self._orders.replace(self._require(), order)

    async def release(self, order: Order) -> None:
        """Not here: the gateway keeps tickets itself."""
        raise Unsupported(f"Venue {self.venue} holds no tickets.")

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works, whoever sent it. One that has ended since is not."""
        session = self._require()
        reports = []
        for seen in await session.lists.open_orders():
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
        entry, external = self._orders.entry(order), is_external(order)
        seen = await session.lists.find(order, external)
        if seen is None and (seconds := self._unsettled(entry, order)) > 0:
            await session.wait(seconds)
            seen = await session.lists.find(order, external)
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
        known = None if is_external(order) else order
        reason = None
        if seen.status is OrderStatus.CANCELED:
            short = order.time_in_force.value in ("IOC", "FOK") or not order.order_type.has_limit
            reason = Reason.NOT_FILLABLE if short else Reason.USER
        return translate.report(seen, known, self._options.account, seen.name or None, reason)

    async def _forgotten(self, session: Session, order: Order) -> OrderReport:
        """An order that the exchange had, and shows no more: it was canceled with the fills that there are."""
        since = self._time.at(order.created) - timedelta(seconds=10)
        fills = [
            each for each in await session.lists.trades(order.symbol, since) if each.broker_id == order.broker_order_id
        ]
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
        return [self._execution(fill, fill.name) for fill in await session.lists.trades(None, since)]

    async def positions(self) -> Sequence[Position]:
        """Every open position; on a spot market what is held of each currency that is no cash.

        GatewayError while a symbol is held long and short at once: their sum would call flat what is not.
        """
        session = self._require()
        account = self._options.account
        if self._options.kind == "swap":
            found = await session.ask(session.exchange.fetch_positions())
            ours = [each for each in found if not session.elsewhere(str(each.get("symbol") or ""))]
            return translate.swap_positions(self.venue, account, ours)
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
        return await self._perpetuals(account).leverage(symbol)

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Change it, for long and short."""
        await self._perpetuals(account).set_leverage(symbol, leverage)

    async def position_mode(self, account: str) -> PositionMode:
        """Whether long and short are held as one or apart."""
        return PositionMode.HEDGE if await self._perpetuals(account).hedge() else PositionMode.ONE_WAY

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Change it to ONE_WAY: HEDGE is refused. To what it is already is no change, and no refusal."""
        await self._perpetuals(account).set_mode(mode)

    def _perpetuals(self, account: str) -> Perpetuals:
        session = self._require()
        if account != self._options.account:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        return session.perpetuals

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Send a request in the exchange's own words."""
        return await endpoints.call(self._require(), self._feeds, call)

    def rate_limits(self) -> Sequence[RateLimit]:
        """How much of our share of its limits is left."""
        return self._pools.shown(self._setup.clock().timestamp())
