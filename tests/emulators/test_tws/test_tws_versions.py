"""The released ib_async understands everything that the emulated TWS says, in every server version that it offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ib_async import Stock

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import Peer, limit, market
from tests.emulators.tws.control import Control
from tests.emulators.tws.server import NEWEST, OLDEST


@pytest.mark.parametrize("version", range(OLDEST, NEWEST + 1))
@on_loop
async def test_a_days_work(make: Callable[..., Control], version: int) -> None:
    tws = make(version=version)
    tws.do_quote("IBM", "185.10", "185.20", ask_size=60)
    ib = Peer(tws.emulator.port)
    try:
        await ib.begin()
        assert ib.client.serverVersion() == version
        (contract,) = await ib.qualifyContractsAsync(Stock("IBM", "SMART", "USD"))
        (details,) = await ib.reqContractDetailsAsync(contract)
        assert (details.longName, details.stockType, details.marketRuleIds) == (
            "INTL BUSINESS MACHINES CORP",
            "COMMON",
            "1000",
        )
        trade = ib.send(market(orderRef="bought"), contract)
        await until(lambda: trade.orderStatus.filled == 60)
        rest = await ib.sent(limit(orderRef="rests", ocaGroup="g", ocaType=2), contract=contract)
        ib.wrapper.trades.clear()
        shown = {each.order.orderRef: each.order for each in await ib.reqOpenOrdersAsync()}
        assert (shown["rests"].ocaGroup, shown["rests"].ocaType, shown["rests"].lmtPrice) == ("g", 2, 150)
        assert (shown["bought"].orderType, shown["bought"].totalQuantity, shown["bought"].tif) == ("MKT", 100, "DAY")
        assert shown["rests"].account == "DU1234567"
        ib.client.cancelOrder(rest.order.orderId)
        await until(lambda: 202 in ib.codes())
        (done,) = await ib.reqCompletedOrdersAsync(False)
        assert (done.order.orderRef, done.order.permId, done.orderStatus.status) == (
            "rests",
            rest.order.permId,
            "Cancelled",
        )
        (fill,) = await ib.reqExecutionsAsync()
        assert (fill.execution.orderRef, fill.execution.shares, fill.execution.side) == ("bought", 60, "BOT")
        assert fill.execution.time.hour == 16, "11 o'clock in New York"
        (found,) = await ib.reqMatchingSymbolsAsync("MICRO")
        assert found.contract.primaryExchange == "NASDAQ"
    finally:
        ib.disconnect()
    assert tws.emulator.violations == []
