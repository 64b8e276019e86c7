"""Attached orders: what an entry filled, what its exits did, the market -> what is to be done now. Pure.

An exit is an order like any other. Each leg of a family has one at a time, of exactly what is left of the position: it
begins at the entry's first fill, grows with the next ones, and shrinks with what another leg fills. Where both legs are
filled in a race, what was left too much is undone at the market. A close at the market never opens a position.

Exits that the broker was given with the entry (a bracket) are left to it as long as they fit. They sleep until the
entry is filled whole: one that stays filled in part is given exits of our own instead, and until they work the gateway
watches the stop. The broker may tell that it has ended or reduced one before it tells the fill that is the cause, so
that what does not fit is put right only when nothing was told for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from txgateway.brokers import Can
from txgateway.families import Family, Group
from txgateway.model.errors import Reason, Refused
from txgateway.model.exits import LONGEST_HOLD, ExitPlan, Leg, Level, Unit, rounded
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import CLOSED, Move, Order, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from txgateway.risk import Denial, reference_price

ZERO = Decimal(0)
CHANGEABLE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
SETTLED = 2.0
"""Seconds without news of a bracket's exits, after which nothing of them is under way any more."""
ASLEEP = timedelta(seconds=2)
"""How long an entry may be filled in part until its attached exits, which sleep, are replaced."""
TYPES = {
    Leg.STOP_LOSS: OrderType.STOP,
    Leg.TAKE_PROFIT: OrderType.LIMIT,
    Leg.CLOSE: OrderType.MARKET,
    Leg.UNDO: OrderType.MARKET,
}


# ---------------------------------------------------------------- steps


@dataclass(frozen=True, slots=True)
class Send:
    """A new exit order; its price is a limit or a stop, as its leg says."""

    leg: Leg
    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Other terms for a working order; None: as they are. `reduced` is a group member's, see Order."""

    order_id: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reduced: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The end of a working order."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """From here on the position is to be closed at the market."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more is to be done for the position."""

    text: str


@dataclass(frozen=True, slots=True)
class Watch:
    """A stop that the gateway watches itself."""

    stop_price: Decimal


@dataclass(frozen=True, slots=True)
class Wait:
    """What is told next, or that nothing more is, decides: look again soon."""


Step = Send | Change | Cancel | Trigger | Watch | End | Wait


@dataclass(frozen=True, slots=True)
class View:
    """What the steps depend on beside what happened to the orders.

    `price` is what the position could be left at now, `best` the best that was since it began; None: not known.
    `refused` names the legs and changes (see `name_of`) that the broker would not take last time. `now` is the venue's
    clock. `held` is how much is held on the entry's side. `lot` is the smallest part that can be sold, zero: any.
    `settled`: nothing was told of its attached exits for SETTLED seconds. `halted`: exits may not be sent.
    """

    can: Can
    tick: Decimal
    now: datetime
    held: Decimal
    price: Decimal | None = None
    best: Decimal | None = None
    refused: frozenset[str] = frozenset()
    lot: Decimal = ZERO
    settled: bool = True
    halted: bool = False

    def whole(self, quantity: Decimal) -> Decimal:
        """What of a quantity can be sold: a fee that is taken out of what was bought leaves parts of a lot."""
        return quantity - quantity % self.lot if self.lot > 0 and quantity > 0 else quantity


def name_of(step: Step) -> str:
    """By what a step is remembered that is under way, or was refused."""
    if isinstance(step, Send):
        return step.leg
    if isinstance(step, Change | Cancel):
        return f"{'change' if isinstance(step, Change) else 'cancel'} {step.order_id}"
    return type(step).__name__


# ---------------------------------------------------------------- an entry and its exits


