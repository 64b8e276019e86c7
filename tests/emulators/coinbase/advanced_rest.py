"""Coinbase Advanced Trade's REST (/api/v3/brokerage, and the /v2 beside it): what is asked, and what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.emulators.coinbase import advanced_rows as rows
from tests.emulators.coinbase.advanced_orders import Orders
from tests.emulators.coinbase.exchange_rows import iso
from tests.emulators.coinbase.keys import Unproven
from tests.emulators.coinbase.listing import NAMES, of_name, plain
from tests.emulators.coinbase.words import Asked, Wrong
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account

if TYPE_CHECKING:
    from tests.emulators.coinbase.server import CoinbaseEmulator

LENGTHS = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "SIX_HOUR": 21600,
    "ONE_DAY": 86400,
}
V3 = "/api/v3/brokerage"


class Rest:
    """Coinbase Advanced Trade."""

    def __init__(self, emulator: CoinbaseEmulator) -> None:
        self.emulator = emulator

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Whatever is asked."""
        body = (await request.read()).decode("utf-8", "replace")
        old = request.path.startswith("/v2/")
        try:
            call, named = self._find(request)
            account = self._owner(request, body) if call.private else None
            if self.emulator.limits and self.emulator.exceeded("v3", account.name if account else "", 30):
                return self.too_many()
            asked = Asked([*parse_qsl(request.query_string, keep_blank_values=True), *named.items()])
            visit = Visit(self.emulator, account, asked)
            if not call.command:
                return await self.emulator.question() or self.well(call.do(visit))
            name, do = call.do(Orders(self.emulator, visit.account), self._json(body))
            return await self.emulator.command(name, lambda: self._done(do))
        except Unproven as unproven:
            if old:
                said = [{"id": "authentication_error", "message": str(unproven)}]
                return web.Response(status=401, text=json.dumps({"errors": said}), content_type="application/json")
            return web.Response(status=401, text="Unauthorized\n")
        except Wrong as wrong:
            return self.ill(wrong)

    def _done(self, do: Callable[[], Any]) -> web.Response:
        try:
            return self.well(do())
        except Wrong as wrong:
            return self.ill(wrong)

    def _find(self, request: web.BaseRequest) -> tuple[Call, dict[str, str]]:
        for call in CALLS:
            if call.method == request.method and (found := call.pattern.match(request.path)):
                return call, found.groupdict()
        raise Wrong(404, "route not found", "NOT_FOUND")

    @staticmethod
    def _json(body: str) -> dict[str, Any]:
        try:
            given = json.loads(body)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Wrong(400, "invalid JSON", "INVALID_ARGUMENT")
        return given

    def _owner(self, request: web.BaseRequest, body: str) -> Account:
        headers, now = request.headers, self.emulator.now()
        bearer = headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            for account in self.emulator.exchange.accounts.values():
                keys = self.emulator.keys(account)
                if self.emulator.is_of(keys, bearer[7:]):
                    keys.prove_token(bearer[7:], now, f"{request.method} {request.path}")
                    return account
            raise Unproven("invalid key")
        found = self.emulator.account_of(headers.get("CB-ACCESS-KEY", ""))
        if found is None:
            raise Unproven("invalid api key")
        path = request.raw_path if request.path.startswith("/v2/") else request.raw_path.partition("?")[0]
        stamp, sign = headers.get("CB-ACCESS-TIMESTAMP", ""), headers.get("CB-ACCESS-SIGN", "")
        self.emulator.keys(found).prove_legacy(stamp, f"{request.method}{path}{body}", sign, now)
        return found

    @staticmethod
    def well(data: Any) -> web.Response:
        """200."""
        return web.Response(text=json.dumps(data), content_type="application/json")

    @staticmethod
    def ill(wrong: Wrong) -> web.Response:
        """An error."""
        said = {"error": wrong.word or "unknown", "error_details": wrong.text, "message": wrong.text}
        return web.Response(status=wrong.status, text=json.dumps(said), content_type="application/json")

    @staticmethod
    def too_many() -> web.Response:
        """429."""
        said = {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
        return web.Response(status=429, text=json.dumps(said), content_type="application/json")

    def unknown(self) -> web.Response:
        """Something has failed, and nobody knows what became of it."""
        return self.ill(Wrong(500, "internal server error", "internal_server_error"))


@dataclass(slots=True)
class Visit:
    """One question."""

    emulator: CoinbaseEmulator
    owner: Account | None
    asked: Asked

    @property
    def account(self) -> Account:
        """Who asks."""
        assert self.owner is not None
        return self.owner

    # ---------------------------------------------------------------- market data

    def product(self, name: str = "product_id") -> Instrument:
        """The one that is named."""
        found = self.emulator.product(self.asked.text(name))
        if found is None:
            raise Wrong(404, "valid product_id is required", "NOT_FOUND")
        return found

    def _row(self, each: Instrument) -> dict[str, Any]:
        tape = self.emulator.exchange.tape(each)
        return rows.product_row(each, tape.last, self.emulator.market.day(tape))

    def products(self) -> dict[str, Any]:
        """All, or some; futures there are none."""
        wanted = self.asked.several("product_ids")
        found = [tape.instrument for tape in self.emulator.market.tapes.values()]
        found = [each for each in found if not wanted or each.symbol in wanted]
        if self.asked.text("product_type", "SPOT") != "SPOT":
            found = []
        return {"products": [self._row(each) for each in found], "num_products": len(found)}

    def one(self) -> dict[str, Any]:
        """A product."""
        return self._row(self.product())

    def _book(self, each: Instrument, most: int) -> dict[str, Any]:
        bids, asks = self.emulator.exchange.tape(each).shown
        return rows.pricebook(each.symbol, bids, asks, most, self.emulator.now())

    def book(self) -> dict[str, Any]:
        """Of a product."""
        each = self.product()
        bid, _, ask, _ = self.emulator.exchange.best(each)
        last = self.emulator.exchange.tape(each).last
        more = {"last": plain(last), "mid_market": plain((bid + ask) / 2), "spread_absolute": plain(ask - bid)}
        return {"pricebook": self._book(each, self.asked.whole("limit", 500, 500)), **more}

    def best(self) -> dict[str, Any]:
        """Best prices of products."""
        wanted = self.asked.several("product_ids")
        found = [tape.instrument for tape in self.emulator.market.tapes.values()]
        return {"pricebooks": [self._book(each, 1) for each in found if not wanted or each.symbol in wanted]}

    def ticker(self) -> dict[str, Any]:
        """The last trades, newest first, and the best prices."""
        each = self.product()
        trades = list(self.emulator.exchange.tape(each).trades)[::-1][: self.asked.whole("limit", 100, 1000)]
        bid, _, ask, _ = self.emulator.exchange.best(each)
        found = [rows.trade_row(each.symbol, trade) for trade in trades]
        return {"trades": found, "best_bid": plain(bid), "best_ask": plain(ask)}

    def candles(self) -> dict[str, Any]:
        """The newest first, at most 350."""
        each, length = self.product(), LENGTHS.get(self.asked.text("granularity"))
        if length is None:
            raise Wrong(400, "invalid granularity", "INVALID_ARGUMENT")
        start, end = self.asked.time("start", 0), self.asked.time("end", self.emulator.now())
        if (end - start) / length >= 350:
            raise Wrong(400, "start and end argument is invalid - number of candles requested should be less than 350")
        found = self.emulator.market.bars(self.emulator.exchange.tape(each), length, start, end + 0.001, 350)
        return {"candles": [rows.candle_row(bar) for bar in reversed(found)]}

    # ---------------------------------------------------------------- accounts

    def accounts(self) -> dict[str, Any]:
        """One an asset, in pages."""
        every = list(self.account.wallets["spot"].items())
        first, most = (
            self.asked.whole("cursor", 0) if self.asked.text("cursor") else 0,
            self.asked.whole("limit", 49, 250),
        )
        page = every[first : first + most]
        more = len(every) > first + most
        found = [rows.account_row(self.account, asset, balance) for asset, balance in page]
        return {"accounts": found, "has_next": more, "cursor": str(first + most) if more else "", "size": len(found)}

    def one_account(self) -> dict[str, Any]:
        """By its id."""
        for asset, balance in self.account.wallets["spot"].items():
            row = rows.account_row(self.account, asset, balance)
            if row["uuid"] == self.asked.text("account_uuid"):
                return {"account": row}
        raise Wrong(404, "account not found", "NOT_FOUND")

    def old_accounts(self) -> dict[str, Any]:
        """Of v2: without what is on hold."""
        found = [rows.old_account_row(self.account, a, b) for a, b in self.account.wallets["spot"].items()]
        return {"pagination": {"limit": 250, "next_uri": None, "next_starting_after": None}, "data": found}

    def summary(self) -> dict[str, Any]:
        """The fee tier."""
        each = next(tape.instrument for tape in self.emulator.market.tapes.values())
        tier = {"pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "1000", "aop_from": "", "aop_to": ""}
        tier |= {"taker_fee_rate": plain(each.taker), "maker_fee_rate": plain(each.maker)}
        return {"total_volume": 0, "total_fees": 0, "fee_tier": tier, "margin_rate": None, "total_balance": ""}

    # ---------------------------------------------------------------- orders

    def order(self) -> dict[str, Any]:
        """By its id."""
        return {"order": rows.order_row(Orders(self.emulator, self.account).known(self.asked.text("order_id")))}

    def orders(self) -> dict[str, Any]:
        """By ids, products, statuses, side and times, the newest first, in pages."""
        asked, orders = self.asked, Orders(self.emulator, self.account)
        products, statuses = asked.several("product_ids", "product_id"), asked.several("order_status")
        if "OPEN" in statuses and len(statuses) > 1:
            raise Wrong(400, "OPEN cannot be asked for with other statuses", "INVALID_ARGUMENT")
        ids, side = asked.several("order_ids"), asked.text("order_side")
        start, end = asked.time("start_date", 0), asked.time("end_date", 2**40)
        found = [
            (each.number, rows.order_row(each))
            for each in orders.every()
            if (not products or each.ticket.instrument.symbol in products)
            and (not statuses or rows.status(each) in statuses)
            and side in ("", each.ticket.side)
            and start <= each.created <= end
        ]
        page, more = self._page([(n, row) for n, row in found if not ids or row["order_id"] in ids], 1000)
        return {"orders": page, "sequence": "0", "has_next": bool(more), "cursor": more}

    def fills(self) -> dict[str, Any]:
        """By orders, products and times, the newest first, in pages."""
        asked = self.asked
        orders, products = asked.several("order_ids", "order_id"), asked.several("product_ids", "product_id")
        start, end = asked.time("start_sequence_timestamp", 0), asked.time("end_sequence_timestamp", 2**40)
        found = [
            (at, rows.fill_row(each))
            for at, each in reversed(list(enumerate(self.emulator.exchange.fills, 1)))
            if each.account == self.account.name
            and (not products or each.instrument.symbol in products)
            and start <= each.at <= end
        ]
        page, more = self._page([(n, row) for n, row in found if not orders or row["order_id"] in orders], 100)
        return {"fills": page, "cursor": more}

    def _page(self, every: list[tuple[int, dict[str, Any]]], usual: int) -> tuple[list[dict[str, Any]], str]:
        if self.asked.text("cursor"):
            before = self.asked.whole("cursor", 0)
            every = [(number, row) for number, row in every if number < before]
        most = max(self.asked.whole("limit", usual, 3000), 1)
        page = every[:most]
        return [row for _, row in page], str(page[-1][0]) if len(every) > most else ""


@dataclass(frozen=True, eq=False)
class Call:
    """One path. `do` gives the answer; of an order command, of what product it is, and what gives the answer."""

    method: str
    path: str
    do: Callable[..., Any]
    private: bool = True
    command: bool = False
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path)
        object.__setattr__(self, "pattern", re.compile(f"^{parts}$"))


def _both(path: str, do: Callable[[Visit], Any]) -> tuple[Call, Call]:
    """Market data is public, and the same for who signs."""
    return Call("GET", f"{V3}/market/{path}", do, private=False), Call("GET", f"{V3}/{path}", do)


def _time(visit: Visit) -> dict[str, str]:
    now = visit.emulator.now()
    return {"iso": iso(now)[:19] + "Z", "epochSeconds": str(int(now)), "epochMillis": str(int(now * 1000))}


def _old_time(visit: Visit) -> dict[str, Any]:
    now = visit.emulator.now()
    return {"data": {"iso": iso(now)[:19] + "Z", "epoch": int(now)}}


def _crypto(visit: Visit) -> dict[str, Any]:
    more = {"color": "#0433FF", "sort_index": 340, "exponent": 8, "type": "crypto", "address_regex": "^.*$"}
    found = [(asset, name) for asset, name in NAMES.items() if asset != "USD"]
    return {"data": [{"asset_id": of_name("asset", a), "code": a, "name": name, **more} for a, name in found]}


def _rates(visit: Visit) -> dict[str, Any]:
    tapes = visit.emulator.market.tapes.values()
    rates = {tape.instrument.base: plain((1 / tape.last).quantize(Decimal("1E-12"))) for tape in tapes}
    return {"data": {"currency": "USD", "rates": {"USD": "1.0", **rates}}}


def _old_price(visit: Visit) -> dict[str, Any]:
    each = visit.product()
    bid, _, ask, _ = visit.emulator.exchange.best(each)
    prices = {"buy": ask, "sell": bid, "spot": visit.emulator.exchange.tape(each).last}
    amount = plain(prices[visit.asked.text("what")])
    return {"data": {"base": each.base, "currency": each.quote, "amount": amount}}


def _permissions(visit: Visit) -> dict[str, Any]:
    portfolio = of_name("portfolio", visit.account.name)
    return {"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": portfolio}


CALLS: tuple[Call, ...] = (
    Call("GET", f"{V3}/time", _time, private=False),
    *_both("products", lambda visit: visit.products()),
    *_both("products/{product_id}", lambda visit: visit.one()),
    *_both("products/{product_id}/candles", lambda visit: visit.candles()),
    *_both("products/{product_id}/ticker", lambda visit: visit.ticker()),
    *_both("product_book", lambda visit: visit.book()),
    Call("GET", f"{V3}/best_bid_ask", lambda visit: visit.best()),
    Call("GET", f"{V3}/accounts", lambda visit: visit.accounts()),
    Call("GET", f"{V3}/accounts/{{account_uuid}}", lambda visit: visit.one_account()),
    Call("GET", f"{V3}/transaction_summary", lambda visit: visit.summary()),
    Call("GET", f"{V3}/key_permissions", _permissions),
    Call("GET", f"{V3}/orders/historical/batch", lambda visit: visit.orders()),
    Call("GET", f"{V3}/orders/historical/fills", lambda visit: visit.fills()),
    Call("GET", f"{V3}/orders/historical/{{order_id}}", lambda visit: visit.order()),
    Call("POST", f"{V3}/orders", lambda orders, given: orders.new(given), command=True),
    Call("POST", f"{V3}/orders/batch_cancel", lambda orders, given: orders.cancel(given), command=True),
    Call("POST", f"{V3}/orders/edit", lambda orders, given: orders.edit(given), command=True),
    Call("POST", f"{V3}/orders/preview", lambda orders, given: orders.preview(given), command=True),
    Call("GET", "/v2/time", _old_time, private=False),
    Call("GET", "/v2/currencies", lambda v: {"data": [{"id": "USD", "name": NAMES["USD"], "min_size": "0.01"}]}, False),
    Call("GET", "/v2/currencies/crypto", _crypto, private=False),
    Call("GET", "/v2/exchange-rates", _rates, private=False),
    Call("GET", "/v2/prices/{product_id}/{what}", _old_price, private=False),
    Call("GET", "/v2/accounts", lambda visit: visit.old_accounts()),
)
