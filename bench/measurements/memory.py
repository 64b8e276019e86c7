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
    """Four lines."""
    many = workshop.many_orders()
    with workshop.daemon(many.folder) as daemon:
        daemon.ask_for_all()
        restarted = daemon.memory()
    with workshop.daemon() as daemon:
        fresh = daemon.memory()
        workshop.send_orders(daemon, 10, 1)
        seen = []
        for _ in range(STEPS):
            requests = [request(path) for path in READS]
            count = workshop.scale.reads // STEPS
            workshop.do("calls", port=daemon.port, requests=requests, clients=8, count=count)
            seen.append(daemon.memory())
    name = f"memory, {workshop.scale.orders:,} orders today"
    asked = "asked for all of them and their executions"
    return [
        at_most("memory, fresh", "MB", fresh, FRESH_MB),
        at_most(name, "MB", many.memory, MANY_MB, f"of the daemon that took them, {asked}"),
        at_most(f"{name}, restarted", "MB", restarted, MANY_MB, f"of one that started from the snapshot, {asked}"),
        _growth(workshop.scale.reads, seen),
    ]


def _growth(reads: int, seen: Sequence[float]) -> Figure:
    growth = (seen[-1] - seen[WARM]) * 1_000_000 * STEPS / (reads * (STEPS - 1 - WARM))
    looked = f"{seen[0]:.1f} MB after a tenth, {seen[WARM]:.1f} MB after {WARM + 1}, {seen[-1]:.1f} MB at the end"
    note = f"{reads:,} reads of lists of ten and of single things: {looked}"
    return at_most("memory's growth over a million reads", "MB", growth, GROWTH_MB, note)
