"""Resuming: everything after a seq from the journal, then live, without a gap or a repeat."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.servers.stream.house import EVERYTHING, Client, House
from txgateway.audience import Settings
from txgateway.journal.memory import MemoryJournal
from txgateway.journal.sqlite import SqliteJournal
from txgateway.model.errors import Reason
from txgateway.model.events import (
    DifferenceFound,
    DifferenceRaised,
    OrderDoubted,
    OrderResolved,
    OrderRestored,
    PositionReported,
    Severity,
)
from txgateway.model.order import OrderStatus, OrderType


def journal_of(kind: str, folder: Path) -> Any:
    """A journal of a kind."""
    return MemoryJournal() if kind == "memory" else SqliteJournal(folder / "journal.sqlite")


async def a_day(house: House) -> None:
    """Something of everything that can be in a journal."""
    now = house.now()
    house.paper.halves = True
    await house.submit(5)
    await house.submit(2, "SECOND", symbol="AAPL")
    tickets = await house.submit(2, tag="T1")
    await house.gateway.approve(tickets[0], "boss")
    (resting,) = await house.submit(limit_price=D(90), order_type=OrderType.LIMIT)
    await house.submit(account="NOBODY")
    house.gateway.ledger.record(PositionReported("paper", "OTHER", "MSFT", D(5), D(1), now))
    house.gateway.ledger.record(DifferenceFound("paper", "OTHER", "order", "1", "", "x", Severity.WARNING, now))
    house.gateway.ledger.record(DifferenceRaised("paper", "OTHER", "order", "1", "", "x", Severity.CRITICAL, now, now))
    house.gateway.differences.gone(("paper", "OTHER", "order", "1"), "It is no longer so.")
    house.gateway.halt("lunch", "me")
    house.gateway.resume("me")
    house.second.stopService()
    house.second.startService()
    await house.submit(5, symbol="MSFT", account="OTHER")
    await house.gateway.replace(resting, D(50), None, None, "me")
    before = await house.gateway.cancel(resting, "me")
    assert before.status is OrderStatus.CANCELED
    alive = replace(before, status=OrderStatus.NEW, reason=None, text="")
    house.gateway.ledger.record(OrderRestored(alive, "It lives.", now))
    house.gateway.ledger.record(OrderDoubted(resting, Reason.MISSING, "Lost.", now))
    house.gateway.ledger.record(OrderResolved(resting, OrderStatus.EXPIRED, "They rang.", "ann", now))
    await house.gateway.reject(tickets[1], "no", "boss")
    await house.gateway.settled()


async def all_of(house: House, *clients: Client) -> list[list[str]]:
    """All that clients have heard of the journal, once they have heard the last record."""
    await house.submit()
    last = f'"seq":{house.publisher.seq},'
    for client in clients:
        await house.until(lambda client=client: any(last in line for line in client.all("paper.position-data ")))
    return [client.seen() for client in clients]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest_twisted.ensureDeferred
async def test_a_resumed_client_hears_what_a_live_one_heard(build: Any, kind: str, tmp_path: Path) -> None:
    house = await build(up=False, journal=journal_of(kind, tmp_path))
    live = await house.login(EVERYTHING)
    await house.up()
    await a_day(house)
    for resume in range(0, house.publisher.seq + 1, 7 if kind == "memory" else 37):
        client = await house.login({**EVERYTHING, "resume": resume})
        heard, told = await all_of(house, client, live)
        assert heard == told[len(told) - len(heard) :]
        seqs = [each["seq"] for kind in ("order", "ticket", "status", "execution") for each in live.data(kind)]
        assert min(seq for seq in seqs if seq > resume) == min(
            each["seq"] for kind in ("order", "ticket", "status", "execution") for each in client.data(kind)
        )
        client.cut()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest_twisted.ensureDeferred
async def test_after_a_restart_of_the_gateway(build: Any, kind: str, tmp_path: Path) -> None:
    house = await build(journal=journal_of(kind, tmp_path))
    live = await house.login({**EVERYTHING, "resume": 0})
    await a_day(house)
    (before,) = await all_of(house, live)
    await house.close()
    second = await build(up=False, journal=house.journal if kind == "memory" else journal_of(kind, tmp_path))
    watch = await second.login(EVERYTHING)
    await second.up()
    middle = live.data("order")[len(live.data("order")) // 2]["seq"]
    for resume in (0, middle):
        client = await second.login({**EVERYTHING, "resume": resume})
        heard, after = await all_of(second, client, watch)
        expected = [*before, *after]
        assert heard == expected[len(expected) - len(heard) :]
        assert resume or heard == expected


@pytest.mark.parametrize(
    ("resume", "why"),
    [
        (10_000, "resume 10000 is beyond the journal's last record"),
        (-1, "resume -1 is no record's number"),
        ("soon", 'resume "soon" is no record\'s number'),
        (1.5, "resume 1.5 is no record's number"),
        (True, "resume true is no record's number"),
        ([1], "resume [1] is no record's number"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_resume_that_cannot_be(house: House, resume: Any, why: str) -> None:
    await house.submit()
    client = await house.login({**EVERYTHING, "resume": resume})
    assert (await client.heard(".error: ")).startswith(why)
    (order,) = await house.submit()
    await client.heard("paper.order-data ", 3)
    assert {each["permid"] for each in client.data("order")} == {order}


@pytest_twisted.ensureDeferred
async def test_only_what_was_asked_for_is_resumed(house: House) -> None:
    await a_day(house)
    client = await house.login({"execution-notification": 1, "resume": 0})
    await house.submit()
    number = len(await client.json("executions", "paper.executions: "))
    await client.heard("paper.execution.", number)
    assert len(client.seen()) == number


@pytest_twisted.ensureDeferred
async def test_what_is_true_now_is_not_resumed(house: House) -> None:
    await a_day(house)
    client = await house.login({**EVERYTHING, "resume": 0})
    await all_of(house, client)
    kinds = ("connection-status-changed", "error", "current-account", "accounts")
    assert not [line for line in client.lines if line.partition(".")[2].startswith(kinds)]


class Resumer:
    """A client that cuts its connection at random points, and resumes after the last record it has heard whole."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self.house = house
        self.chance = chance
        self.heard: list[str] = []
        self.seq = 0

    async def connect(self) -> Client:
        """A connection that goes on where the last one ended."""
        return await self.house.login({**EVERYTHING, "resume": self.seq})

    async def run(self, connections: int) -> None:
        """Connect, hear something, cut: so many times."""
        for _ in range(connections):
            client = await self.connect()
            client.cut_at = len(client.lines) + self.chance.randrange(1, 400)
            if self.chance.random() < 0.3:
                client.read(False)
                await self.house.submit(3)
                client.read(True)
            await client.ended()
            self.keep(client)

    def keep(self, client: Client) -> None:
        """Keep what was heard, up to the last record that is surely whole: the one before the last that was begun."""
        heard = client.seen()
        ends: dict[int, int] = {}
        for at, line in enumerate(heard, 1):
            if "-data {" in line:
                ends[int(json.loads(line.partition(" ")[2])["seq"])] = at
        if len(ends) > 1:
            self.seq = sorted(ends)[-2]
            self.heard += heard[: ends[self.seq]]


