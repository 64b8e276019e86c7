"""Junk on the daemon's ports costs whoever sends it the connection, and nothing else."""

from __future__ import annotations

import random
import socket
import struct
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream

MB = 1024 * 1024
SEED = 20240304
LOGIN = b"Authorization: Basic " + b64encode(f"txtrader_user:{PASSWORD}".encode()) + b"\r\n"
ORDER = b'{"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "limit_price": 1, "quantity": 1}'


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


@pytest.fixture(autouse=True)
def served(daemon: Daemon) -> Iterator[None]:
    """While a test sends junk, a client of each port is served; before and after, the daemon is as it was."""
    line, web = Stream(daemon, {}), WebSocket(daemon)
    line.expect(".Authorized")
    before = daemon.memory()
    yield
    line.send("call status {}")
    assert line.data("paper.result: ")["result"] == "Up"
    assert web.call("status", {})["result"] == "Up"
    line.close()
    web.close()
    assert daemon.get("status").json() == "Up"
    assert daemon.get("query_open_orders").json() == {}, "junk makes no orders"
    until(lambda: daemon.memory() < before + 32 * MB, daemon)


def talk(port: int, data: bytes) -> bytes:
    """Send bytes; all that is answered until the server closes. What cannot be sent any more is not sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        got = b""
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while more := connection.recv(65536):
                got += more
        return got


def request(body: bytes = b"", path: bytes = b"/status", head: bytes = b"", method: bytes = b"POST") -> bytes:
    length = b"" if b"ength" in head or b"ransfer" in head else b"Content-Length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b%b%b\r\n%b" % (method, path, LOGIN, head, length, body)


HTTP = {
    "nothing": b"",
    "zeroes": bytes(100_000),
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "no request": b"\r\n\r\n\r\n\r\nwhat\r\n\r\n",
    "no version": b"GET /status\r\n\r\n",
    "a version that is none": b"GET /status HTTP/9.9\r\n\r\n",
    "a line without an end": b"G" * 2 * MB,
    "a path without an end": b"GET /" + b"x" * 2 * MB,
    "a header without an end": b"GET /status HTTP/1.1\r\nX: " + b"x" * 2 * MB,
    "many headers": b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "a header that is none": b"GET /status HTTP/1.1\r\nnothing\r\n\r\n",
    "a length that is none": request(b"{}", head=b"Content-Length: two\r\n"),
    "a length below zero": request(b"{}", head=b"Content-Length: -2\r\n"),
    "two lengths": request(b"{}", head=b"Content-Length: 2\r\nContent-Length: 3\r\n"),
    "length and chunks": request(b"0\r\n\r\n", head=b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    "a chunk that is none": request(b"zz\r\nxx\r\n", head=b"Transfer-Encoding: chunked\r\n"),
    "a chunk without an end": request(b"F" * 100_000, head=b"Transfer-Encoding: chunked\r\n"),
    "half a body": request(b"{}", head=b"Content-Length: 2000\r\n"),
    "10 MB of body": request(b"x" * 10 * MB),
    "40 MB of body": request(b"x" * 40 * MB),
    "40 MB in chunks": request(b"100000\r\n" + b"x" * MB + b"\r\n", head=b"Transfer-Encoding: chunked\r\n")
    + (b"100000\r\n" + b"x" * MB + b"\r\n") * 39
    + b"0\r\n\r\n",
    "no JSON": request(b"\xff\xfe\x00"),
    "deep JSON": request(b'{"a":' * 50_000),
    "a long number": request(b'{"limit": ' + b"9" * 500_000 + b"}", b"/query_orders"),
    "a long name": request(b'{"' + b"n" * 500_000 + b'": 1}'),
    "strange paths": b"".join(request(path=path) for path in (b"/../../etc/passwd", b"//", b"/%00", b"/\xff", b"*")),
    "a strange method": request(method=b"BREW"),
    "a strange query": request(path=b"/query_order?id=%ff&id=&=&&&a=b;c", method=b"GET"),
    "a WebSocket that is none": request(
        b"\x81\xff" + bytes(70_000), b"/stream", b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"GET"
    ),
    "rpc of a huge batch": request(b"[" + b",".join([b"1"] * 200_000) + b"]", b"/rpc"),
    "rpc of nothing": request(b"", b"/rpc"),
}


@pytest.mark.parametrize("junk", HTTP)
def test_junk_on_the_http_port(daemon: Daemon, junk: str) -> None:
    answer = talk(daemon.http_port, HTTP[junk])
    assert b" 500 " not in answer.partition(b"\r\n")[0], answer[:500]
    assert b"Traceback" not in answer


def netstring(body: bytes) -> bytes:
    return b"%d:%b," % (len(body), body)


IN = netstring(f"auth txtrader_user {PASSWORD} {{}}".encode())
STREAM = {
    "nothing": b"",
    "zeroes": bytes(100_000),
    "HTTP": request(),
    "no length": b":,:,:,",
    "a length below zero": b"-1:x,",
    "a length with a zero": b"01:x,",
    "digits without an end": b"1" * 5 * MB,
    "a huge length": b"99999999999999999999:x",
    "512 MB announced": b"536870912:" + b"x" * 100_000,
    "no comma": b"4:quit;",
    "10 MB of junk": random.Random(SEED).randbytes(10 * MB),
    "10 MB of junk after login": IN + random.Random(SEED).randbytes(10 * MB),
    "5 MB in one message": IN + netstring(b"x" * 5 * MB),
    "half a message": IN + b"100:orders",
    "no UTF-8": IN + netstring(b"\xff\xfe"),
    "zeroes in text": IN + netstring(b"query \0\0") + netstring(b"\0"),
    "an empty message": IN + b"0:," * 1000,
    "words without an end": IN + netstring(b"query " + b"x" * 900_000),
    "many words": IN + netstring(b"marketorder " + b"x " * 400_000),
    "options that are none": netstring(f"auth txtrader_user {PASSWORD} {{{{".encode()),
    "deep options": netstring(f"auth txtrader_user {PASSWORD} ".encode() + b'{"a":' * 5000),
    "strange options": netstring(
        f'auth txtrader_user {PASSWORD} {{"resume": -1, "SYMBOL_FIELDS": {{}}, "venue": 7, "x": 1e308}}'.encode()
    ),
    "deep arguments": IN + netstring(b"call query_order " + b'{"id":' * 50_000 + b"1" + b"}" * 50_000),
    "arguments that are none": IN + netstring(b"call query_order [1]") + netstring(b"call query_order {"),
    "a call of nothing": IN + netstring(b"call") + netstring(b"call {}") + netstring(b"call __class__ {}"),
    "numbers that are none": IN + netstring(b"marketorder API_ACCOUNT DEMO IBM nan") * 10,
    "commands without their words": IN
    + b"".join(
        netstring(word + more)
        for word in (b"add", b"query", b"getbars", b"limitorder", b"cancel", b"setaccount", b"stagemarketorder")
        for more in (b"", b" ", b" x x x x x x x x x x")
    ),
    "logging in again and again": IN * 1000,
    "10,000 wrong words": IN + netstring(b"nonsense") * 10_000,
}


@pytest.mark.parametrize("junk", STREAM)
def test_junk_on_the_stream_port(daemon: Daemon, junk: str) -> None:
    answer = talk(daemon.tcp_port, STREAM[junk])
    assert b"Traceback" not in answer
    assert b"made an error over this" not in answer


@pytest.mark.parametrize(
    "junk",
    [
        b"\x81\xfe",
        b"\xff" * 1000,
        bytes(1000),
        b"\x82\x82" + bytes(4) + b"ab",
        b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),
        b"\x01\x85" + bytes(4) + b"hello" + (b"\x00\xfe\xff\xff" + bytes(4) + bytes(65535)) * 40,
        random.Random(SEED).randbytes(2 * MB),
    ],
    ids=["half", "ones", "zeroes", "binary", "a TB announced", "fragments without an end", "2 MB of junk"],
)
def test_junk_on_a_websocket(daemon: Daemon, junk: bytes) -> None:
    web = WebSocket(daemon)
    web.expect(type="connected")
    with suppress(ConnectionError):
        web.send_bytes(junk)
    web.close()


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "{", '{"options": 7}', '{"method": {}}', '{"method": "status", "params": 7}', "NaN"],
)
def test_messages_that_are_none_on_a_websocket(daemon: Daemon, text: str) -> None:
    web = WebSocket(daemon)
    web.say(text)
    assert web.expect(jsonrpc="2.0")["error"]["code"] in (-32700, -32600)
    assert web.call("status", {})["result"] == "Up"
    web.close()


def test_mutated_requests(daemon: Daemon) -> None:
    """A good order's bytes, some of them changed, dropped, doubled: each is answered or closed, none is an error."""
    chance = random.Random(SEED)
    good = request(ORDER, b"/limit_order", b"Connection: close\r\n")
    for number in range(300):
        answer = talk(daemon.http_port, mutated(good, chance))
        assert b"HTTP/1.1 500" not in answer, (number, answer)
    daemon.call("global_cancel")
    until(lambda: not daemon.call("query_open_orders"), daemon)


