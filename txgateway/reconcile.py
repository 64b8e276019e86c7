"""Our state against the broker's own words: what is whose, what we missed, what differs. Pure.

Nothing is invented: a fill comes as an execution or not at all, and an order ends by the broker's word alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto

from txgateway.model.account import Position, adds_up
from txgateway.model.difference import NO_SUCH_ORDER, What
from txgateway.model.errors import Reason
from txgateway.model.events import (
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderDoubted,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderRestored,
    ReplaceRejected,
    Severity,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, WORKING, Order, OrderReport, OrderStatus, Origin

ZERO = Decimal(0)
S = OrderStatus


class Absent(Enum):
    """How an order is not there."""

    NEVER = auto()
    """The broker's complete history, searched by our id, has no such order."""
    UNLISTED = auto()
    """It is not among the open orders, and the broker cannot be asked what became of it."""


Word = OrderReport | Absent
"""The broker's word on an order."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A difference as it is to be shown; `followed` when the events bring us to the broker's word."""

    what: What
    ours: str
    theirs: str
    severity: Severity
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the broker's word on an order means: the events that follow from it, the differences to show.

    `sure` when it only ends a doubt: then there is nothing that a second look could contradict.
    """

    events: tuple[Event, ...] = ()
    shown: tuple[Shown, ...] = ()
    sure: bool = False


# ---------------------------------------------------------------- what is whose


def same(order: Order, other: OrderReport | Execution) -> bool:
    """Whether a report can be an order's at all: its account, symbol and direction."""
    return (order.account, order.symbol, order.side.sign) == (other.account, other.symbol, other.side.sign)


def match(
    orders: Iterable[Order], reports: Iterable[OrderReport], echoes: bool
) -> tuple[dict[str, OrderReport], list[OrderReport]]:
    """The reports by our order id, and those of orders that are not among ours.

    By our own id, echoed. The broker's id counts for orders that others sent, and for ours where the broker does not
    echo (`echoes`); never when two orders have it, nor when the report is of another account, symbol or side.
    """
    ours: dict[str, str] = {}
    by_broker: dict[str, list[Order]] = {}
    for order in orders:
        ours[order.order_id] = order.order_id
        if order.origin is Origin.EXTERNAL:
            ours.setdefault(order.client_order_id, order.order_id)
        if order.broker_order_id:
            by_broker.setdefault(order.broker_order_id, []).append(order)
    known: dict[str, OrderReport] = {}
    strangers: list[OrderReport] = []
    for report in reports:
        order_id = ours.get(report.order_id or "")
        if order_id is None:
            order_id = _by_broker_id(by_broker.get(report.broker_order_id, ()), report, echoes)
        if order_id is None:
            strangers.append(report)
        else:
            known[order_id] = report
    return known, strangers


def _by_broker_id(named: Iterable[Order], report: OrderReport, echoes: bool) -> str | None:
    found = [order for order in named if may_be(order, report, echoes)]
    return found[0].order_id if len(found) == 1 else None


def may_be(order: Order, report: OrderReport, echoes: bool) -> bool:
    """Whether a report with an order's broker id, and without our id, is that order's."""
    unnamed = order.origin is Origin.EXTERNAL or (not echoes and not report.order_id)
    return unnamed and same(order, report)


def answers(order: Order, report: OrderReport) -> bool:
    """Whether a report that a look-up gave is of the order that was looked up: brokers' ids have been given twice."""
    mine = report.order_id in (None, "", order.order_id, order.client_order_id)
    return mine and same(order, report)


def unfilled(order: Order, word: Word | None) -> bool:
    """True when the broker has filled more of an order than the executions we know: they must be asked for."""
    return isinstance(word, OrderReport) and word.filled_quantity > order.filled_quantity


# ---------------------------------------------------------------- one order


_ASKED_ONLY = frozenset({"CancelRequested", "CancelRejected", "CancelKept"})


def moved(order: Order) -> tuple[int, datetime]:
    """The record that last changed what is known of an order, and its time.

    Asking for the end of an order in doubt changes nothing of it: who asks again and again must not keep it in doubt.
    """
    if order.status is not S.UNKNOWN:
        return order.seq, order.updated
    last = next((each for each in reversed(order.updates) if each.event not in _ASKED_ONLY), None)
    return (last.seq, last.time) if last is not None else (0, order.updates[0].time)


