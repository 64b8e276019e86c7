"""Whatever is lost, doubled, late or torn apart between us and an honest broker: in the end we know what it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal as D
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.desk import Bench, ChosenBroker, request
from txgateway.brokers import Can
from txgateway.model.difference import What
from txgateway.model.errors import Ambiguous, Reason
from txgateway.model.events import (
    DifferenceFound,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    Severity,
    VenueStatus,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus, OrderType, Origin, Side
from txgateway.state import State

S = OrderStatus
WAYS = ("told", "lost", "twice", "late")
"""What becomes of a report."""
ARRIVALS = ("arrives", "never arrives", "arrives and fails", "fails")
"""What becomes of what is sent."""


class HonestBroker(ChosenBroker):
    """It keeps its book in order, whatever becomes of the wire: `way` of reports, `arrival` of commands."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.holds_fills = True
        self.can |= Can.CASH
        self.way = "told"
        self.arrival = "arrives"
        self.late: list[Any] = []
        self.numbers = 0
        self.executed = count(1)

    def tell(self, event: Any) -> None:
        """Report something, or not, or twice, or later."""
        if self.way == "late":
            self.late.append(event)
        elif self.way != "lost":
            for _ in range(2 if self.way == "twice" else 1):
                self.report(event)

    def deliver(self) -> None:
        """What was late arrives, in the wrong order."""
        late, self.late = self.late, []
        for event in reversed(late):
            self.report(event)

    async def _arrive(self, act: Callable[[], None]) -> None:
        arrival = self.arrival
        if arrival.startswith("arrives"):
            act()
        if arrival.endswith("fails"):
            raise Ambiguous("The link broke.")

    async def submit(self, order: Order) -> None:
        assert order.order_id not in {each.order_id for each in self.sent}, "sent twice"
        self.sent.append(order)
        await self._arrive(lambda: self.enter(order))

    def enter(self, order: Order) -> None:
        self.numbers += 1
        report = self.hold(order, broker_order_id=f"B{self.numbers}")
        self.tell(OrderAccepted(order.order_id, report.broker_order_id, self.now()))

    async def cancel(self, order: Order) -> None:
        held = next((each for each in self.open() if each.broker_order_id == order.broker_order_id), None)
        held = self.book.get(order.order_id) or held
        await self._arrive(lambda: self.end(held) if held in self.open() else None)

    async def replace(self, order: Order) -> None:
        held = self.book.get(order.order_id)
        if held in self.open() and held is not None:
            await self._arrive(lambda: self.change(held, order.asked_quantity or held.quantity))

    async def lookup(self, order: Order) -> OrderReport | None:
        return self.book.get(order.order_id) or self.book.get(order.broker_order_id)

    def forget(self) -> None:
        """A new book, whose ids begin again."""
        self.book.clear()
        self.fills.clear()
        self.late.clear()
        self.numbers = 0

    # by hand, at the broker

    def open(self) -> list[OrderReport]:
        return [each for each in self.book.values() if each.status not in CLOSED]

    def put(self, report: OrderReport, **changes: Any) -> OrderReport:
        changed = replace(report, **changes)
        self.book[report.order_id or report.broker_order_id] = changed
        return changed

    def end(self, held: OrderReport | None) -> None:
        assert held is not None
        self.put(held, status=S.CANCELED)
        self.tell(OrderCanceled(held.order_id or held.broker_order_id, Reason.USER, "", self.now()))

    def change(self, held: OrderReport, quantity: D) -> None:
        if quantity > held.filled_quantity:
            self.put(held, quantity=quantity)
            terms = (quantity, held.limit_price, held.stop_price)
            self.tell(OrderReplaced(held.order_id or held.broker_order_id, *terms, self.now()))

    def execute(self, held: OrderReport, quantity: D) -> None:
        filled = held.filled_quantity + quantity
        self.put(held, filled_quantity=filled, status=S.FILLED if filled >= held.quantity else S.PARTIALLY_FILLED)
        execution = Execution(
            execution_id=f"X{next(self.executed)}",
            venue="paper",
            account=held.account,
            symbol=held.symbol,
            side=held.side,
            quantity=quantity,
            price=D(100) - len(self.fills),
            commission=D("0.35"),
            time=self.now(),
            order_id=held.order_id or "",
            broker_order_id=held.broker_order_id,
        )
        self.fills.append(execution)
        self.tell(Executed(execution, self.now()))

    def others(self) -> None:
        self.numbers += 1
        name = f"B{self.numbers}"
        self.book[name] = OrderReport(
            broker_order_id=name,
            account="OTHER",
            symbol="AAPL",
            side=Side.SELL,
            quantity=D(50),
            order_type=OrderType.LIMIT,
            limit_price=D(120),
            status=S.NEW,
            time=self.now(),
        )
        self.tell(OrderAccepted(name, name, self.now()))


