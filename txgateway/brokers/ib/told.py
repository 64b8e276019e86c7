"""What is told of orders, in its order: a fill waits a moment for its commission, and what comes behind it waits too.

An execution is told once, and IB tells what it cost in a message of its own, a moment later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ib_async import CommissionReport

from txgateway.model.events import Executed, OrderEvent

Make = Callable[[CommissionReport | None], Executed]
MOST = 50_000
"""Commissions that are remembered."""


class _Fill:
    """A fill that may be told when `ready`."""

    def __init__(self, execution_id: str, make: Make) -> None:
        self.execution_id = execution_id
        self.make = make
        self.ready = False


class Told:
    """One line of events for each order."""

    def __init__(
        self, reactor: Any, wait: float, report: Callable[[OrderEvent], None], complain: Callable[[str], None]
    ) -> None:
        self.commissions: dict[str, CommissionReport] = {}
        """By IB's execution id, as far as they were told."""
        self._reactor = reactor
        self._wait = wait
        self._report = report
        self._complain = complain
        self._lines: dict[str, deque[OrderEvent | _Fill]] = {}
        self._fills: dict[str, tuple[str, _Fill, Any]] = {}
        self._bare: dict[str, str] = {}
        self._closed = False

    def tell(self, name: str, event: OrderEvent) -> None:
        """Tell an event, behind the fills of its order that wait."""
        line = self._lines.get(name)
        if line:
            line.append(event)
        elif not self._closed:
            self._report(event)

    def fill(self, name: str, execution_id: str, make: Make) -> None:
        """Tell a fill as soon as its commission is known, or has not come in time."""
        if execution_id in self._fills:
            return
        fill = _Fill(execution_id, make)
        self._lines.setdefault(name, deque()).append(fill)
        if execution_id in self.commissions or not self._wait:
            fill.ready = True
            self._flush(name)
            return
        timer = self._reactor.callLater(self._wait, self._late, execution_id)
        self._fills[execution_id] = (name, fill, timer)

    def commission(self, report: CommissionReport) -> None:
        """A commission came."""
        if len(self.commissions) >= MOST:
            del self.commissions[next(iter(self.commissions))]
        self.commissions[report.execId] = report
        waiting = self._fills.pop(report.execId, None)
        if waiting is not None:
            name, fill, timer = waiting
            timer.cancel()
            fill.ready = True
            self._flush(name)
        elif report.execId in self._bare:
            name = self._bare.pop(report.execId)
            text = f"the commission of execution {report.execId} of order {name}, {report.commission} {report.currency}"
            self._complain(f"{text}, came late: it is not in its record")

    def close(self) -> None:
        """The link is gone: what waits is asked for again on the next."""
        self._closed = True
        for _, _, timer in self._fills.values():
            timer.cancel()
        self._fills.clear()
        self._lines.clear()

    def _late(self, execution_id: str) -> None:
        name, fill, _ = self._fills.pop(execution_id)
        self._bare[execution_id] = name
        fill.ready = True
        self._flush(name)

    def _flush(self, name: str) -> None:
        line = self._lines.get(name)
        while line and not self._closed:
            first = line[0]
            if isinstance(first, _Fill):
                if not first.ready:
                    return
                line.popleft()
                self._report(first.make(self.commissions.get(first.execution_id)))
            else:
                line.popleft()
                self._report(first)
        self._lines.pop(name, None)
