"""Signals at a crypto exchange that keeps a part of what is bought: the daemon against the emulated Binance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.test_ccxt import ACCOUNT, SECRET, agrees, make_ccxt
from tests.emulators.crypto.process import Process
from txgateway import sources
from txgateway.model.signal import Semantics, Source, SourceKind

PASSPHRASE = "a-long-enough-secret"
PAIR = "BTC/USDT"
SOURCES = [
    Source(name="plain", kind=SourceKind.GENERIC, account=ACCOUNT, secret=PASSPHRASE),
    Source(name="one", kind=SourceKind.GENERIC, account=ACCOUNT, secret=PASSPHRASE, semantics=Semantics.ONE_POSITION),
    Source(name="tv", kind=SourceKind.TRADINGVIEW, account=ACCOUNT, secret=PASSPHRASE),
]


@pytest.fixture(scope="module")
def binance() -> Iterator[Process]:
    key = f"main:key:{SECRET}"
    emulator = Process(
        "binance", "--tick", "0", "--key", key, "--balance", "spot:USDT:100000000", "--balance", "spot:BTC:3"
    ).start()
    emulator.do("quote", symbol="BTC-USDT", bid=50000, ask=50010, bid_size=1000, ask_size=1000)
    yield emulator
    assert emulator.violations() == []
    emulator.kill()


@pytest.fixture(scope="module")
def daemon(binance: Process, make_daemon: MakeDaemon) -> Daemon:
    daemon = make_ccxt(make_daemon, binance.port)
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, SOURCES)
    return daemon.start().up()


def send(daemon: Daemon, name: str, **body: Any) -> Any:
    """Post a signal, and wait for its end; it and its orders, filled."""
    way = "tradingview" if name == "tv" else "signal"
    headers = {} if name == "tv" else {"Authorization": f"Bearer {PASSPHRASE}"}
    more = {"secret": PASSPHRASE} if name == "tv" else {}
    before = {each["id"] for each in daemon.call("query_signals", limit=1000)}
    answer = requests.post(
        f"{daemon.url}/webhooks/{way}/{name}", json={"symbol": PAIR, **body, **more}, headers=headers, timeout=PATIENCE
    )
    assert answer.status_code == 200, answer.text

    def over() -> Any:
        new = [each for each in daemon.call("query_signals", limit=1000) if each["id"] not in before]
        return new[0] if new and new[0]["outcome"] != "PENDING" else None

    signal = until(over, daemon)
    assert signal["outcome"] == "DONE", signal
    for each in signal["orders"]:
        until(lambda each=each: daemon.call("query_order", id=each)["order_status"] == "FILLED", daemon)
    return [
        (order["side"], order["quantity"]) for order in (daemon.call("query_order", id=x) for x in signal["orders"])
    ]


def holds(daemon: Daemon, strategy: str, quantity: float) -> None:
    """What a strategy holds becomes this."""

    def so() -> bool:
        found = {each["strategy"]: each["quantity"] for each in daemon.call("query_strategies")}
        return bool(abs(found.get(strategy, 0) - quantity) < 1e-10) and (quantity != 0 or strategy not in found)

    until(so, daemon)


def test_a_generic_signal_buys_and_another_closes_round_after_round(daemon: Daemon, binance: Process) -> None:
    for quantity, held, sold in ((0.5, 0.4995, 0.4995), (0.12345, 0.12332655, 0.12332), (0.00777, 0.00776223, 0.00776)):
        assert send(daemon, "plain", strategy="gold", side="BUY", quantity=quantity) == [("BUY", quantity)]
        holds(daemon, "gold", held)
        assert send(daemon, "plain", strategy="gold", side="CLOSE") == [("SELL", sold)]
        holds(daemon, "gold", 0)
        agrees(daemon, binance)


def test_what_is_sold_as_it_was_bought_is_flat_and_so_are_tradingviews_words(daemon: Daemon) -> None:
    for time in ("2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z"):
        more = {"strategy": "pine", "comment": time}
        assert send(daemon, "tv", action="buy", quantity="0.12345", **more) == [("BUY", 0.12345)]
        assert send(daemon, "tv", action="sell", quantity="0.12345", **more) == [("SELL", 0.12332)]
        holds(daemon, "pine", 0)
        held = {"market_position": "long", "market_position_size": "0.3"}
        assert send(daemon, "tv", action="buy", quantity="0.3", **more, **held) == [("BUY", 0.3)]
        flat = {"market_position": "flat", "market_position_size": "0"}
        assert send(daemon, "tv", action="sell", quantity="0.3", **more, **flat) == [("SELL", 0.2997)]
        holds(daemon, "pine", 0)


def test_it_is_reversed_and_back_where_the_account_has_coins_of_its_own(daemon: Daemon, binance: Process) -> None:
    assert send(daemon, "one", strategy="swing", side="BUY", quantity=0.12345) == [("BUY", 0.12345)]
    reversal = send(daemon, "one", strategy="swing", target="-0.2")
    assert sum(quantity for _, quantity in reversal) == pytest.approx(0.32332)
    holds(daemon, "swing", -0.2 + 0.00000655)
    assert {side for side, _ in send(daemon, "one", strategy="swing", target="0.2")} == {"BUY"}
    assert send(daemon, "one", strategy="swing", side="CLOSE")
    holds(daemon, "swing", 0)
    agrees(daemon, binance)


def test_what_it_holds_outlives_a_crash_and_is_closed_after_it(daemon: Daemon) -> None:
    send(daemon, "plain", strategy="late", side="BUY", quantity=0.12345)
    daemon.kill()
    daemon.start().up()
    holds(daemon, "late", 0.12332655)
    assert send(daemon, "plain", strategy="late", side="CLOSE") == [("SELL", 0.12332)]
    holds(daemon, "late", 0)


def test_flatten_ends_with_less_than_a_lot(daemon: Daemon) -> None:
    send(daemon, "plain", strategy="last", side="BUY", quantity=0.12345)
    report = daemon.call("flatten", scope="source:plain", reason="over")
    assert report["scope"] == "source:plain"
    until(lambda: not daemon.call("query_flattens"), daemon)
    holds(daemon, "last", 0)
    assert daemon.call("flatten", scope="source:plain", reason="once more")["flat"] is True, "less than a lot is left"
    assert not [each for each in daemon.call("query_orders").values() if each["order_status"] in ("DENIED", "REJECTED")]
