"""Market data: who listens to what, the last value of each, and the news to those who stream. Never journalled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers import Broker, Can
from txgateway.model.errors import GatewayError
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Mark, Period, Quote, Statistics, Ticker, Trade, Unit

log = Logger()

DESK = "desk"
"""The desk listens to every symbol that it has had an order in."""
MINUTE = timedelta(minutes=1)
RULES_SECONDS = 1800.0
"""A symbol that is traded has its trading rules asked for again after so long."""
HAS_SECONDS = 2.0
"""How long a venue may take to say whether it has a symbol that is to be halted."""
Market = Quote | Trade
T = TypeVar("T")


@dataclass(slots=True)
class _Line:
    """One subscribed instrument."""

    name: str
    venue: str
    instrument: Instrument
    asked: float = 0.0
    gone: bool = False
    stale: bool = False
    """Its venue's link was lost since its last price."""
    listeners: set[Hashable] = field(default_factory=set)
    waiting: list[Deferred[None]] = field(default_factory=list)
    quote: Quote | None = None
    last: Trade | None = None
    day: date | None = None
    figures: dict[str, Decimal] = field(default_factory=dict)
    bars: dict[datetime, Bar] = field(default_factory=dict)
    in_order: tuple[Bar, ...] | None = ()
    """The bars, the oldest first; None: one has changed since they were put in order. A day has hundreds."""

    def ticker(self) -> Ticker:
        """What is known now."""
        figures: Any = self.figures
        bars = self.in_order
        if bars is None:
            bars = self.in_order = tuple(self.bars[time] for time in sorted(self.bars))
        return Ticker(
            name=self.name, instrument=self.instrument, quote=self.quote, last=self.last, bars=bars, **figures
        )  # fmt: skip

    def keep(self, bar: Bar) -> None:
        """A minute's bar, as it is now."""
        self.bars[bar.time] = bar
        self.in_order = None

    def end_day(self) -> None:
        """The bars are yesterday's."""
        self.bars.clear()
        self.in_order = None


