"""Where we and the brokers differ, and what a person says about it."""

from __future__ import annotations

from datetime import datetime

from txgateway.access import Caller
from txgateway.api import Api, DifferenceReport
from txgateway.commands import command
from txgateway.model.difference import Difference
from txgateway.model.errors import BadArgument
from txgateway.model.events import Severity
from txgateway.model.order import Order, OrderStatus
from txgateway.model.rights import Right


@command(Right.READ, narrow=True)
async def query_differences(
    api: Api, caller: Caller, all: bool = False, venue: str | None = None, account: str | None = None
) -> list[DifferenceReport]:
    """Give the open differences between us and the brokers, the most severe first; `all`: today's resolved ones too.

    Each has what it is about (position, balance, order_status, order_terms, filled_quantity, over_fill, missing_order,
    unknown_order, execution, broker_order_id, reconciliation), ours, theirs, its severity and its age in seconds.
    """
    if venue is not None and venue not in api.brokers:
        raise BadArgument(f"venue {venue!r} is unknown: query_venues lists them.")
    await api.gateway.settled()
    state, now = api.gateway.state, api.about.clock()
    found = list(state.differences.values())
    if all:
        found.extend(each for day in state.days.values() for each in day.resolved)
    wanted = [each for each in found if venue in (None, each.venue) and account in (None, each.account)]
    wanted = [each for each in wanted if not each.account or caller.grant.reaches(each.account)]
    scale = tuple(Severity)
    wanted.sort(key=lambda each: (each.resolved is not None, -scale.index(each.severity), each.found, each.seq))
    return [_report(api, each, now) for each in wanted]


@command(Right.ADMIN)
async def resolve_order(api: Api, caller: Caller, id: str, status: str, reason: str) -> Order:
    """End an order that is UNKNOWN, after asking the broker by telephone: status CANCELED, REJECTED or EXPIRED.

    The reason is kept with your name. What the broker says later still counts. An order is never resolved as FILLED:
    a fill comes as an execution of the broker, with its price and its id, or not at all.
    """
    try:
        wanted = OrderStatus(status.strip().upper())
    except ValueError:
        raise BadArgument(f"status {status!r} is none of CANCELED, REJECTED, EXPIRED.") from None
    return await api.gateway.resolve(id, wanted, _note(reason), caller.user)


@command(Right.ADMIN)
async def resolve_difference(
    api: Api, caller: Caller, what: str, key: str, reason: str, account: str = "", venue: str | None = None
) -> DifferenceReport:
    """Settle a difference that a person has looked into; a position is then taken over as the broker shows it.

    Of a balance the gap is taken over that is shown: what has been traded since it was found stays counted.

    It is named by its what, key and account (as query_differences gives them) and its venue (else the account's, and
    without an account the default one). Settled without a cause, it is found again by the next reconciliation.
    """
    place = venue or (api.gateway.venue_of(account) if account else None) or api.about.default_venue
    settled = await api.gateway.settle((place, account, what, key), _note(reason), caller.user)
    return _report(api, settled, api.about.clock())


def _note(reason: str) -> str:
    if not reason.strip():
        raise BadArgument("reason must say what you know and from whom: it is kept for whoever asks later.")
    return reason.strip()


def _report(api: Api, each: Difference, now: datetime) -> DifferenceReport:
    seen = each.resolved or api.gateway.differences.seen(each)
    return DifferenceReport(
        venue=each.venue,
        account=each.account,
        what=each.what,
        key=each.key,
        ours=each.ours,
        theirs=each.theirs,
        severity=each.severity,
        found=each.found,
        seen=seen,
        age=max(0, int(((each.resolved or now) - each.found).total_seconds())),
        resolved=each.resolved,
        text=each.text,
        seq=each.seq,
    )
