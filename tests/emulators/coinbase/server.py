"""The whole of the emulated Coinbase: one book, two venues' wires."""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import Any, ClassVar

from aiohttp import web

from tests.emulators.coinbase import advanced_feed, advanced_rest, exchange_feed, exchange_rest
from tests.emulators.coinbase.advanced_orders import configured
from tests.emulators.coinbase.keys import Keys, Unproven, read_token
from tests.emulators.coinbase.listing import INSTRUMENTS
from tests.emulators.crypto.control import Control
from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.orders import Account, Fill, Order, Ticket, Told
from tests.emulators.crypto.server import Emulator, Options

D = Decimal
ADVANCED = ("/api/v3/", "/v2/")
PATIENCE = 5
"""Seconds that a WebSocket may be open before it subscribes."""


class CoinbaseEmulator(Emulator):
    """Coinbase Advanced Trade and Coinbase Exchange."""

    NAME = "coinbase"
    MONEY: ClassVar[dict[str, dict[str, D]]] = {
        "spot": {"USD": D(1_000_000), "BTC": D(10), "ETH": D(100), "SOL": D(0), "DOGE": D(0)}
    }

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.advanced = advanced_rest.Rest(self)
        self.other = exchange_rest.Rest(self)
        self.feeds = {"/ws/advanced": advanced_feed.Feed(self), "/ws/exchange": exchange_feed.Feed(self)}
        self.purged: set[int] = set()
        """Cancelled orders without fills that Exchange has forgotten."""
        self.purges = bool(self.options.more.get("purge"))
        self._sequences: dict[str, int] = {}
        self._fresh: dict[int, Order] = {}
        """Orders that may come to rest in this moment."""
        self._asked: dict[tuple[str, str], deque[float]] = {}
        self._speaks_advanced = True

    def instruments(self) -> list[Instrument]:
        """Spot pairs."""
        return list(INSTRUMENTS)

    def start(self) -> int:
        """Listen, and tell who is there that we are."""
        port = super().start()
        for feed in self.feeds.values():
            self.every(self.options.more.get("beat", 1), feed.beat)
        return port

    # ---------------------------------------------------------------- REST

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Of the venue whose path it is."""
        advanced = request.path.startswith(ADVANCED)
        self._speaks_advanced = advanced
        return await (self.advanced if advanced else self.other).answer(request)

    def too_many(self) -> web.Response:
        """429."""
        return (self.advanced if self._speaks_advanced else self.other).too_many()

    def unknown(self) -> web.Response:
        """500."""
        return (self.advanced if self._speaks_advanced else self.other).unknown()

    def exceeded(self, what: str, who: str, most: int) -> bool:
        """Whether somebody asks something more often than so many times a second; it counts if not."""
        times, now = self._asked.setdefault((what, who), deque()), self.now()
        while times and times[0] <= now - 1:
            times.popleft()
        if len(times) >= most:
            return True
        times.append(now)
        return False

    def product(self, name: str) -> Instrument | None:
        """By its id."""
        found = (tape.instrument for tape in self.market.tapes.values() if tape.instrument.symbol == name)
        return next(found, None)

    def keys(self, account: Account) -> Keys:
        """What an account's requests are signed with."""
        return Keys(account.key, account.secret, account.password)

    @staticmethod
    def is_of(keys: Keys, token: str) -> bool:
        """Whether a token says that it is of one of these keys."""
        try:
            return read_token(token)[0].get("kid") in (keys.cdp, keys.cdp2)
        except Unproven:
            return False

    def completed(self, ticket: Ticket) -> Ticket:
        """With what Advanced Trade would have been asked."""
        return configured(ticket)

    def expire(self, order: Order, seconds: float, reason: str = "GTT") -> None:
        """It ends after so many seconds, if it is still open."""
        exchange = self.exchange
        self.later(max(seconds, 0.001), lambda: exchange.end(order, "EXPIRED", reason) if order.is_open else None)

    def ended(self, order: Order) -> None:
        """A cancelled order without fills may be forgotten by Exchange."""
        if self.purges and not order.filled:
            self.purged.add(order.number)

    def fills_of(self, trade: int) -> list[Fill]:
        """Of a public trade."""
        return [fill for fill in self.exchange.fills[-50:] if fill.number == trade]

    def forget(self) -> None:
        """Nothing more is to be said of what was."""
        self._fresh.clear()

    # ---------------------------------------------------------------- streams

    def joined(self, link: Link) -> bool:
        """Of one of the two feeds, on / of that which its first message is of; it has to subscribe soon."""
        link.state["feed"] = self.feeds.get(link.path)
        there = link.path in ("/", *self.feeds)
        if there:
            self.later(self.options.more.get("patience", PATIENCE), lambda: self._impatient(link))
        return there

    @staticmethod
    def _impatient(link: Link) -> None:
        if not link.topics and not link.state.get("asked"):
            link.close(1008, "no subscribe in time")

    def received(self, link: Link, text: str) -> None:
        """A message of a client."""
        link.state["asked"] = True
        if link.state["feed"] is None:
            link.state["feed"] = self.feeds["/ws/exchange" if '"channels"' in text else "/ws/advanced"]
        link.state["feed"].received(link, text)

    def told(self, told: Told) -> None:
        """To both feeds. Balances are told by neither."""
        if told.order is not None:
            if told.kind in ("new", "triggered", "replaced") and (told.order.triggered or not told.order.ticket.waits):
                self._fresh[told.order.number] = told.order
                asyncio.get_running_loop().call_soon(self._settle)
            for feed in self.feeds.values():
                feed.order(told)

    def market_moved(self, moved: Moved) -> None:
        """To both feeds."""
        for feed in self.feeds.values():
            feed.moved(moved)

    def _settle(self) -> None:
        """A moment is over: what is left of new orders rests."""
        fresh, self._fresh = self._fresh, {}
        for number in fresh:
            order = self.exchange.orders.get(number)
            if order is not None and order.is_open:
                for feed in self.feeds.values():
                    feed.opened(order)

    def sequence(self, product: str) -> int:
        """The number of the last message of a product that Exchange's feed has told."""
        return self._sequences.setdefault(product, 10_000)

    def next_sequence(self, product: str) -> int:
        """Of the next one."""
        self._sequences[product] = self.sequence(product) + 1
        return self._sequences[product]


class CoinbaseControl(Control):
    """With what only Coinbase has."""

    emulator: CoinbaseEmulator

    def do_keys(self, account: str = "") -> dict[str, str]:
        """What an account can sign with: Advanced Trade's legacy and CDP keys, Exchange's key and passphrase."""
        keys = self.emulator.keys(self.emulator.exchange.accounts[self._account(account)])
        names = ("key", "secret", "cdp", "cdp_secret", "cdp2", "cdp2_secret", "secret64", "passphrase")
        return {name: getattr(keys, name) for name in names}

    def do_purge(self, on: bool = True) -> int:
        """Exchange forgets cancelled orders without fills, those there are and (on) those to come; how many it has."""
        emulator: Any = self.emulator
        emulator.purges = on
        ended = [o for o in emulator.exchange.orders.values() if o.status in ("CANCELED", "EXPIRED") and not o.filled]
        emulator.purged |= {order.number for order in ended}
        return len(emulator.purged)
