"""The paper broker's book file: what it was sent and what became of it, whatever anybody else says (SQLite, WAL).

One transaction takes all that happened in one turn, before any of it is told. It survives the death of the process at
any point, not the loss of power: `synchronous` is OFF, so that a write costs no disk's wait (the gateway's journal is
the file that is synced). One process at a time can open it. Orders and executions are never deleted; only open orders,
accounts and positions are kept in memory by others. Money and quantities are text, times microseconds of UTC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, overload

from txgateway.brokers.paper.accounts import Holding
from txgateway.brokers.paper.held import Held, execution
from txgateway.brokers.paper.rows import (
    StoredAccount,
    account_of,
    account_row,
    fill_of,
    fill_row,
    held_of,
    micro,
    order_changes,
    order_row,
)
from txgateway.brokers.paper.turn import Numbers, Turn
from txgateway.model.account import Position
from txgateway.model.errors import GatewayError
from txgateway.model.execution import Execution
from txgateway.model.instrument import AssetClass

PAGE = 500
"""So many executions are in memory at once."""

UPGRADES = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE orders (
        number INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, symbol TEXT NOT NULL,
        side TEXT NOT NULL, quantity TEXT NOT NULL, order_type TEXT NOT NULL, time_in_force TEXT NOT NULL,
        limit_price TEXT, stop_price TEXT, received INTEGER NOT NULL, status TEXT NOT NULL,
        asset_class TEXT NOT NULL, currency TEXT NOT NULL, cusip TEXT NOT NULL, priority INTEGER NOT NULL,
        triggered INTEGER NOT NULL, expires INTEGER, filled TEXT NOT NULL, value TEXT NOT NULL,
        commission TEXT NOT NULL, reserve_price TEXT NOT NULL, reason TEXT, text TEXT NOT NULL
    );
    CREATE TABLE open_orders (number INTEGER PRIMARY KEY);
    CREATE TABLE executions (
        number INTEGER PRIMARY KEY, order_number INTEGER NOT NULL REFERENCES orders, quantity TEXT NOT NULL,
        price TEXT NOT NULL, commission TEXT NOT NULL, time INTEGER NOT NULL, order_quantity TEXT NOT NULL,
        cumulative TEXT NOT NULL, value TEXT NOT NULL
    );
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY, cash TEXT NOT NULL, realized TEXT NOT NULL, commissions TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE positions (
        account TEXT NOT NULL, symbol TEXT NOT NULL, quantity TEXT NOT NULL, average_price TEXT NOT NULL,
        asset_class TEXT NOT NULL, currency TEXT NOT NULL, PRIMARY KEY (account, symbol)
    ) WITHOUT ROWID;
    CREATE TABLE duplicates (order_id TEXT NOT NULL, what TEXT NOT NULL, time INTEGER NOT NULL);
    """,
    "ALTER TABLE orders ADD COLUMN called INTEGER NOT NULL DEFAULT 0",
)
"""The schema, step by step: the file's user_version says how many of them it has been through."""

_ADD_ORDER = f"INSERT INTO orders VALUES ({', '.join('?' * 25)})"
_CHANGE_ORDER = (
    "UPDATE orders SET quantity = ?, limit_price = ?, stop_price = ?, status = ?, priority = ?, triggered = ?, "
    "expires = ?, filled = ?, value = ?, commission = ?, reserve_price = ?, reason = ?, text = ? WHERE number = ?"
)
_SAVE_FILL = f"INSERT INTO executions VALUES ({', '.join('?' * 9)})"
_SAVE_ACCOUNT = "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)"
_SAVE_POSITION = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)"
_DROP_POSITION = "DELETE FROM positions WHERE account = ? AND symbol = ?"


class BookError(GatewayError):
    """The book file cannot be opened, upgraded or read."""


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """A position as the book has it."""

    position: Position
    asset_class: AssetClass
    currency: str


