"""The settings of a ccxt venue, as text or TOML values, read into one frozen object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from txgateway import options as table

DOMAINS = ("live", "testnet", "demo")
MARKETS = ("", "spot", "swap")


@dataclass(frozen=True, slots=True)
class CcxtOptions:
    """Which exchange, and how it is spoken to.

    `exchange` is ccxt's name of it. `market`: spot or swap, where it has both (empty: what it is first of all); `kind`:
    which of the two that comes to.
    `url` and `stream_url`, for an emulator or a proxy, stand for the scheme and host of each of its addresses; what
    path they have goes before the address's own.
    `symbols`: only these pairs, or pairs with these quote currencies; empty: all. `quotes`: the currencies that are
    cash, in the order in which a holding's pair is looked for. `silence`: after so many seconds without a sign of life
    the link is given up. `patience`: so long an answer may take. `throttle`: keep to the exchange's rate limits, of
    which `share` is ours. `raw`: its own endpoints may be called by hand.
    """

    exchange: str
    key: str
    secret: str
    password: str
    uid: str
    market: str
    domain: str
    url: str
    stream_url: str
    account: str
    symbols: tuple[str, ...]
    quotes: tuple[str, ...]
    silence: float
    patience: float
    throttle: bool
    share: float
    raw: bool
    kind: str = ""

    def __repr__(self) -> str:
        return f"CcxtOptions(exchange={self.exchange!r}, market={self.market!r}, domain={self.domain!r})"


def read(options: Mapping[str, Any]) -> CcxtOptions:
    """The settings; ValueError names the first that is wrong."""
    found = table.read(options, _READERS, secret=SECRET)
    found["account"] = found.pop("accounts")
    return CcxtOptions(**found)


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    return table.mistakes(options, _READERS)


SECRET = frozenset({"key", "secret", "password"})
"""What is never shown."""


def _exchange(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9]{1,40}", value):
        raise ValueError("give ccxt's name of the exchange, such as binance, binanceusdm, coinbase or woo")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise ValueError("give a text")
    return value.replace("\\n", "\n").strip()


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def read_word(value: Any) -> str:
        if value not in words:
            raise ValueError(f"give one of {', '.join(word for word in words if word)}")
        return str(value)

    return read_word


def _address(schemes: tuple[str, ...]) -> Callable[[Any], str]:
    def read_address(value: Any) -> str:
        if value == "":
            return ""
        try:
            parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
            right = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right or parts.query:
            raise ValueError(f"give a scheme ({' or '.join(schemes)}), a host and a port")
        return str(value).rstrip("/")

    return read_address


def _account(value: Any) -> str:
    """One name: a key is of one account."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or len(names) != 1 or not isinstance(names[0], str):
        raise ValueError("give the one name by which this account is known here: a key is of one account")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", names[0].strip()):
        raise ValueError("give a name of letters, digits, dots, _ and -")
    return names[0].strip()


def _words(pattern: str, instead: str) -> Callable[[Any], tuple[str, ...]]:
    def read_words(value: Any) -> tuple[str, ...]:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not all(isinstance(each, str) for each in words):
            raise ValueError(instead)
        named = tuple(each.strip().upper() for each in words if each.strip())
        if not all(re.fullmatch(pattern, each) for each in named):
            raise ValueError(instead)
        return named

    return read_words


def _pairs(value: Any) -> tuple[str, ...]:
    named = _words(_PAIR, "give pairs or quote currencies")(value)
    for each in named:
        if found := re.fullmatch(_GLUED, each):
            base, quote = found[1] or found[3], found[2] or found[4]
            raise ValueError(f"a pair is written {base}/{quote}, not {each}: give pairs or quote currencies")
    return named


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("give true or false")
    return value


def _share(value: Any) -> float:
    text = str(value)
    number = float(text) if re.fullmatch(r"\d?\.?\d{1,6}", text) else 0.0
    if isinstance(value, bool) or not 0.01 <= number <= 1:
        raise ValueError("give a share, from 0.01 to 1")
    return number


_PAIR = r"[A-Z0-9.$*-]{1,32}(/[A-Z0-9.$*-]{1,32})?(:[A-Z0-9-]{1,32})?"
_GLUED = r"([A-Z0-9]{2,})-?(USDT|USDC)|([A-Z0-9]{2,})-(USD|EUR|GBP|BTC|ETH)"
"""An exchange's own name of a pair: as a quote currency it would leave out every pair, and say nothing."""
_CURRENCIES = _words(r"[A-Z0-9.$*-]{1,32}", 'give currencies, such as ["USDT", "USD"]')

_READERS: table.Readers = {
    "exchange": ("binance", _exchange),
    "key": ("", _text),
    "secret": ("", _text),
    "password": ("", _text),
    "uid": ("", _text),
    "market": ("", _one_of(MARKETS)),
    "domain": ("live", _one_of(DOMAINS)),
    "url": ("", _address(("https", "http"))),
    "stream_url": ("", _address(("wss", "ws"))),
    "accounts": ("api_account", _account),
    "symbols": ("", _pairs),
    "quotes": ("USDT,USDC,USD,EUR", _CURRENCIES),
    "silence": (15, table.seconds(0.1)),
    "patience": (10, table.seconds(0.1)),
    "throttle": (True, _flag),
    "share": (1, _share),
    "raw": (False, _flag),
}
