"""Orders, executions, accounts and bars, to ib_async's objects and back."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st
from ib_async import BarData, CommissionReport, Contract

from tests.brokers.ib.nouns import ID, NOW, D, a_fill, an_order, details, ibm, theirs
from txgateway.brokers.ib import codes, translate
from txgateway.brokers.ib.translate import Route, Terms
from txgateway.model.errors import Reason, Unsupported
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Period, Unit
from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

UNSET = sys.float_info.max


@pytest.mark.parametrize(
    ("kind", "word", "limit", "stop"),
    [
        (OrderType.MARKET, "MKT", None, None),
        (OrderType.LIMIT, "LMT", D("101.5"), None),
        (OrderType.STOP, "STP", None, D("90.25")),
        (OrderType.STOP_LIMIT, "STP LMT", D("89"), D("90.25")),
    ],
)
def test_every_type_goes_out_and_comes_back(kind: OrderType, word: str, limit: D | None, stop: D | None) -> None:
    order = an_order(order_type=kind, limit_price=limit, stop_price=stop)
    made = translate.ib_order(order, 7, translate.terms_of(order), Route())
    assert (made.orderId, made.orderType, made.action, made.tif, made.orderRef) == (7, word, "BUY", "DAY", ID)
    assert (made.account, made.totalQuantity) == ("DU1", "100")
    assert made.lmtPrice == (UNSET if limit is None else str(limit))
    assert made.auxPrice == (UNSET if stop is None else str(stop))
    shown = theirs(orderType=word, lmtPrice=float(limit or 0), auxPrice=float(stop or 0))
    assert translate.terms_in(shown) == Terms(D(100), limit, stop)
    assert translate.type_in(word) is kind


def test_a_short_sale_is_a_sale() -> None:
    order = an_order(side=Side.SELL_SHORT)
    assert translate.ib_order(order, 7, translate.terms_of(order), Route()).action == "SELL"
    assert translate.side_in("SLD") is Side.SELL


@given(st.decimals(min_value="0.00000001", max_value="1e9", places=8).filter(lambda each: each > 0))
def test_amounts_go_out_as_digits(value: Decimal) -> None:
    text = translate.plain(value.normalize())
    assert "E" not in text.upper()
    assert Decimal(text) == value


def test_what_tws_leaves_unset_is_none() -> None:
    for value in (UNSET, "", None, float("nan"), float("inf")):
        assert translate.decimal(value) is None
    assert translate.decimal(100.0) == 100
    assert str(translate.decimal(101.25)) == "101.25"


def test_a_replace_keeps_what_it_does_not_name() -> None:
    now = Terms(D(100), D("101.5"))
    assert translate.asked_of(an_order(asked_quantity=D(50)), now) == Terms(D(50), D("101.5"))
    assert translate.asked_of(an_order(asked_limit_price=D(90)), now) == Terms(D(100), D(90))


def test_an_order_of_another_is_changed_as_tws_shows_it() -> None:
    made = translate.changed(theirs(outsideRth=True, ocaGroup="g"), 7, Terms(D(50), D(90)))
    assert (made.orderId, made.totalQuantity, made.lmtPrice, made.outsideRth, made.ocaGroup) == (
        7,
        "50",
        "90",
        True,
        "g",
    )


def test_types_and_times_that_we_have_not() -> None:
    assert translate.type_in("MOC") is OrderType.MARKET
    assert translate.type_in("TRAIL") is OrderType.STOP
    assert translate.time_in_force_in("GTD") is TimeInForce.GTC
    assert translate.time_in_force_in("OPG") is TimeInForce.DAY


@pytest.mark.parametrize(
    ("status", "filled", "wanted"),
    [
        ("PendingSubmit", 0, OrderStatus.NEW),
        ("PreSubmitted", 0, OrderStatus.NEW),
        ("Submitted", 40, OrderStatus.PARTIALLY_FILLED),
        ("PendingCancel", 0, OrderStatus.NEW),
        ("Filled", 100, OrderStatus.FILLED),
        ("Cancelled", 40, OrderStatus.CANCELED),
        ("ApiCancelled", 0, OrderStatus.CANCELED),
        ("Inactive", 0, OrderStatus.REJECTED),
        ("Inactive", 40, OrderStatus.CANCELED),
    ],
)
def test_statuses(status: str, filled: int, wanted: OrderStatus) -> None:
    assert translate.status_in(status, D(filled)) is wanted


@pytest.mark.parametrize("text", ["", "DEMO", "SMART", "smart", '{"SMART": null}'])
def test_a_route_that_is_none(text: str) -> None:
    assert translate.read_route(text) == Route()


def test_routes() -> None:
    assert translate.read_route("island") == Route("ISLAND")
    found = translate.read_route('{"Adaptive": {"adaptivePriority": "Patient", "outsideRth": true}}')
    assert found == Route("", "Adaptive", {"adaptivePriority": "Patient"}, {"outsideRth": True})
    made = translate.ib_order(an_order(), 7, translate.terms_of(an_order()), found)
    assert (made.algoStrategy, made.outsideRth) == ("Adaptive", True)
    assert [(each.tag, each.value) for each in made.algoParams] == [("adaptivePriority", "Patient")]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"A": 1}', '{"SMART": {"x": 1}}', "A B", '{"SMART": {"hidden": 7}}', "{}"]
)
def test_routes_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w{4}"):
        translate.read_route(text)


def test_a_fill() -> None:
    fee = CommissionReport("0000e0d5.6553c6ae.01.01", 1.02, "USD")
    found = translate.execution("tws", "IBM", ibm(), a_fill(), ID, fee)
    assert (found.execution_id, found.order_id, found.broker_order_id) == ("0000e0d5.6553c6ae.01.01", ID, "1234567")
    assert (found.quantity, found.price, found.commission, found.currency) == (40, D("101.25"), D("1.02"), "USD")
    assert found.time == NOW
    assert translate.execution("tws", "IBM", ibm(), a_fill(), ID, None).commission == 0


def test_a_commission_in_another_currency_is_not_counted_in_ours() -> None:
    pair = Contract("CASH", 1, "EUR", currency="GBP")
    fee = CommissionReport("x", 2.0, "USD")
    found = translate.execution("tws", "EURGBP", pair, a_fill(), ID, fee)
    assert (found.commission, found.currency) == (0, "GBP")
    assert (found.fee, found.fee_currency) == (2, "USD"), "and not lost"


def test_a_corrected_execution_is_the_same_one() -> None:
    assert translate.execution_id("0000e0d5.6553c6ae.01.02") == "0000e0d5.6553c6ae.01.01"
    assert translate.execution_id("0000e0d5.6553c6ae.02.01") == "0000e0d5.6553c6ae.02.01"
    assert translate.execution_id("whatever.02") == "whatever.02"


def test_only_ids_like_ours_are_ours() -> None:
    assert translate.ours(ID, {})
    assert translate.ours("T1", {"T1": None})
    for reference in ("", "strategy1", "DU1", ID.lower(), ID + "0"):
        assert not translate.ours(reference, {})


def test_a_future_s_cost_is_of_the_contract() -> None:
    future = Contract("FUT", 5, "ES", multiplier="50")
    found = translate.position("tws", "DU1", "ES-202612-CME", future, -2.0, 250_000.0)
    assert (found.quantity, found.average_price) == (-2, 5000)
    assert translate.position("tws", "DU1", "IBM", ibm(), 10.0, 101.25).average_price == D("101.25")


VALUES = [
    ("AccountType", "INDIVIDUAL", ""),
    ("NetLiquidation", "100250.75", "USD"),
    ("BuyingPower", "400000.00", "USD"),
    ("AvailableFunds", "99000.00", "USD"),
    ("TotalCashValue", "90000.50", "USD"),
    ("CashBalance", "90000.50", "BASE"),
    ("CashBalance", "50000.00", "USD"),
    ("CashBalance", "36000.45", "EUR"),
    ("CashBalance", "0.00", "GBP"),
]


def test_an_account() -> None:
    report = translate.account_report("DU1", VALUES)
    assert report is not None
    assert (report.account, report.cash) == ("DU1", D("90000.50"))
    assert [(each.currency, each.total) for each in report.balances] == [("USD", D(50000)), ("EUR", D("36000.45"))]
    values = report.values
    assert (values["equity"], values["buying_power"], values["currency"]) == (D("100250.75"), D(400000), "USD")
    assert (values["NetLiquidation"], values["CashBalance-EUR"]) == (D("100250.75"), D("36000.45"))
    assert values["account_type"] == "INDIVIDUAL"


def test_an_account_without_cash_is_none() -> None:
    assert translate.account_report("DU1", [("NetLiquidation", "1.0", "USD")]) is None
    assert translate.account_report("DU1", []) is None


def test_instruments() -> None:
    made = details(liquidHours="20261124:0930-20261124:1600;20261125:CLOSED", timeZoneId="US/Eastern")
    found = translate.instrument("tws", "IBM", made)
    assert (found.symbol, found.tick_size, found.lot_size, found.min_quantity) == ("IBM", D("0.01"), 1, 1)
    assert (found.asset_class, found.exchange, found.raw["conId"]) == (AssetClass.STOCK, "NYSE", "8314")
    assert found.session is not None
    assert f"{found.session.open:%H%M}-{found.session.close:%H%M}" == "0930-1600"
    future = Contract("FUT", 5, "ES", "20261218", exchange="CME", currency="USD", multiplier="50")
    night = details(future, minTick=0.25, liquidHours="20261123:1700-20261124:1600", timeZoneId="US/Central")
    found = translate.instrument("tws", "ES-202612-CME", night)
    assert (found.multiplier, found.tick_size, found.session) == (50, D("0.25"), None)
    coin = details(Contract("CRYPTO", 9, "BTC", currency="USD"), minSize=0.0001, sizeIncrement=1e-8, minTick=0.25)
    found = translate.instrument("tws", "BTC-USD", coin)
    assert (found.lot_size, found.min_quantity) == (D("0.00000001"), D("0.0001"))


# ---------------------------------------------------------------- bars


@pytest.mark.parametrize(
    ("period", "span", "duration", "size"),
    [
        (Period(1, Unit.MINUTE), timedelta(minutes=60), "3600 S", "1 min"),
        (Period(5, Unit.MINUTE), timedelta(seconds=90), "120 S", "5 mins"),
        (Period(60, Unit.MINUTE), timedelta(days=3), "4 D", "1 hour"),
        (Period(1, Unit.DAY), timedelta(days=30), "32 D", "1 day"),
        (Period(1, Unit.DAY), timedelta(days=700), "2 Y", "1 day"),
        (Period(1, Unit.WEEK), timedelta(days=28), "5 W", "1 week"),
        (Period(1, Unit.MONTH), timedelta(days=90), "4 M", "1 month"),
    ],
)
def test_a_question_for_bars(period: Period, span: timedelta, duration: str, size: str) -> None:
    found = translate.bar_question("STK", period, NOW - span, NOW)
    assert (found.duration, found.size, found.show) == (duration, size, "TRADES")
    assert translate.bar_question("CASH", period, NOW - span, NOW).show == "MIDPOINT"


def test_periods_that_there_are_not() -> None:
    for period in (Period(7, Unit.MINUTE), Period(2, Unit.DAY)):
        with pytest.raises(Unsupported):
            translate.bar_question("STK", period, NOW - timedelta(hours=1), NOW)


def a_bar(at: Any, **more: Any) -> BarData:
    made: dict[str, Any] = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 100.0}
    return BarData(date=at, **{**made, **more})


NEW_YORK = pytz.timezone("America/New_York")


def test_bars_are_in_order_within_their_bounds_and_once() -> None:
    start = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
    epochs = [int((start + timedelta(minutes=each)).timestamp()) for each in (2, -1, 1, 1, 3)]
    rows = [a_bar(str(each)) for each in epochs] + [a_bar(start, close=UNSET)]
    found = translate.bars("IBM", rows, start, start + timedelta(minutes=3), NEW_YORK)
    assert [(each.time - start).seconds // 60 for each in found] == [1, 2]
    assert found[0].high == 2
    midpoint = translate.bars("EURUSD", [a_bar("20261124", volume=-1.0)], start - timedelta(days=1), start, NEW_YORK)
    assert (midpoint[0].time, midpoint[0].volume) == (datetime(2026, 11, 24, 5, tzinfo=UTC), 0), "midnight there"
    assert translate.bars("IBM", [a_bar(date(2026, 11, 24))], start - timedelta(days=1), start, NEW_YORK)


# ---------------------------------------------------------------- codes


def test_what_looks_like_an_end_and_is_none() -> None:
    for code in (10349, 399, 404, 2104, 2109, 10167):
        assert codes.informs(code)
    for code in (201, 202, 200, 103, 110, 10147):
        assert not codes.informs(code)


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (200, "No security definition has been found", Reason.UNKNOWN_SYMBOL),
        (110, "The price does not conform to the minimum price variation for this contract.", Reason.BAD_TICK),
        (201, "Order rejected - reason:Insufficient settled cash", Reason.INSUFFICIENT_FUNDS),
        (201, "Order rejected - reason:The contract is not available for short sale.", Reason.NOT_SHORTABLE),
        (201, "Order rejected - reason:whatever", Reason.REJECTED),
    ],
)
def test_reasons(code: int, text: str, reason: Reason) -> None:
    assert codes.reason(code, text) is reason


def test_no_data_and_pacing_are_told_apart() -> None:
    assert codes.no_data(162, "Historical Market Data Service error message:HMDS query returned no data: IBM")
    assert not codes.no_data(
        162, "Historical Market Data Service error message:Historical data request pacing violation"
    )
