"""What is asyncio's in Twisted's reactor: tests that await its futures, and wait for what becomes true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred

PATIENCE = 30.0
"""Seconds until what does not come is a failure: a machine may stand still for some."""


def deferred(work: Awaitable[Any]) -> Deferred[Any]:
    """What Twisted may await, out of what asyncio may."""
    return Deferred.fromFuture(asyncio.ensure_future(work))


def on_loop(test: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Deferred[Any]]:
    """A test or fixture that awaits asyncio's futures, which is what aiohttp, ccxt and ib_async give."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> Deferred[Any]:
        return deferred(test(*arguments, **named))

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
