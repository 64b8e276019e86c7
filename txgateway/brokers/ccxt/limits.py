"""How much may be asked of an exchange: pools that one request draws on together, a share of each, and a margin. Pure.

Counted here as it is sent, and by the exchange's own count where its answers have one: the higher of the two holds.
Cancels are never held back: the margin is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from txgateway.model.venue import RateLimit

MARGIN = 0.05
"""What of each limit is left for cancels."""
PATIENT = 0.75
"""What of the rest those requests may use that give way to all others."""
SLOTS = 60
"""A window is counted in so many parts."""
SHORT = 2.0
"""In windows of so many seconds it matters how long a request is on its way."""
LONGEST_BAN = 3 * 86400.0


class Counts(Enum):
    """What a pool counts."""

    WEIGHT = auto()
    REQUESTS = auto()
    PRIVATE = auto()
    """Requests with the key."""
    PUBLIC = auto()
    ORDERS = auto()
    SYMBOL_ORDERS = auto()
    """Orders of one symbol: each has as much."""


@dataclass(frozen=True, slots=True)
class Pool:
    """So much in so many seconds; `header` has what the exchange counted itself."""

    name: str
    limit: int
    seconds: float
    counts: Counts
    header: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request costs. `is_order`: it may make or change an order; `is_cancel`: it ends one; `is_patient`: it
    leaves room for others, so that none of them waits behind a long list of it."""

    weight: float = 1.0
    is_private: bool = False
    is_order: bool = False
    is_cancel: bool = False
    symbol: str = ""
    is_patient: bool = False


_ORDER = re.compile(r"(^|/)(order|orders|algoOrder)(/edit|/cancelReplace)?$")


def request(
    path: str, method: str, private: bool, weight: float, params: Mapping[str, object], is_patient: bool = False
) -> Request:
    """What a request is, by its path and method."""
    is_cancel = method == "DELETE" or "cancel" in path.rpartition("/")[2].lower().replace("cancelreplace", "")
    is_order = private and not is_cancel and method in ("POST", "PUT") and _ORDER.search(path) is not None
    symbol = params.get("symbol") or params.get("product_id") or ""
    return Request(weight, private, is_order, is_cancel, str(symbol), is_patient)


