"""Where the price of anything goes by itself: a path that is always the same for the same seed. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

WAVES = ((86400 * 45, 0.12), (86400 * 2, 0.02), (3600, 0.006), (300, 0.002), (15, 0.0006))
"""Seconds from one point of the path to the next, and how far it goes at most, of the price."""


@lru_cache(maxsize=200_000)
def chance(*of: object) -> float:
    """A number from 0 to 1 that is always the same for the same words."""
    digest = hashlib.blake2b("/".join(map(str, of)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def away(seed: str, name: object, at: float) -> float:
    """How far from its base a price is at a time in seconds, as a part of the base: 0.01 is a hundredth above it."""
    moved = 0.0
    for period, reach in WAVES:
        step, share = divmod(at / period, 1)
        here, there = (2 * chance(seed, name, period, int(step) + i) - 1 for i in (0, 1))
        moved += reach * (here + (there - here) * share)
    return moved
