"""An errand: what is sent to a venue to change something there, and is no order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ErrandKind(StrEnum):
    """What is changed: a symbol's leverage, an account's position mode, or whatever an endpoint of the venue does."""

    LEVERAGE = "LEVERAGE"
    POSITION_MODE = "POSITION_MODE"
    ENDPOINT = "ENDPOINT"


class ErrandOutcome(StrEnum):
    """What came of it. UNKNOWN: it may have been done, and the venue cannot be asked; a person must look there."""

    DONE = "DONE"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Errand:
    """One that has not ended. `number` is its record's seq; `value` is what was asked for, in words."""

    number: int
    venue: str
    account: str
    kind: ErrandKind
    symbol: str
    value: str
    by: str
    began: datetime

    def __str__(self) -> str:
        about = " of ".join(each for each in (self.symbol, self.account) if each)
        where = f"{self.venue}{f' ({about})' if about else ''}"
        return f"{self.kind.value.lower().replace('_', ' ')} {self.value} at {where}"
