"""Every method of the surface, by GET, by POST and by JSON-RPC, in the exact shapes that published clients read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.daemon import Daemon
from tests.e2e.conftest import MakeDaemon

SYMBOL = {
    *{"symbol", "fullname", "cusip", "last", "size", "volume", "open", "high", "low", "close", "vwap", "tradetime"},
}
ORDER = {
    *{"permid", "symbol", "cusip", "account", "quantity", "class", "type", "status", "filled", "remaining"},
    *{"avgfillprice", "text", "origin", "updates", "raw"},
    *{"order_status", "client_order_id", "broker_order_id", "venue", "side", "order_type", "limit_price"},
    *{"stop_price", "time_in_force", "route", "owner", "reason", "commission", "created", "updated", "seq"},
}
"""txTrader's members, then ours."""
EXECUTION = {
    *{"ORDER_ID", "ORIGINAL_ORDER_ID", "ACCOUNT", "AVG_PRICE", "BUYORSELL", "CURRENCY", "CURRENT_STATUS", "DISP_NAME"},
    *{"EXCHANGE", "EXIT_VEHICLE", "FILL_ID", "ORDER_RESIDUAL", "ORIGINAL_PRICE", "ORIGINAL_VOLUME", "PRICE"},
    *{"PRICE_TYPE", "TIME_STAMP", "TIME_ZONE", "MARKET_TRD_DATE", "TRD_TIME", "VOLUME", "VOLUME_TRADED", "CUSIP"},
    *{"VENUE", "BROKER_ORDER_ID", "COMMISSION", "FEE", "FEE_CURRENCY", "TIME", "seq"},
}
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
ACCOUNTS = {"API_ACCOUNT", "PAPER_CASH"}
TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
REST = {
    "account": "API_ACCOUNT",
    "symbol": "IBM",
    "side": "BUY",
    "quantity": 3,
    "order_type": "LIMIT",
    "limit_price": 1,
    "stop_price": None,
    "time_in_force": "GTC",
    "route": None,
    "client_order_id": None,
    "tag": None,
    "take_profit": None,
    "stop_loss": None,
    "trailing_stop": None,
    "hold_seconds": None,
    "oco": None,
}
Check = Callable[[Any], object]
COUNT = count()


@dataclass(frozen=True)
class World:
    """A daemon where something has happened: a filled order, a resting one, and all that clients may ask about."""

    daemon: Daemon
    filled: Mapping[str, Any]
    execution: str
    openapi: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One call: arguments (in the method's order, `$name` stands for the world's), and what its result must be."""

    method: str
    check: Check
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The test's name."""
        return f"{self.method}({','.join(map(str, self.arguments.values()))})"

    def given(self, world: World) -> dict[str, Any]:
        """The arguments in this world."""
        known = {"$order": world.filled["permid"], "$execution": world.execution, "$resting": "", "$ticket": ""}
        if "$entry" in self.arguments.values():
            entry = {"account": "API_ACCOUNT", "symbol": "IBM", "side": "BUY", "quantity": 1, "hold_seconds": 9999}
            known["$entry"] = world.daemon.call("submit_order", **entry)["permid"]
        if "$resting" in self.arguments.values():
            known["$resting"] = resting(world.daemon)["permid"]
        if "$ticket" in self.arguments.values():
            known["$ticket"] = world.daemon.call("stage_market_order", tag="desk", **TERMS, quantity=1)["permid"]
        if "$name" in self.arguments.values():
            known["$name"] = f"name-{next(COUNT)}"
        if "$token" in self.arguments.values():
            known["$token"] = f"token-{next(COUNT)}"
            world.daemon.call("create_token", name=known["$token"], scopes="read")
        return {name: known.get(each, each) if isinstance(each, str) else each for name, each in self.arguments.items()}


def resting(daemon: Daemon, **more: Any) -> Any:
    """A new order far below the market."""
    return daemon.call("limit_order", **{**TERMS, "limit_price": 1, "quantity": 10, **more})


