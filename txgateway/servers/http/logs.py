"""The lines that LOG_HTTP_REQUESTS and LOG_HTTP_RESPONSES ask for: one a call, one an answer, and no secret in any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from txgateway.access import Caller
from txgateway.commands import COMMANDS

log = Logger()

SECRETS = ("pass", "token", "secret")
"""An argument whose name has one of these in it is not shown."""
_MADE = re.compile(r'("(?:secret|token)"\s*:\s*)"(?:[^"\\]|\\.)*"?')
_MESSAGE = re.compile(r'("message"\s*:\s*)"(?:[^"\\]|\\.)*"?')
LONGEST = 1000
"""Characters of the arguments that are shown."""


def call(request: Any, caller: Caller, name: str, given: Mapping[str, Any] | Sequence[Any]) -> None:
    """A command was given, by path or as a JSON-RPC method."""
    log.info(
        "HTTP {method} {name} {given} by {user} from {peer}",
        method=request.method.decode("latin-1"),
        name=name[:80],
        given=repr(_masked(name, given))[:LONGEST],
        user=caller.user,
        peer=_peer(request),
    )


def unauthorized(request: Any) -> None:
    """Somebody without the right user and password was turned away."""
    path = path_of(request)
    log.info(
        "HTTP {method} {path} unauthorized from {peer}",
        method=request.method.decode("latin-1"),
        path=path,
        peer=_peer(request),
    )


def answer(request: Any, code: int, start: bytes, truncate: int) -> None:
    """An answer was given; `start` is its beginning."""
    text = _without_secrets(start[: 4 * truncate].decode(errors="replace"))[:truncate]
    log.info("HTTP {code} {path} {body}", code=code, path=path_of(request), body=text)


def _masked(name: str, given: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any] | Sequence[Any]:
    if not isinstance(given, Mapping):
        if name not in COMMANDS:
            return given
        given = {each.name: value for each, value in zip(COMMANDS[name].parameters, given, strict=False)}
    return {each: "***" if any(word in each.lower() for word in SECRETS) else value for each, value in given.items()}


def path_of(request: Any) -> str:
    """Where a request went; a webhook's path without its end, which may be a secret."""
    path: str = request.path.decode("latin-1")
    return "/".join(path.split("/")[:4])[:80] if path.lstrip("/").startswith("webhooks") else path[:80]


def _without_secrets(text: str) -> str:
    """An answer without the secret that was made, nor the message that has it in it."""
    masked, found = _MADE.subn(r'\1"***"', text)
    return _MESSAGE.sub(r'\1"***"', masked) if found else text


def _peer(request: Any) -> str:
    """Where a request came from; not where a proxy says so."""
    return str(getattr(request.client, "host", ""))
