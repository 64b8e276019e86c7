"""The stream's fan-out: quotes to 1, 10 and 100 clients, lines a second that arrive at all of them together.

The daemon replays files as fast as it goes: a second of theirs, which has a quote of each symbol, a reactor turn, so
one buffer of that many lines. The yardstick writes such a buffer, ready, to each transport that is not full, once a
turn. Either one rests while the other is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import quote_files
from bench.figures import Figure
from bench.processes import Daemon, Yardstick
from bench.runs import in_turns
from bench.workshop import QUIET, QUOTES, SYMBOLS, Workshop

CLIENTS = (1, 10, 100)
TARGET = 0.6


def measure(workshop: Workshop) -> Sequence[Figure]:
    """A line for each crowd."""
    folder = workshop.new_folder()
    quote_files.write(folder, SYMBOLS, workshop.scale.replayed)
    ready = workshop.new_folder() / "lines"
    ready.write_bytes(quote_files.ready(SYMBOLS))
    settings = {"PAPER_FEED": f"replay:{folder}@max,loop", "ENABLE_TICKER": "1"}
    with workshop.daemon(**settings) as daemon, workshop.yardstick("broadcast", str(ready)) as raw:
        return [_to(workshop, daemon, raw, clients) for clients in CLIENTS]


def _to(workshop: Workshop, daemon: Daemon, raw: Yardstick, clients: int) -> Figure:
    job = {"clients": clients, "seconds": workshop.scale.seconds}

    def ours() -> float:
        with raw.at_rest():
            asked = {"port": daemon.stream_port, "login": QUOTES, "quiet": QUIET, "symbols": SYMBOLS}
            return float(workshop.do("count", **asked, **job)["rate"])

    def theirs() -> float:
        with daemon.at_rest():
            return float(workshop.do("count", port=raw.port, login="", quiet="", symbols=(), **job)["rate"])

    found = in_turns(workshop.scale.turns, ours, theirs)
    return Figure(
        name=f"quotes to {clients} client{'s' * (clients > 1)}",
        unit="lines/s",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target=f"ratio >= {TARGET}",
        met=found.ratio >= TARGET,
        note=f"{len(SYMBOLS)} lines a turn",
    )
