"""Clients that trade under a daemon which dies at any moment, and keep what they were told: the first witness.

Each client has a few lanes, a lane one connection with one call under way. All of them live in one asyncio loop in a
thread of their own (pytest has Twisted's reactor in the main one).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from random import Random
from threading import Thread
from typing import Any, TypeVar

from tests.daemon import PATIENCE, Daemon

T = TypeVar("T")

CLIENTS = 4
LANES = 3
MOST = 40
"""Calls that a lane makes in one burst at most, so that the journal of a series stays small."""
SYMBOLS = ("IBM", "AAPL", "MSFT", "SPY", "TSLA", "INTC")
ACCOUNTS = ("API_ACCOUNT", "PAPER_CASH")
FINAL = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "DENIED"})
DROPPED = (OSError, EOFError)
"""What a connection to a killed daemon ends with (IncompleteReadError is an EOFError)."""


class Lost(Exception):
    """The daemon went away before its whole answer had come."""


class LoopThread:
    """An asyncio loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, name="soak-clients", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let a coroutine run there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let a coroutine run there, and wait for what it gives."""
        return self.start(work).result(PATIENCE)

    def end(self) -> None:
        """Stop the loop, with all that still runs in it."""

        async def cancelled() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(cancelled())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


class Link:
    """One HTTP connection that is kept; made again after it was lost."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._login = base64.b64encode(":".join(daemon.session.auth).encode()).decode()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, method: str, **arguments: Any) -> Any:
        """A method's result; Lost when the connection ended first."""
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._exchange(method, json.dumps(arguments).encode())
        except DROPPED as error:
            self.close()
            raise Lost(f"{method}: {error!r}") from None
        assert status == 200, f"{method} {arguments} was answered {status} {body[:300]!r}"
        return json.loads(body)

    async def _exchange(self, method: str, body: bytes) -> tuple[int, bytes]:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._daemon.http_port, limit=2**24)
        assert self._reader is not None
        head = (
            f"POST /{method} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {self._login}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if line)
        return int(answer.split()[1]), await self._reader.readexactly(int(fields["content-length"]))

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(slots=True, eq=False)
class Placed:
    """An order that a client has sent, and all it was told of it.

    `limits` are the prices that it may have: two while a replace is without an answer.
    """

    key: str
    body: dict[str, Any]
    permid: str = ""
    status: str = ""
    filled: float = 0
    limits: set[float | None] = field(default_factory=set)

    @property
    def acknowledged(self) -> bool:
        """Whether the daemon ever answered 200 with the order."""
        return bool(self.permid)

    def told(self, answer: dict[str, Any]) -> None:
        """Take in an order object: it must be the same order, and no earlier than before."""
        shown = json.dumps(answer)[:1000]
        assert answer.get("client_order_id") == self.key, f"{self.key} was answered with another order: {shown}"
        for name in ("account", "symbol", "side", "quantity", "order_type", "time_in_force"):
            wanted = self.body.get(name, "DAY")
            assert answer[name] == wanted, f"{self.key} has {name} {answer[name]!r}, sent was {wanted!r}: {shown}"
        if self.acknowledged:
            assert answer["permid"] == self.permid, f"{self.key} was {self.permid}, and is another now: {shown}"
            assert self.status not in FINAL or answer["order_status"] == self.status, (
                f"{self.key} ({self.permid}) was {self.status} and is {answer['order_status']}: {shown}"
            )
            assert answer["filled"] >= self.filled, f"{self.key} had {self.filled} filled: {shown}"
        self.permid, self.status, self.filled = answer["permid"], answer["order_status"], answer["filled"]
        assert answer["limit_price"] in self.limits, f"{self.key} may have the limits {self.limits}: {shown}"
        if self.status not in ("PENDING_REPLACE", "PENDING_NEW"):
            self.limits = {answer["limit_price"]}


class Lane:
    """One connection of a client: sends, cancels and replaces orders of its own, one after the other."""

    def __init__(self, name: str, chance: Random, daemon: Daemon, prices: dict[str, float]) -> None:
        self.name = name
        self.placed: list[Placed] = []
        self.recent: list[Placed] = []
        """Since the last kill that was fully recovered from."""
        self._chance = chance
        self._prices = prices
        self._link = Link(daemon)
        self._second = Link(daemon)

    async def burst(self, acknowledged: Callable[[], None]) -> None:
        """Trade until the daemon is gone, or has had enough."""
        try:
            for _ in range(MOST):
                await self._act()
                acknowledged()
        except Lost:
            return

    async def _act(self) -> None:
        resting = [each for each in self.recent if each.status == "NEW"]
        if resting and self._chance.random() < 0.25:
            await self._change(self._chance.choice(resting))
            return
        order = self._drawn()
        self.placed.append(order)
        self.recent.append(order)
        order.told(await self._link.call("submit_order", **order.body, client_order_id=order.key))
        assert order.status != "PENDING_NEW", f"{order.key} was answered before the broker's answer, after five seconds"

    def _drawn(self) -> Placed:
        chance = self._chance
        symbol = chance.choice(SYMBOLS)
        account = chance.choice(ACCOUNTS)
        side = chance.choice(("BUY", "SELL"))
        price = self._prices[symbol]
        body: dict[str, Any] = {"account": account, "symbol": symbol, "side": side, "quantity": chance.randint(1, 300)}
        kind = chance.choices(("market", "rests", "marketable", "stop", "ioc", "fok"), (40, 30, 12, 8, 6, 4))[0]
        away = -1 if side == "BUY" else 1
        body["order_type"] = "STOP" if kind == "stop" else "MARKET" if kind == "market" else "LIMIT"
        if kind == "stop":
            body["stop_price"] = round(price * (1 - 0.2 * away), 2)
        elif kind != "market":
            share = 0.2 * away if kind == "rests" else -0.02 * away
            body["limit_price"] = round(price * (1 + share), 2)
        body["time_in_force"] = kind.upper() if kind in ("ioc", "fok") else chance.choice(("DAY", "GTC"))
        return Placed(f"{self.name}-{len(self.placed)}", body, limits={body.get("limit_price")})

    async def _change(self, order: Placed) -> None:
        """Cancel a resting order, or give it another limit."""
        if order.body["order_type"] != "LIMIT" or self._chance.random() < 0.5:
            answer = await self._link.call("cancel_order", id=order.permid)
        else:
            shares = (0.75, 0.78) if order.body["side"] == "BUY" else (1.22, 1.25)
            limit = round(self._prices[order.body["symbol"]] * self._chance.choice(shares), 2)
            order.limits.add(limit)
            answer = await self._link.call("replace_order", id=order.permid, limit_price=limit)
        if "client_order_id" in answer:
            order.told(answer)
        else:
            order.told(await self._link.call("query_order", id=order.key))

    async def recover(self, journalled: set[str]) -> None:
        """Send every recent key again, as a client does that does not know what was taken; twice at once if unanswered.

        Lost when the daemon dies under it: then nothing is forgotten, and it is done again.
        """
        for order in self.recent:
            links = [self._link] if order.acknowledged else [self._link, self._second]
            was_known = order.acknowledged or order.key in journalled
            sent = [link.call("submit_order", **order.body, client_order_id=order.key) for link in links]
            answers = await asyncio.gather(*sent, return_exceptions=True)
            lost = next((each for each in answers if isinstance(each, BaseException)), None)
            for answer in answers:
                if isinstance(answer, dict):
                    order.told(answer)
            if lost is not None:
                raise lost
            first = sum("replayed" not in answer for answer in answers if isinstance(answer, dict))
            assert first == (0 if was_known else 1), (
                f"{order.key} was {'known' if was_known else 'unknown'} and was taken {first} times anew: {answers}"
            )
        self.recent.clear()

    async def repeat_all(self) -> None:
        """Send every key there ever was again: each must be answered with the stored order."""
        for order in self.placed:
            answer = await self._link.call("submit_order", **order.body, client_order_id=order.key)
            assert answer.get("replayed") is True, f"{order.key} was not known any more: {answer}"
            order.told(answer)

    def close(self) -> None:
        """Drop the connections."""
        self._link.close()
        self._second.close()


class Clients:
    """All lanes of all clients."""

    def __init__(self, seed: str, daemon: Daemon, prices: dict[str, float]) -> None:
        names = [f"{seed}-c{client}l{lane}" for client in range(CLIENTS) for lane in range(LANES)]
        self.lanes = [Lane(name, Random(name), daemon, prices) for name in names]

    @property
    def placed(self) -> list[Placed]:
        """Every order that was ever sent."""
        return [order for lane in self.lanes for order in lane.placed]

    async def burst(self, after: int, reached: Callable[[], None]) -> None:
        """Trade until all lanes have lost the daemon; `reached` is called at the `after`-th answer."""
        counted = 0

        def acknowledged() -> None:
            nonlocal counted
            counted += 1
            if counted == after:
                reached()

        await asyncio.gather(*(lane.burst(acknowledged) for lane in self.lanes))

    async def recover(self, journalled: set[str]) -> bool:
        """Send what is in doubt again; False when the daemon died under it."""
        results = await asyncio.gather(*(lane.recover(journalled) for lane in self.lanes), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Lost):
                raise result
        return not any(isinstance(result, Lost) for result in results)

    async def repeat_all(self) -> None:
        """Send every key again."""
        await asyncio.gather(*(lane.repeat_all() for lane in self.lanes))

    async def close(self) -> None:
        """Drop all connections."""
        for lane in self.lanes:
            lane.close()
