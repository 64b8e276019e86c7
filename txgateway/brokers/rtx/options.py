"""The settings of an rtx venue, as text or TOML values, read into one frozen object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytz

from txgateway import options as table
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
    return RtxOptions(**table.read(options, _READERS, _IGNORED))


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    return table.mistakes(options, _READERS, _IGNORED)


_IGNORED = frozenset({"client_id"})
"""What the environment gives to every kind and this one does not need."""


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


_READERS: table.Readers = {
    "host": ("localhost", table.word),
    "port": (51070, table.port("rtgw")),
    "accounts": ("", _accounts),
    "route": ("DEMO", _route),
    "timezone": ("America/New_York", _timezone),
    "exchange": ("NYS", _code),
    "currency": ("USD", _code),
    "silence": (10, table.seconds(0.1)),
    "patience": (10, table.seconds(0.1)),
    "rate": (200, table.whole(1, 100_000, "give messages a second, a whole number from 1")),
    "domain": ("live", table.word),
}
