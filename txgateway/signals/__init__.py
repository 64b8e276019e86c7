"""The contract of the senders' languages: an HTTP request in, instructions out, and the answer that the sender expects.

A member of this family is a `Language`, pure: no clock, no sockets, no state. It proves the sender, reads the body, and
words the answers; what becomes of the instructions is signaling's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from hmac import compare_digest
from typing import Any, Protocol

from txgateway.model.errors import BadArgument, GatewayError, Reason
from txgateway.model.signal import SENDERS, Amount, Answer, Instruction, Measure, Source
from txgateway.wire import dumps, loads

LARGEST = 256 * 1024
"""Bytes of a body: many times any alert's."""
MOST_INSTRUCTIONS = 100
"""Instructions in one body."""


class WrongSecret(GatewayError):
    """The request does not prove that it comes from the source (HTTP 401)."""


class WrongPlace(WrongSecret):
    """It has not an address or the certificate that the source names: its secret was not looked at."""


class TooLarge(WrongSecret):
    """The secret is in the body, which is too large to be read (HTTP 413)."""


class BadSignal(GatewayError):
    """The body cannot be understood (HTTP 400): one sentence that says where and what."""


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it came. `rest` is the path behind the source's name; header names are in small letters.

    `call` is what the server knows of it, where one address is for many calls; the message's `about` says it again.
    `host` is the sender's address (the one a trusted proxy names), `certificate` the name in its TLS certificate.
    """

    body: bytes
    time: datetime
    rest: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    certificate: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a body says. All instructions or none are taken in; none is news that nothing is to be done for.

    `key`: by what a delivery that is repeated is recognised (empty: by the body's own bytes, for a while). `mark`: by
    what it is for as long as the source's window, in place of these (None: by these; empty: by nothing, what comes
    again is meant again). `sent` is the sender's clock; `max_age` (seconds) its own limit. `about` says in a few words
    what it is, `news` what else is to be known of the sender (model.integration), `warnings` what the operator should
    hear.
    """

    instructions: tuple[Instruction, ...] = ()
    key: str = ""
    mark: str | None = None
    sent: datetime | None = None
    max_age: float | None = None
    about: str = ""
    news: Any = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a signal was not taken in: a reason code and a sentence."""

    reason: Reason
    text: str


class Language(Protocol):
    """How one kind of sender speaks."""

    outcome: bool
    """Whether the answer says what sizing and the checks came to: then these come before it."""
    window: float
    """Seconds within which the same bytes are the same signal, where the message has no key of its own."""

    def verify(self, source: Source, post: Post) -> None:
        """Find the secret where this sender puts it; WrongSecret."""

    def read(self, source: Source, post: Post) -> Message:
        """What the body says; BadSignal."""

    def accepted(self, signal_id: str, message: Message, post: Post) -> Answer:
        """The answer to what was taken in."""

    def refused(self, refusal: Refusal, status: int) -> Answer:
        """The answer to what was not; `status` is the HTTP status where the sender has no words of its own."""


# ---------------------------------------------------------------- what members share


def admit(source: Source, post: Post) -> None:
    """Let in what comes from the source's addresses and with its certificate, where it names any; WrongPlace."""
    if source.certificate and not same(post.certificate, source.certificate):
        came = f"the client certificate of {shown(post.certificate)}" if post.certificate else "no client certificate"
        raise WrongPlace(f"The request comes with {came}, and this source is to come with one of its own.")
    if source.addresses and not _comes_from(source.addresses, post.host):
        raise WrongPlace(f"The request comes from {post.host or 'nowhere'}, which is no address of this source.")


def _comes_from(addresses: Iterable[str], host: str) -> bool:
    try:
        given = ipaddress.ip_address(host)
        given = getattr(given, "ipv4_mapped", None) or given
        networks = [ipaddress.ip_network(each) for word in addresses for each in SENDERS.get(word, (word,))]
    except ValueError:
        return False
    return any(given in network for network in networks)


