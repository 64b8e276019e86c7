"""Sources by RPC and CLI in the real daemon: made, used, changed, removed, and kept over a restart."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon

CONFIGURED_SECRET = "configured-secret-1"
TOML = f"""
[sources.fixed]
kind = "generic"
account = "PAPER_CASH"
secret = "{CONFIGURED_SECRET}"
limits = {{ max_quantity = "5" }}
"""


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon().configure(TOML, PAPER_FEED="synthetic:7").start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


def signal(url: str, secret: str, **more: Any) -> requests.Response:
    body = {"symbol": "IBM", "side": "BUY", "quantity": 1, **more}
    return requests.post(url, json=body, headers={"Authorization": f"Bearer {secret}"}, timeout=PATIENCE)


def refused(daemon: Daemon, method: str, **arguments: Any) -> Any:
    """The answer to what is not done."""
    answer = daemon.session.post(f"{daemon.url}/{method}", json=arguments, timeout=PATIENCE)
    assert answer.json()["status"] == "Error", answer.text
    return answer.json()


def test_a_source_is_made_used_and_kept_over_a_restart(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="generic", account="api_account", name="kept", rate=20, user="me")
    assert made["url"] == f"{daemon.url}/webhooks/signal/kept"
    assert (made["account"], made["venue"], made["by"]) == ("API_ACCOUNT", "paper", "txtrader_user")
    assert made["settings"] == {"rate": 20, "user": "me"}
    assert made["message"].startswith(f"curl {made['url']} -H 'Authorization: Bearer {made['secret']}' -d ")
    answer = signal(made["url"], made["secret"])
    assert answer.status_code == 200, answer.text
    assert signal(made["url"], "wrong").status_code == 401
    (shown,) = daemon.call("query_sources", name="kept")
    assert (shown["received"], shown["wrong_secrets"], shown["secret"], shown["message"]) == (1, 1, None, None)
    assert shown["last_seen"] is not None
    assert made["secret"] not in json.dumps(shown)
    path = daemon.folder / "sources.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    until(lambda: daemon.call("query_signals", source="kept", outcome="done"), daemon)
    daemon.kill()
    daemon.start().up()
    made["url"] = made["url"].replace(made["url"].split("/")[2], daemon.url.split("/")[2])
    assert signal(made["url"], made["secret"]).status_code == 200
    until(lambda: len(daemon.call("query_signals", source="kept", outcome="done")) == 2, daemon)
    answer = refused(daemon, "remove_source", name="kept")
    assert answer["reason"] == "IN_USE"
    assert "Source kept is in use: kept holds 2 IBM in API_ACCOUNT. Nothing is removed" in answer["errorMsg"]
    assert [each["name"] for each in daemon.call("query_sources", name="kept")] == ["kept"]
    assert daemon.call("remove_source", name="kept", force=True) is True
    assert signal(made["url"], made["secret"]).status_code == 404


def test_a_configured_source_is_changed_in_the_configuration_alone(daemon: Daemon) -> None:
    (shown,) = daemon.call("query_sources", name="fixed")
    assert (shown["configured"], shown["by"], shown["account"]) == (True, "the configuration", "PAPER_CASH")
    for method in ("change_source", "remove_source"):
        answer = refused(daemon, method, name="fixed")
        assert answer["reason"] == "CONFIGURED"
        assert "change its table [sources.fixed] there" in answer["errorMsg"]
    assert refused(daemon, "add_source", kind="generic", account="PAPER_CASH", name="fixed")["reason"] == "NAME_TAKEN"


def test_a_tables_limits_hold_for_its_orders_and_no_others(daemon: Daemon) -> None:
    url = f"{daemon.url}/webhooks/signal/fixed"
    assert signal(url, CONFIGURED_SECRET, quantity=6).status_code == 200
    ended = until(lambda: daemon.call("query_signals", source="fixed", outcome="refused"), daemon)
    assert "source:fixed" in ended[0]["text"]
    order = {"account": "PAPER_CASH", "route": "DEMO", "symbol": "IBM", "quantity": 6}
    assert daemon.call("market_order", **order)["status"] == "Filled"
    assert signal(url, CONFIGURED_SECRET, quantity=5).status_code == 200
    until(lambda: daemon.call("query_signals", source="fixed", outcome="done"), daemon)


def test_a_secret_is_changed_and_the_old_one_opens_nothing(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="rotated", shadow=True)
    changed = daemon.call("change_source", name="rotated", new_secret=True, limits="order_rate=5,max_quantity=10:8")
    assert changed["secret"] not in (made["secret"], None)
    assert changed["settings"] == {"shadow": True}
    assert signal(made["url"], made["secret"]).status_code == 401
    assert signal(made["url"], changed["secret"]).status_code == 200
    limits = {each["limit"]: (each["value"], each["warn"]) for each in risk(daemon, "source:rotated")}
    assert limits == {"order_rate": ("5", None), "max_quantity": ("10", "8")}
    plain = daemon.call("change_source", name="rotated", shadow="no", symbols={"A": "SPY"})
    assert (plain["secret"], plain["settings"]) == (None, {"symbols": {"A": "SPY"}})
    for method in ("change_source", "add_source"):
        terms = {"name": "rotated"} if method == "change_source" else {"kind": "generic", "account": "API_ACCOUNT"}
        refused = daemon.call(method, **terms, symbols={"A": "SPY", "X": "NOSUCH"})
        assert refused["reason"] == "UNKNOWN_SYMBOL", refused
        assert "symbols: X=NOSUCH: Symbol 'NOSUCH' is unknown at venue paper" in refused["errorMsg"]
    assert [each["name"] for each in daemon.call("query_sources") if each["name"] == "generic"] == []
    assert daemon.call("change_source", name="rotated", symbols="")["settings"] == {}


def test_a_source_whose_order_works_is_removed_by_force_alone(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="works")
    answer = signal(made["url"], made["secret"], type="LIMIT", price=1, time_in_force="GTC", strategy="low")
    assert answer.status_code == 200, answer.text
    (ended,) = until(lambda: daemon.call("query_signals", source="works", outcome="done"), daemon)
    answer = refused(daemon, "remove_source", name="works")
    assert f"in use: order {ended['orders'][0]} works. Nothing is removed" in answer["errorMsg"]
    assert "`flatten` of source:works" in answer["errorMsg"]
    daemon.call("cancel_order", id=ended["orders"][0])
    until(lambda: daemon.call("query_order", id=ended["orders"][0])["status"] == "Cancelled", daemon)
    assert daemon.call("remove_source", name="works") is True
    assert daemon.call("remove_source", name="works") is False


def test_a_source_whose_signal_is_being_carried_out_is_not_removed(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol="IBM")
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="slow")
    daemon.call("set_fault", fault="slow_broker", seconds=5)
    taken = signal(made["url"], made["secret"], quantity=3, strategy="trend").json()
    text = refused(daemon, "remove_source", name="slow")["errorMsg"]
    assert f"signal {taken['id']} is being carried out" in text
    assert daemon.call("remove_source", name="slow", force=True) is True


def test_a_flattened_source_is_removed_without_force(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="flat")
    assert signal(made["url"], made["secret"], quantity=3, strategy="trend").status_code == 200
    until(lambda: daemon.call("query_strategies", source="flat"), daemon)
    until(lambda: daemon.call("query_strategies", source="flat")[0]["quantity"] == 3, daemon)
    assert "trend holds 3 IBM in API_ACCOUNT" in refused(daemon, "remove_source", name="flat")["errorMsg"]
    before = daemon.call("query_positions")["API_ACCOUNT"]["IBM"]
    assert daemon.call("flatten", scope="source:flat", reason="not used any more")["flat"] is True
    assert daemon.call("query_positions")["API_ACCOUNT"].get("IBM", 0) == before - 3
    assert daemon.call("query_differences") == []
    assert daemon.call("remove_source", name="flat") is True


def test_limits_are_shown_and_taken_away(daemon: Daemon) -> None:
    limits = "max_quantity=10:8,order_rate=5,restricted=GME+AMC"
    shown = {"max_quantity": "10:8", "order_rate": "5", "restricted": "AMC+GME"}
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="limited", limits=limits)
    assert made["limits"] == shown
    assert daemon.call("change_source", name="limited", shadow=True)["limits"] == shown
    daemon.call("set_risk", scope="source:limited", limit="order_rate")
    (seen,) = daemon.call("query_sources", name="limited")
    assert seen["limits"] == {"max_quantity": "10:8", "restricted": "AMC+GME"}
    assert daemon.call("change_source", name="limited", limits="order_rate=7")["limits"]["order_rate"] == "7"
    assert daemon.call("change_source", name="limited", limits="")["limits"] == {}
    assert risk(daemon, "source:limited") == []
    assert risk(daemon, "source:fixed") != []
    (fixed,) = daemon.call("query_sources", name="fixed")
    assert fixed["limits"] == {"max_quantity": "5"}
    daemon.call("remove_source", name="limited")


def test_what_can_hardly_be_meant_is_said(daemon: Daemon) -> None:
    given = {"kind": "generic", "account": "API_ACCOUNT", "name": "odd", "sizing": "percent", "size": 500}
    assert "each opening order is worth 5 times the account's equity" in daemon.call("add_source", **given)["warning"]
    changed = daemon.call("change_source", name="odd", size=100, certificate="me")
    assert "times" not in changed["warning"]
    assert "No signal of this source is let in: it needs a client certificate" in changed["warning"]
    assert daemon.call("change_source", name="odd", certificate="")["warning"] == ""
    daemon.call("remove_source", name="odd")


def risk(daemon: Daemon, scope: str) -> Any:
    return [each for each in daemon.call("query_risk", scope=scope)["limits"] if each["scope"] == scope]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "fax"}, "kind 'fax': give one of proquant"),
        ({"account": None}, "account: name one of"),
        ({"venue": "nowhere"}, "venue 'nowhere' is unknown: there are paper"),
        ({"secret": "short"}, "secret: give 12 to 256 letters"),
        ({"name": "a b"}, "give 1 to 64 letters"),
        ({"name": "x" * 70}, "give 1 to 64 letters"),
        ({"sizing": "percent"}, "sizing percent needs a size"),
        ({"sizing": "percent", "size": -1}, "give a number above 0"),
        ({"size": "NaN"}, "which is not a finite number"),
        ({"symbols": [1]}, "symbols: give a table of text"),
        ({"symbols": {"A": {"B": 1}}}, "symbols: give a table of text"),
        ({"addresses": ["nowhere"]}, "addresses: give addresses or networks"),
        ({"limits": "speed=1"}, "limit 'speed' is none of"),
        ({"limits": "order_rate"}, "give LIMIT=VALUE"),
        ({"limits": {"order_rate": "many"}}, "must be a number"),
        ({"limits": "{"}, "Expecting"),
        ({"shadow": "perhaps"}, "which is not true or false"),
    ],
)
def test_bad_arguments_make_nothing(daemon: Daemon, arguments: dict[str, Any], says: str) -> None:
    before = daemon.call("query_sources")
    given = {"kind": "generic", "account": "API_ACCOUNT", "name": "bad", **arguments}
    answer = daemon.session.post(f"{daemon.url}/add_source", json=given, timeout=PATIENCE)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["errorMsg"]
    assert daemon.call("query_sources") == before
    assert risk(daemon, "source:bad") == []


def test_an_algogene_source_says_what_stands_in_the_script(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="algogene", account="API_ACCOUNT", name="one")
    base_url, *rest = made["message"].splitlines()
    assert base_url == f'base_url = "{daemon.url}/algogene/rest/v1"'
    assert rest == [f'api_key = "{made["secret"]}"', 'user = "one"']
    daemon.call("remove_source", name="one")


EXPANDED = {
    "{{ticker}}": "IBM",
    "{{strategy.order.action}}": "buy",
    "{{strategy.order.contracts}}": "3",
    "{{strategy.market_position}}": "long",
    "{{strategy.market_position_size}}": "4",
    "{{timenow}}": "2026-03-02T14:30:00Z",
}
"""What TradingView makes of its placeholders."""


@pytest.mark.parametrize(
    ("settings", "bought"),
    [({}, 3), ({"semantics": "target"}, 4), ({"sizing": "fixed", "size": 5}, 5)],
    ids=["as sent", "target", "fixed"],
)
def test_an_alert_with_the_message_that_was_pasted_is_an_order(
    daemon: Daemon, settings: dict[str, Any], bought: int
) -> None:
    made = daemon.call("add_source", kind="tradingview", account="API_ACCOUNT", name=f"pasted-{bought}", **settings)
    message = made["message"]
    for placeholder, value in EXPANDED.items():
        message = message.replace(placeholder, value)
    assert "{{" not in message
    answer = requests.post(made["url"], message, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    (ended,) = until(lambda: daemon.call("query_signals", source=made["name"], outcome="done"), daemon)
    order = daemon.call("query_order", id=ended["orders"][0])
    assert (order["symbol"], order["side"], order["quantity"]) == ("IBM", "BUY", bought)


def test_the_generic_message_is_a_command_that_works(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="shown")
    _, url, _, header, _, body = shlex.split(made["message"])
    name, _, value = header.partition(": ")
    answer = requests.post(url, body, headers={name: value}, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["status"]) == (200, "Accepted")


def test_proquant_comes_with_the_headers_that_it_was_given(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="proquant", account="API_ACCOUNT", name="headed")
    webhook = json.loads(made["message"])
    event = {"v1": {"deprecation": None, "event": {"timestamp": 1, "type": "NEWS", "data": None}}}
    assert webhook["url"] == made["url"]
    assert requests.post(webhook["url"], json=event, timeout=PATIENCE).status_code == 401
    answer = requests.post(webhook["url"], json=event, headers=webhook["headers"], timeout=PATIENCE)
    assert answer.status_code == 200, answer.text


def test_the_command_line_prints_the_url_and_the_message_to_paste(daemon: Daemon) -> None:
    settings = {"TXGATEWAY_HTTP_PORT": daemon.url.rpartition(":")[2], "TXGATEWAY_PASSWORD": PASSWORD}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "txgateway_client", *words]
        done = subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = run("source", "add", "tradingview", "--venue", "paper", "--account", "API_ACCOUNT", "--table")
    assert f"URL:\n{daemon.url}/webhooks/tradingview/tradingview\n" in shown
    message = json.loads(shown.partition("Message:\n")[2].rpartition("}")[0] + "}")
    assert message["symbol"] == "{{ticker}}"
    assert len(message["secret"]) == 32
    assert "tradingview" in run("source", "list", "--table")
    assert "API_ACCOUNT" in run("source", "show", "tradingview", "--table")
    run("source", "change", "tradingview", "--order-type", "limit", "--tif", "ioc", "--limit-offset", "0.1%")
    reset = json.loads(run("source", "change", "tradingview", "--order-type", "", "--tif", "", "--shadow", "true"))
    assert reset["settings"] == {"shadow": True}
    run("source", "remove", "tradingview", "--force")


def test_no_secret_is_in_the_journal_or_the_log(daemon: Daemon) -> None:
    secret = "an-unmistakable-secret"
    given = {"kind": "generic", "account": "API_ACCOUNT", "name": "hidden", "secret": secret}
    assert daemon.call("add_source", **given)["secret"] == secret
    daemon.call("change_source", name="hidden", secret=secret + "2")
    acts = [each["event"] for each in daemon.call("query_journal", kind="AdminActed", limit=1000)]
    assert any("name=hidden" in each["arguments"] and "secret=***" in each["arguments"] for each in acts)
    for path in daemon.folder.iterdir():
        if path.is_file() and path.name != "sources.json":
            assert secret.encode() not in path.read_bytes(), path.name
    assert secret not in daemon.log.read_text()
