"""The credential's own bounds: what its holder may trade, and for how much."""

from __future__ import annotations

from decimal import Decimal

from txgateway.model.errors import Reason
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote
from txgateway.model.order import OrderRequest
from txgateway.model.rights import Grant
from txgateway.risk.decision import Denial


def check_grant(request: OrderRequest, grant: Grant) -> Denial | None:
    """What needs no price: its symbols."""
    if grant.symbols is None or request.symbol in grant.symbols:
        return None
    only = ", ".join(grant.symbols)
    return Denial(Reason.NOT_ALLOWED, f"This login may not trade {request.symbol}, only {only}: an admin can grant it.")


def check_worth(request: OrderRequest, instrument: Instrument, quote: Quote | None, grant: Grant) -> Denial | None:
    """What one order may be worth."""
    if grant.max_notional is None:
        return None
    price = _most(request, quote)
    worth = None if price is None else price * request.quantity * instrument.multiplier
    if worth is not None and worth <= grant.max_notional:
        return None
    shown = "of unknown worth" if worth is None else f"worth {worth:f} {instrument.currency}"
    most = f"{grant.max_notional:f}"
    return Denial(Reason.NOT_ALLOWED, f"This login may send orders worth {most} at most, and this one is {shown}.")


def _most(request: OrderRequest, quote: Quote | None) -> Decimal | None:
    """The most that one unit can turn over: a sale, or a stop, may trade well above the price it names."""
    if request.limit_price is not None and request.side.sign > 0:
        return request.limit_price
    market = None if quote is None else max(quote.bid, quote.ask)
    if not market:
        return None
    return max(market, request.limit_price or Decimal(0), request.stop_price or Decimal(0))
