"""What the server says by itself: each piece of news in both its forms, a short line and an object. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from txgateway import wire
from txgateway.lines import error, netstring
from txgateway.model.account import Position
from txgateway.model.events import (
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    ErrandBegun,
    ErrandEnded,
    Event,
    FlattenEnded,
    FlattenRequested,
    IntegrationChanged,
    LimitChanged,
    OrderDenied,
    OrderDoubted,
    OrderRejected,
    Record,
    RiskWarned,
    SettingChanged,
    Severity,
    SignalEnded,
    SignalReceived,
    SignalRefused,
    TradingHalted,
    TradingResumed,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.integration import Step
from txgateway.model.market import Depth, Quote, Trade
from txgateway.model.order import Order

StatusEvent = (
    VenueStatusChanged
    | TradingHalted
    | TradingResumed
    | FlattenRequested
    | FlattenEnded
    | LimitChanged
    | RiskWarned
    | ErrandBegun
    | ErrandEnded
)
"""What `status-data` tells."""
LINE, DATA = 1, 2
"""The two ways in which a piece of news may be told: a short line, and an object."""
PARTS = {
    "order": ("order-notification", "order-data"),
    "ticket": ("ticket-notification", "ticket-data"),
    "execution": ("execution-notification", "execution-data"),
    "position": (None, "position-data"),
    "status": (None, "status-data"),
    "reconciliation": (None, "reconciliation-data"),
    "signal": (None, "signal-data"),
    "quote": ("quotes", None),
    "trade": ("trades", None),
    "depth": (None, "depth-data"),
}
"""Which option asks for which part of the news; what is not here is told as a line to all."""
OPTIONS = frozenset(option for pair in PARTS.values() for option in pair if option)
"""The options that ask for news."""


FOR_ALL = frozenset({"time", "connection", "quote", "trade", "depth"})
"""Kinds of news that concern no account."""
EVERYONE = "*"
"""In an account's place: this one concerns no account either."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell: its short line (without channel), its object as JSON; `venue`: only on that one's channels.

    Who is kept to some accounts hears only what has one of them as its `account`, and what is of kind `FOR_ALL`.
    """

    kind: str
    line: str = ""
    data: bytes = b""
    seq: int = 0
    venue: str = ""
    account: str = ""


class Lines:
    """How news is told on the stream."""

    needs_ticker = True
    ending = b""

    def part(self, kind: str, wanted: frozenset[str]) -> int:
        """What a client with these options is told of a kind of news."""
        line, data = PARTS.get(kind, ("", None))
        return (LINE if line == "" or line in wanted else 0) | (DATA if data in wanted else 0)

    def news(self, channel: str, news: News, part: int) -> bytes:
        """The lines of a piece of news."""
        told = b""
        if part & LINE and news.line:
            told = netstring(f"{channel}.{news.line}".encode())
        if part & DATA:
            told += netstring(b"%b.%b-data %b" % (channel.encode(), news.kind.encode(), news.data))
        return told

    def quote(self, channel: str, name: str, quote: Quote) -> bytes:
        """A quote's line."""
        return netstring(f"{channel}.{wire.quote_line(name, quote)}".encode())

    def trade(self, channel: str, name: str, trade: Trade, volume: Decimal) -> bytes:
        """A trade's line."""
        return netstring(f"{channel}.{wire.trade_line(name, trade.price, trade.size, volume)}".encode())

    def depth(self, channel: str, name: str, depth: Depth) -> bytes:
        """A book's line."""
        return netstring(b"%b.depth-data %b" % (channel.encode(), wire.dumps(wire.depth(name, depth))))

    def frame(self, body: bytes) -> bytes:
        """A message as it is sent."""
        return netstring(body)

    def frames(self, parts: Sequence[bytes]) -> list[bytes]:
        """A long message's parts as they are sent."""
        return [b"%d:" % sum(map(len, parts)), *parts, b","]

    def farewell(self, text: str) -> bytes:
        """The last words to a client that is disconnected."""
        return netstring(error(text).encode())


