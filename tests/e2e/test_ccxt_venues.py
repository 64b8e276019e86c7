"""One daemon at three exchanges: WOO (perpetuals), Coinbase and Coinbase Exchange, each emulated in a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.trading import becomes
from tests.emulators.crypto.process import Process

RISK = "price_collar=off,max_notional=off,reference_age=off,max_gross_exposure=off,max_position=off"


@dataclass(frozen=True)
class Place:
    """A venue, its emulator, and what is traded there."""

    name: str
    emulator: Process
    symbol: str
    pair: str
    options: dict[str, str]

    def quote(self) -> None:
        """Its market as each test finds it."""
        self.emulator.do("clear")
        self.emulator.do("quote", symbol=self.pair, bid=50000, ask=50010, bid_size=1000, ask_size=1000)

    def terms(self) -> dict[str, str]:
        """Of an order here."""
        return {"account": self.name.upper(), "route": "", "symbol": self.symbol}

    def held(self) -> float:
        """By the exchange's own book."""
        if self.pair.endswith("PERP"):
            return float(self.emulator.do("net").get(self.pair, 0))
        return sum(map(float, self.emulator.do("balances")["spot"].get("BTC", ())))

    def orders(self) -> list[Any]:
        """Of the exchange."""
        return self.emulator.do("orders")


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    usual = ("--tick", "0", "--key", "main:key:secret:password")
    woo = Process("woo", *usual, "--balance", "spot:USDT:5000000").start()
    trade, pro = (Process("coinbase", *usual, "--balance", "spot:USD:100000000").start() for _ in range(2))
    keys = pro.do("keys")
    found = (
        Place("woo", woo, "BTC/USDT:USDT", "BTC-USDT-PERP", {"secret": "secret", "uid": "uid", "market": "swap"}),
        Place("coinbase", trade, "BTC/USD", "BTC-USD", {"secret": "secret"}),
        Place(
            "coinbaseexchange",
            pro,
            "BTC/USD",
            "BTC-USD",
            {"secret": keys["secret64"], "password": keys["passphrase"]},
        ),
    )
    yield {place.name: place for place in found}
    for place in found:
        place.emulator.kill()


@pytest.fixture(scope="module")
def daemon(places: dict[str, Place], make_daemon: MakeDaemon) -> Daemon:
    lines = []
    for place in places.values():
        place.quote()
        lines += [f"[venues.{place.name}]", 'kind = "ccxt"', f'exchange = "{place.name}"', 'key = "key"']
        lines += [f'{name} = "{value}"' for name, value in place.options.items()]
        lines += [
            f'accounts = ["{place.name.upper()}"]',
            f'url = "http://127.0.0.1:{place.emulator.port}"',
            "patience = 2",
        ]
    made = make_daemon(RISK=RISK, RECONCILE_SECONDS="2", LOG_HTTP_REQUESTS="0")
    made.folder.mkdir(parents=True, exist_ok=True)
    toml = made.folder / "venues.toml"
    toml.write_text("\n".join([*lines, ""]))
    made.environment["CONFIG"] = str(toml)
    made.environment.pop("PAPER_FEED", None)
    made.start().up()
    until(lambda: {each["status"] for each in made.call("query_venues").values()} == {"UP"}, made)
    return made


