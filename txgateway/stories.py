"""What a record of the journal says, in a sentence for people. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from txgateway.model.events import (
    AccountsOpened,
    AdminActed,
    BalancesReported,
    CancelKept,
    CancelRejected,
    CancelRequested,
    ChangeDenied,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    ErrandBegun,
    ErrandEnded,
    Event,
    Executed,
    ExitsEnded,
    ExitTriggered,
    ExternalOrderFound,
    FlattenEnded,
    FlattenRequested,
    IntegrationChanged,
    LeaseEnded,
    LeaseLost,
    LeaseTaken,
    LimitChanged,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderDenied,
    OrderDoubted,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderResolved,
    OrderRestored,
    OrderSubmitted,
    PositionReported,
    ReplaceRejected,
    ReplaceRequested,
    RiskWarned,
    SettingChanged,
    SignalAdvanced,
    SignalEnded,
    SignalReceived,
    SignalRefused,
    StopHeld,
    StrategyAdjusted,
    TicketApproved,
    TokenCreated,
    TokenRevoked,
    TradingDayStarted,
    TradingHalted,
    TradingResumed,
    UserChanged,
    UserRemoved,
    VenueStatusChanged,
)
from txgateway.model.integration import Step
from txgateway.model.order import Terms


def sentence(event: Event) -> str:
    """What happened, in one sentence; the kind's name where there is none for it."""
    tell = _SENTENCES.get(type(event))
    return f"{type(event).__name__}." if tell is None else tell(event)


def _figures(quantity: Decimal | None, limit: Decimal | None, stop: Decimal | None) -> str:
    named = {"quantity": quantity, "limit": limit, "stop": stop}
    return ", ".join(f"{name} {value:f}" for name, value in named.items() if value is not None) or "nothing new"


def _terms(terms: Terms) -> str:
    prices = {"limit": terms.limit_price, "stop": terms.stop_price}
    shown = "".join(f" {name} {value:f}" for name, value in prices.items() if value is not None)
    words = f"{terms.side} {terms.quantity:f} {terms.symbol} {terms.order_type}{shown} {terms.time_in_force}"
    return f"{words} for {terms.account} at {terms.venue or 'no venue'}{_bound(terms)}"


def _bound(terms: Terms) -> str:
    """What an order is bound to."""
    exits = f", with {terms.exits}" if terms.exits is not None else ""
    group = f", one of the group {terms.oco}" if terms.oco else ""
    held = ", which the broker holds until that is filled" if terms.attached else ""
    parent = f", an exit of {terms.parent}{held}" if terms.leg is not None else ""
    until = f", until {terms.good_till:%Y-%m-%d %H:%M:%S} UTC" if terms.good_till is not None else ""
    return f"{exits}{group}{parent}{until}"


def _submitted(event: OrderSubmitted) -> str:
    terms = event.terms
    what = "Submitted" if terms.tag is None else f"Staged as ticket {terms.tag!r}"
    why = f" {event.text}" if event.text else ""
    return f"{what} by {terms.owner or 'nobody known'} ({terms.origin}): {_terms(terms)}.{why}"


def _executed(event: Executed) -> str:
    fill = event.execution
    costs = f", commission {fill.commission:f} {fill.currency}" if fill.commission else ""
    costs += f", fee {fill.fee:f} {fill.fee_currency}" if fill.fee else ""
    return f"{fill.quantity:f} {fill.symbol} filled at {fill.price:f} (execution {fill.execution_id}{costs})."


def _changed(event: SettingChanged) -> str:
    what, _, venue = event.name.partition(":")
    if what == "faults":
        if event.value is None:
            return f"{event.by} had nothing go wrong on purpose at {venue} any more."
        return f"{event.by} had {venue} go wrong on purpose: {event.value}."
    return (
        f"{event.by} cleared {event.name}." if event.value is None else f"{event.by} set {event.name}: {event.value}."
    )


def _resolved(event: DifferenceResolved) -> str:
    who = f"{event.by} settled" if event.by else "Gone:"
    return f"{who} the difference over {event.what} {event.key} at {event.venue}: {event.text}"


