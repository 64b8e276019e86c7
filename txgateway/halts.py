"""What passes while a scope is halted: an order, the halts, the position -> a denial or None. Pure."""

from __future__ import annotations

from decimal import Decimal

from txgateway.model.errors import Reason
from txgateway.model.halts import Halt
from txgateway.model.order import AT_BROKER, Order, Origin, Side
from txgateway.model.scope import Subject, scopes_of
from txgateway.risk import Denial
from txgateway.state import State

ZERO = Decimal(0)


def in_force(state: State, subject: Subject, is_exit: bool = False) -> Halt | None:
    """The strictest halt that covers a subject (or an exit of it), the widest among equals; None lets it trade."""
    if not state.halts:
        return None
    found = [state.halts[scope] for scope in scopes_of(subject) if scope in state.halts]
    return next((halt for halt in found if not halt.passes(is_exit)), found[0] if found else None)


def check_order(
    state: State,
    subject: Subject,
    side: Side,
    quantity: Decimal,
    order_id: str = "",
    bond: str = "",
    is_exit: bool = False,
) -> Denial | None:
    """Whether so much may be sent; `order_id` is its own id, when the state has it already.

    A flatten's own orders pass whatever is halted, and never for more than is held. Orders with one `bond` (exits of
    one entry, an oco group) end as one of them is filled: they count once. An exit of a position that is held passes
    the halt of an execution budget: what protects an owner's positions is not what has run away.
    """
    if subject.origin is Origin.FLATTEN:
        held, room = _room(state, subject, side, order_id, bond)
        text = f"{subject.account} holds {held:f} {subject.symbol} by now: a closing order of {quantity:f} is too much."
        return None if quantity <= room else Denial(Reason.REDUCE_ONLY, text)
    halt = in_force(state, subject, is_exit)
    if halt is None:
        return None
    if not halt.passes(is_exit):
        return _halted(halt)
    held, room = _room(state, subject, side, order_id, bond)
    return None if quantity <= room else _reduce_only(halt, subject, held, room)


def check_replace(
    state: State,
    order: Order,
    quantity: Decimal | None,
    limit: Decimal | None,
    stop: Decimal | None,
    by_keeper: bool = False,
) -> Denial | None:
    """Whether an order's terms may become these: while only what reduces passes, an order may never grow, and its
    prices may change when it is one that reduces. One with a bond may shrink always: that is part of a cancel. An exit
    may be made by its keeper as large as its position, and follow it."""
    subject = Subject.of(order)
    is_exit = by_keeper and order.leg is not None
    halt = in_force(state, subject, is_exit)
    if halt is None:
        return None
    if order.bond and quantity is not None and quantity < order.quantity and limit is None and stop is None:
        return None
    if not halt.passes(is_exit):
        return _halted(halt)
    grows = quantity is not None and quantity > order.quantity
    if grows and not is_exit:
        text = (
            f"Only what reduces a position passes{halt.where} ({halt.text}): an order may be made smaller, not larger."
        )
        return Denial(Reason.REDUCE_ONLY, text)
    if not grows and (limit is None or limit == order.limit_price) and (stop is None or stop == order.stop_price):
        return None
    held, room = _room(state, subject, order.side, order.order_id, order.bond)
    leaves = (order.quantity if quantity is None else quantity) - order.filled_quantity
    return None if leaves <= room else _reduce_only(halt, subject, held, room)


def _room(state: State, subject: Subject, side: Side, order_id: str, bond: str) -> tuple[Decimal, Decimal]:
    """The position, and how much of it may go by this side: what other working orders may take away is counted."""
    position = state.positions.get(subject.account, {}).get(subject.symbol)
    held = position.quantity if position is not None else ZERO
    if held * side.sign >= 0:
        return held, ZERO
    taken: dict[str, Decimal] = {}
    for order in state.working.values():
        same = order.account == subject.account and order.symbol == subject.symbol and order.side.sign == side.sign
        if same and order.status in AT_BROKER and order.order_id != order_id and (not bond or order.bond != bond):
            leaves = max(order.quantity, order.asked_quantity or ZERO) - order.filled_quantity
            key = order.bond or order.order_id
            taken[key] = max(leaves, taken.get(key, ZERO))
    return held, max(abs(held) - sum(taken.values(), ZERO), ZERO)


def _halted(halt: Halt) -> Denial:
    return Denial(Reason.HALTED, f"Trading is halted{halt.where} ({halt.text}): resume it first.")


def _reduce_only(halt: Halt, subject: Subject, held: Decimal, room: Decimal) -> Denial:
    what = f"{subject.account} holds {held:f} {subject.symbol}, of which {room:f} may still go this way"
    text = f"Only what reduces a position passes{halt.where} ({halt.text}): {what}."
    return Denial(Reason.REDUCE_ONLY, text)
