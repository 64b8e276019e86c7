"""The emulated TWS's wire: framing, the handshake, and what clients do that they should not."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.loops import PATIENCE, on_loop, until
from tests.emulators.test_tws.peer import IBM, Peer, limit
from tests.emulators.tws.control import Control
from tests.emulators.tws.wire import Frames, NotUnderstood, Reader, pack, text

HELLO = b"API\0" + struct.pack(">I", 9) + b"v157..178"
words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=9)


@given(st.lists(st.lists(words, min_size=1, max_size=6), max_size=5), st.lists(st.integers(1, 9), min_size=1))
def test_messages_arrive_however_they_are_cut(sent: list[list[str]], cuts: list[int]) -> None:
    frames, data, heard, turn = Frames(), HELLO + b"".join(pack(*fields) for fields in sent), [], 0
    while data:
        size = cuts[turn % len(cuts)]
        heard += list(frames.receive(data[:size]))
        data, turn = data[size:], turn + 1
    assert frames.versions == (157, 178)
    assert heard == sent


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n", b"API\0\0\0\0\x03abc", b"API\0\xff\xff\xff\xff"])
def test_what_is_no_greeting(greeting: bytes) -> None:
    with pytest.raises(NotUnderstood):
        list(Frames().receive(greeting))


def test_one_version_is_a_range() -> None:
    frames = Frames()
    assert list(frames.receive(b"API\0" + struct.pack(">I", 4) + b"v176")) == []
    assert frames.versions == (176, 176)


def test_fields() -> None:
    assert [text(each) for each in (True, False, None, Decimal("1E+2"), Decimal("1E-8"), 7, "a")] == [
        *("1", "0", "", "100", "0.00000001", "7", "a")
    ]
    reader = Reader(["7", "", "1", "1.50", "", "1.7976931348623157e+308", "inf", "x"])
    assert (reader.int(), reader.int(3), reader.bool(), reader.decimal()) == (7, 3, True, Decimal("1.5"))
    assert (reader.decimal(), reader.decimal()) == (None, None)
    with pytest.raises(NotUnderstood, match="not a number"):
        reader.decimal()
    with pytest.raises(NotUnderstood, match="not a whole number"):
        reader.int()
    with pytest.raises(NotUnderstood, match="only 8 fields"):
        reader.next()


class Raw:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, tws: Control, hello: bytes = HELLO) -> Raw:
        """Connected, its greeting said."""
        raw = cls(*await asyncio.open_connection("127.0.0.1", tws.emulator.port))
        raw._writer.write(hello)
        return raw

    def say(self, *fields: object) -> None:
        self._writer.write(pack(*fields))

    async def hear(self) -> list[str]:
        """The next message; EOFError at the end."""
        (length,) = struct.unpack(">I", await asyncio.wait_for(self._reader.readexactly(4), PATIENCE))
        return (await self._reader.readexactly(length)).decode().split("\0")[:-1]

    async def error(self) -> str:
        """The code of the next error."""
        while (fields := await self.hear())[0] != "4" or fields[3] in ("2104", "2106", "2158"):
            continue
        return fields[3]

    def close(self) -> None:
        self._writer.close()


@on_loop
async def test_the_start(tws: Control) -> None:
    raw = await Raw.to(tws)
    version, at = await raw.hear()
    assert (version, at[:9]) == ("178", "20260304 ")
    raw.say(71, 2, 5, "")
    assert [await raw.hear() for _ in range(2)] == [["15", "1", "DU1234567"], ["9", "1", "1"]]
    assert [(await raw.hear())[3] for _ in range(3)] == ["2104", "2106", "2158"]
    raw.say(49, 1)
    assert (await raw.hear())[:2] == ["49", "1"]
    raw.close()
    await until(lambda: not tws.emulator.links)


@pytest.mark.parametrize(("hello", "version"), [("v100..200", "178"), ("v160..165", "165"), ("v157", "157")])
@on_loop
async def test_the_newest_version_that_both_know(tws: Control, hello: str, version: str) -> None:
    raw = await Raw.to(tws, b"API\0" + struct.pack(">I", len(hello)) + hello.encode())
    assert (await raw.hear())[0] == version
    raw.close()


@pytest.mark.parametrize("hello", ["v100..156", "v179..190"])
@on_loop
async def test_no_version_that_both_know(tws: Control, hello: str) -> None:
    raw = await Raw.to(tws, b"API\0" + struct.pack(">I", len(hello)) + hello.encode())
    assert await raw.error() == "503"
    with pytest.raises(EOFError):
        await raw.hear()
    raw.close()


@on_loop
async def test_what_means_nothing(tws: Control) -> None:
    raw = await Raw.to(tws)
    raw.say(61, 1)
    raw.say(71, 2, 5, "")
    await raw.hear()
    for fields in (("x",), (9999,), (3, 1), (3, "a"), (4, 1), (1, 11, 5), (20, 7, "IBM"), (6, 2), ("",)):
        raw.say(*fields)
        assert await raw.error() == "320"
    assert len(tws.emulator.violations) == 10, "and one before startApi"
    raw.say(49, 1)
    assert (await raw.hear())[0] == "49"
    raw.close()
    noise = await Raw.to(tws, b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises((EOFError, ConnectionError)):
        await noise.hear()
    noise.close()
    await until(lambda: not tws.emulator.links)


@pytest.mark.parametrize("seed", range(4))
@on_loop
async def test_whatever_a_client_says_the_next_is_served(ib: Peer, tws: Control, seed: int) -> None:
    chance, words = Random(seed), ["", "", "x", "-1", "1e9999", "NaN", "\u00e9", "9" * 400, "-5", "1e-9", "1.5"]
    words += ["1", "0", "8314", "IBM", "STK", "FUT", "SMART", "USD", "BUY", "LMT", "DAY", "1 D", "1 day", "TRADES"]
    for number in [n for n in range(1, 105) if n not in (49, 71)] * 6:
        ib.client.send(number, *(chance.choice(words) for _ in range(chance.randrange(120))))
    place: list[str] = []
    ib.client.sendMsg = place.append
    ib.client.placeOrder(9000, IBM, limit())
    del ib.client.sendMsg
    for _ in range(200):
        fields = place[0].split("\0")[:-1]
        for _ in range(chance.randrange(4)):
            fields[chance.randrange(1, len(fields))] = chance.choice(words)
        ib.client.send(*fields)
    await ib.settled()
    assert tws.emulator.links, "the link stands"
    assert [said for said in tws.emulator.violations if "broke" in said] == []


@on_loop
async def test_nothing_is_left_behind(make: Callable[..., Control]) -> None:
    tws = make()
    ib = Peer(tws.emulator.port)
    await ib.begin()
    ib.reqMktData(IBM)
    await ib.settled()
    ib.disconnect()
    await until(lambda: not tws.emulator.links)
    assert tws.emulator.reactor.getDelayedCalls() == []
