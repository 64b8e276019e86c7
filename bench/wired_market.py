"""A paper venue that also has a wire: each order's key goes out by a datagram as it is sent to the broker."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from txgateway.brokers.paper import PaperBroker
from txgateway.model.order import Order

KIND = "wired"
WIRE = "BENCH_WIRE"
"""The variable that has the port on this machine where somebody listens."""
TOML = f"""
[venues.paper]
kind = "{KIND}"
accounts = ["API_ACCOUNT"]
feed = "synthetic"
"""


def install(folder: Path, wire: int) -> dict[str, str]:
    """Make the entry point and the configuration in a folder; the environment in which they are found there."""
    place = folder / f"{KIND}_market-1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {KIND}-market\nVersion: 1\n")
    (place / "entry_points.txt").write_text(f"[txgateway.brokers]\n{KIND} = {__name__}:WiredMarket\n")
    (folder / "venues.toml").write_text(TOML)
    return {"PYTHONPATH": str(folder), "TXGATEWAY_CONFIG": str(folder / "venues.toml"), WIRE: str(wire)}


class WiredMarket(PaperBroker):
    """Tells the wire, then trades on paper."""

    _wire: socket.socket | None = None

    async def submit(self, order: Order) -> None:
        """Send the order."""
        if self._wire is None:
            self._wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._wire.connect(("127.0.0.1", int(os.environ[WIRE])))
        self._wire.send((order.client_order_id or "").encode())
        await super().submit(order)
