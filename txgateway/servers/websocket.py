"""The stream's events as JSON over a WebSocket: a resource that the web server mounts at /stream.

The upgrade request carries HTTP basic auth (401 without it); one that a page of another site makes is refused (403).
Every message is one JSON object in a text message; a client's has at most 1 MB.

    server  {"type": "connected", "seq": N, "data": {"server": ..., "channel": "paper"}}    N: the journal's last record

    client  {"options": {"order-data": true, "quotes": true, ...}, "resume": SEQ}           resume is optional
    server  {"type": "listening", "seq": N, "data": {"channel": "paper", "complaints": [...]}}
            {"type": "lease", "data": {"id": ..., "seconds": ...}}     to the option cancel-on-disconnect: it is granted

    client  {"jsonrpc": "2.0", "id": 1, "method": "market_order", "params": {...}}           any method of the API
    server  {"jsonrpc": "2.0", "id": 1, "result": ...} or {"jsonrpc": "2.0", "id": 1, "error": {code, message, data}}

Options are the stream's (lines.py has them), by those names or by the type's alone: `order`, `orders` and
`order-notification` all ask for `order` events. They may be sent again, and then hold instead. Without them come
`time`, `error`, `connection`, `accounts` and `current-account` events.

    server  {"type": "order", "seq": 17, "data": {the order object}}       also ticket, execution, position, status,
                                                                           signal, reconciliation, each with its seq
            {"type": "quote", "data": {"symbol", "bid", "bidsize", "ask", "asksize", "time"}}
            {"type": "trade", "data": {"symbol", "last", "size", "volume", "time"}}
            {"type": "depth", "data": {"symbol", "bids", "asks", "sequence", "time"}}     [depth-data]
            {"type": "time", "data": "YYYY-mm-dd HH:MM:00"}                each minute of the feed's clock
            {"type": "error", "data": {"id": ..., "text": ...}}

The server pings, and closes a connection that does not answer. One that reads slowly is treated as on the stream.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from h11 import ProtocolError as H11Error
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.websocket import WebSocketResource
from wsproto.utilities import ProtocolError

from txgateway import bulletins, lines, render, wire
from txgateway.access import Caller
from txgateway.api import Api
from txgateway.audience import Settings
from txgateway.bulletins import DATA, LINE, News
from txgateway.commands import COMMANDS
from txgateway.links import watch_link
from txgateway.logins import Logins, credentials
from txgateway.model.errors import BadArgument, GatewayError, TooMany
from txgateway.model.market import Depth, Quote, Trade
from txgateway.model.order import Origin
from txgateway.outlet import Outlet
from txgateway.publisher import Publisher
from txgateway.render import Fragments

log = Logger()

GOING_AWAY, TRY_AGAIN = 1001, 1013
"""The close codes of a connection that ends with the daemon, and of one that is ended for what it costs or does."""
_HEADERS = {
    401: {b"www-authenticate": b'Basic realm="txgateway"'},
    405: {b"allow": b"GET"},
    426: {b"upgrade": b"websocket"},
}
_TEXT, _CONTINUATION, _CLOSE = 0x1, 0x0, 0x8


def frame(opcode: int, body: bytes, final: bool = True) -> bytes:
    """One frame from a server (RFC 6455)."""
    first, length = opcode | (0x80 if final else 0), len(body)
    if length < 126:
        return bytes((first, length)) + body
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + body
    return bytes((first, 127)) + length.to_bytes(8, "big") + body


class Messages:
    """How news is told in JSON."""

    needs_ticker = False
    ending = frame(_CLOSE, GOING_AWAY.to_bytes(2, "big"))

    def part(self, kind: str, wanted: frozenset[str]) -> int:
        """What a client with these options is told of a kind of news."""
        line, data = bulletins.PARTS.get(kind, ("", None))
        if data is not None:
            return DATA if data in wanted else 0
        return LINE if line == "" or line in wanted else 0

    def news(self, channel: str, news: News, part: int) -> bytes:
        """A piece of news."""
        seq = b',"seq":%d' % news.seq if part & DATA else b""
        return frame(_TEXT, b'{"type":"%b"%b,"data":%b}' % (news.kind.encode(), seq, news.data))

    def quote(self, channel: str, name: str, quote: Quote) -> bytes:
        """A quote."""
        value = {
            "symbol": name,
            "bid": wire.price(quote.bid),
            "bidsize": wire.number(quote.bid_size),
            "ask": wire.price(quote.ask),
            "asksize": wire.number(quote.ask_size),
            "time": wire.iso(quote.time),
        }
        return self.frame(b'{"type":"quote","data":%b}' % wire.dumps(value))

    def trade(self, channel: str, name: str, trade: Trade, volume: Decimal) -> bytes:
        """A trade."""
        value = {
            "symbol": name,
            "last": wire.price(trade.price),
            "size": wire.number(trade.size),
            "volume": wire.number(volume),
            "time": wire.iso(trade.time),
        }
        return self.frame(b'{"type":"trade","data":%b}' % wire.dumps(value))

    def depth(self, channel: str, name: str, depth: Depth) -> bytes:
        """A book."""
        return self.frame(b'{"type":"depth","data":%b}' % wire.dumps(wire.depth(name, depth)))

    def frame(self, body: bytes) -> bytes:
        """A message as it is sent."""
        return frame(_TEXT, body)

    def frames(self, parts: Sequence[bytes]) -> list[bytes]:
        """A long message's parts as they are sent: frames between which a pong may stand."""
        last = len(parts) - 1
        return [frame(_CONTINUATION if at else _TEXT, each, at == last) for at, each in enumerate(parts)]

    def farewell(self, text: str) -> bytes:
        """The last words to a client that is disconnected."""
        told = _message("error", {"id": "", "text": text})
        return self.frame(told) + frame(_CLOSE, TRY_AGAIN.to_bytes(2, "big"))


