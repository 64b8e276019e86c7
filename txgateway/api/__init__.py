"""Every command a client may give, once: typed, with its help. All ways in (paths, JSON-RPC, stream) call these.

A command is a function in one of this folder's modules, which `command` puts among COMMANDS. Its signature is the
contract: after the house and the caller come the client's arguments, whose names, order and types `call` converts; the
docstring is the help text and the OpenRPC description. Results are nouns; wire.py puts them in clients' words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from txgateway.access import Access, Caller
from txgateway.brokers import Broker
from txgateway.commands import COMMANDS
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.model.errors import BadArgument
from txgateway.model.events import AdminActed, Record, Severity, VenueStatus
from txgateway.model.execution import Execution
from txgateway.model.exits import ExitPlan
from txgateway.model.fault import Fault
from txgateway.model.instrument import Instrument
from txgateway.model.latency import NEVER_MEASURED, Latency
from txgateway.model.market import Bar
from txgateway.model.order import Order
from txgateway.model.rights import Right
from txgateway.model.scope import Scope, ScopeKind
from txgateway.model.venue import PositionMode, RateLimit
from txgateway.proquant import ProQuantService
from txgateway.signaling import Signaling
from txgateway.vitals import Vitals

SECRETS = ("pass", "token", "secret")
"""An argument whose name has one of these in it is shown to nobody."""
AUDITED = frozenset({"halt", "flatten"})
"""Commands beside an admin's of which the journal keeps by whom and from where they were given."""
SHOWN = 200
"""Characters of an argument that the journal keeps."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A long list, read one by one as it is written: `ids` in order, `get` gives each (None: not wanted, or gone).

    It shows one moment: that of record `seq`, which is on disk. `limit` ends it after so many. `kept` (orders, tickets,
    executions; empty: none) names the renderings that may be kept between queries: those of an unfiltered list of
    today, where what `get` gives depends on the id alone.
    """

    ids: Sequence[str]
    get: Callable[[str], Order | Execution | None]
    limit: int | None = None
    kept: str = ""
    seq: int = 0

    def __iter__(self) -> Iterator[tuple[str, Order | Execution]]:
        wanted = len(self.ids) if self.limit is None else self.limit
        for each in self.ids:
            if not wanted:
                return
            item = self.get(each)
            if item is not None:
                wanted -= 1
                yield each, item


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the journal with its hash, as query_journal and explain_order show it."""

    record: Record
    hash: str


@dataclass(frozen=True, slots=True)
class Story:
    """An order and everything that happened to it."""

    order: Order
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class SignalStory:
    """A signal, and everything that happened to it and its orders."""

    signal_id: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """What one strategy holds of a symbol, as query_strategies shows it."""

    source: str
    strategy: str
    name: str
    account: str
    symbol: str
    quantity: Decimal
    intended: Decimal
    reference: str
    opened: datetime | None
    orders: Sequence[str]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """A source of signals as query_sources shows it, with what came from it since the start.

    `limits` are those of `source:NAME`, as add_source takes them. `secret`, `message` (what to paste at the sender) and
    `place` (where) are there only when the secret was just made.
    """

    name: str
    kind: str
    account: str
    venue: str
    url: str
    settings: Mapping[str, Any]
    configured: bool
    by: str
    received: int
    refused: int
    repeated: int
    wrong_secrets: int
    last_seen: datetime | None
    warning: str
    limits: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    message: str | None = None
    place: str | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SourceReport({self.name})"


@dataclass(frozen=True, slots=True)
class ExitsReport:
    """An entry's exits as query_exits shows them. `left` is what of its fills was not left again.

    `orders` are the exits that work, or sleep: those in `asleep` the broker holds until the entry is filled whole, and
    they protect nothing yet. `trouble` says why one is missing, `closing` and `ended` why the rest is closed at the
    market, or left alone.
    """

    entry: str
    account: str
    symbol: str
    side: str
    exits: ExitPlan
    filled: Decimal
    left: Decimal
    average_price: Decimal
    began: datetime | None
    stop_price: Decimal | None
    orders: Sequence[Order]
    asleep: Sequence[str]
    trouble: str
    closing: str
    ended: str


@dataclass(frozen=True, slots=True)
class VenueReport:
    """One venue as query_venues shows it; errors, refusals, reconnects and latencies are those since the start."""

    name: str
    kind: str
    status: VenueStatus
    default: bool
    accounts: Sequence[str]
    can: Sequence[str]
    time: datetime
    errors: int
    last_error: str
    domain: str = ""
    connected_since: datetime | None = None
    last_reconciled: datetime | None = None
    failed_reconciliations: int = 0
    differences: int = 0
    since: datetime | None = None
    status_text: str = ""
    last_error_time: datetime | None = None
    refusals: int = 0
    reconnects: int = 0
    order_latency: Latency = NEVER_MEASURED
    question_latency: Latency = NEVER_MEASURED


@dataclass(frozen=True, slots=True)
class DifferenceReport:
    """One difference as query_differences shows it: `age` in seconds, from the first sight to the last or its end."""

    venue: str
    account: str
    what: str
    key: str
    ours: str
    theirs: str
    severity: Severity
    found: datetime
    seen: datetime
    age: int
    resolved: datetime | None
    text: str
    seq: int


@dataclass(frozen=True, slots=True)
class FaultsReport:
    """What can go wrong on purpose, each with what it does; and what is set, by venue."""

    known: Mapping[str, str]
    venues: Mapping[str, Sequence[Fault]]


@dataclass(frozen=True, slots=True)
class InstrumentReport:
    """An instrument with what its venue can do with it."""

    instrument: Instrument
    order_types: Sequence[str]
    times_in_force: Sequence[str]


@dataclass(frozen=True, slots=True)
class PositionReport:
    """A position with what its venue tells of it, as query_positions shows it with `data`.

    `quantity` and `average_price` are ours; the rest is null where the venue does not tell.
    """

    venue: str
    quantity: Decimal
    average_price: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    unrealized_profit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LastPriceReport:
    """What a symbol was traded at last; or why no price is known, as a code and in words."""

    price: Decimal | None
    time: datetime | None
    reason: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class LeverageReport:
    """How many times its margin a position may be."""

    venue: str
    account: str
    symbol: str
    leverage: Decimal


@dataclass(frozen=True, slots=True)
class PositionModeReport:
    """How an account holds its positions."""

    venue: str
    account: str
    mode: PositionMode


@dataclass(frozen=True, slots=True)
class RateLimitsReport:
    """How much a venue still takes."""

    limits: Sequence[RateLimit]

    @property
    def tightest(self) -> RateLimit | None:
        """The limit of which the smallest part is left."""
        return min(self.limits, key=lambda each: each.remaining / max(each.limit, 1), default=None)


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """What a venue's endpoint answered, its JSON as it is; and what the venue still takes, where it tells."""

    venue: str
    data: Any
    rate_limits: RateLimitsReport | None


