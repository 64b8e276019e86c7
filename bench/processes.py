"""Everything runs in a process of its own, and ends with this one however it ends."""

from __future__ import annotations

import base64
import ctypes
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
PATIENCE = 180.0
"""Seconds until a process that does not get where it should has failed."""
USER, PASSWORD = "txtrader_user", "txtrader_pass"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_ADDRESSES = re.compile(r"http://[\w.]+:(\d+).*?stream +[\w.]+:(\d+)", re.DOTALL)
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_ENDS = {signal.SIGINT, signal.SIGTERM}


class Broken(Exception):
    """A measurement cannot be made: one sentence."""


def request(path: str, body: Mapping[str, Any] | None = None, gzip: bool = False) -> str:
    """A request's bytes, as Latin-1 text: GET, or POST where there is a body."""
    data = json.dumps(body) if body is not None else ""
    lines = [
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: {AUTHORIZATION}",
        *(["Accept-Encoding: gzip"] if gzip else []),
        *([f"Content-Type: application/json\r\nContent-Length: {len(data)}"] if data else []),
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + data


def until(condition: Callable[[], T | None], child: Child, pause: float = 0.002) -> T:
    """What the condition gives once it gives something, while the child lives."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found is not None:
            return found
        if child.process.poll() is not None:
            raise Broken(f"{child.name} ended by itself:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise Broken(f"{child.name} was not ready in {PATIENCE:g} s:\n{child.tail()}")
        time.sleep(pause)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that end this program wait: Python drops what their handlers raise in its own work after a fork."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_parent() -> None:
    """In the child, before its program: Linux ends it when the process that started it ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


class Child:
    """A process with a log; `command` is what follows `python`, which is this one unless another is given."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        python: Path | str = sys.executable,
        **pipes: Any,
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as out, _uninterrupted():
            self.process = subprocess.Popen(
                [str(python), *command],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent), "PYTHONUNBUFFERED": "1", **environment},
                stderr=out,
                preexec_fn=_die_with_parent,
                **{"stdin": subprocess.DEVNULL, "stdout": out, **pipes},
            )

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def cpu(self) -> float:
        """Seconds that it has computed, in all its threads."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory in MB (of 1024 * 1024 bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Stopped for as long as something else is measured: for those that compute even when nobody asks."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *unused: object) -> None:
        self.kill()


class Server(Child):
    """A daemon that serves HTTP on `port` and its stream on `stream_port`."""

    port: int
    stream_port: int

    def listening(self, log: Path, addresses: re.Pattern[str]) -> None:
        """Find its ports in its log, and wait until its status reads Up; else it is killed."""
        try:
            found = until(lambda: addresses.search(log.read_text(errors="replace")), self)
            self.port, self.stream_port = int(found[1]), int(found[2])
            until(lambda: self.call("status") == "Up" or None, self)
        except BaseException:
            self.kill()
            raise

    def call(self, method: str, **arguments: Any) -> Any:
        """The result of a call, by POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", f"/{method}", json.dumps(arguments), {"Authorization": AUTHORIZATION})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise Broken(f"{method}: {answer.status} {body[:200]!r}\n{self.tail()}")
            return json.loads(body)
        finally:
            connection.close()

    def body(self, path: str) -> bytes:
        """An answer's very bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
            return connection.getresponse().read()
        finally:
            connection.close()

    def ask_for_all(self) -> None:
        """Read today's orders and executions, and keep nothing."""
        self.body("/query_orders")
        self.body("/query_executions")


class Daemon(Server):
    """txgatewayd on free ports with its journal in `folder`.

    Settings are given without the TXGATEWAY_ in front, other variables as they are.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], variables: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        given = {"HTTP_PORT": "0", "TCP_PORT": "0", "DATA_DIR": str(folder), "LOG_HTTP_REQUESTS": "0", **settings}
        log = folder / "daemon.log"
        log.unlink(missing_ok=True)
        begun = time.perf_counter()
        environment = {f"TXGATEWAY_{name}": value for name, value in given.items()}
        super().__init__("txgatewayd", ["-m", "txgateway"], log, {**environment, **(variables or {})})
        self.listening(log, _ADDRESSES)
        self.started_in = time.perf_counter() - begun
        """Seconds from the start of the process to status "Up"."""


class Yardstick(Child):
    """bench.yardsticks, serving on `port`."""

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        command = ["-m", "bench.yardsticks", *arguments]
        super().__init__("the yardstick", command, folder / "yardstick.log", {}, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise Broken(f"the yardstick did not start:\n{self.tail()}")
        self.port = int(line)


class Load(Child):
    """bench.load: the client of all measurements."""

    def __init__(self, folder: Path) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        super().__init__("the load generator", ["-m", "bench.load"], folder / "load.log", {}, **pipes)

    def do(self, what: str, **job: Any) -> dict[str, Any]:
        """Have a job done; its result."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what, **job}).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise Broken(f"the load generator ended:\n{self.tail()}")
        result: dict[str, Any] = json.loads(line)
        if result.get("error") or result.get("bad"):
            raise Broken(f"job {what} failed: {result.get('error') or str(result['bad']) + ' bad answers'}")
        return result
