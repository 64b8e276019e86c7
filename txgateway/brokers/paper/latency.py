"""The way to the market: commands arrive a while after they were sent, in the order sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.logger import Logger

log = Logger()

Command = Callable[[datetime], None]


class Line:
    """Hands each command to `deliver` after `latency` seconds; with none, at once and with its exceptions."""

    def __init__(self, reactor: Any, latency: float, deliver: Callable[[Command], None]) -> None:
        self._reactor = reactor
        self._latency = latency
        self._deliver = deliver
        self._waiting: deque[tuple[float, Command]] = deque()
        self._timer: Any = None

    def send(self, command: Command) -> None:
        """Send a command."""
        if not self._latency:
            self._deliver(command)
            return
        self._waiting.append((self._reactor.seconds() + self._latency, command))
        if self._timer is None:
            self._timer = self._reactor.callLater(self._latency, self._arrive)

    def close(self) -> None:
        """Deliver at once what is on its way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._take()

    def _arrive(self) -> None:
        self._timer = None
        while self._waiting and self._waiting[0][0] <= self._reactor.seconds():
            self._take()
        if self._waiting and self._timer is None:
            self._timer = self._reactor.callLater(self._waiting[0][0] - self._reactor.seconds(), self._arrive)

    def _take(self) -> None:
        _, command = self._waiting.popleft()
        try:
            self._deliver(command)
        except Exception:
            log.failure("A command that was on its way failed.")
