"""Resident memory: fresh, with a day's many orders, and over many reads (it must not grow by being asked)."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure, at_most
from bench.processes import request
from bench.workshop import ACCOUNT, SYMBOLS, Workshop

FRESH_MB, MANY_MB = 60.0, 250.0
GROWTH_MB = 5.0
"""What counts as flat, over a million reads."""
STEPS = 10
"""How often the memory is looked at while it is read; the first looks warm up and do not count."""
WARM = 3
READS = (
    "/query_orders",
    "/query_executions",
    "/query_positions",
    f"/query_account?account={ACCOUNT}",
    f"/query_symbol?symbol={SYMBOLS[0]}",
    "/status",
)


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Three lines."""
    many = workshop.many_orders()
    with workshop.daemon() as daemon:
        fresh = daemon.memory()
        workshop.send_orders(daemon, 10, 1)
        seen = []
        for _ in range(STEPS):
            requests = [request(path) for path in READS]
            count = workshop.scale.reads // STEPS
            workshop.do("calls", port=daemon.port, requests=requests, clients=8, count=count)
            seen.append(daemon.memory())
    reads = workshop.scale.reads * (STEPS - 1 - WARM) / STEPS
    growth = (seen[-1] - seen[WARM]) * 1_000_000 / reads
    return [
        at_most("memory, fresh", "MB", fresh, FRESH_MB),
        at_most(
            f"memory, {workshop.scale.orders:,} orders today",
            "MB",
            many.memory,
            MANY_MB,
            "of the daemon that took them and was then asked for all of them and their executions",
        ),
        at_most(
            "memory's growth over a million reads",
            "MB",
            growth,
            GROWTH_MB,
            f"{workshop.scale.reads:,} reads of lists of ten and of single things: {seen[0]:.1f} MB after a tenth, "
            f"{seen[WARM]:.1f} MB after {WARM + 1}, {seen[-1]:.1f} MB at the end",
        ),
    ]
