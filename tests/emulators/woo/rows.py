"""Orders, fills, balances and positions as WOO's JSON. Pure.

v3 REST and the streams say numbers as numbers in what is private, as text in what is public; times are milliseconds,
or seconds with three decimals as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Bar, Levels, Market, Tape, Trade
from tests.emulators.crypto.orders import Account, Balance, Fill, Order, Position

STATUSES = {"PARTIALLY_FILLED": "PARTIAL_FILLED", "CANCELED": "CANCELLED", "EXPIRED": "CANCELLED"}
ALGO_IDS = 10_000_000
"""Algo orders and orders are numbered apart: an algo order's id is that of the order it becomes and this."""


def number(value: Decimal | None) -> float | int | None:
    """As JSON says it."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def text(value: Decimal) -> str:
    """Plain, without zeros behind."""
    return f"{value.normalize():f}" if value else "0"


def milliseconds(at: float) -> int:
    """Of a time."""
    return int(at * 1000)


def seconds(at: float) -> str:
    """As v3 says times of orders."""
    return f"{milliseconds(at) / 1000:.3f}"


def status(order: Order) -> str:
    """In WOO's words."""
    return STATUSES.get(order.status, order.status)


def client_id(order: Order) -> int:
    """0: none was given."""
    return int(order.ticket.client_id or 0)


def fees(order: Order) -> tuple[Decimal, str]:
    """What was paid, in one asset."""
    each = order.ticket.instrument
    usual = each.quote if each.perp or not order.ticket.buys else each.base
    paid = order.fees()
    return paid.get(usual, Decimal(0)), usual


def kind(order: Order) -> str:
    """LIMIT, MARKET, IOC, FOK, POST_ONLY."""
    ticket = order.ticket
    if ticket.at_market:
        return "MARKET"
    return "POST_ONLY" if ticket.post_only else {"IOC": "IOC", "FOK": "FOK"}.get(ticket.tif, "LIMIT")


def quantity(order: Order) -> float | int | None:
    """Of a market order for an amount: none."""
    return 0 if order.ticket.cost is not None else number(order.quantity)


# ---------------------------------------------------------------- REST


def order_row(order: Order) -> dict[str, Any]:
    """Of GET /v3/trade/order."""
    ticket, (fee, asset) = order.ticket, fees(order)
    return {
        "orderId": order.number,
        "clientOrderId": client_id(order),
        "symbol": ticket.instrument.symbol,
        "orderTag": ticket.extra.get("tag", "default"),
        "side": ticket.side,
        "quantity": quantity(order),
        "amount": number(ticket.cost),
        "type": kind(order),
        "status": status(order),
        "price": None if ticket.at_market else number(order.limit),
        "executed": number(order.filled),
        "visible": number(order.left) if order.is_open else 0,
        "averageExecutedPrice": number(order.average),
        "totalFee": number(fee),
        "feeAsset": asset,
        "totalRebate": 0,
        "rebateAsset": "USDT",
        "reduceOnly": ticket.reduce_only,
        "createdTime": seconds(order.created),
        "updatedTime": seconds(order.updated),
        "realizedPnl": None,
        "positionSide": ticket.position_side,
        "bidAskLevel": None,
    }


