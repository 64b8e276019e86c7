"""A made-up market in files for the replay feed: so many symbols, one quote of each a second, the same every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from bench.listeners import netstring

BEGIN_MS = 1_709_562_600_000
"""2024-03-04 14:30 UTC: New York opens."""


def write(folder: Path, symbols: Sequence[str], seconds: int) -> None:
    """One file a symbol."""
    for symbol in symbols:
        chance = random.Random(symbol)
        cents = chance.randrange(15_000, 20_000)
        rows = ["time,bid,bid_size,ask,ask_size"]
        for second in range(seconds):
            cents += chance.choice((-1, 0, 0, 1))
            sizes = chance.randrange(1, 10) * 100, chance.randrange(1, 10) * 100
            moment = BEGIN_MS + 1000 * second
            rows.append(f"{moment},{cents / 100:.2f},{sizes[0]},{(cents + 1) / 100:.2f},{sizes[1]}")
        (folder / f"{symbol}-quotes.csv").write_text("\n".join(rows) + "\n")


def ready(symbols: Sequence[str]) -> bytes:
    """A second of such a market as the stream has it: the yardstick's bytes."""
    return b"".join(netstring(f"paper.quote.{symbol}:183.01 300 183.02 500") for symbol in symbols)
