"""The journal on SQLite: WAL, synchronous=FULL, one writer thread that syncs all that waits in one commit."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txgateway import codec
from txgateway.chain import START, Row, from_row, to_row
from txgateway.journal import Failed, Key, Synced
from txgateway.model.errors import JournalError
from txgateway.model.events import Record

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""How long a batch that could not be written waits for its next try."""
_WIDTHS = (64, 16, 4, 1)
"""Rows an INSERT takes at once: each step of SQLite gives Python's lock away once, so few wide steps beat many."""
_COLUMNS = "seq, time, kind, order_id, body, hash"
_OF_NO_ORDER = frozenset(
    name for name, kind in codec.KINDS.items() if not (hasattr(kind, "order_id") or hasattr(kind, "signal_id"))
)


class SqliteJournal:
    """One file, one writer: a second daemon on the same file is refused by a lock beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._last = (0, START)
        self._waiting: list[tuple[Record, Sequence[Key]]] = []
        self._writing = False
        self._stopped: Deferred[None] | None = None
        self._retry: Any = None
        self._writer = _Worker("journal-writer", self._connect)
        self._reader = _Worker("journal-reader", self._connect)
        self._reactor: Any = None
        self._synced: Synced = lambda seq: None
        self._failed: Failed = lambda error: None

    # opening

    def open(self) -> tuple[int, bytes]:
        """Take the lock, upgrade the schema, give the last seq and hash."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
            with closing(self._connect()) as connection:
                _upgrade(connection, self.path)
                row = connection.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"The journal {self.path} cannot be opened: {error}. Check the folder and the disk."
            ) from error
        self._last = (row[0], row[1]) if row else (0, START)
        return self._last

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA wal_autocheckpoint = 8000")
        return connection

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every stored row with seq > after (blocking)."""
        with closing(self._connect()) as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} FROM records WHERE seq > ? ORDER BY seq", (after,)):
                yield Row(*row)

    def records(self, after: int = 0) -> Iterator[Record]:
        """Every record with seq > after (blocking)."""
        return map(from_row, self.rows(after))

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash at `seq` (blocking)."""
        with closing(self._connect()) as connection:
            row = connection.execute("SELECT hash FROM records WHERE seq = ?", (seq,)).fetchone()
        return row[0] if row else None

    # writing

    def start(self, reactor: Any, synced: Synced, failed: Failed) -> None:
        """Begin writing; `synced` and `failed` are called in the reactor."""
        self._reactor, self._synced, self._failed = reactor, synced, failed

    def append(self, record: Record, keys: Sequence[Key] = ()) -> None:
        """Queue a record; when the writer is idle, everything queued in this turn goes in one batch."""
        self._waiting.append((record, keys))
        if not self._writing and self._retry is None:
            self._writing = True
            self._reactor.callLater(0, self._write)

    def _write(self) -> None:
        self._retry = None
        batch, self._waiting = self._waiting, []
        rows, before = [], self._last[1]
        for record, _ in batch:
            rows.append(to_row(before, record))
            before = rows[-1].hash
        keys = [(key.kind, key.value, key.order_id) for _, each in batch for key in each]
        self._writing = True
        self._writer.put(lambda connection: _commit(connection, rows, keys), self._done(batch, rows[-1]))

    def _done(self, batch: list[tuple[Record, Sequence[Key]]], last: Row) -> Callable[[object], None]:
        return lambda result: self._reactor.callFromThread(self._wrote, batch, last, result)

    def _wrote(self, batch: list[tuple[Record, Sequence[Key]]], last: Row, result: object) -> None:
        self._writing = False
        if isinstance(result, BaseException):
            self._waiting = batch + self._waiting
            if self._stopped is not None:
                self._finish()
            else:
                self._retry = self._reactor.callLater(RETRY_SECONDS, self._write)
            self._failed(result)
            return
        self._last = (last.seq, last.hash)
        self._synced(last.seq)
        if self._waiting and not self._writing:
            self._write()
        elif not self._waiting and self._stopped is not None:
            self._finish()

    async def stop(self) -> None:
        """Write what waits (one try), close, let the lock go."""
        self._stopped = Deferred()
        if self._retry is not None:
            self._retry.cancel()
            self._write()
        elif not self._writing and not self._waiting:
            self._finish()
        await self._stopped
        self._writer.stop()
        self._reader.stop()
        if self._lock is not None:
            self._lock.close()

    def _finish(self) -> None:
        stopped = self._stopped
        if stopped is not None and not stopped.called:
            stopped.callback(None)

    # reading

    async def find(self, kind: str, value: str) -> str | None:
        """The order id behind a key."""
        row = await self._read("SELECT order_id FROM keys WHERE kind = ? AND value = ?", (kind, value))
        return row[0][0] if row else None

    async def order_records(self, order_id: str) -> Sequence[tuple[Record, str]]:
        """Every synced record of one order."""
        return await self.page(0, -1, order_id)

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
        where, index = ["seq > ?"], ""
        values: list[Any] = [after]
        if before is not None:
            where.append("seq < ?")
            values.append(before)
        if order_id is not None:
            where.append("order_id = ?")
            values.append(order_id)
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values.extend(kinds)
            if order_id is None and _OF_NO_ORDER.issuperset(kinds):
                index = "INDEXED BY records_of_no_order"
                where.append("order_id IS NULL")
        if words:
            where.append("instr(body, ?) > 0")
            values.append(words)
        query = f"SELECT {_COLUMNS} FROM records {index} WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        rows = await self._read(query, (*values, limit))
        return [(from_row(Row(*row)), row[5].hex()) for row in rows]

    def _read(self, query: str, values: Sequence[Any]) -> Deferred[list[Any]]:
        done: Deferred[list[Any]] = Deferred()

        def fire(result: object) -> None:
            value = Failure(result) if isinstance(result, BaseException) else result
            self._reactor.callFromThread(done.callback, value)

        self._reader.put(lambda connection: connection.execute(query, values).fetchall(), fire)
        return done


