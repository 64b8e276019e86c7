"""Contracts by their written forms."""

from __future__ import annotations

import pytest
from ib_async import Contract

from tests.brokers.ib.nouns import details
from txgateway.brokers.ib import contracts


def parsed(text: str, **primary: str) -> Contract | None:
    return contracts.parse(text, primary, "PAXOS")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("IBM", {"secType": "STK", "symbol": "IBM", "exchange": "SMART", "currency": "USD"}),
        ("BRK.B", {"secType": "STK", "symbol": "BRK B", "exchange": "SMART", "currency": "USD"}),
        ("SHOP-CAD", {"secType": "STK", "symbol": "SHOP", "exchange": "SMART", "currency": "CAD"}),
        ("EURUSD", {"secType": "CASH", "symbol": "EUR", "currency": "USD", "exchange": "IDEALPRO"}),
        ("BTC-USD", {"secType": "CRYPTO", "symbol": "BTC", "currency": "USD", "exchange": "PAXOS"}),
        (
            "ES-202612-CME",
            {"secType": "FUT", "symbol": "ES", "lastTradeDateOrContractMonth": "202612", "exchange": "CME"},
        ),
        ("SPX-IND-CBOE", {"secType": "IND", "symbol": "SPX", "exchange": "CBOE"}),
        ("#265598", {"conId": 265598}),
    ],
)
def test_a_written_form_is_a_contract(text: str, fields: dict[str, object]) -> None:
    assert parsed(text) == Contract(**fields)


def test_an_option() -> None:
    found = parsed("IBM-20261218-152.5-C")
    assert found is not None
    assert (found.secType, found.symbol, found.strike, found.right) == ("OPT", "IBM", 152.5, "C")
    assert (found.lastTradeDateOrContractMonth, found.exchange, found.currency) == ("20261218", "SMART", "USD")
    abroad = parsed("SAP-20261218-200-P-EUR")
    assert abroad is not None
    assert abroad.currency == "EUR"


def test_a_primary_exchange_goes_with_its_symbol() -> None:
    found, other = parsed("MSFT", MSFT="NASDAQ"), parsed("IBM", MSFT="NASDAQ")
    assert found is not None
    assert found.primaryExchange == "NASDAQ"
    assert other is not None
    assert other.primaryExchange == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "#",
        "#12x",
        "IBM-XYZ",
        "ES-2026-CME",
        "ES-202612-",
        "IBM-20261218-150-X",
        "IBM-20261218-NaN-C",
        "IBM-20261218--1-C",
        "IBM-202612-150-C",
        "A-B-C-D-E-F",
        "ibm",
        "I BM",
        "X" * 70,
        "#" + "1" * 13,
    ],
)
def test_what_is_no_form_is_none(text: str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize(
    "text",
    ["IBM", "BRK.B", "SHOP-CAD", "EURUSD", "BTC-USD", "SPX-IND-CBOE", "IBM-20261218-152.5-C", "IBM-20261218-1000-P"],
)
def test_every_contract_is_written_as_it_was_asked_for(text: str) -> None:
    found = parsed(text)
    assert found is not None
    found.conId = 1
    assert contracts.written(details(found)) == text


def test_a_future_is_written_by_its_month_whatever_day_it_ends() -> None:
    found = Contract("FUT", 5, "ES", "20261218", exchange="CME", currency="USD", multiplier="50")
    assert contracts.written(details(found, contractMonth="202612")) == "ES-202612-CME"


def test_what_has_no_form_is_written_by_its_number() -> None:
    assert contracts.written(details(Contract("BOND", 77, "IBM", currency="USD"))) == "#77"
    assert contracts.written(details(Contract("CRYPTO", 78, "BTC", currency="EUR"))) == "#78"
    assert contracts.written(details(Contract("STK", 79, "ODD$NAME", currency="USD"))) == "#79"


def test_of_ib_s_answers_only_those_asked_for_count_and_each_once() -> None:
    asked = Contract(secType="FOP", symbol="ES")
    rows = [details(Contract("FOP", 1, "ES")), details(Contract("EC", 2, "ES")), details(Contract("FOP", 1, "ES"))]
    assert [each.contract.conId for each in contracts.matching(rows, asked) if each.contract] == [1]
