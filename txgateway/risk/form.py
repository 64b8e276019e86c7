"""The checks of what an order says, and of the venue's trading rules."""

from __future__ import annotations

from decimal import Decimal

from txgateway.model.errors import Reason
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderRequest, OrderType, Side
from txgateway.risk.bounds import Bounds
from txgateway.risk.decision import Denial

ZERO = Decimal(0)
LARGEST = Decimal(10) ** 15
"""No honest quantity or price is beyond this: a typing error or an attack is."""


def check_form(request: OrderRequest) -> Denial | None:
    """What can be judged from the request alone: sizes, and prices that belong to its type."""
    if not _sane(request.quantity):
        return Denial(Reason.BAD_QUANTITY, f"Quantity {request.quantity} must be a number above zero, 1e15 at most.")
    for name, price, wanted in (
        ("limit_price", request.limit_price, request.order_type.has_limit),
        ("stop_price", request.stop_price, request.order_type.has_stop),
    ):
        if wanted and price is None:
            return Denial(Reason.BAD_PRICE, f"A {request.order_type} order needs a {name}.")
        if not wanted and price is not None:
            return Denial(Reason.BAD_PRICE, f"A {request.order_type} order takes no {name}: leave it out.")
        if price is not None and not _sane(price):
            return Denial(Reason.BAD_PRICE, f"{name} {price} must be a number above zero, 1e15 at most.")
    return None


def check_restricted(request: OrderRequest, bounds: Bounds) -> Denial | None:
    """Whether the symbol is traded at all."""
    if bounds.restricted is None:
        return None
    where = f"the restricted list of {bounds.restricted}"
    return Denial(
        Reason.RESTRICTED, f"{request.symbol} is on {where}: it is not traded until an administrator says so."
    )


def check_rules(request: OrderRequest, instrument: Instrument, quote: Quote | None) -> Denial | None:
    """The venue's trading rules for the instrument; what an order is worth only where there is a price."""
    symbol, quantity = request.symbol, request.quantity
    if request.side is Side.SELL_SHORT and not instrument.shortable:
        return Denial(
            Reason.NOT_SHORTABLE, f"{symbol} cannot be sold short at venue {instrument.venue}: SELL sells what is held."
        )
    if instrument.lot_size and quantity % instrument.lot_size:
        return Denial(Reason.BAD_LOT, f"{symbol} trades in steps of {instrument.lot_size:f}: {quantity:f} is not one.")
    if quantity < instrument.min_quantity:
        return Denial(
            Reason.QUANTITY_TOO_LOW, f"{symbol} trades from {instrument.min_quantity:f} up: {quantity:f} is less."
        )
    if instrument.max_quantity and quantity > instrument.max_quantity:
        text = f"{symbol} takes {instrument.max_quantity:f} an order at most: split it."
        return Denial(Reason.QUANTITY_TOO_HIGH, text)
    for name, price in (("limit_price", request.limit_price), ("stop_price", request.stop_price)):
        if price is not None and instrument.tick_size and price % instrument.tick_size:
            tick = f"{instrument.tick_size:f}"
            return Denial(Reason.BAD_TICK, f"{symbol} is priced in steps of {tick}: {name} {price:f} is not one.")
    price = reference_price(request, quote)
    if (
        instrument.min_notional
        and price is not None
        and price * quantity * instrument.multiplier < instrument.min_notional
    ):
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