class Feed:
    """Subscriptions shared by all who listen: the broker is asked on the first and told on the last."""

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        default_venue: str,
        reactor: Any,
        local_date: Callable[[datetime], date],
        timeout: float = 15.0,
        keep_bars: bool = True,
        offset: timedelta = timedelta(0),
    ) -> None:
        self._brokers = brokers
        self._default = default_venue
        self._reactor = reactor
        self._local_date = local_date
        self._timeout = timeout
        self._keep_bars = keep_bars
        self._offset = offset
        self._lines: dict[tuple[str, str], _Line] = {}
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._asked: dict[tuple[str, str], float] = {}
        """When each instrument was last asked for."""
        self.streams: list[Callable[[str, str, Market], None]] = []
        """Called with (venue, symbol, Quote or Trade) for every one that comes in."""
        self.books: list[Callable[[str, str, Depth], None]] = []
        """Called the same way with every Depth, while `show_books` wants them."""
        self._deep = False
        self.figures: list[Callable[[str, Statistics], None]] = []
        """Called with (venue, Statistics) for every one that comes in."""
        self.ended: list[Callable[[str, str], None]] = []
        """Called with (venue, symbol) when the last listener has left: what it showed last is old from then on."""

    # names

    def place(self, name: str) -> tuple[str, str]:
        """(venue, symbol) of a name as clients write it: `SYM` or `SYM@venue`."""
        symbol, _, venue = name.partition("@")
        return (venue or self._default, symbol)

    def name_of(self, venue: str, symbol: str) -> str:
        """The name as clients write it."""
        return symbol if venue == self._default else f"{symbol}@{venue}"

    # listening

    async def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """The trading rules, asked for again now and then; those that are known while the venue does not answer."""
        place, now = (venue, symbol), self._reactor.seconds()
        known = self._instruments.get(place)
        if venue not in self._brokers or (known is not None and now - self._asked.get(place, now) < RULES_SECONDS):
            return known
        try:
            found = await self._brokers[venue].instrument(symbol)
        except GatewayError:
            if known is None:
                raise
            return known
        if found is None:
            self._instruments.pop(place, None)
            self._asked.pop(place, None)
        else:
            self._instruments[place] = found
            self._asked[place] = now
        return found

    def _renew(self, line: _Line) -> None:
        """Ask for the trading rules again, behind the orders that are judged by those that are known."""
        line.asked = self._reactor.seconds()
        place = (line.venue, line.instrument.symbol)
        self._asked[place] = float("-inf")

        async def ask() -> None:
            found = await self.instrument(*place)
            line.gone = found is None
            if found is None:
                log.warn("{name} trades no more.", name=line.name)
            else:
                line.instrument = found

        def failed(failure: Any) -> None:
            if failure.check(GatewayError):
                log.info("The rules of {name}: {text}", name=line.name, text=failure.getErrorMessage())
            else:
                log.failure("The rules of {name} could not be asked for.", failure, name=line.name)

        Deferred.fromCoroutine(ask()).addErrback(failed)

    async def add(self, name: str, listener: Hashable) -> Ticker | None:
        """Listen to a symbol; its values once the first price has come (or in time none); None when it is unknown."""
        venue, symbol = self.place(name)
        line = await self._listen(venue, symbol, listener)
        if line is None:
            return None
        await self._priced(line)
        return line.ticker()

    async def query(self, name: str, listener: Hashable) -> Ticker | None:
        """A symbol's values once it has a price, listening to it when nobody does; None when it is unknown."""
        line = self._lines.get(self.place(name))
        if line is None:
            return await self.add(name, listener)
        await self._priced(line)
        return line.ticker()

    def remove(self, name: str, listener: Hashable) -> bool:
        """Stop listening; True when the symbol was listened to by this listener."""
        return self._leave(self.place(name), listener)

    def drop(self, listener: Hashable) -> None:
        """Stop listening to everything."""
        for place in [place for place, line in self._lines.items() if listener in line.listeners]:
            self._leave(place, listener)

    async def market(self, venue: str, symbol: str) -> tuple[Instrument | None, Quote | None]:
        """What an order is judged by: the instrument, and its last quote (or trade) once there is one."""
        line = self._lines.get((venue, symbol)) or await self._listen(venue, symbol, DESK)
        if line is None:
            return None, None
        line.listeners.add(DESK)
        if self._reactor.seconds() - line.asked >= RULES_SECONDS:
            self._renew(line)
        if line.gone:
            return None, None
        await self._priced(line, fresh=True)
        quote = line.quote
        if quote is None or (quote.bid <= 0 and quote.ask <= 0):
            quote = _from_trade(line.last) or quote
        return line.instrument, quote

    def shown(self, venue: str, symbol: str) -> tuple[Mark | None, Trade | None]:
        """What a unit of an active symbol is worth now, the middle where both sides show; and its last trade."""
        line = self._lines.get((venue, symbol))
        if line is None:
            return None, None
        quote, last = line.quote, line.last
        if quote is not None and quote.tradable:
            price = (quote.bid + quote.ask) / 2
        elif last is not None:
            price = last.price
        else:
            return None, None
        return Mark(price, line.figures.get("close"), line.instrument.multiplier), last

    async def _listen(self, venue: str, symbol: str, listener: Hashable) -> _Line | None:
        instrument = await self.instrument(venue, symbol)
        if instrument is None:
            return None
        return self._join(venue, symbol, instrument, listener)

    def _join(self, venue: str, symbol: str, instrument: Instrument, listener: Hashable) -> _Line:
        line = self._lines.get((venue, symbol))
        if line is None:
            line = _Line(self.name_of(venue, symbol), venue, instrument, self._reactor.seconds())
            self._lines[venue, symbol] = line
            line.listeners.add(listener)
            self._brokers[venue].subscribe(symbol)
            if self._deep and Can.DEPTH in self._brokers[venue].can:
                self._brokers[venue].subscribe_depth(symbol)
            if self._keep_bars:
                self._load_bars(line)
        line.listeners.add(listener)
        return line

    def show_books(self, wanted: bool) -> None:
        """Have the books of all active symbols told too, where the venue shows them; or no more."""
        if wanted is self._deep:
            return
        self._deep = wanted
        for venue, symbol in list(self._lines):
            broker = self._brokers[venue]
            if Can.DEPTH in broker.can:
                (broker.subscribe_depth if wanted else broker.unsubscribe_depth)(symbol)

    def known(self, venue: str, symbol: str) -> Instrument | None:
        """The trading rules, if they were asked for before."""
        return self._instruments.get((venue, symbol))

    async def has(self, venue: str, symbol: str) -> bool | None:
        """Whether a venue has a symbol; None: it does not say so soon that a halt could wait for it."""
        if self.known(venue, symbol) is not None:
            return True
        answer: Deferred[bool | None] = Deferred()

        def say(found: bool | None) -> None:
            if not answer.called:
                answer.callback(found)

        async def ask() -> None:
            try:
                say(await self.instrument(venue, symbol) is not None)
            except GatewayError:
                say(None)

        def failed(failure: Any) -> None:
            log.failure("Asking {venue} for {symbol} failed.", failure, venue=venue, symbol=symbol)
            say(None)

        Deferred.fromCoroutine(ask()).addErrback(failed)
        late = self._reactor.callLater(HAS_SECONDS, say, None)
        found = await answer
        if late.active():
            late.cancel()
        return found

    def join(self, venue: str, symbol: str, listener: Hashable) -> None:
        """Listen to a symbol whose rules are known, at once."""
        known = self._instruments.get((venue, symbol))
        if known is not None:
            self._join(venue, symbol, known, listener)

    def leave(self, venue: str, symbol: str, listener: Hashable) -> None:
        """Listen no more."""
        self._leave((venue, symbol), listener)

    def meant_anew(self, venue: str, symbol: str) -> None:
        """A symbol means another contract from now on: no order is judged by what the old one showed."""
        self._instruments.pop((venue, symbol), None)
        self._asked.pop((venue, symbol), None)
        line = self._lines.get((venue, symbol))
        if line is None:
            return
        line.quote = line.last = line.day = None
        line.figures.clear()
        line.bars.clear()
        self._renew(line)
        if self._keep_bars:
            self._load_bars(line)

    def statistics(self, venue: str, symbol: str) -> Statistics:
        """An active symbol's figures of the day so far."""
        line = self._lines.get((venue, symbol))
        figures: Any = line.figures if line is not None else {}
        return Statistics(symbol, **figures)

    def _leave(self, place: tuple[str, str], listener: Hashable) -> bool:
        line = self._lines.get(place)
        if line is None or listener not in line.listeners:
            return False
        line.listeners.discard(listener)
        if not line.listeners:
            del self._lines[place]
            self._brokers[place[0]].unsubscribe(place[1])
            for told in self.ended:
                told(*place)
        return True

    def lost(self, venue: str) -> None:
        """A venue's link is gone: no order is judged by what was shown before, unless nothing else is shown in time."""
        for (at, _), line in self._lines.items():
            line.stale = line.stale or at == venue

    def resubscribe(self, venue: str) -> None:
        """After a reconnect: ask for everything that is still listened to, and for the bars since then."""
        for (at, symbol), line in list(self._lines.items()):
            if at == venue:
                self._brokers[venue].subscribe(symbol)
                if self._deep and Can.DEPTH in self._brokers[venue].can:
                    self._brokers[venue].subscribe_depth(symbol)
                if self._keep_bars:
                    self._load_bars(line)

    async def _priced(self, line: _Line, fresh: bool = False) -> None:
        """Wait for a first price, or for one that is no older than the link."""
        if not (fresh and line.stale) and (line.quote is not None or line.last is not None):
            return
        first: Deferred[None] = Deferred()
        line.waiting.append(first)
        late = self._reactor.callLater(self._timeout, _fire, first)
        await first
        if late.active():
            late.cancel()
        else:
            line.stale = False  # nobody else need wait for it
        if first in line.waiting:
            line.waiting.remove(first)

    # reading

    def tickers(self) -> dict[str, Ticker]:
        """Every active symbol, by name."""
        return {line.name: line.ticker() for line in self._lines.values()}

    def names(self) -> list[str]:
        """The names of the active symbols."""
        return [line.name for line in self._lines.values()]

    def ticker(self, name: str) -> Ticker | None:
        """An active symbol's values; None when nobody listens to it."""
        line = self._lines.get(self.place(name))
        return line.ticker() if line else None

    def volume(self, venue: str, symbol: str) -> Decimal:
        """An active symbol's volume of the day so far."""
        line = self._lines.get((venue, symbol))
        return line.figures.get("volume", Decimal(0)) if line else Decimal(0)

    def now(self, venue: str | None = None) -> datetime:
        """The clock of a venue's feed (default: the default venue's), moved by the configured offset."""
        return self._brokers[venue or self._default].now() + self._offset

    async def bars(self, name: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar] | None:
        """Bars whose start lies in [start, end), oldest first; None for an unknown symbol."""
        venue, symbol = self.place(name)
        if await self.instrument(venue, symbol) is None:
            return None
        return await self._brokers[venue].bars(symbol, period, start, end)

    async def breathe(self) -> None:
        """Let the reactor turn once, in the middle of long work."""
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(0, turn.callback, None)
        await turn

    # the market's events

    def report(self, venue: str, event: Quote | Trade | Bar | Statistics | Depth) -> None:
        """Take in what a broker shows of its market."""
        line = self._lines.get((venue, event.symbol))
        if line is None:
            return
        if isinstance(event, Quote):
            line.quote = event
        elif isinstance(event, Trade):
            self._traded(line, event)
        elif isinstance(event, Bar):
            line.keep(event)
            return
        elif isinstance(event, Depth):
            if self._deep:
                for shown in self.books:
                    shown(venue, event.symbol, event)
            return
        else:
            line.day = None
            names = ("open", "high", "low", "close", "volume", "vwap")
            line.figures.update({name: value for name in names if (value := getattr(event, name)) is not None})
            for told in self.figures:
                told(venue, event)
            return
        line.stale = False
        if line.waiting:
            waiting, line.waiting = line.waiting, []
            for first in waiting:
                self._reactor.callLater(0, _fire, first)  # the present values come together: let all of them be there
        for stream in self.streams:
            stream(venue, event.symbol, event)

    def _traded(self, line: _Line, trade: Trade) -> None:
        figures = line.figures
        day = self._local_date(trade.time)
        if line.day is not None and day != line.day:
            if line.last is not None:
                figures["close"] = line.last.price
            for name in ("open", "high", "low", "volume", "vwap"):
                figures.pop(name, None)
            line.end_day()
        figures.setdefault("open", trade.price)
        figures["high"] = max(figures.get("high", trade.price), trade.price)
        figures["low"] = min(figures.get("low", trade.price), trade.price)
        before = figures.get("volume", Decimal(0))
        counted = line.day is None and before
        line.day = day
        line.last = trade
        if counted:
            return
        figures["volume"] = total = before + trade.size
        if total:
            figures["vwap"] = (figures.get("vwap", trade.price) * before + trade.price * trade.size) / total
        if self._keep_bars:
            minute = trade.time.replace(second=0, microsecond=0)
            line.keep(_grown(line.bars.get(minute), trade, minute))

    def _load_bars(self, line: _Line) -> None:
        """Fetch the day's bars so far, behind what comes in live."""

        async def load() -> None:
            now = self._brokers[line.venue].now()
            start = now - timedelta(hours=24)
            while self._local_date(start) != self._local_date(now):
                start += timedelta(minutes=15)
            bars = await self._brokers[line.venue].bars(line.instrument.symbol, Period(1, Unit.MINUTE), start, now)
            for bar in bars:
                line.keep(bar)

        def failed(failure: Any) -> None:
            if failure.check(GatewayError):
                log.warn("The bars of {name} are not there yet: {text}", name=line.name, text=failure.getErrorMessage())
            else:
                log.failure("The bars of {name} could not be loaded.", failure, name=line.name)

        Deferred.fromCoroutine(load()).addErrback(failed)


def _fire(first: Deferred[None]) -> None:
    if not first.called:
        first.callback(None)


def _grown(bar: Bar | None, trade: Trade, minute: datetime) -> Bar:
    price = trade.price
    if bar is None:
        return Bar(trade.symbol, minute, price, price, price, price, trade.size)
    high, low = max(bar.high, price), min(bar.low, price)
    return Bar(bar.symbol, minute, bar.open, high, low, price, bar.volume + trade.size)


def _from_trade(trade: Trade | None) -> Quote | None:
    """Where a market shows trades only, its last price stands for both sides."""
    if trade is None:
        return None
    return Quote(trade.symbol, trade.price, trade.size, trade.price, trade.size, trade.time)
