"""Brackets that Interactive Brokers holds: they work while the daemon is dead, and where they cannot ours take over."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.tws_desk import BRACKET, ENTRY, connect, enter, exits, held, rest, running, settled, working
from tests.emulators.tws.process import Tws


@pytest.fixture
def tws() -> Iterator[Tws]:
    yield from running()


@pytest.fixture
def daemon(tws: Tws, make_daemon: MakeDaemon) -> Daemon:
    return connect(tws, make_daemon, "native")


def of(tws: Tws, order_id: str) -> dict[str, Any]:
    """An order as TWS has it."""
    return next(each for each in tws.do("orders") if each["ref"] == order_id)


def is_attached(daemon: Daemon, exits_there: dict[str, dict[str, Any]]) -> set[bool]:
    found = [daemon.call("query_order", id=each["ref"]) for each in exits_there.values()]
    return {each.get("attached", False) for each in found}


def test_the_exits_go_with_the_entry_and_sleep(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    both = rest(daemon, tws, LMT=100, STP=100)
    assert {each["parent"] for each in both.values()} == {of(tws, entry)["id"]}
    assert {each["oca"] for each in both.values()} == {str(of(tws, entry)["perm"])}
    assert is_attached(daemon, both) == {True}
    tws.do("trade", symbol="IBM", price="165")
    tws.do("quote", symbol="IBM", bid="195", ask="195.10")
    assert {each["filled"] for each in tws.do("orders")} == {"0"}
    shown = daemon.call("query_exits", id=entry)[entry]
    assert {each["leg"] for each in shown["orders"]} == {"stop_loss", "take_profit"}
    assert sorted(shown["asleep"]) == sorted(each["permid"] for each in shown["orders"])
    daemon.call("cancel_order", id=entry)
    rest(daemon, tws)
    settled(daemon, tws, 0)


def test_filled_and_stopped_while_the_daemon_is_dead(daemon: Daemon, tws: Tws) -> None:
    """The position had its stop without us, and when we are back every order is accounted for."""
    entry = enter(daemon)
    stop = rest(daemon, tws, LMT=100, STP=100)["STP"]["ref"]
    daemon.kill()
    tws.do("fill", order=entry, size=100)
    tws.do("trade", symbol="IBM", price="169.90")
    assert held(tws) == 0
    assert working(tws) == {}
    daemon.start().up()
    settled(daemon, tws, 0)
    ended = {each["permid"]: each["order_status"] for each in daemon.call("query_orders").values()}
    assert sorted(ended.values()) == ["CANCELED", "FILLED", "FILLED"]
    assert (ended[entry], ended[stop]) == ("FILLED", "FILLED")
    assert len(tws.do("orders")) == 3
    assert not [each for each in daemon.call("query_differences", all=True) if each["severity"] == "CRITICAL"]


@pytest.mark.parametrize("dead", [False, True])
def test_what_one_fills_ib_takes_off_the_other(dead: bool, daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    profit = rest(daemon, tws, LMT=100, STP=100)["LMT"]["ref"]
    if dead:
        daemon.kill()
    tws.do("fill", order=entry, size=100)
    tws.do("fill", order=profit, size=30)
    assert {kind: left for kind, (left, _) in working(tws).items()} == {"LMT": 70, "STP": 70}
    if dead:
        daemon.start().up()
    settled(daemon, tws, 70)
    both = rest(daemon, tws, LMT=70, STP=70)
    tws.do("fill", order=both["STP"]["ref"], size=70)
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(tws.do("orders")) == 3


@pytest.mark.parametrize("dead", [False, True])
def test_what_stays_filled_in_part_is_given_exits_of_ours(dead: bool, daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    rest(daemon, tws, LMT=100, STP=100)
    if dead:
        daemon.kill()
    tws.do("fill", order=entry, size=40)
    if dead:
        daemon.start().up()
    both = rest(daemon, tws, LMT=40, STP=40)
    assert {each["parent"] for each in both.values()} == {0}
    assert is_attached(daemon, both) == {False}
    tws.do("fill", order=entry, size=60)
    both = rest(daemon, tws, LMT=100, STP=100)
    assert len(exits(tws)) == 4
    tws.do("fill", order=both["LMT"]["ref"], size=100)
    rest(daemon, tws)
    settled(daemon, tws, 0)


@pytest.mark.parametrize("dead", [False, True])
def test_an_entry_canceled_in_part_leaves_its_fill_exits(dead: bool, daemon: Daemon, tws: Tws) -> None:
    """Where IB alone would leave it without a stop."""
    entry = enter(daemon)
    rest(daemon, tws, LMT=100, STP=100)
    if dead:
        daemon.kill()
    tws.do("fill", order=entry, size=40)
    tws.do("cancel", order=entry)
    assert working(tws) == {}
    if dead:
        daemon.start().up()
    rest(daemon, tws, LMT=40, STP=40)
    settled(daemon, tws, 40)


def test_an_exit_canceled_by_hand_takes_the_other_and_both_come_back(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    both = rest(daemon, tws, LMT=100, STP=100)
    tws.do("cancel", order=both["LMT"]["ref"])
    assert working(tws) == {}
    both = rest(daemon, tws, LMT=100, STP=100)
    assert {each["parent"] for each in both.values()} == {0}
    tws.do("cancel", order=both["LMT"]["ref"])
    rest(daemon, tws, STP=100)
    settled(daemon, tws, 100)


@pytest.mark.parametrize("filled", [False, True])
def test_exits_are_replaced_here_and_by_hand_in_tws(filled: bool, daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    both = rest(daemon, tws, LMT=100, STP=100)
    if filled:
        tws.do("fill", order=entry, size=100)
    daemon.call("replace_order", id=both["STP"]["ref"], stop_price=175)
    tws.do("change", order=both["LMT"]["ref"], limit="191")
    until(lambda: daemon.call("query_order", id=both["LMT"]["ref"])["limit_price"] == 191, daemon)
    if not filled:
        tws.do("fill", order=entry, size=100)
    settled(daemon, tws, 100)
    both = rest(daemon, tws, LMT=100, STP=100)
    assert (both["STP"]["stop"], both["LMT"]["limit"]) == ("175", "191")
    tws.do("trade", symbol="IBM", price="174.90")
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(tws.do("orders")) == 3


@pytest.mark.parametrize("filled", [0, 40, 100])
@pytest.mark.parametrize("way", ["flatten", "global_cancel"])
def test_what_ends_all_ends_brackets_for_good(way: str, filled: int, daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    rest(daemon, tws, LMT=100, STP=100)
    if filled:
        tws.do("fill", order=entry, size=filled)
        until(lambda: daemon.call("query_order", id=entry)["filled"] == filled, daemon)
    if way == "flatten":
        daemon.call("flatten", scope="gateway", reason="the day is over")
    else:
        daemon.call("global_cancel")
    left = 0 if way == "flatten" else filled
    until(lambda: working(tws) == {} and held(tws) == left, daemon)
    settled(daemon, tws, left)
    until(lambda: not daemon.call("query_exits"), daemon)
    assert not [each for each in daemon.call("query_differences", all=True) if each["severity"] == "CRITICAL"]


@pytest.mark.parametrize("dead", [False, True])
def test_a_cancel_that_is_lost_with_the_link_is_sent_again(dead: bool, daemon: Daemon, tws: Tws) -> None:
    """What was asked to end ends, and its exits protect it until then."""
    entries = [enter(daemon) for _ in range(3)]
    tws.do("fault", name="dropped_link", when="before")
    daemon.call("global_cancel")
    if dead:
        daemon.kill()
        daemon.start().up()
    until(lambda: {each["status"] for each in tws.do("orders")} == {"Cancelled"}, daemon)
    settled(daemon, tws, 0)
    assert {daemon.call("query_order", id=each)["order_status"] for each in entries} == {"CANCELED"}
    until(lambda: not daemon.call("query_exits"), daemon)


def test_killed_in_a_burst_of_brackets_each_is_there_once_and_whole(daemon: Daemon, tws: Tws) -> None:
    """Wherever -9 finds them: at TWS there are all three orders of a key, or none, and never twice."""
    keys = [f"burst-{number}" for number in range(40)]

    def send(key: str) -> None:
        with suppress(requests.ConnectionError, requests.JSONDecodeError):
            daemon.call("submit_order", **ENTRY, **BRACKET, client_order_id=key)

    def burst() -> None:
        enough = len(tws.do("orders")) + 9
        with ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(send, key) for key in keys]
            until(lambda: len(tws.do("orders")) >= enough or all(each.done() for each in sent))
            daemon.kill()

    for _ in range(4):
        burst()
        daemon.start().up()
    for key in keys:
        daemon.call("submit_order", **ENTRY, **BRACKET, client_order_id=key)

    def certain() -> bool:
        orders = daemon.call("query_orders").values()
        return not any(each["order_status"] in ("UNKNOWN", "PENDING_NEW") for each in orders)

    until(certain, daemon)
    ours = daemon.call("query_orders")
    there = tws.do("orders")
    assert len({each["ref"] for each in there}) == len(there), "one was sent twice"
    assert {each["ref"] for each in there} <= {each["permid"] for each in ours.values()}
    for parent in [each for each in there if not each["parent"]]:
        children = [each for each in there if each["parent"] == parent["id"]]
        assert sorted(each["type"] for each in children) == ["LMT", "STP"], "a bracket was torn"
    for order in ours.values():
        arrived = any(each["ref"] == order["permid"] for each in there)
        assert arrived is (order["order_status"] == "NEW"), order
