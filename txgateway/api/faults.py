"""Faults on purpose: what a venue that can (paper) is told to do wrong, for tests and rehearsals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from txgateway.access import Caller
from txgateway.api import Api, FaultsReport
from txgateway.brokers import Can
from txgateway.commands import Upper, command
from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.fault import MEANINGS, Fault, FaultKind, kind_of, make_fault
from txgateway.model.rights import Right

ONE = Decimal(1)


@command(Right.READ)
def query_faults(api: Api, caller: Caller, venue: str | None = None) -> FaultsReport:
    """Give venue -> the faults that are set there, of one venue or of all that can, and what each did so far.

    `known` among them has every fault there is, with what it does.
    """
    known = {kind.value: MEANINGS[kind].text for kind in FaultKind}
    return FaultsReport(known, {name: _shown(api, name) for name in _venues(api, venue)})


@command(Right.ADMIN)
async def set_fault(
    api: Api,
    caller: Caller,
    fault: str,
    chance: Decimal | None = None,
    count: int | None = None,
    seconds: Decimal | None = None,
    symbol: Upper | None = None,
    venue: str | None = None,
    account: Upper | None = None,
) -> list[Fault]:
    """Let something go wrong at a venue that can (paper), by `chance` (0 to 1; else always) and `count` times at most.

    `symbol` and `account` narrow it, `seconds` say how late or for how long; query_faults tells what there is. It ends
    with clear_faults or a restart, and is in the journal. Gives the faults that are set there now.
    """
    name = _venues(api, venue or api.about.default_venue)[0]
    try:
        made = make_fault(fault, ONE if chance is None else chance, count, seconds, symbol or "", account or "")
    except ValueError as error:
        raise BadArgument(f"{error}.") from None
    api.brokers[name].set_fault(made)
    await _journal(api, caller, [name])
    return _shown(api, name)


@command(Right.ADMIN)
async def clear_faults(
    api: Api, caller: Caller, fault: str | None = None, venue: str | None = None
) -> dict[str, list[Fault]]:
    """Let no more go wrong: of one fault or of all, at one venue or everywhere. Gives venue -> what is still set."""
    try:
        kind = kind_of(fault) if fault else None
    except ValueError as error:
        raise BadArgument(f"{error}.") from None
    names = _venues(api, venue)
    for name in names:
        api.brokers[name].clear_faults(kind)
    await _journal(api, caller, names)
    return {name: _shown(api, name) for name in names}


def _venues(api: Api, venue: str | None) -> list[str]:
    """The venues that are meant; Refused when there is none such, or none that can."""
    if venue is not None and venue not in api.brokers:
        raise Refused(Reason.UNKNOWN_VENUE, f"Venue {venue!r} is unknown: query_venues lists them.")
    able = [name for name, broker in api.brokers.items() if Can.FAULTS in broker.can and venue in (None, name)]
    if not able:
        where = f"Venue {venue} cannot" if venue else "No venue here can"
        raise Refused(Reason.UNSUPPORTED, f"{where} be made to fail on purpose: those of kind paper can.")
    return able


def _shown(api: Api, venue: str) -> list[Fault]:
    return list(api.brokers[venue].faults())


async def _journal(api: Api, caller: Caller, venues: Sequence[str]) -> None:
    """Put on record what is set now."""
    for name in venues:
        text = "; ".join(str(fault) for fault in api.brokers[name].faults())
        api.gateway.change_setting(f"faults:{name}", text or None, caller.user)
    await api.gateway.settled()
