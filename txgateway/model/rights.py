"""What a user may do: the scopes of a credential, and how far they reach."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Right(StrEnum):
    """Each command needs one of these. Admin has them all; trade and approve include read."""

    READ = "read"
    TRADE = "trade"
    APPROVE = "approve"
    ADMIN = "admin"


INCLUDES: dict[Right, frozenset[Right]] = {
    Right.READ: frozenset({Right.READ}),
    Right.TRADE: frozenset({Right.READ, Right.TRADE}),
    Right.APPROVE: frozenset({Right.READ, Right.APPROVE}),
    Right.ADMIN: frozenset(Right),
}
"""What each scope lets its holder do."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a credential's holder may do, with which accounts and symbols (None: all), up to which worth an order."""

    scopes: tuple[Right, ...] = (Right.ADMIN,)
    accounts: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None
    max_notional: Decimal | None = None

    def __contains__(self, right: Right) -> bool:
        return any(right in INCLUDES[scope] for scope in self.scopes)

    def reaches(self, account: str) -> bool:
        """Whether an account is among the holder's."""
        return self.accounts is None or account in self.accounts

    @property
    def is_whole(self) -> bool:
        """Whether it is kept to no accounts and no symbols."""
        return self.accounts is None and self.symbols is None

    def covers(self, account: str, symbol: str) -> bool:
        """Whether an order or a position is among what the holder may touch."""
        return self.reaches(account) and (self.symbols is None or symbol in self.symbols)

    def __str__(self) -> str:
        told = [" and ".join(self.scopes) or "nothing"]
        if self.accounts is not None:
            told.append(f"on {', '.join(self.accounts) or 'no account'}")
        if self.symbols is not None:
            told.append(f"in {', '.join(self.symbols) or 'no symbol'}")
        if self.max_notional is not None:
            told.append(f"up to {self.max_notional:f} an order")
        return " ".join(told)


EVERYTHING = Grant()
"""What the configured user may do."""


def grant_of(
    scopes: list[str],
    accounts: list[str] | None = None,
    symbols: list[str] | None = None,
    max_notional: str | None = None,
) -> Grant:
    """The grant that a person wrote down; ValueError with a sentence for what cannot be one."""
    names = sorted({each.strip().lower() for each in scopes})
    wrong = [each for each in names if each not in set(Right)]
    if wrong or not names:
        raise ValueError(f"scopes {','.join(scopes)!r}: give one or more of {', '.join(Right)}")
    for what, given in (("accounts", accounts), ("symbols", symbols)):
        if given is not None and not (given and all(each.strip() for each in given)):
            raise ValueError(f"{what}: name one or more, or leave it out for all")
    return Grant(
        tuple(each for each in Right if each in names),
        None if accounts is None else tuple(sorted({each.strip() for each in accounts})),
        None if symbols is None else tuple(sorted({each.strip().upper() for each in symbols})),
        None if max_notional is None else _worth(max_notional),
    )


def _worth(text: str) -> Decimal:
    try:
        worth = Decimal(text.strip())
    except ArithmeticError:
        worth = Decimal(0)
    if not worth.is_finite() or not 0 < worth < 10**18:
        raise ValueError(f"max_notional {text!r}: give a number above zero")
    return worth
