"""What a command gave, as JSON: by its type, whole or in pieces small enough to be written between other work. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any, Protocol

from txgateway import codec, stories, wire
from txgateway.api import (
    AccessReport,
    BarRows,
    DifferenceReport,
    EndpointReport,
    Entry,
    ExitsReport,
    FailedLogins,
    FaultsReport,
    GrantReport,
    InstrumentReport,
    LastPriceReport,
    LeverageReport,
    Listing,
    PositionModeReport,
    PositionReport,
    RateLimitsReport,
    SignalStory,
    SourceReport,
    Story,
    StrategyReport,
    TokenReport,
    VenueReport,
)
from txgateway.gateway import Reply
from txgateway.model.account import AccountReport, Position
from txgateway.model.events import Record, TradingDayStarted
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault
from txgateway.model.halts import FlattenReport, Halt
from txgateway.model.instrument import Session
from txgateway.model.integration import Integration
from txgateway.model.latency import Latency
from txgateway.model.limits import LimitReport, RiskReport, UseReport
from txgateway.model.market import Depth, Funding, Ticker
from txgateway.model.order import Order
from txgateway.model.signal import Signal
from txgateway.wire import Flags, dumps

PIECE = 64 * 1024
"""Bytes in a piece, about."""
BLOCK = 64
"""Kept fragments that are taken at once: about a piece."""
EFFORT = 1024
"""Work in a piece, in units of about a microsecond."""
_RENDERED, _ROW = 32, 6
"""What a noun costs that must be read and rendered, and a bar's row."""
SHORT = 16
"""So many members may be rendered at once."""


class News(Protocol):
    """What the desk tells its listeners of a record: the order it changed, if any."""

    @property
    def record(self) -> Record:
        """The record."""

    @property
    def order(self) -> Order | None:
        """The order after it."""


class Fragments:
    """Renderings kept from one query to the next: `,"id":{...}` of orders and executions, dropped when they change.

    When `limit` bytes are full nothing new is kept (so a list longer than that gains what fits, again and again); a new
    trading day begins with nothing kept. Valid for one set of Flags.
    """

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        self.limit = limit
        self.size = 0
        self._kept: dict[str, dict[str, bytes]] = {kind: {} for kind in _KINDS}
        self._blocks: dict[str, dict[str, tuple[Sequence[str], bytes]]] = {kind: {} for kind in _KINDS}
        self._changed_at: dict[str, int] = {}
        self._known_from = 0

    def get(self, kind: str, key: str) -> bytes | None:
        """What is kept of an id; empty where the id is none of that kind."""
        return self._kept[kind].get(key)

    def keep(self, kind: str, key: str, fragment: bytes, seq: int) -> None:
        """Keep a rendering of the moment of record `seq`, if there is room and nothing has changed since."""
        still_so = seq >= self._known_from and seq >= self._changed_at.get(key, 0)
        if still_so and self._fits(fragment):
            self._kept[kind][key] = fragment

    def block(self, kind: str, ids: Sequence[str]) -> bytes | None:
        """The fragments of so many ids in one, if all of them are kept."""
        blocks = self._blocks[kind]
        known = blocks.get(ids[0])
        if known is not None:
            if known[0] == ids:
                return known[1]
            self._free(blocks.pop(ids[0])[1])
        try:
            block = b"".join(map(self._kept[kind].get, ids))  # type: ignore[arg-type]
        except TypeError:
            return None
        if self._fits(block):
            blocks[ids[0]] = (ids, block)
        return block

    def changed(self, news: News) -> None:
        """Drop what is no longer so: a listener of the desk's."""
        if news.order is not None:
            self._note(news.order.order_id, news.record.seq)
            for kind in ("orders", "tickets"):
                fragment = self._kept[kind].pop(news.order.order_id, None)
                if fragment is not None:
                    self._free(fragment)
                    self._drop_blocks(kind)
        elif isinstance(news.record.event, TradingDayStarted):
            for each in (*self._kept.values(), *self._blocks.values()):
                each.clear()  # type: ignore[attr-defined]
            self.size = 0

    def _note(self, key: str, seq: int) -> None:
        self._changed_at[key] = seq
        if len(self._changed_at) > _NOTED:
            self._known_from = seq
            self._changed_at.clear()

    def _drop_blocks(self, kind: str) -> None:
        for _, block in self._blocks[kind].values():
            self._free(block)
        self._blocks[kind].clear()

    def _fits(self, text: bytes) -> bool:
        cost = len(text) + _OVERHEAD
        if self.size + cost > self.limit:
            return False
        self.size += cost
        return True

    def _free(self, text: bytes) -> None:
        self.size -= len(text) + _OVERHEAD


