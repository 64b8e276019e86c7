"""Integrations: a sender's word that a user's strategies are to signal to one of our sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Step(StrEnum):
    """What became of an integration, or of one of its strategies.

    ASKED: the sender is asked for it, and has not answered. REQUESTED: it is there, for the user to approve. FAILED:
    the sender would not make it. APPROVED, REJECTED, DELETED: by the user. ENABLED, DISABLED: one strategy, by the
    user. ENDING: from a day on the sender speaks no more as we understand it.
    """

    ASKED = "ASKED"
    REQUESTED = "REQUESTED"
    FAILED = "FAILED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    DELETED = "DELETED"
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    ENDING = "ENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a sender says of an integration. `name` is what it calls it, `strategy` whom ENABLED and DISABLED mean.

    `ending` says until when the sender will speak as it does (empty: nothing said of an end).
    """

    name: str
    step: Step | None = None
    description: str = ""
    strategy: str = ""
    strategy_name: str = ""
    ending: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One of an integration's strategies; `sent` is when the sender said so, by its own clock."""

    strategy: str
    name: str = ""
    enabled: bool = True
    sent: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """An integration as it stands: `step` is its own last, `sent` the same by the sender's clock where it said so.

    `warning` is what the sender is about to end.
    """

    source: str
    name: str
    step: Step
    changed: datetime
    sent: datetime | None = None
    description: str = ""
    user_email: str = ""
    url: str = ""
    text: str = ""
    by: str = ""
    warning: str = ""
    strategies: Mapping[str, Strategy] = field(default_factory=dict)
