"""A small file of a venue's own: the names that an exchange's ids stand for, and the pairs that were traded here.

It is appended to before an order is sent. Without it nothing is doubled: an order is always found by the id that is
made of its name; but those that the exchange lists could not be named.
"""

from __future__ import annotations

import json
import os
from errno import ENOSPC
from pathlib import Path
from typing import Any

from twisted.logger import Logger

log = Logger()

MOST = 200_000
"""Names that are kept in mind."""


class Memory:
    """The file is read when it is first needed. What orders are named by is on disk when `name` returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "names.jsonl"
        self._names: dict[str, str] | None = None
        self._numbers: dict[tuple[str, str], str] = {}
        self._symbols: dict[str, None] = {}
        self._file: int | None = None

    def named(self, client_id: str) -> str:
        """The order id of a client's id; empty when it was not made here."""
        return self._read().get(client_id, "")

    def numbered(self, symbol: str, broker_id: str) -> str:
        """The order id of a pair's and an exchange's id; empty when it is not remembered."""
        self._read()
        return self._numbers.get((symbol, broker_id), "")

    @property
    def symbols(self) -> list[str]:
        """The pairs in which orders were sent."""
        self._read()
        return list(self._symbols)

    def name(self, client_id: str, order_id: str) -> None:
        """Keep a name, for good; OSError when it cannot be."""
        names = self._read()
        self._append({"client": client_id, "order": order_id}, sync=True)
        names[client_id] = order_id
        _shorten(names)

    def number(self, symbol: str, broker_id: str, order_id: str) -> None:
        """Keep an exchange's id; nothing is lost but a question when the file loses it."""
        self._read()
        self._numbers[symbol, broker_id] = order_id
        _shorten(self._numbers)
        self._append({"pair": symbol, "id": broker_id, "order": order_id}, sync=False)

    def symbol(self, symbol: str) -> bool:
        """Keep a pair; True for a new one, OSError when it cannot be kept."""
        self._read()
        if symbol in self._symbols:
            return False
        self._append({"symbol": symbol}, sync=True)
        self._symbols[symbol] = None
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, record: dict[str, str], sync: bool) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        line = (json.dumps(record) + "\n").encode()
        written = os.write(self._file, line)
        if written < len(line):  # a full disk takes a part, and says nothing: the next record is not to join it
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(ENOSPC, "the disk is full", str(self._path))
        if sync:
            os.fsync(self._file)

    def _read(self) -> dict[str, str]:
        if self._names is not None:
            return self._names
        self._names = {}
        try:
            text = self._path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return self._names
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                log.warn("A line of {path} cannot be read: it was cut off.", path=self._path)
            elif "symbol" in record:
                self._symbols[str(record["symbol"])] = None
            elif "client" in record and "order" in record:
                self._names[str(record["client"])] = str(record["order"])
            elif "id" in record and "pair" in record and "order" in record:
                self._numbers[str(record["pair"]), str(record["id"])] = str(record["order"])
        if text and not text.endswith("\n"):
            with self._path.open("ab") as file:
                file.write(b"\n")
        long = text.count("\n") > 4 * MOST
        _shorten(self._names)
        _shorten(self._numbers)
        if long:
            self._write_anew()
        return self._names

    def _write_anew(self) -> None:
        """What is remembered, without what was forgotten."""
        assert self._names is not None
        records = [
            *({"symbol": symbol} for symbol in self._symbols),
            *({"client": client, "order": order} for client, order in self._names.items()),
            *({"pair": pair, "id": number, "order": order} for (pair, number), order in self._numbers.items()),
        ]
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _shorten(kept: dict[Any, str]) -> None:
    """Forget the oldest."""
    while len(kept) > MOST:
        del kept[next(iter(kept))]
