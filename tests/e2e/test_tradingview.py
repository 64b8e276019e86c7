"""TradingView's alerts into the real daemon: HTTP in, orders on the paper broker out, told on the stream."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from txgateway import sources
from txgateway.invitation import message_of
from txgateway.model.signal import Semantics, Sizing, Source, SourceKind

SECRET = "correct-horse-battery"
"""Of every source here."""
GIVES_UP = 3.0
"""Seconds that TradingView waits for an answer."""
BASE = {"passphrase": SECRET, "ticker": "IBM"}
_names = count(1)


def source(name: str, **more: Any) -> Source:
    return Source(name=name, kind=SourceKind.TRADINGVIEW, account="API_ACCOUNT", secret=SECRET, **more)


SOURCES = [
    source("tv", symbols={"NQ1!": "SPY"}),
    source("target", semantics=Semantics.TARGET),
    source("one", semantics=Semantics.ONE_POSITION),
    source("sized", sizing=Sizing.FIXED, size=Decimal(7)),
    source("fresh", max_age=60.0),
    source("lines", template="{side} {symbol}[ q={quantity}]"),
    source("pipes", template="{secret}|{symbol}|{side}|{quantity}"),
    source(
        "mapped",
        mapping={
            "secret": "auth.pin",
            "symbol": "data.pair",
            "side": "data.what == 'S' && 'sell' || 'buy'",
            "quantity": "data.lots[0].n",
        },
    ),
    source("far", addresses=("tradingview",)),
    source("near", addresses=("10.0.0.0/8", "127.0.0.1")),
    source("certified", certificate="TradingView Webhooks"),
]


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """One with a source of each sort, and a stream of its orders."""
    daemon = make_daemon()
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, SOURCES)
    return daemon.start().up()


def post(daemon: Daemon, body: Any, name: str = "tv", rest: str = "", kind: str = "") -> requests.Response:
    """As TradingView sends it: JSON as such, all else as plain text."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"Content-Type": kind or ("application/json" if data[:1] == b"{" else "text/plain; charset=utf-8")}
    url = f"{daemon.url}/webhooks/tradingview/{name}{rest}"
    return requests.post(url, data, headers=headers, timeout=PATIENCE)


def ended(daemon: Daemon, signal_id: str) -> Any:
    """A signal, once it is over."""

    def over() -> Any:
        found = {each["id"]: each for each in daemon.call("query_signals", limit=1000)}
        return found[signal_id] if found[signal_id]["outcome"] != "PENDING" else None

    return until(over, daemon)


def send(daemon: Daemon, body: Any, name: str = "tv", **more: Any) -> Any:
    """Post an alert, and wait for its end."""
    answer = post(daemon, body, name, **more)
    assert answer.status_code == 200, answer.text
    return ended(daemon, answer.json()["id"])


def orders(daemon: Daemon, signal: Any) -> list[tuple[str, str, str]]:
    """Side, quantity and symbol of a signal's orders, filled."""
    found = []
    for order_id in signal["orders"]:

        def filled(order_id: str = order_id) -> Any:
            order = daemon.call("query_order", id=order_id)
            return order if order["status"].upper() == "FILLED" else None

        order = until(filled, daemon)
        found.append((order["side"], str(order["quantity"]), order["symbol"]))
    return found


def fresh(**more: Any) -> dict[str, Any]:
    """An alert for a strategy that holds nothing yet."""
    return {**BASE, "strategy": f"strategy {next(_names)}", **more}


# ---------------------------------------------------------------- one of each family


@pytest.mark.parametrize(
    ("name", "body", "made"),
    [
        ("tv", {**BASE, "action": "buy", "contracts": "5", "price": "1.5"}, [("BUY", "5", "IBM")]),
        ("tv", {"secret": SECRET, "symbol": "NASDAQ:AAPL", "side": "SELL", "qty": 3}, [("SELL", "3", "AAPL")]),
        ("tv", {"token": SECRET, "market": "ETH_USD", "order": "buy", "size": "0.5"}, [("BUY", "0.5", "ETHUSD")]),
        ("tv", {"key": SECRET, "tv_instrument": "CME_MINI:NQ1!", "direction": "long", "qty": 2}, [("BUY", "2", "SPY")]),
        (
            "tv",
            {"apikey": SECRET, "ticker": "BINANCE:BTCUSD.P", "action": "enter_long", "size": 1},
            [("BUY", "1", "BTCUSD")],
        ),
        (
            "tv",
            {
                "passphrase": SECRET,
                "ticker": "MSFT",
                "bar": {"open": 1, "volume": 99999},
                "strategy": {"order_action": "buy", "order_contracts": 4, "order_id": "Long", "position_size": 4},
            },
            [("BUY", "4", "MSFT")],
        ),
        ("target", {**BASE, "ticker": "GOOG", "position_size": -6}, [("SELL", "6", "GOOG")]),
        (
            "tv",
            {**BASE, "ticker": "TSLA", "market_position": "long", "market_position_size": "8"},
            [("BUY", "8", "TSLA")],
        ),
        ("sized", {**BASE, "action": "buy", "quantity": 500}, [("BUY", "7", "IBM")]),
        ("tv", f"secret={SECRET} symbol=IBM side=buy qty=6", [("BUY", "6", "IBM")]),
        ("lines", f"{SECRET}\nlong IBM q=9\nshort AAPL q=2", [("BUY", "9", "IBM"), ("SELL", "2", "AAPL")]),
        ("pipes", f"{SECRET}|IBM|sell|11", [("SELL", "11", "IBM")]),
        (
            "mapped",
            {"auth": {"pin": SECRET}, "data": {"pair": "IBM", "what": "S", "lots": [{"n": 12}]}},
            [("SELL", "12", "IBM")],
        ),
        (
            "tv",
            [{**BASE, "action": "sell", "qty": 13}, {"ticker": "AAPL", "action": "buy", "qty": 14}],
            [("SELL", "13", "IBM"), ("BUY", "14", "AAPL")],
        ),
        (
            "tv",
            json.dumps({**BASE, "action": "buy", "qty": 15}) + "\n" + json.dumps({**BASE, "action": "sell", "qty": 16}),
            [("BUY", "15", "IBM"), ("SELL", "16", "IBM")],
        ),
    ],
)
def test_an_alert_becomes_its_orders(daemon: Daemon, name: str, body: Any, made: list[tuple[str, str, str]]) -> None:
    stream = Stream(daemon, {"signal-data": True, "order-data": True})
    stream.expect(".Authorized")
    signal = send(daemon, body, name)
    assert (signal["outcome"], signal["text"]) == ("DONE", "")
    assert orders(daemon, signal) == made
    for order_id in signal["orders"]:
        line = stream.expect(lambda line, each=order_id: line.startswith("paper.order-data ") and each in line)
        assert json.loads(line.partition(" ")[2])["owner"] == name
    stream.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "x"])
