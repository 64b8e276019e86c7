"""The kill switch on the real daemon: every scope and level, who is told, and what a kill -9 leaves of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon import Daemon
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
ACCOUNTS = "API_ACCOUNT,SECOND"


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(PAPER_ACCOUNTS=ACCOUNTS).start().up()


def order(daemon: Daemon, **terms: Any) -> Any:
    return daemon.call("market_order", **{**TERMS, "quantity": 1, **terms})


@pytest.mark.parametrize(
    ("scope", "free"),
    [
        ("gateway", None),
        ("venue:paper", None),
        ("account:api_account", {"account": "SECOND"}),
        ("owner:txtrader_user", None),
        ("source:txtrader_user", {}),
        ("bot:txtrader_user", {}),
        ("symbol:ibm", {"symbol": "TSLA"}),
    ],
)
def test_a_halted_scope_takes_no_order(daemon: Daemon, scope: str, free: dict[str, Any] | None) -> None:
    """A source's and a bot's halts leave what comes by RPC alone."""
    said = daemon.call("halt", reason="drill", scope=scope)
    assert "drill" in said
    try:
        if free != {}:
            refused = order(daemon)
            assert (refused["status"], refused["reason"]) == ("Error", "HALTED")
            assert "drill" in refused["errorMsg"]
        if free is not None:
            assert order(daemon, **free)["status"] == "Filled"
    finally:
        assert daemon.call("resume", scope=scope).startswith("trading resumed")
    assert order(daemon)["status"] == "Filled"


@pytest.mark.parametrize("scope", ["gateway", "venue:paper", "account:SECOND", "owner:txtrader_user", "symbol:TSLA"])
def test_reduce_only_lets_positions_be_closed(daemon: Daemon, scope: str) -> None:
    terms = {"account": "SECOND", "symbol": "TSLA"}
    held = daemon.call("query_positions")["SECOND"].get("TSLA", 0)
    order(daemon, **terms, quantity=10)
    daemon.call("halt", reason="drill", scope=scope, level="reduce_only")
    try:
        for quantity in (1, -(held + 11)):
            refused = order(daemon, **terms, quantity=quantity)
            assert (refused["status"], refused["reason"]) == ("Error", "REDUCE_ONLY")
            assert "SECOND holds" in refused["errorMsg"]
        assert order(daemon, **terms, quantity=-10)["status"] == "Filled"
    finally:
        daemon.call("resume", scope=scope)


def test_halts_are_told_and_shown_and_outlive_a_kill(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(PAPER_ACCOUNTS=ACCOUNTS).start().up()
    stream = Stream(daemon, {"status-data": 1})
    stream.expect(".Authorized")
    daemon.call("halt", reason="fat finger", scope="account:SECOND", level="REDUCE_ONLY")
    told = stream.data("paper.status-data ", halted=True)
    assert (told["scope"], told["level"], told["text"]) == ("account:SECOND", "REDUCE_ONLY", "fat finger")
    daemon.rpc("halt", ["all of it"])
    health = daemon.get("health").json()
    assert (health["halted"], health["halts"]) == (True, 2)
    assert "SECOND" not in str(health)
    before = daemon.call("query_halts")
    assert [(each["scope"], each["level"], each["by"]) for each in before] == [
        ("account:SECOND", "REDUCE_ONLY", "txtrader_user"),
        ("gateway", "HALTED", "txtrader_user"),
    ]
    daemon.kill()
    daemon.start()
    assert daemon.call("query_halts") == before, "also before the venue is up"
    daemon.up()
    assert order(daemon)["reason"] == "HALTED"
    assert daemon.call("resume") == "trading resumed; still: account:SECOND is REDUCE_ONLY: fat finger"
    assert order(daemon)["status"] == "Filled"
    assert order(daemon, account="SECOND")["reason"] == "REDUCE_ONLY"
    assert daemon.stop() == 0
    daemon.start().up()
    assert [each["scope"] for each in daemon.call("query_halts")] == ["account:SECOND"]
    assert "is REDUCE_ONLY: fat finger" in daemon.log.read_text()
    kinds = [each["event"]["scope"] for each in daemon.call("query_journal", kind="TradingHalted")]
    assert [each["kind"] for each in kinds] == ["account", "gateway"]


@pytest.mark.parametrize(
    "given",
    [
        {"reason": ""},
        {"reason": " "},
        {"reason": "x" * 1001},
        {"reason": "x", "scope": "planet"},
        {"reason": "x", "scope": "gateway:x"},
        {"reason": "x", "scope": "account:"},
        {"reason": "x", "scope": "account:NOBODY"},
        {"reason": "x", "scope": "venue:NOWHERE"},
        {"reason": "x", "scope": "symbol:IBM@paper"},
        {"reason": "x", "scope": "symbol:IBMN"},
        {"reason": "x", "scope": "owner:nobody"},
        {"reason": "x", "scope": "source:nobody"},
        {"reason": "x", "scope": "bot:nobody"},
        {"reason": "x", "scope": f"owner:{'x' * 300}"},
        {"reason": "x", "scope": "owner:a\u0007"},
        {"reason": "x", "scope": {}},
        {"reason": "x", "level": "MAYBE"},
        {"reason": "x", "level": 1},
        {},
    ],
    ids=str,
)
def test_a_halt_that_would_halt_nothing_is_a_mistake(daemon: Daemon, given: dict[str, Any]) -> None:
    answer = daemon.session.post(f"{daemon.url}/halt", json=given, timeout=60)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT")
    assert daemon.call("query_halts") == []


def test_a_halt_is_not_loosened_by_another(daemon: Daemon) -> None:
    daemon.call("halt", reason="stop", scope="symbol:IBM")
    try:
        refused = daemon.call("halt", reason="a little", scope="symbol:IBM", level="REDUCE_ONLY")
        assert (refused["status"], refused["reason"]) == ("Error", "HALTED")
        assert order(daemon)["reason"] == "HALTED"
    finally:
        daemon.call("resume", scope="symbol:IBM")
