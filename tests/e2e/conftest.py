"""Real daemons for the tests here: each is ended, its log and files are looked through for tracebacks and secrets."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon

PASSWORD = "tr0ub4dor-n3ver-l0gged"
"""Every daemon's, so that it can be looked for in all that they write."""
MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="module")
def make_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeDaemon]:
    """Makes daemons (not yet started), in folders of their own; after the module all are ended and inspected."""
    made: list[Daemon] = []

    def make(**environment: str) -> Daemon:
        settings = {"PASSWORD": PASSWORD, "PAPER_FEED": "synthetic:7", **environment}
        made.append(Daemon(tmp_path_factory.mktemp("daemon") / "data", **settings))
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()
    for daemon in made:
        inspect(daemon)


def spoil_book(daemon: Daemon) -> Path:
    """Give a daemon that is not started yet a paper venue that cannot come up: its book is no book. Gives the file.

    A fresh daemon's venue is not up for some milliseconds only, which no test could rely on.
    """
    book = daemon.folder / "venues" / "paper" / "book-paper.sqlite3"
    book.parent.mkdir(parents=True)
    book.write_bytes(b"this was a book once" * 1000)
    return book


def inspect(daemon: Daemon) -> None:
    """No traceback in its log; its password in no file that it wrote."""
    log = daemon.log.read_text(errors="replace") if daemon.log.exists() else ""
    at = log.find("Traceback (most recent call last)")
    assert at < 0, f"the daemon logged a traceback:\n{log[max(0, at - 1500) : at + 3000]}"
    login = b64encode(f"txtrader_user:{PASSWORD}".encode())
    for path in filter(Path.is_file, daemon.folder.rglob("*")):
        data = path.read_bytes()
        for secret in (PASSWORD.encode(), login):
            where = data.find(secret)
            line = data[max(0, where - 200) : where + 60].decode(errors="replace")
            assert where < 0, f"{path} has the password in it: …{line}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the ends of the daemons' logs with a failure."""
    report: Any = yield
    if report.failed:
        for daemon in Daemon.started:
            if daemon.process is not None and daemon.process.poll() is None:
                report.sections.append((f"daemon {daemon.folder}", daemon.tail()))
    return report
