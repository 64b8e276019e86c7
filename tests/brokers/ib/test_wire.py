"""TWS's traps, each on the emulated TWS: what looks like one thing and is another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytest_twisted

from tests.brokers.ib.conftest import Trials, begin_anew
from tests.brokers.ib.nouns import D
from tests.brokers.ib.subject import ACCOUNT
from tests.emulators.tcp import EASTERN
from tests.emulators.tws.contracts import coming_future
from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import ENDS, Trial
from txgateway.brokers.ib import lines, numbers
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
    VenueError,
    VenueStatus,
)
from txgateway.model.market import Period, Quote, Unit
from txgateway.model.order import Order, OrderReport, OrderType, Origin, Side, TimeInForce

LOST = [VenueStatus.DOWN, VenueStatus.CONNECTING, VenueStatus.RECONCILING]


def codes(trial: Trial, since: int = 0) -> list[int]:
    return [each.code for each in trial.told[since:] if isinstance(each, VenueError)]


def said(trial: Trial, text: str) -> list[str]:
    return [each.text for each in trial.told if isinstance(each, VenueError) and text in each.text]


async def quoted(trial: Trial, since: int = 0, bid: int | None = None) -> None:
    """A quote is told, or one with this bid."""

    def told() -> bool:
        return any(isinstance(each, Quote) and bid in (None, each.bid) for each in trial.told[since:])

    await trial.until(told, "a quote is told" if bid is None else f"the bid is {bid}")


async def anothers(trial: Trial) -> OrderReport:
    (report,) = await trial.ask(trial.broker.open_orders())
    return report


def external(trial: Trial, report: OrderReport) -> Order:
    terms = {"order_id": "GIVEN", "client_order_id": report.order_id or "GIVEN", "origin": Origin.EXTERNAL}
    return trial.order(**terms, broker_order_id=report.broker_order_id, quantity=report.quantity)


# ---------------------------------------------------------------- what looks like an end


@pytest_twisted.ensureDeferred
async def test_10349_is_no_cancel(trial: Trial, tws: Control) -> None:
    tws.do_fault("code_10349")
    order = await trial.rest()
    await trial.until(lambda: 10349 in codes(trial), "10349 is told")
    await trial.still()
    assert not trial.events(order, *ENDS)
    assert await trial.reported(order)


@pytest_twisted.ensureDeferred
async def test_a_closed_market_holds_orders(trial: Trial, tws: Control) -> None:
    tws.do_close()
    order = await trial.submit(trial.order(OrderType.MARKET))
    await trial.until(lambda: 399 in codes(trial), "399 is told")
    await trial.still()
    assert trial.events(order, OrderAccepted)
    assert not trial.events(order, Executed, *ENDS)
    tws.do_open()
    await trial.until(lambda: trial.filled(order) == order.quantity, "it is filled")


@pytest_twisted.ensureDeferred
async def test_an_order_whose_shares_are_located_waits(trial: Trial, tws: Control) -> None:
    tws.do_fault("held_short")
    order = await trial.submit(trial.order(side=Side.SELL_SHORT, limit_price=trial.subject.high_price))
    await trial.still()
    assert 404 in codes(trial)
    assert not trial.events(order, *ENDS)
    assert await trial.reported(order)
    tws.do_accept(order.order_id)
    await trial.fill(order, order.quantity)


@pytest.mark.parametrize("status", ["Inactive", "Cancelled"])
@pytest_twisted.ensureDeferred
async def test_a_refused_order_is_rejected_with_its_words(status: str, trial: Trial, tws: Control) -> None:
    tws.do_fault("rejected_order", when=status)
    order = trial.order()
    await trial.ask(trial.broker.submit(order))
    await trial.until(lambda: trial.events(order, *ENDS), "it ends")
    (event,) = trial.events(order, *ENDS)
    assert isinstance(event, OrderRejected)
    assert event.text
    await trial.still()
    assert len(trial.events(order, *ENDS)) == 1


@pytest_twisted.ensureDeferred
async def test_what_the_exchange_refuses_after_it_was_accepted(trial: Trial, tws: Control) -> None:
    tws.do_hold()
    order = await trial.submit(trial.order())
    tws.do_reject(order.order_id, reason="the account has insufficient funds")
    await trial.until(lambda: trial.events(order, *ENDS), "it ends")
    (event,) = trial.events(order, *ENDS)
    assert (type(event), event.reason) == (OrderRejected, Reason.INSUFFICIENT_FUNDS)


@pytest_twisted.ensureDeferred
async def test_a_failed_change_then_a_good_one(trial: Trial, tws: Control) -> None:
    order = await trial.rest()
    tws.do_fault("rejected_replace")
    await trial.replace(order, quantity=order.quantity * 2)
    await trial.until(lambda: trial.events(order, ReplaceRejected), "it is refused")
    await trial.replace(order, quantity=order.quantity * 3)
    await trial.until(lambda: trial.events(order, OrderReplaced), "it is changed")
    assert trial.events(order, OrderReplaced)[-1].quantity == order.quantity * 3
    await trial.fill(order, order.quantity)
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")
    assert len(trial.events(order, *ENDS)) == 1


@pytest_twisted.ensureDeferred
async def test_an_end_that_nobody_here_asked_for(trial: Trial, tws: Control) -> None:
    order = await trial.rest()
    tws.do_kill(order.order_id, reason="the contract was halted")
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")
    assert "halted" in trial.events(order, OrderCanceled)[0].text
    day = await trial.rest(time_in_force=TimeInForce.DAY)
    tws.do_end_day()
    await trial.until(lambda: trial.events(day, OrderCanceled), "the day ends it")


@pytest_twisted.ensureDeferred
async def test_a_cancel_that_is_refused_leaves_the_order(trial: Trial, tws: Control) -> None:
    order = await trial.rest()
    tws.do_fault("rejected_cancel")
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, CancelRejected), "it is refused")
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")


# ---------------------------------------------------------------- identity


@pytest_twisted.ensureDeferred
async def test_numbers_that_begin_again_change_no_open_order(trial: Trial, tws: Control) -> None:
    old = await trial.rest()
    tws.do_roll_back()
    tws.do_fault("id_rollback", count=None)
    await trial.reconnect()
    new = await trial.rest()
    names = {each.order_id for each in await trial.ask(trial.broker.open_orders())}
    assert names == {old.order_id, new.order_id}
    assert old.broker_order_id != new.broker_order_id
    numbers = [each["id"] for each in tws.do_orders()]
    assert len(set(numbers)) == 2


@pytest_twisted.ensureDeferred
async def test_a_new_process_finds_the_orders_of_the_last(trial: Trial) -> None:
    ours = trial.order(order_id="01JDF3N8Q0ABCDEFGHJK", client_order_id="mine")
    order = await trial.submit(ours)
    await begin_anew(trial)
    report = await trial.reported(order)
    assert report is not None
    assert (report.order_id, report.broker_order_id) == (order.order_id, order.broker_order_id)
    await trial.replace(order, limit_price=trial.subject.low_price * 2)
    await trial.until(lambda: trial.events(order, OrderReplaced), "it is changed")
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")


@pytest_twisted.ensureDeferred
async def test_orders_of_others_are_shown_and_cannot_be_ended_from_here(trial: Trial, tws: Control) -> None:
    tws.do_place("IBM", "BUY", 10, "LMT", client=9, id=3, limit="1.5", ref="strategy1", account=ACCOUNT)
    report = await anothers(trial)
    assert report.order_id is None
    assert (report.symbol, report.quantity, report.limit_price) == ("IBM", 10, D("1.5"))
    with pytest.raises(Refused, match="API client 9") as refused:
        await trial.cancel(external(trial, report))
    assert refused.value.reason is Reason.UNSUPPORTED
    assert await anothers(trial)


@pytest_twisted.ensureDeferred
async def test_what_a_person_sent_in_tws_is_shown(trial: Trial, tws: Control) -> None:
    tws.do_place("IBM", "BUY", 10, "LMT", limit="1.5", account=ACCOUNT)
    report = await anothers(trial)
    with pytest.raises(Refused, match="a person in TWS"):
        await trial.cancel(external(trial, report))


# ---------------------------------------------------------------- executions


@pytest_twisted.ensureDeferred
async def test_a_commission_that_comes_late_is_in_the_record_if_it_is_not_too_late(trials: Trials) -> None:
    trial = trials(commission_wait=0.5)
    tws = trial.subject.control
    await trial.begin()
    first = await trial.buy()
    assert trial.fills(first)[0].commission > 0
    tws.do_fault("late_commission", seconds=0.2)
    second = await trial.buy()
    assert trial.fills(second)[0].commission > 0
    tws.do_fault("late_commission", seconds=-1)
    third = await trial.buy()
    assert trial.fills(third)[0].commission == 0
    tws.do_fault("late_commission", seconds=0.8)
    await trial.buy()
    await trial.until(lambda: said(trial, "came late"), "a late commission is complained of")


@pytest_twisted.ensureDeferred
async def test_a_corrected_execution_has_the_id_that_it_had(trial: Trial, tws: Control) -> None:
    tws.do_fault("corrected_fill")
    order = await trial.buy()
    await trial.until(lambda: len(trial.events(order, Executed)) > 1, "the correction is told")
    ids = {each.execution.execution_id for each in trial.events(order, Executed)}
    prices = {each.execution.price for each in trial.events(order, Executed)}
    assert len(ids) == 1
    assert len(prices) == 2


# ---------------------------------------------------------------- the link


@pytest.mark.parametrize("data", [True, False], ids=["1102", "1101"])
@pytest_twisted.ensureDeferred
async def test_tws_without_ib_is_down_and_back(data: bool, trial: Trial, tws: Control) -> None:
    broker = trial.broker
    broker.subscribe("IBM")
    await quoted(trial)
    since = len(trial.told)
    tws.do_lose()
    await trial.until(lambda: VenueStatus.CONNECTING in trial.statuses(since), "the loss is told")
    with pytest.raises(Refused):
        await trial.ask(broker.submit(trial.order()))
    tws.do_regain(data)
    await trial.connected(since)
    assert trial.statuses(since) == LOST
    since = len(trial.told)
    broker.subscribe("IBM")
    await quoted(trial, since)
    tws.do_quote("IBM", "90", "91")
    await quoted(trial, since, 90)
    await trial.rest()


@pytest_twisted.ensureDeferred
async def test_a_broken_farm_that_is_back_is_asked_again(trial: Trial, tws: Control) -> None:
    broker = trial.broker
    broker.subscribe("IBM")
    await quoted(trial)
    since = len(trial.told)
    tws.do_farm(ok=False)
    tws.do_quote("IBM", "80", "81")
    await trial.until(lambda: 2103 in codes(trial), "the farm is broken")
    assert not trial.statuses(since)
    tws.do_farm(ok=True)
    await quoted(trial, since, 80)


@pytest_twisted.ensureDeferred
async def test_prices_that_are_refused_for_now_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, trials: Trials
) -> None:
    monkeypatch.setattr(lines, "RETRY_SECONDS", 0.2)
    trial = trials()
    tws = trial.subject.control
    broker = await trial.begin()
    broker.subscribe("IBM")
    await quoted(trial)
    first = numbers.MOST + 1
    for number in range(first, first + 10):
        tws.do_error(10197, "No market data during competing live session", number)
    await trial.until(lambda: 10197 in codes(trial), "it is said")
    since = len(trial.told)
    tws.do_quote("IBM", "70", "71")
    await quoted(trial, since, 70)


@pytest_twisted.ensureDeferred
async def test_a_client_number_that_is_in_use_is_tried_again(trials: Trials) -> None:
    trial = trials()
    tws = trial.subject.control
    tws.do_fault("client_in_use")
    trial.broker.startService()
    await trial.until(lambda: said(trial, "client_id 5 is in use"), "it is said")
    assert VenueStatus.RECONCILING not in trial.statuses()
    await trial.connected(0)


@pytest_twisted.ensureDeferred
async def test_fills_of_the_night_are_there_in_the_morning(trials: Trials) -> None:
    trial = trials(restart="")
    tws = trial.subject.control
    await trial.begin()
    order = await trial.rest()
    since = len(trial.told)
    tws.do_nightly(1)
    tws.do_fill(order.order_id, "4")
    await trial.connected(since)
    fills = await trial.executions_of(order)
    assert [each.quantity for each in fills] == [4]
    assert fills[0].commission > 0


@pytest_twisted.ensureDeferred
async def test_down_is_expected_in_the_window_and_said_loudly_after_it(trials: Trials) -> None:
    times = [datetime(2026, 11, 24, 12, 29, tzinfo=UTC)]
    trial = trials(lambda: times[0], restart="12:00-12:30 UTC")
    tws = trial.subject.control
    await trial.begin()
    since = len(trial.told)
    tws.do_restart(seconds=4)
    await trial.until(lambda: VenueStatus.DOWN in trial.statuses(since), "the link is gone")
    (down,) = [each for each in trial.told[since:] if getattr(each, "status", None) is VenueStatus.DOWN]
    assert "nightly restart" in down.text
    assert not said(trial, "the next attempt")
    times[0] += timedelta(minutes=8)
    await trial.until(lambda: said(trial, "has not come back from its nightly restart"), "it is said loudly")
    assert "7 minutes ago" in said(trial, "has not come back")[0]
    await trial.connected(since)


@pytest_twisted.ensureDeferred
async def test_the_oldest_server_that_is_spoken_to(trials: Trials) -> None:
    trial = trials(version=157)
    broker = await trial.begin()
    order = await trial.rest()
    await trial.replace(order, quantity=order.quantity * 2)
    await trial.until(lambda: trial.events(order, OrderReplaced), "it is changed")
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")
    bought = await trial.buy()
    report = await trial.ask(broker.lookup(bought))
    assert report is not None
    assert report.filled_quantity == bought.quantity


# ---------------------------------------------------------------- contracts, bars


@pytest.mark.parametrize("symbol", ["IBM", "a future", "EURUSD", "BTC-USD"])
@pytest_twisted.ensureDeferred
async def test_written_forms_trade_and_are_held_by_the_same_name(symbol: str, trial: Trial) -> None:
    broker = trial.broker
    if symbol == "a future":
        symbol = coming_future(datetime.now(UTC).date())
    found = await trial.ask(broker.instrument(symbol))
    assert found is not None, f"the emulator has no {symbol}"
    quantity = max(found.min_quantity, found.lot_size)
    order = trial.order(OrderType.MARKET, symbol=symbol, quantity=quantity, time_in_force=TimeInForce.DAY)
    await trial.submit(order)
    await trial.until(lambda: trial.filled(order) == quantity, "it is filled")
    assert {each.symbol for each in trial.fills(order)} == {symbol}
    await begin_anew(trial)
    names = [each.symbol for each in await trial.ask(trial.broker.positions())]
    assert names == ([symbol] if names else [])
    fills = await trial.ask(trial.broker.executions(None))
    assert {each.symbol for each in fills} == {symbol}


@pytest_twisted.ensureDeferred
async def test_one_contract_has_one_name(trial: Trial) -> None:
    broker = trial.broker
    found = await trial.ask(broker.instrument("IBM"))
    assert found is not None
    assert await trial.ask(broker.instrument(f"#{found.raw['conId']}")) is None
    assert said(trial, "is written IBM here")


@pytest_twisted.ensureDeferred
async def test_bars_are_paced_and_the_same_question_is_answered_from_memory(trial: Trial, tws: Control) -> None:
    broker = trial.broker
    day = broker.now().astimezone(EASTERN) - timedelta(days=1)
    day -= timedelta(days=max(0, day.weekday() - 4))  # of a Saturday or Sunday there are none
    end = day.replace(hour=15, minute=0, second=0, microsecond=0).astimezone(UTC)
    minute = Period(1, Unit.MINUTE)
    for _ in range(3):
        assert await trial.ask(broker.bars("IBM", minute, end - timedelta(hours=1), end))
    for each in range(7):
        assert await trial.ask(broker.bars("IBM", minute, end - timedelta(minutes=61 + each), end))
    tws.do_fault("pacing")
    with pytest.raises(GatewayError, match="pacing violation"):
        await trial.ask(broker.bars("IBM", minute, end - timedelta(minutes=200), end))


# ---------------------------------------------------------------- accounts


@pytest_twisted.ensureDeferred
async def test_an_account_s_values(trial: Trial) -> None:
    broker = trial.broker
    report = await trial.ask(broker.balances(ACCOUNT))
    assert report.cash == 1_000_000
    assert {"equity", "buying_power", "currency", "NetLiquidation"} <= set(report.values)
    assert report.balances[0].currency == "USD"
