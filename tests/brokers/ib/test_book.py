"""The orders of a link, out of TWS's messages."""

from __future__ import annotations

from typing import Any

from tests.brokers.ib.nouns import ID, NOW, D, a_fill, an_order, ibm, theirs
from txgateway.brokers.ib import translate
from txgateway.brokers.ib.book import Book, Entry
from txgateway.brokers.ib.translate import Terms
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.order import OrderStatus, OrderType, TimeInForce

PERM = 1234567


def a_book() -> Book:
    return Book(3, lambda reference: translate.ours(reference, {}))


def sent(book: Book, number: int = 7, **terms: Any) -> Entry:
    entry = book.waiting(an_order(**terms), ibm(), NOW)
    book.sent(entry, number)
    return entry


def accepted() -> tuple[Book, Entry]:
    book = a_book()
    entry = sent(book)
    assert [type(each) for each in shown(book)] == [OrderAccepted]
    return book, entry


def shown(book: Book, status: str = "Submitted", **more: Any) -> list[Any]:
    return book.open_order(ibm(), theirs(**more), status, NOW)


def told(book: Book, status: str, filled: float = 0.0, number: int = 7, perm: int = PERM, held: str = "") -> list[Any]:
    return book.order_status(3, number, perm, status, filled, 101.25 if filled else 0.0, held, NOW)


def look(book: Book, *listed: Entry) -> list[Any]:
    return [event for entry in list(book.unsure) for event in book.settle(entry, entry in listed, NOW)]


def test_an_order_is_accepted_once_with_ib_s_id() -> None:
    book = a_book()
    entry = sent(book)
    assert shown(book, "PendingSubmit", permId=0) == []
    assert entry.heard
    (event,) = shown(book, "PreSubmitted")
    assert event == OrderAccepted(ID, str(PERM), NOW)
    assert told(book, "Submitted") == []
    assert shown(book) == []


def test_a_refused_order_is_rejected_when_the_list_does_not_have_it() -> None:
    book = a_book()
    entry = sent(book)
    assert book.error(7, 201, "Order rejected - reason:no", NOW) == []
    assert list(book.unsure) == [entry]
    (event,) = look(book)
    assert event == OrderRejected(ID, Reason.REJECTED, "Order rejected - reason:no", NOW)
    assert look(book) == []
    assert told(book, "Inactive") == [] == look(book)


def test_a_refusal_and_an_inactive_order_that_is_still_listed() -> None:
    book = a_book()
    entry = sent(book)
    told(book, "Inactive")
    book.error(7, 201, "Order rejected - reason:no", NOW)
    (event,) = look(book, entry)
    assert isinstance(event, OrderRejected)


def test_an_error_that_ends_nothing_leaves_the_order() -> None:
    book, entry = accepted()
    for code in (10349, 399, 2109, 404):
        assert book.error(7, code, "informational", NOW) == []
    assert not book.unsure
    assert entry.working


def test_an_error_nobody_knows_is_believed_only_with_the_list() -> None:
    book, entry = accepted()
    assert book.error(7, 9999, "who knows", NOW) == []
    assert look(book, entry) == []
    assert entry.working
    assert entry.refusal is None


def test_a_failed_change_leaves_a_live_order() -> None:
    book, entry = accepted()
    entry.replace_asked = Terms(D(200), D("101.5"))
    assert book.error(7, 201, "Order rejected - reason:too large", NOW) == []
    assert told(book, "Cancelled") == []
    assert shown(book) == []
    assert look(book, entry) == [ReplaceRejected(ID, Reason.REJECTED, "Order rejected - reason:too large", NOW)]
    assert entry.working
    assert entry.terms == Terms(D(100), D("101.5"))
    assert entry.replace_asked is None


def test_a_change_is_told_with_the_terms_that_hold() -> None:
    book, entry = accepted()
    entry.replace_asked = Terms(D(200), D(90))
    assert shown(book, "PendingSubmit", totalQuantity=200.0, lmtPrice=90.0) == []
    (event,) = shown(book, totalQuantity=200.0)
    assert event == OrderReplaced(ID, D(200), D("101.5"), None, NOW, str(PERM))
    assert entry.replace_asked is None
    assert shown(book, totalQuantity=200.0) == []


