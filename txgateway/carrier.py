"""Carries signals out: each instruction's orders through the desk, once, and the signal's end on record.

Every order has a key made of its signal's id, so that going over a signal again, after a crash, sends nothing twice.
What an order's key does not show is on record before it is done. Those of one account and symbol take turns, in the
order they came. A close never opens a position: what is still working is ended first, and what others' hands closed is
not closed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers import Broker
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.grounds import Grounds, grant_of
from txgateway.intents import act_of, as_planned, intent_of, order_of
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    ExitsEnded,
    ExitTriggered,
    SignalAdvanced,
    SignalEnded,
    StrategyAdjusted,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, Order, OrderRequest, OrderStatus, OrderType, Origin, Side
from txgateway.model.signal import Act, Instruction, Measure, Outcome, Plan, Signal, Source, StrategyPosition
from txgateway.revisions import Revisions
from txgateway.sizing import Ground
from txgateway.standing import Standing
from txgateway.state import Change
from txgateway.turns import Turn, Turns

log = Logger()

ZERO = Decimal(0)
END_SECONDS = 30.0
"""How long the end of a strategy's working orders is waited for before it is closed."""
TICK_SECONDS = 5.0
"""How often is looked for signals that are still to be carried out."""
BY = "gateway:signals"
"""Who asks for what a signal needs besides its own orders; no user has such a name."""


class _NotNow(Exception):
    """The daemon ends, or its journal fails: the signal stays as it is, and is gone over again."""


