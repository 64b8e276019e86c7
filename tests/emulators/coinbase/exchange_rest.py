"""Coinbase Exchange's REST: what is asked, and what is answered. Errors are {"message": …}."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.emulators.coinbase import exchange_rows as rows
from tests.emulators.coinbase.keys import Unproven
from tests.emulators.coinbase.listing import NAMES, number_of, plain
from tests.emulators.coinbase.words import Asked, Wrong, number
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import down
from tests.emulators.crypto.orders import Account, Order, Refused, Ticket

if TYPE_CHECKING:
    from tests.emulators.coinbase.server import CoinbaseEmulator

LENGTHS = (60, 300, 900, 3600, 21600, 86400)
AFTER = {"min": 60, "hour": 3600, "day": 86400}
LIVE = ("open", "pending", "active")
CODES = {
    "balance": (400, "Insufficient funds"),
    "tick": (400, "price is too accurate. Smallest unit is {0.tick:f}"),
    "step": (400, "size is too accurate. Smallest unit is {0.step:f}"),
    "least": (400, "size is too small. Minimum size is {0.least:f}"),
    "most": (400, "size is too large. Maximum size is {0.most:f}"),
    "value": (400, "funds is too small. Minimum size is {0.value:f}"),
    "duplicate": (400, "Duplicate client_oid"),
    "triggers": (400, "stop price would trigger at once"),
    "over": (400, "Order already done"),
    "fault": (400, "The order could not be processed"),
}
"""Why the book refuses something, and how Exchange says so."""


class Rest:
    """Coinbase Exchange."""

    def __init__(self, emulator: CoinbaseEmulator) -> None:
        self.emulator = emulator

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Whatever is asked."""
        body = (await request.read()).decode("utf-8", "replace")
        try:
            call, named = self._find(request)
            account = self._owner(request, body) if call.private else None
            if self.emulator.limits and self.emulator.exceeded(call.group, account.name if account else "", call.most):
                return self.too_many(call.private)
            asked = Asked([*parse_qsl(request.query_string, keep_blank_values=True), *named.items()])
            visit = Visit(self.emulator, account, asked, body)
            if not call.command:
                return await self.emulator.question() or self.well(call.do(visit), visit.headers)
            name, do = call.do(visit)
            return await self.emulator.command(name, lambda: self._done(do))
        except Wrong as wrong:
            return self.ill(wrong.status, wrong.text)

    def _done(self, do: Callable[[], Any]) -> web.Response:
        try:
            return self.well(do())
        except Wrong as wrong:
            return self.ill(wrong.status, wrong.text)

    def _find(self, request: web.BaseRequest) -> tuple[Call, dict[str, str]]:
        for call in CALLS:
            if call.method == request.method and (found := call.pattern.match(request.path)):
                return call, found.groupdict()
        raise Wrong(404, "Route not found")

    def _owner(self, request: web.BaseRequest, body: str) -> Account:
        headers = request.headers
        account = self.emulator.account_of(headers.get("CB-ACCESS-KEY", ""))
        if account is None:
            raise Wrong(401, "Invalid API Key")
        stamp, sign = headers.get("CB-ACCESS-TIMESTAMP", ""), headers.get("CB-ACCESS-SIGN", "")
        text, phrase = f"{request.method}{request.raw_path}{body}", headers.get("CB-ACCESS-PASSPHRASE", "")
        try:
            self.emulator.keys(account).prove_exchange(stamp, text, sign, phrase, self.emulator.now())
        except Unproven as unproven:
            raise Wrong(401, str(unproven)) from None
        return account

    @staticmethod
    def well(data: Any, headers: dict[str, str] | None = None) -> web.Response:
        """200."""
        return web.Response(text=json.dumps(data), content_type="application/json", headers=headers)

    @staticmethod
    def ill(status: int, text: str) -> web.Response:
        """An error."""
        return web.Response(status=status, text=json.dumps({"message": text}), content_type="application/json")

    def too_many(self, private: bool = True) -> web.Response:
        """429."""
        return self.ill(429, f"{'Private' if private else 'Public'} rate limit exceeded")

    def unknown(self) -> web.Response:
        """Something has failed, and nobody knows what became of it."""
        return self.ill(500, "Internal server error")


