"""Tests of emulated exchanges await asyncio's futures; and wait for what becomes true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred

PATIENCE = 5.0


def on_loop(test: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Deferred[Any]]:
    """A test or fixture that awaits asyncio's futures, which is what aiohttp and ccxt give."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> Deferred[Any]:
        return Deferred.fromFuture(asyncio.ensure_future(test(*arguments, **named)))

    return run


async def until(condition: Callable[[], Any], why: str = "") -> Any:
    """What it gives, once that is true."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < ends, f"never: {why or condition}"
        await asyncio.sleep(0.001)
    return found


async def soon(awaitable: Any) -> Any:
    """What it gives, before patience ends."""
    return await asyncio.wait_for(awaitable, PATIENCE)
