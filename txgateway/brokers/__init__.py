"""The broker contract: what every kind of connection gives, and what it may claim.

A broker is one configured connection. It never sees the gateway: it is constructed with a `report` callable and
tells through it everything that happens, as model.events and model.market; nothing before startService. Reports may
repeat, come late or out of order; the desk drops what it knows. Every order method is called only after the order's
record is on disk.

Amounts are Decimal: prices in the instrument's currency, quantities in its units. Orders and executions have a side
and a quantity above zero, positions are signed (short ones below zero). Times are aware UTC.

Events name our orders by our id. Orders that others sent are listed by open_orders, with `order_id` None or whatever
id those others gave; events and executions name them by that id or by the broker's, and the desk finds them by both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Flag, auto
from pathlib import Path
from typing import Any, Protocol

from txgateway.model.account import AccountReport, Position
from txgateway.model.events import OrderEvent, VenueError, VenueStatusChanged
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, NoPrice, Period, Quote, Statistics, Trade
from txgateway.model.order import Order, OrderReport, OrderType, TimeInForce
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit

ENTRY_POINTS = "txgateway.brokers"
"""The entry-point group by which brokers, ours and strangers', are found by kind."""

Report = Callable[[OrderEvent | VenueStatusChanged | VenueError | Quote | Trade | Bar | Statistics | Depth], None]


class Can(Flag):
    """What a broker claims. The desk refuses what is not claimed; the conformance suite tests what is.

    MARKET, LIMIT, STOP, STOP_LIMIT, DAY, GTC, IOC, FOK: the order types and times in force that it takes.
    REPLACE: an order's terms can be changed. STAGE: a submitted order with a `tag` waits there, as a ticket, for
    `release`; without it the gateway holds tickets.
    QUOTES, TRADES: what `subscribe` brings. BARS: past bars are there to be asked for.
    CLIENT_ORDER_ID: our id comes back in every event, execution and report, and the same id sent twice is one order.
    Without it orders are known by the broker's id alone.
    LOOKUP: one order can be asked about, a closed one too. Without it an order in doubt that is not among the open
    ones waits for a person.
    EXECUTION_HISTORY: `executions` has every fill of a day at least; without it, what there is.
    BALANCE_STREAM: balances are told as they move, and not estimated from executions between two answers. Clients are
    shown that; the desk does nothing by it.
    FAULTS: it can be made to misbehave on purpose.
    CASH: `balances` has an account's cash, currency by currency, as it is with every fill that `executions` has and no
    other; and a fill moves it by its value and its commission, in the currency of the execution. So it can be compared
    with what our executions add up to. Not where cash moves with the market (futures, margined swaps), nor where what
    is bought is a balance itself.
    OCO: of the orders of one account with one `oco`, and of the exits with one `parent`, the broker itself takes off
    the others what one fills, and reports that as OrderReplaced or OrderCanceled. Without it the gateway does that.
    BRACKET: an entry's exits may be sent with it: they are held until the entry is filled whole, and end where it ends
    before; from then on what one fills is taken off the other, as with OCO. Without it, and for exits whose prices only
    the fill tells, the gateway sends them when something was filled.
    PRIMARY_EXCHANGE: several exchanges have contracts of one symbol, and it can be told which is meant.
    DEPTH: it shows the book, be it one level of each side.
    LAST_PRICES: it tells what symbols were traded at last, those that nobody listens to too.
    FUNDING, LEVERAGE, POSITION_MODE: what holding its perpetuals costs, how large a position may be by its margin, and
    whether long and short are held as one: each can be asked for, and the last two changed.
    RATE_LIMITS: it tells how much its venue still takes.
    RAW: its own endpoints may be called by hand, those that change something too: they go around all checks of ours.
    """

    MARKET = auto()
    LIMIT = auto()
    STOP = auto()
    STOP_LIMIT = auto()
    DAY = auto()
    GTC = auto()
    IOC = auto()
    FOK = auto()
    REPLACE = auto()
    STAGE = auto()
    QUOTES = auto()
    TRADES = auto()
    DEPTH = auto()
    BARS = auto()
    CLIENT_ORDER_ID = auto()
    LOOKUP = auto()
    EXECUTION_HISTORY = auto()
    BALANCE_STREAM = auto()
    RAW = auto()
    FAULTS = auto()
    OCO = auto()
    BRACKET = auto()
    CASH = auto()
    PRIMARY_EXCHANGE = auto()
    FUNDING = auto()
    LEVERAGE = auto()
    POSITION_MODE = auto()
    RATE_LIMITS = auto()
    LAST_PRICES = auto()

    @classmethod
    def order_type(cls, order_type: OrderType) -> Can:
        """The flag of an order type."""
        return cls[order_type.value]

    @classmethod
    def time_in_force(cls, time_in_force: TimeInForce) -> Can:
        """The flag of a time in force."""
        return cls[time_in_force.value]