def due(family: Family, find: Callable[[str], Order | None], view: View) -> list[Step]:
    """What is to be done for an entry now; what depends on an answer that is still to come is left for later."""
    if family.left < 0:
        return [Wait()] if family.attached and not view.settled else list(_undo(family, find))
    left = view.whole(family.left)
    if family.left > 0 >= left and not (family.open or family.alive or family.ended):
        return [End("what is left is less than a lot, and cannot be sold.")]
    if family.wanted == [Leg.CLOSE] and not family.alive and left > 0 and view.whole(view.held) <= 0:
        return [End("the account holds nothing to close.")]
    if not family.closing and not family.ended and left > 0:
        text = _over(family, view)
        if text:
            return [Trigger(text)]
    wanted = family.wanted if left > 0 else []
    steps: list[Step] = []
    for order_id, leg in family.alive.items():
        order = find(order_id)
        if order is not None and leg is not Leg.UNDO:
            if order.attached and not (family.whole or family.closing or family.ended):
                step = _fit_asleep(family, order, find(family.entry), view)
            else:
                step = _fit(family, order, view, leg in wanted)
            if step is not None:
                steps.append(step)
    if _may_be_filled(family, view):
        return [*steps, Wait()]
    busy = set(family.alive.values())
    for leg in wanted:
        if leg in busy or (leg is Leg.CLOSE and busy):
            continue
        price = _price(family, leg, view)
        if leg is Leg.STOP_LOSS and held_here(family.plan, view.can):
            if price is not None and price != family.prices.get(leg):
                steps.append(Watch(price))
        else:
            most = view.whole(min(left, view.held)) if leg is Leg.CLOSE else left
            steps.append(Send(leg, most, price))
    return steps


def held_here(plan: ExitPlan, can: Can) -> bool:
    """Whether the gateway itself must watch the plan's stop, because the broker has no such order."""
    if not plan.stops:
        return False
    return Can.STOP not in can or (plan.trailing_stop is not None and Can.REPLACE not in can)


def bracket(plan: ExitPlan | None, time_in_force: TimeInForce, can: Can) -> tuple[Leg, ...]:
    """The exits that are sent with their entry: those whose prices are known before it is filled, the stop last.

    What ends at once may end filled in part, and its bracket with it.
    """
    if plan is None or Can.BRACKET not in can or time_in_force is TimeInForce.IOC:
        return ()
    legs = [leg for leg in (Leg.TAKE_PROFIT, Leg.STOP_LOSS) if plan.levels(leg)]
    fixed = plan.trailing_stop is None and all(each.unit is Unit.PRICE for leg in legs for each in plan.levels(leg))
    return tuple(legs) if fixed else ()


def attached(family: Family, leg: Leg, quantity: Decimal, can: Can) -> OrderRequest:
    """The order of an exit that is sent with its entry."""
    level = family.plan.levels(leg)[0]
    return request_of(family, Send(leg, quantity, level.value), can)


def held_long_enough(family: Family, now: datetime) -> bool:
    """Whether a position's hold time is over."""
    hold, began = family.plan.hold_seconds, family.began
    return hold is not None and began is not None and now >= began + timedelta(seconds=hold)


def stop_price(family: Family, view: View) -> Decimal | None:
    """Where the stop belongs now: the tighter of the fixed and the trailing one; a trailing one never loosens."""
    plan, last = family.plan, family.prices.get(Leg.STOP_LOSS)
    if Leg.STOP_LOSS in family.by_hand:
        return last
    tightest = max if family.long else min
    prices: list[Decimal] = []
    if plan.stop_loss is not None:
        prices.append(_level(plan.stop_loss, family.average_price, -1 if family.long else 1, view.tick, family.long))
    if plan.trailing_stop is not None:
        best = family.average_price if view.best is None else tightest(family.average_price, view.best)
        trail = plan.trailing_stop.distance(best)
        prices.append(rounded(best - trail if family.long else best + trail, view.tick, family.long))
        if last is not None:
            prices.append(last)
    return tightest(prices) if prices else None


def reached(family: Family, stop: Decimal | None, price: Decimal | None) -> bool:
    """Whether the price at which a position could be left is at or beyond a stop."""
    if stop is None or price is None:
        return False
    return price <= stop if family.long else price >= stop


def request_of(family: Family, step: Send, can: Can) -> OrderRequest:
    """The order of a step. It keeps its key, its owner's route, and works until it is canceled where that can be."""
    market = TYPES[step.leg] is OrderType.MARKET
    return OrderRequest(
        account=family.account,
        symbol=family.symbol,
        side=Side.BUY if family.long is (step.leg is Leg.UNDO) else Side.SELL,
        quantity=step.quantity,
        order_type=TYPES[step.leg],
        limit_price=step.price if step.leg is Leg.TAKE_PROFIT else None,
        stop_price=step.price if step.leg is Leg.STOP_LOSS else None,
        time_in_force=TimeInForce.GTC if Can.GTC in can and not (market and Can.DAY in can) else TimeInForce.DAY,
        route=family.route,
        client_order_id=family.named(step.leg),
        parent=family.entry,
        leg=step.leg,
        signal=family.signal,
        strategy=family.strategy,
    )


