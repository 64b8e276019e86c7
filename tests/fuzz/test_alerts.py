"""Alerts of all sorts at the real daemon's webhook: a 2xx or a 4xx in words, never a traceback, and it goes on."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from txgateway import sources
from txgateway.model.signal import Semantics, Source, SourceKind
from txgateway.signals.tradingview.words import NAMES, SIDES

SECRET = "correct-horse-battery"
NAMES_SENT = [name for names in NAMES.values() for name in names.split()]
fuzz = settings(
    max_examples=int(100 * float(os.environ["FUZZ_SECONDS"])) if "FUZZ_SECONDS" in os.environ else 150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def source(name: str, **more: Any) -> Source:
    return Source(name=name, kind=SourceKind.TRADINGVIEW, account="API_ACCOUNT", secret=SECRET, rate=1e6, **more)


SOURCES = [
    source("orders"),
    source("target", semantics=Semantics.TARGET),
    source("one", semantics=Semantics.ONE_POSITION, template="{side} {symbol}[ q={quantity}]"),
    source("mapped", mapping={"symbol": "ticker || 'IBM'", "side": "action", "quantity": "max(sizes)"}),
]


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon(LOG_HTTP_REQUESTS="0")
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, SOURCES)
    return daemon.start().up()


def told(daemon: Daemon, session: requests.Session, name: str, body: bytes, rest: str = SECRET) -> int:
    """The status of an answer, which is one that a sender can read."""
    url = f"{daemon.url}/webhooks/tradingview/{name}/{rest}"
    answer = session.post(url, body, timeout=PATIENCE)
    assert 200 <= answer.status_code < 300 or 400 <= answer.status_code < 500, (answer.status_code, body)
    said = answer.json()
    assert said["status"] == ("Accepted" if answer.status_code == 200 else "Error")
    assert SECRET not in answer.text
    return answer.status_code


VALUES = (
    st.sampled_from(
        [*sorted(SIDES)[:12], "IBM", "NASDAQ:AAPL", "ETH_USD", "NQ1!", "1", "0.0001", "50%", "300$", "%", "NaN"]
    )
    | st.sampled_from(
        ["1e999", "9" * 50, "limit", "stop", "{{ticker}}", "", "2026-03-02T14:59:30Z", "IBM@paper", "IBM@x"]
    )
    | st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats()
    | st.text(max_size=8)
)
ALERTS = st.builds(
    lambda members, more: {"ticker": "IBM", "action": "buy", "qty": 1, **members, **more},
    st.dictionaries(st.sampled_from(NAMES_SENT), VALUES, max_size=4),
    st.dictionaries(
        st.sampled_from(["strategy", "order", "bar", "orders"]),
        st.dictionaries(st.sampled_from(NAMES_SENT), VALUES, max_size=3),
        max_size=1,
    ),
)
BODIES = (
    (ALERTS | st.lists(ALERTS, max_size=3)).map(lambda body: json.dumps(body).encode())
    | st.dictionaries(st.sampled_from(NAMES_SENT), st.text(max_size=6), max_size=5).map(
        lambda words: " ".join(f"{name}={value}" for name, value in words.items()).encode("utf-8", "replace")
    )
    | st.binary(max_size=200)
    | st.text(alphabet='{}[]",:=|buyIM1 \n', max_size=60).map(str.encode)
)


@fuzz
@given(st.sampled_from([each.name for each in SOURCES]), BODIES)
def test_whatever_an_alert_says(daemon: Daemon, name: str, body: bytes) -> None:
    with requests.Session() as session:
        told(daemon, session, name, body)


@fuzz
@given(st.text(alphabet="abc/%.?;-0\u00e9 ", max_size=20), st.binary(max_size=40))
def test_whatever_the_url_says(daemon: Daemon, rest: str, body: bytes) -> None:
    with requests.Session() as session:
        assert told(daemon, session, "orders", body, rest) != 200


def test_it_goes_on(daemon: Daemon) -> None:
    """After all that: every signal is over, and an honest one is an order."""
    until(lambda: not daemon.call("query_signals", outcome="PENDING"), daemon)
    with requests.Session() as session:
        alert = {"ticker": "AAPL", "action": "buy", "qty": 1717, "strategy": "honest"}
        assert told(daemon, session, "orders", json.dumps(alert).encode()) == 200
    made = until(lambda: [o for o in daemon.call("query_orders").values() if o["quantity"] == 1717], daemon)
    assert len(made) == 1
    log = daemon.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert SECRET not in log
