"""How long a very long answer holds the reactor: GET status each millisecond beside it; the worst latency counts.

Seen from outside, so it has in it whatever else disturbs this machine: the worst with nothing else asked is beside it.
The first time nothing of the list is rendered yet; the second time the renderings that are kept are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.figures import Figure
from bench.percentiles import median
from bench.processes import request
from bench.workshop import Workshop

MOST_MS = 20.0
LISTS = ("query_orders", "query_orders again", "query_executions")


def measure(workshop: Workshop) -> Sequence[Figure]:
    """A line for each list."""
    folder = workshop.many_orders().folder
    turns = []
    for _ in range(workshop.scale.turns):
        with workshop.daemon(folder) as daemon:
            asked = [request(f"/{name.split()[0]}") for name in LISTS]
            seconds = workshop.scale.seconds
            turns.append(workshop.do("watch", port=daemon.port, small=request("/status"), large=asked, seconds=seconds))
    idle = 1000 * median(turn["idle"]["worst"] for turn in turns)
    return [_figure(workshop, name, [turn["asked"][at] for turn in turns], idle) for at, name in enumerate(LISTS)]


def _figure(workshop: Workshop, name: str, turns: Sequence[dict[str, Any]], idle: float) -> Figure:
    worst = 1000 * median(turn["worst"] for turn in turns)
    took = median(turn["seconds"] for turn in turns)
    typical = 1000 * median(turn["p50"] for turn in turns)
    return Figure(
        name=f"worst wait beside {name}, {workshop.scale.orders:,}",
        unit="ms",
        value=worst,
        yardstick=idle,
        target=f"<= {MOST_MS:.0f} ms",
        met=worst <= MOST_MS,
        note=f"the yardstick: with nothing else asked; {turns[0]['size'] / 2**20:.0f} MB in {took:.2f} s, "
        f"meanwhile GET status took {typical:.2f} ms (median)",
    )
