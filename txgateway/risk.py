"""The pre-trade checks, cheap to dear: an order, the rules, the market -> a denial or None. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from txgateway.model.errors import Reason
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderRequest, OrderType

ZERO = Decimal(0)
LARGEST = Decimal(10) ** 15
"""No honest quantity or price is beyond this: a typing error or an attack is."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal: its code, and one sentence that says what, where and what to do."""

    reason: Reason
    text: str


def check_form(request: OrderRequest) -> Denial | None:
    """What can be judged from the request alone: sizes, and prices that belong to its type."""
    if not _sane(request.quantity):
        return Denial(Reason.BAD_QUANTITY, f"Quantity {request.quantity} must be a number above zero.")
    for name, price, wanted in (
        ("limit_price", request.limit_price, request.order_type.has_limit),
        ("stop_price", request.stop_price, request.order_type.has_stop),
    ):
        if wanted and price is None:
            return Denial(Reason.BAD_PRICE, f"A {request.order_type} order needs a {name}.")
        if not wanted and price is not None:
            return Denial(Reason.BAD_PRICE, f"A {request.order_type} order takes no {name}: leave it out.")
        if price is not None and not _sane(price):
            return Denial(Reason.BAD_PRICE, f"{name} {price} must be a number above zero.")
    return None


def check_rules(request: OrderRequest, instrument: Instrument, quote: Quote | None) -> Denial | None:
    """The venue's trading rules for the instrument, and that there is a price to trade at."""
    symbol, quantity = request.symbol, request.quantity
    if instrument.lot_size and quantity % instrument.lot_size:
        return Denial(Reason.BAD_LOT, f"{symbol} trades in steps of {instrument.lot_size:f}: {quantity:f} is not one.")
    if quantity < instrument.min_quantity:
        return Denial(
            Reason.BAD_QUANTITY, f"{symbol} trades from {instrument.min_quantity:f} up: {quantity:f} is less."
        )
    if instrument.max_quantity and quantity > instrument.max_quantity:
        return Denial(Reason.BAD_QUANTITY, f"{symbol} takes {instrument.max_quantity:f} an order at most: split it.")
    for name, price in (("limit_price", request.limit_price), ("stop_price", request.stop_price)):
        if price is not None and instrument.tick_size and price % instrument.tick_size:
            tick = f"{instrument.tick_size:f}"
            return Denial(Reason.BAD_TICK, f"{symbol} is priced in steps of {tick}: {name} {price:f} is not one.")
    price = reference_price(request, quote)
    if price is None:
        return Denial(Reason.NO_PRICE, f"{symbol} has shown no price yet, so nothing can be judged: try again shortly.")
    if instrument.min_notional and price * quantity * instrument.multiplier < instrument.min_notional:
        least = f"{instrument.min_notional:f} {instrument.currency}"
        return Denial(Reason.MIN_NOTIONAL, f"{symbol} takes orders worth {least} or more: raise the quantity.")
    return None


def check_replace(order: Order, quantity: Decimal | None, limit: Decimal | None, stop: Decimal | None) -> Denial | None:
    """Whether an order's terms may be asked to become these (None: as they are)."""
    if quantity is None and limit is None and stop is None:
        return Denial(Reason.BAD_QUANTITY, "Nothing to replace: give a quantity, a limit_price or a stop_price.")
    if quantity is not None and quantity <= order.filled_quantity:
        filled = f"{order.filled_quantity:f}"
        return Denial(Reason.BAD_QUANTITY, f"{filled} are filled already: a new quantity must be above it, or cancel.")
    return None


def reference_price(request: OrderRequest, quote: Quote | None) -> Decimal | None:
    """What one unit will cost or bring, as well as can be known before: its own price, else the market's."""
    if request.order_type is not OrderType.MARKET:
        return request.limit_price or request.stop_price
    if quote is None:
        return None
    price = quote.ask if request.side.sign > 0 else quote.bid
    return price if price > 0 else quote.bid if quote.bid > 0 else quote.ask if quote.ask > 0 else None


def _sane(number: Decimal) -> bool:
    return number.is_finite() and ZERO < number < LARGEST
