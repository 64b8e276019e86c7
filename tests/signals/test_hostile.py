"""What goes wrong around a signal: odd requests and markets, changed sources, failing brokers, crossing restarts."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.brokers.conftest import Logged, logged
from tests.desk import D, outcome
from tests.signals.house import SECRET, TV, House
from txgateway.model.account import AccountReport
from txgateway.model.errors import Reason, TimedOut
from txgateway.model.events import Executed, OrderAccepted, OrderExpired
from txgateway.model.exits import Leg
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import OrderStatus, OrderType, Side
from txgateway.model.signal import Act, Amount, Instruction, Measure, Outcome, Sizing, SourceKind
from txgateway.signals import LARGEST, BadSignal, Post, WrongSecret, hidden, number, redacted
from txgateway.signals.generic import Generic
from txgateway.sizing import Ground, quantity_of

__all__ = ["logged"]
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
IBM = Instrument(symbol="IBM", venue="paper")
BUY = {"symbol": "IBM", "side": "BUY", "quantity": 10}


class Outcomes(Generic):
    """The generic language, as if its answer carried the outcome."""

    outcome = True


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize("given", ["Basic é", "Basic é=", "Basic ====", "Bearer é"])
def test_a_header_that_cannot_be_read_is_a_wrong_secret(given: str) -> None:
    with pytest.raises(WrongSecret):
        Generic().verify(TV, Post(b"{}", NOW, headers={"authorization": given}))


def test_a_clock_that_is_years_ahead_makes_no_signal_young_for_ever() -> None:
    house = House().up()
    signal = house.send(**BUY, timestamp="9999-12-31T23:59:59Z", max_age=1000)
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.STALE_SIGNAL)


@pytest.mark.parametrize("body", [b"pass" * (LARGEST // 4), b'"' + b"key" * (LARGEST // 3), b"key " * (LARGEST // 4)])
def test_a_body_made_of_secrets_names_holds_up_nothing(body: bytes) -> None:
    began = time.process_time()
    redacted(body)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("written", ["a+b=c~d.e-f_g", "a%2Bb%3dc%7Ed.e-f_g", "a+b\\u003dc~d.e-f_g"])
def test_the_secret_is_hidden_however_it_is_escaped(written: str) -> None:
    body = f'{{"url": "https://host/x/{written}"}}'.encode()
    assert hidden(body, "a+b=c~d.e-f_g") == f'{{"url": "https://host/x/{"*" * len(written)}"}}'.encode()


def test_two_orders_of_a_batch_have_two_ids() -> None:
    house = House().up()
    house.send(signals=[{**BUY, "client_order_id": "x"}, {**BUY, "side": "SELL", "client_order_id": "x"}])
    assert (house.signal.reason, house.sent) == (Reason.BAD_SIGNAL, [])


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("side", "bid", "ask", "more", "units"),
    [
        (Side.BUY, "100", "101", {}, 99),
        (Side.BUY, "100", "0.01", {}, 100),  # crossed: one side is wrong
        (Side.SELL, "100", "0.01", {}, 100),
        (Side.SELL, "100", "101", {"limit_price": D(1)}, 100),  # sold at the market
        (Side.SELL, "100", "101", {"limit_price": D(200)}, 50),
        (Side.BUY, "100", "101", {"limit_price": D(50)}, 200),
        (Side.BUY, "100", "101", {"stop_price": D(200)}, 50),  # bought at 200, if at all
    ],
)
def test_a_size_never_costs_more_than_was_asked_for(side: Side, bid: str, ask: str, more: Any, units: int) -> None:
    ground = Ground(IBM, Quote("IBM", D(bid), D(1), D(ask), D(1), NOW))
    instruction = Instruction(act=Act.ORDER, symbol="IBM", side=side, amount=Amount(D(10000), Measure.MONEY), **more)
    assert quantity_of(instruction, TV, side, ground) == units


@pytest.mark.parametrize(("currency", "reason"), [("JPY", Reason.NO_SIZE), ("USD", None), ("USDT", None)])
def test_a_percentage_is_of_the_currency_that_is_paid_with(currency: str, reason: Reason | None) -> None:
    house = House(replace(TV, sizing=Sizing.PERCENT, size=D(50))).up()

    async def balances(account: str) -> AccountReport:
        return AccountReport(account, D(1000), (), {"currency": currency, "equity": D(1000)})

    house.bench.broker.balances = balances  # type: ignore[method-assign]
    assert house.send(symbol="IBM", side="BUY").reason is reason


# ---------------------------------------------------------------- brokers that fail


def test_who_is_told_the_outcome_is_told_that_the_broker_does_not_answer() -> None:
    house = House(languages={SourceKind.GENERIC: Outcomes()}).up()
    house.bench.broker.instrument = _fails(TimedOut("Venue paper did not answer."))  # type: ignore[method-assign]
    assert house.answer(**BUY).status == 400
    assert (house.signal.outcome, house.signal.reason) == (Outcome.REFUSED, Reason.VENUE_DOWN)


def test_an_error_of_ours_ends_the_signal_before_it_comes_after_newer_ones(logged: Logged) -> None:
    house = House().up()
    house.send(**BUY)
    house.carrier.grounds.ground = _fails(ZeroDivisionError("oh"))  # type: ignore[method-assign]
    signal = house.send(symbol="IBM", side="CLOSE")
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.UNFINISHED)
    logged.expect("failed")


def _fails(error: Exception) -> Any:
    async def fail(*_: Any) -> Any:
        raise error

    return fail


# ---------------------------------------------------------------- changed meanwhile


def test_a_source_that_was_given_another_account_finishes_in_the_one_it_signalled_for() -> None:
    house = House().up()
    house.carrier._end = lambda *_: None  # type: ignore[method-assign]  it is killed before the end is on record
    house.send(**BUY)
    house.sources["tv"] = replace(TV, account="OTHER")
    again = house.restart().up()
    assert [(each.account, each.quantity) for each in again.bench.broker.sent] == [("ACC", 10)]
    assert again.signal.outcome is Outcome.DONE


def test_what_waits_since_before_a_restart_comes_before_what_is_new() -> None:
    house = House().up()
    house.carrier.begin = lambda signal: None  # type: ignore[method-assign]  it is killed right after the answer
    house.answer(symbol="IBM", target=10)
    again = house.restart()
    new = again.begin(symbol="IBM", target=-5)  # while the venue is not up
    again.bench.turn()
    assert outcome(new).status == 200
    again.up()
    assert again.sent == [("BUY", 10, "IBM"), ("SELL", 15, "IBM")]


def test_a_cancel_waits_for_the_order_that_came_before_it() -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.bench.broker.subscribe = lambda symbol: None  # type: ignore[method-assign]  no price comes
    order = house.begin(symbol="IBM", side="BUY", quantity=10, type=OrderType.LIMIT, price=90)
    house.bench.turn()
    cancel = house.begin(symbol="IBM", side="CANCEL")
    house.bench.turn(1)
    assert (order.called, cancel.called, house.sent) == (True, True, [])
    house.quote("IBM")
    house.bench.turn(1)
    assert [each.limit_price for each in house.bench.broker.sent] == [90]
    assert [each.limit_price for each in house.bench.broker.canceled] == [90]


def test_a_batch_is_done_before_what_came_after_it() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100)
    batch = house.begin(signals=[{"symbol": "IBM", "side": "CLOSE"}, BUY])
    close = house.begin(symbol="IBM", side="CLOSE")
    house.bench.turn()
    assert (batch.called, close.called) == (True, True)
    assert house.sent[1:] == [("SELL", 100, "IBM"), ("BUY", 10, "IBM"), ("SELL", 10, "IBM")]


def test_a_cancel_of_what_is_unknown_ends_nothing() -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=10, type="LIMIT", price=90)
    assert house.send(symbol="NOSUCH", side="CANCEL").reason is Reason.UNKNOWN_SYMBOL
    assert not house.bench.broker.canceled


def test_what_is_only_to_be_bought_is_not_sold_as_if_it_were_held() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=40)
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=20, type="LIMIT", price=80)
    house.bench.broker.mode = "fill"
    house.send(symbol="IBM", side="SELL", quantity=70, stop_loss=110)
    assert house.sent[2:4] == [("SELL", 40, "IBM"), ("SELL", 30, "IBM")]


@pytest.mark.parametrize("language", [Generic(), Outcomes()])
def test_what_rests_to_take_a_profit_keeps_no_close_from_closing(language: Generic) -> None:
    house = House(languages={SourceKind.GENERIC: language}).up()
    house.send(symbol="IBM", side="BUY", quantity=100)
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="SELL", quantity=100, type="LIMIT", price=120)
    house.bench.broker.mode = "fill"
    assert house.send(symbol="IBM", side="CLOSE").outcome is Outcome.DONE
    assert [each.limit_price for each in house.bench.broker.canceled] == [120]
    assert (house.sent[2:], house.held()) == ([("SELL", 100, "IBM")], 0)


def test_the_secret_is_nowhere() -> None:
    house = House().up()
    house.send(**BUY, strategy=f"by {SECRET}")
    assert all(SECRET not in row.body for row in house.bench.journal.rows)


# ---------------------------------------------------------------- other hands, and closes that fail


@pytest.mark.parametrize(("by_hand", "sold"), [(60, [("SELL", 40, "IBM")]), (100, [])])
def test_a_close_ends_exits_that_would_open_since_a_person_closed_by_hand(by_hand: int, sold: Any) -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=100, stop_loss=90)
    broker = house.bench.broker
    house.bench.gateway.report(Executed(broker.fill(broker.sent[0], D(100)), broker.now()), "paper")
    house.bench.turn()
    broker.mode = "fill"
    house.bench.submit(side=Side.SELL, quantity=D(by_hand))
    before = len(house.sent)
    house.send(symbol="IBM", side="CLOSE")
    house.bench.turn(1)
    assert house.sent[before:] == sold
    assert [each.leg for each in broker.canceled] == [Leg.STOP_LOSS]
    assert (house.held(), house.bench.gateway.state.positions["ACC"]) == (0, {})
    assert not [each for each in house.bench.gateway.state.working.values() if each.leg is not None]


@pytest.mark.parametrize("ends", [OrderStatus.EXPIRED, OrderStatus.UNKNOWN])
def test_nothing_is_opened_on_top_of_what_could_not_be_closed(ends: OrderStatus, logged: Logged) -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100)
    broker, submit = house.bench.broker, house.bench.broker.submit

    async def fails(order: Any) -> None:
        if ends is OrderStatus.UNKNOWN:
            broker.mode = "fail"
            await submit(order)
        broker.sent.append(order)
        broker.report(OrderAccepted(order.order_id, "B9", broker.now()))
        broker.report(OrderExpired(order.order_id, "no market", broker.now()))

    broker.submit = fails  # type: ignore[method-assign]
    signal = house.send(symbol="IBM", side="SELL", quantity=150, stop_loss=110)
    assert house.sent == [("BUY", 100, "IBM"), ("SELL", 100, "IBM")]
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.UNFINISHED)
    if ends is OrderStatus.UNKNOWN:
        logged.expect("in doubt")


def test_a_fill_that_comes_on_the_next_day_is_the_strategys_too() -> None:
    house = House().up()
    broker = house.bench.broker
    broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=100, type="LIMIT", price=90)
    house.bench.gateway.report(OrderExpired(broker.sent[0].order_id, "", broker.now()), "paper")
    house.bench.turn(86400)
    house.bench.turn(2)
    house.bench.gateway.report(Executed(broker.fill(broker.sent[0], D(40)), broker.now()), "paper")
    house.bench.turn(1)
    assert house.held() == 40
    broker.mode = "fill"
    house.send(symbol="IBM", side="CLOSE")
    assert (house.sent[1:], house.bench.gateway.state.positions["ACC"]) == ([("SELL", 40, "IBM")], {})
    assert house.restart().held() == 0


@pytest.mark.parametrize("written", ["18_5", "1_000", "NaN", "0x5", "1e99"])
def test_what_could_be_read_as_another_number_is_none(written: str) -> None:
    with pytest.raises(BadSignal, match="no number"):
        number(written, "quantity")