def _over(family: Family, view: View) -> str:
    """Why the position is to be closed at the market now; empty when it is not."""
    plan = family.plan
    if held_long_enough(family, view.now):
        return f"it was held for {plan.hold_seconds} s."
    if not plan.stops or Leg.STOP_LOSS in family.given_up:
        return ""
    stop = stop_price(family, view)
    if reached(family, stop, view.price):
        if held_here(plan, view.can) or family.bare:
            return f"the stop at {stop:f} was reached at {view.price:f}."
        if Leg.STOP_LOSS in view.refused:
            return f"the broker took no stop at {stop:f}, and the price is {view.price:f}."
    return ""


def _undo(family: Family, find: Callable[[str], Order | None]) -> Iterator[Step]:
    """More was left than had been entered: no exit may go on, and the excess is taken back."""
    coming = ZERO
    for order_id, leg in family.alive.items():
        order = find(order_id)
        if order is None:
            continue
        if leg is Leg.UNDO:
            coming += order.leaves_quantity
        elif _may_cancel(family, order):
            yield Cancel(order_id)
    if not coming and -family.left > 0 and Leg.UNDO not in family.given_up:
        yield Send(Leg.UNDO, -family.left)


def _may_be_filled(family: Family, view: View) -> bool:
    """Whether a bracket's exit has ended, and a fill of another that was not told yet may be why.

    Not where they slept until the entry ended, and not where somebody here asked for the end of one.
    """
    if view.settled or not (family.whole or family.open):
        return False
    ended = [each for each in family.attached if each not in family.alive]
    return bool(ended) and not any(each in family.asked for each in ended)


def _fit_asleep(family: Family, order: Order, entry: Order | None, view: View) -> Step | None:
    """What becomes of an attached exit before its entry is filled whole."""
    if not family.open or entry is None:
        if not view.settled:
            return Wait()  # the broker ends it itself
        return Cancel(order.order_id) if _may_cancel(family, order) else None
    late = family.began is not None and view.now >= family.began + ASLEEP and not view.halted
    fixed = bracket(family.plan, entry.time_in_force, view.can)
    if late or order.leg not in family.wanted or order.leg not in fixed:
        return Cancel(order.order_id) if _may_cancel(family, order) else None
    if family.filled:
        return Wait()
    return _fit_to(family, order, view, entry.quantity)


def _fit(family: Family, order: Order, view: View, wanted: bool) -> Step | None:
    """What makes a working exit as large as what is left, at the price where it belongs."""
    assert order.leg is not None
    by_broker = Can.OCO in view.can and not (family.closing or family.ended) and _planned(family.plan, order.leg)
    bound = len(family.attached) == len(family.orders)  # what one of ours fills the broker takes off nothing
    if order.attached and bound and not view.settled and not (family.closing or family.ended):
        fits = wanted and order.leaves_quantity == view.whole(family.left)
        return _fit_to(family, order, view, order.quantity) if fits else Wait()
    if not wanted:
        return Cancel(order.order_id) if _may_cancel(family, order) and not by_broker else None
    target = order.filled_quantity + view.whole(family.left)
    if target < order.quantity and Can.OCO in view.can:
        target = order.quantity
    return _fit_to(family, order, view, target)


def _fit_to(family: Family, order: Order, view: View, target: Decimal) -> Step | None:
    """What makes a working exit of a size, at the price where it belongs; a bracket that cannot is given up."""
    assert order.leg is not None
    price = _price(family, order.leg, view)
    limit = price if order.leg is Leg.TAKE_PROFIT and price != order.limit_price else None
    stop = price if order.leg is Leg.STOP_LOSS and price != order.stop_price else None
    if target == order.quantity and limit is None and stop is None:
        return None
    too_much = target < order.quantity
    change = Change(order.order_id, None if target == order.quantity else target, limit, stop)
    stubborn = (too_much or order.attached) and name_of(change) in view.refused
    if order.status in CHANGEABLE and Can.REPLACE in view.can and order.leg is not Leg.CLOSE and not stubborn:
        return change
    changeable = order.status in CHANGEABLE or (too_much and order.status is OrderStatus.UNKNOWN)
    if not changeable or (order.leg is Leg.CLOSE and not too_much):
        return None
    return Cancel(order.order_id) if _may_cancel(family, order) else None