def lived_in(daemon: Daemon) -> World:
    """A daemon that is up, as the cases need it."""
    daemon.call("add_symbol", symbol="IBM")
    filled = daemon.call("market_order", **TERMS, quantity=2)
    assert filled["status"] == "Filled", filled
    resting(daemon)
    daemon.call("stage_market_order", tag="desk", **TERMS, quantity=5)
    executions = daemon.call("query_order_executions", id=filled["permid"])
    openapi = daemon.get("openapi.json").json()
    return World(daemon, filled, next(iter(executions)), openapi)


@pytest.fixture(scope="module")
def world(make_daemon: MakeDaemon) -> World:
    return lived_in(make_daemon().start().up())


# ---------------------------------------------------------------- shapes


def a_text(pattern: str) -> Check:
    return lambda result: isinstance(result, str) and re.fullmatch(pattern, result)


def is_(value: Any) -> Check:
    return lambda result: result == value and type(result) is type(value)


def an_order(status: str = "", **members: Any) -> Check:
    def check(order: Any) -> bool:
        assert set(order) - {"errorMsg", "exits", "oco", "parent", "leg"} == ORDER
        assert re.fullmatch(r"[0-9A-Z]{20}", order["permid"])
        assert (order["status"] == "Error") == ("errorMsg" in order)
        assert order["text"].endswith(f" {order['symbol']} ({order['status']})")
        assert order["filled"] + order["remaining"] == order["quantity"]
        for update in order["updates"]:
            assert set(update) == {"id", "type", "fields", "time"}
        assert all(name == name.upper() for name in order["raw"])
        shown = {name: order[name] for name in members}
        assert shown == members, order
        return not status or order["status"] == status

    return check


def an_execution(execution: Any) -> bool:
    assert set(execution) == EXECUTION
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", execution["MARKET_TRD_DATE"])
    assert type(execution["VOLUME"]) is int
    assert type(execution["PRICE"]) is float
    return bool(execution["ORIGINAL_ORDER_ID"])


def a_symbol(symbol: Any) -> bool:
    assert set(symbol) == SYMBOL
    floats = {name: type(symbol[name]) for name in ("last", "open", "high", "low", "close", "vwap")}
    assert set(floats.values()) == {float}, floats
    assert type(symbol["size"]) is int
    assert type(symbol["volume"]) is int
    assert re.fullmatch(MOMENT, symbol["tradetime"])
    return bool(symbol["low"] <= symbol["last"] <= symbol["high"])


def a_limit(scope: str, limit: str, value: str, warn: str | None) -> Check:
    def check(report: Any) -> bool:
        for each in report["use"]:
            assert set(each) == {
                *{"scope", "exposure", "profit_and_loss", "orders_last_second", "executions_in_window", "holdings"},
            }
        found = {(each["scope"], each["limit"]): each for each in report["limits"]}
        assert all(each["source"] for each in report["limits"])
        return (found[scope, limit]["value"], found[scope, limit]["warn"]) == (value, warn)

    return check


def by_id(check: Check, key: str) -> Check:
    return lambda result: result and all(each[key] == name and check(each) for name, each in result.items())


def bars(count: int | None = None) -> Check:
    def check(rows: Any) -> bool:
        for row in rows:
            assert [type(each) for each in row] == [str, str, float, float, float, float, int]
            assert re.fullmatch(MOMENT, f"{row[0]} {row[1]}")
            assert row[4] <= min(row[2], row[5])
            assert row[3] >= max(row[2], row[5])
        assert sorted(row[:2] for row in rows) == [row[:2] for row in rows]
        return bool(rows) and count in (None, len(rows))

    return check


def an_account(account: Any) -> bool:
    return type(account["_cash"]) is float and len(account) > 1


def version(result: Any) -> bool:
    flags = {"TICKER", "HIGH_LOW", "BARCHART", "SYMBOL_BARCHART", "SECONDS_TICK", "TIME_OFFSET"}
    return set(result["flags"]) == flags and isinstance(result["txtrader"], str) and isinstance(result["python"], str)


