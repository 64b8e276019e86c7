"""The prices of what is held and nobody listens to: without them nobody knows what it is worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from txgateway.guard import Guard
from txgateway.intake import Intake
from txgateway.model.events import VenueStatus


class Pricing:
    """Asks the market once for each symbol that limits in money need a price of."""

    def __init__(self, guard: Guard, intake: Intake, market: Callable[[str, str], Awaitable[object]]) -> None:
        self._guard = guard
        self._intake = intake
        self._market = market
        self._asked: set[tuple[str, str]] = set()

    def watch(self) -> None:
        """Listen to what has no price yet, at the venues that are up."""
        for place in self._guard.unpriced() - self._asked:
            if self._intake.status.get(place[0]) is VenueStatus.UP:
                self._asked.add(place)
                self._intake.go(self._ask(*place), f"the price of {place[1]}")

    async def _ask(self, venue: str, symbol: str) -> None:
        await self._market(venue, symbol)
