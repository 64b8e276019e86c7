"""An instrument and the venue's trading rules for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import StrEnum


class AssetClass(StrEnum):
    """What kind of thing is traded."""

    STOCK = "STOCK"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    FOREX = "FOREX"
    CRYPTO = "CRYPTO"
    PERPETUAL = "PERPETUAL"
    INDEX = "INDEX"


@dataclass(frozen=True, slots=True)
class Session:
    """Regular trading hours of one day in `timezone`; a `calendar` (exchange code) knows the holidays.

    `always` is a market that never closes: `open` and `close` then only bound a day's bars.
    """

    open: time
    close: time
    timezone: str
    always: bool = False
    calendar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable thing at one venue. Steps and limits are in units of the instrument; zero means no limit."""

    symbol: str
    venue: str
    fullname: str = ""
    cusip: str = ""
    asset_class: AssetClass = AssetClass.STOCK
    currency: str = "USD"
    exchange: str = ""
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal(1)
    min_quantity: Decimal = Decimal(1)
    max_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    shortable: bool = True
    session: Session | None = None
    raw: Mapping[str, str] = field(default_factory=dict)

    def tradable(self, quantity: Decimal) -> Decimal:
        """What of a holding (signed) can be traded: fees that are kept out of what is bought leave parts of a lot."""
        if self.asset_class is not AssetClass.CRYPTO or self.lot_size <= 0:
            return quantity
        return quantity - quantity % self.lot_size  # of Decimals the rest has the sign of the quantity
