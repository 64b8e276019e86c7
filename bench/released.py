"""txTrader's released daemon and ours in its mode, each on an emulated rtgw of its own: what stands side by side.

The released one is in a virtual environment of its own, which pip makes the first time and which is kept.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import PASSWORD, Broken, Child, Daemon, Server
from tests.e2e.published_daemon import FOLDER, install

ACCOUNT, SYMBOL = "EMU.TEST.DESK.ONE", "IBM"
_ADDRESSES = re.compile(r"TxTraderSite starting on (\d+).*serverFactory starting on (\d+)", re.DOTALL)
_TOML = """
[venues.rtx]
kind = "rtx"
host = "127.0.0.1"
port = {port}
rate = 100000
"""
"""Ours keeps to 200 messages a second to rtgw unless it is told otherwise; the released one knows no such limit."""


class Emulator(Child):
    """The emulated rtgw, a process of its own; its quotes move four times a second, until it is told to rush."""

    def __init__(self, folder: Path) -> None:
        command = ["-m", "tests.emulators.rtgw", "--port", "0", "--control", "0"]
        super().__init__("the emulated rtgw", command, folder / "rtgw.log", {}, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise Broken(f"{self.name} did not start:\n{self.tail()}")
        said = json.loads(line)
        self.port, self.control = int(said["port"]), int(said["control"])


def rush(*symbols: str) -> str:
    """What the emulator's control port is told: quotes of these come as fast as they are taken, or (of none) end."""
    return json.dumps({"do": "rush", "symbols": symbols})


class Released(Server):
    """txTrader 1.14.29 as its own command starts it, Up; it logs neither calls nor orders, as it would by default."""

    def __init__(self, folder: Path, port: int) -> None:
        try:
            python = install()
        except AssertionError as error:
            raise Broken(str(error)) from error
        tac = next(FOLDER.glob("lib/python*/site-packages/txtrader/txtrader.tac"))
        twistd = str(FOLDER / "bin" / "twistd")
        command = [twistd, "--nodaemon", "--reactor=poll", "--logfile=-", "--pidfile=", f"--python={tac}"]
        given = {"API_PORT": port, "HTTP_PORT": 0, "TCP_PORT": 0, "PASSWORD": PASSWORD, "ENABLE_TICKER": 1}
        quiet = ("LOG_HTTP_REQUESTS", "LOG_HTTP_RESPONSES", "LOG_ORDER_UPDATES", "LOG_EXECUTION_UPDATES")
        given |= {"ENABLE_AUTO_RESET": 0, **dict.fromkeys(quiet, 0)}
        environment = {"TZ": "America/New_York"} | {f"TXTRADER_{name}": str(value) for name, value in given.items()}
        log = folder / "txtrader.log"
        super().__init__("txTrader", command, log, environment, python)
        self.listening(log, _ADDRESSES)


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the two, trading one symbol, and the rtgw that it trades on."""

    server: Server
    emulator: Emulator


@contextmanager
def _peer(server: Server, emulator: Emulator) -> Iterator[Peer]:
    with server:
        server.call("add_symbol", symbol=SYMBOL)
        yield Peer(server, emulator)


@contextmanager
def ours(folder: Path) -> Iterator[Peer]:
    """txgatewayd in mode rtx, all its limits as they are by default; its journal is in the folder."""
    with Emulator(folder) as emulator:
        toml = folder / "venues.toml"
        toml.write_text(_TOML.format(port=emulator.port))
        settings = {"CONFIG": str(toml), "API_ACCOUNT": ACCOUNT, "ENABLE_TICKER": "1"}
        with _peer(Daemon(folder / "journal", settings), emulator) as peer:
            yield peer


@contextmanager
def theirs(folder: Path) -> Iterator[Peer]:
    """The released daemon."""
    with Emulator(folder) as emulator, _peer(Released(folder, emulator.port), emulator) as peer:
        yield peer
