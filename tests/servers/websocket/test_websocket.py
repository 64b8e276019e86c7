"""The events as JSON, the calls, and what a client may do wrong, on a real port."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as some

from tests.servers.stream.house import START, USER, House, shrink
from tests.servers.websocket.client import EVERYTHING, Socket, basic, enter, knock
from txgateway.audience import Settings
from txgateway.servers.websocket import frame

MB = 1024 * 1024


@pytest_twisted.ensureDeferred
async def test_greeting(house: House) -> None:
    socket = await enter(house)
    hello = socket.messages[0]
    assert hello == {
        "type": "connected",
        "seq": house.publisher.seq,
        "data": {"server": "txGateway 9.9 2026-01-01 test", "channel": "paper"},
    }


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ([], 401, "Unauthorized"),
        ([basic(password="wrong")], 401, "Unauthorized"),
        ([(b"authorization", b"Basic /w==")], 401, "Unauthorized"),
        ([basic(), (b"origin", b"https://evil.example")], 403, "Forbidden: the request comes from another site's page"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_who_is_not_let_in(house: House, headers: Any, status: int, text: str) -> None:
    socket = await knock(house, *headers)
    await house.until(lambda: socket.body)
    assert (socket.status, json.loads(socket.body)) == (status, {"status": text})
    assert house.resource.sessions == set()


@pytest_twisted.ensureDeferred
async def test_our_own_page_is_let_in(house: House) -> None:
    origin = f"http://127.0.0.1:{house.web.getHost().port}".encode()
    assert (await knock(house, basic(), (b"origin", origin))).open


@pytest_twisted.ensureDeferred
async def test_too_many_connections(build: Any) -> None:
    house = await build(settings=Settings(clients=1))
    first = await enter(house)
    assert (await knock(house, basic())).status == 503
    first.cut()
    await house.until(lambda: not house.resource.sessions)
    assert (await knock(house, basic())).open


@pytest_twisted.ensureDeferred
async def test_events(house: House) -> None:
    socket = await enter(house, {**EVERYTHING, "quotes": True, "trades": True})
    await socket.call("add_symbol", {"symbol": "IBM"})
    (order,) = await house.submit()
    await socket.heard("position")
    told = [(each["type"], each["seq"]) for each in socket.seen()]
    last = house.publisher.seq
    assert told == [
        ("order", last - 2),
        ("order", last - 1),
        ("order", last),
        ("execution", last),
        ("position", last),
    ]
    assert socket.all("order")[-1]["permid"] == order
    assert socket.all("execution")[0]["ORIGINAL_ORDER_ID"] == order
    assert socket.all("position")[0]["quantity"] == 100
    house.paper.time = START + timedelta(minutes=1)
    house.paper.trade("IBM", "183.12", "100")
    assert await socket.heard("quote") == {
        "symbol": "IBM",
        "bid": 99.9,
        "bidsize": 200,
        "ask": 100.1,
        "asksize": 300,
        "time": "2013-10-07T13:31:00Z",
    }
    assert await socket.heard("trade") == {
        "symbol": "IBM",
        "last": 183.12,
        "size": 100,
        "volume": 1000,
        "time": "2013-10-07T13:32:00Z",
    }
    assert await socket.heard("time") == "2013-10-07 09:32:00"
    (denied,) = await house.submit(account="NOBODY")
    assert (await socket.heard("error"))["id"] == denied
    await socket.call("set_account", {"account": "OTHER"})
    assert await socket.heard("current-account") == "OTHER"
    house.paper.stopService()
    assert await socket.heard("connection") == {"venue": "paper", "status": "Disconnected"}
    assert (await socket.heard("status"))["connection"] == "Disconnected"


@pytest.mark.parametrize("name", ["order", "orders", "order-data", "order-notification"])
@pytest_twisted.ensureDeferred
async def test_options_by_any_of_their_names(house: House, name: str) -> None:
    socket = await enter(house, {name: 1, "quote": 1, "order": 0} if name != "order" else {"order": 1, "quotes": 1})
    await house.submit()
    await socket.call("add_symbol", {"symbol": "IBM"})
    house.paper.quote("IBM", "1", "2")
    await socket.heard("order", 3)
    await socket.heard("quote")
    assert {each["type"] for each in socket.messages if "type" in each} == {"connected", "listening", "order", "quote"}


@pytest_twisted.ensureDeferred
async def test_prices_come_without_the_ticker_flag_too(build: Any) -> None:
    house = await build(ticker=False)
    socket = await enter(house, {"quotes": 1})
    await socket.call("add_symbol", {"symbol": "IBM"})
    await socket.heard("quote")


@pytest_twisted.ensureDeferred
async def test_calls(house: House) -> None:
    socket = await enter(house)
    assert await socket.call("status") == {"jsonrpc": "2.0", "id": 1, "result": "Up"}
    order = (await socket.call("market_order", ["API_ACCOUNT", "DEMO", "IBM", -100]))["result"]
    assert (order["status"], order["owner"]) == ("Filled", USER)
    assert list((await socket.call("query_orders"))["result"]) == [order["permid"]]
    refused = (await socket.call("cancel_order", {"id": "nothing"}))["result"]
    assert refused["reason"] == "NO_SUCH_ORDER"
    assert (await socket.call("cancel_order"))["error"]["code"] == -32602
    assert (await socket.call("dance"))["error"]["code"] == -32601
    assert (await socket.call("status", params=3))["error"]["code"] == -32600
    ids = await house.submit(300)
    assert set((await socket.call("query_orders"))["result"]) == {order["permid"], *ids}
    socket.send({"method": "halt", "params": {"reason": "a notification"}})
    await house.until(lambda: house.gateway.state.halted == "a notification")
    for said in ("{", "[]", "{}", '{"options":3}', '{"method":"status","id":[]}'):
        before = len(socket.messages)
        socket.send(said)
        await house.until(lambda before=before: len(socket.messages) > before)
        assert socket.messages[-1]["error"]["code"] in (-32700, -32600)
        assert socket.messages[-1]["id"] is None


@pytest_twisted.ensureDeferred
async def test_before_the_venue_is_up(build: Any) -> None:
    house = await build(up=False)
    socket = await enter(house)
    error = (await socket.call("query_orders"))["error"]
    assert (error["code"], error["data"]["reason"]) == (-32000, "NOT_UP")


@pytest_twisted.ensureDeferred
async def test_a_failure_inside(house: House, monkeypatch: pytest.MonkeyPatch, logged_failures: list[str]) -> None:
    socket = await enter(house)
    monkeypatch.setattr(house.paper, "balances", lambda account: 1 / 0)
    assert (await socket.call("query_balances"))["error"]["code"] == -32603
    assert ["ZeroDivisionError" in each for each in logged_failures] == [True]
    logged_failures.clear()


@pytest_twisted.ensureDeferred
async def test_resume(house: House) -> None:
    live = await enter(house, EVERYTHING)
    await house.submit(10)
    await live.heard("position", 10)
    middle = live.seen()[20]["seq"]
    again = await enter(house, EVERYTHING, middle)
    await house.submit(10)
    await live.heard("position", 20)
    expected = [each for each in live.seen() if each["seq"] > middle]
    await house.until(lambda: len(again.seen()) == len(expected))
    assert again.seen() == expected
    beyond = await enter(house, EVERYTHING, 10_000)
    assert "beyond the journal's last record" in (await beyond.heard("listening"))["complaints"][0]


@pytest_twisted.ensureDeferred
async def test_a_slow_client_is_told_and_disconnected(build: Any) -> None:
    house = await build(settings=Settings(lines=500, close_seconds=20))
    slow, quick = await enter(house, EVERYTHING), await enter(house, EVERYTHING)
    shrink(slow.transport, *(session.transport for session in house.resource.sessions))
    slow.transport.pauseProducing()
    sessions = house.resource.sessions
    while len(sessions) == 2 and not any(session._outlet.closed for session in sessions):
        await house.submit(10)
    slow.transport.resumeProducing()
    await house.until(lambda: slow.lost)
    assert "you read too slowly" in slow.all("error")[-1]["text"]
    assert slow.closed == 1013
    resumed = await enter(house, EVERYTHING, slow.seen()[-1]["seq"] - 1)
    await house.until(lambda: resumed.seen() and resumed.seen()[-1] == quick.seen()[-1])


@pytest_twisted.ensureDeferred
async def test_a_long_answer_and_a_ping_between(build: Any) -> None:
    house = await build(settings=Settings(lines=100_000))
    socket = await enter(house, EVERYTHING)
    ids = await house.submit(500)
    await socket.heard("position", 500)
    session = next(iter(house.resource.sessions))
    shrink(socket.transport, session.transport)
    socket.transport.pauseProducing()
    socket.send({"id": "long", "method": "query_orders"})
    await house.until(lambda: session._outlet._waiting)
    session._wire.ping()
    socket.transport.resumeProducing()
    answer = await house.until(lambda: next((m for m in socket.messages if m.get("id") == "long"), None))
    assert set(answer["result"]) == set(ids)
    assert socket.pings == 1


@pytest_twisted.ensureDeferred
async def test_symbols_are_released(house: House) -> None:
    socket = await enter(house)
    await socket.call("add_symbol", {"symbol": "IBM"})
    assert house.paper.subscribed == {"IBM"}
    socket.transport.write(frame_from_client(0x8, b""))
    await house.until(lambda: not house.paper.subscribed)
    await house.until(lambda: socket.lost)


@pytest_twisted.ensureDeferred
async def test_a_client_that_answers_no_ping_is_disconnected(build: Any) -> None:
    house = await build(settings=Settings(ping_seconds=0.05))
    dead, alive = await enter(house, pong=False), await enter(house)
    await house.until(lambda: dead.lost)
    assert "no sign of life" in dead.all("error")[-1]["text"]
    await house.until(lambda: alive.pings > 3)
    assert not alive.lost


@pytest_twisted.ensureDeferred
async def test_shutdown_is_told(house: House) -> None:
    socket = await enter(house)
    await house.publisher.stop()
    await house.until(lambda: socket.lost)
    assert socket.all("connection") == [{"venue": "paper", "status": "Shutdown"}]
    assert socket.closed == 1001


def frame_from_client(opcode: int, body: bytes, final: bool = True) -> bytes:
    """A frame as a client sends it: masked (with zeros)."""
    plain = frame(opcode, body, final)
    head = len(plain) - len(body)
    return bytes((plain[0], plain[1] | 0x80)) + plain[2:head] + b"\0\0\0\0" + body


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(0x1, b"{}"),
        frame_from_client(0x3, b"reserved"),
        frame_from_client(0x1, b"\xff\xfe"),
        frame_from_client(0x2, b"binary"),
        frame_from_client(0x0, b"nothing to continue"),
        frame_from_client(0x1, b"x" * (2 * MB), final=False),
        frame_from_client(0x1, b"", final=False) + frame_from_client(0x0, b"x" * 1000, final=False) * 2000,
        b"\x81\xff" + (2**62).to_bytes(8, "big") + b"\0\0\0\0" + b"y" * (10 * MB),
    ],
)
@pytest_twisted.ensureDeferred
async def test_junk_ends_the_connection(house: House, junk: bytes) -> None:
    other, socket = await enter(house), await enter(house)
    socket.transport.write(junk)
    await house.until(lambda: socket.lost)
    assert (await other.call("status"))["result"] == "Up"
    await house.until(lambda: len(house.resource.sessions) == 1)


@pytest_twisted.ensureDeferred
async def test_what_comes_with_the_upgrade(house: House) -> None:
    """A client that does not wait for the upgrade's answer loses its own connection at most."""
    other = await enter(house)
    socket = Socket(house, [])
    host = f"127.0.0.1:{house.web.getHost().port}"
    from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
    from wsproto.events import Request

    early = socket.wire.send(Request(host, "/stream", extra_headers=[basic()])) + frame_from_client(0x1, b"{}")
    socket.connectionMade = lambda: socket.transport.write(early)  # type: ignore[method-assign]
    await connectProtocol(TCP4ClientEndpoint(house.reactor, "127.0.0.1", house.web.getHost().port), socket)
    house.clients.append(socket)
    await house.until(lambda: socket.open or socket.lost)
    assert (await other.call("status"))["result"] == "Up"


