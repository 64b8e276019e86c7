"""What differs between us and the brokers, as it is kept: found once, told again only when its figures change, more
severe with age, and gone when it is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from txgateway.keys import broker_key
from txgateway.ledger import Ledger
from txgateway.model.difference import Difference, Key, What
from txgateway.model.events import DifferenceFound, DifferenceRaised, DifferenceResolved, Severity
from txgateway.model.order import OrderStatus

_SCALE = tuple(Severity)


def worse(severity: Severity) -> Severity:
    """The next severity up; CRITICAL is the last."""
    return _SCALE[min(_SCALE.index(severity) + 1, len(_SCALE) - 1)]


class Differences:
    """The one way in which differences are recorded."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], raise_seconds: float = 0) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._clock = clock
        self._raise_seconds = raise_seconds
        self._seen: dict[Key, datetime] = {}

    def open(self, venue: str = "") -> list[Difference]:
        """Those of a venue (of all) that are open."""
        return [each for each in self._state.differences.values() if venue in ("", each.venue)]

    def is_open(self, key: Key, ours: str, theirs: str) -> bool:
        """Whether a difference is open with these figures."""
        known = self._state.differences.get(key)
        return known is not None and (known.ours, known.theirs) == (ours, theirs)

    def seen(self, difference: Difference) -> datetime:
        """When it was last seen: by this daemon, or when it was last told of."""
        return self._seen.get(difference.name, difference.risen)

    def found(self, key: Key, ours: str, theirs: str, severity: Severity) -> None:
        """A difference is there (still, or with other figures)."""
        now = self._clock()
        self._seen[key] = now
        known = self._state.differences.get(key)
        if known is not None:
            if (known.ours, known.theirs) == (ours, theirs):
                return
            severity = max(severity, known.severity, key=_SCALE.index)
        found = known.found if known else None
        venue, account, what, name = key
        self._ledger.record(DifferenceFound(venue, account, what, name, ours, theirs, severity, now, found))

    def gone(self, key: Key, text: str, by: str = "") -> bool:
        """A difference is not there any more; False when it never was."""
        known = self._state.differences.get(key)
        self._seen.pop(key, None)
        if known is None:
            return False
        figures = (*key, known.ours, known.theirs, known.severity, known.found)
        self._ledger.record(DifferenceResolved(*figures, text, self._clock(), by))
        return True

    def followed(self, key: Key, ours: str, theirs: str, severity: Severity, text: str) -> None:
        """A difference was there, and we have followed the broker's word."""
        self.found(key, ours, theirs, severity)
        self.gone(key, text)

    def watch(self) -> None:
        """Each second: what has been open for long rises, and what has settled itself is gone."""
        if not self._state.differences:
            return
        now = self._clock()
        for each in list(self._state.differences.values()):
            settled = self._settled(each)
            if settled:
                self.gone(each.name, settled)
            elif self._is_due(each, now):
                figures = (*each.name, each.ours, each.theirs, worse(each.severity), each.found)
                self._ledger.record(DifferenceRaised(*figures, now))

    def _is_due(self, difference: Difference, now: datetime) -> bool:
        if difference.what == What.BALANCE:  # a deposit, interest or a fee that nobody has looked into is no emergency
            return False
        age = (now - difference.risen).total_seconds()
        return 0 < self._raise_seconds <= age and difference.severity is not Severity.CRITICAL

    def _settled(self, difference: Difference) -> str:
        """How a difference over an order has ended by what became of the order; empty while it has not."""
        if difference.what == What.BROKER_ORDER_ID:
            shared = broker_key(difference.venue, difference.key) in self._state.shared
            return "" if shared else "It is one order's alone now."
        if difference.what not in (What.MISSING_ORDER, What.OVER_FILL):
            return ""
        order = self._state.order(difference.key)
        if order is None:
            return ""
        if difference.what == What.OVER_FILL:
            enough = order.filled_quantity <= order.quantity
            return f"The order's quantity is now {order.quantity:f}." if enough else ""
        return "" if order.status is OrderStatus.UNKNOWN else f"The order is {order.status} now."
