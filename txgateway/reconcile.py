"""What happened while we were not looking: our state and the broker's own lists -> the events we missed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from txgateway.model.account import Position
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    DifferenceFound,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderDoubted,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    PositionReported,
    ReplaceRejected,
    Severity,
)
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The broker's word: its open orders, what it answered to look-ups by our id (None: no such order), positions."""

    open_orders: Iterable[OrderReport]
    looked_up: Mapping[str, OrderReport | None] = field(default_factory=dict)
    positions: Iterable[Position] = ()


def match(orders: Iterable[Order], reports: Iterable[OrderReport]) -> tuple[dict[str, OrderReport], list[OrderReport]]:
    """The reports by our order id (our echoed id first, the broker's id next), and those of orders not ours."""
    ours = {order.order_id: order for order in orders}
    by_broker = {order.broker_order_id: order.order_id for order in ours.values() if order.broker_order_id}
    known: dict[str, OrderReport] = {}
    strangers: list[OrderReport] = []
    for report in reports:
        order_id = report.order_id if report.order_id in ours else by_broker.get(report.broker_order_id)
        if order_id is None:
            strangers.append(report)
        else:
            known[order_id] = report
    return known, strangers


def missed(orders: Iterable[Order], theirs: Theirs, now: datetime) -> list[Event]:
    """The events that bring our open orders to where the broker says they are; executions were taken in before."""
    orders = list(orders)
    known, _ = match(orders, theirs.open_orders)
    events: list[Event] = []
    for order in orders:
        report = known.get(order.order_id) or theirs.looked_up.get(order.order_id)
        if report is not None:
            events.extend(_catch_up(order, report, now))
        elif order.order_id in theirs.looked_up:
            text = "The broker's whole history was searched: the order never arrived there."
            events.append(OrderRejected(order.order_id, Reason.NEVER_ARRIVED, text, now))
        elif order.status is not OrderStatus.UNKNOWN:
            text = "The order is not among the broker's open orders, and the broker cannot be asked what became of it."
            events.append(OrderDoubted(order.order_id, Reason.RESTARTED, text, now))
    return events


def _catch_up(order: Order, report: OrderReport, now: datetime) -> Iterable[Event]:
    yield OrderAccepted(order.order_id, report.broker_order_id, report.time)
    if report.status not in CLOSED and _terms_differ(order, report):
        terms = (report.quantity, report.limit_price, report.stop_price)
        yield OrderReplaced(order.order_id, *terms, report.time, report.broker_order_id)
    text = report.text or "Found by reconciliation."
    if report.status is OrderStatus.CANCELED:
        yield OrderCanceled(order.order_id, report.reason or Reason.USER, text, report.time)
    elif report.status is OrderStatus.EXPIRED:
        yield OrderExpired(order.order_id, text, report.time)
    elif report.status is OrderStatus.REJECTED:
        yield OrderRejected(order.order_id, report.reason or Reason.REJECTED, text, report.time)
    elif report.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
        if order.status is OrderStatus.PENDING_CANCEL:
            yield CancelRejected(order.order_id, Reason.LINK_LOST, "The cancel did not reach the broker.", now)
        elif order.status is OrderStatus.PENDING_REPLACE and not _terms_differ(order, report):
            yield ReplaceRejected(order.order_id, Reason.LINK_LOST, "The replace did not reach the broker.", now)


def _terms_differ(order: Order, report: OrderReport) -> bool:
    ours = (order.quantity, order.limit_price, order.stop_price)
    return ours != (report.quantity, report.limit_price, report.stop_price)


def unfilled(order: Order, report: OrderReport | None) -> bool:
    """True when the broker has filled more of an order than the executions we know: its history must be asked for."""
    return report is not None and report.filled_quantity > order.filled_quantity


def positions(venue: str, ours: Iterable[Position], theirs: Iterable[Position], now: datetime) -> list[Event]:
    """The broker's word on every position that is not what we have, each with the difference shown beside it."""
    mine = {(each.account, each.symbol): each for each in ours if each.quantity}
    its = {(each.account, each.symbol): each for each in theirs if each.quantity}
    events: list[Event] = []
    for key in sorted(mine.keys() | its.keys()):
        held = mine[key].quantity if key in mine else ZERO
        said = its[key].quantity if key in its else ZERO
        if held == said:
            continue
        account, symbol = key
        severity = Severity.CRITICAL if key in mine else Severity.INFO
        events.append(DifferenceFound(venue, account, "position", symbol, f"{held:f}", f"{said:f}", severity, now))
        price = its[key].average_price if key in its else ZERO
        events.append(PositionReported(venue, account, symbol, said, price, now))
    return events
