"""The replay feed: recorded files played on the reactor, at their own pace, a multiple of it, or as fast as it goes.

It begins when the first symbol is subscribed; until then its clock stands at the first event. Between two events the
clock goes on but never reaches the next one, so whatever happens at a moment happens against the quote of that moment.
As fast as it goes, one second of the feed's is shown a turn of the reactor: a client gets its turn between any two.
At the end of files that are not looped the last quotes stay, and the clock stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.logger import Logger

from txgateway.brokers.paper.feed import Hear, breather, gathered, instrument_of
from txgateway.brokers.paper.files import Kind, Source
from txgateway.brokers.paper.history import History, shifted
from txgateway.brokers.paper.names import NAMES, Name
from txgateway.brokers.paper.periods import Running, grouped, starts
from txgateway.brokers.paper.replay import Stream
from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Bar, LastPrice, Period, Quote, Statistics, Trade, Unit

log = Logger()

ZERO = Decimal(0)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
MOST_EVENTS = 100
"""About so many events at most are shown a turn."""


class _Ticker:
    """What one symbol has shown, and its day's figures."""

    __slots__ = ("close", "day", "day_end", "minute", "quote", "trade", "value")

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.close: Decimal | None = None
        self.day: Running | None = None
        self.day_end: datetime | None = None
        self.minute: Running | None = None
        self.value = ZERO


