"""The TWS wire without sockets: length-prefixed messages of text fields, each field ended by a NUL."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

GREETING = b"API\0"
LARGEST = 1 << 24
UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INTEGER = 2147483647
SMALLEST = 18
"""Numbers with more digits than that before or behind the point mean nothing."""


class NotUnderstood(ValueError):
    """A message that means nothing on this wire."""


def text(value: Any) -> str:
    """A field as it is sent: booleans are 1 and 0, None is empty, a Decimal has no exponent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def pack(*fields: Any) -> bytes:
    """A message."""
    body = "".join(text(field) + "\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


class Frames:
    """Bytes in, messages out; first the client's greeting and its range of versions."""

    def __init__(self) -> None:
        self._data = b""
        self.versions: tuple[int, int] | None = None

    def receive(self, data: bytes) -> Iterator[list[str]]:
        """The messages that are whole now, as fields. The greeting is none: it sets `versions`."""
        self._data += data
        if self.versions is None:
            if not self._data.startswith(GREETING[: len(self._data)]):
                raise NotUnderstood("a client begins with API and a NUL")
            if len(self._data) < len(GREETING) + 4 or self._short(len(GREETING)):
                return
            self._data = self._data[len(GREETING) :]
            self.versions = _versions(self._take())
        while len(self._data) >= 4 and not self._short(0):
            yield self._take().decode("utf-8", "replace").split("\0")[:-1]

    def _short(self, offset: int) -> bool:
        (length,) = struct.unpack_from(">I", self._data, offset)
        if length > LARGEST:
            raise NotUnderstood(f"a message of {length} bytes")
        return bool(len(self._data) < offset + 4 + length)

    def _take(self) -> bytes:
        (length,) = struct.unpack_from(">I", self._data)
        body, self._data = self._data[4 : 4 + length], self._data[4 + length :]
        return body


def _versions(raw: bytes) -> tuple[int, int]:
    found = re.match(rb"v(\d+)(?:\.\.(\d+))?", raw)
    if not found:
        raise NotUnderstood(f"a range of versions is v157..178, not {raw!r}")
    first = int(found[1])
    return first, int(found[2] or first)


class Reader:
    """The fields of one message, taken one after the other."""

    def __init__(self, fields: list[str]) -> None:
        self._fields = fields
        self._at = 0

    def next(self) -> str:
        """The next as it is."""
        if self._at >= len(self._fields):
            raise NotUnderstood(f"only {self._at} fields: {self._fields[:4]}")
        self._at += 1
        return self._fields[self._at - 1]

    def int(self, otherwise: int = 0) -> int:
        """A whole number; empty: `otherwise`."""
        raw = self.next()
        try:
            value = int(raw) if raw else otherwise
        except ValueError:
            value = 1 << 64
        if abs(value) >> 63:
            raise NotUnderstood(f"field {self._at} is {raw[:40]!r}, not a whole number")
        return value

    def bool(self) -> bool:
        """1 or true is yes."""
        return self.next().lower() in ("1", "true")

    def decimal(self) -> Decimal | None:
        """A number; None when it is empty or the wire's largest."""
        raw = self.next()
        if raw in ("", UNSET_DOUBLE, "1.7976931348623157e+308"):
            return None
        try:
            value = Decimal(raw)
        except InvalidOperation:
            raise NotUnderstood(f"field {self._at} is {raw!r}, not a number") from None
        if not value.is_finite() or (value and not -SMALLEST <= value.adjusted() <= SMALLEST):
            raise NotUnderstood(f"field {self._at} is {raw!r}, not a number")
        return value.normalize()

    def skip(self, count: int = 1) -> None:
        """So many are of no use."""
        for _ in range(count):
            self.next()

    def rest(self) -> list[str]:
        """Those that nobody has taken."""
        return self._fields[self._at :]
