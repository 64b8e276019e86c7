"""Every way in which the emulated TWS misbehaves, as the released ib_async meets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from ib_async import Trade

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import IBM, Peer, limit, market, passes, statuses
from tests.emulators.tws.control import Control


async def changed(ib: Peer, trade: Trade, price: float, quantity: float = 100) -> None:
    """Ask for a change, and wait until the emulator has had it."""
    trade.order.lmtPrice, trade.order.totalQuantity = price, quantity
    ib.placeOrder(IBM, trade.order)
    await ib.settled()


# -------------------------------------------------------------------- acknowledgements


@on_loop
async def test_lost_ack(ib: Peer, tws: Control) -> None:
    tws.do_fault("lost_ack")
    trade = ib.send(limit(orderRef="a"))
    await ib.settled()
    assert statuses(trade) == ["PendingSubmit"]
    (found,) = await ib.reqOpenOrdersAsync()
    assert (found.order.orderRef, found.orderStatus.status) == ("a", "Submitted")
    tws.do_fault("lost_ack")
    ib.cancelOrder(trade.order)
    await ib.settled()
    assert trade.orderStatus.status == "PendingCancel"
    assert tws.do_orders()[0]["status"] == "Cancelled"


@on_loop
async def test_lost_ack_of_a_fill(ib: Peer, tws: Control) -> None:
    tws.do_fault("lost_ack", symbol="IBM")
    trade = ib.send(market(orderRef="a"))
    await ib.settled()
    assert trade.fills == []
    (fill,) = await ib.reqExecutionsAsync()
    assert fill.execution.orderRef == "a"


@on_loop
async def test_lost_order(ib: Peer, tws: Control) -> None:
    tws.do_fault("lost_order")
    trade = ib.send(limit())
    await ib.settled()
    assert statuses(trade) == ["PendingSubmit"]
    assert tws.do_orders() == []


@on_loop
async def test_late_ack(ib: Peer, tws: Control) -> None:
    tws.do_fault("late_ack")
    trade = ib.send(limit())
    await ib.settled()
    assert statuses(trade) == ["PendingSubmit"]
    assert tws.do_orders()[0]["status"] == "Submitted"
    await passes(tws, 1)
    await until(lambda: trade.orderStatus.status == "Submitted")


@on_loop
async def test_10349_looks_like_a_cancel(ib: Peer, tws: Control) -> None:
    tws.do_fault("code_10349")
    trade = ib.send(limit())
    await until(lambda: ib.codes() == [10349])
    assert trade.orderStatus.status == "Cancelled", "so ib_async believes"
    assert tws.do_orders()[0]["status"] == "Submitted"
    (found,) = await ib.reqOpenOrdersAsync()
    assert found.orderStatus.status == "Submitted"


@on_loop
async def test_rejected_order(ib: Peer, tws: Control) -> None:
    tws.do_fault("rejected_order")
    await ib.sent(limit(), "Inactive")
    tws.do_fault("rejected_order", when="Cancelled")
    await ib.sent(limit(), "Cancelled")
    assert ib.codes() == [201, 201]


@on_loop
async def test_held_short(ib: Peer, tws: Control) -> None:
    tws.do_fault("held_short")
    trade = ib.send(market("SELL"))
    await until(lambda: trade.orderStatus.whyHeld == "locate")
    assert (ib.codes(), tws.do_orders()[0]["status"]) == ([404], "PreSubmitted")
    tws.do_accept(trade.orderStatus.permId)
    await until(lambda: trade.orderStatus.status == "Filled")


# -------------------------------------------------------------------- changes and cancels


@on_loop
async def test_rejected_replace_leaves_a_live_order(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("rejected_replace")
    await changed(ib, trade, 151)
    assert (ib.codes(), trade.orderStatus.status) == ([201], "Cancelled")
    (shown,) = tws.do_orders()
    assert (shown["status"], shown["limit"]) == ("Submitted", "150")
    (found,) = await ib.reqOpenOrdersAsync()
    assert (found.orderStatus.status, found.order.lmtPrice) == ("Submitted", 150)


@on_loop
async def test_half_replace(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("half_replace")
    await changed(ib, trade, 151, 200)
    (shown,) = tws.do_orders()
    assert (shown["limit"], shown["quantity"]) == ("151", "100")
    assert (trade.orderStatus.status, trade.order.totalQuantity) == ("Submitted", 100)


@on_loop
async def test_rejected_cancel(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("rejected_cancel")
    ib.cancelOrder(trade.order)
    await until(lambda: ib.codes() == [10148])
    assert (trade.orderStatus.status, tws.do_orders()[0]["status"]) == ("Cancelled", "Submitted")


@pytest.mark.parametrize("when", ["", "after"])
@on_loop
async def test_cancel_race(ib: Peer, tws: Control, when: str) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("cancel_race", when=when)
    ib.cancelOrder(trade.order)
    await until(lambda: ib.codes() == [10148])
    await until(lambda: trade.orderStatus.status == "Filled" and trade.fills)
    assert ("Cancelled" in statuses(trade)) == (when == "")
    assert tws.do_net() == {"DU1234567": {"IBM": "100"}}


@on_loop
async def test_fill_after_cancel(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("fill_after_cancel")
    ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled")
    await ib.settled()
    assert trade.fills == []
    await passes(tws, 1)
    await until(lambda: trade.fills)
    await until(lambda: trade.orderStatus.filled == 50)
    assert trade.orderStatus.status == "Cancelled"
    assert tws.do_net() == {"DU1234567": {"IBM": "50"}}


# -------------------------------------------------------------------- fills


@on_loop
async def test_late_fill(ib: Peer, tws: Control) -> None:
    tws.do_fault("late_fill")
    trade = await ib.sent(market(), "Filled")
    await ib.settled()
    assert trade.fills == []
    await passes(tws, 2)
    await until(lambda: trade.fills)


@on_loop
async def test_duplicated_fill(ib: Peer, tws: Control) -> None:
    heard: list[str] = []
    tws.do_fault("duplicated_fill")
    told = ib.wrapper.execDetails

    def hear(number: int, contract: object, execution: object) -> None:
        heard.append(execution.execId)  # type: ignore[attr-defined]
        told(number, contract, execution)

    ib.wrapper.execDetails = hear
    trade = ib.send(market())
    await passes(tws, 0.01)
    await until(lambda: len(heard) == 2)
    assert heard[0] == heard[1]
    assert len(trade.fills) == 1


@on_loop
async def test_duplicated_status(ib: Peer, tws: Control) -> None:
    heard: list[tuple[object, ...]] = []
    told = ib.wrapper.orderStatus
    ib.wrapper.orderStatus = lambda *fields: (heard.append(fields), told(*fields))
    tws.do_fault("duplicated_status", count=None)
    trade = await ib.sent(market(), "Filled")
    await ib.settled()
    assert len(heard) == 2 * len(set(heard)) == 6
    assert len(trade.fills) == 1


@on_loop
async def test_reordered_fills(ib: Peer, tws: Control) -> None:
    trade = await ib.sent(limit())
    tws.do_fault("reordered_fills")
    tws.do_fill(trade.orderStatus.permId, 30)
    tws.do_fill(trade.orderStatus.permId, 70)
    await until(lambda: len(trade.fills) == 2)
    assert [fill.execution.cumQty for fill in trade.fills] == [100, 30]
    tws.do_fault("reordered_fills")
    alone = await ib.sent(market(), "Filled")
    await ib.settled()
    assert alone.fills == []
    await passes(tws, 1)
    await until(lambda: alone.fills)


@pytest.mark.parametrize("seconds", [1, -1])
@on_loop
async def test_late_commission(ib: Peer, tws: Control, seconds: float) -> None:
    tws.do_fault("late_commission", seconds=seconds)
    trade = await ib.sent(market(), "Filled")
    await ib.settled()
    assert trade.fills[0].commissionReport.execId == ""
    if seconds > 0:
        await passes(tws, 1)
        await until(lambda: trade.fills[0].commissionReport.execId)
    else:
        (fill,) = await ib.reqExecutionsAsync()
        await until(lambda: fill.commissionReport.execId or trade.fills[0].commissionReport.execId)


@on_loop
async def test_untold_fee(ib: Peer, tws: Control) -> None:
    tws.do_fault("untold_fee")
    trade = await ib.sent(market(), "Filled")
    await until(lambda: trade.fills[0].commissionReport.commission == 1)
    assert tws.emulator.book.accounts["DU1234567"].cash == 1_000_000 - 18520 - 2


@on_loop
async def test_corrected_fill(ib: Peer, tws: Control) -> None:
    tws.do_fault("corrected_fill")
    trade = await ib.sent(market(), "Filled")
    await passes(tws, 1)
    await until(lambda: len(trade.fills) == 2)
    wrong, right = (fill.execution for fill in trade.fills)
    assert wrong.execId.rpartition(".")[0] == right.execId.rpartition(".")[0]
    assert (wrong.price, right.price, right.shares) == (185.20, 185.21, 100)
    assert [each["id"] for each in tws.do_executions()] == [right.execId]
    assert tws.do_net() == {"DU1234567": {"IBM": "100"}}


# -------------------------------------------------------------------- ids


@on_loop
async def test_id_rollback(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    done, live = await ib.sent(market(orderRef="done"), "Filled"), await ib.sent(limit(orderRef="live"))
    ib.disconnect()
    tws.do_fault("id_rollback")
    await until(lambda: not tws.emulator.links)
    again = peer()
    told: list[int] = []
    again.wrapper.nextValidId = told.append
    await again.begin()
    assert told == [1]
    again.client.placeOrder(done.order.orderId, IBM, limit(orderRef="new", price=151))
    await until(lambda: len(tws.do_orders()) == 3)
    new = tws.do_orders()[-1]
    assert (new["id"], new["ref"]) == (done.order.orderId, "new")
    assert new["perm"] != done.orderStatus.permId
    again.client.placeOrder(live.order.orderId, IBM, limit(orderRef="live", price=152))
    await until(lambda: tws.do_orders()[1]["limit"] == "152")
    assert len(tws.do_orders()) == 3, "an open order's id is a change"


async def in_use(second: Peer, client: int) -> None:
    """It is told 326 and hung up on; ib_async itself would go on waiting."""
    connecting = asyncio.ensure_future(second.begin(client))
    await until(lambda: 326 in second.codes() and not second.client.conn.transport)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


@pytest.mark.parametrize("how", ["taken", "fault"])
@on_loop
async def test_client_in_use(ib: Peer, peer: Callable[[], Peer], tws: Control, how: str) -> None:
    if how == "fault":
        tws.do_fault("client_in_use")
    second = peer()
    await in_use(second, 1 if how == "taken" else 2)
    await (await second.begin(2)).settled()


# -------------------------------------------------------------------- the link


@on_loop
async def test_mute_feed(ib: Peer, tws: Control) -> None:
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.bid == 185.10)
    tws.do_fault("mute_feed")
    tws.do_quote("IBM", "185.11", "185.20")
    tws.do_quote("IBM", "185.12", "185.20")
    await until(lambda: ticker.bid == 185.12)
    tws.do_fault("mute_feed", seconds=60)
    for bid in ("185.13", "185.14"):
        tws.do_quote("IBM", bid, "185.20")
    await ib.settled()
    assert ticker.bid == 185.12
    tws.do_unmute()
    tws.do_trade("IBM", "185.15")
    await until(lambda: ticker.bid == 185.14, "what was not told is told with the next tick")


@pytest.mark.parametrize("how", ["fault", "control", "found out"])
@on_loop
async def test_half_open(ib: Peer, peer: Callable[[], Peer], tws: Control, how: str) -> None:
    if how != "control":
        tws.do_fault("half_open", seconds=None if how == "fault" else 30)
        ib.send(limit())
        await until(lambda: tws.emulator.links[0].frozen)
    else:
        tws.do_freeze()
    answer = asyncio.ensure_future(ib.reqCurrentTimeAsync())
    other = await peer().begin(2)
    await other.settled()
    assert not answer.done()
    assert ib.isConnected()
    assert tws.do_orders() == []
    await in_use(peer(), 1)
    if how == "found out":
        await passes(tws, 30)
    else:
        tws.do_free_clients()
    with pytest.raises(ConnectionError):
        await answer
    await peer().begin(1)


@pytest.mark.parametrize("when", ["before", "after"])
@on_loop
async def test_dropped_link(ib: Peer, peer: Callable[[], Peer], tws: Control, when: str) -> None:
    tws.do_fault("dropped_link", when=when, seconds=1)
    ib.send(limit(orderRef="a"))
    await until(lambda: not ib.isConnected())
    await passes(tws, 1)
    again = await peer().begin()
    assert [trade.order.orderRef for trade in again.openTrades()] == (["a"] if when == "after" else [])


@on_loop
async def test_drop(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    await ib.sent(limit())
    tws.do_drop()
    await until(lambda: not ib.isConnected())
    assert ib.trades() == []
    assert len((await peer().begin()).openTrades()) == 1


@pytest.mark.parametrize("arrives", [True, False])
@on_loop
async def test_rate_limit(ib: Peer, tws: Control, arrives: bool) -> None:
    tws.do_fault("rate_limit", arrives=arrives)
    trade = ib.send(limit())
    await until(lambda: ib.codes() == [100])
    assert tws.do_orders() == []
    if arrives:
        await passes(tws, 0.1)
        await until(lambda: trade.orderStatus.status == "Submitted")
    else:
        await ib.sent(limit())
        assert len(tws.do_orders()) == 1


@on_loop
async def test_too_many_messages_a_second(make: Callable[..., Control]) -> None:
    tws = make(rate=20)
    ib = Peer(tws.emulator.port)
    await ib.begin()
    for _ in range(25):
        ib.client.reqCurrentTime()
    await until(lambda: not ib.isConnected())
    assert 100 in ib.codes()
    assert tws.emulator.violations


@on_loop
async def test_slow_broker(ib: Peer, tws: Control) -> None:
    tws.do_fault("slow_broker", when="orders")
    trade = ib.send(limit())
    await ib.settled()
    assert tws.do_orders() == []
    await passes(tws, 1)
    await until(lambda: trade.orderStatus.status == "Submitted")


@on_loop
async def test_no_answer(ib: Peer, tws: Control) -> None:
    tws.do_fault("no_answer")
    asked = asyncio.ensure_future(ib.reqPositionsAsync())
    await ib.settled()
    assert not asked.done()
    tws.do_drop()
    with pytest.raises(ConnectionError):
        await asked


@pytest.mark.parametrize("name", ["restart", "restart_empty"])
@on_loop
async def test_restart(ib: Peer, peer: Callable[[], Peer], tws: Control, name: str) -> None:
    tws.do_fault(name)
    ib.send(market(orderRef="a"))
    await until(lambda: not ib.isConnected())
    await passes(tws, 1)
    again = await peer().begin()
    kept = ["a"] if name == "restart" else []
    assert [fill.execution.orderRef for fill in again.fills()] == kept
    assert [position.position for position in again.positions()] == [100] * len(kept)
    perm = (await again.sent(limit())).orderStatus.permId
    assert perm == 1_900_000_002, "permIds go on"


@on_loop
async def test_the_nightly_restart(ib: Peer, peer: Callable[[], Peer], tws: Control) -> None:
    trade = await ib.sent(limit(tif="GTC", orderRef="a"))
    perm = trade.orderStatus.permId
    tws.do_nightly(300)
    await until(lambda: not ib.isConnected())
    assert 1100 in ib.codes()
    with pytest.raises(ConnectionRefusedError):
        await peer().begin()
    tws.do_fill(perm, 100)
    await passes(tws, 300)
    again = await peer().begin()
    assert [(fill.execution.orderRef, fill.execution.permId) for fill in again.fills()] == [("a", perm)]
    assert again.openTrades() == []


@pytest.mark.parametrize("data", [True, False])
@on_loop
async def test_the_server_is_lost_and_found(ib: Peer, tws: Control, data: bool) -> None:
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.bid == 185.10)
    trade = await ib.sent(limit())
    tws.do_lose()
    await until(lambda: ib.codes() == [1100])
    tws.do_fill(trade.orderStatus.permId, 100)
    later = ib.send(limit(orderRef="later"))
    tws.do_quote("IBM", "185.00", "185.20")
    await ib.settled()
    assert (trade.orderStatus.status, statuses(later), ticker.bid) == ("Submitted", ["PendingSubmit"], 185.10)
    assert ib.positions() == []
    tws.do_regain(data)
    await until(lambda: ib.codes() == [1100, 1102 if data else 1101])
    await until(lambda: trade.orderStatus.status == "Filled" and later.orderStatus.status == "Submitted")
    assert [position.position for position in ib.positions()] == [100]
    tws.do_quote("IBM", "185.01", "185.20")
    await ib.settled()
    assert ticker.bid == (185.01 if data else 185.10)
    assert tws.do_status()["ticks"] == (["IBM"] if data else [])


@on_loop
async def test_farms(ib: Peer, tws: Control) -> None:
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.bid == 185.10)
    tws.do_farm(ok=False)
    tws.do_farm(ok=False, history=True)
    await until(lambda: ib.codes() == [2103, 2105])
    tws.do_quote("IBM", "185.00", "185.20")
    await ib.settled()
    assert ticker.bid == 185.10
    tws.do_farm(ok=True)
    tws.do_farm(ok=True, history=True)
    tws.do_quote("IBM", "185.01", "185.20")
    await until(lambda: ticker.bid == 185.01)
    assert [code for _, code, _ in ib.errors[-2:]] == [2104, 2106]


@on_loop
async def test_orders_that_are_muted(ib: Peer, tws: Control) -> None:
    tws.do_mute("orders")
    trade = ib.send(market())
    await ib.settled()
    assert statuses(trade) == ["PendingSubmit"]
    tws.do_mute("accounts")
    tws.do_unmute()
    assert len(await ib.reqExecutionsAsync()) == 1


@on_loop
async def test_any_error_and_any_message(ib: Peer, tws: Control) -> None:
    tws.do_error(2103)
    tws.do_error(1300, "the port has changed")
    tws.do_send([4, 2, -1, 9999, "anything", ""])
    await until(lambda: ib.codes() == [2103, 1300, 9999])


@pytest.mark.parametrize("seed", ["1", "2", "3"])
@on_loop
async def test_after_all_that_a_client_can_find_out_what_is_true(make: Callable[..., Control], seed: str) -> None:
    tws = make(seed=seed)
    tws.do_quote("IBM", "185.10", "185.20", bid_size=9000, ask_size=9000)
    for name in ("lost_ack", "lost_order", "dropped_link", "duplicated_fill", "late_fill", "reordered_fills"):
        tws.do_fault(name, count=None, chance=0.1)
    for name in ("code_10349", "cancel_race", "fill_after_cancel", "rejected_replace", "corrected_fill"):
        tws.do_fault(name, count=None, chance=0.1)
    ib = Peer(tws.emulator.port)
    fate: dict[str, Trade] = {}
    try:
        await ib.begin()
        for number in range(60):
            if not ib.isConnected():
                await until(lambda: not tws.emulator.links)
                await ib.begin()
            ref = f"{seed}-{number}"
            fate[ref] = ib.send(limit(price=185.20 if number % 2 else 185.15, quantity=10, orderRef=ref))
            if number % 3 == 0:
                ib.cancelOrder(fate[ref].order)
            tws.emulator.reactor.advance(0.3)
            await asyncio.wait([asyncio.ensure_future(ib.settled())], timeout=1)
        tws.do_clear()
        tws.emulator.reactor.advance(10)
        ib.disconnect()
        await until(lambda: not tws.emulator.links)
        again = await Peer(tws.emulator.port).begin()
        fills = {fill.execution.execId: fill.execution.shares for fill in await again.reqExecutionsAsync()}
        assert fills == {each["id"]: float(each["size"]) for each in tws.do_executions()}
        net = sum(position.position for position in again.positions())
        assert net == sum(fills.values()) == float(tws.do_net()["DU1234567"]["IBM"])
        live = {trade.order.orderRef for trade in again.openTrades()}
        done = {trade.order.orderRef for trade in await again.reqCompletedOrdersAsync(False)}
        assert live == {order["ref"] for order in tws.do_orders() if order["status"] == "Submitted"}
        assert live.isdisjoint(done)
        assert live | done == {order["ref"] for order in tws.do_orders()} < set(fate), "some have never arrived"
        again.disconnect()
    finally:
        ib.disconnect()
    assert tws.emulator.violations == []
