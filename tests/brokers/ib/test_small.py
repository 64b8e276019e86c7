"""The window of the night, the clock, the pacing of historical questions, order numbers, options, ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.ib.nouns import NOW, D
from txgateway.brokers.ib import options, window
from txgateway.brokers.ib.clock import VenueClock
from txgateway.brokers.ib.numbers import BLOCK, Numbers
from txgateway.brokers.ib.pacing import Pacing
from txgateway.brokers.ib.ticks import Ticks
from txgateway.model.errors import GatewayError
from txgateway.model.market import Quote, Statistics, Trade

# ---------------------------------------------------------------- window


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_over_midnight() -> None:
    night = window.parse("23:45-00:45 America/New_York")
    assert night is not None
    assert night.over_at(at("2026-11-24T04:44")) is None
    for inside in ("2026-11-24T04:45", "2026-11-24T05:10", "2026-11-24T05:44"):
        assert night.over_at(at(inside)) == at("2026-11-24T05:45")
    assert night.over_at(at("2026-11-24T05:45")) is None
    assert night.over_at(at("2026-07-24T04:00")) == at("2026-07-24T04:45"), "summer time"


def test_a_window_within_a_day() -> None:
    noon = window.parse("12:00-12:30 UTC")
    assert noon is not None
    assert noon.over_at(at("2026-11-24T12:29")) == at("2026-11-24T12:30")
    assert noon.over_at(at("2026-11-24T00:00")) is None


@pytest.mark.parametrize("text", ["x", "25:00-26:00", "12:00-12:00", "23:45-00:45 Mars/Base", "1:00-2:00"])
def test_windows_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="give a"):
        window.parse(text)


# ---------------------------------------------------------------- clock, pacing


def test_the_clock_is_ours_unless_theirs_differs() -> None:
    clock = VenueClock()
    clock.tick(NOW, NOW + timedelta(seconds=1))
    assert clock.now(NOW) == NOW
    clock.tick(NOW + timedelta(seconds=30), NOW)
    ahead = clock.now(NOW + timedelta(seconds=5))
    assert ahead == NOW + timedelta(seconds=35)
    clock.tick(NOW, NOW)
    assert clock.now(NOW + timedelta(seconds=6)) == ahead, "it went back"


def test_sixty_questions_in_ten_minutes() -> None:
    pacing = Pacing()
    for each in range(60):
        assert pacing.wait(float(each), "IBM") == 0
        pacing.asked(float(each), "IBM")
    assert pacing.wait(60.0, "IBM") == 540
    assert pacing.wait(600.0, "IBM") == 0


def test_five_questions_of_a_contract_in_two_seconds_and_a_half() -> None:
    pacing = Pacing()
    for each in range(5):
        assert pacing.wait(each / 10, "IBM") == 0
        pacing.asked(each / 10, "IBM")
    assert pacing.wait(0.5, "IBM") == 2.0
    assert pacing.wait(0.5, "TSLA") == 0
    assert pacing.wait(2.5, "IBM") == 0


def test_the_same_question_has_the_same_answer_for_a_while() -> None:
    pacing = Pacing()
    pacing.answered("q", [1], 0.0)
    assert pacing.known("q", 14.9) == [1]
    assert pacing.known("q", 15.0) is None
    assert pacing.known("other", 1.0) is None


# ---------------------------------------------------------------- numbers


def test_a_number_is_never_used_twice_though_tws_begins_again(tmp_path: Path) -> None:
    first = Numbers(tmp_path / "venue", 3)
    first.begin(10)
    taken = [first.take() for _ in range(3)]
    assert taken == [10, 11, 12]
    first.begin(1)
    assert first.take() == 13
    again = Numbers(tmp_path / "venue", 3)
    again.begin(1)
    assert again.take() > 13


def test_numbers_seen_are_jumped_over(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, 3)
    numbers.begin(1)
    numbers.seen(500)
    numbers.seen(2**30 + 5)
    numbers.seen(-4)
    assert numbers.take() == 501


def test_numbers_of_questions_are_not_those_of_orders(tmp_path: Path) -> None:
    """Their errors would be taken for each other's."""
    numbers = Numbers(tmp_path, 3)
    with pytest.raises(GatewayError, match="reset the API order ID sequence"):
        numbers.begin(2**30)
    numbers.begin(7)
    assert numbers.take() == 7


def test_a_block_is_reserved_before_its_first_number_is_used(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, 3)
    numbers.begin(1)
    for _ in range(BLOCK + 5):
        number = numbers.take()
        assert int((tmp_path / "order-numbers.3").read_text()) > number


def test_each_client_has_numbers_of_its_own(tmp_path: Path) -> None:
    for client in (1, 2):
        numbers = Numbers(tmp_path, client)
        numbers.begin(1)
        assert numbers.take() == 1


def test_a_broken_file_stops_it(tmp_path: Path) -> None:
    (tmp_path / "order-numbers.3").write_text("x")
    with pytest.raises(OSError, match="has no number"):
        Numbers(tmp_path, 3).begin(1)


