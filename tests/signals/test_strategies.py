"""What strategies hold: the same live, in replay and from a snapshot, whatever the orders do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.desk import D
from tests.signals.house import TV, House
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, OrderCanceled, OrderExpired, StrategyAdjusted
from txgateway.model.order import CLOSED, Side
from txgateway.model.scope import Scope
from txgateway.model.signal import Outcome
from txgateway.state import State

STRATEGIES = ("gold", "silver")
STEP = some.one_of(
    some.tuples(some.just("order"), some.sampled_from(STRATEGIES), some.integers(-30, 30).filter(bool)),
    some.tuples(some.just("target"), some.sampled_from(STRATEGIES), some.integers(-30, 30)),
    some.tuples(some.just("close"), some.sampled_from(STRATEGIES), some.just(0)),
    some.tuples(some.just("fill"), some.integers(0, 50), some.integers(1, 40)),
    some.tuples(some.just("end"), some.integers(0, 50), some.sampled_from([0, 1])),
)


def body(kind: str, strategy: str, quantity: int) -> dict[str, Any]:
    if kind == "target":
        return {"symbol": "IBM", "strategy": strategy, "target": quantity}
    if kind == "close":
        return {"symbol": "IBM", "strategy": strategy, "side": "CLOSE"}
    side = "BUY" if quantity > 0 else "SELL"
    return {"symbol": "IBM", "strategy": strategy, "side": side, "quantity": abs(quantity)}


@settings(deadline=None, max_examples=150)
@given(some.lists(STEP, max_size=25))
def test_positions_are_the_sum_of_fills_and_a_close_never_opens(steps: list[tuple[str, Any, int]]) -> None:
    house = House(replace(TV, max_age=None)).up()
    house.bench.broker.mode = "accept"
    for kind, which, quantity in steps:
        if kind in ("fill", "end"):
            happens(house, kind, which, quantity)
            continue
        before = house.held(which)
        sent = len(house.bench.broker.sent)
        house.send(**body(kind, which, quantity))
        if kind == "close":
            closing = house.bench.broker.sent[sent:]
            assert all(each.side.sign * before < 0 and each.quantity <= abs(before) for each in closing)
    check(house)


def happens(house: House, kind: str, which: int, quantity: int) -> None:
    """The broker fills or ends one of the orders."""
    broker, state = house.bench.broker, house.bench.gateway.state
    live = [order for order in broker.sent if (now := state.order(order.order_id)) and now.status not in CLOSED]
    if not live:
        return
    order = live[which % len(live)]
    now = state.order(order.order_id)
    assert now is not None
    if kind == "fill":
        house.bench.gateway.report(
            Executed(broker.fill(order, min(D(quantity), now.leaves_quantity)), broker.now()), "paper"
        )
    else:
        end: Any = OrderCanceled(order.order_id, Reason.USER, "", broker.now())
        house.bench.gateway.report(OrderExpired(order.order_id, "", broker.now()) if quantity else end, "paper")
    house.bench.turn()


def check(house: House) -> None:
    state = house.bench.gateway.state
    for strategy in STRATEGIES:
        ours = [order for order in house.bench.broker.sent if order.strategy == strategy]
        ids = {order.order_id for order in ours}
        filled = sum((f.signed_quantity for f in house.bench.broker.fills if f.order_id in ids), Decimal(0))
        position = state.strategies.at(("ACC", "IBM"), ("tv", strategy))
        assert position.filled == filled
        live = {each.order_id: each for each in state.working.values() if each.strategy == strategy}
        assert position.working == {name: each.side.sign * each.leaves_quantity for name, each in live.items()}
    assert all(each.outcome is not Outcome.PENDING for each in state.strategies.signals.values())
    loaded = State.load(state.dump())
    assert loaded.strategies.positions == state.strategies.positions
    assert loaded.strategies.signals == state.strategies.signals
    assert loaded.strategies._keys == state.strategies._keys
    replayed = State()
    for record in house.bench.journal.records():
        replayed.apply(record)
    assert replayed.strategies == state.strategies


def test_what_is_pending_outlives_a_snapshot() -> None:
    house = House().up()
    house.carrier.begin = lambda signal: None  # type: ignore[method-assign]
    house.answer(symbol="IBM", side="BUY", quantity=1, id="x")
    loaded = State.load(house.bench.gateway.state.dump())
    assert list(loaded.strategies.pending) == [house.signal.signal_id]
    assert loaded.strategies.known("tv", "id x", house.bench.now()) == house.signal


def test_only_so_many_signals_are_remembered_and_none_that_is_pending(monkeypatch: Any) -> None:
    monkeypatch.setattr("txgateway.strategies.KEPT", 3)
    house = House().up()
    begin, house.carrier.begin = house.carrier.begin, lambda signal: None  # type: ignore[method-assign]
    house.answer(symbol="IBM", side="BUY", quantity=1, id="first")
    house.carrier.begin = begin  # type: ignore[method-assign]
    house.carrier._running.add(house.signal.signal_id)  # and stays under way
    for number in range(10):
        house.send(symbol="IBM", side="BUY", quantity=1, id=f"n{number}")
    strategies = house.bench.gateway.state.strategies
    assert len(strategies.signals) <= 5
    assert next(iter(strategies.signals.values())).key == "id first"
    assert len(strategies._keys) == len(strategies.signals)


# ---------------------------------------------------------------- other hands


def adjust(house: House, strategy: str, quantity: int) -> None:
    event = StrategyAdjusted(
        source="tv",
        strategy=strategy,
        account="ACC",
        symbol="IBM",
        quantity=D(quantity),
        text="so it is",
        by="boss",
        time=house.bench.now(),
    )
    house.bench.gateway.ledger.record(event)
    house.bench.turn()


def both(house: House) -> tuple[Any, Any]:
    return house.held("a"), house.held("b")


def by_hand(house: House, side: Side, quantity: int) -> None:
    house.bench.submit(side=side, quantity=D(quantity))


def test_what_one_strategy_is_said_to_hold_takes_nothing_from_another() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="a")
    adjust(house, "a", 4)
    adjust(house, "b", 6)
    assert both(house) == (4, 6)
    house.send(symbol="IBM", side="CLOSE", strategy="b")
    house.send(symbol="IBM", side="CLOSE", strategy="a")
    assert house.bench.gateway.state.positions["ACC"] == {}


def test_shares_bought_by_hand_may_be_given_to_a_strategy() -> None:
    house = House().up()
    by_hand(house, Side.BUY, 10)
    house.send(symbol="IBM", side="BUY", quantity=5, strategy="a")
    adjust(house, "b", 6)
    assert both(house) == (5, 6)


def test_who_sells_shares_of_their_own_closes_nothing() -> None:
    house = House().up()
    by_hand(house, Side.BUY, 50)
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="a")
    by_hand(house, Side.SELL, 50)
    assert house.held("a") == 10
    by_hand(house, Side.SELL, 4)
    assert house.held("a") == 6, "these were not theirs"


def test_a_part_closed_by_hand_is_taken_from_one_strategy_alone() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="a")
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="b")
    by_hand(house, Side.SELL, 3)
    house.send(symbol="IBM", side="CLOSE", strategy="a")
    house.send(symbol="IBM", side="CLOSE", strategy="b")
    assert house.sent[3:] == [("SELL", 7, "IBM"), ("SELL", 10, "IBM")]
    assert house.bench.gateway.state.positions["ACC"] == {}


def test_what_is_said_after_a_sale_by_hand_is_that_sale() -> None:
    house = House().up()
    house.send(symbol="IBM", side="BUY", quantity=10, strategy="a")
    house.send(symbol="IBM", side="BUY", quantity=5, strategy="b")
    by_hand(house, Side.SELL, 6)
    adjust(house, "a", 4)
    assert both(house) == (4, 5)


@pytest.mark.parametrize(("scope", "own"), [("account:ACC", 100), ("account:ACC", 1), ("source:tv", 0)])
def test_a_flatten_leaves_strategies_with_nothing(scope: str, own: int) -> None:
    house = House().up()
    if own:
        by_hand(house, Side.BUY, own)
    house.send(symbol="IBM", side="SELL", quantity=10, strategy="a")
    house.send(symbol="IBM", side="SELL", quantity=5, strategy="b")
    house.bench.broker.holds_fills = True
    house.bench.gateway.flattens.begin(Scope.parse(scope), "enough", "boss")
    for _ in range(5):
        house.bench.turn(2)
    assert both(house) == (0, 0)
    assert not house.bench.gateway.state.strategies.positions
