"""What bore on an order and is of no order: faults that were set on purpose, halts, its venue's connection. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from txgateway.model.events import Event, Record, SettingChanged, TradingHalted, TradingResumed, VenueStatusChanged
from txgateway.model.scope import Subject

FAULTS = "faults:"
"""How the name of the setting begins that has what is to go wrong at a venue."""
Told = tuple[Record, str]
"""A record and its hash."""


def bearing(records: Iterable[Told], subject: Subject, first: int) -> list[Told]:
    """Those of the records that bear on an order which began at seq `first`; before it, what was in force then."""
    before: dict[str, Told] = {}
    since: list[Told] = []
    for told in sorted(records, key=lambda each: each[0].seq):
        record, event = told[0], told[0].event
        what = _about(event, subject)
        if not what:
            continue
        if record.seq > first:
            since.append(told)
        elif isinstance(event, TradingHalted) or (isinstance(event, SettingChanged) and event.value is not None):
            before[what] = told
        else:
            before.pop(what, None)
    return sorted(before.values(), key=lambda each: each[0].seq) + since


def _about(event: Event, subject: Subject) -> str:
    """What of an order's circumstances a record changes; empty when it bears on others only."""
    if isinstance(event, TradingHalted | TradingResumed):
        return str(event.scope) if event.scope.covers(subject) else ""
    if isinstance(event, SettingChanged):
        return event.name if event.name == f"{FAULTS}{subject.venue}" else ""
    return "connection" if isinstance(event, VenueStatusChanged) and event.venue == subject.venue else ""
