"""A made-up market: prices are a function of (seed, symbol, time), so it has a past, and the same one after a restart.

A day's open, high, low, close and volume come from hashes (value noise over days, from one day to three years long); a
walk bent to fit them gives the day's minutes; each minute's ticks run from its open by its high and low to its close.
So ticks, minute bars and day bars agree exactly, whenever they are computed. One trade and one quote each tick; the
trade is at the bid or at the ask that the quote shows. Pure.
"""

from __future__ import annotations

import random
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import NamedTuple

from txgateway.brokers.paper.names import NAMES, Name
from txgateway.brokers.paper.periods import MINUTE, Running
from txgateway.brokers.paper.sessions import FIRST_DAY, Sessions
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Bar, Quote, Statistics, Trade

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US = 60_000_000
MICROSECOND = timedelta(microseconds=1)
OCTAVES = 6
"""Noise of 1, 4, 16, 64, 256 and 1024 days."""
WILDNESS = {AssetClass.CRYPTO: 1.5, AssetClass.FOREX: 0.3}
DAILY_MOVE = 0.008
DAY_RANGE = 0.01
PLANS = 128
"""Days kept ready, at about 50 kB each."""


class Figures(NamedTuple):
    """A day in ticks and lots."""

    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A day's minutes, in ticks and lots: `edges` are the prices between, `volumes` and `values` what traded before."""

    start: datetime
    turns: bytes
    edges: array[int]
    highs: array[int]
    lows: array[int]
    volumes: array[int]
    values: array[int]

    @property
    def count(self) -> int:
        """How many minutes the day has."""
        return len(self.highs)


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
        self._plans: OrderedDict[tuple[str, date], Plan] = OrderedDict()
        self._close = lru_cache(maxsize=8192)(self._compute_close)

    # ticks

    def shown(self, symbol: str, moment: datetime) -> tuple[Quote, Trade] | None:
        """The last tick at or before a moment; None before the market's first day."""
        name = NAMES[symbol]
        place = self._place(name, moment)
        if place is None:
            return None
        time = place.plan.start + place.minute * MINUTE + place.tick * self._interval
        mix = _mix(f"{self._seed}/{symbol}/{(time - EPOCH) // MICROSECOND}")
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
        close = tick * self._close(symbol, before)
        vwap = (value / volume).quantize(tick) if volume else None
        return Statistics(symbol, tick * plan.edges[0], high, low, close, volume, vwap)

    # bars

    def minutes(self, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[Bar]:
        """Minute bars that start in [start, end), up to now; the running minute as far as it has come."""
        name = NAMES[symbol]
        here = self._place(name, now)
        for day in self._days(name, start, min(end, now + MICROSECOND)):
            plan = self._plan(name, day)
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
            figures = self._figures(name, day)
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
        return Place(self._plan(name, day), minute, tick)

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
            self._price(Place(plan, minute, tick), _mix(f"{self._seed}/{name.symbol}/{first + tick * step}"))
            for tick in range(last + 1)
        ]
        volume = sum(self._traded(Place(plan, minute, tick)) for tick in range(last + 1))
        running = Running(name.symbol, time, name.tick_size * prices[0])
        for price in (max(prices), min(prices), prices[-1]):
            running.add(name.tick_size * price, Decimal(0))
        running.volume = name.lot_size * volume
        return running.bar()

    # a day

    def _plan(self, name: Name, day: date) -> Plan:
        key = (name.symbol, day)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._draw(name, day)
            if len(self._plans) > PLANS:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

    def _draw(self, name: Name, day: date) -> Plan:
        hours = self._sessions.hours(name.asset_class, day)
        assert hours is not None, f"{name.symbol} does not trade on {day}"
        count = (hours[1] - hours[0]) // MINUTE
        figures = self._figures(name, day)
        chance = random.Random(f"{self._seed}/{name.symbol}/{day.isoformat()}")
        edges = _walk(figures, list(chance.randbytes(count)))
        reach = max(2, (figures.high - figures.low) // 20)
        above, below, weights = chance.randbytes(count), chance.randbytes(count), chance.randbytes(count)
        pairs = list(pairwise(edges))
        highs = [min(figures.high, max(pair) + more * reach // 256) for pair, more in zip(pairs, above, strict=True)]
        lows = [max(figures.low, min(pair) - less * reach // 256) for pair, less in zip(pairs, below, strict=True)]
        sums = [0, *accumulate(96 + weight for weight in weights)]
        volumes = [minute * self._ticks + figures.volume * each // sums[-1] for minute, each in enumerate(sums)]
        worth = (
            (opened + high + low + closed) * (after - before)
            for (opened, closed), high, low, before, after in zip(
                pairs, highs, lows, volumes, volumes[1:], strict=False
            )
        )
        whole = [array("q", each) for each in (edges, highs, lows, volumes, [0, *accumulate(worth)])]
        return Plan(hours[0], chance.randbytes(2 * count), *whole)

    def _figures(self, name: Name, day: date) -> Figures:
        opened = self._close(name.symbol, self._sessions.previous_day(name.asset_class, day))
        closed = self._close(name.symbol, day)
        mix = _mix(f"{self._seed}/{name.symbol}/{day.isoformat()}/figures")
        most = max(2, int(max(opened, closed) * DAY_RANGE * WILDNESS.get(name.asset_class, 1.0)))
        high = max(opened, closed) + 1 + mix % most
        low = max(1, min(opened, closed) - 1 - (mix >> 20) % most)
        typical = int(name.volume / name.lot_size)
        return Figures(opened, high, low, closed, typical // 2 + (mix >> 40) % typical)

    def _compute_close(self, symbol: str, day: date) -> int:
        """The day's closing price in ticks."""
        name = NAMES[symbol]
        move = sum(self._noise(name, octave, day.toordinal()) * 2.0**octave for octave in range(OCTAVES))
        wild = WILDNESS.get(name.asset_class, 1.0)
        return round(float(name.price / name.tick_size) * (1 + DAILY_MOVE * wild * move))

    def _noise(self, name: Name, octave: int, day: int) -> float:
        """Between -1 and 1: straight lines between random points that are 4**octave days apart."""
        length = 4**octave
        at, part = divmod(day, length)
        here = _point(self._seed, name.symbol, octave, at)
        return here + (_point(self._seed, name.symbol, octave, at + 1) - here) * part / length


@lru_cache(maxsize=8192)
def _point(seed: str, symbol: str, octave: int, at: int) -> float:
    return (_mix(f"{seed}/{symbol}/{octave}/{at}/noise") & 0xFFFFFFFF) / 0x80000000 - 1.0


def _mix(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


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


def _walk(figures: Figures, chance: list[int]) -> list[int]:
    """Prices between minutes: a random walk from open to close, bent so that it just reaches high and low."""
    count = len(chance)
    steps = [0, *accumulate(2 * each - 255 for each in chance)]
    scale = (figures.high - figures.low) / (256.0 * count**0.5)
    drift = (figures.close - figures.open - steps[-1] * scale) / count
    raw = [figures.open + step * scale + drift * at for at, step in enumerate(steps)]
    inner = raw[1:-1]
    top, bottom = max(figures.open, figures.close), min(figures.open, figures.close)
    highest, lowest = max(inner), min(inner)
    up = (figures.high - top) / (highest - top) if highest > top else 0.0
    down = (bottom - figures.low) / (bottom - lowest) if lowest < bottom else 0.0
    bent = [
        round(
            top + (price - top) * up if price > top else bottom - (bottom - price) * down if price < bottom else price
        )
        for price in inner
    ]
    bent[inner.index(highest)] = figures.high
    bent[inner.index(lowest)] = figures.low
    return [figures.open, *bent, figures.close]
