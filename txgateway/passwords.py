"""Passwords as they are kept: argon2id, with a salt of its own each. Slow to check, so that guessing is."""

from __future__ import annotations

MEMORY, PASSES = 19 * 1024, 2
"""Kilobytes and passes: what OWASP asks for, and no more, for a daemon that stays small."""
LONGEST = 1000
"""Characters; a longer one is none."""


def hash_password(password: str) -> str:
    """What is kept of a password: argon2id, with a salt of its own."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY, parallelism=1).hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether a hash is this password's. Slow, so that guessing is."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    if len(password) > LONGEST:
        return False
    try:
        return PasswordHasher().verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False
