"""The emulator as a whole, on its TCP port: its life, its clock, its market's steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tests.emulators import tcp
from tests.emulators.tws import history, messages
from tests.emulators.tws.book import Book
from tests.emulators.tws.commands import Commands
from tests.emulators.tws.contracts import Asked, Contract, catalogue, find
from tests.emulators.tws.faults import Faults
from tests.emulators.tws.feeds import Feeds
from tests.emulators.tws.history import Pacing
from tests.emulators.tws.link import Link
from tests.emulators.tws.market import Market
from tests.emulators.tws.orders import Account, Held
from tests.emulators.tws.teller import Teller
from tests.emulators.tws.wire import pack

DEFAULT_ACCOUNTS = ("DU1234567",)
OLDEST, NEWEST = 157, 178
SNAPSHOT_SECONDS = 11.0
"""So long a snapshot waits for ticks that there are not."""
FOUND = "Connectivity between IBKR and Trader Workstation has been restored - data {}."


@dataclass(frozen=True, kw_only=True)
class Options(tcp.Options):
    """How an emulator is to be."""

    accounts: tuple[str, ...] = DEFAULT_ACCOUNTS
    version: int = NEWEST
    master: int | None = None
    rate: int = 50
    """Messages a second that a client may send; 0: any number."""
    pacing: bool = True

    def __post_init__(self) -> None:
        if not OLDEST <= self.version <= NEWEST:
            raise ValueError(f"server versions are {OLDEST} to {NEWEST}")


class Emulator(tcp.TcpEmulator):
    """The whole of it."""

    options: Options
    LOST = "Connectivity between IBKR and Trader Workstation has been lost."
    PACING = history.PACING

    def __init__(self, options: Options, reactor: Any) -> None:
        super().__init__(options, reactor)
        self.faults = Faults(options.seed)
        self.market = Market(options.seed)
        self.violations: list[str] = []
        """What a client did that it should not."""
        self.unsubscribed: dict[int, int] = {}
        """The conIds of which only delayed data may be had, and the code of the error that says so."""
        self.snapshot_seconds = SNAPSHOT_SECONDS
        self.pacing = Pacing()
        self.pacing.on = options.pacing
        self.teller = Teller(self.links, self.faults, self.market, reactor.seconds, self.later)
        self.teller.master = options.master
        self.commands = Commands(self)
        self.feeds = Feeds(self)
        self.book = self._new_book((0, 0))

    def _new_book(self, numbered: tuple[int, int]) -> Book:
        options = self.options
        book = Book(
            self.market,
            [Account(name, options.cash) for name in options.accounts],
            self.now,
            faults=self.faults,
            numbered=numbered,
        )
        for name, positions in options.positions.items():
            for symbol, size in positions.items():
                contract = self.contract(symbol)
                price = self.market.price(contract, self.now())
                book.accounts[name].held[contract.con_id] = Held(contract, Decimal(size), price, price)
        book.tell, book.moved, book.later = self.teller.tell, self.teller.moved, self.later
        book.latency = options.latency
        self.teller.book = book
        return book

    def today(self) -> date:
        """By the gateway's clock."""
        return self.now().date()

    # ---------------------------------------------------------------- clients

    def buildProtocol(self, addr: Any) -> Link:
        """A client has come."""
        return Link(self)

    def greeted(self, link: Link) -> None:
        """The newest version that both know, and the time; 503 when there is none."""
        assert link.frames.versions is not None
        low, high = link.frames.versions
        link.version = min(high, self.options.version)
        if link.version < max(low, OLDEST):
            link.version = self.options.version
            link.say(*messages.error(link.version, -1, 503, "The TWS is out of date and must be upgraded."))
            link.transport.loseConnection()
            return
        link.say(link.version, f"{self.now():%Y%m%d %H:%M:%S %Z}")

    def received(self, link: Link, fields: list[str]) -> None:
        """A message of a client."""
        self.commands.received(link, fields)

    # ---------------------------------------------------------------- misfortunes

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again, on the same port; with nothing in the book if it is to be empty. The market goes on."""
        for link in list(self.links):
            link.end()
        if seconds:
            self.close_port(seconds)
        self.teller.forget()
        self.commands.waiting.clear()
        if empty:
            old = self.book
            old.tell = lambda told: None
            old.moved = lambda account, contract: None
            self.book = self._new_book((old.last_perm, old.last_fill))

    def say_all(self, code: int, text: str, number: int = -1) -> None:
        """An error or a notice for every client."""
        for link in self.links:
            if link.client is not None:
                link.say(*messages.error(link.version, number, code, text))

    def lose(self) -> None:
        """1100: the gateway has lost IB's servers. Orders wait in it, and so does what is to be told."""
        self.teller.lost = True
        self.say_all(1100, self.LOST)

    def regain(self, data: bool) -> None:
        """1102, or without its data 1101: subscriptions are then gone."""
        if not data:
            for link in self.links:
                link.wishes.ticks.clear()
                link.wishes.by_tick.clear()
                link.wishes.bars.clear()
        self.say_all(1102 if data else 1101, FOUND.format("maintained" if data else "lost"))
        self.teller.found()
        self.commands.go_on()

    def send(self, fields: list[Any]) -> None:
        """Any message at all to every client."""
        for link in self.links:
            link.write(pack(*fields))

    # ---------------------------------------------------------------- what happens

    def contract(self, name: str) -> Contract:
        """By a stock's symbol, a local symbol such as ESZ6 or EUR.USD, or a conId."""
        every = catalogue(self.today())
        if name.isdigit() and int(name) in every:
            return every[int(name)]
        found = find(Asked(local=name), self.today())
        dollars = [each for each in found if each.currency == "USD"] or found
        if not dollars:
            raise ValueError(f"no contract {name!r}")
        return dollars[0]

    def traded(self, do: Callable[[], object]) -> None:
        """Do something with the book; ticks of what it has moved are told."""
        before = {con_id: (t.volume, t.bid_size, t.ask_size) for con_id, t in self.market.tapes.items()}
        do()
        every = catalogue(self.today())
        for con_id, tape in list(self.market.tapes.items()):
            now = (tape.volume, tape.bid_size, tape.ask_size)
            if con_id in every and before.get(con_id, now) != now:
                self.teller.tell_ticks(every[con_id], traded=now[0] != before[con_id][0])

    def step(self, each: Contract) -> None:
        """A step of a contract."""
        traded = self.market.step(each, self.now())
        self.moved(each, traded)

    def watched(self) -> list[Contract]:
        """Contracts of open orders, ticks and bars."""
        found = {order.contract.con_id: order.contract for order in self.book.open.values()}
        for link in self.links:
            wishes = link.wishes
            found |= {watch.contract.con_id: watch.contract for watch in wishes.ticks.values()}
            found |= {each.con_id: each for each, _ in wishes.by_tick.values()}
            found |= {each.con_id: each for _, each in wishes.bars.values()}
        return [found[con_id] for con_id in sorted(found)]

    def moved(self, contract: Contract, traded: bool = False) -> None:
        """What follows from a new quote or trade."""
        volume = self.market.tape(contract, self.now()).volume
        self.book.match(contract)
        filled = self.market.tape(contract, self.now()).volume != volume
        self.teller.tell_ticks(contract, traded=traded or filled)
        self.feeds.end_whole_snapshots()
        self.feeds.tell_bars(contract)
