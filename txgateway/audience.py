"""All clients who asked for the same: what they hear is put together once, and kept for those who are behind.

While a client's transport is full it only holds its position in what its audience was told; the audience keeps each
line (and the newest quote and trade of each instrument) for as long as someone is behind it, so slow clients cost
nothing but that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from txgateway.bulletins import EVERYONE, FOR_ALL, News, news_of_accounts
from txgateway.model.market import Depth, Quote, Trade

CHUNK = 64 * 1024
"""Bytes written at a time to a client that catches up: what a transport takes before it pauses its producer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What clients may cost, and what is logged of them.

    A client is disconnected when more than `lines` lines or `size` bytes wait for it, when it has not logged in after
    `login_seconds`, when it leaves half a message lying for `message_seconds`, when a WebSocket answers no ping for
    `ping_seconds`. `requests` is how many of a client's commands may be under way before the next is read. `clients` is
    the number of connections that a server takes. A connection that does not close is cut after `close_seconds`.
    """

    lines: int = 10_000
    size: int = 16 * 1024 * 1024
    clients: int = 1000
    requests: int = 256
    login_seconds: float = 30.0
    message_seconds: float = 60.0
    ping_seconds: float = 30.0
    close_seconds: float = 5.0
    log_messages: bool = False
    log_connections: bool = False


class Dialect(Protocol):
    """A way of telling: the stream's lines, or a WebSocket's JSON messages. Everything it gives is framed."""

    needs_ticker: bool
    """Whether quotes and trades are told only with the configuration's ticker flag."""
    ending: bytes
    """What ends a connection in order."""

    def part(self, kind: str, wanted: frozenset[str]) -> int:
        """What of a kind of news is told to clients with these options; 0 is nothing."""

    def news(self, channel: str, news: News, part: int) -> bytes:
        """That part of a piece of news."""

    def quote(self, channel: str, name: str, quote: Quote) -> bytes:
        """A quote."""

    def trade(self, channel: str, name: str, trade: Trade, volume: Decimal) -> bytes:
        """A trade, with the day's volume."""

    def depth(self, channel: str, name: str, depth: Depth) -> bytes:
        """A book."""

    def frame(self, body: bytes) -> bytes:
        """A message as it is sent."""

    def frames(self, parts: Sequence[bytes]) -> list[bytes]:
        """A long message's parts as they are sent."""

    def farewell(self, text: str) -> bytes:
        """The last words to a client that is disconnected."""


class Member(Protocol):
    """One who listens: its place in what was told, and how it is written to."""

    position: int
    write: Callable[[bytes], None]

    def owes(self, count: int, size: int) -> None:
        """How much is kept for it."""


