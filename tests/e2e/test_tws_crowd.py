"""The daemon with a long row of messages to TWS: the link stays, what closes a position does not wait, none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.test_tws import make_tws
from tests.e2e.trading import losses
from tests.emulators.tws.process import Tws

ACCOUNT = "DU1234567"
TERMS = {"account": ACCOUNT, "route": "SMART", "quantity": 1}


@pytest.fixture
def tws() -> Iterator[Tws]:
    """One that counts messages, as TWS does."""
    emulator = Tws("--tick", "0", "--account", ACCOUNT, "--cash", "100000000").start()
    for symbol in ("IBM", "TSLA"):
        emulator.do("quote", symbol=symbol, bid="185.10", ask="185.20", bid_size=100000, ask_size=100000)
    yield emulator
    violations = emulator.violations()
    emulator.kill()
    assert violations == []


@pytest.fixture
def daemon(tws: Tws, make_daemon: MakeDaemon) -> Daemon:
    return make_tws(make_daemon, tws.port).start().up()


def send(daemon: Daemon, orders: list[dict[str, Any]]) -> list[Any]:
    """All at once; the answers."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=50))

    def post(terms: dict[str, Any]) -> Any:
        url, auth = f"{daemon.url}/submit_order", ("txtrader_user", PASSWORD)
        return session.post(url, json={**TERMS, **terms}, auth=auth, timeout=PATIENCE).json()

    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(post, orders))


def resting(number: int, symbol: str) -> dict[str, Any]:
    limit = {"order_type": "LIMIT", "limit_price": 1.5}
    return {"symbol": symbol, "side": "BUY", "client_order_id": f"crowd-{number}", **limit}


def statuses(daemon: Daemon) -> Counter[str]:
    return Counter(each["order_status"] for each in daemon.call("query_orders").values())


def test_a_flatten_closes_what_is_held_while_six_hundred_orders_are_canceled(daemon: Daemon, tws: Tws) -> None:
    for symbol in ("IBM", "TSLA"):
        order = daemon.call("market_order", **{**TERMS, "symbol": symbol, "quantity": 45})
        assert order["status"] == "Filled", order
    send(daemon, [resting(number, "AAPL") for number in range(600)])
    until(lambda: statuses(daemon)["NEW"] == 600, daemon)
    daemon.call("global_cancel")
    daemon.call("flatten", scope="gateway", reason="panic")
    until(lambda: not any(tws.do("net")[ACCOUNT].values()), daemon)
    left = sum(each["status"] not in ("Filled", "Cancelled") for each in tws.do("orders"))
    assert left > 200, "what is held is closed before all the cancels are through"
    report = until(lambda: [each for each in [daemon.call("query_account", account=ACCOUNT)] if each], daemon)
    assert report
    until(lambda: daemon.call("query_flattens") == [], daemon)
    until(lambda: not statuses(daemon)["PENDING_CANCEL"], daemon)
    assert statuses(daemon) == {"FILLED": 4, "CANCELED": 600}
    assert losses(daemon) == 0


def test_a_burst_of_twelve_hundred_orders_loses_neither_the_link_nor_an_order(daemon: Daemon, tws: Tws) -> None:
    send(daemon, [resting(number, "IBM") for number in range(1200)])
    assert "TotalCashValue" in daemon.call("query_account", account=ACCOUNT), "a question is answered meanwhile"
    until(lambda: statuses(daemon)["NEW"] == 1200, daemon)
    theirs = Counter(each["ref"] for each in tws.do("orders"))
    assert theirs == dict.fromkeys(daemon.call("query_orders"), 1), "each is there once"
    assert losses(daemon) == 0
    log = daemon.log.read_text(errors="replace")
    assert "said nothing" not in log
    assert "NEVER_ARRIVED" not in log
