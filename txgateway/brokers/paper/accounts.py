"""An account: cash, positions, what resting orders reserve, what may be bought and sold short. Pure.

A margin account follows the initial margins of Regulation T (12 CFR 220.12): half the value of a stock bought, and
for a stock sold short 150 % of its value, which is its proceeds, kept in the account, and half the value more. Crypto
is paid in full and not lent; currency pairs take 5 % (17 CFR 5.9 asks 2 % of major pairs, 5 % of others). Nothing is
called in when the market turns: a paper account only opens no more.

A cash account buys for what cash it has, commission included, and sells what it holds.

Reserved is the worst case: all resting buys of an instrument filled, or all its sells, whichever needs more.
Sums are in BASE; another currency counts at the market's rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_UP, Decimal
from typing import Protocol

from txgateway.brokers.paper.commission import Commission
from txgateway.brokers.paper.held import Held, Refusal
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import Reason
from txgateway.model.instrument import AssetClass, Instrument

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
BASE = "USD"
"""The currency that accounts are kept in."""
MARGIN = {AssetClass.CRYPTO: Decimal(1), AssetClass.FOREX: Decimal("0.05")}
HALF = Decimal("0.5")


class Marks(Protocol):
    """What the market says things are worth."""

    def price(self, symbol: str) -> Decimal | None:
        """The last price of an instrument, None when there is none."""

    def rate(self, currency: str) -> Decimal | None:
        """What one unit of a currency is worth in BASE, None when nobody knows."""


@dataclass(slots=True)
class Holding:
    """A position, with what is needed to value it after its market has gone."""

    position: Position
    asset_class: AssetClass
    currency: str


@dataclass(slots=True)
class _Resting:
    """The open orders of one instrument, summed up."""

    asset_class: AssetClass
    currency: str
    buys: Decimal = ZERO
    buys_value: Decimal = ZERO
    sells: Decimal = ZERO
    sells_value: Decimal = ZERO
    fees: Decimal = ZERO
    need: Decimal = ZERO


@dataclass(slots=True)
class Account:
    """One account. `cash` is by currency; `realized` and `commissions` are in BASE, at the rates of their time."""

    venue: str
    name: str
    margin: bool
    fees: Commission
    marks: Marks
    cash: dict[str, Decimal] = field(default_factory=dict)
    realized: Decimal = ZERO
    commissions: Decimal = ZERO
    holdings: dict[str, Holding] = field(default_factory=dict)
    _resting: dict[str, _Resting] = field(default_factory=dict)
    _reserved: Decimal = ZERO

    # what it holds

    def quantity(self, symbol: str) -> Decimal:
        """The signed position."""
        holding = self.holdings.get(symbol)
        return holding.position.quantity if holding else ZERO

    def worth(self) -> tuple[Decimal, Decimal]:
        """(equity: all cash and positions at the market's prices, what the positions tie up)."""
        equity, used = self._cash(), ZERO
        for holding in self.holdings.values():
            value = holding.position.quantity * self._mark(holding) * (self._rate(holding.currency) or ZERO)
            equity += value
            used += _margin(holding.asset_class) * abs(value)
        return equity, used if self.margin else ZERO

    @property
    def reserved(self) -> Decimal:
        """What the resting orders tie up."""
        return self._reserved

    @property
    def available(self) -> Decimal:
        """What new orders may tie up."""
        if not self.margin:
            return self._cash() - self._reserved
        equity, used = self.worth()
        return equity - used - self._reserved

    # what it may

    def admit(self, held: Held, instrument: Instrument) -> Refusal | None:
        """Reserve an order at its reserve price, or say why the account cannot take it and reserve nothing."""
        if not self.margin and held.currency != BASE:
            text = f"Cash account {self.name} trades in {BASE} only, and {held.symbol} is in {held.currency}."
            return Reason.REJECTED, text
        if self._rate(held.currency) is None:
            text = f"Nobody knows what {held.currency} is worth in {BASE}, so {held.symbol} cannot be paid: "
            text += f"listen to the pair of the two first, such as {held.currency}{BASE}."
            return Reason.UNSUPPORTED, text
        now = self._resting.get(held.symbol) or _Resting(held.asset_class, held.currency)
        if not held.buys:
            left = self.quantity(held.symbol) - now.sells - held.leaves
            if left < 0 and not (self.margin and instrument.shortable):
                return Reason.NOT_SHORTABLE, self._not_shortable(held, left)
        sums = (now.buys, now.buys_value, now.sells, now.sells_value, now.fees)
        after = _Resting(now.asset_class, now.currency, *sums)
        self._sum(after, held, 1)
        after.need = self._need(held.symbol, after)
        more = after.need - now.need
        if more > 0:
            available = self.available
            if more > available:
                text = f"{held.side} {held.leaves:f} {held.symbol} needs {more:.2f} {BASE}; "
                has = f"account {self.name} has {max(available, ZERO):.2f} available."
                return Reason.INSUFFICIENT_FUNDS, text + has
        self._resting[held.symbol] = after
        self._reserved += more
        return None

    def payable(self, held: Held, quantity: Decimal, price: Decimal, lot: Decimal) -> Decimal:
        """How much of `quantity` a reserved order may fill at `price`: all, but for a cash account short of cash."""
        if self.margin or not held.buys:
            return quantity
        own = self._fee(held) + held.leaves * held.reserve_price
        budget = self._cash() - (self._reserved - own)
        fee = self.fees.total(held.asset_class, held.filled + quantity, held.value + quantity * price) - held.commission
        if quantity * price + fee <= budget:
            return quantity
        step = lot if lot > 0 else Decimal(1)
        return max(ZERO, ((budget - fee) / price / step).to_integral_value(ROUND_FLOOR) * step)

    # reservations of orders that were admitted: off before one changes, on again after

    def reserve(self, held: Held) -> None:
        """Count an open order in."""
        self._count(held, 1)

    def release(self, held: Held) -> None:
        """Count it out, as it was counted in."""
        self._count(held, -1)

    # fills

    def fill(self, held: Held, quantity: Decimal, price: Decimal, commission: Decimal) -> Position:
        """Take a fill into a reserved order, cash and position; the position after it."""
        value, rate = quantity * price, self._rate(held.currency) or ZERO
        resting = self._resting[held.symbol]
        self._sum(resting, held, -1)
        held.filled += quantity
        held.value += value
        held.commission += commission
        if held.leaves > 0:
            self._sum(resting, held, 1)
        signed = quantity if held.buys else -quantity
        before = self.holdings.get(held.symbol)
        old = before.position if before else Position(self.venue, self.name, held.symbol, ZERO)
        if old.quantity and (old.quantity > 0) != (signed > 0):
            closed = min(abs(old.quantity), quantity)
            gain = (price - old.average_price) * closed * (1 if old.quantity > 0 else -1)
            self.realized += gain * rate
        new = old.after(signed, price)
        if new.quantity:
            self.holdings[held.symbol] = Holding(new, held.asset_class, held.currency)
        else:
            self.holdings.pop(held.symbol, None)
        spent = value if held.buys else -value
        self.cash[held.currency] = self.cash.get(held.currency, ZERO) - spent - commission
        self.commissions += commission * rate
        self._renew(held.symbol, resting)
        return new

    # what it tells

    def report(self) -> AccountReport:
        """The account as it stands, valued at the market's prices."""
        (equity, used), available = self.worth(), self.available
        values: dict[str, Decimal | str] = {
            "account_type": "margin" if self.margin else "cash",
            "currency": BASE,
            "cash": self.cash.get(BASE, ZERO),
            "equity": equity,
            "available": available,
            "buying_power": max(ZERO, available / HALF if self.margin else available),
            "margin_used": used,
            "reserved": self._reserved,
            "unrealized_pnl": sum((self._unrealized(each) for each in self.holdings.values()), ZERO),
            "realized_pnl": self.realized,
            "commissions": self.commissions,
        }
        rounded = {name: each.quantize(CENT) if isinstance(each, Decimal) else each for name, each in values.items()}
        rounded["cash"] = values["cash"]
        balances = (
            Balance(BASE, self.cash.get(BASE, ZERO), available.quantize(CENT), self._reserved),
            *(Balance(name, each, each) for name, each in sorted(self.cash.items()) if name != BASE and each),
        )
        return AccountReport(self.name, self.cash.get(BASE, ZERO), balances, rounded)

    # sums

    def _cash(self) -> Decimal:
        total = ZERO
        for currency, amount in self.cash.items():
            total += amount if currency == BASE else amount * (self._rate(currency) or ZERO)
        return total

    def _unrealized(self, holding: Holding) -> Decimal:
        gain = (self._mark(holding) - holding.position.average_price) * holding.position.quantity
        return gain * (self._rate(holding.currency) or ZERO)

    def _mark(self, holding: Holding) -> Decimal:
        price = self.marks.price(holding.position.symbol)
        return holding.position.average_price if price is None else price

    def _count(self, held: Held, sign: int) -> None:
        resting = self._resting.get(held.symbol)
        if resting is None:
            resting = self._resting[held.symbol] = _Resting(held.asset_class, held.currency)
        self._sum(resting, held, sign)
        self._renew(held.symbol, resting)

    def _sum(self, resting: _Resting, held: Held, sign: int) -> None:
        quantity = held.leaves * sign
        if held.buys:
            resting.buys += quantity
            resting.buys_value += quantity * held.reserve_price
        else:
            resting.sells += quantity
            resting.sells_value += quantity * held.reserve_price
        if not self.margin and held.buys:
            resting.fees += sign * self._fee(held)

    def _fee(self, held: Held) -> Decimal:
        """The commission that a cash account's order may still cost."""
        whole = self.fees.total(held.asset_class, held.quantity, held.value + held.leaves * held.reserve_price)
        return whole - held.commission

    def _renew(self, symbol: str, resting: _Resting) -> None:
        """Reserve what an instrument's orders need now."""
        need = self._need(symbol, resting)
        self._reserved += need - resting.need
        resting.need = need
        if not resting.buys and not resting.sells:
            del self._resting[symbol]

    def _need(self, symbol: str, resting: _Resting) -> Decimal:
        """What an instrument's resting orders tie up, to the cent above."""
        buys, sells = resting.buys, resting.sells
        if not self.margin:
            return resting.buys_value + resting.fees
        if not buys and not sells:
            return ZERO
        held = self.quantity(symbol)
        opened_long = max(ZERO, held + buys) - max(ZERO, held) if buys else ZERO
        opened_short = max(ZERO, sells - held) - max(ZERO, -held) if sells else ZERO
        worst = max(
            opened_long * resting.buys_value / buys if opened_long > 0 else ZERO,
            opened_short * resting.sells_value / sells if opened_short > 0 else ZERO,
        )
        return (worst * _margin(resting.asset_class) * (self._rate(resting.currency) or ZERO)).quantize(CENT, ROUND_UP)

    def _rate(self, currency: str) -> Decimal | None:
        return ONE if currency == BASE else self.marks.rate(currency)

    def _not_shortable(self, held: Held, left: Decimal) -> str:
        has = self.quantity(held.symbol)
        why = f"{held.symbol} cannot be sold short" if self.margin else f"cash account {self.name} cannot sell short"
        return f"{held.side} {held.leaves:f} {held.symbol}: {why}; it holds {has:f}, and {-left:f} would be short."


def _margin(asset_class: AssetClass) -> Decimal:
    return MARGIN.get(asset_class, HALF)


def positions(accounts: Iterable[Account]) -> list[Position]:
    """Every open position of the accounts."""
    return [holding.position for account in accounts for holding in account.holdings.values()]