class Executions(Sequence[Execution]):
    """Executions of the book, the oldest first, read some at a time as they are gone through: all take much memory.

    BookError once the book is closed, or is another one.
    """

    def __init__(self, book: Book, after: int, last: int) -> None:
        self._book = book
        self._serial = book.serial
        self._after, self._last = after, last

    def __iter__(self) -> Iterator[Execution]:
        after = self._after
        while page := self._book.page(self._serial, after, self._last, PAGE):
            yield from (each for _, each in page)
            after = page[-1][0]

    def __len__(self) -> int:
        return self._book.count(self._serial, self._after, self._last)

    @overload
    def __getitem__(self, at: int) -> Execution: ...

    @overload
    def __getitem__(self, at: slice) -> list[Execution]: ...

    def __getitem__(self, at: int | slice) -> Execution | list[Execution]:
        return list(self)[at]


class Book:
    """One venue's book file, open from `open` to `close`."""

    def __init__(self, path: Path, venue: str) -> None:
        self._path = path
        self._venue = venue
        self._db: Any = None
        self._writer: Any = None
        self.serial = ""

    def open(self, now: datetime, feed_time: datetime) -> None:
        """Take the file, upgrade it, and note whether the feed's clock went back since the last fill; or BookError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=0.5)
            self._writer = self._db.cursor()
            self._take()
            self._upgrade()
            self.serial = self._fact("serial") or self._set_fact("serial", _base36(micro(now) // 1000))
            self._note_clock(feed_time)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise BookError(
                f"The paper broker's book {self._path} cannot be opened ({error}): see that no other txgatewayd has "
                "it, or move it away, with its -wal file, to begin with a new one."
            ) from error
        except BookError:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        if self._db is not None:
            self._db.close()
            self._db = self._writer = None

    def lose(self) -> None:
        """Put the closed file aside, in place of the last one that was: the next `open` begins a new one."""
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".lost"))

    # writing

    def write(self, turn: Turn) -> None:
        """One turn's changes in one transaction; sqlite3.Error leaves the file as it was."""
        run = self._writer.execute
        run("BEGIN")
        try:
            for held in turn.orders.values():
                if not held.written:
                    run(_ADD_ORDER, order_row(held))
                    if held.open:
                        run("INSERT INTO open_orders VALUES (?)", (held.number,))
                else:
                    run(_CHANGE_ORDER, order_changes(held))
                    if not held.open:
                        run("DELETE FROM open_orders WHERE number = ?", (held.number,))
            for fill in turn.fills:
                run(_SAVE_FILL, fill_row(fill))
            for name, account in turn.accounts.items():
                run(_SAVE_ACCOUNT, account_row(name, account))
            for (name, symbol), position in turn.positions.items():
                self._write_position(position, turn.accounts[name].holdings.get(symbol))
            run("COMMIT")
            for held in turn.orders.values():
                held.written = True
        except BaseException:
            if self._db.in_transaction:
                run("ROLLBACK")
            raise

    def write_account(self, name: str, account: StoredAccount) -> None:
        """Open an account."""
        self._db.execute(_SAVE_ACCOUNT, account_row(name, account))

    def write_duplicate(self, order_id: str, what: str, now: datetime) -> None:
        """Note that a command came a second time."""
        self._db.execute("INSERT INTO duplicates VALUES (?, ?, ?)", (order_id, what, micro(now)))

    def _write_position(self, position: Position, holding: Holding | None) -> None:
        key = (position.account, position.symbol)
        if holding is None:
            self._writer.execute(_DROP_POSITION, key)
        else:
            amounts = (str(position.quantity), str(position.average_price))
            self._writer.execute(_SAVE_POSITION, (*key, *amounts, holding.asset_class.value, holding.currency))

    # reading

    def numbers(self) -> Numbers:
        """The last numbers that the file has."""
        order, called = self._one("SELECT number, called FROM orders ORDER BY number DESC LIMIT 1") or (0, 0)
        fill = self._one("SELECT max(number) FROM executions")[0] or 0
        return Numbers(self.serial, order, called or order, fill)

    def has(self, order_id: str) -> bool:
        """True when an order of this id was ever sent."""
        return self._one("SELECT 1 FROM orders WHERE order_id = ?", order_id) is not None

    def find(self, order_id: str) -> Held | None:
        """An order by our client's id, open or closed."""
        row = self._one("SELECT * FROM orders WHERE order_id = ?", order_id)
        return held_of(row) if row else None

    def open_orders(self) -> list[Held]:
        """The open orders, the oldest first."""
        rows = self._db.execute("SELECT orders.* FROM open_orders JOIN orders USING (number) ORDER BY number")
        return [held_of(row) for row in rows]

    def accounts(self) -> dict[str, StoredAccount]:
        """Every account that was ever opened."""
        rows = self._db.execute("SELECT name, cash, realized, commissions FROM accounts")
        return {name: account_of(*columns) for name, *columns in rows}

    def positions(self) -> list[StoredPosition]:
        """Every open position."""
        return [
            StoredPosition(
                Position(self._venue, account, symbol, Decimal(quantity), Decimal(price)), AssetClass(kind), currency
            )
            for account, symbol, quantity, price, kind, currency in self._db.execute("SELECT * FROM positions")
        ]

    def executions(self, since: datetime | None) -> Executions:
        """The executions after `since` (all: None) that are there now, the oldest first.

        Those made after the feed's clock went back (a replay begun anew) come too, whatever `since` says.
        """
        last = self._one("SELECT max(number) FROM executions")[0] or 0
        return Executions(self, self._before(since), last)

    def page(self, serial: str, after: int, last: int, limit: int) -> list[tuple[int, Execution]]:
        """So many executions numbered above `after` up to `last`, with their numbers; BookError of another book."""
        self._require(serial)
        rows = self._db.execute(
            "SELECT executions.*, orders.* FROM executions JOIN orders ON orders.number = order_number "
            "WHERE executions.number > ? AND executions.number <= ? ORDER BY executions.number LIMIT ?",
            (after, last, limit),
        )
        return [(row[0], execution(held_of(row[9:]), fill_of(row[:9]), self._venue, serial)) for row in rows]

    def count(self, serial: str, after: int, last: int) -> int:
        """How many executions are numbered so; BookError of another book."""
        self._require(serial)
        return int(self._one("SELECT count(*) FROM executions WHERE number > ? AND number <= ?", after, last)[0])

    def _require(self, serial: str) -> None:
        if self._db is None or self.serial != serial:
            raise BookError(f"The paper broker's book of {self._venue} was closed while it was read: ask again.")

    def duplicates(self) -> int:
        """How many commands ever came a second time."""
        return int(self._one("SELECT count(*) FROM duplicates")[0])

    # the file

    def _take(self) -> None:
        db = self._db
        db.execute("PRAGMA page_size = 1024")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise BookError(f"The folder of {self._path} takes no write-ahead log ({mode}): keep it on a local disk.")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")

    def _upgrade(self) -> None:
        version = self._one("PRAGMA user_version")[0]
        if version > len(UPGRADES):
            raise BookError(
                f"The paper broker's book {self._path} has schema {version} and this txgatewayd knows {len(UPGRADES)}: "
                "run the newer txgatewayd that wrote it, or move it away."
            )
        for number, script in enumerate(UPGRADES[version:], version + 1):
            self._db.executescript(f"BEGIN;{script};PRAGMA user_version = {number};COMMIT;")

    def _note_clock(self, feed_time: datetime) -> None:
        """Where fills begin that may carry times before older ones': the last two such places are kept."""
        last = self._one("SELECT number, time FROM executions ORDER BY number DESC LIMIT 1")
        if last is not None and micro(feed_time) < last[1]:
            self._set_fact("back_before", self._fact("back") or str(last[0]))
            self._set_fact("back", str(last[0]))

    def _before(self, since: datetime | None) -> int:
        """The number of the last execution that need not be told."""
        if since is None:
            return 0
        row = self._one("SELECT number FROM executions WHERE time <= ? ORDER BY number DESC LIMIT 1", micro(since))
        back = self._fact("back_before")
        return min([row[0] if row else 0] + ([int(back)] if back else []))

    def _fact(self, name: str) -> str | None:
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return row[0] if row else None

    def _set_fact(self, name: str, value: str) -> str:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        return value

    def _one(self, statement: str, *values: Any) -> Any:
        return self._db.execute(statement, values).fetchone()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
    return digits or "0"
