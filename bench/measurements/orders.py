"""query_orders, requests a second: against a bare Site that writes ready bytes of the very same size."""

from __future__ import annotations

from collections.abc import Sequence

from bench.against import bare_site
from bench.figures import Figure
from bench.processes import Daemon, request
from bench.workshop import Workshop

CLIENTS = 4
TARGET = 0.5


def measure(workshop: Workshop) -> Sequence[Figure]:
    """A short list and a long one, plain; the long one compressed, for information."""
    long_list = workshop.scale.long_list
    with workshop.daemon() as daemon:
        workshop.send_orders(daemon, 10, 1)
        short = _compared(workshop, daemon, "query_orders, 10 orders", TARGET)
        workshop.send_orders(daemon, long_list - 10, 1)
        name = f"query_orders, {long_list:,} orders"
        plain = _compared(workshop, daemon, name, TARGET)
        return [short, plain, _compared(workshop, daemon, f"{name}, gzip", None, gzip=True)]


def _compared(workshop: Workshop, daemon: Daemon, name: str, least: float | None, gzip: bool = False) -> Figure:
    asked = [request("/query_orders", gzip=gzip)]
    body = daemon.body("/query_orders")
    ready = workshop.new_folder() / "orders.json"
    ready.write_bytes(body)
    note = f"a bare Site writes the same {len(body):,} bytes, ready" + (" and not compressed" if gzip else "")
    with workshop.yardstick("site", f"/query_orders={ready}") as bare:
        return bare_site(workshop, daemon, bare, asked, CLIENTS, name=name, least=least, note=note)
