"""The client's half of the stream measurements: plain sockets that take in whatever comes and count it.

No event loop and no object a line: the more a listener is behind, the more it takes at once, so it never limits.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench.percentiles import percentile

BUFFER = 256 * 1024
PATIENCE = 30.0
"""Seconds until a server that says nothing has failed."""


def netstring(text: str) -> bytes:
    """A message as the stream's clients send it."""
    data = text.encode()
    return b"%d:%b," % (len(data), data)


def open_all(held: ExitStack, port: int, clients: int, login: str) -> list[socket.socket]:
    """Connections that have logged in (with no login: that are connected), no longer blocking."""
    found = []
    for _ in range(clients):
        connection = held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        if login:
            connection.sendall(netstring(login))
            expect(connection, b"Authorized")
        connection.setblocking(False)
        found.append(connection)
    return found


def expect(connection: socket.socket, word: bytes) -> None:
    """Read until a word has come."""
    seen = b""
    while word not in seen:
        data = connection.recv(65536)
        if not data or b".error" in seen:
            raise ConnectionError(f"waited for {word!r}, got {seen[-200:]!r}")
        seen += data


def add_symbols(held: ExitStack, port: int, login: str, symbols: Sequence[str]) -> None:
    """Have one more client, that hears no prices, ask for the symbols: the market begins to move."""
    if not symbols:
        return
    connection = held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
    connection.sendall(netstring(login))
    expect(connection, b"Authorized")
    connection.sendall(b"".join(netstring(f"add {symbol}") for symbol in symbols))
    expect(connection, b'"symbol":"%b"' % symbols[-1].encode())


def say(port: int, line: str) -> None:
    """A line to a control port, and its answer waited for."""
    if port:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as control:
            control.sendall(line.encode() + b"\n")
            expect(control, b"\n")


def count(
    port: int,
    clients: int,
    seconds: float,
    login: str,
    quiet: str,
    symbols: Sequence[str],
    control: int = 0,
    begin: str = "",
    end: str = "",
) -> dict[str, float]:
    """How many lines come to all listeners together in some seconds, once the first of them have come.

    Where there is a control port, it is told to `begin` when all listen, and to `end` when all was counted.
    """
    with ExitStack() as held:
        connections = open_all(held, port, clients, login)
        selector = held.enter_context(selectors.DefaultSelector())
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        add_symbols(held, port, quiet, symbols)
        say(control, begin)
        held.callback(say, control, end)
        before, _, _ = _take(selector, seconds / 4)
        cpu = time.process_time()
        lines, size, took = _take(selector, seconds)
        busy = (time.process_time() - cpu) / took
    seen = before + lines
    return {"rate": lines / took, "lines": lines, "seen": seen, "line": size / max(1, lines), "busy": busy}


def _take(selector: selectors.BaseSelector, seconds: float) -> tuple[int, int, float]:
    """Lines, bytes, and the seconds it took: as many as are given, and on until at least one line has come."""
    buffer = bytearray(BUFFER)
    lines = size = 0
    begun = now = time.perf_counter()
    heard = begun
    while now - begun < seconds or not lines:
        for key, _ in selector.select(0.1):
            taken = key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
            if not taken:
                raise ConnectionError("the server closed a stream")
            lines += buffer.count(b"quote.", 0, taken)
            size += taken
            heard = now
        now = time.perf_counter()
        if now - heard > PATIENCE:
            raise ConnectionError("nothing comes on the stream")
    return lines, size, now - begun


def ticks(
    port: int, clients: int, seconds: float, interval: float, login: str, quiet: str, symbols: Sequence[str]
) -> dict[str, float]:
    """How long after each whole multiple of the interval, by the wall clock, a listener has its lines.

    The server's clock is this machine's, and the market ticks at these multiples, so nothing need be stamped.
    """
    late: list[float] = []
    with ExitStack() as held:
        connections = open_all(held, port, clients, login)
        selector = held.enter_context(selectors.DefaultSelector())
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        add_symbols(held, port, quiet, symbols)
        _take(selector, 4 * interval)
        until = time.time() + seconds
        while time.time() < until:
            for key, _ in selector.select(0.1):
                key.fileobj.recv(BUFFER)  # type: ignore[union-attr]
                late.append(time.time() % interval)
    return {"count": len(late), "p50": percentile(late, 0.5), "p99": percentile(late, 0.99)}
