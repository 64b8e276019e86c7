"""The page for authors of brokers: its commands as they are pasted, its code as the example has it, its tables."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from site import getsitepackages

import pytest

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import MakeDaemon
from txgateway.brokers import Broker, Can
from txgateway.brokers.conformance import cases
from txgateway.model import events

PAGE = ROOT / "txgateway" / "brokers" / "README.md"
EXAMPLE = ROOT / "tests" / "example_broker"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = "".join(text for kind, text in BLOCKS if kind == "sh")
TERMS = {"account": "TINY1", "symbol": "ACME", "route": "DEMO"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh Python that sees what this one has, where the example can be installed without a network."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    (site,) = subprocess.check_output([python, "-c", "import site; print(*site.getsitepackages())"], text=True).split()
    lines = [f"import site; site.addsitedir({each!r})\n" for each in getsitepackages()]
    Path(site, "what-the-tests-have.pth").write_text("".join(lines))
    for name, module in (("txgatewayd", "txgateway.__main__"), ("txgateway", "txgateway_client.cli")):
        command = python.with_name(name)
        command.write_text(f"#!{python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        command.chmod(0o755)
    return python


def environ(python: Path, folder: Path) -> dict[str, str]:
    """Nothing of the test's own; pip takes what is there."""
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(folder), **pip}


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_every_command_works_as_pasted(python: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "tests" / "example_broker", ignore=shutil.ignore_patterns("__pycache__"))
    exchange, http, stream = map(str, free_ports(3))
    assert COMMANDS.count("7070") == 2
    commands = "set -euo pipefail\n" + COMMANDS.replace("7070", exchange)
    settings = {"TXGATEWAY_HTTP_PORT": http, "TXGATEWAY_TCP_PORT": stream}
    output = tmp_path / "output"
    with output.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", commands],
            cwd=tmp_path,
            env={**environ(python, tmp_path), **settings},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(3 * PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    said = output.read_text()
    assert code == 0, said
    assert re.search(r"^60 passed, 8 skipped in ", said, re.MULTILINE), said
    assert "FILLED" in said
    assert re.search(r'"TINY1":\s*{\s*"ACME":\s*10\s*}', said), said
    assert "venue toy: kind=tiny port=" + exchange in said.replace("port=7070", f"port={exchange}")
    assert "C13-a-market-order-fills - A market order is accepted" in said


# ---------------------------------------------------------------- the daemon, by the kind


@pytest.fixture(scope="module")
def site(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example was installed, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    copy = folder / "example"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        folder / "site",
        copy,
    ]
    subprocess.run([python, *install], env=environ(python, folder), check=True, timeout=3 * PATIENCE)
    shutil.rmtree(copy)
    return folder / "site"


@pytest.fixture
def exchange(site: Path, tmp_path: Path) -> Iterator[int]:
    """A tiny exchange in a process of its own; its port."""
    command = [sys.executable, "-m", "tiny_exchange", "--port", "0"]
    log = tmp_path / "exchange.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=site, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield int(until(lambda: re.search(r"listens on 127\.0\.0\.1:(\d+)", log.read_text()))[1])
    finally:
        process.kill()
        process.wait(PATIENCE)
    assert "Traceback" not in log.read_text()


def tiny(make_daemon: MakeDaemon, site: Path, port: int, **more: str) -> Daemon:
    daemon = make_daemon(MODE="tiny", API_HOST="127.0.0.1", API_PORT=str(port), API_ACCOUNT="TINY1", **more)
    daemon.variables["PYTHONPATH"] = str(site)
    return daemon


def test_the_daemon_trades_through_it_and_finds_everything_after_kill_9(
    make_daemon: MakeDaemon, site: Path, exchange: int
) -> None:
    daemon = tiny(make_daemon, site, exchange).start().up()
    assert daemon.call("query_venues")["tiny"]["kind"] == "tiny"
    bought = daemon.call("market_order", **TERMS, quantity=10)
    assert (bought["order_status"], bought["avgfillprice"], bought["venue"]) == ("FILLED", 100.01, "tiny")
    resting = daemon.call("limit_order", **TERMS, quantity=5, limit_price=90)
    other = daemon.call("limit_order", **TERMS, quantity=5, limit_price=91)
    assert [each["order_status"] for each in (resting, other)] == ["NEW", "NEW"]
    no = daemon.call("limit_order", **TERMS, quantity="2.5", limit_price=90)
    assert (no["order_status"], no["reason"]) == ("DENIED", "BAD_LOT")
    no = daemon.call("stop_order", **TERMS, quantity=5, stop_price=110)
    assert (no["order_status"], no["reason"]) == ("DENIED", "UNSUPPORTED")
    daemon.kill()
    daemon.start().up()
    assert set(daemon.call("query_open_orders")) == {resting["permid"], other["permid"]}
    assert daemon.call("cancel_order", id=resting["permid"])["order_status"] == "CANCELED"
    assert daemon.call("query_positions") == {"TINY1": {"ACME": 10}}
    assert daemon.call("query_balances")["TINY1"]["USD"]["total"] == 1_000_000 - 10 * 100.01
    assert daemon.call("query_differences") == []
    assert daemon.stop() == 0


def test_a_link_that_is_lost_is_made_anew(make_daemon: MakeDaemon, site: Path, exchange: int) -> None:
    (port,) = free_ports(1)
    daemon = tiny(make_daemon, site, port).start()
    until(lambda: "the tiny exchange cannot be reached" in daemon.log.read_text(), daemon)
    assert daemon.call("status") != "Up"
    refused = daemon.get("market_order", **TERMS, quantity=1)
    assert refused.status_code == 503
    assert daemon.stop() == 0


def test_its_settings_are_checked_before_a_start(make_daemon: MakeDaemon, site: Path) -> None:
    toml = '[venues.toy]\nkind = "tiny"\nport = "here"\npatince = 5\n'
    checked = tiny(make_daemon, site, 0).configure(toml, MODE="", API_PORT="").run("--check")
    said = checked.stdout + checked.stderr
    assert checked.returncode == 2, said
    assert "[venues.toy] port=here: give the port of the exchange, a whole number from 1 to 65535." in said
    assert "[venues.toy] patince: there is no such option; those there are: host, port, patience, silence." in said


# ---------------------------------------------------------------- what the page says


def test_its_code_is_the_examples() -> None:
    files = {path: path.read_text("utf-8") for path in EXAMPLE.iterdir() if path.is_file()}
    shown = [(kind, text) for kind, text in BLOCKS if kind in ("python", "toml")]
    assert len(shown) >= 6
    for _, text in shown:
        assert any(text in each for each in files.values()), f"the example has it otherwise:\n{text}"


def test_its_table_has_every_flag_and_its_cases() -> None:
    rows = dict(re.findall(r"^\| (?:`([A-Z_]+)`|none) \|[^|]*\|([^|]*)\|$", PAGE.read_text("utf-8"), re.MULTILINE))
    numbers = {flag: [f"C{case.number:02}" for case in cases() if flag in case.needs] for flag in Can}
    every = [f"C{case.number:02}" for case in cases(Can(0))]
    assert {name: found.split() for name, found in rows.items()} == {
        "": every,
        **{str(flag.name): found for flag, found in numbers.items()},
    }


def members(noun: type) -> str:
    """As the page writes them: in brackets where they have a default."""
    known = fields(noun)
    required = [each.default is MISSING and each.default_factory is MISSING for each in known]
    return ", ".join(each.name if must else f"[{each.name}]" for each, must in zip(known, required, strict=True))


def test_its_nouns_have_their_members() -> None:
    rows = re.findall(r"^\| `([A-Z][a-z]\w+)` \| `(\w+)` \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 12
    for name, module, told in rows:
        assert told == members(getattr(import_module(f"txgateway.model.{module}"), name))


def test_its_events_are_made_as_it_says() -> None:
    told = re.findall(r"`(\w+)\(([\w, ]+)\)`", PAGE.read_text("utf-8"))
    found = {name: given for name, given in told if hasattr(events, name)}
    assert len(found) >= 10
    for name, given in found.items():
        required = members(getattr(events, name)).partition(", [")[0]
        assert given == required, name


def test_it_tells_of_every_method_and_every_event() -> None:
    text = PAGE.read_text("utf-8")
    methods = [name for name, member in vars(Broker).items() if callable(member) and not name.startswith("_")]
    assert [name for name in methods if f"`{name}" not in text and f" {name}(" not in text] == []


def test_its_failure_is_what_a_failure_says() -> None:
    told = textwrap.dedent(dict(BLOCKS)["text"]).splitlines()
    sentence = next(each.sentence for each in cases() if each.number == 30)
    assert " ".join(told[:2]) == f"C30-a-cancel-ends-a-resting-order: {sentence}"


def test_what_it_links_to_is_there() -> None:
    text = PAGE.read_text("utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
