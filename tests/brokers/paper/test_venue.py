"""A paper venue on another venue's live prices: what it trades on, and what it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.paper.conftest import START, Venue
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import OrderRejected, VenueError
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.market import Bar, LastPrice, Quote, Statistics, Trade

D = Decimal


class Elsewhere:
    """Another venue's prices, by hand."""

    source, quoted = "live", True

    def __init__(self) -> None:
        self.down = ""
        self.number = 1
        self.clock: Callable[[], datetime] = lambda: START
        self.rules = {
            "IBM": Instrument(symbol="IBM", venue="live", tick_size=D(0), lot_size=D(0)),
            "ESZ6": Instrument(symbol="ESZ6", venue="live", asset_class=AssetClass.FUTURE, multiplier=D(50)),
            "SPX": Instrument(symbol="SPX", venue="live", asset_class=AssetClass.INDEX),
        }
        self.asked: set[str] = set()
        self.subscribed: list[str] = []
        self.hear: Any = None
        self.changed: Any = None

    def trouble(self) -> str:
        return self.down

    def link(self) -> int:
        return self.number

    def now(self) -> datetime:
        return self.clock()

    def follow(self, hear: Any, changed: Any) -> None:
        self.hear, self.changed = hear, changed

    def leave(self) -> None:
        self.hear = self.changed = None

    def known(self, symbol: str) -> Instrument | None:
        return self.rules.get(symbol) if symbol in self.asked else None

    async def instrument(self, symbol: str) -> Instrument | None:
        if self.down and symbol not in self.asked:
            raise Refused(Reason.VENUE_DOWN, self.down)
        self.asked.add(symbol)
        return self.rules.get(symbol)

    def subscribe(self, symbol: str) -> None:
        self.subscribed.append(symbol)

    def unsubscribe(self, symbol: str) -> None:
        self.subscribed.remove(symbol)

    def statistics(self, symbol: str) -> Statistics:
        return Statistics(symbol, close=D(99))

    async def bars(self, *wanted: Any) -> Sequence[Bar]:
        return []

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice]:
        if self.down:
            raise Refused(Reason.VENUE_DOWN, self.down)
        return [LastPrice(each, D(100), START) for each in symbols if each in self.rules]

    def quote(self, bid: str, ask: str, size: int = 1000) -> None:
        self.hear(Quote("IBM", D(bid), D(size), D(ask), D(size), self.now()))

    def lose(self) -> None:
        self.down = "venue live, whose prices these are, is DOWN"
        self.changed()

    def find(self) -> None:
        self.down = ""
        self.number += 1
        self.changed()


