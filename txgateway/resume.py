"""What happened while a client was away: the journal's records after a seq, at its own pace; then what happens now.

It never counts as being behind; the last step joins the client to its audience at exactly the record it has come to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway import bulletins, life, wire
from txgateway.audience import CHUNK, Audience, Member
from txgateway.bulletins import News
from txgateway.model.account import Position
from txgateway.model.events import (
    ENTRIES,
    NOTES,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    Event,
    Executed,
    IntegrationChanged,
    PositionReported,
    Record,
    SignalEnded,
    SignalReceived,
    SignalRefused,
    TradingDayStarted,
)
from txgateway.model.order import CLOSED, IllegalMove, Order
from txgateway.state import Change

log = Logger()

PAGE = 200
"""Records read from the journal at a time: a few milliseconds' work."""
SLICE = 0.004
"""Seconds of work before the reactor gets its turn."""
_OF_ORDERS = frozenset(
    f"{kind}-{part}" for kind in ("order", "ticket", "execution") for part in ("notification", "data")
)
_OF_POSITIONS = (Executed.__name__, PositionReported.__name__)


class Past(Protocol):
    """Where the records are read, and how far what happens now has come."""

    reactor: Any
    flags: wire.Flags
    seq: int

    async def page(
        self, after: int, limit: int, order_id: str | None = None, kinds: Sequence[str] = ()
    ) -> list[Record]:
        """Records of the journal."""

    def turn(self) -> Deferred[None]:
        """Fires in one of the reactor's next turns."""

    def holdings_before(self, seq: int) -> tuple[int, Holdings]:
        """The nearest seq, not after this one, at which positions are known; and those."""


class Reader(Member, Protocol):
    """The one who was away."""

    async def ready(self) -> None:
        """Wait until it takes more."""

    def replayed(self) -> None:
        """It has been told all up to where its audience was joined."""

    def drop(self, why: str) -> None:
        """Say why, and disconnect it."""


class Holdings:
    """Positions, as the records told so far add them up."""

    def __init__(self, held: Mapping[tuple[str, str], Position]) -> None:
        self._held = dict(held)

    def copy(self) -> Holdings:
        """The positions as they are now, unmoved by what comes."""
        return Holdings(self._held)

    def take(self, event: Event) -> Position | None:
        """The position after an event that changes one."""
        if isinstance(event, Executed):
            fill = event.execution
            before = self._held.get((fill.account, fill.symbol))
            before = before or Position(fill.venue, fill.account, fill.symbol, Decimal(0))
            after = before.after(fill.signed_quantity, fill.price)
        elif isinstance(event, PositionReported):
            after = Position(event.venue, event.account, event.symbol, event.quantity, event.average_price)
        else:
            return None
        self._held[after.account, after.symbol] = after
        return after