@dataclass(frozen=True, slots=True)
class GrantReport:
    """A user or token with what it may do; null accounts and symbols are all of them."""

    name: str
    scopes: Sequence[str]
    accounts: Sequence[str] | None
    symbols: Sequence[str] | None
    max_notional: Decimal | None
    by: str


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A token; `token` is its secret, which is shown when it is made and never again."""

    name: str
    scopes: Sequence[str]
    accounts: Sequence[str] | None
    symbols: Sequence[str] | None
    max_notional: Decimal | None
    by: str
    created: datetime
    expires: datetime | None
    expired: bool
    token: str | None = None


@dataclass(frozen=True, slots=True)
class FailedLogins:
    """Wrong logins of one user name from one address."""

    host: str
    user: str
    failed_logins: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class AccessReport:
    """Who may come in, and who tried in vain since the start."""

    users: Sequence[GrantReport]
    failed_logins: int
    turned_away: int
    sources: Sequence[FailedLogins]


@dataclass(frozen=True, slots=True)
class BarRows:
    """Bars to be shown in a time zone."""

    bars: Sequence[Bar]
    zone: Any


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon says of itself: its header line, flags of its configuration, and when it started."""

    header: str
    version: str
    flags: Mapping[str, Any]
    started: datetime
    zone: Any
    default_venue: str
    default_account: str
    default_route: str
    kinds: Mapping[str, str]
    clock: Callable[[], datetime]
    shutdown: Callable[[str], None]
    vitals: Mapping[str, Vitals] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    webhook_url: Callable[[], str] = lambda: ""
    """The address that senders of signals reach us by."""
    webhook_certificates: bool = False
    """Whether the port that they come by asks for client certificates."""


