"""The paper venue's settings: `read` turns what was configured into one frozen, checked object.

| option | default | meaning |
| --- | --- | --- |
| feed | synthetic:1 | `synthetic[:seed]`, `replay:<file, folder or glob>[@1x, @0.5x, @max …][,loop]` or `venue:NAME` |
| accounts | DEFAULT_ACCOUNTS, below | `NAME[:margin or cash][:amount in USD]`, separated by commas, or a list |
| calendar | (none: always open) | an exchange code of exchange_calendars, such as XNYS; rules stocks only |
| timezone | America/New_York | where the trading day begins at midnight |
| commission | 0.005 | a share, in the instrument's currency |
| commission_minimum | 1.00 | an order, in the instrument's currency |
| commission_maximum | 0.01 | of the order's traded value, above the minimum even; 0 is no maximum |
| commission_crypto | 0.0018 | of the traded value, for crypto instead of the price a share |
| commission_forex | 0.00002 | of the traded value, for currency pairs instead of the price a share |
| latency | 0 | seconds from a command to its arrival at the market |
| interval | 1 | seconds between two ticks of a synthetic symbol; at least four of them fill a minute exactly |
| faults | (none) | what goes wrong on purpose, as in faults.py: `lost_ack:0.1,late_fill:0.05:2s,seed:42` |
| start | (none: now) | ISO 8601 time with zone at which the synthetic clock starts, for tests |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pytz

from txgateway.brokers.paper.commission import Commission
from txgateway.brokers.paper.faults import Chosen, read_faults

DEFAULT_ACCOUNTS = "API_ACCOUNT:margin:10000000,PAPER_CASH:cash:10000000"
DEFAULT_AMOUNT = Decimal(10_000_000)
MAX_LATENCY = 60.0
MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Opening:
    """An account as configured; `amount` is its cash when the book is new."""

    name: str
    margin: bool
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SyntheticChoice:
    """Prices made up from a seed."""

    seed: str = "1"


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """Prices from files; `speed` None is as fast as it goes."""

    where: str
    speed: float | None = 1.0
    loop: bool = False


@dataclass(frozen=True, slots=True)
class VenueChoice:
    """Another venue's prices, live."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOptions:
    """All settings, checked. `interval_us` is in microseconds and divides a minute."""

    feed: SyntheticChoice | ReplayChoice | VenueChoice
    accounts: tuple[Opening, ...]
    calendar: str
    timezone: str
    commission: Commission
    latency: float
    interval_us: int
    faults: Chosen
    start: datetime | None


