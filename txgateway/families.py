"""Orders that belong together, folded from the journal with the rest of the state: an entry with its exits, and the
members of an oco group. Pure.

They outlive the trading day: an exit works on when its entry left the state. What is over is kept packed for the day,
because a late fill may still belong to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from txgateway.model.difference import What
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    CancelRequested,
    DifferenceFound,
    Event,
    Executed,
    ExitsEnded,
    ExitTriggered,
    FlattenRequested,
    OrderAmended,
    OrderCanceled,
    OrderEvent,
    OrderReplaced,
    OrderSubmitted,
    ReplaceRejected,
    ReplaceRequested,
    StopHeld,
)
from txgateway.model.exits import KEEPER, ExitPlan, Leg, exit_key
from txgateway.model.order import CLOSED, Order, OrderStatus, Origin, Side
from txgateway.model.scope import Subject

ZERO = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Family:
    """An entry and its exits. `orders` are all exits there ever were, `alive` those that are not closed.

    `exited` is what they filled (an undo aside: that is `undone`). `asked` are exits whose cancel somebody asked for,
    and who. A leg that a person ended is `given_up`; one whose price a person set, here or at the broker, stands
    `by_hand`. `changing` are exits of whose replace the answer is to come, `sought` the prices that were asked for,
    `prices` the last that were sent or held. `began` is the first fill's time, `closing` why all is to be closed at the
    market, `ended` why nothing more is to be done. `attached` are the exits that the broker was given with the entry:
    they sleep until it is `whole`, filled to its last share.
    """

    entry: str
    venue: str
    account: str
    symbol: str
    side: Side
    plan: ExitPlan
    owner: str
    origin: str
    route: str
    signal: str = ""
    strategy: str = ""
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    began: datetime | None = None
    open: bool = True
    orders: dict[str, Leg] = field(default_factory=dict)
    alive: dict[str, Leg] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    exited: Decimal = ZERO
    undone: Decimal = ZERO
    given_up: list[Leg] = field(default_factory=list)
    by_hand: list[Leg] = field(default_factory=list)
    changing: list[str] = field(default_factory=list)
    sought: dict[Leg, Decimal] = field(default_factory=dict)
    prices: dict[Leg, Decimal] = field(default_factory=dict)
    closing: str = ""
    ended: str = ""
    reported: Decimal = ZERO
    attached: list[str] = field(default_factory=list)
    whole: bool = False

    @property
    def left(self) -> Decimal:
        """What of the entry's fills has not been left again; below zero when too much has."""
        return self.filled - self.exited + self.undone

    @property
    def average_price(self) -> Decimal:
        """What the entry was filled at."""
        return self.cost / self.filled if self.filled else ZERO

    @property
    def long(self) -> bool:
        """Whether the entry bought."""
        return self.side is Side.BUY

    @property
    def wanted(self) -> list[Leg]:
        """The exits that are to work while there is something left, the one that protects first."""
        if self.ended:
            return []
        if self.closing:
            legs = [Leg.CLOSE]
        else:
            legs = [Leg.STOP_LOSS] if self.plan.stops else []
            legs += [Leg.TAKE_PROFIT] if self.plan.take_profit is not None else []
        return [leg for leg in legs if leg not in self.given_up]

    @property
    def bare(self) -> bool:
        """Whether exits were attached, and no stop that belongs to the position works: it sleeps, or is gone."""
        if not self.attached or self.left <= 0 or Leg.STOP_LOSS not in self.wanted:
            return False
        stops = [order_id for order_id, leg in self.alive.items() if leg is Leg.STOP_LOSS]
        return not any(self.whole or order_id not in self.attached for order_id in stops)

    @property
    def asleep(self) -> list[str]:
        """The exits that the broker holds, and does not work yet: their entry is not filled whole."""
        return [] if self.whole else [each for each in self.alive if each in self.attached]

    @property
    def over(self) -> bool:
        """Nothing more is to be done, as far as is known."""
        if self.open or self.alive or (self.left < 0 and Leg.UNDO not in self.given_up):
            return False
        holds = self.plan.hold_seconds is not None and not self.closing and not self.ended
        return self.left <= 0 or not (self.wanted or holds)

    def named(self, leg: Leg) -> str:
        """The client_order_id of the leg's next order."""
        return exit_key(self.entry, leg, 1 + sum(each is leg for each in self.orders.values()))


@dataclass(slots=True, kw_only=True)
class Group:
    """The orders of one account with one oco name: what each of them filled, of how much, and which still work."""

    venue: str
    account: str
    name: str
    filled: dict[str, Decimal] = field(default_factory=dict)
    sizes: dict[str, Decimal] = field(default_factory=dict)
    alive: list[str] = field(default_factory=list)
    reported: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """What all of them filled."""
        return sum(self.filled.values(), ZERO)

    @property
    def size(self) -> Decimal:
        """What all of them together should fill at most: the largest of them."""
        return max(self.sizes.values(), default=ZERO)


