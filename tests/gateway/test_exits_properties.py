"""Whatever happens in whatever order: the exits never take more than was entered, and protect all that is left."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.desk import EVERYTHING, Bench
from tests.gateway.exits_desk import LIVE, Holder, Venue, desk, enter, family, quote, restarted
from txgateway.brokers import Can
from txgateway.exits import SETTLED
from txgateway.model.errors import Reason, Refused
from txgateway.model.exits import Leg
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType

BRACKETS = EVERYTHING | Can.BRACKET
KINDS = (BRACKETS, EVERYTHING, EVERYTHING & ~Can.REPLACE, EVERYTHING & ~Can.STOP, EVERYTHING & ~Can.GTC & ~Can.LOOKUP)
HAPPENINGS = st.one_of(
    st.tuples(st.just("entry"), st.integers(1, 40)),
    st.tuples(st.just("sl"), st.integers(1, 40)),
    st.tuples(st.just("tp"), st.integers(1, 40)),
    st.tuples(st.just("cancel entry"), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 3)),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("deaf"), st.booleans()),
    st.tuples(st.just("no stops"), st.booleans()),
    st.tuples(st.just("no market"), st.booleans()),
    st.tuples(st.just("halt"), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, 20)),
    st.tuples(st.just("price"), st.integers(90, 109)),
    st.tuples(st.just("slow"), st.booleans()),
)


class World:
    """An entry, and everything that may happen to it and its exits."""

    def __init__(self, can: Can, **plan: Any) -> None:
        self.can = can
        self.bench = desk(can, Holder if Can.BRACKET in can else Venue)
        self.order = enter(self.bench, 0, **plan)

    @property
    def venue(self) -> Any:
        return self.bench.broker

    def held(self, leg: Leg | None) -> list[OrderReport]:
        """The venue's orders of a leg (None: of the entry), also those that ended."""
        ids = {each.order_id for each in self.venue.sent if each.leg is leg}
        return [self.venue.book[each] for each in ids]

    def filled(self, *legs: Leg | None) -> D:
        return sum((each.filled_quantity for leg in legs for each in self.held(leg)), D(0))

    @property
    def left(self) -> D:
        """By the venue's word."""
        exited = self.filled(Leg.STOP_LOSS, Leg.TAKE_PROFIT, Leg.CLOSE)
        return self.filled(None) - exited + self.filled(Leg.UNDO)

    def happen(self, what: str, how: int | bool) -> None:
        venue, bench = self.venue, self.bench
        if isinstance(venue, Holder) and venue.untold and what not in ("entry", "sl", "tp"):
            bench.turn(SETTLED / 2)
            venue.tell_fills()
            bench.turn()
        if what in ("entry", "sl", "tp"):
            held = self.held(None if what == "entry" else Leg(what))
            live = [each for each in held if each.status in LIVE and not self.asleep(each)]
            if live:
                each = live[0]
                most = min(D(int(how)), each.quantity - each.filled_quantity)
                venue.trade(each.order_id, most, tell=bench.gateway.intake.status["paper"].value == "UP")
        elif what == "cancel entry":
            if bench.gateway.state.working.get(self.order.order_id) is not None:
                bench.gateway.intake.go(bench.gateway.cancel(self.order.order_id, "me"), "cancel")
        elif what == "crash":
            venue.unheard.clear()
            if how == 0:
                bench.journal.hold = True  # what it does from now on never comes to the disk
                bench.turn()
            self.bench = restarted(bench, float(how))
        elif what == "away":
            venue.stopService() if how else venue.startService()
        elif what == "deaf":
            venue.deaf = bool(how)
            if not how:
                venue.listen()
        elif what == "no stops":
            self._refuse(OrderType.STOP, bool(how), Reason.REJECTED)
        elif what == "no market":
            self._refuse(OrderType.MARKET, bool(how), Reason.MARKET_CLOSED)
        elif what == "halt":
            bench.gateway.halt("lunch", "boss") if how else bench.gateway.resume("boss")
        elif what == "slow":
            venue.slow = bool(how)
        elif what == "time":
            bench.turn(float(how))
        elif what == "price":
            quote(bench, f"{how}.00")
        self.bench.turn()

    def asleep(self, order: OrderReport) -> bool:
        """Whether it waits for the entry to be filled whole."""
        return isinstance(self.venue, Holder) and self.venue.asleep(str(order.order_id))

    def _refuse(self, order_type: OrderType, refuses: bool, reason: Reason) -> None:
        if refuses:
            self.venue.refuse[order_type] = reason
        else:
            self.venue.refuse.pop(order_type, None)

    def check(self) -> None:
        """No exit works for more than is left, where the venue hears; nothing was sent twice (the venue sees to it)."""
        for leg in (Leg.STOP_LOSS, Leg.TAKE_PROFIT):
            live = [each for each in self.held(leg) if each.status in LIVE and not self.asleep(each)]
            assert len(live) <= 1
            leaves = sum(each.quantity - each.filled_quantity for each in live)
            assert leaves <= self.filled(None), "never more than was entered"

    def quiet(self) -> None:
        """Everything works again, and enough time goes by."""
        for what in ("slow", "deaf", "no stops", "no market", "halt", "away"):
            self.happen(what, False)
        for _ in range(12):
            self.bench.turn(30)
        quote(self.bench, "100")  # a market that was closed has opened
        for _ in range(4):
            self.bench.turn(30)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.lists(HAPPENINGS, max_size=25))
