"""The emulated TWS as a process of its own: its command line, its controls on a port and on standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import Peer, limit, market
from tests.emulators.tws.control import Control
from tests.emulators.tws.process import Tws


@pytest.fixture
def process() -> Iterator[Tws]:
    tws = Tws("--tick", "0", "--begins", "2026-03-04T11:00:00", "--account", "DU7").start()
    yield tws
    tws.end()


@on_loop
async def test_it_trades_and_comes_back(process: Tws) -> None:
    process.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    ib = await Peer(process.port).begin()
    try:
        assert ib.managedAccounts() == ["DU7"]
        await ib.sent(market(orderRef="a"), "Filled")
        assert process.do("net") == {"DU7": {"IBM": "100"}}
        assert process.do("status")["clients"] == [1]
        process.kill()
        await until(lambda: not ib.isConnected())
        process.start()
        await ib.begin()
        assert process.do("orders") == [], "it remembers a restart, not its death"
    finally:
        ib.disconnect()


def test_help_names_every_command_and_every_fault(tws: Control) -> None:
    helped = tws.do_help()
    assert set(helped) == set(Control.names())
    assert all(": " in text and "None: None" not in text for text in helped.values())
    assert "lost_ack" in tws.do_faults()["there are"]
    tws.do_fault("lost_ack", count=3)
    assert tws.do_faults()["set"][0]["count"] == 3
    tws.do_clear()
    assert tws.do_faults()["set"] == []


@on_loop
async def test_reset_is_as_at_the_start(ib: Peer, tws: Control, peer: Callable[[], Peer]) -> None:
    await ib.sent(market(), "Filled")
    tws.do_fault("lost_ack")
    tws.do_mute()
    tws.do_close()
    tws.do_reset()
    await until(lambda: not ib.isConnected())
    assert (tws.do_orders(), tws.do_net(), tws.do_faults()["set"]) == ([], {"DU1234567": {}}, [])
    tws.do_quote("IBM", "185.10", "185.20")
    again = await peer().begin()
    await again.sent(market(), "Filled")
    tws.do_roll_back()
    assert tws.emulator.book.next_id(1) == 1


@on_loop
async def test_what_a_person_and_the_exchange_do(ib: Peer, tws: Control) -> None:
    first, then = await ib.sent(limit(orderRef="a")), await ib.sent(limit(orderRef="b"))
    tws.do_kill("a", "delisted")
    tws.do_cancel(then.orderStatus.permId)
    await until(lambda: first.orderStatus.status == then.orderStatus.status == "Cancelled")
    assert next(text for _, code, text in ib.errors if code == 202).endswith("delisted")
    assert tws.do_place("IBM", "BUY", 0) is None
    for wrong in ("nobody", 17):
        with pytest.raises(ValueError, match="no order"):
            tws.do_fill(wrong, 1)
    with pytest.raises(ValueError, match="no contract"):
        tws.do_quote("NOSUCH", 1, 2)
    with pytest.raises(ValueError, match="unknown: nonsense"):
        tws.do_place("IBM", "BUY", 1, nonsense=1)
    with pytest.raises(ValueError, match="is Cancelled"):
        tws.do_fill("a", 1)
    with pytest.raises(ValueError, match="ticks, orders or accounts"):
        tws.do_mute("all")
    tws.do_latency(5)
    slow = ib.send(limit())
    await until(lambda: slow.orderStatus.status == "PreSubmitted")
    tws.emulator.reactor.advance(5)
    await until(lambda: slow.orderStatus.status == "Submitted")
    ib.cancelOrder(slow.order)
    await ib.settled()
    assert slow.orderStatus.status == "PendingCancel"
    tws.do_fill(slow.orderStatus.permId, 100)
    tws.emulator.reactor.advance(5)
    await until(lambda: slow.orderStatus.status == "Filled")
