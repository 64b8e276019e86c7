"""Finding what the state no longer holds: orders and executions of earlier days, read from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from txgateway import circumstances, life
from txgateway.brokers import Broker
from txgateway.circumstances import FAULTS, Told
from txgateway.journal import Journal
from txgateway.keys import client_key, execution_key
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import (
    ENTRIES,
    Executed,
    Record,
    SettingChanged,
    TradingHalted,
    TradingResumed,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.order import Order
from txgateway.model.scope import Subject
from txgateway.state import State

_PAGE, _FEW = 1000, 100
"""Records that are read from the journal at once: where a caller waits for all days, and where a millisecond counts."""


class History:
    """Orders by any of their ids, whenever they were: in the state first, in the journal next."""

    def __init__(self, state: State, journal: Journal, brokers: Mapping[str, Broker]) -> None:
        self._state = state
        self._journal = journal
        self._brokers = brokers

    async def find(self, order_id: str) -> Order | None:
        """An order by our id, the caller's or the broker's."""
        order = self.find_now(order_id)
        if order is not None:
            return order
        for kind, prefixes in (("client", self._accounts()), ("broker", list(self._brokers))):
            for prefix in prefixes:
                found = await self._journal.find(kind, f"{prefix}/{order_id}")
                if found is not None:
                    return self.find_now(found) or await self._folded(found)
        return await self._folded(order_id)

    async def by_our_id(self, order_id: str) -> Order | None:
        """An order by our own id alone, of any day."""
        return self._state.order(order_id) or await self._folded(order_id)

    async def get(self, order_id: str) -> Order:
        """The same; Refused when there is none."""
        order = await self.find(order_id)
        if order is None:
            raise Refused(Reason.NO_SUCH_ORDER, "Order not found", order_id)
        return order

    def find_now(self, order_id: str) -> Order | None:
        """The same among what works or closed today."""
        order = self._state.order(order_id)
        if order is None:
            found = (self._state.find_client(account, order_id) for account in self._accounts())
            order = next(filter(None, found), None)
        if order is None:
            found = (self._state.find_broker(venue, order_id) for venue in self._brokers)
            order = next(filter(None, found), None)
        return order

    async def find_client(self, account: str, client_order_id: str) -> Order | None:
        """The order behind an idempotency key."""
        order = self._state.find_client(account, client_order_id)
        if order is not None:
            return order
        order_id = await self._journal.find("client", client_key(account, client_order_id))
        return await self.find(order_id) if order_id else None

    async def find_execution(self, execution_id: str) -> Execution | None:
        """An execution by the broker's id."""
        execution = self._state.execution(execution_id)
        if execution is not None:
            return execution
        for account in self._accounts():
            order_id = await self._journal.find("execution", execution_key(account, execution_id))
            if order_id:
                fills = fold(await self._journal.order_records(order_id))[1]
                return next((fill for fill in fills if fill.execution_id == execution_id), None)
        return None

    async def executions_of(self, order: Order) -> dict[str, Execution]:
        """Every execution of an order, by id."""
        ids = [update.id for update in order.updates if update.event == Executed.__name__]
        now = [self._state.execution(each) for each in ids]
        fills = [fill for fill in now if fill is not None]
        if sum(fill.quantity for fill in fills) != order.filled_quantity:
            fills = fold(await self._journal.order_records(order.order_id))[1]
        return {fill.execution_id: fill for fill in fills}

    async def circumstances(self, order: Order, first: int, last: int | None) -> list[Told]:
        """The records of no order that bore on one, from its first record (and what was in force then) to its last."""
        halts = (TradingHalted.__name__, TradingResumed.__name__)
        before = None if last is None else last + 1
        found = [
            *await self._told(0, halts, before),
            *await self._told(0, (SettingChanged.__name__,), before, f'"{FAULTS}{order.venue}"'),
            *await self._told(first, (VenueStatusChanged.__name__,), before, f'"{order.venue}"'),
        ]
        return circumstances.bearing(found, Subject.of(order), first)

    async def orders_since(self, day: date) -> dict[str, Order]:
        """Every order that entered on or after a trading day, by id, oldest first."""
        found: dict[str, Order] = {}
        async for entry in self._entries(tuple(kind.__name__ for kind in ENTRIES)):
            event = entry.event
            assert isinstance(event, ENTRIES)
            if event.terms.day >= day:
                order = await self._folded(event.order_id)
                if order is not None:
                    found[order.order_id] = order
        return found

    async def executions_since(self, day: date) -> dict[str, Execution]:
        """Every execution on or after a trading day, by id, oldest first."""
        found: dict[str, Execution] = {}
        async for entry in self._entries((Executed.__name__,)):
            event = entry.event
            assert isinstance(event, Executed)
            fill = event.execution
            if (fill.day or fill.time.date()) >= day:
                order = await self._folded(fill.order_id) if fill.order_id else None
                found[fill.execution_id] = life.enriched(fill, order, entry.seq, None)
        return found

    async def page(
        self, after: int, limit: int, order_id: str | None, kinds: Sequence[str]
    ) -> Sequence[tuple[Record, str]]:
        """Up to `limit` (negative: all) records on disk with seq > after, each with its hash; read a few at a time."""
        found: list[tuple[Record, str]] = []
        while limit < 0 or len(found) < limit:
            most = _FEW if limit < 0 else min(_FEW, limit - len(found))
            page = await self._journal.page(after, most, order_id, kinds)
            found.extend(page)
            if len(page) < most:
                break
            after = page[-1][0].seq
        return found

    async def _entries(self, kinds: Sequence[str]):  # type: ignore[no-untyped-def]
        after = 0
        while page := await self._journal.page(after, _PAGE, None, kinds):
            for record, _ in page:
                yield record
            after = page[-1][0].seq

    async def _told(self, after: int, kinds: Sequence[str], before: int | None, words: str = "") -> list[Told]:
        found: list[Told] = []
        while page := await self._journal.page(after, _FEW, None, kinds, before, words):
            found.extend(page)
            after = page[-1][0].seq
        return found

    async def _folded(self, order_id: str) -> Order | None:
        return fold(await self._journal.order_records(order_id))[0]

    def _accounts(self) -> list[str]:
        return [account for broker in self._brokers.values() for account in broker.accounts()]


def fold(records: Iterable[tuple[Record, str]]) -> tuple[Order | None, list[Execution]]:
    """An order and its executions from all its records."""
    order: Order | None = None
    fills: list[Execution] = []
    for record, _ in records:
        if order is not None or isinstance(record.event, ENTRIES):
            order = life.advance(order, record)
        if isinstance(record.event, Executed):
            fills.append(life.enriched(record.event.execution, order, record.seq, None))
    return order, fills
