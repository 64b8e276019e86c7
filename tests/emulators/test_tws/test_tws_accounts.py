"""Positions, account values, profit and loss of the emulated TWS, as the released ib_async asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest
import pytest_twisted
from ib_async import Crypto, Future

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import IBM, Peer, limit, market
from tests.emulators.tws.control import Control

ONE, TWO = "DU1", "DU2"


@pytest_twisted.async_yield_fixture
async def two(make: Callable[..., Control]) -> AsyncIterator[tuple[Peer, Control]]:
    """A client of two accounts, the second one short of TSLA from the start."""
    tws = make(accounts=(ONE, TWO), positions={TWO: {"TSLA": -50}})
    tws.do_trade("IBM", "185.15")
    tws.do_quote("IBM", "185.10", "185.20")
    peer = Peer(tws.emulator.port)
    yield peer, tws
    peer.disconnect()


@on_loop
async def test_two_accounts(two: tuple[Peer, Control]) -> None:
    ib, _ = two
    await ib.begin()
    assert ib.managedAccounts() == [ONE, TWO]
    assert [(each.account, each.contract.symbol, each.position) for each in ib.positions()] == [(TWO, "TSLA", -50)]
    ib.send(market())
    await until(lambda: ib.codes() == [435])
    await ib.sent(market(account=ONE), "Filled")
    await until(lambda: len(ib.positions()) == 2)
    (bought,) = ib.positions(ONE)
    assert (bought.contract.conId, bought.position) == (8314, 100)
    assert bought.avgCost == pytest.approx(185.21)
    await ib.sent(market("SELL", account=ONE), "Filled")
    await until(lambda: ib.positions(ONE) == [])


@on_loop
async def test_account_values(two: tuple[Peer, Control]) -> None:
    ib, _ = two
    await ib.begin(account=ONE)

    def value(tag: str) -> Decimal:
        (found,) = [each for each in ib.accountValues(ONE) if each.tag == tag and each.currency == "USD"]
        return Decimal(found.value)

    assert value("NetLiquidation") == value("TotalCashValue") == 1_000_000
    await ib.sent(market(account=ONE), "Filled")
    await until(lambda: value("TotalCashValue") == 1_000_000 - 18520 - 1)
    assert value("GrossPositionValue") == 18520
    assert value("NetLiquidation") == 1_000_000 - 1
    (held,) = ib.portfolio(ONE)
    assert (held.position, held.marketPrice, held.averageCost) == (100, 185.20, pytest.approx(185.21))
    assert ib.portfolio(TWO) == []


@on_loop
async def test_summary(two: tuple[Peer, Control]) -> None:
    ib, _ = two
    await ib.begin()
    found = await ib.accountSummaryAsync()
    values = {(each.account, each.tag): each.value for each in found}
    assert values[ONE, "NetLiquidation"] == "1000000.00"
    assert Decimal(values[TWO, "GrossPositionValue"]) > 5000
    ib.client.reqAccountSummary(901, "All", "NetLiquidation")
    ib.client.reqAccountSummary(902, "All", "NetLiquidation")
    await until(lambda: ib.codes() == [322])


@on_loop
async def test_profit_and_loss(two: tuple[Peer, Control]) -> None:
    ib, tws = two
    await ib.begin()
    await ib.sent(market(account=ONE), "Filled")
    whole, single = ib.reqPnL(ONE), ib.reqPnLSingle(ONE, "", 8314)
    await until(lambda: whole.unrealizedPnL == pytest.approx(-1) and single.position == 100)
    tws.do_quote("IBM", "186.20", "186.30")
    await ib.sent(market("SELL", account=ONE), "Filled")
    await until(lambda: whole.realizedPnL == pytest.approx(100 - 2))
    ib.cancelPnL(ONE)
    ib.cancelPnLSingle(ONE, "", 8314)


@on_loop
async def test_unknown_accounts(two: tuple[Peer, Control]) -> None:
    ib, _ = two
    await ib.begin()
    ib.client.reqAccountUpdates(True, "DU0")
    ib.client.reqAccountUpdatesMulti(901, "DU0", "", False)
    ib.client.reqPnL(902, "DU0", "")
    await until(lambda: ib.codes() == [321, 321, 321])


@on_loop
async def test_a_future_costs_no_cash(two: tuple[Peer, Control]) -> None:
    ib, tws = two
    await ib.begin()
    (future,) = await ib.qualifyContractsAsync(Future("ES", "202603", "CME"))
    tws.do_quote("ESH6", "5200.00", "5200.25", 10, 10)
    await ib.sent(market(quantity=2, account=ONE), "Filled", future)
    assert tws.emulator.book.accounts[ONE].cash == Decimal("1000000") - Decimal("4.5")
    (held,) = ib.positions(ONE)
    assert held.avgCost == pytest.approx(5200.25 * 50 + 2.25)
    tws.do_quote("ESH6", "5210.00", "5210.25", 10, 10)
    await ib.sent(market("SELL", quantity=2, account=ONE), "Filled", future)
    assert tws.emulator.book.accounts[ONE].cash == Decimal("1000000") - 9 + 2 * 50 * Decimal("9.75")


@on_loop
async def test_fractions_of_a_coin(two: tuple[Peer, Control]) -> None:
    ib, tws = two
    await ib.begin()
    (coin,) = await ib.qualifyContractsAsync(Crypto("BTC", "PAXOS", "USD"))
    tws.do_quote("BTC.USD", "64000", "64000.25", "0.5", "0.001")
    trade = ib.send(limit(quantity=Decimal("0.0025"), price=64001, account=ONE), coin)
    await until(lambda: trade.orderStatus.filled == 0.001)
    assert trade.orderStatus.remaining == 0.0015


@on_loop
async def test_positions_are_told_until_that_is_ended(two: tuple[Peer, Control]) -> None:
    ib, _ = two
    await ib.begin()
    ib.client.cancelPositions()
    await ib.sent(market(account=ONE), "Filled", IBM)
    await ib.settled()
    assert ib.positions(ONE) == []
    assert len(await ib.reqPositionsAsync()) == 2
