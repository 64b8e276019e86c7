"""From the start of the process to status "Up", with a day's many orders in the journal: replayed, and from a snapshot.

Each start is of the same folder; the daemon is ended by SIGKILL once it is up, so that it leaves the folder as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, at_most
from bench.percentiles import median
from bench.workshop import Workshop

REPLAY_SECONDS, SNAPSHOT_SECONDS = 15.0, 2.0
SNAPSHOT = "snapshot"


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Three lines: with nothing in the journal for comparison."""
    folder = workshop.many_orders().folder
    kept = workshop.new_folder() / SNAPSHOT
    shutil.copy(folder / SNAPSHOT, kept)
    replayed: list[float] = []
    restored: list[float] = []
    fresh: list[float] = []
    for _ in range(workshop.scale.turns):
        (folder / SNAPSHOT).unlink()
        replayed.append(_start(workshop, folder))
        shutil.copy(kept, folder / SNAPSHOT)
        restored.append(_start(workshop, folder))
        fresh.append(_start(workshop, None))
    count = f"{workshop.scale.orders:,} orders today"
    return [
        Figure(name="start, nothing in the journal", unit="s", value=median(fresh)),
        at_most(f"start, {count}, from a snapshot", "s", median(restored), SNAPSHOT_SECONDS),
        at_most(f"start, {count}, whole journal replayed", "s", median(replayed), REPLAY_SECONDS),
    ]


def _start(workshop: Workshop, folder: Path | None) -> float:
    with workshop.daemon(folder) as daemon:
        return daemon.started_in
