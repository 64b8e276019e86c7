"""The real daemon as a process of its own, on free ports, with a folder of its own; and a plain HTTP client for it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import requests

from tests import ports

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds until a condition that does not come true is a failure."""
DATA = ROOT.parent / "shared" / "data"
"""Real market data, where it is there."""


class Daemon:
    """`txgatewayd` under a test. `environment` is given without the TXGATEWAY_ in front; `variables` as they are."""

    started: ClassVar[list[Daemon]] = []
    """Every daemon of this run, so that a failure can show its log."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            "HTTP_PORT": "0",
            "TCP_PORT": "0",
            "LOGIN_DELAY": "0.01",
            "DATA_DIR": str(folder),
            **environment,
        }
        self.variables: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "daemon.log"
        self.http_port = 0
        self.tcp_port = 0
        self.session = requests.Session()
        self.session.auth = ("txtrader_user", environment.get("PASSWORD", "txtrader_pass"))

    @property
    def environ(self) -> dict[str, str]:
        """The environment it runs in: nothing of the test's own but the path."""
        known = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONUNBUFFERED": "1"}
        settings = {f"TXGATEWAY_{name}": value for name, value in self.environment.items()}
        return {**known, **settings, **self.variables}

    @property
    def toml(self) -> Path:
        """The file that `configure` writes."""
        return self.folder / "txgateway.toml"

    def configure(self, toml: str, **environment: str) -> Daemon:
        """Have its venues (and more) from TOML, at its next start; what it is given beside that, as for a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.toml.write_text(toml)
        self.environment.update({"CONFIG": str(self.toml), "PAPER_FEED": "", **environment})
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `txgatewayd` with these arguments until it ends by itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "txgateway", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def logs(self) -> list[Path]:
        """Where it may say where it listens: its standard output, and its log file if it has one."""
        logfile = Path(self.environment.get("DAEMON_LOGFILE", "-"))
        return [path for path in (self.log, logfile) if path.is_file()]

    def start(self) -> Daemon:
        """Start it, and wait until its ports are bound. A restart binds the same ports."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self not in self.started:
            self.started.append(self)
        before = {path: path.stat().st_size for path in self.logs()}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "txgateway"],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

        def bound() -> re.Match[str] | None:
            written = (path.read_bytes()[before.get(path, 0) :] for path in self.logs())
            text = b"".join(written).decode(errors="replace")
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon ended:\n{text[-3000:]}"
            return re.search(r"https?://[\w.]+:(\d+).*?stream +[\w.]+:(\d+)", text, re.DOTALL)

        found = until(bound, self)
        self.http_port, self.tcp_port = int(found[1]), int(found[2])
        self.environment.update(HTTP_PORT=found[1], TCP_PORT=found[2])
        ports.release(self.http_port, self.tcp_port)
        return self

    def up(self) -> Daemon:
        """Wait until status reads Up."""
        until(lambda: self.call("status") == "Up", self)
        return self

    @property
    def url(self) -> str:
        """The address of its HTTP server."""
        return f"http{'s' if 'TLS_CERT' in self.environment else ''}://127.0.0.1:{self.http_port}"

    def get(self, path: str, /, **arguments: Any) -> requests.Response:
        """GET by path."""
        return self.session.get(f"{self.url}/{path}", params=arguments, timeout=PATIENCE)

    def call(self, method: str, /, **arguments: Any) -> Any:
        """A method by path with a JSON body; its result."""
        answer = self.session.post(f"{self.url}/{method}", json=arguments, timeout=PATIENCE)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def rpc(self, method: str, params: Any = None, **more: Any) -> Any:
        """A method by JSON-RPC; the whole answer."""
        message = {"jsonrpc": "2.0", "method": method, "params": {} if params is None else params, "id": 1, **more}
        answer = self.session.post(f"{self.url}/rpc", json=message, timeout=PATIENCE)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def memory(self) -> int:
        """Its resident memory in bytes."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        ports.keep(self.http_port, self.tcp_port)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        ports.keep(self.http_port, self.tcp_port)
        return code

    def end(self) -> None:
        """However the test went."""
        self.session.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        ports.release(self.http_port, self.tcp_port)

    def tail(self) -> str:
        """The end of its log, for a failure's message."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


def until(condition: Any, daemon: Daemon | None = None, patience: float = PATIENCE) -> Any:
    """What the condition gives, once it is true. Between two looks it waits for nothing but a moment."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain\n{daemon.tail() if daemon else ''}"
        time.sleep(0.005)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """What is made once in a folder beside the tests: tests that run at the same time wait for each other."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
