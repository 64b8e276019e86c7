"""How large a signal's order is, and its terms: what the sender wrote, what its source says, the market. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from txgateway.model.errors import Reason, Refused
from txgateway.model.exits import ExitPlan, Level, Unit, rounded
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import OrderRequest, OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Instruction, Measure, Sizing, Source, SourceKind

ZERO, HUNDRED = Decimal(0), Decimal(100)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a size is found by: the instrument, its last quote, and what the account is worth."""

    instrument: Instrument
    quote: Quote | None
    equity: Decimal | None = None


def needs_equity(instruction: Instruction, source: Source) -> bool:
    """Whether the size depends on what the account is worth."""
    if instruction.act is Act.CLOSE:
        return False
    if source.sizing is Sizing.AS_SENT:
        return instruction.amount is not None and instruction.amount.measure is Measure.PERCENT
    return source.sizing in (Sizing.PERCENT, Sizing.RISK)


def quantity_of(instruction: Instruction, source: Source, side: Side, ground: Ground) -> Decimal:
    """Units (above zero) of an opening order; Refused where there is none, or it comes to nothing."""
    instrument, symbol = ground.instrument, ground.instrument.symbol
    value, measure = _asked(instruction, source)
    if source.sizing is Sizing.RISK:
        units = _at_risk(value, instruction, source, side, ground)
    elif measure is Measure.UNITS:
        if not source.rounding:
            return value
        units = value
    else:
        if measure is Measure.PERCENT:
            value = value * _equity(source, ground) / HUNDRED
        units = value / (_price(instruction, side, ground) * instrument.multiplier)
    lots = units if not instrument.lot_size else _floor(units / instrument.lot_size) * instrument.lot_size
    if lots <= 0:
        least = f"{instrument.lot_size:f}"
        raise Refused(Reason.QUANTITY_TOO_LOW, f"{units:.8f} {symbol} come to nothing: it trades in steps of {least}.")
    return lots.normalize() + ZERO


def part_of(instruction: Instruction, source: Source, held: Decimal, ground: Ground) -> Decimal:
    """Units of a position of `held` (both above zero) that a close gives up; Refused with NO_SIZE where it is none.

    Where the source sizes, the sender's units are not ours: its close is one of all. `held` can be traded as it is.
    """
    amount, symbol = instruction.amount, ground.instrument.symbol
    if amount is None or (amount.measure is Measure.PERCENT and amount.value >= HUNDRED):
        return held
    if amount.measure is Measure.UNITS and source.sizing is not Sizing.AS_SENT:
        return held
    if amount.measure is Measure.UNITS:
        return min(amount.value, held)
    if amount.measure is Measure.MONEY:
        raise Refused(Reason.NO_SIZE, f"A close of {symbol} is counted in units or percent of the position, not money.")
    units, lot = held * amount.value / HUNDRED, ground.instrument.lot_size
    part = _floor(units / lot) * lot if lot else units
    if part <= 0:
        text = f"{amount.value.normalize():f}% of {held:f} {symbol} come to nothing: it trades in steps of {lot:f}."
        raise Refused(Reason.NO_SIZE, text)
    return part.normalize() + ZERO


def _asked(instruction: Instruction, source: Source) -> tuple[Decimal, Measure]:
    """The figure, and what it counts: the source's own or, as sent, the instruction's."""
    fixed = {Sizing.FIXED: Measure.UNITS, Sizing.NOTIONAL: Measure.MONEY, Sizing.PERCENT: Measure.PERCENT}
    if source.sizing is not Sizing.AS_SENT:
        if source.size is None:
            raise Refused(Reason.NO_SIZE, f"Source {source.name} sizes by {source.sizing} and has no `size`.")
        return source.size, fixed.get(source.sizing, Measure.PERCENT)
    if instruction.amount is None:
        text = f"The signal says no quantity, and source {source.name} sizes as sent: give it a sizing, or send one."
        raise Refused(Reason.NO_SIZE, text)
    return instruction.amount.value, instruction.amount.measure


