"""The emulator's controls.

A contract is named by its local symbol (IBM, ESZ6, EUR.USD, BTC.USD) or its conId; an order by its permId or its
orderRef.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.emulators import control
from tests.emulators.tws.contracts import Asked, Contract
from tests.emulators.tws.orders import Order, Ticket
from tests.emulators.tws.server import SNAPSHOT_SECONDS, Emulator

NOTICES = {
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
}


def number(value: Any) -> Decimal:
    """As it was written."""
    return Decimal(str(value)).normalize()


class Control(control.Control):
    """What can be told to the emulated TWS."""

    emulator: Emulator

    def _order(self, name: Any) -> Order:
        orders = self.emulator.book.orders
        if str(name).isdigit() and int(name) in orders:
            return orders[int(name)]
        found = [order for order in orders.values() if order.ticket.ref == name]
        if not found:
            raise ValueError(f"no order {name!r}")
        return found[-1]

    def _contract(self, symbol: str) -> Contract:
        return self.emulator.contract(str(symbol))

    # ---------------------------------------------------------------- to look

    def do_status(self) -> dict[str, Any]:
        """Clients, messages by number, what clients did that they should not, how many orders."""
        emulator = self.emulator
        watches = [each for link in emulator.links for each in link.wishes.ticks.values()]
        return {
            "clients": sorted(link.client for link in emulator.links if link.client is not None),
            "links": len(emulator.links),
            "ticks": sorted(w.contract.local for w in watches if not w.snapshot),
            "snapshots": sorted(w.contract.local for w in watches if w.snapshot),
            "messages": {str(name): count for name, count in sorted(emulator.commands.counts.items())},
            "violations": emulator.violations,
            "orders": len(emulator.book.orders),
            "now": emulator.now().isoformat(" ", "seconds"),
        }

    def do_orders(self) -> list[dict[str, Any]]:
        """Every order that there is or was."""
        return [
            {
                "id": o.id,
                "client": o.client,
                "perm": o.perm,
                "contract": o.contract.local,
                "status": o.status,
                "action": o.ticket.action,
                "quantity": f"{o.ticket.quantity:f}",
                "type": o.ticket.kind,
                "limit": o.ticket.limit and f"{o.ticket.limit:f}",
                "stop": o.ticket.stop and f"{o.ticket.stop:f}",
                "filled": f"{o.filled:f}",
                "ref": o.ticket.ref,
                "account": o.ticket.account,
                "tif": o.ticket.tif,
                "parent": o.ticket.parent,
                "oca": o.ticket.oca_group,
            }
            for o in self.emulator.book.orders.values()
        ]

    def do_executions(self) -> list[dict[str, Any]]:
        """Every execution, the oldest first."""
        return [
            {
                "id": e.id,
                "perm": e.perm,
                "contract": e.contract.local,
                "buys": e.buys,
                "ref": e.ref,
                "size": f"{e.size:f}",
                "price": f"{e.price:f}",
                "account": e.account,
            }
            for e in self.emulator.book.executions.values()
        ]

    def do_net(self) -> dict[str, dict[str, str]]:
        """The positions, signed, by account and local symbol; zeros left out."""
        accounts = self.emulator.book.accounts.values()
        return {a.name: {h.contract.local: f"{h.size:f}" for h in a.held.values() if h.size} for a in accounts}

    # ---------------------------------------------------------------- misfortunes

    def do_freeze(self) -> None:
        """Every link that is there goes half open; new ones are well, but their client ids are still in use."""
        for link in self.emulator.links:
            link.freeze()

    def do_free_clients(self) -> None:
        """The gateway finds out that frozen links are dead."""
        for link in [each for each in self.emulator.links if each.frozen]:
            link.transport.abortConnection()

    def do_mute(self, what: str = "ticks") -> None:
        """No more ticks, orders or accounts, until `unmute`."""
        if what not in ("ticks", "orders", "accounts"):
            raise ValueError("ticks, orders or accounts")
        self.emulator.teller.muted.add(what)

    def do_unmute(self) -> None:
        """All is told again."""
        self.emulator.teller.unmute()

    def do_lose(self) -> None:
        """1100: no ticks, nothing told of orders, orders wait, until `regain`. The exchange goes on."""
        self.emulator.lose()

    def do_regain(self, data: bool = True) -> None:
        """1102; with data false 1101, and subscriptions to ticks and bars are gone."""
        self.emulator.regain(data)

    def do_farm(self, ok: bool, history: bool = False) -> None:
        """2104 or 2103 (with history 2106 or 2105); a broken farm sends no ticks."""
        muted = self.emulator.teller.muted
        if not history:
            muted.discard("ticks") if ok else muted.add("ticks")
        code = (2106 if ok else 2105) if history else (2104 if ok else 2103)
        self.emulator.say_all(code, NOTICES[code])

    def do_error(self, code: int, text: str = "", id: int = -1) -> None:
        """Any error to every client."""
        self.emulator.say_all(code, text or NOTICES.get(code, f"Error {code}"), id)

    def do_nightly(self, seconds: float = 1) -> None:
        """The nightly restart: 1100, then the links end, nobody can connect for so long; fills happen meanwhile."""
        self.emulator.lose()
        self.emulator.restart(seconds, empty=False)

    def do_reset(self) -> None:
        """Links broken, faults cleared, all told, an empty book, a market that moves by itself: as at the start."""
        emulator = self.emulator
        emulator.faults.clear()
        emulator.teller.unmute()
        emulator.market.tapes.clear()
        emulator.unsubscribed.clear()
        emulator.snapshot_seconds = SNAPSHOT_SECONDS
        emulator.violations.clear()
        emulator.commands.counts.clear()
        emulator.pacing.forget()
        emulator.pacing.on = emulator.options.pacing
        emulator.restart(0, empty=True)

    def do_roll_back(self, client: int | None = None, to: int = 0) -> None:
        """The order ids of a client (or all) go on behind this one; ids of orders that have ended are free again."""
        self.emulator.book.roll_back(client, to)

    def do_pacing(self, on: bool) -> None:
        """Whether requests for bars are paced."""
        self.emulator.pacing.on = on

    def do_subscribed(self, symbol: str, on: bool, code: int = 354) -> None:
        """Whether there is live data of a contract, or only delayed data (354 or 10089, then 10167)."""
        if code not in (354, 10089):
            raise ValueError("354 or 10089")
        con_id = self._contract(symbol).con_id
        self.emulator.unsubscribed.pop(con_id, None)
        if not on:
            self.emulator.unsubscribed[con_id] = code

    def do_snapshots(self, seconds: float = 11.0) -> None:
        """How long a snapshot waits for a bid, an ask, a last price and a close, of which one is not there."""
        self.emulator.snapshot_seconds = seconds

    def do_untraded(self, symbol: str) -> None:
        """A contract was not traded today: it shows its quote and the close before."""
        self.emulator.market.untraded(self._contract(symbol), self.emulator.now())

    def do_send(self, fields: list[Any]) -> None:
        """Any message at all to every client."""
        self.emulator.send(fields)

    # ---------------------------------------------------------------- the market

    def do_quote(self, symbol: str, bid: Any, ask: Any, bid_size: Any = 1000, ask_size: Any = 1000) -> None:
        """Set a contract's quote, which stays until `free`; a size of 0 empties a side. What can be filled is."""
        contract = self._contract(symbol)
        tape = self.emulator.market.tape(contract, self.emulator.now())
        tape.bid, tape.ask, tape.bid_size, tape.ask_size = map(number, (bid, ask, bid_size, ask_size))
        tape.pinned = True
        self.emulator.moved(contract)

    def do_trade(self, symbol: str, price: Any, size: Any = 100) -> None:
        """A trade of others is printed; stops that it reaches are triggered."""
        contract = self._contract(symbol)
        self.emulator.market.trade(contract, number(price), number(size), self.emulator.now())
        self.emulator.moved(contract, traded=True)

    def do_free(self, symbol: str) -> None:
        """The contract moves by itself again."""
        self.emulator.market.tape(self._contract(symbol), self.emulator.now()).pinned = False

    def do_tick(self, symbol: str = "") -> None:
        """One step of a contract, or of all that are watched."""
        self.emulator.tick(*([self._contract(symbol)] if symbol else []))

    def do_close(self) -> None:
        """The market closes: orders are taken (399) and wait."""
        self.emulator.book.closed = True

    def do_open(self) -> None:
        """The market opens."""
        self.emulator.traded(self.emulator.book.open_market)

    # ---------------------------------------------------------------- orders

    def do_hold(self, on: bool = True) -> None:
        """New orders stay PreSubmitted until `accept` or `reject`."""
        self.emulator.book.hold = on

    def do_accept(self, order: Any) -> None:
        """The exchange accepts an order that waits."""
        self.emulator.traded(lambda: self.emulator.book.accept(self._order(order).perm))

    def do_reject(self, order: Any, reason: str = "the exchange does not want it", status: str = "Inactive") -> None:
        """201, and the order ends so."""
        self.emulator.book.reject(self._order(order).perm, reason, status)

    def do_latency(self, seconds: float) -> None:
        """From PreSubmitted to Submitted, and from PendingCancel to Cancelled."""
        self.emulator.book.latency = seconds

    def do_oca_cancels(self, on: bool) -> None:
        """Whether a cancel of one order of an OCA group cancels all."""
        self.emulator.book.oca_cancels = on

    def do_fill(self, order: Any, size: Any, price: Any = None) -> None:
        """Fill an open order, whatever the market says; at its limit or the market when no price is given."""
        given = None if price is None else number(price)
        self.emulator.traded(lambda: self.emulator.book.fill(self._order(order).perm, number(size), given))

    def do_kill(self, order: Any, reason: str = "") -> None:
        """The exchange or IB cancels an open order: Cancelled and 202."""
        self.emulator.book.kill(self._order(order).perm, reason)

    def do_place(
        self, symbol: str, action: str, quantity: Any, type: str = "MKT", client: int = 0, id: int = 0, **more: Any
    ) -> int | None:
        """An order of a person in TWS (client 0, id 0) or of another client; limit, stop, tif, account, ref."""
        contract = self._contract(symbol)
        words = {name: str(more.pop(name)) for name in ("tif", "account", "ref") if name in more}
        prices = {name: number(more.pop(name)) for name in ("limit", "stop") if name in more}
        if more:
            raise ValueError(f"unknown: {', '.join(more)}")
        account = words.pop("account", next(iter(self.emulator.book.accounts)))
        ticket = Ticket(
            *(action, number(quantity), type, prices.get("limit"), prices.get("stop"), words.get("tif", "DAY")),
            account=account,
            ref=words.get("ref", ""),
        )
        asked = Asked(con_id=contract.con_id, exchange=contract.exchanges[0])
        made: list[Order | None] = []
        self.emulator.traded(lambda: made.append(self.emulator.book.place(client, id, asked, ticket)))
        return made[0].perm if made[0] else None

    def do_cancel(self, order: Any) -> None:
        """A person in TWS cancels any order."""
        self.emulator.book.kill(self._order(order).perm)

    def do_change(self, order: Any, **terms: Any) -> None:
        """A person in TWS changes any order: limit, stop, quantity."""
        found, given = self._order(order), {name: number(value) for name, value in terms.items()}
        if found.is_over or not given or set(given) - {"limit", "stop", "quantity"}:
            raise ValueError("an open order, and its limit, stop or quantity")
        self.emulator.traded(lambda: self.emulator.book.change(found, **given))

    def do_end_day(self) -> int:
        """DAY orders are cancelled; how many."""
        return self.emulator.book.end_day()
