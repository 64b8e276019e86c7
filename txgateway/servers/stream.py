"""The stream: netstrings over TCP, txTrader's protocol (its description is on top of lines.py).

Whatever a client sends wrong costs that client its answer or its connection, and nothing else.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from txgateway import lines, render, wire
from txgateway.access import Caller
from txgateway.api import Api
from txgateway.audience import Settings
from txgateway.bulletins import LINES
from txgateway.commands import COMMANDS
from txgateway.lines import Login, Options, Request
from txgateway.links import watch_link
from txgateway.logins import Logins
from txgateway.model.errors import BadArgument, GatewayError, NotUp, TooMany
from txgateway.model.market import Ticker
from txgateway.model.order import Origin
from txgateway.outlet import Outlet
from txgateway.publisher import Publisher
from txgateway.render import Fragments

log = Logger()


class StreamFactory(Factory):
    """Makes a session of each connection; more than the settings allow are told so and closed."""

    noisy = False

    def __init__(
        self,
        api: Api,
        publisher: Publisher,
        logins: Logins,
        flags: wire.Flags,
        reactor: Any,
        settings: Settings,
        hostname: str,
        fragments: Fragments | None = None,
    ) -> None:
        self.api = api
        self.publisher = publisher
        self.logins = logins
        self.flags = flags
        self.reactor = reactor
        self.settings = settings
        self.greeting = lines.connected(api.about.header, hostname)
        self.fragments = fragments
        self.sessions: set[StreamSession] = set()

    def review(self) -> None:
        """Disconnect everyone whose credential is not good any more."""
        for session in list(self.sessions):
            session.review()

    def buildProtocol(self, addr: object) -> StreamSession | None:
        """A session; nothing when even the refused ones have become too many."""
        return StreamSession(self) if len(self.sessions) < 2 * self.settings.clients else None


class StreamSession(Protocol):
    """One client, from its connection to its end."""

    def __init__(self, factory: StreamFactory) -> None:
        self._factory = factory
        self._api = factory.api
        self._settings = factory.settings
        self._netstrings = lines.Netstrings()
        self._caller: Caller | None = None
        self._lease = ""
        self._outlet: Any = None
        self._peer = self._host = ""
        self._late: Any = None
        self._under_way = 0
        self._long = DeferredLock()
        self._held: deque[bytes] | None = None
        """What it said while its login is looked at."""

    # the connection

    def connectionMade(self) -> None:
        """Greet, and wait for a login."""
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        peer = transport.getPeer()
        self._peer, self._host = str(peer), str(getattr(peer, "host", ""))
        self._event("connected")
        self._outlet = Outlet(self._factory.publisher, transport, LINES, self._dropped)
        self._outlet.open()
        self._factory.sessions.add(self)
        if len(self._factory.sessions) > self._settings.clients:
            self._outlet.drop(f"there are {self._settings.clients} connections, no more are taken: try again later")
            return
        self._say(self._factory.greeting)
        self._expect(self._settings.login_seconds, "you have not logged in")

    def dataReceived(self, data: bytes) -> None:
        """Do what the client says, as far as it can be understood."""
        if self._outlet.closed:
            return
        whole = False
        try:
            for message in self._netstrings.receive(data):
                whole = True
                if self._held is not None:
                    self._held.append(message)
                else:
                    self._received(message)
                if self._outlet.closed:
                    return
        except lines.BrokenNetstring as error:
            self._outlet.drop(str(error))
            return
        if self._caller is not None:
            self._expect_rest(whole)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let go of everything the client had."""
        self._event("disconnected")
        self._expect(0)
        self._outlet.gone()
        if self._lease:
            self._api.gateway.leases.lost(self._lease, self)
        self._api.feed.drop(self)
        self._factory.sessions.discard(self)

    def _expect(self, seconds: float, why: str = "") -> None:
        """End the connection after so many seconds; 0 never."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        if seconds:
            why = f"{why} within {seconds:g} s"
            self._late = self._factory.reactor.callLater(seconds, self._outlet.drop, why)
        else:
            self._late = None

    def _expect_rest(self, whole: bool) -> None:
        """Half a message must be followed by the other half in time."""
        if not self._netstrings.partial:
            self._expect(0)
        elif whole or self._late is None:
            self._expect(self._settings.message_seconds, "you have not sent the rest of a message")

    def _dropped(self, why: str) -> None:
        log.warn("stream client {peer} is disconnected: {why}", peer=self._peer, why=why)

    def _event(self, what: str) -> None:
        if self._settings.log_connections:
            log.info("stream client {peer} {what}", peer=self._peer, what=what)

    def _say(self, line: str) -> None:
        self._outlet.say(line.encode())

    # what it says

    def _received(self, message: bytes) -> None:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._outlet.drop("a message is not UTF-8")
            return
        word = text.split(maxsplit=1)[0] if text.strip() else ""
        if self._settings.log_messages:
            shown = f"{' '.join(text.split()[:2])} …" if word == "auth" else lines.masked(text)
            log.info("stream client {peer}: {text}", peer=self._peer, text=shown)
        if self._caller is None and word in lines.WORDS and word not in lines.BEFORE_LOGIN:
            self._unauthorized()
            return
        try:
            said = lines.parse(text)
        except BadArgument as error:
            self._say(lines.error(str(error)))
            return
        if isinstance(said, Login):
            self._login(said)
        elif said is not None:
            self._asked(said)
        elif word:
            self._say(lines.WHAT)

    def _unauthorized(self) -> None:
        self._say(lines.AUTHORIZATION_REQUIRED)
        self._outlet.close()

    def _login(self, login: Login) -> None:
        """Let it in, at once when it is known; while a login is looked at, whatever else it says waits."""
        logins, given = self._factory.logins, f"{login.username} {login.password}".encode()
        caller = logins.known(given, Origin.STREAM, self._host, self)
        if caller is not None:
            self._enter(caller, login)
            return
        self._held = deque()
        entering = Deferred.fromCoroutine(
            logins.enter(given, login.username, login.password, Origin.STREAM, self._host, self)
        )
        if not entering.called:
            self._reading(False)
        entering.addCallback(self._entered, login)
        entering.addErrback(self._not_entered)

    def _entered(self, caller: Caller | None, login: Login) -> None:
        held, self._held = self._held, None
        if self._outlet.closed:
            return
        if caller is None:
            self._dropped(f"wrong user name or password for {login.username[:80]!r}")
            self._unauthorized()
            return
        self._enter(caller, login)
        self._reading(True)
        for message in held or ():
            if not self._outlet.closed:
                self._received(message)

    def _not_entered(self, failure: Failure) -> None:
        self._held = None
        if failure.check(TooMany) is None:
            log.failure("A login failed.", failure)
        self._outlet.drop(str(failure.value) if failure.check(TooMany) else lines.INTERNAL)

    def _enter(self, caller: Caller, login: Login) -> None:
        publisher = self._factory.publisher
        options, channel = publisher.checked(lines.options(login.options))
        self._caller = caller
        self._netstrings.limit = lines.AFTER_AUTH
        self._expect(0)
        self._say(lines.authorized(channel, publisher.seq if options.position else None))
        self._guard(options)
        for complaint in options.complaints:
            self._say(lines.error(complaint))
        self._outlet.listen(options, channel, caller.accounts)

    def review(self) -> None:
        """Disconnect one whose credential is not good any more."""
        if self._caller is not None and not self._factory.logins.holds(self._caller):
            self._outlet.drop(lines.NOT_ANY_MORE)

    def _guard(self, options: Options) -> None:
        """Cancel on disconnect, when that was asked for, or no more, when it was taken back."""
        assert self._caller is not None
        guard = options.guard
        if guard is not None:
            leases = self._api.gateway.leases
            self._lease = leases.hold(self._caller.user, guard.name, guard.seconds, self._lease, self)
            if self._lease:
                watch_link(self.transport)
                told = lines.lease(self._lease, guard.seconds or 0)
                self._api.gateway.settled().addCallback(lambda _: self._say(told))
        self._caller = replace(self._caller, lease=self._lease)

    def _asked(self, request: Request) -> None:
        if request.word in lines.QUIT:
            self._outlet.close()
        elif request.word == "help":
            self._say(lines.help_line())
        elif request.word == "status":
            self._say(lines.status(self._api.status_word(self._channel)))
        elif self._caller is not None:
            self._under_way += 1
            if self._under_way == self._settings.requests:
                self._reading(False)
            Deferred.fromCoroutine(self._answer(request, self._caller)).addBoth(self._answered)

    def _answered(self, result: Any) -> None:
        self._under_way -= 1
        if self._under_way == self._settings.requests - 1:
            self._reading(True)
        if self._outlet.closed:
            self._api.feed.drop(self)
        if isinstance(result, Failure):
            log.failure("A stream client's command failed.", result)
            self._say(lines.error(lines.INTERNAL))

    def _reading(self, on: bool) -> None:
        """Read no more of a client with too many commands under way, until some are answered."""
        transport: Any = self.transport
        if not self._outlet.closed:
            transport.resumeProducing() if on else transport.pauseProducing()

    @property
    def _channel(self) -> str:
        return self._outlet.channel or self._api.about.default_venue

    # answers

    async def _answer(self, request: Request, caller: Caller) -> None:
        try:
            if request.method not in COMMANDS:
                raise BadArgument(f"there is no method {request.method!r}: help lists them")
            result = self._api.call(request.method, caller, self._arguments(request))
            result = await result if inspect.isawaitable(result) else result
            if not request.long:
                await self._tell(request, result)
                return
            await self._long.acquire()  # not while a venue is asked: the next may ask another
            try:
                await self._tell(request, result)
            finally:
                self._long.release()
        except NotUp as error:
            self._say(request.failed(self._channel, error) if request.word == "call" else lines.NOT_UP)
            if request.word != "call":
                self._outlet.close()
        except GatewayError as error:
            self._say(request.failed(self._channel, error))

    def _arguments(self, request: Request) -> Mapping[str, Any]:
        """The arguments; on another venue's channel, symbols are that one's."""
        symbol = request.arguments.get("symbol", "@")
        of_market = request.label in ("symbol", "symbol-data") or request.word == "getbars"
        if not of_market or "@" in symbol or self._channel == self._api.about.default_venue:
            return request.arguments
        return {**request.arguments, "symbol": f"{symbol}@{self._channel}"}

    async def _tell(self, request: Request, result: Any) -> None:
        if request.word == "globalcancel":
            self._say(lines.CANCELING)
            return
        if request.word == "shutdown":
            return
        if request.word == "accounts":
            self._say(lines.accounts(result))
        if request.label in ("symbol", "symbols"):
            result = self._symbols(result)
        before, after = (each.encode() for each in request.around(self._channel))
        flags, fragments = self._factory.flags, self._factory.fragments
        if render.is_long(result):
            await self._outlet.say_long(before, render.pieces(result, flags, fragments), after)
        else:
            self._outlet.say(before + render.encoded(result, flags, fragments) + after)

    def _symbols(self, result: Any) -> Any:
        """Symbol objects as this client wants them: its fields, and its channel's names."""
        if isinstance(result, dict):
            return {self._name(name): self._symbols(each) for name, each in result.items()}
        if not isinstance(result, Ticker):
            return result
        options: Options = self._outlet.options
        ticker = replace(result, name=self._name(result.name))
        if options.symbol_fields is None:
            return ticker
        return wire.symbol(ticker, self._factory.flags, options.symbol_fields)

    def _name(self, name: str) -> str:
        """A symbol's name on this client's channel: the channel's own have no venue, all others have."""
        symbol, _, venue = name.partition("@")
        venue = venue or self._api.about.default_venue
        return symbol if venue == self._channel else f"{symbol}@{venue}"
