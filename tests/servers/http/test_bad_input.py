"""What no client should send costs that client its answer or its connection, and nothing else."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.servers.http.house import ACCOUNT, ZONE, House, raw, until
from txgateway.commands import COMMANDS
from txgateway.servers.http import HttpSettings
from txgateway.servers.http.site import GatewayChannel
from txgateway.wire import Flags

ORDER = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM", "quantity": 100}
BODY = json.dumps(ORDER).encode()
Build = Callable[..., Awaitable[House]]


@pytest_twisted.async_yield_fixture(autouse=True)
async def unharmed(house: House) -> AsyncIterator[None]:
    """Whatever was sent, the next client is answered, no order went out, and no connection is left behind."""
    yield
    assert await house.get("/status") == "Up"
    assert house.broker.sent == []


def everything(client: socket.socket, data: bytes) -> bytes:
    """All that is answered until the other end closes."""
    try:
        client.sendall(data)
        found = b""
        while part := client.recv(65536):
            found += part
    except ConnectionError:
        return found if "found" in vars() else b""
    finally:
        client.close()
    return found


async def told(house: House, data: bytes) -> bytes:
    """All that is answered to these bytes."""
    return await deferToThread(everything, house.socket(), data)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"IBM"', "must be a JSON object"),
        (b"5", "must be a JSON object"),
        (b"symbol=IBM&quantity=100", "not JSON"),
        (BODY[:-1], "not JSON"),
        (BODY + BODY, "not JSON"),
        (BODY.replace(b"100", b"NaN"), "NaN is no JSON number"),
        (BODY.replace(b"100", b"Infinity"), "Infinity is no JSON number"),
        (BODY.replace(b"100", b"1e999"), "too large"),
        (BODY.replace(b"100", b'1, "quantity": 100'), "'quantity' stands twice"),
        (BODY.replace(b"IBM", b"IB\xff"), "not UTF-8"),
        (BODY.replace(b'"IBM"', b"[" * 300_000), "more than 10000 arrays"),
        (BODY.replace(b'"IBM"', b"[" * 5_000), "nested deeper"),
        (BODY.replace(b'"IBM"', b"[" * 60 + b"]" * 60), "nested deeper"),
        (BODY.replace(b"IBM", b"\\ud800"), "surrogate"),
        (BODY.replace(b"IBM", b"\\u0000"), "not a name"),
        (BODY.replace(b"100", b'"100; drop table orders"'), "not a finite number"),
        (BODY.replace(b"100", b"9" * 4000), "not a finite number"),
        (b"\x00" * 1000, "not JSON"),
        (b"{" * 200, "nested deeper"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bodies_that_are_no_arguments(house: House, body: bytes, why: str) -> None:
    response = await house.call("POST", "/market_order", data=body)
    assert response.status_code == 400
    answer = response.json()
    assert (answer["status"], answer["reason"]) == ("Error", "BAD_ARGUMENT")
    assert why in answer["errorMsg"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/json; charset=latin-1",
        "nonsense",
        "",
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_content_type_is_not_looked_at(house: House, kind: str) -> None:
    response = await house.call(
        "POST", "/query_account", data=json.dumps({"account": ACCOUNT}), headers={"Content-Type": kind}
    )
    assert response.json()["_cash"] == 10_000_000.0


@pytest_twisted.ensureDeferred
async def test_a_body_just_within_and_just_over_the_limit(house: House) -> None:
    padding = b" " * (house.settings.largest_body - len(b'{"symbol":"IBM"}'))
    response = await house.call("POST", "/query_symbol", data=b'{"symbol":"IBM"}' + padding)
    assert response.json()["symbol"] == "IBM"
    response = await house.call("POST", "/query_symbol", data=b'{"symbol":"IBM"}' + padding + b" ")
    assert response.status_code == 413
    assert response.json()["reason"] == "TOO_LARGE"


@pytest.mark.parametrize("path", ["/market_order", "/rpc", "/"])
@pytest_twisted.ensureDeferred
async def test_ten_megabytes_are_answered_413(house: House, path: str) -> None:
    response = await house.call("POST", path, data=b"x" * 10_000_000)
    assert response.status_code == 413
    assert response.json()["reason"] == "TOO_LARGE"
    response = await house.call("POST", path, data=iter([b"x" * 1_000_000] * 10))
    assert response.status_code == 413


@pytest_twisted.ensureDeferred
async def test_a_body_without_end_costs_the_connection(house: House) -> None:
    def pour(client: socket.socket) -> int:
        client.sendall(raw("POST", "/rpc", b"", "Transfer-Encoding: chunked"))
        chunk = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
        for sent in range(1000):
            try:
                client.sendall(chunk)
            except ConnectionError:
                return sent
        return 1000

    assert await deferToThread(pour, house.socket()) < 100
    await until(house.reactor, lambda: not house.connections)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET\r\n\r\n",
        b"GET /status\r\n\r\n",
        b"GET /status HTTP/9.9\r\nNo colon here\r\n\r\n",
        b"GET /status HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHeader: x\x00y\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % at for at in range(600)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000,
        b"POST /rpc HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /rpc HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"POST /rpc HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_http(build: Build, data: bytes) -> None:
    house = await build(settings=HttpSettings(Flags(ZONE), idle_timeout=0.2))
    answer = await told(house, data)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.0 401 ", b"HTTP/9.9 4"))
    assert house.connections == 0
    assert await house.get("/status") == "Up"


@pytest.mark.parametrize(
    "half",
    [b"", b"GET /sta", b"GET /status HTTP/1.1\r\nHost:", raw("POST", "/market_order", BODY)[:-3]],
    ids=["nothing", "line", "headers", "body"],
)
@pytest_twisted.ensureDeferred
async def test_half_a_request_and_silence(build: Build, half: bytes) -> None:
    house = await build(settings=HttpSettings(Flags(ZONE), idle_timeout=0.1))
    assert await told(house, half) == b""
    await until(house.reactor, lambda: not house.connections)
    assert house.broker.sent == []


@pytest_twisted.ensureDeferred
async def test_many_silent_clients_do_not_keep_others_out(build: Build) -> None:
    house = await build(settings=HttpSettings(Flags(ZONE), idle_timeout=0.5))
    silent = await deferToThread(lambda: [house.socket() for _ in range(40)])
    assert await house.get("/status") == "Up"
    await until(house.reactor, lambda: house.connections <= 1)
    for each in silent:
        each.close()


@pytest.mark.parametrize("query", ["symbol=%ff", "%ff=IBM", "symbol=IBM&" + "&".join(f"a{at}=1" for at in range(1000))])
@pytest_twisted.ensureDeferred
async def test_queries(house: House, query: str) -> None:
    response = await house.call("GET", f"/query_symbol?{query}")
    assert response.status_code == 400
    assert response.json()["status"] == "Error"


@pytest.mark.parametrize("again", ["quantity=5", "quantity=0.01", "quantit%79=5", "quantity="])
@pytest_twisted.ensureDeferred
async def test_an_argument_that_stands_twice_in_a_query(house: House, again: str) -> None:
    response = await house.call("GET", f"/market_order?account={ACCOUNT}&route=X&symbol=IBM&quantity=0.01&{again}")
    assert response.status_code == 400
    assert response.json()["reason"] == "BAD_ARGUMENT"
    assert response.json()["errorMsg"] == "The name 'quantity' stands twice in the query string: give it once."


@pytest_twisted.ensureDeferred
async def test_what_is_sent_behind_a_request_is_the_next(house: House) -> None:
    """Pipelined requests are answered in order; a body is never taken for a request."""
    smuggled = raw("POST", "/market_order", BODY)
    data = (
        raw("GET", "/status")
        + raw("POST", "/query_account", smuggled)
        + raw("GET", "/query_accounts", b"", "Connection: close")
    )
    answers = (await told(house, data)).split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in answers] == [b"200", b"400", b"200"]
    assert answers[2].endswith(b'["API_ACCOUNT","PAPER_CASH"]')


@pytest_twisted.ensureDeferred
async def test_old_http(house: House) -> None:
    answer = await told(house, raw("GET", "/status", version="1.0"))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b'\r\n\r\n"Up"')


@pytest_twisted.ensureDeferred
async def test_wrong_types_everywhere(house: House) -> None:
    """No value of JSON in any argument of any command gives anything but an answer, a 400, or a venue's silence."""
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        1e308,
        "",
        "\u2028",
        "a" * 3000,
        [],
        [[]],
        {},
        {"a": {"b": []}},
        "../../x",
        "%s%n",
    ]
    for name in sorted(
        set(COMMANDS) - {"shutdown", "gateway_logoff", "gateway_logon", "halt", "flatten", "add_symbol"}
    ):
        parameters = COMMANDS[name].parameters
        for value in values:
            response = await house.call("POST", f"/{name}", json={each.name: value for each in parameters})
            assert response.status_code in (200, 400, 504), (name, value, response.text)


