"""USD-M futures' private REST calls: orders, conditional orders, positions, account."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from tests.emulators.binance import wire
from tests.emulators.binance.asking import NO_ORDER, Asked, Wrong, missing
from tests.emulators.binance.catalogue import brackets, plain
from tests.emulators.binance.private import DAY, Private, between
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account, Balance, Order, Position, Refused, Ticket

D = Decimal
NOTHING = D(0)
WEEK = 7 * DAY
TO_ALGO = (
    -4120,
    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
)
SUCCESS = {"code": 200, "msg": "success"}


class Futures(Private):
    """The calls under /fapi that need a signature."""

    perp = True
    widest = WEEK

    # ---------------------------------------------------------------- orders

    def ticket(self, asked: Asked, account: Account) -> Ticket:
        """What is asked for; Wrong when parameters are missing."""
        each, kind = self.instrument(asked), asked.word("type")
        if kind in (*wire.ALGO_KINDS, "TRAILING_STOP_MARKET"):
            raise Wrong(*TO_ALGO)
        if kind not in ("LIMIT", "MARKET"):
            raise Wrong(-1116, "Invalid orderType.")
        limit, tif = asked.amount("price"), asked.get("timeInForce", "GTC")
        if kind == "LIMIT" and limit is None:
            raise missing("price")
        if kind == "LIMIT" and not asked.get("timeInForce"):
            raise missing("timeInForce")
        if kind == "MARKET" and (limit is not None or asked.get("timeInForce")):
            raise Wrong(-1106, f"Parameter '{'price' if limit else 'timeinforce'}' sent when not required.")
        return self._ticket(asked, account, each, kind, limit, tif, asked.client_id("newClientOrderId"))

    def _ticket(
        self,
        asked: Asked,
        account: Account,
        each: Instrument,
        word: str,
        limit: Decimal | None,
        tif: str,
        client_id: str,
        **more: Any,
    ) -> Ticket:
        if tif not in ("GTC", "IOC", "FOK", "GTX", "GTD"):
            raise Wrong(-1115, "Invalid timeInForce.")
        quantity = asked.amount("quantity")
        if quantity is None:
            raise missing("quantity")
        side, position_side = asked.word("side"), asked.get("positionSide", "BOTH")
        if account.hedged and asked.get("reduceOnly"):
            raise Wrong(-1106, "Parameter 'reduceonly' sent when not required.")
        usual = {"kind": word, "stop": None, "unfunded": False} | more
        return Ticket(
            account=account.name,
            instrument=each,
            side=side,
            quantity=quantity,
            limit=limit,
            tif="GTC" if tif in ("GTX", "GTD") else tif,
            post_only=tif == "GTX",
            reduce_only=asked.truth("reduceOnly"),
            position_side=position_side,
            by_mark=asked.get("workingType") == "MARK_PRICE",
            client_id=client_id or secrets.token_hex(11),
            extra={"type": word, "tif": tif},
            **usual,
        )

    def new_order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST order: an ACK, as it is before anything is filled, unless a RESULT is asked for."""
        order = self.emulator.exchange.place(self.ticket(asked, account))
        answer = wire.futures_order(order)
        if asked.get("newOrderRespType", "ACK") == "ACK":
            answer |= {"status": "NEW", "executedQty": "0", "cumQty": "0", "cumQuote": "0", "avgPrice": "0.00"}
        return {name: value for name, value in answer.items() if name != "time"}

    def test_order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST order/test."""
        self.emulator.exchange.check(self.ticket(asked, account))
        return {}

    def find(self, asked: Asked, account: Account, number: str = "orderId", client: str = "origClientOrderId") -> Order:
        """The order that is asked about; Refused("no_order")."""
        each = self.instrument(asked)
        known, client_id = asked.whole(number), asked.get(client, "")
        if known is None and not client_id:
            raise Wrong(-1102, f"Either '{client.lower()}' or '{number.lower()}' must be sent.")
        orders = self.emulator.exchange.orders.values()
        found = [o for o in orders if o.number == known] if known is not None else []
        if known is None:
            found = [order for order in orders if order.ticket.client_id == client_id]
        for order in reversed(found):
            ticket = order.ticket
            if ticket.account == account.name and ticket.instrument is each and not ticket.waits:
                return order
        raise Refused("no_order", "there is no such order")

    def cancel(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE order."""
        return wire.futures_order(self.emulator.exchange.cancel(self.find(asked, account)))

    def cancel_all(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE allOpenOrders; conditional orders are left alone."""
        for order in self._open(account, self.instrument(asked), waits=False):
            self.emulator.exchange.cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def modify(self, asked: Asked, account: Account) -> dict[str, Any]:
        """PUT order: price and quantity, both; a quantity that is filled already cancels it."""
        order = self.find(asked, account)
        if asked.word("side") != order.ticket.side:
            raise Wrong(-1106, "Parameter 'side' sent when not required.")
        quantity, price = asked.amount("quantity"), asked.amount("price")
        if quantity is None or price is None:
            raise missing("quantity" if quantity is None else "price")
        if not order.is_open:
            raise Wrong(*NO_ORDER)
        if 0 < quantity <= order.filled:
            return wire.futures_order(self.emulator.exchange.cancel(order))
        return wire.futures_order(self.emulator.exchange.replace(order, quantity, price))

    # ---------------------------------------------------------------- questions

    def _open(self, account: Account, instrument: Instrument | None, waits: bool) -> list[Order]:
        return [
            order
            for order in self.emulator.exchange.open.values()
            if order.ticket.account == account.name
            and order.ticket.instrument.perp
            and instrument in (None, order.ticket.instrument)
            and order.ticket.waits == waits
        ]

    def _if_named(self, asked: Asked) -> Instrument | None:
        return self.instrument(asked) if asked.get("symbol") else None

    def order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET order."""
        try:
            return wire.futures_order(self.find(asked, account))
        except Refused:
            raise Wrong(*NO_ORDER) from None

    def open_order(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET openOrder."""
        try:
            order = self.find(asked, account)
        except Refused:
            raise Wrong(*NO_ORDER) from None
        if not order.is_open:
            raise Wrong(*NO_ORDER)
        return wire.futures_order(order)

    def open_orders(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET openOrders."""
        return [wire.futures_order(order) for order in self._open(account, self._if_named(asked), waits=False)]

    def all_orders(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET allOrders: of seven days at most."""
        return [wire.futures_order(order) for order in self.orders(asked, account, lambda o: not o.ticket.waits)]

    def user_trades(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET userTrades."""
        return [wire.futures_fill(fill) for fill in self.fills(asked, account)]

    # ---------------------------------------------------------------- conditional orders

    def new_algo(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST algoOrder."""
        if asked.word("algoType") != "CONDITIONAL":
            raise Wrong(-1130, "Data sent for parameter 'algoType' is not valid.")
        each, kind, tif = self.instrument(asked), asked.word("type"), asked.get("timeInForce", "GTC")
        if kind not in wire.ALGO_KINDS:
            raise Wrong(-1116, "Invalid orderType.")
        limit, stop = asked.amount("price"), asked.amount("triggerPrice")
        if stop is None:
            raise missing("triggerPrice")
        if kind in ("STOP", "TAKE_PROFIT") and limit is None:
            raise missing("price")
        more = {"kind": wire.ALGO_KINDS[kind], "stop": stop, "unfunded": True}
        client_id = asked.client_id("clientAlgoId")
        order = self.emulator.exchange.place(self._ticket(asked, account, each, kind, limit, tif, client_id, **more))
        return wire.algo_order(order, self.child(order))

    def child(self, order: Order) -> Order | None:
        """What a conditional order became."""
        exchange = self.emulator.exchange
        number = exchange.children.get(order.number)
        return None if number is None else exchange.orders[number]

    def find_algo(self, asked: Asked, account: Account) -> Order:
        """The conditional order that is asked about; Refused("no_order")."""
        known, client_id = asked.whole("algoId"), asked.get("clientAlgoId", "")
        if known is None and not client_id:
            raise Wrong(-1102, "Either 'algoid' or 'clientalgoid' must be sent.")
        for order in reversed(self.emulator.exchange.orders.values()):
            ticket = order.ticket
            is_meant = order.number == known if known is not None else ticket.client_id == client_id
            if is_meant and ticket.account == account.name and ticket.instrument.perp and ticket.waits:
                return order
        raise Refused("no_order", "there is no such order")

    def cancel_algo(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE algoOrder."""
        order = self.emulator.exchange.cancel(self.find_algo(asked, account))
        ids = {"algoId": order.number, "clientAlgoId": order.ticket.client_id}
        return ids | {"code": "200", "msg": "success"}

    def cancel_algos(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE algoOpenOrders."""
        for order in self._open(account, self.instrument(asked), waits=True):
            self.emulator.exchange.cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def algo(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET algoOrder."""
        try:
            order = self.find_algo(asked, account)
        except Refused:
            raise Wrong(*NO_ORDER) from None
        return wire.algo_order(order, self.child(order))

    def open_algos(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET openAlgoOrders."""
        found = self._open(account, self._if_named(asked), waits=True)
        return [wire.algo_order(order, None) for order in found]

    def all_algos(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET allAlgoOrders."""
        each, first = self.instrument(asked), asked.whole("algoId", 0)
        found = [
            order
            for order in self.emulator.exchange.orders.values()
            if order.ticket.account == account.name
            and order.ticket.instrument is each
            and order.ticket.waits
            and order.number >= (first or 0)
        ]
        return [wire.algo_order(o, self.child(o)) for o in between(asked, found, lambda o: o.created, WEEK, 500)]

    # ---------------------------------------------------------------- positions

    def _sides(self, account: Account) -> tuple[str, ...]:
        return ("LONG", "SHORT") if account.hedged else ("BOTH",)

    def _positions(self, account: Account, instrument: Instrument | None, empty: bool) -> list[Position]:
        every = [
            account.positions.get((each.name, side), Position(each, side))
            for each in self.instruments()
            for side in self._sides(account)
            if instrument in (None, each)
        ]
        return [each for each in every if empty or each.size]

    def _risk(self, account: Account, position: Position) -> dict[str, Any]:
        exchange, each = self.emulator.exchange, position.instrument
        mark, isolated = exchange.tape(each).marked, each.name in account.isolated
        margin = exchange.position_margin(account, position)
        return {
            "symbol": each.symbol,
            "positionSide": position.side,
            "positionAmt": plain(position.size),
            "entryPrice": plain(position.entry),
            "breakEvenPrice": plain(position.entry),
            "markPrice": f"{mark:.8f}",
            "unRealizedProfit": f"{exchange.unrealized(position):.8f}",
            "liquidationPrice": plain(exchange.liquidation_price(account, position)),
            "isolatedMargin": plain(margin) if isolated and position.size else "0",
            "notional": plain(position.size * mark),
            "isolatedWallet": plain(margin) if isolated and position.size else "0",
            "updateTime": wire.ms(position.updated),
        }

    def positions_v3(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET v3/positionRisk: those that are open, with their margins."""
        return [self._risk_v3(account, each) for each in self._positions(account, self._if_named(asked), empty=False)]

    def _risk_v3(self, account: Account, position: Position) -> dict[str, Any]:
        exchange, each = self.emulator.exchange, position.instrument
        value = abs(position.size) * exchange.tape(each).marked
        margin = exchange.position_margin(account, position)
        return self._risk(account, position) | {
            "marginAsset": each.quote,
            "initialMargin": plain(margin),
            "maintMargin": plain(value * each.maintenance),
            "positionInitialMargin": plain(margin),
            "openOrderInitialMargin": "0",
            "adl": 1 if position.size else 0,
            "bidNotional": "0",
            "askNotional": "0",
        }

    def positions_v2(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET v2/positionRisk: all, with their leverage."""
        return [
            self._risk(account, position)
            | {
                "leverage": str(account.leverage(position.instrument)),
                "maxNotionalValue": "50000000",
                "marginType": "isolated" if position.instrument.name in account.isolated else "cross",
                "isAutoAddMargin": "false",
                "isolated": position.instrument.name in account.isolated,
                "adlQuantile": 1 if position.size else 0,
            }
            for position in self._positions(account, self._if_named(asked), empty=True)
        ]

    def set_leverage(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST leverage."""
        each, leverage = self.instrument(asked), asked.whole("leverage")
        if leverage is None:
            raise missing("leverage")
        try:
            self.emulator.exchange.set_leverage(account.name, each, leverage)
        except Refused:
            raise Wrong(-4028, f"Leverage {leverage} is not valid") from None
        return {"leverage": leverage, "maxNotionalValue": "50000000", "symbol": each.symbol}

    def set_margin_type(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST marginType."""
        each, kind = self.instrument(asked), asked.word("marginType")
        if kind not in ("ISOLATED", "CROSSED"):
            raise Wrong(-1102, "Mandatory parameter 'marginType' was not sent, was empty/null, or malformed.")
        if (each.name in account.isolated) == (kind == "ISOLATED"):
            raise Wrong(-4046, "No need to change margin type.")
        if any(position.size for position in self._positions(account, each, empty=False)):
            raise Wrong(-4048, "Margin type cannot be changed if there exists position.")
        (account.isolated.add if kind == "ISOLATED" else account.isolated.discard)(each.name)
        return SUCCESS

    def position_mode(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET positionSide/dual."""
        return {"dualSidePosition": account.hedged}

    def set_position_mode(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST positionSide/dual."""
        asked.word("dualSidePosition")
        try:
            self.emulator.exchange.set_hedged(account.name, asked.truth("dualSidePosition"))
        except Refused as refused:
            if refused.why == "unchanged":
                raise Wrong(-4059, "No need to change position side.") from None
            raise
        return SUCCESS

    def leverage_brackets(self, asked: Asked, account: Account) -> Any:
        """GET leverageBracket."""
        each = self._if_named(asked)
        return [brackets(each)] if each else [brackets(every) for every in self.instruments()]

    def symbol_config(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET symbolConfig."""
        one = self._if_named(asked)
        return [
            {
                "symbol": each.symbol,
                "marginType": "ISOLATED" if each.name in account.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": account.leverage(each),
                "maxNotionalValue": "50000000",
            }
            for each in self.instruments()
            if one in (None, each)
        ]

    def account_config(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET accountConfig."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": account.hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def multi_assets(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET multiAssetsMargin."""
        return {"multiAssetsMargin": False}

    # ---------------------------------------------------------------- money

    def _asset(self, account: Account, asset: str, balance: Balance) -> dict[str, Any]:
        exchange = self.emulator.exchange
        held = exchange.held(account, "perp", asset)
        unrealized = sum((exchange.unrealized(each) for each in held), NOTHING)
        margin = sum((exchange.position_margin(account, each) for each in held), NOTHING)
        maintenance = sum(
            (abs(p.size) * exchange.tape(p.instrument).marked * p.instrument.maintenance for p in held), NOTHING
        )
        orders = exchange.open_margin(account, "perp", asset)
        available = max(exchange.available(account, "perp", asset), NOTHING)
        values = {
            "walletBalance": balance.total,
            "unrealizedProfit": unrealized,
            "marginBalance": balance.total + unrealized,
            "maintMargin": maintenance,
            "initialMargin": margin + orders,
            "positionInitialMargin": margin,
            "openOrderInitialMargin": orders,
            "crossWalletBalance": balance.total,
            "crossUnPnl": unrealized,
            "availableBalance": available,
            "maxWithdrawAmount": available,
        }
        told = {name: f"{value:.8f}" for name, value in values.items()}
        return {"asset": asset} | told | {"marginAvailable": True, "updateTime": self.emulator.ms()}

    def _assets(self, account: Account) -> list[dict[str, Any]]:
        return [self._asset(account, asset, each) for asset, each in account.wallets.get("perp", {}).items()]

    def balance(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET balance."""
        return [
            {
                "accountAlias": "SgsR",
                "asset": each["asset"],
                "balance": each["walletBalance"],
                "crossWalletBalance": each["crossWalletBalance"],
                "crossUnPnl": each["crossUnPnl"],
                "availableBalance": each["availableBalance"],
                "maxWithdrawAmount": each["maxWithdrawAmount"],
                "marginAvailable": True,
                "updateTime": each["updateTime"],
            }
            for each in self._assets(account)
        ]

    def account_v2(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET v2/account: with all positions, and their leverage."""
        rows = []
        for position in self._positions(account, None, empty=True):
            risk = self._risk_v3(account, position)
            rows.append(
                {
                    "symbol": risk["symbol"],
                    "initialMargin": risk["initialMargin"],
                    "maintMargin": risk["maintMargin"],
                    "unrealizedProfit": risk["unRealizedProfit"],
                    "positionInitialMargin": risk["positionInitialMargin"],
                    "openOrderInitialMargin": "0",
                    "leverage": str(account.leverage(position.instrument)),
                    "isolated": position.instrument.name in account.isolated,
                    "entryPrice": risk["entryPrice"],
                    "breakEvenPrice": risk["breakEvenPrice"],
                    "maxNotional": "50000000",
                    "positionSide": risk["positionSide"],
                    "positionAmt": risk["positionAmt"],
                    "notional": risk["notional"],
                    "isolatedWallet": risk["isolatedWallet"],
                    "updateTime": risk["updateTime"],
                    "bidNotional": "0",
                    "askNotional": "0",
                }
            )
        rights = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
        return rights | {"multiAssetsMargin": False, "tradeGroupId": -1} | self._totals(account) | {"positions": rows}

    def account_v3(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET v3/account: with the positions that are open."""
        rows = []
        for position in self._positions(account, None, empty=False):
            risk = self._risk_v3(account, position)
            kept = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet")
            margins = ("initialMargin", "maintMargin", "updateTime")
            rows.append(
                {name: risk[name] for name in (*kept, *margins)} | {"unrealizedProfit": risk["unRealizedProfit"]}
            )
        return self._totals(account) | {"positions": rows}

    def _totals(self, account: Account) -> dict[str, Any]:
        assets = self._assets(account)
        totals = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        told: dict[str, Any] = {
            name: f"{sum((D(each[of]) for each in assets), NOTHING):.8f}" for name, of in totals.items()
        }
        return told | {"assets": assets}

    def commission_rate(self, asked: Asked, account: Account) -> dict[str, Any]:
        """GET commissionRate."""
        each = self.instrument(asked)
        return {
            "symbol": each.symbol,
            "makerCommissionRate": f"{each.maker:f}",
            "takerCommissionRate": f"{each.taker:f}",
            "rpiCommissionRate": "0",
        }

    def income(self, asked: Asked, account: Account) -> list[dict[str, Any]]:
        """GET income: funding, realized profit, commissions."""
        one, kind = self._if_named(asked), asked.get("incomeType", "")
        rows = [
            (at, "FUNDING_FEE", each, paid, each.quote)
            for at, name, each, paid in self.emulator.exchange.fundings
            if name == account.name
        ]
        for fill in self.emulator.exchange.fills:
            if fill.account == account.name and fill.instrument.perp:
                rows.append((fill.at, "COMMISSION", fill.instrument, -fill.fee, fill.fee_asset))
                if fill.realized:
                    rows.append((fill.at, "REALIZED_PNL", fill.instrument, fill.realized, fill.instrument.quote))
        rows.sort(key=lambda row: row[0])
        found = [row for row in rows if one in (None, row[2]) and kind in ("", row[1])]
        return [
            {
                "symbol": each.symbol,
                "incomeType": what,
                "income": f"{paid:.8f}",
                "asset": asset,
                "info": what,
                "time": wire.ms(at),
                "tranId": number,
                "tradeId": "",
            }
            for number, (at, what, each, paid, asset) in enumerate(
                between(asked, found, lambda row: row[0], WEEK, 100), 1
            )
        ]
