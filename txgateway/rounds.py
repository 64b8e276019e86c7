"""What is done each second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

log = Logger()

SECONDS = 1.0


class Rounds:
    """Steps that are done one after the other, each second; one that fails keeps no other from being done."""

    def __init__(self, steps: Sequence[Callable[[], None]], reactor: Any, failed: Callable[[str], None]) -> None:
        self._steps = steps
        self._reactor = reactor
        self._failed = failed
        self._next: Any = None

    def start(self) -> None:
        """Begin, a second from now."""
        self._next = self._reactor.callLater(SECONDS, self._go)

    def stop(self) -> None:
        """Do nothing more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _go(self) -> None:
        self.start()
        for step in self._steps:
            try:
                step()
            except Exception:
                log.failure("What is done each second failed at {step}; the rest is done.", step=step.__qualname__)
                self._failed("what is done each second")
