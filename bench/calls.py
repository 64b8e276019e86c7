"""The client's half of the HTTP measurements: keep-alive connections that ask again as soon as they are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TypeVar

from bench.answers import AnswerReader
from bench.percentiles import percentile

C = TypeVar("C", bound="Connection")

BUFFER = 256 * 1024


class Connection(asyncio.BufferedProtocol):
    """One connection: `ask` sends the next of its ready-made requests; `answered` is called with each latency."""

    def __init__(self, requests: Sequence[bytes], at: int = 0) -> None:
        self.busy = False
        self.reader = AnswerReader()
        self.lost: Exception | None = None
        self.begun = 0.0
        self._requests = requests
        self._at = at % len(requests)
        self._transport: asyncio.Transport
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing will be answered any more."""
        self.lost = exc or ConnectionError("the server closed a connection")
        if self.busy:
            self.broken(self.lost)

    def close(self) -> None:
        """No more."""
        self._transport.close()

    def ask(self) -> None:
        """Send the next request."""
        self.busy = True
        self.begun = time.perf_counter()
        self._transport.write(self._requests[self._at])
        self._at = (self._at + 1) % len(self._requests)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads into: the same bytes each time."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much came."""
        if self.reader.take(self._view[:nbytes]):
            self.busy = False
            self.answered(time.perf_counter() - self.begun)

    def answered(self, latency: float) -> None:
        """An answer is whole."""

    def broken(self, error: Exception) -> None:
        """The connection ended before its answer."""


class Asker(Connection):
    """Asks again after each answer, for as long as its crowd has something to ask."""

    def __init__(self, crowd: Crowd, at: int) -> None:
        super().__init__(crowd.requests, at)
        self.crowd = crowd

    def answered(self, latency: float) -> None:
        """Note it, and go on."""
        crowd = self.crowd
        crowd.latencies.append(latency)
        crowd.size = self.reader.size
        crowd.bad += not self.reader.good
        if crowd.more():
            self.ask()
        else:
            crowd.finished()

    def broken(self, error: Exception) -> None:
        """The job has failed."""
        self.crowd.failed(error)


class Crowd:
    """Some connections that ask at the same time: for some seconds, or until so many questions are asked."""

    def __init__(self, requests: Sequence[bytes], clients: int, seconds: float, count: int | None) -> None:
        self.requests = requests
        self.latencies: list[float] = []
        self.size = 0
        self.bad = 0
        self._clients = clients
        self._seconds = seconds
        self._left = count
        self._until = 0.0
        self._asking = clients
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def more(self) -> bool:
        """Whether to ask once more."""
        if self._left is None:
            return time.perf_counter() < self._until
        self._left -= 1
        return self._left >= 0

    def finished(self) -> None:
        """One connection asks no more."""
        self._asking -= 1
        if self._asking == 0 and not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        """One connection broke."""
        if not self._done.done():
            self._done.set_exception(error)

    async def run(self, port: int) -> dict[str, float]:
        """Connect, ask, and sum up. Connecting is not counted."""
        askers = [await connect(port, Asker(self, at)) for at in range(self._clients)]
        begun, cpu = time.perf_counter(), time.process_time()
        self._until = begun + self._seconds
        for asker in askers:
            if self.more():
                asker.ask()
            else:
                self.finished()
        await self._done
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        for asker in askers:
            asker.close()
        return {
            "answers": len(self.latencies),
            "rate": len(self.latencies) / seconds,
            "p50": percentile(self.latencies, 0.5),
            "p99": percentile(self.latencies, 0.99),
            "worst": max(self.latencies, default=0.0),
            "bad": self.bad,
            "size": self.size,
            "busy": cpu / seconds,
        }


async def connect(port: int, connection: C) -> C:
    """The connection, connected."""
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
    return connection
