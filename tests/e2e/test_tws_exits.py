"""The gateway's own exits at Interactive Brokers: each of what is left, whatever is killed, whatever a person does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.tws_desk import connect, enter, exits, held, protected, rest, running, settled, working
from tests.emulators.tws.process import Tws


@pytest.fixture
def tws() -> Iterator[Tws]:
    yield from running()


@pytest.fixture
def daemon(tws: Tws, make_daemon: MakeDaemon) -> Daemon:
    return connect(tws, make_daemon, "gateway")


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
    both = protected(daemon, tws)
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
    both = protected(daemon, tws)
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
    both = protected(daemon, tws)
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
    both = protected(daemon, tws)
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
    protected(daemon, tws)
    assert {(each["parent"], each["oca"]) for each in tws.do("orders")} == {(0, "")}
