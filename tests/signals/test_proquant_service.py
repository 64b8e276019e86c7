"""ProQuant's service asked over real sockets: yes, no, never there, and in doubt; always within its time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol

from txgateway import certs
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.proquant import LARGEST, PATH, ProQuantService
from txgateway.tls import server_context

reactor: Any = installed
SECRET = "baz-baz-baz-baz"
DOCUMENT = {"name": "me", "webhook": {"url": "https://gw.example.com", "headers": {"x": SECRET}}}


class Server(Protocol):
    """Answers a whole request with what the test says; nothing at all where that is None."""

    def __init__(self, answer: bytes | None, heard: list[bytes], hangs_up: bool) -> None:
        self._answer, self._heard, self._hangs_up = answer, heard, hangs_up
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        _, end, body = self._data.partition(b"\r\n\r\n")
        if not end or len(body) < len(json.dumps(DOCUMENT, separators=(",", ":"))):
            return
        self._heard.append(self._data)
        transport: Any = self.transport
        if self._answer is not None:
            transport.write(self._answer)
        if self._hangs_up:
            transport.loseConnection()


@asynccontextmanager
async def served(
    answer: bytes | None, hangs_up: bool = True, tls: Any = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server's address, and what it heard."""
    heard: list[bytes] = []
    factory = Factory()
    make: Callable[[Any], Protocol] = lambda address: Server(answer, heard, hangs_up)  # noqa: E731
    factory.buildProtocol = make  # type: ignore[method-assign]
    listen = partial(reactor.listenTCP, 0, factory) if tls is None else partial(reactor.listenSSL, 0, factory, tls)
    port = listen(interface="127.0.0.1")
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port.getHost().port}", heard
    finally:
        await port.stopListening()


def http(status: int, body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body) if length is None else length, body)


async def test_yes() -> None:
    for status in (200, 201, 204):
        async with served(http(status, b"")) as (base, heard):
            await ProQuantService(base, reactor).create(DOCUMENT, SECRET)
            head, _, body = heard[0].partition(b"\r\n\r\n")
            assert head.startswith(b"POST %b HTTP/1.1\r\n" % PATH.encode())
            assert b"content-type: application/json" in head.lower()
            assert json.loads(body) == DOCUMENT


async def test_no_and_what_it_says_without_the_secret() -> None:
    for status in (302, 400, 404, 500):
        async with served(http(status, f"no\r\n{SECRET} is taken".encode() + b" \xff" * LARGEST)) as (base, _):
            with pytest.raises(Refused) as refused:
                await ProQuantService(base, reactor).create(DOCUMENT, SECRET)
            assert refused.value.reason is Reason.NOT_CONNECTED
            assert str(refused.value).startswith(f"ProQuant answered {status} and said 'no *** is taken")
            assert len(str(refused.value)) < 400


async def test_a_no_whose_words_do_not_end_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txgateway.proquant.BODY_SECONDS", 0.05)
    async with served(http(403, b"no", 100), hangs_up=False) as (base, _):
        with pytest.raises(Refused, match="answered 403"):
            await ProQuantService(base, reactor).create(DOCUMENT, SECRET)


async def test_nobody_there() -> None:
    async with served(b"") as (base, _):
        pass
    for address in (base, "http://nowhere.invalid"):
        with pytest.raises(Refused, match="cannot be reached") as refused:
            await ProQuantService(address, reactor).create(DOCUMENT, SECRET)
        assert refused.value.reason is Reason.NOT_CONNECTED


async def test_no_answer_and_half_an_answer_are_doubt() -> None:
    for answer, hangs_up in ((None, False), (None, True), (b"HTTP/1.1 200", True), (b"nonsense\r\n\r\n", True)):
        async with served(answer, hangs_up) as (base, heard):
            with pytest.raises(Ambiguous, match="the integration may be there"):
                await ProQuantService(base, reactor, 0.2).create(DOCUMENT, SECRET)
            assert len(heard) == 1


async def test_who_does_not_prove_to_be_proquant_is_told_nothing(tmp_path: Path) -> None:
    certs.make(tmp_path, ["127.0.0.1"], [], datetime.now(UTC))
    context = server_context(tmp_path / "server.pem", tmp_path / "server.key", None)
    async with served(http(200, b""), tls=context) as (base, heard):
        with pytest.raises(Refused, match="does not prove by its certificate"):
            await ProQuantService(base, reactor).create(DOCUMENT, SECRET)
        assert heard == []