def test_json_is_json_whatever_the_content_type_says(daemon: Daemon, kind: str) -> None:
    body = json.dumps(fresh(action="buy", qty=1)) + "\n"
    assert orders(daemon, send(daemon, body, kind=kind)) == [("BUY", "1", "IBM")]


def test_money_and_percent_of_equity(daemon: Daemon) -> None:
    first = send(daemon, fresh(action="buy", qty=1))
    orders(daemon, first)
    price = daemon.call("query_order", id=first["orders"][0])["avgfillprice"]
    ((_, quantity, _),) = orders(daemon, send(daemon, fresh(action="buy", amount="$5000")))
    assert 0.9 < int(quantity) * price / 5000 <= 1.05
    ((_, quantity, _),) = orders(daemon, send(daemon, fresh(action="buy", amount="1%")))
    assert int(quantity) > 0


def test_a_limit_order_with_its_exits(daemon: Daemon) -> None:
    signal = send(daemon, fresh(action="buy", qty=10, limit=1, time_in_force="gtc", stop_loss=0.5, take_profit="50%"))
    order = daemon.call("query_order", id=signal["orders"][0])
    assert (order["order_type"], order["limit_price"], order["time_in_force"]) == ("LIMIT", 1, "GTC")
    daemon.call("cancel_order", id=signal["orders"][0])


