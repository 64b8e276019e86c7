"""ccxt's object for one link: which class, its addresses and limits, and every frame that comes, before ccxt has it.

Its numbers are texts (never floats). It is made anew for every link, so that nothing of a broken one lives on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

import ccxt.pro
from twisted.logger import Logger

from txgateway.brokers.ccxt import errors, peculiarities
from txgateway.brokers.ccxt.feeds import Feeds
from txgateway.brokers.ccxt.limits import MARGIN, Request, request
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.brokers.ccxt.peculiarities import Peculiarities

log = Logger()


PATIENT: ContextVar[bool] = ContextVar("patient", default=False)
"""Whether the requests of this task give way to all others."""
HEADERS: ContextVar[Mapping[str, Any]] = ContextVar("headers", default=MappingProxyType({}))
"""Those of the last answer to this task: ccxt's own are of whoever was answered last."""


class Ears(Protocol):
    """Who hears what comes. Nothing of it waits for ccxt's own caches, which keep only the last of each order."""

    def frame(self, url: str, message: Any) -> bool:
        """A frame came; True when ccxt need not have it."""

    def opened(self, url: str) -> None:
        """A WebSocket is connected."""

    def order(self, unified: Mapping[str, Any]) -> None:
        """ccxt read an order in a frame."""

    async def admit(self, request: Request) -> float:
        """Wait until a request may be sent; when that is."""

    def ended(self, request: Request, sent: float) -> None:
        """A request is over that was sent then."""

    def answered(self, code: int, headers: Mapping[str, str]) -> None:
        """A request was answered."""


def kind_of(name: str) -> Any:
    """ccxt's class; ValueError where it has none of this name."""
    if name not in ccxt.pro.exchanges:
        close = get_close_matches(name, ccxt.pro.exchanges, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"ccxt {ccxt.__version__} has no exchange {name} with streams{hint}; see its list of exchanges"
        )
    return getattr(ccxt.pro, name)


NEEDED = ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades", "fetchBalance")
"""Without these nobody can tell what became of an order."""


def check(name: str) -> None:
    """ValueError where ccxt has no exchange of this name, or it cannot do what is needed."""
    if name in peculiarities.NO_IDS:
        raise ValueError(
            f"{name} takes client ids of another form ({peculiarities.NO_IDS[name]}) than they have here, so an order "
            "in doubt could not be found there again: it cannot be traded here"
        )
    lacking = [each for each in NEEDED if has(name).get(each) in (None, False)]
    if lacking:
        raise ValueError(f"ccxt {ccxt.__version__} has no {', '.join(lacking)} of {name}: it cannot be traded here")


_CREDENTIALS = {"apiKey": "key", "secret": "secret", "password": "password", "uid": "uid"}
"""What a key consists of, by ccxt's names and by ours."""


