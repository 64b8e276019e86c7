"""What may be meant by a symbol that is none here: the exchange's own name of a pair, another market's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from txgateway.brokers.ccxt import translate

MOST = 3
"""Pairs that are named."""


def spelling(written: str, markets: Mapping[str, Any], kind: str, symbols: tuple[str, ...]) -> str:
    """What to write instead, as the end of a sentence; empty where nothing is like it."""
    market = markets.get(written)
    other = market.get("type") if market is not None else None
    if other in ("spot", "swap") and other != kind:
        return f"it is of the {other} market, which is a venue of its own, with the option market = {other}."
    if market is not None and market.get("active") is False:
        return "the exchange does not trade it at present."
    if market is not None and not translate.traded(market, kind, ()):
        return "it is of a kind that is not traded here."
    if market is not None:
        return "it is left out by the venue's option symbols."
    plain = _letters(written)
    found = [
        symbol
        for symbol, each in markets.items()
        if plain in (_letters(str(each.get("id"))), _letters(f"{each.get('base')}{each.get('quote')}"))
        and plain
        and translate.traded(each, kind, symbols)
    ]
    return f"did you mean {' or '.join(sorted(found)[:MOST])}?" if found else ""


def _letters(written: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", written.upper())
