"""`txgateway-monitor` and `Monitor.run` as processes of their own: what they print, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol

from txgateway_monitor.cli import DEFAULT_OPTIONS


class Process(ProcessProtocol):
    """A child, its output, and its end."""

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self.ended: Deferred[int] = Deferred()
        self._waiting: list[tuple[bytes, Deferred[None]]] = []

    def outReceived(self, data: bytes) -> None:
        self.output += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(reason.value.exitCode)

    def printed(self, text: str) -> Deferred[None]:
        """Fires when this was printed."""
        fired: Deferred[None] = Deferred()
        self._waiting.append((text.encode(), fired))
        self._look()
        return fired

    def _look(self) -> None:
        for waiting in list(self._waiting):
            if waiting[0] in self.output:
                self._waiting.remove(waiting)
                waiting[1].callback(None)


@pytest_twisted.async_yield_fixture
async def start(stream: Any, credentials: tuple[str, str]) -> AsyncIterator[Any]:
    """Starts children with the server's address in their environment; none is left at the end."""
    from twisted.internet import reactor

    children: list[Process] = []

    def begin(*arguments: str, **more: str) -> Process:
        child = Process()
        environment = {
            **os.environ,
            "TXGATEWAY_TCP_PORT": str(stream.port),
            "TXGATEWAY_USERNAME": credentials[0],
            "TXGATEWAY_PASSWORD": credentials[1],
            **more,
        }
        reactor.spawnProcess(child, sys.executable, [sys.executable, *arguments], env=environment)
        children.append(child)
        return child

    yield begin
    for child in children:
        if not child.ended.called:
            child.transport.signalProcess("KILL")
            await child.ended


@pytest.mark.parametrize("name", ["INT", "TERM"])
@pytest_twisted.ensureDeferred
async def test_it_prints_events_until_a_signal(stream: Any, start: Any, name: str) -> None:
    child = start("-m", "txgateway_monitor")
    await child.printed("STATUS: .Authorized paper\n")
    assert stream.logins == [{"order-notification": 1, "execution-notification": 1}]
    assert "order-notification" in DEFAULT_OPTIONS
    stream.order("A1")
    await child.printed("ORDER: A1 A LIMIT Accepted\n")
    child.transport.signalProcess(name)
    assert await child.ended == 0
    assert child.output.startswith(b"STATUS: reactor startup\nCONNECTION: CONNECTING\n")
    assert child.output.endswith(b"CONNECTION: SHUTDOWN\nSHUTDOWN: reactor shutdown detected\n")
    assert stream.received[-1] == "exit reactor shutdown"
    assert child.errors == b""


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_ends_it_with_4(stream: Any, start: Any) -> None:
    child = start("-m", "txgateway_monitor", TXGATEWAY_PASSWORD="wrong")
    assert await child.ended == 4
    assert b"ERROR: the gateway at 127.0.0.1:" in child.output
    assert b"not trying again" in child.errors
    assert b"wrong" not in child.errors + child.output
    assert len(stream.received) == 1


@pytest_twisted.ensureDeferred
async def test_options_may_be_words(stream: Any, start: Any) -> None:
    child = start("-m", "txgateway_monitor", "--options", "quotes order-data")
    await child.printed(".Authorized")
    assert stream.logins == [{"quotes": True, "order-data": True, "position": True}]


@pytest_twisted.ensureDeferred
async def test_a_place_is_kept_from_one_run_to_the_next(stream: Any, start: Any, tmp_path: Path) -> None:
    arguments = ("-m", "txgateway_monitor", "--options", '{"order-data": 1}', "--resume-file", str(tmp_path / "place"))
    child = start(*arguments)
    await child.printed(".Authorized")
    stream.order("A1")
    stream.order("A2")
    await child.printed('"A2"')
    child.transport.signalProcess("KILL")
    await child.ended
    stream.order("A3")
    child = start(*arguments)
    await child.printed('"A3"')
    assert b'"A1"' not in child.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--options", '{"order-data": '], "no JSON object"),
        (["--port", "http"], "'http' is not a valid integer"),
        (["-P", "two words"], "cannot carry a password with spaces"),
        (["--resume-file", "{broken}"], "delete it to start with what happens now"),
    ],
)
def test_mistakes_end_it_with_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("half a {")
    arguments = [argument.replace("{broken}", str(tmp_path / "broken")) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "txgateway_monitor", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest_twisted.ensureDeferred
async def test_a_reader_that_goes_ends_it(stream: Any, start: Any) -> None:
    child = start("-m", "txgateway_monitor")
    await child.printed(".Authorized")
    child.transport.closeChildFD(1)
    stream.order("A1")
    assert await child.ended == 0
    assert child.errors == b""


RUN = """
import sys
from txgateway_monitor import Monitor
{lines}
seen = []
def heard(channel, text):
    seen.append(channel)
    return channel != "TIME"
Monitor(callbacks={{"*": heard}}{arguments}).run()
print("ended after", seen[-3:], "on", type(sys.modules["twisted.internet.reactor"]).__name__)
"""


@pytest.mark.parametrize(
    ("lines", "arguments", "reactor"),
    [
        ("", "", ""),
        (
            "from twisted.internet import asyncioreactor; asyncioreactor.install()\n"
            "from twisted.internet import reactor as mine",
            ", reactor=mine",
            "AsyncioSelectorReactor",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_run_ends_when_a_callback_says_so(
    stream: Any, start: Any, lines: str, arguments: str, reactor: str
) -> None:
    child = start("-c", RUN.format(lines=lines, arguments=arguments))
    await stream.until(lambda: stream.logins)
    stream.say("paper.time: 1")
    assert await child.ended == 0
    assert child.output.startswith(b"ended after ['CONNECTION', 'CONNECTION', 'SHUTDOWN'] on ")
    assert reactor.encode() in child.output
    assert stream.received[-1] == "exit client requested shutdown"
    assert child.errors == b""


@pytest_twisted.ensureDeferred
async def test_run_ends_while_nobody_answers(start: Any) -> None:
    program = RUN.replace('!= "TIME"', '!= "CONNECTION" or text != "FAILED"').format(lines="", arguments=", port=1")
    child = start("-c", program)
    assert await child.ended == 0


@pytest.mark.parametrize("module", ["txgateway_monitor", "txgateway_monitor.monitor", "txgateway_client.deferred"])
def test_an_import_installs_no_reactor(module: str) -> None:
    program = f"import sys, {module}; sys.exit('twisted.internet.reactor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("module", ["txgateway_monitor.lines", "txgateway_client"])
def test_what_needs_no_twisted_loads_none(module: str) -> None:
    program = f"import sys, {module}; sys.exit('twisted' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
