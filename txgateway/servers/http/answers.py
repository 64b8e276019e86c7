"""Writing answers: small ones at once, large ones in slices between the reactor's other work, compressed if wanted."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web.http import OK
from zope.interface import implementer

from txgateway import render
from txgateway.render import Fragments
from txgateway.servers.http import logs
from txgateway.wire import Flags

log = Logger()

TURN = 0.003
"""Seconds of one reactor turn that an answer may take."""
SLICE = 1024 * 1024
"""Bytes given to the transport in one turn, about."""
LONGEST_BACKLOG = 16 * 1024 * 1024
"""Bytes that wait for a client that asks on and does not read, before it is cut off."""
GZIP_FROM = 8 * 1024
"""Bytes from which an answer is compressed for a client that accepts it."""
_GZIP_PIECE = 64 * 1024
_GZIP_WINDOW = 31
"""zlib's name for: gzip format, largest window."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What the configuration says about HTTP; times in seconds, sizes in bytes, `log_truncate` in characters."""

    flags: Flags
    log_requests: bool = False
    log_responses: bool = False
    log_truncate: int = 96
    idle_timeout: float = 90.0
    largest_body: int = 1024 * 1024
    largest_batch: int = 1000


class Answers:
    """Puts results on requests. `fragments` are the renderings of orders and executions that are kept."""

    def __init__(self, settings: HttpSettings, fragments: Fragments, reactor: Any) -> None:
        self.flags = settings.flags
        self.fragments = fragments
        self.reactor = reactor
        self._settings = settings

    def send(self, request: Any, value: Any, code: int = OK) -> None:
        """Answer with a command's result."""
        if render.is_long(value):
            self.send_pieces(request, self.pieces(value), code)
        else:
            self.send_body(request, render.text(value, self.flags), code)

    def pieces(self, value: Any) -> Iterator[bytes]:
        """A command's result as pieces of JSON."""
        return render.pieces(value, self.flags, self.fragments)

    def send_body(self, request: Any, body: bytes, code: int = OK) -> None:
        """Answer with JSON that is ready."""
        if len(body) >= GZIP_FROM:
            self.send_pieces(request, _cut(body), code)
        elif not request.gone:
            self._log(request, code, body)
            self._whole(request, (body,), code)

    def send_pieces(self, request: Any, pieces: Iterator[bytes], code: int = OK) -> None:
        """Answer with JSON made while it is written; raises what the first pieces raise, with nothing written."""
        if request.gone:
            return
        until = self.reactor.seconds() + TURN
        flow = _Flow(pieces, self.reactor.seconds)
        head = flow.take(GZIP_FROM, until)
        self._log(request, code, head[0] if head else b"")
        if flow.ended and sum(map(len, head)) < GZIP_FROM:
            self._whole(request, head, code)
            return
        gzip = accepts_gzip(request.requestHeaders.getRawHeaders(b"accept-encoding"))
        rest = _gzipped(chain(head, flow.pieces)) if gzip else chain(head, flow.pieces)
        flow = _Flow(rest, self.reactor.seconds)
        first = flow.take(SLICE, until)
        request.setHeader(b"Vary", b"Accept-Encoding")
        if gzip:
            request.setHeader(b"Content-Encoding", b"gzip")
        if flow.ended:
            self._whole(request, first, code)
        else:
            request.setResponseCode(code)
            request.setHeader(b"Content-Type", b"application/json")
            _Writer(request, flow, self.reactor, self._settings.idle_timeout).start(first)

    def _whole(self, request: Any, body: Sequence[bytes], code: int) -> None:
        if code != OK:
            request.setResponseCode(code)
        headers = request.responseHeaders
        headers.setRawHeaders(b"Content-Type", _JSON)
        headers.setRawHeaders(b"Content-Length", [b"%d" % sum(map(len, body))])
        transport = request.channel.transport
        for piece in body:
            request.write(piece)
        request.finish()
        if _unread(transport) > LONGEST_BACKLOG:
            log.warn("HTTP client {peer} asks on and reads nothing: cut off.", peer=request.client)
            transport.abortConnection()

    def _log(self, request: Any, code: int, start: bytes) -> None:
        if self._settings.log_responses:
            logs.answer(request, code, start, self._settings.log_truncate)