LINES = Lines()
"""The stream's way of telling."""


def connection_word(status: VenueStatus, been_up: bool) -> str:
    """A venue's status in txTrader's words."""
    return "Startup" if status is VenueStatus.DOWN and not been_up else _CONNECTION[status]


_CONNECTION = {
    VenueStatus.DOWN: "Disconnected",
    VenueStatus.CONNECTING: "Pending",
    VenueStatus.RECONCILING: "Initializing",
    VenueStatus.UP: "Up",
    VenueStatus.STOPPING: "Shutdown",
}


def news_of_order(order: Order, wanted: frozenset[str]) -> News:
    """An order's or a ticket's state after a record."""
    kind = wire.order_class(order)
    data = wire.encode(wire.order(order)) if f"{kind}-data" in wanted else b""
    return News(kind, wire.order_note(order), data, order.seq, account=order.account)


def news_of_execution(execution: Execution, flags: wire.Flags, wanted: frozenset[str]) -> News:
    """A fill of ours."""
    data = wire.encode(wire.execution(execution, flags)) if "execution-data" in wanted else b""
    return News("execution", wire.execution_note(execution), data, execution.seq, account=execution.account)


def news_of_position(position: Position, seq: int) -> News:
    """A position as it is after a record."""
    value = {
        "seq": seq,
        "venue": position.venue,
        "account": position.account,
        "symbol": position.symbol,
        "quantity": wire.number(position.quantity),
        "average_price": wire.price(position.average_price),
    }
    return News("position", "", wire.encode(value), seq, account=position.account)


def news_of_status(event: StatusEvent, record: Record, order: Order | None = None) -> News:
    """A venue's life, halts and flattens, limits that were changed, orders above a warn level."""
    value: dict[str, Any] = {"seq": record.seq, "time": wire.iso(record.time), "event": type(event).__name__}
    if isinstance(event, VenueStatusChanged):
        value.update(venue=event.venue, status=event.status, text=event.text)
        value["connection"] = connection_word(event.status, been_up=True)
    elif isinstance(event, TradingHalted):
        value.update(halted=True, text=event.text, by=event.by, scope=str(event.scope), level=event.level)
    elif isinstance(event, FlattenRequested):
        value.update(flatten=event.number, scope=str(event.scope), text=event.text, by=event.by)
    elif isinstance(event, FlattenEnded):
        value.update(flatten=event.number, flat=event.flat, text=event.text)
    elif isinstance(event, ErrandBegun):
        errand = event.errand
        value.update(errand=errand.number, venue=errand.venue, account=errand.account, text=str(errand), by=errand.by)
    elif isinstance(event, ErrandEnded):
        value.update(errand=event.number, venue=event.venue, account=event.account)
        value.update(outcome=event.outcome, text=event.text)
    elif isinstance(event, TradingResumed):
        value.update(halted=False, text="", by=event.by, scope=str(event.scope))
    elif isinstance(event, RiskWarned):
        names = ("order_id", "reason", "limit", "scope", "text")
        value.update({name: getattr(event, name) for name in names})
    elif isinstance(event, LimitChanged):
        value.update({name: getattr(event, name) for name in ("scope", "limit", "value", "warn", "by")})
    return News("status", "", wire.dumps(value), record.seq, account=_account_of(event, order))


def _account_of(event: StatusEvent, order: Order | None) -> str:
    """Whose business it is: an account's, or everyone's."""
    if isinstance(event, RiskWarned):
        return order.account if order is not None else ""
    if isinstance(event, ErrandBegun | ErrandEnded):
        return event.errand.account if isinstance(event, ErrandBegun) else event.account
    scope = str(getattr(event, "scope", ""))
    return scope.removeprefix("account:") if scope.startswith("account:") else EVERYONE


