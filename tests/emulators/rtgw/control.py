"""The emulator's controls. An order is named by its ORIGINAL_ORDER_ID or its CLIENT_ORDER_ID."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tests.emulators import control
from tests.emulators.rtgw.market import LISTINGS
from tests.emulators.rtgw.server import Emulator
from tests.emulators.rtgw.tql import read_query


class Control(control.Control):
    """What can be told to the emulated rtgw."""

    emulator: Emulator

    def _order(self, name: str) -> str:
        orders = self.emulator.book.orders
        if name in orders:
            return name
        found = [order.id for order in orders.values() if order.row.get("CLIENT_ORDER_ID") == name]
        if not found:
            raise ValueError(f"no order {name!r}")
        return found[-1]

    @staticmethod
    def _symbol(symbol: str) -> str:
        if symbol not in LISTINGS:
            raise ValueError(f"no symbol {symbol!r}; there are: {', '.join(LISTINGS)}")
        return symbol

    # ---------------------------------------------------------------- to look

    def do_status(self) -> dict[str, Any]:
        """Links, logical connections and their advises, lines by command, what clients did that they should not."""
        emulator = self.emulator
        each = [asdict(connection) for link in emulator.links for connection in link.connections.values()]
        return {
            "links": len(emulator.links),
            "connections": [{name: one[name] for name in ("id", "key", "advise")} for one in each],
            "lines": dict(emulator.commands.lines),
            "violations": emulator.book.violations,
            "orders": len(emulator.book.orders),
            "now": emulator.now().isoformat(" ", "seconds"),
        }

    def do_request(self, query: str) -> list[Any]:
        """The rows of a query as clients write it, such as ORDERS;*;TYPE='UserSubmitOrder'."""
        return self.emulator.tables.rows(read_query(query))

    def do_net(self) -> dict[str, dict[str, int]]:
        """The positions, signed, by account and symbol; zeros left out."""
        accounts = self.emulator.book.accounts.values()
        nets = {account.name: {s: account.net(s) for s in LISTINGS} for account in accounts}
        return {name: {s: size for s, size in held.items() if size} for name, held in nets.items()}

    # ---------------------------------------------------------------- misfortunes

    def do_freeze(self) -> None:
        """Every link that is there goes half open; new ones are well."""
        for link in self.emulator.links:
            link.freeze()

    def do_mute(self, what: str = "quotes") -> None:
        """No more quotes, orders (rows by advise) or clock (answers to $TIME) until `unmute`."""
        if what not in ("quotes", "orders", "clock"):
            raise ValueError("quotes, orders or clock")
        self.emulator.teller.muted.add(what)

    def do_unmute(self) -> None:
        """All is told again."""
        self.emulator.teller.unmute()

    def do_terminate(self, table: str = "") -> int:
        """End every advise (of a table) with OnTerminate; how many."""
        return self.emulator.terminate(table)

    def do_reset(self) -> None:
        """Links broken, faults cleared, all told, an empty book, a market that moves by itself: as at the start."""
        emulator = self.emulator
        emulator.faults.clear()
        emulator.teller.unmute()
        emulator.market.tapes.clear()
        emulator.restart(0, empty=True)

    def do_roll_back(self, to: int = 0) -> None:
        """The order ids go on from this number; ids of orders that have ended are given anew."""
        self.emulator.book.last_id = to

    def do_login(self, ok: bool) -> None:
        """Whether the feed's login holds; if not, no symbol is known, not even $TIME."""
        self.emulator.tables.logged_in = ok

    def do_send(self, line: str) -> None:
        """Any line at all to every link."""
        for link in self.emulator.links:
            link.write(line + "\n")

    # ---------------------------------------------------------------- the market

    def do_quote(self, symbol: str, bid: Any, ask: Any, bid_size: int = 1000, ask_size: int = 1000) -> None:
        """Set a symbol's quote, which stays until `free`; a size of 0 empties a side. What can be filled is."""
        emulator, size = self.emulator, (bid_size, ask_size)
        emulator.market.pin(self._symbol(symbol), emulator.now(), Decimal(str(bid)), Decimal(str(ask)), *size)
        emulator.moved(symbol)

    def do_trade(self, symbol: str, price: Any, size: int = 100) -> None:
        """A trade of others is printed; stops that it reaches are triggered."""
        emulator = self.emulator
        emulator.market.trade(self._symbol(symbol), Decimal(str(price)), size, emulator.now())
        emulator.moved(symbol)

    def do_free(self, symbol: str) -> None:
        """The symbol moves by itself again."""
        self.emulator.market.tape(self._symbol(symbol), self.emulator.now()).pinned = False

    def do_tick(self, symbol: str = "") -> None:
        """One step of a symbol, or of all that are watched."""
        self.emulator.tick(*([self._symbol(symbol)] if symbol else []))

    def do_rush(self, symbols: list[str]) -> int:
        """New quotes of these, a cent up and down, as fast as every link takes them; [] ends it. How many so far."""
        self.emulator.rush([self._symbol(symbol) for symbol in symbols])
        return self.emulator.rushed

    def do_spoil(self, symbol: str, **fields: Any) -> None:
        """These fields of a symbol read so from now on ("Error 2"); without fields none does."""
        spoiled = self.emulator.tables.spoiled
        spoiled[self._symbol(symbol)] = spoiled.get(symbol, {}) | fields if fields else {}
        self.emulator.teller.tell_quotes(symbol, self.emulator.tables)

    # ---------------------------------------------------------------- orders, by a person at Realtick

    def do_hold(self, on: bool = True) -> None:
        """New orders stay PENDING until `accept` or `reject`."""
        self.emulator.book.hold = on

    def do_accept(self, id: str) -> None:
        """The exchange accepts a pending order."""
        self.emulator.book.accept(self._order(id))

    def do_reject(self, id: str, reason: str = "Rejected by a clerk") -> None:
        """A clerk rejects a pending order."""
        self.emulator.book.reject(self._order(id), reason)

    def do_killed(self, word: str) -> None:
        """How the row of an order that is cancelled ends: DELETED behind an ExchangeKillOrder, or CANCELLED without."""
        if word not in ("DELETED", "CANCELLED"):
            raise ValueError("DELETED or CANCELLED")
        self.emulator.book.killed = word

    def do_latency(self, seconds: float) -> None:
        """How long orders stay PENDING by themselves."""
        self.emulator.book.latency = seconds

    def do_fill(self, id: str, volume: int, price: Any = None) -> None:
        """Fill a live order, whatever the market says; at its limit or the market when no price is given."""
        given = None if price is None else Decimal(str(price))
        self.emulator.book.fill(self._order(id), volume, given)

    def do_correct(self, id: str, volume: int, price: Any = None) -> None:
        """The fill of this ORDER_ID had another volume or price; 0 takes it back: its row is DELETED."""
        self.emulator.book.correct(id, volume, None if price is None else Decimal(str(price)))

    def do_kill(self, id: str, reason: str = "Killed by the exchange") -> None:
        """The exchange kills an open order."""
        self.emulator.book.kill(self._order(id), reason)

    def do_work(self, id: str, volume: int) -> str:
        """A person sends a market order for so much of a ticket; its id."""
        return self.emulator.book.work(self._order(id), volume)

    def do_order(self, **fields: Any) -> str:
        """Somebody else pokes: an order with the fields of a poke, usual ones may be left out; its id."""
        first = next(iter(self.emulator.book.accounts.values())).parts
        usual = {"BUYORSELL": "Buy", "GOOD_UNTIL": "DAY", "EXIT_VEHICLE": "DEMO", "DISP_NAME": "IBM", "EXCHANGE": "NYS"}
        more = {"PRICE_TYPE": "Market", "VOLUME_TYPE": "AsEntered", "VOLUME": "100", "TYPE": "UserSubmitOrder"}
        if fields.get("TYPE") in ("UserSubmitCancel", "UserSubmitChange"):
            return self.emulator.do({name: str(value) for name, value in fields.items()})
        return self.emulator.do({name: str(value) for name, value in (first | usual | more | fields).items()})

    def do_end_day(self) -> int:
        """DAY orders are killed; how many."""
        return self.emulator.book.end_day()