class PoorBroker(HonestBroker):
    """It cannot look an order up and, where it does not echo, knows orders by its own ids alone."""

    def __init__(self, clock: Clock, echoes: bool) -> None:
        super().__init__(clock)
        self.echoes = echoes
        self.can &= ~Can.LOOKUP if echoes else ~(Can.LOOKUP | Can.CLIENT_ORDER_ID)

    async def open_orders(self) -> Sequence[OrderReport]:
        reports = await super().open_orders()
        return reports if self.echoes else [replace(each, order_id=None) for each in reports]

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        fills = await super().executions(since)
        return fills if self.echoes else [replace(each, order_id="") for each in fills]

    def tell(self, event: Any) -> None:
        if isinstance(event, Executed) and not self.echoes:
            event = Executed(replace(event.execution, order_id=""), event.time)
        super().tell(event)


class World:
    """A desk, its broker, and what happens between them."""

    def __init__(self, broker: HonestBroker | None = None) -> None:
        broker = broker or HonestBroker(Clock())
        self.bench = Bench(broker=broker, reconcile_seconds=60, order_timeout=20.0).up()

    @property
    def broker(self) -> HonestBroker:
        broker = self.bench.broker
        assert isinstance(broker, HonestBroker)
        return broker

    def submit(self, number: int) -> None:
        terms = {"order_type": OrderType.LIMIT, "limit_price": D(90), "client_order_id": f"k{number}"}
        Deferred.fromCoroutine(self.bench.gateway.submit(request(**terms), "me", Origin.RPC))

    def working(self, number: int) -> Order | None:
        orders = list(self.bench.gateway.state.working.values())
        return orders[number % len(orders)] if orders else None

    def cancel(self, number: int) -> None:
        order = self.working(number)
        if order is not None:
            self.bench.gateway.intake.go(self.bench.gateway.cancel(order.order_id, "me"), "cancel")

    def change(self, number: int) -> None:
        order = self.working(number)
        if order is not None:
            call = self.bench.gateway.replace(order.order_id, D(60 + number), None, None, "me")
            self.bench.gateway.intake.go(call, "replace")

    def held(self, number: int) -> OrderReport | None:
        held = self.broker.open()
        return held[number % len(held)] if held else None

    def fill(self, number: int) -> None:
        held = self.held(number)
        if held is not None:
            left = held.quantity - held.filled_quantity
            self.broker.execute(held, min(left, D(1 + number * 10)))

    def over_fill(self, number: int) -> None:
        held = self.held(number)
        if held is not None:
            self.broker.execute(held, held.quantity - held.filled_quantity + 5)

    def end(self, number: int) -> None:
        held = self.held(number)
        if held is not None:
            self.broker.end(held)

    def shrink(self, number: int) -> None:
        held = self.held(number)
        if held is not None:
            self.broker.change(held, D(40 + number))

    def others(self, number: int) -> None:
        self.broker.others()

    def drop(self, number: int) -> None:
        self.broker.late.clear()
        self.broker.stopService()

    def forget(self, number: int) -> None:
        self.drop(number)
        self.broker.forget()
        self.broker.startService()

    def back(self, number: int) -> None:
        if self.bench.gateway.intake.status["paper"] is VenueStatus.DOWN:
            self.broker.startService()

    def kill(self, number: int) -> None:
        self.broker.late.clear()
        seconds = self.bench.clock.seconds()
        self.bench = self.bench.restart()
        self.bench.clock.advance(seconds)
        self.broker.startService()

    def deliver(self, number: int) -> None:
        self.broker.deliver()

    def wait(self, number: int) -> None:
        self.pass_time((1, 2, 3, 5, 8, 13, 30, 61)[number % 8])

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.bench.clock.advance(1)
            self.bench.clock.advance(0)
            self.bench.clock.advance(0)
            self.bench.clock.advance(0)

    def do(self, what: str, number: int, way: str, arrival: str) -> None:
        self.broker.way, self.broker.arrival = way, arrival
        getattr(self, what)(number)
        for _ in range(4):
            self.bench.clock.advance(0)
        self.broker.arrival = "arrives"

    def heal(self) -> None:
        """All works again; time passes."""
        self.broker.way, self.broker.arrival = "told", "arrives"
        self.broker.deliver()
        self.back(0)
        self.pass_time(260)


HAPPENINGS = (
    *("submit",) * 4, *("fill",) * 4, "cancel", "cancel", "change", "end", "shrink", "others", "drop", "back", "back",
    "kill", "deliver", "wait", "wait", "wait", "over_fill",
)  # fmt: skip
Step = tuple[str, int, str, str]


