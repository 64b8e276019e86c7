"""What tests of a daemon at an emulated counterparty share: an order's way, a lost link, a kill among orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD

FAR = "price_collar=off,max_notional=off,reference_age=off"
"""Limits that take orders far from the market, which rest."""


def becomes(daemon: Daemon, name: str, status: str) -> Any:
    """The order, once it is in this status."""
    return until(lambda: (found := daemon.call("query_order", id=name))["order_status"] == status and found, daemon)


def in_doubt(daemon: Daemon) -> list[str]:
    """The orders of which nobody knows yet what became of them, by their ids."""
    orders = daemon.call("query_orders").items()
    return [name for name, each in orders if each["order_status"] in ("UNKNOWN", "PENDING_NEW")]


def losses(daemon: Daemon) -> int:
    """How often the link of its venue was lost."""
    return len(re.findall(r"venue \w+ is DOWN", daemon.log.read_text(errors="replace")))


def lost_and_back(daemon: Daemon, what: Callable[[], object]) -> None:
    """Do something that costs the link; wait until the daemon has seen that, and is up again."""
    before = losses(daemon)
    what()
    until(lambda: losses(daemon) > before, daemon)
    daemon.up()


def cancel_while_away(daemon: Daemon, order: str, drop: Callable[[], object]) -> None:
    """Ask for an order's end while the link is gone: it is said that this waits, and done once the link is back."""
    before = losses(daemon)
    drop()
    until(lambda: losses(daemon) > before, daemon)
    asked = daemon.call("cancel_order", id=order)
    assert (asked["status"], asked["order_status"], asked["reason"]) == ("Pending", "NEW", "VENUE_DOWN")
    assert asked["errorMsg"].endswith(
        "nothing was done. The cancel is kept: it is sent as soon as the venue is back and has the order."
    )
    assert daemon.call("query_order", id=order)["errorMsg"] == asked["errorMsg"]
    ended = becomes(daemon, order, "CANCELED")
    assert (ended["reason"], "errorMsg" in ended) == ("USER", False)


def kill_among_orders(
    daemon: Daemon, terms: dict[str, Any], limit_price: float, arrived: Callable[[str], list[Any]], many: int = 60
) -> None:
    """Kill it when a third of many orders is answered: none that it answered is gone, none is doubled or in doubt.

    Every other order is a limit order at a price where it rests. `arrived` gives what the counterparty has of one.
    """

    def body(number: int) -> tuple[str, dict[str, Any]]:
        given = {**terms, "client_order_id": f"killed-{number}"}
        return ("limit_order", {**given, "limit_price": limit_price}) if number % 2 else ("market_order", given)

    def send(number: int) -> Any:
        way, given = body(number)
        try:
            auth = ("txtrader_user", PASSWORD)
            return requests.post(f"{daemon.url}/{way}", json=given, auth=auth, timeout=PATIENCE).json()
        except requests.RequestException:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(send, number) for number in range(many)]
        until(lambda: sum(each.done() for each in answers) >= many // 3)
        daemon.kill()
        told = [each.result() for each in answers]
    daemon.start().up()
    until(lambda: all(each["order_status"] != "UNKNOWN" for each in daemon.call("query_orders").values()), daemon)
    ours = {each["client_order_id"]: each for each in daemon.call("query_orders").values()}
    for each in filter(None, told):
        assert ours[each["client_order_id"]]["permid"] == each["permid"], "what was acknowledged is there"
    for name, each in ours.items():
        if name.startswith("killed-"):
            assert len(arrived(each["permid"])) == (0 if each["order_status"] == "REJECTED" else 1), each
            way, given = body(int(name.removeprefix("killed-")))
            assert daemon.call(way, **given)["replayed"] is True
