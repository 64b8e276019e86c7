"""An emulator in the test's own reactor, and clients of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from tests.emulators.loops import deferred
from tests.emulators.test_tws.peer import Peer
from tests.emulators.tws.control import Control
from tests.emulators.tws.server import Emulator, Options

OPTIONS: dict[str, Any] = {"tick": 0, "rate": 0, "begins": datetime(2026, 3, 4, 11, 0)}  # noqa: DTZ001


@pytest.fixture(autouse=True)
def decoded(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """ib_async's decoder must understand every message."""
    yield
    assert [record.getMessage() for record in caplog.records if record.name == "ib_async.Decoder"] == []


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """ib_async says what is an error to it, which is what the tests provoke."""
    logging.getLogger("ib_async").setLevel(logging.ERROR)


class Hands(Clock):
    """A reactor with real sockets, whose time passes when it is told to."""

    def listenTCP(self, *arguments: Any, **named: Any) -> Any:
        """Really."""
        from twisted.internet import reactor  # pytest-twisted must have installed its own by then

        return reactor.listenTCP(*arguments, **named)


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Callable[..., Control]]:
    """Makes emulators, and ends them."""
    made: list[Emulator] = []

    def make(**more: Any) -> Control:
        made.append(Emulator(Options(**OPTIONS | more), Hands()))
        made[-1].start()
        return Control(made[-1])

    yield make
    for emulator in made:
        await emulator.stop()


@pytest.fixture
def tws(make: Callable[..., Control]) -> Control:
    """Its market stands at 185.10 to 185.20, 1000 shares a side; the last trade was at 185.15."""
    control = make()
    control.do_trade("IBM", "185.15")
    control.do_quote("IBM", "185.10", "185.20")
    return control


@pytest_twisted.async_yield_fixture
async def peer(tws: Control) -> AsyncIterator[Callable[[], Peer]]:
    """Makes clients, and hangs up at the end."""
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer(tws.emulator.port))
        return made[-1]

    yield make
    for each in made:
        each.disconnect()


@pytest_twisted.async_fixture
async def ib(peer: Callable[[], Peer]) -> Peer:
    """Client 1, connected."""
    return await deferred(peer().begin())
