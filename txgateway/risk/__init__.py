"""The pre-trade checks, cheap to dear: an order, the limits, the market, what is held -> a decision. Pure.

`form` judges what the order says and the venue's rules, `bounds` finds the limits that hold for it, `prices` reads the
market, `rates` counts what happened lately, `valuation` what is held. `judge` runs them all in order.
"""

from __future__ import annotations

from txgateway.risk.bounds import Bounds, bounds_of
from txgateway.risk.credential import check_grant, check_worth
from txgateway.risk.decision import Decision, Denial, Facts, Verdict, Warned
from txgateway.risk.form import check_form, check_replace, check_restricted, check_rules, reference_price
from txgateway.risk.judge import judge, only_decreases
from txgateway.risk.prices import is_open
from txgateway.risk.rates import Recent, Windows
from txgateway.risk.valuation import Total, Valuation

__all__ = [
    "Bounds",
    "Decision",
    "Denial",
    "Facts",
    "Recent",
    "Total",
    "Valuation",
    "Verdict",
    "Warned",
    "Windows",
    "bounds_of",
    "check_form",
    "check_grant",
    "check_replace",
    "check_restricted",
    "check_rules",
    "check_worth",
    "is_open",
    "judge",
    "only_decreases",
    "reference_price",
]
