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
        single, kinds = self._sorted(symbols)
        work = [Deferred.fromCoroutine(self._of_many(some)) for kind in kinds for some in _parts(kind)]
        work += [self._turns.run(self._in_turn, each) for each in single]
        try:
            return [each for found in await gatherResults(work, consumeErrors=True) for each in found]
        except FirstError as first:
            first.subFailure.raiseException()
            raise
        finally:
            for each in work:
                each.cancel()  # of what has failed nothing more is asked

    def _sorted(self, symbols: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """The pairs that are asked about one by one; and the others, those together that one request may name."""
        single: list[str] = []
        kinds: dict[tuple[Any, Any], list[str]] = {}
        for symbol in dict.fromkeys(symbols):
            market = self._exchange.markets[symbol]
            if self._row.last is Last.TRADES or (market.get("spot") and not self._row.spot_tickers):
                single.append(symbol)
            else:
                kinds.setdefault((market.get("type"), market.get("linear")), []).append(symbol)
        return single, list(kinds.values())

    async def _of_many(self, symbols: list[str]) -> list[LastPrice]:
        if self._row.last is Last.TICKERS:
            # Their time is that of the ticker, and not of its last trade.
            found = await self._ask(_patient(self._exchange.fetch_tickers, symbols))
            return _read(symbols, found, "last", "")
        return _read(symbols, await self._last_prices(symbols), "price", "timestamp")

    async def _last_prices(self, symbols: list[str]) -> Any:
        """By name, so that thousands of others need not be read; an answer that refuses one name refuses all."""
        name, fetch = self._row.names, self._exchange.fetch_last_prices
        if name:
            named = {name: self._exchange.json(self._exchange.market_ids(symbols))}
            try:
                return await self._ask(_patient(fetch, symbols, named))
            except GatewayError as error:
                if error.__cause__ is None or not errors.is_answer(error.__cause__):
                    raise
        return await self._ask(_patient(fetch, symbols))

    def _in_turn(self, symbol: str) -> Deferred[list[LastPrice]]:
        return Deferred.fromCoroutine(self._of_one(symbol))

    async def _of_one(self, symbol: str) -> list[LastPrice]:
        """By its last trade; none of a pair that the exchange itself has just ended."""
        try:
            found = await self._ask(_patient(self._exchange.fetch_trades, symbol, None, 1))
        except GatewayError as error:
            if error.__cause__ is not None and errors.is_answer(error.__cause__):
                return []
            raise
        last = max(found or (), key=lambda each: each.get("timestamp") or 0, default=None)
        return _read([symbol], {symbol: last}, "price", "timestamp")


async def _patient(fetch: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """What is asked for behind all else: run in a task of its own."""
    PATIENT.set(True)
    return await fetch(*arguments)


def _parts(symbols: list[str]) -> list[list[str]]:
    return [symbols[at : at + NAMED] for at in range(0, len(symbols), NAMED)]


def _read(symbols: list[str], found: Any, name: str, time: str) -> list[LastPrice]:
    """What is known of each pair, out of ccxt's objects."""
    read = []
    for symbol in symbols:
        each = found.get(symbol) or {}
        last, stamp = price(each.get(name)), each.get(time)
        if last is not None:
            read.append(LastPrice(symbol, last, moment(stamp) if stamp else None))
    return read
