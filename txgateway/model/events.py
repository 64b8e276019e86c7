"""What happened, in the past tense: the records of the journal and the reports of brokers.

Every event below is journalled, and the state is the fold of them. `time` is when it happened, by the clock of
whoever saw it (for executions the venue's). Market data (model.market) is reported the same way, never journalled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.credential import Token
from txgateway.model.errand import Errand, ErrandOutcome
from txgateway.model.errors import Reason
from txgateway.model.execution import Execution
from txgateway.model.exits import ExitPlan
from txgateway.model.halts import HaltLevel
from txgateway.model.integration import Step
from txgateway.model.order import Move, Order, OrderReport, OrderStatus, Origin, Terms
from txgateway.model.rights import Grant
from txgateway.model.scope import GATEWAY, Scope
from txgateway.model.signal import Answer, Instruction, Outcome, Plan, SourceKind


@dataclass(frozen=True, slots=True)
class OrderSubmitted:
    """An order passed every check; it is sent (or, with a tag, staged) once this record is on disk.

    With a reason where we made a ticket of it.
    """

    terms: Terms
    time: datetime
    reason: Reason | None = None
    text: str = ""

    @property
    def order_id(self) -> str:
        """The new order's id."""
        return self.terms.order_id


@dataclass(frozen=True, slots=True)
class OrderDenied:
    """A well-formed order that we refused, kept so that its key gets the same answer again."""

    terms: Terms
    reason: Reason
    text: str
    time: datetime

    @property
    def order_id(self) -> str:
        """The refused order's id."""
        return self.terms.order_id


@dataclass(frozen=True, slots=True)
class ExternalOrderFound:
    """The broker shows an order that we did not send: taken in with origin `external`.

    `filled_quantity` is what had been filled before; what is executed from now on comes on top.
    """

    terms: Terms
    report: OrderReport
    time: datetime
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)

    @property
    def order_id(self) -> str:
        """The id we gave it."""
        return self.terms.order_id


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The broker holds the order."""

    order_id: str
    broker_order_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The broker refused the order, or said that it never arrived."""

    order_id: str
    reason: Reason
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill."""

    execution: Execution
    time: datetime

    @property
    def order_id(self) -> str:
        """The filled order's id; empty when the broker could not tell."""
        return self.execution.order_id


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A cancel is about to be sent; with a reason where a person gave one."""

    order_id: str
    by: str
    time: datetime
    reason: Reason | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderCanceled:
    """The broker (or, for a ticket we hold, the desk) ended the order."""

    order_id: str
    reason: Reason
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """The broker would not cancel; the order stands as it stood."""

    order_id: str
    reason: Reason
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class CancelKept:
    """A cancel could not be sent, as the venue was not there: it is sent when that is back."""

    order_id: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ReplaceRequested:
    """A replace is about to be sent; None leaves a term as it is. `reduced`: see Order."""

    order_id: str
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    by: str
    time: datetime
    reduced: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderReplaced:
    """The order's terms are now these."""

    order_id: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    time: datetime
    broker_order_id: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceRejected:
    """The broker would not replace; the order works with its old terms."""

    order_id: str
    reason: Reason
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class OrderExpired:
    """The order's time in force ended."""

    order_id: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class OrderDoubted:
    """What became of the order is not known; only the broker's evidence ends this."""

    order_id: str
    reason: Reason
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class OrderRestored:
    """The broker holds an order open that we took for closed (or for live, a ticket that still waits): so it stands."""

    order: Order
    text: str
    time: datetime

    @property
    def order_id(self) -> str:
        """The order's id."""
        return self.order.order_id


@dataclass(frozen=True, slots=True)
class OrderResolved:
    """A person ended an order in doubt that no evidence could end. What the broker says later still counts."""

    order_id: str
    status: OrderStatus
    text: str
    by: str
    time: datetime
    reason: Reason = Reason.RESOLVED


