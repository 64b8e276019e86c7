"""Thousands of orders at emulated exchanges while links drop and things go wrong at random: it ends reconciled."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.emulators.crypto.process import Process
from txgateway.brokers.ccxt.ids import client_id
from txgateway.brokers.ccxt.peculiarities import TABLE

pytestmark = pytest.mark.soak

ACCOUNT = "MAIN"
ORDERS = int(os.environ.get("TXGATEWAY_SOAK_ORDERS", "1500"))
SEED = os.environ.get("TXGATEWAY_SOAK_SEED", "5")
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lost_ack", {}),
    ("lost_ack", {"when": "unknown"}),
    ("lost_order", {"when": "unknown"}),
    ("late_ack", {"seconds": 0.3}),
    ("late_fill", {"seconds": 0.5}),
    ("duplicated_fill", {"seconds": 0.1}),
    ("reordered_fills", {"seconds": 0.5}),
    ("fill_after_cancel", {"seconds": 0.2}),
    ("cancel_race", {}),
    ("rejected_order", {}),
    ("rejected_cancel", {}),
    ("rate_limit", {}),
    ("rate_limit", {"arrives": True}),
    ("slow_broker", {"when": "orders", "seconds": 0.5}),
    ("half_open", {"seconds": 1}),
    ("dropped_link", {"seconds": 0.3}),
    ("restart", {"seconds": 0.3}),
)


class Place(NamedTuple):
    """Where: the emulator, its name of the pair, whose wallet has what money, the gateway's name of the pair."""

    emulator: str
    pair: str
    money: str
    symbol: str
    stream: str = ""


PLACES = {
    "binance": Place("binance", "BTC-USDT", "spot:USDT", "BTC/USDT"),
    "binanceusdm": Place("binance", "BTC-USDT-PERP", "perp:USDT", "BTC/USDT:USDT"),
    "woo": Place("woo", "BTC-USDT", "spot:USDT", "BTC/USDT"),
    "coinbase": Place("coinbase", "BTC-USD", "spot:USD", "BTC/USD", "/ws/advanced"),
    "coinbaseexchange": Place("coinbase", "BTC-USD", "spot:USD", "BTC/USD", "/ws/exchange"),
}


@pytest.mark.parametrize("name", PLACES)
def test_thousands_of_orders_with_dropped_links_end_reconciled(name: str, make_daemon: MakeDaemon) -> None:
    place = PLACES[name]
    exchange = Process(place.emulator, "--tick", "0", "--balance", f"{place.money}:1000000000").start()
    try:
        soak(name, place, exchange, make_daemon)
    finally:
        exchange.kill()


