"""What rows mean: the recorded lives, in every order and with repeats; what is told of them, once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.rtx.nouns import ACCOUNT, NOW, order_rows
from txgateway.brokers.rtx.book import Book, Changed, Unheard
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    ReplaceRejected,
)
from txgateway.model.order import OrderStatus

D = Decimal
S = OrderStatus
OURS, THEIRS = "A1B2C3D4E5F6G7H8J9K0", "41956d5b-5f7-0001"


def told(name: str, repeat: int = 1) -> tuple[Book, list[object]]:
    """The book after a recording, and what was told."""
    book, events = Book("rtx"), []
    for row in order_rows(name):
        for _ in range(repeat):
            events += book.news(row, NOW, 1)
    return book, events


def kinds(events: list[object]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_an_order_is_filled() -> None:
    book, events = told("filled")
    assert kinds(events) == ["OrderAccepted", "Executed", "Executed"]
    assert events[0] == OrderAccepted(OURS, THEIRS, NOW)
    fills = [event.execution for event in events if isinstance(event, Executed)]
    assert [(fill.execution_id, fill.quantity, fill.price) for fill in fills] == [
        ("41956d5b-5f7-0003", D(40), D("185.49")),
        ("41956d5b-5f7-0004", D(60), D("185.5")),
    ]
    assert {(fill.order_id, fill.broker_order_id, fill.account) for fill in fills} == {(OURS, THEIRS, ACCOUNT)}
    assert [fill.cumulative_quantity for fill in fills] == [D(40), D(100)]
    report = book.named[OURS].report(NOW)
    assert report is not None
    assert (report.status, report.filled_quantity, report.average_price) == (S.FILLED, D(100), D("185.496"))
    assert report.order_id == OURS


def test_an_order_is_canceled_and_not_rejected() -> None:
    book, events = told("canceled")
    assert kinds(events) == ["OrderAccepted", "OrderCanceled"]
    assert isinstance(events[1], OrderCanceled)
    assert (events[1].reason, events[1].text) == (Reason.USER, "User cancel")
    assert book.named[OURS].status is S.CANCELED


def test_an_order_is_rejected() -> None:
    book, events = told("rejected")
    assert isinstance(events[0], OrderRejected)
    assert len(events) == 1
    assert (events[0].reason, events[0].text) == (Reason.INSUFFICIENT_FUNDS, "Insufficient buying power")
    assert book.named[OURS].status is S.REJECTED


def test_a_cancel_that_is_too_late_is_refused_and_ends_nothing() -> None:
    book, events = told("too_late")
    assert kinds(events) == ["OrderAccepted", "Executed", "CancelRejected"]
    assert isinstance(events[2], CancelRejected)
    assert events[2].reason is Reason.TOO_LATE
    assert book.named[OURS].status is S.FILLED


def test_a_change_is_asked_about_and_a_refused_one_told() -> None:
    book, events = told("changed")
    assert kinds(events) == ["OrderAccepted", "Changed", "ReplaceRejected"]
    assert events[1] == Changed(THEIRS)
    assert isinstance(events[2], ReplaceRejected)
    assert events[2].text == "Too late to cancel"
    report = book.named[OURS].report(NOW)
    assert report is not None
    assert (report.quantity, report.limit_price) == (D(200), D("186.00"))


def test_a_tickets_fill_counts_once() -> None:
    book, events = told("ticket")
    assert kinds(events) == ["OrderAccepted", "OrderAccepted", "Executed"], "the ticket, its release, its fill"
    assert {event.order_id for event in events if isinstance(event, OrderAccepted)} == {"TICKET00000000000001"}
    (fill,) = [event.execution for event in events if isinstance(event, Executed)]
    assert (fill.order_id, fill.quantity) == ("TICKET00000000000001", D(100))
    assert len(book.executions(order_rows("ticket"), NOW)) == 1
    assert book.named["TICKET00000000000001"].status is S.FILLED


def test_a_ticket_waits_works_and_waits_again() -> None:
    book = Book("rtx")
    staged, pending, live, *_ = order_rows("ticket")
    ticket = book.take(staged)
    assert ticket.status is S.STAGED
    book.take(pending)
    assert ticket.status is S.NEW
    part = book.take(live)
    part.killed = True
    assert ticket.status is S.STAGED


@pytest.mark.parametrize("name", ["filled", "canceled", "rejected", "too_late", "changed", "ticket"])
def test_what_comes_twice_is_told_once_but_fills(name: str) -> None:
    _, once = told(name)
    _, twice = told(name, repeat=2)
    one_time = [event for event in twice if not isinstance(event, Executed | ReplaceRejected | Changed)]
    assert one_time == [event for event in once if not isinstance(event, Executed | ReplaceRejected | Changed)]
    fills = [event for event in once if isinstance(event, Executed)]
    assert [event for event in twice if isinstance(event, Executed)] == [
        each for fill in fills for each in (fill, fill)
    ]


def test_two_advises_bring_a_fill_once_each_and_it_is_told_once() -> None:
    book, events = Book("rtx"), []
    for row in order_rows("filled"):
        events += book.news(row, NOW, 1)
        if row.kind == "ExchangeTradeOrder":
            events += book.news(row, NOW, 2)
    assert kinds(events) == ["OrderAccepted", "Executed", "Executed"]
    again = order_rows("filled")[3]
    assert kinds(book.news(again, NOW, 2)) == ["Executed"], "one that is sent again is told again"


@given(st.sampled_from(["filled", "canceled", "rejected", "too_late"]), st.randoms())
def test_the_order_of_rows_does_not_matter(name: str, chance: object) -> None:
    """Whatever overtakes whatever else, the end is the same; only of one's own row the last counts.

    What comes before its order's own row is asked about.
    """
    rows = order_rows(name)
    main = [row for row in rows if row.is_main]
    others = [row for row in rows if not row.is_main]
    chance.shuffle(others)  # type: ignore[attr-defined]
    mixed = [*main]
    for row in others:
        mixed.insert(chance.randrange(len(mixed) + 1), row)  # type: ignore[attr-defined]
    assert all(mixed.index(one) < mixed.index(two) for one, two in pairwise(main))
    straight, book, events = Book("rtx"), Book("rtx"), []
    for row in rows:
        straight.take(row)
    for row in mixed:
        events += book.news(row, NOW, 1)
    if any(isinstance(event, Unheard) for event in events):
        events += book.found(THEIRS, rows, NOW)
    assert book.entries[THEIRS].status is straight.entries[THEIRS].status
    ends = [event for event in events if isinstance(event, OrderCanceled | OrderRejected | OrderExpired)]
    assert len(ends) == (1 if name in ("canceled", "rejected") else 0)
    fills = {event.execution.execution_id: event.execution for event in events if isinstance(event, Executed)}
    filled = sum((each.quantity for each in fills.values()), D(0))
    assert filled == straight.entries[THEIRS].filled


def test_a_fill_of_what_may_trade_a_ticket_is_asked_about_first() -> None:
    rows = order_rows("ticket")
    child = next(row for row in rows if row.ticket_id)
    of_child = [row for row in rows if row.kind == "ExchangeTradeOrder" and row.broker_id == child.broker_id]
    book = Book("rtx")
    book.news(rows[0], NOW, 1)
    assert book.news(of_child[0], NOW, 1) == book.news(of_child[0], NOW, 2) == [Unheard(of_child[0])]
    book.recall(child, book.heard)
    assert kinds(book.found(child.broker_id, [child, *of_child], NOW)) == ["OrderAccepted"]
    assert book.found(child.broker_id, of_child, NOW) == []
    assert book.found("nobody", of_child, NOW) == []


def test_what_was_there_at_the_start_is_not_told() -> None:
    book = Book("rtx")
    for row in order_rows("canceled"):
        book.take(row)
    book.settle()
    assert book.news(order_rows("canceled")[-1], NOW, 1) == []


def test_an_id_of_another_is_not_taken_for_ours() -> None:
    book = Book("rtx")
    book.take(order_rows("filled")[0])
    assert book.find("SOMEBODY", THEIRS) is None
    assert book.find(OURS) is book.find(OURS, "another") is book.entries[THEIRS]


def test_an_answer_that_is_older_than_the_news_changes_nothing() -> None:
    book = Book("rtx")
    pending, accepted, live, canceling, killed, deleted = order_rows("canceled")
    for row in (pending, live):
        book.news(row, NOW, 1)
    since = book.heard
    for row in (killed, deleted):
        book.news(row, NOW, 1)
    for row in (pending, accepted, live, canceling):
        book.recall(row, since)
    assert book.named[OURS].status is S.CANCELED
    assert book.named[OURS].main == deleted


def test_ids_that_begin_again_are_another_orders() -> None:
    book, events = Book("rtx"), []
    for row in order_rows("canceled"):
        book.take(row)
    book.settle()
    for row in order_rows("filled"):
        own = replace(row, client_id="ANOTHER") if row.is_main else row
        events += book.news(replace(own, row_id=f"{row.row_id}-new") if not row.is_main else own, NOW, 1)
    assert book.named[OURS].status is S.CANCELED
    assert book.named["ANOTHER"].status is S.FILLED
    assert {event.execution.order_id for event in events if isinstance(event, Executed)} == {"ANOTHER"}


def test_an_order_canceled_before_it_was_accepted_was_not_rejected() -> None:
    book = Book("rtx")
    pending = order_rows("canceled")[0]
    book.news(pending, NOW, 1)
    (event,) = book.news(replace(pending, status="CANCELLED", reason="by the desk"), NOW, 1)
    assert isinstance(event, OrderCanceled)


def test_a_refused_cancel_is_told_whoever_heard_of_it_first() -> None:
    """A question's answer may have its row before the advise does: the order would stay PENDING_CANCEL for minutes."""
    rows = order_rows("too_late")
    (refused,) = [row for row in rows if row.kind == "UserSubmitCancel" and row.status == "DELETED"]
    book = Book("rtx")
    for row in rows[: rows.index(refused)]:
        book.news(row, NOW, 1)
    book.recall(refused, book.heard)
    assert kinds(book.news(refused, NOW, 1)) == ["CancelRejected"]
    assert book.news(refused, NOW, 1) == []


