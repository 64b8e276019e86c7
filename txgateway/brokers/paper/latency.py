"""The way to the market: what is sent arrives a while later, in the order sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

Command = Callable[[datetime], None]


class _Parcel(NamedTuple):
    """Commands on their way, and who waits for them to arrive."""

    due: float
    commands: Sequence[Command]
    arrived: Deferred[None]


class Line:
    """Hands commands to `deliver` after `latency` seconds; with none and nothing on its way, at once."""

    def __init__(self, reactor: Any, latency: float, deliver: Callable[[Command], None]) -> None:
        self._reactor = reactor
        self._latency = latency
        self._deliver = deliver
        self._waiting: deque[_Parcel] = deque()
        self._timer: Any = None

    @property
    def instant(self) -> bool:
        """True when what is sent now arrives now."""
        return not self._latency and not self._waiting

    async def send(self, commands: Sequence[Command], wait: float = 0.0) -> None:
        """Send commands (none: only find out when they would have arrived), `wait` seconds later than others.

        It is over when they have arrived, and raises what they raise.
        """
        if self.instant and not wait:
            for command in commands:
                self._deliver(command)
            return
        due = self._reactor.seconds() + self._latency + wait
        if self._waiting:
            due = max(due, self._waiting[-1].due)
        arrived: Deferred[None] = Deferred()
        self._waiting.append(_Parcel(due, commands, arrived))
        self._schedule()
        await arrived

    def close(self) -> None:
        """Deliver at once what is on its way."""
        self._unschedule()
        while self._waiting:
            self._take()

    def lose(self, error: Exception) -> None:
        """Nothing that is on its way arrives: who waits for it is told this."""
        self._unschedule()
        lost = list(self._waiting)
        self._waiting.clear()
        for parcel in lost:
            parcel.arrived.errback(error)

    def _schedule(self) -> None:
        if self._timer is None and self._waiting:
            wait = max(0.0, self._waiting[0].due - self._reactor.seconds())
            self._timer = self._reactor.callLater(wait, self._arrive)

    def _unschedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        while self._waiting and self._waiting[0].due <= self._reactor.seconds():
            self._take()
        self._schedule()

    def _take(self) -> None:
        parcel = self._waiting.popleft()
        try:
            for command in parcel.commands:
                self._deliver(command)
        except Exception as error:
            parcel.arrived.errback(error)
        else:
            parcel.arrived.callback(None)
