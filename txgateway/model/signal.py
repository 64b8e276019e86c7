"""Signals: what a sender outside asks for, the sources they come from, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.errors import Reason
from txgateway.model.exits import Level
from txgateway.model.order import OrderType, Side, TimeInForce


class SourceKind(StrEnum):
    """The senders whose language is known."""

    PROQUANT = "proquant"
    TRADINGVIEW = "tradingview"
    ALGOGENE = "algogene"
    GENERIC = "generic"


SENDERS = {"tradingview": ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")}
"""Senders whose addresses are published, by the word that stands for them in a source's `addresses`."""


class Act(StrEnum):
    """What an instruction asks for.

    ORDER: buy or sell so much. OPEN: the same, for a strategy that has no position. CLOSE: end the strategy's position
    (all of it, or `amount`). REOPEN: close, then open. TARGET: buy or sell until the strategy's position is `target`.
    CANCEL: end the strategy's working orders. AMEND: change the exits of the strategy's position, and the price and
    time of its entry while that works.
    """

    ORDER = "ORDER"
    OPEN = "OPEN"
    CLOSE = "CLOSE"
    REOPEN = "REOPEN"
    TARGET = "TARGET"
    CANCEL = "CANCEL"
    AMEND = "AMEND"


class Measure(StrEnum):
    """What an amount is counted in."""

    UNITS = "units"
    MONEY = "money"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much: units, money (the instrument's currency), or percent of the account's equity. Above zero.

    Of a close: units, or percent of the position.
    """

    value: Decimal
    measure: Measure = Measure.UNITS

    def __str__(self) -> str:
        ends = {Measure.UNITS: "", Measure.MONEY: " of money", Measure.PERCENT: "% of equity"}
        return f"{self.value.normalize():f}{ends[self.measure]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One thing that a signal asks for, as its sender wrote it: the source's map, sizes and terms come on top.

    `symbol` is the sender's. What is None is left to the source. `target` is signed; of an ORDER, it is the position
    that the sender has after it, and counts where a strategy may have one position. A CLOSE with a `side` ends only a
    position that an order of this side closes. `strategy` names whose position is meant, `strategy_name` how people
    call it, `reference` is the sender's own mark. An order that still works after `good_seconds` is ended. To AMEND,
    what is None or empty stays, and a level or time of zero is taken away.
    """

    act: Act
    symbol: str = ""
    side: Side | None = None
    amount: Amount | None = None
    target: Decimal | None = None
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    take_profit: Level | None = None
    stop_loss: Level | None = None
    trailing_stop: Level | None = None
    hold_seconds: int | None = None
    good_seconds: int | None = None
    strategy: str = ""
    strategy_name: str = ""
    reference: str = ""
    client_order_id: str = ""

    def __str__(self) -> str:
        much = str(self.amount) if self.amount else ""
        if self.act is Act.CLOSE:
            much = much.removesuffix(" of equity")
        what = [self.act.value, self.side.value if self.side else "", much]
        what += [self.symbol, f"to {self.target:f}" if self.target is not None else ""]
        what += [f"for {self.strategy_name or self.strategy}" if self.strategy else ""]
        return " ".join(each for each in what if each)


class Sizing(StrEnum):
    """How large an opening order is.

    `as_sent`; `fixed`: always `size` units; `percent`: `size` percent of the account's equity; `notional`: worth
    `size`; `risk`: so much that the stop loss would lose `size` percent of the equity.
    """

    AS_SENT = "as_sent"
    FIXED = "fixed"
    PERCENT = "percent"
    NOTIONAL = "notional"
    RISK = "risk"


class Semantics(StrEnum):
    """What a plain buy or sell means.

    `orders`: that order. `one_position`: open a position, refused while the strategy has one (of the other side: closed
    first, where the sender names the position it has now). `target`: the position that the strategy is to have.
    """

    ORDERS = "orders"
    ONE_POSITION = "one_position"
    TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One configured sender. `secret` is what proves it; `user` the name it comes with, where its kind has one.

    `symbols` maps the sender's symbols to the venue's. With `rounding` a size is cut down to the instrument's step;
    without, only one that was computed is. What names no order type is `order_type` (None: market); `limit_offset` puts
    such a limit so far beyond the side of the market that it takes. A signal older than `max_age` seconds is refused;
    the same bytes within `duplicate_window` seconds are the same signal (None: the kind's own). `shadow`: everything
    but sending. `rate` is requests a second. `addresses`: only from these (networks, or a word of SENDERS);
    `certificate`: only with a client certificate of this name. `mapping` (field -> JMESPath) and `template` are for
    bodies of other shapes.
    """

    name: str
    kind: SourceKind
    account: str
    secret: str = field(default="", repr=False)
    user: str = ""
    symbols: Mapping[str, str] = field(default_factory=dict)
    sizing: Sizing = Sizing.AS_SENT
    size: Decimal | None = None
    rounding: bool = False
    order_type: OrderType | None = None
    limit_offset: Level | None = None
    time_in_force: TimeInForce | None = None
    route: str | None = None
    semantics: Semantics = Semantics.ORDERS
    max_age: float | None = None
    duplicate_window: float | None = None
    shadow: bool = False
    rate: float = 50.0
    addresses: tuple[str, ...] = ()
    certificate: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    template: str = ""
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender is answered over HTTP; `body` is text, JSON where it begins with a brace."""

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Outcome(StrEnum):
    """What became of a signal.

    PENDING: taken in, its orders are still to be sent. DONE: they are sent (or there was nothing to do). REFUSED:
    nothing, or not all of it, was sent; the reason says why. SHADOW: all but sent, as its source is configured.
    """

    PENDING = "PENDING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    SHADOW = "SHADOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyPosition:
    """What one strategy of a source holds of a symbol: `filled` is signed; `working` what its entries may add.

    `average_price` is what it was entered at, `entry` the order that began it.
    `others` is what the account held beside all strategies when the position began: what is closed by others' hands
    shows against it. `taken` is what fees have kept of what was bought since then: its sender counts that as held.
    """

    source: str
    strategy: str
    account: str
    symbol: str
    name: str = ""
    reference: str = ""
    filled: Decimal = Decimal(0)
    working: Mapping[str, Decimal] = field(default_factory=dict)
    others: Decimal = Decimal(0)
    opened: datetime | None = None
    average_price: Decimal = Decimal(0)
    entry: str = ""
    taken: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where an instruction goes: found before the answer where that carries the outcome.

    `after` is the signed position of the strategy once it is carried out, `quantity` how much it buys or sells (what a
    REOPEN closes aside), `cost` what the account is to pay for it, as far as that is known.
    """

    account: str
    symbol: str
    after: Decimal | None = None
    quantity: Decimal | None = None
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal, as it stands. `orders` are those that it made; `seq` belongs to the last record about it."""

    signal_id: str
    source: str
    kind: SourceKind
    account: str
    time: datetime
    seq: int
    outcome: Outcome
    answer: Answer
    key: str = ""
    host: str = ""
    about: str = ""
    instructions: tuple[Instruction, ...] = ()
    plans: tuple[Plan, ...] = ()
    reason: Reason | None = None
    text: str = ""
    orders: tuple[str, ...] = ()
    shadow: bool = False
    sent: datetime | None = None
    until: datetime | None = None
    """After this its opening orders are too late."""
    forget: datetime | None = None
    """Until then the same key means the same signal; None: for as long as it is remembered."""
    mark: str = ""
    """Stands for the key until `forget`, where it is not empty; the key then stays as a name of its own."""
    over: int = 0
    """So many of its instructions need not be looked at again."""
    ends: tuple[str, ...] = ()
    """Orders that the next instruction ends; `entries` and `closing` as SignalAdvanced has them."""
    entries: tuple[str, ...] = ()
    closing: Decimal = Decimal(0)