def steps_of(happenings: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    ways, arrivals = st.sampled_from(WAYS), st.sampled_from(ARRIVALS)
    step = st.tuples(st.sampled_from(happenings), st.integers(0, 9), ways, arrivals)
    return st.lists(step, min_size=1, max_size=25)


def after(steps: list[Step], broker: HonestBroker | None = None) -> World:
    """The world after all that, and some time in which all works again."""
    world = World(broker)
    for number, (what, choice, way, arrival) in enumerate(steps):
        world.do(what, number if what == "submit" else choice, way, arrival)
    world.heal()
    return world


def check(world: World) -> None:
    """What must be true once all works again."""
    broker, gateway = world.broker, world.bench.gateway
    state = gateway.state
    by_broker = {order.broker_order_id: order for order in _orders(state) if order.origin is Origin.EXTERNAL}
    for report in broker.book.values():
        order = state.order(report.order_id) if report.order_id else by_broker.get(report.broker_order_id)
        if order is None:
            assert report.status in CLOSED, f"nothing is known of {report}"
            continue
        assert (order.status, order.filled_quantity) == (report.status, report.filled_quantity), (order, report)
        assert report.status in CLOSED or order.quantity == report.quantity
        over = order.filled_quantity > order.quantity
        shown = ("paper", order.account, What.OVER_FILL, order.order_id) in state.differences
        assert over == shown
    for order in broker.sent:
        if order.order_id not in broker.book:
            ended = state.order(order.order_id)
            assert ended is not None
            assert (ended.status, ended.reason) == (S.REJECTED, Reason.NEVER_ARRIVED), ended
    assert len(state.executions_today()) == len(broker.fills)
    held: dict[tuple[str, str], D] = {}
    for fill in broker.fills:
        key = (fill.account, fill.symbol)
        held[key] = held.get(key, D(0)) + fill.signed_quantity
    for account in broker.accounts():
        moved = sum((fill.cash for fill in broker.fills if fill.account == account), D(0))
        assert state.cash["paper", account] == {"USD": broker.money["USD"] + moved}
    told = (record.event for record in world.bench.journal.records())
    assert not [each for each in told if isinstance(each, DifferenceFound) and each.what == What.BALANCE]
    ours = {(each.account, each.symbol): each.quantity for of in state.positions.values() for each in of.values()}
    assert ours == {key: quantity for key, quantity in held.items() if quantity}
    assert {each.what for each in gateway.differences.open()} <= {What.OVER_FILL}
    replayed = State()
    for record in world.bench.journal.records():
        replayed.apply(record)
    assert list(replayed.dump()) == list(state.dump())
    assert list(State.load(replayed.dump()).dump()) == list(state.dump())


def _orders(state: State) -> list[Order]:
    found = (state.order(order_id) for order_id in state.orders_today())
    return [order for order in found if order is not None]


def check_forgetful(world: World) -> None:
    """What must be true although the broker has forgotten what it held."""
    broker, gateway = world.broker, world.bench.gateway
    state = gateway.state
    shown = {each.key for each in gateway.differences.open() if each.severity is Severity.CRITICAL}
    for order in _orders(state):
        if order.acknowledged:
            assert order.reason is not Reason.NEVER_ARRIVED, order
        if order.status is S.UNKNOWN:
            assert order.acknowledged, order
            assert order.order_id in shown, order
    ours = {order.order_id for order in state.working.values()}
    names = {order.broker_order_id for order in state.working.values() if order.origin is Origin.EXTERNAL}
    for report in broker.open():
        assert report.order_id in ours if report.order_id else report.broker_order_id in names, report
    assert {fill.execution_id for fill in broker.fills} <= set(state.executions_today())


def check_poor(world: World) -> None:
    """What must be true although much cannot be asked: every fill counts once, no order is there twice or gone."""
    broker, state = world.broker, world.bench.gateway.state
    names = Counter(order.broker_order_id for order in _orders(state) if order.broker_order_id)
    assert not [name for name, times in names.items() if times > 1], "one order is there twice"
    known = {order.order_id for order in state.working.values()}
    known |= {order.broker_order_id for order in state.working.values()}
    known |= {each.key for each in world.bench.gateway.differences.open() if each.what == What.UNKNOWN_ORDER}
    for report in broker.open():
        assert {report.order_id, report.broker_order_id} & known, report
    for order in _orders(state):
        assert not (order.status is S.REJECTED and order.order_id in broker.book), order
    assert len(state.executions_today()) == len(broker.fills)
    shown = {each.what for each in world.bench.gateway.differences.open()}
    assert not shown & {What.POSITION, What.BALANCE}


SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(steps_of(HAPPENINGS))
def test_in_the_end_the_desk_knows_what_the_broker_knows(steps: list[Step]) -> None:
    check(after(steps))


@SETTINGS
@given(steps_of((*HAPPENINGS, "forget")))
def test_what_the_broker_forgot_is_missing_and_never_said_to_have_never_arrived(steps: list[Step]) -> None:
    check_forgetful(after(steps))


@SETTINGS
@given(steps_of(HAPPENINGS), st.booleans())
def test_a_broker_that_can_tell_little_still_has_no_fill_lost_and_no_order_doubled(
    steps: list[Step], echoes: bool
) -> None:
    check_poor(after(steps, PoorBroker(Clock(), echoes)))
