"""Order ids: short, unique without asking anybody, and sorted as they were made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter is taken for another."""
_TIME, _CHANCE = 10, 10
_ROOM = 1 << (5 * _CHANCE)


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
            self._last, self._tail = now, self._chance(_ROOM >> 1)
        else:
            self._tail += 1
        return _written(self._last, _TIME) + _written(self._tail, _CHANCE)


def _written(number: int, width: int) -> str:
    return "".join(_LETTERS[number >> shift & 31] for shift in range(5 * (width - 1), -1, -5))