MESSAGES = Messages()
"""The WebSocket's way of telling."""


def _message(kind: str, data: Any, seq: int | None = None) -> bytes:
    return wire.dumps({"type": kind, **({} if seq is None else {"seq": seq}), "data": data})


def canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the stream's names, however they were named."""
    options = dict(given)
    for kind, (line, data) in bulletins.PARTS.items():
        names = (kind, f"{kind}s", f"{kind}-notification")
        if any(given.get(name) for name in names):
            options[data or line or kind] = True
        for name in names:
            if name not in bulletins.OPTIONS:
                options.pop(name, None)
    return options


class StreamResource(WebSocketResource):
    """The door: checks who comes, and hands the connection to a session."""

    isLeaf = True

    def __init__(
        self,
        api: Api,
        publisher: Publisher,
        logins: Logins,
        flags: wire.Flags,
        reactor: Any,
        settings: Settings,
        fragments: Fragments | None = None,
    ) -> None:
        super().__init__(factory=self)
        self.api = api
        self.publisher = publisher
        self.logins = logins
        self.flags = flags
        self.reactor = reactor
        self.settings = settings
        self.fragments = fragments
        self.sessions: set[SocketSession] = set()
        self._entered: SocketSession | None = None

    def buildProtocol(self, request: Request) -> SocketSession:
        """A session for a request that was let in."""
        caller: Any = request.caller  # type: ignore[attr-defined]
        self._entered = SocketSession(self, caller, str(request.getClientAddress()))
        return self._entered

    def review(self) -> None:
        """Disconnect everyone whose credential is not good any more."""
        for session in list(self.sessions):
            session.review()

    def render(self, request: Any) -> int:
        """Upgrade the connection of somebody who may come in, or say why not."""
        given = request.getHeader(b"authorization")
        pair = credentials(given) if given is not None else None
        if request.method != b"GET":
            self._refuse(request, 405, "Method Not Allowed: a WebSocket is opened with GET")
        elif given is None or pair is None:
            self._refuse(request, 401, "Unauthorized")
        else:
            host = request.client.host
            request.caller = self.logins.known(given, Origin.STREAM, host)
            if request.caller is not None:
                self._upgrade(request)
            else:
                entering = Deferred.fromCoroutine(self.logins.enter(given, *pair, Origin.STREAM, host))
                entering.addCallback(self._come, request)
                entering.addErrback(self._not_entered, request)
        return NOT_DONE_YET

    def _come(self, caller: Caller | None, request: Any) -> None:
        request.caller = caller
        if getattr(request, "gone", False):
            return
        if caller is None:
            self._refuse(request, 401, "Unauthorized")
        else:
            self._upgrade(request)

    def _not_entered(self, failure: Failure, request: Any) -> None:
        if failure.check(TooMany) is None:
            log.failure("A login failed.", failure)
        if not getattr(request, "gone", False):
            self._refuse(
                request,
                429 if failure.check(TooMany) else 500,
                str(failure.value) if failure.check(TooMany) else lines.INTERNAL,
            )

    def _upgrade(self, request: Any) -> None:
        refused = self._refused(request)
        if refused is not None:
            self._refuse(request, *refused)
            return
        try:
            rendered = super().render_GET(request)
        except (ProtocolError, H11Error, ValueError):
            if self._entered is not None:
                raise
            self._refuse(request, 400, "Bad Request: this is no WebSocket's upgrade")
            return
        session, self._entered = self._entered, None
        if session is not None:
            channel: Any = request.channel
            channel.dataReceived = session.guard(channel.dataReceived)
        elif isinstance(rendered, bytes):
            request.write(rendered)
            request.finish()

    def _refuse(self, request: Request, status: int, text: str) -> None:
        body = wire.dumps({"status": text})
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", b"%d" % len(body))
        for name, value in _HEADERS.get(status, {}).items():
            request.setHeader(name, value)
        request.write(body)
        request.finish()

    def _refused(self, request: Request) -> tuple[int, str] | None:
        origin = request.getHeader(b"origin")
        if origin and urlsplit(origin).netloc != (request.getHeader(b"host") or b""):
            return 403, "Forbidden: the request comes from another site's page"
        if (request.getHeader(b"upgrade") or b"").lower() != b"websocket":
            return 426, "Upgrade Required: this address is a WebSocket"
        if len(self.sessions) >= self.settings.clients:
            return 503, f"There are {self.settings.clients} connections, no more are taken: try again later"
        return None


