"""Clients that trade while everything goes wrong: every order has a key, and is sent again until it is answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.daemon import Daemon
from tests.e2e.soak_clients import SYMBOLS, Link, Lost

ACCOUNTS = ("API_ACCOUNT", "PAPER_CASH")
AGAIN = 0.05
"""Seconds until a daemon that is gone is tried again."""


@dataclass(slots=True, eq=False)
class Sent:
    """An order that a client has sent; `permid` once it was answered."""

    key: str
    body: dict[str, Any]
    permid: str = ""
    status: str = ""

    def told(self, answer: dict[str, Any]) -> None:
        """Take in an answer: it must be this very order."""
        assert answer.get("client_order_id") == self.key, f"{self.key} was answered with another order: {answer}"
        for name in ("account", "symbol", "side", "order_type"):
            assert answer[name] == self.body[name], f"{self.key} has {name} {answer[name]!r}, sent was {self.body}"
        assert self.permid in ("", answer["permid"]), f"{self.key} was {self.permid}, and is another now: {answer}"
        self.permid, self.status = answer["permid"], answer["order_status"]


class Lane:
    """One connection that sends, cancels and replaces orders of its own, one after the other."""

    def __init__(self, name: str, share: int, daemon: Daemon, prices: dict[str, float]) -> None:
        self.sent: list[Sent] = []
        self._name = name
        self._share = share
        self._daemon = daemon
        self._prices = prices
        self._chance = Random(name)
        self._link = Link(daemon)

    async def trade(self, answered: asyncio.Semaphore) -> None:
        """Send this lane's share of orders; each answer is counted."""
        while len(self.sent) < self._share:
            resting = [each for each in self.sent[-20:] if each.status in ("NEW", "PARTIALLY_FILLED")]
            if resting and self._chance.random() < 0.3:
                await self._change(self._chance.choice(resting))
            else:
                order = self._drawn()
                self.sent.append(order)
                order.told(await self._insist("submit_order", **order.body, client_order_id=order.key))
            answered.release()
        self._link.close()

    async def _insist(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call until it is answered, as one does who does not know what became of the last try."""
        while True:
            try:
                answer: dict[str, Any] = await self._link.call(method, **arguments)
                return answer
            except Lost:
                await asyncio.sleep(AGAIN)
            except AssertionError as error:
                if "503" not in str(error):
                    raise
                await asyncio.sleep(AGAIN)

    async def _change(self, order: Sent) -> None:
        chance = self._chance.random()
        if chance < 0.5 or "limit_price" not in order.body:
            answer = await self._insist("cancel_order", id=order.key)
        else:
            price = order.body["limit_price"] * (1 - 0.001 if order.body["side"] == "BUY" else 1 + 0.001)
            more = {"quantity": order.body["quantity"] + 10} if chance > 0.75 else {}
            answer = await self._insist("replace_order", id=order.key, limit_price=round(price, 2), **more)
        order.told(answer if "client_order_id" in answer else await self._insist("query_order", id=order.key))

    def _drawn(self) -> Sent:
        chance = self._chance
        symbol, side = chance.choice(SYMBOLS), chance.choice(("BUY", "SELL"))
        body: dict[str, Any] = {
            "account": ACCOUNTS[0] if side == "SELL" else chance.choice(ACCOUNTS),
            "symbol": symbol,
            "side": side,
            "quantity": chance.randint(1, 1500),
            "time_in_force": chance.choice(("DAY", "GTC")),
            "order_type": chance.choices(("MARKET", "LIMIT"), (1, 1))[0],
        }
        if body["order_type"] == "LIMIT":
            away = 1 if side == "BUY" else -1
            share = away * (0.02 if chance.random() < 0.4 else -0.2)
            body["limit_price"] = round(self._prices[symbol] * (1 + share), 2)
        return Sent(f"{self._name}-{len(self.sent)}", body)


async def trade(lanes: list[Lane], answered: asyncio.Semaphore) -> None:
    """All lanes at once."""
    await asyncio.gather(*(lane.trade(answered) for lane in lanes))