class Prices(Protocol):
    """Another venue's market, as a broker may follow it: its orders and accounts cannot be reached by this."""

    source: str
    """The venue's name."""
    quoted: bool
    """Whether it shows quotes, and not trades alone."""

    def trouble(self) -> str:
        """Why nothing is shown now, in words; empty while the venue's link stands."""

    def link(self) -> int:
        """The number of the link that stands, or stood last: what another one showed is old."""

    def now(self) -> datetime:
        """The venue's clock, aware UTC."""

    def follow(self, hear: Callable[[Quote | Trade | Statistics], None], changed: Callable[[], None]) -> None:
        """Begin: `hear` what the symbols show that are subscribed by this; `changed`: the venue's link came or went."""

    def leave(self) -> None:
        """Subscribe to nothing more, and hear nothing."""

    def known(self, symbol: str) -> Instrument | None:
        """A symbol's rules, if they were asked for before."""

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's rules; Refused while the venue cannot be asked."""

    def subscribe(self, symbol: str) -> None:
        """Hear a known symbol, what it shows now before this returns: the subscription is shared with all others'."""

    def unsubscribe(self, symbol: str) -> None:
        """Hear it no more."""

    def statistics(self, symbol: str) -> Statistics:
        """The day's figures, as far as they were shown."""

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars whose start lies in [start, end), oldest first, by the venue's word."""

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """The last prices, by the venue's word; where it does not tell them, those of what is listened to."""


@dataclass(frozen=True)
class Setup:
    """What a broker is built from; nothing is connected, read, written or reported before startService.

    `options` are the venue's own settings (for paper: feed, accounts, calendar, commission, latency…);
    `folder` is where it may keep files of its own; `clock` gives aware UTC; `reactor` schedules.
    `prices` gives another venue's, by its name, from startService on; ValueError where there is no such venue.
    """

    venue: str
    options: Mapping[str, Any]
    folder: Path
    report: Report
    reactor: Any
    clock: Callable[[], datetime]
    prices: Callable[[str], Prices] | None = None


def unknown_symbol(broker: Broker, symbol: str) -> str:
    """That a symbol is unknown at a broker's venue, in a sentence.

    A broker may say what to write instead, by a method `spelling(symbol)` that gives such as `did you mean BTC/USDT?`.
    """
    spelling = getattr(broker, "spelling", None)
    instead = spelling(symbol) if spelling is not None else ""
    return f"Symbol {symbol[:80]!r} is unknown at venue {broker.venue}: {instead or 'check its spelling.'}"


