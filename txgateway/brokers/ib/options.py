"""The settings of a tws venue, as text or TOML values, read into one frozen object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytz

from txgateway import options as table
from txgateway.brokers.ib import window
from txgateway.brokers.ib.window import Window

LONGEST_WAIT = 1.5
"""Seconds that a fill may wait for its commission: it must be told before an exit that IB ended is replaced."""
PAPER_PORTS = frozenset({7497, 4002})
"""Where TWS and IB Gateway listen when they are logged in to play money, unless somebody changed that."""
NO_ACCOUNT = "API_ACCOUNT"
"""What the environment says where nobody named an account."""
DATA_TYPES = {"live": 1, "frozen": 2, "delayed": 3, "delayed-frozen": 4}


@dataclass(frozen=True, slots=True)
class IbOptions:
    """Where TWS or IB Gateway is, and how it is spoken to.

    `accounts`: only these of the login's, or all. `account`: the one at the start, which keeps no other out. `silence`:
    after so many seconds without a sign of life the link is given up. `patience`: so long an order that has left may
    stay without a word until it is in doubt. `commission_wait`: so long a fill waits for its commission. `rate`:
    messages a second, at most. `restart`: when TWS restarts, and down is expected. `primary_exchanges`: by symbol,
    where several exchanges have it. `timezone`: of times that come without one, and of the day whose orders TWS
    remembers. `domain`: what its money is called. `brackets`: exits whose prices are known go to IB with their entry.
    """

    host: str
    port: int
    client_id: int
    accounts: tuple[str, ...]
    account: str
    market_data: int
    crypto_exchange: str
    regular_hours: bool
    primary_exchanges: Mapping[str, str]
    timezone: str
    restart: Window | None
    silence: float
    patience: float
    commission_wait: float
    rate: int
    domain: str
    brackets: bool


def read(options: Mapping[str, Any]) -> IbOptions:
    """The settings; ValueError names the first that is wrong."""
    made = table.read(options, _READERS, _IGNORED)
    accounts, domain = made["accounts"], "paper" if made["port"] in PAPER_PORTS else "live"
    one = accounts if isinstance(accounts, str) and accounts.upper() != NO_ACCOUNT else ""
    made |= {"accounts": () if isinstance(accounts, str) else accounts, "domain": made["domain"] or domain}
    return IbOptions(**made, account=one)


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    return table.mistakes(options, _READERS, _IGNORED)


_IGNORED = frozenset({"route"})
"""What the environment gives to every kind and this one does not need: a route is the order's own."""


def _accounts(value: Any) -> tuple[str, ...] | str:
    """A list keeps the venue to these accounts; one name, as API_ACCOUNT gives it, is only the one at the start."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError('give a list of accounts, such as ["DU1234567"]')
    return tuple(each.strip() for each in value)


def _domain(value: Any) -> str:
    return table.word(value) if value != "" else ""


def _brackets(value: Any) -> bool:
    if value not in ("native", "gateway"):
        raise ValueError("give native (exits go to IB with their entry) or gateway (they follow its fills)")
    return bool(value == "native")


def _commission_wait(value: Any) -> float:
    seconds = table.seconds(0.0)(value)
    if seconds > LONGEST_WAIT:
        raise ValueError(f"give seconds, from 0 to {LONGEST_WAIT:g}")
    return seconds


def _data_type(value: Any) -> int:
    if value not in DATA_TYPES:
        raise ValueError(f"give one of {', '.join(DATA_TYPES)}")
    return DATA_TYPES[value]


def _code(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z0-9.]{1,16}", value):
        raise ValueError("give an exchange in capitals, such as NASDAQ or PAXOS")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("give true or false")
    return value


def _exchanges(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
        raise ValueError('give a table of exchanges by symbol, such as {MSFT = "NASDAQ"}')
    return MappingProxyType({symbol.upper(): _code(exchange) for symbol, exchange in value.items()})


def _timezone(value: Any) -> str:
    try:
        return str(pytz.timezone(str(value)).zone)
    except pytz.UnknownTimeZoneError:
        raise ValueError("there is no such time zone; give one such as America/New_York") from None


def _window(value: Any) -> Window | None:
    if not isinstance(value, str):
        raise ValueError('give a time of day such as "23:45-00:45 America/New_York", or "" for none')
    return window.parse(value)


_READERS: table.Readers = {
    "host": ("localhost", table.word),
    "port": (7497, table.port("TWS or IB Gateway")),
    "client_id": (0, table.whole(0, 2**31 - 1, "give a client number, a whole number from 0 to 2147483647")),
    "accounts": ("", _accounts),
    "market_data": ("live", _data_type),
    "crypto_exchange": ("PAXOS", _code),
    "regular_hours": (False, _flag),
    "primary_exchanges": (MappingProxyType({}), _exchanges),
    "timezone": ("America/New_York", _timezone),
    "restart": ("23:45-00:45 America/New_York", _window),
    "silence": (15, table.seconds(0.5)),
    "patience": (10, table.seconds(0.1)),
    "commission_wait": (1, _commission_wait),
    "rate": (45, table.whole(1, 100_000, "give messages a second, a whole number from 1")),
    "domain": ("", _domain),
    "brackets": ("native", _brackets),
}
