"""Bars of longer periods out of shorter ones, and how bars are cut to what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.errors import Unsupported
from txgateway.model.instrument import Session
from txgateway.model.market import Bar, Period, Trade, Unit

MINUTE = timedelta(minutes=1)


class Running:
    """A bar that trades are added to."""

    __slots__ = ("close", "high", "low", "open", "symbol", "time", "volume")

    def __init__(self, symbol: str, time: datetime, price: Decimal) -> None:
        self.symbol = symbol
        self.time = time
        self.open = self.high = self.low = self.close = price
        self.volume = Decimal(0)

    def add(self, price: Decimal, size: Decimal) -> None:
        """One trade more."""
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price
        self.close = price
        self.volume += size

    def bar(self) -> Bar:
        """The bar so far."""
        return Bar(self.symbol, self.time, self.open, self.high, self.low, self.close, self.volume)


def minutes(trades: Iterable[Trade]) -> Iterator[Bar]:
    """Minute bars of trades in order."""
    running: Running | None = None
    for trade in trades:
        start = trade.time.replace(second=0, microsecond=0)
        if running is None or running.time != start:
            if running is not None:
                yield running.bar()
            running = Running(trade.symbol, start, trade.price)
        running.add(trade.price, trade.size)
    if running is not None:
        yield running.bar()


def grouped(bars: Iterable[Bar], start_of: Callable[[datetime], datetime]) -> Iterator[Bar]:
    """The bars joined by the start of the period that each lies in."""
    group: list[Bar] = []
    start: datetime | None = None
    for bar in bars:
        its = start_of(bar.time)
        if group and start is not None and its != start:
            yield _joined(group, start)
            group = []
        start = its
        group.append(bar)
    if group and start is not None:
        yield _joined(group, start)


def starts(period: Period, sessions: Sessions, session: Session) -> Callable[[datetime], datetime]:
    """Where the period that holds a moment begins.

    Minutes count from the session's opening time of the local day (and back from it), and begin anew each midnight;
    weeks begin on Monday, months on the first.
    """
    if period.unit is Unit.MINUTE:
        opens = session.open.hour * 60 + session.open.minute

        def minute(moment: datetime) -> datetime:
            midnight = sessions.midnight(sessions.day(moment))
            since = (moment - midnight) // MINUTE - opens
            return max(midnight, midnight + (since // period.count * period.count + opens) * MINUTE)

        return minute
    if period.count != 1:
        raise Unsupported("Days, weeks and months come one at a time: give a period of one.")
    return lambda moment: sessions.midnight(first_day(period.unit, sessions.day(moment)))


def first_day(unit: Unit, day: date) -> date:
    """The first day of the week or month that holds a day; the day itself for days."""
    if unit is Unit.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit is Unit.MONTH else day


def _joined(bars: list[Bar], start: datetime) -> Bar:
    first = bars[0]
    return Bar(
        first.symbol,
        start,
        first.open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum((bar.volume for bar in bars), Decimal(0)),
    )
