"""Every way a command can fail, as types; and the reason codes a refusal may carry."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an order was refused, rejected, doubted or closed: the code that goes with each sentence."""

    # ours: the order was DENIED and nothing was sent
    KEY_CONFLICT = "KEY_CONFLICT"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    UNKNOWN_VENUE = "UNKNOWN_VENUE"
    UNKNOWN_ROUTE = "UNKNOWN_ROUTE"
    NO_PRICE = "NO_PRICE"
    BAD_QUANTITY = "BAD_QUANTITY"
    BAD_PRICE = "BAD_PRICE"
    BAD_LOT = "BAD_LOT"
    BAD_TICK = "BAD_TICK"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    UNSUPPORTED = "UNSUPPORTED"
    VENUE_DOWN = "VENUE_DOWN"
    HALTED = "HALTED"
    STOPPING = "STOPPING"
    JOURNAL_FAILED = "JOURNAL_FAILED"
    NOT_WORKING = "NOT_WORKING"
    NOT_A_TICKET = "NOT_A_TICKET"
    # the broker's
    REJECTED = "REJECTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    NOT_SHORTABLE = "NOT_SHORTABLE"
    NOT_FILLABLE = "NOT_FILLABLE"
    TOO_LATE = "TOO_LATE"
    NO_SUCH_ORDER = "NO_SUCH_ORDER"
    # doubt, and the end of doubt
    TIMEOUT = "TIMEOUT"
    LINK_LOST = "LINK_LOST"
    BROKER_ERROR = "BROKER_ERROR"
    RESTARTED = "RESTARTED"
    NEVER_ARRIVED = "NEVER_ARRIVED"
    # a person's
    USER = "USER"
    TICKET_REJECTED = "TICKET_REJECTED"


class GatewayError(Exception):
    """Base of every error whose text may be shown to a user: one sentence, what, where, what to do."""


class BadArgument(GatewayError):
    """An argument is missing, unknown or cannot be read as its type (HTTP 400, JSON-RPC -32602)."""


class Refused(GatewayError):
    """A well-formed command that we or the broker will not carry out, with its reason code."""

    def __init__(self, reason: Reason, text: str, order_id: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.order_id = order_id


class NotUp(GatewayError):
    """The venue has not finished starting (HTTP 503, JSON-RPC -32000)."""


class NotAllowed(GatewayError):
    """The caller's credential does not reach this command (HTTP 403)."""


class Ambiguous(GatewayError):
    """The broker may or may not have done it: the order is UNKNOWN until evidence comes."""


class TimedOut(GatewayError):
    """A venue did not answer a question in time (HTTP 504, JSON-RPC -32004); nothing was changed by asking."""


class Unsupported(GatewayError):
    """This broker cannot do that: its flags say so."""


class JournalError(GatewayError):
    """The journal cannot be opened, upgraded, read or written."""