@dataclass(slots=True)
class Visit:
    """One request."""

    emulator: CoinbaseEmulator
    owner: Account | None
    asked: Asked
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Who asks."""
        assert self.owner is not None
        return self.owner

    # ---------------------------------------------------------------- market data

    def product(self) -> Instrument:
        """The one that the path names."""
        found = self.emulator.product(self.asked.text("id"))
        if found is None:
            raise Wrong(404, "NotFound")
        return found

    def book(self) -> dict[str, Any]:
        """Of a level."""
        each, level = self.product(), self.asked.whole("level", 1)
        if level not in (1, 2, 3):
            raise Wrong(400, "Invalid level")
        tape = self.emulator.exchange.tape(each)
        return rows.book_row(self.emulator.sequence(each.symbol), *tape.shown, level, self.emulator.now())

    def candles(self) -> list[list[float | int]]:
        """The newest first, at most 300."""
        each, length = self.product(), self.asked.whole("granularity", 60)
        if length not in LENGTHS:
            raise Wrong(400, "Unsupported granularity")
        end = self.asked.time("end", self.emulator.now())
        start = self.asked.time("start", end // length * length - 299 * length)
        if (end - start) / length > 300:
            raise Wrong(400, "granularity too small for the requested time range. Count of aggregations exceeds 300")
        found = self.emulator.market.bars(self.emulator.exchange.tape(each), length, start, end + 0.001, 300)
        return [rows.candle_row(bar) for bar in reversed(found)]

    def trades(self) -> list[dict[str, Any]]:
        """The newest first, in pages."""
        trades = list(self.emulator.exchange.tape(self.product()).trades)[::-1]
        return [rows.trade_row(each) for each in self.page(trades, lambda each: each.number)]

    def ticker(self) -> dict[str, Any]:
        """The last trade and the best prices."""
        tape = self.emulator.exchange.tape(self.product())
        bid, _, ask, _ = self.emulator.exchange.best(tape.instrument)
        last = tape.trades[-1] if tape.trades else None
        return rows.ticker_row(last, tape.last, bid, ask, self.emulator.market.day(tape), self.emulator.now())

    def stats(self) -> dict[str, str]:
        """Of 24 hours."""
        day = self.emulator.market.day(self.emulator.exchange.tape(self.product()))
        values = {"open": day.open, "high": day.high, "low": day.low, "last": day.close, "volume": day.volume}
        return {name: plain(value) for name, value in values.items()} | {"volume_30day": plain(day.volume * 30)}

    def sparks(self) -> dict[str, list[list[float]]]:
        """Of all products, the newest first."""
        found = {}
        for tape in self.emulator.market.tapes.values():
            day = self.emulator.market.day(tape)
            values = (float(value) for value in (day.low, day.high, day.open, day.close))
            found[tape.instrument.symbol] = [[day.start, *values]]
        return found

    def page(self, every: list[Any], number_: Callable[[Any], int], usual: int = 100) -> list[Any]:
        """A page of what is newest first; CB-BEFORE and CB-AFTER name its ends."""
        most = max(self.asked.whole("limit", usual, 1000), 1)
        if self.asked.text("before"):
            every = [each for each in every if number_(each) > self.asked.whole("before", 0)]
        if self.asked.text("after"):
            every = [each for each in every if number_(each) < self.asked.whole("after", 0)]
        found = every[:most]
        if found:
            self.headers["CB-BEFORE"] = str(number_(found[0]))
            if len(every) > most:
                self.headers["CB-AFTER"] = str(number_(found[-1]))
        return found

    # ---------------------------------------------------------------- accounts

    def accounts(self) -> list[dict[str, Any]]:
        """One an asset."""
        wallet = self.account.wallets["spot"]
        return [rows.account_row(self.account, asset, balance) for asset, balance in wallet.items()]

    def one_account(self) -> dict[str, Any]:
        """By its id."""
        for row in self.accounts():
            if row["id"] == self.asked.text("id"):
                return row
        raise Wrong(404, "NotFound")

    def fees(self) -> dict[str, str]:
        """Rates."""
        each = next(tape.instrument for tape in self.emulator.market.tapes.values())
        return {"taker_fee_rate": f"{each.taker:.4f}", "maker_fee_rate": f"{each.maker:.4f}", "usd_volume": "43806.92"}

    # ---------------------------------------------------------------- orders

    def mine(self) -> list[Order]:
        """Orders that are still known, newest first."""
        every = reversed(self.emulator.exchange.orders.values())
        purged = self.emulator.purged
        return [o for o in every if o.ticket.account == self.account.name and o.number not in purged]

    def order(self) -> Order:
        """By its id, or `client:` and the client's."""
        word = self.asked.text("id")
        if word.startswith("client:"):
            found = [each for each in self.mine() if each.ticket.client_id == self._uuid(word[7:], "client_oid")]
        else:
            wanted = number_of(self._uuid(word, "order id"))
            found = [each for each in self.mine() if each.number == wanted]
        if not found:
            raise Wrong(404, "NotFound")
        return found[0]

    @staticmethod
    def _uuid(text: str, what: str) -> str:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            raise Wrong(400, f"Invalid {what}") from None

    def orders(self) -> list[dict[str, Any]]:
        """By status and product, in pages."""
        wanted = self.asked.several("status") or list(LIVE)
        product = self.asked.text("product_id")
        if product and self.emulator.product(product) is None:
            raise Wrong(404, "Product not found")
        start, end = self.asked.time("start_date", 0), self.asked.time("end_date", 2**40)
        found = [
            each
            for each in self.mine()
            if ("all" in wanted or rows.status(each) in wanted)
            and product in ("", each.ticket.instrument.symbol)
            and start <= each.created <= end
        ]
        return [rows.order_row(each) for each in self.page(found, lambda each: each.number)]

    def fills(self) -> list[dict[str, Any]]:
        """Of an order or a product, the newest first, in pages."""
        product, order = self.asked.text("product_id"), self.asked.text("order_id")
        if not product and not order:
            raise Wrong(400, "product_id or order_id is required")
        wanted = number_of(self._uuid(order, "order id")) if order else None
        start, end = self.asked.time("start_date", 0), self.asked.time("end_date", 2**40)
        found = [
            each
            for each in reversed(self.emulator.exchange.fills)
            if each.account == self.account.name
            and product in ("", each.instrument.symbol)
            and (not order or each.order == wanted)
            and start <= each.at <= end
        ]
        return [rows.fill_row(each) for each in self.page(found, lambda each: each.number)]

    # ---------------------------------------------------------------- order commands

    def new(self) -> tuple[str, Callable[[], Any]]:
        """Of what product, and what places the order."""
        try:
            given = json.loads(self.body, parse_float=Decimal, parse_int=Decimal)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Wrong(400, "Invalid JSON")
        each = self.emulator.product(str(given.get("product_id")))
        if each is None:
            raise Wrong(404, "Product not found")
        ticket, seconds = self._ticket(given, each)

        def place() -> Any:
            try:
                order = self.emulator.exchange.place(ticket)
            except Refused as refused:
                if refused.why != "post_only":
                    raise told(refused, each) from None
                return self._rejected(ticket, given)
            if seconds:
                self.emulator.expire(order, seconds)
            return rows.order_row(order, fresh=True)

        return each.name, place

    def _ticket(self, given: dict[str, Any], each: Instrument) -> tuple[Ticket, float]:
        side, kind, tif = given.get("side"), given.get("type", "limit"), given.get("time_in_force", "GTC")
        if side not in ("buy", "sell"):
            raise Wrong(400, "Invalid side")
        if kind not in ("limit", "market"):
            raise Wrong(400, "Invalid order type")
        if tif not in ("GTC", "GTT", "IOC", "FOK") or (tif == "GTT") != ("cancel_after" in given):
            raise Wrong(400, "Invalid time_in_force")
        price, size, funds, stop = (number(given, name) for name in ("price", "size", "funds", "stop_price"))
        market, after = kind == "market", AFTER.get(str(given.get("cancel_after", "min")))
        if after is None:
            raise Wrong(400, "Invalid cancel_after")
        if market and (size is None) == (funds is None):
            raise Wrong(400, "Must specify one of size and funds")
        if not market and (price is None or size is None):
            raise Wrong(400, "price required" if price is None else "size required")
        if given.get("post_only") is True and (market or tif in ("IOC", "FOK")):
            raise Wrong(400, "Invalid post_only")
        extra: dict[str, Any] = {"tif": tif, "stp": given.get("stp", "dc")}
        if funds is not None:
            extra["funds"] = funds
            if side == "buy" and funds > self.account.balance(each.wallet, each.quote).free:
                raise Wrong(400, "Insufficient funds")
            funds = down(funds / (1 + each.taker), Decimal("0.00000001")) if side == "buy" else funds
        ticket = Ticket(
            account=self.account.name,
            instrument=each,
            side=side.upper(),
            kind="MARKET" if market else self._kind(given, stop, side == "buy"),
            quantity=size,
            cost=funds,
            limit=None if market else price,
            stop=stop,
            tif="GTC" if tif == "GTT" else tif,
            post_only=given.get("post_only") is True,
            client_id=self._uuid(str(given["client_oid"]), "client_oid") if given.get("client_oid") else "",
            extra=extra | ({"configuration": {}} if market else {}),
        )
        return self.emulator.completed(ticket), after if tif == "GTT" else 0

    @staticmethod
    def _kind(given: dict[str, Any], stop: Decimal | None, buys: bool) -> str:
        word = given.get("stop")
        if (word is None) != (stop is None) or word not in (None, "loss", "entry"):
            raise Wrong(400, "Invalid stop")
        if word is None:
            return "LIMIT"
        return "STOP_LIMIT" if (word == "entry") == buys else "TAKE_PROFIT_LIMIT"

    def _rejected(self, ticket: Ticket, given: dict[str, Any]) -> dict[str, Any]:
        """A post-only order that would take is answered with 200, and is nowhere afterwards."""
        now, number_ = self.emulator.now(), 0xDEAD
        order = Order(number_, ticket, ticket.quantity or Decimal(0), ticket.limit, None, now, now)
        return rows.order_row(order, fresh=True) | {"status": "rejected", "reject_reason": "post only"}

    def cancel(self) -> tuple[str, Callable[[], Any]]:
        """Of what product, and what cancels the order: its answer is the id."""
        try:
            order = self.order()
        except Wrong as wrong:
            raise Wrong(wrong.status, "order not found" if wrong.status == 404 else wrong.text) from None
        each = order.ticket.instrument

        def do() -> str:
            try:
                self.emulator.exchange.cancel(order)
            except Refused as refused:
                raise told(refused, each) from None
            self.emulator.ended(order)
            row = rows.order_row(order)
            return row["client_oid"] if self.asked.text("id").startswith("client:") else row["id"]

        return each.name, do

    def cancel_all(self) -> tuple[str, Callable[[], Any]]:
        """Of a product that the query names, or of all."""
        product = self.asked.text("product_id")
        each = self.emulator.product(product)
        if product and each is None:
            raise Wrong(404, "Product not found")

        def do() -> list[str]:
            found = [o for o in self.mine() if o.is_open and product in ("", o.ticket.instrument.symbol)]
            for order in found:
                self.emulator.exchange.cancel(order)
                self.emulator.ended(order)
            return [rows.order_row(order)["id"] for order in found]

        return each.name if each else "", do


