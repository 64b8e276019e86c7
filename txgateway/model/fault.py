"""Faults: the ways in which a counterparty that can (Can.FAULTS) is made to misbehave, for tests and rehearsals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

ONE = Decimal(1)
LONGEST = Decimal(3600)
"""Seconds that a fault may last or wait."""


class FaultKind(StrEnum):
    """What can go wrong."""

    LOST_ACK = "lost_ack"
    LATE_FILL = "late_fill"
    DUPLICATED_FILL = "duplicated_fill"
    REORDERED_FILLS = "reordered_fills"
    FILL_AFTER_CANCEL = "fill_after_cancel"
    CANCEL_RACE = "cancel_race"
    MUTE_FEED = "mute_feed"
    HALF_OPEN = "half_open"
    DROPPED_LINK = "dropped_link"
    ID_ROLLBACK = "id_rollback"
    HALF_REPLACE = "half_replace"
    REJECTED_REPLACE = "rejected_replace"
    RATE_LIMIT = "rate_limit"
    SLOW_BROKER = "slow_broker"
    RESTART = "restart"
    RESTART_EMPTY = "restart_empty"
    UNTOLD_FEE = "untold_fee"


class Meaning(NamedTuple):
    """What a fault does, in a sentence; the seconds it takes when none are given, None where time plays no part."""

    text: str
    seconds: Decimal | None = None
    may_last: bool = False
    """True where seconds may be given and need not."""


D = Decimal
MEANINGS: dict[FaultKind, Meaning] = {
    FaultKind.LOST_ACK: Meaning("The order is in the broker's book, and its acknowledgement is never told."),
    FaultKind.LATE_FILL: Meaning("A fill is told so many seconds late.", D(2)),
    FaultKind.DUPLICATED_FILL: Meaning("A fill is told twice, the second time so many seconds later.", D(0)),
    FaultKind.REORDERED_FILLS: Meaning(
        "A fill is told after the next one, or so many seconds later when none comes.", D(1)
    ),
    FaultKind.FILL_AFTER_CANCEL: Meaning(
        "A cancel finds half of the rest filled: the cancel is told first, the fill so many seconds later.", D(1)
    ),
    FaultKind.CANCEL_RACE: Meaning("The order is filled while its cancel is on the way, which comes too late."),
    FaultKind.MUTE_FEED: Meaning(
        "The connection stands and a quote or trade is not told, nor what follows for so many seconds.", None, True
    ),
    FaultKind.HALF_OPEN: Meaning(
        "From an order command on nothing arrives and nothing is told, while the venue still seems to be up; after so "
        "many seconds the link is found dead and made anew.",
        D(10),
    ),
    FaultKind.DROPPED_LINK: Meaning(
        "The link breaks at an order command, which may or may not have arrived, and is back so many seconds later.",
        D(1),
    ),
    FaultKind.ID_ROLLBACK: Meaning("The broker's order ids begin again: new orders get ids that older ones had."),
    FaultKind.HALF_REPLACE: Meaning(
        "Of a replace that asks for two things one is done: the price without the quantity, the limit without the stop."
    ),
    FaultKind.REJECTED_REPLACE: Meaning("A replace is refused."),
    FaultKind.RATE_LIMIT: Meaning(
        "An order command is answered 'too many requests'; some of them arrive all the same, so many seconds later.",
        D("0.1"),
    ),
    FaultKind.SLOW_BROKER: Meaning("A command arrives, or a question is answered, so many seconds later.", D(1)),
    FaultKind.RESTART: Meaning(
        "The broker restarts at an order command, and is back with its book so many seconds later.", D(1)
    ),
    FaultKind.RESTART_EMPTY: Meaning(
        "The broker restarts, and is back so many seconds later with a new book: orders, positions and money are gone.",
        D(1),
    ),
    FaultKind.UNTOLD_FEE: Meaning(
        "An order costs its account 1 (of the currency it is kept in) that no execution tells of; with seconds it is "
        "paid back so much later, or when the fault is cleared.",
        None,
        True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault that is set: how likely each occasion brings it, how often still, for whom; `happened` so often."""

    kind: FaultKind
    chance: Decimal = ONE
    count: int | None = None
    seconds: Decimal | None = None
    symbol: str = ""
    account: str = ""
    happened: int = 0

    def covers(self, symbol: str, account: str) -> bool:
        """Whether it is meant for orders of this symbol and account."""
        return self.symbol in ("", symbol) and self.account in ("", account)

    def __str__(self) -> str:
        words = [str(self.kind), f"chance {self.chance:f}"]
        words += [] if self.count is None else [f"count {self.count}"]
        words += [] if self.seconds is None else [f"seconds {self.seconds:f}"]
        words += [f"symbol {self.symbol}"] if self.symbol else []
        words += [f"account {self.account}"] if self.account else []
        return " ".join(words)


def kind_of(name: str) -> FaultKind:
    """The kind that a person named; ValueError lists those there are."""
    try:
        return FaultKind(name.strip().lower().replace("-", "_"))
    except ValueError:
        raise ValueError(f"there is no fault {name!r}: one of {', '.join(FaultKind)}") from None


def make_fault(
    name: str,
    chance: Decimal = ONE,
    count: int | None = None,
    seconds: Decimal | None = None,
    symbol: str = "",
    account: str = "",
) -> Fault:
    """A checked fault, its seconds filled in; ValueError says what to give instead."""
    kind = kind_of(name)
    meaning = MEANINGS[kind]
    if not chance.is_finite() or not 0 < chance <= 1:
        raise ValueError(f"the chance of {kind} must be above 0 and at most 1, not {chance}")
    if count is not None and not 1 <= count <= 10**9:
        raise ValueError(f"the count of {kind} must be a whole number from 1, not {count}")
    if seconds is None:
        seconds = meaning.seconds
    elif meaning.seconds is None and not meaning.may_last:
        raise ValueError(f"{kind} takes no seconds: leave them out")
    elif not seconds.is_finite() or not 0 <= seconds <= LONGEST:
        raise ValueError(f"the seconds of {kind} must be from 0 to {LONGEST}, not {seconds}")
    return Fault(kind=kind, chance=chance, count=count, seconds=seconds, symbol=symbol.upper(), account=account.upper())