def algo_row(order: Order) -> dict[str, Any]:
    """Of GET /v3/trade/algoOrder."""
    ticket, (fee, asset), now = order.ticket, fees(order), status(order)
    return {
        "algoOrderId": order.number + ALGO_IDS,
        "clientAlgoOrderId": client_id(order),
        "rootAlgoOrderId": order.number + ALGO_IDS,
        "parentAlgoOrderId": 0,
        "symbol": ticket.instrument.symbol,
        "algoOrderTag": ticket.extra.get("tag", "default"),
        "algoType": "TAKE_PROFIT" if ticket.kind.startswith("TAKE") else "STOP_LOSS",
        "side": ticket.side,
        "quantity": number(order.quantity),
        "isTriggered": order.triggered,
        "triggerPrice": number(order.stop),
        "triggerStatus": "SUCCESS" if order.triggered else "USELESS",
        "type": kind(order),
        "rootAlgoStatus": now,
        "algoStatus": now,
        "triggerPriceType": "MARK_PRICE" if ticket.by_mark else "MARKET_PRICE",
        "price": 0 if ticket.at_market else number(order.limit),
        "triggerTime": seconds(order.updated) if order.triggered else "0",
        "totalExecutedQuantity": number(order.filled),
        "visibleQuantity": number(order.left) if order.is_open else 0,
        "averageExecutedPrice": number(order.average),
        "totalFee": number(fee),
        "feeAsset": asset if order.filled else "",
        "totalRebate": 0,
        "rebateAsset": "",
        "reduceOnly": ticket.reduce_only,
        "createdTime": seconds(order.created),
        "updatedTime": seconds(order.updated),
        "positionSide": ticket.position_side,
    }


def fill_row(fill: Fill) -> dict[str, Any]:
    """Of GET /v3/trade/transactionHistory."""
    return {
        "id": fill.number,
        "symbol": fill.instrument.symbol,
        "orderId": fill.order,
        "executedPrice": number(fill.price),
        "executedQuantity": number(fill.size),
        "fee": number(fill.fee),
        "realizedPnl": number(fill.realized) if fill.instrument.perp else None,
        "feeAsset": fill.fee_asset,
        "orderTag": "default",
        "side": "BUY" if fill.buys else "SELL",
        "executedTimestamp": seconds(fill.at),
        "isMaker": int(fill.maker),
    }


def old_fill_row(fill: Fill) -> dict[str, Any]:
    """Of v1: GET /v1/order/{oid}/trades, /v1/client/trades."""
    return {
        "id": fill.number,
        "symbol": fill.instrument.symbol,
        "order_id": fill.order,
        "executed_price": number(fill.price),
        "executed_quantity": number(fill.size),
        "fee": number(fill.fee),
        "fee_asset": fill.fee_asset,
        "order_tag": "default",
        "side": "BUY" if fill.buys else "SELL",
        "executed_timestamp": seconds(fill.at),
        "is_maker": int(fill.maker),
    }


def old_order_row(order: Order) -> dict[str, Any]:
    """Of v1: GET /v1/order/{oid}, /v1/client/order/{client_order_id}, /v1/orders."""
    row = order_row(order)
    names = {
        "orderId": "order_id",
        "clientOrderId": "client_order_id",
        "symbol": "symbol",
        "orderTag": "order_tag",
        "side": "side",
        "quantity": "quantity",
        "amount": "amount",
        "type": "type",
        "status": "status",
        "price": "price",
        "executed": "executed",
        "visible": "visible",
        "averageExecutedPrice": "average_executed_price",
        "totalFee": "total_fee",
        "feeAsset": "fee_asset",
        "totalRebate": "total_rebate",
        "rebateAsset": "rebate_asset",
        "reduceOnly": "reduce_only",
        "createdTime": "created_time",
        "updatedTime": "updated_time",
        "positionSide": "position_side",
    }
    return {name: row[key] for key, name in names.items()}


def holding_row(asset: str, balance: Balance, at: float) -> dict[str, Any]:
    """Of GET /v3/asset/balances."""
    return {
        "token": asset,
        "holding": number(balance.total),
        "frozen": number(balance.locked),
        "staked": 0,
        "unbonding": 0,
        "vault": 0,
        "interest": 0,
        "pendingShortQty": 0,
        "pendingLongQty": 0,
        "availableBalance": number(balance.free),
        "averageOpenPrice": 0,
        "markPrice": 1,
        "pnl24H": 0,
        "fee24H": 0,
        "updatedTime": round(at, 3),
    }


