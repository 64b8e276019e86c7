"""What was said of each order, and what of that is news. Pure.

Frames and answers come in any order, and twice. What is filled only grows; an order that ended is not opened again by
an older answer. Fills are told by their ids: as often as the stream brings one, but once when they were asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from txgateway.brokers.ccxt.words import Denied, Fill, Seen
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, Order, OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
S = OrderStatus
MOST = 20_000
"""Orders that ended, and are remembered."""
MOST_WAITING = 2_000
"""Orders that nobody has named, and whose fills wait for that."""
TRIES = 6
"""How often missing fills are asked for in vain before that is told, and left to the next reconciliation."""
_RANK = {S.UNKNOWN: 0, S.PENDING_NEW: 1, S.NEW: 2, S.PENDING_CANCEL: 2, S.PARTIALLY_FILLED: 3}
"""An open order's state only goes on."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One order. `name` is ours, or what another gave it; `ours`: this process sent it.

    `told_*` is what was told; `fills` what each fill was, by its id. `first` was filled when we first heard of it, at
    `since`, and `before` is what of that is in no fill that came.
    `shown` is filled by its own figure; `whole`, where it said no figure, but that all is. `tries`: so often was asked
    for the fills that are missing.
    `asked` is a replace without an answer. Until `unsettled` (the reactor's seconds) it may still arrive.
    `refused`: it surely did not; `lost`: the exchange has no such order. What it shows all the same is there.
    """

    name: str
    symbol: str
    ours: bool = False
    order: Order | None = None
    broker_id: str = ""
    status: OrderStatus = S.PENDING_NEW
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    shown: Decimal = ZERO
    whole: Decimal = ZERO
    tries: int = 0
    first: Decimal = ZERO
    since: datetime | None = None
    before: Decimal = ZERO
    average: Decimal = ZERO
    text: str = ""
    fills: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    told_accepted: bool = False
    told_end: bool = False
    cancel_asked: bool = False
    unsettled: float = 0.0
    refused: bool = False
    lost: bool = False
    asked: tuple[Decimal, Decimal | None] | None = None

    @property
    def key(self) -> str:
        """How events name it."""
        return self.name or self.broker_id

    @property
    def filled(self) -> Decimal:
        """So much is filled, by its fills or by its own figure: whichever knows of more."""
        return max(self.shown, self.known)

    @property
    def known(self) -> Decimal:
        """What its fills add up to."""
        return sum((quantity for quantity, _ in self.fills.values()), ZERO)

    @property
    def over(self) -> bool:
        """Whether it works no more."""
        return self.status in CLOSED

    @property
    def wants(self) -> bool:
        """Whether fills of it are missing: they must be asked for."""
        return self.lacks > 0 and self.tries < TRIES

    @property
    def lacks(self) -> Decimal:
        """How much is filled whose fills have not come."""
        return max(ZERO, self.shown, self.whole) - self.known - self.before


class Book:
    """The orders of a venue, over all its links. `execution_of` makes an execution of a fill, given our order's id.

    An exchange's id of an order is one of its pair: Binance numbers the orders of each pair by themselves.
    """

    def __init__(self, execution_of: Callable[[Fill, str], Execution]) -> None:
        self._execution_of = execution_of
        self._named: dict[str, Entry] = {}
        self._numbered: dict[tuple[str, str], Entry] = {}
        self._waiting: dict[tuple[str, str], list[Fill]] = {}
        """Fills of orders that nobody has named yet, by pair and the broker's id."""

    # finding

    def find(self, name: str, broker_id: str = "", symbol: str = "") -> Entry | None:
        """By our id, else by the broker's where that order, of that pair, has no other's name."""
        entry = self._named.get(name) if name else None
        if entry is None and broker_id:
            entry = self._numbered.get((symbol, broker_id))
            if entry is not None and name and entry.name not in ("", name):
                return None
        return entry

    def name_of(self, symbol: str, broker_id: str) -> str:
        """The name of the order of a pair that has a broker's id; empty when it is not known."""
        entry = self._numbered.get((symbol, broker_id))
        return entry.name if entry is not None else ""

    def is_ours(self, name: str) -> bool:
        """Whether this process sent an order of this name."""
        entry = self._named.get(name)
        return entry is not None and entry.ours

    def open(self) -> list[Entry]:
        """Those that work, as far as was heard."""
        return [entry for entry in self._all() if not entry.over and not entry.lost]

    def wanting(self) -> list[Entry]:
        """Those of which fills are missing."""
        return [entry for entry in self._all() if entry.wants]

    def _all(self) -> list[Entry]:
        return list({**dict.fromkeys(self._named.values()), **dict.fromkeys(self._numbered.values())})

    # what we do

    def sent(self, order: Order) -> Entry:
        """An order is about to be sent."""
        entry = Entry(
            name=order.order_id,
            symbol=order.symbol,
            ours=True,
            order=order,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            quantity=order.quantity,
            limit=order.limit_price,
            stop=order.stop_price,
        )
        self._named[entry.name] = entry
        self._forget()
        return entry

    def dropped(self, entry: Entry) -> None:
        """It surely did not arrive: nothing is known of it."""
        entry.status, entry.told_end, entry.refused = S.REJECTED, True, True

    def _forget(self) -> None:
        """Of too many, the oldest that ended: others may trade with the same key, and we never."""
        if max(len(self._named), len(self._numbered)) <= 2 * MOST:
            return
        gone = set([each for each in self._all() if (each.over or each.lost) and not each.wants][:MOST])
        self._named = {name: each for name, each in self._named.items() if each not in gone}
        self._numbered = {number: each for number, each in self._numbered.items() if each not in gone}

    # what the exchange says

    def see(self, seen: Seen, now: datetime) -> list[OrderEvent]:
        """Take in what was said of an order; what is to be told of it."""
        entry = self.find(seen.name, seen.broker_id, seen.symbol)
        if entry is None:
            self._forget()
            filled = seen.filled or ZERO
            entry = Entry(
                name=seen.name, symbol=seen.symbol, told_accepted=True, first=filled, since=seen.time, before=filled
            )
            if seen.name:
                self._named[seen.name] = entry
        if entry.refused and seen.status not in (S.REJECTED, S.UNKNOWN):
            entry.status, entry.told_accepted, entry.told_end, entry.refused = S.PENDING_NEW, False, False, False
        entry.lost = False
        self._identify(entry, seen)
        events = self._progress(entry, seen, now)
        waiting = self._waiting.pop((entry.symbol, entry.broker_id), [])
        return events + [event for each in waiting for event in self.fill(each, now)]

    def _identify(self, entry: Entry, seen: Seen) -> None:
        if seen.name and not entry.name:
            entry.name = seen.name
            self._named[seen.name] = entry
        entry.symbol = entry.symbol or seen.symbol
        if seen.broker_id and entry.broker_id != seen.broker_id:
            entry.broker_id = seen.broker_id
            self._numbered[entry.symbol, seen.broker_id] = entry

    def _progress(self, entry: Entry, seen: Seen, now: datetime) -> list[OrderEvent]:
        older = (seen.filled or ZERO) < entry.shown if seen.filled is not None else False
        if seen.filled is not None and seen.filled > entry.shown:
            entry.shown, entry.tries = seen.filled, 0
        elif seen.filled is None and seen.status is S.FILLED and entry.quantity is not None:
            entry.whole = entry.quantity
        entry.average = seen.average or entry.average
        if not entry.ours:
            entry.side, entry.order_type = seen.side or entry.side, seen.order_type or entry.order_type
            entry.time_in_force = seen.time_in_force or entry.time_in_force
        was_over = entry.over
        if not was_over and (seen.status in CLOSED or _RANK.get(seen.status, 0) > _RANK.get(entry.status, 0)):
            entry.status, entry.text = seen.status, seen.text or entry.text
        events: list[OrderEvent] = []
        refused = seen.status is S.REJECTED
        if not entry.told_accepted and seen.broker_id and not refused and seen.status is not S.UNKNOWN:
            entry.told_accepted = True
            events.append(OrderAccepted(entry.key, entry.broker_id, now))
        if not was_over and not older:
            events += self._terms(entry, seen, now)
        if entry.over and not was_over:
            events += self._end(entry, now)
        return events

    def _terms(self, entry: Entry, seen: Seen, now: datetime) -> list[OrderEvent]:
        """Terms that are others than those we know; only from who tells them whole."""
        if not seen.whole or seen.quantity is None or seen.status in CLOSED:
            return []
        limit = seen.limit if entry.order_type is None or entry.order_type.has_limit else None
        shown = (seen.quantity, limit)
        if entry.quantity is None:
            entry.quantity, entry.limit, entry.stop = seen.quantity, seen.limit, seen.stop
            return []
        if shown == (entry.quantity, entry.limit) or not seen.replaced:
            return []
        entry.quantity, entry.limit, entry.asked = seen.quantity, limit, None
        return [OrderReplaced(entry.key, seen.quantity, limit, entry.stop, now, entry.broker_id)]

    def _end(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        if entry.told_end:
            return []
        entry.told_end = True
        text = entry.text
        if entry.status is S.FILLED:
            return self.too_late(entry, now)
        asked, entry.cancel_asked, entry.asked = entry.cancel_asked, False, None
        if entry.status is S.REJECTED:
            return [OrderRejected(entry.key, Reason.REJECTED, text or "The exchange gave no reason.", now)]
        short = entry.time_in_force in (TimeInForce.IOC, TimeInForce.FOK) or entry.order_type is OrderType.MARKET
        if short and not asked:
            said = text or "The market did not show enough."
            return [OrderCanceled(entry.key, Reason.NOT_FILLABLE, said, now)]
        if entry.status is S.EXPIRED:
            return [OrderExpired(entry.key, text or "Expired at the exchange.", now)]
        said = text or ("Canceled as asked." if asked else "Canceled at the exchange.")
        return [OrderCanceled(entry.key, Reason.USER, said, now)]

    def too_late(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        """What was asked for and is overtaken by the order's end."""
        events: list[OrderEvent] = []
        text = f"The order was {entry.status} before it."
        if entry.asked is not None:
            events.append(ReplaceRejected(entry.key, Reason.TOO_LATE, text, now))
        if entry.cancel_asked:
            events.append(CancelRejected(entry.key, Reason.TOO_LATE, text, now))
        entry.asked, entry.cancel_asked = None, False
        return events

    def deny(self, denied: Denied, now: datetime) -> list[OrderEvent]:
        """A cancel or replace was refused after it had been taken in."""
        entry = self.find(denied.name, denied.broker_id, denied.symbol)
        if entry is None:
            return []
        if denied.asked == "cancel" and entry.cancel_asked:
            entry.cancel_asked = False
            return [CancelRejected(entry.key, Reason.REJECTED, denied.text, now)]
        if denied.asked == "replace" and entry.asked is not None:
            entry.asked = None
            return [ReplaceRejected(entry.key, Reason.REJECTED, denied.text, now)]
        return []

    def _was_before(self, entry: Entry, fill: Fill) -> None:
        """A fill of what was filled when the order was first heard of: it is not counted twice."""
        counted = fill.cumulative is not None and fill.cumulative <= entry.first
        in_time = fill.cumulative is None and entry.since is not None and fill.time <= entry.since
        if counted or in_time:
            entry.before = max(ZERO, entry.before - fill.quantity)

    def fill(self, fill: Fill, now: datetime, asked_for: bool = False) -> list[OrderEvent]:
        """Take in a fill. One that was asked for is only told when it was not; one of nobody's order waits."""
        entry = self.find(fill.name, fill.broker_id, fill.symbol)
        if entry is None and not fill.name and not asked_for:
            self._waiting.setdefault((fill.symbol, fill.broker_id), []).append(fill)
            if len(self._waiting) > MOST_WAITING:  # the next reconciliation asks for it
                del self._waiting[next(iter(self._waiting))]
            return []
        if entry is None:
            return [Executed(self._execution_of(fill, fill.name), fill.time)]
        known = fill.execution_id in entry.fills
        if not known and entry.before:
            self._was_before(entry, fill)
        entry.fills[fill.execution_id] = (fill.quantity, fill.price)
        if known and asked_for:
            return []
        events: list[OrderEvent] = []
        if not entry.told_accepted and fill.broker_id:
            entry.told_accepted = True
            events.append(OrderAccepted(entry.key, fill.broker_id, now))
        events.append(Executed(self._execution_of(fill, entry.name), fill.time))
        return events
