"""Nonsense over real sockets, on the real daemon: it goes on, logs no traceback, does not grow, and serves the others.

The seed is printed; FUZZ_SEED runs it again, FUZZ_SECONDS makes it longer.
"""

from __future__ import annotations

import json
import os
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

import pytest

from tests.daemon import Daemon
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from txgateway.api import COMMANDS
from txgateway.lines import WORDS, netstring

GROWTH = 24 * 1024 * 1024
"""What the daemon may grow by after its first third: less than a byte for each one sent."""


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(LOG_HTTP_REQUESTS="0", ENABLE_TICKER="1").start().up()


@pytest.fixture(scope="module")
def token(daemon: Daemon) -> str:
    """It only reads, so that the state stays as it is."""
    made: str = daemon.call("create_token", name="fuzz", scopes="read")["token"]
    return made


class Chaos:
    """Pieces of nonsense, each nearly right."""

    def __init__(self, token: str) -> None:
        self.seed = int(os.environ.get("FUZZ_SEED", "0")) or Random().randrange(1, 2**32)
        print(f"FUZZ_SEED={self.seed}")
        self.chance = Random(self.seed)
        self.token = token
        self.login = b64encode(f"fuzz:{token}".encode())

    def bytes(self, most: int = 60) -> bytes:
        return self.chance.randbytes(self.chance.randrange(most))

    def text(self) -> str:
        letters = 'aZ09 .:,;{}[]"\\\t\u00e9\u4e2d\U0001f600-+@%'
        return "".join(self.chance.choice(letters) for _ in range(self.chance.randrange(24)))

    def value(self, depth: int = 0) -> object:
        chance = self.chance
        kinds: list[Callable[[], object]] = [
            lambda: None,
            lambda: chance.random() < 0.5,
            lambda: chance.randrange(-(10**20), 10**20),
            lambda: chance.uniform(-1e300, 1e300),
            self.text,
            lambda: chance.choice(["IBM", "API_ACCOUNT", "NaN", "1e999", "DAY", ".", "-5", "gateway"]),
        ]
        if depth < 4:
            kinds += [
                lambda: [self.value(depth + 1) for _ in range(chance.randrange(4))],
                lambda: {self.text(): self.value(depth + 1) for _ in range(chance.randrange(4))},
            ]
        return chance.choice(kinds)()

    def arguments(self, name: str) -> object:
        names = [each.name for each in COMMANDS[name].parameters]
        if self.chance.random() < 0.3:
            return [self.value() for _ in names]
        return {each: self.value() for each in names if self.chance.random() < 0.8}

    def name(self) -> str:
        return self.chance.choice([*COMMANDS, "rpc.discover", "system.listMethods", self.text()])

    def call(self) -> dict[str, object]:
        name = self.name()
        message: dict[str, object] = {"jsonrpc": "2.0", "method": name, "id": self.value(3)}
        message["params"] = self.arguments(name) if name in COMMANDS else self.value()
        for member in list(message):
            if self.chance.random() < 0.05:
                message[member] = self.value()
            elif self.chance.random() < 0.05:
                del message[member]
        return message

    def spoiled(self, data: bytes) -> bytes:
        """The bytes with a wound, now and then."""
        while data and self.chance.random() < 0.4:
            at, cut = self.chance.randrange(len(data)), self.chance.randrange(6)
            data = data[:at] + self.bytes(6) + data[at + cut :]
        return data

    # the three wires

    def http(self) -> bytes:
        chance = self.chance
        body = json.dumps([self.call() for _ in range(3)] if chance.random() < 0.3 else self.call()).encode()
        target = chance.choice(
            [b"/rpc", b"/", f"/{self.name()}".encode(), b"/openapi.json", b"/%ff%00", b"*", b"//..//"]
        )
        if chance.random() < 0.3:
            target += b"?" + self.bytes().replace(b" ", b"+")
            body = b""
        length = b"%d" % len(body) if chance.random() < 0.9 else chance.choice([b"-1", b"x", b"99999999999", b"0"])
        head = [
            chance.choice([b"POST ", b"GET ", b"GET ", b"PUT ", b"HEAD ", b"OPTIONS ", b"\xff "])
            + target
            + b" HTTP/1.1",
            b"Host: x",
            b"Authorization: Basic " + self.login,
            chance.choice(
                [b"Content-Length: " + length, b"Transfer-Encoding: chunked", b"X: " + self.bytes(20).hex().encode()]
            ),
            chance.choice(
                [b"Accept-Encoding: gzip", b"Accept-Encoding: gzip;q=x,*;q=0", b"Expect: 100-continue", b"A: b"]
            ),
        ]
        return self.spoiled(b"\r\n".join(head) + b"\r\n\r\n" + body)

    def lines(self) -> bytes:
        chance = self.chance
        said = []
        for _ in range(chance.randrange(1, 8)):
            if chance.random() < 0.5:
                name = self.name()
                arguments = json.dumps(self.arguments(name) if name in COMMANDS else self.value())
                said.append(f"call {name} {arguments} {self.text()}")
            else:
                word = chance.choice([each for each in WORDS if each not in ("shutdown", "quit", "exit", "bye")])
                said.append(" ".join([word, *(str(self.value(4)) for _ in range(chance.randrange(6)))]))
        return self.spoiled(b"".join(netstring(each.encode()) for each in said))

    def frames(self) -> bytes:
        """Frames of a WebSocket's client, which are masked."""
        chance, told = self.chance, b""
        for _ in range(chance.randrange(1, 6)):
            text = json.dumps(
                self.call() if chance.random() < 0.7 else {"options": self.value(), "resume": self.value()}
            )
            body = text.encode() if chance.random() < 0.9 else self.bytes()
            first = chance.choice([0x81, 0x81, 0x81, 0x01, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xF1, 0x83])
            body = body[:120] if first & 0x08 else body
            size = bytes((0x80 | len(body),)) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
            told += bytes((first,)) + size + b"\0\0\0\0" + body
        return self.spoiled(told)


