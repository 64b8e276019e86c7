"""An order: its terms, its life, and the one table that moves it from status to status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.errors import GatewayError, Reason
from txgateway.model.exits import ExitPlan, Leg

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way, in FIX's words."""

    BUY = "BUY"
    SELL = "SELL"
    SELL_SHORT = "SELL_SHORT"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for either kind of sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How the price is set."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"

    @property
    def has_limit(self) -> bool:
        """True where a limit price belongs to the order."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        """True where a stop price belongs to the order."""
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long the order works."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Origin(StrEnum):
    """Which way in the order took; EXTERNAL ones were not sent by us, FLATTEN ones by nobody but the gateway."""

    MANUAL = "manual"
    RPC = "rpc"
    STREAM = "stream"
    WEBHOOK = "webhook"
    BOT = "bot"
    EXTERNAL = "external"
    FLATTEN = "flatten"


class OrderStatus(StrEnum):
    """FIX's order status, plus DENIED (our refusal), STAGED (a ticket) and UNKNOWN (doubt)."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"
    STAGED = "STAGED"
    UNKNOWN = "UNKNOWN"


S = OrderStatus
CLOSED = frozenset({S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.DENIED})
"""Nothing more is expected; a late fill may still come."""
PENDING = frozenset({S.PENDING_NEW, S.PENDING_CANCEL, S.PENDING_REPLACE})
"""Something is under way to the broker, and not answered."""
WORKING = frozenset({S.NEW, S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.PENDING_REPLACE})
"""The broker has said that it holds the order."""
AT_BROKER = WORKING | {S.PENDING_NEW, S.UNKNOWN}
"""The broker holds the order, or may."""


