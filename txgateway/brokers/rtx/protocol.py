"""The wire of rtgw, without sockets.

We send text lines: `connect <id> <SERVICE;TOPIC>`, then `request|advise|unadvise <id> TABLE;WHAT;WHERE` and
`poke <id> TABLE;WHAT;WHERE!FIELD=VALUE,...`. It sends JSON lines `{"type", "id", "data"}`, beginning with a system
message; `id` is a logical connection's, which we make up. The life of a logical connection is Talk's:

    connect       <- ack CONNECTION PENDING, status OnInitAck
    request       <- ack REQUEST_OK, response {"row", "complete"} until complete
    poke          <- ack POKE_OK, status OnOtherAck
    advise        <- ack ADVISE_OK, then update {"row"} and status OnOtherAck now and then
    unadvise      <- ack UNADVISE_OK, status OnOtherAck
    at any time   <- status OnTerminate: this logical connection is over

One question at a time on each; an advise keeps its own. A status other than "1" is a failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum, auto
from typing import Any

MAX_LINE = 32 << 20
"""Bytes of one line: the bars of a year of minutes come as one row, and are a third of that."""
MAX_COMMAND = 64 << 10
"""Bytes of one line of ours: an order with the longest route that a client may name is far below."""
CONTROLS = re.compile(r"[\x00\x0a\x0d]")

Row = Mapping[str, Any]


class WireError(Exception):
    """What came cannot be part of this wire: the link is of no use any more."""


class BadCommand(ValueError):
    """What is to be sent cannot be written as one line; nothing was sent."""


@dataclass(frozen=True, slots=True)
class System:
    """The gateway's own word; `startup` comes first of all."""

    msg: str
    item: str


@dataclass(frozen=True, slots=True)
class Ack:
    """A command was taken, or was not: `text` says how."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Response:
    """One row of an answer; an answer without rows has one that is empty."""

    id: str
    row: Row
    complete: bool


@dataclass(frozen=True, slots=True)
class Status:
    """OnInitAck, OnOtherAck or OnTerminate; `good` where its status is "1"."""

    id: str
    msg: str
    good: bool


@dataclass(frozen=True, slots=True)
class Update:
    """News for an advise."""

    id: str
    row: Row


@dataclass(frozen=True, slots=True)
class Garbled:
    """A line that is no message; its beginning."""

    text: str


Message = System | Ack | Response | Status | Update | Garbled


class Decoder:
    """Bytes in, messages out, however the bytes are cut."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    def receive(self, data: bytes) -> list[Message]:
        """The messages that are complete now; WireError when a line has no end."""
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            line = bytes(self._buffer[start:end]).strip()
            start = end + 1
            if line:
                messages.append(decode(line))
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if len(self._buffer) > self._limit:
            raise WireError(f"a line is longer than {self._limit} bytes")
        return messages


def decode(line: bytes) -> Message:
    """One line. Numbers with a point are Decimal, and NaN is no value; a letter that is not UTF-8 spoils no line."""
    try:
        message = _read(line.decode("utf-8", "replace"))
        kind, name, data = message["type"], str(message["id"]), message["data"]
        if kind == "ack":
            return Ack(name, str(data))
        if kind == "response":
            return Response(name, _row(data["row"]), bool(data["complete"]))
        if kind == "update":
            return Update(name, _row(data["row"]))
        if kind == "status":
            return Status(name, str(data["msg"]), str(data.get("status")) == "1")
        if kind == "system":
            return System(str(data["msg"]), str(data.get("item", "")))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        pass
    return Garbled(line[:200].decode("utf-8", "replace"))


def _no_value(word: str) -> None:
    """NaN or Infinity: the rest of its row counts all the same."""


_read = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_value).decode
"""Made once: json.loads would make it anew for each line."""


def _row(value: Any) -> Row:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError("a row is an object")
    return value


# ---------------------------------------------------------------- out


class Verb(StrEnum):
    """What can be asked on a logical connection."""

    REQUEST = "request"
    ADVISE = "advise"
    UNADVISE = "unadvise"
    POKE = "poke"


