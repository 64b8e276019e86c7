"""txTrader's released daemon 1.14.29, in a virtual environment of its own beside today's libraries, as a process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.daemon import PATIENCE, alone, until

HASH = "sha256:5e7d52aeeabe5796bcad0620e722e85e5d7af6f57e566774bc9f79ca5d12a985"
"""Of its wheel on PyPI: what is tested is what was published, unmodified."""
BESIDE = ["twisted", "ujson", "pytz", "hexdump", "click", "requests", "tzlocal==2.1", "setuptools<80"]
FOLDER = Path(sys.prefix) / "published-txtrader-daemon"
"""Kept from one run to the next."""


def install() -> Path:
    """The Python that has it; made by pip the first time."""
    with alone(FOLDER):
        return _made()


def _made() -> Path:
    python, made = FOLDER / "bin" / "python", FOLDER / "made"
    if not made.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        wanted = FOLDER / "requirements.txt"
        wanted.write_text(f"txtrader==1.14.29 --hash={HASH}\n")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
        for what in (BESIDE, ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r", str(wanted)]):
            ended = subprocess.run([*pip, *what], capture_output=True, text=True, check=False)
            assert ended.returncode == 0, (
                "pip could not fetch txtrader 1.14.29 and what it needs, which these tests are about: "
                f"give it access to a package index.\n{ended.stderr}"
            )
        made.touch()
    return python


class PublishedDaemon:
    """The released daemon against a gateway's port. Its zone is the feed's, so that times can be compared."""

    def __init__(self, folder: Path, gateway_port: int) -> None:
        self.folder = folder
        self.gateway_port = gateway_port
        self.log = folder / "published-daemon.log"
        self.http_port = self.tcp_port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.session = requests.Session()
        self.session.auth = ("txtrader_user", "published")

    def start(self) -> PublishedDaemon:
        """Start it, and wait until its ports are bound."""
        python = install()
        file = next(FOLDER.glob("lib/python*/site-packages/txtrader/txtrader.tac"))
        options = ["--nodaemon", "--reactor=poll", "--logfile=-", "--pidfile=", f"--python={file}"]
        settings = {"API_PORT": str(self.gateway_port), "HTTP_PORT": "0", "TCP_PORT": "0", "PASSWORD": "published"}
        settings |= {f"TIMEOUT_{each}": f"{PATIENCE:g}" for each in ("DEFAULT", "ACCOUNT", "ADDSYMBOL", "BARCHART")}
        settings |= {"ENABLE_TICKER": "1", "ENABLE_AUTO_RESET": "0", "LOG_API_MESSAGES": "1", "LOG_LEVEL": "INFO"}
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "TZ": "America/New_York"}
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(python), str(FOLDER / "bin" / "twistd"), *options],
                cwd=self.folder,
                env=env | {f"TXTRADER_{name}": value for name, value in settings.items()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

        def bound() -> re.Match[str] | None:
            assert self.process is not None
            text = self.log.read_bytes()[began:].decode(errors="replace")
            assert self.process.poll() is None, f"the released daemon ended:\n{text[-3000:]}"
            return re.search(r"TxTraderSite starting on (\d+).*serverFactory starting on (\d+)", text, re.DOTALL)

        found = until(bound)
        self.http_port, self.tcp_port = int(found[1]), int(found[2])
        return self

    def up(self) -> PublishedDaemon:
        """Wait until status reads Up."""
        until(lambda: self.call("status") == "Up", self)
        return self

    def call(self, method: str, **arguments: Any) -> Any:
        """A method by path with a JSON body; its result."""
        url = f"http://127.0.0.1:{self.http_port}/{method}"
        answer = self.session.post(url, json=arguments, timeout=PATIENCE)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def end(self) -> None:
        """However the test went."""
        self.session.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def tail(self) -> str:
        """The end of its log, for a failure's message."""
        return self.log.read_text(errors="replace")[-4000:]
