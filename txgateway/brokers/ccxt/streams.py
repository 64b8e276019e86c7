"""The public streams of one link: each is kept subscribed until it is left, or made anew when it is mute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import ccxt
from twisted.logger import Logger

from txgateway.brokers.ccxt import errors
from txgateway.brokers.ccxt.feeds import Feeds, Watch
from txgateway.futures import deferred

log = Logger()

RETRY = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until a stream that ended is subscribed again."""
MUTE = 4
"""After so many attempts in a row it is told that a stream cannot be had."""
RECENT = 30.0
"""So many seconds after it was asked for, a subscription is confirmed if ever."""


class User(Protocol):
    """Who wants them: `quotes`, `trades` and `book` of pairs."""

    def subscribing(self, name: str, symbol: str) -> None:
        """A stream is asked for, for the first time or anew."""

    def read(self, name: str, symbol: str, answer: Any) -> None:
        """What ccxt read: of an exchange whose frames we do not know."""

    def interrupted(self, name: str, symbol: str) -> None:
        """A stream ended, and is subscribed again: something of it is missing."""


class Streams:
    """Over with the link."""

    def __init__(
        self,
        exchange: Any,
        row: Feeds,
        venue: str,
        patience: float,
        user: User,
        seconds: Callable[[], float],
        complain: Callable[[str], None],
    ) -> None:
        self._exchange, self._row, self._venue, self._patience = exchange, row, venue, patience
        self._user, self._seconds, self._complain = user, seconds, complain
        self._watches: dict[str, Watch | None] = {"quotes": row.quotes, "trades": row.trades, "book": row.book}
        self._over = False
        self._tasks: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._endings: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._mute: set[str] = set()

    def follow(self, name: str, symbol: str) -> None:
        """Keep a stream subscribed, where the exchange has it."""
        watch = self._watches[name]
        if watch is None or self._over or (name, symbol) in self._tasks:
            return
        self._tasks[name, symbol] = asyncio.ensure_future(self._watch(name, symbol, watch))

    def leave(self, name: str, symbol: str) -> None:
        """Have a stream end; where the exchange cannot be told so its frames are heard and dropped."""
        task = self._tasks.pop((name, symbol), None)
        if task is None:
            return
        task.cancel()
        watch = self._watches[name]
        if watch is not None and not self._over:
            self._endings[name, symbol] = asyncio.ensure_future(self._end_stream(name, watch, symbol))

    async def again(self, name: str, symbol: str, wanted: Callable[[], bool]) -> None:
        """End a stream, and subscribe it anew if it is wanted still."""
        watch = self._watches[name]
        if watch is None:
            return
        task = self._tasks.pop((name, symbol), None)
        if task is not None:
            task.cancel()
        await deferred(self._end_stream(name, watch, symbol))
        if wanted():
            self.follow(name, symbol)

    def close(self) -> None:
        """The link is over."""
        self._over = True
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _end_stream(self, name: str, watch: Watch, symbol: str) -> None:
        method, many, params = watch
        if name in self._row.channels:
            await self._unsubscribe(name, symbol)
            return
        end = getattr(self._exchange, f"un_{method}", None)
        if end is None:
            return
        try:
            await asyncio.wait_for(end([symbol] if many else symbol, params=dict(params)), self._patience)
        except Exception as error:
            self._not_ended(name, symbol, error)

    def _not_ended(self, name: str, symbol: str, error: Exception) -> None:
        """A stream that the exchange, or ccxt, does not end, or not in time: it is heard and dropped."""
        if not errors.is_of_a_link(error):
            log.failure("{venue}: leaving the {name} of {symbol} failed.", venue=self._venue, name=name, symbol=symbol)

    async def _unsubscribe(self, name: str, symbol: str) -> None:
        """Where ccxt cannot: tell the exchange, and have ccxt forget that it was subscribed."""
        channel, market_id = self._row.channels[name], str((self._exchange.markets.get(symbol) or {}).get("id"))
        said = {"channels": [channel]} if self._row.listed else {"channel": channel}
        kind = channel.removesuffix("_batch")
        for client in list(self._exchange.clients.values()):
            known = [key for key in client.subscriptions if key in (f"{kind}::{symbol}", f"{kind}:{market_id}")]
            for key in known:
                client.subscriptions.pop(key, None)
                if key in client.futures:
                    client.reject(ccxt.UnsubscribeError(f"{key} was left"), key)
            if known:
                try:
                    await client.send({"type": "unsubscribe", "product_ids": [market_id], **said})
                except Exception as error:
                    self._not_ended(name, symbol, error)

    def _is_over(self) -> bool:
        return self._over

    async def _watch(self, name: str, symbol: str, watch: Watch) -> None:
        """Keep a stream subscribed; where ccxt reads it, tell what it read."""
        method, many, params = watch
        tries = 0
        ending = self._endings.pop((name, symbol), None)
        if ending is not None:
            await asyncio.wait([ending])
        while not self._over:
            self._user.subscribing(name, symbol)
            asked = self._seconds()
            try:
                call = getattr(self._exchange, method)
                # In a task of its own: ccxt's future, shared by all who wait for it, is not canceled with us.
                inner = asyncio.ensure_future(call([symbol] if many else symbol, params=dict(params)))
                inner.add_done_callback(_seen)
                answer = await asyncio.shield(inner)
                tries = 0
                if self._row.decode is None:
                    self._user.read(name, symbol, answer)
            except asyncio.CancelledError:
                return
            except Exception as error:
                if self._is_over():
                    return
                if self._seconds() - asked > RECENT:
                    tries = 0
                if not errors.is_of_a_link(error):
                    log.failure("{venue}: the {name} of {symbol} failed.", venue=self._venue, name=name, symbol=symbol)
                elif tries == 0:
                    text = errors.sentence(error)
                    log.info("{venue}: {name} of {symbol} ended: {text}", venue=self._venue, name=name, symbol=symbol,
                             text=text)  # fmt: skip
                await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                tries += 1
                if tries == MUTE and not self._is_over():
                    self._tell_mute(name, symbol, error)
                self._user.interrupted(name, symbol)

    def _tell_mute(self, name: str, symbol: str, error: Exception) -> None:
        """A stream cannot be had: a refused one is told of each, a link that does not come once for all."""
        about = f"{name} of {symbol}" if errors.is_answer(error) else "public streams"
        if about not in self._mute:
            self._mute.add(about)
            text = f"{errors.sentence(error)}; it is tried again, and meanwhile quotes are asked for now and then"
            self._complain(f"The {about} cannot be had: {text}.")


def _seen(task: asyncio.Future[Any]) -> None:
    """What a stream that is no longer wanted ends with is of no interest."""
    if not task.cancelled():
        task.exception()
