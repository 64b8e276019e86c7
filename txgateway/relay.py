"""One venue's prices for another that has none of its own: through the feed, whose subscriptions all listeners share.

What was shown before a link was lost is not shown again: only what has come since the venue last connected counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from twisted.logger import Logger

from txgateway.brokers import Broker, Can, Prices
from txgateway.feed import Feed
from txgateway.intake import CONNECTED, Intake
from txgateway.model.errors import Reason, Refused
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, LastPrice, NoPrice, Period, Quote, Statistics, Trade

log = Logger()

Shown = Quote | Trade | Statistics
Hear = Callable[[Shown], None]


class Relay:
    """Who follows which venue's market, and what that has shown since its link last came."""

    def __init__(self, feed: Feed, brokers: Mapping[str, Broker], intake: Intake) -> None:
        self.feed = feed
        self.brokers = brokers
        self.intake = intake
        self._followers: dict[str, list[_Followed]] = {}
        self._shown: dict[tuple[str, str], tuple[int, Quote | None, Trade | None]] = {}

    def prices(self, source: str, follower: str) -> Prices:
        """A venue's market for another venue; ValueError where there is no such venue."""
        if source not in self.brokers or source == follower:
            others = ", ".join(name for name in self.brokers if name != follower) or "none"
            raise ValueError(f"There is no other venue {source} whose prices could be taken; there are {others}.")
        return _Followed(self, source, follower)

    def add(self, followed: _Followed) -> None:
        """One more follows its venue."""
        if not self._followers:
            self.feed.streams.append(self._heard)
            self.feed.figures.append(self._figured)
            self.feed.ended.append(self._ended)
        self._followers.setdefault(followed.source, []).append(followed)

    def remove(self, followed: _Followed) -> None:
        """It follows no more."""
        self._followers[followed.source].remove(followed)

    def changed(self, venue: str) -> None:
        """A venue's link came or went."""
        for each in list(self._followers.get(venue, ())):
            each.changed()

    def present(self, venue: str, symbol: str) -> tuple[Quote | None, Trade | None]:
        """What a symbol shows, by the link that stands now."""
        shown = self._shown.get((venue, symbol))
        if shown is None or shown[0] != self.intake.connects[venue] or self.intake.status[venue] not in CONNECTED:
            return None, None
        return shown[1:]

    def _heard(self, venue: str, symbol: str, event: Quote | Trade) -> None:
        followers = self._followers.get(venue)
        if not followers:
            return
        quote, trade = self.present(venue, symbol)
        quote, trade = (event, trade) if isinstance(event, Quote) else (quote, event)
        self._shown[venue, symbol] = (self.intake.connects[venue], quote, trade)
        for each in list(followers):
            each.heard(event)

    def _ended(self, venue: str, symbol: str) -> None:
        self._shown.pop((venue, symbol), None)

    def _figured(self, venue: str, event: Statistics) -> None:
        for each in list(self._followers.get(venue, ())):
            each.heard(event)


class _Followed:
    """A venue's market, as one other venue follows it."""

    def __init__(self, relay: Relay, source: str, follower: str) -> None:
        self.source = source
        self.quoted = Can.QUOTES in relay.brokers[source].can
        self._relay = relay
        self._feed = relay.feed
        self._broker = relay.brokers[source]
        self._listener = f"venue {follower}"
        self._symbols: set[str] = set()
        self._hear: Hear | None = None
        self._changed: Callable[[], None] | None = None

    def trouble(self) -> str:
        """Why nothing is shown now."""
        status = self._relay.intake.status[self.source]
        return "" if status in CONNECTED else f"venue {self.source}, whose prices these are, is {status}"

    def link(self) -> int:
        """How often it has connected."""
        return self._relay.intake.connects[self.source]

    def now(self) -> datetime:
        """The venue's clock."""
        return self._broker.now()

    def follow(self, hear: Hear, changed: Callable[[], None]) -> None:
        """Begin."""
        self._hear, self._changed = hear, changed
        self._relay.add(self)

    def leave(self) -> None:
        """End."""
        if self._hear is not None:
            self._hear = self._changed = None
            self._relay.remove(self)
        for symbol in list(self._symbols):
            self.unsubscribe(symbol)

    def known(self, symbol: str) -> Instrument | None:
        """A symbol's rules, if they were asked for before."""
        return self._feed.known(self.source, symbol)

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's rules."""
        known = self.known(symbol)
        if known is None:
            self._require()
        return known or await self._feed.instrument(self.source, symbol)

    def _require(self) -> None:
        trouble = self.trouble()
        if trouble:
            raise Refused(Reason.VENUE_DOWN, f"{trouble[0].upper()}{trouble[1:]}: send it again when it is UP.")

    def subscribe(self, symbol: str) -> None:
        """Hear a symbol."""
        self._symbols.add(symbol)
        self._feed.join(self.source, symbol, self._listener)
        for event in self._relay.present(self.source, symbol):
            if event is not None:
                self.heard(event)

    def unsubscribe(self, symbol: str) -> None:
        """Hear it no more."""
        self._symbols.discard(symbol)
        self._feed.leave(self.source, symbol, self._listener)

    def statistics(self, symbol: str) -> Statistics:
        """The day's figures."""
        return self._feed.statistics(self.source, symbol)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The venue's bars."""
        return await self._broker.bars(symbol, period, start, end)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """The last prices; of a venue that cannot be asked those that active symbols have shown by the link of now."""
        if Can.LAST_PRICES in self._broker.can:
            return await self._broker.last_prices(symbols)
        self._require()
        shown = (self._relay.present(self.source, symbol)[1] for symbol in symbols)
        return [LastPrice(each.symbol, each.price, each.time) for each in shown if each is not None]

    # told by the relay; what goes wrong there is not the source's

    def heard(self, event: Shown) -> None:
        """Something was shown."""
        if self._hear is not None and event.symbol in self._symbols:
            self._guarded(self._hear, event)

    def changed(self) -> None:
        """The link came or went."""
        if self._changed is not None:
            self._guarded(self._changed)

    def _guarded(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception:
            log.failure(
                "What venue {source} shows could not be taken in by {listener}.",
                source=self.source,
                listener=self._listener,
            )
