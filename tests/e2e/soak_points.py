"""When the daemon dies: points drawn from a seed, over all that it does in its life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from random import Random


class Moment(Enum):
    """What the daemon is at when it is killed. `Point.delay` counts from there."""

    LAUNCH = auto()
    """Its process has just begun: it loads its code, or opens its files."""
    JOURNAL_OPENED = auto()
    """It has the journal: it replays, binds, connects, reconciles."""
    UP = auto()
    """It has just become Up, and clients send what is in doubt again."""
    BURST = auto()
    """The clients' first orders of a burst are under way."""
    ANSWER = auto()
    """It has just answered the `answers`-th call of a burst."""


@dataclass(frozen=True, slots=True)
class Point:
    """One kill."""

    moment: Moment
    delay: float = 0.0
    answers: int = 0

    def __str__(self) -> str:
        after = f"answer {self.answers}" if self.moment is Moment.ANSWER else f"{self.delay:.3f} s"
        return f"{self.moment.name} + {after}"


_MIX = [Moment.BURST] * 9 + [Moment.ANSWER] * 8 + [Moment.UP] * 4 + [Moment.JOURNAL_OPENED] * 3 + [Moment.LAUNCH]


def points(chance: Random) -> Iterator[Point]:
    """Kills without end, in rounds of twenty-five that have each moment as often as the mix says, in any order."""
    while True:
        for moment in chance.sample(_MIX, len(_MIX)):
            yield _drawn(moment, chance)


def _drawn(moment: Moment, chance: Random) -> Point:
    if moment is Moment.BURST:
        return Point(moment, delay=0.02 * 50 ** chance.random())
    if moment is Moment.ANSWER:
        return Point(moment, answers=chance.randint(1, 150))
    reach = {Moment.UP: 0.08, Moment.JOURNAL_OPENED: 0.15, Moment.LAUNCH: 1.0}[moment]
    return Point(moment, delay=reach * chance.random())


def first(count: int, chance: Random) -> list[Point]:
    """So many kills."""
    return list(islice(points(chance), count))
