"""Thousands of orders at an emulated rtgw whose links drop at random, before or after an order has arrived.

At the end both sides have the same orders, fills and positions, nothing was sent twice, and nothing is in doubt.
`make test` sends 300 orders, `make soak` 5,000, or TXGATEWAY_SOAK_ORDERS. RTX_SOAK_SEED=… gives other ones.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.emulators.rtgw.process import Rtgw

SEED = int(os.environ.get("RTX_SOAK_SEED", "20240301"))
ACCOUNTS = ("EMU.TEST.DESK.ONE", "EMU.TEST.DESK.TWO")
SYMBOLS = ("IBM", "TSLA")
ORDERS = int(os.environ.get("TXGATEWAY_SOAK_ORDERS", "5000"))
CLIENTS = 8
PASSING = {"PENDING_NEW", "PENDING_CANCEL", "PENDING_REPLACE", "UNKNOWN"}
NOT_THERE = {"REJECTED", "DENIED"}


def test_300_orders_over_links_that_drop(make_daemon: MakeDaemon) -> None:
    run(make_daemon, 300, 0.8)


@pytest.mark.soak
def test_thousands_of_orders_over_links_that_drop(make_daemon: MakeDaemon) -> None:
    run(make_daemon, ORDERS, 4.0)


class Sender:
    """One client: sends an order, sometimes changes or cancels one; waits while the venue is away."""

    def __init__(self, daemon: Daemon, number: int, orders: int) -> None:
        self.daemon = daemon
        self.orders = orders
        self.chance = Random(f"{SEED} {number}")
        self.prefix = f"soak-{number}"
        self.answers: Counter[str] = Counter()
        self.session = requests.Session()
        self.session.auth = ("txtrader_user", PASSWORD)

    def call(self, method: str, **arguments: Any) -> Any:
        answer = self.session.post(f"{self.daemon.url}/{method}", json=arguments, timeout=PATIENCE)
        assert answer.status_code in (200, 503), answer.text
        return answer.json() if answer.status_code == 200 else {"status": "Error", "reason": "VENUE_DOWN"}

    def run(self) -> Counter[str]:
        sent = tries = 0
        while sent < self.orders:
            tries += 1
            answer = self.send(f"{self.prefix}-{tries}")
            self.answers[answer.get("reason") or answer.get("order_status", "?")] += 1
            if answer.get("reason") == "VENUE_DOWN":
                until(lambda: self.call("status") == "Up", self.daemon)
                continue
            sent += 1
            if self.chance.random() < 0.3 and answer.get("order_status") == "NEW":
                self.change(answer["permid"])
        return self.answers

    def send(self, key: str) -> Any:
        chance = self.chance
        terms = {"account": chance.choice(ACCOUNTS), "symbol": chance.choice(SYMBOLS), "route": "DEMO"}
        terms |= {"quantity": chance.choice((-3, -2, -1, 1, 2, 3)), "client_order_id": key}
        if chance.random() < 0.5:
            return self.call("market_order", **terms)
        price = 1.5 if terms["quantity"] > 0 else 9000
        return self.call("limit_order", **terms, limit_price=price)

    def change(self, permid: str) -> None:
        if self.chance.random() < 0.3:
            self.call("replace_order", id=permid, quantity=self.chance.randint(4, 9))
        else:
            self.call("cancel_order", id=permid)


def run(make_daemon: MakeDaemon, orders: int, seconds: float) -> None:
    """Send so many while a link drops about every so many seconds, and compare."""
    print(f"RTX_SOAK_SEED={SEED}")
    rtgw = Rtgw("--tick", "0", "--seed", str(SEED)).start()
    lock, over, drops = Lock(), Event(), Counter[str]()
    try:
        for symbol in SYMBOLS:
            rtgw.do("quote", symbol=symbol, bid="200", ask="200.1", bid_size=10**9, ask_size=10**9)
        environment = {"MODE": "rtx", "API_HOST": "127.0.0.1", "API_PORT": str(rtgw.port), "API_ACCOUNT": ACCOUNTS[0]}
        risk = "price_collar=off,max_notional=off,reference_age=off,duplicate_window=off,max_gross_exposure=off"
        daemon = make_daemon(
            **environment, RISK=risk, RECONCILE_SECONDS="5", LOG_HTTP_REQUESTS="0", LOG_EXECUTION_UPDATES="0"
        )
        daemon.start().up()
        for symbol in SYMBOLS:
            daemon.call("add_symbol", symbol=symbol)
        chance = Random(SEED)

        def disturb() -> None:
            while not over.wait(chance.uniform(0.5, 1.5) * seconds):
                kind = chance.choice(("drop", "before", "after", "terminate"))
                if any(each["count"] for each in rtgw.do("faults")["set"]):
                    continue  # the last one waits for an order still
                drops[kind] += 1
                with lock:
                    if kind == "drop":
                        rtgw.do("drop", seconds=chance.choice((0, 0.2)))
                    elif kind == "terminate":
                        rtgw.do("terminate", table="ORDERS")
                    else:
                        rtgw.do("fault", name="dropped_link", when=kind, seconds=chance.choice((0, 0.2)))

        disturber = Thread(target=disturb, daemon=True)
        disturber.start()
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [Sender(daemon, number, orders // CLIENTS) for number in range(CLIENTS)]
            answers: Counter[str] = sum((each.result() for each in [pool.submit(c.run) for c in clients]), Counter())
        took = time.monotonic() - began
        over.set()
        disturber.join()
        rtgw.do("clear")
        compare(daemon, rtgw)
        count = len(daemon.call("query_orders"))
        print(f"{orders} orders in {took:.0f} s ({count} with those that were refused), {dict(drops)}; {dict(answers)}")
        daemon.call("global_cancel")
        until(lambda: rtgw.do("request", query="ORDERS;*;CURRENT_STATUS={'LIVE','PENDING'}") == [None], daemon)
        compare(daemon, rtgw)
        assert daemon.stop() == 0
    finally:
        over.set()
        rtgw.end()


def compare(daemon: Daemon, rtgw: Rtgw) -> None:
    """Both sides have the same orders, fills and positions, and nothing is open between them."""
    daemon.up()

    def in_doubt() -> list[str]:
        return [n for n, each in daemon.call("query_orders").items() if each["order_status"] in PASSING]

    until(lambda: not in_doubt(), daemon)
    until(lambda: not daemon.call("query_differences"), daemon)
    ours = daemon.call("query_orders")
    rows = [row for row in rtgw.do("request", query="ORDERS;*;TYPE='UserSubmitOrder'") if row]
    theirs = {row["CLIENT_ORDER_ID"]: row for row in rows}
    assert len(rows) == len(theirs), "nothing is there twice"
    assert rtgw.violations() == []
    arrived = {name for name, each in ours.items() if each["order_status"] not in NOT_THERE}
    assert arrived == set(theirs)
    for name, row in theirs.items():
        each = ours[name]
        assert each["filled"] == row["VOLUME_TRADED"], (each, row)
        assert each["quantity"] == row["VOLUME"], (each, row)
        is_open = row["CURRENT_STATUS"] in ("LIVE", "PENDING")
        assert (each["order_status"] in ("NEW", "PARTIALLY_FILLED")) == is_open, (each, row)
    fills = [row for row in rtgw.do("request", query="ORDERS;*;TYPE='ExchangeTradeOrder'") if row]
    assert set(daemon.call("query_executions")) == {row["ORDER_ID"] for row in fills}
    held = {account: its for account, its in daemon.call("query_positions").items() if its}
    assert held == {account: its for account, its in rtgw.do("net").items() if its}
