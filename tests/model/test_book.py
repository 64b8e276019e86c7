"""What is known of a holding's cost, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D

from txgateway.model.account import Position
from txgateway.model.book import Book
from txgateway.model.market import Mark

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def test_a_cost_that_nobody_knows_is_not_averaged_with_one_that_is_known() -> None:
    held = Position("V", "A", "BTC", D(1))
    assert held.after(D(1), D(60000)).average_price == 0
    assert held.after(D(-3), D(60000)).average_price == 60000, "what is turned over is entered anew"
    assert Position("V", "A", "BTC", D(1), D(50000)).after(D(1), D(60000)).average_price == 55000


def test_what_was_held_at_an_unknown_cost_has_earned_nothing_by_being_held() -> None:
    """Counted as profit, it would hide every loss from the daily limit."""
    book = Book("V", "A", "BTC", "me", quantity=D(2), opened=D(2))
    assert book.profit(D(100), Mark(D(100))) == 0
    assert book.profit(D(100), Mark(D(100), D(110))) == -20
    bought = book.filled(D(1), D(120), D(1))
    assert bought.profit(D(100), Mark(D(100))) == -21
