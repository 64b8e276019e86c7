"""What the disk can do: the smallest synced commit that a journal could make, one after another."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.percentiles import median

ROW = b"x" * 700
"""About as long as a record of an order."""


def synced_commit(folder: Path, count: int) -> float:
    """Seconds for one row into a SQLite file (WAL, synchronous=FULL), the median of so many."""
    with closing(sqlite3.connect(folder / "commits.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY, body BLOB)")
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            connection.execute("INSERT INTO rows (body) VALUES (?)", (ROW,))
            times.append(time.perf_counter() - begun)
    return median(times)
