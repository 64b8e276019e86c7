"""The door, on a clock that tests move: who is known, what is slow, what is wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from tests.desk import outcome
from txgateway.access import Access, Caller, digest_of
from txgateway.logins import DEFAULT_RATE, IN_LINE, KEPT, KEPT_SECONDS, WAITING_OF_SOURCE, Logins, credentials
from txgateway.model.credential import Token, User
from txgateway.model.errors import TooMany
from txgateway.model.order import Origin
from txgateway.model.rights import EVERYTHING, Grant, Right
from txgateway.passwords import hash_password, verify_password

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ALICE = User("alice", "hash of wonder", Grant((Right.TRADE,), ("A",)))


class Door:
    """A door on a clock; the slow hash is quick here, and counted."""

    def __init__(self, time: Any = None, **more: Any) -> None:
        self.time = time or Clock()
        self.tokens: dict[str, Token] = {}
        self.access = Access("me", "word", self.tokens)
        self.access.users = {"alice": ALICE}
        self.checked = 0
        verify: Callable[[str, str], bool] = more.pop("verify", self.verify)
        self.logins = Logins(self.access, self.time, self.now, verify=verify, **more)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time.seconds())

    def verify(self, hashed: str, password: str) -> bool:
        self.checked += 1
        return hashed == f"hash of {password}"

    def come(self, username: str, password: str, host: str = "h") -> Deferred[Caller | None]:
        given = f"{username}:{password}".encode()
        known = self.logins.known(given, Origin.RPC, host)
        if known is not None:
            done: Deferred[Caller | None] = Deferred()
            done.callback(known)
            return done
        return Deferred.fromCoroutine(self.logins.enter(given, username, password, Origin.RPC, host))


def test_the_configured_user_comes_in_at_once() -> None:
    caller = outcome(Door().come("me", "word"))
    assert (caller.user, caller.grant, caller.host, caller.pace) == ("me", EVERYTHING, "h", None)


def test_a_token_comes_in_by_itself_whatever_the_user_name() -> None:
    door = Door()
    grant = Grant((Right.READ,))
    door.tokens[digest_of("txg_1")] = Token(
        "bot", digest_of("txg_1"), grant, START, "me", START + timedelta(seconds=10)
    )
    for name in ("", "me", "anybody"):
        caller = outcome(door.come(name, "txg_1"))
        assert (caller.user, caller.grant) == ("bot", grant)
    door.time.advance(10)
    wrong = door.come("me", "txg_1")
    door.time.advance(0.25)
    assert outcome(wrong) is None


def test_a_revoked_token_is_known_no_more() -> None:
    door = Door()
    door.tokens[digest_of("txg_1")] = Token("bot", digest_of("txg_1"), EVERYTHING, START, "me")
    caller = outcome(door.come("", "txg_1"))
    assert door.logins.holds(caller)
    door.tokens.clear()
    assert not door.logins.holds(caller)
    assert door.logins.known(b":txg_1", Origin.RPC, "h") is None


@pytest_twisted.ensureDeferred
async def test_the_slow_hash_is_paid_once() -> None:
    door = Door(reactor)
    first = await door.come("alice", "wonder")
    assert first is not None
    assert (first.user, first.accounts) == ("alice", ("A",))
    for _ in range(100):
        assert await door.come("alice", "wonder") is not None
    assert door.checked == 1


@pytest_twisted.ensureDeferred
async def test_many_connections_of_one_program_pay_it_once_together() -> None:
    door = Door(reactor)
    coming = [door.come("alice", "wonder") for _ in range(50)]
    callers = [await each for each in coming]
    assert all(each is not None and each.user == "alice" for each in callers)
    assert door.checked == 1


@pytest_twisted.ensureDeferred
async def test_another_password_or_a_removal_ends_what_was_known() -> None:
    door = Door(reactor)
    caller = await door.come("alice", "wonder")
    assert caller is not None
    door.access.users = {"alice": User("alice", "hash of land", ALICE.grant)}
    assert not door.logins.holds(caller)
    assert await door.come("alice", "wonder") is None
    assert await door.come("alice", "land") is not None
    door.access.users = {}
    assert await door.come("alice", "land") is None


@pytest_twisted.ensureDeferred
async def test_a_user_removed_while_the_hash_is_checked_does_not_come_in() -> None:
    begun, go_on = Event(), Event()

    def slow(hashed: str, password: str) -> bool:
        begun.set()
        return go_on.wait(30)

    door = Door(reactor, verify=slow)
    coming = door.come("alice", "wonder")
    while not begun.is_set():
        await deferLater(reactor, 0.001)  # type: ignore[arg-type]
    door.access.users = {}
    go_on.set()
    assert await coming is None


def test_what_is_known_is_forgotten_after_a_while_and_bounded() -> None:
    door = Door()
    outcome(door.come("me", "word"))
    assert door.logins.known(b"me:word", Origin.RPC, "h") is not None
    door.time.advance(KEPT_SECONDS)
    assert door.logins.known(b"me:word", Origin.RPC, "h") is None
    for at in range(KEPT + 100):
        given = b"%d" % at
        outcome(Deferred.fromCoroutine(door.logins.enter(given, "me", "word", Origin.RPC, "h")))
    assert len(door.logins._known) == KEPT


def test_a_wrong_login_waits_longer_each_time() -> None:
    door = Door()
    for delay in (0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0):
        coming = door.come("me", "wrong")
        door.time.advance(delay - 0.01)
        assert not coming.called
        door.time.advance(0.02)
        assert outcome(coming) is None
    assert door.access.failures.total == 7


def test_an_attacker_locks_out_nobody_on_another_address() -> None:
    door = Door()
    coming = [door.come("me", f"guess {at}", "attacker") for at in range(WAITING_OF_SOURCE)]
    for _ in range(1000):
        with pytest.raises(TooMany, match="try again"):
            outcome(door.come("me", "word", "attacker"))
    assert door.access.failures.turned_away == 1000
    assert outcome(door.come("me", "word", "home")).user == "me"
    door.time.advance(5)
    assert [outcome(each) for each in coming] == [None] * WAITING_OF_SOURCE
    assert outcome(door.come("me", "word", "attacker")).user == "me"
    assert not door.logins._waiting


def test_no_more_than_so_many_connections_wait() -> None:
    door = Door()
    held = 0
    for at in range(2000):
        try:
            held += not door.come(f"user{at}", "x", f"host{at % 100}").called
        except TooMany:
            continue
    assert held <= 300
    door.time.advance(10)
    assert not door.logins._waiting


def test_who_is_known_is_not_held_up_by_wrong_logins_of_the_same_name() -> None:
    door = Door()
    outcome(door.come("me", "word"))
    for at in range(10):
        door.come("me", f"guess {at}").addErrback(lambda failure: failure.trap(TooMany))
    assert outcome(door.come("me", "word")).user == "me"


def test_users_are_held_to_a_pace_of_their_own() -> None:
    door = Door()
    door.tokens[digest_of("txg_1")] = Token("bot", digest_of("txg_1"), EVERYTHING, START, "me")
    bot, again = outcome(door.come("", "txg_1")), outcome(door.come("x", "txg_1"))
    assert bot.pace is again.pace
    assert sum(bot.pace.take() for _ in range(3 * int(DEFAULT_RATE))) == 2 * DEFAULT_RATE
    limited = Door(rate=5.0)
    assert sum(outcome(limited.come("me", "word")).pace.take() for _ in range(100)) == 10
    free = Door(rate=0.0)
    free.tokens[digest_of("txg_1")] = Token("bot", digest_of("txg_1"), EVERYTHING, START, "me")
    assert outcome(free.come("", "txg_1")).pace is None


@pytest.mark.parametrize(
    ("header", "pair"),
    [
        (b"Basic " + base64.b64encode("me:wörd:x".encode()), ("me", "wörd:x")),
        (b"basic   " + base64.b64encode(b":txg_1"), ("", "txg_1")),
        (b"Bearer txg_1", ("", "txg_1")),
        (b"bearer  txg_1 ", ("", "txg_1")),
        (b"Basic !!!", None),
        (b"Basic", None),
        (b"Basic " + base64.b64encode(b"\xff:x"), None),
        (b"Basic " + base64.b64encode(b"nothing"), None),
        (b"Bearer \xff", None),
        (b"Digest x", None),
        (b"", None),
    ],
)
def test_what_a_header_says(header: bytes, pair: tuple[str, str] | None) -> None:
    assert credentials(header) == pair


def test_hashes_are_slow_salted_and_checked() -> None:
    one, other = hash_password("correct horse"), hash_password("correct horse")
    assert one != other
    assert one.startswith("$argon2id$")
    assert verify_password(one, "correct horse")
    assert not verify_password(one, "correct hors")
    assert not verify_password("nonsense", "correct horse")
    assert not verify_password(one, "x" * 100_000)


@pytest_twisted.ensureDeferred
async def test_the_line_for_the_slow_hash_has_an_end() -> None:
    go_on = Event()
    door = Door(reactor, verify=lambda hashed, password: go_on.wait(30))
    coming = [door.come("alice", f"word {at}", f"host {at}") for at in range(IN_LINE)]
    with pytest.raises(TooMany, match="try again"):
        await door.come("alice", "wonder", "another")
    assert outcome(door.come("me", "word", "another")).user == "me", "who needs no hash does not wait"
    go_on.set()
    assert all([await each is not None for each in coming])
