"""One key, two markets: a venue of spot takes in nothing of the perpetuals of its account, and the other way round."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceUsdm, Exchange, Woo, WooSwap
from txgateway.brokers.ccxt import CcxtBroker
from txgateway.brokers.ccxt.translate import elsewhere
from txgateway.brokers.conformance import Trial
from txgateway.model.events import Executed
from txgateway.model.execution import Execution
from txgateway.model.order import Order, OrderReport, Origin

D = Decimal
SPOT, PERP = "BTC-USDT", "BTC-USDT-PERP"


@pytest.mark.parametrize(
    ("symbol", "market", "kind", "is_elsewhere"),
    [
        ("BTC/USDT", {"spot": True}, "spot", False),
        ("BTC/USDT", {"spot": True}, "swap", True),
        ("BTC/USDT:USDT", {"spot": False}, "swap", False),
        ("BTC/USDT:USDT", {"spot": False}, "spot", True),
        ("BTC/USDT:USDT-261225", {"spot": False, "type": "future"}, "swap", False),
        ("NEW/USDT", None, "swap", True),
        ("NEW/USDT", None, "spot", False),
        ("NEW/USDT:USDT", None, "spot", True),
        ("PERP_NEW_USDT", None, "spot", False),
        ("", None, "spot", False),
        ("BTC/USDT:USDT", {"spot": False}, "", False),
    ],
)
def test_of_which_market_a_pair_is(symbol: str, market: Any, kind: str, is_elsewhere: bool) -> None:
    assert elsewhere(symbol, market, kind) is is_elsewhere


@pytest.mark.parametrize(("kind", "other"), [(Woo, PERP), (WooSwap, SPOT)], ids=["spot", "swap"])
@pytest_twisted.ensureDeferred
async def test_what_happens_in_the_other_market_is_not_taken_in(
    kind: type[Exchange], other: str, tmp_path: Path
) -> None:
    subject = kind(tmp_path)
    subject.control.do_quote(other, 50000, 50010, 100, 100)
    subject.control.do_place(other, "BUY", "0.25")
    trial = Trial(subject)
    try:
        await trial.begin()
        subject.control.do_place(other, "BUY", "0.5")
        rests = subject.control.do_place(other, "BUY", "0.5", kind="LIMIT", limit="20000")
        subject.control.do_fill(rests, "0.2")
        bought, resting = await trial.buy(), await trial.rest()
        await only_ours(trial, bought, resting)
        since = len(trial.told)
        await trial.broker.stopService()  # type: ignore[misc]
        trial.broker = subject.make(trial.told.append)
        trial.broker.startService()
        await trial.connected(since)
        await only_ours(trial, bought, resting)
        assert await trial.ask(trial.broker.lookup(adopted(trial, other, str(rests)))) is None
    finally:
        await trial.end()


async def only_ours(trial: Trial, bought: Order, resting: Order) -> None:
    """Nothing is told, listed or held but what was done here."""
    symbol = trial.subject.symbol
    told = [each.execution for each in trial.told if isinstance(each, Executed)]
    listed: list[Execution] = list(await trial.ask(trial.broker.executions(None)))
    working: list[OrderReport] = list(await trial.ask(trial.broker.open_orders()))
    assert {(each.symbol, each.order_id) for each in told} == {(symbol, bought.order_id)}
    assert {(each.symbol, each.order_id) for each in listed} == {(symbol, bought.order_id)}
    assert [(each.symbol, each.order_id) for each in working] == [(symbol, resting.order_id)]
    assert {each.symbol for each in await trial.ask(trial.broker.positions())} <= {symbol}
    assert isinstance(trial.broker, CcxtBroker)
    assert {entry.symbol for entry in trial.broker._book._all()} <= {symbol}


def adopted(trial: Trial, pair: str, number: str) -> Order:
    """What an earlier version had taken for an order of another here."""
    symbol = "BTC/USDT" if pair == SPOT else "BTC/USDT:USDT"
    return replace(trial.order(), symbol=symbol, broker_order_id=number, origin=Origin.EXTERNAL)


@pytest_twisted.ensureDeferred
async def test_a_perpetuals_account_has_its_wallet_balance_however_it_is_told(tmp_path: Path) -> None:
    """The profit of an open position is no cash: not in an answer either."""
    subject = BinanceUsdm(tmp_path)
    trial = Trial(subject)
    try:
        await trial.begin()
        await trial.buy()
        subject.control.do_quote(subject.pair, 60000, 60010, 100, 100)
        subject.control.do_trade(subject.pair, 60005, 1)
        wallet = D(subject.control.do_balances()["perp"]["USDT"][0])
        assert isinstance(trial.broker, CcxtBroker)
        session: Any = trial.broker._session
        await trial.ask(session.ask_balances())
        report = await trial.ask(trial.broker.balances(subject.account))
        (position,) = await trial.ask(trial.broker.positions())
        assert position.unrealized_profit
        assert report.cash == wallet
        assert [each.total for each in report.balances] == [wallet]
    finally:
        await trial.end()
