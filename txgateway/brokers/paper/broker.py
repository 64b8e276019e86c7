"""PaperBroker: the contract over a feed, an exchange and a book. What happened in a turn is written, then told.

Commands arrive after the configured latency, in the order given; without one they are answered within the call. All
of them come in by `_link.send` and `do`, and all that is told goes out by `_flush` and `_link`: there is no other
door, and so it is there that faults are put.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers import Can, Setup
from txgateway.brokers.paper.accounts import positions
from txgateway.brokers.paper.book import Book
from txgateway.brokers.paper.exchange import Exchange
from txgateway.brokers.paper.faults import Faults
from txgateway.brokers.paper.feed import Feed, Shown, Withdrawn
from txgateway.brokers.paper.latency import Command
from txgateway.brokers.paper.link import Asked, Link, Told
from txgateway.brokers.paper.opening import make_exchange, make_feed, mistakes
from txgateway.brokers.paper.options import read
from txgateway.brokers.paper.sessions import Sessions, load_schedule
from txgateway.brokers.paper.turn import Turn
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import VenueStatus, VenueStatusChanged
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, LastPrice, Level, NoPrice, Period, Quote, Statistics
from txgateway.model.order import Order, OrderReport, OrderStatus, Origin

log = Logger()

RETRY_SECONDS = 1.0
"""How long after a failed write of the book the next is tried."""


class DuplicateOrder(GatewayError):
    """An order was sent a second time. A real broker would have filled it twice; the first one stands as it stood."""


class PaperBroker:
    """A broker in the same process, with accounts of play money and prices made up or recorded."""

    can = (
        Can.MARKET | Can.LIMIT | Can.STOP | Can.STOP_LIMIT
        | Can.DAY | Can.GTC | Can.IOC | Can.FOK
        | Can.REPLACE | Can.STAGE | Can.QUOTES | Can.TRADES | Can.DEPTH | Can.BARS
        | Can.CLIENT_ORDER_ID | Can.LOOKUP | Can.EXECUTION_HISTORY | Can.CASH | Can.FAULTS
        | Can.LAST_PRICES
    )  # fmt: skip

    mistakes = staticmethod(mistakes)

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self.duplicates = 0
        self._setup = setup
        self._reactor = setup.reactor
        self._settings = read(setup.options)
        self._accounts = tuple(opening.name for opening in self._settings.accounts)
        self._book = Book(setup.folder / f"book-{re.sub(r'[^A-Za-z0-9_.-]', '_', setup.venue)}.sqlite3", setup.venue)
        self._clock = setup.clock
        self._running = False
        self._feed: Feed
        self.exchange: Exchange
        self._listened: set[str] = set()
        self._shown: set[str] = set()
        self._deep: set[str] = set()
        self._pinned = ""
        self._link = Link(setup.reactor, self._settings.latency, Faults(self._settings.faults), self)
        self._retry: Any = None
        self._back: Any = None

    # life

    def startService(self) -> None:
        """Open the feed and the book; resting orders go on. ValueError or BookError when that cannot be."""
        if self._running or self._back is not None:
            return
        self._link.begin()
        self._link.say(VenueStatus.CONNECTING, "opening the feed and the book")
        try:
            self._open()
        except Exception as error:
            self._link.say(VenueStatus.DOWN, str(error))
            raise
        self._running = True
        self._clock = self._feed.now
        self._link.say(VenueStatus.RECONCILING, "ready to be asked")
        self.exchange.expire(self._feed.now())
        self._flush()
        for symbol, matcher in list(self.exchange.matchers.items()):
            if matcher.idle:
                continue
            if self._feed.instrument(symbol) is not None:
                self._show(symbol)
            elif not self._feed.live:
                log.warn("{symbol} has open orders and does not trade here: they wait.", symbol=symbol)
        self._show_waiting()

    def stopService(self) -> None:
        """Let what is on its way arrive, and close the book."""
        if not self._running and self._back is None:
            return
        self._link.say(VenueStatus.STOPPING, "closing the book")
        self._link.close()
        if self._back is not None:
            self._back.cancel()
            self._back = None
        if self._running:
            self._flush()
            self._close()
        self._link.say(VenueStatus.DOWN, "stopped")

    def restart(self, seconds: float, empty: bool) -> None:
        """Go down at once, and come back so many seconds later with the book, or with a new one."""
        self._link.cut("the broker restarts")
        self._flush()
        self._close()
        if empty:
            self._book.lose()
        self._back = self._reactor.callLater(seconds, self._come_back)

    def _come_back(self) -> None:
        self._back = None
        try:
            self.startService()
        except (ValueError, GatewayError):
            log.failure("The paper broker could not restart.")

    def now(self) -> datetime:
        """The feed's clock, once there is one."""
        return self._clock()

    def accounts(self) -> Sequence[str]:
        """The configured accounts."""
        return self._accounts

    # orders

    async def submit(self, order: Order) -> None:
        """Take an order, or a ticket when it is staged. The same id again raises DuplicateOrder."""
        self._require_running()
        await self._link.send(Asked.SUBMIT, order, lambda now: self._submit(order, now))

    async def release(self, order: Order) -> None:
        """Make a ticket a live order. Once; after that DuplicateOrder is raised."""
        self._require_running()
        await self._link.send(Asked.RELEASE, order, lambda now: self._release(order, now))

    async def cancel(self, order: Order) -> None:
        """Answers OrderCanceled, or CancelRejected (TOO_LATE, NO_SUCH_ORDER)."""
        self._require_running()
        await self._link.send(Asked.CANCEL, order, lambda now: self.exchange.cancel(order, now))

    async def replace(self, order: Order) -> None:
        """Answers OrderReplaced, or ReplaceRejected."""
        self._require_running()
        await self._link.send(Asked.REPLACE, order, lambda now: self.exchange.replace(order, now))

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works or is staged."""
        await self._asked()
        self.do(lambda now: None)
        return [held.report() for held in self.exchange.open.values()]

    async def lookup(self, order: Order) -> OrderReport | None:
        """The book's word on an order; nothing is ever deleted from it, so None means that it never came."""
        await self._asked()
        names = [order.order_id, *([order.client_order_id] if order.origin is Origin.EXTERNAL else [])]
        found = (self.exchange.open.get(name) or self._book.find(name) for name in names)
        held = next(filter(None, found), None)
        return held.report() if held else None

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """The book's executions after `since`, and all since the feed's clock last went back, read as they are used."""
        await self._asked()
        return self._book.executions(since)

    async def positions(self) -> Sequence[Position]:
        """Every open position."""
        await self._asked()
        return positions(self.exchange.accounts.values())

    async def balances(self, account: str) -> AccountReport:
        """Cash, margin and profit, valued now. Refused for an unknown account."""
        await self._asked()
        if account not in self.exchange.accounts:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        return self.exchange.accounts[account].report()

    # the market

    async def instrument(self, symbol: str) -> Instrument | None:
        """The trading rules of a symbol."""
        await self._asked()
        return await self._feed.look_up(symbol)

    async def instruments(self) -> Sequence[Instrument]:
        """Everything that trades here."""
        await self._asked()
        return self._feed.instruments()

    def subscribe(self, symbol: str) -> None:
        """Report the day's figures, the quote and the trade of now, and every one that follows."""
        if not (self._running and self._link.hears) or self._feed.instrument(symbol) is None:
            return
        self._feed.poll()
        self._with_market(symbol, lambda: self._listened.add(symbol))
        matcher = self.exchange.matcher(symbol)
        shown = (self._feed.statistics(symbol), matcher.quote, matcher.last)
        self._link.tell([each for each in shown if each is not None], {})

    def unsubscribe(self, symbol: str) -> None:
        """Report it no more; its resting orders still meet the market."""
        self._listened.discard(symbol)
        self._deep.discard(symbol)
        self._hide(symbol)

    def forget_listeners(self) -> None:
        """The connection ended: nobody listens any more."""
        for symbol in list(self._listened):
            self.unsubscribe(symbol)

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """What this market shows of its book: one level of each side; none where it shows trades alone."""
        await self._asked()
        if self._feed.instrument(symbol) is None:
            return None
        self._feed.poll()
        shown: list[Depth] = []
        self._with_market(symbol, lambda: shown.append(self._book_of(symbol)))
        return shown[0]

    def subscribe_depth(self, symbol: str) -> None:
        """Report the book with every quote of a subscribed symbol."""
        if symbol not in self._listened:
            return
        self._deep.add(symbol)
        quote = self.exchange.matcher(symbol).quote
        if quote is not None:
            self._link.tell([depth_of(quote)], {})

    def unsubscribe_depth(self, symbol: str) -> None:
        """Report it no more."""
        self._deep.discard(symbol)

    def _book_of(self, symbol: str) -> Depth:
        quote = self.exchange.matcher(symbol).quote
        return Depth(symbol, (), (), self._feed.now()) if quote is None else depth_of(quote)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars that start in [start, end), up to now; none for an unknown symbol."""
        await self._asked()
        if self._feed.instrument(symbol) is None:
            return []
        return await self._feed.bars(symbol, period, start, end)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """What the market shows to have been traded last; on another venue's prices, by that venue's word."""
        await self._asked()
        self._feed.poll()
        return await self._feed.last_prices(symbols)

    # faults

    def faults(self) -> Sequence[Fault]:
        """What is set to go wrong."""
        return self._link.faults.all()

    def set_fault(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        self._link.faults.set(fault)

    def clear_faults(self, kind: FaultKind | None) -> None:
        """Let nothing of this kind (None: nothing at all) go wrong any more."""
        self._link.clear(kind)

    # building

    def _open(self) -> None:
        settings = self._settings
        sessions = Sessions(settings.timezone, load_schedule(settings.calendar) if settings.calendar else None)
        self._feed = make_feed(self._setup, settings, sessions)
        self._feed.start(self._hear)
        try:
            self._book.open(self._setup.clock(), self._feed.now())
            self.duplicates = self._book.duplicates()
            self.exchange = make_exchange(self.venue, settings, self._feed, sessions, self._book)
        except BaseException:
            self._feed.stop()
            self._book.close()
            raise

    def _close(self) -> None:
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._feed.stop()
        self._listened.clear()
        self._shown.clear()
        self._book.close()

    # in

    def _require_running(self) -> None:
        if not self._running:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        self._link.require_up()

    async def _asked(self) -> None:
        """A question has come through the door."""
        self._require_running()
        await self._link.ask()
        self._require_running()

    def do(self, command: Command) -> None:
        """Bring the market up to now, then do it there."""
        now = self._feed.poll()
        self.exchange.expire(now)
        try:
            command(now)
        finally:
            self._flush()

    def _submit(self, order: Order, now: datetime) -> None:
        if order.order_id in self.exchange.open or self._is_unwritten(order) or self._book.has(order.order_id):
            raise self._duplicate(order, "submit")
        self._with_market(order.symbol, lambda: self.exchange.submit(order, now))

    def _release(self, order: Order, now: datetime) -> None:
        ticket = self.exchange.find(order)
        if ticket is not None and ticket.status is OrderStatus.STAGED:
            self._with_market(ticket.symbol, lambda: self.exchange.release(order, now))
            return
        held = ticket or self._book.find(order.order_id)
        if held is None:
            raise Refused(Reason.NO_SUCH_ORDER, f"There is no ticket {order.order_id} here.")
        if held.status in (OrderStatus.CANCELED, OrderStatus.REJECTED) and not held.filled:
            raise Refused(Reason.NOT_A_TICKET, f"Ticket {order.order_id} is {held.status} already.")
        raise self._duplicate(order, "release")

    def _is_unwritten(self, order: Order) -> bool:
        return any(held.order_id == order.order_id for held in self.exchange.turn.orders.values())

    def _duplicate(self, order: Order, what: str) -> DuplicateOrder:
        self.duplicates += 1
        self._book.write_duplicate(order.order_id, what, self._feed.now())
        text = f"Order {order.order_id} came a second time ({what}): a real broker would have traded it twice."
        log.critical("{text}", text=text, order_id=order.order_id)
        return DuplicateOrder(text)

    def _with_market(self, symbol: str, command: Callable[[], object]) -> None:
        """Do something while the present market of a symbol is shown, whether anybody listens to it or not."""
        self._pinned = symbol
        try:
            self._show(symbol)
            command()
        finally:
            self._pinned = ""
            self._hide(symbol)

    def _show(self, symbol: str) -> None:
        if symbol not in self._shown and self._feed.instrument(symbol) is not None:
            self._shown.add(symbol)
            self._feed.subscribe(symbol)

    def _hide(self, symbol: str) -> None:
        """Show a symbol no more that nobody listens to and no order waits for."""
        needed = symbol in self._listened or symbol == self._pinned
        if symbol in self._shown and not needed and self.exchange.matcher(symbol).idle:
            self._shown.discard(symbol)
            self._feed.unsubscribe(symbol)
            if self._feed.live:
                self.exchange.matcher(symbol).withdraw()  # what it shows when it is subscribed again may come later

    def _hear(self, events: Sequence[Shown]) -> None:
        """What the market shows: listeners are told, orders meet it, in one turn."""
        try:
            for event in events:
                self._take_in(event)
            if not events:
                self.exchange.expire(self._feed.now())
                self._show_waiting()
        except Exception:
            log.failure("What the market showed could not be taken in.")
        self._flush()
        listened = self._listened
        for symbol in {event.symbol for event in events} - listened:
            self._hide(symbol)

    def _take_in(self, event: Shown) -> None:
        exchange, heard = self.exchange, event.symbol in self._listened
        if isinstance(event, Withdrawn):
            left = exchange.matcher(event.symbol).withdraw()
            if left is not None and heard:
                exchange.turn.reports.append(replace(left, time=event.time))
        elif isinstance(event, Statistics):
            if heard:
                exchange.turn.reports.append(event)
        else:
            at = self._feed.now() if self._feed.live else event.time
            exchange.expire(at)
            if heard:
                exchange.turn.reports.append(event)
            exchange.show(event, at)

    def _show_waiting(self) -> None:
        """Show what orders wait for and could not be looked up before: a live feed's link may just have come."""
        if not self._feed.live:
            return
        for symbol, matcher in list(self.exchange.matchers.items()):
            if not matcher.idle and symbol not in self._shown:
                Deferred.fromCoroutine(self._show_later(symbol)).addErrback(self._not_shown, symbol)

    async def _show_later(self, symbol: str) -> None:
        found = await self._feed.look_up(symbol)
        if found is None:
            log.warn("{symbol} has open orders and does not trade here: they wait.", symbol=symbol)
        elif self._running and not self.exchange.matcher(symbol).idle:
            self._show(symbol)

    def _not_shown(self, failure: Any, symbol: str) -> None:
        if failure.check(GatewayError):
            log.info(
                "{symbol} has open orders, and is not shown: {text}", symbol=symbol, text=failure.getErrorMessage()
            )
        else:
            log.failure("{symbol} could not be looked up.", failure, symbol=symbol)

    # out

    def _flush(self) -> None:
        """Write the turn, then tell it; what cannot be written now is kept, untold, and tried again."""
        turn = self.exchange.turn
        if turn.changed:
            if self._retry is None:
                try:
                    self._book.write(turn)
                except sqlite3.Error:
                    log.failure("The paper broker's book cannot be written: nothing is told until it can.")
                    self._retry = self._reactor.callLater(RETRY_SECONDS, self._try_again)
            if self._retry is not None:
                turn.drop_market()
                return
        if turn.reports:
            self.exchange.turn = Turn()
            self._link.tell(turn.reports, turn.orders)

    def _try_again(self) -> None:
        self._retry = None
        self._flush()

    def hear(self, event: Told) -> None:
        """Report one event."""
        self._setup.report(event)
        if self._deep and isinstance(event, Quote) and event.symbol in self._deep:
            self._setup.report(depth_of(event))

    def status(self, status: VenueStatus, text: str) -> VenueStatusChanged:
        """A state of the connection, by the wall's clock."""
        return VenueStatusChanged(self.venue, status, text, self._setup.clock())


def depth_of(quote: Quote) -> Depth:
    """The book that a quote is: one level of each side, none of a side that is not there."""
    bids = (Level(quote.bid, quote.bid_size),) if quote.bid_size > 0 else ()
    asks = (Level(quote.ask, quote.ask_size),) if quote.ask_size > 0 else ()
    return Depth(quote.symbol, bids, asks, quote.time)
