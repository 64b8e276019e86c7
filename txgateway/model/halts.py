"""Halts: which scope may not trade, how far, and who said why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.scope import Scope, ScopeKind


class HaltLevel(StrEnum):
    """How far a halt goes: only what reduces a position passes, or nothing but cancels."""

    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt in force; with `exits_go_on`, exits that only reduce a position pass it whatever its level."""

    scope: Scope
    level: HaltLevel
    text: str
    by: str
    time: datetime
    exits_go_on: bool = False

    def __str__(self) -> str:
        return f"{self.scope} is {self.level}: {self.text}"

    def passes(self, is_exit: bool) -> bool:
        """Whether an order may pass at all, as far as it only reduces a position."""
        return self.level is HaltLevel.REDUCE_ONLY or (is_exit and self.exits_go_on)

    @property
    def where(self) -> str:
        """The scope in a sentence; nothing for the whole gateway."""
        return "" if self.scope.kind is ScopeKind.GATEWAY else f" for {self.scope}"


FLATTENER = "flatten"
"""The owner of the orders that flatten more than one owner's positions."""


@dataclass(frozen=True, slots=True)
class Flatten:
    """A flatten that has not ended; `number` is the seq of its record, from which its orders' keys are made."""

    number: int
    scope: Scope
    text: str
    by: str
    time: datetime

    def key(self, symbol: str, count: int) -> str:
        """The client_order_id of its so-manieth closing order of a symbol, in one account."""
        return f"flatten-{self.number}-{symbol}-{count}"


@dataclass(frozen=True, slots=True)
class FlattenLine:
    """One position of a flatten: what the broker holds (until it tells: our executions), if that is flat, why not."""

    account: str
    symbol: str
    quantity: Decimal
    flat: bool
    text: str


@dataclass(frozen=True, slots=True)
class FlattenReport:
    """How far a flatten has come; `flat` only when the broker's positions say so."""

    number: int
    scope: Scope
    flat: bool
    ended: bool
    text: str
    positions: tuple[FlattenLine, ...]
