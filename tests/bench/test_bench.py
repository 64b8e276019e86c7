"""Every measurement runs and gives sane figures, however small; and nothing that it started outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.measurements import TABLE

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
FIGURES = {
    "status": 1,
    "orders": 3,
    "trading": 3,
    "risk": 2,
    "signals": 4,
    "fan_out": 6,
    "ticks": 2,
    "starting": 3,
    "recovering": 1,
    "holding": 3,
    "memory": 4,
    "rtx": 19,
}
"""How many lines each has in the table."""


def bench(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The program, with its journals in `folder`."""
    command = [sys.executable, "-m", "bench", *words, "--quick", "--folder", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measured(folder: Path, *words: str) -> dict[str, Any]:
    """Its JSON."""
    process = bench(folder, *words, "--json")
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert not list(folder.iterdir()), "its folder is still there"
    found: dict[str, Any] = json.loads(out)
    return found


def test_every_measurement_is_looked_at_here() -> None:
    assert FIGURES.keys() == TABLE.keys()


def test_all_measurements_run_and_give_sane_figures(tmp_path: Path) -> None:
    found = measured(tmp_path)
    assert found["machine"]["cores"] >= 1
    assert len(found["figures"]) == sum(FIGURES.values())
    for figure in found["figures"]:
        assert figure["name"]
        assert figure["unit"]
        assert figure["value"] > 0 or "growth" in figure["name"]
        assert figure["yardstick"] is None or figure["yardstick"] > 0
        assert figure["ratio"] is None or 0.001 < figure["ratio"] < 1000
        assert (figure["met"] is None) == (not figure["target"])


def test_the_table_says_what_it_was_measured_on(tmp_path: Path) -> None:
    process = bench(tmp_path, "status")
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    head, _, table = out.partition("\n\n")
    assert "cores" in head
    assert "Twisted" in head
    assert str(tmp_path) in head
    assert table.startswith(" ")
    assert "GET status" in table


def test_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    process = bench(tmp_path, "nothing")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "there is no nothing" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_it_started_ends_with_it(number: signal.Signals, tmp_path: Path) -> None:
    process = bench(tmp_path, "memory", "--million")
    children = until(lambda: found if len(found := children_of(process.pid)) >= 2 else None)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(alive(child) for child in children) or None)
    assert process.returncode == (-number if number == signal.SIGKILL else 130)


def until(condition: Any) -> Any:
    """What the condition gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while (found := condition()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def children_of(pid: int) -> list[int]:
    """The processes that a process started."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def alive(pid: int) -> bool:
    """Whether a process is still there and no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
