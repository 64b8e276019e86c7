"""A difference between our words and a broker's: shown while it lasts, with its age, and never silently mended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from txgateway.model.events import DifferenceFound, DifferenceRaised, DifferenceResolved, Severity


class What(StrEnum):
    """What a difference is about; its `key` is the id of our order, the symbol, the currency, or the broker's id."""

    POSITION = "position"
    """Our executions add up to another position than the broker holds."""
    BALANCE = "balance"
    """The cash of an account, in the currency that is the key, has moved by something else than our executions."""
    ORDER_STATUS = "order_status"
    """An order stood here as something that it no longer was there; it has been brought to the broker's word."""
    ORDER_TERMS = "order_terms"
    """An order's quantity or prices were changed at the broker by somebody else; they have been taken over."""
    FILLED_QUANTITY = "filled_quantity"
    """The broker has filled more or less of an order than the executions that it tells of."""
    OVER_FILL = "over_fill"
    """More of an order was executed than was ordered."""
    MISSING_ORDER = "missing_order"
    """The broker held an order of ours, and holds and remembers it no longer."""
    UNKNOWN_ORDER = "unknown_order"
    """The broker holds an order that we did not send."""
    EXECUTION = "execution"
    """An execution came again with other figures, or names an order that it cannot belong to."""
    BROKER_ORDER_ID = "broker_order_id"
    """The broker gave an order the id of another order of ours."""
    EXITS = "exits"
    """More of an entry was left by its exits than was filled: both were filled at once. The excess is taken back."""
    OCO = "oco"
    """More of an oco group was filled than its largest order: two were filled at once."""
    RECONCILIATION = "reconciliation"
    """The broker could not be asked, so nothing is known."""


NO_SUCH_ORDER = "no such order"
"""The broker's side of a MISSING_ORDER where it has searched its whole history, and not only what works."""
Key = tuple[str, str, str, str]
"""What makes a difference one and the same: venue, account, what, key."""
_Event = DifferenceFound | DifferenceRaised | DifferenceResolved


def key_of(event: _Event) -> Key:
    """The key of the difference that an event is about."""
    return event.venue, event.account, event.what, event.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: `found` first, `risen` last to its severity, `resolved` with a word how, if it is gone."""

    venue: str
    account: str
    what: str
    key: str
    ours: str
    theirs: str
    severity: Severity
    found: datetime
    risen: datetime
    seq: int
    resolved: datetime | None = None
    text: str = ""

    @property
    def name(self) -> Key:
        """Its key."""
        return self.venue, self.account, self.what, self.key
