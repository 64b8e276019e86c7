"""Who may do what: grants, callers, paces, failed logins. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.access import LONGEST_DELAY, SOURCES, Access, Caller, Failures, Pace, digest_of
from txgateway.model.credential import Token, User
from txgateway.model.errors import NotAllowed, TooMany
from txgateway.model.order import Origin
from txgateway.model.rights import EVERYTHING, Grant, Right, grant_of

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (["read"], {"read"}),
        (["trade"], {"read", "trade"}),
        (["approve"], {"read", "approve"}),
        (["admin"], {"read", "trade", "approve", "admin"}),
        (["Trade", "approve "], {"read", "trade", "approve"}),
    ],
)
def test_what_a_scope_includes(scopes: list[str], may: set[str]) -> None:
    grant = grant_of(scopes)
    assert {right.value for right in Right if right in grant} == may


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"scopes": []}, "give one or more of read, trade, approve, admin"),
        ({"scopes": ["write"]}, "scopes 'write'"),
        ({"scopes": ["read"], "accounts": []}, "accounts: name one or more"),
        ({"scopes": ["read"], "accounts": ["A", " "]}, "accounts: name one or more"),
        ({"scopes": ["read"], "symbols": [""]}, "symbols: name one or more"),
        *(
            ({"scopes": ["trade"], "max_notional": text}, "above zero")
            for text in ("0", "-1", "NaN", "inf", "x", "1e99")
        ),
    ],
)
def test_no_grant_is_made_of_nonsense(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        grant_of(**given_)


def test_a_grant_in_words() -> None:
    assert str(EVERYTHING) == "admin"
    grant = grant_of(["trade", "approve"], ["B", "A"], ["ibm"], "2500.50")
    assert str(grant) == "trade and approve on A, B in IBM up to 2500.50 an order"
    assert grant.reaches("A")
    assert not grant.reaches("C")


def caller(**grant: Any) -> Caller:
    return Caller("alice", Origin.RPC, grant=Grant(**grant))


def test_a_refusal_names_the_scope_and_who_has_it_not() -> None:
    with pytest.raises(NotAllowed, match=r"market_order needs the scope trade, which alice has not"):
        caller(scopes=(Right.READ,)).check("market_order", Right.TRADE, narrow=True, urgent=False)


def test_who_is_kept_to_accounts_gives_no_command_that_does_not_look_at_them() -> None:
    alice = caller(accounts=("A",))
    alice.check("query_orders", Right.READ, narrow=True, urgent=False)
    with pytest.raises(NotAllowed, match="query_journal concerns every account, and alice is kept to A"):
        alice.check("query_journal", Right.READ, narrow=False, urgent=False)


def test_requests_above_the_limit_are_refused_but_urgent_ones() -> None:
    now = [100.0]
    pace = Pace(10, lambda: now[0])
    alice = Caller("alice", Origin.RPC, pace=pace)
    for _ in range(20):
        alice.check("status", Right.READ, narrow=True, urgent=False)
    for _ in range(100):
        alice.check("cancel_order", Right.TRADE, narrow=True, urgent=True)
    with pytest.raises(TooMany, match="alice sends too many requests"):
        alice.check("status", Right.READ, narrow=True, urgent=False)
    now[0] += 0.15
    alice.check("status", Right.READ, narrow=True, urgent=False)
    with pytest.raises(TooMany):
        alice.check("status", Right.READ, narrow=True, urgent=False)


@given(st.lists(st.floats(0, 2), max_size=200), st.integers(1, 50))
def test_no_pattern_of_requests_beats_the_pace(pauses: list[float], rate: int) -> None:
    now = [0.0]
    pace = Pace(rate, lambda: now[0])
    taken = 0
    for pause in pauses:
        now[0] += pause
        taken += sum(pace.take() for _ in range(5))
    assert taken <= rate * 2 + now[0] * rate + 1e-6


# -- credentials


def token(**more: Any) -> Token:
    return Token(
        **{"name": "bot", "digest": digest_of("txg_x"), "grant": EVERYTHING, "created": NOW, "created_by": "me", **more}
    )


def test_a_token_is_good_until_it_expires_or_is_revoked() -> None:
    tokens = {digest_of("txg_x"): token(expires=NOW + timedelta(hours=1))}
    access = Access("me", "word", tokens)
    found = access.token("txg_x", NOW)
    assert found is not None
    assert access.token("txg_y", NOW) is None
    assert access.holds(found, NOW)
    later = NOW + timedelta(hours=1)
    assert access.token("txg_x", later) is None
    assert not access.holds(found, later)
    tokens.clear()
    assert not access.holds(found, NOW)


def test_a_user_with_another_password_or_grant_is_another_user() -> None:
    access = Access("me", "word")
    alice = User("alice", "$argon2$1")
    access.users = {"alice": alice}
    assert access.holds(alice, NOW)
    access.users = {"alice": User("alice", "$argon2$1")}
    assert access.holds(alice, NOW), "read again, the same"
    access.users = {"alice": User("alice", "$argon2$2")}
    assert not access.holds(alice, NOW)
    access.users = {}
    assert not access.holds(alice, NOW)
    assert access.holds(access.owner, NOW)


def test_names_are_taken_once() -> None:
    access = Access("me", "word", {"digest": token()})
    access.users = {"alice": User("alice")}
    assert [access.taken(name) for name in ("me", "alice", "bot", "bob")] == [True, True, True, False]


def test_no_secret_is_shown() -> None:
    access = Access("me", "s3cret", {"d1gest": token()})
    access.users = {"alice": User("alice", "h4sh")}
    shown = f"{access.__dict__['users']!r} {access.owner!r} {token()!r}"
    assert "h4sh" not in shown
    assert digest_of("txg_x") not in shown


# -- failed logins


def test_each_failure_takes_longer_until_the_longest() -> None:
    failures = Failures()
    delays = [failures.add("h", "u", NOW, 0.0) for _ in range(8)]
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]
    assert failures.add("h2", "u", NOW, 0.0) == 0.25, "another address is another source"
    failures.forgive("h", "u")
    assert failures.add("h", "u", NOW, 0.0) <= 0.5


def test_names_tried_in_turn_add_up() -> None:
    failures = Failures()
    delays = [failures.add("h", f"u{at}", NOW, 0.0) for at in range(64)]
    assert delays[0] == 0.25
    assert delays[-1] == LONGEST_DELAY


def test_a_source_is_forgiven_after_a_while() -> None:
    failures = Failures()
    for _ in range(6):
        failures.add("h", "u", NOW, 0.0)
    assert failures.add("h", "u", NOW, 901.0) == 0.25


def test_sources_are_bounded() -> None:
    failures = Failures()
    for at in range(SOURCES + 100):
        failures.add(f"h{at}", "u", NOW, 0.0)
    assert len(failures.sources) == SOURCES
    assert failures.total == SOURCES + 100


@given(st.decimals("0.01", "1e12", places=2), st.decimals("0.01", "1e12", places=2))
def test_a_bound_of_worth_reads_back_as_written(a: D, b: D) -> None:
    assert grant_of(["trade"], max_notional=f"{a}").max_notional == a
    assert (grant_of(["trade"], max_notional=f"{b}") == grant_of(["trade"], max_notional=f"{a}")) is (a == b)
