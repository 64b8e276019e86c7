"""The book of orders: what is said in any order, twice or late, and what of it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from txgateway.brokers.ccxt import book as book_module
from txgateway.brokers.ccxt import translate
from txgateway.brokers.ccxt.book import TRIES, Book
from txgateway.brokers.ccxt.words import Denied, Fill, Seen
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)
S = OrderStatus


def order(**terms: Any) -> Order:
    made: dict[str, Any] = {
        "order_id": "A",
        "client_order_id": "A",
        "venue": "v",
        "account": "MAIN",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "quantity": D(1),
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "limit_price": D(100),
        "created": NOW,
        "day": NOW.date(),
        "status": S.PENDING_NEW,
        "updated": NOW,
        "seq": 1,
    }
    return Order(**{**made, **terms})


def seen(status: OrderStatus = S.NEW, **more: Any) -> Seen:
    terms = {"side": Side.BUY, "order_type": OrderType.LIMIT, "quantity": D(1), "limit": D(100), "whole": True}
    made: dict[str, Any] = {"name": "A", "broker_id": "1", "symbol": "BTC/USDT", "time": NOW, "filled": D(0), **terms}
    return Seen(**{**made, "status": status, **more})


def fill(number: int = 1, quantity: str = "0.4", **more: Any) -> Fill:
    made: dict[str, Any] = {
        "execution_id": f"t{number}",
        "name": "A",
        "broker_id": "1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "quantity": D(quantity),
        "price": D(100),
        "time": NOW,
    }
    return Fill(**{**made, **more})


def book() -> Book:
    return Book(lambda its, name: translate.execution("v", "MAIN", its, None, name))


def sent(**terms: Any) -> Book:
    made = book()
    made.sent(order(**terms))
    return made


def kinds(events: list[Any]) -> list[type]:
    return [type(each) for each in events]


def test_it_is_accepted_once_by_whoever_says_it_first() -> None:
    made = sent()
    (accepted,) = made.see(seen(), NOW)
    assert accepted == OrderAccepted("A", "1", NOW)
    assert made.see(seen(), NOW) == []


def test_a_fill_that_comes_first_accepts_it() -> None:
    assert kinds(sent().fill(fill(), NOW)) == [OrderAccepted, Executed]


def test_a_fill_of_an_order_that_is_not_named_yet_waits_for_its_name() -> None:
    made = sent()
    assert made.fill(fill(name=""), NOW) == []
    events = made.see(seen(S.PARTIALLY_FILLED, filled=D("0.4")), NOW)
    assert kinds(events) == [OrderAccepted, Executed]
    assert events[1].order_id == "A"


def test_the_stream_may_tell_a_fill_twice_and_a_question_not() -> None:
    made = sent()
    made.see(seen(), NOW)
    assert kinds(made.fill(fill(), NOW)) == [Executed]
    assert kinds(made.fill(fill(), NOW)) == [Executed]
    assert made.fill(fill(), NOW, asked_for=True) == []
    assert kinds(made.fill(fill(2), NOW, asked_for=True)) == [Executed]


def test_missing_fills_are_wanted_until_they_are_there() -> None:
    made = sent()
    made.see(seen(S.FILLED, filled=D(1)), NOW)
    assert [each.name for each in made.wanting()] == ["A"]
    made.fill(fill(1, "0.4"), NOW)
    assert made.wanting()
    made.fill(fill(2, "0.6"), NOW)
    assert not made.wanting()


def test_an_end_is_told_once_and_an_older_answer_opens_nothing() -> None:
    made = sent()
    made.see(seen(), NOW)
    (canceled,) = made.see(seen(S.CANCELED), NOW)
    assert isinstance(canceled, OrderCanceled)
    assert canceled.reason is Reason.USER
    assert made.see(seen(S.CANCELED), NOW) == []
    assert made.see(seen(S.NEW), NOW) == []
    assert not made.open()
    assert kinds(made.fill(fill(), NOW)) == [Executed], "a late fill is told all the same"


def test_ends_have_their_reasons() -> None:
    short = sent(time_in_force=TimeInForce.IOC)
    events = short.see(seen(S.EXPIRED), NOW)
    assert kinds(events) == [OrderAccepted, OrderCanceled]
    assert events[1].reason is Reason.NOT_FILLABLE
    assert kinds(sent().see(seen(S.EXPIRED), NOW)) == [OrderAccepted, OrderExpired]
    (rejected,) = sent().see(seen(S.REJECTED, text="no"), NOW)
    assert (type(rejected), rejected.text) == (OrderRejected, "no")


def test_what_was_asked_and_comes_too_late_is_answered() -> None:
    made = sent()
    made.see(seen(), NOW)
    entry = made.find("A")
    assert entry is not None
    entry.cancel_asked, entry.asked = True, (D(2), D(100))
    events = made.see(seen(S.FILLED, filled=D(1)), NOW)
    assert kinds(events) == [ReplaceRejected, CancelRejected]
    assert {each.reason for each in events} == {Reason.TOO_LATE}


def test_a_change_is_told_with_the_terms_that_hold_once() -> None:
    made = sent()
    made.see(seen(), NOW)
    (replaced,) = made.see(seen(quantity=D(2), limit=D(90), replaced=True), NOW)
    assert isinstance(replaced, OrderReplaced)
    assert (replaced.quantity, replaced.limit_price) == (D(2), D(90))
    assert made.see(seen(quantity=D(2), limit=D(90), replaced=True), NOW) == []
    assert made.see(seen(quantity=D(1), limit=D(100)), NOW) == [], "an older answer changes nothing"


def test_a_cancel_that_is_refused_later_is_told_if_it_was_asked() -> None:
    made = sent()
    made.see(seen(), NOW)
    denied = Denied("cancel", "A", "1", "no", NOW)
    assert made.deny(denied, NOW) == []
    entry = made.find("A")
    assert entry is not None
    entry.cancel_asked = True
    assert kinds(made.deny(denied, NOW)) == [CancelRejected]
    assert made.deny(replace(denied, broker_id="9", name="Z"), NOW) == []


def test_what_was_refused_and_is_there_all_the_same_is_accepted() -> None:
    made = sent()
    entry = made.find("A")
    assert entry is not None
    made.dropped(entry)
    assert made.see(seen(S.REJECTED), NOW) == []
    assert kinds(made.see(seen(), NOW)) == [OrderAccepted]
    assert made.open() == [entry]


def test_what_the_exchange_does_not_have_is_not_open_until_it_is_seen() -> None:
    made = sent()
    entry = made.find("A")
    assert entry is not None
    entry.lost = True
    assert not made.open()
    assert kinds(made.see(seen(), NOW)) == [OrderAccepted]
    assert made.open() == [entry]


def test_an_order_of_before_is_not_accepted_again_and_its_old_fills_are_not_wanted() -> None:
    made = book()
    assert made.see(seen(S.PARTIALLY_FILLED, filled=D("0.4")), NOW) == []
    assert not made.wanting()
    made.see(seen(S.PARTIALLY_FILLED, filled=D("0.6")), NOW)
    assert made.wanting()


def test_ids_that_another_order_has_now_are_not_mixed_up() -> None:
    made = sent()
    made.see(seen(), NOW)
    made.sent(order(order_id="B", client_order_id="B"))
    made.see(seen(name="B"), NOW)
    assert made.find("A") is not made.find("B")
    assert made.find("A", "1", "BTC/USDT") is made.find("A")
    assert made.find("C", "1", "BTC/USDT") is None


def test_a_fee_in_what_was_bought_is_taken_and_one_in_quote_is_a_commission() -> None:
    market = {"base": "BTC", "quote": "USDT", "spot": True, "taker": "0.001", "maker": "0.0005"}

    def made(**more: Any) -> Any:
        return translate.execution("v", "MAIN", fill(**more), market, "A")

    bought = made(fee=D("0.0004"), fee_currency="BTC")
    assert (bought.commission, bought.taken, bought.signed_quantity) == (0, D("0.0004"), D("0.3996"))
    sold = made(side=Side.SELL, fee=D("0.04"), fee_currency="USDT")
    assert (sold.commission, sold.taken, sold.currency) == (D("0.04"), 0, "USDT")
    other = made(fee=D("0.0001"), fee_currency="BNB")
    assert (other.commission, other.taken, other.fee, other.fee_currency) == (0, 0, D("0.0001"), "BNB")
    assert (bought.fee, sold.fee, bought.fee_currency) == (0, 0, "")
    assert made().commission == D("0.04"), "estimated by the market's rate"
    assert made(maker=True).commission == D("0.02")


def test_the_end_of_an_order_that_tells_no_figure_wants_the_fills_of_all_of_it() -> None:
    """Coinbase Exchange says `done, filled`: a lost match is seen by that."""
    made = sent()
    made.see(seen(), NOW)
    made.fill(fill(1, "0.4"), NOW)
    made.see(seen(S.FILLED, filled=None, quantity=None, whole=False), NOW)
    assert [(each.name, each.lacks) for each in made.wanting()] == [("A", D("0.6"))]
    made.fill(fill(2, "0.6"), NOW)
    assert not made.wanting()


def test_fills_that_are_asked_for_in_vain_are_given_up_until_more_is_filled() -> None:
    made = sent()
    made.see(seen(S.PARTIALLY_FILLED, filled=D("0.4")), NOW)
    (entry,) = made.wanting()
    entry.tries = TRIES
    assert not made.wanting()
    made.see(seen(S.PARTIALLY_FILLED, filled=D("0.4")), NOW)
    assert not made.wanting()
    made.see(seen(S.PARTIALLY_FILLED, filled=D("0.5")), NOW)
    assert made.wanting()


def test_fills_of_before_are_not_counted_twice() -> None:
    """An order of before a restart is heard of first by a frame, with the fill that it tells."""
    made = book()
    made.see(seen(S.PARTIALLY_FILLED, filled=D("0.5")), NOW)
    made.fill(fill(2, "0.2", cumulative=D("0.5")), NOW)
    made.see(seen(S.FILLED, filled=D(1)), NOW)
    made.fill(fill(4, "0.3", cumulative=D(1)), NOW)
    assert [each.lacks for each in made.wanting()] == [D("0.2")], "the third is missing"
    made.fill(fill(1, "0.3"), NOW, asked_for=True)
    made.fill(fill(3, "0.2", time=NOW + timedelta(seconds=1)), NOW, asked_for=True)
    assert not made.wanting()


def test_orders_of_others_are_forgotten_though_we_send_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MOST", 10)
    monkeypatch.setattr(book_module, "MOST_WAITING", 10)
    book = Book(lambda fill, order_id: translate.execution("v", "MAIN", fill, None, order_id))
    book.see(seen(name="rests", broker_id="0"), NOW)
    for number in range(1, 100):
        book.see(seen(S.CANCELED, name=f"other {number}", broker_id=str(number)), NOW)
        book.see(seen(S.CANCELED, name="", broker_id=f"nameless {number}"), NOW)
        book.fill(fill(number, name="", broker_id=f"unheard {number}"), NOW)
    assert max(len(book._named), len(book._numbered)) <= 21
    assert len(book._waiting) == 10
    assert book.find("rests") is not None
    assert book.find("other 99") is book.find("", "99", "BTC/USDT") is not None