def _limit(event: LimitChanged) -> str:
    if event.value is None:
        return f"{event.by} gave up {event.limit} of {event.scope}: what holds by itself holds again."
    warn = f", warning at {event.warn}" if event.warn is not None else ""
    return f"{event.by} set {event.limit} of {event.scope}: {event.value}{warn}."


def _token(event: TokenCreated) -> str:
    token = event.token
    until = "without an end" if token.expires is None else f"until {token.expires:%Y-%m-%d %H:%M:%S %Z}"
    return f"{token.created_by} made the token {token.name}, {until}: {token.grant}."


def _signal(event: SignalReceived) -> str:
    asked = "; ".join(str(each) for each in event.instructions) or event.about or "nothing to be done"
    shadow = " It is not sent: its source is in shadow mode." if event.shadow else ""
    warned = "".join(f" Mind: {each}" for each in event.warnings)
    return f"{event.source} signalled from {event.host or 'here'}: {asked}.{shadow}{warned} It was: {event.body}"


def _advanced(event: SignalAdvanced) -> str:
    what = f"Instruction {event.instruction + 1}"
    if event.over:
        return f"{what} needs nothing more."
    does = [f"ends {', '.join(event.ends)}"] if event.ends else []
    does += [f"has {abs(event.closing):f} closed by the exits of {', '.join(event.entries)}"] if event.entries else []
    return f"{what} {' and '.join(does) or 'goes on'}."


def _integration(event: IntegrationChanged) -> str:
    what = f"Integration {event.name} of {event.source}"
    if event.step is Step.ENDING:
        return f"{what}: {event.text or 'nothing of it ends any more.'}"
    strategy = f", strategy {event.strategy_name or event.strategy}" if event.strategy else ""
    by = f" by {event.by}" if event.by else ""
    mail = f" for {event.user_email}" if event.user_email else ""
    return f"{what}{strategy}: {event.step}{by}{mail}{f': {event.text}' if event.text else '.'}"


def _amended(event: OrderAmended) -> str:
    what = [f"its exits: {str(event.exits) or 'none'}"] if event.exits is not None else []
    what += [f"it works until {event.good_till:%Y-%m-%d %H:%M:%S} UTC"] if event.good_till is not None else []
    what += [f"its reference is {event.reference!r}"] if event.reference is not None else []
    return f"{event.by} changed what is kept of it: {'; '.join(what) or 'nothing new'}."


def _why(what: str) -> Callable[[Any], str]:
    """A sentence with the event's reason code and text."""
    return lambda event: f"{what} ({event.reason}): {event.text or 'no reason given.'}"