def test_a_bracket_protects_exactly_what_is_left(can: Can, happenings: list[tuple[str, Any]]) -> None:
    world = World(can, take_profit="110", stop_loss="80")
    for what, how in happenings:
        world.happen(what, how)
        world.check()
    world.quiet()
    assert_right(world, {Leg.TAKE_PROFIT} if Can.STOP not in can else {Leg.TAKE_PROFIT, Leg.STOP_LOSS})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.lists(HAPPENINGS, max_size=25))
def test_a_trailing_stop_never_takes_more_than_was_entered(can: Can, happenings: list[tuple[str, Any]]) -> None:
    world = World(can, trailing_stop="5", take_profit="110")
    for what, how in happenings:
        world.happen(what, how)
        world.check()
    world.quiet()
    if not family(world.bench, world.order).closing:
        held = Can.STOP not in can or Can.REPLACE not in can
        assert_right(world, {Leg.TAKE_PROFIT} if held else {Leg.TAKE_PROFIT, Leg.STOP_LOSS})
    else:
        assert world.left == 0
        assert_right(world, set())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.lists(HAPPENINGS, max_size=25))
def test_a_hold_time_closes_exactly_what_is_left(can: Can, happenings: list[tuple[str, Any]]) -> None:
    world = World(can, take_profit="110", hold=20)
    for what, how in happenings:
        world.happen(what, how)
        world.check()
    world.quiet()
    world.bench.turn(60)
    quote(world.bench, "100")
    world.bench.turn(60)
    assert world.left == 0
    assert_right(world, set())


def assert_right(world: World, legs: set[Leg]) -> None:
    """The books agree, and each leg works for exactly what is left."""
    bench, left = world.bench, world.left
    assert left >= 0, "what was left too much has been taken back"
    position = bench.gateway.state.positions.get("ACC", {}).get("IBM")
    assert (position.quantity if position else 0) == left
    orders = bench.gateway.state.working.values()
    working: dict[Leg | None, Order] = {
        each.leg: each
        for each in orders
        if left or each.leg is None or not world.asleep(world.venue.book[each.order_id])
    }
    working.pop(None, None)
    wanted = legs if left else set()
    doubted = [each for each in working.values() if each.status is OrderStatus.UNKNOWN]
    if not doubted:
        assert set(working) == wanted
        assert {each.leaves_quantity for each in working.values()} <= {left}
    for each in world.venue.live():
        if each.order_id != world.order.order_id:
            assert bench.gateway.state.working[each.order_id].leaves_quantity == each.quantity - each.filled_quantity


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS[1:3]),
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2), st.integers(1, 60)),
            st.tuples(st.just("crash"), st.integers(0, 2)),
            st.tuples(st.just("deaf"), st.booleans()),
        ),
        max_size=15,
    ),
)
def test_of_a_group_no_more_is_left_to_fill_than_one_order(can: Can, happenings: list[tuple[Any, Any]]) -> None:
    bench: Bench = desk(can)
    orders = []
    for price in ("90", "95", "98"):
        terms: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(price), "quantity": D(100)}
        orders.append(bench.submit(**terms, oco="one").order.order_id)
    venue: Any = bench.broker
    for what, how in happenings:
        if what == "crash":
            venue.unheard.clear()
            bench = restarted(bench, float(how))
        elif what == "deaf":
            venue.deaf = how
            if not how:
                venue.listen()
        else:
            held = venue.book[orders[what]]
            if held.status in LIVE:
                venue.trade(orders[what], min(D(how), held.quantity - held.filled_quantity))
        bench.turn()
    venue.deaf = False
    venue.listen()
    for _ in range(8):
        bench.turn(30)
    filled = sum((venue.book[each].filled_quantity for each in orders), D(0))
    for each in orders:
        if venue.book[each].status in LIVE:
            assert filled + venue.book[each].quantity - venue.book[each].filled_quantity <= 100
    assert bench.gateway.state.order(orders[0]) is not None
    try:
        late = bench.submit(oco="one").order
        assert (late.status is OrderStatus.DENIED) is (filled > 0)
    except Refused as refused:
        raise AssertionError(refused.text) from refused
