"""The table: a line a figure, beside its yardstick and its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("", "txgateway", "yardstick", "ratio", "target", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line. `met` is None where there is no target; `note` says what the yardstick is, or what is peculiar."""

    name: str
    unit: str
    value: float
    yardstick: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """As text."""
        verdict = {None: "", True: "ok", False: "MISSED"}[self.met]
        return (
            self.name,
            f"{shown(self.value)} {self.unit}",
            "" if self.yardstick is None else f"{shown(self.yardstick)} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.target,
            verdict,
        )


def at_least(name: str, unit: str, value: float, least: float, note: str = "") -> Figure:
    """A figure that is good when it is large."""
    met = value >= least
    return Figure(name=name, unit=unit, value=value, target=f">= {shown(least)} {unit}", met=met, note=note)


def at_most(name: str, unit: str, value: float, most: float, note: str = "") -> Figure:
    """A figure that is good when it is small."""
    met = value <= most
    return Figure(name=name, unit=unit, value=value, target=f"<= {shown(most)} {unit}", met=met, note=note)


def shown(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def lines(figures: Sequence[Figure]) -> list[str]:
    """The table's lines, and below them the notes."""
    rows = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    text = ["  ".join(_cell(at, cell, widths[at]) for at, cell in enumerate(row)).rstrip() for row in rows]
    text.insert(1, "-" * max(map(len, text)))
    notes = [f"  {figure.name}: {figure.note}" for figure in figures if figure.note]
    return text + (["", *notes] if notes else [])


def _cell(at: int, text: str, width: int) -> str:
    return text.rjust(width) if at in (1, 2, 3) else text.ljust(width)
