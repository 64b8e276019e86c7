"""The reason codes of signals, each as its README sentence says."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon

NUMBERS = count(1)


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon(TIMEOUT_ADDSYMBOL="1", TIMEOUT_DEFAULT="1").start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


def source(daemon: Daemon, **more: Any) -> Any:
    return daemon.call("add_source", kind="generic", account="API_ACCOUNT", name=f"source-{next(NUMBERS)}", **more)


def post(made: Any, **body: Any) -> requests.Response:
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    return requests.post(made["url"], json=body, headers=bearer, timeout=PATIENCE)


def send(daemon: Daemon, made: Any, **body: Any) -> Any:
    """Post a signal; it, once it is over."""
    answer = post(made, **body)
    assert answer.status_code == 200, answer.text

    def over() -> Any:
        found = {each["id"]: each for each in daemon.call("query_signals", limit=1000)}[answer.json()["id"]]
        return found if found["outcome"] != "PENDING" else None

    return until(over, daemon)


def orders(daemon: Daemon, made: Any) -> list[Any]:
    return [each for each in daemon.call("query_orders").values() if each["owner"] == made["name"]]


def test_bad_signal_what_was_sent_cannot_be_understood(daemon: Daemon) -> None:
    answer = post(source(daemon), symbol="IBM", side="UP")
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_SIGNAL")


def test_stale_signal_older_than_it_or_its_source_allows(daemon: Daemon) -> None:
    made = source(daemon, max_age=30)
    old = {"symbol": "IBM", "side": "BUY", "quantity": 1, "timestamp": "2020-01-01T00:00:00Z"}
    assert post(made, **old).json()["reason"] == "STALE_SIGNAL"
    assert post(source(daemon), **old, max_age=60).json()["reason"] == "STALE_SIGNAL"
    assert orders(daemon, made) == []


def test_position_exists_the_strategy_may_have_one_only(daemon: Daemon) -> None:
    made = source(daemon, semantics="one_position")
    buy = {"symbol": "IBM", "side": "BUY", "quantity": 5, "strategy": "one"}
    assert send(daemon, made, **buy)["outcome"] == "DONE"
    assert send(daemon, made, **buy)["reason"] == "POSITION_EXISTS"
    assert send(daemon, made, **{**buy, "strategy": "another"})["outcome"] == "DONE"
    assert len(orders(daemon, made)) == 2


def test_no_position_to_close(daemon: Daemon) -> None:
    made = source(daemon)
    close = {"symbol": "IBM", "side": "CLOSE", "strategy": "s"}
    assert send(daemon, made, **close)["reason"] == "NO_POSITION"
    assert send(daemon, made, symbol="IBM", side="BUY", quantity=3, strategy="s")["outcome"] == "DONE"
    assert send(daemon, made, **close)["outcome"] == "DONE"
    assert send(daemon, made, **close)["reason"] == "NO_POSITION"
    assert sorted((each["side"], each["quantity"]) for each in orders(daemon, made)) == [("BUY", 3), ("SELL", 3)]


def test_no_size_neither_the_signal_nor_its_source_says_how_large(daemon: Daemon) -> None:
    made = source(daemon)
    assert send(daemon, made, symbol="IBM", side="BUY")["reason"] == "NO_SIZE"
    daemon.call("change_source", name=made["name"], sizing="fixed", size=4)
    assert send(daemon, made, symbol="IBM", side="BUY")["outcome"] == "DONE"
    assert [each["quantity"] for each in orders(daemon, made)] == [4]


def test_unfinished_only_a_part_could_be_carried_out(daemon: Daemon) -> None:
    made = source(daemon)
    daemon.call("set_fault", fault="slow_broker", seconds=3)
    both = [{"symbol": each, "side": "BUY", "quantity": 1} for each in ("IBM", "DIS")]
    found = send(daemon, made, signals=both)
    daemon.call("clear_faults")
    assert (found["outcome"], found["reason"]) == ("REFUSED", "UNFINISHED")
    assert found["text"].startswith("Instruction 2 of 2: ")
    until(lambda: [(each["symbol"], each["filled"]) for each in orders(daemon, made)] == [("IBM", 1)], daemon)


def test_no_such_signal_and_no_such_source(daemon: Daemon) -> None:
    assert daemon.call("replay_signal", id="NONE")["reason"] == "NO_SUCH_SIGNAL"
    assert daemon.call("change_source", name="none")["reason"] == "NO_SUCH_SOURCE"
    made = source(daemon)
    found = send(daemon, made, symbol="IBM", side="BUY", quantity=1)
    assert daemon.call("remove_source", name=made["name"])["reason"] == "IN_USE"
    assert daemon.call("remove_source", name=made["name"], force=True) is True
    assert daemon.call("replay_signal", id=found["id"])["reason"] == "NO_SUCH_SOURCE"
