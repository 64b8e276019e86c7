"""ib_async's client on one link, with its messages paced, and what comes handed on by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import UTC
from typing import Any

from ib_async import Client
from twisted.logger import Logger
from twisted.python.failure import Failure

from txgateway.brokers.ib.lanes import Lanes, Piece, Urgency

log = Logger()


class Late(Exception):
    """It waited too long for its turn, and was not sent."""


class PacedClient(Client):
    """No more than `rate` messages a second, by their urgency (see lanes); the numbers of orders only go up.

    A cancel never goes before its own order: TWS would not know what to cancel, and then have the order.
    """

    def __init__(self, inbox: Inbox, reactor: Any, rate: int) -> None:
        super().__init__(inbox)
        self._reactor = reactor
        self._lanes = Lanes(rate)
        self._ending: set[Hashable] = set()
        self._turn: Any = None
        self._written: list[str] | None = None
        self._sending = False
        self._closed = False

    def put(self, piece: Piece) -> Piece:
        """Send messages now, or when it is their turn."""
        if not self._closed:
            self._lanes.put(piece)
            self._send_due()
        return piece

    def drop(self, piece: Piece) -> None:
        """Do not send what nobody waits for any longer, if it has not left."""
        self._lanes.drop(piece)

    def take_back(self, key: Hashable) -> Piece | None:
        """The new order, with its bracket, that was to leave and now does not.

        None where it has left, or is another's child.
        """
        for piece in self._lanes.of(key):
            if piece.places and piece.keys[0] == key:
                self._lanes.drop(piece)
                return piece
        return None

    def end(self, key: Hashable, write: Callable[[], None]) -> None:
        """Send an order's cancel, behind what is to leave of it. One that is to leave already is enough."""
        if key in self._ending:
            return
        self._lanes.hasten(key)
        self._ending.add(key)
        piece = Piece(Urgency.CANCEL, write)
        piece.done.addBoth(self._ended, key)
        self.put(piece)

    def _ended(self, result: Any, key: Hashable) -> Any:
        self._ending.discard(key)
        return result

    def sendMsg(self, msg: str) -> None:
        """Send a message when it is its turn: that is now for what a piece writes, and else that of market data."""
        if self._written is not None:
            self._written.append(msg)
        else:
            self.put(Piece(Urgency.DATA, lambda: self.sendMsg(msg)))

    def _send_due(self) -> None:
        if self._sending:
            return
        self._sending = True
        now = self._reactor.seconds()
        try:
            for late in self._lanes.late(now):
                late.done.errback(Late("it did not get its turn in time"))
            while not self._closed and (piece := self._lanes.due(now)) is not None:
                self._send(piece)
        finally:
            self._sending = False
        wait = self._lanes.wait(now)
        if wait is not None and self._turn is None:
            self._turn = self._reactor.callLater(wait, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._send_due()

    def _send(self, piece: Piece) -> None:
        """Write a piece whole, or nothing of it where it cannot be made."""
        self._written = messages = list[str]()
        try:
            piece.write()
        except Exception:
            piece.done.errback(Failure())
            return
        finally:
            self._written = None
        if messages:
            self.conn.sendMsg(b"".join(self._prefix(each.encode()) for each in messages))
        piece.left = True
        piece.done.callback(None)

    def close(self, abort: bool) -> None:
        """End the connection: in good order, or at once. What was not sent is not."""
        self._closed = True
        self._lanes.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        transport = self.conn.transport
        with suppress(OSError, RuntimeError):
            if abort and transport is not None:
                transport.abort()
            self.disconnect()


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
