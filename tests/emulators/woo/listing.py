"""What WOO lists here: spot pairs and perpetuals against USDT, with its kind of names."""

from __future__ import annotations

from decimal import Decimal

from tests.emulators.crypto.instruments import PAIRS, Instrument, perp, spot

D = Decimal
ONE_WALLET = {"wallet": "spot", "value": D(1), "maker": D("0.0002"), "taker": D("0.0005")}
"""An account has one wallet for all; WOO X's usual fees."""
INSTRUMENTS: tuple[Instrument, ...] = (
    *(spot(base, "USDT", f"SPOT_{base}_USDT", **ONE_WALLET) for base in PAIRS),
    *(perp(base, "USDT", f"PERP_{base}_USDT", max_leverage=20, **ONE_WALLET) for base in PAIRS),
)
LEVERAGES = (1, 2, 3, 4, 5, 10, 15, 20)
"""Those that can be set for perpetuals."""
