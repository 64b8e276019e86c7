"""Who may come in by a password: the configuration's users and those of the data folder, as its file is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from twisted.logger import Logger

from txgateway import users
from txgateway.access import Access
from txgateway.ledger import Ledger
from txgateway.model.credential import User
from txgateway.model.events import UserChanged, UserRemoved

log = Logger()

SECONDS = 1.0
"""How soon a change of the file is seen."""


class Door(Protocol):
    """A server whose clients stay: each is disconnected once its login is good no more."""

    def review(self) -> None:
        """Disconnect those."""


class Roster:
    """Lets in and out by the file, each second, and journals it. A file that cannot be read changes nothing."""

    def __init__(
        self,
        folder: Path,
        configured: Sequence[User],
        access: Access,
        ledger: Ledger,
        reactor: Any,
        clock: Callable[[], datetime],
    ) -> None:
        self.doors: Sequence[Door] = ()
        self._path = folder / users.FILE
        self._configured = {user.name: user for user in configured}
        self._access = access
        self._reactor = reactor
        self._clock = clock
        self._ledger = ledger
        self._seen: tuple[int, int, int] | None = None
        self._next: Any = None

    def load(self) -> None:
        """Let in who is in the file; ValueError, OSError: it cannot be read."""
        self._seen = _look(self._path)
        self._let_in(users.read(self._path))

    def start(self) -> None:
        """Journal who has come and gone since the last run, and watch the file."""
        self._note()
        self._watch()

    def stop(self) -> None:
        """Watch it no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def review(self) -> None:
        """Disconnect whose login is good no more."""
        for door in self.doors:
            door.review()

    def _let_in(self, found: Mapping[str, User]) -> None:
        """These may come in, beside the configured ones, whose names nobody else may have."""
        for name in found:
            if name == self._access.owner.name or name in self._configured:
                log.warn("user {name} of the data folder is left out: the configuration has one", name=name)
        self._access.users = {**found, **self._configured}

    def _watch(self) -> None:
        """See whether the file is another one, and whose login has come to its end."""
        self._next = self._reactor.callLater(SECONDS, self._watch)
        try:
            seen = _look(self._path)
            if seen != self._seen:
                self._seen = seen
                self._let_in(users.read(self._path))
                self._note()
        except (ValueError, OSError) as error:
            log.error("{error}: nobody is let in or out by it until it is mended.", error=str(error))
        self.review()

    def _note(self) -> None:
        """Journal who was let in, changed or removed since the journal last said so."""
        known, now, record = self._ledger.state.users, self._clock(), self._ledger.record
        for name in [name for name in known if name not in self._access.users]:
            record(UserRemoved(name, "the users' file", now))
        for name, user in self._access.users.items():
            mark = sha256(user.password_hash.encode()).hexdigest()[:12]
            before = known.get(name)
            if before is None or (before.grant, before.mark) != (user.grant, mark):
                record(UserChanged(name, user.grant, mark, user.changed_by, now))


def _look(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from another."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
