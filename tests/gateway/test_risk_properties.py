"""Whatever is asked, answered, filled and cut off: no accepted order breaks a limit; what works is what is reserved."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.desk import Bench
from txgateway.model.book import Holding
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import Executed, OrderAccepted, OrderCanceled, OrderRejected, OrderReplaced
from txgateway.model.limits import Limit, read_levels
from txgateway.model.order import AT_BROKER, OrderStatus, OrderType, Side
from txgateway.model.scope import GATEWAY
from txgateway.state import State

MAX_QUANTITY, MAX_POSITION, MAX_EXPOSURE = D(60), D(150), D(40_000)
LIMITS = (
    f"max_quantity={MAX_QUANTITY},max_position={MAX_POSITION},account:*/max_gross_exposure={MAX_EXPOSURE},"
    "restricted=NOSUCH,order_rate=1000"
)
NAMES = [("ACC", "IBM"), ("ACC", "AAPL"), ("OTHER", "IBM")]


@dataclass(frozen=True)
class Step:
    """One thing that happens: `what`, to one of the orders so far, in some size."""

    what: str
    place: tuple[str, str]
    side: Side
    quantity: int
    which: int
    limit: bool


STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(
            ["submit"] * 6 + ["fill"] * 4 + ["cancel", "replace", "replace", "reject", "late fill", "limit", "restart"]
        ),
        place=st.sampled_from(NAMES),
        side=st.sampled_from(list(Side)),
        quantity=st.integers(1, 80),
        which=st.integers(0, 30),
        limit=st.booleans(),
    ),
    min_size=30,
    max_size=60,
)


class World:
    """A desk whose broker accepts and does what the steps say."""

    def __init__(self) -> None:
        self.bench = Bench(limits=read_levels(LIMITS)).up()
        self.bench.broker.mode = "accept"
        self.orders: list[str] = []
        self.max_quantity, self.max_position = MAX_QUANTITY, MAX_POSITION

    @property
    def state(self) -> State:
        return self.bench.gateway.state

    def do(self, step: Step) -> None:
        if step.what == "submit":
            self.submit(step)
        elif step.what == "restart":
            later = self.bench.clock.seconds() + 1
            self.bench = self.bench.restart()
            self.bench.clock.advance(later)
            self.bench.up()
            self.bench.broker.mode = "accept"
        elif step.what == "limit":
            self.limit(step)
        elif self.orders:
            order = self.state.order(self.orders[step.which % len(self.orders)])
            if order is not None:
                getattr(self, step.what.replace(" ", "_"))(order, step)
        self.bench.turn()

    def limit(self, step: Step) -> None:
        """Another limit from now on, however much is held and works."""
        value = D(step.quantity)
        if step.limit:
            self.max_quantity = value
            self.bench.gateway.set_limit(GATEWAY, Limit.MAX_QUANTITY, f"{value}", None, "boss")
        else:
            self.max_position = value
            self.bench.gateway.set_limit(GATEWAY, Limit.MAX_POSITION, f"{value}", None, "boss")

    def submit(self, step: Step) -> None:
        account, symbol = step.place
        before = working(self.state, step.place)
        terms: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(100)} if step.limit else {}
        order = self.bench.submit(
            account=account, symbol=symbol, side=step.side, quantity=D(step.quantity), **terms
        ).order
        bought = before.quantity + before.buys + order.quantity
        after = bought if step.side is Side.BUY else before.quantity - before.sells - order.quantity
        reduces = abs(after) < abs(before.quantity) and after * before.quantity >= 0
        if order.status is OrderStatus.DENIED:
            if order.reason in (Reason.MAX_POSITION, Reason.MAX_GROSS_EXPOSURE):
                assert not reduces, "what reduces always passes"
            return
        self.orders.append(order.order_id)
        assert order.quantity <= self.max_quantity
        assert reduces or abs(after) <= self.max_position

    def fill(self, order: Any, step: Step) -> None:
        quantity = min(D(step.quantity), order.leaves_quantity)
        if quantity and order.status in AT_BROKER:
            self.bench.gateway.report(Executed(self.bench.broker.fill(order, quantity), self.bench.now()))

    def late_fill(self, order: Any, step: Step) -> None:
        if order.status is OrderStatus.CANCELED:
            self.bench.gateway.report(Executed(self.bench.broker.fill(order, D(1)), self.bench.now()))

    def cancel(self, order: Any, step: Step) -> None:
        self.bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", self.bench.now()))

    def reject(self, order: Any, step: Step) -> None:
        self.bench.gateway.report(OrderRejected(order.order_id, Reason.REJECTED, "", self.bench.now()))
        if step.limit:
            self.bench.gateway.report(OrderAccepted(order.order_id, "B", self.bench.now()))

    def replace(self, order: Any, step: Step) -> None:
        if step.limit:
            quantity = max(D(step.quantity), order.filled_quantity)
            event = OrderReplaced(order.order_id, quantity, order.limit_price, None, self.bench.now())
            self.bench.gateway.report(event)
            return
        refusal: Refused | None = None
        try:
            after = self.bench.do(self.bench.gateway.replace(order.order_id, D(step.quantity), None, None, "me"))
            assert after.quantity <= max(order.quantity, self.max_quantity)
        except Refused as refused:
            refusal = refused
        if refusal is not None and refusal.reason in (Reason.MAX_POSITION, Reason.MAX_QUANTITY):
            assert step.quantity > order.quantity, "what asks for less always passes"


def working(state: State, place: tuple[str, str]) -> Holding:
    """What works, counted from the orders themselves."""
    sums = {1: D(0), -1: D(0)}
    for order in state.working.values():
        if (order.account, order.symbol) == place and order.status in AT_BROKER:
            sums[order.side.sign] += max(D(0), order.quantity - order.filled_quantity)
    position = state.positions.get(place[0], {}).get(place[1])
    return Holding(position.quantity if position else D(0), sums[1], sums[-1])


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_what_is_reserved_is_what_works_and_the_same_after_a_replay_and_from_a_snapshot(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.do(step)
        for place in NAMES:
            holding = world.state.books.holding(*place)
            assert holding == working(world.state, place)
            assert holding.buys >= 0
            assert holding.sells >= 0
    replayed = State()
    for record in world.bench.journal.records():
        replayed.apply(record)
    assert replayed.books.by_owner == world.state.books.by_owner == State.load(world.state.dump()).books.by_owner
    for order_id in list(world.state.working):
        world.bench.gateway.report(OrderCanceled(order_id, Reason.USER, "", world.bench.now()))
    world.bench.turn()
    for place in NAMES:
        assert (world.state.books.holding(*place).buys, world.state.books.holding(*place).sells) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_key_seen_before_is_answered_before_every_check(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.do(step)
    bench = world.bench
    first = bench.submit(client_order_id="key", quantity=D(1))
    for text in ("halt", "stop", "limits", "price"):
        if text == "halt":
            bench.gateway.halt("drill", "me")
        elif text == "stop":
            bench.gateway.stopping = True
        elif text == "price":
            bench.touch = None
        again = bench.submit(client_order_id="key", quantity=D(1))
        assert again.replayed
        assert again.order.order_id == first.order.order_id