@pytest.fixture(params=["woo", "coinbase", "coinbaseexchange"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Iterator[Place]:
    """Each in turn; whatever we say to it is what a client may say."""
    found = places[request.param]
    found.quote()
    yield found
    assert found.emulator.violations() == []


def agrees(daemon: Daemon, place: Place) -> None:
    """Nothing is in doubt, no difference is open, and what is held is what the exchange has."""

    def reconciled() -> bool:
        orders = [each for each in daemon.call("query_orders").values() if each["venue"] == place.name]
        if any(each["order_status"] in ("UNKNOWN", "PENDING_NEW") for each in orders):
            return False
        differences = [each for each in daemon.call("query_differences") if each["venue"] == place.name]
        if any(each.get("resolved") is None for each in differences):
            return False
        held = daemon.call("query_positions").get(place.name.upper(), {}).get(place.symbol, 0)
        return abs(held - place.held()) < 1e-9

    until(reconciled, daemon)


def test_orders_fill_rest_and_are_canceled(daemon: Daemon, place: Place) -> None:
    bought = daemon.call("market_order", **place.terms(), quantity=0.5)
    assert becomes(daemon, bought["permid"], "FILLED")["filled"] == 0.5
    sold = daemon.call("market_order", **place.terms(), quantity=-0.2)
    assert becomes(daemon, sold["permid"], "FILLED")["commission"] > 0
    rests = daemon.call("limit_order", **place.terms(), limit_price=45000, quantity=0.3)
    assert rests["order_status"] == "NEW"
    assert rests["venue"] == place.name
    number = place.orders()[-1]["number"]
    place.emulator.do("fill", order=number, size="0.1")
    until(lambda: daemon.call("query_order", id=rests["permid"])["filled"] == 0.1, daemon)
    daemon.call("cancel_order", id=rests["permid"])
    assert becomes(daemon, rests["permid"], "CANCELED")["filled"] == 0.1
    agrees(daemon, place)


def test_refusals_say_why(daemon: Daemon, place: Place) -> None:
    for more, reason in (
        ({"quantity": 0.0000001}, "BAD_LOT"),
        ({"limit_price": 45000.001}, "BAD_TICK"),
        ({"quantity": 800, "limit_price": 200000}, "INSUFFICIENT_FUNDS"),
    ):
        answer = daemon.call("limit_order", **{**place.terms(), "limit_price": 45000, "quantity": 0.1, **more})
        assert (answer.get("reason") or answer.get("order_reason")) == reason, answer


def test_what_nobody_knows_is_looked_up(daemon: Daemon, places: dict[str, Place]) -> None:
    every = list(places.values())
    for place in every:
        place.quote()
    before = [len(place.orders()) for place in every]
    orders = {}
    for fault, status in (("lost_ack", "NEW"), ("lost_order", "REJECTED")):
        for place in every:
            place.emulator.do("fault", name=fault, when="unknown")
            order = daemon.call("limit_order", **place.terms(), limit_price=45000, quantity=0.1)
            orders[order["permid"]] = status
    for name, status in orders.items():
        becomes(daemon, name, status)
        if status == "NEW":
            daemon.call("cancel_order", id=name)
            becomes(daemon, name, "CANCELED")
    assert [len(place.orders()) for place in every] == [count + 1 for count in before], "nothing was sent twice"
    for place in every:
        agrees(daemon, place)


def test_a_dropped_link_is_made_anew_while_the_others_trade(
    daemon: Daemon, place: Place, places: dict[str, Place]
) -> None:
    order = daemon.call("limit_order", **place.terms(), limit_price=45000, quantity=0.3)
    place.emulator.do("drop", seconds=0.5)
    place.emulator.do("fill", order=place.orders()[-1]["number"], size="0.3")
    for other in places.values():
        if other is not place:
            other.quote()
            bought = daemon.call("market_order", **other.terms(), quantity=0.1)
            becomes(daemon, bought["permid"], "FILLED")
    becomes(daemon, order["permid"], "FILLED")
    agrees(daemon, place)


def test_killed_in_the_midst_of_orders_it_finds_every_one(daemon: Daemon, places: dict[str, Place]) -> None:
    every = list(places.values())
    for place in every:
        place.quote()
    before = {place.name: len(place.orders()) for place in every}

    def send(number: int) -> Any:
        terms = {**every[number % 3].terms(), "quantity": 0.01, "client_order_id": f"killed-{number}"}
        try:
            return daemon.call("limit_order", **terms, limit_price=45000)
        except Exception:
            return None

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(send, number) for number in range(45)]
        until(lambda: sum(each.done() for each in answers) >= 15)
        daemon.kill()
        told = [each.result() for each in answers]
    daemon.start().up()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    until(lambda: all(each["order_status"] != "UNKNOWN" for each in daemon.call("query_orders").values()), daemon)
    ours = [each for each in daemon.call("query_orders").values() if str(each["client_order_id"]).startswith("killed-")]
    assert {each["permid"] for each in filter(None, told)} <= {each["permid"] for each in ours}
    for place in every:
        there = [each for each in ours if each["venue"] == place.name and each["order_status"] != "REJECTED"]
        assert len(place.orders()) - before[place.name] == len(there)
        agrees(daemon, place)
