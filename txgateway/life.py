"""What a record makes of one order, and of an execution: a step of the order table at a time. Pure."""

from __future__ import annotations

from dataclasses import fields as fields_of
from datetime import date
from decimal import Decimal
from typing import Any

from txgateway import codec
from txgateway.model.errors import Reason
from txgateway.model.events import (
    ENTRIES,
    MOVES,
    NOTES,
    CancelKept,
    CancelRejected,
    CancelRequested,
    Executed,
    ExternalOrderFound,
    OrderAmended,
    OrderDenied,
    OrderEvent,
    OrderReplaced,
    OrderResolved,
    OrderRestored,
    OrderSubmitted,
    Record,
    ReplaceRejected,
    ReplaceRequested,
    TicketApproved,
)
from txgateway.model.execution import Execution
from txgateway.model.order import Move, Order, OrderStatus, OrderUpdate, Terms

ZERO = Decimal(0)
UPDATES_KEPT = 100
_TERMS = tuple(each.name for each in fields_of(Terms))


def move_of(order: Order, event: OrderEvent) -> Move:
    """The row of the order table that `event` asks for."""
    if isinstance(event, Executed):
        whole = order.filled_quantity + event.execution.quantity >= order.quantity
        return Move.FILL_ALL if whole else Move.FILL
    return MOVES[type(event)]


def advance(order: Order | None, record: Record) -> Order:
    """The order after a record about it; IllegalMove when the table has no such row."""
    event = record.event
    if isinstance(event, ENTRIES):
        return _entered(event, record.seq)
    if isinstance(event, OrderRestored):
        order = _restored(order, event)
    if isinstance(event, NOTES) and order is not None:
        return order
    assert order is not None, f"record {record.seq} tells of an order that never entered the journal"
    if isinstance(event, OrderAmended):
        update = _update(record, order.status)
        changed = {"exits": event.exits, "good_till": event.good_till, "updated": event.time, "seq": record.seq}
        return codec.ORDER.changed(order, {**changed, "updates": (*order.updates[1 - UPDATES_KEPT :], update)})
    changes = _changes(order, event)  # type: ignore[arg-type]
    status = changes.pop("status", None) or order.after(move_of(order, event))  # type: ignore[arg-type]
    changes["status"] = status
    changes["updated"] = event.time
    changes["seq"] = record.seq
    changes["updates"] = (*order.updates[1 - UPDATES_KEPT :], _update(record, status))
    return codec.ORDER.changed(order, changes)


def _restored(order: Order | None, event: OrderRestored) -> Order:
    """The order as the broker shows it; one of an earlier day comes whole with the event."""
    if order is None:
        return event.order
    order.after(Move.RESTORE)
    return codec.ORDER.changed(event.order, {"updates": order.updates})


def _entered(event: OrderSubmitted | OrderDenied | ExternalOrderFound, seq: int) -> Order:
    terms = event.terms
    life: dict[str, Any] = {"status": OrderStatus.PENDING_NEW if terms.tag is None else OrderStatus.STAGED}
    if isinstance(event, OrderSubmitted) and event.reason is not None:
        life.update(reason=event.reason, text=event.text)
    elif isinstance(event, OrderDenied):
        life = {"status": OrderStatus.DENIED, "reason": event.reason, "text": event.text}
    elif isinstance(event, ExternalOrderFound):
        report = event.report
        life = {"status": report.status, "broker_order_id": report.broker_order_id, "text": report.text}
        life.update(filled_quantity=event.filled_quantity, average_price=event.average_price)
    update = _update(Record(seq, event.time, event), life["status"])
    return Order(
        **{name: getattr(terms, name) for name in _TERMS},
        **life,
        updated=event.time,
        seq=seq,
        updates=(update,),
    )


