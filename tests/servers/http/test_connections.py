"""How long a connection may be idle, and a request take to come: by a clock, without sockets."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource

from txgateway.servers.http.site import GatewayRequest, GatewaySite

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Counting(Clock):
    """A clock that counts the delayed calls that are made on it, and what they cost it."""

    made = moved = 0

    def callLater(self, *given: Any, **named: Any) -> Any:
        self.made += 1
        call = super().callLater(*given, **named)
        reset = call.reset

        def count(seconds: float) -> None:
            self.moved += 1
            reset(seconds)

        call.reset = count
        return call


class Leaf(Resource):
    """Answers everything, or (told so) nothing."""

    isLeaf = True
    largest_body = 1024
    answers = True

    def render(self, request: Any) -> Any:
        return b"yes" if self.answers else 1  # NOT_DONE_YET


class Connection:
    """A connection to a site whose idle time is 90 s."""

    def __init__(self, idle: float = 90.0) -> None:
        self.clock = Counting()
        self.leaf = Leaf()
        site = GatewaySite(self.leaf, GatewayRequest, timeout=idle, reactor=self.clock)
        self.channel: Any = site.buildProtocol(None)
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)
        self.clock.made = 0

    def is_open_after(self, seconds: float) -> bool:
        """Let time pass, in steps."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)
        return not self.transport.disconnecting


def test_requests_cost_the_reactor_no_delayed_calls() -> None:
    connection = Connection()
    for _ in range(1000):
        connection.channel.dataReceived(REQUEST)
    assert connection.transport.value().count(b"yes") == 1000
    assert (connection.clock.made, connection.clock.moved) == (0, 0)


def test_an_idle_connection_is_closed_in_time() -> None:
    connection = Connection()
    assert connection.is_open_after(60)
    connection.channel.dataReceived(REQUEST)
    assert connection.is_open_after(89.5)
    assert not connection.is_open_after(1)


def test_a_request_that_drips_is_cut_off_in_time_however_late_it_began() -> None:
    for idle_before in (0, 1, 29, 31, 89):
        connection = Connection()
        assert connection.is_open_after(idle_before)
        connection.channel.dataReceived(REQUEST[:5])
        assert connection.is_open_after(20)
        connection.channel.dataReceived(REQUEST[5:9])
        assert connection.is_open_after(9.5)
        assert not connection.is_open_after(1)


@pytest.mark.parametrize("idle", [0.5, 10.0])
def test_a_short_idle_time_is_kept_for_requests_too(idle: float) -> None:
    connection = Connection(idle)
    connection.channel.dataReceived(REQUEST[:5])
    assert connection.is_open_after(idle - 0.2)
    assert not connection.is_open_after(0.5)


def test_a_request_that_is_worked_on_has_all_the_time_and_a_connection_that_goes_leaves_nothing() -> None:
    connection = Connection()
    connection.leaf.answers = False
    connection.channel.dataReceived(REQUEST)
    assert connection.is_open_after(200)
    request = connection.channel.requests[0]
    request.write(b"late")
    request.finish()
    assert connection.is_open_after(89.5)
    connection.channel.connectionLost(None)
    assert connection.clock.getDelayedCalls() == []