def test_a_change_that_nobody_asked_for_is_told() -> None:
    book, _ = accepted()
    (event,) = shown(book, totalQuantity=60.0)
    assert isinstance(event, OrderReplaced)
    assert event.quantity == 60


def test_a_cancel_that_was_asked_for_ends_the_order_once() -> None:
    book, entry = accepted()
    entry.cancel_asked = True
    assert told(book, "PendingCancel") == []
    (event,) = told(book, "Cancelled")
    assert isinstance(event, OrderCanceled)
    assert event.reason is Reason.USER
    assert book.error(7, 202, "Order Canceled - reason:", NOW) == []
    assert told(book, "Cancelled") == []
    assert not book.unsure


def test_an_end_that_was_not_asked_for_waits_for_its_reason() -> None:
    book, _ = accepted()
    assert told(book, "Cancelled") == []
    (event,) = book.error(7, 202, "Order Canceled - reason:by the exchange", NOW)
    assert event == OrderCanceled(ID, Reason.USER, "Order Canceled - reason:by the exchange", NOW)
    book, entry = accepted()
    told(book, "Cancelled")
    (event,) = look(book, entry)
    assert isinstance(event, OrderCanceled)


def test_what_an_ioc_order_could_not_fill() -> None:
    book = a_book()
    sent(book, time_in_force=TimeInForce.IOC)
    shown(book, tif="IOC")
    told(book, "Cancelled")
    (event,) = look(book)
    assert event.reason is Reason.NOT_FILLABLE


def test_cancels_that_cannot_be() -> None:
    for code, reason in ((10147, Reason.NO_SUCH_ORDER), (10148, Reason.TOO_LATE), (161, Reason.TOO_LATE)):
        book, entry = accepted()
        entry.cancel_asked = True
        assert book.error(7, code, "cannot", NOW) == [CancelRejected(ID, reason, "cannot", NOW)]
        assert not entry.cancel_asked


def test_a_cancel_that_the_fill_overtook() -> None:
    book, entry = accepted()
    entry.cancel_asked = True
    (event,) = told(book, "Filled", 100.0)
    assert (type(event), event.reason) == (CancelRejected, Reason.TOO_LATE)
    assert not entry.working
    assert book.error(7, 10148, "cannot be cancelled, state: Filled", NOW) == []


def test_a_fill_proves_that_an_order_was_accepted() -> None:
    book = a_book()
    entry = sent(book)
    found, events = book.executed(a_fill(), NOW)
    assert found is entry
    assert [type(each) for each in events] == [OrderAccepted]
    assert (entry.filled, entry.average) == (40, D("101.25"))
    assert book.executed(a_fill(cumQty=10.0), NOW) == (entry, [])
    assert entry.filled == 40


def test_a_change_that_names_what_ib_does_not_know_is_refused() -> None:
    """135 is about a cancel, or about a change of a child whose parent is over."""
    book, entry = accepted()
    entry.replace_asked = Terms(D(50), D("101.5"))
    assert book.error(7, 135, "Can't find order with id = 20", NOW) == []
    assert entry in book.unsure
    (event,) = book.settle(entry, True, NOW)
    assert isinstance(event, ReplaceRejected)
    assert "id = 20" in event.text


def test_a_number_that_begins_again_names_no_old_order() -> None:
    book, old = accepted()
    other = "01JDF3N8Q0ABCDEFGHJM"
    new = sent(book, order_id=other)
    (event,) = shown(book, orderRef=other, permId=PERM + 1)
    assert event == OrderAccepted(other, str(PERM + 1), NOW)
    assert told(book, "Submitted", 40.0) == []
    assert (old.filled, new.filled) == (40, 0)
    found, _ = book.executed(a_fill(permId=PERM + 1, orderRef=other), NOW)
    assert found is new


def test_orders_of_others_have_ib_s_id() -> None:
    book = a_book()
    assert shown(book, orderRef="strategy1", clientId=9, permId=55, orderId=2) == []
    entry = book.find("", "55")
    assert entry is not None
    assert (entry.name, entry.key, entry.accepted) == ("", "55", True)
    assert entry.report("IBM").order_id is None
    entry.cancel_asked = True
    (event,) = book.order_status(9, 2, 55, "Cancelled", 0.0, 0.0, "", NOW)
    assert event.order_id == "55"