# ---------------------------------------------------------------- options


def test_the_defaults() -> None:
    found = options.read({})
    assert (found.port, found.client_id, found.market_data, found.rate) == (7497, 0, 1, 45)
    assert found.restart is not None
    assert options.read({"restart": ""}).restart is None


def test_what_the_environment_gives() -> None:
    given = {"host": "h", "port": "4002", "client_id": "7", "accounts": "DU1", "route": "DEMO", "timezone": "UTC"}
    found = options.read(given)
    assert (found.port, found.client_id, found.accounts, found.timezone) == (4002, 7, (), "UTC")
    assert (found.account, found.domain) == ("DU1", "paper")
    assert options.read({"accounts": ["DU1", "DU2"]}).accounts == ("DU1", "DU2")
    assert options.read({"accounts": "api_account"}).account == "", "nobody named one"


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ({}, "paper"),
        ({"port": 7496}, "live"),
        ({"port": 4001}, "live"),
        ({"port": 4002}, "paper"),
        ({"port": 4002, "domain": "live"}, "live"),
        ({"port": 7496, "domain": "mine"}, "mine"),
    ],
)
def test_what_the_money_is_called(given: dict[str, Any], domain: str) -> None:
    assert options.read(given).domain == domain


def test_primary_exchanges_are_in_capitals() -> None:
    assert options.read({"primary_exchanges": {"msft": "NASDAQ"}}).primary_exchanges == {"MSFT": "NASDAQ"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0),
        ("port", True),
        ("client_id", -1),
        ("client_id", "x"),
        ("accounts", [1]),
        ("market_data", "fast"),
        ("restart", "never"),
        ("silence", "0"),
        ("silence", "NaN"),
        ("patience", "1e9"),
        ("primary_exchanges", {"MSFT": "nas daq"}),
        ("primary_exchanges", "NASDAQ"),
        ("regular_hours", "yes"),
        ("timezone", "Mars"),
        ("clientid", 7),
        ("host", ""),
    ],
)
def test_options_that_cannot_be(name: str, value: Any) -> None:
    assert [*options.mistakes({name: value})] == [name]
    with pytest.raises(ValueError, match=name):
        options.read({name: value})


# ---------------------------------------------------------------- ticks


def test_a_first_quote_waits_for_its_other_side() -> None:
    ticks = Ticks("IBM")
    ticks.price(1, 101.0, 300.0)
    assert ticks.due(NOW, whole=False) == []
    ticks.price(2, 101.5, 200.0)
    assert ticks.due(NOW, whole=False) == [Quote("IBM", D(101), D(300), D("101.5"), D(200), NOW)]
    ticks.size(0, 250.0)
    (quote,) = ticks.due(NOW)
    assert isinstance(quote, Quote)
    assert quote.bid_size == 250
    assert ticks.due(NOW) == []


def test_one_side_alone_is_told_when_the_other_does_not_come() -> None:
    ticks = Ticks("IBM")
    ticks.price(1, 101.0, 300.0)
    (quote,) = ticks.due(NOW, whole=True)
    assert isinstance(quote, Quote)
    assert (quote.ask, quote.ask_size) == (0, 0)


def test_a_side_that_went() -> None:
    ticks = Ticks("IBM")
    ticks.price(1, 101.0, 300.0)
    ticks.price(2, 101.5, 200.0)
    ticks.due(NOW)
    ticks.price(1, -1.0, 0.0)
    (quote,) = ticks.due(NOW)
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.bid_size, quote.tradable) == (0, 0, False)


def test_a_trade_is_told_once_though_its_size_is_said_again() -> None:
    ticks = Ticks("IBM")
    ticks.price(4, 101.25, 100.0)
    ticks.size(5, 100.0)
    assert ticks.due(NOW) == [Trade("IBM", D("101.25"), D(100), NOW)]
    ticks.size(5, 40.0)
    assert ticks.due(NOW) == [Trade("IBM", D("101.25"), D(40), NOW)]


def test_the_day_s_figures_and_delayed_prices() -> None:
    ticks = Ticks("IBM")
    for kind, price in ((76, 100.0), (72, 103.0), (73, 99.0), (75, 100.5)):
        ticks.price(kind, price, 0.0)
    ticks.size(74, 5000.0)
    ticks.text(48, "101.25;1;1764000000000;5000;101.1;true")
    (day,) = ticks.due(NOW)
    assert day == Statistics("IBM", D(100), D(103), D(99), D("100.5"), D(5000), D("101.1"))
    ticks.price(66, 101.0, 1.0)
    ticks.price(67, 102.0, 1.0)
    assert [type(each) for each in ticks.due(NOW, whole=False)] == [Quote]


def test_the_present_values_can_be_told_again() -> None:
    ticks = Ticks("IBM")
    ticks.price(1, 101.0, 300.0)
    ticks.price(2, 101.5, 200.0)
    ticks.price(4, 101.25, 100.0)
    first = ticks.due(NOW)
    ticks.present()
    again = ticks.due(NOW)
    assert [each for each in again if not isinstance(each, Statistics)] == first
