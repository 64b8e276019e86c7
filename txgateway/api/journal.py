"""The journal, and an order's whole story."""

from __future__ import annotations

from txgateway import codec
from txgateway.access import Caller
from txgateway.api import Api, Entry, Story
from txgateway.commands import command
from txgateway.model.errors import BadArgument
from txgateway.model.exits import Leg, exit_key
from txgateway.model.order import Order
from txgateway.model.rights import Right


@command(Right.READ)
async def query_journal(
    api: Api,
    caller: Caller,
    after: int = 0,
    limit: int = 100,
    order: str | None = None,
    kind: str | None = None,
) -> list[Entry]:
    """Give up to `limit` (1000 at most) records with seq > after, of one order or some kinds if named."""
    kinds = [each.strip() for each in kind.split(",")] if kind else []
    for each in kinds:
        if each not in codec.KINDS:
            raise BadArgument(f"kind {each!r} is no kind of record: one of {', '.join(sorted(codec.KINDS))}.")
    if not 0 < limit <= 1000:
        raise BadArgument(f"limit {limit} must be from 1 to 1000.")
    order_id = order
    if order is not None:
        found = await api.gateway.history.find(order)
        order_id = found.order_id if found else order
    return [Entry(*each) for each in await api.gateway.history.page(after, limit, order_id, kinds)]


@command(Right.READ, narrow=True)
async def explain_order(api: Api, caller: Caller, id: str) -> Story | None:
    """Tell an order's whole story, from its arrival to its last fill, with times; null when it is unknown.

    An entry's story is told with that of its exits, an exit's with that of its entry, and with the signal they came by.
    What bore on it is told, too: faults that were set on purpose, halts that cover it, how its venue was connected.
    """
    await api.gateway.settled()
    order = await api.gateway.history.find(id)
    if order is None or not caller.grant.reaches(order.account):
        return None
    family = [*await _family(api, order), *filter(None, [order.signal])]
    pages = [await api.gateway.history.page(0, -1, each, ()) for each in family]
    entries = sorted((each for page in pages for each in page), key=lambda each: each[0].seq)
    if entries:
        working = api.gateway.state.working
        last = None if any(each in working for each in family) else entries[-1][0].seq
        around = await api.gateway.history.circumstances(order, entries[0][0].seq, last)
        entries = sorted([*entries, *around], key=lambda each: each[0].seq)
    return Story(order, [Entry(*each) for each in entries])


async def _family(api: Api, order: Order) -> list[str]:
    """The ids of an order's entry and of all its exits, by the keys that exits are given; else its own."""
    entry = order.parent or order.order_id
    if not order.parent and order.exits is None:
        return [entry]
    found = [entry]
    for leg in Leg:
        number = 1
        while (
            exit_order := await api.gateway.history.find_client(order.account, exit_key(entry, leg, number))
        ) is not None:
            found.append(exit_order.order_id)
            number += 1
    return found
