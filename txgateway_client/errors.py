"""What a call can fail with: each error says what to do about it, and carries the command line's exit code.

An order that the gateway refuses (unknown account, zero quantity, a risk limit) is not an error here: the
call returns `{"status": "Error", "errorMsg": ..., "reason": ...}`, as txTrader's did. A setting that cannot
be used is a SettingsError (a ValueError) when the client is made.
"""

from __future__ import annotations

from txgateway_monitor.settings import SettingsError as SettingsError

EXIT_CODES = {
    0: "done",
    1: "refused order or negative answer (unknown id, false, nothing found), or you said no",
    2: "usage: a wrong option, argument or setting",
    3: "the gateway cannot be reached",
    4: "wrong user name or password, or not allowed",
    5: "the gateway is not up yet",
    6: "outcome unknown: the answer was lost, the order may exist",
    7: "the gateway failed, or answered something that is no answer",
}
"""The exit codes of `txgateway` and `txgateway-monitor`. They do not change."""


class GatewayError(Exception):
    """Anything that kept a call from being answered."""

    exit_code = 7


class BadArgument(GatewayError, ValueError):
    """An argument is missing or cannot be read as its type: nothing was done. Correct it and call again."""

    exit_code = 2


class GatewayUnreachable(GatewayError):
    """No connection, or it was lost under a read: nothing was ordered. Start the gateway, call again."""

    exit_code = 3


class GatewayTimeout(GatewayUnreachable):
    """The gateway took a read and did not answer it in time. Call again, or allow more time."""


class Unauthorized(GatewayError):
    """The gateway does not know this user and password, or does not allow this call: nothing was done."""

    exit_code = 4


class NotReady(GatewayError):
    """The gateway's venue is not up yet: nothing was done. `API.wait_for_up()`, then call again."""

    exit_code = 5


class OutcomeUnknown(GatewayError):
    """The answer was lost: what was asked may have been done.

    For an order, call again with the same arguments and `client_order_id=error.client_order_id`: the gateway
    answers with the stored order when it has it, and takes the order when it has not. For anything else
    `client_order_id` is None: look first, then decide.
    """

    exit_code = 6

    def __init__(self, message: str, method: str, client_order_id: str | None = None) -> None:
        """Keep what to call again: the method, and the order's key when it has one."""
        super().__init__(message)
        self.method = method
        self.client_order_id = client_order_id


class UnexpectedAnswer(GatewayError):
    """The gateway (or something before it) answered with an error or with something that is no JSON."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the HTTP status beside the sentence."""
        super().__init__(message)
        self.status = status
