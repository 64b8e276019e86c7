"""The published txtrader-client 1.5.4 and txtrader-monitor 1.1.8, unmodified: every method, every channel."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e import published
from tests.e2e.conftest import PASSWORD, MakeDaemon

ACCOUNT, ROUTE, SYMBOL = "API_ACCOUNT", "DEMO", "IBM"
NOTIFICATIONS = {
    f"{kind}-{part}": 1 for kind in ("order", "ticket", "execution") for part in ("notification", "data")
} | {"quotes": 1, "trades": 1}
CHANNELS = {
    *{"STATUS", "ERROR", "TIME", "ORDER", "ORDER_DATA", "ORDERS", "TICKET", "TICKET_DATA", "EXECUTION"},
    *{"EXECUTION_DATA", "EXECUTIONS", "QUOTE", "TRADE", "TICK", "CONNECTION", "SYMBOL", "SYMBOL_DATA", "SHUTDOWN"},
}


@pytest.fixture(scope="session")
def packages() -> Path:
    return published.install()


def settings(daemon: Daemon) -> dict[str, str]:
    """The published packages' own variables."""
    return {
        "TXTRADER_HOST": "127.0.0.1",
        "TXTRADER_HTTP_PORT": str(daemon.http_port),
        "TXTRADER_TCP_PORT": str(daemon.tcp_port),
        "TXTRADER_USERNAME": "txtrader_user",
        "TXTRADER_PASSWORD": PASSWORD,
        "TXTRADER_API_ACCOUNT": ACCOUNT,
        "TXTRADER_ROUTE": ROUTE,
    }


def environment(daemon: Daemon, packages: Path) -> dict[str, str]:
    known = {"PATH": os.environ["PATH"], "HOME": str(daemon.folder), "PYTHONPATH": str(packages)}
    return known | settings(daemon) | {"PYTHONUNBUFFERED": "1"}


# ---------------------------------------------------------------- the client


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol=SYMBOL)
    return daemon


@pytest.fixture(scope="module")
def client_class(packages: Path) -> Iterator[Any]:
    sys.path.insert(0, str(packages))
    try:
        yield importlib.import_module("txtrader_client").API
    finally:
        sys.path.remove(str(packages))


@pytest.fixture(scope="module")
def api(daemon: Daemon, client_class: Any) -> Any:
    return client_class("rtx", settings(daemon))


def is_order(order: Any, status: str, **members: Any) -> bool:
    shown = {name: order[name] for name in members}
    return bool(order["status"] == status and shown == members and order["permid"])


def fill(api: Any) -> Any:
    order = api.market_order(ACCOUNT, ROUTE, SYMBOL, 2)
    assert is_order(order, "Filled", quantity=2, filled=2, remaining=0)
    return order


def rest(api: Any) -> Any:
    order = api.limit_order(ACCOUNT, ROUTE, SYMBOL, 1, 10)
    assert is_order(order, "Accepted", filled=0, remaining=10)
    return order


def use_cancel_order(api: Any) -> bool:
    order = api.cancel_order(rest(api)["permid"])
    missing = api.cancel_order("NOSUCH")
    assert (missing["status"], missing["errorMsg"], missing["id"]) == ("Error", "Order not found", "NOSUCH")
    return is_order(order, "Cancelled")


def use_query_order(api: Any) -> bool:
    order = fill(api)
    assert api.query_order("NOSUCH") is None
    return bool(api.query_order(order["permid"]) == order)


def use_executions(api: Any) -> bool:
    order = fill(api)
    found = api.query_order_executions(order["permid"])
    assert sum(each["VOLUME"] for each in found.values()) == 2
    for name, each in found.items():
        assert each["ORIGINAL_ORDER_ID"] == order["permid"]
        assert api.query_execution(name) == each
        assert api.query_executions()[name] == each
    return bool(found)