def _commit(connection: sqlite3.Connection, rows: Sequence[Row], keys: Sequence[tuple[str, str, str]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _insert(connection, "INSERT INTO records VALUES", [_values(row) for row in rows])
        _insert(connection, "INSERT OR IGNORE INTO keys VALUES", keys)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _values(row: Row) -> tuple[Any, ...]:
    return (row.seq, row.time, row.kind, row.order_id, row.body, row.hash)


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    at = 0
    for width in _WIDTHS:
        while len(rows) - at >= width:
            part = rows[at : at + width]
            marks = ", ".join([f"({', '.join('?' * len(part[0]))})"] * width)
            connection.execute(f"{statement} {marks}", [value for row in part for value in row])
            at += width


def _locked(path: Path) -> IO[str]:
    lock = open(path.with_name(path.name + ".lock"), "a+")  # noqa: SIM115  held for the daemon's life
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise JournalError(
            f"The journal {path} is in use by another txgatewayd (process {holder}). "
            "Stop that one first, or give this one a TXGATEWAY_DATA_DIR of its own."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


_SCHEMA: Any = files("txgateway.journal").joinpath("schema")


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    scripts = sorted((each for each in _SCHEMA.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    if version > len(scripts):
        raise JournalError(
            f"The journal {path} was written by a newer txgateway (schema {version}, this one knows {len(scripts)}). "
            "Install that version again, or give this one a TXGATEWAY_DATA_DIR of its own."
        )
    for number, script in enumerate(scripts[version:], version + 1):
        connection.executescript(f"BEGIN;\n{script.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")


class _Worker:
    """A thread with a connection of its own that does one job after another; started by the first."""

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Callable[[object], None]] | None] = (
            SimpleQueue()
        )
        self._connect = connect
        self._name = name
        self._thread: Thread | None = None

    def put(self, job: Callable[[sqlite3.Connection], Any], done: Callable[[object], None]) -> None:
        """Do `job(connection)` in the thread, then call `done` there with its result or its exception."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, done))

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                if connection is None:
                    connection = self._connect()
                result: object = job(connection)
            except BaseException as error:  # handed to the reactor, never lost
                result = error
            done(result)
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """End the thread once its jobs are done."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
