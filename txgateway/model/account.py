"""What an account holds: balances by currency, positions by symbol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)
CENT = Decimal("0.01")
FINEST = -18
"""No currency is written in more places."""


@dataclass(frozen=True, slots=True)
class Balance:
    """One currency of one account: `total` owned, `available` to trade with, `reserved` by working orders."""

    currency: str
    total: Decimal
    available: Decimal
    reserved: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What the broker says of an account: its cash, its balances and its own further values by name."""

    account: str
    cash: Decimal
    balances: tuple[Balance, ...] = ()
    values: Mapping[str, Decimal | str] = field(default_factory=dict)

    @property
    def equity(self) -> Decimal:
        """What the account is worth: its value `equity`, else its cash."""
        equity = self.values.get("equity")
        return equity if isinstance(equity, Decimal) else self.cash

    @property
    def buying_power(self) -> Decimal | None:
        """What may be bought with it: its value `buying_power`; None where the broker says none."""
        power = self.values.get("buying_power")
        return power if isinstance(power, Decimal) else None


def adds_up(ours: Decimal, theirs: Decimal) -> bool:
    """Whether two finite amounts are alike but for rounding: a unit of the last place that is written of `theirs`.

    A cent at most: whoever writes 100 may have meant 100.00.
    """
    place = max(int(theirs.as_tuple().exponent), FINEST)
    return abs(ours - theirs) <= min(CENT, Decimal(1).scaleb(place))


@dataclass(frozen=True, slots=True)
class Position:
    """A holding: `quantity` is signed (short below zero), `average_price` is what it was entered at (0: nobody knows).

    The rest is there only where the venue tells it (perpetuals, futures), as it was when it told: `mark_price` values
    the position, at `liquidation_price` the venue closes it.
    """

    venue: str
    account: str
    symbol: str
    quantity: Decimal
    average_price: Decimal = ZERO
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    unrealized_profit: Decimal | None = None

    def after(self, signed: Decimal, price: Decimal) -> Position:
        """The position after a fill of `signed` units (sells below zero) at `price`."""
        total = self.quantity + signed
        if total == 0:
            cost = ZERO
        elif self.quantity == 0 or (self.quantity > 0) != (total > 0):
            cost = price
        elif (signed > 0) == (self.quantity > 0) and self.average_price:
            cost = (self.quantity * self.average_price + signed * price) / total
        else:
            cost = self.average_price
        return Position(self.venue, self.account, self.symbol, total, cost)
