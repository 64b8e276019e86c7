"""The lives of orders at the paper counterparty: types, times in force, changes, ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from txgateway.brokers.paper.options import Opening
from txgateway.brokers.paper.sessions import Schedule, Sessions
from txgateway.brokers.paper.turn import Worth
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, OrderRejected
from txgateway.model.order import OrderStatus

D = Decimal
CLOSE = datetime(2024, 3, 1, 21, tzinfo=UTC)
"""The close of New York's session on the day that floors begin."""


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def fills(events: list[Any]) -> list[tuple[Decimal, Decimal]]:
    return [(each.execution.quantity, each.execution.price) for each in events if isinstance(each, Executed)]


# market and limit orders


def test_a_market_order_trades_at_the_quote_and_says_everything(floor: Any) -> None:
    order, events = floor.send("BUY", 100)
    assert kinds(events) == ["OrderAccepted", "Executed"]
    assert events[0].broker_order_id == "P000001"
    execution = events[1].execution
    assert (execution.execution_id, execution.broker_order_id) == ("SERIAL-000001", "P000001")
    assert (execution.order_id, execution.account, execution.symbol) == (order.order_id, "API_ACCOUNT", "IBM")
    assert (execution.quantity, execution.price, execution.commission) == (100, D("100.10"), D("1.00"))
    assert (execution.cumulative_quantity, execution.leaves_quantity, execution.order_quantity) == (100, 0, 100)
    assert (execution.order_average_price, execution.time, execution.day) == (D("100.10"), floor.now, None)
    assert (execution.exchange, execution.currency, execution.cusip) == ("PAPER", "USD", "459200101")


def test_a_sell_trades_at_the_bid(floor: Any) -> None:
    assert fills(floor.send("SELL", 100)[1]) == [(100, D("100.00"))]


def test_a_market_order_takes_what_is_shown_and_goes_on_with_later_quotes(floor: Any) -> None:
    order, events = floor.send("BUY", 450)
    assert fills(events) == [(200, D("100.10"))]
    assert floor.exchange.find(order).status is OrderStatus.PARTIALLY_FILLED
    assert fills(floor.quote("100.10", 100, "100.20", 150)) == [(150, D("100.20"))]
    assert fills(floor.quote("100.10", 100, "100.15", 500)) == [(100, D("100.15"))]
    assert floor.exchange.open == {}


def test_a_shown_size_is_used_up_across_all_orders(floor: Any) -> None:
    assert fills(floor.send("BUY", 150)[1]) == [(150, D("100.10"))]
    _second, events = floor.send("BUY", 150)
    assert fills(events) == [(50, D("100.10"))]
    assert fills(floor.send("BUY", 10)[1]) == []
    assert fills(floor.quote("100.00", 300, "100.10", 105)) == [(100, D("100.10")), (5, D("100.10"))]


def test_the_same_quote_shown_again_brings_no_new_size(floor: Any) -> None:
    floor.send("BUY", 200)
    quote = floor.exchange.matcher("IBM").quote
    floor.send("BUY", 1)
    floor.exchange.show(replace(quote))
    assert floor.turn() == []


def test_a_limit_order_rests_until_the_quote_reaches_it(floor: Any) -> None:
    order, events = floor.send("BUY", 100, limit="99.50")
    assert kinds(events) == ["OrderAccepted"]
    assert floor.quote("99.40", 100, "99.51", 100) == []
    assert fills(floor.quote("99.30", 100, "99.45", 60)) == [(60, D("99.45"))], "at the quote, which is better"
    assert fills(floor.quote("99.40", 100, "99.50", 60)) == [(40, D("99.50"))]
    assert floor.exchange.find(order) is None


def test_an_aggressive_limit_order_trades_at_the_quote_and_rests_with_the_rest(floor: Any) -> None:
    order, events = floor.send("SELL", 400, limit="99.00")
    assert fills(events) == [(300, D("100.00"))]
    assert floor.exchange.find(order).leaves == 100
    assert floor.quote("98.90", 500, "98.95", 500) == []


def test_better_prices_go_first_then_earlier_orders(floor: Any) -> None:
    low, _ = floor.send("BUY", 100, limit="99.00")
    first, _ = floor.send("BUY", 100, limit="99.20")
    second, _ = floor.send("BUY", 100, limit="99.20")
    events = floor.quote("98.00", 100, "98.50", 250)
    assert [each.order_id for each in events] == [first.order_id, second.order_id, low.order_id]
    assert fills(events) == [(100, D("98.50")), (100, D("98.50")), (50, D("98.50"))]


