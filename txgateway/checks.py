"""What an order must pass before it is recorded: the checks of every room, in their order, on each side of a wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from txgateway import exits, halts, risk
from txgateway.brokers import Broker, Can, unknown_symbol
from txgateway.families import group_key
from txgateway.guard import Guard
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import VenueStatus
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderRequest, OrderType, Origin, TimeInForce
from txgateway.model.rights import Grant
from txgateway.model.scope import Subject
from txgateway.risk import Decision, Denial
from txgateway.state import State


class Checks:
    """Says why an order may not go out. It asks nobody and changes nothing, however often it is called."""

    def __init__(
        self,
        state: State,
        guard: Guard,
        brokers: Mapping[str, Broker],
        status: Mapping[str, VenueStatus],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._state = state
        self._guard = guard
        self._brokers = brokers
        self._status = status
        self._is_stopping = is_stopping

    def at_once(self, venue: str | None, request: OrderRequest, subject: Subject, grant: Grant) -> Denial | None:
        """Everything that can be judged before the instrument is known."""
        if self._is_stopping():
            return Denial(Reason.STOPPING, "The gateway is shutting down and takes no new orders: send it again later.")
        if self._state.halts or subject.origin is Origin.FLATTEN:
            halted = halts.check_order(
                self._state,
                subject,
                request.side,
                request.quantity,
                bond=request.bond,
                is_exit=request.leg is not None,
            )
            if halted is not None:
                return halted
        if venue is None:
            return self._nowhere(request.account)
        if self._status[venue] is not VenueStatus.UP:
            return Denial(
                Reason.VENUE_DOWN,
                f"Venue {venue} is {self._status[venue]}: send it again when it is UP.",
            )
        broker = self._brokers[venue]
        denial = risk.check_grant(request, grant) or risk.check_form(request)
        denial = denial or _check_claims(broker, venue, request) or self._check_kin(request, broker.can)
        return denial if denial or _only_closes(request, subject) else self._guard.restricted(request, subject)

    def _nowhere(self, account: str) -> Denial:
        """No venue trades the account, as far as is known: those that are not connected may not have told of theirs."""
        brokers = self._brokers.items()
        silent = [name for name, broker in brokers if broker.can and self._status[name] is not VenueStatus.UP]
        for name in silent:
            if account in self._state.opened.get(name, ()):
                text = f"Venue {name}, which had account {account!r}, is {self._status[name]}"
                return Denial(Reason.VENUE_DOWN, f"{text}: send it again when it is UP.")
        text = f"Account {account!r} is unknown: query_accounts lists them."
        untold = [f"{name} ({self._status[name]})" for name in silent if not self._brokers[name].accounts()]
        if untold:
            text = f"{text} Not yet told has {', '.join(untold)}: its accounts are not known until it is UP."
        return Denial(Reason.UNKNOWN_ACCOUNT, text)

    def judge(
        self,
        request: OrderRequest,
        subject: Subject,
        instrument: Instrument | None,
        quote: Quote | None,
        grant: Grant,
        before: Order | None = None,
        approved: bool = False,
    ) -> Decision:
        """All checks, once more what may have changed meanwhile; no limit keeps a flatten or an exit from closing."""
        denial = self.at_once(subject.venue, request, subject, grant) if before is None else None
        if denial is None and instrument is None:
            denial = Denial(Reason.UNKNOWN_SYMBOL, unknown_symbol(self._brokers[subject.venue], request.symbol))
        if denial is None and instrument is not None:
            denial = risk.check_worth(request, instrument, quote, grant)
        if denial is not None or instrument is None:
            return Decision(denial)
        if _only_closes(request, subject):
            return Decision(risk.check_rules(request, instrument, quote))
        if request.exits is not None and before is None:
            denial = risk.check_rules(request, instrument, quote) or exits.check_levels(request, instrument, quote)
            if denial is not None:
                return Decision(denial)
        now = self._brokers[subject.venue].now()
        return self._guard.judge(request, subject, instrument, quote, now, before, approved)

    def moved(self, order: Order, request: OrderRequest, instrument: Instrument, quote: Quote | None) -> Denial | None:
        """What a person makes of an order's price, held against its exits as when they were sent."""
        family = self._state.families.find(order.order_id)
        entry = self._state.order(order.parent) if order.leg is not None else None
        return exits.check_moved(order, request, family, entry, instrument, quote)

    def _check_kin(self, request: OrderRequest, can: Can) -> Denial | None:
        """What is asked to be attached to the order, and the group it is to be one of."""
        if request.oco:
            group = self._state.families.group(group_key(request.account, request.oco))
            denial = exits.check_group(request.oco, group)
            if denial is not None:
                return denial
        return None if request.exits is None else exits.check_plan(request.exits, can)


def _only_closes(request: OrderRequest, subject: Subject) -> bool:
    """Whether an order can only take back what is held: no limit keeps it from that."""
    return subject.origin is Origin.FLATTEN or request.leg is not None


def unanswered(error: GatewayError) -> Denial:
    """The venue could not be asked about the symbol, or says that it has not got it."""
    reason = error.reason if isinstance(error, Refused) and error.reason is Reason.UNSUPPORTED else Reason.VENUE_DOWN
    return Denial(reason, str(error))


def _check_claims(broker: Broker, venue: str, request: OrderRequest) -> Denial | None:
    if Can.order_type(request.order_type) not in broker.can:
        return _claims_no(venue, request.order_type, [each for each in OrderType if Can.order_type(each) in broker.can])
    if Can.time_in_force(request.time_in_force) not in broker.can:
        lasting = [each for each in TimeInForce if Can.time_in_force(each) in broker.can]
        return _claims_no(venue, request.time_in_force, lasting)
    return None


def _claims_no(venue: str, wanted: str, taken: Sequence[str]) -> Denial:
    return Denial(Reason.UNSUPPORTED, f"Venue {venue} takes no {wanted} orders: it takes {', '.join(taken) or 'none'}.")