def the_help(result: Any) -> bool:
    return all(text.splitlines()[0].startswith(f"{name}(") for name, text in result.items())


def records(result: Any) -> bool:
    members = {"seq", "time", "kind", "order_id", "event", "hash"}
    return bool(result) and all(set(each) == members for each in result)


def story(result: Any) -> bool:
    members = {"seq", "time", "kind", "order_id", "text", "event"}
    kinds = [each["kind"] for each in result["story"]]
    return all(set(each) == members for each in result["story"]) and kinds[0] == "OrderSubmitted"


def venues(result: Any) -> bool:
    paper = result["paper"]
    return (paper["kind"], paper["status"], paper["default"], set(paper["accounts"])) == ("paper", "UP", True, ACCOUNTS)


def positions(result: Any) -> bool:
    held = result["API_ACCOUNT"]["IBM"]
    return set(result) == ACCOUNTS and result["PAPER_CASH"] == {} and type(held) is int and held > 0


def positions_with_data(result: Any) -> bool:
    held = result["API_ACCOUNT"]["IBM"]
    told = {"entry_price", "mark_price", "liquidation_price", "leverage", "unrealized_profit"}
    return set(held) == {"venue", "quantity", "average_price", *told} and held["quantity"] > 0


def last_prices(result: Any) -> bool:
    apple, ibm, none = result.values()
    assert list(result) == ["AAPL", "IBM@paper", "NOSUCH"]
    assert all(each["price"] > 0 and each["time"].endswith("Z") and each["reason"] is None for each in (apple, ibm))
    return (none["price"], none["time"], none["reason"], "NOSUCH" in none["text"]) == (
        None,
        None,
        "UNKNOWN_SYMBOL",
        True,
    )


def a_book(result: Any) -> bool:
    assert set(result) == {"symbol", "bids", "asks", "sequence", "time"}
    ((bid, bid_size),), ((ask, ask_size),) = result["bids"], result["asks"]
    return bool(0 < bid < ask and bid_size > 0 and ask_size > 0)


def a_token(result: Any) -> bool:
    assert re.fullmatch(r"txg_[A-Za-z0-9_-]{43}", result["token"])
    return (result["scopes"], result["accounts"], result["expired"]) == (["read", "trade"], ["API_ACCOUNT"], False)


def a_source(result: Any) -> bool:
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", result["secret"])
    assert result["secret"] in result["message"]
    assert result["secret"] not in result["url"] + str(result["settings"])
    return (result["account"], result["venue"], result["received"]) == ("API_ACCOUNT", "paper", 0)


def tokens(result: Any) -> bool:
    return all(each["token"] is None and "digest" not in each for each in result)


def access(result: Any) -> bool:
    assert set(result) == {"users", "failed_logins", "turned_away", "sources"}
    return [(each["name"], each["scopes"]) for each in result["users"]] == [("txtrader_user", ["admin"])]


def balances(result: Any) -> bool:
    return all(set(each["USD"]) == {"total", "available", "reserved"} for each in result.values())


def instrument(result: Any) -> bool:
    asked = {"symbol", "venue", "fullname", "cusip", "asset_class", "currency", "exchange", "tick_size", "lot_size"}
    asked |= {"min_quantity", "max_quantity", "min_notional", "multiplier", "shortable", "session", "order_types"}
    assert set(result["session"]) >= {"open", "close", "timezone", "calendar"}
    return set(result) >= {*asked, "times_in_force"} and result["tick_size"] == 0.01


def refused(reason: str, **members: Any) -> Check:
    def check(result: Any) -> bool:
        assert isinstance(result["errorMsg"], str)
        assert {name: result.get(name) for name in members} == members
        return result["status"] == "Error" and result["reason"] == reason

    return check


