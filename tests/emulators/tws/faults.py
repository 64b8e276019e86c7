"""What goes wrong on purpose, when it is asked for: each fault with a chance, a count, seconds, a symbol. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

KINDS = {
    "lost_ack": "An order, change or cancel is done; nothing of that moment is told.",
    "lost_order": "An order, change or cancel is neither done nor answered.",
    "late_ack": "An order, change or cancel is done; what is told of that moment is told so many seconds later (1).",
    "code_10349": "Behind an order's acceptance comes 10349 (TIF set by preset), which is no cancel: the order lives.",
    "rejected_order": "Error 201, and the order Inactive (`when` Cancelled: that).",
    "held_short": "404, and the order waits PreSubmitted, whyHeld locate, until it is accepted by the control.",
    "rejected_replace": "Error 201 for a change; the order lives as it was, and nothing else is told.",
    "half_replace": "Of a change's values one is done (of stop, limit, quantity the first); it is told as done.",
    "rejected_cancel": "Error 10148 for a cancel that could have been done; the order lives.",
    "duplicated_status": "An order's openOrder and orderStatus are told twice, as the real one often does.",
    "late_fill": "A fill's execDetails come so many seconds late (2); the order's status does not.",
    "duplicated_fill": "A fill's execDetails and commission are told again so many seconds later (0).",
    "reordered_fills": "A fill's execDetails come after the next one's, or so many seconds later (1).",
    "late_commission": "A fill's commissionReport comes so many seconds late (1), with -1 never.",
    "corrected_fill": "A fill is told again with a corrected price a tick worse: its id differs behind the last dot.",
    "untold_fee": "At a fill a dollar more is taken than its commissionReport tells.",
    "fill_after_cancel": "A cancel finds half of the rest filled: Cancelled is told, seconds later (1) the fill.",
    "cancel_race": "It is filled while its cancel is on the way: 10148, then the fill (`when` after: 10148 last).",
    "id_rollback": "At a client's start its nextValidId is 1 again, and ids of orders that have ended are free.",
    "client_in_use": "Error 326 at a client's start, and the link is closed.",
    "mute_feed": "A tick is not told, nor what follows for so many seconds.",
    "half_open": "At an order, change or cancel the link goes dead; seconds later, if given, the gateway finds out.",
    "dropped_link": "At an order, change or cancel the link breaks: `when` before or after it is done, or either.",
    "rate_limit": "Error 100 for an order, change, cancel: seconds later (0.1) done if it `arrives`, or by chance.",
    "slow_broker": "A message is taken up so many seconds later (1); `when` orders: only those about orders.",
    "no_answer": "A request for data is never answered.",
    "pacing": "A request for bars is refused with 162.",
    "restart": "At an order, change or cancel, which is done, TWS ends its links, and is back seconds later (1).",
    "restart_empty": "The same, back with an empty book.",
}


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
    """Those that are set; the chance is seeded, so that a run can be had again."""

    seed: str = "1"
    all: list[Fault] = field(default_factory=list)
    chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def set(self, kind: str, **more: Any) -> None:
        """Set one, beside those that are set already."""
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}; there are: {', '.join(KINDS)}")
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
