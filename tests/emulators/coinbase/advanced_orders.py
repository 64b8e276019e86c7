"""Coinbase Advanced Trade's order commands. A refused order is answered with 200 and `success` false."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.emulators.coinbase.exchange_rows import iso
from tests.emulators.coinbase.listing import id_of, number_of, plain
from tests.emulators.coinbase.words import Wrong, moment, number
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import down
from tests.emulators.crypto.orders import Account, Order, Refused, Ticket

if TYPE_CHECKING:
    from tests.emulators.coinbase.server import CoinbaseEmulator

TIFS = {
    "market_market_ioc": "GTC",
    "limit_limit_gtc": "GTC",
    "limit_limit_gtd": "GTD",
    "limit_limit_fok": "FOK",
    "sor_limit_ioc": "IOC",
    "stop_limit_stop_limit_gtc": "GTC",
    "stop_limit_stop_limit_gtd": "GTD",
}
"""Every order_configuration that is understood here."""
UP, DOWN = "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"
CODES = {
    "balance": ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", "Insufficient balance in source account"),
    "tick": ("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION", "Too many decimals in order price"),
    "step": ("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION", "Too many decimals in order amount"),
    "least": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", "base size too small"),
    "most": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE", "base size too large"),
    "value": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", "quote size too small"),
    "post_only": (
        "INVALID_LIMIT_PRICE_POST_ONLY",
        "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
        "post only price would match",
    ),
    "symbol": ("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID", "valid product_id is required"),
    "kind": ("UNSUPPORTED_ORDER_CONFIGURATION", "UNKNOWN_PREVIEW_FAILURE_REASON", "order configuration not supported"),
    "side": ("INVALID_SIDE", "PREVIEW_INVALID_SIDE", "valid side is required"),
    "missing": ("INVALID_REQUEST", "UNKNOWN_PREVIEW_FAILURE_REASON", "a size or price is missing"),
    "triggers_up": (
        "INVALID_STOP_PRICE",
        "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE",
        "stop price must be above the last trade price",
    ),
    "triggers_down": (
        "INVALID_STOP_PRICE",
        "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
        "stop price must be below the last trade price",
    ),
}
"""Why the book refuses something: error, preview_failure_reason, message."""
UNKNOWN = ("UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON", "")
EDITS = {
    "quantity": "CANNOT_EDIT_TO_BELOW_FILLED_SIZE",
    "tick": "INVALID_EDITED_PRICE",
    "step": "INVALID_EDITED_SIZE",
    "least": "INVALID_EDITED_SIZE",
    "over": "ONLY_OPEN_ORDERS_CAN_BE_EDITED",
    "fault": "COMMANDER_REJECTED_EDIT_ORDER",
}


class Orders:
    """What is done for one account."""

    def __init__(self, emulator: CoinbaseEmulator, account: Account) -> None:
        self.emulator = emulator
        self.exchange = emulator.exchange
        self.account = account

    def every(self) -> list[Order]:
        """Of the account, the newest first."""
        return [o for o in reversed(self.exchange.orders.values()) if o.ticket.account == self.account.name]

    def find(self, name: object) -> Order | None:
        """By its id."""
        try:
            order = self.exchange.orders.get(number_of(name) or 0)
        except ValueError:
            return None
        return order if order is not None and order.ticket.account == self.account.name else None

    def known(self, name: str) -> Order:
        """By its id, or it was never heard of."""
        if (order := self.find(name)) is None:
            raise Wrong(404, "order with this orderID was not found", "unknown")
        return order

    # ---------------------------------------------------------------- new ones

    def new(self, given: Mapping[str, Any]) -> tuple[str, Callable[[], Any]]:
        """Of what product, and what places the order. An id of the client's that was there before: that order."""
        client = given.get("client_order_id")
        if not isinstance(client, str) or not client:
            raise Wrong(400, "client_order_id is required", "INVALID_ARGUMENT")
        each = self.emulator.product(str(given.get("product_id")))

        def place() -> dict[str, Any]:
            try:
                try:
                    return self._success(self.exchange.find(self.account.name, client_id=client))
                except Refused:
                    pass
                ticket, ends = self._ticket(given, each)
                order = self.exchange.place(ticket)
                if ends:
                    self.emulator.expire(order, ends - self.emulator.now(), "GTD")
                return self._success(order)
            except Refused as refused:
                return self._failure(refused, given)

        return each.name if each else "", place

    def _ticket(self, given: Mapping[str, Any], each: Instrument | None) -> tuple[Ticket, float]:
        if each is None:
            raise Refused("symbol")
        asked = given.get("order_configuration")
        if not isinstance(asked, dict) or len(asked) != 1:
            raise Refused("kind")
        [(name, terms)] = asked.items()
        side, buys = given.get("side"), given.get("side") == "BUY"
        if name not in TIFS or not isinstance(terms, dict):
            raise Refused("kind")
        if side not in ("BUY", "SELL"):
            raise Refused("side")
        base, quote, limit, stop = (
            number(terms, term) for term in ("base_size", "quote_size", "limit_price", "stop_price")
        )
        market = name == "market_market_ioc"
        if market and ((quote is None) if buys else (base is None)):
            raise Refused("kind", f"{'quote' if buys else 'base'}_size is required for market {side.lower()}s")
        if not market and (base is None or limit is None):
            raise Refused("missing")
        kind, ends, cost = "MARKET" if market else "LIMIT", 0.0, None
        if market and buys:
            assert quote is not None
            if quote > self.account.balance(each.wallet, each.quote).free:
                raise Refused("balance")
            cost = down(quote / (1 + each.taker), Decimal("0.00000001"))
        if name.startswith("stop_limit"):
            kind = self._stop(terms, stop, buys)
        if TIFS[name] == "GTD":
            ends = moment(str(terms.get("end_time")), "end_time")
            if ends <= self.emulator.now():
                raise Refused("kind", "end_time is in the past")
        extra: dict[str, Any] = {"configuration": asked, "tif": TIFS[name]}
        extra |= {"funds": quote} if cost is not None else {}
        extra |= {"end_time": iso(ends)} if ends else {}
        ticket = Ticket(
            account=self.account.name,
            instrument=each,
            side=side,
            kind=kind,
            quantity=None if cost is not None else base,
            cost=cost,
            limit=None if market else limit,
            stop=stop,
            tif=TIFS[name] if TIFS[name] in ("IOC", "FOK") else "GTC",
            post_only=terms.get("post_only") is True,
            client_id=str(given.get("client_order_id", "")),
            extra=extra,
        )
        return ticket, ends

    @staticmethod
    def _stop(terms: Mapping[str, Any], stop: Decimal | None, buys: bool) -> str:
        upwards = {"STOP_DIRECTION_STOP_UP": True, "STOP_DIRECTION_STOP_DOWN": False}.get(
            terms.get("stop_direction", "")
        )
        if stop is None or upwards is None:
            raise Refused("missing")
        return "STOP_LIMIT" if upwards == buys else "TAKE_PROFIT_LIMIT"

    @staticmethod
    def _success(order: Order) -> dict[str, Any]:
        ticket = order.ticket
        row = {"order_id": id_of(order.number), "product_id": ticket.instrument.symbol, "side": ticket.side}
        row |= {"client_order_id": ticket.client_id, "attached_order_id": ""}
        more = {"failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": row["order_id"]}
        return {"success": True, **more, "success_response": row, "order_configuration": ticket.extra["configuration"]}

    def _failure(self, refused: Refused, given: Mapping[str, Any]) -> dict[str, Any]:
        why = refused.why
        if why == "triggers":
            [terms] = given["order_configuration"].values()
            why = "triggers_up" if terms["stop_direction"] == UP else "triggers_down"
        error, preview, text = CODES.get(why, UNKNOWN)
        said = {"error": error, "message": text, "error_details": "", "preview_failure_reason": preview}
        return {
            "success": False,
            "failure_reason": "UNKNOWN_FAILURE_REASON",
            "order_id": "",
            "error_response": said | {"new_order_failure_reason": error},
            "order_configuration": given.get("order_configuration"),
        }

    def preview(self, given: Mapping[str, Any]) -> tuple[str, Callable[[], Any]]:
        """What would become of it."""
        each = self.emulator.product(str(given.get("product_id")))

        def look() -> dict[str, Any]:
            errs: list[str] = []
            try:
                self.exchange.check(self._ticket(given, each)[0])
            except Refused as refused:
                errs.append(CODES.get(refused.why, UNKNOWN)[1])
            return {"order_total": "0", "commission_total": "0", "errs": errs, "warning": [], "preview_id": ""}

        return "", look

    # ---------------------------------------------------------------- cancels, edits

    def cancel(self, given: Mapping[str, Any]) -> tuple[str, Callable[[], Any]]:
        """Several at once: each has a result of its own."""
        ids = given.get("order_ids")
        if not isinstance(ids, list) or not ids:
            raise Wrong(400, "order_ids is required", "INVALID_ARGUMENT")
        first = self.find(ids[0])

        def do() -> dict[str, Any]:
            return {"results": [self._cancel(each) for each in ids]}

        return first.ticket.instrument.name if first else "", do

    def _cancel(self, name: object) -> dict[str, Any]:
        order, reason = self.find(name), "UNKNOWN_CANCEL_FAILURE_REASON"
        if order is None or not order.is_open:
            reason = "UNKNOWN_CANCEL_ORDER"
        else:
            try:
                self.exchange.cancel(order)
                return {"success": True, "failure_reason": reason, "order_id": name}
            except Refused:
                reason = "COMMANDER_REJECTED_CANCEL_ORDER"
        return {"success": False, "failure_reason": reason, "order_id": name}

    def edit(self, given: Mapping[str, Any]) -> tuple[str, Callable[[], Any]]:
        """A limit order's price and size; it keeps its id. `size` is the whole, with what is filled."""
        order = self.find(given.get("order_id"))
        price, size = number(given, "price"), number(given, "size")

        def do() -> dict[str, Any]:
            if order is None:
                return self._unedited("ORDER_NOT_FOUND")
            if order.ticket.extra["configuration"].keys() != {"limit_limit_gtc"}:
                return self._unedited("ONLY_LIMIT_ORDER_EDITS_SUPPORTED")
            edits = order.ticket.extra.get("edits", [])
            edit = {"price": plain(price or order.limit or Decimal(0)), "size": plain(size or order.quantity)}
            extra = order.ticket.extra | {"before": order.left}
            extra["edits"] = [*edits, edit | {"replace_accept_timestamp": iso(self.emulator.now())}]
            try:
                self.exchange.replace(order, size, price, extra=extra)
            except Refused as refused:
                return self._unedited(EDITS.get(refused.why, "UNKNOWN_EDIT_ORDER_FAILURE_REASON"))
            return {"success": True, "success_response": {"order_id": id_of(order.number)}, "errors": []}

        return order.ticket.instrument.name if order else "", do

    @staticmethod
    def _unedited(why: str) -> dict[str, Any]:
        error = {"edit_failure_reason": why, "preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON"}
        return {"success": False, "errors": [error]}


def configured(ticket: Ticket) -> Ticket:
    """A ticket that did not come by Advanced Trade, with what that would have asked."""
    if ticket.extra.get("configuration"):
        return ticket
    if ticket.at_market:
        size = ("quote_size", ticket.extra.get("funds", ticket.cost)) if ticket.cost else ("base_size", ticket.quantity)
        asked = {"market_market_ioc": {size[0]: plain(size[1] or Decimal(0))}}
    else:
        name = {"IOC": "sor_limit_ioc", "FOK": "limit_limit_fok"}.get(ticket.tif, "limit_limit_gtc")
        terms: dict[str, Any] = {"base_size": plain(ticket.quantity or Decimal(0))}
        terms["limit_price"] = plain(ticket.limit or Decimal(0))
        if ticket.waits:
            name, direction = "stop_limit_stop_limit_gtc", UP if ticket.buys == ticket.kind.startswith("STOP") else DOWN
            terms |= {"stop_price": plain(ticket.stop or Decimal(0)), "stop_direction": direction}
        elif name == "limit_limit_gtc":
            terms["post_only"] = ticket.post_only
        asked = {name: terms}
    return replace(ticket, extra={"funds": ticket.cost, **ticket.extra, "configuration": asked})
