"""A small call each millisecond beside a large one: how long does the large one hold the reactor, seen from outside?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.calls import Connection, connect
from bench.percentiles import percentile

INTERVAL = 0.001
"""Seconds between two beats; while one is unanswered, none is sent."""


class Pulse(Connection):
    """The small call; its latencies gather until they are taken."""

    def __init__(self, request: bytes) -> None:
        super().__init__([request])
        self._latencies: list[float] = []

    def answered(self, latency: float) -> None:
        """Note it."""
        self._latencies.append(latency)

    def taken(self) -> list[float]:
        """The latencies since the last time."""
        latencies, self._latencies = self._latencies, []
        return latencies

    async def beat(self) -> None:
        """Ask each millisecond, for ever."""
        while True:
            if self.lost is not None:
                raise self.lost
            if not self.busy:
                self.ask()
            await asyncio.sleep(INTERVAL)

    async def settled(self) -> None:
        """The beat that is under way is answered."""
        while self.busy:
            await asyncio.sleep(INTERVAL / 4)


class Question(Connection):
    """The large call, once."""

    def __init__(self, request: bytes) -> None:
        super().__init__([request])
        self.answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def answered(self, latency: float) -> None:
        """Here it is."""
        self.answer.set_result(latency)

    def broken(self, error: Exception) -> None:
        """It will not come."""
        self.answer.set_exception(error)


async def watch(port: int, small: bytes, large: Sequence[bytes], seconds: float) -> dict[str, object]:
    """The small call's latencies alone for some seconds (`idle`), then while each of the large ones is answered."""
    pulse = await connect(port, Pulse(small))
    beating = asyncio.ensure_future(pulse.beat())
    await asyncio.sleep(seconds / 4)
    pulse.taken()
    await asyncio.sleep(seconds)
    idle = _told(pulse.taken(), seconds)
    asked = []
    for request in large:
        question = await connect(port, Question(request))
        await pulse.settled()
        pulse.taken()
        begun = time.perf_counter()
        question.ask()
        if not pulse.busy:
            pulse.ask()  # one at least is beside it, however quickly it is answered
        await question.answer
        took = time.perf_counter() - begun
        await pulse.settled()
        asked.append({**_told(pulse.taken(), took), "size": question.reader.size, "good": question.reader.good})
        question.close()
    beating.cancel()
    pulse.close()
    return {"idle": idle, "asked": asked}


def _told(latencies: Sequence[float], seconds: float) -> dict[str, float]:
    worst = max(latencies, default=0.0)
    return {"beats": len(latencies), "p50": percentile(latencies, 0.5), "worst": worst, "seconds": seconds}
