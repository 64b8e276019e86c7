"""The emulated Binance as a process of its own: its command line, its controls on a port and on standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.emulators.binance.server import Binance, BinanceControl
from tests.emulators.crypto.process import Process
from tests.emulators.crypto.server import Options
from tests.emulators.loops import on_loop, until
from tests.emulators.test_binance.peer import Peer


@pytest.fixture
def process() -> Iterator[Process]:
    binance = Process("binance", "--tick", "0", "--key", "A:k:s", "--balance", "spot:USDT:100").start()
    yield binance
    binance.end()


@on_loop
async def test_it_trades_and_comes_back(process: Process, peers: Callable[..., Peer]) -> None:
    peer = peers(process.port, "k", "s")
    process.do("quote", symbol="BTC-USDT", bid="49999", ask="50000")
    assert (await peer.order("0.001"))["status"] == "FILLED"
    assert process.do("balances")["spot"] == {"USDT": ["50.00000", "0"], "BTC": ["0.00099900", "0"]}
    process.kill()
    process.start()
    assert await peer.get("/api/v3/ping") == {}
    assert process.do("orders") == [], "it remembers a restart, not its death"


def test_help_names_every_command_and_every_fault(binance: BinanceControl) -> None:
    helped = binance.do_help()
    assert set(helped) == set(BinanceControl.names())
    assert all(": " in text and "None: None" not in text for text in helped.values())
    assert "lost_ack" in binance.do_faults()["there are"]
    binance.do_fault("lost_ack", count=3, symbol="BTCUSDT")
    assert binance.do_faults()["set"][0]["symbol"] == "BTC-USDT"
    binance.do_clear()
    assert binance.do_faults()["set"] == []


@on_loop
async def test_what_a_person_and_the_exchange_do(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    futures = await peer.futures_user()
    number = binance.do_place("BTC-USDT", "BUY", "0.1", "LIMIT", limit=49000)
    assert (await ears.event("executionReport", x="NEW"))["o"] == "LIMIT"
    binance.do_cancel(number)
    assert (await ears.event("executionReport", x="CANCELED"))["c"] == f"web_{number}"
    binance.do_kill(binance.do_place("BTC-USDT", "BUY", "0.1", "LIMIT", limit=49000))
    await ears.event("executionReport", x="EXPIRED")
    binance.do_place("BTC-USDT-PERP", "BUY", "0.1", "STOP_LIMIT", stop=51000, limit=52000)
    assert (await futures.event("ALGO_UPDATE"))["o"] == "STOP"
    for wrong in ("nobody", 17):
        with pytest.raises(ValueError, match="no order"):
            binance.do_fill(wrong, 1)
    with pytest.raises(ValueError, match="no instrument"):
        binance.do_quote("NOSUCH", 1, 2)
    with pytest.raises(ValueError, match="EXPIRED"):
        binance.do_kill(number, "FILLED")
    with pytest.raises(ValueError, match="below the ask"):
        binance.do_quote("BTC-USDT", 2, 1)
    with pytest.raises(ValueError, match="market, orders or accounts"):
        binance.do_mute("all")
    with pytest.raises(ValueError, match="no account"):
        binance.do_balances("nobody")
    nothing = '{"do": "place", "symbol": "BTC-USDT", "side": "BUY", "quantity": "0"}'
    assert binance.obey(nothing)["error"].startswith("refused, least")


@on_loop
async def test_reset_is_as_at_the_start(binance: BinanceControl, peer: Peer) -> None:
    ears = await peer.user()
    await peer.order("1")
    binance.do_fault("lost_ack")
    binance.do_mute()
    binance.do_clock(50)
    binance.do_reset()
    await until(lambda: ears.socket.closed)
    assert (binance.do_orders(), binance.do_faults()["set"], binance.do_balances()["spot"]["BTC"]) == (
        [],
        [],
        ["10", "0"],
    )
    again = await peer.user()
    await peer.order("0.1")
    await again.event("executionReport", X="FILLED")
    assert binance.do_status()["requests"]["POST /api/v3/order"] == 1


@on_loop
async def test_it_may_end_before_it_has_begun(peers: Callable[..., Peer]) -> None:
    for _ in range(20):
        early = Binance(Options(tick=0))
        early.start()
        await early.stop()
        late = Binance(Options(tick=0))
        assert await peers(late.start()).get("/api/v3/ping") == {}
        await late.stop()


@on_loop
async def test_a_market_that_ticks(make: Callable[..., BinanceControl], peers: Callable[..., Peer]) -> None:
    control = make(tick=0.01)
    ears = await peers(control.emulator.port).ears("/ws/btcusdt@bookTicker/btcusdt@trade")
    await until(lambda: len(ears.heard) > 5 and ears.events("trade"))
    control.do_drop_links()
    await until(lambda: ears.socket.closed)
    assert control.do_instruments()[0]["name"] == "BTC-USDT"
