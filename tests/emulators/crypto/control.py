"""The controls of an emulated exchange.

An instrument is named by its name (BTC-USDT, BTC-USDT-PERP) or the venue's symbol; an order by its number or its
client id.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.emulators import control
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Order, Refused, Ticket
from tests.emulators.crypto.server import Emulator


def number(value: Any) -> Decimal:
    """As it was written."""
    return Decimal(str(value))


class Control(control.Control):
    """What can be told to every emulated exchange."""

    emulator: Emulator

    def obey(self, line: str | bytes) -> dict[str, Any]:
        """One command as JSON; the answer, which may be a refusal of the exchange."""
        try:
            return super().obey(line)
        except Refused as refused:
            return {"error": f"refused, {refused.why}: {refused.text}"}

    def _order(self, name: Any) -> Order:
        orders = self.emulator.exchange.orders
        found = [order for order in orders.values() if order.ticket.client_id == str(name)]
        if not found and str(name).isdigit():
            found = [orders[int(name)]] if int(name) in orders else []
        if not found:
            raise ValueError(f"no order {name!r}")
        return found[-1]

    def _instrument(self, symbol: str) -> Instrument:
        return self.emulator.instrument(str(symbol))

    def _account(self, name: str) -> str:
        accounts = self.emulator.exchange.accounts
        if name and name not in accounts:
            raise ValueError(f"no account {name!r}")
        return name or next(iter(accounts))

    # ---------------------------------------------------------------- to look

    def do_status(self) -> dict[str, Any]:
        """WebSockets, what they have subscribed to, requests counted, what clients did that they should not."""
        emulator = self.emulator
        return {
            "links": [[link.path, link.account, sorted(link.topics)] for link in emulator.links],
            "requests": dict(sorted(emulator.counts.items())),
            "violations": emulator.violations,
            "orders": len(emulator.exchange.orders),
            "now": emulator.ms(),
        }

    def do_instruments(self) -> list[dict[str, Any]]:
        """What is traded, and where it stands."""
        return [
            {"name": each.name, "symbol": each.symbol, "perp": each.perp}
            | dict(
                zip(("bid", "bid_size", "ask", "ask_size"), map(str, self.emulator.exchange.best(each)), strict=True)
            )
            for each in (tape.instrument for tape in self.emulator.market.tapes.values())
        ]

    def do_orders(self) -> list[dict[str, Any]]:
        """Every order that there is or was."""
        return [
            {
                "number": o.number,
                "client_id": o.ticket.client_id,
                "account": o.ticket.account,
                "instrument": o.ticket.instrument.name,
                "status": o.status,
                "side": o.ticket.side,
                "kind": o.ticket.kind,
                "quantity": f"{o.quantity:f}",
                "limit": o.limit and f"{o.limit:f}",
                "stop": o.stop and f"{o.stop:f}",
                "filled": f"{o.filled:f}",
                "tif": o.ticket.tif,
                "triggered": o.triggered,
            }
            for o in self.emulator.exchange.orders.values()
        ]

    def do_executions(self) -> list[dict[str, Any]]:
        """Every fill, the oldest first."""
        return [
            {
                "number": f.number,
                "order": f.order,
                "client_id": f.client_id,
                "account": f.account,
                "instrument": f.instrument.name,
                "buys": f.buys,
                "size": f"{f.size:f}",
                "price": f"{f.price:f}",
                "fee": f"{f.fee:f}",
                "fee_asset": f.fee_asset,
            }
            for f in self.emulator.exchange.fills
        ]

    def do_balances(self, account: str = "") -> dict[str, dict[str, list[str]]]:
        """By wallet and asset: free and locked."""
        wallets = self.emulator.exchange.accounts[self._account(account)].wallets
        return {
            wallet: {asset: [f"{each.free:f}", f"{each.locked:f}"] for asset, each in assets.items()}
            for wallet, assets in wallets.items()
        }

    def do_net(self, account: str = "") -> dict[str, str]:
        """The positions in perpetuals, signed, by name (and side, in hedge mode); zeros left out."""
        positions = self.emulator.exchange.accounts[self._account(account)].positions
        return {
            name if side == "BOTH" else f"{name}/{side}": f"{each.size:f}"
            for (name, side), each in positions.items()
            if each.size
        }

    # ---------------------------------------------------------------- misfortunes

    def do_fault(self, name: str, **more: Any) -> None:
        """Set a fault: count (1; null: for ever), chance (1), seconds, symbol (an instrument's name), when, arrives."""
        if more.get("symbol"):
            more["symbol"] = self._instrument(more["symbol"]).name
        super().do_fault(name, **more)

    def do_drop_links(self, private: bool = True, public: bool = True) -> None:
        """Break WebSockets only: private ones, public ones."""
        for link in list(self.emulator.links):
            if private if link.account is not None else public:
                link.abort()

    def do_freeze(self, seconds: float | None = None) -> None:
        """Everything goes half open; after so many seconds, or at `thaw`, all connections break."""
        self.emulator.freeze(seconds)

    def do_freeze_links(self) -> None:
        """The WebSockets that are there go half open; new ones and requests are well."""
        for link in self.emulator.links:
            link.frozen = True

    def do_thaw(self) -> None:
        """What was frozen breaks, and all is well again."""
        self.emulator.thaw()

    def do_mute(self, what: str = "market") -> None:
        """The streams tell no more of the market, orders or accounts, until `unmute`."""
        if what not in ("market", "orders", "accounts"):
            raise ValueError("market, orders or accounts")
        self.emulator.muted.add(what)

    def do_unmute(self) -> None:
        """All is told again."""
        self.emulator.muted.clear()

    def do_reset(self) -> None:
        """Connections broken, faults cleared, all told, an empty book, a free market: as at the start."""
        emulator = self.emulator
        emulator.faults.clear()
        emulator.muted.clear()
        emulator.violations.clear()
        emulator.counts.clear()
        emulator.frozen = False
        emulator.ahead = 0.0
        emulator.market.reset()
        emulator.restart(0, empty=True)

    def do_clock(self, ahead: float) -> None:
        """The venue's clock is so many seconds ahead of ours."""
        self.emulator.ahead = ahead

    def do_latency(self, seconds: float) -> None:
        """Every request takes so long."""
        self.emulator.latency = seconds

    def do_lag(self, seconds: float) -> None:
        """The private streams are so far behind what is answered, all in order."""
        self.emulator.lag = seconds

    def do_limits(self, on: bool) -> None:
        """Whether the venue's rate limits are kept."""
        self.emulator.limits = on

    # ---------------------------------------------------------------- the market

    def do_quote(self, symbol: str, bid: Any, ask: Any, bid_size: Any = 10, ask_size: Any = 10) -> None:
        """Set an instrument's quote, which stays until `free`; a size of 0 empties a side. What can be filled is."""
        each = self._instrument(symbol)
        exchange = self.emulator.exchange
        with exchange.moment():
            self.emulator.market.set_quote(exchange.tape(each), *map(number, (bid, ask, bid_size, ask_size)))
            exchange.match(each)

    def do_trade(self, symbol: str, price: Any, size: Any = 1, sells: bool = False) -> None:
        """A trade of others is printed; stops that it reaches are triggered."""
        self.emulator.exchange.others_trade(self._instrument(symbol), number(price), number(size), sells)

    def do_mark(self, symbol: str, price: Any = None) -> None:
        """The mark price of a perpetual; null: the middle again. Positions may be liquidated."""
        each = self._instrument(symbol)
        self.emulator.exchange.tape(each).mark = None if price is None else number(price)
        self.emulator.exchange.match(each)

    def do_free(self, symbol: str) -> None:
        """The instrument moves by itself again."""
        self.emulator.exchange.tape(self._instrument(symbol)).pinned = False

    def do_tick(self, symbol: str = "") -> None:
        """One step of an instrument, or of all; a quote that was set does not move."""
        tapes = self.emulator.market.tapes
        for each in [self._instrument(symbol)] if symbol else [tape.instrument for tape in tapes.values()]:
            self.emulator.exchange.step(each)

    def do_fund(self, symbol: str, rate: Any = None) -> str:
        """Funding is paid now, at a rate or the market's; the rate."""
        return f"{self.emulator.exchange.fund(self._instrument(symbol), None if rate is None else number(rate)):f}"

    # ---------------------------------------------------------------- orders

    def do_fill(self, order: Any, size: Any, price: Any = None) -> None:
        """Fill an open order, whatever the market says; at its limit or the market when no price is given."""
        given = None if price is None else number(price)
        self.emulator.exchange.fill(self._order(order), number(size), given)

    def do_kill(self, order: Any, status: str = "EXPIRED", reason: str = "") -> None:
        """The exchange ends an open order: EXPIRED, CANCELED or REJECTED."""
        if status not in ("EXPIRED", "CANCELED", "REJECTED"):
            raise ValueError("EXPIRED, CANCELED or REJECTED")
        self.emulator.exchange.end(self._order(order), status, reason)

    def do_place(self, symbol: str, side: str, quantity: Any, kind: str = "MARKET", **more: Any) -> int:
        """An order of a person on the venue's website; limit, stop, tif, account, client_id, position_side."""
        for term in ("limit", "stop"):
            if more.get(term) is not None:
                more[term] = number(more[term])
        more["account"] = self._account(more.get("account", ""))
        ticket = Ticket(instrument=self._instrument(symbol), side=side, quantity=number(quantity), kind=kind, **more)
        return self.emulator.exchange.place(self.emulator.completed(ticket)).number

    def do_cancel(self, order: Any) -> None:
        """A person cancels any order."""
        self.emulator.exchange.cancel(self._order(order))

    def do_deposit(self, asset: str, amount: Any, wallet: str = "spot", account: str = "") -> None:
        """Money comes, or (a negative amount) goes."""
        self.emulator.exchange.deposit(self._account(account), wallet, asset, number(amount))
