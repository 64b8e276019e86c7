"""Who may do what: users, tokens, what they may do and how often. Pure: the hashing of passwords is logins.py's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from txgateway.model.credential import Credential, Token, User
from txgateway.model.errors import NotAllowed, TooMany
from txgateway.model.order import Origin
from txgateway.model.rights import EVERYTHING, Grant, Right

TOKEN_PREFIX = "txg_"
"""What every token begins with."""
BURST = 2.0
"""How many seconds' worth of requests may come at once."""
SOURCES = 10_000
"""Sources of failed logins that are remembered; the one that failed longest ago is forgotten first."""
FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
"""Seconds that the answer to a wrong login takes: the first, doubled each time, at most."""
ANY_USER = "*"
"""All names that are tried from one address, together."""
FORGIVEN = 900.0
"""Seconds without another wrong login after which a source begins anew."""


class Pace:
    """How many requests a second a user may send, all connections together; `seconds` is a monotonic clock.

    So many as `most` may come at once: by default two seconds' worth.
    """

    def __init__(self, rate: float, seconds: Callable[[], float], most: float | None = None) -> None:
        self._rate = rate
        self._seconds = seconds
        self._most = max(1.0, rate * BURST if most is None else most)
        self._left = self._most
        self._at = seconds()

    def take(self) -> bool:
        """Whether one more is within the limit."""
        now = self._seconds()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, and by which way in; `listener` is what its market data subscriptions hang on."""

    user: str
    origin: Origin
    listener: Hashable = "rpc"
    lease: str = ""
    grant: Grant = EVERYTHING
    host: str = ""
    pace: Pace | None = None
    credential: Credential | None = None
    """What it came in by; None inside the daemon."""

    @property
    def accounts(self) -> tuple[str, ...] | None:
        """The accounts it is kept to; None: all."""
        return self.grant.accounts

    def check(self, name: str, right: Right, narrow: bool, urgent: bool) -> None:
        """NotAllowed or TooMany unless it may give a command now."""
        if self.grant is not EVERYTHING and right not in self.grant:
            raise NotAllowed(f"{name} needs the scope {right}, which {self.user} has not: an admin can grant it.")
        if self.grant.accounts is not None and not narrow:
            only = ", ".join(self.grant.accounts)
            raise NotAllowed(f"{name} concerns every account, and {self.user} is kept to {only}.")
        if self.pace is not None and not urgent and not self.pace.take():
            raise TooMany(f"{self.user} sends too many requests: slow down (cancels are never held back).")


class Access:
    """All who may come in: the configured user, other users by name, tokens by digest. `tokens` is the state's own."""

    def __init__(
        self,
        username: str,
        password: str,
        tokens: Mapping[str, Token] | None = None,
        login_delay: float = LONGEST_DELAY,
    ) -> None:
        self.owner = User(username)
        self._password = password.encode()
        self.users: Mapping[str, User] = {}
        """Everyone else with a password."""
        self.tokens: Mapping[str, Token] = {} if tokens is None else tokens
        self.failures = Failures(login_delay)

    def is_owner(self, username: str, password: str) -> bool:
        """True for the configured pair; the time taken tells nothing."""
        right_name = compare_digest(username.encode(), self.owner.name.encode())
        right_word = compare_digest(password.encode(), self._password)
        return right_name and right_word

    def token(self, secret: str, now: datetime) -> Token | None:
        """The token that this is, while it lives."""
        found = self.tokens.get(digest_of(secret))
        return found if found is not None and found.lives(now) else None

    def holds(self, credential: Credential, now: datetime) -> bool:
        """Whether a credential is still good: neither changed, removed, revoked nor expired."""
        if credential is self.owner:
            return True
        if isinstance(credential, Token):
            return self.tokens.get(credential.digest) == credential and credential.lives(now)
        return self.users.get(credential.name) == credential

    def taken(self, name: str) -> bool:
        """Whether a user or a token has this name already."""
        return name == self.owner.name or name in self.users or any(each.name == name for each in self.tokens.values())


def digest_of(secret: str) -> str:
    """What is kept of a token: it has 256 bits of chance, so that a plain hash is as good as a slow one."""
    return sha256(secret.encode()).hexdigest()


# ---------------------------------------------------------------- failed logins


@dataclass(slots=True)
class Source:
    """A place and a name from which wrong logins come."""

    host: str
    user: str
    count: int = 0
    last: datetime | None = None
    at: float = 0.0


@dataclass(slots=True)
class Failures:
    """Failed logins, counted by source: bounded, however many there are."""

    longest: float = LONGEST_DELAY
    """Seconds that an answer takes at most."""
    total: int = 0
    turned_away: int = 0
    """Logins that were not even looked at, because too many from the same source were waiting."""
    sources: OrderedDict[tuple[str, str], Source] = field(default_factory=OrderedDict)

    def add(self, host: str, user: str, now: datetime, seconds: float) -> float:
        """Count one more; gives how long its answer should take. Names that are tried in turn add up, more slowly."""
        self.total += 1
        count = max(self._count(host, user, now, seconds), self._count(host, ANY_USER, now, seconds) // 8)
        return float(min(self.longest, FIRST_DELAY * 2 ** min(count - 1, 16)))

    def _count(self, host: str, user: str, now: datetime, seconds: float) -> int:
        source = self.sources.pop((host, user), None) or Source(host, user)
        if seconds - source.at > FORGIVEN:
            source.count = 0
        source.count, source.last, source.at = source.count + 1, now, seconds
        self.sources[host, user] = source
        while len(self.sources) > SOURCES:
            self.sources.popitem(last=False)
        return source.count

    def forgive(self, host: str, user: str) -> None:
        """The right password came after all."""
        self.sources.pop((host, user), None)
