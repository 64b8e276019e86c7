"""Order ids: short, unique without asking anybody, and sorted as they were made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter is taken for another."""
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_BITS = 50
"""Ten letters."""


class Ids:
    """Twenty characters: ten of the milliseconds since 1970, ten of chance that count up within one millisecond."""

    def __init__(self, clock: Callable[[], datetime], chance: Callable[[int], int]) -> None:
        self._clock = clock
        self._chance = chance
        self._last = 0
        self._tail = 0

    def __call__(self) -> str:
        """A new id. A clock that runs back does not: the last millisecond then goes on."""
        now = int(self._clock().timestamp() * 1000)
        if now > self._last:
            self._last, self._tail = now, self._chance(1 << (_BITS - 1))
        else:
            self._tail += 1
        return _written(self._last) + _written(self._tail)


def _written(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(_BITS - 10, -1, -10)])