_DIFFERENCES: dict[type, str] = {
    DifferenceFound: "found",
    DifferenceRaised: "raised",
    DifferenceResolved: "resolved",
}


def news_of_difference(event: DifferenceFound | DifferenceRaised | DifferenceResolved, record: Record) -> News:
    """Ours and the broker's words differ: it is found (with other figures: again), more severe now, or gone."""
    names = ("venue", "account", "what", "key", "ours", "theirs", "severity")
    value = {"seq": record.seq, "time": wire.iso(record.time), "event": _DIFFERENCES[type(event)]}
    value.update({name: getattr(event, name) for name in names}, found=wire.iso(event.found or event.time))
    if isinstance(event, DifferenceResolved):
        value.update(text=event.text, by=event.by)
    return News("reconciliation", "", wire.dumps(value), record.seq, account=event.account)


_SIGNALS: dict[type, str] = {SignalReceived: "received", SignalRefused: "refused", SignalEnded: "ended"}


def news_of_signal(event: SignalReceived | SignalRefused | SignalEnded, record: Record) -> News:
    """A signal was taken in, or refused; or all that it asked for is sent."""
    value: dict[str, Any] = {"seq": record.seq, "time": wire.iso(record.time), "event": _SIGNALS[type(event)]}
    value.update(id=event.signal_id, source=event.source, account=event.account)
    if isinstance(event, SignalReceived):
        value.update(about=event.about, instructions=[str(each) for each in event.instructions], shadow=event.shadow)
    if isinstance(event, SignalEnded):
        value.update(outcome=event.outcome, orders=list(event.orders))
    if not isinstance(event, SignalReceived):
        value.update(reason=event.reason, text=event.text)
    return News("signal", "", wire.dumps(value), record.seq, account=event.account)


def news_of_integration(event: IntegrationChanged, record: Record) -> News:
    """An integration at a sender's, or one of its strategies, came to another step."""
    value: dict[str, Any] = {"seq": record.seq, "time": wire.iso(record.time), "event": "integration"}
    names = ("source", "account", "name", "step", "strategy", "strategy_name", "text", "by")
    value.update({name: getattr(event, name) for name in names})
    return News("signal", "", wire.dumps(value), record.seq, account=event.account)


def news_of_connection(venue: str, word: str) -> News:
    """A venue's connection, on its own channels."""
    data = wire.dumps({"venue": venue, "status": word})
    return News("connection", f"connection-status-changed: {word}", data, venue=venue)


def news_of_accounts(names: Sequence[str]) -> News:
    """The accounts."""
    data = wire.dumps(list(names))
    return News("accounts", f"accounts: {data.decode()}", data)


def news_of_time(venue: str, text: str) -> News:
    """A minute of a venue's clock, on its own channels."""
    return News("time", f"time: {text}", wire.dumps(text), venue=venue)


def news_of_error(about: str, text: str, account: str = "") -> News:
    """Something went wrong."""
    data = wire.dumps({"id": about, "text": text})
    return News("error", f"error: {about} {_one_line(text)}", data, account=account)


def news_of_trouble(event: Event, order: Order | None) -> News | None:
    """What of a record all clients hear as an error or as the new current account; None for most."""
    if isinstance(event, OrderDenied | OrderRejected | OrderDoubted | RiskWarned):
        return news_of_error(event.order_id, f"{event.reason} {event.text}", order.account if order else "")
    if isinstance(event, DifferenceFound | DifferenceRaised) and event.severity is not Severity.INFO:
        words = f"{event.what} {event.key} of {event.account}: ours is {event.ours}, theirs is {event.theirs}"
        return news_of_error(event.venue, words, event.account)
    if isinstance(event, IntegrationChanged) and event.step is Step.ENDING and event.text:
        return news_of_error(event.source, event.text, event.account)
    if isinstance(event, SettingChanged) and event.name == "account" and event.value is not None:
        return News("current-account", f"current-account: {event.value}", wire.dumps(event.value), account=event.value)
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
