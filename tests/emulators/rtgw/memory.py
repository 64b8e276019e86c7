"""The state file: what the book is to remember over a restart of the emulator, a JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


class Memory:
    """Appends to a file. A last line that was cut off by a kill is left out, and cut off for good."""

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent} for the state file")
        self.path = path
        self._file: TextIO | None = None

    def entries(self) -> Iterator[dict[str, Any]]:
        """What was remembered, oldest first."""
        whole = self.path.read_bytes() if self.path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:
            self.path.write_bytes(kept)
        yield from map(json.loads, kept.splitlines())

    def remember(self, entry: dict[str, Any]) -> None:
        """Written through to the operating system: a kill of the process loses nothing."""
        if self._file is None:
            self._file = self.path.open("a", buffering=1)
        self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def clear(self) -> None:
        """Forget all."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Until the next thing to remember."""
        if self._file is not None:
            self._file.close()
            self._file = None
