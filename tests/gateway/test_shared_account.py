"""Two venues whose logins have one account: it is the first one's, and what the other tells of it is not counted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.desk import START, ChosenBroker, D, outcome, request
from txgateway.bounded import BoundedBroker, Deadlines
from txgateway.gateway import Desk, Gateway
from txgateway.ids import Ids
from txgateway.journal.memory import MemoryJournal
from txgateway.model.account import Position
from txgateway.model.events import Executed, OrderCanceled, Reason
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderStatus, OrderType, Origin
from txgateway.model.scope import GATEWAY
from txgateway.state import State

_COUNT = count(1, 1000)


class Venue(ChosenBroker):
    """One of the two; both show the same counterparty's book and fills."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(clock)
        self.venue = name

    def accounts(self) -> list[str]:
        return ["ACC"]

    def startService(self) -> None:
        self.report = partial(self.say, self.report)
        super().startService()

    def say(self, report: Any, event: Any) -> None:
        report(event if not hasattr(event, "venue") else type(event)(self.venue, event.status, "", event.time))

    def fill(self, order: Order, quantity: Decimal, price: str = "100", execution_id: str = "") -> Execution:
        super().fill(order, quantity, price, execution_id)
        self.fills[-1] = replace(self.fills[-1], venue=self.venue)
        return self.fills[-1]

    async def executions(self, since: Any) -> list[Execution]:
        return [replace(each, venue=self.venue) for each in await super().executions(since)]

    async def positions(self) -> list[Position]:
        held = await super().positions()
        return [Position(self.venue, each.account, each.symbol, each.quantity, each.average_price) for each in held]


class House:
    """A desk of two venues, of which the second sees what the first one does."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.one, self.two = Venue("one", self.clock), Venue("two", self.clock)
        self.two.book, self.two.fills = self.one.book, self.one.fills
        self.one.holds_fills = self.two.holds_fills = True
        walls: dict[str, Any] = {}
        for each in (self.one, self.two):
            walls[each.venue] = BoundedBroker(
                each, Deadlines(), self.clock, self.now, others_have=partial(self.others_have, each.venue)
            )
        self.gateway = Gateway(
            Desk(
                state=State(),
                journal=MemoryJournal(),
                brokers=walls,
                market=self.market,
                reactor=self.clock,
                clock=self.now,
                new_id=Ids(self.now, lambda room: next(_COUNT)),
                trading_day=lambda moment: moment.date(),
            )
        )
        self.gateway.start()
        for each in (self.one, self.two):
            each.report = partial(self.gateway.report, venue=each.venue)
            each.startService()
        self.turn()

    def others_have(self, venue: str, account: str) -> bool:
        return self.gateway.venue_of(account) not in (None, venue)

    def now(self) -> Any:
        return self.one.now()

    async def market(self, venue: str, symbol: str) -> tuple[Instrument, Quote]:
        return Instrument(symbol=symbol, venue=venue), Quote(symbol, D(99), D(500), D(101), D(500), START)

    def turn(self, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        for _ in range(20):
            self.clock.advance(0)

    def send(self, **terms: Any) -> Order:
        done = Deferred.fromCoroutine(self.gateway.submit(request(**terms), "me", Origin.RPC))
        self.turn()
        return outcome(done).order  # type: ignore[no-any-return]

    @property
    def held(self) -> dict[str, Any]:
        return {symbol: each.quantity for symbol, each in self.gateway.state.positions.get("ACC", {}).items()}


@pytest.fixture
def house() -> House:
    return House()


def test_a_fill_that_both_tell_is_counted_once(house: House) -> None:
    order = house.send()
    assert order.venue == "one"
    house.two.report(Executed(replace(house.one.fills[0], venue="two"), START))
    house.turn()
    assert house.held == {"IBM": 100}


def test_what_the_other_lists_is_neither_adopted_nor_counted(house: House) -> None:
    house.one.mode = "accept"
    order = house.send(order_type=OrderType.LIMIT, limit_price=D(95))
    house.one.hold(order)
    filled = house.send()
    house.one.report(Executed(house.one.fill(filled, D(100)), START))
    house.turn()
    house.two.stopService()
    house.two.startService()
    house.turn()
    assert set(house.gateway.state.working) == {order.order_id}
    assert house.held == {"IBM": 100}
    assert not house.gateway.differences.open("two")


def test_what_the_other_says_of_an_order_does_not_end_it(house: House) -> None:
    house.one.mode = "accept"
    order = house.send(order_type=OrderType.LIMIT, limit_price=D(95))
    house.two.report(OrderCanceled(order.order_id, Reason.USER, "", START))
    house.turn()
    assert house.gateway.state.working[order.order_id].status is OrderStatus.NEW


def test_a_flatten_closes_it_once(house: House) -> None:
    house.send()
    house.gateway.flattens.begin(GATEWAY, "enough", "boss")
    for _ in range(60):
        house.turn(1)
    closing = [each for each in (*house.one.sent, *house.two.sent) if each.origin is Origin.FLATTEN]
    assert [(each.venue, each.quantity) for each in closing] == [("one", 100)]
    assert house.held == {}
    assert not house.gateway.state.flattens


def test_a_fill_that_names_another_venue_is_of_the_venue_that_told_it(house: House) -> None:
    house.one.mode = "accept"
    order = house.send()
    house.one.report(Executed(replace(house.one.fill(order, D(100)), venue="elsewhere"), START))
    house.turn()
    assert house.held == {"IBM": 100}
    assert house.gateway.state.positions["ACC"]["IBM"].venue == "one"
