"""The state as a file, so that a start need not replay the whole journal. A cache: losing it costs time, nothing else.

First line: version, seq and the chain's hash there; last line: the digest of all before. One that does not fit the
journal, was cut off or comes from another version is left aside with a word in the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from txgateway import codec
from txgateway.journal import Journal
from txgateway.state import State

log = Logger()

VERSION = 18
EVERY = 20_000
"""Records between two snapshots, at least; a large state waits until as much has happened again."""
_SLICE = 100
"""Lines a turn: a few milliseconds."""


def load(path: Path, journal: Journal) -> State | None:
    """The state in the snapshot, if there is one that fits the journal."""
    try:
        with path.open("rb") as file:
            return _loaded(file, journal)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.warn("Snapshot {path} is of no use ({error}): replaying the journal.", path=str(path), error=error)
        return None


def _loaded(file: IO[bytes], journal: Journal) -> State:
    """Read twice, a line at a time: held whole it would cost more memory than the state itself."""
    head = file.readline()
    lines, digest = _digested(file, head)
    version, seq, link = codec.decode_any(head)
    if version != VERSION:
        raise ValueError("another version wrote it")
    if file.readline().decode().strip() != digest or file.readline():
        raise ValueError("it was cut off, or changed")
    if (journal.hash_at(seq) or b"").hex() != link:
        raise ValueError("it belongs to another journal")
    file.seek(len(head))
    return State.load(islice(file, lines))


def _digested(file: IO[bytes], head: bytes) -> tuple[int, str]:
    """How many lines the state has, and the digest of them; the file stands at the line that ends it."""
    digest, lines, at = sha256(head), 0, len(head)
    held = b""
    for line in file:
        if held:
            digest.update(held)
            lines, at = lines + 1, at + len(held)
        held = line
    file.seek(at)
    return lines, digest.hexdigest()


class Snapshots:
    """Writes the state beside the journal now and then, a slice a turn."""

    def __init__(self, path: Path, journal: Journal, cooperator: Cooperator, taken_at: int = 0) -> None:
        self._path = path
        self._journal = journal
        self._cooperator = cooperator
        self._taken_at = taken_at
        self._size = 0
        self._running: Deferred[None] | None = None

    def consider(self, state: State) -> None:
        """Take a snapshot when enough has happened since the last; the state must be on disk up to its seq."""
        if self._running is None and state.seq - self._taken_at >= max(EVERY, 2 * self._size):
            self._running = Deferred.fromCoroutine(self._take(state))
            self._running.addErrback(lambda failure: log.failure("A snapshot could not be written.", failure))
            self._running.addBoth(self._done)

    def _done(self, result: object) -> None:
        self._running = None

    async def _take(self, state: State) -> None:
        seq, lines = state.seq, state.dump()
        link = await deferToThread(self._journal.hash_at, seq)
        if link is None:
            return
        self._taken_at = seq
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            await self._cooperator.cooperate(self._written(file, seq, link, lines)).whenDone()
            await deferToThread(_sync, file)
        os.replace(temporary, self._path)

    def take_now(self, state: State) -> None:
        """Take one at once, blocking: for a clean stop."""
        link = self._journal.hash_at(state.seq)
        if link is None or state.seq == self._taken_at:
            return
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            for _ in self._written(file, state.seq, link, state.dump()):
                pass
            _sync(file)
        os.replace(temporary, self._path)

    def _written(self, file: IO[bytes], seq: int, link: bytes, lines: Iterator[bytes]) -> Iterator[None]:
        head = codec.encode((VERSION, seq, link.hex())) + b"\n"
        digest = sha256(head)
        file.write(head)
        size = 0
        while part := list(islice(lines, _SLICE)):
            size += len(part)
            for line in part:
                digest.update(line)
            file.writelines(part)
            yield
        file.write(digest.hexdigest().encode() + b"\n")
        self._size = size

    async def stop(self) -> None:
        """Wait for one that is being written."""
        if self._running is not None:
            await self._running


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
