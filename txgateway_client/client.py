"""The blocking client: `API`, txTrader's with more commands.

One connection is kept and used again; use one `API` for each thread. Errors are those of
`txgateway_client.errors`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, ReadTimeoutError

from txgateway_monitor.settings import resolve

from .commands import Commands
from .errors import GatewayError, GatewayUnreachable, NotReady, SettingsError
from .exchange import HEADERS, Answer, Call, Done, Exchange, Lost, NotSent


class API(Commands):
    """A gateway, called over HTTP; each method waits for its answer."""

    def __init__(
        self,
        mode: str = "paper",
        config: Mapping[str, object] | None = None,
        *,
        session: requests.Session | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Connect to nothing yet: settings are read from `config`, then the environment, then the defaults.

        config: keys as in the environment, `TXGATEWAY_HOST` (or `TXTRADER_HOST`) and so on. mode: the
        gateway's, kept for programs that ask. session: a requests session of your own (certificates,
        proxies).
        """
        self.mode = mode
        self.settings = resolve(config)
        self.url = self.settings.url
        self.username = self.settings.username
        self.account = self.settings.account
        self.route = self.settings.route
        self._sleep = sleep
        self._session = session or requests.Session()
        if session is None and self.settings.on_loopback:
            self._session.trust_env = False  # no proxy between us and this machine, no .netrc; and a call is cheaper

    def __repr__(self) -> str:
        """The address and the user; no password."""
        return f"<API {self.url} as {self.username}>"

    def __enter__(self) -> API:
        """An API is a context manager that closes itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the kept connection; the next call opens one again."""
        self._session.close()

    def set_account(self, account: str) -> bool:
        """Choose the current account, here and in the gateway. Return False when it is unknown."""
        known = bool(self._setting("set_account", account=account))
        if known:
            self.account = account
        return known

    def wait_for_up(self, timeout: float = 60.0, interval: float = 0.5) -> str:
        """Ask for the status until it is Up, and return it.

        Raises NotReady when it is something else after `timeout` seconds, GatewayUnreachable when nobody
        answers until then, and Unauthorized at once.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                status = self.status()
                trouble: GatewayError = NotReady(f"the gateway at {self.url} is {status}, not Up, after {timeout:g} s")
            except GatewayUnreachable as error:
                status, trouble = "", error
            if status == "Up":
                return status
            if time.monotonic() + interval > deadline:
                raise trouble
            self._sleep(interval)

    def _call(self, call: Call) -> Any:
        """Send a call until the exchange has its result or gives up."""
        exchange = Exchange(call, self.settings)
        body = call.body
        while True:
            step = exchange.after(self._send(call, body))
            if isinstance(step, Done):
                return step.value
            self._sleep(step.pause)

    def _send(self, call: Call, body: bytes | None) -> Answer | NotSent | Lost:
        """Send a call once."""
        settings = self.settings
        try:
            response = self._session.request(
                call.verb,
                f"{self.url}/{call.method}",
                data=body,
                headers=HEADERS,
                auth=HTTPBasicAuth(settings.username.encode(), settings.password.encode()),
                timeout=(settings.connect_timeout, settings.read_timeout),
                allow_redirects=False,
                verify=settings.tls_ca or True,
                cert=(settings.client_cert, settings.client_key) if settings.client_cert else None,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SettingsError(f"{self.url} is no address of a gateway: {error}") from error
        except requests.RequestException as error:
            return _outcome(error)
        return Answer(response.status_code, response.content)


def _outcome(error: requests.RequestException) -> NotSent | Lost:
    """What became of the call: only a connection that never was is a call that was not sent."""
    causes = list(_causes(error))
    never_connected = (ConnectTimeoutError, NewConnectionError, ProxyError, ssl.SSLCertVerificationError)
    for cause in causes:
        if isinstance(cause, ReadTimeoutError):
            return Lost("no answer in time", timed_out=True)
        if isinstance(cause, never_connected):
            return NotSent(_reason(causes))
    return Lost(_reason(causes))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what lies under it: requests and urllib3 keep it in `reason`, in `args` or as the cause.

    Never `__context__`: that goes on into whatever the caller was handling, perhaps an earlier call's error.
    """
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [getattr(cause, "reason", None), *cause.args, cause.__cause__]


def _reason(causes: list[BaseException]) -> str:
    """The operating system's own words where it said something, else the innermost error's."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return str(causes[-1]) or type(causes[-1]).__name__