_NOTED = 20_000
"""Changed ids that are remembered: what was rendered before the oldest of them is not kept."""
_KINDS = ("orders", "tickets", "executions")
_OVERHEAD = 150
"""Bytes that a kept text costs beside its own: its object, its place in the table, its key."""


# ---------------------------------------------------------------- whole


def render(value: Any, flags: Flags) -> Any:
    """A command's result as plain dicts, lists, strings and numbers."""
    renderer = _RENDERERS.get(type(value))
    return value if renderer is None else renderer(value, flags)


def text(value: Any, flags: Flags) -> bytes:
    """A command's result as JSON, in one go."""
    shown = render(value, flags)
    return wire.encode(shown) if type(value) in _FINITE else dumps(shown)


def encoded(value: Any, flags: Flags, fragments: Fragments | None = None) -> bytes:
    """A command's result as one JSON text."""
    return b"".join(pieces(value, flags, fragments)) if is_long(value) else text(value, flags)


def _dict(value: Mapping[str, Any], flags: Flags) -> dict[str, Any]:
    shown = {str(name): render(each, flags) for name, each in value.items()}
    if "_cash" in shown:
        shown["_cash"] = float(shown["_cash"])
    return shown


def _list(value: Iterable[Any], flags: Flags) -> list[Any]:
    return [render(each, flags) for each in value]


def _account(report: AccountReport, flags: Flags) -> dict[str, Any]:
    return {
        each.currency: {
            "total": wire.number(each.total),
            "available": wire.number(each.available),
            "reserved": wire.number(each.reserved),
        }
        for each in report.balances
    }


def _integration(integration: Integration, flags: Flags) -> dict[str, Any]:
    return {
        **{name: getattr(integration, name) for name in ("source", "name", "step")},
        "changed": wire.iso(integration.changed),
        **{name: getattr(integration, name) for name in ("description", "user_email", "url", "text", "by", "warning")},
        "strategies": [
            {"strategy": each.strategy, "name": each.name, "enabled": each.enabled}
            for each in integration.strategies.values()
        ],
    }


def _report(report: Any, flags: Flags) -> dict[str, Any]:
    """A report's members by their own names."""
    return {name: render(getattr(report, name), flags) for name in report.__slots__}


def _exits(report: ExitsReport, flags: Flags) -> dict[str, Any]:
    shown = {name: render(getattr(report, name), flags) for name in report.__slots__}
    return {**shown, "exits": wire.exits(report.exits)}


def _instrument(report: InstrumentReport, flags: Flags) -> dict[str, Any]:
    instrument = report.instrument
    shown = {name: render(getattr(instrument, name), flags) for name in instrument.__slots__ if name != "raw"}
    return {**shown, "order_types": list(report.order_types), "times_in_force": list(report.times_in_force)}


def _session(session: Session, flags: Flags) -> dict[str, Any]:
    return {
        "open": session.open.isoformat("minutes"),
        "close": session.close.isoformat("minutes"),
        "timezone": session.timezone,
        "always": session.always,
        "calendar": session.calendar,
    }


def _entry(entry: Entry, flags: Flags) -> dict[str, Any]:
    event = entry.record.event
    return {
        "seq": entry.record.seq,
        "time": wire.iso(entry.record.time),
        "kind": codec.kind_of(event),
        "order_id": getattr(event, "order_id", None) or None,
        "event": codec.to_builtins(event),
        "hash": entry.hash,
    }


def _chapter(entry: Entry, flags: Flags) -> dict[str, Any]:
    """A record of the journal as a part of an order's story."""
    event = entry.record.event
    return {
        "seq": entry.record.seq,
        "time": wire.iso(entry.record.time),
        "kind": codec.kind_of(event),
        "order_id": getattr(event, "order_id", None) or getattr(event, "signal_id", None) or None,
        "text": stories.sentence(event),
        "event": codec.to_builtins(event),
    }


def _story(story: Story, flags: Flags) -> dict[str, Any]:
    return {"order": wire.order(story.order), "story": [_chapter(each, flags) for each in story.entries]}


def _signal_story(story: SignalStory, flags: Flags) -> dict[str, Any]:
    return {"id": story.signal_id, "story": [_chapter(each, flags) for each in story.entries]}