def _planned(plan: ExitPlan, leg: Leg) -> bool:
    """Whether a plan has an exit still; one at the market may always come."""
    return leg not in (Leg.STOP_LOSS, Leg.TAKE_PROFIT) or bool(plan.levels(leg))


def _may_cancel(family: Family, order: Order) -> bool:
    """Whether a cancel can be asked for, and is not under way. One that a crash has swallowed is asked for again."""
    if not order.may(Move.ASK_CANCEL) or order.status is OrderStatus.PENDING_CANCEL:
        return False
    return order.status is not OrderStatus.UNKNOWN or order.order_id not in family.asked


def _price(family: Family, leg: Leg, view: View) -> Decimal | None:
    if leg is Leg.STOP_LOSS:
        return stop_price(family, view)
    if leg is not Leg.TAKE_PROFIT or family.plan.take_profit is None:
        return None
    if leg in family.by_hand:
        return family.prices.get(leg)
    return _level(family.plan.take_profit, family.average_price, 1 if family.long else -1, view.tick, family.long)


def _level(level: Level, entry: Decimal, sign: int, tick: Decimal, up: bool) -> Decimal:
    """A level as a price; a distance is rounded so that a profit is no smaller and a loss no larger than asked for."""
    if level.unit is Unit.PRICE:
        return level.value
    return rounded(entry + sign * level.distance(entry), tick, up)


# ---------------------------------------------------------------- groups


def trims(group: Group, find: Callable[[str], Order | None], can: Can) -> list[Step]:
    """What takes from a group's members what the others filled; one that nothing is left of is canceled."""
    steps: list[Step] = []
    if Can.OCO in can or not group.total:
        return steps
    for order_id in group.alive:
        order = find(order_id)
        taken = group.total - group.filled[order_id]
        if order is None or taken <= order.reduced:
            continue
        target = order.quantity + order.reduced - taken
        if target > order.filled_quantity and Can.REPLACE in can:
            if order.status in CHANGEABLE:
                steps.append(Change(order_id, target, reduced=taken))
        elif order.may(Move.ASK_CANCEL) and order.status is not OrderStatus.PENDING_CANCEL:
            steps.append(Cancel(order_id))
    return steps


# ---------------------------------------------------------------- checks


def check_group(name: str, group: Group | None) -> Denial | None:
    """Whether an order may still join a group."""
    if group is None or not group.total:
        return None
    text = f"One of the oco group {name!r} was filled already, so there is nothing left to do: use another name."
    return Denial(Reason.OCO_FILLED, text)


def require_room(request: OrderRequest, family: Family | None) -> None:
    """Refused where an exit would be more than what is left of its entry by now: it is looked at again then."""
    left = family.left if family is not None else ZERO
    room = -left if request.leg is Leg.UNDO else left
    if request.quantity > room:
        text = f"{room:f} of order {request.parent} are left by now, less than {request.quantity:f}."
        raise Refused(Reason.NOT_WORKING, text, request.parent)


def check_plan(plan: ExitPlan, can: Can) -> Denial | None:
    """What of a plan can be judged by itself, and whether the venue can do it."""
    named = (("take_profit", plan.take_profit), ("stop_loss", plan.stop_loss), ("trailing_stop", plan.trailing_stop))
    for name, level in named:
        if level is not None and not level.sane:
            text = f"{name} {level} must be above zero, below 10^15, and a percentage below 100."
            return Denial(Reason.BAD_PRICE, text)
    hold = plan.hold_seconds
    if hold is not None and not 0 < hold <= LONGEST_HOLD:
        return Denial(Reason.BAD_QUANTITY, f"hold_seconds {hold} must be from 1 to {LONGEST_HOLD}.")
    needs = Can.LIMIT if plan.take_profit is not None else Can(0)
    if hold is not None or held_here(plan, can):
        needs |= Can.MARKET
    if needs & ~can:
        words = ", ".join(each.name or "" for each in needs & ~can)
        return Denial(Reason.UNSUPPORTED, f"The venue takes no {words} orders, which these exits would be.")
    return None


