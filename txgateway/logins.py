"""The door: a user name and password, or a token, become a Caller. What is slow or wrong holds nobody else up.

A credential just found right is known again by a keyed digest (the key lives as long as the process), for a while:
basic authentication would pay the slow hash on every call otherwise. The slow hash runs in a thread, a few at a time. A
wrong login's answer takes longer each time, and only so many of one source wait for theirs: the rest is not looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from hashlib import blake2b
from secrets import token_bytes
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from txgateway.access import ANY_USER, TOKEN_PREFIX, Access, Caller, Pace
from txgateway.model.credential import Credential
from txgateway.model.errors import TooMany
from txgateway.model.order import Origin
from txgateway.passwords import verify_password

log = Logger()

KEPT = 1024
"""Credentials that are known again."""
KEPT_SECONDS = 300.0
"""For how long."""
AT_ONCE, IN_LINE = 1, 128
"""Slow hashes at a time (each takes a core and 19 MB for some hundredths of a second), and logins in line for one."""
WAITING_OF_SOURCE, WAITING_OF_HOST, WAITING = 4, 32, 256
"""Wrong (or not yet checked) logins that wait for their answer: of one user at one address, of an address, in all."""
DEFAULT_RATE = 5000.0
"""A user's or token's requests a second, unless the configuration says otherwise; its own user has no limit then."""

LONGEST_NAME = 80
"""Characters of a user name that are kept of a wrong login."""
T = TypeVar("T")
Verify = Callable[[str, str], bool]
"""(a password's hash, a password) -> whether it is that one; slow."""


class Logins:
    """All ways in ask here who comes."""

    def __init__(
        self,
        access: Access,
        reactor: Any,
        clock: Callable[[], datetime],
        rate: float | None = None,
        verify: Verify = verify_password,
    ) -> None:
        """`rate`: requests a second of each user, 0 without a limit, None as DEFAULT_RATE says."""
        self.access = access
        self._reactor = reactor
        self._clock = clock
        self._rate = rate
        self._verify = verify
        self._key = token_bytes(32)
        self._known: OrderedDict[bytes, tuple[Credential, float]] = OrderedDict()
        self._paces: dict[str, Pace] = {}
        self._hashing = DeferredSemaphore(AT_ONCE)
        self._asked: dict[bytes, list[Deferred[None]]] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    # who is known

    def known(self, given: bytes, origin: Origin, host: str, listener: Hashable = "rpc") -> Caller | None:
        """Who has come in by exactly this a short while ago, and still may; None: ask `enter`."""
        digest = self._digest(given)
        found = self._known.get(digest)
        if found is None:
            return None
        credential, until = found
        if self._reactor.seconds() >= until or not self.access.holds(credential, self._clock()):
            del self._known[digest]
            return None
        return self._caller(credential, origin, host, listener)

    def _digest(self, given: bytes) -> bytes:
        return blake2b(given, digest_size=32, key=self._key).digest()

    def _remember(self, digest: bytes, credential: Credential) -> None:
        self._known.pop(digest, None)
        self._known[digest] = (credential, self._reactor.seconds() + KEPT_SECONDS)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _caller(self, credential: Credential, origin: Origin, host: str, listener: Hashable) -> Caller:
        pace = self._paces.get(credential.name)
        if pace is None and (rate := self._limit(credential)):
            pace = self._paces[credential.name] = Pace(rate, self._reactor.seconds)
        return Caller(credential.name, origin, listener, "", credential.grant, host, pace, credential)

    def _limit(self, credential: Credential) -> float:
        if self._rate is not None:
            return self._rate
        return 0.0 if credential is self.access.owner else DEFAULT_RATE

    def holds(self, caller: Caller) -> bool:
        """Whether who came in may still be in."""
        credential = caller.credential
        return credential is None or credential is self.access.owner or self.access.holds(credential, self._clock())

    # who comes

    async def enter(
        self, given: bytes, username: str, password: str, origin: Origin, host: str, listener: Hashable = "rpc"
    ) -> Caller | None:
        """Who this is, or None after a while; TooMany, at once, while too many from there wait for their answers.

        `given` is what `known` will know it by. A token is known by itself, whatever the user name.
        """
        source, digest = (host, username[:LONGEST_NAME]), self._digest(given)
        self._refuse_too_many(source)
        begun = self._reactor.seconds()
        credential = await self._credential(digest, source, username, password)
        if credential is not None:
            self.access.failures.forgive(*source)
            self._remember(digest, credential)
            return self._caller(credential, origin, host, listener)
        delay = self.access.failures.add(*source, self._clock(), self._reactor.seconds())
        log.warn(
            "wrong login of {user!r} from {host}: answered after {delay:g} s", user=source[1], host=host, delay=delay
        )
        if self._waiting.total() < 2 * WAITING:
            await self._held(source, deferLater(self._reactor, max(0.0, begun + delay - self._reactor.seconds())))
        return None

    def _refuse_too_many(self, source: tuple[str, str]) -> None:
        if self._waiting[source] >= WAITING_OF_SOURCE or self._waiting[source[0], ANY_USER] >= WAITING_OF_HOST:
            self.access.failures.turned_away += 1
            raise TooMany("Too many logins from this address wait for their answers: try again in some seconds.")

    async def _held(self, source: tuple[str, str], work: Deferred[T]) -> T:
        """The work's result; until it is there, one more of this source waits."""
        both = (source, (source[0], ANY_USER))
        self._waiting.update(both)
        try:
            return await work
        finally:
            self._waiting.subtract(both)
            for each in both:
                if self._waiting[each] <= 0:
                    del self._waiting[each]

    async def _credential(
        self, digest: bytes, source: tuple[str, str], username: str, password: str
    ) -> Credential | None:
        access = self.access
        if access.is_owner(username, password):
            return access.owner
        if password.startswith(TOKEN_PREFIX):
            return access.token(password, self._clock())
        user = access.users.get(username)
        if user is None or not user.password_hash:
            return None
        asked = self._asked.get(digest)
        if asked is not None:  # the same pair is being checked: many connections of one program open at once
            asked.append(Deferred())
            await asked[-1]
            found = self._known.get(digest)
            return user if found is not None and found[0] == user else None
        if len(self._asked) >= IN_LINE:
            self.access.failures.turned_away += 1
            raise TooMany("Too many logins are being looked at: try again in some seconds.")
        asked = self._asked[digest] = []
        try:
            right = await self._held(
                source, self._hashing.run(deferToThread, self._verify, user.password_hash, password)
            )
            if not right or access.users.get(username) != user:
                return None
            self._remember(digest, user)
            return user
        finally:
            del self._asked[digest]
            for each in asked:
                each.callback(None)


def credentials(header: bytes) -> tuple[str, str] | None:
    """The user and password in an Authorization header, basic or (without a user) bearer; None when it is neither."""
    scheme, _, text = header.partition(b" ")
    try:
        if scheme.lower() == b"bearer":
            return "", text.strip().decode()
        if scheme.lower() != b"basic":
            return None
        username, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (username, password) if colon else None
