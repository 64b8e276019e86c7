"""Exits at Interactive Brokers: each of what is left, whatever is killed when, and whatever a person does in TWS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.emulators.tws.process import Tws

ACCOUNT = "DU1234567"
ENTRY = {"account": ACCOUNT, "symbol": "IBM", "side": "BUY", "quantity": 100, "order_type": "LIMIT", "limit_price": 180}
BRACKET = {"take_profit": "190", "stop_loss": "170"}
FAR = "price_collar=off,max_notional=off,reference_age=off"
ENDED = ("Filled", "Cancelled", "Inactive")


@pytest.fixture
def tws() -> Iterator[Tws]:
    emulator = Tws("--tick", "0", "--account", ACCOUNT).start()
    emulator.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield emulator
    violations = emulator.do("status")["violations"]
    emulator.kill()
    assert violations == []


@pytest.fixture
def daemon(tws: Tws, make_daemon: MakeDaemon) -> Daemon:
    environment = {"MODE": "tws", "API_HOST": "127.0.0.1", "API_PORT": str(tws.port), "API_ACCOUNT": ACCOUNT}
    return make_daemon(**environment, API_CLIENT_ID="7", RISK=FAR, RECONCILE_SECONDS="2").start().up()


def enter(daemon: Daemon) -> str:
    """An entry that rests, with two exits to come."""
    order = daemon.call("submit_order", **ENTRY, **BRACKET)
    assert order["order_status"] == "NEW", order
    return str(order["permid"])


def exits(tws: Tws) -> list[dict[str, Any]]:
    """Every exit that TWS ever had."""
    return [each for each in tws.do("orders") if each["action"] == "SELL"]


def working(tws: Tws) -> dict[str, tuple[int, dict[str, Any]]]:
    """What is left of each exit that works at TWS, by its type, and the exit; there is one of a type at most."""
    found = [each for each in exits(tws) if each["status"] not in ENDED]
    left = {each["type"]: (int(each["quantity"]) - int(each["filled"]), each) for each in found}
    assert len(left) == len(found), f"two exits of a kind: {found}"
    return left


def rest(daemon: Daemon, tws: Tws, **wanted: int) -> dict[str, dict[str, Any]]:
    """Wait until exactly so much is left of the exits at TWS, such as LMT=40, STP=40; the exits."""

    def so() -> Any:
        found = working(tws)
        same = {kind: size for kind, (size, _) in found.items()} == wanted
        return [{kind: each for kind, (_, each) in found.items()}] if same else None

    found: dict[str, dict[str, Any]] = until(so, daemon)[0]
    return found


def held(tws: Tws) -> int:
    """The position at TWS."""
    return int(tws.do("net")[ACCOUNT].get("IBM", 0))


def settled(daemon: Daemon, tws: Tws, position: int) -> None:
    """Nothing is in doubt, and we hold what TWS holds."""
    assert held(tws) == position

    def agreed() -> bool:
        orders = daemon.call("query_orders").values()
        if any(each["order_status"] in ("UNKNOWN", "PENDING_NEW") for each in orders):
            return False
        return daemon.call("query_positions")[ACCOUNT].get("IBM", 0) == position

    until(agreed, daemon)


def test_exits_begin_with_the_first_fill_and_grow_with_the_next(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    assert exits(tws) == []
    tws.do("fill", order=entry, size=40)
    rest(daemon, tws, LMT=40, STP=40)
    tws.do("fill", order=entry, size=60)
    both = rest(daemon, tws, LMT=100, STP=100)
    assert (both["LMT"]["limit"], both["STP"]["stop"]) == ("190", "170")
    tws.do("fill", order=both["LMT"]["ref"], size=30)
    rest(daemon, tws, LMT=70, STP=70)
    tws.do("fill", order=both["STP"]["ref"], size=70)
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(exits(tws)) == 2


def test_an_entry_canceled_in_part_keeps_its_exits(daemon: Daemon, tws: Tws) -> None:
    """Where IB's own bracket would take them away, and leave what was filled without a stop."""
    entry = enter(daemon)
    tws.do("fill", order=entry, size=40)
    rest(daemon, tws, LMT=40, STP=40)
    tws.do("cancel", order=entry)
    until(lambda: daemon.call("query_order", id=entry)["order_status"] == "CANCELED", daemon)
    rest(daemon, tws, LMT=40, STP=40)
    assert len(exits(tws)) == 2
    settled(daemon, tws, 40)


@pytest.mark.parametrize("size", [100, 40])
def test_filled_while_the_daemon_is_dead(daemon: Daemon, tws: Tws, size: int) -> None:
    entry = enter(daemon)
    daemon.kill()
    tws.do("fill", order=entry, size=size)
    daemon.start().up()
    rest(daemon, tws, LMT=size, STP=size)
    assert len(exits(tws)) == 2
    settled(daemon, tws, size)


