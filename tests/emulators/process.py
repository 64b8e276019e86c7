"""An emulator as a process of its own, and its controls, for tests that block."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Self

from tests import ports

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m` the emulator's module, on a free port. `options` as on its command line: `("--tick", "0")`."""

    module: str

    def __init__(self, *options: str, errors: Path | None = None) -> None:
        self.options = options
        self.errors = errors
        """Where its log goes."""
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._told = 0

    def start(self) -> Self:
        """Start it, and wait until its port is bound. A restart binds the same port."""
        command = [sys.executable, "-m", self.module, "--stdin", "--port", str(self.port), *self.options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        if self.errors is None:
            self.process = subprocess.Popen(command, cwd=ROOT, **pipes)
        else:
            with self.errors.open("a") as errors:
                self.process = subprocess.Popen(command, cwd=ROOT, stderr=errors, **pipes)
        self.port = self._read()["port"]
        ports.release(self.port)
        self._told = 0
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.end()

    def _pipe(self, name: str) -> IO[str]:
        pipe = getattr(self.process, name)
        assert pipe is not None
        return pipe

    def _read(self) -> Any:
        line = self._pipe("stdout").readline()
        assert line, "the emulator has ended"
        return json.loads(line)

    def do(self, command: str, **arguments: Any) -> Any:
        """A control command; its result."""
        self._pipe("stdin").write(json.dumps({"do": command, **arguments}) + "\n")
        self._pipe("stdin").flush()
        answer = self._read()
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def violations(self) -> list[str]:
        """What clients did that they should not, each told once: the test that it happened in fails, and no other."""
        found: list[str] = self.do("status")["violations"]
        new = found[self._told :] if len(found) >= self._told else found  # a reset forgets them
        self._told = len(found)
        return new

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        ports.keep(self.port)
        self._pipe("stdin").close()
        self._pipe("stdout").close()

    def end(self) -> None:
        """However the test went."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
