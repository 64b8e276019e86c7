"""The checks by the market's price: is it fresh, is the order's own near it, how much money is it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytz

from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Quote, Trade
from txgateway.model.order import OrderRequest, OrderType

ZERO = Decimal(0)
LEAST_TICKS = 5
"""A collar is never narrower than this: a fraction of a very low price is less than a tick."""
RECENT = timedelta(seconds=60)
"""A trade that is older than this against the quote says nothing of what is fair now."""


def is_open(session: Session | None, now: datetime) -> bool:
    """Whether a moment is within an instrument's own hours; holidays are the broker's to know."""
    if session is None or session.always:
        return True
    local = now.astimezone(pytz.timezone(session.timezone))
    if session.open > session.close:
        return not session.close <= local.time() < session.open
    return local.weekday() < 5 and session.open <= local.time() < session.close


def touch(sign: int, quote: Quote) -> Decimal | None:
    """What a market order would meet: the ask for a buy, the bid for a sell; else what the market shows at all."""
    near, far = (quote.bid, quote.ask) if sign > 0 else (quote.ask, quote.bid)
    return far if far > 0 else near if near > 0 else None


def worst_price(request: OrderRequest, quote: Quote) -> Decimal | None:
    """What a unit may cost or bring at most: a limit bounds a buy, nothing bounds what a sell may bring."""
    shown = touch(request.side.sign, quote)
    own = request.limit_price if request.limit_price is not None else request.stop_price
    if own is None:
        return shown
    if request.side.sign > 0 and request.limit_price is not None:
        return own
    return own if shown is None else max(own, shown)


def beyond_market(
    request: OrderRequest, instrument: Instrument, quote: Quote, last: Trade | None
) -> tuple[Decimal, Decimal, str] | None:
    """How far the order reaches beyond the market on its bad side, as a fraction; the price, and beyond what.

    None where it does not. A limit is held against the touch, a stop-limit against its own stop price, and a market
    order by the touch against the last trade, or the middle where that is old. A stop waits, and is not judged until
    the market is there: one that would be triggered at once is a market order.
    """
    sign, shown = request.side.sign, touch(request.side.sign, quote)
    if request.order_type is OrderType.STOP_LIMIT:
        price, against, name = request.limit_price, request.stop_price, "its stop price"
    elif request.order_type is OrderType.LIMIT:
        price, against, name = request.limit_price, shown, "the market"
    elif not _takes_the_touch(request, shown):
        return None
    else:
        price, against, name = shown, _fair(quote, last), "the last price"
    if price is None or not against:
        return None
    excess = sign * (price - against)
    if excess <= LEAST_TICKS * instrument.tick_size:
        return None
    return excess / against, price, f"{name} {against:f}"


def is_blind(request: OrderRequest, quote: Quote, last: Trade | None) -> bool:
    """Whether an order would trade at the touch, and nothing tells what is fair: one side is shown, and no trade."""
    return _takes_the_touch(request, touch(request.side.sign, quote)) and _fair(quote, last) is None


def _takes_the_touch(request: OrderRequest, shown: Decimal | None) -> bool:
    """Whether an order trades at once at whatever is shown: a market order, or a stop that the market has reached."""
    if request.limit_price is not None:
        return False
    return request.stop_price is None or (shown is not None and request.side.sign * (request.stop_price - shown) <= 0)


def _fair(quote: Quote, last: Trade | None) -> Decimal | None:
    """The last trade, or the middle where that is old; where there is none, the old trade is better than nothing."""
    traded = last.price if last is not None and last.price > 0 else None
    if traded is not None and last is not None and quote.time - last.time <= RECENT:
        return traded
    return (quote.bid + quote.ask) / 2 if quote.bid > 0 and quote.ask > 0 else traded
