"""Signals into the real daemon: HTTP in, an order on the paper broker out, told on the stream."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import sha256
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from txgateway import sources
from txgateway.model.signal import Source, SourceKind

SECRET = "a-long-enough-secret"
"""Of every source here."""


def source(name: str, **more: Any) -> Source:
    return Source(name=name, kind=SourceKind.GENERIC, account="API_ACCOUNT", secret=SECRET, **more)


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """One with sources, and prices there."""
    daemon = make_daemon()
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(
        daemon.folder / sources.FILE, [source("mine"), source("shadow", shadow=True), source("slow", rate=0.1)]
    )
    daemon.start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


def post(daemon: Daemon, body: Any, name: str = "mine", secret: str = SECRET, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {secret}", **headers}
    return requests.post(f"{daemon.url}/webhooks/signal/{name}", data, headers=given, timeout=PATIENCE)


def ended(daemon: Daemon, signal_id: str) -> Any:
    """A signal, once it is over."""

    def over() -> Any:
        found = {each["id"]: each for each in daemon.call("query_signals", limit=1000)}
        return found[signal_id] if found[signal_id]["outcome"] != "PENDING" else None

    return until(over, daemon)


def send(daemon: Daemon, name: str = "mine", **body: Any) -> Any:
    """Post a signal, and wait for its end."""
    answer = post(daemon, body, name)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "Accepted"
    return ended(daemon, answer.json()["id"])


def test_a_signal_becomes_an_order_and_the_stream_tells_both(daemon: Daemon) -> None:
    stream = Stream(daemon, {"signal-data": True, "order-data": True})
    stream.expect(".Authorized")
    signal = send(daemon, symbol="IBM", side="BUY", quantity=100, strategy="gold", reference="alert 1")
    stream.expect(lambda line: ".signal-data" in line and '"ended"' in line)
    order = daemon.call("query_order", id=signal["orders"][0])
    assert (order["symbol"], order["quantity"], order["owner"]) == ("IBM", 100, "mine")
    told = [json.loads(line.partition(" ")[2]) for line in stream.heard if ".signal-data" in line]
    assert [(each["event"], each["id"]) for each in told] == [("received", signal["id"]), ("ended", signal["id"])]
    assert told[0]["seq"] < order["seq"]
    (held,) = daemon.call("query_strategies", strategy="gold")
    assert (held["source"], held["quantity"], held["intended"], held["reference"]) == ("mine", 100, 100, "alert 1")


def test_the_story_goes_from_the_bytes_to_the_fill(daemon: Daemon) -> None:
    signal = send(daemon, symbol="IBM", side="SELL", quantity=7)
    for story in (
        daemon.call("explain_signal", id=signal["id"])["story"],
        daemon.call("explain_order", id=signal["orders"][0])["story"],
    ):
        kinds = [each["kind"] for each in story]
        assert kinds[:2] == ["SignalReceived", "OrderSubmitted"]
        assert {"Executed", "SignalEnded"} <= set(kinds)
        assert '"quantity": 7' in story[0]["text"]


def test_shadow_mode_sends_nothing_and_replay_tells_what_would_be(daemon: Daemon) -> None:
    signal = send(daemon, "shadow", symbol="IBM", side="BUY", quantity=100)
    assert (signal["outcome"], signal["orders"]) == ("SHADOW", [])
    assert signal["text"] == "Would send BUY 100 IBM MARKET."
    assert daemon.call("replay_signal", id=signal["id"]) == ["Would send BUY 100 IBM MARKET."]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "UTF-8"),
        (b"[" * 100, "JSON"),
        (b"NaN", "JSON"),
        ([], "object"),
        ({}, "side"),
        ({"symbol": "IBM", "side": "BUY", "quantity": "NaN"}, "quantity"),
        ({"symbol": "IBM", "side": "BUY", "quantity": 1e300}, "quantity"),
        ({"symbol": "IBM", "side": "BUY", "quantity": -1}, "above zero"),
        ({"symbol": "IBM", "side": "BUY", "quantity": True}, "quantity"),
        ({"symbol": "IBM", "side": "HOLD", "quantity": 1}, "HOLD"),
        ({"symbol": "", "side": "BUY", "quantity": 1}, "symbol"),
        ({"symbol": "IBM", "side": "BUY", "target": 1}, "not both"),
        ({"symbol": "IBM", "side": "BUY", "quantity": 1, "colour": 1}, "colour"),
        ({"signals": []}, "signals"),
        ({"symbol": "IBM", "side": "BUY", "quantity": 1, "max_age": 1, "timestamp": "never"}, "timestamp"),
    ],
)
def test_bad_input_is_told_in_a_sentence_and_nothing_is_sent(daemon: Daemon, body: Any, word: str) -> None:
    before = len(daemon.call("query_orders"))
    answer = post(daemon, body)
    assert answer.status_code == 400
    assert answer.json()["reason"] == "BAD_SIGNAL"
    assert word in answer.json()["errorMsg"]
    assert len(daemon.call("query_orders")) == before
    assert daemon.call("query_signals", limit=1)[0]["outcome"] == "REFUSED"


def test_who_does_not_prove_itself_is_told_401_and_nothing_is_kept(daemon: Daemon) -> None:
    before = daemon.call("query_signals", limit=1)
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"X-Signature": "00", "X-Timestamp": "1"},
    ):
        answer = post(daemon, {"symbol": "IBM", "side": "BUY", "quantity": 1}, **headers)
        assert answer.status_code == 401, headers
    assert daemon.call("query_signals", limit=1) == before


def test_basic_authentication_and_signatures_prove_as_well(daemon: Daemon) -> None:
    body = json.dumps({"symbol": "IBM", "side": "BUY", "quantity": 1}).encode()
    url = f"{daemon.url}/webhooks/signal/mine"
    assert requests.post(url, body, auth=("mine", SECRET), timeout=PATIENCE).status_code == 200
    for stamp, status in ((int(time.time()), 200), (int(time.time()) - 301, 401)):
        signature = hmac.new(SECRET.encode(), b"%d." % stamp + body, sha256).hexdigest()
        headers = {"X-Timestamp": str(stamp), "X-Signature": signature}
        assert requests.post(url, body, headers=headers, timeout=PATIENCE).status_code == status


def test_paths_methods_sizes_and_rates(daemon: Daemon) -> None:
    assert requests.post(f"{daemon.url}/webhooks/signal/nobody", b"{}", timeout=PATIENCE).status_code == 404
    assert requests.post(f"{daemon.url}/webhooks/proquant/mine", b"{}", timeout=PATIENCE).status_code == 404
    assert requests.get(f"{daemon.url}/webhooks/signal/mine", timeout=PATIENCE).status_code == 405
    assert post(daemon, b" " * 300_000).status_code == 413
    answers = [post(daemon, {"symbol": "IBM"}, "slow").status_code for _ in range(3)]
    assert answers[-1] == 429


def test_a_stale_signal_is_refused(daemon: Daemon) -> None:
    answer = post(daemon, {"symbol": "IBM", "side": "BUY", "quantity": 1, "timestamp": time.time() - 60, "max_age": 5})
    assert (answer.status_code, answer.json()["reason"]) == (400, "STALE_SIGNAL")


def test_the_secret_is_nowhere_but_in_its_file(daemon: Daemon) -> None:
    post(daemon, {"symbol": "IBM", "side": "BUY", "quantity": 1, "strategy": SECRET})
    for path in daemon.folder.rglob("*"):
        if path.is_file() and path.name != sources.FILE:
            assert SECRET.encode() not in path.read_bytes(), path
