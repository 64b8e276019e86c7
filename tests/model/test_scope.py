"""Scopes: how they are written, and what they cover."""

from __future__ import annotations

import pytest

from txgateway.model.order import Origin
from txgateway.model.scope import GATEWAY, Scope, ScopeKind, Subject, scopes_of

SUBJECT = Subject("paper", "ACC", "alice", Origin.RPC, "IBM")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("gateway", "gateway"),
        (" Gateway ", "gateway"),
        ("account:ACC", "account:ACC"),
        ("symbol: ibm", "symbol:IBM"),
        ("owner:Alice:1", "owner:Alice:1"),
    ],
)
def test_a_scope_is_read_as_it_is_written(text: str, written: str) -> None:
    assert str(Scope.parse(text)) == written
    assert Scope.parse(written) == Scope.parse(text)


@pytest.mark.parametrize("text", ["", "everything", "gateway:x", "account", "account:", ":ACC", "acc:ACC"])
def test_anything_else_is_refused_with_how_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="is none of gateway, venue:NAME, account:NAME"):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("text", "covers"),
    [
        ("gateway", True),
        ("venue:paper", True),
        ("account:ACC", True),
        ("account:acc", False),
        ("owner:alice", True),
        ("source:alice", False),
        ("bot:alice", False),
        ("symbol:ibm", True),
        ("symbol:AAPL", False),
    ],
)
def test_what_a_scope_covers(text: str, covers: bool) -> None:
    assert Scope.parse(text).covers(SUBJECT) is covers


def test_sources_and_bots_are_owners_by_their_way_in() -> None:
    for origin, kind in ((Origin.WEBHOOK, ScopeKind.SOURCE), (Origin.BOT, ScopeKind.BOT)):
        scopes = scopes_of(Subject("paper", "ACC", "x", origin, "IBM"))
        assert scopes[0] == GATEWAY
        assert Scope(kind, "x") in scopes
        assert Scope(ScopeKind.OWNER, "x") in scopes
