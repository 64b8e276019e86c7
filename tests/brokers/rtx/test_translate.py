"""Fields: what goes out cannot become another order, what comes in is taken for what it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.rtx.nouns import ACCOUNT, NOW, ZONE, make_order, order_rows, rows
from txgateway.brokers.rtx.protocol import BadCommand, line, poke
from txgateway.brokers.rtx.translate import (
    account_report,
    cancel_fields,
    change_fields,
    moment,
    number,
    order_row,
    positions,
    read_route,
    release_fields,
    submit_fields,
    text,
    to_number,
    written,
)
from txgateway.model.account import Position
from txgateway.model.order import OrderType, Side, TimeInForce

D = Decimal
DEMO = ("DEMO", ())
COMMON = "BANK=DEMO,BRANCH=TEST,CUSTOMER=CLIENT,DEPOSIT=MARGIN,"


def test_a_limit_order_is_written() -> None:
    assert written(submit_fields(make_order(), DEMO, "NYS")) == (
        COMMON
        + "BUYORSELL=Buy,GOOD_UNTIL=DAY,EXIT_VEHICLE=DEMO,DISP_NAME=IBM,STYP=1,EXCHANGE=NYS,PRICE_TYPE=AsEntered,"
        "PRICE=185.5,VOLUME_TYPE=AsEntered,VOLUME=100,CLIENT_ORDER_ID=A1B2C3D4E5F6G7H8J9K0,TYPE=UserSubmitOrder"
    )


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        (OrderType.MARKET, {"PRICE_TYPE": "Market"}),
        (OrderType.STOP, {"PRICE_TYPE": "Stop", "STOP_PRICE": "190"}),
        (OrderType.STOP_LIMIT, {"PRICE_TYPE": "StopLimit", "STOP_PRICE": "190", "PRICE": "185.5"}),
    ],
)
def test_the_other_types_are_written(kind: OrderType, prices: dict[str, str]) -> None:
    fields = dict(submit_fields(make_order(order_type=kind, stop_price=D("190.00")), DEMO, "NYS"))
    assert {name: fields[name] for name in ("PRICE_TYPE", "STOP_PRICE", "PRICE") if name in fields} == prices


@pytest.mark.parametrize(
    ("lasting", "good_until", "volume_type"),
    [("DAY", "DAY", "AsEntered"), ("GTC", "GTC", "AsEntered"), ("IOC", "IOC", "AsEntered"), ("FOK", "IOC", "AON")],
)
def test_the_times_in_force_are_written(lasting: str, good_until: str, volume_type: str) -> None:
    order = make_order(time_in_force=TimeInForce(lasting))
    fields = dict(submit_fields(order, DEMO, "NYS"))
    assert (fields["GOOD_UNTIL"], fields["VOLUME_TYPE"]) == (good_until, volume_type)
    back = order_row({**fields, "ORDER_ID": "1"}, ZONE)
    assert back is not None
    assert back.time_in_force is order.time_in_force


def test_tickets_releases_changes_and_cancels_are_written() -> None:
    ticket = make_order(tag="desk", side=Side.SELL_SHORT)
    staged = dict(submit_fields(ticket, DEMO, "NYS"))
    assert (staged["TYPE"], staged["ORDER_TAG"], staged["BUYORSELL"]) == ("UserSubmitStagedOrder", "desk", "SellShort")
    released = dict(release_fields(ticket, "001", "A-R", DEMO, "NYS"))
    assert (released["TYPE"], released["TICKET_ID"], released["CLIENT_ORDER_ID"]) == ("UserSubmitOrder", "001", "A-R")
    changed = dict(change_fields(make_order(asked_quantity=D(200)), "001", DEMO, "NYS"))
    assert (changed["TYPE"], changed["REFERS_TO_ID"]) == ("UserSubmitChange", "001")
    assert (changed["VOLUME"], changed["PRICE"]) == ("200", "185.5"), "what is not asked for stays"
    assert "CLIENT_ORDER_ID" not in changed
    assert written(cancel_fields("001")) == "TYPE=UserSubmitCancel,REFERS_TO_ID=001"


def test_a_route_is_a_name_or_has_parameters() -> None:
    assert read_route("DEMO", "X") == read_route('"DEMO"', "X") == read_route('{"DEMO": null}', "X") == DEMO
    assert read_route("", "DEMO") == DEMO
    words = json.dumps({"ALGO": {"STRAT_NAME": "VWAP", "STRAT_PARAMETERS": {"Rate": 0.25, "End": "16:00"}, "STYP": 2}})
    name, parameters = read_route(words, "")
    assert name == "ALGO"
    assert dict(parameters) == {
        "STRAT_NAME": "VWAP",
        "STRAT_PARAMETERS": "Rate\x1f0.25\x01End\x1f16:00\x01",
        "STYP": "2",
    }
    fields = submit_fields(make_order(), (name, parameters), "NYS")
    assert [value for field, value in fields if field == "STYP"] == ["2"], (
        "a field that the route gives is not there twice"
    )
    assert line("poke", "ID", poke("ORDERS", written(fields)).item).count(b"\n") == 1


@pytest.mark.parametrize(
    "route",
    ['{"A": 1}', '{"A": {}, "B": {}}', "{", "{}", '{"A": {"VOLUME": 1000}}', '{"A": {"BUYORSELL": "Sell"}}',
     '{"A": {"X": "1,VOLUME=9"}}', '{"A": {"X": "a\\nb"}}', '{"A": {"x": 1}}', '{"A": {"X": null}}',
     '{"A": {"X": true}}', "[]", '["A"]',
     '{"A": {"STRAT_PARAMETERS": "x"}}', '{"A": {"STRAT_PARAMETERS": {"a": "b\\u0001c"}}}', "A,B", "A!B", '""',
     '{"A": {"X": {"y": 1}}}', '{"A": {"X": NaN}}'],
)  # fmt: skip
def test_a_route_that_would_be_another_order_is_none(route: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_route(route, "")


@pytest.mark.parametrize(
    "terms",
    [{"tag": "x,VOLUME=1000000"}, {"tag": "a\nb"}, {"symbol": "IBM,VOLUME=9"}, {"symbol": "I'BM"}, {"symbol": ""},
     {"account": "A.B.C"}, {"account": "A.B.C.D,E=F"}, {"account": "A..C.D"}, {"symbol": "A=B"}],
)  # fmt: skip
def test_no_value_can_become_a_field(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        submit_fields(make_order(**terms), DEMO, "NYS")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=30))
def test_whatever_clients_name_there_is_one_volume(symbol: str, tag: str, value: str) -> None:
    try:
        route = read_route(json.dumps({"R": {"X": value, "STRAT_PARAMETERS": {value: tag}}}), "")
        item = written(submit_fields(make_order(symbol=symbol, tag=tag), route, "NYS"))
        sent = line("poke", "ID", poke("ORDERS", item).item)
    except (ValueError, BadCommand):
        return
    assert sent.count(b"\n") == 1
    names = [field.split("=")[0] for field in item.split(",")]
    assert len(names) == len(set(names))
    assert dict(field.split("=", 1) for field in item.split(","))["VOLUME"] == "100"


def test_fields_without_a_value() -> None:
    row = {"A": "Error 2", "B": None, "C": " x ", "D": "error 17", "E": 5, "F": True, "G": "NaN", "H": "1e3", "I": []}
    assert [text(row, name) for name in "ABCDEI"] == ["", "", "x", "", "5", ""]
    assert [number(row, name) for name in "ABCEFGHI"] == [None, None, None, D(5), None, None, D(1000), None]


@given(st.none() | st.booleans() | st.integers() | st.text() | st.decimals() | st.lists(st.integers()))
def test_any_value_is_a_finite_number_or_none(value: Any) -> None:
    found = to_number(value)
    assert found is None or found.is_finite()


@given(st.text(max_size=12) | st.none() | st.integers(), st.text(max_size=12) | st.none() | st.integers())
def test_any_words_are_a_time_or_none(day: Any, clock: Any) -> None:
    found = moment(day, clock, ZONE)
    assert found is None or found.tzinfo is not None


def test_times_are_of_the_feeds_zone() -> None:
    assert moment("2024-3-1", "10:00:01", ZONE) == datetime(2024, 3, 1, 15, 0, 1, tzinfo=UTC)
    assert moment("2024/07/01", "10:00:01.25", ZONE) == datetime(2024, 7, 1, 14, 0, 1, tzinfo=UTC)


def test_an_order_is_read() -> None:
    pending, _, _, fill, *_ = order_rows("filled")
    assert pending.is_main
    assert not fill.is_main
    assert (pending.client_id, pending.broker_id) == ("A1B2C3D4E5F6G7H8J9K0", "41956d5b-5f7-0001")
    assert (pending.account, pending.symbol, pending.side, pending.quantity) == (ACCOUNT, "IBM", Side.BUY, D(100))
    assert (pending.order_type, pending.price, pending.time) == (OrderType.LIMIT, D("185.50"), NOW.replace(second=1))
    assert (fill.row_id, fill.quantity, fill.price, fill.average) == (
        "41956d5b-5f7-0003",
        D(40),
        D("185.49"),
        D("185.49"),
    )


ANY_FIELD = st.sampled_from(
    ["ORDER_ID", "TYPE", "VOLUME", "PRICE", "BUYORSELL", "GOOD_UNTIL", "TRD_TIME", "MARKET_TRD_DATE", "CURRENT_STATUS"]
)
ANY_VALUE = st.none() | st.text(max_size=10) | st.integers() | st.booleans() | st.lists(st.integers())


@given(st.dictionaries(ANY_FIELD, ANY_VALUE))
def test_any_row_is_read_or_left(row: dict[str, Any]) -> None:
    found = order_row(row, ZONE)
    assert found is None or (found.broker_id and found.kind)


def test_positions_are_long_less_short() -> None:
    account, *held = rows("account")
    assert positions("rtx", held, [ACCOUNT]) == [
        Position("rtx", ACCOUNT, "IBM", D(150)),
        Position("rtx", ACCOUNT, "AAPL", D(-30)),
    ]
    assert positions("rtx", held, ["another.account.is.meant"]) == []
    report = account_report(ACCOUNT, account)
    assert report is not None
    assert (report.cash, report.values["_cash"], report.values["CURRENCY"]) == (D("1000000.25"),) * 2 + ("USD",)
    assert "CASHBALANCE" not in report.values
    assert account_report(ACCOUNT, {"EXCESS_EQ": "Error 3"}) is None, "nothing is not zero"


def test_an_orders_size_may_be_told_as_its_first_one() -> None:
    row = {"ORDER_ID": "1", "TYPE": "UserSubmitOrder", "VOLUME": "Error 2", "ORIGINAL_VOLUME": 100}
    order = order_row(row, ZONE)
    fill = order_row({**row, "TYPE": "ExchangeTradeOrder"}, ZONE)
    assert order is not None
    assert fill is not None
    assert (order.quantity, fill.quantity) == (D(100), D(0))
