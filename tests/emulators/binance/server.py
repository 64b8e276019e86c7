"""The emulated Binance: spot and USD-M futures, REST and WebSocket, on one port."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from aiohttp import web

from tests.emulators.binance import catalogue, wire
from tests.emulators.binance.asking import Asked, Wrong, asked, check_key, check_signed, refusal, unsigned
from tests.emulators.binance.futures import Futures
from tests.emulators.binance.limits import ORDERS, Pool, pools
from tests.emulators.binance.public import Public
from tests.emulators.binance.spot import Spot
from tests.emulators.binance.streams import Streams
from tests.emulators.binance.users import Users
from tests.emulators.crypto.control import Control
from tests.emulators.crypto.exchange import Exchange, Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.orders import Account, Order, Refused, Ticket, Told
from tests.emulators.crypto.server import Emulator, Options

D = Decimal
Call = Callable[[Asked, Account], Any]
PING = 20.0
"""Seconds from one ping frame to the next."""


class Route(NamedTuple):
    """One REST call: who may make it, and whether it is about an order."""

    call: Call
    security: str = "none"
    """none, key, signed."""
    command: bool = False


class Binance(Emulator):
    """Spot and USD-M futures; an account's spot wallet is `spot`, its futures wallet is `perp`."""

    NAME = "binance"
    MONEY: Mapping[str, Mapping[str, Decimal]] = {
        "spot": {"USDT": D(1_000_000), "USDC": D(1_000_000), "BTC": D(10), "ETH": D(100), "SOL": D(1000), "BNB": D(0)},
        "perp": {"USDT": D(1_000_000), "USDC": D(0), "BNB": D(0)},
    }

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.pools: dict[str, Pool] = pools()
        self.spot = Spot(self)
        self.futures = Futures(self)
        self.spot_public = Public(self, self.spot.named, perp=False)
        self.futures_public = Public(self, self.futures.named, perp=True)
        self.streams = Streams(self, self.spot_public, self.futures_public)
        self.users = Users(self)
        self.routes = self._spot_routes() | self._futures_routes()

    def instruments(self) -> list[Instrument]:
        """Of both markets."""
        return catalogue.instruments()

    def _new_exchange(self, last_order: int) -> Exchange:
        exchange = super()._new_exchange(last_order)
        exchange.child_of = child_of
        return exchange

    # ---------------------------------------------------------------- routes

    def _spot_routes(self) -> dict[str, Route]:
        spot, public = self.spot, self.spot_public
        calls: dict[str, Route] = {
            "GET ping": Route(public.ping),
            "GET time": Route(public.time),
            "GET exchangeInfo": Route(public.exchange_info),
            "GET depth": Route(public.depth),
            "GET trades": Route(public.trades),
            "GET historicalTrades": Route(public.trades),
            "GET aggTrades": Route(public.agg_trades),
            "GET klines": Route(public.klines),
            "GET uiKlines": Route(public.klines),
            "GET avgPrice": Route(public.average),
            "GET ticker/24hr": Route(public.day),
            "GET ticker/price": Route(public.price),
            "GET ticker/bookTicker": Route(public.book_ticker),
            "POST order": Route(spot.new_order, "signed", True),
            "POST order/test": Route(spot.test_order, "signed"),
            "DELETE order": Route(spot.cancel, "signed", True),
            "DELETE openOrders": Route(spot.cancel_all, "signed", True),
            "POST order/cancelReplace": Route(spot.cancel_replace, "signed", True),
            "GET order": Route(spot.order, "signed"),
            "GET openOrders": Route(spot.open_orders, "signed"),
            "GET allOrders": Route(spot.all_orders, "signed"),
            "GET myTrades": Route(spot.my_trades, "signed"),
            "GET account": Route(spot.account, "signed"),
            "GET account/commission": Route(spot.commission, "signed"),
            "POST userDataStream": Route(_retired),
            "PUT userDataStream": Route(_retired),
        }
        routes = {_at(name, "/api/v3/"): route for name, route in calls.items()}
        routes["GET /sapi/v1/asset/tradeFee"] = Route(spot.trade_fee, "signed")
        routes["GET /sapi/v1/capital/config/getall"] = Route(self._coins, "signed")
        routes["GET /sapi/v1/margin/allPairs"] = Route(lambda asked, account: [])
        routes["GET /sapi/v1/margin/isolated/allPairs"] = Route(lambda asked, account: [])
        return routes

    def _futures_routes(self) -> dict[str, Route]:
        futures, public, users = self.futures, self.futures_public, self.users
        calls: dict[str, Route] = {
            "GET ping": Route(public.ping),
            "GET time": Route(public.time),
            "GET exchangeInfo": Route(public.exchange_info),
            "GET depth": Route(public.depth),
            "GET trades": Route(public.trades),
            "GET historicalTrades": Route(public.trades),
            "GET aggTrades": Route(public.agg_trades),
            "GET klines": Route(public.klines),
            "GET ticker/24hr": Route(public.day),
            "GET ticker/price": Route(public.price),
            "GET ticker/bookTicker": Route(public.book_ticker),
            "GET premiumIndex": Route(public.premium),
            "GET fundingRate": Route(public.funding_rates),
            "GET fundingInfo": Route(public.funding_info),
            "GET openInterest": Route(public.open_interest),
            "POST order": Route(futures.new_order, "signed", True),
            "POST order/test": Route(futures.test_order, "signed"),
            "PUT order": Route(futures.modify, "signed", True),
            "DELETE order": Route(futures.cancel, "signed", True),
            "DELETE allOpenOrders": Route(futures.cancel_all, "signed", True),
            "GET order": Route(futures.order, "signed"),
            "GET openOrder": Route(futures.open_order, "signed"),
            "GET openOrders": Route(futures.open_orders, "signed"),
            "GET allOrders": Route(futures.all_orders, "signed"),
            "GET userTrades": Route(futures.user_trades, "signed"),
            "POST algoOrder": Route(futures.new_algo, "signed", True),
            "DELETE algoOrder": Route(futures.cancel_algo, "signed", True),
            "DELETE algoOpenOrders": Route(futures.cancel_algos, "signed", True),
            "GET algoOrder": Route(futures.algo, "signed"),
            "GET openAlgoOrders": Route(futures.open_algos, "signed"),
            "GET allAlgoOrders": Route(futures.all_algos, "signed"),
            "POST leverage": Route(futures.set_leverage, "signed"),
            "POST marginType": Route(futures.set_margin_type, "signed"),
            "GET positionSide/dual": Route(futures.position_mode, "signed"),
            "POST positionSide/dual": Route(futures.set_position_mode, "signed"),
            "GET leverageBracket": Route(futures.leverage_brackets, "signed"),
            "GET symbolConfig": Route(futures.symbol_config, "signed"),
            "GET accountConfig": Route(futures.account_config, "signed"),
            "GET multiAssetsMargin": Route(futures.multi_assets, "signed"),
            "GET commissionRate": Route(futures.commission_rate, "signed"),
            "GET income": Route(futures.income, "signed"),
            "POST listenKey": Route(users.new_key, "key"),
            "PUT listenKey": Route(users.keep_key, "key"),
            "DELETE listenKey": Route(users.end_key, "key"),
        }
        routes = {_at(name, "/fapi/v1/"): route for name, route in calls.items()}
        for version, positions, account in (
            ("v2", futures.positions_v2, futures.account_v2),
            ("v3", futures.positions_v3, futures.account_v3),
        ):
            routes[f"GET /fapi/{version}/positionRisk"] = Route(positions, "signed")
            routes[f"GET /fapi/{version}/account"] = Route(account, "signed")
            routes[f"GET /fapi/{version}/balance"] = Route(futures.balance, "signed")
        routes["GET /fapi/v2/ticker/price"] = Route(public.price)
        return routes

    def _coins(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET /sapi/v1/capital/config/getall."""
        return [
            {
                "coin": asset,
                "name": asset,
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "trading": True,
                "isLegalMoney": False,
                "free": catalogue.eight(balance.free),
                "locked": catalogue.eight(balance.locked),
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
                "storage": "0",
                "networkList": [],
            }
            for asset, balance in account.wallets["spot"].items()
        ]

    # ---------------------------------------------------------------- REST

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request."""
        what = f"{request.method} {request.path}"
        route = self.routes.get(what)
        if route is None:
            return web.Response(status=404, text="<html><body><h2>404 Not found</h2></body></html>")
        pool = self._pool(request.path)
        body = (await request.read()).decode(errors="replace")
        params, headers = asked(request.query_string, body), request.headers
        try:
            pool.use(what, self.now(), self.limits)
            payload = unsigned(request.query_string) + unsigned(body)
            account = self._checked(route.security, params, payload, headers.get("X-MBX-APIKEY"))
        except Wrong as wrong:
            return self._failed(wrong, what)
        name = self._name(params, request.path, account)
        if route.command:
            return await self.command(name, lambda: self._done(route.call, params, account, what))
        return await self.question(name) or self._done(route.call, params, account, what)

    def _pool(self, path: str) -> Pool:
        return self.pools["futures" if path.startswith("/fapi") else "spot"]

    def _checked(self, security: str, params: Asked, payload: str, key: str | None) -> Account:
        if security == "none":
            return Account("", "", "")
        account = check_key(self.account_of(key or ""), key)
        if security == "signed":
            check_signed(params, payload, account.secret, self.ms())
        return account

    def _name(self, params: Asked, path: str, account: Account) -> str:
        """Which instrument it is about, for faults; "" when it names none."""
        market = self.futures if path.startswith("/fapi") else self.spot
        try:
            if "algoId" in params or ("clientAlgoId" in params and "symbol" not in params):
                return self.futures.find_algo(params, account).ticket.instrument.name
            return market.named(params["symbol"]).name
        except (Wrong, Refused, KeyError):
            return ""

    def _done(self, call: Call, params: Asked, account: Account, what: str) -> web.Response:
        try:
            return self._json(call(params, account), what)
        except Wrong as wrong:
            return self._failed(wrong, what)
        except Refused as refused:
            return self._failed(self._refused(refused, what.partition(" ")[2], params), what)

    def _refused(self, refused: Refused, path: str, params: Asked) -> Wrong:
        market = self.futures if path.startswith("/fapi") else self.spot
        perp = market is self.futures
        instrument = next(each for each in self.instruments() if each.perp == perp)
        return refusal(refused, instrument)

    def _json(self, body: Any, what: str, status: int = 200, **more: str) -> web.Response:
        headers = self._pool(what.partition(" ")[2]).headers(self.now(), what in ORDERS) | more
        text = json.dumps(body, separators=(",", ":"))
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    def _failed(self, wrong: Wrong, what: str) -> web.Response:
        body = dict(wrong.body)
        wait = body.pop("wait", None)
        more = {} if wait is None else {"Retry-After": str(max(1, int(wait)))}
        return self._json(body, what, wrong.status, **more)

    def too_many(self) -> web.Response:
        """429."""
        text = "Too many requests; current limit is 6000 request weight per 1 MINUTE."
        return self._failed(Wrong(-1003, text, 429, wait=1), "GET /api/v3/ping")

    def unknown(self) -> web.Response:
        """-1007: it may have been done."""
        text = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
        return self._failed(Wrong(-1007, text, 408), "GET /api/v3/ping")

    # ---------------------------------------------------------------- WebSocket

    def joined(self, link: Link) -> bool:
        """Market streams at /ws and /stream, futures' at /public, /market, /private; the WebSocket APIs."""
        words = link.path.strip("/").split("/")
        category = words.pop(0) if words[0] in ("public", "market", "private") else ""
        link.state |= {
            "market": "futures" if category else "spot",
            "category": category,
            "combined": words[0] == "stream",
            "subscription": 0,
            "api": link.path in ("/ws-api/v3", "/ws-fapi/v1"),
        }
        if link.state["api"]:
            link.state["market"] = "spot" if link.path == "/ws-api/v3" else "futures"
        elif words[0] not in ("ws", "stream"):
            return False
        else:
            named = link.query.get("streams", "").split("/") if link.state["combined"] else words[1:]
            key = link.query.get("listenKey") or next((each for each in named if each in self.users.keys), "")
            link.state["key"] = key
            if not (key and self.users.join(link, key)):
                self.streams.begin(link, named)
        self.later(PING, lambda: self._ping(link))
        return True

    def _ping(self, link: Link) -> None:
        if link in self.links:
            link.ping(str(self.ms()).encode())
            self.later(PING, lambda: self._ping(link))

    def received(self, link: Link, text: str) -> None:
        """Of a market stream, or of the WebSocket API."""
        if not link.state["api"]:
            self.streams.received(link, text)
            return
        try:
            message = json.loads(text)
            number, method = message.get("id"), message["method"]
            given = {name: _word(value) for name, value in (message.get("params") or {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            error = {"code": -1135, "msg": "Invalid JSON Request"}
            link.say({"id": None, "status": 400, "error": error})
            return
        self._task(self._api(link, number, method, Asked(given)))

    async def _api(self, link: Link, number: Any, method: str, params: Asked) -> None:
        """A request of the WebSocket API."""
        answer: dict[str, Any] = {"id": number, "status": 200}
        what, path = API.get(method, ""), link.path
        try:
            if what and path == "/ws-api/v3":
                result: Any = await self._api_call(what, params)
                if isinstance(result, Wrong):
                    raise result
            elif method == "userDataStream.subscribe.signature" and path == "/ws-api/v3":
                result = self._subscribe(link, params)
            elif method == "userDataStream.unsubscribe":
                link.account, result = None, {}
            else:
                raise Wrong(-1000, f"Unknown method: {method}")
            answer["result"] = result
        except Wrong as wrong:
            answer |= {"status": wrong.status, "error": {k: v for k, v in wrong.body.items() if k != "wait"}}
        link.say(answer)

    def _subscribe(self, link: Link, params: Asked) -> dict[str, Any]:
        account = check_key(self.account_of(params.get("apiKey", "")), params.get("apiKey"))
        check_signed(params, _api_payload(params), account.secret, self.ms())
        if link.account is not None:
            raise Wrong(-2035, "User Data Stream already subscribed on this WebSocket connection.")
        link.account = account.name
        link.state["subscription"] += 1
        return {"subscriptionId": link.state["subscription"] - 1}

    async def _api_call(self, what: str, params: Asked) -> Any:
        """The same call as REST has it."""
        route = self.routes[what]
        self._pool("/api").use(what, self.now(), self.limits)
        account = self._checked(route.security, params, _api_payload(params), params.get("apiKey"))
        done: list[Any] = []

        def do() -> web.Response:
            try:
                done.append(route.call(params, account))
            except Wrong as wrong:
                done.append(wrong)
            except Refused as refused:
                done.append(self._refused(refused, "/api", params))
            return web.Response()

        if not route.command:
            do()
            return done[0]
        answered = await self.command(self._name(params, "/api", account), do)
        if answered.status != 200 or not done:
            body = json.loads(answered.text or "{}")
            return Wrong(body.get("code", -1000), body.get("msg", ""), answered.status)
        return done[0]

    # ---------------------------------------------------------------- what is told

    def told(self, told: Told) -> None:
        """To the private streams."""
        self.users.told(told)

    def market_moved(self, moved: Moved) -> None:
        """To the public streams."""
        self.streams.moved(moved)

    def forget(self) -> None:
        """Listen keys and counts end with a restart."""
        self.users.keys.clear()
        self.pools = pools()

    def completed(self, ticket: Ticket) -> Ticket:
        """A person's stop in a perpetual is a conditional order too."""
        return replace(ticket, unfunded=ticket.instrument.perp and ticket.waits)


class BinanceControl(Control):
    """What only Binance has."""

    emulator: Binance

    def do_expire_keys(self) -> None:
        """Futures' listen keys expire: listenKeyExpired, and nothing more is told."""
        self.emulator.users.expire_keys()

    def do_terminate(self) -> None:
        """Spot's user data subscriptions end: eventStreamTerminated."""
        self.emulator.users.terminate()

    def do_end_of_day(self) -> None:
        """Every WebSocket has lived for 24 hours, and is closed."""
        for link in self.emulator.links:
            link.close(1001, "the connection has lived for 24 hours")


API = {
    "ping": "GET /api/v3/ping",
    "time": "GET /api/v3/time",
    "exchangeInfo": "GET /api/v3/exchangeInfo",
    "depth": "GET /api/v3/depth",
    "ticker.book": "GET /api/v3/ticker/bookTicker",
    "order.place": "POST /api/v3/order",
    "order.test": "POST /api/v3/order/test",
    "order.cancel": "DELETE /api/v3/order",
    "order.cancelReplace": "POST /api/v3/order/cancelReplace",
    "order.status": "GET /api/v3/order",
    "openOrders.status": "GET /api/v3/openOrders",
    "openOrders.cancelAll": "DELETE /api/v3/openOrders",
    "allOrders": "GET /api/v3/allOrders",
    "myTrades": "GET /api/v3/myTrades",
    "account.status": "GET /api/v3/account",
}
"""Methods of spot's WebSocket API, and the REST calls that they are."""


def _at(name: str, folder: str) -> str:
    method, path = name.split(" ")
    return f"{method} {folder}{path}"


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list) else str(value)


def _api_payload(params: Asked) -> str:
    """Of the WebSocket API the parameters in alphabetical order are signed."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _retired(asked: Asked, account: Account) -> Any:
    """Spot's listen keys are gone."""
    raise Wrong(-1016, "This service is no longer available.", 410)


def child_of(order: Order) -> Ticket | None:
    """A conditional order of futures becomes a new order, with the same client id."""
    ticket = order.ticket
    if not ticket.instrument.perp:
        return None
    kind = "MARKET" if ticket.at_market else "LIMIT"
    extra = {"type": kind, "orig_type": wire.kind_of(order), "tif": wire.tif_of(order), "algo": order.number}
    return replace(ticket, kind=kind, stop=None, unfunded=False, extra=extra)
