"""Who may do what. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from hmac import compare_digest

from txgateway.model.order import Origin


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, and by which way in; `listener` is what its market data subscriptions hang on."""

    user: str
    origin: Origin
    listener: Hashable = "rpc"
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """The one user of the configuration."""

    username: str
    password: str

    def authenticate(self, username: str, password: str) -> bool:
        """True for the right pair; the time taken tells nothing."""
        right_name = compare_digest(username.encode(), self.username.encode())
        right_word = compare_digest(password.encode(), self.password.encode())
        return right_name and right_word
