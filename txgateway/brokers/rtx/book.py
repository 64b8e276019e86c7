"""What the rows of ORDERS say of each order, and what of that is news. Pure.

Rows are taken in as they come; what an order is follows from all of its rows, whatever their order. A ticket that was
released has orders of its own behind it (TICKET_ID); they are its parts, and their fills come as fills of the ticket
too: only those count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from txgateway.brokers.rtx.translate import (
    ACCEPTED,
    ADJUSTED,
    CANCEL,
    CHANGE,
    KILLED,
    REJECTED,
    RELEASE,
    STAGE,
    TRADED,
    OrderRow,
)
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderRejected,
    ReplaceRejected,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, OrderReport, OrderStatus, OrderType

ZERO = Decimal(0)
S = OrderStatus
_ADDED = frozenset({TRADED, ACCEPTED, KILLED})
_CANCELED = frozenset({"CANCELLED", "CANCELED"})
_ENDED = _CANCELED | {"DELETED"}
_EXPIRED = ("expire", "end of day", "market close", "done for day")
_REASONS = (
    (("too late", "already filled", "already closed", "completed"), Reason.TOO_LATE),
    (("buying power", "insufficient", "margin", "funds"), Reason.INSUFFICIENT_FUNDS),
    (("short",), Reason.NOT_SHORTABLE),
    (("symbol",), Reason.UNKNOWN_SYMBOL),
    (("market is closed", "market closed"), Reason.MARKET_CLOSED),
)


@dataclass(slots=True)
class Entry:
    """One order at the broker. `fills` are what its executions filled, by their ids."""

    broker_id: str
    main: OrderRow | None = None
    client_id: str = ""
    accepted: bool = False
    killed: bool = False
    rejected: bool = False
    cancel_done: bool = False
    reason: str = ""
    fills: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    cancels: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    """Each cancel and each change by its row's id: its status."""
    parts: list[Entry] = field(default_factory=list)
    heard: int = 0
    """The number of the advise's row that told of it last."""
    told_accepted: bool = False
    told_end: bool = False
    told_refused: set[str] = field(default_factory=set)
    """The cancels and changes whose refusal was told."""
    told_fills: dict[str, int] = field(default_factory=dict)
    """Who has told a fill, as bits."""

    @property
    def name(self) -> str:
        """Our order's id, or that which another gave it, or the broker's."""
        return self.client_id or self.broker_id

    @property
    def is_part(self) -> bool:
        """Whether it trades a ticket."""
        return self.main is not None and bool(self.main.ticket_id)

    @property
    def is_ticket(self) -> bool:
        """Whether it waits for a person, or has waited."""
        return self.main is not None and self.main.kind == STAGE

    @property
    def filled(self) -> Decimal:
        """So much was filled, by its executions or by its own row: whichever knows of more."""
        total = sum((quantity for quantity, _ in self.fills.values()), ZERO)
        shown = self.main.traded if self.main is not None else None
        return max(total, shown or ZERO)

    @property
    def average_price(self) -> Decimal:
        """What a filled unit cost."""
        total = sum((quantity for quantity, _ in self.fills.values()), ZERO)
        if total and total == self.filled:
            return sum((quantity * price for quantity, price in self.fills.values()), ZERO) / total
        return (self.main.average if self.main is not None else None) or ZERO

    @property
    def status(self) -> OrderStatus:
        """Where it stands."""
        main, filled = self.main, self.filled
        if main is None:
            return S.UNKNOWN
        if filled and filled >= main.quantity > 0:
            return S.FILLED
        if main.status in _ENDED or self.killed or self.cancel_done or self.rejected:
            worked = filled or self.killed or self.cancel_done or main.status in _CANCELED
            if (self.rejected or not self.accepted) and not worked:
                return S.REJECTED
            words = self.reason.lower()
            return S.EXPIRED if any(each in words for each in _EXPIRED) else S.CANCELED
        if filled:
            return S.PARTIALLY_FILLED
        if self.is_ticket:
            return S.NEW if any(part.status not in CLOSED for part in self.parts) else S.STAGED
        return S.NEW if self.accepted else S.PENDING_NEW

    def report(self, now: datetime) -> OrderReport | None:
        """As it is shown to who asks; None while its own row has not come, or tells no side or size."""
        main = self.main
        if main is None or main.side is None or main.quantity <= 0:
            return None
        status = self.status
        return OrderReport(
            broker_order_id=self.broker_id,
            account=main.account,
            symbol=main.symbol,
            side=main.side,
            quantity=main.quantity,
            order_type=main.order_type,
            status=status,
            time=main.time or now,
            order_id=self.client_id or None,
            time_in_force=main.time_in_force,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            filled_quantity=self.filled,
            average_price=self.average_price,
            reason=self.end_reason if status in (S.CANCELED, S.REJECTED) else None,
            text=self.reason,
        )

    @property
    def limit_price(self) -> Decimal | None:
        """Where it has one."""
        main = self.main
        return main.price if main is not None and main.order_type.has_limit else None

    @property
    def stop_price(self) -> Decimal | None:
        """Where it has one."""
        main = self.main
        return main.stop_price if main is not None and main.order_type.has_stop else None

    @property
    def end_reason(self) -> Reason:
        """Why it ended, in our words."""
        cancels = any(status and status not in _ENDED for status in self.cancels.values())
        if self.status is S.CANCELED and (cancels or self.cancel_done or "user cancel" in self.reason.lower()):
            return Reason.USER
        main = self.main
        if main is not None and main.time_in_force.value in ("IOC", "FOK") and self.status is S.CANCELED:
            return Reason.NOT_FILLABLE
        return reason_of(self.reason)


