"""Contracts, ticks and bars of the emulated TWS, as the released ib_async asks for them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from ib_async import Contract, ContractDetails, Crypto, Forex, Future, Option, Order, Stock

from tests.emulators.loops import on_loop, until
from tests.emulators.test_tws.peer import IBM, Peer, limit, market, passes
from tests.emulators.tws.control import Control

EASTERN = ZoneInfo("US/Eastern")


async def one(ib: Peer, contract: Contract) -> ContractDetails:
    (found,) = await ib.reqContractDetailsAsync(contract)
    return found


# -------------------------------------------------------------------- contracts


@on_loop
async def test_a_stock(ib: Peer) -> None:
    found = await one(ib, Stock("IBM", "SMART", "USD"))
    assert (found.contract.conId, found.contract.primaryExchange, found.minTick) == (8314, "NYSE", 0.01)
    assert (found.longName, found.stockType, found.validExchanges) == (
        "INTL BUSINESS MACHINES CORP",
        "COMMON",
        "SMART,NYSE",
    )
    assert found.liquidHours.startswith("20260304:0930-20260304:1600;")
    assert (found.minSize, found.sizeIncrement) == (1, 1)
    assert (await one(ib, Contract(conId=8314))).contract.symbol == "IBM"


@on_loop
async def test_the_primary_exchange_tells_two_of_one_name_apart(ib: Peer) -> None:
    assert await ib.qualifyContractsAsync(Stock("TWIN", "SMART", "USD")) == [None]
    found = await ib.reqContractDetailsAsync(Stock("TWIN", "SMART", "USD"))
    assert {each.contract.primaryExchange for each in found} == {"NYSE", "AMEX"}
    (chosen,) = await ib.qualifyContractsAsync(Stock("TWIN", "SMART", "USD", primaryExchange="AMEX"))
    assert chosen.conId == 900000002
    found = await ib.reqContractDetailsAsync(Stock("IBM"))
    assert {each.contract.currency for each in found} == {"USD", "MXN"}


@on_loop
async def test_futures(ib: Peer) -> None:
    found = await ib.reqContractDetailsAsync(Future("ES", exchange="CME"))
    assert [each.contract.localSymbol for each in found] == ["ESH6", "ESM6", "ESU6", "ESZ6", "ESH7", "ESM7"]
    december = await one(ib, Future("ES", "202612", "CME"))
    assert december.contract.lastTradeDateOrContractMonth == "20261218"
    assert (december.contract.multiplier, december.minTick, december.timeZoneId) == ("50", 0.25, "US/Central")
    assert (await one(ib, Future(localSymbol="ESZ6", exchange="CME"))).contract.conId == december.contract.conId
    gone = Future("ES", "202512", "CME")
    with pytest.raises(Exception, match="No security definition"):
        await ib.reqContractDetailsAsync(gone)
    gone.includeExpired = True
    assert (await one(ib, gone)).contract.localSymbol == "ESZ5"
    front = await one(ib, Contract(secType="CONTFUT", symbol="ES", exchange="CME"))
    assert (front.contract.localSymbol, front.contract.secType) == ("ESH6", "CONTFUT")


@on_loop
async def test_options_and_their_parameters(ib: Peer) -> None:
    found = await one(ib, Option("AAPL", "20260320", 170, "C", "SMART"))
    assert (found.contract.localSymbol, found.contract.multiplier) == ("AAPL  260320C00170000", "100")
    chains = await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", 265598)
    assert {chain.exchange for chain in chains} == {"SMART", "CBOE"}
    assert chains[0].expirations[0] == "20260320"
    assert 170 in chains[0].strikes
    chain = await ib.reqContractDetailsAsync(Option("AAPL", "202603", right="C", exchange="SMART"))
    assert len(chain) == len(chains[0].strikes)


@on_loop
async def test_currency_pairs_and_crypto(ib: Peer) -> None:
    pair = await one(ib, Forex("EURUSD"))
    assert (pair.contract.conId, pair.minTick, pair.contract.localSymbol) == (12087792, 0.00005, "EUR.USD")
    coin = await one(ib, Crypto("BTC", "PAXOS", "USD"))
    assert (coin.contract.conId, coin.sizeIncrement) == (479624278, 1e-8)


@on_loop
async def test_searching_and_what_is_small(ib: Peer) -> None:
    found = await ib.reqMatchingSymbolsAsync("MICRO")
    assert [each.contract.symbol for each in found] == ["MSFT"]
    (rule,) = await ib.reqMarketRuleAsync(25000)
    assert rule.increment == 0.25
    assert await ib.reqMktDepthExchangesAsync() == []
    assert await ib.reqNewsProvidersAsync() == []
    await ib.reqUserInfoAsync()
    now = await ib.reqCurrentTimeAsync()
    assert now.replace(second=0, microsecond=0) == datetime(2026, 3, 4, 16, 0, tzinfo=UTC)


# -------------------------------------------------------------------- ticks


@on_loop
async def test_ticks(ib: Peer, tws: Control) -> None:
    ticker = ib.reqMktData(IBM, "233")
    await until(lambda: ticker.close == ticker.close and ticker.volume == ticker.volume)
    assert (ticker.bid, ticker.bidSize, ticker.ask, ticker.askSize) == (185.10, 1000, 185.20, 1000)
    assert (ticker.last, ticker.lastSize, ticker.marketDataType, ticker.minTick) == (185.15, 100, 1, 0.01)
    assert (ticker.halted, ticker.lastTimestamp.date()) == (0, date(2026, 3, 4))
    volume = ticker.volume
    tws.do_trade("IBM", "185.15", 300)
    await until(lambda: ticker.volume == volume + 300)
    assert (ticker.lastSize, ticker.rtVolume) == (300, volume + 300)
    tws.do_quote("IBM", "185.10", "185.20", bid_size=0, ask_size=7)
    await until(lambda: ticker.askSize == 7)
    assert (ticker.bid, ticker.bidSize) == (-1, 0)
    ib.cancelMktData(IBM)
    await ib.settled()
    tws.do_quote("IBM", "185.00", "185.30")
    await ib.settled()
    assert ticker.ask == 185.20


@on_loop
async def test_our_own_fills_are_seen(ib: Peer, tws: Control) -> None:
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.last == 185.15)
    await ib.sent(market(), "Filled")
    await until(lambda: ticker.last == 185.20 and ticker.askSize == 900)


@on_loop
async def test_a_snapshot_ends(ib: Peer, tws: Control) -> None:
    (ticker,) = await ib.reqTickersAsync(IBM)
    assert (ticker.bid, ticker.ask) == (185.10, 185.20)
    assert tws.do_status()["ticks"] == []


@on_loop
async def test_a_snapshot_waits_eleven_seconds_for_what_there_is_not(ib: Peer, tws: Control) -> None:
    tws.do_untraded("IBM")
    tws.do_quote("IBM", "185.10", "185.20", bid_size=0)
    ended: list[int] = []
    ib.wrapper.tickSnapshotEnd = ended.append
    ticker = ib.reqMktData(IBM, snapshot=True)
    await until(lambda: ticker.close == ticker.close and ticker.ask == 185.20)
    assert (math.isnan(ticker.last), math.isnan(ticker.open), ticker.lastTimestamp) == (True, True, None)
    tws.do_quote("IBM", "185.12", "185.30")
    await until(lambda: ticker.bid == 185.12)
    await ib.settled()
    assert ticker.ask == 185.20, "each tick is told once"
    await passes(tws, 10.9)
    await ib.settled()
    assert (ended, tws.do_status()["snapshots"]) == ([], ["IBM"])
    await passes(tws, 0.2)
    await until(lambda: ended)
    assert tws.do_status()["snapshots"] == []


@on_loop
async def test_a_snapshot_ends_at_once_when_all_is_shown(ib: Peer, tws: Control) -> None:
    tws.do_untraded("IBM")
    ended: list[int] = []
    ib.wrapper.tickSnapshotEnd = ended.append
    ticker = ib.reqMktData(IBM, snapshot=True)
    await until(lambda: ticker.close == ticker.close)
    await ib.settled()
    assert ended == []
    tws.do_trade("IBM", "185.15")
    await until(lambda: ended)
    assert (ticker.last, ticker.open, ticker.high, ticker.low) == (185.15, 185.15, 185.15, 185.15)


@on_loop
async def test_a_snapshot_beside_a_stream_of_the_same_contract(ib: Peer, tws: Control) -> None:
    number = ib.client.getReqId()
    ib.client.reqMktData(number, IBM, "", False, False, [])
    ended: list[int] = []
    ib.wrapper.tickSnapshotEnd = ended.append
    ib.client.reqMktData(number + 1, IBM, "", True, False, [])
    await until(lambda: ended == [number + 1])
    assert (tws.do_status()["ticks"], tws.do_status()["snapshots"]) == (["IBM"], [])
    ib.client.cancelMktData(number + 1)
    await until(lambda: 300 in ib.codes())
    ib.client.reqMktData(number + 2, IBM, "233", True, False, [])
    await until(lambda: 321 in ib.codes())
    assert "not applicable to generic ticks" in ib.errors[-1][2]


@on_loop
async def test_snapshots_without_a_subscription_to_the_data(ib: Peer, tws: Control) -> None:
    tws.do_subscribed("IBM", False)
    ib.client.reqMktData(501, IBM, "", True, False, [])
    await until(lambda: 354 in ib.codes())
    tws.do_subscribed("IBM", False, code=10089)
    ib.client.reqMktData(502, IBM, "", True, False, [])
    await until(lambda: 10089 in ib.codes())
    with pytest.raises(ValueError, match="354 or 10089"):
        tws.do_subscribed("IBM", False, code=1)
    ib.reqMarketDataType(3)
    ticker = ib.reqMktData(IBM, snapshot=True)
    await until(lambda: ticker.last == 185.15)
    assert (ticker.marketDataType, 10167 in ib.codes()) == (3, True)
    tws.do_subscribed("IBM", True)
    assert tws.do_status()["snapshots"] == []


@on_loop
async def test_what_was_not_traded_triggers_no_stop(ib: Peer, tws: Control) -> None:
    stop = await ib.sent(
        Order(action="SELL", orderType="STP", totalQuantity=10, auxPrice=150, tif="DAY"), "PreSubmitted"
    )
    tws.do_untraded("IBM")
    tws.do_quote("IBM", "185.00", "185.30")
    await ib.settled()
    assert stop.orderStatus.status == "PreSubmitted"
    tws.do_trade("IBM", "149")
    await until(lambda: stop.orderStatus.status == "Filled")


@on_loop
async def test_a_pair_has_no_trades(ib: Peer, tws: Control) -> None:
    (pair,) = await ib.qualifyContractsAsync(Forex("EURUSD"))
    tws.do_quote("EUR.USD", "1.09000", "1.09005", 1000000, 1000000)
    ticker = ib.reqMktData(pair)
    await until(lambda: ticker.ask == 1.09005)
    await ib.settled()
    assert math.isnan(ticker.last)
    stop = await ib.sent(limit(price=1.08, quantity=20000), contract=pair)
    tws.do_quote("EUR.USD", "1.07990", "1.08000", 1000000, 1000000)
    await until(lambda: stop.orderStatus.status == "Filled")


@on_loop
async def test_what_moves_by_itself(ib: Peer, tws: Control) -> None:
    tws.do_free("IBM")
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.bid == 185.10)
    tws.do_tick()
    await until(lambda: ticker.bid != 185.10)
    assert 0 < ticker.ask - ticker.bid < 0.1


@on_loop
async def test_delayed_data(ib: Peer, tws: Control) -> None:
    tws.do_subscribed("IBM", False)
    ib.reqMktData(IBM)
    await until(lambda: ib.codes() == [354])
    ib.reqMarketDataType(3)
    ticker = ib.reqMktData(IBM)
    await until(lambda: ticker.bid == 185.10)
    assert (ticker.marketDataType, ib.codes()) == (3, [354, 10167])
    tws.do_subscribed("IBM", True)


@on_loop
async def test_ticks_that_are_refused(ib: Peer, tws: Control) -> None:
    ib.client.reqMktData(900, Stock("NOSUCH", "SMART", "USD"), "", False, False, [])
    ib.client.reqMktData(901, Stock("TWIN", "SMART", "USD"), "", False, False, [])
    ib.client.cancelMktData(902)
    ib.client.reqMktData(903, IBM, "", False, False, [])
    ib.client.reqMktData(903, IBM, "", False, False, [])
    ib.client.reqMktDepth(904, IBM, 5, False, [])
    await until(lambda: ib.codes() == [200, 200, 300, 102, 322])


@on_loop
async def test_tick_by_tick(ib: Peer, tws: Control) -> None:
    last, quotes = ib.reqTickByTickData(IBM, "Last"), ib.reqTickByTickData(IBM, "BidAsk")
    assert last is quotes
    seen: list[tuple[object, ...]] = []
    last.updateEvent += lambda ticker: seen.extend(ticker.tickByTicks)
    await ib.settled()
    seen.clear()
    tws.do_trade("IBM", "185.17", 200)
    tws.do_quote("IBM", "185.16", "185.18")
    await until(lambda: len(seen) >= 3)
    assert (185.17, 200) in [(tick.price, tick.size) for tick in seen if hasattr(tick, "price")]  # type: ignore[attr-defined]
    assert (185.16, 185.18) in [(t.bidPrice, t.askPrice) for t in seen if hasattr(t, "bidPrice")]  # type: ignore[attr-defined]
    ib.cancelTickByTickData(IBM, "Last")


# -------------------------------------------------------------------- bars


@on_loop
async def test_bars(ib: Peer, tws: Control) -> None:
    hours = await ib.reqHistoricalDataAsync(IBM, "", "2 D", "1 hour", "TRADES", True)
    assert hours[0].date == datetime(2026, 3, 3, 9, 30, tzinfo=EASTERN)
    assert hours[-1].date == datetime(2026, 3, 4, 10, 30, tzinfo=EASTERN)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in hours)
    wide = await ib.reqHistoricalDataAsync(IBM, "", "1 D", "1 hour", "TRADES", False)
    assert wide[0].date == datetime(2026, 3, 4, 4, 0, tzinfo=EASTERN)
    epoch = await ib.reqHistoricalDataAsync(IBM, "", "1 D", "30 mins", "TRADES", True, formatDate=2)
    assert epoch[0].date == datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
    days = await ib.reqHistoricalDataAsync(IBM, "", "1 M", "1 day", "TRADES", True)
    assert days[-1].date == date(2026, 3, 4)
    assert len(days) in (21, 22, 23)
    months = await ib.reqHistoricalDataAsync(IBM, "", "1 Y", "1 month", "TRADES", True)
    assert months[-1].date == date(2026, 3, 1)
    end = datetime(2026, 2, 27, 16, 0, tzinfo=EASTERN)
    before = await ib.reqHistoricalDataAsync(IBM, end, "1800 S", "5 mins", "MIDPOINT", True)
    assert [bar.date.minute for bar in before] == [30, 35, 40, 45, 50, 55]
    assert before[0].volume == -1


@on_loop
async def test_the_same_bars_are_the_same(ib: Peer, tws: Control) -> None:
    tws.do_pacing(False)
    end = datetime(2026, 2, 27, 16, 0, tzinfo=EASTERN)
    ask = (IBM, end, "1 D", "5 mins", "TRADES", True)
    assert list(await ib.reqHistoricalDataAsync(*ask)) == list(await ib.reqHistoricalDataAsync(*ask))


@on_loop
async def test_pacing(ib: Peer, tws: Control) -> None:
    ask = (IBM, "", "1 D", "1 hour", "TRADES", True)
    await ib.reqHistoricalDataAsync(*ask)
    with pytest.raises(Exception, match="pacing violation"):
        await ib.reqHistoricalDataAsync(*ask)
    tws.emulator.reactor.advance(15)
    assert await ib.reqHistoricalDataAsync(*ask)
    tws.emulator.pacing.forget()
    sizes = ("1 hour", "30 mins", "20 mins", "15 mins", "10 mins")
    for size in sizes:
        await ib.reqHistoricalDataAsync(IBM, "", "1 D", size, "TRADES", True)
    with pytest.raises(Exception, match="pacing violation"):
        await ib.reqHistoricalDataAsync(IBM, "", "1 D", "5 mins", "TRADES", True)
    tws.emulator.pacing.forget()
    tws.do_fault("pacing")
    with pytest.raises(Exception, match="pacing violation"):
        await ib.reqHistoricalDataAsync(*ask)
    assert ib.codes() == [162, 162, 162]


@on_loop
async def test_bars_that_are_refused(ib: Peer, tws: Control) -> None:
    async def code(contract: Contract, *arguments: object) -> int:
        before = len(ib.errors)
        ib.client.reqHistoricalData(ib.client.getReqId(), contract, *arguments, 1, False, [])
        await until(lambda: len(ib.errors) > before)
        return ib.errors[-1][1]

    assert await code(IBM, "", "1 D", "7 mins", "TRADES", True) == 321
    assert await code(IBM, "", "1 D", "5 mins", "NONSENSE", True) == 321
    assert await code(IBM, "", "D", "5 mins", "TRADES", True) == 321
    assert await code(IBM, "", "90000 S", "5 mins", "TRADES", True) == 321
    assert await code(IBM, "yesterday", "1 D", "5 mins", "TRADES", True) == 321
    assert await code(Stock("NOSUCH", "SMART", "USD"), "", "1 D", "5 mins", "TRADES", True) == 200
    (pair,) = await ib.qualifyContractsAsync(Forex("EURUSD"))
    assert await code(pair, "", "1 D", "5 mins", "TRADES", True) == 162
    assert await code(IBM, "20260301 12:00:00 US/Eastern", "3600 S", "5 mins", "TRADES", True) == 162


@on_loop
async def test_bars_that_are_kept_up(ib: Peer, tws: Control) -> None:
    bars = await ib.reqHistoricalDataAsync(IBM, "", "3600 S", "1 min", "TRADES", True, keepUpToDate=True)
    heard: list[bool] = []
    bars.updateEvent += lambda _bars, new: heard.append(new)
    tws.emulator.reactor.advance(60)
    tws.do_trade("IBM", "185.16")
    await until(lambda: heard)
    assert heard == [True]
    ib.cancelHistoricalData(bars)


@on_loop
async def test_sessions(ib: Peer) -> None:
    found = await ib.reqHistoricalScheduleAsync(IBM, 3)
    assert [each.refDate for each in found.sessions] == ["20260302", "20260303", "20260304"]
    assert (found.sessions[0].startDateTime, found.timeZone) == ("20260302-09:30:00", "US/Eastern")
    details = await one(ib, IBM)
    assert details.liquidHours.split(";")[3] == "20260307:CLOSED"


@on_loop
async def test_what_there_is_not_is_refused_at_once(ib: Peer) -> None:
    with pytest.raises(Exception, match="not available here"):
        await ib.reqHistoricalTicksAsync(IBM, "20260304 10:00:00 US/Eastern", "", 10, "TRADES", True)
    with pytest.raises(Exception, match="not available here"):
        await ib.reqHistogramDataAsync(IBM, True, "1 day")
    with pytest.raises(Exception, match="not available here"):
        await ib.reqFundamentalDataAsync(IBM, "ReportSnapshot")
    ib.reqRealTimeBars(IBM, 5, "TRADES", True)
    await until(lambda: ib.codes() == [322] * 4)


@on_loop
async def test_how_far_back_bars_go(ib: Peer) -> None:
    first = await ib.reqHeadTimeStampAsync(IBM, "TRADES", True, 1)
    assert first.year == 2016