Kin = Family | Group
_KINDS: dict[str, type[Family] | type[Group]] = {"N": Family, "O": Group}
_decoders = {tag: msgspec.json.Decoder(kind) for tag, kind in _KINDS.items()}
_encode = msgspec.json.Encoder().encode


def group_key(account: str, name: str) -> str:
    """How a group is found: an account's groups are its own, and no order id has a slash."""
    return f"{account}/{name}"


class Families:
    """All families and groups: those that live, and those that ended on their venue's trading day."""

    def __init__(self) -> None:
        self.live: dict[str, Family] = {}
        self.groups: dict[str, Group] = {}
        self._ended: dict[str, tuple[str, str, bytes]] = {}
        self._kin: dict[str, str] = {}

    # reading

    def find(self, order_id: str) -> Family | None:
        """The family of an entry or of one of its exits; one that ended is of today."""
        found = self._get(self._kin.get(order_id, order_id))
        return found if isinstance(found, Family) else None

    def group(self, key: str) -> Group | None:
        """An oco group, if one of its orders works or was filled today."""
        found = self._get(key)
        return found if isinstance(found, Group) else None

    def _get(self, key: str) -> Kin | None:
        live = self.live.get(key) or self.groups.get(key)
        if live is not None:
            return live
        ended = self._ended.get(key)
        return None if ended is None else _decoders[ended[0]].decode(ended[2])

    # the fold

    def take(self, event: OrderEvent, order: Order | None) -> None:
        """Take in what happened to an order that has, or is, an exit, or that belongs to a group."""
        if order is not None and order.oco:
            self._take_group(order)
        if order is not None:
            if order.exits is None and order.leg is None:
                return
            entry = order.parent or order.order_id
        else:
            entry = self._kin.get(event.order_id, event.order_id)
        family = self._get(entry)
        if family is None and order is not None and isinstance(event, OrderSubmitted) and order.exits is not None:
            family = _family(order, order.exits)
        if isinstance(event, OrderAmended):
            family = _amended(family if isinstance(family, Family) else None, event, order)
        if not isinstance(family, Family):
            return
        if event.order_id == entry:
            _entry_changed(family, event, order)
        else:
            self._kin[event.order_id] = entry
            _exit_changed(family, event, order)
        self._keep(entry, "N", family, family.over)

    def note(self, event: Event) -> None:
        """Take in what the gateway, or a person, decided over an entry's exits."""
        if not isinstance(event, ExitTriggered | ExitsEnded | StopHeld):
            return
        family = self.live.get(event.order_id)
        if family is None:
            return
        if isinstance(event, ExitTriggered):
            family.closing = family.closing or event.text
        elif isinstance(event, ExitsEnded):
            family.ended = family.ended or event.text
        else:
            family.prices[Leg.STOP_LOSS] = event.stop_price
        self._keep(event.order_id, "N", family, family.over)

    def report(self, event: DifferenceFound) -> None:
        """Take in that somebody was told of too much that was filled."""
        kin = self._get(event.key) if event.what in (What.EXITS, What.OCO) else None
        if kin is not None:
            kin.reported = Decimal(event.theirs)
            over = kin.over if isinstance(kin, Family) else not kin.alive
            self._keep(event.key, "N" if isinstance(kin, Family) else "O", kin, over)

    def flatten(self, event: FlattenRequested) -> None:
        """Attach nothing more to what is flattened: it would close what is entered later."""
        for family in self:
            subject = Subject(family.venue, family.account, family.owner, Origin(family.origin), family.symbol)
            if event.scope.covers(subject):
                family.ended = family.ended or f"{event.by} flattened {event.scope}."
                self._keep(family.entry, "N", family, family.over)

    def _take_group(self, order: Order) -> None:
        key = group_key(order.account, order.oco)
        group = self._get(key)
        if not isinstance(group, Group):
            group = Group(venue=order.venue, account=order.account, name=order.oco)
        order_id = order.order_id
        group.filled[order_id], group.sizes[order_id] = order.filled_quantity, order.quantity + order.reduced
        if order_id in group.alive:
            group.alive.remove(order_id)
        if order.status not in CLOSED:
            group.alive.append(order_id)
        elif not order.filled_quantity:
            del group.filled[order_id], group.sizes[order_id]
        self._keep(key, "O", group, not group.alive)

    def _keep(self, key: str, tag: str, kin: Kin, over: bool) -> None:
        home: dict[str, Family] | dict[str, Group] = self.live if tag == "N" else self.groups
        home.pop(key, None)
        self._ended.pop(key, None)
        if not over:
            home[key] = kin  # type: ignore[assignment]
        elif isinstance(kin, Family) or kin.total:
            self._ended[key] = (tag, kin.venue, _encode(kin))

    def start_day(self, venue: str) -> None:
        """Forget what ended on the venue's day before."""
        gone = {key for key, (_, at, _) in self._ended.items() if at == venue}
        for key in gone:
            del self._ended[key]
        if gone:
            self._kin = {exit_id: entry for exit_id, entry in self._kin.items() if entry not in gone}

    # snapshots

    def dump(self) -> list[tuple[str, str, bytes]]:
        """(tag, key, JSON) of everything, as it is at this moment."""
        live = [("N", key, _encode(family)) for key, family in self.live.items()]
        groups = [("O", key, _encode(group)) for key, group in self.groups.items()]
        return [*live, *groups, *((tag.lower(), key, body) for key, (tag, _, body) in self._ended.items())]

    def load(self, tag: str, key: str, body: bytes) -> None:
        """Take in one line of `dump`."""
        kin: Kin = _decoders[tag.upper()].decode(body)
        if isinstance(kin, Family):
            self._kin.update(dict.fromkeys(kin.orders, key))
        self._keep(key, tag.upper(), kin, tag.islower())

    def __iter__(self) -> Iterator[Family]:
        """The families that live."""
        return iter(list(self.live.values()))


