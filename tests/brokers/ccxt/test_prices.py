"""Last prices of several pairs: whom one request asks about, what a refused pair costs, who gives way to whom."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as D
from typing import Any

import ccxt
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.brokers.ccxt.test_market import Hall, Make, make
from txgateway.brokers import Can
from txgateway.brokers.ccxt import exchange, feeds, prices
from txgateway.brokers.ccxt.feeds import TABLE, Last
from txgateway.brokers.ccxt.frames import moment
from txgateway.brokers.ccxt.limits import Pools, Request
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import Reason, Refused, TimedOut

__all__ = ["make"]
BTC, GONE = "BTC/USDT", "GONE/USDT"


async def asked(hall: Hall, *symbols: str) -> dict[str, D]:
    """The prices by pair, in their order."""
    return {each.symbol: each.price for each in await hall.broker.last_prices(symbols)}


def add_gone(hall: Hall, symbol: str, gone: str) -> None:
    """A pair that the exchange has ended since its rules were read."""
    known = hall.market._exchange.markets
    name = known[symbol]["id"].replace(known[symbol]["base"], "GONE")
    known[gone] = {**known[symbol], "id": name, "symbol": gone, "base": "GONE"}


def counted(hall: Hall, word: str) -> int:
    """How often the exchange was asked for something."""
    return sum(count for what, count in hall.subject.emulator.counts.items() if word in what)


@pytest_twisted.ensureDeferred
async def test_a_pair_that_is_refused_by_name_keeps_no_other_from_its_price(make: Make) -> None:
    hall = await make("binance")
    add_gone(hall, BTC, GONE)
    before = counted(hall, "ticker/price")
    assert await asked(hall, GONE, BTC) == {BTC: D(50005)}
    assert counted(hall, "ticker/price") == before + 2


@pytest_twisted.ensureDeferred
async def test_tickers_that_are_refused_by_name_are_asked_for_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = await make("coinbase")
    fetch = hall.market._exchange.fetch_tickers

    async def refused(symbols: Any = None) -> Any:
        if symbols is not None:
            raise ccxt.BadSymbol("one of them is unknown")
        return await fetch()

    monkeypatch.setattr(hall.market._exchange, "fetch_tickers", refused)
    assert await asked(hall, "BTC/USD") == {"BTC/USD": D(50005)}


@pytest_twisted.ensureDeferred
async def test_a_pair_that_is_refused_alone_keeps_no_other_from_its_price(make: Make) -> None:
    hall = await make("coinbaseexchange")
    add_gone(hall, "BTC/USD", "GONE/USD")
    assert await asked(hall, "GONE/USD", "BTC/USD") == {"BTC/USD": D(50005)}


@pytest_twisted.ensureDeferred
async def test_a_pair_that_was_never_traded_has_no_last_price(make: Make) -> None:
    hall = await make("woo")
    assert await asked(hall, "ETH/USDT", BTC) == {BTC: D(50005)}


@pytest_twisted.ensureDeferred
async def test_the_time_is_that_of_the_trade(make: Make) -> None:
    for name in ("binanceusdm", "woo", "coinbaseexchange"):
        hall = await make(name)
        (last,) = await hall.broker.last_prices([hall.symbol])
        (trade,) = await hall.market._ask(hall.market._exchange.fetch_trades(hall.symbol, None, 1))
        assert (last.price, last.time) == (D(50005), moment(trade["timestamp"]))


@pytest.mark.parametrize("last", [Last.TICKERS, Last.TRADES, Last.PRICES])
@pytest_twisted.ensureDeferred
async def test_an_exchange_that_is_in_no_table(make: Make, monkeypatch: pytest.MonkeyPatch, last: Last) -> None:
    names = {Last.TICKERS: "fetchTickers", Last.TRADES: "fetchTrades", Last.PRICES: "fetchLastPrices"}
    has: Mapping[str, Any] = {**exchange.has("binance"), **dict.fromkeys(names.values(), False), names[last]: True}
    monkeypatch.setattr(feeds, "TABLE", {})
    monkeypatch.setattr(exchange, "has", lambda name: has)
    hall = await make("binance")
    assert hall.market._row.last is last
    assert Can.LAST_PRICES in hall.broker.can
    assert await asked(hall, BTC) == {BTC: D(50005)}


def test_an_exchange_that_tells_no_prices_claims_none() -> None:
    assert Can.LAST_PRICES not in feeds.generic({}).can


@pytest_twisted.ensureDeferred
async def test_what_does_not_answer_is_not_asked_about_the_rest(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "AT_ONCE", 1)
    hall = await make("coinbaseexchange")
    tried: list[str] = []

    async def silent(symbol: str, *more: Any) -> Any:
        tried.append(symbol)
        raise ccxt.RequestTimeout("it took too long")

    monkeypatch.setattr(hall.market._exchange, "fetch_trades", silent)
    symbols = [each.symbol for each in await hall.broker.instruments()]
    assert len(symbols) > 2
    with pytest.raises(TimedOut, match="did not answer"):
        await hall.broker.last_prices(symbols)
    assert tried == symbols[:1]
    await hall.until(lambda: hall.market._prices._turns.tokens == 1, "the next list has its turn")
    assert tried == symbols[:1]


@pytest_twisted.ensureDeferred
async def test_a_list_that_is_given_up_asks_no_more(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = await make("coinbaseexchange")
    tried: list[str] = []

    async def hanging(symbol: str, *more: Any) -> Any:
        tried.append(symbol)
        await Deferred().asFuture(hall.market._exchange.asyncio_loop)

    monkeypatch.setattr(hall.market._exchange, "fetch_trades", hanging)
    symbols = [each.symbol for each in await hall.broker.instruments()]
    lists = [Deferred.fromCoroutine(hall.broker.last_prices(symbols)) for _ in range(5)]
    await hall.until(lambda: len(tried) == prices.AT_ONCE, "as many are asked about as may be at a time")
    for each in lists:
        each.addErrback(lambda failure: None)
        each.cancel()
    monkeypatch.undo()
    assert await asked(hall, "BTC/USD") == {"BTC/USD": D(50005)}
    assert len(tried) == prices.AT_ONCE


@pytest_twisted.ensureDeferred
async def test_an_answer_that_cannot_be_read_is_an_error_and_no_price(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await make("binance")
    for odd in ({BTC: {"price": "NaN"}}, {BTC: {"price": "0"}}, {BTC: {"price": None}}, {BTC: None}, {}):

        async def strange(*arguments: Any, odd: Any = odd) -> Any:
            return odd

        monkeypatch.setattr(hall.market._exchange, "fetch_last_prices", strange)
        assert await asked(hall, BTC) == {}


@pytest_twisted.ensureDeferred
async def test_while_it_is_not_connected_it_is_refused(make: Make) -> None:
    hall = await make("binance")
    await hall.broker.stopService()
    with pytest.raises(Refused) as caught:
        await hall.broker.last_prices([BTC])
    assert caught.value.reason is Reason.VENUE_DOWN


@pytest.mark.parametrize("name", ["binance", "binanceusdm", "coinbase", "coinbaseexchange", "woo"])
@pytest_twisted.ensureDeferred
async def test_they_give_way_to_orders(make: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    hall = await make(name)
    session = hall.broker._session
    seen: list[Request] = []
    admit = session.admit

    async def admitted(request: Request) -> float:
        seen.append(request)
        return float(await admit(request))

    monkeypatch.setattr(session, "admit", admitted)
    await hall.broker.last_prices([hall.symbol])
    assert [each.is_patient for each in seen] == [True]
    trial = Trial.__new__(Trial)  # its orders alone are wanted
    vars(trial).update(subject=hall.subject, told=hall.told, broker=hall.broker, _numbers=iter(range(9)), _run="ABCDE")
    await hall.broker.submit(trial.order())
    assert [each.is_patient for each in seen if each.is_order] == [False]


def test_what_is_patient_leaves_a_part_of_each_limit() -> None:
    pools = Pools(TABLE["woo"].pools)
    patient, other = Request(is_patient=True), Request()
    sent = 0
    while pools.wait(patient, 1000.0) == 0:
        pools.charge(patient, 1000.0)
        sent += 1
    assert 10 <= sent < 15
    assert pools.wait(other, 1000.0) == 0
    assert 0 < pools.wait(patient, 1000.5) <= 0.6


@pytest.mark.parametrize(
    "name", [name for name, row in TABLE.items() if row.last is Last.TRADES or not row.spot_tickers]
)
def test_a_hundred_pairs_one_by_one_are_told_in_time(name: str) -> None:
    """Less than the fifteen seconds that a question has, on a venue that has nothing else to do."""
    pools, now = Pools(TABLE[name].pools), 1000.0
    for _ in range(100):
        now += pools.wait(Request(is_patient=True), now)
        pools.charge(Request(is_patient=True), now)
    assert now < 1014.5
