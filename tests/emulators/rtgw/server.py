"""The emulator on its TCP port: links, their logical connections, what is told to whom, what goes wrong on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineReceiver
from twisted.python import log

from tests.emulators.rtgw.book import Account, Book, Row
from tests.emulators.rtgw.faults import Fault, Faults
from tests.emulators.rtgw.market import LISTINGS, Market
from tests.emulators.rtgw.memory import Memory
from tests.emulators.rtgw.tables import CLOCK, QUOTE, SERVICES, TRADE, Tables
from tests.emulators.rtgw.tql import Line, NotUnderstood, Query, read_line, read_poke, read_query

ZONE = ZoneInfo("US/Eastern")
POKES = {f"UserSubmit{what}" for what in ("Order", "StagedOrder", "Change", "StagedChange", "Cancel")}
DEFAULT_ACCOUNTS = ("EMU.TEST.DESK.ONE", "EMU.TEST.DESK.TWO")


@dataclass(frozen=True)
class Options:
    """How an emulator is to be."""

    seed: str = "7"
    accounts: tuple[str, ...] = DEFAULT_ACCOUNTS
    cash: Decimal = Decimal(1_000_000)
    positions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By account, what the day began with, by symbol."""
    tick: float = 0.25
    """Seconds from one quote to the next; 0: the market stands still until it is told to move."""
    begins: datetime | None = None
    """What the feed's clock shows at the start (naive, US/Eastern), from where it goes on; None: the time it is."""
    killed: str = "DELETED"
    latency: float = 0.0
    state: Path | None = None
    port: int = 0
    interface: str = "127.0.0.1"


@dataclass
class Connection:
    """A logical connection: what it is for, and its advise, if it has one."""

    id: str
    key: str
    advise: str = ""
    query: Query | None = None
    last: Row = field(default_factory=dict)
    """What a quote's advise has shown last."""


