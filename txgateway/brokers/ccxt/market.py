"""The public side of one link: the trading rules, who is listened to, what is told of it, bars, funding.

Frames are taken as they come and told at once. What a stream does not say by itself (the present quote, the last
trade, the day's figures) is asked for; so is the quote of a pair whose stream has been silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers import Report
from txgateway.brokers.ccxt import errors, periods, translate
from txgateway.brokers.ccxt import exchange as rules
from txgateway.brokers.ccxt.books import Books, time_of
from txgateway.brokers.ccxt.depth import Ladder, sides
from txgateway.brokers.ccxt.feeds import Feeds
from txgateway.brokers.ccxt.frames import amount, moment, number, price
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.brokers.ccxt.prices import LastPrices
from txgateway.brokers.ccxt.public import Deal, Shown, Top, rows
from txgateway.brokers.ccxt.streams import RECENT, Streams
from txgateway.futures import deferred
from txgateway.model.errors import GatewayError, TimedOut
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, Period, Quote, Statistics, Trade, Unit

log = Logger()

ZERO = Decimal(0)
LOOK, SILENT, FIGURES, FUNDED, STATUS, RULES = 5.0, 60.0, 300.0, 60.0, 120.0, 1800.0
"""Every `LOOK` seconds: a pair whose stream was silent for so long is asked about; so often the day's figures, funding,
the exchange's status and its trading rules are."""
AHEAD = timedelta(seconds=10)
"""By so much may a clock of the exchange's be ahead of the one that it tells."""
MOST_PAGES = 100
TICKERS_AT_ONCE = 100


@dataclass(slots=True)
class _Line:
    """One pair that somebody listens to."""

    symbol: str
    whole: bool = False
    """The present trade was asked for: until then no quote is told, for a pair without a price would be shown."""
    held: Quote | None = None
    quote: Quote | None = None
    trade: Trade | None = None
    began: float = 0.0
    quoted: float = 0.0
    heard: float = 0.0
    figures: float = 0.0


