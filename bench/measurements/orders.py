"""query_orders, requests a second: against a bare Site that writes ready bytes of the very same size."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.processes import Daemon, request
from bench.runs import in_turns
from bench.workshop import Workshop

CLIENTS = 4
TARGET = 0.5


def measure(workshop: Workshop) -> Sequence[Figure]:
    """A short list and a long one, plain; the long one compressed, for information."""
    figures = []
    with workshop.daemon() as daemon:
        for count in (10, workshop.scale.long_list):
            have = len(daemon.call("query_orders"))
            workshop.send_orders(daemon, count - have, 1)
            figures.append(_compared(workshop, daemon, count, gzip=False))
        figures.append(_compared(workshop, daemon, count, gzip=True))
    return figures


def _compared(workshop: Workshop, daemon: Daemon, count: int, gzip: bool) -> Figure:
    asked = [request("/query_orders", gzip=gzip)]
    body = daemon.body("/query_orders")
    ready = workshop.new_folder() / "orders.json"
    ready.write_bytes(body)
    with workshop.yardstick("site", f"/query_orders={ready}") as bare:
        found = in_turns(
            workshop.scale.turns,
            lambda: float(workshop.calls(daemon.port, asked, CLIENTS)["rate"]),
            lambda: float(workshop.calls(bare.port, asked, CLIENTS)["rate"]),
        )
    return Figure(
        name=f"query_orders, {count:,} orders" + (", gzip" if gzip else ""),
        unit="/s",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target="" if gzip else f"ratio >= {TARGET}",
        met=None if gzip else found.ratio >= TARGET,
        note=f"{CLIENTS} connections; a bare Site that writes the same {len(body):,} bytes, ready"
        + (", not compressed" if gzip else ""),
    )
