"""What an exception is to a client: its HTTP status, its JSON-RPC code, its reason and the sentence it may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from txgateway.model.errors import (
    Ambiguous,
    BadArgument,
    GatewayError,
    JournalError,
    NotAllowed,
    NotUp,
    Reason,
    Refused,
    TimedOut,
    TooMany,
    Unsupported,
)


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
INVALID_PARAMS = -32602
_KINDS: dict[type[GatewayError], tuple[int, int, str]] = {
    BadArgument: (400, INVALID_PARAMS, "BAD_ARGUMENT"),
    NotUp: (503, -32000, NOT_UP),
    JournalError: (500, -32002, "JOURNAL_FAILED"),
    NotAllowed: (403, -32003, "NOT_ALLOWED"),
    TooMany: (429, -32006, "TOO_MANY_REQUESTS"),
    TimedOut: (504, -32004, "TIMED_OUT"),
    Ambiguous: (504, -32005, "AMBIGUOUS"),
}
_INTERNAL = Failed(500, -32603, "INTERNAL", "The gateway made an error over this; its log says which.")


def refusal_of(error: BaseException) -> Refused | None:
    """The refusal that an exception is: an answer like any other, not a failure."""
    if isinstance(error, Refused):
        return error
    return Refused(Reason.UNSUPPORTED, str(error)) if isinstance(error, Unsupported) else None


def failed(error: BaseException) -> Failed:
    """How a failure is told. Only our own errors' texts are shown: others may hold what is nobody's business."""
    for kind, (http, rpc, reason) in _KINDS.items():
        if isinstance(error, kind):
            return Failed(http, rpc, reason, str(error))
    return _INTERNAL


def is_unexpected(failure: Failed) -> bool:
    """Whether the log should have the traceback."""
    return failure.http == 500
