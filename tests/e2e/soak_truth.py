"""What is on disk once the daemon is dead: its journal, and the paper broker's own book. The other two witnesses.

The files are copied before they are read, write-ahead logs and all: reading them in place would tidy up what the
daemon's next start has to cope with.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.e2e.soak_clients import Placed
from txgateway import chain

ENTRIES = ("OrderSubmitted", "OrderDenied")


@dataclass(slots=True, repr=False)
class Truth:
    """Both files as rows: what the journal has by client_order_id (`keys`, and its own `index`) and by our order
    id (`orders`, the kinds of its entries), and the broker's `book` by our order id.
    """

    records: list[chain.Row] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    index: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    fills: list[tuple[str, str, Decimal, Decimal]] = field(default_factory=list)
    book: dict[str, dict[str, Any]] = field(default_factory=dict)
    book_fills: list[dict[str, Any]] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    cash: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    balances: list[dict[str, Any]] = field(default_factory=list)
    """The differences over cash that were told."""

    @property
    def journalled(self) -> set[str]:
        """Every key that the journal has."""
        return set(self.keys)

    def arrived(self, key: str) -> bool:
        """Whether the broker has the order of a key."""
        return any(order_id in self.book for order_id in self.keys.get(key, ()))

    def submitted(self) -> list[str]:
        """The ids of all orders that were on their way to the broker."""
        return [order_id for order_id, kind in self.orders.items() if kind == "OrderSubmitted"]

    def seqs(self, *kinds: str) -> list[int]:
        """The places of all records of orders, or of these kinds."""
        return [row.seq for row in self.records if (row.kind in kinds if kinds else row.order_id)]


def read(folder: Path, scratch: Path) -> Truth:
    """What a dead daemon has left in its folder."""
    truth = Truth()
    with closing(_opened(folder / "journal.sqlite3", scratch)) as journal:
        _read_journal(journal, truth)
    with closing(_opened(folder / "venues" / "paper" / "book-paper.sqlite3", scratch)) as book:
        _read_book(book, truth)
    return truth


def _opened(path: Path, scratch: Path) -> sqlite3.Connection:
    """A copy of a database and its log; an empty one where it was never made."""
    copy = scratch / path.name
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        if path.with_name(path.name + suffix).exists():
            shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    connection = sqlite3.connect(copy)
    connection.row_factory = sqlite3.Row
    return connection


def _has(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _read_journal(journal: sqlite3.Connection, truth: Truth) -> None:
    if not _has(journal, "records"):
        return
    for row in journal.execute("SELECT seq, time, kind, order_id, body, hash FROM records ORDER BY seq"):
        record = chain.Row(*row)
        truth.records.append(record)
        if record.kind in ENTRIES:
            terms = json.loads(record.body)["terms"]
            truth.keys.setdefault(terms["client_order_id"], []).append(terms["order_id"])
            truth.orders[terms["order_id"]] = record.kind
        elif record.kind == "Executed":
            fill = json.loads(record.body)["execution"]
            amounts = Decimal(fill["quantity"]), Decimal(fill["price"])
            truth.fills.append((fill["execution_id"], fill["order_id"], *amounts))
        elif record.kind == "DifferenceFound" and json.loads(record.body)["what"] == "balance":
            truth.balances.append(json.loads(record.body))
    for value, order_id in journal.execute("SELECT value, order_id FROM keys WHERE kind = 'client'"):
        truth.index[value.partition("/")[2]] = order_id


def _read_book(book: sqlite3.Connection, truth: Truth) -> None:
    if not _has(book, "duplicates"):
        return
    serial = book.execute("SELECT value FROM facts WHERE name = 'serial'").fetchone()
    truth.book = {row["order_id"]: dict(row) for row in book.execute("SELECT * FROM orders")}
    joined = (
        "SELECT e.*, o.order_id, o.account, o.symbol, o.side FROM executions e JOIN orders o ON o.number = order_number"
    )
    truth.book_fills = [
        {**dict(row), "id": f"{serial['value']}-{row['number']:06}"}
        for row in book.execute(f"{joined} ORDER BY e.number")
    ]
    truth.duplicates = [dict(row) for row in book.execute("SELECT * FROM duplicates")]
    for row in book.execute("SELECT name, cash FROM accounts"):
        truth.cash[row["name"]] = Decimal(dict(each.split("=") for each in row["cash"].split())["USD"])
    for row in book.execute("SELECT account, symbol, quantity FROM positions"):
        truth.positions[row["account"], row["symbol"]] = Decimal(row["quantity"])


def check(truth: Truth, placed: Iterable[Placed]) -> None:
    """What must hold at every moment, whenever the daemon died."""
    count, broken = chain.broken_at(truth.records)
    assert broken is None, f"the journal's hash chain is broken at {broken}, after {count} good records"
    twice = {key: ids for key, ids in truth.keys.items() if len(ids) > 1}
    assert not twice, f"keys that stand twice in the journal: {twice}"
    index = {key: ids[0] for key, ids in truth.keys.items()}
    assert truth.index == index, (
        f"the journal's index of keys differs from its records: {truth.index.items() ^ index.items()}"
    )
    assert not truth.duplicates, f"orders that came to the broker a second time: {truth.duplicates}"
    unrecorded = truth.book.keys() - set(truth.submitted())
    assert not unrecorded, f"orders at the broker that no journal knows: {unrecorded}"
    sent = {order.key: order for order in placed}
    unsent = truth.keys.keys() - sent.keys()
    assert not unsent, f"keys in the journal that no client ever sent: {unsent}"
    for order in sent.values():
        if order.acknowledged:
            _check_acknowledged(truth, order)
    _check_fills(truth)


def _check_acknowledged(truth: Truth, order: Placed) -> None:
    ids = truth.keys.get(order.key)
    assert ids == [order.permid], f"{order.key} was acknowledged as {order.permid}, the journal has {ids}"
    if order.status not in ("DENIED", "REJECTED"):
        assert order.permid in truth.book, f"{order.key} ({order.permid}) was {order.status}, and the broker has it not"


def _check_fills(truth: Truth) -> None:
    """The journal's executions are the broker's, each once; the latest may not have come yet."""
    twice = [each for each, count in Counter(fill[0] for fill in truth.fills).items() if count > 1]
    assert not twice, f"executions that stand twice in the journal: {twice}"
    theirs = {fill["id"]: fill for fill in truth.book_fills}
    for execution_id, order_id, quantity, price in truth.fills:
        fill = theirs.get(execution_id)
        assert fill is not None, f"execution {execution_id} of {order_id} is in the journal, and the broker has it not"
        ours, its = (order_id, quantity, price), (fill["order_id"], Decimal(fill["quantity"]), Decimal(fill["price"]))
        assert ours == its, f"execution {execution_id} is {ours} in the journal, {its} at the broker"
