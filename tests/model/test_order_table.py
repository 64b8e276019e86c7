"""Whatever happens to an order in whatever order, no fill is lost and no closed order reopens by a repeat."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway import codec, state
from txgateway.model.errors import Reason
from txgateway.model.events import (
    MOVES,
    CancelRejected,
    CancelRequested,
    Event,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderDoubted,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderSubmitted,
    Record,
    ReplaceRejected,
    ReplaceRequested,
    TicketApproved,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, TABLE, IllegalMove, Move, OrderStatus, OrderType, Side, Terms, TimeInForce

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def terms(tag: str | None = None) -> Terms:
    return Terms(
        order_id="T1",
        client_order_id="c1",
        venue="paper",
        account="ACC",
        symbol="IBM",
        side=Side.BUY,
        quantity=D(100),
        order_type=OrderType.LIMIT,
        limit_price=D(10),
        time_in_force=TimeInForce.DAY,
        created=NOW,
        day=date(2026, 3, 2),
        tag=tag,
    )


def fill(number: int, quantity: int) -> Executed:
    execution = Execution(
        execution_id=f"X{number}",
        venue="paper",
        account="ACC",
        symbol="IBM",
        side=Side.BUY,
        quantity=D(quantity),
        price=D(10),
        time=NOW,
        order_id="T1",
    )
    return Executed(execution, NOW)


OTHERS: list[Event] = [
    OrderAccepted("T1", "B1", NOW),
    OrderRejected("T1", Reason.REJECTED, "", NOW),
    CancelRequested("T1", "me", NOW),
    OrderCanceled("T1", Reason.USER, "", NOW),
    CancelRejected("T1", Reason.TOO_LATE, "", NOW),
    ReplaceRequested("T1", D(200), None, None, "me", NOW),
    OrderReplaced("T1", D(200), D(10), None, NOW),
    ReplaceRejected("T1", Reason.TOO_LATE, "", NOW),
    OrderExpired("T1", "", NOW),
    OrderDoubted("T1", Reason.TIMEOUT, "", NOW),
    TicketApproved("T1", "me", NOW),
]
SOME = st.one_of(st.sampled_from(OTHERS), st.integers(1, 150))


@given(st.lists(SOME, max_size=30), st.booleans())
def test_no_fill_is_ever_lost(happenings: list[Event | int], staged: bool) -> None:
    now = state.State()
    now.apply(Record(1, NOW, OrderSubmitted(terms("t" if staged else None), NOW)))
    filled, records = D(0), [Record(1, NOW, OrderSubmitted(terms("t" if staged else None), NOW))]
    for number, what in enumerate(happenings):
        event = fill(number, what) if isinstance(what, int) else what
        before = now.order("T1")
        assert before is not None
        record = Record(now.seq + 1, NOW, event)
        try:
            after = now.apply(record).order
        except IllegalMove:
            assert now.order("T1") == before
            assert not isinstance(event, Executed)
            continue
        records.append(record)
        filled += what if isinstance(what, int) else 0
        assert after is not None
        assert after.filled_quantity == filled
        assert after.leaves_quantity >= 0
        assert (after.status in CLOSED) == ("T1" not in now.working)
        if filled >= after.quantity and isinstance(event, Executed):
            assert after.status is OrderStatus.FILLED
    held = now.positions.get("ACC", {}).get("IBM")
    assert (held.quantity if held else 0) == filled
    again = state.State()
    for record in records:
        again.apply(record)
    assert list(again.dump()) == list(now.dump())


def test_every_status_has_a_row_and_every_move_is_used() -> None:
    assert set(TABLE) == set(OrderStatus)
    used = {move for row in TABLE.values() for move in row}
    assert used == set(Move) == {*MOVES.values(), Move.FILL, Move.FILL_ALL}


@pytest.mark.parametrize("event", [*OTHERS, fill(1, 5), OrderSubmitted(terms(), NOW)])
def test_every_event_is_read_back_as_it_was_written(event: Event) -> None:
    assert codec.decode_event(codec.kind_of(event), codec.encode(event)) == event


@pytest.mark.parametrize(("kind", "body"), [("NoSuch", "{}"), ("OrderAccepted", "{}"), ("OrderAccepted", "{")])
def test_a_record_that_cannot_be_read_is_said_so(kind: str, body: str) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|cannot be read"):
        codec.decode_event(kind, body)


def test_an_order_and_an_execution_are_unpacked_as_they_were_packed() -> None:
    now = state.State()
    now.apply(Record(1, NOW, OrderSubmitted(terms(), NOW)))
    order = now.apply(Record(2, NOW, fill(1, 30))).order
    assert order is not None
    assert codec.unpack_order(codec.pack_order(order)) == order
    execution = now.execution("X1")
    assert execution is not None
    assert codec.unpack_execution(codec.pack_execution(execution)) == execution
    assert (execution.cumulative_quantity, execution.leaves_quantity) == (30, 70)
