"""A strategy that trades a replay at full speed through the client library, with every kind of order there is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Thread
from typing import Any

from txgateway_client import API

SYMBOL = "IBM"
OPEN = 8
"""So many resting orders at most: then the oldest is cancelled."""


class Strategy:
    """Trades one account, in a thread, until the feed's clock stands at its end."""

    def __init__(self, account: str, seed: str, config: dict[str, str], end: str) -> None:
        self.account = account
        self._end = end
        self._chance = Random(seed)
        self._api = API(config=config)
        self._resting: list[str] = []
        self._steps: list[Callable[[float, float], Any]] = [
            *[self._market] * 3,
            *[self._passive] * 4,
            *[self._aggressive] * 2,
            *[self._at_once] * 3,
            *[self._stop] * 2,
            *[self._stop_limit] * 2,
            *[self._replace] * 3,
            self._cancel,
        ]

        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name=f"strategy-{seed}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def done(self, patience: float) -> None:
        """Wait for its end; raises what it failed with."""
        self._thread.join(patience)
        if self._failure is not None:
            raise self._failure
        assert not self._thread.is_alive(), f"the strategy of {self.account} does not come to an end"

    def _run(self) -> None:
        try:
            with self._api:
                for step in (self._fill_or_kill, self._passive, self._replace_through):  # however fast the feed goes
                    self._trade(step)
                while self._api.time() < self._end:
                    for step in self._chance.sample(self._steps, len(self._steps)):
                        self._trade(step)
        except BaseException as error:
            self._failure = error

    def _trade(self, step: Callable[[float, float], Any]) -> None:
        """One step; a refusal is an answer too, as the market moves between a decision and its arrival."""
        shown = self._api.query_symbol(SYMBOL)
        assert shown is not None
        answer = step(shown["bid"], shown["ask"])
        if answer.get("order_status") in ("NEW", "PARTIALLY_FILLED") and answer["permid"] not in self._resting:
            self._resting.append(answer["permid"])
        if len(self._resting) > OPEN:
            self._cancel(shown["bid"], shown["ask"])

    def _quantity(self) -> int:
        """Signed: a buy or a sell, often for more than is shown."""
        return self._chance.choice((100, 200, 300, 700)) * self._chance.choice((1, -1))

    def _market(self, bid: float, ask: float) -> Any:
        return self._api.market_order(self.account, "DEMO", SYMBOL, self._quantity())

    def _passive(self, bid: float, ask: float) -> Any:
        """A limit a little away from the market: it rests until the market comes."""
        quantity, away = self._quantity(), self._chance.choice((0, 0.02, 0.05, 0.2))
        price = round(bid - away if quantity > 0 else ask + away, 2)
        tif = self._chance.choice(("DAY", "GTC", "GTC"))
        return self._api.limit_order(self.account, "DEMO", SYMBOL, price, quantity, time_in_force=tif)

    def _aggressive(self, bid: float, ask: float) -> Any:
        """A limit through the market: it takes what is shown, and the rest stays."""
        quantity = self._quantity()
        price = round(ask + 0.02 if quantity > 0 else bid - 0.02, 2)
        return self._api.limit_order(self.account, "DEMO", SYMBOL, price, quantity)

    def _fill_or_kill(self, bid: float, ask: float) -> Any:
        """Of 100, as what is shown is mostly as much as that."""
        side = self._chance.choice(("BUY", "SELL"))
        return self._api.submit_order(self.account, SYMBOL, side, 100, "MARKET", time_in_force="FOK")

    def _at_once(self, bid: float, ask: float) -> Any:
        quantity = self._quantity()
        kind, tif = self._chance.choice(("MARKET", "LIMIT")), self._chance.choice(("IOC", "FOK"))
        if tif == "FOK":
            quantity = 100 if quantity > 0 else -100  # what is shown is mostly as much as that
        price = None if kind == "MARKET" else round(ask if quantity > 0 else bid, 2)
        side = "BUY" if quantity > 0 else "SELL"
        return self._api.submit_order(
            self.account, SYMBOL, side, abs(quantity), kind, limit_price=price, time_in_force=tif
        )

    def _stop(self, bid: float, ask: float) -> Any:
        quantity = self._quantity()
        price = round(ask + 0.02 if quantity > 0 else bid - 0.02, 2)
        return self._api.stop_order(self.account, "DEMO", SYMBOL, price, quantity)

    def _stop_limit(self, bid: float, ask: float) -> Any:
        quantity = self._quantity()
        stop = round(ask + 0.02 if quantity > 0 else bid - 0.02, 2)
        limit = round(stop + (0.03 if quantity > 0 else -0.03), 2)
        return self._api.stoplimit_order(self.account, "DEMO", SYMBOL, stop, limit, quantity, time_in_force="GTC")

    def _replace(self, bid: float, ask: float) -> Any:
        """Other terms for a resting limit order: more of it, or a price that trades."""
        order = self._resting_limit()
        if order is None:
            return self._passive(bid, ask)
        if self._chance.random() < 0.3:
            return self._api.replace_order(order["permid"], quantity=int(order["quantity"]) + 100)
        return self._api.replace_order(order["permid"], limit_price=round(ask if order["side"] == "BUY" else bid, 2))

    def _replace_through(self, bid: float, ask: float) -> Any:
        """A price that trades wherever the market has gone meanwhile."""
        order = self._resting_limit()
        if order is None:
            return self._passive(bid, ask)
        price = round(ask * 1.01 if order["side"] == "BUY" else bid * 0.99, 2)
        return self._api.replace_order(order["permid"], limit_price=price)

    def _resting_limit(self) -> dict[str, Any] | None:
        for permid in self._resting:
            order = self._api.query_order(permid)
            assert order is not None
            if order["order_status"] in ("NEW", "PARTIALLY_FILLED") and order["order_type"] == "LIMIT":
                return dict(order)
        return None

    def _cancel(self, bid: float, ask: float) -> Any:
        """End the oldest order that is not known to have ended; it may end by itself before that."""
        while self._resting:
            permid = self._resting.pop(0)
            order = self._api.query_order(permid)
            if order is not None and order["order_status"] in ("NEW", "PARTIALLY_FILLED"):
                return self._api.cancel_order(permid)
        return self._passive(bid, ask)