@dataclass(slots=True)
class _Report:
    """What came of a signal so far. Its turn is held until its end is on record."""

    orders: dict[str, None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    turn: Turn = field(default_factory=Turn)


class Carrier:
    """Sees to it that what was taken in is done, once."""

    def __init__(
        self,
        gateway: Gateway,
        feed: Feed,
        brokers: Mapping[str, Broker],
        find_source: Callable[[str], Source | None],
        reactor: Any,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.standing = Standing(gateway.state)
        self.revisions = Revisions(gateway, self.standing)
        self.grounds = Grounds(gateway, feed, brokers, self.standing, self.revisions, new_id)
        self._turns = Turns(self.grounds.named)
        self._gateway = gateway
        self._feed = feed
        self._state = gateway.state
        self._find_source = find_source
        self._reactor = reactor
        self._clock = clock
        self._running: set[str] = set()
        self._arrived: set[str] = set()
        self._ends: dict[str, list[Deferred[None]]] = {}
        self._closings: dict[str, list[Deferred[None]]] = {}
        self._timer: Any = None

    def start(self) -> None:
        """Carry out what the last daemon took in and did not finish, once its venue is up."""
        self._gateway.listeners.append(self._heard)
        self._timer = self._reactor.callLater(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        """Begin nothing more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def begin(self, signal: Signal | None) -> None:
        """Carry a signal out, once its venue is up; what came before it in its account begins before it."""
        if signal is None:
            return
        pending = self._state.strategies.pending
        if len(pending) > len(self._running) + 1:
            for older in list(pending.values()):
                if older.signal_id == signal.signal_id:
                    break
                if older.account == signal.account and older.signal_id not in self._running:
                    if not self._is_up(older):
                        return  # both wait for their venue
                    self._launch(older)
        if self._is_up(signal):
            self._launch(signal)

    def _launch(self, signal: Signal) -> None:
        if signal.signal_id in self._running or self._gateway.stopping:
            return
        self._running.add(signal.signal_id)
        self._gateway.intake.go(self._run(signal), f"signal {signal.signal_id} of {signal.source}")

    # when

    def _heard(self, change: Change) -> None:
        order, event = change.order, change.record.event
        if order is not None and order.order_id in self._ends and order.status in CLOSED:
            for each in self._ends.pop(order.order_id):
                _fire(each)
        if order is not None and order.parent in self._closings and not self._closes(order.parent):
            for each in self._closings.pop(order.parent):
                _fire(each)
        if isinstance(event, ExitsEnded):
            for each in self._closings.pop(event.order_id, ()):
                _fire(each)
        if change.execution is not None:
            fill = change.execution
            if (fill.account, fill.symbol) in self._state.strategies.positions:
                self._gateway.intake.go(self._let_go(fill), f"what a close has left of {fill.symbol}")
        if order is not None and order.signal in self._state.strategies.pending and _is_known_there(order):
            self._arrived.add(order.signal)
        if isinstance(event, VenueStatusChanged) and event.status is VenueStatus.UP:
            for account, symbol in list(self._state.strategies.positions):
                if self._gateway.venue_of(account) == event.venue:
                    work = self._let_go_at(event.venue, account, symbol)
                    self._gateway.intake.go(work, f"what closes have left of {symbol}")
            self._go_on()

    def _tick(self) -> None:
        self._timer = self._reactor.callLater(TICK_SECONDS, self._tick)
        self._go_on()

    def _go_on(self) -> None:
        """Go over what is not finished, in the order it came."""
        for signal in list(self._state.strategies.pending.values()):
            if self._is_up(signal):
                self._launch(signal)

    def _is_up(self, signal: Signal) -> bool:
        venue = self._gateway.venue_of(signal.account)
        return venue is None or self._gateway.intake.status[venue] is VenueStatus.UP

    # what a close has left

    async def _let_go(self, fill: Execution) -> None:
        await self._let_go_at(fill.venue, fill.account, fill.symbol, fill.side)

    async def _let_go_at(self, venue: str, account: str, symbol: str, side: Side | None = None) -> None:
        """What is less than a lot, left by what gave the rest up (`side`), is the account's: it cannot be closed."""
        try:
            instrument = await self._feed.instrument(venue, symbol)
        except GatewayError:
            return  # looked at again when the venue is up
        if instrument is None or self._gateway.stopping or self._gateway.ledger.error is not None:
            return
        found = list(self._state.strategies.positions.get((account, symbol), {}).values())
        for position in found:
            # whose part it is that hands closed is open while several hold
            left = position.filled if len(found) > 1 else self.standing.held(position)
            gives = (each for each in position.working.values() if each * position.filled < 0)
            over = not position.working if side is None else side.sign * position.filled < 0 and not any(gives)
            if over and left and not instrument.tradable(left):
                self._adjust(position, ZERO, f"{left:f} are less than a lot, and cannot be closed: they are nobody's.")

    # one signal

    async def _run(self, signal: Signal) -> None:
        report, reason = _Report(), None
        many = len(signal.instructions) > 1
        try:
            found = self._find_source(signal.source)
            if found is not None:
                coming = list(enumerate(signal.instructions))[signal.over :]
                await self._turns.join(replace(found, account=signal.account), signal.plans, coming, report.turn)
            for at, instruction in enumerate(signal.instructions):
                if at < signal.over:
                    continue
                before = len(report.orders)
                try:
                    await self._carry_out(signal, at, instruction, report)
                    if at + 1 < len(signal.instructions) and len(report.orders) == before:
                        self._advance(signal, at, over=True)
                except GatewayError as error:
                    self._require_running()
                    reason = error.reason if isinstance(error, Refused) else Reason.UNFINISHED
                    where = f"Instruction {at + 1} of {len(signal.instructions)}: " if many else ""
                    rest = " The rest was not sent." if at + 1 < len(signal.instructions) else ""
                    report.said.append(f"{where}{error}{rest}")
                    break
                except _NotNow:
                    raise
                except Exception:
                    log.failure("Signal {signal} of {source} failed.", signal=signal.signal_id, source=signal.source)
                    self._gateway.intake.unexpected(f"signal {signal.signal_id}")
                    self._require_running()
                    reason = Reason.UNFINISHED  # gone over again later, it would come after what is newer
                    report.said.append("The gateway made an error over this; its log says which.")
                    break
            self._require_running()
            self._end(signal, report, reason)
        except _NotNow:
            log.info("signal {signal} is gone over again later", signal=signal.signal_id)
        finally:
            self._running.discard(signal.signal_id)
            report.turn.release()

    def _advance(
        self,
        signal: Signal,
        at: int,
        over: bool = False,
        ends: tuple[str, ...] = (),
        entries: tuple[str, ...] = (),
        closing: Decimal = ZERO,
    ) -> None:
        """Put on record how far an instruction has come."""
        if signal.shadow:
            return
        self._require_running()
        self._gateway.ledger.record(
            SignalAdvanced(
                signal_id=signal.signal_id,
                source=signal.source,
                account=signal.account,
                instruction=at,
                time=self._clock(),
                ends=ends,
                entries=entries,
                closing=closing,
                over=over,
            )
        )

    def _require_running(self) -> None:
        if self._gateway.stopping or self._gateway.ledger.error is not None:
            raise _NotNow

    def promised(self, account: str) -> Decimal:
        """What the signals taken in for an account will cost, as far as its broker cannot know of it yet."""
        pending = [each for each in self._state.strategies.pending.values() if each.signal_id not in self._arrived]
        plans = [plan for each in pending if not each.shadow for plan in each.plans if plan.account == account]
        return sum((plan.cost for plan in plans), ZERO)

    def _end(self, signal: Signal, report: _Report, reason: Reason | None) -> None:
        self._arrived.discard(signal.signal_id)
        outcome = Outcome.REFUSED if reason is not None else Outcome.SHADOW if signal.shadow else Outcome.DONE
        self._gateway.ledger.record(
            SignalEnded(
                signal_id=signal.signal_id,
                source=signal.source,
                account=signal.account,
                outcome=outcome,
                time=self._clock(),
                orders=tuple(report.orders),
                reason=reason,
                text=" ".join(report.said),
            )
        )

    # one instruction

    async def _carry_out(self, signal: Signal, at: int, instruction: Instruction, report: _Report) -> None:
        source = self._find_source(signal.source)
        if source is None:
            raise Refused(Reason.NO_SUCH_SOURCE, f"Source {signal.source} was taken away before this was sent.")
        source = replace(source, account=signal.account)  # whatever it trades by now
        if at not in report.turn.symbols and (instruction.symbol or instruction.act is not Act.CANCEL):
            report.turn.release()  # it could not be said before what comes before it was done
            await self._turns.join(source, signal.plans, [(at, instruction)], report.turn, strict=True)
        if instruction.act is Act.CANCEL:
            await self._cancel(signal, at, instruction, source, report)
            return
        plan = signal.plans[at] if at < len(signal.plans) else None
        symbol = report.turn.symbols[at]
        instruction = replace(instruction, symbol=instruction.symbol or symbol)
        await self._move(signal, at, instruction, source, symbol, plan, report)

    async def _move(
        self,
        signal: Signal,
        at: int,
        instruction: Instruction,
        source: Source,
        symbol: str,
        plan: Plan | None,
        report: _Report,
    ) -> None:
        """Carry out one instruction, its symbol's turn being ours."""
        own = instruction.client_order_id or f"sig:{signal.signal_id}:{at}"
        sent, key = await self._sent(signal, source, own)
        if sent is not None:
            report.orders[sent.order_id] = None
            _require_taken(sent)
            return
        ground = await self.grounds.ground(source, replace(instruction, symbol=symbol))
        position = self.standing.at(source.account, symbol, source.name, instruction.strategy)
        if signal.shadow:
            report.said.append(await self.grounds.rehearse(source, instruction, ground))
            return
        act = act_of(source, instruction, self.standing.now(position))
        if act is Act.AMEND:
            revised = self.revisions.carry_out(signal, instruction, position, ground.instrument, grant_of(source))
            report.said.append(await revised)
            return
        if act in (Act.CLOSE, Act.REOPEN, Act.TARGET):
            for order_id in self.standing.opening(position):
                await self._end_order(order_id)
            if _closes_all(act, instruction):
                await self._end_excess(source, symbol, instruction)
        first, first_key = await self._sent(signal, source, f"sig:{signal.signal_id}:{at}:close")
        if first is not None:
            report.orders[first.order_id] = None
            _require_closing(first)
        before = self._closed_before(signal, at, report)
        done = before - (_done(first) if first is not None else ZERO)
        position = self._squared(self.standing.at(source.account, symbol, source.name, instruction.strategy))
        stands = self.standing.closable if act is Act.ORDER else self.standing.now
        now = stands(position) + done  # as it was when this was begun
        if not ground.instrument.tradable(now) and act is Act.CLOSE and plan is not None:
            report.said.append("It is closed already, or closes by itself.")
            return
        intent = intent_of(*as_planned(source, instruction, plan), ground, now, position.taken)
        ends = _ends(signal, instruction)
        until = min((each for each in (signal.until, ends) if each is not None), default=None)
        late = intent.opens and until is not None and self._clock() > until
        if late:
            intent = replace(intent, opens=ZERO)
        day = self.grounds.day(source)
        closes = intent.closes - done
        closes -= self._trigger(signal, at, position, instruction, closes, ground, before, report)
        if closes != intent.closes:
            closes = ground.instrument.tradable(closes)
        if closes and intent.opens and (intent.apart or closes != intent.closes):
            plain = replace(instruction, order_type=OrderType.MARKET)
            first = await self._submit(signal, source, order_of(source, plain, -closes, ground, day, False), first_key)
            report.orders[first.order_id] = None
            _require_closing(first)
            closes = ZERO
        if intent.opens:
            await self._await_closed(position)
        signed = intent.opens - closes
        if signed:
            request = order_of(source, instruction, signed, ground, day, opens=not closes)
            request = replace(request, good_till=ends)
            order = await self._submit(signal, source, request, key)
            report.orders[order.order_id] = None
            _require_taken(order)
        if late:
            text = f"It was to be sent by {until:%Y-%m-%d %H:%M:%S} UTC, and that is over: nothing was opened."
            raise Refused(Reason.STALE_SIGNAL, text)

    async def _submit(self, signal: Signal, source: Source, request: OrderRequest, key: str) -> Order:
        self._require_running()
        request = replace(request, client_order_id=key, signal=signal.signal_id)
        return (await self._gateway.submit(request, source.name, Origin.WEBHOOK, grant=grant_of(source))).order

    async def _sent(self, signal: Signal, source: Source, key: str) -> tuple[Order | None, str]:
        """The order that an earlier going over this signal sent; and the key, another where that one never left."""
        order = await self._gateway.history.find_client(source.account, key)
        if order is None or order.signal != signal.signal_id:
            return None, key
        if order.status in (OrderStatus.DENIED, OrderStatus.REJECTED) and order.reason in NEVER_THERE:
            return await self._sent(signal, source, f"{key}+")
        return order, key

    def _squared(self, position: StrategyPosition) -> StrategyPosition:
        """What the strategy holds, on record less what others' hands closed."""
        held = self.standing.held(position)
        if held == position.filled:
            return position
        text = f"it held {position.filled:f}, and the account's position says that others closed a part."
        self._adjust(position, held, text)
        return self.standing.at(position.account, position.symbol, position.source, position.strategy)

    def _adjust(self, position: StrategyPosition, quantity: Decimal, text: str) -> None:
        self._gateway.ledger.record(
            StrategyAdjusted(
                source=position.source,
                strategy=position.strategy,
                account=position.account,
                symbol=position.symbol,
                quantity=quantity,
                text=text,
                by=BY,
                time=self._clock(),
            )
        )

    def _closed_before(self, signal: Signal, at: int, report: _Report) -> Decimal:
        """How much (signed) an earlier going over this instruction had closed by its exits' keeper: what was not asked
        for by then is."""
        if at != signal.over or not signal.entries:
            return ZERO
        self._have_closed(signal, signal.entries)
        report.said.append(f"{abs(signal.closing):f} are closed by what keeps their exits.")
        return signal.closing

    def _have_closed(self, signal: Signal, entries: Iterable[str]) -> None:
        for entry in entries:
            family = self._state.families.live.get(entry)
            if family is not None and not family.closing and not family.ended:
                text = f"signal {signal.signal_id} of {signal.source} closes it."
                self._gateway.ledger.record(ExitTriggered(entry, text, self._clock()))

    def _trigger(
        self,
        signal: Signal,
        at: int,
        position: StrategyPosition,
        instruction: Instruction,
        closes: Decimal,
        ground: Ground,
        before: Decimal,
        report: _Report,
    ) -> Decimal:
        """Have what has exits attached closed by their keeper, once and at the market; gives how much (signed) that is.

        A part of such a position cannot be closed by itself: its exits would be too large from then on.
        """
        families = self.standing.families(position) if closes else {}
        whole = sum(families.values(), ZERO)
        if not families:
            return ZERO
        priced = instruction.order_type not in (None, OrderType.MARKET)
        if abs(ground.instrument.tradable(whole)) > abs(closes) or whole * closes < 0 or priced:
            text = f"{abs(whole):f} {position.symbol} of the position have exits attached"
            raise Refused(Reason.UNSUPPORTED, f"{text}: close them whole, and at the market.")
        self._advance(signal, at, entries=(*(signal.entries if before else ()), *families), closing=before + whole)
        self._have_closed(signal, families)
        report.said.append(f"{abs(whole):f} {position.symbol} are closed by what keeps their exits.")
        return whole

    async def _await_closed(self, position: StrategyPosition) -> None:
        """Wait until what closes by itself is closed: what is opened before would be taken for a part of it."""
        for entry in self.standing.closing(position):
            if not self._closes(entry):
                continue
            closed: Deferred[None] = Deferred()
            self._closings.setdefault(entry, []).append(closed)
            late = self._reactor.callLater(END_SECONDS, _fire, closed)
            await closed
            if late.active():
                late.cancel()
            if self._closes(entry):
                text = f"What order {entry} entered has not been closed in {END_SECONDS:g} s"
                raise Refused(
                    Reason.UNFINISHED, f"{text}, so nothing was opened: look at it, and send the signal again."
                )

    def _closes(self, entry: str) -> bool:
        family = self._state.families.live.get(entry)
        return family is not None and family.left > 0 and bool(family.closing) and not family.ended

    async def _cancel(self, signal: Signal, at: int, instruction: Instruction, source: Source, report: _Report) -> None:
        """End a strategy's working orders, of one symbol or of all; in its turn, after what came before."""
        wanted = report.turn.symbols.get(at, "")
        ends = signal.ends if at == signal.over else ()
        if not ends:
            positions = self._state.strategies.of(source.name, instruction.strategy)
            here = [each for each in positions if wanted in ("", each.symbol) and each.account == source.account]
            ends = tuple(order_id for each in here for order_id in each.working)
            if ends:
                self._advance(signal, at, ends=ends)
        for order_id in ends:
            if signal.shadow:
                report.said.append(f"Would cancel order {order_id}.")
            else:
                await self._end_order(order_id)
                report.said.append(f"Order {order_id} has ended.")

    async def _end_order(self, order_id: str, asked: bool = False) -> None:
        """Have an order ended (`asked`: by its keeper), and wait for that: what it still fills is its strategy's."""
        if not self._works(order_id):
            return
        ended: Deferred[None] = Deferred()
        self._ends.setdefault(order_id, []).append(ended)
        late = self._reactor.callLater(END_SECONDS, _fire, ended)
        try:
            if not asked:
                await self._gateway.cancel(order_id, BY)
        except Refused as error:
            if error.reason is not Reason.NOT_WORKING:
                raise
        if self._works(order_id):
            await ended
        if late.active():
            late.cancel()
        if self._works(order_id):
            text = f"Order {order_id} has not ended in {END_SECONDS:g} s"
            raise Refused(Reason.UNFINISHED, f"{text}, so nothing was closed: look at it, and send the signal again.")

    async def _end_excess(self, source: Source, symbol: str, instruction: Instruction) -> None:
        """End exits that are larger than what is still held, because other hands closed a part: they would open."""
        position = self.standing.at(source.account, symbol, source.name, instruction.strategy)
        families = self.standing.families(position)
        if abs(sum(families.values(), ZERO)) <= abs(self.standing.held(position)):
            return
        for entry in families:
            family = self._state.families.live.get(entry)
            if family is not None:
                await self._gateway.end_exits(entry, BY)
                for order_id in list(family.alive):
                    await self._end_order(order_id, asked=True)

    def _works(self, order_id: str) -> bool:
        order = self._state.order(order_id)
        return order is not None and order.status not in CLOSED


def _ends(signal: Signal, instruction: Instruction) -> datetime | None:
    """When an instruction's order is ended, if it works still."""
    good = instruction.good_seconds
    return None if good is None else signal.time + timedelta(seconds=good)


NEVER_THERE = {Reason.STOPPING, Reason.JOURNAL_FAILED, Reason.NEVER_ARRIVED}
"""Ends of orders of which it is known that no broker ever had them: a signal that is still pending sends another."""


def _require_taken(order: Order) -> None:
    """Refused where the order was not taken, by us or by the broker."""
    if order.status in (OrderStatus.DENIED, OrderStatus.REJECTED):
        raise Refused(order.reason or Reason.REJECTED, order.text or f"Order {order.order_id} is {order.status}.")


def _require_closing(order: Order) -> None:
    """Refused where it is not sure that a close is done: what is opened would come on top."""
    _require_taken(order)
    ended = order.status in CLOSED and order.filled_quantity < order.quantity
    if ended or order.status is OrderStatus.UNKNOWN:
        text = f"Order {order.order_id}, which was to close first, is {order.status}"
        raise Refused(Reason.UNFINISHED, f"{text}: nothing was opened. Look at it, and send the signal again.")


def _closes_all(act: Act, instruction: Instruction) -> bool:
    """Whether nothing of the position is to stay."""
    if act is Act.CLOSE:
        amount = instruction.amount
        return amount is None or (amount.measure is Measure.PERCENT and amount.value >= 100)
    return act is Act.REOPEN or (act is Act.TARGET and not instruction.target)


def _done(order: Order) -> Decimal:
    """What an order filled and may still fill (signed)."""
    return order.side.sign * (order.filled_quantity if order.status in CLOSED else order.quantity)


def _is_known_there(order: Order) -> bool:
    """Whether the broker has heard of an order by which a signal opens something."""
    return order.status is not OrderStatus.PENDING_NEW and not (order.client_order_id or "").endswith(":close")


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
