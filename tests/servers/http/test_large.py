"""Large answers: whole, in slices between other work, at the client's pace, compressed where it wants."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted
import requests
from twisted.internet.threads import deferToThread

from tests.servers.http.house import PASSWORD, USER, ZONE, House, raw, until
from txgateway.api import Listing
from txgateway.servers.http import HttpSettings
from txgateway.servers.http.answers import SLICE, accepts_gzip
from txgateway.wire import Flags

PLAIN = {"Accept-Encoding": "identity"}
BARS = "/query_bars?symbol=IBM&period=1&start=2013-01-01&end=2013-06-01"
FEW_BARS = "/query_bars?symbol=IBM&period=1&start=2013-01-01&end=2013-01-15"
Build = Callable[..., Awaitable[House]]


def whole(client: socket.socket, data: bytes) -> bytes:
    """Everything that is answered until the other end closes."""
    client.sendall(data)
    found = bytearray()
    while part := client.recv(1 << 20):
        found += part
    client.close()
    return bytes(found)


def waiting_bytes(house: House) -> int:
    """How much the server's end keeps for clients that do not read."""
    ends = [each for each in house.reactor.getWriters() if hasattr(each, "dataBuffer")]
    return sum(len(each.dataBuffer) - each.offset + each._tempDataLen for each in ends)


@pytest_twisted.ensureDeferred
async def test_a_thousand_orders(house: House) -> None:
    ids = await house.orders(1000)
    for _ in range(3):
        response = await house.call("GET", "/query_orders", headers=PLAIN)
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["Vary"] == "Accept-Encoding"
        assert list(response.json()) == ids
    assert len(await house.get("/query_executions")) == 1000
    assert await house.get("/query_tickets") == {}
    page = await house.get("/query_orders", after=ids[499], limit=10)
    assert list(page) == ids[500:510]


@pytest_twisted.ensureDeferred
async def test_what_is_kept_follows_every_change(house: House) -> None:
    await house.orders(100)
    order = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "quantity": 100, "limit_price": 180}
    resting = [(await house.post("/limit_order", **order))["permid"] for _ in range(5)]
    assert len(await house.get("/query_orders")) == 105
    await house.post("/replace_order", id=resting[0], quantity=50)
    await house.post("/cancel_order", id=resting[1])
    house.broker.fill(house.gateway.state.working[resting[2]], house.gateway.state.working[resting[2]].quantity / 2)
    await house.post("/stage_market_order", tag="t", account="API_ACCOUNT", route="DEMO", symbol="IBM", quantity=1)
    shown = await house.get("/query_orders")
    assert len(shown) == 105
    assert [shown[id_]["order_status"] for id_ in resting] == ["NEW", "CANCELED", "PARTIALLY_FILLED", "NEW", "NEW"]
    assert shown[resting[0]]["quantity"] == 50
    assert {id_: await house.get("/query_order", id=id_) for id_ in resting} == {id_: shown[id_] for id_ in resting}
    assert len(await house.get("/query_tickets")) == 1


@pytest_twisted.ensureDeferred
async def test_a_new_trading_day_leaves_what_works_and_what_comes(house: House) -> None:
    old = await house.orders(70)
    order = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "quantity": 100, "limit_price": 180}
    resting = (await house.post("/limit_order", **order))["permid"]
    assert list(await house.get("/query_orders")) == [*old, resting]
    house.broker.time += timedelta(days=1)
    house.broker.subscribe("IBM")
    new = await house.orders(70)
    assert list(await house.get("/query_orders")) == [resting, *new]
    assert len(await house.get("/query_executions")) == 70
    assert list(await house.get("/query_orders", since="2013-10-07")) == [*old, resting, *new]
    assert list(await house.get("/query_orders")) == [resting, *new]


@pytest_twisted.ensureDeferred
async def test_others_are_answered_meanwhile(house: House) -> None:
    """While a long answer is made and written, short ones are given."""
    long = house.call("GET", BARS)
    short = 0
    while not long.called:
        assert await house.get("/status") == "Up"
        short += 1
    rows = (await long).json()
    assert len(rows) == 200_000
    assert short >= 5


