"""What both venues list: spot pairs against the dollar. Fees are in dollars, on top of what was bought."""

from __future__ import annotations

import uuid
from decimal import Decimal

from tests.emulators.crypto.instruments import PAIRS, Instrument, spot

D = Decimal
DOLLARS = {"value": D(1), "maker": D("0.004"), "taker": D("0.006"), "fee_in": "quote"}
INSTRUMENTS: tuple[Instrument, ...] = tuple(
    spot(base, "USD", f"{base}-USD", **DOLLARS) for base in PAIRS
)  # fmt: skip
NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "SOL": "Solana", "DOGE": "Dogecoin", "USD": "US Dollar"}
OURS = "c0de5afe-0000-4000-8000"
"""How every id begins that was made from a number."""


def id_of(number: int) -> str:
    """An order's id: a UUID with its number in it."""
    return f"{OURS}-{number:012x}"


def number_of(name: object) -> int | None:
    """The number in an id; None: it cannot be one of ours. ValueError: it is not a UUID."""
    made = str(uuid.UUID(str(name)))
    return int(made[-12:], 16) if made.startswith(OURS) else None


def of_name(*words: object) -> str:
    """A UUID that is always the same for the same words: of an account, a user, a fill."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, words))))


def plain(value: Decimal) -> str:
    """Without an exponent, and without zeros behind."""
    return f"{value.normalize():f}" if value else "0"


def places(value: Decimal, count: int = 8) -> str:
    """With so many places."""
    return f"{value:.{count}f}"
