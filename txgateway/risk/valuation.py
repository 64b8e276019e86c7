"""What each scope has at risk and has earned today, kept up by what changed. Amounts are added as they stand, whatever
their currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from txgateway.model.book import Book, together
from txgateway.model.market import Mark
from txgateway.model.scope import GATEWAY, Scope, ScopeKind

ZERO = Decimal(0)
OWNERS = frozenset({ScopeKind.OWNER, ScopeKind.SOURCE, ScopeKind.BOT})
"""The scopes that see an owner's part of a position, not the account's whole."""
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Total:
    """Gross exposure, with all that works filled at its worst, and the trading day's profit (below zero: loss)."""

    exposure: Decimal = ZERO
    profit: Decimal = ZERO

    def plus(self, other: Total) -> Total:
        """Both."""
        return Total(self.exposure + other.exposure, self.profit + other.profit)

    def minus(self, other: Total) -> Total:
        """Without the other."""
        return Total(self.exposure - other.exposure, self.profit - other.profit)


NOTHING = Total()


class Valuation:
    """The totals of every scope, as sums of what each symbol of each account contributes."""

    def __init__(self) -> None:
        self.totals: dict[Scope, Total] = {}
        self._parts: dict[_Key, dict[Scope, Total]] = {}

    def total(self, scope: Scope) -> Total:
        """A scope's."""
        return self.totals.get(scope, NOTHING)

    def put(self, key: _Key, books: Mapping[str, Book], price: Decimal, mark: Mark | None) -> None:
        """Value an account's books in a symbol anew."""
        for scope, part in self._parts.pop(key, {}).items():
            self.totals[scope] = self.totals[scope].minus(part)
        if not books:
            return
        self._parts[key] = parts = parts_of(books, price, mark)
        for scope, part in parts.items():
            self.totals[scope] = self.total(scope).plus(part)

    def clear(self) -> None:
        """Begin again, so that no roundings pile up."""
        self.totals.clear()
        self._parts.clear()


def parts_of(books: Mapping[str, Book], price: Decimal, mark: Mark | None) -> dict[Scope, Total]:
    """What the books of one account in one symbol contribute to each scope."""
    held = list(books.values())
    first, unit = held[0], price * (mark.multiplier if mark else 1)
    profits = [book.profit(price, mark) for book in held]
    whole = Total(together(held).worst * unit, sum(profits, ZERO))
    parts = {
        GATEWAY: whole,
        Scope(ScopeKind.VENUE, first.venue): whole,
        Scope(ScopeKind.ACCOUNT, first.account): whole,
        Scope(ScopeKind.SYMBOL, first.symbol): whole,
    }
    for book, profit in zip(held, profits, strict=True):
        part = Total(book.holding.worst * unit, profit)
        for kind in OWNERS:
            parts[Scope(kind, book.owner)] = part
    return parts
