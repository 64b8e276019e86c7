"""What a halt or a limit is about: everything, or one venue, account, owner, source, bot or symbol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from txgateway.model.order import Order, Origin, Terms


class ScopeKind(StrEnum):
    """The kinds of scope, from the widest to the narrowest. A source and a bot are owners, by their way in."""

    GATEWAY = "gateway"
    VENUE = "venue"
    ACCOUNT = "account"
    OWNER = "owner"
    SOURCE = "source"
    BOT = "bot"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who trades what, where and by which way in: what scopes are asked about."""

    venue: str
    account: str
    owner: str
    origin: Origin
    symbol: str

    @classmethod
    def of(cls, order: Order | Terms) -> Subject:
        """An order's."""
        return cls(order.venue, order.account, order.owner, order.origin, order.symbol)


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope, written `gateway` or `kind:name`, as in `account:API_ACCOUNT`."""

    kind: ScopeKind
    name: str = ""

    def __hash__(self) -> int:
        return hash(self.name)  # which text remembers: scopes are looked up many times an order

    @classmethod
    def parse(cls, text: str) -> Scope:
        """The scope that a person wrote; ValueError says how one is written."""
        word, _, name = text.strip().partition(":")
        try:
            kind = ScopeKind(word.strip().lower())
        except ValueError:
            kind = None
        name = name.strip()
        if kind is None or (kind is ScopeKind.GATEWAY) is bool(name):
            kinds = ", ".join(f"{each}:NAME" for each in ScopeKind if each is not ScopeKind.GATEWAY)
            raise ValueError(f"scope {text!r} is none of gateway, {kinds}")
        return cls(kind, name.upper() if kind is ScopeKind.SYMBOL else name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    def covers(self, subject: Subject) -> bool:
        """Whether an order of this subject falls under it."""
        return self in scopes_of(subject)


GATEWAY = Scope(ScopeKind.GATEWAY)
"""Everything."""


def scopes_of(subject: Subject) -> tuple[Scope, ...]:
    """Every scope that covers a subject, the widest first."""
    found = [
        GATEWAY,
        Scope(ScopeKind.VENUE, subject.venue),
        Scope(ScopeKind.ACCOUNT, subject.account),
        Scope(ScopeKind.OWNER, subject.owner),
    ]
    if subject.origin is Origin.WEBHOOK:
        found.append(Scope(ScopeKind.SOURCE, subject.owner))
    if subject.origin is Origin.BOT:
        found.append(Scope(ScopeKind.BOT, subject.owner))
    found.append(Scope(ScopeKind.SYMBOL, subject.symbol))
    return tuple(found)
