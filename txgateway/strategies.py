"""Signals, and what each strategy of each source holds: folded from the journal with the rest of the state. Pure.

A strategy's position is what its orders filled, less what fees kept of it, and, until they end, what its entries may
still fill. A fee kept of what closes a short position is the account's, as one in money is. What others do in
the same account (a person who closes by hand, a flatten) shows as a change of what the account holds beside all
strategies: what goes against a position has closed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from txgateway.model.account import Position
from txgateway.model.events import (
    Executed,
    OrderAmended,
    OrderRestored,
    SignalAdvanced,
    SignalEnded,
    SignalReceived,
    SignalRefused,
    StrategyAdjusted,
)
from txgateway.model.order import CLOSED, Order
from txgateway.model.signal import Outcome, Signal, StrategyPosition

ZERO = Decimal(0)
KEPT = 10_000
"""Signals that are remembered when they are over; the journal has all."""

Name = tuple[str, str]
"""(source, strategy)"""
Place = tuple[str, str]
"""(account, symbol)"""
_signal = msgspec.json.Decoder(Signal).decode
_position = msgspec.json.Decoder(StrategyPosition).decode


@dataclass(slots=True)
class Strategies:
    """What came in as signals, and the positions that their orders made."""

    signals: dict[str, Signal] = field(default_factory=dict)
    """By id, the oldest first."""
    pending: dict[str, Signal] = field(default_factory=dict)
    positions: dict[Place, dict[Name, StrategyPosition]] = field(default_factory=dict)
    _keys: dict[tuple[str, str], str] = field(default_factory=dict)

    # reading

    def known(self, source: str, key: str, now: datetime) -> Signal | None:
        """The signal that a delivery with this key or mark repeats."""
        signal = self.signals.get(self._keys.get((source, key), ""))
        if signal is None or (signal.forget is not None and now > signal.forget):
            return None
        return signal

    def of(self, source: str, strategy: str) -> Iterator[StrategyPosition]:
        """All that a strategy holds."""
        for held in list(self.positions.values()):
            if (source, strategy) in held:
                yield held[source, strategy]

    def places(self, source: str, strategy: str) -> list[Place]:
        """Where a strategy holds something, or is to by what was planned and not carried out."""
        found = [place for place, held in self.positions.items() if (source, strategy) in held]
        for signal in self.pending.values():
            if signal.source == source:
                pairs = zip(signal.instructions, signal.plans, strict=False)
                found += [(plan.account, plan.symbol) for each, plan in pairs if each.strategy == strategy]
        return list(dict.fromkeys(found))

    def coming(self, source: str, strategy: str) -> set[str]:
        """The symbols in which something was planned for a strategy that is not carried out yet."""
        return {
            plan.symbol
            for signal in self.pending.values()
            if signal.source == source
            for instruction, plan in zip(signal.instructions, signal.plans, strict=False)
            if instruction.strategy == strategy and plan.symbol
        }

    def at(self, place: Place, name: Name) -> StrategyPosition:
        """What a strategy holds of a symbol in an account, nothing included."""
        found = self.positions.get(place, {}).get(name)
        return found or StrategyPosition(source=name[0], strategy=name[1], account=place[0], symbol=place[1])

    def filled(self, place: Place) -> Decimal:
        """What all strategies together hold there, as far as they know."""
        return sum((each.filled for each in self.positions.get(place, {}).values()), ZERO)

    def held(self, position: StrategyPosition, account_holds: Decimal) -> Decimal:
        """What a strategy truly holds (signed): less what others' hands have closed since it began.

        Whoever sells shares of their own closes nothing of it: only what the others are short by themselves since then
        was taken from a long position, and only what they are long was given to a short one.
        """
        filled, was = position.filled, position.others
        others = account_holds - self.filled((position.account, position.symbol))
        if filled > 0:
            return max(ZERO, filled - max(ZERO, min(was, ZERO) - min(others, ZERO)))
        return min(ZERO, filled + max(ZERO, max(others, ZERO) - max(was, ZERO)))

    def planned(self, position: StrategyPosition) -> Decimal | None:
        """What a strategy is to hold (signed) by the last that was planned and not carried out; None: no such."""
        found = None
        for signal in self.pending.values():
            if signal.source == position.source:
                for instruction, plan in zip(signal.instructions, signal.plans, strict=False):
                    mine = (plan.account, plan.symbol) == (position.account, position.symbol)
                    if mine and instruction.strategy == position.strategy and plan.after is not None:
                        found = plan.after
        return found

    # the fold

    def receive(self, event: SignalReceived, seq: int) -> None:
        """A signal came in; one that asks for nothing is over at once."""
        outcome = Outcome.PENDING if event.instructions else Outcome.DONE
        signal = Signal(
            signal_id=event.signal_id,
            source=event.source,
            kind=event.kind,
            account=event.account,
            time=event.time,
            seq=seq,
            outcome=outcome,
            answer=event.answer,
            key=event.key,
            host=event.host,
            about=event.about,
            instructions=event.instructions,
            plans=event.plans,
            shadow=event.shadow,
            sent=event.sent,
            until=event.until,
            forget=event.forget,
            mark=event.mark,
        )
        if signal.outcome is Outcome.PENDING:
            self.pending[signal.signal_id] = signal
        self._keep(signal)

    def refuse(self, event: SignalRefused, seq: int) -> None:
        """A signal was refused."""
        self._keep(
            Signal(
                signal_id=event.signal_id,
                source=event.source,
                kind=event.kind,
                account=event.account,
                time=event.time,
                seq=seq,
                outcome=Outcome.REFUSED,
                answer=event.answer,
                key=event.key,
                host=event.host,
                about=event.about,
                reason=event.reason,
                text=event.text,
                forget=event.forget,
                mark=event.mark,
            )
        )

    def advance(self, event: SignalAdvanced, seq: int) -> None:
        """An instruction of a signal has come this far."""
        signal = self.pending.get(event.signal_id)
        if signal is not None:
            over = event.instruction + event.over
            changed = replace(signal, over=over, ends=event.ends, entries=event.entries, closing=event.closing, seq=seq)
            self.pending[signal.signal_id] = self.signals[signal.signal_id] = changed

    def end(self, event: SignalEnded, seq: int) -> None:
        """A signal is over."""
        signal = self.pending.pop(event.signal_id, None)
        if signal is not None:
            self.signals[signal.signal_id] = replace(
                signal, outcome=event.outcome, reason=event.reason, text=event.text, orders=event.orders, seq=seq
            )

    def _keep(self, signal: Signal) -> None:
        self.signals[signal.signal_id] = signal
        for key in filter(None, (signal.key, signal.mark)):
            self._keys[signal.source, key] = signal.signal_id
        if len(self.signals) > KEPT + len(self.pending):
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = next(each for each in self.signals.values() if each.signal_id not in self.pending)
        del self.signals[oldest.signal_id]
        for key in (oldest.key, oldest.mark):
            if self._keys.get((oldest.source, key)) == oldest.signal_id:
                del self._keys[oldest.source, key]

    def take(self, event: Any, before: Order | None, after: Order, account_holds: Decimal) -> None:
        """Something happened to an order that a signal made; `account_holds` is the account's position after it."""
        place, name = (after.account, after.symbol), (after.owner, after.strategy)
        position = self.at(place, name)
        was = before.filled_quantity if before is not None else ZERO
        if before is None and isinstance(event, OrderRestored | Executed):
            was = after.filled_quantity - (event.execution.quantity if isinstance(event, Executed) else ZERO)
        taken = event.execution.taken if isinstance(event, Executed) else ZERO
        signed = after.side.sign * (after.filled_quantity - was)
        filled, kept = _less_fee(position, signed, taken, ZERO if after.status in CLOSED else after.leaves_quantity)
        working = {each: left for each, left in position.working.items() if each != after.order_id}
        if after.leg is None and after.status not in CLOSED:
            working[after.order_id] = after.side.sign * after.leaves_quantity
        begins = bool(not position.filled and filled)
        unmatched = signed - taken - (filled - position.filled)
        signal = self.signals.get(after.signal) if begins else None
        price = event.execution.price if isinstance(event, Executed) else after.average_price
        new = not position.filled and not position.working
        instructions = signal.instructions if signal is not None else ()
        mine = next((each for each in instructions if each.strategy == after.strategy), None)
        self._put(
            replace(
                position,
                filled=filled,
                working=working,
                opened=after.updated if begins else position.opened,
                name=mine.strategy_name if mine is not None else position.name,
                reference=position.reference or (mine.reference if mine is not None else ""),
                average_price=_entered_at(position, filled - position.filled, price),
                entry=after.order_id if new and after.leg is None else position.entry,
                taken=kept,
            )
        )
        if unmatched:
            self._pass(place, unmatched)
        if begins:
            self._base(place, name, account_holds)

    def amend(self, event: OrderAmended, order: Order | None) -> None:
        """The sender marks an entry anew."""
        entry = order or event.order
        if event.reference is None or entry is None or not entry.signal:
            return
        place, name = (entry.account, entry.symbol), (entry.owner, entry.strategy)
        if name in self.positions.get(place, {}):
            self._put(replace(self.at(place, name), reference=event.reference))

    def adjust(self, event: StrategyAdjusted, account_holds: Decimal) -> None:
        """What a strategy holds is this much now.

        As far as others' hands had closed a part of it, that is what they did; the rest was theirs, or becomes theirs,
        and says nothing of what other strategies hold.
        """
        place, name = (event.account, event.symbol), (event.source, event.strategy)
        position = self.at(place, name)
        change, closed = event.quantity - position.filled, self.held(position, account_holds) - position.filled
        passed = change if change * closed <= 0 else change - (max if closed < 0 else min)(change, closed)
        self._pass(place, -passed)
        self._put(replace(position, filled=event.quantity, taken=ZERO))
        if event.quantity:
            self._base(place, name, account_holds)

    def flatten(self, place: Place, source: str | None, signed: Decimal, account_holds: Decimal) -> None:
        """A flatten closed so much (signed) of a source's, or (None) of the whole account's."""
        for position in list(self.positions.get(place, {}).values()):
            if source is None:
                left = ZERO if not account_holds else position.filled
            elif source == position.source and position.filled * signed < 0:
                left = position.filled + signed
                left = left if left * position.filled > 0 else ZERO
                signed -= left - position.filled
            else:
                continue
            self._put(replace(position, filled=left))

    def _pass(self, place: Place, quantity: Decimal) -> None:
        """So much more (signed) is the account's beside all strategies, and was nobody's doing."""
        for position in list(self.positions.get(place, {}).values()):
            self._put(replace(position, others=position.others + quantity))

    def _base(self, place: Place, name: Name, account_holds: Decimal) -> None:
        self._put(replace(self.at(place, name), others=account_holds - self.filled(place)))

    def _put(self, position: StrategyPosition) -> None:
        place, name = (position.account, position.symbol), (position.source, position.strategy)
        if position.filled or position.working:
            self.positions.setdefault(place, {})[name] = position
        elif place in self.positions:
            self.positions[place].pop(name, None)
            if not self.positions[place]:
                del self.positions[place]

    # snapshots

    def dump(self) -> list[Signal | StrategyPosition]:
        """Everything, as it is at this moment."""
        held = [position for each in self.positions.values() for position in each.values()]
        return [*self.signals.values(), *held]

    def load(self, tag: str, body: bytes) -> None:
        """Take in one of `dump`, as JSON: `S` a signal, `s` a position."""
        if tag == "s":
            self._put(_position(body))
            return
        signal = _signal(body)
        if signal.outcome is Outcome.PENDING:
            self.pending[signal.signal_id] = signal
        self._keep(signal)


def _less_fee(position: StrategyPosition, signed: Decimal, taken: Decimal, coming: Decimal) -> tuple[Decimal, Decimal]:
    """What is held after a fill, and what fees have kept of what was bought since it began: never more than is held.

    An order to sell all that was bought goes below zero by no more than they kept, `coming` included: all is sold then.
    """
    filled = position.filled + signed
    own = min(taken, max(ZERO, filled))
    filled, kept = filled - own, position.taken + own
    if signed < 0 and filled < 0 and coming - filled <= kept:
        filled, kept = ZERO, kept + filled
    return filled, own if filled and position.filled * filled <= 0 else kept


def _entered_at(position: StrategyPosition, signed: Decimal, price: Decimal) -> Decimal:
    """What a strategy's position was entered at, after a fill."""
    held = Position("", position.account, position.symbol, position.filled, position.average_price)
    return held.after(signed, price).average_price if signed else position.average_price
