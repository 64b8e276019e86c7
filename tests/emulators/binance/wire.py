"""Orders, fills and balances as Binance writes them, in answers and in events. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.emulators.binance.catalogue import eight, plain
from tests.emulators.crypto.orders import Fill, Order, Told

D = Decimal
NOTHING = D(0)
SPOT_KINDS = {
    "LIMIT": "LIMIT",
    "LIMIT_MAKER": "LIMIT",
    "MARKET": "MARKET",
    "STOP_LOSS": "STOP",
    "STOP_LOSS_LIMIT": "STOP_LIMIT",
    "TAKE_PROFIT": "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT": "TAKE_PROFIT_LIMIT",
}
"""Spot's order types, and ours."""
ALGO_KINDS = {
    "STOP": "STOP_LIMIT",
    "STOP_MARKET": "STOP",
    "TAKE_PROFIT": "TAKE_PROFIT_LIMIT",
    "TAKE_PROFIT_MARKET": "TAKE_PROFIT",
}
"""Futures' conditional order types, and ours."""
ALGO_STATUSES = {"NEW": "NEW", "CANCELED": "CANCELED", "EXPIRED": "EXPIRED", "REJECTED": "REJECTED"}


def ms(at: float) -> int:
    """Seconds as milliseconds."""
    return int(at * 1000)


def kind_of(order: Order) -> str:
    """Its type in Binance's words; an order that a person placed by hand has only ours."""
    if "type" in order.ticket.extra:
        return str(order.ticket.extra["type"])
    kinds = ALGO_KINDS if order.ticket.instrument.perp else SPOT_KINDS
    kind = order.ticket.kind
    return kind if kind in ("LIMIT", "MARKET") else next(word for word, ours in kinds.items() if ours == kind)


def tif_of(order: Order) -> str:
    """Its time in force in Binance's words."""
    return str(order.ticket.extra.get("tif", order.ticket.tif))


# -------------------------------------------------------------------- spot


