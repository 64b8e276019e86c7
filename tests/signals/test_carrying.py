"""Signals become orders: each once, in order, whatever crashes; a close never opens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.desk import D
from tests.signals.house import TV, House
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, OrderRejected
from txgateway.model.order import Order, Origin, Side
from txgateway.model.signal import Outcome, Semantics, Signal, Sizing, SourceKind, StrategyPosition
from txgateway.signals.generic import Generic
from txgateway.signals.tradingview import TradingView


def test_a_signal_is_answered_and_becomes_an_order_of_its_source() -> None:
    house = House().up()
    signal = house.send(symbol="IBM", side="BUY", quantity=100)
    assert house.sent == [("BUY", 100, "IBM")]
    assert (signal.outcome, len(signal.orders)) == (Outcome.DONE, 1)
    order = house.bench.gateway.state.order(signal.orders[0])
    assert order is not None
    assert (order.owner, order.origin, order.signal) == ("tv", Origin.WEBHOOK, signal.signal_id)
    assert order.client_order_id == f"sig:{signal.signal_id}:0"
    assert house.held() == 100


def test_the_answer_does_not_wait_for_the_broker() -> None:
    house = House().up()
    house.bench.broker.mode = "mute"
    answer = house.answer(symbol="IBM", side="BUY", quantity=100)
    assert answer.status == 200
    assert house.signal.outcome is Outcome.PENDING
    house.bench.turn(6)
    assert house.signal.outcome is Outcome.DONE  # sent; its fate is the order's


def test_an_order_that_is_refused_ends_the_signal_with_its_reason() -> None:
    house = House().up()
    signal = house.send(symbol="IBM", side="BUY", quantity="0.5")
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.BAD_LOT)
    assert "steps of 1" in signal.text
    assert not house.sent


def test_what_cannot_be_understood_is_refused_and_kept_without_the_secret() -> None:
    house = House().up()
    answer = house.answer(symbol="IBM", side="HOLD", quantity=1, token="open sesame")
    assert answer.status == 400
    assert "HOLD" in answer.body or "token" in answer.body
    signal = house.signal
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.BAD_SIGNAL)
    assert all("sesame" not in row.body for row in house.bench.journal.rows)


# ---------------------------------------------------------------- closes


def test_a_close_closes_what_the_strategy_holds_and_a_second_one_nothing() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100, strategy="gold")
    house.send(symbol="IBM", side="BUY", quantity=7, strategy="silver")
    first, second = (
        house.begin(symbol="IBM", side="CLOSE", strategy="gold"),
        house.begin(symbol="IBM", side="CLOSE", strategy="gold"),
    )
    house.bench.turn()
    assert first.called
    assert second.called
    assert house.sent[2:] == [("SELL", 100, "IBM")]
    assert (house.signal.outcome, house.signal.reason) == (Outcome.REFUSED, Reason.NO_POSITION)
    assert (house.held("gold"), house.held("silver")) == (0, 7)


def test_a_close_ends_what_works_first_and_closes_what_was_filled() -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=100, type="LIMIT", price=90)
    entry = house.bench.broker.sent[0]
    house.bench.gateway.report(_executed(house, entry, 40), "paper")
    house.bench.turn()
    house.bench.broker.mode = "fill"
    signal = house.send(symbol="IBM", side="CLOSE")
    assert [each.order_id for each in house.bench.broker.canceled] == [entry.order_id]
    assert house.sent[1:] == [("SELL", 40, "IBM")]
    assert signal.outcome is Outcome.DONE
    assert house.held() == 0


def test_a_close_gives_up_when_what_works_does_not_end() -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=100, type="LIMIT", price=90)
    house.bench.broker.mode = "mute"
    house.send(symbol="IBM", side="CLOSE")
    assert house.signal.outcome is Outcome.PENDING
    house.bench.turn(31)
    assert (house.signal.outcome, house.signal.reason) == (Outcome.REFUSED, Reason.UNFINISHED)
    assert len(house.sent) == 1


def test_a_close_ends_a_sale_that_is_larger_than_what_is_held() -> None:
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=2)
    house.send(symbol="IBM", side="SELL", quantity=2)
    house.bench.gateway.report(_executed(house, house.bench.broker.sent[0], 1), "paper")
    house.bench.turn()
    house.send(symbol="IBM", side="CLOSE")
    assert len(house.bench.broker.canceled) == 2
    assert house.sent[2:] == [("SELL", 1, "IBM")]


def test_what_a_person_closed_by_hand_is_not_closed_again() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100)
    house.bench.submit(side=Side.SELL, quantity=D(60))
    assert house.held() == 40
    house.send(symbol="IBM", side="CLOSE")
    assert house.sent[-1] == ("SELL", 40, "IBM")
    assert house.bench.gateway.state.positions["ACC"] == {}


def test_a_strategy_that_is_short_beside_what_the_account_holds_is_closed() -> None:
    house = House().up()
    house.bench.submit(quantity=D(1000))
    house.send(symbol="IBM", side="SELL", quantity=10)
    assert house.held() == -10
    house.send(symbol="IBM", side="CLOSE")
    assert house.sent[-1] == ("BUY", 10, "IBM")


def test_two_strategies_against_each_other_are_closed_each_by_itself() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="a")
    house.send(symbol="IBM", side="SELL", quantity=10, strategy="b")
    assert (house.held("a"), house.held("b")) == (10, -10)
    house.send(symbol="IBM", side="CLOSE", strategy="a")
    house.send(symbol="IBM", side="CLOSE", strategy="b")
    assert house.sent[2:] == [("SELL", 10, "IBM"), ("BUY", 10, "IBM")]


def test_after_a_flatten_a_strategy_holds_nothing() -> None:
    house = House(replace(TV, semantics=Semantics.ONE_POSITION)).up()
    house.send(symbol="IBM", side="BUY", quantity=10)
    house.bench.submit(side=Side.SELL, quantity=D(10))
    assert house.held() == 0
    assert house.send(symbol="IBM", side="BUY", quantity=5).outcome is Outcome.DONE
    assert house.held() == 5


# ---------------------------------------------------------------- semantics


def test_one_position_refuses_a_second() -> None:
    house = House(replace(TV, semantics=Semantics.ONE_POSITION)).up()
    house.send(symbol="IBM", side="BUY", quantity=10)
    assert house.send(symbol="IBM", side="BUY", quantity=10).reason is Reason.POSITION_EXISTS
    assert len(house.sent) == 1


def alerts(**more: Any) -> House:
    """A house that reads TradingView's."""
    source = replace(TV, kind=SourceKind.TRADINGVIEW, secret="open-sesame", **more)
    return House(source, languages={SourceKind.TRADINGVIEW: TradingView()}).up()