@pytest.fixture
def chaos(token: str) -> Chaos:
    return Chaos(token)


def link(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=0.2)


def took(connection: socket.socket, data: bytes) -> bool:
    """Send, and read what comes, for a moment; false once the server has closed."""
    with suppress(TimeoutError):
        connection.sendall(data)
        connection.settimeout(0.005)
        while True:
            if not connection.recv(1 << 20):
                return False
    connection.settimeout(0.2)
    return True


def rounds(daemon: Daemon, seconds: float) -> Iterator[int]:
    """Until the time is over; in between an honest client is served, and at the end the daemon has not grown."""
    honest = Stream(daemon, {})
    begun, warm, count = time.monotonic(), 0, 0
    while (spent := time.monotonic() - begun) < seconds or count < 50:
        yield count
        count += 1
        if not warm and spent > seconds / 3:
            warm = daemon.memory()
        if count % 25 == 0:
            assert daemon.call("status") == "Up"
            honest.send("status")
            honest.expect(".status: Up")
    honest.close()
    assert warm == 0 or daemon.memory() - warm < GROWTH, f"grew by {(daemon.memory() - warm) >> 20} MB"
    assert "Traceback" not in daemon.log.read_text(errors="replace")


def test_http_and_jsonrpc(daemon: Daemon, chaos: Chaos, seconds: float) -> None:
    connection = None
    for _ in rounds(daemon, seconds):
        connection = connection or link(daemon.http_port)
        try:
            going = took(connection, chaos.http())
        except OSError:
            going = False
        if not going or chaos.chance.random() < 0.2:
            connection.close()
            connection = None


def test_the_stream(daemon: Daemon, chaos: Chaos, seconds: float) -> None:
    connection = None
    for _ in rounds(daemon, seconds):
        if connection is None:
            connection = link(daemon.tcp_port)
            options = json.dumps(chaos.value()) if chaos.chance.random() < 0.3 else '{"order-data":1,"quotes":1}'
            login = netstring(f"auth fuzz {chaos.token} {options}".encode())
            first = login if chaos.chance.random() < 0.9 else chaos.spoiled(chaos.lines())
        try:
            going = took(connection, first + chaos.lines())
        except OSError:
            going = False
        first = b""
        if not going or chaos.chance.random() < 0.1:
            connection.close()
            connection = None


def test_the_websocket(daemon: Daemon, chaos: Chaos, seconds: float) -> None:
    upgrade = (
        b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Basic " + chaos.login + b"\r\n\r\n"
    )
    connection = None
    for _ in rounds(daemon, seconds):
        first = b""
        if connection is None:
            connection = link(daemon.http_port)
            first = upgrade if chaos.chance.random() < 0.9 else chaos.spoiled(upgrade)
        try:
            going = took(connection, first) if first else True
            going = going and took(connection, chaos.frames())
        except OSError:
            going = False
        if not going or chaos.chance.random() < 0.1:
            connection.close()
            connection = None


# ---------------------------------------------------------------- what was found


@pytest.mark.parametrize("header", [b"Connection: Upgrade, \xff", b"Connection: \xc3\xa9"])
def test_an_upgrade_that_is_not_ascii(daemon: Daemon, chaos: Chaos, header: bytes) -> None:
    with link(daemon.http_port) as connection:
        connection.settimeout(30)
        login = b"Authorization: Basic " + chaos.login
        head = b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        connection.sendall(head + header + b"\r\n" + login + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
