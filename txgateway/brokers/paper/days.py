"""The days of the made-up market: a day's figures out of hashes, and its minutes bent to fit them. Pure."""

from __future__ import annotations

import random
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import NamedTuple

from txgateway.brokers.paper.names import NAMES, Name
from txgateway.brokers.paper.sessions import Sessions
from txgateway.model.instrument import AssetClass

MINUTE = timedelta(minutes=1)
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


class Days:
    """Every day of every name, for a market that ticks `ticks` times a minute."""

    def __init__(self, seed: str, sessions: Sessions, ticks: int) -> None:
        self._seed = seed
        self._sessions = sessions
        self._ticks = ticks
        self._plans: OrderedDict[tuple[str, date], Plan] = OrderedDict()
        self.close = lru_cache(maxsize=8192)(self._compute_close)
        """(symbol, day) -> the day's closing price in ticks."""

    def plan(self, name: Name, day: date) -> Plan:
        """A market day's minutes."""
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
        figures = self.figures(name, day)
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

    def figures(self, name: Name, day: date) -> Figures:
        """A market day in five numbers."""
        opened = self.close(name.symbol, self._sessions.previous_day(name.asset_class, day))
        closed = self.close(name.symbol, day)
        mix = mix_of(f"{self._seed}/{name.symbol}/{day.isoformat()}/figures")
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
    return (mix_of(f"{seed}/{symbol}/{octave}/{at}/noise") & 0xFFFFFFFF) / 0x80000000 - 1.0


def mix_of(text: str) -> int:
    """Sixty-four bits that a text stands for."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


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