def told(refused: Refused, each: Instrument) -> Wrong:
    """A refusal in Exchange's words."""
    status, text = CODES.get(refused.why, (400, refused.text))
    return Wrong(status, text.format(each))


@dataclass(frozen=True, eq=False)
class Call:
    """One path. `do` gives the answer; of an order command, of what product it is, and what gives the answer."""

    method: str
    path: str
    do: Callable[[Visit], Any]
    private: bool = True
    command: bool = False
    group: str = "private"
    most: int = 30
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path)
        object.__setattr__(self, "pattern", re.compile(f"^{parts}$"))


def _public(path: str, do: Callable[[Visit], Any]) -> Call:
    return Call("GET", path, do, private=False, group="public", most=15)


def _time(visit: Visit) -> dict[str, Any]:
    now = visit.emulator.now()
    return {"iso": rows.iso(now)[:-4] + "Z", "epoch": round(now, 3)}


CALLS: tuple[Call, ...] = (
    _public("/time", _time),
    _public("/currencies", lambda visit: [rows.currency_row(asset) for asset in NAMES]),
    _public("/products", lambda v: [rows.product_row(t.instrument) for t in v.emulator.market.tapes.values()]),
    _public("/products/spark-lines", lambda visit: visit.sparks()),
    _public("/products/{id}", lambda visit: rows.product_row(visit.product())),
    _public("/products/{id}/book", lambda visit: visit.book()),
    _public("/products/{id}/candles", lambda visit: visit.candles()),
    _public("/products/{id}/trades", lambda visit: visit.trades()),
    _public("/products/{id}/ticker", lambda visit: visit.ticker()),
    _public("/products/{id}/stats", lambda visit: visit.stats()),
    Call("GET", "/accounts", lambda visit: visit.accounts()),
    Call("GET", "/accounts/{id}", lambda visit: visit.one_account()),
    Call("GET", "/fees", lambda visit: visit.fees()),
    Call("GET", "/orders", lambda visit: visit.orders()),
    Call("GET", "/orders/{id}", lambda visit: rows.order_row(visit.order())),
    Call("GET", "/fills", lambda visit: visit.fills(), group="fills", most=20),
    Call("POST", "/orders", lambda visit: visit.new(), command=True),
    Call("DELETE", "/orders", lambda visit: visit.cancel_all(), command=True),
    Call("DELETE", "/orders/{id}", lambda visit: visit.cancel(), command=True),
)
