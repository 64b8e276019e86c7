"""A snapshot saves time and never costs truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Cooperator

from tests.desk import Bench
from txgateway import snapshots
from txgateway.ids import Ids
from txgateway.snapshots import Snapshots


@pytest.fixture
def bench() -> Bench:
    bench = Bench().up()
    for _ in range(5):
        bench.submit()
    bench.broker.mode = "accept"
    bench.submit(client_order_id="open one\t\n")
    return bench


def taken(bench: Bench, path: Path) -> Snapshots:
    made = Snapshots(path, bench.journal, Cooperator())
    made.take_now(bench.gateway.state)
    return made


def test_it_gives_the_state_back(bench: Bench, tmp_path: Path) -> None:
    taken(bench, tmp_path / "s")
    loaded = snapshots.load(tmp_path / "s", bench.journal)
    assert loaded is not None
    assert list(loaded.dump()) == list(bench.gateway.state.dump())
    assert loaded.find_client("ACC", "open one\t\n") == bench.gateway.state.find_client("ACC", "open one\t\n")


@pytest.mark.parametrize("harm", ["cut", "change", "empty", "garbage", "half a line"])
def test_a_damaged_one_is_left_aside(bench: Bench, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "s"
    taken(bench, path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(
        {
            "cut": b"".join(lines[:-2]),
            "change": whole.replace(b"IBM", b"AAPL", 1),
            "empty": b"",
            "garbage": b"\xff\x00 nothing",
            "half a line": whole[:-30],
        }[harm]
    )
    assert snapshots.load(path, bench.journal) is None


def test_one_of_another_journal_is_left_aside(bench: Bench, tmp_path: Path) -> None:
    taken(bench, tmp_path / "s")
    assert snapshots.load(tmp_path / "s", Bench().up().journal) is None
    assert snapshots.load(tmp_path / "none", bench.journal) is None


@pytest_twisted.ensureDeferred
async def test_one_taken_in_slices_is_of_one_moment(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "EVERY", 1)
    monkeypatch.setattr(snapshots, "_SLICE", 1)
    before = list(bench.gateway.state.dump())
    made = Snapshots(tmp_path / "s", bench.journal, Cooperator())
    made.consider(bench.gateway.state)
    for _ in range(5):
        bench.submit()
    await made.stop()
    loaded = snapshots.load(tmp_path / "s", bench.journal)
    assert loaded is not None
    assert list(loaded.dump()) == before


def test_ids_sort_as_they_were_made_whatever_the_clock_does() -> None:
    bench = Bench()
    ids = Ids(bench.now, lambda room: room - 1)
    made = [ids()]
    for step in (0, 0, 1, -5, 0, 100):
        bench.clock.rightNow += step
        made.append(ids())
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {20}
