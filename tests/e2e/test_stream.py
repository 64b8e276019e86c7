"""The stream over TCP and over a WebSocket: the same events, in one order, without a gap or a repeat."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.e2e.conftest import MakeDaemon, spoil_book
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
DATA = {"order-data": 1, "ticket-data": 1, "execution-data": 1}


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(ENABLE_TICKER="1").start().up()


def last_seq(daemon: Daemon) -> int:
    seq = 0
    while page := daemon.call("query_journal", after=seq, limit=1000):
        seq = page[-1]["seq"]
    return seq


def trade(daemon: Daemon) -> list[str]:
    """A fill, an order that is changed and cancelled, a ticket that is rejected: their permids."""
    filled = daemon.call("market_order", **TERMS, quantity=1)
    waiting = daemon.call("limit_order", **TERMS, limit_price=1, quantity=10)
    daemon.call("replace_order", id=waiting["permid"], quantity=20)
    daemon.call("cancel_order", id=waiting["permid"])
    ticket = daemon.call("stage_market_order", tag="t", **TERMS, quantity=1)
    daemon.call("reject_ticket", id=ticket["permid"])
    return [each["permid"] for each in (filled, waiting, ticket)]


def events_of(lines: list[str]) -> list[tuple[int, str, str]]:
    """(seq, kind, id) of each data line."""
    found = []
    for line in lines:
        for kind, key in (("order", "permid"), ("ticket", "permid"), ("execution", "ORDER_ID")):
            start = f"paper.{kind}-data "
            if line.startswith(start):
                value = json.loads(line[len(start) :])
                found.append((value["seq"], kind, value[key]))
    return found


def read_to(stream: Stream, seq: int) -> list[tuple[int, str, str]]:
    """All data events up to a record."""
    while not (found := events_of(stream.heard)) or found[-1][0] < seq:
        assert stream.read() is not None
    return found


def test_login(daemon: Daemon) -> None:
    stream = Stream(daemon)
    greeting = stream.expect(".")
    assert greeting.startswith(".connected: ")
    assert daemon.call("version")["txtrader"] in greeting
    stream.send("status")
    assert stream.read() == ".status: Up"
    stream.send("nonsense")
    assert stream.read() == ".what?"
    stream.send("orders")
    assert stream.until_closed() == [".Authorization required!"]
    wrong = Stream(daemon, {}, password="wrong")
    assert wrong.until_closed() == [".Authorization required!"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("noquotes notrades", "order"),
        ("order-notification execution-data", "order execution-data"),
        ({"order-notification": True}, "order"),
        ({"order-data": 1, "ticket-notification": 0}, "order-data"),
        ({"execution-notification": 1, "ticket-data": 1}, "execution ticket-data"),
        ("", ""),
        ({}, ""),
    ],
    ids=str,
)
def test_options_choose_what_is_told(daemon: Daemon, options: Any, told: str) -> None:
    stream = Stream(daemon, options)
    assert stream.expect(".Authorized") == ".Authorized paper"
    trade(daemon)
    stream.send("call status {}")
    stream.expect("paper.result: ")
    kinds = {line.removeprefix("paper.").replace(".", " ").split()[0] for line in stream.heard if line[0] == "p"}
    assert {each for each in kinds if each.startswith(("order", "ticket", "execution"))} == set(told.split())
    stream.close()


def test_before_the_venue_is_up_the_stream_says_so(make_daemon: MakeDaemon) -> None:
    early = make_daemon()
    spoil_book(early)
    early.start()
    stream = Stream(early, {})
    stream.expect(".Authorized")
    stream.send("status")
    assert stream.expect(".status") == ".status: Startup"
    stream.send("orders")
    assert stream.until_closed()[-1] == ".Initialization not complete!"


def test_a_key_makes_an_order_once_on_the_stream_too(daemon: Daemon) -> None:
    stream = Stream(daemon, {})
    for _ in range(2):
        stream.send("marketorder API_ACCOUNT DEMO IBM 1 stream-key-1")
    first = json.loads(stream.expect("{"))
    again = json.loads(stream.expect("{"))
    assert first["permid"] == again["permid"]
    assert [each.get("replayed", False) for each in (first, again)].count(True) == 1
    by_http = daemon.call("market_order", **TERMS, quantity=1, client_order_id="stream-key-1")
    assert (by_http["permid"], by_http["replayed"]) == (first["permid"], True)
    stream.close()


def test_symbols_are_released_with_the_connection(daemon: Daemon) -> None:
    one, two = Stream(daemon, {}), Stream(daemon, {})
    for each in (one, two):
        each.send("add GOOG")
        assert each.data("paper.symbol: ")["symbol"] == "GOOG"
    one.close()
    two.send("call query_symbols {}")
    assert "GOOG" in two.data("paper.result: ")["result"]
    two.send("quit")
    two.until_closed()
    third = Stream(daemon, {})
    third.send("call query_symbols {}")
    assert "GOOG" not in third.data("paper.result: ")["result"]
    third.close()


def test_symbol_fields_are_a_clients_own(daemon: Daemon) -> None:
    stream = Stream(daemon, {"SYMBOL_FIELDS": ["BID", "COMPANY_NAME", "NOSUCH"]})
    stream.send("query IBM")
    symbol = stream.data("paper.symbol: ")
    assert set(symbol) == {"BID", "COMPANY_NAME", "NOSUCH"}
    assert symbol["COMPANY_NAME"] == "International Business Machines Corporation"
    stream.close()


def test_resume_gives_all_that_was_missed_once(daemon: Daemon) -> None:
    start = last_seq(daemon)
    live = Stream(daemon, DATA)
    live.expect(".Authorized")
    trade(daemon)
    middle = last_seq(daemon)
    trade(daemon)
    resumed = Stream(daemon, {**DATA, "resume": start})
    assert resumed.expect(".Authorized") == f".Authorized paper {last_seq(daemon)}"
    trade(daemon)
    end = last_seq(daemon)
    heard = read_to(live, end)
    assert len(heard) == len(set(heard)) >= 30
    assert heard == sorted(heard, key=lambda each: each[0])
    assert read_to(resumed, end) == heard
    later = Stream(daemon, {**DATA, "resume": middle})
    assert read_to(later, end) == [each for each in heard if each[0] > middle]
    texts = {line for line in live.heard if "-data " in line}
    assert texts == {line for line in resumed.heard if "-data " in line}, "resumed lines are the live ones to the byte"


def test_resume_goes_on_after_a_crash(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    first = Stream(daemon, {**DATA, "resume": 0})
    trade(daemon)
    seq = last_seq(daemon)
    before = read_to(first, seq)
    trade(daemon)
    daemon.kill()
    first.until_closed()
    daemon.start().up()
    trade(daemon)
    end = last_seq(daemon)
    second = Stream(daemon, {**DATA, "resume": seq})
    everything = Stream(daemon, {**DATA, "resume": 0})
    after = read_to(second, end)
    assert before + after == read_to(everything, end)
    assert min(each[0] for each in after) > seq


def test_a_resume_beyond_the_journal_is_complained_about(daemon: Daemon) -> None:
    stream = Stream(daemon, {**DATA, "resume": 10**9})
    stream.expect(".Authorized")
    assert "beyond the journal's last record" in stream.expect(".error: ")
    permids = trade(daemon)
    assert stream.data("paper.order-data ", permid=permids[0])
    stream.close()


def test_the_websocket_tells_the_same_events(daemon: Daemon) -> None:
    line, web = Stream(daemon, DATA), WebSocket(daemon)
    line.expect(".Authorized")
    connected = web.expect(type="connected")
    assert connected["data"]["channel"] == "paper"
    web.say({"options": {"orders": True, "tickets": True, "executions": True, "quotes": True, "trades": True}})
    assert web.expect(type="listening")["data"]["complaints"] == []
    assert web.call("add_symbol", {"symbol": "IBM"})["result"]["symbol"] == "IBM"
    start = last_seq(daemon)
    permids = trade(daemon)
    end = last_seq(daemon)
    heard = [each for each in read_to(line, end) if each[0] > start]
    told: list[tuple[int, str, str]] = []
    while len(told) < len(heard):
        message = web.expect()
        if message["type"] in ("order", "ticket", "execution"):
            data = message["data"]
            assert data["seq"] == message["seq"]
            told.append((message["seq"], message["type"], data.get("permid") or data["ORDER_ID"]))
    assert told == heard
    assert {each[2] for each in told} >= set(permids)
    quote = web.expect(type="quote")["data"]
    assert set(quote) == {"symbol", "bid", "bidsize", "ask", "asksize", "time"}
    assert set(web.expect(type="trade")["data"]) == {"symbol", "last", "size", "volume", "time"}
    web.say({"options": {"orders": True}, "resume": start})
    resumed = [web.expect(type="order")["seq"] for _ in range(3)]
    assert resumed == [each[0] for each in heard if each[1] == "order"][:3]
    web.close()
    line.close()


def test_who_asks_for_books_hears_them(daemon: Daemon) -> None:
    """Of the symbols that are active: the present one first, then each that comes."""
    line, deaf, web = Stream(daemon, {"depth-data": True}), Stream(daemon, DATA), WebSocket(daemon)
    web.say({"options": {"depth": True}})
    assert web.expect(type="listening")["data"]["complaints"] == []
    web.call("add_symbol", {"symbol": "GE"})
    for book in (line.data("paper.depth-data ", symbol="GE"), web.expect(type="depth")["data"]):
        assert set(book) == {"symbol", "bids", "asks", "sequence", "time"}
        assert 0 < book["bids"][0][0] < book["asks"][0][0]
    line.data("paper.depth-data ", symbol="GE")
    deaf.send("status")
    deaf.expect(".status")
    assert not [each for each in deaf.heard if "depth" in each]
    daemon.call("del_symbol", symbol="GE")
    for client in (line, deaf, web):
        client.close()


def test_the_websocket_takes_calls(daemon: Daemon) -> None:
    web = WebSocket(daemon)
    order = web.call("market_order", {**TERMS, "quantity": 1, "client_order_id": "web-1"})["result"]
    assert order["status"] == "Filled"
    again = web.call("market_order", ["API_ACCOUNT", "DEMO", "IBM", 1, "web-1"], "b")["result"]
    assert (again["permid"], again["replayed"]) == (order["permid"], True)
    assert web.call("query_orders", {})["result"][order["permid"]]["status"] == "Filled"
    assert web.call("query_order", {"id": "NOSUCH"})["result"] is None
    assert web.call("nosuch", {})["error"]["code"] == -32601
    assert web.call("query_order", {})["error"]["code"] == -32602
    web.say("{")
    assert web.expect(jsonrpc="2.0")["error"]["code"] == -32700
    web.close()


def test_who_may_open_a_websocket(daemon: Daemon) -> None:
    assert WebSocket(daemon, password="wrong").rejected == 401
    assert WebSocket(daemon, headers={"Origin": "http://elsewhere.example"}).rejected == 403
    assert not WebSocket(daemon, headers={"Origin": f"http://127.0.0.1:{daemon.http_port}"}).rejected
    assert daemon.get("stream").status_code == 426


def test_clients_are_told_when_the_daemon_ends(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    line, web = Stream(daemon, {}), WebSocket(daemon)
    line.expect(".Authorized")
    web.expect(type="connected")
    assert daemon.stop() == 0
    assert line.until_closed()[-1] == "paper.connection-status-changed: Shutdown"
    assert web.until_closed()[-1] == {"type": "connection", "data": {"venue": "paper", "status": "Shutdown"}}
    assert web.closed == 1001


def test_logoff_and_halts_are_told(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    stream = Stream(daemon, {"status-data": 1})
    stream.expect(".Authorized")
    daemon.call("gateway_logoff")
    stream.expect(lambda line: line == "paper.connection-status-changed: Disconnected")
    daemon.call("gateway_logon")
    stream.expect(lambda line: line == "paper.connection-status-changed: Up")
    assert stream.expect("paper.accounts: ") == 'paper.accounts: ["API_ACCOUNT","PAPER_CASH"]'
    daemon.call("halt", reason="fire drill")
    assert stream.data("paper.status-data ", halted=True)["text"] == "fire drill"
    daemon.call("resume")
    assert stream.data("paper.status-data ", halted=False)
    daemon.call("set_account", account="PAPER_CASH")
    assert stream.expect("paper.current-account") == "paper.current-account: PAPER_CASH"
    stream.close()
