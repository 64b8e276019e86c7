"""Who comes in by what: users with a password, and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from txgateway.model.rights import EVERYTHING, Grant


@dataclass(frozen=True, slots=True)
class User:
    """A person or program with a password, of which only the hash is known; `changed_by` says who let them in."""

    name: str
    password_hash: str = field(default="", repr=False)
    grant: Grant = EVERYTHING
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that an admin made, of which only the hash is kept; None never expires."""

    name: str
    digest: str = field(repr=False)
    grant: Grant
    created: datetime
    created_by: str
    expires: datetime | None = None

    def lives(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


Credential = User | Token