@dataclass(frozen=True, slots=True)
class TicketApproved:
    """A person released a staged order; it is sent once this record is on disk."""

    order_id: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class RiskWarned:
    """An order, or a change to it, is above a limit's warn level: it went through, and this is told."""

    order_id: str
    reason: Reason
    limit: str
    scope: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ChangeDenied:
    """A `replace`, or the `release` of a ticket, was refused by a check: nothing was sent, the order is as it was."""

    order_id: str
    change: str
    reason: Reason
    text: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ExitTriggered:
    """The rest of an entry's position is to be closed at the market, once its other exits are out of the way."""

    order_id: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ExitsEnded:
    """Nothing more is attached to an entry; what works of its exits is canceled."""

    order_id: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class StopHeld:
    """The gateway itself watches this stop price for an entry's position: the venue has no such order."""

    order_id: str
    stop_price: Decimal
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAmended:
    """What the gateway itself keeps of an order is this from now on: its exits, and until when it works.

    Exits that are its first begin with what is `left` of its position, entered at `price`; `began` is its first fill.
    An order of an earlier day comes whole. `reference` is the sender's new mark (None: as it was).
    """

    order_id: str
    exits: ExitPlan | None
    good_till: datetime | None
    by: str
    time: datetime
    left: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    began: datetime | None = None
    reference: str | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived:
    """A signal was understood and taken in: it is answered, and carried out, once this record is on disk.

    `body` is what was sent, without secrets. `forget` and `mark`: see Signal.
    """

    signal_id: str
    source: str
    kind: SourceKind
    account: str
    body: str
    time: datetime
    answer: Answer
    instructions: tuple[Instruction, ...] = ()
    plans: tuple[Plan, ...] = ()
    key: str = ""
    host: str = ""
    about: str = ""
    warnings: tuple[str, ...] = ()
    sent: datetime | None = None
    until: datetime | None = None
    forget: datetime | None = None
    mark: str = ""
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRefused:
    """A signal of a proven sender that was not taken in: nothing of it is sent."""

    signal_id: str
    source: str
    kind: SourceKind
    account: str
    body: str
    time: datetime
    answer: Answer
    reason: Reason
    text: str
    key: str = ""
    host: str = ""
    about: str = ""
    forget: datetime | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAdvanced:
    """How far one instruction of a signal has come, where its own order does not show that: gone over again after a
    crash, nothing of it is done twice.

    `ends` are the orders to be ended, `entries` those whose position is closed by what keeps their exits, and `closing`
    (signed) how much that is. `over`: nothing more is to be done for it.
    """

    signal_id: str
    source: str
    account: str
    instruction: int
    time: datetime
    ends: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    closing: Decimal = Decimal(0)
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalEnded:
    """All that a signal asked for is sent; or, with a reason, the rest of it never will be."""

    signal_id: str
    source: str
    account: str
    outcome: Outcome
    time: datetime
    orders: tuple[str, ...] = ()
    reason: Reason | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyAdjusted:
    """What a strategy holds was changed by other hands: it is this much now."""

    source: str
    strategy: str
    account: str
    symbol: str
    quantity: Decimal
    text: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationChanged:
    """An integration at a sender's, or one of its strategies, came to another step of its life.

    `sent` is the sender's clock, where it says so itself; `by` is who asked here. `account` is the source's.
    """

    source: str
    account: str
    name: str
    step: Step
    time: datetime
    sent: datetime | None = None
    description: str = ""
    user_email: str = ""
    url: str = ""
    strategy: str = ""
    strategy_name: str = ""
    text: str = ""
    by: str = ""


class VenueStatus(StrEnum):
    """The life of a venue's connection."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    RECONCILING = "RECONCILING"
    UP = "UP"
    STOPPING = "STOPPING"


@dataclass(frozen=True, slots=True)
class VenueStatusChanged:
    """A venue's connection moved to `status`; told and journalled, never taken as true after a restart."""

    venue: str
    status: VenueStatus
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class VenueError:
    """A venue's own complaint: told to who streams, counted, never journalled. `key` is its order or request id."""

    venue: str
    code: int
    text: str
    key: str = ""


class Severity(StrEnum):
    """How bad a difference is."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class DifferenceFound:
    """Ours and the broker's words differ: shown, never silently mended. `what` is one of model.difference.What.

    Said once for the same figures; again, with `found` (when it was first seen), when they change.
    """

    venue: str
    account: str
    what: str
    key: str
    ours: str
    theirs: str
    severity: Severity
    time: datetime
    found: datetime | None = None


@dataclass(frozen=True, slots=True)
class DifferenceRaised:
    """A difference has been open for so long that it is more severe now."""

    venue: str
    account: str
    what: str
    key: str
    ours: str
    theirs: str
    severity: Severity
    found: datetime
    time: datetime


@dataclass(frozen=True, slots=True)
class DifferenceResolved:
    """A difference is gone, and how; `by` is the person who settled it, empty where evidence did."""

    venue: str
    account: str
    what: str
    key: str
    ours: str
    theirs: str
    severity: Severity
    found: datetime
    text: str
    time: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class AccountsOpened:
    """Accounts whose positions were taken as the broker showed them, when they were reconciled for the first time."""

    venue: str
    accounts: tuple[str, ...]
    time: datetime


@dataclass(frozen=True, slots=True)
class PositionReported:
    """The broker's word on one position, taken over: of an account that is new here, or because a person said so."""

    venue: str
    account: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class BalancesReported:
    """The broker's word on an account's cash (currency, total), taken over: the account is new, or a person said so.

    What executions move from here on is counted on top, and compared with what the broker says later.
    """

    venue: str
    account: str
    totals: tuple[tuple[str, Decimal], ...]
    time: datetime


