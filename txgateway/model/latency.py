"""How long something takes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds until an answer: of the last `of` measured half took at most p50, 99 in 100 p99. None: none was."""

    count: int
    of: int
    p50_ms: Decimal | None = None
    p99_ms: Decimal | None = None
    max_ms: Decimal | None = None


NEVER_MEASURED = Latency(0, 0)
