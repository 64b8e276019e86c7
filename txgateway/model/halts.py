"""Halts: which scope may not trade, how far, and who said why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from txgateway.model.scope import Scope, ScopeKind


class HaltLevel(StrEnum):
    """How far a halt goes: only what reduces a position passes, or nothing but cancels."""

    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt in force."""

    scope: Scope
    level: HaltLevel
    text: str
    by: str
    time: datetime

    def __str__(self) -> str:
        return f"{self.scope} is {self.level}: {self.text}"

    @property
    def where(self) -> str:
        """The scope in a sentence; nothing for the whole gateway."""
        return "" if self.scope.kind is ScopeKind.GATEWAY else f" for {self.scope}"
