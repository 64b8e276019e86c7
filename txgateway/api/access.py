"""Who may come in: tokens, users, failed logins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from secrets import token_urlsafe

from txgateway.access import ANY_USER, TOKEN_PREFIX, Caller, digest_of
from txgateway.api import AccessReport, Api, FailedLogins, GrantReport, TokenReport
from txgateway.commands import Text, command
from txgateway.model.credential import Token
from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.events import TokenCreated, TokenRevoked
from txgateway.model.rights import Grant, Right, grant_of

MOST_TOKENS = 1000
"""Tokens that there may be; none is forgotten before it is revoked."""
SHOWN = 100
"""Sources of failed logins that query_access shows, the latest first."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@command(Right.ADMIN)
async def create_token(
    api: Api,
    caller: Caller,
    name: str,
    scopes: Text,
    accounts: Text | None = None,
    symbols: Text | None = None,
    max_notional: Text | None = None,
    expires: str | None = None,
) -> TokenReport:
    """Make a token, which is shown this once: a password for a program, by its name, with these scopes.

    scopes (read, trade, approve, admin), accounts and symbols are lists with commas; without accounts or symbols it is
    good for all. expires: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS (UTC, or with an offset); without it, never.
    """
    if not _NAME.fullmatch(name):
        raise BadArgument(f"name {name[:80]!r} must be 1 to 64 letters, digits, dots, dashes and underscores.")
    if api.access.taken(name) or api.signaling.sources.get(name) is not None:
        text = f"{name} is a user's, a token's or a source's name already: revoke it, or use another."
        raise Refused(Reason.NAME_TAKEN, text)
    if len(api.access.tokens) >= MOST_TOKENS:
        raise Refused(Reason.NAME_TAKEN, f"There are {MOST_TOKENS} tokens: revoke some with revoke_token first.")
    now = api.about.clock()
    ends = _moment(expires)
    if ends is not None and ends <= now:
        raise BadArgument(f"expires {expires} is in the past.")
    grant = _grant(scopes, accounts, symbols, max_notional)
    unknown = sorted(set(grant.accounts or ()) - set(api.accounts()))
    if unknown and api.gateway.intake.been_up.issuperset(api.brokers):
        raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {unknown[0]!r} is unknown: query_accounts lists them.")
    secret = TOKEN_PREFIX + token_urlsafe(32)
    token = Token(name, digest_of(secret), grant, now, caller.user, ends)
    api.gateway.ledger.record(TokenCreated(token, now))
    await api.gateway.settled()
    return _shown(token, now, secret)


@command(Right.ADMIN)
async def query_tokens(api: Api, caller: Caller) -> list[TokenReport]:
    """Give every token that has not been revoked, without its secret, which nobody has but its holder."""
    await api.gateway.settled()
    now = api.about.clock()
    return [_shown(each, now) for each in sorted(api.access.tokens.values(), key=lambda token: token.name)]


@command(Right.ADMIN)
async def revoke_token(api: Api, caller: Caller, name: str) -> bool:
    """End a token: from now on it opens nothing, and who came in by it is disconnected. False when there is none."""
    if all(each.name != name for each in api.access.tokens.values()):
        return False
    api.gateway.ledger.record(TokenRevoked(name, caller.user, api.about.clock()))
    await api.gateway.settled()
    return True


@command(Right.ADMIN)
def query_access(api: Api, caller: Caller) -> AccessReport:
    """Give who may come in, what each may do, and the failed logins since the start by where they came from."""
    failures = api.access.failures
    users = [api.access.owner, *sorted(api.access.users.values(), key=lambda user: user.name)]
    sources = [each for each in reversed(failures.sources.values()) if each.user != ANY_USER][:SHOWN]
    return AccessReport(
        [GrantReport(each.name, *_figures(each.grant), each.changed_by) for each in users],
        failures.total,
        failures.turned_away,
        [FailedLogins(each.host, each.user, each.count, each.last) for each in sources],
    )


def _shown(token: Token, now: datetime, secret: str | None = None) -> TokenReport:
    expired, figures = not token.lives(now), _figures(token.grant)
    return TokenReport(token.name, *figures, token.created_by, token.created, token.expires, expired, secret)


def _figures(
    grant: Grant,
) -> tuple[Sequence[str], Sequence[str] | None, Sequence[str] | None, Decimal | None]:
    return grant.scopes, grant.accounts, grant.symbols, grant.max_notional


def _grant(scopes: str, accounts: str | None, symbols: str | None, max_notional: str | None) -> Grant:
    try:
        return grant_of(_words(scopes), _optional(accounts), _optional(symbols), max_notional or None)
    except ValueError as error:
        raise BadArgument(f"{error}.") from None


def _optional(text: str | None) -> list[str] | None:
    return _words(text) if text else None


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadArgument(f"expires {text[:80]!r} is no time: give YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
