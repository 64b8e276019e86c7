"""Our own client, its command line and our monitor against the real daemon."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import requests

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon, spoil_book
from tests.e2e.stream import Stream
from txgateway_client import API, GatewayUnreachable, NotReady, Unauthorized
from txgateway_client.deferred import DeferredAPI

ACCOUNT, ROUTE, SYMBOL = "API_ACCOUNT", "DEMO", "IBM"
DATA = {"order-data": 1, "ticket-data": 1, "execution-data": 1}


def settings(daemon: Daemon) -> dict[str, str]:
    return {
        "TXGATEWAY_HOST": "127.0.0.1",
        "TXGATEWAY_HTTP_PORT": str(daemon.http_port),
        "TXGATEWAY_TCP_PORT": str(daemon.tcp_port),
        "TXGATEWAY_PASSWORD": PASSWORD,
    }


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol=SYMBOL)
    return daemon


@pytest.fixture(scope="module")
def api(daemon: Daemon) -> Iterator[API]:
    with API(config=settings(daemon)) as api:
        yield api


# ---------------------------------------------------------------- the client


def fill(api: API) -> Any:
    order = api.market_order(ACCOUNT, ROUTE, SYMBOL, 2)
    assert (order["status"], order["filled"]) == ("Filled", 2)
    return order


def rest(api: API) -> Any:
    order = api.limit_order(ACCOUNT, ROUTE, SYMBOL, "1.50", 10)
    assert (order["status"], order["limit_price"]) == ("Accepted", 1.5)
    return order


def stage(api: API) -> Any:
    ticket = api.stage_market_order("tag", ACCOUNT, ROUTE, SYMBOL, 1)
    assert (ticket["class"], ticket["order_status"]) == ("ticket", "STAGED")
    return ticket


def use_executions(api: API) -> bool:
    order = fill(api)
    fills = api.query_order_executions(order["permid"])
    name = next(iter(fills))
    assert api.query_execution(name) == fills[name]
    return name in api.query_executions(account=ACCOUNT, symbol="ibm")


def use_orders(api: API) -> bool:
    order = rest(api)
    name = order["permid"]
    assert api.query_order(name) == order
    assert name in api.query_open_orders(account=ACCOUNT, symbol=SYMBOL)
    assert name in api.query_orders(since="2020-01-01", status="open", limit=1000)
    assert name not in api.query_orders(after=name)
    assert api.replace_order(name, quantity=20)["quantity"] == 20
    return api.cancel_order(name)["status"] == "Cancelled"


def use_tickets(api: API) -> bool:
    ticket = stage(api)
    assert ticket["permid"] in api.query_tickets(status="STAGED")
    assert api.approve_ticket(ticket["permid"])["status"] == "Filled"
    for other in (
        api.stage_limit_order("tag", ACCOUNT, ROUTE, SYMBOL, 1, 1),
        api.stage_stop_order("tag", ACCOUNT, ROUTE, SYMBOL, 9000, 1),
        api.stage_stoplimit_order("tag", ACCOUNT, ROUTE, SYMBOL, 9000, 9001, 1),
    ):
        assert api.reject_ticket(other["permid"], "no")["status"] == "Cancelled"
    return True


def use_halt(api: API) -> bool:
    api.halt("drill")
    assert api.market_order(ACCOUNT, ROUTE, SYMBOL, 1)["reason"] == "HALTED"
    assert [each["scope"] for each in api.query_halts()] == ["gateway"]
    assert api.resume() == "trading resumed"
    api.halt("drill", f"symbol:{SYMBOL}", "REDUCE_ONLY")
    assert api.limit_order(ACCOUNT, ROUTE, SYMBOL, 1, 1)["reason"] == "REDUCE_ONLY"
    return api.resume(f"symbol:{SYMBOL}") == f"trading resumed for symbol:{SYMBOL}"


def use_exits(api: API) -> bool:
    entry = api.submit_order(api.account, SYMBOL, "BUY", 1, take_profit="50%", stop_loss="50%", hold_seconds=9999)
    assert api.query_exits(entry["permid"])[entry["permid"]]["exits"]["take_profit"] == "50%"
    assert api.query_exits(account="NOBODY") == {}
    return bool(api.cancel_exits(entry["permid"])["permid"] == entry["permid"])


def use_flatten(api: API) -> bool:
    fill(api)
    assert api.flatten(f"symbol:{SYMBOL}", "drill")["flat"]
    assert api.query_flattens() == []
    assert SYMBOL not in api.query_positions()[ACCOUNT]
    return api.resume(f"symbol:{SYMBOL}") == f"trading resumed for symbol:{SYMBOL}"


def use_risk(api: API) -> bool:
    api.set_risk(f"account:{ACCOUNT}", "max_quantity", 5, 4)
    assert api.market_order(ACCOUNT, ROUTE, SYMBOL, 6)["reason"] == "MAX_QUANTITY"
    shown = api.query_risk(f"account:{ACCOUNT}")["limits"]
    assert [(each["value"], each["warn"]) for each in shown if each["limit"] == "max_quantity"] == [("5", "4")]
    after = api.set_risk(f"account:{ACCOUNT}", "max_quantity")["limits"]
    return all(each["limit"] != "max_quantity" for each in after)


def use_session(api: API) -> bool:
    api.gateway_logoff()
    assert api.market_order(ACCOUNT, ROUTE, SYMBOL, 1)["reason"] == "VENUE_DOWN"
    api.gateway_logon("", "")
    return api.wait_for_up(interval=0.01) == "Up"


def use_symbols(api: API) -> bool:
    assert api.add_symbol("NOSUCH") is None
    symbol = api.add_symbol("tsla")
    assert symbol is not None
    assert symbol["fullname"] == "Tesla, Inc."
    assert "TSLA" in api.query_symbols()
    assert api.query_all_symbols()["TSLA"]["symbol"] == "TSLA"
    return api.del_symbol("TSLA")


def use_set_account(api: API) -> bool:
    assert api.set_account("NOBODY") is False
    assert api.set_account("PAPER_CASH") is True
    assert api.account == "PAPER_CASH"
    return api.set_account(ACCOUNT)


def use_routes(api: API) -> bool:
    assert api.set_order_route({"VWAP": {"a": "b"}}) == {"VWAP": {"a": "b"}}
    assert api.set_order_route(ROUTE) == {ROUTE: None}
    return api.get_order_route() == {ROUTE: None}


def use_journal(api: API) -> bool:
    order = fill(api)
    records = api.query_journal(order=order["permid"])
    story = api.explain_order(order["permid"])
    assert story is not None
    return [each["seq"] for each in records] == [each["seq"] for each in story["story"]]


def use_submit_order(api: API) -> bool:
    terms = {"order_type": "LIMIT", "limit_price": 1, "client_order_id": "client-1"}
    order = api.submit_order(ACCOUNT, SYMBOL, "BUY", 10, **terms)
    again = api.submit_order(ACCOUNT, SYMBOL, "BUY", 10, **terms)
    assert (again["permid"], again.get("replayed")) == (order["permid"], True)
    assert api.submit_order(ACCOUNT, SYMBOL, "BUY", 11, **terms)["reason"] == "KEY_CONFLICT"
    return bool(order["client_order_id"] == "client-1")


def use_resolutions(api: API) -> bool:
    order = fill(api)
    assert api.query_differences(all=True) == []
    refused = api.resolve_difference("position", "IBM", "seen by eye", account=ACCOUNT)
    assert (refused["status"], "reason" in refused) == ("Error", True)
    return api.resolve_order(order["permid"], "CANCELED", "seen by eye")["status"] == "Error"


def use_faults(api: API) -> bool:
    (fault,) = api.set_fault("rejected_replace", count=1, symbol="TSLA")
    assert (fault["fault"], fault["count"]) == ("rejected_replace", 1)
    assert "rejected_replace" in api.query_faults()["known"]
    return api.clear_faults() == {"paper": []}


def use_global_cancel(api: API) -> bool:
    waiting = rest(api)["permid"]
    assert api.global_cancel() == "global cancel requested"
    return bool(until(lambda: api.query_order(waiting)["status"] == "Cancelled"))  # type: ignore[index]


def use_extras(api: API) -> bool:
    """What the paper venue cannot says so in one sentence."""
    book = api.query_depth(SYMBOL, 3)
    assert book is not None
    assert book["bids"][0][0] < book["asks"][0][0]
    refused = [
        api.query_funding(SYMBOL),
        api.query_leverage(SYMBOL, ACCOUNT),
        api.set_leverage(SYMBOL, 5, ACCOUNT),
        api.query_position_mode(ACCOUNT),
        api.set_position_mode(ACCOUNT, "HEDGE"),
        api.call_endpoint("paper", "time", "public", "GET", {"a": 1}),
        api.query_rate_limits("paper"),
    ]
    assert {each["reason"] for each in refused if each is not None} == {"UNSUPPORTED"}
    return api.query_rate_limits() == {}


def use_tokens(api: API) -> bool:
    made = api.create_token("client-bot", "read", accounts="API_ACCOUNT", max_notional=1000)
    names = [each["name"] for each in api.query_tokens()]
    config = {"TXGATEWAY_HTTP_PORT": api.settings.http_port, "TXGATEWAY_PASSWORD": made["token"]}
    with API(config=config) as other:
        assert other.query_accounts() == ["API_ACCOUNT"]
    return "client-bot" in names and api.revoke_token("client-bot")


def use_sources(api: API) -> bool:
    made = api.add_source("generic", ACCOUNT, name="client-source", shadow=True, max_age=30, limits={"order_rate": "5"})
    assert made["secret"] in made["message"]
    changed = api.change_source("client-source", sizing="percent", size=2.5, symbols={"GOLD": "SPY"}, max_age="")
    assert changed["settings"] == {"shadow": True, "sizing": "percent", "size": "2.5", "symbols": {"GOLD": "SPY"}}
    assert [each["name"] for each in api.query_sources("client-source")] == ["client-source"]
    return api.remove_source("client-source")


def use_integrations(api: API) -> bool:
    api.remove_source("client-proquant")
    api.add_source("proquant", ACCOUNT, name="client-proquant")
    answer = api.connect_proquant("client-proquant", "user@example.com")
    assert "TXGATEWAY_WEBHOOK_URL" in answer["errorMsg"]
    assert api.remove_source("client-proquant")
    return api.query_integrations("client-proquant") == []


def use_signals(api: API) -> bool:
    api.remove_source("client-signals")
    source = api.add_source("generic", ACCOUNT, name="client-signals", shadow=True)
    bearer = {"Authorization": f"Bearer {source['secret']}"}
    body = {"symbol": "IBM", "side": "BUY", "quantity": 1}
    signal_id = requests.post(source["url"], json=body, headers=bearer, timeout=60).json()["id"]
    until(lambda: api.query_signals(source="client-signals", outcome="SHADOW"))
    assert api.explain_signal(signal_id)["id"] == signal_id  # type: ignore[index]
    assert len(api.replay_signal(signal_id)) == 1
    held = api.adjust_strategy("client-signals", "s", ACCOUNT, "IBM", 3, "bought by hand")
    assert held == api.query_strategies(source="client-signals")[0]
    api.adjust_strategy("client-signals", "s", ACCOUNT, "IBM", 0, "sold by hand")
    return api.remove_source("client-signals")


USES: dict[str, Callable[[API], Any]] = {
    "status": lambda api: api.status() == "Up",
    "uptime": lambda api: api.uptime().startswith("started "),
    "time": lambda api: len(api.time()) == 19,
    "version": lambda api: api.version()["txgateway"] in api.version()["txtrader"],
    "help": lambda api: "submit_order" in api.help(),
    "query_venues": lambda api: api.query_venues()["paper"]["status"] == "UP",
    "gateway_logon": use_session,
    "gateway_logoff": use_session,
    "query_differences": use_resolutions,
    "resolve_difference": use_resolutions,
    "resolve_order": use_resolutions,
    "query_faults": use_faults,
    "set_fault": use_faults,
    "clear_faults": use_faults,
    "halt": use_halt,
    "resume": use_halt,
    "query_halts": use_halt,
    "query_exits": use_exits,
    "cancel_exits": use_exits,
    "flatten": use_flatten,
    "query_flattens": use_flatten,
    "query_risk": use_risk,
    "set_risk": use_risk,
    "add_symbol": use_symbols,
    "del_symbol": use_symbols,
    "query_symbols": use_symbols,
    "query_all_symbols": use_symbols,
    "query_symbol": lambda api: api.query_symbol("ibm")["symbol"] == SYMBOL,  # type: ignore[index]
    "query_symbol_data": lambda api: api.query_symbol_data(SYMBOL)["STARTTIME"] == "09:30:00",  # type: ignore[index]
    "query_symbol_bars": lambda api: len(api.query_symbol_bars(SYMBOL)[0]) == 7,
    "query_bars": lambda api: len(api.query_bars(SYMBOL, 1, -3, ".") or []) == 3,
    "query_last_prices": lambda api: api.query_last_prices([SYMBOL, "tsla"])["TSLA"]["price"] > 0,
    "query_instrument": lambda api: api.query_instrument(SYMBOL)["tick_size"] == 0.01,  # type: ignore[index]
    "set_primary_exchange": lambda api: (
        api.set_primary_exchange(SYMBOL, "NYSE") == {SYMBOL: "NYSE"} and api.set_primary_exchange(SYMBOL, None) == {}
    ),
    **dict.fromkeys(
        ("query_depth", "query_funding", "query_leverage", "set_leverage", "query_position_mode", "set_position_mode"),
        use_extras,
    ),
    "call_endpoint": use_extras,
    "query_rate_limits": use_extras,
    "query_accounts": lambda api: api.query_accounts() == [ACCOUNT, "PAPER_CASH"],
    "query_account": lambda api: api.query_account(ACCOUNT, "_cash")["_cash"] > 0,  # type: ignore[index]
    "set_account": use_set_account,
    "query_positions": lambda api: fill(api) and api.query_positions()[ACCOUNT][SYMBOL] > 0,
    "query_balances": lambda api: api.query_balances(ACCOUNT)[ACCOUNT]["USD"]["total"] > 0,
    "query_order": use_orders,
    "query_orders": use_orders,
    "query_open_orders": use_orders,
    "replace_order": use_orders,
    "cancel_order": use_orders,
    "query_tickets": use_tickets,
    "stage_limit_order": use_tickets,
    "stage_stop_order": use_tickets,
    "stage_stoplimit_order": use_tickets,
    "approve_ticket": use_tickets,
    "reject_ticket": use_tickets,
    "stage_market_order": stage,
    "query_execution": use_executions,
    "query_executions": use_executions,
    "query_order_executions": use_executions,
    "submit_order": use_submit_order,
    "market_order": fill,
    "limit_order": rest,
    "stop_order": lambda api: api.stop_order(ACCOUNT, ROUTE, SYMBOL, 9000, 1)["status"] == "Accepted",
    "stoplimit_order": lambda api: (
        api.stoplimit_order(ACCOUNT, ROUTE, SYMBOL, 9000, 9001, 1, time_in_force="GTC")["time_in_force"] == "GTC"
    ),
    "set_order_route": use_routes,
    "get_order_route": use_routes,
    "query_journal": use_journal,
    "explain_order": use_journal,
    "global_cancel": use_global_cancel,
    "create_token": use_tokens,
    **dict.fromkeys(("add_source", "change_source", "remove_source", "query_sources"), use_sources),
    **dict.fromkeys(("connect_proquant", "query_integrations"), use_integrations),
    **dict.fromkeys(("query_signals", "explain_signal", "replay_signal"), use_signals),
    **dict.fromkeys(("query_strategies", "adjust_strategy"), use_signals),
    "query_tokens": use_tokens,
    "revoke_token": use_tokens,
    "query_access": lambda api: api.query_access()["users"][0]["scopes"] == ["admin"],
    "wait_for_up": lambda api: api.wait_for_up() == "Up",
}


@pytest.mark.parametrize("method", USES)
def test_a_method_of_the_client(api: API, method: str) -> None:
    assert USES[method](api)


def test_no_method_is_left_out(daemon: Daemon) -> None:
    methods = {name for name, _ in inspect.getmembers(API, inspect.isfunction) if not name.startswith("_")}
    assert methods == {*USES, "shutdown", "close"}
    assert set(daemon.call("help")) <= methods, "the client has every method of the daemon"


def test_errors_say_what_to_do(daemon: Daemon, make_daemon: MakeDaemon) -> None:
    with API(config=settings(daemon) | {"TXGATEWAY_PASSWORD": "wrong"}) as wrong, pytest.raises(Unauthorized):
        wrong.status()
    other = make_daemon()
    spoil_book(other)
    other.start()
    with API(config=settings(other)) as early:
        assert early.status() == "Startup"
        with pytest.raises(NotReady):
            early.query_orders()
        with pytest.raises(NotReady):
            early.wait_for_up(timeout=0.05, interval=0.01)
        assert "shutdown" in early.shutdown("enough")
        assert other.process is not None
        assert other.process.wait(PATIENCE) == 0
        with pytest.raises(GatewayUnreachable):
            early.status()


@pytest_twisted.ensureDeferred
async def test_the_deferred_client(daemon: Daemon) -> None:
    api = DeferredAPI(config=settings(daemon))
    assert await api.wait_for_up() == "Up"
    order = await api.market_order(ACCOUNT, ROUTE, SYMBOL, 1, client_order_id="deferred-1")
    assert order["status"] == "Filled"
    again = await api.market_order(ACCOUNT, ROUTE, SYMBOL, 1, client_order_id="deferred-1")
    assert (again["permid"], again["replayed"]) == (order["permid"], True)
    assert (await api.query_order(order["permid"]))["status"] == "Filled"
    assert await api.query_order("NOSUCH") is None


# ---------------------------------------------------------------- the command line


def txgateway(daemon: Daemon, *arguments: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    env = {**daemon.environ, **settings(daemon), **more}
    command = [sys.executable, "-m", "txgateway_client", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, input=said, capture_output=True, text=True, check=False)


def test_orders_by_command_line(daemon: Daemon) -> None:
    bought = txgateway(daemon, "buy", "1", "ibm", "--force", "--json")
    assert (bought.returncode, bought.stderr) == (0, "")
    order = json.loads(bought.stdout)
    assert (order["side"], order["status"], order["quantity"]) == ("BUY", "Filled", 1)
    sold = json.loads(txgateway(daemon, "sell", "1", "IBM", "-f", "-c", "--limit", "9000", "--stop", "1").stdout)
    assert (sold["side"], sold["order_type"], sold["status"]) == ("SELL", "STOP_LIMIT", "Accepted")
    staged = json.loads(txgateway(daemon, "short", "1", "IBM", "-f", "--staged", "desk").stdout)
    assert (staged["side"], staged["class"]) == ("SELL_SHORT", "ticket")
    table = txgateway(daemon, "query_orders", "--table").stdout
    assert order["permid"] in table
    assert "FILLED" in table
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(table)
    known = json.loads(txgateway(daemon, "query-orders", "--json", "--status", "FILLED").stdout)
    assert order["permid"] in known


def test_a_person_is_asked_before_an_order_goes(daemon: Daemon) -> None:
    before = daemon.call("query_orders")
    no = txgateway(daemon, "cover", "1", "IBM", said="n\n")
    assert (no.returncode, no.stdout) == (1, "")
    assert "BUY_TO_COVER 1 IBM" in no.stderr
    assert daemon.call("query_orders") == before
    yes = txgateway(daemon, "buy", "1", "IBM", said="y\n")
    assert (yes.returncode, json.loads(yes.stdout)["status"]) == (0, "Filled")


@pytest.mark.parametrize(
    ("arguments", "more", "code", "says"),
    [
        (("status",), {}, 0, ""),
        (("buy", "1", "NOSUCH", "-f"), {}, 1, ""),
        (("query_order", "NOSUCH"), {}, 1, ""),
        (("buy", "0", "IBM", "-f"), {}, 2, "above zero"),
        (("buy", "--nosuch"), {}, 2, "--nosuch"),
        (("nosuch",), {}, 2, "nosuch"),
        (("status",), {"TXGATEWAY_HTTP_PORT": "x"}, 2, "HTTP_PORT"),
        (("status",), {"TXGATEWAY_HTTP_PORT": "1"}, 3, "127.0.0.1:1"),
        (("status",), {"TXGATEWAY_PASSWORD": "wrong"}, 4, "TXGATEWAY_PASSWORD"),
    ],
    ids=str,
)
def test_exit_codes(daemon: Daemon, arguments: tuple[str, ...], more: dict[str, str], code: int, says: str) -> None:
    ended = txgateway(daemon, *arguments, **more)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_watching_goes_on_until_it_is_stopped(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "txgateway_client", "query_positions", "--watch", "0.05", "-c"]
    env = {**daemon.environ, **settings(daemon)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [set(json.loads(process.stdout.readline())) for _ in range(3)] == [{ACCOUNT, "PAPER_CASH"}] * 3
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


# ---------------------------------------------------------------- the monitor


class OurMonitor:
    """`txgateway-monitor` in a process of its own: the lines it printed."""

    def __init__(self, daemon: Daemon, place: Path) -> None:
        self.lines: list[str] = []
        options = ["--options", json.dumps(DATA), "--resume-file", str(place)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "txgateway_monitor", *options],
            cwd=ROOT,
            env={**daemon.environ, **settings(daemon)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def events(self) -> list[tuple[int, str, str]]:
        """(seq, kind, id) of each event told."""
        found = []
        for line in list(self.lines):
            channel, _, text = line.partition(": ")
            if channel.endswith("_DATA") and channel != "SYMBOL_DATA":
                value = json.loads(text)
                found.append((value["seq"], channel, value.get("permid") or value["ORDER_ID"]))
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def all_events(daemon: Daemon, start: int, end: int) -> list[tuple[int, str, str]]:
    """What the journal tells of orders from one record to another, by a plain client that resumes."""
    stream = Stream(daemon, {**DATA, "resume": start})
    stream.expect(".Authorized")
    found: list[tuple[int, str, str]] = []
    while not found or found[-1][0] < end:
        line = stream.read()
        assert line is not None
        head, _, text = line.partition("-data ")
        if text and head.startswith("paper."):
            value = json.loads(text)
            kind = f"{head.removeprefix('paper.').upper()}_DATA"
            found.append((value["seq"], kind, value.get("permid") or value["ORDER_ID"]))
    stream.close()
    return [each for each in found if each[0] <= end]


def test_our_monitor_hears_everything_once_through_a_crash(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon().start().up()
    with API(config=settings(daemon)) as api:
        monitor = OurMonitor(daemon, tmp_path / "place")
        until(lambda: any(".Authorized" in line for line in monitor.lines), daemon)
        start = api.query_journal(limit=1000)[-1]["seq"]
        fill(api)
        until(monitor.events, daemon)
        for _ in range(5):
            rest(api)
        daemon.kill()
        daemon.start().up()
        for _ in range(5):
            use_orders(api)
        missed = stage(api)["seq"]
        until(lambda: monitor.events() and monitor.events()[-1][0] >= missed, daemon)
        monitor.end()
        fill(api)
        last = use_orders(api) and api.query_journal(after=missed, limit=1000)[-1]["seq"]
        second = OurMonitor(daemon, tmp_path / "place")
        until(lambda: second.events() and second.events()[-1][0] >= last, daemon)
        second.end()
    heard = monitor.events() + second.events()
    assert heard == all_events(daemon, start, last)
    assert len(heard) == len(set(heard))


def test_a_wrong_password_ends_our_monitor(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "txgateway_monitor"]
    env = {**daemon.environ, **settings(daemon), "TXGATEWAY_PASSWORD": "wrong"}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 4
    assert "refused user 'txtrader_user'" in ended.stderr
