"""Trading rules change while a symbol is traded: they are asked for again, and no order waits for that."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.desk import START, outcome
from txgateway.feed import RULES_SECONDS, Feed
from txgateway.model.errors import TimedOut
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote, Trade

IBM = Instrument(symbol="IBM", venue="paper")


class Venue:
    """Answers with what a test sets; `wait` holds an answer back."""

    def __init__(self) -> None:
        from txgateway.brokers import Can

        self.can = Can(0)
        self.rules: Instrument | None = IBM
        self.asked = 0
        self.silent = False
        self.wait: Deferred[None] | None = None

    async def instrument(self, symbol: str) -> Instrument | None:
        self.asked += 1
        if self.wait is not None:
            await self.wait
        if self.silent:
            raise TimedOut("Venue paper did not answer instrument within 15 s.")
        return self.rules

    def subscribe(self, symbol: str) -> None: ...

    def unsubscribe(self, symbol: str) -> None: ...


@pytest.fixture
def hall() -> tuple[Feed, Venue, Clock]:
    venue, clock = Venue(), Clock()
    brokers: Any = {"paper": venue}
    return Feed(brokers, "paper", clock, lambda moment: moment.date(), keep_bars=False), venue, clock


def market(feed: Feed) -> Any:
    """The instrument that an order in IBM is judged by."""
    done = Deferred.fromCoroutine(feed.market("paper", "IBM"))
    feed.report("paper", Quote("IBM", D(1), D(1), D(2), D(1), START))
    feed._reactor.advance(0)
    return outcome(done)[0]


def test_an_order_is_judged_by_the_rules_of_now(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, clock = hall
    assert market(feed) == IBM
    venue.rules = replace(IBM, lot_size=D(5))
    clock.advance(RULES_SECONDS - 1)
    assert market(feed) == IBM
    assert venue.asked == 1
    clock.advance(1)
    market(feed)
    assert market(feed).lot_size == 5
    assert venue.asked == 2


def test_no_order_waits_for_them(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, clock = hall
    market(feed)
    venue.wait = wait = Deferred()
    venue.rules = replace(IBM, lot_size=D(5))
    clock.advance(RULES_SECONDS)
    assert market(feed) == IBM
    assert market(feed) == IBM
    assert venue.asked == 2, "once"
    wait.callback(None)
    assert market(feed).lot_size == 5


def test_what_trades_no_more_is_unknown_until_it_does(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, clock = hall
    market(feed)
    venue.rules = None
    clock.advance(RULES_SECONDS)
    market(feed)
    assert market(feed) is None
    venue.rules = IBM
    clock.advance(RULES_SECONDS)
    market(feed)
    assert market(feed) == IBM


def test_a_venue_that_does_not_answer_leaves_them_as_they_are(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, clock = hall
    market(feed)
    venue.silent = True
    clock.advance(RULES_SECONDS)
    assert market(feed) == IBM
    assert market(feed) == IBM
    assert outcome(Deferred.fromCoroutine(feed.instrument("paper", "IBM"))) == IBM


def test_a_question_gets_those_of_now(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, clock = hall
    assert outcome(Deferred.fromCoroutine(feed.instrument("paper", "IBM"))) == IBM
    venue.rules = replace(IBM, lot_size=D(5))
    assert outcome(Deferred.fromCoroutine(feed.instrument("paper", "IBM"))) == IBM
    clock.advance(RULES_SECONDS)
    assert outcome(Deferred.fromCoroutine(feed.instrument("paper", "IBM"))).lot_size == 5
    assert outcome(Deferred.fromCoroutine(feed.instrument("nowhere", "IBM"))) is None


def asked(feed: Feed) -> list[Any]:
    """What an order in IBM is judged by, once there is something."""
    box: list[Any] = []
    Deferred.fromCoroutine(feed.market("paper", "IBM")).addBoth(box.append)
    return box


def test_no_order_is_judged_by_a_price_from_before_the_link_was_lost(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, _, clock = hall
    market(feed)
    feed.lost("another")
    assert asked(feed)
    feed.lost("paper")
    waiting = asked(feed)
    assert not waiting
    shown = outcome(Deferred.fromCoroutine(feed.query("IBM", "me")))
    assert shown is not None
    assert shown.quote is not None, "who only looks is shown the last one, and waits for nothing"
    feed.report("paper", Quote("IBM", D(8), D(1), D(9), D(1), START))
    clock.advance(0)
    assert waiting[0][1].bid == 8
    assert asked(feed)


def test_where_nothing_new_is_shown_in_time_the_old_price_is_taken_and_nobody_else_waits(
    hall: tuple[Feed, Venue, Clock],
) -> None:
    feed, _, clock = hall
    market(feed)
    feed.lost("paper")
    waiting = asked(feed)
    clock.advance(15)
    assert waiting[0][1].bid == 1
    assert asked(feed)


def test_a_symbol_without_a_price_keeps_nobody_who_gave_up(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, _, clock = hall
    for _ in range(5):
        box = asked(feed)
        clock.advance(15)
        assert box == [(IBM, None)]
    assert feed._lines["paper", "IBM"].waiting == []


def test_symbols_that_there_are_not_are_not_remembered(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, _ = hall
    venue.rules = None
    for number in range(100):
        assert outcome(Deferred.fromCoroutine(feed.instrument("paper", f"X{number}"))) is None
    assert not feed._asked


def test_where_nobody_quotes_any_more_the_last_trade_stands_for_both_sides(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, _, clock = hall
    market(feed)
    feed.report("paper", Quote("IBM", D(0), D(0), D(0), D(0), START))
    assert asked(feed)[0][1].tradable is False
    feed.report("paper", Trade("IBM", D(5), D(1), START))
    clock.advance(0)
    assert asked(feed)[0][1] == Quote("IBM", D(5), D(1), D(5), D(1), START)


def test_a_symbol_that_means_another_contract_shows_nothing_of_the_old(hall: tuple[Feed, Venue, Clock]) -> None:
    feed, venue, _ = hall
    assert market(feed) == IBM
    feed.report("paper", Trade("IBM", D(5), D(1), START))
    venue.rules = replace(IBM, fullname="the other")
    feed.meant_anew("paper", "IBM")
    done = Deferred.fromCoroutine(feed.market("paper", "IBM"))
    assert not done.called, "no order is judged by the old one's price"
    ticker = feed.ticker("IBM")
    assert ticker is not None
    assert (ticker.last, ticker.quote, ticker.volume) == (None, None, 0)
    assert market(feed) == venue.rules
    assert outcome(done)[0] == venue.rules
    feed.meant_anew("paper", "MSFT")
