"""Signals of every kind, nearly right, at the real daemon: only 2xx and 4xx, no traceback, and it goes on."""

from __future__ import annotations

import json
import os
import time
from random import Random
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon

GOOD: dict[str, list[Any]] = {
    "generic": [
        {"symbol": "IBM", "side": "BUY", "quantity": 10, "id": "1", "strategy": "s", "timestamp": 1, "max_age": 5},
        {"symbol": "IBM", "target": -5, "take_profit": "3%", "stop_loss": 1, "hold_seconds": 60, "reference": "r"},
        {"symbol": "IBM", "side": "CLOSE", "strategy": "s"},
        {"signals": [{"symbol": "IBM", "side": "SELL", "quantity": "5%", "type": "LIMIT", "price": 1}]},
        {"side": "CANCEL", "strategy": "s", "client_order_id": "c"},
    ],
    "proquant": [
        {
            "v1": {
                "deprecation": None,
                "event": {
                    "timestamp": 1700000000000,
                    "type": kind,
                    "integration": {"name": "n", "description": "d", "imageUrl": "u", "webhook": {"url": "u"}},
                    "data": {
                        "direction": "BUY",
                        "ticker": "IBM",
                        "quantity": 3,
                        "strategy": {"id": "s", "name": "n"},
                        "proquantPositionId": "p",
                    },
                },
            }
        }
        for kind in ("SIGNAL_OPEN", "SIGNAL_CLOSE", "SIGNAL_REOPEN", "STRATEGY_ENABLED", "INTEGRATION_APPROVED", "X")
    ],
    "tradingview": [
        {"ticker": "NASDAQ:IBM", "action": "buy", "contracts": "1", "timenow": "2030-01-01T00:00:00Z"},
        {"ticker": "IBM", "strategy": {"order_action": "sell", "order_contracts": 1}, "position_size": "-5"},
        [{"ticker": "IBM", "action": "buy", "qty": "300$"}, {"ticker": "IBM", "action": "exit_long"}],
    ],
}
ODD: list[Any] = [None, True, -1, 0, 1e308, 10**30, "", " ", "NaN", "1e999", "\x00", "\ud83d", "a" * 300, [], {}, [[]]]


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon(LOG_HTTP_REQUESTS="0").start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


class Chaos:
    """Wounds to what was right."""

    def __init__(self) -> None:
        self.seed = int(os.environ.get("FUZZ_SEED", "0")) or Random().randrange(1, 2**32)
        print(f"FUZZ_SEED={self.seed}")
        self.chance = Random(self.seed)

    def spoiled(self, value: Any) -> Any:
        """The same with odd values here and there, or without some members, or with others."""
        chance = self.chance
        if chance.random() < 0.08:
            return chance.choice(ODD)
        if isinstance(value, dict):
            found = {name: self.spoiled(each) for name, each in value.items() if chance.random() > 0.04}
            return {**found, "odd": chance.choice(ODD)} if chance.random() < 0.04 else found
        if isinstance(value, list):
            return [self.spoiled(each) for each in value for _ in range(chance.choice((1, 1, 1, 0, 2)))]
        return value

    def body(self, kind: str) -> bytes:
        data = json.dumps(self.spoiled(self.chance.choice(GOOD[kind]))).encode()
        while data and self.chance.random() < 0.15:
            at, cut = self.chance.randrange(len(data)), self.chance.randrange(6)
            data = data[:at] + self.chance.randbytes(self.chance.randrange(6)) + data[at + cut :]
        return data


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_nearly_right_is_answered_in_words(daemon: Daemon, kind: str, seconds: float) -> None:
    made = daemon.call("add_source", kind=kind, account="PAPER_CASH", name=kind, rate=100_000)
    url = made["url"] if kind != "tradingview" else f"{made['url']}/{made['secret']}"
    chaos, session, seen = Chaos(), requests.Session(), set()
    session.headers["Authorization"] = f"Bearer {made['secret']}"
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        body = chaos.body(kind)
        answer = session.post(url, body, timeout=PATIENCE)
        assert answer.status_code // 100 in (2, 4), (answer.status_code, body, answer.text)
        assert made["secret"] not in answer.text
        seen.add(answer.status_code)
    assert {200, 400} & seen
    assert daemon.call("status") == "Up"
    until(lambda: not daemon.call("query_signals", source=kind, outcome="pending"), daemon)
    assert "Traceback" not in daemon.log.read_text()


CALLS = {
    "open_order": {
        "accountid": "x",
        "runmode": "livetrade",
        "instrument": "IBM",
        "buysell": "BUY",
        "volume": 1,
        "ordertype": "MKT",
        "price": 200,
        "orderRef": "r",
        "takeProfitLevel": 900,
        "stopLossLevel": 1,
        "holdtime": 60,
        "timeinforce": 60,
    },
    "close_orders": {"tradeIDs": "1,2"},
    "cancel_orders": {"tradeIDs": 3},
    "update_opened_order": {"tradeID": 1, "takeProfitLevel": 950, "stopLossLevel": 2, "holdtime": 5},
    "update_pending_order": {"tradeID": 1, "price": 1},
    "opened_trades": {"tradeID": 1},
    "pending_trades": {},
    "accounts": {"runmode": "livetrade"},
    "positions": {},
    "balance": {},
    "history_price": {"instrument": "IBM", "count": 3, "interval": "M", "timestamp_gt": "2020-01-01"},
    "realtime_price": {"symbols": "IBM,WMT"},
    "list_instrument": {},
    "session": {},
}


def test_a_script_that_is_nearly_right_is_answered_in_words(daemon: Daemon, seconds: float) -> None:
    made = daemon.call("add_source", kind="algogene", account="PAPER_CASH", name="script", rate=100_000)
    login = {"user": "script", "api_key": made["secret"]}
    chaos, session, seen = Chaos(), requests.Session(), set()
    token = session.get(f"{made['url']}/session", params=login, timeout=PATIENCE).json()["res"]["token"]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        call = chaos.chance.choice(list(CALLS))
        wanted = chaos.spoiled(CALLS[call])
        whole = {**(wanted if isinstance(wanted, dict) else {}), "token": token, **login}
        if "order" in call:
            answer = session.post(f"{made['url']}/{call}", json.dumps(whole), timeout=PATIENCE)
        else:
            query = {name: str(value).encode("utf-8", "replace") for name, value in whole.items()}
            answer = session.get(f"{made['url']}/{call}", params=query, timeout=PATIENCE)
        assert answer.status_code // 100 in (2, 4), (answer.status_code, call, whole, answer.text)
        assert made["secret"] not in answer.text
        seen.add(answer.status_code)
    assert {200, 400} & seen
    until(lambda: not daemon.call("query_signals", source="script", outcome="pending"), daemon)
    assert "Traceback" not in daemon.log.read_text()
