"""market_order from request to answer, the journal synced before the order is sent and before it is answered.

Between any two turns the disk is asked how long a synced commit takes it now.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.commits import synced_commit
from bench.figures import Figure, at_least, at_most
from bench.processes import Daemon
from bench.runs import in_turns
from bench.workshop import Workshop, market_orders

OWN_MS = 1.5
"""What may come on top of two commits."""
P99_MS = 20.0
RATE = 1500.0


def measure(workshop: Workshop) -> Sequence[Figure]:
    """One client, eight, and as many as fill the commits."""
    folder = workshop.new_folder()
    with workshop.daemon() as daemon:
        one = _Orders(workshop, daemon, folder, 1, "p50")
        some = _Orders(workshop, daemon, folder, 8, "p99")
        many = _Orders(workshop, daemon, folder, 64, "rate")
        return [_one(one), _some(some), _many(many)]


class _Orders:
    """A crowd that sends orders, and the disk under it: medians, once taken."""

    def __init__(self, workshop: Workshop, daemon: Daemon, folder: Path, clients: int, what: str) -> None:
        self.clients = clients
        self._workshop = workshop
        self._daemon = daemon
        self._what = what
        self._orders = 0
        before = daemon.cpu()
        found = in_turns(workshop.scale.turns, self._turn, lambda: 1000 * synced_commit(folder, workshop.scale.commits))
        self.value = found.first
        self.commit_ms = found.second
        self.note = (
            f"{1000 * (daemon.cpu() - before) / self._orders:.2f} ms of the daemon's CPU an order; "
            f"a synced SQLite commit in the same folder took {self.commit_ms:.2f} ms"
        )

    def _turn(self) -> float:
        done = self._workshop.calls(self._daemon.port, market_orders(), self.clients)
        self._orders += done["answers"]
        return float(done[self._what])


def _one(orders: _Orders) -> Figure:
    value, yardstick = 1000 * orders.value, 2 * orders.commit_ms + OWN_MS
    return Figure(
        name="market_order, 1 client, p50",
        unit="ms",
        value=value,
        yardstick=yardstick,
        ratio=value / yardstick,
        target="ratio <= 1",
        met=value <= yardstick,
        note=f"the yardstick is two synced commits + {OWN_MS} ms; {orders.note}",
    )


def _some(orders: _Orders) -> Figure:
    return at_most(f"market_order, {orders.clients} clients, p99", "ms", 1000 * orders.value, P99_MS, orders.note)


def _many(orders: _Orders) -> Figure:
    return at_least(f"market_order, {orders.clients} clients", "/s", orders.value, RATE, orders.note)