@pytest.mark.parametrize(
    "quote",
    [
        ("100.20", 100, "100.10", 100),  # crossed
        ("100.10", 100, "100.10", 100),  # locked
        ("100.00", 0, "100.10", 100),  # no bid
        ("100.00", 100, "0", 0),  # no ask
    ],
)
def test_a_crossed_or_empty_quote_is_not_traded_against(floor: Any, quote: tuple[Any, ...]) -> None:
    floor.quote(*quote)
    for side in ("BUY", "SELL"):
        assert fills(floor.send(side, 10)[1]) == []
    assert len(fills(floor.quote("100.00", 100, "100.10", 100))) == 2


# where there are trades only


def test_without_quotes_a_trade_is_the_evidence(make_floor: Callable[..., Any]) -> None:
    floor = make_floor(quoted=False)
    floor.trade("611.87", "0.6005", "BTCUSD")
    assert fills(floor.send("BUY", "0.5", "BTCUSD")[1]) == [(D("0.5"), D("611.87"))]
    _order, events = floor.send("BUY", "0.2", "BTCUSD")
    assert fills(events) == [(D("0.1005"), D("611.87"))], "what the print has left"
    _sell, events = floor.send("SELL", "0.3", "BTCUSD")
    assert fills(events) == [], "both sides share the print's size"
    events = floor.trade("611.90", "1.0000", "BTCUSD")
    assert fills(events) == [(D("0.0995"), D("611.90")), (D("0.3"), D("611.90"))]


def test_without_quotes_a_limit_order_waits_for_a_trade_at_its_price(make_floor: Callable[..., Any]) -> None:
    floor = make_floor(quoted=False)
    floor.trade("100.00", 500)
    floor.send("BUY", 100, limit="99.00")
    assert fills(floor.trade("99.01", 500)) == []
    assert fills(floor.trade("98.90", 40)) == [(40, D("98.90"))]


# stops


def test_a_stop_is_triggered_by_the_side_it_would_trade_at(floor: Any) -> None:
    _order, events = floor.send("BUY", 100, stop="101.00")
    assert kinds(events) == ["OrderAccepted"]
    assert floor.quote("100.80", 100, "100.90", 100) == []
    assert fills(floor.quote("100.90", 100, "101.00", 100)) == [(100, D("101.00"))]


def test_a_stop_is_triggered_by_a_trade(floor: Any) -> None:
    _order, _ = floor.send("SELL", 100, stop="99.50")
    assert fills(floor.trade("99.50", 1)) == [(100, D("100.00"))], "at the bid shown, whatever the trade was"


def test_a_stop_beyond_the_market_already_is_triggered_at_once(floor: Any) -> None:
    assert fills(floor.send("BUY", 100, stop="100.05")[1]) == [(100, D("100.10"))]


def test_a_stop_limit_rests_at_its_limit_once_triggered(floor: Any) -> None:
    order, _ = floor.send("BUY", 100, stop="101.00", limit="101.05")
    assert floor.quote("101.10", 100, "101.20", 100) == [], "triggered, and the ask is above its limit"
    assert floor.exchange.find(order).triggered
    assert fills(floor.quote("100.00", 100, "100.10", 100)) == [(100, D("100.10"))], "it stays triggered"


def test_a_crossed_quote_triggers_nothing(floor: Any) -> None:
    order, _ = floor.send("BUY", 100, stop="101.00")
    floor.quote("102.00", 100, "101.50", 100)
    assert not floor.exchange.find(order).triggered


def test_triggered_stops_get_what_resting_orders_leave(floor: Any) -> None:
    resting, _ = floor.send("BUY", 260)
    stop, _ = floor.send("BUY", 100, stop="100.15")
    events = floor.quote("100.10", 100, "100.20", 100)
    assert [each.order_id for each in events] == [resting.order_id, stop.order_id]
    assert fills(events) == [(60, D("100.20")), (40, D("100.20"))]


# times in force


def test_ioc_takes_what_there_is_and_is_canceled(floor: Any) -> None:
    _order, events = floor.send("BUY", 250, tif="IOC")
    assert kinds(events) == ["OrderAccepted", "Executed", "OrderCanceled"]
    assert events[-1].reason is Reason.NOT_FILLABLE
    assert fills(events) == [(200, D("100.10"))]
    assert floor.exchange.open == {}


def test_ioc_away_from_the_market_is_canceled_unfilled(floor: Any) -> None:
    assert kinds(floor.send("BUY", 10, limit="90.00", tif="IOC")[1]) == ["OrderAccepted", "OrderCanceled"]


