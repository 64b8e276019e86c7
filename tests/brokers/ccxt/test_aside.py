"""What ccxt does aside, without anybody waiting for it, ends without a traceback in the log."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from txgateway.brokers.ccxt import exchange, feeds, peculiarities
from txgateway.brokers.ccxt.options import read


@pytest_twisted.ensureDeferred
async def test_a_broken_link_is_no_news_and_a_mistake_is_told_in_a_line() -> None:
    loop, unseen, told = asyncio.get_running_loop(), [], []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    observer: Any = told.append
    globalLogPublisher.addObserver(observer)
    try:
        row = peculiarities.of("woo", "", {})
        made: Any = exchange.make(read({"exchange": "woo"}), row, feeds.of("woo", "", {}), None)

        async def fails(error: BaseException) -> None:
            raise error

        aside = [made.spawn(fails, error) for error in (ConnectionResetError("gone"), TypeError("a str and an int"))]
        aside.append(made.spawn(asyncio.sleep, 60))
        aside[-1].cancel()
        await Deferred.fromFuture(asyncio.ensure_future(asyncio.wait(aside)))
        aside.clear()
        gc.collect()
        await Deferred.fromFuture(asyncio.ensure_future(made.close()))
    finally:
        loop.set_exception_handler(before)
        globalLogPublisher.removeObserver(observer)
    assert unseen == []
    events: list[LogEvent] = [event for event in told if "aside" in str(event.get("log_format"))]
    assert ["a str and an int" in repr(event["error"]) for event in events] == [True]
