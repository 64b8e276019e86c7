"""Both journals keep the same promises; SQLite's keeps them over an abrupt end too."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txgateway import chain
from txgateway.journal import Key
from txgateway.journal.memory import MemoryJournal
from txgateway.journal.sqlite import SqliteJournal
from txgateway.model.errors import JournalError
from txgateway.model.events import OrderAccepted, Record, SettingChanged

NOW = datetime(2026, 3, 2, 15, 0, 0, 123456, tzinfo=UTC)


def record(seq: int, name: str = "account") -> Record:
    return Record(seq, NOW, SettingChanged(name, f"value {seq}", "me", NOW))


class Synced:
    """Lets a test wait for what a journal says."""

    def __init__(self) -> None:
        self.seq = 0
        self.errors: list[BaseException] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def synced(self, seq: int) -> None:
        assert seq > self.seq
        self.seq = seq
        self._look()

    def failed(self, error: BaseException) -> None:
        self.errors.append(error)
        self._look()

    def _look(self) -> None:
        for condition, done in list(self._waiting):
            if condition() and not done.called:
                done.callback(None)

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self._waiting.append((condition, done))
        self._look()
        return done.addTimeout(30, reactor)


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "j.sqlite3")


def started(journal: Any) -> Synced:
    synced = Synced()
    journal.open()
    journal.start(reactor, synced.synced, synced.failed)
    return synced


@pytest_twisted.ensureDeferred
async def test_what_is_appended_is_read_back_in_order_and_found_by_its_keys(journal: Any) -> None:
    synced = started(journal)
    for seq in range(1, 201):
        journal.append(record(seq), [Key("client", f"A/{seq}", f"order {seq}")])
    await synced.until(lambda: synced.seq == 200)
    assert await journal.find("client", "A/17") == "order 17"
    assert await journal.find("client", "A/201") is None
    assert await journal.find("broker", "A/17") is None
    page = await journal.page(150, 10)
    assert [each.seq for each, _ in page] == list(range(151, 161))
    assert await journal.page(0, 10, None, ["Executed"]) == []
    assert [each.seq for each in journal.records(198)] == [199, 200]
    assert next(iter(journal.records())) == record(1)
    assert journal.hash_at(151).hex() == page[0][1]
    assert journal.hash_at(999) is None
    await journal.stop()


@pytest_twisted.ensureDeferred
async def test_a_page_can_end_before_a_record_and_be_of_those_with_some_words(journal: Any) -> None:
    synced = started(journal)
    for seq in range(1, 21):
        journal.append(record(seq, "faults:paper" if seq % 5 == 0 else "route"))
    journal.append(Record(21, NOW, OrderAccepted("o1", "B1", NOW)))
    await synced.until(lambda: synced.seq == 21)

    async def seqs(*given: Any) -> list[int]:
        return [each.seq for each, _ in await journal.page(*given)]

    assert await seqs(0, -1, None, ["SettingChanged"], 15, '"faults:paper"') == [5, 10]
    assert await seqs(5, 2, None, ["SettingChanged"], None, '"faults:paper"') == [10, 15]
    assert await seqs(18, -1, None, ["SettingChanged", "OrderAccepted"]) == [19, 20, 21]
    assert await seqs(18, -1, None, ["SettingChanged", "TradingHalted"]) == [19, 20]
    assert await seqs(0, 100, "o1", ["SettingChanged"]) == []
    assert await seqs(0, -1, "o1", (), 21) == []
    await journal.stop()


@pytest_twisted.ensureDeferred
async def test_a_journal_of_an_older_version_opens_and_finds_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    first = resources.files("txgateway.journal").joinpath("schema", "0001.sql").read_text()
    rows = [chain.to_row(chain.START, record(1))]
    rows.append(chain.to_row(rows[0].hash, Record(2, NOW, OrderAccepted("o1", "B1", NOW))))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"{first}; PRAGMA user_version = 1;")
        for each in rows:
            values = (each.seq, each.time, each.kind, each.order_id, each.body, each.hash)
            connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", values)
    journal = SqliteJournal(path)
    synced = started(journal)
    journal.append(record(3))
    await synced.until(lambda: synced.seq == 3)
    assert [each.seq for each, _ in await journal.page(0, 10, None, ["SettingChanged"])] == [1, 3]
    assert [each.seq for each, _ in await journal.order_records("o1")] == [2]
    assert chain.broken_at(journal.rows()) == (3, None)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    await journal.stop()
    again = SqliteJournal(path)
    assert again.open()[0] == 3
    await again.stop()


@pytest_twisted.ensureDeferred
async def test_a_stop_writes_what_waits(journal: Any) -> None:
    started(journal)
    journal.append(record(1))
    await journal.stop()
    assert [each.seq for each in journal.records()] == [1]


@pytest_twisted.ensureDeferred
async def test_the_chain_goes_on_after_a_restart_and_shows_what_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    for first in (1, 4):
        journal = SqliteJournal(path)
        assert journal.open()[0] == first - 1
        synced = Synced()
        journal.start(reactor, synced.synced, synced.failed)
        for seq in range(first, first + 3):
            journal.append(record(seq))
        await journal.stop()
    assert chain.broken_at(SqliteJournal(path).rows()) == (6, None)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET body = replace(body, 'value 4', 'value 5') WHERE seq = 4")
    assert chain.broken_at(SqliteJournal(path).rows()) == (3, 4)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM records WHERE seq = 2")
    assert chain.broken_at(SqliteJournal(path).rows()) == (1, 3)


@pytest_twisted.ensureDeferred
async def test_a_second_daemon_on_the_same_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first = SqliteJournal(tmp_path / "j.sqlite3")
    started(first)
    with pytest.raises(JournalError, match="in use by another txgatewayd"):
        SqliteJournal(tmp_path / "j.sqlite3").open()
    await first.stop()
    again = SqliteJournal(tmp_path / "j.sqlite3")
    again.open()
    await again.stop()


def test_a_journal_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer txgateway"):
        SqliteJournal(tmp_path / "j.sqlite3").open()


def test_a_file_that_is_no_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite3").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "j.sqlite3").open()


@pytest_twisted.ensureDeferred
async def test_a_batch_that_cannot_be_written_stays_and_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    journal = SqliteJournal(path)
    synced = started(journal)
    journal.append(record(1))
    await synced.until(lambda: synced.seq == 1)
    with sqlite3.connect(path, isolation_level=None) as blocker:
        blocker.execute("ALTER TABLE records RENAME TO hidden")
        journal.append(record(2))
        await synced.until(lambda: bool(synced.errors))
        assert synced.seq == 1
        blocker.execute("ALTER TABLE hidden RENAME TO records")
    journal.append(record(3))
    await synced.until(lambda: synced.seq == 3)
    await journal.stop()
    assert chain.broken_at(SqliteJournal(path).rows()) == (3, None)


_WRITER = """
import sys
from twisted.internet import reactor
from pathlib import Path
from tests.journal.test_journal import record
from txgateway.journal.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
journal.open()
at = 0
def more():
    global at
    for _ in range(7):
        at += 1
        journal.append(record(at))
def synced(seq):
    print(seq, flush=True)
    more()
journal.start(reactor, synced, print)
reactor.callWhenRunning(more)
reactor.run()
"""


@pytest_twisted.ensureDeferred
async def test_what_was_said_to_be_synced_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    root = Path(__file__).parents[2]
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, cwd=root)
    assert writer.stdout is not None
    said = 0
    for _ in range(50):
        said = int(writer.stdout.readline())
    writer.kill()
    for line in writer.stdout.readlines():
        said = int(line) if line.endswith(b"\n") else said
    writer.wait()
    writer.stdout.close()
    journal = SqliteJournal(path)
    assert journal.open()[0] >= said
    assert chain.broken_at(journal.rows())[1] is None
    await journal.stop()


def test_the_reactor_is_asyncios() -> None:
    assert isinstance(reactor._asyncioEventloop, asyncio.AbstractEventLoop)  # type: ignore[attr-defined]