_SENTENCES: dict[type, Callable[[Any], str]] = {
    OrderSubmitted: _submitted,
    OrderDenied: lambda event: f"Refused here ({event.reason}): {event.text} It was: {_terms(event.terms)}.",
    ExternalOrderFound: lambda event: f"Found at the broker, not sent by us: {_terms(event.terms)}.",
    OrderAccepted: lambda event: f"The broker holds the order as {event.broker_order_id or 'an order without an id'}.",
    OrderRejected: _why("Rejected"),
    Executed: _executed,
    CancelRequested: lambda event: f"{event.by} asked for a cancel{': ' if event.text else '.'}{event.text}",
    OrderCanceled: _why("Canceled"),
    CancelKept: lambda event: f"The cancel was not sent: {event.text}",
    CancelRejected: _why("The broker would not cancel"),
    ReplaceRequested: lambda event: (
        f"{event.by} asked for other terms: {_figures(event.quantity, event.limit_price, event.stop_price)}."
    ),
    OrderReplaced: lambda event: f"The terms are now {_figures(event.quantity, event.limit_price, event.stop_price)}.",
    ReplaceRejected: _why("The broker would not replace"),
    OrderExpired: lambda event: f"Expired: {event.text or 'its time in force ended.'}",
    OrderDoubted: _why("In doubt"),
    OrderRestored: lambda event: f"The order is {event.order.status}: {event.text}",
    OrderResolved: lambda event: f"{event.by} ended the order in doubt as {event.status}: {event.text}",
    RiskWarned: lambda event: f"Above a warn level ({event.reason}; {event.limit} of {event.scope}): {event.text}",
    ChangeDenied: lambda event: f"{event.by} asked for a {event.change}, refused here ({event.reason}): {event.text}",
    LimitChanged: _limit,
    TicketApproved: lambda event: f"{event.by} approved the ticket.",
    ExitTriggered: lambda event: f"The position is to be closed at the market: {event.text}",
    ExitsEnded: lambda event: f"Nothing is attached any more: {event.text}",
    OrderAmended: _amended,
    StopHeld: lambda event: f"The gateway watches the stop at {event.stop_price:f} itself.",
    VenueStatusChanged: lambda event: f"Venue {event.venue} is {event.status}{': ' if event.text else ''}{event.text}.",
    DifferenceFound: lambda event: (
        f"{event.severity}: {event.what} {event.key} at {event.venue} is {event.ours or 'nothing'} here and "
        f"{event.theirs or 'nothing'} there."
    ),
    DifferenceRaised: lambda event: (
        f"{event.severity} now: {event.what} {event.key} at {event.venue} has differed since {event.found:%H:%M:%S}."
    ),
    DifferenceResolved: _resolved,
    AccountsOpened: lambda event: (
        f"The accounts {', '.join(event.accounts)} of {event.venue} are reconciled for the first time."
    ),
    PositionReported: lambda event: (
        f"The broker holds {event.quantity:f} {event.symbol} for {event.account} at {event.average_price:f}."
    ),
    BalancesReported: lambda event: (
        f"The broker's word on the cash of {event.account} was taken over: "
        f"{', '.join(f'{total:f} {currency}' for currency, total in event.totals) or 'none'}."
    ),
    TradingDayStarted: lambda event: f"Trading day {event.day} of {event.venue} began.",
    SettingChanged: _changed,
    TradingHalted: lambda event: f"{event.by} made {event.scope} {event.level}: {event.text}",
    FlattenRequested: lambda event: f"{event.by} had {event.scope} flattened: {event.text}",
    FlattenEnded: lambda event: f"Flatten {event.number} is over: {event.text}",
    ErrandBegun: lambda event: f"{event.errand.by} asked for {event.errand}.",
    ErrandEnded: lambda event: f"Errand {event.number} at {event.venue} is {event.outcome}: {event.text}",
    LeaseTaken: lambda event: (
        f"A connection of {event.user} took lease {event.name or event.lease}: "
        f"its orders end {event.seconds:g} s after it is gone."
    ),
    LeaseLost: lambda event: f"The connection that held lease {event.lease} is gone.",
    LeaseEnded: lambda event: f"Lease {event.lease} is over: {event.text}",
    TradingResumed: lambda event: f"{event.by} let {event.scope} trade again.",
    TokenCreated: _token,
    TokenRevoked: lambda event: f"{event.by} revoked the token {event.name}.",
    UserChanged: lambda event: f"{event.by} let {event.name} in: {event.grant}.",
    UserRemoved: lambda event: f"{event.by} removed the user {event.name}.",
    SignalReceived: _signal,
    SignalRefused: lambda event: (
        f"A signal of {event.source} was refused ({event.reason}): {event.text} It was: {event.body}"
    ),
    SignalAdvanced: _advanced,
    SignalEnded: lambda event: (
        f"The signal is {event.outcome}{f' ({event.reason})' if event.reason else ''}: "
        f"{event.text or ', '.join(event.orders) or 'there was nothing to do'}."
    ),
    IntegrationChanged: _integration,
    StrategyAdjusted: lambda event: (
        f"{event.by}: strategy {event.strategy or event.source} of {event.source} holds {event.quantity:f} "
        f"{event.symbol} now: {event.text}"
    ),
    AdminActed: lambda event: (
        f"{event.user} gave {event.command}({event.arguments}) by {event.origin} from {event.host or 'here'}."
    ),
}
