"""What a user may do: the scopes of a credential."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """Each command needs one of these. Admin has them all; trade and approve include read."""

    READ = "read"
    TRADE = "trade"
    APPROVE = "approve"
    ADMIN = "admin"