def test_fok_is_all_or_nothing(floor: Any) -> None:
    _, events = floor.send("BUY", 201, tif="FOK")
    assert kinds(events) == ["OrderRejected"]
    assert events[0].reason is Reason.NOT_FILLABLE
    assert fills(floor.send("BUY", 200, tif="FOK")[1]) == [(200, D("100.10"))]
    assert floor.exchange.open == {}


def test_the_moment_of_an_ioc_stop_is_its_trigger(floor: Any) -> None:
    _order, events = floor.send("BUY", 150, stop="101.00", tif="IOC")
    assert kinds(events) == ["OrderAccepted"]
    events = floor.quote("100.90", 100, "101.00", 100)
    assert kinds(events) == ["Executed", "OrderCanceled"]
    _whole, _ = floor.send("BUY", 150, stop="102.00", tif="FOK")
    events = floor.quote("101.90", 100, "102.00", 100)
    assert kinds(events) == ["OrderCanceled"]
    assert events[0].reason is Reason.NOT_FILLABLE


def test_a_day_order_expires_at_local_midnight_and_gtc_does_not(floor: Any) -> None:
    day, _ = floor.send("BUY", 10, limit="90")
    good, _ = floor.send("BUY", 10, limit="90", tif="GTC")
    midnight = datetime(2024, 3, 2, 5, tzinfo=UTC)
    floor.exchange.expire(midnight - timedelta(microseconds=1))
    assert floor.turn() == []
    floor.exchange.expire(midnight + timedelta(hours=1))
    (event,) = floor.turn()
    assert (type(event).__name__, event.order_id, event.time) == ("OrderExpired", day.order_id, midnight)
    assert list(floor.exchange.open) == [good.order_id]


# a market that closes


@pytest.fixture
def hours() -> Sessions:
    """Two sessions, Friday and Monday."""
    days = {
        day: (
            datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
            datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
        )
        for day in (date(2024, 3, 1), date(2024, 3, 4))
    }
    return Sessions("America/New_York", Schedule.of("XTST", "America/New_York", days))


def test_a_closed_market_refuses_what_cannot_wait(make_floor: Callable[..., Any], hours: Sessions) -> None:
    floor = make_floor(hours)
    floor.quote("100.00", 300, "100.10", 200)
    floor.now = CLOSE
    for terms in ({}, {"limit": "101", "tif": "IOC"}, {"limit": "101", "tif": "FOK"}):
        _, events = floor.send("BUY", 10, **terms)
        assert (kinds(events), events[0].reason) == (["OrderRejected"], Reason.MARKET_CLOSED)


def test_other_orders_wait_for_the_opening(make_floor: Callable[..., Any], hours: Sessions) -> None:
    floor = make_floor(hours)
    floor.quote("100.00", 300, "100.10", 200)
    floor.now = CLOSE
    _order, events = floor.send("BUY", 10, limit="101")
    assert kinds(events) == ["OrderAccepted"]
    assert floor.quote("100.00", 100, "100.10", 100) == [], "a quote outside the session is not traded against"
    floor.now = datetime(2024, 3, 4, 14, 29, 59, tzinfo=UTC)
    assert fills(floor.quote("100.00", 100, "100.20", 100)) == [(10, D("100.20"))]


def test_a_day_order_lives_until_the_close(make_floor: Callable[..., Any], hours: Sessions) -> None:
    floor = make_floor(hours)
    floor.quote("100.00", 300, "100.10", 200)
    floor.send("BUY", 10, limit="90")
    floor.exchange.expire(CLOSE)
    assert kinds(floor.turn()) == ["OrderExpired"]


def test_crypto_never_closes(make_floor: Callable[..., Any], hours: Sessions) -> None:
    floor = make_floor(hours)
    floor.now = CLOSE
    floor.quote("60000", "1.5", "60001", "1.5", "BTCUSD")
    assert fills(floor.send("BUY", "0.0001", "BTCUSD")[1]) == [(D("0.0001"), D(60001))]


# cancel and replace


def test_cancel_ends_an_order_once(floor: Any) -> None:
    order, _ = floor.send("BUY", 250)
    floor.exchange.cancel(order, floor.now)
    (event,) = floor.turn()
    assert (type(event).__name__, event.reason) == ("OrderCanceled", Reason.USER)
    floor.exchange.cancel(order, floor.now)
    (event,) = floor.turn()
    assert (type(event).__name__, event.reason) == ("CancelRejected", Reason.TOO_LATE)
    assert "CANCELED already" in event.text
    assert floor.quote("100.00", 100, "100.10", 100) == []


