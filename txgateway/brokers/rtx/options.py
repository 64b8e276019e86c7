"""The settings of an rtx venue, as text or TOML values, read into one frozen object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pytz

from txgateway.brokers.rtx.translate import read_route


@dataclass(frozen=True, slots=True)
class RtxOptions:
    """Where rtgw is, and how it is spoken to.

    `accounts`: only these of the login's, or all. `silence`: after so many seconds without a sign of life the link is
    given up. `patience`: so long a question of ours may stay unanswered. `rate`: messages a second, at most.
    """

    host: str
    port: int
    accounts: tuple[str, ...]
    route: str
    timezone: str
    exchange: str
    currency: str
    silence: float
    patience: float
    rate: int
    domain: str


def read(options: Mapping[str, Any]) -> RtxOptions:
    """The settings; ValueError names the first that is wrong."""
    wrong = mistakes(options)
    if wrong:
        name, instead = next(iter(wrong.items()))
        raise ValueError(f"{name}={options.get(name)!r}: {instead}.")
    return RtxOptions(**{name: reader(options.get(name, default)) for name, (default, reader) in _READERS.items()})


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    wrong: dict[str, str] = {}
    for name, value in options.items():
        if name in _IGNORED:
            continue
        if name not in _READERS:
            close = get_close_matches(name, [*_READERS], n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            wrong[name] = f"there is no such option{hint}; correct it or take it away"
            continue
        try:
            _READERS[name][1](value)
        except ValueError as error:
            wrong[name] = str(error)
    return wrong


_IGNORED = frozenset({"client_id"})
"""What the environment gives to every kind and this one does not need."""


def _word(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\S{1,255}", value):
        raise ValueError("give a name or an address without spaces")
    return value


def _port(value: Any) -> int:
    return _whole(1, 65535, "give the port that rtgw listens on, a whole number from 1 to 65535")(value)


def _whole(low: int, high: int, instead: str) -> Callable[[Any], int]:
    def read_whole(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)) or not low <= int(value) <= high:
            raise ValueError(instead)
        return int(value)

    return read_whole


def _seconds(value: Any) -> float:
    text = str(value)
    number = float(text) if re.fullmatch(r"\d{0,4}\.?\d{1,6}", text) else 0.0
    if isinstance(value, bool) or not 0.1 <= number <= 3600:
        raise ValueError("give seconds, from 0.1 to 3600")
    return number


def _accounts(value: Any) -> tuple[str, ...]:
    """A list keeps the venue to these accounts; one name, as API_ACCOUNT gives it, is only the one at the start."""
    if isinstance(value, str):
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError('give a list of accounts, such as ["BANK.BRANCH.CUSTOMER.DEPOSIT"]')
    names = tuple(each.strip() for each in value)
    for name in names:
        if len(name.split(".")) != 4 or not all(name.split(".")):
            raise ValueError(f"an account is written BANK.BRANCH.CUSTOMER.DEPOSIT, not {name!r}")
    return names


def _route(value: Any) -> str:
    read_route(str(value), "")
    return str(value)


def _timezone(value: Any) -> str:
    try:
        return str(pytz.timezone(str(value)).zone)
    except pytz.UnknownTimeZoneError:
        raise ValueError("there is no such time zone; give one such as America/New_York") from None


def _code(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z0-9]{1,8}", value):
        raise ValueError("give a code in capitals, such as NYS or USD")
    return value


_READERS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "host": ("localhost", _word),
    "port": (51070, _port),
    "accounts": ("", _accounts),
    "route": ("DEMO", _route),
    "timezone": ("America/New_York", _timezone),
    "exchange": ("NYS", _code),
    "currency": ("USD", _code),
    "silence": (10, _seconds),
    "patience": (10, _seconds),
    "rate": (200, _whole(1, 100_000, "give messages a second, a whole number from 1")),
    "domain": ("live", _word),
}