@pytest_twisted.ensureDeferred
async def test_a_long_answer_is_made_at_the_readers_pace(build: Build) -> None:
    house = await build()
    client = house.socket()
    client.sendall(raw("GET", BARS, b"", "Connection: close"))
    await until(house.reactor, lambda: waiting_bytes(house))
    for _ in range(20):
        assert await house.get("/status") == "Up"
        assert waiting_bytes(house) <= 2 * SLICE
    answer = await deferToThread(whole, client, b"")
    assert answer.endswith(b"0\r\n\r\n")
    assert len(answer) > 10_000_000


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_in_the_middle(house: House) -> None:
    client = house.socket()
    client.sendall(raw("GET", BARS))
    await until(house.reactor, lambda: waiting_bytes(house))
    client.close()
    await until(house.reactor, lambda: not house.connections)
    assert await house.get("/status") == "Up"


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_loses_its_connection(build: Build) -> None:
    house = await build(settings=HttpSettings(Flags(ZONE), idle_timeout=0.2))
    client = house.socket()
    client.sendall(raw("GET", BARS))
    await until(house.reactor, lambda: waiting_bytes(house))
    await until(house.reactor, lambda: not house.connections)
    assert waiting_bytes(house) == 0
    client.close()


@pytest_twisted.ensureDeferred
async def test_an_answer_that_breaks_off_is_no_whole_answer(house: House, logged_failures: list[str]) -> None:
    (id_,) = await house.orders(1)
    order = house.gateway.state.order(id_)
    left = iter(range(3000))

    def get(key: str) -> Any:
        if next(left, None) is None:
            raise RuntimeError("the secret of the house")
        return order

    house.api.call = lambda name, caller, given: Listing([str(at) for at in range(5000)], get)  # type: ignore[method-assign]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        await house.call("GET", "/query_orders", headers=PLAIN)
    assert len(logged_failures) == 1
    assert "the secret of the house" in logged_failures.pop()
    response = await house.call("GET", "/query_orders")
    assert response.status_code == 500
    logged_failures.clear()


# compression


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True),
        ("gzip, deflate", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("identity", False),
        ("deflate, br", False),
        ("", False),
        ("gzip;q=much", True),
        (None, False),
    ],
)
def test_who_accepts_gzip(header: str | None, wanted: bool) -> None:
    assert accepts_gzip(None if header is None else [header.encode()]) is wanted


@pytest.mark.parametrize("path", ["/query_orders", "/openapi.json", "/query_executions", FEW_BARS])
@pytest_twisted.ensureDeferred
async def test_large_answers_are_compressed_and_the_same(house: House, path: str) -> None:
    await house.orders(700)
    plain = await house.call("GET", path, headers=PLAIN)
    packed = await house.call("GET", path, headers={"Accept-Encoding": "gzip"}, stream=True)
    data = await deferToThread(packed.raw.read, decode_content=False)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(data) == plain.content
    assert len(data) < len(plain.content) / 2


@pytest_twisted.ensureDeferred
async def test_small_answers_are_not_compressed(house: House) -> None:
    response = await house.call("GET", "/status", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers


@pytest_twisted.ensureDeferred
async def test_json_rpc_answers_are_compressed_too(house: House) -> None:
    await house.orders(100)
    message = {"jsonrpc": "2.0", "method": "query_orders", "id": 1}
    response = await house.call("POST", "/rpc", json=message)
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.json()["result"]) == 100


# connections


@pytest_twisted.ensureDeferred
async def test_a_connection_is_kept_and_used_again(house: House) -> None:
    await house.orders(300)
    build, built = house.site.buildProtocol, []
    house.site.buildProtocol = lambda address: built.append(address) or build(address)  # type: ignore[func-returns-value]

    def calls() -> Iterator[int]:
        with requests.Session() as session:
            session.auth = (USER.encode(), PASSWORD.encode())
            for path in ("/status", "/query_orders", "/nonsense", "/query_symbol", "/openapi.json", "/status") * 3:
                yield session.get(house.url + path, timeout=20).status_code

    assert await deferToThread(lambda: list(calls())) == [200, 200, 404, 400, 200, 200] * 3
    assert len(built) == 1


@pytest_twisted.ensureDeferred
async def test_old_http_gets_a_long_answer_to_the_connections_end(house: House) -> None:
    await house.orders(1000)
    answer = await deferToThread(whole, house.socket(), raw("GET", "/query_orders", version="1.0"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert len(json.loads(body)) == 1000


@pytest_twisted.ensureDeferred
async def test_a_long_answer_and_connection_close(house: House) -> None:
    await house.orders(1000)
    answer = await deferToThread(whole, house.socket(), raw("GET", "/query_orders", b"", "Connection: close"))
    assert answer.endswith(b"}\r\n0\r\n\r\n")
