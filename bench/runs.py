"""How often and how long: two things measured in turns, so that what disturbs one disturbs the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.percentiles import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The size of a run: turns and their seconds, orders in a list, commits and reads."""

    turns: int = 5
    seconds: float = 2.0
    orders: int = 100_000
    long_list: int = 1000
    commits: int = 200
    reads: int = 200_000

    @classmethod
    def quick(cls) -> Scale:
        """As small as still shows that everything works; its figures mean nothing."""
        return cls(turns=1, seconds=0.1, orders=200, long_list=50, commits=10, reads=1000)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two medians, and the median of the turns' ratios."""

    first: float
    second: float
    ratio: float


def in_turns(turns: int, first: Callable[[], float], second: Callable[[], float]) -> Compared:
    """A B A B …, after one of each that does not count where there are several."""
    if turns > 1:
        first(), second()
    pairs = [(first(), second()) for _ in range(turns)]
    return Compared(
        median(ours for ours, _ in pairs),
        median(theirs for _, theirs in pairs),
        median(ours / theirs for ours, theirs in pairs),
    )
