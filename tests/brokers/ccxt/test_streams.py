"""Public streams that cannot be had, and those that do not end: what is told, and what is not made of it."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
import pytest_twisted

from tests.brokers.ccxt.test_market import Hall, Make, make
from tests.brokers.conftest import Logged
from txgateway.brokers.ccxt import streams
from txgateway.model.events import VenueError, VenueStatus
from txgateway.model.market import Quote

__all__ = ["make"]


def said(hall: Hall) -> list[str]:
    return [each.text for each in hall.shown(VenueError) if "cannot be had" in each.text]


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (
            ccxt.BadSymbol("no such channel"),
            ["The trades of BTC/USDT cannot be had: no such channel; it is tried again"],
        ),
        (ccxt.NetworkError("no route"), ["The public streams cannot be had: no route; it is tried again"]),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_stream_that_cannot_be_had_is_told_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, texts: list[str]
) -> None:
    monkeypatch.setattr(streams, "RETRY", (0.001,))
    hall = await make("binance")
    tried = []

    async def refused(*_: Any, **__: Any) -> Any:
        tried.append(1)
        raise error

    monkeypatch.setattr(hall.market._exchange, "watch_trades", refused)
    hall.broker.subscribe("BTC/USDT")
    await hall.until(lambda: len(tried) > 4 * streams.MUTE, "it is tried again and again")
    assert [each[: len(text)] for each, text in zip(said(hall), texts, strict=True)] == texts
    await hall.until(lambda: hall.shown(Quote), "the quotes come all the same")
    assert hall.statuses()[-1] is VenueStatus.RECONCILING


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (ccxt.NotSupported("no"), False),
        (TimeoutError(), False),
        (ConnectionError("gone"), False),
        (KeyError("x"), True),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_stream_that_does_not_end_is_dropped_and_a_defect_is_logged(
    make: Make, monkeypatch: pytest.MonkeyPatch, logged: Logged, error: Exception, is_told: bool
) -> None:
    hall = await make("binance")
    left = []

    async def fails(*_: Any, **__: Any) -> Any:
        left.append(1)
        raise error

    monkeypatch.setattr(hall.market._exchange, "un_watch_trades", fails)
    hall.broker.subscribe("BTC/USDT")
    await hall.until(lambda: hall.shown(Quote), "it is listened to")
    hall.broker.unsubscribe("BTC/USDT")
    await hall.until(lambda: left and all(each.done() for each in hall.market._streams._endings.values()), "it is left")
    if is_told:
        logged.expect("leaving the trades of BTC/USDT failed")
    before = len(hall.shown(Quote))
    hall.broker.subscribe("BTC/USDT")
    await hall.until(lambda: len(hall.shown(Quote)) > before, "it is listened to again")