def test_mutated_streams(daemon: Daemon) -> None:
    chance = random.Random(SEED)
    words = (
        b"query IBM",
        b"orders",
        b"getbars IBM 1 -3 .",
        b'call query_orders {"limit": 3} tag',
        b"limitorder API_ACCOUNT DEMO IBM 1 1",
        b"cancel x",
        b"setaccount PAPER_CASH",
    )
    for number in range(300):
        said = b"".join(netstring(mutated(word, chance)) for word in words)
        data = IN + (mutated(said, chance) if number % 2 else said) + netstring(b"quit")
        answer = talk(daemon.tcp_port, data)
        assert b"made an error over this" not in answer, (number, answer)
    daemon.call("global_cancel")
    until(lambda: not daemon.call("query_open_orders"), daemon)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The data with a few bytes changed, taken out, put in or doubled."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) or 1)
        match chance.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 5)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 5))
            case _:
                changed[at:at] = changed[at : at + chance.randint(1, 20)]
    return bytes(changed)


def test_many_who_say_nothing_keep_nobody_out(daemon: Daemon) -> None:
    idle = [
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        for port in (daemon.http_port, daemon.tcp_port)
        for _ in range(150)
    ]
    try:
        for number, each in enumerate(idle):
            each.sendall(b"GET /sta" if number < 150 else b"100:orders")
        assert daemon.get("status").json() == "Up"
        stream = Stream(daemon, {})
        assert stream.expect(".Authorized") == ".Authorized paper"
        stream.close()
    finally:
        for each in idle:
            each.close()