IBM = {"symbol": "IBM"}
NONE = {"symbol": "NOSUCH"}
CASES = [
    Case("status", is_("Up")),
    Case("uptime", a_text(rf"started {MOMENT} \(elapsed .+\)")),
    Case("time", a_text(MOMENT)),
    Case("version", version),
    Case("help", the_help),
    Case("add_symbol", a_symbol, IBM),
    Case("add_symbol", a_symbol, {"symbol": "ibm"}),
    Case("add_symbol", is_(None), NONE),
    Case("del_symbol", is_(False), {"symbol": "TSLA"}),
    Case("query_symbols", lambda names: "IBM" in names and isinstance(names, list)),
    Case("query_symbols", lambda names: isinstance(names, list), {"data": False}),
    Case("query_symbols", by_id(a_symbol, "symbol"), {"data": True}),
    Case("query_symbol", a_symbol, IBM),
    Case("query_symbol", is_(None), NONE),
    Case("query_symbol_data", lambda raw: (raw["STARTTIME"], raw["STOPTIME"]) == ("09:30:00", "16:00:00"), IBM),
    Case("query_symbol_data", is_(None), NONE),
    Case("query_symbol_bars", bars(), IBM),
    Case("query_symbol_bars", is_([]), {"symbol": "CAT"}),
    Case("query_bars", bars(5), {"symbol": "IBM", "period": 1, "start": -5, "end": "."}),
    Case("query_bars", bars(4), {"symbol": "IBM", "period": "15", "start": "-4", "end": "."}),
    Case("query_bars", bars(3), {"symbol": "ibm", "period": "DAY", "start": "-3", "end": "."}),
    Case("query_bars", bars(2), {"symbol": "IBM", "period": "w", "start": "-2", "end": "."}),
    Case("query_bars", bars(2), {"symbol": "IBM", "period": "Month", "start": "-2", "end": "."}),
    Case("query_bars", bars(), {"symbol": "IBM", "period": 60, "start": "2024-03-04", "end": "2024-03-05"}),
    Case("query_bars", is_(None), {"symbol": "NOSUCH", "period": 1, "start": ".", "end": "."}),
    Case("query_accounts", is_(sorted(ACCOUNTS))),
    Case("set_account", is_(True), {"account": "api_account"}),
    Case("set_account", is_(False), {"account": "NOBODY"}),
    Case("query_account", an_account, {"account": "api_account"}),
    Case("query_account", lambda got: list(got) == ["_cash"], {"account": "API_ACCOUNT", "fields": "_cash"}),
    Case(
        "query_account", lambda got: set(got) == {"cash", "_cash"}, {"account": "API_ACCOUNT", "fields": "cash,_cash"}
    ),
    Case("query_account", is_(None), {"account": "API_ACCOUNT", "fields": "nothing"}),
    Case("query_account", is_(None), {"account": "NOBODY"}),
    Case("query_balances", lambda result: balances(result) and set(result) == ACCOUNTS),
    Case("query_balances", lambda result: balances(result) and len(result) == 1, {"account": "paper_cash"}),
    Case("query_balances", refused("UNKNOWN_ACCOUNT"), {"account": "NOBODY"}),
    Case("query_positions", positions),
    Case("query_order", an_order("Filled"), {"id": "$order"}),
    Case("query_order", is_(None), {"id": "NOSUCH"}),
    Case("query_orders", by_id(an_order(), "permid")),
    Case("query_orders", by_id(an_order("Filled"), "permid"), {"since": "2020-01-01", **IBM, "status": "FILLED"}),
    Case("query_open_orders", by_id(an_order("Accepted"), "permid"), {"account": "API_ACCOUNT", **IBM}),
    Case("query_tickets", by_id(an_order(**{"class": "ticket"}), "permid")),
    Case("query_execution", an_execution, {"id": "$execution"}),
    Case("query_execution", is_(None), {"id": "NOSUCH"}),
    Case("query_executions", by_id(an_execution, "ORDER_ID")),
    Case("query_order_executions", by_id(an_execution, "ORDER_ID"), {"id": "$order"}),
    Case("query_order_executions", is_({}), {"id": "NOSUCH"}),
    Case("query_instrument", instrument, IBM),
    Case("query_instrument", is_(None), NONE),
    Case("query_depth", a_book, IBM),
    Case("query_depth", a_book, {"symbol": "ibm", "levels": 1}),
    Case("query_depth", is_(None), NONE),
    Case("query_last_prices", last_prices, {"symbols": "aapl,IBM@paper,aapl,nosuch"}),
    Case("query_positions", positions_with_data, {"data": True}),
    Case("query_funding", refused("UNSUPPORTED"), IBM),
    Case("query_leverage", refused("UNSUPPORTED"), {**IBM, "account": "API_ACCOUNT"}),
    Case("set_leverage", refused("UNSUPPORTED"), {**IBM, "leverage": 5, "account": "api_account"}),
    Case("query_position_mode", refused("UNSUPPORTED"), {"account": "API_ACCOUNT"}),
    Case("set_position_mode", refused("UNSUPPORTED"), {"account": "API_ACCOUNT", "mode": "HEDGE"}),
    Case("call_endpoint", refused("UNSUPPORTED"), {"venue": "paper", "path": "time"}),
    Case("call_endpoint", refused("UNKNOWN_VENUE"), {"venue": "nowhere", "path": "time", "version": "public"}),
    Case("query_rate_limits", is_({})),
    Case("query_rate_limits", refused("UNSUPPORTED"), {"venue": "paper"}),
    Case("query_venues", venues),
    Case("query_differences", is_([])),
    Case("query_differences", is_([]), {"all": True, "venue": "paper", "account": "API_ACCOUNT"}),
    Case("resolve_order", refused("NOT_WORKING"), {"id": "$order", "status": "CANCELED", "reason": "asked them"}),
    Case("resolve_order", refused("NO_SUCH_ORDER"), {"id": "NOSUCH", "status": "REJECTED", "reason": "asked them"}),
    Case("resolve_order", refused("UNSUPPORTED"), {"id": "$order", "status": "FILLED", "reason": "asked them"}),
    Case("resolve_difference", refused("NO_SUCH_DIFFERENCE"), {"what": "position", "key": "IBM", "reason": "known"}),
    Case("query_journal", records, {"after": 0, "limit": 5}),
    Case("query_sources", is_([])),
    Case("add_source", a_source, {"kind": "generic", "account": "api_account", "name": "$name"}),
    Case("add_source", a_source, {"kind": "TradingView", "account": "API_ACCOUNT", "name": "$name", "venue": "paper"}),
    Case("add_source", refused("UNKNOWN_ACCOUNT"), {"kind": "generic", "account": "NOBODY"}),
    Case("add_source", refused("NAME_TAKEN"), {"kind": "generic", "account": "API_ACCOUNT", "name": "txtrader_user"}),
    Case("change_source", refused("NO_SUCH_SOURCE"), {"name": "NOSUCH"}),
    Case("remove_source", is_(False), {"name": "NOSUCH"}),
    Case("query_sources", refused("NO_SUCH_SOURCE"), {"name": "NOSUCH"}),
    Case("query_integrations", is_([])),
    Case("query_integrations", is_([]), {"source": "NOSUCH"}),
    Case("connect_proquant", refused("NO_SUCH_SOURCE"), {"source": "NOSUCH", "email": "someone@example.com"}),
    Case("query_signals", is_([])),
    Case("query_signals", is_([]), {"source": "tv", "outcome": "done", "strategy": "gold", "limit": 5}),
    Case("explain_signal", is_(None), {"id": "NOSUCH"}),
    Case("replay_signal", refused("NO_SUCH_SIGNAL"), {"id": "NOSUCH"}),
    Case("query_strategies", is_([])),
    Case("query_strategies", is_([]), {"source": "tv", "strategy": "gold", "symbol": "ibm"}),
    Case(
        "adjust_strategy",
        refused("NO_SUCH_SOURCE"),
        {
            "source": "nobody",
            "strategy": "gold",
            "account": "API_ACCOUNT",
            "symbol": "CAT",
            "quantity": 5,
            "text": "bought by hand",
        },
    ),
    Case("explain_order", story, {"id": "$order"}),
    Case("explain_order", is_(None), {"id": "NOSUCH"}),
    Case("market_order", an_order("Filled", side="BUY", origin="client"), {**TERMS, "quantity": 1}),
    Case("market_order", an_order("Filled", side="SELL", quantity=1), {**TERMS, "quantity": -1}),
    Case("market_order", refused("BAD_QUANTITY"), {**TERMS, "quantity": 0}),
    Case("market_order", refused("UNKNOWN_SYMBOL"), {**TERMS, "symbol": "NOSUCH", "quantity": 1}),
    Case("market_order", refused("UNKNOWN_ACCOUNT"), {**TERMS, "account": "NOBODY", "quantity": 1}),
    Case("limit_order", an_order("Accepted", limit_price=1.25), {**TERMS, "limit_price": 1.25, "quantity": 7}),
    Case("limit_order", refused("BAD_TICK"), {**TERMS, "limit_price": 1.001, "quantity": 7}),
    Case("stop_order", an_order("Accepted", stop_price=9000.5), {**TERMS, "stop_price": 9000.5, "quantity": 7}),
    Case(
        "stoplimit_order",
        an_order("Accepted", order_type="STOP_LIMIT", stop_price=9000.0, limit_price=9001.0),
        {**TERMS, "stop_price": 9000, "limit_price": 9001, "quantity": 7},
    ),
    Case(
        "submit_order",
        an_order("Accepted", side="SELL_SHORT", order_type="LIMIT", time_in_force="GTC", limit_price=9000.0),
        {
            "account": "API_ACCOUNT",
            "symbol": "ibm",
            "side": "SELL_SHORT",
            "quantity": 3,
            "order_type": "LIMIT",
            "limit_price": 9000,
            "stop_price": None,
            "time_in_force": "GTC",
        },
    ),
    Case(
        "submit_order",
        an_order("Accepted", exits={"take_profit": 1.5, "stop_loss": "10%", "trailing_stop": None, "hold_seconds": 60}),
        {**REST, "take_profit": 1.5, "stop_loss": "10%", "hold_seconds": "60"},
    ),
    Case("submit_order", an_order("Accepted", oco="pair"), {**REST, "oco": "pair"}),
    Case("submit_order", refused("BAD_PRICE"), {**REST, "take_profit": 0.5}),
    Case("submit_order", refused("BAD_TICK"), {**REST, "stop_loss": 0.555}),
    Case("query_exits", by_id(lambda each: each["exits"]["stop_loss"] is not None, "entry")),
    Case("query_exits", is_({}), {"id": "NOSUCH"}),
    Case("query_exits", is_({}), {"id": "$order"}),
    Case("cancel_exits", an_order("Filled"), {"id": "$entry"}),
    Case("cancel_exits", refused("NO_SUCH_ORDER"), {"id": "NOSUCH"}),
    Case("cancel_exits", refused("NOT_WORKING"), {"id": "$order"}),
    Case("stage_market_order", an_order("Submitted", order_status="STAGED"), {"tag": "t", **TERMS, "quantity": 1}),
    Case("stage_limit_order", an_order("Submitted"), {"tag": "t", **TERMS, "limit_price": 1, "quantity": 1}),
    Case("stage_stop_order", an_order("Submitted"), {"tag": "t", **TERMS, "stop_price": 9000, "quantity": 1}),
    Case(
        "stage_stoplimit_order",
        an_order("Submitted", **{"class": "ticket", "type": "UserSubmitStagedOrder"}),
        {"tag": "t", **TERMS, "stop_price": 9000, "limit_price": 9001, "quantity": 1},
    ),
    Case("cancel_order", an_order("Cancelled", order_status="CANCELED"), {"id": "$resting"}),
    Case("cancel_order", refused("NO_SUCH_ORDER", errorMsg="Order not found", id="NOSUCH"), {"id": "NOSUCH"}),
    Case("cancel_order", refused("NOT_WORKING"), {"id": "$order"}),
    Case(
        "replace_order",
        an_order("Accepted", quantity=11, limit_price=2.0),
        {"id": "$resting", "quantity": 11, "limit_price": 2},
    ),
    Case("replace_order", refused("NO_SUCH_ORDER"), {"id": "NOSUCH", "quantity": 11}),
    Case("approve_ticket", an_order("Filled", **{"class": "ticket"}), {"id": "$ticket"}),
    Case("approve_ticket", refused("NOT_A_TICKET"), {"id": "$order"}),
    Case("reject_ticket", an_order("Cancelled"), {"id": "$ticket", "reason": "not today"}),
    Case("set_order_route", is_({"SMART": None}), {"route": "SMART"}),
    Case("set_order_route", is_({"VWAP": {"start": "10:00"}}), {"route": '{"VWAP":{"start":"10:00"}}'}),
    Case("set_order_route", is_({"DEMO": None}), {"route": '"DEMO"'}),
    Case("get_order_route", is_({"DEMO": None})),
    Case("set_primary_exchange", is_({"IBM": "NYSE"}), {"symbol": "ibm", "exchange": "NYSE"}),
    Case("set_primary_exchange", is_({}), {"symbol": "IBM", "exchange": ""}),
    Case("halt", is_("trading halted: lunch"), {"reason": "lunch"}),
    Case("query_halts", lambda result: [each["text"] for each in result] == ["lunch"]),
    Case("resume", is_("trading resumed")),
    Case("query_halts", is_([])),
    Case("flatten", lambda report: report["flat"], {"scope": "symbol:CAT", "reason": "none held"}),
    Case("query_flattens", is_([])),
    Case("resume", a_text("trading resumed for symbol:CAT|symbol:CAT was not halted"), {"scope": "symbol:CAT"}),
    Case("resume", is_("symbol:IBM was not halted"), {"scope": "symbol:ibm"}),
    Case("query_faults", lambda got: set(got) == {"known", "venues"} and "lost_ack" in got["known"]),
    Case("query_faults", refused("UNKNOWN_VENUE"), {"venue": "nowhere"}),
    Case("set_fault", lambda got: [each["fault"] for each in got] == ["lost_ack"], {"fault": "lost_ack", **NONE}),
    Case("clear_faults", is_({"paper": []})),
    Case(
        "set_risk",
        a_limit("gateway", "max_quantity", "5000", "4000"),
        {"scope": "gateway", "limit": "max_quantity", "value": "5000", "warn": "4000"},
    ),
    Case("query_risk", a_limit("gateway", "max_quantity", "5000", "4000")),
    Case("query_risk", a_limit("gateway", "price_collar", "0.1", None), {"scope": "symbol:ibm"}),
    Case(
        "set_risk",
        lambda result: all(each["limit"] != "max_quantity" for each in result["limits"]),
        {"scope": "gateway", "limit": "max_quantity"},
    ),
    Case("gateway_logon", a_text(".+"), {"username": "me", "password": "it"}),
    Case("create_token", a_token, {"name": "$name", "scopes": "trade, read", "accounts": "API_ACCOUNT"}),
    Case("create_token", refused("NAME_TAKEN"), {"name": "txtrader_user", "scopes": "read"}),
    Case("create_token", refused("UNKNOWN_ACCOUNT"), {"name": "$name", "scopes": "read", "accounts": "NOBODY"}),
    Case("query_tokens", tokens),
    Case("revoke_token", is_(True), {"name": "$token"}),
    Case("revoke_token", is_(False), {"name": "NOSUCH"}),
    Case("query_access", access),
    Case("global_cancel", is_("global cancel requested")),
]
ELSEWHERE = {"shutdown", "gateway_logoff"}
"""They end what the others need: see test_life and test_http."""


