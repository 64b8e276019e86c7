"""The same calls to the daemon and to a bare Site, in turns: requests a second, and the CPU time of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import Figure
from bench.processes import Child, Daemon, Yardstick
from bench.runs import in_turns
from bench.workshop import Workshop


@dataclass(slots=True)
class Side:
    """One of the two, with what all its turns took together."""

    workshop: Workshop
    child: Child
    port: int
    requests: Sequence[str]
    clients: int
    seconds: float | None = None
    """Of a turn; None: the scale's."""
    answers: int = 0
    cpu: float = 0.0

    def turn(self) -> float:
        """Requests a second of one turn."""
        before = self.child.cpu()
        done = self.workshop.calls(self.port, self.requests, self.clients, self.seconds)
        self.cpu += self.child.cpu() - before
        self.answers += done["answers"]
        return float(done["rate"])

    @property
    def cost(self) -> str:
        """CPU time a request."""
        return f"{1_000_000 * self.cpu / self.answers:,.0f} µs"


def bare_site(
    workshop: Workshop,
    daemon: Daemon,
    bare: Yardstick,
    requests: Sequence[str],
    clients: int,
    *,
    name: str,
    least: float | None,
    note: str,
) -> Figure:
    """The line of the table; `least` is the ratio to reach."""
    ours = Side(workshop, daemon, daemon.port, requests, clients)
    theirs = Side(workshop, bare, bare.port, requests, clients)
    found = in_turns(workshop.scale.turns, ours.turn, theirs.turn)
    return Figure(
        name=name,
        unit="/s",
        value=found.first,
        yardstick=found.second,
        ratio=found.ratio,
        target="" if least is None else f"ratio >= {least}",
        met=None if least is None else found.ratio >= least,
        note=f"{clients} keep-alive connections; {note}; CPU a request {ours.cost} against {theirs.cost}",
    )
