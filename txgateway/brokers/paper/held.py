"""An order as the paper broker holds it: what it was sent, how far it is filled, what it reserves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from txgateway.model.errors import Reason
from txgateway.model.execution import Execution
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
Refusal = tuple[Reason, str]
"""Why something was not done: the code and a sentence."""
OPEN = frozenset({OrderStatus.STAGED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """One order, changed in place as it lives. `number` counts the orders of this book from 1.

    `called` is the number in its broker_order_id where ids began again, else 0. `priority` is its place in time among
    orders at one price. `triggered` is a stop's, once the market has reached it. `value` is what its fills traded for.
    `reserve_price` is what each unit still to fill is reserved at. `written` is true once the book has it.
    """

    number: int
    order_id: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None
    stop_price: Decimal | None
    received: datetime
    status: OrderStatus
    asset_class: AssetClass = AssetClass.STOCK
    currency: str = "USD"
    cusip: str = ""
    priority: int = 0
    triggered: bool = False
    called: int = 0
    expires: datetime | None = None
    filled: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO
    reserve_price: Decimal = ZERO
    reason: Reason | None = None
    text: str = ""
    written: bool = False

    @property
    def broker_order_id(self) -> str:
        """Our name for the order."""
        return f"P{self.called or self.number:06}"

    @property
    def buys(self) -> bool:
        """True for a buy."""
        return self.side is Side.BUY

    @property
    def leaves(self) -> Decimal:
        """What is still to fill while it is open."""
        return self.quantity - self.filled

    @property
    def open(self) -> bool:
        """True until it is filled, or ended otherwise."""
        return self.status in OPEN

    @property
    def waits_for_stop(self) -> bool:
        """True for a stop that the market has not reached."""
        return self.order_type.has_stop and not self.triggered

    @property
    def average_price(self) -> Decimal:
        """What a filled unit cost on average."""
        return self.value / self.filled if self.filled else ZERO

    def report(self) -> OrderReport:
        """The order as it is told to who asks."""
        return OrderReport(
            broker_order_id=self.broker_order_id,
            order_id=self.order_id,
            account=self.account,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            status=self.status,
            time=self.received,
            filled_quantity=self.filled,
            average_price=self.average_price,
            reason=self.reason,
            text=self.text,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of a held order, numbered through the whole book; `cumulative` and `value` are the order's after it."""

    number: int
    order_number: int
    quantity: Decimal
    price: Decimal
    commission: Decimal
    time: datetime
    order_quantity: Decimal
    cumulative: Decimal
    value: Decimal


def execution(held: Held, fill: Fill, venue: str, serial: str) -> Execution:
    """A fill as it is told; `serial` is the book's own, so that ids of a new book never repeat an old one's."""
    return Execution(
        execution_id=f"{serial}-{fill.number:06}",
        venue=venue,
        account=held.account,
        symbol=held.symbol,
        side=held.side,
        quantity=fill.quantity,
        price=fill.price,
        time=fill.time,
        order_id=held.order_id,
        broker_order_id=held.broker_order_id,
        commission=fill.commission,
        currency=held.currency,
        exchange="PAPER",
        order_quantity=fill.order_quantity,
        cumulative_quantity=fill.cumulative,
        leaves_quantity=fill.order_quantity - fill.cumulative,
        order_average_price=fill.value / fill.cumulative,
        cusip=held.cusip,
    )


def taken(order: Order, number: int, called: int, instrument: Instrument | None, now: datetime) -> Held:
    """An order as it comes in."""
    held = Held(
        number=number,
        called=0 if called == number else called,
        order_id=order.order_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        received=now,
        status=OrderStatus.PENDING_NEW,
    )
    if instrument is not None:
        held.asset_class, held.currency, held.cusip = instrument.asset_class, instrument.currency, instrument.cusip
    return held


def bad_terms(held: Held, instrument: Instrument) -> Refusal | None:
    """Terms against the type and the instrument's steps."""
    if held.quantity <= 0 or held.quantity % instrument.lot_size:
        return (
            Reason.REJECTED,
            f"{held.symbol} trades in steps of {instrument.lot_size:f}: {held.quantity:f} is not one.",
        )
    for name, price, wanted in (
        ("limit price", held.limit_price, held.order_type.has_limit),
        ("stop price", held.stop_price, held.order_type.has_stop),
    ):
        if (price is None) is wanted:
            return Reason.REJECTED, f"A {held.order_type} order {'needs a' if wanted else 'takes no'} {name}."
        if price is not None and (price <= 0 or price % instrument.tick_size):
            step = f"{instrument.tick_size:f}"
            return Reason.REJECTED, f"{held.symbol} is priced in steps of {step}: the {name} {price:f} is not one."
    return None