def use_market_order(api: Any) -> bool:
    refused = api.market_order(ACCOUNT, ROUTE, SYMBOL, 0)
    assert refused["status"] == "Error"
    assert refused["errorMsg"]
    assert api.market_order("NOBODY", ROUTE, SYMBOL, 1)["status"] == "Error"
    assert api.market_order(ACCOUNT, ROUTE, "NOSUCH", 1)["status"] == "Error"
    return is_order(api.market_order(ACCOUNT, ROUTE, SYMBOL, -3), "Filled", quantity=3, text="Sell 3 IBM (Filled)")


def use_stage_market_order(api: Any) -> bool:
    ticket = api.stage_market_order("tag", ACCOUNT, ROUTE, SYMBOL, 10)
    assert api.query_tickets()[ticket["permid"]] == ticket
    return is_order(ticket, "Submitted", **{"class": "ticket"})


def use_global_cancel(api: Any) -> bool:
    waiting = rest(api)["permid"]
    assert api.global_cancel() == "global cancel requested"
    return bool(until(lambda: api.query_order(waiting)["status"] == "Cancelled"))


def use_set_account(api: Any) -> bool:
    assert api.set_account("NOBODY") is False
    assert api.set_account("PAPER_CASH") is True
    assert api.account == "PAPER_CASH"
    return bool(api.set_account(ACCOUNT))


def use_order_route(api: Any) -> bool:
    assert api.set_order_route("SMART") == {"SMART": None}
    assert api.set_order_route('{"VWAP": {"a": "b"}}') == {"VWAP": {"a": "b"}}
    assert api.set_order_route({ROUTE: None}) == {ROUTE: None}
    return bool(api.get_order_route() == {ROUTE: None})


def use_query_bars(api: Any) -> bool:
    assert len(api.query_bars(SYMBOL, "5", "-3", ".")) == 3
    assert len(api.query_bars(SYMBOL, "day", -2, ".")) == 2
    rows = api.query_bars(SYMBOL, 1, "2024-03-04 10:00", "2024-03-04 10:30:00")
    return rows[0][:2] == ["2024-03-04", "10:00:00"] and len(rows[0]) == 7


def use_query_account(api: Any) -> bool:
    assert api.query_account("NOBODY") is None
    assert list(api.query_account(ACCOUNT, "_cash")) == ["_cash"]
    return isinstance(api.query_account(ACCOUNT)["_cash"], float)


def use_del_symbol(api: Any) -> bool:
    assert api.add_symbol("NOSUCH") is None
    assert api.add_symbol("TSLA")["fullname"] == "Tesla, Inc."
    assert "TSLA" in api.query_symbols()
    assert api.query_all_symbols()["TSLA"]["symbol"] == "TSLA"
    return api.del_symbol("TSLA") is True and "TSLA" not in api.query_symbols()


USES: dict[str, Callable[[Any], Any]] = {
    "status": lambda api: api.status() == "Up",
    "uptime": lambda api: re.match(r"started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(elapsed ", api.uptime()),
    "time": lambda api: re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", api.time()),
    "version": lambda api: isinstance(api.version()["txtrader"], str) and api.version()["flags"],
    "help": lambda api: api.help()["market_order"].startswith("market_order(account, route, symbol, quantity"),
    "query_symbol_bars": lambda api: len(api.query_symbol_bars(SYMBOL)[0]) == 7,
    "query_bars": use_query_bars,
    "add_symbol": use_del_symbol,
    "del_symbol": use_del_symbol,
    "query_symbols": use_del_symbol,
    "query_all_symbols": use_del_symbol,
    "query_symbol": lambda api: api.query_symbol(SYMBOL)["last"] > 0 and api.query_symbol("NOSUCH") is None,
    "query_symbol_data": lambda api: api.query_symbol_data(SYMBOL)["STARTTIME"] == "09:30:00",
    "query_accounts": lambda api: api.query_accounts() == [ACCOUNT, "PAPER_CASH"],
    "query_account": use_query_account,
    "set_account": use_set_account,
    "query_positions": lambda api: fill(api) and api.query_positions()[ACCOUNT][SYMBOL] > 0,
    "query_orders": lambda api: fill(api)["permid"] in api.query_orders(),
    "query_tickets": use_stage_market_order,
    "query_order": use_query_order,
    "cancel_order": use_cancel_order,
    "query_order_executions": use_executions,
    "query_execution": use_executions,
    "query_executions": use_executions,
    "set_order_route": use_order_route,
    "get_order_route": use_order_route,
    "market_order": use_market_order,
    "stage_market_order": use_stage_market_order,
    "limit_order": lambda api: is_order(api.limit_order(ACCOUNT, ROUTE, SYMBOL, "9000.50", "-10"), "Accepted"),
    "stop_order": lambda api: is_order(api.stop_order(ACCOUNT, ROUTE, SYMBOL, 9000, 10), "Accepted"),
    "stoplimit_order": lambda api: is_order(api.stoplimit_order(ACCOUNT, ROUTE, SYMBOL, 9000, 9001, 10), "Accepted"),
    "global_cancel": use_global_cancel,
}


