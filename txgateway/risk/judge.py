"""All checks in their order: an order and the facts -> a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from txgateway.model.book import Holding
from txgateway.model.errors import Reason
from txgateway.model.limits import Limit
from txgateway.model.order import Order, OrderRequest, OrderType
from txgateway.risk.bounds import Bound
from txgateway.risk.decision import Decision, Denial, Facts, Warned
from txgateway.risk.form import check_restricted, check_rules
from txgateway.risk.prices import beyond_market, is_blind, is_open, worst_price
from txgateway.risk.valuation import OWNERS

ZERO = Decimal(0)
Finding = Denial | Warned
Check = Callable[[OrderRequest, Facts], Iterator[Finding]]
CHANGE = "or have an administrator change it with set_risk"


def judge(request: OrderRequest, facts: Facts) -> Decision:
    """Run every check, cheap to dear, up to the first refusal."""
    before = facts.before
    rules = check_restricted(request, facts.bounds) if before is None else None
    rules = rules or _session(request, facts) or check_rules(request, facts.instrument, facts.quote)
    if rules is not None:
        return Decision(rules)
    if before is not None and only_decreases(before, request):
        return Decision()
    warnings: list[Warned] = []
    for check in _CHECKS:
        for finding in check(request, facts):
            if isinstance(finding, Denial):
                return Decision(finding, tuple(warnings))
            warnings.append(finding)
    why = _needs_approval(request, facts)
    if why and before is not None:
        text = f"{why} A replace may not ask for that: cancel the order, and send a new one."
        return Decision(Denial(Reason.APPROVAL_NEEDED, text), tuple(warnings))
    return Decision(None, tuple(warnings), why)


def only_decreases(before: Order, request: OrderRequest) -> bool:
    """Whether other terms ask for no more, at no worse a price: then they are always allowed."""
    if request.quantity > before.quantity or request.stop_price != before.stop_price:
        return False
    if request.limit_price is None or before.limit_price is None:
        return True
    return request.side.sign * (request.limit_price - before.limit_price) <= 0


# ---------------------------------------------------------------- one check each


def _session(request: OrderRequest, facts: Facts) -> Denial | None:
    scope, session = facts.bounds.session_only, facts.instrument.session
    if scope is None or session is None or is_open(session, facts.now):
        return None
    if facts.before is not None and only_decreases(facts.before, request):
        return None
    hours = f"{session.open:%H:%M} to {session.close:%H:%M} {session.timezone}"
    return Denial(Reason.MARKET_CLOSED, f"{request.symbol} trades from {hours} (session_only of {scope}): wait.")


def _duplicate(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    bound, since = facts.bounds.duplicate_window, facts.since_same
    if bound is None or since is None or request.client_order_id is not None or facts.before is not None:
        return
    what = f"The very same order was sent {since:.1f} s ago, and neither has a client_order_id"
    if bound.value is not None and since < bound.value:
        yield Denial(
            Reason.DUPLICATE,
            f"{what}: within {bound.value:f} s (duplicate_window of {bound.scope}) it is not sent again; "
            "give each order a client_order_id of its own.",
        )
    elif bound.warn is not None and since < bound.warn:
        yield Warned(Reason.DUPLICATE, Limit.DUPLICATE_WINDOW, bound.warn_scope, f"{what}.")


def _rate(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    for scope, level in facts.bounds.order_rate:
        count = facts.sent.get(scope, 0) + 1
        if level.value is not None and count > level.value:
            text = f"{scope} has sent {count - 1} orders in the last second, which is its order_rate: slow down"
            yield Denial(Reason.ORDER_RATE, f"{text}, {CHANGE}.")
        elif level.warn is not None and count > level.warn:
            text = f"This is order {count} of {scope} within a second, above {level.warn:f}."
            yield Warned(Reason.ORDER_RATE, Limit.ORDER_RATE, scope, text)


def _quantity(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    bound, quantity = facts.bounds.max_quantity, request.quantity
    if _is_above(bound, quantity):
        what = f"Quantity {quantity:f} of {request.symbol}"
        yield _finding(Reason.MAX_QUANTITY, Limit.MAX_QUANTITY, bound, quantity, what)


def _fresh(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    """A quote is there where a price limit holds, and not too old while the market is open."""
    bounds, quote = facts.bounds, facts.quote
    if not bounds.needs_price and request.order_type is not OrderType.MARKET:
        return
    if quote is None or (quote.bid <= 0 and quote.ask <= 0):
        text = f"{request.symbol} has shown no price yet, so nothing can be judged: try again shortly."
        yield Denial(Reason.NO_PRICE, text)
    elif bounds.needs_price and bounds.reference_age is not None:
        bound, age = bounds.reference_age, (facts.now - quote.time).total_seconds()
        late = bound.value if bound.value is not None else bound.warn
        if late is None or age <= min(late, bound.warn or late) or not is_open(facts.instrument.session, facts.now):
            return
        what = f"The last quote of {request.symbol} is {age:.0f} s old"
        if bound.value is not None and age > bound.value:
            text = f"{what}, above {bound.value:f} s (reference_age of {bound.scope}): wait for a newer one, {CHANGE}."
            yield Denial(Reason.STALE_PRICE, text)
        else:
            yield Warned(Reason.STALE_PRICE, Limit.REFERENCE_AGE, bound.warn_scope, f"{what}.")


def _collar(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    bound = facts.bounds.price_collar
    if bound is None or facts.quote is None:
        return
    if is_blind(request, facts.quote, facts.last):
        text = f"{request.symbol} shows one side of its market only, and no trade, so that no price can be called fair"
        yield Denial(Reason.NO_PRICE, f"{text} (price_collar of {bound.scope}): wait, or send a limit order.")
        return
    beyond = beyond_market(request, facts.instrument, facts.quote, facts.last)
    if beyond is not None and _is_above(bound, beyond[0]):
        fraction, price, against = beyond
        above = "above" if request.side.sign > 0 else "below"
        what = f"Price {price:f} of {request.symbol} is {fraction:.1%} {above} {against}, a distance that"
        yield _finding(Reason.PRICE_COLLAR, Limit.PRICE_COLLAR, bound, fraction, what, _nearer(request))


def _nearer(request: OrderRequest) -> str:
    """What to do about a price that is too far off: the same words for a buy and for a sell."""
    if request.order_type is OrderType.STOP_LIMIT:
        return "choose a limit price closer to the stop price"
    if request.order_type is OrderType.LIMIT:
        return "choose a price closer to the market"
    return "wait, or send a limit order"


def _notional(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    bound = facts.bounds.max_notional
    if bound is not None and _is_above(bound, notional := notional_of(request, facts)):
        what = f"The order may come to {_money(notional)} {facts.instrument.currency}, which"
        yield _finding(Reason.MAX_NOTIONAL, Limit.MAX_NOTIONAL, bound, notional, what)


def _position(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    bound, more, sign = facts.bounds.max_position, _more(request, facts), request.side.sign
    if bound is None:
        return
    after = facts.holding.after(sign, more)
    if _is_above(bound, abs(after)) and not facts.holding.reduced_by(sign, more):
        what = f"The position of {request.account} would become {after:f} {request.symbol} with all that works, which"
        yield _finding(Reason.MAX_POSITION, Limit.MAX_POSITION, bound, abs(after), what)


def _exposure(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    if not facts.bounds.max_gross_exposure:
        return
    more, sign, unit = _more(request, facts), request.side.sign, _unit(request, facts)
    whole, own = (_grown(held, sign, more) * unit for held in (facts.holding, facts.own))
    for scope, level in facts.bounds.max_gross_exposure:
        added = own if scope.kind in OWNERS else whole
        bound, exposure = Bound(level.value, scope, level.warn, scope), facts.totals[scope].exposure + added
        if added > 0 and _is_above(bound, exposure):
            what = f"All positions of {scope} would come to {_money(exposure)} with all that works, which"
            yield _finding(Reason.MAX_GROSS_EXPOSURE, Limit.MAX_GROSS_EXPOSURE, bound, exposure, what)


def _grown(held: Holding, sign: int, more: Decimal) -> Decimal:
    """By how much the worst that a holding can become grows with so much more on a side."""
    return max(ZERO, abs(held.after(sign, more)) - held.worst)


def _loss(request: OrderRequest, facts: Facts) -> Iterator[Finding]:
    for scope, level in facts.bounds.max_daily_loss:
        loss = -facts.totals[scope].profit
        least = level.value if level.warn is None else level.warn
        if least is None or loss <= 0 or loss < least:
            continue
        held = facts.own if scope.kind in OWNERS else facts.holding
        if held.reduced_by(request.side.sign, _more(request, facts)):
            continue
        what = f"{scope} has lost {_money(loss)} today"
        if level.value is not None and loss >= level.value:
            text = f"{what}, its max_daily_loss is {level.value:f}: only orders that reduce what it holds are taken"
            yield Denial(Reason.MAX_DAILY_LOSS, f"{text}, {CHANGE}.")
        else:
            text = f"{what}, its warn level is {least:f}."
            yield Warned(Reason.MAX_DAILY_LOSS, Limit.MAX_DAILY_LOSS, scope, text)


_CHECKS: tuple[Check, ...] = (
    _duplicate,
    _rate,
    _quantity,
    _fresh,
    _collar,
    _notional,
    _position,
    _exposure,
    _loss,
)


def _needs_approval(request: OrderRequest, facts: Facts) -> str:
    """Why a person must approve an order first; nothing where none must. Of one that is replaced all of it counts."""
    bound = facts.bounds.approval_notional
    if bound is None or bound.value is None or facts.approved or request.tag is not None:
        return ""
    price = worst_price(request, facts.quote) if facts.quote is not None else None
    notional = (price or ZERO) * request.quantity * facts.instrument.multiplier
    if notional <= bound.value:
        return ""
    what = f"The order may come to {_money(notional)} {facts.instrument.currency}"
    return f"{what}, above the approval_notional {bound.value:f} of {bound.scope}: a person must approve it."


# ---------------------------------------------------------------- figures


def notional_of(request: OrderRequest, facts: Facts) -> Decimal:
    """The money that the order, or what is left of it to fill, may come to at worst."""
    price = worst_price(request, facts.quote) if facts.quote is not None else None
    filled = facts.before.filled_quantity if facts.before is not None else ZERO
    return (price or ZERO) * (request.quantity - filled) * facts.instrument.multiplier


def _more(request: OrderRequest, facts: Facts) -> Decimal:
    """What the order adds to what works on its side: all of it, or what a replace asks for beyond what was."""
    return request.quantity if facts.before is None else max(ZERO, request.quantity - facts.before.quantity)


def _unit(request: OrderRequest, facts: Facts) -> Decimal:
    price = facts.mark
    if price is None:
        price = worst_price(request, facts.quote) if facts.quote is not None else None
    return (price or ZERO) * facts.instrument.multiplier


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _is_above(bound: Bound | None, figure: Decimal) -> bool:
    """Whether a figure is above either level."""
    if bound is None:
        return False
    return (bound.warn is not None and figure > bound.warn) or (bound.value is not None and figure > bound.value)


def _finding(
    reason: Reason, limit: Limit, bound: Bound | None, figure: Decimal, what: str, mend: str = "lower it"
) -> Finding:
    """The refusal, or else the warning, of a figure that is above a level."""
    assert bound is not None
    if bound.value is not None and figure > bound.value:
        return Denial(reason, f"{what} is above {bound.value:f} ({limit} of {bound.scope}): {mend}, {CHANGE}.")
    return Warned(reason, limit, bound.warn_scope, f"{what} is above the warn level {bound.warn:f}.")
