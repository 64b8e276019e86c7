"""Leases: orders that end when the connection which sent them has been gone for so long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease: `lost` is when its connection went, None while it is there (or went with the daemon)."""

    lease: str
    user: str
    name: str
    seconds: float
    lost: datetime | None = None
