"""WOO's rate limits: so many requests in so many seconds, of an account or an address, some of them a symbol each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.crypto.orders import Account

if TYPE_CHECKING:
    from tests.emulators.woo.routes import Call


class Limits:
    """What was asked when."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._asked: dict[tuple[object, ...], deque[float]] = {}

    def exceeded(self, call: Call, request: web.BaseRequest, account: Account | None, symbol: str) -> bool:
        """Whether it was asked too often; it counts if not."""
        key = (call, account.name if account else request.remote, symbol if call.by_symbol else "")
        times, now = self._asked.setdefault(key, deque()), self.now()
        while times and times[0] <= now - call.seconds:
            times.popleft()
        if len(times) >= call.most:
            return True
        times.append(now)
        return False
