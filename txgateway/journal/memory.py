"""A journal in memory: real in everything but the disk, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from txgateway.chain import START, Row, from_row, to_row
from txgateway.journal import Failed, Key, Synced
from txgateway.model.events import Record


class MemoryJournal:
    """Syncs at once, or when `hold` is lifted; `fail_with` makes the next sync fail, as a full disk would."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.hold = False
        self.fail_with: BaseException | None = None
        self._waiting: list[Record] = []
        self._keys: dict[tuple[str, str], str] = {}
        self._reactor: Any = None
        self._synced: Synced = lambda seq: None
        self._failed: Failed = lambda error: None

    def open(self) -> tuple[int, bytes]:
        """The last record's seq and hash."""
        return (self.rows[-1].seq, self.rows[-1].hash) if self.rows else (0, START)

    def records(self, after: int = 0) -> Iterator[Record]:
        """Every record with seq > after."""
        return (from_row(row) for row in self.rows[after:])

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash at `seq`."""
        return self.rows[seq - 1].hash if 0 < seq <= len(self.rows) else None

    def start(self, reactor: Any, synced: Synced, failed: Failed) -> None:
        """Begin: syncs happen in the reactor's next turn, as a disk's would."""
        self._reactor, self._synced, self._failed = reactor, synced, failed

    def append(self, record: Record, keys: Sequence[Key] = ()) -> None:
        """Queue a record for the next sync."""
        if not self._waiting:
            self._reactor.callLater(0, self.sync)
        self._waiting.append(record)
        for key in keys:
            self._keys.setdefault((key.kind, key.value), key.order_id)

    def sync(self) -> None:
        """Write what waits, unless held or told to fail."""
        if self.hold or not self._waiting:
            return
        if self.fail_with is not None:
            self._failed(self.fail_with)
            return
        for record in self._waiting:
            self.rows.append(to_row(self.open()[1], record))
        self._waiting = []
        self._synced(self.rows[-1].seq)

    async def find(self, kind: str, value: str) -> str | None:
        """The order id behind a key."""
        return self._keys.get((kind, value))

    async def order_records(self, order_id: str) -> Sequence[tuple[Record, str]]:
        """Every synced record of one order."""
        return [(from_row(row), row.hash.hex()) for row in self.rows if row.order_id == order_id]

    async def page(
        self,
        after: int,
        limit: int,
        order_id: str | None = None,
        kinds: Sequence[str] = (),
        before: int | None = None,
        words: str = "",
    ) -> Sequence[tuple[Record, str]]:
        """Up to `limit` (negative: all) synced records with seq > after."""
        rows = [
            row
            for row in self.rows[after : None if before is None else before - 1]
            if order_id in (None, row.order_id) and (not kinds or row.kind in kinds) and words in row.body
        ]
        return [(from_row(row), row.hash.hex()) for row in (rows if limit < 0 else rows[:limit])]

    async def stop(self) -> None:
        """Write what waits."""
        self.sync()
