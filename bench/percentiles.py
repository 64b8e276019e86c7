"""The two figures that stand for many: a median, a percentile. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

__all__ = ["median", "percentile"]


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
