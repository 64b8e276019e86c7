"""From kill -9 to status "Up" with many orders open: replayed, asked of the broker and compared before it is up.

Each turn kills the daemon of the turn before; no clean stop ever leaves a snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure, at_most
from bench.percentiles import median
from bench.processes import Broken, Daemon, request
from bench.workshop import ACCOUNT, SYMBOLS, Workshop

MOST_SECONDS = 5.0
CLIENTS = 64


def measure(workshop: Workshop) -> Sequence[Figure]:
    """One line."""
    count = workshop.scale.orders // 10
    folder = workshop.new_folder()
    took: list[float] = []
    with ExitStack() as held:
        daemon = held.enter_context(workshop.daemon(folder))
        workshop.do("calls", port=daemon.port, requests=_resting_orders(), clients=CLIENTS, count=count)
        for _ in range(workshop.scale.turns):
            daemon, seconds = _killed(daemon, folder, held)
            took.append(seconds)
            if len(daemon.call("query_open_orders", limit=count)) != count:
                raise Broken(f"not all of {count} open orders are there after kill -9")
    return [at_most(f"kill -9 to Up, {count:,} open orders", "s", median(took), MOST_SECONDS)]


def _killed(daemon: Daemon, folder: Path, held: ExitStack) -> tuple[Daemon, float]:
    begun = time.perf_counter()
    daemon.kill()
    again = held.enter_context(Daemon(folder, {}))
    return again, time.perf_counter() - begun


def _resting_orders() -> list[str]:
    terms = {"account": ACCOUNT, "route": "DEMO", "quantity": 1, "limit_price": 1, "time_in_force": "GTC"}
    return [request("/limit_order", {**terms, "symbol": symbol}) for symbol in SYMBOLS]
