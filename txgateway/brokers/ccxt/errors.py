"""What an error of ccxt means for what was asked: that it surely was not done, or that nobody knows. Pure.

ccxt's classes are known by their names. An order call that ended in anything but the exchange's own word of refusal is
in doubt: a time-out, a broken connection, a server's failure, too many requests, an answer that cannot be read.
"""

from __future__ import annotations

import binascii
import re

from txgateway.model.errors import Reason

_SURE = (
    ("InsufficientFunds", Reason.INSUFFICIENT_FUNDS),
    ("OrderNotFound", Reason.NO_SUCH_ORDER),
    ("OrderNotCached", Reason.NO_SUCH_ORDER),
    ("OrderNotFillable", Reason.NOT_FILLABLE),
    ("BadSymbol", Reason.UNKNOWN_SYMBOL),
    ("MarketClosed", Reason.MARKET_CLOSED),
    ("NotSupported", Reason.UNSUPPORTED),
    ("InvalidOrder", Reason.REJECTED),
    ("AuthenticationError", Reason.REJECTED),
    ("BadRequest", Reason.REJECTED),
    ("ArgumentsRequired", Reason.REJECTED),
    ("InvalidNonce", Reason.REJECTED),
    ("OperationRejected", Reason.REJECTED),
)
"""Refusals, and their codes. An id that is taken already may be our own order's: that is doubt."""
_DOUBT = frozenset({"NetworkError", "DuplicateOrderId", "BadResponse", "NullResponse"})
_TOO_MANY = frozenset({"DDoSProtection", "RateLimitExceeded"})
_HIDDEN = re.compile(
    r"(?<![A-Za-z])(signature|sign|api_?key|access_?key_?id|access_?key|listenKey|token|nonce|timestamp|recvWindow)=[^&\s]+&?",
    re.IGNORECASE,
)
_WORDS = (
    (re.compile(r"insufficient|not enough", re.IGNORECASE), Reason.INSUFFICIENT_FUNDS),
    (re.compile(r"NOTIONAL", re.IGNORECASE), Reason.MIN_NOTIONAL),
)


def names(error: BaseException) -> list[str]:
    """The names of an error's classes, the nearest first."""
    return [each.__name__ for each in type(error).__mro__]


def is_of_ccxt(error: BaseException) -> bool:
    """Whether ccxt raised it."""
    return "BaseError" in names(error)


def is_of_a_link(error: BaseException) -> bool:
    """Whether it is of the exchange or the way to it, and not of our own making."""
    return is_of_ccxt(error) or isinstance(error, OSError | TimeoutError)


def refusal(error: BaseException, sure: re.Pattern[str] | None = None) -> Reason | None:
    """Why the exchange refused, where it surely did; None is doubt.

    `sure`: what in its words says, by its document, that an order was not placed.
    """
    found = set(names(error))
    if "DuplicateOrderId" in found:
        return None
    said_so = sure is not None and "BaseError" in found and sure.search(str(error)) is not None
    if found & _DOUBT and "InvalidNonce" not in found and not said_so:
        return None
    reason = next((reason for name, reason in _SURE if name in found), Reason.REJECTED if said_so else None)
    if reason is Reason.REJECTED:
        reason = next((better for words, better in _WORDS if words.search(str(error))), reason)
    return reason


def not_found(error: BaseException, absent: re.Pattern[str] | None = None) -> bool:
    """Whether the exchange itself said that there is no such order; `absent` are words of its for that."""
    if "OrderNotFound" in names(error):
        return True
    return absent is not None and is_of_ccxt(error) and absent.search(str(error)) is not None


def rate_limited(error: BaseException) -> bool:
    """Whether it said that there were too many requests."""
    return bool(_TOO_MANY & set(names(error)))


def timed_out(error: BaseException) -> bool:
    """Whether no answer came in time."""
    return "RequestTimeout" in names(error) or isinstance(error, TimeoutError)


def is_of_time(error: BaseException) -> bool:
    """Whether a wrong clock may be why it was refused."""
    found = names(error)
    return "InvalidNonce" in found or "AuthenticationError" in found


def of_the_secret(error: BaseException) -> bool:
    """Whether nothing could be signed, for the secret is no base64 or no private key."""
    if isinstance(error, ValueError):
        return isinstance(error, binascii.Error) or any(words in str(error) for words in ("PEM", "key data"))
    return is_of_ccxt(error) and "invalid base64 secret" in str(error)


def http_refusal(error: BaseException) -> str:
    """The HTTP status by which it was refused, such as `404 Not Found`, where ccxt knows no more of it; else empty."""
    found = re.match(r"\w+ [A-Z]+ \S+ (4\d\d [A-Za-z' -]*[A-Za-z])", str(error)) if is_of_ccxt(error) else None
    return found[1] if found is not None and not timed_out(error) and not rate_limited(error) else ""


def is_answer(error: BaseException) -> bool:
    """Whether the exchange itself said no, in whatever class ccxt has for it."""
    found = names(error)
    said = "ExchangeError" in found or "InvalidNonce" in found
    return (said and "NotSent" not in found) or bool(http_refusal(error))


def is_over(error: BaseException) -> bool:
    """Whether what it ended can arrive no more: too many requests were answered, or as much time as it had is over.

    An exchange that says itself that it has timed out may still be at it.
    """
    return rate_limited(error) or (timed_out(error) and '"code"' not in str(error))


def sentence(error: BaseException) -> str:
    """What it says, short, without the signature and keys that an address may carry."""
    text = " ".join(str(error).split())
    text = re.sub(_HIDDEN, "", text)
    return (text[:300] or type(error).__name__).rstrip(". ")
