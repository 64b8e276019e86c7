"""One client's orders, one after another: how long until each is answered, and until the stream tells it is filled.

A plain socket each for the calls and for the stream; the next order goes when both have come.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench.answers import AnswerReader
from bench.listeners import PATIENCE, open_all
from bench.percentiles import percentile

FILLED = b" Filled"


class Trip:
    """The two sockets, and what has come by them."""

    def __init__(self, calls: socket.socket, stream: socket.socket) -> None:
        self._calls = calls
        self._stream = stream
        self._rest = b""
        self._filled: dict[bytes, float] = {}
        """When an order was first told filled, by its id."""

    def take(self, request: bytes) -> tuple[float, float]:
        """Send an order; seconds until its answer is whole, and until it was told filled."""
        reader, body, answered = AnswerReader(), b"", 0.0
        self._filled.clear()
        begun = time.perf_counter()
        self._calls.sendall(request)
        name = b""
        while not (answered and name in self._filled):
            ready, _, _ = select.select([self._calls, self._stream], [], [], PATIENCE)
            now = time.perf_counter()
            if not ready:
                raise TimeoutError(f"order {name.decode() or '?'} is not filled: {body[-300:]!r}")
            if self._stream in ready:
                self._listen(now)
            if self._calls in ready:
                data = self._calls.recv(65536)
                if not data:
                    raise ConnectionError("the server closed a connection")
                body += data
                if reader.take(memoryview(data)):
                    answered = now
                    name = _id(body, reader.good)
        return answered - begun, self._filled[name] - begun

    def _listen(self, now: float) -> None:
        data = self._stream.recv(65536)
        if not data:
            raise ConnectionError("the server closed a stream")
        *lines, self._rest = (self._rest + data).split(b",")
        for line in lines:
            if line.endswith(FILLED):
                self._filled.setdefault(line.partition(b"order.")[2].split(b" ")[0], now)


def _id(answer: bytes, good: bool) -> bytes:
    begin, end = answer.find(b"{", answer.find(b"\r\n\r\n")), answer.rfind(b"}")
    if not good or begin < 0:
        raise ValueError(f"not an order: {answer[-300:]!r}")
    return str(json.loads(answer[begin : end + 1])["permid"]).encode()


def trips(port: int, stream: int, seconds: float, login: str, requests: Sequence[str]) -> dict[str, float]:
    """So many seconds of them."""
    with ExitStack() as held:
        calls = held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        calls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trip = Trip(calls, *open_all(held, stream, 1, login))
        answered, filled = [], []
        begun, cpu = time.perf_counter(), time.process_time()
        while (now := time.perf_counter()) - begun < seconds or not filled:
            request = requests[len(filled) % len(requests)].encode("latin-1")
            answer, fill = trip.take(request)
            answered.append(answer)
            filled.append(fill)
        took = now - begun
        busy = (time.process_time() - cpu) / took
    return {
        "answers": len(filled),
        "rate": len(filled) / took,
        "answered": percentile(answered, 0.5),
        "answered_p99": percentile(answered, 0.99),
        "filled": percentile(filled, 0.5),
        "filled_p99": percentile(filled, 0.99),
        "busy": busy,
    }
