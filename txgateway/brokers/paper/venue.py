"""Another venue's live prices as a feed. While that venue's link is down nothing is shown: the market stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from twisted.logger import Logger

from txgateway.brokers import Prices, Report
from txgateway.brokers.paper.feed import Hear, Withdrawn
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import VenueError
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.market import Bar, LastPrice, NoPrice, Period, Quote, Statistics, Trade

log = Logger()

PAID = frozenset({AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX})
"""What a paper account can hold: things that are paid for, and worth their price."""
SMALLEST = Decimal("0.00000001")
"""The step of what the venue states none for."""
SET_BACK = timedelta(minutes=1)
"""A venue's clock that goes back by so much was set; by less, it is held until it has caught up."""


class VenueFeed:
    """The symbols of another venue, as they are shown there; each is subscribed there as long as it is needed here."""

    live = True

    def __init__(self, venue: str, prices: Prices, report: Report) -> None:
        self._venue = venue
        self._prices = prices
        self._report = report
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._instruments: dict[str, Instrument] = {}
        self._last: dict[str, Decimal] = {}
        self._subscribed: dict[str, bool] = {}
        """Whether each subscribed symbol has been shown since the link last came."""
        self._hear: Hear | None = None
        self._stands = False
        self._link = 0

    def start(self, hear: Hear) -> None:
        """Follow the venue; its link may come later."""
        self._hear = hear
        self._stands, self._link = bool(self._prices.trouble()), self._prices.link()
        self._prices.follow(self._heard, self._look)

    def stop(self) -> None:
        """Leave it."""
        self._hear = None
        self._subscribed.clear()
        self._prices.leave()

    def now(self) -> datetime:
        """The venue's clock."""
        now = self._prices.now()
        if now > self._latest or now < self._latest - SET_BACK:
            self._latest = now
        return self._latest

    def instrument(self, symbol: str) -> Instrument | None:
        """The rules, once they were looked up."""
        known = self._instruments.get(symbol)
        if known is None:
            theirs = self._prices.known(symbol)
            if theirs is not None and _is_paid(theirs):
                known = self._instruments[symbol] = self._taken_over(theirs)
        return known

    async def look_up(self, symbol: str) -> Instrument | None:
        """The rules, by the venue; Refused for what a paper account cannot hold."""
        theirs = await self._prices.instrument(symbol)
        if theirs is not None and not _is_paid(theirs):
            what = f"{symbol} is a {theirs.asset_class}, of which a unit is {theirs.multiplier:f} times its price"
            text = f"Venue {self._venue} trades stocks, currencies and crypto currencies on paper: {what}."
            raise Refused(Reason.UNSUPPORTED, text)
        return self.instrument(symbol)

    def instruments(self) -> Sequence[Instrument]:
        """Those that were looked up."""
        return list(self._instruments.values())

    def standing(self, symbol: str) -> str:
        """What the venue's link, or its silence since that came, keeps from trading."""
        trouble = self._prices.trouble()
        if trouble or self._subscribed.get(symbol):
            return trouble
        return f"venue {self._prices.source} has not shown it yet"

    def quoted(self, symbol: str) -> bool:
        """What the venue claims."""
        return self._prices.quoted

    def price(self, symbol: str) -> Decimal | None:
        """The last price that was seen: what is held is worth that until there is another."""
        return self._last.get(symbol)

    def statistics(self, symbol: str) -> Statistics:
        """The venue's figures."""
        return self._prices.statistics(symbol)

    def subscribe(self, symbol: str) -> None:
        """Subscribe there."""
        self._subscribed.setdefault(symbol, False)
        self._prices.subscribe(symbol)

    def unsubscribe(self, symbol: str) -> None:
        """Subscribe no more."""
        self._subscribed.pop(symbol, None)
        self._prices.unsubscribe(symbol)

    def poll(self) -> datetime:
        """What is shown is heard as it comes; here it is only seen whether the link still stands."""
        self._look()
        return self.now()

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """The venue's bars."""
        return await self._prices.bars(symbol, period, start, end)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """The venue's, but for those of what a paper account cannot hold."""
        found = await self._prices.last_prices(symbols)
        known = ((each, self._prices.known(each.symbol)) for each in found)
        return [each for each, theirs in known if theirs is None or _is_paid(theirs)]

    def _taken_over(self, theirs: Instrument) -> Instrument:
        return replace(
            theirs,
            venue=self._venue,
            tick_size=theirs.tick_size or SMALLEST,
            lot_size=theirs.lot_size or SMALLEST,
        )

    def _heard(self, event: Quote | Trade | Statistics) -> None:
        self._look()
        if self._hear is None:
            return
        if isinstance(event, Quote):
            if event.tradable:
                self._last[event.symbol] = (event.bid + event.ask) / 2
        elif isinstance(event, Trade):
            self._last[event.symbol] = event.price
        if not isinstance(event, Statistics) and event.symbol in self._subscribed:
            self._subscribed[event.symbol] = True
        self._hear([event])

    def _look(self) -> None:
        """See whether the venue's link came or went: what it showed before is nothing to trade on, and told to be gone.

        A link may be lost and be back before anybody is told so; then it is another one.
        """
        trouble, link = self._prices.trouble(), self._prices.link()
        if self._hear is None or (bool(trouble) is self._stands and link == self._link):
            return
        stood, self._stands, self._link = self._stands, bool(trouble), link
        gone = [symbol for symbol, shown in self._subscribed.items() if shown]
        self._subscribed = dict.fromkeys(self._subscribed, False)
        if gone:
            now = self.now()
            self._hear([Withdrawn(symbol, now) for symbol in gone])
        if trouble and not stood:
            text = f"the market stands still: {trouble}. Nothing is filled until it is back."
            self._report(VenueError(self._venue, 0, text))
        elif not trouble:
            log.info("{venue}: the prices of {source} are there.", venue=self._venue, source=self._prices.source)
            self._hear([])


def _is_paid(instrument: Instrument) -> bool:
    return instrument.asset_class in PAID and instrument.multiplier == 1
