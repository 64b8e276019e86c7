"""Every emulator as a process of its own: its command line, its controls on a port and on standard input, its end."""

from __future__ import annotations

import ast
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.emulators import command_line
from tests.emulators.control import Control
from tests.emulators.crypto import process as crypto
from tests.emulators.process import ROOT
from tests.emulators.rtgw import __main__ as rtgw
from tests.emulators.tws import __main__ as tws

EMULATORS = ("binance", "coinbase", "rtgw", "tws", "woo")
FOLDER = ROOT / "tests" / "emulators"
MADE = {
    "rtgw": (rtgw.parser, rtgw.make),
    "tws": (tws.parser, tws.make),
    "woo": (lambda: crypto.parser("woo"), lambda given, reactor: crypto.options(given)),
}
STRANGERS = ("txgateway", "txgateway_client", "txgateway_monitor", "ccxt", "ib_async")


def command(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"tests.emulators.{name}", "--port", "0", *words]


@pytest.mark.parametrize("name", EMULATORS)
def test_controls_over_a_port_and_its_end(name: str) -> None:
    words = command(name, "--control", "0", "--tick", "0")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        listens = json.loads(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", listens["control"]), 10) as link, link.makefile("rw") as file:
            lines = ("clear", "nonsense", "[]", "{", '{"do": "quote", "symbol": "X"}', '{"do": 1}', '{"do": "help"}')
            for line in lines:
                file.write((line if line[0] in "[{" else json.dumps({"do": line})) + "\n")
            file.flush()
            link.shutdown(socket.SHUT_WR)
            answers = [json.loads(line) for line in file]
        assert answers[0] == {"ok": None}
        assert ["error" in each for each in answers] == [False, True, True, True, True, True, False]
        assert "there are: " in answers[1]["error"]
        assert {"clear", "drop", "fault", "faults", "help", "quote", "reset", "restart", "status"} <= {
            *answers[6]["ok"]
        }
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("name", EMULATORS)
def test_controls_on_standard_input_and_its_end(name: str) -> None:
    lines = '{"do": "fault", "name": "lost_ack"}\n\n{"do": "faults"}\n'
    words = command(name, "--stdin", "--tick", "0")
    ended = subprocess.run(words, cwd=ROOT, input=lines, capture_output=True, text=True, timeout=30, check=True)
    listens, first, then = map(json.loads, ended.stdout.splitlines())
    assert listens["port"] > 0
    assert first == {"ok": None}
    assert [fault["kind"] for fault in then["ok"]["set"]] == ["lost_ack"]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("line", ["{}", "help", '"help"', "[]", "{", "5", "null", b"\xff", '{"DO": "help"}'])
def test_what_is_no_command_is_told_how_one_is_written(line: str | bytes) -> None:
    emulator: Any = None
    assert Control(emulator).obey(line) == {
        "error": 'A command is a JSON object on one line, with its name as "do": {"do": "help"} tells all of them.'
    }


@pytest.mark.parametrize("name", MADE)
def test_help_says_what_the_control_port_takes(name: str) -> None:
    assert '{"do": "help"}' in " ".join(MADE[name][0]().format_help().split())


OF_EVERY_ONE = {
    "--port x": "a port is 0 to 65535, not 'x'",
    "--port 65536": "a port is 0 to 65535, not '65536'",
    "--control -1": "a port is 0 to 65535, not '-1'",
    "--tick nan": "seconds are a number from 0, not 'nan'",
    "--latency -1": "seconds are a number from 0, not '-1'",
    "--nonsense": "unrecognized arguments: --nonsense",
}
OF_GATEWAYS = {
    "--cash NaN": "an amount is a number, not 'NaN'",
    "--begins noon": "a time is written like 2026-03-04T11:00, in US/Eastern, not 'noon'",
    "--begins 2026-03-04T11:00Z": "a time is written like 2026-03-04T11:00, in US/Eastern, not '2026-03-04T11:00Z'",
    "--position nonsense": "a position is ACCOUNT:SYMBOL:SHARES, not 'nonsense'",
    "--position A.B.C.D:IBM:many": "a position is ACCOUNT:SYMBOL:SHARES, not 'A.B.C.D:IBM:many'",
    "--position X:IBM:5": "no account 'X' for a position in IBM; there are: ",
}
OF_RTGW = {
    "--account A.B.C": "an account has four parts with dots between: A.B.C",
    "--position EMU.TEST.DESK.ONE:NOSUCH:5": "no symbol 'NOSUCH'; there are: ",
    "--state /no/such/folder/file": "there is no folder /no/such/folder for the state file",
}
OF_TWS = {
    "--version 100": "server versions are 157 to 178",
    "--position DU1234567:NOSUCH:5": "no contract 'NOSUCH'",
}
OF_EXCHANGES = {
    "--key A": "a key is ACCOUNT:KEY:SECRET or ACCOUNT:KEY:SECRET:PASSWORD, not 'A'",
    "--balance nonsense": "a balance is WALLET:ASSET:AMOUNT, not 'nonsense'",
    "--balance spot:USDT:much": "an amount is a number, not 'much'",
}


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        *(("rtgw", *each) for each in (OF_EVERY_ONE | OF_GATEWAYS | OF_RTGW).items()),
        *(("tws", *each) for each in (OF_EVERY_ONE | OF_GATEWAYS | OF_TWS).items()),
        *(("woo", *each) for each in (OF_EVERY_ONE | OF_EXCHANGES).items()),
    ],
)
def test_a_command_line_that_means_nothing(
    name: str, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the process reads it, without the process."""
    parser, make = MADE[name]
    with pytest.raises(SystemExit, match="2"):
        command_line.made(parser(), make, Clock(), words.split())
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"python -m tests.emulators.{name}: error: ")
    assert said in error


def test_a_command_line_that_means_something() -> None:
    words = "--account A --account B --position B:IBM:-5 --no-pacing --begins 2026-03-04T11:00"
    _, control = command_line.made(tws.parser(), tws.make, Clock(), words.split())
    options = control.emulator.options
    assert (options.accounts, options.positions, options.pacing) == (("A", "B"), {"B": {"IBM": -5}}, False)
    assert f"{control.emulator.now()}" == "2026-03-04 11:00:00-05:00"
    words = "--key A:k:s --key B:k2:s2:p --limits --balance perp:USDT:5"
    given = crypto.options(crypto.parser("binance").parse_args(words.split()))
    assert [(key.account, key.key, key.password) for key in given.keys] == [("A", "k", "password"), ("B", "k2", "p")]
    assert (given.limits, given.balances) == (True, {"perp": {"USDT": 5}})


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("name", EMULATORS)
@pytest.mark.parametrize("which", ["--port", "--control"])
def test_a_port_that_is_taken(name: str, which: str, taken: int) -> None:
    words = command(name, which, str(taken))
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    said = ended.stderr.splitlines()[-1]
    assert said.startswith(f"python -m tests.emulators.{name}: error: it cannot listen")
    assert "Address already in use" in said
    assert ended.stdout == ""


@pytest.mark.parametrize("name", ["binance", "coinbase", "woo"])
def test_without_aiohttp_it_is_said_how_to_install_it(name: str) -> None:
    program = (
        "import sys, runpy; sys.modules['aiohttp'] = None; sys.argv[1:] = ['--help']; "
        f"runpy.run_module('tests.emulators.{name}', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    (said,) = ended.stderr.splitlines()
    assert said.startswith(f"python -m tests.emulators.{name}: needs aiohttp")
    assert "pip install --editable '.[crypto]'" in said


def imported(path: Path) -> set[str]:
    """The packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("name", [*EMULATORS, "crypto", ""])
def test_it_shares_no_code_with_the_gateway_or_its_libraries(name: str) -> None:
    """Neither an emulator nor what they share (the folder itself; its tests may)."""
    sources = [path for path in (FOLDER / name).glob("*.py") if not path.name.startswith("test_")]
    assert len(sources) > 5
    assert [(path.name, wrong) for path in sources for wrong in imported(path) & {*STRANGERS}] == []
