"""Orders, fills, balances and positions, whatever a venue calls them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.emulators.crypto.instruments import Instrument

D = Decimal
NOTHING = D(0)
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class Refused(Exception):
    """A command that is not done, and why: each venue has its own code for `why`.

    symbol, side, kind, tif, tick, step, least, most, value, missing, balance, margin, duplicate, post_only,
    reduce_only, position_side, no_market, no_order, over, unchanged, quantity, leverage, position_open, fault
    """

    def __init__(self, why: str, text: str = "") -> None:
        super().__init__(text or why)
        self.why = why
        self.text = text or why


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a client asks for."""

    account: str
    instrument: Instrument
    side: str
    """BUY or SELL."""
    kind: str = "LIMIT"
    """MARKET, LIMIT, STOP, STOP_LIMIT, TAKE_PROFIT, TAKE_PROFIT_LIMIT."""
    quantity: Decimal | None = None
    cost: Decimal | None = None
    """A market order for so much of the quote asset, in place of a quantity."""
    limit: Decimal | None = None
    stop: Decimal | None = None
    tif: str = "GTC"
    """GTC, IOC, FOK."""
    post_only: bool = False
    reduce_only: bool = False
    position_side: str = "BOTH"
    by_mark: bool = False
    """The mark price triggers its stop, not the last trade."""
    unfunded: bool = False
    """It needs neither margin nor position while it waits: those are looked at when it is triggered."""
    client_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """What a venue keeps with it and tells again."""

    @property
    def buys(self) -> bool:
        """It is a buy."""
        return self.side == "BUY"

    @property
    def waits(self) -> bool:
        """It waits for a price before it works."""
        return self.kind not in ("MARKET", "LIMIT")

    @property
    def at_market(self) -> bool:
        """It takes any price, once it works."""
        return self.kind in ("MARKET", "STOP", "TAKE_PROFIT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one of our orders; `number` is the public trade's as well."""

    number: int
    order: int
    account: str
    instrument: Instrument
    buys: bool
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at: float
    realized: Decimal = NOTHING
    client_id: str = ""
    position_side: str = "BOTH"


@dataclass(slots=True)
class Order:
    """An order in the book, or one that was."""

    number: int
    ticket: Ticket
    quantity: Decimal
    """Of a market order for a cost: what was filled."""
    limit: Decimal | None
    stop: Decimal | None
    created: float
    updated: float
    status: str = "NEW"
    """NEW, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED, REJECTED; TRIGGERED: another order has taken its place."""
    triggered: bool = True
    """False: it waits for its stop."""
    filled: Decimal = NOTHING
    turnover: Decimal = NOTHING
    """The sum of its fills' price times size."""
    locked: Decimal = NOTHING
    fills: list[Fill] = field(default_factory=list)
    reason: str = ""
    """Of its end."""

    @property
    def is_open(self) -> bool:
        """It works or waits."""
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        """Not filled."""
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        """Of its fills; 0 when there are none."""
        return self.turnover / self.filled if self.filled else D(0)

    def may_pay(self, price: Decimal) -> bool:
        """Whether its limit allows a price."""
        if self.ticket.at_market or self.limit is None:
            return True
        return price <= self.limit if self.ticket.buys else price >= self.limit

    def fees(self) -> dict[str, Decimal]:
        """By asset."""
        paid: dict[str, Decimal] = {}
        for fill in self.fills:
            paid[fill.fee_asset] = paid.get(fill.fee_asset, D(0)) + fill.fee
        return paid


@dataclass(slots=True)
class Balance:
    """Of one asset in one wallet."""

    free: Decimal = NOTHING
    locked: Decimal = NOTHING

    @property
    def total(self) -> Decimal:
        """Both."""
        return self.free + self.locked


@dataclass(slots=True)
class Position:
    """In a perpetual. `size` is signed."""

    instrument: Instrument
    side: str = "BOTH"
    """BOTH, or in hedge mode LONG or SHORT."""
    size: Decimal = NOTHING
    entry: Decimal = NOTHING
    realized: Decimal = NOTHING
    updated: float = 0.0


@dataclass(slots=True)
class Account:
    """What an API key belongs to."""

    name: str
    key: str
    secret: str
    password: str = ""
    wallets: dict[str, dict[str, Balance]] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    """By an instrument's name and a side."""
    leverages: dict[str, int] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)
    """Names of instruments."""
    hedged: bool = False
    """Positions are LONG and SHORT, not BOTH."""

    def balance(self, wallet: str, asset: str) -> Balance:
        """Of an asset, made when there is none."""
        return self.wallets.setdefault(wallet, {}).setdefault(asset, Balance())

    def position(self, instrument: Instrument, side: str = "BOTH") -> Position:
        """Made when there is none."""
        return self.positions.setdefault((instrument.name, side), Position(instrument, side))

    def leverage(self, instrument: Instrument) -> int:
        """Of new positions."""
        return self.leverages.get(instrument.name, min(20, instrument.max_leverage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that an account's private stream tells. What it has is as it was at that moment, not as it is now."""

    kind: str
    """new, fill, canceled, expired, replaced, triggered, rejected; balance, funding, leverage."""
    account: str
    at: float
    order: Order | None = None
    fill: Fill | None = None
    wallet: str = ""
    balances: dict[str, tuple[Balance, Decimal]] = field(default_factory=dict)
    """By asset: what there is, and how much of the total has changed by what is told here."""
    positions: tuple[Position, ...] = ()
    instrument: Instrument | None = None
    reason: str = ""