def alert(house: House, action: str, contracts: int, position: int, **more: Any) -> Signal:
    """What a strategy's alert says after its order."""
    word = "long" if position > 0 else "short" if position else "flat"
    size = str(abs(position))
    said = {"ticker": "IBM", "action": action, "contracts": contracts, "nonce": len(house.bench.journal.rows), **more}
    return house.send(secret="open-sesame", market_position=word, market_position_size=size, **said)


@pytest.mark.parametrize("semantics", [*Semantics])
@pytest.mark.parametrize("sizing", [Sizing.AS_SENT, Sizing.FIXED])
def test_an_exit_whose_entry_was_missed_opens_nothing(semantics: Semantics, sizing: Sizing) -> None:
    house = alerts(semantics=semantics, sizing=sizing, size=D(7))
    missed = alert(house, "sell", 10, 0)
    assert (missed.outcome, missed.reason, house.sent) == (Outcome.REFUSED, Reason.NO_POSITION, [])
    alert(house, "buy", 10, 10)
    alert(house, "sell", 10, 0)
    much = 10 if sizing is Sizing.AS_SENT else 7
    assert house.sent == [("BUY", much, "IBM"), ("SELL", much, "IBM")]


def test_a_part_of_a_position_that_was_missed_opens_nothing() -> None:
    house = alerts()
    assert alert(house, "sell", 4, 6).reason is Reason.NO_POSITION
    alert(house, "buy", 10, 10)
    alert(house, "sell", 4, 6)
    assert house.sent == [("BUY", 10, "IBM"), ("SELL", 4, "IBM")]


