"""A made-up market: prices are a function of (seed, symbol, time), so it has a past, and the same one after a restart.

A day's open, high, low, close and volume come from hashes (value noise over days, from one day to three years long); a
walk bent to fit them gives the day's minutes; each minute's ticks run from its open by its high and low to its close.
So ticks, minute bars and day bars agree exactly, whenever they are computed. One trade and one quote each tick; the
trade is at the bid or at the ask that the quote shows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from txgateway.brokers.paper.days import Days, Plan, mix_of
from txgateway.brokers.paper.names import NAMES, Name
from txgateway.brokers.paper.periods import MINUTE, Running
from txgateway.brokers.paper.sessions import FIRST_DAY, Sessions
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Bar, Quote, Statistics, Trade

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US = 60_000_000
MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """Where a moment is: the day's plan, the minute in the day, the tick in the minute."""

    plan: Plan
    minute: int
    tick: int


class SyntheticMarket:
    """All names at all times, `ticks` of them a minute (four or more)."""

    def __init__(self, seed: str, sessions: Sessions, ticks: int = 60) -> None:
        self._seed = seed
        self._sessions = sessions
        self._ticks = ticks
        self._interval = MINUTE_US // ticks * MICROSECOND
        self._days_of = Days(seed, sessions, ticks)

    # ticks

    def shown(self, symbol: str, moment: datetime) -> tuple[Quote, Trade] | None:
        """The last tick at or before a moment; None before the market's first day."""
        name = NAMES[symbol]
        place = self._place(name, moment)
        if place is None:
            return None
        time = place.plan.start + place.minute * MINUTE + place.tick * self._interval
        mix = mix_of(f"{self._seed}/{symbol}/{(time - EPOCH) // MICROSECOND}")
        price = self._price(place, mix)
        tick, lot = name.tick_size, name.lot_size
        spread = 1 + (mix >> 8) % name.spread
        bid, ask = (price - spread, price) if mix & 1 else (price, price + spread)
        quote = Quote(symbol, tick * bid, _size(name, mix >> 16), tick * ask, _size(name, mix >> 36), time)
        return quote, Trade(symbol, tick * price, lot * self._traded(place), time)

    def price(self, symbol: str, moment: datetime) -> Decimal | None:
        """The last traded price at a moment."""
        shown = self.shown(symbol, moment)
        return shown[1].price if shown else None

    def statistics(self, symbol: str, moment: datetime) -> Statistics:
        """The day's figures up to and with the last tick; `vwap` goes by whole minutes."""
        name = NAMES[symbol]
        place = self._place(name, moment)
        if place is None:
            return Statistics(symbol)
        plan, minute, _ = place
        bar = self._minute(name, place)
        tick, lot = name.tick_size, name.lot_size
        high = max([tick * high for high in plan.highs[:minute]] + [bar.high])
        low = min([tick * low for low in plan.lows[:minute]] + [bar.low])
        volume = lot * plan.volumes[minute] + bar.volume
        value = tick * lot * plan.values[minute] / 4 + bar.close * bar.volume
        before = self._sessions.previous_day(name.asset_class, self._sessions.day(plan.start))
        close = tick * self._days_of.close(symbol, before)
        vwap = (value / volume).quantize(tick) if volume else None
        return Statistics(symbol, tick * plan.edges[0], high, low, close, volume, vwap)

    # bars

    def minutes(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[Bar]:
        """Minute bars that start in [start, end), up to now; the running minute as far as it has come."""
        name = NAMES[symbol]
        here = self._place(name, now)
        for day in self._days(name, start, min(end, now + MICROSECOND)):
            plan = self._days_of.plan(name, day)
            if here is None or plan.start > here.plan.start:
                return
            last = here.minute if plan.start == here.plan.start else plan.count - 1
            first = max(0, -((plan.start - start) // MINUTE))
            for minute in range(first, last + 1):
                time = plan.start + minute * MINUTE
                if time >= end:
                    return
                if plan.start == here.plan.start and minute == here.minute:
                    yield self._minute(name, here)
                else:
                    yield _whole_minute(name, plan, minute, time)

    def days(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[Bar]:
        """Day bars that start (at local midnight) in [start, end), up to now; the running day as far as it has come."""
        name = NAMES[symbol]
        here = self._place(name, now)
        for day in self._days(name, start, min(end, now + MICROSECOND)):
            midnight = self._sessions.midnight(day)
            hours = self._sessions.hours(name.asset_class, day)
            if midnight < start or hours is None:
                continue
            if midnight >= end or here is None or hours[0] > here.plan.start:
                return
            tick = name.tick_size
            if hours[0] == here.plan.start:
                today = self.statistics(symbol, now)
                shown = self.shown(symbol, now)
                if shown and today.open is not None and today.high is not None and today.low is not None:
                    volume = today.volume or Decimal(0)
                    yield Bar(symbol, midnight, today.open, today.high, today.low, shown[1].price, volume)
                return
            figures = self._days_of.figures(name, day)
            total = figures.volume + self._ticks * ((hours[1] - hours[0]) // MINUTE)
            opened, high, low, close = (tick * each for each in figures[:4])
            yield Bar(symbol, midnight, opened, high, low, close, name.lot_size * total)

    def _days(self, name: Name, start: datetime, end: datetime) -> Iterator[date]:
        day = max(FIRST_DAY, self._sessions.day(start))
        while self._sessions.midnight(day) < end:
            if self._sessions.hours(name.asset_class, day) is not None:
                yield day
            day += timedelta(days=1)

    # a tick in its minute

    def _place(self, name: Name, moment: datetime) -> Place | None:
        day = self._sessions.latest_day(name.asset_class, moment)
        hours = self._sessions.hours(name.asset_class, day) if day is not None and day >= FIRST_DAY else None
        if day is None or hours is None:
            return None
        at = min(moment, hours[1] - self._interval)
        minute, tick = divmod((at - hours[0]) // self._interval, self._ticks)
        return Place(self._days_of.plan(name, day), minute, tick)

    def _price(self, place: Place, mix: int) -> int:
        """The tick's price: on the way between open, the two turns (high and low) and close, a tick aside at times."""
        plan, minute, tick = place
        low, high = plan.lows[minute], plan.highs[minute]
        knots = self._knots(plan, minute)
        for (left, here), (right, there) in pairwise(knots):
            if tick == left:
                return here
            if left < tick < right:
                between = here + (there - here) * (tick - left) // (right - left) + (mix >> 4) % 3 - 1
                return min(high, max(low, between))
        return plan.edges[minute + 1]

    def _knots(self, plan: Plan, minute: int) -> list[tuple[int, int]]:
        last = self._ticks - 1
        up = 1 + plan.turns[2 * minute] * (last - 1) // 256
        down = 1 + plan.turns[2 * minute + 1] * (last - 1) // 256
        if up == down:
            down = down + 1 if down + 1 < last else down - 1
        turns = sorted([(up, plan.highs[minute]), (down, plan.lows[minute])])
        return [(0, plan.edges[minute]), *turns, (last, plan.edges[minute + 1])]

    def _traded(self, place: Place) -> int:
        """The tick's volume in lots: at least one, and together with its minute's others exactly the minute's."""
        plan, minute, tick = place
        spare = plan.volumes[minute + 1] - plan.volumes[minute] - self._ticks
        bend = plan.turns[2 * minute] / 256
        return 1 + self._share(spare, tick + 1, bend) - self._share(spare, tick, bend)

    def _share(self, spare: int, tick: int, bend: float) -> int:
        part = tick / self._ticks
        return int(spare * (part + bend * part * (1 - part) * (1 - 2 * part)))

    def _minute(self, name: Name, place: Place) -> Bar:
        """The place's minute up to its tick."""
        plan, minute, last = place
        time = plan.start + minute * MINUTE
        if last == self._ticks - 1:
            return _whole_minute(name, plan, minute, time)
        first = (time - EPOCH) // MICROSECOND
        step = MINUTE_US // self._ticks
        prices = [
            self._price(Place(plan, minute, tick), mix_of(f"{self._seed}/{name.symbol}/{first + tick * step}"))
            for tick in range(last + 1)
        ]
        volume = sum(self._traded(Place(plan, minute, tick)) for tick in range(last + 1))
        running = Running(name.symbol, time, name.tick_size * prices[0])
        for price in (max(prices), min(prices), prices[-1]):
            running.add(name.tick_size * price, Decimal(0))
        running.volume = name.lot_size * volume
        return running.bar()


def _size(name: Name, mix: int) -> Decimal:
    """A shown size: one to twenty times the least that is shown, and a fraction more for crypto."""
    size = name.shown * (1 + mix % 20)
    if name.asset_class is AssetClass.CRYPTO:
        size += name.lot_size * ((mix >> 5) % 10_000)
    return size


def _whole_minute(name: Name, plan: Plan, minute: int, time: datetime) -> Bar:
    tick = name.tick_size
    return Bar(
        name.symbol,
        time,
        tick * plan.edges[minute],
        tick * plan.highs[minute],
        tick * plan.lows[minute],
        tick * plan.edges[minute + 1],
        name.lot_size * (plan.volumes[minute + 1] - plan.volumes[minute]),
    )
