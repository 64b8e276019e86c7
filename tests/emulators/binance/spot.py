"""Spot's private REST calls: orders, account, trades. Each gives the answer's body, or raises Wrong or Refused."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from tests.emulators.binance import wire
from tests.emulators.binance.asking import NO_ORDER, Asked, Wrong, missing, refusal
from tests.emulators.binance.catalogue import eight
from tests.emulators.binance.private import DAY, Private
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account, Order, Refused, Ticket

D = Decimal
KNOWN = frozenset(
    [
        *("symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "trailingDelta"),
        *("newClientOrderId", "newOrderRespType", "strategyId", "strategyType", "icebergQty", "computeCommissionRates"),
        *("selfTradePreventionMode", "cancelReplaceMode", "cancelNewClientOrderId", "cancelOrigClientOrderId"),
        *("cancelOrderId", "cancelRestrictions", "recvWindow", "timestamp", "signature", "apiKey"),
    ]
)
"""What a new order may have; anything else is -1104."""


class Spot(Private):
    """The calls under /api/v3 that need a signature."""

    perp = False
    widest = DAY

    # ---------------------------------------------------------------- orders

    def ticket(self, asked: Asked, account: Account) -> Ticket:
        """What is asked for; Wrong when parameters are missing or too many."""
        each, kind = self.instrument(asked), asked.word("type")
        if kind not in wire.SPOT_KINDS:
            raise Wrong(-1116, "Invalid orderType.")
        if unread := set(asked) - KNOWN:
            read = len(asked) - len(unread)
            raise Wrong(
                -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(asked)}'."
            )
        side, limited = asked.word("side"), kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
        quantity, cost = asked.amount("quantity"), asked.amount("quoteOrderQty")
        if cost is not None and (kind != "MARKET" or quantity is not None):
            raise Wrong(-1106, "Parameter 'quoteOrderQty' sent when not required.")
        if quantity is None and cost is None:
            raise missing("quantity")
        for name, needed in {
            "price": limited,
            "timeInForce": limited and kind != "LIMIT_MAKER",
            "stopPrice": wire.SPOT_KINDS[kind] not in ("LIMIT", "MARKET"),
        }.items():
            if needed and not asked.get(name):
                raise missing(name)
            if not needed and asked.get(name):
                raise Wrong(-1106, f"Parameter '{name}' sent when not required.")
        tif = asked.get("timeInForce", "GTC")
        if tif not in ("GTC", "IOC", "FOK"):
            raise Wrong(-1115, "Invalid timeInForce.")
        return Ticket(
            account=account.name,
            instrument=each,
            side=side,
            kind=wire.SPOT_KINDS[kind],
            quantity=quantity,
            cost=cost,
            limit=asked.amount("price"),
            stop=asked.amount("stopPrice"),
            tif=tif,
            post_only=kind == "LIMIT_MAKER",
            client_id=asked.client_id("newClientOrderId") or secrets.token_hex(11),
            extra={"type": kind},
        )

    def answer_of(self, asked: Asked, order: Order) -> dict[str, Any]:
        """To a new order, as long as it was asked for."""
        usual = "FULL" if order.ticket.kind in ("LIMIT", "MARKET") else "ACK"
        return wire.spot_answer(order, asked.get("newOrderRespType", usual))

    def new_order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST order."""
        order = self.emulator.exchange.place(self.ticket(asked, account))
        return self.answer_of(asked, order)

    def test_order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST order/test."""
        self.emulator.exchange.check(self.ticket(asked, account))
        return {}

    def find(self, asked: Asked, account: Account, number: str = "orderId", client: str = "origClientOrderId") -> Order:
        """The order that is asked about; Refused("no_order")."""
        each = self.instrument(asked)
        known, client_id = asked.whole(number), asked.get(client, "")
        if known is None and not client_id:
            raise Wrong(-1102, f"Param '{client}' or '{number}' must be sent, but both were empty/null!")
        found = self.emulator.exchange.find(account.name, number=known, client_id=client_id, instrument=each)
        if client_id and found.ticket.client_id != client_id:
            raise Refused("no_order", "there is no such order")
        return found

    def cancel(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE order."""
        return wire.spot_canceled(self._canceled(self.find(asked, account), asked.client_id("newClientOrderId")))

    def _canceled(self, order: Order, cancel_id: str = "") -> Order:
        order.ticket.extra["cancel_id"] = cancel_id or secrets.token_hex(11)
        return self.emulator.exchange.cancel(order)

    def cancel_all(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """DELETE openOrders."""
        found = self._open(account, self.instrument(asked))
        if not found:
            raise Refused("over", "there is none")
        return [wire.spot_canceled(self._canceled(order)) for order in found]

    def cancel_replace(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST order/cancelReplace: the new order's form is looked at first, its money after the cancel."""
        mode = asked.word("cancelReplaceMode")
        ticket, happens = self.ticket(asked, account), self.emulator.faults.happens
        self._check_form(ticket)
        data: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            if happens("rejected_replace", ticket.instrument.name):
                raise Wrong(-2011, "Order was not canceled due to cancel restrictions.")
            order = self.find(asked, account, "cancelOrderId", "cancelOrigClientOrderId")
            canceled = self._canceled(order, asked.client_id("cancelNewClientOrderId"))
            data["cancelResponse"] = wire.spot_canceled(canceled)
        except (Refused, Wrong) as refused:
            data |= {"cancelResult": "FAILURE", "cancelResponse": self._error(refused, ticket)}
            if mode != "ALLOW_FAILURE":
                raise Wrong(-2022, "Order cancel-replace failed.", data=data) from None
        try:
            if happens("half_replace", ticket.instrument.name):
                raise Wrong(-2010, "Account has insufficient balance for requested action.")
            new = self.emulator.exchange.place(ticket)
            data |= {"newOrderResult": "SUCCESS", "newOrderResponse": self.answer_of(asked, new)}
        except (Refused, Wrong) as refused:
            data |= {"newOrderResult": "FAILURE", "newOrderResponse": self._error(refused, ticket)}
        done = {data["cancelResult"], data["newOrderResult"]}
        if done == {"FAILURE"}:
            raise Wrong(-2022, "Order cancel-replace failed.", data=data)
        if len(done) == 2:
            raise Wrong(-2021, "Order cancel-replace partially failed.", 409, data=data)
        return data

    def _check_form(self, ticket: Ticket) -> None:
        try:
            self.emulator.exchange.check(ticket)
        except Refused as refused:
            if refused.why in ("tick", "step", "least", "most", "value", "side"):
                raise

    def _error(self, refused: Refused | Wrong, ticket: Ticket) -> dict[str, Any]:
        return refused.body if isinstance(refused, Wrong) else refusal(refused, ticket.instrument).body

    # ---------------------------------------------------------------- questions

    def order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET order."""
        try:
            return wire.spot_order(self.find(asked, account))
        except Refused:
            raise Wrong(*NO_ORDER) from None

    def _open(self, account: Account, instrument: Instrument | None) -> list[Order]:
        return [
            order
            for order in self.emulator.exchange.open.values()
            if order.ticket.account == account.name
            and (order.ticket.instrument is instrument if instrument else not order.ticket.instrument.perp)
        ]

    def open_orders(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET openOrders."""
        each = self.instrument(asked) if asked.get("symbol") else None
        return [wire.spot_order(order) for order in self._open(account, each)]

    def all_orders(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET allOrders."""
        return [wire.spot_order(order) for order in self.orders(asked, account)]

    def my_trades(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET myTrades."""
        return [wire.spot_fill(fill) for fill in self.fills(asked, account)]

    def account(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET account."""
        balances = account.wallets.get("spot", {})
        zeros = not asked.truth("omitZeroBalances")
        rate = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rate,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self.emulator.ms(),
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": eight(each.free), "locked": eight(each.locked)}
                for asset, each in balances.items()
                if zeros or each.total
            ],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }

    def commission(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET account/commission."""
        each = self.instrument(asked)
        rate = {"maker": eight(each.maker), "taker": eight(each.taker), "buyer": eight(D(0)), "seller": eight(D(0))}
        none = dict.fromkeys(rate, eight(D(0)))
        return {
            "symbol": each.symbol,
            "standardCommission": rate,
            "specialCommission": none,
            "taxCommission": none,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "0",
            },
        }

    def trade_fee(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET /sapi/v1/asset/tradeFee."""
        wanted = asked.get("symbol")
        return [
            {"symbol": each.symbol, "makerCommission": f"{each.maker:f}", "takerCommission": f"{each.taker:f}"}
            for each in self.instruments()
            if wanted in (None, "", each.symbol)
        ]
