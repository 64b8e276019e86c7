"""What several pairs were traded at last: by one request where an exchange has one for many, else pair by pair."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults

from txgateway.brokers.ccxt import errors
from txgateway.brokers.ccxt.exchange import PATIENT
from txgateway.brokers.ccxt.feeds import Feeds, Last
from txgateway.brokers.ccxt.frames import moment, price
from txgateway.model.errors import GatewayError
from txgateway.model.market import LastPrice

AT_ONCE = 4
"""Pairs that are asked about one by one, so many at a time, over all lists."""
NAMED = 100
"""Pairs that one request names, at most."""


class LastPrices:
    """The last prices of one link. `ask` gives an exchange's answer, or raises a GatewayError."""

    def __init__(self, exchange: Any, row: Feeds, ask: Callable[[Awaitable[Any]], Awaitable[Any]]) -> None:
        self._exchange = exchange
        self._row = row
        self._ask = ask
        self._turns = DeferredSemaphore(AT_ONCE)

    async def of(self, symbols: Sequence[str]) -> list[LastPrice]:
        """Those of known pairs; of what was never traded there is none."""
        symbols = list(dict.fromkeys(symbols))
        if self._one_by_one(symbols):
            work = [self._turns.run(self._in_turn, each) for each in symbols]
        else:
            parts = (symbols[at : at + NAMED] for at in range(0, len(symbols), NAMED))
            work = [Deferred.fromCoroutine(self._of_many(some)) for some in parts]
        try:
            return [each for found in await gatherResults(work, consumeErrors=True) for each in found]
        except FirstError as first:
            first.subFailure.raiseException()
        finally:
            for each in work:
                each.cancel()  # of what has failed nothing more is asked

    def _one_by_one(self, symbols: Sequence[str]) -> bool:
        """Whether there is no request for several; a venue's pairs are of one kind."""
        spot = any(self._exchange.markets[each].get("spot") for each in symbols)
        return self._row.last is Last.TRADES or (spot and not self._row.spot_tickers)

    async def _of_many(self, symbols: list[str]) -> list[LastPrice]:
        """By name where that can be, so that thousands of others need not be read.

        An answer that refuses one name refuses all of them: then everything is asked for.
        """
        fetch, name, time = self._exchange.fetch_last_prices, "price", "timestamp"
        every: tuple[Any, ...] = (symbols,)
        if self._row.last is Last.TICKERS:
            # A ticker's time is its own, and not that of its last trade.
            fetch, name, time, every = self._exchange.fetch_tickers, "last", "", ()
        named: tuple[Any, ...] = (symbols,)
        if self._row.names:
            named = (symbols, {self._row.names: self._exchange.json(self._exchange.market_ids(symbols))})
        try:
            found = await self._ask(_patient(fetch, *named))
        except GatewayError as error:
            if not _is_refusal(error):
                raise
            found = await self._ask(_patient(fetch, *every))
        return _read(symbols, found, name, time)

    def _in_turn(self, symbol: str) -> Deferred[list[LastPrice]]:
        return Deferred.fromCoroutine(self._of_one(symbol))

    async def _of_one(self, symbol: str) -> list[LastPrice]:
        """By its last trade; none of a pair that the exchange itself has just ended."""
        try:
            found = await self._ask(_patient(self._exchange.fetch_trades, symbol, None, 1))
        except GatewayError as error:
            if not _is_refusal(error):
                raise
            return []
        last = max(found or (), key=lambda each: each.get("timestamp") or 0, default=None)
        return _read([symbol], {symbol: last}, "price", "timestamp")


async def _patient(fetch: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """What is asked for behind all else: run in a task of its own."""
    PATIENT.set(True)
    return await fetch(*arguments)


def _is_refusal(error: GatewayError) -> bool:
    """Whether the exchange itself said no."""
    return error.__cause__ is not None and errors.is_answer(error.__cause__)


def _read(symbols: list[str], found: Any, name: str, time: str) -> list[LastPrice]:
    """What is known of each pair, out of ccxt's objects."""
    read = []
    for symbol in symbols:
        each = found.get(symbol) or {}
        last, stamp = price(each.get(name)), each.get(time)
        if last is not None:
            read.append(LastPrice(symbol, last, moment(stamp) if stamp else None))
    return read
