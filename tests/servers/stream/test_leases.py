"""Cancel on disconnect on real sockets: a stream's and a WebSocket's, and what the kernel is told about the link."""

from __future__ import annotations

import socket
from typing import Any

import pytest_twisted

from tests.servers.stream.house import House
from txgateway import links
from txgateway.model.order import OrderStatus


def working(house: House) -> dict[str, str]:
    """The lease of each order that works, by its client_order_id."""
    return {
        each.client_order_id: each.lease
        for each in house.gateway.state.working.values()
        if each.status is OrderStatus.NEW
    }


@pytest_twisted.ensureDeferred
async def test_a_stream_clients_orders_end_with_its_connection(house: House) -> None:
    client = await house.login({"cancel-on-disconnect": 0})
    lease = (await client.heard(".lease ")).split()[0]
    other = await house.login({})
    for each, key in ((client, "guarded"), (other, "free")):
        await each.answer(f"limitorder API_ACCOUNT DEMO IBM 90 10 {key}", "{")
    assert working(house) == {"guarded": f"{lease}", "free": ""}
    client.transport.loseConnection()
    await house.until(lambda: working(house) == {"free": ""})
    await house.until(lambda: house.gateway.state.leases == {})


@pytest_twisted.ensureDeferred
async def test_the_kernel_watches_a_guarded_link(house: House) -> None:
    await house.login({"cancel-on-disconnect": 5})
    await house.login({})
    handles = [session.transport.getHandle() for session in house.factory.sessions]
    idle = [handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) for handle in handles]
    assert sorted(idle)[0] == links.IDLE < sorted(idle)[1]
    watched: Any = handles[idle.index(links.IDLE)]
    assert watched.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert watched.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == links.PROBES
    assert watched.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 11_000


@pytest_twisted.ensureDeferred
async def test_a_lease_that_cannot_be_understood_is_said(house: House) -> None:
    client = await house.login({"cancel-on-disconnect": "soon"})
    assert "your orders stay when you disconnect" in await client.heard(".error: ")
    assert house.gateway.state.leases == {}
