"""A symbol's minute bars: in the order of their times, whenever they come, and put in order only when one changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.desk import START
from txgateway.brokers import Can
from txgateway.feed import Feed
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Ticker, Trade


class Venue:
    """Has no bars of its own, and gives its trades by hand."""

    can = Can(0)

    async def instrument(self, symbol: str) -> Instrument:
        return Instrument(symbol=symbol, venue="paper")

    def subscribe(self, symbol: str) -> None: ...

    def now(self) -> datetime:
        return START

    async def bars(self, *wanted: Any) -> Sequence[Bar]:
        return []


def listened() -> Feed:
    brokers: Any = {"paper": Venue()}
    feed = Feed(brokers, "paper", Clock(), lambda moment: moment.date())
    Deferred.fromCoroutine(feed.add("IBM", "somebody"))
    return feed


def shown(feed: Feed) -> Ticker:
    ticker = feed.ticker("IBM")
    assert ticker is not None
    return ticker


def a_bar(minute: int, price: int = 1) -> Bar:
    return Bar("IBM", START + timedelta(minutes=minute), D(price), D(price), D(price), D(price), D(1))


def trade(minute: int, price: int = 1) -> Trade:
    return Trade("IBM", D(price), D(1), START + timedelta(minutes=minute))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(1, 3), st.booleans()), max_size=40))
def test_they_are_what_came_last_of_each_minute_in_order(events: list[tuple[bool, int, int, bool]]) -> None:
    feed, wanted = listened(), {}
    for whole, minute, price, asked in events:
        wanted[minute] = D(price)
        feed.report("paper", a_bar(minute, price) if whole else trade(minute, price))
        if asked:
            shown(feed)
    bars = shown(feed).bars
    assert [(each.time, each.close) for each in bars] == [
        (START + timedelta(minutes=minute), close) for minute, close in sorted(wanted.items())
    ]


def test_they_are_put_in_order_once_for_each_change() -> None:
    feed = listened()
    for minute in (2, 1):
        feed.report("paper", a_bar(minute))
    assert shown(feed).bars is shown(feed).bars
    feed.report("paper", trade(3))
    assert [each.time.minute for each in shown(feed).bars] == [1, 2, 3]


def test_with_the_next_day_they_are_gone() -> None:
    feed = listened()
    feed.report("paper", trade(1))
    assert len(shown(feed).bars) == 1
    feed.report("paper", trade(24 * 60))
    assert [each.time.date() for each in shown(feed).bars] == [(START + timedelta(days=1)).date()]