def unfit(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that does not fit the exchange, or that it needs and lacks."""
    found = kind_of(name)()
    wrong: dict[str, str] = {}
    needed = [each for each, wanted in found.requiredCredentials.items() if wanted]
    foreign = [each for each in needed if each not in _CREDENTIALS]
    if foreign:
        wrong["exchange"] = f"{name} asks for a {' and a '.join(foreign)}, for which there is no option: give another"
    for each in () if foreign else needed:
        ours = _CREDENTIALS[each]
        if not str(options.get(ours) or "").strip():
            wrong[ours] = f"it is empty, and {name} needs it: give what you got there with the API key"
    market, domain = options.get("market") or "", options.get("domain") or "live"
    row = peculiarities.of(name, market, found.has)
    if market and not (found.has.get(market) and market in row.markets):
        wrong["market"] = f"{name} has no {market} market that can be traded here: give another, or leave it empty"
    if domain == "testnet" and not row.testnet:
        wrong["domain"] = f"the testnet of {name}'s futures is no more: give demo, and a key of its demo trading"
    elif domain != "live" and not found.urls.get("test" if domain == "testnet" else "demo"):
        wrong["domain"] = f"ccxt knows no {domain} address of {name}: give another domain, such as live"
    return wrong


def has(name: str) -> Mapping[str, Any]:
    """What ccxt says that an exchange can."""
    found: Mapping[str, Any] = kind_of(name)().has
    return found


def make(options: CcxtOptions, row: Peculiarities, feeds: Feeds, ears: Ears) -> Any:
    """The object, not connected."""
    logging.getLogger("ccxt").setLevel(logging.CRITICAL)
    made = _heard(kind_of(options.exchange))(_config(options, row))
    made.ears = ears
    made.weight, made.has_pools, made.is_known = feeds.weight, bool(feeds.pools), row.decode is not None
    if not feeds.pools and made.rateLimit:
        made.rateLimit = made.rateLimit / (options.share * (1 - MARGIN))
        made.tokenBucket = None
        made.init_rest_rate_limiter()
    if options.domain == "testnet":
        made.set_sandbox_mode(True)
    elif options.domain == "demo":
        made.enable_demo_trading(True)
    if options.url or options.stream_url:
        made.urls["api"] = _moved(made.urls["api"], made.hostname, options.url, options.stream_url)
        made.hostname = urlsplit(options.url).netloc or made.hostname
    # Not needed to trade, and on some exchanges not open to every key.
    made.has["fetchCurrencies"] = False
    made.timeout_on_exit = 0
    return made


def read_rules(made: Any) -> Any:
    """The markets as they are now: to be done in a thread, for thousands of them take a moment to read."""
    other = getattr(ccxt, made.id)(
        {name: getattr(made, name) for name in ("apiKey", "secret", "password", "uid", "timeout", "number")}
    )
    other.options = other.deep_extend(other.options, made.options)
    other.urls, other.hostname, other.has = made.urls, made.hostname, made.has
    other.seconds = made.seconds  # some of what is asked is signed
    other.load_markets()
    return other


def take_rules(made: Any, other: Any) -> None:
    """Trade by the markets that were read."""
    for name in _RULES:
        setattr(made, name, getattr(other, name))


_RULES = (
    *("markets", "markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes"),
    *("baseCurrencies", "quoteCurrencies"),
)


def _config(options: CcxtOptions, row: Peculiarities) -> dict[str, Any]:
    more: dict[str, Any] = dict(row.options)
    more["warnOnFetchOpenOrdersWithoutSymbol"] = False
    more["recvWindow"] = int(min(options.patience, 10) * 1000)  # what comes later than we wait for it is not taken
    if options.kind:
        more["defaultType"] = options.kind
    if options.exchange == "binance":
        more["fetchMarkets"] = {"types": ["linear" if options.market == "swap" else "spot"]}
        if options.market == "swap":
            more["defaultSubType"] = "linear"
    return {
        "apiKey": options.key,
        "secret": options.secret,
        "password": options.password,
        "uid": options.uid,
        "number": str,
        "enableRateLimit": options.throttle,
        "timeout": int(options.patience * 1000),
        "asyncio_loop": asyncio.get_event_loop(),
        "options": more,
    }


def _moved(found: Any, hostname: str | None, url: str, stream_url: str) -> Any:
    """Addresses with another scheme and host; their paths stay."""
    if isinstance(found, dict):
        return {name: _moved(each, hostname, url, stream_url) for name, each in found.items()}
    if not isinstance(found, str):
        return found
    parts = urlsplit(found.replace("{hostname}", hostname or ""))
    host = (stream_url or url.replace("http", "ws", 1)) if parts.scheme in ("ws", "wss") else url
    return f"{host}{parts.path}" if host else found


def _heard(base: Any) -> Any:
    class Heard(base):
        ears: Ears
        weight: float
        has_pools: bool
        is_known: bool

        async def fetch2(
            self, path: str, api: Any = ("public",), method: str = "GET", params: Any = None, config: Any = None
        ) -> Any:
            """A request, once it may be sent."""
            given, known = params or {}, config or {}
            cost = float(self.calculate_rate_limiter_cost(api, method, path, given, known) or 0) * self.weight
            private = "rivate" in str(api) or str(api).startswith(("sapi", "['v2'"))
            shown = given if isinstance(given, dict) else {}
            asked = request(path, method, private, cost, shown, PATIENT.get())
            sent = await self.ears.admit(asked)
            try:
                return await super().fetch2(path, api, method, given, known)
            finally:
                self.ears.ended(asked, sent)

        async def throttle(self, cost: Any = None) -> None:
            """ccxt's own pace, where there is none of ours; that of its WebSockets is another."""
            if not self.has_pools:
                await super().throttle(cost)

        def on_rest_response(self, code: Any, reason: Any, url: Any, method: Any, headers: Any, *more: Any) -> Any:
            """Every answer, with its headers."""
            HEADERS.set(headers)
            self.ears.answered(int(code), headers)
            return super().on_rest_response(code, reason, url, method, headers, *more)

        def handle_message(self, client: Any, message: Any) -> None:
            """Every frame; what breaks on one does not end the stream, as it would in ccxt."""
            try:
                if not self.ears.frame(client.url, message):
                    super().handle_message(client, message)
            except Exception as error:
                if "AuthenticationError" in errors.names(error) and not self.is_known:
                    client.reject(error)  # who waits for the private stream must hear that it was refused
                else:
                    log.failure("A frame of {name} could not be taken in.", name=self.id)

        def spawn(self, method: Any, *arguments: Any) -> Any:
            """What ccxt does aside, such as an answer to a ping: nobody else looks at how that ends."""
            future = super().spawn(method, *arguments)
            future.add_done_callback(self._ended_aside)
            return future

        def _ended_aside(self, future: Any) -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None and not errors.is_of_a_link(error):
                log.error("What ccxt did aside at {name} failed: {error!r}", name=self.id, error=error)

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            self.ears.opened(client.url)

        def seconds(self) -> int:
            """The exchange's time: what is signed in whole seconds, ccxt stamps by the clock of this machine."""
            return (self.milliseconds() - int(self.options.get("timeDifference") or 0)) // 1000

        def create_ws_auth(self, name: str, products: Any) -> Any:
            """Coinbase's proof in a stream: there ccxt takes an Ed25519 key for a legacy one."""
            if self.secret.startswith("-----BEGIN") or not (len(self.secret) == 88 or self.secret.endswith("=")):
                return super().create_ws_auth(name, products)
            return {"jwt": self.create_auth_token(self.seconds(), None, None, True)}

        def parse_ws_order(self, order: Any, market: Any = None) -> Any:
            found = super().parse_ws_order(order, market)
            self.ears.order(found)
            return found

    Heard.__name__ = base.__name__
    return Heard