def test_one_position_is_reversed() -> None:
    house = alerts(semantics=Semantics.ONE_POSITION)
    alert(house, "buy", 3, 3)
    assert alert(house, "buy", 3, 6).reason is Reason.POSITION_EXISTS
    assert alert(house, "sell", 8, -5).outcome is Outcome.DONE
    assert house.sent == [("BUY", 3, "IBM"), ("SELL", 3, "IBM"), ("SELL", 5, "IBM")]
    assert alert(house, "sell", 1, -6).reason is Reason.POSITION_EXISTS
    alert(house, "buy", 9, 4)
    assert house.sent[3:] == [("BUY", 5, "IBM"), ("BUY", 4, "IBM")]
    assert house.held() == 4


def test_a_reversal_ends_an_entry_that_works_and_a_second_entry_does_not() -> None:
    house = alerts(semantics=Semantics.ONE_POSITION)
    house.bench.broker.mode = "accept"
    alert(house, "buy", 3, 3, limit=90)
    assert alert(house, "buy", 3, 3, limit=90).reason is Reason.POSITION_EXISTS
    assert house.bench.broker.canceled == []
    house.bench.broker.mode = "fill"
    alert(house, "sell", 8, -5)
    assert len(house.bench.broker.canceled) == 1
    assert house.sent[1:] == [("SELL", 5, "IBM")]
    assert house.held() == -5


def test_a_position_is_not_doubled_when_the_close_before_it_failed() -> None:
    class Told(Generic):
        outcome = True

    house = House(replace(TV, semantics=Semantics.ONE_POSITION), languages={SourceKind.GENERIC: Told()}).up()
    house.send(symbol="IBM", side="BUY", quantity=10)
    begin, house.carrier.begin = house.carrier.begin, lambda signal: None  # type: ignore[method-assign]
    assert house.answer(symbol="IBM", side="CLOSE").status == 200
    assert house.answer(symbol="IBM", side="BUY", quantity=10).status == 200, "judged against what was taken in"
    broker = house.bench.broker

    async def refuse(order: Order) -> None:
        broker.report(OrderRejected(order.order_id, Reason.MARKET_CLOSED, "No.", broker.now()))

    broker.submit = refuse  # type: ignore[method-assign]
    house.carrier.begin = begin  # type: ignore[method-assign]
    house.bench.turn(6)
    close, opening = list(house.bench.gateway.state.strategies.signals.values())[-2:]
    assert (close.reason, opening.reason) == (Reason.MARKET_CLOSED, Reason.POSITION_EXISTS)
    assert house.held() == 10


def test_targets_lead_from_what_is_held_to_what_is_wanted() -> None:
    house = House().up()
    for target in (10, 25, 25, -5, 0):
        house.send(symbol="IBM", target=target)
    assert house.sent == [("BUY", 10, "IBM"), ("BUY", 15, "IBM"), ("SELL", 30, "IBM"), ("BUY", 5, "IBM")]


