"""The site: who asks, for what, and what comes of it. One leaf finds the command by the path itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from txgateway import documents, wire
from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import COMMANDS
from txgateway.lines import refusal_of
from txgateway.logins import Logins, credentials
from txgateway.model.errors import BadArgument
from txgateway.model.order import Origin
from txgateway.render import Fragments
from txgateway.servers.http import logs
from txgateway.servers.http.answers import Answers, HttpSettings
from txgateway.servers.http.failures import failed, is_unexpected
from txgateway.servers.http.rpc import Rpc

log = Logger()

ENDLESS = 32
"""A body this many times the largest ends its connection; a smaller one is read to its end and answered 413."""
_COMMAND_METHODS = b"GET, POST, OPTIONS"
_DOCUMENT_METHODS = b"GET, HEAD, OPTIONS"


def make_site(
    api: Api,
    logins: Logins,
    settings: HttpSettings,
    reactor: Any,
    fragments: Fragments,
    mounts: Mapping[bytes, Resource] | None = None,
) -> Site:
    """The factory for an HTTP port. `fragments.changed` must be among the desk's listeners.

    `mounts` are further resources by path, such as `/stream` or (with all below it) `/webhooks/`, which look after
    access themselves.
    """
    answers = Answers(settings, fragments, reactor)
    root = Root(api, logins, settings, answers, mounts or {})
    timeout = settings.idle_timeout
    return GatewaySite(root, GatewayRequest, parsePOSTFormSubmission=False, timeout=timeout, reactor=reactor)


class GatewayChannel(HTTPChannel):
    """A connection whose requests must be whole so many seconds after their first byte, however slowly they drip.

    One delayed call looks at the connection's deadline, which each request moves. Twisted's own way, a call made, moved
    and cancelled for each request, fills the reactor with calls through which it searches at each move.
    """

    patience = 30.0
    _idle: float | None = None
    _reading = False
    _deadline: float | None = None
    _look: Any = None

    def connectionMade(self) -> None:
        """Begin to wait for a request."""
        self._idle = self.timeOut
        super().connectionMade()
        self.site.held += 1  # type: ignore[attr-defined]
        if self.site.held > self.site.most:  # type: ignore[attr-defined]
            self.loseConnection()

    def resetTimeout(self) -> None:
        """Called at every piece that comes: the first of a request starts the clock, and nothing puts it back."""
        if not self._reading and self.timeOut is not None:
            self._reading = True
            self.setTimeout(min(self.patience, self._idle or self.patience))

    def setTimeout(self, period: float | None) -> float | None:
        """Be timed out so many seconds from now, or not at all; the period before."""
        before, self.timeOut = self.timeOut, period  # type: ignore[assignment]
        self._deadline = None if period is None else self._now() + period
        if period is not None and self._look is None:
            self._look = self.callLater(min(period, self.patience), self._looked)
        return before

    def _now(self) -> float:
        return float(self.site.reactor.seconds())  # type: ignore[attr-defined]

    def _looked(self) -> None:
        """Whether it is time. Looked at often enough that no deadline that comes nearer is missed."""
        self._look = None
        if self._deadline is None:
            return
        left = self._deadline - self._now()
        if left > 0:
            self._look = self.callLater(min(left, self.patience), self._looked)
        else:
            self._deadline = None
            self.timeoutConnection()

    def requestDone(self, request: Any) -> None:
        """Wait for the next."""
        self._reading = False
        self._savedTimeOut = self._idle
        super().requestDone(request)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Make room for another."""
        self.site.held -= 1  # type: ignore[attr-defined]
        super().connectionLost(reason)
        if self._look is not None:
            self._look.cancel()
            self._look = None


class GatewaySite(Site):
    """A site without Twisted's access log, which costs much and shows every query string: logs.py has ours.

    `most` connections are `held` at once: more are closed unheard.
    """

    noisy = False
    protocol = GatewayChannel  # type: ignore[assignment]
    most = sys.maxsize
    held = 0

    def log(self, request: Any) -> None:
        """Nothing."""


