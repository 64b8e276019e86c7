"""The emulated rtgw inside a test's own reactor: it starts, serves, restarts, and leaves the reactor as it was."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.protocols.basic import LineReceiver

from tests.emulators.rtgw.control import Control
from tests.emulators.rtgw.server import Emulator, Options
from tests.emulators.test_rtgw.rawclient import ORDERS, order


class Client(LineReceiver):
    """What is told, in a queue; None at the end."""

    delimiter = b"\n"

    def __init__(self) -> None:
        self.told: Any = DeferredQueue()

    def lineReceived(self, line: bytes) -> None:
        self.told.put(json.loads(line))

    def connectionLost(self, reason: Any = None) -> None:
        self.told.put(None)


async def connected(port: int) -> Client:
    client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client())
    assert (await client.told.get())["data"]["msg"] == "startup"
    return client


@pytest_twisted.ensureDeferred
async def test_it_serves_and_restarts_and_goes() -> None:
    before = set(reactor.getDelayedCalls())
    emulator = Emulator(Options(tick=0.005), reactor)
    port = emulator.start()
    try:
        Control(emulator).do_quote("IBM", "185.10", "185.20")
        client = await connected(port)
        client.sendLine(f"connect 1 {ORDERS}".encode())
        client.sendLine(f"poke 1 ORDERS;*;!{order('a')}".encode())
        said = [(await client.told.get())["data"] for _ in range(4)]
        ok = [{"msg": msg, "status": "1"} for msg in ("OnInitAck", "OnOtherAck")]
        assert said == ["CONNECTION PENDING", ok[0], "POKE_OK", ok[1]]
        assert Control(emulator).do_net() == {"EMU.TEST.DESK.ONE": {"IBM": 100}, "EMU.TEST.DESK.TWO": {}}
        Control(emulator).do_restart(seconds=0.01)
        assert await client.told.get() is None
        again = None
        while again is None:
            with suppress(ConnectionRefusedError):
                again = await connected(port)
        again.sendLine(f"connect 1 {ORDERS}".encode())
        assert (await again.told.get())["data"] == "CONNECTION PENDING"
        emulator.book.latency = 60
        again.sendLine(f"poke 1 ORDERS;*;!{order('b')}".encode())
        while len(emulator.book.orders) < 2:
            await again.told.get()
    finally:
        await emulator.stop()
    while await again.told.get() is not None:
        continue
    assert set(reactor.getDelayedCalls()) <= before
