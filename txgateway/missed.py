"""Fills that nobody told us of: they are asked for again, told from those that are known, and taken in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from txgateway.brokers import Broker
from txgateway.intake import Intake
from txgateway.look import Look
from txgateway.model.execution import Execution
from txgateway.state import State


class Missed:
    """What a look takes in of a venue's executions: some in a turn, and none of another's account."""

    def __init__(self, state: State, intake: Intake, brokers: Mapping[str, Broker]) -> None:
        self._state = state
        self._intake = intake
        self._brokers = brokers

    async def unknown(self, look: Look, since: datetime | None) -> list[Execution]:
        """The venue's executions after `since` that are not among today's; the others are let go one by one.

        After a burst there are tens of thousands of them, and all but a few are known.
        """
        fills: list[Execution] = []
        asked = await look.answer(self._brokers[look.venue].executions(since))
        for number, told in enumerate(asked, 1):
            fill = _by(look.venue, told)
            if not self._intake.is_anothers(fill) and not self._intake.knows(fill):
                fills.append(fill)
            await look.pause(number)
        return fills

    async def take(self, look: Look, fills: Iterable[Execution]) -> None:
        """Take in what is not known of these; an order that a look could judge it still can."""
        for number, told in enumerate(fills, 1):
            await look.pause(number)
            fill = _by(look.venue, told)
            if self._intake.is_anothers(fill):
                continue
            before = self._intake.order_of(fill)
            stood = before is not None and look.may_judge(before)
            if await self._intake.take_fill(fill) and before is not None:
                after = self._state.order(before.order_id)
                look.filled.add(before.order_id)
                if stood and after is not None:
                    look.has_moved(after)

    async def ask(self, look: Look, since: datetime | None) -> None:
        """Ask for the executions after `since` (None: for all that are kept), and take in what is not known."""
        await self.take(look, await look.answer(self._brokers[look.venue].executions(since)))


def _by(venue: str, fill: Execution) -> Execution:
    """A fill as its venue's: it speaks for itself alone."""
    return fill if fill.venue == venue else replace(fill, venue=venue)