def test_cancel_and_replace_of_a_stranger_are_rejected(floor: Any) -> None:
    stranger = replace(floor.send("BUY", 1)[0], order_id="NOBODY")
    floor.exchange.cancel(stranger, floor.now)
    floor.exchange.replace(stranger, floor.now)
    assert [(type(each).__name__, each.reason) for each in floor.turn()] == [
        ("CancelRejected", Reason.NO_SUCH_ORDER),
        ("ReplaceRejected", Reason.NO_SUCH_ORDER),
    ]


def test_an_order_is_found_by_our_name_for_it_too(floor: Any) -> None:
    order, events = floor.send("BUY", 10, limit="90")
    known = replace(order, order_id="OTHER", broker_order_id=events[0].broker_order_id)
    floor.exchange.cancel(known, floor.now)
    assert [(type(each).__name__, each.order_id) for each in floor.turn()] == [("OrderCanceled", "OTHER")]


def asked(order: Any, quantity: Any = None, limit: Any = None, stop: Any = None) -> Any:
    numbers = [None if each is None else D(str(each)) for each in (quantity, limit, stop)]
    return replace(order, asked_quantity=numbers[0], asked_limit_price=numbers[1], asked_stop_price=numbers[2])


def test_replace_changes_the_terms_and_keeps_the_name(floor: Any) -> None:
    order, events = floor.send("BUY", 100, limit="99")
    floor.exchange.replace(asked(order, quantity=150, limit="99.50"), floor.now)
    (event,) = floor.turn()
    assert type(event).__name__ == "OrderReplaced"
    assert (event.quantity, event.limit_price, event.stop_price) == (150, D("99.50"), None)
    assert event.broker_order_id == events[0].broker_order_id
    assert fills(floor.quote("99.00", 100, "99.40", 500)) == [(150, D("99.40"))]


def test_replace_may_fill_at_once(floor: Any) -> None:
    order, _ = floor.send("BUY", 100, limit="99")
    floor.exchange.replace(asked(order, limit="100.10"), floor.now)
    assert kinds(floor.turn()) == ["OrderReplaced", "Executed"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"quantity": 50}, "50 are filled"),
        ({"quantity": 40}, "50 are filled"),
        ({"limit": "99.005"}, "steps of 0.01"),
        ({"quantity": "60.5"}, "steps of 1"),
        ({"stop": "99"}, "takes no stop price"),
        ({"quantity": 1_000_000}, "needs"),
    ],
)
def test_a_bad_replace_leaves_the_order_as_it_was(floor: Any, change: dict[str, Any], part: str) -> None:
    floor.quote("98.00", 100, "98.50", 50)
    order, _ = floor.send("BUY", 100, limit="98.50")
    account = floor.accounts["API_ACCOUNT"]
    reserved = account.reserved
    floor.exchange.replace(asked(order, **change), floor.now)
    (event,) = floor.turn()
    assert type(event).__name__ == "ReplaceRejected"
    assert part in event.text
    assert account.reserved == reserved
    assert fills(floor.quote("98.00", 100, "98.50", 500)) == [(50, D("98.50"))]
    assert account.reserved == 0


def test_replace_down_to_what_is_left_keeps_the_place(floor: Any) -> None:
    first, _ = floor.send("BUY", 100, limit="99")
    second, _ = floor.send("BUY", 100, limit="99")
    floor.exchange.replace(asked(first, quantity=60), floor.now)
    assert [each.order_id for each in floor.quote("98", 1, "99", 10)[-1:]] == [first.order_id]
    floor.exchange.replace(asked(first, quantity=70), floor.now)
    floor.turn()
    assert [each.order_id for each in floor.quote("98", 1, "99", 10)] == [second.order_id], "more goes behind"


def test_a_stop_can_be_moved_until_it_is_triggered(floor: Any) -> None:
    order, _ = floor.send("BUY", 100, stop="105", limit="105")
    floor.exchange.replace(asked(order, stop="101", limit="101"), floor.now)
    assert kinds(floor.turn()) == ["OrderReplaced"]
    floor.quote("101.90", 100, "102.00", 100)
    floor.exchange.replace(asked(order, stop="103"), floor.now)
    (event,) = floor.turn()
    assert (type(event).__name__, event.reason) == ("ReplaceRejected", Reason.TOO_LATE)
    floor.exchange.replace(asked(order, limit="102"), floor.now)
    assert kinds(floor.turn()) == ["OrderReplaced", "Executed"]


# tickets


