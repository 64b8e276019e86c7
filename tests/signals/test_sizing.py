"""How large a signal's order is, and what an instruction comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway.intents import as_planned, intent_of, order_of
from txgateway.model.errors import Reason, Refused
from txgateway.model.exits import Level, Unit
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Amount, Instruction, Measure, Plan, Semantics, Sizing, Source, SourceKind
from txgateway.sizing import Ground, quantity_of

D = Decimal
NOW = datetime(2026, 3, 2, tzinfo=UTC)
IBM = Instrument(symbol="IBM", venue="paper")
COIN = Instrument(symbol="BTCUSD", venue="paper", lot_size=D("0.001"), min_quantity=D("0.001"))
SOURCE = Source(name="tv", kind=SourceKind.TRADINGVIEW, account="ACC", secret="s")


def ground(instrument: Instrument = IBM, equity: str | None = "100000") -> Ground:
    quote = Quote(instrument.symbol, D("99.5"), D(100), D(100), D(100), NOW)
    return Ground(instrument, quote, None if equity is None else D(equity))


def buy(**more: Any) -> Instruction:
    return Instruction(**{"act": Act.ORDER, "symbol": "IBM", "side": Side.BUY, "amount": Amount(D(10)), **more})


def units(instruction: Instruction, source: Source = SOURCE, on: Ground | None = None) -> Decimal:
    assert instruction.side is not None
    return quantity_of(instruction, source, instruction.side, on or ground())


@pytest.mark.parametrize(
    ("amount", "source", "wanted"),
    [
        (Amount(D("10.4")), {}, "10.4"),  # as sent is as sent: the venue's rules judge it
        (Amount(D("10.4")), {"rounding": True}, "10"),
        (Amount(D(50), Measure.PERCENT), {}, "500"),
        (Amount(D(1234), Measure.MONEY), {}, "12"),
        (Amount(D(10)), {"sizing": Sizing.FIXED, "size": D("7")}, "7"),
        (None, {"sizing": Sizing.FIXED, "size": D("7")}, "7"),
        (Amount(D(10)), {"sizing": Sizing.PERCENT, "size": D("2")}, "20"),
        (Amount(D(10)), {"sizing": Sizing.NOTIONAL, "size": D("2550")}, "25"),
    ],
)
def test_size(amount: Amount | None, source: dict[str, Any], wanted: str) -> None:
    assert units(buy(amount=amount), replace(SOURCE, **source)) == D(wanted)


def test_a_sale_is_sized_by_the_bid_and_a_limit_by_itself() -> None:
    money = Amount(D(995), Measure.MONEY)
    assert units(buy(side=Side.SELL, amount=money)) == 10
    assert units(buy(amount=money, limit_price=D("49.75"))) == 20


def test_risk_is_what_the_stop_would_lose() -> None:
    source = replace(SOURCE, sizing=Sizing.RISK, size=D(1))
    assert units(buy(stop_loss=Level(D(95))), source) == 200
    assert units(buy(stop_loss=Level(D(5), Unit.PERCENT)), source) == 200
    assert units(buy(stop_loss=Level(D(2), Unit.AWAY)), source) == 500


@pytest.mark.parametrize(
    ("instruction", "source", "on", "reason"),
    [
        (buy(amount=None), {}, ground(), Reason.NO_SIZE),
        (buy(), {"sizing": Sizing.RISK, "size": D(1)}, ground(), Reason.NO_SIZE),
        (
            buy(stop_loss=Level(D(100))),
            {"sizing": Sizing.RISK, "size": D(1)},
            ground(),
            Reason.NO_SIZE,
        ),
        (buy(), {"sizing": Sizing.PERCENT, "size": D(1)}, ground(equity=None), Reason.NO_SIZE),
        (buy(), {"sizing": Sizing.PERCENT}, ground(), Reason.NO_SIZE),
        (buy(), {"sizing": Sizing.NOTIONAL, "size": D(50)}, ground(), Reason.QUANTITY_TOO_LOW),
        (buy(amount=Amount(D(9), Measure.MONEY)), {}, Ground(IBM, None), Reason.NO_PRICE),
    ],
)
def test_what_comes_to_nothing_is_refused(
    instruction: Instruction, source: dict[str, Any], on: Ground, reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        units(instruction, replace(SOURCE, **source), on)
    assert refused.value.reason is reason


@given(some.decimals(1, 10**6, places=2), some.sampled_from([IBM, COIN]))
def test_a_size_that_is_computed_never_costs_more_than_was_said(money: Decimal, instrument: Instrument) -> None:
    instruction = buy(amount=Amount(money, Measure.MONEY))
    if money < 100 * instrument.lot_size:
        with pytest.raises(Refused) as refused:
            units(instruction, on=ground(instrument))
        assert refused.value.reason is Reason.QUANTITY_TOO_LOW
        return
    quantity = units(instruction, on=ground(instrument))
    assert quantity % instrument.lot_size == 0
    assert quantity * 100 <= money < (quantity + instrument.lot_size) * 100


# ---------------------------------------------------------------- intents


def intent(instruction: Instruction, now: str, **source: Any) -> tuple[Decimal, Decimal, Decimal]:
    found = intent_of(replace(SOURCE, **source), instruction, ground(), D(now))
    return found.closes, found.opens, found.after


CLOSE = Instruction(act=Act.CLOSE, symbol="IBM")


@pytest.mark.parametrize(
    ("instruction", "now", "wanted"),
    [
        (buy(), "0", (0, 10, 10)),
        (buy(), "5", (0, 10, 15)),
        (buy(), "-4", (-4, 6, 6)),
        (buy(), "-10", (-10, 0, 0)),
        (buy(), "-30", (-10, 0, -20)),
        (buy(side=Side.SELL), "30", (10, 0, 20)),
        (CLOSE, "30", (30, 0, 0)),
        (CLOSE, "-30", (-30, 0, 0)),
        (replace(CLOSE, amount=Amount(D(10))), "-30", (-10, 0, -20)),
        (replace(CLOSE, amount=Amount(D(99))), "-30", (-30, 0, 0)),  # a close never opens
        (replace(CLOSE, amount=Amount(D(50), Measure.PERCENT)), "-30", (-15, 0, -15)),
        (replace(CLOSE, amount=Amount(D(50), Measure.PERCENT)), "7", (3, 0, 4)),
        (replace(CLOSE, amount=Amount(D(100), Measure.PERCENT)), "7", (7, 0, 0)),
        (replace(CLOSE, side=Side.SELL), "7", (7, 0, 0)),
        (replace(CLOSE, side=Side.BUY), "-7", (-7, 0, 0)),
        (buy(act=Act.REOPEN), "-7", (-7, 10, 10)),
        (buy(act=Act.REOPEN), "0", (0, 10, 10)),
        (Instruction(act=Act.TARGET, symbol="IBM", target=D(-5)), "5", (5, -5, -5)),
        (Instruction(act=Act.TARGET, symbol="IBM", target=D(8)), "5", (0, 3, 8)),
        (Instruction(act=Act.TARGET, symbol="IBM", target=D(2)), "5", (3, 0, 2)),
        (Instruction(act=Act.TARGET, symbol="IBM", target=D(5)), "5", (0, 0, 5)),
    ],
)
def test_intent(instruction: Instruction, now: str, wanted: tuple[int, int, int]) -> None:
    assert intent(instruction, now) == wanted


@pytest.mark.parametrize(
    ("close", "now", "reason"),
    [
        (replace(CLOSE, side=Side.SELL), "-7", Reason.NO_POSITION),  # exit_long never ends a short
        (replace(CLOSE, side=Side.BUY), "7", Reason.NO_POSITION),
        (CLOSE, "0", Reason.NO_POSITION),
        (replace(CLOSE, amount=Amount(D(10), Measure.PERCENT)), "7", Reason.NO_SIZE),
        (replace(CLOSE, amount=Amount(D(10), Measure.MONEY)), "7", Reason.NO_SIZE),
    ],
)
def test_a_close_that_closes_nothing(close: Instruction, now: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        intent(close, now)
    assert refused.value.reason is reason


def test_a_source_that_sizes_closes_all_of_it_or_a_percentage() -> None:
    """The sender's chart may hold 500 where we hold 7: its 250 are half there, and more than all here."""
    source = {"sizing": Sizing.FIXED, "size": D(7)}
    assert intent(replace(CLOSE, amount=Amount(D(3))), "7", **source) == (7, 0, 0)
    assert intent(replace(CLOSE, amount=Amount(D(50), Measure.PERCENT)), "8", **source) == (4, 0, 4)