class ReplayFeed:
    """The symbols of the files. `speed` None is as fast as it goes."""

    live = False

    def __init__(
        self,
        venue: str,
        sources: Sequence[Source],
        speed: float | None,
        loop: bool,
        sessions: Sessions,
        reactor: Any,
    ) -> None:
        self._sources = sources
        self._speed = speed
        self._loop = loop
        self._sessions = sessions
        self._reactor = reactor
        self._instruments = {
            symbol: instrument_of(_name(symbol, [each for each in sources if each.symbol == symbol]), venue, sessions)
            for symbol in sorted({source.symbol for source in sources})
        }
        self._quoted = {source.symbol for source in sources if source.kind is Kind.QUOTES}
        self._firsts = {
            source.symbol: source.price
            for source in sorted(sources, key=lambda each: each.first, reverse=True)
            if source.kind is not Kind.DAYS
        }
        self._history = History(sources, sessions)
        self._tickers = {symbol: _Ticker() for symbol in self._instruments}
        self._subscribed: set[str] = set()
        self._hear: Hear | None = None
        self._timer: Any = None
        self._stream: Stream
        self._at: datetime
        self._base: tuple[float, datetime] | None = None

    def start(self, hear: Hear) -> None:
        """Open the files; the first subscription begins the replay."""
        self._stream = Stream(self._sources, self._loop)
        self._at = self._stream.first
        self._history.load()
        self._hear = hear

    def stop(self) -> None:
        """End the replay; a new start begins anew."""
        self._hear = None
        self._stream.close()
        self._subscribed.clear()
        self._base = None
        self._tickers = {symbol: _Ticker() for symbol in self._instruments}
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def now(self) -> datetime:
        """The last event's time, or as far on towards the next one as the pace has come."""
        following = self._stream.next_time
        if self._base is None or self._speed is None or following is None:
            return self._at
        return max(self._at, min(self._played(), following - MILLISECOND))

    def instrument(self, symbol: str) -> Instrument | None:
        """The rules of a symbol in the files."""
        return self._instruments.get(symbol)

    async def look_up(self, symbol: str) -> Instrument | None:
        """The same."""
        return self.instrument(symbol)

    def standing(self, symbol: str) -> str:
        """It never stands still."""
        return ""

    def instruments(self) -> Sequence[Instrument]:
        """The symbols in the files."""
        return list(self._instruments.values())

    def quoted(self, symbol: str) -> bool:
        """True when there is a file of its quotes."""
        return symbol in self._quoted

    def price(self, symbol: str) -> Decimal | None:
        """The last trade's price, else the middle of the last quote, else the first price in its files."""
        ticker = self._tickers.get(symbol)
        if ticker is None:
            return None
        if ticker.trade is not None:
            return ticker.trade.price
        if ticker.quote is not None and ticker.quote.tradable:
            return (ticker.quote.bid + ticker.quote.ask) / 2
        return self._firsts.get(symbol)

    def statistics(self, symbol: str) -> Statistics:
        """The local day's figures out of its trades so far; the previous close of the day bars where there are some."""
        ticker = self._tickers[symbol]
        today = self._sessions.day(self.now())
        before = self._history.close_before(symbol, today)
        day = ticker.day
        if day is None or ticker.day_end is None or self.now() >= ticker.day_end:
            last = ticker.trade.price if ticker.trade else None
            return Statistics(symbol, close=last if before is None else before)
        vwap = ticker.value / day.volume if day.volume else None
        close = before if before is not None else ticker.close
        return Statistics(symbol, day.open, day.high, day.low, close, day.volume, vwap)

    def subscribe(self, symbol: str) -> None:
        """Show a symbol; the first one begins the replay."""
        self._subscribed.add(symbol)
        ticker = self._tickers[symbol]
        if self._hear is not None:
            self._hear([each for each in (ticker.quote, ticker.trade) if each is not None])
        if self._base is None:
            self._base = (self._reactor.seconds(), self._at)
            self._schedule()

    def unsubscribe(self, symbol: str) -> None:
        """Show it no more; the replay goes on."""
        self._subscribed.discard(symbol)

    def poll(self) -> datetime:
        """Nothing is ever due: the clock stays before the next event until that is shown."""
        return self.now()

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars out of the files, never of what the replay has not come to."""
        session = self._instruments[symbol].session
        return await gathered(self._bars(symbol, session, period, start, end), breather(self._reactor))

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        """Those that the replay has come to."""
        trades = (self._tickers[each].trade for each in symbols if each in self._tickers)
        return [LastPrice(each.symbol, each.price, each.time) for each in trades if each is not None]

    def _bars(
        self, symbol: str, session: Session | None, period: Period, start: datetime, end: datetime
    ) -> Iterator[Bar | None]:
        single = self._minutes if period.unit is Unit.MINUTE else self._days
        if period in (Period(1, Unit.MINUTE), Period(1, Unit.DAY)):
            yield from single(symbol, start, end)
            return
        assert session is not None
        start_of = starts(period, self._sessions, session)
        later = timedelta(minutes=period.count) if period.unit is Unit.MINUTE else timedelta(days=31)
        found: list[Bar] = []
        for bar in single(symbol, start_of(start), end + later):
            if bar is None:
                yield None
            else:
                found.append(bar)
        yield from (bar for bar in grouped(found, start_of) if start <= bar.time < end)

    def _minutes(self, symbol: str, start: datetime, end: datetime) -> Iterator[Bar | None]:
        latest = None
        for shift in self._stream.shifts(start, end):
            now = self.now() - shift
            for bar in shifted(self._history.minutes(symbol, start - shift, end - shift, now), shift):
                latest = bar or latest
                yield bar
        running = self._tickers[symbol].minute
        if running is not None and start <= running.time < end and (latest is None or latest.time < running.time):
            yield running.bar()

    def _days(self, symbol: str, start: datetime, end: datetime) -> Iterator[Bar | None]:
        for shift in self._stream.shifts(start, end):
            now = self.now() - shift
            yield from shifted(self._history.days(symbol, start - shift, end - shift, now), shift)
        ticker = self._tickers[symbol]
        if ticker.day is not None and ticker.day_end is not None and self.now() < ticker.day_end:
            midnight = self._sessions.midnight(self._sessions.day(self.now()))
            if start <= midnight < end:
                yield replace(ticker.day.bar(), time=midnight)

    # playing

    def _played(self) -> datetime:
        """Where the pace has come to."""
        assert self._base is not None
        real, feed = self._base
        return feed + timedelta(seconds=(self._reactor.seconds() - real) * (self._speed or 0.0))

    def _schedule(self) -> None:
        following = self._stream.next_time
        if following is None or self._hear is None:
            log.info("The replay is at its end: prices and the clock stay as they are.")
            self._timer = None
            return
        wait = 0.0
        if self._speed is not None:
            wait = max(0.0, (following - self._played()) / SECOND / self._speed)
        self._timer = self._reactor.callLater(wait, self._turn)

    def _turn(self) -> None:
        """Show what is due: by the pace, or one second of the feed's."""
        following = self._stream.next_time
        if following is None or self._hear is None:
            return
        until = following.replace(microsecond=999_999) if self._speed is None else max(following, self._played())
        begun = self._stream.round
        events = self._stream.take(until, MOST_EVENTS)
        for event in events:
            self._note(event)
        self._at = events[-1].time
        if self._stream.round != begun and self._stream.next_time is not None:
            self._base = (self._reactor.seconds(), self._stream.next_time)
        self._hear([event for event in events if event.symbol in self._subscribed])
        if self._hear is not None:
            self._schedule()

    def _note(self, event: Quote | Trade) -> None:
        ticker = self._tickers[event.symbol]
        if isinstance(event, Quote):
            ticker.quote = event
            return
        if ticker.day_end is None or ticker.day is None or event.time >= ticker.day_end:
            day = self._sessions.day(event.time)
            ticker.day_end = self._sessions.midnight(day + timedelta(days=1))
            ticker.close = ticker.trade.price if ticker.trade else None
            ticker.day = Running(event.symbol, self._sessions.midnight(day), event.price)
            ticker.value = ZERO
        if ticker.minute is None or event.time - ticker.minute.time >= timedelta(minutes=1):
            ticker.minute = Running(event.symbol, event.time.replace(second=0, microsecond=0), event.price)
        ticker.day.add(event.price, event.size)
        ticker.minute.add(event.price, event.size)
        ticker.value += event.price * event.size
        ticker.trade = event


def _name(symbol: str, sources: Sequence[Source]) -> Name:
    """The familiar name, or a plain one, with steps as fine as the files'."""
    name = NAMES.get(symbol) or Name(symbol, symbol, "", sources[0].price, 0)
    tick = min([name.tick_size] + [source.tick_size for source in sources if symbol not in NAMES])
    lot = min([name.lot_size] + [source.lot_size for source in sources])
    return replace(name, tick_size=tick, lot_size=lot)