def test_a_ticket_waits_for_its_release(floor: Any) -> None:
    order, events = floor.send("BUY", 100, tag="desk-1")
    assert kinds(events) == ["OrderAccepted"]
    assert floor.exchange.find(order).status is OrderStatus.STAGED
    assert floor.accounts["API_ACCOUNT"].reserved == 0
    assert floor.quote("100.00", 100, "100.10", 100) == []
    assert floor.exchange.release(order, floor.now)
    assert kinds(floor.turn()) == ["OrderAccepted", "Executed"]
    assert not floor.exchange.release(order, floor.now)


def test_a_ticket_can_be_changed_and_canceled(floor: Any) -> None:
    order, _ = floor.send("BUY", 100, limit="90", tag="x")
    floor.exchange.replace(asked(order, quantity=50, limit="91"), floor.now)
    assert kinds(floor.turn()) == ["OrderReplaced"]
    floor.exchange.cancel(order, floor.now)
    assert kinds(floor.turn()) == ["OrderCanceled"]
    assert not floor.exchange.release(order, floor.now)


def test_a_ticket_is_judged_when_it_is_released(floor: Any) -> None:
    order, _ = floor.send("BUY", 1_000_000, tag="big")
    floor.exchange.release(order, floor.now)
    (event,) = floor.turn()
    assert (type(event).__name__, event.reason) == ("OrderRejected", Reason.INSUFFICIENT_FUNDS)


def test_a_released_order_is_sent_live_by_another_desk(floor: Any) -> None:
    _order, events = floor.send("BUY", 100, tag="approved before", status=OrderStatus.PENDING_NEW)
    assert kinds(events) == ["OrderAccepted", "Executed"]


# refusals


@pytest.mark.parametrize(
    ("terms", "part"),
    [
        ({"account": "NOBODY"}, "no account NOBODY"),
        ({"symbol": "NOSUCH"}, "does not trade here"),
        ({"quantity": "0.5"}, "steps of 1"),
        ({"limit": "100.005"}, "steps of 0.01"),
        ({"stop": "100.005"}, "steps of 0.01"),
        ({"symbol": "AAPL"}, "no price yet"),
        ({"symbol": "USDJPY"}, "what JPY is worth"),
    ],
)
def test_what_cannot_be_taken_is_rejected_with_a_sentence(floor: Any, terms: dict[str, Any], part: str) -> None:
    if terms.get("symbol") == "USDJPY":
        floor.exchange.show(replace(floor.exchange.matcher("IBM").quote, symbol="USDJPY"))
    _, events = floor.send(**terms)
    assert isinstance(events[0], OrderRejected)
    assert events[0].reason is (Reason.UNSUPPORTED if "JPY" in part else Reason.REJECTED)
    assert part in events[0].text


def test_what_a_currency_is_worth() -> None:
    prices = {"EURUSD": D("1.1"), "USD/CHF": D("0.8"), "GBP/USD": D("1.25")}

    class Shown:
        def price(self, symbol: str) -> Decimal | None:
            return prices.get(symbol)

    worth = Worth(Shown())  # type: ignore[arg-type]
    found = [worth.rate(each) for each in ("USD", "EUR", "CHF", "GBP", "USDT", "JPY")]
    assert found == [D(1), D("1.1"), D("1.25"), D("1.25"), D(1), None]


def test_an_order_that_the_cash_cannot_pay_whole_ends(make_floor: Callable[..., Any]) -> None:
    floor = make_floor(cash=Opening("API_ACCOUNT", False, D("10_021")))
    floor.quote("99.00", 300, "100.00", 50)
    _order, events = floor.send("BUY", 100)
    assert fills(events) == [(50, D("100.00"))]
    events = floor.quote("100.00", 300, "110.00", 500)
    assert kinds(events) == ["Executed", "OrderCanceled"]
    assert events[-1].reason is Reason.INSUFFICIENT_FUNDS
    assert fills(events) == [(45, D("110.00"))]
    assert floor.accounts["API_ACCOUNT"].cash["USD"] >= 0


def test_a_triggered_fok_that_the_cash_cannot_pay_is_canceled_whole(make_floor: Callable[..., Any]) -> None:
    floor = make_floor(cash=Opening("API_ACCOUNT", False, D("10_021")))
    floor.quote("99.00", 300, "99.50", 500)
    _order, _ = floor.send("BUY", 100, stop="100.00", tif="FOK")
    events = floor.quote("104.00", 500, "105.00", 500)
    assert [(type(each).__name__, each.reason) for each in events] == [("OrderCanceled", Reason.INSUFFICIENT_FUNDS)]
    assert floor.accounts["API_ACCOUNT"].reserved == 0
