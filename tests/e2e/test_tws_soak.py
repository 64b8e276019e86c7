"""5,000 orders at the emulated TWS while links drop and things go wrong at random: it ends reconciled."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.emulators.tws.process import Tws

pytestmark = pytest.mark.soak

ACCOUNT = "DU1234567"
ENDED = ("Filled", "Cancelled", "Inactive")
ORDERS = int(os.environ.get("TXGATEWAY_SOAK_ORDERS", "5000"))
FAULTS = (
    "lost_ack",
    "late_fill",
    "duplicated_fill",
    "fill_after_cancel",
    "cancel_race",
    "rejected_order",
    "rate_limit",
)


def test_five_thousand_orders_with_dropped_links_end_reconciled(make_daemon: MakeDaemon) -> None:
    with Tws("--tick", "0", "--account", ACCOUNT, "--cash", "1000000000", "--rate", "0") as tws:
        soak(tws, make_daemon)


def soak(tws: Tws, make_daemon: MakeDaemon) -> None:
    chance = Random(5)
    venue = f'kind = "tws"\nhost = "127.0.0.1"\nport = {tws.port}\nclient_id = 7\nrate = 1000\npatience = 3\n'
    risk = "price_collar=off,max_notional=off,reference_age=off,max_position=off,max_gross_exposure=off"
    quick = {"RECONCILE_SECONDS": "5", "TIMEOUT_ORDER": "10", "LOG_HTTP_REQUESTS": "0"}
    daemon = make_daemon(API_ACCOUNT=ACCOUNT, RISK=risk, **quick).configure(f"[venues.tws]\n{venue}")
    daemon.start().up()
    size = 1_000_000
    tws.do("quote", symbol="IBM", bid="185.10", ask="185.20", bid_size=size, ask_size=size)
    daemon.call("add_symbol", symbol="IBM")
    auth = ("txtrader_user", PASSWORD)
    session = requests.Session()

    def post(way: str, **body: Any) -> Any:
        return session.post(f"{daemon.url}/{way}", json=body, auth=auth, timeout=PATIENCE).json()

    def send(number: int) -> None:
        terms = {"account": ACCOUNT, "symbol": "IBM", "route": "SMART", "quantity": 1 + number % 7}
        key = {"client_order_id": f"soak-{number}"}
        if number % 10 == 0:
            bracket = {"side": "BUY", "take_profit": "190", "stop_loss": "1"}
            kind = {"order_type": "MARKET"} if number % 20 else {"order_type": "LIMIT", "limit_price": 1.5}
            post("submit_order", **terms, **key, **bracket, **kind)
        elif number % 3 == 0:
            post("market_order", **terms, **key)
        else:
            order = post("limit_order", **terms, **key, limit_price=1.5)
            if number % 3 == 1 and "permid" in order:
                post("cancel_order", id=order["permid"])

    with ThreadPoolExecutor(16) as pool:
        for start in range(0, ORDERS, 250):
            tws.do("fault", name=chance.choice(FAULTS), count=3)
            work = [pool.submit(send, number) for number in range(start, min(start + 250, ORDERS))]
            if chance.random() < 0.5:
                until(lambda work=work: sum(each.done() for each in work) >= len(work) // 2)
                tws.do("drop", seconds=chance.choice((0, 0.5)))
            for each in work:
                each.result()
            tws.do("quote", symbol="IBM", bid="185.10", ask="185.20", bid_size=size, ask_size=size)
            daemon.up()
    tws.do("clear")
    for _ in range(3):
        with suppress(AssertionError):
            until(lambda: is_reconciled(daemon, tws))
            break
    until(lambda: is_reconciled(daemon, tws), daemon)
    truth = {each["ref"]: each for each in tws.do("orders")}
    refs = [each["ref"] for each in tws.do("orders")]
    assert len(refs) == len(set(refs)), "an order is there twice"
    assert len(refs) > ORDERS / 2, "most came there, whatever failed"
    for name, order in daemon.call("query_orders").items():
        if order["order_status"] not in ("REJECTED", "DENIED"):
            assert float(truth[name]["filled"]) == order["filled"], (order, truth[name])
    protected(daemon, tws)
    assert tws.violations() == []


def protected(daemon: Daemon, tws: Tws) -> None:
    """What an entry filled has its two exits at TWS, each of exactly so much, and what rests has them asleep."""
    entries = [each for each in daemon.call("query_orders").values() if each.get("exits")]
    assert len(entries) > ORDERS / 20
    assert any(each["filled"] for each in entries)

    def wrong() -> list[Any]:
        works = [each for each in tws.do("orders") if each["action"] == "SELL" and each["status"] not in ENDED]
        size = {each["ref"]: float(each["quantity"]) - float(each["filled"]) for each in works}
        legs = daemon.call("query_exits")
        found = []
        for each in entries:
            exits = legs.get(each["permid"], {"orders": []})["orders"]
            there = {order["leg"]: size.get(order["permid"]) for order in exits}
            covers = each["quantity"] if each["order_status"] == "NEW" else each["filled"]
            wanted = dict.fromkeys(("stop_loss", "take_profit"), float(covers)) if covers else {}
            if there != wanted:
                found.append((each["permid"], there, wanted))
        return found

    try:
        until(lambda: not wrong(), daemon)
    except AssertionError:
        raise AssertionError(wrong()[:5]) from None


def is_reconciled(daemon: Daemon, tws: Tws) -> bool:
    doubted = ("UNKNOWN", "PENDING_NEW", "PENDING_CANCEL")
    if any(each["order_status"] in doubted for each in daemon.call("query_orders").values()):
        return False
    if [each for each in daemon.call("query_differences") if each.get("resolved") is None]:
        return False
    ours = {account: held for account, held in daemon.call("query_positions").items() if held}
    net = {account: {name: float(size) for name, size in held.items()} for account, held in tws.do("net").items()}
    return ours == {account: held for account, held in net.items() if held}
