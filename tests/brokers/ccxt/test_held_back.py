"""What the rate limits hold back: an order goes in time or surely not, and nothing by a closed link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot
from txgateway.brokers.ccxt import CcxtBroker
from txgateway.brokers.ccxt import session as session_module
from txgateway.brokers.ccxt.limits import Request
from txgateway.brokers.conformance import Trial
from txgateway.futures import deferred
from txgateway.model.errors import GatewayError, Refused
from txgateway.model.order import OrderType

ORDER = Request(1.0, True, is_order=True)


class Queue:
    """Limits by which there is always somebody before us."""

    def wait(self, request: Request, now: float) -> float:
        return 0.02

    def charge(self, request: Request, now: float) -> None:
        raise AssertionError("it was sent")

    def answered(self, *_: Any) -> None:
        pass


async def queueing(folder: Path, work: Callable[[Trial, Any], Awaitable[None]]) -> None:
    """Do something with a broker that is up, and whose requests do not get their turn."""
    trial = Trial(BinanceSpot(folder))
    try:
        await trial.begin()
        assert isinstance(trial.broker, CcxtBroker)
        session: Any = trial.broker._session
        session._pools, kept = Queue(), session._pools
        session.options = replace(session.options, throttle=True, patience=0.1)
        await work(trial, session)
        session._pools = kept
    finally:
        await trial.end()


@pytest_twisted.ensureDeferred
async def test_an_order_that_does_not_get_its_turn_is_surely_not_sent(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        with pytest.raises(Refused, match=r"was refused by venue ccxt: it was not sent: ccxt takes nothing more"):
            await trial.ask(trial.broker.submit(trial.order(OrderType.MARKET)))

    await queueing(tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_question_waits_longer_and_not_for_ever(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(session_module, "LONGEST", 0.3)

    async def work(trial: Trial, session: Any) -> None:
        with pytest.raises(GatewayError, match=r"Venue ccxt did not answer: it was not sent: ccxt takes nothing more"):
            await trial.ask(trial.broker.open_orders())

    await queueing(tmp_path, work)


@pytest.mark.parametrize("request_", [ORDER, Request(1.0)], ids=["order", "question"])
@pytest_twisted.ensureDeferred
async def test_nothing_waits_for_its_turn_at_a_link_that_is_closed(request_: Request, tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        waiting = deferred(session.admit(request_))
        await trial.stop()
        with pytest.raises(session_module.NotSent, match="the link to ccxt is gone"):
            await waiting

    await queueing(tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_by_a_link_that_is_closed(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        session.options = replace(session.options, throttle=False)
        await trial.stop()
        with pytest.raises(session_module.NotSent):
            await deferred(session.admit(ORDER))

    await queueing(tmp_path, work)