class Replay:
    """The journal's records after a seq, told to one outlet at its own pace, until it has come to what happens now."""

    def __init__(self, past: Past, outlet: Reader, audience: Audience, after: int) -> None:
        self._past = past
        self._outlet = outlet
        self._audience = audience
        self._seq = after
        self._until: int | None = None
        self._stopped = False
        self._orders: dict[str, Order] = {}
        self._days: dict[str, date] = {}
        self._holdings: Holdings | None = None

    def start(self) -> None:
        """Read and tell; the outlet is told when it has come to the end."""
        Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    def stop(self) -> None:
        """The outlet does not want it any more."""
        self._stopped = True

    def _is_stopped(self) -> bool:
        return self._stopped

    def unpin(self) -> None:
        """The outlet takes too long for its last step: the audience need not keep what comes meanwhile."""
        self._until = None
        self._audience.leave(self._outlet)

    def _failed(self, failure: Any) -> None:
        log.failure("A client could not be resumed.", failure)
        self._outlet.drop("the journal could not be read: connect again, and resume")

    async def _run(self) -> None:
        await self._prepare()
        while not self._is_stopped():
            await self._outlet.ready()
            if self._is_stopped():
                return
            newest = self._past.seq
            if self._until is None and newest - self._seq <= PAGE:
                self._until = newest
                self._audience.join(self._outlet, live=False)
            if self._seq == self._until:
                self._outlet.replayed()
                return
            page = await self._past.page(self._seq, PAGE)
            last = newest if self._until is None else self._until
            await self._tell([record for record in page if record.seq <= last])

    async def _prepare(self) -> None:
        """What the first record is told by: each venue's trading day, and positions, just before it."""
        async for record in self._records(0, (TradingDayStarted.__name__,)):
            if isinstance(record.event, TradingDayStarted):
                self._days[record.event.venue] = record.event.day
        if "position-data" in self._audience.wanted:
            seq, holdings = self._past.holdings_before(self._seq)
            async for record in self._records(seq, _OF_POSITIONS):
                holdings.take(record.event)
            self._holdings = holdings

    async def _records(self, after: int, kinds: tuple[str, ...]) -> AsyncIterator[Record]:
        """The records of some kinds up to the first that is told."""
        while not self._is_stopped():
            page = await self._past.page(after, PAGE, None, kinds)
            for record in page:
                if record.seq > self._seq:
                    return
                yield record
            if not page:
                return
            after = page[-1].seq
            await self._past.turn()

    async def _tell(self, records: list[Record]) -> None:
        """Write a page, some milliseconds' work at a time."""
        seconds = self._past.reactor.seconds
        await self._past.turn()
        until, told, size = seconds() + SLICE, [], 0
        for record in records:
            data = self._rendered(await self._change(record))
            if self._is_stopped():
                return
            told.append(data)
            size += len(data)
            self._seq = record.seq
            if size >= CHUNK or seconds() > until or record is records[-1]:
                await self._outlet.ready()
                if self._is_stopped():
                    return
                self._outlet.write(b"".join(told))
                if record is not records[-1]:
                    await self._past.turn()
                until, told, size = seconds() + SLICE, [], 0

    def _rendered(self, change: Change) -> bytes:
        audience = self._audience
        position = self._holdings.take(change.record.event) if self._holdings is not None else None
        told = b""
        for news in news_of(change, position, self._past.flags, audience.wanted):
            part = audience.part(news.kind)
            if part and audience.meant(news) is not None:
                told += audience.dialect.news(audience.channel, news, part)
        return told

    async def _change(self, record: Record) -> Change:
        """What a record did, as it was told when it was written."""
        event = record.event
        if isinstance(event, TradingDayStarted):
            self._days[event.venue] = event.day
        order_id = getattr(event, "order_id", "")
        if not order_id or isinstance(event, NOTES) or not self._audience.wanted & _OF_ORDERS:
            order = None
        elif isinstance(event, ENTRIES):
            order = life.advance(None, record)
        else:
            before = self._orders.pop(order_id, None) or await self._order_before(order_id, record.seq)
            order = _advanced(before, record)
        if order is not None and order.status not in CLOSED:
            self._orders[order_id] = order
        execution = None
        if isinstance(event, Executed):
            fill = event.execution
            execution = life.enriched(fill, order, record.seq, self._days.get(fill.venue))
        return Change(record, order, execution)

    async def _order_before(self, order_id: str, seq: int) -> Order | None:
        order: Order | None = None
        for record in await self._past.page(0, -1, order_id):
            if record.seq < seq and (order is not None or isinstance(record.event, ENTRIES)):
                order = _advanced(order, record)
        return order


def _advanced(order: Order | None, record: Record) -> Order | None:
    """The order after a record; None where the desk knew no order of that day, or none that could take it."""
    if order is None and not isinstance(record.event, ENTRIES):
        return None
    try:
        return life.advance(order, record)
    except IllegalMove:
        return None


def news_of(change: Change, position: Position | None, flags: wire.Flags, wanted: frozenset[str]) -> Iterator[News]:
    """What a record tells those who ask for it, live and resumed alike; what nobody wants is not encoded."""
    if change.order is not None:
        yield bulletins.news_of_order(change.order, wanted)
    if change.execution is not None:
        yield bulletins.news_of_execution(change.execution, flags, wanted)
    if position is not None and "position-data" in wanted:
        yield bulletins.news_of_position(position, change.record.seq)
    event = change.record.event
    if isinstance(event, DifferenceFound | DifferenceRaised | DifferenceResolved):
        yield bulletins.news_of_difference(event, change.record)
    elif isinstance(event, SignalReceived | SignalRefused | SignalEnded):
        yield bulletins.news_of_signal(event, change.record)
    elif isinstance(event, IntegrationChanged):
        yield bulletins.news_of_integration(event, change.record)
    elif isinstance(event, bulletins.StatusEvent):
        yield bulletins.news_of_status(event, change.record, change.order)