def test_a_batch_goes_in_order_and_ends_at_what_is_refused() -> None:
    house = House().up()
    signals = [
        {"symbol": "IBM", "side": "BUY", "quantity": 1},
        {"symbol": "NOSUCH", "side": "BUY", "quantity": 2},
        {"symbol": "AAPL", "side": "BUY", "quantity": 3},
    ]
    signal = house.send(signals=signals)
    assert house.sent == [("BUY", 1, "IBM")]
    assert (signal.outcome, signal.reason) == (Outcome.REFUSED, Reason.UNKNOWN_SYMBOL)
    assert signal.text.startswith("Instruction 2 of 3:")
    assert signal.text.endswith("The rest was not sent.")


def test_shadow_mode_does_everything_but_send() -> None:
    house = House(replace(TV, shadow=True)).up()
    signal = house.send(symbol="IBM", side="BUY", quantity=100)
    assert (signal.outcome, signal.text) == (Outcome.SHADOW, "Would send BUY 100 IBM MARKET.")
    assert "BAD_LOT" in house.send(symbol="IBM", side="BUY", quantity="0.5").text
    assert not house.sent


def test_percent_of_equity_asks_the_broker() -> None:
    house = House(replace(TV, sizing=Sizing.PERCENT, size=D(50))).up()
    house.send(symbol="IBM", side="BUY")
    assert house.sent == [("BUY", 4, "IBM")]  # half of 1000 at 100.01


def test_the_map_names_the_venues_symbol() -> None:
    house = House(replace(TV, symbols={"NYSE:BLUE": "IBM", "GONE": "NOSUCH"})).up()
    assert house.send(symbol="NYSE:BLUE", side="BUY", quantity=1).outcome is Outcome.DONE
    assert "mapped to 'NOSUCH'" in house.send(symbol="GONE", side="BUY", quantity=1).text
    assert house.send(symbol="NYSE:IBM", side="BUY", quantity=1).outcome is Outcome.DONE


# ---------------------------------------------------------------- once


def test_the_same_key_is_the_same_signal_for_ever() -> None:
    house = House().up()
    body = {"id": "alert 7", "symbol": "IBM", "side": "BUY", "quantity": 100}
    first = house.answer(**body)
    assert house.answer(**body) == first
    again = house.restart().up()
    assert again.answer(**body) == first
    assert len(house.bench.broker.sent) == 1


def test_a_key_that_the_state_has_forgotten_is_found_in_the_journal() -> None:
    house = House().up()
    body = {"id": "alert 7", "symbol": "IBM", "side": "BUY", "quantity": 100}
    first = house.answer(**body)
    strategies = house.bench.gateway.state.strategies
    strategies._keys.clear()
    strategies.signals.clear()
    assert house.answer(**body) == first
    assert len(house.sent) == 1


def test_deliveries_that_cross_each_other_are_one() -> None:
    house = House().up()
    body = {"id": "alert 7", "symbol": "IBM", "side": "BUY", "quantity": 100}
    answers = [house.begin(**body) for _ in range(5)]
    house.bench.turn()
    assert len({str(each.result) for each in answers}) == 1
    assert len(house.sent) == 1
    assert house.signaling.tally("tv").repeated == 4


def test_the_same_bytes_within_the_window_are_the_same_signal_and_after_it_another() -> None:
    house = House(replace(TV, duplicate_window=45)).up()
    body = {"symbol": "IBM", "side": "BUY", "quantity": 100}
    house.send(**body)
    house.bench.turn(30)
    house.send(**body)
    assert len(house.sent) == 1
    house.bench.turn(16)
    house.send(**body)
    assert len(house.sent) == 2


def test_a_client_order_id_is_the_orders_and_other_words_conflict() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100, client_order_id="mine")
    assert house.bench.broker.sent[0].client_order_id == "mine"
    house.send(symbol="IBM", side="BUY", quantity=100, client_order_id="mine")
    assert len(house.sent) == 1
    assert house.send(symbol="IBM", side="BUY", quantity=101, client_order_id="mine").reason is Reason.KEY_CONFLICT
    assert len(house.sent) == 1


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize("body", [{"side": "BUY", "quantity": 100}, {"target": 100}], ids=["order", "target"])
def test_what_was_answered_and_not_sent_is_sent_once_by_the_next_daemon(body: dict[str, Any]) -> None:
    house = House().up()
    house.carrier.begin = lambda signal: None  # type: ignore[method-assign]  it is killed right after the answer
    assert house.answer(symbol="IBM", **body).status == 200
    assert not house.sent
    again = house.restart().up()
    assert again.sent == [("BUY", 100, "IBM")]
    assert again.signal.outcome is Outcome.DONE
    assert again.restart().up().sent == [("BUY", 100, "IBM")]