def test_an_order_from_before_is_known_by_its_reference() -> None:
    book = a_book()
    assert shown(book, orderId=2) == []
    entry = book.find(ID)
    assert entry is not None
    assert (entry.name, entry.number, entry.report("IBM").order_id) == (ID, 2, ID)
    assert book.numbered(2) is entry


def test_the_list_that_comes_in() -> None:
    book, entry = accepted()
    book.listed = listed = set()
    shown(book)
    shown(book, orderId=9, permId=9, orderRef="", clientId=0)
    assert entry in listed
    assert len(listed) == 2


def test_what_if_orders_are_none() -> None:
    book = a_book()
    assert shown(book, whatIf=True) == []
    assert book.open() == []


def test_too_many_messages_are_no_refusal() -> None:
    book = a_book()
    entry = sent(book)
    assert book.error(7, 100, "Max rate of messages per second has been exceeded", NOW) == []
    assert entry.limited
    assert not entry.heard
    assert not book.unsure


def test_too_many_messages_refuse_what_is_asked_of_an_order_that_works() -> None:
    """Nobody would ask again, while it waits for an answer that does not come."""
    book, entry = accepted()
    entry.cancel_asked = True
    (event,) = book.error(7, 100, "Max rate of messages per second has been exceeded", NOW)
    assert isinstance(event, CancelRejected)
    entry.replace_asked = Terms(D(50), D("101.5"))
    (event,) = book.error(7, 100, "Max rate of messages per second has been exceeded", NOW)
    assert isinstance(event, ReplaceRejected)
    assert entry.working
    assert not entry.limited
    assert isinstance(shown(book, totalQuantity=50.0)[0], OrderReplaced), "it was done all the same"


def test_an_order_that_vanished_stays_unsure_until_it_is_found_among_the_completed() -> None:
    book, entry = accepted()
    book.error(7, 201, "Order rejected - reason:margin", NOW)
    assert look(book) == []
    assert entry in book.unsure
    book.completed(theirs(filledQuantity=0.0), "Cancelled", "Cancelled by System")
    (event,) = look(book)
    assert event == OrderRejected(ID, Reason.REJECTED, "Order rejected - reason:margin", NOW)


def test_a_report_has_every_term() -> None:
    book, entry = accepted()
    told(book, "Submitted", 40.0)
    found = entry.report("IBM")
    assert (found.order_id, found.broker_order_id, found.account, found.symbol) == (ID, str(PERM), "DU1", "IBM")
    assert (found.quantity, found.limit_price, found.stop_price) == (100, D("101.5"), None)
    assert (found.status, found.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, 40)
    assert (found.order_type, found.time_in_force, found.average_price) == (
        OrderType.LIMIT,
        TimeInForce.DAY,
        D("101.25"),
    )


def test_a_person_s_order_that_tws_binds_to_client_0_can_be_named() -> None:
    book = Book(0, lambda reference: False)
    shown(book, orderRef="", clientId=0, orderId=0)
    entry = book.find("", str(PERM))
    assert entry is not None
    assert entry.number == 0
    shown(book, orderRef="", clientId=0, orderId=-3)
    assert entry.number == -3
    shown(book, orderRef="", clientId=0, orderId=0)
    assert entry.number == -3
    entry.cancel_asked = True
    assert book.error(-3, 10148, "cannot be cancelled", NOW)[0].order_id == str(PERM)


def test_an_inactive_order_whose_shares_are_located_lives() -> None:
    book = a_book()
    entry = sent(book)
    assert shown(book, "Inactive") == []
    assert entry in book.unsure
    assert told(book, "Inactive", held="locate") == [OrderAccepted(ID, str(PERM), NOW)]
    assert not book.unsure
    assert entry.working
    assert entry.report("IBM").status is OrderStatus.NEW
    told(book, "Inactive")
    (event,) = look(book)
    assert isinstance(event, OrderRejected)