def pending(orders: Iterable[Order], instrument: Instrument, side: str) -> tuple[Decimal, Decimal]:
    """What open orders would add to a position, long and short."""
    mine = [o for o in orders if o.ticket.instrument is instrument and o.ticket.position_side == side and o.triggered]
    longs = sum((o.left for o in mine if o.ticket.buys), Decimal(0))
    return longs, sum((o.left for o in mine if not o.ticket.buys), Decimal(0))


def position_row(
    account: Account, position: Position, tape: Tape, liquidation: Decimal, orders: Iterable[Order], at: float
) -> dict[str, Any]:
    """Of GET /v3/futures/positions: numbers are text here."""
    each = position.instrument
    longs, shorts = pending(orders, each, position.side)
    return {
        "symbol": each.symbol,
        "holding": text(position.size),
        "pendingLongQty": text(longs),
        "pendingShortQty": text(shorts),
        "settlePrice": text(position.entry),
        "averageOpenPrice": text(position.entry),
        "pnl24H": text(position.realized),
        "fee24H": "0",
        "markPrice": text(tape.marked),
        "estLiqPrice": text(liquidation),
        "timestamp": milliseconds(position.updated or at),
        "adlQuantile": 1,
        "positionSide": position.side,
        "marginMode": "ISOLATED" if each.name in account.isolated else "CROSS",
        "isolatedMarginToken": "",
        "isolatedMarginAmount": "0",
        "isolatedFrozenLong": "0",
        "isolatedFrozenShort": "0",
        "leverage": account.leverage(each),
    }


def instrument_row(each: Instrument) -> dict[str, Any]:
    """Of GET /v3/public/instruments."""
    return {
        "symbol": each.symbol,
        "status": "TRADING",
        "baseAsset": each.base,
        "baseAssetMultiplier": 1,
        "quoteAsset": each.quote,
        "quoteMin": "0",
        "quoteMax": "1000000",
        "quoteTick": text(each.tick),
        "baseMin": text(each.least),
        "baseMax": text(each.most),
        "baseTick": text(each.step),
        "minNotional": text(each.value),
        "bidCapRatio": "1.1",
        "bidFloorRatio": None,
        "askCapRatio": None,
        "askFloorRatio": "0.9",
        "orderMode": "NORMAL",
        "impactNotional": "10000" if each.perp else None,
        "isAllowedRpi": False,
        "tickGranularity": None,
    }


def old_instrument_row(each: Instrument) -> dict[str, Any]:
    """Of v1: GET /v1/public/info."""
    return {
        "symbol": each.symbol,
        "quote_min": 0,
        "quote_max": 1000000,
        "quote_tick": number(each.tick),
        "base_min": number(each.least),
        "base_max": number(each.most),
        "base_tick": number(each.step),
        "min_notional": number(each.value),
        "price_range": 0.1,
        "price_scope": 0.1,
        "created_time": "1571824137.000",
        "updated_time": "1686530374.000",
        "is_stable": 0,
        "is_trading": 1,
        "precisions": [1],
    }


def futures_row(each: Instrument, tape: Tape, market: Market) -> dict[str, Any]:
    """Of GET /v3/public/futures."""
    day, now = market.day(tape), market.now()
    return {
        "symbol": each.symbol,
        "indexPrice": text(tape.marked),
        "markPrice": text(tape.marked),
        "estFundingRate": text(market.rate(each, now)),
        "lastFundingRate": text(market.rate(each, now - each.interval * 3600)),
        "openInterest": "221.3498",
        "24hOpen": text(day.open),
        "24hClose": text(day.close),
        "24hHigh": text(day.high),
        "24hLow": text(day.low),
        "24hVolume": text(day.volume),
        "24hAmount": text(day.volume * day.close),
        "nextFundingTime": market.next_funding(each) * 1000,
    }


def funding_row(each: Instrument, market: Market) -> dict[str, Any]:
    """Of GET /v3/public/fundingRate."""
    now, due = market.now(), market.next_funding(each)
    return {
        "symbol": each.symbol,
        "estFundingRate": text(market.rate(each, now)),
        "estFundingRateTimestamp": milliseconds(now) // 60_000 * 60_000,
        "lastFundingRate": text(market.rate(each, due - each.interval * 3600)),
        "lastFundingRateTimestamp": (due - each.interval * 3600) * 1000,
        "nextFundingTime": due * 1000,
        "lastFundingIntervalHours": each.interval,
        "estFundingIntervalHours": each.interval,
    }