def _at_risk(value: Decimal, instruction: Instruction, source: Source, side: Side, ground: Ground) -> Decimal:
    if instruction.stop_loss is None:
        text = f"Source {source.name} sizes by risk, which needs a stop_loss in the signal."
        raise Refused(Reason.NO_SIZE, text)
    price, level = _price(instruction, side, ground), instruction.stop_loss
    away = abs(price - level.value) if level.unit is Unit.PRICE else level.distance(price)
    if away <= 0:
        raise Refused(Reason.NO_SIZE, f"The stop_loss {level} is the price itself: no risk can be measured by it.")
    return _equity(source, ground) * value / HUNDRED / (away * ground.instrument.multiplier)


def _equity(source: Source, ground: Ground) -> Decimal:
    if ground.equity is None or ground.equity <= 0:
        raise Refused(Reason.NO_SIZE, f"Account {source.account} shows no equity to take a percentage of.")
    return ground.equity


def _price(instruction: Instruction, side: Side, ground: Ground) -> Decimal:
    """What a unit is taken to cost at least: the instruction's own limit, else the side of the market that is taken.

    Never less than it may turn out to: a sell's limit is the worst price, a buy's stop the best, and where the market
    is crossed nobody knows which side is wrong.
    """
    quote, limit, stop = ground.quote, instruction.limit_price, instruction.stop_price
    price = ZERO if quote is None else quote.ask if side.sign > 0 else quote.bid
    if limit is not None:
        return limit if side.sign > 0 else max(limit, price)
    if price > 0 and quote is not None:
        return max(price, quote.bid, stop or ZERO) if side.sign > 0 else price
    if price <= 0:
        raise Refused(Reason.NO_PRICE, f"The market shows no price of {ground.instrument.symbol} to size by.")
    return price


def request_of(
    instruction: Instruction,
    source: Source,
    side: Side,
    quantity: Decimal,
    ground: Ground,
    time_in_force: TimeInForce,
    opens: bool,
) -> OrderRequest:
    """The order. The sender's type stands before the source's; exits are only on what opens a position."""
    order_type = instruction.order_type or source.order_type or OrderType.MARKET
    limit, stop = instruction.limit_price, instruction.stop_price
    profit, loss = instruction.take_profit, instruction.stop_loss
    if source.rounding or source.kind is SourceKind.ALGOGENE:
        instrument = ground.instrument
        limit = None if limit is None else on_grid(limit, instrument, side, False)
        stop = None if stop is None else on_grid(stop, instrument, side, True)
        profit = None if profit is None else level_on_grid(profit, instrument, side)
        loss = None if loss is None else level_on_grid(loss, instrument, side)
    if instruction.order_type is None and order_type.has_limit:
        limit = _limit(source, side, ground)
    plan = ExitPlan(
        take_profit=profit,
        stop_loss=loss,
        trailing_stop=instruction.trailing_stop,
        hold_seconds=instruction.hold_seconds,
    )
    return OrderRequest(
        account=source.account,
        symbol=ground.instrument.symbol,
        side=side,
        quantity=quantity,
        order_type=order_type,
        limit_price=limit if order_type.has_limit else None,
        stop_price=stop if order_type.has_stop else None,
        time_in_force=instruction.time_in_force or source.time_in_force or time_in_force,
        route=source.route,
        exits=plan if opens and str(plan) else None,
        strategy=instruction.strategy,
    )


def _limit(source: Source, side: Side, ground: Ground) -> Decimal:
    """So far beyond the side that is taken, on the instrument's grid and no further."""
    quote = ground.quote
    price = ZERO if quote is None else quote.ask if side.sign > 0 else quote.bid
    if price <= 0:
        raise Refused(Reason.NO_PRICE, f"The market shows no price of {ground.instrument.symbol} to put a limit by.")
    offset = ZERO if source.limit_offset is None else source.limit_offset.distance(price)
    return rounded(price + side.sign * offset, ground.instrument.tick_size, side.sign < 0)


def on_grid(price: Decimal, instrument: Instrument, side: Side, is_stop: bool) -> Decimal:
    """A price that the instrument has: a limit no worse, a stop no nearer than the one that was asked for."""
    return rounded(price, instrument.tick_size, (side.sign > 0) is is_stop)


def level_on_grid(level: Level, instrument: Instrument, side: Side) -> Level:
    """An entry's exit at a price that the instrument has: the profit no smaller, the loss no larger."""
    if level.unit is not Unit.PRICE:
        return level
    return Level(rounded(level.value, instrument.tick_size, side.sign > 0))


def _floor(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_FLOOR)
