"""Integrations at the senders', folded from the journal with the rest of the state. Pure.

What a sender says may come late or twice: by its own clock the later word stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from txgateway.model.events import IntegrationChanged
from txgateway.model.integration import Integration, Step, Strategy

KEPT = 1000
"""Integrations, and strategies of each, that are remembered; the journal has all."""
_integration = msgspec.json.Decoder(Integration).decode


@dataclass(slots=True)
class Integrations:
    """All that are known, by source and name."""

    known: dict[tuple[str, str], Integration] = field(default_factory=dict)

    def of(self, source: str) -> list[Integration]:
        """Those of a source."""
        return [each for each in self.known.values() if each.source == source]

    def warning(self, source: str) -> str:
        """What its sender is about to end; nothing while it is not."""
        return next((each.warning for each in self.of(source) if each.warning), "")

    def take(self, event: IntegrationChanged) -> None:
        """One of them came to another step."""
        key = (event.source, event.name)
        before = self.known.get(key)
        if before is None:
            step = event.step if event.step not in (Step.ENABLED, Step.DISABLED, Step.ENDING) else Step.APPROVED
            before = Integration(source=event.source, name=event.name, step=step, changed=event.time)
        self.known[key] = _after(before, event)
        _bound(self.known)

    def dump(self) -> list[Integration]:
        """Everything, as it is at this moment."""
        return list(self.known.values())

    def load(self, body: bytes) -> None:
        """Take in one of `dump`, as JSON."""
        integration = _integration(body)
        self.known[integration.source, integration.name] = integration


def _after(before: Integration, event: IntegrationChanged) -> Integration:
    match event.step:
        case Step.ENDING:
            return replace(before, warning=event.text)
        case Step.ENABLED | Step.DISABLED:
            return replace(before, strategies=_strategies(before, event))
        case Step.ASKED:
            return Integration(
                source=event.source,
                name=event.name,
                step=event.step,
                changed=event.time,
                description=event.description,
                user_email=event.user_email,
                url=event.url,
                by=event.by,
                warning=before.warning,
                strategies=before.strategies,
            )
        case Step.REQUESTED | Step.FAILED:
            if before.step is not Step.ASKED:
                return before  # the user was faster than the answer
            return replace(before, step=event.step, changed=event.time, text=event.text)
    if _is_late(event, before.sent):
        return before
    return replace(
        before,
        step=event.step,
        changed=event.time,
        sent=event.sent,
        text="",
        description=event.description or before.description,
        strategies={} if event.step is Step.DELETED else before.strategies,
    )


def _strategies(before: Integration, event: IntegrationChanged) -> dict[str, Strategy]:
    found = dict(before.strategies)
    known = found.pop(event.strategy, None)
    if known is not None and _is_late(event, known.sent):
        found[event.strategy] = known
        return found
    enabled = event.step is Step.ENABLED
    name = event.strategy_name or (known.name if known is not None else "")
    found[event.strategy] = Strategy(strategy=event.strategy, name=name, enabled=enabled, sent=event.sent)
    _bound(found)
    return found


def _is_late(event: IntegrationChanged, last: datetime | None) -> bool:
    return event.sent is not None and last is not None and event.sent < last


def _bound(known: dict[str, Strategy] | dict[tuple[str, str], Integration]) -> None:
    """Forget the oldest where there are too many."""
    while len(known) > KEPT:
        del known[next(iter(known))]  # type: ignore[arg-type]
