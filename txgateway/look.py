"""One look at a venue: what the broker was asked, which orders its word may judge, and what was found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from txgateway import reconcile
from txgateway.model.difference import Key
from txgateway.model.order import Order

T = TypeVar("T")

PAUSE_EVERY = 500
"""Things that are gone through without letting the reactor turn."""


@dataclass(slots=True)
class Look:
    """It is believed only for orders that did not move meanwhile, and only as long as the link stands.

    `connecting`: the venue is not up yet, so nothing is on its way and what is found counts at once. `mark` is the
    journal's seq at the start, `seqs` the record that changed each order last, `before` what the look before suspected.
    """

    venue: str
    connecting: bool
    mark: int
    seqs: dict[str, int]
    stands: Callable[[], bool]
    reactor: Any
    before: Mapping[Any, Any] = field(default_factory=dict)
    suspects: dict[Any, Any] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    found: set[Key] = field(default_factory=set)
    skipped: set[Key] = field(default_factory=set)

    async def answer(self, question: Awaitable[T]) -> T:
        """An answer, if the link by which it was asked is still there; else CancelledError."""
        answer = await question
        if not self.stands():
            raise CancelledError
        return answer

    async def pause(self, number: int) -> None:
        """Let the reactor turn, once in a while: `number` is how many things were gone through."""
        if number % PAUSE_EVERY == 0:
            turn: Deferred[None] = Deferred()
            self.reactor.callLater(0, turn.callback, None)
            await self.answer(turn)

    def may_judge(self, order: Order) -> bool:
        """Whether an order is as it was when the look began, but for what the look itself has taken in."""
        return self.seqs.get(order.order_id) == reconcile.moved(order)[0]

    def has_moved(self, order: Order) -> None:
        """The look itself has moved an order, which it may still judge."""
        self.seqs[order.order_id] = reconcile.moved(order)[0]

    def is_confirmed(self, name: Any, print_of: Any) -> bool:
        """Whether the look before found the same; if not, the next one may."""
        if self.before.get(name) == print_of:
            return True
        self.suspects[name] = print_of
        return False