class SocketSession:
    """One client, from its upgrade to its end."""

    def __init__(self, door: StreamResource, caller: Caller, peer: str) -> None:
        self.transport: Any = None
        self._door = door
        self._api = door.api
        self._settings = door.settings
        self._caller = replace(caller, listener=self)
        self._peer = peer
        self._wire: Any = None
        self._outlet: Any = None
        self._since = 0
        self._heard = True
        self._pinging: Any = None
        self._under_way = 0
        self._long = DeferredLock()

    # the connection

    def negotiationStarted(self, transport: Any) -> None:
        """The connection is ours; the upgrade's answer is about to be sent."""
        self._wire = transport
        self.transport = transport.transport
        self._door.sessions.add(self)
        # The HTTP channel watched how full the transport is; from now on the outlet does.
        self.transport.unregisterProducer()
        self.transport.setTcpNoDelay(True)
        self._outlet = Outlet(self._door.publisher, self.transport, MESSAGES, self._dropped)

    def negotiationFinished(self) -> None:
        """Greet."""
        self._event("connected")
        self._outlet.open()
        publisher = self._door.publisher
        options, channel = publisher.checked(lines.Options())
        server = {"server": self._api.about.header, "channel": channel}
        self._outlet.say(_message("connected", server, publisher.seq))
        self._outlet.listen(options, channel, self._caller.accounts)
        self._pinging = self._door.reactor.callLater(self._settings.ping_seconds, self._ping)

    def guard(self, receive: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """What takes received bytes in: like `receive`, but a broken or endless message ends this connection only."""

        def guarded(data: bytes) -> None:
            if self._outlet.closed:
                return
            self._heard = True
            self._since += len(data)
            try:
                receive(data)
            except ProtocolError as error:
                self._outlet.drop(f"this is no WebSocket's message: {error}")
            if self._since > lines.AFTER_AUTH + len(data):
                self._outlet.drop(f"a message is above the limit of {lines.AFTER_AUTH} bytes")
            if self.transport.disconnecting:
                self._outlet.close()

        return guarded

    def connectionLost(self, reason: Failure) -> None:
        """Let go of everything the client had."""
        self._event("disconnected")
        if self._pinging is not None and self._pinging.active():
            self._pinging.cancel()
        self._outlet.gone()
        if self._caller.lease:
            self._api.gateway.leases.lost(self._caller.lease, self)
        self._api.feed.drop(self)
        self._door.sessions.discard(self)

    def review(self) -> None:
        """Disconnect one whose credential is not good any more."""
        if not self._door.logins.holds(self._caller):
            self._outlet.drop(lines.NOT_ANY_MORE)

    def pongReceived(self, payload: bytes) -> None:
        """The client is there: `guard` has seen it already."""

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """There are no binary messages."""
        self._outlet.drop("messages are text, with one JSON object in each")

    def _ping(self) -> None:
        """See whether the client is there. One that reads slowly is not asked: the ping would wait like all else."""
        if self._outlet.closed:
            return
        if not self._heard and not self._outlet.paused:
            self._outlet.drop(f"no sign of life in {2 * self._settings.ping_seconds:g} s")
            return
        self._heard = False
        self._pinging = self._door.reactor.callLater(self._settings.ping_seconds, self._ping)
        if not self._outlet.paused:
            self._wire.ping()

    def _dropped(self, why: str) -> None:
        log.warn("WebSocket client {peer} is disconnected: {why}", peer=self._peer, why=why)

    def _event(self, what: str) -> None:
        if self._settings.log_connections:
            log.info("WebSocket client {peer} {what}", peer=self._peer, what=what)

    # what it says

    def textMessageReceived(self, message: str) -> None:
        """Options, or a call."""
        self._since = 0
        if self._outlet.closed:
            return
        if self._settings.log_messages:
            log.info("WebSocket client {peer}: {text}", peer=self._peer, text=lines.masked(message))
        try:
            said = wire.loads(message.encode())
        except (BadArgument, UnicodeEncodeError) as error:
            self._failed(None, -32700, str(error), "PARSE_ERROR")
            return
        if isinstance(said, dict) and isinstance(said.get("method"), str):
            self._call(said["method"], said.get("params", {}), said.get("id"), "id" in said)
        elif isinstance(said, dict) and isinstance(said.get("options"), dict):
            self._listen(canonical(said["options"]), said)
        else:
            self._failed(None, -32600, "send {options} or one JSON-RPC call {id, method, params}", "INVALID_REQUEST")

    def _listen(self, given: dict[str, Any], said: Mapping[str, Any]) -> None:
        if "resume" in said:
            given["resume"] = said["resume"]
        publisher = self._door.publisher
        options, channel = publisher.checked(lines.options_from(given))
        listening = {"channel": channel, "complaints": list(options.complaints)}
        guard, caller = options.guard, self._caller
        if guard is not None:
            leases = self._api.gateway.leases
            lease = leases.hold(caller.user, guard.name, guard.seconds, caller.lease, self)
            self._caller = replace(caller, lease=lease)
            if lease:
                watch_link(self.transport)
                told = _message("lease", {"id": lease, "seconds": guard.seconds})
                self._api.gateway.settled().addCallback(lambda _: self._outlet.say(told))
        self._outlet.say(_message("listening", listening, publisher.seq))
        self._outlet.listen(options, channel, self._caller.accounts)

    def _call(self, method: str, params: Any, call_id: Any, wants_answer: bool) -> None:
        well_named = not isinstance(call_id, dict | list | bool)
        if not well_named or not isinstance(params, dict | list):
            why = "params is an object or a list, id a text or a number"
            self._failed(call_id if well_named else None, -32600, why, "INVALID_REQUEST")
            return
        self._under_way += 1
        if self._under_way == self._settings.requests:
            self._reading(False)
        answer = self._answer(method, params, call_id, wants_answer)
        Deferred.fromCoroutine(answer).addBoth(self._answered, call_id if wants_answer else None)

    def _answered(self, result: Any, call_id: Any) -> None:
        self._under_way -= 1
        if self._under_way == self._settings.requests - 1:
            self._reading(True)
        if self._outlet.closed:
            self._api.feed.drop(self)
        if isinstance(result, Failure):
            log.failure("A WebSocket client's call failed.", result)
            self._failed(call_id, -32603, lines.INTERNAL, "INTERNAL")

    def _reading(self, on: bool) -> None:
        """Read no more of a client with too many calls under way, until some are answered."""
        if not self._outlet.closed:
            self.transport.resumeProducing() if on else self.transport.pauseProducing()

    # answers

    async def _answer(self, method: str, params: Any, call_id: Any, wants_answer: bool) -> None:
        long = method.startswith(("query_", "explain_"))
        try:
            if method not in COMMANDS:
                if wants_answer:
                    self._failed(call_id, -32601, f"there is no method {method!r}", "METHOD_NOT_FOUND")
                return
            result = self._api.call(method, self._caller, params)
            result = await result if inspect.isawaitable(result) else result
            if not wants_answer:
                return
            if not long:
                await self._tell(call_id, result)
                return
            await self._long.acquire()  # not while a venue is asked: the next may ask another
            try:
                await self._tell(call_id, result)
            finally:
                self._long.release()
        except GatewayError as error:
            refusal = lines.refusal_of(error)
            if not wants_answer:
                return
            if refusal is not None:
                await self._tell(call_id, wire.refusal(refusal))
            else:
                self._failed(call_id, *_coded(error))

    async def _tell(self, call_id: Any, result: Any) -> None:
        before = b'{"jsonrpc":"2.0","id":%b,"result":' % wire.dumps(call_id)
        flags, fragments = self._door.flags, self._door.fragments
        if render.is_long(result):
            await self._outlet.say_long(before, render.pieces(result, flags, fragments), b"}")
        else:
            self._outlet.say(before + render.encoded(result, flags, fragments) + b"}")

    def _failed(self, call_id: Any, code: int, text: str, reason: str) -> None:
        error = {"code": code, "message": text, "data": {"reason": reason}}
        self._outlet.say(wire.dumps({"jsonrpc": "2.0", "id": call_id, "error": error}))


def _coded(error: GatewayError) -> tuple[int, str, str]:
    code, reason = lines.code_of(error)
    return code, str(error), reason
