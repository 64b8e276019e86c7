"""What the conformance suite does not ask for: long lists, missed frames, estimated balances, doubt, restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot, BinanceUsdm, Coinbase, CoinbaseExchange, Exchange, Woo, utc_now
from txgateway.brokers.ccxt import CcxtBroker, lists, peculiarities, translate
from txgateway.brokers.ccxt import session as session_module
from txgateway.brokers.ccxt.book import TRIES
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import Ambiguous, GatewayError, Refused
from txgateway.model.events import OrderCanceled, VenueError, VenueStatus
from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

D = Decimal
ALL = [BinanceSpot, BinanceUsdm, Coinbase, CoinbaseExchange, Woo]


async def trying(kind: type[Exchange], folder: Path, work: Callable[[Trial], Awaitable[None]], **more: Any) -> None:
    """Do something with a fresh exchange and a broker that is up."""
    trial = Trial(kind(folder, **more))
    try:
        await trial.begin()
        await work(trial)
    finally:
        await trial.end()


async def again(trial: Trial, subject: Exchange) -> None:
    """Another process begins, with the files of the first."""
    since = len(trial.told)
    trial.broker = subject.make(trial.told.append)
    trial.broker.startService()
    await trial.connected(since)


def inside(trial: Trial) -> Any:
    assert isinstance(trial.broker, CcxtBroker)
    return trial.broker._session


# ---------------------------------------------------------------- long lists


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_long_lists_are_asked_for_page_by_page(kind: type[Exchange], tmp_path: Path, monkeypatch: Any) -> None:
    row = replace(peculiarities.TABLE[kind.exchange], page=4)
    monkeypatch.setattr(peculiarities, "TABLE", {**peculiarities.TABLE, kind.exchange: row})

    async def work(trial: Trial) -> None:
        bought = [await trial.buy() for _ in range(9)]
        resting = [await trial.rest() for _ in range(9)]
        told = {fill.execution_id for order in bought for fill in trial.fills(order)}
        kept = await trial.ask(trial.broker.executions(None))
        assert {each.execution_id for each in kept} == told
        assert len(kept) == len(told)
        assert [each.time for each in kept] == sorted(each.time for each in kept)
        open_ids = {each.order_id for each in await trial.ask(trial.broker.open_orders())}
        assert open_ids == {each.order_id for each in resting}

    await trying(kind, tmp_path, work)


@pytest.mark.parametrize("kind", [BinanceSpot, BinanceUsdm], ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_fills_of_days_ago_are_found(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        order = await trial.buy()
        found = await trial.ask(trial.broker.executions(utc_now() - timedelta(days=20)))
        assert [each.order_id for each in found] == [order.order_id]

    await trying(kind, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_fills_of_many_pairs_are_asked_for_once_each_and_some_at_a_time(tmp_path: Path) -> None:
    """One after the other, a day at a time, they would not be there in the time that a question has."""

    async def work(trial: Trial) -> None:
        session, subject = inside(trial), trial.subject
        assert isinstance(subject, Exchange)
        listed = [each.symbol for each in await trial.ask(trial.broker.instruments())]
        for symbol in listed:
            session.memory.symbol(symbol)
        order = await trial.buy()
        running, most = 0, 0
        fetch = session.exchange.fetch_my_trades

        async def counted(*arguments: Any) -> Any:
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            try:
                return await fetch(*arguments)
            finally:
                running -= 1

        session.exchange.fetch_my_trades = counted
        before = sum(count for name, count in subject.emulator.counts.items() if "myTrades" in name)
        found = await trial.ask(trial.broker.executions(None))
        assert [each.order_id for each in found] == [order.order_id]
        asked = sum(count for name, count in subject.emulator.counts.items() if "myTrades" in name) - before
        assert asked == len(listed) > 2
        assert 1 < most <= lists.PAIRS_AT_ONCE

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_executions_are_of_every_pair_that_was_traded_also_after_a_restart(tmp_path: Path) -> None:
    subject = BinanceSpot(tmp_path)
    subject.control.do_quote("ETH-USDT", 2000, 2001, 100, 100)
    trial = Trial(subject)
    orders = []
    try:
        await trial.begin()
        orders.append(await trial.buy())
        order = await trial.submit(trial.order(OrderType.MARKET, symbol="ETH/USDT"))
        await trial.until(lambda: trial.filled(order) == order.quantity, "it is filled")
        orders.append(order)
        await trial.stop()
        await again(trial, subject)
        found = await trial.ask(trial.broker.executions(None))
        assert {each.order_id for each in found} == {each.order_id for each in orders}
        assert {each.symbol for each in await trial.ask(trial.broker.positions())} == {"BTC/USDT", "ETH/USDT"}
    finally:
        await trial.end()


# ---------------------------------------------------------------- what the stream leaves out


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_what_a_mute_stream_left_out_is_found_by_the_poll(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        subject = trial.subject
        assert isinstance(subject, Exchange)
        filled, ended = await trial.rest(), await trial.rest()
        subject.control.do_mute("orders")
        await trial.ask(subject.fill(trial.broker, filled, filled.quantity))
        subject.control.do_cancel(inside(trial).client_id(ended.order_id))
        await trial.still()
        assert not trial.fills(filled)
        assert not trial.events(ended, OrderCanceled)
        await trial.ask(inside(trial).poll())
        assert trial.filled(filled) == filled.quantity
        assert len(trial.events(ended, OrderCanceled)) == 1

    await trying(kind, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_match_that_the_stream_left_out_is_asked_for_at_the_order_s_end(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        order, session = await trial.rest(), inside(trial)
        decode = session.row.decode
        left_out = []

        def loses(message: Any, names: Any) -> Any:
            if isinstance(message, dict) and message.get("type") == "match" and not left_out:
                left_out.append(message)
                return []
            return decode(message, names)

        session.row = replace(session.row, decode=loses)
        await trial.ask(trial.subject.fill(trial.broker, order, order.quantity))
        await trial.until(lambda: trial.filled(order) == order.quantity, "it is asked for")
        assert left_out

    await trying(CoinbaseExchange, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_fills_that_nobody_tells_are_a_venue_s_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(session_module, "CHASE", (0.01,) * TRIES)

    async def work(trial: Trial) -> None:
        order, session = await trial.rest(), inside(trial)

        async def nothing(*_: Any) -> Any:
            return []

        session.lists.trades = nothing
        seen = {"id": order.broker_order_id, "symbol": order.symbol, "status": "open", "filled": "0.03", "side": "buy"}
        session.see(translate.seen({**seen, "amount": "0.1", "type": "limit"}, order.order_id))

        def said() -> list[str]:
            return [each.text for each in trial.told if isinstance(each, VenueError) and "by 0.03" in each.text]

        await trial.until(said, "it is told")
        await trial.still()
        assert len(said()) == 1

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_stream_that_the_exchange_ends_is_made_anew(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        since = len(trial.told)
        trial.subject.control.do_terminate()  # type: ignore[attr-defined]
        await trial.connected(since)
        assert trial.statuses(since)[0] is VenueStatus.DOWN
        await trial.buy()

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_listen_key_that_expired_is_made_anew(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        since = len(trial.told)
        trial.subject.control.do_expire_keys()  # type: ignore[attr-defined]
        await trial.connected(since)
        await trial.buy()

    await trying(BinanceUsdm, tmp_path, work)


# ---------------------------------------------------------------- balances


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_balances_follow_the_orders_without_being_asked(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        subject = trial.subject
        assert isinstance(subject, Exchange)
        await trial.ask(trial.broker.balances(subject.account))
        counts = dict(subject.emulator.counts)
        await trial.buy()
        resting = await trial.rest()
        await trial.still()
        report = await trial.ask(trial.broker.balances(subject.account))
        asked = {name for name, count in subject.emulator.counts.items() if count != counts.get(name)}
        assert not {name for name in asked if "account" in name and "GET" in name}, "it was asked for"
        truth = next(iter(subject.control.do_balances().values()))
        if kind is BinanceUsdm:
            truth = subject.control.do_balances()["perp"]
        for balance in report.balances:
            free, locked = map(D, truth[balance.currency])
            assert abs(balance.total - free - locked) < D("0.01"), balance
            if kind is not BinanceUsdm:
                fees = resting.quantity * subject.low_price / 50  # Coinbase holds back the fee too
                assert abs(balance.reserved - locked) <= fees, balance

    await trying(kind, tmp_path, work)


# ---------------------------------------------------------------- refusals and doubt


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_an_order_that_cannot_be_paid_is_refused(kind: type[Exchange], tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        if kind is BinanceUsdm:  # it lends twenty times the money
            for _ in range(4):
                await trial.submit(trial.order(OrderType.LIMIT, quantity=D(900), limit_price=D(49000)))
        order = trial.order(OrderType.LIMIT, quantity=D(900), limit_price=D(49000))
        with pytest.raises(Refused) as caught:
            await trial.ask(trial.broker.submit(order))
        assert caught.value.reason.value == "INSUFFICIENT_FUNDS", caught.value.text
        await trial.still()
        assert await trial.reported(order) is None

    await trying(kind, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_what_ccxt_would_round_is_refused(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        for terms, reason in (
            ({"quantity": D("0.1000000001")}, "BAD_LOT"),
            ({"limit_price": D("20000.001")}, "BAD_TICK"),
        ):
            with pytest.raises(Refused) as caught:
                await trial.ask(trial.broker.submit(trial.order(OrderType.LIMIT, **terms)))
            assert caught.value.reason.value == reason

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_what_ccxt_would_round_in_a_replace_is_refused(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        order = await trial.rest()
        for terms, reason in (
            ({"quantity": D("0.1000000001")}, "BAD_LOT"),
            ({"limit_price": D("20000.001")}, "BAD_TICK"),
        ):
            with pytest.raises(Refused) as caught:
                await trial.replace(order, **terms)
            assert caught.value.reason.value == reason

    await trying(BinanceUsdm, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_an_order_may_be_looked_up_only_when_it_can_no_longer_arrive(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        subject = trial.subject
        assert isinstance(subject, Exchange)
        subject.control.do_fault("slow_broker", count=1, seconds=2.6, when="orders")
        order = trial.order()
        with pytest.raises(Ambiguous):
            await trial.ask(trial.broker.submit(order))
        report = await trial.ask(trial.broker.lookup(order))
        assert report is None or report.status is OrderStatus.NEW
        await trial.still()
        later = await trial.ask(trial.broker.lookup(order))
        assert (later is None) == (report is None), "it arrived after it had been said that it never did"

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_time_that_cannot_be_is_told_and_not_followed(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        session = inside(trial)
        asked = session.exchange.fetch_time

        async def of_2099(*_: Any) -> Any:
            return await asked() + 73 * 365 * 86_400_000

        session.exchange.fetch_time = of_2099
        with pytest.raises(GatewayError, match=r"tells the time 20\d\d.* and here it is .*set the clock that is wrong"):
            await trial.ask(session.set_time())
        assert abs((trial.broker.now() - utc_now()).total_seconds()) < 60

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_wrong_key_is_told(tmp_path: Path) -> None:
    trial = Trial(BinanceSpot(tmp_path, secret="wrong"))
    try:
        trial.broker.startService()
        await trial.until(lambda: "no connection" in getattr(trial.told[-1], "text", ""), "it is told")
        assert VenueStatus.RECONCILING not in trial.statuses()
        assert not any("wrong" in getattr(each, "text", "") for each in trial.told)
    finally:
        await trial.end()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.exchange)
@pytest_twisted.ensureDeferred
async def test_an_order_of_before_a_restart_is_found_and_canceled(kind: type[Exchange], tmp_path: Path) -> None:
    subject = kind(tmp_path)
    trial = Trial(subject)
    try:
        await trial.begin()
        order = await trial.rest()
        await trial.stop()
        await again(trial, subject)
        (report,) = await trial.ask(trial.broker.open_orders())
        assert (report.order_id, report.broker_order_id) == (order.order_id, order.broker_order_id)
        unnamed = trial.order(order_id=order.order_id, client_order_id=order.order_id)
        assert await trial.ask(trial.broker.lookup(unnamed)) is not None
        await trial.fill(order, order.quantity / 10 * 4)
        await trial.cancel(order)
        await trial.until(lambda: trial.events(order, OrderCanceled), "OrderCanceled is told")
    finally:
        await trial.end()


@pytest_twisted.ensureDeferred
async def test_another_program_s_order_is_shown_and_canceled_by_the_exchange_s_id(tmp_path: Path) -> None:
    async def work(trial: Trial) -> None:
        subject = trial.subject
        assert isinstance(subject, Exchange)
        number = subject.control.do_place("BTC-USDT", "BUY", "0.1", "LIMIT", limit=30000)
        (report,) = await trial.ask(trial.broker.open_orders())
        assert (report.broker_order_id, report.limit_price, report.side) == (str(number), D(30000), Side.BUY)
        assert report.time_in_force is TimeInForce.GTC

    await trying(BinanceSpot, tmp_path, work)
