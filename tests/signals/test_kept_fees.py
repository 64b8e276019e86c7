"""Strategies at an exchange that keeps a part of what is bought as its fee: they hold, and close, what is there."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.desk import Bench, D
from tests.signals.house import TV, House
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, StrategyAdjusted
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.order import CLOSED, OrderStatus, Side
from txgateway.model.signal import Outcome, Semantics, Signal, Source
from txgateway.state import State

PAIR, LOT, FEE = "BTC/USDT", D("0.00001"), D("0.001")


class Spot(House):
    """A house at an exchange where a purchase is paid for out of what is bought, to eight places."""

    def __init__(self, *sources: Source, bench: Bench | None = None, lot: Decimal = LOT) -> None:
        super().__init__(*sources, bench=bench)
        broker = self.bench.broker
        self.lot, plain = lot, type(broker).fill

        async def instrument(symbol: str) -> Instrument | None:
            if symbol != PAIR:
                return None
            return Instrument(
                symbol=PAIR,
                venue="paper",
                asset_class=AssetClass.CRYPTO,
                lot_size=lot,
                min_quantity=lot,
                currency="USD",
            )

        def fill(order: Any, quantity: Decimal, price: str = "100", execution_id: str = "") -> Any:
            made = plain(broker, order, quantity, price, execution_id)
            bought = order.side is Side.BUY
            kept = (made.quantity * FEE).quantize(D("1e-8"), ROUND_DOWN) if bought else D(0)
            broker.fills[-1] = made = replace(made, taken=kept, commission=D(0))
            return made

        broker.instrument = instrument  # type: ignore[method-assign]
        broker.fill = fill  # type: ignore[method-assign]

    def restart(self) -> Spot:
        return Spot(*self.sources.values(), bench=self.bench.restart(), lot=self.lot)

    def trade(self, side: str, quantity: Any = None, strategy: str = "a", **more: Any) -> Signal:
        """A signal that is carried out."""
        if quantity is not None:
            more["quantity"] = quantity
        done = self.send(symbol=PAIR, side=side, strategy=strategy, **more)
        assert done.outcome is Outcome.DONE, done.text
        return done

    def have(self, strategy: str = "a") -> Any:
        return self.held(strategy, PAIR)

    @property
    def account(self) -> Decimal:
        found = self.bench.gateway.state.positions.get("ACC", {}).get(PAIR)
        return found.quantity if found is not None else D(0)

    @property
    def positions(self) -> Any:
        return self.bench.gateway.state.strategies.positions

    def sizes(self) -> list[tuple[str, str]]:
        return [(each.side.value, f"{each.quantity.normalize():f}") for each in self.bench.broker.sent]

    def by_hand(self, side: Side, quantity: str) -> None:
        self.bench.submit(symbol=PAIR, side=side, quantity=D(quantity))


def spot(**more: Any) -> Spot:
    house = Spot(replace(TV, max_age=None, **more))
    house.bench.more["shown"] = house.bench.shown
    house.up()
    return house


def same_everywhere(house: Spot) -> None:
    """Replay, and a snapshot, give what is true live."""
    state, replayed = house.bench.gateway.state, State()
    for record in house.bench.journal.records():
        replayed.apply(record)
    assert replayed.strategies == state.strategies
    assert State.load(state.dump()).strategies.positions == state.strategies.positions


def test_it_holds_what_is_there_and_closes_it() -> None:
    house = spot()
    house.trade("BUY", "0.5")
    assert house.have() == D("0.4995") == house.account
    house.trade("CLOSE")
    assert house.sizes() == [("BUY", "0.5"), ("SELL", "0.4995")]
    assert not house.positions
    assert not house.account
    same_everywhere(house)


def test_what_is_left_below_a_lot_is_nobodys_and_the_next_round_begins_anew() -> None:
    house = spot()
    for dust in ("0.00000655", "0.0000131"):
        house.trade("BUY", "0.12345", reference=dust)
        assert house.positions[("ACC", PAIR)]["tv", "a"].reference == dust
        assert house.have() == D("0.12332655")
        house.trade("CLOSE")
        assert house.sizes()[-1] == ("SELL", "0.12332")
        assert not house.positions
        assert house.account == D(dust)
        same_everywhere(house)


def test_several_buys_and_parts_that_are_sold() -> None:
    house = spot()
    for quantity in ("0.00777", "0.12345", "0.3"):
        house.trade("BUY", quantity)
    assert house.have() == house.account
    house.trade("CLOSE", "33.3%")
    assert not house.bench.broker.sent[-1].quantity % LOT
    assert house.have() == house.account
    house.trade("CLOSE")
    assert not house.positions
    assert 0 < house.account < LOT
    same_everywhere(house)


def test_several_strategies_of_one_pair_hold_their_own() -> None:
    house = spot()
    house.trade("BUY", "0.12345", "a")
    house.trade("BUY", "0.5", "b")
    assert (house.have("a"), house.have("b")) == (D("0.12332655"), D("0.4995"))
    house.trade("CLOSE", strategy="a")
    assert (house.have("a"), house.have("b")) == (0, D("0.4995"))
    house.by_hand(Side.SELL, "0.1")
    assert house.have("b") == D("0.3995") + D("0.00000655"), "what nobody had is sold first"
    house.trade("CLOSE", strategy="b")
    assert house.sizes()[-1] == ("SELL", "0.3995")
    assert not house.positions
    same_everywhere(house)


def test_what_a_person_sells_by_hand_is_gone_and_the_dust_with_it() -> None:
    house = spot()
    house.trade("BUY", "0.12345")
    house.by_hand(Side.SELL, "0.02")
    assert house.have() == D("0.10332655")
    house.by_hand(Side.SELL, "0.10332")
    assert not house.positions
    house.trade("BUY", "0.5")
    house.trade("CLOSE")
    assert house.sizes()[-1] == ("SELL", "0.4995")
    same_everywhere(house)


def test_partial_fills_of_what_buys_and_of_what_closes() -> None:
    house = spot()
    broker = house.bench.broker
    broker.mode = "accept"
    house.trade("BUY", "0.12345")
    for part in ("0.00001", "0.1", "0.02344"):
        house.bench.gateway.report(Executed(broker.fill(broker.sent[-1], D(part)), broker.now()), "paper")
        house.bench.turn()
        assert house.have() == house.account
    held = house.have()
    house.trade("CLOSE")
    assert broker.sent[-1].quantity == held - held % LOT
    for part in (D("0.1"), broker.sent[-1].quantity - D("0.1")):
        assert house.positions, "a close that works is still its strategy's"
        house.bench.gateway.report(Executed(broker.fill(broker.sent[-1], part), broker.now()), "paper")
        house.bench.turn()
    assert not house.positions
    same_everywhere(house)


def test_a_sale_of_all_that_was_bought_is_one_of_all_that_is_held() -> None:
    house = spot()
    house.trade("BUY", "0.12345")
    house.trade("SELL", "0.02345")
    assert house.sizes()[-1] == ("SELL", "0.02345")
    house.trade("SELL", "0.1")
    assert house.sizes()[-1] == ("SELL", "0.09987")
    assert not house.positions
    house.trade("BUY", "0.5")
    house.trade("SELL", "0.6")
    assert house.sizes()[-1] == ("SELL", "0.6"), "who asks for more than was bought gets it"
    assert house.have() == D("-0.1005")


def test_a_target_that_is_reached_but_for_the_fee_is_reached() -> None:
    house = spot()
    for target, size in (("0.5", ("BUY", "0.5")), ("0.5", None), ("0.8", ("BUY", "0.3")), ("0.2", ("SELL", "0.5992"))):
        before = len(house.sizes())
        assert house.send(symbol=PAIR, strategy="a", target=target).outcome is Outcome.DONE
        assert house.sizes()[before:] == ([size] if size else [])
    assert house.send(symbol=PAIR, strategy="a", target="0").outcome is Outcome.DONE
    assert house.sizes()[-1] == ("SELL", "0.2")
    assert not house.positions


def test_from_one_side_to_the_other_and_back() -> None:
    house = spot()
    house.by_hand(Side.BUY, "5")
    for target, sizes in (("0.12345", [("BUY", "0.12345")]), ("-0.3", [("SELL", "0.42332")])):
        before = len(house.sizes())
        assert house.send(symbol=PAIR, strategy="a", target=target).outcome is Outcome.DONE
        assert house.sizes()[before:] == sizes
    house.trade("CLOSE")
    assert not house.positions, "the fee of what covers a short position is the account's"
    same_everywhere(house)


def test_one_position_at_a_time_is_closed_and_opened_anew() -> None:
    house = spot(semantics=Semantics.ONE_POSITION)
    for _ in range(2):
        house.trade("BUY", "0.12345")
        assert house.send(symbol=PAIR, strategy="a", side="BUY", quantity="0.1").reason is Reason.POSITION_EXISTS
        house.trade("CLOSE")
    assert house.send(symbol=PAIR, strategy="a", side="CLOSE").reason is Reason.NO_POSITION


def test_lots_of_one_and_what_is_closed_by_its_exits() -> None:
    house = Spot(replace(TV, max_age=None), lot=D(1)).up()
    broker = house.bench.broker
    broker.mode = "accept"
    house.trade("BUY", "150", stop_loss="90", take_profit="120")
    house.bench.gateway.report(Executed(broker.fill(broker.sent[-1], D(150)), broker.now()), "paper")
    house.bench.turn(2)
    exits = [each for each in broker.sent if each.leg is not None]
    assert house.have() == D("149.85")
    assert {each.quantity for each in exits} == {D(149)}
    broker.mode = "fill"
    house.trade("CLOSE")
    house.bench.turn(2)
    assert house.sizes()[-1] == ("SELL", "149")
    assert not house.positions
    assert house.account == D("0.85")
    same_everywhere(house)


def test_what_has_exits_is_closed_by_their_keeper_and_reversed_at_once() -> None:
    house = spot()
    house.by_hand(Side.BUY, "5")
    broker = house.bench.broker
    broker.mode = "accept"
    house.trade("BUY", "0.12345", stop_loss="90")
    house.bench.gateway.report(Executed(broker.fill(broker.sent[-1], D("0.12345")), broker.now()), "paper")
    house.bench.turn(2)
    assert house.sizes()[-1] == ("SELL", "0.12332")
    broker.mode = "fill"
    assert house.send(symbol=PAIR, strategy="a", target="-0.1").outcome is Outcome.DONE
    assert house.sizes()[-2:] == [("SELL", "0.12332"), ("SELL", "0.1")]
    assert house.have() == D("-0.1") + D("0.00000655")
    assert house.send(symbol=PAIR, strategy="a", target="-0.1").outcome is Outcome.DONE
    assert house.sizes()[-1] == ("SELL", "0.1"), "it is there but for less than a lot"
    house.trade("CLOSE")
    assert house.sizes()[-1] == ("BUY", "0.09999")
    assert not house.positions
    same_everywhere(house)


def test_dust_that_a_crash_left_is_let_go_when_the_venue_is_up() -> None:
    house = spot()
    house.trade("BUY", "0.12345")
    house.carrier._let_go = lambda fill: house.bench.gateway.settled()  # type: ignore[method-assign]
    house.trade("CLOSE")
    assert house.have() == D("0.00000655")
    house = house.restart().up()
    assert not house.positions
    same_everywhere(house)


def test_whose_part_a_person_sold_stays_open_while_several_hold() -> None:
    house = spot()
    house.trade("BUY", "0.12345", "a")
    house.trade("BUY", "0.5", "b")
    house.by_hand(Side.SELL, "0.12332")
    assert len(house.positions[("ACC", PAIR)]) == 2
    house.trade("CLOSE", strategy="b")
    assert house.have("b") == 0
    assert house.have("a") == D("0.12332655") or not house.have("a")
    assert house.account >= house.have("a")
    same_everywhere(house)


def test_a_fee_is_never_of_more_than_is_held() -> None:
    """One kept of what covers a short position is the account's, and is taken from no other strategy."""
    house = spot()
    house.by_hand(Side.BUY, "1")
    house.trade("BUY", "0.5", "long")
    house.trade("SELL", "0.1", "short")
    broker = house.bench.broker
    broker.mode = "accept"
    house.trade("BUY", "0.3", "short")
    for part in ("0.05", "0.1", "0.15"):
        house.bench.gateway.report(Executed(broker.fill(broker.sent[-1], D(part)), broker.now()), "paper")
        house.bench.turn()
    assert house.have("short") == D("0.2") - D("0.00025"), "0.0001 and 0.00015; what covered cost the account 0.00005"
    assert house.have("long") == D("0.4995")
    assert house.account == D("0.999") - D("0.00005") + house.have("short") + house.have("long")
    same_everywhere(house)


