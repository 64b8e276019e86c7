"""Symbols as senders write them, and the other spellings that the same instrument may have at a venue. Pure.

What would be a guess is never made: the contract behind a continuous future (`NQ1!`), the leg of a spread, spot for a
perpetual's unified name. Only a source's own map names those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

QUOTES = ("FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BTC", "ETH")
"""The currencies in which a pair is told from a plain name."""
_EXCHANGE = re.compile(r"[A-Z0-9_]+:")
_CONTINUOUS = re.compile(r"\d!$")
_UNIFIED = re.compile(r"(?P<base>[A-Z0-9]+)/(?P<quote>[A-Z0-9]+)(?P<settled>:(?:(?P=quote)|(?P=base)))?$")
_PARTED = re.compile(rf"(?P<base>[A-Z0-9]+)[-_](?P<quote>{'|'.join(QUOTES)})$")
_JOINED = re.compile(rf"(?P<base>[A-Z0-9]{{2,}}?)(?P<quote>{'|'.join(QUOTES)})$")


def candidates(text: str) -> tuple[str, ...]:
    """The spellings to look for at a venue, the likeliest first: as written, without the exchange, then as a pair.

    In capitals, as the desk writes symbols; a venue named behind `@` stays.
    """
    name, at, venue = text.strip().partition("@")
    name = name.strip().upper()
    found = [name, *_spellings(name)] if name else []
    return tuple(f"{each}{at}{venue}" for each in dict.fromkeys(found))


def mapped(symbols: Mapping[str, str], text: str) -> str | None:
    """What a source's map makes of a symbol, in whichever of its spellings the map has it; None: nothing."""
    if text in symbols:
        return symbols[text]
    capitals = {name.upper(): symbol for name, symbol in symbols.items()}
    return next((capitals[each.upper()] for each in candidates(text) if each.upper() in capitals), None)


def _spellings(name: str) -> list[str]:
    plain = _without_exchange(name)
    if _CONTINUOUS.search(plain):
        return [plain]
    if plain.endswith(".P") and (pair := _JOINED.match(plain.removesuffix(".P"))):
        return [plain, "{base}/{quote}:{quote}".format(**pair.groupdict()), plain.removesuffix(".P")]
    pair = _UNIFIED.match(plain) or _PARTED.match(plain) or _JOINED.match(plain)
    if pair is None:
        return [plain]
    base, quote = pair["base"], pair["quote"]
    if pair.groupdict().get("settled"):
        return [plain, f"{base}{quote}.P", f"{base}{quote}"]
    return [plain, f"{base}{quote}", f"{base}/{quote}", f"{base}-{quote}", f"{base}_{quote}"]


def _without_exchange(name: str) -> str:
    """`BINANCE:SOLUSDT` without its `BINANCE:`; a pair's settlement currency and the legs of a spread are none."""
    prefix = _EXCHANGE.match(name)
    rest = name[prefix.end() :] if prefix else ""
    return rest if rest and (_UNIFIED.match(rest) or not {":", "/"} & set(rest)) else name