def test_a_clerk_who_refuses_a_cancel_is_heard_once() -> None:
    pending, accepted, live, canceling, *_ = order_rows("canceled")
    book = Book("rtx")
    for row in (pending, accepted, live, canceling):
        book.news(row, NOW, 1)
    clerk = replace(canceling, row_id="clerk", kind="ClerkReject", status="", refers_to=canceling.row_id, reason="No.")
    (event,) = book.news(clerk, NOW, 1)
    assert isinstance(event, CancelRejected)
    assert event.text == "No."
    assert book.news(replace(canceling, status="DELETED"), NOW, 1) == []
    assert book.named[OURS].status is S.NEW


def test_a_refused_change_that_is_told_again_does_not_refuse_the_next_one() -> None:
    rows = order_rows("changed")
    (refused,) = [row for row in rows if row.kind == "UserSubmitChange" and row.status == "DELETED"]
    book, _ = told("changed")
    book.news(replace(refused, row_id="next", status="PENDING"), NOW, 1)
    assert book.news(refused, NOW, 1) == []


@pytest.mark.parametrize("lacks", [{"price": None}, {"quantity": D(0)}, {"quantity": D(-5)}])
def test_a_fill_without_size_or_price_is_told_when_it_has_them(lacks: dict[str, object]) -> None:
    rows = order_rows("filled")
    fill = next(row for row in rows if row.kind == "ExchangeTradeOrder")
    book = Book("rtx")
    for row in rows[: rows.index(fill)]:
        book.news(row, NOW, 1)
    bare = replace(fill, **lacks)  # type: ignore[arg-type]
    assert not [event for event in book.news(bare, NOW, 1) if isinstance(event, Executed)]
    assert book.executions([bare], NOW) == []
    assert kinds(book.news(fill, NOW, 1)) == ["Executed"]
    assert book.named[OURS].average_price == fill.price


def test_an_order_whose_size_is_not_told_is_not_called_filled_nor_shown() -> None:
    book = Book("rtx")
    book.take(replace(order_rows("filled")[0], quantity=D(0), traded=D(40), status="LIVE"))
    assert book.named[OURS].status is S.PARTIALLY_FILLED
    assert book.named[OURS].report(NOW) is None
