"""One link to an exchange: its markets, its private stream, what it is asked, and back-up polls.

A session is over for good when its stream breaks: another is begun, and the desk reconciles. It tells nothing then.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import ccxt
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from txgateway.brokers import Can, Report
from txgateway.brokers.ccxt import errors, exchange, ids, translate
from txgateway.brokers.ccxt.balances import Balances, locked_by
from txgateway.brokers.ccxt.book import Book, Entry
from txgateway.brokers.ccxt.clock import VenueClock
from txgateway.brokers.ccxt.feeds import Feeds
from txgateway.brokers.ccxt.frames import EPOCH, Names, moment
from txgateway.brokers.ccxt.limits import Pools, Request
from txgateway.brokers.ccxt.link import coroutine
from txgateway.brokers.ccxt.lists import Lists
from txgateway.brokers.ccxt.market import Market
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.brokers.ccxt.peculiarities import Peculiarities
from txgateway.brokers.ccxt.perpetuals import Perpetuals
from txgateway.brokers.ccxt.words import Denied, Ended, Fill, Heard, Held, Seen, Word
from txgateway.futures import deferred
from txgateway.model.errors import Ambiguous, GatewayError, Refused, TimedOut
from txgateway.model.events import OrderAccepted, OrderEvent

log = Logger()


class NotSent(ccxt.OperationRejected):
    """A request was held back here."""


ZERO = Decimal(0)
CHASE = (1.0, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds until fills that are missing are asked for, `TRIES` times: a stream may bring them by itself."""
AT_ONCE = (0.02, 0.3, 1.0, 2.0, 5.0, 10.0)
"""The same, where no stream brings them."""
LOOK, QUIET, OFTEN, SELDOM = 5.0, 60.0, 5.0, 120.0
"""The back-up poll is looked after each `LOOK` seconds: it comes after `SELDOM`, or `OFTEN` once the private stream has
been quiet for `QUIET`."""
CLOCK = 600.0
"""So often, at the least, is the clock set by the exchange's: one that is wrong has every order refused."""
SUSPECT = 1.0
"""A clock that was set so many seconds ago is not what is wrong."""
FRESH = 120.0
"""So old may what is known of the balances be."""
WRONG = timedelta(days=1)
"""A clock that differs from ours by so much is not followed: fills would be asked for of times to come."""
TIME = "%Y-%m-%d %H:%M:%S"
LONGEST = 60.0
"""So many seconds a question may wait for the rate limits; an order and a cancel only as long as for an answer."""
LONGEST_PREFIX = 16
"""So many letters an exchange, or ccxt, may put before a client's id."""


