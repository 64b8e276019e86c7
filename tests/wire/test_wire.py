"""txTrader's objects, to the byte: golden files, and the promises behind them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as some

from tests.wire.golden import FULL, objects, path_of, text_of
from tests.wire.nouns import EXECUTION, FLAGS, ID, INSTRUMENT, NEW_YORK, ORDERS, QUIET, TICKER
from txgateway import wire
from txgateway.model.errors import Reason, Refused
from txgateway.model.market import Quote, Ticker
from txgateway.model.order import OrderStatus


def words(text: str) -> set[str]:
    return set(text.split())


# The members that clients of the released server read, and those that came beside them.
TXTRADER_ORDER = words(
    "permid symbol cusip account quantity class type status filled remaining avgfillprice text origin updates raw"
)
OUR_ORDER = words(
    "order_status client_order_id broker_order_id venue side order_type limit_price stop_price time_in_force route "
    "owner reason commission created updated seq"
)
TXTRADER_EXECUTION = words(
    "ORDER_ID ORIGINAL_ORDER_ID ACCOUNT AVG_PRICE BUYORSELL CURRENCY CURRENT_STATUS DISP_NAME EXCHANGE EXIT_VEHICLE "
    "FILL_ID ORDER_RESIDUAL ORIGINAL_PRICE ORIGINAL_VOLUME PRICE PRICE_TYPE TIME_STAMP TIME_ZONE MARKET_TRD_DATE "
    "TRD_TIME VOLUME VOLUME_TRADED CUSIP"
)
WORDS = {
    "submitted": "Submitted",
    "accepted": "Accepted",
    "partly_filled": "Pending",
    "filled": "Filled",
    "canceled": "Cancelled",
    "expired": "Cancelled",
    "rejected": "Error",
    "denied": "Error",
    "unknown": "Submitted",
    "replacing": "Pending",
    "replaced": "Accepted",
    "ticket_staged": "Submitted",
    "ticket_released": "Accepted",
    "external": "Pending",
}


@pytest.mark.parametrize("name", objects())
def test_golden(name: str) -> None:
    assert text_of(objects()[name]) == path_of(name).read_text()


def test_every_golden_file_is_of_an_object() -> None:
    assert {path.stem for path in path_of("x").parent.glob("*.json")} == set(objects())


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_has_every_member_and_the_right_word(name: str) -> None:
    shown = wire.order(ORDERS[name])
    assert set(shown) - {"errorMsg"} == TXTRADER_ORDER | OUR_ORDER
    assert shown["status"] == WORDS[name] == wire.status_of(ORDERS[name].status)
    assert ("errorMsg" in shown) == (shown["status"] == "Error")
    assert shown["permid"] == ID == shown["raw"]["ORIGINAL_ORDER_ID"]
    assert all(name.isupper() for name in shown["raw"])
    assert shown["filled"] + shown["remaining"] == pytest.approx(shown["quantity"])


def test_every_status_has_a_word_of_txtraders() -> None:
    words = {wire.status_of(status) for status in OrderStatus}
    assert words <= {"Submitted", "Pending", "Accepted", "Filled", "Cancelled", "Changed", "Error"}


def test_a_doubted_order_is_not_an_error() -> None:
    """A client that reads Error sends again."""
    assert wire.status_of(OrderStatus.UNKNOWN) == "Submitted"


def test_the_first_type_tells_tickets_from_orders() -> None:
    assert wire.order(ORDERS["filled"])["type"] == "UserSubmitOrder"
    assert wire.order(ORDERS["ticket_released"])["type"] == "UserSubmitStagedOrder"
    assert wire.order_class(ORDERS["ticket_released"]) == "ticket"


def test_a_replayed_order_says_so() -> None:
    assert wire.order(ORDERS["filled"], replayed=True)["replayed"] is True
    assert "replayed" not in wire.order(ORDERS["filled"])


def test_who_sends_a_refused_order_again_is_told_that_the_key_is_used_up() -> None:
    first = wire.order(ORDERS["rejected"])
    again = wire.order(ORDERS["rejected"], replayed=True)
    assert first["errorMsg"] == "Not enough cash."
    assert again["errorMsg"].startswith("Not enough cash. Nothing was sent now: ")
    assert repr(first["client_order_id"]) in again["errorMsg"]
    assert again["errorMsg"].endswith("use a new one.")
    assert {**first, "replayed": True} == {**again, "errorMsg": first["errorMsg"]}


def test_an_execution_has_every_member() -> None:
    assert set(wire.execution(EXECUTION, FLAGS)) >= TXTRADER_EXECUTION
    assert wire.execution(EXECUTION, FLAGS)["seq"] == EXECUTION.seq


def test_local_times_follow_the_zone_through_daylight_saving() -> None:
    before, after = datetime(2013, 11, 3, 5, 59, 59, tzinfo=UTC), datetime(2013, 11, 3, 6, 0, tzinfo=UTC)
    assert wire.local_time(before, NEW_YORK) == "2013-11-03 01:59:59"
    assert wire.local_time(after, NEW_YORK) == "2013-11-03 01:00:00"
    assert wire.local_time(after, pytz.timezone("Asia/Kathmandu")) == "2013-11-03 11:45:00"


@given(
    some.integers(315_532_800, 2_082_758_400),
    some.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_local_times_are_those_of_the_zone(moment: int, zone: str) -> None:
    aware, named = datetime.fromtimestamp(moment, UTC), pytz.timezone(zone)
    assert wire.local_time(aware, named) == aware.astimezone(named).strftime("%Y-%m-%d %H:%M:%S")


def test_iso_times_are_utc() -> None:
    assert wire.iso(datetime(2013, 10, 7, 13, 31, tzinfo=UTC)) == "2013-10-07T13:31:00Z"


# numbers


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("100", b"100"),
        ("100.00", b"100"),
        ("0", b"0"),
        ("1E+3", b"1000"),
        ("0.5", b"0.5"),
        ("-0.123", b"-0.123"),
        ("9007199254740993", b"9007199254740993"),
    ],
)
def test_whole_sizes_are_integers(size: str, text: bytes) -> None:
    assert wire.dumps(wire.number(D(size))) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("183.1", b"183.1"),
        ("183.10", b"183.1"),
        ("183", b"183.0"),
        ("0.00000001", b"1e-8"),
        ("609.99899999", b"609.99899999"),
    ],
)
def test_prices_are_floats_of_the_decimals_own_digits(price: str, text: bytes) -> None:
    assert wire.dumps(wire.price(D(price))) == text


@given(some.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_no_digit_of_a_price_is_lost_or_made_up(price: D) -> None:
    assert D(wire.dumps(wire.price(price)).decode()) == price


# symbols


def test_the_flags_choose_a_symbols_members() -> None:
    plain = {"symbol", "fullname", "cusip", "last", "size", "volume", "open", "close", "vwap", "tradetime"}
    assert set(wire.symbol(TICKER, wire.Flags(NEW_YORK, high_low=False))) == plain
    assert set(wire.symbol(TICKER, FLAGS)) == plain | {"high", "low"}
    assert set(wire.symbol(TICKER, FULL)) == plain | {"high", "low", "bid", "bidsize", "ask", "asksize", "bars"}


def test_what_the_market_has_not_shown_is_zero() -> None:
    shown = wire.symbol(QUIET, FULL)
    assert (shown["last"], shown["bid"], shown["size"], shown["high"], shown["bars"]) == (0.0, 0.0, 0, 0.0, [])


def test_fields_give_exactly_those() -> None:
    assert wire.symbol(QUIET, FLAGS, ["BID", "STOPTIME"]) == {"BID": "", "STOPTIME": "16:00:00"}
    assert "symbol" in wire.symbol(QUIET, FLAGS, [])


# lines


def test_lines() -> None:
    assert wire.order_note(ORDERS["filled"]) == f"order.{ID} API_ACCOUNT ExchangeTradeOrder Filled"
    assert wire.order_note(ORDERS["ticket_staged"]) == f"ticket.{ID} API_ACCOUNT UserSubmitStagedOrder Submitted"
    assert wire.execution_note(EXECUTION) == f"execution.E-1 API_ACCOUNT {ID} COMPLETED"
    assert TICKER.quote is not None
    assert wire.quote_line("IBM", TICKER.quote) == "quote.IBM:183.1 500 183.12 300.5"
    assert wire.trade_line("IBM", D("183.110"), D(100), D(123456)) == "trade.IBM:183.11 100 123456"


# refusals


def test_a_refusal_names_its_code_and_order() -> None:
    refused = Refused(Reason.NOT_WORKING, "Order X is FILLED: nothing to cancel.", "X")
    assert wire.refusal(refused) == {
        "status": "Error",
        "errorMsg": "Order X is FILLED: nothing to cancel.",
        "reason": "NOT_WORKING",
        "permid": "X",
    }


def test_an_unknown_order_is_answered_as_the_released_server_does() -> None:
    shown = wire.refusal(Refused(Reason.NO_SUCH_ORDER, "Order not found", "nonsense"))
    assert shown.items() >= {"status": "Error", "errorMsg": "Order not found", "id": "nonsense"}.items()
    assert "permid" not in shown


@pytest.mark.parametrize(
    ("route", "vehicle"),
    [
        ("DEMO", "DEMO"),
        ('"DEMO"', "DEMO"),
        ('{"SMART": null}', "SMART"),
        ('{"A": {"B": 1}}', "A"),
        ("{broken", "{broken"),
        ("", ""),
    ],
)
def test_a_routes_name_is_the_exit_vehicle(route: str, vehicle: str) -> None:
    import dataclasses

    order = dataclasses.replace(ORDERS["accepted"], route=route)
    assert wire.order(order)["raw"]["EXIT_VEHICLE"] == vehicle


def test_everything_shown_is_json() -> None:
    for value in objects().values():
        assert json.loads(wire.dumps(value)) == json.loads(json.dumps(value))


def test_a_ticker_without_quote_or_trade_has_no_live_fields() -> None:
    one_sided = Ticker(name="IBM", instrument=INSTRUMENT, quote=Quote("IBM", D(0), D(0), D(5), D(1), datetime.now(UTC)))
    shown: dict[str, Any] = wire.symbol(one_sided, FLAGS, ["BID", "ASK", "TRDPRC_1"])
    assert shown == {"BID": 0.0, "ASK": 5.0, "TRDPRC_1": ""}
