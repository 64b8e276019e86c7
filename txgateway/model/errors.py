"""Every way a command can fail, as types; and the reason codes a refusal may carry."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an order was refused, rejected, doubted or closed: a code, and what it means (README has all)."""

    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> Reason:
        """A code with its sentence."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # ours: nothing was sent
    KEY_CONFLICT = "KEY_CONFLICT", "The client_order_id already stands for another order."
    NOT_ALLOWED = "NOT_ALLOWED", "The user or token may not trade this account or symbol, or not for so much."
    NAME_TAKEN = "NAME_TAKEN", "A user or a token has this name already, or there are too many tokens."
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT", "No venue here trades this account."
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL", "The venue does not know this symbol."
    UNKNOWN_VENUE = "UNKNOWN_VENUE", "The symbol names a venue that the account does not trade at."
    BAD_QUANTITY = "BAD_QUANTITY", "The quantity is no number above zero, or not above what is filled already."
    QUANTITY_TOO_LOW = "QUANTITY_TOO_LOW", "The quantity is less than the instrument's least, or comes to nothing."
    QUANTITY_TOO_HIGH = "QUANTITY_TOO_HIGH", "The quantity is more than one order of the instrument may have."
    BAD_PRICE = (
        "BAD_PRICE",
        "A price is missing, does not belong to the order, is no number above zero, or is an exit's on the wrong side.",
    )
    BAD_LOT = "BAD_LOT", "The quantity is no multiple of the instrument's lot."
    BAD_TICK = "BAD_TICK", "A price is no multiple of the instrument's tick."
    MIN_NOTIONAL = "MIN_NOTIONAL", "The order is worth less than the venue takes."
    UNSUPPORTED = "UNSUPPORTED", "The venue does not know this type of order or time in force, or cannot do that."
    VENUE_DOWN = "VENUE_DOWN", "The venue is not connected and reconciled."
    VENUE_FAILED = "VENUE_FAILED", "The venue's broker made an error over a question: nothing was done."
    HALTED = "HALTED", "Trading is halted until a person resumes it."
    REDUCE_ONLY = "REDUCE_ONLY", "Trading is halted but for what reduces a position, and this does not."
    STOPPING = "STOPPING", "The gateway is shutting down."
    JOURNAL_FAILED = "JOURNAL_FAILED", "The journal cannot be written, so nothing is sent; cancels still go."
    NOT_WORKING = "NOT_WORKING", "The order is closed, or in a state in which this cannot be asked."
    NOT_A_TICKET = "NOT_A_TICKET", "The order is no ticket that waits for a person."
    OCO_FILLED = "OCO_FILLED", "One of the order's oco group was filled already: there is nothing left for it to do."
    NO_PRICE = "NO_PRICE", "The market has shown no price to judge the order by."
    APPROVAL_NEEDED = "APPROVAL_NEEDED", "The order is above approval_notional: as a ticket it waits for a person."
    TICKET_EXPIRED = "TICKET_EXPIRED", "Nobody approved the ticket in time."
    FOUR_EYES = "FOUR_EYES", "Another than its sender must approve the ticket."
    # ours, by a limit: query_risk shows them
    RESTRICTED = "RESTRICTED", "The symbol is on a list of those that are not traded (`restricted`)."
    DUPLICATE = (
        "DUPLICATE",
        "The very same order, without a client_order_id, has just been sent (`duplicate_window`).",
    )
    ORDER_RATE = "ORDER_RATE", "Too many orders in one second (`order_rate`)."
    MAX_QUANTITY = "MAX_QUANTITY", "More units than one order may have (`max_quantity`)."
    STALE_PRICE = "STALE_PRICE", "The market's last quote is too old to judge the order by (`reference_age`)."
    PRICE_COLLAR = "PRICE_COLLAR", "The price is too far on the bad side of the market (`price_collar`)."
    MAX_NOTIONAL = "MAX_NOTIONAL", "The order comes to more money than one may (`max_notional`)."
    MAX_POSITION = "MAX_POSITION", "The position, with all that works, would become too large (`max_position`)."
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE", "All positions together would become too large (`max_gross_exposure`)."
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS", "Too much was lost today: only orders that reduce are taken (`max_daily_loss`)."
    # a signal's
    BAD_SIGNAL = "BAD_SIGNAL", "What was sent cannot be understood."
    STALE_SIGNAL = "STALE_SIGNAL", "The signal is older than its source, or it itself, allows (`max_age`)."
    POSITION_EXISTS = "POSITION_EXISTS", "The strategy has a position already, and may have one only."
    NO_POSITION = "NO_POSITION", "The strategy has no position to close."
    NO_SIZE = "NO_SIZE", "The signal and its source do not say how large the order is to be."
    UNFINISHED = "UNFINISHED", "Only a part of the signal could be carried out: its text says what."
    NO_SUCH_SIGNAL = "NO_SUCH_SIGNAL", "There is no such signal."
    NO_SUCH_SOURCE = "NO_SUCH_SOURCE", "No source has this name."
    NOT_CONNECTED = "NOT_CONNECTED", "The sender's service has not made the integration, or not answered."
    CONFIGURED = "CONFIGURED", "The source stands in the configuration, and is changed there."
    IN_USE = "IN_USE", "What is to be changed holds something, or orders or signals of it are under way."
    # the broker's
    REJECTED = "REJECTED", "The broker said no; its words are in the text."
    MARKET_CLOSED = (
        "MARKET_CLOSED",
        "The market is closed, by the broker's word or by the instrument's hours (`session_only`).",
    )
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS", "The account cannot pay for the order."
    NOT_SHORTABLE = "NOT_SHORTABLE", "The account or the instrument cannot be sold short."
    NOT_FILLABLE = (
        "NOT_FILLABLE",
        "The market does not show enough for a fill-or-kill order or the rest of an IOC.",
    )
    TOO_LATE = "TOO_LATE", "The order had ended before the cancel or replace came to the broker."
    NO_SUCH_ORDER = "NO_SUCH_ORDER", "There is no such order."
    NO_SUCH_DIFFERENCE = "NO_SUCH_DIFFERENCE", "No such difference is open."
    # doubt, and the end of doubt
    TIMEOUT = "TIMEOUT", "The broker did not answer in time: the order is UNKNOWN until it does."
    LINK_LOST = "LINK_LOST", "The connection broke with the order under way: it is UNKNOWN until the broker is asked."
    BROKER_ERROR = "BROKER_ERROR", "Sending failed in the middle: the order is UNKNOWN until the broker is asked."
    RESTARTED = (
        "RESTARTED",
        "The gateway was restarted over the order: it is UNKNOWN until the broker is asked.",
    )
    NEVER_ARRIVED = "NEVER_ARRIVED", "The broker's whole history was searched: the order was never there."
    MISSING = "MISSING", "The broker held the order, and shows and remembers it no longer: a person must find out."
    # a person's
    USER = "USER", "A person or a program ended the order."
    DISCONNECTED = "DISCONNECTED", "The stream connection that sent the order, and was to guard it, is gone."
    TIME_OVER = "TIME_OVER", "The order was not filled before the time that it was given was over (`good_till`)."
    FLATTENED = "FLATTENED", "A flatten of its scope ended the order."
    TICKET_REJECTED = "TICKET_REJECTED", "A person rejected the ticket."
    RESOLVED = "RESOLVED", "A person ended an order in doubt, having asked the broker."


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
    """The caller's credential does not reach this command (HTTP 403, JSON-RPC -32003)."""


class TooMany(GatewayError):
    """The caller sends more requests than it may: nothing was done (HTTP 429, JSON-RPC -32006)."""


class Ambiguous(GatewayError):
    """The broker may or may not have done it: the order is UNKNOWN until evidence comes."""


class TimedOut(GatewayError):
    """A venue did not answer a question in time (HTTP 504, JSON-RPC -32004); nothing was changed by asking."""


class Unsupported(GatewayError):
    """This broker cannot do that: its flags say so."""


class JournalError(GatewayError):
    """The journal cannot be opened, upgraded, read or written."""
