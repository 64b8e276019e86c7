"""What senders send again, at once or after a crash, is carried out once; and what a source's scope reaches."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event, local
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon

SIGNALS, TIMES, SENDERS = 50, 20, 64
SECRET = "an-unmistakable-secret-of-a-source"
SYMBOLS = ("IBM", "WMT", "CAT")
ENDED = {"DONE", "REFUSED", "SHADOW"}


def add(daemon: Daemon, name: str, **more: Any) -> str:
    """A source that may send as much as it likes; its URL."""
    given = {"kind": "generic", "account": "API_ACCOUNT", "name": name, "secret": SECRET, "rate": 100_000, **more}
    return str(daemon.call("add_source", **given)["url"])


def post(url: str, session: Any = requests, **body: Any) -> requests.Response:
    answer: requests.Response = session.post(
        url, json=body, headers={"Authorization": f"Bearer {SECRET}"}, timeout=PATIENCE
    )
    return answer


def signals(daemon: Daemon, source: str) -> dict[str, Any]:
    return {each["id"]: each for each in daemon.call("query_signals", source=source, limit=1000)}


def ended(daemon: Daemon, source: str, many: int) -> dict[str, Any]:
    """The signals of a source, once there are so many and all are over."""

    def over() -> Any:
        found = signals(daemon, source)
        return found if len(found) == many and {each["outcome"] for each in found.values()} <= ENDED else None

    found: dict[str, Any] = until(over, daemon)
    return found


def orders(daemon: Daemon, owner: str) -> list[Any]:
    return [each for each in daemon.call("query_orders").values() if each["owner"] == owner]


def position(daemon: Daemon, symbol: str, account: str = "API_ACCOUNT") -> float:
    return float(daemon.call("query_positions").get(account, {}).get(symbol, 0))


class Crowd:
    """Delivers each of many signals many times, by many connections at once, in an order of chance."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = [
            {"symbol": SYMBOLS[at % 3], "side": "BUY", "quantity": at + 1, "id": f"alert {at}", "strategy": f"s{at}"}
            for at in range(SIGNALS)
        ]
        self.ids: list[tuple[int, str]] = []
        """(which signal, the id it was answered with) of each delivery that was answered."""
        self.stop = Event()
        self._turns = [at for at in range(SIGNALS) for _ in range(TIMES)]
        random.Random(seed).shuffle(self._turns)
        self._own = local()

    def deliver(self) -> None:
        """All of them; those that `stop` or a dead daemon cuts off are given up."""
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(self._one, self._turns))

    def _one(self, at: int) -> None:
        if self.stop.is_set():
            return
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        try:
            answer = post(self.url, self._own.session, **self.bodies[at])
        except requests.ConnectionError:
            return
        assert answer.status_code == 200, answer.text
        self.ids.append((at, answer.json()["id"]))

    def check(self, daemon: Daemon, source: str) -> None:
        """Each signal made one order, whoever was answered what; each answer named the signal that stands."""
        stands = ended(daemon, source, SIGNALS)
        assert Counter(each["outcome"] for each in stands.values()) == {"DONE": SIGNALS}
        assert {each for _, each in self.ids} == set(stands)
        assert len({(at, each) for at, each in self.ids}) == SIGNALS
        until(lambda: not daemon.call("query_open_orders"), daemon)
        made = [each for each in orders(daemon, source) if each["reason"] != "NEVER_ARRIVED"]
        assert len(made) == SIGNALS
        assert sorted(each["quantity"] for each in made) == [at + 1 for at in range(SIGNALS)]
        assert {each["status"] for each in made} == {"Filled"}
        keys = [each["client_order_id"].rstrip("+") for each in made]  # one that never arrived is sent again with a +
        assert sorted(keys) == sorted(f"sig:{each}:0" for each in stands)
        for number, symbol in enumerate(SYMBOLS):
            bought = sum(each["quantity"] for each in self.bodies[number::3])
            assert position(daemon, symbol) == bought, symbol