class Link(LineReceiver):
    """A client's TCP connection."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.connections: dict[str, Connection] = {}
        self.frozen = False

    def connectionMade(self) -> None:
        """The greeting."""
        self.transport.setTcpNoDelay(True)
        self.emulator.links.append(self)
        self.say("system", "", {"msg": "startup", "item": "rtgw emulator"})

    def connectionLost(self, reason: Any = None) -> None:
        """Its logical connections end with it."""
        self.emulator.links.remove(self)

    def lineReceived(self, raw: bytes) -> None:
        """A command; empty lines mean nothing."""
        text = raw.decode("utf-8", "replace").strip()
        if text and not self.frozen:
            self.emulator.received(self, text)

    def say(self, kind: str, name: str, data: Any) -> None:
        """A line to the client."""
        self.write(json.dumps({"type": kind, "id": name, "data": data}, separators=(",", ":")) + "\n")

    def write(self, text: str) -> None:
        """Lines to the client, which a frozen link swallows."""
        if not self.frozen:
            self.transport.write(text.encode())

    def freeze(self) -> None:
        """From now on the link is half open."""
        self.frozen = True
        self.transport.pauseProducing()


class Emulator(Factory):
    """The whole of it. The reactor is its clock."""

    noisy = False

    def __init__(self, options: Options, reactor: Any) -> None:
        self.options = options
        self.reactor = reactor
        self.faults = Faults(options.seed)
        self.market = Market(options.seed)
        self.memory = Memory(options.state) if options.state else None
        self.links: list[Link] = []
        self.lines: Counter[str] = Counter()
        """How many of each command have come."""
        self.muted: set[str] = set()
        """Of quotes, orders, clock: what is not told."""
        self.quiet = False
        self.port = options.port
        self._listening: Any = None
        self._began = reactor.seconds()
        self._muted_until = 0.0
        self._held: list[Row] = []
        self._life = 0
        self._ticks = LoopingCall(self.tick)
        self._ticks.clock = reactor
        self._calls: set[Any] = set()
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
        book.tell, book.later, book.latency = self._tell, self.later, options.latency
        return book

    # ---------------------------------------------------------------- life

    def start(self) -> int:
        """Listen; the port."""
        self._listen()
        if self.options.tick:
            self._ticks.start(self.options.tick)
        for order in list(self.book.orders.values()):
            if order.row["CURRENT_STATUS"] == "PENDING":
                self.later(self.book.latency, lambda name=order.id: self.book.accept(name))
        return self.port

    def _listen(self) -> None:
        self._listening = self.reactor.listenTCP(self.port, self, interface=self.options.interface)
        self.port = self._listening.getHost().port

    def stop(self) -> Deferred[Any]:
        """End all; fires when the port is free."""
        if self._ticks.running:
            self._ticks.stop()
        for call in list(self._calls):
            call.cancel()
        self._calls.clear()
        self.drop()
        if self.memory:
            self.memory.close()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening if listening else lambda: None)

    def now(self) -> datetime:
        """The feed's clock."""
        if self.options.begins is None:
            return datetime.now(ZONE).replace(tzinfo=None)
        return self.options.begins + timedelta(seconds=self.reactor.seconds() - self._began)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it after so many seconds; at once for none."""
        if seconds <= 0:
            do()
            return

        def run() -> None:
            self._calls.discard(call)
            do()

        call = self.reactor.callLater(seconds, run)
        self._calls.add(call)

    def buildProtocol(self, addr: Any) -> Link:
        """A client has come."""
        return Link(self)

    # ---------------------------------------------------------------- the links' misfortunes

    def drop(self) -> None:
        """Every link breaks."""
        for link in list(self.links):
            link.transport.abortConnection()

    def close_port(self, seconds: float) -> None:
        """Nobody can connect for so long."""
        if self._listening is not None:
            closed = maybeDeferred(self._listening.stopListening)
            self._listening = None
            closed.addCallback(lambda _: self.later(seconds, self._listen))

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again, on the same port; with nothing in the book if it is to be empty."""
        self.drop()
        if seconds:
            self.close_port(seconds)
        self._held.clear()
        self._life += 1
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

    def unmute(self) -> None:
        """All is told again."""
        self.muted.clear()
        self._muted_until = 0.0

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

    # ---------------------------------------------------------------- what clients say

    def received(self, link: Link, text: str) -> None:
        """A line of a client."""
        try:
            line = read_line(text)
        except NotUnderstood as error:
            self._violation(f"a line that means nothing: {error}")
            link.say("system", "", {"msg": "error", "item": str(error)})
            return
        self.lines[line.word] += 1
        slow = self._slow(line.word)
        self.later(slow.after(1) if slow else 0, lambda: self._obey(link, line))

    def _slow(self, word: str) -> Fault | None:
        for fault in self.faults.all:
            if fault.kind == "slow_broker" and fault.when in ("", word):
                return self.faults.happens("slow_broker")
        return None

    def _violation(self, text: str) -> None:
        self.book.violations.append(text)

    def _obey(self, link: Link, line: Line) -> None:
        if link not in self.links:
            return
        if line.word == "connect":
            self._connect(link, line)
            return
        connection = link.connections.get(line.id)
        answer = {"poke": self._poke, "request": self._request, "advise": self._advise, "unadvise": self._unadvise}
        more = {"adviserequest": self._advise, "execute": self._execute, "terminate": self._terminate}
        obey = (answer | more).get(line.word)
        if connection is None or obey is None:
            why = f"unknown connection {line.id}" if obey else f"unknown command {line.word}"
            self._violation(why)
            link.say("ack", line.id, f"ERROR {why}")
            return
        if connection.query and line.word not in ("unadvise", "terminate"):
            self._violation(f"{line.word} on {line.id}, which an advise keeps")
        try:
            obey(link, connection, line)
        except NotUnderstood as error:
            self._violation(f"{line.word}: {error}")
            link.say("ack", line.id, f"{line.word.upper()}_ERROR {error}")

    def _connect(self, link: Link, line: Line) -> None:
        if line.id in link.connections:
            self._violation(f"connect {line.id}, which is connected")
        known = line.rest in SERVICES
        if not known:
            self._violation(f"unknown service {line.rest!r}")
        elif self.faults.happens("refused_connect"):
            known = False
        else:
            link.connections[line.id] = Connection(line.id, line.rest)
        link.say("ack", line.id, "CONNECTION PENDING")
        link.say("status", line.id, {"msg": "OnInitAck", "status": "1" if known else "0"})

    @staticmethod
    def _query(connection: Connection, text: str) -> Query:
        query = read_query(text)
        if query.table not in SERVICES[connection.key]:
            raise NotUnderstood(f"{connection.key} has no table {query.table!r}")
        return query

    def _request(self, link: Link, connection: Connection, line: Line) -> None:
        query = self._query(connection, line.rest)
        if "clock" in self.muted and query.value("DISP_NAME") == CLOCK:
            return
        rows = self.tables.rows(query)
        link.say("ack", line.id, "REQUEST_OK")
        if self.faults.happens("broken_request"):
            for row in rows[: len(rows) // 2]:
                link.say("response", line.id, {"row": row, "complete": False})
            link.say("status", line.id, {"msg": "OnTerminate", "status": "1"})
            return
        self._respond(link, line.id, rows)

    @staticmethod
    def _respond(link: Link, name: str, rows: list[Row | None]) -> None:
        for number, row in enumerate(rows, 1):
            link.say("response", name, {"row": row, "complete": number == len(rows)})

    def _advise(self, link: Link, connection: Connection, line: Line) -> None:
        query = self._query(connection, line.rest)
        if query.table not in ("LIVEQUOTE", "ORDERS"):
            raise NotUnderstood(f"{query.table} gives no advise")
        rows = self.tables.rows(query) if line.word == "adviserequest" else []
        connection.query, connection.advise = query, line.rest
        connection.last = self._shown(query) or {}
        link.say("ack", line.id, "ADVISE_REQUEST_OK" if rows else "ADVISE_OK")
        self._respond(link, line.id, rows)
        link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})

    def _unadvise(self, link: Link, connection: Connection, line: Line) -> None:
        if connection.advise != line.rest:
            raise NotUnderstood(f"there is no advise {line.rest!r}, but {connection.advise!r}")
        connection.query, connection.advise = None, ""
        link.say("ack", line.id, "UNADVISE_OK")
        link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})

    def _execute(self, link: Link, connection: Connection, line: Line) -> None:
        link.say("ack", line.id, "EXECUTE_OK")

    def _terminate(self, link: Link, connection: Connection, line: Line) -> None:
        del link.connections[line.id]
        link.say("ack", line.id, "TERMINATE_OK")

    # ---------------------------------------------------------------- pokes

    def _poke(self, link: Link, connection: Connection, line: Line) -> None:
        query, fields = read_poke(line.rest)
        kind = fields.get("TYPE")
        if query.table != "ORDERS" or query.table not in SERVICES[connection.key] or kind not in POKES:
            raise NotUnderstood(f"TYPE {kind!r} to {query.table!r} of {connection.key}")
        symbol = self._symbol_of(fields)
        happens = self.faults.happens
        if happens("half_open", symbol):
            link.freeze()
            return
        if happens("lost_poke", symbol):
            return
        if happens("refused_poke", symbol):
            link.say("ack", line.id, "POKE_FAILED")
            return
        if limited := happens("rate_limit", symbol):
            link.say("ack", line.id, "POKE_OK")
            link.say("status", line.id, {"msg": "OnOtherAck", "status": "0"})
            if self.faults.coin() if limited.arrives is None else limited.arrives:
                self.later(limited.after(0.1), lambda: self.do(fields))
            return
        dropped = happens("dropped_link", symbol)
        restarted = happens("restart", symbol)
        emptied = happens("restart_empty", symbol)
        before = bool(dropped) and (dropped.when or ("before" if self.faults.coin() else "after")) == "before"
        if not before:
            silent = bool(happens("lost_ack", symbol) or dropped or restarted or emptied)
            if not silent:
                link.say("ack", line.id, "POKE_OK")
                link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})
            self.do(fields, silent)
        if happens("terminated_advise", symbol):
            self.terminate()
        if dropped:
            link.transport.abortConnection()
            if dropped.seconds:
                self.close_port(dropped.seconds)
        if restarted or emptied:
            self.restart((restarted or emptied).after(1), bool(emptied))

    def _symbol_of(self, fields: Mapping[str, str]) -> str:
        row = self.book.rows.get(fields.get("REFERS_TO_ID", ""), fields)
        return str(row.get("DISP_NAME", ""))

    def do(self, fields: Mapping[str, str], silent: bool = False) -> str:
        """Poke the book; silent: nothing of what comes of it at once is told. The id of the order."""
        self.quiet = silent
        try:
            name = self.book.poke(fields)
        finally:
            self.quiet = False
        order = self.book.orders.get(name)
        if order and silent and order.row["CURRENT_STATUS"] == "PENDING":
            self.book.silenced.add(name)
        if order and order.symbol in LISTINGS:
            self.tell_quotes(order.symbol)
        return name

    # ---------------------------------------------------------------- what is told

    def _tell(self, row: Row) -> None:
        """A row of ORDERS, unless it is a fill that is late, doubled or out of order."""
        if self.quiet:
            return
        if row["TYPE"] != "ExchangeTradeOrder":
            self._deliver(row)
            return
        happens, symbol = self.faults.happens, row["DISP_NAME"]
        if doubled := happens("duplicated_fill", symbol):
            self._deliver_later(doubled.after(0), row)
        if late_fill := happens("late_fill", symbol):
            self._deliver_later(late_fill.after(2), row)
        elif held := happens("reordered_fills", symbol):
            self._held.append(row)
            self.later(held.after(1), lambda: self._release([row]))
        else:
            self._deliver(row)
            self._release(self._held[::-1])

    def _deliver_later(self, seconds: float, row: Row) -> None:
        """Not in this turn in any case, and not when the emulator has been restarted by then."""
        life = self._life
        self.later(max(seconds, 0.001), lambda: self._deliver(row) if life == self._life else None)

    def _release(self, rows: list[Row]) -> None:
        for row in rows:
            if any(row is each for each in self._held):
                self._held = [each for each in self._held if each is not row]
                self._deliver(row)

    def _deliver(self, row: Row) -> None:
        if "orders" in self.muted:
            return
        for link in self.links:
            for each in link.connections.values():
                if each.query and each.query.table == "ORDERS" and each.query.takes(row):
                    selected = each.query.select(row)
                    if selected is not None:
                        link.say("update", each.id, {"row": selected})

    def _shown(self, query: Query) -> Row | None:
        """What a quote's advise shows now."""
        symbol = query.value("DISP_NAME")
        if query.table != "LIVEQUOTE" or symbol not in LISTINGS:
            return None
        return query.select(self.tables.live(symbol))

    def tell_quotes(self, symbol: str) -> None:
        """To every advise of the symbol: what has changed, a quote or a trade always whole."""
        for link in self.links:
            for each in link.connections.values():
                if not each.query or each.query.value("DISP_NAME") != symbol:
                    continue
                shown = self._shown(each.query)
                if shown is None or shown == each.last:
                    continue
                changed = {name for name, value in shown.items() if each.last.get(name) != value}
                for group in (QUOTE, TRADE):
                    if changed.intersection(group):
                        changed.update(group)
                each.last = shown
                if not self._is_muted(symbol):
                    link.say("update", each.id, {"row": {k: v for k, v in shown.items() if k in changed}})

    def _is_muted(self, symbol: str) -> bool:
        if "quotes" in self.muted or self.reactor.seconds() < self._muted_until:
            return True
        fault = self.faults.happens("mute_feed", symbol)
        if fault:
            self._muted_until = self.reactor.seconds() + fault.after(0)
        return bool(fault)

    # ---------------------------------------------------------------- the market moves

    def tick(self, symbol: str = "") -> None:
        """A step of one symbol, or of all that anyone looks at."""
        try:
            for each in [symbol] if symbol else sorted(self._watched()):
                self.market.step(each, self.now())
                self.moved(each)
        except Exception:
            log.err(None, "the emulator's market")

    def moved(self, symbol: str) -> None:
        """What follows from a new quote or trade."""
        self.book.match(symbol)
        self.tell_quotes(symbol)

    def _watched(self) -> set[str]:
        queries = [each.query for link in self.links for each in link.connections.values() if each.query]
        advised = {query.value("DISP_NAME") for query in queries if query.table == "LIVEQUOTE"}
        return (advised | {symbol for symbol, orders in self.book.live.items() if orders}) & set(LISTINGS)
