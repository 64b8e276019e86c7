"""The public side against emulated exchanges on real sockets: prices, books that lack something, bars, limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.brokers.ccxt.subject import SUBJECTS, Exchange
from txgateway.brokers import Can
from txgateway.brokers.ccxt import feeds
from txgateway.brokers.ccxt import market as market_module
from txgateway.brokers.ccxt.depth import Step
from txgateway.brokers.ccxt.public import Change
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import VenueError, VenueStatus, VenueStatusChanged
from txgateway.model.market import Depth, Period, Quote, Statistics, Trade, Unit
from txgateway.model.venue import EndpointApi, EndpointCall

PATIENCE = 20.0


class Hall:
    """One exchange with its broker, and all that was told."""

    def __init__(self, name: str, folder: Path, **options: Any) -> None:
        self.subject: Exchange = SUBJECTS[name](folder, **options)
        self.told: list[Any] = []
        self.broker: Any = self.subject.make(self.told.append)
        self.symbol = self.subject.symbol
        self.control = self.subject.control

    async def up(self) -> Hall:
        self.broker.startService()
        await self.until(lambda: self.statuses()[-1:] == [VenueStatus.RECONCILING], "it is connected")
        return self

    def statuses(self) -> list[VenueStatus]:
        return [each.status for each in self.told if isinstance(each, VenueStatusChanged)]

    def shown(self, kind: type) -> list[Any]:
        return [each for each in self.told if isinstance(each, kind)]

    async def until(self, condition: Callable[[], Any], why: str) -> Any:
        ends = reactor.seconds() + PATIENCE  # type: ignore[attr-defined]
        while not (found := condition()):
            assert reactor.seconds() < ends, f"waited in vain until {why}; told was {self.told[-5:]}"  # type: ignore[attr-defined]
            await deferLater(reactor, 0.005)
        return found

    def quote(self, bid: float, ask: float, size: float = 7) -> None:
        """Have the market show this."""
        self.control.do_quote(self.subject.pair, bid, ask, size, size)

    @property
    def market(self) -> Any:
        """The link's public side."""
        return self.broker._session.market

    async def close(self) -> None:
        stopped = self.broker.stopService()
        if stopped is not None:
            await stopped
        await self.subject.close()


Make = Callable[..., Awaitable[Hall]]


@pytest_twisted.async_yield_fixture()
async def make(tmp_path: Path) -> Any:
    """Opens halls, and closes them after the test."""
    halls: list[Hall] = []

    async def opened(name: str, **options: Any) -> Hall:
        halls.append(Hall(name, tmp_path / str(len(halls)), **options))
        return await halls[-1].up()

    yield opened
    for hall in halls:
        await hall.close()


EVERY = pytest.mark.parametrize("name", list(SUBJECTS))
NUMBERED = pytest.mark.parametrize("name", ["binance", "binanceusdm", "woo", "woo-swap"])


@EVERY
@pytest_twisted.ensureDeferred
async def test_a_pair_has_its_last_trade_when_its_first_quote_is_told(make: Make, name: str) -> None:
    """Whoever waits for the first quote never reads a price of nothing."""
    hall = await make(name)
    hall.broker.subscribe(hall.symbol)
    hall.quote(50001, 50003)
    await hall.until(lambda: hall.shown(Quote), "a quote is told")
    assert isinstance(next(each for each in hall.told if isinstance(each, Quote | Trade)), Trade)


@EVERY
@pytest_twisted.ensureDeferred
async def test_prices_come_as_they_change(make: Make, name: str) -> None:
    hall = await make(name)
    hall.broker.subscribe(hall.symbol)
    await hall.until(lambda: hall.shown(Quote) and hall.shown(Trade) and hall.shown(Statistics), "all is told once")
    await hall.until(lambda: not hall.market._busy, "nothing is asked any more")
    hall.quote(50001, 50012)
    await hall.until(lambda: hall.shown(Quote)[-1].ask == 50012, "the quote is told")
    quote = hall.shown(Quote)[-1]
    assert (quote.symbol, quote.bid, quote.bid_size) == (hall.symbol, D(50001), D(7))
    hall.control.do_trade(hall.subject.pair, 50007, 2)
    await hall.until(lambda: hall.shown(Trade)[-1].price == 50007, "the trade is told")
    assert all(isinstance(each.price, D) for each in hall.shown(Trade))
    figures = hall.shown(Statistics)[0]
    assert figures.low <= figures.open <= figures.high


@EVERY
@pytest_twisted.ensureDeferred
async def test_a_pair_is_listened_to_again(make: Make, name: str) -> None:
    hall = await make(name)
    for number in range(3):
        hall.broker.subscribe(hall.symbol)
        before = len(hall.shown(Quote))
        hall.quote(50001 + number, 50012 + number)
        last = 50012 + number
        await hall.until(lambda: len(hall.shown(Quote)) > before and hall.shown(Quote)[-1].ask == last, "it is told")  # noqa: B023
        hall.broker.unsubscribe(hall.symbol)


