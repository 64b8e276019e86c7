"""The stream's bytes and lines, without sockets.

A message is a netstring, `<length>:<bytes>,`, with one line of UTF-8 text inside. A line that begins with a dot is the
server speaking (`.Authorized paper`); every other one begins with the venue's channel (`paper.order-data {...}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .channels import Channel

MAX_LENGTH = 0x2000_0000
"""512 MB, txTrader's limit: the answer to `orders` is one message, whatever the day was like."""

_LENGTH = re.compile(rb"(0|[1-9][0-9]*):")
_PART_OF_LENGTH = re.compile(rb"(0|[1-9][0-9]*)?")


class FrameError(ValueError):
    """The bytes are no netstring, or one above the limit: nothing after them can be understood."""


def frame(text: str) -> bytes:
    """One line as it is sent."""
    body = text.encode()
    return b"%d:%b," % (len(body), body)


class Deframer:
    """Cuts received bytes into messages, wherever the network has cut them."""

    def __init__(self, limit: int = MAX_LENGTH) -> None:
        """Refuse messages of more than `limit` bytes, before they are received."""
        self._limit = limit
        self._digits = len(str(limit))
        self._buffer = bytearray()
        self._needed = 1

    def receive(self, data: bytes) -> Iterator[str]:
        """Every message that is whole now; raises FrameError after the last good one."""
        self._buffer += data
        while len(self._buffer) >= self._needed:
            message = self._next()
            if message is None:
                return
            yield message.decode("utf-8", "replace")

    def _next(self) -> bytes | None:
        """Take the first message off the buffer when it is whole."""
        head = bytes(self._buffer[: self._digits + 1])
        match = _LENGTH.match(head)
        if match is None:
            if len(head) > self._digits or not _PART_OF_LENGTH.fullmatch(head):
                raise FrameError(f"no netstring: it begins with {head!r}")
            self._needed = len(head) + 1
            return None
        length = int(match[1])
        if length > self._limit:
            raise FrameError(f"a message of {length} bytes is above the limit of {self._limit}")
        start, end = match.end(), match.end() + length
        if len(self._buffer) <= end:
            self._needed = end + 1
            return None
        if self._buffer[end] != ord(","):
            raise FrameError(f"no netstring: {length} bytes are followed by {bytes(self._buffer[end : end + 1])!r}")
        message = bytes(self._buffer[start:end])
        del self._buffer[: end + 1]
        self._needed = 1
        return message


@dataclass(frozen=True)
class Line:
    """A line, sorted: what a callback gets, and what it is of the journal."""

    channel: Channel
    text: str
    data: str = ""
    """The kind of a `<channel>.<kind>-data` line, which carries a journal record's number."""
    body: str = ""
    """Such a line's JSON."""
    note: bool = False
    """Whether it is a notification of an order, ticket or execution, which carries no number."""


class LineParser:
    """Sorts lines into channels, once the server has said what its channel is called."""

    def __init__(self) -> None:
        """No channel is known before `.Authorized`."""
        self._prefixes: dict[str, Channel] = {}
        self._data: re.Pattern[str] | None = None
        self._account_prefix = ""
        self._last_account = ""

    def authorized(self, line: str) -> int | None:
        """Learn the channel from `.Authorized <channel>`; the journal's last number when the server says it."""
        words = line.split()
        name = words[1] if len(words) > 1 else ""
        self._prefixes = {f"{name}.{kind}": channel for kind, channel in _KINDS.items()}
        self._data = re.compile(rf"{re.escape(name)}\.([a-z]+)-data (.*)", re.DOTALL)
        self._account_prefix = f"{name}.current-account"
        return int(words[2]) if len(words) > 2 and words[2].isdigit() else None

    def parse(self, line: str) -> Line | None:
        """A line, sorted; None for a current account that was told already."""
        if line.startswith("."):
            return Line(Channel.STATUS, line)
        numbered = self._data.match(line) if self._data else None
        data, body = numbered.groups() if numbered else ("", "")
        for prefix, channel in self._prefixes.items():
            if line.startswith(prefix):
                return Line(channel, line[len(prefix) :], data, body, channel in _NOTES)
        if self._account_prefix and line.startswith(self._account_prefix):
            if line == self._last_account:
                return None
            self._last_account = line
        return Line(Channel.STATUS, line, data, body)


_NOTES = {Channel.ORDER, Channel.TICKET, Channel.EXECUTION}

_KINDS = {
    "time: ": Channel.TIME,
    "error: ": Channel.ERROR,
    "order.": Channel.ORDER,
    "open-order.": Channel.ORDER,
    "order-data ": Channel.ORDER_DATA,
    "orders: ": Channel.ORDERS,
    "ticket.": Channel.TICKET,
    "ticket-data ": Channel.TICKET_DATA,
    "execution.": Channel.EXECUTION,
    "execution-data ": Channel.EXECUTION_DATA,
    "executions: ": Channel.EXECUTIONS,
    "symbol: ": Channel.SYMBOL,
    "symbol-data: ": Channel.SYMBOL_DATA,
    "quote.": Channel.QUOTE,
    "trade.": Channel.TRADE,
}