def _signal(signal: Signal, flags: Flags) -> dict[str, Any]:
    return {
        "id": signal.signal_id,
        "source": signal.source,
        "kind": signal.kind,
        "account": signal.account,
        "time": wire.iso(signal.time),
        "outcome": signal.outcome,
        "key": signal.key,
        "about": signal.about,
        "instructions": [str(each) for each in signal.instructions],
        "orders": list(signal.orders),
        "reason": signal.reason,
        "text": signal.text,
        "answer": {"status": signal.answer.status, "body": signal.answer.body},
        "host": signal.host,
        "shadow": signal.shadow,
        "seq": signal.seq,
    }


def _risk(report: RiskReport, flags: Flags) -> dict[str, Any]:
    return {"limits": _list(report.limits, flags), "use": _list(report.use, flags)}


def _limit(report: LimitReport, flags: Flags) -> dict[str, Any]:
    level = report.level
    return {
        "scope": str(report.scope),
        "limit": report.limit.value,
        "value": level.text,
        "warn": None if level.warn is None else f"{level.warn:f}",
        "source": report.source,
    }


def _use(report: UseReport, flags: Flags) -> dict[str, Any]:
    return {
        "scope": str(report.scope),
        "exposure": wire.number(report.exposure),
        "profit_and_loss": wire.number(report.profit_and_loss),
        "orders_last_second": report.orders_last_second,
        "executions_in_window": report.executions_in_window,
        "holdings": {name: _dict(held, flags) for name, held in report.holdings.items()},
    }


def _halt(halt: Halt, flags: Flags) -> dict[str, Any]:
    time = wire.iso(halt.time)
    return {"scope": str(halt.scope), "level": halt.level, "text": halt.text, "by": halt.by, "time": time}


def _faults(report: FaultsReport, flags: Flags) -> dict[str, Any]:
    return {"known": dict(report.known), "venues": {name: _list(each, flags) for name, each in report.venues.items()}}


def _fault(fault: Fault, flags: Flags) -> dict[str, Any]:
    return {
        "fault": fault.kind.value,
        "chance": wire.number(fault.chance),
        "count": fault.count,
        "seconds": None if fault.seconds is None else wire.number(fault.seconds),
        "symbol": fault.symbol,
        "account": fault.account,
        "happened": fault.happened,
    }


def _flatten(report: FlattenReport, flags: Flags) -> dict[str, Any]:
    lines = [
        {
            "account": each.account,
            "symbol": each.symbol,
            "quantity": wire.number(each.quantity),
            "flat": each.flat,
            "text": each.text,
        }
        for each in report.positions
    ]
    return {
        "number": report.number,
        "scope": str(report.scope),
        "flat": report.flat,
        "ended": report.ended,
        "text": report.text,
        "positions": lines,
    }


def _depth(depth: Depth, flags: Flags) -> dict[str, Any]:
    return wire.depth(depth.symbol, depth)


def _rate_limits(report: RateLimitsReport, flags: Flags) -> dict[str, Any]:
    tightest = report.tightest
    shown = {
        each.name: {
            "limit": each.limit,
            "remaining": each.remaining,
            "seconds": each.seconds,
            "reset": _unix(each.reset),
        }
        for each in report.limits
    }
    remaining = None if tightest is None else tightest.remaining
    return {"remaining": remaining, "reset": _unix(tightest.reset if tightest else None), "limits": shown}


def _unix(moment: datetime | None) -> int | None:
    """A moment in whole unix seconds, not before it."""
    return None if moment is None else ceil(moment.timestamp())


def _endpoint(report: EndpointReport, flags: Flags) -> dict[str, Any]:
    limits = None if report.rate_limits is None else _rate_limits(report.rate_limits, flags)
    return {"venue": report.venue, "data": report.data, "rate_limits": limits}


def _bars(rows: BarRows, flags: Flags) -> list[Any]:
    return [wire.bar(each, rows.zone) for each in rows.bars]


_RENDERERS: dict[type, Callable[[Any, Flags], Any]] = {
    Order: lambda order, flags: wire.order(order),
    Reply: lambda reply, flags: wire.order(reply.order, reply.replayed),
    Execution: wire.execution,
    Ticker: wire.symbol,
    Position: lambda position, flags: wire.number(position.quantity),
    AccountReport: _account,
    VenueReport: _report,
    Latency: _report,
    DifferenceReport: _report,
    GrantReport: _report,
    TokenReport: _report,
    FailedLogins: _report,
    AccessReport: _report,
    ExitsReport: _exits,
    InstrumentReport: _instrument,
    Session: _session,
    Entry: _entry,
    Story: _story,
    SignalStory: _signal_story,
    Signal: _signal,
    StrategyReport: _report,
    SourceReport: _report,
    Integration: _integration,
    Halt: _halt,
    FaultsReport: _faults,
    Fault: _fault,
    FlattenReport: _flatten,
    RiskReport: _risk,
    LimitReport: _limit,
    UseReport: _use,
    BarRows: _bars,
    Depth: _depth,
    Funding: _report,
    PositionReport: _report,
    LastPriceReport: _report,
    LeverageReport: _report,
    PositionModeReport: _report,
    RateLimitsReport: _rate_limits,
    EndpointReport: _endpoint,
    Listing: lambda listing, flags: {name: render(each, flags) for name, each in listing},
    Decimal: lambda value, flags: wire.number(value),
    datetime: lambda value, flags: wire.iso(value),
    dict: _dict,
    list: _list,
    tuple: _list,
}


