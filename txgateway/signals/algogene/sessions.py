"""Session tokens: they carry their expiry, and are signed with the source's secret. None is kept, so none is lost.

Sources of one user with one secret share their sessions: they are the accounts of one ALGOGENE user.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

from txgateway.model.signal import Source
from txgateway.signals import same

LASTS = timedelta(hours=1)
"""As long as algogene.com's own."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGNED = 40
"""Hexadecimal digits of the signature."""


def token_of(source: Source, until: datetime) -> str:
    """The token of a session that ends at `until`."""
    ends = (until - _EPOCH) // timedelta(microseconds=1)
    return f"{ends:x}-{_signature(source, ends)}"


def is_valid(source: Source, token: str, now: datetime) -> bool:
    """Whether a token is one of this source's, and its session has not ended."""
    written, _, signature = token.partition("-")
    if len(written) > 16 or not written.isalnum() or not token.isascii():
        return False
    try:
        ends = int(written, 16)
    except ValueError:
        return False
    return same(signature, _signature(source, ends)) and now <= _EPOCH + timedelta(microseconds=ends)


def _signature(source: Source, ends: int) -> str:
    """Empty, which is never right, where the source has no secret."""
    if not source.secret:
        return ""
    said = f"algogene session {source.user or source.name} {ends}"
    return hmac.digest(source.secret.encode(), said.encode(), "sha256").hex()[:_SIGNED]
