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

ZERO, ONE = Decimal(0), Decimal(1)
OWNERS = frozenset({ScopeKind.OWNER, ScopeKind.SOURCE, ScopeKind.BOT})
"""The scopes that see an owner's part of a position, not the account's whole."""
_Key = tuple[str, str]


@dataclass(slots=True)
class Total:
    """Gross exposure, with all that works filled at its worst, and the trading day's profit (below zero: loss)."""

    exposure: Decimal = ZERO
    profit: Decimal = ZERO


@dataclass(slots=True)
class _Part:
    """What one account's whole position in a symbol, or one owner's part of it, adds to the totals of its scopes."""

    totals: tuple[Total, ...]
    exposure: Decimal = ZERO
    profit: Decimal = ZERO

    def put(self, exposure: Decimal, profit: Decimal) -> None:
        """Add this much instead."""
        more, earned = exposure - self.exposure, profit - self.profit
        self.exposure, self.profit = exposure, profit
        for total in self.totals:
            total.exposure += more
            total.profit += earned


class Valuation:
    """The totals of every scope, as sums of what each symbol of each account contributes."""

    def __init__(self) -> None:
        self._totals: dict[Scope, Total] = {}
        self._parts: dict[_Key, dict[str | None, _Part]] = {}

    def total(self, scope: Scope) -> Total:
        """A scope's, which goes on changing."""
        total = self._totals.get(scope)
        if total is None:
            total = self._totals[scope] = Total()
        return total

    def put(self, key: _Key, books: Mapping[str, Book], price: Decimal, mark: Mark | None) -> None:
        """Value an account's books in a symbol anew."""
        parts = self._parts.setdefault(key, {})
        for owner in [each for each in parts if each is not None and each not in books]:
            parts.pop(owner).put(ZERO, ZERO)
        unit, profits = price * (mark.multiplier if mark else ONE), ZERO
        for owner, book in books.items():
            profit = book.profit(price, mark)
            profits += profit
            part = parts.get(owner) or self._part(parts, owner, book)
            part.put(book.holding.worst * unit, profit)
        held = list(books.values())
        if held:
            whole = parts.get(None) or self._part(parts, None, held[0])
            whole.put(together(held).worst * unit, profits)
        elif None in parts:
            parts[None].put(ZERO, ZERO)

    def _part(self, parts: dict[str | None, _Part], owner: str | None, book: Book) -> _Part:
        if owner is None:
            named = {ScopeKind.VENUE: book.venue, ScopeKind.ACCOUNT: book.account, ScopeKind.SYMBOL: book.symbol}
            scopes = [GATEWAY, *(Scope(kind, name) for kind, name in named.items())]
        else:
            scopes = [Scope(kind, owner) for kind in OWNERS]
        parts[owner] = part = _Part(tuple(self.total(scope) for scope in scopes))
        return part

    def clear(self) -> None:
        """Begin again, so that no roundings pile up."""
        self._totals.clear()
        self._parts.clear()
