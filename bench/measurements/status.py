"""GET status, requests a second: against a bare Site that checks the password and returns the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.processes import request
from bench.runs import in_turns
from bench.workshop import Workshop

CLIENTS = 16
TARGET = 0.8


def measure(workshop: Workshop) -> Sequence[Figure]:
    """One line."""
    asked = [request("/status")]
    ready = workshop.new_folder() / "status.json"
    with workshop.daemon() as daemon:
        ready.write_bytes(daemon.body("/status"))
        with workshop.yardstick("site", f"/status={ready}") as bare:
            found = in_turns(
                workshop.scale.turns,
                lambda: float(workshop.calls(daemon.port, asked, CLIENTS)["rate"]),
                lambda: float(workshop.calls(bare.port, asked, CLIENTS)["rate"]),
            )
    figure = Figure(
        name="GET status",
        unit="/s",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target=f"ratio >= {TARGET}",
        met=found.ratio >= TARGET,
        note=f"{CLIENTS} keep-alive connections; a bare twisted.web Site with basic auth that returns the same bytes",
    )
    return [figure]