def test_semantics_say_what_a_plain_buy_means() -> None:
    assert intent(buy(), "-4", semantics=Semantics.TARGET) == (-4, 10, 10)
    assert intent(buy(side=Side.SELL), "4", semantics=Semantics.TARGET) == (4, -10, -10)
    with pytest.raises(Refused) as refused:
        intent(buy(), "4", semantics=Semantics.ONE_POSITION)
    assert refused.value.reason is Reason.POSITION_EXISTS


@pytest.mark.parametrize(("now", "wanted"), [("4", (4, -3, -3)), ("0", (0, -3, -3))])
def test_one_position_is_reversed_by_who_names_the_other(now: str, wanted: tuple[int, int, int]) -> None:
    reversal = buy(side=Side.SELL, amount=Amount(D(3)), target=D(-3))
    assert intent(reversal, now, semantics=Semantics.ONE_POSITION) == wanted
    sized = {"sizing": Sizing.FIXED, "size": D(7)}
    sold = tuple(-7 if each == -3 else each for each in wanted)
    assert intent(reversal, now, semantics=Semantics.ONE_POSITION, **sized) == sold


def test_one_position_is_not_entered_twice() -> None:
    with pytest.raises(Refused) as refused:
        intent(buy(side=Side.SELL, target=D(-9)), "-4", semantics=Semantics.ONE_POSITION)
    assert refused.value.reason is Reason.POSITION_EXISTS