def replaced(order: Order, word: Word | None, now: datetime) -> OrderReplaced | None:
    """The answer, lost with its link, to a replace: to be taken in before fills, which may go beyond the old terms."""
    if not isinstance(word, OrderReport) or order.status is not S.UNKNOWN:
        return None
    if not order.asks_replace or not _terms_differ(order, word):
        return None
    terms = (word.quantity, word.limit_price, word.stop_price)
    return OrderReplaced(order.order_id, *terms, now, word.broker_order_id)


def judge(order: Order, word: Word, now: datetime) -> Verdict:
    """What the broker's word means for an order of ours that is not closed. Its executions were taken in before.

    What is on its way (a cancel, a replace, the order itself) is not given up here: it has its own time-out, and a
    broken link makes it UNKNOWN.
    """
    if isinstance(word, OrderReport):
        return _reported(order, word, now)
    if order.status in (S.PENDING_NEW, S.PENDING_CANCEL, S.PENDING_REPLACE):
        return Verdict()
    if not order.acknowledged:
        if word is Absent.UNLISTED:
            return Verdict()
        text = f"The broker's whole history was searched: the order never arrived there.{_to_send_again(order)}"
        return Verdict((OrderRejected(order.order_id, Reason.NEVER_ARRIVED, text, now),), sure=True)
    if word is Absent.NEVER:
        text = f"The broker held the order as {order.broker_order_id or 'its own'} and has never heard of it now."
        shown = Shown(What.MISSING_ORDER, _ours(order), NO_SUCH_ORDER, Severity.CRITICAL)
    else:
        text = "The order is not among the broker's open orders, and the broker cannot be asked what became of it."
        shown = Shown(What.MISSING_ORDER, _ours(order), "not among the open orders", Severity.WARNING)
    reason = Reason.MISSING if word is Absent.NEVER else Reason.RESTARTED
    doubt = () if order.status is S.UNKNOWN else (OrderDoubted(order.order_id, reason, text, now),)
    return Verdict(doubt, (shown,))


def _to_send_again(order: Order) -> str:
    """What its sender may do now; what the gateway sent by itself it sends again by itself."""
    if order.leg is not None or order.signal or order.origin is Origin.FLATTEN:
        return ""
    if order.client_order_id == order.order_id:
        return " Send it again, if it is still wanted."
    key = order.client_order_id
    return f" Its client_order_id {key!r} is used up: send it again with a new one, if it is still wanted."


def _ours(order: Order) -> str:
    return f"held by the broker as {order.broker_order_id}" if order.broker_order_id else "held by the broker"


def _reported(order: Order, report: OrderReport, now: datetime) -> Verdict:
    doubted = order.status in (S.UNKNOWN, S.PENDING_NEW)
    if report.status is S.STAGED and order.status is S.PENDING_NEW:
        return Verdict()
    if report.status is S.STAGED and order.status in (S.UNKNOWN, S.NEW):
        text = "The broker holds it as a ticket that waits."
        return Verdict((restored(order, report, text, now),), sure=order.status is S.UNKNOWN)
    if order.status is S.STAGED and report.status in WORKING:
        text = "The ticket was released at the broker."
        shown_status = Shown(What.ORDER_STATUS, order.status, report.status, Severity.WARNING, followed=True)
        return Verdict((restored(order, report, text, now),), (shown_status,))
    events: list[Event] = []
    shown: list[Shown] = []
    if doubted or report.broker_order_id not in ("", order.broker_order_id):
        events.append(OrderAccepted(order.order_id, report.broker_order_id, now))
    if report.status in CLOSED:
        _closed(order, report, now, events, shown)
    else:
        _open(order, report, now, events, shown)
    if report.filled_quantity != order.filled_quantity:
        figures = (f"{order.filled_quantity:f}", f"{report.filled_quantity:f}")
        shown.append(Shown(What.FILLED_QUANTITY, *figures, Severity.CRITICAL))
    return Verdict(tuple(events), tuple(shown), sure=doubted and not shown)


def _open(order: Order, report: OrderReport, now: datetime, events: list[Event], shown: list[Shown]) -> None:
    asking = order.asks_replace
    if _terms_differ(order, report):
        terms = (report.quantity, report.limit_price, report.stop_price)
        events.append(OrderReplaced(order.order_id, *terms, now, report.broker_order_id))
        if not asking:
            words = (_terms(order), _terms(report))
            shown.append(Shown(What.ORDER_TERMS, *words, Severity.WARNING, followed=True))
    elif asking and order.status is S.UNKNOWN:
        text = "The replace did not reach the broker."
        events.insert(0, ReplaceRejected(order.order_id, Reason.LINK_LOST, text, now))


