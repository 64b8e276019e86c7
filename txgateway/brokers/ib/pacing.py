"""IB's limits on historical questions: 60 in ten minutes, and none twice within 15 seconds. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

MOST = 60
WINDOW = 600.0
SAME = 15.0


class Pacing:
    """What was asked, when, and what was answered in the last seconds."""

    def __init__(self, most: int = MOST, window: float = WINDOW, same: float = SAME) -> None:
        self._most = most
        self._window = window
        self._same = same
        self._asked: deque[float] = deque()
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    def wait(self, now: float) -> float:
        """Seconds until one more may be asked; 0 when it may be asked now."""
        while self._asked and now - self._asked[0] >= self._window:
            self._asked.popleft()
        return 0.0 if len(self._asked) < self._most else self._asked[0] + self._window - now

    def asked(self, now: float) -> None:
        """One was asked."""
        self._asked.append(now)

    def answered(self, key: Hashable, answer: Any, now: float) -> None:
        """What came of it: it stands for the same question for 15 seconds."""
        self._answers[key] = (now, answer)

    def known(self, key: Hashable, now: float) -> Any:
        """The answer to this very question, if it is fresh; else None."""
        for old in [each for each, (at, _) in self._answers.items() if now - at >= self._same]:
            del self._answers[old]
        found = self._answers.get(key)
        return None if found is None else found[1]
