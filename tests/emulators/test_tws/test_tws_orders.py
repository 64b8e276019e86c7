"""Orders on the emulated TWS, as the released ib_async sends them and hears of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ib_async import Contract, ExecutionFilter, LimitOrder, MarketOrder, Order, StopLimitOrder, StopOrder, TagValue

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import IBM, Peer, limit, market, statuses
from tests.emulators.tws.control import Control


@on_loop
async def test_a_limit_order_rests_and_is_cancelled(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit(orderRef="mine", tif="GTC"))
    assert statuses(trade) == ["PendingSubmit", "PreSubmitted", "Submitted"]
    assert trade.orderStatus.permId > 1_900_000_000
    (shown,) = tws.do_orders()
    assert (shown["client"], shown["ref"], shown["tif"], shown["limit"]) == (1, "mine", "GTC", "150")
    ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled")
    await until(lambda: ib.codes() == [202])
    assert statuses(trade)[-2:] == ["PendingCancel", "Cancelled"]
    assert await ib.reqOpenOrdersAsync() == []


@on_loop
async def test_a_market_order_is_filled_by_what_is_shown(ib: Peer, tws: Control) -> None:
    tws.do_quote("IBM", "185.10", "185.20", ask_size=60)
    trade = ib.send(market(quantity=100, orderRef="m"))
    await until(lambda: trade.orderStatus.filled == 60)
    assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Submitted", 40)
    tws.do_quote("IBM", "185.20", "185.30", ask_size=1000)
    await until(lambda: len(trade.fills) == 2 and trade.fills[1].commissionReport.execId)
    assert trade.orderStatus.status == "Filled"
    assert trade.orderStatus.avgFillPrice == pytest.approx((60 * 185.2 + 40 * 185.3) / 100)
    first, last = (fill.execution for fill in trade.fills)
    assert (first.shares, first.price, last.shares, last.cumQty) == (60, 185.2, 40, 100)
    assert (first.side, first.orderRef, first.permId, first.clientId) == ("BOT", "m", trade.orderStatus.permId, 1)
    assert first.execId != last.execId
    report = trade.fills[0].commissionReport
    assert (report.commission, report.currency, report.realizedPNL) == (1.0, "USD", 0.0)
    assert tws.do_net() == {"DU1234567": {"IBM": "100"}}


@on_loop
async def test_a_position_that_is_closed_realizes(ib: Peer, tws: Control) -> None:
    await ib.sent(market(), "Filled")
    tws.do_quote("IBM", "186.10", "186.20")
    trade = await ib.sent(market("SELL"), "Filled")
    await until(lambda: trade.fills[0].commissionReport.execId)
    assert trade.fills[0].commissionReport.realizedPNL == pytest.approx(100 * (186.10 - 185.20) - 2)
    assert tws.do_net() == {"DU1234567": {}}


@on_loop
async def test_stops(ib: Peer, tws: Control) -> None:
    stop = ib.send(StopOrder("BUY", 100, 186.0, tif="GTC"))
    both = ib.send(StopLimitOrder("BUY", 100, 186.05, 186.0, tif="GTC"))
    await until(lambda: both.orderStatus.whyHeld == "trigger")
    assert (stop.orderStatus.status, stop.orderStatus.whyHeld) == ("PreSubmitted", "trigger")
    tws.do_quote("IBM", "186.00", "186.10")
    await ib.settled()
    assert stop.orderStatus.status == "PreSubmitted", "quotes do not reach stops"
    tws.do_trade("IBM", "186.00")
    await until(lambda: stop.orderStatus.status == "Filled")
    assert stop.fills[0].execution.price == 186.10
    await until(lambda: both.orderStatus.status == "Submitted" and not both.orderStatus.whyHeld)
    tws.do_quote("IBM", "186.00", "186.05")
    await until(lambda: both.orderStatus.status == "Filled")


@on_loop
async def test_immediate_or_cancel_and_fill_or_kill(ib: Peer, tws: Control) -> None:
    tws.do_quote("IBM", "185.10", "185.20", ask_size=60)
    kill = await ib.sent(LimitOrder("BUY", 100, 185.2, tif="FOK"), "Cancelled")
    assert kill.orderStatus.filled == 0
    part = await ib.sent(LimitOrder("BUY", 100, 185.2, tif="IOC"), "Cancelled")
    assert (part.orderStatus.filled, part.orderStatus.remaining) == (60, 0)
    tws.do_quote("IBM", "185.10", "185.20", ask_size=100)
    await ib.sent(LimitOrder("BUY", 100, 185.2, tif="FOK"), "Filled")


@on_loop
async def test_sending_an_id_again_is_a_change(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit(quantity=100, price=150))
    trade.order.lmtPrice = 151.5
    ib.placeOrder(IBM, trade.order)
    await until(lambda: trade.log[-1].message == "Modified")
    trade.order.totalQuantity = 70
    ib.placeOrder(IBM, trade.order)
    await until(lambda: trade.orderStatus.remaining == 70)
    (shown,) = tws.do_orders()
    assert (shown["limit"], shown["quantity"], shown["status"]) == ("151.5", "70", "Submitted")
    trade.order.lmtPrice = 185.2
    ib.placeOrder(IBM, trade.order)
    await until(lambda: trade.orderStatus.status == "Filled")
    assert tws.do_net() == {"DU1234567": {"IBM": "70"}}


@on_loop
async def test_changes_that_are_refused(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit(quantity=100))
    number = trade.order.orderId

    async def code(order: Order, contract: Contract = IBM) -> int:
        before = len(ib.errors)
        ib.client.placeOrder(number, contract, order)
        await until(lambda: len(ib.errors) > before)
        return ib.errors[-1][1]

    assert await code(limit("SELL")) == 105
    assert await code(limit(), Contract(conId=265598, exchange="SMART")) == 105
    assert await code(limit(price=150.001)) == 110
    tws.do_fill(trade.orderStatus.permId, 60)
    assert await code(limit(quantity=60)) == 201
    tws.do_fill(trade.orderStatus.permId, 40)
    assert await code(limit(quantity=200)) == 104
    number = (await ib.sent(limit())).order.orderId
    ib.client.cancelOrder(number)
    await until(lambda: ib.errors[-1][1] == 202)
    assert await code(limit()) == 103
    number = 1
    assert await code(limit()) == 103, "an id behind the highest one"


@on_loop
async def test_orders_that_are_refused(ib: Peer, tws: Control) -> None:
    async def code(order: Order, contract: Contract = IBM) -> int:
        before = len(ib.errors)
        ib.client.placeOrder(ib.client.getReqId(), contract, order)
        await until(lambda: len(ib.errors) > before)
        return ib.errors[-1][1]

    stock = {"secType": "STK", "exchange": "SMART", "currency": "USD"}
    assert await code(limit(), Contract(symbol="NOSUCH", **stock)) == 200
    assert await code(limit(), Contract(symbol="TWIN", **stock)) == 200
    assert "ambiguous" in ib.errors[-1][2]
    assert await code(limit(), Contract(conId=8314)) == 321
    assert await code(limit(price=150.001)) == 110
    assert await code(limit(quantity=0)) == 434
    assert await code(limit(quantity=1.5)) == 10243
    assert await code(limit(tif="OPG")) == 10052
    assert await code(Order(action="HOLD", totalQuantity=1, orderType="MKT", tif="DAY")) == 321
    assert await code(Order(action="BUY", totalQuantity=1, orderType="TRAIL", tif="DAY")) == 387
    assert await code(Order(action="BUY", totalQuantity=1, orderType="LMT", tif="DAY")) == 321
    assert await code(limit(account="DU0")) == 321
    assert await code(limit(parentId=999)) == 135
    assert tws.do_orders() == []
    assert ib.codes() == [200, 200, 321, 110, 434, 10243, 10052, 321, 387, 321, 321, 135]


@on_loop
async def test_an_order_that_is_rejected_is_inactive(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit(quantity=50_000, price=184), "Inactive")
    assert ib.codes() == [201]
    assert "insufficient" in ib.errors[-1][2]
    (done,) = await ib.reqCompletedOrdersAsync(False)
    assert (done.orderStatus.status, done.order.permId) == ("Inactive", trade.orderStatus.permId)


@on_loop
async def test_an_order_without_a_tif_gets_a_preset(ib: Peer, tws: Control) -> None:
    trade = ib.send(limit(tif=""))
    await until(lambda: trade.orderStatus.status == "Submitted")
    assert ib.codes() == [10349]
    assert tws.do_orders()[0]["tif"] == "DAY"


@on_loop
async def test_cancels_that_come_too_late(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(market(), "Filled")
    ib.client.cancelOrder(trade.order.orderId)
    await until(lambda: ib.codes() == [10148])
    assert "state: Filled" in ib.errors[-1][2]
    ib.client.cancelOrder(4711)
    await until(lambda: ib.codes() == [10148, 10147])


@on_loop
async def test_a_global_cancel_ends_the_orders_of_all(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    other = await peer().begin(2)
    mine, theirs = await ib.sent(limit()), await other.sent(limit())
    perm = tws.do_place("IBM", "BUY", 10, "LMT", limit="150", ref="by hand")
    assert perm
    ib.reqGlobalCancel()
    await until(lambda: theirs.orderStatus.status == "Cancelled")
    assert mine.orderStatus.status == "Cancelled"
    assert {order["status"] for order in tws.do_orders()} == {"Cancelled"}


# -------------------------------------------------------------------- brackets and groups


@on_loop
async def test_a_bracket(ib: Peer, tws: Control) -> None:
    entry, profit, loss = ib.bracketOrder("BUY", 100, 184.0, 190.0, 180.0, tif="GTC")
    trades = [ib.send(order) for order in (entry, profit, loss)]
    await until(lambda: trades[2].orderStatus.whyHeld == "child,trigger")
    assert [trade.orderStatus.status for trade in trades] == ["Submitted", "PreSubmitted", "PreSubmitted"]
    assert trades[1].orderStatus.parentId == entry.orderId
    shown = {trade.order.permId: trade.order for trade in await ib.reqOpenOrdersAsync()}
    assert len(shown) == 3
    tws.do_quote("IBM", "183.90", "184.00")
    await until(lambda: trades[1].orderStatus.status == "Submitted")
    assert (trades[0].orderStatus.status, trades[2].orderStatus.whyHeld) == ("Filled", "trigger")
    tws.do_quote("IBM", "190.00", "190.10", bid_size=40)
    await until(lambda: trades[1].orderStatus.filled == 40)
    await until(lambda: trades[2].order.totalQuantity == 60)
    tws.do_quote("IBM", "190.00", "190.10")
    await until(lambda: trades[2].orderStatus.status == "Cancelled")
    assert trades[1].orderStatus.status == "Filled"
    assert tws.do_net() == {"DU1234567": {}}


@on_loop
async def test_nothing_is_told_of_what_is_not_transmitted(ib: Peer, tws: Control) -> None:
    entry = limit(price=184, transmit=False)
    trade = ib.send(entry)
    await ib.settled()
    assert statuses(trade) == ["PendingSubmit"]
    tws.do_quote("IBM", "183.90", "184.00")
    assert tws.do_net() == {"DU1234567": {}}
    entry.transmit = True
    ib.send(entry)
    await until(lambda: trade.orderStatus.status == "Filled")


@on_loop
async def test_the_children_end_with_their_parent(ib: Peer, tws: Control) -> None:
    trades = [ib.send(order) for order in ib.bracketOrder("BUY", 100, 184.0, 190.0, 180.0, tif="GTC")]
    await until(lambda: trades[2].orderStatus.permId)
    tws.do_fill(trades[0].orderStatus.permId, 30)
    ib.cancelOrder(trades[0].order)
    await until(lambda: trades[2].orderStatus.status == trades[1].orderStatus.status == "Cancelled")
    assert tws.do_net() == {"DU1234567": {"IBM": "30"}}, "and nobody protects them"


@on_loop
async def test_the_children_end_with_a_parent_that_is_rejected(ib: Peer, tws: Control) -> None:
    tws.do_fault("rejected_order")
    trades = [ib.send(order) for order in ib.bracketOrder("BUY", 100, 184.0, 190.0, 180.0, tif="GTC")]
    await until(lambda: trades[2].orderStatus.status == trades[1].orderStatus.status == "Cancelled")
    assert trades[0].orderStatus.status == "Inactive"
    assert [order["status"] for order in tws.do_orders()] == ["Inactive", "Cancelled", "Cancelled"]


@on_loop
async def test_one_cancels_all(ib: Peer, tws: Control) -> None:
    orders = ib.oneCancelsAll([limit(price=150), limit(price=184), limit(price=183)], "group", 1)
    trades = [ib.send(order) for order in orders]
    tws.do_oca_cancels(False)
    await until(lambda: trades[2].orderStatus.status == "Submitted")
    ib.cancelOrder(trades[2].order)
    await until(lambda: trades[2].orderStatus.status == "Cancelled")
    assert trades[0].orderStatus.status == "Submitted"
    tws.do_quote("IBM", "183.90", "184.00", ask_size=10)
    await until(lambda: trades[0].orderStatus.status == "Cancelled")
    assert trades[1].orderStatus.filled == 10
    tws.do_oca_cancels(True)
    more = [await ib.sent(limit(ocaGroup="b", ocaType=1)), await ib.sent(limit(ocaGroup="b", ocaType=1))]
    ib.cancelOrder(more[0].order)
    await until(lambda: more[1].orderStatus.status == "Cancelled")


# -------------------------------------------------------------------- who hears what


@on_loop
async def test_other_clients_and_a_person(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    other = await peer().begin(2)
    theirs = await other.sent(limit(orderRef="theirs"))
    mine = await ib.sent(limit(orderRef="mine"))
    assert theirs.order.orderId <= mine.order.orderId, "ids are each client's own"
    perm = tws.do_place("IBM", "SELL", 5, "LMT", limit="200", ref="by hand")
    await ib.settled()
    assert [trade.order.orderRef for trade in ib.trades()] == ["mine"]
    assert [trade.order.orderRef for trade in await ib.reqOpenOrdersAsync()] == ["mine"]
    found = {trade.order.orderRef: trade for trade in await ib.reqAllOpenOrdersAsync()}
    assert found.keys() == {"mine", "theirs", "by hand"}
    assert (found["theirs"].order.clientId, found["by hand"].order.permId) == (2, perm)
    tws.do_fill("by hand", 5, "200")
    tws.do_fill("theirs", 100)
    fills = {fill.execution.orderRef: fill.execution for fill in await ib.reqExecutionsAsync()}
    assert fills["by hand"].orderId == 0
    assert (fills["theirs"].clientId, fills["theirs"].orderId) == (2, theirs.order.orderId)
    done = {trade.order.orderRef: trade for trade in await ib.reqCompletedOrdersAsync(False)}
    assert done["by hand"].order.filledQuantity == 5
    assert done["theirs"].orderStatus.status == "Filled"
    assert [trade.order.orderRef for trade in await ib.reqCompletedOrdersAsync(True)] == ["theirs"]


@on_loop
async def test_the_master_and_client_zero_hear_more(make: Callable[..., Control]) -> None:
    tws = make(master=9)
    master, zero, one = [Peer(tws.emulator.port) for _ in range(3)]
    try:
        await master.begin(9)
        await zero.begin(0)
        await one.begin(1)
        await one.sent(limit(orderRef="one", price=1.0))
        tws.do_place("IBM", "BUY", 5, "LMT", limit="1", ref="by hand")
        await until(lambda: len(master.trades()) == 2)
        await zero.settled()
        assert [trade.order.orderRef for trade in zero.trades()] == ["by hand"]
        assert [trade.order.orderRef for trade in one.trades()] == ["one"]
    finally:
        for each in (master, zero, one):
            each.disconnect()


@on_loop
async def test_ids_are_a_clients_own_and_go_on(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    trade = await ib.sent(limit())
    ib.disconnect()
    await until(lambda: not tws.emulator.links)
    again = await peer().begin(1)
    assert again.client._reqIdSeq > trade.order.orderId
    assert [each.order.orderId for each in again.openTrades()] == [trade.order.orderId]
    again.cancelOrder(again.openTrades()[0].order)
    await until(lambda: tws.do_orders()[0]["status"] == "Cancelled")


@on_loop
async def test_ids_must_be_higher_than_those_that_were_seen(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    tws.do_place("IBM", "BUY", 10, "LMT", limit="150", client=2, id=500)
    number = ib.client.getReqId()
    await ib.sent(limit(orderId=number))
    assert len(await ib.reqAllOpenOrdersAsync()) == 2
    ib.client.placeOrder(number + 1, IBM, limit())
    await until(lambda: ib.codes() == [103])
    await ib.sent(limit(orderId=501))


@on_loop
async def test_what_if(ib: Peer, tws: Control) -> None:
    state = await ib.whatIfOrderAsync(IBM, limit(price=180))
    assert float(state.initMarginChange) == 4500
    assert float(state.commission) == 1.0
    assert tws.do_orders() == []


@on_loop
async def test_a_closed_market(ib: Peer, tws: Control) -> None:
    tws.do_close()
    trade = ib.send(market())
    await until(lambda: ib.codes() == [399])
    tws.do_quote("IBM", "185.10", "185.20")
    assert tws.do_orders()[0]["status"] == "PreSubmitted"
    tws.do_open()
    await until(lambda: trade.orderStatus.status == "Filled")


@on_loop
async def test_the_days_end(ib: Peer, tws: Control) -> None:
    day, good = await ib.sent(limit()), await ib.sent(limit(tif="GTC"))
    assert tws.do_end_day() == 1
    await until(lambda: day.orderStatus.status == "Cancelled")
    assert good.orderStatus.status == "Submitted"
    assert ib.codes() == [202]


@on_loop
async def test_algos_are_shown_again(ib: Peer, tws: Control) -> None:
    order = limit(algoStrategy="Adaptive", algoParams=[TagValue("adaptivePriority", "Urgent")])
    await ib.sent(order)
    ib.wrapper.trades.clear()
    (shown,) = await ib.reqOpenOrdersAsync()
    assert (shown.order.algoStrategy, shown.order.algoParams[0].value) == ("Adaptive", "Urgent")
    assert tws.emulator.violations == []


@on_loop
async def test_a_person_decides(ib: Peer, tws: Control) -> None:
    tws.do_hold()
    first, then = ib.send(MarketOrder("BUY", 10, tif="DAY")), ib.send(MarketOrder("BUY", 10, tif="DAY"))
    await until(lambda: then.orderStatus.status == "PreSubmitted")
    tws.do_accept(first.orderStatus.permId)
    tws.do_reject(then.orderStatus.permId, "no", "Cancelled")
    await until(lambda: then.orderStatus.status == "Cancelled")
    assert first.orderStatus.status == "Filled"


@on_loop
async def test_executions_are_filtered(ib: Peer, tws: Control) -> None:
    await ib.sent(market(orderRef="ibm"), "Filled")
    tws.do_place("AAPL", "SELL", 5, "LMT", limit="1", ref="aapl", client=8, id=1)
    tws.do_fill("aapl", 5, "1") if tws.do_orders()[-1]["status"] != "Filled" else None

    async def found(**filters: object) -> list[str]:
        return [fill.execution.orderRef for fill in await ib.reqExecutionsAsync(ExecutionFilter(**filters))]

    assert await found() == ["ibm", "aapl"]
    assert await found(symbol="IBM") == ["ibm"]
    assert await found(side="SELL") == ["aapl"]
    assert await found(clientId=8) == ["aapl"]
    assert await found(acctCode="DU0") == []
    assert await found(secType="FUT") == []
    assert await found(time="20260304 10:59:59") == ["ibm", "aapl"]
    assert await found(time="20260304 11:00:01") == []
    tws.emulator.reactor.advance(13 * 3600)
    assert await found() == [], "another day"
    assert await ib.reqCompletedOrdersAsync(False) == []