def soak(name: str, place: Place, exchange: Process, make_daemon: MakeDaemon) -> None:
    chance = Random(SEED)
    daemon = made(name, place, exchange, make_daemon)
    quote(place, exchange)
    daemon.start().up()
    daemon.call("add_symbol", symbol=place.symbol)
    auth = ("txtrader_user", PASSWORD)
    session = requests.Session()

    def post(way: str, **body: Any) -> Any:
        return session.post(f"{daemon.url}/{way}", json=body, auth=auth, timeout=PATIENCE).json()

    def send(number: int) -> None:
        terms = {"account": ACCOUNT, "symbol": place.symbol, "route": "", "quantity": (1 + number % 7) / 100}
        key = {"client_order_id": f"soak-{number}"}
        if number % 3 == 0:
            order = post("market_order", **terms, **key)
        else:
            order = post("limit_order", **terms, **key, limit_price=40000)
        if order.get("reason") == "VENUE_DOWN":
            daemon.up()
        elif number % 3 == 1 and "permid" in order:
            post("cancel_order", id=order["permid"])

    with ThreadPoolExecutor(8) as pool:
        for start in range(0, ORDERS, 100):
            fault, more = chance.choice(FAULTS)
            exchange.do("fault", name=fault, count=chance.choice((1, 3)), **more)
            work = [pool.submit(send, number) for number in range(start, min(start + 100, ORDERS))]
            if chance.random() < 0.3:
                until(lambda work=work: sum(each.done() for each in work) >= len(work) // 2)
                exchange.do("drop", seconds=chance.choice((0, 0.5)))
            for each in work:
                each.result()
            exchange.do("clear")
            quote(place, exchange, chance.choice((0.05, 1_000_000)))
            daemon.up()
    for _ in range(3):
        with suppress(AssertionError):
            until(lambda: not unsettled(daemon, place, exchange))
            break
    assert unsettled(daemon, place, exchange) == []
    compare(name, daemon, exchange)


def made(name: str, place: Place, exchange: Process, make_daemon: MakeDaemon) -> Daemon:
    """A daemon with this exchange, not started."""
    toml = make_daemon(MODE="paper").folder.parent / "venues.toml"
    toml.parent.mkdir(parents=True, exist_ok=True)
    words = {"kind": "ccxt", "exchange": name, "key": "key", "secret": "secret", "uid": "uid", "accounts": ACCOUNT}
    words |= {"password": "password", "url": f"http://127.0.0.1:{exchange.port}"}
    if place.stream:
        words["stream_url"] = f"ws://127.0.0.1:{exchange.port}{place.stream}"
    if name == "coinbaseexchange":
        words["secret"] = exchange.do("keys")["secret64"]
    given = [f'{word} = "{value}"' for word, value in words.items()]
    given += ["throttle = false", "patience = 3", "silence = 4"]
    toml.write_text("\n".join([f"[venues.{name}]", *given]) + "\n")
    risk = "price_collar=off,max_notional=off,reference_age=off,max_position=off,max_gross_exposure=off"
    quick = {"RECONCILE_SECONDS": "5", "TIMEOUT_ORDER": "10", "LOG_HTTP_REQUESTS": "0"}
    return make_daemon(CONFIG=str(toml), API_ACCOUNT=ACCOUNT, RISK=risk, **quick)


def quote(place: Place, exchange: Process, size: float = 1_000_000) -> None:
    """A market as deep as it takes, or so thin that orders are filled in pieces, and some are not."""
    exchange.do("quote", symbol=place.pair, bid=50000, ask=50010, bid_size=size, ask_size=size)


def held(place: Place, exchange: Process) -> float:
    """What the exchange says that we hold."""
    if place.pair.endswith("PERP"):
        return float(exchange.do("net").get(place.pair, 0))
    return sum(map(float, exchange.do("balances")["spot"].get("BTC", ())))


def unsettled(daemon: Daemon, place: Place, exchange: Process) -> list[Any]:
    """What is in doubt, or different from what the exchange says."""
    doubted = ("UNKNOWN", "PENDING_NEW", "PENDING_CANCEL")
    found = [each for each in daemon.call("query_orders").values() if each["order_status"] in doubted]
    found += [each for each in daemon.call("query_differences") if each.get("resolved") is None]
    ours, theirs = daemon.call("query_positions").get(ACCOUNT, {}).get(place.symbol, 0), held(place, exchange)
    return found if abs(ours - theirs) < 1e-6 else [*found, (ours, theirs)]


def compare(name: str, daemon: Daemon, exchange: Process) -> None:
    """No order is there twice, and each has what the exchange says that it has."""
    truth = {each["client_id"]: each for each in exchange.do("orders")}
    ids = [each["client_id"] for each in exchange.do("orders")]
    assert len(ids) == len(set(ids)), "an order is there twice"
    assert len(ids) > ORDERS / 2, "most came there, whatever failed"
    for number, order in daemon.call("query_orders").items():
        theirs = truth.get(client_id(TABLE[name].form, number))
        if order["order_status"] in ("REJECTED", "DENIED"):
            assert theirs is None or theirs["status"] == "REJECTED", (order, theirs)
        else:
            assert theirs is not None, order
            assert float(theirs["filled"]) == pytest.approx(order["filled"]), (order, theirs)
            working = order["order_status"] in ("NEW", "PARTIALLY_FILLED")
            assert working == (theirs["status"] in ("NEW", "PARTIALLY_FILLED")), (order, theirs)
    assert exchange.violations() == []
