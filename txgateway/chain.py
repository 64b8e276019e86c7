"""The hash chain: each record carries the hash of all before it, so that a changed past shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from txgateway import codec
from txgateway.model.events import Record

START = bytes(32)
"""The hash before the first record."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored: time in microseconds since 1970, body as JSON, hash of the chain up to it.

    `order_id` is the order, or the signal, that it is about.
    """

    seq: int
    time: int
    kind: str
    order_id: str | None
    body: str
    hash: bytes


def link(before: bytes, seq: int, time: int, kind: str, order_id: str | None, body: str) -> bytes:
    """The hash of a record that follows one with the hash `before`."""
    return sha256(b"%b\n%d\n%d\n%b\n%b\n%b" % (
        before, seq, time, kind.encode(), (order_id or "").encode(), body.encode()
    )).digest()  # fmt: skip


def to_row(before: bytes, record: Record) -> Row:
    """The record as a row that follows the hash `before`."""
    time = (record.time - _EPOCH) // _MICROSECOND
    kind = codec.kind_of(record.event)
    order_id = getattr(record.event, "order_id", None) or getattr(record.event, "signal_id", None) or None
    body = codec.encode(record.event).decode()
    return Row(record.seq, time, kind, order_id, body, link(before, record.seq, time, kind, order_id, body))


def from_row(row: Row) -> Record:
    """The record in a row; ValueError when it cannot be read."""
    return Record(row.seq, _EPOCH + row.time * _MICROSECOND, codec.decode_event(row.kind, row.body))


def broken_at(rows: Iterable[Row]) -> tuple[int, int | None]:
    """How many rows were checked, and the seq of the first that does not fit its chain (None: all fit)."""
    before, expected = START, 1
    for row in rows:
        if row.seq != expected or row.hash != link(before, row.seq, row.time, row.kind, row.order_id, row.body):
            return expected - 1, row.seq
        before, expected = row.hash, expected + 1
    return expected - 1, None