def test_one_who_asks_and_never_reads_costs_bounded_memory(daemon: Daemon) -> None:
    """64 MB of answers are asked for and not taken: the daemon stops reading, or ends the connection."""
    for _ in range(40):
        daemon.call("market_order", account="NOBODY", route="DEMO", symbol="IBM", quantity=1)
    size = len(daemon.get("query_orders").content)
    times = 64 * MB // size
    ports = {
        daemon.http_port: request(path=b"/query_orders") * times,
        daemon.tcp_port: IN + netstring(b"orders") * times,
    }
    for port, data in ports.items():
        before = daemon.memory()  # what the other one cost may not be given back yet
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.settimeout(1)
            with suppress(TimeoutError, ConnectionError):
                connection.sendall(data)
            for _ in range(20):
                assert daemon.get("status").json() == "Up"
            assert daemon.memory() < before + 48 * MB


def test_clients_that_vanish_in_the_middle_are_forgotten(daemon: Daemon) -> None:
    """A hundred times: ask, and cut the connection hard before the answer is read."""
    asked = {daemon.http_port: request(path=b"/query_orders"), daemon.tcp_port: IN + netstring(b"orders") * 10}
    for _ in range(100):
        for port, data in asked.items():
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(data)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert daemon.get("health").json() == {"status": "ok", "gateway": "Up", "halted": False, "halts": 0}
