"""An account in position mode HEDGE: told, not traded, and never called flat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceUsdm, Exchange, WooSwap
from txgateway.brokers.ccxt.translate import swap_positions
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import VenueError
from txgateway.model.order import OrderType
from txgateway.model.venue import EndpointApi, EndpointCall, PositionMode

HEDGE_AND_ONE_WAY = [BinanceUsdm, WooSwap]
D = Decimal


async def trying(kind: type[Exchange], folder: Path, work: Callable[[Trial, Exchange], Awaitable[None]]) -> None:
    """Do something with a broker that is up, whose account was in hedge mode before."""
    subject = kind(folder)
    hedge(subject, True)
    trial = Trial(subject)
    try:
        await trial.begin()
        await work(trial, subject)
    finally:
        await trial.end()


def hedge(subject: Exchange, hedged: bool) -> None:
    """A person changes the mode on the exchange's website."""
    subject.emulator.exchange.set_hedged("main", hedged)


def complaints(trial: Trial) -> list[str]:
    found = [each.text for each in trial.told if isinstance(each, VenueError)]
    return [text for text in found if "HEDGE" in text and "set_position_mode ONE_WAY" in text]


async def refused(trial: Trial) -> Refused:
    order = trial.order(OrderType.MARKET)
    with pytest.raises(Refused) as caught:
        await trial.ask(trial.broker.submit(order))
    assert await trial.reported(order) is None
    return caught.value


@pytest.mark.parametrize("kind", HEDGE_AND_ONE_WAY, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_it_is_told_at_connect_and_no_order_is_sent(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial, subject: Exchange) -> None:
        assert len(complaints(trial)) == 1
        answer = await refused(trial)
        assert (answer.reason, "set_position_mode ONE_WAY" in answer.text) == (Reason.UNSUPPORTED, True)
        assert not subject.emulator.exchange.orders, "it was sent"
        assert len(complaints(trial)) == 1, "once is enough"
        await trial.ask(trial.broker.set_position_mode(subject.account, PositionMode.ONE_WAY))
        await trial.buy()

    await trying(kind, tmp_path, work)


@pytest.mark.parametrize("kind", HEDGE_AND_ONE_WAY, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_hedge_is_refused_and_one_way_is_not(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial, subject: Exchange) -> None:
        for turn in range(2):
            await trial.ask(trial.broker.set_position_mode(subject.account, PositionMode.ONE_WAY))
            with pytest.raises(Refused, match="positions here are net") as caught:
                await trial.ask(trial.broker.set_position_mode(subject.account, PositionMode.HEDGE))
            assert caught.value.reason is Reason.UNSUPPORTED, turn
            assert await trial.ask(trial.broker.position_mode(subject.account)) is PositionMode.ONE_WAY

    await trying(kind, tmp_path, work)


@pytest.mark.parametrize("kind", HEDGE_AND_ONE_WAY, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_what_others_change_is_found_with_the_next_order(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial, subject: Exchange) -> None:
        hedge(subject, False)
        order = await trial.buy()
        subject.control.do_place(subject.pair, "SELL", order.quantity)
        hedge(subject, True)
        await refused(trial)
        await trial.until(lambda: len(complaints(trial)) == 2, "that it is in hedge mode again is told")
        sent = len(subject.emulator.exchange.orders)
        await refused(trial)
        assert len(subject.emulator.exchange.orders) == sent

    await trying(kind, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_mode_that_is_set_by_hand_is_asked_for(tmp_path: Path) -> None:
    async def work(trial: Trial, subject: Exchange) -> None:
        for hedged in ("false", "true"):
            params = (("dualSidePosition", hedged),)
            call: Any = EndpointCall("positionSide/dual", EndpointApi.PRIVATE, "POST", params)
            await trial.ask(trial.broker.call_endpoint(call))
            if hedged == "false":
                await trial.buy()
                subject.control.do_place(subject.pair, "SELL", subject.quantity)
        await trial.until(lambda: len(complaints(trial)) == 2, "it is told")

    await trying(BinanceUsdm, tmp_path, work)


@pytest.mark.parametrize("kind", HEDGE_AND_ONE_WAY, ids=lambda kind: kind.exchange)
@pytest.mark.parametrize("short", ["2", "3"])
@pytest_twisted.ensureDeferred
async def test_long_and_short_at_once_are_not_told_as_their_sum(kind: Any, short: str, tmp_path: Path) -> None:
    async def work(trial: Trial, subject: Exchange) -> None:
        subject.control.do_place(subject.pair, "BUY", "2", position_side="LONG")
        (position,) = await trial.ask(trial.broker.positions())
        assert position.quantity == 2
        subject.control.do_place(subject.pair, "SELL", short, position_side="SHORT")
        with pytest.raises(GatewayError, match=f"{subject.symbol} long and short at once.*close one"):
            await trial.ask(trial.broker.positions())

    await trying(kind, tmp_path, work)


def test_parts_of_one_side_are_one_position() -> None:
    rows: list[dict[str, Any]] = [
        {"symbol": "B", "contracts": 2, "side": "short", "entryPrice": 10},
        {"symbol": "B", "contracts": 1, "side": "short", "entryPrice": 40},
    ]
    (position,) = swap_positions("v", "a", rows)
    assert (position.quantity, position.average_price) == (D(-3), D(20))
    with pytest.raises(GatewayError, match="B long and short at once"):
        swap_positions("v", "a", [*rows, {"symbol": "B", "contracts": 1, "side": "long"}])


def test_a_side_that_is_empty_is_none() -> None:
    rows = [
        {"symbol": "B", "contracts": 2.0, "side": "short"},
        {"symbol": "B", "contracts": 0.0, "side": "long"},
        {"symbol": "A", "contracts": 1.0, "side": "long"},
    ]
    assert [(each.symbol, each.quantity) for each in swap_positions("v", "a", rows)] == [("A", D(1)), ("B", D(-2))]
