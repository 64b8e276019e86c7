"""An emulated WOO X in the test's own loop, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_twisted

from tests.emulators.crypto.control import Control
from tests.emulators.crypto.server import Options
from tests.emulators.loops import deferred
from tests.emulators.test_woo.peer import Peer, exchange
from tests.emulators.woo.server import WooEmulator


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Callable[..., Control]]:
    """Makes emulators, and ends them. Bitcoin stands at 50000 to 50001, one a side, spot and perpetual."""
    made: list[WooEmulator] = []

    def make(**more: Any) -> Control:
        made.append(WooEmulator(Options(**{"tick": 0} | more)))
        made[-1].start()
        control = Control(made[-1])
        for name in ("BTC-USDT", "BTC-USDT-PERP"):
            control.do_trade(name, "50000")
            control.do_quote(name, "50000", "50001", 1, 1)
        return control

    yield make
    for emulator in made:
        await deferred(emulator.stop())


@pytest_twisted.async_fixture
async def woo(make: Callable[..., Control]) -> Control:
    """One."""
    return make()


@pytest_twisted.async_yield_fixture
async def peer(woo: Control) -> AsyncIterator[Peer]:
    """A client by hand."""
    made = Peer(woo)
    yield made
    await deferred(made.close())


@pytest_twisted.async_yield_fixture
async def ccxt_woo(woo: Control) -> AsyncIterator[Any]:
    """ccxt's client."""
    made = exchange(woo.emulator.port)
    yield made
    await deferred(made.close())
