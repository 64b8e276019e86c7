"""Cash, margin, reservations and profit, in figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from txgateway.brokers.paper.options import Opening
from txgateway.model.errors import Reason

D = Decimal


@pytest.fixture
def margin(make_floor: Callable[..., Any]) -> Any:
    """10,000 in a margin account; IBM 100.00/100.10, BTCUSD 60000/60010, both deep."""
    floor = make_floor(one=Opening("API_ACCOUNT", True, D(10_000)))
    floor.quote("100.00", 100_000, "100.10", 100_000)
    floor.quote("60000", 100, "60010", 100, "BTCUSD")
    return floor


@pytest.fixture
def cash(make_floor: Callable[..., Any]) -> Any:
    """The same in a cash account."""
    floor = make_floor(one=Opening("API_ACCOUNT", False, D(10_000)))
    floor.quote("100.00", 100_000, "100.10", 100_000)
    floor.quote("60000", 100, "60010", 100, "BTCUSD")
    return floor


def only(floor: Any) -> Any:
    return floor.accounts["API_ACCOUNT"]


def refusal(events: list[Any]) -> Reason:
    assert [type(each).__name__ for each in events] == ["OrderRejected"]
    return events[0].reason


def test_half_of_a_stock_bought_is_margin(margin: Any) -> None:
    assert refusal(margin.send("BUY", 200)[1]) is Reason.INSUFFICIENT_FUNDS, "200 x 100.10 / 2 is 10,010"
    margin.send("BUY", 199)
    values = only(margin).report().values
    # 199 x 100.10 = 19,919.90 paid, 1.00 commission; marked at 100.05 they are worth 19,909.95
    assert values["cash"] == D("-9920.90")
    assert values["equity"] == D("9989.05")
    assert values["margin_used"] == D("9954.98")
    assert values["commissions"] == D("1.00")
    assert values["unrealized_pnl"] == D("-9.95")
    assert refusal(margin.send("BUY", 1)[1]) is Reason.INSUFFICIENT_FUNDS


def test_half_of_a_stock_sold_short_is_margin_beside_its_proceeds(margin: Any) -> None:
    assert refusal(margin.send("SELL_SHORT", 201)[1]) is Reason.INSUFFICIENT_FUNDS
    margin.send("SELL_SHORT", 199)
    account = only(margin)
    assert account.cash["USD"] == D(10_000) + 199 * D(100) - 1
    assert account.quantity("IBM") == -199
    assert account.available == D(10_000) + 19_900 - 1 - 199 * D("100.05") - 199 * D("100.05") / 2


def test_closing_needs_nothing(margin: Any) -> None:
    margin.send("BUY", 199)
    margin.quote("50.00", 100_000, "50.10", 100_000)
    assert only(margin).available < 0, "under water"
    assert [type(each).__name__ for each in margin.send("SELL", 199)[1]] == ["OrderAccepted", "Executed"]
    assert only(margin).quantity("IBM") == 0


def test_a_plain_sell_may_go_short_in_a_margin_account(margin: Any) -> None:
    margin.send("BUY", 50)
    margin.send("SELL", 80)
    assert only(margin).quantity("IBM") == -30


def test_turning_round_needs_margin_for_what_it_opens(margin: Any) -> None:
    margin.send("BUY", 100)
    assert refusal(margin.send("SELL", 400)[1]) is Reason.INSUFFICIENT_FUNDS
    margin.send("SELL", 190)
    assert only(margin).quantity("IBM") == -90


def test_crypto_is_paid_in_full_and_cannot_be_sold_short(margin: Any) -> None:
    assert refusal(margin.send("BUY", "0.1667", "BTCUSD")[1]) is Reason.INSUFFICIENT_FUNDS
    margin.send("BUY", "0.1", "BTCUSD")
    assert refusal(margin.send("SELL", "0.1001", "BTCUSD")[1]) is Reason.NOT_SHORTABLE
    margin.send("SELL", "0.06", "BTCUSD", limit="70000")
    assert refusal(margin.send("SELL", "0.06", "BTCUSD")[1]) is Reason.NOT_SHORTABLE, "resting sells count"


def test_resting_orders_reserve_the_worst_of_both_sides(margin: Any) -> None:
    account = only(margin)
    buy, _ = margin.send("BUY", 100, limit="90")
    assert account.reserved == D("4500.00")
    sell, _ = margin.send("SELL", 50, limit="110")
    assert account.reserved == D("4500.00"), "not both can be at their worst"
    more, _ = margin.send("SELL", 50, limit="110")
    assert account.reserved == D("5500.00")
    assert refusal(margin.send("SELL", 100, limit="110")[1]) is Reason.INSUFFICIENT_FUNDS
    for order in (buy, sell, more):
        margin.exchange.cancel(order, margin.now)
    assert account.reserved == 0


def test_a_resting_sell_of_what_is_held_reserves_nothing(margin: Any) -> None:
    margin.send("BUY", 100)
    margin.send("SELL", 100, limit="110")
    assert only(margin).reserved == 0
    margin.send("SELL", 10, limit="110")
    assert only(margin).reserved == D("550.00")


def test_a_sell_far_below_the_market_is_reserved_at_the_market(margin: Any) -> None:
    assert refusal(margin.send("SELL", 201, limit="1.00")[1]) is Reason.INSUFFICIENT_FUNDS


def test_a_cash_account_pays_whole_and_commission_too(cash: Any) -> None:
    assert refusal(cash.send("BUY", 100)[1]) is Reason.INSUFFICIENT_FUNDS, "10,010"
    cash.quote("99.00", 1000, "100.00", 1000)
    assert refusal(cash.send("BUY", 100)[1]) is Reason.INSUFFICIENT_FUNDS, "10,000 and a commission of 1"
    cash.send("BUY", 99)
    assert only(cash).cash["USD"] == D("99.00")
    values = only(cash).report().values
    assert values["margin_used"] == 0
    assert values["buying_power"] == D("99.00")


def test_a_cash_account_sells_only_what_it_holds(cash: Any) -> None:
    assert refusal(cash.send("SELL", 1)[1]) is Reason.NOT_SHORTABLE
    cash.send("BUY", 50)
    cash.send("SELL", 30, limit="200")
    assert refusal(cash.send("SELL_SHORT", 21)[1]) is Reason.NOT_SHORTABLE
    cash.send("SELL", 20)
    assert only(cash).quantity("IBM") == 30


def test_resting_buys_of_a_cash_account_reserve_price_and_commission(cash: Any) -> None:
    order, _ = cash.send("BUY", 60, limit="90")
    assert only(cash).reserved == 60 * D(90) + 1
    assert refusal(cash.send("BUY", 52, limit="90")[1]) is Reason.INSUFFICIENT_FUNDS
    cash.quote("80.00", 1000, "85.00", 20)
    assert only(cash).reserved == 40 * D(90), "the commission's minimum is paid"
    assert only(cash).cash["USD"] == D(10_000) - 20 * 85 - 1
    cash.exchange.cancel(order, cash.now)
    assert only(cash).reserved == 0


def test_a_cash_account_trades_in_its_own_currency_only(cash: Any) -> None:
    cash.quote("149.99", 1_000_000, "150.00", 1_000_000, "USDJPY")
    assert refusal(cash.send("BUY", 1, "USDJPY")[1]) is Reason.REJECTED


def test_another_currency_is_kept_apart_and_counted_at_its_rate(margin: Any) -> None:
    margin.quote("149.99", 1_000_000, "150.01", 1_000_000, "USDJPY")
    margin.send("BUY", 15_000, "USDJPY")
    account = only(margin)
    assert account.cash["USD"] == 10_000
    assert account.cash["JPY"] == -15_000 * D("150.01") - D("45.00")
    assert abs(account.worth()[0] - (10_000 - D("150") / 150 - D("45") / 150)) < D("0.01")
    report = account.report()
    assert [(each.currency, each.total) for each in report.balances] == [
        ("USD", D(10_000)),
        ("JPY", account.cash["JPY"]),
    ]


def test_profit_is_realized_against_the_average_price(margin: Any) -> None:
    margin.send("BUY", 50)
    margin.quote("109.90", 1000, "110.10", 1000)
    margin.send("BUY", 50)
    margin.quote("120.00", 1000, "120.10", 1000)
    margin.send("SELL", 60)
    account = only(margin)
    assert account.realized == 60 * (D(120) - D("105.10"))
    assert account.holdings["IBM"].position.average_price == D("105.10")
    margin.send("SELL", 60)
    assert account.realized == 100 * (D(120) - D("105.10"))
    assert account.holdings["IBM"].position.average_price == D("120.00"), "short 20 from there"


def test_a_report_has_what_people_look_for(margin: Any) -> None:
    margin.send("BUY", 10)
    margin.send("BUY", 10, limit="90")
    report = only(margin).report()
    assert report.account == "API_ACCOUNT"
    assert report.cash == D(10_000) - 1001 - 1
    assert {
        "account_type", "currency", "cash", "equity", "available", "buying_power", "margin_used", "reserved",
        "unrealized_pnl", "realized_pnl", "commissions",
    } == set(report.values)  # fmt: skip
    (balance,) = report.balances
    assert (balance.currency, balance.total, balance.reserved) == ("USD", report.cash, D("450.00"))
    assert balance.available == report.values["available"]
    assert report.values["buying_power"] == 2 * balance.available
