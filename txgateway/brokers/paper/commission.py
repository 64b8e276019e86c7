"""What an order costs: by its whole quantity and value so far, so that the number of its fills makes no difference."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from txgateway.model.instrument import AssetClass

CENT = Decimal("0.01")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Commission:
    """A schedule in the manner of IB's fixed one: a price a share, with a minimum an order.

    At most it is `maximum` of the value, which wins over the minimum. Crypto and currency pairs pay a share of the
    value instead of a price a share.
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")
    maximum: Decimal = Decimal("0.01")
    crypto: Decimal = Decimal("0.0018")
    forex: Decimal = Decimal("0.00002")

    def total(self, asset_class: AssetClass, quantity: Decimal, value: Decimal) -> Decimal:
        """The commission of an order that traded `quantity` for `value` in all, to the cent.

        It never falls as quantity and value grow: a fill costs the total after it less the total before it.
        """
        if not quantity:
            return ZERO
        if asset_class is AssetClass.CRYPTO:
            plain = self.crypto * value
        elif asset_class is AssetClass.FOREX:
            plain = self.forex * value
        else:
            plain = self.per_share * quantity
        least = max(plain, self.minimum)
        return (min(least, self.maximum * value) if self.maximum else least).quantize(CENT, ROUND_HALF_UP)
