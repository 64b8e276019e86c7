"""Flatten under any interleaving of fills, lost reports, stale positions, dropped links and crashes: never too much."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.desk import Bench, ChosenBroker, request
from txgateway.model.account import Position
from txgateway.model.errors import Reason
from txgateway.model.events import CancelRejected, Executed, FlattenEnded, OrderAccepted, OrderCanceled, OrderEvent
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Origin, Side
from txgateway.model.scope import Scope

S = OrderStatus


class Truth(ChosenBroker):
    """A counterparty with a book of its own, whose reports may be lost and whose list of positions may be old."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.live: dict[str, Order] = {}
        self.known: dict[str, Order] = {}
        self.mute = False
        self.stale: list[Position] | None = None
        self.wrong = ""

    def tell(self, event: OrderEvent) -> None:
        if not self.mute:
            self.report(event)

    def filled(self, order_id: str) -> D:
        return sum((each.quantity for each in self.fills if each.order_id == order_id), D(0))

    def net(self) -> D:
        return sum((each.signed_quantity for each in self.fills), D(0))

    async def submit(self, order: Order) -> None:
        self.sent.append(order)
        assert order.order_id not in self.known, "sent twice"
        if order.origin is Origin.FLATTEN:
            closing = [each for each in self.live.values() if each.origin is Origin.FLATTEN]
            under_way = sum((each.quantity - self.filled(each.order_id) for each in closing), D(0))
            if order.side.sign * self.net() >= 0 or order.quantity + under_way > abs(self.net()):
                self.wrong = f"{order.side} {order.quantity} on {self.net()} with {under_way} under way"
        self.live[order.order_id] = self.known[order.order_id] = order
        self.tell(OrderAccepted(order.order_id, f"B{len(self.sent)}", self.now()))

    async def cancel(self, order: Order) -> None:
        if self.live.pop(order.order_id, None) is not None:
            self.tell(OrderCanceled(order.order_id, Reason.USER, "", self.now()))
        else:
            self.tell(CancelRejected(order.order_id, Reason.TOO_LATE, "It is over.", self.now()))

    def trade(self, at: int, quantity: int) -> None:
        """Fill a part of one of the orders that work."""
        if self.live:
            order = list(self.live.values())[at % len(self.live)]
            part = min(D(quantity), order.quantity - self.filled(order.order_id))
            fill = self.fill(order, part)
            if self.filled(order.order_id) == order.quantity:
                del self.live[order.order_id]
            self.tell(Executed(fill, fill.time))

    async def positions(self) -> Sequence[Position]:
        return self.stale if self.stale is not None else self.now_held()

    def now_held(self) -> list[Position]:
        return [Position("paper", "ACC", "IBM", self.net(), D(100))] if self.net() else []

    def word(self, order: Order) -> OrderReport:
        filled = self.filled(order.order_id)
        over = S.FILLED if filled == order.quantity else S.CANCELED
        return OrderReport(
            broker_order_id=f"B{[each.order_id for each in self.sent].index(order.order_id) + 1}",
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            status=over if order.order_id not in self.live else S.PARTIALLY_FILLED if filled else S.NEW,
            filled_quantity=filled,
            time=self.now(),
            order_id=order.order_id,
        )

    async def open_orders(self) -> Sequence[OrderReport]:
        return [self.word(each) for each in self.live.values()]

    async def lookup(self, order: Order) -> OrderReport | None:
        known = self.known.get(order.order_id)
        return self.word(known) if known is not None else None


class Story:
    """A desk that lives through it."""

    def __init__(self, held: int) -> None:
        broker = Truth(Bench().clock)
        self.bench = Bench(broker=broker).up()
        self.broker = broker
        self.enter(Side.BUY if held > 0 else Side.SELL, abs(held), OrderType.MARKET)
        broker.trade(0, abs(held))
        self.enter(Side.BUY, 5, OrderType.LIMIT)
        self.enter(Side.SELL, 3, OrderType.LIMIT)

    def enter(self, side: Side, quantity: int, order_type: OrderType) -> None:
        limit = D(100) if order_type is OrderType.LIMIT else None
        terms = {"side": side, "quantity": D(quantity), "order_type": order_type, "limit_price": limit}
        self.bench.do(self.bench.gateway.submit(request(**terms), "me", Origin.RPC))

    def step(self, what: str, a: int, b: int) -> None:
        bench, broker = self.bench, self.broker
        if what == "trade":
            broker.trade(a, b)
            bench.turn()
        elif what == "run":
            for _ in range(a * 10):
                bench.turn(0.1)
        elif what == "mute":
            broker.mute = bool(a % 2)
        elif what == "stale":
            broker.stale = broker.now_held() if a % 2 else None
        elif what == "link":
            broker.stopService()
            bench.turn()
            if a % 2:
                broker.startService()
                bench.turn()
        elif what == "crash":
            time = bench.clock.seconds()
            self.bench = bench.restart()
            self.bench.clock.rightNow = time
            broker.startService()
            self.bench.turn()
        elif what == "flatten":
            bench.gateway.flattens.begin(Scope.parse(["gateway", "account:ACC", "symbol:IBM"][a % 3]), "drill", "boss")
            bench.turn()
        assert not broker.wrong, broker.wrong


STEPS = st.tuples(
    st.sampled_from(["trade", "trade", "run", "run", "mute", "stale", "link", "crash", "flatten"]),
    st.integers(0, 5),
    st.integers(1, 6),
)


STALE_FOR_LONG = [
    *[("stale", 1, 1), ("flatten", 1, 1), *[("trade", 0, 1)] * 7, ("trade", 0, 3)],
    *[("run", 2, 1), ("run", 5, 1), ("flatten", 0, 1), ("run", 4, 1)],
]
"""A list of positions that stays as it was for longer than a difference is waited out."""


STALE_BETWEEN_FILLS = [
    *[("flatten", 1, 1), *[("trade", 0, 1)] * 5, ("trade", 0, 2), ("stale", 1, 1), ("trade", 0, 3)],
    *[("run", 4, 1), ("flatten", 0, 1), ("run", 2, 1), ("run", 5, 1)],
]
"""The same, of a list that was made between two fills of the closing order."""


@settings(max_examples=150, deadline=None)
@example(10, STALE_FOR_LONG)
@example(10, STALE_BETWEEN_FILLS)
@example(10, [*STALE_BETWEEN_FILLS, ("crash", 0, 1), ("run", 5, 1), ("run", 5, 1), ("run", 5, 1)])
@example(10, [*STALE_FOR_LONG[:-1], ("crash", 0, 1), ("run", 5, 1), ("run", 5, 1), ("run", 5, 1)])
@given(st.sampled_from([10, -10, 1]), st.lists(STEPS, max_size=25))
def test_a_flatten_never_closes_too_much_and_always_ends(held: int, steps: list[tuple[str, int, int]]) -> None:
    story = Story(held)
    story.step("flatten", 0, 0)
    for step in steps:
        story.step(*step)
    broker = story.broker
    broker.mute, broker.stale = False, None
    story.step("link", 1, 0)
    for _ in range(40):
        for at in range(len(broker.live)):
            broker.trade(at, 100)
        story.step("run", 5, 0)
        if not story.bench.gateway.state.flattens:
            break
    assert story.bench.gateway.state.flattens == {}, story.bench.gateway.flattens.reports()
    assert broker.net() == 0
    ended = [each.event for each in story.bench.journal.records() if isinstance(each.event, FlattenEnded)]
    assert all(each.flat for each in ended)
