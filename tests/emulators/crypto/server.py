"""An emulated exchange as a whole: its port, its life, its misfortunes. Each venue's wire is a subclass."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.emulators import options
from tests.emulators.calls import Calls
from tests.emulators.crypto.exchange import ACKS, Exchange, Moved
from tests.emulators.crypto.faults import Faults
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.market import Market
from tests.emulators.crypto.orders import Account, Balance, Ticket, Told
from tests.emulators.faults import Fault

log = logging.getLogger("emulator")
D = Decimal


@dataclass(frozen=True)
class Key:
    """An API key and the account that it is of."""

    account: str = "main"
    key: str = "key"
    secret: str = "secret"
    password: str = "password"


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    """How an emulator is to be; `latency` is what each request takes."""

    keys: tuple[Key, ...] = (Key(),)
    balances: Mapping[str, Mapping[str, Decimal]] | None = None
    """By wallet and asset, what each account has at the start; None: the venue's `MONEY`."""
    limits: bool = False
    """Whether the venue's rate limits are kept; what is used is counted and told anyway."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What a venue has beside this."""


class Emulator(ABC):
    """The whole of it. A venue gives what is abstract."""

    NAME = "exchange"
    MONEY: Mapping[str, Mapping[str, Decimal]] = {
        "spot": {"USDT": D(1_000_000), "USDC": D(1_000_000), "BTC": D(10), "ETH": D(100)},
        "perp": {"USDT": D(1_000_000)},
    }
    LIMITED_ARRIVE: bool | None = False
    """Whether what is answered 'too many requests' arrives all the same; None: some of them do."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.faults = Faults(self.options.seed)
        self.ahead = 0.0
        """Seconds by which the venue's clock is ahead of ours."""
        self.links: list[Link] = []
        self.violations: list[str] = []
        """What a client did that it should not."""
        self.counts: dict[str, int] = {}
        """Requests, by method and path, and messages of WebSockets."""
        self.muted: set[str] = set()
        """market, orders, accounts: what is not told."""
        self.frozen = False
        self.port = self.options.port
        self.latency = self.options.latency
        self.limits = self.options.limits
        self.lag = 0.0
        """Seconds by which the private streams are behind what is answered."""
        self._lagging: deque[Told] = deque()
        self._mute_ends = 0.0
        self._hushed = False
        self._delay: float | None = None
        self._kept_fill: Told | None = None
        self._calls = Calls(self._call_later)
        self.later, self.every = self._calls.later, self._calls.every
        self.hanging: set[asyncio.Future[None]] = set()
        """Of requests that are not answered."""
        self._tasks: set[asyncio.Future[Any]] = set()
        self._listening: Any = None
        self._socket: socket.socket | None = None
        self._http: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.market = Market(self.instruments(), self.options.seed, self.now)
        self.exchange = self._new_exchange(1_000_000)

    def _new_exchange(self, last_order: int) -> Exchange:
        money = self.options.balances or self.MONEY
        accounts = {
            key.account: Account(
                key.account,
                key.key,
                key.secret,
                key.password,
                {w: {asset: Balance(amount) for asset, amount in assets.items()} for w, assets in money.items()},
            )
            for key in self.options.keys
        }
        exchange = Exchange(self.market, list(accounts.values()), self.now, self.faults, last_order)
        exchange.tell, exchange.moved, exchange.later = self.tell, self._moved, self.later
        return exchange

    # ---------------------------------------------------------------- what a venue gives

    @abstractmethod
    def instruments(self) -> list[Instrument]:
        """What is traded here."""

    @abstractmethod
    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request, whose body has been read (`await request.read()` gives it). Order commands go by `command`."""

    @abstractmethod
    def joined(self, link: Link) -> bool:
        """A client has opened a WebSocket; False: there is none of that path."""

    @abstractmethod
    def received(self, link: Link, text: str) -> None:
        """A message of a WebSocket has come."""

    @abstractmethod
    def told(self, told: Told) -> None:
        """Tell the private streams."""

    @abstractmethod
    def market_moved(self, moved: Moved) -> None:
        """Tell those who have subscribed."""

    @abstractmethod
    def too_many(self) -> web.Response:
        """The venue's answer to too many requests."""

    @abstractmethod
    def unknown(self) -> web.Response:
        """The venue's answer when it does not know what became of a command."""

    def completed(self, ticket: Ticket) -> Ticket:
        """A ticket that a person gives by hand, with what the venue keeps beside it."""
        return ticket

    @abstractmethod
    def forget(self) -> None:
        """What the venue keeps beside the exchange is gone (sessions, listen keys): a restart."""

    # ---------------------------------------------------------------- life

    def start(self) -> int:
        """Listen, in the loop that runs; the port. A client may connect at once."""
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(self._handle, access_log=None)
        self._listen()
        if self.options.tick:
            self.every(self.options.tick, self._tick)
        return self.port

    def _listen(self) -> None:
        assert self._loop is not None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.options.interface, self.port))
        self._socket.listen(128)
        self.port = self._socket.getsockname()[1]
        self._task(self._serve(self._socket))

    async def _serve(self, bound: socket.socket) -> None:
        assert self._loop is not None
        if bound is not self._socket:  # it was closed before it was listened to
            return
        self._listening = await self._loop.create_server(self._http, sock=bound, start_serving=False)
        await self._listening.start_serving()

    def _unlisten(self) -> None:
        if self._listening is not None:
            self._listening.close()
        elif self._socket is not None:
            self._socket.close()
        self._listening = self._socket = None

    def _task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End all; the port is free then."""
        self._calls.cancel()
        self._unlisten()
        self.drop()
        if self._http is not None:
            await self._http.shutdown(0.05)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def now(self) -> float:
        """The venue's clock, in seconds since 1970."""
        return time.time() + self.ahead

    def ms(self) -> int:
        """The same in milliseconds."""
        return int(self.now() * 1000)

    def _call_later(self, seconds: float, do: Callable[[], Any]) -> asyncio.TimerHandle:
        assert self._loop is not None
        return self._loop.call_later(seconds, do)

    def _tick(self) -> None:
        for tape in self.market.tapes.values():
            self.exchange.step(tape.instrument)

    # ---------------------------------------------------------------- clients

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.frozen:
            await self.hang()
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._join(request)
        await request.read()
        self.count(f"{request.method} {request.path}")
        slow = self.faults.happens("slow_broker", when="all")
        await asyncio.sleep(self.latency + (slow.after(1) if slow else 0))
        try:
            return await self.answer(request)
        except Exception:
            log.exception("the emulator cannot answer %s %s", request.method, request.path_qs)
            return web.Response(status=500, text="the emulator has failed")

    async def _join(self, request: web.BaseRequest) -> web.StreamResponse:
        link = Link(request)
        if not self.joined(link):
            return web.Response(status=404, text="there is no such stream")
        self.links.append(link)
        try:
            await link.serve(request, self._received)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.links.remove(link)
        return link.socket

    def _received(self, link: Link, text: str) -> None:
        self.count(f"WS {link.path}")
        try:
            self.received(link, text)
        except Exception:
            log.exception("the emulator cannot answer %s", text)
            link.close(1011, "the emulator has failed")

    def count(self, what: str) -> None:
        """One more of it."""
        self.counts[what] = self.counts.get(what, 0) + 1

    async def hang(self) -> None:
        """Never go on, until all connections break."""
        future = asyncio.get_running_loop().create_future()
        self.hanging.add(future)
        try:
            await future
        finally:
            self.hanging.discard(future)

    # ---------------------------------------------------------------- order commands and their misfortunes

    async def command(self, symbol: str, do: Callable[[], web.Response]) -> web.Response:
        """An order, change or cancel of an instrument (its `name`): done, and answered, unless something is wrong."""
        happens = self.faults.happens
        if (slow := happens("slow_broker", symbol, "orders")) is not None:
            await asyncio.sleep(slow.after(1))
        if (fault := happens("rate_limit", symbol)) is not None:
            self._arrive_later(fault, do)
            return self.too_many()
        if (fault := happens("half_open", symbol)) is not None:
            self.freeze(fault.seconds)
            await self.hang()
        if (fault := happens("dropped_link", symbol)) is not None:
            if fault.when == "after" or (fault.when != "before" and self.faults.coin()):
                do()
            self.close_port(fault.after(1))
            self.drop()
            await self.hang()
        if (fault := happens("lost_order", symbol)) is not None:
            return await self._silence(fault)
        if (fault := happens("lost_ack", symbol)) is not None:
            self._hushed = True
            try:
                do()
            finally:
                self._hushed = False
            return await self._silence(fault)
        for kind in ("restart", "restart_empty"):
            if (fault := happens(kind, symbol)) is not None:
                do()
                self.restart(fault.after(1), empty=kind == "restart_empty")
                await self.hang()
        late = happens("late_ack", symbol)
        self._delay = late and late.after(1)
        try:
            return do()
        finally:
            self._delay = None

    def _arrive_later(self, fault: Fault, do: Callable[[], web.Response]) -> None:
        arrives = self.LIMITED_ARRIVE if fault.arrives is None else fault.arrives
        if self.faults.coin() if arrives is None else arrives:
            self.later(fault.after(0.1), do)

    async def _silence(self, fault: Fault) -> web.Response:
        if fault.when == "drop":
            self.drop()
        if fault.when == "unknown":
            return self.unknown()
        await self.hang()
        return self.unknown()

    async def question(self, symbol: str = "") -> web.Response | None:
        """Before a question is answered: the answer it gets instead, if something is wrong."""
        if self.faults.happens("no_answer", symbol) is not None:
            await self.hang()
        if self.faults.happens("server_error", symbol) is not None:
            return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")
        return None

    # ---------------------------------------------------------------- what is told

    def tell(self, told: Told) -> None:
        """What the exchange tells goes to the private streams, unless something is wrong."""
        if self._hushed:
            return
        if self._delay is not None:
            self.later(self._delay, lambda: self._tell(told))
            return
        if told.kind == "fill":
            self._tell_fill(told)
        else:
            self._tell(told)

    def _tell_fill(self, told: Told) -> None:
        assert told.instrument is not None
        happens, name = self.faults.happens, told.instrument.name
        if (kept := self._kept_fill) is not None:
            self._kept_fill = None
            self._tell(told)
            self._tell(kept)
            return
        if (fault := happens("reordered_fills", name)) is not None:
            self._kept_fill = told
            self.later(fault.after(1), lambda: self._let_go(told))
            return
        if (fault := happens("late_fill", name)) is not None:
            self.later(fault.after(2), lambda: self._tell(told))
            return
        self._tell(told)
        if (fault := happens("duplicated_fill", name)) is not None:
            self.later(fault.after(0), lambda: self._tell(told))

    def _let_go(self, told: Told) -> None:
        if self._kept_fill is told:
            self._kept_fill = None
            self._tell(told)

    def _tell(self, told: Told) -> None:
        what = "orders" if told.kind == "fill" or told.kind in ACKS else "accounts"
        if what in self.muted:
            return
        if not self.lag and not self._lagging:
            self.told(told)
            return
        self._lagging.append(told)
        self.later(max(self.lag, 0.001), lambda: self._lagging and self.told(self._lagging.popleft()))

    def _moved(self, moved: Moved) -> None:
        if (fault := self.faults.happens("mute_feed", moved.instrument.name)) is not None:
            self._mute_ends = self.now() + fault.after(0)
            return
        if "market" in self.muted or self.now() < self._mute_ends:
            return
        if moved.diff is not None and self.faults.happens("lost_diff", moved.instrument.name) is not None:
            moved = Moved(moved.instrument, None, moved.trades)
        self.market_moved(moved)

    # ---------------------------------------------------------------- misfortunes

    def connections(self) -> Iterable[Any]:
        """Of clients: aiohttp's handlers."""
        return list(self._http.connections) if self._http is not None else ()

    def drop(self) -> None:
        """Every connection breaks."""
        for each in self.connections():
            if each.transport is not None:
                each.transport.abort()
        for future in list(self.hanging):
            future.cancel()

    def freeze(self, seconds: float | None = None) -> None:
        """Everything is half open: nothing arrives, nothing is told; after so many seconds all connections break."""
        self.frozen = True
        for link in self.links:
            link.frozen = True
        if seconds is not None:
            self.later(seconds, self.thaw)

    def thaw(self) -> None:
        """What was frozen breaks, and all is well again."""
        self.frozen = False
        self.drop()

    def close_port(self, seconds: float) -> None:
        """Nobody can connect for so long."""
        if self._socket is not None and seconds > 0:
            self._unlisten()
            self.later(seconds, self._listen)

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again, on the same port; with nothing in the book if it is to be empty. The market goes on."""
        self.close_port(seconds)
        self._kept_fill = None
        self._lagging.clear()
        self.forget()
        if empty:
            old = self.exchange
            old.tell = lambda told: None
            old.moved = lambda moved: None
            self.exchange = self._new_exchange(old.last_order)
        for link in self.links:
            link.frozen = True
        self.drop()

    # ---------------------------------------------------------------- names

    def instrument(self, name: str) -> Instrument:
        """By its name, or the venue's symbol of a spot pair, or of a perpetual."""
        tapes = self.market.tapes
        if name in tapes:
            return tapes[name].instrument
        found = [tape.instrument for tape in tapes.values() if tape.instrument.symbol == name]
        if not found:
            raise ValueError(f"no instrument {name!r}; there are: {', '.join(tapes)}")
        return min(found, key=lambda each: each.perp)

    def account_of(self, key: str) -> Account | None:
        """Whose API key it is."""
        return next((each for each in self.exchange.accounts.values() if each.key == key), None)
