"""An emulated Binance in the test's own loop, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted

from tests.emulators.binance.server import Binance, BinanceControl
from tests.emulators.crypto.server import Options
from tests.emulators.loops import deferred
from tests.emulators.test_binance.peer import Peer


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Callable[..., BinanceControl]]:
    """Makes emulators, and ends them."""
    made: list[Binance] = []

    def make(**more: Any) -> BinanceControl:
        made.append(Binance(Options(**{"tick": 0} | more)))
        made[-1].start()
        return BinanceControl(made[-1])

    yield make
    for emulator in made:
        await deferred(emulator.stop())


@pytest.fixture
def binance(make: Callable[..., BinanceControl]) -> BinanceControl:
    """Its markets stand at 49999.9 to 50000.1, 1 BTC a level."""
    control = make()
    for name in ("BTC-USDT", "BTC-USDT-PERP"):
        control.do_quote(name, "49999.9", "50000.1", 1, 1)
    return control


@pytest_twisted.async_yield_fixture
async def peers() -> AsyncIterator[Callable[..., Peer]]:
    """Makes clients of a port, and hangs up at the end."""
    made: list[Peer] = []

    def make(port: int, *key: str) -> Peer:
        made.append(Peer(port, *key))
        return made[-1]

    yield make
    for each in made:
        await deferred(each.close())


@pytest.fixture
def peer(binance: BinanceControl, peers: Callable[..., Peer]) -> Peer:
    """A client."""
    return peers(binance.emulator.port)
