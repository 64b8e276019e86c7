"""The stream's fan-out: quotes to 1, 10 and 100 clients, lines a second that arrive at all of them together.

The daemon's venue reports a ready quote of each symbol at a time (ready_market), and each report is a buffer and a send
of its own; the yardstick writes such lines, ready, to each transport that is not full, once a turn. With eight symbols
a buffer has eight lines, and what it takes to write a quote as a line counts that much more. Either one rests while the
other is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import ready_market
from bench.figures import Figure
from bench.processes import Daemon, Yardstick
from bench.runs import in_turns
from bench.workshop import QUIET, QUOTES, SYMBOLS, Workshop

CLIENTS = (1, 10, 100)
TARGET = 0.6


def measure(workshop: Workshop) -> Sequence[Figure]:
    """A line for each crowd and shape; the target is that of a line a turn."""
    return [*_shape(workshop, SYMBOLS[:1], TARGET), *_shape(workshop, SYMBOLS, None)]


def _shape(workshop: Workshop, symbols: Sequence[str], least: float | None) -> Iterator[Figure]:
    ready = workshop.new_folder() / "lines"
    ready.write_bytes(ready_market.lines(ready_market.KIND, symbols))
    variables = ready_market.install(workshop.new_folder())
    settings = {"MODE": ready_market.KIND, "ENABLE_TICKER": "1"}
    with workshop.daemon(variables=variables, **settings) as daemon, workshop.yardstick("broadcast", str(ready)) as raw:
        for clients in CLIENTS:
            yield _to(workshop, daemon, raw, clients, symbols, least)


def _to(
    workshop: Workshop, daemon: Daemon, raw: Yardstick, clients: int, symbols: Sequence[str], least: float | None
) -> Figure:
    job = {"clients": clients, "seconds": workshop.scale.seconds}

    def ours() -> float:
        with raw.at_rest():
            asked = {"port": daemon.stream_port, "login": QUOTES, "quiet": QUIET, "symbols": symbols}
            return float(workshop.do("count", **asked, **job)["rate"])

    def theirs() -> float:
        with daemon.at_rest():
            return float(workshop.do("count", port=raw.port, login="", quiet="", symbols=(), **job)["rate"])

    found = in_turns(workshop.scale.turns, ours, theirs)
    return Figure(
        name=f"quotes, {len(symbols)} a turn, to {clients} client{'s' * (clients > 1)}",
        unit="lines/s",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target="" if least is None else f"ratio >= {least}",
        met=None if least is None else found.ratio >= least,
    )