@pytest.mark.parametrize("body", [{"side": "BUY", "quantity": 100}, {"side": "CLOSE"}])
def test_what_was_on_record_and_surely_never_arrived_is_sent_again(body: dict[str, Any]) -> None:
    house = House().up()
    if body["side"] == "CLOSE":
        house.send(symbol="IBM", side="BUY", quantity=100)
    house.bench.broker.mode = "mute"
    house.begin(symbol="IBM", **body)
    house.bench.turn()  # the order is on record, and killed on its way
    assert house.signal.outcome is Outcome.PENDING
    house.bench.broker.sent.pop()
    house.bench.broker.mode = "fill"
    again = house.restart().up()
    again.bench.turn(1)
    assert again.sent[-1] == ("SELL" if body["side"] == "CLOSE" else "BUY", 100, "IBM")
    assert (again.signal.outcome, again.signal.reason) == (Outcome.DONE, None)
    assert again.held() == (0 if body["side"] == "CLOSE" else 100)
    assert again.restart().up().sent == again.sent


def test_a_reversal_is_killed_between_its_close_and_what_it_opens() -> None:
    house = alerts(semantics=Semantics.ONE_POSITION)
    alert(house, "buy", 3, 3)

    async def killed(_: StrategyPosition) -> None:
        house.bench.gateway.stopping = True

    house.carrier._await_closed = killed  # type: ignore[method-assign]
    alert(house, "sell", 8, -5)
    assert house.sent[1:] == [("SELL", 3, "IBM")]
    assert house.signal.outcome is Outcome.PENDING
    again = house.restart().up()
    again.bench.turn(1)
    assert again.sent[1:] == [("SELL", 3, "IBM"), ("SELL", 5, "IBM")]
    assert (again.signal.outcome, again.held()) == (Outcome.DONE, -5)
    assert again.restart().up().sent == again.sent


def test_a_reversal_whose_close_never_arrived_is_whole_after_a_restart() -> None:
    house = alerts(semantics=Semantics.ONE_POSITION)
    alert(house, "buy", 3, 3)
    house.bench.broker.mode = "mute"
    alert(house, "sell", 8, -5)
    assert house.sent[1:] == [("SELL", 3, "IBM")]
    house.bench.broker.sent.pop()
    house.bench.broker.mode = "fill"
    again = house.restart().up()
    again.bench.turn(1)
    assert again.sent[1:] == [("SELL", 3, "IBM"), ("SELL", 5, "IBM")]
    assert (again.signal.outcome, again.held()) == (Outcome.DONE, -5)


def test_what_was_sent_and_not_noted_is_not_sent_again() -> None:
    house = House().up()
    house.carrier._end = lambda *_: None  # type: ignore[method-assign]  it is killed before the end is on record
    house.send(symbol="IBM", side="BUY", quantity=100)
    assert len(house.sent) == 1
    again = house.restart().up()
    assert len(again.sent) == 1
    assert again.signal.outcome is Outcome.DONE
    assert len(again.signal.orders) == 1


def test_what_comes_too_late_after_a_restart_opens_nothing_and_still_closes() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=100)
    house.carrier.begin = lambda signal: None  # type: ignore[method-assign]
    house.send(symbol="AAPL", side="BUY", quantity=5)
    house.send(symbol="IBM", side="CLOSE")
    again = house.restart()
    again.bench.clock.advance(house.bench.clock.seconds() + 301)
    again.up()
    assert again.sent == [("BUY", 100, "IBM"), ("SELL", 100, "IBM")]
    late = [each for each in again.bench.gateway.state.strategies.signals.values() if each.reason]
    assert [each.reason for each in late] == [Reason.STALE_SIGNAL]


