"""The synthetic feed: the made-up market, shown tick by tick on the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from txgateway.brokers.paper.feed import Hear, breather, gathered, instrument_of
from txgateway.brokers.paper.names import NAMES
from txgateway.brokers.paper.periods import grouped, starts
from txgateway.brokers.paper.sessions import Sessions
from txgateway.brokers.paper.synthetic import MINUTE_US, SyntheticMarket
from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Bar, LastPrice, Period, Quote, Statistics, Trade, Unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
AT_ONCE = 3
"""Symbols whose day may have to be made in one turn: some milliseconds each."""


class SyntheticFeed:
    """All familiar names; each subscribed one ticks once an interval, at whole multiples of it.

    With `start`, the clock begins there when the feed starts, and goes on as time does.
    """

    live = False

    def __init__(
        self,
        venue: str,
        seed: str,
        interval_us: int,
        sessions: Sessions,
        reactor: Any,
        clock: Callable[[], datetime],
        start: datetime | None = None,
    ) -> None:
        self._market = SyntheticMarket(seed, sessions, MINUTE_US // interval_us)
        self._interval = interval_us * MICROSECOND
        self._sessions = sessions
        self._reactor = reactor
        self._clock = clock
        self._starts = start
        self._ahead = timedelta(0)
        self._latest = EPOCH
        self._instruments = {symbol: instrument_of(name, venue, sessions) for symbol, name in NAMES.items()}
        self._shown: dict[str, tuple[Quote, Trade]] = {}
        self._due = EPOCH
        self._glanced: dict[str, tuple[datetime, Decimal | None]] = {}
        self._hear: Hear | None = None
        self._timer: Any = None

    def start(self, hear: Hear) -> None:
        """Begin the clock."""
        if self._starts is not None:
            self._ahead = self._starts - self._clock()
        self._hear = hear

    def stop(self) -> None:
        """Stop ticking."""
        self._hear = None
        self._shown.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def now(self) -> datetime:
        """The clock, or what `start` made of it; never running back."""
        now = self._clock() + self._ahead if self._ahead else self._clock()
        if now > self._latest:
            self._latest = now
        return self._latest

    def instrument(self, symbol: str) -> Instrument | None:
        """The rules of a familiar name."""
        return self._instruments.get(symbol)

    async def look_up(self, symbol: str) -> Instrument | None:
        """The same."""
        return self.instrument(symbol)

    def standing(self, symbol: str) -> str:
        """It never stands still."""
        return ""

    def instruments(self) -> Sequence[Instrument]:
        """All familiar names."""
        return list(self._instruments.values())

    def quoted(self, symbol: str) -> bool:
        """Always."""
        return True

    def price(self, symbol: str) -> Decimal | None:
        """The last traded price."""
        if symbol in self._shown:
            return self._shown[symbol][1].price
        if symbol not in self._instruments:
            return None
        now = self.now()
        until, price = self._glanced.get(symbol, (EPOCH, None))
        if now >= until:
            price = self._market.price(symbol, now)
            self._glanced[symbol] = (now - (now - EPOCH) % self._interval + self._interval, price)
        return price

    def statistics(self, symbol: str) -> Statistics:
        """The day so far, with the tick shown last."""
        shown = self._shown.get(symbol)
        return self._market.statistics(symbol, shown[1].time if shown else self.now())

    def subscribe(self, symbol: str) -> None:
        """Let a symbol tick; its present tick is heard at once."""
        if symbol not in self._shown:
            self._show([symbol], self.now())
        if self._timer is None:
            self._schedule()

    def unsubscribe(self, symbol: str) -> None:
        """Let it tick no more."""
        self._shown.pop(symbol, None)

    def poll(self) -> datetime:
        """Show the present tick of every subscribed symbol, if it has not been."""
        now = self.now()
        if now >= self._due and self._shown:
            self._due = now - (now - EPOCH) % self._interval + self._interval
            self._show(list(self._shown), now)
        return now

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars from the same seed as the ticks, the running one included."""
        session, now = self._instruments[symbol].session, self._last_tick(symbol)
        bars = await gathered(self._bars(symbol, session, period, start, end, now), breather(self._reactor))
        if bars and period == Period(1, Unit.MINUTE) and self._last_tick(symbol) != now:
            bars[-1:] = self._market.minutes(symbol, bars[-1].time, end, self._last_tick(symbol))
        return bars

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        """Those of the tick shown last, or of the present one."""
        found, breathe = [], breather(self._reactor)
        for number, symbol in enumerate([each for each in symbols if each in self._instruments], 1):
            shown = self._shown.get(symbol) or self._market.shown(symbol, self.now())
            if shown is not None:
                found.append(LastPrice(symbol, shown[1].price, shown[1].time))
            if number % AT_ONCE == 0:
                await breathe()
        return found

    def _last_tick(self, symbol: str) -> datetime:
        """When what is known of a symbol was shown: bars never know more."""
        return self._shown[symbol][1].time if symbol in self._shown else self.now()

    def _bars(
        self, symbol: str, session: Session | None, period: Period, start: datetime, end: datetime, now: datetime
    ) -> Iterator[Bar]:
        single = self._market.minutes if period.unit is Unit.MINUTE else self._market.days
        if period in (Period(1, Unit.MINUTE), Period(1, Unit.DAY)):
            return single(symbol, start, end, now)
        assert session is not None
        start_of = starts(period, self._sessions, session)
        later = timedelta(minutes=period.count) if period.unit is Unit.MINUTE else timedelta(days=31)
        joined = grouped(single(symbol, start_of(start), end + later, now), start_of)
        return (bar for bar in joined if start <= bar.time < end)

    def _show(self, symbols: Sequence[str], now: datetime) -> None:
        events: list[Quote | Trade] = []
        for symbol in symbols:
            shown = self._market.shown(symbol, now)
            before = self._shown.get(symbol)
            if shown is not None and (before is None or shown[0].time > before[0].time):
                self._shown[symbol] = shown
                events.extend(shown)
        if self._hear is not None:
            self._hear(events)

    def _schedule(self) -> None:
        now = self.now()
        wait = self._interval - (now - EPOCH) % self._interval
        self._timer = self._reactor.callLater(wait / timedelta(seconds=1), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.poll()
        if self._shown and self._timer is None:
            self._schedule()