def same(given: str, secret: str) -> bool:
    """Whether a secret is right, in constant time; an empty one never is."""
    return bool(secret) and compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def from_json(body: bytes) -> Any:
    """A JSON document; BadSignal names the place that is wrong."""
    try:
        return loads(body)
    except BadArgument as error:
        raise BadSignal(f"{error} Look at the message that the sender is told to send.") from None


def number(value: Any, what: str) -> Decimal:
    """A number that came bare or quoted; BadSignal."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadSignal(f"{what} {shown(value)} is no number.")
    if isinstance(value, str) and "_" in value:  # Python would read 18_5 as 185
        raise BadSignal(f"{what} {shown(value)} is no number.")
    try:
        found = value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise BadSignal(f"{what} {shown(value)} is no number.") from None
    if not found.is_finite() or abs(found.adjusted()) > 30 or len(found.as_tuple().digits) > 40:
        raise BadSignal(f"{what} {shown(value)} is no number that can be traded.")
    return found


def amount_of(value: Any, what: str) -> Amount:
    """A quantity: units, `50%` of the account's equity, `300$` of money; BadSignal unless it is above zero."""
    measure, text = Measure.UNITS, value
    if isinstance(value, str):
        text = value.strip()
        for sign, named in (("%", Measure.PERCENT), ("$", Measure.MONEY)):
            if sign in (text[:1], text[-1:]):
                text, measure = text.strip(f"{sign} "), named
    found = number(text, what)
    if found <= 0:
        raise BadSignal(f"{what} {shown(value)} must be above zero.")
    return Amount(found, measure)


def moment(value: Any, what: str) -> datetime:
    """A time: ISO 8601 (UTC where it names no zone), or seconds or milliseconds since 1970; BadSignal."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\s*-?[0-9.]+\s*", value):
            found = datetime.fromisoformat(value.strip())
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        seconds = number(value, what)
        seconds = seconds / 1000 if abs(seconds) >= 10**11 else seconds
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        raise BadSignal(f"{what} {shown(value)} is no time: write 2026-01-31T14:30:00Z, or seconds.") from None


def json_answer(status: int, body: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer whose body is a JSON object."""
    return Answer(status, dumps(body).decode(), headers)


def shown(value: Any, most: int = 60) -> str:
    """A value from a body, short enough for a sentence."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text[:most] + "…") if len(text) > most else repr(text)


_SECRET_MEMBER = re.compile(
    r'("[^"]{0,60}(?:pass|token|secret|key|auth)[^"]{0,60}"\s*:\s*)("(?:[^"\\]|\\.)*"?|-?[0-9][^,}\s]*)', re.IGNORECASE
)
_SECRET_WORD = re.compile(
    r"""((?<![\w.-])[\w.-]{0,60}(?:pass|token|secret|key|auth)[\w.-]{0,60}\s*=\s*)("[^"]*"?|'[^']*'?|[^\s,;|"']+)""",
    re.IGNORECASE,
)
_HEADERS = re.compile(r'("headers"\s*:\s*)\{[^{}]*\}?')
MASK = "***"
"""Stands where a secret stood."""


def hidden(body: bytes, secret: str) -> bytes:
    """A body with stars for its source's secret, also where that is escaped as in a URL or by a careful JSON writer."""
    forms = ((re.escape(each), ord(each)) for each in secret)
    pattern = "".join(rf"(?:{plain}|%{code:02x}|\\u{code:04x})" for plain, code in forms)
    if not pattern:
        return body
    return re.sub(pattern.encode(), lambda found: b"*" * len(found[0]), body, flags=re.IGNORECASE)


def redacted(body: bytes) -> str:
    """A body as it may be kept and shown: without what looks like a secret, or like headers that may hold one."""
    text = body[:LARGEST].decode("utf-8", "replace")
    text = _SECRET_MEMBER.sub(rf'\1"{MASK}"', _HEADERS.sub(rf'\1{{"": "{MASK}"}}', text))
    return _SECRET_WORD.sub(rf"\1{MASK}", text)