# ---------------------------------------------------------------- positions


def test_an_exit_ends_the_position_it_names_and_never_opens_one(daemon: Daemon) -> None:
    alert = fresh()
    assert orders(daemon, send(daemon, {**alert, "action": "enter_long", "qty": 10})) == [("BUY", "10", "IBM")]
    assert send(daemon, {**alert, "action": "exit_short"})["reason"] == "NO_POSITION"
    assert orders(daemon, send(daemon, {**alert, "action": "exit_long", "qty": "50%"})) == [("SELL", "5", "IBM")]
    assert orders(daemon, send(daemon, {**alert, "action": "exit_long", "qty": 99})) == [("SELL", "5", "IBM")]
    again = send(daemon, {**alert, "action": "exit_long", "n": 1})
    assert (again["reason"], again["orders"]) == ("NO_POSITION", [])
    assert send(daemon, {**alert, "action": "flat"})["orders"] == []


def test_a_target_is_a_position_however_often_it_is_said(daemon: Daemon) -> None:
    alert = {**fresh(), "action": "buy", "contracts": 3}
    said = [("3", [("BUY", "3", "IBM")]), ("3.0", []), ("-2", [("SELL", "5", "IBM")]), ("0", [("BUY", "2", "IBM")])]
    for size, made in said:
        assert orders(daemon, send(daemon, {**alert, "position_size": size}, "target")) == made, size


def test_one_position_a_strategy(daemon: Daemon) -> None:
    alert = fresh(qty=4)
    assert orders(daemon, send(daemon, {**alert, "action": "buy"}, "one")) == [("BUY", "4", "IBM")]
    assert send(daemon, {**alert, "action": "buy", "n": 1}, "one")["reason"] == "POSITION_EXISTS"
    over = {**alert, "action": "sell", "market_position": "flat", "market_position_size": 0}
    assert orders(daemon, send(daemon, over, "one")) == [("SELL", "4", "IBM")]


def pasted(name: str, action: str, contracts: int, position: int, **more: Any) -> dict[str, Any]:
    """The message that a source is given to paste, as TradingView sends it."""
    given = next(each for each in SOURCES if each.name == name)
    values = {
        "ticker": "IBM",
        "strategy.order.action": action,
        "strategy.order.contracts": str(contracts),
        "strategy.market_position": "long" if position > 0 else "short" if position else "flat",
        "strategy.market_position_size": str(abs(position)),
        "timenow": str(time.time()),
    }
    said = re.sub(r"\{\{(.*?)\}\}", lambda each: values[each[1]], message_of(given, ""))
    return {**json.loads(said), **more}


@pytest.mark.parametrize(("name", "much"), [("tv", "10"), ("target", "10"), ("one", "10"), ("sized", "7")])
def test_an_exit_whose_entry_never_came_opens_nothing(daemon: Daemon, name: str, much: str) -> None:
    mine = {"strategy": fresh()["strategy"]}
    missed = send(daemon, pasted(name, "sell", 10, 0, **mine), name)
    assert (missed["outcome"], missed["reason"], missed["orders"]) == ("REFUSED", "NO_POSITION", [])
    assert orders(daemon, send(daemon, pasted(name, "buy", 10, 10, **mine), name)) == [("BUY", much, "IBM")]
    assert orders(daemon, send(daemon, pasted(name, "sell", 10, 0, **mine), name)) == [("SELL", much, "IBM")]


