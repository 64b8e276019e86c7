"""The connection between the desk and the counterparty: two doors, and the faults that stand in them.

What the desk asks goes in by `send` and `ask`; what is told goes out by `tell` and `say`. Faults change what arrives
and what is told, and when; the market and the book behind the doors go on as they are. A fault is a row of a table: at
which door and on which occasion it can happen, and one function that does it. Without faults nothing is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers.paper.exchange import Exchange
from txgateway.brokers.paper.faults import Faults
from txgateway.brokers.paper.held import Held
from txgateway.brokers.paper.latency import Command, Line
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused
from txgateway.model.events import Executed, OrderAccepted, OrderEvent, VenueStatus, VenueStatusChanged
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.market import Depth, Quote, Statistics, Trade
from txgateway.model.order import Order

log = Logger()

Told = OrderEvent | VenueStatusChanged | Quote | Trade | Statistics | Depth
RECONNECT_SECONDS = 1.0
"""How long after a dead link was found it is back."""
HALF, WHOLE = Decimal("0.5"), Decimal(1)
FEE = Decimal(1)
"""What an order costs that nobody tells of."""


class Asked(Enum):
    """What an order command asks for."""

    SUBMIT = auto()
    RELEASE = auto()
    CANCEL = auto()
    REPLACE = auto()


class Counterparty(Protocol):
    """What is behind the doors."""

    venue: str

    @property
    def exchange(self) -> Exchange:
        """The market's orders."""

    def do(self, command: Command) -> None:
        """Do a command at the present market, and tell what came of it."""

    def hear(self, event: Told) -> None:
        """The desk's ear."""

    def status(self, status: VenueStatus, text: str) -> VenueStatusChanged:
        """A status as it is told."""

    def forget_listeners(self) -> None:
        """A connection ended, and its subscriptions with it."""

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again so many seconds later, with the book or with a new one."""


@dataclass(slots=True)
class Parcel:
    """An order command at the door: what will be done with it, how much later, and what its sender is told of it."""

    order: Order
    commands: list[Command]
    wait: float = 0.0
    lost: bool = False
    error: GatewayError | None = None
    after: list[Callable[[], None]] = field(default_factory=list)


class Link:
    """One connection, up or down. `up` is False from the moment it breaks until it is back."""

    def __init__(self, reactor: Any, latency: float, faults: Faults, counterparty: Counterparty) -> None:
        self.up = True
        self.faults = faults
        self._reactor = reactor
        self._there = counterparty
        self._line = Line(reactor, latency, counterparty.do)
        self._silent = False
        self._hanging: list[Deferred[None]] = []
        self._telling: deque[Told] = deque()
        self._is_telling = False
        self._late: dict[Any, Told] = {}
        self._kept: list[Executed] = []
        self._delays: dict[str, float] = {}
        self._muted: dict[str, float] = {}
        self._timers: list[Any] = []
        self._debts: dict[Any, str] = {}

    # in

    def require_up(self) -> None:
        """Refused while the link is down: nothing can be sent."""
        if not self.up:
            raise Refused(Reason.VENUE_DOWN, f"The link to venue {self._there.venue} is down: nothing was done.")

    @property
    def hears(self) -> bool:
        """True unless the link is down, or dead unbeknown."""
        return self.up and not self._silent

    async def send(self, asked: Asked, order: Order, command: Command) -> None:
        """Let an order command in; Ambiguous when the link failed under it."""
        self.require_up()
        if not (self.faults.on or self._silent) and self._line.instant:
            self._there.do(command)
            return
        if self._silent:
            return
        parcel = Parcel(order, [command])
        for kind in _IN[asked]:
            if kind is FaultKind.HALF_REPLACE and half_of(order) is None:
                continue
            fault = self.faults.happens(kind, order.symbol, order.account)
            if fault is not None:
                self._note(fault, order.order_id)
                _AT_THE_DOOR_IN[kind](self, fault, parcel)
            if parcel.lost or parcel.error:
                break
        await self._dispatch(parcel)

    async def _dispatch(self, parcel: Parcel) -> None:
        if parcel.error is not None:
            if not parcel.lost:
                self._send_unwatched(parcel)
            for step in parcel.after:
                step()
            raise parcel.error
        if not parcel.lost:
            await self._line.send(parcel.commands, parcel.wait)

    async def ask(self) -> None:
        """Let a question in: it arrives behind the commands sent before it, and on a dead link never."""
        self.require_up()
        if self._silent:
            hanging: Deferred[None] = Deferred()
            self._hanging.append(hanging)
            await hanging
        fault = self.faults.happens(FaultKind.SLOW_BROKER) if self.faults.on else None
        if fault is not None or not self._line.instant:
            try:
                await self._line.send((), _seconds(fault) if fault else 0.0)
            except Ambiguous:
                raise Refused(Reason.VENUE_DOWN, f"The link to venue {self._there.venue} broke.") from None

    def _send_unwatched(self, parcel: Parcel) -> None:
        async def send() -> None:
            with suppress(GatewayError):
                await self._line.send(parcel.commands, parcel.wait)

        Deferred.fromCoroutine(send())

    # out

    def tell(self, events: Sequence[Told], orders: Mapping[int, Held]) -> None:
        """Tell what happened, to the `orders` among others, in order, as the faults let it through."""
        if not self.up or self._silent:
            return
        if self.faults.on or self._delays or self._kept or self._muted:
            events = self._distorted(events, {held.order_id: held for held in orders.values()})
        self._telling.extend(events)
        self._tell()

    def say(self, status: VenueStatus, text: str) -> None:
        """Tell the state of the connection itself."""
        self._telling.append(self._there.status(status, text))
        self._tell()

    def _tell(self) -> None:
        """Report in order, even when a report leads to the next command at once."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._telling:
                event = self._telling.popleft()
                try:
                    self._there.hear(event)
                except Exception:
                    log.failure("A report was not taken: {event}", event=event)
        finally:
            self._is_telling = False

    def _distorted(self, events: Iterable[Told], orders: Mapping[str, Held]) -> list[Told]:
        out: list[Told] = []
        for event in events:
            if isinstance(event, Executed):
                out.extend(self._fill(event))
            elif isinstance(event, OrderAccepted):
                held = orders.get(event.order_id)
                place = (held.symbol, held.account) if held else ("", "")
                out.extend(self._through(event, (FaultKind.LOST_ACK,), *place))
            elif isinstance(event, Quote | Trade | Statistics | Depth):
                out.extend(self._shown(event))
            else:
                out.append(event)
        return out

    def _through(self, event: Told, kinds: Iterable[FaultKind], symbol: str, account: str = "") -> list[Told]:
        """What is told now of an event: it, or what the first fault that happens makes of it."""
        for kind in kinds:
            fault = self.faults.happens(kind, symbol, account)
            if fault is not None:
                self._note(fault, getattr(event, "order_id", ""))
                return _AT_THE_DOOR_OUT[kind](self, fault, event)
        return [event]

    def _fill(self, event: Executed) -> list[Told]:
        seconds = self._delays.pop(event.order_id, None)
        if seconds is not None:
            self._tell_later(seconds, event)
            return []
        told = self._through(event, _FILLS, event.execution.symbol, event.execution.account)
        if told and self._kept:
            told = [*told, *self._kept]
            self._kept.clear()
        return told

    def _shown(self, event: Quote | Trade | Statistics | Depth) -> list[Told]:
        if self._muted.get(event.symbol, 0.0) > self._reactor.seconds():
            return []
        self._muted.pop(event.symbol, None)
        return self._through(event, (FaultKind.MUTE_FEED,), event.symbol)

    def _tell_later(self, seconds: float, event: Told) -> None:
        box: list[Any] = []
        box.append(self._reactor.callLater(seconds, self._tell_late, box))
        self._late[box[0]] = event

    def _tell_late(self, box: list[Any]) -> None:
        event = self._late.pop(box[0])
        if not self._silent:
            self._telling.append(event)
            self._tell()

    def _release(self, event: Executed) -> None:
        """No other fill came to be told first."""
        if event in self._kept:
            self._kept.remove(event)
            if not self._silent:
                self._telling.append(event)
                self._tell()

    # the connection's life

    def cut(self, text: str) -> None:
        """The link breaks: what is on its way, either way, is lost, and who waits for it is told so."""
        if not self.up:
            return
        self.up = self._silent = False
        self._forget()
        self._telling.clear()
        self._line.lose(Ambiguous(f"The link to venue {self._there.venue} broke under it: it may have arrived or not."))
        self._fail_hanging()
        self._there.forget_listeners()
        self.say(VenueStatus.DOWN, text)

    def drop(self, seconds: float, text: str) -> None:
        """Break, and be back so many seconds later."""
        self.cut(text)
        self._plan(seconds, self._reconnect)

    def begin(self) -> None:
        """A new connection."""
        self.up, self._silent = True, False

    def close(self) -> None:
        """The end in good order: what is on its way arrives, and what is held back is told."""
        if self.up and not self._silent:
            self._line.close()
            held = [*self._late.values(), *self._kept]
            self._forget()
            self._telling.extend(held)
            self._tell()
        self.cut_silently()
        for debt in self._debts:
            debt.cancel()
        self._debts.clear()

    def cut_silently(self) -> None:
        """Nothing is on its way any more, nothing is planned."""
        self._forget()
        self._line.lose(Ambiguous(f"Venue {self._there.venue} was stopped under it: it may have arrived or not."))
        self._silent = False
        self._fail_hanging()

    def clear(self, kind: FaultKind | None) -> None:
        """Take faults away, and end what they left: a mute feed speaks, a dead link is found dead, debts are paid."""
        self.faults.clear(kind)
        if kind in (None, FaultKind.MUTE_FEED):
            self._muted.clear()
        if kind in (None, FaultKind.HALF_OPEN):
            self._find_dead()
        if kind in (None, FaultKind.UNTOLD_FEE):
            for debt in list(self._debts):
                debt.reset(0)

    def _reconnect(self) -> None:
        self.begin()
        self.say(VenueStatus.CONNECTING, "connecting again")
        self.say(VenueStatus.RECONCILING, "ready to be asked")

    def _find_dead(self) -> None:
        if self._silent and self.up:
            self.drop(RECONNECT_SECONDS, "the link was dead")

    def _plan(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._timers = [timer for timer in self._timers if timer.active()]
        self._timers.append(self._reactor.callLater(seconds, call, *arguments))

    def _forget(self) -> None:
        for timer in (*self._late, *self._timers):
            if timer.active():
                timer.cancel()
        self._late.clear()
        self._timers.clear()
        self._kept.clear()
        self._delays.clear()
        self._muted.clear()

    def _fail_hanging(self) -> None:
        hanging, self._hanging = self._hanging, []
        for each in hanging:
            text = f"The link to venue {self._there.venue} was dead: the question was not answered."
            each.errback(Refused(Reason.VENUE_DOWN, text))

    def _note(self, fault: Fault, about: str) -> None:
        told = log.debug if fault.kind is FaultKind.MUTE_FEED else log.info
        told("{venue}: fault {kind} {about}", venue=self._there.venue, kind=fault.kind.value, about=about)

    # faults at the door in

    def _half_open(self, fault: Fault, parcel: Parcel) -> None:
        self._silent = parcel.lost = True
        self._plan(_seconds(fault), self._find_dead)

    def _drop(self, fault: Fault, parcel: Parcel) -> None:
        self._break_under(fault, parcel, lambda: self.drop(_seconds(fault), "the link broke"))

    def _restart(self, fault: Fault, parcel: Parcel) -> None:
        empty = fault.kind is FaultKind.RESTART_EMPTY
        self._break_under(fault, parcel, lambda: self._there.restart(_seconds(fault), empty))

    def _break_under(self, fault: Fault, parcel: Parcel, end: Callable[[], None]) -> None:
        """The command arrives, or not; in both cases nothing of it is told before the end."""
        if self.faults.coin(fault.kind):
            self._do_unheard(parcel.commands)
        parcel.lost = True
        parcel.error = Ambiguous(f"The link to venue {self._there.venue} broke: the order may have arrived or not.")
        parcel.after.append(end)

    def _do_unheard(self, commands: Iterable[Command]) -> None:
        self._silent = True
        try:
            with suppress(GatewayError):
                for command in commands:
                    self._there.do(command)
        finally:
            self._silent = False

    def _limit_rate(self, fault: Fault, parcel: Parcel) -> None:
        parcel.lost = not self.faults.coin(fault.kind)
        parcel.wait += _seconds(fault)
        text = f"Venue {self._there.venue} answered: too many requests. The order may have arrived or not."
        parcel.error = Ambiguous(text)

    def _slow(self, fault: Fault, parcel: Parcel) -> None:
        parcel.wait += _seconds(fault)

    def _roll_back_ids(self, fault: Fault, parcel: Parcel) -> None:
        parcel.commands.insert(0, lambda now: self._there.exchange.roll_back_ids())

    def _fill_before_cancel(self, fault: Fault, parcel: Parcel) -> None:
        """The fill is the book's truth; it is told after the cancel."""
        order = parcel.order

        def fill(now: datetime) -> None:
            self._delays[order.order_id] = _seconds(fault)
            self._there.exchange.fill_aside(order, HALF, now)

        parcel.commands.insert(0, fill)

        def forget(now: datetime) -> None:
            self._delays.pop(order.order_id, None)

        parcel.commands.append(forget)

    def _race_cancel(self, fault: Fault, parcel: Parcel) -> None:
        parcel.commands.insert(0, lambda now: self._there.exchange.fill_aside(parcel.order, WHOLE, now))

    def _replace_half(self, fault: Fault, parcel: Parcel) -> None:
        half = half_of(parcel.order) or parcel.order
        parcel.commands[:] = [lambda now: self._there.exchange.replace(half, now)]

    def _refuse_replace(self, fault: Fault, parcel: Parcel) -> None:
        parcel.commands[:] = [lambda now: self._there.exchange.refuse_replace(parcel.order, now)]

    def _charge(self, fault: Fault, parcel: Parcel) -> None:
        account = parcel.order.account

        def charge(now: datetime) -> None:
            self._there.exchange.charge(account, FEE)
            if fault.seconds is not None:
                self._owe(_seconds(fault), account)

        parcel.commands.append(charge)

    def _owe(self, seconds: float, account: str) -> None:
        """The book pays back, whatever becomes of the link; later, where it is closed just then."""
        box: list[Any] = []
        box.append(self._reactor.callLater(seconds, self._pay, box))
        self._debts[box[0]] = account

    def _pay(self, box: list[Any]) -> None:
        account = self._debts.pop(box[0])
        if self.up:
            self._there.do(lambda now: self._there.exchange.charge(account, -FEE))
        else:
            self._owe(RECONNECT_SECONDS, account)

    # faults at the door out

    def _lose(self, fault: Fault, event: Told) -> list[Told]:
        return []

    def _be_late(self, fault: Fault, event: Told) -> list[Told]:
        self._tell_later(_seconds(fault), event)
        return []

    def _repeat(self, fault: Fault, event: Told) -> list[Told]:
        if not fault.seconds:
            return [event, event]
        self._tell_later(_seconds(fault), event)
        return [event]

    def _keep_back(self, fault: Fault, event: Told) -> list[Told]:
        assert isinstance(event, Executed)
        self._kept.append(event)
        self._plan(_seconds(fault), self._release, event)
        return []

    def _mute(self, fault: Fault, event: Told) -> list[Told]:
        if fault.seconds is not None:
            self._muted[getattr(event, "symbol", "")] = self._reactor.seconds() + _seconds(fault)
        return []


_BREAKS = (
    FaultKind.HALF_OPEN,
    FaultKind.DROPPED_LINK,
    FaultKind.RESTART,
    FaultKind.RESTART_EMPTY,
    FaultKind.RATE_LIMIT,
)
_IN: Mapping[Asked, Sequence[FaultKind]] = {
    Asked.SUBMIT: (FaultKind.SLOW_BROKER, FaultKind.ID_ROLLBACK, FaultKind.UNTOLD_FEE, *_BREAKS),
    Asked.RELEASE: (FaultKind.SLOW_BROKER, *_BREAKS),
    Asked.CANCEL: (FaultKind.SLOW_BROKER, FaultKind.FILL_AFTER_CANCEL, FaultKind.CANCEL_RACE, *_BREAKS),
    Asked.REPLACE: (FaultKind.SLOW_BROKER, FaultKind.REJECTED_REPLACE, FaultKind.HALF_REPLACE, *_BREAKS),
}
"""The faults that each command may meet, in this order; the first that breaks it is the last."""
_FILLS = (FaultKind.LATE_FILL, FaultKind.DUPLICATED_FILL, FaultKind.REORDERED_FILLS)
_AT_THE_DOOR_IN: Mapping[FaultKind, Callable[[Link, Fault, Parcel], None]] = {
    FaultKind.HALF_OPEN: Link._half_open,
    FaultKind.DROPPED_LINK: Link._drop,
    FaultKind.RESTART: Link._restart,
    FaultKind.RESTART_EMPTY: Link._restart,
    FaultKind.RATE_LIMIT: Link._limit_rate,
    FaultKind.SLOW_BROKER: Link._slow,
    FaultKind.ID_ROLLBACK: Link._roll_back_ids,
    FaultKind.UNTOLD_FEE: Link._charge,
    FaultKind.FILL_AFTER_CANCEL: Link._fill_before_cancel,
    FaultKind.CANCEL_RACE: Link._race_cancel,
    FaultKind.HALF_REPLACE: Link._replace_half,
    FaultKind.REJECTED_REPLACE: Link._refuse_replace,
}
_AT_THE_DOOR_OUT: Mapping[FaultKind, Callable[[Link, Fault, Told], list[Told]]] = {
    FaultKind.LOST_ACK: Link._lose,
    FaultKind.LATE_FILL: Link._be_late,
    FaultKind.DUPLICATED_FILL: Link._repeat,
    FaultKind.REORDERED_FILLS: Link._keep_back,
    FaultKind.MUTE_FEED: Link._mute,
}


def half_of(order: Order) -> Order | None:
    """A replace without one of the things that it asks for; None when it asks for one thing alone."""
    if order.asked_quantity is not None and (order.asked_limit_price, order.asked_stop_price) != (None, None):
        return replace(order, asked_quantity=None)
    if order.asked_limit_price is not None and order.asked_stop_price is not None:
        return replace(order, asked_stop_price=None)
    return None


def _seconds(fault: Fault) -> float:
    return float(fault.seconds or 0)