def test_what_comes_while_the_venue_is_down_waits_for_it() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=10)
    house.bench.broker.stopService()
    house.bench.turn()
    assert house.send(symbol="IBM", side="CLOSE").outcome is Outcome.PENDING
    house.bench.turn(400)
    late = house.send(symbol="AAPL", side="BUY", quantity=1)
    house.bench.turn(301)
    house.up()
    house.bench.turn(1)
    assert house.sent[1:] == [("SELL", 10, "IBM")]
    assert house.bench.gateway.state.strategies.signals[late.signal_id].reason is Reason.STALE_SIGNAL


@pytest.mark.parametrize(("ahead", "status"), [(50, 200), (3600, 400)])
def test_a_time_to_come_is_no_way_round_an_age(ahead: int, status: int) -> None:
    house = House(replace(TV, max_age=30)).up()
    stamp = (house.bench.now().timestamp()) + ahead
    assert house.answer(symbol="IBM", side="BUY", quantity=1, timestamp=stamp).status == status
    assert House().up().answer(symbol="IBM", side="BUY", quantity=1, timestamp=stamp).status == 200


def test_a_stop_leaves_the_signal_to_the_next_daemon() -> None:
    house = House().up()
    done = house.begin(symbol="IBM", side="BUY", quantity=100)
    house.bench.gateway.stopping = True
    house.bench.turn()
    assert done.called
    assert not house.sent
    assert house.signal.outcome is Outcome.PENDING
    assert house.restart().up().sent == [("BUY", 100, "IBM")]


# ---------------------------------------------------------------- exits


def test_a_close_has_what_is_attached_closed_once() -> None:
    house = _protected(take_profit=120)
    assert house.send(symbol="IBM", side="CLOSE").outcome is Outcome.DONE
    house.bench.turn(1)
    house.send(symbol="IBM", side="CLOSE")
    house.bench.turn(1)
    markets = [each for each in house.bench.broker.sent[1:] if each.order_type == "MARKET"]
    assert [(each.side.value, each.quantity) for each in markets] == [("SELL", 100)]


def test_a_part_of_what_has_exits_attached_cannot_be_closed_alone() -> None:
    house = _protected()
    assert house.send(symbol="IBM", side="CLOSE", quantity=40).reason is Reason.UNSUPPORTED


def test_a_close_that_is_gone_over_again_is_done() -> None:
    house = _protected()
    house.carrier._end = lambda *_: None  # type: ignore[method-assign]  it is killed before the end is on record
    house.send(symbol="IBM", side="CLOSE")
    again = house.restart().up()
    again.bench.turn(1)
    assert (again.signal.outcome, again.signal.reason) == (Outcome.DONE, None)
    markets = [each for each in again.bench.broker.sent[1:] if each.order_type == "MARKET"]
    assert [(each.side.value, each.quantity) for each in markets] == [("SELL", 100)]


def _protected(**levels: Any) -> House:
    """A strategy with a position of 100 and a stop attached."""
    house = House().up()
    house.bench.broker.mode = "accept"
    house.send(symbol="IBM", side="BUY", quantity=100, stop_loss=90, **levels)
    house.bench.gateway.report(_executed(house, house.bench.broker.sent[0], 100), "paper")
    house.bench.turn()
    assert [each.order_type.value for each in house.bench.broker.sent] == ["MARKET", "STOP", *["LIMIT" for _ in levels]]
    return house


def _executed(house: House, order: Any, quantity: int) -> Executed:
    return Executed(house.bench.broker.fill(order, D(quantity)), house.bench.now())