def trade_row(each: Instrument, trade: Trade) -> dict[str, Any]:
    """Of GET /v3/public/marketTrades."""
    return {
        "symbol": each.symbol,
        "side": "SELL" if trade.sells else "BUY",
        "source": 0,
        "executedPrice": text(trade.price),
        "executedQuantity": text(trade.size),
        "executedTimestamp": milliseconds(trade.at),
    }


def kline_row(each: Instrument, name: str, length: int, bar: Bar) -> dict[str, Any]:
    """Of GET /v3/public/kline."""
    return {
        "symbol": each.symbol,
        "open": text(bar.open),
        "close": text(bar.close),
        "high": text(bar.high),
        "low": text(bar.low),
        "volume": text(bar.volume),
        "amount": text(bar.volume * bar.close),
        "type": name,
        "startTimestamp": bar.start * 1000,
        "endTimestamp": (bar.start + length) * 1000,
    }


def levels_rows(levels: Levels, best_first: bool, most: int) -> list[dict[str, str]]:
    """A side of GET /v3/public/orderbook."""
    return [
        {"price": text(price), "quantity": text(levels[price])} for price in sorted(levels, reverse=best_first)[:most]
    ]


# ---------------------------------------------------------------- streams


def levels_pairs(levels: Levels, best_first: bool, most: int = 100) -> list[list[float | int | None]]:
    """A side of the orderbook topics."""
    return [[number(price), number(levels[price])] for price in sorted(levels, reverse=best_first)[:most]]


def report(order: Order, fill: Fill | None, message: int = 0, reason: str = "", at: float = 0) -> dict[str, Any]:
    """`executionreport`: message 0 a new status, 1 an edit is refused, 2 a cancel is refused, 3 it is cancelled."""
    ticket, (fee, asset) = order.ticket, fees(order)
    return {
        "msgType": message,
        "symbol": ticket.instrument.symbol,
        "clientOrderId": client_id(order),
        "orderId": order.number,
        "type": kind(order),
        "side": ticket.side,
        "quantity": quantity(order),
        "price": 0 if ticket.at_market else number(order.limit),
        "tradeId": fill.number if fill else 0,
        "executedPrice": number(fill.price) if fill else 0,
        "executedQuantity": number(fill.size) if fill else 0,
        "fee": number(fill.fee) if fill else 0,
        "feeAsset": fill.fee_asset if fill else asset,
        "totalExecutedQuantity": number(order.filled),
        "avgPrice": number(order.average),
        "status": status(order),
        "reason": reason,
        "orderTag": ticket.extra.get("tag", "default"),
        "totalFee": number(fee),
        "feeCurrency": asset,
        "totalRebate": 0,
        "rebateCurrency": "USDT",
        "visible": number(order.left) if order.is_open else 0,
        "timestamp": milliseconds(fill.at if fill else at or order.updated),
        "reduceOnly": ticket.reduce_only,
        "maker": fill.maker if fill else False,
        "positionSide": ticket.position_side,
    }