@pytest.mark.parametrize("parts", [["0.5"], ["0.2", "0.3"], ["0.4997", "0.0003"]])
def test_a_sale_that_was_larger_by_the_fee_was_one_of_all(parts: list[str]) -> None:
    """As journals have it that were written before a close was for what is held."""
    house = spot()
    house.by_hand(Side.BUY, "1")
    house.trade("BUY", "0.5")
    house.trade("BUY", "0.1", "other")
    state, broker, account = house.bench.gateway.state, house.bench.broker, house.account
    order = replace(broker.sent[1], order_id="old", side=Side.SELL, quantity=D("0.5"), status=OrderStatus.NEW)
    for part in parts:
        done = order.filled_quantity + D(part)
        status = OrderStatus.FILLED if done == D("0.5") else OrderStatus.PARTIALLY_FILLED
        before, order = order, replace(order, filled_quantity=done, status=status)
        account -= D(part)
        fill = Executed(broker.fill(order, D(part)), broker.now())
        state.strategies.take(fill, before, order, account)
    assert list(state.strategies.positions[("ACC", PAIR)]) == [("tv", "other")]
    other = state.strategies.positions[("ACC", PAIR)]["tv", "other"]
    assert state.strategies.held(other, account) == D("0.0999")


STEP = some.one_of(
    some.tuples(some.just("BUY"), some.sampled_from("ab"), some.integers(1, 99999)),
    some.tuples(some.just("CLOSE"), some.sampled_from("ab"), some.just(0)),
    some.tuples(some.just("part"), some.sampled_from("ab"), some.integers(1, 99)),
    some.tuples(some.just("fill"), some.integers(0, 20), some.integers(1, 99999)),
)


