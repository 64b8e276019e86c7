"""GET status, requests a second: against a bare Site that checks the password and returns the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.against import bare_site
from bench.figures import Figure
from bench.processes import request
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
            note = "a bare twisted.web Site with basic auth returns the same bytes"
            return [bare_site(workshop, daemon, bare, asked, CLIENTS, name="GET status", least=TARGET, note=note)]
