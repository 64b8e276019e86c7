"""What a request asks, read and checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.emulators.woo.errors import Fault

LARGEST = 2**63 - 1


class Asked:
    """A request's parameters, by v3's names."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value not in (None, "")}

    def text(self, name: str, otherwise: str = "") -> str:
        """As it was written."""
        return str(self.values.get(name, otherwise))

    def needed(self, name: str) -> str:
        """The same; a Fault when it is missing."""
        if name not in self.values:
            raise Fault(-1005, f"{name} must not be blank")
        return str(self.values[name])

    def number(self, name: str) -> Decimal | None:
        """None: it is not there."""
        if name not in self.values:
            return None
        try:
            value = Decimal(str(self.values[name]))
        except InvalidOperation:
            value = Decimal("NaN")
        if isinstance(self.values[name], bool) or not value.is_finite() or value < 0:
            raise Fault(-1005, f"{name} must be a positive number")
        return value or None

    def whole(self, name: str, otherwise: int) -> int:
        """A whole number from 0."""
        value = self.values.get(name, otherwise)
        if isinstance(value, bool) or not str(value).isdigit():
            raise Fault(-1005, f"{name} must be an integer")
        return int(value)

    def client_id(self, name: str) -> str:
        """A client's id of an order, empty for 0 or none: an integer of 63 bits."""
        text = self.text(name, "0")
        if not text.isdigit() or int(text) > LARGEST:
            raise Fault(317164, "Invalid client order id")
        return str(int(text)) if int(text) else ""

    def yes(self, name: str) -> bool:
        """true, or not."""
        return str(self.values.get(name, "")).lower() == "true"

    def unknown(self, known: frozenset[str]) -> list[str]:
        """Names that there are and should not be."""
        return sorted(set(self.values) - known)