def _changes(order: Order, event: OrderEvent) -> dict[str, Any]:
    """The members that an event changes, its status aside where the table alone decides it."""
    changes: dict[str, Any] = {}
    broker_order_id = getattr(event, "broker_order_id", "")
    if isinstance(event, Executed):
        execution = event.execution
        filled = order.filled_quantity + execution.quantity
        cost = order.average_price * order.filled_quantity + execution.price * execution.quantity
        changes["filled_quantity"] = filled
        changes["average_price"] = cost / filled if filled else ZERO
        changes["commission"] = order.commission + execution.commission
        broker_order_id = execution.broker_order_id
    elif isinstance(event, ReplaceRequested):
        changes["asked_quantity"] = event.quantity
        changes["asked_limit_price"] = event.limit_price
        changes["asked_stop_price"] = event.stop_price
        changes["asked_reduced"] = event.reduced
        changes["cancel_by"] = ""
    elif isinstance(event, CancelRequested):
        changes["cancel_by"] = event.by
        if event.reason is not None:
            changes["asked_reason"], changes["asked_text"] = event.reason, event.text
    elif isinstance(event, CancelRejected):
        changes.update(_NO_CANCEL)
    elif isinstance(event, OrderReplaced):
        changes = {
            "quantity": event.quantity,
            "limit_price": event.limit_price,
            "stop_price": event.stop_price,
        }
        if order.asked_reduced is not None:
            changes["reduced"] = order.asked_reduced
        changes.update(_NOTHING_ASKED)
        if event.quantity <= order.filled_quantity:
            changes["status"] = OrderStatus.FILLED
    elif isinstance(event, ReplaceRejected):
        changes.update(_NOTHING_ASKED)
    elif isinstance(event, OrderRestored):
        changes = {"status": event.order.status, "reason": None, "text": event.text}
        changes.update(_NOTHING_ASKED, **_NO_CANCEL)
        return changes
    elif isinstance(event, OrderResolved):
        order.after(Move.RESOLVE)
        changes["status"] = event.status
    if broker_order_id and broker_order_id != order.broker_order_id:
        changes["broker_order_id"] = broker_order_id
    elif isinstance(event, TicketApproved):
        changes["reason"], changes["text"] = None, ""
    reason = getattr(event, "reason", None)
    if reason is Reason.USER and order.asked_reason is not None:  # the broker only confirms what the cancel was for
        changes["reason"], changes["text"] = order.asked_reason, order.asked_text
        return changes
    if order.status is OrderStatus.UNKNOWN and order.reason is not None and _leaves_the_doubt(event):
        return changes
    if reason is not None:
        changes["reason"] = reason
        changes["text"] = getattr(event, "text", "")
    elif order.status is OrderStatus.UNKNOWN and order.reason is not None:
        changes["reason"], changes["text"] = None, ""
    return changes


def _leaves_the_doubt(event: OrderEvent) -> bool:
    """Whether an order in doubt stays so for the reason that it has: it says for how long it may be under way."""
    return isinstance(event, CancelRejected | CancelKept | CancelRequested)


_NOTHING_ASKED = dict.fromkeys(("asked_quantity", "asked_limit_price", "asked_stop_price", "asked_reduced"))
_NO_CANCEL: dict[str, Any] = {"asked_reason": None, "asked_text": "", "cancel_by": ""}


def _update(record: Record, status: OrderStatus) -> OrderUpdate:
    event = record.event
    kind, text = codec.kind_of(event), getattr(event, "text", "")
    if isinstance(event, Executed):
        fill = event.execution
        return OrderUpdate(record.seq, event.time, kind, status, fill.execution_id, fill.quantity, fill.price)
    quantity, price = getattr(event, "quantity", None), getattr(event, "limit_price", None)
    return OrderUpdate(record.seq, event.time, kind, status, "", quantity, price, text)


def enriched(execution: Execution, order: Order | None, seq: int, day: date | None) -> Execution:
    """The execution with what its order came to by it, on the trading day it was seen."""
    extra: dict[str, Any] = {"seq": seq, "day": execution.day or day}
    if order is not None:
        extra.update(
            order_quantity=order.quantity,
            cumulative_quantity=order.filled_quantity,
            leaves_quantity=max(ZERO, order.quantity - order.filled_quantity),
            order_average_price=order.average_price,
            order_type=order.order_type,
            order_price=order.limit_price if order.limit_price is not None else order.stop_price,
            route=order.route,
            cusip=order.cusip,
        )
    return codec.EXECUTION.changed(execution, extra)
