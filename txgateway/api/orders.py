"""Orders, tickets and executions: reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from txgateway import codec
from txgateway.access import Caller
from txgateway.api import Api, Listing
from txgateway.commands import Upper, command
from txgateway.model.errors import BadArgument
from txgateway.model.execution import Execution
from txgateway.model.order import CLOSED, Order, OrderStatus
from txgateway.model.rights import Right


@command(Right.READ, narrow=True)
async def query_order(api: Api, caller: Caller, id: str) -> Order | None:
    """Give an order or ticket, of any day, by its permid, broker_order_id or client_order_id; null when unknown."""
    await api.gateway.settled()
    order = await api.gateway.history.find(id)
    return order if order is not None and caller.grant.reaches(order.account) else None


@command(Right.READ, narrow=True)
async def query_orders(
    api: Api,
    caller: Caller,
    since: str | None = None,
    account: str | None = None,
    symbol: Upper | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Give permid -> order: the current trading day's and everything still working, tickets left out.

    `since` (YYYY-MM-DD) goes back to earlier days; account, symbol and status narrow; after and limit page by
    permid.
    """
    return await _orders(api, _Filter(caller, since, account, symbol, status, after, limit), tickets=False)


@command(Right.READ, narrow=True)
async def query_open_orders(
    api: Api,
    caller: Caller,
    account: str | None = None,
    symbol: Upper | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Give permid -> order for every order that is not closed, tickets left out."""
    await api.gateway.settled()
    wanted = _Filter(caller, None, account, symbol, None, after, limit)
    working = api.gateway.state.working
    ids = [
        each for each in sorted(working) if not working[each].staged or working[each].status is not OrderStatus.STAGED
    ]
    snapshot = {each: working[each] for each in ids}
    wanted_ids = wanted.page_from([each for each in ids if wanted.order(snapshot[each])])
    return Listing(wanted_ids, snapshot.get, limit=wanted.limit)


@command(Right.READ, narrow=True)
async def query_tickets(
    api: Api,
    caller: Caller,
    since: str | None = None,
    account: str | None = None,
    symbol: Upper | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Give permid -> ticket: the trading day's staged orders and all that still wait; filters as query_orders."""
    return await _orders(api, _Filter(caller, since, account, symbol, status, after, limit), tickets=True)


@command(Right.READ, narrow=True)
async def query_execution(api: Api, caller: Caller, id: str) -> Execution | None:
    """Give an execution by its id, of today or before; null when unknown."""
    await api.gateway.settled()
    execution = await api.gateway.history.find_execution(id)
    return execution if execution is not None and caller.grant.reaches(execution.account) else None


@command(Right.READ, narrow=True)
async def query_executions(
    api: Api,
    caller: Caller,
    since: str | None = None,
    account: str | None = None,
    symbol: Upper | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Give id -> execution of the current trading day; filters as query_orders, paged in the order they came."""
    await api.gateway.settled()
    wanted = _Filter(caller, since, account, symbol, None, after, limit)
    older: dict[str, Execution] = {}
    if wanted.since is not None:
        older = await api.gateway.history.executions_since(wanted.since)
        await api.gateway.settled()
    state = api.gateway.state
    today, seq = state.executions_today(), state.seq
    ids = [*(each for each in older if each not in today), *today] if older else list(today)
    if after is not None:
        ids = ids[ids.index(after) + 1 :] if after in ids else []

    def get(execution_id: str) -> Execution | None:
        held = today.get(execution_id) or older.get(execution_id)
        execution = codec.unpack_execution(held) if isinstance(held, bytes) else held
        return execution if execution is not None and wanted.execution(execution) else None

    return Listing(ids, get, wanted.limit, "executions" if wanted.everything else "", seq)


@command(Right.READ, narrow=True)
async def query_order_executions(api: Api, caller: Caller, id: str) -> dict[str, Execution]:
    """Give id -> execution of one order, of today or before."""
    await api.gateway.settled()
    order = await api.gateway.history.find(id)
    if order is None or not caller.grant.reaches(order.account):
        return {}
    return await api.gateway.history.executions_of(order)


async def _orders(api: Api, wanted: _Filter, tickets: bool) -> Listing:
    await api.gateway.settled()
    older: dict[str, Order] = {}
    if wanted.since is not None:
        older = await api.gateway.history.orders_since(wanted.since)
        await api.gateway.settled()
    state = api.gateway.state
    today, seq = state.orders_today(), state.seq
    in_order = api.in_order.ids(today, tuple(day.day for day in state.days.values()))
    ids = wanted.page_from(sorted({*in_order, *older}) if older else in_order)

    def get(order_id: str) -> Order | None:
        held = today.get(order_id) or older.get(order_id)
        order = codec.unpack_order(held) if isinstance(held, bytes) else held
        if order is None or order.staged is not tickets or not wanted.order(order):
            return None
        return order

    kept = ("tickets" if tickets else "orders") if wanted.everything else ""
    return Listing(ids, get, wanted.limit, kept, seq)


class _Filter:
    """What of a list is wanted."""

    def __init__(
        self,
        caller: Caller,
        since: str | None,
        account: str | None,
        symbol: str | None,
        status: str | None,
        after: str | None,
        limit: int | None,
    ) -> None:
        self.since = None if since is None else _date("since", since)
        self.grant = caller.grant
        self.account = account
        self.symbol = symbol
        self.status = None if status is None else _status(status)
        self.after = after
        self.limit = limit
        if limit is not None and limit < 1:
            raise BadArgument(f"limit {limit} must be 1 or more.")

    @property
    def everything(self) -> bool:
        """Whether all of today's are wanted: nothing narrows or widens the list, though it may be paged."""
        narrowed = (self.since, self.grant.accounts, self.account, self.symbol, self.status)
        return all(each is None for each in narrowed)

    def order(self, order: Order) -> bool:
        """Whether an order is wanted."""
        return (
            self.account in (None, order.account)
            and self.grant.reaches(order.account)
            and self.symbol in (None, order.symbol)
            and (self.status is None or order.status in self.status)
        )

    def execution(self, execution: Execution) -> bool:
        """Whether an execution is wanted."""
        return (
            self.account in (None, execution.account)
            and self.grant.reaches(execution.account)
            and self.symbol in (None, execution.symbol)
        )

    def page_from(self, ids: Sequence[str]) -> Sequence[str]:
        """The ids after `after`, which are sorted."""
        return ids if self.after is None else [each for each in ids if each > self.after]


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BadArgument(f"{name} {text!r} is no date: give YYYY-MM-DD.") from None


def _status(text: str) -> frozenset[OrderStatus]:
    """FIX's words, or `open` and `closed`."""
    chosen: set[OrderStatus] = set()
    for word in text.split(","):
        if word.strip().lower() == "open":
            chosen |= set(OrderStatus) - CLOSED
        elif word.strip().lower() == "closed":
            chosen |= CLOSED
        else:
            name = word.strip().upper()
            try:
                chosen.add(OrderStatus.CANCELED if name == "CANCELLED" else OrderStatus(name))
            except ValueError:
                known = ", ".join(["open", "closed", *OrderStatus])
                raise BadArgument(f"status {name!r} is none of {known}.") from None
    return frozenset(chosen)
