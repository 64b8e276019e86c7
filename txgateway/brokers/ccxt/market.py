"""The public side of one link: the trading rules and who is listened to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from txgateway.brokers import Report
from txgateway.brokers.ccxt import translate
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Period


class Market:
    """What one link knows of the market; it begins empty and is over with the link."""

    def __init__(
        self,
        exchange: Any,
        options: CcxtOptions,
        venue: str,
        report: Report,
        reactor: Any,
        now: Callable[[], datetime],
        complain: Callable[[str], None],
    ) -> None:
        self._exchange = exchange
        self._options = options
        self._venue = venue

    def instrument(self, symbol: str) -> Instrument | None:
        """A pair's rules; None when it is unknown, disabled or left out."""
        market = (self._exchange.markets or {}).get(symbol)
        if market is None or not self._traded(market):
            return None
        return translate.instrument(self._venue, market)

    def instruments(self) -> list[Instrument]:
        """All that is traded."""
        markets = (self._exchange.markets or {}).values()
        return [translate.instrument(self._venue, market) for market in markets if self._traded(market)]

    def _traded(self, market: Any) -> bool:
        return translate.traded(market, self._options.market, self._options.symbols)

    def subscribe(self, symbol: str) -> None:
        """Listen to a pair."""

    def unsubscribe(self, symbol: str) -> None:
        """Listen no more."""

    def take(self, url: str, message: Any) -> bool:
        """A public frame; True when ccxt need not have it."""
        return False

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The bars in [start, end)."""
        return []

    def close(self) -> None:
        """The link is over."""
