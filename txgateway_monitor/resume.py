"""Where a listener stands in the journal: what to ask for after a reconnect, and what it has seen already.

The gateway numbers its journal's records (`seq`). One record may give several lines, and the link may be cut between
them; so a reconnect asks for the last record again, whole, and what was seen of it is dropped here. Notification lines
(`order.<id> ...`) carry no number: a record's come just before its data lines, in the same order every time.
"""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import Any

from .lines import Line

ABOUT = ("permid", "ORDER_ID", "account", "symbol", "key")
"""The members that say what a data line is about, beside its kind."""

NOTES_KEPT = 1000
"""Notifications after the last data line; a client that hears more than these of kinds whose data it did not ask for
may hear some again."""


class Position:
    """How far a listener has come."""

    def __init__(self, seq: int | None = None) -> None:
        """After `seq`; None is before anything is known."""
        self._latest_notes: deque[str] = deque(maxlen=NOTES_KEPT)
        self._start(seq)

    def _start(self, seq: int | None) -> None:
        """Nothing after `seq` has been seen."""
        self.seq = seq
        self.is_ahead = False
        """Whether the gateway sent a number below the last: its journal is not the one this position is in."""
        self._seen: set[str] = set()
        self._notes: list[str] = []
        self._latest_notes.clear()
        self._repeated: deque[str] = deque()

    @property
    def resume(self) -> int | None:
        """What to ask the gateway to go on after; None where nothing is known."""
        return self.seq - 1 if self.seq and self._seen else self.seq

    def authorized(self, at: int | None) -> bool:
        """A connection begins, perhaps with the number of the gateway's last record.

        False when the gateway's journal ends before what was seen: it is another journal, and is followed from its end.
        """
        self.is_ahead = False
        self._repeated = deque([*self._notes, *self._latest_notes])
        if at is None or (self.seq is not None and at >= self.seq):
            return True
        known = self.seq is not None
        self._start(at)
        return not known

    def is_new(self, line: Line) -> bool:
        """Whether a line has not been seen; it is now."""
        if line.note:
            return self._note_is_new(line.text)
        if not line.data:
            return True
        seq, about = _identity(line)
        if seq is None:
            return True
        if self.seq is None or seq > self.seq:
            self.seq, self._seen, self._notes = seq, {about}, [*self._latest_notes]
            self._repeated.clear()
        elif seq < self.seq or about in self._seen:
            self.is_ahead = self.is_ahead or seq < self.seq
            return False
        else:
            self._seen.add(about)
            self._notes += self._latest_notes
        self._latest_notes.clear()
        return True

    def _note_is_new(self, text: str) -> bool:
        """A notification that repeats the next of those seen before the link was cut is not new."""
        if self._repeated:
            if self._repeated[0] == text:
                self._repeated.popleft()
                return False
            self._repeated.clear()
        self._latest_notes.append(text)
        return True

    def to_text(self) -> str:
        """The position as text to keep."""
        notes = [*self._notes, *self._latest_notes]
        return json.dumps({"seq": self.seq, "seen": sorted(self._seen), "notes": notes})

    @classmethod
    def from_text(cls, text: str) -> Position:
        """The position that was kept. Raises ValueError."""
        try:
            kept = json.loads(text)
            position = cls(kept["seq"])
            position._seen = set(map(str, kept["seen"]))
            position._notes = list(map(str, kept["notes"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"no position of a monitor: {text[:80]!r}") from error
        if not isinstance(position.seq, int | None):
            raise ValueError(f"no position of a monitor: {text[:80]!r}")
        return position


def _identity(line: Line) -> tuple[int | None, str]:
    """A data line's seq and what it is about; no seq when it carries none."""
    try:
        data: Any = json.loads(line.body)
    except ValueError:
        return None, ""
    seq = data.get("seq") if isinstance(data, dict) else None
    if not isinstance(seq, int) or isinstance(seq, bool):
        return None, ""
    return seq, " ".join([line.data, *(str(data[name]) for name in ABOUT if name in data)])


class PositionFile:
    """A position kept in a file, replaced whole each time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Nothing is read yet."""
        self.path = Path(path)

    def load(self) -> Position | None:
        """The position in the file; None when there is no file yet. Raises ValueError when it has something else."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return Position.from_text(text)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}; delete it to start with what happens now") from error

    def save(self, text: str) -> None:
        """Keep a position: a reader, or a crash, finds the old one or the new one."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(text, encoding="utf-8")
        os.replace(new, self.path)
