"""What a venue is like beside its orders: how positions are held, what may be asked how often, its own endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PositionMode(StrEnum):
    """How an account holds a symbol: one net position, or a long and a short one beside each other."""

    ONE_WAY = "ONE_WAY"
    HEDGE = "HEDGE"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much a venue takes within a time: `limit` units (requests, weights, orders), of which `remaining` are left.

    `reset` is when it is whole again, None when it is whole now; `seconds` is how long it counts.
    """

    name: str
    limit: int
    remaining: int
    seconds: float
    reset: datetime | None = None


class EndpointApi(StrEnum):
    """Whether an endpoint is for everyone, or signed with the account's key."""

    PUBLIC = "public"
    PRIVATE = "private"


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""The methods that an endpoint may be called with."""


@dataclass(frozen=True, slots=True)
class EndpointCall:
    """A request in the venue's own words: a path of its API, a method of METHODS, and what goes with it."""

    path: str
    api: EndpointApi
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether it may change something there."""
        return self.api is EndpointApi.PRIVATE and self.method != "GET"
