"""ib_async's client on one link, with its messages paced, and what comes handed on by name."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any

from ib_async import Client
from twisted.logger import Logger

log = Logger()

_CANCEL, _ORDER = "4", "3"
_CANCELS, _ORDERS, _QUESTIONS = 0, 1, 2
_RESERVED = (0, 2, 6)
"""Of the messages of a second, how many orders leave free for cancels, and questions for both."""


SECOND = 1.25
"""What counts as one: TWS counts what arrives, and that is less even than what leaves."""


class _Piece:
    """Messages that leave together. `numbers` are those of the orders in it; `places` tells that they are new ones."""

    def __init__(self, messages: list[str], numbers: Sequence[int] = (), places: bool = False) -> None:
        self.messages = messages
        self.numbers = numbers
        self.places = places


class PacedClient(Client):
    """No more than `rate` messages a second; cancels go before orders, and orders before questions.

    A cancel never goes before its own order: TWS would not know what to cancel, and then have the order.
    """

    def __init__(self, inbox: Inbox, reactor: Any, rate: int) -> None:
        super().__init__(inbox)
        self._reactor = reactor
        self._rates = tuple(max(1, rate - reserved) for reserved in _RESERVED)
        self._lanes: tuple[deque[_Piece], ...] = (deque(), deque(), deque())
        self._times: deque[float] = deque()
        self._turn: Any = None
        self._joined: list[str] | None = None

    @contextmanager
    def joined(self) -> Iterator[None]:
        """New orders that are sent in here leave in one piece: all of them, or none."""
        orders: list[str] = []
        self._joined = orders
        try:
            yield
        finally:
            self._joined = None
        self._put(_ORDERS, _Piece(orders, [_number(each) for each in orders], places=True))

    def take_back(self, number: int) -> Sequence[int]:
        """The numbers of new orders that were to leave and now do not: this one's, and those of its bracket.

        None where it has left, or is another's child.
        """
        lane = self._lanes[_ORDERS]
        piece = next((each for each in lane if each.places and each.numbers[:1] == [number]), None)
        if piece is None:
            return ()
        lane.remove(piece)
        return piece.numbers

    def sendMsg(self, msg: str) -> None:
        """Send a message now, or when it is its turn."""
        kind = msg.partition("\0")[0]
        if self._joined is not None:
            self._joined.append(msg)
        elif kind == _CANCEL:
            self._hasten(int(msg.split("\0", 3)[2]))
            self._put(_CANCELS, _Piece([msg]))
        elif kind == _ORDER:
            self._put(_ORDERS, _Piece([msg], [_number(msg)]))
        else:
            self._put(_QUESTIONS, _Piece([msg]))

    def _hasten(self, number: int) -> None:
        """What is to leave of an order that is to be canceled goes before its cancel."""
        lane = self._lanes[_ORDERS]
        for piece in [each for each in lane if number in each.numbers]:
            lane.remove(piece)
            self._lanes[_CANCELS].append(piece)

    def _put(self, lane: int, piece: _Piece) -> None:
        self._lanes[lane].append(piece)
        if self._turn is None:
            self._send_due()

    def _send_due(self) -> None:
        self._turn = None
        now = self._reactor.seconds()
        while self._times and now - self._times[0] >= SECOND:
            self._times.popleft()
        for lane, rate in zip(self._lanes, self._rates, strict=True):
            while lane and (not self._times or len(self._times) + len(lane[0].messages) <= rate):
                messages = lane.popleft().messages
                self.conn.sendMsg(b"".join(self._prefix(each.encode()) for each in messages))
                self._times.extend([now] * len(messages))
        if any(self._lanes):
            self._turn = self._reactor.callLater(max(0.001, self._times[0] + SECOND - now), self._send_due)

    def close(self, abort: bool) -> None:
        """End the connection: in good order, or at once. What was not sent is not."""
        for lane in self._lanes:
            lane.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        transport = self.conn.transport
        with suppress(OSError, RuntimeError):
            if abort and transport is not None:
                transport.abort()
            self.disconnect()


def _number(msg: str) -> int:
    """The order's, of a message that places or changes one."""
    return int(msg.split("\0", 2)[1])


class Inbox:
    """What ib_async's decoder calls, by the names of IB's API: handed to `on_NAME` of the ears, if it is there.

    A message that breaks something breaks nothing else; ib_async would only write it into Python's log.
    """

    defaultTimezone = UTC

    def __init__(self, ears: Any, timezone: str) -> None:
        self._ears = ears
        self.TimezoneTWS = timezone
        """Of times that come without a zone."""

    @property
    def ib(self) -> Inbox:
        """Where the decoder looks for TimezoneTWS."""
        return self

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        handler = getattr(self._ears, f"on_{name}", None)

        def handed(*args: Any) -> None:
            if handler is None:
                return
            try:
                handler(*args)
            except Exception:
                log.failure("TWS's {name}{args} could not be taken in.", name=name, args=args)

        self.__dict__[name] = handed
        return handed


class _ToTwisted(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.error("ib_async: {text}", text=self.format(record))


def quiet_ib_async() -> None:
    """Of what ib_async writes into Python's log, only messages that cannot be decoded go into ours."""
    whole, decoder = logging.getLogger("ib_async"), logging.getLogger("ib_async.Decoder")
    whole.setLevel(logging.CRITICAL)
    decoder.setLevel(logging.ERROR)
    decoder.propagate = False
    if not any(isinstance(each, _ToTwisted) for each in decoder.handlers):
        decoder.addHandler(_ToTwisted())