def test_a_target_is_sized_by_the_source_unless_it_is_flat() -> None:
    source = {"sizing": Sizing.FIXED, "size": D(3)}
    assert intent(Instruction(act=Act.TARGET, symbol="IBM", target=D(-50)), "0", **source) == (0, -3, -3)
    assert intent(Instruction(act=Act.TARGET, symbol="IBM", target=D(0)), "3", **source) == (3, 0, 0)


def test_exits_need_an_order_of_their_own_where_something_is_given_up() -> None:
    assert not intent_of(SOURCE, buy(), ground(), D(-4)).apart
    assert intent_of(SOURCE, buy(stop_loss=Level(D(90))), ground(), D(-4)).apart
    assert not intent_of(SOURCE, buy(stop_loss=Level(D(90))), ground(), D(0)).apart


def test_what_was_planned_is_what_is_sent_whatever_the_market_does() -> None:
    source = replace(SOURCE, sizing=Sizing.PERCENT, size=D(2))
    planned = as_planned(source, buy(), Plan("ACC", "IBM", D(33), D(33)))
    assert intent_of(*planned, ground(equity="1"), D(0)).opens == 33


@given(
    some.decimals(-50, 50, places=0),
    some.sampled_from([*Act]),
    some.sampled_from([Side.BUY, Side.SELL]),
    some.integers(1, 60),
    some.one_of(some.none(), some.integers(-60, 60)),
    some.sampled_from([*Semantics]),
)
def test_what_is_given_up_was_held_and_all_adds_up(
    now: Decimal, act: Act, side: Side, amount: int, target: int | None, semantics: Semantics
) -> None:
    instruction = Instruction(
        act=act, symbol="IBM", side=side, amount=Amount(D(amount)), target=None if target is None else D(target)
    )
    source = replace(SOURCE, semantics=semantics)
    if act is Act.CLOSE:
        instruction = replace(instruction, side=None)
    reverses = target is not None and target * now < 0
    opens = act is Act.OPEN or (act is Act.ORDER and semantics is Semantics.ONE_POSITION and not reverses)
    reason = Reason.NO_POSITION if act is Act.CLOSE and not now else Reason.POSITION_EXISTS if opens and now else None
    if reason is not None:
        with pytest.raises(Refused) as refused:
            intent_of(source, instruction, ground(), now)
        assert refused.value.reason is reason
        return
    found = intent_of(source, instruction, ground(), now)
    assert abs(found.closes) <= abs(now)
    assert found.closes * now >= 0
    assert now - found.closes + found.opens == found.after
    if found.closes and found.opens:
        assert found.closes == now
    if act is Act.CLOSE:
        assert not found.opens


# ---------------------------------------------------------------- terms


def order(instruction: Instruction, signed: str, opens: bool = True, **source: Any) -> Any:
    return order_of(replace(SOURCE, **source), instruction, D(signed), ground(), TimeInForce.DAY, opens)


def test_the_senders_type_stands_before_the_sources() -> None:
    sent = buy(order_type=OrderType.LIMIT, limit_price=D("98.37"))
    assert order(sent, "10", order_type=OrderType.MARKET).limit_price == D("98.37")
    assert order(buy(limit_price=D(98)), "10").order_type is OrderType.MARKET
    assert order(buy(limit_price=D(98)), "10").limit_price is None


@pytest.mark.parametrize(("signed", "limit"), [("10", "100.12"), ("-10", "99.38")])
def test_a_limit_of_the_sources_is_an_offset_beyond_the_side_that_is_taken(signed: str, limit: str) -> None:
    found = order(buy(), signed, order_type=OrderType.LIMIT, limit_offset=Level(D("0.125"), Unit.AWAY))
    assert (found.order_type, found.limit_price) == (OrderType.LIMIT, D(limit))


def test_exits_go_with_what_opens_only() -> None:
    sent = buy(take_profit=Level(D(110)), hold_seconds=60)
    assert order(sent, "10").exits.hold_seconds == 60
    assert order(sent, "-10", opens=False).exits is None
    assert order(buy(), "10").exits is None


def test_the_side_is_the_orders_own_and_keeps_the_senders_word() -> None:
    assert order(buy(side=Side.SELL_SHORT), "-10").side is Side.SELL_SHORT
    assert order(buy(side=Side.SELL_SHORT), "10").side is Side.BUY
