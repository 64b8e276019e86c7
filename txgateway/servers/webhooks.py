"""Signals over HTTP: each source has a URL, and proves itself there as its kind does.

    POST /webhooks/proquant/<source>[/<secret>]
    POST /webhooks/tradingview/<source>[/<secret>]
    POST /webhooks/signal/<source>

Answers: what the kind's sender expects, 2xx only once the signal is on disk. 400 for what cannot be understood or is
too old, 401 for the wrong secret, 404 where there is no such source, 405, 413, 429 for more than the source may send,
503 while the journal cannot be written: nothing was taken in then, and it may be sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from txgateway import wire
from txgateway.admission import Admission
from txgateway.model.errors import Reason, Refused
from txgateway.model.signal import Answer, Source, SourceKind
from txgateway.signaling import Signaling
from txgateway.signals import LARGEST, Post, Refusal, TooLarge, WrongPlace, WrongSecret

log = Logger()

KINDS = {"proquant": SourceKind.PROQUANT, "tradingview": SourceKind.TRADINGVIEW, "signal": SourceKind.GENERIC}
"""The path's word for each kind that has a URL for each source."""


class Webhooks(Resource):
    """`/webhooks/…`: a leaf for every source."""

    isLeaf = True

    def __init__(self, signaling: Signaling, admission: Admission, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._signaling = signaling
        self._admission = admission
        self._clock = clock

    def render(self, request: Any) -> int:
        """Answer a request, now or later."""
        kind, source, rest = self._source(request.path)
        if source is None:
            refusal = Refusal(Reason.NO_SUCH_SOURCE, "There is no such source: `query_sources` lists them.")
            language = self._signaling.languages.get(kind)
            if language is None:
                _refuse(request, 404, refusal.reason, refusal.text)
            else:
                _answer(language.refused(refusal, 404), request)
        elif request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            _refuse(request, 405, "BAD_METHOD", "Signals are sent by POST.")
        elif getattr(request, "excess", 0) or request.content.getbuffer().nbytes > LARGEST:
            size = getattr(request, "excess", 0) + request.content.getbuffer().nbytes
            _refuse(request, 413, "TOO_LARGE", f"The body has {size} bytes, and may have {LARGEST}.")
        else:
            self._receive(request, source, rest)
        return NOT_DONE_YET

    def _source(self, path: bytes) -> tuple[str, Source | None, str]:
        """The kind and the source of a path, and what comes after its name."""
        parts = path.decode("utf-8", "replace").split("/", 4)[2:]
        kind = KINDS.get(parts[0]) if parts else None
        source = self._signaling.sources.get(parts[1]) if len(parts) > 1 else None
        if source is None or source.kind is not kind:
            return kind or "", None, ""
        return source.kind, source, parts[2] if len(parts) > 2 else ""

    def _receive(self, request: Any, source: Source, rest: str) -> None:
        host, certificate = self._admission.peer(request)
        post = Post(
            body=request.content.getvalue(),
            time=self._clock(),
            rest=rest,
            headers=_headers(request),
            query={},
            host=host,
            certificate=certificate,
        )
        try:
            self._signaling.prove(source, post)
        except WrongSecret as error:
            self._turn_away(request, source, host, error)
            return
        if not self._admission.pace(source):
            text = f"Source {source.name} may send {source.rate:g} a second: send it again later."
            _refuse(request, 429, "TOO_MANY_REQUESTS", text)
            return
        done = Deferred.fromCoroutine(self._signaling.receive(source, post))
        done.addCallbacks(_answer, self._failed, (request,), {}, (request, source))
        done.addErrback(lambda failure: log.failure("A signal could not be answered.", failure))

    def _turn_away(self, request: Any, source: Source, host: str, error: WrongSecret) -> None:
        why = str(error)
        if not self._admission.wrong(host):
            _refuse(request, 429, "TOO_MANY_REQUESTS", "Too many wrong secrets come from this address.")
            return
        if isinstance(error, WrongPlace | TooLarge):
            log.warn("source {source}: not let in from {host}: {why}", source=source.name, host=host, why=why)
        else:
            log.warn("source {source}: wrong secret from {host}", source=source.name, host=host)
        if isinstance(error, TooLarge):
            _refuse(request, 413, "TOO_LARGE", why)
        else:
            refusal = Refusal(Reason.NOT_ALLOWED, why)
            _answer(self._signaling.languages[source.kind].refused(refusal, 401), request)

    def _failed(self, failure: Failure, request: Any, source: Source) -> None:
        if failure.check(Refused):
            refused: Any = failure.value
            _refuse(request, 503, refused.reason, refused.text)
        else:
            log.failure("A signal of {source} failed.", failure, source=source.name)
            _refuse(request, 500, "INTERNAL", "The gateway made an error over this; its log says which.")


def _headers(request: Any) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): values[-1].decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }


def _answer(answer: Answer, request: Any) -> None:
    if getattr(request, "gone", False):
        return
    request.setResponseCode(answer.status)
    body = answer.body.encode()
    if body:
        kind = b"application/json" if body.startswith(b"{") else b"text/plain; charset=utf-8"
        request.setHeader(b"Content-Type", kind)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    for name, value in answer.headers:
        request.setHeader(name.encode(), value.encode())
    request.write(body)
    request.finish()


def _refuse(request: Any, status: int, reason: str, text: str) -> None:
    body = wire.dumps({"status": "Error", "errorMsg": text, "reason": reason}).decode()
    _answer(Answer(status, body), request)
