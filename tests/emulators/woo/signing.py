"""How a request or a private stream is proven to be of the one who has the key. Pure."""

from __future__ import annotations

import hashlib
import hmac

from tests.emulators.woo.errors import Fault

WINDOW = 300_000
"""Milliseconds that a timestamp may be away from the server's."""


def sign(secret: str, text: str) -> str:
    """HMAC-SHA256, hexadecimal."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def text_v3(timestamp: str, method: str, path: str, query: str, body: str) -> str:
    """What a v3 request signs: the query goes with the path, the body of POST and PUT behind it."""
    return f"{timestamp}{method}{path}{'?' + query if query else ''}{body}"


def text_v1(timestamp: str, parameters: str) -> str:
    """What a v1 request signs: its parameters as they are sent, already in order."""
    ordered = "&".join(sorted(parameters.split("&"))) if parameters else ""
    return f"{ordered}|{timestamp}"


def check(secret: str, timestamp: str, text: str, signature: str, now: int) -> None:
    """Raises Fault when it does not hold."""
    if not timestamp.isdigit() or abs(int(timestamp) - now) > WINDOW:
        raise Fault(-1001, "The timestamp is not within 300 seconds of the server's.", 401)
    if not hmac.compare_digest(sign(secret, text), signature):
        raise Fault(-1002, "The signature is invalid.", 401)
