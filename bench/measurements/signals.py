"""Signals, 200 a second: from the webhook to its answer, and on to the broker's socket; the journal synced before each.

They come in whatever the answers take. Each is one order; they go up and down, so that nothing is held for long.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from bench import wired_market
from bench.commits import synced_commit
from bench.figures import Figure, at_most
from bench.percentiles import median
from bench.workshop import ACCOUNT, SYMBOLS, Workshop

RATE = 200.0
P99_MS = 50.0


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Four lines."""
    folder, wire = workshop.new_folder(), _free_port()
    with workshop.daemon(variables=wired_market.install(folder, wire)) as daemon:
        made = daemon.call("add_source", kind="generic", account=ACCOUNT, name="bench", rate=100_000)
        for symbol in SYMBOLS:
            daemon.call("add_symbol", symbol=symbol)
        job = {
            "port": daemon.port,
            "wire": wire,
            "path": "/webhooks/signal/bench",
            "secret": made["secret"],
            "symbols": SYMBOLS,
            "rate": RATE,
            "seconds": workshop.scale.seconds,
        }
        workshop.do("signals", **job)
        before = daemon.cpu()
        turns = [workshop.do("signals", **job) for _ in range(workshop.scale.turns)]
        cpu = (daemon.cpu() - before) / sum(each["answers"] for each in turns)
        commit = median(1000 * synced_commit(folder, workshop.scale.commits) for _ in range(workshop.scale.turns))
    note = f"{1000 * cpu:.2f} ms of the daemon's CPU a signal; a synced SQLite commit took {commit:.2f} ms"
    found = {name: 1000 * median(each[name] for each in turns) for name in ("p50", "p99", "wire_p50", "wire_p99")}
    return [
        Figure(name="signals, 200 a second, answered, p50", unit="ms", value=found["p50"], note=note),
        at_most("signals, 200 a second, answered, p99", "ms", found["p99"], P99_MS),
        Figure(name="the same to the broker's socket, p50", unit="ms", value=found["wire_p50"]),
        Figure(name="the same to the broker's socket, p99", unit="ms", value=found["wire_p99"]),
    ]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
