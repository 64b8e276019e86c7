"""An execution: one fill of one of our orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from txgateway.model.order import OrderType, Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. `time` is the venue's; `quantity` is positive; `commission` is what it cost, in `currency`.

    `execution_id` is the broker's and is unique per account. `order_id` is ours, empty when the broker could
    not tell. `cumulative_quantity`, `leaves_quantity` and `order_average_price` are the order's after this fill;
    `order_price` is the order's own limit price, else its stop price. `taken` is what the venue kept of the units as
    its fee (crypto exchanges do): the position moves by so much less. `fee` in `fee_currency` is what it took of
    a third currency (an exchange's own coin): commission and position are without it.
    """

    execution_id: str
    venue: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    time: datetime
    order_id: str = ""
    broker_order_id: str = ""
    commission: Decimal = ZERO
    currency: str = "USD"
    exchange: str = ""
    day: date | None = None
    order_quantity: Decimal = ZERO
    cumulative_quantity: Decimal = ZERO
    leaves_quantity: Decimal = ZERO
    order_average_price: Decimal = ZERO
    order_type: OrderType | None = None
    order_price: Decimal | None = None
    route: str = ""
    cusip: str = ""
    seq: int = 0
    taken: Decimal = ZERO
    fee: Decimal = ZERO
    fee_currency: str = ""

    @property
    def signed_quantity(self) -> Decimal:
        """What the position moves by: positive when bought, negative when sold."""
        return self.quantity * self.side.sign - self.taken

    @property
    def cash(self) -> Decimal:
        """What it moved the account's cash by, in `currency`, where what is bought is paid in full."""
        return -self.quantity * self.side.sign * self.price - self.commission
