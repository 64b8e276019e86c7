"""The paper broker as a gateway meets it: over its contract, on the synthetic market."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

from txgateway.brokers import Broker, Can
from txgateway.brokers.paper import PaperBroker
from txgateway.brokers.paper.book import BookError
from txgateway.brokers.paper.broker import DuplicateOrder, depth_of
from txgateway.model.errors import BadArgument, Reason, Refused, Unsupported
from txgateway.model.events import OrderAccepted, VenueStatusChanged
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Period, Quote, Statistics, Trade, Unit
from txgateway.model.order import OrderStatus

D = Decimal
MINUTE = timedelta(minutes=1)
Open = Callable[..., Any]


# life


def test_start_and_stop_are_told(open_venue: Open) -> None:
    venue = open_venue()
    venue.broker.startService()
    venue.broker.stopService()
    venue.broker.stopService()
    assert [each.status for each in venue.told] == ["CONNECTING", "RECONCILING", "STOPPING", "DOWN"]
    assert not venue.clock.getDelayedCalls()


def test_nothing_is_done_before_the_start(make_venue: Open, tmp_path: Path) -> None:
    venue = make_venue()
    assert list(venue.broker.accounts()) == ["API_ACCOUNT", "PAPER_CASH"]
    assert venue.broker.now() == venue.time()
    assert list(tmp_path.iterdir()) == []
    venue.broker.subscribe("IBM")
    for work in (venue.broker.submit(venue.order()), venue.broker.open_orders(), venue.broker.instrument("IBM")):
        with pytest.raises(Refused) as caught:
            venue.do(work)
        assert caught.value.reason is Reason.VENUE_DOWN


def test_wrong_settings_are_an_error_at_once(make_venue: Open) -> None:
    with pytest.raises(ValueError, match="Paper option feed"):
        make_venue(feed="nothing")


def test_files_that_are_not_there_are_an_error_at_the_start(make_venue: Open) -> None:
    venue = make_venue(feed="replay:/no/such/file")
    with pytest.raises(ValueError, match="/no/such/file"):
        venue.broker.startService()
    assert [each.status for each in venue.told] == ["CONNECTING", "DOWN"]


def test_a_second_process_cannot_take_the_book(open_venue: Open, make_venue: Open) -> None:
    open_venue()
    with pytest.raises(BookError, match="no other txgatewayd"):
        make_venue().broker.startService()


def test_it_claims_what_it_can(venue: Any) -> None:
    cannot = Can.BALANCE_STREAM | Can.RAW | Can.OCO | Can.BRACKET | Can.PRIMARY_EXCHANGE
    cannot |= Can.FUNDING | Can.LEVERAGE | Can.POSITION_MODE | Can.RATE_LIMITS
    assert ~venue.broker.can == cannot


# orders


def test_a_market_order_of_a_hundred_fills_within_the_call(venue: Any) -> None:
    for symbol in ("IBM", "AAPL", "F", "SPY"):
        order = venue.send("BUY", 100, symbol)
        assert venue.kinds(order) == ["OrderAccepted", "Executed"]
    quote = venue.quote()
    (fill,) = venue.fills(venue.send("SELL", 100))
    assert fill.price == quote.bid
    assert fill.time == venue.broker.now()


def test_an_order_meets_the_quote_of_its_moment_not_the_last_one_shown(venue: Any) -> None:
    venue.clock.rightNow += 7.3  # time goes on, and the reactor is late
    (fill,) = venue.fills(venue.send("BUY", 100))
    quote = venue.quote()
    assert quote.time == venue.time().replace(microsecond=0)
    assert fill.price == quote.ask
    names = [type(each).__name__ for each in venue.told[-4:]]
    assert names == ["Quote", "Trade", "OrderAccepted", "Executed"]


def test_a_second_submit_is_refused_loudly_and_changes_nothing(venue: Any, logged: Any) -> None:
    order = venue.send("BUY", 100)
    before = venue.cash()
    with pytest.raises(DuplicateOrder):
        venue.do(venue.broker.submit(order))
    logged.expect("came a second time (submit)")
    assert venue.broker.duplicates == 1
    assert len(venue.fills()) == 1
    assert venue.cash() == before
    resting = venue.send("BUY", 100, limit=1)
    with pytest.raises(DuplicateOrder):
        venue.do(venue.broker.submit(resting))
    logged.expect("came a second time (submit)")
    assert venue.broker.duplicates == 2


def test_duplicates_are_remembered(open_venue: Open, logged: Any) -> None:
    venue = open_venue()
    order = venue.send("BUY", 100)
    venue.broker.stopService()
    again = open_venue()
    with pytest.raises(DuplicateOrder):
        again.do(again.broker.submit(order))
    logged.expect("came a second time (submit)")
    again.broker.stopService()
    assert open_venue().broker.duplicates == 1


def test_tickets_are_released_once(venue: Any, logged: Any) -> None:
    order = venue.send("BUY", 100, tag="desk")
    assert venue.kinds(order) == ["OrderAccepted"]
    (shown,) = venue.do(venue.broker.open_orders())
    assert shown.status is OrderStatus.STAGED
    venue.do(venue.broker.release(order))
    assert venue.kinds(order) == ["OrderAccepted", "OrderAccepted", "Executed"]
    with pytest.raises(DuplicateOrder):
        venue.do(venue.broker.release(order))
    logged.expect("came a second time (release)")
    ended = venue.send("BUY", 100, tag="desk")
    venue.do(venue.broker.cancel(ended))
    for ticket, reason in ((ended, Reason.NOT_A_TICKET), (venue.order(tag="x"), Reason.NO_SUCH_ORDER)):
        with pytest.raises(Refused) as caught:
            venue.do(venue.broker.release(ticket))
        assert caught.value.reason is reason


def test_a_resting_order_fills_when_the_market_comes_to_it(venue: Any) -> None:
    bid = venue.quote().bid
    order = venue.send("SELL", 100, limit=bid + D("0.05"), tif="GTC")
    for _ in range(3600):
        venue.clock.advance(1)
        if venue.fills(order):
            break
    (fill,) = venue.fills(order)
    assert fill.price == venue.quote().bid >= bid + D("0.05")
    assert fill.time == venue.quote().time


def test_an_order_expires_at_the_end_of_the_local_day(open_venue: Open) -> None:
    venue = open_venue(datetime(2024, 3, 2, 4, 59, 0, tzinfo=UTC))
    order = venue.send("BUY", 100, limit=1)
    venue.clock.advance(59)
    assert venue.kinds(order) == ["OrderAccepted"]
    venue.clock.advance(1)
    assert venue.kinds(order) == ["OrderAccepted", "OrderExpired"]
    assert venue.events(order)[-1].time == datetime(2024, 3, 2, 5, tzinfo=UTC)


def test_no_symbol_ticks_that_nobody_needs(open_venue: Open) -> None:
    venue = open_venue()
    venue.send("BUY", 100)
    venue.clock.advance(2)
    assert not venue.clock.getDelayedCalls()
    order = venue.send("BUY", 100, limit=1)
    venue.clock.advance(2)
    assert venue.clock.getDelayedCalls()
    assert not [each for each in venue.told if isinstance(each, Quote)], "nobody subscribed it"
    venue.do(venue.broker.cancel(order))
    venue.clock.advance(2)
    assert not venue.clock.getDelayedCalls()


def test_a_command_out_of_a_report_is_told_after_it(open_venue: Open) -> None:
    venue = open_venue()
    venue.broker.subscribe("IBM")

    def hear(event: Any) -> None:
        venue.told.append(event)
        if isinstance(event, OrderAccepted) and event.order_id == first.order_id:
            venue.do(venue.broker.cancel(first))
            venue.send("SELL", 1, limit=1)

    venue.broker._setup = replace(venue.broker._setup, report=hear)
    first = venue.order("BUY", 5000)
    venue.do(venue.broker.submit(first))
    assert venue.kinds() == ["OrderAccepted", "Executed", "OrderCanceled", "OrderAccepted", "Executed"]
    assert [each.order_id for each in venue.events()[:3]] == [first.order_id] * 3


def test_a_report_that_fails_stops_nothing(open_venue: Open, logged: Any) -> None:
    venue = open_venue()

    def hear(event: Any) -> None:
        venue.told.append(event)
        raise RuntimeError("deaf")

    venue.broker._setup = replace(venue.broker._setup, report=hear)
    order = venue.send("BUY", 100)
    assert venue.kinds(order) == ["OrderAccepted", "Executed"]
    for _ in range(2):
        logged.expect("A report was not taken")
    venue.broker._setup = replace(venue.broker._setup, report=venue.hear)


# latency


def test_commands_arrive_after_the_latency_in_order(open_venue: Open) -> None:
    venue = open_venue(latency="0.25")
    order = venue.order("BUY", 100, limit=1)
    sent = venue.begin(venue.broker.submit(order))
    venue.clock.advance(0.125)
    canceled, found = venue.begin(venue.broker.cancel(order)), venue.begin(venue.broker.lookup(order))
    venue.clock.advance(0.0625)
    assert venue.kinds() == []
    assert (sent, canceled) == ([], [])
    venue.clock.advance(0.0625)
    assert venue.kinds() == ["OrderAccepted"]
    assert (sent, found) == ([None], [])
    venue.clock.advance(0.125)
    assert venue.kinds() == ["OrderAccepted", "OrderCanceled"]
    assert found[0].status is OrderStatus.CANCELED, "a question arrives behind the orders that were sent before it"


def test_what_is_on_its_way_arrives_before_the_end(open_venue: Open) -> None:
    venue = open_venue(latency="5")
    order = venue.order("BUY", 100)
    sent = venue.begin(venue.broker.submit(order))
    venue.broker.stopService()
    assert sent == [None]
    assert venue.kinds(order) == ["OrderAccepted", "Executed"]
    assert not venue.clock.getDelayedCalls()


def test_a_late_duplicate_is_loud_too(open_venue: Open, logged: Any) -> None:
    venue = open_venue(latency="0.25")
    order = venue.send("BUY", 100)
    with pytest.raises(DuplicateOrder):
        venue.do(venue.broker.submit(order))
    logged.expect("came a second time")
    assert venue.broker.duplicates == 1


# questions


def test_instruments_have_rules_names_and_raw_fields(venue: Any) -> None:
    ibm = venue.do(venue.broker.instrument("IBM"))
    assert (ibm.fullname, ibm.cusip) == ("International Business Machines Corporation", "459200101")
    assert (ibm.venue, ibm.tick_size, ibm.lot_size, ibm.shortable) == ("paper", D("0.01"), 1, True)
    assert ibm.session.always
    assert ibm.raw["STARTTIME"] == "09:30:00"
    assert ibm.raw["STOPTIME"] == "16:00:00"
    assert {"DISP_NAME", "COMPANY_NAME", "CUSIP", "CURRENCY", "EXCHANGE"} <= set(ibm.raw)
    bitcoin = venue.do(venue.broker.instrument("BTCUSD"))
    assert (bitcoin.asset_class, bitcoin.lot_size, bitcoin.shortable) == (AssetClass.CRYPTO, D("0.0001"), False)
    assert venue.do(venue.broker.instrument("NOSUCH")) is None
    assert len(venue.do(venue.broker.instruments())) >= 50


def test_balances_and_positions_are_those_of_the_executions(venue: Any) -> None:
    venue.send("BUY", 100)
    venue.send("SELL", 30)
    venue.send("SELL_SHORT", 10, "AAPL")
    spent = sum(fill.signed_quantity * fill.price + fill.commission for fill in venue.fills())
    assert venue.cash() == 10_000_000 - spent
    positions = {each.symbol: each.quantity for each in venue.do(venue.broker.positions())}
    assert positions == {"IBM": 70, "AAPL": -10}
    assert venue.cash("PAPER_CASH") == 10_000_000
    with pytest.raises(Refused, match="no account NOBODY"):
        venue.do(venue.broker.balances("NOBODY"))


def test_the_book_knows_every_order(venue: Any) -> None:
    filled, rejected = venue.send("BUY", 100), venue.send("BUY", 10**9)
    resting = venue.send("BUY", 100, limit="1.50", stop="900", tif="GTC")
    report = venue.do(venue.broker.lookup(filled))
    assert (report.order_id, report.broker_order_id, report.status) == (filled.order_id, "P000001", OrderStatus.FILLED)
    assert report.filled_quantity == 100
    assert report.average_price == venue.fills(filled)[0].price
    report = venue.do(venue.broker.lookup(rejected))
    assert (report.status, report.reason) == (OrderStatus.REJECTED, Reason.INSUFFICIENT_FUNDS)
    (report,) = venue.do(venue.broker.open_orders())
    assert report == venue.do(venue.broker.lookup(resting))
    assert (report.limit_price, report.stop_price, report.time_in_force) == (D("1.50"), 900, "GTC")
    assert venue.do(venue.broker.lookup(venue.order())) is None


def test_executions_are_given_after_a_moment(venue: Any) -> None:
    times = []
    for _ in range(5):
        venue.clock.advance(10)
        venue.send("BUY", 1)
        times.append(venue.broker.now())
    everything = list(venue.do(venue.broker.executions(None)))
    assert everything == venue.fills()
    assert list(venue.do(venue.broker.executions(times[2]))) == everything[3:]
    assert list(venue.do(venue.broker.executions(times[2] - timedelta(microseconds=1)))) == everything[2:]
    assert list(venue.do(venue.broker.executions(times[4]))) == []


def test_thousands_of_executions_come_in_slices(venue: Any) -> None:
    for _ in range(1201):
        venue.clock.advance(1)
        venue.send("BUY", 1)
    assert list(venue.do(venue.broker.executions(None))) == venue.fills()


# market data


def test_a_subscription_tells_the_present_first_and_then_every_tick(open_venue: Open) -> None:
    venue = open_venue()
    venue.told.clear()
    venue.broker.subscribe("IBM")
    assert [type(each) for each in venue.told] == [Statistics, Quote, Trade]
    figures, quote, trade = venue.told
    assert figures.low <= trade.price <= figures.high
    assert figures.volume > trade.size
    assert quote.tradable
    venue.later(2)
    assert [type(each) for each in venue.told[3:]] == [Quote, Trade] * 2
    venue.broker.subscribe("IBM")
    assert [type(each) for each in venue.told[7:]] == [Statistics, Quote, Trade], "asked again, told again"
    venue.broker.unsubscribe("IBM")
    venue.told.clear()
    venue.clock.advance(5)
    assert venue.told == []
    venue.broker.subscribe("NOSUCH")
    venue.broker.unsubscribe("NOSUCH")
    assert venue.told == []


def test_ticks_come_at_whole_multiples_of_the_interval(open_venue: Open) -> None:
    venue = open_venue(datetime(2024, 3, 1, 15, 0, 0, 300_000, tzinfo=UTC), interval="0.5")
    venue.broker.subscribe("IBM")
    venue.later(1, step=0.1)
    times = [each.time.microsecond for each in venue.told if isinstance(each, Quote)]
    assert times == [0, 500_000, 0]


def test_the_clock_may_start_at_another_time(open_venue: Open) -> None:
    venue = open_venue(start="2020-02-03T09:00:00-05:00")
    assert venue.broker.now() == datetime(2020, 2, 3, 14, tzinfo=UTC)
    venue.clock.advance(90)
    assert venue.broker.now() == datetime(2020, 2, 3, 14, 1, 30, tzinfo=UTC)
    (fill,) = venue.fills(venue.send("BUY", 100))
    assert fill.time == venue.broker.now()


def test_bars_of_the_past_are_what_was_live_then(open_venue: Open, tmp_path: Path) -> None:
    venue = open_venue(datetime(2024, 3, 1, 14, 50, tzinfo=UTC))
    venue.broker.subscribe("IBM")
    venue.later(300)
    trades = [each for each in venue.told if isinstance(each, Trade)]
    later = open_venue(datetime(2024, 3, 1, 15, 5, tzinfo=UTC), tmp_path / "other")
    start = datetime(2024, 3, 1, 14, 50, tzinfo=UTC)
    bars = later.do(later.broker.bars("IBM", Period(1, Unit.MINUTE), start, start + 5 * MINUTE))
    for number, bar in enumerate(bars):
        minute = [each for each in trades if start + number * MINUTE <= each.time < start + (number + 1) * MINUTE]
        assert (bar.open, bar.close) == (minute[0].price, minute[-1].price)
        assert (bar.high, bar.low) == (max(each.price for each in minute), min(each.price for each in minute))
        assert bar.volume == sum(each.size for each in minute)
    assert len(bars) == 5


def test_the_running_bar_is_that_of_the_moment_it_is_given(venue: Any) -> None:
    end = venue.time() + MINUTE
    results: list[Any] = []
    bars = venue.broker.bars("IBM", Period(1, Unit.MINUTE), end - timedelta(days=1), end)
    Deferred.fromCoroutine(bars).addCallback(results.extend)
    while not results:
        venue.clock.rightNow += 0.4  # the market goes on while the bars are made in slices
        venue.clock.step()
    trades = [each for each in venue.told if isinstance(each, Trade)]
    assert len(trades) > 2
    assert sum(each.volume for each in results[-1:]) == sum(each.size for each in trades)
    assert results[-1].close == trades[-1].price


@pytest.mark.parametrize(
    ("period", "days", "count"),
    [
        (Period(5, Unit.MINUTE), 1, 288),
        (Period(30, Unit.MINUTE), 2, 96),
        (Period(1, Unit.DAY), 30, 30),
        (Period(1, Unit.WEEK), 70, 10),
        (Period(1, Unit.MONTH), 366, 12),
    ],
)
def test_bars_come_in_every_period(venue: Any, period: Period, days: int, count: int) -> None:
    end = datetime(2024, 3, 1, 5, tzinfo=UTC)
    bars = venue.do(venue.broker.bars("IBM", period, end - timedelta(days=days), end))
    assert abs(len(bars) - count) <= 1
    assert [each.time for each in bars] == sorted({each.time for each in bars})
    single = venue.do(
        venue.broker.bars(
            "IBM", Period(1, Unit.MINUTE if period.unit is Unit.MINUTE else Unit.DAY), bars[0].time, bars[1].time
        )
    )
    assert bars[0].open == single[0].open
    assert bars[0].volume == sum(each.volume for each in single)


def test_longer_minutes_are_counted_from_the_opening(venue: Any) -> None:
    end = datetime(2024, 2, 29, 21, tzinfo=UTC)
    bars = venue.do(venue.broker.bars("IBM", Period(60, Unit.MINUTE), end - timedelta(hours=7), end))
    assert {(each.time.hour, each.time.minute) for each in bars} == {(hour, 30) for hour in range(14, 21)}


def test_too_many_bars_are_refused_with_a_sentence(venue: Any) -> None:
    end = venue.time()
    with pytest.raises(BadArgument, match="shorter"):
        venue.do(venue.broker.bars("IBM", Period(1, Unit.MINUTE), end - timedelta(days=80), end))
    with pytest.raises(Unsupported):
        venue.do(venue.broker.bars("IBM", Period(2, Unit.DAY), end - timedelta(days=80), end))
    assert venue.do(venue.broker.bars("NOSUCH", Period(1, Unit.DAY), end - timedelta(days=80), end)) == []


# a book that cannot be written


def test_nothing_is_told_that_is_not_in_the_book(venue: Any, logged: Any) -> None:
    book = venue.broker._book

    class Full:
        """A disk without room."""

        def execute(self, *_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    writer, book._writer = book._writer, Full()
    order = venue.send("BUY", 100)
    logged.expect("nothing is told until it can")
    assert venue.kinds() == []
    venue.clock.advance(1)
    logged.expect("nothing is told until it can")
    assert venue.kinds() == []
    with pytest.raises(DuplicateOrder):
        venue.do(venue.broker.submit(order))
    logged.expect("came a second time")
    book._writer = writer
    venue.clock.advance(1)
    assert venue.kinds(order) == ["OrderAccepted", "Executed"]
    assert list(venue.do(venue.broker.executions(None))) == venue.fills()


# the calendar


def test_a_calendar_closes_the_market(open_venue: Open) -> None:
    pytest.importorskip("exchange_calendars", reason="exchange_calendars is not installed")
    sunday = datetime(2024, 3, 3, 15, tzinfo=UTC)
    venue = open_venue(sunday, calendar="XNYS")
    venue.broker.subscribe("IBM")
    quote = venue.quote()
    assert quote.time == datetime(2024, 3, 1, 20, 59, 59, tzinfo=UTC)
    venue.clock.advance(5)
    assert venue.quote() is quote
    refused = venue.send("BUY", 100)
    assert venue.events(refused)[0].reason is Reason.MARKET_CLOSED
    resting = venue.send("BUY", 100, limit=quote.ask + 5)
    assert venue.kinds(resting) == ["OrderAccepted"]
    session = venue.do(venue.broker.instrument("IBM")).session
    assert (session.calendar, session.always) == ("XNYS", False)
    venue.clock.advance((datetime(2024, 3, 4, 14, 30, tzinfo=UTC) - venue.time()).total_seconds())
    assert venue.kinds(resting) == ["OrderAccepted", "Executed"]


def test_the_contract_is_kept_by_name() -> None:
    methods = [name for name in vars(Broker) if not name.startswith("_")]
    missing = {name for name in methods if not hasattr(PaperBroker, name)}
    assert missing == {
        *{"set_primary_exchange", "funding", "leverage", "set_leverage", "position_mode", "set_position_mode"},
        *{"call_endpoint", "rate_limits", "submit_bracket", "renames"},
    }, "they are not claimed"


def test_statuses_carry_the_walls_time(venue: Any) -> None:
    status = next(each for each in venue.told if isinstance(each, VenueStatusChanged))
    assert status.time == venue.begun
    assert status.venue == venue.broker.venue == "paper"


def test_warnings_are_told_of_orders_that_cannot_trade(open_venue: Open, write_csv: Open, logged: Any) -> None:
    venue = open_venue()
    order = venue.send("BUY", 100, limit=1, tif="GTC")
    venue.broker.stopService()
    path = write_csv("spy-t.csv", "time,price,size", [(1_381_132_800_000, 167, 100)])
    other = open_venue(feed=f"replay:{path}")
    logged.expect("IBM has open orders", LogLevel.warn)
    other.do(other.broker.cancel(order))
    assert other.kinds(order) == ["OrderCanceled"]


def test_its_book_is_one_level_of_each_side(venue: Any) -> None:
    venue.broker.subscribe("IBM")
    depth = venue.do(venue.broker.depth("IBM", 10))
    quote = venue.quote()
    assert [(each.price, each.size) for each in depth.bids] == [(quote.bid, quote.bid_size)]
    assert [(each.price, each.size) for each in depth.asks] == [(quote.ask, quote.ask_size)]
    assert venue.do(venue.broker.depth("NOSUCH", 10)) is None


def test_a_side_that_is_not_there_has_no_level(venue: Any) -> None:
    venue.broker.subscribe("IBM")
    quote = replace(venue.quote(), ask_size=D(0))
    assert [len(each) for each in (depth_of(quote).bids, depth_of(quote).asks)] == [1, 0]


def test_last_prices_are_those_that_a_listener_is_shown_and_begin_nothing(open_venue: Open) -> None:
    venue = open_venue()
    venue.broker.startService()
    told = len(venue.told)
    found = venue.do(venue.broker.last_prices(["TSLA", "NOSUCH", "IBM"]))
    assert [each.symbol for each in found] == ["TSLA", "IBM"]
    assert (venue.told[told:], venue.clock.getDelayedCalls()) == ([], [])
    venue.broker.subscribe("IBM")
    shown = next(each for each in venue.told if isinstance(each, Trade))
    assert (found[1].price, found[1].time) == (shown.price, shown.time)
    assert venue.do(venue.broker.last_prices(["IBM"])) == found[1:]
