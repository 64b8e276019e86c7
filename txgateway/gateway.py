"""The desk: check -> record -> send. The one path of every order to a broker, and of every change to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from twisted.logger import Logger

from txgateway import exits, halts, risk
from txgateway.amends import Amends
from txgateway.brokers import Broker, Can
from txgateway.cancels import Cancels
from txgateway.checks import Checks, unanswered
from txgateway.differences import Differences
from txgateway.errands import Errands
from txgateway.flatten import Flattens
from txgateway.guard import Guard, Shown, unknown
from txgateway.history import History
from txgateway.intake import CONNECTED, Intake
from txgateway.journal import Journal
from txgateway.leases import Leases
from txgateway.ledger import QUESTIONS, Ledger, Then
from txgateway.missed import Missed
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    MOVES,
    CancelRequested,
    ChangeDenied,
    ExitsEnded,
    LimitChanged,
    OrderCanceled,
    OrderDenied,
    OrderSubmitted,
    ReplaceRequested,
    RiskWarned,
    SettingChanged,
    TicketApproved,
    TradingHalted,
    TradingResumed,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.exits import KEEPER, Leg
from txgateway.model.halts import Halt, HaltLevel
from txgateway.model.instrument import Instrument
from txgateway.model.limits import Levels, Limit
from txgateway.model.market import Quote
from txgateway.model.order import (
    PENDING,
    Move,
    Order,
    OrderRequest,
    OrderStatus,
    Origin,
    Terms,
)
from txgateway.model.rights import EVERYTHING, Grant
from txgateway.model.scope import GATEWAY, Scope, Subject
from txgateway.outbound import Outbound
from txgateway.pricing import Pricing
from txgateway.reconciler import Reconciler
from txgateway.risk import Decision, Denial, Warned
from txgateway.rounds import Rounds
from txgateway.settlement import Settlement
from txgateway.state import Change, State
from txgateway.tally import Tally
from txgateway.tickets import ANY_TIME, TicketRules, Tickets

log = Logger()

Market = Callable[[str, str], Awaitable[tuple[Instrument | None, Quote | None]]]
"""(venue, symbol) -> its instrument and last quote, after looking it up, subscribing and waiting where needed."""

APPROVAL = "approval"
"""The tag of an order that became a ticket by its size."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An order as it stands after the broker's first answer; `replayed` when its key had been seen before."""

    order: Order
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the desk is given: its surroundings, so that tests can give others."""

    state: State
    journal: Journal
    brokers: Mapping[str, Broker]
    market: Market
    reactor: Any
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    trading_day: Callable[[datetime], date]
    default_route: str = ""
    routes: Mapping[str, str] = field(default_factory=dict)
    """The default routes of venues that have one of their own."""
    order_timeout: float = 300.0
    halt_on_exception: bool = False
    log_repeats: bool = False
    tickets: TicketRules = ANY_TIME
    reconcile_seconds: float = 0
    difference_raise_seconds: float = 0
    limits: Levels = field(default_factory=dict)
    shown: Shown = unknown


class Gateway:
    """The one path of every order, and the one writer of the journal."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._brokers = desk.brokers
        self._clock = desk.clock
        self.stopping = False
        self.state = desk.state
        self.ledger = Ledger(desk.state, desk.journal, desk.reactor, desk.clock)
        self.guard = Guard(desk.state, desk.limits, desk.shown, desk.clock, desk.reactor.seconds)
        self.history = History(desk.state, desk.journal, desk.brokers)
        self.differences = Differences(self.ledger, desk.clock, desk.difference_raise_seconds)
        self.intake = Intake(
            self.ledger,
            desk.journal,
            self.history,
            desk.brokers,
            self.differences,
            desk.clock,
            desk.trading_day,
            desk.halt_on_exception,
            desk.log_repeats,
        )
        self.checks = Checks(desk.state, self.guard, desk.brokers, self.intake.status, lambda: self.stopping)
        self.outbound = Outbound(self.ledger, self.intake, desk.brokers, desk.reactor, desk.clock, desk.order_timeout)
        self.tickets = Tickets(self.ledger, self.intake, desk.brokers, desk.clock, desk.tickets, self.outbound.cancel)
        self.cancels = Cancels(desk.state, self.intake, desk.reactor, self.cancel)
        self.amends = Amends(self.ledger, self.intake, self.history, desk.brokers, desk.market, desk.clock, self.cancel)
        self.errands = Errands(self.ledger, self.intake, desk.brokers, desk.reactor, desk.clock)
        self.leases = Leases(self.ledger, self.intake, desk.reactor, desk.clock, self.cancels, lambda: self.stopping)
        self.flattens = Flattens(
            self.ledger,
            self.intake,
            self.history,
            desk.brokers,
            desk.market,
            desk.reactor,
            desk.clock,
            self._submit_closing,
            self.cancels,
            self.differences,
        )
        missed = Missed(desk.state, self.intake, desk.brokers)
        self.tally = Tally(self.ledger, self.intake, missed, self.differences, desk.brokers, desk.clock)
        self.reconciler = Reconciler(
            self.ledger,
            desk.journal,
            self.history,
            self.intake,
            desk.brokers,
            missed,
            self.tally,
            self.differences,
            desk.reactor,
            desk.clock,
            desk.new_id,
            desk.reconcile_seconds,
            desk.order_timeout,
        )
        settlement = Settlement(
            self.ledger,
            self.intake,
            self.history,
            self.reconciler,
            self.tally,
            self.differences,
            desk.brokers,
            desk.clock,
        )
        self.resolve, self.settle = settlement.resolve, settlement.settle
        self.report = self.intake.report
        self.settled = self.ledger.settled
        self.listeners = self.ledger.listeners
        pricing = Pricing(self.guard, self.intake, desk.market)
        self._rounds = Rounds(
            (
                self.outbound.watch,
                self.reconciler.watch,
                self.differences.watch,
                self.intake.start_days,
                self.tickets.watch,
                self.amends.watch,
                self.cancels.watch,
                self.errands.watch,
                self.leases.watch,
                self.guard.revalue,
                pricing.watch,
            ),
            desk.reactor,
            self.intake.unexpected,
        )

    def start(self) -> None:
        """Begin writing the journal and watching for orders that stay unanswered."""
        self.ledger.start()
        self.listeners.append(self._heard)
        self.reconciler.start()
        for order in self.state.working.values():
            if order.status in PENDING:
                self.outbound.await_answer(order.order_id)
        self._rounds.start()
        self.amends.start()
        self.flattens.start()

    async def stop(self) -> None:
        """Take no more orders, write what waits."""
        self.stopping = True
        self.flattens.stop()
        self._rounds.stop()
        self.reconciler.stop()
        await self.ledger.stop()

    # orders in

    async def submit(
        self, request: OrderRequest, owner: str, origin: Origin, lease: str = "", grant: Grant = EVERYTHING
    ) -> Reply:
        """Send an order once: a key seen before gives that order, a refusal is recorded, the rest goes out.

        An account that the grant does not reach is refused without a record: its keys are nobody else's to use up.
        """
        if not grant.reaches(request.account):
            what = f"{owner} may not trade account {request.account!r}: an admin can grant it."
            raise Refused(Reason.NOT_ALLOWED, what)
        known = await self._known(request) or self._known_now(request)
        if known is not None:
            return await self._replay(known, request)
        if self.ledger.error is not None:
            raise self.ledger.refusal()
        venue = self.venue_of(request.account)
        subject = Subject(venue or "", request.account, owner, origin, request.symbol)
        decision = Decision(self.checks.at_once(venue, request, subject, grant))
        instrument: Instrument | None = None
        if decision.denial is None and venue is not None:
            try:
                instrument, quote = await self._desk.market(venue, request.symbol)
            except GatewayError as error:
                decision = Decision(unanswered(error))
            known = self._known_now(request)
            if known is not None:
                return await self._replay(known, request)
            if decision.denial is None:
                decision = self.checks.judge(request, subject, instrument, quote, grant)
        if lease and not self.leases.takes(lease):
            raise Refused(Reason.DISCONNECTED, "The connection of this order is gone: it was not sent, send it again.")
        terms = self._terms(request, venue or "", instrument, owner, origin, lease)
        if decision.denial is not None:
            return Reply(await self._deny(terms, decision.denial))
        staged = ""
        if decision.staged:
            terms = replace(terms, tag=APPROVAL)
            staged = f"{decision.staged} It waits: approve_ticket sends it, reject_ticket ends it."
        if request.leg is not None:
            exits.require_room(request, self.state.families.find(request.parent))
        else:
            self.guard.sent(request, subject)
        return Reply(await self._enter(terms, decision.warnings, staged))

    async def preview(
        self, request: OrderRequest, owner: str, origin: Origin, grant: Grant = EVERYTHING
    ) -> Denial | None:
        """Why `submit` would refuse this order now; nothing is recorded, and nothing sent."""
        venue = self.venue_of(request.account)
        subject = Subject(venue or "", request.account, owner, origin, request.symbol)
        denial = self.checks.at_once(venue, request, subject, grant)
        if denial is not None or venue is None:
            return denial
        try:
            instrument, quote = await self._desk.market(venue, request.symbol)
        except GatewayError as error:
            return unanswered(error)
        return self.checks.judge(request, subject, instrument, quote, grant).denial

    async def _submit_closing(self, request: OrderRequest, owner: str) -> Order:
        return (await self.submit(request, owner, Origin.FLATTEN)).order

    async def _enter(self, terms: Terms, warnings: Sequence[Warned], staged: str = "") -> Order:
        sends = terms.tag is None or Can.STAGE in self._brokers[terms.venue].can
        answer = self.ledger.expect(terms.order_id) if sends else None
        reason = Reason.APPROVAL_NEEDED if staged else None
        event = OrderSubmitted(terms, self._clock(), reason, staged)
        legs, then = self._outward(terms) if sends else ((), None)
        change = self.ledger.record(event, then)
        self._warn(terms.order_id, warnings)
        if answer is None or change.order is None:
            return await self.ledger.written(change)
        self._attach(change.order, legs, then)
        self.outbound.await_answer(terms.order_id)
        return await self.ledger.answer(change.order, answer)

    def _outward(self, terms: Terms) -> tuple[Sequence[Leg], Then]:
        """The exits that go out with an order, and what sends them all once they are on disk."""
        can, family = self._brokers[terms.venue].can, self.state.families.live.get(terms.order_id)
        legs = exits.bracket(terms.exits, terms.time_in_force, can)
        if family is not None:
            legs = tuple(leg for leg in legs if leg in family.wanted)
        if terms.tag is not None and Can.STAGE in can:
            legs = ()
        return legs, self.outbound.together(1 + len(legs)) if legs else self.outbound.send

    def _attach(self, entry: Order, legs: Sequence[Leg], then: Then | None) -> None:
        """Record the exits that go out with an entry."""
        for leg in legs:
            family, can = self.state.families.live[entry.order_id], self._brokers[entry.venue].can
            request = exits.attached(family, leg, entry.quantity, can)
            terms = self._terms(request, entry.venue, None, entry.owner, entry.origin)
            terms = replace(terms, cusip=entry.cusip, currency=entry.currency, attached=True)
            self.ledger.record(OrderSubmitted(terms, self._clock()), then)
            self.outbound.await_answer(terms.order_id)

    def _warn(self, order_id: str, warnings: Sequence[Warned]) -> None:
        for each in warnings:
            event = RiskWarned(order_id, each.reason, each.limit.value, str(each.scope), each.text, self._clock())
            self.ledger.record(event)

    async def _deny(self, terms: Terms, denial: Denial) -> Order:
        change = self.ledger.record(OrderDenied(terms, denial.reason, denial.text, self._clock()))
        return await self.ledger.written(change)

    def _terms(
        self,
        request: OrderRequest,
        venue: str,
        instrument: Instrument | None,
        owner: str,
        origin: Origin,
        lease: str = "",
    ) -> Terms:
        order_id = self._desk.new_id()
        broker = self._brokers.get(venue)
        now = self._clock()
        return Terms(
            order_id=order_id,
            client_order_id=request.client_order_id or order_id,
            venue=venue,
            account=request.account,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            route=(request.route or "").strip() or self._default_route(venue, origin),
            tag=request.tag,
            owner=owner,
            origin=origin,
            created=now,
            day=self._desk.trading_day(broker.now() if broker else now),
            cusip=instrument.cusip if instrument else "",
            currency=instrument.currency if instrument else "",
            body=request.body,
            lease=lease,
            exits=request.exits,
            oco=request.oco,
            parent=request.parent,
            leg=request.leg,
            signal=request.signal,
            strategy=request.strategy,
            good_till=request.good_till,
        )

    # keys

    async def _known(self, request: OrderRequest) -> Order | None:
        """The order behind the request's key, wherever it is; None when the key is new."""
        if request.client_order_id is None:
            return None
        return await self.history.find_client(request.account, request.client_order_id)

    def _known_now(self, request: OrderRequest) -> Order | None:
        if request.client_order_id is None:
            return None
        return self.state.find_client(request.account, request.client_order_id)

    async def _replay(self, order: Order, request: OrderRequest) -> Reply:
        """The stored order, once the broker has answered; KEY_CONFLICT when the key stands for another order."""
        if order.body != request.body:
            raise Refused(
                Reason.KEY_CONFLICT,
                f"client_order_id {request.client_order_id!r} already stands for another order "
                f"({order.order_id}: {order.side} {order.quantity:f} {order.symbol}): use a new one.",
                order.order_id,
            )
        if order.status is OrderStatus.PENDING_NEW:
            return Reply(await self.ledger.answer(order, self.ledger.expect(order.order_id)), replayed=True)
        await self.settled()
        return Reply(self.state.order(order.order_id) or order, replayed=True)

    # changes to an order

    async def cancel(self, order_id: str, by: str, reason: Reason | None = None, text: str = "") -> Order:
        """Ask for an order's end, for a reason that it then keeps; the order after the broker's first answer."""
        order = await self.history.get(order_id)
        if order.status is OrderStatus.STAGED and self.tickets.is_ours(order):
            why = (reason or Reason.USER, text or f"Ended by {by}.")
            event = OrderCanceled(order.order_id, *why, self._clock())
            return await self.ledger.written(self.ledger.record(event))
        if not order.may(Move.ASK_CANCEL):
            raise Refused(
                Reason.NOT_WORKING,
                f"Order {order.order_id} is {order.status}: nothing to cancel.",
                order.order_id,
            )
        return await self._ask(CancelRequested(order.order_id, by, self._clock(), reason, text), self.outbound.cancel)

    def cancel_all(self, by: str, grant: Grant = EVERYTHING) -> int:
        """Ask for the end of every working order in reach, tickets left as they are; gives how many were asked for."""
        working = [order for order in self.state.working.values() if order.status is not OrderStatus.STAGED]
        orders = [
            order
            for order in working
            if order.may(Move.ASK_CANCEL) and grant.covers(order.account, order.symbol) and not self._sleeps(order)
        ]
        for order in orders:
            self.intake.go(self.cancel(order.order_id, by), f"cancel of {order.order_id}")
        return len(orders)

    def _sleeps(self, order: Order) -> bool:
        """Whether an exit is held by the broker, and ends with its entry: until that is sure it is to protect it."""
        family = self.state.families.live.get(order.parent) if order.attached else None
        return family is not None and family.open and not family.filled

    async def replace(
        self,
        order_id: str,
        quantity: Decimal | None,
        limit: Decimal | None,
        stop: Decimal | None,
        by: str,
        grant: Grant = EVERYTHING,
        reduced: Decimal | None = None,
    ) -> Order:
        """Ask for other terms (None: as they are); the order after the broker's first answer."""
        order = await self.history.get(order_id)
        if order.leg is not None and quantity is not None and by != KEEPER:
            raise Refused(
                Reason.UNSUPPORTED,
                f"Order {order.order_id} is an exit of {order.parent} and as large as what is left of it: "
                "change its price, or cancel it.",
                order.order_id,
            )
        if not order.may(Move.ASK_REPLACE):
            raise Refused(Reason.NOT_WORKING, f"Order {order.order_id} is {order.status}: not now.", order.order_id)
        if Can.REPLACE not in self._brokers[order.venue].can:
            raise Refused(
                Reason.UNSUPPORTED,
                f"Venue {order.venue} cannot replace: cancel and send anew.",
                order.order_id,
            )
        request = _as_request(order, quantity, limit, stop)
        asks_more = order.leg is None and not risk.only_decreases(order, request)
        if asks_more or (by != KEEPER and self.intake.status[order.venue] not in CONNECTED):
            self._require_open(order)
        denial = risk.check_grant(request, grant) or risk.check_form(request)
        denial = denial or risk.check_replace(order, quantity, limit, stop)
        denial = denial or halts.check_replace(self.state, order, quantity, limit, stop, by == KEEPER)
        decision = Decision(denial)
        if denial is None:
            instrument, quote = await self._desk.market(order.venue, order.symbol)
            order = self.state.order(order.order_id) or order
            request = _as_request(order, quantity, limit, stop)
            decision = Decision(halts.check_replace(self.state, order, quantity, limit, stop, by == KEEPER))
            if decision.denial is None:
                decision = self.checks.judge(request, Subject.of(order), instrument, quote, grant, before=order)
            if decision.denial is None and instrument is not None and by != KEEPER:
                denial = self.checks.moved(order, request, instrument, quote)
                decision = decision if denial is None else Decision(denial)
        if decision.denial is not None:
            raise await self._change_denied(order, "replace", decision.denial, by)
        if order.leg is None and not risk.only_decreases(order, request):
            self.guard.sent(request, Subject.of(order), before=order)
        event = ReplaceRequested(order.order_id, quantity, limit, stop, by, self._clock(), reduced)
        return await self._ask(event, self.outbound.replace, decision.warnings)

    def _require_open(self, order: Order) -> None:
        """Refused where a new order would be: what is held and works is to be known before more is asked for."""
        if self.stopping:
            text = "The gateway is shutting down: until it is back an order may be made smaller or canceled, no more."
            raise Refused(Reason.STOPPING, text, order.order_id)
        status = self.intake.status[order.venue]
        if status is not VenueStatus.UP:
            less = "made smaller or canceled" if status in CONNECTED else "canceled"
            text = f"Venue {order.venue} is {status}: until it is UP an order may be {less}, no more."
            raise Refused(Reason.VENUE_DOWN, text, order.order_id)

    async def _change_denied(self, order: Order, change: str, denial: Denial, by: str) -> Refused:
        """The refusal of a change, once it is on disk."""
        self.ledger.record(ChangeDenied(order.order_id, change, denial.reason, denial.text, by, self._clock()))
        await self.settled()
        return Refused(denial.reason, denial.text, order.order_id)

    async def end_exits(self, order_id: str, by: str) -> Order:
        """Attach nothing more to an entry, and end what works of its exits; the entry."""
        order = await self.history.get(order_id)
        family = self.state.families.live.get(order.order_id)
        if family is None:
            raise Refused(Reason.NOT_WORKING, f"Order {order.order_id} has no exits that work.", order.order_id)
        if not family.ended:
            self.ledger.record(ExitsEnded(order.order_id, f"ended by {by}.", self._clock()))
        await self.settled()
        return self.state.order(order.order_id) or order

    async def approve(self, order_id: str, by: str, grant: Grant = EVERYTHING) -> Order:
        """Release a ticket, if it is not too late and still passes every check."""
        order = await self._ticket(order_id)
        if self.tickets.rules.four_eyes and by == order.owner:
            text = f"{by} sent ticket {order.order_id}: somebody else must approve it (TICKET_FOUR_EYES is set)."
            raise Refused(Reason.FOUR_EYES, text, order.order_id)
        late = self.tickets.too_late(order)
        if late is not None:
            self.tickets.end(order, late)
            raise Refused(Reason.TICKET_EXPIRED, f"{late} Send the order anew.", order.order_id)
        request = _as_request(order, None, None, None)
        subject = Subject.of(order)
        decision = Decision(self.checks.at_once(order.venue, request, subject, grant))
        if decision.denial is None:
            instrument, quote = await self._desk.market(order.venue, order.symbol)
            decision = self.checks.judge(request, subject, instrument, quote, grant, approved=True)
        if decision.denial is not None:
            raise await self._change_denied(order, "release", decision.denial, by)
        self.guard.sent(request, subject)
        legs, then = self._outward(order)
        return await self._ask(TicketApproved(order.order_id, by, self._clock()), then, decision.warnings, legs)

    async def reject(self, order_id: str, text: str, by: str) -> Order:
        """End a ticket."""
        order = await self._ticket(order_id)
        why = f"Rejected by {by}" + (f": {text}" if text else ".")
        now = self._clock()
        if Can.STAGE in self._brokers[order.venue].can:
            request = CancelRequested(order.order_id, by, now, Reason.TICKET_REJECTED, why)
            return await self._ask(request, self.outbound.cancel)
        return await self.ledger.written(
            self.ledger.record(OrderCanceled(order.order_id, Reason.TICKET_REJECTED, why, now))
        )

    async def _ticket(self, order_id: str) -> Order:
        order = await self.history.get(order_id)
        if not order.may(Move.RELEASE):
            text = f"Order {order.order_id} is {order.status}: no ticket waits."
            raise Refused(Reason.NOT_A_TICKET, text, order.order_id)
        return order

    async def _ask(
        self,
        event: CancelRequested | ReplaceRequested | TicketApproved,
        send: Callable[[Order], None],
        warnings: Sequence[Warned] = (),
        legs: Sequence[Leg] = (),
    ) -> Order:
        order = self.state.order(event.order_id)
        if order is None or not order.may(MOVES[type(event)]):
            status = order.status if order else "closed"
            raise Refused(Reason.NOT_WORKING, f"Order {event.order_id} is {status} by now: too late.", event.order_id)
        answer = self.ledger.expect(event.order_id)
        self.outbound.await_answer(event.order_id)
        self.ledger.record(event, send)
        self._attach(order, legs, send)
        self._warn(event.order_id, warnings)
        return await self.ledger.answer(order, answer)

    # settings

    def set_limit(self, scope: Scope, limit: Limit, value: str | None, warn: str | None, by: str) -> None:
        """Change a limit (None: back to what holds by itself); the words must be ones that level_of can read."""
        if self.ledger.error is not None:
            text = f"The journal cannot be written ({self.ledger.error}), so no limit is changed: free the disk first."
            raise Refused(Reason.JOURNAL_FAILED, text)
        self.ledger.record(LimitChanged(str(scope), limit.value, value, warn, by, self._clock()))

    def halt(self, text: str, by: str, scope: Scope = GATEWAY, level: HaltLevel = HaltLevel.HALTED) -> Halt:
        """Refuse a scope's orders until `resume`; cancels go on. What is halted is loosened by `resume` alone."""
        before = self.state.halts.get(scope)
        if before is not None and before.level is HaltLevel.HALTED and level is not HaltLevel.HALTED:
            raise Refused(Reason.HALTED, f"{before}. It stays so: resume it first, which takes the admin's right.")
        self.ledger.record(TradingHalted(text, by, self._clock(), scope, level))
        return self.state.halts[scope]

    def resume(self, by: str, scope: Scope = GATEWAY) -> None:
        """Let a scope's orders through again; a flatten of it that has not ended is called off."""
        self.flattens.call_off(scope, by)
        if scope in self.state.halts:
            self.ledger.record(TradingResumed(by, self._clock(), scope))

    def change_setting(self, name: str, value: str | None, by: str) -> None:
        """Set (None: delete) a setting that outlives a restart."""
        self.ledger.record(SettingChanged(name, value, by, self._clock()))

    # reading

    def _default_route(self, venue: str, origin: Origin) -> str:
        """The route of an order that names none: what was set by hand, else the venue's, else the gateway's.

        A flatten goes by what is configured: no slow or wrong route of another moment keeps a position open.
        """
        by_hand = None if origin is Origin.FLATTEN else self.state.settings.get("route")
        return by_hand or self._desk.routes.get(venue) or self._desk.default_route

    def venue_of(self, account: str) -> str | None:
        """The venue that trades an account."""
        return self.intake.venue_of(account)

    # waiting for answers

    def _heard(self, change: Change) -> None:
        """Keep the time until which each order must be answered: what is asked of it, and the order itself."""
        event = change.record.event
        if isinstance(event, VenueStatusChanged) and event.status is VenueStatus.UP:
            self.cancels.come_up(event.venue)
            if self.state.errands:
                self.errands.heard_up(event.venue)
        if self.state.flattens:
            self.flattens.heard(change)
        order = change.order
        if order is None or isinstance(change.record.event, QUESTIONS):
            return
        self.outbound.heard(order)
        self.cancels.heard(order)
        self.amends.heard(order)
        if change.execution is not None:
            self._spend_budget(order)

    def _spend_budget(self, order: Order) -> None:
        """Count an execution; who has had too many is halted until a person resumes."""
        spent = self.guard.executed(order)
        if spent is None:
            return
        owner, text = spent
        halted = self.state.halts.get(owner)
        if halted is None or halted.level is not HaltLevel.HALTED:
            log.critical("{owner} is halted: {text}", owner=str(owner), text=text)
            self.ledger.record(TradingHalted(text, "gateway", self._clock(), owner, exits_go_on=True))


def _as_request(order: Order, quantity: Decimal | None, limit: Decimal | None, stop: Decimal | None) -> OrderRequest:
    """An order's terms as a request, some of them replaced: what the checks are made on."""
    return OrderRequest(
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity if quantity is None else quantity,
        order_type=order.order_type,
        limit_price=order.limit_price if limit is None else limit,
        stop_price=order.stop_price if stop is None else stop,
        time_in_force=order.time_in_force,
        client_order_id=order.client_order_id,
        exits=order.exits if order.status is OrderStatus.STAGED else None,
        oco=order.oco if order.status is OrderStatus.STAGED else "",
        parent=order.parent,
        leg=order.leg,
        signal=order.signal,
        strategy=order.strategy,
        good_till=order.good_till,
    )