@pytest.fixture
def live() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def paper(live: Elsewhere, tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(tmp_path, {"feed": "venue:live"}, START, lambda name: {"live": live}[name])
    live.clock = venue.time
    venue.broker.startService()
    yield venue
    venue.broker.stopService()


def listen(paper: Venue, live: Elsewhere) -> None:
    assert paper.do(paper.broker.instrument("IBM"))
    paper.broker.subscribe("IBM")
    live.quote("99.9", "100.1")


def test_only_what_is_paid_for_is_traded(paper: Venue) -> None:
    """A unit of a future moves a multiple of its price, and is not paid: no account here could keep it."""
    for symbol in ("ESZ6", "SPX"):
        with pytest.raises(Refused, match=f"{symbol} is a ") as refused:
            paper.do(paper.broker.instrument(symbol))
        assert refused.value.reason is Reason.UNSUPPORTED
    assert paper.do(paper.broker.instrument("NOSUCH")) is None
    rules = paper.do(paper.broker.instrument("IBM"))
    assert rules is not None
    assert (rules.venue, rules.tick_size > 0, rules.lot_size > 0) == ("paper", True, True)


def test_nothing_is_traded_on_what_was_shown_before_the_link_was_lost(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    live.hear(Trade("IBM", D(100), D(10), paper.time()))
    held = paper.send()
    assert paper.fills(held)[0].price == D("100.1")
    live.lose()
    assert (paper.quote().bid_size, paper.quote().ask_size) == (0, 0)
    complaint = next(each.text for each in paper.told if isinstance(each, VenueError))
    assert complaint.startswith("the market stands still: venue live, whose prices these are, is DOWN.")
    for order in (paper.send(), paper.send(tif="IOC", limit=200), paper.send(tif="FOK", limit=200)):
        rejected = paper.events(order)[-1]
        assert isinstance(rejected, OrderRejected)
        assert rejected.reason is Reason.NO_PRICE
    waiting = [paper.send(limit=150), paper.send("SELL", stop=150), paper.send(stop=50)]
    assert [paper.kinds(each) for each in waiting] == [["OrderAccepted"]] * 3
    live.find()
    assert [paper.kinds(each) for each in waiting] == [["OrderAccepted"]] * 3, "the link is there, and no price yet"
    assert paper.kinds(paper.send()) == ["OrderRejected"]
    live.quote("119.9", "120.1", 10_000)
    assert [paper.fills(each)[0].price for each in waiting] == [D("120.1"), D("119.9"), D("120.1")]


def test_a_link_that_is_lost_untold_is_seen_by_the_next_order(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    live.down = "venue live, whose prices these are, is DOWN"
    assert paper.kinds(paper.send()) == ["OrderRejected"]
    assert paper.kinds(paper.send(limit=150)) == ["OrderAccepted"]


def test_a_link_that_is_lost_and_back_before_it_is_told_is_another_one(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    rests = paper.send(limit=99)
    live.number += 1
    assert paper.kinds(paper.send()) == ["OrderRejected"], "it was filled at what the old link had shown"
    live.number += 1
    live.hear(Statistics("IBM", close=D(98)))
    live.quote("98.4", "98.5")
    assert paper.fills(rests)[0].price == D("98.5")
    assert paper.kinds(paper.send()) == ["OrderAccepted", "Executed"]


def test_what_is_held_is_worth_its_last_price(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    paper.send()
    live.quote("109.9", "110.1")
    before = paper.do(paper.broker.balances("API_ACCOUNT")).equity
    live.lose()
    assert paper.do(paper.broker.balances("API_ACCOUNT")).equity == before


def test_a_symbol_that_was_left_shows_nothing_old_when_it_is_subscribed_again(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    paper.broker.unsubscribe("IBM")
    assert live.subscribed == []
    assert paper.kinds(paper.send()) == ["OrderRejected"], "nothing is shown yet"
    told = len(paper.told)
    paper.broker.subscribe("IBM")
    assert [type(each).__name__ for each in paper.told[told:]] == ["Statistics"]


def test_resting_orders_are_shown_once_the_venue_can_be_asked(live: Elsewhere, tmp_path: Path) -> None:
    first = Venue(tmp_path, {"feed": "venue:live"}, START, lambda name: live)
    live.clock = first.time
    first.broker.startService()
    listen(first, live)
    order = first.send(limit=90, tif="GTC")
    first.broker.stopService()
    assert live.hear is None
    live.down, live.asked, live.subscribed = "venue live, whose prices these are, is CONNECTING", set(), []
    again = Venue(tmp_path, {"feed": "venue:live"}, START, lambda name: live)
    again.broker.startService()
    assert live.subscribed == []
    live.find()
    assert live.subscribed == ["IBM"]
    live.quote("79.9", "80.1")
    assert again.fills(order)[0].price == D("80.1")
    again.broker.stopService()


def test_an_old_trade_does_not_put_the_clock_of_a_fill_back(paper: Venue, live: Elsewhere) -> None:
    listen(paper, live)
    order = paper.send(limit=99)
    live.quote("98", "98.5")
    live.hear(Trade("IBM", D(98), D(10), paper.time() - timedelta(days=1)))
    assert paper.fills(order)[0].time == paper.time()
    later = paper.send(limit=97)
    paper.later(5)
    live.hear(replace(paper.quote(), bid=D(95), ask=D(96), time=START - timedelta(hours=1)))
    assert paper.fills(later)[0].time == paper.time()


def test_the_clock_is_the_venues_and_may_be_set(paper: Venue, live: Elsewhere) -> None:
    now = paper.broker.now()
    live.clock = lambda: now - timedelta(seconds=5)
    assert paper.broker.now() == now, "it is held until it has caught up"
    live.clock = lambda: now - timedelta(days=30)
    assert paper.broker.now() == now - timedelta(days=30)


def test_last_prices_are_the_venues_by_its_own_word(paper: Venue, live: Elsewhere) -> None:
    wanted = ["NOSUCH", "IBM"]
    assert paper.do(paper.broker.last_prices(wanted)) == [LastPrice("IBM", D(100), START)]
    assert live.subscribed == []
    with pytest.raises(Refused, match="ESZ6 is a "):
        paper.do(paper.broker.instrument("ESZ6"))
    assert [each.symbol for each in paper.do(paper.broker.last_prices([*wanted, "ESZ6"]))] == ["IBM"]
    live.lose()
    with pytest.raises(Refused) as caught:
        paper.do(paper.broker.last_prices(wanted))
    assert caught.value.reason is Reason.VENUE_DOWN
