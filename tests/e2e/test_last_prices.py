"""Last prices of many pairs over the real daemon: four emulated exchanges, and paper on one's prices."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.emulators.crypto.process import Process

PRICES = {
    "spot": ("BTC/USDT", "BTC-USDT", 50001.5),
    "futures": ("BTC/USDT:USDT", "BTC-USDT-PERP", 50002.5),
    "trade": ("BTC/USD", "BTC-USD", 50003.5),
    "pro": ("BTC/USD", "BTC-USD", 50004.5),
    "woo": ("BTC/USDT", "BTC-USDT", 50005.5),
}
"""Venue -> a symbol, its name at the emulator, and what it was traded at last."""
KINDS = {"spot": "binance", "futures": "binance", "trade": "coinbase", "pro": "coinbase", "woo": "woo"}
REQUESTS = {
    "spot": "/api/v3/ticker/price",
    "futures": "/fapi/v2/ticker/price",
    "trade": "market/products",
    "pro": "/trades",
    "woo": "marketTrades",
}
"""What asks for last prices at each."""
TOML = """
[venues.{name}]
kind = "ccxt"
exchange = "{exchange}"
accounts = "{name}"
key = "key"
secret = "{secret}"
password = "password"
uid = "uid"
patience = 2
url = "http://127.0.0.1:{port}"
"""


@pytest.fixture(scope="module")
def exchanges() -> Iterator[Mapping[str, Process]]:
    usual = ("--tick", "0", "--key", "main:key:secret:password")
    found = {name: Process(kind, *usual).start() for name, kind in KINDS.items()}
    for name, (_, pair, last) in PRICES.items():
        found[name].do("trade", symbol=pair, price=last, size=1)
    yield found
    for each in found.values():
        each.kill()


@pytest.fixture(scope="module")
def daemon(exchanges: Mapping[str, Process], make_daemon: MakeDaemon) -> Daemon:
    made = make_daemon(LOG_HTTP_REQUESTS="0")
    text = """
[venues.rehearsal]
kind = "paper"
accounts = ["REHEARSAL"]
feed = "venue:spot"
"""
    names = {"spot": "binance", "futures": "binanceusdm", "trade": "coinbase", "pro": "coinbaseexchange", "woo": "woo"}
    for name, exchange in names.items():
        secret = exchanges[name].do("keys")["secret64"] if name == "pro" else "secret"
        text += TOML.format(name=name, exchange=exchange, secret=secret, port=exchanges[name].port)
    made.folder.mkdir(parents=True)
    path = made.folder / "txgateway.toml"
    path.write_text(text)
    made.environment.update(CONFIG=str(path), PAPER_FEED="")
    return up(made.start())


def up(daemon: Daemon) -> Daemon:
    """All of its venues are."""
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    return daemon


def every() -> dict[str, float]:
    """Each symbol as a client names it, and its price."""
    return {f"{symbol}@{venue}": last for venue, (symbol, _, last) in PRICES.items()}


def asked(exchanges: Mapping[str, Process]) -> dict[str, int]:
    """How often each exchange was asked for last prices."""
    return {
        name: sum(count for what, count in exchanges[name].do("status")["requests"].items() if word in what)
        for name, word in REQUESTS.items()
    }


def test_one_question_asks_each_exchange_once(daemon: Daemon, exchanges: Mapping[str, Process]) -> None:
    before = asked(exchanges)
    names = [*every(), "BTC/USDT", "NO/SUCH", "NO/SUCH@pro", "BTC/USDT@nowhere", "BTC/USDT@spot"]
    found = daemon.call("query_last_prices", symbols=[each.lower() if "@" not in each else each for each in names])
    assert list(found) == list(dict.fromkeys(names))
    wanted = {**every(), "BTC/USDT": PRICES["spot"][2]}
    assert {name: each["price"] for name, each in found.items() if each["price"] is not None} == wanted
    timed = [name for name, each in found.items() if each["time"] is not None]
    assert timed == ["BTC/USDT:USDT@futures", "BTC/USD@pro", "BTC/USDT@woo"], "the others do not tell it"
    reasons = {name: each["reason"] for name, each in found.items() if each["reason"] is not None}
    assert reasons == {
        "NO/SUCH": "UNKNOWN_SYMBOL",
        "NO/SUCH@pro": "UNKNOWN_SYMBOL",
        "BTC/USDT@nowhere": "UNKNOWN_VENUE",
    }
    after = asked(exchanges)
    # spot is asked by itself, and for paper
    assert {name: after[name] - before[name] for name in after} == {**dict.fromkeys(after, 1), "spot": 2}
    assert daemon.call("query_symbols") == [], "nothing is subscribed"
    assert all(each.violations() == [] for each in exchanges.values())


def test_by_every_way_in(daemon: Daemon) -> None:
    names = list(every())[:2]
    wanted = daemon.call("query_last_prices", symbols=names)
    assert daemon.get("query_last_prices", symbols=",".join(names)).json() == wanted
    assert daemon.rpc("query_last_prices", [names])["result"] == wanted
    assert daemon.rpc("query_last_prices", {"symbols": ",".join(names)})["result"] == wanted


@pytest.mark.parametrize("symbols", ["", "A,,B", ",".join(f"S{each}" for each in range(101))])
def test_symbols_that_cannot_be(daemon: Daemon, symbols: str) -> None:
    answer = daemon.get("query_last_prices", symbols=symbols)
    assert answer.status_code == 400, answer.text
    assert "query_last_prices" in answer.json()["errorMsg"]
    assert daemon.rpc("query_last_prices", [symbols])["error"]["code"] == -32602
    assert daemon.get("query_last_prices").status_code == 400


def test_the_command_line(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "txgateway_client", "query_last_prices", *every(), "no/such", "--table"]
    user, password = daemon.session.auth  # type: ignore[misc]
    environment = {**daemon.environ, "TXGATEWAY_HTTP_PORT": str(daemon.http_port)}
    environment |= {"TXGATEWAY_USERNAME": user, "TXGATEWAY_PASSWORD": password}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    rows = {line.split()[0]: line.split() for line in shown.splitlines()[1:]}
    assert {name: float(rows[name][1]) for name in every()} == every()
    assert rows["NO/SUCH"][1] == "UNKNOWN_SYMBOL"


def test_a_slow_exchange_and_one_that_is_gone_cost_the_others_nothing(
    daemon: Daemon, exchanges: Mapping[str, Process]
) -> None:
    exchanges["trade"].do("latency", seconds=60)
    exchanges["pro"].kill()
    try:
        until(lambda: daemon.call("query_venues")["pro"]["status"] != "UP", daemon)
        began = time.monotonic()
        found: dict[str, Any] = daemon.call("query_last_prices", symbols=list(every()))
        took = time.monotonic() - began
        prices = {name: each["price"] for name, each in found.items()}
        assert prices == {**every(), "BTC/USD@trade": None, "BTC/USD@pro": None}
        assert found["BTC/USD@pro"]["reason"] == "VENUE_DOWN"
        assert found["BTC/USD@trade"]["reason"] in ("TIMED_OUT", "VENUE_DOWN"), found
        assert "venue trade" in found["BTC/USD@trade"]["text"].lower()
        assert took < 15, "it waits no longer than is said"
    finally:
        exchanges["trade"].do("latency", seconds=0)
