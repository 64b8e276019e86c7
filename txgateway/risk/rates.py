"""What happened lately: how often, and whether the very same already. Time is an argument; it should not run back."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class Windows:
    """Counts of things in the last so many seconds, by key."""

    def __init__(self) -> None:
        self._times: dict[Hashable, deque[float]] = {}

    def add(self, key: Hashable, now: float, seconds: float) -> None:
        """One more; what is older than so many seconds is forgotten."""
        times = self._times.setdefault(key, deque())
        times.append(now)
        while times[0] <= now - seconds:
            times.popleft()

    def count(self, key: Hashable, now: float, seconds: float) -> int:
        """How many in the last seconds; what is older is forgotten."""
        times = self._times.get(key)
        if times is None:
            return 0
        while times and times[0] <= now - seconds:
            times.popleft()
        return len(times)

    def clear(self, key: Hashable) -> None:
        """Count from nothing again."""
        self._times.pop(key, None)


class Recent:
    """When each thing was last seen; what is older than the longest window asked about is forgotten."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, float] = {}
        self.longest = 0.0

    def add(self, thing: Hashable, now: float) -> None:
        """Seen now."""
        self._seen.pop(thing, None)
        self._seen[thing] = now
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest] > now - self.longest:
                return
            del self._seen[oldest]

    def since(self, thing: Hashable, now: float) -> float | None:
        """Seconds since it was last seen; None when it was not."""
        at = self._seen.get(thing)
        return None if at is None else max(0.0, now - at)