class Broker(Protocol):
    """One connection to one counterparty. Built as `Kind(setup)`; `kind` is its entry-point name.

    Building one raises ValueError, with a sentence, for options that cannot be. It lives on the daemon's reactor beside
    all others: it may be slow, and it may fail, but it never blocks.

    A question (all that gives an answer) is ended by its time-out. What cannot be answered raises Refused or another
    GatewayError, with a sentence, and never gives half: an empty list means that there is nothing.
    """

    venue: str
    """Its name here, as `Setup` gave it."""
    can: Can
    """What it claims; it does not change."""

    def startService(self) -> None:
        """Connect, and keep connected with back-off; report VenueStatusChanged (RECONCILING once ready to be asked)."""

    def stopService(self) -> Any:
        """Disconnect; gives None or a Deferred that fires when done."""

    def now(self) -> datetime:
        """The venue's clock, aware UTC: wall time, or the feed's in a replay."""

    def accounts(self) -> Sequence[str]:
        """The account names that this connection may trade, known once RECONCILING is reported."""

    async def submit(self, order: Order) -> None:
        """Send the order. Answers come as reports. Raise Refused only when it surely did not arrive.

        Any other exception leaves the order UNKNOWN; Ambiguous is the one that is expected (a time-out, a broken link,
        a rate limit's answer to an order). It is the same for release, cancel and replace. A broker without STAGE is
        never given a staged order.
        """

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        """Send an entry with its exits (`attached`), all or none: Refused, or doubt, is of each (BRACKET only)."""

    async def release(self, order: Order) -> None:
        """Send a ticket that submit staged (STAGE only)."""

    async def cancel(self, order: Order) -> None:
        """Ask for the order's end: OrderCanceled or CancelRejected is reported."""

    async def replace(self, order: Order) -> None:
        """Ask for the order's `asked_*` terms: OrderReplaced or ReplaceRejected is reported (REPLACE only)."""

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order that works or waits at the broker, ours and others', with its terms and what is filled."""

    async def lookup(self, order: Order) -> OrderReport | None:
        """The broker's word on one order of ours by its echoed id, closed ones too; on another's by the broker's id.

        None only when the broker's whole history was searched and has no such order (LOOKUP only). Unsupported where
        the history does not reach back to it: then nobody can tell.
        """

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """Our accounts' fills after `since` by the venue's clock; None asks for all that is kept.

        They are gone through once, some in a turn, while the link stands: a sequence may read them as it is.
        """

    async def positions(self) -> Sequence[Position]:
        """Every open position of every account, by the broker's word: none that is flat."""

    async def balances(self, account: str) -> AccountReport:
        """What an account holds now, by the broker's word: what it does not tell is left out, and never zero.

        Refused with UNKNOWN_ACCOUNT for an account that is not this connection's.
        """

    async def instrument(self, symbol: str) -> Instrument | None:
        """The trading rules of a symbol (a zero among them is no rule); None when the venue has no such thing."""

    async def instruments(self) -> Sequence[Instrument]:
        """Everything tradable here; empty where the venue has no list."""

    def subscribe(self, symbol: str) -> None:
        """Start reporting Quote, Trade and Statistics of a symbol, the present values first; raises for no symbol.

        After a reconnect the desk subscribes again to what it needs.
        """

    def unsubscribe(self, symbol: str) -> None:
        """Stop reporting a symbol."""

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars whose start lies in [start, end), oldest first; none of what is not traded.

        It is asked of every broker: one without BARS raises Unsupported.
        """

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """What each of several symbols was traded at last, by as few requests as can be (LAST_PRICES only).

        Of a symbol that is unknown, or was never traded, there is none; where something else is the matter with some
        of them, NoPrice says of each of these what.
        """

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """The book of a symbol now, up to so many levels of each side; None for an unknown symbol (DEPTH only)."""

    def subscribe_depth(self, symbol: str) -> None:
        """Report Depth of a subscribed symbol too, the present one first, as often as it changes (DEPTH only)."""

    def unsubscribe_depth(self, symbol: str) -> None:
        """Report no more Depth of a symbol; `unsubscribe` ends that as well (DEPTH only)."""

    async def funding(self, symbol: str) -> Funding | None:
        """What holding a perpetual costs; None for what has no funding, and for an unknown symbol (FUNDING only)."""

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        """How many times its margin a position may be; None for what has no margin (LEVERAGE only)."""

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Change it, and return when the venue has. Raise Refused only when it surely was not changed (LEVERAGE only).

        Any other exception leaves it in doubt: `leverage` is asked later. It is the same for set_position_mode; for
        call_endpoint nobody can be asked.
        """

    async def position_mode(self, account: str) -> PositionMode:
        """Whether long and short are held as one or apart (POSITION_MODE only)."""

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Change it; venues refuse that while something is held or open (POSITION_MODE only).

        A broker whose orders name no position side refuses HEDGE: none of them could be sent then.
        """

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Send a request in the venue's own words and give its answer's JSON as it is (RAW only)."""

    def rate_limits(self) -> Sequence[RateLimit]:
        """How much the venue still takes, by the venue's own word where it tells (RATE_LIMITS only)."""

    async def renames(self, symbol: str, exchange: str | None) -> Sequence[str]:
        """The names that would mean another contract, or none, if a symbol were set to this exchange.

        Refused where there is none. Nothing is set by it (PRIMARY_EXCHANGE only).
        """

    def set_primary_exchange(self, symbol: str, exchange: str | None) -> None:
        """Mean this exchange's contract by a symbol; None: as it is configured (PRIMARY_EXCHANGE only)."""

    def faults(self) -> Sequence[Fault]:
        """The faults that are set, with how often each has happened (FAULTS only, as are the next two)."""

    def set_fault(self, fault: Fault) -> None:
        """Misbehave in this way from now on, in place of a fault of this kind for the same symbol and account."""

    def clear_faults(self, kind: FaultKind | None) -> None:
        """Behave again (None: in every way); what was done under a fault stays done."""
