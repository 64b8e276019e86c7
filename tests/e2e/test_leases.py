"""Cancel on disconnect on the real daemon: hung up, cut, killed, killed together with the daemon, come back in time."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest

from tests.daemon import ROOT, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
MONITOR = """
import json, sys
from txgateway_monitor import Monitor

def show(channel, text):
    print(channel, text, flush=True)
    if text.startswith(".lease"):
        watching.send('call limit_order ' + json.dumps(json.loads(sys.argv[1])))
    return True

watching = Monitor(options={"cancel-on-disconnect": 0, "lease": "bot"}, callbacks={"*": show})
watching.run()
"""


def guarded(daemon: Daemon, seconds: float, **more: Any) -> Stream:
    """A stream client whose orders are cancelled when it goes."""
    stream = Stream(daemon, {"cancel-on-disconnect": seconds, **more})
    stream.expect(".lease ")
    return stream


def rest(stream: Stream, key: str) -> str:
    stream.send(f"limitorder API_ACCOUNT DEMO IBM 1 10 {key}")
    order = json.loads(stream.expect("{"))
    assert order["order_status"] == "NEW", order
    return str(order["permid"])


def now(daemon: Daemon, order: str) -> Any:
    return daemon.call("query_order", id=order)


def is_cancelled(daemon: Daemon, order: str) -> bool:
    found = now(daemon, order)
    return bool(found["status"] == "Cancelled" and found["reason"] == "DISCONNECTED")


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon().start().up()


def quit_politely(stream: Stream) -> None:
    stream.send("quit")
    stream.until_closed()


def hang_up(stream: Stream) -> None:
    stream.close()


def cut(stream: Stream) -> None:
    stream._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def babble(stream: Stream) -> None:
    stream.send_bytes(b"this is no netstring")
    stream.until_closed()


@pytest.mark.parametrize("end", [quit_politely, hang_up, cut, babble])
def test_however_it_goes_its_orders_go_too(daemon: Daemon, end: Any) -> None:
    unguarded, stream = Stream(daemon, {}), guarded(daemon, 0)
    unguarded.expect(".Authorized")
    stays, goes = rest(unguarded, f"stays-{end.__name__}"), rest(stream, f"goes-{end.__name__}")
    by_rpc = daemon.call("limit_order", **TERMS, limit_price=1, quantity=1)["permid"]
    end(stream)
    until(lambda: is_cancelled(daemon, goes), daemon)
    assert {now(daemon, each)["order_status"] for each in (stays, by_rpc)} == {"NEW"}
    assert "has been gone for 0 s" in str(daemon.call("explain_order", id=goes)["story"])
    unguarded.close()


def test_who_comes_back_in_time_keeps_its_orders(daemon: Daemon) -> None:
    stream = guarded(daemon, 60, lease="algo")
    order = rest(stream, "back-in-time")
    cut(stream)
    until(lambda: daemon.call("query_journal", kind="LeaseLost", limit=100), daemon)
    back = guarded(daemon, 0, lease="algo")
    kinds = [each["event"] for each in daemon.call("query_journal", kind="LeaseTaken", limit=100)]
    assert kinds[-1]["lease"] == kinds[-2]["lease"]
    assert now(daemon, order)["order_status"] == "NEW"
    hang_up(back)
    until(lambda: is_cancelled(daemon, order), daemon)


def test_nobody_else_takes_it_up_and_its_time_passes(daemon: Daemon) -> None:
    stream = guarded(daemon, 1.2)
    order = rest(stream, "passes")
    cut(stream)
    other = guarded(daemon, 60, lease="another")
    until(lambda: is_cancelled(daemon, order), daemon)
    story = {each["kind"]: each["event"]["time"] for each in daemon.call("explain_order", id=order)["story"]}
    lost = daemon.call("query_journal", kind="LeaseLost", limit=1000)[-1]["event"]["time"]
    assert story["CancelRequested"] > lost
    other.close()


def test_a_websocket(daemon: Daemon) -> None:
    client = WebSocket(daemon)
    client.say({"options": {"cancel-on-disconnect": 0}})
    assert client.expect(type="lease")["data"]["seconds"] == 0
    order = client.call("limit_order", {**TERMS, "limit_price": 1, "quantity": 1})["result"]["permid"]
    client.close()
    until(lambda: is_cancelled(daemon, order), daemon)


def test_the_monitor_library_asks_for_it_and_dies(daemon: Daemon) -> None:
    order = {**TERMS, "limit_price": 1, "quantity": 1, "client_order_id": "by-monitor"}
    variables = {**daemon.environ, "TXGATEWAY_TCP_PORT": str(daemon.tcp_port), "TXGATEWAY_HOST": "127.0.0.1"}
    command = [sys.executable, "-c", MONITOR, json.dumps(order)]
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
    try:
        until(lambda: (now(daemon, "by-monitor") or {}).get("order_status") == "NEW", daemon)
    finally:
        process.kill()
        process.wait()
    until(lambda: is_cancelled(daemon, "by-monitor"), daemon)


def test_a_daemon_that_is_killed_takes_the_connection_with_it(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    alone, kept = guarded(daemon, 0), guarded(daemon, 60, lease="algo")
    unguarded = daemon.call("limit_order", **TERMS, limit_price=1, quantity=1, time_in_force="GTC")["permid"]
    goes, stays = rest(alone, "goes"), rest(kept, "stays")
    daemon.kill()
    daemon.start().up()
    back = guarded(daemon, 60, lease="algo")
    until(lambda: is_cancelled(daemon, goes), daemon)
    assert {now(daemon, each)["order_status"] for each in (stays, unguarded)} == {"NEW"}
    assert daemon.stop() == 0
    daemon.start().up()
    assert now(daemon, stays)["order_status"] == "NEW", "a stop in order loses no connection, and its lease runs anew"
    back = guarded(daemon, 0, lease="algo")
    hang_up(back)
    until(lambda: is_cancelled(daemon, stays), daemon)
    assert now(daemon, unguarded)["order_status"] == "NEW"


@pytest.mark.parametrize("seconds", ["soon", -1, 86401, [], {}])
def test_what_is_no_time_is_said_to_guard_nothing(daemon: Daemon, seconds: Any) -> None:
    stream = Stream(daemon, {"cancel-on-disconnect": seconds})
    assert "your orders stay when you disconnect" in stream.expect(".error: ")
    stream.close()


def test_the_readmes_example_doubles_no_order_over_a_restart(make_daemon: MakeDaemon) -> None:
    example = next(each for each in (ROOT / "README.md").read_text().split("```") if "cancel-on-disconnect" in each)
    daemon = make_daemon(RISK="price_collar=off").start().up()
    variables = {**daemon.environ, "TXGATEWAY_TCP_PORT": str(daemon.tcp_port), "TXGATEWAY_HOST": "127.0.0.1"}
    command = [
        sys.executable,
        "-uc",
        example.removeprefix("python\n").replace('"limit_price": 100', '"limit_price": 1'),
    ]
    told = daemon.folder.parent / "example.log"

    def answered(times: int) -> bool:
        return told.read_text().count('"permid"') >= times

    with told.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=out, stderr=out)
    try:
        until(lambda: answered(1), daemon)
        daemon.kill()
        daemon.start().up()
        until(lambda: answered(2), daemon)
        assert len(daemon.call("query_open_orders")) == 1, told.read_text()
    finally:
        process.kill()
        process.wait()
