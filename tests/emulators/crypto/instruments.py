"""What is traded: spot pairs and linear perpetuals, with their trading rules. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

D = Decimal
MOST, VALUE, FEE, MAINTENANCE = D(9000), D(5), D("0.001"), D("0.004")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One spot pair or linear perpetual. Sizes are in the base asset, prices in the quote asset."""

    name: str
    """One of a kind in the emulator, and what the control calls it: BTC-USDT, BTC-USDT-PERP."""
    symbol: str
    """The venue's own name on the wire, which a spot pair and a perpetual may share."""
    base: str
    quote: str
    price: Decimal
    """Where its market stands at the start."""
    tick: Decimal
    step: Decimal
    least: Decimal
    most: Decimal = MOST
    value: Decimal = VALUE
    """An order's price times quantity is at least this."""
    perp: bool = False
    wallet: str = "spot"
    """Which of an account's wallets pays: venues keep one for all, or one for spot and one for futures."""
    maker: Decimal = FEE
    taker: Decimal = FEE
    fee_in: str = "received"
    """Spot: `received` (a buy pays in the base asset, a sell in the quote) or `quote`. Perpetuals pay in the quote."""
    max_leverage: int = 125
    maintenance: Decimal = MAINTENANCE
    """Of a position's value: with less than that it is liquidated."""
    interval: int = 8
    """Hours from one funding to the next."""

    @property
    def assets(self) -> tuple[str, ...]:
        """What an account's balances of this can be in."""
        return (self.quote,) if self.perp else (self.base, self.quote)


PAIRS = {
    "BTC": (D(50000), D("0.01"), D("0.00001")),
    "ETH": (D(2500), D("0.01"), D("0.0001")),
    "SOL": (D(150), D("0.01"), D("0.001")),
    "DOGE": (D("0.20000"), D("0.00001"), D(1)),
}
"""Base: the price at the start in dollars, the tick, the step."""


def spot(base: str, quote: str, symbol: str, **more: object) -> Instrument:
    """A usual spot pair of one of PAIRS; `more` replaces what a venue has otherwise."""
    price, tick, step = PAIRS[base]
    usual = {"price": price, "tick": tick, "step": step, "least": step, "most": D(9_000_000) if step == 1 else D(9000)}
    return Instrument(name=f"{base}-{quote}", symbol=symbol, base=base, quote=quote, **usual | more)


def perp(base: str, quote: str, symbol: str, **more: object) -> Instrument:
    """A usual linear perpetual of one of PAIRS, its ticks and steps ten times as coarse."""
    price, tick, step = PAIRS[base]
    step = step if step == 1 else step * 10
    usual = {"price": price, "tick": tick * 10 if base == "BTC" else tick, "step": step, "least": step}
    usual |= {"most": D(9_000_000) if step == 1 else D(1000), "wallet": "perp"}
    usual |= {"maker": D("0.0002"), "taker": D("0.0005")}
    name = f"{base}-{quote}-PERP"
    return Instrument(name=name, symbol=symbol, base=base, quote=quote, perp=True, **usual | more)
