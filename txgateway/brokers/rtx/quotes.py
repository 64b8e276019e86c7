"""The symbols that somebody listens to: their advises, and a look whether these still speak.

An advise that is over is made anew. One that is mute while the symbol's values move is found by asking for them now
and then, and made anew too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.brokers.rtx.market import PRICE_FIELDS, Prices
from txgateway.brokers.rtx.pool import Advise, AdviseEnded, Pool
from txgateway.brokers.rtx.protocol import Row, advise, request
from txgateway.brokers.rtx.translate import where
from txgateway.model.errors import GatewayError
from txgateway.model.market import Quote, Statistics, Trade

log = Logger()

QUOTES = "TA_SRV;LIVEQUOTE"
QUIET_SECONDS = 20.0
"""A symbol of which nothing was told for so long is asked for."""
LOOKS_AT_ONCE = 10
"""Quiet symbols asked for each second, at most."""
RENEW_SECONDS = 1.0
"""How soon an advise that was ended is made anew."""


class _Line:
    """One symbol that is listened to."""

    def __init__(self, symbol: str, zone: Any) -> None:
        self.prices = Prices(symbol, zone)
        self.advise: Advise | None = None
        self.begun = False
        self.told = 0.0
        self.asked = False


class Quotes:
    """The listened-to symbols of one link."""

    def __init__(
        self,
        pool: Pool,
        zone: Any,
        reactor: Any,
        now: Callable[[], datetime],
        report: Callable[[Statistics | Quote | Trade], None],
        complain: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._zone = zone
        self._reactor = reactor
        self._now = now
        self._report = report
        self._complain = complain
        self._lines: dict[str, _Line] = {}
        self._over = False

    def add(self, symbol: str) -> None:
        """Listen to a symbol that there is: first its present values, then every change."""
        old = self._lines.pop(symbol, None)
        if old is not None and old.advise is not None:
            old.advise.stop()
        line = self._lines[symbol] = _Line(symbol, self._zone)
        line.told = self._reactor.seconds()
        self._go(symbol, line)

    def remove(self, symbol: str) -> None:
        """Listen no more."""
        line = self._lines.pop(symbol, None)
        if line is not None and line.advise is not None:
            line.advise.stop()

    def close(self) -> None:
        """The link is gone."""
        self._over = True
        self._lines.clear()

    def _stands(self, symbol: str, line: _Line) -> bool:
        return not self._over and not self._pool.lost and self._lines.get(symbol) is line

    def _go(self, symbol: str, line: _Line) -> None:
        def failed(failure: Any) -> None:
            if not self._stands(symbol, line):
                return
            if failure.check(GatewayError, AdviseEnded):
                self._complain(f"prices of {symbol}: {failure.getErrorMessage()}")
            else:
                log.failure("Prices of {symbol} could not be listened to.", failure, symbol=symbol)
            self._reactor.callLater(RENEW_SECONDS, self._renew, symbol, line)

        Deferred.fromCoroutine(self._begin(symbol, line)).addErrback(failed)

    async def _begin(self, symbol: str, line: _Line) -> None:
        """Advise first and ask then: nothing can be lost between the two."""
        condition = where(DISP_NAME=symbol)
        question = advise("LIVEQUOTE", PRICE_FIELDS, condition)

        def heard(row: Row) -> None:
            self._heard(symbol, line, row)

        def ended(text: str) -> None:
            line.advise = None
            if self._stands(symbol, line):
                self._complain(f"the advise of {symbol} is over: {text}")
                self._reactor.callLater(RENEW_SECONDS, self._renew, symbol, line)

        line.advise = await self._pool.advise(QUOTES, question, heard, ended)
        if not self._stands(symbol, line):
            line.advise.stop()
            return
        rows = await self._pool.ask(QUOTES, request("LIVEQUOTE", PRICE_FIELDS, condition))
        if self._stands(symbol, line):
            line.begun = True
            line.told = self._reactor.seconds()
            self._tell(line.prices.begin(rows[0] if rows else {}, self._now()))

    def _renew(self, symbol: str, line: _Line) -> None:
        if self._stands(symbol, line):
            self.add(symbol)

    def _heard(self, symbol: str, line: _Line, row: Row) -> None:
        if self._stands(symbol, line) and line.begun:
            line.told = self._reactor.seconds()
            self._tell(line.prices.changed(row, self._now()))

    def _tell(self, events: list[Statistics | Quote | Trade]) -> None:
        for event in events:
            self._report(event)

    # silence

    def look(self) -> None:
        """Each second: ask for symbols that are quiet. Where they moved, their advise is mute."""
        now = self._reactor.seconds()
        quiet = [
            (symbol, line)
            for symbol, line in self._lines.items()
            if line.begun and not line.asked and now - line.told > QUIET_SECONDS
        ]
        for symbol, line in quiet[:LOOKS_AT_ONCE]:
            line.asked = True
            asked = self._pool.ask(QUOTES, request("LIVEQUOTE", PRICE_FIELDS, where(DISP_NAME=symbol)))
            asked.addCallbacks(self._looked, self._unlooked, callbackArgs=(symbol, line, now), errbackArgs=(line,))
            asked.addErrback(lambda failure: log.failure("Quiet symbols could not be looked at.", failure))

    def _unlooked(self, failure: Any, line: _Line) -> None:
        """It is asked for again when it has been quiet for as long again."""
        failure.trap(GatewayError)
        line.asked, line.told = False, self._reactor.seconds()

    def _looked(self, rows: tuple[Row, ...], symbol: str, line: _Line, asked_at: float) -> None:
        line.asked = False
        if not self._stands(symbol, line) or not rows:
            return
        spoke, line.told = line.told > asked_at, self._reactor.seconds()
        if not spoke and line.prices.differs(rows[0]):
            self._complain(f"{symbol} has moved and its advise did not tell: it is made anew")
            self.add(symbol)