def _closed(order: Order, report: OrderReport, now: datetime, events: list[Event], shown: list[Shown]) -> None:
    text = report.text or "Found by reconciliation."
    if report.status is S.FILLED:
        if report.filled_quantity > order.filled_quantity:
            why = f"The broker says that {report.filled_quantity:f} are filled and shows no execution of the rest."
            if order.status is not S.UNKNOWN:
                events.append(OrderDoubted(order.order_id, Reason.MISSING, why, now))
            else:
                events.clear()
        elif _terms_differ(order, report):
            terms = (report.quantity, report.limit_price, report.stop_price)
            events.append(OrderReplaced(order.order_id, *terms, now, report.broker_order_id))
        else:
            events.clear()
            shown.append(Shown(What.ORDER_STATUS, order.status, report.status, Severity.CRITICAL))
        return
    if report.status is S.CANCELED:
        events.append(OrderCanceled(order.order_id, report.reason or Reason.USER, text, now))
    elif report.status is S.EXPIRED:
        events.append(OrderExpired(order.order_id, text, now))
    else:
        events.append(OrderRejected(order.order_id, report.reason or Reason.REJECTED, text, now))
    if order.status in WORKING and order.status is not S.PENDING_CANCEL:
        shown.append(Shown(What.ORDER_STATUS, order.status, report.status, Severity.WARNING, followed=True))


def _terms_differ(order: Order, report: OrderReport) -> bool:
    ours = (order.quantity, order.limit_price, order.stop_price)
    return ours != (report.quantity, report.limit_price, report.stop_price)


def _terms(order: Order | OrderReport) -> str:
    figures = {"quantity": order.quantity, "limit": order.limit_price, "stop": order.stop_price}
    return ", ".join(f"{name} {value:f}" for name, value in figures.items() if value is not None)


# ---------------------------------------------------------------- an order that we took for closed


def reopened(order: Order, report: OrderReport, now: datetime) -> Verdict:
    """A closed order of ours that the broker lists as open: it lives, whatever we were told."""
    text = f"It was {order.status} here, and the broker holds it open."
    shown = Shown(What.ORDER_STATUS, order.status, report.status, Severity.CRITICAL, followed=True)
    return Verdict((restored(order, report, text, now),), (shown,))


def restored(order: Order, report: OrderReport, text: str, now: datetime) -> OrderRestored:
    """The order with the broker's status and terms, and our executions."""
    status = S.STAGED if report.status is S.STAGED else S.PARTIALLY_FILLED if order.filled_quantity else S.NEW
    terms = {"quantity": report.quantity, "limit_price": report.limit_price, "stop_price": report.stop_price}
    changed = {name: getattr(order, name) for name in Order.__dataclass_fields__}
    changed.update(terms, status=status, broker_order_id=report.broker_order_id or order.broker_order_id)
    return OrderRestored(Order(**changed), text, now)


# ---------------------------------------------------------------- positions


def positions(ours: Iterable[Position], theirs: Iterable[Position]) -> Mapping[tuple[str, str], tuple[Position, ...]]:
    """Every (account, symbol) whose quantities differ: ours and theirs, either flat where there is none."""
    mine = {(each.account, each.symbol): each for each in ours}
    its = {(each.account, each.symbol): each for each in theirs}
    found = {}
    for key in sorted(mine.keys() | its.keys()):
        held, said = mine.get(key), its.get(key)
        venue = held.venue if held else said.venue if said else ""
        flat = Position(venue, *key, ZERO)
        if (held or flat).quantity != (said or flat).quantity:
            found[key] = (held or flat, said or flat)
    return found


# ---------------------------------------------------------------- balances


def balances(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> Mapping[str, tuple[Decimal, Decimal]]:
    """Every currency whose amounts differ by more than rounding: ours and theirs, nought where there is none."""
    both = {each: (ours.get(each, ZERO), theirs.get(each, ZERO)) for each in sorted(ours.keys() | theirs.keys())}
    return {currency: amounts for currency, amounts in both.items() if not adds_up(*amounts)}