class Market:
    """What one link knows of the market; it begins empty and is over with the link."""

    def __init__(
        self,
        exchange: Any,
        options: CcxtOptions,
        row: Feeds,
        venue: str,
        report: Report,
        reactor: Any,
        now: Callable[[], datetime],
        complain: Callable[[str], None],
    ) -> None:
        self._exchange = exchange
        self._options = options
        self._row = row
        self._venue = venue
        self._report = report
        self._reactor = reactor
        self._now = now
        self._complain = complain
        self._over = False
        self._lines: dict[str, _Line] = {}
        self._ids: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._funding: dict[str, tuple[float, Funding]] = {}
        self._streams = Streams(exchange, row, venue, options.patience, self, reactor.seconds, complain)
        self.books = Books(
            row, venue, self._streams, self._fetch_book, self._book_heard, self._go, report, reactor, now
        )
        self._prices = LastPrices(exchange, row, self._ask)
        self._looking: Any = None
        self._busy = False
        self._logged = float("-inf")
        self._asked_status = 0.0
        self._read_rules = reactor.seconds()
        self._status = "ok"

    # ---------------------------------------------------------------- trading rules

    def instrument(self, symbol: str) -> Instrument | None:
        """A pair's rules; None when it is unknown, disabled or left out."""
        market = self._market(symbol)
        return None if market is None else translate.instrument(self._venue, market)

    def instruments(self) -> list[Instrument]:
        """All that is traded."""
        markets = (self._exchange.markets or {}).values()
        return [translate.instrument(self._venue, market) for market in markets if self._traded(market)]

    def _market(self, symbol: str) -> Any:
        market = (self._exchange.markets or {}).get(symbol)
        return market if market is not None and self._traded(market) else None

    def _traded(self, market: Any) -> bool:
        return translate.traded(market, self._options.kind, self._options.symbols)

    def _symbol(self, market_id: str) -> str:
        """The symbol of one that is listened to, by the exchange's name of it; empty: nobody listens."""
        return self._ids.get(market_id, "")

    # ---------------------------------------------------------------- listening

    def subscribe(self, symbol: str) -> None:
        """Listen to a pair: the present quote and trade first."""
        market = self._market(symbol)
        if self._over or market is None or symbol in self._lines:
            return
        self._lines[symbol] = _Line(symbol, began=self._reactor.seconds(), heard=self._reactor.seconds())
        self._ids[str(market["id"])] = symbol
        for name in ("quotes", "trades"):
            self._streams.follow(name, symbol)
        if self._row.tops:
            self.books.open(symbol)
        self._go(self._present(symbol), f"the present prices of {symbol}")
        self._look_later()

    def unsubscribe(self, symbol: str) -> None:
        """Listen no more."""
        line = self._lines.pop(symbol, None)
        if line is None:
            return
        self.books.close(symbol)
        for name in ("quotes", "trades"):
            self._streams.leave(name, symbol)
        for market_id in [each for each, known in self._ids.items() if known == symbol]:
            del self._ids[market_id]

    def follow(self, symbol: str) -> None:
        """Tell the book of a pair that is listened to, the present one first."""
        if not self._over and symbol in self._lines and self._row.book is not None:
            self.books.open(symbol, deep=True)

    def unfollow(self, symbol: str) -> None:
        """Tell its book no more."""
        if self._row.tops:
            self.books.shallow(symbol)
        else:
            self.books.close(symbol)

    def close(self) -> None:
        """The link is over: nothing more is told."""
        self._over = True
        self._streams.close()
        self.books.end()
        if self._looking is not None and self._looking.active():
            self._looking.cancel()
        self._lines.clear()

    # ---------------------------------------------------------------- streams

    def subscribing(self, name: str, symbol: str) -> None:
        """A stream is asked for, for the first time or anew."""
        kept = self.books.kept.get(symbol) if name == "book" else self._lines.get(symbol)
        if kept is not None and name != "trades":
            kept.began = self._reactor.seconds()

    def read(self, name: str, symbol: str, answer: Any) -> None:
        """What ccxt read: of an exchange whose frames we do not know."""
        line = self._lines.get(symbol)
        if line is None:
            return
        line.heard = self._reactor.seconds()
        if name == "trades":
            for each in answer or ():
                when = moment(each["timestamp"]) if each.get("timestamp") else self._now()
                self._tell_trade(line, Deal(symbol, amount(each.get("price")), amount(each.get("amount")), when))
        elif name == "quotes":
            self._tell_quote(line, _top(symbol, answer))
        else:
            self.books.whole(symbol, answer)

    def interrupted(self, name: str, symbol: str) -> None:
        """A stream ended, and is subscribed again: a book lacks what came meanwhile."""
        if name == "book" and symbol in self.books.kept:
            self.books.resync(symbol, subscribe=False)

    # ---------------------------------------------------------------- frames

    def count(self, url: str, message: Any) -> bool:
        """Look at any frame, private ones too: whether it confirms a subscription, and at its number.

        Where a number is missing every book may lack something; True then: it may have been a private frame.
        """
        if self._over:
            return False
        if self._row.confirms is not None and self._row.confirms(message):
            self._confirmed()
        found = message.get(self._row.sequence) if self._row.sequence and isinstance(message, dict) else None
        if not isinstance(found, int):
            return False
        before = self._numbers.get(url)
        self._numbers[url] = found
        if before is None or found <= before + 1:
            return False
        log.info("{venue}: {count} frames are missing.", venue=self._venue, count=found - before - 1)
        self.books.resync_all()
        return True

    def take(self, url: str, message: Any) -> bool:
        """A frame that is not private; True when ccxt need not have it."""
        if self._over or self._row.decode is None:
            return False
        try:
            shown = self._row.decode(message)
        except Exception:
            self._unreadable()
            return True
        if shown is None:
            return False
        for each in shown:
            symbol = self._symbol(each.market)
            if symbol:
                self._take(symbol, each)
        return True

    def _unreadable(self) -> None:
        """A frame made no sense: what it said is missing wherever it was, and prices are not made of the rest."""
        if self._reactor.seconds() - self._logged >= SILENT:
            self._logged = self._reactor.seconds()
            log.failure("{venue}: a public frame could not be read.", venue=self._venue)
        self.books.resync_all()

    def _confirmed(self) -> None:
        """A subscription stands from now on: what changed since the first values were asked for, none has told."""
        recent = self._reactor.seconds() - RECENT
        for symbol, book in self.books.kept.items():
            if book.began > recent and self._row.snapshot:
                self.books.sync(symbol)
        for line in self._lines.values():
            if line.began > recent and line.quoted < line.began:
                self._go(self._confirm(line), f"the quote of {line.symbol}")

    async def _confirm(self, line: _Line) -> None:
        found = await self._fetch_book(line.symbol, 5)
        if self._lines.get(line.symbol) is line and line.quoted < line.began and not self._over:
            self._tell_quote(line, _top(line.symbol, found))

    def _take(self, symbol: str, shown: Shown) -> None:
        line = self._lines[symbol]
        if isinstance(shown, Top):
            line.heard = line.quoted = self._reactor.seconds()
            self._tell_quote(line, shown)
        elif isinstance(shown, Deal):
            line.heard = self._reactor.seconds()
            self._tell_trade(line, shown)
        elif symbol in self.books.kept:
            self.books.changed(symbol, shown)

    def _book_heard(self, symbol: str, ladder: Ladder) -> None:
        """A book changed: where quotes are made of it, its best prices may have."""
        line = self._lines[symbol]
        line.heard = self._reactor.seconds()
        if self._row.tops and not ladder.crossed:
            top, known = ladder.top(symbol), line.quote
            sizes = (top.bid, top.bid_size, top.ask, top.ask_size)
            if known is None or sizes != (known.bid, known.bid_size, known.ask, known.ask_size):
                self._tell_quote(line, top)

    def _tell_quote(self, line: _Line, top: Top) -> None:
        bid_size, ask_size = (top.bid_size if top.bid > 0 else ZERO), (top.ask_size if top.ask > 0 else ZERO)
        bid, ask, when = max(top.bid, ZERO), max(top.ask, ZERO), self._when(top.time)
        quote = Quote(line.symbol, bid, max(bid_size, ZERO), ask, max(ask_size, ZERO), when)
        if line.quote is not None and quote.time < line.quote.time:
            return  # an answer that took longer than the stream
        line.quote = quote
        if line.whole:
            self._report(quote)
        else:
            line.held = quote

    def _tell_trade(self, line: _Line, deal: Deal) -> None:
        if deal.price <= 0 or deal.size < 0:
            return  # limits are reckoned by it
        line.trade = Trade(line.symbol, deal.price, deal.size, self._when(deal.time))
        self._report(line.trade)

    def _when(self, told: datetime | None) -> datetime:
        """A time that was told; the present where none was, or one that is to come: nothing would be newer for long."""
        now = self._now()
        return now if told is None or told > now + AHEAD else told

    # ---------------------------------------------------------------- questions

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """The book now: the one that is followed, else by request."""
        if self._market(symbol) is None:
            return None
        kept = self.books.present(symbol, levels)
        if kept is not None:
            return kept
        found = await self._fetch_book(symbol, levels)
        bids, asks = sides(rows(found["bids"]), rows(found["asks"]), levels)
        return Depth(symbol, bids, asks, time_of(found) or self._now(), int(found.get("nonce") or 0))

    async def _fetch_book(self, symbol: str, levels: int) -> Any:
        allowed = [each for each in self._row.depths if each >= levels]
        wanted = allowed[0] if allowed else max(self._row.depths, default=levels)
        return await self._ask(self._exchange.fetch_order_book(symbol, wanted))

    async def _present(self, symbol: str) -> None:
        """Tell the last trade and the quote as they are, and the day's figures."""
        line = self._lines[symbol]
        try:
            if self._row.trades is not None:
                await self._last_trade(line)
        except GatewayError as error:
            log.info("{venue}: the last trade of {symbol}: {text}", venue=self._venue, symbol=symbol, text=str(error))
        finally:
            self._show(line)
        before = line.quote
        if before is None:
            found = await self._fetch_book(symbol, 5)
            if line.quote is before and self._lines.get(symbol) is line and not self._over:
                self._tell_quote(line, _top(symbol, found))
        await self._figures([symbol])

    def _show(self, line: _Line) -> None:
        """From now on its quotes are told, the one first that came meanwhile."""
        line.whole = True
        held, line.held = line.held, None
        if held is not None and self._lines.get(line.symbol) is line and not self._over:
            self._report(held)

    async def _last_trade(self, line: _Line) -> None:
        found = await self._ask(self._exchange.fetch_trades(line.symbol, None, 1))
        if found and line.trade is None and self._lines.get(line.symbol) is line and not self._over:
            last = max(found, key=lambda each: each.get("timestamp") or 0)
            when = moment(last["timestamp"]) if last.get("timestamp") else self._now()
            self._tell_trade(line, Deal(line.symbol, amount(last.get("price")), amount(last.get("amount")), when))

    async def last_prices(self, symbols: Sequence[str]) -> list[LastPrice]:
        """What several pairs were traded at last, of those that are known."""
        return await self._prices.of([each for each in symbols if self._market(each) is not None])

    async def _tickers(self, symbols: Sequence[str]) -> dict[str, Any]:
        if not symbols:
            return {}
        if len(symbols) == 1 and self._exchange.has.get("fetchTicker"):
            return {symbols[0]: await self._ask(self._exchange.fetch_ticker(symbols[0]))}
        found: dict[str, Any] = {}
        for at in range(0, len(symbols), TICKERS_AT_ONCE):
            some = list(symbols[at : at + TICKERS_AT_ONCE])
            found.update(await self._ask(self._exchange.fetch_tickers(some)))
        return {symbol: found[symbol] for symbol in symbols if symbol in found}

    async def _figures(self, symbols: Sequence[str]) -> None:
        """Tell the day's figures (of the last 24 hours: these markets never close)."""
        able = [
            each
            for each in symbols
            if self._row.spot_tickers or not (self._exchange.markets.get(each) or {}).get("spot")
        ]
        found = {symbol: _figures(symbol, each) for symbol, each in (await self._tickers(able)).items()}
        found = {symbol: figures for symbol, figures in found.items() if figures.high is not None}
        for symbol in symbols:
            if symbol not in found:
                found[symbol] = await self._of_bars(symbol)
        for symbol, figures in found.items():
            line = self._lines.get(symbol)
            if line is not None and not self._over:
                line.figures = self._reactor.seconds()
                self._report(figures)

    async def _of_bars(self, symbol: str) -> Statistics:
        """The same of a pair that has no ticker."""
        now = self._now()
        bars = await self.bars(symbol, Period(60, Unit.MINUTE), now - timedelta(hours=24), now)
        if not bars:
            return Statistics(symbol)
        high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
        return Statistics(symbol, bars[0].open, high, low, None, sum((bar.volume for bar in bars), ZERO))

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars in [start, end), oldest first, made of the exchange's where it has none of this length."""
        length = periods.source(period, self._exchange.timeframes or {})
        if length is None or self._market(symbol) is None:
            return []
        first, last = periods.whole(period, start, min(end, self._now()))
        found = await self._fetch_bars(symbol, length, first, last)
        bars = periods.folded(period, [bar for bar in found if first <= bar.time < last])
        return [bar for bar in bars if start <= bar.time < end]

    async def _fetch_bars(self, symbol: str, length: periods.Length, start: datetime, end: datetime) -> list[Bar]:
        found: dict[datetime, Bar] = {}
        step = timedelta(seconds=length.seconds)
        at, most = start, self._row.bars
        if end - start > MOST_PAGES * most * step:
            raise GatewayError(f"Venue {self._venue}: that is more than {MOST_PAGES * most} bars: ask for fewer.")
        while at < end:
            count = min(most, -(-(end - at) // step))
            since = int(at.timestamp() * 1000)
            got = await self._ask(self._exchange.fetch_ohlcv(symbol, length.name, since, count))
            bars = periods.read(symbol, got)
            found.update((bar.time, bar) for bar in bars)
            # Minutes without a trade are left out by some: then the page's own end leads on.
            beyond = bars[-1].time + step if bars and len(bars) >= count else at + count * step
            at = max(beyond, at + step)
        return [found[each] for each in sorted(found)]

    async def funding(self, symbol: str) -> Funding | None:
        """What holding a perpetual costs, not older than a minute."""
        market = self._market(symbol)
        if market is None or not market.get("swap"):
            return None
        known = self._funding.get(symbol)
        now = self._reactor.seconds()
        if known is not None and now - known[0] < FUNDED:
            return known[1]
        found = funding(symbol, await self._ask(self._exchange.fetch_funding_rate(symbol)), self._now())
        self._funding[symbol] = (self._reactor.seconds(), found)
        return found

    async def _ask(self, work: Awaitable[Any]) -> Any:
        """What the exchange answers; TimedOut or GatewayError with a sentence where it does not."""
        try:
            return await deferred(_coroutine(work))
        except Exception as error:
            if not errors.is_of_a_link(error):
                raise
            text = f"Venue {self._venue} did not answer: {errors.sentence(error)}."
            raise (TimedOut(text) if errors.timed_out(error) else GatewayError(text)) from error
        finally:
            if asyncio.iscoroutine(work) and getcoroutinestate(work) == CORO_CREATED:
                work.close()  # it was given up before it began

    # ---------------------------------------------------------------- now and then

    def _look_later(self) -> None:
        if not self._over and (self._looking is None or not self._looking.active()):
            self._looking = self._reactor.callLater(LOOK, self._look)

    def _look(self) -> None:
        self._look_later()
        if not self._busy:
            self._busy = True
            self._go(self._looked(), "a look at what is listened to")

    async def _looked(self) -> None:
        now = self._reactor.seconds()
        work: list[Coroutine[Any, Any, Any]] = []
        if now - self._read_rules >= RULES:
            self._read_rules = now
            work.append(self._refresh())
        lines = [line for line in self._lines.values() if self._market(line.symbol) is not None]
        work += [self._silent(line) for line in lines if now - line.heard >= SILENT]
        old = [line.symbol for line in lines if now - line.figures >= FIGURES]
        if old:
            work.append(self._figures(old))
        followed = [each for each in self._funding if each in self._lines]
        work += [self.funding(each) for each in followed if now - self._funding[each][0] >= FUNDED]
        if now - self._asked_status >= STATUS:
            self._asked_status = now
            work.append(self._ask_status())
        try:
            for each in work:
                try:
                    await each
                except GatewayError as error:
                    if not self._over:
                        log.info("{venue}: {error}", venue=self._venue, error=str(error))
        finally:
            for each in work:
                each.close()  # what was not come to
            self._busy = False

    async def _refresh(self) -> None:
        """Read the trading rules anew: pairs come and go, and their steps change."""
        other = await self._ask(asyncio.to_thread(rules.read_rules, self._exchange))
        if self._over:
            return
        rules.take_rules(self._exchange, other)
        for symbol in [each for each in self._lines if self._market(each) is None]:
            log.warn("{venue} trades {symbol} no more.", venue=self._venue, symbol=symbol)

    async def _silent(self, line: _Line) -> None:
        """A pair of which nothing was heard: its market is quiet, and its quote confirmed, or its stream is mute."""
        before = line.quote
        found = await self._fetch_book(line.symbol, 5)
        if self._lines.get(line.symbol) is not line or self._over or line.quote is not before:
            return
        top = _top(line.symbol, found)
        same = before is not None and (before.bid, before.ask) == (top.bid, top.ask)
        line.heard = self._reactor.seconds()
        self._tell_quote(line, Top(top.market, top.bid, top.bid_size, top.ask, top.ask_size, self._now()))
        if same:
            return
        log.info("{venue}: the stream of {symbol} is mute.", venue=self._venue, symbol=line.symbol)
        if self._row.tops and line.symbol in self.books.kept:
            self.books.resync(line.symbol)
        for name in ("quotes", "trades"):
            await self._streams.again(name, line.symbol, lambda: self._lines.get(line.symbol) is line)

    async def _ask_status(self) -> None:
        """Whether the exchange says that it works, or where it cannot be asked that, whether it tells the time."""
        status = "ok"
        try:
            if self._row.status:
                status = str((await self._ask(self._exchange.fetch_status())).get("status") or "ok")
            elif self._exchange.has.get("fetchTime"):
                await self._ask(self._exchange.fetch_time())
        except GatewayError:
            status = ""
        if status != self._status and not self._over:
            self._status = status
            says = f"says of itself: {status}" if status else "does not answer"
            self._complain(f"the exchange {'works again' if status == 'ok' else says}")

    def _go(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Let something run by itself; what the exchange does not answer is asked again another time."""

        def failed(failure: Any) -> None:
            if self._over:
                return
            if failure.check(GatewayError):
                log.info("{venue}: {what}: {text}", venue=self._venue, what=what, text=failure.getErrorMessage())
            else:
                log.failure("{venue}: {what} failed.", failure, venue=self._venue, what=what)

        Deferred.fromCoroutine(work).addErrback(failed)


def funding(symbol: str, found: Any, now: datetime) -> Funding:
    """ccxt's funding rate."""
    next_rate, due = number(found.get("nextFundingRate")), found.get("nextFundingTimestamp")
    if due is None:
        due = found.get("fundingTimestamp")
    hours = str(found.get("interval") or "").removesuffix("h")
    when = moment(due) if due else None
    return Funding(
        symbol=symbol,
        rate=amount(found.get("fundingRate")),
        time=time_of(found) or now,
        next_rate=next_rate,
        next_time=when if when is not None and when > now - timedelta(minutes=1) else None,
        interval_seconds=int(hours) * 3600 if hours.isdigit() else None,
        mark_price=price(found.get("markPrice")),
        index_price=price(found.get("indexPrice")),
    )


def _figures(symbol: str, ticker: Any) -> Statistics:
    """ccxt's ticker."""
    names = {"open": "open", "high": "high", "low": "low", "close": "previousClose", "vwap": "vwap"}
    found = {name: price(ticker.get(member)) for name, member in names.items()}
    return Statistics(symbol, **found, volume=number(ticker.get("baseVolume")))


def _top(symbol: str, book: Any) -> Top:
    bids, asks = sides(rows(book["bids"]), rows(book["asks"]), 1)
    bid, ask = (each[0] if each else None for each in (bids, asks))
    return Top(
        symbol,
        bid.price if bid else ZERO,
        bid.size if bid else ZERO,
        ask.price if ask else ZERO,
        ask.size if ask else ZERO,
        time_of(book),
    )


async def _coroutine(work: Awaitable[Any]) -> Any:
    return await work
