"""The emulator as a whole, on its TCP port: its life, its clock, its market's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from tests.emulators import tcp
from tests.emulators.rtgw.book import Book
from tests.emulators.rtgw.commands import Commands
from tests.emulators.rtgw.faults import Faults
from tests.emulators.rtgw.link import Link
from tests.emulators.rtgw.market import LISTINGS, Market
from tests.emulators.rtgw.memory import Memory
from tests.emulators.rtgw.orders import Account
from tests.emulators.rtgw.tables import Tables
from tests.emulators.rtgw.teller import Teller

RUSH = 1e-6
"""Seconds from one turn of a rush to the next: there is none between."""
DEFAULT_ACCOUNTS = ("EMU.TEST.DESK.ONE", "EMU.TEST.DESK.TWO")


@dataclass(frozen=True, kw_only=True)
class Options(tcp.Options):
    """How an emulator is to be."""

    accounts: tuple[str, ...] = DEFAULT_ACCOUNTS
    killed: str = "DELETED"
    state: Path | None = None


class Emulator(tcp.TcpEmulator):
    """The whole of it."""

    options: Options

    def __init__(self, options: Options, reactor: Any) -> None:
        super().__init__(options, reactor)
        self.faults = Faults(options.seed)
        self.market = Market(options.seed)
        self.memory = Memory(options.state) if options.state else None
        self.teller = Teller(self.links, self.faults, reactor.seconds, self.later)
        self.commands = Commands(self)
        self._rushing: tuple[str, ...] = ()
        self.rushed = 0
        """Quotes told in a rush so far."""
        self.book = self._opened_book()
        self.tables = Tables(self.market, self.book)

    def _opened_book(self) -> Book:
        """A book that remembers what the state file has."""
        options = self.options
        accounts = [Account(name, options.cash, dict(options.positions.get(name, {}))) for name in options.accounts]
        book = Book(self.market, accounts, self.now, faults=self.faults, killed=options.killed)
        if self.memory:
            book.recall(self.memory.entries())
            book.remember = self.memory.remember
        book.tell, book.later, book.latency = self.teller.tell, self.later, options.latency
        return book

    # ---------------------------------------------------------------- life

    def start(self) -> int:
        """Listen; the port."""
        port = super().start()
        self._go_on()
        return port

    def _go_on(self) -> None:
        """What was pending when the book was left is decided."""
        book = self.book
        for order in list(book.orders.values()):
            if order.row["CURRENT_STATUS"] == "PENDING":
                self.later(book.latency, partial(book.accept, order.id))

    def stop(self) -> Deferred[Any]:
        """End all; fires when the port is free."""
        self._rushing = ()
        stopped = super().stop()
        if self.memory:
            self.memory.close()
        return stopped

    def now(self) -> datetime:
        """The feed's clock, naive."""
        return super().now().replace(tzinfo=None)

    def buildProtocol(self, addr: Any) -> Link:
        """A client has come."""
        return Link(self)

    def received(self, link: Link, text: str) -> None:
        """A line of a client."""
        self.commands.received(link, text)

    # ---------------------------------------------------------------- the links' misfortunes

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again, on the same port; with nothing in the book if it is to be empty."""
        self.drop()
        if seconds:
            self.close_port(seconds)
        self.teller.forget()
        if not (empty or self.memory):
            return
        self.book.tell = lambda row: None
        self.book.remember = lambda entry: None
        if self.memory:
            self.memory.close()
            if empty:
                self.memory.clear()
        self.book = self._opened_book()
        self.tables = Tables(self.market, self.book)
        self._go_on()

    def terminate(self, table: str = "") -> int:
        """Every advise (of a table) ends with OnTerminate; how many did."""
        ended = 0
        for link in list(self.links):
            for each in link.connections.values():
                if each.query and table in ("", each.query.table):
                    each.query, each.advise = None, ""
                    link.say("status", each.id, {"msg": "OnTerminate", "status": "1"})
                    ended += 1
        return ended

    # ---------------------------------------------------------------- what happens

    def do(self, fields: Mapping[str, str], silent: bool = False) -> str:
        """Poke the book; silent: nothing of what comes of it at once is told. The id of the order."""
        self.teller.quiet = silent
        try:
            name = self.book.poke(fields)
        finally:
            self.teller.quiet = False
        order = self.book.orders.get(name)
        if order and silent and order.row["CURRENT_STATUS"] == "PENDING":
            self.book.silenced.add(name)
        if order and order.symbol in LISTINGS:
            self.teller.tell_quotes(order.symbol, self.tables)
        return name

    def step(self, each: str) -> None:
        """A step of a symbol."""
        self.market.step(each, self.now())
        self.moved(each)

    def moved(self, symbol: str) -> None:
        """What follows from a new quote or trade."""
        self.book.match(symbol)
        self.teller.tell_quotes(symbol, self.tables)

    def rush(self, symbols: Sequence[str]) -> None:
        """From now on each of these has a new quote every turn in which every link takes it; none: no more."""
        begins = not self._rushing
        self._rushing = tuple(symbols)
        if begins and symbols:
            self.later(RUSH, self._rush)

    def _rush(self) -> None:
        if not self._rushing:
            return
        if not any(link.room.full for link in self.links):
            now = self.now()
            for symbol in self._rushing:
                self.market.shift(symbol, now)
                self.moved(symbol)
                self.rushed += 1
        self.later(RUSH, self._rush)

    def watched(self) -> list[str]:
        """Symbols of quotes that are advised, and of open orders."""
        queries = [each.query for link in self.links for each in link.connections.values() if each.query]
        advised = {query.value("DISP_NAME") for query in queries if query.table == "LIVEQUOTE"}
        return sorted((advised | {symbol for symbol, orders in self.book.live.items() if orders}) & set(LISTINGS))
