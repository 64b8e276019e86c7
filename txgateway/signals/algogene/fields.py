"""What a call carries, by name: each as the type it is meant to be, or BadSignal with a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

from txgateway.signals import MOST_INSTRUCTIONS, BadSignal, Post, from_json, number, shown

LONGEST = 200
"""Characters of a text."""
HIGHEST_ID = 10**18
"""Above every tradeID."""
KNOWN = frozenset(
    {"user", "api_key", "token", "runmode", "accountid", "instrument", "expiry", "right", "strike", "buysell", "volume"}
    | {"ordertype", "price", "timeinforce", "takeProfitLevel", "stopLossLevel", "holdtime", "orderRef", "callback"}
    | {"openclose", "tradeID", "tradeIDs"}
)
"""The members of the calls that ask for something."""
_ABSENT = (None, "")
_PLAIN = {re.sub(r"[\W_]", "", each).casefold(): each for each in KNOWN}
_MEANT = {
    "stop": "stopLossLevel (a STOP order's own price is price)",
    "loss": "stopLossLevel",
    "profit": "takeProfitLevel",
    "hold": "holdtime",
    "expir": "timeinforce (seconds that an order waits), or expiry (of a contract)",
}
"""What guards a trade, by what a name for it has in it."""


class Fields:
    """The arguments of one call. What is missing, null or empty was not given."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    @classmethod
    def of(cls, post: Post) -> Fields:
        """A body is a JSON object, whatever its Content-Type; without one the query counts."""
        if not post.body.strip():
            return cls(post.query)
        given = from_json(post.body)
        if not isinstance(given, dict):
            raise BadSignal("The body is no JSON object: send the call's arguments by name, as json.dumps writes them.")
        return cls(given)

    def check_names(self) -> None:
        """BadSignal for a name that is nearly a known one: a stop loss that is not read guards nothing."""
        for name in self._given:
            plain = re.sub(r"[\W_]", "", name).casefold()
            meant = _PLAIN.get(plain) or next((right for part, right in _MEANT.items() if part in plain), None)
            if meant is not None and name not in KNOWN:
                raise BadSignal(f"{shown(name)} is no member of this call: write {meant}.")

    def mark(self, call: str) -> str:
        """By what the very same call is recognised, whatever its session."""
        said = {name: value for name, value in self._given.items() if name != "token"}
        return f"{call}:{sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()}"

    def has(self, name: str) -> bool:
        """Whether it was given."""
        return self._given.get(name) not in _ABSENT

    def text(self, name: str, default: str | None = None) -> str:
        """A text or a number as text; without a default it must be there."""
        value = self._given.get(name)
        if value in _ABSENT:
            if default is None:
                raise BadSignal(f"{name} is missing.")
            return default
        if isinstance(value, bool | list | dict):
            raise BadSignal(f"{name} {shown(value)} is no text.")
        text = str(value)
        if len(text) > LONGEST or not text.isprintable():
            raise BadSignal(f"{name} {shown(text)} is no text of {LONGEST} letters at most.")
        return text

    def number(self, name: str) -> Decimal | None:
        """A number of zero or more; None where it was not given."""
        if not self.has(name):
            return None
        value = self._given[name]
        found = number(value.strip() if isinstance(value, str) else value, name)
        if found < 0:
            raise BadSignal(f"{name} {shown(value)} must not be below zero.")
        return found

    def above_zero(self, name: str) -> Decimal | None:
        """A number above zero; None where it was not given, or is zero, which stands for none."""
        return self.number(name) or None

    def needed(self, name: str) -> Decimal:
        """A number above zero that must be there."""
        found = self.number(name)
        if not found:
            raise BadSignal(f"{name} is missing." if found is None else f"{name} must be above zero.")
        return found

    def whole(self, name: str) -> int | None:
        """A whole number of zero or more; None where it was not given."""
        found = self.number(name)
        if found is None:
            return None
        if found != found.to_integral_value() or found >= HIGHEST_ID:
            raise BadSignal(f"{name} {shown(self._given[name])} is no whole number.")
        return int(found)

    def trade(self) -> str:
        """The tradeID."""
        if not self.has("tradeID"):
            raise BadSignal("tradeID is missing.")
        return _trade(self._given["tradeID"])

    def trades(self) -> tuple[str, ...]:
        """The tradeIDs: one, several with commas between, or a list; each once."""
        given = self._given.get("tradeIDs")
        if given in _ABSENT:
            raise BadSignal("tradeIDs is missing.")
        if isinstance(given, str):
            given = [each for each in given.split(",") if each.strip()]
        found = tuple(dict.fromkeys(_trade(each) for each in (given if isinstance(given, list) else [given])))
        if not 0 < len(found) <= MOST_INSTRUCTIONS:
            raise BadSignal(f"tradeIDs names {len(found)} trades: give 1 to {MOST_INSTRUCTIONS} of them.")
        return found


def _trade(value: Any) -> str:
    """A tradeID, an int or its text, as it is written everywhere."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) < HIGHEST_ID):
        raise BadSignal(f"tradeID {shown(value)} is no tradeID: open_order gives them.")
    return str(int(text))
