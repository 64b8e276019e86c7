"""An order as message 3 brings it, an execution, an account. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from tests.emulators.tws.contracts import ZERO, Asked, Contract
from tests.emulators.tws.wire import NotUnderstood, Reader

D = Decimal
WITH_LIMIT, WITH_STOP = ("LMT", "STP LMT"), ("STP", "STP LMT")
TYPES = ("MKT", "LMT", "STP", "STP LMT")
TIFS = ("DAY", "GTC", "GTD", "IOC", "FOK")
ENDED = ("Filled", "Cancelled", "Inactive")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a client wants of an order. The rest of the message is read, and given back by no one."""

    action: str
    quantity: Decimal
    kind: str
    limit: Decimal | None
    stop: Decimal | None
    tif: str
    oca_group: str = ""
    account: str = ""
    ref: str = ""
    transmit: bool = True
    parent: int = 0
    outside: bool = False
    oca_type: int = 0
    good_till: str = ""
    model: str = ""
    what_if: bool = False
    algo: str = ""
    algo_params: tuple[tuple[str, str], ...] = ()

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.action == "BUY"


@dataclass(slots=True)
class Order:
    """One order and how far it is."""

    id: int
    client: int
    perm: int
    contract: Contract
    exchange: str
    """As the client wrote it, SMART."""
    ticket: Ticket
    status: str = "PreSubmitted"
    filled: Decimal = ZERO
    turnover: Decimal = ZERO
    last_price: Decimal = ZERO
    triggered: bool = True
    held: bool = False
    """Not transmitted, or its parent is not filled."""
    transmitted: bool = True
    pending: bool = True
    """Not at the exchange yet."""
    locating: bool = False
    """Shares to sell short are looked for."""
    completed_at: str = ""
    completed_how: str = ""

    @property
    def left(self) -> Decimal:
        """What may still be filled; nothing once it has ended."""
        return D(0) if self.is_over else self.ticket.quantity - self.filled

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @property
    def works(self) -> bool:
        """Whether it may be filled."""
        return self.transmitted and not (self.is_over or self.held or self.pending)

    @property
    def average(self) -> Decimal:
        """Of its fills."""
        return self.turnover / self.filled if self.filled else D(0)

    @property
    def why_held(self) -> str:
        """As orderStatus has it."""
        if self.is_over:
            return ""
        child = self.held and self.ticket.parent
        whys = (("child", child), ("locate", self.locating), ("trigger", not self.triggered))
        return ",".join(why for why, so in whys if so)

    def may_pay(self, price: Decimal) -> bool:
        """Whether it may be filled at a price."""
        limit = self.ticket.limit
        if self.ticket.kind not in WITH_LIMIT or limit is None:
            return True
        return price <= limit if self.ticket.buys else price >= limit


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill."""

    id: str
    order: int
    client: int
    perm: int
    contract: Contract
    exchange: str
    at: datetime
    account: str
    buys: bool
    size: Decimal
    price: Decimal
    so_far: Decimal
    average: Decimal
    ref: str
    commission: Decimal
    realized: Decimal | None
    """None when it opened a position."""


@dataclass(slots=True)
class Held:
    """A position."""

    contract: Contract
    size: Decimal = ZERO
    cost: Decimal = ZERO
    """Its average price, with the multiplier and the commission in it."""
    entry: Decimal = ZERO
    """The same without the commission."""
    realized: Decimal = ZERO


@dataclass(slots=True)
class Account:
    """Money and positions."""

    name: str
    cash: Decimal
    held: dict[int, Held] = field(default_factory=dict)

    def trade(self, contract: Contract, size: Decimal, price: Decimal, commission: Decimal) -> Decimal | None:
        """One fill, size signed; what it realized, or None."""
        position = self.held.setdefault(contract.con_id, Held(contract))
        worth = price * contract.times
        self.cash -= commission
        if contract.kind != "FUT":
            self.cash -= size * worth
        had, now = position.size, position.size + size
        if had == 0 or (had > 0) == (size > 0):
            paid = worth * abs(size) + (commission if size > 0 else -commission)
            position.cost = (position.cost * abs(had) + paid) / abs(now)
            position.entry = (position.entry * abs(had) + worth * abs(size)) / abs(now)
            position.size = now
            return None
        closed = min(abs(had), abs(size)) * (1 if had > 0 else -1)
        realized = closed * (worth - position.cost) - commission
        if contract.kind == "FUT":
            self.cash += closed * (worth - position.entry)
        position.realized += realized
        position.size = now
        if now == 0:
            position.cost = position.entry = D(0)
        elif (now > 0) != (had > 0):
            position.cost = position.entry = worth
        return realized


def read_contract(reader: Reader) -> Asked:
    """The twelve fields by which most messages name a contract."""
    return Asked(
        con_id=reader.int(),
        symbol=reader.next(),
        kind=reader.next(),
        expiry=reader.next(),
        strike=reader.decimal() or D(0),
        right=reader.next(),
        multiplier=reader.next(),
        exchange=reader.next(),
        primary=reader.next(),
        currency=reader.next(),
        local=reader.next(),
        trading_class=reader.next(),
    )


def read_order(reader: Reader, version: int) -> tuple[int, Asked, Ticket]:
    """Message 3 behind its number: the order's id, what it is in, what is wanted."""
    number, asked = reader.int(), read_contract(reader)
    reader.skip(2)  # secIdType, secId
    if asked.kind == "BAG":
        raise NotUnderstood("combos (BAG) are not traded here")
    action, quantity, kind = reader.next(), reader.decimal() or D(0), reader.next()
    limit, stop = reader.decimal(), reader.decimal()
    tif, oca_group, account = reader.next(), reader.next(), reader.next()
    reader.skip(2)  # openClose, origin
    ref, transmit, parent = reader.next(), reader.bool(), reader.int()
    first = Ticket(action, quantity, kind, limit, stop, tif, oca_group, account, ref, transmit, parent)
    reader.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    outside = reader.bool()
    reader.skip(4)  # hidden, shares allocation, discretionaryAmt, goodAfterTime
    good_till = reader.next()
    reader.skip(3 + (version < 177))  # faGroup, faMethod, faPercentage, faProfile
    model = reader.next()
    reader.skip(3)  # shortSaleSlot, designatedLocation, exemptCode
    oca_type = reader.int()
    reader.skip(17)  # rule80A to volatilityType
    if reader.next():  # deltaNeutralOrderType
        raise NotUnderstood("delta neutral orders are not traded here")
    reader.skip(7)  # deltaNeutralAuxPrice to scaleSubsLevelSize
    if (reader.decimal() or 0) > 0:
        reader.skip(7)
    reader.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if reader.next():  # hedgeType
        reader.skip()
    reader.skip(4)  # optOutSmartRouting, clearingAccount, clearingIntent, notHeld
    if reader.bool():  # deltaNeutralContract
        reader.skip(3)
    algo = reader.next()
    params = tuple((reader.next(), reader.next()) for _ in range(reader.int())) if algo else ()
    reader.skip()  # algoId
    what_if = reader.bool()
    reader.skip(4)  # orderMiscOptions, solicited, randomizeSize, randomizePrice
    if first.kind in ("PEG BENCH", "PEGBENCH"):
        reader.skip(5)
    if reader.int():
        raise NotUnderstood("conditions are not traded here")
    later = ((158, 1), (160, 1), (162, 1), (166, 1), (169, 1))
    reader.skip(19 + sum(count for since, count in later if version >= since))
    if version >= 170:
        reader.skip(asked.exchange == "IBKRATS")
        if first.kind in ("PEG BEST", "PEGBEST", "PEG MID", "PEGMID"):
            reader.rest()
            return number, asked, first
    if reader.rest():
        raise NotUnderstood(f"an order with {len(reader.rest())} fields too many")
    more = {"outside": outside, "good_till": good_till, "model": model, "oca_type": oca_type, "what_if": what_if}
    return number, asked, replace(first, algo=algo, algo_params=params, **more)  # type: ignore[arg-type]
