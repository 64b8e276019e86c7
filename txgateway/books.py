"""Who holds what: each owner's part of every position, its cost and its cash, whatever works to change it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from txgateway.model.account import Position
from txgateway.model.book import Book, Holding, open_quantity, together
from txgateway.model.execution import Execution
from txgateway.model.halts import FLATTENER
from txgateway.model.order import Order, Origin

ZERO = Decimal(0)


def closes_for_all(order: Order) -> bool:
    """Whether an order is one of a flatten that closes what all owners hold."""
    return order.origin is Origin.FLATTEN and order.owner == FLATTENER


class Books:
    """The owners' books of an account add up to what it holds; what nobody here has bought is the empty owner's."""

    def __init__(self) -> None:
        self.by_owner: dict[tuple[str, str], dict[str, Book]] = {}
        """By account and symbol, then by owner."""
        self.touched: set[tuple[str, str]] = set()
        """Books that changed: whoever keeps their value takes them out."""
        self.bought: dict[tuple[str, str], dict[tuple[str, Origin], Decimal]] = {}
        """(account, symbol) -> (owner, way in) -> what their executions add up to."""

    def holding(self, account: str, symbol: str) -> Holding:
        """What an account holds of a symbol and has working in it, by all owners."""
        books = self.by_owner.get((account, symbol))
        return together(list(books.values())) if books else Holding()

    def reserve(self, before: Order | None, after: Order) -> None:
        """An order is another: so much more, or less, of it may still be filled."""
        more = open_quantity(after) - open_quantity(before)
        if more:
            book = self._book(after.venue, after.account, after.symbol, after.owner)
            self._keep(book.reserved(after.side.sign, more))

    def fill(self, execution: Execution, order: Order | None) -> None:
        """An execution; of no order of ours (None), or of one."""
        parts, fees = self._parts(execution, order), execution.commission
        whole = sum((abs(part) for _, part in parts), ZERO)
        for at, (owner, part) in enumerate(parts, 1):
            fee = fees if at == len(parts) else round(execution.commission * abs(part) / whole, 8)
            fees -= fee
            book = self._book(execution.venue, execution.account, execution.symbol, owner)
            self._keep(book.filled(part, execution.price, fee))

    def count(self, execution: Execution, order: Order, is_flat: bool) -> None:
        """Add an execution to what its order's owner has bought that way; `is_flat`: the account holds no more."""
        pair, owner = (order.account, order.symbol), (order.owner, order.origin)
        bought = self.bought.setdefault(pair, {})
        total = bought.pop(owner, ZERO) + execution.signed_quantity
        if total:
            bought[owner] = total
        if not bought or (is_flat and closes_for_all(order)):
            del self.bought[pair]

    def start_day(self, venue: str, positions: Mapping[str, Mapping[str, Position]]) -> None:
        """A venue's accounts are opened: what is held there was held when the day began, at its average price."""
        for books in list(self.by_owner.values()):
            for book in list(books.values()):
                if book.venue == venue:
                    position = positions.get(book.account, {}).get(book.symbol)
                    self._keep(book.started(position.average_price if position else ZERO))

    def correct(self, position: Position) -> None:
        """An account holds this, by the broker's word: what our fills do not explain is nobody's here."""
        difference = position.quantity - self.holding(position.account, position.symbol).quantity
        if difference:
            book = self._book(position.venue, position.account, position.symbol, "")
            self._keep(book.corrected(difference, position.average_price))
        if not position.quantity:
            self.bought.pop((position.account, position.symbol), None)

    def dump(self) -> list[Book]:
        """Every book, in order."""
        return [book for key in sorted(self.by_owner) for _, book in sorted(self.by_owner[key].items())]

    def load(self, book: Book) -> None:
        """Take in a book that `dump` gave: what works comes with the orders."""
        book = replace(book, buys=ZERO, sells=ZERO)
        self.by_owner.setdefault((book.account, book.symbol), {})[book.owner] = book

    def _book(self, venue: str, account: str, symbol: str, owner: str) -> Book:
        books = self.by_owner.get((account, symbol), {})
        return books.get(owner) or Book(venue, account, symbol, owner)

    def _keep(self, book: Book) -> None:
        key = (book.account, book.symbol)
        self.touched.add(key)
        if not book.is_empty:
            self.by_owner.setdefault(key, {})[book.owner] = book
        elif key in self.by_owner:
            self.by_owner[key].pop(book.owner, None)
            if not self.by_owner[key]:
                del self.by_owner[key]

    def _parts(self, execution: Execution, order: Order | None) -> list[tuple[str, Decimal]]:
        """Whose books a fill belongs to: what closes an account closes its owners' parts, the largest first.

        Once the account holds nothing, neither does any of them: what is left of one is another's other side.
        """
        owner, left = order.owner if order is not None else "", execution.signed_quantity
        if order is None or not closes_for_all(order):
            return [(owner, left)]
        held = [each for each in self.by_owner.get((execution.account, execution.symbol), {}).values() if each.quantity]
        held.sort(key=lambda each: (-abs(each.quantity), each.owner))
        if sum((each.quantity for each in held), left) == 0:
            return [(each.owner, -each.quantity) for each in held]
        parts: list[tuple[str, Decimal]] = []
        for book in held:
            if book.quantity * left < 0:
                part = max(left, -book.quantity) if left < 0 else min(left, -book.quantity)
                parts.append((book.owner, part))
                left -= part
        return [*parts, (owner, left)] if left else parts
