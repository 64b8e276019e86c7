"""What an exchange says of an order, a fill or a balance, in our words, be it a frame or an answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An order as it was seen. None (or empty) where the exchange did not say.

    `name` is our order id, or the id that another gave it. `whole`: all terms are told, so that they may be taken
    for the terms that hold. `replaced`: it is the answer to a replace.
    """

    name: str
    broker_id: str
    symbol: str
    status: OrderStatus
    time: datetime
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    filled: Decimal | None = None
    average: Decimal | None = None
    text: str = ""
    whole: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A fill as it was seen; `fee` in `fee_currency`, both as the exchange says."""

    execution_id: str
    name: str
    broker_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    time: datetime
    fee: Decimal | None = None
    fee_currency: str = ""
    maker: bool = False
    cumulative: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A currency's balance: what there is, and what of it orders hold back (None: not told)."""

    currency: str
    total: Decimal
    used: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The exchange ended the stream itself: a key expired, or a session was closed."""

    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A stream was confirmed."""

    stream: str


@dataclass(frozen=True, slots=True)
class Denied:
    """A `cancel` or a `replace` that was taken in was refused after all; the order stands."""

    asked: str
    name: str
    broker_id: str
    text: str
    time: datetime
    symbol: str = ""


Word = Seen | Fill | Held | Ended | Heard | Denied
