"""The limits that an order is judged by: their names, how their values are written, what is in force unless changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from txgateway.model.scope import GATEWAY, Scope, ScopeKind

EACH = "*"
"""As a scope's name: each one of its kind that has no such limit of its own."""
OFF = "off"
"""As a value: no limit."""
LARGEST = Decimal(10) ** 15


class Limit(StrEnum):
    """What can be limited, in the order in which orders are checked, each with what it means."""

    meaning: str

    def __new__(cls, name: str, meaning: str = "") -> Limit:
        """A limit with its sentence."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    RESTRICTED = "restricted", "Symbols that are not traded, such as `GME,AMC`."
    SESSION_ONLY = "session_only", "1: no orders outside the instrument's own hours, where it states some."
    DUPLICATE_WINDOW = "duplicate_window", "Seconds in which an order without a client_order_id is not sent twice."
    ORDER_RATE = "order_rate", "Orders in any one second."
    MAX_QUANTITY = "max_quantity", "Units in one order."
    REFERENCE_AGE = "reference_age", "Seconds that the market's last quote may be old while the market is open."
    PRICE_COLLAR = "price_collar", "How far a price may be on the bad side of the market, as a fraction: 0.1 is 10 %."
    MAX_NOTIONAL = "max_notional", "Money that one order may come to, at worst."
    MAX_POSITION = "max_position", "Units of a symbol that an account may hold, all that works on its side filled."
    MAX_GROSS_EXPOSURE = "max_gross_exposure", "Money in all positions, long and short, all that works filled."
    MAX_DAILY_LOSS = "max_daily_loss", "Money that may be lost on a trading day, open positions at the last price."
    APPROVAL_NOTIONAL = "approval_notional", "Money from which an order becomes a ticket that a person approves."
    EXECUTION_BUDGET = "execution_budget", "Executions in so many seconds, as `100/60`: then their owner is halted."


WITHOUT_WARNING = frozenset({Limit.RESTRICTED, Limit.SESSION_ONLY, Limit.APPROVAL_NOTIONAL, Limit.EXECUTION_BUDGET})
"""Limits that have no level to warn at."""
LONGER_IS_STRICTER = frozenset({Limit.DUPLICATE_WINDOW})
"""Limits that are tighter the larger they are."""
_WHOLE = frozenset({Limit.ORDER_RATE})


@dataclass(frozen=True, slots=True)
class Level:
    """A limit's value: above it orders are refused, above `warn` they go through and are told of. None: never.

    `seconds` belongs to an execution budget, `symbols` to a list of restricted ones.
    """

    value: Decimal | None = None
    warn: Decimal | None = None
    seconds: Decimal = Decimal(0)
    symbols: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The value as a person would write it."""
        if self.symbols:
            return ",".join(sorted(self.symbols))
        if self.value is None:
            return OFF
        return f"{self.value:f}" + (f"/{self.seconds:f}" if self.seconds else "")


Levels = Mapping[tuple[Scope, Limit], Level]
"""Limits by where they hold."""

DEFAULTS: Levels = {
    (Scope(ScopeKind.OWNER, EACH), Limit.ORDER_RATE): Level(Decimal(5000)),
    (GATEWAY, Limit.REFERENCE_AGE): Level(Decimal(900)),
    (GATEWAY, Limit.PRICE_COLLAR): Level(Decimal("0.1")),
    (GATEWAY, Limit.MAX_NOTIONAL): Level(Decimal(100_000_000)),
}
"""What holds unless somebody says otherwise: far above what one honest client does, far below what a mistake can do."""


def limit_of(text: str) -> Limit:
    """The limit of that name; ValueError lists them."""
    try:
        return Limit(text.strip().lower())
    except ValueError:
        raise ValueError(f"limit {text!r} is none of {', '.join(Limit)}") from None


def level_of(limit: Limit, value: str, warn: str | None = None) -> Level:
    """A limit's value and warn level as a person wrote them; ValueError says how they are written."""
    if warn is not None and limit in WITHOUT_WARNING:
        raise ValueError(f"{limit} has no warn level: leave it out")
    low = None if warn is None else _number(limit, "warn", warn)
    if limit is Limit.RESTRICTED:
        symbols = frozenset(word.upper() for word in re.split(r"[\s,+]+", value.strip()) if word)
        return Level() if symbols <= {OFF.upper()} else Level(symbols=symbols)
    text = value.strip().lower()
    if text == OFF:
        return Level(warn=low)
    count, slash, seconds = text.partition("/")
    if bool(slash) is not (limit is Limit.EXECUTION_BUDGET):
        written = "executions/seconds, such as 100/60" if not slash else "one number"
        raise ValueError(f"{limit} {value!r} must be {written}")
    if limit is Limit.SESSION_ONLY:
        if text not in ("0", "1", "yes", "no", "true", "false"):
            raise ValueError(f"{limit} {value!r} must be 1 or 0")
        return Level(Decimal(1)) if text in ("1", "yes", "true") else Level()
    number = _number(limit, "value", count)
    if low is not None and (low < number if limit in LONGER_IS_STRICTER else low > number):
        side = "at least" if limit in LONGER_IS_STRICTER else "at most"
        raise ValueError(f"{limit} warns at {low:f}, which must be {side} its value {number:f}")
    window = _number(limit, "seconds", seconds) if slash else Decimal(0)
    if slash and not 0 < window <= 86_400:
        raise ValueError(f"{limit} {value!r} must have more than 0 seconds and at most 86400")
    return Level(number, low, window)


def _number(limit: Limit, name: str, text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number < LARGEST or number.adjusted() < -15:
        raise ValueError(f"{limit}: {name} {text!r} must be a number from 0 up")
    whole = limit in _WHOLE or (limit is Limit.EXECUTION_BUDGET and name != "seconds")
    if whole and number % 1:
        raise ValueError(f"{limit}: {name} {text!r} must be a whole number")
    return number.normalize() if number else Decimal(0)


def read_levels(text: str) -> Levels:
    """The limits in a setting: `max_notional=1000000:800000,account:A1/max_quantity=500`, a warn level after a colon.

    What stands before the slash is the scope, the gateway where there is none; symbols of a list are joined by +.
    ValueError says all that is wrong.
    """
    found: dict[tuple[Scope, Limit], Level] = {}
    wrong: list[str] = []
    for word in filter(None, (each.strip() for each in text.split(","))):
        try:
            key, level = _read_level(word)
            if key in found:
                raise ValueError(f"{word.partition('=')[0].strip()} is given twice")
            found[key] = level
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))
    return found


def _read_level(word: str) -> tuple[tuple[Scope, Limit], Level]:
    where, equals, given = word.partition("=")
    scope, slash, name = where.rpartition("/")
    if not equals:
        raise ValueError(f"{word!r} must be [SCOPE/]LIMIT=VALUE[:WARN]")
    value, colon, warn = given.partition(":")
    limit = limit_of(name)
    return (Scope.parse(scope) if slash else GATEWAY, limit), level_of(limit, value, warn if colon else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReport:
    """A limit in force as query_risk shows it: where, how much, by whose word."""

    scope: Scope
    limit: Limit
    level: Level
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UseReport:
    """What is used now within a scope. Money counts as the instruments' currencies stand, unconverted."""

    scope: Scope
    exposure: Decimal
    profit_and_loss: Decimal
    orders_last_second: int
    executions_in_window: int | None
    holdings: Mapping[str, Mapping[str, Decimal]]


@dataclass(frozen=True, slots=True)
class RiskReport:
    """The answer of query_risk."""

    limits: tuple[LimitReport, ...]
    use: tuple[UseReport, ...]