@settings(deadline=None, max_examples=80)
@given(some.lists(STEP, max_size=20))
def test_what_all_hold_is_what_there_is_and_a_close_never_opens(steps: list[tuple[str, Any, int]]) -> None:
    house = spot()
    broker, state = house.bench.broker, house.bench.gateway.state
    broker.mode = "accept"
    let_go = D(0)
    for kind, which, number in steps:
        if kind == "fill":
            live = [each for each in broker.sent if (now := state.order(each.order_id)) and now.status not in CLOSED]
            if live:
                order = live[which % len(live)]
                now = state.order(order.order_id)
                assert now is not None
                part = min(number * LOT, now.leaves_quantity)
                house.bench.gateway.report(Executed(broker.fill(order, part), broker.now()), "paper")
                house.bench.turn()
        elif kind == "BUY":
            house.trade("BUY", str(number * LOT), which)
        else:
            before, sent = house.have(which), len(broker.sent)
            amount = {"quantity": f"{number}%"} if kind == "part" else {}
            house.send(symbol=PAIR, side="CLOSE", strategy=which, **amount)
            for each in broker.sent[sent:]:
                assert each.side is Side.SELL
                assert each.quantity <= before
                assert not each.quantity % LOT
        for each in state.strategies.positions.get(("ACC", PAIR), {}).values():
            assert each.filled >= 0
        held = state.strategies.filled(("ACC", PAIR))
        assert house.account >= held
        events = [each.event for each in house.bench.journal.records()]
        let_go = sum((each.quantity == 0) for each in events if isinstance(each, StrategyAdjusted)) * LOT
        assert house.account - held <= let_go
    same_everywhere(house)
    assert Reason.BAD_LOT not in {order.reason for order in broker.sent}


@pytest.mark.parametrize(
    ("quantity", "lot", "kind", "tradable"),
    [
        ("0.49950049", "0.00001", AssetClass.CRYPTO, "0.49950"),
        ("-0.49950049", "0.00001", AssetClass.CRYPTO, "-0.49950"),
        ("0.00000999", "0.00001", AssetClass.CRYPTO, "0"),
        ("99.9", "1", AssetClass.CRYPTO, "99"),
        ("99.9", "0", AssetClass.CRYPTO, "99.9"),
        ("50", "100", AssetClass.STOCK, "50"),
    ],
)
def test_what_can_be_traded(quantity: str, lot: str, kind: AssetClass, tradable: str) -> None:
    instrument = Instrument(symbol=PAIR, venue="paper", lot_size=D(lot), asset_class=kind)
    assert instrument.tradable(D(quantity)) == D(tradable)
