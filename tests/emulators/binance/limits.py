"""Rate limits as Binance counts them: request weight a minute, orders in ten seconds, a minute and a day. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.emulators.binance.asking import Wrong

WEIGHTS = {
    "GET /api/v3/exchangeInfo": 20,
    "GET /api/v3/depth": 5,
    "GET /api/v3/trades": 25,
    "GET /api/v3/account": 20,
    "GET /api/v3/myTrades": 20,
    "GET /api/v3/openOrders": 6,
    "GET /api/v3/allOrders": 20,
    "GET /api/v3/order": 4,
    "GET /api/v3/klines": 2,
    "GET /api/v3/ticker/bookTicker": 4,
    "GET /api/v3/ticker/price": 4,
    "GET /api/v3/ticker/24hr": 2,
    "GET /fapi/v1/depth": 5,
    "GET /fapi/v1/trades": 5,
    "GET /fapi/v1/klines": 5,
    "GET /fapi/v2/ticker/price": 2,
    "GET /fapi/v2/account": 5,
    "GET /fapi/v3/account": 5,
    "GET /fapi/v2/balance": 5,
    "GET /fapi/v3/balance": 5,
    "GET /fapi/v2/positionRisk": 5,
    "GET /fapi/v3/positionRisk": 5,
    "GET /fapi/v1/userTrades": 5,
    "GET /fapi/v1/allOrders": 5,
    "GET /fapi/v1/positionSide/dual": 30,
    "GET /fapi/v1/income": 30,
    "POST /fapi/v1/order": 0,
}
ORDERS = ("POST /api/v3/order", "POST /api/v3/order/cancelReplace", "POST /fapi/v1/order", "PUT /fapi/v1/order")
MINUTE, TEN, DAY = 60, 10, 86400


@dataclass
class Pool:
    """One market's limits, and when what was used."""

    market: str
    most_weight: int
    most_orders: dict[int, int]
    """By the seconds of a window."""
    weights: deque[tuple[float, int]] = field(default_factory=deque)
    orders: deque[float] = field(default_factory=deque)
    banned: float = 0.0
    """Until when."""
    warned: float = 0.0
    """Until when requests are answered 429; more of them then are answered 418."""

    def weight(self, now: float) -> int:
        """Used in this minute."""
        begins = now // MINUTE * MINUTE
        while self.weights and self.weights[0][0] < begins:
            self.weights.popleft()
        return sum(weight for _, weight in self.weights)

    def count(self, now: float, seconds: int) -> int:
        """Orders in this window."""
        begins = now // seconds * seconds
        while self.orders and self.orders[0] < now // DAY * DAY:
            self.orders.popleft()
        return sum(1 for at in self.orders if at >= begins)

    def use(self, what: str, now: float, kept: bool) -> None:
        """One request; Wrong when it is one too many and limits are `kept`."""
        if kept:
            self._check_weight(now)
        self.weights.append((now, WEIGHTS.get(what, 1)))
        if what not in ORDERS:
            return
        for seconds, most in self.most_orders.items():
            if kept and self.count(now, seconds) >= most:
                name = {TEN: "10 SECOND", MINUTE: "1 MINUTE", DAY: "1 DAY"}[seconds]
                text = f"Too many new orders; current limit is {most} orders per {name}."
                raise Wrong(-1015, text, 429, wait=seconds - now % seconds)
        self.orders.append(now)

    def _check_weight(self, now: float) -> None:
        if now < self.banned:
            raise self._ban(now)
        if self.weight(now) >= self.most_weight:
            if now < self.warned:
                self.banned = now + 120
                raise self._ban(now)
            self.warned = now // MINUTE * MINUTE + MINUTE
            text = (
                f"Too much request weight used; current limit is {self.most_weight} request weight per 1 MINUTE. "
                "Please use WebSocket Streams for live updates to avoid polling the API."
            )
            raise Wrong(-1003, text, 429, wait=self.warned - now)

    def _ban(self, now: float) -> Wrong:
        text = f"Way too much request weight used; IP banned until {int(self.banned * 1000)}."
        return Wrong(-1003, text, 418, wait=self.banned - now)

    def headers(self, now: float, orders: bool) -> dict[str, str]:
        """What is told of it with each answer."""
        used = str(self.weight(now))
        told = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        names = {TEN: "10S", MINUTE: "1M", DAY: "1D"}
        if orders:
            told |= {f"X-MBX-ORDER-COUNT-{names[each]}": str(self.count(now, each)) for each in self.most_orders}
        return told


def pools() -> dict[str, Pool]:
    """By market."""
    return {
        "spot": Pool("spot", 6000, {TEN: 100, DAY: 200_000}),
        "futures": Pool("futures", 2400, {TEN: 300, MINUTE: 1200}),
    }
