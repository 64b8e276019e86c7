"""The journal contract: an append-only, hash-chained list of records, synced before anything is told or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from txgateway.model.events import Record

Synced = Callable[[int], None]
"""Called in the reactor with the highest seq that is safely on disk."""
Failed = Callable[[BaseException], None]
"""Called in the reactor when a batch could not be written; it stays queued and is tried again."""


@dataclass(frozen=True, slots=True)
class Key:
    """A way to find an order for ever: `kind` is client (account/its id), broker (venue/its id) or execution."""

    kind: str
    value: str
    order_id: str


class Journal(Protocol):
    """One writer's journal. `open` before anything else; `append` in the order of seq."""

    def open(self) -> tuple[int, bytes]:
        """Take the lock, upgrade the schema; give the last record's seq (0: empty) and hash. Raises JournalError."""

    def records(self, after: int = 0) -> Iterator[Record]:
        """Every record with seq > after, in order (blocking: for the start and for tools)."""

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash at `seq` (blocking), or None."""

    def start(self, reactor: Any, synced: Synced, failed: Failed) -> None:
        """Begin writing; batches form from whatever waits."""

    def append(self, record: Record, keys: Sequence[Key] = ()) -> None:
        """Queue a record; `synced` tells when it is on disk."""

    async def find(self, kind: str, value: str) -> str | None:
        """The order id behind a key, or None."""

    async def order_records(self, order_id: str) -> Sequence[tuple[Record, str]]:
        """Every record of one order, each with its hash in hex, oldest first."""

    async def page(
        self,
        after: int,
        limit: int,
        order_id: str | None = None,
        kinds: Sequence[str] = (),
        before: int | None = None,
        words: str = "",
    ) -> Sequence[tuple[Record, str]]:
        """Up to `limit` (negative: all) synced records with seq > after, each with its hash in hex.

        `words` stand in the record's JSON. Kinds that are of no order are found without a look at the others.
        """

    async def stop(self) -> None:
        """Write what waits, close, let the lock go."""