class Move(StrEnum):
    """What can happen to an order."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    FILL = "FILL"
    FILL_ALL = "FILL_ALL"
    ASK_CANCEL = "ASK_CANCEL"
    CANCEL = "CANCEL"
    REFUSE_CANCEL = "REFUSE_CANCEL"
    ASK_REPLACE = "ASK_REPLACE"
    REPLACE = "REPLACE"
    REFUSE_REPLACE = "REFUSE_REPLACE"
    EXPIRE = "EXPIRE"
    DOUBT = "DOUBT"
    RESTORE = "RESTORE"
    RESOLVE = "RESOLVE"
    RELEASE = "RELEASE"


M = Move
RESUME = None
"""In the table: back to NEW or PARTIALLY_FILLED, as what is filled says, or a ticket that waited to STAGED; to
PENDING_NEW while the broker has not said that it holds the order. RESTORE goes there or, where the broker shows a
ticket, to STAGED; RESOLVE where a person says.
"""

_FILLS = {M.FILL: S.PARTIALLY_FILLED, M.FILL_ALL: S.FILLED}
_ENDS = {M.REJECT: S.REJECTED, M.CANCEL: S.CANCELED, M.EXPIRE: S.EXPIRED}
_ASKS = {M.ASK_CANCEL: S.PENDING_CANCEL, M.ASK_REPLACE: S.PENDING_REPLACE}

TABLE: dict[OrderStatus, dict[Move, OrderStatus | None]] = {
    # A ticket that the broker holds may be released there, by hand: then fills are the first we hear of it.
    S.STAGED: {
        M.RELEASE: S.PENDING_NEW,
        M.ACCEPT: S.STAGED,
        M.ASK_CANCEL: S.STAGED,
        M.REFUSE_CANCEL: S.STAGED,
        M.DOUBT: S.UNKNOWN,
        M.RESTORE: RESUME,
        **_FILLS,
        **_ENDS,
    },
    S.PENDING_NEW: {
        M.ACCEPT: S.NEW,
        M.DOUBT: S.UNKNOWN,
        M.RESTORE: RESUME,
        M.ASK_CANCEL: S.PENDING_CANCEL,
        **_FILLS,
        **_ENDS,
    },
    S.NEW: {M.ACCEPT: S.NEW, M.REPLACE: S.NEW, M.DOUBT: S.UNKNOWN, M.RESTORE: RESUME, **_FILLS, **_ENDS, **_ASKS},
    S.PARTIALLY_FILLED: {M.ACCEPT: RESUME, M.REPLACE: RESUME, M.DOUBT: S.UNKNOWN, **_FILLS, **_ENDS, **_ASKS},
    S.PENDING_CANCEL: {
        M.ACCEPT: S.PENDING_CANCEL,
        M.ASK_CANCEL: S.PENDING_CANCEL,
        M.FILL: S.PENDING_CANCEL,
        M.FILL_ALL: S.FILLED,
        M.REFUSE_CANCEL: RESUME,
        M.REPLACE: S.PENDING_CANCEL,
        M.REFUSE_REPLACE: S.PENDING_CANCEL,
        M.DOUBT: S.UNKNOWN,
        **_ENDS,
    },
    S.PENDING_REPLACE: {
        M.ACCEPT: S.PENDING_REPLACE,
        M.FILL: S.PENDING_REPLACE,
        M.FILL_ALL: S.FILLED,
        M.REPLACE: RESUME,
        M.REFUSE_REPLACE: RESUME,
        M.ASK_CANCEL: S.PENDING_CANCEL,
        M.DOUBT: S.UNKNOWN,
        **_ENDS,
    },
    S.UNKNOWN: {
        M.ACCEPT: RESUME,
        M.ASK_CANCEL: S.UNKNOWN,
        M.REFUSE_CANCEL: S.UNKNOWN,
        M.REPLACE: RESUME,
        M.REFUSE_REPLACE: RESUME,
        M.RESTORE: RESUME,
        M.RESOLVE: S.CANCELED,
        **_FILLS,
        **_ENDS,
    },
    # A fill after the end is real: money moved. It never reopens what was closed, but may complete it. An
    # acknowledgement that was overtaken still brings the broker's id. RESTORE: the broker's own list shows it open.
    S.FILLED: {M.ACCEPT: S.FILLED, M.FILL: S.FILLED, M.FILL_ALL: S.FILLED, M.RESTORE: RESUME},
    S.CANCELED: {M.ACCEPT: S.CANCELED, M.FILL: S.CANCELED, M.FILL_ALL: S.FILLED, M.RESTORE: RESUME},
    S.EXPIRED: {M.ACCEPT: S.EXPIRED, M.FILL: S.EXPIRED, M.FILL_ALL: S.FILLED, M.RESTORE: RESUME},
    # The broker showing an order that we took for rejected proves that it lives; or lived, when it then ended it.
    S.REJECTED: {M.ACCEPT: S.NEW, M.CANCEL: S.CANCELED, M.EXPIRE: S.EXPIRED, M.RESTORE: RESUME, **_FILLS},
    S.DENIED: {},
}


_ACKNOWLEDGED = frozenset({"OrderAccepted", "OrderReplaced", "Executed", "OrderRestored"})
"""Events that only an order which is at the broker can have."""


class IllegalMove(GatewayError):
    """The table has no such row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a client asks for. `quantity` is positive; `tag` set means: stage it as a ticket.

    `exits` are to be attached to what it fills. Of the orders of one account with one `oco` name, what one fills is
    taken from the others. `parent` and `leg` are an exit's own: its entry, and what it is for it. `signal` is the one
    it came by, `strategy` whose position it is for. At `good_till` the gateway ends it.
    """

    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    route: str | None = None
    client_order_id: str | None = None
    tag: str | None = None
    exits: ExitPlan | None = None
    oco: str = ""
    parent: str = ""
    leg: Leg | None = None
    signal: str = ""
    strategy: str = ""
    good_till: datetime | None = None

    @property
    def bond(self) -> str:
        """What it shares with the orders that end as it is filled; empty where there are none."""
        return _bond(self.account, self.parent, self.oco)

    @property
    def body(self) -> str:
        """Everything but the key, in one text: two requests with one key must agree in it."""
        prices = (_plain(self.quantity), _plain(self.limit_price), _plain(self.stop_price))
        words = (self.account, self.symbol, self.side, self.order_type, *prices, self.time_in_force)
        more = [f"exits={self.exits}"] if self.exits is not None else []
        if self.oco:
            more.append(f"oco={self.oco}")
        if self.leg is not None:
            more.append(f"{self.leg} of {self.parent}")
        if self.good_till is not None:
            more.append(f"good_till={self.good_till.isoformat()}")
        return "|".join((*words, self.route or "", "" if self.tag is None else f"tag={self.tag}", *more))


def _bond(account: str, parent: str, oco: str) -> str:
    return parent or (f"{account}/{oco}" if oco else "")


def _plain(number: Decimal | None) -> str:
    return "" if number is None else f"{number.normalize():f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was agreed when the order entered the journal. `day` is the venue's trading day then.

    With a `lease` (model.lease) the order ends some time after the connection that sent it. `attached`: an exit that
    the broker was given with its entry: it sleeps until that is filled whole, and stays of the broker's bracket then.
    """

    order_id: str
    client_order_id: str
    venue: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    created: datetime
    day: date
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    route: str = ""
    tag: str | None = None
    owner: str = ""
    origin: Origin = Origin.RPC
    cusip: str = ""
    currency: str = ""
    body: str = ""
    lease: str = ""
    exits: ExitPlan | None = None
    oco: str = ""
    parent: str = ""
    leg: Leg | None = None
    signal: str = ""
    strategy: str = ""
    good_till: datetime | None = None
    attached: bool = False


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """One thing that happened to an order, as clients are shown it."""

    seq: int
    time: datetime
    event: str
    status: OrderStatus
    id: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Terms):
    """An order as it stands. `seq` and `updated` belong to the last record that changed it.

    `asked_*` hold what a pending replace asks for, and what a cancel was asked for; `updates` the last hundred changes
    (the journal has all). `reduced` is what was taken off `quantity` because others of its oco group were filled.
    `cancel_by` asked for its end, and had no answer yet.
    """

    status: OrderStatus
    updated: datetime
    seq: int
    broker_order_id: str = ""
    filled_quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    commission: Decimal = ZERO
    reason: Reason | None = None
    text: str = ""
    asked_quantity: Decimal | None = None
    asked_limit_price: Decimal | None = None
    asked_stop_price: Decimal | None = None
    updates: tuple[OrderUpdate, ...] = ()
    reduced: Decimal = ZERO
    asked_reduced: Decimal | None = None
    asked_reason: Reason | None = None
    asked_text: str = ""
    cancel_by: str = ""

    @property
    def leaves_quantity(self) -> Decimal:
        """What may still be filled: nothing once the order is closed."""
        return ZERO if self.status in CLOSED else max(ZERO, self.quantity - self.filled_quantity)

    @property
    def bond(self) -> str:
        """What it shares with the orders that end as it is filled; empty where there are none."""
        return _bond(self.account, self.parent, self.oco)

    @property
    def staged(self) -> bool:
        """True for a ticket: an order that waits, or waited, for a person."""
        return self.tag is not None

    @property
    def released(self) -> bool:
        """False for a ticket that waits, or waited when it was last heard of: none of it can have been filled."""
        if not self.staged or self.filled_quantity or self._sure_status is not OrderStatus.STAGED:
            return True
        return any(update.event == "TicketApproved" for update in self.updates)

    @property
    def acknowledged(self) -> bool:
        """True once the broker has said, by any word, that it holds or held the order."""
        if self.broker_order_id or self.filled_quantity or self.origin is Origin.EXTERNAL:
            return True
        return any(update.event in _ACKNOWLEDGED for update in self.updates)

    @property
    def kept_cancel(self) -> str:
        """Why the cancel that was asked for has not gone out, while it is kept until the venue is back; else empty."""
        if self.cancel_by and self.updates and self.updates[-1].event == "CancelKept":
            return self.updates[-1].text
        return ""

    @property
    def asks_replace(self) -> bool:
        """True while a replace that was asked for has no answer."""
        return any(each is not None for each in (self.asked_quantity, self.asked_limit_price, self.asked_stop_price))

    def after(self, move: Move) -> OrderStatus:
        """The status after `move`, by the table; IllegalMove when there is no such row."""
        row = TABLE[self.status]
        if move not in row:
            raise IllegalMove(f"Order {self.order_id} is {self.status}: it cannot take {move}.")
        status = row[move]
        if status is RESUME:
            if self.staged and self._sure_status is OrderStatus.STAGED:
                return OrderStatus.STAGED
            status = OrderStatus.PARTIALLY_FILLED if self.filled_quantity else OrderStatus.NEW
            if move is Move.REFUSE_CANCEL and not self.acknowledged:
                return OrderStatus.PENDING_NEW
        return status

    @property
    def _sure_status(self) -> OrderStatus | None:
        """The last status that was not doubt."""
        return next((each.status for each in reversed(self.updates) if each.status is not OrderStatus.UNKNOWN), None)

    def may(self, move: Move) -> bool:
        """True when the table has a row for `move`."""
        return move in TABLE[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What a broker shows of an order when asked. `order_id` is ours, echoed; None when it was not sent by us."""

    broker_order_id: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    status: OrderStatus
    time: datetime
    order_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    reason: Reason | None = None
    text: str = ""