_JSON = [b"application/json"]


def _unread(transport: Any) -> int:
    """Bytes of earlier answers that the client has not taken yet: it may ask on without reading them."""
    if not hasattr(transport, "dataBuffer"):
        return 0
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def accepts_gzip(values: Iterable[bytes] | None) -> bool:
    """Whether the Accept-Encoding headers let an answer be compressed."""
    if values is None:
        return False
    qualities: dict[bytes, float] = {}
    for each in b",".join(values).lower().split(b","):
        name, _, parameter = each.partition(b";")
        try:
            qualities[name.strip()] = float(parameter.strip().removeprefix(b"q=") or 1)
        except ValueError:
            qualities[name.strip()] = 1.0
    return qualities.get(b"gzip", qualities.get(b"*", 0.0)) > 0


def _cut(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _GZIP_PIECE] for at in range(0, len(body), _GZIP_PIECE))


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces compressed, in steps of a millisecond or so."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
    for piece in pieces:
        for part in _cut(piece):
            yield squeeze.compress(part)
    yield squeeze.flush()


class _Flow:
    """Pieces taken out a turn's worth at a time."""

    def __init__(self, pieces: Iterator[bytes], seconds: Callable[[], float]) -> None:
        self.pieces = pieces
        self.ended = False
        self._seconds = seconds

    def take(self, most: int, until: float) -> list[bytes]:
        """What comes until there are `most` bytes, or it is `until`, or it has `ended`."""
        taken: list[bytes] = []
        size = 0
        for piece in self.pieces:
            if piece:
                taken.append(piece)
                size += len(piece)
            if size >= most or self._seconds() >= until:
                return taken
        self.ended = True
        return taken


@implementer(IPushProducer)
class _Writer:
    """Writes a flow as fast as the client reads, a turn's worth at a time; chunked, or to the connection's end.

    A client that does not take a slice within `patience` seconds loses its connection.
    """

    def __init__(self, request: Any, flow: _Flow, reactor: Any, patience: float) -> None:
        self._request = request
        self._flow = flow
        self._reactor = reactor
        self._patience = patience
        self._paused = False
        self._turn: Any = None
        self._stall: Any = None

    def start(self, first: Sequence[bytes]) -> None:
        """Write the first slice, and go on in the next turn."""
        self._request.registerProducer(self, True)
        for piece in first:
            self._request.write(piece)
        self._plan()

    def pauseProducing(self) -> None:
        """The client's buffers are full."""
        self._paused = True
        if self._stall is None:
            self._stall = self._reactor.callLater(self._patience, self._break_off)

    def resumeProducing(self) -> None:
        """There is room again: this is the transport's turn, and so the next slice's."""
        self._paused = False
        self._read()
        if self._turn is None:
            self._go()

    def stopProducing(self) -> None:
        """The client is gone."""
        self._paused = True
        self._read()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _read(self) -> None:
        """The client has read what there was, or need not any more."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _break_off(self) -> None:
        """End the connection in the middle, which every client takes for an error."""
        self._stall = None
        self._request.unregisterProducer()
        self._request.transport.abortConnection()

    def _plan(self) -> None:
        if self._turn is None and not self._paused:
            self._turn = self._reactor.callLater(0, self._go)

    def _go(self) -> None:
        self._turn = None
        request = self._request
        if request.gone or self._paused:
            return
        try:
            slice_ = self._flow.take(SLICE, self._reactor.seconds() + TURN)
        except Exception:
            log.failure("An answer to {path} broke off.", path=request.path.decode("latin-1"))
            self._break_off()
            return
        for piece in slice_:
            request.write(piece)
        if self._flow.ended:
            self._read()
            request.unregisterProducer()
            request.finish()
        else:
            self._plan()