def test_a_thousand_deliveries_of_fifty_signals_at_once_make_fifty_orders(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    crowd = Crowd(add(daemon, "crowd"), seed=1)
    crowd.deliver()
    assert len(crowd.ids) == SIGNALS * TIMES
    crowd.check(daemon, "crowd")
    (seen,) = daemon.call("query_sources", name="crowd")
    assert (seen["received"], seen["repeated"]) == (SIGNALS, SIGNALS * TIMES - SIGNALS)


@pytest.mark.parametrize("after", [3, 12, 30])
def test_a_kill_in_the_middle_and_all_of_them_again_still_make_fifty(make_daemon: MakeDaemon, after: int) -> None:
    daemon = make_daemon().start().up()
    crowd = Crowd(add(daemon, "crowd"), seed=after)
    with ThreadPoolExecutor(1) as pool:
        delivering = pool.submit(crowd.deliver)
        until(lambda: len({at for at, _ in crowd.ids}) >= after, daemon)
        daemon.kill()
        crowd.stop.set()
        delivering.result()
    told = dict(crowd.ids)
    assert after <= len(told) <= SIGNALS
    daemon.start().up()
    assert set(told.values()) <= set(signals(daemon, "crowd")), "what was answered is on disk"
    crowd.stop.clear()
    crowd.deliver()
    crowd.check(daemon, "crowd")


def test_a_restart_between_the_answer_and_the_order_completes_it_once(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    url = add(daemon, "cut")
    daemon.call("set_fault", fault="mute_feed", symbol="ADBE")  # no price to send it by: it waits
    answers = [post(url, symbol="ADBE", side="BUY", quantity=each + 1, id=f"a{each}") for each in range(5)]
    ids = [each.json()["id"] for each in answers]
    assert {each["outcome"] for each in signals(daemon, "cut").values()} == {"PENDING"}
    assert orders(daemon, "cut") == []
    daemon.kill()
    daemon.start().up()
    stands = ended(daemon, "cut", 5)
    assert set(stands) == set(ids)
    assert sorted(each["quantity"] for each in orders(daemon, "cut")) == [1, 2, 3, 4, 5]
    again = [post(url, symbol="ADBE", side="BUY", quantity=each + 1, id=f"a{each}").json()["id"] for each in range(5)]
    assert again == ids
    daemon.kill()
    daemon.start().up()
    assert position(daemon, "ADBE") == 15
    assert len(orders(daemon, "cut")) == 5


def test_a_restart_over_an_order_that_the_broker_has_does_not_send_it_again(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    url = add(daemon, "doubted")
    daemon.call("add_symbol", symbol="IBM")
    daemon.call("set_fault", fault="lost_ack", count=1)  # the broker has it, and we do not hear of it
    signal_id = post(url, symbol="IBM", side="BUY", quantity=7, id="d").json()["id"]
    until(lambda: orders(daemon, "doubted"), daemon)
    daemon.kill()
    daemon.start().up()
    stands = ended(daemon, "doubted", 1)
    (order,) = until(lambda: [each for each in orders(daemon, "doubted") if each["status"] == "Filled"], daemon)
    assert stands[signal_id]["orders"] == [order["permid"]]
    assert position(daemon, "IBM") == 7


def test_a_secret_is_in_no_file_but_the_sources_own(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOG_HTTP_RESPONSES="1", LOG_RESPONSE_TRUNCATE="100000", LOG_LEVEL="debug").start().up()
    url = add(daemon, "hidden")
    views = add(daemon, "views", kind="tradingview")
    alert = {"secret": SECRET, "symbol": "IBM", "action": "buy", "quantity": 1}
    assert requests.post(views, json=alert, timeout=PATIENCE).status_code == 200
    assert requests.post(f"{views}/{SECRET}", json={**alert, "quantity": 2}, timeout=PATIENCE).status_code == 200
    assert requests.post(views, f'{{"secret": "{SECRET}", ', timeout=PATIENCE).status_code in (400, 401)
    assert requests.post(f"{views}/{SECRET}", f'{{"secret": "{SECRET}", ', timeout=PATIENCE).status_code == 400
    assert post(url, symbol="IBM", side="BUY", quantity=1, reference=SECRET, strategy=f"x{SECRET}").status_code == 200
    assert post(url, symbol="IBM", side=SECRET).status_code == 400
    until(lambda: {each["outcome"] for each in daemon.call("query_signals")} <= ENDED, daemon)
    daemon.call("change_source", name="hidden", secret=f"{SECRET}2")
    assert SECRET not in str([daemon.call(each) for each in ("query_sources", "query_signals", "query_journal")])
    assert daemon.stop() == 0
    looked = [path for path in daemon.folder.rglob("*") if path.is_file() and path.name != "sources.json"]
    assert {"journal.sqlite3", "snapshot", "daemon.log"} <= {path.name for path in looked}
    for path in looked:
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET in (daemon.folder / "sources.json").read_text()


# ---------------------------------------------------------------- a source's scope


@pytest.fixture(scope="module")
def desk(make_daemon: MakeDaemon) -> Daemon:
    """One with two sources."""
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


NUMBERS = count(1)


def send(daemon: Daemon, url: str, **body: Any) -> Any:
    """Post a signal; it, once it is over."""
    answer = post(url, **{"symbol": "IBM", "side": "BUY", "quantity": 1, "id": f"n{next(NUMBERS)}", **body})
    assert answer.status_code == 200, answer.text
    signal_id = answer.json()["id"]

    def over() -> Any:
        found = {each["id"]: each for each in daemon.call("query_signals", limit=1000)}[signal_id]
        return found if found["outcome"] in ENDED else None

    return until(over, daemon)


def by_hand(daemon: Daemon) -> str:
    """What becomes of a user's order."""
    order = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "quantity": 1}
    return str(daemon.call("market_order", **order)["status"])


def test_a_halt_of_a_source_stops_its_orders_and_nothing_elses(desk: Daemon) -> None:
    halted, other = add(desk, "halted"), add(desk, "other")
    sent = send(desk, halted)
    assert desk.call("query_order", id=sent["orders"][0])["owner"] == "halted"
    desk.call("halt", scope="source:halted", reason="its strategy is broken")
    refused = send(desk, halted)
    assert (refused["outcome"], refused["reason"]) == ("REFUSED", "HALTED")
    assert "its strategy is broken" in refused["text"]
    assert send(desk, other)["outcome"] == "DONE"
    assert by_hand(desk) == "Filled"
    filled = [each for each in orders(desk, "halted") if each["status"] == "Filled"]
    assert len(filled) == 1
    desk.call("resume", scope="source:halted")
    assert send(desk, halted)["outcome"] == "DONE"


def test_under_reduce_only_a_source_may_still_close(desk: Daemon) -> None:
    url = add(desk, "reduced")
    assert send(desk, url, quantity=5, strategy="r")["outcome"] == "DONE"
    desk.call("halt", scope="source:reduced", level="REDUCE_ONLY", reason="no more of it")
    assert send(desk, url, quantity=5, strategy="r")["reason"] == "REDUCE_ONLY"
    closed = send(desk, url, side="CLOSE", quantity=None, strategy="r")
    desk.call("resume", scope="source:reduced")
    assert closed["outcome"] == "DONE"
    assert desk.call("query_order", id=closed["orders"][0])["filled"] == 5


def test_limits_of_a_source_hold_for_its_orders_and_nothing_elses(desk: Daemon) -> None:
    small, large = add(desk, "small", limits="max_quantity=10"), add(desk, "large")
    refused = send(desk, small, quantity=11)
    assert (refused["outcome"], "source:small" in refused["text"]) == ("REFUSED", True)
    assert send(desk, small, quantity=10)["outcome"] == "DONE"
    assert send(desk, large, quantity=11)["outcome"] == "DONE"
    desk.call("set_risk", scope="source:small", limit="max_quantity", value="12")
    assert send(desk, small, quantity=11)["outcome"] == "DONE"


def test_a_flatten_of_a_source_closes_what_it_holds_and_no_more(desk: Daemon) -> None:
    url = add(desk, "flat", account="PAPER_CASH")
    assert send(desk, url, symbol="WMT", quantity=6)["outcome"] == "DONE"
    hand = {"account": "PAPER_CASH", "route": "DEMO", "symbol": "WMT", "quantity": 4}
    assert desk.call("market_order", **hand)["status"] == "Filled"
    desk.call("flatten", scope="source:flat", reason="enough")
    until(lambda: position(desk, "WMT", "PAPER_CASH") == 4, desk)
    desk.call("resume", scope="source:flat")
