"""The keeper of attached orders: listens to what happens, and does through the desk what exits.py says is due.

Everything it knows for good is in the journal; what it remembers itself (prices seen, tries that failed) may be lost.
It looks at a family again after everything that happens to it, when its venue comes up, and when its time has come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway import exits, halts
from txgateway.brokers import Broker
from txgateway.exits import Cancel, End, Send, Step, Trigger, View, Wait, Watch
from txgateway.families import Family, Group, group_key
from txgateway.gateway import Gateway
from txgateway.model.difference import Key, What
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    CancelRejected,
    Event,
    ExitsEnded,
    ExitTriggered,
    OrderReplaced,
    ReplaceRejected,
    Severity,
    StopHeld,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.exits import KEEPER, Leg
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.market import Quote, Trade
from txgateway.model.order import CLOSED, PENDING, Order, OrderStatus, Origin
from txgateway.model.scope import Subject
from txgateway.state import Change as News

log = Logger()

ZERO = Decimal(0)
TICK_SECONDS = 0.25
"""How often is looked at what waits for a time."""
TRAIL_SECONDS = 1.0
"""How long a trailing stop stays where it was moved to, at least."""
FIRST_TRY, LAST_TRY = 1.0, 60.0
"""Seconds until what was refused is tried again: twice as long each time, to the last."""
CLOSED_MARKET = 900.0
"""Seconds until it is tried again where the market is closed; its next price comes first."""
REFUSALS = frozenset({OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.CANCELED, OrderStatus.EXPIRED})


@dataclass(slots=True)
class _Trouble:
    """A step that was refused: how often, until when it rests, why."""

    tries: int
    until: float
    reason: Reason | None
    text: str


@dataclass(slots=True)
class _Memory:
    """What is remembered of a family: prices since it is watched, what is under way, and what would not go."""

    best: Decimal | None = None
    price: Decimal | None = None
    busy: set[str] = field(default_factory=set)
    troubles: dict[str, _Trouble] = field(default_factory=dict)
    moved: float = float("-inf")
    heard: float = 0.0
    waits: bool = False
    rules: Instrument | None = None


class Keeper:
    """Sees to it that what an entry filled has its exits, each once and never more than is left."""

    def __init__(
        self,
        gateway: Gateway,
        brokers: Mapping[str, Broker],
        market: Callable[[str, str], Awaitable[tuple[Instrument | None, Quote | None]]],
        reactor: Any,
        clock: Callable[[], datetime],
        complain: Callable[[VenueError], None],
    ) -> None:
        self._clock = clock
        self._gateway = gateway
        self._families = gateway.state.families
        self._brokers = brokers
        self._market = market
        self._reactor = reactor
        self._complain = complain
        self._memories: dict[str, _Memory] = {}
        self._watched: dict[tuple[str, str], dict[str, None]] = {}
        self._quoted: set[tuple[str, str]] = set()
        self._timed: dict[str, None] = {}
        self._timer: Any = None

    def start(self) -> None:
        """Begin listening to the desk."""
        self._gateway.listeners.append(self._heard)

    def stop(self) -> None:
        """Do nothing more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def trouble(self, entry: str) -> str:
        """Why an entry is without one of its exits at this moment; empty when it is not."""
        memory = self._memories.get(entry)
        return "" if memory is None else next((each.text for each in memory.troubles.values()), "")

    # what happens

    def _heard(self, news: News) -> None:
        event, order = news.record.event, news.order
        if order is None:
            if isinstance(event, VenueStatusChanged):
                if event.status is VenueStatus.UP:
                    self._look_at_all(event.venue)
                return
            order_id = getattr(event, "order_id", "")
            family = self._families.find(order_id) if order_id else None
            if family is not None:
                self._look(family.entry)
            return
        if order.leg is not None:
            self._exit_changed(order)
        if (order.leg is not None or order.oco) and isinstance(event, CancelRejected | ReplaceRejected | OrderReplaced):
            self._answered(event, order)
        if order.attached:
            self._note(order.parent)
        if order.leg is not None or order.exits is not None:
            self._look(order.parent or order.order_id)
        if order.oco:
            self._look_at_group(group_key(order.account, order.oco))

    def _note(self, entry: str) -> None:
        """Something was told of a family's attached exits."""
        memory = self._memories.get(entry)
        if memory is not None:
            memory.heard = self._reactor.seconds()

    def _exit_changed(self, order: Order) -> None:
        """Note that an exit was refused, or that it works."""
        family = self._families.find(order.order_id)
        leg = order.leg
        memory = self._memories.get(order.parent)
        if family is None or leg is None or memory is None:
            return
        wanted = family.left < 0 if leg is Leg.UNDO else leg in family.wanted
        if order.attached:
            if order.status is OrderStatus.REJECTED and (family.open or family.left):
                self._attached_refused(family, order)
            return
        if order.status in REFUSALS and order.order_id not in family.asked and wanted:
            text = f"{order.side} {order.quantity:f} {_terms(order)}: {order.text or order.status}"
            self._refused(family, leg, order.reason, text, quiet=order.status is OrderStatus.EXPIRED)
        elif order.status not in CLOSED and order.status is not OrderStatus.PENDING_NEW:
            memory.troubles.pop(leg, None)

    def _attached_refused(self, family: Family, order: Order) -> None:
        """Say that the broker holds an entry without this exit."""
        what = f"{order.side} {order.quantity:f} {_terms(order)}"
        words = f"Exits of order {family.entry} ({family.account}): {what} was to be held with it, and was refused: "
        words += f"{order.text or order.status} It is sent anew when something is filled."
        log.critical("{text}", text=words)
        self._complain(VenueError(family.venue, 0, words, family.entry))

    def _answered(self, event: CancelRejected | ReplaceRejected | OrderReplaced, order: Order) -> None:
        """Note that a change was refused, or made. The first no may be a race that settles itself: it is not said."""
        name = f"{'cancel' if isinstance(event, CancelRejected) else 'change'} {order.order_id}"
        kin = self._kin(order.parent or group_key(order.account, order.oco))
        if kin is None:
            return
        if isinstance(event, OrderReplaced):
            self._memory(kin).troubles.pop(name, None)
        else:
            self._refused(kin, name, event.reason, f"{name}: {event.text or event.reason}", quiet=True)

    def _kin(self, key: str) -> Family | Group | None:
        return self._families.live.get(key) or self._families.groups.get(key)

    def _memory(self, kin: Family | Group) -> _Memory:
        return self._memories.setdefault(_key(kin), _Memory(heard=self._reactor.seconds()))

    def price(self, venue: str, symbol: str, event: Quote | Trade) -> None:
        """Take in what the market shows: for trailing stops, and stops that the gateway watches."""
        watching = self._watched.get((venue, symbol))
        if watching is None:
            return
        if isinstance(event, Quote):
            if not event.tradable:
                return
            self._quoted.add((venue, symbol))
        elif (venue, symbol) in self._quoted:
            return
        for entry in list(watching):
            family, memory = self._families.live.get(entry), self._memories.get(entry)
            if family is None or memory is None:
                self._unwatch((venue, symbol), entry)
                continue
            price = event.price if isinstance(event, Trade) else event.bid if family.long else event.ask
            better = memory.best is None or (price > memory.best if family.long else price < memory.best)
            memory.price = price
            if better:
                memory.best = price
            for trouble in memory.troubles.values():
                if trouble.reason in (Reason.MARKET_CLOSED, Reason.NO_PRICE):
                    trouble.until = 0.0
            if better or memory.troubles or exits.reached(family, family.prices.get(Leg.STOP_LOSS), price):
                self._look_at(entry)

    # looking

    def _look_at_all(self, venue: str) -> None:
        for family in self._families:
            if family.venue == venue:
                self._look_at(family.entry)
        for key, group in list(self._families.groups.items()):
            if group.venue == venue:
                self._look_at(key)

    def _look(self, entry: str) -> None:
        """Do what is due for a family, as far as it is not under way."""
        family = self._families.live.get(entry)
        if family is None:
            ended = self._families.find(entry)
            if ended is not None and ended.reported:
                self._report_excess(ended)
            self._forget(entry)
            return
        if not (family.filled or family.attached) or not self._may_act(family.venue):
            return
        memory = self._memory(family)
        settled = self._reactor.seconds() >= memory.heard + exits.SETTLED
        if settled or not family.attached:
            self._report_excess(family)
        if memory.rules is None and self._is_free(memory, "rules"):
            self._go(entry, memory, "rules", self._learn(family, memory))
        if memory.rules is None:
            return
        broker = self._brokers[family.venue]
        view = View(
            broker.can,
            memory.rules.tick_size,
            broker.now(),
            self._held(family),
            memory.price,
            memory.best,
            frozenset(memory.troubles),
            _lot(memory.rules),
            settled,
            self._halted(family),
        )
        steps = exits.due(family, self._gateway.state.order, view)
        self._settle(family, memory, steps)
        for step in steps:
            self._begin(family, memory, step)
        self._watch(family, memory)

    def _settle(self, family: Family, memory: _Memory, steps: list[Step]) -> None:
        """Forget the troubles of what is no longer wanted, or due."""
        memory.waits = False
        if not memory.troubles:
            return
        lasting = {*family.wanted, "rules"} | ({Leg.UNDO} if family.left < 0 else set())
        lasting.update(exits.name_of(step).rpartition(" ")[2] for step in steps)
        for order_id in family.alive:
            order = self._gateway.state.order(order_id)
            if order is not None and (order.status in PENDING or order.status is OrderStatus.UNKNOWN):
                lasting.add(order_id)
        troubles = memory.troubles.items()
        memory.troubles = {name: each for name, each in troubles if name.rpartition(" ")[2] in lasting}

    def _watch(self, family: Family, memory: _Memory) -> None:
        """Listen to the prices and the clock as long as something depends on them."""
        entry, place = family.entry, (family.venue, family.symbol)
        plan, can = family.plan, self._brokers[family.venue].can
        stops = not family.closing and not family.ended and Leg.STOP_LOSS not in family.given_up
        follows = stops and (plan.trailing_stop is not None or exits.held_here(plan, can) or family.bare)
        if (family.left > 0 and follows) or (family.left and memory.troubles):
            self._watched.setdefault(place, {})[entry] = None
        else:
            self._unwatch(place, entry)
            memory.price = None  # nothing may be decided by it later
        holds = plan.hold_seconds is not None and not family.closing and not family.ended
        self._await_time(entry, bool(memory.troubles) or memory.waits or (holds and family.left > 0))

    def _tick(self) -> None:
        self._timer = None
        for key in list(self._timed):
            if self._ripe(key):
                self._look_at(key)
        if self._timed and self._timer is None and not self._gateway.stopping:
            self._timer = self._reactor.callLater(TICK_SECONDS, self._tick)

    def _look_at(self, key: str) -> None:
        """Look at a family or group; who called has other things to do, too, when that goes wrong."""
        try:
            if "/" in key:
                self._look_at_group(key)
            else:
                self._look(key)
        except Exception:
            log.failure("Exits of {key} could not be looked at.", key=key)

    def _ripe(self, key: str) -> bool:
        """Whether what waits for a time is to be looked at: a cheap question, asked of many."""
        kin, memory = self._kin(key), self._memories.get(key)
        if kin is None or memory is None or memory.waits:
            return True
        if isinstance(kin, Family) and not kin.closing and exits.held_long_enough(kin, self._brokers[kin.venue].now()):
            return True
        return any(each.until <= self._reactor.seconds() for each in memory.troubles.values())

    def _look_at_group(self, key: str) -> None:
        group = self._families.groups.get(key)
        if group is None:
            ended = self._families.group(key)
            if ended is not None:
                self._report_group(key, ended)
            self._forget(key)
            return
        self._report_group(key, group)
        if not group.total or not self._may_act(group.venue):
            return
        memory = self._memory(group)
        steps = exits.trims(group, self._gateway.state.order, self._brokers[group.venue].can)
        names = {exits.name_of(step) for step in steps}
        memory.troubles = {name: each for name, each in memory.troubles.items() if name in names}
        for step in steps:
            self._begin(group, memory, step)
        self._await_time(key, bool(memory.troubles))

    def _await_time(self, key: str, waits: bool) -> None:
        """Look at a family or group again when its time has come, as long as it waits for one."""
        if not waits:
            self._timed.pop(key, None)
            return
        self._timed[key] = None
        if self._timer is None and not self._gateway.stopping:
            self._timer = self._reactor.callLater(TICK_SECONDS, self._tick)

    def _may_act(self, venue: str) -> bool:
        """Before a venue was reconciled nothing is certain, and after a stop nothing is to begin."""
        return self._gateway.intake.status.get(venue) is VenueStatus.UP and not self._gateway.stopping

    def _held(self, family: Family) -> Decimal:
        """How much is held on the entry's side: by the account or, where a signal entered it, by the strategy alone.

        Strategies that are long and short of the same at one time leave the account with less than each of them has.
        """
        state, place = self._gateway.state, (family.account, family.symbol)
        position = state.positions.get(family.account, {}).get(family.symbol)
        quantity = position.quantity if position is not None else ZERO
        if family.signal:
            mine = state.strategies.at(place, (family.owner, family.strategy))
            quantity = state.strategies.held(mine, quantity)
        return max(ZERO, quantity if family.long else -quantity)

    def _halted(self, family: Family) -> bool:
        """Whether a halt keeps new exits back."""
        subject = Subject(family.venue, family.account, family.owner, Origin(family.origin), family.symbol)
        halt = halts.in_force(self._gateway.state, subject, True)
        return halt is not None and not halt.passes(True)

    async def _learn(self, family: Family, memory: _Memory) -> None:
        """The instrument's rules, and from here on its prices (which may be long in coming)."""
        rules = await self._brokers[family.venue].instrument(family.symbol)
        if rules is None:
            raise GatewayError(f"{family.symbol} is unknown at venue {family.venue} by now.")
        memory.rules = rules
        self._gateway.intake.go(self._listen(family.venue, family.symbol), f"prices of {family.symbol}")

    async def _listen(self, venue: str, symbol: str) -> None:
        await self._market(venue, symbol)

    # doing

    def _begin(self, kin: Family | Group, memory: _Memory, step: Step) -> None:
        """Begin a step, unless the same is under way or rests after a refusal."""
        now, key, name = self._clock(), _key(kin), exits.name_of(step)
        if not self._is_free(memory, name):
            return
        if isinstance(step, Wait):
            memory.waits = True
        elif isinstance(step, Trigger):
            self._record(ExitTriggered(key, step.text, now))
        elif isinstance(step, End):
            self._record(ExitsEnded(key, step.text, now))
        elif isinstance(step, Watch):
            if self._may_move(memory):
                self._record(StopHeld(key, step.stop_price, now))
        elif isinstance(step, Send):
            assert isinstance(kin, Family)
            self._go(key, memory, name, self._send(kin, step))
        elif isinstance(step, Cancel):
            reason, text = None, ""
            if isinstance(kin, Group):
                reason, text = Reason.OCO_FILLED, f"Another order of the oco group {kin.name} was filled."
            self._go(key, memory, name, self._gateway.cancel(step.order_id, KEEPER, reason, text))
        elif step.quantity is not None or step.stop_price is None or self._may_move(memory):
            change = self._gateway.replace(
                step.order_id, step.quantity, step.limit_price, step.stop_price, KEEPER, reduced=step.reduced
            )
            self._go(key, memory, name, change)

    def _is_free(self, memory: _Memory, name: str) -> bool:
        """Whether a step is neither under way nor resting after a refusal."""
        trouble = memory.troubles.get(name)
        return name not in memory.busy and (trouble is None or self._reactor.seconds() >= trouble.until)

    def _record(self, event: Event) -> None:
        if self._gateway.ledger.error is None:
            self._gateway.ledger.record(event)

    def _may_move(self, memory: _Memory) -> bool:
        """Whether a stop may be moved again by now; if so, it is."""
        now = self._reactor.seconds()
        if now < memory.moved + TRAIL_SECONDS:
            memory.waits = True
            return False
        memory.moved = now
        return True

    async def _send(self, family: Family, step: Send) -> None:
        request = exits.request_of(family, step, self._brokers[family.venue].can)
        subject = Subject(family.venue, family.account, family.owner, Origin(family.origin), family.symbol)
        state, quantity = self._gateway.state, request.quantity
        denial = halts.check_order(state, subject, request.side, quantity, bond=request.bond, is_exit=True)
        if denial is not None:
            raise Refused(denial.reason, f"{step.leg} of {step.quantity:f} is not sent. {denial.text}")
        await self._gateway.submit(request, family.owner, Origin(family.origin))

    def _go(self, key: str, memory: _Memory, name: str, work: Any) -> None:
        """Let a step run; look again when it is done. One that fails rests before it is tried again."""
        memory.busy.add(name)

        def failed(failure: Any) -> None:
            error = failure.value
            if not isinstance(error, GatewayError):
                log.failure("What was due for {key} failed.", failure, key=key)
            kin, reason = self._kin(key), getattr(error, "reason", None)
            if kin is not None:  # what came too late may be due no more: what happened meanwhile says
                self._refused(kin, name, reason, str(error), quiet=reason is Reason.NOT_WORKING)

        def done(_: object) -> None:
            memory.busy.discard(name)
            self._look_at(key)

        Deferred.fromCoroutine(work).addErrback(failed).addCallback(done)

    def _refused(self, kin: Family | Group, name: str, reason: Reason | None, text: str, quiet: bool = False) -> None:
        """Say it loudly (when it is `quiet`, from the second time on), and try again later.

        A position without its protection is the worst that can be.
        """
        key, memory = _key(kin), self._memory(kin)
        before = memory.troubles.get(name)
        tries = before.tries + 1 if before else 1
        rest = CLOSED_MARKET if reason is Reason.MARKET_CLOSED else min(LAST_TRY, FIRST_TRY * 2 ** (tries - 1))
        memory.troubles[name] = _Trouble(tries, self._reactor.seconds() + rest, reason, text)
        if isinstance(kin, Family):
            self._watch(kin, memory)
        else:
            self._await_time(key, True)
        if quiet and tries == 1:
            return
        what = f"Exits of order {key}" if isinstance(kin, Family) else f"Oco group {kin.name!r}"
        words = f"{what} ({kin.account}): {text} Tried again in {rest:g} s."
        log.critical("{text}", text=words)
        self._complain(VenueError(kin.venue, 0, words, key))

    def _unwatch(self, place: tuple[str, str], entry: str) -> None:
        watching = self._watched.get(place)
        if watching is not None:
            watching.pop(entry, None)
            if not watching:
                del self._watched[place]
                self._quoted.discard(place)

    def _forget(self, key: str) -> None:
        memory = self._memories.get(key)
        if memory is not None and not memory.busy:
            del self._memories[key]
        self._timed.pop(key, None)

    # too much

    def _report_excess(self, family: Family) -> None:
        """Both legs were filled before one could be taken away; and that the excess was taken back."""
        key = (family.venue, family.account, What.EXITS.value, family.entry)
        if family.exited > family.filled and family.exited > family.reported:
            self._differ(key, family.filled, family.exited)
        elif family.reported and family.left >= 0 and self._gateway.ledger.error is None:
            self._gateway.differences.gone(key, "The excess was taken back at the market.")

    def _report_group(self, name: str, group: Group) -> None:
        if group.total > group.size and group.total > group.reported:
            self._differ((group.venue, group.account, What.OCO.value, name), group.size, group.total)

    def _differ(self, key: Key, most: Decimal, filled: Decimal) -> None:
        log.critical(
            "{what} {key}: {filled} were filled, not {most}.", what=key[2], key=key[3], filled=filled, most=most
        )
        if self._gateway.ledger.error is None:
            self._gateway.differences.found(key, f"{most:f}", f"{filled:f}", Severity.CRITICAL)


def _key(kin: Family | Group) -> str:
    return kin.entry if isinstance(kin, Family) else group_key(kin.account, kin.name)


def _lot(rules: Instrument) -> Decimal:
    """The smallest part of a holding that can be sold; zero where it is not counted in lots."""
    return rules.lot_size if rules.lot_size < 1 or rules.asset_class is AssetClass.CRYPTO else ZERO


def _terms(order: Order) -> str:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return f"{order.symbol} {order.order_type}{'' if price is None else f' {price:f}'}"