class Session:
    """The ears of one exchange object. `drop` ends the link with a reason."""

    def __init__(
        self,
        options: CcxtOptions,
        row: Peculiarities,
        venue: str,
        reactor: Any,
        clock: Callable[[], datetime],
        time: VenueClock,
        report: Report,
        complain: Callable[[str], None],
        drop: Callable[[str], None],
        book: Book,
        memory: Memory,
        feeds: Feeds,
        pools: Pools,
    ) -> None:
        self.options, self.row, self.venue = options, row, venue
        self.book, self.memory = book, memory
        self.feeds, self._pools = feeds, pools
        self.over = self.ready = False
        self.balances = Balances(row.balances_by_stream)
        self._reactor, self._clock, self.time = reactor, clock, time
        self._report, self.complain, self._drop = report, complain, drop
        self._heard: set[str] = set()
        self._confirmed: Deferred[None] | None = None
        self._tasks: list[asyncio.Future[Any]] = []
        self._timers: dict[str, Any] = {}
        self._chasing: set[str] = set()
        self._last_word = self._last_poll = self._set_time = reactor.seconds()
        self._polled = self.now()
        self._names = Names(self.order_id, self._symbol)
        self.exchange = exchange.make(options, row, feeds, self)
        streaming = self.exchange.streaming
        streaming["keepAlive"] = min(int(options.silence * 1000 / 3), int(streaming.get("keepAlive", 30000)))
        streaming["maxPingPongMisses"] = 2
        self.lists = Lists(self)
        self.market = Market(self.exchange, options, feeds, venue, self._tell, reactor, self.now, complain)
        self.perpetuals = Perpetuals(self, self.market, Can.POSITION_MODE in feeds.can, reactor.seconds)

    def now(self) -> datetime:
        """The exchange's clock."""
        return self.time.now(self._clock())

    # ---------------------------------------------------------------- life

    async def begin(self, markets: tuple[Any, Any] | None) -> None:
        """Ask what is needed, and subscribe the private stream; raises where that fails. `markets`: those of before."""
        await self.set_time()  # what asks for the markets may be signed
        if markets is not None:
            self.exchange.set_markets(*markets)
        else:
            await self.ask(self.exchange.load_markets())
        await self.set_time()  # more exactly, over a connection that stands
        # A key that is refused is told of here in the exchange's own words; of a stream ccxt may lose them.
        await self.ask_balances()
        self._polled = self.now()
        self._confirmed = Deferred()
        for name, params in self.row.watch:
            arguments = [sorted(each.symbol for each in self.market.instruments())] if self.row.every_pair else []
            self._keep(self._watch(name, arguments, dict(params)))
        if self.row.beats:
            self._keep(self.exchange.subscribe(self.row.beats, False))
        self._confirm()
        await self._confirmed
        await self.ask_balances()
        await self.perpetuals.look()
        self.ready = True
        self._look_later()

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(self._watched)

    async def _watch(self, name: str, arguments: list[Any], params: dict[str, Any]) -> None:
        while not self.over:
            got = await getattr(self.exchange, name)(*arguments, params=params)
            if name == "watch_orders" and isinstance(got, list):
                for each in got:  # not every exchange's orders come by `order` as they are read
                    self.order(each)

    def _watched(self, task: asyncio.Future[Any]) -> None:
        """The stream is over, or never was."""
        if task.cancelled() or self.over:
            return
        error = task.exception()
        if error is None:
            return
        text = f"the private stream ended: {errors.sentence(error)}"
        confirmed, self._confirmed = self._confirmed, None
        if confirmed is not None and not confirmed.called:
            confirmed.errback(GatewayError(text))
            return
        self._drop(text)

    def _confirm(self) -> None:
        confirmed = self._confirmed
        if confirmed is not None and not confirmed.called and self.row.streams <= self._heard:
            confirmed.callback(None)

    def close(self) -> Deferred[Any]:
        """The link is over; fires when it is closed."""
        self.over, self.ready = True, False
        self.market.close()
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        closing = deferred(self.exchange.close())
        closing.addErrback(lambda failure: log.info("Closing {venue}: {failure}", venue=self.venue, failure=failure))
        return closing

    def later(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do something once, unless the link is over by then."""
        running = self._timers.get(name)
        if self.over or (running is not None and running.active()):
            return

        async def guarded() -> None:
            try:
                if not self.over:
                    await work()
            except GatewayError as error:
                if not self.over:
                    log.info("{venue}: {error}", venue=self.venue, error=str(error))
            except Exception:
                log.failure("{venue}: {name} failed.", venue=self.venue, name=name)

        self._timers[name] = self._reactor.callLater(seconds, lambda: Deferred.fromCoroutine(guarded()))

    # ---------------------------------------------------------------- what comes

    def frame(self, url: str, message: Any) -> bool:
        """A frame; ccxt need not have one that is ours alone."""
        if self.over:
            return True
        if self.market.count(url, message):
            self.later("a poll for what is missing", 0.5, self.poll)
        try:
            words = self.row.decode(message, self._names) if self.row.decode is not None else None
        except Exception:
            log.failure("{venue}: a private frame could not be read.", venue=self.venue)
            self.later("a poll for what could not be read", 0.5, self.poll)
            return True
        if words is None:
            return self.market.take(url, message)
        for word in words:
            try:
                self.take(word)
            except Exception:
                log.failure("{venue}: {word} could not be taken in.", venue=self.venue, word=word)
                self.later("a poll for what could not be taken in", 0.5, self.poll)
        return not any(isinstance(word, Heard) for word in words)

    def opened(self, url: str) -> None:
        """A WebSocket is connected; to one with a key in its address nothing more need be said."""
        if re.search(r"/private/|/ws/\w{8,}$", url):
            self._hear("connected")

    def order(self, unified: Mapping[str, Any]) -> None:
        """An order as ccxt read it in a frame that we do not read ourselves."""
        if self.over or self.row.decode is not None:
            return
        try:
            seen = translate.seen(unified, self.name_of(unified))
            if seen is not None:
                self.take(seen)
        except Exception:
            log.failure("{venue}: an order of the stream could not be read.", venue=self.venue)
            self.later("a poll for what could not be read", 0.5, self.poll)

    async def admit(self, request: Request) -> float:
        """Wait until a request fits the exchange's limits; when it does.

        An order is sent within our patience or surely not: who looks it up later must not be told that it never
        arrived by one that is still to go.
        """
        commands = request.is_order or request.is_cancel
        ends = self._reactor.seconds() + (self.options.patience if commands else LONGEST)
        while not self.over and self.options.throttle:
            wait = self._pools.wait(request, self._unix())
            if wait <= 0:
                break
            if self._reactor.seconds() + wait > ends:
                text = f"it was not sent: {self.venue} takes nothing more for {wait:.0f} s (its rate limits)"
                raise NotSent(text)
            await asyncio.sleep(min(wait, 1.0))
        if self.over:
            raise NotSent(f"it was not sent: the link to {self.venue} is gone")
        sent = self._unix()
        self._pools.charge(request, sent)
        return sent

    def ended(self, request: Request, sent: float) -> None:
        """A request is over: only now is it known to have arrived."""
        self._pools.ended(request, sent, self._unix())

    def answered(self, code: int, headers: Mapping[str, str]) -> None:
        """What an answer's headers tell of the limits."""
        self._pools.answered(code, headers, self._unix())

    def _unix(self) -> float:
        return self._clock().timestamp()

    def _hear(self, stream: str) -> None:
        self._heard.add(stream)
        self._confirm()

    def take(self, word: Word) -> None:
        """What the private stream says."""
        self._last_word = self._reactor.seconds()
        if isinstance(word, Heard):
            self._hear(word.stream)
        elif isinstance(word, Ended):
            self._drop(word.text)
        elif isinstance(word, Held):
            self.balances.hear(word)
        elif self.elsewhere(word.symbol):
            return
        elif isinstance(word, Fill):
            self._heard_of(word)
        elif isinstance(word, Denied):
            self.tell(self.book.deny(word, self.now()))
        else:
            self.see(word)

    def see(self, seen: Seen) -> Entry | None:
        """What was said of an order, by whatever means."""
        self.tell(self.book.see(seen, self.now()))
        entry = self.book.find(seen.name, seen.broker_id, seen.symbol)
        if entry is not None and entry.wants:
            self.chase(entry.symbol)
        return entry

    def _heard_of(self, fill: Fill) -> None:
        """A fill in a frame; one that lacks what a fill is must be asked for."""
        if fill.price <= 0 or fill.quantity <= 0:
            log.warn("{venue}: a fill of {quantity} at {price} is none.", venue=self.venue, quantity=fill.quantity,
                     price=fill.price)  # fmt: skip
            self.chase(fill.symbol)
        else:
            self.filled(fill if fill.time > EPOCH else replace(fill, time=self.now()))

    def filled(self, fill: Fill, asked_for: bool = False) -> None:
        """A fill came, or was found."""
        entry = self.book.find(fill.name, fill.broker_id, fill.symbol)
        if entry is None or fill.execution_id not in entry.fills:
            market = (self.exchange.markets or {}).get(fill.symbol) or {}
            self.balances.moved(translate.moved(fill, market), fill.time)
        self.tell(self.book.fill(fill, self.now(), asked_for))

    def tell(self, events: Iterable[OrderEvent]) -> None:
        """Report what is news."""
        for event in events:
            if isinstance(event, OrderAccepted):
                self._remember(event)
            self._tell(event)

    def _remember(self, event: OrderAccepted) -> None:
        try:
            entry = self.book.find(event.order_id)
            self.memory.number(entry.symbol if entry is not None else "", event.broker_order_id, event.order_id)
        except OSError as error:
            log.error("The id of {order} cannot be kept: {error}", order=event.order_id, error=error)

    def _tell(self, event: Any) -> None:
        if not self.over:
            self._report(event)

    # ---------------------------------------------------------------- names

    def client_id(self, order_id: str) -> str:
        """What an order of ours is called there."""
        return ids.client_id(self.row.form, order_id)

    def order_id(self, written: str) -> str:
        """The order that is called so; another's id stays as it is."""
        if not written:
            return ""
        found = ids.order_id(self.row.form, written) or self.memory.named(written)
        return found or written

    def name_of(self, unified: Mapping[str, Any]) -> str:
        """The order that ccxt has read: ours where its client's id is, or what was made of that, or its number."""
        written = str(unified.get("clientOrderId") or "")
        if written == "0":
            written = ""  # some write no id so: it would be one name for many orders
        name = self.order_id(written)
        if self.row.find or self.book.is_ours(name):
            return name
        symbol, number = str(unified.get("symbol") or ""), str(unified.get("id") or "")
        known = (self.book.name_of(symbol, number) or self.memory.numbered(symbol, number)) if number else ""
        rests = (written[at:] for at in range(1, min(len(written), LONGEST_PREFIX)))
        return known or next((each for each in rests if self.book.is_ours(each)), name)

    def _symbol(self, market_id: str) -> str:
        kind = self.options.kind or None
        markets = (self.exchange.markets_by_id or {}).get(market_id) or ()
        for market in markets:
            if kind is None or market.get("type") == kind:
                return str(market["symbol"])
        return str(markets[0]["symbol"]) if markets else market_id

    def elsewhere(self, symbol: str) -> bool:
        """Whether a pair is of the key's other market: that one is traded by another venue, or by none."""
        return translate.elsewhere(symbol, (self.exchange.markets or {}).get(symbol), self.options.kind)

    def pairs(self) -> dict[str, str]:
        """Currency -> the pair in which a holding of it is told: one that was traded here, else by its quote."""
        found: dict[str, str] = {}
        markets = self.exchange.markets or {}
        for symbol in [*self.memory.symbols, *self.options.symbols]:
            if symbol in markets and not self.elsewhere(symbol):
                found.setdefault(str(markets[symbol]["base"]), symbol)
        for quote in self.options.quotes:
            for symbol, market in markets.items():
                if market.get("quote") == quote and market.get("spot"):
                    found.setdefault(str(market["base"]), symbol)
        return found

    def traded(self) -> list[str]:
        """The pairs of which there may be fills."""
        markets = self.exchange.markets or {}
        named = [*self.memory.symbols, *self.options.symbols, *(entry.symbol for entry in self.book.open())]
        return [symbol for symbol in dict.fromkeys(named) if symbol in markets and not self.elsewhere(symbol)]

    # ---------------------------------------------------------------- questions

    async def ask(self, work: Awaitable[Any]) -> Any:
        """What the exchange answers; TimedOut or GatewayError with a sentence where it does not."""
        try:
            return await deferred(coroutine(work))
        except Exception as error:
            self._suspect_clock(error)
            raise self.said(error) from error

    def _suspect_clock(self, error: Exception) -> None:
        """Set the clock where a request was refused for its time, or its signature, in which a time is."""
        if errors.is_of_time(error) and self._reactor.seconds() - self._set_time >= SUSPECT:
            self.later("the clock", 0.0, self.set_time)

    def said(self, error: Exception) -> Exception:
        """An error of a question, as a sentence."""
        if errors.of_the_secret(error):
            text = f"it has not the form of a secret of {self.options.exchange} ({errors.sentence(error)})"
            return GatewayError(f"The option secret of venue {self.venue} is wrong: {text}.")
        if not errors.is_of_a_link(error):
            return error
        if errors.is_answer(error):
            return GatewayError(f"Venue {self.venue} refused it: {errors.sentence(error)}.")
        text = f"Venue {self.venue} did not answer: {errors.sentence(error)}."
        if errors.timed_out(error):
            return TimedOut(text)
        return GatewayError(text)

    async def command(self, what: str, work: Awaitable[Any]) -> Any:
        """What the exchange answers to an order call: Refused where it surely was not done, Ambiguous in doubt."""
        try:
            return await deferred(coroutine(work))
        except (CancelledError, asyncio.CancelledError) as error:
            raise Ambiguous(f"{what} is in doubt: the link to {self.venue} was closed under it.") from error
        except Exception as error:
            reason = errors.refusal(error, self.row.sure)
            text = errors.sentence(error)
            self._suspect_clock(error)
            if reason is not None:
                raise Refused(reason, f"{what} was refused by venue {self.venue}: {text}.") from error
            if not errors.is_of_a_link(error):
                log.failure("{what} ended badly.", what=what)
            raise Ambiguous(f"{what} is in doubt: {self.venue} did not say what became of it ({text}).") from error

    async def set_time(self) -> None:
        """Set the clock by the exchange's."""
        self._set_time = self._reactor.seconds()
        if not self.exchange.has.get("fetchTime"):
            return
        asked = self._clock()
        method, member = self.row.time
        if method:
            said = (await self.ask(getattr(self.exchange, method)())).get(member)
        else:
            said = await self.ask(self.exchange.fetch_time())
        if said:
            theirs = moment(said)
            if abs(theirs - asked) > WRONG:
                text = f"Venue {self.venue} tells the time {theirs:{TIME}}, and here it is {asked:{TIME}} (UTC)"
                raise GatewayError(f"{text}: set the clock that is wrong.")
            self.time.told(theirs, asked, self._clock())
            self.exchange.options["timeDifference"] = self.time.difference

    async def ask_balances(self) -> list[Held]:
        """The balances as the exchange answers."""
        since = self.now()
        params = {"type": self.options.market} if self.options.market else {}
        answer = await self.ask(self.exchange.fetch_balance({**params, **self.row.balance}))
        found = translate.held(answer, self.row.wallet)
        self.balances.snapshot(found, self._locked(), self._reactor.seconds(), since)
        return found

    async def held(self) -> list[Held]:
        """The balances, asked for only when what is known is old."""
        asked = self.balances.asked
        if asked is None or self._reactor.seconds() - asked > FRESH:
            await self.ask_balances()
        return self.balances.held(self._locked())

    def _locked(self) -> dict[str, Decimal]:
        markets = self.exchange.markets or {}
        rows = []
        for entry in self.book.open():
            market = markets.get(entry.symbol)
            if market is not None and market.get("spot") and entry.side is not None and entry.quantity is not None:
                left = max(ZERO, entry.quantity - entry.filled)
                rows.append((str(market["base"]), str(market["quote"]), entry.side.sign, left, entry.limit))
        return locked_by(rows)

    # ---------------------------------------------------------------- what was missed

    def chase(self, symbol: str, turn: int = 0) -> None:
        """Ask for the fills of a pair's orders that are filled and whose fills have not come."""
        waits = CHASE if self.row.fills_by_stream else AT_ONCE

        async def look() -> None:
            self._timers.pop(f"fills of {symbol}", None)
            wanting = [entry for entry in self.book.wanting() if entry.symbol == symbol]
            if not wanting:
                return
            try:
                await self._catch_up(symbol, wanting)
                self._still_wanting([entry for entry in wanting if entry.wants])
            finally:
                if any(entry.wants for entry in wanting):
                    self.chase(symbol, turn + 1)

        self.later(f"fills of {symbol}", waits[min(turn, len(waits) - 1)], look)

    def _still_wanting(self, wanting: list[Entry]) -> None:
        """Count that they were asked for in vain; the last time that is told."""
        for entry in wanting:
            entry.tries += 1
            if not entry.wants and not self.over:
                self.complain(
                    f"Order {entry.key} in {entry.symbol}: {self.venue} says that more is filled than it has told "
                    f"executions of, by {entry.lacks:f}. They are asked for again when it is reconciled: until then "
                    "filled quantity and position may be too small here."
                )

    async def _catch_up(self, symbol: str, wanting: list[Entry]) -> None:
        times = [self.time.at(entry.order.created) for entry in wanting if entry.order is not None]
        since = min(times) - timedelta(seconds=10) if len(times) == len(wanting) else self._polled - timedelta(hours=1)
        for fill in await self.lists.trades(symbol, since):
            self.filled(fill, asked_for=True)

    def _look_later(self) -> None:
        self.later("the back-up poll", LOOK, self._look)

    async def _look(self) -> None:
        self._timers.pop("the back-up poll", None)
        now = self._reactor.seconds()
        every = OFTEN if now - self._last_word > QUIET or not self.row.watch else SELDOM
        try:
            if now - self._set_time >= CLOCK:
                await self.set_time()
            await self.perpetuals.look_again()
            if now - self._last_poll >= every:
                self._last_poll = now
                await self.poll()
        finally:
            self._look_later()

    async def poll(self) -> None:
        """Ask what the stream may have left out: of orders that work, and of fills since the last poll."""
        working = self.book.open()
        if not working:
            await self.set_time()
            return
        began = self.now()
        listed = {(seen.symbol, seen.broker_id): seen for seen in await self.lists.open_orders()}
        for entry in working:
            if entry.over or not entry.broker_id:
                continue
            seen = listed.get((entry.symbol, entry.broker_id))
            if seen is None and entry.order is not None:
                seen = await self.lists.find(entry.order, external=False)
            if seen is not None:
                self.see(seen)
        for symbol in dict.fromkeys(entry.symbol for entry in working):
            for fill in await self.lists.trades(symbol, self._polled - timedelta(seconds=30)):
                self.filled(fill, asked_for=True)
        self._polled = began

    async def wait(self, seconds: float) -> None:
        """Let some time pass."""
        if seconds > 0:
            await deferLater(self._reactor, seconds)
