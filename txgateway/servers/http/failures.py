"""What an exception is to a client: its HTTP status, its JSON-RPC code, its reason and the sentence it may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from txgateway.lines import code_of
from txgateway.model.errors import Ambiguous, BadArgument, JournalError, NotAllowed, NotUp, TimedOut, TooMany


@dataclass(frozen=True, slots=True)
class Failed:
    """A command's failure in a client's terms."""

    http: int
    rpc: int
    reason: str
    text: str

    @property
    def body(self) -> Any:
        """The answer by path; before the venue is up it is `false`, as the published clients expect."""
        if self.reason == NOT_UP:
            return False
        return {"status": "Error", "errorMsg": self.text, "reason": self.reason}

    @property
    def error(self) -> dict[str, Any]:
        """The error object of JSON-RPC."""
        return {"code": self.rpc, "message": self.text, "data": {"reason": self.reason}}


NOT_UP = "NOT_UP"
_HTTP = {
    BadArgument: 400,
    NotUp: 503,
    JournalError: 500,
    NotAllowed: 403,
    TooMany: 429,
    TimedOut: 504,
    Ambiguous: 504,
}
_INTERNAL = Failed(500, -32603, "INTERNAL", "The gateway made an error over this; its log says which.")


def failed(error: Exception) -> Failed:
    """How a failure is told. Only our own errors' texts are shown: others may hold what is nobody's business."""
    for kind, http in _HTTP.items():
        if isinstance(error, kind):
            return Failed(http, *code_of(error), str(error))
    return _INTERNAL


def is_unexpected(failure: Failed) -> bool:
    """Whether the log should have the traceback."""
    return failure.http == 500
