"""Order numbers of one client id: each is used once, for to send one again is to change the order that has it.

TWS's own counter can roll back (its settings were reset, another machine): a file remembers how far we were. It is
written a block ahead, so that it costs nothing per order, and a crash skips numbers rather than using them again.
"""

from __future__ import annotations

import os
from pathlib import Path

from txgateway.model.errors import GatewayError

BLOCK = 1000
MOST = 2**30
"""From here on numbers are those of questions, which share TWS's error messages with orders."""


class Numbers:
    """The next order number, in `folder` by client id."""

    def __init__(self, folder: Path, client_id: int) -> None:
        self._folder = folder
        self._path = folder / f"order-numbers.{client_id}"
        self._next = 0
        self._reserved = 0

    def begin(self, valid: int) -> None:
        """A link is there and TWS says that this is its next valid number: at least this, and none of before."""
        if valid >= MOST:
            text = f"TWS's next order number is {valid}, and those here end at {MOST - 1}"
            raise GatewayError(f"{text}: in TWS's API settings, reset the API order ID sequence")
        if not self._reserved:
            self._next = self._reserved = self._read()
        self._next = max(self._next, valid, 1)

    def seen(self, number: int) -> None:
        """An order has this number."""
        if number < MOST:
            self._next = max(self._next, number + 1)

    def take(self) -> int:
        """A number that no order of this client had."""
        number = self._next
        if number >= self._reserved:
            self._write(number + BLOCK)
        self._next += 1
        return number

    def _read(self) -> int:
        try:
            return int(self._path.read_text("ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            raise OSError(f"{self._path} has no number: write the last order number of this client into it") from None

    def _write(self, reserved: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        made = self._path.with_suffix(self._path.suffix + ".new")
        with made.open("w", encoding="ascii") as file:
            file.write(f"{reserved}\n")
            file.flush()
            os.fsync(file.fileno())
        made.replace(self._path)
        self._reserved = reserved
