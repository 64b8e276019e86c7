"""What an instruction comes to, given what its strategy holds: how much is given up, how much opened, by which orders.

Pure; sizes and terms are sizing's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from txgateway import sizing
from txgateway.model.errors import Reason, Refused
from txgateway.model.order import OrderRequest, Side, TimeInForce
from txgateway.model.signal import Act, Amount, Instruction, Plan, Semantics, Sizing, Source
from txgateway.sizing import Ground

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Intent:
    """Signed quantities: `closes` of what is held is given up, `opens` comes on top, `after` is held then.

    `apart`: the two must be orders of their own, because exits are attached to what is opened.
    """

    closes: Decimal
    opens: Decimal
    after: Decimal
    apart: bool = False


def act_of(source: Source, instruction: Instruction, now: Decimal = ZERO) -> Act:
    """What is asked for, as the source understands a plain buy or sell of a strategy that holds `now` (signed).

    Where a strategy may have one position, an order that names the other side's is a reversal.
    """
    if instruction.act is not Act.ORDER or source.semantics is Semantics.ORDERS:
        return instruction.act
    if source.semantics is Semantics.TARGET:
        return Act.TARGET
    return Act.REOPEN if instruction.target is not None and instruction.target * now < 0 else Act.OPEN


def intent_of(source: Source, instruction: Instruction, ground: Ground, held: Decimal, taken: Decimal = ZERO) -> Intent:
    """The way from what is `held` (signed) to what is asked for; Refused where there is none.

    What is less than a lot of it stays, and does not count. `taken` is what fees have kept of what was bought: its
    sender counts with it, so that a sale of all that it counts is one of all that is held.
    """
    now = ground.instrument.tradable(held)
    act = act_of(source, instruction, now)
    name = instruction.strategy_name or instruction.strategy or source.name
    symbol = ground.instrument.symbol
    if act is Act.CLOSE:
        if not now:
            raise Refused(Reason.NO_POSITION, f"Strategy {name} holds no {symbol}: there is nothing to close.")
        if instruction.side is not None and instruction.side.sign * now > 0:
            text = f"Strategy {name} holds {now:f} {symbol}, which a {instruction.side} does not close."
            raise Refused(Reason.NO_POSITION, text)
        asked = sizing.part_of(instruction, source, abs(now), ground)
        closes = asked if now > 0 else -asked
        return Intent(closes, ZERO, now - closes)
    if act is Act.OPEN and now:
        text = f"Strategy {name} holds {now:f} {symbol} already, and may hold one position: close it first."
        raise Refused(Reason.POSITION_EXISTS, text)
    if act is Act.TARGET:
        target = _target(source, instruction, ground)
        counted = ground.instrument.tradable(held + taken) if now > 0 else now
        there = target >= now > 0 or not ground.instrument.tradable(target - held)
        delta = target - counted if target > counted else ZERO if there else target - now
        return _moved(now, delta, instruction)
    side = instruction.side
    if side is None:
        raise Refused(Reason.BAD_SIGNAL, "The signal does not say whether to buy or to sell.")
    signed = side.sign * sizing.quantity_of(instruction, source, side, ground)
    if act is Act.REOPEN:
        return Intent(now, signed, signed, apart=True)
    if now > 0 and now <= -signed <= held + taken:
        signed = -now
    return _moved(now, signed, instruction)


def _moved(now: Decimal, delta: Decimal, instruction: Instruction) -> Intent:
    """An order of `delta` as far as it gives up what is held, and what it opens."""
    closes = ZERO
    if now * delta < 0:
        closes = now if abs(delta) >= abs(now) else -delta
    opens = delta + closes
    return Intent(closes, opens, now + delta, apart=bool(closes and opens and _has_exits(instruction)))


def _has_exits(instruction: Instruction) -> bool:
    levels = (instruction.take_profit, instruction.stop_loss, instruction.trailing_stop, instruction.hold_seconds)
    return any(each is not None for each in levels)


def _target(source: Source, instruction: Instruction, ground: Ground) -> Decimal:
    """The signed position that is asked for: as the sender wrote it, or its side with the source's size."""
    wanted = instruction.target
    if wanted is not None and (source.sizing is Sizing.AS_SENT or not wanted):
        return wanted
    side = instruction.side if wanted is None else Side.BUY if wanted > 0 else Side.SELL
    if side is None:
        raise Refused(Reason.BAD_SIGNAL, "The signal does not say which position is wanted.")
    return side.sign * sizing.quantity_of(instruction, source, side, ground)


def as_planned(source: Source, instruction: Instruction, plan: Plan | None) -> tuple[Source, Instruction]:
    """The two with the size that was found, and answered, before; what closes all closes all that there is by then."""
    act = act_of(source, instruction)
    if plan is None or plan.quantity is None or act is Act.TARGET or (act is Act.CLOSE and not plan.after):
        return source, instruction
    return replace(source, sizing=Sizing.AS_SENT, rounding=False), replace(instruction, amount=Amount(plan.quantity))


def order_of(
    source: Source, instruction: Instruction, signed: Decimal, ground: Ground, day: TimeInForce, opens: bool
) -> OrderRequest:
    """The order for so many units (signed); what only closes names no price where the signal named none."""
    side = Side.BUY if signed > 0 else Side.SELL
    if instruction.side is not None and instruction.side.sign == side.sign:
        side = instruction.side
    return sizing.request_of(instruction, source, side, abs(signed), ground, day, opens)
