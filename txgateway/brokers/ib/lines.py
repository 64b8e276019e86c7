"""The prices that are listened to on one link: a market data line for each symbol, asked for anew where IB drops it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import Any

from ib_async import Contract

from txgateway.brokers.ib import codes
from txgateway.brokers.ib.client import PacedClient
from txgateway.brokers.ib.lanes import Piece, Urgency
from txgateway.brokers.ib.ticks import Ticks
from txgateway.model.market import LastPrice

FIRST_QUOTE_SECONDS = 1.0
"""A first quote waits so long for its other side."""
RETRY_SECONDS = 60.0
"""Prices that were refused for now are asked for again so much later."""
UNTRADED_SECONDS = 11.0
"""After so long without a trade a line has none to show: it is as long as IB needs for a snapshot."""
RT_VOLUME = "233"
NO_TRADES = frozenset({"CASH", "IND"})


class _Line:
    """One symbol whose prices come."""

    def __init__(self, symbol: str, contract: Contract) -> None:
        self.ticks = Ticks(symbol)
        self.contract = contract
        self.number = 0
        self.whole = False
        self.timer: Any = None
        self.asked = 0.0


class Lines:
    """`take` gives a request's number, `report` is told what the market shows, `complain` what IB refuses."""

    def __init__(
        self,
        client: PacedClient,
        reactor: Any,
        now: Callable[[], datetime],
        take: Callable[[], int],
        report: Callable[[Any], None],
        complain: Callable[..., None],
    ) -> None:
        self._client = client
        self._reactor = reactor
        self._now = now
        self._take = take
        self._report = report
        self._complain = complain
        self._lines: dict[str, _Line] = {}
        self._by_number: dict[int, _Line] = {}
        self._dirty: dict[_Line, None] = {}
        self._farm_broken = False
        self._closed = False

    def listen(self, symbol: str, contract: Contract) -> None:
        """Tell a symbol's prices, the present ones first."""
        line = self._lines.get(symbol)
        if line is not None:
            line.ticks.present()
            self._show(line)
            return
        line = self._lines[symbol] = _Line(symbol, contract)
        self._request(line)

    def deaf(self, symbol: str) -> None:
        """Tell a symbol's prices no more."""
        line = self._lines.pop(symbol, None)
        if line is not None:
            self._stop(line)

    def drop(self) -> None:
        """IB has forgotten what was subscribed."""
        for line in self._lines.values():
            self._unrequest(line)
        self._lines.clear()

    def close(self) -> None:
        """The link is gone."""
        self._closed = True
        self.drop()

    def last(self, symbol: str) -> tuple[bool, LastPrice | None]:
        """Whether a symbol's line tells its last price, or that there is none; and the price."""
        line = self._lines.get(symbol)
        if line is None or line.number not in self._by_number:
            return False, None
        ticks, wait = line.ticks, line.asked + UNTRADED_SECONDS - self._reactor.seconds()
        if ticks.last is None:
            return wait <= 0, None
        return True, LastPrice(symbol, ticks.last, ticks.last_time)

    def _request(self, line: _Line) -> None:
        line.asked = inf
        line.number = self._take()
        line.whole = False
        self._by_number[line.number] = line
        generic = "" if line.contract.secType in NO_TRADES else RT_VOLUME
        number, contract = line.number, line.contract

        def sent(_: Any) -> None:
            line.asked = self._reactor.seconds()

        piece = Piece(Urgency.DATA, lambda: self._client.reqMktData(number, contract, generic, False, False, []))
        piece.done.addCallback(sent)
        self._client.put(piece)

        def patient() -> None:
            line.whole = True
            self._show(line)

        line.timer = self._reactor.callLater(FIRST_QUOTE_SECONDS, patient)

    def _unrequest(self, line: _Line) -> None:
        self._by_number.pop(line.number, None)
        if line.timer is not None and line.timer.active():
            line.timer.cancel()
        self._dirty.pop(line, None)

    def _renew(self) -> None:
        """The farm that prices come from is back: ask for all of them anew, for what came of the old is not known."""
        for line in list(self._lines.values()):
            self._stop(line)
            self._request(line)

    def _stop(self, line: _Line) -> None:
        """Ask for a symbol's prices no more, if they come."""
        if line.number in self._by_number and not self._closed:
            self._client.cancelMktData(line.number)
        self._unrequest(line)

    def _show(self, line: _Line) -> None:
        if self._by_number.get(line.number) is line:
            for event in line.ticks.due(self._now(), line.whole):
                self._report(event)

    # what TWS says

    def price(self, number: int, kind: int, price: float, size: float) -> None:
        """A price, if it is a line's."""
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.price(kind, price, size)
            self._dirty[line] = None

    def size(self, number: int, kind: int, size: float) -> None:
        """A size, if it is a line's."""
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.size(kind, size)
            self._dirty[line] = None

    def text(self, number: int, kind: int, text: str) -> None:
        """A text, if it is a line's."""
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.text(kind, text)

    def batch_over(self) -> None:
        """What came together has been heard."""
        dirty, self._dirty = self._dirty, {}
        for line in dirty:
            self._show(line)

    def error(self, number: int, code: int, text: str) -> bool:
        """An error: whether it was of a line."""
        line = self._by_number.get(number)
        if line is None:
            return False
        self._complain(f"prices of {line.ticks.symbol}: {text}", code, line.ticks.symbol)
        if not codes.informs(code):
            self._unrequest(line)
            if code in codes.NEVER_PRICES:
                self._lines.pop(line.ticks.symbol, None)
            else:  # too many lines, or another session of the login has them: it may be over by then
                line.timer = self._reactor.callLater(RETRY_SECONDS, self._request, line)
        return True

    def farm(self, code: int) -> None:
        """A notice of the farms that prices come from."""
        if code in codes.FARM_BROKEN:
            self._farm_broken = True
        elif code in codes.FARM_FINE and self._farm_broken:
            self._farm_broken = False
            self._renew()
