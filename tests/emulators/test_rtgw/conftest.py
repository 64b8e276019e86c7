"""An emulator for the tests of a module, each of which finds it as at the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.emulators.rtgw.process import Rtgw
from tests.emulators.test_rtgw.rawclient import RawClient


@pytest.fixture(scope="module")
def running() -> Iterator[Rtgw]:
    emulator = Rtgw("--tick", "0", "--begins", "2026-03-04T11:00:00").start()
    yield emulator
    emulator.end()


@pytest.fixture
def rtgw(running: Rtgw) -> Rtgw:
    """The market stands at 185.10 to 185.20, 1000 shares a side."""
    running.do("reset")
    running.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    return running


@pytest.fixture
def link(rtgw: Rtgw) -> Iterator[Callable[[], RawClient]]:
    """Makes links, and hangs up at the end."""
    made: list[RawClient] = []

    def make() -> RawClient:
        made.append(RawClient(rtgw.port))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(link: Callable[[], RawClient]) -> RawClient:
    return link()


@pytest.fixture
def desk(client: RawClient) -> RawClient:
    """A client that is told of all orders."""
    client.advise("ORDERS;*;")
    return client
