"""The port for senders of signals alone: what is mounted there, and nothing else of the daemon; and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from txgateway import wire
from txgateway.servers.http.site import GatewayRequest, GatewaySite, first_segment

CONNECTIONS = 1000
"""Connections at once; beyond these the daemon's files are not spent on strangers."""
IDLE = 30.0
"""Seconds that a connection may be without a request."""


def make_outside(mounts: Mapping[bytes, Resource], largest_body: int, reactor: Any) -> Site:
    """The factory for that port; `mounts` as in make_site."""
    site = GatewaySite(Outside(mounts, largest_body), GatewayRequest, parsePOSTFormSubmission=False, timeout=IDLE)
    site.reactor = reactor
    site.most = CONNECTIONS
    return site


class Outside(Resource):
    """The whole site."""

    isLeaf = True

    def __init__(self, mounts: Mapping[bytes, Resource], largest_body: int) -> None:
        super().__init__()
        self._mounts = mounts
        self.largest_body = largest_body

    def render(self, request: Any) -> int:
        """Let a mount answer, or say that there is nothing."""
        mounted = self._mounts.get(first_segment(request.path))
        if mounted is not None:
            mounted.render(request)
            return NOT_DONE_YET
        return _nothing(request, "Nothing is here.")


class Elsewhere(Resource):
    """Says on the HTTP port where signals come in, when they have a port of their own."""

    isLeaf = True

    def __init__(self, url: Callable[[], str]) -> None:
        super().__init__()
        self._url = url

    def render(self, request: Any) -> int:
        """The other port's address; nothing of the path, which may hold a secret."""
        return _nothing(request, f"Signals do not come in by this port: send them to {self._url()}, by the same path.")


def _nothing(request: Any, text: str) -> int:
    request.setResponseCode(404)
    request.setHeader(b"Content-Type", b"application/json")
    request.write(wire.dumps({"status": "Error", "errorMsg": text, "reason": "NO_SUCH_PATH"}))
    request.finish()
    return NOT_DONE_YET
