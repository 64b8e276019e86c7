"""One link to an exchange, as its parts know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from txgateway.brokers.ccxt.book import Book, Entry
from txgateway.brokers.ccxt.clock import VenueClock
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.brokers.ccxt.peculiarities import Peculiarities
from txgateway.brokers.ccxt.words import Seen


class Link(Protocol):
    """What a session gives its parts."""

    exchange: Any
    options: CcxtOptions
    row: Peculiarities
    venue: str
    book: Book
    memory: Memory
    time: VenueClock
    over: bool
    complain: Callable[[str], None]

    def now(self) -> datetime:
        """The exchange's clock."""

    async def ask(self, work: Awaitable[Any]) -> Any:
        """What the exchange answers; TimedOut or GatewayError with a sentence where it does not."""

    def said(self, error: Exception) -> Exception:
        """An error of a question, as a sentence."""

    async def command(self, what: str, work: Awaitable[Any]) -> Any:
        """What the exchange answers to an order call: Refused where it surely was not done, Ambiguous in doubt."""

    def later(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do something once, unless the link is over by then."""

    def see(self, seen: Seen) -> Entry | None:
        """What was said of an order, by whatever means."""

    def client_id(self, order_id: str) -> str:
        """What an order of ours is called there."""

    def name_of(self, unified: Mapping[str, Any]) -> str:
        """The order that ccxt has read."""

    def elsewhere(self, symbol: str) -> bool:
        """Whether a pair is of the key's other market."""

    def traded(self) -> list[str]:
        """The pairs of which there may be fills."""


async def coroutine(work: Awaitable[Any]) -> Any:
    """Anything that can be awaited, as a coroutine."""
    return await work
