"""The sender's half of the signal measurement: so many signals a second, whatever the answers take; and the wire.

Each signal has a key of its own, which the venue's wire tells again when its order goes out (wired_market).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from bench.calls import Connection, connect
from bench.percentiles import percentile

CONNECTIONS = 64
PATIENCE = 10.0
"""Seconds until an order that is not on the wire has failed."""


class Sender(Connection):
    """A connection that sends one signal, and is free again when that is answered."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__([b""])
        self._traffic = traffic

    def send(self, data: bytes) -> None:
        """Send a signal."""
        self._requests = [data]
        self._at = 0
        self.ask()

    def answered(self, latency: float) -> None:
        """Note it."""
        self._traffic.answered(self, latency)

    def broken(self, error: Exception) -> None:
        """The job has failed."""
        self._traffic.failed(error)


class Traffic(asyncio.DatagramProtocol):
    """All that is sent, and when it came back and out."""

    def __init__(self) -> None:
        self.free: list[Sender] = []
        self.latencies: list[float] = []
        self.sent: dict[bytes, float] = {}
        self.wired: list[float] = []
        self.bad = 0
        self.trouble: Exception | None = None

    def answered(self, sender: Sender, latency: float) -> None:
        """An answer is whole."""
        self.latencies.append(latency)
        self.bad += not sender.reader.good
        self.free.append(sender)

    def failed(self, error: Exception) -> None:
        """A connection broke."""
        self.trouble = error

    def datagram_received(self, data: bytes, addr: object) -> None:
        """An order went out."""
        begun = self.sent.pop(data, None)
        if begun is not None:
            self.wired.append(time.perf_counter() - begun)


async def signals(
    port: int, wire: int, path: str, secret: str, symbols: Sequence[str], rate: float, seconds: float
) -> dict[str, float]:
    """Send for some seconds, and wait until all is answered and out."""
    traffic, loop = Traffic(), asyncio.get_running_loop()
    listening, _ = await loop.create_datagram_endpoint(lambda: traffic, ("127.0.0.1", wire))
    traffic.free = [await connect(port, Sender(traffic)) for _ in range(CONNECTIONS)]
    run, everyone = time.time_ns(), list(traffic.free)
    begun, cpu = time.perf_counter(), time.process_time()
    many = max(1, int(rate * seconds))
    for number in range(many):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        if not traffic.free:
            raise TimeoutError(f"{CONNECTIONS} signals wait for their answers")
        key = f"bench-{run}-{number}"
        side = "BUY" if number // len(symbols) % 2 else "SELL"
        body = {"symbol": symbols[number % len(symbols)], "side": side, "quantity": 1, "client_order_id": key}
        traffic.sent[key.encode()] = time.perf_counter()
        traffic.free.pop(0).send(_request(path, secret, json.dumps({**body, "id": key}).encode()))
    sent = time.perf_counter() - begun
    until = time.perf_counter() + PATIENCE
    while (traffic.sent or len(traffic.latencies) < many) and traffic.trouble is None:
        if time.perf_counter() > until:
            raise TimeoutError(f"{len(traffic.sent)} of {many} orders are not on the wire")
        await asyncio.sleep(0.005)
    cpu = time.process_time() - cpu
    for each in everyone:
        each.close()
    listening.close()
    if traffic.trouble is not None:
        raise traffic.trouble
    return {
        "answers": len(traffic.latencies),
        "rate": many / sent,
        "p50": percentile(traffic.latencies, 0.5),
        "p99": percentile(traffic.latencies, 0.99),
        "wire_p50": percentile(traffic.wired, 0.5),
        "wire_p99": percentile(traffic.wired, 0.99),
        "bad": traffic.bad,
        "busy": cpu / sent,
    }


def _request(path: str, secret: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
