"""What the checks are given, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from txgateway.model.book import Holding
from txgateway.model.errors import Reason
from txgateway.model.instrument import Instrument
from txgateway.model.limits import Limit
from txgateway.model.market import Quote, Trade
from txgateway.model.order import Order
from txgateway.model.scope import Scope
from txgateway.risk.bounds import Bounds
from txgateway.risk.valuation import Total

NOTHING: Mapping[Scope, int] = {}


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal: its code, and one sentence that says what, where and what to do."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """A warn level that the order is above: it goes through, and this is told."""

    reason: Reason
    limit: Limit
    scope: Scope
    text: str


class Verdict(StrEnum):
    """What becomes of an order: it goes, it becomes a ticket that a person must approve, or it is refused."""

    SEND = "SEND"
    STAGE = "STAGE"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Decision:
    """What all the checks together came to."""

    denial: Denial | None = None
    warnings: tuple[Warned, ...] = ()
    staged: str = ""
    """Why it becomes a ticket; nothing when it does not."""

    @property
    def verdict(self) -> Verdict:
        """In one word."""
        return Verdict.DENY if self.denial else Verdict.STAGE if self.staged else Verdict.SEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything beside the order itself that the checks go by, at one moment.

    `now` is the venue's clock. `holding` is the account's in the symbol, `own` the owner's part of it. `sent` are the
    orders of the last second in each scope with a rate; `since_same` the seconds since the very same order without a
    key; `totals` what each scope with a limit in money has now; `mark` what a unit is worth. `before` is the order that
    is replaced. `approved`: a person has said yes, so the approval threshold no longer counts.
    """

    bounds: Bounds
    instrument: Instrument
    quote: Quote | None
    now: datetime
    last: Trade | None = None
    mark: Decimal | None = None
    holding: Holding = field(default_factory=Holding)
    own: Holding = field(default_factory=Holding)
    sent: Mapping[Scope, int] = field(default_factory=lambda: NOTHING)
    since_same: float | None = None
    totals: Mapping[Scope, Total] = field(default_factory=dict)
    before: Order | None = None
    approved: bool = False
