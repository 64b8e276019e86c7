"""Clients that read slowly, or not at all: prices are conflated, order events are not, and nobody else notices."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from tests.servers.stream.house import EVERYTHING, Client, House
from txgateway import resume
from txgateway.audience import Settings


def outlet_of(house: House) -> Any:
    """The outlet of the session whose transport is full, if one is."""
    full = [session._outlet for session in house.factory.sessions if session._outlet.paused]
    return full[0] if full else None


async def fill_up(house: House, client: Client) -> None:
    """Send orders until a client's transport is full, and the kernel's buffers behind it."""
    client.read(False)
    full = 0
    while full < 5:
        await house.submit(20)
        full = full + 1 if outlet_of(house) else 0


@pytest_twisted.ensureDeferred
async def test_order_events_wait_and_prices_are_conflated(house: House) -> None:
    slow, quick = await house.login({**EVERYTHING, "quotes": 1, "trades": 1}), await house.login(EVERYTHING)
    for symbol in ("IBM", "AAPL"):
        await quick.answer(f"add {symbol}", "paper.symbol")
    await slow.heard("paper.quote.AAPL")
    await fill_up(house, slow)
    before = len(slow.all("paper.quote."))
    for number in range(1000):
        house.paper.quote("IBM", "90", f"{100 + number / 1000}")
        house.paper.trade("IBM", "100", "1")
        if number % 2:
            house.paper.quote("AAPL", "80", f"{100 + number / 1000}")
        if number % 100 == 0:
            await house.submit(3)
    assert await quick.answer("status", ".status") == ".status: Up"
    await house.until(lambda: len(quick.all("paper.order-data ")) == 3 * len(house.ids))
    slow.read(True)
    await house.until(lambda: len(slow.seen()) == len(quick.seen()))
    assert slow.seen() == quick.seen()
    await house.until(lambda: slow.all("paper.quote.IBM:")[-1] == "90.0 200 100.999 300")
    await house.until(lambda: slow.all("paper.quote.AAPL:")[-1] == "80.0 200 100.999 300")
    await house.until(lambda: slow.all("paper.trade.IBM:")[-1] == "100.0 1 1999")
    assert len(slow.all("paper.quote.")) < before + 20
    assert len(slow.all("paper.trade.IBM:")) < 20
    house.paper.quote("IBM", "91", "92")
    assert await slow.heard("paper.quote.IBM:91.0") == " 200 92.0 300"
    assert all(not audience.behind and not audience._kept for audience in house.publisher._audiences.values())


@pytest_twisted.ensureDeferred
async def test_who_falls_too_far_behind_is_told_and_resumes(build: Any) -> None:
    house = await build(settings=Settings(lines=300, close_seconds=20))
    slow, quick = await house.login(EVERYTHING), await house.login(EVERYTHING)
    slow.read(False)
    while len(house.factory.sessions) == 2 and not any(s._outlet.closed for s in house.factory.sessions):
        await house.submit(20)
    slow.read(True)
    assert "you read too slowly: " in await slow.heard(".error: ")
    await slow.ended()
    last = max(each["seq"] for each in slow.data("order"))
    again = await house.login({**EVERYTHING, "resume": last})
    await house.submit(5)
    await house.until(lambda: quick.seen()[-1] in again.seen())
    # What the first connection heard of the last record may be cut short; the record is not told again.
    heard = [each["seq"] for each in slow.data("order") + again.data("order")]
    assert heard == [each["seq"] for each in quick.data("order")]


@pytest_twisted.ensureDeferred
async def test_bytes_are_counted_too(build: Any) -> None:
    house = await build(settings=Settings(size=200_000, close_seconds=0.05))
    slow = await house.login(EVERYTHING)
    slow.read(False)
    while house.factory.sessions:
        await house.submit(10)
    assert house.publisher.outlets == set()


@pytest_twisted.ensureDeferred
async def test_answers_that_are_not_read_end_the_connection(build: Any) -> None:
    house = await build(settings=Settings(lines=50, close_seconds=0.05))
    client = await house.login()
    client.read(False)

    def left() -> bool:
        for _ in range(100):
            client.say("symbols")
            client.say("help")
        return not house.factory.sessions

    await house.until(left)
    assert house.publisher.outlets == set()


@pytest_twisted.ensureDeferred
async def test_a_long_answer_is_taken_at_the_clients_own_pace(build: Any) -> None:
    house = await build(settings=Settings(lines=100_000))
    client, quick = await house.login(EVERYTHING), await house.login(EVERYTHING)
    ids = await house.submit(500)
    await house.until(lambda: len(client.all("paper.position-data ")) == 500)
    client.read(False)
    client.say("orders")
    await house.until(lambda: outlet_of(house))
    await house.submit(100)
    assert await quick.answer("status", ".status") == ".status: Up"
    client.read(True)
    orders = await client.heard("paper.orders: ")
    assert all(each in orders for each in ids)
    await house.until(lambda: len(client.all("paper.position-data ")) == 600)
    assert client.seen() == quick.seen()


@pytest_twisted.ensureDeferred
async def test_what_is_resumed_never_counts_as_waiting(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[int] = []
    unpin = resume.Replay.unpin
    monkeypatch.setattr(resume, "PAGE", 2000)
    monkeypatch.setattr(resume.Replay, "unpin", lambda replay: given_up.append(replay._seq) or unpin(replay))
    house = await build(settings=Settings(lines=100))
    await house.submit(300)
    slow = await house.login({**EVERYTHING, "resume": 0})
    slow.read(False)
    await house.until(lambda: slow.session._outlet.paused)
    for _ in range(50):
        # The last step towards what happens now is given up when it takes too long, and tried again.
        await house.submit(10)
    assert given_up
    slow.read(True)
    await house.until(lambda: len(slow.all("paper.position-data ")) == len(house.ids))
    await house.submit()
    await house.until(lambda: len(slow.all("paper.position-data ")) == len(house.ids))
    seqs = [each["seq"] for each in slow.data("order")]
    assert len(seqs) == 3 * len(house.ids)
    assert seqs == sorted(set(seqs))


@pytest_twisted.ensureDeferred
async def test_a_client_that_never_closes_is_cut(build: Any) -> None:
    house = await build(settings=Settings(close_seconds=0.05))
    client = await house.login(EVERYTHING)
    await fill_up(house, client)
    client.say("quit")
    await house.until(lambda: not house.factory.sessions)