ACKS = {
    Verb.REQUEST: "REQUEST_OK",
    Verb.ADVISE: "ADVISE_OK",
    Verb.UNADVISE: "UNADVISE_OK",
    Verb.POKE: "POKE_OK",
}
_STATUS_ENDS = frozenset({Verb.POKE, Verb.UNADVISE})


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask; `item` is TABLE;WHAT;WHERE, and of a poke !FIELD=VALUE,... behind it."""

    verb: Verb
    item: str


def request(table: str, what: str, where: str = "") -> Question:
    """Ask for rows, once."""
    return Question(Verb.REQUEST, f"{table};{what};{where}")


def advise(table: str, what: str, where: str = "") -> Question:
    """Ask for every change from now on."""
    return Question(Verb.ADVISE, f"{table};{what};{where}")


def poke(table: str, fields: str) -> Question:
    """Write."""
    return Question(Verb.POKE, f"{table};*;!{fields}")


def line(*words: str) -> bytes:
    """A command as it goes out; BadCommand when it would be more than one line."""
    text = " ".join(words)
    if CONTROLS.search(text):
        raise BadCommand("it has a line's end or a NUL in it")
    data = text.encode("utf-8", "surrogatepass") + b"\n"
    if len(data) > MAX_COMMAND:
        raise BadCommand(f"it is longer than {MAX_COMMAND} bytes")
    return data


# ---------------------------------------------------------------- one logical connection


class Phase(Enum):
    """Where a logical connection stands."""

    OPENING = auto()
    IDLE = auto()
    ASKED = auto()
    ADVISING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Answered:
    """The question is answered: with the rows that a request gave (without empty ones)."""

    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The question was answered with something else than it should be; what it did is not known."""

    text: str


@dataclass(frozen=True, slots=True)
class News:
    """A row for the advise."""

    row: Row


@dataclass(frozen=True, slots=True)
class Ended:
    """The logical connection is over, and with it its advise."""

    text: str


Outcome = Answered | Failed | News | Ended


class Talk:
    """One logical connection: what may be sent on it, and what what comes means."""

    def __init__(self, name: str, key: str) -> None:
        self.name = name
        self.key = key
        self.phase = Phase.OPENING
        self.question: Question | None = None
        self._rows: list[Row] = []
        self._acked = False

    def open(self) -> bytes:
        """The line that makes it."""
        return line("connect", self.name, self.key)

    def ask(self, question: Question) -> bytes:
        """The line that asks; only when idle (or, to end an advise, while advising)."""
        stops = question.verb is Verb.UNADVISE and self.phase is Phase.ADVISING
        if self.phase is not Phase.IDLE and not stops:
            raise ValueError(f"logical connection {self.name} is {self.phase.name}: it cannot be asked")
        data = line(question.verb, self.name, question.item)
        self.question, self._rows, self._acked = question, [], False
        self.phase = Phase.ASKED
        return data

    def receive(self, message: Message) -> list[Outcome]:
        """What a message for it means."""
        if self.phase is Phase.ENDED:
            return []
        if isinstance(message, Status):
            return self._status(message)
        if isinstance(message, Ack):
            return self._ack(message)
        if isinstance(message, Response):
            return self._response(message)
        if isinstance(message, Update) and self.phase is Phase.ADVISING and message.row:
            return [News(message.row)]
        return []

    def _ack(self, ack: Ack) -> list[Outcome]:
        if self.phase is Phase.OPENING:
            return [] if ack.text == "CONNECTION PENDING" else self._end(f"connect was answered {ack.text!r}")
        if self.phase is not Phase.ASKED or self.question is None:
            return []
        verb = self.question.verb
        if ack.text != ACKS[verb]:
            return self._fail(f"{verb} was answered {ack.text!r}")
        self._acked = True
        if verb is Verb.ADVISE:
            self.phase = Phase.ADVISING
            return [Answered()]
        return []

    def _response(self, response: Response) -> list[Outcome]:
        if self.phase is not Phase.ASKED or self.question is None or self.question.verb is not Verb.REQUEST:
            return []
        if response.row:
            self._rows.append(response.row)
        return self._done() if response.complete else []

    def _status(self, status: Status) -> list[Outcome]:
        if status.msg == "OnTerminate":
            return self._end("it was terminated from the other side")
        if self.phase is Phase.OPENING:
            if status.msg != "OnInitAck" or not status.good:
                return self._end(f"connect was answered with status {status.msg}, and not well")
            self.phase = Phase.IDLE
            return [Answered()]
        if self.phase is Phase.ADVISING and not status.good:
            return self._end(f"its advise was answered with status {status.msg}, and not well")
        if self.phase is not Phase.ASKED or self.question is None:
            return []
        if not status.good:
            return self._fail(f"{self.question.verb} was answered with status {status.msg}, and not well")
        return self._done() if self.question.verb in _STATUS_ENDS and self._acked else []

    def _done(self) -> list[Outcome]:
        rows, self._rows = tuple(self._rows), []
        self.question = None
        self.phase = Phase.IDLE
        return [Answered(rows)]

    def _fail(self, text: str) -> list[Outcome]:
        """What else is still to come for this question would be taken for the next one's: it is asked no more."""
        self.phase = Phase.ENDED
        return [Failed(text)]

    def _end(self, text: str) -> list[Outcome]:
        self.phase = Phase.ENDED
        return [Ended(text)]