def _family(order: Order, plan: ExitPlan) -> Family:
    return Family(
        entry=order.order_id,
        venue=order.venue,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        plan=plan,
        owner=order.owner,
        origin=order.origin.value,
        route=order.route,
        signal=order.signal,
        strategy=order.strategy,
    )


def _amended(family: Family | None, event: OrderAmended, order: Order | None) -> Family | None:
    """The family with another plan. Who ended a leg, or set its price, did so under the plan before."""
    plan, entry = event.exits, order or event.order
    if plan is None or (family is None and entry is None):
        return family
    if family is None and entry is not None:
        family = _family(entry, plan)
        family.filled, family.cost, family.began = event.left, event.left * event.price, event.began
        family.open = entry.status not in CLOSED
    assert family is not None
    if family.ended:
        family.filled, family.ended = event.left + family.exited - family.undone, ""
        family.cost = family.filled * event.price
    before, family.plan = family.plan, plan
    for leg in (Leg.STOP_LOSS, Leg.TAKE_PROFIT):
        if before.levels(leg) != plan.levels(leg):
            family.given_up = [each for each in family.given_up if each is not leg]
            family.by_hand = [each for each in family.by_hand if each is not leg]
    return family


def _entry_changed(family: Family, event: Event, order: Order | None) -> None:
    if isinstance(event, Executed):
        fill = event.execution
        family.filled += fill.quantity - fill.taken
        family.cost += fill.quantity * fill.price
        family.began = family.began or fill.time
    if order is not None:
        family.open = order.status not in CLOSED
        family.whole = order.status is OrderStatus.FILLED


def _stand(family: Family, leg: Leg, by_hand: bool) -> None:
    """Note whether a person set a leg's price."""
    family.by_hand = [each for each in family.by_hand if each is not leg] + [leg] * by_hand


def _answered(family: Family, order_id: str) -> bool:
    """An exit was told of: whether a replace of it was asked for here."""
    if order_id not in family.changing:
        return False
    family.changing.remove(order_id)
    return True


def _exit_changed(family: Family, event: OrderEvent, order: Order | None) -> None:
    order_id = event.order_id
    leg = family.orders.get(order_id) or (order.leg if order is not None else None)
    if leg is None:
        return
    family.orders[order_id] = leg
    if isinstance(event, OrderSubmitted) and event.terms.attached:
        family.attached.append(order_id)
    if isinstance(event, Executed):
        quantity = event.execution.quantity
        if leg is Leg.UNDO:
            family.undone += quantity
        else:
            family.exited += quantity
    elif isinstance(event, CancelRequested):
        if event.by != KEEPER or order_id not in family.asked:
            family.asked[order_id] = event.by
    elif isinstance(event, CancelRejected):
        family.asked.pop(order_id, None)
    elif isinstance(event, OrderCanceled):
        by_person = family.asked.get(order_id, KEEPER if order_id in family.attached else "") != KEEPER
        if event.reason is Reason.USER and by_person and leg not in family.given_up:
            family.given_up.append(leg)
    elif isinstance(event, ReplaceRequested):
        asked = event.stop_price if leg is Leg.STOP_LOSS else event.limit_price
        if asked is not None:
            family.sought[leg] = asked
            _stand(family, leg, event.by != KEEPER)
        if order_id not in family.changing:
            family.changing.append(order_id)
    elif isinstance(event, ReplaceRejected):
        _answered(family, order_id)
    if order is None:
        return
    price = order.stop_price if leg is Leg.STOP_LOSS else order.limit_price
    if price is not None and isinstance(event, OrderSubmitted | OrderReplaced):
        known = price in (family.prices.get(leg), family.sought.get(leg))
        if isinstance(event, OrderReplaced) and not _answered(family, order_id) and not known:
            _stand(family, leg, True)
        family.prices[leg] = price
    if order.status in CLOSED:
        _answered(family, order_id)
        family.alive.pop(order_id, None)
    else:
        family.alive[order_id] = leg