def test_one_position_is_reversed_by_a_strategys_alert(daemon: Daemon) -> None:
    mine = {"strategy": fresh()["strategy"]}
    assert orders(daemon, send(daemon, pasted("one", "buy", 4, 4, **mine), "one")) == [("BUY", "4", "IBM")]
    assert send(daemon, pasted("one", "buy", 4, 8, **mine), "one")["reason"] == "POSITION_EXISTS"
    turned = orders(daemon, send(daemon, pasted("one", "sell", 7, -3, **mine), "one"))
    assert turned == [("SELL", "4", "IBM"), ("SELL", "3", "IBM")]
    turned = orders(daemon, send(daemon, pasted("one", "buy", 5, 2, **mine), "one"))
    assert turned == [("BUY", "3", "IBM"), ("BUY", "2", "IBM")]


# ---------------------------------------------------------------- all or nothing, and once


def test_a_batch_with_one_bad_order_sends_none(daemon: Daemon) -> None:
    before = len(daemon.call("query_orders"))
    answer = post(daemon, [fresh(action="buy", qty=1), fresh(action="buy", qty="many")])
    assert answer.status_code == 400
    assert answer.json()["errorMsg"].startswith("Order 2 of 2: qty")
    assert len(daemon.call("query_orders")) == before


def test_the_same_delivery_again_is_the_same_signal(daemon: Daemon) -> None:
    body = json.dumps(fresh(action="buy", qty=1))
    first = post(daemon, body)
    assert [post(daemon, body).text for _ in range(3)] == [first.text] * 3
    assert len(ended(daemon, first.json()["id"])["orders"]) == 1
    assert post(daemon, body.replace('"qty": 1', '"qty": 2')).text != first.text


def test_a_mark_of_the_senders_is_known_however_the_rest_reads(daemon: Daemon) -> None:
    alert = fresh(action="buy", qty=1, nonce="n-1")
    first = post(daemon, {**alert, "price": 1})
    assert post(daemon, {**alert, "price": 2}).text == first.text
    assert post(daemon, {**alert, "price": 2, "nonce": "n-2"}).text != first.text


def test_the_name_of_an_order_is_no_mark(daemon: Daemon) -> None:
    first = post(daemon, fresh(action="buy", qty=1, id="Long"))
    assert post(daemon, fresh(action="buy", qty=1, id="Long")).text != first.text


def deliver_and_hang_up(daemon: Daemon, body: str) -> None:
    """A sender whose connection breaks before the answer comes."""
    data = body.encode()
    head = f"POST /webhooks/tradingview/tv HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + data)


def made_for(daemon: Daemon, quantity: int) -> list[Any]:
    """The orders for so much that the broker had."""
    made = [each for each in daemon.call("query_orders").values() if each["quantity"] == quantity]
    return [each for each in made if each["reason"] != "NEVER_ARRIVED"]


def test_a_delivery_whose_answer_was_lost_is_one_order(daemon: Daemon) -> None:
    body = json.dumps(fresh(action="buy", qty=1717))
    for _ in range(3):
        deliver_and_hang_up(daemon, body)
    ended(daemon, post(daemon, body).json()["id"])
    assert len(made_for(daemon, 1717)) == 1


def query_journal(daemon: Daemon, query: str, *values: Any) -> Any:
    """What the journal of a running daemon says."""
    with closing(sqlite3.connect(f"file:{daemon.folder / 'journal.sqlite3'}?mode=ro", uri=True)) as journal:
        return journal.execute(query, values).fetchone()[0]


def last_record(daemon: Daemon) -> int:
    return query_journal(daemon, "SELECT max(seq) FROM records")


def await_record(daemon: Daemon, kind: str, after: int) -> None:
    """Until an event of a kind is in the journal. Looked at without a pause: the next is there in a millisecond."""
    deadline = time.monotonic() + PATIENCE
    while not query_journal(daemon, "SELECT count(*) FROM records WHERE kind = ? AND seq > ?", kind, after):
        assert time.monotonic() < deadline, daemon.tail()


