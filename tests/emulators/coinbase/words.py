"""What a request of either venue asks, read and checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


class Wrong(Exception):
    """What was asked makes no sense, or cannot be: an HTTP status, a word of the venue's list, a sentence."""

    def __init__(self, status: int, text: str, word: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.word = word


class Asked:
    """A request's parameters; a name may have several values."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.values: dict[str, list[Any]] = {}
        for name, value in pairs:
            self.values.setdefault(name, []).append(value)

    def text(self, name: str, otherwise: str = "") -> str:
        """The first value, as it was written."""
        return str(self.values.get(name, [otherwise])[0])

    def several(self, *names: str) -> list[str]:
        """All values of names, those with commas taken apart."""
        found = [str(value) for name in names for value in self.values.get(name, [])]
        return [word for value in found for word in value.split(",") if word]

    def whole(self, name: str, otherwise: int, most: int = 2**62) -> int:
        """A whole number, at most so large."""
        text = self.text(name, str(otherwise))
        if not text.isdigit():
            raise Wrong(400, f"{name} must be an integer", "INVALID_ARGUMENT")
        return min(int(text), most)

    def time(self, name: str, otherwise: float) -> float:
        """ISO 8601, or seconds since 1970."""
        return moment(self.text(name), name) if name in self.values else otherwise


def moment(text: str, name: str) -> float:
    """ISO 8601, or seconds since 1970."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(400, f"{name} is not a time", "INVALID_ARGUMENT") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def number(values: Mapping[str, Any], name: str) -> Decimal | None:
    """Of a JSON object; None: it is not there."""
    given = values.get(name)
    if given is None or given == "":
        return None
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(given, bool) or not value.is_finite() or value <= 0:
        raise Wrong(400, f"{name} must be a positive number", "INVALID_ARGUMENT")
    return value