class GatewayRequest(Request):
    """A request whose body stays in memory and within bounds, and which knows when its client has `gone`."""

    content: BytesIO
    gone = False
    excess = 0
    """Bytes of the body that were dropped."""
    caller: Caller | None = None
    """Who asks, once authenticated."""

    def gotLength(self, length: int | None) -> None:
        """Take the body into memory: handleContentChunk bounds it."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep what is within bounds, drop the rest, and end what does not end."""
        largest: int = self.channel.site.resource.largest_body  # type: ignore[attr-defined]
        if not self.excess and self.content.tell() + len(data) <= largest:
            self.content.write(data)
            return
        self.excess += len(data)
        if self.excess > ENDLESS * largest:
            self.channel.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """The client did not wait for its answer; what it asked for goes on."""
        self.gone = True
        super().connectionLost(reason)


class Root(Resource):
    """The whole site."""

    isLeaf = True

    def __init__(
        self, api: Api, logins: Logins, settings: HttpSettings, answers: Answers, mounts: Mapping[bytes, Resource]
    ) -> None:
        super().__init__()
        self._mounts = mounts
        self._api = api
        self._logins = logins
        self.largest_body = settings.largest_body
        self._settings = settings
        self._answers = answers
        self._names = {f"/{name}".encode(): name for name in COMMANDS}
        self._rpc = Rpc(api, answers, settings)
        self._others: Mapping[bytes, tuple[bytes, Callable[[Any], Any]]] = {
            b"/": (b"GET, HEAD, POST, OPTIONS", self._front),
            b"/rpc": (b"POST, OPTIONS", self._rpc.render),
            b"/openapi.json": (_DOCUMENT_METHODS, self._openapi),
            b"/openrpc.json": (_DOCUMENT_METHODS, self._openrpc),
        }

    def render(self, request: Any) -> int:
        """Answer a request, now or later."""
        name = self._names.get(request.path)
        if name is None:
            self._other(request)
            return NOT_DONE_YET
        method = request.method
        if method not in (b"GET", b"POST"):
            self._not_so(request, _COMMAND_METHODS)
            return NOT_DONE_YET
        self._admit(request, self._command, name)
        return NOT_DONE_YET

    def _command(self, request: Any, name: str) -> None:
        """A command of somebody who may come in."""
        caller = request.caller
        try:
            given = _query(request) if request.method == b"GET" else self._body(request)
            if self._settings.log_requests:
                logs.call(request, caller, name, given)
            result = self._api.call(name, caller, given)
            if hasattr(result, "__await__"):
                done = Deferred.fromCoroutine(result)
                done.addCallback(self._later, request)
                done.addErrback(self._fail, request)
            else:
                self._answers.send(request, result)
        except Exception:
            self._fail(Failure(), request)

    def _later(self, value: Any, request: Any) -> None:
        self._answers.send(request, value)

    # who

    def _admit(self, request: Any, then: Callable[..., None], *more: Any) -> None:
        """Find out who asks, and go on with that: at once for who is known, else when the login was looked at.

        What a connection has come in by before is known without a digest: on that connection it tells nobody anything.
        """
        values = request.requestHeaders.getRawHeaders(b"authorization")
        if values is None:
            self._unauthorized(request)
            return
        given, host = values[-1], request.client.host
        channel = request.channel
        before = getattr(channel, "known", None)
        if before is not None and before[0] == given and self._logins.holds(before[1]):
            request.caller = before[1]
            then(request, *more)
            return
        request.caller = self._logins.known(given, Origin.RPC, host)
        if request.caller is not None:
            channel.known = (given, request.caller)
            then(request, *more)
            return
        pair = credentials(given)
        if pair is None:
            self._unauthorized(request)
            return
        entering = Deferred.fromCoroutine(self._logins.enter(given, *pair, Origin.RPC, host))
        entering.addCallback(self._entered, request, then, more)
        entering.addErrback(self._fail, request)

    def _entered(self, caller: Caller | None, request: Any, then: Callable[..., None], more: tuple[Any, ...]) -> None:
        request.caller = caller
        if caller is None:
            self._unauthorized(request)
        else:
            then(request, *more)

    def _unauthorized(self, request: Any) -> None:
        if self._settings.log_requests:
            logs.unauthorized(request)
        request.setHeader(b"WWW-Authenticate", b'Basic realm="txgateway", charset="UTF-8"')
        self._answers.send(request, {"status": "Unauthorized"}, 401)

    # what

    def _body(self, request: Any) -> Mapping[str, Any]:
        """The arguments in a POST's JSON object; an empty body has none."""
        if request.excess:
            raise _TooLarge
        data = request.content.getvalue()
        given = wire.loads(data) if data else {}
        if not isinstance(given, dict):
            raise BadArgument('The body must be a JSON object of arguments by name, such as {"symbol": "IBM"}.')
        return given

    def _fail(self, failure: Failure, request: Any) -> None:
        """Answer with what went wrong; nothing but the log hears of it when the client is gone."""
        error: Any = failure.value
        refusal = refusal_of(error)
        if refusal is not None:
            self._answers.send(request, wire.refusal(refusal))
            return
        if isinstance(error, _TooLarge):
            self._too_large(request)
            return
        what = failed(error)
        if is_unexpected(what):
            log.failure("{path} failed.", failure, path=logs.path_of(request))
        self._answers.send(request, what.body, what.http)

    def _too_large(self, request: Any) -> None:
        text = f"The body is larger than {self.largest_body} bytes."
        self._answers.send(request, {"status": "Error", "errorMsg": text, "reason": "TOO_LARGE"}, 413)

    # the rest of the site

    def _other(self, request: Any) -> None:
        """A path that is no command's."""
        if request.path == b"/health":
            self._health(request)
            return
        mounted = self._mounts.get(request.path) or self._mounts.get(first_segment(request.path))
        if mounted is not None:
            mounted.render(request)
            return
        found = self._others.get(request.path)
        if found is not None and request.method not in found[0].split(b", ")[:-1]:
            self._not_so(request, found[0])
            return
        self._admit(request, self._found, found)

    def _found(self, request: Any, found: tuple[bytes, Callable[[Any], Any]] | None) -> None:
        """Something else than a command, or nothing, for somebody who may come in."""
        if request.excess:
            self._too_large(request)
        elif found is None:
            text = f"There is no {logs.path_of(request)}: GET /help lists what there is."
            self._answers.send(request, {"status": "Error", "errorMsg": text, "reason": "NO_SUCH_PATH"}, 404)
        else:
            found[1](request)

    def _not_so(self, request: Any, allowed: bytes) -> None:
        """Say which methods a path has: as a refusal, or because OPTIONS asked."""
        request.setHeader(b"Allow", allowed)
        if request.method == b"OPTIONS":
            request.setResponseCode(204)
            request.finish()
        else:
            text = f"{logs.path_of(request)} takes {allowed.decode()}."
            self._answers.send(request, {"status": "Error", "errorMsg": text, "reason": "BAD_METHOD"}, 405)

    def _health(self, request: Any) -> None:
        """For load balancers and container engines: no secrets, no authentication."""
        if request.method not in (b"GET", b"HEAD"):
            self._not_so(request, _DOCUMENT_METHODS)
            return
        gateway = self._api.gateway
        trouble = "stopping" if gateway.stopping else "journal" if gateway.ledger.error is not None else "ok"
        status = self._api.status_word(self._api.about.default_venue)
        halts = gateway.state.halts
        shown = {"status": trouble, "gateway": status, "halted": gateway.state.halted is not None, "halts": len(halts)}
        self._answers.send(request, shown, 200 if trouble == "ok" else 503)

    def _front(self, request: Any) -> None:
        """JSON-RPC for a POST; for a browser, where to read on."""
        if request.method == b"POST":
            self._rpc.render(request)
            return
        about = self._api.about
        paths = {"help": "/help", "openapi": "/openapi.json", "openrpc": "/openrpc.json", "health": "/health"}
        self._answers.send(request, {"txgateway": about.version, "json_rpc": "POST / or /rpc", **paths})

    def _openapi(self, request: Any) -> None:
        self._answers.send_body(request, _document(documents.openapi, self._api.about.version))

    def _openrpc(self, request: Any) -> None:
        self._answers.send_body(request, _document(documents.openrpc, self._api.about.version))


def first_segment(path: bytes) -> bytes:
    """`/webhooks/` of `/webhooks/proquant/mine`."""
    end = path.find(b"/", 1)
    return path[: end + 1] if end > 0 else b""


@cache
def _document(make: Callable[[str], Any], version: str) -> bytes:
    return wire.dumps(make(version))


class _TooLarge(Exception):
    """A body over the limit."""


def _query(request: Any) -> Mapping[str, str]:
    """The arguments in a GET's query string, each given once."""
    if not request.args:
        return {}
    try:
        given = {name.decode(): [value.decode() for value in values] for name, values in request.args.items()}
    except UnicodeDecodeError:
        raise BadArgument("The query string is not UTF-8.") from None
    for name, values in given.items():
        if len(values) > 1:
            raise BadArgument(f"The name {name[:80]!r} stands twice in the query string: give it once.")
    return {name: value for name, (value,) in given.items()}