def read(options: Mapping[str, Any]) -> PaperOptions:
    """The settings, or ValueError with one line for each mistake."""
    settings, wrong = _read(options)
    if settings is None:
        lines = (f"Paper option {name} = {options.get(name)!r}: {what}." for name, what in wrong.items())
        raise ValueError("\n".join(lines))
    return settings


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each setting that cannot be used; empty when all is well. Opens no file."""
    return _read(options)[1]


def _read(options: Mapping[str, Any]) -> tuple[PaperOptions | None, dict[str, str]]:
    wrong = {
        name: f"there is no such option; those known are {', '.join(_READERS)}"
        for name in options
        if name not in _READERS
    }
    values: dict[str, Any] = {}
    for name, (default, reader) in _READERS.items():
        value = options.get(name)
        given = default if value is None or value == "" else value
        try:
            values[name] = reader(given)
        except ValueError as error:
            wrong[name] = str(error).removesuffix(".")
    if wrong:
        return None, wrong
    fees = Commission(
        per_share=values["commission"],
        minimum=values["commission_minimum"],
        maximum=values["commission_maximum"],
        crypto=values["commission_crypto"],
        forex=values["commission_forex"],
    )
    return (
        PaperOptions(
            feed=values["feed"],
            accounts=values["accounts"],
            calendar=values["calendar"],
            timezone=values["timezone"],
            commission=fees,
            latency=values["latency"],
            interval_us=values["interval"],
            faults=values["faults"],
            start=values["start"],
        ),
        {},
    )


def _feed(value: Any) -> SyntheticChoice | ReplayChoice | VenueChoice:
    kind, _, rest = str(value).strip().partition(":")
    if kind == "synthetic":
        return SyntheticChoice(rest.strip() or "1")
    if kind == "venue":
        if not rest.strip():
            raise ValueError("name the venue whose prices to trade on, such as venue:realtick.")
        return VenueChoice(rest.strip())
    if kind != "replay":
        raise ValueError("give synthetic[:seed], replay:<file, folder or glob>[@speed][,loop] or venue:NAME.")
    loop = rest.endswith(",loop")
    where = rest.removesuffix(",loop")
    path, at, speed = where.rpartition("@")
    if not at or "/" in speed:
        path, speed = where, "1x"
    if not path:
        raise ValueError("name the file, folder or glob to replay, such as replay:/data/ibm-*.csv.gz@10x.")
    return ReplayChoice(path, _speed(speed), loop)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        times = float(text.removesuffix("x")) if text.endswith("x") else 0.0
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise ValueError(f"the speed {text!r} is not understood: give 1x, 10x, 0.5x … or max.")
    return times


def _accounts(value: Any) -> tuple[Opening, ...]:
    words = value if isinstance(value, Sequence) and not isinstance(value, str) else str(value).split(",")
    openings: list[Opening] = []
    wrong: list[str] = []
    for word in filter(None, (str(word).strip() for word in words)):
        try:
            openings.append(_opening(word))
        except ValueError as error:
            wrong.append(str(error).removesuffix("."))
    names = [opening.name for opening in openings]
    twice = sorted({name for name in names if names.count(name) > 1})
    wrong += [f"the account {name} is named twice: name each once" for name in twice]
    if wrong:
        raise ValueError("; ".join(wrong) + ".")
    if not openings:
        raise ValueError("name at least one account, as NAME[:margin or cash][:amount].")
    return tuple(openings)


def _opening(word: str) -> Opening:
    name, *rest = (part.strip() for part in word.split(":"))
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", name):
        raise ValueError(f"{name!r} is no account name: use letters, digits, dot, dash and underscore.")
    margin, amount = True, DEFAULT_AMOUNT
    for part in rest:
        if part in ("margin", "cash"):
            margin = part == "margin"
        else:
            amount = _amount(part)
    return Opening(name.upper(), margin, amount)


def _amount(value: Any) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number.") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"{value} must be zero or more.")
    return number


def _fraction(value: Any) -> Decimal:
    number = _amount(value)
    if number > 1:
        raise ValueError("it is a share of the traded value: give 0 to 1, such as 0.01 for one per cent.")
    return number


def _latency(value: Any) -> float:
    seconds = float(_amount(value))
    if seconds > MAX_LATENCY:
        raise ValueError(f"it is in seconds, at most {MAX_LATENCY:.0f}.")
    return seconds


def _interval(value: Any) -> int:
    microseconds = _amount(value) * 1_000_000
    whole = int(microseconds)
    if whole < 1000 or whole != microseconds or MINUTE_US % whole or MINUTE_US // whole < 4:
        raise ValueError("it must go into a minute at least four times without a rest: 0.001 … 0.5, 1, 2, 5, 10 or 15.")
    return whole


def _timezone(value: Any) -> str:
    try:
        pytz.timezone(str(value))
    except pytz.UnknownTimeZoneError:
        raise ValueError("this time zone is unknown: give a name such as America/New_York or UTC.") from None
    return str(value)


def _start(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else _iso(str(value))
    if moment.tzinfo is None:
        raise ValueError("it has no zone: write it like 2024-03-01T15:00:00Z.")
    return moment


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is not an ISO 8601 time: write it like 2024-03-01T15:00:00Z.") from None


_READERS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "feed": ("synthetic:1", _feed),
    "accounts": (DEFAULT_ACCOUNTS, _accounts),
    "calendar": ("", lambda value: str(value).strip()),
    "timezone": ("America/New_York", _timezone),
    "commission": ("0.005", _amount),
    "commission_minimum": ("1.00", _amount),
    "commission_maximum": ("0.01", _fraction),
    "commission_crypto": ("0.0018", _fraction),
    "commission_forex": ("0.00002", _fraction),
    "latency": ("0", _latency),
    "interval": ("1", _interval),
    "faults": ("", read_faults),
    "start": (None, _start),
}