class Api:
    """What the commands work on, and the one door to them."""

    def __init__(
        self,
        gateway: Gateway,
        feed: Feed,
        brokers: Mapping[str, Broker],
        about: About,
        access: Access | None = None,
        exit_trouble: Callable[[str], str] = lambda entry: "",
        signaling: Signaling | None = None,
        proquant: ProQuantService | None = None,
    ) -> None:
        self.gateway = gateway
        self._signaling = signaling
        self._proquant = proquant
        self.access = access or Access("", "")
        self.exit_trouble = exit_trouble
        self.feed = feed
        self.brokers = brokers
        self.about = about
        self.in_order = InOrder()
        self.logged_off: set[str] = set()
        """The venues that a person has disconnected: nothing but a person connects them."""

    @property
    def signaling(self) -> Signaling:
        """What takes signals in."""
        assert self._signaling is not None, "this house takes no signals"
        return self._signaling

    @property
    def proquant(self) -> ProQuantService:
        """Where integrations are asked for."""
        assert self._proquant is not None, "this house knows no ProQuant"
        return self._proquant

    def call(self, name: str, caller: Caller, given: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Run a command: gives its result or an awaitable of it. Raises GatewayErrors; KeyError: no such command.

        Whether the caller may is found out first, before anything it gave is looked at.
        """
        found = COMMANDS[name]
        caller.check(name, found.right, found.narrow, found.urgent)
        intake, default = self.gateway.intake, self.about.default_venue
        if found.needs_up and not intake.been_up:
            intake.require_up(default)
        arguments = found.arguments(given)
        if found.needs_up and default not in intake.been_up:
            venue = self.gateway.venue_of(arguments["account"]) if arguments.get("account") else None
            intake.require_up(venue or next(iter(intake.been_up)))
        if (found.right is Right.ADMIN and not name.startswith("query_")) or name in AUDITED:
            self._journal(name, caller, arguments)
        return found.function(self, caller, **arguments)

    def _journal(self, name: str, caller: Caller, arguments: Mapping[str, Any]) -> None:
        """Keep who did what, and from where; whatever may be a secret is left out."""
        shown = (
            f"{each}={'***' if any(word in each for word in SECRETS) else str(value)[:SHOWN]}"
            for each, value in arguments.items()
            if value not in (None, "")
        )
        now = self.about.clock()
        event = AdminActed(caller.user, caller.origin, caller.host, name, ", ".join(shown)[: 10 * SHOWN], now)
        self.gateway.ledger.record(event)

    def status_word(self, venue: str) -> str:
        """A venue's status in txTrader's words."""
        if self.gateway.stopping:
            return "Shutdown"
        status = self.gateway.intake.status[venue]
        if status is VenueStatus.DOWN and venue not in self.gateway.intake.been_up:
            return "Startup"
        return _STATUS_WORDS[status]

    def accounts(self, caller: Caller | None = None) -> list[str]:
        """Every account of every venue, or those of a caller, sorted."""
        names = sorted(account for broker in self.brokers.values() for account in broker.accounts())
        return names if caller is None else [each for each in names if caller.grant.reaches(each)]

    def require_told(self, account: str) -> None:
        """NotUp where nobody can know yet that there is no such account: a venue has not told which it has."""
        for venue in self.gateway.intake.untold(account):
            self.gateway.intake.require_up(venue)

    def scope(self, text: str, done: str, every: str = "") -> Scope:
        """The scope that was written; what is `done` to one that there is not (halted, limited) would protect nobody.

        Names are looked at but for accounts, which venues tell of late, and for `every`, which stands for each.
        """
        try:
            scope = Scope.parse(text)
        except ValueError as error:
            raise BadArgument(f"{error}.") from None
        name = scope.name
        if not name.isprintable() or len(name) > 200:
            raise BadArgument("scope must have a printable name of at most 200 characters.")
        if every and name == every:
            return scope
        if scope.kind is ScopeKind.VENUE and name not in self.brokers:
            raise BadArgument(f"venue {name!r} is unknown: there are {', '.join(self.brokers)}.")
        if scope.kind is ScopeKind.SYMBOL and "@" in name:
            raise BadArgument(f"a symbol is {done} at every venue: write symbol:{name.partition('@')[0]}.")
        return scope

    def current_account(self) -> str:
        """The account selected last, else the configured one."""
        return self.gateway.state.settings.get("account", self.about.default_account)


class InOrder:
    """Today's order ids in their order, remembered: sorting a hundred thousand for each list would hold up all else."""

    def __init__(self) -> None:
        self._days: tuple[date | None, ...] = ()
        self._ids: list[str] = []

    def ids(self, today: Mapping[str, Any], days: tuple[date | None, ...]) -> Sequence[str]:
        """The ids of `today`, sorted; within the same trading days there only come more, and higher ones."""
        if days != self._days or len(today) != len(self._ids):
            last = self._ids[-1] if self._ids and days == self._days else ""
            new = sorted([each for each in today if each > last])
            kept = self._ids if last else []
            self._ids = [*kept, *new] if len(kept) + len(new) == len(today) else sorted(today)
            self._days = days
        return self._ids


_STATUS_WORDS = {
    VenueStatus.DOWN: "Disconnected",
    VenueStatus.CONNECTING: "Pending",
    VenueStatus.RECONCILING: "Initializing",
    VenueStatus.UP: "Up",
    VenueStatus.STOPPING: "Shutdown",
}


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")  # its commands enter themselves in COMMANDS
