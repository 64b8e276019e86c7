"""Attached orders: how an entry's position is to be left again, as its order says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum

HUNDRED = Decimal(100)
LARGEST = Decimal(10) ** 15
"""No price is as high."""
LONGEST_HOLD = 366 * 86400
"""Seconds that a position may be held at most: a year."""

KEEPER = "gateway:exits"
"""Who asks for what the gateway does for attached orders by itself; no user has such a name."""


class Leg(StrEnum):
    """What an exit order is for its entry; the value is the end of its client_order_id."""

    STOP_LOSS = "sl"
    TAKE_PROFIT = "tp"
    CLOSE = "close"
    UNDO = "undo"


RESERVED = re.compile(rf":({'|'.join(Leg)})(\.\d+)?$")
"""How the client_order_id of an exit ends: `<entry>:sl`, and `<entry>:sl.2` for the second of them."""


def exit_key(entry: str, leg: Leg, number: int) -> str:
    """The client_order_id of an entry's exit, the first of its leg or a later one: sent once, whatever crashes."""
    return f"{entry}:{leg}" if number == 1 else f"{entry}:{leg}.{number}"


class Unit(StrEnum):
    """How a level is given."""

    PRICE = "price"
    AWAY = "away"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class Level:
    """A price, or how far from the entry's average price: in money (AWAY) or in percent of it."""

    value: Decimal
    unit: Unit = Unit.PRICE

    @classmethod
    def parse(cls, text: str, plain: Unit = Unit.PRICE) -> Level:
        """`105.5` (in the unit `plain`), `1.5 away` or `2%`; ValueError for anything else."""
        word = text.strip().lower()
        unit = plain
        for end, named in (("%", Unit.PERCENT), ("away", Unit.AWAY)):
            if word.endswith(end):
                word, unit = word.removesuffix(end).strip(), named
        try:
            value = Decimal(word)
        except InvalidOperation:
            raise ValueError(text) from None
        if not value.is_finite() or abs(value.adjusted()) > 30:
            raise ValueError(text)
        return cls(value, unit)

    @property
    def sane(self) -> bool:
        """Above zero and below any price there is, and a percentage below a hundred."""
        return 0 < self.value < LARGEST and (self.unit is not Unit.PERCENT or self.value < HUNDRED)

    def distance(self, price: Decimal) -> Decimal:
        """How far from a price this is, where it is no price itself."""
        return price * self.value / HUNDRED if self.unit is Unit.PERCENT else self.value

    def __str__(self) -> str:
        """As `parse` reads it."""
        ends = {Unit.PRICE: "", Unit.AWAY: " away", Unit.PERCENT: "%"}
        return f"{self.value.normalize():f}{ends[self.unit]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPlan:
    """What becomes of an entry's position: journalled with the entry, begun at its first fill.

    With both, the stop is the tighter of `stop_loss` and `trailing_stop`. `hold_seconds` count by the venue's clock.
    """

    take_profit: Level | None = None
    stop_loss: Level | None = None
    trailing_stop: Level | None = None
    hold_seconds: int | None = None

    @property
    def stops(self) -> bool:
        """Whether there is to be a stop."""
        return self.stop_loss is not None or self.trailing_stop is not None

    def levels(self, leg: Leg) -> tuple[Level, ...]:
        """What a take profit or a stop goes by; empty where the plan has none."""
        given = (self.take_profit,) if leg is Leg.TAKE_PROFIT else (self.stop_loss, self.trailing_stop)
        return tuple(each for each in given if each is not None)

    def __str__(self) -> str:
        """In a few words: part of what two requests with one key must agree in."""
        named = {
            "take_profit": self.take_profit,
            "stop_loss": self.stop_loss,
            "trailing_stop": self.trailing_stop,
            "hold_seconds": self.hold_seconds,
        }
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def rounded(price: Decimal, tick: Decimal, up: bool) -> Decimal:
    """A price on the instrument's grid, one step above zero at least."""
    if not tick:
        return price
    steps = (price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return max(steps, Decimal(1)) * tick
