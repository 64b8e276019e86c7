"""Orders, algo orders and fills: what is asked of them, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account, Order, Refused, Ticket, Told
from tests.emulators.woo import rows
from tests.emulators.woo.asked import Asked
from tests.emulators.woo.errors import Fault, fault_of

if TYPE_CHECKING:
    from tests.emulators.woo.server import WooEmulator

KINDS = {"LIMIT": "GTC", "MARKET": "GTC", "IOC": "IOC", "FOK": "FOK", "POST_ONLY": "GTC"}
OPEN = ("NEW", "PARTIAL_FILLED")
STATUSES = {"INCOMPLETE": OPEN, "COMPLETED": ("FILLED", "CANCELLED", "REJECTED")}
EVERY = frozenset(
    {"symbol", "side", "positionSide", "type", "price", "quantity", "reduceOnly", "visibleQuantity", "marginMode"}
    | {"broker_id", "brokerId"}
)
OF_ORDER = EVERY | {"clientOrderId", "orderTag", "amount", "bidAskLevel", "postOnlyAdjusted"}
OF_ALGO = EVERY | {"clientAlgoOrderId", "algoOrderTag", "algoType", "triggerPrice", "triggerPriceType"}


class Trading:
    """What is done for one account."""

    def __init__(self, emulator: WooEmulator, account: Account) -> None:
        self.emulator = emulator
        self.exchange = emulator.exchange
        self.account = account

    # ---------------------------------------------------------------- to find

    def order(self, asked: Asked, id: str = "orderId", client: str = "clientOrderId", algo: bool = False) -> Order:
        """The one that is named, in whatever state."""
        given = asked.whole(id, 0)
        name = "" if given else asked.client_id(client)
        if not given and not name:
            raise Fault(317162, "The params should not be null or 0")
        try:
            number = given - rows.ALGO_IDS * algo if given else None
            found = self.exchange.find(self.account.name, number=number, client_id=name)
        except Refused:
            found = None
        if found is None or (found.ticket.waits if algo else found.triggered) is False:
            raise Fault(317152, f"The order not found for the order id : `{given or name}`")
        if asked.text("symbol") not in ("", found.ticket.instrument.symbol):
            raise Fault(317160, "The order id and symbol are not matched")
        return found

    def orders(self, algo: bool = False) -> list[Order]:
        """All of the account, newest first."""
        mine = [o for o in self.exchange.orders.values() if o.ticket.account == self.account.name]
        return [o for o in reversed(mine) if (o.ticket.waits if algo else o.triggered)]

    def listed(self, asked: Asked, algo: bool = False) -> dict[str, Any]:
        """Orders by symbol, side, status and times, in pages."""
        wanted = asked.text("status")
        statuses = STATUSES.get(wanted, (wanted,) if wanted else ())
        start, end = asked.whole("startTime", 0), asked.whole("endTime", 2**62)
        symbol, side = asked.text("symbol"), asked.text("side")
        if symbol:
            self.emulator.listed(symbol)
        found = [
            each
            for each in self.orders(algo)
            if symbol in ("", each.ticket.instrument.symbol)
            and side in ("", each.ticket.side)
            and (not statuses or rows.status(each) in statuses)
            and start <= rows.milliseconds(each.created) <= end
        ]
        return self.page(asked, [rows.algo_row(each) if algo else rows.order_row(each) for each in found])

    @staticmethod
    def page(asked: Asked, every: list[dict[str, Any]], usual: int = 25) -> dict[str, Any]:
        """One page of rows, and which one it is."""
        size = min(max(asked.whole("size", asked.whole("limit", usual)), 1), 500)
        page = max(asked.whole("page", 1), 1)
        meta = {"total": len(every), "recordsPerPage": size, "currentPage": page}
        return {"rows": every[(page - 1) * size : page * size], "meta": meta}

    def fills(self, asked: Asked) -> dict[str, Any]:
        """Those of the account, newest first, in pages."""
        start, end, symbol = asked.whole("startTime", 0), asked.whole("endTime", 2**62), asked.text("symbol")
        found = [
            rows.fill_row(each)
            for each in reversed(self.exchange.fills)
            if each.account == self.account.name
            and symbol in ("", each.instrument.symbol)
            and start <= rows.milliseconds(each.at) <= end
        ]
        return self.page(asked, found, 100)

    # ---------------------------------------------------------------- orders

    def new(self, asked: Asked) -> Callable[[], dict[str, Any]]:
        """A ticket is checked; calling what comes back places it."""
        for name in asked.unknown(OF_ORDER):
            self.emulator.violations.append(f"an order's unknown parameter {name}")
        each, side = self.emulator.listed(asked.needed("symbol")), self._side(asked)
        kind = asked.needed("type")
        if kind not in KINDS:
            raise Fault(-1005, "type is in wrong format")
        price, quantity, amount = (asked.number(name) for name in ("price", "quantity", "amount"))
        market = kind == "MARKET"
        if quantity is not None and amount is not None:
            raise Fault(-1005, "only one of quantity and amount can be given")
        if market and not each.perp and (quantity if side == "BUY" else amount) is not None:
            code, word = (302147, "Amount") if side == "BUY" else (302150, "Quantity")
            raise Fault(code, f"{word} is required for {side.lower()} market orders when margin disabled.")
        if amount is not None and (not market or each.perp):
            raise Fault(-1005, "amount is only for spot market orders")
        if quantity is None and amount is None:
            raise Fault(-1005, "order_quantity must be a positive number")
        if not market and price is None:
            raise Fault(-1005, "order_price must be a positive number")
        self._margin_mode(asked, each)
        ticket = Ticket(
            account=self.account.name,
            instrument=each,
            side=side,
            kind="MARKET" if market else "LIMIT",
            quantity=quantity,
            cost=amount,
            limit=None if market else price,
            tif=KINDS[kind],
            post_only=kind == "POST_ONLY",
            reduce_only=asked.yes("reduceOnly"),
            position_side=self._position_side(asked, each),
            client_id=asked.client_id("clientOrderId"),
            extra={"tag": asked.text("orderTag", "default")},
        )

        def place() -> dict[str, Any]:
            order = self.exchange.place(ticket)
            return {
                "orderId": order.number,
                "clientOrderId": rows.client_id(order),
                "type": kind,
                "price": rows.number(ticket.limit),
                "quantity": rows.number(quantity),
                "amount": rows.number(amount),
                "bidAskLevel": None,
            }

        return place

    def new_algo(self, asked: Asked) -> Callable[[], dict[str, Any]]:
        """The same of a stop."""
        for name in asked.unknown(OF_ALGO):
            self.emulator.violations.append(f"an algo order's unknown parameter {name}")
        each, side, algo = self.emulator.listed(asked.needed("symbol")), self._side(asked), asked.needed("algoType")
        kind, trigger = asked.needed("type"), asked.number("triggerPrice")
        if algo != "STOP":
            raise Fault(317167, f"unsupported algo type: `{algo}`")
        if kind not in ("LIMIT", "MARKET"):
            raise Fault(-1005, "type is in wrong format")
        if trigger is None:
            raise Fault(-1005, "trigger_price must be a positive number")
        limit = asked.number("price") if kind == "LIMIT" else None
        if kind == "LIMIT" and limit is None:
            raise Fault(-1005, "price must be a positive number")
        by_mark, tape = asked.text("triggerPriceType", "MARKET_PRICE") == "MARK_PRICE", self.exchange.tape(each)
        upwards = trigger > (tape.marked if by_mark else tape.last)
        word = "STOP" if upwards == (side == "BUY") else "TAKE_PROFIT"
        self._margin_mode(asked, each)
        ticket = Ticket(
            account=self.account.name,
            instrument=each,
            side=side,
            kind=word + ("_LIMIT" if limit is not None else ""),
            quantity=asked.number("quantity"),
            limit=limit,
            stop=trigger,
            reduce_only=asked.yes("reduceOnly"),
            position_side=self._position_side(asked, each),
            by_mark=by_mark,
            client_id=asked.client_id("clientAlgoOrderId"),
            extra={"tag": asked.text("algoOrderTag", "default")},
        )

        def place() -> dict[str, Any]:
            row = rows.algo_row(self.exchange.place(ticket))
            names = ("algoOrderId", "clientAlgoOrderId", "algoType", "quantity")
            return {"rows": [{name: row[name] for name in names}]}

        return place

    def _side(self, asked: Asked) -> str:
        side = asked.needed("side")
        if side not in ("BUY", "SELL"):
            raise Fault(-1005, "side is in wrong format")
        return side

    def _position_side(self, asked: Asked, each: Instrument) -> str:
        side = asked.text("positionSide", "BOTH")
        if side not in ("BOTH", "LONG", "SHORT"):
            raise Fault(302195, "The position side you've used is invalid")
        if each.perp and self.account.hedged != (side != "BOTH"):
            raise fault_of(Refused("position_side"))
        return side if each.perp else "BOTH"

    def _margin_mode(self, asked: Asked, each: Instrument) -> None:
        mode = asked.text("marginMode", "CROSS")
        if mode not in ("CROSS", "ISOLATED"):
            raise Fault(-1005, "margin_mode is in wrong format")
        if each.perp:
            (self.account.isolated.add if mode == "ISOLATED" else self.account.isolated.discard)(each.name)

    def change(self, order: Order, asked: Asked) -> dict[str, Any]:
        """EDIT_SENT; a refusal by the engine is told by the executionreport."""
        if not order.is_open:
            raise fault_of(Refused("over"))
        terms = {"quantity": "quantity", "limit": "price", "stop": "triggerPrice"}
        wanted = {term: asked.number(name) for term, name in terms.items()}
        if all(value is None for value in wanted.values()):
            raise fault_of(Refused("unchanged"))
        try:
            self.exchange.replace(order, **wanted)
        except Refused as refused:
            if refused.why != "fault":
                raise
            self._refuse(order, "edit_rejected", "The order can't be edited.")
        return {"status": "EDIT_SENT"}

    def cancel(self, order: Order) -> dict[str, Any]:
        """CANCEL_SENT; a cancel that comes too late is told by the executionreport."""
        if not order.is_open:
            raise fault_of(Refused("over"))
        try:
            self.exchange.cancel(order)
        except Refused:
            self._refuse(order, "cancel_rejected", "The order can't be cancelled.")
        return {"status": "CANCEL_SENT"}

    def _refuse(self, order: Order, kind: str, reason: str) -> None:
        at, name = self.emulator.now(), self.account.name
        self.emulator.tell(Told(kind=kind, account=name, at=at, order=order, reason=reason))

    def cancel_all(self, symbol: str, orders: Iterable[Order] | None = None) -> dict[str, Any]:
        """Every open one, of a symbol or of all."""
        found = [*self.orders(), *self.orders(algo=True)] if orders is None else orders
        for order in found:
            if order.is_open and symbol in ("", order.ticket.instrument.symbol):
                self.cancel(order)
        return {"status": "CANCEL_ALL_SENT"}
