"""What an owner holds, has traded today and has working in one symbol of one account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from txgateway.model.market import Mark
from txgateway.model.order import AT_BROKER, Order

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holding:
    """A signed quantity, and what works to add to it and to take from it."""

    quantity: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    def after(self, sign: int, more: Decimal) -> Decimal:
        """The quantity once all that works on one side, and so much more, is filled."""
        return self.quantity + self.buys + more if sign > 0 else self.quantity - self.sells - more

    @property
    def worst(self) -> Decimal:
        """The most that it can become, long or short, when one side is filled and the other is not."""
        return max(abs(self.quantity + self.buys), abs(self.quantity - self.sells))

    def reduced_by(self, sign: int, more: Decimal) -> bool:
        """Whether so much more on a side only brings the holding nearer to nothing, and not beyond it."""
        after = self.after(sign, more)
        return abs(after) < abs(self.quantity) and after * self.quantity >= 0


@dataclass(frozen=True, slots=True)
class Book:
    """One owner's part of an account's position in a symbol. The owner of what we did not send is empty.

    `opened` was held when the trading day began, at an average cost of `cost`; `cash` is what today's fills brought
    (below zero: took), `fees` their commissions; `buys` and `sells` are open at the broker, or on their way to it.
    """

    venue: str
    account: str
    symbol: str
    owner: str
    quantity: Decimal = ZERO
    opened: Decimal = ZERO
    cost: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    def filled(self, signed: Decimal, price: Decimal, fee: Decimal) -> Book:
        """After a fill (sells below zero)."""
        return Book(
            self.venue,
            self.account,
            self.symbol,
            self.owner,
            self.quantity + signed,
            self.opened,
            self.cost,
            self.cash - signed * price,
            self.fees + fee,
            self.buys,
            self.sells,
        )

    def reserved(self, sign: int, more: Decimal) -> Book:
        """With so much more (or less) working on a side."""
        if sign > 0:
            return replace(self, buys=self.buys + more)
        return replace(self, sells=self.sells + more)

    def corrected(self, difference: Decimal, cost: Decimal) -> Book:
        """After the broker's word that more or less is held than our fills say: as if it had been so all day."""
        return replace(self, quantity=self.quantity + difference, opened=self.opened + difference, cost=cost)

    def started(self, cost: Decimal) -> Book:
        """At the beginning of a trading day."""
        return replace(self, opened=self.quantity, cost=cost, cash=ZERO, fees=ZERO)

    @property
    def is_empty(self) -> bool:
        """Nothing held, nothing working, nothing traded today."""
        return not (self.quantity or self.opened or self.cash or self.fees or self.buys or self.sells)

    @property
    def holding(self) -> Holding:
        """What is held and what works."""
        return Holding(self.quantity, self.buys, self.sells)

    def profit(self, price: Decimal, mark: Mark | None) -> Decimal:
        """What the trading day has earned so far (below zero: lost), with what is held valued at a price.

        What was held overnight counts from the day before's close; where the market shows none, from its cost, and
        where nobody knows that, from what it is worth now.
        """
        start = mark.close if mark and mark.close is not None else self.cost or price
        multiplier = mark.multiplier if mark else Decimal(1)
        moved = self.quantity * price - self.opened * start + self.cash
        return moved * multiplier - self.fees


def together(books: list[Book]) -> Holding:
    """What several owners hold in one."""
    if len(books) == 1:
        return books[0].holding
    return Holding(
        sum((each.quantity for each in books), ZERO),
        sum((each.buys for each in books), ZERO),
        sum((each.sells for each in books), ZERO),
    )


def open_quantity(order: Order | None) -> Decimal:
    """What an order may still fill at the broker, by the larger of its terms while a replace is under way.

    An exit takes back what its entry brought, and never more: it is not counted.
    """
    if order is None or order.status not in AT_BROKER or order.leg is not None:
        return ZERO
    most = order.quantity if order.asked_quantity is None else max(order.quantity, order.asked_quantity)
    return max(ZERO, most - order.filled_quantity)
