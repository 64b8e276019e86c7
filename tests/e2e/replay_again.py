"""The same files and the same orders at the same moments of the feed, once more: in this process, without a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from sqlite3 import connect

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txgateway.brokers import Setup
from txgateway.brokers.paper import PaperBroker
from txgateway.chain import Row, from_row
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    Record,
    ReplaceRejected,
)
from txgateway.model.order import Order
from txgateway.state import State

Traded = tuple[str, str, Decimal, Decimal, Decimal, datetime]
"""(number of the fill, order, quantity, price, commission, time) of an execution."""
Command = tuple[datetime, str, Order]
"""(moment of the feed, name of the broker's method, the order that it was given)."""
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def records(journal: Path) -> list[Record]:
    """What a stopped daemon has written."""
    with closing(connect(journal)) as connection:
        rows = connection.execute("SELECT seq, time, kind, order_id, body, hash FROM records ORDER BY seq").fetchall()
    return [from_row(Row(*row)) for row in rows]


def commands(journal: list[Record]) -> list[Command]:
    """The commands that came to the broker, in their order: each by its answer, which bears the feed's time."""
    state, found = State(), []
    for record in journal:
        event, before = record.event, state.order(getattr(record.event, "order_id", ""))
        state.apply(record)
        if before is None:
            continue
        if isinstance(event, OrderAccepted | OrderRejected):
            found.append((event.time, "submit", before))
        elif isinstance(event, OrderReplaced | ReplaceRejected):
            found.append((event.time, "replace", before))
        elif isinstance(event, CancelRejected) or (isinstance(event, OrderCanceled) and event.reason is Reason.USER):
            found.append((event.time, "cancel", before))
    return found


def executed(journal: list[Record]) -> list[Traded]:
    """The executions in a journal, in the order in which the broker made them."""
    return sorted(_traded(record.event) for record in journal if isinstance(record.event, Executed))


def again(symbol: str, options: dict[str, str], orders: list[Command], folder: Path) -> list[Traded]:
    """The executions that the same commands at the same moments give."""
    found: list[Traded] = []
    clock = Steps()

    def hear(event: object) -> None:
        if isinstance(event, Executed):
            found.append(_traded(event))

    broker = PaperBroker(Setup("paper", options, folder, hear, clock, lambda: NOW))
    broker.startService()
    broker.subscribe(symbol)
    waiting = deque(orders)
    while True:
        while waiting and waiting[0][0] == broker.now():
            _, name, order = waiting.popleft()
            _do(getattr(broker, name), order)
        assert not waiting or waiting[0][0] > broker.now(), f"{waiting[0]} came at no moment that the feed stood at"
        if not clock.step():
            break
    assert not waiting, f"{waiting[0]} came at no moment that the feed stood at"
    broker.stopService()
    return found


class Steps(Clock):
    """A clock that does one thing at a time."""

    def step(self) -> bool:
        """Do the next thing that is due; False when there is none."""
        if not self.calls:
            return False
        call = self.calls.pop(0)
        call.called = 1
        call.func(*call.args, **call.kw)
        return True


def _do(method: Callable[[Order], object], order: Order) -> None:
    done: list[object] = []
    Deferred.fromCoroutine(method(order)).addBoth(done.append)  # type: ignore[arg-type]
    assert done == [None], f"{method} {order.order_id} gave {done}"


def _traded(event: Executed) -> Traded:
    fill = event.execution
    number = fill.execution_id.rpartition("-")[2]
    return number, fill.order_id or "", fill.quantity, fill.price, fill.commission, fill.time
