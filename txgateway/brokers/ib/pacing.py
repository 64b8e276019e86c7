"""IB's limits on historical questions: 60 in ten minutes, 5 of a contract in a moment, none twice in 15 s. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

MOST = 60
WINDOW = 600.0
SAME = 15.0
BURST, BURST_WINDOW = 5, 2.5
"""Half a second more than IB's two: questions do not come there as evenly as they leave here."""


class Pacing:
    """What was asked, when, and what was answered in the last seconds."""

    def __init__(self, most: int = MOST, window: float = WINDOW, same: float = SAME) -> None:
        self._most = most
        self._window = window
        self._same = same
        self._asked: deque[tuple[float, Hashable]] = deque()
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    def wait(self, now: float, contract: Hashable) -> float:
        """Seconds until one more may be asked of a contract; 0 when it may be asked now."""
        while self._asked and now - self._asked[0][0] >= self._window:
            self._asked.popleft()
        its = [at for at, of in self._asked if of == contract and now - at < BURST_WINDOW]
        ends = [its[-BURST] + BURST_WINDOW] if len(its) >= BURST else []
        if len(self._asked) >= self._most:
            ends.append(self._asked[0][0] + self._window)
        return max([0.0, *(end - now for end in ends)])

    def asked(self, now: float, contract: Hashable) -> None:
        """One was asked."""
        self._asked.append((now, contract))

    def answered(self, key: Hashable, answer: Any, now: float) -> None:
        """What came of it: it stands for the same question for 15 seconds."""
        self._answers[key] = (now, answer)

    def known(self, key: Hashable, now: float) -> Any:
        """The answer to this very question, if it is fresh; else None."""
        for old in [each for each, (at, _) in self._answers.items() if now - at >= self._same]:
            del self._answers[old]
        found = self._answers.get(key)
        return None if found is None else found[1]
