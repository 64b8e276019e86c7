"""What clients may do wrong: it costs them their connection, and nobody else anything."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from tests.servers.stream.house import House
from txgateway.audience import Settings

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "which is no netstring's length"),
        (b"hello", "which is no netstring's length"),
        (b":", "which is no netstring's length"),
        (b"007:status!,", "which is no netstring's length"),
        (b"6:status;", "does not end with a comma"),
        (b"999999999999:", "which is no netstring's length"),
        (b"99999:x", "above the limit of 65536"),
        (b"4:\xff\xfe\xfd\xfc,", "is not UTF-8"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_junk_ends_the_connection(house: House, junk: bytes, why: str) -> None:
    other, client = await house.login(), await house.connect()
    client.transport.write(junk)
    assert why in await client.heard(".error: ")
    await client.ended()
    assert await other.answer("status", ".status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_ten_megabytes_of_junk(house: House) -> None:
    other = await house.login()
    for start in (b"", b"65536:", b"1048576:"):
        client = await house.connect()
        client.transport.write(start + b"7" * (10 * MB))
        await client.ended()
    assert await other.answer("status", ".status") == ".status: Up"
    assert len(house.factory.sessions) == 1


@pytest_twisted.ensureDeferred
async def test_messages_are_longer_after_auth(house: House) -> None:
    client = await house.login()
    assert await client.answer(f"call status {{}} {'x' * 200_000}", "paper.result") is not None
    client.transport.write(b"1048577:")
    assert "above the limit of 1048576" in await client.heard(".error: ")
    await client.ended()


@pytest_twisted.ensureDeferred
async def test_who_does_not_log_in_is_disconnected(build: Any) -> None:
    house = await build(settings=Settings(login_seconds=0.05))
    silent, half = await house.connect(), await house.connect()
    half.transport.write(b"400:auth ")
    assert await silent.heard(".error: ") == "you have not logged in within 0.05 s"
    await silent.ended()
    await half.ended()
    assert house.factory.sessions == set()


@pytest_twisted.ensureDeferred
async def test_half_a_message_and_silence(build: Any) -> None:
    house = await build(settings=Settings(message_seconds=0.05))
    quiet, client = await house.login(), await house.login()
    client.transport.write(b"6:status,6:sta")
    assert await client.heard(".status") == ": Up"
    assert await client.heard(".error: ") == "you have not sent the rest of a message within 0.05 s"
    await client.ended()
    assert await quiet.answer("status", ".status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_messages_may_come_in_any_pieces(house: House) -> None:
    client = await house.login()
    for byte in b"6:status,6:status,6:status,":
        client.transport.write(bytes((byte,)))
    assert await client.heard(".status", 3) == ": Up"


@pytest_twisted.ensureDeferred
async def test_too_many_connections(build: Any) -> None:
    house = await build(settings=Settings(clients=3))
    clients = [await house.login() for _ in range(3)]
    more = await house.connect()
    assert await more.heard(".error: ") == "there are 3 connections, no more are taken: try again later"
    await more.ended()
    clients[0].say("quit")
    await clients[0].ended()
    await house.until(lambda: len(house.factory.sessions) == 2)
    await house.login()


@pytest_twisted.ensureDeferred
async def test_many_commands_at_once_are_all_answered(build: Any) -> None:
    house = await build(settings=Settings(requests=10))
    client = await house.login()
    house.paper.hold = True
    for _ in range(500):
        client.say("limitorder API_ACCOUNT DEMO IBM 90 100")
    await house.until(lambda: len(house.paper.waiting) >= 10)
    house.paper.hold = False
    for order in house.paper.waiting:
        house.paper.answer(order)
    await client.heard('{"permid"', 500)


@pytest_twisted.ensureDeferred
async def test_a_failure_inside_is_answered_and_logged(
    house: House, monkeypatch: pytest.MonkeyPatch, logged_failures: list[str]
) -> None:
    client = await house.login()
    monkeypatch.setattr(house.paper, "balances", lambda account: 1 / 0)
    assert (await client.answer("call query_balances", ".error")).startswith(".error: the gateway made an error")
    assert ["ZeroDivisionError" in each for each in logged_failures] == [True]
    logged_failures.clear()
    assert await client.answer("status", ".status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_an_option_that_nobody_knows_is_said_and_the_others_count(house: House) -> None:
    client = await house.login({"order-data": 1, "execution-dta": 1, "quotees": 0})
    said = await client.heard(".error: ")
    assert said == 'option "execution-dta" is unknown and asks for nothing: did you mean execution-data?'
    await house.submit(1)
    await client.heard("paper.order-data ")


@pytest_twisted.ensureDeferred
async def test_options_that_cannot_be_read(house: House) -> None:
    client = await house.login("{nonsense")
    assert "the options cannot be read" in await client.heard(".error: ")
    client = await house.login({"SYMBOL_FIELDS": "BID", "venue": 7})
    assert "SYMBOL_FIELDS is no list of names" in await client.heard(".error: ")
    assert "venue 7 is no venue's name" in await client.heard(".error: ", 2)
    assert (await client.json("add IBM", "paper.symbol: "))["symbol"] == "IBM"


@pytest_twisted.ensureDeferred
async def test_who_is_gone_while_a_symbol_is_added_leaves_nothing(house: House) -> None:
    client = await house.login()
    client.say("add IBM")
    client.say("quit")
    await client.ended()
    await house.until(lambda: not house.factory.sessions)
    await house.until(lambda: not house.paper.subscribed)
