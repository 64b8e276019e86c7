"""How an emulator is to be: what every one can be told when it is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """An emulator adds its own."""

    seed: str = "7"
    tick: float = 0.25
    """Seconds from one quote to the next; 0: the market stands still until it is told to move."""
    latency: float = 0.0
    port: int = 0
    interface: str = "127.0.0.1"
