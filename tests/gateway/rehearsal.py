"""The desk and the paper broker on one clock, with faults, crashes and a client who does anything: from a seed."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txgateway.brokers import Setup
from txgateway.brokers.paper import PaperBroker
from txgateway.gateway import Desk, Gateway
from txgateway.ids import Ids
from txgateway.journal.memory import MemoryJournal
from txgateway.model.difference import What
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import DifferenceFound, VenueStatus
from txgateway.model.fault import FaultKind, make_fault
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote, Statistics, Trade
from txgateway.model.order import CLOSED, Order, OrderRequest, OrderStatus, OrderType, Origin, Side, TimeInForce
from txgateway.state import State

D = Decimal
START = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
REMEMBERS = [kind for kind in FaultKind if kind not in (FaultKind.RESTART_EMPTY, FaultKind.UNTOLD_FEE)]
NOT_THERE = (OrderStatus.REJECTED, OrderStatus.DENIED)
ENDED_EARLY = (OrderStatus.CANCELED, OrderStatus.EXPIRED)


class Rehearsal:
    """`run` does so many things by chance, then lets all be well for a while; `wrong` is what is not true then."""

    def __init__(self, seed: int, folder: Path, latency: str = "0") -> None:
        self.chance = Random(seed)
        self.folder = folder
        self.latency = latency
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.sent: dict[str, OrderRequest] = {}
        self.failures: list[str] = []
        self._ids = count(1)
        self.boot()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds())

    # the daemon

    def boot(self) -> None:
        options = {"faults": f"seed:{self.chance.random()}", "latency": self.latency}
        self.broker = PaperBroker(Setup("paper", options, self.folder, self.hear, self.clock, self.now))
        state = State()
        for record in self.journal.records():
            state.apply(record)
        self.gateway = Gateway(
            Desk(
                state=state,
                journal=self.journal,
                brokers={"paper": self.broker},
                market=self.market,
                reactor=self.clock,
                clock=self.now,
                new_id=Ids(self.now, lambda room: next(self._ids) * 1000 % room),
                trading_day=lambda moment: moment.date(),
                order_timeout=5.0,
                reconcile_seconds=5.0,
            )
        )
        self.gateway.start()
        self.broker.startService()

    def crash(self) -> None:
        """kill -9: what is not on disk is gone, and nothing that was planned happens."""
        self.end()
        before, self.journal = self.journal, MemoryJournal()
        self.journal.rows, self.journal._keys = list(before.rows), dict(before._keys)
        self.boot()

    def end(self) -> None:
        for call in list(self.clock.getDelayedCalls()):
            call.cancel()
        self.broker._book.close()

    def hear(self, event: Any) -> None:
        if not isinstance(event, Quote | Trade | Statistics):
            self.gateway.report(event, "paper")

    async def market(self, venue: str, symbol: str) -> tuple[Instrument | None, Quote | None]:
        price = self.broker._feed.price(symbol) or D(0)
        quote = Quote(symbol, price, D(100), price + D("0.01"), D(100), self.now())
        return await self.broker.instrument(symbol), quote

    # the client

    def run(self, steps: int = 250) -> list[str]:
        acts = [self.send, self.cancel, self.replace, self.approve, self.fail, self.crash, self.send_again]
        weights = [35, 15, 10, 5, 5, 1, 1]
        for _ in range(steps):
            (act,) = self.chance.choices([*acts, lambda: None], [*weights, 28])
            act()
            self.clock.advance(self.chance.choice([0, 0, 0.05, 0.3, 1, 2]))
        self.broker.clear_faults(None)
        for _ in range(400):
            self.clock.advance(1)
        return self.wrong()

    def go(self, work: Coroutine[Any, Any, Any]) -> None:
        def failed(failure: Any) -> None:
            if not failure.check(Refused):
                self.failures.append(failure.getTraceback())

        Deferred.fromCoroutine(work).addErrback(failed)

    def working(self, *statuses: OrderStatus) -> list[Order]:
        return [each for each in self.gateway.state.working.values() if not statuses or each.status in statuses]

    def send(self) -> None:
        pick = self.chance.choice
        symbol = pick(["IBM", "AAPL"])
        price = self.broker._feed.price(symbol) or D(100)
        kind = pick([OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT])
        limit = price + pick([D(-3), D("-0.25"), D("-0.05"), D(0), D("0.05"), D(1)])
        lasts = pick([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC])
        request = OrderRequest(
            account="API_ACCOUNT",
            symbol=symbol,
            side=pick(list(Side)),
            quantity=D(pick([10, 100, 700])),
            order_type=kind,
            limit_price=limit if kind is OrderType.LIMIT else None,
            time_in_force=lasts if kind is OrderType.LIMIT else TimeInForce.DAY,
            client_order_id=f"K{len(self.sent)}",
            tag="desk" if self.chance.random() < 0.1 else None,
        )
        self.sent[f"K{len(self.sent)}"] = request
        self.go(self.gateway.submit(request, "me", Origin.RPC))

    def send_again(self) -> None:
        if self.sent:
            self.go(self.gateway.submit(self.chance.choice(list(self.sent.values())), "me", Origin.RPC))

    def cancel(self) -> None:
        if orders := self.working():
            self.go(self.gateway.cancel(self.chance.choice(orders).order_id, "me"))

    def replace(self) -> None:
        if orders := self.working():
            order = self.chance.choice(orders)
            limit = order.limit_price and order.limit_price + self.chance.choice([D("-0.1"), D("0.1")])
            quantity = order.quantity + self.chance.choice([10, 100])
            self.go(self.gateway.replace(order.order_id, quantity, limit, None, "me"))

    def approve(self) -> None:
        if tickets := self.working(OrderStatus.STAGED):
            self.go(self.gateway.approve(self.chance.choice(tickets).order_id, "me"))

    def fail(self) -> None:
        kind, chance = self.chance.choice(REMEMBERS), self.chance.choice(["0.1", "0.5", "1"])
        self.broker.set_fault(make_fault(kind, D(chance), self.chance.choice([1, 2, 5])))

    # the truth

    def wrong(self) -> list[str]:
        """Every way in which the desk and the counterparty's book do not agree."""
        state, book = self.gateway.state, self.broker._book
        wrong = [*self.failures]
        if self.gateway.intake.status["paper"] is not VenueStatus.UP:
            wrong.append(f"the venue is {self.gateway.intake.status['paper']}")
        if book.duplicates():
            wrong.append(f"{book.duplicates()} commands came twice")
        wrong += [text for each in state.orders_today() if (text := self._wrong_order(each))]
        known = {execution.execution_id for execution in book.executions(None)}
        if known != set(state.executions_today()):
            wrong.append(f"executions that one has and the other has not: {known ^ set(state.executions_today())}")
        held = {
            name: each.position.quantity for name, each in self.broker.exchange.accounts["API_ACCOUNT"].holdings.items()
        }
        ours = {name: each.quantity for name, each in state.positions.get("API_ACCOUNT", {}).items()}
        if held != ours:
            wrong.append(f"positions are {ours} here and {held} there")
        shown = [each for each in self.gateway.differences.open("paper") if each.what != What.BROKER_ORDER_ID]
        told = [each.event for each in self.journal.records() if isinstance(each.event, DifferenceFound)]
        wrong += [f"cash was told to differ: {each}" for each in told if each.what == What.BALANCE]
        account = self.broker.exchange.accounts["API_ACCOUNT"]
        if state.cash.get(("paper", "API_ACCOUNT")) != account.cash:
            wrong.append(f"cash is {state.cash} here and {account.cash} there")
        return wrong + [f"a difference is still shown: {each}" for each in shown]

    def _wrong_order(self, order_id: str) -> str:
        order, held = self.gateway.state.order(order_id), self.broker._book.find(order_id)
        assert order is not None
        if held is None:
            return "" if order.status in NOT_THERE else f"{order_id} is {order.status} and was never there"
        if order.reason is Reason.NOT_A_TICKET and not held.filled and held.status in ENDED_EARLY:
            return ""  # it was withdrawn before it was released, and nobody heard
        ours, theirs = (order.status, order.filled_quantity), (held.status, held.filled)
        if order.status not in ENDED_EARLY:  # terms that nobody heard of end with their order
            ours, theirs = (*ours, order.quantity), (*theirs, held.quantity)
        if order.status not in CLOSED:
            ours, theirs = (*ours, order.limit_price), (*theirs, held.limit_price)
        story = [each.event for each in order.updates]
        return "" if ours == theirs else f"{order_id} is {ours} here and {theirs} there: {story}"