def test_killed_between_the_fill_and_its_exits(daemon: Daemon, tws: Tws) -> None:
    """Wherever that finds it: nothing sent, one exit on its way, both."""
    entry = enter(daemon)
    for filled in (20, 40, 60, 80, 100):
        tws.do("fill", order=entry, size=20)
        daemon.kill()
        daemon.start().up()
        rest(daemon, tws, LMT=filled, STP=filled)
    assert len(exits(tws)) == 2
    settled(daemon, tws, 100)


def test_killed_while_exits_rest_they_stand_and_what_one_fills_is_taken_off_the_other(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    both = rest(daemon, tws, LMT=100, STP=100)
    daemon.kill()
    assert {kind: left for kind, (left, _) in working(tws).items()} == {"LMT": 100, "STP": 100}
    tws.do("fill", order=both["LMT"]["ref"], size=30)
    daemon.start().up()
    rest(daemon, tws, LMT=70, STP=70)
    daemon.kill()
    tws.do("fill", order=both["LMT"]["ref"], size=70)
    daemon.start().up()
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(exits(tws)) == 2


def test_both_filled_while_the_daemon_is_dead_the_excess_is_taken_back(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    both = rest(daemon, tws, LMT=100, STP=100)
    daemon.kill()
    tws.do("fill", order=both["LMT"]["ref"], size=100)
    tws.do("fill", order=both["STP"]["ref"], size=30)
    assert held(tws) == -30
    daemon.start().up()
    until(lambda: held(tws) == 0, daemon)
    rest(daemon, tws)
    settled(daemon, tws, 0)
    found = daemon.call("query_differences", all=True)
    assert [each["severity"] for each in found if each["what"] == "exits"] == ["CRITICAL"], found


@pytest.mark.parametrize(("gone", "kept"), [("LMT", "STP"), ("STP", "LMT")])
def test_an_exit_canceled_by_hand_in_tws_leaves_the_other_alone(daemon: Daemon, tws: Tws, gone: str, kept: str) -> None:
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    both = rest(daemon, tws, LMT=100, STP=100)
    tws.do("cancel", order=both[gone]["ref"])
    until(lambda: daemon.call("query_order", id=both[gone]["ref"])["order_status"] == "CANCELED", daemon)
    daemon.kill()
    daemon.start().up()
    rest(daemon, tws, **{kept: 100})
    tws.do("fill", order=both[kept]["ref"], size=100)
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(exits(tws)) == 2


def test_an_exit_canceled_by_hand_while_the_daemon_is_dead(daemon: Daemon, tws: Tws) -> None:
    """It stays gone, and the stop was there all the time."""
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    both = rest(daemon, tws, LMT=100, STP=100)
    daemon.kill()
    tws.do("cancel", order=both["LMT"]["ref"])
    assert {kind: left for kind, (left, _) in working(tws).items()} == {"STP": 100}
    daemon.start().up()
    until(lambda: daemon.call("query_order", id=both["LMT"]["ref"])["order_status"] == "CANCELED", daemon)
    rest(daemon, tws, STP=100)
    settled(daemon, tws, 100)


def test_exits_are_replaced_here_and_by_hand_in_tws(daemon: Daemon, tws: Tws) -> None:
    entry = enter(daemon)
    tws.do("fill", order=entry, size=50)
    both = rest(daemon, tws, LMT=50, STP=50)
    daemon.call("replace_order", id=both["STP"]["ref"], stop_price=175)
    until(lambda: daemon.call("query_order", id=both["STP"]["ref"])["stop_price"] == 175, daemon)
    tws.do("change", order=both["LMT"]["ref"], limit="191")
    until(lambda: daemon.call("query_order", id=both["LMT"]["ref"])["limit_price"] == 191, daemon)
    tws.do("fill", order=entry, size=50)
    both = rest(daemon, tws, LMT=100, STP=100)
    assert both["STP"]["stop"] == "175", "a price that was set here stays"
    assert both["LMT"]["limit"] == "191", "and one that was set in TWS"
    tws.do("trade", symbol="IBM", price="174.90")
    until(lambda: held(tws) == 0, daemon)
    rest(daemon, tws)
    settled(daemon, tws, 0)
    assert len(exits(tws)) == 2


def test_nothing_that_ib_would_take_away_by_itself_is_sent(daemon: Daemon, tws: Tws) -> None:
    """No parent and no group of IB's own: the end of one exit, or of the entry, is not the end of the others."""
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    rest(daemon, tws, LMT=100, STP=100)
    assert {(each["parent"], each["oca"]) for each in tws.do("orders")} == {(0, "")}