# ---------------------------------------------------------------- in pieces


def is_long(value: Any) -> bool:
    """Whether rendering the value at once might take long: then go by pieces."""
    kind = type(value)
    if kind in (dict, list, tuple):
        return len(value) > SHORT
    return kind in _IN_PIECES


def pieces(value: Any, flags: Flags, fragments: Fragments | None = None) -> Iterator[bytes]:
    """The JSON text in pieces, each a few milliseconds' work at most; some may be empty."""
    if isinstance(value, Listing):
        return _enclosed(b"{", _listed(value, flags, fragments), b"}")
    if isinstance(value, BarRows):
        return _enclosed(b"[", _rows(value), b"]")
    if isinstance(value, Story):
        head = b'{"order":' + dumps(wire.order(value.order)) + b',"story":['
        return _enclosed(head, ((b"," + dumps(_chapter(each, flags)), _RENDERED) for each in value.entries), b"]}")
    if isinstance(value, dict):
        return _enclosed(b"{", _members(value, flags), b"}")
    if isinstance(value, list | tuple):
        return _enclosed(b"[", ((b"," + text(each, flags), _RENDERED) for each in value), b"]")
    return iter((text(value, flags),))


_FINITE = frozenset({Reply, Order, Execution})
"""Results that are written by wire.encode."""
_IN_PIECES = frozenset({Listing, BarRows, Story})


def _enclosed(head: bytes, parts: Iterable[tuple[bytes, int]], tail: bytes) -> Iterator[bytes]:
    """Gather parts, each with a leading comma (the first one's is dropped) and its effort, into pieces."""
    gathered: list[bytes] = [head]
    size = effort = 0
    first = True
    for part, cost in parts:
        effort += cost
        if part:
            gathered.append(part[1:] if first else part)
            first = False
            size += len(part)
        if effort >= EFFORT or size >= PIECE:
            yield b"".join(gathered)
            gathered.clear()
            size = effort = 0
    gathered.append(tail)
    yield b"".join(gathered)


def _members(value: Mapping[str, Any], flags: Flags) -> Iterator[tuple[bytes, int]]:
    for name, each in value.items():
        shown = dumps(float(render(each, flags))) if name == "_cash" else text(each, flags)
        yield _fragment(str(name), shown), _RENDERED


def _rows(rows: BarRows) -> Iterator[tuple[bytes, int]]:
    return ((b"," + dumps(wire.bar(each, rows.zone)), _ROW) for each in rows.bars)


def _fragment(name: str, shown: bytes) -> bytes:
    return b",%b:%b" % (dumps(name), shown)


def _listed(listing: Listing, flags: Flags, fragments: Fragments | None) -> Iterator[tuple[bytes, int]]:
    """The list's fragments, a block at once where all of it is kept."""
    ids, left = listing.ids, len(listing.ids) if listing.limit is None else listing.limit
    keeps = fragments if listing.kept else None
    for start in range(0, len(ids), BLOCK):
        some = ids[start : start + BLOCK]
        block = keeps.block(listing.kept, some) if keeps is not None and listing.limit is None else None
        if block is not None:
            yield block, BLOCK
            continue
        for key in some:
            if not left:
                return
            fragment, cost = _one(listing, key, flags, keeps)
            left -= bool(fragment)
            yield fragment, cost


def _one(listing: Listing, key: str, flags: Flags, keeps: Fragments | None) -> tuple[bytes, int]:
    """One item's fragment, kept from now on; empty, but not for nothing, when the item is not wanted."""
    fragment = keeps.get(listing.kept, key) if keeps is not None else None
    if fragment is not None:
        return fragment, 1
    item = listing.get(key)
    fragment = b"" if item is None else _fragment(key, text(item, flags))
    if keeps is not None:
        keeps.keep(listing.kept, key, fragment, listing.seq)
    return fragment, _RENDERED