def drip(client: socket.socket, data: bytes) -> int:
    """Send a byte now and then until the other end closes; how many went."""
    client.settimeout(0.02)
    try:
        for sent, byte in enumerate(data):
            client.sendall(bytes([byte]))
            try:
                if client.recv(1) == b"":
                    return sent
            except TimeoutError:
                continue
    except ConnectionError:
        return sent
    finally:
        client.close()
    return len(data)


@pytest.mark.parametrize(
    "data",
    [b"G" * 1000, b"GET /status HTTP/1.1\r\nX: " + b"x" * 1000, raw("POST", "/market_order", BODY + b" " * 1000)],
    ids=["line", "headers", "body"],
)
@pytest_twisted.ensureDeferred
async def test_a_request_that_drips_does_not_hold_its_connection(
    build: Build, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(GatewayChannel, "patience", 0.5)
    house = await build()
    assert await deferToThread(drip, house.socket(), data) < 200
    await until(house.reactor, lambda: not house.connections)
    assert house.broker.sent == []


@pytest_twisted.ensureDeferred
async def test_more_connections_than_a_site_holds_are_closed(build: Build) -> None:
    house = await build()
    house.site.most = 3
    held = await deferToThread(lambda: [house.socket() for _ in range(3)])
    await until(house.reactor, lambda: house.site.held == 3)
    assert await told(house, raw("GET", "/status")) == b""
    for each in held:
        each.close()
    await until(house.reactor, lambda: house.site.held == 0)
    assert await house.get("/status") == "Up"
