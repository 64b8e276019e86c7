"""The faults of an emulator: each with a chance, a count, seconds, a symbol. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar


@dataclass(slots=True)
class Fault:
    """One that is set. `count` None: for ever."""

    kind: str
    count: int | None = 1
    chance: float = 1.0
    seconds: float | None = None
    symbol: str = ""
    when: str = ""
    arrives: bool | None = None
    happened: int = 0

    def after(self, otherwise: float) -> float:
        """Its seconds, or these."""
        return otherwise if self.seconds is None else self.seconds


@dataclass(slots=True)
class Faults:
    """Those that are set, of the kinds that an emulator knows; the chance is seeded: a run can be had again."""

    known: ClassVar[Mapping[str, str]] = {}
    """Kind -> what it does."""

    seed: str = "1"
    all: list[Fault] = field(default_factory=list)
    chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def set(self, kind: str, **more: Any) -> None:
        """Set one, beside those that are set already."""
        if kind not in self.known:
            raise ValueError(f"no fault {kind!r}; there are: {', '.join(self.known)}")
        self.all.append(Fault(kind, **more))

    def clear(self, kind: str = "") -> None:
        """Take away those of a kind, or all."""
        self.all = [fault for fault in self.all if kind and fault.kind != kind]

    def happens(self, kind: str, symbol: str = "", when: str = "") -> Fault | None:
        """The first of this kind that happens now; it is counted. `when`: only one that says so, or nothing."""
        for fault in self.all:
            if fault.kind != kind or fault.count == 0 or (fault.symbol and fault.symbol != symbol):
                continue
            if when and fault.when not in ("", when):
                continue
            if fault.chance >= 1 or self.chance.random() < fault.chance:
                fault.count = None if fault.count is None else fault.count - 1
                fault.happened += 1
                return fault
        return None

    def coin(self) -> bool:
        """Yes or no."""
        return self.chance.random() < 0.5