@dataclass(frozen=True, slots=True)
class TradingDayStarted:
    """A venue's trading day began: what closed on earlier days leaves the state (the journal keeps it)."""

    venue: str
    day: date
    time: datetime


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A person changed a setting that outlives a restart: `account`, `route`, `primary_exchange:SYM`; None deletes.

    `faults:VENUE` has the faults that are set there, in words: after a restart, those of the configuration.
    """

    name: str
    value: str | None
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ErrandBegun:
    """A change at a venue that is no order passed its checks; it is sent once this record is on disk."""

    errand: Errand
    time: datetime


@dataclass(frozen=True, slots=True)
class ErrandEnded:
    """The venue answered an errand, or was asked later how things stand, or cannot be asked (UNKNOWN)."""

    number: int
    venue: str
    account: str
    outcome: ErrandOutcome
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """A person changed a limit of a scope, in the words that were given; no value: back to what holds by itself."""

    scope: str
    limit: str
    value: str | None
    warn: str | None
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class TradingHalted:
    """Orders of a scope are refused (or all that do not reduce a position) until a person resumes; cancels go on.

    With `exits_go_on`, what is attached to positions is still sent: the execution budget halts an owner so.
    """

    text: str
    by: str
    time: datetime
    scope: Scope = GATEWAY
    level: HaltLevel = HaltLevel.HALTED
    exits_go_on: bool = False


@dataclass(frozen=True, slots=True)
class TradingResumed:
    """A person let a scope's orders through again."""

    by: str
    time: datetime
    scope: Scope = GATEWAY


@dataclass(frozen=True, slots=True)
class FlattenRequested:
    """A person had a scope flattened: its orders are cancelled, its positions closed. `number` is the record's seq."""

    number: int
    scope: Scope
    text: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class FlattenEnded:
    """A flatten is over: the broker holds nothing any more, or somebody called it off."""

    number: int
    flat: bool
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    """A stream connection had its orders cancelled on disconnect: by a new lease, or one that it took up again."""

    lease: str
    user: str
    name: str
    seconds: float
    time: datetime


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The connection that held a lease is gone."""

    lease: str
    time: datetime


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A lease is over: nothing is open under it, or its connection gave it up."""

    lease: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class TokenCreated:
    """An admin made a token; the journal has its hash only."""

    token: Token
    time: datetime


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    """A token is good for nothing from now on."""

    name: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UserChanged:
    """A user was let in, or given another password or grant; `mark` changes with the password and tells nothing."""

    name: str
    grant: Grant
    mark: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user may not come in any more."""

    name: str
    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class AdminActed:
    """Somebody gave a command of the admin scope, or a halt; secrets among its arguments are left out."""

    user: str
    origin: Origin
    host: str
    command: str
    arguments: str
    time: datetime


OrderEvent = (
    OrderSubmitted
    | OrderDenied
    | ExternalOrderFound
    | OrderAccepted
    | OrderRejected
    | Executed
    | CancelRequested
    | OrderCanceled
    | CancelRejected
    | CancelKept
    | ReplaceRequested
    | OrderReplaced
    | ReplaceRejected
    | OrderExpired
    | OrderDoubted
    | OrderRestored
    | OrderResolved
    | TicketApproved
    | ExitTriggered
    | ExitsEnded
    | StopHeld
    | OrderAmended
)
Event = (
    OrderEvent
    | VenueStatusChanged
    | DifferenceFound
    | DifferenceRaised
    | DifferenceResolved
    | AccountsOpened
    | PositionReported
    | BalancesReported
    | TradingDayStarted
    | SettingChanged
    | ErrandBegun
    | ErrandEnded
    | LimitChanged
    | RiskWarned
    | ChangeDenied
    | TradingHalted
    | TradingResumed
    | FlattenRequested
    | FlattenEnded
    | TokenCreated
    | TokenRevoked
    | UserChanged
    | UserRemoved
    | AdminActed
    | LeaseTaken
    | LeaseLost
    | LeaseEnded
    | SignalReceived
    | SignalRefused
    | SignalAdvanced
    | SignalEnded
    | StrategyAdjusted
    | IntegrationChanged
)
ENTRIES = (OrderSubmitted, OrderDenied, ExternalOrderFound)
"""The events that bring an order into the journal."""
NOTES = (RiskWarned, ChangeDenied, ExitTriggered, ExitsEnded, StopHeld)
"""What is written down of an order and changes nothing of it."""

MOVES: dict[type, Move] = {
    OrderAccepted: Move.ACCEPT,
    OrderRejected: Move.REJECT,
    CancelRequested: Move.ASK_CANCEL,
    OrderCanceled: Move.CANCEL,
    CancelRejected: Move.REFUSE_CANCEL,
    CancelKept: Move.REFUSE_CANCEL,
    ReplaceRequested: Move.ASK_REPLACE,
    OrderReplaced: Move.REPLACE,
    ReplaceRejected: Move.REFUSE_REPLACE,
    OrderExpired: Move.EXPIRE,
    OrderDoubted: Move.DOUBT,
    OrderRestored: Move.RESTORE,
    OrderResolved: Move.RESOLVE,
    TicketApproved: Move.RELEASE,
}
"""The row of the order table that each event asks for; Executed asks for FILL or FILL_ALL by its quantity."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal: `seq` counts from 1 without a gap, `time` is when it was written."""

    seq: int
    time: datetime
    event: Event
