"""market_order from request to answer, the journal synced before the order is sent and before it is answered."""

from __future__ import annotations

from collections.abc import Sequence

from bench.commits import synced_commit
from bench.figures import Figure, at_least, at_most
from bench.percentiles import median
from bench.processes import Daemon
from bench.runs import in_turns
from bench.workshop import Workshop, market_orders

OWN_MS = 1.5
"""What may come on top of two commits."""
P99_MS = 20.0
RATE = 1500.0


def measure(workshop: Workshop) -> Sequence[Figure]:
    """One client, eight, and as many as fill the commits."""
    with workshop.daemon() as daemon:
        return [_one(workshop, daemon), _some(workshop, daemon, 8), _many(workshop, daemon, 64)]


def _one(workshop: Workshop, daemon: Daemon) -> Figure:
    folder = workshop.new_folder()
    found = in_turns(
        workshop.scale.turns,
        lambda: 1000 * float(workshop.calls(daemon.port, market_orders(), 1)["p50"]),
        lambda: 1000 * 2 * synced_commit(folder, workshop.scale.commits) + OWN_MS,
    )
    return Figure(
        name="market_order, 1 client, p50",
        unit="ms",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target="ratio <= 1",
        met=found.ratio <= 1,
        note=f"two synced SQLite commits in the same folder ({(found.second - OWN_MS) / 2:.2f} ms each) + {OWN_MS} ms",
    )


def _some(workshop: Workshop, daemon: Daemon, clients: int) -> Figure:
    turns = [workshop.calls(daemon.port, market_orders(), clients)["p99"] for _ in range(workshop.scale.turns)]
    return at_most(f"market_order, {clients} clients, p99", "ms", 1000 * median(turns), P99_MS)


def _many(workshop: Workshop, daemon: Daemon, clients: int) -> Figure:
    turns = [workshop.calls(daemon.port, market_orders(), clients)["rate"] for _ in range(workshop.scale.turns)]
    return at_least(f"market_order, {clients} clients", "/s", median(turns), RATE)