def reason_of(words: str) -> Reason:
    """The code for what the broker says."""
    found = (reason for parts, reason in _REASONS if any(part in words.lower() for part in parts))
    return next(found, Reason.REJECTED)


def _refused_in(asked: dict[str, str]) -> set[str]:
    return {row_id for row_id, status in asked.items() if status in _ENDED}


@dataclass(frozen=True, slots=True)
class Changed:
    """An order's terms were changed: ask what they are now."""

    broker_id: str


@dataclass(frozen=True, slots=True)
class Unheard:
    """Something happened to an order whose own row was never heard: ask what it is, for it may trade a ticket."""

    row: OrderRow


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A fill that was told is none any more, by the broker's word."""

    row: OrderRow


News = OrderEvent | Changed | Unheard | TakenBack


class Book:
    """The orders of one connection."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self.entries: dict[str, Entry] = {}
        """By the broker's id."""
        self.named: dict[str, Entry] = {}
        """By the CLIENT_ORDER_ID."""
        self.heard = 0
        """How many rows the advises have brought."""

    def take(self, row: OrderRow) -> Entry:
        """Take a row in; the order that it is about."""
        entry = self.entries.get(row.broker_id)
        if entry is None:
            entry = self.entries[row.broker_id] = Entry(row.broker_id)
        if row.is_main:
            entry = self._own(entry, row)
            self._main(entry, row)
        elif row.kind == TRADED:
            entry.accepted = True
            if row.status in _ENDED:
                entry.fills.pop(row.row_id, None)
            elif row.price is not None:
                entry.fills[row.row_id] = (row.quantity, row.price)
        elif row.kind == ACCEPTED:
            entry.accepted = True
        elif row.kind == KILLED and row.status not in _ENDED:
            entry.killed = True
            entry.reason = row.reason or entry.reason
        elif row.kind == REJECTED:
            self._refused(entry, row)
        elif row.kind in (CANCEL, CHANGE):
            (entry.cancels if row.kind == CANCEL else entry.changes)[row.row_id] = row.status
            if row.kind == CANCEL and row.status == "COMPLETED":
                entry.cancel_done = True
        return entry

    def hear(self, row: OrderRow) -> Entry:
        """Take in a row that an advise brought."""
        self.heard += 1
        entry = self.take(row)
        entry.heard = self.heard
        return entry

    def recall(self, row: OrderRow, since: int) -> Entry:
        """Take in a row that was asked for when `since` rows had been heard.

        What an advise has told of an order since then is newer. What can only be added to is added.
        """
        entry = self.entries.get(row.broker_id)
        if entry is not None and entry.heard > since and row.kind not in _ADDED:
            return entry
        return self.take(row)

    def _own(self, entry: Entry, row: OrderRow) -> Entry:
        """The order whose own row this is. Ids that begin again are another order's now: its name tells."""
        if entry.client_id in ("", row.client_id) or not row.client_id:
            return entry
        own = self.named.get(row.client_id) or Entry(row.broker_id)
        self.entries[row.broker_id] = own
        return own

    def _main(self, entry: Entry, row: OrderRow) -> None:
        entry.main = row
        entry.accepted |= row.status in ("LIVE", "COMPLETED") or bool(row.traded)
        if row.reason and row.status in _ENDED:
            entry.reason = entry.reason or row.reason
        if row.client_id and not entry.client_id:
            entry.client_id = row.client_id
            self.named[row.client_id] = entry
        if row.ticket_id:
            ticket = self.entries.get(row.ticket_id)
            if ticket is None:
                ticket = self.entries[row.ticket_id] = Entry(row.ticket_id)
            if entry not in ticket.parts:
                ticket.parts.append(entry)

    def _refused(self, entry: Entry, row: OrderRow) -> None:
        """A refusal is of the order itself, unless it names a cancel or change, or the order works already."""
        asked = next((each for each in (entry.cancels, entry.changes) if row.refers_to in each), None)
        if asked is not None:
            asked[row.refers_to] = "DELETED"
        elif not entry.accepted:
            entry.rejected = True
            entry.reason = row.reason or entry.reason

    def find(self, order_id: str, broker_id: str = "") -> Entry | None:
        """An order by our id, else by the broker's where that order has no other's name."""
        entry = self.named.get(order_id)
        if entry is None and broker_id:
            entry = self.entries.get(broker_id)
            if entry is not None and entry.client_id not in ("", order_id):
                return None
        return entry

    def ticket_of(self, entry: Entry) -> Entry:
        """The ticket that an order trades; an order that trades none itself."""
        main = entry.main
        return self.entries.get(main.ticket_id, entry) if main is not None and main.ticket_id else entry

    def settle(self) -> None:
        """What is known now was asked for, and is not told."""
        for entry in self.entries.values():
            entry.told_accepted = entry.accepted
            entry.told_end = entry.status in CLOSED
            entry.told_refused.update(*map(_refused_in, (entry.cancels, entry.changes)))

    # ---- what is news

    def news(self, row: OrderRow, now: datetime, source: int) -> list[News]:
        """Take in a row that an advise brought; what is to be told of it.

        A fill is told as often as one advise brings it: there are two of them, and each brings it once.
        """
        entry = self.hear(row)
        if entry.is_part:
            return [*self._part_news(entry, now)]
        if entry.main is None and row.kind in _ADDED:
            return [Unheard(row)]
        events: list[News] = [*self._accepted(entry, now)]
        if row.kind == TRADED and self._tellable(row) and self._tells(entry, row.row_id, source):
            events.append(Executed(self.execution(row, now), row.time or now))
        elif row.kind == TRADED and row.status in _ENDED and entry.told_fills.pop(row.row_id, 0):
            events.append(TakenBack(row))
        elif row.kind in (CANCEL, CHANGE, REJECTED):
            events += self._refusals(entry, row, now)
        if row.kind in (CHANGE, ADJUSTED) and row.status == "COMPLETED":
            events.append(Changed(entry.broker_id))
        if not entry.told_end:
            events += self._end(entry, now)
        return events

    def found(self, broker_id: str, rows: Iterable[OrderRow], now: datetime) -> list[OrderEvent]:
        """What is to be told of an order that was Unheard, once its rows, those and others, were taken in."""
        entry = self.entries.get(broker_id)
        if entry is None:
            return []
        if entry.is_part:
            return self._part_news(entry, now)
        fills = [Executed(each, each.time) for each in self.executions(rows, now) if each.broker_order_id == broker_id]
        ended = [] if entry.told_end else self._end(entry, now)
        return [*(self._accepted(entry, now) if entry.main is not None else []), *fills, *ended]

    def _accepted(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        if not entry.accepted or entry.told_accepted or entry.rejected:
            return []
        entry.told_accepted = True
        return [OrderAccepted(entry.name, entry.broker_id, now)]

    def _tells(self, entry: Entry, row_id: str, source: int) -> bool:
        told = entry.told_fills.get(row_id, 0)
        entry.told_fills[row_id] = told | source
        return not told or bool(told & source)

    def _part_news(self, part: Entry, now: datetime) -> list[OrderEvent]:
        """The release of a ticket is accepted: the ticket is an order now. Its fills come as the ticket's own."""
        ticket = self.ticket_of(part)
        if not part.accepted or part.told_accepted or ticket is part:
            return []
        part.told_accepted = True
        if not part.client_id.startswith(ticket.client_id + RELEASE):
            return []
        return [OrderAccepted(ticket.name, ticket.broker_id, now)]

    def _refusals(self, entry: Entry, row: OrderRow, now: datetime) -> list[News]:
        """The cancels and changes that are refused by now, each once, whoever heard of it first."""
        words = row.reason or "The broker gave no reason."
        reason = Reason.TOO_LATE if entry.status in CLOSED else reason_of(row.reason)
        events: list[News] = []
        for asked, refusal in ((entry.cancels, CancelRejected), (entry.changes, ReplaceRejected)):
            untold = _refused_in(asked) - entry.told_refused
            entry.told_refused |= untold
            events += [refusal(entry.name, reason, words, now) for _ in untold]
        return events

    def _end(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        status, words = entry.status, entry.reason
        if status not in CLOSED or entry.main is None:
            return []
        entry.told_end = True
        if status is S.CANCELED:
            return [OrderCanceled(entry.name, entry.end_reason, words or "Canceled by the broker.", now)]
        if status is S.EXPIRED:
            return [OrderExpired(entry.name, words, now)]
        if status is S.REJECTED:
            return [OrderRejected(entry.name, entry.end_reason, words or "The broker gave no reason.", now)]
        return []

    # ---- executions

    def execution(self, row: OrderRow, now: datetime) -> Execution:
        """A row of a fill as an execution; what it does not say itself its order does.

        Its id is the row's ORDER_ID. The same id with other figures is the same fill, which the desk shows as a
        difference: what was counted stands.
        """
        entry = self.entries.get(row.broker_id)
        main = entry.main if entry is not None else None
        side = row.side or (main.side if main is not None else None)
        if side is None:
            raise ValueError(f"the fill {row.row_id} has no side")
        kind = main.order_type if main is not None else row.order_type
        quantity = (main.quantity if main is not None else row.order_quantity) or ZERO
        price = (entry.limit_price or entry.stop_price) if main is not None and entry is not None else row.order_price
        return Execution(
            execution_id=row.row_id,
            venue=self._venue,
            account=row.account or (main.account if main is not None else ""),
            symbol=row.symbol or (main.symbol if main is not None else ""),
            side=side,
            quantity=row.quantity,
            price=row.price if row.price is not None else ZERO,
            time=row.time or now,
            order_id=(entry.client_id if entry is not None else "") or row.client_id,
            broker_order_id=row.broker_id,
            currency=row.currency or "USD",
            exchange=row.exchange,
            order_quantity=quantity,
            cumulative_quantity=row.traded or ZERO,
            leaves_quantity=row.residual or ZERO,
            order_average_price=row.average or ZERO,
            order_type=None if main is None else OrderType(kind),
            order_price=price,
            route=row.route,
        )

    def executions(self, rows: Iterable[OrderRow], now: datetime) -> list[Execution]:
        """The fills among rows, without those of orders that trade a ticket: they are there as the ticket's.

        One of which nothing tells whether it bought or sold, how much and at what price, cannot be told (yet); what
        the order has filled, and the position, will show it.
        """
        return [self.execution(row, now) for row in rows if row.kind == TRADED and self._tellable(row)]

    def _tellable(self, row: OrderRow) -> bool:
        if row.price is None or row.quantity <= 0 or row.status in _ENDED:
            return False
        entry = self.entries.get(row.broker_id)
        if entry is None or entry.main is None:
            return row.side is not None
        return not entry.is_part and (row.side or entry.main.side) is not None
