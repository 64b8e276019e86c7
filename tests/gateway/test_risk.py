"""The limits, each on a desk of its own: what passes, what is refused, what is told, what outlives a restart."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.desk import START, Bench, request
from txgateway.model.account import Position
from txgateway.model.book import Book
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import ChangeDenied, LimitChanged, OrderSubmitted, RiskWarned
from txgateway.model.instrument import Instrument, Session
from txgateway.model.limits import Limit, read_levels
from txgateway.model.market import Trade
from txgateway.model.order import Order, OrderStatus, OrderType, Origin, Side
from txgateway.model.scope import GATEWAY, Scope, Subject
from txgateway.risk.judge import CHANGE
from txgateway.state import State

S = OrderStatus
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT


def desk(limits: str = "", mode: str = "fill") -> Bench:
    """A desk with these limits configured, connected."""
    bench = Bench(limits=read_levels(limits)).up()
    bench.broker.mode = mode
    return bench


def why(bench: Bench, **terms: Any) -> Reason | None:
    """Why an order is refused; None when it goes through."""
    before = len(bench.broker.sent)
    order: Order = bench.submit(**terms).order
    assert (order.status is S.DENIED) == (len(bench.broker.sent) == before)
    if order.status is S.DENIED:
        assert order.text.endswith(".")
    return order.reason


def events(bench: Bench, kind: type) -> list[Any]:
    bench.turn()
    return [change.record.event for change in bench.told if isinstance(change.record.event, kind)]


def limited(bench: Bench, scope: str, limit: Limit, value: str | None, warn: str | None = None) -> None:
    bench.gateway.set_limit(Scope.parse(scope), limit, value, warn, "boss")
    bench.turn()


# ---------------------------------------------------------------- one after the other


def test_without_any_limit_of_ones_own_an_honest_order_passes_and_a_slip_of_the_finger_does_not() -> None:
    bench = desk()
    assert why(bench) is None
    assert why(bench, quantity=D(10_000_000)) is Reason.MAX_NOTIONAL
    assert why(bench, order_type=LIMIT, limit_price=D(1000)) is Reason.PRICE_COLLAR


def test_a_restricted_symbol_is_not_traded_and_not_even_looked_up() -> None:
    bench = desk("restricted=NOSUCH+AAPL,account:OTHER/restricted=IBM")
    assert why(bench) is None
    assert why(bench, account="OTHER") is Reason.RESTRICTED
    assert why(bench, symbol="AAPL") is Reason.RESTRICTED
    assert why(bench, symbol="NOSUCH") is Reason.RESTRICTED


def test_outside_its_hours_an_instrument_is_not_traded_where_that_is_asked_for() -> None:
    bench = desk("session_only=1")
    hours = Session(time(9, 30), time(16), "America/New_York")

    async def instrument(symbol: str) -> Instrument:
        return Instrument(symbol=symbol, venue="paper", session=hours)

    bench.broker.instrument = instrument  # type: ignore[method-assign, assignment]
    assert bench.now().isoformat() == "2026-03-02T15:00:00+00:00"  # a Monday, ten o'clock in New York
    assert why(bench) is None
    bench.turn(6 * 3600)
    assert why(bench) is Reason.MARKET_CLOSED
    bench.turn(4 * 86_400 + 18 * 3600)
    assert bench.now().strftime("%A %H:%M") == "Saturday 15:00"
    assert why(bench) is Reason.MARKET_CLOSED
    hours = Session(time(9, 30), time(16), "America/New_York", always=True)
    assert why(bench) is None
    hours = Session(time(18), time(17), "America/New_York")
    assert why(bench) is None


def test_what_cannot_be_sold_short_is_not_though_there_is_something_to_sell() -> None:
    bench = desk()
    shortable = False

    async def instrument(symbol: str) -> Instrument:
        return Instrument(symbol=symbol, venue="paper", shortable=shortable)

    bench.broker.instrument = instrument  # type: ignore[method-assign, assignment]
    assert why(bench) is None
    order = bench.submit(side=Side.SELL_SHORT).order
    text = "IBM cannot be sold short at venue paper: SELL sells what is held."
    assert (order.reason, order.text) == (Reason.NOT_SHORTABLE, text)
    assert why(bench, side=Side.SELL) is None
    shortable = True
    bench.turn(3600)
    assert why(bench, side=Side.SELL_SHORT) is None


def test_the_very_same_order_is_not_sent_twice_within_the_window_unless_it_has_a_key() -> None:
    bench = desk("duplicate_window=2:10")
    assert why(bench) is None
    assert why(bench) is Reason.DUPLICATE
    assert why(bench, quantity=D("100.0")) is Reason.DUPLICATE
    assert why(bench, quantity=D(99)) is None
    assert why(bench, side=Side.SELL) is None
    assert why(bench, account="OTHER") is None
    assert why(bench, client_order_id="a") is None
    assert why(bench, client_order_id="b") is None
    assert why(bench, order_type=LIMIT, limit_price=D(99)) is None
    assert why(bench, order_type=LIMIT, limit_price=D(98)) is None
    bench.turn(2)
    assert why(bench) is None
    assert [each.reason for each in events(bench, RiskWarned)] == [Reason.DUPLICATE]


def test_the_window_holds_over_a_restart_and_from_the_moment_it_is_set() -> None:
    bench = desk("duplicate_window=60")
    assert why(bench) is None
    bench.turn(10)
    again = bench.restart()
    again.clock.advance(10)
    again.up()
    assert why(again) is Reason.DUPLICATE
    other = desk()
    assert why(other) is None
    limited(other, "owner:me", Limit.DUPLICATE_WINDOW, "60")
    assert why(other) is Reason.DUPLICATE


def test_so_many_orders_a_second_and_no_more() -> None:
    bench = desk("owner:*/order_rate=3,account:ACC/order_rate=5:4")
    assert [why(bench) for _ in range(4)] == [None, None, None, Reason.ORDER_RATE]
    other = bench.do(bench.gateway.submit(request(), "you", Origin.RPC)).order
    assert other.status is S.FILLED
    bench.turn(0.5)
    assert why(bench) is Reason.ORDER_RATE
    again = bench.do(bench.gateway.submit(request(), "you", Origin.RPC)).order
    assert again.status is S.FILLED
    third = bench.do(bench.gateway.submit(request(), "they", Origin.RPC)).order
    assert (third.status, third.reason) == (S.DENIED, Reason.ORDER_RATE)
    assert [each.scope for each in events(bench, RiskWarned)] == ["account:ACC"]
    bench.turn(0.5)
    assert why(bench) is None


def test_the_tightest_limit_of_all_that_cover_an_order_applies_and_is_named() -> None:
    bench = desk("max_quantity=500,account:ACC/max_quantity=300,owner:me/max_quantity=200,symbol:IBM/max_quantity=100")
    order = bench.submit(quantity=D(101)).order
    assert order.reason is Reason.MAX_QUANTITY
    assert "max_quantity of symbol:IBM" in order.text
    assert why(bench, quantity=D(100)) is None
    assert why(bench, quantity=D(200), symbol="AAPL") is None
    assert why(bench, quantity=D(201), symbol="AAPL") is Reason.MAX_QUANTITY


def test_an_order_that_is_worth_less_than_the_venue_takes() -> None:
    bench = desk()

    async def instrument(symbol: str) -> Instrument:
        return Instrument(symbol=symbol, venue="paper", min_notional=D(1000))

    bench.broker.instrument = instrument  # type: ignore[method-assign, assignment]
    assert why(bench, quantity=D(9)) is Reason.MIN_NOTIONAL
    assert why(bench, quantity=D(10)) is None
    bench.touch = None
    assert why(bench, quantity=D(10)) is Reason.NO_PRICE


def test_without_a_price_or_with_an_old_one_nothing_that_needs_it_passes() -> None:
    bench = desk()
    bench.touch = None
    for terms in ({}, {"order_type": LIMIT, "limit_price": D(90)}, {"order_type": STOP, "stop_price": D(110)}):
        assert why(bench, **terms) is Reason.NO_PRICE
    bench.touch = (D(0), D(0))
    assert why(bench) is Reason.NO_PRICE
    bench.touch = (D("99.99"), D("100.01"))
    bench.quoted = bench.now() - timedelta(seconds=900)
    assert why(bench) is None
    bench.quoted -= timedelta(seconds=1)
    assert why(bench) is Reason.STALE_PRICE
    assert why(bench, order_type=LIMIT, limit_price=D(90)) is Reason.STALE_PRICE
    limited(bench, "gateway", Limit.REFERENCE_AGE, "off")
    assert why(bench) is None


def test_without_any_limit_on_prices_only_a_market_order_needs_one() -> None:
    bench = desk("price_collar=off,max_notional=off")
    bench.touch = None
    assert why(bench) is Reason.NO_PRICE
    assert why(bench, order_type=LIMIT, limit_price=D(90)) is None


def test_an_old_price_is_as_good_as_it_gets_while_the_market_is_closed() -> None:
    bench = desk()

    async def instrument(symbol: str) -> Instrument:
        return Instrument(
            symbol=symbol, venue="paper", session=Session(time(9, 30), time(16), "America/New_York", calendar="XNYS")
        )

    bench.broker.instrument = instrument  # type: ignore[method-assign, assignment]
    bench.turn(8 * 3600)
    bench.quoted = bench.now() - timedelta(hours=2)
    assert why(bench, order_type=LIMIT, limit_price=D(90)) is None
    bench.turn(16 * 3600)
    assert why(bench, order_type=LIMIT, limit_price=D(90)) is Reason.STALE_PRICE


@pytest.mark.parametrize(
    ("terms", "passes"),
    [
        ({"order_type": LIMIT, "limit_price": D(110)}, True),
        ({"order_type": LIMIT, "limit_price": D("110.02")}, False),
        ({"order_type": LIMIT, "limit_price": D(1)}, True),
        ({"order_type": LIMIT, "side": Side.SELL, "limit_price": D(90)}, True),
        ({"order_type": LIMIT, "side": Side.SELL, "limit_price": D("89.98")}, False),
        ({"order_type": LIMIT, "side": Side.SELL, "limit_price": D(900)}, True),
        ({"order_type": STOP, "stop_price": D(900)}, True),
        ({"order_type": STOP, "side": Side.SELL, "stop_price": D(1)}, True),
        ({"order_type": STOP_LIMIT, "stop_price": D(900), "limit_price": D(989)}, True),
        ({"order_type": STOP_LIMIT, "stop_price": D(900), "limit_price": D(991)}, False),
        ({"order_type": STOP_LIMIT, "side": Side.SELL, "stop_price": D(50), "limit_price": D(46)}, True),
        ({"order_type": STOP_LIMIT, "side": Side.SELL, "stop_price": D(50), "limit_price": D(44)}, False),
    ],
)
def test_the_collar_judges_the_bad_side_alone(terms: dict[str, Any], passes: bool) -> None:
    bench = desk()
    assert why(bench, **terms) is (None if passes else Reason.PRICE_COLLAR)


def test_the_collar_judges_market_orders_by_what_they_would_meet() -> None:
    bench = desk()
    bench.touch = (D(100), D(130))
    assert why(bench) is Reason.PRICE_COLLAR
    assert why(bench, side=Side.SELL) is Reason.PRICE_COLLAR
    assert why(bench, order_type=STOP, stop_price=D(90)) is Reason.PRICE_COLLAR
    bench.touch = (D(100), D(110))
    assert why(bench) is None


@pytest.mark.parametrize("order_type", [OrderType.MARKET, STOP])
@pytest.mark.parametrize(
    ("side", "touch"),
    [(Side.BUY, (D(0), D(199999))), (Side.SELL, (D("0.01"), D(0)))],
)
def test_of_a_market_that_shows_one_side_an_old_trade_tells_what_is_fair(
    order_type: OrderType, side: Side, touch: tuple[D, D]
) -> None:
    """Before the market opens a stub may be all that it shows: nobody means to trade at that."""
    lasts: list[Trade | None] = [Trade("IBM", D(100), D(1), START - timedelta(hours=1)), None]
    bench = Bench(shown=lambda venue, symbol: (None, lasts[0])).up()
    bench.touch = touch
    terms = {"order_type": order_type, "side": side, "quantity": D(1)}
    if order_type is STOP:
        terms["stop_price"] = touch[1] if side is Side.BUY else touch[0]
    assert why(bench, **terms) is Reason.PRICE_COLLAR
    del lasts[0]
    assert why(bench, **terms) is Reason.NO_PRICE
    bench.gateway.set_limit(GATEWAY, Limit.PRICE_COLLAR, "off", None, "me")
    assert why(bench, **terms) is None


@pytest.mark.parametrize(
    ("terms", "advice"),
    [
        ({"order_type": LIMIT, "limit_price": D(900)}, "choose a price closer to the market"),
        ({"order_type": LIMIT, "side": Side.SELL, "limit_price": D(9)}, "choose a price closer to the market"),
        (
            {"order_type": STOP_LIMIT, "side": Side.SELL, "stop_price": D(50), "limit_price": D(9)},
            "choose a limit price closer to the stop price",
        ),
        ({"side": Side.SELL}, "wait, or send a limit order"),
    ],
)
def test_the_collars_advice_is_right_for_either_side(terms: dict[str, Any], advice: str) -> None:
    bench = desk()
    if "order_type" not in terms:
        bench.touch = (D(100), D(130))
    text = bench.submit(**terms).order.text
    assert text.endswith(f"(price_collar of gateway): {advice}, {CHANGE}."), text


def test_money_is_counted_at_its_worst_also_for_a_sell_whose_limit_is_low() -> None:
    bench = desk("max_notional=10000,price_collar=off")
    assert why(bench, quantity=D(99)) is None
    assert why(bench, quantity=D(100)) is Reason.MAX_NOTIONAL
    assert why(bench, quantity=D(100), order_type=LIMIT, limit_price=D(100)) is None
    assert why(bench, quantity=D(100), side=Side.SELL, order_type=LIMIT, limit_price=D(1)) is None
    assert why(bench, quantity=D(101), side=Side.SELL, order_type=LIMIT, limit_price=D(1)) is Reason.MAX_NOTIONAL
    assert why(bench, quantity=D(100), order_type=STOP, stop_price=D(101)) is Reason.MAX_NOTIONAL


def test_a_position_counts_what_works_and_an_order_that_reduces_always_passes() -> None:
    bench = desk("max_position=250", mode="accept")
    assert why(bench, order_type=LIMIT, limit_price=D(99)) is None
    assert why(bench, order_type=LIMIT, limit_price=D(98)) is None
    assert why(bench, order_type=LIMIT, limit_price=D(97)) is Reason.MAX_POSITION
    assert why(bench, side=Side.SELL, quantity=D(250)) is None
    assert why(bench, side=Side.SELL, quantity=D(1)) is Reason.MAX_POSITION
    assert why(bench, account="OTHER", quantity=D(250)) is None
    bench = desk()
    bench.submit(quantity=D(500))
    limited(bench, "gateway", Limit.MAX_POSITION, "10")
    assert why(bench, quantity=D(1)) is Reason.MAX_POSITION
    assert why(bench, side=Side.SELL, quantity=D(520)) is Reason.MAX_POSITION
    assert why(bench, side=Side.SELL, quantity=D(400)) is None
    assert why(bench, side=Side.SELL, quantity=D(100)) is None


def test_gross_exposure_counts_every_position_of_a_scope_long_and_short_and_what_works() -> None:
    bench = desk("account:ACC/max_gross_exposure=30000,owner:you/max_gross_exposure=5000")
    assert why(bench) is None
    assert why(bench, symbol="AAPL", side=Side.SELL_SHORT) is None
    bench.broker.mode = "accept"
    assert why(bench, order_type=LIMIT, limit_price=D(99)) is None
    assert why(bench, order_type=LIMIT, limit_price=D(98), quantity=D(1)) is Reason.MAX_GROSS_EXPOSURE
    assert why(bench, symbol="AAPL", side=Side.SELL, quantity=D(1)) is Reason.MAX_GROSS_EXPOSURE
    assert why(bench, side=Side.SELL, quantity=D(100)) is None
    assert why(bench, account="OTHER", quantity=D(1000)) is None
    yours = bench.do(bench.gateway.submit(request(account="OTHER", quantity=D(51)), "you", Origin.RPC)).order
    assert yours.reason is Reason.MAX_GROSS_EXPOSURE
    bench.touch = (D(49), D(51))
    bench.turn(1)
    assert why(bench, order_type=LIMIT, limit_price=D(45)) is None


def test_what_was_lost_today_stops_all_but_what_reduces() -> None:
    bench = desk("account:ACC/max_daily_loss=1000:500")
    assert why(bench, quantity=D(100)) is None
    bench.touch = (D(94), D("94.02"))
    assert why(bench, quantity=D(1)) is None
    assert [each.reason for each in events(bench, RiskWarned)] == [Reason.MAX_DAILY_LOSS]
    bench.touch = (D(89), D("89.02"))
    assert why(bench, quantity=D(1)) is Reason.MAX_DAILY_LOSS
    assert why(bench, symbol="AAPL", quantity=D(1)) is Reason.MAX_DAILY_LOSS
    assert why(bench, side=Side.SELL, quantity=D(102)) is Reason.MAX_DAILY_LOSS
    assert why(bench, account="OTHER") is None
    assert why(bench, side=Side.SELL, quantity=D(101)) is None


def test_a_loss_is_of_one_day_and_what_was_held_overnight_counts_from_the_close() -> None:
    bench = desk("max_daily_loss=1000")
    bench.submit(quantity=D(100))
    bench.touch = (D(49), D(51))
    assert why(bench, quantity=D(1)) is Reason.MAX_DAILY_LOSS
    bench.turn(86_400)
    bench.turn(1)
    assert why(bench, quantity=D(1)) is Reason.MAX_DAILY_LOSS, "the close was 100: it has lost the 50 of today"
    bench.touch = (D(99), D(101))
    assert why(bench, quantity=D(1)) is None


def test_above_the_threshold_an_order_becomes_a_ticket_and_goes_once_it_is_approved() -> None:
    bench = desk("approval_notional=10000")
    assert why(bench, quantity=D(99)) is None
    ticket = bench.submit(quantity=D(101), client_order_id="big").order
    assert (ticket.status, ticket.tag, ticket.reason) == (S.STAGED, "approval", Reason.APPROVAL_NEEDED)
    assert "above the approval_notional 10000 of gateway" in ticket.text
    assert "approve_ticket sends it" in ticket.text
    replayed = State()
    for record in bench.journal.records():
        replayed.apply(record)
    assert replayed.order(ticket.order_id) == ticket
    again = bench.submit(quantity=D(101), client_order_id="big")
    assert (again.replayed, again.order.order_id) == (True, ticket.order_id)
    assert len(bench.broker.sent) == 1
    filled = bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert (filled.status, filled.reason, filled.text) == (S.FILLED, None, "")


def test_no_replace_gets_past_the_threshold() -> None:
    bench = desk("approval_notional=10000", mode="accept")
    order = bench.submit(order_type=LIMIT, limit_price=D(100), quantity=D(90)).order
    for quantity, limit in ((D(101), None), (D(96), D(105)), (D(100), D("100.01"))):
        with pytest.raises(Refused, match="send a new one") as caught:
            bench.do(bench.gateway.replace(order.order_id, quantity, limit, None, "me"))
        assert caught.value.reason is Reason.APPROVAL_NEEDED
    assert bench.do(bench.gateway.replace(order.order_id, D(100), None, None, "me")).quantity == 100


def test_at_approval_every_check_is_made_again() -> None:
    bench = desk()
    ticket = bench.submit(tag="t").order
    limited(bench, "gateway", Limit.MAX_QUANTITY, "50")
    with pytest.raises(Refused, match="max_quantity of gateway") as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert caught.value.reason is Reason.MAX_QUANTITY
    denied = events(bench, ChangeDenied)
    assert [(each.change, each.reason, each.by) for each in denied] == [("release", Reason.MAX_QUANTITY, "boss")]
    assert bench.gateway.state.order(ticket.order_id) == ticket
    limited(bench, "gateway", Limit.MAX_QUANTITY, None)
    assert bench.do(bench.gateway.approve(ticket.order_id, "boss")).status is S.FILLED


def test_a_replace_is_judged_by_what_it_adds_and_one_that_adds_nothing_always_passes() -> None:
    bench = desk("max_position=150", mode="accept")
    order = bench.submit(order_type=LIMIT, limit_price=D(90)).order

    def replaced(quantity: int | None, limit: str | None) -> Order:
        asked = (None if quantity is None else D(quantity), None if limit is None else D(limit), None)
        done: Order = bench.do(bench.gateway.replace(order.order_id, *asked, "me"))
        return done

    assert replaced(150, None).quantity == 150
    with pytest.raises(Refused, match="would become 151 IBM"):
        replaced(151, None)
    with pytest.raises(Refused, match="above the market"):
        replaced(None, "120")
    limited(bench, "gateway", Limit.MAX_POSITION, "1")
    limited(bench, "gateway", Limit.RESTRICTED, "IBM")
    limited(bench, "gateway", Limit.MAX_QUANTITY, "1")
    bench.touch = None
    assert replaced(140, "89").quantity == 140
    with pytest.raises(Refused):
        replaced(141, None)
    assert [each.change for each in events(bench, ChangeDenied)] == ["replace"] * 3
    assert bench.do(bench.gateway.cancel(order.order_id, "me")).status is S.CANCELED


def test_while_a_replace_is_under_way_the_larger_of_both_is_reserved() -> None:
    bench = desk("max_position=150", mode="accept")
    order = bench.submit(order_type=LIMIT, limit_price=D(90)).order
    held = []
    bench.gateway.listeners.append(lambda change: held.append(bench.gateway.state.books.holding("ACC", "IBM").buys))
    bench.do(bench.gateway.replace(order.order_id, D(120), None, None, "me"))
    bench.do(bench.gateway.replace(order.order_id, D(50), None, None, "me"))
    assert held == [120, 120, 120, 50]


# ---------------------------------------------------------------- warnings


def test_above_a_warn_level_an_order_goes_through_and_that_is_written_down() -> None:
    bench = desk("max_quantity=200:50,max_notional=100000:5000")
    order = bench.submit(quantity=D(60)).order
    assert order.status is S.FILLED
    warned = events(bench, RiskWarned)
    assert [(each.order_id, each.reason, each.limit, each.scope) for each in warned] == [
        (order.order_id, Reason.MAX_QUANTITY, "max_quantity", "gateway"),
        (order.order_id, Reason.MAX_NOTIONAL, "max_notional", "gateway"),
    ]
    kinds = [type(change.record.event) for change in bench.told]
    assert kinds.index(OrderSubmitted) < kinds.index(RiskWarned)
    assert bench.submit(quantity=D(49)).order.status is S.FILLED
    assert len(events(bench, RiskWarned)) == 2
    found = bench.do(bench.gateway.history.find(order.order_id))
    assert found == bench.gateway.state.order(order.order_id)
    folded = bench.restart().up()
    folded.turn(86_400 * 2)
    folded.turn(1)
    assert folded.gateway.state.order(order.order_id) is None
    old = folded.do(folded.gateway.history.find(order.order_id))
    assert old is not None
    assert old.status is S.FILLED


def test_a_limit_that_only_warns_refuses_nothing() -> None:
    bench = desk()
    limited(bench, "account:ACC", Limit.MAX_QUANTITY, "off", "50")
    assert why(bench, quantity=D(5000)) is None
    assert [each.scope for each in events(bench, RiskWarned)] == ["account:ACC"]


# ---------------------------------------------------------------- budgets


def test_who_has_used_up_the_budget_of_executions_is_halted_until_a_person_resumes() -> None:
    bench = desk("execution_budget=3/60")
    assert [why(bench) for _ in range(2)] == [None, None]
    bench.turn(60)
    assert [why(bench) for _ in range(3)] == [None, None, None]
    assert why(bench) is Reason.HALTED
    halt = bench.gateway.state.halts[Scope.parse("owner:me")]
    assert halt.by == "gateway"
    assert halt.text.startswith("3 executions within 60 s are the execution_budget of gateway")
    other = bench.do(bench.gateway.submit(request(), "you", Origin.RPC)).order
    assert other.status is S.FILLED
    again = bench.restart().up()
    assert why(again) is Reason.HALTED
    again.gateway.resume("boss", Scope.parse("owner:me"))
    assert [why(again) for _ in range(2)] == [None, None]


# ---------------------------------------------------------------- where limits come from


def test_what_people_set_goes_before_the_configuration_and_that_before_the_default() -> None:
    bench = desk("max_notional=5000,account:*/max_quantity=70")
    subject = Subject("paper", "ACC", "me", Origin.RPC, "IBM")

    def notional() -> D | None:
        bound = bench.gateway.guard.bounds(subject).max_notional
        return None if bound is None else bound.value

    assert notional() == 5000
    limited(bench, "gateway", Limit.MAX_NOTIONAL, "4000")
    assert notional() == 4000
    limited(bench, "gateway", Limit.MAX_NOTIONAL, "off")
    assert notional() is None
    limited(bench, "gateway", Limit.MAX_NOTIONAL, None)
    assert notional() == 5000
    assert why(bench, quantity=D(71), order_type=LIMIT, limit_price=D(1)) is Reason.MAX_QUANTITY
    limited(bench, "account:ACC", Limit.MAX_QUANTITY, "100")
    assert why(bench, quantity=D(71), order_type=LIMIT, limit_price=D(1)) is None
    assert why(bench, quantity=D(71), order_type=LIMIT, limit_price=D(1), account="OTHER") is Reason.MAX_QUANTITY


def test_limits_outlive_a_restart_and_a_snapshot() -> None:
    bench = desk()
    limited(bench, "gateway", Limit.MAX_QUANTITY, "50", "40")
    again = bench.restart().up()
    assert why(again, quantity=D(51)) is Reason.MAX_QUANTITY
    loaded = State.load(again.gateway.state.dump())
    assert loaded.limits == again.gateway.state.limits
    assert [each.value for each in loaded.limits.values()] == ["50"]
    assert isinstance(loaded.limits["gateway", "max_quantity"], LimitChanged)


def test_the_report_shows_every_limit_with_its_source_and_what_is_used() -> None:
    bench = desk("account:ACC/max_gross_exposure=1000000")
    limited(bench, "owner:me", Limit.MAX_QUANTITY, "500", "400")
    bench.submit()
    bench.broker.mode = "accept"
    bench.submit(side=Side.SELL, order_type=LIMIT, limit_price=D(110), quantity=D(30))
    bench.touch = (D(101), D(101))
    report = bench.gateway.guard.report()
    shown = {
        (str(each.scope), each.limit.value): (each.level.text, each.source.split(" at ")[0]) for each in report.limits
    }
    assert shown == {
        ("gateway", "reference_age"): ("900", "default"),
        ("gateway", "price_collar"): ("0.1", "default"),
        ("gateway", "max_notional"): ("100000000", "default"),
        ("owner:*", "order_rate"): ("5000", "default"),
        ("account:ACC", "max_gross_exposure"): ("1000000", "configuration"),
        ("owner:me", "max_quantity"): ("500", "set by boss"),
    }
    use = {str(each.scope): each for each in report.use}
    assert set(use) == {"gateway", "account:ACC", "owner:me"}
    for each in use.values():
        assert (each.exposure, each.profit_and_loss, each.orders_last_second) == (10100, 99, 2)
        assert each.holdings == {"ACC IBM": {"quantity": 100, "buys": 0, "sells": 30}}
    narrow = bench.gateway.guard.report(Scope.parse("symbol:AAPL"))
    assert [str(each.scope) for each in narrow.use] == ["symbol:AAPL"]
    assert {each.scope for each in narrow.limits} == {GATEWAY}
    assert narrow.use[0].exposure == 0


# ---------------------------------------------------------------- books


def test_the_brokers_word_on_a_position_is_in_the_books_as_held_all_day() -> None:
    bench = Bench(limits=read_levels("max_position=1000"))
    bench.broker.held = [Position("paper", "ACC", "IBM", D(990), D(80))]
    bench.up()
    assert bench.gateway.state.books.by_owner["ACC", "IBM"][""] == Book(
        "paper", "ACC", "IBM", "", quantity=D(990), opened=D(990), cost=D(80)
    )
    assert why(bench, quantity=D(11)) is Reason.MAX_POSITION
    assert why(bench, quantity=D(10)) is None
    bench.broker.held = [Position("paper", "ACC", "IBM", D(1000), D(80))]
    again = bench.restart().up()
    assert again.gateway.state.books.by_owner == bench.gateway.state.books.by_owner


def test_an_order_that_nobody_answered_keeps_its_place() -> None:
    bench = desk("max_position=150", mode="fail")
    assert bench.submit(order_type=LIMIT, limit_price=D(99)).order.status is S.UNKNOWN
    assert why(bench, quantity=D(51)) is Reason.MAX_POSITION
    again = bench.restart()
    assert again.gateway.state.books.holding("ACC", "IBM").buys == 100