def check_levels(
    request: OrderRequest, instrument: Instrument, quote: Quote | None, held: bool = False
) -> Denial | None:
    """Whether the exits lie on the right side of where the entry will be filled, as well as can be known before.

    Of a position that is `held` already: of where it could be left now.
    """
    plan, tick = request.exits, instrument.tick_size
    entry = _exit_price(request.side, quote) if held else _entry_price(request, quote)
    if plan is None or entry is None:
        return None
    up = request.side is Side.BUY
    for name, level, above in (("take_profit", plan.take_profit, up), ("stop_loss", plan.stop_loss, not up)):
        if level is None:
            continue
        if level.unit is Unit.PRICE:
            if tick and level.value % tick:
                text = f"{request.symbol} is priced in steps of {tick:f}: {name} {level} is not one."
                return Denial(Reason.BAD_TICK, text)
            if level.value <= entry if above else level.value >= entry:
                word, what = "above" if above else "below", "the market's price" if held else "its price"
                text = f"The {name} of a {request.side} must be {word} {what}, about {entry:f}: {level} is not."
                return Denial(Reason.BAD_PRICE, text)
        elif not above and level.distance(entry) >= entry:
            return Denial(Reason.BAD_PRICE, f"The {name} is {level} of a price of about {entry:f}: nothing is there.")
    trail = plan.trailing_stop
    if trail is not None and up and trail.distance(entry) >= entry:
        return Denial(Reason.BAD_PRICE, f"The trailing_stop is {trail} of a price of about {entry:f}: too far.")
    return None


def check_entered(order: Order, plan: ExitPlan, instrument: Instrument, quote: Quote | None) -> Denial | None:
    """The same of an order that was sent before: by its own price while it waits, and the market's once it is held."""
    entry = OrderRequest(
        account=order.account, symbol=order.symbol, side=order.side, quantity=order.quantity, exits=plan
    )
    if _is_held(order):
        return check_levels(entry, instrument, quote, held=True)
    entry = replace(entry, order_type=order.order_type, limit_price=order.limit_price, stop_price=order.stop_price)
    return check_levels(entry, instrument, quote)


def check_moved(
    order: Order,
    request: OrderRequest,
    family: Family | None,
    entry: Order | None,
    instrument: Instrument,
    quote: Quote | None,
) -> Denial | None:
    """Whether an order whose price is to move leaves exits on the right side: its own, or itself where it is one.

    A stop that the market has passed protects nothing: it would close the position at once. A profit that is moved to
    the market is taken now, at no worse than its price.
    """
    if family is None or (request.limit_price, request.stop_price) == (order.limit_price, order.stop_price):
        return None
    if order.leg is None:
        over = family.closing or family.ended
        return None if over else check_levels(replace(request, exits=_as_it_stands(family)), instrument, quote)
    waits = entry is not None and not _is_held(entry)
    if order.leg is Leg.STOP_LOSS and request.stop_price is not None:
        plan = ExitPlan(stop_loss=Level(request.stop_price))
    elif order.leg is Leg.TAKE_PROFIT and request.limit_price is not None and waits:
        plan = ExitPlan(take_profit=Level(request.limit_price))
    else:
        return None
    if entry is not None:
        return check_entered(entry, plan, instrument, quote)
    held = replace(request, side=family.side, exits=plan)
    return check_levels(held, instrument, quote, held=True)


def _is_held(entry: Order) -> bool:
    return entry.status in CLOSED or entry.filled_quantity > 0


def _as_it_stands(family: Family) -> ExitPlan:
    """A family's plan without the legs that were given up, and with the prices that a person set."""
    plan = family.plan
    for leg in (Leg.STOP_LOSS, Leg.TAKE_PROFIT):
        if leg not in family.given_up and leg not in family.by_hand:
            continue
        price = None if leg in family.given_up else family.prices.get(leg)
        level = None if price is None else Level(price)
        if leg is Leg.TAKE_PROFIT:
            plan = replace(plan, take_profit=level)
        else:
            plan = replace(plan, stop_loss=level, trailing_stop=None)
    return plan


def _exit_price(side: Side, quote: Quote | None) -> Decimal | None:
    """Where a position that was entered by this side could be left; None where the market does not show it."""
    shown = ZERO if quote is None else quote.bid if side is Side.BUY else quote.ask
    return shown if shown > 0 else None


def _entry_price(request: OrderRequest, quote: Quote | None) -> Decimal | None:
    """Where the entry will be filled: at its limit, or better where the market is; a stop not before its price."""
    own = reference_price(request, quote)
    shown = (quote.ask if request.side is Side.BUY else quote.bid) if quote is not None else ZERO
    if own is None or shown <= 0 or request.order_type is OrderType.MARKET:
        return own
    low = (request.side is Side.BUY) is (request.order_type is OrderType.LIMIT)
    return min(own, shown) if low else max(own, shown)