@given(some.binary(max_size=70_000), some.booleans())
def test_frames_are_what_rfc_6455_says(body: bytes, final: bool) -> None:
    from wsproto.connection import Connection
    from wsproto.connection import ConnectionType as Type
    from wsproto.events import BytesMessage

    client = Connection(Type.CLIENT)
    client.receive_data(frame(0x2, body, final))
    events = [each for each in client.events() if isinstance(each, BytesMessage)]
    assert b"".join(each.data for each in events) == body
    assert events[-1].message_finished is final


@pytest_twisted.ensureDeferred
async def test_a_websockets_orders_end_with_its_connection(house: House) -> None:
    socket = await enter(house, {"cancel-on-disconnect": 0, "lease": "algo"})
    granted = await socket.heard("lease")
    lease = granted["id"]
    assert granted["seconds"] == 0
    params = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "limit_price": 90, "quantity": 1}
    order = (await socket.call("limit_order", params))["result"]
    socket.send({"options": {"order-data": 1}})
    await socket.heard("listening", 2)
    assert house.gateway.state.working[order["permid"]].lease == lease
    other = await enter(house, {"cancel-on-disconnect": 0, "lease": "algo"})
    assert (await other.heard("lease"))["id"] == lease
    socket.cut()
    await house.until(lambda: len(house.resource.sessions) == 1)
    assert order["permid"] in house.gateway.state.working
    other.cut()
    await house.until(lambda: order["permid"] not in house.gateway.state.working)


@pytest_twisted.ensureDeferred
async def test_a_websocket_takes_its_guard_back(house: House) -> None:
    socket = await enter(house, {"cancel-on-disconnect": 0})
    params = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "limit_price": 90, "quantity": 1}
    order = (await socket.call("limit_order", params))["result"]
    socket.send({"options": {"cancel-on-disconnect": False}})
    await socket.heard("listening", 2)
    assert house.gateway.state.leases == {}
    socket.cut()
    await house.until(lambda: not house.resource.sessions)
    assert order["permid"] in house.gateway.state.working
