"""Which limits hold for one subject: the tightest of every scope that covers it, found once and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from txgateway.model.limits import LONGER_IS_STRICTER, Level, Limit
from txgateway.model.scope import GATEWAY, Scope, ScopeKind, Subject, scopes_of

Find = Callable[[Scope, Limit], Level | None]
"""The level of a limit in force at a scope."""
Held = tuple[tuple[Scope, Level], ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """The tightest level to refuse at and the tightest to warn at, each with the scope that has it."""

    value: Decimal | None
    scope: Scope
    warn: Decimal | None
    warn_scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """All that holds for one subject. Limits on what a whole scope does are kept scope by scope."""

    restricted: Scope | None
    session_only: Scope | None
    duplicate_window: Bound | None
    order_rate: Held
    max_quantity: Bound | None
    reference_age: Bound | None
    price_collar: Bound | None
    max_notional: Bound | None
    max_position: Bound | None
    max_gross_exposure: Held
    max_daily_loss: Held
    approval_notional: Bound | None
    execution_budget: Held
    counted: tuple[Scope, ...]
    """The scopes whose orders are counted."""

    @property
    def needs_price(self) -> bool:
        """Whether a limit holds that cannot be judged without the market's price."""
        return bool(self.price_collar or self.max_notional or self.approval_notional or self.max_gross_exposure)

    @property
    def needs_totals(self) -> bool:
        """Whether a limit holds on what a whole scope has at risk or has lost."""
        return bool(self.max_gross_exposure or self.max_daily_loss)


def bounds_of(subject: Subject, find: Find) -> Bounds:
    """The limits of every scope that covers a subject, brought together."""
    scopes = scopes_of(subject)

    def held(limit: Limit) -> Held:
        levels = ((scope, find(scope, limit)) for scope in scopes)
        return tuple((scope, level) for scope, level in levels if level is not None)

    def tightest(limit: Limit) -> Bound | None:
        strictest = max if limit in LONGER_IS_STRICTER else min
        levels = held(limit)
        values = [(level.value, scope) for scope, level in levels if level.value is not None]
        warns = [(level.warn, scope) for scope, level in levels if level.warn is not None]
        if not values and not warns:
            return None
        value, scope = strictest(values, key=lambda each: each[0]) if values else (None, scopes[0])
        warn, warn_scope = strictest(warns, key=lambda each: each[0]) if warns else (None, scopes[0])
        return Bound(value, scope, warn, warn_scope)

    rates = held(Limit.ORDER_RATE)
    named = (GATEWAY, Scope(ScopeKind.ACCOUNT, subject.account), Scope(ScopeKind.OWNER, subject.owner))
    return Bounds(
        restricted=next((scope for scope, level in held(Limit.RESTRICTED) if subject.symbol in level.symbols), None),
        session_only=next((scope for scope, level in held(Limit.SESSION_ONLY) if level.value), None),
        duplicate_window=tightest(Limit.DUPLICATE_WINDOW),
        order_rate=rates,
        counted=tuple(dict.fromkeys((*named, *(scope for scope, _ in rates)))),
        max_quantity=tightest(Limit.MAX_QUANTITY),
        reference_age=tightest(Limit.REFERENCE_AGE),
        price_collar=tightest(Limit.PRICE_COLLAR),
        max_notional=tightest(Limit.MAX_NOTIONAL),
        max_position=tightest(Limit.MAX_POSITION),
        max_gross_exposure=held(Limit.MAX_GROSS_EXPOSURE),
        max_daily_loss=held(Limit.MAX_DAILY_LOSS),
        approval_notional=tightest(Limit.APPROVAL_NOTIONAL),
        execution_budget=held(Limit.EXECUTION_BUDGET),
    )
