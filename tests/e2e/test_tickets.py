"""Tickets on the real daemon: at a venue that holds them, and at one (a broker from outside) that cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.e2e.test_life import txgateway

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
BROKER = """
from txgateway.brokers import Can
from txgateway.brokers.paper import PaperBroker


class Plain(PaperBroker):
    can = PaperBroker.can & ~Can.STAGE
"""
PRICES: dict[str, dict[str, float]] = {
    "MARKET": {},
    "LIMIT": {"limit_price": 1},
    "STOP": {"stop_price": 9000},
    "STOP_LIMIT": {"stop_price": 9000, "limit_price": 9001},
}


def plain(daemon: Daemon) -> Daemon:
    """Give a daemon a venue whose broker knows no tickets, installed beside it as a stranger's would be."""
    outside = daemon.folder.parent / "outside"
    info = outside / "plain_broker-1.0.dist-info"
    info.mkdir(parents=True)
    (outside / "plain_broker.py").write_text(BROKER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-broker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[txgateway.brokers]\nplain = plain_broker:Plain\n")
    daemon.configure('[venues.plain]\nkind = "plain"\naccounts = "API_ACCOUNT"\nfeed = "synthetic:7"\n')
    daemon.variables["PYTHONPATH"] = str(outside)
    return daemon.start().up()


def stage(daemon: Daemon, **terms: Any) -> Any:
    words = {"account": "API_ACCOUNT", "symbol": "IBM", "side": "BUY", "quantity": 5, "tag": "desk"}
    ticket = daemon.call("submit_order", **{**words, **terms})
    assert (ticket["class"], ticket["order_status"]) == ("ticket", "STAGED"), ticket
    return ticket


def now(daemon: Daemon, ticket: Any) -> Any:
    return daemon.call("query_order", id=ticket["permid"])


def test_the_gateway_holds_what_the_venue_cannot(make_daemon: MakeDaemon) -> None:
    daemon = plain(make_daemon())
    assert "STAGE" not in daemon.call("query_venues")["plain"]["can"]
    tickets = [
        stage(daemon, order_type=order_type, time_in_force=time_in_force, **prices)
        for order_type, prices in PRICES.items()
        for time_in_force in ("DAY", "GTC", "IOC", "FOK")
    ]
    ids = {each["permid"] for each in tickets}
    assert set(daemon.call("query_tickets", status="STAGED")) == ids
    daemon.kill()
    daemon.start().up()
    assert set(daemon.call("query_tickets", status="STAGED")) == ids
    assert daemon.call("query_order_executions", id=tickets[0]["permid"]) == {}
    assert daemon.call("approve_ticket", id=tickets[0]["permid"])["status"] == "Filled"
    assert daemon.call("approve_ticket", id=tickets[4]["permid"])["order_status"] == "NEW"
    stream = Stream(daemon, {"ticket-notification": 1, "ticket-data": 1})
    stream.expect(".Authorized plain")
    stream.send(f"approve {tickets[8]['permid']}")
    approved = json.loads(stream.expect(lambda line: line.startswith("{")))
    assert (approved["permid"], approved["order_status"]) == (tickets[8]["permid"], "NEW")
    stream.send(f"reject {tickets[12]['permid']}")
    assert json.loads(stream.expect(lambda line: line.startswith("{")))["status"] == "Cancelled"
    answer = daemon.rpc("reject_ticket", [tickets[5]["permid"], "by rpc"])["result"]
    assert (answer["status"], answer["reason"]) == ("Cancelled", "TICKET_REJECTED")
    waiting = daemon.call("query_tickets", status="STAGED")
    assert len(waiting) == 16 - 5


@pytest.mark.parametrize("held_by", ["the venue", "the gateway"])
def test_a_ticket_expires_also_while_nobody_runs(make_daemon: MakeDaemon, held_by: str) -> None:
    daemon = make_daemon(TICKET_SECONDS="1.5")
    daemon = plain(daemon) if held_by == "the gateway" else daemon.start().up()
    stream = Stream(daemon, {"ticket-data": 1})
    stream.expect(".Authorized")
    channel = "plain" if held_by == "the gateway" else "paper"
    first = stage(daemon, time_in_force="GTC")
    ended = stream.data(f"{channel}.ticket-data ", permid=first["permid"], status="Cancelled")
    assert ended["order_status"] == ("EXPIRED" if held_by == "the gateway" else "CANCELED")
    refused = daemon.call("approve_ticket", id=first["permid"])
    assert refused["reason"] == "NOT_A_TICKET"
    second = stage(daemon, time_in_force="GTC")
    daemon.kill()
    daemon.start().up()
    until(lambda: now(daemon, second)["status"] == "Cancelled", daemon)
    story = daemon.call("explain_order", id=second["permid"])["story"]
    assert "Nobody approved the ticket within 1.5 s." in str(story)
    assert daemon.call("query_order_executions", id=second["permid"]) == {}


def test_nobody_approves_a_ticket_of_their_own_with_four_eyes(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(TICKET_FOUR_EYES="1").start().up()
    ticket = stage(daemon)
    refused = daemon.call("approve_ticket", id=ticket["permid"])
    assert (refused["status"], refused["reason"], refused["permid"]) == ("Error", "FOUR_EYES", ticket["permid"])
    assert daemon.call("reject_ticket", id=ticket["permid"])["status"] == "Cancelled"


def test_readmes_ticket_commands(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    daemon.variables["TXGATEWAY_HTTP_PORT"] = str(daemon.http_port)
    assert txgateway(daemon, "buy", "100", "IBM", "--staged", "desk-3", "--force").returncode == 0
    shown = txgateway(daemon, "--table", "tickets")
    assert "desk-3" in shown.stdout, shown
    ticket = next(iter(daemon.call("query_tickets")))
    assert txgateway(daemon, "approve", ticket, "--force").returncode == 0
    assert daemon.call("query_order", id=ticket)["status"] == "Filled"
    assert txgateway(daemon, "reject", ticket, "too", "late").returncode == 1