def by_get(world: World, case: Case) -> Any:
    answer = world.daemon.get(case.method, **case.given(world))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    return answer.json()


def by_post(world: World, case: Case) -> Any:
    url = f"{world.daemon.url}/{case.method}"
    answer = world.daemon.session.post(url, json=case.given(world), timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    return answer.json()


def by_name(world: World, case: Case) -> Any:
    return world.daemon.rpc(case.method, case.given(world))["result"]


def by_position(world: World, case: Case) -> Any:
    given = case.given(world)
    document = world.openapi["paths"][f"/{case.method}"]["get"]["parameters"]
    names = [each["name"] for each in document]
    while names and names[-1] not in given:
        names.pop()
    return world.daemon.rpc(case.method, [given.get(name) for name in names])["result"]


@pytest.mark.parametrize("way", [by_get, by_post, by_name, by_position])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_method_answers_in_its_shape(world: World, case: Case, way: Callable[[World, Case], Any]) -> None:
    result = way(world, case)
    assert case.check(result), result
    schema = {
        **world.openapi["paths"][f"/{case.method}"]["post"]["responses"]["200"]["content"]["application/json"][
            "schema"
        ],
        "components": world.openapi["components"],
    }
    mistakes = [error.message for error in Draft202012Validator(schema).iter_errors(result)]
    refusal = isinstance(result, dict) and result.get("status") == "Error"
    assert refusal or not mistakes, f"not what /openapi.json says of it: {mistakes}"


def test_no_method_is_left_out(world: World) -> None:
    assert {case.method for case in CASES} | ELSEWHERE == set(world.daemon.call("help"))


def test_txtraders_arguments_keep_their_order(world: World) -> None:
    """What JSON-RPC clients give by position, as wire.md's table has it."""
    order = {
        "market_order": "account route symbol quantity",
        "limit_order": "account route symbol limit_price quantity",
        "stop_order": "account route symbol stop_price quantity",
        "stoplimit_order": "account route symbol stop_price limit_price quantity",
        "stage_market_order": "tag account route symbol quantity",
        "query_bars": "symbol period start end",
        "query_account": "account fields",
        "set_primary_exchange": "symbol exchange",
        "gateway_logon": "username password",
        "shutdown": "message",
        "query_symbols": "data",
        "cancel_order": "id",
        "query_order_executions": "id",
    }
    document = world.daemon.rpc("rpc.discover")["result"]
    found = {each["name"]: [parameter["name"] for parameter in each["params"]] for each in document["methods"]}
    for method, names in order.items():
        words = names.split()
        assert found[method][: len(words)] == words


def test_numbers_may_be_text(world: World) -> None:
    """The published command line sends every number as text."""
    order = world.daemon.call("limit_order", **TERMS, limit_price="9000.50", quantity="-12")
    assert (order["quantity"], order["limit_price"], order["side"]) == (12, 9000.5, "SELL")


def test_whole_sizes_are_integers_and_fractions_are_numbers(world: World) -> None:
    order = world.daemon.call("market_order", account="API_ACCOUNT", route="DEMO", symbol="BTCUSD", quantity="0.25")
    assert (order["quantity"], order["status"]) == (0.25, "Filled")
    assert world.daemon.call("query_positions")["API_ACCOUNT"]["BTCUSD"] == 0.25


def test_flags_change_the_symbol_object(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(ENABLE_TICKER="1", ENABLE_HIGH_LOW="0", ENABLE_SYMBOL_BARCHART="1").start().up()
    symbol = daemon.call("add_symbol", symbol="IBM")
    assert set(symbol) == SYMBOL - {"high", "low"} | {"bid", "bidsize", "ask", "asksize", "bars"}
    assert 0 < symbol["bid"] < symbol["ask"]
    assert symbol["bidsize"] > 0
    flags = daemon.call("version")["flags"]
    assert (flags["TICKER"], flags["HIGH_LOW"], flags["SYMBOL_BARCHART"]) == (True, False, True)


def test_without_a_chart_there_are_no_live_bars(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(ENABLE_BARCHART="0", ENABLE_SECONDS_TICK="0", TIME_OFFSET="3600").start().up()
    daemon.call("add_symbol", symbol="IBM")
    assert daemon.call("query_symbol_bars", symbol="IBM") == []
    assert daemon.call("time").endswith(":00")
    assert daemon.call("version")["flags"]["TIME_OFFSET"] == 3600
