"""Attached orders: reading."""

from __future__ import annotations

from txgateway.access import Caller
from txgateway.api import Api, ExitsReport
from txgateway.commands import Upper, command
from txgateway.families import Family
from txgateway.model.exits import Leg
from txgateway.model.rights import Right


@command(Right.READ, narrow=True)
async def query_exits(
    api: Api, caller: Caller, id: str | None = None, account: str | None = None, symbol: Upper | None = None
) -> dict[str, ExitsReport]:
    """Give permid of the entry -> its plan, what is left of it, its working exits; of every entry that has any.

    With the id of an entry, or of one of its exits, that one alone, also when it ended today. `trouble` is not empty
    where an exit could not be sent. The exits in `asleep` the broker holds until the entry is filled whole.
    """
    await api.gateway.settled()
    families = api.gateway.state.families
    if id is not None:
        order = await api.gateway.history.find(id)
        found = families.find(order.order_id) if order is not None else None
        return {} if found is None or not caller.grant.reaches(found.account) else {found.entry: _report(api, found)}
    return {
        each.entry: _report(api, each)
        for each in families
        if caller.grant.reaches(each.account) and account in (None, each.account) and symbol in (None, each.symbol)
    }


def _report(api: Api, family: Family) -> ExitsReport:
    orders = [api.gateway.state.order(each) for each in family.alive]
    return ExitsReport(
        entry=family.entry,
        account=family.account,
        symbol=family.symbol,
        side=family.side,
        exits=family.plan,
        filled=family.filled,
        left=family.left,
        average_price=family.average_price,
        began=family.began,
        stop_price=family.prices.get(Leg.STOP_LOSS),
        orders=[each for each in orders if each is not None],
        asleep=family.asleep,
        trouble=api.exit_trouble(family.entry),
        closing=family.closing,
        ended=family.ended,
    )
