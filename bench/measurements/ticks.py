"""Tick to client: how long after a tick is due the line with it has come to a stream client, p50 and p99.

The synthetic market ticks at whole multiples of its interval by this machine's clock, so a listener on the same machine
can tell how late each line is from the time alone: that is the timer, the market, the feed, the encoding, the sockets
and the listener's own wake-up together. The yardstick writes ready bytes to each client at the same moments.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import ready_market
from bench.figures import Figure
from bench.percentiles import median
from bench.workshop import QUIET, QUOTES, SYMBOLS, Workshop

CLIENTS = 10
INTERVAL = 0.05
VENUES = f"""
[venues.paper]
kind = "paper"
accounts = ["API_ACCOUNT"]
feed = "synthetic"
interval = "{INTERVAL}"
"""


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Two lines."""
    folder = workshop.new_folder()
    ready, config = folder / "lines", folder / "txgateway.toml"
    ready.write_bytes(ready_market.lines("paper", SYMBOLS))
    config.write_text(VENUES)
    job = {"clients": CLIENTS, "seconds": workshop.scale.seconds, "interval": INTERVAL}
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with (
        workshop.daemon(CONFIG=str(config), ENABLE_TICKER="1") as daemon,
        workshop.yardstick("broadcast", str(ready), str(INTERVAL)) as raw,
    ):
        asked = {"port": daemon.stream_port, "login": QUOTES, "quiet": QUIET, "symbols": SYMBOLS}
        for _ in range(workshop.scale.turns):
            ours.append(workshop.do("ticks", **asked, **job))
            theirs.append(workshop.do("ticks", port=raw.port, login="", quiet="", symbols=(), **job))
    return [_figure(which, ours, theirs) for which in ("p50", "p99")]


def _figure(which: str, ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> Figure:
    return Figure(
        name=f"tick to client, {which}",
        unit="ms",
        value=1000 * median(each[which] for each in ours),
        yardstick=1000 * median(each[which] for each in theirs),
        ratio=median(each[which] / other[which] for each, other in zip(ours, theirs, strict=True)),
        note=f"{len(SYMBOLS)} symbols, {1 / INTERVAL:.0f} ticks a second, {CLIENTS} clients; "
        "the yardstick writes ready bytes at the same moments",
    )