class Audience:
    """All clients with the same channel and options: what they hear is put together once."""

    def __init__(
        self, dialect: Dialect, channel: str, wanted: frozenset[str], accounts: tuple[str, ...] | None = None
    ) -> None:
        self.dialect = dialect
        self.channel = channel
        self.wanted = wanted
        self.accounts = accounts
        """The accounts that its members are kept to; None: all."""
        self.members: set[Member] = set()
        """All outlets: the live ones, those behind, and those that read the journal."""
        self.live: dict[Member, None] = {}
        self.behind: dict[Member, None] = {}
        self.position = 0
        """How many pieces of news have been written, to all but those behind."""
        self._turn: list[bytes] = []
        self._keys: list[Hashable] = []
        self._kept: list[bytes] = []
        self._kept_at: list[int] = []
        self._kept_size: list[int] = [0]
        self._newest: dict[Hashable, tuple[int, bytes]] = {}
        self._parts: dict[str, int] = {}
        self._caught_up: tuple[tuple[int, int], tuple[bytes, int]] | None = None

    def part(self, kind: str) -> int:
        """What of a kind of news is told here."""
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = self.dialect.part(kind, self.wanted)
        return part

    def meant(self, news: News) -> News | None:
        """The news as this audience may hear it; None: it may not."""
        if self.accounts is None or news.account in (EVERYONE, *self.accounts) or news.kind in FOR_ALL:
            return news
        return news_of_accounts(self.accounts) if news.kind == "accounts" else None

    def tell(self, data: bytes, key: Hashable = None) -> bool:
        """Have this written; True when that waits for `flush`. With a key, those behind get its newest only.

        To the only one who listens it is written at once: its transport gathers what a turn brings.
        """
        if len(self.live) == 1 and not self.behind and not self._turn:
            self.position += 1
            (outlet,) = self.live
            outlet.write(data)
            return False
        self._turn.append(data)
        self._keys.append(key)
        return True

    def flush(self) -> None:
        """Write what this turn brought."""
        turn, keys = self._turn, self._keys
        if not turn:
            return
        self._turn, self._keys = [], []
        if self.behind:
            self._keep(turn, keys)
        self.position += len(turn)
        if self.live:
            data = b"".join(turn) if len(turn) > 1 else turn[0]
            for outlet in tuple(self.live):
                outlet.write(data)
        if self.behind:
            self._watch()

    # those behind

    def _keep(self, turn: list[bytes], keys: list[Hashable]) -> None:
        newest = self._newest
        for position, (data, key) in enumerate(zip(turn, keys, strict=True), self.position + 1):
            if key is None:
                self._kept.append(data)
                self._kept_at.append(position)
                self._kept_size.append(self._kept_size[-1] + len(data))
            else:
                newest.pop(key, None)
                newest[key] = (position, data)

    def _watch(self) -> None:
        """Forget what nobody needs any more; tell those who are too far behind."""
        passed = bisect_right(self._kept_at, min(outlet.position for outlet in self.behind))
        if passed:
            del self._kept[:passed], self._kept_at[:passed], self._kept_size[:passed]
        for outlet in tuple(self.behind):
            at = bisect_right(self._kept_at, outlet.position)
            outlet.owes(len(self._kept) - at, self._kept_size[-1] - self._kept_size[at])

    def after(self, position: int) -> tuple[bytes, int]:
        """What was told after a position (a chunk of it), and the position that this leads to."""
        asked = (position, self.position)
        if self._caught_up is None or self._caught_up[0] != asked:
            self._caught_up = (asked, self._after(position))
        return self._caught_up[1]

    def _after(self, position: int) -> tuple[bytes, int]:
        start = bisect_right(self._kept_at, position)
        end = bisect_right(self._kept_size, self._kept_size[start] + CHUNK, start)
        end = min(end, len(self._kept))
        upto = self._kept_at[end] - 1 if end < len(self._kept) else self.position
        told = list(zip(self._kept_at[start:end], self._kept[start:end], strict=True))
        for at, data in reversed(self._newest.values()):
            if at <= position:
                break
            if at <= upto:
                told.append((at, data))
        told.sort()
        return b"".join(data for _, data in told), upto

    # coming and going

    def join(self, outlet: Member, live: bool) -> None:
        """Tell an outlet what happens from now on; `live` false: keep it, until the outlet takes it."""
        self.flush()
        outlet.position = self.position
        (self.live if live else self.behind)[outlet] = None

    def hold(self, outlet: Member) -> None:
        """A live outlet is full: keep what it has not got."""
        if outlet in self.live:
            del self.live[outlet]
            outlet.position = self.position
            self.behind[outlet] = None

    def go_live(self, outlet: Member) -> None:
        """An outlet has caught up."""
        self._drop(outlet)
        self.live[outlet] = None

    def leave(self, outlet: Member) -> None:
        """An outlet does not listen any more."""
        self.live.pop(outlet, None)
        self._drop(outlet)

    def _drop(self, outlet: Member) -> None:
        self.behind.pop(outlet, None)
        if not self.behind:
            self._kept, self._kept_at, self._kept_size = [], [], [0]
            self._newest = {}
            self._caught_up = None
