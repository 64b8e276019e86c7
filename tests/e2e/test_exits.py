"""Attached orders with the real daemon: each exit once, whatever is killed when; trails and hold times of a replay."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon

ENTRY = {"account": "API_ACCOUNT", "symbol": "MSFT", "side": "BUY", "quantity": 10}
BRACKET = {"take_profit": "20%", "stop_loss": "20%"}
LIVE = {"NEW", "PARTIALLY_FILLED"}


def exits_of(daemon: Daemon, entry: str) -> dict[str, Any]:
    """The working exits of an entry, by leg, once the broker holds them."""
    found = daemon.call("query_exits", id=entry)
    orders = found[entry]["orders"] if found else []
    return {each["leg"]: each for each in orders if each["order_status"] in LIVE}


def sent(daemon: Daemon, entry: str) -> list[str]:
    """The keys of all exits that an entry ever had."""
    told = daemon.call("explain_order", id=entry)["story"]
    terms = [each["event"]["terms"] for each in told if each["kind"] == "OrderSubmitted"]
    return [each["client_order_id"] for each in terms if each["parent"] == entry]


# ---------------------------------------------------------------- once


def test_whom_the_execution_budget_halts_still_gets_the_stop_and_nothing_else(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RISK="execution_budget=1/3600").start().up()
    entry = daemon.call("submit_order", **ENTRY, **BRACKET)
    exits = until(lambda: len(found := exits_of(daemon, entry["permid"])) == 2 and found, daemon)
    (halt,) = daemon.call("query_halts")
    assert (halt["scope"], halt["level"]) == ("owner:txtrader_user", "HALTED")
    assert daemon.call("submit_order", **ENTRY)["reason"] == "HALTED"
    assert daemon.call("submit_order", **{**ENTRY, "side": "SELL"})["reason"] == "HALTED"
    daemon.kill()
    daemon.start().up()
    assert exits_of(daemon, entry["permid"]).keys() == exits.keys()
    assert daemon.call("query_halts") == [halt]
    assert len(daemon.call("query_orders")) == 5
    assert daemon.call("cancel_order", id=exits["stop_loss"]["permid"])["order_status"] == "CANCELED"


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon().start().up()


def test_an_entry_its_exits_and_their_story(daemon: Daemon) -> None:
    entry = daemon.call("submit_order", **ENTRY, **BRACKET, client_order_id="swing-1")
    assert entry["status"] == "Filled"
    assert entry["exits"] == {"take_profit": "20%", "stop_loss": "20%", "trailing_stop": None, "hold_seconds": None}
    exits = until(lambda: len(found := exits_of(daemon, entry["permid"])) == 2 and found, daemon)
    stop, profit = exits["stop_loss"], exits["take_profit"]
    assert (stop["side"], stop["order_type"], stop["quantity"], stop["time_in_force"]) == ("SELL", "STOP", 10, "GTC")
    assert stop["stop_price"] == pytest.approx(entry["avgfillprice"] * 0.8, abs=0.011)
    assert profit["limit_price"] == pytest.approx(entry["avgfillprice"] * 1.2, abs=0.011)
    assert {each["parent"] for each in exits.values()} == {entry["permid"]}
    assert daemon.call("query_order", id=f"{entry['permid']}:sl")["permid"] == stop["permid"]
    told = daemon.call("explain_order", id="swing-1")["story"]
    assert {each["order_id"] for each in told} == {entry["permid"], stop["permid"], profit["permid"]}
    assert any("an exit of" in each["text"] for each in told)
    assert daemon.call("explain_order", id=stop["permid"])["story"] == told
    moved = daemon.call("replace_order", id=stop["permid"], stop_price=1)
    assert moved["stop_price"] == 1
    assert daemon.call("replace_order", id=stop["permid"], quantity=1)["reason"] == "UNSUPPORTED"
    assert daemon.call("submit_order", **ENTRY, **BRACKET, client_order_id="swing-1")["replayed"]
    ended = daemon.call("cancel_exits", id="swing-1")
    assert ended["permid"] == entry["permid"]
    until(lambda: not exits_of(daemon, entry["permid"]), daemon)
    assert len(sent(daemon, entry["permid"])) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"take_profit": "much"},
        {"stop_loss": "1.5 foo"},
        {"stop_loss": "NaN"},
        {"stop_loss": ""},
        {"trailing_stop": "1e99"},
        {"trailing_stop": [1]},
        {"hold_seconds": 1.5},
        {"hold_seconds": "soon"},
        {"oco": ""},
        {"oco": "x" * 65},
        {"oco": "two\nlines"},
        {"client_order_id": "mine:sl"},
        {"client_order_id": "mine:tp.2"},
    ],
)
def test_what_cannot_be_read_is_said_so(daemon: Daemon, given: dict[str, Any]) -> None:
    answer = daemon.session.post(f"{daemon.url}/submit_order", json={**ENTRY, **given}, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT"), answer.text
    assert next(iter(given)) in answer.json()["errorMsg"]


def test_by_the_command_line(daemon: Daemon) -> None:
    order = ["buy", "1", "MSFT", "--take-profit", "20%", "--stop-loss", "30 away", "--hold", "3600", "--force"]
    command = [sys.executable, "-m", "txgateway_client", "-a", "API_ACCOUNT", "-r", "DEMO", *order]
    environ = {**daemon.environ, "TXGATEWAY_HTTP_PORT": str(daemon.http_port)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    known = daemon.call("query_exits", symbol="MSFT")
    assert [each["exits"] for each in known.values() if each["exits"]["hold_seconds"] == 3600] == [
        {"take_profit": "20%", "stop_loss": "30 away", "trailing_stop": None, "hold_seconds": 3600}
    ]


def test_killed_right_after_the_fill_both_exits_are_there_once(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    entries = []
    for number in range(6):
        entry = daemon.call("submit_order", **{**ENTRY, "quantity": 10 + number}, **BRACKET)
        daemon.kill()
        assert entry["status"] == "Filled", entry
        entries.append(entry)
        daemon.start().up()
    for entry in entries:
        exits = until(lambda entry=entry: len(found := exits_of(daemon, entry["permid"])) == 2 and found, daemon)
        assert {each["quantity"] - each["filled"] for each in exits.values()} == {entry["quantity"]}
    theirs = daemon.call("query_open_orders", account="API_ACCOUNT")
    assert sorted(each["parent"] for each in theirs.values()) == sorted(2 * [entry["permid"] for entry in entries])
    assert daemon.call("query_positions")["API_ACCOUNT"]["MSFT"] == sum(entry["quantity"] for entry in entries)
    assert daemon.call("query_journal", kind="DifferenceFound", limit=1000) == []


def test_killed_over_a_filled_exit_the_other_is_canceled(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    entry = daemon.call("submit_order", **ENTRY, **BRACKET)
    exits = until(lambda: len(found := exits_of(daemon, entry["permid"])) == 2 and found, daemon)
    profit = exits["take_profit"]["permid"]
    daemon.call("replace_order", id=profit, limit_price=1)
    until(lambda: daemon.call("query_order", id=profit)["status"] == "Filled", daemon)
    daemon.kill()
    daemon.start().up()
    until(lambda: not daemon.call("query_open_orders"), daemon)
    assert daemon.call("query_positions")["API_ACCOUNT"] == {}
    assert daemon.call("query_order", id=exits["take_profit"]["permid"])["status"] == "Filled"
    assert daemon.call("query_order", id=exits["stop_loss"]["permid"])["status"] == "Cancelled"
    assert len(sent(daemon, entry["permid"])) == 2


def test_a_pair_of_which_one_cancels_the_other_over_a_restart(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    terms = {**ENTRY, "order_type": "LIMIT", "oco": "pair", "time_in_force": "GTC"}
    low = daemon.call("submit_order", **terms, limit_price=1)
    other = daemon.call("submit_order", **terms, limit_price=2)
    daemon.kill()
    daemon.start().up()
    assert daemon.call("query_order", id=low["permid"])["oco"] == "pair"
    above = round(daemon.call("query_symbol", symbol="MSFT")["last"] * 1.01, 2)
    daemon.call("replace_order", id=low["permid"], limit_price=above)
    until(lambda: daemon.call("query_order", id=other["permid"])["status"] == "Cancelled", daemon)
    assert daemon.call("query_order", id=low["permid"])["status"] == "Filled"
    assert daemon.call("submit_order", **terms, limit_price=1)["reason"] == "OCO_FILLED"


# ---------------------------------------------------------------- a market that rises and falls

START = 1_772_463_600_000
"""2026-03-02 15:00 UTC, a Monday: New York has opened half an hour ago."""
PRICES = (
    [100.0] * 80
    + [100 + step / 10 for step in range(51)]
    + [105.0] * 80
    + [105 - step / 10 for step in range(31)]
    + [102.0] * 2000
)
"""Ten a second: flat, up to 105 in five seconds, flat, down to 102 in three, flat."""


@pytest.fixture(scope="module")
def replay(make_daemon: MakeDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    folder = tmp_path_factory.mktemp("quotes")
    lines = [f"{START + 100 * at},{bid:.2f},900,{bid + 0.02:.2f},900" for at, bid in enumerate(PRICES)]
    (folder / "HILL-20260302-quotes.csv").write_text("time,bid,bid_size,ask,ask_size\n" + "\n".join(lines) + "\n")
    return make_daemon(PAPER_FEED=f"replay:{folder}/*.csv@4x").start().up()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def fill_of(daemon: Daemon, order_id: str) -> Any:
    return next(iter(daemon.call("query_order_executions", id=order_id).values()))


def test_a_trailing_stop_and_a_hold_time_of_a_replay(replay: Daemon) -> None:
    terms = {"account": "API_ACCOUNT", "symbol": "HILL", "side": "BUY", "quantity": 10}
    trailing = replay.call("submit_order", **terms, trailing_stop=1)
    held = replay.call("submit_order", **terms, hold_seconds=10)
    assert (trailing["avgfillprice"], held["avgfillprice"]) == (100.02, 100.02)
    until(lambda: replay.call("query_exits", id=trailing["permid"])[trailing["permid"]]["stop_price"] == 104, replay)
    until(lambda: held["permid"] not in replay.call("query_exits"), replay)
    close = replay.call("query_order", id=f"{held['permid']}:close")
    assert (close["status"], close["order_type"], close["filled"]) == ("Filled", "MARKET", 10)
    entered, left = (moment(fill_of(replay, each)["TIME"]) for each in (held["permid"], close["permid"]))
    assert 10 <= (left - entered).total_seconds() < 20
    until(lambda: trailing["permid"] not in replay.call("query_exits"), replay)
    stop = replay.call("query_order", id=f"{trailing['permid']}:sl")
    assert (stop["status"], stop["stop_price"], stop["avgfillprice"]) == ("Filled", 104.0, 104.0)
    told = replay.call("explain_order", id=stop["permid"])["story"]
    moves = [float(each["event"]["stop_price"]) for each in told if each["kind"] == "OrderReplaced"]
    assert moves == sorted(moves)
    assert moves[-1] == 104
    assert replay.call("query_positions")["API_ACCOUNT"] == {}


def test_a_hold_time_is_over_while_the_daemon_is_dead(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    entry = daemon.call("submit_order", **ENTRY, **BRACKET, hold_seconds=2)
    daemon.kill()
    daemon.start().up()
    until(lambda: daemon.call("query_positions")["API_ACCOUNT"] == {}, daemon)
    until(lambda: not daemon.call("query_open_orders"), daemon)
    assert daemon.call("query_order", id=f"{entry['permid']}:close")["status"] == "Filled"