@NUMBERED
@pytest_twisted.ensureDeferred
async def test_a_book_that_lacks_a_change_is_made_anew(make: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = await make(name)
    hall.broker.subscribe(hall.symbol)
    hall.broker.subscribe_depth(hall.symbol)
    await hall.until(lambda: hall.shown(Depth), "the book is told")
    hall.quote(50002, 50013)
    await hall.until(lambda: hall.shown(Depth)[-1].asks[0].price == 50013, "the change is told")
    book = hall.market.books.kept[hall.symbol]
    await hall.until(lambda: not book.syncing, "no whole book is on its way, which would have what is lost")
    ladder = book.ladder
    taken, lost = ladder.take, []

    def take(change: Change) -> Any:
        if not lost:
            lost.append(change)
            return Step.WAITING
        return taken(change)

    monkeypatch.setattr(ladder, "take", take)
    gaps = book.gaps
    hall.quote(50003, 50014)
    await hall.until(lambda: lost, "a change is lost")
    hall.quote(50004, 50015)
    await hall.until(lambda: hall.shown(Depth)[-1].asks[0].price == 50015, "the book is whole again")
    assert book.gaps > gaps
    bid, ask = hall.shown(Depth)[-1].bids, hall.shown(Depth)[-1].asks
    assert bid[0].price == 50004
    asked = await hall.broker.depth(hall.symbol, 1000)
    assert (bid, ask) == (asked.bids[: len(bid)], asked.asks[: len(ask)]), "it is the exchange's own"


@EVERY
@pytest_twisted.ensureDeferred
async def test_a_quiet_market_is_confirmed_and_a_mute_stream_is_found(
    make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_module, "LOOK", 0.05)
    monkeypatch.setattr(market_module, "SILENT", 0.4)
    hall = await make(name)
    hall.broker.subscribe(hall.symbol)
    await hall.until(lambda: hall.shown(Quote), "the quote is told")
    before = hall.shown(Quote)[-1]
    await hall.until(lambda: hall.shown(Quote)[-1].time > before.time + timedelta(seconds=0.3), "it is confirmed")
    assert hall.shown(Quote)[-1].ask == before.ask
    monkeypatch.setattr(hall.market, "take", lambda url, message: True)
    hall.quote(50005, 50016)
    await hall.until(lambda: hall.shown(Quote)[-1].ask == 50016, "the quote is asked for")
    assert hall.statuses()[-1] is VenueStatus.RECONCILING, "the link is not blamed"


@EVERY
@pytest_twisted.ensureDeferred
async def test_last_prices_of_several_pairs_at_once(make: Make, name: str) -> None:
    hall = await make(name)
    others = [each.symbol for each in await hall.broker.instruments() if each.symbol != hall.symbol]
    for symbol in (hall.symbol, *others[:2]):
        pair = symbol.partition(":")[0].replace("/", "-")
        hall.control.do_trade(f"{pair}-PERP" if ":" in symbol else pair, 50007, 2)
    before = dict(hall.subject.emulator.counts)
    found = await hall.broker.last_prices([others[0], hall.symbol, "NO/SUCH", others[1], hall.symbol])
    prices = {each.symbol: each for each in found}
    assert (len(found), set(prices)) == (3, {hall.symbol, *others[:2]})
    assert all(isinstance(each.price, D) and each.price == 50007 for each in found)
    assert (prices[hall.symbol].time is not None) is (name in ("binanceusdm", "coinbaseexchange", "woo"))
    asked = {each: count - before.get(each, 0) for each, count in hall.subject.emulator.counts.items()}
    assert sum(asked.values()) == (3 if name in ("coinbaseexchange", "woo") else 1), asked
    assert await hall.broker.last_prices([]) == await hall.broker.last_prices(["NO/SUCH"]) == []


@EVERY
@pytest_twisted.ensureDeferred
async def test_bars_of_every_period(make: Make, name: str) -> None:
    hall = await make(name)
    now = hall.broker.now()
    for period, days in ((Period(5, Unit.MINUTE), 0.2), (Period(7, Unit.MINUTE), 0.2), (Period(1, Unit.DAY), 20),
                         (Period(1, Unit.WEEK), 60), (Period(1, Unit.MONTH), 120)):  # fmt: skip
        start = now - timedelta(days=days)
        bars = await hall.broker.bars(hall.symbol, period, start, now)
        times = [bar.time for bar in bars]
        assert times == sorted(set(times))
        assert times
        assert start <= times[0]
        assert times[-1] < now
    minutes = await hall.broker.bars(hall.symbol, Period(1, Unit.MINUTE), now - timedelta(hours=30), now)
    assert len(minutes) > 1700, "more than one page"
    with pytest.raises(GatewayError, match="ask for fewer"):
        await hall.broker.bars(hall.symbol, Period(1, Unit.MINUTE), now - timedelta(days=3000), now)


@EVERY
@pytest_twisted.ensureDeferred
async def test_rules_are_the_exchanges(make: Make, name: str) -> None:
    hall = await make(name)
    found = await hall.broker.instrument(hall.symbol)
    assert (found.currency, found.exchange) == (
        hall.symbol.partition("/")[2][:4].rstrip(":"),
        hall.market._market(hall.symbol)["id"],
    )
    assert found.tick_size > 0
    assert found.min_notional > 0
    hall.market._exchange.markets[hall.symbol]["active"] = False
    assert await hall.broker.instrument(hall.symbol) is None, "disabled pairs are left out"
    assert hall.symbol not in [each.symbol for each in await hall.broker.instruments()]


@pytest.mark.parametrize("name", ["binanceusdm", "woo-swap"])
@pytest_twisted.ensureDeferred
async def test_perpetuals_have_funding_leverage_and_mode(make: Make, name: str) -> None:
    hall = await make(name)
    funding = await hall.broker.funding(hall.symbol)
    assert funding.next_time > hall.broker.now()
    assert await hall.broker.funding(hall.symbol) is funding, "it is not asked for each time"
    with pytest.raises(Refused, match="whole numbers") as caught:
        await hall.broker.set_leverage("MAIN", hall.symbol, D("2.5"))
    assert caught.value.reason is Reason.REJECTED
    with pytest.raises(Refused, match="no perpetual"):
        await hall.broker.set_leverage("MAIN", "NOSUCH", D(2))
    with pytest.raises(Refused, match="no account"):
        await hall.broker.leverage("NOBODY", hall.symbol)
    assert await hall.broker.leverage("MAIN", "NOSUCH") is None


@EVERY
@pytest_twisted.ensureDeferred
async def test_limits_are_kept_and_shown(make: Make, name: str) -> None:
    hall = await make(name, throttle=True, share=0.5)
    limits = {each.name: each for each in hall.broker.rate_limits()}
    full = {each.name: each.limit for each in hall.broker._feeds.pools}
    assert {name: each.limit for name, each in limits.items()} == {each: full[each] // 2 for each in full}
    assert any(each.remaining < each.limit for each in limits.values())


@pytest_twisted.ensureDeferred
async def test_an_order_is_not_sent_into_a_ban(make: Make, tmp_path: Path) -> None:
    hall = await make("binance", throttle=True)
    hall.broker._pools.answered(418, {"Retry-After": "100"}, hall.broker._session._unix())
    call = hall.broker._session.exchange.create_order(hall.symbol, "limit", "buy", "0.01", "20000")
    with pytest.raises(Refused, match="it was not sent") as caught:
        await hall.broker._session.command("The order", call)
    assert caught.value.reason is Reason.REJECTED


@EVERY
@pytest_twisted.ensureDeferred
async def test_an_endpoint_that_changes_something(make: Make, name: str) -> None:
    hall = await make(name)
    assert Can.RAW in hall.broker.can
    wrong = EndpointCall("order", EndpointApi.PRIVATE, "POST", {"symbol": "NOSUCH"})
    with pytest.raises(GatewayError):
        await hall.broker.call_endpoint(wrong)


@pytest_twisted.ensureDeferred
async def test_without_the_option_no_endpoint_can_be_called(make: Make) -> None:
    hall = await make("binance", raw=False)
    assert Can.RAW not in hall.broker.can


@pytest_twisted.ensureDeferred
async def test_a_status_that_is_not_ok_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = await make("woo")
    said = ["maintenance", "maintenance", "ok"]

    async def status() -> Any:
        return {"status": said.pop(0)}

    monkeypatch.setattr(hall.market._exchange, "fetch_status", status)
    for _ in range(3):
        await hall.market._ask_status()
    texts = [each.text for each in hall.shown(VenueError)]
    assert texts == ["the exchange says of itself: maintenance", "the exchange works again"]


@pytest_twisted.ensureDeferred
async def test_an_exchange_that_does_not_tell_the_time_is_told_of(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = await make("binance")
    await hall.market._ask_status()
    real = hall.market._exchange.fetch_time

    async def silent() -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(hall.market._exchange, "fetch_time", silent)
    await hall.market._ask_status()
    monkeypatch.setattr(hall.market._exchange, "fetch_time", real)
    await hall.market._ask_status()
    texts = [each.text for each in hall.shown(VenueError)]
    assert texts == ["the exchange does not answer", "the exchange works again"]


@pytest_twisted.ensureDeferred
async def test_a_stream_that_ends_is_subscribed_again(make: Make) -> None:
    hall = await make("binance")
    hall.broker.subscribe(hall.symbol)
    await hall.until(lambda: hall.shown(Quote) and hall.shown(Trade), "the prices are told")
    public = [link for link in hall.subject.emulator.links if link.account is None]
    for link in public:
        link.abort()
    await hall.until(lambda: set(hall.subject.emulator.links) - set(public), "there is another stream")
    await hall.until(lambda: any(link.topics for link in hall.subject.emulator.links), "it is subscribed")
    hall.quote(50006, 50017)
    await hall.until(lambda: hall.shown(Quote)[-1].ask == 50017, "the quote is told over another stream")


@EVERY
@pytest_twisted.ensureDeferred
async def test_rules_are_read_anew(make: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_module, "LOOK", 0.05)
    hall = await make(name)
    before = await hall.broker.instrument(hall.symbol)
    hall.broker.subscribe(hall.symbol)
    hall.market._exchange.markets[hall.symbol]["active"] = False
    assert await hall.broker.instrument(hall.symbol) is None
    monkeypatch.setattr(market_module, "RULES", 0.1)
    await hall.until(lambda: hall.market.instrument(hall.symbol) == before, "the rules are the exchange's again")


@EVERY
@pytest_twisted.ensureDeferred
async def test_a_book_of_a_moving_market_is_the_exchanges_own(make: Make, name: str) -> None:
    hall = await make(name, tick=0.01)
    hall.control.do_free(hall.subject.pair)
    hall.broker.subscribe(hall.symbol)
    hall.broker.subscribe_depth(hall.symbol)
    await hall.until(lambda: len(hall.shown(Depth)) > 8, "the book is told as it moves")
    for depth in hall.shown(Depth):
        assert depth.bids[0].price < depth.asks[0].price
        prices = [each.price for each in depth.bids]
        assert prices == sorted(set(prices), reverse=True)
    assert hall.market.books.kept[hall.symbol].gaps <= 2, "at the beginning, if ever"
    hall.quote(50021, 50032)
    await hall.until(lambda: hall.shown(Depth)[-1].asks[0].price == 50032, "it stands still")
    asked = await hall.broker.depth(hall.symbol, 1000)
    last = hall.shown(Depth)[-1]
    assert (last.bids, last.asks) == (asked.bids[: len(last.bids)], asked.asks[: len(last.asks)])


@pytest_twisted.ensureDeferred
async def test_an_exchange_that_is_in_no_table_is_read_by_ccxt(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "TABLE", {})
    hall = await make("binance")
    assert hall.market._row.decode is None
    assert Can.DEPTH in hall.broker.can
    assert hall.broker.rate_limits() == []
    hall.broker.subscribe(hall.symbol)
    await hall.until(lambda: hall.shown(Quote) and hall.shown(Trade) and hall.shown(Statistics), "all is told once")
    hall.broker.subscribe_depth(hall.symbol)
    await hall.until(lambda: hall.shown(Depth), "the book is told")
    hall.quote(50021, 50032)
    await hall.until(lambda: hall.shown(Quote)[-1].ask == 50032, "the quote is told")
    await hall.until(lambda: hall.shown(Depth) and hall.shown(Depth)[-1].asks[0].price == 50032, "the book is told")
    assert hall.shown(Depth)[-1].asks[0].size == 7
    hall.control.do_trade(hall.subject.pair, 50025, 2)
    await hall.until(lambda: hall.shown(Trade)[-1].price == 50025, "the trade is told")
    assert hall.shown(Trade)[-1].size == 2
    hall.broker.unsubscribe(hall.symbol)


@pytest_twisted.ensureDeferred
async def test_a_frame_that_is_missing_makes_coinbases_book_anew(make: Make) -> None:
    hall = await make("coinbase")
    hall.broker.subscribe(hall.symbol)
    hall.broker.subscribe_depth(hall.symbol)
    await hall.until(lambda: hall.shown(Depth), "the book is told")
    book = hall.market.books.kept[hall.symbol]
    for url in hall.market._numbers:
        hall.market._numbers[url] -= 3  # as if so many had not come
    hall.quote(50021, 50032)
    await hall.until(lambda: book.gaps, "the gap is seen")
    hall.quote(50022, 50033)
    await hall.until(lambda: hall.shown(Depth)[-1].asks[0].price == 50033, "the book is whole again")
    asked = await hall.broker.depth(hall.symbol, 1000)
    last = hall.shown(Depth)[-1]
    assert (last.bids, last.asks) == (asked.bids[: len(last.bids)], asked.asks[: len(last.asks)])
    assert hall.statuses()[-1] is VenueStatus.RECONCILING