def test_a_delivery_again_after_the_gateway_was_killed_over_it_is_one_order(make_daemon: MakeDaemon) -> None:
    """What TradingView sees is a 502 of the proxy in front, and it sends the same again."""
    daemon = make_daemon()
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, SOURCES)
    daemon.start().up()
    daemon.call("add_symbol", symbol="IBM")
    journalled = ("", "SignalReceived", "OrderSubmitted", "OrderAccepted", "Executed", "SignalEnded")
    for number, kind in enumerate(journalled):
        body = json.dumps(fresh(action="buy", qty=100 + number))
        before = last_record(daemon)
        deliver_and_hang_up(daemon, body)
        if kind:
            await_record(daemon, kind, before)
        daemon.kill()
        daemon.start().up()
        signal = send(daemon, body)
        assert (signal["outcome"], signal["reason"], signal["text"]) == ("DONE", None, "")
        assert len(made_for(daemon, 100 + number)) == 1
    bought = sum(range(100, 100 + len(journalled)))
    until(lambda: daemon.call("query_positions")["API_ACCOUNT"].get("IBM") == bought, daemon)
    daemon.end()


def test_a_delivery_again_after_a_5xx_is_one_order(make_daemon: MakeDaemon) -> None:
    """The disk takes no more, so the first deliveries are answered 503; then it does."""
    daemon = make_daemon(DAEMON_LOGFILE=os.devnull)
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, SOURCES)
    daemon.start().up()
    daemon.call("add_symbol", symbol="IBM")
    assert daemon.process is not None
    pid, unlimited = daemon.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, unlimited))
    bodies = [json.dumps(fresh(action="buy", qty=100 + number)) for number in range(3)]
    for _ in range(2):
        for body in bodies:
            answer = post(daemon, body)
            assert (answer.status_code, answer.json()["reason"]) == (503, "JOURNAL_FAILED")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    until(lambda: daemon.get("health").status_code == 200, daemon)
    for number, body in enumerate(bodies):
        assert send(daemon, body)["outcome"] == "DONE"
        assert len(made_for(daemon, 100 + number)) == 1
    daemon.end()


# ---------------------------------------------------------------- who may send


def test_the_secret_in_the_url(daemon: Daemon) -> None:
    alert = {"ticker": "IBM", "action": "buy", "qty": 1, "strategy": f"strategy {next(_names)}"}
    assert orders(daemon, send(daemon, alert, rest=f"/{SECRET}")) == [("BUY", "1", "IBM")]
    for rest in ("", "/", "/wrong", f"/{SECRET}x", f"/wrong/{SECRET}"):
        assert post(daemon, {**alert, "n": rest}, rest=rest).status_code == 401


def test_addresses_and_certificates(daemon: Daemon) -> None:
    alert = fresh(action="buy", qty=1)
    assert send(daemon, alert, "near")["outcome"] == "DONE"
    for name in ("far", "certified"):
        answer = post(daemon, alert, name)
        assert (answer.status_code, answer.json()["reason"]) == (401, "NOT_ALLOWED")
        assert daemon.call("query_signals", source=name) == []


