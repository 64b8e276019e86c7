"""What the daemon writes about itself: text or JSON, the LOG_ switches, and never a secret."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
SWITCHES = (
    "LOG_API_MESSAGES",
    "DEBUG_API_MESSAGES",
    "LOG_CLIENT_MESSAGES",
    "LOG_HTTP_REQUESTS",
    "LOG_HTTP_RESPONSES",
    "LOG_ORDER_UPDATES",
    "LOG_ORDER_UPDATE_DUPS",
    "LOG_EXECUTION_UPDATES",
    "LOG_CXN_EVENTS",
    "LOG_CALLBACK_METRICS",
)
TOLD = {
    "LOG_API_MESSAGES": "OrderAccepted(",
    "LOG_CLIENT_MESSAGES": "query IBM",
    "LOG_HTTP_REQUESTS": "HTTP POST market_order",
    "LOG_HTTP_RESPONSES": 'HTTP 200 /status "Up"',
    "LOG_ORDER_UPDATES": "OrderAccepted",
    "LOG_EXECUTION_UPDATES": "1 IBM filled at",
    "LOG_CXN_EVENTS": ") connected",
}
"""What stands in the log for each switch that this venue and these calls have something to log for."""


def use(daemon: Daemon) -> None:
    """Something of everything."""
    daemon.call("market_order", **TERMS, quantity=1)
    daemon.rpc("gateway_logon", {"username": "someone", "password": "hush-rpc"})
    daemon.get("gateway_logon", username="someone", password="hush-get")
    daemon.call("gateway_logon", username="someone", password="hush-post")
    requests.get(f"{daemon.url}/status", auth=("txtrader_user", "hush-wrong"), timeout=PATIENCE)
    stream = Stream(daemon, {"order-data": 1, "quotes": 1})
    stream.expect(".Authorized")
    stream.send("query IBM")
    stream.data("paper.symbol: ")
    stream.send('call gateway_logon {"username": "someone", "password": "hush-stream"}')
    stream.expect("paper.result: ")
    stream.close()
    web = WebSocket(daemon)
    web.call("gateway_logon", {"username": "someone", "password": "hush-web"})
    web.close()
    refused = Stream(daemon, {}, password="hush-login")
    assert refused.until_closed() == [".Authorization required!"]
    daemon.get("status")


def log_of(daemon: Daemon) -> str:
    return daemon.log.read_text()


@pytest.fixture(scope="module")
def loud(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon(LOG_LEVEL="debug", **dict.fromkeys(SWITCHES, "1")).start().up()
    use(daemon)
    assert daemon.stop() == 0
    return daemon


@pytest.fixture(scope="module")
def quiet(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon(**dict.fromkeys(SWITCHES, "0")).start().up()
    use(daemon)
    assert daemon.stop() == 0
    return daemon


@pytest.mark.parametrize("switch", TOLD)
def test_a_switch_puts_its_lines_into_the_log(loud: Daemon, quiet: Daemon, switch: str) -> None:
    assert TOLD[switch] in log_of(loud)
    assert TOLD[switch] not in log_of(quiet)


def test_without_its_switch_no_call_is_logged(quiet: Daemon) -> None:
    """Nor by the web server itself."""
    lines = [line for line in log_of(quiet).splitlines() if "market_order" in line or "/status HTTP/" in line]
    assert lines == []


def test_a_call_is_logged_once(loud: Daemon) -> None:
    lines = [line for line in log_of(loud).splitlines() if "market_order" in line]
    assert [line for line in lines if "HTTP POST market_order" in line] != []
    assert [line for line in lines if "POST /market_order HTTP/1.1" in line] == []


@pytest.mark.parametrize("way", ["rpc", "get", "post", "wrong", "stream", "web", "login"])
def test_no_password_is_ever_logged(loud: Daemon, way: str) -> None:
    """Whoever's it is, and on whichever way it came; the daemon's own is looked for in every module's files."""
    lines = [line for line in log_of(loud).splitlines() if f"hush-{way}" in line]
    assert lines == []


def test_answers_are_cut_where_it_is_said(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOG_HTTP_RESPONSES="1", LOG_RESPONSE_TRUNCATE="10").start().up()
    daemon.call("query_accounts")
    line = next(line for line in log_of(daemon).splitlines() if "HTTP 200 /query_accounts" in line)
    assert line.endswith('HTTP 200 /query_accounts ["API_ACCO')


def test_the_level_leaves_out_what_is_below(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOG_LEVEL="error").start().up()
    daemon.call("market_order", **TERMS, quantity=1)
    assert " info " not in log_of(daemon)


def test_json_logs_are_json_and_go_to_the_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOG_FORMAT="json")
    file = daemon.folder.parent / "gateway.log"
    daemon.environment["DAEMON_LOGFILE"] = str(file)
    daemon.start().up()
    daemon.call("market_order", **TERMS, quantity=1)
    assert daemon.stop() == 0
    lines = read_json(file)
    assert all({"time", "level", "logger", "text"} <= set(line) for line in lines)
    assert any("1 IBM filled at" in line["text"] for line in lines)
    assert any(f"http://127.0.0.1:{daemon.http_port}" in line["text"] for line in lines)
    assert log_of(daemon) == ""
    daemon.start().end()
    assert len(read_json(file)) > len(lines), "a restart appends"


def test_json_on_standard_output_is_nothing_but_json(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOG_FORMAT="json").start().up()
    daemon.call("market_order", **TERMS, quantity=1)
    assert daemon.stop() == 0
    assert len(read_json(daemon.log)) > 3


def read_json(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_banner_says_where_and_who_and_no_password(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    text = log_of(daemon)
    assert f"http://127.0.0.1:{daemon.http_port}" in text
    assert f"127.0.0.1:{daemon.tcp_port}" in text
    assert "txtrader_user" in text
    assert 'curl -u "txtrader_user:$TXGATEWAY_PASSWORD"' in text
    assert PASSWORD not in text


def test_a_log_file_that_was_moved_is_made_anew_on_sighup(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    file = daemon.folder.parent / "rotated.log"
    daemon.environment["DAEMON_LOGFILE"] = str(file)
    daemon.start().up()
    file.rename(file.with_suffix(".1"))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: file.exists() or daemon.process.poll() is not None, daemon)  # type: ignore[union-attr]
    assert file.exists(), f"SIGHUP ended the daemon: {daemon.process.poll()}"
    daemon.call("market_order", **TERMS, quantity=1)
    assert "market_order" in file.read_text()
    assert daemon.get("status").json() == "Up"
