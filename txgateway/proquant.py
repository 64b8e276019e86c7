"""ProQuant's own service: where an integration is asked for.

POST <base>/api/integrations/v1/integrations
{"name", "description", "imageUrl", "userEmail", "webhook": {"url", "headers"}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from txgateway import wire
from txgateway.model.errors import Ambiguous, Reason, Refused

PATH = "/api/integrations/v1/integrations"
SECONDS = 15.0
"""How long an answer may take."""
BODY_SECONDS = 5.0
"""How long its body may take then."""
LARGEST = 64 * 1024
"""Bytes of a body that are read."""


class ProQuantService:
    """ProQuant over HTTP. `base` is its address, without a slash at the end."""

    def __init__(self, base: str, reactor: Any, seconds: float = SECONDS) -> None:
        self.base = base
        self._reactor = reactor
        self._seconds = seconds
        self._agent: Any = None

    async def create(self, document: Mapping[str, Any], secret: str) -> None:
        """Ask for an integration. Refused: there is none. Ambiguous: it was sent, and the answer is not known.

        `secret` is shown in no error, even where ProQuant says it back.
        """
        sent = Deferred.fromCoroutine(self._post(wire.dumps(document)))
        sent.addTimeout(self._seconds, self._reactor)
        try:
            response = await sent
        except Exception as error:
            raise self._trouble(error) from None
        body = await self._body(response)
        if not 200 <= response.code < 300:
            words = " ".join(body.decode("utf-8", "replace").replace(secret, "***").split())
            said = f" and said {words[:200]!r}" if words else ""
            raise Refused(Reason.NOT_CONNECTED, f"ProQuant answered {response.code}{said}: there is no integration.")

    async def _post(self, body: bytes) -> Any:
        from twisted.web.client import Agent  # only here: it loads OpenSSL
        from twisted.web.http_headers import Headers

        if self._agent is None:
            self._agent = Agent(self._reactor, connectTimeout=self._seconds)
        headers = Headers({"Content-Type": ["application/json"], "User-Agent": ["txGateway"]})
        return await self._agent.request(b"POST", f"{self.base}{PATH}".encode(), headers, _Body(body))

    async def _body(self, response: Any) -> bytes:
        """What it says, as far as that comes in time."""
        collector = _Collector()
        response.deliverBody(collector)
        collector.whole.addTimeout(BODY_SECONDS, self._reactor, lambda failure, seconds: b"")
        return await collector.whole

    def _trouble(self, error: Exception) -> Exception:
        """What an error on the way means: nothing was sent, or that is not known."""
        if isinstance(error, DNSLookupError | ConnectError | ConnectingCancelledError):
            why = f"{type(error).__name__}, nothing was sent"
            text = f"{self.base} cannot be reached ({why}): try again, or look at TXGATEWAY_PROQUANT_URL."
            return Refused(Reason.NOT_CONNECTED, text)
        reasons = [each for each in getattr(error, "reasons", ()) if isinstance(each, Failure)]
        if any(each.check("OpenSSL.SSL.Error", "service_identity.exceptions.VerificationError") for each in reasons):
            text = f"{self.base} does not prove by its certificate who it is: nothing was sent."
            return Refused(Reason.NOT_CONNECTED, text)
        text = f"ProQuant did not answer within {self._seconds:g} s, or broke off: the integration may be there."
        return Ambiguous(f"{text} Look into ProQuant's app before asking for it again.")


@implementer(IBodyProducer)
class _Body:
    """A request's body, written at once."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write it."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written."""

    def resumeProducing(self) -> None:
        """It is written."""

    def stopProducing(self) -> None:
        """It is written."""


class _Collector(Protocol):
    """Takes an answer's body, as far as it is wanted."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._close())
        self._parts = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """More of it."""
        self._parts += data
        if len(self._parts) > LARGEST:
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All of it, or as much as came."""
        if not self.whole.called:
            self.whole.callback(bytes(self._parts[:LARGEST]))

    def _close(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()