def test_an_alert_over_https_with_a_certificate(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(WEBHOOK_PORT="0")
    names = ("tradingview", "somebody")
    command = [sys.executable, "-m", "txgateway_client", "certs", "make", *(f"--client={each}" for each in names)]
    subprocess.run(command, cwd=ROOT, env=daemon.environ, capture_output=True, timeout=PATIENCE, check=True)
    tls = daemon.folder / "tls"
    daemon.environment.update(TLS_CERT=str(tls / "server.pem"), TLS_KEY=str(tls / "server.key"))
    daemon.environment.update(WEBHOOK_CLIENT_CA=str(tls / "ca.pem"))
    daemon.session.trust_env, daemon.session.verify = False, str(tls / "ca.pem")
    sources.write(daemon.folder / sources.FILE, [source("certified", certificate="tradingview")])
    daemon.start().up()
    (made,) = daemon.call("query_sources", name="certified")
    for name, status in ((names[1], 401), ("", 401), (names[0], 200)):
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(tls / "ca.pem")
            if name:
                session.cert = (str(tls / f"client-{name}.pem"), str(tls / f"client-{name}.key"))
            answer = session.post(made["url"], json=fresh(action="buy", qty=1), timeout=PATIENCE)
            assert answer.status_code == status, name
    assert orders(daemon, ended(daemon, answer.json()["id"])) == [("BUY", "1", "IBM")]


def test_an_alert_that_is_too_old(daemon: Daemon) -> None:
    now = time.time()
    assert send(daemon, fresh(action="buy", qty=1, timenow=now), "fresh")["outcome"] == "DONE"
    old = post(daemon, fresh(action="buy", qty=1, timenow=now - 90), "fresh")
    assert (old.status_code, old.json()["reason"]) == (400, "STALE_SIGNAL")
    lag = post(daemon, fresh(action="buy", qty=1, timestamp=now - 30, maxLag=20))
    assert (lag.status_code, lag.json()["reason"]) == (400, "STALE_SIGNAL")
    assert "tells no time" in post(daemon, fresh(action="buy", qty=1), "fresh").json()["errorMsg"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            '{"passphrase": "%s", "ticker": "IBM", "qty": {{strategy.order.contracts}}}',
            "{{strategy.order.contracts}} at",
        ),
        ('{"passphrase": "%s", "ticker": "IBM", "action": "{{strategy.order.action}}"}', "was not replaced"),
        ('{"passphrase": "%s", "ticker": "IBM", "action": "buy", "qty": NaN}', "NaN at line 1, column 82"),
        ('{"passphrase": "%s", "comment": "a "b" c"}', "line 1, column"),
        ("secret=%s buy IBM", "no name=value"),
        ('{"passphrase": "%s"}', "nothing says what to do"),
    ],
)
def test_what_cannot_be_understood_is_kept_and_told_by_its_place(daemon: Daemon, body: str, said: str) -> None:
    answer = post(daemon, body % SECRET)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_SIGNAL")
    assert said in answer.json()["errorMsg"]
    (kept,) = daemon.call("query_signals", limit=1)
    assert (kept["outcome"], kept["orders"]) == ("REFUSED", [])
    assert said in kept["text"]


# ---------------------------------------------------------------- in time, and never again


def test_the_answer_waits_for_no_broker(daemon: Daemon) -> None:
    """One of three comes in time: a busy machine may stand still for seconds."""

    def is_in_time() -> bool:
        daemon.call("set_fault", fault="slow_broker", seconds=5, count=1, symbol="IBM")
        began = time.monotonic()
        answer = post(daemon, fresh(action="buy", qty=1))
        took = time.monotonic() - began
        assert answer.status_code == 200
        assert orders(daemon, ended(daemon, answer.json()["id"])) == [("BUY", "1", "IBM")]
        assert daemon.call("query_faults")["venues"]["paper"][0]["happened"] == 1
        daemon.call("clear_faults")
        return took < GIVES_UP

    assert any(is_in_time() for _ in range(3))


def test_an_unknown_symbol_is_told_in_the_signal_and_not_by_the_status(daemon: Daemon) -> None:
    """The answer does not wait for the venue, and TradingView would send it again after a 5xx."""
    signal = send(daemon, fresh(ticker="CME:ZZ1!", action="buy", qty=1))
    assert (signal["outcome"], signal["reason"], signal["orders"]) == ("REFUSED", "UNKNOWN_SYMBOL", [])


def test_the_secret_is_nowhere_but_in_its_file(daemon: Daemon) -> None:
    post(daemon, {**BASE, "action": "buy", "qty": 1, "comment": SECRET, "strategy": SECRET})
    for path in daemon.folder.rglob("*"):
        if path.is_file() and path.name != sources.FILE:
            assert SECRET.encode() not in path.read_bytes(), path
