"""What goes wrong on purpose, when it is asked for: each fault with a chance, a count, seconds, an instrument. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

KINDS = {
    "lost_ack": "An order, change or cancel is done and nothing of that moment is told: `when` hang (never answered), "
    "drop (the connection is broken) or unknown (the venue's answer that says that it does not know).",
    "lost_order": "An order, change or cancel is neither done nor answered; `when` as of lost_ack.",
    "late_ack": "An order, change or cancel is done; what the stream tells of that moment comes seconds later (1).",
    "rejected_order": "An order is refused by the exchange.",
    "rejected_replace": "A change is refused; the order lives as it was.",
    "half_replace": "Of a change's values one is done; where a change is a new order, the old one ends without it.",
    "rejected_cancel": "A cancel that could have been done is refused; the order lives.",
    "late_fill": "A fill is told by the stream so many seconds late (2).",
    "duplicated_fill": "A fill is told again so many seconds later (0).",
    "reordered_fills": "A fill is told after the next one, or so many seconds later (1).",
    "untold_fee": "At an order one of the quote asset is taken that no fill tells; with seconds it comes back.",
    "fill_after_cancel": "A cancel finds half of the rest filled: the cancel is told, seconds later (1) the fill.",
    "cancel_race": "The order is filled while its cancel is on the way, which comes too late.",
    "mute_feed": "A quote or trade is not told, nor what follows for so many seconds.",
    "half_open": "At an order, change or cancel every connection goes dead; seconds later, if given, all break.",
    "dropped_link": "At an order, change or cancel all connections break: `when` before or after it is done, or "
    "either; nobody can connect for so many seconds (1).",
    "rate_limit": "An order, change or cancel is answered 'too many requests': done seconds later (0.1) if it "
    "`arrives`, or never.",
    "slow_broker": "A request is taken up so many seconds later (1); `when` orders: only those about orders.",
    "no_answer": "A question (no order command) is never answered.",
    "server_error": "A question is answered 502 with a page of HTML.",
    "lost_diff": "A change of an order book is not told: the next one's numbers do not follow.",
    "restart": "At an order, change or cancel, which is done, all connections end; back seconds later (1).",
    "restart_empty": "The same, back with an empty book and the money of the start.",
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
