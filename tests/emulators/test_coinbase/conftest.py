"""An emulated Coinbase in the test's own loop, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_twisted

from tests.emulators.coinbase.server import CoinbaseControl, CoinbaseEmulator
from tests.emulators.crypto.server import Options
from tests.emulators.loops import deferred
from tests.emulators.test_coinbase.peer import AdvancedPeer, ExchangePeer, advanced, exchange


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Callable[..., CoinbaseControl]]:
    """Makes emulators, and ends them. Bitcoin stands at 50000 to 50001, one a side."""
    made: list[CoinbaseEmulator] = []

    def make(**more: Any) -> CoinbaseControl:
        made.append(CoinbaseEmulator(Options(**{"tick": 0} | more)))
        made[-1].start()
        control = CoinbaseControl(made[-1])
        control.do_trade("BTC-USD", "50000")
        control.do_quote("BTC-USD", "50000", "50001", 1, 1)
        return control

    yield make
    for emulator in made:
        await deferred(emulator.stop())


@pytest_twisted.async_fixture
async def coinbase(make: Callable[..., CoinbaseControl]) -> CoinbaseControl:
    """One."""
    return make()


@pytest_twisted.async_yield_fixture
async def trade(coinbase: CoinbaseControl) -> AsyncIterator[AdvancedPeer]:
    """A client of Advanced Trade by hand."""
    made = AdvancedPeer(coinbase)
    yield made
    await deferred(made.close())


@pytest_twisted.async_yield_fixture
async def pro(coinbase: CoinbaseControl) -> AsyncIterator[ExchangePeer]:
    """A client of Exchange by hand."""
    made = ExchangePeer(coinbase)
    yield made
    await deferred(made.close())


@pytest_twisted.async_yield_fixture
async def clients(coinbase: CoinbaseControl) -> AsyncIterator[Callable[..., Any]]:
    """Makes ccxt's clients: of Advanced Trade with a kind of key, of Exchange with `exchange`."""
    made: list[Any] = []

    def make(kind: str = "cdp") -> Any:
        made.append(exchange(coinbase) if kind == "exchange" else advanced(coinbase, kind))
        return made[-1]

    yield make
    for each in made:
        await deferred(each.close())
