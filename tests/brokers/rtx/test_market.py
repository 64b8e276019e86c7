"""Symbols, prices, bars, the clock and the options, without a socket."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.brokers.rtx.nouns import NOW, ZONE, rows
from txgateway.brokers.rtx import market, options
from txgateway.brokers.rtx.market import Prices, VenueClock
from txgateway.model.errors import Unsupported
from txgateway.model.instrument import Session
from txgateway.model.market import Period, Quote, Statistics, Trade, Unit

D = Decimal
MINUTE, DAY = Period(1, Unit.MINUTE), Period(1, Unit.DAY)


def at(clock: str) -> datetime:
    hour, minute, second = map(int, clock.split(":"))
    return datetime(2024, 3, 1, hour, minute, second, tzinfo=UTC)


def test_a_symbol_has_its_rules() -> None:
    found = market.instrument("rtx", "IBM", rows("symbol")[0], "America/New_York", "NYS", "USD")
    assert found is not None
    assert (found.fullname, found.cusip, found.exchange) == ("INTL BUSINESS MACHINES", "459200101", "NYS")
    assert found.session == Session(time(9, 30), time(16, 0), "America/New_York")
    assert found.tick_size == D("0.01")
    assert "YIELD" not in found.raw
    cheap = market.instrument("rtx", "IBM", {**rows("symbol")[0], "TRDPRC_1": "0.5"}, "America/New_York", "NYS", "USD")
    assert cheap is not None
    assert cheap.tick_size == D("0.0001")


@pytest.mark.parametrize("row", [{}, {"DISP_NAME": "X", "SYMBOL_ERROR": "1"}, {"DISP_NAME": "X", "BID": "Error 17"}])
def test_an_unknown_symbol_is_none(row: dict[str, Any]) -> None:
    assert market.instrument("rtx", "X", row, "America/New_York", "NYS", "USD") is None


def test_prices_are_told_as_they_change() -> None:
    first, bid, small, big, gone = rows("symbol")
    prices = Prices("IBM", ZONE)
    shown = prices.begin(first, NOW)
    assert [type(each) for each in shown] == [Statistics, Quote, Trade]
    assert shown[0] == Statistics("IBM", D("185.40"), D("185.61"), D("184.90"), D("185.03"), D(1200300), D("185.4512"))
    assert shown[1] == Quote("IBM", D("185.47"), D(300), D("185.50"), D(200), NOW)
    assert shown[2] == Trade("IBM", D("185.48"), D(100), at("15:00:00"))
    assert prices.changed(bid, NOW) == [Quote("IBM", D("185.48"), D(500), D("185.50"), D(200), NOW)]
    assert prices.changed(small, NOW) == [Trade("IBM", D("185.50"), D(200), at("15:00:04"))]
    assert prices.changed(big, NOW) == [Trade("IBM", D("185.51"), D(500), at("15:00:09"))], "what was traded in between"
    assert prices.changed(big, NOW) == [], "the same trade again is none"
    assert prices.changed(gone, NOW) == [Quote("IBM", D("185.48"), D(500), D(0), D(0), NOW)]


def test_a_mute_advise_is_seen_by_what_moved() -> None:
    prices = Prices("IBM", ZONE)
    prices.begin(rows("symbol")[0], NOW)
    assert not prices.differs(rows("symbol")[0])
    assert prices.differs({**rows("symbol")[0], "BID": "185.46"})
    assert prices.differs({**rows("symbol")[0], "ACVOL_1": 1200301})


def test_bars_are_asked_for_in_the_feeds_zone() -> None:
    assert market.bar_question("IBM", Period(5, Unit.MINUTE), at("14:30:00"), at("21:00:00"), ZONE) == (
        "INTRADAY",
        "DISP_NAME='IBM',BARINTERVAL=5,STARTDATE='2024/03/01',CHART_STARTTIME='09:30',"
        "STOPDATE='2024/03/01',CHART_STOPTIME='16:00'",
    )
    assert [
        market.bar_question("IBM", Period(1, unit), at("05:00:00"), at("21:00:00"), ZONE)[1].split(",")[1]
        for unit in (Unit.DAY, Unit.WEEK, Unit.MONTH)
    ] == ["BARINTERVAL=0", "BARINTERVAL=1", "BARINTERVAL=2"]
    with pytest.raises(Unsupported):
        market.bar_question("IBM", Period(2, Unit.DAY), at("05:00:00"), at("21:00:00"), ZONE)


def test_bars_are_read() -> None:
    minutes, days, none = rows("bars")
    found = market.bars("IBM", MINUTE, [minutes], at("14:30:00"), at("14:32:00"), ZONE)
    assert [(bar.time, bar.open, bar.close, bar.volume) for bar in found] == [
        (at("14:30:00"), D("185.40"), D("185.45"), D(12000)),
        (at("14:31:00"), D("185.45"), D("185.60"), D(8000)),
    ]
    assert len(market.bars("IBM", MINUTE, [minutes], at("14:30:00"), at("20:00:00"), ZONE)) == 2, (
        "a bar needs its prices"
    )
    found = market.bars("IBM", DAY, [days], at("15:00:00") - timedelta(days=9), at("15:00:00"), ZONE)
    assert [bar.time for bar in found] == [datetime(2024, 2, day, 5, tzinfo=UTC) for day in (28, 29)]
    assert market.bars("NOSUCH", DAY, [none], at("00:00:00"), at("15:00:00"), ZONE) == []


def test_the_clock_follows_the_feed_and_never_goes_back() -> None:
    clock = VenueClock()
    assert clock.now(NOW) == NOW
    clock.tick(NOW - timedelta(seconds=1), NOW)
    assert clock.now(NOW) == NOW, "a second's rest is no difference"
    for _ in range(3):
        assert clock.now(NOW) == NOW, "one that leaps ahead is believed when it has done so a few times"
        clock.tick(NOW + timedelta(hours=1), NOW)
    assert clock.now(NOW) == NOW + timedelta(hours=1)
    clock.tick(NOW, NOW)
    assert clock.now(NOW) == NOW + timedelta(hours=1)
    assert market.login_failed({"TRDTIM_1": "Error 17"})
    assert not market.login_failed({"TRDTIM_1": "Error 2"})


def test_the_options_are_read() -> None:
    read = options.read(
        {"host": "rtgw", "port": 51070, "accounts": "api_account", "client_id": 3, "route": '{"A": {}}'}
    )
    assert (read.host, read.port, read.accounts, read.silence) == ("rtgw", 51070, (), 10.0)
    assert options.read({"accounts": ["A.B.C.D"]}).accounts == ("A.B.C.D",)


@pytest.mark.parametrize(
    "wrong",
    [{"host": "a b"}, {"port": 0}, {"port": True}, {"port": "x"}, {"accounts": ["A.B"]}, {"accounts": 5},
     {"route": "{"}, {"timezone": "Mars"}, {"exchange": "nys"}, {"silence": 0}, {"silence": "x"}, {"rate": 0},
     {"hots": "x"}, {"patience": -1}],
)  # fmt: skip
def test_wrong_options_are_told_with_what_to_give(wrong: dict[str, Any]) -> None:
    (said,) = options.mistakes(wrong).values()
    assert said
    with pytest.raises(ValueError, match=next(iter(wrong))):
        options.read(wrong)


def test_a_date_that_comes_before_its_midnight_does_not_stop_the_clock_for_a_day() -> None:
    clock = VenueClock()
    for second in range(120):
        ours = NOW + timedelta(seconds=second)
        clock.tick(ours + timedelta(days=1 if second in (50, 51) else 0), ours)
        assert clock.now(ours) == ours


def test_a_clock_that_is_first_seen_far_ahead_is_the_clock() -> None:
    clock = VenueClock()
    clock.tick(NOW + timedelta(days=300), NOW)
    assert clock.now(NOW) == NOW + timedelta(days=300)


def test_a_feed_that_runs_faster_is_followed() -> None:
    clock = VenueClock()
    for second in range(60):
        clock.tick(NOW + timedelta(seconds=10 * second), NOW + timedelta(seconds=second))
    ours = NOW + timedelta(seconds=60)
    assert timedelta(0) <= NOW + timedelta(seconds=600) - clock.now(ours) <= timedelta(seconds=40)


def test_many_bars_are_asked_for_piece_by_piece_and_none_is_missed() -> None:
    assert market.spans(MINUTE, NOW, NOW + timedelta(days=60)) == [(NOW, NOW + timedelta(days=60))]
    assert len(market.spans(DAY, NOW, NOW + timedelta(days=3000))) == 1
    for count, days in ((1, 61), (1, 365), (5, 3650)):
        end = NOW + timedelta(days=days, minutes=7)
        found = market.spans(Period(count, Unit.MINUTE), NOW, end)
        assert (found[0][0], found[-1][1]) == (NOW, end)
        assert all(last - first <= timedelta(days=60 * count) for first, last in found)
        assert all(later[0] == earlier[1] - timedelta(days=1) for earlier, later in itertools.pairwise(found))


def test_a_quote_that_goes_away_is_told() -> None:
    prices = Prices("IBM", ZONE)
    prices.begin({"BID": "10", "BIDSIZE": 5, "ASK": "11", "ASKSIZE": 5}, NOW)
    (gone,) = prices.changed({"BID": "Error 2", "BIDSIZE": 0, "ASK": "Error 2", "ASKSIZE": 0}, NOW)
    assert gone == Quote("IBM", D(0), D(0), D(0), D(0), NOW)
