"""The daemon's life: configuration, start, the files it keeps, its end, and what outlives it."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
JOURNAL = "journal.sqlite3"


def rest(daemon: Daemon, **more: Any) -> Any:
    order = daemon.call("limit_order", **{**TERMS, "limit_price": 1, "quantity": 10, **more})
    assert order["order_status"] == "NEW", order
    return order


def txgateway(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in the daemon's environment."""
    command = [sys.executable, "-m", "txgateway_client", *arguments]
    return subprocess.run(command, cwd=ROOT, env=daemon.environ, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- configuration


def test_every_mistake_is_told_at_once(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(
        HTTP_PORT="x",
        TCP_PORT="70000",
        LOCAL_RESET_TIME="25:00",
        API_TIMEZONE="Mars/Base",
        ENABLE_TICKER="maybe",
        TIMEOUT_ORDER="-1",
        LOG_LEVEL="loud",
        HOST="0.0.0.0",
        PAPER_FEED="replay:",
        PAPER_COMMISSION="much",
        HTTP_PROT="1",
    )
    for arguments in ((), ("--check",)):
        ended = daemon.run(*arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        for name in daemon.environment:
            if name not in ("PASSWORD", "DATA_DIR", "LOGIN_DELAY"):
                lines = [line for line in ended.stderr.splitlines() if f"TXGATEWAY_{name}" in line]
                assert lines, f"{name} is not complained about:\n{ended.stderr}"
        assert "did you mean TXGATEWAY_HTTP_PORT" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert PASSWORD not in ended.stderr
    assert not (daemon.folder / JOURNAL).exists(), "a configuration that is wrong starts nothing"


def test_a_check_says_what_is_configured_and_starts_nothing(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TCP_PORT="50099", API_ROUTE="SMART")
    ended = daemon.run("--check")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "TXGATEWAY_TCP_PORT=50099" in ended.stdout
    assert "TXGATEWAY_API_ROUTE=SMART" in ended.stdout
    assert "venue paper: kind=paper" in ended.stdout
    assert PASSWORD not in ended.stdout
    assert not (daemon.folder / JOURNAL).exists()


def test_a_check_looks_at_the_folder_as_the_start_does(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    taken = daemon.folder.parent / "a-file"
    taken.write_text("")
    for folder in (taken, taken / "below"):
        daemon.environment["DATA_DIR"] = str(folder)
        checked = daemon.run("--check")
        assert (checked.returncode, checked.stdout) == (2, "")
        assert f"TXGATEWAY_DATA_DIR={folder}: {taken} is no folder" in checked.stderr
        assert daemon.run().returncode == 1, "nor does it start"
    del daemon.environment["PASSWORD"]
    checked = daemon.run("--check")
    assert len(checked.stderr.splitlines()) == 1, "the folder alone is complained about, not what would be in it"
    assert f"TXGATEWAY_DATA_DIR={taken / 'below'}" in checked.stderr
    daemon.environment["DATA_DIR"] = str(daemon.folder.parent / "new" / "deep")
    assert daemon.run("--check").returncode == 0
    assert not (daemon.folder.parent / "new").exists()


def test_a_broken_toml_file_is_a_mistake_too(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    for text, says in (("[gateway", "TOML"), ("[gateway]\nhttp_prot = 1\n", "http_prot"), ("[venues.x]\n", "kind")):
        ended = daemon.configure(text).run("--check")
        assert ended.returncode == 2
        assert str(daemon.toml) in ended.stderr
        assert says in ended.stderr


def test_version_and_wrong_options(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    assert daemon.run("--version").stdout.startswith("txgatewayd")
    assert daemon.run("--nosuch").returncode == 2
    assert daemon.run("extra").returncode == 2


def test_txtraders_names_are_read_too(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(USERNAME="newer")
    del daemon.environment["HTTP_PORT"]
    daemon.variables.update(
        TXTRADER_HTTP_PORT="0", TXTRADER_USERNAME="older", TXTRADER_API_ACCOUNT="desk", TXTRADER_API_ROUTE="OLD"
    )
    daemon.session.auth = ("newer", PASSWORD)
    daemon.start().up()
    assert daemon.call("query_accounts")[0] == "DESK"
    assert daemon.call("get_order_route") == {"OLD": None}


def test_without_a_password_of_ones_own_it_is_left_in_a_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    del daemon.environment["PASSWORD"]
    daemon.session.auth = ("txtrader_user", "txtrader_pass")
    daemon.start().up()
    file = daemon.folder / "password"
    assert file.read_text() == "txtrader_pass\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in daemon.tail()
    assert "txtrader_pass" not in daemon.log.read_text()
    assert daemon.stop() == 0
    file.write_text("another-one\n")
    daemon.session.auth = ("txtrader_user", "another-one")
    daemon.start().up()
    assert daemon.get("status").json() == "Up"


def test_a_password_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    file = daemon.folder.parent / "secret"
    file.write_text(f"{PASSWORD}\n")
    del daemon.environment["PASSWORD"]
    daemon.environment["PASSWORD_FILE"] = str(file)
    daemon.start().up()
    assert not (daemon.folder / "password").exists()
    file.unlink()
    assert daemon.run("--check").returncode == 2


def test_several_venues(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().configure(
        '[venues.alpha]\nkind = "paper"\naccounts = "A1"\nfeed = "synthetic:1"\n'
        '[venues.beta]\nkind = "paper"\naccounts = ["B1", "B2:cash"]\nfeed = "synthetic:2"\n'
    )
    daemon.start().up()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    assert daemon.call("query_accounts") == ["A1", "B1", "B2"]
    here = daemon.call("market_order", account="A1", route="DEMO", symbol="IBM", quantity=10)
    there = daemon.call("market_order", account="B1", route="DEMO", symbol="IBM", quantity=10)
    assert [(each["venue"], each["status"]) for each in (here, there)] == [("alpha", "Filled"), ("beta", "Filled")]
    assert daemon.call("add_symbol", symbol="ibm@beta")["symbol"] == "IBM@beta"
    assert daemon.call("add_symbol", symbol="IBM")["symbol"] == "IBM"
    assert set(daemon.call("query_symbols")) == {"IBM", "IBM@beta"}
    assert daemon.call("market_order", account="A1", route="", symbol="IBM@beta", quantity=1)["reason"] == (
        "UNKNOWN_VENUE"
    )
    stream = Stream(daemon, {"venue": "beta", "order-notification": 1})
    assert stream.expect(".Authorized") == ".Authorized beta"
    stream.send("query IBM")
    assert stream.data("beta.symbol: ")["symbol"] == "IBM"
    stream.close()


# ---------------------------------------------------------------- start


@pytest.fixture(scope="module")
def running(make_daemon: MakeDaemon) -> Daemon:
    """A daemon that others meet."""
    return make_daemon().start().up()


def test_a_second_daemon_on_the_same_journal_does_not_start(running: Daemon) -> None:
    second = Daemon(running.folder, PASSWORD=PASSWORD).run()
    assert (second.returncode, second.stdout) == (1, "")
    assert len(second.stderr.splitlines()) == 1
    assert f"in use by another txgatewayd (process {running.process.pid})" in second.stderr  # type: ignore[union-attr]
    assert running.call("market_order", **TERMS, quantity=1)["status"] == "Filled"


@pytest.mark.parametrize("setting", ["HTTP_PORT", "TCP_PORT"])
def test_a_port_in_use_is_a_sentence(running: Daemon, make_daemon: MakeDaemon, setting: str) -> None:
    taken = running.environment[setting]
    ended = make_daemon(**{setting: taken}).run()
    assert ended.returncode == 1
    assert f"Port {taken} on 127.0.0.1" in ended.stderr
    assert f"TXGATEWAY_{setting}" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def write_junk(journal: Path) -> None:
    journal.write_bytes(b"this was a journal once" * 1000)


def cut_off(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:5000])


def make_newer(journal: Path) -> None:
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA user_version = 999")


def make_folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


def test_a_journal_that_cannot_be_read_is_a_sentence(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    daemon.call("market_order", **TERMS, quantity=1)
    assert daemon.stop() == 0
    journal = daemon.folder / JOURNAL
    original = journal.read_bytes()
    for harm in (write_junk, cut_off, make_newer, make_folder):
        journal.write_bytes(original)
        harm(journal)
        ended = daemon.run()
        assert ended.returncode == 1, harm
        assert str(journal) in ended.stderr
        assert "Traceback" not in ended.stderr + ended.stdout


def test_a_snapshot_that_cannot_be_read_is_done_without(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    order = daemon.call("market_order", **TERMS, quantity=1)
    assert daemon.stop() == 0
    (daemon.folder / "snapshot").write_bytes(b"\x00junk" * 500)
    daemon.start().up()
    assert daemon.call("query_orders") == {order["permid"]: order}


# ---------------------------------------------------------------- files


def test_pidfile(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    pidfile = daemon.folder.parent / "gateway.pid"
    daemon.environment["DAEMON_PIDFILE"] = str(pidfile)
    daemon.start().up()
    assert daemon.process is not None
    assert pidfile.read_text().strip() == str(daemon.process.pid)
    assert daemon.stop() == 0
    assert not pidfile.exists()


def test_the_journal_is_verified(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    for _ in range(3):
        daemon.call("market_order", **TERMS, quantity=1)
    seq = daemon.call("query_journal", kind="Executed")[1]["seq"]
    assert txgateway(daemon, "journal", "verify").returncode == 0, "also while the daemon runs"
    assert daemon.stop() == 0
    journal = daemon.folder / JOURNAL
    good = txgateway(daemon, "journal", "verify", str(journal))
    assert (good.returncode, good.stderr) == (0, "")
    assert "every hash fits" in good.stdout
    original = journal.read_bytes()
    for harm in (
        f'UPDATE records SET body = replace(body, \'"quantity":"1"\', \'"quantity":"9"\') WHERE seq = {seq}',
        f"UPDATE records SET time = time + 1 WHERE seq = {seq}",
        f"DELETE FROM records WHERE seq = {seq}",
    ):
        journal.write_bytes(original)
        with sqlite3.connect(journal) as connection:
            assert connection.execute(harm).rowcount == 1
        connection.close()
        tampered = txgateway(daemon, "journal", "verify")
        assert tampered.returncode == 1, harm
        assert "BROKEN at record" in tampered.stdout
        assert f"record {seq}" in tampered.stdout or f"record {seq + 1}" in tampered.stdout
    missing = txgateway(daemon, "journal", "verify", "/nowhere/journal")
    assert (missing.returncode, "/nowhere/journal" in missing.stderr) == (1, True)


# ---------------------------------------------------------------- the end, and after

LISTS = ("query_orders", "query_tickets", "query_executions", "query_positions", "get_order_route")


def kept(daemon: Daemon) -> dict[str, Any]:
    """All that outlives the daemon; not what is valued at the market of now."""
    totals = {account: each["USD"]["total"] for account, each in daemon.call("query_balances").items()}
    return {"totals": totals, **{name: daemon.call(name) for name in LISTS}}


def test_sigterm_ends_it_in_order_and_all_is_there_afterwards(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RISK="price_collar=off").start().up()
    filled = daemon.call("market_order", **TERMS, quantity=10)
    waiting = rest(daemon, time_in_force="GTC")
    ticket = daemon.call("stage_market_order", tag="t", **TERMS, quantity=5)
    daemon.call("set_order_route", route="KEPT")
    daemon.call("set_account", account="PAPER_CASH")
    before = kept(daemon)
    stream = Stream(daemon, {"order-notification": 1})
    stream.expect(".Authorized")
    assert daemon.stop() == 0
    assert "paper.connection-status-changed: Shutdown" in stream.until_closed()
    with pytest.raises(requests.ConnectionError):
        daemon.get("status")
    daemon.start().up()
    assert kept(daemon) == before
    assert daemon.call("query_order", id=waiting["permid"])["order_status"] == "NEW"
    daemon.call("replace_order", id=waiting["permid"], limit_price=9000)
    until(lambda: daemon.call("query_order", id=waiting["permid"])["status"] == "Filled", daemon)
    assert daemon.call("approve_ticket", id=ticket["permid"])["status"] == "Filled"
    assert daemon.call("query_positions")["API_ACCOUNT"]["IBM"] == filled["filled"] + 10 + 5


def test_a_resting_order_is_filled_after_a_restart_when_its_price_comes(make_daemon: MakeDaemon) -> None:
    """On a clock of the test's own: it rests on Friday, and Monday's market reaches it with nobody asking."""

    def on(day: str, daemon: Daemon) -> Daemon:
        venue = f'kind = "paper"\nfeed = "synthetic:7"\nstart = "{day}T15:00:00Z"\n'
        return daemon.configure(f"[venues.paper]\n{venue}").start().up()

    monday = on("2024-03-04", make_daemon())
    later = monday.call("add_symbol", symbol="IBM")["last"]
    monday.end()
    daemon = on("2024-03-01", make_daemon())
    now = daemon.call("add_symbol", symbol="IBM")["last"]
    assert abs(now - later) > 0.2, "the seed gives days that differ"
    between = round((now + later) / 2, 2)
    waiting = rest(daemon, limit_price=between, quantity=10 if later < now else -10, time_in_force="GTC")
    daemon.kill()
    on("2024-03-04", daemon)
    filled = until(lambda: (o := daemon.call("query_order", id=waiting["permid"]))["status"] == "Filled" and o, daemon)
    assert min(between, later) - 0.1 <= filled["avgfillprice"] <= max(between, later) + 0.1
    assert abs(daemon.call("query_positions")["API_ACCOUNT"]["IBM"]) == 10


def test_kill_9_keeps_what_was_answered(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    filled = daemon.call("market_order", **TERMS, quantity=10, client_order_id="before")
    waiting = rest(daemon)
    daemon.call("halt", reason="before the crash")
    before = kept(daemon)
    daemon.kill()
    daemon.start().up()
    assert kept(daemon) == before
    assert daemon.call("market_order", **TERMS, quantity=1)["reason"] == "HALTED"
    again = daemon.call("market_order", **TERMS, quantity=10, client_order_id="before")
    assert again == {**filled, "replayed": True}
    daemon.call("resume")
    assert daemon.call("cancel_order", id=waiting["permid"])["status"] == "Cancelled"
    assert daemon.call("query_balances")["API_ACCOUNT"]["USD"]["reserved"] == 0


def test_what_was_acknowledged_under_sigterm_is_there_afterwards(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()

    def send(number: int) -> Any:
        body = {**TERMS, "symbol": "EURUSD", "quantity": 1, "client_order_id": f"burst-{number}"}
        try:
            auth = ("txtrader_user", PASSWORD)
            return requests.post(f"{daemon.url}/market_order", json=body, auth=auth, timeout=PATIENCE).json()
        except (requests.RequestException, ValueError):
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(send, number) for number in range(400)]
        until(lambda: sum(each.done() for each in answers) >= 50, daemon)
        assert daemon.stop() == 0
        acknowledged = [order for each in answers if (order := each.result()) and "permid" in order]
    assert 50 <= len(acknowledged) <= 400
    daemon.start().up()
    orders = daemon.call("query_orders")
    for order in acknowledged:
        assert orders[order["permid"]]["client_order_id"] == order["client_order_id"]
        assert order["status"] in (orders[order["permid"]]["status"], "Submitted", "Accepted")
    filled = [each for each in orders.values() if each["status"] == "Filled"]
    assert len(daemon.call("query_executions")) == len(filled)
    assert {each["order_status"] for each in orders.values()} <= {"FILLED", "DENIED", "REJECTED"}
    assert daemon.call("query_positions")["API_ACCOUNT"]["EURUSD"] == len(filled)


def by_http(daemon: Daemon) -> None:
    assert daemon.call("shutdown", message="lights out") == "shutdown requested by txtrader_user [lights out]"


def by_stream(daemon: Daemon) -> None:
    stream = Stream(daemon, {})
    stream.expect(".Authorized")
    stream.send("shutdown lights out")
    assert "paper.connection-status-changed: Shutdown" in stream.until_closed()


@pytest.mark.parametrize("ask", [by_http, by_stream])
def test_shutdown_ends_it_in_order(make_daemon: MakeDaemon, ask: Callable[[Daemon], None]) -> None:
    daemon = make_daemon().start().up()
    ask(daemon)
    assert daemon.process is not None
    assert daemon.process.wait(PATIENCE) == 0
    assert "shutdown requested by txtrader_user [lights out]" in daemon.log.read_text()


def test_sigint_ends_it_too(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(PATIENCE) == 0


def test_a_full_disk_stops_orders_and_lets_cancels_go(make_daemon: MakeDaemon) -> None:
    """No file may grow beyond 1000 bytes: to the daemon that is a disk that takes no more."""
    daemon = make_daemon(DAEMON_LOGFILE=os.devnull).start().up()
    waiting = rest(daemon)
    assert daemon.process is not None
    pid, unlimited = daemon.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, unlimited))
    refused = daemon.call("market_order", **TERMS, quantity=1)
    assert (refused["status"], refused["reason"]) == ("Error", "JOURNAL_FAILED")
    assert daemon.get("health").status_code == 503
    cancel = daemon.call("cancel_order", id=waiting["permid"])
    assert "order_status" in cancel or cancel["errorMsg"].startswith("The cancel was sent"), cancel
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    until(lambda: daemon.get("health").status_code == 200, daemon)
    until(lambda: daemon.call("query_order", id=waiting["permid"])["status"] == "Cancelled", daemon)
    assert daemon.call("market_order", **TERMS, quantity=1)["status"] == "Filled"
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"IBM": 1}
    assert daemon.stop() == 0
    assert txgateway(daemon, "journal", "verify").returncode == 0
    daemon.environment["DAEMON_LOGFILE"] = "-"
    daemon.start().up()
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"IBM": 1}


@pytest.mark.parametrize("reactor", ["asyncio", "epoll"])
def test_more_signals_neither_break_nor_change_the_stop(make_daemon: MakeDaemon, reactor: str) -> None:
    daemon = make_daemon(DAEMON_REACTOR=reactor).start().up()
    assert daemon.process is not None
    signals = itertools.cycle([signal.SIGTERM, signal.SIGINT])
    ended = None
    while ended is None:
        daemon.process.send_signal(next(signals))
        with suppress(subprocess.TimeoutExpired):
            ended = daemon.process.wait(0.002)
    assert ended == 0
    assert "Traceback" not in daemon.log.read_text()
    assert (daemon.folder / "snapshot").exists(), "all of the stop was done"


def test_a_signal_beside_a_shutdown_changes_nothing(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    assert daemon.process is not None
    assert daemon.call("shutdown", message="enough")
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log.read_text()
