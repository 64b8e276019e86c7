"""Brackets with a broker that loses, delays, doubles and refuses, and a daemon that is killed in between.

At the end each entry's exits are what is left of it, once; and all that is left adds up to the broker's positions.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon

FAULTS = (
    *("lost_ack", "late_fill", "duplicated_fill", "reordered_fills", "fill_after_cancel"),
    *("cancel_race", "half_replace", "rejected_replace", "rate_limit", "dropped_link"),
)
PLANS: list[dict[str, Any]] = [
    {"take_profit": "0.02%", "stop_loss": "0.02%"},
    {"take_profit": "0.01%", "trailing_stop": "0.02%"},
    {"take_profit": "5%", "stop_loss": "5%"},
    {"take_profit": "1%", "hold_seconds": 1},
]
SYMBOLS = ("IBM", "MSFT", "AAPL", "TSLA")
LIVE = {"NEW", "PARTIALLY_FILLED"}


@pytest.mark.parametrize("seed", [1, 7])
def test_exits_are_what_is_left_whatever_goes_wrong(make_daemon: MakeDaemon, seed: int) -> None:
    chance = Random(seed)
    daemon = make_daemon(PAPER_FEED=f"synthetic:{seed}", RECONCILE_SECONDS="1", TIMEOUT_ORDER="3").start().up()
    arm(daemon, chance)
    entries = []
    for number in range(14):
        entry = {"account": "API_ACCOUNT", "symbol": chance.choice(SYMBOLS), "quantity": chance.randint(1, 150)}
        side = chance.choice(["BUY", "SELL_SHORT"])
        given = {**entry, "side": side, **chance.choice(PLANS), "client_order_id": f"entry-{number}"}
        entries.append(daemon.call("submit_order", **given)["permid"])
        if chance.random() < 0.25:
            daemon.kill()
            daemon.start().up()
            arm(daemon, chance)
    daemon.call("clear_faults")
    until(lambda: not wrong(daemon, entries), daemon)


def arm(daemon: Daemon, chance: Random) -> None:
    """Let four things go wrong now and then."""
    for fault in chance.sample(FAULTS, 4):
        daemon.call("set_fault", fault=fault, chance=0.3)


def wrong(daemon: Daemon, entries: list[str]) -> list[Any]:
    """What is not as it should be."""
    found: list[Any] = []
    left: dict[str, int] = {}
    live = daemon.call("query_exits")
    for entry in entries:
        for family in daemon.call("query_exits", id=entry).values():
            sign = 1 if family["side"] == "BUY" else -1
            left[family["symbol"]] = left.get(family["symbol"], 0) + sign * family["left"]
            if family["left"] < 0:
                found.append((entry, "too much was left", family["left"]))
            if entry in live and family["left"] > 0:
                found += [(entry, leg, family["trouble"]) for leg in missing(family)]
    held = daemon.call("query_positions")["API_ACCOUNT"]
    if {symbol: quantity for symbol, quantity in left.items() if quantity} != held:
        found.append((left, held))
    return found


def missing(family: dict[str, Any]) -> set[str]:
    """The legs that do not work for exactly what is left."""
    plan = family["exits"]
    wanted = {"take_profit"} | ({"stop_loss"} if plan["stop_loss"] or plan["trailing_stop"] else set())
    orders = family["orders"]
    right = {each["leg"] for each in orders if each["order_status"] in LIVE and each["remaining"] == family["left"]}
    return wanted - right
