"""Which fault happens, and to whom: chosen by chance from a seed, so that a run can be had again. Pure.

Written in a setting as `lost_ack:0.1,late_fill:0.05:2s,dropped_link:3x,mute_feed:symbol=IBM,seed:42`: a fault, and
behind colons its chance, seconds (2s), count (3x), symbol= and account=, each left out where the default will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

from txgateway.model.fault import Fault, FaultKind, make_fault

DEFAULT_SEED = "1"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The faults of a setting, and the seed of their chance."""

    faults: tuple[Fault, ...] = ()
    seed: str = DEFAULT_SEED


class Faults:
    """The faults that are set, one for each kind, symbol and account; each kind has a chance of its own."""

    def __init__(self, chosen: Chosen) -> None:
        self.on = False
        """False when none can happen."""
        self._set: dict[FaultKind, dict[tuple[str, str], Fault]] = {}
        self._chance = {kind: Random(f"{chosen.seed}/{kind}") for kind in FaultKind}
        for fault in chosen.faults:
            self.set(fault)

    def all(self) -> Sequence[Fault]:
        """Every fault that is set, those used up with a count of 0."""
        return [fault for by_whom in self._set.values() for fault in by_whom.values()]

    def set(self, fault: Fault) -> None:
        """Set a fault, in place of the one of its kind for the same symbol and account."""
        self._set.setdefault(fault.kind, {})[fault.symbol, fault.account] = fault
        self._look()

    def clear(self, kind: FaultKind | None) -> None:
        """Take away the faults of a kind (None: all)."""
        for each in list(self._set) if kind is None else [kind]:
            self._set.pop(each, None)
        self._look()

    def happens(self, kind: FaultKind, symbol: str = "", account: str = "") -> Fault | None:
        """The fault of this kind that happens on this occasion, if one does; it is counted."""
        for key, fault in self._set.get(kind, {}).items():
            if fault.count == 0 or not fault.covers(symbol, account):
                continue
            if fault.chance == 1 or self._chance[kind].random() < fault.chance:
                left = None if fault.count is None else fault.count - 1
                self._set[kind][key] = replace(fault, count=left, happened=fault.happened + 1)
                self._look()
                return fault
        return None

    def coin(self, kind: FaultKind) -> bool:
        """Yes or no, where a fault can go either way."""
        return self._chance[kind].random() < 0.5

    def _look(self) -> None:
        self.on = any(fault.count != 0 for by_whom in self._set.values() for fault in by_whom.values())


# ---------------------------------------------------------------- as a setting


def read_faults(value: Any) -> Chosen:
    """What a setting says (text, or a list of its items); ValueError says what is wrong with it."""
    words = value if isinstance(value, Sequence) and not isinstance(value, str) else str(value).split(",")
    seed, faults = DEFAULT_SEED, []
    for word in (str(each).strip() for each in words):
        name, _, rest = word.partition(":")
        if name == "seed":
            if not rest.strip():
                raise ValueError("give the seed behind its colon, such as seed:42")
            seed = rest.strip()
        elif word:
            faults.append(_read_fault(name, rest.split(":") if rest else ()))
    return Chosen(tuple(faults), seed)


def _read_fault(name: str, parts: Iterable[str]) -> Fault:
    terms: dict[str, Any] = {}
    for part in (each.strip() for each in parts):
        found = next((row for row in _PARTS if re.fullmatch(row[1], part, re.IGNORECASE)), None)
        if found is None:
            raise ValueError(f"{part!r} of {name} is no chance (0.1), seconds (2s), count (3x), symbol= or account=")
        what, _, read = found
        if what in terms:
            raise ValueError(f"{name} has its {what} twice")
        try:
            terms[what] = read(part)
        except InvalidOperation:
            raise ValueError(f"{part!r} of {name} is no number") from None
    return make_fault(name, **terms)


_NUMBER = r"[0-9]*\.?[0-9]+"
_PARTS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("chance", _NUMBER, Decimal),
    ("seconds", f"{_NUMBER}s", lambda part: Decimal(part[:-1])),
    ("count", "[0-9]{1,9}x", lambda part: int(part[:-1])),
    ("symbol", r"symbol=\S+", lambda part: part.partition("=")[2]),
    ("account", r"account=\S+", lambda part: part.partition("=")[2]),
)