def spot_order(order: Order) -> dict[str, Any]:
    """As a query of it is answered."""
    ticket = order.ticket
    return {
        "symbol": ticket.instrument.symbol,
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": ticket.client_id,
        "price": eight(order.limit or NOTHING),
        "origQty": eight(order.quantity),
        "executedQty": eight(order.filled),
        "cummulativeQuoteQty": eight(order.turnover),
        "status": order.status,
        "timeInForce": tif_of(order),
        "type": kind_of(order),
        "side": ticket.side,
        "stopPrice": eight(order.stop or NOTHING),
        "icebergQty": eight(NOTHING),
        "time": ms(order.created),
        "updateTime": ms(order.updated),
        "isWorking": order.triggered,
        "workingTime": ms(order.created) if order.triggered else -1,
        "origQuoteOrderQty": eight(ticket.cost or NOTHING),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def spot_answer(order: Order, kind: str) -> dict[str, Any]:
    """To a new order: ACK, RESULT or FULL."""
    whole = spot_order(order)
    answer = {name: whole[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId")}
    answer["transactTime"] = ms(order.updated)
    if kind == "ACK":
        return answer
    left_out = ("time", "updateTime", "isWorking", "icebergQty")
    answer |= {name: value for name, value in whole.items() if name not in left_out}
    if order.stop is None:
        del answer["stopPrice"]
    if kind == "FULL":
        answer["fills"] = [
            {
                "price": eight(fill.price),
                "qty": eight(fill.size),
                "commission": eight(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.number,
            }
            for fill in order.fills
        ]
    return answer


def spot_canceled(order: Order) -> dict[str, Any]:
    """To a cancel: it has a client id of its own."""
    answer = spot_answer(order, "RESULT")
    cancel_id = order.ticket.extra.get("cancel_id", order.ticket.client_id)
    return answer | {"origClientOrderId": order.ticket.client_id, "clientOrderId": cancel_id}


def spot_fill(fill: Fill) -> dict[str, Any]:
    """In myTrades."""
    return {
        "symbol": fill.instrument.symbol,
        "id": fill.number,
        "orderId": fill.order,
        "orderListId": -1,
        "price": eight(fill.price),
        "qty": eight(fill.size),
        "quoteQty": eight(fill.price * fill.size),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": ms(fill.at),
        "isBuyer": fill.buys,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


SPOT_EXECUTIONS = {
    "new": "NEW",
    "triggered": "NEW",
    "fill": "TRADE",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "replaced": "REPLACED",
}


def execution_report(told: Told, now: int) -> dict[str, Any]:
    """Spot's event of an order."""
    order, fill = told.order, told.fill
    assert order is not None
    ticket, canceled = order.ticket, told.kind == "canceled"
    size, price = (fill.size, fill.price) if fill else (NOTHING, NOTHING)
    return {
        "e": "executionReport",
        "E": now,
        "s": ticket.instrument.symbol,
        "c": ticket.extra.get("cancel_id", f"web_{order.number}") if canceled else ticket.client_id,
        "S": ticket.side,
        "o": kind_of(order),
        "f": tif_of(order),
        "q": eight(order.quantity),
        "p": eight(order.limit or NOTHING),
        "P": eight(order.stop or NOTHING),
        "F": eight(NOTHING),
        "g": -1,
        "C": ticket.client_id if canceled else "",
        "x": SPOT_EXECUTIONS[told.kind],
        "X": order.status,
        "r": "NONE",
        "i": order.number,
        "l": eight(size),
        "z": eight(order.filled),
        "L": eight(price),
        "n": eight(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": ms(told.at),
        "t": fill.number if fill else -1,
        "I": 2 * order.number + len(order.fills),
        "w": order.is_open and order.triggered,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": ms(order.created),
        "Z": eight(order.turnover),
        "Y": eight(size * price),
        "Q": eight(ticket.cost or NOTHING),
        "W": ms(order.created),
        "V": "EXPIRE_MAKER",
    }


# -------------------------------------------------------------------- futures


def futures_order(order: Order) -> dict[str, Any]:
    """As a command or a query is answered."""
    ticket = order.ticket
    return {
        "orderId": order.number,
        "symbol": ticket.instrument.symbol,
        "status": order.status,
        "clientOrderId": ticket.client_id,
        "price": plain(order.limit or NOTHING),
        "avgPrice": f"{order.average:.5f}",
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cumQty": plain(order.filled),
        "cumQuote": plain(order.turnover),
        "timeInForce": tif_of(order),
        "type": kind_of(order),
        "reduceOnly": ticket.reduce_only,
        "closePosition": False,
        "side": ticket.side,
        "positionSide": ticket.position_side,
        "stopPrice": plain(order.stop or NOTHING),
        "workingType": "MARK_PRICE" if ticket.by_mark else "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": str(ticket.extra.get("orig_type", kind_of(order))),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": ms(order.created),
        "updateTime": ms(order.updated),
    }


def futures_fill(fill: Fill) -> dict[str, Any]:
    """In userTrades."""
    return {
        "symbol": fill.instrument.symbol,
        "id": fill.number,
        "orderId": fill.order,
        "side": "BUY" if fill.buys else "SELL",
        "price": plain(fill.price),
        "qty": plain(fill.size),
        "realizedPnl": plain(fill.realized),
        "quoteQty": plain(fill.price * fill.size),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": ms(fill.at),
        "positionSide": fill.position_side,
        "maker": fill.maker,
        "buyer": fill.buys,
    }


FUTURES_EXECUTIONS = {
    "new": "NEW",
    "fill": "TRADE",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "EXPIRED",
    "replaced": "AMENDMENT",
}


def order_trade_update(told: Told, now: int) -> dict[str, Any]:
    """Futures' event of an order."""
    order, fill = told.order, told.fill
    assert order is not None
    ticket = order.ticket
    inner = {
        "s": ticket.instrument.symbol,
        "c": ticket.client_id,
        "S": ticket.side,
        "o": kind_of(order),
        "f": tif_of(order),
        "q": plain(order.quantity),
        "p": plain(order.limit or NOTHING),
        "ap": plain(order.average.quantize(D("0.00001"))),
        "sp": plain(order.stop or NOTHING),
        "x": "CALCULATED" if order.reason == "liquidation" and fill else FUTURES_EXECUTIONS[told.kind],
        "X": order.status,
        "i": order.number,
        "l": plain(fill.size) if fill else "0",
        "z": plain(order.filled),
        "L": plain(fill.price) if fill else "0",
        "T": ms(told.at),
        "t": fill.number if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": ticket.reduce_only,
        "wt": "MARK_PRICE" if ticket.by_mark else "CONTRACT_PRICE",
        "ot": str(ticket.extra.get("orig_type", kind_of(order))),
        "ps": ticket.position_side,
        "cp": False,
        "rp": plain(fill.realized) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    if fill:
        inner |= {"n": plain(fill.fee), "N": fill.fee_asset}
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": ms(told.at), "o": inner}


def trade_lite(told: Told, now: int) -> dict[str, Any]:
    """Futures' short event of a fill, which comes before the other."""
    order, fill = told.order, told.fill
    assert order is not None
    assert fill is not None
    return {
        "e": "TRADE_LITE",
        "E": now,
        "T": ms(told.at),
        "s": fill.instrument.symbol,
        "q": plain(order.quantity),
        "p": plain(order.limit or NOTHING),
        "m": fill.maker,
        "c": fill.client_id,
        "S": order.ticket.side,
        "L": plain(fill.price),
        "l": plain(fill.size),
        "t": fill.number,
        "i": order.number,
    }


# -------------------------------------------------------------------- futures' conditional orders


def algo_order(order: Order, child: Order | None) -> dict[str, Any]:
    """As a command or a query is answered."""
    ticket = order.ticket
    return {
        "algoId": order.number,
        "clientAlgoId": ticket.client_id,
        "algoType": "CONDITIONAL",
        "orderType": kind_of(order),
        "symbol": ticket.instrument.symbol,
        "side": ticket.side,
        "positionSide": ticket.position_side,
        "timeInForce": tif_of(order),
        "quantity": plain(order.quantity),
        "algoStatus": algo_status(order, child),
        "actualOrderId": str(child.number) if child else "",
        "actualPrice": f"{child.average if child else NOTHING:.5f}",
        "triggerPrice": plain(order.stop or NOTHING),
        "price": plain(order.limit or NOTHING),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE" if ticket.by_mark else "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": ticket.reduce_only,
        "createTime": ms(order.created),
        "updateTime": ms(order.updated),
        "triggerTime": ms(order.updated) if order.triggered else 0,
        "goodTillDate": 0,
    }


def algo_status(order: Order, child: Order | None) -> str:
    """NEW, CANCELED, TRIGGERED, FINISHED, REJECTED or EXPIRED."""
    if child is not None:
        return "TRIGGERED" if child.is_open else "FINISHED"
    return order.status


def algo_update(order: Order, child: Order | None, now: int, at: float) -> dict[str, Any]:
    """Futures' event of a conditional order."""
    ticket = order.ticket
    return {
        "e": "ALGO_UPDATE",
        "T": ms(at),
        "E": now,
        "o": {
            "caid": ticket.client_id,
            "aid": order.number,
            "at": "CONDITIONAL",
            "o": kind_of(order),
            "s": ticket.instrument.symbol,
            "S": ticket.side,
            "ps": ticket.position_side,
            "f": tif_of(order),
            "q": plain(order.quantity),
            "X": algo_status(order, child),
            "ai": str(child.number) if child else "",
            "ap": f"{child.average if child else NOTHING:.5f}",
            "aq": f"{child.filled if child else NOTHING:.5f}",
            "act": kind_of(child) if child else "0",
            "tp": plain(order.stop or NOTHING),
            "p": plain(order.limit or NOTHING),
            "V": "EXPIRE_MAKER",
            "wt": "MARK_PRICE" if ticket.by_mark else "CONTRACT_PRICE",
            "pm": "NONE",
            "cp": False,
            "pP": False,
            "R": ticket.reduce_only,
            "tt": ms(order.updated) if order.triggered else 0,
            "gtd": 0,
            "rm": order.reason,
        },
    }
