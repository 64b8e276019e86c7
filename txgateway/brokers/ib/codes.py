"""What TWS's error codes mean. Pure."""

from __future__ import annotations

from txgateway.model.errors import Reason

CLIENT_ID_IN_USE = 326
RATE_LIMIT = 100
ORDER_CANCELED = 202
NOTHING_FOUND = frozenset({162, 200, 366})
"""For a question: the contract, or what is asked of it, is not there; 162 says other things too, see `no_data`."""
NO_CONTRACT = 200

NEVER_PRICES = frozenset({200, 321, 354, 10089, 10168})
"""There will be no prices, however often they are asked for: no such contract, or no subscription to its data."""

LOST, BACK_EMPTY, BACK = 1100, 1101, 1102
"""TWS lost its own link to IB; it is back and forgot what was subscribed; it is back with everything."""
FARM_BROKEN = frozenset({2103, 2105, 2157})
FARM_FINE = frozenset({2104, 2106, 2158})
FINE = FARM_FINE | {2107, 2108, 2119}
"""Notices that nothing is wrong: a farm is connected, is being connected, or will be when it is needed."""

CANCEL_REFUSED = {
    135: Reason.NO_SUCH_ORDER,
    136: Reason.TOO_LATE,
    161: Reason.TOO_LATE,
    10147: Reason.NO_SUCH_ORDER,
    10148: Reason.TOO_LATE,
}
"""Answers to a cancel that cannot be."""

TOLD = frozenset({ORDER_CANCELED, *CANCEL_REFUSED})
"""Of one of our orders: what becomes of it is told by its events."""

_INFORMATIONAL = frozenset({105, 165, 399, 404, 10349, 10167, 10090, 10185, 10311, 10331, 10358})


def informs(code: int) -> bool:
    """Whether a message, though it comes as an error of an order or a subscription, ends nothing.

    10349 (the time in force was set by a preset) and 399 (the order waits for the market to open) look like an end.
    """
    return code in _INFORMATIONAL or 2100 <= code < 2200


def no_data(code: int, text: str) -> bool:
    """Whether a refused historical question means that there is nothing, rather than that it may not be asked now."""
    return code in (NO_CONTRACT, 366) or (code == 162 and "no data" in text.lower())


_WORDS = (
    ("not available for short", Reason.NOT_SHORTABLE),
    ("short sale", Reason.NOT_SHORTABLE),
    ("insufficient", Reason.INSUFFICIENT_FUNDS),
    ("available funds", Reason.INSUFFICIENT_FUNDS),
    ("buying power", Reason.INSUFFICIENT_FUNDS),
    ("equity with loan", Reason.INSUFFICIENT_FUNDS),
    ("minimum price variation", Reason.BAD_TICK),
    ("exchange is closed", Reason.MARKET_CLOSED),
    ("market is closed", Reason.MARKET_CLOSED),
)


def reason(code: int, text: str) -> Reason:
    """The reason code for the words with which an order was refused."""
    if code == NO_CONTRACT:
        return Reason.UNKNOWN_SYMBOL
    words = text.lower()
    return next((found for word, found in _WORDS if word in words), Reason.REJECTED)