class Pools:
    """What was used of each limit. `seconds` count up from whenever (unix seconds where the exchange's windows do)."""

    def __init__(self, pools: Sequence[Pool], share: float = 1.0) -> None:
        self.pools = tuple(pools)
        self._share = share
        self._used: dict[tuple[str, str], dict[int, float]] = {}
        self._told: dict[str, tuple[float, float]] = {}
        self._until = 0.0

    def wait(self, request: Request, now: float) -> float:
        """Seconds until it may be sent; nought: now."""
        if now < self._until:
            return self._until - now
        if request.is_cancel:
            return 0.0
        part = PATIENT if request.is_patient else 1.0
        waits = [self._wait(pool, cost, request.symbol, now, part) for pool, cost in self._drawn(request)]
        return max(waits, default=0.0)

    def charge(self, request: Request, now: float) -> None:
        """It is sent now."""
        for pool, cost in self._drawn(request):
            used = self._used.setdefault(self._key(pool, request.symbol), {})
            slot = self._slot(pool, now)
            used[slot] = used.get(slot, 0.0) + cost

    def ended(self, request: Request, sent: float, now: float) -> None:
        """What was sent then is over now: where a window is short, it may have arrived as late as that."""
        for pool, cost in self._drawn(request):
            if pool.seconds > SHORT:
                continue
            used = self._used.setdefault(self._key(pool, request.symbol), {})
            slot, last = self._slot(pool, sent), self._slot(pool, now)
            if slot in used:
                used[slot] = max(0.0, used[slot] - cost)
            used[last] = used.get(last, 0.0) + cost

    def answered(self, code: int, headers: Mapping[str, str], now: float) -> None:
        """What an answer's headers tell; after "too many" nothing is sent for as long as they say."""
        told = {name.lower(): value for name, value in headers.items()}
        for pool in self.pools:
            value = told.get(pool.header) if pool.header else None
            if value is not None and value.isdigit():
                self._told[pool.name] = (float(value), now)
        if code in (418, 429):
            after = told.get("retry-after", "")
            self._until = now + min(float(after) if after.isdigit() else 1.0, LONGEST_BAN)

    @property
    def banned_until(self) -> float:
        """Until when the exchange wants to hear nothing."""
        return self._until

    def shown(self, now: float) -> list[RateLimit]:
        """Each limit, our share of it, with what is left; of those that each symbol has, the tightest."""
        return [self._shown(pool, now) for pool in self.pools]

    # counting

    def _shown(self, pool: Pool, now: float) -> RateLimit:
        limit = max(1, int(pool.limit * self._share))
        keys = [key for key in self._used if key[0] == pool.name] or [(pool.name, "")]
        used, last = max((self._count(pool, key[1], now), self._newest(pool, key, now)) for key in keys)
        remaining = 0 if now < self._until else max(0, limit - round(used))
        reset = max(last + pool.seconds if used else 0.0, self._until if now < self._until else 0.0)
        when = datetime.fromtimestamp(reset, UTC) if reset > now else None
        return RateLimit(pool.name, limit, remaining, pool.seconds, when)

    def _drawn(self, request: Request) -> list[tuple[Pool, float]]:
        """The pools that a request draws on, and how much."""
        costs = {
            Counts.WEIGHT: request.weight,
            Counts.REQUESTS: 1.0,
            Counts.PRIVATE: float(request.is_private),
            Counts.PUBLIC: float(not request.is_private),
            Counts.ORDERS: float(request.is_order),
            Counts.SYMBOL_ORDERS: float(request.is_order),
        }
        return [(pool, costs[pool.counts]) for pool in self.pools if costs[pool.counts]]

    def _wait(self, pool: Pool, cost: float, symbol: str, now: float, part: float = 1.0) -> float:
        room = max(pool.limit * self._share * (1 - MARGIN) * part, cost)
        over = self._count(pool, symbol, now) + cost - room
        if over <= 0:
            return 0.0
        used, told = self._used.get(self._key(pool, symbol), {}), self._told.get(pool.name)
        if told is not None and sum(used.values()) + cost <= room:
            return max(0.001, self._ends(pool, told[1]) - now)  # it is the exchange's count that is in the way
        for slot in sorted(used):
            over -= used[slot]
            if over <= 0:
                return max(0.001, (slot + 1) * self._width(pool) + pool.seconds - now)
        return self._width(pool)

    def _count(self, pool: Pool, symbol: str, now: float) -> float:
        used = self._used.get(self._key(pool, symbol), {})
        gone = self._slot(pool, now - pool.seconds)
        for slot in [slot for slot in used if slot < gone]:
            del used[slot]
        ours = sum(used.values())
        told = self._told.get(pool.name)
        if told is None or now >= self._ends(pool, told[1]):
            return ours
        since = sum(cost for slot, cost in used.items() if slot > self._slot(pool, told[1]))
        return max(ours, told[0] + since)

    def _newest(self, pool: Pool, key: tuple[str, str], now: float) -> float:
        slots = self._used.get(key) or {self._slot(pool, now): 0.0}
        return (max(slots) + 1) * self._width(pool)

    def _key(self, pool: Pool, symbol: str) -> tuple[str, str]:
        return (pool.name, symbol if pool.counts is Counts.SYMBOL_ORDERS else "")

    def _width(self, pool: Pool) -> float:
        return pool.seconds / SLOTS

    def _slot(self, pool: Pool, at: float) -> int:
        return int(at // self._width(pool))

    def _ends(self, pool: Pool, at: float) -> float:
        """When the window in which the exchange counted ends."""
        return (at // pool.seconds + 1) * pool.seconds