@pytest.mark.parametrize(("kind", "seed"), [("memory", 1), ("memory", 2), ("memory", 3), ("sqlite", 4), ("sqlite", 5)])
@pytest_twisted.ensureDeferred
async def test_cut_at_random_points_under_load(build: Any, kind: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    house = await build(journal=journal_of(kind, tmp_path), settings=Settings(lines=1_000_000, size=2**30))
    live = await house.login({**EVERYTHING, "resume": 0})
    house.paper.halves = True
    resumers = [Resumer(house, random.Random(100 * seed + number)) for number in range(3)]
    done: list[None] = []

    async def load() -> None:
        while not done:
            await house.submit(chance.randrange(1, 12), chance.choice(["API_ACCOUNT", "OTHER", "SECOND"]))
            # The clients live in this process: let them have their turns too.
            if house.publisher.seq > 100:
                await house.until(lambda: len(live.lines) >= house.publisher.seq)

    loading = Deferred.fromCoroutine(load())
    for running in [Deferred.fromCoroutine(each.run(8 if kind == "memory" else 4)) for each in resumers]:
        await running
    clients = [await each.connect() for each in resumers]
    await house.submit(50)
    done.append(None)
    await loading
    told = (await all_of(house, live, *clients))[0]
    for each, client in zip(resumers, clients, strict=True):
        each.keep(client)
    for each in resumers:
        assert len(each.heard) > 500
        assert each.heard == told[: len(each.heard)]
