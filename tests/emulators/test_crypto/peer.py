"""A request that an emulated exchange does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tests.emulators.crypto.server import Emulator
from tests.emulators.loops import until


async def unanswered(emulator: Emulator, request: Coroutine[Any, Any, Any]) -> None:
    """It comes to the emulator and waits there; then its sender gives up."""
    before = set(emulator.hanging)
    asking = asyncio.ensure_future(request)
    await until(lambda: emulator.hanging - before, "the request hangs")
    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
