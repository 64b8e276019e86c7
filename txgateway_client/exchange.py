"""One call's conversation with the gateway, without sockets: what an answer means, and whether to ask again.

The blocking client and the Twisted client both drive this, so they promise the same:
* A read, or a change that may as well be made twice, is asked again once when the connection was lost under
  it.
* An order carries its client_order_id. When its answer is lost it is sent again with the same key, a bounded
  number of times: the gateway answers a key it has with the stored order. After that the outcome is unknown,
  and said to be.
* Anything else is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from txgateway_monitor.settings import Settings, __version__

from .errors import (
    BadArgument,
    GatewayError,
    GatewayTimeout,
    GatewayUnreachable,
    NotReady,
    OutcomeUnknown,
    Unauthorized,
    UnexpectedAnswer,
)

HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": f"txgateway-client/{__version__}",
}
"""What every request says."""

ORDER_RESENDS = 2
"""How often an order whose answer was lost is sent again: enough for a dropped link, not for a restart."""

FIRST_PAUSE = 0.25
"""Seconds before an order is sent again; doubled each time."""

SENTENCE_LIMIT = 300
"""An error's text is cut here: a proxy's error page is no sentence."""


class Kind(Enum):
    """What asking twice would do."""

    READ = "changes nothing"
    SETTING = "changes the same thing to the same value"
    ORDER = "the client_order_id makes it one order"
    ACTION = "would be done twice"


@dataclass(frozen=True)
class Call:
    """One command with its named arguments, as the gateway knows them."""

    method: str
    arguments: Mapping[str, object]
    kind: Kind = Kind.READ

    @property
    def verb(self) -> str:
        """GET where there is nothing to say."""
        return "POST" if self.arguments else "GET"

    @property
    def body(self) -> bytes | None:
        """The arguments as JSON. Raises BadArgument for what JSON cannot say."""
        if not self.arguments:
            return None
        try:
            return json.dumps(self.arguments, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise BadArgument(f"{self.method}: an argument cannot be sent as JSON: {error}") from error

    @property
    def client_order_id(self) -> str | None:
        """The key of an order; None for everything else."""
        return str(self.arguments["client_order_id"]) if self.kind is Kind.ORDER else None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


@dataclass(frozen=True)
class NotSent:
    """No connection: the gateway has not seen the call."""

    why: str


@dataclass(frozen=True)
class Lost:
    """The call may have reached the gateway and no whole answer came back."""

    why: str
    timed_out: bool = False


@dataclass(frozen=True)
class Done:
    """The call's result."""

    value: Any


@dataclass(frozen=True)
class Again:
    """Send the same call once more, after this many seconds."""

    pause: float


class Exchange:
    """Decides after every outcome of one call: done, again, or an error."""

    def __init__(self, call: Call, settings: Settings) -> None:
        """Nothing is sent yet."""
        self._call = call
        self._settings = settings
        self._repeats = 0
        self._in_doubt = False

    def after(self, outcome: Answer | NotSent | Lost) -> Done | Again:
        """The next step; raises the error that ends the call."""
        if isinstance(outcome, Answer):
            try:
                return Done(self._read(outcome))
            except UnexpectedAnswer as error:
                return self._failed(error, lost=not 300 <= error.status < 500)
            except GatewayError as error:
                return self._failed(error)
        if isinstance(outcome, NotSent):
            return self._failed(self._unreachable(outcome))
        return self._failed(self._unanswered(outcome), lost=True, dropped=not outcome.timed_out)

    def _failed(self, error: GatewayError, lost: bool = False, dropped: bool = False) -> Again:
        """Ask again, or raise: the error itself where nothing can have been done, else OutcomeUnknown."""
        kind = self._call.kind
        if kind is not Kind.READ:
            self._in_doubt = self._in_doubt or lost
        if kind is Kind.ORDER and self._in_doubt and self._repeats < ORDER_RESENDS:
            self._repeats += 1
            return Again(FIRST_PAUSE * 2 ** (self._repeats - 1))
        if kind in (Kind.READ, Kind.SETTING) and dropped and not self._repeats:
            self._repeats += 1
            return Again(0.0)
        if self._in_doubt:
            raise self._unknown(error) from error
        raise error

    def _unknown(self, error: GatewayError) -> OutcomeUnknown:
        """What to tell whose order, or change, may have been done."""
        method, key = self._call.method, self._call.client_order_id
        if key is None:
            advice = "it may have been done: look before you call again"
        else:
            advice = (
                "the order may have been taken: call again with the same arguments and "
                f"client_order_id={key!r}, the gateway takes one key once"
            )
        return OutcomeUnknown(f"the answer to {method} was lost ({error}); {advice}", method, key)

    def _read(self, answer: Answer) -> Any:
        """The result in an answer; raises what the answer says went wrong."""
        method, url, user = self._call.method, self._settings.url, self._settings.username
        if answer.status == 400:
            said = sentence(answer.body).removeprefix(f"{method}: ")
            raise BadArgument(f"{method}: {said or 'the gateway cannot read an argument'}")
        if answer.status == 401:
            raise Unauthorized(
                f"the gateway at {url} refused user {user!r}: check TXGATEWAY_USERNAME and "
                "TXGATEWAY_PASSWORD (or the file TXGATEWAY_PASSWORD_FILE)"
            )
        if answer.status == 403:
            said = sentence(answer.body)
            raise Unauthorized(f"user {user!r} is not allowed to call {method}{f': {said}' if said else ''}")
        if answer.status == 503 and answer.body.strip() == b"false":
            then = "wait until its status is Up, then call again (query_venues says why it is not)"
            raise NotReady(f"the gateway at {url} is not up yet: {then}")
        if answer.status == 404:
            raise UnexpectedAnswer(f"{url} has no command {method}: is it a txgateway, and recent enough?", 404)
        if answer.status != 200:
            said = sentence(answer.body)
            raise UnexpectedAnswer(
                f"{method}: {url} answered HTTP {answer.status}{f': {said}' if said else ''}", answer.status
            )
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise UnexpectedAnswer(f"{method}: {url} answered something that is no JSON", 200) from error

    def _unreachable(self, outcome: NotSent) -> GatewayUnreachable:
        """Nothing was sent."""
        return GatewayUnreachable(
            f"cannot reach the gateway at {self._settings.url} ({outcome.why}): is txgatewayd running there? "
            "TXGATEWAY_HOST and TXGATEWAY_HTTP_PORT say where to look"
        )

    def _unanswered(self, outcome: Lost) -> GatewayUnreachable:
        """Something was sent, and no answer came."""
        if outcome.timed_out:
            return GatewayTimeout(
                f"the gateway at {self._settings.url} did not answer {self._call.method} within "
                f"{self._settings.read_timeout:g} s (TXGATEWAY_READ_TIMEOUT)"
            )
        return GatewayUnreachable(
            f"the connection to {self._settings.url} was lost during {self._call.method} ({outcome.why})"
        )


def sentence(body: bytes) -> str:
    """What an error's body says, as one line: JSON's errorMsg, error, message or status, or the text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    if isinstance(said, dict):
        said = next((said[key] for key in ("errorMsg", "error", "message", "status") if said.get(key)), "")
    line = " ".join(str(said).split()) if said else ""
    return line if len(line) <= SENTENCE_LIMIT else line[:SENTENCE_LIMIT] + "…"