def algo_report(order: Order, fill: Fill | None) -> dict[str, Any]:
    """One of `algoexecutionreportv2`."""
    row, (fee, asset) = algo_row(order), fees(order)
    return {
        **{name: row[name] for name in ("symbol", "rootAlgoOrderId", "parentAlgoOrderId", "algoOrderId")},
        "clientOrderId": client_id(order),
        "orderTag": row["algoOrderTag"],
        **{name: row[name] for name in ("algoType", "side", "quantity", "triggerPrice", "triggerStatus")},
        **{name: row[name] for name in ("price", "type")},
        "triggerTradePrice": number(order.stop) if order.triggered else 0,
        "triggerTime": milliseconds(order.updated) if order.triggered else 0,
        "tradeId": fill.number if fill else 0,
        "executedPrice": number(fill.price) if fill else 0,
        "executedQuantity": number(fill.size) if fill else 0,
        "fee": number(fill.fee) if fill else 0,
        "reason": order.reason,
        "feeAsset": fill.fee_asset if fill else "",
        "totalExecutedQuantity": number(order.filled),
        "averageExecutedPrice": number(order.average),
        "totalFee": number(fee),
        "timestamp": milliseconds(fill.at if fill else order.updated),
        "visibleQuantity": row["visibleQuantity"],
        "reduceOnly": row["reduceOnly"],
        "triggerPriceType": row["triggerPriceType"],
        "positionSide": row["positionSide"],
        "feeCurrency": asset if order.filled else "",
        "totalRebate": 0.0,
        "rebateCurrency": "",
        "triggered": order.triggered,
        "maker": fill.maker if fill else False,
        "activated": False,
        "isTriggered": order.triggered,
        "isMaker": fill.maker if fill else False,
        "isActivated": False,
        "rootAlgoStatus": row["rootAlgoStatus"],
        "algoStatus": row["algoStatus"],
    }


def balance_data(balance: Balance, version: int) -> dict[str, Any]:
    """One of `balance`."""
    return {
        "holding": number(balance.total),
        "frozen": number(balance.locked),
        "interest": 0,
        "pendingShortQty": 0,
        "pendingExposure": 0,
        "pendingLongQty": 0,
        "pendingLongExposure": 0,
        "version": version,
        "staked": 0,
        "unbonding": 0,
        "vault": 0,
        "averageOpenPrice": 0,
        "pnl24H": 0,
        "fee24H": 0,
        "markPrice": 1,
        "pnl24HPercentage": 0,
    }


def position_data(position: Position, tape: Tape, orders: Iterable[Order], version: int) -> dict[str, Any]:
    """One of `position`."""
    longs, shorts = pending(orders, position.instrument, position.side)
    return {
        "holding": number(position.size),
        "pendingLongQty": number(longs),
        "pendingShortQty": number(shorts),
        "averageOpenPrice": number(position.entry),
        "pnl24H": number(position.realized),
        "fee24H": 0,
        "settlePrice": number(position.entry),
        "markPrice": number(tape.marked),
        "version": version,
        "openingTime": milliseconds(position.updated),
        "pnl24HPercentage": 0,
        "adlQuantile": 1,
        "positionSide": position.side,
    }


def kline_data(each: Instrument, name: str, length: int, bar: Bar) -> dict[str, Any]:
    """`SYMBOL@kline_1m`."""
    return {
        "symbol": each.symbol,
        "type": name,
        "open": number(bar.open),
        "close": number(bar.close),
        "high": number(bar.high),
        "low": number(bar.low),
        "volume": number(bar.volume),
        "amount": number(bar.volume * bar.close),
        "startTime": bar.start * 1000,
        "endTime": (bar.start + length) * 1000,
    }


def ticker_data(each: Instrument, day: Bar) -> dict[str, Any]:
    """`SYMBOL@ticker`, and one of `tickers`."""
    return {
        "symbol": each.symbol,
        "open": number(day.open),
        "close": number(day.close),
        "high": number(day.high),
        "low": number(day.low),
        "volume": number(day.volume),
        "amount": number(day.volume * day.close),
        "count": day.trades,
    }


def best_data(each: Instrument, bids: Levels, asks: Levels) -> dict[str, Any]:
    """`SYMBOL@bbo`, and one of `bbos`."""
    bid, ask = max(bids, default=None), min(asks, default=None)
    return {
        "symbol": each.symbol,
        "ask": number(ask) if ask is not None else 0,
        "askSize": number(asks[ask]) if ask is not None else 0,
        "bid": number(bid) if bid is not None else 0,
        "bidSize": number(bids[bid]) if bid is not None else 0,
    }