@pytest.mark.parametrize("method", USES)
def test_a_method_of_the_client(api: Any, method: str) -> None:
    assert USES[method](api)


def test_no_method_of_the_client_is_left_out(client_class: Any) -> None:
    methods = {name for name, _ in inspect.getmembers(client_class, inspect.isfunction) if not name.startswith("_")}
    assert methods == {*USES, "shutdown"}


def test_the_client_shuts_the_daemon_down(make_daemon: MakeDaemon, client_class: Any) -> None:
    other = make_daemon().start().up()
    assert "so long" in client_class("rtx", settings(other)).shutdown("so long")
    assert other.process is not None
    assert other.process.wait(PATIENCE) == 0


def test_a_wrong_password_is_an_error_in_the_client(daemon: Daemon, client_class: Any) -> None:
    api = client_class("rtx", settings(daemon) | {"TXTRADER_PASSWORD": "wrong"})
    with pytest.raises(Exception, match="401"):
        api.status()


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        (("status",), lambda shown: shown == "Up"),
        (("-c", "version"), lambda shown: "txtrader" in shown),
        (("add_symbol", "ibm"), lambda shown: shown["symbol"] == SYMBOL),
        (("query_account", ACCOUNT, "_cash"), lambda shown: list(shown) == ["_cash"]),
        (("query_account", ACCOUNT), lambda shown: len(shown) > 1),
        (("buy", "10", "ibm", "--force"), lambda shown: is_order(shown, "Filled", text="Buy 10 IBM (Filled)")),
        (("sell", "10", "ibm", "-f"), lambda shown: is_order(shown, "Filled", text="Sell 10 IBM (Filled)")),
        (("buy", "10", "ibm", "-f", "--limit", "1"), lambda shown: is_order(shown, "Accepted", limit_price=1.0)),
        (("cover", "10", "ibm", "-f", "-s", "9000"), lambda shown: is_order(shown, "Accepted", stop_price=9000.0)),
        (("short", "10", "ibm", "-f", "-s", "2", "-l", "1.9"), lambda shown: is_order(shown, "Accepted", filled=0)),
        (("submit", "BUY", "10", "ibm", "-f", "--staged", "t"), lambda shown: is_order(shown, "Submitted")),
        (("buy", "10", "ibm", "-f", "-l", "1", "--staged", "t"), None),
        (("limit_order", ACCOUNT, ROUTE, "ibm", "1", "10"), lambda shown: is_order(shown, "Accepted")),
        (("query_bars", "--", "ibm", "DAY", "-2", "."), lambda shown: len(shown) == 2),
        (("query_orders",), lambda shown: all(each["permid"] == name for name, each in shown.items())),
        (("set_order_route", '{"DEMO": null}'), lambda shown: shown == {ROUTE: None}),
        (("global_cancel",), lambda shown: shown == "global cancel requested"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_the_clients_command_line(daemon: Daemon, packages: Path, arguments: tuple[str, ...], check: Any) -> None:
    command = [sys.executable, "-m", "txtrader_client", *arguments]
    env = environment(daemon, packages)
    ended = subprocess.run(command, cwd=daemon.folder, env=env, capture_output=True, text=True, check=False)
    if check is None:
        assert "has no attribute" in ended.stdout + ended.stderr, "1.5.4 offers this and never had the method"
        return
    assert ended.returncode == 0, ended.stderr
    assert check(json.loads(ended.stdout)), ended.stdout


def test_the_clients_help_shows_ours(daemon: Daemon, packages: Path) -> None:
    command = [sys.executable, "-m", "txtrader_client", "help"]
    env = environment(daemon, packages)
    shown = subprocess.run(command, cwd=daemon.folder, env=env, capture_output=True, text=True, check=True).stdout
    assert daemon.call("version")["txtrader"] in shown
    assert "market_order(account, route, symbol, quantity" in shown


# ---------------------------------------------------------------- the monitor


class PublishedMonitor:
    """The published Monitor in a process of its own: what its callbacks were given, and a line to it."""

    def __init__(self, daemon: Daemon, packages: Path, options: dict[str, Any], **variables: str) -> None:
        self.daemon = daemon
        self.told: list[tuple[str, Any]] = []
        self.errors = daemon.folder / "monitor.err"
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(published.SCRIPT), json.dumps(options)],
                cwd=daemon.folder,
                env=environment(daemon, packages) | variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(tuple(json.loads(line)))

    def do(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def send(self, command: str) -> None:
        self.do(f"send {command}")

    def of(self, channel: str, since: int = 0) -> list[Any]:
        return [data for name, data in self.told[since:] if name == channel]

    def expect(self, channel: str, pattern: str = "", since: int = 0) -> Any:
        """The first thing told on a channel that has the pattern in it."""

        def found() -> list[Any]:
            texts = [data for data in self.of(channel, since) if re.search(pattern, str(data), re.DOTALL)]
            if not texts:
                assert self.process.poll() is None, f"the monitor ended:\n{self.errors.read_text()}"
            return texts

        return until(found, self.daemon)[0]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def write_prices(folder: Path) -> str:
    """A day of IBM in a quote and a trade every ten seconds; at 60x a minute of it passes in a second."""
    start = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
    quotes, trades = ["time,bid,bid_size,ask,ask_size"], ["time,price,size"]
    for step in range(1800):
        at = f"{start + timedelta(seconds=10 * step):%Y-%m-%dT%H:%M:%SZ}"
        cents = step % 50
        quotes.append(f"{at},185.{cents:02},2000,185.{cents + 2:02},3000")
        trades.append(f"{at},185.{cents + 1:02},150")
    for kind, rows in (("quotes", quotes), ("trades", trades)):
        (folder / f"ibm-20240304-{kind}.csv").write_text("\n".join(rows) + "\n")
    return f"replay:{folder}@60x"


@pytest.fixture(scope="module")
def fast(make_daemon: MakeDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """A daemon whose market is a minute long each second, so that the clock's channel need not be waited for."""
    feed = write_prices(tmp_path_factory.mktemp("prices"))
    return make_daemon(ENABLE_TICKER="1", PAPER_FEED=feed).start().up()


@pytest.fixture
def monitor(fast: Daemon, packages: Path) -> Iterator[PublishedMonitor]:
    monitor = PublishedMonitor(fast, packages, NOTIFICATIONS)
    try:
        monitor.expect("STATUS", r"^\.Authorized paper$")
        yield monitor
    finally:
        monitor.end()


def test_every_channel_of_the_monitor(monitor: PublishedMonitor) -> None:
    monitor.expect("STATUS", "reactor startup")
    monitor.expect("STATUS", r"^\.connected: ")
    monitor.expect("CONNECTION", "^CONNECTED$")
    monitor.do("tick 0.1")
    monitor.expect("TICK")
    monitor.send("add IBM")
    assert json.loads(monitor.expect("SYMBOL"))["symbol"] == SYMBOL
    monitor.send("querydata IBM")
    assert json.loads(monitor.expect("SYMBOL_DATA"))["STARTTIME"] == "09:30:00"
    assert re.fullmatch(r"IBM:185\.\d+ 2000 185\.\d+ 3000", monitor.expect("QUOTE"))
    assert re.fullmatch(r"IBM:185\.\d+ 150 \d+", monitor.expect("TRADE"))
    assert re.fullmatch(r"2024-03-04 \d\d:\d\d:00", monitor.expect("TIME"))
    monitor.send(f"marketorder {ACCOUNT} {ROUTE} IBM 100")
    order = json.loads(monitor.expect("ORDER_DATA", '"Filled"'))
    assert is_order(order, "Filled", filled=100)
    assert re.fullmatch(rf"{order['permid']} {ACCOUNT} \S+ Filled", monitor.expect("ORDER", "Filled"))
    execution = json.loads(monitor.expect("EXECUTION_DATA"))
    assert (execution["ORIGINAL_ORDER_ID"], execution["VOLUME"]) == (order["permid"], 100)
    note = rf"{re.escape(execution['ORDER_ID'])} {ACCOUNT} {order['permid']} \S+"
    assert re.fullmatch(note, monitor.expect("EXECUTION"))
    monitor.send(f"stagemarketorder tag {ACCOUNT} {ROUTE} IBM 10")
    ticket = json.loads(monitor.expect("TICKET_DATA"))
    assert is_order(ticket, "Submitted", **{"class": "ticket"})
    assert monitor.expect("TICKET").startswith(f"{ticket['permid']} {ACCOUNT} ")
    monitor.send("orders")
    assert order["permid"] in json.loads(monitor.expect("ORDERS"))
    monitor.send("executions")
    assert execution["ORDER_ID"] in json.loads(monitor.expect("EXECUTIONS"))
    monitor.send(f"marketorder {ACCOUNT} {ROUTE} IBM 0")
    monitor.expect("ERROR", "BAD_QUANTITY")
    monitor.do("last TICK")
    until(lambda: monitor.process.poll() is not None, monitor.daemon)
    assert monitor.process.returncode == 0
    assert {channel for channel, _ in monitor.told} - {"SENT"} == CHANNELS


def test_every_command_through_the_monitor(monitor: PublishedMonitor) -> None:
    """wire.md's table, command by command; what has no channel of its own comes as STATUS."""

    def asks(command: str, pattern: str, channel: str = "STATUS") -> Any:
        since = len(monitor.told)
        monitor.send(command)
        return monitor.expect(channel, pattern, since)

    def order(command: str) -> Any:
        return json.loads(asks(command, r'^\{.*"permid"'))

    asks("help", r"^\.commands: \['")
    asks("status", r"^\.status: Up$")
    asks("accounts", r"^\.accounts: \['API_ACCOUNT', 'PAPER_CASH'\]$")
    asks("accounts", r'^paper\.accounts: \["API_ACCOUNT","PAPER_CASH"\]$')
    asks("setaccount NOBODY", "^false$")
    asks("setaccount PAPER_CASH", "^true$")
    monitor.expect("STATUS", r"^paper\.current-account: PAPER_CASH$")
    asks("query ibm", '"IBM"', "SYMBOL")
    asks("query NOSUCH", "^null$", "SYMBOL")
    asks("querydata IBM", '"STARTTIME"', "SYMBOL_DATA")
    asks("add IBM", '"IBM"', "SYMBOL")
    symbols = asks("symbols", r"^paper\.symbols: ")
    assert SYMBOL in json.loads(symbols.removeprefix("paper.symbols: "))
    filled = order(f"marketorder {ACCOUNT} {ROUTE} IBM -100")
    assert is_order(filled, "Filled", side="SELL")
    assert order(f"limitorder {ACCOUNT} {ROUTE} IBM 1.50 10")["limit_price"] == 1.5
    assert order(f"stoporder {ACCOUNT} {ROUTE} IBM 9000 10")["stop_price"] == 9000
    both = order(f"stoplimitorder {ACCOUNT} {ROUTE} IBM 9000 9001 10")
    assert (both["stop_price"], both["limit_price"], both["status"]) == (9000, 9001, "Accepted")
    ticket = order(f"stagemarketorder tag {ACCOUNT} {ROUTE} IBM 10")
    assert is_order(ticket, "Submitted", **{"class": "ticket"})
    assert is_order(order(f"cancel {both['permid']}"), "Cancelled")
    asks("cancel NOSUCH", '"Order not found"')
    positions = json.loads(asks("positions", r"^paper\.positions: ").removeprefix("paper.positions: "))
    assert set(positions) == {ACCOUNT, "PAPER_CASH"}
    assert ticket["permid"] in json.loads(asks("tickets", r"^paper\.tickets: ").removeprefix("paper.tickets: "))
    asks("orders", filled["permid"], "ORDERS")
    asks("executions", filled["permid"], "EXECUTIONS")
    rows = json.loads(asks("getbars IBM 1 2024-03-04 10:00 2024-03-04 10:01", r"^\[\["))
    assert rows[0][:2] == ["2024-03-04", "10:00:00"]
    asks("globalcancel", r"^\.global order cancel requested$")
    asks("nonsense", r"^\.what\?$")
    asks("limitorder too few", r"^\.error: ")
    asks("del IBM", "true|IBM", "SYMBOL")
    since = len(monitor.told)
    monitor.send("quit so long")
    monitor.expect("CONNECTION", "^DISCONNECTED$", since)


def test_channels_are_muted_and_restored(monitor: PublishedMonitor) -> None:
    for each in ("ORDER_DATA", "SYMBOL"):
        monitor.do(f"mute {each}")
    since = len(monitor.told)
    monitor.send("query IBM")
    monitor.send(f"marketorder {ACCOUNT} {ROUTE} IBM 1")
    monitor.expect("ORDER", "Filled", since)
    monitor.expect("EXECUTION_DATA", "", since)
    assert not monitor.of("ORDER_DATA", since)
    assert not monitor.of("SYMBOL", since)
    monitor.do("restore")
    monitor.send(f"marketorder {ACCOUNT} {ROUTE} IBM 1")
    monitor.expect("ORDER_DATA", "Filled", since)


def test_without_options_nothing_of_orders_is_told(fast: Daemon, packages: Path) -> None:
    monitor = PublishedMonitor(fast, packages, {})
    try:
        monitor.expect("STATUS", r"^\.Authorized paper$")
        monitor.send(f"marketorder {ACCOUNT} {ROUTE} IBM 1")
        monitor.expect("STATUS", '"Filled"')
        monitor.send("status")
        monitor.expect("STATUS", r"^\.status: Up$")
        told = {channel for channel, _ in monitor.told}
        assert not told & {"ORDER", "ORDER_DATA", "TICKET", "TICKET_DATA", "EXECUTION", "EXECUTION_DATA"}
        assert not told & {"QUOTE", "TRADE"}
        monitor.do("shutdown that is all")
        until(lambda: monitor.process.poll() is not None, fast)
        assert monitor.process.returncode == 0
    finally:
        monitor.end()


def test_the_monitor_comes_back_after_a_restart(make_daemon: MakeDaemon, packages: Path) -> None:
    daemon = make_daemon().start().up()
    monitor = PublishedMonitor(daemon, packages, NOTIFICATIONS)
    try:
        monitor.expect("STATUS", r"^\.Authorized paper$")
        since = len(monitor.told)
        assert daemon.stop() == 0
        monitor.expect("STATUS", r"^paper\.connection-status-changed: Shutdown$", since)
        monitor.expect("CONNECTION", "^DISCONNECTED$", since)
        daemon.start().up()
        monitor.expect("STATUS", r"^\.Authorized paper$", since)
        daemon.call("market_order", account=ACCOUNT, route=ROUTE, symbol=SYMBOL, quantity=1)
        assert is_order(json.loads(monitor.expect("ORDER_DATA", "Filled", since)), "Filled")
    finally:
        monitor.end()


def test_a_wrong_password_is_told_to_the_monitor(fast: Daemon, packages: Path) -> None:
    monitor = PublishedMonitor(fast, packages, NOTIFICATIONS, TXTRADER_PASSWORD="wrong")
    try:
        monitor.expect("STATUS", r"^\.Authorization required!$")
        monitor.expect("CONNECTION", "^DISCONNECTED$")
    finally:
        monitor.end()
