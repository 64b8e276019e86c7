"""What an emulator does later; when it ends, nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Handle(Protocol):
    """What Twisted's `callLater` and asyncio's `call_later` give."""

    def cancel(self) -> object:
        """It is not done."""


class Calls:
    """Those that wait for their time."""

    def __init__(self, call_later: Callable[[float, Callable[[], Any]], Handle]) -> None:
        self._call_later = call_later
        self._waiting: set[Handle] = set()

    def later(self, seconds: float, do: Callable[[], Any]) -> None:
        """Do it after so many seconds; at once for none."""
        if seconds <= 0:
            do()
            return

        def run() -> None:
            self._waiting.discard(handle)
            do()

        handle = self._call_later(seconds, run)
        self._waiting.add(handle)

    def every(self, seconds: float, do: Callable[[], Any]) -> None:
        """Do it again and again; the first time after so many seconds, of which there must be some."""
        assert seconds > 0

        def again() -> None:
            self.every(seconds, do)
            do()

        self.later(seconds, again)

    def cancel(self) -> None:
        """All of them."""
        for handle in self._waiting:
            handle.cancel()
        self._waiting.clear()
