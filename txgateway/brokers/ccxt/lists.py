"""What an exchange is asked for in lists: open orders, one order, our fills; page by page, pair by pair."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults

from txgateway.brokers.ccxt import errors, exchange, translate
from txgateway.brokers.ccxt.frames import amount
from txgateway.brokers.ccxt.link import Link, coroutine
from txgateway.brokers.ccxt.peculiarities import Pages
from txgateway.brokers.ccxt.words import Fill, Seen
from txgateway.futures import deferred
from txgateway.model.errors import GatewayError
from txgateway.model.order import Order

PAIRS_AT_ONCE = 5
"""Pairs whose fills are asked for at the same time."""
KEPT = timedelta(days=7)
"""How far back fills are asked for when nobody says since when."""
MOST_PAGES = 500


class Lists:
    """Of one link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def open_orders(self) -> list[Seen]:
        """Every open order of this market."""
        found: dict[tuple[str, str], Seen] = {}
        for each in await self._open():
            seen = translate.seen(each, self._link.name_of(each))
            if seen is not None and not self._link.elsewhere(seen.symbol):
                found[seen.symbol, seen.broker_id] = seen
        return list(found.values())

    async def _open(self) -> list[Mapping[str, Any]]:
        """All at once; pair by pair, of those that were traded here, where the exchange wants a pair."""
        try:
            return await self._paged("fetch_open_orders", None, None)
        except GatewayError as error:
            if error.__cause__ is None or "ArgumentsRequired" not in errors.names(error.__cause__):
                raise
        listed = [await self._paged("fetch_open_orders", symbol, None) for symbol in self._link.traded()]
        return [each for some in listed for each in some]

    async def find(self, order: Order, external: bool) -> Seen | None:
        """An order by our id (another's by the exchange's); None when the exchange says that it has none."""
        if external and self._link.elsewhere(order.symbol):
            return None
        client = self._link.client_id(order.order_id)
        number = order.broker_order_id
        if not number and not external and (known := self._link.book.find(order.order_id)) is not None:
            number = known.broker_id
        if external or (not self._link.row.find and number):
            return await self._found(number, order, {}) if number else None
        if self._link.row.find:
            return await self._found(client, order, {self._link.row.find: client})
        since = self._link.time.at(order.created) - timedelta(minutes=1)
        for each in await self._paged("fetch_orders", order.symbol, since):
            if each.get("clientOrderId") == client:
                return translate.seen(each, order.order_id)
        return None

    async def _found(self, identity: str, order: Order, params: dict[str, str]) -> Seen | None:
        try:
            found = await deferred(coroutine(self._link.exchange.fetch_order(identity, order.symbol, params)))
        except Exception as error:
            if errors.not_found(error, self._link.row.absent):
                return None
            raise self._link.said(error) from error
        return translate.seen(found, order.order_id if params else self._link.name_of(found) or order.order_id)

    async def trades(self, symbol: str | None, since: datetime | None) -> list[Fill]:
        """Our fills of a pair (None: of all that were traded), oldest first."""
        since = since if since is not None else self._link.now() - KEPT
        symbols: list[str | None] = [symbol] if symbol or not self._link.row.per_symbol else list(self._link.traded())
        turns = DeferredSemaphore(PAIRS_AT_ONCE)
        work = [turns.run(self._its_turn, each, since) for each in symbols]
        try:
            listed = await gatherResults(work, consumeErrors=True)
        except FirstError as first:
            first.subFailure.raiseException()
        finally:
            for each in work:
                each.cancel()  # of what has failed, or was given up, nothing more is asked
        found: dict[str, Fill] = {}
        for trade in (trade for some in listed for trade in some):
            if self._link.elsewhere(str(trade.get("symbol") or "")):
                continue
            fill = await self._fill(trade)
            if fill is not None and fill.time >= since:
                found[fill.execution_id] = fill
        return sorted(found.values(), key=lambda fill: fill.time)

    def _its_turn(self, symbol: str | None, since: datetime) -> Deferred[list[Mapping[str, Any]]]:
        return Deferred.fromCoroutine(self._trades_of(symbol, since))

    async def _trades_of(self, symbol: str | None, since: datetime) -> list[Mapping[str, Any]]:
        if symbol is not None and self._link.row.pages is Pages.FROM_ID:
            return await self._from_id(symbol, since)
        return await self._paged("fetch_my_trades", symbol, since)

    async def _fill(self, trade: Mapping[str, Any]) -> Fill | None:
        broker_id, symbol = str(trade.get("order") or ""), str(trade.get("symbol") or "")
        name = self._link.book.name_of(symbol, broker_id) or self._link.memory.numbered(symbol, broker_id)
        if not name and broker_id and self._link.book.find("", broker_id, symbol) is None:
            name = await self._ask_name(broker_id, symbol)
        market = (self._link.exchange.markets or {}).get(symbol) or {}
        return translate.fill(
            trade, name, str(market.get("id") or symbol), self._link.row.plain_ids, self._link.row.fill_time
        )

    async def _ask_name(self, broker_id: str, symbol: str) -> str:
        """The name of an order that is only known by the exchange's id."""
        try:
            found = await deferred(coroutine(self._link.exchange.fetch_order(broker_id, symbol)))
        except Exception as error:
            if errors.not_found(error, self._link.row.absent):
                return ""
            raise self._link.said(error) from error
        name = self._link.name_of(found)
        seen = translate.seen(found, name)
        if seen is not None:
            self._link.see(seen)
        return name

    async def _paged(self, method: str, symbol: str | None, since: datetime | None) -> list[Mapping[str, Any]]:
        """A whole list, page by page; GatewayError when it does not end."""
        function = getattr(self._link.exchange, method)
        start = None if since is None else int(since.timestamp() * 1000)
        params: dict[str, Any] = {}
        found: dict[str, Mapping[str, Any]] = {}
        limit = None if method == "fetch_open_orders" and self._link.row.pages is Pages.FROM_ID else self._link.row.page
        for number in range(1, MOST_PAGES + 1):
            if self._link.row.pages is Pages.NUMBERED:
                params = {"page": number, "size": self._link.row.page}
            got, cursor = await self._link.ask(self._page(function(symbol, start, limit, params)))
            before = len(found)
            found.update((f"{each.get('symbol')} {each.get('id')} {each.get('order')}", each) for each in got)
            following = self._next(got, method, start, cursor) if len(found) > before else None
            if following is None:
                return list(found.values())
            start, params = following
        raise GatewayError(f"Venue {self._link.venue}: the list of {method} did not end.")

    async def _from_id(self, symbol: str, since: datetime) -> list[Mapping[str, Any]]:
        """The fills of a pair: those of the first window of time that has any, and from the last one's id on."""
        function, page = self._link.exchange.fetch_my_trades, self._link.row.page
        window = int(self._link.row.window.total_seconds() * 1000)
        start, end = int(since.timestamp() * 1000), int(self._link.now().timestamp() * 1000)
        if self._link.row.newest and end - start > window:
            newest: list[Mapping[str, Any]] = await self._link.ask(function(symbol, None, page))
            if len(newest) < page or any(amount(each.get("timestamp")) < start for each in newest):
                return newest
        got: list[Any] = []
        while not got and start <= end:
            got = await self._link.ask(function(symbol, start, page, {"endTime": min(start + window, end + 1000)}))
            start += window
        found = list(got)
        for _ in range(MOST_PAGES):
            if not got:
                return found
            got = await self._link.ask(
                function(symbol, None, page, {"fromId": max(int(each["id"]) for each in got) + 1})
            )
            found += got
        raise GatewayError(f"Venue {self._link.venue}: the list of the fills of {symbol} did not end.")

    async def _page(self, work: Awaitable[Any]) -> tuple[Any, str]:
        """An answer and the cursor in its header."""
        got = await work
        headers = exchange.HEADERS.get()
        return got, next((str(value) for name, value in headers.items() if name.upper() == "CB-AFTER"), "")

    def _next(
        self, got: list[Any], method: str, start: int | None, cursor: str
    ) -> tuple[int | None, dict[str, Any]] | None:
        """What to ask for after a page; None when it was the last one."""
        pages = self._link.row.pages
        if pages is Pages.HEADER:
            return (start, {"after": cursor}) if cursor else None
        if pages is Pages.CURSOR:
            left = next((each["info"]["cursor"] for each in got if (each.get("info") or {}).get("cursor")), None)
            return None if left is None else (start, {"cursor": left})
        whole = len(got) < self._link.row.page and pages is not Pages.UNTIL  # how long a page is there is not known
        if whole or (pages is Pages.FROM_ID and method == "fetch_open_orders"):
            return None
        if pages is Pages.NUMBERED:
            return start, {}
        last = max((int(amount(each.get("timestamp"))) for each in got), default=0)
        return (last, {}) if last and last != start else None
