"""A venue's options, read by its kind's table: name -> (default, reader). By ValueError a reader says what to give."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

Reader = Callable[[Any], Any]
Readers = Mapping[str, tuple[Any, Reader]]
UNKNOWN = "there is no such option"
"""What is said of an option that no table has: its value is not shown, it may be a secret whose name is misspelt."""


def read(
    options: Mapping[str, Any], readers: Readers, ignored: Collection[str] = (), secret: Collection[str] = ()
) -> dict[str, Any]:
    """Every option's value; ValueError names the first that is wrong, and shows it unless it is or may be `secret`."""
    wrong = mistakes(options, readers, ignored)
    if wrong:
        name, instead = next(iter(wrong.items()))
        shown = "" if name in secret or name not in readers else f"={options.get(name)!r}"
        raise ValueError(f"{name}{shown}: {instead}.")
    return {name: reader(options.get(name, default)) for name, (default, reader) in readers.items()}


def mistakes(options: Mapping[str, Any], readers: Readers, ignored: Collection[str] = ()) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    wrong: dict[str, str] = {}
    for name, value in options.items():
        if name in ignored:
            continue
        if name not in readers:
            close = get_close_matches(name, [*readers], n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            wrong[name] = f"{UNKNOWN}{hint}; correct it or take it away"
            continue
        try:
            readers[name][1](value)
        except ValueError as error:
            wrong[name] = str(error)
    return wrong


# ---------------------------------------------------------------- readers


def word(value: Any) -> str:
    """A name or an address."""
    if not isinstance(value, str) or not re.fullmatch(r"\S{1,255}", value):
        raise ValueError("give a name or an address without spaces")
    return value


def whole(low: int, high: int, instead: str) -> Reader:
    """A whole number."""

    def read_whole(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,10}", str(value)) or not low <= int(value) <= high:
            raise ValueError(instead)
        return int(value)

    return read_whole


def port(of: str) -> Reader:
    """The port that somebody listens on."""
    return whole(1, 65535, f"give the port that {of} listens on, a whole number from 1 to 65535")


def seconds(low: float) -> Reader:
    """A time to wait, an hour at most."""

    def read_seconds(value: Any) -> float:
        text = str(value)
        number = float(text) if re.fullmatch(r"\d{0,4}\.?\d{1,6}", text) else -1.0
        if isinstance(value, bool) or not low <= number <= 3600:
            raise ValueError(f"give seconds, from {low:g} to 3600")
        return number

    return read_seconds
