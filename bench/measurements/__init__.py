"""A measurement is a module with `measure(workshop)`, which gives figures; TABLE has them in the table's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.figures import Figure
from bench.measurements import (
    fan_out,
    holding,
    memory,
    orders,
    recovering,
    risk,
    rtx,
    signals,
    starting,
    status,
    ticks,
    trading,
)
from bench.workshop import Workshop

Measurement = Callable[[Workshop], Sequence[Figure]]

TABLE: dict[str, Measurement] = {
    "status": status.measure,
    "orders": orders.measure,
    "trading": trading.measure,
    "risk": risk.measure,
    "signals": signals.measure,
    "fan_out": fan_out.measure,
    "ticks": ticks.measure,
    "starting": starting.measure,
    "recovering": recovering.measure,
    "holding": holding.measure,
    "memory": memory.measure,
    "rtx": rtx.measure,
}
